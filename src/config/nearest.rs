//! Suggestions for words that were probably meant to be others.

use crate::model::escape;

/// Longer words are nobody's typing errors, and comparing them takes long.
const LONGEST: usize = 64;

/// The same of names of many, such as paths.
const LONGEST_NAME: usize = 256;

/// `did you mean 'fast'?` where one of `known` is near, else `known are fast, slow`.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, &known) {
        Some(near) => format!("did you mean '{}'?", escape(near.as_bytes())),
        None => format!("known are {}", escape(known.join(", ").as_bytes())),
    }
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let distance = |other: &str| strsim::osa_distance(&word.to_lowercase(), other);
    known
        .iter()
        .map(|other| (distance(other), *other))
        .filter(|(distance, other)| *distance <= (other.chars().count() / 3).clamp(1, 3))
        .min()
        .map(|(_, other)| other)
}

/// Those of many `known` words that `word` was probably meant to be, nearest first, at most so many.
/// The part behind the last `/` counts as a word too.
pub fn near(word: &str, known: impl IntoIterator<Item = String>, at_most: usize) -> Vec<String> {
    let length = word.chars().count();
    if length > LONGEST_NAME {
        return Vec::new();
    }
    let distance = |other: &str| {
        let others = other.chars().count();
        let most = (others / 3).clamp(1, 3);
        // So many letters at least have to be added or taken away.
        (length.abs_diff(others) <= most)
            .then(|| strsim::osa_distance(word, other))
            .filter(|distance| *distance <= most)
    };
    let mut found: Vec<(usize, String)> = Vec::new();
    for other in known {
        let name = other.rsplit('/').next().unwrap_or(&other);
        let nearest = [distance(&other), distance(name)]
            .into_iter()
            .flatten()
            .min();
        if let Some(nearest) = nearest {
            found.push((nearest, other));
        }
    }
    found.sort();
    found
        .into_iter()
        .take(at_most)
        .map(|(_, word)| word)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let known = ["fast", "standard", "slow"];
        assert_eq!(suggestion("fsat", known), "did you mean 'fast'?");
        assert_eq!(suggestion("Standart", known), "did you mean 'standard'?");
        assert_eq!(suggestion("x", known), "known are fast, standard, slow");
        assert_eq!(
            suggestion(&"fast".repeat(1 << 18), known),
            "known are fast, standard, slow"
        );
    }

    #[test]
    fn near_names_of_many() {
        let known = || {
            [
                "test/login_test.sh",
                "test/logout_test.sh",
                "lib/login_test.sh",
                "x",
            ]
            .map(String::from)
        };
        assert_eq!(
            near("login_tset.sh", known(), 5),
            ["lib/login_test.sh", "test/login_test.sh"]
        );
        assert_eq!(
            near("test/lgin_test.sh", known(), 1),
            ["test/login_test.sh"]
        );
        assert!(near("else", known(), 5).is_empty());
        assert!(near(&"x".repeat(1 << 18), known(), 5).is_empty());
    }
}
