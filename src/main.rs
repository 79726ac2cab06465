//! `docker-test`: runs any project's test suite inside hardened containers.

mod engine;
mod event;
mod model;
mod protocol;
mod report;

fn main() {}
