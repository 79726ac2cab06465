//! What an engine can keep apart at all, asked before anything is started.

use super::Failure;
use crate::engine::{Engine, EngineKind};
use crate::plan::Apart;

/// Whether `engine` can keep tests apart like this.
///
/// # Errors
/// It cannot: which part, and what to do.
pub fn possible(apart: &Apart, engine: &dyn Engine) -> Result<(), Failure> {
    let name = engine.kind().as_str();
    let isolates = engine.capabilities().isolates;
    if !isolates && apart.level.is_strict() && !apart.allow_weaker {
        return Err(Failure::engine(format!(
            "level {} cannot be kept by --engine {name}: it has no container, so nothing that the level promises holds\n\
             hint: use another engine, or add --allow-weaker",
            apart.level.as_str()
        )));
    }
    // One that isolates nothing says that of itself, and has whatever network the machine has.
    if isolates && !engine.offers(apart.network) {
        return Err(Failure::engine(format!(
            "the engine {name} has no network {} here\nhint: use --network none, or --engine docker{}",
            apart.network.as_str(),
            match engine.kind() {
                EngineKind::Sandbox => ", or give the sandbox slirp4netns and /dev/net/tun",
                _ => "",
            }
        )));
    }
    Ok(())
}
