//! Plans of made-up suites.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::config::Rule;

fn config() -> Config {
    Config::defaults(PathBuf::from("/p"))
}

fn found(ids: &[&str]) -> Vec<FoundTest> {
    ids.iter()
        .map(|id| FoundTest {
            id: TestId::new(*id),
            marker: None,
        })
        .collect()
}

fn marked(id: &str, profile: &str) -> FoundTest {
    FoundTest {
        id: TestId::new(id),
        marker: Some(profile.to_owned()),
    }
}

fn rule(path: &str, profile: &str) -> Rule {
    Rule {
        path: path.to_owned(),
        profile: profile.to_owned(),
    }
}

fn filters(filters: &[&str]) -> Selection {
    Selection {
        filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        ..Selection::default()
    }
}

fn ids(plan: &Plan) -> Vec<String> {
    plan.tests.iter().map(|test| test.id.to_string()).collect()
}

#[test]
fn the_strongest_word_about_a_profile_counts() {
    let mut config = config();
    config.rules = vec![
        rule("test/**", "fast"),
        rule("test/slow/**", "slow"),
        rule("x", "fast"),
    ];
    let tests = || {
        let mut tests = found(&["a.sh", "test/a.sh", "test/slow/a.sh::case"]);
        tests.push(marked("test/slow/b.sh", "intensive"));
        tests
    };
    let shown = |selection: &Selection| -> BTreeSet<String> {
        let plan = plan(tests(), &config, selection, |_| false).unwrap();
        plan.tests
            .iter()
            .map(|test| format!("{} {} {:?}", test.id, test.profile, test.origin))
            .collect()
    };
    assert_eq!(
        shown(&Selection::default()),
        BTreeSet::from(
            [
                "a.sh standard Default",
                "test/a.sh fast Rule",
                "test/slow/a.sh::case slow Rule",
                "test/slow/b.sh intensive Marker",
            ]
            .map(str::to_owned)
        )
    );
    let forced = Selection {
        profile: Some("fast".into()),
        ..Selection::default()
    };
    assert!(
        shown(&forced)
            .iter()
            .all(|test| test.ends_with("fast CommandLine"))
    );
    assert_eq!(shown(&forced).len(), 4);
}

#[test]
fn the_strongest_word_about_an_image_counts() {
    let mut config = config();
    let named = ImageChoice::Named("debian:12".into());
    let image = |config: &Config, image: Option<ImageChoice>, available: bool| {
        let selection = Selection {
            image,
            ..Selection::default()
        };
        let tests = vec![marked("a", "intensive")];
        let plan = plan(tests, config, &selection, |image| {
            assert_eq!(*image, ImageChoice::Full);
            available
        });
        plan.unwrap().tests[0].image.clone()
    };
    assert_eq!(image(&config, None, false), ImageChoice::Isolation);
    assert_eq!(image(&config, None, true), ImageChoice::Full);
    config.image = Some(named.clone());
    assert_eq!(image(&config, None, false), named);
    assert_eq!(image(&config, None, true), ImageChoice::Full);
    assert_eq!(
        image(&config, Some(ImageChoice::Host), true),
        ImageChoice::Host
    );
}

#[test]
fn an_image_is_looked_for_once() {
    let asked = Cell::new(0);
    let tests = (0..10)
        .map(|n| marked(&format!("t{n}"), "intensive"))
        .collect();
    plan(tests, &config(), &Selection::default(), |_| {
        asked.set(asked.get() + 1);
        true
    })
    .unwrap();
    assert_eq!(asked.get(), 1);
}

#[test]
fn heavier_profiles_come_first() {
    let mut config = config();
    let mut big = config.profiles["slow"].clone();
    big.name = "big".into();
    big.limits.memory_bytes *= 2;
    config.profiles.insert("big".into(), big);
    let mut tests = found(&["b", "a"]);
    for (id, profile) in [
        ("f", "fast"),
        ("s", "slow"),
        ("i", "intensive"),
        ("c", "big"),
    ] {
        tests.push(marked(id, profile));
    }
    let plan = plan(tests, &config, &Selection::default(), |_| true).unwrap();
    assert_eq!(ids(&plan), ["i", "c", "s", "a", "b", "f"]);
}

#[test]
fn a_filter_is_a_part_or_a_pattern() {
    let tests = || found(&["test/unit/a.sh", "test/unit/b.sh::x", "test/c.sh"]);
    let left = |words: &[&str]| ids(&plan(tests(), &config(), &filters(words), |_| true).unwrap());
    assert_eq!(left(&["unit"]), ["test/unit/a.sh", "test/unit/b.sh::x"]);
    assert_eq!(left(&["::x", "c.s"]), ["test/c.sh", "test/unit/b.sh::x"]);
    assert_eq!(left(&["test/*.sh"]), ["test/c.sh", "test/unit/a.sh"]);
    assert_eq!(left(&["*/[ac].sh", "b.sh"]).len(), 3);
    assert_eq!(left(&["TEST", "?est/c*"]), ["test/c.sh"]);
}

#[test]
fn what_is_refused() {
    let error = |tests: &[&str], selection: &Selection| {
        plan(found(tests), &config(), selection, |_| true).unwrap_err()
    };
    let profile = Selection {
        profile: Some("sllow".into()),
        ..Selection::default()
    };
    for (tests, selection, message) in [
        (
            &["a"][..],
            &profile,
            "unknown profile 'sllow': did you mean 'slow'?",
        ),
        (
            &["a"],
            &filters(&["a["]),
            "--filter: invalid pattern 'a[': unclosed character class; missing ']'; write a path \
             pattern, as in test/**/*_test.sh",
        ),
        (
            &["a"],
            &filters(&["a", ""]),
            "--filter: it is empty: write a part of an id, or a pattern such as 'test/unit/*'",
        ),
        (
            &[],
            &filters(&["a"]),
            "no tests: no file in 'test' matches suite.include '**/*_test.sh'",
        ),
        (
            &["a", "b"],
            &filters(&["x\u{1b}", "y*"]),
            "no tests: none of the 2 tests found matches --filter 'x\\x1b' or 'y*'",
        ),
    ] {
        assert_eq!(error(tests, selection).to_string(), message);
    }
    let elsewhere = Selection {
        paths: vec!["lib".into(), "x\n".into()],
        ..Selection::default()
    };
    assert_eq!(
        error(&[], &elsewhere).to_string(),
        "no tests: no file in 'lib' or 'x\\n' matches suite.include '**/*_test.sh'"
    );
    assert!(matches!(
        error(&[], &Selection::default()),
        PlanError::NoTests { .. }
    ));
    let mut listing = config();
    listing.suite.list = Some(vec!["x".into()]);
    let none = plan(Vec::new(), &listing, &Selection::default(), |_| true).unwrap_err();
    assert_eq!(none.to_string(), "no tests: suite.list printed none");
}

proptest! {
    /// Every selected test is planned exactly once, and those of one kind are together.
    #[test]
    fn nothing_is_lost_or_doubled(
        ids in prop::collection::btree_set("[ab/]{1,6}", 1..40),
        marks in prop::collection::vec(prop::option::of(0..4usize), 40),
        filter in "[ab]{1,2}|[ab*?]{1,3}",
        full in any::<bool>(),
    ) {
        let names = ["fast", "standard", "slow", "intensive"];
        let tests: Vec<_> = ids
            .iter()
            .zip(&marks)
            .map(|(id, mark)| FoundTest {
                id: TestId::new(id.as_str()),
                marker: mark.map(|at| names[at].to_owned()),
            })
            .collect();
        let whole = plan(tests.clone(), &config(), &Selection::default(), |_| full).unwrap();
        let planned: BTreeSet<_> = whole.tests.iter().map(|test| test.id.to_string()).collect();
        prop_assert_eq!(whole.tests.len(), ids.len());
        prop_assert_eq!(&planned, &ids);
        let mut kinds: Vec<_> = whole.tests.iter().map(|test| (&test.profile, &test.image)).collect();
        kinds.dedup();
        let different: BTreeSet<_> = kinds.iter().collect();
        prop_assert_eq!(different.len(), kinds.len());

        let part = match plan(tests, &config(), &filters(&[&filter]), |_| full) {
            Ok(plan) => plan.tests,
            Err(PlanError::NoTests { .. }) => Vec::new(),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let kept: Vec<_> = whole.tests.into_iter().filter(|test| part.contains(test)).collect();
        prop_assert_eq!(&kept, &part, "a filter keeps the order");
        if !filter.contains(['*', '?']) {
            let expected = ids.iter().filter(|id| id.contains(&filter)).count();
            prop_assert_eq!(part.len(), expected);
        }
    }
}
