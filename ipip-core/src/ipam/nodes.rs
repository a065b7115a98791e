//! Records of nodes, and removing a node with all that it has.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::pool_deletion::remaining;
use super::tunnel_address::tunnel_handle;
use super::{BlockRelease, Ipam, IpamError, RefusedBlock, Remaining, decide};
use crate::addr::TunnelAddr;
use crate::datastore::{Commit, Revision, key};
use crate::name::NodeName;
use crate::resource::{Attribute, Block, BlockPrefix, Node, Release, Released, rfc3339};

/// What was done to remove a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeRemoval {
    /// The addresses that were released, wherever they were, with those of its tunnel devices.
    pub released: Vec<Released>,
    /// Its blocks that were empty then and are gone, in order.
    pub deleted: Vec<Ipv4Network>,
    /// Its blocks with addresses that nothing says are the node's, in order: nobody owns them now.
    pub orphaned: Vec<Ipv4Network>,
    /// The addresses in those.
    pub remaining: Vec<Remaining>,
    /// Blocks of which nothing was released, and why.
    pub refused: Vec<RefusedBlock>,
    /// The keys of blocks that are damaged: whether the node has addresses there nobody can tell.
    pub unreadable: Vec<String>,
    /// Whether there was a record of it.
    pub had_record: bool,
}

impl Ipam {
    /// The nodes that have a record, by name.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged record.
    pub fn nodes(&self) -> Result<Vec<Node>, IpamError> {
        self.read_all(key::node_prefix(), Node::from_json)
    }

    /// The record of the node `name`, if there is one.
    ///
    /// # Errors
    /// As [`Ipam::nodes`].
    pub fn node(&self, name: &NodeName) -> Result<Option<Node>, IpamError> {
        let stored = self.read(&key::node(name), Node::from_json)?;
        Ok(stored.map(|stored| stored.value))
    }

    /// Stores the labels and addresses of `node`, in a record with a unique id if there is none. The
    /// address of its tunnel device stays if `node` says none: [`Ipam::ensure_tunnel_address`] writes
    /// it. Fields that we do not know stay too.
    ///
    /// # Errors
    /// [`IpamError`] if the store fails or holds a damaged record.
    pub fn put_node(&self, node: &Node) -> Result<(), IpamError> {
        let name = node.name();
        self.retry(&format_args!("node {name}"), || {
            let mut commit = self.making()?;
            let changed = self.put_record(&mut commit, name, |stored| {
                let tunnel_addr = node.tunnel_addr().or(stored.tunnel_addr());
                stored.updated(&node.clone().with_tunnel_addr(tunnel_addr))
            })?;
            if !changed {
                return Ok(Some(()));
            }
            Ok(self.commit(commit)?.revision().map(|_| ()))
        })
    }

    /// Adds to `commit` that the record of `name`, a new one if there is none, becomes what `change`
    /// says; `false`: it is that already.
    fn put_record(
        &self,
        commit: &mut Commit,
        name: &NodeName,
        change: impl FnOnce(&Node) -> Node,
    ) -> Result<bool, IpamError> {
        let key = key::node(name);
        let stored = self.read(&key, Node::from_json)?;
        commit.expect(&key, stored.as_ref().map(|stored| stored.revision));
        let found = stored.map(|stored| stored.value);
        let new = || {
            let created = rfc3339(self.ambient.now());
            Node::new(name.clone()).recorded(self.ambient.uuid(), created)
        };
        let before = found.clone().unwrap_or_else(new);
        let after = change(&before);
        commit.put(&key, after.to_json());
        Ok(found != Some(after))
    }

    /// Adds to `commit` that the tunnel device of `name` holds `addr`, or none, and says whether that
    /// changes its record.
    pub(super) fn record_tunnel_addr(
        &self,
        commit: &mut Commit,
        name: &NodeName,
        addr: Option<TunnelAddr>,
    ) -> Result<bool, IpamError> {
        self.put_record(commit, name, |node| node.clone().with_tunnel_addr(addr))
    }

    /// Removes the node `name` and what it has: the addresses of its workloads and tunnel devices,
    /// borrowed ones too, are released; its blocks are given up, the empty ones deleted, those with
    /// addresses that nothing says are the node's left to nobody; then its record is deleted.
    ///
    /// The node should not be running any more. Each step is one commit, and a call that ended early is
    /// completed by the next. A node that nothing is known of is removed already.
    ///
    /// # Errors
    /// [`IpamError`] if the store failed; what could not be done for other reasons is in the answer.
    pub fn remove_node(&self, name: &NodeName) -> Result<NodeRemoval, IpamError> {
        let mut removal = NodeRemoval::default();
        self.retry(&format_args!("node {name}"), || {
            // Read first: whoever claims a block for the node meanwhile changes the one, whoever
            // assigns an address to its tunnel device the other.
            let owner = self.owner_revision(name)?;
            let record = self
                .store
                .get(&key::node(name))?
                .map(|record| record.revision);
            let found = self.find_all_of(name, &mut removal)?;
            if !self.release_all_of(name, &found.releases, &mut removal)? {
                return Ok(None);
            }
            if !self.give_up_all_of(name, &found.blocks, &mut removal)? {
                return Ok(None);
            }
            removal.had_record |= record.is_some();
            self.delete_record(name, owner, record)
        })?;
        removal.deleted.sort_unstable();
        Ok(removal)
    }

    /// What all blocks say is the node's.
    fn find_all_of(&self, name: &NodeName, removal: &mut NodeRemoval) -> Result<OfNode, IpamError> {
        removal.unreadable.clear();
        let mut found = OfNode::default();
        for record in self.store.list(key::block_prefix())?.entries {
            let key = record.key.clone();
            let Ok(block) = self.parse_block(record) else {
                removal.unreadable.push(key);
                continue;
            };
            found.releases.extend(of_node(&block.value, name));
            if decide::is_owned_by(&block.value, name) {
                found.blocks.push(block.value.prefix());
            }
        }
        Ok(found)
    }

    /// Releases addresses of `name`; `false`: somebody was faster.
    fn release_all_of(
        &self,
        name: &NodeName,
        releases: &[Release],
        removal: &mut NodeRemoval,
    ) -> Result<bool, IpamError> {
        let many = self.release_many(releases)?;
        removal.released.extend(many.released);
        let changed = |refused: &RefusedBlock| matches!(refused.error, IpamError::Block(_));
        if many.refused.iter().any(changed) {
            return Ok(false);
        }
        removal.refused = many.refused;
        match self.release_handle(&tunnel_handle(name)?) {
            Ok(released) => removal.released.extend(released),
            Err(IpamError::HandleUnknown { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Gives up `blocks`, which `name` owned, and its claims; `false`: somebody was faster.
    fn give_up_all_of(
        &self,
        name: &NodeName,
        blocks: &[BlockPrefix],
        removal: &mut NodeRemoval,
    ) -> Result<bool, IpamError> {
        let mut settled = true;
        for prefix in blocks {
            let own = |block: &Block| decide::is_owned_by(block, name);
            match self.give_up(*prefix, own)? {
                None => settled = false,
                Some(BlockRelease::Deleted) => removal.deleted.push((*prefix).into()),
                Some(BlockRelease::Orphaned) => {
                    removal.orphaned.push((*prefix).into());
                    let block = self.read_block(*prefix)?;
                    let left = block.map(|block| remaining(&block.value));
                    removal.remaining.extend(left.unwrap_or_default());
                }
            }
        }
        for claim in self.store.list(&key::affinity_prefix(name))?.entries {
            settled &= self.drop_claim(&claim)?;
        }
        Ok(settled)
    }

    /// Deletes what stands for `name` as an owner of blocks, read at `owner`, and as a node, read at
    /// `record`.
    fn delete_record(
        &self,
        name: &NodeName,
        owner: Option<Revision>,
        record: Option<Revision>,
    ) -> Result<Option<()>, IpamError> {
        if record.is_none() && owner.is_none() {
            return Ok(Some(()));
        }
        let mut commit = Commit::new();
        commit.expect(&key::ipam_host(name), owner);
        commit.expect(&key::node(name), record);
        commit
            .delete(&key::ipam_host(name))
            .delete(&key::node(name));
        Ok(self.commit(commit)?.revision().map(|_| ()))
    }
}

/// What blocks say is a node's.
#[derive(Debug, Default)]
struct OfNode {
    /// Its addresses, in whosever blocks.
    releases: Vec<Release>,
    /// The blocks that it owns.
    blocks: Vec<BlockPrefix>,
}

/// The releases of the addresses of `node` in `block`, as they are assigned now.
fn of_node(block: &Block, node: &NodeName) -> Vec<Release> {
    let name = Some(node.as_str());
    let is_its = |who: &Attribute| who.known("node") == name;
    let release = |(addr, who): (Ipv4Addr, &Attribute)| {
        let sequence = block.sequence_of(addr)?;
        is_its(who).then(|| Release::of(addr).at(sequence))
    };
    block.assigned().filter_map(release).collect()
}
