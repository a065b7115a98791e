//! `Pool`: what blocks are cut from.

use ipip_core::resource::{self, AssignmentMode, IpipMode, Selector, Use};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyTuple};

use crate::args::{self, Given};
use crate::buffer::Octets;

const MODES: [(&str, IpipMode); 3] = [
    ("Never", IpipMode::Never),
    ("Always", IpipMode::Always),
    ("CrossSubnet", IpipMode::CrossSubnet),
];

pub(crate) const USES: [(&str, Use); 3] = [
    ("Workload", Use::Workload),
    ("Tunnel", Use::Tunnel),
    ("LoadBalancer", Use::LoadBalancer),
];

const ASSIGNMENT_MODES: [(&str, AssignmentMode); 2] = [
    ("Automatic", AssignmentMode::Automatic),
    ("Manual", AssignmentMode::Manual),
];

/// A pool: the prefix that blocks are cut from, and how its addresses are routed.
///
/// block_len is the prefix length of its blocks, 20 to 32; ipip_mode says when packets
/// between two nodes are encapsulated: "Always", "CrossSubnet" or, as Calico has it where nothing is
/// said, "Never"; nothing is assigned from a disabled pool. node_selector, in Calico's language, says
/// which nodes may claim blocks of it unasked, such as "zone == 'west'"; allowed_uses lists "Workload",
/// "Tunnel" and "LoadBalancer"; a pool whose assignment_mode is "Manual" must be named to be used.
///
/// Raises InvalidArgument for a name that Kubernetes refuses, a link-local prefix, or one smaller than
/// a block, and for a malformed selector.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Pool(pub(crate) resource::Pool);

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(
        signature = (name, cidr, block_len=Given::Default, *, ipip_mode=Given::Default, nat_outgoing=Given::Default, disabled=Given::Default, node_selector=Given::Default, allowed_uses=Given::Default, assignment_mode=Given::Default),
        text_signature = "(name, cidr, block_len=26, *, ipip_mode='Never', nat_outgoing=False, disabled=False, node_selector='all()', allowed_uses=('Workload', 'Tunnel'), assignment_mode='Automatic')"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of its own")]
    fn new<'py>(
        name: &Bound<'py, PyAny>,
        cidr: &Bound<'py, PyAny>,
        block_len: Given<'py>,
        ipip_mode: Given<'py>,
        nat_outgoing: Given<'py>,
        disabled: Given<'py>,
        node_selector: Given<'py>,
        allowed_uses: Given<'py>,
        assignment_mode: Given<'py>,
    ) -> PyResult<Self> {
        let py = name.py();
        let name = args::text("name", name)?;
        let cidr = args::prefix("cidr", cidr)?;
        let block_len = block_len.or(resource::DEFAULT_BLOCK_LEN, |len| {
            args::octet("block_len", len)
        })?;
        let mode = ipip_mode.or(IpipMode::default(), |mode| {
            args::choice("ipip_mode", mode, &MODES)
        })?;
        let flag = |name, given: Given<'py>| given.or(false, |value| args::flag(name, value));
        let nat_outgoing = flag("nat_outgoing", nat_outgoing)?;
        let disabled = flag("disabled", disabled)?;
        let selector = node_selector.or(Selector::all(), selector)?;
        let uses = allowed_uses.or(Use::DEFAULT.to_vec(), uses)?;
        let assignment = assignment_mode.or(AssignmentMode::default(), |mode| {
            args::choice("assignment_mode", mode, &ASSIGNMENT_MODES)
        })?;
        let pool = resource::Pool::try_new(&name, cidr.into(), block_len);
        let pool = pool.map_err(|fault| crate::errors::invalid(py)(&fault))?;
        Ok(Self(
            pool.with_ipip_mode(mode)
                .with_nat_outgoing(nat_outgoing)
                .with_disabled(disabled)
                .with_node_selector(selector)
                .with_allowed_uses(&uses)
                .with_assignment_mode(assignment),
        ))
    }

    /// The pool in Calico's JSON (bytes, or any buffer of UTF-8); None for an IPv6 pool.
    ///
    /// Raises InvalidArgument naming the field that breaks a rule.
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = json.py();
        let octets = Octets::of("json", json)?;
        let pool = resource::Pool::from_json(&octets.read(py)?);
        let pool = pool.map_err(|fault| args::invalid(py, "json", fault))?;
        Ok(pool.map(Self))
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The prefix that blocks are cut from.
    #[getter]
    fn cidr<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        args::network(py, self.0.cidr())
    }

    /// The prefix length of its blocks in bits, 20 to 32.
    #[getter]
    fn block_len(&self) -> u8 {
        self.0.block_len()
    }

    /// When packets between two nodes are encapsulated: "Always", "CrossSubnet" or "Never".
    #[getter]
    fn ipip_mode(&self) -> &'static str {
        let word = MODES.iter().find(|(_, mode)| *mode == self.0.ipip_mode());
        word.map_or("", |(word, _)| word)
    }

    /// Whether packets that leave the cluster take the node's address.
    #[getter]
    fn nat_outgoing(&self) -> bool {
        self.0.nat_outgoing()
    }

    /// Whether it says that nothing is to be assigned from it.
    #[getter]
    fn disabled(&self) -> bool {
        self.0.is_disabled()
    }

    /// Which nodes may claim blocks of it unasked, in Calico's selector language.
    ///
    /// Raises InvalidArgument if what was read is malformed: it selects no node.
    #[getter]
    fn node_selector(&self, py: Python<'_>) -> PyResult<&str> {
        let selector = self.0.node_selector();
        let selector = selector.map_err(|fault| args::invalid(py, "node_selector", fault))?;
        Ok(match selector.as_str() {
            "" => "all()",
            text => text,
        })
    }

    /// What its addresses may be assigned for: "Workload", "Tunnel", "LoadBalancer".
    #[getter]
    fn allowed_uses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let uses: Vec<_> = self.0.allowed_uses().map(Use::as_str).collect();
        PyTuple::new(py, uses)
    }

    /// Whether it must be named to be used, "Manual", or not, "Automatic".
    #[getter]
    fn assignment_mode(&self) -> &'static str {
        self.0.assignment_mode().as_str()
    }

    /// Whether a node with these labels, a mapping of str to str, may take any address of it without
    /// naming it: it is enabled and automatic, and its node selector matches.
    fn selects(&self, labels: &Bound<'_, PyAny>) -> PyResult<bool> {
        let labels = args::pairs("labels", labels)?.into_iter().collect();
        Ok(self.0.selects(&labels))
    }

    /// Whether addresses may be assigned from it: not disabled, not being deleted, and allocatable.
    #[getter]
    fn enabled(&self) -> bool {
        self.0.is_enabled()
    }

    /// How many blocks it has.
    #[getter]
    fn block_count(&self) -> u64 {
        self.0.block_count()
    }

    /// The block with this number, counted from 0; None past the last.
    fn block<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let number = args::integer("index", index, 0..=u64::MAX)?;
        let block = self.0.block(number);
        block
            .map(|block| args::network(index.py(), block.prefix()))
            .transpose()
    }

    /// The block that holds an address; None if the address is outside the pool.
    fn block_of<'py>(&self, address: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.0.block_of(args::address("address", address)?);
        block
            .map(|block| args::network(address.py(), block.prefix()))
            .transpose()
    }

    /// Its blocks, in order.
    fn blocks<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        let builtins = slf.py().import("builtins")?;
        let numbers = builtins.call_method1("range", (slf.get().0.block_count(),))?;
        builtins
            .call_method1("map", (slf.getattr("block")?, numbers))?
            .try_iter()
    }

    /// The pool as Calico writes it.
    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_json())
    }

    fn __repr__(&self) -> String {
        format!(
            "<Pool {} {} block_len={} ipip_mode={}>",
            self.0.name(),
            self.0.cidr(),
            self.0.block_len(),
            self.ipip_mode()
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.0.to_json())
    }
}

fn selector(value: &Bound<'_, PyAny>) -> PyResult<Selector> {
    let text = args::text("node_selector", value)?;
    Selector::parse(&text).map_err(|fault| args::invalid(value.py(), "node_selector", fault))
}

fn uses(value: &Bound<'_, PyAny>) -> PyResult<Vec<Use>> {
    args::each("allowed_uses", value, |name, item| {
        args::choice(name, item, &USES)
    })
}

/// Whether a selector in Calico's language, such as "has(zone) && zone != 'west'", selects what has these
/// labels, a mapping of str to str.
///
/// Raises InvalidArgument naming the place where it is malformed.
#[pyfunction]
pub(crate) fn selector_matches(
    selector: &Bound<'_, PyAny>,
    labels: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let text = args::text("selector", selector)?;
    let parsed = Selector::parse(&text);
    let parsed = parsed.map_err(|fault| args::invalid(selector.py(), "selector", fault))?;
    let labels = args::pairs("labels", labels)?.into_iter().collect();
    Ok(parsed.matches(&labels))
}
