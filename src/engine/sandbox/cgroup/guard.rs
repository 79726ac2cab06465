//! The cgroups of one container: made, joined, counted and removed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::super::plan::{Cgroup, Obstacle};
use super::divide::{make_below, put};
use crate::model::ByteText;

/// How long a cgroup may stay busy after its last process ended.
pub const BUSY: Duration = Duration::from_secs(2);

/// Kills for want of memory that a counter file has seen; 0 where there is none.
pub fn oom_kills(file: Option<&ByteText>) -> u64 {
    let read = |file: &ByteText| {
        let text = fs::read_to_string(file.as_os_str()).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line?.trim().parse().ok()
    };
    file.and_then(read).unwrap_or(0)
}

/// Writes settings of a cgroup.
fn set<'a>(
    cgroup: &Cgroup,
    settings: impl Iterator<Item = &'a (String, String, bool)>,
) -> Result<(), Obstacle> {
    for (file, value, may_miss) in settings {
        let path = Path::new(cgroup.folder.as_os_str()).join(file);
        match put(&path, value) {
            Err(_) if *may_miss && !path.exists() => {}
            done => done.map_err(|error| {
                Obstacle::new(format!("write {value} to {}/{file}", cgroup.folder), &error)
            })?,
        }
    }
    Ok(())
}

/// Gives cgroups that are there these limits instead of theirs.
///
/// # Errors
/// The kernel refuses; some of the limits are the new ones then.
pub fn change(cgroups: &[Cgroup]) -> Result<(), Obstacle> {
    for cgroup in cgroups {
        let settings = cgroup.settings.iter();
        // Of version 1's two limits of memory the wider one comes first: the last where they rise.
        set(cgroup, settings.clone()).or_else(|_| set(cgroup, settings.rev()))?;
    }
    Ok(())
}

/// The cgroups of one container, removed at the end.
pub struct Guard(Vec<PathBuf>);

impl Guard {
    /// Makes them with their limits.
    ///
    /// # Errors
    /// The kernel refuses; nothing is left then.
    pub fn make(cgroups: &[Cgroup]) -> Result<Self, Obstacle> {
        let failed = |step: String| move |error: io::Error| Obstacle::new(step, &error);
        let mut guard = Guard(Vec::new());
        for cgroup in cgroups {
            let folder = PathBuf::from(cgroup.folder.as_os_str());
            let made = make_below(&folder);
            made.map_err(failed(format!("make the cgroup {}", cgroup.folder)))?;
            guard.0.push(folder);
            set(cgroup, cgroup.settings.iter())?;
        }
        Ok(guard)
    }

    /// Those that the launcher made, for the monitor to remove.
    pub fn adopt(cgroups: &[Cgroup]) -> Self {
        Guard(folders(cgroups))
    }

    /// Leaves them to the monitor.
    pub fn hand_over(mut self) {
        self.0.clear();
    }

    /// The cgroup of version 2, for a process to be born in.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn birthplace(&self) -> Result<Option<File>, Obstacle> {
        let folder = self.0.first();
        let Some(folder) = folder.filter(|folder| !folder.join("tasks").exists()) else {
            return Ok(None);
        };
        File::open(folder)
            .map(Some)
            .map_err(|error| Obstacle::new(format!("open the cgroup {}", folder.display()), &error))
    }
}

/// Joins the cgroups of version 1. A thread that moves itself does not wait for all processors, as
/// moving another process does.
///
/// # Errors
/// The kernel refuses.
pub fn join(cgroups: &[Cgroup]) -> Result<(), Obstacle> {
    for cgroup in cgroups {
        let tasks = Path::new(cgroup.folder.as_os_str()).join("tasks");
        match put(&tasks, "0") {
            // Of version 2, where we were born.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            joined => joined.map_err(|error| {
                Obstacle::new(format!("join the cgroup {}", cgroup.folder), &error)
            })?,
        }
    }
    Ok(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        for folder in &self.0 {
            // What cannot be removed is swept at a later start.
            let _ = remove_within(folder, BUSY);
        }
    }
}

/// Removes the cgroups of a container whose monitor could not.
pub fn remove_all(cgroups: &[Cgroup]) {
    drop(Guard(folders(cgroups)));
}

fn folders(cgroups: &[Cgroup]) -> Vec<PathBuf> {
    let folder = |cgroup: &Cgroup| cgroup.folder.as_os_str().into();
    cgroups.iter().map(folder).collect()
}

/// Removes a cgroup, whose last processes may still be ending.
pub fn remove_within(folder: &Path, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(Errno::EBUSY as i32)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(folder: &Path) -> Cgroup {
        Cgroup {
            folder: folder.as_os_str().into(),
            settings: vec![
                ("memory.swap.max".into(), "0".into(), true),
                ("memory.max".into(), "4096".into(), false),
            ],
            view: None,
        }
    }

    #[test]
    fn a_limit_that_cannot_be_set_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("1-2-3");
        // No kernel fills this folder; only the first of the two settings may be missing.
        let obstacle = Guard::make(&[cgroup(&folder)]).err().unwrap();
        let step = format!("write 4096 to {}/memory.max", folder.display());
        assert_eq!(obstacle.step, step);
        assert!(!folder.exists());
    }

    #[test]
    fn a_thread_joins_version_1_and_is_born_in_version_2() {
        let root = tempfile::tempdir().unwrap();
        let cgroups = [cgroup(root.path())];
        let guard = Guard(vec![root.path().into()]);
        join(&cgroups).unwrap();
        assert!(!root.path().join("tasks").exists());
        assert!(guard.birthplace().unwrap().is_some());
        fs::write(root.path().join("tasks"), "").unwrap();
        join(&cgroups).unwrap();
        assert_eq!(fs::read(root.path().join("tasks")).unwrap(), b"0");
        assert!(guard.birthplace().unwrap().is_none());
    }

    #[test]
    fn a_count_that_is_not_there_is_none() {
        assert_eq!(oom_kills(None), 0);
        assert_eq!(oom_kills(Some(&"/no/such/file".into())), 0);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "low 0\noom 3\noom_kill 2\n").unwrap();
        assert_eq!(oom_kills(Some(&file.path().as_os_str().into())), 2);
    }
}
