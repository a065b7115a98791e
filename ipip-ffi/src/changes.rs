//! What a call changed in the kernel.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::cluster::ClusterError;
use ipip_core::netlink::NetlinkError;
use ipip_core::node::{Changes, NodeError};

use crate::boundary::{TextBuffer, at, give, guard, or, required};
use crate::error::Failure;
use crate::status::ipip_status;

/// What a call changed, in the order in which it was applied. None means that everything was as it
/// should be already.
///
/// Ownership: whoever got it as `changes_out` frees it. Threads: it never changes, so threads may share
/// it without a lock.
#[derive(Debug)]
pub struct ipip_changes(Vec<String>);

/// How many steps there were; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_changes_count(changes: Option<&ipip_changes>) -> usize {
    or(0, || changes.map_or(0, |changes| changes.0.len()))
}

/// A step as the shell command that does the same, counted from 0. `needed_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last step, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_changes_step(
    changes: Option<&ipip_changes>,
    index: usize,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let steps = &required(changes, "changes")?.0;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(at(steps, index, "steps")?)
    })
}

/// Frees the list. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_changes_free(changes: Option<Box<ipip_changes>>) {
    or((), || drop(changes));
}

/// Hands `changes` to the caller, if wanted.
pub(crate) fn report(
    changes: &Changes,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> Result<(), Failure> {
    if let Some(out) = changes_out {
        let steps = changes.steps.iter().map(ToString::to_string);
        give(out, ipip_changes(steps.collect()));
    }
    Ok(())
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let errno = error.errno();
        let status = match error {
            NodeError::Netns(error) => return error.into(),
            NodeError::Kernel(error) => return error.into(),
            NodeError::Refused { ref cause, .. } => status_of(cause),
            NodeError::Ipam(error) => return error.into(),
            NodeError::Cluster(ClusterError::Store { source, .. }) => return source.into(),
            _ if error.is_link_missing() => ipip_status::NotFound,
            NodeError::InTheWay(_) => ipip_status::InTheWay,
            NodeError::NoDriver { .. } => ipip_status::NoDriver,
            NodeError::HalfApplied { .. } | NodeError::NotGivenBack { .. } => {
                ipip_status::HalfApplied
            }
            NodeError::Overlay(_)
            | NodeError::Name(_)
            | NodeError::Mtu(_)
            | NodeError::Unnamed { .. } => ipip_status::InvalidArgument,
            NodeError::NoGuard(_) | NodeError::Choice(_) => ipip_status::Unsupported,
            NodeError::DataPath(_) => ipip_status::Kernel,
            NodeError::Underlay(_) => ipip_status::NoUnderlay,
            NodeError::NotJoined { .. } => ipip_status::NotJoined,
            NodeError::InProgress { .. } => ipip_status::Busy,
            NodeError::AddressTaken { .. } => ipip_status::AddressTaken,
            NodeError::OtherAddress { .. } => ipip_status::OtherAddress,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, errno)
    }
}

fn status_of(error: &NetlinkError) -> ipip_status {
    match error {
        NetlinkError::UnknownLinkKind { .. } => ipip_status::NoDriver,
        NetlinkError::NodeNamespace { .. } => ipip_status::SameNetns,
        NetlinkError::NoNfTables { .. } => ipip_status::Unsupported,
        NetlinkError::Refused { .. }
        | NetlinkError::NotTried { .. }
        | NetlinkError::NotDeleted { .. }
        | NetlinkError::Socket { .. }
        | NetlinkError::Netns { .. }
        | NetlinkError::AnswerLost { .. }
        | NetlinkError::Unreadable { .. } => ipip_status::Kernel,
        NetlinkError::NotWritable { .. } | NetlinkError::UnknownPlace { .. } => {
            ipip_status::Internal
        }
        _ => ipip_status::Internal,
    }
}

impl From<NetlinkError> for Failure {
    fn from(error: NetlinkError) -> Self {
        Self::of(status_of(&error), &error, error.errno())
    }
}
