//! From the profile of each path to as few rules as are needed.
//!
//! A rule is a folder's glob or an exact path, and the last that matches counts; so the rules of a
//! folder stand before those of what is in it. A glob may take in a path that needs another profile,
//! which then has a rule of its own, but never one that nobody could judge.

use std::collections::BTreeMap;

use super::Fitted;
use crate::config::{Rule, literal};

/// More than any real number of rules, and small enough to be added up.
const NEVER: u64 = 1 << 40;

/// The rules to add behind those that there are, so that every path gets the profile that it should
/// have.
pub fn rules(paths: &[Fitted]) -> Vec<Rule> {
    // To a path with a marker it is all the same what the rules say.
    let ruled = paths
        .iter()
        .filter(|path| path.origin != crate::model::ProfileOrigin::Marker);
    let mut wanted: Vec<&str> = ruled.clone().map(Fitted::wanted).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut root = Node::default();
    for path in ruled {
        let settled = !path.is_ruled() || matches!(path.fit, super::Fit::Unjudged { .. });
        let want = if settled {
            path.profile.as_str()
        } else {
            path.wanted()
        };
        let leaf = Leaf {
            // A profile that is wanted nowhere else is one that no glob gives.
            want: wanted.binary_search(&want).ok(),
            changes: want != path.profile,
            settled,
        };
        let mut node = &mut root;
        for part in path.path.as_bytes().split(|byte| *byte == b'/') {
            node = node.below.entry(part).or_default();
        }
        node.leaf = Some(leaf);
    }
    root.count(wanted.len());
    let mut rules = Vec::new();
    root.choose(&mut Vec::new(), None, &wanted, &mut rules);
    rules
}

/// A path that the rules are for.
struct Leaf {
    /// Its profile's place.
    want: Option<usize>,
    /// Whether the rules that there are give it another one.
    changes: bool,
    /// No rule may be written for it.
    settled: bool,
}

impl Leaf {
    /// Rules that it needs of its own, where the last glob above it gives it `inherited`, and none
    /// where that is absent.
    fn cost(&self, inherited: Option<usize>) -> u64 {
        let fits = match inherited {
            None => !self.changes,
            some => some == self.want,
        };
        match (fits, self.settled) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => NEVER,
        }
    }
}

/// A folder or a path, or both.
#[derive(Default)]
struct Node<'a> {
    below: BTreeMap<&'a [u8], Node<'a>>,
    leaf: Option<Leaf>,
    /// Rules that it and all below it need with nothing inherited, and with each profile. The same
    /// without what is at the node itself: a folder's glob is for what is below it.
    costs: Vec<u64>,
    inside: Vec<u64>,
}

impl Node<'_> {
    fn count(&mut self, profiles: usize) {
        self.inside = vec![0; profiles + 1];
        for node in self.below.values_mut() {
            node.count(profiles);
            for (sum, cost) in self.inside.iter_mut().zip(&node.costs) {
                *sum = (*sum + cost).min(NEVER);
            }
        }
        let with_glob = self
            .inside
            .iter()
            .skip(1)
            .min()
            .map_or(NEVER, |cost| cost + 1);
        let own = |at: usize| {
            let inherited = at.checked_sub(1);
            self.leaf.as_ref().map_or(0, |leaf| leaf.cost(inherited))
        };
        let costs = self.inside.iter().enumerate();
        self.costs = costs
            .map(|(at, cost)| match *cost {
                // A glob within the glob would mend it, and nobody would see why it is there.
                NEVER => NEVER,
                cost => (own(at) + cost.min(with_glob)).min(NEVER),
            })
            .collect();
    }

    /// Writes the rules. `path` is the node's own.
    fn choose<'p>(
        &'p self,
        path: &mut Vec<&'p [u8]>,
        inherited: Option<usize>,
        profiles: &[&str],
        rules: &mut Vec<Rule>,
    ) {
        let rule = |profile: usize, path: &[&[u8]], end: &str| {
            let text = String::from_utf8(path.join(&b'/')).ok()?;
            Some(Rule {
                path: literal(&text) + end,
                profile: (*profiles.get(profile)?).to_owned(),
            })
        };
        if let Some(leaf) = &self.leaf
            && leaf.cost(inherited) > 0
            && let Some(want) = leaf.want
        {
            rules.extend(rule(want, path, ""));
        }
        let plain = self.inside[inherited.map_or(0, |at| at + 1)];
        let best = self
            .inside
            .iter()
            .skip(1)
            .enumerate()
            .min_by_key(|(_, cost)| **cost);
        let mut inherited = inherited;
        // A glob only where it saves a rule: further down it says more exactly what is meant.
        if let Some((profile, cost)) = best
            && cost + 1 < plain
        {
            let end = if path.is_empty() { "**" } else { "/**" };
            if let Some(glob) = rule(profile, path, end) {
                rules.push(glob);
                inherited = Some(profile);
            }
        }
        for (part, node) in &self.below {
            path.push(part);
            node.choose(path, inherited, profiles, rules);
            path.pop();
        }
    }
}
