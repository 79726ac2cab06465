//! Tests of the program as it is typed. One binary, so that it is linked once.

#![allow(clippy::unwrap_used)]

mod auto_engine;
mod bad_input;
mod cli;
mod docker_commands;
mod docs;
mod engine_faults;
mod engine_levels;
mod engine_outcomes;
mod engine_proof;
mod fake_engine;
mod harness;
mod host_run;
mod images;
mod layers;
mod levels;
mod odd_input;
mod redact;
mod sandbox_edges;
