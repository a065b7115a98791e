//! The last error of each thread: its text, and the kernel's number behind it.

use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CString, c_char, c_int};

use ipip_core::addr::PrefixError;
use ipip_core::error_chain;
use ipip_core::mtu::MtuError;
use ipip_core::name::NameError;

use crate::boundary::or;
use crate::status::ipip_status;

/// What the last failed call on this thread has to say: what it was about, what was found and what is
/// allowed; for kernel errors also the kernel's words. "" if none failed yet.
///
/// Never NULL. Valid until the next call that fails on this thread, or the thread's end; copy it to
/// keep it. A call that succeeds leaves it as it is, so look only after a failure.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_last_error() -> *const c_char {
    or(c"".as_ptr(), || {
        LAST.try_with(|last| last.borrow().text.as_ptr())
            .unwrap_or(c"".as_ptr())
    })
}

/// The kernel's error number (`errno.h`) behind the last failed call on this thread; 0 if the kernel
/// had no part in it, or no call has failed yet.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_last_errno() -> c_int {
    or(0, || LAST.try_with(|last| last.borrow().errno).unwrap_or(0))
}

/// Why a call failed, on its way to the caller.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: ipip_status,
    pub(crate) errno: c_int,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: ipip_status, text: impl Into<String>) -> Self {
        Self {
            status,
            errno: 0,
            text: text.into(),
        }
    }

    /// From an error of the library: its message, then those of its causes. A kernel error number
    /// that stands for a decision of its own replaces `status`.
    pub(crate) fn of(status: ipip_status, error: &dyn Error, errno: Option<c_int>) -> Self {
        let status = match (status, errno) {
            (ipip_status::Kernel, Some(libc::EPERM | libc::EACCES)) => ipip_status::Permission,
            (status, _) => status,
        };
        Self {
            status,
            errno: errno.unwrap_or(0),
            text: error_chain(error),
        }
    }

    /// Puts the name of the parameter or field before the text.
    pub(crate) fn in_field(mut self, name: &str) -> Self {
        self.text = format!("{name}: {}", self.text);
        self
    }
}

macro_rules! invalid_argument {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(ipip_status::InvalidArgument, &error, None)
            }
        }
    )*};
}
invalid_argument!(NameError, MtuError, PrefixError);

/// Keeps `failure` for [`ipip_last_error`] and answers its status.
#[cold]
pub(crate) fn keep(failure: Failure) -> ipip_status {
    // A text from outside may hold a zero, which would end it early in C.
    let text = CString::new(failure.text.replace('\0', "\u{fffd}")).unwrap_or_default();
    let last = Last {
        text,
        errno: failure.errno,
    };
    // Fails only while the thread is ending; nobody can ask any more then.
    let _ = LAST.try_with(|kept| *kept.borrow_mut() = last);
    failure.status
}

#[derive(Default)]
struct Last {
    text: CString,
    errno: c_int,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::io;

    fn last() -> String {
        // SAFETY: ends in a zero and is valid until the next failure on this thread.
        let text = unsafe { CStr::from_ptr(ipip_last_error()) };
        text.to_str().unwrap().to_owned()
    }

    #[test]
    fn each_thread_has_its_own() {
        assert_eq!((last().as_str(), ipip_last_errno()), ("", 0));
        let failure = Failure {
            errno: 17,
            ..Failure::new(ipip_status::Kernel, "a\0b")
        };
        assert_eq!(keep(failure), ipip_status::Kernel);
        assert_eq!((last().as_str(), ipip_last_errno()), ("a\u{fffd}b", 17));
        let other = std::thread::spawn(|| (last(), ipip_last_errno()));
        assert_eq!(other.join().unwrap(), (String::new(), 0));
    }

    #[test]
    fn causes_follow_the_message_and_privilege_is_told_apart() {
        let error = ipip_core::sys::netns::NetnsError::System {
            action: "open",
            path: "/x".into(),
            source: io::Error::from_raw_os_error(libc::EACCES),
        };
        let failure = Failure::of(ipip_status::Kernel, &error, error.errno());
        assert_eq!(failure.status, ipip_status::Permission);
        assert_eq!(
            failure.text,
            "cannot open network namespace /x: Permission denied (os error 13)"
        );
    }
}
