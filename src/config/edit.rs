//! Rules to add to the file, as an edit of its text: comments and layout stay as they are.
//!
//! The text is edited by its lines, which knows less of YAML than YAML does. So an edit counts only if
//! the new text reads as the old configuration with exactly these rules behind its own.

use std::path::Path;

use super::{Config, ConfigError, FILE_NAME, Rule, parse, read_bytes, unreadable};

/// The file before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The text as it is; absent where there is no file.
    pub old: Option<String>,
    /// The text as it would be; absent where its rules are written in a way that is not understood here.
    pub new: Option<String>,
}

/// What the file of `config` would be with `rules` behind its own. Nothing is written.
///
/// # Errors
/// The file cannot be read any more.
pub fn add_rules(config: &Config, rules: &[Rule]) -> Result<Edit, ConfigError> {
    let Some(file) = &config.file else {
        let new = with_rules("", Config::defaults(config.project.clone()), rules);
        return Ok(Edit { old: None, new });
    };
    let failed = |message: &str| unreadable(Path::new(FILE_NAME), message);
    let bytes = read_bytes(file).map_err(|message| failed(&message))?;
    let old = String::from_utf8(bytes).map_err(|_| failed("not UTF-8: save the file in UTF-8"))?;
    let mut defaults = Config::defaults(config.project.clone());
    defaults.file = Some(file.clone());
    let new = with_rules(&old, defaults, rules);
    Ok(Edit {
        old: Some(old),
        new,
    })
}

/// `text` with `rules` behind its own.
fn with_rules(text: &str, defaults: Config, rules: &[Rule]) -> Option<String> {
    let mut expected = parse(text.as_bytes(), defaults.clone()).ok()?;
    expected.rules.extend_from_slice(rules);
    let is_it = |new: &String| {
        parse(new.as_bytes(), defaults.clone()).is_ok_and(|config| config == expected)
    };
    let lines = Lines::of(text);
    let candidates = [
        lines.to_block(rules),
        lines.to_flow(rules),
        lines.to_nothing(rules),
    ];
    candidates.into_iter().flatten().find(is_it)
}

/// A text, and where its rules are.
struct Lines<'t> {
    /// With their ends.
    lines: Vec<&'t str>,
    /// The line of the key `rules`, and the first behind its value.
    place: Option<(usize, usize)>,
    end: &'static str,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let key = lines.iter().position(|line| value(line).is_some());
        let place = key.map(|key| {
            let below = lines[key + 1..].iter();
            let inside =
                |line: &&&str| line.starts_with([' ', '\t', '-', '#', '\r', '\n', ']', '}']);
            let is_marker = |line: &&str| line.starts_with("---");
            let count = below
                .take_while(|line| inside(line) && !is_marker(line))
                .count();
            (key, key + 1 + count)
        });
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Lines { lines, place, end }
    }

    /// Behind the last item of a list of lines that begin with `-`.
    fn to_block(&self, rules: &[Rule]) -> Option<String> {
        let (key, behind) = self.place?;
        let items = key + 1..behind;
        let first = items
            .clone()
            .find(|at| self.lines[*at].trim_start().starts_with('-'))?;
        let indent = self.lines[first].len() - self.lines[first].trim_start().len();
        let last = items.rev().find(|at| !is_idle(self.lines[*at]))?;
        Some(self.with_lines(last + 1, &self.lines[first][..indent], rules))
    }

    /// Behind the last item of `[…]`.
    fn to_flow(&self, rules: &[Rule]) -> Option<String> {
        let (key, behind) = self.place?;
        let last = (key..behind)
            .rev()
            .find(|at| self.lines[*at].contains(']'))?;
        let at = self.lines[last].rfind(']')?;
        let before = self.lines[..last].concat() + &self.lines[last][..at];
        let gap = match before.trim_end().chars().next_back() {
            Some('[') => "",
            Some(',') => " ",
            _ => ", ",
        };
        let items: Vec<String> = rules.iter().map(item).collect();
        let after = self.lines[last][at..].to_owned() + &self.lines[last + 1..].concat();
        Some(format!(
            "{}{gap}{}{after}",
            before.trim_end(),
            items.join(", ")
        ))
    }

    /// Where there is none: under an empty `rules:`, or at the end of the file.
    fn to_nothing(&self, rules: &[Rule]) -> Option<String> {
        match self.place {
            Some((key, _)) => Some(self.with_lines(key + 1, "  ", rules)),
            None => {
                let mut text = self.lines.concat();
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push_str(self.end);
                }
                text.push_str("rules:");
                text.push_str(self.end);
                Some(text + &self.block("  ", rules))
            }
        }
    }

    fn with_lines(&self, at: usize, indent: &str, rules: &[Rule]) -> String {
        let mut text = self.lines[..at].concat();
        if !text.ends_with('\n') {
            text.push_str(self.end);
        }
        text + &self.block(indent, rules) + &self.lines[at..].concat()
    }

    fn block(&self, indent: &str, rules: &[Rule]) -> String {
        let line = |rule| format!("{indent}- {}{}", item(rule), self.end);
        rules.iter().map(line).collect()
    }
}

/// What stands behind the key `rules` at the start of a line.
fn value(line: &str) -> Option<&str> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let keys = ["rules", "\"rules\"", "'rules'"];
    let rest = keys.iter().find_map(|key| line.strip_prefix(key))?;
    rest.trim_start().strip_prefix(':')
}

fn is_idle(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// `{ path: "test/**", profile: fast }`.
fn item(rule: &Rule) -> String {
    format!(
        "{{ path: {}, profile: {} }}",
        quoted(&rule.path),
        word(&rule.profile)
    )
}

/// A profile's name; one that YAML would take for a number, a bool or nothing in quotes.
fn word(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    if is_plain {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// Text in double quotes, with everything escaped that a reader could not see.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::PathBuf;

    fn rule(path: &str, profile: &str) -> Rule {
        Rule {
            path: path.into(),
            profile: profile.into(),
        }
    }

    fn edited(text: &str) -> Option<String> {
        let rules = [rule("a/**", "fast"), rule("a/b c", "slow")];
        with_rules(text, Config::defaults(PathBuf::from("/p")), &rules)
    }

    const FAST: &str = "- { path: \"a/**\", profile: fast }\n";
    const SLOW: &str = "- { path: \"a/b c\", profile: slow }\n";

    #[test]
    fn behind_a_block() {
        let text =
            "# mine\nrules:\n  # why\n  - path: x\n    profile: fast\n\n  # end\nworkers: 1\n";
        let new = edited(text).unwrap();
        let head = "# mine\nrules:\n  # why\n  - path: x\n    profile: fast\n";
        assert_eq!(
            new,
            format!("{head}  {FAST}  {SLOW}\n  # end\nworkers: 1\n")
        );
        let new = edited("rules:\n- {path: x, profile: fast}").unwrap();
        assert_eq!(
            new,
            format!("rules:\n- {{path: x, profile: fast}}\n{FAST}{SLOW}")
        );
    }

    #[test]
    fn where_there_is_none() {
        assert_eq!(edited("").unwrap(), format!("rules:\n  {FAST}  {SLOW}"));
        assert_eq!(
            edited("workers: 1").unwrap(),
            format!("workers: 1\nrules:\n  {FAST}  {SLOW}")
        );
        assert_eq!(
            edited("rules: # none yet\nworkers: 1\n").unwrap(),
            format!("rules: # none yet\n  {FAST}  {SLOW}workers: 1\n")
        );
    }

    #[test]
    fn into_brackets() {
        let both = "{ path: \"a/**\", profile: fast }, { path: \"a/b c\", profile: slow }";
        for (old, new) in [
            ("rules: [] # x\n", format!("rules: [{both}] # x\n")),
            (
                "rules: [{path: x, profile: fast}]\nworkers: 1\n",
                format!("rules: [{{path: x, profile: fast}}, {both}]\nworkers: 1\n"),
            ),
            (
                "rules: [\n  {path: x, profile: fast},\n]\n",
                format!("rules: [\n  {{path: x, profile: fast}}, {both}]\n"),
            ),
        ] {
            assert_eq!(edited(old), Some(new), "{old}");
        }
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let new = edited("workers: 1\r\nrules:\r\n- {path: x, profile: fast}\r\n").unwrap();
        assert_eq!(new.matches("\r\n").count(), new.matches('\n').count());
        assert!(edited("\u{feff}rules:\n- {path: x, profile: fast}\n").is_some());
    }

    #[test]
    fn what_is_not_understood_is_left() {
        for text in [
            "{rules: [{path: x, profile: fast}]}",
            "rules: &a\n  [{path: x, profile: fast}]\nworkers: ]",
            "? rules\n: [{path: x, profile: fast}]\n",
        ] {
            assert_eq!(edited(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_written_and_read(path in "\\PC{1,20}|[a\\\\\"'#:\u{202e}\u{85}\t\n -]{1,20}") {
            let rules = [rule(&super::super::literal(&path), "fast"), rule("b", "fast")];
            let defaults = Config::defaults(PathBuf::from("/p"));
            let new = with_rules("workers: 1\n", defaults.clone(), &rules).unwrap();
            prop_assert_eq!(parse(new.as_bytes(), defaults).unwrap().rules, rules);
            let hidden = new.contains(['\u{202e}', '\u{85}', '\t']);
            prop_assert!(!hidden);
        }
    }
}
