//! Extended attributes of an open folder, access control lists among them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

/// Their names; none where the filesystem has none.
pub fn names(folder: BorrowedFd<'_>) -> Vec<CString> {
    let mut buffer = vec![0u8; 4096];
    loop {
        // SAFETY: the kernel writes at most as many bytes as the buffer has.
        let size = unsafe {
            libc::flistxattr(folder.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
        };
        match usize::try_from(size) {
            Ok(size) => {
                let names = buffer[..size].split(|byte| *byte == 0);
                let names = names.filter(|name| !name.is_empty());
                return names.filter_map(|name| CString::new(name).ok()).collect();
            }
            Err(_) if Errno::last() == Errno::ERANGE && buffer.len() < 1 << 20 => {
                buffer.resize(1 << 20, 0);
            }
            Err(_) => return Vec::new(),
        }
    }
}

/// Removes one.
///
/// # Errors
/// The kernel refuses.
pub fn remove(folder: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    // SAFETY: both arguments are valid for the call.
    Errno::result(unsafe { libc::fremovexattr(folder.as_raw_fd(), name.as_ptr()) }).map(drop)
}
