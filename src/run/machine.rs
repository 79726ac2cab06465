//! The one loop of a run: takes messages in, lets the dispatcher decide, acts, and emits events.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::attempt::{Outputs, Ran};
use super::connection::{END_PATIENCE, await_end, connect, tell};
use super::dispatch::{Action, ClassIndex, Dispatcher, Policy, TestIndex, WorkerNumber};
use super::limits::check_limits;
use crate::engine::{Container, ContainerSpec, Ending, Engine, EngineError};
use crate::event::{
    Attempt, Event, Notice, Progress, RunFinished, RunStarted, Severity, Sink, SinkError,
    WorkerEnded, WorkerStarted,
};
use crate::model::{ByteText, Limits, LostCause, Outcome, Test};
use crate::protocol::{FromWorker, Hello, Job, JobLimits, PROTOCOL, Report, ToWorker};

/// How long a container may take from the engine's call to hello.
const HELLO_PATIENCE: Duration = Duration::from_secs(60);
/// How long after a test's own deadline its worker may stay silent.
const SILENCE: Duration = Duration::from_secs(15);
/// How often the display learns what runs.
const PROGRESS: Duration = Duration::from_millis(500);
/// How often deadlines are looked at while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How many messages may wait, and are handled before their results go to disk together. Whoever
/// sends more waits, so that a slow disk does not fill the memory.
const BATCH: usize = 64;

/// Tests that can share a worker: one profile, one image.
#[derive(Clone, Debug)]
pub struct Class {
    /// The profile's name.
    pub profile: String,
    /// The image's word.
    pub image: String,
    /// The limits as they were asked for.
    pub asked: Limits,
    /// The limits as this machine can give them.
    pub given: Limits,
    /// What its workers are; name and owner are the run's to fill in.
    pub spec: ContainerSpec,
}

/// Gives a test's program and arguments.
pub type Command = Box<dyn Fn(&Test) -> Vec<ByteText>>;

/// Everything that a run needs to know.
pub struct Request {
    /// The head, as reporters and the store get it. Its tests are the run's.
    pub head: RunStarted,
    /// What is not as it was asked for; each one safe line.
    pub warnings: Vec<String>,
    /// The classes.
    pub classes: Vec<Class>,
    /// Each test's class.
    pub class_of: Vec<ClassIndex>,
    /// Each test's command.
    pub command: Command,
    /// The tests' environment, less what names the test.
    pub environment: Vec<(ByteText, ByteText)>,
    /// The tests' working directory inside a worker.
    pub directory: ByteText,
    /// How workers are used.
    pub policy: Policy,
    /// From TERM to KILL.
    pub grace: Duration,
    /// How much of each output stream's beginning is kept, and of its end, in bytes.
    pub keep_bytes: u64,
    /// Hold the first tests until so many are ready, and let them go together.
    pub hold: usize,
    /// Leave the reset out: to prove that it is what cleans.
    pub without_reset: bool,
}

/// What comes into a run.
pub enum Message {
    /// A signal to the launcher.
    Signal(i32),
    /// A container runs; messages follow.
    Started(WorkerNumber, Box<dyn Container>, Box<dyn Write + Send>),
    /// A worker's message.
    Said(WorkerNumber, FromWorker),
    /// Nothing more will come from a worker; with what was wrong with its last line.
    Silent(WorkerNumber, Option<String>),
    /// A container has ended, or never started.
    Gone(WorkerNumber, Ending),
    /// The engine told its version, or nothing.
    Version(Option<String>),
}

/// The way into a run.
pub struct Inbox {
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
}

impl Inbox {
    /// A new one.
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(BATCH);
        Inbox { sender, receiver }
    }

    /// For those who send.
    pub fn sender(&self) -> SyncSender<Message> {
        self.sender.clone()
    }
}

/// A run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No worker could be started.
    #[error("no worker can be started: {0}")]
    NoWorker(EngineError),
    /// Results cannot be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Runs the tests. Returns the end as it was emitted.
///
/// # Errors
/// See [`RunError`]. No container is left in either case.
pub fn run(
    request: &Request,
    engine: &dyn Engine,
    inbox: &Inbox,
    sink: &mut dyn Sink,
) -> Result<RunFinished, RunError> {
    std::thread::scope(|scope| {
        let mut machine = Machine {
            request,
            engine,
            scope,
            inbox: inbox.sender(),
            dispatcher: Dispatcher::new(request.policy, request.class_of.clone()),
            workers: BTreeMap::new(),
            ending: 0,
            attempts: BTreeMap::new(),
            events: Vec::new(),
            held: Vec::new(),
            unheld: request.hold,
            bad: false,
            interrupted: None,
            last_error: None,
            version: Version::NotAsked,
        };
        machine.events.push(Event::RunStarted(request.head.clone()));
        for message in &request.warnings {
            machine.events.push(Event::Notice(Notice {
                severity: Severity::Warning,
                message: message.clone(),
            }));
        }
        let result = machine.turn(&inbox.receiver, sink);
        if result.is_err() {
            machine.interrupt(true);
            machine.drain(&inbox.receiver);
        }
        result
    })
}

/// What the launcher knows of one worker.
struct Connection {
    class: ClassIndex,
    since: Instant,
    start_us: u64,
    stdin: Option<Box<dyn Write + Send>>,
    container: Option<Box<dyn Container>>,
    hello: bool,
    goodbye: bool,
    /// We gave it up.
    given_up: Option<String>,
    problem: Option<String>,
    outputs: Outputs,
    sequence: u64,
    /// Since when the test at the front is the one that runs.
    front_since: Instant,
    /// When an ended worker's container is killed.
    kill_at: Option<Instant>,
}

struct Machine<'scope, 'env> {
    request: &'scope Request,
    engine: &'scope dyn Engine,
    scope: &'scope Scope<'scope, 'env>,
    inbox: SyncSender<Message>,
    dispatcher: Dispatcher,
    workers: BTreeMap<WorkerNumber, Connection>,
    /// Containers of workers that said goodbye and are not gone yet.
    ending: usize,
    attempts: BTreeMap<TestIndex, u32>,
    events: Vec<Event>,
    held: Vec<(WorkerNumber, u64)>,
    unheld: usize,
    bad: bool,
    interrupted: Option<i32>,
    last_error: Option<EngineError>,
    version: Version,
}

/// The engine's version: asked for once a worker runs, because the question costs time.
enum Version {
    NotAsked,
    Asked,
    Known(Option<String>),
}

impl Machine<'_, '_> {
    fn turn(
        &mut self,
        receiver: &Receiver<Message>,
        sink: &mut dyn Sink,
    ) -> Result<RunFinished, RunError> {
        let started = Instant::now();
        let mut progress = Instant::now();
        loop {
            self.act(sink)?;
            if progress.elapsed() >= PROGRESS {
                progress = Instant::now();
                self.events.push(Event::Progress(self.progress()));
            }
            self.emit_all(sink)?;
            let asking = matches!(self.version, Version::Asked);
            if self.dispatcher.is_done() && self.ending == 0 && !asking {
                break;
            }
            match receiver.recv_timeout(TICK) {
                Ok(message) => {
                    self.handle(message);
                    for message in receiver.try_iter().take(BATCH) {
                        self.handle(message);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.keep_time();
        }
        if self.dispatcher.gave_up()
            && let Some(error) = self.last_error.take()
        {
            self.finish(started, sink, 3)?;
            return Err(RunError::NoWorker(error));
        }
        let status = match self.interrupted {
            Some(signal) => 128 + signal as u8,
            None => u8::from(self.bad),
        };
        Ok(self.finish(started, sink, status)?)
    }

    fn finish(
        &mut self,
        started: Instant,
        sink: &mut dyn Sink,
        exit_status: u8,
    ) -> Result<RunFinished, SinkError> {
        let finished = RunFinished {
            wall_us: started.elapsed().as_micros() as u64,
            engine_version: match &self.version {
                Version::Known(version) => version.clone(),
                Version::NotAsked | Version::Asked => None,
            },
            interrupted: self.interrupted,
            exit_status,
        };
        sink.take(&[Event::RunFinished(finished.clone())])?;
        Ok(finished)
    }

    /// After an error: waits until no container is left, and keeps nothing.
    fn drain(&mut self, receiver: &Receiver<Message>) {
        let deadline = Instant::now() + 2 * END_PATIENCE;
        while (!self.workers.is_empty() || self.ending > 0) && Instant::now() < deadline {
            if let Ok(message) = receiver.recv_timeout(TICK) {
                self.handle(message);
            }
            self.keep_time();
            self.events.clear();
        }
    }

    fn act(&mut self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        loop {
            let mut actions = self.dispatcher.next_actions();
            actions.extend(self.dispatcher.wind_down());
            if actions.is_empty() {
                return Ok(());
            }
            self.perform(actions);
            if self.events.len() >= BATCH {
                self.emit_all(sink)?;
            }
        }
    }

    fn emit_all(&mut self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        if !self.events.is_empty() {
            sink.take(&self.events)?;
            self.events.clear();
        }
        Ok(())
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(number, class) => self.start(number, class),
                Action::Send(number, test, seq) => self.send(number, test, seq),
                Action::GiveBack(number) => self.tell(number, &ToWorker::GiveBack),
                Action::Finish(number) => self.tell(number, &ToWorker::Finish),
                Action::Interrupt(number) => {
                    self.tell(number, &ToWorker::Interrupt);
                    let patience = self.request.grace + Duration::from_secs(5);
                    self.kill_later(number, patience);
                }
                Action::Kill(number) => {
                    self.tell(number, &ToWorker::Kill);
                    // End of file ends a worker that does not know the word any more.
                    if let Some(worker) = self.workers.get_mut(&number) {
                        worker.stdin = None;
                    }
                    self.kill_later(number, Duration::from_secs(2));
                }
                Action::Conclude(test, outcome, place) => {
                    self.conclude(test, outcome, place, false)
                }
                Action::Retry(test, cause, place) => {
                    self.conclude(test, Outcome::Lost(cause), Some(place), true);
                }
            }
        }
    }

    fn start(&mut self, number: WorkerNumber, class: ClassIndex) {
        let now = Instant::now();
        let mut spec = self.request.classes[class].spec.clone();
        spec.name = format!("docker-test-{}-{number}", self.request.head.run);
        self.workers.insert(
            number,
            Connection {
                class,
                since: now,
                start_us: 0,
                stdin: None,
                container: None,
                hello: false,
                goodbye: false,
                given_up: None,
                problem: None,
                outputs: Outputs::default(),
                sequence: 0,
                front_since: now,
                kill_at: None,
            },
        );
        connect(self.scope, self.engine, spec, number, self.inbox.clone());
    }

    fn tell(&mut self, number: WorkerNumber, message: &ToWorker) {
        if let Some(worker) = self.workers.get_mut(&number) {
            tell(&mut worker.stdin, message);
        }
    }

    fn kill_later(&mut self, number: WorkerNumber, patience: Duration) {
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.kill_at = Some(Instant::now() + patience);
        }
    }

    fn send(&mut self, number: WorkerNumber, index: TestIndex, seq: u64) {
        let job = self.job(number, index, seq);
        if self
            .dispatcher
            .running(number)
            .is_some_and(|(front, _)| front == seq)
            && let Some(worker) = self.workers.get_mut(&number)
        {
            worker.front_since = Instant::now();
        }
        self.tell(number, &ToWorker::Run(Box::new(job)));
    }

    fn job(&mut self, number: WorkerNumber, index: TestIndex, seq: u64) -> Job {
        let test = &self.request.head.tests[index];
        let limits = &self.request.classes[self.request.class_of[index]].given;
        let millis = |duration: Duration| duration.as_millis() as u64;
        let own = [
            ("DOCKER_TEST_ID", test.id.text().clone()),
            ("DOCKER_TEST_PROFILE", test.profile.as_str().into()),
            ("DOCKER_TEST_WORKER", number.to_string().into()),
        ];
        let mut environment = self.request.environment.clone();
        environment.extend(own.map(|(name, value)| (name.into(), value)));
        let hold = self.unheld > 0;
        self.unheld = self.unheld.saturating_sub(1);
        Job {
            seq,
            id: test.id.clone(),
            argv: (self.request.command)(test),
            directory: self.request.directory.clone(),
            environment,
            limits: JobLimits {
                wall_ms: millis(limits.wall),
                cpu_ms: millis(limits.cpu_time),
                cpus: limits.cpus.ceil().max(1.0) as u32,
                grace_ms: millis(self.request.grace),
                output_bytes: limits.output_bytes,
                keep_bytes: self.request.keep_bytes,
                open_files: limits.open_files,
                nice: limits.nice,
            },
            hold,
            without_reset: self.request.without_reset,
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Signal(signal) => {
                let again = self.interrupted.is_some();
                self.interrupted.get_or_insert(signal);
                self.interrupt(again);
            }
            Message::Started(number, container, stdin) => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.container = Some(container);
                    // A run that was interrupted meanwhile lets go of it at once.
                    worker.stdin = worker.kill_at.is_none().then_some(stdin);
                }
            }
            Message::Said(number, said) => self.hear(number, said),
            Message::Silent(number, problem) => self.on_silent(number, problem),
            Message::Gone(number, ending) => self.on_gone(number, ending),
            Message::Version(version) => self.version = Version::Known(version),
        }
    }

    fn interrupt(&mut self, hard: bool) {
        let actions = self.dispatcher.on_interrupt(hard);
        self.perform(actions);
    }

    fn hear(&mut self, number: WorkerNumber, said: FromWorker) {
        match said {
            FromWorker::Hello(hello) => self.on_hello(number, *hello),
            FromWorker::Held { seq } => {
                self.held.push((number, seq));
                if self.held.len() >= self.request.hold {
                    for (number, seq) in std::mem::take(&mut self.held) {
                        self.tell(number, &ToWorker::Release { seq });
                    }
                }
            }
            FromWorker::Returned { seqs } => self.dispatcher.on_returned(number, &seqs),
            FromWorker::Output(output) => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.outputs.take(output);
                }
            }
            FromWorker::Report(report) => self.on_report(number, *report),
            FromWorker::Goodbye(_) => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.goodbye = true;
                }
            }
        }
    }

    fn on_hello(&mut self, number: WorkerNumber, hello: Hello) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        if hello.protocol != PROTOCOL {
            let problem = format!(
                "worker {number} speaks protocol {} and this program {PROTOCOL}: the image is of another version",
                hello.protocol
            );
            self.give_up(number, problem);
            return;
        }
        worker.hello = true;
        worker.start_us = worker.since.elapsed().as_micros() as u64;
        let class = &self.request.classes[worker.class];
        let isolates = self.engine.capabilities().isolates;
        let limits = if isolates {
            check_limits(
                &class.asked,
                &class.given,
                &class.spec.hardening,
                &hello.attestation,
            )
        } else {
            Vec::new()
        };
        self.events.push(Event::WorkerStarted(WorkerStarted {
            worker: number,
            profile: class.profile.clone(),
            image: class.image.clone(),
            start_us: worker.start_us,
            attestation: hello.attestation,
            limits,
        }));
        self.dispatcher.on_ready(number);
        self.ask_version();
    }

    /// Asks while the tests run; the engine's calls have deadlines, so an answer comes.
    fn ask_version(&mut self) {
        if matches!(self.version, Version::NotAsked) {
            self.version = Version::Asked;
            let (engine, inbox) = (self.engine, self.inbox.clone());
            self.scope.spawn(move || {
                let version = engine.version().ok();
                let _ = inbox.send(Message::Version(version));
            });
        }
    }

    fn on_report(&mut self, number: WorkerNumber, report: Report) {
        let took =
            Duration::from_micros(report.resources.wall_us) + Duration::from_nanos(report.reset_ns);
        let Some(index) = self.dispatcher.on_report(number, report.seq, took) else {
            return;
        };
        let attempt = self.attempts.entry(index).or_default();
        *attempt += 1;
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        worker.sequence += 1;
        worker.front_since = Instant::now();
        if let Some(problem) = &report.unclean {
            let test = &self.request.head.tests[index].id;
            self.events.push(Event::Notice(Notice {
                severity: Severity::Warning,
                message: format!("worker {number} is replaced: after {test}, {problem}"),
            }));
        }
        let ran = Ran {
            test: &self.request.head.tests[index],
            attempt: *attempt,
            class: &self.request.classes[worker.class],
            worker: Some(number),
            sequence: Some(worker.sequence),
        };
        let attempt = ran.reported(report, &mut worker.outputs);
        self.emit(attempt);
    }

    fn emit(&mut self, attempt: Attempt) {
        if !attempt.superseded && !attempt.outcome.kind().is_good() {
            self.bad = true;
            self.dispatcher.on_bad_result();
        }
        self.events.push(Event::AttemptFinished(Box::new(attempt)));
    }

    /// A test without a report has its last word, or another attempt follows.
    fn conclude(
        &mut self,
        index: TestIndex,
        outcome: Outcome,
        place: Option<(WorkerNumber, u64)>,
        superseded: bool,
    ) {
        let attempt = self.attempts.entry(index).or_default();
        *attempt += 1;
        let connection =
            place.and_then(|(number, seq)| Some((self.workers.get_mut(&number)?, seq)));
        let ran = Ran {
            test: &self.request.head.tests[index],
            attempt: *attempt,
            class: &self.request.classes[self.request.class_of[index]],
            worker: place.map(|(number, _)| number),
            sequence: connection
                .as_ref()
                .map(|(connection, _)| connection.sequence + 1),
        };
        let outputs = connection.map(|(connection, seq)| (&mut connection.outputs, seq));
        let attempt = ran.lost(outcome, superseded, outputs);
        self.emit(attempt);
    }

    /// A worker's stdout has ended.
    fn on_silent(&mut self, number: WorkerNumber, problem: Option<String>) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        worker.stdin = None;
        worker.problem = worker.problem.take().or(problem);
        let Some(container) = worker.container.take() else {
            return;
        };
        await_end(self.scope, container, number, self.inbox.clone());
        if worker.goodbye {
            // Its container may take its time to go; its slot is free now.
            self.ending += 1;
            self.retire(number, None, None);
        }
    }

    /// A worker is gone from the run.
    fn retire(&mut self, number: WorkerNumber, lost: Option<LostCause>, problem: Option<String>) {
        let started = self.workers.get(&number).is_some_and(|worker| worker.hello);
        let tests = self.dispatcher.reported(number);
        let actions = self.dispatcher.on_gone(number, lost, started);
        self.perform(actions);
        if let Some(worker) = self.workers.remove(&number) {
            let problem = worker.given_up.or(worker.problem).or(problem);
            if let (Some(problem), None) = (&problem, self.interrupted) {
                self.events.push(Event::Notice(Notice {
                    severity: Severity::Warning,
                    message: format!("worker {number} was lost: {problem}"),
                }));
            }
            self.events.push(Event::WorkerEnded(WorkerEnded {
                worker: number,
                tests,
                problem,
            }));
        }
    }

    fn on_gone(&mut self, number: WorkerNumber, ending: Ending) {
        let Some(worker) = self.workers.get(&number) else {
            self.ending = self.ending.saturating_sub(1);
            return;
        };
        let (cause, problem) = match ending {
            Ending::Exited(status) => (
                LostCause::Worker,
                format!("its supervisor ended with status {status}"),
            ),
            Ending::Oom => (
                LostCause::Worker,
                "the kernel killed its supervisor for want of memory".into(),
            ),
            Ending::Removed => (
                LostCause::Engine,
                "somebody killed or removed its container".into(),
            ),
            Ending::EngineGone(error) => (LostCause::Engine, error.to_string()),
            Ending::NeverStarted(error) => {
                let problem = error.to_string();
                self.last_error = Some(error);
                (LostCause::Engine, problem)
            }
        };
        let cause = if worker.given_up.is_some() {
            LostCause::Worker
        } else {
            cause
        };
        self.retire(number, Some(cause), Some(problem));
    }

    /// Ends a worker that does not do its part.
    fn give_up(&mut self, number: WorkerNumber, problem: String) {
        if let Some(worker) = self.workers.get_mut(&number) {
            if !worker.hello {
                self.last_error = Some(EngineError::Other(problem.clone()));
            }
            worker.given_up = Some(problem);
            worker.stdin = None;
            worker.kill_at = Some(Instant::now() + Duration::from_secs(2));
        }
    }

    /// Looks after deadlines that the workers themselves should keep, and may not.
    fn keep_time(&mut self) {
        let now = Instant::now();
        let mut silent = Vec::new();
        for (number, worker) in &mut self.workers {
            if worker.kill_at.is_some_and(|at| now >= at) {
                // Once more a little later, should this not do.
                worker.kill_at = Some(now + Duration::from_secs(10));
                if let Some(container) = &worker.container
                    && let Err(error) = container.kill()
                {
                    worker.problem = Some(error.to_string());
                }
            }
            if worker.given_up.is_some() || worker.kill_at.is_some() {
                continue;
            }
            if !worker.hello && now >= worker.since + HELLO_PATIENCE {
                silent.push((
                    *number,
                    format!(
                        "worker {number} did not say hello in {} s",
                        HELLO_PATIENCE.as_secs()
                    ),
                ));
            } else if self.dispatcher.running(*number).is_some() {
                let limit =
                    self.request.classes[worker.class].given.wall + self.request.grace + SILENCE;
                if now >= worker.front_since + limit {
                    silent.push((*number, format!("worker {number} does not answer")));
                }
            }
        }
        for (number, problem) in silent {
            self.give_up(number, problem);
        }
    }

    fn progress(&self) -> Progress {
        let mut running: Vec<_> = self
            .workers
            .iter()
            .filter_map(|(number, worker)| {
                let (_, index) = self.dispatcher.running(*number)?;
                Some((
                    self.request.head.tests[index].id.clone(),
                    worker.front_since.elapsed(),
                ))
            })
            .collect();
        running.sort_by_key(|(_, since)| std::cmp::Reverse(*since));
        Progress { running }
    }
}
