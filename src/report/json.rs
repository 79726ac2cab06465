//! `--message-format json` and `--json FILE`: one event a line, see `doc/events.md`.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::event::{Event, Sink, SinkError};
use crate::model::escape;

use super::file::{FileError, growing};
use super::out::Out;

/// Writes every event as one JSON object a line.
pub struct Json {
    out: Out,
}

impl Json {
    /// Writes to `stdout`.
    pub fn new(stdout: Box<dyn Write + Send>) -> Self {
        Json {
            out: Out::new(stdout),
        }
    }

    /// Writes to the file `path`, which is made or emptied now, and grows with the run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn file(path: &Path) -> Result<Self, FileError> {
        let (name, file) = growing(path)?;
        Ok(Json {
            out: Out::named(name, Box::new(file)),
        })
    }
}

impl Sink for Json {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            let line = json_line(event)
                .map_err(|error| SinkError(format!("cannot write an event as JSON: {error}")))?;
            self.out.write(line.as_bytes())?;
        }
        Ok(())
    }
}

/// A value's line, with its line feed, which no terminal and no CI system obeys.
///
/// # Errors
/// The value is none that JSON has.
pub fn json_line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut line = harmless(&serde_json::to_string(value)?);
    line.push('\n');
    Ok(line)
}

/// The same JSON value in characters that a terminal or a CI system does not obey when the stream
/// ends up in a log: serde escapes C0 only, and `##[` counts anywhere in a line.
///
/// `#` and the characters outside ASCII occur in strings only, where `\u` means the same.
fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let mut buffer = [0; 4];
        let plain: &str = c.encode_utf8(&mut buffer);
        let escaped = match c {
            '#' => out.ends_with('#'),
            ' '..='~' => false,
            _ => escape(plain.as_bytes()) != plain,
        };
        if escaped {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{Answer, Scripted, Shared, attempt, notice, sample_run};
    use proptest::prelude::*;

    /// The reference shows one line for each kind of event, and they are the real ones.
    #[test]
    fn the_reference_shows_what_is_written() {
        let reference = include_str!("../../doc/events.md");
        let samples: Vec<&str> = reference
            .lines()
            .filter(|line| line.starts_with("{\"event\":"))
            .collect();
        let written: Vec<String> = sample_run()
            .iter()
            .map(|event| json_line(event).unwrap().trim_end().to_owned())
            .collect();
        assert_eq!(samples, written, "written:\n{}", written.join("\n"));
    }

    /// Every field that an event has is in the reference.
    #[test]
    fn the_reference_names_every_field() {
        fn check(value: &serde_json::Value, reference: &str) {
            match value {
                serde_json::Value::Object(object) => {
                    for (key, value) in object {
                        assert!(reference.contains(&format!("`{key}`")), "{key}");
                        check(value, reference);
                    }
                }
                serde_json::Value::Array(items) => {
                    items.iter().for_each(|item| check(item, reference));
                }
                _ => {}
            }
        }
        let reference = include_str!("../../doc/events.md");
        for event in sample_run() {
            check(&serde_json::to_value(event).unwrap(), reference);
        }
    }

    #[test]
    fn a_batch_is_as_many_lines() {
        let shared = Shared::default();
        let mut json = Json::new(Box::new(shared.clone()));
        json.take(&[notice("a\nb"), notice("c")]).unwrap();
        assert_eq!(
            shared.text(),
            "{\"event\":\"notice\",\"severity\":\"warning\",\"message\":\"a\\nb\"}\n\
             {\"event\":\"notice\",\"severity\":\"warning\",\"message\":\"c\"}\n"
        );
    }

    #[test]
    fn a_reader_that_left_does_not_stop_the_run() {
        let broken = Scripted::new([Answer::Error(std::io::ErrorKind::BrokenPipe)]);
        let mut json = Json::new(Box::new(broken));
        assert!(json.take(&[notice("a"), notice("b")]).is_ok());
        assert!(json.take(&[notice("c")]).is_ok());
    }

    proptest! {
        #[test]
        fn the_value_is_exactly_serdes(bytes: Vec<u8>, text: String) {
            let mut attempt = attempt(&text);
            attempt.stdout.head = bytes.into();
            let event = Event::AttemptFinished(Box::new(attempt));
            let line = json_line(&event).unwrap();
            let body = line.strip_suffix('\n').unwrap();
            let read: serde_json::Value = serde_json::from_str(body).unwrap();
            prop_assert_eq!(read, serde_json::to_value(&event).unwrap());
            prop_assert!(!body.contains(|c: char| c.is_control()));
        }

        #[test]
        fn no_line_holds_a_command(text in "[#a-z\\[\\]\\\\\"\u{9b}\u{202e}]{0,30}") {
            let line = json_line(&notice(&text)).unwrap();
            prop_assert!(!line.contains("##"));
            let hidden = line.contains(['\u{9b}', '\u{202e}']);
            prop_assert!(!hidden);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read["message"].as_str(), Some(text.as_str()));
        }
    }
}
