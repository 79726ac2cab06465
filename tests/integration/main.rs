//! Tests of the program as it is typed. One binary, so that it is linked once.

mod docs;
mod harness;
mod layers;
