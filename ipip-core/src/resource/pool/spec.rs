//! What a pool says besides its prefix and block size: modes, uses, selectors.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::resource::json::Extra;
use crate::resource::{Selector, SelectorError};

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

/// What the addresses of a pool may be assigned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Use {
    /// Pods and other workloads.
    #[default]
    Workload,
    /// The tunnel devices of nodes.
    Tunnel,
    /// Services of type `LoadBalancer`.
    LoadBalancer,
}

impl Use {
    /// All of them, in Calico's order.
    pub const ALL: [Self; 3] = [Self::Workload, Self::Tunnel, Self::LoadBalancer];

    /// What a pool allows that says nothing.
    pub const DEFAULT: [Self; 2] = [Self::Workload, Self::Tunnel];

    /// Calico's text, `Workload`, `Tunnel` or `LoadBalancer`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "Workload",
            Self::Tunnel => "Tunnel",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may be assigned addresses of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssignmentMode {
    /// Whoever asks for any address.
    #[default]
    Automatic,
    /// Only who names the pool or the address.
    Manual,
}

impl AssignmentMode {
    /// Calico's text, `Automatic` or `Manual`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "Automatic",
            Self::Manual => "Manual",
        }
    }
}

impl fmt::Display for AssignmentMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A selector as it was found; the empty text is Calico's "not given".
///
/// A malformed one selects nothing: a pool that somebody wrote badly must stop neither the others'
/// use nor its own repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) text: String,
    pub(super) selector: Result<Selector, SelectorError>,
}

impl From<String> for Chosen {
    fn from(text: String) -> Self {
        let selector = Selector::parse(&text);
        Self { text, selector }
    }
}

impl From<Selector> for Chosen {
    fn from(selector: Selector) -> Self {
        Self {
            text: selector.as_str().to_owned(),
            selector: Ok(selector),
        }
    }
}

impl Default for Chosen {
    fn default() -> Self {
        Self::from(String::new())
    }
}

impl Chosen {
    pub(super) fn is_all(&self) -> bool {
        self.selector.as_ref().is_ok_and(Selector::is_all)
    }

    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector
            .as_ref()
            .is_ok_and(|selector| selector.matches(labels))
    }
}

/// The fields of `spec` besides prefix and block size, as they were found: empty and false are
/// Calico's "not given".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Spec {
    /// Of another kind of tunnel, with the same three modes.
    pub(super) vxlan_mode: Option<IpipMode>,
    pub(super) ipip_mode: Option<IpipMode>,
    pub(super) nat_outgoing: bool,
    pub(super) disabled: bool,
    pub(super) disable_bgp_export: bool,
    pub(super) node_selector: Chosen,
    pub(super) namespace_selector: Chosen,
    /// As text: later versions of Calico may know more uses than we do.
    pub(super) allowed_uses: Vec<String>,
    /// As text, for the same reason; a mode that we do not know is not automatic.
    pub(super) assignment_mode: String,
    pub(super) extra: Extra,
}

impl Spec {
    /// What `calicoctl` writes for a pool of which only the prefix is said.
    pub(super) fn new() -> Self {
        Self {
            vxlan_mode: Some(IpipMode::Never),
            ipip_mode: Some(IpipMode::Never),
            node_selector: Selector::all().into(),
            allowed_uses: uses(&Use::DEFAULT),
            assignment_mode: AssignmentMode::Automatic.to_string(),
            ..Self::default()
        }
    }

    pub(super) fn allows(&self, purpose: Use) -> bool {
        if self.allowed_uses.is_empty() {
            return Use::DEFAULT.contains(&purpose);
        }
        self.allowed_uses.iter().any(|one| one == purpose.as_str())
    }

    pub(super) fn assignment_mode(&self) -> AssignmentMode {
        match self.assignment_mode.as_str() {
            "" | "Automatic" => AssignmentMode::Automatic,
            _ => AssignmentMode::Manual,
        }
    }
}

/// Calico's texts for `purposes`, each once.
pub(super) fn uses(purposes: &[Use]) -> Vec<String> {
    let listed = Use::ALL.into_iter().filter(|one| purposes.contains(one));
    listed.map(|one| one.to_string()).collect()
}
