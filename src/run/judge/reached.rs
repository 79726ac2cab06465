//! Limits that were reached, or nearly.

use super::{Finding, InForce};
use crate::model::{
    Clock, Limits, Sample, Source, Statistics, StopReason, Termination, TimeoutState,
    ViolationKind, counted, format_bytes, format_duration, format_us,
};
use crate::protocol::Report;

/// The share of a limit from which it is nearly reached.
const NEAR: f64 = 0.9;
/// The share of its processors at which a test uses all that it has.
const ALL_CPUS: f64 = 0.95;
/// For so long it has to, in microseconds.
const SUSTAINED_US: u64 = 1_000_000;
/// In so many samples, where there are samples.
const SUSTAINED_SAMPLES: usize = 20;
/// A peak this far below the limit reached it: one page more was refused.
const PAGE_BYTES: u64 = 4096;

/// Everything of that kind in a report.
pub fn find(
    report: &Report,
    statistics: Option<&Statistics>,
    in_force: &InForce,
    timeout_state: Option<TimeoutState>,
) -> Vec<Finding> {
    let limits = &in_force.limits;
    let found = [
        memory(report, statistics, in_force),
        oom_kill(report),
        cpu(report, limits),
        stopped(report, limits, timeout_state),
        open_files(report, limits),
        pids(report, limits),
    ];
    found.into_iter().flatten().collect()
}

fn finding(kind: ViolationKind, threshold: f64, actual: f64, message: String) -> Finding {
    Finding {
        kind,
        threshold: Some(threshold),
        actual: Some(actual),
        message,
        fact: false,
    }
}

/// The exact peak, or else the highest sample. The bound over a sampled peak says nothing of this
/// test.
fn memory(report: &Report, statistics: Option<&Statistics>, in_force: &InForce) -> Option<Finding> {
    let used = &report.resources;
    let exact = used.memory_peak_source == Some(Source::Cgroup);
    let sampled = || {
        let series = statistics.and_then(|all| all.memory_bytes);
        used.memory_peak_bytes
            .max(series.map(|spread| spread.max as u64))
    };
    let peak = if exact {
        used.memory_peak_bytes
    } else {
        sampled()
    };
    let limit = in_force.limits.memory_bytes;
    let shown = format_bytes(limit);
    let enforced = if in_force.memory_holds {
        ""
    } else {
        ", which is not enforced here"
    };
    if peak.is_some_and(|peak| peak.saturating_add(PAGE_BYTES) >= limit) {
        let peak = peak?;
        let message = if peak > limit {
            format!("memory reached {} of {shown}{enforced}", format_bytes(peak))
        } else {
            format!("memory reached its limit of {shown}{}", files(report, peak))
        };
        let kind = ViolationKind::MemoryOver;
        return Some(finding(kind, limit as f64, peak as f64, message));
    }
    // What the samples missed. A kill below an exact peak was for want of memory elsewhere.
    if !exact && in_force.memory_holds && used.oom_kills.is_some_and(|kills| kills > 0) {
        return Some(Finding {
            kind: ViolationKind::MemoryOver,
            threshold: Some(limit as f64),
            actual: None,
            message: format!("memory reached its limit of {shown}, as a kill shows"),
            fact: false,
        });
    }
    let peak = peak.filter(|peak| *peak as f64 >= limit as f64 * NEAR)?;
    let percent = peak as u128 * 100 / u128::from(limit.max(1));
    let message = format!(
        "memory reached {} of {shown} ({percent} %){enforced}{}",
        format_bytes(peak),
        files(report, peak)
    );
    let kind = ViolationKind::MemoryNear;
    let threshold = limit as f64 * NEAR;
    Some(finding(kind, threshold, peak as f64, message))
}

/// What most of a peak was, where it was page cache and tmpfs.
fn files(report: &Report, peak: u64) -> String {
    match report.resources.memory_file_bytes {
        Some(files) if files >= peak / 2 => {
            format!(", {} of it page cache and tmpfs", format_bytes(files))
        }
        _ => String::new(),
    }
}

fn oom_kill(report: &Report) -> Option<Finding> {
    let kills = report.resources.oom_kills.filter(|kills| *kills > 0)?;
    let itself = match report.termination {
        Termination::Exit(status) => format!("exited with {status}"),
        Termination::Signal(_) => format!("was ended by {}", report.termination),
    };
    Some(Finding {
        kind: ViolationKind::OomKill,
        threshold: None,
        actual: Some(kills as f64),
        message: format!(
            "the kernel killed {kills} {} for want of memory; the test itself {itself}",
            if kills == 1 { "process" } else { "processes" }
        ),
        fact: false,
    })
}

/// By the samples, where there are enough of them; else by the whole of a test that took long.
fn cpu(report: &Report, limits: &Limits) -> Option<Finding> {
    let used = &report.resources;
    let whole = || {
        let (wall, cpu) = (used.wall_us, used.cpu_us?);
        (wall >= SUSTAINED_US).then_some((cpu, wall))
    };
    let (cpu_us, span_us) = most_sustained(&report.series).or_else(whole)?;
    let percent = cpu_us as f64 * 100.0 / span_us as f64;
    let threshold = limits.cpus * 100.0 * ALL_CPUS;
    (percent >= threshold).then(|| {
        let message = format!(
            "CPU use stayed at {percent:.0} % of {:.0} % for {}",
            limits.cpus * 100.0,
            format_us(span_us)
        );
        finding(ViolationKind::CpuNear, threshold, percent, message)
    })
}

/// Of all spans with [`SUSTAINED_SAMPLES`] samples and at least [`SUSTAINED_US`], the one in which
/// the test computed most: its CPU time and its length, in microseconds.
fn most_sustained(series: &[Sample]) -> Option<(u64, u64)> {
    let start = (0, 0);
    let sampled = series.iter().filter_map(|s| Some((s.time_us, s.cpu_us?)));
    let points: Vec<(u64, u64)> = std::iter::once(start).chain(sampled).collect();
    let mut from = 0;
    let mut most: Option<(u64, u64)> = None;
    for (to, (time, cpu)) in points.iter().enumerate() {
        let is_span = |from: usize| {
            from + SUSTAINED_SAMPLES <= to && time.saturating_sub(points[from].0) >= SUSTAINED_US
        };
        while is_span(from + 1) {
            from += 1;
        }
        if is_span(from) {
            let span = (cpu.saturating_sub(points[from].1), time - points[from].0);
            let more = |other: (u64, u64)| {
                u128::from(span.0) * u128::from(other.1) > u128::from(other.0) * u128::from(span.1)
            };
            if most.is_none_or(more) {
                most = Some(span);
            }
        }
    }
    most
}

/// The limit that ended it, if one did.
fn stopped(
    report: &Report,
    limits: &Limits,
    timeout_state: Option<TimeoutState>,
) -> Option<Finding> {
    let used = &report.resources;
    let (kind, threshold, actual, message) = match report.stopped? {
        StopReason::Timeout(Clock::Wall) => {
            let state =
                timeout_state.map_or_else(String::new, |state| format!(" ({})", state.told(used)));
            let limit = format_duration(limits.wall);
            let message = format!("wall-clock time reached its limit of {limit}{state}");
            let threshold = limits.wall.as_micros() as f64;
            (ViolationKind::Wall, threshold, Some(used.wall_us), message)
        }
        StopReason::Timeout(Clock::Cpu) => {
            let limit = format_duration(limits.cpu_time);
            let message = format!("CPU time reached its limit of {limit}");
            let threshold = limits.cpu_time.as_micros() as f64;
            (ViolationKind::CpuTime, threshold, used.cpu_us, message)
        }
        StopReason::OutputLimit => {
            let written = report.stdout_bytes.saturating_add(report.stderr_bytes);
            let limit = format_bytes(limits.output_bytes);
            let message = format!("output went over its limit of {limit}");
            let threshold = limits.output_bytes as f64;
            (
                ViolationKind::OutputLimit,
                threshold,
                Some(written),
                message,
            )
        }
        StopReason::Interrupt => return None,
    };
    Some(Finding {
        kind,
        threshold: Some(threshold),
        actual: actual.map(|actual| actual as f64),
        message,
        fact: false,
    })
}

/// The limit is each process's and a sample has the sum of all: where that is nearly as much as all
/// of them may have together, one at least is there. For one process that is exact.
fn open_files(report: &Report, limits: &Limits) -> Option<Finding> {
    let each = |sample: &Sample| {
        let processes = sample.processes.filter(|processes| *processes > 0)?;
        let each = sample.open_files? as f64 / processes as f64;
        Some((each, processes))
    };
    let samples = report.series.iter().filter_map(each);
    let (actual, processes) = samples.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let threshold = limits.open_files as f64 * NEAR;
    (actual >= threshold).then(|| {
        let limit = limits.open_files;
        let message = if processes == 1 {
            format!("it had {actual:.0} of {limit} open files")
        } else {
            format!(
                "its {processes} processes had {actual:.0} of {limit} open files each, on average"
            )
        };
        finding(ViolationKind::OpenFilesNear, threshold, actual, message)
    })
}

/// A fork is refused only where there are as many processes as may be.
fn pids(report: &Report, limits: &Limits) -> Option<Finding> {
    let hits = report.resources.pids_limit_hits.filter(|hits| *hits > 0)?;
    let limit = limits.pids;
    let forks = counted(hits, "fork");
    let message = format!("the pids limit of {limit} refused {forks}");
    let kind = ViolationKind::PidsLimit;
    Some(finding(kind, limit as f64, limit as f64, message))
}
