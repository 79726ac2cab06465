//! The smallest of the configured profiles that is safe for each path, from what its tests used in
//! earlier passes. Pure.
//!
//! Nothing is guessed: a figure that was not measured keeps its limit at least as high as it is, a
//! path with too little history keeps its profile, and so does one whose tests reached a limit lately.

mod needs;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use crate::model::{ByteText, Limits, Profile, ProfileOrigin, Test};

pub use needs::{Lack, Needs, Pass};
pub use rules::rules;

/// Fewer passes are too few to judge by.
pub const ENOUGH: usize = 5;

/// What is known of the tests of one path.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// What they need, all of them together.
    Needs(Needs),
    /// Too little, and why: one line, safe to print.
    TooLittle(String),
}

/// What is known of a test: its passes, newest first, and the first of its newer attempts that
/// reached a limit, as `timeout wall`.
pub fn known(passes: &[Pass], reached: Option<&str>) -> Known {
    match (Needs::of(passes), reached) {
        (_, Some(outcome)) => Known::TooLittle(format!("it reached a limit lately: {outcome}")),
        (Some(needs), None) => Known::Needs(needs),
        (None, None) => Known::TooLittle(format!("{} of {ENOUGH} passes", passes.len())),
    }
}

/// How a path's profile fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "fit", rename_all = "kebab-case")]
pub enum Fit {
    /// It is the smallest that holds what is needed.
    Right,
    /// A smaller one would do.
    Over {
        /// Which.
        smaller: String,
    },
    /// It does not hold what is needed.
    Under {
        /// The limits that are too low.
        lacks: Vec<Lack>,
        /// The smallest that holds it; absent where none of the same image does.
        larger: Option<String>,
    },
    /// Nobody can tell.
    Unjudged {
        /// Why: one line, safe to print.
        why: String,
    },
}

/// A path, its profile, and how that fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// From the project's root.
    pub path: ByteText,
    /// How many tests it has.
    pub tests: usize,
    /// The profile that it has.
    pub profile: String,
    /// Who chose that.
    pub origin: ProfileOrigin,
    /// What its tests need; absent where too little is known.
    pub needs: Option<Needs>,
    /// How it fits.
    #[serde(flatten)]
    pub fit: Fit,
}

impl Fitted {
    /// The profile that it should have.
    pub fn wanted(&self) -> &str {
        match &self.fit {
            Fit::Over { smaller } => smaller,
            Fit::Under {
                larger: Some(larger),
                ..
            } => larger,
            _ => &self.profile,
        }
    }

    /// Whether it is over- or under-sized.
    pub fn is_wrong(&self) -> bool {
        matches!(self.fit, Fit::Over { .. } | Fit::Under { .. })
    }

    /// Whether a rule can give it another profile: a marker in the file is stronger, and a path that
    /// is not UTF-8 cannot be written in YAML.
    pub fn is_ruled(&self) -> bool {
        self.origin != ProfileOrigin::Marker && self.path.as_str().is_some()
    }
}

/// Judges every path of `tests`, in order. `known` tells what is known of a test.
///
/// # Errors
/// Those of `known`.
pub fn fit<E>(
    tests: &[Test],
    config: &Config,
    mut known: impl FnMut(&Test) -> Result<Known, E>,
) -> Result<Vec<Fitted>, E> {
    let mut paths: BTreeMap<&Path, (&Test, usize, Known)> = BTreeMap::new();
    for test in tests {
        let found = known(test)?;
        match paths.get_mut(test.id.path()) {
            None => {
                paths.insert(test.id.path(), (test, 1, found));
            }
            Some((_, count, all)) => {
                *count += 1;
                match (&mut *all, found) {
                    (Known::Needs(all), Known::Needs(needs)) => all.raise(&needs),
                    (Known::Needs(_), why) => *all = why,
                    (Known::TooLittle(_), _) => {}
                }
            }
        }
    }
    let fitted = paths.into_iter().map(|(path, (test, tests, known))| {
        let (fit, needs) = match known {
            Known::TooLittle(why) => (Fit::Unjudged { why }, None),
            Known::Needs(needs) => match config.profiles.get(&test.profile) {
                Some(given) => (judge(&needs, given, &config.profiles), Some(needs)),
                None => (
                    Fit::Unjudged {
                        why: "its profile is not configured".into(),
                    },
                    Some(needs),
                ),
            },
        };
        Fitted {
            path: ByteText::from(path.as_os_str()),
            tests,
            profile: test.profile.clone(),
            origin: test.origin,
            needs,
            fit,
        }
    });
    Ok(fitted.collect())
}

/// How `given` fits `needs`, among `profiles`.
fn judge(needs: &Needs, given: &Profile, profiles: &BTreeMap<String, Profile>) -> Fit {
    let lacks = needs.lacks(&given.limits, &given.limits);
    // Another image is another machine to a test: it is never chosen for the sake of a limit.
    let holds = |profile: &&Profile| {
        profile.image == given.image
            && (profile.limits.tmpfs_exec || !given.limits.tmpfs_exec)
            && needs.lacks(&profile.limits, &given.limits).is_empty()
    };
    let best = profiles
        .values()
        .filter(holds)
        .min_by(|a, b| size(&a.limits).total_cmp(&size(&b.limits)));
    if !lacks.is_empty() {
        let larger = best.map(|best| best.name.clone());
        return Fit::Under { lacks, larger };
    }
    match best {
        Some(best) if size(&best.limits).total_cmp(&size(&given.limits)).is_lt() => Fit::Over {
            smaller: best.name.clone(),
        },
        _ => Fit::Right,
    }
}

/// What makes one profile smaller than another, the dearest first.
struct Size([f64; 7]);

fn size(limits: &Limits) -> Size {
    Size([
        limits.memory_bytes as f64,
        limits.cpus,
        limits.wall.as_secs_f64(),
        limits.cpu_time.as_secs_f64(),
        limits.pids as f64,
        limits.open_files as f64,
        limits.tmpfs_bytes as f64,
    ])
}

impl Size {
    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .map(|(a, b)| a.total_cmp(b))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    }
}
