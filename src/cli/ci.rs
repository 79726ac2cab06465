//! `ci`: what can be typed of it.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

/// The most shards: GitLab has no more parallel jobs.
const MOST_SHARDS: i64 = 200;

/// `ci`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  docker-test ci github\n  docker-test ci github --shards 8 --url https://example.org/docker-test-0.1.0-x86_64-linux\n  docker-test ci gitlab -o -"
)]
pub struct Ci {
    /// For which CI system
    #[arg(value_enum, value_name = "SYSTEM")]
    pub system: CiSystem,
    /// Where it goes, - for stdout [default: where the CI system looks for it in this repository]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Over how many machines the suite is divided
    #[arg(long, default_value_t = 4, value_name = "N", allow_hyphen_values = true, value_parser = clap::value_parser!(u32).range(1..=MOST_SHARDS))]
    pub shards: u32,
    /// Where jobs get this version of docker-test [default: a variable of the CI system]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<String>,
    /// The SHA-256 of what is there [default: that of this very program]
    #[arg(long, value_name = "DIGITS", value_parser = sha256)]
    pub sha256: Option<String>,
    /// Build docker-test from its source in FOLDER instead [default where this project is docker-test: its own]
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true, default_missing_value = ".", conflicts_with_all = ["url", "sha256"])]
    pub build_from_source: Option<PathBuf>,
    /// With the job of the full image also where no test asks for that
    #[arg(long)]
    pub full: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// A CI system that a file can be written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CiSystem {
    /// GitHub Actions.
    Github,
    /// GitLab CI/CD.
    Gitlab,
}

impl ValueEnum for CiSystem {
    fn value_variants<'a>() -> &'a [Self] {
        &[CiSystem::Github, CiSystem::Gitlab]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            CiSystem::Github => {
                PossibleValue::new("github").help("A workflow, .github/workflows/docker-test.yml")
            }
            CiSystem::Gitlab => PossibleValue::new("gitlab").help("A pipeline, .gitlab-ci.yml"),
        })
    }
}

/// It is written into YAML and shell, so nothing that means something there is taken.
fn url(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@+,;=%&".contains(c);
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && rest.chars().all(plain) => Ok(text.to_owned()),
        _ => Err("write an address that begins with https://, with other characters as %XX".into()),
    }
}

fn sha256(text: &str) -> Result<String, String> {
    let digits = text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
    let wrong = || "write 64 hexadecimal digits, as sha256sum prints them".to_owned();
    digits.then(|| text.to_ascii_lowercase()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let good = "https://example.org/a_b/v0.1.0/docker-test-0.1.0-x86_64-linux?x=1&y=%20";
        assert_eq!(url(good), Ok(good.to_owned()));
        for bad in [
            "",
            "https://",
            "http://example.org/x",
            "file:///x",
            "https://a b",
            "https://a\"b",
            "https://a'b",
            "https://a\nb",
            "https://$(id)",
            "https://${{x}}",
            "https://a\\b",
            "https://\u{e4}",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests() {
        assert_eq!(sha256(&"A0".repeat(32)), Ok("a0".repeat(32)));
        for bad in ["", "a0", &"g0".repeat(32), &"a0".repeat(33)] {
            assert!(sha256(bad).is_err(), "{bad}");
        }
    }
}
