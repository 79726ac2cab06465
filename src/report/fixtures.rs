//! Events and streams for this module's tests.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::{
    Attempt, Captured, Division, Event, LimitCheck, LimitState, Notice, Progress, RunFinished,
    RunStarted, Severity, WorkerEnded, WorkerStarted,
};
use crate::model::{
    Clock, ContentDigest, ImageChoice, Leak, Level, Network, Outcome, ProfileOrigin, Resources,
    Shard, Source, Spread, Statistics, StopReason, Termination, Test, TestId, TimeoutState,
    Violation, ViolationKind, ViolationSeverity, built_in_profiles,
};
use crate::protocol::Attestation;

/// A stream that the test can read afterwards.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a [`Scripted`] stream answers to a write.
pub enum Answer {
    Error(ErrorKind),
    /// It takes so many bytes.
    Write(usize),
}

/// A stream that answers as it is told, and then takes everything.
pub struct Scripted {
    answers: VecDeque<Answer>,
    into: Shared,
}

impl Scripted {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Scripted::into(Shared::default(), answers)
    }

    pub fn into(into: Shared, answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = answers.into_iter().collect();
        Scripted { answers, into }
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.answers.pop_front() {
            Some(Answer::Error(kind)) => Err(kind.into()),
            Some(Answer::Write(count)) => self.into.write(&bytes[..count.min(bytes.len())]),
            None => self.into.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn captured(text: &str) -> Captured {
    Captured {
        head: text.into(),
        total_bytes: text.len() as u64,
        ..Captured::default()
    }
}

/// A pass of 12 ms.
pub fn attempt(id: &str) -> Attempt {
    Attempt {
        test: TestId::new(id),
        attempt: 1,
        superseded: false,
        outcome: Outcome::Pass,
        reason: None,
        termination: Some(Termination::Exit(0)),
        stopped: None,
        escalated: false,
        profile: "standard".into(),
        image: "isolation".into(),
        worker: Some(1),
        sequence: Some(1),
        started_unix_us: Some(1_700_000_000_000_000),
        resources: Some(Resources {
            wall_us: 12_000,
            ..Resources::default()
        }),
        statistics: None,
        series: Vec::new(),
        violations: Vec::new(),
        timeout_state: None,
        leaks: Vec::new(),
        reset_ns: Some(150_000),
        stdout: Captured::default(),
        stderr: Captured::default(),
    }
}

/// An attempt with this outcome and its reason.
pub fn ended(id: &str, outcome: Outcome) -> Attempt {
    Attempt {
        outcome,
        reason: outcome.reason(),
        ..attempt(id)
    }
}

pub fn finished(attempt: Attempt) -> Event {
    Event::AttemptFinished(Box::new(attempt))
}

pub fn notice(message: &str) -> Event {
    Event::Notice(Notice {
        severity: Severity::Warning,
        message: message.into(),
    })
}

pub fn run_started(tests: &[&str]) -> Event {
    let test = |id: &&str| Test {
        id: TestId::new(*id),
        profile: "standard".into(),
        origin: ProfileOrigin::Default,
        image: ImageChoice::Isolation,
    };
    Event::RunStarted(RunStarted {
        run: "0123456789abcdef".into(),
        started_unix_us: 1_700_000_000_000_000,
        version: "0.1.0".into(),
        engine: "docker".into(),
        images: vec!["isolation".into()],
        project: "/home/me/project".into(),
        host: "box".into(),
        machine: "4 processors".into(),
        profiles: built_in_profiles()
            .into_iter()
            .filter(|(name, _)| name == "standard")
            .map(|(name, profile)| (name, profile.limits))
            .collect(),
        level: Level::Standard,
        network: Network::None,
        allow_weaker: false,
        suite: "5a1b".into(),
        division: Some(Division {
            shard: Shard {
                shard: 1,
                shards: 2,
            },
            history: Some("9d2e".into()),
            elsewhere: std::sync::Arc::default(),
        }),
        seed: Some(42),
        workers: 2,
        tests: std::sync::Arc::new(tests.iter().map(test).collect()),
    })
}

pub fn run_finished(interrupted: Option<i32>) -> Event {
    Event::RunFinished(RunFinished {
        wall_us: 1_250_000,
        engine_version: Some("20.10.24".into()),
        image_digests: [("isolation".into(), ContentDigest::of_sha256([0x15; 32]))].into(),
        interrupted,
        exit_status: 1,
    })
}

pub fn worker_started(limits: Vec<LimitCheck>) -> Event {
    Event::WorkerStarted(WorkerStarted {
        worker: 1,
        profile: "standard".into(),
        image: "isolation".into(),
        start_us: 260_000,
        attestation: Attestation {
            pid: 1,
            uid: 1001,
            gid: 1001,
            cgroup_version: Some(2),
            memory_bytes: Some(512 << 20),
            swap_bytes: Some(0),
            cpus: Some(2.0),
            pids: Some(128),
            open_files: Some(500),
            capabilities: Some(0),
            bounding_set: Some(0),
            no_new_privileges: Some(true),
            seccomp: Some(2),
            read_only_root: Some(true),
            writable_mounts: Some(Vec::new()),
            interfaces: Some(Vec::new()),
            token_closed: None,
        },
        limits,
    })
}

pub fn limit(limit: &'static str, state: LimitState, found: &str) -> LimitCheck {
    LimitCheck {
        limit,
        state,
        found: found.into(),
    }
}

pub fn violation(
    kind: ViolationKind,
    severity: ViolationSeverity,
    threshold: Option<f64>,
    actual: f64,
    message: &str,
) -> Violation {
    Violation {
        kind,
        severity,
        threshold,
        actual: Some(actual),
        message: message.into(),
    }
}

/// A warning of that kind.
pub fn warning(kind: ViolationKind, message: &str) -> Violation {
    violation(kind, ViolationSeverity::Warning, None, 1.0, message)
}

fn spread(samples: u64, max: f64, avg: f64) -> Spread {
    Spread {
        samples,
        max,
        avg,
        p95: Some(max),
        p99: (samples >= 100).then_some(max),
    }
}

/// A timeout with everything that an attempt can have.
pub fn full_attempt() -> Attempt {
    Attempt {
        attempt: 2,
        termination: Some(Termination::Signal(9)),
        stopped: Some(StopReason::Timeout(Clock::Wall)),
        escalated: true,
        worker: Some(2),
        sequence: Some(7),
        resources: Some(Resources {
            wall_us: 10_000_000,
            cpu_us: Some(420_000),
            cpu_user_us: Some(300_000),
            cpu_system_us: Some(120_000),
            cpu_source: Some(Source::Cgroup),
            throttled_us: Some(0),
            throttled_periods: Some(0),
            memory_start_bytes: Some(3 << 20),
            memory_peak_bytes: Some(24 << 20),
            memory_peak_source: Some(Source::Cgroup),
            memory_peak_bound_bytes: None,
            memory_anon_bytes: Some(16 << 20),
            memory_file_bytes: Some(4 << 20),
            oom_kills: Some(0),
            pids_peak: Some(3),
            pids_peak_source: Some(Source::Sampled),
            pids_limit_hits: Some(0),
            io_read_bytes: Some(8192),
            io_write_bytes: Some(0),
            cpu_pressure_us: Some(2000),
            memory_pressure_us: Some(0),
            io_pressure_us: None,
            tmpfs_left_bytes: Some(8192),
        }),
        statistics: Some(Statistics {
            samples: 100,
            cpu_percent: Some(spread(100, 40.0, 4.2)),
            memory_bytes: Some(spread(100, 25_165_824.0, 20_971_520.0)),
            open_files: Some(spread(20, 12.0, 8.5)),
            threads: Some(spread(20, 3.0, 2.5)),
        }),
        violations: vec![
            violation(
                ViolationKind::Wall,
                ViolationSeverity::Error,
                Some(10_000_000.0),
                10_000_000.0,
                "wall-clock time reached its limit of 10.00 s (idle: 420 ms of CPU in 10.00 s)",
            ),
            violation(
                ViolationKind::LeakedProcess,
                ViolationSeverity::Warning,
                None,
                1.0,
                "left behind: process sleep",
            ),
            violation(
                ViolationKind::LeakedFile,
                ViolationSeverity::Info,
                None,
                4096.0,
                "left behind: 3 files in /tmp (4 KiB)",
            ),
        ],
        timeout_state: Some(TimeoutState::Idle),
        leaks: vec![
            Leak::Process {
                name: "sleep".into(),
            },
            Leak::Files {
                place: "/tmp".into(),
                count: 3,
                bytes: 4096,
                outside: false,
                names: Vec::new(),
            },
            Leak::Files {
                place: "/dev/shm".into(),
                count: 1,
                bytes: 4096,
                outside: true,
                names: vec!["left".into()],
            },
            Leak::SysvIpc {
                what: "shm".into(),
                count: 1,
            },
            Leak::MessageQueue { name: "/mq".into() },
            Leak::Sockets { count: 2 },
            Leak::Supervisor {
                what: "nice value".into(),
            },
        ],
        stdout: captured("waiting\n"),
        stderr: Captured {
            head: vec![0xff, b'\n'].into(),
            dropped_bytes: 1 << 20,
            tail: "end\n".into(),
            total_bytes: (1 << 20) + 6,
        },
        ..ended("test/b_test.sh", Outcome::Timeout(Clock::Wall))
    }
}

/// One event of each kind, with every field filled.
pub fn sample_run() -> Vec<Event> {
    vec![
        run_started(&["test/a_test.sh"]),
        worker_started(vec![limit("memory", LimitState::Enforced, "512 MiB")]),
        Event::Progress(Progress {
            running: vec![(TestId::new("test/b_test.sh"), Duration::from_millis(1250))],
        }),
        finished(full_attempt()),
        notice("4 processors were asked for, this machine has 2"),
        Event::WorkerEnded(WorkerEnded {
            worker: 1,
            tests: 7,
            problem: Some("it ended without a goodbye".into()),
        }),
        run_finished(Some(2)),
    ]
}
