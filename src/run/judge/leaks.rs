//! What a test left behind or changed, as violations: one of each kind, and files in its own folders
//! apart.

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
    groups.collect()
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
    let mut texts: Vec<String> = leaks.iter().map(ToString::to_string).collect();
    let mut actual: f64 = leaks.iter().map(|leak| amount(leak) as f64).sum();
    if let Some(problem) = report.unclean.as_ref().filter(|_| counts)
        && of == ViolationKind::ChangedWorker
    {
        // It was changed in a way that has no name.
        texts.push(format!("replaced: {}", escape(problem.as_bytes())));
        actual += 1.0;
    }
    if texts.is_empty() {
        return None;
    }
    let named = named(texts);
    let message = match of {
        ViolationKind::ChangedWorker => named,
        _ => format!("left behind: {named}"),
    };
    Some(Finding {
        kind: of,
        threshold: None,
        actual: Some(actual),
        message,
        fact: !counts,
    })
}

/// `process sleep (3 times), process perl and 2 more`.
fn named(texts: Vec<String>) -> String {
    let mut different: Vec<(String, usize)> = Vec::new();
    let mut more = 0;
    for text in texts {
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
