//! How workers end, in order or not, and the deadlines that they should keep themselves.

use std::time::{Duration, Instant};

use super::connection::await_end;
use super::dispatch::WorkerNumber;
use super::machine::{Machine, no_thread};
use super::resize::{Resizing, later};
use crate::engine::{Ending, EngineError};
use crate::event::{Event, Notice, Progress, Severity, WorkerEnded};
use crate::model::LostCause;

/// How long a container may take from the engine's call to hello.
const HELLO_PATIENCE: Duration = Duration::from_secs(60);
/// How long after a test's own deadline its worker may stay silent.
const SILENCE: Duration = Duration::from_secs(15);
/// A longer time between two looks means that this process stood still: somebody stopped it, with
/// Ctrl-Z say.
const STANDSTILL: Duration = Duration::from_secs(2);

impl Machine<'_, '_> {
    /// A worker's stdout has ended.
    pub fn on_silent(&mut self, number: WorkerNumber, problem: Option<String>) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        worker.stdin.close();
        worker.problem = worker.problem.take().or(problem);
        let Some(container) = worker.container.take() else {
            return;
        };
        let goodbye = worker.goodbye;
        if let Err(error) = await_end(self.scope, container, number, self.inbox.clone()) {
            // Nobody will hear of its end: it counts as ended.
            self.on_gone(number, Ending::EngineGone(no_thread(&error)), "");
            return;
        }
        if goodbye {
            // Its container may take its time to go; its slot is free now.
            self.ending += 1;
            self.retire(number, None, None);
        }
    }

    /// A worker is gone from the run.
    pub fn retire(
        &mut self,
        number: WorkerNumber,
        lost: Option<LostCause>,
        problem: Option<String>,
    ) {
        let started = self.workers.get(&number).is_some_and(|worker| worker.hello);
        let tests = self.workers.get(&number).map_or(0, |own| own.sequence);
        let actions = self.dispatcher.on_gone(number, lost, started);
        self.perform(actions);
        if let Some(worker) = self.workers.remove(&number) {
            if worker.guest.is_some() && lost.is_some() {
                self.guest_lost = Some(Instant::now());
            }
            let problem = worker.given_up.or(worker.problem).or(problem);
            if let (Some(problem), None) = (&problem, self.interrupted) {
                self.tell_of_loss(number, problem, started);
            }
            self.events.push(Event::WorkerEnded(WorkerEnded {
                worker: worker.resizing.map_or(number, Resizing::known_as),
                tests,
                problem,
            }));
        }
    }

    /// Warns of a lost worker: in one line, and of several that did not start for the same reason
    /// once.
    fn tell_of_loss(&mut self, number: WorkerNumber, problem: &str, started: bool) {
        let problem = problem.lines().next().unwrap_or(problem);
        if !started && self.obstacle.as_deref() == Some(problem) {
            return;
        }
        self.events.push(Event::Notice(Notice {
            severity: Severity::Warning,
            message: format!("worker {number} was lost: {problem}"),
        }));
        self.obstacle = (!started).then(|| problem.to_owned());
    }

    pub fn on_gone(&mut self, number: WorkerNumber, ending: Ending, words: &str) {
        let Some(worker) = self.workers.get(&number) else {
            self.ending = self.ending.saturating_sub(1);
            return;
        };
        let (cause, problem) = match ending {
            Ending::Exited(status) => (
                LostCause::Worker,
                match words {
                    "" => format!("its supervisor ended with status {status}"),
                    _ => format!("its supervisor ended with status {status}: {words}"),
                },
            ),
            Ending::Oom => (
                LostCause::Worker,
                "the kernel killed its supervisor for want of memory".into(),
            ),
            Ending::Removed => (
                LostCause::Engine,
                "somebody killed or removed its container".into(),
            ),
            Ending::HungUp => (LostCause::Worker, "its connection ended".into()),
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
        if !worker.hello && worker.given_up.is_none() && self.last_error.is_none() {
            self.last_error = Some(EngineError::Other(format!("worker {number}: {problem}")));
        }
        self.retire(number, Some(cause), Some(problem));
    }

    /// Ends a worker that does not do its part.
    pub fn give_up(&mut self, number: WorkerNumber, problem: String) {
        if let Some(worker) = self.workers.get_mut(&number) {
            if !worker.hello {
                self.last_error = Some(EngineError::Other(format!("worker {number}: {problem}")));
            }
            worker.given_up = Some(problem);
            worker.stdin.close();
            worker.kill_at = Some(Instant::now() + Duration::from_secs(2));
        }
    }

    /// Looks after deadlines that the workers themselves should keep, and may not.
    pub fn keep_time(&mut self) {
        let now = Instant::now();
        let gap = now - std::mem::replace(&mut self.looked, now);
        if gap > STANDSTILL {
            // Nobody is silent whom we did not listen to.
            for worker in self.workers.values_mut() {
                worker.since += gap;
                worker.front_since += gap;
                later(&mut worker.resizing, gap);
                worker.kill_at = worker.kill_at.map(|at| at + gap);
            }
            self.waited_since = self.waited_since.map(|at| at + gap);
        }
        self.keep_time_of_guests(now);
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
                    format!("it did not say hello in {} s", HELLO_PATIENCE.as_secs()),
                ));
            } else if let Some(resizing) = worker.resizing {
                if now >= resizing.since + HELLO_PATIENCE {
                    silent.push((*number, "it does not say its new limits".to_owned()));
                }
            } else if let Some((_, test)) = self.dispatcher.running(*number) {
                let class = &self.request.classes[self.request.class_of[test]];
                let limit = class.given.wall + self.request.grace + SILENCE;
                if now >= worker.front_since + limit {
                    silent.push((*number, "it does not answer".to_owned()));
                }
            }
        }
        for (number, problem) in silent {
            self.give_up(number, problem);
        }
    }

    pub fn progress(&self) -> Progress {
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
