//! `docker-test compose`: the containers of a run, for compose to start them.

use super::{Failure, text};
use crate::cli::Compose;
use crate::run::compose_file;

/// Prints `docker-compose.test.yml`.
pub fn compose(Compose { print: _ }: &Compose) -> Result<u8, Failure> {
    text::print(compose_file()?.as_bytes())
}
