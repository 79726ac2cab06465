//! Layer 5: one file per subcommand.

pub mod probe;
