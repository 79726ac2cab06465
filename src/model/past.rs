//! What is known of how long a test takes.

use super::ByteText;

/// A test's recent passes under one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The test's id.
    pub test: ByteText,
    /// The profile.
    pub profile: String,
    /// Their wall-clock times in microseconds, newest first; never empty.
    pub wall_us: Vec<u64>,
}
