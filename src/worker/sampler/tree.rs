//! All processes of a test, by /proc. Any of them may be gone before it was looked at.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::libc;

use super::super::process::{Reach, is_over};

/// Where to look.
pub struct Trees {
    proc: PathBuf,
    /// The size of a process's folder of open files is their number (Linux 6.2): no need to list it.
    size_counts: bool,
}

/// What there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Those that have not ended, for a closer look.
    pub pids: Vec<i32>,
    /// Processes, with those that wait to be reaped.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Their open files; absent where one of them hides its own.
    pub open_files: Option<u64>,
    /// Their CPU time and that of all that they waited for, in clock ticks.
    pub ticks: u64,
}

impl Trees {
    /// Those that `proc` shows, normally /proc.
    pub fn new(proc: &Path) -> Self {
        // This process itself has some, so 0 says that sizes mean nothing.
        let size = fs::metadata(proc.join("self/fd")).map_or(0, |folder| folder.size());
        Trees {
            proc: proc.to_owned(),
            size_counts: size > 0,
        }
    }

    /// The test's processes now; `None` where they could not be looked at, or not all of them until
    /// `deadline`.
    pub fn look(&self, reach: Reach, deadline: Option<Instant>) -> Option<Tree> {
        let mut tree = Tree {
            open_files: Some(0),
            ..Tree::default()
        };
        for (pid, stat) in reach.processes_until(&self.proc, deadline)? {
            if is_over(deadline) {
                return None;
            }
            let open_files = if stat.zombie {
                Ok(0)
            } else {
                self.open_files(pid)
            };
            let open_files = match open_files {
                Ok(count) => Some(count),
                Err(error) if is_gone(&error) => continue,
                Err(_) => None,
            };
            tree.open_files = tree.open_files.zip(open_files).map(|(a, b)| a + b);
            tree.processes += 1;
            tree.threads += stat.threads;
            tree.ticks += stat.ticks;
            if !stat.zombie {
                tree.pids.push(pid);
            }
        }
        Some(tree)
    }

    /// The proportional set size of all of them, in bytes; absent where one hides its own, or there
    /// was no time for all until `deadline`.
    pub fn pss_bytes(&self, pids: &[i32], deadline: Option<Instant>) -> Option<u64> {
        let mut sum = 0;
        for pid in pids {
            if is_over(deadline) {
                return None;
            }
            match read(&self.proc.join(format!("{pid}/smaps_rollup"))) {
                Ok(text) => sum += pss(&text)?,
                Err(error) if is_gone(&error) => {}
                Err(_) => return None,
            }
        }
        Some(sum)
    }

    fn open_files(&self, pid: i32) -> io::Result<u64> {
        let folder = self.proc.join(format!("{pid}/fd"));
        if self.size_counts {
            return Ok(fs::metadata(folder)?.size());
        }
        let mut count = 0;
        for entry in fs::read_dir(folder)? {
            entry?;
            count += 1;
        }
        Ok(count)
    }
}

/// A small file of the kernel's, in one go.
fn read(path: &Path) -> io::Result<String> {
    let mut buffer = [0; 4096];
    let size = fs::File::open(path)?.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..size]).into_owned())
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// The sum in a `smaps_rollup` text, in bytes. A process that has just ended has an empty one.
fn pss(text: &str) -> Option<u64> {
    let Some(line) = text.lines().find_map(|line| line.strip_prefix("Pss:")) else {
        return text.is_empty().then_some(0);
    };
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A /proc of files, as a kernel without sizes shows it.
    struct Shown(tempfile::TempDir);

    impl Shown {
        fn new() -> Self {
            Shown(tempfile::tempdir().unwrap())
        }

        fn process(self, pid: i32, name: &str, state: char, threads: u32, files: u32) -> Self {
            let folder = self.0.path().join(pid.to_string());
            fs::create_dir_all(folder.join("fd")).unwrap();
            let stat = format!(
                "{pid} ({name}) {state} 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 {threads} 0 9 9 9"
            );
            fs::write(folder.join("stat"), stat).unwrap();
            for file in 0..files {
                fs::write(folder.join(format!("fd/{file}")), "").unwrap();
            }
            let rollup = format!("Rss: 900 kB\nPss:      {pid} kB\nPss_Anon: 1 kB\n");
            fs::write(folder.join("smaps_rollup"), rollup).unwrap();
            self
        }

        fn look(&self) -> (Tree, Option<u64>) {
            let trees = Trees {
                size_counts: false,
                proc: self.0.path().to_owned(),
            };
            let tree = trees.look(Reach::Namespace, None).unwrap();
            let pss = trees.pss_bytes(&tree.pids, None);
            (tree, pss)
        }
    }

    #[test]
    fn sums_over_processes_of_any_name() {
        let shown = Shown::new()
            .process(7, "sh", 'S', 1, 3)
            .process(8, "a b) R 1", 'R', 4, 0)
            .process(9, "ended", 'Z', 1, 0);
        fs::write(shown.0.path().join("uptime"), "1").unwrap();
        let (mut tree, pss) = shown.look();
        tree.pids.sort_unstable();
        let expected = Tree {
            pids: vec![7, 8],
            processes: 3,
            threads: 6,
            open_files: Some(3),
            ticks: 30,
        };
        assert_eq!((tree, pss), (expected, Some(15 << 10)));
    }

    #[test]
    fn who_vanishes_is_left_out() {
        let shown = Shown::new()
            .process(7, "sh", 'S', 1, 3)
            .process(8, "half", 'S', 1, 3);
        // Listed, and gone before its `stat` was opened.
        fs::create_dir(shown.0.path().join("9")).unwrap();
        // Gone behind that.
        fs::remove_dir_all(shown.0.path().join("8/fd")).unwrap();
        fs::remove_file(shown.0.path().join("7/smaps_rollup")).unwrap();
        let (tree, pss) = shown.look();
        assert_eq!((tree.pids, tree.open_files), (vec![7], Some(3)));
        assert_eq!(pss, Some(0));
    }

    /// What is not known of one is not known of all.
    #[test]
    fn who_hides_makes_the_sum_absent_and_not_small() {
        let shown = Shown::new()
            .process(7, "sh", 'S', 1, 3)
            .process(8, "hidden", 'S', 2, 0);
        // Neither a folder nor missing, whoever asks.
        for name in ["fd", "smaps_rollup"] {
            let path = shown.0.path().join("8").join(name);
            let _ = fs::remove_dir(&path).or_else(|_| fs::remove_file(&path));
            symlink(name, path).unwrap();
        }
        let (tree, pss) = shown.look();
        assert_eq!((tree.processes, tree.threads), (2, 3));
        assert_eq!((tree.open_files, pss), (None, None));
    }

    #[test]
    fn set_sizes() {
        assert_eq!(pss("a\nPss:   12 kB\n"), Some(12 << 10));
        assert_eq!(pss(""), Some(0));
        assert_eq!(pss("Pss: ? kB\n"), None);
        assert_eq!(pss("Rss: 1 kB\n"), None);
    }

    /// The real thing: a child with a file more, however this kernel counts.
    #[test]
    fn a_real_process_is_counted() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        let mut trees = Trees::new(Path::new("/proc"));
        let by_size = trees.open_files(pid).unwrap();
        trees.size_counts = false;
        let listed = trees.open_files(pid).unwrap();
        let tree = trees.look(Reach::Descendants, None).unwrap();
        let pss = trees.pss_bytes(&[pid], None);
        let now = Some(Instant::now());
        assert_eq!(trees.look(Reach::Descendants, now), None);
        assert_eq!(trees.pss_bytes(&[pid], now), None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(by_size, listed);
        assert!(listed >= 3);
        assert!(tree.pids.contains(&pid), "{tree:?}");
        assert!(pss > Some(0));
        assert!(is_gone(&trees.open_files(pid).unwrap_err()));
    }
}
