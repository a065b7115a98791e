//! The configuration of the allocator, one for the whole cluster.

use super::read::Stored;
use super::{Ipam, IpamError};
use crate::datastore::{Commit, key};
use crate::resource::AllocatorConfig;

impl Ipam {
    /// The configuration; Calico's default if none is stored.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn config(&self) -> Result<AllocatorConfig, IpamError> {
        let stored = self.read_config()?;
        Ok(stored.map(|stored| stored.value).unwrap_or_default())
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

    pub(super) fn read_config(&self) -> Result<Option<Stored<AllocatorConfig>>, IpamError> {
        self.read(key::config(), AllocatorConfig::from_json)
    }
}
