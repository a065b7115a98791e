//! A file in memory without a name: input for another program, which a pipe could break.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// A file that holds `content`, read from its beginning. A pipe would raise `SIGPIPE` in a C program
/// where the reader ends early.
///
/// # Errors
/// The kernel's refusal: `ENOMEM`, `EMFILE`.
pub(crate) fn holding(name: &CStr, content: &[u8]) -> io::Result<File> {
    // SAFETY: the name ends in a zero and outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it, and nobody else knows its number.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
