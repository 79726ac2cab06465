//! A short rise of memory, of a known height.

use std::time::Duration;

use super::Finding;

/// Fills so much memory, keeps it so long, and gives it back.
pub fn spike(mib: u16, milliseconds: u16) -> Finding {
    let memory = vec![1_u8; usize::from(mib) << 20];
    std::hint::black_box(&memory);
    std::thread::sleep(Duration::from_millis(milliseconds.into()));
    Ok(true)
}
