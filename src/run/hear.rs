//! What workers say, and what follows for the attempts at tests.

use std::time::{Duration, Instant};

use super::attempt::Ran;
use super::dispatch::{ClassIndex, TestIndex, WorkerNumber};
use super::judge::{InForce, judge};
use super::limits::check_limits;
use super::machine::Machine;
use super::request::RunError;
use super::rules::{Fitness, Rules};
use crate::event::{Attempt, Event, LimitCheck, Notice, Severity, WorkerStarted};
use crate::model::{Outcome, OutcomeKind, StopReason, escape};
use crate::protocol::{Attestation, FromWorker, Hello, PROTOCOL, Report, ToWorker};

impl Machine<'_, '_> {
    pub fn hear(&mut self, number: WorkerNumber, said: FromWorker) {
        match said {
            FromWorker::Hello(hello) => self.on_hello(number, *hello),
            FromWorker::Held { seq } => {
                self.waiting.push((number, seq));
                if self.waiting.len() >= self.request.hold {
                    for (number, seq) in std::mem::take(&mut self.waiting) {
                        self.tell(number, &ToWorker::Release { seq });
                    }
                }
            }
            FromWorker::Returned { seqs } => {
                self.dispatcher.on_returned(number, &seqs);
                self.expect_goodbye(number);
            }
            FromWorker::Output(output) => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.outputs.take(output);
                }
            }
            FromWorker::TakePeak { seq } => self.take_peak(number, seq),
            FromWorker::Attested(found) => self.on_attested(number, *found),
            FromWorker::Report(report) => self.on_report(number, *report),
            FromWorker::Goodbye(_) => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.goodbye = true;
                }
            }
        }
    }

    pub fn on_hello(&mut self, number: WorkerNumber, hello: Hello) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        if hello.protocol != PROTOCOL {
            let problem = format!(
                "it speaks protocol {} and this program {PROTOCOL}: the image is of another version",
                hello.protocol
            );
            self.give_up(number, problem);
            return;
        }
        if worker.hello {
            return self.give_up(number, "it said hello twice".into());
        }
        worker.hello = true;
        worker.peak = worker.container.as_mut().and_then(|own| own.peak());
        worker.start_us = worker.since.elapsed().as_micros() as u64;
        let took = Duration::from_micros(worker.start_us);
        if worker.guest.is_some() {
            return self.welcome(number, hello);
        }
        let class = worker.class;
        let limits = self.measure(number, class, &hello.attestation);
        self.tell_of_start(number, hello.attestation, limits);
        self.dispatcher.on_ready(number, took);
    }

    /// Holds what a worker read back against the limits of a class, whose tests it runs from now on.
    pub fn measure(
        &mut self,
        number: WorkerNumber,
        class_index: ClassIndex,
        found: &Attestation,
    ) -> Vec<LimitCheck> {
        let class = &self.request.classes[class_index];
        let limits = if self.engine.capabilities().isolates {
            check_limits(&class.asked, &class.given, &class.spec.hardening, found)
        } else {
            Vec::new()
        };
        let Some(worker) = self.workers.get_mut(&number) else {
            return limits;
        };
        worker.class = class_index;
        worker.found = found.clone();
        worker.limit_failures = 0;
        let fitness =
            Rules::of(&self.request.head).fitness(&limits, self.held.contains(&class_index));
        match fitness {
            Fitness::Fit => {
                self.held.insert(class_index);
            }
            Fitness::Weaker(missing) => {
                worker.limit_failures = missing.len();
                self.events.push(Event::Notice(Notice {
                    severity: Severity::Warning,
                    message: format!(
                        "worker {number} lacks limits that others had: {}; its tests fail",
                        missing.join(", ")
                    ),
                }));
            }
            Fitness::Unfit(limits) => {
                self.dispatcher.on_refused();
                self.refused.get_or_insert(RunError::Weaker {
                    level: self.request.head.level.as_str(),
                    limits,
                    profile: escape(class.profile.as_bytes()),
                });
            }
        }
        limits
    }

    pub fn tell_of_start(
        &mut self,
        number: WorkerNumber,
        attestation: Attestation,
        limits: Vec<LimitCheck>,
    ) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        let class = &self.request.classes[worker.class];
        self.events.push(Event::WorkerStarted(WorkerStarted {
            worker: number,
            profile: class.profile.clone(),
            image: class.image.clone(),
            start_us: worker.start_us,
            attestation,
            limits,
        }));
    }

    pub fn on_report(&mut self, number: WorkerNumber, report: Report) {
        if report.stopped == Some(StopReason::Interrupt) && self.interrupted.is_none() {
            // `docker stop`, say: no word of ours.
            let action = self.dispatcher.on_stopped(number, report.seq);
            self.perform(action.into_iter().collect());
            return self.expect_goodbye(number);
        }
        let took =
            Duration::from_micros(report.resources.wall_us) + Duration::from_nanos(report.reset_ns);
        let Some(index) = self.dispatcher.on_report(number, report.seq, took) else {
            return;
        };
        self.expect_goodbye(number);
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
        // Of the test's profile, which may share its workers with others.
        let class = &self.request.classes[self.request.class_of[index]];
        let ran = Ran {
            test: &self.request.head.tests[index],
            attempt: *attempt,
            class,
            worker: Some(number),
            sequence: Some(worker.sequence),
        };
        let judgement = judge(
            &report,
            &InForce::of(&class.given, &worker.found),
            worker.limit_failures,
            &self.request.responses,
        );
        let mut attempt = ran.reported(report, judgement, &mut worker.outputs);
        attempt.superseded = !attempt.outcome.kind().is_good() && self.again(index);
        let is_flaky =
            attempt.outcome.kind() == OutcomeKind::Pass && self.again.contains_key(&index);
        if is_flaky && self.request.fail_flaky {
            self.bad = true;
            self.dispatcher.on_bad_result();
        }
        self.emit(attempt);
    }

    /// Runs a test again that was not good, if it may be. Whether it is.
    fn again(&mut self, index: TestIndex) -> bool {
        let most = self.request.retries.get(index).copied().unwrap_or(0);
        let before = self.again.get(&index).copied().unwrap_or(0);
        let again = before < most && self.dispatcher.again(index);
        if again {
            self.again.insert(index, before + 1);
        }
        again
    }

    pub fn emit(&mut self, attempt: Attempt) {
        if !attempt.superseded && !attempt.outcome.kind().is_good() {
            self.bad = true;
            self.dispatcher.on_bad_result();
        }
        self.events.push(Event::AttemptFinished(Box::new(attempt)));
    }

    /// A test without a report has its last word, or another attempt follows.
    pub fn conclude(
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
}
