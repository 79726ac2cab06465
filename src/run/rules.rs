//! What a level makes of limits that do not hold: a warning, a failure of the worker's tests, or the
//! end of the run. Pure.

use crate::event::{LimitCheck, LimitState, RunStarted};
use crate::model::Level;

/// How strictly a run judges.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    level: Level,
    allow_weaker: bool,
}

/// What follows for a worker from the limits that do not hold for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It takes tests.
    Fit,
    /// It takes tests, and these limits count against each of them.
    Weaker(Vec<&'static str>),
    /// It takes none, and the run ends: this machine does not keep the level's promise.
    Unfit(Vec<&'static str>),
}

impl Rules {
    /// Those of a run with this head.
    pub fn of(head: &RunStarted) -> Self {
        Rules {
            level: head.level,
            allow_weaker: head.allow_weaker,
        }
    }

    /// Judges a worker by its limits. `held_before`: they did hold for another worker of its class,
    /// so it is this one's container that is wrong, not the machine.
    pub fn fitness(self, limits: &[LimitCheck], held_before: bool) -> Fitness {
        let missing = unenforced(limits);
        if missing.is_empty() || !self.level.is_strict() || self.allow_weaker {
            Fitness::Fit
        } else if held_before {
            Fitness::Weaker(missing)
        } else {
            Fitness::Unfit(missing)
        }
    }
}

/// The limits that do not hold.
fn unenforced(limits: &[LimitCheck]) -> Vec<&'static str> {
    let missing = limits
        .iter()
        .filter(|check| check.state == LimitState::Unenforced);
    missing.map(|check| check.limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(level: Level, allow_weaker: bool) -> Rules {
        Rules {
            level,
            allow_weaker,
        }
    }

    #[test]
    fn limits_that_do_not_hold_are_an_error_only_where_they_are_promised() {
        let check = |limit, state| LimitCheck {
            limit,
            state,
            found: String::new(),
        };
        let limits = [
            check("memory", LimitState::Enforced),
            check("cpus", LimitState::Clamped),
            check("pids", LimitState::Unenforced),
            check("swap", LimitState::Unenforced),
        ];
        let missing = vec!["pids", "swap"];
        for (level, allow_weaker, held_before, fitness) in [
            (Level::Standard, false, false, Fitness::Fit),
            (Level::Strict, true, false, Fitness::Fit),
            (Level::Strict, true, true, Fitness::Fit),
            (Level::Strict, false, false, Fitness::Unfit(missing.clone())),
            (Level::Strict, false, true, Fitness::Weaker(missing.clone())),
            (Level::Paranoid, false, false, Fitness::Unfit(missing)),
        ] {
            let rules = rules(level, allow_weaker);
            assert_eq!(rules.fitness(&limits, held_before), fitness);
            assert_eq!(rules.fitness(&limits[..2], held_before), Fitness::Fit);
        }
    }
}
