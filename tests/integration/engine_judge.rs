//! Hostile tests and their verdicts: each is followed by a test that must find nothing of it.

use crate::engines::{Engine, Promises};
use crate::harness::{Project, Said};

/// A hostile test and the verdict that it must get.
pub struct Case {
    name: &'static str,
    script: &'static str,
    verdict: &'static str,
}

/// A case; the verdict may be a word of the table of what engines promise.
pub const fn case(name: &'static str, verdict: &'static str, script: &'static str) -> Case {
    Case {
        name,
        script,
        verdict,
    }
}

/// Fails where anything of an earlier test is there, or anything that a test needs is not.
const CLEAN: &str = r#"
fail() { echo "$*"; exit 1; }
for folder in /proc/[0-9]*; do
    case ${folder#/proc/} in
    1 | $$) ;;
    *) fail "process ${folder#/proc/}: $(cat "$folder/comm")" ;;
    esac
done
for place in "$TMPDIR" "$HOME" /dev/shm /dev/mqueue; do
    for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
        [ ! -e "$entry" ] && [ ! -L "$entry" ] || fail "$entry"
    done
done
for place in "$TMPDIR" "$HOME" /dev/shm; do
    echo x >"$place/x" && mkdir "$place/y" || fail "$place cannot be used"
done
for what in shm sem msg; do
    lines=0
    while read -r _; do lines=$((lines + 1)); done </proc/sysvipc/$what
    [ "$lines" -eq 1 ] || fail "$what objects"
done
modes=$(stat -c '%a %u' /tmp /dev/shm "$HOME" | tr '\n' ' ')
case $modes in
'1777 1001 1777 0 700 1001 ') ;;
'1777 1001 1777 1001 700 1001 ') ;; # Where the machine's root is nobody inside.
*) fail "/tmp, /dev/shm and home: $modes" ;;
esac
"#;

/// A project with these cases in this order, each followed by a test that must find nothing.
pub fn suite(on: &Engine, config: &str, cases: &[Case]) -> Project {
    let mut project = on.project().config(&format!("workers: 1\n{config}"));
    for (at, case) in cases.iter().enumerate() {
        project = project
            .test(&format!("{at:02}_{}", case.name), case.script)
            .test(&format!("{at:02}_{}_then", case.name), CLEAN);
    }
    project
}

/// Runs the cases and checks every verdict, that one worker ran them all, and that nothing is left.
pub fn judge(on: &Engine, config: &str, cases: &[Case]) -> Judged {
    let project = suite(on, config, cases);
    let said = project.run(on.run([]));
    let promises = on.promises(&project);
    let mut expected = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let id = |end: &str| format!("test/{at:02}_{}{end}_test.sh", case.name);
        expected.push((id(""), promises.verdict(case.verdict).to_owned()));
        expected.push((id("_then"), "pass".to_owned()));
    }
    expected.sort();
    let found = project.verdicts();
    assert_eq!(found, expected, "{}{}", said.stdout, said.stderr);
    let rows = project.rows(
        "select count(distinct worker), count(*), max(sequence), sum(superseded) from attempts",
    );
    let count = expected.len().to_string();
    assert_eq!(
        rows[0],
        ["1", &count, &count, "0"],
        "{}{}",
        said.stdout,
        said.stderr
    );
    let bad = expected
        .iter()
        .any(|(_, verdict)| verdict != "pass" && verdict != "skip");
    assert_eq!(said.status, i32::from(bad), "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
    Judged {
        project,
        said,
        promises,
    }
}

/// What came of a suite.
pub struct Judged {
    pub project: Project,
    pub said: Said,
    pub promises: Promises,
}

impl Judged {
    /// One column of the attempt at the case of this name.
    pub fn of(&self, case: &str, column: &str) -> String {
        self.project.query(&format!(
            "select {column} from attempts join tests using (test)
             where id glob 'test/[0-9][0-9]_{case}_test.sh'"
        ))
    }

    pub fn number(&self, case: &str, column: &str) -> u64 {
        let text = self.of(case, column);
        text.parse()
            .unwrap_or_else(|_| panic!("{case}: {column} is {text}"))
    }
}
