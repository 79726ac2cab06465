//! Tests of the program as it is typed. One binary, so that it is linked once.

mod engine_faults;
mod engine_outcomes;
mod engine_proof;
mod harness;
mod layers;
