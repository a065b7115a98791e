//! Taking part: the node's record, its tunnel address, and what follows from them.

use std::sync::Arc;

use super::{Node, NodeConfig, NodeError, Underlay, UnderlayError};
use crate::addr::NodeAddr;
use crate::datastore::Store;
use crate::ipam::Ambient;
use crate::resource::Node as NodeRecord;

impl Node {
    /// Makes a node of this host: writes its record with its address and labels, gets an address for
    /// its tunnel device, and brings about in the kernel what a node of this cluster holds (as
    /// [`Node::sync`]). A node that takes part already is found as it is, so a call that was
    /// interrupted is completed by the next.
    ///
    /// # Errors
    /// [`NodeError::Underlay`] if it is not clear through which interface the others reach it,
    /// [`NodeError::Mtu`] if the MTU that was asked for does not fit into it,
    /// [`NodeError::AddressTaken`] if another node has its address, as Calico's agent refuses to start
    /// then; [`NodeError::Ipam`] if the store fails or no tunnel address is left; [`NodeError::Kernel`]
    /// without `CAP_NET_ADMIN`.
    pub fn join(
        store: Arc<dyn Store>,
        config: NodeConfig,
        ambient: Ambient,
    ) -> Result<Self, NodeError> {
        let node = Self::new(store, config, ambient)?;
        let record = node.ipam.node(node.name())?;
        let underlay = node.underlay(&node.kernel()?.observe()?, record.as_ref())?;
        node.mtu(&underlay)?;
        node.enrol(&underlay, record)?;
        node.ipam.ensure_tunnel_address(node.name())?;
        node.sync()?;
        Ok(node)
    }

    /// The node of this host, which joined before, perhaps in another process: nothing is changed.
    ///
    /// # Errors
    /// [`NodeError::NotJoined`] if the store has no address of it, [`NodeError::Ipam`] if the store
    /// cannot be read.
    pub fn open(
        store: Arc<dyn Store>,
        config: NodeConfig,
        ambient: Ambient,
    ) -> Result<Self, NodeError> {
        let node = Self::new(store, config, ambient)?;
        node.record()?;
        Ok(node)
    }

    /// Writes the node's address and labels, where its record says otherwise.
    pub(super) fn enrol(
        &self,
        underlay: &Underlay,
        record: Option<NodeRecord>,
    ) -> Result<(), NodeError> {
        let addr = NodeAddr(underlay.address.addr);
        self.refuse_taken(addr)?;
        let before = record.unwrap_or_else(|| NodeRecord::new(self.name().clone()));
        // The tunnel address is the allocator's to write; whatever it wrote meanwhile stays.
        let before = before.with_tunnel_addr(None);
        let labels = self.config.labels.iter();
        let wanted = labels.fold(before, |node, (key, value)| node.with_label(key, value));
        let name = underlay.interface.clone();
        let wanted = wanted
            .with_addr(addr, underlay.address.prefix_len)
            .map_err(|_| UnderlayError::NoAddress { name })?;
        self.ipam.put_node(&wanted)?;
        Ok(())
    }

    /// Two nodes of one address would each get the other's packets.
    fn refuse_taken(&self, addr: NodeAddr) -> Result<(), NodeError> {
        let others = self.ipam.nodes()?;
        let other = others
            .iter()
            .find(|node| node.addr() == Some(addr) && node.name() != self.name());
        match other {
            None => Ok(()),
            Some(other) => Err(NodeError::AddressTaken {
                node: self.name().to_string(),
                addr: addr.0,
                other: other.name().to_string(),
            }),
        }
    }
}
