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

    /// What to store where `self` is stored and `wanted` is asked for: fields that we do not know
    /// stay, unless `wanted` has some of its own.
    ///
    /// # Errors
    /// As [`check`](Self::check) of `wanted`.
    pub fn updated(&self, wanted: &Self) -> Result<Self, ConfigError> {
        wanted.check()?;
        Ok(Self {
            kube_virt: self.kube_virt.or_newer(&wanted.kube_virt),
            extra: self.extra.or_newer(&wanted.extra),
            ..wanted.clone()
        })
    }

    /// What to store where `self` is stored and `before` was read and is to become `after`: only the
    /// fields that differ between the two are changed.
    ///
    /// # Errors
    /// As [`check`](Self::check) of what is to be stored, if that is a change.
    pub fn changed(&self, before: &Self, after: &Self) -> Result<Self, ConfigError> {
        let changed = Self {
            strict_affinity: newest(self, before, after, |config| &config.strict_affinity),
            auto_allocate_blocks: newest(self, before, after, |c| &c.auto_allocate_blocks),
            max_blocks_per_node: newest(self, before, after, |c| &c.max_blocks_per_node),
            cooldown: newest(self, before, after, |config| &config.cooldown),
            kube_virt: newest(self, before, after, |config| &config.kube_virt),
            extra: newest(self, before, after, |config| &config.extra),
        };
        if changed != *self {
            changed.check()?;
        }
        Ok(changed)
    }

    /// Reads the stored value.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        let mut object = Object::parse(text)?;
        let flag = |value: Option<bool>| value.unwrap_or_default();
        // 32 bits, so that no clock runs over when it is added.
        let cooldown: Option<u32> = object.take("ipCooldownSeconds")?;
        Ok(Self {
            strict_affinity: flag(object.take("strict_affinity")?),
            auto_allocate_blocks: flag(object.take("auto_allocate_blocks")?),
            max_blocks_per_node: object.take("maxBlocksPerHost")?.unwrap_or_default(),
            cooldown: Duration::from_secs(cooldown.unwrap_or_default().into()),
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

/// A field as `after` has it, if that changes it, else as it is stored.
fn newest<T: Clone + PartialEq>(
    stored: &AllocatorConfig,
    before: &AllocatorConfig,
    after: &AllocatorConfig,
    field: impl Fn(&AllocatorConfig) -> &T,
) -> T {
    let is_changed = field(before) != field(after);
    field(if is_changed { after } else { stored }).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> AllocatorConfig {
        AllocatorConfig::from_json(text.as_bytes()).unwrap()
    }

    fn written(config: &AllocatorConfig) -> String {
        String::from_utf8(config.to_json()).unwrap()
    }

    #[test]
    fn calicos_own_json_is_reproduced() {
        for text in [
            r#"{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4}"#,
            r#"{"auto_allocate_blocks":true}"#,
            r#"{"auto_allocate_blocks":true,"kubeVirtVMAddressPersistence":"Enabled"}"#,
            r#"{"auto_allocate_blocks":true,"kubeVirtVMAddressPersistence":"Disabled","ipCooldownSeconds":30}"#,
            r#"{"auto_allocate_blocks":true,"later":{"exact":18446744073709551615}}"#,
            "{}",
        ] {
            assert_eq!(written(&read(text)), text);
        }
        assert_eq!(
            written(&AllocatorConfig::default()),
            r#"{"auto_allocate_blocks":true}"#
        );
    }

    #[test]
    fn what_is_missing_in_a_stored_one_is_false() {
        for text in [
            "{}",
            r#"{"auto_allocate_blocks":null,"maxBlocksPerHost":0}"#,
        ] {
            let config = read(text);
            assert!(
                !config.auto_allocate_blocks && !config.strict_affinity,
                "{text}"
            );
            assert_eq!(
                (config.max_blocks_per_node, config.cooldown),
                (0, Duration::ZERO)
            );
        }
        assert!(
            read(r#"{"Strict_Affinity":true}"#).strict_affinity,
            "Go reads any letter case"
        );
    }

    #[test]
    fn faults_name_field_or_rule() {
        for (text, field) in [
            (r#"{"strict_affinity":1}"#, "strict_affinity"),
            (r#"{"maxBlocksPerHost":-1}"#, "maxBlocksPerHost"),
            (r#"{"maxBlocksPerHost":4294967296}"#, "maxBlocksPerHost"),
            (r#"{"ipCooldownSeconds":"30s"}"#, "ipCooldownSeconds"),
            (
                r#"{"ipCooldownSeconds":18446744073709551615}"#,
                "ipCooldownSeconds",
            ),
        ] {
            let message = AllocatorConfig::from_json(text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                message.starts_with(&format!("field {field}: ")),
                "{message}"
            );
        }
        let rule = |strict, auto, limit, cooldown| {
            let config = AllocatorConfig {
                strict_affinity: strict,
                auto_allocate_blocks: auto,
                max_blocks_per_node: limit,
                cooldown: Duration::from_millis(cooldown),
                ..AllocatorConfig::default()
            };
            config.check().map_err(|fault| fault.to_string())
        };
        let refused = |text: &str| Err(text.to_owned());
        assert_eq!(rule(false, true, 0, 1_200_000), Ok(()));
        assert_eq!(rule(true, false, 4, 0), Ok(()));
        assert_eq!(
            rule(false, false, 0, 0),
            refused("auto_allocate_blocks false needs strict_affinity true")
        );
        assert_eq!(
            rule(false, true, 4, 0),
            refused("max_blocks_per_node 4 needs strict_affinity true")
        );
        for (cooldown, text) in [(1_201_000, "1201s"), (1500, "1.5s")] {
            let message = format!("cooldown {text} is not whole seconds of at most 1200s");
            assert_eq!(rule(false, true, 0, cooldown), Err(message));
        }
    }

    #[test]
    fn an_update_keeps_what_we_do_not_know() {
        let stored =
            read(r#"{"strict_affinity":true,"kubeVirtVMAddressPersistence":"Disabled","x":1}"#);
        let updated = stored.updated(&AllocatorConfig::default()).unwrap();
        assert_eq!(
            written(&updated),
            r#"{"auto_allocate_blocks":true,"kubeVirtVMAddressPersistence":"Disabled","x":1}"#
        );
        assert!(stored.updated(&read("{}")).is_err());
    }
    #[test]
    fn a_change_touches_only_what_it_changes() {
        let stored = read(
            r#"{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":2,"x":2}"#,
        );
        let before = read(r#"{"auto_allocate_blocks":true,"x":1}"#);
        let cooling = read(r#"{"auto_allocate_blocks":true,"ipCooldownSeconds":30,"x":1}"#);
        assert_eq!(
            written(&stored.changed(&before, &cooling).unwrap()),
            r#"{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":2,"ipCooldownSeconds":30,"x":2}"#
        );
        let other = read(r#"{"auto_allocate_blocks":true,"x":3}"#);
        let changed = stored.changed(&before, &other).unwrap();
        assert!(written(&changed).ends_with(r#","x":3}"#));
        // Each by itself is allowed, both together are not.
        let lax = stored.changed(&stored, &before);
        assert!(lax.is_ok());
        let limit = read(r#"{"auto_allocate_blocks":true,"maxBlocksPerHost":2,"x":1}"#);
        assert_eq!(
            before.changed(&before, &limit).unwrap_err().to_string(),
            "max_blocks_per_node 2 needs strict_affinity true"
        );
        assert_eq!(
            read("{}").changed(&before, &before),
            Ok(read("{}")),
            "stored ones are taken"
        );
    }
}
