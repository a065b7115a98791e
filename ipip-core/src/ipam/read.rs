//! Reading what is stored: each value is parsed once for each revision, and checked against its key.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::decide::Taken;
use super::{Ipam, IpamError};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Listing, Record, Revision, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{
    Block, BlockAffinity, BlockPrefix, Handle, MIN_BLOCK_LEN, Pool, Reserved, ResourceError,
};

/// A value as it was read.
#[derive(Debug, Clone)]
pub(super) struct Stored<T> {
    pub(super) value: T,
    pub(super) revision: Revision,
}

/// A node's claim as it was read.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) block: BlockPrefix,
    pub(super) affinity: Stored<BlockAffinity>,
}

impl Ipam {
    pub(super) fn read_block(
        &self,
        prefix: BlockPrefix,
    ) -> Result<Option<Stored<Arc<Block>>>, IpamError> {
        let record = self.store.get(&key::block(prefix.into()))?;
        record
            .map(|record| self.kept_block(prefix, record))
            .transpose()
    }

    /// The block `prefix` of `record`, and remembers it.
    pub(super) fn kept_block(
        &self,
        prefix: BlockPrefix,
        record: Record,
    ) -> Result<Stored<Arc<Block>>, IpamError> {
        let revision = record.revision;
        if let Some(value) = self.cache.blocks.get(&prefix, revision) {
            return Ok(Stored { value, revision });
        }
        let block = self.parse_block(record)?;
        let kept = Arc::clone(&block.value);
        self.cache.blocks.keep(prefix, revision, kept);
        Ok(block)
    }

    /// The block as it is remembered, which may be out of date.
    pub(super) fn known_block(&self, prefix: BlockPrefix) -> Option<Stored<Arc<Block>>> {
        let known = self.cache.blocks.latest(&prefix);
        known.map(|(revision, value)| Stored { value, revision })
    }

    /// The block of `record`, as it was remembered or parsed.
    pub(super) fn parse_block(&self, record: Record) -> Result<Stored<Arc<Block>>, IpamError> {
        let revision = record.revision;
        let prefix = key::parse_block(&record.key).and_then(|prefix| prefix.try_into().ok());
        if let Some(value) =
            prefix.and_then(|prefix: BlockPrefix| self.cache.blocks.get(&prefix, revision))
        {
            return Ok(Stored { value, revision });
        }
        let (key, block) = parse(record, Block::from_json)?;
        checked_place(&key, block.value.prefix())?;
        let value = Arc::new(block.value);
        Ok(Stored { value, revision })
    }

    /// The block to be changed: the cache lets go of it, so that it need not be copied.
    pub(super) fn to_change(&self, block: Arc<Block>) -> Block {
        self.cache.blocks.forget(&block.prefix());
        Arc::unwrap_or_clone(block)
    }

    pub(super) fn keep_block(&self, block: Block, revision: Revision) {
        let prefix = block.prefix();
        self.cache.blocks.keep(prefix, revision, Arc::new(block));
    }

    /// The block that holds `addr`: of the size that the pool says, or, if it outlived a pool, of
    /// any other.
    pub(super) fn find_block(
        &self,
        addr: Ipv4Addr,
        pools: &[Stored<Arc<Pool>>],
    ) -> Result<Option<Stored<Arc<Block>>>, IpamError> {
        let expected = pools.iter().find_map(|pool| pool.value.block_of(addr));
        if let Some(expected) = expected
            && let Some(block) = self.read_block(expected)?
        {
            return Ok(Some(block));
        }
        let taken = self.taken_around(Ipv4Prefix::host(addr))?;
        let found = taken.overlapping(Ipv4Prefix::host(addr));
        match found.and_then(|found| BlockPrefix::try_from(found).ok()) {
            Some(found) => self.read_block(found),
            None => Ok(None),
        }
    }

    pub(super) fn read_handle(
        &self,
        handle: &HandleId,
    ) -> Result<Option<Stored<Handle>>, IpamError> {
        self.read(&key::handle(handle), Handle::from_json)
    }

    pub(super) fn read_affinity(
        &self,
        node: &NodeName,
        block: BlockPrefix,
    ) -> Result<Option<Stored<BlockAffinity>>, IpamError> {
        self.read(&key::affinity(node, block.into()), BlockAffinity::from_json)
    }

    /// The revision of `node` as an owner of blocks, which every claim writes.
    pub(super) fn owner_revision(&self, node: &NodeName) -> Result<Option<Revision>, IpamError> {
        let record = self.store.get(&key::ipam_host(node))?;
        Ok(record.map(|record| record.revision))
    }

    pub(super) fn claims_of(&self, node: &NodeName) -> Result<Vec<Claim>, IpamError> {
        let mut claims = Vec::new();
        for record in self.store.list(&key::affinity_prefix(node))?.entries {
            let (key, affinity) = parse(record, BlockAffinity::from_json)?;
            let prefix = key::parse_affinity(&key).map(|(_, prefix)| prefix);
            let Some(block) = prefix.and_then(|prefix| BlockPrefix::try_from(prefix).ok()) else {
                log::warn!("key {key} names no block, passed over");
                continue;
            };
            claims.push(Claim { block, affinity });
        }
        Ok(claims)
    }

    /// The IPv4 pools, by name.
    pub(super) fn read_pools(&self) -> Result<Vec<Stored<Arc<Pool>>>, IpamError> {
        let mut pools = Vec::new();
        for record in self.store.list(key::pool_prefix())?.entries {
            let revision = record.revision;
            let value = match self.cache.pools.get(record.key.as_str(), revision) {
                Some(known) => known,
                None => self.parse_pool(record)?,
            };
            pools.extend(value.map(|value| Stored { value, revision }));
        }
        Ok(pools)
    }

    fn parse_pool(&self, record: Record) -> Result<Option<Arc<Pool>>, IpamError> {
        let (key, stored) = parse(record, Pool::from_json)?;
        let pool = stored.value.map(Arc::new);
        if let Some(pool) = pool.as_ref().filter(|pool| key != key::pool(pool.name())) {
            let found = format!("pool {}", pool.name());
            return Err(IpamError::Misplaced { key, found });
        }
        self.cache.pools.keep(key, stored.revision, pool.clone());
        Ok(pool)
    }

    /// The addresses that nobody is assigned unasked.
    pub(super) fn reserved(&self) -> Result<Reserved, IpamError> {
        Ok(Reserved::of(&self.reservations()?))
    }

    /// The prefixes of all blocks that share addresses with `prefix`, and of others around it.
    pub(super) fn taken_around(&self, prefix: Ipv4Prefix) -> Result<Taken, IpamError> {
        let c = prefix.network().octets()[2];
        let keys = self.store.list_keys(&blocks_below(prefix))?.entries;
        let mut taken: Vec<_> = keys
            .iter()
            .filter_map(|key| key::parse_block(key))
            .collect();
        // Larger blocks whose network address has another third octet. No block is larger than a
        // /20, so with two octets every block that matters is listed.
        for len in (MIN_BLOCK_LEN..24).filter(|_| prefix.len() >= 24) {
            let around = Ipv4Prefix::containing(prefix.network(), len);
            let around = around
                .ok()
                .filter(|around| around.network().octets()[2] != c);
            if let Some(around) = around
                && self.store.get(&key::block(around))?.is_some()
            {
                taken.push(around);
            }
        }
        Ok(taken.into_iter().collect())
    }

    /// The values of all keys that begin with `prefix`, in the order of the keys.
    pub(super) fn read_all<T>(
        &self,
        prefix: &str,
        from_json: impl Fn(&[u8]) -> Result<T, ResourceError>,
    ) -> Result<Vec<T>, IpamError> {
        Ok(self.read_listing(prefix, from_json)?.entries)
    }

    /// The same, and as of which revision.
    pub(super) fn read_listing<T>(
        &self,
        prefix: &str,
        from_json: impl Fn(&[u8]) -> Result<T, ResourceError>,
    ) -> Result<Listing<T>, IpamError> {
        let listing = self.store.list(prefix)?;
        let value = |record| parse(record, &from_json).map(|(_, stored)| stored.value);
        let entries = listing.entries.into_iter().map(value);
        Ok(Listing {
            entries: entries.collect::<Result<_, _>>()?,
            revision: listing.revision,
        })
    }

    /// The value under `key`, if there is one.
    pub(super) fn read<T>(
        &self,
        key: &str,
        from_json: impl FnOnce(&[u8]) -> Result<T, ResourceError>,
    ) -> Result<Option<Stored<T>>, IpamError> {
        let record = self.store.get(key)?;
        let parsed = record.map(|record| parse(record, from_json)).transpose()?;
        Ok(parsed.map(|(_, stored)| stored))
    }
}

/// What the keys of the blocks inside `prefix` begin with, and of few others.
pub(super) fn blocks_below(prefix: Ipv4Prefix) -> String {
    let [a, b, c, _] = prefix.network().octets();
    let blocks = key::block_prefix();
    match prefix.len() {
        24.. => format!("{blocks}{a}.{b}.{c}."),
        16.. => format!("{blocks}{a}.{b}."),
        8.. => format!("{blocks}{a}."),
        _ => blocks.to_owned(),
    }
}

pub(super) fn parse<T>(
    record: Record,
    from_json: impl FnOnce(&[u8]) -> Result<T, ResourceError>,
) -> Result<(String, Stored<T>), IpamError> {
    let (key, revision) = (record.key, record.revision);
    match from_json(&record.value) {
        Ok(value) => Ok((key, Stored { value, revision })),
        Err(fault) => Err(IpamError::Value { key, fault }),
    }
}

/// A block must stand under its own key: written back under another one it would be there twice.
fn checked_place(key: &str, prefix: BlockPrefix) -> Result<(), IpamError> {
    if key == key::block(prefix.into()) {
        return Ok(());
    }
    Err(IpamError::Misplaced {
        key: key.to_owned(),
        found: format!("block {prefix}"),
    })
}
