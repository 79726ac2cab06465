//! `docker-test`: runs any project's test suite inside hardened containers.

mod config;
mod engine;
mod event;
mod model;
mod plan;
mod protocol;
mod suite;

fn main() {}
