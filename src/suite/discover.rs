//! The search for tests.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::config::{Config, Patterns, suggestion};
use crate::model::{TestId, escape};

use super::place::{Obstacle, real, reason, show};
use super::{FoundTest, SuiteError, marker};

/// Finds the suite's tests, or those of `paths`, sorted by the bytes of their ids, each once.
///
/// A path is relative to `cwd`. A directory that the suite's root is in stands for the suite; any other
/// is searched with the config's patterns, which are
/// tried against the path from the suite's root and against that from the project's. A file that
/// is named is a test whatever the patterns say, and so is `file::name`. Results and `.git` are
/// left out of searches. Symlinks are followed within the project; directories outside are left
/// out, because a worker does not see them.
///
/// # Errors
/// A path that is not in the project or not there, a file or directory that cannot be read, a
/// loop of directories, a test that is a dangling symlink or one out of the project, or a marker
/// with an unknown profile.
pub fn discover(
    config: &Config,
    cwd: &Path,
    paths: &[PathBuf],
) -> Result<Vec<FoundTest>, SuiteError> {
    let search = Search::new(config)?;
    let mut tests = Vec::new();
    if paths.is_empty() {
        let place = show(&config.suite.root);
        let root = search
            .relative(&search.project.join(&search.root))
            .map_err(|obstacle| SuiteError::Root {
                place: place.clone(),
                component: obstacle.component,
                why: obstacle.why,
            })?;
        search
            .place(&root, &mut tests)
            .map_err(|stop| stop.at(&place))?;
    }
    for path in paths {
        search
            .named(cwd, path, &mut tests)
            .map_err(|stop| stop.at(&show(path)))?;
    }
    tests.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    tests.dedup_by(|a, b| a.id == b.id);
    Ok(tests)
}

/// Why a search ends.
enum Stop {
    Obstacle(Obstacle),
    Marker(SuiteError),
}

impl From<Obstacle> for Stop {
    fn from(obstacle: Obstacle) -> Self {
        Stop::Obstacle(obstacle)
    }
}

impl Stop {
    fn at(self, place: &str) -> SuiteError {
        match self {
            Stop::Marker(error) => error,
            Stop::Obstacle(Obstacle { component, why }) => SuiteError::Place {
                place: place.to_owned(),
                component,
                why,
            },
        }
    }
}

struct Search<'a> {
    config: &'a Config,
    /// The project's real path.
    project: PathBuf,
    /// The suite's root, from the project's.
    root: PathBuf,
    /// The results' real path, where there are any.
    results: PathBuf,
    include: Patterns,
    exclude: Patterns,
}

impl<'a> Search<'a> {
    fn new(config: &'a Config) -> Result<Self, SuiteError> {
        let project =
            real(&config.project).map_err(|stop| Stop::from(stop).at(&show(&config.project)))?;
        let results = config.results_path();
        Ok(Search {
            config,
            project,
            root: config.suite.root.components().filter(is_name).collect(),
            results: results.canonicalize().unwrap_or(results),
            include: Patterns::new(&config.suite.include).map_err(SuiteError::Pattern)?,
            exclude: Patterns::new(&config.suite.exclude).map_err(SuiteError::Pattern)?,
        })
    }

    /// A path from the command line.
    fn named(&self, cwd: &Path, path: &Path, tests: &mut Vec<FoundTest>) -> Result<(), Stop> {
        if path.as_os_str().is_empty() {
            return Err(Obstacle::new(path, "is an empty path").into());
        }
        let absolute = cwd.join(path);
        match split_id(path) {
            Some((file, name)) if absolute.symlink_metadata().is_err() => {
                let file = self.relative(&cwd.join(file))?;
                let mut id = file.as_os_str().as_bytes().to_vec();
                id.extend_from_slice(b"::");
                id.extend_from_slice(name);
                let marker = match self.project.join(&file).is_dir() {
                    true => None,
                    false => self.marker(&file)?,
                };
                tests.push(FoundTest {
                    id: TestId::new(id),
                    marker,
                });
                Ok(())
            }
            _ => self.place(&self.below(self.relative(&absolute)?), tests),
        }
    }

    /// A folder that the suite's root is in stands for the suite.
    fn below(&self, place: PathBuf) -> PathBuf {
        match self.root.starts_with(&place) && self.project.join(&self.root).is_dir() {
            true => self.root.clone(),
            false => place,
        }
    }

    /// The path from the project's root, without symlinks being resolved where that can be: a
    /// test has the same id however it was found.
    fn relative(&self, absolute: &Path) -> Result<PathBuf, Obstacle> {
        let real_path = real(absolute)?;
        let Ok(real_inside) = real_path.strip_prefix(&self.project) else {
            let project = show(&self.project);
            return Err(Obstacle::new(
                &real_path,
                format!("is not in the project '{project}'"),
            ));
        };
        // Behind a symlink, `..` is not what its text says.
        let components: Vec<_> = absolute.components().collect();
        let parent = |component: &Component| *component == Component::ParentDir;
        let split = components.iter().rposition(parent).map_or(0, |at| at + 1);
        let mut path: PathBuf = components[..split].iter().collect();
        if split > 0 {
            path = real(&path)?;
        }
        path.extend(&components[split..]);
        Ok(path
            .strip_prefix(&self.project)
            .unwrap_or(real_inside)
            .to_owned())
    }

    /// A directory or file of the project.
    fn place(&self, path: &Path, tests: &mut Vec<FoundTest>) -> Result<(), Stop> {
        let absolute = match path.as_os_str().is_empty() {
            true => self.project.clone(),
            false => self.project.join(path),
        };
        let metadata = absolute
            .metadata()
            .map_err(|error| Obstacle::new(&absolute, reason(&absolute, &error)))?;
        if metadata.is_dir() {
            self.directory(&absolute, tests)
        } else if metadata.is_file() {
            self.file(path, tests)
        } else {
            Err(Obstacle::new(&absolute, "is neither a file nor a directory").into())
        }
    }

    fn directory(&self, top: &Path, tests: &mut Vec<FoundTest>) -> Result<(), Stop> {
        let walk = WalkDir::new(top)
            .follow_links(true)
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !self.is_left_out(entry));
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => match self.obstacle(&error) {
                    Some(obstacle) => return Err(obstacle.into()),
                    None => continue,
                },
            };
            let path = self.inside(entry.path());
            if entry.file_type().is_dir() || !self.matches(&self.include, path) {
                continue;
            }
            if !entry.file_type().is_file() {
                return Err(Obstacle::new(path, "is not a regular file").into());
            }
            if entry.path_is_symlink() && self.is_outside(entry.path()) {
                return Err(Obstacle::new(path, "is a symlink out of the project").into());
            }
            self.file(path, tests)?;
        }
        Ok(())
    }

    fn file(&self, path: &Path, tests: &mut Vec<FoundTest>) -> Result<(), Stop> {
        tests.push(FoundTest {
            id: TestId::new(path.as_os_str()),
            marker: self.marker(path)?,
        });
        Ok(())
    }

    /// Why the walk cannot go on; `None` where it can, because what is wrong would be no test.
    fn obstacle(&self, error: &walkdir::Error) -> Option<Obstacle> {
        let absolute = error.path().unwrap_or(&self.project);
        let path = self.inside(absolute);
        if self.is_unwanted(absolute) {
            return None;
        }
        if let Some(ancestor) = error.loop_ancestor() {
            let ancestor = show(self.inside(ancestor));
            let why = format!("is a symlink to '{ancestor}', which contains it");
            return Some(Obstacle::new(path, why));
        }
        if absolute.is_symlink() && !self.matches(&self.include, path) {
            return None;
        }
        let unknown = io::Error::other("unknown reason");
        let error = error.io_error().unwrap_or(&unknown);
        Some(Obstacle::new(path, reason(absolute, error)))
    }

    fn is_left_out(&self, entry: &DirEntry) -> bool {
        let leads_out =
            entry.path_is_symlink() && entry.file_type().is_dir() && self.is_outside(entry.path());
        leads_out || self.is_unwanted(entry.path())
    }

    fn is_unwanted(&self, absolute: &Path) -> bool {
        absolute.file_name() == Some(OsStr::new(".git"))
            || absolute == self.results
            || self.matches(&self.exclude, self.inside(absolute))
    }

    fn is_outside(&self, absolute: &Path) -> bool {
        !absolute
            .canonicalize()
            .is_ok_and(|real| real.starts_with(&self.project))
    }

    fn matches(&self, patterns: &Patterns, path: &Path) -> bool {
        let from_root = path.strip_prefix(&self.root);
        patterns.matches(path) || from_root.is_ok_and(|path| patterns.matches(path))
    }

    fn inside<'p>(&self, absolute: &'p Path) -> &'p Path {
        absolute.strip_prefix(&self.project).unwrap_or(absolute)
    }

    /// The profile that a file of the project names.
    fn marker(&self, path: &Path) -> Result<Option<String>, Stop> {
        let absolute = self.project.join(path);
        let head =
            read_head(&absolute).map_err(|error| Obstacle::new(path, reason(&absolute, &error)))?;
        let Some(marker) = marker::find(&head) else {
            return Ok(None);
        };
        let profiles = &self.config.profiles;
        if profiles.contains_key(&marker.profile) {
            return Ok(Some(marker.profile));
        }
        let suggestion = suggestion(&marker.profile, profiles.keys().map(String::as_str));
        Err(Stop::Marker(SuiteError::Marker {
            file: show(path),
            line: marker.line,
            name: escape(marker.profile.as_bytes()),
            suggestion,
        }))
    }
}

fn is_name(component: &Component) -> bool {
    matches!(component, Component::Normal(_))
}

/// `file::name` taken apart at the first `::`.
fn split_id(path: &Path) -> Option<(&Path, &[u8])> {
    let bytes = path.as_os_str().as_bytes();
    let at = bytes.windows(2).position(|pair| pair == b"::")?;
    let (file, name) = (&bytes[..at], &bytes[at + 2..]);
    let complete = !file.is_empty() && !name.is_empty();
    complete.then_some((Path::new(OsStr::from_bytes(file)), name))
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    // Should it have become a pipe meanwhile, opening it does not wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let mut head = Vec::new();
    file.take(marker::BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
