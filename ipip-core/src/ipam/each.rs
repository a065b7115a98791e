//! One address for each of several owners, of whom each has a handle of its own.

use std::sync::Arc;

use super::decide::{self, Standing};
use super::put::change;
use super::read::Stored;
use super::retry::Written;
use super::terms::Terms;
use super::{Assigned, Ipam, IpamError, Request};
use crate::datastore::key;
use crate::name::{HandleId, NodeName};
use crate::resource::{Attribute, Block, BlockError, Handle, Release};

/// The address of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The address.
    pub assigned: Assigned,
    /// Whether this call assigned it; otherwise its handle had it before.
    pub newly: bool,
}

/// An owner who has no answer yet.
struct Waiting {
    /// Its place among those who asked.
    at: usize,
    handle: HandleId,
    attribute: Attribute,
}

impl Ipam {
    /// Gives each of `owners` one address on `node`: the one that its handle has already, or a new one,
    /// found as [`Ipam::assign_any`] finds it. So the call may be repeated, by other processes and at
    /// the same time too, and gives no handle a second address.
    ///
    /// The addresses that come from one block of the node are one commit with all their handles; the
    /// first address of a block that the node is yet to claim is one more.
    ///
    /// The answers are in the order of `owners`. One that is an error leaves the others as they are.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::Memory;
    /// # use ipip_core::ipam::{Ambient, Ipam};
    /// # use ipip_core::name::{HandleId, NodeName};
    /// # use ipip_core::resource::{Attribute, Pool};
    /// # let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// # ipam.create_pool(&Pool::try_new("pods", "10.244.0.0/24".parse()?, 26)?)?;
    /// let node = NodeName::try_new("node-a")?;
    /// let pod = Attribute::new(Some(HandleId::try_new("k8s-pod-network.3a1f")?)).with("pod", "podA");
    /// let first = ipam.assign_each(&node, &[pod.clone()]).remove(0)?;
    /// let again = ipam.assign_each(&node, &[pod]).remove(0)?;
    /// assert!(first.newly && !again.newly && first.assigned == again.assigned);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Each answer may be [`IpamError::Name`] for an owner without a handle,
    /// [`BlockError::AlreadyAssigned`] in [`IpamError::Block`] if the handle's address says that it is
    /// another owner's, or what [`Ipam::assign_any`] refuses with.
    #[must_use]
    pub fn assign_each(
        &self,
        node: &NodeName,
        owners: &[Attribute],
    ) -> Vec<Result<Given, IpamError>> {
        let mut answers: Vec<Option<Result<Given, IpamError>>> = vec![None; owners.len()];
        let mut waiting = Vec::new();
        for (at, (owner, answer)) in owners.iter().zip(&mut answers).enumerate() {
            match self.held_or_waiting(node, at, owner) {
                Ok(Ok(given)) => *answer = Some(Ok(given)),
                Ok(Err(one)) => waiting.push(one),
                Err(error) => *answer = Some(Err(error)),
            }
        }
        while !waiting.is_empty() {
            for (at, given) in self.give_some(node, &mut waiting) {
                if let Some(answer) = answers.get_mut(at) {
                    *answer = Some(given);
                }
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// What the handle of `owner` has, or `owner` in the row of those who wait.
    fn held_or_waiting(
        &self,
        node: &NodeName,
        at: usize,
        owner: &Attribute,
    ) -> Result<Result<Given, Waiting>, IpamError> {
        let handle = HandleId::try_new(owner.handle().unwrap_or_default())?;
        let attribute = if owner.known("node").is_some() {
            owner.clone()
        } else {
            owner.clone().with("node", node.as_str())
        };
        let waiting = Waiting {
            at,
            handle,
            attribute,
        };
        Ok(self.held(node, &waiting)?.ok_or(waiting))
    }

    /// The address that the handle of `owner` has; of several, which a writer that counted wrong may
    /// have left, the lowest.
    fn held(&self, node: &NodeName, owner: &Waiting) -> Result<Option<Given>, IpamError> {
        let Some((addr, who)) = self.addresses_of(&owner.handle)?.into_iter().next() else {
            return Ok(None);
        };
        if !is_same_owner(&who, &owner.attribute) {
            let handle = who.handle().map(str::to_owned);
            return Err(BlockError::AlreadyAssigned { addr, handle }.into());
        }
        let block = self.find_block(addr, &self.read_pools()?)?;
        let given = block.and_then(|block| {
            // Released since, it may be somebody else's.
            block.value.attribute_of(addr).filter(|now| **now == who)?;
            let assigned = Assigned {
                addr,
                block: block.value.prefix().into(),
                sequence: block.value.sequence_of(addr)?,
                borrowed: !decide::is_owned_by(&block.value, node),
            };
            let newly = false;
            Some(Given { assigned, newly })
        });
        Ok(given)
    }

    /// Answers at least one of those who wait: all that one block has room for, or one that a block is
    /// to be claimed for, or borrowed from.
    fn give_some(
        &self,
        node: &NodeName,
        waiting: &mut Vec<Waiting>,
    ) -> Vec<(usize, Result<Given, IpamError>)> {
        // One alone is served faster by what the allocator remembers.
        let in_bulk = if waiting.len() > 1 {
            self.fill_own(node, waiting)
        } else {
            Ok(None)
        };
        match in_bulk {
            Ok(Some(assigned)) if !assigned.is_empty() => {
                let newly = true;
                let given = |assigned| Ok(Given { assigned, newly });
                let served = waiting.drain(..assigned.len()).map(|one| one.at);
                served.zip(assigned.into_iter().map(given)).collect()
            }
            // No room, or somebody was faster, perhaps for one of the handles: it learns by itself.
            _ => {
                let one = waiting.remove(0);
                vec![(one.at, self.give_one(node, &one))]
            }
        }
    }

    fn give_one(&self, node: &NodeName, owner: &Waiting) -> Result<Given, IpamError> {
        self.retry(&format_args!("handle {}", owner.handle), || {
            if let Some(held) = self.held(node, owner)? {
                return Ok(Some(held));
            }
            let assigned = self.assign_any(node, &owner.attribute)?;
            if self.addresses_of(&owner.handle)?.len() == 1 {
                let newly = true;
                return Ok(Some(Given { assigned, newly }));
            }
            // Somebody else asked for the same handle at the same time. Both give theirs back, and
            // after a pause by chance one is first.
            let release = Release::of(assigned.addr).at(assigned.sequence);
            let _ = self.release_many(&[release.from_handle(owner.handle.clone())])?;
            Ok(None)
        })
    }

    /// Addresses for the first of those who wait, of one block that the node has, in one commit with
    /// their handles, which must be new; none if no block has room. `None`: somebody was faster.
    fn fill_own(
        &self,
        node: &NodeName,
        waiting: &[Waiting],
    ) -> Result<Option<Vec<Assigned>>, IpamError> {
        let owner = Attribute::default();
        let terms = self.terms(&Request::new(node.clone(), 1, owner))?;
        for claim in self.claims_of(node)? {
            let Some(block) = self.read_block(claim.block)? else {
                continue;
            };
            let state = Some(claim.affinity.value.state);
            let standing = decide::standing(node, state, Some(&block.value));
            let room = terms.room(&terms.collected(Arc::clone(&block.value)));
            if standing == Standing::Ours && room > 0 && terms.pool_of(claim.block).is_some() {
                // Not compared: a claim that was read is given up only with the block, which is.
                return self.fill_for_each(&terms, block, waiting);
            }
        }
        Ok(Some(vec![]))
    }

    fn fill_for_each(
        &self,
        terms: &Terms,
        block: Stored<Arc<Block>>,
        waiting: &[Waiting],
    ) -> Result<Option<Vec<Assigned>>, IpamError> {
        let prefix = block.value.prefix();
        let Some(pool) = terms.pool_of(prefix) else {
            return Ok(None);
        };
        let mut commit = change(&block, pool);
        let mut block = self.to_change(terms.collected(block.value));
        let mut assigned = Vec::new();
        for one in waiting {
            let skip = |addr| terms.reserved.contains(addr);
            let Some(assignment) = block.assign_many(1, &one.attribute, skip).pop() else {
                break;
            };
            let mut counts = Handle::default();
            counts.add(prefix, 1);
            let handle = key::handle(&one.handle);
            commit.expect(&handle, None).put(&handle, counts.to_json());
            assigned.push(Assigned {
                addr: assignment.addr,
                block: prefix.into(),
                sequence: assignment.sequence,
                borrowed: false,
            });
        }
        commit.put_shared(&key::block(prefix.into()), block.to_shared_json());
        match self.commit(commit)? {
            Written::Yes(revision) => {
                self.keep_block(block, revision);
                Ok(Some(assigned))
            }
            // Whether it was this call that wrote, or another for one of the handles: each learns what
            // its handle has.
            Written::No | Written::Perhaps => Ok(None),
        }
    }
}

/// Whether both are the same workload: all that is known of them is equal, but for the time.
fn is_same_owner(one: &Attribute, other: &Attribute) -> bool {
    let known = |attribute: &Attribute| {
        let mut known = attribute.secondary().clone();
        known.remove("timestamp");
        known
    };
    known(one) == known(other)
}
