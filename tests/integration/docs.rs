//! The documents, held against the program: links, commands, tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{PROGRAM, repository};

/// The documents, as paths from the repository's root.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "test/README.md"]
        .iter()
        .map(PathBuf::from)
        .collect();
    for entry in fs::read_dir(repository().join("doc")).unwrap() {
        found.push(PathBuf::from("doc").join(entry.unwrap().file_name()));
    }
    found
}

fn read(path: impl Into<PathBuf>) -> String {
    let path = repository().join(path.into());
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn said(arguments: &[String]) -> (bool, String) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn help(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|word| word.to_string()).collect();
    let (fine, text) = said(&arguments);
    assert!(fine, "{text}");
    text
}

/// The cells of a table's rows whose first cell `first` accepts; code marks are taken away.
fn rows(text: &str, first: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    text.lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|line| {
            let cells = line.split(" | ");
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .filter(|cells: &Vec<String>| first(&cells[0]))
        .collect()
}

/// A heading's name in a link.
fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        for (at, _) in read(&document).match_indices("](") {
            let text = &read(&document)[at + 2..];
            let target = &text[..text.find(')').unwrap()];
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let place = if path.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(path)
            };
            let there = repository().join(&place);
            let fine = there.exists()
                && (anchor.is_empty()
                    || read(&place)
                        .lines()
                        .filter(|line| line.starts_with('#'))
                        .any(|line| slug(line.trim_start_matches('#').trim()) == anchor));
            if !fine {
                wrong.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The commands that are shown: lines of code blocks and code in the text that begin with the
/// program, without what belongs to the shell.
fn shown_commands() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for document in documents() {
        let text = read(&document);
        let mut block = false;
        for line in text.lines() {
            if line.starts_with("```") {
                block = !block;
                continue;
            }
            let pieces: Vec<&str> = if block {
                vec![line.trim_start_matches("$ ")]
            } else {
                line.split('`').skip(1).step_by(2).collect()
            };
            for piece in pieces {
                if let Some(rest) = ["docker-test ", "cargo run --release -- "]
                    .iter()
                    .find_map(|program| piece.strip_prefix(program))
                {
                    let end = rest.find(['#', '>']).unwrap_or(rest.len());
                    let end = rest[..end].find(" |").unwrap_or(end);
                    found.push((document.clone(), rest[..end].trim().to_owned()));
                }
            }
        }
    }
    found
}

/// Every command line that is shown is understood, up to its options' values.
#[test]
fn shown_commands_are_understood() {
    let shown = shown_commands();
    assert!(shown.len() > 20, "few commands are found: {shown:?}");
    for (document, line) in shown {
        // `[PATH]...`, `[isolation\|full\|all]` and `COMMAND` stand for something.
        let mut words: Vec<String> = line
            .split_whitespace()
            .take_while(|word| *word != "--" && *word != "[--")
            .filter(|word| !word.starts_with('[') && !word.chars().all(char::is_uppercase))
            .map(str::to_owned)
            .collect();
        if words.first().is_none_or(|word| word != "help") {
            words.push("--help".into());
        }
        let (fine, text) = said(&words);
        assert!(fine, "{}: {line}: {text}", document.display());
    }
}

/// The commands' names, from `--help`.
fn commands() -> Vec<String> {
    let text = help(&["--help"]);
    let list = text.split("Commands:\n").nth(1).unwrap();
    let list = list.split("\n\n").next().unwrap();
    list.lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = read("README.md");
    let all = commands();
    assert!(all.len() > 8, "{all:?}");
    for name in all {
        assert!(
            readme.contains(&format!("| `docker-test {name}")),
            "{name} is missing"
        );
    }
}

#[test]
fn every_option_that_is_named_exists() {
    let mut all = help(&["--help"]);
    for name in commands() {
        if name != "help" {
            all.push_str(&help(&[&name, "--help"]));
        }
    }
    let known: BTreeSet<&str> = all
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with("--"))
        .collect();
    for document in [
        "README.md",
        "doc/ci.md",
        "doc/exit-codes.md",
        "doc/configuration.md",
    ] {
        for code in read(document).split('`').skip(1).step_by(2) {
            let option = code.split([' ', '=']).next().unwrap();
            if option.len() > 2 && option.starts_with("--") {
                assert!(known.contains(option), "{document}: {option}");
            }
        }
    }
}

/// What `--help` says of exit statuses is in both tables.
#[test]
fn exit_statuses_agree() {
    let text = help(&["--help"]);
    let list = text.split("Exit status:").nth(1).unwrap();
    let list = list.trim().trim_end_matches('.').replace('\n', " ");
    let number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit());
    for document in ["README.md", "doc/exit-codes.md"] {
        let table = rows(&read(document), number);
        for entry in list.split(", ") {
            let (statuses, meaning) = entry.split_once(' ').unwrap();
            for status in statuses.split('/') {
                let row = table
                    .iter()
                    .find(|row| row[0].split(", ").any(|cell| cell == status));
                let row = row.unwrap_or_else(|| panic!("{document} has no status {status}"));
                assert!(
                    row[1].starts_with(meaning),
                    "{document}: {status} is {:?}, not {meaning:?}",
                    row[1]
                );
            }
        }
    }
}

/// README's profiles are those that are built in.
#[test]
fn profiles_agree() {
    let source = read("src/model/profile.rs");
    let source = source.replace("DEFAULT_PROFILE", "\"standard\"");
    let readme = read("README.md");
    let section = readme.split("## Profiles").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let table = rows(section, |cell| cell != "profile" && !cell.starts_with('-'));
    assert_eq!(table.len(), 4, "{table:?}");
    for row in table {
        let name = row[0].split(' ').next().unwrap();
        let numbers: Vec<&str> = row[1..]
            .iter()
            .map(|cell| cell.split(' ').next().unwrap())
            .collect();
        let [cpus, rest @ ..] = numbers.as_slice() else {
            panic!("{row:?}")
        };
        let call = format!("profile(\"{name}\", {cpus}.0, {})", rest.join(", "));
        assert!(source.contains(&call), "{call} is not in the program");
    }
}

/// `.ci/run` takes README's first block of commands; it has to be the main job and the tests.
#[test]
fn the_first_commands_are_the_main_job_and_the_tests() {
    let readme = read("README.md");
    let block = readme.split("```sh\n").nth(1).unwrap();
    let lines: Vec<&str> = block.split("```").next().unwrap().lines().collect();
    assert_eq!(lines, ["cargo run --release -- run", "cargo test"]);
    assert!(!readme.split("```sh\n").next().unwrap().contains("```"));
}
