//! `plan`: the order of the tests, and what is to be expected of a run.

use std::time::Duration;

use serde::Serialize;

use super::{json, table};
use crate::model::{ImageChoice, Test, TestId, counted, format_duration};
use crate::plan::{Estimate, Forecast};

/// Below this share of a run's time nothing is gained.
const GAIN: f64 = 0.01;

/// A schedule.
pub struct Planned<'a> {
    /// The tests in order.
    pub tests: &'a [Test],
    /// How long each probably takes; empty where nothing is known.
    pub estimates: &'a [Estimate],
    /// The digest of what is known.
    pub history: Option<&'a str>,
    /// Workers at most at once.
    pub workers: usize,
    /// What is to be expected; absent where nothing is known.
    pub forecast: Option<Forecast>,
}

#[derive(Serialize)]
struct Json<'a> {
    workers: usize,
    history: Option<&'a str>,
    known: usize,
    total_us: Option<u64>,
    makespan_us: Option<u64>,
    lower_bound_us: Option<u64>,
    longest_us: Option<u64>,
    more: Vec<More>,
    tests: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct More {
    workers: usize,
    makespan_us: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a TestId,
    profile: &'a str,
    image: &'a ImageChoice,
    expected_us: Option<u64>,
    known: bool,
}

impl Planned<'_> {
    /// For people.
    pub fn human(&self) -> String {
        let time = |at: usize| match self.estimates.get(at) {
            Some(estimate) if estimate.known => format_duration(estimate.time),
            Some(estimate) => format!("~ {}", format_duration(estimate.time)),
            None => "unknown".to_owned(),
        };
        let row = |(at, test): (usize, &Test)| {
            vec![
                test.id.to_string(),
                test.profile.clone(),
                test.image.to_string(),
                time(at),
            ]
        };
        let rows: Vec<_> = self.tests.iter().enumerate().map(row).collect();
        let mut out = table(&["test", "profile", "image", "expected"], &rows);
        out.push('\n');
        out.push_str(&self.expectation());
        out
    }

    fn expectation(&self) -> String {
        let (tests, workers) = (
            counted(self.tests.len() as u64, "test"),
            counted(self.workers as u64, "worker"),
        );
        let Some(forecast) = &self.forecast else {
            return format!(
                "{tests} in {workers}: nothing is known of how long they take; `docker-test run` records it\n"
            );
        };
        let mut out = format!(
            "{tests} in {workers}: about {}, of {} one after another",
            format_duration(forecast.makespan),
            format_duration(forecast.total)
        );
        let unknown = self.tests.len() - self.known();
        if unknown > 0 {
            out.push_str(&format!("; estimated (~): {unknown}"));
        }
        let bound = format_duration(forecast.bound);
        out.push('\n');
        match self.tests.first() {
            Some(test) if forecast.bound <= forecast.longest => out.push_str(&format!(
                "no schedule is shorter than {bound}: the longest test alone, {}\n",
                super::clean::word(&test.id.to_string())
            )),
            _ => out.push_str(&format!(
                "no schedule in {workers} is shorter than {bound}; in any number, than {}: the longest test\n",
                format_duration(forecast.longest)
            )),
        }
        for (more, makespan) in &forecast.more {
            let saved = forecast.makespan.saturating_sub(*makespan);
            let gain = match saved.as_secs_f64() > GAIN * forecast.makespan.as_secs_f64() {
                true => format!(
                    "{} less: about {}",
                    format_duration(saved),
                    format_duration(*makespan)
                ),
                false => "no gain".to_owned(),
            };
            out.push_str(&format!(
                "{more} more {}: {gain}\n",
                if *more == 1 { "worker" } else { "workers" }
            ));
        }
        out
    }

    fn known(&self) -> usize {
        self.estimates.iter().filter(|one| one.known).count()
    }

    /// One JSON object.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        let forecast = self.forecast.as_ref();
        let line = |(at, test): (usize, &'_ Test)| {
            let estimate = self.estimates.get(at);
            (at, test.clone(), estimate.copied())
        };
        let lines: Vec<_> = self.tests.iter().enumerate().map(line).collect();
        let lines = lines.iter().map(|(_, test, estimate)| Line {
            id: &test.id,
            profile: &test.profile,
            image: &test.image,
            expected_us: estimate.map(|estimate| micros(estimate.time)),
            known: estimate.is_some_and(|estimate| estimate.known),
        });
        let more = forecast.map(|forecast| forecast.more.as_slice());
        let more = more.unwrap_or_default().iter();
        json::json_line(&Json {
            workers: self.workers,
            history: self.history,
            known: self.known(),
            total_us: forecast.map(|forecast| micros(forecast.total)),
            makespan_us: forecast.map(|forecast| micros(forecast.makespan)),
            lower_bound_us: forecast.map(|forecast| micros(forecast.bound)),
            longest_us: forecast.map(|forecast| micros(forecast.longest)),
            more: more
                .map(|(more, makespan)| More {
                    workers: self.workers + more,
                    makespan_us: micros(*makespan),
                })
                .collect(),
            tests: lines.collect(),
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProfileOrigin;

    fn test(id: &str) -> Test {
        Test {
            id: TestId::new(id),
            profile: "fast".into(),
            origin: ProfileOrigin::Default,
            image: ImageChoice::Isolation,
        }
    }

    fn estimate(seconds: u64, known: bool) -> Estimate {
        Estimate {
            time: Duration::from_secs(seconds),
            known,
        }
    }

    #[test]
    fn a_schedule_for_people() {
        let shown = Planned {
            tests: &[test("a"), test("b")],
            estimates: &[estimate(9, true), estimate(3, false)],
            history: Some("00"),
            workers: 1,
            forecast: Some(Forecast {
                total: Duration::from_secs(12),
                makespan: Duration::from_secs(12),
                bound: Duration::from_secs(12),
                longest: Duration::from_secs(9),
                more: vec![(1, Duration::from_secs(9)), (2, Duration::from_secs(12))],
            }),
        };
        assert_eq!(
            shown.human(),
            "test  profile  image      expected\n\
             a     fast     isolation  9.00 s\n\
             b     fast     isolation  ~ 3.00 s\n\
             \n\
             2 tests in 1 worker: about 12.00 s, of 12.00 s one after another; estimated (~): 1\n\
             no schedule in 1 worker is shorter than 12.00 s; in any number, than 9.00 s: the longest test\n\
             1 more worker: 3.00 s less: about 9.00 s\n\
             2 more workers: no gain\n"
        );
        let json: serde_json::Value = serde_json::from_str(&shown.json().unwrap()).unwrap();
        assert_eq!(json["more"][0]["workers"], 2);
        assert_eq!(json["tests"][1]["expected_us"], 3_000_000);
        assert_eq!(json["known"], 1);
    }

    #[test]
    fn the_longest_test_may_be_the_floor() {
        let shown = Planned {
            tests: &[test("a\u{1b}")],
            estimates: &[estimate(9, true)],
            history: None,
            workers: 4,
            forecast: Some(Forecast {
                total: Duration::from_secs(9),
                makespan: Duration::from_secs(9),
                bound: Duration::from_secs(9),
                longest: Duration::from_secs(9),
                more: Vec::new(),
            }),
        };
        let text = shown.human();
        assert!(
            text.contains("no schedule is shorter than 9.00 s: the longest test alone, a\\x1b\n")
        );
    }

    #[test]
    fn nothing_known_is_said() {
        let shown = Planned {
            tests: &[test("a")],
            estimates: &[],
            history: None,
            workers: 1,
            forecast: None,
        };
        assert!(shown.human().contains("nothing is known"));
        let json: serde_json::Value = serde_json::from_str(&shown.json().unwrap()).unwrap();
        assert_eq!(json["makespan_us"], serde_json::Value::Null);
    }
}
