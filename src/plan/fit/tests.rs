use std::convert::Infallible;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{Patterns, Rule};
use crate::model::{ImageChoice, Resources, Source, TestId};

const MIB: u64 = 1 << 20;

/// A pass of a small test with everything measured.
fn pass() -> Pass {
    Pass {
        resources: Resources {
            wall_us: 50_000,
            cpu_us: Some(20_000),
            cpu_source: Some(Source::Cgroup),
            memory_start_bytes: Some(3 * MIB),
            memory_peak_bytes: Some(10 * MIB),
            memory_peak_source: Some(Source::Cgroup),
            pids_peak: Some(3),
            pids_peak_source: Some(Source::Cgroup),
            ..Resources::default()
        },
        open_files_max: Some(8.0),
        output_bytes: 100,
    }
}

fn passes(change: impl Fn(&mut Pass)) -> Vec<Pass> {
    let mut pass = pass();
    change(&mut pass);
    vec![pass; ENOUGH]
}

fn needs(change: impl Fn(&mut Pass)) -> Needs {
    Needs::of(&passes(change)).unwrap()
}

fn config() -> Config {
    Config::defaults("/p".into())
}

fn judged(profile: &str, needs: &Needs) -> Fit {
    let config = config();
    judge(needs, &config.profiles[profile], &config.profiles)
}

fn over(smaller: &str) -> Fit {
    Fit::Over {
        smaller: smaller.into(),
    }
}

#[test]
fn room_is_left() {
    let needs = needs(|_| {});
    assert_eq!(needs.memory_bytes, Some(15.0 * MIB as f64));
    assert_eq!(needs.timeout_us, Some(150_000.0));
    assert_eq!(needs.cpu_time_us, Some(40_000.0));
    assert_eq!((needs.cpus, needs.pids), (Some(0.0), Some(5.5)));
    assert_eq!(needs.open_files, Some(32.0));
    assert_eq!(needs.tmpfs_bound_bytes, Some(10.5 * MIB as f64));
    assert_eq!(needs.output_bytes, Some(200.0));
    assert_eq!(
        needs.show(),
        "memory 15 MiB, timeout 150 ms, cpu-time 40 ms, cpus 0.00, pids 6, open-files 32, \
         output 200 B"
    );
}

#[test]
fn the_smallest_that_holds_it() {
    let small = needs(|_| {});
    assert_eq!(judged("standard", &small), over("fast"));
    assert_eq!(judged("slow", &small), over("fast"));
    assert_eq!(judged("fast", &small), Fit::Right);
    // Another image is not chosen.
    assert_eq!(judged("intensive", &small), Fit::Right);
    let large = needs(|pass| pass.resources.memory_peak_bytes = Some(100 * MIB));
    let Fit::Under { lacks, larger } = judged("fast", &large) else {
        panic!()
    };
    assert_eq!(larger.as_deref(), Some("standard"));
    let keys: Vec<_> = lacks.iter().map(|lack| lack.limit.as_str()).collect();
    assert_eq!(keys, ["memory"]);
    assert_eq!(judged("standard", &large), Fit::Right);
    // Its memory would do, but all that grew may have been in tmpfs.
    let files = needs(|pass| pass.resources.memory_peak_bytes = Some(60 * MIB));
    assert_eq!(judged("standard", &files), Fit::Right);
    assert_eq!(judged("slow", &files), over("standard"));
    let huge = needs(|pass| pass.resources.memory_peak_bytes = Some(900 * MIB));
    let Fit::Under { larger: None, .. } = judged("slow", &huge) else {
        panic!()
    };
}

#[test]
fn every_limit_counts() {
    let long = |pass: &mut Pass| pass.resources.wall_us = 700_000;
    let busy = |pass: &mut Pass| {
        (pass.resources.cpu_us, pass.resources.wall_us) = (Some(600_000), 650_000);
    };
    let wide = |pass: &mut Pass| {
        (pass.resources.cpu_us, pass.resources.wall_us) = (Some(150_000), 100_000);
    };
    let many = |pass: &mut Pass| pass.resources.pids_peak = Some(50);
    let files = |pass: &mut Pass| pass.open_files_max = Some(30.0);
    let tmpfs = |pass: &mut Pass| pass.resources.tmpfs_left_bytes = Some(25 * MIB);
    type Change<'c> = (&'c str, &'c dyn Fn(&mut Pass));
    let changes: [Change<'_>; 6] = [
        ("timeout", &long),
        ("cpu-time", &busy),
        ("cpus", &wide),
        ("pids", &many),
        ("open-files", &files),
        ("tmpfs", &tmpfs),
    ];
    for (limit, change) in changes {
        let needs = needs(change);
        let Fit::Under { lacks, larger } = judged("fast", &needs) else {
            panic!("{limit}")
        };
        assert!(
            lacks.iter().any(|lack| lack.limit.as_str() == limit),
            "{limit}: {lacks:?}"
        );
        assert_eq!(larger.as_deref(), Some("standard"), "{limit}");
        assert_eq!(judged("standard", &needs), Fit::Right, "{limit}");
    }
}

#[test]
fn sampled_figures_take_the_bound_or_more_room() {
    let sampled = |bound| {
        needs(move |pass| {
            pass.resources.memory_peak_source = Some(Source::Sampled);
            pass.resources.memory_peak_bound_bytes = bound;
            pass.resources.pids_peak_source = Some(Source::Sampled);
        })
    };
    assert_eq!(sampled(None).memory_bytes, Some(15.0 * MIB as f64));
    assert_eq!(
        sampled(Some(20 * MIB)).memory_bytes,
        Some(30.0 * MIB as f64)
    );
    assert_eq!(sampled(None).pids, Some(13.0));
    let rusage = needs(|pass| pass.resources.memory_peak_source = Some(Source::Rusage));
    assert_eq!(
        (rusage.memory_bytes, rusage.tmpfs_bound_bytes),
        (None, None)
    );
}

#[test]
fn what_was_not_measured_keeps_its_limit() {
    for change in [
        |pass: &mut Pass| pass.resources.memory_peak_bytes = None,
        |pass: &mut Pass| pass.resources.cpu_us = None,
        |pass: &mut Pass| pass.resources.pids_peak = None,
        |pass: &mut Pass| pass.open_files_max = None,
    ] {
        let needs = needs(change);
        assert_eq!(judged("standard", &needs), Fit::Right, "{needs:?}");
        assert_eq!(judged("fast", &needs), Fit::Right);
    }
    let mut unknown = needs(|pass| pass.open_files_max = None);
    assert_eq!(unknown.unmeasured(), ["open-files"]);
    unknown.ignore_unsampled();
    assert_eq!(judged("standard", &unknown), over("fast"));
    let mut unknown = needs(|pass| pass.resources.memory_peak_bytes = None);
    unknown.ignore_unsampled();
    assert_eq!(judged("standard", &unknown), Fit::Right);
    // Measured in four of five passes.
    let mut some = passes(|_| {});
    some[2].open_files_max = None;
    assert_eq!(Needs::of(&some).unwrap().open_files, None);
    // A test that needs more time does not lose files for it.
    let slow = needs(|pass| {
        pass.resources.wall_us = 5_000_000;
        pass.open_files_max = None;
    });
    let mut config = config();
    config.profiles.get_mut("slow").unwrap().limits.open_files = 400;
    let fit = judge(&slow, &config.profiles["standard"], &config.profiles);
    let Fit::Under { larger: None, .. } = fit else {
        panic!("{fit:?}")
    };
}

#[test]
fn programs_in_tmpfs_stay_executable() {
    let mut config = config();
    let limits = &mut config.profiles.get_mut("standard").unwrap().limits;
    limits.tmpfs_exec = true;
    let fit = judge(
        &needs(|_| {}),
        &config.profiles["standard"],
        &config.profiles,
    );
    assert_eq!(fit, Fit::Right);
}

#[test]
fn one_pass_of_many_may_be_odd() {
    let mut many = vec![pass(); 100];
    many[40].resources.wall_us = 9_000_000;
    assert_eq!(Needs::of(&many).unwrap().timeout_us, Some(150_000.0));
    assert_eq!(
        Needs::of(&many[1..]).unwrap().timeout_us,
        Some(27_000_000.0)
    );
}

#[test]
fn too_little_is_said() {
    let why = |known| match known {
        Known::TooLittle(why) => why,
        Known::Needs(_) => panic!(),
    };
    assert_eq!(why(known(&passes(|_| {})[1..], None)), "4 of 5 passes");
    assert_eq!(
        why(known(&passes(|_| {}), Some("oom"))),
        "it reached a limit lately: oom"
    );
    assert_eq!(known(&passes(|_| {}), None), Known::Needs(needs(|_| {})));
}

fn test(id: &str, profile: &str, origin: ProfileOrigin) -> Test {
    Test {
        id: TestId::new(id),
        profile: profile.into(),
        origin,
        image: ImageChoice::Isolation,
    }
}

#[test]
fn the_tests_of_a_path_are_judged_together() {
    let tests = ["a::1", "a::2", "b::1", "b::2"].map(|id| test(id, "fast", ProfileOrigin::Default));
    let fitted = fit(&tests, &config(), |test| {
        Ok::<_, Infallible>(match test.id.text().as_str() {
            Some("a::2") => Known::Needs(needs(|pass| pass.resources.wall_us = 1_000_000)),
            Some("b::1") => Known::TooLittle("new".into()),
            _ => Known::Needs(needs(|_| {})),
        })
    })
    .unwrap();
    assert_eq!(fitted.len(), 2);
    assert_eq!((fitted[0].tests, fitted[0].wanted()), (2, "standard"));
    let why = "new".into();
    assert_eq!(fitted[1].fit, Fit::Unjudged { why });
}

fn fitted(path: &str, profile: &str, want: Option<&str>) -> Fitted {
    Fitted {
        path: path.into(),
        tests: 1,
        profile: profile.into(),
        origin: ProfileOrigin::Default,
        needs: None,
        fit: match want {
            None => Fit::Unjudged { why: String::new() },
            Some(want) if want == profile => Fit::Right,
            Some(want) => over(want),
        },
    }
}

/// `[(path, profile, wanted)]`, and the rules that follow, as `path=profile`.
fn ruled(paths: &[(&str, &str, Option<&str>)]) -> Vec<String> {
    let paths: Vec<Fitted> = paths
        .iter()
        .map(|(path, profile, want)| fitted(path, profile, *want))
        .collect();
    rules(&paths)
        .iter()
        .map(|rule| format!("{}={}", rule.path, rule.profile))
        .collect()
}

#[test]
fn a_folder_that_agrees_is_one_rule() {
    let found = ruled(&[
        ("test/a/1", "standard", Some("fast")),
        ("test/a/2", "standard", Some("fast")),
        ("test/b/1", "standard", Some("standard")),
        ("test/c/1", "standard", Some("fast")),
    ]);
    assert_eq!(found, ["test/a/**=fast", "test/c/1=fast"]);
    let found = ruled(&[
        ("test/a/1", "standard", Some("fast")),
        ("test/b/1", "standard", Some("fast")),
    ]);
    assert_eq!(found, ["test/**=fast"]);
}

#[test]
fn a_few_exceptions_follow_the_rule() {
    let mut paths: Vec<(String, &str)> =
        (0..20).map(|n| (format!("test/{n:02}"), "fast")).collect();
    paths[7].1 = "slow";
    let all: Vec<_> = paths
        .iter()
        .map(|(path, want)| (path.as_str(), "standard", Some(*want)))
        .collect();
    assert_eq!(ruled(&all), ["test/**=fast", "test/07=slow"]);
}

#[test]
fn who_could_not_be_judged_is_in_no_glob() {
    let found = ruled(&[
        ("test/1", "standard", Some("fast")),
        ("test/2", "standard", Some("fast")),
        ("test/3", "standard", None),
        ("test/x/4", "standard", None),
    ]);
    assert_eq!(found, ["test/1=fast", "test/2=fast"]);
    // Unless that gives it what it has.
    let found = ruled(&[
        ("test/1", "standard", Some("fast")),
        ("test/2", "standard", Some("fast")),
        ("test/3", "fast", None),
    ]);
    assert_eq!(found, ["test/**=fast"]);
}

#[test]
fn nothing_to_change_is_no_rule() {
    assert!(ruled(&[("a", "fast", Some("fast")), ("b", "slow", None)]).is_empty());
    assert!(ruled(&[]).is_empty());
}

#[test]
fn a_marker_is_stronger_than_a_rule() {
    let mut path = fitted("test/1", "slow", Some("fast"));
    path.origin = ProfileOrigin::Marker;
    assert!(rules(&[path]).is_empty());
}

/// Any paths, some no UTF-8, some both file and folder, under some rules that are there already.
fn any_paths() -> impl Strategy<Value = Vec<(Vec<u8>, usize, Option<usize>, bool)>> {
    let part = prop_oneof![
        8 => proptest::sample::select(vec!["a", "b", "c", "d"]).prop_map(|part| part.as_bytes().to_vec()),
        1 => "[*?\\[\\]{}!\\\\, \u{e9}]{1,3}".prop_map(String::into_bytes),
        1 => Just(b"\xff".to_vec()),
    ];
    let path = proptest::collection::vec(part, 1..5).prop_map(|parts| parts.join(&b'/'));
    let one = (
        path,
        0..3_usize,
        proptest::option::weighted(0.9, 0..3_usize),
        proptest::bool::weighted(0.1),
    );
    proptest::collection::vec(one, 0..40)
}

const NAMES: [&str; 3] = ["fast", "standard", "slow"];

proptest! {
    #[test]
    fn every_path_gets_exactly_its_profile(paths in any_paths()) {
        // The rules that are there give each path its present profile: they are exact here.
        let mut known = BTreeMap::new();
        for (path, profile, want, marker) in paths {
            known.insert(path, (profile, want, marker));
        }
        let fitted: Vec<Fitted> = known
            .iter()
            .map(|(path, (profile, want, marker))| Fitted {
                path: path.clone().into(),
                origin: if *marker { ProfileOrigin::Marker } else { ProfileOrigin::Rule },
                ..fitted("", NAMES[*profile], want.map(|want| NAMES[want]))
            })
            .collect();
        let added = rules(&fitted);
        let patterns: Vec<&str> = added.iter().map(|rule| rule.path.as_str()).collect();
        let patterns = Patterns::new(&patterns).unwrap();
        let mut changes = 0;
        for path in fitted.iter().filter(|path| path.origin != ProfileOrigin::Marker) {
            let last: Option<&Rule> = patterns.last_match(path.path.as_os_str()).map(|at| &added[at]);
            let gets = last.map_or(path.profile.as_str(), |rule| rule.profile.as_str());
            let should = if path.is_ruled() { path.wanted() } else { &path.profile };
            prop_assert_eq!(gets, should, "{:?} by {:?}", path.path, added);
            changes += usize::from(should != path.profile);
        }
        prop_assert!(added.len() <= changes, "{} rules for {} changes", added.len(), changes);
    }
}

#[test]
fn limits_are_those_of_a_profile() {
    let mut config = config();
    let limits = &mut config.profiles.get_mut("fast").unwrap().limits;
    limits.wall = Duration::from_millis(149);
    let fit = judge(&needs(|_| {}), &config.profiles["fast"], &config.profiles);
    let Fit::Under { lacks, .. } = fit else {
        panic!()
    };
    let [lack] = lacks[..] else { panic!() };
    let shown = (
        lack.limit.show(lack.given),
        lack.needed.map(|us| lack.limit.show(us)),
    );
    assert_eq!(shown, ("149 ms".into(), Some("150 ms".into())));
}
