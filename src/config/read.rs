//! From the YAML tree to the configuration: the keys and what they take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::model::{ImageChoice, Level, Network, escape};

use super::yaml::{Node, Scalar, Value};
use super::{
    Config, Flaky, MOST_RETRIES, Order, Patterns, RetryRule, Rule, Workers, nearest::suggestion,
    pieces, profile, violations,
};

/// The most workers that can be asked for.
const MAX_WORKERS: usize = 1024;

/// A node that is not as it should be.
#[derive(Debug)]
pub(super) struct Fault {
    /// The node's number.
    pub at: usize,
    /// What is wrong and the accepted form, safe to print.
    pub message: String,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A value with the name that messages use for it, such as `suite.root`.
#[derive(Clone)]
pub(super) struct Field<'n> {
    pub node: &'n Node,
    /// Safe to print.
    pub name: String,
}

/// The file's root node, over `config`.
pub(super) fn config(root: &Node, mut config: Config) -> Result<Config> {
    let root = Field {
        node: root,
        name: String::new(),
    };
    let mut keys = root.keys(&[
        "suite",
        "image",
        "profiles",
        "default-profile",
        "rules",
        "order",
        "retries",
        "flaky",
        "workers",
        "level",
        "network",
        "violations",
        "results",
    ])?;
    if let Some(field) = keys.remove("profiles") {
        profile::read(&field, &mut config.profiles)?;
    }
    if let Some(field) = keys.remove("default-profile") {
        config.default_profile = profile::known(&field, &config.profiles)?;
    }
    if let Some(field) = keys.remove("rules") {
        for field in field.list()? {
            rule(&field, &mut config)?;
        }
    }
    if let Some(field) = keys.remove("order") {
        config.order = word(&field, &Order::ALL, Order::as_str)?;
    }
    if let Some(field) = keys.remove("retries") {
        config.retries = retries(&field)?;
    }
    if let Some(field) = keys.remove("flaky") {
        config.flaky = word(&field, &Flaky::ALL, Flaky::as_str)?;
    }
    if let Some(field) = keys.remove("image") {
        config.image = Some(image(&field)?);
    }
    if let Some(field) = keys.remove("workers") {
        config.workers = workers(&field)?;
    }
    if let Some(field) = keys.remove("level") {
        config.level = word(&field, &Level::ALL, Level::as_str)?;
    }
    if let Some(field) = keys.remove("network") {
        config.network = word(&field, &Network::ALL, Network::as_str)?;
    }
    if let Some(field) = keys.remove("violations") {
        config.violations = violations::read(&field)?;
    }
    let results = keys.remove("results");
    if let Some(field) = &results {
        config.results = field.path()?;
    }
    if let Some(field) = keys.remove("suite") {
        suite(&field, &mut config)?;
    }
    if let Some(field) = results {
        apart(&field, &config)?;
    }
    Ok(config)
}

fn suite(field: &Field, config: &mut Config) -> Result<()> {
    let mut keys = field.keys(&[
        "root", "include", "exclude", "command", "list", "runtime", "env",
    ])?;
    let suite = &mut config.suite;
    if let Some(field) = keys.remove("root") {
        suite.root = root(&field)?;
    }
    if let Some(field) = keys.remove("include") {
        suite.include = patterns(&field)?;
    }
    if let Some(field) = keys.remove("exclude") {
        suite.exclude = patterns(&field)?;
    }
    if let Some(field) = keys.remove("command") {
        suite.command = command(&field, true)?;
    }
    if let Some(field) = keys.remove("list") {
        suite.list = Some(command(&field, false)?);
    }
    if let Some(field) = keys.remove("runtime") {
        suite.runtime = Some(field.path()?);
    }
    if let Some(field) = keys.remove("env") {
        suite.env = environment(&field)?;
    }
    Ok(())
}

fn rule(field: &Field, config: &mut Config) -> Result<()> {
    let mut keys = field.keys(&["path", "profile", "retries"])?;
    let lacks = |key: &str| {
        field.wrong(
            &format!("has no '{key}'"),
            "write {path: \"test/unit/**\", profile: fast}",
        )
    };
    let path = keys.remove("path").ok_or_else(|| lacks("path"))?;
    let path = pattern(&path)?;
    let (profile, again) = (keys.remove("profile"), keys.remove("retries"));
    if let Some(field) = &again {
        config.retry_rules.push(RetryRule {
            path: path.clone(),
            retries: retries(field)?,
        });
    }
    match profile {
        Some(field) => config.rules.push(Rule {
            path,
            profile: profile::known(&field, &config.profiles)?,
        }),
        None if again.is_some() => {}
        None => return Err(lacks("profile")),
    }
    Ok(())
}

/// How often a test is run again.
fn retries(field: &Field) -> Result<u32> {
    let count = profile::count(field, 0..=MOST_RETRIES.into())?;
    Ok(u32::try_from(count).unwrap_or(MOST_RETRIES))
}

/// An image, by word or by reference.
pub(super) fn image(field: &Field) -> Result<ImageChoice> {
    ImageChoice::parse(field.text()?).map_err(|message| field.fault(&message))
}

/// One of these words.
pub(super) fn word<T: Copy>(field: &Field, all: &[T], as_str: fn(T) -> &'static str) -> Result<T> {
    let text = field.text()?;
    let found = all.iter().find(|one| as_str(**one) == text);
    found.copied().ok_or_else(|| {
        let known = all.iter().map(|one| as_str(*one));
        field.unfit(&suggestion(text, known))
    })
}

fn workers(field: &Field) -> Result<Workers> {
    let count = match &field.node.value {
        Value::Scalar(Scalar::Text, text) if text == "auto" => return Ok(Workers::Auto),
        Value::Scalar(Scalar::Number, text) => text.parse().unwrap_or(0),
        _ => 0,
    };
    if (1..=MAX_WORKERS).contains(&count) {
        return Ok(Workers::Count(count));
    }
    Err(field.unfit(&format!("write auto or a number from 1 to {MAX_WORKERS}")))
}

fn root(field: &Field) -> Result<PathBuf> {
    let path = field.path()?;
    let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if path.components().all(inside) {
        Ok(path)
    } else {
        Err(field.unfit("write a path inside the project, without '..', as in test"))
    }
}

/// The results are left out of the search for tests, so they may not contain all of them.
fn apart(field: &Field, config: &Config) -> Result<()> {
    let root = lexical(&config.project.join(&config.suite.root));
    if root.starts_with(lexical(&config.results_path())) {
        let form = "write a directory of its own, as in test-results";
        return Err(field.wrong("contains the suite's root", form));
    }
    Ok(())
}

/// `path` without `.` and `..`, by its text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            component => out.push(component),
        }
    }
    out
}

fn patterns(field: &Field) -> Result<Vec<String>> {
    let patterns: Vec<String> = field.list()?.iter().map(pattern).collect::<Result<_>>()?;
    Patterns::new(&patterns).map_err(|message| field.fault(&message))?;
    Ok(patterns)
}

fn pattern(field: &Field) -> Result<String> {
    let text = field.text()?;
    Patterns::new(&[text]).map_err(|message| field.fault(&message))?;
    Ok(text.to_owned())
}

fn command(field: &Field, placeholders: bool) -> Result<Vec<String>> {
    let arguments = field.list()?;
    if arguments.first().is_none_or(|program| program.is_text("")) {
        return Err(field.wrong(
            "has no program",
            "write a list of program and arguments, as in [\"sh\", \"{test}\"]",
        ));
    }
    let argument = |field: &Field| {
        let text = field.text()?;
        if placeholders {
            pieces(text).map_err(|message| field.fault(&message))?;
        }
        Ok(text.to_owned())
    };
    arguments.iter().map(argument).collect()
}

fn environment(field: &Field) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for (key, name, field) in field.entries()? {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Fault {
                at: key.at,
                message: format!(
                    "invalid variable name '{}': write a name without '=', as in LANG: C.UTF-8",
                    escape(name.as_bytes())
                ),
            });
        }
        let Value::Scalar(_, value) = &field.node.value else {
            return Err(field.unfit("write text, a number, true or false"));
        };
        field.without_nul(value)?;
        out.insert(name.to_owned(), value.clone());
    }
    Ok(out)
}

impl<'n> Field<'n> {
    /// A fault of this field: its name, and a message that says everything else.
    pub fn fault(&self, message: &str) -> Fault {
        Fault {
            at: self.node.at,
            message: if self.name.is_empty() {
                message.to_owned()
            } else {
                format!("'{}': {message}", self.name)
            },
        }
    }

    /// `'name' WHAT: FORM`.
    pub fn wrong(&self, what: &str, form: &str) -> Fault {
        let name = match self.name.as_str() {
            "" => "the file".to_owned(),
            name => format!("'{name}'"),
        };
        Fault {
            at: self.node.at,
            message: format!("{name} {what}: {form}"),
        }
    }

    /// `'name' is VALUE: FORM`.
    pub fn unfit(&self, form: &str) -> Fault {
        let value = match &self.node.value {
            Value::Scalar(_, text) => format!("is '{}'", escape(text.as_bytes())),
            other => format!("is {}", other.describe()),
        };
        self.wrong(&value, form)
    }

    /// A mapping with free keys: each with its node, its text and its value.
    pub fn entries(&self) -> Result<Vec<(&'n Node, &'n str, Field<'n>)>> {
        let Value::Map(pairs) = &self.node.value else {
            return Err(self.unfit("write a mapping, as in 'key: value' lines"));
        };
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for (key, node) in pairs {
            let Value::Scalar(_, text) = &key.value else {
                return Err(Fault {
                    at: key.at,
                    message: format!("a key is {}: write text", key.value.describe()),
                });
            };
            let shown = escape(text.as_bytes());
            let name = match self.name.as_str() {
                "" => shown,
                outer => format!("{outer}.{shown}"),
            };
            if !seen.insert(text) {
                return Err(Fault {
                    at: key.at,
                    message: format!("'{name}' occurs twice: write it once"),
                });
            }
            out.push((key, text.as_str(), Field { node, name }));
        }
        Ok(out)
    }

    /// A mapping with these keys and no others; those that are empty are left out, and so an
    /// empty mapping may be written as nothing.
    pub fn keys(&self, known: &[&str]) -> Result<BTreeMap<&'n str, Field<'n>>> {
        if matches!(self.node.value, Value::Null) {
            return Ok(BTreeMap::new());
        }
        let mut out = BTreeMap::new();
        for (key, text, field) in self.entries()? {
            if !known.contains(&text) {
                return Err(Fault {
                    at: key.at,
                    message: format!(
                        "unknown key '{}': {}",
                        field.name,
                        suggestion(text, known.iter().copied())
                    ),
                });
            }
            if !matches!(field.node.value, Value::Null) {
                out.insert(text, field);
            }
        }
        Ok(out)
    }

    /// A list.
    pub fn list(&self) -> Result<Vec<Field<'n>>> {
        let Value::List(nodes) = &self.node.value else {
            return Err(self.unfit("write a list, as in [\"a\", \"b\"]"));
        };
        let name = |index: usize| format!("{}[{index}]", self.name);
        let field = |(index, node)| Field {
            node,
            name: name(index),
        };
        Ok(nodes.iter().enumerate().map(field).collect())
    }

    /// Text without NUL.
    pub fn text(&self) -> Result<&'n str> {
        match &self.node.value {
            Value::Scalar(Scalar::Text, text) => {
                self.without_nul(text)?;
                Ok(text)
            }
            _ => Err(self.unfit("write text, in quotes if it looks like a number or a bool")),
        }
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(&self.node.value, Value::Scalar(Scalar::Text, own) if own == text)
    }

    fn path(&self) -> Result<PathBuf> {
        match self.text()? {
            "" => Err(self.unfit("write a path")),
            text => Ok(PathBuf::from(text)),
        }
    }

    /// No path, argument or variable can hold a NUL.
    fn without_nul(&self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(self.wrong("contains a NUL character", "write it without"));
        }
        Ok(())
    }
}
