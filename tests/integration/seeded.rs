//! Small suites that follow from a seed, and what the record of a run must say of one, whatever
//! happened to its workers.

use nix::sys::signal::Signal;

use crate::harness::{Project, Said};

/// Random numbers from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % sides
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// Says which seed it was when a test fails, whatever failed.
pub struct Named(pub u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {}", self.0);
        }
    }
}

/// The seeds of a test: so many, or the one that `SEED` names.
pub fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=count).collect(),
    }
}

/// Two profiles whose limits no busy machine reaches, and one whose time limit is meant to be.
const PROFILES: &str = "profiles:\n  \
    small: { cpus: 1, memory: 64MiB, timeout: 60s }\n  \
    large: { cpus: 2, memory: 128MiB, timeout: 60s }\n  \
    brief: { cpus: 1, memory: 64MiB, timeout: 300ms }\n\
    default-profile: small\n";

/// What a test does in the end, and the verdict on it.
const ENDS: [(&str, &str); 5] = [
    ("exit 0", "pass"),
    ("exit 3", "fail exit(3)"),
    ("exit 77", "skip"),
    ("kill -SEGV $$", "crash SIGSEGV"),
    ("exec sleep 60", "timeout wall"),
];

/// A suite of 8 to 16 short tests.
pub struct Suite {
    /// Each test's id and the verdict on an attempt that nothing disturbs.
    tests: Vec<(String, &'static str)>,
    retries: usize,
    pub workers: u64,
}

impl Suite {
    pub fn new(dice: &mut Dice, project: Project) -> (Self, Project) {
        let mut project = project.config(PROFILES);
        let mut tests = Vec::new();
        let large = dice.chance(50);
        let brief = dice.chance(20).then(|| dice.roll(8));
        for number in 0..8 + dice.roll(9) {
            let end = match dice.roll(100) {
                _ if brief == Some(number) => 4,
                0..70 => 0,
                70..80 => 1,
                80..90 => 2,
                _ => 3,
            };
            let (end, verdict) = ENDS[end];
            let profile = match () {
                () if brief == Some(number) => "brief",
                () if large && dice.chance(40) => "large",
                () => "small",
            };
            // At 0 it does nothing else.
            let work = match dice.roll(5) {
                0 => ":".to_owned(),
                1 => "head -c 200000 /dev/zero".to_owned(),
                2 => "sleep 30 & echo left".to_owned(),
                _ => format!("sleep 0.{:03}", 1 + dice.roll(70)),
            };
            let script = format!("# docker-test: profile={profile}\n{work}\n{end}\n");
            project = project.test(&format!("t{number:02}"), &script);
            tests.push((format!("test/t{number:02}_test.sh"), verdict));
        }
        let suite = Suite {
            tests,
            retries: dice.roll(3) as usize,
            workers: 2 + dice.roll(2),
        };
        (suite, project)
    }

    /// What it adds to a command line.
    pub fn words(&self) -> [String; 2] {
        ["--retries".into(), self.retries.to_string()]
    }

    /// Holds the newest record and the exit status against what must be: each test's last word is
    /// the undisturbed one, or of an interrupted run that it was not run. Returns how many attempts
    /// were lost: no more than `losses`.
    pub fn check(
        &self,
        project: &Project,
        said: &Said,
        signal: Option<Signal>,
        losses: usize,
    ) -> usize {
        let words = format!("{}{}", said.stdout, said.stderr);
        let run = project.rows("select exit_status, interrupted, planned from runs");
        assert_eq!(run.len(), 1, "{words}");
        // A signal can come when all is over.
        let interrupted = run[0][1] != "NULL";
        let bad = |verdict: &str| !["pass", "skip"].contains(&verdict);
        let status = match signal {
            Some(signal) if interrupted => 128 + signal as i32,
            _ => i32::from(self.tests.iter().any(|(_, verdict)| bad(verdict))),
        };
        assert!(signal.is_some() || !interrupted, "{words}");
        assert_eq!(said.status, status, "{words}");
        assert_eq!(run[0][0], status.to_string(), "{words}");
        assert_eq!(run[0][2], self.tests.len().to_string(), "{words}");
        let mut lost = 0;
        for (id, expected) in &self.tests {
            let rows = project.rows(&format!(
                "select attempt, trim(outcome || ' ' || coalesce(reason, '')), superseded
                 from attempts join tests using (test) where id = '{id}' order by attempt"
            ));
            let told = || format!("{id} should be {expected}: {rows:?}\n{words}");
            let last = rows.last().unwrap_or_else(|| panic!("{}", told()));
            let finals = rows.iter().filter(|row| row[2] == "0").count();
            assert!(finals == 1 && last[2] == "0", "{}", told());
            let not_run = interrupted && last[1] == "not-run interrupted";
            assert!(not_run || last[1] == *expected, "{}", told());
            let numbered = (1..).zip(&rows).all(|(at, row)| row[0] == at.to_string());
            assert!(numbered, "{}", told());
            let before = &rows[..rows.len() - 1];
            let judged = before.iter().filter(|row| row[1] == *expected).count();
            let again = before.iter().filter(|row| row[1].starts_with("lost "));
            lost += again.clone().count();
            assert_eq!(judged + again.count(), before.len(), "{}", told());
            let retries = if bad(expected) { self.retries } else { 0 };
            assert!(
                judged == retries || interrupted && judged < retries,
                "{}",
                told()
            );
        }
        assert!(lost <= losses, "{lost} attempts were lost: {words}");
        let attempts = project.query("select count(distinct test) from attempts");
        assert_eq!(attempts, self.tests.len().to_string());
        lost
    }
}
