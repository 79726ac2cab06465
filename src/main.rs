//! `docker-test`: runs any project's test suite inside hardened containers.

mod command;
mod config;
mod engine;
mod event;
mod host;
mod model;
mod protocol;
mod run;
mod store;
mod worker;

fn main() {}
