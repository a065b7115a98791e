//! The address that a node's tunnel device holds.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::search::Search;
use super::{Assignments, Ipam, IpamError, Request};
use crate::addr::TunnelAddr;
use crate::datastore::{Commit, Revision, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{Attribute, Block, IpipMode, Node, Release, Use};

/// The `type` of the attribute of a tunnel address.
const TUNNEL_TYPE: &str = "ipipTunnelAddress";

/// The handle of the address of the tunnel device of `node`.
pub(super) fn tunnel_handle(node: &NodeName) -> Result<HandleId, IpamError> {
    Ok(HandleId::try_new(&format!("ipip-tunnel-addr-{node}"))?)
}

impl Ipam {
    /// The address of the tunnel device of `node`, assigned if it has none, and written into the node's
    /// record, which is made if there is none.
    ///
    /// It comes from the pools that encapsulate by IPIP, select the node and allow tunnels. The one
    /// that the node has is kept as long as it is in such a pool; otherwise it is released, and another
    /// one assigned and recorded in one commit. `None`: there is no such pool, so that the node needs no
    /// address, and what it had was released.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::Memory;
    /// # use ipip_core::ipam::{Ambient, Ipam};
    /// # use ipip_core::name::NodeName;
    /// # use ipip_core::resource::{IpipMode, Pool};
    /// # let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?;
    /// ipam.create_pool(&pool.with_ipip_mode(IpipMode::Always))?;
    /// let node = NodeName::try_new("node-a")?;
    /// let addr = ipam.ensure_tunnel_address(&node)?;
    /// assert!(addr.is_some());
    /// assert_eq!(ipam.ensure_tunnel_address(&node)?, addr);
    /// assert_eq!(ipam.node(&node)?.unwrap().tunnel_addr(), addr);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IpamError::Short`] or [`IpamError::PoolsExhausted`] if there is no address left.
    pub fn ensure_tunnel_address(&self, node: &NodeName) -> Result<Option<TunnelAddr>, IpamError> {
        let handle = tunnel_handle(node)?;
        self.retry(&format_args!("tunnel address of node {node}"), || {
            let pools = self.tunnel_pools(node)?;
            // Read before the blocks: whoever assigns one meanwhile changes it.
            let record = self.read(&key::node(node), Node::from_json)?;
            let revision = record.as_ref().map(|record| record.revision);
            let recorded = record.and_then(|record| record.value.tunnel_addr());
            let held = self.addresses_of(&handle)?;
            let mut right = held.iter().filter(|(addr, who)| {
                pools.iter().any(|pool| pool.contains(*addr)) && is_tunnel_of(who, node)
            });
            let kept = right
                .clone()
                .find(|(addr, _)| Some(TunnelAddr(*addr)) == recorded)
                .or_else(|| right.next());
            if let Some((addr, _)) = kept {
                self.release_others(&handle, &held, *addr)?;
                return self.keep(node, *addr);
            }
            // Also where nothing is held: a record of the handle may be left, which counts wrong.
            self.release_tunnel_address(node)?;
            if pools.is_empty() {
                return Ok(Some(None));
            }
            if recorded.is_some() {
                return Ok(None);
            }
            self.assign_tunnel(node, &handle, pools, revision)
        })
    }

    /// Releases the address of the tunnel device of `node`, and takes it out of its record; it may
    /// have none. The addresses that were released come back.
    ///
    /// # Errors
    /// [`IpamError`] if the store fails or holds a damaged value.
    pub fn release_tunnel_address(&self, node: &NodeName) -> Result<Vec<Ipv4Addr>, IpamError> {
        // First the record: nobody should route an address that is free.
        self.forget_tunnel_addr(node)?;
        match self.release_handle(&tunnel_handle(node)?) {
            Ok(released) => Ok(released.into_iter().map(|one| one.addr).collect()),
            Err(IpamError::HandleUnknown { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The prefixes of the pools that may serve the tunnel device of `node`.
    fn tunnel_pools(&self, node: &NodeName) -> Result<Vec<Ipv4Network>, IpamError> {
        let pools = self.read_pools()?;
        let labels = self.labels(node, &pools)?;
        let serves = pools.iter().filter(|pool| {
            pool.value.ipip_mode() != IpipMode::Never
                && pool.value.selects(&labels)
                && pool.value.allows(Use::Tunnel)
        });
        Ok(serves.map(|pool| pool.value.cidr().into()).collect())
    }

    /// Assigns an address of `pools` and writes it into the record of `node`, read at `revision`, in one
    /// commit; `None`: somebody was faster.
    fn assign_tunnel(
        &self,
        node: &NodeName,
        handle: &HandleId,
        pools: Vec<Ipv4Network>,
        revision: Option<Revision>,
    ) -> Result<Option<Option<TunnelAddr>>, IpamError> {
        let attribute = Attribute::new(Some(handle.clone()))
            .with("node", node.as_str())
            .with("type", TUNNEL_TYPE);
        let request = Request {
            pools,
            purpose: Use::Tunnel,
            ..Request::new(node.clone(), 1, attribute)
        };
        let mut search = Search::new(self, &request)?;
        search.wanted.recorded_at = Some(revision);
        // One attempt: whoever was faster may have assigned the address of this very device.
        let assignments = match search.attempt()? {
            None => return Ok(None),
            Some(Ok(assigned)) => Assignments {
                assigned,
                shortfall: None,
            },
            Some(Err(shortfall)) => Assignments {
                assigned: Vec::new(),
                shortfall: Some(shortfall),
            },
        };
        let assigned = assignments.one(node)?;
        Ok(Some(Some(TunnelAddr(assigned.addr))))
    }

    /// Writes `addr`, which is assigned to the tunnel device of `node`, into its record; `None`:
    /// somebody was faster.
    fn keep(
        &self,
        node: &NodeName,
        addr: Ipv4Addr,
    ) -> Result<Option<Option<TunnelAddr>>, IpamError> {
        let block = self.find_block(addr, &self.read_pools()?)?;
        let is_its = |block: &Block| {
            let who = block.attribute_of(addr);
            who.is_some_and(|who| is_tunnel_of(who, node))
        };
        let Some(block) = block.filter(|block| is_its(&block.value)) else {
            return Ok(None);
        };
        let mut commit = Commit::new();
        // The address must still be the node's when it is recorded.
        let key = key::block(block.value.prefix().into());
        commit.expect(&key, Some(block.revision));
        let addr = Some(TunnelAddr(addr));
        if !self.record_tunnel_addr(&mut commit, node, addr)? {
            return Ok(Some(addr));
        }
        Ok(self.commit(commit)?.revision().map(|_| addr))
    }

    /// Takes the address of its tunnel device out of the record of `node`, if there is one.
    fn forget_tunnel_addr(&self, node: &NodeName) -> Result<(), IpamError> {
        let key = key::node(node);
        self.retry(&format_args!("node {node}"), || {
            let record = self.read(&key, Node::from_json)?;
            let Some(record) = record.filter(|record| record.value.tunnel_addr().is_some()) else {
                return Ok(Some(()));
            };
            let mut commit = Commit::new();
            commit.expect(&key, Some(record.revision));
            commit.put(&key, record.value.with_tunnel_addr(None).to_json());
            Ok(self.commit(commit)?.revision().map(|_| ()))
        })
    }

    /// Releases what `handle` holds besides `kept`: a node that died may have left more than one.
    fn release_others(
        &self,
        handle: &HandleId,
        held: &[(Ipv4Addr, Attribute)],
        kept: Ipv4Addr,
    ) -> Result<(), IpamError> {
        let others = held.iter().filter(|(addr, _)| *addr != kept);
        let others = others.map(|(addr, _)| Release::of(*addr).from_handle(handle.clone()));
        let others: Vec<_> = others.collect();
        if !others.is_empty() {
            let _ = self.release_many(&others)?;
        }
        Ok(())
    }
}

/// Whether `who` is the tunnel device of `node`.
pub(super) fn is_tunnel_of(who: &Attribute, node: &NodeName) -> bool {
    who.known("type") == Some(TUNNEL_TYPE) && who.known("node") == Some(node.as_str())
}
