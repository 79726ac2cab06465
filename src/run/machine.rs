//! The one loop of a run: takes messages in, lets the dispatcher decide, acts, and emits events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::attempt::Outputs;
use super::connection::{END_PATIENCE, Mailbox, connect};
use super::dispatch::{Action, ClassIndex, Dispatcher, TestIndex, Work, WorkerNumber};
use super::guests::GuestFacts;
use super::request::{BATCH, Inbox, Message, Request, RunError};
use super::resize::{Resizing, containers, shapes};
use crate::engine::{Container, Ending, Engine, EngineError, PeakCounter};
use crate::event::{Event, Notice, RunFinished, Severity, Sink, SinkError};
use crate::model::{Outcome, Room};
use crate::protocol::{Attestation, Job, JobLimits, ToWorker};

/// How often the display learns what runs.
const PROGRESS: Duration = Duration::from_millis(500);
/// How often deadlines are looked at while nothing happens.
const TICK: Duration = Duration::from_millis(100);

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
            dispatcher: Dispatcher::new(request.policy, work(request)),
            workers: BTreeMap::new(),
            renamed: BTreeMap::new(),
            ending: 0,
            attempts: BTreeMap::new(),
            again: BTreeMap::new(),
            events: Vec::new(),
            waiting: Vec::new(),
            unheld: request.hold,
            bad: false,
            interrupted: None,
            last_error: None,
            obstacle: None,
            held: BTreeSet::new(),
            refused: None,
            looked: Instant::now(),
            guest_lost: None,
            apart: BTreeSet::new(),
            told: BTreeSet::new(),
            waited_since: None,
        };
        machine.events.push(Event::RunStarted(request.head.clone()));
        let warnings = request
            .warnings
            .iter()
            .map(|line| (Severity::Warning, line));
        let notes = request.notes.iter().map(|line| (Severity::Info, line));
        for (severity, message) in warnings.chain(notes) {
            machine.events.push(Event::Notice(Notice {
                severity,
                message: message.clone(),
            }));
        }
        let result = machine.turn(&inbox.receiver, sink);
        if result.is_err() {
            machine.interrupt(true);
            machine.drain(&inbox.receiver);
        }
        machine.hang_up(&inbox.receiver);
        result
    })
}

/// What the launcher knows of one worker.
pub struct Connection {
    pub class: ClassIndex,
    pub since: Instant,
    pub start_us: u64,
    pub stdin: Mailbox,
    pub container: Option<Box<dyn Container>>,
    /// It dialled in.
    pub guest: Option<GuestFacts>,
    /// The kernel's counter of its memory peak, where we may have a hold on it.
    pub peak: Option<PeakCounter>,
    pub hello: bool,
    /// Its limits are being changed.
    pub resizing: Option<Resizing>,
    pub goodbye: bool,
    /// Limits that count against each of its tests.
    pub limit_failures: usize,
    /// What it read back from inside.
    pub found: Attestation,
    /// We gave it up.
    pub given_up: Option<String>,
    pub problem: Option<String>,
    pub outputs: Outputs,
    pub sequence: u64,
    /// Since when the test at the front is the one that runs.
    pub front_since: Instant,
    /// When an ended worker's container is killed.
    pub kill_at: Option<Instant>,
}

pub struct Machine<'scope, 'env> {
    pub request: &'scope Request,
    pub engine: &'scope dyn Engine,
    pub scope: &'scope Scope<'scope, 'env>,
    pub inbox: SyncSender<Message>,
    pub dispatcher: Dispatcher,
    pub workers: BTreeMap<WorkerNumber, Connection>,
    /// Numbers that workers had, and the next that each got.
    pub renamed: BTreeMap<WorkerNumber, WorkerNumber>,
    /// Containers of workers that said goodbye and are not gone yet.
    pub ending: usize,
    pub attempts: BTreeMap<TestIndex, u32>,
    /// How often a test was run again because it was not good.
    pub again: BTreeMap<TestIndex, u32>,
    pub events: Vec<Event>,
    /// Workers that wait for the others before their first test, and its number there.
    pub waiting: Vec<(WorkerNumber, u64)>,
    pub unheld: usize,
    pub bad: bool,
    pub interrupted: Option<i32>,
    pub last_error: Option<EngineError>,
    /// Why the last worker that did not start did not: what was said already.
    pub obstacle: Option<String>,
    /// Classes of which a worker had all its limits.
    pub held: BTreeSet<ClassIndex>,
    /// Why the run ends although nothing failed.
    pub refused: Option<RunError>,
    /// When deadlines were last looked after.
    pub looked: Instant,
    /// When a worker that dialled in was last lost.
    pub guest_lost: Option<Instant>,
    /// Profile and image that a worker which dialled in does not serve, and why.
    pub apart: BTreeSet<(String, String, String)>,
    /// What was said and is not said again.
    pub told: BTreeSet<String>,
    /// Since when no worker is there that may run what is left.
    pub waited_since: Option<Instant>,
}

fn work(request: &Request) -> Work {
    let needs = request.classes.iter().map(|class| Room::of(&class.given));
    // Tests whose workers are the same share them, whatever their profiles are called.
    let same = containers(&request.classes);
    Work {
        class_of: request.class_of.iter().map(|class| same[*class]).collect(),
        shapes: shapes(&request.classes),
        expected: request.expected.clone(),
        needs: needs.collect(),
        room: request.room,
    }
}

/// The system's answer where it has no thread left for this user.
pub fn no_thread(error: &std::io::Error) -> EngineError {
    EngineError::Unavailable {
        message: format!("no thread can be started: {error}"),
        hint: "raise this user's limit of processes (`ulimit -u`), or use fewer --workers".into(),
    }
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
            if self.dispatcher.is_done() && self.ending == 0 {
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
        if let Some(refused) = self.refused.take()
            && self.interrupted.is_none()
        {
            self.finish(started, sink, 3)?;
            return Err(refused);
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
            engine_version: self.request.engine_version.take(),
            image_digests: self.request.image_digests.take(),
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
            let actions = self.dispatcher.next_actions();
            if actions.is_empty() {
                break;
            }
            self.perform(actions);
            if self.events.len() >= BATCH {
                self.emit_all(sink)?;
            }
        }
        for worker in self.workers.values_mut() {
            worker.stdin.post();
        }
        Ok(())
    }

    fn emit_all(&mut self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        if !self.events.is_empty() {
            sink.take(&self.events)?;
            self.events.clear();
        }
        Ok(())
    }

    pub fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(number, class) => self.start(number, class),
                Action::Resize(from, number, class) => self.resize(from, number, class),
                Action::Assign(number, class) => self.assign(number, class),
                Action::Send(number, test, seq) => self.send(number, test, seq),
                Action::GiveBack(number) => self.tell(number, &ToWorker::GiveBack),
                Action::Finish(number) => {
                    self.tell(number, &ToWorker::Finish);
                    self.expect_goodbye(number);
                }
                Action::Interrupt(number) => {
                    self.tell(number, &ToWorker::Interrupt);
                    let patience = self.request.grace + Duration::from_secs(5);
                    self.kill_later(number, patience);
                }
                Action::Kill(number) => {
                    self.tell(number, &ToWorker::Kill);
                    // End of file ends a worker that does not know the word any more.
                    if let Some(worker) = self.workers.get_mut(&number) {
                        worker.stdin.close();
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
        let mut spec = self.request.classes[class].spec.clone();
        spec.name = format!("docker-test-{}-{number}", self.request.head.run);
        self.expect(number, class);
        if let Err(error) = connect(self.scope, self.engine, spec, number, self.inbox.clone()) {
            let error = no_thread(&error);
            self.on_gone(number, Ending::NeverStarted(error), "");
        }
    }

    /// A worker of this class is to say hello.
    pub fn expect(&mut self, number: WorkerNumber, class: ClassIndex) -> &mut Connection {
        let now = Instant::now();
        self.workers.entry(number).or_insert(Connection {
            class,
            since: now,
            start_us: 0,
            stdin: Mailbox::default(),
            container: None,
            guest: None,
            peak: None,
            hello: false,
            resizing: None,
            goodbye: false,
            limit_failures: 0,
            found: Attestation::default(),
            given_up: None,
            problem: None,
            outputs: Outputs::default(),
            sequence: 0,
            front_since: now,
            kill_at: None,
        })
    }

    pub fn tell(&mut self, number: WorkerNumber, message: &ToWorker) {
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.stdin.tell(message);
        }
    }

    pub fn kill_later(&mut self, number: WorkerNumber, patience: Duration) {
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
            resets_peak: self.has_peak(number),
            without_reset: self.request.without_reset,
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Dialled(stream) => self.on_dialled(stream),
            Message::Signal(signal) if self.is_of_compose(signal) => {}
            Message::Signal(signal) => {
                let again = self.interrupted.is_some();
                self.interrupted.get_or_insert(signal);
                self.interrupt(again);
            }
            Message::Started(number, container, stdin) => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.container = Some(container);
                    // A run that was interrupted meanwhile lets go of it at once.
                    if worker.kill_at.is_none() {
                        worker.stdin.open(stdin);
                    }
                }
            }
            Message::Resized(number, Ok(())) => self.on_resized(number),
            Message::Resized(number, Err(_)) => self.not_resized(number),
            Message::Said(number, said) => self.hear(self.number_now(number), said),
            Message::Silent(number, problem) => {
                self.on_silent(self.number_now(number), problem);
            }
            Message::Gone(number, ending, words) => {
                self.on_gone(self.number_now(number), ending, &words);
            }
        }
    }

    fn interrupt(&mut self, hard: bool) {
        let actions = self.dispatcher.on_interrupt(hard);
        self.perform(actions);
    }
}
