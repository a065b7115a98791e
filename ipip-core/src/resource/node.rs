//! A node as Calico stores it: its labels and its addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::ResourceError;
use super::json::{Extra, Object, ObjectWriter};
use super::metadata::Metadata;
use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use crate::name::NodeName;

/// A host taking part, with what others must know of it: labels, by which pools select it, its
/// address on the underlay with the length of its subnet, and the address that its tunnel device
/// holds.
///
/// ```
/// use ipip_core::{addr::NodeAddr, name::NodeName, resource::Node};
/// let node = Node::new(NodeName::try_new("node-a")?)
///     .with_label("zone", "west")
///     .with_addr("172.18.0.3/16".parse()?);
/// assert_eq!(node.addr(), Some(NodeAddr("172.18.0.3".parse()?)));
/// assert_eq!(node.subnet(), Some("172.18.0.0/16".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    name: NodeName,
    bgp: Bgp,
    metadata: Metadata,
    spec_extra: Extra,
    extra: Extra,
}

/// `spec.bgp`, where Calico keeps a node's IPv4 addresses even without BGP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Bgp {
    as_number: Extra,
    /// The prefix length is missing in some records: the node is alone in its subnet.
    addr: Option<(Ipv4Addr, Option<u8>)>,
    ipv6: Extra,
    tunnel_addr: Option<Ipv4Addr>,
    extra: Extra,
}

impl Node {
    /// A node without labels and addresses.
    #[must_use]
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            bgp: Bgp::default(),
            metadata: Metadata::default(),
            spec_extra: Extra::default(),
            extra: Extra::empty_object("status"),
        }
    }

    /// The same node with the label `key` set to `value`.
    #[must_use]
    pub fn with_label(mut self, key: &str, value: &str) -> Self {
        let labels = &mut self.metadata.labels;
        labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same node with an address on the underlay and the prefix length of its subnet, in bits;
    /// /32 makes every other node one of another subnet.
    #[must_use]
    pub fn with_addr(mut self, addr: Ipv4Network) -> Self {
        self.bgp.addr = Some((addr.ip(), Some(addr.prefix())));
        self
    }

    /// The same node with the address that its tunnel device holds, or without.
    #[must_use]
    pub fn with_tunnel_addr(mut self, addr: Option<TunnelAddr>) -> Self {
        self.bgp.tunnel_addr = addr.map(|addr| addr.0);
        self
    }

    /// The same node with a unique id and the time of its creation.
    #[allow(dead_code, reason = "for the allocator, where it stores the record")]
    pub(crate) fn recorded(mut self, uid: String, created: String) -> Self {
        self.metadata.record(uid, created);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.metadata.labels
    }

    /// Its address on the underlay, if known.
    #[must_use]
    pub fn addr(&self) -> Option<NodeAddr> {
        self.bgp.addr.map(|(addr, _)| NodeAddr(addr))
    }

    /// The subnet of its address; a /32 if no prefix length is stored.
    #[must_use]
    pub fn subnet(&self) -> Option<Ipv4Prefix> {
        let (addr, len) = self.bgp.addr?;
        Ipv4Prefix::containing(addr, len.unwrap_or(32)).ok()
    }

    /// The address that its tunnel device holds, if known.
    #[must_use]
    pub fn tunnel_addr(&self) -> Option<TunnelAddr> {
        self.bgp.tunnel_addr.map(TunnelAddr)
    }

    /// Reads the stored value.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field and the rule.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        let mut object = Object::parse(text)?;
        let (name, metadata, mut spec) = Metadata::take(&mut object)?;
        let name = NodeName::try_new(&name).map_err(|error| ResourceError::Field {
            field: "name",
            detail: error.to_string(),
        })?;
        let bgp = spec.take_object("bgp")?;
        Ok(Self {
            name,
            bgp: bgp.map(Bgp::from_object).transpose()?.unwrap_or_default(),
            metadata,
            spec_extra: spec.into_extra(),
            extra: object.into_extra(),
        })
    }

    /// The value to be stored, as Calico writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let spec = |out: &mut Vec<u8>| {
            let mut object = ObjectWriter::new(out);
            if self.bgp != Bgp::default() {
                object.field_with("bgp", |out| self.bgp.write(out));
            }
            object.end(&self.spec_extra);
        };
        let name = self.name.as_str();
        self.metadata.resource("Node", name, spec, &self.extra)
    }
}

impl Bgp {
    fn from_object(mut object: Object) -> Result<Self, ResourceError> {
        let addr: Option<String> = object.take("ipv4Address")?;
        let tunnel_addr: Option<String> = object.take("ipv4IPIPTunnelAddr")?;
        Ok(Self {
            as_number: object.take_extra("asNumber"),
            addr: given(addr).map(|text| with_len(&text)).transpose()?,
            ipv6: object.take_extra("ipv6Address"),
            tunnel_addr: given(tunnel_addr).map(|text| tunnel(&text)).transpose()?,
            extra: object.into_extra(),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.extra(&self.as_number);
        match self.addr {
            Some((addr, Some(len))) => object.field("ipv4Address", &format!("{addr}/{len}")),
            Some((addr, None)) => object.field("ipv4Address", &addr.to_string()),
            None => {}
        }
        object.extra(&self.ipv6);
        if let Some(addr) = self.tunnel_addr {
            object.field("ipv4IPIPTunnelAddr", &addr.to_string());
        }
        object.end(&self.extra);
    }
}

/// Empty is Calico's "not given".
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn with_len(text: &str) -> Result<(Ipv4Addr, Option<u8>), ResourceError> {
    let parse = || match text.split_once('/') {
        Some((addr, len)) => {
            let len = len.parse().ok().filter(|len| *len <= 32)?;
            Some((addr.parse().ok()?, Some(len)))
        }
        None => Some((text.parse().ok()?, None)),
    };
    parse().ok_or_else(|| ResourceError::Field {
        field: "ipv4Address",
        detail: format!("{text:?} is not of the form a.b.c.d/len or a.b.c.d"),
    })
}

fn tunnel(text: &str) -> Result<Ipv4Addr, ResourceError> {
    text.parse().map_err(|_| ResourceError::Field {
        field: "ipv4IPIPTunnelAddr",
        detail: format!("{text:?} is not of the form a.b.c.d"),
    })
}
