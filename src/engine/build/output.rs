//! What the three builders print, and what it means. Pure.

use std::collections::{HashSet, VecDeque};

/// How many lines of a failed build are quoted.
const QUOTED: usize = 12;
/// How much of each: a step's line is a whole script.
const QUOTED_CHARS: usize = 160;

/// Reads a builder's lines.
#[derive(Default)]
pub struct Output {
    last: VecDeque<String>,
    in_notice: bool,
    /// The classic builder started a container.
    ran: bool,
    /// Steps of BuildKit's and buildah's that would do something, until they turn out to be known.
    open: HashSet<String>,
    /// The step that buildah is at: `2/13`.
    step: String,
}

impl Output {
    /// Takes a line, and returns it unless it is not worth showing.
    pub fn take<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let line = line.trim_end();
        // The classic builder's notice, a paragraph that ends with an empty line.
        self.in_notice = (self.in_notice && !line.is_empty()) || line.starts_with("DEPRECATED: ");
        if self.in_notice || line.is_empty() {
            return None;
        }
        self.ran |= line.trim_start().starts_with("---> Running in ");
        if let Some((step, rest)) = line
            .split_once(' ')
            .filter(|(step, _)| step.starts_with('#'))
        {
            if rest.contains("] RUN ") || rest.contains("] COPY ") {
                self.open.insert(step.to_owned());
            } else if rest == "CACHED" {
                self.open.remove(step);
            }
        }
        if let Some((step, rest)) = line
            .strip_prefix("STEP ")
            .and_then(|rest| rest.split_once(": "))
        {
            step.clone_into(&mut self.step);
            if rest.starts_with("RUN ") || rest.starts_with("COPY ") {
                self.open.insert(self.step.clone());
            }
        } else if line.starts_with("--> Using cache ") {
            self.open.remove(&self.step);
        }
        if self.last.len() == QUOTED {
            self.last.pop_front();
        }
        self.last.push_back(shortened(line));
        Some(line)
    }

    /// Whether every step was known already.
    pub fn cached(&self) -> bool {
        !self.ran && self.open.is_empty()
    }

    /// The last lines, oldest first.
    pub fn last_lines(self) -> Vec<String> {
        self.last.into()
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(QUOTED_CHARS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

/// What a terminal would show of a line: what follows the last carriage return, without colours,
/// which the classic builder gives to all that a step says on stderr.
pub fn visible(line: &[u8]) -> Vec<u8> {
    let line = line
        .rsplit(|&byte| byte == b'\r')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let mut shown = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        match colour(rest) {
            Some(length) => rest = &rest[length..],
            None => {
                shown.push(byte);
                rest = after;
            }
        }
    }
    shown
}

/// The length of the colour sequence that `text` begins with: `ESC [ 9 1 m`.
fn colour(text: &[u8]) -> Option<usize> {
    let parameters = text.strip_prefix(b"\x1b[")?;
    let length = parameters
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b';')
        .count();
    (parameters.get(length) == Some(&b'm')).then_some(length + 3)
}

/// The engine's reason in a failed call's words, without what was said before it.
pub fn reason(stderr: &str) -> &str {
    ["Error response from daemon: ", "; Error: "]
        .iter()
        .find_map(|words| Some(&stderr[stderr.rfind(words)? + words.len()..]))
        .unwrap_or(stderr)
}

/// Whether a failed pull's words mean that the base is not to be had: no network, no registry, no
/// such image, or not for us. So does all that is not known: the pull was asked for nothing else.
pub fn no_base(stderr: &str) -> bool {
    !stderr.contains("no space left on device") && !engine_gone(stderr)
}

/// Whether the words are about the engine rather than about what it was asked for. The engine's own
/// words begin with "Error response from daemon": then it is there.
pub fn engine_gone(stderr: &str) -> bool {
    let lower = stderr.to_lowercase();
    !lower.contains("error response from daemon")
        && [
            "cannot connect to the docker daemon",
            "is the docker daemon running",
            "failed to connect to the docker api",
            "error during connect",
            "permission denied while trying to connect",
            "unable to resolve docker endpoint",
            "unable to parse docker host",
            "unable to connect to podman",
        ]
        .iter()
        .any(|words| lower.contains(words))
}
