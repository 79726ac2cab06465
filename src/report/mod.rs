//! Layer 4: everything that people and programs read of a run, except the database.
//!
//! stdout has the report, which can be piped: lines for people ([`Human`]) or one JSON object a line
//! ([`Json`]). stderr has notices and, on a terminal, the progress line. Beside them there are files
//! ([`Junit`], [`Json`]) and what a CI system reads from a log ([`GitHub`]). Reporters are
//! [`Sink`](crate::event::Sink)s: they see events, and nothing sees them.
//!
//! Invariants: bytes from a test reach the output only through `clean`; nothing is said by colour
//! alone; memory does not grow with a test's output, and with the number of tests only in bounded
//! lists; a reader that goes away (`| head -1`) silences a reporter and does not stop the run.

mod attempt;
mod background;
mod clean;
mod clip;
mod color;
mod excerpt;
mod file;
#[cfg(test)]
mod fixtures;
mod github;
mod human;
mod json;
mod junit;
mod message;
mod out;
mod progress;
mod several;
mod summary;
mod table;
mod totals;

pub use background::Background;
pub use clean::word as one_line;
pub use color::{ColorChoice, Environment, Paint};
pub use file::FileError;
pub use github::{GitHub, Place};
pub use human::{Human, Options, Terminals};
pub use json::{Json, json_line};
pub use junit::Junit;
pub use message::{Check, check, error};
pub use several::Several;
pub use table::table;
pub use totals::Totals;
