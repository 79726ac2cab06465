//! Whether there is colour and a progress line, and the few colours.

use std::ffi::OsString;
use std::str::FromStr;

use owo_colors::Style;

/// What `--color` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// Colour where it is a terminal that can show it, and nothing in the environment is against it.
    #[default]
    Auto,
    /// Colour whatever it is.
    Always,
    /// No colour.
    Never,
}

impl FromStr for ColorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(ColorChoice::Auto),
            "always" => Ok(ColorChoice::Always),
            "never" => Ok(ColorChoice::Never),
            _ => Err(format!(
                "invalid colour choice '{}': write auto, always or never",
                crate::model::escape(text.as_bytes())
            )),
        }
    }
}

/// What the environment says about output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, and neither empty nor `0`.
    pub force_color: bool,
    /// `TERM` is `dumb`, empty or missing: nothing can move the cursor.
    pub dumb: bool,
    /// `CI` is set, and neither empty, `0` nor `false`.
    pub ci: bool,
    /// `GITHUB_ACTIONS` is `true`.
    pub github_actions: bool,
    /// The locale's characters are UTF-8, by the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set.
    pub unicode: bool,
}

impl Environment {
    /// Reads it by `variable`, which is `std::env::var_os` outside tests.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str, off: &[&str]| {
            variable(name).is_some_and(|value| !off.iter().any(|off| value == *off))
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let locale = locale.map(|name| name.to_string_lossy().to_ascii_lowercase());
        Environment {
            unicode: locale.is_some_and(|name| name.contains("utf-8") || name.contains("utf8")),
            no_color: set("NO_COLOR", &[""]),
            force_color: set("CLICOLOR_FORCE", &["", "0"]),
            dumb: !set("TERM", &["", "dumb"]),
            ci: set("CI", &["", "0", "false"]),
            github_actions: variable("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
        }
    }

    /// Whether characters are drawn that not every terminal and font has. Who wants no colour wants
    /// plain text.
    pub fn draws(&self, choice: ColorChoice) -> bool {
        self.unicode && choice != ColorChoice::Never
    }

    /// Whether a stream is coloured; `is_terminal` says what the stream is.
    pub fn colors(&self, choice: ColorChoice, is_terminal: bool) -> bool {
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if self.no_color => false,
            ColorChoice::Auto if self.force_color => true,
            ColorChoice::Auto => is_terminal && !self.dumb,
        }
    }

    /// Whether a progress line is drawn; `is_terminal` says what stderr is.
    pub fn progress(&self, is_terminal: bool) -> bool {
        is_terminal && !self.dumb && !self.ci
    }
}

/// The colours, or none. What is painted ends its own colour, so that none runs into a next line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours or without.
    pub fn new(on: bool) -> Self {
        Paint { on }
    }

    /// Something is as it should be.
    pub fn good(self, text: &str) -> String {
        self.paint(text, Style::new().green())
    }

    /// Something is wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint(text, Style::new().red().bold())
    }

    /// Something is worth a look.
    pub fn warning(self, text: &str) -> String {
        self.paint(text, Style::new().yellow())
    }

    /// A heading.
    pub fn strong(self, text: &str) -> String {
        self.paint(text, Style::new().bold())
    }

    fn paint(self, text: &str, style: Style) -> String {
        if self.on {
            style.style(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_choice_beats_everything() {
        let against = environment(&[("NO_COLOR", "1")]);
        assert!(against.colors(ColorChoice::Always, false));
        let pro = environment(&[("CLICOLOR_FORCE", "1"), ("TERM", "xterm")]);
        assert!(!pro.colors(ColorChoice::Never, true));
    }

    #[test]
    fn auto_looks_at_the_environment() {
        let auto = |variables: &[(&str, &str)], is_terminal| {
            environment(variables).colors(ColorChoice::Auto, is_terminal)
        };
        let term = ("TERM", "xterm-256color");
        assert!(auto(&[term], true));
        assert!(!auto(&[term], false));
        assert!(!auto(&[("TERM", "dumb")], true));
        assert!(!auto(&[], true));
        assert!(!auto(&[term, ("NO_COLOR", "1")], true));
        assert!(auto(&[term, ("NO_COLOR", "")], true));
        assert!(auto(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!auto(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!auto(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
    }

    #[test]
    fn progress_needs_a_terminal_that_somebody_looks_at() {
        let term = ("TERM", "xterm");
        assert!(environment(&[term]).progress(true));
        assert!(environment(&[term, ("CI", "false")]).progress(true));
        assert!(environment(&[term, ("NO_COLOR", "1")]).progress(true));
        assert!(!environment(&[term]).progress(false));
        assert!(!environment(&[term, ("CI", "true")]).progress(true));
        assert!(!environment(&[("TERM", "dumb")]).progress(true));
    }

    #[test]
    fn drawing_needs_a_locale_that_has_the_characters() {
        let draws = |variables: &[(&str, &str)]| environment(variables).draws(ColorChoice::Auto);
        assert!(draws(&[("LANG", "de_DE.UTF-8")]));
        assert!(draws(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(draws(&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8")]));
        assert!(!draws(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]));
        assert!(!draws(&[]));
        assert!(!environment(&[("LANG", "C.UTF-8")]).draws(ColorChoice::Never));
    }

    #[test]
    fn choices_have_names() {
        assert_eq!("always".parse(), Ok(ColorChoice::Always));
        let error = "yes\x1b".parse::<ColorChoice>().unwrap_err();
        assert_eq!(
            error,
            r"invalid colour choice 'yes\x1b': write auto, always or never"
        );
    }

    #[test]
    fn paint_ends_itself() {
        assert_eq!(Paint::new(true).good("a"), "\x1b[32ma\x1b[0m");
        assert_eq!(Paint::new(false).bad("a"), "a");
    }
}
