//! The configuration of the allocator, one for the whole cluster.

use super::{Ipam, IpamError};
use crate::datastore::{Commit, Revision, key};
use crate::resource::AllocatorConfig;

impl Ipam {
    /// The configuration; Calico's default if none is stored.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn config(&self) -> Result<AllocatorConfig, IpamError> {
        Ok(self.read_config()?.0)
    }

    /// Stores `config`, whatever was stored before.
    ///
    /// # Errors
    /// [`IpamError::Config`] if it breaks a rule, or if the store cannot be written.
    pub fn set_config(&self, config: &AllocatorConfig) -> Result<(), IpamError> {
        config.check()?;
        let mut commit = Commit::new();
        commit.put(key::config(), config.to_json());
        self.retry(&"the configuration", || {
            // Without a compare it is never in vain, and to repeat it does no harm.
            Ok(self.commit(commit.clone())?.revision().map(|_| ()))
        })
    }

    /// The configuration, and its revision; `None`: nothing is stored.
    pub(super) fn read_config(&self) -> Result<(AllocatorConfig, Option<Revision>), IpamError> {
        let stored = self.read(key::config(), AllocatorConfig::from_json)?;
        let revision = stored.as_ref().map(|stored| stored.revision);
        Ok((stored.map(|s| s.value).unwrap_or_default(), revision))
    }
}
