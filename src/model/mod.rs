//! Layer 0: the nouns that every other module speaks in. No I/O.

mod digest;
mod figure;
mod image;
mod level;
pub mod noise;
mod outcome;
mod past;
mod profile;
mod resources;
mod response;
mod room;
mod series;
mod shard;
mod statistics;
mod test;
mod text;
mod trend;
mod units;
mod verdict;
mod violation;

pub use digest::ContentDigest;
pub use figure::Figure;
pub use image::ImageChoice;
pub use level::{Level, Network};
pub use outcome::{
    Clock, CrashCause, FailReason, LostCause, NotRunCause, Outcome, OutcomeKind, StopReason,
    Termination, signal_name,
};
pub use past::Past;
pub use profile::{DEFAULT_PROFILE, Limits, Profile, built_in_profiles};
pub use resources::{Leak, NAMED_FILES, Resources, Source};
pub use response::{Response, Responses};
pub use room::Room;
pub use series::{Sample, Series};
pub use shard::Shard;
pub use statistics::{Spread, Statistics, median};
pub use test::{ProfileOrigin, Test, TestId};
pub use text::{ByteText, escape};
pub use trend::{Direction, Trend};
pub use units::{
    counted, format_bytes, format_duration, format_time, format_us, parse_bytes, parse_duration,
};
pub use verdict::{Evidence, classify};
pub use violation::{TimeoutState, Violation, ViolationKind, ViolationSeverity};
