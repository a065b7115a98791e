//! What the allocator reads beside pools and blocks: `AllocatorConfig`, `Reservation`, `NodeRecord`.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::name::NodeName;
use ipip_core::resource::{self, Node, ResourceError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::args::{self, Given};
use crate::attributes;
use crate::buffer::Octets;
use crate::errors;

/// The allocator's configuration, one for the whole cluster.
///
/// strict_affinity: a node assigns addresses of its own blocks only, and never borrows.
/// auto_allocate_blocks: a node that needs a block claims one. max_blocks_per_node: the most blocks that
/// a node may claim; 0 says nothing and leaves Calico's 20. cooldown: how many seconds a released address
/// is given to nobody, at most 1200.
///
/// Raises InvalidArgument for a limit, or for no new blocks, without strict affinity.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct AllocatorConfig(pub(crate) resource::AllocatorConfig);

#[pymethods]
impl AllocatorConfig {
    #[new]
    #[pyo3(
        signature = (*, strict_affinity=Given::Default, auto_allocate_blocks=Given::Default, max_blocks_per_node=Given::Default, cooldown=Given::Default),
        text_signature = "(*, strict_affinity=False, auto_allocate_blocks=True, max_blocks_per_node=0, cooldown=0)"
    )]
    fn new<'py>(
        py: Python<'py>,
        strict_affinity: Given<'py>,
        auto_allocate_blocks: Given<'py>,
        max_blocks_per_node: Given<'py>,
        cooldown: Given<'py>,
    ) -> PyResult<Self> {
        let number = |name, given: Given<'py>| {
            let number = given.or(0, |value| args::integer(name, value, 0..=u32::MAX.into()))?;
            Ok::<_, PyErr>(u32::try_from(number).unwrap_or(u32::MAX))
        };
        let mut config = resource::AllocatorConfig::default();
        config.strict_affinity =
            strict_affinity.or(false, |value| args::flag("strict_affinity", value))?;
        config.auto_allocate_blocks =
            auto_allocate_blocks.or(true, |value| args::flag("auto_allocate_blocks", value))?;
        config.max_blocks_per_node = number("max_blocks_per_node", max_blocks_per_node)?;
        config.cooldown = Duration::from_secs(number("cooldown", cooldown)?.into());
        config
            .check()
            .map_err(|fault| errors::invalid(py)(&fault))?;
        Ok(Self(config))
    }

    /// The configuration in Calico's JSON (bytes, or any buffer of UTF-8), unchecked. There, a missing
    /// auto_allocate_blocks is False.
    ///
    /// Raises InvalidArgument naming the field.
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Self> {
        read(json, resource::AllocatorConfig::from_json).map(Self)
    }

    /// The configuration as Calico writes it.
    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_json())
    }

    /// Whether a node assigns addresses of its own blocks only.
    #[getter]
    fn strict_affinity(&self) -> bool {
        self.0.strict_affinity
    }

    /// Whether a node that needs a block claims one.
    #[getter]
    fn auto_allocate_blocks(&self) -> bool {
        self.0.auto_allocate_blocks
    }

    /// The most blocks that a node may claim; 0 if none is said.
    #[getter]
    fn max_blocks_per_node(&self) -> u32 {
        self.0.max_blocks_per_node
    }

    /// How many seconds a released address is given to nobody.
    #[getter]
    fn cooldown(&self) -> u64 {
        self.0.cooldown.as_secs()
    }

    fn __repr__(&self) -> String {
        format!(
            "AllocatorConfig(strict_affinity={}, auto_allocate_blocks={}, max_blocks_per_node={}, cooldown={})",
            args::boolean(self.strict_affinity()),
            args::boolean(self.auto_allocate_blocks()),
            self.max_blocks_per_node(),
            self.cooldown(),
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.0.to_json())
    }
}

/// Addresses set aside: assigning any address passes over them, asking for one by name does not.
///
/// Raises InvalidArgument for a name that Kubernetes refuses.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Reservation(pub(crate) resource::Reservation);

#[pymethods]
impl Reservation {
    #[new]
    fn new(name: &Bound<'_, PyAny>, cidrs: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = name.py();
        let name = args::text("name", name)?;
        let items = args::items("cidrs", "a sequence of str or ipaddress.IPv4Network", cidrs)?;
        let prefixes = items.iter().map(|item| args::prefix("cidrs", item));
        let networks = prefixes.map(|prefix| prefix.map(Into::into));
        let networks = networks.collect::<PyResult<Vec<_>>>()?;
        let reservation = resource::Reservation::try_new(&name, &networks);
        reservation
            .map(Self)
            .map_err(|fault| errors::invalid(py)(&fault))
    }

    /// The reservation in Calico's JSON (bytes, or any buffer of UTF-8).
    ///
    /// Raises InvalidArgument naming the field.
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Self> {
        read(json, resource::Reservation::from_json).map(Self)
    }

    /// The reservation as Calico writes it.
    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_json())
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The IPv4 addresses set aside, in the order of its list.
    #[getter]
    fn cidrs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let cidrs = self.0.cidrs();
        cidrs.map(|cidr| args::network(py, cidr)).collect()
    }

    /// The entries that are neither an address nor a prefix: they reserve nothing.
    #[getter]
    fn malformed(&self) -> Vec<&str> {
        self.0.malformed().collect()
    }

    fn __repr__(&self) -> String {
        let cidrs: Vec<_> = self.0.cidrs().map(|cidr| cidr.to_string()).collect();
        format!("<Reservation {} {}>", self.0.name(), cidrs.join(" "))
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.0.to_json())
    }
}

/// A node as Calico stores it.
///
/// labels, a mapping of str to str, are what pools select nodes by; address is the node's on the
/// underlay with the prefix length of its subnet, such as "172.18.0.3/16"; tunnel_address is held by its
/// tunnel device.
///
/// Raises InvalidArgument for a malformed name.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct NodeRecord(pub(crate) Node);

#[pymethods]
impl NodeRecord {
    #[new]
    #[pyo3(signature = (name, *, labels=None, address=None, tunnel_address=None))]
    fn new(
        name: &Bound<'_, PyAny>,
        labels: Option<&Bound<'_, PyAny>>,
        address: Option<&Bound<'_, PyAny>>,
        tunnel_address: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = name.py();
        let text = args::text("name", name)?;
        let name = NodeName::try_new(&text).map_err(|fault| args::invalid(py, "name", fault))?;
        let mut node = Node::new(name);
        let labels = labels.map(|labels| args::pairs("labels", labels));
        for (key, value) in labels.transpose()?.unwrap_or_default() {
            node = node.with_label(&key, &value);
        }
        if let Some(value) = address {
            let (addr, len) = args::address_in_subnet("address", value)?;
            let changed = node.with_addr(NodeAddr(addr), len);
            node = changed.map_err(|fault| args::invalid(py, "address", fault))?;
        }
        if let Some(value) = tunnel_address {
            let addr = args::address("tunnel_address", value)?;
            node = node.with_tunnel_addr(Some(TunnelAddr(addr)));
        }
        Ok(Self(node))
    }

    /// The node in Calico's JSON (bytes, or any buffer of UTF-8).
    ///
    /// Raises InvalidArgument naming the field that breaks a rule.
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Self> {
        read(json, Node::from_json).map(Self)
    }

    /// The node as Calico writes it; fields that we do not know stay.
    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_json())
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name().as_str()
    }

    /// Its labels.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        attributes::dict(py, self.0.labels())
    }

    /// Its address on the underlay with its subnet, a /32 if no length is stored; None if unknown.
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let address = self.0.addr().zip(self.0.subnet());
        address
            .map(|(addr, subnet)| args::in_subnet(py, addr.0, subnet.len()))
            .transpose()
    }

    /// The address that its tunnel device holds; None if unknown.
    #[getter]
    fn tunnel_address(&self) -> Option<Ipv4Addr> {
        self.0.tunnel_addr().map(|addr| addr.0)
    }

    fn __repr__(&self) -> String {
        let address = self.0.addr().zip(self.0.subnet());
        let address = address.map_or("None".to_owned(), |(addr, subnet)| {
            format!("{addr}/{}", subnet.len())
        });
        format!("<NodeRecord {} address={address}>", self.0.name())
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.0.to_json())
    }
}

fn read<T>(json: &Bound<'_, PyAny>, parse: fn(&[u8]) -> Result<T, ResourceError>) -> PyResult<T> {
    let py = json.py();
    let octets = Octets::of("json", json)?;
    parse(&octets.read(py)?).map_err(|fault| args::invalid(py, "json", fault))
}
