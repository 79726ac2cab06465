//! As much of YAML as a compose file takes, written so that its readers agree about every byte.

use crate::engine::EngineError;

/// A scalar. What compose would take for a variable in plain text is doubled already.
#[derive(Clone, Debug)]
pub struct Text {
    text: String,
    /// It is written as it is: a number, `true`, or YAML of our own.
    raw: bool,
    /// It is quoted, also where it would not have to be.
    quoted: bool,
}

/// Words that some reader takes for something else than a string.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

impl Text {
    /// This text and nothing else, whatever is in it.
    pub fn literal(text: &str) -> Self {
        Text::expression(text.replace('$', "$$"))
    }

    /// The same, quoted: a number that is to stay a string.
    pub fn quoted(text: &str) -> Self {
        Text {
            quoted: true,
            ..Text::literal(text)
        }
    }

    /// YAML as it is.
    pub fn plain(text: &str) -> Self {
        Text {
            text: text.into(),
            raw: true,
            quoted: false,
        }
    }

    /// A text in which the variables are written already and every other `$` is doubled.
    pub fn expression(text: String) -> Self {
        Text {
            text,
            raw: false,
            quoted: false,
        }
    }

    /// The value of a variable of the caller's, or this default.
    pub fn variable(name: &str, default: &str) -> Self {
        Text::expression(format!("${{{name}:-{default}}}"))
    }

    /// The two, one after the other.
    pub fn and(mut self, other: &Text) -> Self {
        self.text.push_str(&other.text);
        self
    }

    /// As compose reads it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As YAML.
    pub fn into_yaml(self) -> String {
        if self.raw || (!self.quoted && is_plain(&self.text)) {
            return self.text;
        }
        let mut quoted = String::from("\"");
        for c in self.text.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                ' '..='~' => quoted.push(c),
                // Readers fold line breaks of several kinds and refuse what cannot be printed.
                c => quoted.push_str(&match u32::from(c) {
                    code @ ..=0xff => format!("\\x{code:02x}"),
                    code @ ..=0xffff => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                }),
            }
        }
        quoted.push('"');
        quoted
    }
}

/// Whether every reader takes it for the string that it is, without quotes.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(inner)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// A map on one line.
pub fn map(fields: &[(&str, Text)]) -> String {
    let fields = fields.iter().map(|(key, value)| {
        let key = Text::literal(key).into_yaml();
        format!("{key}: {}", value.clone().into_yaml())
    });
    format!("{{{}}}", fields.collect::<Vec<String>>().join(", "))
}

/// A list on one line, of YAML.
pub fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// Lines of one depth and deeper.
#[derive(Debug)]
pub struct Block {
    text: String,
    depth: usize,
}

impl Block {
    /// A file's.
    pub fn new() -> Self {
        Block {
            text: String::new(),
            depth: 0,
        }
    }

    fn push(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n(' ', self.depth * 2));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Comment lines.
    pub fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.push(format!("# {line}").trim_end());
        }
    }

    /// Nothing.
    pub fn empty_line(&mut self) {
        self.text.push('\n');
    }

    /// A key whose value follows, deeper.
    pub fn key(&mut self, key: &str) {
        self.push(&format!("{key}:"));
    }

    /// A key and its value in YAML.
    pub fn line(&mut self, key: &str, value: &str) {
        self.push(&format!("{key}: {value}"));
    }

    /// A key and its value.
    pub fn text(&mut self, key: &str, value: Text) {
        self.line(key, &value.into_yaml());
    }

    /// A key and a list of YAML, each on a line of its own; nothing where it is empty.
    pub fn list(&mut self, key: &str, items: &[String]) {
        if !items.is_empty() {
            self.key(key);
        }
        for item in items {
            self.push(&format!("  - {item}"));
        }
    }

    /// What is one deeper.
    pub fn inner(
        &mut self,
        write: impl FnOnce(&mut Block) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        written
    }

    /// All of it.
    pub fn into_text(self) -> String {
        self.text
    }
}
