//! How the allocator behaves in the whole cluster.

use std::time::Duration;

use super::json::{Extra, Object, ObjectWriter};
use super::{ConfigError, ResourceError};

/// The allocator's configuration, one for the whole cluster (`calicoctl ipam configure`).
///
/// [`AllocatorConfig::default`] is what counts where none is stored. A stored one that lacks
/// `auto_allocate_blocks` means false, not the default: `{}` stops the creation of blocks.
///
/// ```
/// use ipip_core::resource::AllocatorConfig;
/// let mut config = AllocatorConfig::default();
/// config.max_blocks_per_node = 4;
/// assert!(config.check().is_err(), "a limit needs strict affinity");
/// config.strict_affinity = true;
/// config.check()?;
/// assert_eq!(
///     config.to_json(),
///     br#"{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4}"#
/// );
/// # Ok::<(), ipip_core::resource::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocatorConfig {
    /// Never borrow: a node assigns addresses of its own blocks only.
    pub strict_affinity: bool,
    /// Claim a block where a node needs one.
    pub auto_allocate_blocks: bool,
    /// The most blocks that a node may claim; 0 for none said, which leaves Calico's 20.
    pub max_blocks_per_node: u32,
    /// How long a released address is given to nobody, in whole seconds,
    /// at most [`COOLDOWN_MAX`](Self::COOLDOWN_MAX).
    pub cooldown: Duration,
    /// Of KubeVirt's virtual machines, which we do not know.
    kube_virt: Extra,
    extra: Extra,
}

impl Default for AllocatorConfig {
    /// Calico's: borrowing and new blocks allowed, no limit, no cool-down.
    fn default() -> Self {
        Self {
            strict_affinity: false,
            auto_allocate_blocks: true,
            max_blocks_per_node: 0,
            cooldown: Duration::ZERO,
            kube_virt: Extra::default(),
            extra: Extra::default(),
        }
    }
}

impl AllocatorConfig {
    /// The longest cool-down, 20 minutes.
    pub const COOLDOWN_MAX: Duration = Duration::from_secs(20 * 60);

    /// Checks the rules for a configuration that is to be stored; a stored one is taken as it is.
    ///
    /// # Errors
    /// [`ConfigError`] if no block could ever be claimed or borrowed from, for a limit without
    /// strict affinity, and for a cool-down that is too long or no whole seconds.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.strict_affinity && !self.auto_allocate_blocks {
            return Err(ConfigError::NoBlocks);
        }
        if !self.strict_affinity && self.max_blocks_per_node > 0 {
            return Err(ConfigError::LimitWithoutStrict {
                limit: self.max_blocks_per_node,
            });
        }
        let cooldown = self.cooldown;
        if cooldown > Self::COOLDOWN_MAX || cooldown.subsec_nanos() != 0 {
            return Err(ConfigError::Cooldown { cooldown });
        }
        Ok(())
    }

    /// Reads the stored value.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        let mut object = Object::parse(text)?;
        let flag = |value: Option<bool>| value.unwrap_or_default();
        Ok(Self {
            strict_affinity: flag(object.take("strict_affinity")?),
            auto_allocate_blocks: flag(object.take("auto_allocate_blocks")?),
            max_blocks_per_node: object.take("maxBlocksPerHost")?.unwrap_or_default(),
            cooldown: Duration::from_secs(object.take("ipCooldownSeconds")?.unwrap_or_default()),
            kube_virt: object.take_extra("kubeVirtVMAddressPersistence"),
            extra: object.into_extra(),
        })
    }

    /// The value to be stored, as Calico writes it: what is false or 0 is left out.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        let mut object = ObjectWriter::new(&mut out);
        object.flag("strict_affinity", self.strict_affinity);
        object.flag("auto_allocate_blocks", self.auto_allocate_blocks);
        if self.max_blocks_per_node > 0 {
            object.field("maxBlocksPerHost", &self.max_blocks_per_node);
        }
        object.extra(&self.kube_virt);
        if self.cooldown.as_secs() > 0 {
            object.field("ipCooldownSeconds", &self.cooldown.as_secs());
        }
        object.end(&self.extra);
        out
    }
}
