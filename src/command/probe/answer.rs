//! What the kernel answered to an attempt.

use std::fmt;

use nix::errno::Errno;

/// The kernel's answer to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was not, for this reason.
    Refused(Errno),
    /// The process that tried was killed by this signal.
    Killed(i32),
}

impl Answer {
    /// The answer that a C function's return value stands for; reads `errno`.
    pub fn of(returned: libc::c_long) -> Self {
        if returned < 0 {
            Answer::Refused(Errno::last())
        } else {
            Answer::Done
        }
    }
}

impl From<std::io::Error> for Answer {
    /// A timeout of our own has no number and reads as `ETIMEDOUT`.
    fn from(error: std::io::Error) -> Self {
        let number = error.raw_os_error().unwrap_or(libc::ETIMEDOUT);
        Answer::Refused(Errno::from_raw(number))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Done => f.write_str("done"),
            Answer::Refused(errno) => write!(f, "{errno:?}"),
            Answer::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_as_the_kernel_names_them() {
        assert_eq!(Answer::Refused(Errno::EPERM).to_string(), "EPERM");
        assert_eq!(Answer::Done.to_string(), "done");
        assert_eq!(Answer::of(3), Answer::Done);
        let timeout = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(Answer::from(timeout), Answer::Refused(Errno::ETIMEDOUT));
    }
}
