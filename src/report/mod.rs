//! Layer 4: everything that people and programs read of a run, except the database.
//!
//! stdout has the report, which can be piped: lines for people ([`Human`]) or one JSON object a line
//! ([`Json`]). stderr has notices and, on a terminal, the progress line. Reporters are
//! [`Sink`](crate::event::Sink)s: they see events, and nothing sees them.
//!
//! Invariants: bytes from a test reach the output only through `clean`; nothing is said by colour
//! alone; memory does not grow with a test's output, and with the number of tests only in bounded
//! lists; a reader that goes away (`| head -1`) silences a reporter and does not stop the run.

mod attempt;
mod background;
pub mod certificate;
mod clean;
mod color;
mod compare;
mod excerpt;
mod export;
mod figure;
mod file;
mod fit;
#[cfg(test)]
mod fixtures;
mod history;
mod history_json;
pub mod html;
mod human;
mod json;
mod message;
mod out;
mod planned;
mod plot;
mod progress;
mod show_run;
mod show_test;
mod summary;
mod table;
mod top;
mod totals;
mod when;

pub use background::Background;
pub use color::{ColorChoice, Environment, Paint};
pub use compare::Comparison;
pub use export::Export;
pub use file::{Target, TargetError};
pub use fit::{Fitting, diff};
pub use history::{History, PastAttempt, history};
pub use history_json::history_json;
pub use human::{Human, Options, Terminals};
pub use json::{Json, line as json_line};
pub use message::{Check, check, error, note};
pub use planned::Planned;
pub use show_run::ShownRun;
pub use show_test::{Canvas, ShownAttempt, ShownTest};
pub use table::table;
pub use top::{top, top_json};
pub use totals::Totals;
