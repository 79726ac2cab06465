//! The signals that interrupt a run.

use std::io;
use std::sync::mpsc::SyncSender;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::request::Message;

/// Forwards SIGINT, SIGTERM, SIGHUP and SIGQUIT to a run, from now until the process ends.
///
/// # Errors
/// The handlers cannot be installed.
pub fn forward_signals(inbox: SyncSender<Message>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                // After the run nobody listens, and there is nothing left to end.
                let _ = inbox.send(Message::Signal(signal));
            }
        })?;
    Ok(())
}
