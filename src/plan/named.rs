//! Which test a word names. Pure.

use crate::model::ByteText;

/// Ids that are told where a word names more than one test.
const TOLD: usize = 3;

/// What a word names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// This test.
    One(ByteText),
    /// No test.
    None,
    /// More than one test.
    Many {
        /// The first few.
        first: Vec<ByteText>,
        /// How many.
        count: usize,
    },
}

/// The test whose id `word` is, or else the only one whose id contains it.
pub fn named(ids: &[ByteText], word: &[u8]) -> Named {
    if let Some(id) = ids.iter().find(|id| id.as_bytes() == word) {
        return Named::One(id.clone());
    }
    if word.is_empty() {
        return Named::None;
    }
    let contains = |id: &&ByteText| id.as_bytes().windows(word.len()).any(|part| part == word);
    let mut first: Vec<ByteText> = Vec::new();
    let mut count = 0;
    for id in ids.iter().filter(contains) {
        count += 1;
        if first.len() < TOLD {
            first.push(id.clone());
        }
    }
    match (count, first.first()) {
        (1, Some(id)) => Named::One(id.clone()),
        (0, _) => Named::None,
        _ => Named::Many { first, count },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_id_is_stronger_than_a_part() {
        let ids = ["test/a_test.sh", "test/aa_test.sh", "x/test/a_test.sh"].map(ByteText::from);
        assert_eq!(
            named(&ids, b"test/a_test.sh"),
            Named::One("test/a_test.sh".into())
        );
        assert_eq!(named(&ids, b"aa"), Named::One("test/aa_test.sh".into()));
        assert_eq!(named(&ids, b"b_"), Named::None);
        assert_eq!(named(&ids, b""), Named::None);
        let Named::Many { first, count } = named(&ids, b"a_") else {
            panic!()
        };
        assert_eq!((first.len(), count), (3, 3));
    }

    #[test]
    fn bytes_are_compared() {
        let ids = [ByteText::from(b"t/\xff".to_vec())];
        assert_eq!(named(&ids, b"\xff"), Named::One(ids[0].clone()));
        assert_eq!(named(&ids, b"\xfe"), Named::None);
    }
}
