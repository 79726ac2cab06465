//! What a test needs, from what its passes used.

use serde::Serialize;

use super::ENOUGH;
use crate::model::{Limits, Resources, Source, format_bytes, format_us};

/// From so many passes on, the 99th percentile of the wall-clock time stands for its maximum.
const ENOUGH_FOR_P99: usize = 100;
/// A use of processors is told from less CPU time only badly, and a CPU limit does not slow so little
/// down: it counts in periods of 100 ms.
const LEAST_CPU_US: u64 = 100_000;
/// Between two samples there may have been more.
const SAMPLED: f64 = 4.0;
/// Room above what was counted.
const COUNTED: f64 = 1.5;
/// The supervisor is one of the processes that the limit counts.
const SUPERVISOR: f64 = 1.0;

/// What one pass used.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// What was measured.
    pub resources: Resources,
    /// The most open files of all its processes in a sample.
    pub open_files_max: Option<f64>,
    /// Written to both streams, in bytes.
    pub output_bytes: u64,
}

/// A limit, as a profile names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Bytes.
    Memory,
    /// Microseconds.
    Timeout,
    /// Microseconds.
    CpuTime,
    /// Processors.
    Cpus,
    /// Processes and threads, the supervisor included.
    Pids,
    /// Open files.
    OpenFiles,
    /// Bytes.
    Tmpfs,
    /// Bytes.
    Output,
}

impl Limit {
    /// Every limit that is judged.
    const ALL: [Limit; 8] = [
        Limit::Memory,
        Limit::Timeout,
        Limit::CpuTime,
        Limit::Cpus,
        Limit::Pids,
        Limit::OpenFiles,
        Limit::Tmpfs,
        Limit::Output,
    ];

    /// Its key in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Memory => "memory",
            Limit::Timeout => "timeout",
            Limit::CpuTime => "cpu-time",
            Limit::Cpus => "cpus",
            Limit::Pids => "pids",
            Limit::OpenFiles => "open-files",
            Limit::Tmpfs => "tmpfs",
            Limit::Output => "output",
        }
    }

    /// A value of this limit, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Limit::Memory | Limit::Tmpfs | Limit::Output => format_bytes(value.ceil() as u64),
            Limit::Timeout | Limit::CpuTime => format_us(value.ceil() as u64),
            Limit::Cpus => format!("{value:.2}"),
            Limit::Pids | Limit::OpenFiles => format!("{:.0}", value.ceil()),
        }
    }

    fn of(self, limits: &Limits) -> f64 {
        match self {
            Limit::Memory => limits.memory_bytes as f64,
            Limit::Timeout => limits.wall.as_micros() as f64,
            Limit::CpuTime => limits.cpu_time.as_micros() as f64,
            Limit::Cpus => limits.cpus,
            Limit::Pids => limits.pids as f64,
            Limit::OpenFiles => limits.open_files as f64,
            Limit::Tmpfs => limits.tmpfs_bytes as f64,
            Limit::Output => limits.output_bytes as f64,
        }
    }
}

/// A limit that is too low.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lack {
    /// Which.
    pub limit: Limit,
    /// What is needed, in the limit's unit; absent: it was not measured, and the limit has to stay as
    /// high as it is.
    pub needed: Option<f64>,
    /// What the profile has.
    pub given: f64,
}

/// What a test needs of each limit, room included. Absent: too few passes say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Needs {
    /// Passes that were looked at.
    pub passes: usize,
    /// 1.5 times the highest memory peak, or bound of it.
    pub memory_bytes: Option<f64>,
    /// Three times the longest wall-clock time, or of 100 passes on its 99th percentile.
    pub timeout_us: Option<f64>,
    /// Twice the highest CPU time.
    pub cpu_time_us: Option<f64>,
    /// Processors in use in the mean, as a part of one.
    pub cpus: Option<f64>,
    /// 1.5 times the most processes and threads, four times where they were sampled; and the supervisor.
    pub pids: Option<f64>,
    /// Four times the most open files in a sample.
    pub open_files: Option<f64>,
    /// 1.5 times the growth of memory, which has tmpfs in it: at most so much, and mostly far less.
    pub tmpfs_bound_bytes: Option<f64>,
    /// 1.5 times what it left in tmpfs: at least so much.
    pub tmpfs_left_bytes: Option<f64>,
    /// Twice the longest output.
    pub output_bytes: Option<f64>,
}

impl Needs {
    /// From passes; `None` where they are fewer than [`ENOUGH`].
    pub fn of(passes: &[Pass]) -> Option<Self> {
        if passes.len() < ENOUGH {
            return None;
        }
        let most = |figure: &dyn Fn(&Pass) -> Option<f64>| {
            let values: Vec<f64> = passes.iter().filter_map(figure).collect();
            (values.len() >= ENOUGH).then(|| values.into_iter().fold(0.0, f64::max))
        };
        let used = |figure: fn(&Resources) -> Option<f64>| most(&|pass| figure(&pass.resources));
        Some(Needs {
            passes: passes.len(),
            memory_bytes: used(memory).map(|bytes| bytes * COUNTED),
            timeout_us: Some(longest(passes) * 3.0),
            cpu_time_us: used(|used| Some(used.cpu_us? as f64)).map(|us| us * 2.0),
            cpus: used(cpus),
            pids: used(pids),
            open_files: most(&|pass| Some(pass.open_files_max? * SAMPLED)),
            tmpfs_bound_bytes: used(growth).map(|bytes| bytes * COUNTED),
            tmpfs_left_bytes: used(|used| Some(used.tmpfs_left_bytes? as f64 * COUNTED)),
            output_bytes: most(&|pass| Some(pass.output_bytes as f64 * 2.0)),
        })
    }

    /// Takes in what another test of the same path needs. What is unknown of one is of both.
    pub fn raise(&mut self, other: &Needs) {
        let raise = |one: &mut Option<f64>, other: Option<f64>| {
            *one = one.zip(other).map(|(one, other)| one.max(other));
        };
        self.passes = self.passes.min(other.passes);
        raise(&mut self.memory_bytes, other.memory_bytes);
        raise(&mut self.timeout_us, other.timeout_us);
        raise(&mut self.cpu_time_us, other.cpu_time_us);
        raise(&mut self.cpus, other.cpus);
        raise(&mut self.pids, other.pids);
        raise(&mut self.open_files, other.open_files);
        raise(&mut self.tmpfs_bound_bytes, other.tmpfs_bound_bytes);
        raise(&mut self.tmpfs_left_bytes, other.tmpfs_left_bytes);
        raise(&mut self.output_bytes, other.output_bytes);
    }

    /// Takes what only samples tell as not needed where there was none: a test that is over before the
    /// first sample has few processes and few open files, as a rule.
    pub fn ignore_unsampled(&mut self) {
        self.pids.get_or_insert(0.0);
        self.open_files.get_or_insert(0.0);
    }

    /// The limits of a profile that are too low for a test that has run under `now`.
    pub fn lacks(&self, limits: &Limits, now: &Limits) -> Vec<Lack> {
        let lack = |limit: Limit| {
            let (given, mut needed) = (limit.of(limits), self.need(limit));
            if limit == Limit::Tmpfs {
                // What it has was enough, whatever the bound says.
                let bound = needed.map(|bound| bound.min(limit.of(now)));
                needed = bound.map(|bound| bound.max(self.tmpfs_left_bytes.unwrap_or(0.0)));
            }
            let least = needed.unwrap_or_else(|| limit.of(now));
            (given < least).then_some(Lack {
                limit,
                needed,
                given,
            })
        };
        Limit::ALL.into_iter().filter_map(lack).collect()
    }

    /// What was not measured, by the limits' keys.
    pub fn unmeasured(&self) -> Vec<&'static str> {
        let unknown = |limit: &Limit| self.need(*limit).is_none();
        let limits = Limit::ALL.into_iter().filter(unknown);
        limits.map(Limit::as_str).collect()
    }

    /// What is known, for people: `memory 12 MiB, timeout 1.20 s`.
    pub fn show(&self) -> String {
        let one = |limit: Limit| {
            let need = self.need(limit)?;
            Some(format!("{} {}", limit.as_str(), limit.show(need)))
        };
        let limits = Limit::ALL
            .into_iter()
            .filter(|limit| *limit != Limit::Tmpfs);
        let known: Vec<String> = limits.filter_map(one).collect();
        known.join(", ")
    }

    fn need(&self, limit: Limit) -> Option<f64> {
        match limit {
            Limit::Memory => self.memory_bytes,
            Limit::Timeout => self.timeout_us,
            Limit::CpuTime => self.cpu_time_us,
            Limit::Cpus => self.cpus,
            Limit::Pids => self.pids,
            Limit::OpenFiles => self.open_files,
            Limit::Tmpfs => self.tmpfs_bound_bytes,
            Limit::Output => self.output_bytes,
        }
    }
}

/// The peak where the kernel counted it; else the bound above it, where there is one. What `wait4`
/// says is that of one process, and no peak of a test.
fn memory(used: &Resources) -> Option<f64> {
    let peak = match (used.memory_peak_source, used.memory_peak_bound_bytes) {
        (Some(Source::Cgroup), _) => used.memory_peak_bytes,
        (_, Some(bound)) => Some(bound),
        (Some(Source::Sampled), None) => used.memory_peak_bytes,
        (_, None) => None,
    };
    peak.map(|bytes| bytes as f64)
}

fn growth(used: &Resources) -> Option<f64> {
    let start = used.memory_start_bytes.unwrap_or(0) as f64;
    let left = used.tmpfs_left_bytes.unwrap_or(0) as f64;
    Some((memory(used)? - start).max(left))
}

fn cpus(used: &Resources) -> Option<f64> {
    let cpu = used.cpu_us?;
    match cpu < LEAST_CPU_US || used.wall_us == 0 {
        true => Some(0.0),
        false => Some(cpu as f64 / used.wall_us as f64),
    }
}

fn pids(used: &Resources) -> Option<f64> {
    let room = match used.pids_peak_source {
        Some(Source::Cgroup) => COUNTED,
        _ => SAMPLED,
    };
    Some(used.pids_peak? as f64 * room + SUPERVISOR)
}

/// The longest wall-clock time in microseconds; of many passes, what 99 % of them did not exceed.
fn longest(passes: &[Pass]) -> f64 {
    let mut walls: Vec<u64> = passes.iter().map(|pass| pass.resources.wall_us).collect();
    walls.sort_unstable();
    let at = match walls.len() {
        count if count >= ENOUGH_FOR_P99 => (count * 99).div_ceil(100) - 1,
        count => count.saturating_sub(1),
    };
    walls.get(at).copied().unwrap_or(0) as f64
}
