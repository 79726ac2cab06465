//! Layer 2: which tests are run, under which profile, in which image and in which order. Pure.

mod apart;
mod capacity;
mod certificate;
mod compare;
mod estimate;
pub mod fit;
mod forecast;
mod named;
mod retries;
mod shard;
mod shuffle;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::config::{Config, Patterns, suggestion};
use crate::model::{ImageChoice, Profile, ProfileOrigin, Test, TestId, escape};
use crate::suite::FoundTest;

pub use apart::{Apart, Asked, apart, responses};
pub use capacity::{Capacity, capacity};
pub use certificate::{Certificate, Entry, Part, certify};
pub use compare::{Change, Direction, Figure, FigureChange, Seen, changes, lone};
pub use estimate::{Estimate, History, longest_first};
pub use forecast::{Forecast, Load, forecast};
pub use named::{Named, named};
pub use retries::retries;
pub use shard::{SHARDS, divide, from_ci, manifest};
pub use shuffle::shuffle;

/// What the command line says about the choice of tests.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The profile of every test.
    pub profile: Option<String>,
    /// The image of every test.
    pub image: Option<ImageChoice>,
    /// Any of these must match a test's id: a pattern where it has `*`, `?` or `[`, else a part.
    pub filters: Vec<String>,
    /// Where tests were looked for, if not in the suite's root: only to say so.
    pub paths: Vec<PathBuf>,
}

/// The tests of a run, in the order in which they are handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// At least one; those of one profile and image are together, heavier ones first.
    pub tests: Vec<Test>,
}

/// There is no plan. All texts are safe to print.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The command line, or a test, names a profile that there is not (exit status 2).
    #[error("unknown profile '{name}': {suggestion}")]
    UnknownProfile {
        /// The name.
        name: String,
        /// A profile that was probably meant, or all of them.
        suggestion: String,
    },
    /// A filter is no pattern, or empty (exit status 2).
    #[error("--filter: {0}")]
    Filter(String),
    /// The config's rules are no patterns (exit status 2).
    #[error("rules: {0}")]
    Rules(String),
    /// The command line asks for less than its level promises (exit status 2).
    #[error(
        "{option} cannot be used: {level} {promise}\nhint: leave one of the two out, or add --allow-weaker"
    )]
    Weaker {
        /// The option with its value.
        option: String,
        /// The level, and who chose it.
        level: String,
        /// What it promises.
        promise: String,
    },
    /// No test is left (exit status 4).
    #[error("no tests: {searched}")]
    NoTests {
        /// What was searched, and for what.
        searched: String,
    },
}

/// Chooses and orders the tests of a run.
///
/// A profile comes from the command line, else the test's marker, else the last rule that matches
/// its path, else the config's default. An image comes from the command line, else the profile
/// where `available` says that it is built, else the config, else it is `isolation`.
/// `available` is asked once for each profile in use.
///
/// # Errors
/// No test is left, or a profile or filter is not what it should be.
pub fn plan(
    found: Vec<FoundTest>,
    config: &Config,
    selection: &Selection,
    available: impl Fn(&ImageChoice) -> bool,
) -> Result<Plan, PlanError> {
    let forced = match &selection.profile {
        Some(name) => Some(&profile(config, name)?.name),
        None => None,
    };
    let filters = Filters::new(&selection.filters)?;
    let patterns: Vec<&str> = config.rules.iter().map(|rule| rule.path.as_str()).collect();
    let rules = Patterns::new(&patterns).map_err(PlanError::Rules)?;
    let count = found.len();

    let mut groups: BTreeMap<String, Vec<(TestId, ProfileOrigin)>> = BTreeMap::new();
    for test in found {
        if !filters.match_id(&test.id) {
            continue;
        }
        let rule = || rules.last_match(test.id.path()).map(|at| &config.rules[at]);
        let (name, origin) = if let Some(name) = forced {
            (name, ProfileOrigin::CommandLine)
        } else if let Some(name) = &test.marker {
            (name, ProfileOrigin::Marker)
        } else if let Some(rule) = rule() {
            (&rule.profile, ProfileOrigin::Rule)
        } else {
            (&config.default_profile, ProfileOrigin::Default)
        };
        match groups.get_mut(name) {
            Some(group) => group.push((test.id, origin)),
            None => {
                groups.insert(name.clone(), vec![(test.id, origin)]);
            }
        }
    }
    if groups.is_empty() {
        let searched = searched(count, config, selection);
        return Err(PlanError::NoTests { searched });
    }

    let mut groups = groups
        .into_iter()
        .map(|(name, tests)| Ok((profile(config, &name)?, tests)))
        .collect::<Result<Vec<_>, PlanError>>()?;
    // What takes longest begins first: begun last, it would run alone at the end.
    groups.sort_by_key(|(profile, _)| Reverse((profile.limits.wall, profile.limits.memory_bytes)));
    let mut tests = Vec::with_capacity(count);
    for (profile, mut group) in groups {
        let image = image(profile, config, selection, &available);
        group.sort();
        tests.extend(group.into_iter().map(|(id, origin)| Test {
            id,
            profile: profile.name.clone(),
            origin,
            image: image.clone(),
        }));
    }
    Ok(Plan { tests })
}

fn profile<'c>(config: &'c Config, name: &str) -> Result<&'c Profile, PlanError> {
    let profiles = &config.profiles;
    profiles.get(name).ok_or_else(|| PlanError::UnknownProfile {
        name: escape(name.as_bytes()),
        suggestion: suggestion(name, profiles.keys().map(String::as_str)),
    })
}

fn image(
    profile: &Profile,
    config: &Config,
    selection: &Selection,
    available: impl Fn(&ImageChoice) -> bool,
) -> ImageChoice {
    let preferred = || profile.image.as_ref().filter(|image| available(image));
    selection
        .image
        .as_ref()
        .or_else(preferred)
        .or(config.image.as_ref())
        .cloned()
        .unwrap_or(ImageChoice::Isolation)
}

/// Any of them may match; none at all match everything.
struct Filters<'a> {
    parts: Vec<&'a str>,
    patterns: Patterns,
    all: bool,
}

impl<'a> Filters<'a> {
    fn new(filters: &'a [String]) -> Result<Self, PlanError> {
        if filters.iter().any(String::is_empty) {
            let message = "it is empty: write a part of an id, or a pattern such as 'test/unit/*'";
            return Err(PlanError::Filter(message.to_owned()));
        }
        let (patterns, parts): (Vec<&str>, Vec<&str>) = filters
            .iter()
            .map(String::as_str)
            .partition(|filter| filter.contains(['*', '?', '[']));
        Ok(Filters {
            parts,
            patterns: Patterns::crossing(&patterns).map_err(PlanError::Filter)?,
            all: filters.is_empty(),
        })
    }

    fn match_id(&self, id: &TestId) -> bool {
        let bytes = id.text().as_bytes();
        let contains = |part: &&str| {
            bytes
                .windows(part.len())
                .any(|window| window == part.as_bytes())
        };
        self.all || self.parts.iter().any(contains) || self.patterns.matches(id.text().as_os_str())
    }
}

/// What was searched, and for what.
fn searched(count: usize, config: &Config, selection: &Selection) -> String {
    if count > 0 {
        let filters = any_of(&selection.filters);
        return format!("none of the {count} tests found matches --filter {filters}");
    }
    let suite = &config.suite;
    let places = match selection.paths.as_slice() {
        [] if suite.list.is_some() => return "suite.list printed none".to_owned(),
        [] => any_of(&[&suite.root]),
        paths => any_of(paths),
    };
    let include = any_of(&suite.include);
    format!("no file in {places} matches suite.include {include}")
}

/// Bytes as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `'a' or 'b'`.
fn any_of(words: &[impl AsRef<OsStr>]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| format!("'{}'", escape(word.as_ref().as_encoded_bytes())))
        .collect();
    words.join(" or ")
}

#[cfg(test)]
mod tests;
