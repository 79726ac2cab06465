//! What a run makes of each kind of violation: the config's word over the level's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Level, ViolationKind};

/// What is made of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// Nothing: it is not recorded.
    Ignore,
    /// It is recorded and shown.
    Warn,
    /// A test that would have passed fails.
    Fail,
}

impl Response {
    /// Every response, mildest first.
    pub const ALL: [Response; 3] = [Response::Ignore, Response::Warn, Response::Fail];

    /// Its word, as in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Response::Ignore => "ignore",
            Response::Warn => "warn",
            Response::Fail => "fail",
        }
    }
}

/// The response to every kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses(BTreeMap<ViolationKind, Response>);

impl Responses {
    /// What a level makes of each kind, where nobody says otherwise.
    pub fn of(level: Level) -> Self {
        let response = |kind: ViolationKind| {
            let fails = kind.ends_the_test() || (level.is_strict() && kind.is_promised());
            (
                kind,
                if fails {
                    Response::Fail
                } else {
                    Response::Warn
                },
            )
        };
        Responses(ViolationKind::ALL.map(response).into())
    }

    /// The response to one kind.
    pub fn to(&self, kind: ViolationKind) -> Response {
        self.0.get(&kind).copied().unwrap_or(Response::Warn)
    }

    /// Changes the response to one kind.
    pub fn set(&mut self, kind: ViolationKind, response: Response) {
        self.0.insert(kind, response);
    }
}

impl Default for Responses {
    /// Those of the default level.
    fn default() -> Self {
        Responses::of(Level::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_serde() {
        for response in Response::ALL {
            assert_eq!(serde_json::to_value(response).unwrap(), response.as_str());
        }
    }

    #[test]
    fn a_strict_level_fails_a_test_for_what_it_promises() {
        let failing = |level| {
            let responses = Responses::of(level);
            let mut kinds = ViolationKind::ALL.to_vec();
            kinds.retain(|kind| responses.to(*kind) == Response::Fail);
            kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()
        };
        let ended = ["oom-kill", "cpu-time", "wall", "output-limit"];
        assert_eq!(failing(Level::Standard), ended);
        let strict = [
            "oom-kill",
            "cpu-time",
            "wall",
            "pids-limit",
            "output-limit",
            "leaked-process",
            "leaked-file",
            "leaked-ipc",
            "leaked-socket",
            "changed-worker",
        ];
        assert_eq!(failing(Level::Strict), strict);
        assert_eq!(failing(Level::Paranoid), strict);
    }

    /// Nothing is ignored that nobody asked to ignore.
    #[test]
    fn every_kind_has_a_response() {
        for level in Level::ALL {
            let responses = Responses::of(level);
            assert_eq!(responses.0.len(), ViolationKind::ALL.len());
            assert!(!responses.0.values().any(|one| *one == Response::Ignore));
        }
    }

    /// `doc/violations.md` has a row for each kind, with its default and its unit.
    #[test]
    fn the_document_has_every_kind() {
        let document = include_str!("../../doc/violations.md");
        let rows: Vec<Vec<&str>> = document
            .lines()
            .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        for kind in ViolationKind::ALL {
            let name = format!("`{}`", kind.as_str());
            let row = rows.iter().find(|row| row[0] == name);
            let row = row.unwrap_or_else(|| panic!("no row for {name}"));
            let default = match kind {
                _ if kind.ends_the_test() => "fail, always",
                _ if kind.is_promised() => "warn; `fail` from `strict` on",
                _ => "warn",
            };
            assert_eq!(row[2], default, "{name}");
            assert!(row[4].contains(kind.unit()), "{name}");
        }
    }
}
