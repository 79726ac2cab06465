//! `docker-test`: runs any project's test suite inside hardened containers.
//!
//! The whole program is [`command::main`]; `doc/architecture.md` has the map.

mod cli;
mod command;
mod config;
mod engine;
mod event;
mod host;
mod model;
mod plan;
mod protocol;
mod report;
mod run;
mod store;
mod suite;
mod worker;

fn main() -> std::process::ExitCode {
    command::main()
}
