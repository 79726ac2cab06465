//! From a worker's report, or from its absence, to a finished attempt.

use std::collections::HashMap;

use super::judge::Judgement;
use super::request::Class;
use crate::event::{Attempt, Captured};
use crate::model::{ByteText, Outcome, Test};
use crate::protocol::{Output, Report, Stream};

/// The output of tests that are not reported yet, by their number in the worker.
#[derive(Default)]
pub struct Outputs(HashMap<(u64, Stream), Pieces>);

#[derive(Default)]
struct Pieces {
    head: Vec<u8>,
    dropped_bytes: u64,
    tail: Vec<u8>,
}

impl Outputs {
    /// Takes in a piece.
    pub fn take(&mut self, output: Output) {
        let pieces = self.0.entry((output.seq, output.stream)).or_default();
        pieces.dropped_bytes += output.dropped_bytes;
        let data = output.data.into_bytes();
        if pieces.dropped_bytes > 0 {
            pieces.tail.extend_from_slice(&data);
        } else if pieces.head.is_empty() {
            pieces.head = data;
        } else {
            pieces.head.extend_from_slice(&data);
        }
    }

    /// Everything of one stream of one test. `total_bytes` is absent where no report says.
    fn finish(&mut self, seq: u64, stream: Stream, total_bytes: Option<u64>) -> Captured {
        let pieces = self.0.remove(&(seq, stream)).unwrap_or_default();
        let kept = (pieces.head.len() + pieces.tail.len()) as u64;
        Captured {
            total_bytes: total_bytes.unwrap_or(kept + pieces.dropped_bytes),
            dropped_bytes: pieces.dropped_bytes,
            head: ByteText::from(pieces.head),
            tail: ByteText::from(pieces.tail),
        }
    }
}

/// Where an attempt ran.
pub struct Ran<'a> {
    /// The test.
    pub test: &'a Test,
    /// The how-many-eth attempt at it.
    pub attempt: u32,
    /// Its class.
    pub class: &'a Class,
    /// The worker, if it got to one.
    pub worker: Option<u64>,
    /// Its place in the worker.
    pub sequence: Option<u64>,
}

impl Ran<'_> {
    /// An attempt with a report and what is made of it.
    pub fn reported(&self, report: Report, judgement: Judgement, outputs: &mut Outputs) -> Attempt {
        Attempt {
            termination: Some(report.termination),
            stopped: report.stopped,
            escalated: report.escalated,
            started_unix_us: Some(report.started_unix_us),
            leaks: report.leaks,
            reset_ns: Some(report.reset_ns),
            stdout: outputs.finish(report.seq, Stream::Stdout, Some(report.stdout_bytes)),
            stderr: outputs.finish(report.seq, Stream::Stderr, Some(report.stderr_bytes)),
            statistics: judgement.statistics,
            series: report.series,
            violations: judgement.violations,
            timeout_state: judgement.timeout_state,
            resources: Some(report.resources),
            ..self.without_report(judgement.outcome)
        }
    }

    /// An attempt that nobody reported; with the output that came before its worker was lost.
    pub fn lost(
        &self,
        outcome: Outcome,
        superseded: bool,
        outputs: Option<(&mut Outputs, u64)>,
    ) -> Attempt {
        let mut attempt = Attempt {
            superseded,
            ..self.without_report(outcome)
        };
        if let Some((outputs, seq)) = outputs {
            attempt.stdout = outputs.finish(seq, Stream::Stdout, None);
            attempt.stderr = outputs.finish(seq, Stream::Stderr, None);
        }
        attempt
    }

    fn without_report(&self, outcome: Outcome) -> Attempt {
        Attempt {
            test: self.test.id.clone(),
            attempt: self.attempt,
            superseded: false,
            outcome,
            reason: outcome.reason(),
            termination: None,
            stopped: None,
            escalated: false,
            profile: self.test.profile.clone(),
            image: self.class.image.clone(),
            worker: self.worker,
            sequence: self.sequence,
            started_unix_us: None,
            resources: None,
            statistics: None,
            series: Vec::new(),
            violations: Vec::new(),
            timeout_state: None,
            leaks: Vec::new(),
            reset_ns: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(dropped_bytes: u64, data: &str) -> Output {
        Output {
            seq: 1,
            stream: Stream::Stdout,
            dropped_bytes,
            data: data.into(),
        }
    }

    #[test]
    fn pieces_become_head_and_tail() {
        let mut outputs = Outputs::default();
        for output in [piece(0, "ab"), piece(0, "c"), piece(7, "yz")] {
            outputs.take(output);
        }
        let expected = Captured {
            head: "abc".into(),
            dropped_bytes: 7,
            tail: "yz".into(),
            total_bytes: 12,
        };
        assert_eq!(outputs.finish(1, Stream::Stdout, None), expected);
        assert_eq!(
            outputs.finish(1, Stream::Stdout, Some(0)),
            Captured::default()
        );
    }
}
