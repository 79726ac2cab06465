//! Tests of the program as it is typed. One binary, so that it is linked once.

#![allow(clippy::unwrap_used)]

mod auto_engine;
mod bad_input;
mod ci;
mod ci_files;
mod ci_jobs;
mod cli;
mod dial_in;
mod docker_commands;
mod docker_faults;
mod docs;
mod engine_compose;
mod engine_interrupts;
mod engine_judge;
mod engine_levels;
mod engine_limits;
mod engine_losses;
mod engine_measure;
mod engine_outcomes;
mod engine_peak;
mod engine_places;
mod engine_proof;
mod engine_replicas;
mod engine_schedules;
mod engine_sizes;
mod engine_violations;
mod engines;
mod fake_engine;
mod harness;
mod host_run;
mod images;
mod layers;
mod levels;
mod look;
mod machine;
mod merging;
mod odd_input;
mod records;
mod redact;
mod release;
mod report;
mod sandbox_edges;
mod sandbox_faults;
mod scheduling;
mod seeded;
