//! `docker-test probe`: what the sample suite needs and a shell cannot do.
//!
//! Each probe tries one thing from inside a test and prints what the kernel answered, one
//! `name ANSWER` a line. It ends with 0 where the worker is as it should be, with 1 where
//! something was possible that should not be, and with 2 where the probe itself could not be run.
//!
//! The same tests also run without a container, for comparison, and then perhaps as root. So what
//! would outlast the probe, or touch process 1, is refused outside a worker, and every system call
//! that is tried has arguments with which it changes nothing that outlives the probe.
//!
//! Others use a known amount of something, for the corpus in tests/corpus.

mod answer;
mod consume;
mod ipc;
mod net;
mod supervisor;
mod syscalls;

use std::ffi::OsString;
use std::fs;

use crate::model::escape;

const USAGE: &str = "accepted: sysv make|list, mqueue make NAME|list, time-wait PORT, bind PORT, \
    connect ADDRESS PORT, loopback, limit-supervisor, nice-supervisor, affinity-supervisor, \
    ptrace-supervisor, syscalls, debug-syscalls, shm make NAME BYTES, leave make process, \
    touch MIB MS, burn here|kernel|child|daemon MS, open-files N MS, threads N MS, processes N MS";

/// What a probe found: whether the worker is as it should be. `Err` is why it could not be tried.
type Finding = Result<bool, String>;

/// Runs the probe that `args` name; they are what follows `probe` on the command line.
pub fn run(args: &[OsString]) -> u8 {
    match words(args).and_then(|words| dispatch(&words)) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(message) => {
            eprintln!("docker-test probe: {message}");
            2
        }
    }
}

fn words(args: &[OsString]) -> Result<Vec<&str>, String> {
    let word = |arg: &'_ OsString| format!("not a word: '{}'", escape(arg.as_encoded_bytes()));
    args.iter()
        .map(|arg| arg.to_str().ok_or_else(|| word(arg)))
        .collect()
}

fn dispatch(words: &[&str]) -> Finding {
    if needs_worker(words) {
        in_worker(&fs::read("/proc/1/comm").map_err(|error| format!("/proc/1/comm: {error}"))?)?;
    }
    match words {
        ["sysv", "make"] => ipc::make_sysv(),
        ["sysv", "list"] => ipc::list_sysv(),
        ["mqueue", "make", name] => ipc::make_queue(name),
        ["mqueue", "list"] => ipc::list_queues(),
        ["time-wait", port] => net::time_wait(number(port)?),
        ["bind", port] => net::bind(number(port)?),
        ["connect", address, port] => net::connect(address, number(port)?),
        ["loopback"] => net::loopback(),
        ["limit-supervisor"] => supervisor::lower_limit(),
        ["nice-supervisor"] => supervisor::raise_nice(),
        ["affinity-supervisor"] => supervisor::narrow_affinity(),
        ["ptrace-supervisor"] => supervisor::trace(),
        ["syscalls"] => syscalls::try_all(syscalls::ALWAYS_REFUSED),
        ["debug-syscalls"] => syscalls::try_all(syscalls::FOR_DEBUGGERS),
        ["shm", "make", name, bytes] => ipc::make_shm(name, count(bytes)?),
        ["leave", "make", "process"] => consume::leave_process(),
        ["touch", mib, ms] => consume::touch(count(mib)?, milliseconds(ms)?),
        ["burn", "here", ms] => consume::burn(milliseconds(ms)?),
        ["burn", "kernel", ms] => consume::burn_in_kernel(milliseconds(ms)?),
        ["burn", "child", ms] => consume::burn_in_child(milliseconds(ms)?),
        ["burn", "daemon", ms] => consume::burn_in_daemon(milliseconds(ms)?),
        ["open-files", number, ms] => consume::open_files(count(number)?, milliseconds(ms)?),
        ["threads", number, ms] => consume::threads(count(number)?, milliseconds(ms)?),
        ["processes", number, ms] => consume::processes(count(number)?, milliseconds(ms)?),
        _ => Err(format!(
            "unknown probe '{}'; {USAGE}",
            escape(words.join(" ").as_bytes())
        )),
    }
}

/// Whether a probe leaves something behind or touches process 1.
fn needs_worker(words: &[&str]) -> bool {
    matches!(words, [_, "make", ..] | ["time-wait", ..])
        || matches!(words, [name, ..] if name.ends_with("-supervisor"))
}

/// Refuses where process 1, of this name, is not our supervisor but the machine's own init.
fn in_worker(name: &[u8]) -> Result<(), String> {
    match name.trim_ascii_end() {
        b"docker-test" => Ok(()),
        name => Err(format!(
            "not tried: process 1 is '{}' and not docker-test, so this is not a worker",
            escape(name)
        )),
    }
}

fn number(word: &str) -> Result<u16, String> {
    word.parse().map_err(|_| {
        format!(
            "not a number: '{}'; accepted: 0 to 65535",
            escape(word.as_bytes())
        )
    })
}

fn count(word: &str) -> Result<usize, String> {
    let not = || format!("not a number: '{}'", escape(word.as_bytes()));
    word.parse().map_err(|_| not())
}

/// How long something lasts: at most ten minutes.
fn milliseconds(word: &str) -> Result<u64, String> {
    match count(word)? as u64 {
        ms @ ..=600_000 => Ok(ms),
        ms => Err(format!("{ms} ms is too long; at most 600000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_probe_is_named_with_the_accepted_ones() {
        let message = dispatch(&["sysv", "\x1b[2Jdrop"]).unwrap_err();
        assert!(message.contains(r"'sysv \x1b[2Jdrop'"), "{message}");
        assert!(message.contains("sysv make|list"), "{message}");
    }

    #[test]
    fn a_port_has_sixteen_bits() {
        assert_eq!(number("43210"), Ok(43210));
        assert!(number("65536").is_err());
        assert!(number("-1").is_err());
    }

    #[test]
    fn amounts_are_numbers_and_times_are_short() {
        assert_eq!(milliseconds("600000"), Ok(600_000));
        assert!(milliseconds("600001").is_err());
        assert_eq!(count("x\n").unwrap_err(), r"not a number: 'x\n'");
        let message = dispatch(&["burn", "here", "-1"]).unwrap_err();
        assert!(message.contains("'-1'"), "{message}");
    }

    #[test]
    fn what_outlasts_a_probe_or_touches_process_1_needs_a_worker() {
        for probe in [
            &["sysv", "make"][..],
            &["mqueue", "make", "name"],
            &["shm", "make", "name", "1"],
            &["leave", "make", "process"],
            &["time-wait", "43210"],
            &["limit-supervisor"],
            &["nice-supervisor"],
            &["affinity-supervisor"],
            &["ptrace-supervisor"],
        ] {
            assert!(needs_worker(probe), "{probe:?}");
        }
        assert!(!needs_worker(&["sysv", "list"]));
        assert!(!needs_worker(&["touch", "1", "1"]));
        assert!(!needs_worker(&[]));
        assert_eq!(in_worker(b"docker-test\n"), Ok(()));
        let message = in_worker(b"systemd\n").unwrap_err();
        assert!(message.contains("process 1 is 'systemd'"), "{message}");
    }
}
