//! `docker-test`: runs any project's test suite inside hardened containers.

mod command;
mod engine;
mod event;
mod model;
mod protocol;

fn main() {}
