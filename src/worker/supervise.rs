//! Runs one test at a time: start, watch, end, reset, report.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

use super::Place;
use super::capture::Capture;
use super::cgroup::{Counters, is_own};
use super::link::{Halt, Link, Next};
use super::meter::Meter;
use super::peak::Hold;
use super::process::{Ended, Reach, reap};
use super::reset::{Cleaned, Reset};
use super::signals::Signals;
use super::spawn::{Child, Setting, spawn};
use crate::model::{ByteText, Clock, StopReason};
use crate::protocol::{FromWorker, Job, Report, Stream};

/// How long processes that outlive the test's own may take to end by themselves: the last of a
/// pipeline, say. Later it is a leak.
const LINGER: Duration = Duration::from_millis(100);
/// How long a killed process may take to be gone before the worker gives itself up.
const STUCK: Duration = Duration::from_secs(10);
/// The shortest time between two looks at the CPU time.
const CPU_LOOK: Duration = Duration::from_millis(5);
/// How many pieces are read in a row: a test that never stops writing must not keep us from the
/// clock.
const READS: usize = 16;
/// How long a piece of output may wait before it is passed on.
const NEWS: Duration = Duration::from_millis(250);

/// The supervisor, with everything that stays the same between two tests.
pub struct Supervisor {
    pub(super) reach: Reach,
    pub(super) signals: Signals,
    counters: Counters,
    pub(super) peak: Hold,
    reset: Reset,
    null: File,
    environment: Vec<(&'static str, ByteText)>,
}

/// A running test.
struct Watch<'a> {
    job: &'a Job,
    meter: Meter,
    child: Pid,
    output: [Option<File>; 2],
    captures: [Capture; 2],
    hold: Option<std::os::fd::OwnedFd>,
    ended: Option<(Ended, Instant)>,
    stopped: Option<StopReason>,
    escalated: bool,
    /// When KILL follows TERM.
    kill_at: Option<Instant>,
    killed_at: Option<Instant>,
    /// How many there are for the test.
    processors: u32,
    look_at_cpu: Instant,
    news_since: Option<Instant>,
}

impl Supervisor {
    /// Prepares the place.
    ///
    /// # Errors
    /// The place is not as it was said to be.
    pub fn new(place: &Place) -> Result<Self, String> {
        let failed = |what: &'static str| move |error: nix::Error| format!("{what}: {error}");
        // No test of our own user may trace us or open our pipes through /proc.
        nix::sys::prctl::set_dumpable(false).map_err(failed("cannot become non-dumpable"))?;
        let reach = Reach::establish().map_err(failed("cannot adopt orphans"))?;
        let signals = Signals::new().map_err(failed("cannot set up signals"))?;
        let reset = Reset::new(place, reach)?;
        let null =
            File::open("/dev/null").map_err(|error| format!("cannot open /dev/null: {error}"))?;
        let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        let environment = vec![
            ("DOCKER_TEST", ByteText::from(program.into_os_string())),
            ("HOME", ByteText::from(reset.home().as_os_str())),
            ("TMPDIR", ByteText::from(reset.temporary().as_os_str())),
        ];
        let cgroup = Path::new("/sys/fs/cgroup");
        let counters = if place.sealed && is_own(cgroup) {
            Counters::open(cgroup)
        } else {
            Counters::none()
        };
        let peak = Hold::new(counters.read().memory_peak_bytes);
        Ok(Supervisor {
            reach,
            signals,
            peak,
            counters,
            reset,
            null,
            environment,
        })
    }

    /// Waits until there is something to do.
    ///
    /// # Errors
    /// A message is not understood, or `poll` fails.
    pub fn next(&mut self, link: &mut Link) -> Result<Next, String> {
        loop {
            if let Some(next) = link.next() {
                return Ok(next);
            }
            // Whoever has nothing to do reports at once.
            link.flush()?;
            self.wait(link, &[None, None], None)?;
            if self.signals.hear(self.reach == Reach::Namespace).stop {
                link.stop(Halt::Interrupt);
            }
            while reap().is_some() {}
        }
    }

    /// Kills whatever still runs: the launcher is gone.
    pub fn abandon(&mut self) {
        self.reach.kill_all();
        self.reset.remove_private();
    }

    /// Runs `job`, resets the worker, and says how both went.
    ///
    /// # Errors
    /// The worker cannot go on: the job cannot be started, or a message is not understood.
    pub fn execute(&mut self, job: &Job, link: &mut Link) -> Result<Report, String> {
        self.reset.make_home(job.without_reset)?;
        self.peak.begin(|seq| link.taken(seq).is_some());
        let meter = Meter::start(&self.counters);
        let Child { pid, output, hold } = spawn(
            job,
            &Setting {
                environment: &self.environment,
                null: self.null.as_fd(),
                die_with_parent: self.reach == Reach::Descendants,
            },
        )?;
        // Where no cgroup counts, none limits the processors either.
        let processors = match self.counters.count_cpu() {
            true => job.limits.cpus.max(1),
            false => std::thread::available_parallelism().map_or(1, |all| all.get() as u32),
        };
        let look_at_cpu = meter.started + Duration::from_millis(job.limits.cpu_ms) / processors;
        let [out, err] = output;
        let mut watch = Watch {
            job,
            meter,
            child: pid,
            output: [Some(out.into()), Some(err.into())],
            captures: [Stream::Stdout, Stream::Stderr]
                .map(|stream| Capture::new(stream, job.limits.keep_bytes as usize)),
            hold,
            ended: None,
            stopped: None,
            escalated: false,
            kill_at: None,
            killed_at: None,
            processors,
            look_at_cpu,
            news_since: None,
        };
        if watch.hold.is_some() {
            link.send(&FromWorker::Held { seq: job.seq });
            link.flush()?;
        }
        self.watch(&mut watch, link)?;
        self.finish(watch, link)
    }

    /// Until the test's own process has ended.
    fn watch(&mut self, watch: &mut Watch<'_>, link: &mut Link) -> Result<(), String> {
        while watch.ended.is_none() {
            self.wait(link, &watch.output, watch.next_deadline())?;
            if watch.hold.is_some() && link.is_released(watch.job.seq) {
                watch.hold = None;
                watch.meter = Meter::start(&self.counters);
            }
            watch.read(self.reach, READS);
            let heard = self.signals.hear(self.reach == Reach::Namespace);
            if heard.stop {
                link.stop(Halt::Interrupt);
            }
            if heard.child {
                watch.reap();
            }
            if watch.ended.is_none() {
                watch.obey(link.halt(), self.reach);
                watch.keep_time(self.reach, &self.counters)?;
            }
            if watch
                .news_since
                .is_some_and(|since| since.elapsed() >= NEWS)
            {
                watch.pass_on(link);
            }
            link.flush_if_due()?;
        }
        Ok(())
    }

    /// Cleans up behind the test and writes its report.
    fn finish(&mut self, mut watch: Watch<'_>, link: &mut Link) -> Result<Report, String> {
        let Some((ended, ended_at)) = watch.ended.take() else {
            return Err("a test without an end".into());
        };
        let wall = ended_at - watch.meter.started;
        let outlived = if watch.stopped.is_some() {
            Vec::new()
        } else {
            self.linger(&mut watch, link)?
        };
        let reset_from = Instant::now();
        let cleaned = if watch.job.without_reset {
            Cleaned::default()
        } else {
            self.reset.run(outlived)
        };
        let reset_ns = reset_from.elapsed().as_nanos() as u64;
        // Whoever could write is gone now, so this ends.
        watch.read(self.reach, usize::MAX);
        watch.pass_on(link);
        let seq = watch.job.seq;
        let mut resources = watch.meter.finish(&self.counters, wall);
        self.settle_peak(watch.job, &mut resources, link)?;
        let [stdout_bytes, stderr_bytes] = watch.captures.each_ref().map(Capture::total);
        for output in watch
            .captures
            .into_iter()
            .filter_map(|capture| capture.rest(seq))
        {
            link.send(&FromWorker::Output(output));
        }
        Ok(Report {
            seq,
            termination: ended.termination,
            stopped: watch.stopped,
            escalated: watch.escalated,
            started_unix_us: watch.meter.started_unix_us,
            resources,
            series: Vec::new(),
            stdout_bytes,
            stderr_bytes,
            leaks: cleaned.leaks,
            reset_ns,
            unclean: cleaned.unclean,
        })
    }

    /// Lets processes that outlive the test's own end by themselves, and names those that do not.
    fn linger(&mut self, watch: &mut Watch<'_>, link: &mut Link) -> Result<Vec<ByteText>, String> {
        let deadline = Instant::now() + LINGER;
        loop {
            while reap().is_some() {}
            if !self.reach.any_left() {
                return Ok(Vec::new());
            }
            if Instant::now() >= deadline || watch.job.without_reset {
                return Ok(self.reach.names());
            }
            let fds = [watch.output[0].as_ref(), watch.output[1].as_ref()];
            let mut polled = vec![PollFd::new(self.signals.fd(), PollFlags::POLLIN)];
            polled.extend(
                fds.into_iter()
                    .flatten()
                    .map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)),
            );
            sleep_until(&mut polled, Some(deadline))?;
            watch.read(self.reach, READS);
            if self.signals.hear(self.reach == Reach::Namespace).stop {
                link.stop(Halt::Interrupt);
            }
        }
    }

    /// Waits for messages, room, signals, output or the deadline, and takes in messages.
    pub(super) fn wait(
        &self,
        link: &mut Link,
        output: &[Option<File>; 2],
        deadline: Option<Instant>,
    ) -> Result<(), String> {
        let now = Instant::now();
        let deadline = deadline
            .into_iter()
            .chain(link.due().filter(|due| *due > now))
            .min();
        let mut polled = Vec::with_capacity(5);
        polled.push(PollFd::new(self.signals.fd(), PollFlags::POLLIN));
        for file in output.iter().flatten() {
            polled.push(PollFd::new(file.as_fd(), PollFlags::POLLIN));
        }
        polled.extend(
            link.output(now)
                .map(|fd| PollFd::new(fd, PollFlags::POLLOUT)),
        );
        let has_input = link
            .input()
            .map(|fd| polled.push(PollFd::new(fd, PollFlags::POLLIN)))
            .is_some();
        sleep_until(&mut polled, deadline)?;
        let input_ready = has_input
            && polled
                .last()
                .and_then(PollFd::revents)
                .is_some_and(|events| !events.is_empty());
        drop(polled);
        if input_ready {
            link.receive()?;
        }
        Ok(())
    }
}

/// `poll` with a deadline.
fn sleep_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<(), String> {
    let timeout = deadline.map(|deadline| {
        TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
    });
    match ppoll(fds, timeout, None) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(format!("poll: {error}")),
    }
}

impl Watch<'_> {
    /// The next moment at which something is to be done although nothing happens.
    fn next_deadline(&self) -> Option<Instant> {
        let wall = (self.stopped.is_none() && self.hold.is_none()).then(|| self.wall_deadline());
        let news = self.news_since.map(|since| since + NEWS);
        let stuck = self.killed_at.map(|at| at + STUCK);
        let cpu = (self.stopped.is_none() && self.hold.is_none()).then_some(self.look_at_cpu);
        [wall, cpu, self.kill_at, stuck, news]
            .into_iter()
            .flatten()
            .min()
    }

    fn wall_deadline(&self) -> Instant {
        self.meter.started + Duration::from_millis(self.job.limits.wall_ms)
    }

    /// Takes in what the test wrote, at most so many pieces of each stream; kills it at its output
    /// limit.
    fn read(&mut self, reach: Reach, pieces: usize) {
        let mut buffer = [0; 64 << 10];
        for (slot, capture) in self.output.iter_mut().zip(&mut self.captures) {
            for _ in 0..pieces {
                let Some(file) = slot else { break };
                match file.read(&mut buffer) {
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
    fn reap(&mut self) {
        while let Some(ended) = reap() {
            if ended.pid == self.child {
                self.ended = Some((ended, Instant::now()));
            }
        }
    }

    /// Does what the launcher wants.
    fn obey(&mut self, halt: Option<Halt>, reach: Reach) {
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
    fn keep_time(&mut self, reach: Reach, counters: &Counters) -> Result<(), String> {
        let now = Instant::now();
        if self.stopped.is_none() && self.hold.is_none() {
            if now >= self.wall_deadline() {
                self.stop(StopReason::Timeout(Clock::Wall), reach);
            } else if now >= self.look_at_cpu {
                self.keep_cpu_time(now, reach, counters);
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

    /// Looks at the CPU time, and says when to look again: it cannot pass faster than all
    /// processors together let it.
    fn keep_cpu_time(&mut self, now: Instant, reach: Reach, counters: &Counters) {
        let limit = Duration::from_millis(self.job.limits.cpu_ms);
        let look = || {
            let used = self.meter.cpu_us(counters);
            Duration::from_micros(used.unwrap_or_else(|| self.meter.reaped_us() + reach.cpu_us()))
        };
        let mut used = look();
        if used >= limit {
            // A process that ended between two of the kernel's answers was counted twice.
            used = used.min(look());
        }
        if used >= limit {
            self.stop(StopReason::Timeout(Clock::Cpu), reach);
        } else {
            let left = (limit - used) / self.processors;
            self.look_at_cpu = now + left.max(CPU_LOOK);
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

    /// Passes on what is new of the output.
    fn pass_on(&mut self, link: &mut Link) {
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
