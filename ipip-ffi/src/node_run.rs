//! Keeping a node as it should be, until it is stopped.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use ipip_core::node::RunEvent;

use crate::boundary::{guard, or, required};
use crate::error::Failure;
use crate::node::ipip_node;
use crate::node_report::ipip_node_report;
use crate::outcome::c_text;
use crate::status::ipip_status;

/// What `ipip_node_run` tells of itself; what it points to lives as long as the callback runs.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_run_event {
    /// What a pass did; NULL if it could not be made, or a watcher failed.
    pub report: *const ipip_node_report,
    /// IPIP_STATUS_OK with a report, else why there is none.
    pub status: ipip_status,
    /// The same in words; NULL with a report.
    pub error: *const c_char,
    /// The kernel's error number (`errno.h`) for that, 0 where it had no part in it.
    pub error_number: c_int,
    /// After how many milliseconds at the latest it is tried again; 0 with a report.
    pub retry_ms: u64,
}

/// A program's function that hears of each pass of `ipip_node_run`.
pub type ipip_run_callback =
    Option<unsafe extern "C" fn(event: *const ipip_run_event, user_data: *mut c_void)>;

/// Keeps this node as it should be until `ipip_node_stop`, which is the call's success: a pass as
/// `ipip_node_sync` at once, after each change in the store or in the kernel, and every 90 s. After a pass
/// that failed it waits, at first half a second, at most half a minute. It has no timeout; each pass has
/// one, `deadline_ms` of the configuration.
///
/// It may be stopped, or its process killed, at any instant: nothing is taken down by that.
///
/// `callback` (may be NULL) is called on the calling thread after each pass. It may call functions of this
/// library with the same node, except `ipip_node_free`, and except `ipip_node_run`; other threads may
/// meanwhile call them all but for `ipip_node_free`. It must return (no longjmp, no C++ exception).
///
/// IPIP_STATUS_KERNEL if the kernel's changes cannot be listened to. What fails later is told, and tried
/// again.
///
/// # Safety
/// `callback` is NULL or may be called with an event and `user_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_run(
    node: Option<&ipip_node>,
    callback: ipip_run_callback,
    user_data: *mut c_void,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let tell = |event| {
            if let Some(callback) = callback {
                let told = Told::from(event);
                let event = told.event();
                // SAFETY: the callback is the program's own, for these parameters; the event and what it
                // points to outlive the call.
                unsafe { callback(&raw const event, user_data) };
            }
        };
        Ok(node.node.run(&node.stop, tell)?)
    })
}

/// Ends `ipip_node_run` within a tenth of a second, or as soon as a pass that has begun is finished or its time is over, and
/// for good: from now on each one with this object returns at once. The other calls go on working. It may
/// be called on any thread, and from a signal's handler. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_stop(node: Option<&ipip_node>) {
    or((), || {
        if let Some(node) = node {
            node.stop.stop();
        }
    });
}

/// What an event points to.
enum Told {
    Synced(Box<ipip_node_report>),
    Failed {
        failure: Failure,
        text: CString,
        retry_ms: u64,
    },
}

impl Told {
    fn event(&self) -> ipip_run_event {
        match self {
            Self::Synced(report) => ipip_run_event {
                report: &raw const **report,
                status: ipip_status::Ok,
                error: ptr::null(),
                error_number: 0,
                retry_ms: 0,
            },
            Self::Failed {
                failure,
                text,
                retry_ms,
            } => ipip_run_event {
                report: ptr::null(),
                status: failure.status,
                error: text.as_ptr(),
                error_number: failure.errno,
                retry_ms: *retry_ms,
            },
        }
    }

    fn failed(failure: Failure, retry_ms: u64) -> Self {
        Self::Failed {
            text: c_text(&failure.text),
            failure,
            retry_ms,
        }
    }
}

impl From<RunEvent> for Told {
    fn from(event: RunEvent) -> Self {
        match event {
            RunEvent::Synced(synced) => Self::Synced(Box::new((*synced).into())),
            RunEvent::Failed { error, retry_in } => Self::failed(
                error.into(),
                u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
            ),
            other => Self::failed(Failure::new(ipip_status::Internal, format!("{other:?}")), 0),
        }
    }
}
