//! Workers that dial in: what a run makes of them. Nobody here holds their containers, so all that can
//! be done to one is to end its connection.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, send};

use super::connection::listen_to;
use super::dispatch::{ClassIndex, Fit, WorkerNumber};
use super::limits::{narrower, wider};
use super::machine::{Machine, no_thread};
use super::request::{Message, RunError};
use crate::engine::{Container, Ending, EngineError, Pipes};
use crate::event::{Event, Notice, Severity};
use crate::model::escape;
use crate::protocol::{Attestation, Hello};

/// How long a run waits while nobody is there who may run what is left.
const LONELY: Duration = Duration::from_secs(60);
/// How long after a worker was lost compose may take to tell all others to stop.
const COMPOSES_OWN: Duration = Duration::from_secs(5);
/// How long a worker with nothing in hand may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long the tests of a class wait for a worker of its own size, once a smaller one is there.
const BETTER: Duration = Duration::from_secs(3);
/// How long nobody is there before it is said who is not taken.
const SAY: Duration = Duration::from_secs(5);

/// What is known of a worker that dialled in.
#[derive(Clone, Debug, Default)]
pub struct GuestFacts {
    /// What it said of itself; nothing before its hello.
    pub attestation: Attestation,
    /// What it fits where nobody fits better, and when that is to be known.
    widen: Option<(Instant, Vec<Fit>)>,
}

/// A worker that dialled in, in a container's place.
struct Guest(UnixStream);

impl Container for Guest {
    fn start(&mut self) -> Result<Pipes, EngineError> {
        Err(EngineError::Other("a worker that dialled in runs".into()))
    }

    fn kill(&self) -> Result<(), EngineError> {
        // One that hung up itself is no error.
        let _ = self.0.shutdown(Shutdown::Both);
        Ok(())
    }

    fn wait(&mut self, _patience: Duration) -> Ending {
        Ending::HungUp
    }
}

/// Writes without waiting for room: a worker that stands still must not hold up the others. Dropping
/// it says that nothing more comes.
struct ToGuest(UnixStream);

impl Write for ToGuest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        Ok(send(self.0.as_raw_fd(), bytes, flags)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ToGuest {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Machine<'_, '_> {
    /// Somebody dialled in. Who comes too late is turned away.
    pub fn on_dialled(&mut self, stream: UnixStream) {
        let ends = || Ok::<_, io::Error>((stream.try_clone()?, stream.try_clone()?));
        let Ok((output, held)) = ends() else {
            return;
        };
        let Some(number) = self.dispatcher.admit() else {
            return;
        };
        let (scope, inbox) = (self.scope, self.inbox.clone());
        let worker = self.expect(number, 0);
        worker.guest = Some(GuestFacts::default());
        worker.container = Some(Box::new(Guest(held)));
        worker.stdin.open(Box::new(ToGuest(stream)));
        if let Err(error) = listen_to(scope, Box::new(output), number, inbox) {
            self.on_gone(number, Ending::EngineGone(no_thread(&error)), "");
        }
    }

    /// A worker that dialled in said hello.
    pub fn welcome(&mut self, number: WorkerNumber, hello: Hello) {
        let isolates = self.engine.capabilities().isolates;
        let mut fits = Vec::new();
        for class in &self.request.classes {
            let obstacles = match &hello.image {
                _ if !isolates => Vec::new(),
                Some(image) if *image != class.image => {
                    vec![format!("its image is {}", escape(image.as_bytes()))]
                }
                _ => wider(&class.given, &hello.attestation),
            };
            fits.push(match obstacles.is_empty() {
                false => Fit::No,
                true if narrower(&class.given, &hello.attestation).is_empty() => Fit::Good,
                true if isolates => Fit::Tight,
                true => Fit::Good,
            });
            if !obstacles.is_empty() {
                self.apart.insert((
                    class.profile.clone(),
                    class.image.clone(),
                    obstacles.join(", "),
                ));
            }
        }
        let class = fits.iter().position(|fit| *fit != Fit::No);
        let limits = match class {
            Some(class) => self.measure(number, class, &hello.attestation),
            None => Vec::new(),
        };
        self.tell_of_start(number, hello.attestation.clone(), limits);
        let mut at_first = fits.clone();
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.guest = Some(GuestFacts {
                attestation: hello.attestation,
                widen: fits
                    .contains(&Fit::Tight)
                    .then(|| (Instant::now() + BETTER, fits)),
            });
        }
        for fit in &mut at_first {
            *fit = match fit {
                Fit::Good => Fit::Good,
                Fit::Tight | Fit::No => Fit::No,
            };
        }
        self.dispatcher.on_joined(number, at_first);
    }

    fn say_once(&mut self, message: String) {
        if !self.told.contains(&message) {
            self.told.insert(message.clone());
            self.events.push(Event::Notice(Notice {
                severity: Severity::Warning,
                message,
            }));
        }
    }

    /// A worker that dialled in runs tests of this class from now on.
    pub fn assign(&mut self, number: WorkerNumber, class: ClassIndex) {
        let guest = self.workers.get(&number).and_then(|own| own.guest.as_ref());
        let Some(found) = guest.map(|guest| guest.attestation.clone()) else {
            return;
        };
        self.measure(number, class, &found);
        let class = &self.request.classes[class];
        let narrower = narrower(&class.given, &found);
        if self.engine.capabilities().isolates && !narrower.is_empty() {
            self.say_once(format!(
                "tests of profile {} run under less than it gives them, for want of a worker of its size: {}",
                escape(class.profile.as_bytes()),
                narrower.join(", ")
            ));
        }
    }

    /// A worker that was told to finish ends at once where it has nothing in hand; one that is
    /// started from here has its own time for that.
    pub fn expect_goodbye(&mut self, number: WorkerNumber) {
        let waits = |own: &super::machine::Connection| own.guest.is_some() && own.kill_at.is_none();
        if self.dispatcher.is_leaving(number) && self.workers.get(&number).is_some_and(waits) {
            self.kill_later(number, GOODBYE);
        }
    }

    /// Looks whether somebody is there who may run what is left.
    pub fn keep_time_of_guests(&mut self, now: Instant) {
        let guests = self.workers.iter_mut();
        for (number, guest) in
            guests.filter_map(|(number, own)| Some((number, own.guest.as_mut()?)))
        {
            if let Some((_, fits)) = guest.widen.take_if(|(at, _)| now >= *at) {
                self.dispatcher.on_other_fits(*number, fits);
            }
        }
        if !self.dispatcher.waits_for_guests() {
            self.waited_since = None;
            return;
        }
        let since = *self.waited_since.get_or_insert(now);
        if now >= since + SAY && !self.apart.is_empty() {
            for (profile, image, obstacles) in std::mem::take(&mut self.apart) {
                self.say_once(format!(
                    "the workers that are there take no test of profile {} in image {}: {obstacles}",
                    escape(profile.as_bytes()),
                    escape(image.as_bytes()),
                ));
            }
        }
        if now < since + LONELY || self.refused.is_some() {
            return;
        }
        let hint = match self.told.is_empty() {
            true => "docker compose … up --scale test-parallel=N starts such workers".to_owned(),
            false => "the warnings above say why those that are there do not; doc/compose.md has workers of other sizes".to_owned(),
        };
        self.refused = Some(RunError::NobodyDialledIn {
            tests: self.dispatcher.open(),
            waited: LONELY,
            hint,
        });
        self.dispatcher.on_refused();
    }

    /// Whether a signal is compose's own: under `--exit-code-from` it tells this process to stop as
    /// soon as any replica ends, while the others could go on. Once for each loss.
    pub fn is_of_compose(&mut self, signal: i32) -> bool {
        let others =
            |(_, worker): (_, &super::machine::Connection)| worker.guest.is_some() && worker.hello;
        let is_own = signal == nix::libc::SIGTERM
            && self
                .guest_lost
                .is_some_and(|at| at.elapsed() < COMPOSES_OWN)
            && self.workers.iter().any(others);
        if is_own {
            self.guest_lost = None;
            self.events.push(Event::Notice(Notice {
                severity: Severity::Info,
                message: "compose stops everything where one replica ends: the run goes on with the others; stop it again to end it".to_owned(),
            }));
        }
        is_own
    }

    /// Ends all connections that are left, and hears each of their threads out: none may wait for
    /// room in the inbox when nobody reads it any more.
    pub fn hang_up(&mut self, receiver: &Receiver<Message>) {
        let mut left = BTreeSet::new();
        for (number, worker) in self.workers.iter().filter(|(_, own)| own.guest.is_some()) {
            if let Some(container) = &worker.container {
                let _ = container.kill();
            }
            left.insert(*number);
        }
        while !left.is_empty() {
            match receiver.recv() {
                Ok(Message::Silent(number, _) | Message::Gone(number, ..)) => {
                    left.remove(&number);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}
