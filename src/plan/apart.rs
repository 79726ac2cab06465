//! How much the tests of a run are kept apart: what the command line and the config come to.

use super::PlanError;
use crate::config::{Config, FILE_NAME};
use crate::model::{Level, Network, Response, Responses};

/// What the command line says; absent where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// `--level`.
    pub level: Option<Level>,
    /// `--network`.
    pub network: Option<Network>,
    /// `--fresh`: whether each test gets a container of its own.
    pub fresh: Option<bool>,
    /// `--allow-weaker`.
    pub allow_weaker: bool,
}

/// How much the tests of a run are kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// What is promised.
    pub level: Level,
    /// What of a network they see.
    pub network: Network,
    /// Each has a container of its own.
    pub fresh: bool,
    /// What is promised and does not hold is told, and no error.
    pub allow_weaker: bool,
    /// What is made of violations.
    pub responses: Responses,
    /// What is not as somebody wrote it: safe lines.
    pub notes: Vec<String>,
}

/// The config's word about violations over the level's, also where that is less than it promises.
pub fn responses(config: &Config, level: Level) -> Responses {
    let mut responses = Responses::of(level);
    for (kind, response) in &config.violations {
        responses.set(*kind, *response);
    }
    responses
}

/// The command line over the config. A strict level has no network whatever the config says.
///
/// # Errors
/// The command line asks for less than its own level promises, without `--allow-weaker`.
pub fn apart(asked: Asked, config: &Config) -> Result<Apart, PlanError> {
    let level = asked.level.unwrap_or(config.level);
    let of_level = match asked.level {
        Some(level) => format!("--level {}", level.as_str()),
        None => format!("level {} of {FILE_NAME}", level.as_str()),
    };
    let mut notes = Vec::new();
    let mut weaker = |option: String, promise: &str| {
        if asked.allow_weaker {
            notes.push(format!(
                "--allow-weaker: {option}, although {of_level} {promise}"
            ));
            return Ok(());
        }
        Err(PlanError::Weaker {
            option,
            level: of_level.clone(),
            promise: promise.to_owned(),
        })
    };
    let network = match asked.network {
        Some(network) => {
            if level.is_strict() && network != Network::None {
                weaker(format!("--network {}", network.as_str()), "has no network")?;
            }
            network
        }
        None if level.is_strict() => Network::None,
        None => config.network,
    };
    let promised = level == Level::Paranoid;
    if promised && asked.fresh == Some(false) {
        weaker("--fresh worker".to_owned(), "has a container for each test")?;
    }
    if asked.network.is_none() && network != config.network {
        notes.push(format!(
            "network {} of {FILE_NAME} stays closed: {of_level} has no network",
            config.network.as_str()
        ));
    }
    let mut responses = responses(config, level);
    for (kind, response) in &config.violations {
        if !level.is_strict() || !kind.is_promised() || *response == Response::Fail {
            continue;
        }
        let said = format!("violations.{}: {}", kind.as_str(), response.as_str());
        if asked.allow_weaker {
            notes.push(format!(
                "--allow-weaker: {said}, although {of_level} fails a test for it"
            ));
        } else {
            responses.set(*kind, Response::Fail);
            notes.push(format!(
                "{said} of {FILE_NAME} stays fail: {of_level} fails a test for it"
            ));
        }
    }
    Ok(Apart {
        level,
        network,
        fresh: asked.fresh.unwrap_or(promised),
        allow_weaker: asked.allow_weaker,
        responses,
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ViolationKind;

    fn config(level: Level, network: Network) -> Config {
        Config {
            level,
            network,
            ..Config::defaults("/p".into())
        }
    }

    fn plain() -> Config {
        config(Level::Standard, Network::None)
    }

    #[test]
    fn the_command_line_is_over_the_config() {
        assert_eq!(apart(Asked::default(), &plain()), Ok(Apart::default()));
        let config = config(Level::Standard, Network::Internal);
        let of_config = apart(Asked::default(), &config).unwrap();
        assert_eq!(of_config.network, Network::Internal);
        let asked = Asked {
            network: Some(Network::Bridge),
            fresh: Some(true),
            ..Asked::default()
        };
        let both = apart(asked, &config).unwrap();
        assert_eq!((both.network, both.fresh), (Network::Bridge, true));
        assert_eq!(both.notes, [""; 0]);
        let asked = Asked {
            level: Some(Level::Standard),
            network: Some(Network::None),
            ..Asked::default()
        };
        let strict = self::config(Level::Strict, Network::Bridge);
        let both = apart(asked, &strict).unwrap();
        assert_eq!((both.level, both.network), (Level::Standard, Network::None));
        assert_eq!(both.notes, [""; 0]);
    }

    #[test]
    fn a_strict_level_has_no_network_whatever_the_config_says() {
        for level in [Level::Strict, Level::Paranoid] {
            for allow_weaker in [false, true] {
                let asked = Asked {
                    level: Some(level),
                    allow_weaker,
                    ..Asked::default()
                };
                let found = apart(asked, &config(Level::Standard, Network::Bridge)).unwrap();
                assert_eq!(found.network, Network::None);
                let note = format!(
                    "network bridge of docker-test.yaml stays closed: --level {} has no network",
                    level.as_str()
                );
                assert_eq!(found.notes, [note]);
            }
        }
    }

    /// The notes, and what is made of three kinds that the config says something about.
    fn said_of(level: Level, allow_weaker: bool) -> (Vec<String>, [Response; 3]) {
        let mut config = config(level, Network::None);
        let kinds = [
            ViolationKind::LeakedProcess,
            ViolationKind::MemoryNear,
            ViolationKind::LeakedIpc,
        ];
        let said = [Response::Ignore, Response::Ignore, Response::Fail];
        config.violations = kinds.into_iter().zip(said).collect();
        let asked = Asked {
            allow_weaker,
            ..Asked::default()
        };
        let found = apart(asked, &config).unwrap();
        (found.notes, kinds.map(|kind| found.responses.to(kind)))
    }

    #[test]
    fn the_config_says_what_is_made_of_violations_but_where_a_strict_level_promises() {
        let said = [Response::Ignore, Response::Ignore, Response::Fail];
        assert_eq!(said_of(Level::Standard, false), (vec![], said));
        let note = "violations.leaked-process: ignore of docker-test.yaml stays fail: level strict of docker-test.yaml fails a test for it";
        let kept = [Response::Fail, Response::Ignore, Response::Fail];
        assert_eq!(said_of(Level::Strict, false), (vec![note.into()], kept));
        let note = "--allow-weaker: violations.leaked-process: ignore, although level strict of docker-test.yaml fails a test for it";
        assert_eq!(said_of(Level::Strict, true), (vec![note.into()], said));
    }

    #[test]
    fn paranoid_is_fresh() {
        let found = apart(Asked::default(), &config(Level::Paranoid, Network::None)).unwrap();
        assert!(found.fresh);
        let strict = apart(Asked::default(), &config(Level::Strict, Network::None)).unwrap();
        assert!(!strict.fresh);
    }

    #[test]
    fn the_command_line_cannot_weaken_a_level_by_mistake() {
        let network = Asked {
            network: Some(Network::Internal),
            ..Asked::default()
        };
        let strict = config(Level::Strict, Network::None);
        let error = apart(network, &strict).unwrap_err().to_string();
        assert_eq!(
            error,
            "--network internal cannot be used: level strict of docker-test.yaml has no network\n\
             hint: leave one of the two out, or add --allow-weaker"
        );
        let fresh = Asked {
            level: Some(Level::Paranoid),
            fresh: Some(false),
            ..Asked::default()
        };
        let error = apart(fresh, &plain()).unwrap_err().to_string();
        assert_eq!(
            error,
            "--fresh worker cannot be used: --level paranoid has a container for each test\n\
             hint: leave one of the two out, or add --allow-weaker"
        );
        let found = apart(
            Asked {
                allow_weaker: true,
                ..fresh
            },
            &plain(),
        );
        assert!(!found.unwrap().fresh);
        let found = apart(
            Asked {
                allow_weaker: true,
                ..network
            },
            &strict,
        )
        .unwrap();
        assert_eq!(found.network, Network::Internal);
        assert_eq!(
            found.notes,
            [
                "--allow-weaker: --network internal, although level strict of docker-test.yaml has no network"
            ]
        );
    }
}
