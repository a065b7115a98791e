//! A user namespace of one's own: root over the network namespaces made inside it, and nowhere else.

use std::ffi::CStr;
use std::io;

use super::socket::check;

/// Whether the process may administer networks: `CAP_NET_ADMIN`, `CAP_NET_RAW` and `CAP_SYS_ADMIN` are
/// effective, which making and entering network namespaces takes.
///
/// # Errors
/// If `/proc/self/status` cannot be read.
pub fn may_administer() -> io::Result<bool> {
    /// `CAP_NET_ADMIN` 12, `CAP_NET_RAW` 13, `CAP_SYS_ADMIN` 21 (linux/capability.h).
    const NEEDED: u64 = 1 << 12 | 1 << 13 | 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    Ok(mask.is_some_and(|mask| mask & NEEDED == NEEDED))
}

/// Moves the process into a user and a mount namespace of its own, in which it is root and `/run` is an
/// empty file system. What it makes there is seen, by others, only through `/proc/PID`, and ends with it.
///
/// # Errors
/// The kernel's refusal: `EINVAL` once the process has a second thread, `EPERM`, `ENOSPC` or `EACCES`
/// where the system does not let ordinary users have user namespaces. Some systems let a user make one
/// and refuse what comes after; the process is then in it, without rights, and should end.
pub fn enter_new() -> io::Result<()> {
    // SAFETY: takes no argument and cannot fail.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: takes no argument and cannot fail.
    let gid = unsafe { libc::getegid() };
    // SAFETY: takes flags only; the kernel refuses it in a process of several threads.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) })?;
    // Without this an ordinary user may not map a group (user_namespaces(7)).
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    mount_tmpfs(c"/run")
}

fn mount_tmpfs(target: &CStr) -> io::Result<()> {
    let name = c"tmpfs".as_ptr();
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: the strings are constants that end in a zero; a tmpfs takes no data.
    check(unsafe { libc::mount(name, target.as_ptr(), name, flags, std::ptr::null()) })
}
