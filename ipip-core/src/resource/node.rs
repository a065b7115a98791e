//! A node as Calico stores it: its labels and its addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::ResourceError;
use super::json::{Extra, Object, ObjectWriter};
use super::metadata::Metadata;
use crate::addr::{Ipv4Prefix, NodeAddr, PrefixError, TunnelAddr};
use crate::name::NodeName;

/// A host taking part, with what others must know of it: labels, by which pools select it, its
/// address on the underlay with the length of its subnet, and the address that its tunnel device
/// holds.
///
/// ```
/// use ipip_core::{addr::NodeAddr, name::NodeName, resource::Node};
/// let node = Node::new(NodeName::try_new("node-a")?)
///     .with_label("zone", "west")
///     .with_addr(NodeAddr("172.18.0.3".parse()?), 16)?;
/// assert_eq!(node.addr(), Some(NodeAddr("172.18.0.3".parse()?)));
/// assert_eq!(node.subnet(), Some("172.18.0.0/16".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    name: NodeName,
    bgp: Option<Bgp>,
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
            bgp: None,
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
    /// 32 makes every other node one of another subnet.
    ///
    /// # Errors
    /// [`PrefixError::Len`] above 32 bits.
    pub fn with_addr(mut self, addr: NodeAddr, subnet_len: u8) -> Result<Self, PrefixError> {
        Ipv4Prefix::containing(addr.0, subnet_len)?;
        let bgp = self.bgp.get_or_insert_default();
        bgp.addr = Some((addr.0, Some(subnet_len)));
        Ok(self)
    }

    /// The same node with the address that its tunnel device holds, or without.
    #[must_use]
    pub fn with_tunnel_addr(mut self, addr: Option<TunnelAddr>) -> Self {
        let mut bgp = self.bgp.unwrap_or_default();
        bgp.tunnel_addr = addr.map(|addr| addr.0);
        // As Calico does when it takes the address away: nothing left, no object.
        self.bgp = Some(bgp).filter(|bgp| *bgp != Bgp::default());
        self
    }

    /// What to store where `self` is stored and `wanted` is asked for: labels and addresses of
    /// `wanted`, with the id and times of `self`, and its fields that we do not know.
    #[must_use]
    pub fn updated(&self, wanted: &Self) -> Self {
        let bgp = match (&self.bgp, &wanted.bgp) {
            (Some(stored), wanted) => stored.updated(&wanted.clone().unwrap_or_default()),
            (None, wanted) => wanted.clone(),
        };
        Self {
            bgp,
            metadata: self.metadata.updated(&wanted.metadata),
            spec_extra: self.spec_extra.or_newer(&wanted.spec_extra),
            ..self.clone()
        }
    }

    /// The same node with a unique id and the time of its creation.
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
        let (addr, _) = self.bgp.as_ref()?.addr?;
        Some(NodeAddr(addr))
    }

    /// The subnet of its address; a /32 if no prefix length is stored.
    #[must_use]
    pub fn subnet(&self) -> Option<Ipv4Prefix> {
        let (addr, len) = self.bgp.as_ref()?.addr?;
        Ipv4Prefix::containing(addr, len.unwrap_or(32)).ok()
    }

    /// The address that its tunnel device holds, if known.
    #[must_use]
    pub fn tunnel_addr(&self) -> Option<TunnelAddr> {
        self.bgp.as_ref()?.tunnel_addr.map(TunnelAddr)
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
            bgp: bgp.map(Bgp::from_object).transpose()?,
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
            if let Some(bgp) = &self.bgp {
                object.field_with("bgp", |out| bgp.write(out));
            }
            object.end(&self.spec_extra);
        };
        let name = self.name.as_str();
        self.metadata.resource("Node", name, spec, &self.extra)
    }
}

impl Bgp {
    fn updated(&self, wanted: &Self) -> Option<Self> {
        let bgp = Self {
            as_number: self.as_number.or_newer(&wanted.as_number),
            ipv6: self.ipv6.or_newer(&wanted.ipv6),
            extra: self.extra.or_newer(&wanted.extra),
            ..wanted.clone()
        };
        Some(bgp).filter(|bgp| *bgp != Self::default())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = r#"{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"node1","uid":"d3a0a8d1-9f37-4c39-8c8e-1a7e5b1f2c01","creationTimestamp":"2026-08-22T13:31:00Z","labels":{"kubernetes.io/hostname":"node1"}},"spec":{"bgp":{"ipv4Address":"10.0.0.11/24","ipv4IPIPTunnelAddr":"192.168.166.128"},"orchRefs":[{"nodeName":"node1","orchestrator":"k8s"}],"addresses":[{"address":"10.0.0.11/24","type":"CalicoNodeIP"},{"address":"10.0.0.11","type":"InternalIP"}]},"status":{}}"#;

    fn read(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    fn written(node: &Node) -> String {
        String::from_utf8(node.to_json()).unwrap()
    }

    fn with_bgp(bgp: &str) -> String {
        format!(r#"{{"metadata":{{"name":"n"}},"spec":{{"bgp":{bgp}}}}}"#)
    }

    #[test]
    fn calicos_own_json_is_reproduced() {
        let node = read(STORED);
        assert_eq!(written(&node), STORED);
        assert_eq!(node.addr(), Some(NodeAddr(Ipv4Addr::new(10, 0, 0, 11))));
        assert_eq!(node.subnet(), Some("10.0.0.0/24".parse().unwrap()));
        assert_eq!(
            node.tunnel_addr(),
            Some(TunnelAddr(Ipv4Addr::new(192, 168, 166, 128)))
        );
        assert_eq!(node.labels()["kubernetes.io/hostname"], "node1");
    }

    #[test]
    fn a_new_one_is_written_as_calico_does() {
        let node = Node::new(NodeName::try_new("n").unwrap())
            .with_label("zone", "<a>")
            .with_addr(NodeAddr(Ipv4Addr::new(10, 0, 0, 11)), 24)
            .unwrap()
            .with_tunnel_addr(Some(TunnelAddr(Ipv4Addr::new(10, 1, 0, 0))))
            .recorded("u".to_owned(), "2026-08-22T13:31:00Z".to_owned());
        assert_eq!(
            written(&node),
            r#"{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"n","uid":"u","creationTimestamp":"2026-08-22T13:31:00Z","labels":{"zone":"\u003ca\u003e"}},"spec":{"bgp":{"ipv4Address":"10.0.0.11/24","ipv4IPIPTunnelAddr":"10.1.0.0"}},"status":{}}"#
        );
        assert_eq!(read(&written(&node)), node);
    }

    #[test]
    fn foreign_fields_stay_at_every_level() {
        let bgp = r#"{"asNumber":"1.10","ipv4Address":"10.0.0.11","ipv6Address":"fd80::1/64","ipv4IPIPTunnelAddr":"10.1.0.0","routeReflectorClusterID":"224.0.0.1","later":18446744073709551615}"#;
        let text = format!(
            r#"{{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{{"name":"n","creationTimestamp":null,"annotations":{{"a":"b"}}}},"spec":{{"bgp":{bgp},"wireguard":{{"interfaceIPv4Address":"10.1.0.9"}}}},"status":{{"podCIDRs":["10.2.0.0/24"]}},"x":1.50}}"#
        );
        let node = read(&text);
        assert_eq!(written(&node), text);
        assert_eq!(
            node.subnet(),
            Some("10.0.0.11/32".parse().unwrap()),
            "no length: alone in its subnet"
        );
        let wanted = Node::new(node.name().clone()).with_label("k", "v");
        assert!(
            wanted
                .clone()
                .with_addr(NodeAddr(Ipv4Addr::LOCALHOST), 33)
                .is_err()
        );
        let wanted = wanted.with_addr(NodeAddr(Ipv4Addr::new(10, 0, 0, 12)), 24);
        let updated = node.updated(&wanted.unwrap());
        let (before, after) = (
            r#""ipv4Address":"10.0.0.11""#,
            r#""ipv4Address":"10.0.0.12/24""#,
        );
        let expected = text
            .replace(before, after)
            .replace(r#""ipv4IPIPTunnelAddr":"10.1.0.0","#, "");
        let labels = r#""creationTimestamp":null,"labels":{"k":"v"}"#;
        assert_eq!(
            written(&updated),
            expected.replace(r#""creationTimestamp":null"#, labels)
        );
    }

    #[test]
    fn without_its_last_address_the_bgp_object_goes() {
        let node = read(&with_bgp(r#"{"ipv4IPIPTunnelAddr":"10.1.0.0"}"#)).with_tunnel_addr(None);
        assert!(
            written(&node).ends_with(r#""spec":{}}"#),
            "{}",
            written(&node)
        );
        let empty = read(&with_bgp("{}"));
        assert!(
            written(&empty).ends_with(r#""spec":{"bgp":{}}}"#),
            "an empty one that was there stays"
        );
        assert_eq!(empty.addr(), None);
    }

    #[test]
    fn faults_name_field_and_rule() {
        for (text, message) in [
            (
                with_bgp(r#"{"ipv4Address":"10.0.0.11/33"}"#),
                "field ipv4Address: \"10.0.0.11/33\" is not of the form a.b.c.d/len or a.b.c.d",
            ),
            (
                with_bgp(r#"{"ipv4Address":"fd80::1/64"}"#),
                "field ipv4Address: \"fd80::1/64\" is not of the form a.b.c.d/len or a.b.c.d",
            ),
            (
                with_bgp(r#"{"ipv4IPIPTunnelAddr":"10.1.0.0/32"}"#),
                "field ipv4IPIPTunnelAddr: \"10.1.0.0/32\" is not of the form a.b.c.d",
            ),
            (
                r#"{"metadata":{"name":"a/b"}}"#.to_owned(),
                "field name: node name \"a/b\" must not contain '/', white space or control characters",
            ),
            (r#"{"spec":{}}"#.to_owned(), "field metadata is missing"),
        ] {
            assert_eq!(
                Node::from_json(text.as_bytes()).unwrap_err().to_string(),
                message
            );
        }
        for (text, field) in [
            (with_bgp("[]"), "bgp"),
            (
                r#"{"metadata":{"name":"n","labels":["a"]}}"#.to_owned(),
                "labels",
            ),
            (r#"{"metadata":[]}"#.to_owned(), "metadata"),
        ] {
            let message = Node::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("field {field}: ")),
                "{message}"
            );
        }
    }
}
