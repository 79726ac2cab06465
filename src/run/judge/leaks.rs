//! What a test left behind or changed, as violations: one of each kind.

use super::Finding;
use crate::model::{Leak, ViolationKind, escape};
use crate::protocol::Report;

/// Different things that a message names; the others are counted.
const NAMED: usize = 5;

/// Everything of that kind in a report.
pub fn find(report: &Report) -> Vec<Finding> {
    let kinds = [
        ViolationKind::LeakedProcess,
        ViolationKind::LeakedFile,
        ViolationKind::LeakedIpc,
        ViolationKind::LeakedSocket,
        ViolationKind::ChangedWorker,
    ];
    let groups = kinds
        .iter()
        .flat_map(|kind| [(*kind, true), (*kind, false)]);
    let groups = groups.filter_map(|(kind, counts)| group(report, kind, counts));
    groups.chain(unclean(report)).collect()
}

fn kind(leak: &Leak) -> ViolationKind {
    match leak {
        Leak::Process { .. } => ViolationKind::LeakedProcess,
        Leak::Files { .. } => ViolationKind::LeakedFile,
        Leak::SysvIpc { .. } | Leak::MessageQueue { .. } => ViolationKind::LeakedIpc,
        Leak::Sockets { .. } => ViolationKind::LeakedSocket,
        Leak::Attributes { .. } | Leak::Supervisor { .. } => ViolationKind::ChangedWorker,
    }
}

/// What a leak adds to its group, in the unit of its kind.
fn amount(leak: &Leak) -> u64 {
    match leak {
        Leak::Files { bytes, .. } => *bytes,
        Leak::SysvIpc { count, .. } | Leak::Sockets { count } => *count,
        Leak::Process { .. }
        | Leak::MessageQueue { .. }
        | Leak::Attributes { .. }
        | Leak::Supervisor { .. } => 1,
    }
}

/// The leaks of one kind, those that count apart from those that are only facts.
fn group(report: &Report, of: ViolationKind, counts: bool) -> Option<Finding> {
    let leaks = report.leaks.iter();
    let leaks: Vec<&Leak> = leaks
        .filter(|leak| kind(leak) == of && leak.counts() == counts)
        .collect();
    if leaks.is_empty() {
        return None;
    }
    let named = named(&leaks);
    let message = match of {
        ViolationKind::ChangedWorker => named,
        _ => format!("left behind: {named}"),
    };
    Some(Finding {
        kind: of,
        threshold: None,
        actual: Some(leaks.iter().map(|leak| amount(leak) as f64).sum()),
        message,
        fact: !counts,
    })
}

/// `process sleep (3 times), process perl and 2 more`.
fn named(leaks: &[&Leak]) -> String {
    let mut different: Vec<(String, usize)> = Vec::new();
    let mut more = 0;
    for text in leaks.iter().map(ToString::to_string) {
        match different.iter().position(|(known, _)| *known == text) {
            Some(at) => different[at].1 += 1,
            None if different.len() == NAMED => more += 1,
            None => different.push((text, 1)),
        }
    }
    let shown = different.into_iter().map(|(text, times)| match times {
        1 => text,
        times => format!("{text} ({times} times)"),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A worker that cannot be brought back was changed in a way that has no name.
fn unclean(report: &Report) -> Option<Finding> {
    let problem = report.unclean.as_ref()?;
    Some(Finding {
        kind: ViolationKind::ChangedWorker,
        threshold: None,
        actual: Some(1.0),
        message: format!("its worker is replaced: {}", escape(problem.as_bytes())),
        fact: false,
    })
}
