//! Exit statuses: a documented table (`doc/exit-codes.md`), and the errors that lead to each.

use crate::config::ConfigError;
use crate::engine::BuildError;
use crate::engine::EngineError;
use crate::engine::ImageStoreError;
use crate::plan::PlanError;
use crate::report::FileError;
use crate::run::RunError;
use crate::store::StoreError;
use crate::suite::SuiteError;

/// Why a command could not be done. The statuses of a run that was done, 0, 1 and 128 + signal,
/// come from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was typed, the config or the suite is wrong.
    Usage = 2,
    /// The engine or an image.
    Engine = 3,
    /// No test matched.
    NoTests = 4,
    /// Results cannot be written.
    Results = 5,
}

impl Exit {
    /// The process's exit status.
    pub fn status(self) -> u8 {
        self as u8
    }
}

/// A command could not be done.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// One line, and after it lines that begin with `hint: `. Safe to print.
    pub message: String,
}

impl Failure {
    /// One that the user can mend: usage, config or suite.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// The engine's, or an image's.
    pub fn engine(message: impl Into<String>) -> Self {
        Failure {
            exit: Exit::Engine,
            message: message.into(),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::usage(error.to_string())
    }
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        Failure::usage(error.to_string())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let exit = match error {
            PlanError::NoTests { .. } => Exit::NoTests,
            _ => Exit::Usage,
        };
        Failure {
            exit,
            message: error.to_string(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Failure::engine(error.to_string())
    }
}

impl From<ImageStoreError> for Failure {
    fn from(error: ImageStoreError) -> Self {
        Failure::engine(error.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let exit = match error {
            BuildError::InvalidBase(_) => Exit::Usage,
            _ => Exit::Engine,
        };
        Failure {
            exit,
            message: error.to_string(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure {
            exit: Exit::Results,
            message: error.to_string(),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Failure {
            exit: Exit::Results,
            message: error.to_string(),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let exit = match error {
            RunError::NoWorker(_) | RunError::Weaker { .. } | RunError::NobodyDialledIn { .. } => {
                Exit::Engine
            }
            RunError::Sink(_) => Exit::Results,
        };
        Failure {
            exit,
            message: error.to_string(),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure {
            exit: Exit::Results,
            message: format!("it has no JSON: {error}"),
        }
    }
}
