//! What blocks are cut from.

mod json;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnetwork::Ipv4Network;

use super::json::Extra;
use super::{BlockPrefix, MAX_BLOCK_LEN, MIN_BLOCK_LEN, PoolError};
use crate::addr::Ipv4Prefix;
use crate::name::PATH_ELEMENT_MAX;

/// When packets between two nodes of a pool are encapsulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpipMode {
    /// Never: routes go directly to the node.
    #[default]
    Never,
    /// Always, also inside one subnet.
    Always,
    /// Only if the two nodes are in different subnets.
    CrossSubnet,
}

/// The text is none of the three modes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ipip mode {text:?} is not one of Never, Always, CrossSubnet")]
pub struct IpipModeError {
    text: String,
}

impl IpipMode {
    /// Calico's text, `Never`, `Always` or `CrossSubnet`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Always => "Always",
            Self::CrossSubnet => "CrossSubnet",
        }
    }
}

impl fmt::Display for IpipMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Accepts Calico's text in upper and lower case.
impl FromStr for IpipMode {
    type Err = IpipModeError;

    fn from_str(text: &str) -> Result<Self, IpipModeError> {
        [Self::Never, Self::Always, Self::CrossSubnet]
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| IpipModeError {
                text: text.to_owned(),
            })
    }
}

/// A pool: the prefix that blocks are cut from, and how its addresses are routed.
///
/// ```
/// use ipip_core::resource::{IpipMode, Pool};
/// let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?.with_ipip_mode(IpipMode::Always);
/// assert_eq!(pool.block_count(), 1024);
/// assert_eq!(pool.block_of("10.244.79.20".parse()?).unwrap().to_string(), "10.244.79.0/26");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    name: String,
    cidr: Ipv4Prefix,
    block_len: u8,
    spec: Spec,
    metadata: Metadata,
    extra: Extra,
}

/// The fields of `spec` besides prefix and block size, as they were found: empty and false are
/// Calico's "not given".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Spec {
    vxlan_mode: String,
    ipip_mode: Option<IpipMode>,
    nat_outgoing: bool,
    disabled: bool,
    disable_bgp_export: bool,
    node_selector: String,
    namespace_selector: String,
    allowed_uses: Vec<String>,
    assignment_mode: String,
    extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Metadata {
    uid: String,
    created: String,
    deletion: String,
    extra: Extra,
}

impl Pool {
    /// A pool as `calicoctl` would create it: enabled, for every node, without encapsulation.
    ///
    /// `block_len` is the prefix length of its blocks in bits, 20 to 32 (usually
    /// [`DEFAULT_BLOCK_LEN`](super::DEFAULT_BLOCK_LEN)).
    ///
    /// # Errors
    /// [`PoolError`] if the name is none that Kubernetes accepts, the prefix has host bits set or
    /// is link-local, the block size is out of range, or a block does not fit.
    pub fn try_new(name: &str, cidr: Ipv4Network, block_len: u8) -> Result<Self, PoolError> {
        let fault = |fault| PoolError::Prefix {
            name: name.to_owned(),
            fault,
        };
        let cidr = Ipv4Prefix::try_from(cidr).map_err(fault)?;
        check(name, cidr, block_len)?;
        let spec = Spec {
            vxlan_mode: "Never".to_owned(),
            ipip_mode: Some(IpipMode::Never),
            node_selector: "all()".to_owned(),
            allowed_uses: vec!["Workload".to_owned(), "Tunnel".to_owned()],
            assignment_mode: "Automatic".to_owned(),
            ..Spec::default()
        };
        Ok(Self {
            name: name.to_owned(),
            cidr,
            block_len,
            spec,
            metadata: Metadata::default(),
            extra: Extra::default(),
        })
    }

    /// The same pool with `mode`.
    #[must_use]
    pub fn with_ipip_mode(mut self, mode: IpipMode) -> Self {
        self.spec.ipip_mode = Some(mode);
        self
    }

    /// The same pool; packets that leave the cluster take the node's address if `yes`.
    #[must_use]
    pub fn with_nat_outgoing(mut self, yes: bool) -> Self {
        self.spec.nat_outgoing = yes;
        self
    }

    /// The same pool; nothing is assigned or claimed from it if `yes`.
    #[must_use]
    pub fn with_disabled(mut self, yes: bool) -> Self {
        self.spec.disabled = yes;
        self
    }

    /// The same pool with what the datastore demands of each record: a unique id and the time of
    /// its creation. Calico's clients refuse to update a record without them.
    pub(crate) fn recorded(mut self, uid: String, created: String) -> Self {
        self.metadata.uid = uid;
        self.metadata.created = created;
        self
    }

    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pool's prefix.
    #[must_use]
    pub fn cidr(&self) -> Ipv4Prefix {
        self.cidr
    }

    /// The prefix length of its blocks in bits, 20 to 32.
    #[must_use]
    pub fn block_len(&self) -> u8 {
        self.block_len
    }

    /// When packets are encapsulated.
    #[must_use]
    pub fn ipip_mode(&self) -> IpipMode {
        self.spec.ipip_mode.unwrap_or_default()
    }

    /// Whether packets that leave the cluster take the node's address.
    #[must_use]
    pub fn nat_outgoing(&self) -> bool {
        self.spec.nat_outgoing
    }

    /// Whether addresses may be assigned from it: not disabled, not being deleted.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.spec.disabled && self.metadata.deletion.is_empty()
    }

    /// Whether a workload that asks for any address, on whatever node and in whatever namespace,
    /// may get one of this pool.
    ///
    /// Selectors are not evaluated: a pool with a node or namespace selector other than `all()` is
    /// used only where it is named.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        let everything = |selector: &str| matches!(selector.trim(), "" | "all()");
        let spec = &self.spec;
        let uses = &spec.allowed_uses;
        self.is_enabled()
            && matches!(spec.assignment_mode.as_str(), "" | "Automatic")
            && everything(&spec.node_selector)
            && everything(&spec.namespace_selector)
            && (uses.is_empty() || uses.iter().any(|one| one == "Workload"))
    }

    /// How many blocks it is cut into, 1 to 2³².
    #[must_use]
    pub fn block_count(&self) -> u64 {
        1 << (self.block_len - self.cidr.len())
    }

    /// The block at `index`, counted from 0; `None` past the last.
    #[must_use]
    pub fn block(&self, index: u64) -> Option<BlockPrefix> {
        if index >= self.block_count() {
            return None;
        }
        let offset = u32::try_from(index << (MAX_BLOCK_LEN - self.block_len)).ok()?;
        self.block_of(self.cidr.nth(offset)?)
    }

    /// The block that holds `addr`; `None` if the address is outside the pool.
    #[must_use]
    pub fn block_of(&self, addr: Ipv4Addr) -> Option<BlockPrefix> {
        let prefix = Ipv4Prefix::containing(addr, self.block_len).ok()?;
        let block = BlockPrefix::try_from(prefix).ok()?;
        self.cidr.contains(addr).then_some(block)
    }

    /// The blocks it is cut into, in order.
    pub fn blocks(&self) -> impl Iterator<Item = BlockPrefix> {
        (0..self.block_count()).filter_map(|index| self.block(index))
    }
}

/// 169.254.0.0/16: https://www.rfc-editor.org/rfc/rfc3927#section-2.1
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 0);

/// The rules of Calico's clients for one pool; those between pools are the allocator's.
fn check(name: &str, cidr: Ipv4Prefix, block_len: u8) -> Result<(), PoolError> {
    let name = name.to_owned();
    if !is_kubernetes_name(&name) {
        return Err(PoolError::Name { name });
    }
    if !(MIN_BLOCK_LEN..=MAX_BLOCK_LEN).contains(&block_len) {
        let len = block_len;
        return Err(PoolError::BlockLen { name, len });
    }
    if cidr.len() > block_len {
        return Err(PoolError::TooSmall {
            name,
            cidr,
            block_len,
        });
    }
    let link_local = Ipv4Prefix::try_new(LINK_LOCAL, 16).expect("no host bits");
    if cidr.overlaps(link_local) {
        return Err(PoolError::LinkLocal { name, cidr });
    }
    Ok(())
}

/// https://www.rfc-editor.org/rfc/rfc1123#section-2.1 in lower case, as Kubernetes names objects.
fn is_kubernetes_name(name: &str) -> bool {
    let letter_or_digit = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|c| letter_or_digit(*c) || *c == b'-')
            && bytes.first().is_some_and(|c| letter_or_digit(*c))
            && bytes.last().is_some_and(|c| letter_or_digit(*c))
    };
    name.len() <= PATH_ELEMENT_MAX && name.split('.').all(label)
}
