//! Lines that are about the program itself: errors and the checks of `doctor`.

use std::io::Write;

use super::{Paint, clean};

/// How a check of `doctor` came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work.
    Problem,
}

/// The line of a check, and under it the fix where there is one: a symbol, a word, and what was
/// found.
pub fn check(paint: Paint, state: Check, found: &str, fix: Option<&str>) -> String {
    let word = match state {
        Check::Ok => paint.good("+ ok      "),
        Check::Warning => paint.warning("! warning "),
        Check::Problem => paint.bad("x problem "),
    };
    let mut out = format!("{word} {}\n", clean::word(found));
    for line in fix.unwrap_or_default().lines() {
        out.push_str(&format!("           fix: {}\n", clean::word(line)));
    }
    out
}

/// `note: ` and the message, whose further lines stay as they are.
pub fn note(message: &str) -> String {
    let lines = message.lines().map(clean::word).collect::<Vec<_>>();
    format!("note: {}\n", lines.join("\n"))
}

/// Writes `error: ` and the message, whose further lines (`hint: …`) stay as they are. A stderr
/// that cannot be written is nothing that could be reported anywhere.
pub fn error(stderr: &mut dyn Write, paint: Paint, message: &str) {
    let mut out = paint.bad("error:");
    for (index, line) in message.lines().enumerate() {
        let gap = if index == 0 { " " } else { "" };
        out.push_str(&format!("{gap}{}\n", clean::word(line)));
    }
    // The exit status says it too.
    let _ = stderr
        .write_all(out.as_bytes())
        .and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_have_a_word_and_a_fix() {
        let plain = Paint::new(false);
        assert_eq!(
            check(plain, Check::Ok, "docker 20.10", None),
            "+ ok       docker 20.10\n"
        );
        assert_eq!(
            check(plain, Check::Problem, "no docker", Some("install it")),
            "x problem  no docker\n           fix: install it\n"
        );
        assert_eq!(
            check(Paint::new(true), Check::Warning, "little disk", None),
            "\x1b[33m! warning \x1b[0m little disk\n"
        );
    }

    #[test]
    fn hints_stay_as_they_are() {
        let mut out = Vec::new();
        error(
            &mut out,
            Paint::new(false),
            "no engine\nhint: start one\x1b",
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "error: no engine\nhint: start one\\x1b\n"
        );
        let mut out = Vec::new();
        error(&mut out, Paint::new(true), "x");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\x1b[31;1merror:\x1b[0m x\n"
        );
    }
}
