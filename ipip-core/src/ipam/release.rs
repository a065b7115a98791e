//! Releasing addresses: one, or all of a handle.

use std::net::Ipv4Addr;

use super::{Ipam, IpamError, RefusedBlock, ReleasedMany, Stored};
use crate::datastore::{Commit, Revision, key};
use crate::name::HandleId;
use crate::resource::{Attribute, Block, BlockError, BlockPrefix, Release, Released};

impl Ipam {
    /// Releases one address, whichever node it was assigned on; a pool need not contain it any
    /// more. With a handle or a sequence number in `release` it happens only if they match.
    ///
    /// # Errors
    /// [`BlockError::NotAssigned`], [`BlockError::HandleMismatch`] and
    /// [`BlockError::SequenceMismatch`], each in [`IpamError::Block`].
    pub fn release(&self, release: &Release) -> Result<Released, IpamError> {
        let addr = release.addr;
        self.retry(&format_args!("address {addr}"), || {
            let Some(stored) = self.find_block(addr)? else {
                return Err(BlockError::NotAssigned { addr }.into());
            };
            let Stored {
                mut value,
                revision,
            } = stored;
            let released = value.release(release)?;
            let mut commit = Commit::new();
            put_released(&mut commit, &value, revision);
            if let Some(handle) = &released.handle {
                self.subtract(&mut commit, handle, &value)?;
            }
            let done = self.commit(commit)?;
            Ok(done.map(|_| released.clone()))
        })
    }

    /// Releases several addresses.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read.
    pub fn release_many(&self, releases: &[Release]) -> Result<ReleasedMany, IpamError> {
        let mut many = ReleasedMany::default();
        for release in releases {
            let addr = release.addr;
            match self.release(release) {
                Ok(released) => many.released.push(released),
                Err(IpamError::Block(BlockError::NotAssigned { addr })) => {
                    many.not_assigned.push(addr)
                }
                Err(error) => {
                    let Some(block) = self.block_of(addr)? else {
                        return Err(error);
                    };
                    let block = block.prefix().into();
                    many.refused.push(RefusedBlock { block, error });
                }
            }
        }
        Ok(many)
    }

    /// The addresses of `handle`, in order of block and address; none if it has none.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn addresses_of(&self, handle: &HandleId) -> Result<Vec<(Ipv4Addr, Attribute)>, IpamError> {
        let mut found = Vec::new();
        let record = self.read_handle(handle)?;
        let mut blocks: Vec<BlockPrefix> = record.iter().flat_map(|r| r.value.blocks()).collect();
        blocks.sort_unstable();
        for prefix in blocks {
            let Some(block) = self.read_block(prefix)? else {
                continue;
            };
            let has = |(_, attribute): &(Ipv4Addr, &Attribute)| {
                attribute.handle() == Some(handle.as_str())
            };
            let own = block.value.assigned().filter(has);
            found.extend(own.map(|(addr, attribute)| (addr, attribute.clone())));
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
        self.retry(&format_args!("handle {handle}"), || {
            let Some(stored) = self.read_handle(handle)? else {
                let handle = handle.to_string();
                return Err(IpamError::HandleUnknown { handle });
            };
            let Stored {
                mut value,
                revision,
            } = stored;
            let mut commit = Commit::new();
            let mut released = Vec::new();
            let blocks: Vec<_> = value.blocks().collect();
            for prefix in blocks {
                value.forget(prefix);
                let Some(mut block) = self.read_block(prefix)? else {
                    continue;
                };
                let found = block.value.release_handle(handle);
                if !found.is_empty() {
                    put_released(&mut commit, &block.value, block.revision);
                }
                released.extend(found);
            }
            let key = key::handle(handle);
            commit.expect(&key, Some(revision));
            if value.is_empty() {
                commit.delete(&key);
            } else {
                commit.put(&key, value.to_json());
            }
            Ok(self.commit(commit)?.map(|_| released))
        })
    }

    /// Adds to `commit` that `handle` has one address fewer in `block`.
    ///
    /// The truth is in the block: where the record is missing, or the handle is nobody's name for
    /// a record, the address is released all the same.
    fn subtract(&self, commit: &mut Commit, handle: &str, block: &Block) -> Result<(), IpamError> {
        let id = match HandleId::try_new(handle) {
            Ok(id) => id,
            Err(error) => {
                log::warn!("block {}: {error}, so it has no record", block.prefix());
                return Ok(());
            }
        };
        let Some(Stored {
            mut value,
            revision,
        }) = self.read_handle(&id)?
        else {
            log::warn!(
                "handle {id} has an address in block {} and no record",
                block.prefix()
            );
            return Ok(());
        };
        value.subtract(block.prefix(), 1);
        let key = key::handle(&id);
        commit.expect(&key, Some(revision));
        if value.is_empty() {
            commit.delete(&key);
        } else {
            commit.put(&key, value.to_json());
        }
        Ok(())
    }
}

/// Adds the write of `block`, read at `revision`, from which addresses were released. A block that
/// nobody owns ends with its last address.
fn put_released(commit: &mut Commit, block: &Block, revision: Revision) {
    let key = key::block(block.prefix().into());
    commit.expect(&key, Some(revision));
    if block.is_empty() && block.affinity().is_none() {
        commit.delete(&key);
    } else {
        commit.put(&key, block.to_json());
    }
}
