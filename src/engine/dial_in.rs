//! No engine at all: the workers are started by somebody else, and dial in.

use std::ffi::OsString;

use super::{Capabilities, Container, ContainerSpec, Engine, EngineError, EngineKind, Health};

/// What stands for the engine of workers that dial in.
#[derive(Clone, Copy, Debug)]
pub struct DialIn;

impl Engine for DialIn {
    fn kind(&self) -> EngineKind {
        EngineKind::DialIn
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // As its workers attest.
            isolates: true,
            images: false,
        }
    }

    fn health(&self) -> Result<Health, EngineError> {
        Ok(Health {
            version: env!("CARGO_PKG_VERSION").into(),
            cgroup_version: None,
            cpus: None,
            memory_bytes: None,
            data_root: None,
            security: Vec::new(),
        })
    }

    fn command_line(&self, _spec: &ContainerSpec) -> Result<Option<Vec<OsString>>, EngineError> {
        Ok(None)
    }

    fn create(&self, _spec: &ContainerSpec) -> Result<Box<dyn Container>, EngineError> {
        Err(EngineError::Other(
            "workers dial in, and none is started from here".into(),
        ))
    }
}
