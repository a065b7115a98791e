//! What blocks are cut from.

mod json;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::json::Extra;
use super::metadata::{Metadata, is_kubernetes_name};
use super::{
    BlockPrefix, MAX_BLOCK_LEN, MIN_BLOCK_LEN, PoolError, PoolUpdateError, Selector, SelectorError,
};
use crate::addr::Ipv4Prefix;
use spec::Spec;
pub use spec::{AssignmentMode, IpipMode, IpipModeError, Use};

/// A pool: the prefix that blocks are cut from, and how its addresses are routed.
///
/// ```
/// use ipip_core::resource::{IpipMode, Pool};
/// let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?.with_ipip_mode(IpipMode::Always);
/// assert_eq!(pool.block_count(), 1024);
/// assert_eq!(pool.block_of("10.244.79.20".parse()?).unwrap().to_string(), "10.244.79.0/26");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    name: String,
    cidr: Ipv4Prefix,
    block_len: u8,
    spec: Spec,
    metadata: Metadata,
    /// Where Kubernetes says so, by the status condition `Allocatable`.
    unallocatable: bool,
    extra: Extra,
}

impl Pool {
    /// A pool as `calicoctl` would create it: enabled, for every node, without encapsulation.
    ///
    /// `block_len` is the prefix length of its blocks in bits, 20 to 32 (usually
    /// [`DEFAULT_BLOCK_LEN`](super::DEFAULT_BLOCK_LEN)).
    ///
    /// # Errors
    /// [`PoolError`] if the name is none that Kubernetes accepts, the prefix has host bits set or
    /// is link-local, the block size is out of range, or a block does not fit.
    pub fn try_new(name: &str, cidr: Ipv4Network, block_len: u8) -> Result<Self, PoolError> {
        let fault = |fault| PoolError::Prefix {
            name: name.to_owned(),
            fault,
        };
        let cidr = Ipv4Prefix::try_from(cidr).map_err(fault)?;
        check(name, cidr, block_len)?;
        Ok(Self {
            name: name.to_owned(),
            cidr,
            block_len,
            spec: Spec::new(),
            metadata: Metadata::default(),
            unallocatable: false,
            extra: Extra::default(),
        })
    }

    /// The same pool with `mode`.
    #[must_use]
    pub fn with_ipip_mode(mut self, mode: IpipMode) -> Self {
        self.spec.ipip_mode = Some(mode);
        self
    }

    /// The same pool; packets that leave the cluster take the node's address if `yes`.
    #[must_use]
    pub fn with_nat_outgoing(mut self, yes: bool) -> Self {
        self.spec.nat_outgoing = yes;
        self
    }

    /// The same pool; nothing is assigned or claimed from it if `yes`.
    #[must_use]
    pub fn with_disabled(mut self, yes: bool) -> Self {
        self.spec.disabled = yes;
        self
    }

    /// The same pool; the blocks in it are not announced by BGP if `yes`.
    #[must_use]
    pub fn with_disable_bgp_export(mut self, yes: bool) -> Self {
        self.spec.disable_bgp_export = yes;
        self
    }

    /// The same pool, for the nodes that `selector` selects.
    #[must_use]
    pub fn with_node_selector(mut self, selector: Selector) -> Self {
        self.spec.node_selector = selector.into();
        self
    }

    /// The same pool, for workloads of the namespaces that `selector` selects (Calico 3.31 and
    /// later).
    #[must_use]
    pub fn with_namespace_selector(mut self, selector: Selector) -> Self {
        self.spec.namespace_selector = selector.into();
        self
    }

    /// The same pool, for these uses; none means Calico's default, workloads and tunnels.
    #[must_use]
    pub fn with_allowed_uses(mut self, purposes: &[Use]) -> Self {
        self.spec.allowed_uses = spec::uses(purposes);
        self
    }

    /// The same pool with `mode`.
    #[must_use]
    pub fn with_assignment_mode(mut self, mode: AssignmentMode) -> Self {
        self.spec.assignment_mode = mode.to_string();
        self
    }

    /// The same pool with what the datastore demands of each record: a unique id and the time of
    /// its creation. Calico's clients refuse to update a record without them.
    pub(crate) fn recorded(mut self, uid: String, created: String) -> Self {
        self.metadata.record(uid, created);
        self
    }

    /// Whether `other` is this pool at another time, and not one that was created anew under the same name.
    /// Of pools that were stored without a unique id nobody can tell.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name() == other.name() && self.metadata.uid() == other.metadata.uid()
    }

    /// What to store where `self` is stored and `wanted` is asked for: the fields of `wanted`, with
    /// the id and times of `self`, its status, and its fields that we do not know.
    ///
    /// # Errors
    /// [`PoolUpdateError`] with the reason if name, prefix or block size differ, or if `wanted` asks
    /// for both IPIP and VXLAN.
    pub fn updated(&self, wanted: &Self) -> Result<Self, PoolUpdateError> {
        let name = self.name.clone();
        if wanted.name != name {
            let wanted = wanted.name.clone();
            return Err(PoolUpdateError::Name { name, wanted });
        }
        if wanted.cidr != self.cidr {
            let (cidr, wanted) = (self.cidr, wanted.cidr);
            return Err(PoolUpdateError::Prefix { name, cidr, wanted });
        }
        if wanted.block_len != self.block_len {
            let (block_len, wanted) = (self.block_len, wanted.block_len);
            return Err(PoolUpdateError::BlockLen {
                name,
                block_len,
                wanted,
            });
        }
        wanted.check_encapsulation()?;
        Ok(Self {
            spec: Spec {
                extra: self.spec.extra.or_newer(&wanted.spec.extra),
                ..wanted.spec.clone()
            },
            metadata: self.metadata.updated(&wanted.metadata),
            ..self.clone()
        })
    }

    /// One packet, one tunnel: Calico's clients refuse a pool that asks for both.
    fn check_encapsulation(&self) -> Result<(), PoolError> {
        let (ipip, vxlan) = (self.ipip_mode(), self.vxlan_mode());
        if ipip == IpipMode::Never || vxlan == IpipMode::Never {
            return Ok(());
        }
        let name = self.name.clone();
        Err(PoolError::TwoEncapsulations { name, ipip, vxlan })
    }

    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pool's prefix.
    #[must_use]
    pub fn cidr(&self) -> Ipv4Prefix {
        self.cidr
    }

    /// The prefix length of its blocks in bits, 20 to 32.
    #[must_use]
    pub fn block_len(&self) -> u8 {
        self.block_len
    }

    /// When packets are encapsulated.
    #[must_use]
    pub fn ipip_mode(&self) -> IpipMode {
        self.spec.ipip_mode.unwrap_or_default()
    }

    /// When packets are encapsulated by VXLAN instead, which is somebody else's to do.
    #[must_use]
    pub fn vxlan_mode(&self) -> IpipMode {
        self.spec.vxlan_mode.unwrap_or_default()
    }

    /// Whether packets that leave the cluster take the node's address.
    #[must_use]
    pub fn nat_outgoing(&self) -> bool {
        self.spec.nat_outgoing
    }

    /// Whether BGP is to leave its blocks out.
    #[must_use]
    pub fn disable_bgp_export(&self) -> bool {
        self.spec.disable_bgp_export
    }

    /// Which nodes may claim blocks of it unasked.
    ///
    /// # Errors
    /// [`SelectorError`] if what is stored is malformed: it selects no node.
    pub fn node_selector(&self) -> Result<&Selector, &SelectorError> {
        self.spec.node_selector.selector.as_ref()
    }

    /// Workloads of which namespaces may get its addresses unasked.
    ///
    /// # Errors
    /// [`SelectorError`] if what is stored is malformed: it selects no namespace.
    pub fn namespace_selector(&self) -> Result<&Selector, &SelectorError> {
        self.spec.namespace_selector.selector.as_ref()
    }

    /// What its addresses may be assigned for, in Calico's order.
    pub fn allowed_uses(&self) -> impl Iterator<Item = Use> {
        Use::ALL.into_iter().filter(|one| self.allows(*one))
    }

    /// Whether its addresses may be assigned for `purpose`; this counts also where the pool is
    /// named.
    #[must_use]
    pub fn allows(&self, purpose: Use) -> bool {
        self.spec.allows(purpose)
    }

    /// Whether it must be named to be used. A mode that we do not know counts as manual.
    #[must_use]
    pub fn assignment_mode(&self) -> AssignmentMode {
        self.spec.assignment_mode()
    }

    /// Whether it says that nothing is to be assigned or claimed from it.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.spec.disabled
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        !self.metadata.deletion.is_empty()
    }

    /// Whether addresses may be assigned from it: not disabled, not being deleted, and its status
    /// has no condition `Allocatable` that is `False`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.is_disabled() && !self.is_being_deleted() && !self.unallocatable
    }

    /// Whether a node with these labels may take any address of it without naming it: the pool is
    /// enabled and automatic, its node selector matches, and it asks for no namespace, whose labels
    /// no node knows. [`allows`](Self::allows) is a question of its own.
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.is_for_any_namespace() && self.spec.node_selector.matches(labels)
    }

    /// Whether a workload that asks for any address, on whatever node and in whatever namespace,
    /// may get one of this pool: [`selects`](Self::selects) where nothing is known of the node.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.is_for_every_node() && self.allows(Use::Workload)
    }

    /// Whether it [`selects`](Self::selects) whatever node.
    pub(crate) fn is_for_every_node(&self) -> bool {
        self.is_for_any_namespace() && self.spec.node_selector.is_all()
    }

    fn is_for_any_namespace(&self) -> bool {
        self.is_enabled()
            && self.assignment_mode() == AssignmentMode::Automatic
            && self.spec.namespace_selector.is_all()
    }

    /// How many blocks it is cut into, 1 to 2³².
    #[must_use]
    pub fn block_count(&self) -> u64 {
        1 << (self.block_len - self.cidr.len())
    }

    /// The block at `index`, counted from 0; `None` past the last.
    #[must_use]
    pub fn block(&self, index: u64) -> Option<BlockPrefix> {
        if index >= self.block_count() {
            return None;
        }
        let offset = u32::try_from(index << (MAX_BLOCK_LEN - self.block_len)).ok()?;
        self.block_of(self.cidr.nth(offset)?)
    }

    /// The block that holds `addr`; `None` if the address is outside the pool.
    #[must_use]
    pub fn block_of(&self, addr: Ipv4Addr) -> Option<BlockPrefix> {
        let prefix = Ipv4Prefix::containing(addr, self.block_len).ok()?;
        let block = BlockPrefix::try_from(prefix).ok()?;
        self.cidr.contains(addr).then_some(block)
    }

    /// The blocks it is cut into, in order.
    pub fn blocks(&self) -> impl Iterator<Item = BlockPrefix> {
        (0..self.block_count()).filter_map(|index| self.block(index))
    }
}

/// 169.254.0.0/16: https://www.rfc-editor.org/rfc/rfc3927#section-2.1
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 0);

/// The rules of Calico's clients for one pool; those between pools are the allocator's.
fn check(name: &str, cidr: Ipv4Prefix, block_len: u8) -> Result<(), PoolError> {
    let name = name.to_owned();
    if !is_kubernetes_name(&name) {
        return Err(PoolError::Name { name });
    }
    if !(MIN_BLOCK_LEN..=MAX_BLOCK_LEN).contains(&block_len) {
        let len = block_len;
        return Err(PoolError::BlockLen { name, len });
    }
    if cidr.len() > block_len {
        return Err(PoolError::TooSmall {
            name,
            cidr,
            block_len,
        });
    }
    let link_local = Ipv4Prefix::try_new(LINK_LOCAL, 16).expect("no host bits");
    if cidr.overlaps(link_local) {
        return Err(PoolError::LinkLocal { name, cidr });
    }
    Ok(())
}
