//! Samples as a BLOB: column after column, each value as its difference to the one before, in
//! variable-length integers.
//!
//! A column is, for each sample: 0 where the value is absent, else the zigzag-coded difference to the
//! last value that was there, plus 1. Columns are in the order of [`Sample`]'s fields.

use crate::model::{Sample, Series};

/// The columns of a sample.
const COLUMNS: usize = 7;

/// Encodes a series.
pub fn encode(series: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(series.len() * COLUMNS * 2);
    for column in 0..COLUMNS {
        let mut before = 0;
        for sample in series {
            match columns(sample)[column] {
                None => put(&mut bytes, 0),
                Some(value) => {
                    let difference = value.wrapping_sub(before).cast_signed();
                    let zigzag = (difference << 1) ^ (difference >> 63);
                    put(&mut bytes, u128::from(zigzag.cast_unsigned()) + 1);
                    before = value;
                }
            }
        }
    }
    bytes
}

/// Decodes `samples` samples; `None` where the bytes are not such a series.
pub fn decode(samples: usize, mut bytes: &[u8]) -> Option<Series> {
    if samples > bytes.len() {
        return None;
    }
    let mut all = vec![[None; COLUMNS]; samples];
    for column in 0..COLUMNS {
        let mut before = 0u64;
        for row in &mut all {
            let Some(code) = take(&mut bytes)?.checked_sub(1) else {
                continue;
            };
            let zigzag = u64::try_from(code).ok()?;
            let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
            before = before.wrapping_add(difference);
            row[column] = Some(before);
        }
    }
    let sample = |[time, cpu, memory, processes, threads, open_files, pss]: [Option<u64>;
                      COLUMNS]| {
        Some(Sample {
            time_us: time?,
            cpu_us: cpu,
            memory_bytes: memory,
            processes,
            threads,
            open_files,
            pss_bytes: pss,
        })
    };
    if bytes.is_empty() {
        all.into_iter().map(sample).collect()
    } else {
        None
    }
}

fn columns(sample: &Sample) -> [Option<u64>; COLUMNS] {
    [
        Some(sample.time_us),
        sample.cpu_us,
        sample.memory_bytes,
        sample.processes,
        sample.threads,
        sample.open_files,
        sample.pss_bytes,
    ]
}

/// Seven bits a byte, lowest first; the highest bit says that more follow.
fn put(bytes: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u128> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u128::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_sample() -> impl Strategy<Value = Sample> {
        let value = || proptest::option::of(prop_oneof![0..5000u64, any::<u64>()]);
        let values = (value(), value(), value(), value(), value(), value());
        (any::<u64>(), values).prop_map(
            |(time_us, (cpu_us, memory_bytes, processes, threads, open_files, pss_bytes))| Sample {
                time_us,
                cpu_us,
                memory_bytes,
                processes,
                threads,
                open_files,
                pss_bytes,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(series in proptest::collection::vec(any_sample(), 0..40)) {
            prop_assert_eq!(decode(series.len(), &encode(&series)), Some(series));
        }

        #[test]
        fn other_bytes_are_refused_or_decoded_and_never_more(
            samples in 0usize..50,
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Some(series) = decode(samples, &bytes) {
                prop_assert_eq!(series.len(), samples);
            }
        }
    }

    #[test]
    fn it_is_small() {
        let series: Series = (0..100)
            .map(|at| Sample {
                time_us: at * 50_000,
                cpu_us: Some(at * 49_900),
                memory_bytes: Some(100 << 20),
                ..Sample::default()
            })
            .collect();
        assert!(encode(&series).len() < 1200);
    }
}
