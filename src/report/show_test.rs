//! `show RUN TEST`: every attempt at a test, with all that was recorded of it.

use std::time::Duration;

use serde::Serialize;

use super::plot::{Style, plot};
use super::show_run::outcome;
use super::when::when;
use super::{Paint, attempt, clean, excerpt, table};
use crate::event::Captured;
use crate::model::{
    ByteText, OutcomeKind, Resources, Series, Source, Spread, counted, format_bytes,
    format_duration, format_us,
};
use crate::store::{StoredAttempt, StoredOutput, StoredViolation};

/// What is not in the record.
const NOT_MEASURED: &str = "not measured";

/// What a stream can show.
#[derive(Clone, Copy, Debug)]
pub struct Canvas {
    /// Its colours.
    pub paint: Paint,
    /// Characters of a line.
    pub width: usize,
    /// Whether it shows more than ASCII.
    pub unicode: bool,
}

/// An attempt with what belongs to it.
#[derive(Serialize)]
pub struct ShownAttempt {
    /// Its row.
    #[serde(flatten)]
    pub row: StoredAttempt,
    /// Its own.
    pub violations: Vec<StoredViolation>,
    /// Its samples: `[time_us, cpu_us, memory_bytes, processes, threads, open_files, pss_bytes]`.
    pub series: Series,
    /// What it wrote.
    pub outputs: Vec<StoredOutput>,
}

/// A test in a run.
#[derive(Serialize)]
pub struct ShownTest<'t> {
    /// The run's name.
    pub run: &'t str,
    /// The test's id.
    pub test: &'t ByteText,
    /// In order; none where it never reported.
    pub attempts: Vec<ShownAttempt>,
}

impl ShownTest<'_> {
    /// For people. `record`: where the database is.
    pub fn text(&self, canvas: Canvas, record: &str) -> String {
        let mut out = clean::word(&format!("{} in run {}", self.test, self.run));
        out.push('\n');
        if self.attempts.is_empty() {
            out.push_str(
                "  it was planned and never reported: the run runs still, or was killed\n",
            );
        }
        for attempt in &self.attempts {
            out.push('\n');
            attempt.push(&mut out, canvas, self.attempts.len(), record);
        }
        out
    }
}

impl ShownAttempt {
    fn push(&self, out: &mut String, canvas: Canvas, count: usize, record: &str) {
        let row = &self.row;
        let verdict = clean::word(&outcome(&row.outcome, row.reason.as_deref()));
        let kind = OutcomeKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == row.outcome);
        let verdict = kind.map_or_else(
            || verdict.clone(),
            |kind| attempt::painted(canvas.paint, kind, &verdict),
        );
        let superseded = if row.superseded { ", superseded" } else { "" };
        out.push_str(&format!(
            "attempt {} of {count}: {verdict}{superseded}\n",
            row.attempt
        ));
        for (name, fact) in self.facts() {
            let line = format!("  {name:<14} {fact}");
            out.push_str(clean::word(&line).trim_end());
            out.push('\n');
        }
        out.push_str(&self.statistics());
        out.push_str(&self.plots(canvas));
        for violation in &self.violations {
            let kind = violation.kind.map_or("violation", |kind| kind.as_str());
            let line = format!(
                "  = {} {kind}: {}",
                violation.severity.as_str(),
                violation.message
            );
            out.push_str(&(clean::word(&line) + "\n"));
        }
        for leak in &row.leaks {
            let told = if leak.counts() {
                "left behind"
            } else {
                "left in its own folders"
            };
            out.push_str(&(clean::word(&format!("  = {told}: {leak}")) + "\n"));
        }
        for output in &self.outputs {
            let bytes = match output.stream.as_str() {
                "stdout" => row.stdout_bytes,
                _ => row.stderr_bytes,
            };
            let stream = clean::word(&output.stream);
            out.push_str(&format!("  {stream}, {}:\n", format_bytes(bytes)));
            let captured = Captured {
                head: output.head.clone(),
                dropped_bytes: output.dropped_bytes,
                tail: output.tail.clone(),
                total_bytes: bytes,
            };
            excerpt::push(out, &captured, Some(record));
        }
    }

    /// What is known of it, a line each.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let row = &self.row;
        let mut ended = vec![row.termination.clone().unwrap_or_else(|| "unknown".into())];
        ended.extend(
            row.stopped
                .iter()
                .map(|why| format!("docker-test ended it: {why}")),
        );
        ended.extend(
            row.timeout_state
                .iter()
                .map(|state| format!("it was {state}")),
        );
        if row.escalated {
            ended.push("SIGTERM was not enough".into());
        }
        let mut place = vec![
            format!("profile {}", row.profile),
            format!("image {}", row.image),
        ];
        if let Some(worker) = row.worker {
            let sequence = row
                .sequence
                .map_or_else(String::new, |at| format!(", test {at} there"));
            place.push(format!("worker {worker}{sequence}"));
        }
        let mut facts = vec![
            ("termination", ended.join(", ")),
            ("ran under", place.join(", ")),
            (
                "started",
                row.started_unix_us
                    .map_or_else(|| "never, or unknown".into(), when),
            ),
        ];
        match &row.resources {
            Some(used) => facts.extend(figures(used)),
            None => facts.push(("figures", NOT_MEASURED.into())),
        }
        let reset = row
            .reset_ns
            .map(|ns| format_duration(Duration::from_nanos(ns)));
        facts.push(("reset", reset.unwrap_or_else(|| NOT_MEASURED.into())));
        facts
    }

    fn statistics(&self) -> String {
        let Some(all) = &self.row.statistics else {
            return String::new();
        };
        let percent = |value: f64| format!("{value:.0} %");
        let count = |value: f64| format!("{value:.1}").trim_end_matches(".0").to_owned();
        let rows = [
            row("CPU use", all.cpu_percent, percent),
            row("memory", all.memory_bytes, |value| {
                format_bytes(value.max(0.0) as u64)
            }),
            row("open files", all.open_files, count),
            row("threads", all.threads, count),
        ];
        let headers = ["sampled", "max", "avg", "p95", "p99", "samples"];
        let text = table(&headers, &rows);
        text.lines().map(|line| format!("  {line}\n")).collect()
    }

    fn plots(&self, canvas: Canvas) -> String {
        let style = Style {
            width: canvas.width,
            unicode: canvas.unicode,
        };
        let time = format_us;
        let memory: Vec<(u64, f64)> = self
            .series
            .iter()
            .filter_map(|sample| Some((sample.time_us, sample.memory_bytes? as f64)))
            .collect();
        let bytes = |value: f64| format_bytes(value as u64);
        let percent = |value: f64| format!("{value:.0} %");
        let plots = [
            ("memory", plot(&memory, style, bytes, time)),
            (
                "CPU, of one processor",
                plot(&cpu(&self.series), style, percent, time),
            ),
        ];
        let mut out = String::new();
        for (name, drawn) in plots {
            if let Some(drawn) = drawn {
                out.push_str(&format!("  {name}:\n{drawn}"));
            }
        }
        out
    }
}

/// The use of processors since the sample before, in percent of one.
fn cpu(series: &Series) -> Vec<(u64, f64)> {
    let (mut then, mut used) = (0, 0);
    let mut points = Vec::new();
    for sample in series {
        let Some(now) = sample.cpu_us.filter(|_| sample.time_us > then) else {
            continue;
        };
        let share = now.saturating_sub(used) as f64 * 100.0 / (sample.time_us - then) as f64;
        points.push((sample.time_us, share));
        (then, used) = (sample.time_us, now);
    }
    points
}

fn row(name: &str, spread: Option<Spread>, show: impl Fn(f64) -> String) -> Vec<String> {
    let Some(spread) = spread else {
        return vec![name.to_owned(), NOT_MEASURED.to_owned()];
    };
    let percentile = |value: Option<f64>| value.map_or_else(|| "-".into(), &show);
    vec![
        name.to_owned(),
        show(spread.max),
        show(spread.avg),
        percentile(spread.p95),
        percentile(spread.p99),
        spread.samples.to_string(),
    ]
}

/// Every figure with its unit and source.
fn figures(used: &Resources) -> Vec<(&'static str, String)> {
    let from = |source: Option<Source>| {
        source.map_or_else(String::new, |source| format!(" ({})", source.as_str()))
    };
    let or_not = |value: Option<String>| value.unwrap_or_else(|| NOT_MEASURED.into());
    let size = |value: Option<u64>| or_not(value.map(format_bytes));
    let number = |value: Option<u64>| or_not(value.map(|value| value.to_string()));
    let cpu = used.cpu_us.map(|cpu| {
        let parts = match (used.cpu_user_us, used.cpu_system_us) {
            (Some(user), Some(system)) => {
                format!(": {} user, {} system", format_us(user), format_us(system))
            }
            _ => String::new(),
        };
        format!("{}{}{parts}", format_us(cpu), from(used.cpu_source))
    });
    let held = used.throttled_us.map(|held| {
        let periods = used.throttled_periods.map_or_else(String::new, |count| {
            format!(" in {}", counted(count, "period"))
        });
        format!("{}{periods} (cgroup)", format_us(held))
    });
    let pids = used
        .pids_peak
        .map(|peak| format!("peak {peak}{}", from(used.pids_peak_source)));
    let pressure = [
        ("CPU", used.cpu_pressure_us),
        ("memory", used.memory_pressure_us),
        ("input and output", used.io_pressure_us),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name} {}", format_us(value?))))
    .collect::<Vec<_>>();
    let io = (used.io_read_bytes, used.io_write_bytes);
    vec![
        ("wall time", format_us(used.wall_us)),
        ("CPU time", or_not(cpu)),
        ("held back", or_not(held)),
        ("memory", memory(used)),
        (
            "its parts",
            match (used.memory_anon_bytes, used.memory_file_bytes) {
                (None, None) => NOT_MEASURED.into(),
                (anon, file) => format!(
                    "{} anonymous, {} of files at the highest sample",
                    size(anon),
                    size(file)
                ),
            },
        ),
        ("OOM kills", number(used.oom_kills)),
        ("processes", or_not(pids)),
        ("forks refused", number(used.pids_limit_hits)),
        (
            "disk",
            match io {
                (None, None) => NOT_MEASURED.into(),
                (read, write) => format!("{} read, {} written", size(read), size(write)),
            },
        ),
        (
            "waited for",
            match pressure.as_slice() {
                [] => NOT_MEASURED.into(),
                parts => parts.join(", "),
            },
        ),
        ("left in tmpfs", size(used.tmpfs_left_bytes)),
    ]
}

/// `peak 104.2 MiB (cgroup), 3.1 MiB at start`.
fn memory(used: &Resources) -> String {
    let mut parts = Vec::new();
    if let Some(peak) = used.memory_peak_bytes {
        let source = used
            .memory_peak_source
            .map_or("source unknown", Source::as_str);
        parts.push(format!("peak {} ({source})", format_bytes(peak)));
    }
    if let Some(bound) = used.memory_peak_bound_bytes {
        parts.push(format!("at most {} (cgroup)", format_bytes(bound)));
    }
    if parts.is_empty() {
        parts.push(format!("peak {NOT_MEASURED}"));
    }
    if let Some(start) = used.memory_start_bytes {
        parts.push(format!("{} at start", format_bytes(start)));
    }
    parts.join(", ")
}

#[cfg(test)]
#[path = "show_test_tests.rs"]
mod tests;
