//! Starts a test's process: its own session, empty stdin, two pipes, its limits, its environment.
//!
//! Everything that allocates is prepared before. The child borrows this process's memory until it
//! executes the test, which saves the copy of the page tables; it only makes system calls.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{AccessFlags, Pid, access, pipe2};

use crate::model::{ByteText, escape};
use crate::protocol::Job;

/// A started test.
pub struct Child {
    /// Its process, which leads its own session and process group.
    pub pid: Pid,
    /// The read ends of its stdout and stderr, non-blocking.
    pub output: [OwnedFd; 2],
    /// For a held test: dropping it lets the test go.
    pub hold: Option<OwnedFd>,
}

/// What the worker adds to a job.
pub struct Setting<'a> {
    /// Environment entries on top of the job's, which they replace.
    pub environment: &'a [(&'static str, ByteText)],
    /// `/dev/null`, open for reading.
    pub null: BorrowedFd<'a>,
    /// The test must not outlive the supervisor: needed where no namespace sees to it.
    pub die_with_parent: bool,
    /// What keeps the test from a secret, see [`super::lock`].
    pub lock: Option<RawFd>,
}

/// The exit status of a test whose program is not there, and of one that cannot be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Bytes of stack for the child, which calls nothing deep.
const STACK: usize = 64 << 10;

/// Starts a process and executes `job` in it.
///
/// # Errors
/// The kernel has no process or no descriptor left, or an argument has a NUL in it. A program that
/// cannot be executed is the test's own result: 127 or 126, as a shell has it.
pub fn spawn(job: &Job, setting: &Setting<'_>) -> Result<Child, String> {
    let environment = environment(job, setting.environment)?;
    let argv = strings(job.argv.iter().map(ByteText::as_bytes))?;
    let program = program(job, &environment)?;
    let directory = string(job.directory.as_bytes())?;
    let complaint = format!(
        "docker-test: cannot execute '{}' in '{}': ",
        escape(program.as_bytes()),
        job.directory
    );
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (argv, environment) = (
        Strings(pointers(&argv), argv),
        Strings(pointers(&environment), environment),
    );

    let pipe = |what: &str| {
        pipe2(OFlag::O_CLOEXEC).map_err(|error| format!("no pipe for a test's {what}: {error}"))
    };
    let (out, out_end) = pipe("stdout")?;
    let (err, err_end) = pipe("stderr")?;
    let hold = if job.hold { Some(pipe("start")?) } else { None };
    for end in [&out, &err] {
        nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|error| format!("a pipe cannot be set up: {error}"))?;
    }
    let plan = Plan {
        argv: &argv.0,
        environment: &environment.0,
        program: &program,
        directory: &directory,
        stdio: [
            setting.null.as_raw_fd(),
            out_end.as_raw_fd(),
            err_end.as_raw_fd(),
        ],
        // Our copy of the write end must not keep the child waiting for itself.
        hold: hold
            .as_ref()
            .map(|(read, write)| (read.as_raw_fd(), write.as_raw_fd())),
        complaint: complaint.as_bytes(),
        open_files: job.limits.open_files,
        nice: job.limits.nice,
        die_with_parent: setting.die_with_parent,
        lock: setting.lock,
    };
    let child = plan.start()?;
    Ok(Child {
        pid: child,
        output: [out, err],
        hold: hold.map(|(_, write)| write),
    })
}

/// Pointers for `execve`, with the strings that they point into.
struct Strings(
    Vec<*const libc::c_char>,
    #[expect(dead_code, reason = "keeps the pointers alive")] Vec<CString>,
);

fn string(bytes: &[u8]) -> Result<CString, String> {
    CString::new(bytes).map_err(|_| format!("'{}' has a NUL byte in it", escape(bytes)))
}

fn strings<'a>(all: impl Iterator<Item = &'a [u8]>) -> Result<Vec<CString>, String> {
    all.map(string).collect()
}

/// `NAME=value` strings; later entries replace earlier ones.
fn environment(job: &Job, own: &[(&'static str, ByteText)]) -> Result<Vec<CString>, String> {
    let job = job
        .environment
        .iter()
        .map(|(name, value)| (name.as_bytes(), value));
    let own = own.iter().map(|(name, value)| (name.as_bytes(), value));
    let mut entries: Vec<(&[u8], &ByteText)> = Vec::new();
    for (name, value) in job.chain(own) {
        entries.retain(|(earlier, _)| *earlier != name);
        entries.push((name, value));
    }
    let lines: Vec<Vec<u8>> = entries
        .iter()
        .map(|(name, value)| [*name, b"=", value.as_bytes()].concat())
        .collect();
    strings(lines.iter().map(Vec::as_slice))
}

/// The program's path: as it is where it has a slash, else the first match in the test's PATH.
fn program(job: &Job, environment: &[CString]) -> Result<CString, String> {
    let name = job.argv.first().map_or(&b""[..], ByteText::as_bytes);
    if !name.contains(&b'/') {
        let path = environment
            .iter()
            .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="))
            .unwrap_or_default();
        for folder in path.split(|byte| *byte == b':') {
            let candidate = Path::new(OsStr::from_bytes(folder)).join(OsStr::from_bytes(name));
            if candidate.is_absolute() && access(&candidate, AccessFlags::X_OK).is_ok() {
                return string(candidate.as_os_str().as_bytes());
            }
        }
    }
    string(name)
}

/// Everything that the child needs, prepared.
struct Plan<'a> {
    argv: &'a [*const libc::c_char],
    environment: &'a [*const libc::c_char],
    program: &'a CStr,
    directory: &'a CStr,
    stdio: [RawFd; 3],
    hold: Option<(RawFd, RawFd)>,
    complaint: &'a [u8],
    open_files: u64,
    nice: i32,
    die_with_parent: bool,
    lock: Option<RawFd>,
}

impl Plan<'_> {
    /// Makes the child. This process stands still until it has executed the test, or ended; a held
    /// one waits before that, and so gets a copy of the memory.
    fn start(&self) -> Result<Pid, String> {
        extern "C" fn enter(plan: *mut libc::c_void) -> libc::c_int {
            // SAFETY: `start` passes itself, and is valid in the child.
            unsafe { &*plan.cast::<Plan<'_>>() }.become_test()
        }
        let memory = match self.hold {
            None => libc::CLONE_VM | libc::CLONE_VFORK,
            Some(_) => 0,
        };
        let mut stack = vec![std::mem::MaybeUninit::<u128>::uninit(); STACK / 16];
        // SAFETY: the stack is the child's alone and outlives it, or is its copy. The child has its
        // own descriptors, limits and signal actions; it only makes system calls on what was
        // prepared, then executes or exits.
        let child = unsafe {
            libc::clone(
                enter,
                stack.as_mut_ptr().add(stack.len()).cast(),
                memory | libc::SIGCHLD,
                std::ptr::from_ref(self).cast_mut().cast(),
            )
        };
        if child < 0 {
            return Err(format!("no process for a test: {}", Errno::last()));
        }
        Ok(Pid::from_raw(child))
    }

    /// Runs in the child, before exec.
    fn become_test(&self) -> ! {
        // SAFETY: plain system calls on descriptors and buffers that are valid in this process;
        // nothing allocates, and no destructor runs because it ends in exec or _exit.
        unsafe {
            libc::setsid();
            for (target, fd) in self.stdio.iter().enumerate() {
                if libc::dup2(*fd, target as RawFd) < 0 {
                    libc::_exit(NOT_EXECUTABLE);
                }
            }
            if let Some((read, write)) = self.hold {
                libc::close(write);
                let mut byte = 0u8;
                while libc::read(read, (&raw mut byte).cast(), 1) < 0
                    && Errno::last() == Errno::EINTR
                {}
            }
            self.limit();
            if let Some(lock) = self.lock
                && super::lock::close(lock) != 0
            {
                libc::write(2, self.complaint.as_ptr().cast(), self.complaint.len());
                let words = b"the worker's token cannot be kept from it\n";
                libc::write(2, words.as_ptr().cast(), words.len());
                libc::_exit(NOT_EXECUTABLE);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            // The Rust runtime ignores it, and that would be inherited.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            if libc::chdir(self.directory.as_ptr()) == 0 {
                libc::execve(
                    self.program.as_ptr(),
                    self.argv.as_ptr(),
                    self.environment.as_ptr(),
                );
            }
            let (status, words): (_, &[u8]) = match Errno::last() {
                Errno::ENOENT => (NOT_FOUND, b"no such file or directory\n"),
                Errno::EACCES => (NOT_EXECUTABLE, b"permission denied\n"),
                Errno::ENOEXEC => (NOT_EXECUTABLE, b"not a program (has it a #! line?)\n"),
                Errno::E2BIG => (
                    NOT_EXECUTABLE,
                    b"its arguments and environment are too long\n",
                ),
                _ => (NOT_EXECUTABLE, b"it cannot be started\n"),
            };
            libc::write(2, self.complaint.as_ptr().cast(), self.complaint.len());
            libc::write(2, words.as_ptr().cast(), words.len());
            libc::_exit(status)
        }
    }

    /// Sets what is inherited over exec.
    ///
    /// # Safety
    /// Only in the child, before exec.
    unsafe fn limit(&self) {
        let limit = |resource, soft, hard| {
            let limit = libc::rlimit {
                rlim_cur: soft,
                rlim_max: hard,
            };
            // SAFETY: a plain system call on a local.
            unsafe { libc::setrlimit(resource, &raw const limit) };
        };
        limit(libc::RLIMIT_NOFILE, self.open_files, self.open_files);
        limit(libc::RLIMIT_CORE, 0, 0);
        // SAFETY: plain system calls; the path and the text are static.
        unsafe {
            if self.nice != 0 {
                libc::setpriority(libc::PRIO_PROCESS, 0, self.nice);
            }
            if self.die_with_parent {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            }
            // The kernel should kill the test and not the supervisor when memory runs out. A
            // non-dumpable process may not write the file. The memory may be the supervisor's: it is
            // closed again before anything of the test runs.
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
            let file = libc::open(
                c"/proc/self/oom_score_adj".as_ptr(),
                libc::O_WRONLY | libc::O_CLOEXEC,
            );
            if file >= 0 {
                libc::write(file, c"1000".as_ptr().cast(), 4);
                libc::close(file);
            }
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
        }
    }
}
