//! Reading and creating pools.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::read::Stored;
use super::{Ipam, IpamError};
use crate::datastore::{Commit, key};
use crate::resource::{BlockPrefix, Pool, rfc3339};

impl Ipam {
    /// Stores `pool`, with a unique id and the present time.
    ///
    /// # Errors
    /// [`IpamError::PoolExists`], [`IpamError::PoolOverlaps`], or [`IpamError::PoolBlockSize`] if
    /// blocks of another size, left by an earlier pool, lie in it.
    pub fn create_pool(&self, pool: &Pool) -> Result<(), IpamError> {
        let name = || pool.name().to_owned();
        self.retry(&format_args!("pool {}", pool.name()), || {
            for other in self.pools()? {
                if other.name() == pool.name() {
                    return Err(IpamError::PoolExists { pool: name() });
                }
                if other.cidr().overlaps(pool.cidr()) {
                    return Err(IpamError::PoolOverlaps {
                        pool: name(),
                        cidr: pool.cidr(),
                        other: other.name().to_owned(),
                        other_cidr: other.cidr(),
                    });
                }
            }
            let taken = self.taken_around(pool.cidr())?;
            let around = taken
                .overlapping(pool.cidr())
                .filter(|b| b.len() < pool.cidr().len());
            let mut inside = around.into_iter().chain(taken.within(pool.cidr()));
            if let Some(existing) = inside.find(|block| block.len() != pool.block_len()) {
                return Err(IpamError::PoolBlockSize {
                    pool: name(),
                    block_len: pool.block_len(),
                    existing,
                });
            }
            let created = rfc3339(self.ambient.now());
            let recorded = pool.clone().recorded(self.ambient.uuid(), created);
            let key = key::pool(pool.name());
            let mut commit = Commit::new();
            commit.expect(&key, None).put(&key, recorded.to_json());
            Ok(self.commit(commit)?.revision().map(|_| ()))
        })
    }

    /// The IPv4 pools, by name.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged pool.
    pub fn pools(&self) -> Result<Vec<Pool>, IpamError> {
        let pools = self.read_pools()?.into_iter();
        Ok(pools
            .map(|stored| Arc::unwrap_or_clone(stored.value))
            .collect())
    }

    /// The pool of `addr`, and the block in it, whether that was made or not.
    pub(super) fn pool_of(
        &self,
        addr: Ipv4Addr,
    ) -> Result<(Stored<Arc<Pool>>, BlockPrefix), IpamError> {
        let found = self.read_pools()?.into_iter().find_map(|pool| {
            let block = pool.value.block_of(addr)?;
            Some((pool, block))
        });
        let (pool, block) = found.ok_or(IpamError::OutsidePools { addr })?;
        if !pool.value.is_enabled() {
            let pool = pool.value.name().to_owned();
            return Err(IpamError::PoolDisabled { pool });
        }
        Ok((pool, block))
    }
}
