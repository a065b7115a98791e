//! `Ipv4Header` and `IpipPacket`: what was read from a packet.

use std::net::Ipv4Addr;
use std::ops::Range;

use ipip_core::wire::{self, IpipView, Ipv4View};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice};

use crate::args;
use crate::fragment::FragmentPart;

/// One IPv4 header that passed every check. Lengths are in octets.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(Clone, PartialEq, Hash)]
pub(crate) struct Ipv4Header {
    /// Length of the header with its options, 20 to 60.
    #[pyo3(get)]
    header_len: usize,
    /// Length of the packet, header included.
    #[pyo3(get)]
    total_len: u16,
    /// The differentiated services code point, 0 to 63.
    #[pyo3(get)]
    dscp: u8,
    /// The congestion field: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    #[pyo3(get)]
    ecn: u8,
    /// What fragments of one packet share, 0 to 65535.
    #[pyo3(get)]
    identification: u16,
    /// DF: routers may not fragment the packet.
    #[pyo3(get)]
    dont_fragment: bool,
    /// MF: another fragment follows.
    #[pyo3(get)]
    more_fragments: bool,
    /// Where this fragment belongs, in units of 8 octets, 0 to 8191.
    #[pyo3(get)]
    fragment_offset: u16,
    /// Hops left, 0 to 255.
    #[pyo3(get)]
    ttl: u8,
    /// What the payload is: 1 ICMP, 4 IPv4, 6 TCP, 17 UDP …
    #[pyo3(get)]
    protocol: u8,
    /// The header checksum as found, which is right.
    #[pyo3(get)]
    checksum: u16,
    /// Where the packet comes from.
    #[pyo3(get)]
    source: Ipv4Addr,
    /// Where the packet goes.
    #[pyo3(get)]
    destination: Ipv4Addr,
    options: Vec<u8>,
    fragment: Option<wire::FragmentPart>,
}

#[pymethods]
impl Ipv4Header {
    /// The options with their padding, 0 to 40 octets, unread.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.options)
    }

    /// Whether the packet is a part of another.
    #[getter]
    fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// Where the packet belongs if it is a part of another; None for a whole one.
    #[getter]
    fn fragment(&self) -> Option<FragmentPart> {
        self.fragment.map(FragmentPart)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Ipv4Header {} > {} protocol={} ttl={} total_len={} dscp={} ecn={} identification={:#06x} \
             dont_fragment={} more_fragments={} fragment_offset={} header_len={}>",
            self.source,
            self.destination,
            self.protocol,
            self.ttl,
            self.total_len,
            self.dscp,
            self.ecn,
            self.identification,
            args::boolean(self.dont_fragment),
            args::boolean(self.more_fragments),
            self.fragment_offset,
            self.header_len,
        )
    }
}

impl From<&Ipv4View<'_>> for Ipv4Header {
    fn from(view: &Ipv4View<'_>) -> Self {
        Self {
            header_len: view.header_len(),
            total_len: view.total_len(),
            dscp: view.dscp().value(),
            ecn: view.ecn().value(),
            identification: view.identification(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset: view.fragment_offset().units(),
            ttl: view.ttl(),
            protocol: view.protocol(),
            checksum: view.checksum(),
            source: view.source(),
            destination: view.destination(),
            options: view.options().to_vec(),
            fragment: view.fragment(),
        }
    }
}

/// Both headers of an IPIP packet.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct IpipPacket {
    /// The header of the packet between the nodes.
    #[pyo3(get)]
    outer: Ipv4Header,
    /// The header of the packet that it carries.
    #[pyo3(get)]
    inner: Ipv4Header,
    inner_range: Range<usize>,
}

#[pymethods]
impl IpipPacket {
    /// Where the inner packet lies: packet[parsed.inner_slice], padding cut off.
    #[getter]
    fn inner_slice<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySlice>> {
        let Range { start, end } = self.inner_range;
        Ok(PySlice::new(py, start.try_into()?, end.try_into()?, 1))
    }

    fn __repr__(&self) -> String {
        format!(
            "<IpipPacket outer={} inner={}>",
            self.outer.__repr__(),
            self.inner.__repr__()
        )
    }
}

impl From<&IpipView<'_>> for IpipPacket {
    fn from(view: &IpipView<'_>) -> Self {
        Self {
            outer: (&view.outer).into(),
            inner: (&view.inner).into(),
            inner_range: view.inner_range(),
        }
    }
}
