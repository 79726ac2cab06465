//! How often a test is run again when it is not good.

use super::PlanError;
use crate::config::{Config, Patterns};
use crate::model::Test;

/// How many more attempts each test has: the command line's word, else that of the last rule with
/// one that matches its path, else the config's.
///
/// # Errors
/// The config's rules are no patterns.
pub fn retries(tests: &[Test], config: &Config, asked: Option<u32>) -> Result<Vec<u32>, PlanError> {
    if let Some(asked) = asked {
        return Ok(vec![asked; tests.len()]);
    }
    let rules = &config.retry_rules;
    let patterns: Vec<&str> = rules.iter().map(|rule| rule.path.as_str()).collect();
    let patterns = Patterns::new(&patterns).map_err(PlanError::Rules)?;
    let of = |test: &Test| {
        let rule = patterns.last_match(test.id.path());
        rule.map_or(config.retries, |at| rules[at].retries)
    };
    Ok(tests.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RetryRule;
    use crate::model::{ImageChoice, ProfileOrigin, TestId};

    #[test]
    fn the_strongest_word_counts() {
        let mut config = Config::defaults("/p".into());
        config.retries = 1;
        let rule = |path: &str, retries| RetryRule {
            path: path.into(),
            retries,
        };
        config.retry_rules = vec![rule("net/**", 3), rule("net/sure/*", 0)];
        let test = |id: &str| Test {
            id: TestId::new(id),
            profile: "fast".into(),
            origin: ProfileOrigin::Default,
            image: ImageChoice::Isolation,
        };
        let tests = ["a", "net/b::case", "net/sure/c"].map(test);
        assert_eq!(retries(&tests, &config, None), Ok(vec![1, 3, 0]));
        assert_eq!(retries(&tests, &config, Some(2)), Ok(vec![2, 2, 2]));
    }
}
