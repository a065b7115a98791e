//! Network namespaces.

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use ipip_core::sys::netns::{Netns, NetnsError};

use crate::boundary::{Out, TextBuffer, give, guard, or, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// An open network namespace; it lives at least as long as this object.
///
/// Ownership: whoever got it from `ipip_netns_create` and its like frees it. Threads: it never changes,
/// so threads may share it without a lock.
#[derive(Debug)]
pub struct ipip_netns(pub(crate) Netns);

/// A program's function that runs inside a namespace; what it returns comes back as `result_out`.
pub type ipip_netns_callback = Option<unsafe extern "C" fn(user_data: *mut c_void) -> c_int>;

/// Makes a namespace and names it as `ip netns add NAME` does; it stays until `ipip_netns_remove`. Its
/// interfaces are down, loopback included.
///
/// IPIP_STATUS_ALREADY_EXISTS if the name is taken, IPIP_STATUS_INVALID_ARGUMENT if it cannot be a file
/// name, IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN; nothing is left behind then.
///
/// # Safety
/// `name` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_netns_create(
    name: *const c_char,
    netns_out: Option<&mut MaybeUninit<*mut ipip_netns>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        unsafe { give_opened(name, "name", Netns::create, netns_out) }
    })
}

/// Makes a namespace without a name; it ends with this object and the last socket or process in it.
///
/// IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_netns_create_unnamed(
    netns_out: Option<&mut MaybeUninit<*mut ipip_netns>>,
) -> ipip_status {
    guard(|| {
        let out = required(netns_out, "netns_out")?;
        give(out, ipip_netns(Netns::create_unnamed()?));
        Ok(())
    })
}

/// Opens the namespace behind a file, such as "/run/netns/NAME" or "/proc/PID/ns/net".
///
/// IPIP_STATUS_NOT_FOUND if there is no such file, IPIP_STATUS_NOT_NETNS if it is another kind of file.
///
/// # Safety
/// `path` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_netns_open(
    path: *const c_char,
    netns_out: Option<&mut MaybeUninit<*mut ipip_netns>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        unsafe { give_opened(path, "path", |path| Netns::open(path), netns_out) }
    })
}

/// Opens the namespace that `ip netns add NAME` or `ipip_netns_create` made.
///
/// As `ipip_netns_open`, and IPIP_STATUS_INVALID_ARGUMENT if the name cannot be a file name.
///
/// # Safety
/// `name` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_netns_open_named(
    name: *const c_char,
    netns_out: Option<&mut MaybeUninit<*mut ipip_netns>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        unsafe { give_opened(name, "name", Netns::named, netns_out) }
    })
}

/// Opens the namespace of the calling thread.
///
/// IPIP_STATUS_NOT_FOUND if /proc is not mounted.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_netns_open_current(
    netns_out: Option<&mut MaybeUninit<*mut ipip_netns>>,
) -> ipip_status {
    guard(|| {
        let out = required(netns_out, "netns_out")?;
        give(out, ipip_netns(Netns::current()?));
        Ok(())
    })
}

/// Removes a name made by `ipip_netns_create` or `ip netns add`. `removed_out` (may be NULL) is 1, or 0
/// if it was not there, which is success too.
///
/// IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN, IPIP_STATUS_INVALID_ARGUMENT if the name cannot be a
/// file name.
///
/// # Safety
/// `name` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_netns_remove(
    name: *const c_char,
    removed_out: Option<&mut MaybeUninit<c_int>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let name = unsafe { text(name, "name") }?;
        let removed = Netns::remove(name)?;
        if let Some(out) = removed_out {
            out.write(c_int::from(removed));
        }
        Ok(())
    })
}

/// Runs `callback` inside the namespace, on a thread of its own that ends with it, and waits. The
/// calling thread stays where it is. A socket that the callback opens belongs to the namespace for
/// good and may be used anywhere afterwards. `result_out` (may be NULL) is what the callback returned.
///
/// The callback sees the last error of its own thread. It must return (no longjmp, no C++ exception).
///
/// IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN; the callback has not run then.
///
/// # Safety
/// `callback` may be called with `user_data` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_netns_enter(
    netns: Option<&ipip_netns>,
    callback: ipip_netns_callback,
    user_data: *mut c_void,
    result_out: Option<&mut MaybeUninit<c_int>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        let callback = required(callback, "callback")?;
        let visit = Visit {
            callback,
            user_data,
        };
        let result = netns.0.enter(move || visit.run())?;
        if let Some(out) = result_out {
            out.write(result);
        }
        Ok(())
    })
}

/// Whether two objects are the same namespace: `same_out` is 1 or 0.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_netns_is_same(
    netns: Option<&ipip_netns>,
    other: Option<&ipip_netns>,
    same_out: Option<&mut MaybeUninit<c_int>>,
) -> ipip_status {
    guard(|| {
        let (netns, other) = (required(netns, "netns")?, required(other, "other")?);
        let out = required(same_out, "same_out")?;
        out.write(c_int::from(netns.0.is_same(&other.0)));
        Ok(())
    })
}

/// The path that it was opened by; for one without a name, a path below /proc that is valid while the
/// object lives. `needed_out` (may be NULL) is the length with the final zero.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit, IPIP_STATUS_NOT_UTF8 if it is not UTF-8.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_netns_path(
    netns: Option<&ipip_netns>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let path = required(netns, "netns")?.0.path();
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        let path = path.to_str().ok_or_else(|| {
            Failure::new(
                ipip_status::NotUtf8,
                format!("path {} is not UTF-8", path.display()),
            )
        })?;
        text.fill(path)
    })
}

/// The file descriptor of the namespace, for `setns` and the like. It stays the object's: do not close
/// it, and do not use it after `ipip_netns_free`. -1 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_netns_fd(netns: Option<&ipip_netns>) -> c_int {
    or(-1, || netns.map_or(-1, |netns| netns.0.as_fd().as_raw_fd()))
}

/// Closes the namespace. A named one stays. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_netns_free(netns: Option<Box<ipip_netns>>) {
    or((), || drop(netns));
}

/// Hands over what `open` makes of the string at `pointer`; it is not called if there is nowhere to
/// put it.
///
/// # Safety
/// As [`text`].
unsafe fn give_opened(
    pointer: *const c_char,
    name: &str,
    open: impl FnOnce(&str) -> Result<Netns, NetnsError>,
    netns_out: Out<'_, *mut ipip_netns>,
) -> Result<(), Failure> {
    let out = required(netns_out, "netns_out")?;
    // SAFETY: the same duties.
    let text = unsafe { text(pointer, name) }?;
    give(out, ipip_netns(open(text)?));
    Ok(())
}

struct Visit {
    callback: unsafe extern "C" fn(*mut c_void) -> c_int,
    user_data: *mut c_void,
}

// SAFETY: the header says that the callback runs with this pointer on another thread; the caller waits.
unsafe impl Send for Visit {}

impl Visit {
    fn run(self) -> c_int {
        // SAFETY: the callback is the program's own, for this parameter.
        unsafe { (self.callback)(self.user_data) }
    }
}

impl From<NetnsError> for Failure {
    fn from(error: NetnsError) -> Self {
        let status = match &error {
            NetnsError::System { .. } => match error.errno() {
                Some(libc::ENOENT) => ipip_status::NotFound,
                Some(libc::EEXIST) => ipip_status::AlreadyExists,
                _ => ipip_status::Kernel,
            },
            NetnsError::NotNetns { .. } => ipip_status::NotNetns,
            NetnsError::Name { .. } => ipip_status::InvalidArgument,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, error.errno())
    }
}
