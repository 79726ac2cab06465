//! What cannot hold results is refused in one line, and stays as it is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use super::pressure::{on_small_filesystem, remount_read_only};
use super::*;

/// A results folder with something at the database's place, and what must be left of it.
struct Place {
    folder: TempDir,
    results: PathBuf,
    path: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().unwrap();
        let results = folder.path().canonicalize().unwrap().join("r");
        fs::create_dir(&results).unwrap();
        let path = results.join("docker-test.db");
        Place {
            folder,
            results,
            path,
        }
    }

    /// A complete database of ours, closed.
    fn with_database() -> Place {
        let place = Place::new();
        let mut store = Store::open(&place.results).unwrap();
        store.take(&[run_started(RUN, &[b"a"])]).unwrap();
        place
    }

    fn edit(&self, sql: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Like `edit`, by a program that is killed before it moves its log into the database.
    fn edit_and_die(&self, sql: &str) {
        let writer = Connection::open(&self.path).unwrap();
        writer.execute_batch(sql).unwrap();
        let image = [self.path.clone(), self.results.join("docker-test.db-wal")]
            .map(|path| (fs::read(&path).unwrap(), path));
        drop(writer);
        for (content, path) in image {
            fs::write(path, content).unwrap();
        }
    }

    /// The names in the results folder, each with its content; less the index of the log, which
    /// whoever opens the database first makes anew.
    fn content(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let entries = fs::read_dir(&self.results).unwrap();
        let mut found: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("docker-test.db-shm"))
            .map(|path| {
                let is_file = fs::symlink_metadata(&path).unwrap().is_file();
                let content = is_file.then(|| fs::read(&path).unwrap());
                (path, content)
            })
            .collect();
        found.sort();
        found
    }

    /// Opening is refused with this line about the database, and changes nothing.
    fn refuses(&self, line: &str) {
        let before = self.content();
        let error = Store::open(&self.results).unwrap_err().to_string();
        let (found, hint) = error.split_once("\nhint: ").expect("a hint");
        assert_eq!(found, format!("{} {line}", self.path.display()));
        assert!(!hint.contains('\n'), "{hint}");
        assert!(self.content() == before, "something has changed");
    }
}

#[test]
fn not_a_regular_file() {
    let rest = "; the results database has to be a regular file";
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    place.refuses(&format!("is a directory{rest}"));

    let place = Place::new();
    nix::unistd::mkfifo(&place.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    place.refuses(&format!("is a FIFO{rest}"));

    let place = Place::new();
    let _socket = std::os::unix::net::UnixListener::bind(&place.path).unwrap();
    place.refuses(&format!("is a socket{rest}"));

    for target in ["/dev/null", "elsewhere.db"] {
        let place = Place::new();
        symlink(target, &place.path).unwrap();
        place.refuses(&format!("is a symbolic link{rest}"));
        assert!(!place.results.join("elsewhere.db").exists());
    }
}

#[test]
fn not_a_database() {
    let line = "is not a database; it is left as it is";
    let place = Place::new();
    fs::write(&place.path, "id;outcome\n").unwrap();
    place.refuses(line);
    fs::write(&place.path, [0; 8192]).unwrap();
    place.refuses(line);
}

#[test]
fn a_truncated_database() {
    let place = Place::with_database();
    let whole = fs::read(&place.path).unwrap();
    let half = whole.len() / 2;
    fs::write(&place.path, &whole[..half]).unwrap();
    let all = whole.len();
    place.refuses(&format!(
        "is damaged (it has {half} bytes where its header says {all})"
    ));
    fs::write(&place.path, &whole[..60]).unwrap();
    place.refuses("is damaged (it ends within its header)");
}

#[test]
fn a_database_with_a_garbled_schema() {
    let place = Place::with_database();
    let mut bytes = fs::read(&place.path).unwrap();
    bytes[HEADER_END..HEADER_END + 200].fill(0xaa);
    fs::write(&place.path, &bytes).unwrap();
    let error = Store::open(&place.results).unwrap_err().to_string();
    let expected = format!(
        "{} is damaged (database disk image is malformed)\n\
         hint: move it away, with its -wal file; the next run makes a new one",
        place.path.display()
    );
    assert_eq!(error, expected);
    assert!(fs::read(&place.path).unwrap() == bytes, "it has changed");
}

const HEADER_END: usize = 100;

#[test]
fn a_newer_schema() {
    let place = Place::with_database();
    place.edit("PRAGMA user_version = 99");
    let known = MIGRATIONS.len();
    let line = format!(
        "was written by a newer docker-test: its schema is version 99, this program knows up to \
         {known}; it is left as it is"
    );
    place.refuses(&line);

    // The same where the version is still in the log, because its writer was killed.
    let place = Place::with_database();
    place.edit_and_die("PRAGMA user_version = 99");
    place.refuses(&line);
}

#[test]
fn the_database_of_another_program() {
    let line = "is the database of another program; it is left as it is";
    let place = Place::new();
    place.edit("CREATE TABLE mine (x); PRAGMA application_id = 1234");
    place.refuses(line);
    let place = Place::new();
    place.edit("CREATE TABLE mine (x)");
    place.refuses(line);
    let place = Place::new();
    place.edit("PRAGMA journal_mode = WAL");
    place.edit_and_die("CREATE TABLE mine (x)");
    place.refuses(line);
}

/// Does `action` as a user who is not root, and says what came of it. Only this thread changes.
fn unprivileged<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    let drop_root = || {
        // SAFETY: a plain system call without pointers. The raw call, unlike libc's function,
        // changes the calling thread alone, which ends with this function.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, -1, 1001, -1) };
        assert_eq!(result, 0);
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if nix::unistd::geteuid().is_root() {
                drop_root();
            }
            action()
        });
        thread.join().unwrap()
    })
}

#[test]
fn a_folder_and_a_file_that_cannot_be_written() {
    let hint = "\nhint: give this user the right to write it, or name another folder as `results`";
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let place = Place::with_database();
    mode(place.folder.path(), 0o755);
    mode(&place.path, 0o444);
    mode(&place.results, 0o777);
    let refusal = || unprivileged(|| Store::open(&place.results).unwrap_err().to_string());
    let expected = |path: &Path| {
        let path = path.display();
        format!("{path} cannot be written: permission denied{hint}")
    };
    let before = place.content();
    assert_eq!(refusal(), expected(&place.path));
    mode(&place.path, 0o666);
    mode(&place.results, 0o555);
    assert_eq!(refusal(), expected(&place.results));
    assert!(place.content() == before, "something has changed");

    // One that is still to be made.
    mode(&place.results, 0o755);
    mode(place.folder.path(), 0o555);
    let missing = place.results.with_file_name("a").join("b");
    let error = unprivileged(|| Store::open(&missing).unwrap_err().to_string());
    assert_eq!(error, expected(place.results.parent().unwrap()));
    mode(place.folder.path(), 0o755);
}

#[test]
fn a_read_only_filesystem() {
    on_small_filesystem(|mounted| {
        let results = mounted.join("r");
        let store = Store::open(&results).unwrap();
        let path = store.path().to_owned();
        drop(store);
        let before = fs::read(&path).unwrap();
        remount_read_only(mounted);
        for (place, named) in [(&results, &*results), (&mounted.join("missing"), mounted)] {
            let expected = format!(
                "{} cannot be written: read-only file system\n\
                 hint: give this user the right to write it, or name another folder as `results`",
                named.display()
            );
            let error = Store::open(place).unwrap_err().to_string();
            assert_eq!(error, expected);
        }
        assert!(fs::read(&path).unwrap() == before, "it has changed");
    });
}

#[test]
fn not_a_folder() {
    let place = Place::new();
    let hint = "; the results folder cannot be there\n\
                hint: move it away, or name another folder as `results`";
    let refusal = |path: &Path| Store::open(path).unwrap_err().to_string();
    fs::write(&place.path, "").unwrap();
    let expected = format!("{} is a regular file{hint}", place.path.display());
    assert_eq!(refusal(&place.path), expected);
    let link = place.results.join("link");
    symlink("nowhere", &link).unwrap();
    let expected = format!(
        "{} is a symbolic link that leads nowhere{hint}",
        link.display()
    );
    assert_eq!(refusal(&link), expected);
}

#[test]
fn a_path_that_is_too_long() {
    let place = Place::new();
    let deep = place.results.join("x".repeat(250)).join("y".repeat(250));
    let error = Store::open(&deep).unwrap_err().to_string();
    let path = deep.join("docker-test.db");
    let length = path.as_os_str().len();
    let expected = format!(
        "{} is too long a path for a database: {length} bytes, at most 500\n\
         hint: name a folder with a shorter path as `results`",
        path.display()
    );
    assert_eq!(error, expected);
    assert_eq!(
        fs::read_dir(&place.results).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn the_longest_path_works() {
    let place = Place::new();
    let used = place.results.as_os_str().len() + "/docker-test.db".len();
    let rest = 500 - used;
    let deep = place.results.join("x".repeat(200)).join("y".repeat(200));
    let deep = deep.join("z".repeat(rest - 403));
    let mut store = Store::open(&deep).unwrap();
    assert_eq!(store.path().as_os_str().len(), 500);
    store.take(&[run_started(RUN, &[b"a"])]).unwrap();
}

#[test]
fn hostile_paths_work_and_are_shown_escaped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let name = OsStr::from_bytes(b"file:a b?mode=ro&x='\x1b[2J\n\xff%20#");
    let results = place.results.join(name);
    let mut store = Store::open(&results).unwrap();
    store.take(&[run_started(RUN, &[b"a"])]).unwrap();
    drop(store);
    assert!(results.join("docker-test.db").is_file());
    fs::write(results.join("docker-test.db"), "text").unwrap();
    let error = Store::open(&results).unwrap_err().to_string();
    assert!(
        error.contains(r"x='\x1b[2J\n\xff%20#/docker-test.db is not"),
        "{error}"
    );
}

#[test]
fn a_new_folder_is_ignored_by_git_and_an_old_one_is_left_alone() {
    let place = Place::new();
    let made = place.results.join("a/b");
    Store::open(&made).unwrap();
    assert_eq!(fs::read(made.join(".gitignore")).unwrap(), b"*\n");
    assert!(!place.results.join("a/.gitignore").exists());
    Store::open(&place.results).unwrap();
    assert!(!place.results.join(".gitignore").exists());
}

#[test]
fn a_link_to_a_folder_is_followed() {
    let place = Place::new();
    let link = place.folder.path().join("link");
    symlink(&place.results, &link).unwrap();
    let store = Store::open(&link).unwrap();
    assert_eq!(store.path(), place.path);
}

#[test]
fn an_empty_file_is_a_database_to_be() {
    let place = Place::new();
    fs::write(&place.path, "").unwrap();
    Store::open(&place.results).unwrap();
    assert_eq!(
        row(&place.path, "PRAGMA user_version"),
        [Value::Integer(MIGRATIONS.len() as i64)]
    );
}

/// After a run under `sudo`, the folder's owner can delete what it left. Only root can try this.
#[test]
fn what_root_makes_belongs_to_the_owner_of_the_folder() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    std::os::unix::fs::chown(&place.results, Some(1001), Some(1002)).unwrap();
    let made = place.results.join("a/b");
    let mut store = Store::open(&made).unwrap();
    store.take(&[run_started(RUN, &[b"a"])]).unwrap();
    let names = ["a", "a/b", "a/b/.gitignore", "a/b/docker-test.db"];
    let logs = ["a/b/docker-test.db-wal", "a/b/docker-test.db-shm"];
    for name in names.iter().chain(&logs) {
        let found = fs::metadata(place.results.join(name)).unwrap();
        assert_eq!((found.uid(), found.gid()), (1001, 1002), "{name}");
    }
}
