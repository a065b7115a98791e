//! The guard of a node: brought to be, taken away, or the reason why there is none.

use std::fmt;

use super::NodeError;
use super::ensure::{Changes, converge};
use crate::netlink::{Kernel, NetlinkError};
use crate::overlay::Guard;
use crate::peers::Peers;
use crate::plan::{self, Desired};
use crate::sys::netns::Netns;

/// Whether a node is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardState {
    /// Its table is in place.
    Active,
    /// Nobody wanted one.
    Declined,
    /// One was wanted and cannot be had.
    Unavailable {
        /// Why: no program `nft`, no support in the kernel, no privilege.
        reason: String,
    },
}

/// Brings the guard of the node in `netns` to be: the nf_tables table `ip ipip`, as [`Guard::desired`]
/// has it. What changed goes in as single elements, first those that let in more, then those that let in
/// less; each step is one transaction.
///
/// The guard only drops. What it lets in, a table of somebody else may still drop.
///
/// # Errors
/// [`NodeError::NoGuard`] without the program `nft` and on a kernel without nf_tables,
/// [`NodeError::InTheWay`] if a table of that name is not ours, [`NodeError::Overlay`] as
/// [`Guard::check`] has it, [`NodeError::Kernel`] without `CAP_NET_ADMIN`.
pub fn ensure_guard(netns: &Netns, guard: &Guard) -> Result<Changes, NodeError> {
    guard.check()?;
    named(converge(
        Kernel::open(netns)?,
        &guard.desired(),
        plan::ensure,
    ))
}

/// Deletes the guard's table if it is ours, and nothing else of nf_tables.
///
/// # Errors
/// [`NodeError::NoGuard`] without the program `nft`, [`NodeError::Kernel`] if the kernel refuses.
pub fn remove_guard(netns: &Netns) -> Result<Changes, NodeError> {
    named(converge(Kernel::open(netns)?, &any_guard(), plan::removal))
}

/// Guards the node where that is possible, and says so where it is not. Without a `guard` none is wanted:
/// one that an earlier call made goes.
///
/// # Errors
/// As [`ensure_guard`] and [`remove_guard`], but where nf_tables is missing or the privilege is: that is
/// an answer, and a warning in the log.
pub fn settle_guard(
    netns: &Netns,
    guard: Option<&Guard>,
) -> Result<(GuardState, Changes), NodeError> {
    let (state, result) = match guard {
        Some(guard) => (GuardState::Active, ensure_guard(netns, guard)),
        None => (GuardState::Declined, remove_guard(netns)),
    };
    match (result, guard) {
        (Ok(changes), _) => Ok((state, changes)),
        (Err(error), wanted) if is_unavailable(&error) => {
            let reason = crate::error_chain(&error);
            if wanted.is_none() {
                log::debug!("guard in {netns}: none wanted, and none looked for: {reason}");
                return Ok((state, Changes::default()));
            }
            log::warn!("guard in {netns}: IPIP packets are not checked, {reason}");
            Ok((GuardState::Unavailable { reason }, Changes::default()))
        }
        (Err(error), _) => Err(error),
    }
}

fn is_unavailable(error: &NodeError) -> bool {
    matches!(error, NodeError::NoGuard(error) | NodeError::Kernel(error) if cannot_be_had(error))
}

/// Whether the kernel's answer means that there can be no guard here: no nf_tables, or no privilege.
pub(super) fn cannot_be_had(error: &NetlinkError) -> bool {
    error.is_no_nf_tables() || error.is_permission()
}

/// For removal any will do: only the name and the mark count.
fn any_guard() -> Desired {
    let empty = Guard {
        peers: Peers::new(),
        pools: vec![],
        device: crate::overlay::well_known(crate::overlay::TUNNEL_DEVICE),
        address: None,
    };
    empty.desired()
}

fn named(result: Result<Changes, NodeError>) -> Result<Changes, NodeError> {
    result.map_err(|error| match error {
        NodeError::Kernel(source) if source.is_no_nf_tables() => NodeError::NoGuard(source),
        other => other,
    })
}

impl fmt::Display for GuardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Declined => f.write_str("declined"),
            Self::Unavailable { reason } => write!(f, "unavailable: {reason}"),
        }
    }
}
