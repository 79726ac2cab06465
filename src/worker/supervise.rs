//! Runs one test at a time: start, watch, end, reset, report.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::Place;
use super::capture::Capture;
use super::cgroup::{Counters, is_own};
use super::link::{Halt, Link, Next};
use super::lock::Lock;
use super::meter::{Meter, Totals};
use super::peak::Hold;
use super::process::{PROC, Reach, reap};
use super::reset::Reset;
use super::sampler::{Trees, View};
use super::signals::{Heard, Signals};
use super::spawn::{Setting, spawn};
use super::watch::Watch;
use crate::model::{ByteText, Leak};
use crate::protocol::{FromWorker, Job, Report};

/// How long processes that outlive the test's own may take to end by themselves: the last of a
/// pipeline, say. Later it is a leak.
const LINGER: Duration = Duration::from_millis(100);
/// How many pieces are read in a row: a test that never stops writing must not keep us from the
/// clock.
const READS: usize = 16;
/// The most that is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// The supervisor, with everything that stays the same between two tests.
pub struct Supervisor {
    pub(super) view: View,
    pub(super) signals: Signals,
    pub(super) peak: Hold,
    reset: Reset,
    /// Keeps tests from the place's secret.
    lock: Option<Lock>,
    /// We were told to stop, and not by the launcher.
    pub(super) stopped: bool,
    null: File,
    environment: Vec<(&'static str, ByteText)>,
    /// For output on its way.
    buffer: Box<[u8]>,
    /// What was counted when the last test was over; absent where a process may have run since.
    counted: Option<Totals>,
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
            Counters::default()
        };
        // After the private folders were made, which it is to leave open.
        let lock = place.secret.as_deref().and_then(Lock::on);
        let peak = Hold::new(counters.memory_peak_bytes());
        Ok(Supervisor {
            view: View {
                counters,
                trees: Trees::new(Path::new(PROC)),
                reach,
            },
            signals,
            peak,
            reset,
            lock,
            stopped: false,
            null,
            environment,
            buffer: vec![0; PIECE].into(),
            counted: None,
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
            // Whoever has nothing to do reports at once. That can show that the launcher is gone,
            // and then there is nothing to wait for.
            link.flush()?;
            if link.input().is_some() {
                self.wait(link, &[None, None], None)?;
                self.heed(link);
                while reap().is_some() {}
            }
        }
    }

    /// What was counted when the last test was over is not what the next one starts with: this
    /// process does something in between.
    pub fn forget_counts(&mut self) {
        self.counted = None;
    }

    /// Takes in signals.
    fn heed(&mut self, link: &mut Link) -> Heard {
        let heard = self.hear();
        if heard.stop {
            link.stop(Halt::Interrupt);
        }
        heard
    }

    fn hear(&mut self) -> Heard {
        let heard = self.signals.hear(self.view.reach == Reach::Namespace);
        self.stopped |= heard.stop;
        heard
    }

    /// Sleeps for so long, or until a signal comes.
    ///
    /// # Errors
    /// `poll` fails.
    pub(super) fn pause(&mut self, time: Duration) -> Result<(), String> {
        let deadline = Instant::now() + time;
        let mut polled = [PollFd::new(self.signals.fd(), PollFlags::POLLIN)];
        sleep_until(&mut polled, Some(deadline))?;
        self.hear();
        while reap().is_some() {}
        Ok(())
    }

    /// Whether tests cannot read the place's secret: tried, by somebody who is kept from it as they
    /// are.
    pub(super) fn keeps_secret(&self, secret: &Path) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.holds(secret))
    }

    /// Kills whatever still runs: the launcher is gone.
    pub fn abandon(&mut self) {
        self.view.reach.kill_all();
        self.reset.remove_private();
    }

    /// Runs `job`, resets the worker, and says how both went.
    ///
    /// # Errors
    /// The worker cannot go on: the job cannot be started, or a message is not understood.
    pub fn execute(&mut self, job: &Job, link: &mut Link) -> Result<Report, String> {
        self.reset.make_home(job.without_reset)?;
        self.peak.begin(|seq| link.taken(seq).is_some());
        let meter = Meter::start(&self.view.counters, self.counted.take());
        let child = spawn(
            job,
            &Setting {
                environment: &self.environment,
                null: self.null.as_fd(),
                die_with_parent: self.view.reach == Reach::Descendants,
                lock: self.lock.as_ref().map(Lock::fd),
            },
        )?;
        let mut watch = Watch::new(job, child, meter, &self.view);
        if watch.is_held() {
            link.send(&FromWorker::Held { seq: job.seq });
            link.flush()?;
            // Who is gone releases nothing.
            watch.obey(link.halt(), self.view.reach);
        }
        self.watch(&mut watch, link)?;
        self.finish(watch, link)
    }

    /// Until the test's own process has ended.
    fn watch(&mut self, watch: &mut Watch<'_>, link: &mut Link) -> Result<(), String> {
        while watch.ended.is_none() {
            let something = self.wait(link, &watch.output, watch.next_deadline())?;
            if watch.is_held() && link.is_released(watch.job.seq) {
                watch.release(&self.view);
            }
            // A sample that is due is mostly all there is.
            if something {
                watch.read(self.view.reach, READS, &mut self.buffer);
                if self.heed(link).child {
                    watch.reap();
                }
            }
            if watch.ended.is_none() {
                watch.obey(link.halt(), self.view.reach);
                watch.keep_time(&self.view)?;
                watch.sample(&self.view);
            }
            watch.pass_on_if_due(link);
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
        let memory = watch.sampler.close(&self.view.counters);
        let reset_from = Instant::now();
        let cleaned = (!watch.job.without_reset).then(|| self.reset.run(outlived));
        let reset_ns = reset_from.elapsed().as_nanos() as u64;
        // Whoever could write is gone now, so this ends.
        watch.read(self.view.reach, usize::MAX, &mut self.buffer);
        watch.pass_on(link);
        let seq = watch.job.seq;
        let counters = &self.view.counters;
        let (mut resources, counted) = watch.meter.finish(counters, wall, watch.sampler.seen());
        resources.tmpfs_left_bytes = cleaned.as_ref().map(|cleaned| left_bytes(&cleaned.leaks));
        self.counted = cleaned.is_some().then_some(counted);
        let seen = watch.sampler.seen();
        let runnable_percent = (seen.runnable_looks * 100).checked_div(seen.looks);
        let cleaned = cleaned.unwrap_or_default();
        let series = watch.sampler.finish(wall, resources.cpu_us, memory);
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
            series,
            runnable_percent,
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
            if !self.view.reach.any_left() {
                return Ok(Vec::new());
            }
            if Instant::now() >= deadline || watch.job.without_reset {
                return Ok(self.view.reach.names());
            }
            let fds = [watch.output[0].as_ref(), watch.output[1].as_ref()];
            let mut polled = vec![PollFd::new(self.signals.fd(), PollFlags::POLLIN)];
            polled.extend(
                fds.into_iter()
                    .flatten()
                    .map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)),
            );
            sleep_until(&mut polled, Some(deadline))?;
            watch.read(self.view.reach, READS, &mut self.buffer);
            self.heed(link);
        }
    }

    /// Waits for messages, room, signals, output or the deadline, and takes in messages. Whether
    /// there was more than the deadline.
    pub(super) fn wait(
        &self,
        link: &mut Link,
        output: &[Option<File>; 2],
        deadline: Option<Instant>,
    ) -> Result<bool, String> {
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
        let something = sleep_until(&mut polled, deadline)?;
        let input_ready = has_input
            && polled
                .last()
                .and_then(PollFd::revents)
                .is_some_and(|events| !events.is_empty());
        drop(polled);
        if input_ready {
            link.receive()?;
        }
        Ok(something)
    }
}

/// Bytes of the files among what was left behind.
fn left_bytes(leaks: &[Leak]) -> u64 {
    let bytes = leaks.iter().map(|leak| match leak {
        Leak::Files { bytes, .. } => *bytes,
        _ => 0,
    });
    bytes.sum()
}

/// `poll` with a deadline; whether something was ready before it.
fn sleep_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<bool, String> {
    let timeout = deadline.map(|deadline| {
        TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
    });
    match ppoll(fds, timeout, None) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::errno::Errno::EINTR) => Ok(true),
        Err(error) => Err(format!("poll: {error}")),
    }
}
