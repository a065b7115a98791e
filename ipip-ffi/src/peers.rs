//! Which node is behind which prefix.

use std::mem::MaybeUninit;

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::peers::{PeerError, Peers};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{fill_array, give, guard, or, required};
use crate::error::Failure;
use crate::status::ipip_status;

/// The prefixes of every other node, its blocks, and as /32s the addresses it borrowed: who may send us
/// what, and who gets what. The longest prefix wins. A change costs the same whatever the number of
/// prefixes.
///
/// Threads: any number may ask at once (`_check`, `_node_of`, `_count`, `_list`) while none changes it.
#[derive(Debug, Default)]
pub struct ipip_peers(pub(crate) Peers);

/// A prefix and the node behind it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_peer {
    /// The prefix.
    pub prefix: ipip_prefix,
    /// The node's underlay address.
    pub node_addr: ipip_ipv4,
}

/// Makes one without peers: every packet is refused.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_new(
    peers_out: Option<&mut MaybeUninit<*mut ipip_peers>>,
) -> ipip_status {
    guard(|| {
        give(required(peers_out, "peers_out")?, ipip_peers::default());
        Ok(())
    })
}

/// Records that `prefix` is behind the node with the underlay address `node_addr`, whoever held it before.
/// `replaced_out`, 1 if some node did, and `before_out`, which one, written only then, may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT for a prefix with host bits set or longer than 32.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_insert(
    peers: Option<&mut ipip_peers>,
    prefix: ipip_prefix,
    node_addr: ipip_ipv4,
    replaced_out: Option<&mut MaybeUninit<u8>>,
    before_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        let peers = required(peers, "peers")?;
        let prefix = prefix.checked("prefix")?;
        let before = peers.0.insert(prefix, NodeAddr(node_addr.into()));
        if let Some(out) = replaced_out {
            out.write(before.is_some().into());
        }
        if let (Some(out), Some(before)) = (before_out, before) {
            out.write(before.0.into());
        }
        Ok(())
    })
}

/// Forgets `prefix`. `before_out`, the node that held it, may be NULL.
///
/// IPIP_STATUS_NOT_FOUND if none did; IPIP_STATUS_INVALID_ARGUMENT for a prefix with host bits set or longer
/// than 32.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_remove(
    peers: Option<&mut ipip_peers>,
    prefix: ipip_prefix,
    before_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        let peers = required(peers, "peers")?;
        let prefix = prefix.checked("prefix")?;
        let before = peers.0.remove(prefix);
        let before = before.ok_or_else(|| not_found("prefix", prefix))?;
        if let Some(out) = before_out {
            out.write(before.0.into());
        }
        Ok(())
    })
}

/// Accepts a packet by its outer and inner source, or refuses it.
///
/// IPIP_STATUS_UNKNOWN_NODE if the outer source has no prefix, IPIP_STATUS_NO_HOST if the inner source is no
/// single host's address, IPIP_STATUS_FOREIGN_SOURCE if it is not behind that node.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_check(
    peers: Option<&ipip_peers>,
    outer_source: ipip_ipv4,
    inner_source: ipip_ipv4,
) -> ipip_status {
    guard(|| {
        let peers = required(peers, "peers")?;
        let outer_source = NodeAddr(outer_source.into());
        Ok(peers.0.check(outer_source, inner_source.into())?)
    })
}

/// The node behind `address`: the one with the longest prefix that contains it.
///
/// IPIP_STATUS_NOT_FOUND if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_node_of(
    peers: Option<&ipip_peers>,
    address: ipip_ipv4,
    node_addr_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        let peers = required(peers, "peers")?;
        let out = required(node_addr_out, "node_addr_out")?;
        let node = peers.0.node_of(address.into());
        let node = node.ok_or_else(|| not_found("address", Ipv4Prefix::host(address.into())))?;
        out.write(node.0.into());
        Ok(())
    })
}

/// How many prefixes are recorded; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_count(peers: Option<&ipip_peers>) -> usize {
    or(0, || peers.map_or(0, |peers| peers.0.len()))
}

/// Writes each prefix with its node, in the order of the prefixes, into `pairs`, which has `pairs_len`
/// places; `needed_out` says how many there are.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit.
///
/// # Safety
/// `pairs` is NULL or points to room for `pairs_len` structs that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_peers_list(
    peers: Option<&ipip_peers>,
    pairs: *mut ipip_peer,
    pairs_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let peers = required(peers, "peers")?;
        let mut found: Vec<_> = peers.0.iter().collect();
        found.sort_unstable();
        let found: Vec<_> = found
            .into_iter()
            .map(|(prefix, node)| ipip_peer {
                prefix: prefix.into(),
                node_addr: node.0.into(),
            })
            .collect();
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(pairs, pairs_len, needed_out, &found, "pairs") }
    })
}

/// Frees it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_free(peers: Option<Box<ipip_peers>>) {
    or((), || drop(peers));
}

fn not_found(what: &str, prefix: Ipv4Prefix) -> Failure {
    Failure::new(
        ipip_status::NotFound,
        format!("no node is behind {what} {prefix}"),
    )
}

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Self {
        let status = match error {
            PeerError::UnknownNode { .. } => ipip_status::UnknownNode,
            PeerError::ForeignSource { .. } => ipip_status::ForeignSource,
            PeerError::NoHost { .. } => ipip_status::NoHost,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
