//! Texts that compose files are made of, and the promises that they keep.
