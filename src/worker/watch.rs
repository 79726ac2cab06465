//! A running test: its output, its limits, and how it is ended.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::capture::Capture;
use super::link::{Halt, Link};
use super::meter::{Meter, thread_cpu};
use super::process::{Ended, Reach, reap};
use super::sampler::{Sampler, View};
use super::spawn::Child;
use crate::model::{Clock, StopReason};
use crate::protocol::{FromWorker, Job, Stream};

/// How long a killed process may take to be gone before the worker gives itself up.
const STUCK: Duration = Duration::from_secs(10);
/// The shortest time between two looks at the CPU time.
const CPU_LOOK: Duration = Duration::from_millis(5);
/// And each is at least so many times its own cost from the next: 1 % of a processor.
const CPU_LOOK_DEARNESS: u32 = 100;
/// One at many processes is given up after so long.
const CPU_LOOK_PATIENCE: Duration = Duration::from_millis(100);
/// And tried again after this.
const CPU_LOOK_RETRY: Duration = Duration::from_secs(1);
/// How long a piece of output may wait before it is passed on.
const NEWS: Duration = Duration::from_millis(250);

/// A running test.
pub struct Watch<'a> {
    /// What it is.
    pub job: &'a Job,
    /// What it uses.
    pub meter: Meter,
    /// What it is seen to use.
    pub sampler: Sampler,
    /// The read ends of its stdout and stderr, until they end.
    pub output: [Option<File>; 2],
    /// What came from them.
    pub captures: [Capture; 2],
    /// How its own process ended, and when.
    pub ended: Option<(Ended, Instant)>,
    /// Why we ended it.
    pub stopped: Option<StopReason>,
    /// TERM was not enough.
    pub escalated: bool,
    child: Pid,
    hold: Option<OwnedFd>,
    /// When KILL follows TERM.
    kill_at: Option<Instant>,
    killed_at: Option<Instant>,
    /// How many there are for the test.
    processors: u32,
    look_at_cpu: Instant,
    news_since: Option<Instant>,
}

impl<'a> Watch<'a> {
    /// Of a process that was just started. `meter` was before it.
    pub fn new(job: &'a Job, child: Child, meter: Meter, view: &View) -> Self {
        // Where no cgroup counts, none limits the processors either.
        let processors = match view.counters.count_cpu() {
            true => job.limits.cpus.max(1),
            false => std::thread::available_parallelism().map_or(1, |all| all.get() as u32),
        };
        let look_at_cpu = meter.started + Duration::from_millis(job.limits.cpu_ms) / processors;
        let [out, err] = child.output;
        Watch {
            job,
            meter,
            sampler: Sampler::new(&view.counters),
            output: [Some(out.into()), Some(err.into())],
            captures: [Stream::Stdout, Stream::Stderr]
                .map(|stream| Capture::new(stream, job.limits.keep_bytes as usize)),
            ended: None,
            stopped: None,
            escalated: false,
            child: child.pid,
            hold: child.hold,
            kill_at: None,
            killed_at: None,
            processors,
            look_at_cpu,
            news_since: None,
        }
    }

    /// Whether it waits to be let go.
    pub fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// Lets it go: its clocks start now.
    pub fn release(&mut self, view: &View) {
        self.hold = None;
        self.meter = Meter::start(&view.counters, None);
        self.sampler = Sampler::new(&view.counters);
    }
}

impl Watch<'_> {
    /// The next moment at which something is to be done although nothing happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let wall = (self.stopped.is_none() && self.hold.is_none()).then(|| self.wall_deadline());
        let sample = (self.hold.is_none()).then(|| self.meter.started + self.sampler.due());
        let news = self.news_since.map(|since| since + NEWS);
        let stuck = self.killed_at.map(|at| at + STUCK);
        let cpu = (self.stopped.is_none() && self.hold.is_none()).then_some(self.look_at_cpu);
        [wall, cpu, sample, self.kill_at, stuck, news]
            .into_iter()
            .flatten()
            .min()
    }

    fn wall_deadline(&self) -> Instant {
        self.meter.started + Duration::from_millis(self.job.limits.wall_ms)
    }

    /// Takes in what the test wrote, at most so many pieces of each stream; kills it at its output
    /// limit.
    pub fn read(&mut self, reach: Reach, pieces: usize, buffer: &mut [u8]) {
        for (slot, capture) in self.output.iter_mut().zip(&mut self.captures) {
            for _ in 0..pieces {
                let Some(file) = slot else { break };
                match file.read(buffer) {
                    Ok(0) => *slot = None,
                    Ok(size) => {
                        capture.take(&buffer[..size]);
                        self.news_since.get_or_insert_with(Instant::now);
                        // A short read has emptied the pipe.
                        if size < buffer.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
        let total: u64 = self.captures.iter().map(Capture::total).sum();
        if total > self.job.limits.output_bytes && self.ended.is_none() && self.killed_at.is_none()
        {
            self.stopped.get_or_insert(StopReason::OutputLimit);
            self.kill(reach);
        }
    }

    /// Reaps what has ended; the orphans of earlier forks among it are only cleared away.
    pub fn reap(&mut self) {
        while let Some(ended) = reap() {
            if ended.pid == self.child {
                self.ended = Some((ended, Instant::now()));
            }
        }
    }

    /// Does what the launcher wants.
    pub fn obey(&mut self, halt: Option<Halt>, reach: Reach) {
        match halt {
            None => {}
            Some(Halt::Interrupt) if self.stopped.is_none() => {
                self.stop(StopReason::Interrupt, reach);
            }
            Some(Halt::Interrupt) => {}
            Some(Halt::Kill | Halt::Gone) if self.killed_at.is_none() => {
                self.stopped.get_or_insert(StopReason::Interrupt);
                self.kill(reach);
            }
            Some(Halt::Kill | Halt::Gone) => {}
        }
    }

    /// Ends the test at its limits, and kills it where TERM was not enough.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn keep_time(&mut self, view: &View) -> Result<(), String> {
        let reach = view.reach;
        let now = Instant::now();
        if self.stopped.is_none() && self.hold.is_none() {
            if now >= self.wall_deadline() {
                self.stop(StopReason::Timeout(Clock::Wall), reach);
            } else if now >= self.look_at_cpu {
                self.keep_cpu_time(now, view);
            }
        }
        if self.kill_at.is_some_and(|at| now >= at) && self.killed_at.is_none() {
            self.escalated = true;
            self.kill(reach);
        }
        if self.killed_at.is_some_and(|at| now >= at + STUCK) {
            return Err("a killed process does not end".into());
        }
        Ok(())
    }

    /// Looks at what it uses, where that is due.
    pub fn sample(&mut self, view: &View) {
        if self.hold.is_none() {
            self.sampler.look(view, &self.meter);
        }
    }

    /// Looks at the CPU time, and says when to look again: it cannot pass faster than all
    /// processors together let it.
    fn keep_cpu_time(&mut self, now: Instant, view: &View) {
        let limit = Duration::from_millis(self.job.limits.cpu_ms);
        let before = thread_cpu();
        let look = || {
            let counted = self.meter.cpu_us(&view.counters);
            let used = counted.or_else(|| {
                let running = view.reach.cpu_us(Instant::now() + CPU_LOOK_PATIENCE)?;
                Some(self.meter.reaped_us() + running)
            });
            used.map(Duration::from_micros)
        };
        let mut used = look();
        if used >= Some(limit) {
            // A process that ended between two of the kernel's answers was counted twice.
            used = used.min(look());
        }
        let cost = thread_cpu().saturating_sub(before);
        match used {
            Some(used) if used >= limit => self.stop(StopReason::Timeout(Clock::Cpu), view.reach),
            Some(used) => {
                let left = (limit - used) / self.processors;
                self.look_at_cpu = now + until_next_cpu_look(left, cost);
            }
            None => self.look_at_cpu = now + CPU_LOOK_RETRY,
        }
    }

    /// TERM to everything now, KILL after the grace. The reason is on record before the signal.
    fn stop(&mut self, reason: StopReason, reach: Reach) {
        self.stopped = Some(reason);
        self.kill_at = Some(Instant::now() + Duration::from_millis(self.job.limits.grace_ms));
        reach.signal_all(Signal::SIGTERM);
    }

    fn kill(&mut self, reach: Reach) {
        self.killed_at = Some(Instant::now());
        reach.signal_all(Signal::SIGKILL);
    }

    /// Passes on what is new of the output, where it has waited long enough.
    pub fn pass_on_if_due(&mut self, link: &mut Link) {
        if self.news_since.is_some_and(|since| since.elapsed() >= NEWS) {
            self.pass_on(link);
        }
    }

    /// Passes on what is new of the output.
    pub fn pass_on(&mut self, link: &mut Link) {
        self.news_since = None;
        for capture in &mut self.captures {
            if capture.has_news()
                && let Some(news) = capture.news(self.job.seq)
            {
                link.send(&FromWorker::Output(news));
            }
        }
    }
}

/// After a look at the CPU time that cost so much, with so much wall time left at the least.
fn until_next_cpu_look(left: Duration, cost: Duration) -> Duration {
    left.max(CPU_LOOK).max(cost * CPU_LOOK_DEARNESS)
}

#[cfg(test)]
mod tests {
    use super::super::sampler::Trees;
    use super::*;
    use crate::protocol::JobLimits;
    use std::path::Path;

    fn job() -> Job {
        Job {
            seq: 1,
            id: crate::model::TestId::new("a"),
            argv: Vec::new(),
            directory: "/".into(),
            environment: Vec::new(),
            limits: JobLimits {
                wall_ms: 1000,
                cpu_ms: 1000,
                cpus: 1,
                grace_ms: 0,
                output_bytes: 0,
                keep_bytes: 0,
                open_files: 100,
                nice: 0,
            },
            hold: true,
            resets_peak: false,
            without_reset: false,
        }
    }

    /// A test that waits just below its limit, with hundreds of processes, must not be looked at all
    /// the time.
    #[test]
    fn a_dear_look_at_the_cpu_time_is_seldom() {
        let ms = Duration::from_millis;
        assert_eq!(until_next_cpu_look(ms(0), ms(0)), ms(5));
        assert_eq!(until_next_cpu_look(ms(700), ms(3)), ms(700));
        assert_eq!(until_next_cpu_look(ms(1), ms(3)), ms(300));
    }

    /// However long it was held: its clocks and its samples start when it is let go.
    #[test]
    fn a_held_test_is_not_looked_at() {
        let view = View {
            counters: super::super::cgroup::Counters::default(),
            trees: Trees::new(Path::new("/proc")),
            reach: Reach::Descendants,
        };
        let file = || OwnedFd::from(File::open("/dev/null").unwrap());
        let child = Child {
            pid: Pid::from_raw(0),
            output: [file(), file()],
            hold: Some(file()),
        };
        let job = job();
        let meter = Meter::start(&view.counters, None);
        let mut watch = Watch::new(&job, child, meter, &view);
        assert_eq!((watch.is_held(), watch.next_deadline()), (true, None));
        std::thread::sleep(Duration::from_millis(30));
        watch.sample(&view);
        let before = Instant::now();
        watch.release(&view);
        assert!(watch.meter.started >= before);
        let due = watch.next_deadline().unwrap();
        assert!(due >= before + Duration::from_millis(20));
        watch.sample(&view);
        let series = watch.sampler.finish(Duration::ZERO, None, None);
        assert_eq!(series.len(), 1);
    }
}
