//! `Pool`: what blocks are cut from.

use ipip_core::resource::{self, IpipMode};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};

use crate::args::{self, Given};

const MODES: [(&str, IpipMode); 3] = [
    ("Never", IpipMode::Never),
    ("Always", IpipMode::Always),
    ("CrossSubnet", IpipMode::CrossSubnet),
];

/// A pool: the prefix that blocks are cut from, and how its addresses are routed.
///
/// block_len is the prefix length of its blocks, 20 to 32; ipip_mode says when packets
/// between two nodes are encapsulated: "Always", "CrossSubnet" or, as Calico has it where nothing is
/// said, "Never"; nothing is assigned from a disabled pool.
///
/// Raises InvalidArgument for a name that Kubernetes refuses, a link-local prefix, or one smaller than
/// a block.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Pool(pub(crate) resource::Pool);

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(
        signature = (name, cidr, block_len=Given::Default, *, ipip_mode=Given::Default, nat_outgoing=Given::Default, disabled=Given::Default),
        text_signature = "(name, cidr, block_len=26, *, ipip_mode='Never', nat_outgoing=False, disabled=False)"
    )]
    fn new<'py>(
        name: &Bound<'py, PyAny>,
        cidr: &Bound<'py, PyAny>,
        block_len: Given<'py>,
        ipip_mode: Given<'py>,
        nat_outgoing: Given<'py>,
        disabled: Given<'py>,
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
        let pool = resource::Pool::try_new(&name, cidr.into(), block_len);
        let pool = pool.map_err(|fault| crate::errors::invalid(py)(&fault))?;
        Ok(Self(
            pool.with_ipip_mode(mode)
                .with_nat_outgoing(nat_outgoing)
                .with_disabled(disabled),
        ))
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

    /// Whether addresses may be assigned from it.
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
