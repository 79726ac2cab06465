//! The corpus of programs with a known consumption (`tests/corpus`), measured in the real engines.

use std::fs;

use crate::engines::{Engine, Promises, on_every_engine};
use crate::harness::{Project, repository};

on_every_engine! {
    figures_are_what_the_corpus_asks_for
}

const MIB: f64 = (1 << 20) as f64;

/// One `# asks: FIGURE AMOUNT` line of one program.
struct Asked {
    name: String,
    figure: String,
    amount: String,
}

impl Asked {
    fn number(&self) -> f64 {
        self.amount.parse().unwrap()
    }
}

/// A project with the corpus in it, and what it asks for.
fn corpus(project: Project) -> (Project, Vec<Asked>) {
    let folder = repository().join("tests/corpus");
    let config = fs::read_to_string(folder.join("docker-test.yaml")).unwrap();
    let mut project = project.config(&config);
    let mut asked = Vec::new();
    for entry in fs::read_dir(folder.join("test")).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        let name = file.strip_suffix("_test.sh").unwrap();
        let script = fs::read_to_string(entry.path()).unwrap();
        for line in script.lines() {
            let Some(line) = line.strip_prefix("# asks: ") else {
                break;
            };
            let (figure, amount) = line.split_once(' ').unwrap();
            asked.push(Asked {
                name: name.into(),
                figure: figure.into(),
                amount: amount.into(),
            });
        }
        project = project.test(name, &script);
    }
    assert!(asked.len() >= 30, "{}", asked.len());
    (project, asked)
}

/// What one program was found to use.
struct Found<'a> {
    project: &'a Project,
    name: &'a str,
    promises: Promises,
}

impl Found<'_> {
    fn text(&self, column: &str) -> String {
        self.project.query(&format!(
            "select {column} from attempts join tests using (test)
             where id = 'test/{}_test.sh'",
            self.name
        ))
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.text(column).as_str() {
            "NULL" => None,
            text => Some(text.parse().unwrap()),
        }
    }

    /// What is wrong with the figure that was asked for.
    fn problem(&self, asked: &Asked) -> Option<String> {
        let wrong = match asked.figure.as_str() {
            "leak" => {
                let leaks = self.text("leaks");
                return (!leaks.contains(&asked.amount)).then(|| format!("leaks are {leaks}"));
            }
            "cpu" => self.cpu(asked.number()),
            // The kernel's ticks tell user mode from the kernel, and a program starts in it.
            "cpu-user" if !self.promises.counted => self.absent("cpu_user_us"),
            "cpu-system" if !self.promises.counted => self.absent("cpu_system_us"),
            "cpu-user" => self.near("cpu_user_us", asked.number(), 0.15),
            "cpu-system" => self.near("cpu_system_us", asked.number(), 0.25),
            "memory" => self.memory(asked.number()),
            "memory-spike" => self.spike(asked.number()),
            "memory-file" if !self.promises.counted => self.absent("memory_file_bytes"),
            "memory-file" => self.near("memory_file_bytes", asked.number(), 0.05),
            "open-files" => self.near("open_files_max", asked.number(), 0.0),
            "threads" => self.near("threads_max", asked.number(), 0.0),
            "processes" => self.near("pids_peak", asked.number(), 0.0),
            "tmpfs-left" => self.near("tmpfs_left_bytes", asked.number(), 0.0),
            figure => panic!("no such figure: {figure}"),
        };
        wrong.err()
    }

    fn near(&self, column: &str, asked: f64, share: f64) -> Result<(), String> {
        let found = self.number(column);
        match found {
            Some(found) if (found - asked).abs() <= asked * share => Ok(()),
            _ => Err(format!("{column} is {found:?}")),
        }
    }

    fn absent(&self, column: &str) -> Result<(), String> {
        match self.number(column) {
            None => Ok(()),
            found => Err(format!("{column} is {found:?}, and nothing counts it")),
        }
    }

    /// Within 5 %, or where that is less within 20 ms.
    fn cpu(&self, asked: f64) -> Result<(), String> {
        let (found, source) = (self.number("cpu_us"), self.text("cpu_source"));
        if source != self.promises.text("source of CPU time") {
            return Err(format!("the source of CPU time is {source}"));
        }
        let parts = [self.number("cpu_user_us"), self.number("cpu_system_us")];
        if let ([Some(user), Some(system)], Some(all)) = (parts, found)
            && user + system != all
        {
            return Err(format!("{user} and {system} are not {all}"));
        }
        match found {
            Some(found) if (found - asked).abs() <= (asked * 0.05).max(20_000.0) => Ok(()),
            _ => Err(format!("cpu_us is {found:?}")),
        }
    }

    /// Within 5 %, or where that is less within 2 MiB, whoever says so: it is held long enough to be
    /// sampled.
    fn memory(&self, asked: f64) -> Result<(), String> {
        let peak = self.number("memory_peak_bytes");
        // Without a cgroup it is what processes have, their share of the program among it.
        let (start, slack) = match self.promises.counted {
            true => (self.number("memory_start_bytes"), 2.0 * MIB),
            false => (Some(0.0), 4.0 * MIB),
        };
        self.bounded()?;
        let Some(used) = peak.zip(start).map(|(peak, start)| peak - start) else {
            return Err(format!("memory is {peak:?}, from {start:?}"));
        };
        let slack = (asked * 0.05).max(slack);
        // Adding up what processes have takes longer the more they have, and is done seldom then.
        let all_of_it = self.promises.counted || asked <= 10.0 * MIB;
        if used > asked + slack || (all_of_it && used < asked - slack) {
            return Err(format!("memory grew by {used}"));
        }
        // The supervisor's own is in this one.
        let anon = self.number("memory_anon_bytes");
        let anon_is_near = anon.is_some_and(|anon| (anon - asked).abs() <= slack + 2.0 * MIB);
        if self.promises.counted && !anon_is_near {
            return Err(format!("memory_anon_bytes is {anon:?}"));
        }
        Ok(())
    }

    /// A spike that no sample has to see: exact where it was a record of the worker, which is the
    /// strict check; else it is no higher than the bound, and the bound no lower than it.
    fn spike(&self, asked: f64) -> Result<(), String> {
        if !self.promises.counted {
            return self.bounded();
        }
        if self.text("memory_peak_source") == "cgroup" {
            return self.memory_is_exact(asked);
        }
        self.bounded()?;
        let (start, bound) = (
            self.number("memory_start_bytes"),
            self.number("memory_peak_bound_bytes"),
        );
        match bound.zip(start) {
            Some((bound, start)) if bound - start >= asked * 0.95 => Ok(()),
            _ => Err(format!("it was no higher than {bound:?}, from {start:?}")),
        }
    }

    fn memory_is_exact(&self, asked: f64) -> Result<(), String> {
        match self.number("memory_peak_bytes - memory_start_bytes") {
            Some(used) if (used - asked).abs() <= (asked * 0.05).max(2.0 * MIB) => Ok(()),
            used => Err(format!("memory grew by {used:?}")),
        }
    }

    /// A sampled peak is no higher than its bound, and one of the kernel's has none.
    fn bounded(&self) -> Result<(), String> {
        let peak = self.number("memory_peak_bytes");
        let bound = self.number("memory_peak_bound_bytes");
        let fine = match self.text("memory_peak_source").as_str() {
            "cgroup" => self.promises.counted && peak.is_some() && bound.is_none(),
            "sampled" => {
                peak.is_some()
                    && bound.is_some() == self.promises.counted
                    && bound >= peak.filter(|_| bound.is_some())
            }
            _ => !self.promises.counted && peak.is_none() && bound.is_none(),
        };
        match fine {
            true => Ok(()),
            false => Err(format!("memory is {peak:?} and at most {bound:?}")),
        }
    }
}

fn figures_are_what_the_corpus_asks_for(on: &Engine) {
    let (project, asked) = corpus(on.project());
    let said = project.run(on.run([]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let promises = on.promises(&project);
    let problems: Vec<String> = asked
        .iter()
        .filter_map(|asked| {
            let found = Found {
                project: &project,
                name: &asked.name,
                promises,
            };
            let problem = found.problem(asked)?;
            let Asked {
                name,
                figure,
                amount,
            } = asked;
            Some(format!("{name} asks for {figure} {amount}: {problem}"))
        })
        .collect();
    assert_eq!(problems, Vec::<String>::new());
    // Whoever leaves nothing is blamed for nothing.
    let blamed = "select count(*) from attempts join tests using (test)
        where leaks <> '[]' and id not like '%leak%' and id not like '%file%'";
    assert_eq!(project.query(blamed), "0");
    // A test that is over at once costs one look.
    let samples = "select samples from attempts join tests using (test)
        where id = 'test/nothing_test.sh'";
    assert_eq!(project.query(samples), "1");
    let many = "select min(samples) from attempts join tests using (test)
        where id like 'test/memory\\__0%' escape '\\'";
    assert!(project.query(many).parse::<u64>().unwrap() >= 3);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}
