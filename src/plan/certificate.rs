//! Whether parts of a suite are the whole of it: each test exactly once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shard::manifest_of;
use crate::model::{ByteText, ContentDigest, Shard, escape};

/// A test as the manifest of a suite has it: id, profile, image.
pub type Entry = (ByteText, String, String);

/// A recorded run of a part of a suite.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it comes from, for messages.
    pub from: String,
    /// The run.
    pub run: String,
    /// Names the whole suite.
    pub suite: String,
    /// Which part it is.
    pub shard: Shard,
    /// The limits of each profile in use.
    pub profiles: Value,
    /// What names the content of each image in use, by its word, where that is known.
    pub image_digests: BTreeMap<String, ContentDigest>,
    /// The tests that it planned.
    pub planned: Vec<Entry>,
    /// The tests of the others, with their shards' numbers.
    pub elsewhere: Vec<(Entry, u32)>,
    /// The tests that have their last word in it, with the outcome's word.
    pub finals: Vec<(ByteText, String)>,
}

/// What parts are together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Names the whole suite.
    pub suite: String,
    /// How many tests it has.
    pub tests: usize,
    /// How many parts.
    pub shards: u32,
    /// The parts, by their numbers: which, the run, and how many tests have their last word in it.
    pub parts: Vec<(u32, String, usize)>,
    /// The images of the parts' tests, each with the digest that all of those parts have; without one
    /// it is not known of all of them that it was the same.
    pub images: BTreeMap<String, Option<ContentDigest>>,
    /// How many tests have which outcome; one that is there twice counts twice.
    pub outcomes: BTreeMap<String, usize>,
    /// Tests without a last word, each with the part that should have it.
    pub missing: Vec<(ByteText, u32)>,
    /// Tests with more than one, each with the runs.
    pub twice: Vec<(ByteText, Vec<String>)>,
}

impl Certificate {
    /// Each test is there exactly once.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.twice.is_empty()
    }
}

/// Judges parts; the same run named twice is one part.
///
/// # Errors
/// One line: they are no parts of one suite under the same limits.
pub fn certify(mut parts: Vec<Part>) -> Result<Certificate, String> {
    parts.sort_by(|one, other| (one.shard, &one.run).cmp(&(other.shard, &other.run)));
    parts.dedup_by(|one, other| one.run == other.run);
    let Some(first) = parts.first() else {
        return Err("nothing is to be merged".to_owned());
    };
    for part in &parts {
        fits(first, part)?;
    }
    let images = images(&parts)?;
    let mut shard_of: BTreeMap<&ByteText, u32> = BTreeMap::new();
    for ((id, ..), shard) in &first.elsewhere {
        shard_of.insert(id, *shard);
    }
    for (id, ..) in &first.planned {
        shard_of.insert(id, first.shard.shard);
    }
    let mut outcomes = BTreeMap::new();
    let mut runs_of: BTreeMap<&ByteText, Vec<String>> = BTreeMap::new();
    for part in &parts {
        for (id, outcome) in &part.finals {
            runs_of.entry(id).or_default().push(part.run.clone());
            *outcomes.entry(outcome.clone()).or_default() += 1;
        }
    }
    let missing = shard_of.iter().filter(|(id, _)| !runs_of.contains_key(*id));
    Ok(Certificate {
        suite: first.suite.clone(),
        tests: shard_of.len(),
        shards: first.shard.shards,
        missing: missing.map(|(id, shard)| ((*id).clone(), *shard)).collect(),
        parts: parts
            .iter()
            .map(|part| (part.shard.shard, part.run.clone(), part.finals.len()))
            .collect(),
        images,
        outcomes,
        twice: runs_of
            .into_iter()
            .filter(|(_, runs)| runs.len() > 1)
            .map(|(id, runs)| (id.clone(), runs))
            .collect(),
    })
}

/// Whether `part` is of the same suite as `first`, under the same limits, and is what it says.
fn fits(first: &Part, part: &Part) -> Result<(), String> {
    let differ = |what: &str, hint: &str| {
        Err(format!(
            "{} and {} cannot be merged: {what}\nhint: {hint}",
            first.from, part.from
        ))
    };
    let same = "every shard needs the same revision, config and images";
    if first.suite != part.suite {
        return differ("their suites differ", same);
    }
    if first.shard.shards != part.shard.shards {
        let what = format!(
            "one is a shard of {}, the other of {}",
            first.shard.shards, part.shard.shards
        );
        return differ(&what, "merge the shards of one division");
    }
    if let (Some(ours), Some(theirs)) = (first.profiles.as_object(), part.profiles.as_object()) {
        let both = ours.iter().filter_map(|(name, limits)| {
            let other = theirs.get(name)?;
            (other != limits).then_some(name)
        });
        if let Some(name) = both.into_iter().next() {
            let what = format!("the limits of profile {} differ", escape(name.as_bytes()));
            let hint =
                "run all shards with the same config, on machines that can give these limits";
            return differ(&what, hint);
        }
    }
    let all = part.planned.iter().cloned();
    let all = all.chain(part.elsewhere.iter().map(|(entry, _)| entry.clone()));
    if manifest_of(all.collect()) != part.suite {
        return Err(format!(
            "{} is damaged: the tests of run {} are not the suite that it names\nhint: run this shard again",
            part.from, part.run
        ));
    }
    Ok(())
}

/// The images of the parts' tests, see [`Certificate::images`].
fn images(parts: &[Part]) -> Result<BTreeMap<String, Option<ContentDigest>>, String> {
    let mut images = BTreeMap::new();
    for part in parts {
        for (.., word) in &part.planned {
            images.entry(word.clone()).or_insert(None);
        }
    }
    for (word, all) in &mut images {
        let known: Vec<(&Part, &ContentDigest)> = parts
            .iter()
            .filter_map(|part| Some((part, part.image_digests.get(word)?)))
            .collect();
        let Some((one, digest)) = known.first().copied() else {
            continue;
        };
        if let Some((other, its)) = known.iter().find(|(_, its)| *its != digest) {
            let in_shard = |part: &Part, digest: &ContentDigest| {
                let Shard { shard, shards } = part.shard;
                format!("{} in shard {shard}/{shards}", digest.short())
            };
            return Err(format!(
                "{} and {} cannot be merged: image {} was not the same: {}, {}\n\
                 hint: build or pull the same image on every machine; for instance one job builds it and the others load it",
                one.from,
                other.from,
                escape(word.as_bytes()),
                in_shard(one, digest),
                in_shard(other, its)
            ));
        }
        let uses = |part: &&Part| part.planned.iter().any(|(.., image)| image == word);
        let users = parts.iter().filter(uses);
        if users
            .clone()
            .all(|part| part.image_digests.contains_key(word))
        {
            *all = Some(digest.clone());
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn entry(id: &str) -> Entry {
        (id.into(), "fast".into(), "isolation".into())
    }

    fn digest(byte: u8) -> ContentDigest {
        ContentDigest::of_sha256([byte; 32])
    }

    /// The parts of a suite whose tests are in these shards.
    fn parts(shards_of: &[u32], shards: u32) -> Vec<Part> {
        let entries: Vec<Entry> = (0..shards_of.len())
            .map(|n| entry(&format!("t{n}")))
            .collect();
        let suite = manifest_of(entries.clone());
        let all = || entries.iter().cloned().zip(shards_of.iter().copied());
        (1..=shards)
            .map(|shard| {
                let planned: Vec<Entry> = all()
                    .filter(|(_, of)| *of == shard)
                    .map(|(entry, _)| entry)
                    .collect();
                Part {
                    from: format!("{shard}.db"),
                    run: format!("run{shard}"),
                    suite: suite.clone(),
                    shard: Shard { shard, shards },
                    profiles: json!({"fast": {"pids": 64}}),
                    image_digests: [("isolation".to_owned(), digest(1))].into(),
                    finals: planned
                        .iter()
                        .map(|(id, ..)| (id.clone(), "pass".into()))
                        .collect(),
                    planned,
                    elsewhere: all().filter(|(_, of)| *of != shard).collect(),
                }
            })
            .collect()
    }

    proptest! {
        /// All parts are the whole, in any order and named twice; without one of them exactly its
        /// tests are missing.
        #[test]
        fn all_parts_are_the_whole(
            shards_of in prop::collection::vec(1u32..6, 0..40),
            left_out in 0usize..5,
            turned: bool,
        ) {
            let mut all = parts(&shards_of, 5);
            if turned {
                all.reverse();
            }
            let twice: Vec<Part> = all.iter().chain(&all).cloned().collect();
            let whole = certify(twice).unwrap();
            prop_assert!(whole.is_whole());
            prop_assert_eq!((whole.tests, whole.parts.len()), (shards_of.len(), 5));
            let gone = all.remove(left_out);
            let part = certify(all).unwrap();
            let missing: Vec<_> = part.missing.iter().map(|(id, _)| id.clone()).collect();
            let mut expected: Vec<_> = gone.planned.iter().map(|(id, ..)| id.clone()).collect();
            expected.sort();
            prop_assert_eq!(missing, expected);
            prop_assert!(part.missing.iter().all(|(_, shard)| *shard == gone.shard.shard));
        }
    }

    #[test]
    fn a_test_without_a_last_word_is_missing_and_one_with_two_is_there_twice() {
        let mut all = parts(&[1, 2, 2], 2);
        all[1].finals.remove(0);
        let mut again = all[0].clone();
        again.run = "again".into();
        all.push(again);
        let found = certify(all).unwrap();
        assert!(!found.is_whole());
        assert_eq!(found.missing, [("t1".into(), 2)]);
        let runs = vec!["again".to_owned(), "run1".to_owned()];
        assert_eq!(found.twice, [("t0".into(), runs)]);
    }

    #[test]
    fn images_are_the_same_different_or_not_compared() {
        let image = |known: Option<ContentDigest>| BTreeMap::from([("isolation".into(), known)]);
        let mut all = parts(&[1, 2, 2], 3);
        assert_eq!(certify(all.clone()).unwrap().images, image(Some(digest(1))));
        // Nobody in the third uses it.
        all[2].image_digests.clear();
        assert_eq!(certify(all.clone()).unwrap().images, image(Some(digest(1))));
        all[1].image_digests.clear();
        assert_eq!(certify(all.clone()).unwrap().images, image(None));
        all[0].image_digests.clear();
        assert_eq!(certify(all.clone()).unwrap().images, image(None));
        assert!(certify(all).unwrap().is_whole());

        let mut all = parts(&[1, 2, 3], 3);
        all[0].image_digests.clear();
        all[2].image_digests.insert("isolation".into(), digest(2));
        assert_eq!(
            certify(all).unwrap_err(),
            "2.db and 3.db cannot be merged: image isolation was not the same: \
             sha256:010101010101 in shard 2/3, sha256:020202020202 in shard 3/3\n\
             hint: build or pull the same image on every machine; for instance one job builds it and the others load it"
        );
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let wrong = |change: fn(&mut Part)| {
            let mut all = parts(&[1, 2], 2);
            change(&mut all[1]);
            certify(all).unwrap_err()
        };
        assert!(certify(Vec::new()).is_err());
        let found = wrong(|part| part.suite = "other".into());
        assert!(
            found.starts_with("1.db and 2.db cannot be merged: their suites differ\n"),
            "{found}"
        );
        let found = wrong(|part| part.shard.shards = 3);
        assert!(
            found.contains("one is a shard of 2, the other of 3\n"),
            "{found}"
        );
        let found = wrong(|part| part.profiles = json!({"fast": {"pids": 65}}));
        assert!(
            found.contains("the limits of profile fast differ\n"),
            "{found}"
        );
        let found = wrong(|part| part.planned[0].1 = "slow".into());
        assert!(found.starts_with("2.db is damaged: "), "{found}");
        // A profile that only one of them uses is no difference.
        let mut all = parts(&[1, 2], 2);
        all[1].profiles = json!({"slow": {"pids": 65}});
        assert!(certify(all).unwrap().is_whole());
    }
}
