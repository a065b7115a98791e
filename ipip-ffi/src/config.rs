//! How the allocator behaves in the whole cluster.

use std::mem::MaybeUninit;
use std::time::Duration;

use ipip_core::resource::{AllocatorConfig, ConfigError};

use crate::boundary::{flag, guard, octets, required};
use crate::error::Failure;
use crate::status::ipip_status;

/// The allocator's configuration, one for the whole cluster (`calicoctl ipam configure`). Begin with
/// `ipip_allocator_config_default`: all zero would be a configuration that is refused.
///
/// What Calico stores beside these fields stays in the store when they change.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_allocator_config {
    /// 1 if a node assigns addresses of its own blocks only and never borrows, else 0.
    pub strict_affinity: u8,
    /// 1 if a node that needs a block claims one, else 0, which needs strict affinity.
    pub auto_allocate_blocks: u8,
    /// The most blocks that a node may claim, which needs strict affinity; 0 says nothing and leaves
    /// Calico's 20.
    pub max_blocks_per_node: u32,
    /// How many seconds a released address is given to nobody, at most 1200.
    pub cooldown: u32,
}

/// The configuration that counts where none is stored: Calico's.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_allocator_config_default(
    config_out: Option<&mut MaybeUninit<ipip_allocator_config>>,
) -> ipip_status {
    guard(|| {
        required(config_out, "config_out")?.write((&AllocatorConfig::default()).into());
        Ok(())
    })
}

/// Whether a configuration may be stored.
///
/// IPIP_STATUS_INVALID_ARGUMENT if not; the text names the rule that it breaks.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_allocator_config_check(
    config: Option<&ipip_allocator_config>,
) -> ipip_status {
    guard(|| required(config, "config")?.checked().map(drop))
}

/// Reads a configuration as Calico stores it, in JSON; it is not checked. There, a missing
/// `auto_allocate_blocks` is 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field.
///
/// # Safety
/// `json` is NULL or points to `json_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_allocator_config_from_json(
    json: *const u8,
    json_len: usize,
    config_out: Option<&mut MaybeUninit<ipip_allocator_config>>,
) -> ipip_status {
    guard(|| {
        let out = required(config_out, "config_out")?;
        // SAFETY: the caller's duty, as documented.
        let json = unsafe { octets(json, json_len, "json") }?;
        out.write((&AllocatorConfig::from_json(json)?).into());
        Ok(())
    })
}

impl ipip_allocator_config {
    pub(crate) fn checked(&self) -> Result<AllocatorConfig, Failure> {
        let config = self.unchecked()?;
        config.check()?;
        Ok(config)
    }

    /// The same without the rules, which a stored one may break.
    pub(crate) fn unchecked(&self) -> Result<AllocatorConfig, Failure> {
        let mut config = AllocatorConfig::default();
        config.strict_affinity = flag(self.strict_affinity, "strict_affinity")?;
        config.auto_allocate_blocks = flag(self.auto_allocate_blocks, "auto_allocate_blocks")?;
        config.max_blocks_per_node = self.max_blocks_per_node;
        config.cooldown = Duration::from_secs(self.cooldown.into());
        Ok(config)
    }
}

impl From<&AllocatorConfig> for ipip_allocator_config {
    fn from(config: &AllocatorConfig) -> Self {
        Self {
            strict_affinity: config.strict_affinity.into(),
            auto_allocate_blocks: config.auto_allocate_blocks.into(),
            max_blocks_per_node: config.max_blocks_per_node,
            cooldown: u32::try_from(config.cooldown.as_secs()).unwrap_or(u32::MAX),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(ipip_status::InvalidArgument, &error, None)
    }
}
