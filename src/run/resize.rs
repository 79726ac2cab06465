//! Gives workers the limits of other classes while they are there, and knows which classes need no
//! other container at all.

use std::thread::Builder;
use std::time::{Duration, Instant};

use super::dispatch::{ClassIndex, WorkerNumber};
use super::limits::{check_limits, sizes_hold};
use super::machine::Machine;
use super::request::{Class, Message};
use crate::event::{Event, WorkerEnded};
use crate::protocol::{Attestation, ToWorker};

/// A worker's limits are being changed.
#[derive(Clone, Copy, Debug)]
pub struct Resizing {
    /// Its number before.
    from: WorkerNumber,
    /// The class whose limits it gets.
    class: ClassIndex,
    pub since: Instant,
}

impl Resizing {
    /// The number under which it is known as long as it has not its new limits.
    pub fn known_as(self) -> WorkerNumber {
        self.from
    }
}

/// For each class the first whose workers are the same: one image, one container, and differences
/// that the supervisor alone makes, such as times.
pub fn containers(classes: &[Class]) -> Vec<ClassIndex> {
    first_like(classes, |one, other| {
        one.spec == other.spec
            && one.image == other.image
            && one.asked.cpus.total_cmp(&other.asked.cpus).is_eq()
            && one.asked.memory_bytes == other.asked.memory_bytes
    })
}

/// For each class the first whose workers can be resized to its own.
pub fn shapes(classes: &[Class]) -> Vec<ClassIndex> {
    first_like(classes, |one, other| {
        one.image == other.image && one.spec.differs_in_size_alone(&other.spec)
    })
}

fn first_like(classes: &[Class], like: impl Fn(&Class, &Class) -> bool) -> Vec<ClassIndex> {
    let first = |class| classes.iter().position(|other| like(other, class));
    let all = classes.iter().enumerate();
    all.map(|(own, class)| first(class).unwrap_or(own))
        .collect()
}

impl Machine<'_, '_> {
    /// The number that a worker has now which had this one.
    pub fn number_now(&self, mut number: WorkerNumber) -> WorkerNumber {
        while let Some(next) = self.renamed.get(&number) {
            number = *next;
        }
        number
    }

    fn rename(&mut self, from: WorkerNumber, to: WorkerNumber) {
        if let Some(worker) = self.workers.remove(&from) {
            self.workers.insert(to, worker);
        }
        self.renamed.insert(from, to);
        self.renamed.remove(&to);
    }

    /// Begins to change a worker's limits. The engine is asked in a thread of its own.
    pub fn resize(&mut self, from: WorkerNumber, number: WorkerNumber, class: ClassIndex) {
        self.rename(from, number);
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        worker.resizing = Some(Resizing {
            from,
            class,
            since: Instant::now(),
        });
        let classes = &self.request.classes;
        let (old, new) = (&classes[worker.class].spec, &classes[class].spec);
        let container = worker.container.as_ref();
        let Some(way) = container.and_then(|container| container.resize(old, new)) else {
            return self.not_resized(number);
        };
        let inbox = self.inbox.clone();
        let life = move || {
            let _ = inbox.send(Message::Resized(number, way()));
        };
        if Builder::new().spawn_scoped(self.scope, life).is_err() {
            self.not_resized(number);
        }
    }

    /// The engine has changed a worker's limits: now it says what holds.
    pub fn on_resized(&mut self, number: WorkerNumber) {
        self.tell(number, &ToWorker::Attest);
    }

    /// A worker read back its new limits.
    pub fn on_attested(&mut self, number: WorkerNumber, found: Attestation) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        let Some(resizing) = worker.resizing else {
            return;
        };
        let class = &self.request.classes[resizing.class];
        let limits = check_limits(&class.asked, &class.given, &class.spec.hardening, &found);
        if !sizes_hold(&limits) {
            return self.not_resized(number);
        }
        worker.resizing = None;
        let tests = std::mem::take(&mut worker.sequence);
        let took = resizing.since.elapsed();
        worker.start_us = took.as_micros() as u64;
        self.events.push(Event::WorkerEnded(WorkerEnded {
            worker: resizing.from,
            tests,
            problem: None,
        }));
        let limits = self.measure(number, resizing.class, &found);
        self.tell_of_start(number, found, limits);
        self.dispatcher.on_ready(number, took);
    }

    /// A worker did not get its new limits: it is replaced instead.
    pub fn not_resized(&mut self, number: WorkerNumber) {
        let resizing = self
            .workers
            .get_mut(&number)
            .and_then(|own| own.resizing.take());
        let Some(resizing) = resizing else {
            return;
        };
        self.rename(number, resizing.from);
        let actions = self.dispatcher.on_not_resized(number);
        self.perform(actions);
    }
}

/// Moves a moment on, where there is one.
pub fn later(resizing: &mut Option<Resizing>, gap: Duration) {
    if let Some(resizing) = resizing {
        resizing.since += gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ContainerSpec, Hardening, Owner, SeccompProfile};
    use crate::model::{Limits, built_in_profiles};

    fn class(profile: &str, change: impl FnOnce(&mut Limits)) -> Class {
        let mut given = built_in_profiles()["standard"].limits.clone();
        change(&mut given);
        let spec = ContainerSpec {
            name: String::new(),
            owner: Owner {
                run: String::new(),
                boot: String::new(),
                pid: 1,
                pid_start: 1,
            },
            image: "image:1".into(),
            argv: Vec::new(),
            environment: Vec::new(),
            directory: "/".into(),
            hardening: Hardening::full(SeccompProfile::Isolation),
            cpus: given.cpus,
            memory_bytes: given.memory_bytes,
            pids: given.pids,
            open_files: given.open_files,
            shm_bytes: given.tmpfs_bytes,
            binds: Vec::new(),
            tmpfs: Vec::new(),
            terminal: false,
        };
        Class {
            profile: profile.into(),
            image: "isolation".into(),
            asked: given.clone(),
            given,
            spec,
        }
    }

    #[test]
    fn classes_share_what_their_containers_have_in_common() {
        let mut other_image = class("image", |_| {});
        other_image.spec.image = "image:2".into();
        // This machine cannot give as much, and the record says so of its own workers alone.
        let mut clamped = class("clamped", |_| {});
        clamped.asked.cpus = 64.0;
        let classes = [
            class("standard", |_| {}),
            class("slow", |limits| limits.wall *= 9),
            class("large", |limits| limits.memory_bytes *= 2),
            class("files", |limits| limits.open_files += 1),
            class("crowd", |limits| (limits.pids, limits.cpus) = (9, 0.5)),
            class("space", |limits| limits.tmpfs_bytes += 4096),
            class("nice", |limits| (limits.nice, limits.output_bytes) = (9, 9)),
            other_image,
            clamped,
        ];
        assert_eq!(containers(&classes), [0, 0, 2, 3, 4, 5, 0, 7, 8]);
        assert_eq!(shapes(&classes), [0, 0, 0, 3, 0, 5, 0, 7, 0]);
    }
}
