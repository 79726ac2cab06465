//! Signals of the supervisor: blocked, and read from a descriptor.

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// How many signals are heard in one go.
const MOST: usize = 16;

/// The signals that the supervisor takes notice of, as a descriptor.
pub struct Signals(SignalFd);

/// What came in.
#[derive(Default)]
pub struct Heard {
    /// A child may have ended.
    pub child: bool,
    /// Somebody who may do so asks us to stop.
    pub stop: bool,
}

/// Blocks them in this thread and in those that it starts later.
///
/// # Errors
/// The kernel refuses.
pub fn block() -> nix::Result<SigSet> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        set.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
    Ok(set)
}

/// Takes the Rust runtime's two handlers away. As PID 1 every signal without a handler is the
/// kernel's to drop; one with a handler reaches us from a test, and two of these at once make the
/// runtime abort.
fn forget_handlers() -> nix::Result<()> {
    for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action needs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(())
}

impl Signals {
    /// Blocks them, see [`block`].
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new() -> nix::Result<Self> {
        forget_handlers()?;
        let set = block()?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Signals)
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.0.as_fd()
    }

    /// Reads what came in. `as_init`: we are PID 1, and obey only what came from outside our
    /// namespace (sender 0) or from a terminal; anything else is a test's. A test may send without
    /// end: what is left is heard the next time.
    pub fn hear(&self, as_init: bool) -> Heard {
        let mut heard = Heard::default();
        for _ in 0..MOST {
            let Ok(Some(info)) = self.0.read_signal() else {
                return heard;
            };
            if info.ssi_signo == nix::libc::SIGCHLD as u32 {
                heard.child = true;
            } else {
                let from_kernel = info.ssi_code == nix::libc::SI_KERNEL;
                let from_outside = info.ssi_code == nix::libc::SI_USER && info.ssi_pid == 0;
                heard.stop |= !as_init || from_kernel || from_outside;
            }
        }
        // Lower numbers are delivered first, so a flood of them hides a child's end.
        heard.child = true;
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    /// As PID 1 a signal of one's own namespace is a test's.
    #[test]
    fn only_who_may_do_so_stops_us() {
        let signals = Signals::new().unwrap();
        raise(Signal::SIGTERM).unwrap();
        assert!(!signals.hear(true).stop);
        raise(Signal::SIGTERM).unwrap();
        let heard = signals.hear(false);
        assert!(heard.stop && !heard.child);
    }
}
