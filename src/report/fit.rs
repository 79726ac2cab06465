//! `fit`: which profiles are too large or too small, and the config that mends it.

use std::collections::BTreeSet;

use serde::Serialize;
use similar::TextDiff;

use super::Paint;
use super::show_run::bounded;
use super::summary::section;
use crate::config::{Edit, FILE_NAME, Rule};
use crate::model::ProfileOrigin;
use crate::plan::fit::{Fit, Fitted};

/// Lines around a change, as `diff -u` has them.
const CONTEXT: usize = 3;

/// How the profiles fit, as it is shown.
#[derive(Serialize)]
pub struct Fitting<'f> {
    /// The machine whose passes were looked at.
    pub machine: &'f str,
    /// The engine that they ran with.
    pub engine: Option<&'f str>,
    /// Every path, in order.
    pub paths: &'f [Fitted],
    /// Rules to add.
    #[serde(serialize_with = "as_rules")]
    pub rules: &'f [Rule],
    /// A unified diff of the config; absent where there is nothing to add, or the config's rules
    /// are written in a way that is not understood.
    pub diff: Option<&'f str>,
}

fn as_rules<S: serde::Serializer>(rules: &&[Rule], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'r> {
        path: &'r str,
        profile: &'r str,
    }
    serializer.collect_seq(rules.iter().map(|rule| Row {
        path: &rule.path,
        profile: &rule.profile,
    }))
}

impl Fitting<'_> {
    /// For people: what is wrong, what could not be judged, and the counts.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let of = |is: fn(&Fit) -> bool| {
            bounded(self.paths.iter().filter(|path| is(&path.fit)).map(line))
        };
        let under = |fit: &Fit| matches!(fit, Fit::Under { .. });
        let over = |fit: &Fit| matches!(fit, Fit::Over { .. });
        let unjudged = |fit: &Fit| matches!(fit, Fit::Unjudged { .. });
        section(&mut out, paint, "too small", &of(under));
        section(&mut out, paint, "larger than needed", &of(over));
        section(&mut out, paint, "not judged", &of(unjudged));
        let count = |is: fn(&Fit) -> bool| self.paths.iter().filter(|path| is(&path.fit)).count();
        let [under, over, unjudged] = [under, over, unjudged].map(count);
        let all = self.paths.len();
        let right = all - under - over - unjudged;
        let files = if all == 1 { "file" } else { "files" };
        out.push_str(&format!(
            "\n{all} {files}: {right} right, {under} too small, {over} larger than needed, {unjudged} not judged\n"
        ));
        out.push_str(&self.unmeasured());
        out.trim_start().to_owned()
    }
}

impl Fitting<'_> {
    /// Which limits were not judged, so that no smaller profile is blamed for being absent.
    fn unmeasured(&self) -> String {
        let needs = self.paths.iter().filter_map(|path| path.needs.as_ref());
        let lists: Vec<_> = needs.map(|needs| needs.unmeasured()).collect();
        let some = lists.iter().filter(|list| !list.is_empty()).count();
        let names: BTreeSet<_> = lists.iter().flatten().copied().collect();
        let names: Vec<_> = names.into_iter().collect();
        let keep = if some == 1 { "keeps" } else { "keep" };
        match some {
            0 => String::new(),
            some => format!(
                "{some} {keep} limits of which nothing was measured: {}\n",
                names.join(", ")
            ),
        }
    }
}

fn line(fitted: &Fitted) -> String {
    let Fitted { path, profile, .. } = fitted;
    let passes = fitted.needs.as_ref().map_or(0, |needs| needs.passes);
    let stays = match fitted.origin {
        _ if fitted.is_ruled() => "",
        ProfileOrigin::Marker => "; its marker says so: change that",
        _ => "; a rule cannot name it",
    };
    match &fitted.fit {
        Fit::Right => format!("{path}: {profile}"),
        Fit::Unjudged { why } => format!("{path}: {profile}; {why}"),
        Fit::Over { smaller } => {
            let needs = fitted
                .needs
                .as_ref()
                .map_or_else(String::new, |needs| needs.show());
            format!("{path}: {profile} -> {smaller}; needs {needs} ({passes} passes){stays}")
        }
        Fit::Under { lacks, larger } => {
            let lack = |lack: &crate::plan::fit::Lack| {
                let show = |value| lack.limit.show(value);
                let needed = lack.needed.map_or_else(|| "more".to_owned(), show);
                format!("{} {needed}, has {}", lack.limit.as_str(), show(lack.given))
            };
            let lacks: Vec<String> = lacks.iter().map(lack).collect();
            let larger = match larger {
                Some(larger) => format!("-> {larger}"),
                None => "and no profile of its image is large enough".to_owned(),
            };
            let lacks = lacks.join("; ");
            format!("{path}: {profile} {larger}; needs {lacks} ({passes} passes){stays}")
        }
    }
}

/// A unified diff of the config, for `patch -p0` in the project; `None` where it cannot be edited.
pub fn diff(edit: &Edit) -> Option<String> {
    let new = edit.new.as_deref()?;
    let old = edit.old.as_deref();
    let from = if old.is_some() {
        FILE_NAME
    } else {
        "/dev/null"
    };
    let text = TextDiff::from_lines(old.unwrap_or_default(), new)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(from, FILE_NAME)
        .to_string();
    Some(text)
}
