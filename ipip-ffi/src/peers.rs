//! Who may send us what.

use std::mem::MaybeUninit;

use ipip_core::addr::NodeAddr;
use ipip_core::peers::Peers;

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{give, guard, or, required};
use crate::status::ipip_status;

/// Which node holds which prefix, longest prefix first: its blocks, and the addresses it borrowed as
/// prefixes of 32 bits.
///
/// Ownership: whoever got it from `ipip_peers_new` frees it. Threads: as long as nobody changes it, threads
/// may share it without a lock.
#[derive(Debug)]
pub struct ipip_peers(pub(crate) Peers);

/// Makes an empty list: nobody may send us anything.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_new(
    peers_out: Option<&mut MaybeUninit<*mut ipip_peers>>,
) -> ipip_status {
    guard(|| {
        give(required(peers_out, "peers_out")?, ipip_peers(Peers::new()));
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

/// Frees the peers. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_peers_free(peers: Option<Box<ipip_peers>>) {
    or((), || drop(peers));
}
