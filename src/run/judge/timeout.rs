//! What a test did when its wall-clock time ran out.

use crate::model::{Clock, Limits, Sample, StopReason, TimeoutState};
use crate::protocol::Report;

/// From this share of one processor on it computed. (Of less, where its limit is less than one.)
const BUSY: f64 = 0.25;
/// Who uses less than this share was not held back: it waited.
const WANTS: f64 = 0.02;
/// It was held back for this share of its time.
const HELD_BACK: f64 = 0.2;

/// Who could run at so many of the looks at it, in percent, wanted to.
const RUNNABLE: u64 = 50;

/// What it did, by its CPU time in the last third of its samples before the limit, or where they say
/// nothing of that, in the whole of it. A limit of CPU time ends only who computes: of that nothing
/// is said, and neither is it where nothing was measured.
pub fn state(report: &Report, limits: &Limits) -> Option<TimeoutState> {
    if report.stopped != Some(StopReason::Timeout(Clock::Wall)) {
        return None;
    }
    let used = &report.resources;
    let wall = used.wall_us.max(1) as f64;
    let whole = || Some(used.cpu_us? as f64 / wall);
    let limit_us = limits.wall.as_micros() as u64;
    let rate = last_third(&report.series, limit_us).or_else(whole)?;
    let share = rate / limits.cpus.min(1.0);
    let held_back = used.throttled_us.max(used.cpu_pressure_us).unwrap_or(0) as f64 / wall;
    Some(if held_back >= HELD_BACK && share >= WANTS {
        TimeoutState::Starved
    } else if share >= BUSY {
        TimeoutState::Busy
    } else if used.cpu_pressure_us.is_none() && report.runnable_percent >= Some(RUNNABLE) {
        // No kernel counts how long it waited for a processor, but it was seen to.
        TimeoutState::Starved
    } else {
        TimeoutState::Idle
    })
}

/// Processors used in the last third of the time that the samples before `limit_us` tell of; `None`
/// where they end in its first half. What a test does after SIGTERM is not asked.
fn last_third(series: &[Sample], limit_us: u64) -> Option<f64> {
    let sampled = series.iter().filter_map(|s| Some((s.time_us, s.cpu_us?)));
    let before = |point: &(u64, u64)| point.0 <= limit_us;
    let points: Vec<(u64, u64)> = sampled.filter(before).collect();
    let (end, cpu) = *points.last()?;
    if end < limit_us / 2 {
        return None;
    }
    let early = |point: &&(u64, u64)| point.0 <= end - end / 3;
    let (from, cpu_before) = points.iter().rfind(early).copied().unwrap_or((0, 0));
    let time = end.checked_sub(from).filter(|time| *time > 0)?;
    Some(cpu.saturating_sub(cpu_before) as f64 / time as f64)
}
