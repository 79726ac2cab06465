//! Suggestions for words that were probably meant to be others.

use crate::model::escape;

/// Longer words are nobody's typing errors, and comparing them takes long.
const LONGEST: usize = 64;

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
}
