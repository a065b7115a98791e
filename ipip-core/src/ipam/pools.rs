//! Reading, creating and changing pools.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::read::Stored;
use super::retry::EMPTY_OBJECT;
use super::{Ipam, IpamError};
use crate::datastore::{Commit, key};
use crate::resource::{BlockPrefix, Pool, rfc3339};

impl Ipam {
    /// Stores `pool`, with a unique id and the present time. Of two pools that overlap and are
    /// created at the same instant one is refused.
    ///
    /// # Errors
    /// [`IpamError::PoolExists`], [`IpamError::PoolOverlaps`], or [`IpamError::PoolBlockSize`] if
    /// blocks of another size, left by an earlier pool, lie in it.
    pub fn create_pool(&self, pool: &Pool) -> Result<(), IpamError> {
        let created = rfc3339(self.ambient.now());
        let recorded = pool.clone().recorded(self.ambient.uuid(), created);
        self.retry(&format_args!("pool {}", pool.name()), || {
            // Read before the pools, and written with each: so no pool that this call does not see is
            // created before it commits. Calico's own clients list and then create, unguarded.
            let others = self.store.get(key::pool_creation())?;
            let pools = self.pools()?;
            if pools.contains(&recorded) {
                // By this call, and the reply was lost: nobody else has its unique id.
                return Ok(Some(()));
            }
            check_beside(pool, &pools)?;
            self.check_blocks(pool)?;
            let key = key::pool(pool.name());
            let mut commit = Commit::new();
            let revision = others.map(|record| record.revision);
            commit.expect(key::pool_creation(), revision);
            commit.put(key::pool_creation(), EMPTY_OBJECT.to_vec());
            commit.expect(&key, None).put(&key, recorded.to_json());
            Ok(self.commit(commit)?.revision().map(|_| ()))
        })
    }

    /// Refuses a pool with blocks of another size in it.
    fn check_blocks(&self, pool: &Pool) -> Result<(), IpamError> {
        let cidr = pool.cidr();
        let taken = self.taken_around(cidr)?;
        let around = taken.overlapping(cidr).filter(|b| b.len() < cidr.len());
        let mut inside = around.into_iter().chain(taken.within(cidr));
        match inside.find(|block| block.len() != pool.block_len()) {
            Some(existing) => Err(IpamError::PoolBlockSize {
                pool: pool.name().to_owned(),
                block_len: pool.block_len(),
                existing,
            }),
            None => Ok(()),
        }
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

    /// Changes the pool of the name of `pool` to what `pool` says: modes, uses, selectors, whether it is
    /// disabled. It keeps its id and the fields that we do not know; the pool as it is then comes back.
    /// Addresses and blocks in use stay what they are.
    ///
    /// # Errors
    /// [`IpamError::PoolMissing`], and [`IpamError::PoolUpdate`] with the reason if the prefix or the
    /// block size would change.
    pub fn update_pool(&self, pool: &Pool) -> Result<Pool, IpamError> {
        self.change_pool(pool.name(), |stored| Ok(stored.updated(pool)?))
    }

    /// Lets nothing be assigned or claimed from the pool `name` any more; addresses in use stay so, and
    /// may be released. A pool that is disabled stays so.
    ///
    /// # Errors
    /// [`IpamError::PoolMissing`].
    pub fn disable_pool(&self, name: &str) -> Result<(), IpamError> {
        let disabled = |stored: &Pool| Ok(stored.clone().with_disabled(true));
        self.change_pool(name, disabled).map(|_| ())
    }

    /// Ends what [`Ipam::disable_pool`] began.
    ///
    /// # Errors
    /// [`IpamError::PoolMissing`].
    pub fn enable_pool(&self, name: &str) -> Result<(), IpamError> {
        let enabled = |stored: &Pool| Ok(stored.clone().with_disabled(false));
        self.change_pool(name, enabled).map(|_| ())
    }

    fn change_pool(
        &self,
        name: &str,
        change: impl Fn(&Pool) -> Result<Pool, IpamError>,
    ) -> Result<Pool, IpamError> {
        self.retry(&format_args!("pool {name}"), || {
            let stored = self.read_pool(name)?;
            let changed = change(&stored.value)?;
            if changed == *stored.value {
                return Ok(Some(changed));
            }
            let key = key::pool(name);
            let mut commit = Commit::new();
            commit.expect(&key, Some(stored.revision));
            commit.put(&key, changed.to_json());
            Ok(self.commit(commit)?.revision().map(|_| changed))
        })
    }

    /// Disables `pool`, and no later one of its name.
    pub(super) fn disable_this(&self, pool: &Pool) -> Result<(), IpamError> {
        let disabled = |stored: &Pool| {
            check_same(pool, stored)?;
            Ok(stored.clone().with_disabled(true))
        };
        self.change_pool(pool.name(), disabled).map(|_| ())
    }

    /// `pool` as it is now, and no later one of its name.
    pub(super) fn read_this(&self, pool: &Pool) -> Result<Stored<Arc<Pool>>, IpamError> {
        let stored = self.read_pool(pool.name())?;
        check_same(pool, &stored.value)?;
        Ok(stored)
    }

    /// The pool `name`, which must be there.
    pub(super) fn read_pool(&self, name: &str) -> Result<Stored<Arc<Pool>>, IpamError> {
        let mut pools = self.read_pools()?.into_iter();
        let pool = pools.find(|pool| pool.value.name() == name);
        pool.ok_or_else(|| IpamError::PoolMissing {
            pool: name.to_owned(),
        })
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

/// Refuses a pool whose name or addresses one of `others` has.
fn check_beside(pool: &Pool, others: &[Pool]) -> Result<(), IpamError> {
    for other in others {
        let name = pool.name().to_owned();
        if other.name() == pool.name() {
            return Err(IpamError::PoolExists { pool: name });
        }
        if other.cidr().overlaps(pool.cidr()) {
            return Err(IpamError::PoolOverlaps {
                pool: name,
                cidr: pool.cidr(),
                other: other.name().to_owned(),
                other_cidr: other.cidr(),
            });
        }
    }
    Ok(())
}

/// `stored` has the name of `pool`; another one of it means that `pool` is gone.
fn check_same(pool: &Pool, stored: &Pool) -> Result<(), IpamError> {
    if pool.is_same(stored) {
        return Ok(());
    }
    let pool = pool.name().to_owned();
    Err(IpamError::PoolMissing { pool })
}
