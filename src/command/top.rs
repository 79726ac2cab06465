//! `docker-test top`.

use super::recorded::{days_ago, record};
use super::{Context, Failure, text};
use crate::cli::{MessageFormat, Top};
use crate::report;

/// Prints the tests with the highest figures of the last days.
pub fn top(arguments: &Top, context: &Context) -> Result<u8, Failure> {
    let since = days_ago(arguments.days);
    let at_most = arguments.limit as usize;
    let (_, reader) = record(context)?;
    let tests = reader.top(arguments.by, since, at_most)?;
    let out = match arguments.message_format {
        MessageFormat::Human => report::top(arguments.by, arguments.days, &tests),
        MessageFormat::Json => report::top_json(arguments.by, &tests)?,
    };
    text::print(out.as_bytes())
}
