//! What names the content of the images that a run uses: known, or still asked for.

use std::collections::BTreeMap;

use super::request::Answer;
use crate::model::ContentDigest;

/// The digests of images, by their words. One that nothing can tell is not in it.
#[derive(Default)]
pub struct ImageDigests {
    known: BTreeMap<String, ContentDigest>,
    asked: BTreeMap<String, Answer<ContentDigest>>,
}

impl ImageDigests {
    /// This image's is known.
    pub fn know(&mut self, word: &str, digest: ContentDigest) {
        self.known.insert(word.to_owned(), digest);
    }

    /// This image's is on its way.
    pub fn ask(&mut self, word: &str, answer: Answer<ContentDigest>) {
        self.asked.insert(word.to_owned(), answer);
    }

    /// All that are known; waits for those that were asked for.
    pub fn take(&self) -> BTreeMap<String, ContentDigest> {
        let answers = self.asked.iter();
        let answered = answers.filter_map(|(word, answer)| Some((word.clone(), answer.take()?)));
        self.known.clone().into_iter().chain(answered).collect()
    }
}
