//! `docker-test`: runs any project's test suite inside hardened containers.

mod engine;
mod event;
mod host;
mod model;
mod protocol;
mod store;

fn main() {}
