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
pub mod certificate;
mod clean;
mod clip;
mod color;
mod compare;
mod excerpt;
mod export;
mod figure;
mod file;
mod fit;
#[cfg(test)]
mod fixtures;
mod github;
mod history;
mod history_json;
pub mod html;
mod human;
mod json;
mod junit;
mod message;
mod out;
mod planned;
mod plot;
mod progress;
mod several;
mod show_run;
mod show_test;
mod summary;
mod table;
mod top;
mod totals;
mod when;

pub use background::Background;
pub use clean::word as one_line;
pub use color::{ColorChoice, Environment, Paint};
pub use compare::Comparison;
pub use export::Export;
pub use file::{FileError, WholeFile};
pub use fit::{Fitting, diff};
pub use github::{GitHub, Place};
pub use history::{History, PastAttempt, history};
pub use history_json::history_json;
pub use human::{Human, Options, Terminals};
pub use json::{Json, json_line};
pub use junit::Junit;
pub use message::{Check, check, error, note};
pub use planned::Planned;
pub use several::Several;
pub use show_run::ShownRun;
pub use show_test::{Canvas, ShownAttempt, ShownTest};
pub use table::table;
pub use top::{top, top_json};
pub use totals::Totals;
