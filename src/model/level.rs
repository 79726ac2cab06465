//! How much a test is kept apart: the level, and the network that it sees.

use serde::{Deserialize, Serialize};

/// What a run promises for each of its tests. Each promises all that those before it do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// A worker that was reset and checked. What a test leaves behind is a warning, and so is a
    /// limit that does not hold.
    #[default]
    Standard,
    /// What a test leaves behind fails it, and so does a pids limit that it hits. Limits that do
    /// not hold end the run. There is no network.
    Strict,
    /// In a container of its own, too.
    Paranoid,
}

impl Level {
    /// Every level, weakest first.
    pub const ALL: [Level; 3] = [Level::Standard, Level::Strict, Level::Paranoid];

    /// Its word, as in the config and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Standard => "standard",
            Level::Strict => "strict",
            Level::Paranoid => "paranoid",
        }
    }

    /// Whether what a test leaves behind fails it, and what was promised has to hold.
    pub fn is_strict(self) -> bool {
        self >= Level::Strict
    }
}

/// What of a network a test sees, apart from loopback. Nothing is ever published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// An interface with an address, and nobody to reach through it.
    Internal,
    /// The engine's bridge: whatever the machine reaches.
    Bridge,
}

impl Network {
    /// Every network, the most closed first.
    pub const ALL: [Network; 3] = [Network::None, Network::Internal, Network::Bridge];

    /// Its word, as in the config and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Network::None => "none",
            Network::Internal => "internal",
            Network::Bridge => "bridge",
        }
    }
}
