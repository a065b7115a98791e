//! The configuration of the allocator, one for the whole cluster.

use super::{Ipam, IpamError};
use crate::datastore::{Commit, Revision, key};
use crate::resource::{AllocatorConfig, ConfigError};

impl Ipam {
    /// The configuration; Calico's default if none is stored.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn config(&self) -> Result<AllocatorConfig, IpamError> {
        Ok(self.read_config()?.0)
    }

    /// Stores `config`, whatever its fields were before; those that we do not know stay. Whoever changes
    /// what he has read takes [`Ipam::change_config`], which leaves alone what others change meanwhile.
    ///
    /// # Errors
    /// [`IpamError::Config`] if it breaks a rule, or if the store cannot be written.
    pub fn set_config(&self, config: &AllocatorConfig) -> Result<(), IpamError> {
        config.check()?;
        let stored = self.update_config(|stored| stored.updated(config));
        stored.map(|_| ())
    }

    /// Changes the fields in which `after` differs from `before`, which was read, and leaves the others
    /// as they are by now; the configuration that is stored then comes back. So of two who change
    /// different fields at once none is undone, and of two who change one field the later counts.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use ipip_core::datastore::Memory;
    /// # use ipip_core::ipam::{Ambient, Ipam};
    /// # use ipip_core::resource::AllocatorConfig;
    /// let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// let before = ipam.config()?;
    /// let mut strict = before.clone();
    /// strict.strict_affinity = true;
    /// let mut cooling = before.clone();
    /// cooling.cooldown = Duration::from_secs(60);
    /// ipam.change_config(&before, &strict)?;
    /// let stored = ipam.change_config(&before, &cooling)?;
    /// assert!(stored.strict_affinity && stored.cooldown == cooling.cooldown);
    /// # Ok::<(), ipip_core::ipam::IpamError>(())
    /// ```
    ///
    /// # Errors
    /// [`IpamError::Config`] if what would be stored breaks a rule, or if the store cannot be written.
    pub fn change_config(
        &self,
        before: &AllocatorConfig,
        after: &AllocatorConfig,
    ) -> Result<AllocatorConfig, IpamError> {
        self.update_config(|stored| stored.changed(before, after))
    }

    /// Stores what `update` makes of the stored configuration, unless that is it already.
    fn update_config(
        &self,
        update: impl Fn(&AllocatorConfig) -> Result<AllocatorConfig, ConfigError>,
    ) -> Result<AllocatorConfig, IpamError> {
        self.retry(&"the configuration", || {
            let mut commit = Commit::new();
            // First, so that the record itself is never the fence of a lost reply.
            let fence = self.store.get(key::pool_creation())?;
            commit.expect(key::pool_creation(), fence.map(|record| record.revision));
            let (stored, revision) = self.read_config()?;
            let updated = update(&stored)?;
            if updated == stored && revision.is_some() {
                return Ok(Some(updated));
            }
            commit.expect(key::config(), revision);
            commit.put(key::config(), updated.to_json());
            Ok(self.commit(commit)?.revision().map(|_| updated))
        })
    }

    /// The configuration, and its revision; `None`: nothing is stored.
    pub(super) fn read_config(&self) -> Result<(AllocatorConfig, Option<Revision>), IpamError> {
        let stored = self.read(key::config(), AllocatorConfig::from_json)?;
        let revision = stored.as_ref().map(|stored| stored.revision);
        Ok((stored.map(|s| s.value).unwrap_or_default(), revision))
    }
}
