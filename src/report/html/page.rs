//! The page itself: a template, its styles and scripts, and the data as JSON.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::workers::Kind;

/// What plots: see `vendor/README.md`.
const PLOTS: &str = concat!(
    "/*!\n",
    include_str!("vendor/LICENSE-uPlot"),
    "*/\n",
    include_str!("vendor/uPlot.iife.min.js")
);
/// Styles of the plots, and then ours.
const STYLE: &str = concat!(
    include_str!("vendor/uPlot.min.css"),
    "\n",
    include_str!("page/page.css")
);
/// Ours: one scope, so that nothing but `uPlot` is global.
const SCRIPT: &str = concat!(
    "(function () {\n\"use strict\";\n",
    include_str!("page/data.js"),
    include_str!("page/dom.js"),
    include_str!("page/filter.js"),
    include_str!("page/table.js"),
    include_str!("page/plots.js"),
    include_str!("page/timeline.js"),
    include_str!("page/test.js"),
    include_str!("page/lists.js"),
    include_str!("page/main.js"),
    "}());\n"
);

/// The page. Text is escaped by the template, all but the four texts that are marked safe there:
/// three of our own, and the data, which `json` wrote.
#[derive(Debug, Template)]
#[template(path = "page.html")]
pub struct Page<'a> {
    /// Of the run.
    pub run: &'a str,
    /// `passed`, `failed`, …
    pub verdict: Verdict,
    /// What the run was, as pairs of a name and a text.
    pub facts: Vec<(&'static str, String)>,
    /// Tests by outcome.
    pub totals: Vec<Total>,
    /// What the page leaves out.
    pub notes: Vec<String>,
    /// The workers.
    pub workers: Vec<Kind>,
    /// Kinds of workers that are not shown.
    pub more_workers: usize,
    /// What went wrong with workers.
    pub problems: Vec<String>,
    /// From `json`.
    pub data: &'a str,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// `good`, `bad`, `unknown`: how it looks.
    pub class: &'static str,
    /// How it reads.
    pub text: String,
}

/// Tests with one outcome.
#[derive(Debug, PartialEq)]
pub struct Total {
    /// The outcome's word.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

impl Page<'_> {
    /// Nothing is loaded and nothing is sent; only these scripts and styles act.
    fn policy(&self) -> String {
        let allow = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        format!(
            "default-src 'none'; script-src {} {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
            allow(PLOTS),
            allow(SCRIPT),
            allow(STYLE)
        )
    }

    fn style(&self) -> &'static str {
        STYLE
    }

    fn plots(&self) -> &'static str {
        PLOTS
    }

    fn script(&self) -> &'static str {
        SCRIPT
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendored_files_are_the_ones_that_are_written_down() {
        let table = include_str!("vendor/README.md");
        for text in [
            include_str!("vendor/uPlot.iife.min.js"),
            include_str!("vendor/uPlot.min.css"),
        ] {
            let digest: String = Sha256::digest(text)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert!(table.contains(&digest), "{digest}");
        }
    }

    #[test]
    fn our_texts_cannot_end_their_elements_and_name_no_network() {
        for text in [PLOTS, SCRIPT, STYLE] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
        for word in [
            "fetch(",
            "XMLHttpRequest",
            "innerHTML",
            "eval(",
            "@import",
            "url(",
        ] {
            assert!(!SCRIPT.contains(word) && !STYLE.contains(word), "{word}");
        }
    }
}
