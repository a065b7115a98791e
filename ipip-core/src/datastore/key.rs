//! Calico's keys: where each value stands.
//!
//! A prefix is written with `-` for its `/`, so that it is one element of the path. Functions named
//! `…_prefix` give what to list; they end with `/`.

use crate::addr::Ipv4Prefix;
use crate::name::{HandleId, NodeName};

const BLOCKS: &str = "/calico/ipam/v2/assignment/ipv4/block/";
const HOSTS: &str = "/calico/ipam/v2/host/";
const HANDLES: &str = "/calico/ipam/v2/handle/";
const CONFIG: &str = "/calico/ipam/v2/config";
const VIRTUALS: &str = "/calico/ipam/v2/virtual/";
const POOL_CREATION: &str = "/calico/resources/v3/projectcalico.org/ippools";
const POOLS: &str = "/calico/resources/v3/projectcalico.org/ippools/";
const RESERVATIONS: &str = "/calico/resources/v3/projectcalico.org/ipreservations/";
const NODES: &str = "/calico/resources/v3/projectcalico.org/nodes/";

/// The key of the block `prefix`.
///
/// ```
/// use ipip_core::datastore::key;
/// let block = "192.168.166.128/26".parse()?;
/// assert_eq!(key::block(block), "/calico/ipam/v2/assignment/ipv4/block/192.168.166.128-26");
/// assert_eq!(key::parse_block(&key::block(block)), Some(block));
/// # Ok::<(), ipip_core::addr::PrefixError>(())
/// ```
#[must_use]
pub fn block(prefix: Ipv4Prefix) -> String {
    with_element(BLOCKS, prefix)
}

/// What every block's key begins with.
#[must_use]
pub fn block_prefix() -> &'static str {
    BLOCKS
}

/// The prefix of the block with this key; `None` if it is no block's key.
#[must_use]
pub fn parse_block(key: &str) -> Option<Ipv4Prefix> {
    parse_element(key.strip_prefix(BLOCKS)?)
}

/// The key of `node`'s claim on the block `prefix`.
#[must_use]
pub fn affinity(node: &NodeName, prefix: Ipv4Prefix) -> String {
    with_element(&affinity_prefix(node), prefix)
}

/// What the key of each claim of `node` begins with.
#[must_use]
pub fn affinity_prefix(node: &NodeName) -> String {
    [HOSTS, node.as_str(), "/ipv4/block/"].concat()
}

/// What the key of each claim of each node begins with; other keys begin so too.
#[must_use]
pub fn all_affinities_prefix() -> &'static str {
    HOSTS
}

/// The node and the block of the claim with this key; `None` if it is no claim's key.
#[must_use]
pub fn parse_affinity(key: &str) -> Option<(NodeName, Ipv4Prefix)> {
    let (node, block) = key.strip_prefix(HOSTS)?.split_once("/ipv4/block/")?;
    Some((NodeName::try_new(node).ok()?, parse_element(block)?))
}

/// The key of the claim of a virtual owner, such as a load balancer, on the block `prefix` (Calico
/// 3.30 and later).
#[must_use]
pub fn virtual_affinity(owner: &str, prefix: Ipv4Prefix) -> String {
    with_element(&format!("{VIRTUALS}{owner}/ipv4/block/"), prefix)
}

/// What every key of Calico's begins with: to be watched, where several kinds of record are followed as
/// one. A list of it would be everything.
#[must_use]
pub const fn cluster_prefix() -> &'static str {
    "/calico/"
}

/// What lists blocks, claims, handles and configuration at one instant.
#[must_use]
pub fn ipam_prefix() -> &'static str {
    "/calico/ipam/v2/"
}

/// What the key of each handle's record begins with.
#[must_use]
pub fn handle_prefix() -> &'static str {
    HANDLES
}

/// The handle of the record with this key, as it stands there; `None` if it is no handle's key.
#[must_use]
pub fn parse_handle(key: &str) -> Option<&str> {
    let handle = key.strip_prefix(HANDLES)?;
    (!handle.is_empty() && !handle.contains('/')).then_some(handle)
}

/// The key of `handle`'s record.
#[must_use]
pub fn handle(handle: &HandleId) -> String {
    [HANDLES, handle.as_str()].concat()
}

/// The key of the pool `name`.
#[must_use]
pub fn pool(name: &str) -> String {
    [POOLS, name].concat()
}

/// The key that every creation of a pool writes, so that of two at once that would overlap only one
/// lands. Its value is `{}`. It is ours alone: Calico lists and watches what is below it, with the `/`.
#[must_use]
pub fn pool_creation() -> &'static str {
    POOL_CREATION
}

/// What every pool's key begins with.
#[must_use]
pub fn pool_prefix() -> &'static str {
    POOLS
}

/// The key of the allocator's configuration, one for the cluster.
#[must_use]
pub fn config() -> &'static str {
    CONFIG
}

/// The key of the reservation `name`.
#[must_use]
pub fn reservation(name: &str) -> String {
    format!("{RESERVATIONS}{name}")
}

/// What every reservation's key begins with.
#[must_use]
pub fn reservation_prefix() -> &'static str {
    RESERVATIONS
}

/// The key of the record of `node`.
#[must_use]
pub fn node(node: &NodeName) -> String {
    format!("{NODES}{node}")
}

/// What every node's key begins with.
#[must_use]
pub fn node_prefix() -> &'static str {
    NODES
}

/// The key of what Calico keeps of `node` as an owner of blocks: rarely there, `{}`, and deleted
/// with the node.
#[must_use]
pub fn ipam_host(node: &NodeName) -> String {
    [HOSTS, node.as_str()].concat()
}

/// `begin`, and the element of `prefix` behind it.
fn with_element(begin: &str, prefix: Ipv4Prefix) -> String {
    // 18: 255.255.255.255-32.
    let mut key = String::with_capacity(begin.len() + 18);
    key.push_str(begin);
    prefix.write_to(&mut key, b'-').expect("ASCII");
    key
}

/// Only the form that [`with_element`] writes: another one would be a second key of the same block.
fn parse_element(text: &str) -> Option<Ipv4Prefix> {
    let prefix: Ipv4Prefix = text.replacen('-', "/", 1).parse().ok()?;
    (with_element("", prefix) == text).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_calicos() {
        let node = NodeName::try_new("node-a.example").unwrap();
        let prefix = "192.168.166.128/26".parse().unwrap();
        let affinity = affinity(&node, prefix);
        assert_eq!(
            affinity,
            "/calico/ipam/v2/host/node-a.example/ipv4/block/192.168.166.128-26"
        );
        assert!(affinity.starts_with(&affinity_prefix(&node)));
        assert!(affinity.starts_with(all_affinities_prefix()));
        assert_eq!(parse_affinity(&affinity), Some((node.clone(), prefix)));
        let id = HandleId::try_new("k8s-pod-network.3a1f").unwrap();
        assert_eq!(handle(&id), "/calico/ipam/v2/handle/k8s-pod-network.3a1f");
        assert_eq!(
            pool("p"),
            "/calico/resources/v3/projectcalico.org/ippools/p"
        );
        assert_eq!(config(), "/calico/ipam/v2/config");
        assert_eq!(
            reservation("r"),
            "/calico/resources/v3/projectcalico.org/ipreservations/r"
        );
        assert_eq!(
            super::node(&node),
            "/calico/resources/v3/projectcalico.org/nodes/node-a.example"
        );
        assert_eq!(ipam_host(&node), "/calico/ipam/v2/host/node-a.example");
    }

    #[test]
    fn foreign_keys_are_nobodys() {
        for key in [
            "",
            "/calico/ipam/v2/assignment/ipv4/block/",
            "/calico/ipam/v2/assignment/ipv4/block/10.0.0.1-26",
            "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-026",
            "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0/26",
            "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-26/x",
            "/calico/ipam/v2/assignment/ipv6/block/fd80::-122",
        ] {
            assert_eq!(parse_block(key), None, "{key}");
        }
        for key in [
            "/calico/ipam/v2/host/node1",
            "/calico/ipam/v2/host/node1/ipv6/block/fd80::-122",
            "/calico/ipam/v2/host/a/b/ipv4/block/10.0.0.0-26",
            "/calico/ipam/v2/virtual/lb/ipv4/block/10.0.0.0-26",
        ] {
            assert_eq!(parse_affinity(key), None, "{key}");
        }
    }
}
