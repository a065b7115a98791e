//! Releasing addresses: one, several, or all of a handle.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::read::Stored;
use super::retry::Written;
use super::terms::collected;
use super::{Ipam, IpamError, RefusedBlock, ReleasedMany};
use crate::datastore::{Commit, Revision, key};
use crate::name::HandleId;
use crate::resource::{
    Attribute, Block, BlockError, BlockPrefix, Handle, Release, Released, ReleasedGroup, Sequence,
};

/// A release that was tried.
#[derive(Debug)]
struct Attempt {
    group: ReleasedGroup,
    /// When the addresses had been assigned.
    assigned: Vec<(Ipv4Addr, Sequence)>,
}

impl Attempt {
    fn of(before: &Block, group: ReleasedGroup) -> Self {
        let addrs = group.released.iter().map(|one| one.addr);
        let assigned = addrs.filter_map(|addr| Some((addr, before.sequence_of(addr)?)));
        Self {
            assigned: assigned.collect(),
            group,
        }
    }

    /// Whether it did what it should, where `block` stands now: all of the assignments are gone, as
    /// one commit released all or none.
    fn took_effect(&self, block: Option<&Block>) -> bool {
        let stands = |(addr, sequence): &(Ipv4Addr, Sequence)| {
            block.and_then(|block| block.sequence_of(*addr)) == Some(*sequence)
        };
        !self.assigned.iter().any(stands)
    }
}

impl Ipam {
    /// Releases one address, whichever node it was assigned on; a pool need not contain it any
    /// more. With a handle or a sequence number in `release` it happens only if they match. Where
    /// the configuration says so, the address cools down before it is free.
    ///
    /// # Errors
    /// [`BlockError::NotAssigned`], [`BlockError::HandleMismatch`] and
    /// [`BlockError::SequenceMismatch`], each in [`IpamError::Block`].
    pub fn release(&self, release: &Release) -> Result<Released, IpamError> {
        let addr = release.addr;
        let not_assigned = || BlockError::NotAssigned { addr };
        let Some(block) = self.find_block(addr, &self.read_pools()?)? else {
            return Err(not_assigned().into());
        };
        let group = self.release_group(block.value.prefix(), std::slice::from_ref(release))?;
        let released = group.released.into_iter().next();
        released.ok_or_else(|| not_assigned().into())
    }

    /// Releases several addresses, those of one block in one commit with their handles. If one does
    /// not match the handle or the sequence number that it is given, nothing of its block is
    /// released: what the caller knows of it is old. An address that nobody has is no error.
    ///
    /// # Errors
    /// [`IpamError`] if the store failed before anything was released; later failures are in the
    /// answer.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::Memory;
    /// # use ipip_core::ipam::{Ambient, Ipam, Request};
    /// # use ipip_core::name::NodeName;
    /// # use ipip_core::resource::{Attribute, Pool, Release};
    /// # let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// # ipam.create_pool(&Pool::try_new("pods", "10.244.0.0/24".parse()?, 26)?)?;
    /// # let node = NodeName::try_new("node-a")?;
    /// let many = ipam.assign_many(&Request::new(node, 100, Attribute::default()))?;
    /// let releases: Vec<_> = many.assigned.iter().map(|one| Release::of(one.addr)).collect();
    /// assert_eq!(ipam.release_many(&releases)?.released.len(), 100);
    /// assert_eq!(ipam.release_many(&releases)?.not_assigned.len(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_many(&self, releases: &[Release]) -> Result<ReleasedMany, IpamError> {
        let mut many = ReleasedMany::default();
        for (prefix, group) in self.by_block(releases, &mut many.not_assigned)? {
            match self.release_group(prefix, &group) {
                Ok(group) => {
                    many.released.extend(group.released);
                    many.not_assigned.extend(group.not_assigned);
                }
                Err(error) => many.refused.push(RefusedBlock {
                    block: prefix.into(),
                    error,
                }),
            }
        }
        many.not_assigned.sort_unstable();
        many.not_assigned.dedup();
        let of_store = |refused: &RefusedBlock| !matches!(refused.error, IpamError::Block(_));
        match many.refused.iter().position(of_store) {
            Some(at) if many.released.is_empty() => Err(many.refused.swap_remove(at).error),
            _ => Ok(many),
        }
    }

    /// The addresses of `handle`, with all that is known of their owner, in order; none if it has
    /// none.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn addresses_of(&self, handle: &HandleId) -> Result<Vec<(Ipv4Addr, Attribute)>, IpamError> {
        let record = self.read_handle(handle)?;
        let mut blocks: Vec<BlockPrefix> = record.iter().flat_map(|r| r.value.blocks()).collect();
        blocks.sort_unstable();
        let mut found = Vec::new();
        for prefix in blocks {
            let Some(block) = self.read_block(prefix)? else {
                continue;
            };
            let assigned = block.value.assigned();
            let own = assigned.filter(|(_, who)| who.handle() == Some(handle.as_str()));
            found.extend(own.map(|(addr, who)| (addr, who.clone())));
        }
        Ok(found)
    }

    /// Releases every address of `handle`, in one commit, whichever nodes they were assigned on.
    ///
    /// The handle's record is removed even if no block has an address of it, which is what Calico
    /// leaves behind when it dies between its two writes; the list is empty then.
    ///
    /// # Errors
    /// [`IpamError::HandleUnknown`] if there is no record of it.
    pub fn release_handle(&self, handle: &HandleId) -> Result<Vec<Released>, IpamError> {
        let mut unsure = None;
        self.retry_in_turn(&format_args!("handle {handle}"), || {
            let Some(stored) = self.read_handle(handle)? else {
                // Perhaps it was this call that removed it, and the reply was lost.
                let handle = handle.to_string();
                let unknown = IpamError::HandleUnknown { handle };
                return unsure.take().map(Some).ok_or(unknown);
            };
            let (commit, blocks, released) = self.handle_released(handle, stored)?;
            match self.commit(commit)? {
                Written::Yes(revision) => {
                    for block in blocks {
                        self.keep_block(block, revision);
                    }
                    Ok(Some(released))
                }
                Written::No => Ok(None),
                Written::Perhaps => {
                    unsure = Some(released);
                    Ok(None)
                }
            }
        })
    }

    /// The commit that releases all of `handle`, whose record is `stored`; the blocks that it leaves;
    /// and what it releases.
    pub(super) fn handle_released(
        &self,
        handle: &HandleId,
        stored: Stored<Handle>,
    ) -> Result<(Commit, Vec<Block>, Vec<Released>), IpamError> {
        let mut counts = stored.value;
        let key = key::handle(handle);
        let mut commit = Commit::new();
        commit.expect(&key, Some(stored.revision));
        let config = self.config()?;
        let now = self.ambient.now();
        let cooling = (!config.cooldown.is_zero()).then_some(now);
        let mut released = Vec::new();
        let mut stay = Vec::new();
        let blocks: Vec<_> = counts.blocks().collect();
        for prefix in blocks {
            counts.forget(prefix);
            let Some(block) = self.read_block(prefix)? else {
                // Compared too: what was read may be late.
                commit.expect(&key::block(prefix.into()), None);
                continue;
            };
            let mut value = self.to_change(collected(block.value, now, &config));
            let own: Vec<_> = value.addresses_of(handle).map(Release::of).collect();
            let group = value.release_many(&own, cooling)?;
            if group.released.is_empty() {
                // Calico counts first, and may be about to write the block: it must read again.
                value.touch();
            }
            released.extend(group.released);
            if put_released(&mut commit, &value, block.revision) {
                stay.push(value);
            }
        }
        put_counts(&mut commit, &key, &counts);
        Ok((commit, stay, released))
    }

    /// `releases` by their blocks; those that are in none are added to `not_assigned`.
    fn by_block(
        &self,
        releases: &[Release],
        not_assigned: &mut Vec<Ipv4Addr>,
    ) -> Result<BTreeMap<BlockPrefix, Vec<Release>>, IpamError> {
        let pools = self.read_pools()?;
        let mut groups: BTreeMap<BlockPrefix, Vec<Release>> = BTreeMap::new();
        let mut latest: Option<BlockPrefix> = None;
        for release in releases {
            let known = latest.filter(|block| block.contains(release.addr));
            let block = match known {
                Some(known) => Some(known),
                None => self
                    .find_block(release.addr, &pools)?
                    .map(|block| block.value.prefix()),
            };
            match block {
                Some(block) => groups.entry(block).or_default().push(release.clone()),
                None => not_assigned.push(release.addr),
            }
            latest = block.or(latest);
        }
        Ok(groups)
    }

    /// Releases addresses of one block in one commit, or none.
    fn release_group(
        &self,
        prefix: BlockPrefix,
        releases: &[Release],
    ) -> Result<ReleasedGroup, IpamError> {
        let mut unsure: Option<Attempt> = None;
        self.retry_in_turn(&format_args!("block {prefix}"), || {
            let block = self.read_block(prefix)?;
            let now = block.as_ref().map(|block| block.value.as_ref());
            if let Some(attempt) = unsure.take().filter(|attempt| attempt.took_effect(now)) {
                return Ok(Some(attempt.group));
            }
            let Some(block) = block else {
                let mut not_assigned: Vec<_> = releases.iter().map(|one| one.addr).collect();
                not_assigned.sort_unstable();
                not_assigned.dedup();
                return Ok(Some(ReleasedGroup {
                    not_assigned,
                    ..ReleasedGroup::default()
                }));
            };
            let attempt = match self.try_release(block, releases)? {
                (Written::No, _) => return Ok(None),
                (Written::Yes(_), attempt) => return Ok(Some(attempt.group)),
                (Written::Perhaps, attempt) => attempt,
            };
            unsure = Some(attempt);
            Ok(None)
        })
    }

    fn try_release(
        &self,
        block: Stored<Arc<Block>>,
        releases: &[Release],
    ) -> Result<(Written, Attempt), IpamError> {
        let prefix = block.value.prefix();
        let config = self.config()?;
        let now = self.ambient.now();
        let cooling = (!config.cooldown.is_zero()).then_some(now);
        let before = collected(block.value, now, &config);
        let mut value = Block::clone(&before);
        let group = value.release_many(releases, cooling)?;
        let attempt = Attempt::of(&before, group);
        let released = &attempt.group.released;
        if released.is_empty() {
            return Ok((Written::Yes(block.revision), attempt));
        }
        let mut commit = Commit::new();
        let stays = put_released(&mut commit, &value, block.revision);
        self.count_down(&mut commit, released, prefix)?;
        let written = self.commit(commit)?;
        if let (Written::Yes(revision), true) = (written, stays) {
            self.keep_block(value, revision);
        }
        Ok((written, attempt))
    }

    /// Adds to `commit` that the handles of `released` have fewer addresses in `block`.
    ///
    /// The truth is in the block: where the record is missing, or the handle is nobody's name for
    /// a record, the address is released all the same.
    fn count_down(
        &self,
        commit: &mut Commit,
        released: &[Released],
        block: BlockPrefix,
    ) -> Result<(), IpamError> {
        let mut fewer: BTreeMap<&str, u32> = BTreeMap::new();
        for handle in released.iter().filter_map(|one| one.handle.as_deref()) {
            *fewer.entry(handle).or_default() += 1;
        }
        for (handle, count) in fewer {
            let id = match HandleId::try_new(handle) {
                Ok(id) => id,
                Err(error) => {
                    log::warn!("block {block}: {error}, so it has no record");
                    continue;
                }
            };
            let Some(Stored {
                mut value,
                revision,
            }) = self.read_handle(&id)?
            else {
                log::warn!("handle {id} has an address in block {block} and no record");
                // Compared too: what was read may be late.
                commit.expect(&key::handle(&id), None);
                continue;
            };
            value.subtract(block, count);
            let key = key::handle(&id);
            commit.expect(&key, Some(revision));
            put_counts(commit, &key, &value);
        }
        Ok(())
    }
}

/// Adds the write of `block`, read at `revision`, from which addresses were released, and says
/// whether it stays. A block that nobody owns ends with its last address.
pub(super) fn put_released(commit: &mut Commit, block: &Block, revision: Revision) -> bool {
    let key = key::block(block.prefix().into());
    commit.expect(&key, Some(revision));
    let stays = !block.is_empty() || block.affinity().is_some();
    if stays {
        commit.put_shared(&key, block.to_shared_json());
    } else {
        commit.delete(&key);
    }
    stays
}

/// Adds the write of a handle's record, which ends with its last address.
fn put_counts(commit: &mut Commit, key: &str, counts: &Handle) {
    if counts.is_empty() {
        commit.delete(key);
    } else {
        commit.put(key, counts.to_json());
    }
}
