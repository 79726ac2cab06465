//! The network that the workers of one run have: made before them and removed after them. What a
//! launcher that was killed left behind is removed by a later one, and by `clean`.

use std::sync::Arc;

use super::Failure;
use crate::engine::{Engine, Found, Owner};
use crate::host;
use crate::model::Network;
use crate::run::Site;

/// A run's own network, for as long as this lives.
pub struct OwnNetwork {
    engine: Arc<dyn Engine>,
    name: String,
}

impl OwnNetwork {
    /// Makes it where the run is to have one.
    ///
    /// # Errors
    /// The engine refuses, or does not answer in time.
    pub fn make(engine: &Arc<dyn Engine>, site: &Site) -> Result<Option<Self>, Failure> {
        if site.network != Network::Internal {
            return Ok(None);
        }
        // The engine has addresses for a few dozen. One whose last container is just ending is
        // removed another time.
        for found in engine.networks()?.iter().filter(|found| is_dead(found)) {
            let _ = engine.remove_network(&found.id);
        }
        // From here on, so that one is removed whose making was not heard to succeed.
        let own = OwnNetwork {
            engine: Arc::clone(engine),
            name: site.owner.network_name(),
        };
        engine.make_network(&site.owner)?;
        Ok(Some(own))
    }
}

impl Drop for OwnNetwork {
    fn drop(&mut self) {
        if let Err(error) = self.engine.remove_network(&self.name) {
            let name = &self.name;
            eprintln!("warning: the network {name} is left to `docker-test clean`: {error}");
        }
    }
}

/// Whether the launcher that made this is known, and dead.
pub fn is_dead(found: &Found) -> bool {
    found.owner.as_ref().is_some_and(|owner| !is_alive(owner))
}

/// Whether this launcher still lives.
pub fn is_alive(owner: &Owner) -> bool {
    host::is_alive(&owner.boot, owner.pid, owner.pid_start)
}
