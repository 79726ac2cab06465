//! Layer 2: which tests a suite has, and what a test's command is.
//!
//! A search names what stops it: a directory that cannot be read, a loop or a dangling link that
//! would be a test is an error, never a silently smaller suite.

mod command;
mod discover;
mod listing;
mod marker;
mod place;
mod project;

pub use command::command;
pub use discover::discover;
pub use listing::parse_listing;
pub use project::check_project;

use crate::model::TestId;

/// A test as the search found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTest {
    /// What names it.
    pub id: TestId,
    /// The profile that its file names in the first lines; one that the config has.
    pub marker: Option<String>,
}

/// The suite cannot be used. Always the user's to mend (exit status 2). All texts are safe to
/// print.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// A directory is no project.
    #[error("cannot use '{path}' as a project: {why}\nhint: {hint}")]
    Project {
        /// The directory.
        path: String,
        /// Why not.
        why: String,
        /// What to do.
        hint: String,
    },
    /// A place cannot be searched.
    #[error("cannot search '{place}': '{component}' {why}")]
    Place {
        /// What was to be searched, as it was given.
        place: String,
        /// The part of its path, or the file below it, that is the reason.
        component: String,
        /// What is wrong with that.
        why: String,
    },
    /// The config's patterns are none.
    #[error("{0}")]
    Pattern(String),
    /// The suite's root, which the config or its default names, cannot be searched.
    #[error(
        "cannot search '{place}': '{component}' {why}\n\
         hint: name tests on the command line, or set suite.root in docker-test.yaml"
    )]
    Root {
        /// The suite's root.
        place: String,
        /// The part of its path that is the reason.
        component: String,
        /// What is wrong with that.
        why: String,
    },
    /// A file's marker names a profile that there is not.
    #[error("{file}:{line}: unknown profile '{name}': {suggestion}")]
    Marker {
        /// The file, from the project's root.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The profile.
        name: String,
        /// A profile that was probably meant, or all of them.
        suggestion: String,
    },
    /// The listing command named a test twice.
    #[error("suite.list: lines {first} and {second} are the same test '{id}': print each id once")]
    Duplicate {
        /// The test.
        id: String,
        /// The first line, from 1.
        first: usize,
        /// The second line.
        second: usize,
    },
    /// The listing command printed something that is no id.
    #[error("suite.list: line {line} contains a NUL byte: print one id a line")]
    NotAnId {
        /// The line, from 1.
        line: usize,
    },
}
