//! Layer 4: orchestration. Starts workers, hands out tests, turns what comes back into events.
//!
//! One thread decides everything; each worker has a thread that starts it and reads from it. They
//! talk through one channel. Reporters and the store are behind [`Sink`].

mod attempt;
mod connection;
mod digests;
mod dispatch;
mod guests;
mod hear;
mod images;
mod interrupt;
mod judge;
mod limits;
mod listen;
mod machine;
mod peak;
mod replicas;
mod request;
mod resize;
mod rules;
mod services;
mod spec;
mod watch;

pub use digests::ImageDigests;
pub use dispatch::Policy;
pub use images::{RUNTIME_FOLDER, Workshop};
pub use interrupt::forward_signals;
pub use limits::clamp;
pub use listen::Listener;
pub use machine::run;
pub use replicas::replicas;
pub use request::{Answer, Class, Inbox, Request, RunError};
pub use services::compose_file;
#[cfg(test)]
pub use spec::worker_arguments;
pub use spec::{HOME, PROJECT, Root, Site, plain_spec, worker_spec};
