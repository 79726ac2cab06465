//! Captures one output stream: its head is passed on as it comes, its tail is kept, the middle is
//! only counted.

use crate::model::ByteText;
use crate::protocol::{Output, Stream};

/// One stream of one test.
pub struct Capture {
    stream: Stream,
    keep: usize,
    total: u64,
    head: Vec<u8>,
    head_sent: usize,
    /// The last `keep` bytes behind the head, as a ring.
    tail: Vec<u8>,
    tail_at: usize,
}

impl Capture {
    /// Nothing yet. `keep`: how much of the beginning is kept, in bytes, and as much of the end.
    pub fn new(stream: Stream, keep: usize) -> Self {
        Capture {
            stream,
            keep,
            total: 0,
            head: Vec::new(),
            head_sent: 0,
            tail: Vec::new(),
            tail_at: 0,
        }
    }

    /// Bytes taken so far, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes what was read.
    pub fn take(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.keep - self.head_len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Only the last `keep` bytes can survive.
        let mut rest = &rest[rest.len().saturating_sub(self.keep)..];
        let grow = rest.len().min(self.keep - self.tail.len());
        self.tail.extend_from_slice(&rest[..grow]);
        rest = &rest[grow..];
        while !rest.is_empty() {
            let size = rest.len().min(self.keep - self.tail_at);
            self.tail[self.tail_at..self.tail_at + size].copy_from_slice(&rest[..size]);
            self.tail_at = (self.tail_at + size) % self.keep;
            rest = &rest[size..];
        }
    }

    fn head_len(&self) -> usize {
        self.head_sent + self.head.len()
    }

    /// Whether there is a piece of the head to pass on.
    pub fn has_news(&self) -> bool {
        !self.head.is_empty()
    }

    /// The part of the head that was not passed on yet.
    pub fn news(&mut self, seq: u64) -> Option<Output> {
        if self.head.is_empty() {
            return None;
        }
        let data = std::mem::take(&mut self.head);
        self.head_sent += data.len();
        Some(self.piece(seq, 0, data))
    }

    /// The tail, once the stream has ended and the head is passed on.
    pub fn rest(mut self, seq: u64) -> Option<Output> {
        if self.tail.is_empty() {
            return None;
        }
        let mut data = std::mem::take(&mut self.tail);
        data.rotate_left(self.tail_at);
        let dropped = self.total - (self.head_sent + data.len()) as u64;
        Some(self.piece(seq, dropped, data))
    }

    fn piece(&self, seq: u64, dropped_bytes: u64, data: Vec<u8>) -> Output {
        Output {
            seq,
            stream: self.stream,
            dropped_bytes,
            data: ByteText::from(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEEP: usize = 256 << 10;

    fn capture(pieces: &[Vec<u8>]) -> (Vec<u8>, u64, Vec<u8>) {
        let mut capture = Capture::new(Stream::Stdout, KEEP);
        let mut head = Vec::new();
        for piece in pieces {
            capture.take(piece);
            if let Some(news) = capture.news(1) {
                head.extend_from_slice(news.data.as_bytes());
            }
        }
        match capture.rest(1) {
            Some(rest) => (head, rest.dropped_bytes, rest.data.into_bytes()),
            None => (head, 0, Vec::new()),
        }
    }

    #[test]
    fn little_output_is_all_head() {
        assert_eq!(
            capture(&[b"a".to_vec(), b"bc".to_vec()]),
            (b"abc".to_vec(), 0, vec![])
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn head_and_tail_are_exact(sizes in proptest::collection::vec(0usize..300_000, 0..8)) {
            let mut next = 0u32;
            let pieces: Vec<Vec<u8>> = sizes.iter().map(|size| (0..*size).map(|_| {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (next >> 24) as u8
            }).collect()).collect();
            let all = pieces.concat();
            let (head, dropped, tail) = capture(&pieces);
            prop_assert_eq!(&head[..], &all[..all.len().min(KEEP)]);
            let rest = &all[head.len()..];
            prop_assert_eq!(&tail[..], &rest[rest.len().saturating_sub(KEEP)..]);
            prop_assert_eq!(head.len() + tail.len() + dropped as usize, all.len());
        }
    }
}
