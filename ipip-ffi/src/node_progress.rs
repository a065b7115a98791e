//! How far a node's long work has come.

use std::ffi::c_void;

use ipip_core::node::{Progress, Task};

/// What a node is doing for long.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_task {
    /// A pass, in steps: `ipip_node_sync`, `ipip_node_join`, one of `ipip_node_run`.
    Sync = 0,
    /// `ipip_node_attach` and `ipip_node_attach_many`, in containers.
    Attach = 1,
    /// `ipip_node_detach` and `ipip_node_detach_many`, in containers that have a wire.
    Detach = 2,
    /// `ipip_node_leave`, in steps.
    Leave = 3,
}

/// How far a call of a node has come in the kernel.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_progress {
    /// An enum ipip_task: what is being done.
    pub task: u32,
    /// How much of it the kernel has carried out or refused: steps of a plan, or containers. It never falls
    /// within one call, and is never above `total`.
    pub done: u64,
    /// How much there is in all. It grows where a pass has to plan anew, as the kernel's state moved under it.
    pub total: u64,
}

/// A program's function that hears how far a node's call is: on the thread of the call, after each batch of
/// changes that the kernel has answered (64 KiB, 1,260 routes; 128 containers attached, 24 detached), and
/// never once the call has returned. It must return (no longjmp, no C++ exception). A call with the same node that
/// would change or read the kernel is answered by IPIP_STATUS_BUSY there.
pub type ipip_progress_callback =
    Option<unsafe extern "C" fn(progress: *const ipip_progress, user_data: *mut c_void)>;

/// A program's function with what it is given.
pub(crate) struct Listener {
    callback: unsafe extern "C" fn(*const ipip_progress, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the header says that the callback is called on the thread of each call with this pointer.
unsafe impl Send for Listener {}
// SAFETY: the same; the calls of one node that tell take turns.
unsafe impl Sync for Listener {}

impl Listener {
    /// # Safety
    /// `callback` is NULL or may be called with a progress and `user_data`, on any thread, as long as there is
    /// a node of the configuration.
    pub(crate) unsafe fn new(
        callback: ipip_progress_callback,
        user_data: *mut c_void,
    ) -> Option<Self> {
        callback.map(|callback| Self {
            callback,
            user_data,
        })
    }

    pub(crate) fn tell(&self, progress: Progress) {
        let Some(task) = number(progress.task) else {
            return;
        };
        let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let progress = ipip_progress {
            task: task as u32,
            done: count(progress.done),
            total: count(progress.total),
        };
        // SAFETY: the callback is the program's own, for these parameters; the progress outlives the call.
        unsafe { (self.callback)(&raw const progress, self.user_data) };
    }
}

/// `None` for what this version does not know how to tell.
fn number(task: Task) -> Option<ipip_task> {
    match task {
        Task::Sync => Some(ipip_task::Sync),
        Task::Attach => Some(ipip_task::Attach),
        Task::Detach => Some(ipip_task::Detach),
        Task::Leave => Some(ipip_task::Leave),
        _ => None,
    }
}
