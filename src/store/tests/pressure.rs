//! Locks that others hold, and disks that fill.

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};

use super::*;

/// Another program holds the lock: events for display do not even look at the database.
#[test]
fn a_lock_that_stays() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store.take(&[run_started(RUN, &[b"a"])]).unwrap();
    store.patience = Duration::ZERO;
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let holder = Connection::open(store.path()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let progress = Event::Progress(Progress {
        running: Vec::new(),
    });
    let notice = Event::Notice(Notice {
        severity: Severity::Info,
        message: String::new(),
    });
    store.take(&[progress, notice]).unwrap();
    let attempt = [finished(bare_attempt(b"a", 1))];
    let error = store.take(&attempt).unwrap_err();
    let expected = format!(
        "{} has been locked by another program for 0 s\n\
         hint: end the program that holds it, and run again",
        store.path().display()
    );
    assert_eq!(error.to_string(), expected);
    holder.execute_batch("ROLLBACK").unwrap();
    store.take(&attempt).unwrap();
    assert_eq!(count(store.path(), "SELECT count(*) FROM attempts"), 1);
}

#[test]
fn a_lock_that_goes_away_is_waited_for() {
    let busy = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        rusqlite::Error::SqliteFailure(code, None)
    };
    let tries = std::cell::Cell::new(0);
    let action = || {
        tries.set(tries.get() + 1);
        if tries.get() < 4 { Err(busy()) } else { Ok(()) }
    };
    patiently(Duration::from_secs(3600), action).unwrap();
    assert_eq!(tries.get(), 4);
    let hopeless = patiently(Duration::ZERO, || Err::<(), _>(busy()));
    assert_eq!(hopeless, Err(busy()));
}

fn full_disk(store: &Store) -> String {
    format!(
        "{} cannot grow: no space is left on its disk; what was recorded before is safe\n\
         hint: free some space, and run again",
        store.path().display()
    )
}

#[test]
fn a_database_that_cannot_grow() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store.take(&[run_started(RUN, &[b"a"])]).unwrap();
    let set_limit = |store: &Store, pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        store
            .connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .unwrap();
    };
    set_limit(&store, 40);
    let (error, kept) = fill(&mut store);
    assert_eq!(error, full_disk(&store));
    assert_eq!(count(store.path(), "SELECT count(*) FROM attempts"), kept);
    set_limit(&store, 1 << 30);
    store.take(&[finished(full_attempt(b"a", 999))]).unwrap();
    assert_eq!(
        count(store.path(), "SELECT count(*) FROM attempts"),
        kept + 1
    );
}

/// Takes attempts with 20 kB of output each until that fails; the error, and how many there are.
fn fill(store: &mut Store) -> (String, i64) {
    for kept in 0..1000 {
        let mut attempt = full_attempt(b"a", kept);
        attempt.stdout.head = vec![b'x'; 20_000].into();
        if let Err(error) = store.take(&[finished(attempt)]) {
            return (error.to_string(), kept.into());
        }
    }
    panic!("it never fills");
}

/// Gives `action` an empty filesystem of 1 MiB, in a mount namespace of a thread's own. Where those
/// may not be made nothing happens: the tests that need no filesystem of their own stand alone.
pub fn on_small_filesystem(action: impl FnOnce(&Path) + Send) {
    let test = || {
        if unshare(CloneFlags::CLONE_NEWNS).is_err() {
            return;
        }
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = TempDir::new().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let (tmpfs, size) = (Some("tmpfs"), Some("size=1m"));
        mount(tmpfs, &path, tmpfs, MsFlags::empty(), size).unwrap();
        action(&path);
        umount(&path).unwrap();
    };
    std::thread::scope(|scope| scope.spawn(test).join()).unwrap();
}

/// From here on nobody writes to the filesystem at `path`.
pub fn remount_read_only(path: &Path) {
    let none = None::<&str>;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, path, none, flags, none).unwrap();
}

#[test]
fn a_full_filesystem() {
    on_small_filesystem(|mounted| {
        let mut store = Store::open(&mounted.join("r")).unwrap();
        store.take(&[run_started(RUN, &[b"a"])]).unwrap();
        let (error, kept) = fill(&mut store);
        assert_eq!(error, full_disk(&store));
        assert!(kept > 5, "{kept}");
        let path = store.path().to_owned();
        assert_eq!(count(&path, "SELECT count(*) FROM attempts"), kept);
        drop(store);
        assert_eq!(row(&path, "PRAGMA integrity_check"), [text("ok")]);
        assert_eq!(count(&path, "SELECT count(*) FROM attempts"), kept);
    });
}
