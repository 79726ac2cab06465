//! A reporter on a thread of its own, so that a reader that stands still (a terminal after Ctrl-S, a
//! pager) does not hold the run up.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::event::{Event, Sink, SinkError};

/// Bytes of events that wait for the reader, at most; beyond them the run waits.
const BOUND: usize = 16 << 20;

/// Gives events to another sink, which works on them on its own thread. An error of that sink comes
/// with the next call; the last event of a run is waited for.
pub struct Background {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Event>,
    bytes: usize,
    /// The other sink has events in hand.
    busy: bool,
    /// No event comes any more.
    closed: bool,
    /// The thread takes no event any more, and why.
    ended: Option<SinkError>,
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(sink: impl Sink + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("report".into())
            .spawn(move || {
                let ending = Ending(&theirs);
                theirs.work(sink);
                drop(ending);
            })?;
        Ok(Background {
            shared,
            thread: Some(thread),
        })
    }
}

impl Sink for Background {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        let last = events.iter().any(|e| matches!(e, Event::RunFinished(_)));
        let mut state = self.shared.lock();
        state = self.shared.wait_while(state, |state| state.bytes > BOUND);
        if state.ended.is_none() {
            state.bytes += events.iter().map(size).sum::<usize>();
            state.waiting.extend_from_slice(events);
            self.shared.changed.notify_all();
        }
        if last {
            let idle = |state: &State| state.waiting.is_empty() && !state.busy;
            state = self.shared.wait_while(state, |state| !idle(state));
        }
        match &state.ended {
            Some(error) => Err(SinkError(error.0.clone())),
            None => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic has shown itself on stderr already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `condition` holds and the thread takes events.
    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_while(state, |state| state.ended.is_none() && condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut sink: impl Sink) {
        loop {
            let state = self.lock();
            let mut state =
                self.wait_while(state, |state| state.waiting.is_empty() && !state.closed);
            if state.waiting.is_empty() {
                return;
            }
            let events = std::mem::take(&mut state.waiting);
            state.bytes = 0;
            state.busy = true;
            self.changed.notify_all();
            drop(state);
            let result = sink.take(&events);
            let mut state = self.lock();
            state.busy = false;
            state.ended = result.err();
            self.changed.notify_all();
            if state.ended.is_some() {
                return;
            }
        }
    }
}

/// Lets nobody wait for a thread that is gone, also where it panicked.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state
            .ended
            .get_or_insert_with(|| SinkError("the reporter has ended".into()));
        self.0.changed.notify_all();
    }
}

/// About how much memory an event takes.
fn size(event: &Event) -> usize {
    let more = match event {
        Event::AttemptFinished(attempt) => {
            let output = [&attempt.stdout, &attempt.stderr]
                .iter()
                .map(|stream| stream.head.as_bytes().len() + stream.tail.as_bytes().len())
                .sum::<usize>();
            output + size_of_val(attempt.series.as_slice())
        }
        Event::RunStarted(started) => started.tests.len() * 128,
        Event::Progress(progress) => progress.running.len() * 128,
        _ => 0,
    };
    more + 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{notice, run_finished};
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Says what it got, and waits for leave before it goes on.
    struct Gated {
        seen: Sender<usize>,
        leave: Receiver<Result<(), SinkError>>,
    }

    impl Sink for Gated {
        fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
            self.seen.send(events.len()).unwrap();
            self.leave.recv().unwrap()
        }
    }

    #[test]
    fn a_reader_that_stands_still_does_not_hold_the_run_up() {
        let ((seen, got), (leave, gate)) = (channel(), channel());
        let mut background = Background::new(Gated { seen, leave: gate }).unwrap();
        background.take(&[notice("a")]).unwrap();
        assert_eq!(got.recv(), Ok(1));
        // The reader stands still; these come back all the same.
        background.take(&[notice("b")]).unwrap();
        background.take(&[notice("c"), notice("d")]).unwrap();
        leave.send(Ok(())).unwrap();
        assert_eq!(got.recv(), Ok(3));
        leave.send(Ok(())).unwrap();
        leave.send(Ok(())).unwrap();
        background.take(&[run_finished(None)]).unwrap();
        assert_eq!(got.try_recv(), Ok(1));
    }

    #[test]
    fn an_error_comes_back() {
        let ((seen, got), (leave, gate)) = (channel(), channel());
        let mut background = Background::new(Gated { seen, leave: gate }).unwrap();
        leave.send(Err(SinkError("full".into()))).unwrap();
        let error = background.take(&[run_finished(None)]).unwrap_err();
        assert_eq!(error.0, "full");
        assert_eq!(background.take(&[notice("b")]).unwrap_err().0, "full");
        assert_eq!(got.iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let ((seen, got), (leave, gate)) = (channel(), channel());
        let mut background = Background::new(Gated { seen, leave: gate }).unwrap();
        leave.send(Ok(())).unwrap();
        leave.send(Ok(())).unwrap();
        background.take(&[notice("a")]).unwrap();
        background.take(&[notice("b")]).unwrap();
        drop(background);
        assert_eq!(got.iter().sum::<usize>(), 2);
    }

    #[test]
    fn a_panic_holds_nobody() {
        struct Panics;
        impl Sink for Panics {
            fn take(&mut self, _: &[Event]) -> Result<(), SinkError> {
                panic!("expected by the test");
            }
        }
        let mut background = Background::new(Panics).unwrap();
        let error = background.take(&[run_finished(None)]).unwrap_err();
        assert_eq!(error.0, "the reporter has ended");
    }
}
