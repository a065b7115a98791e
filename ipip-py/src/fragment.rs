//! Packets too long for a tunnel: cut into fragments, or asked to be shorter.

use std::net::Ipv4Addr;

use ipip_core::wire::{self, Fragments, Ipv4View, Layer};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::buffer::Octets;
use crate::{args, buffer, errors};

/// What the fragments of one packet share.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct FragmentKey(wire::FragmentKey);

#[pymethods]
impl FragmentKey {
    /// Where they come from.
    #[getter]
    fn source(&self) -> Ipv4Addr {
        self.0.source
    }

    /// Where they go.
    #[getter]
    fn destination(&self) -> Ipv4Addr {
        self.0.destination
    }

    /// What the whole packet carries.
    #[getter]
    fn protocol(&self) -> u8 {
        self.0.protocol
    }

    /// What tells one packet from the next, 0 to 65535.
    #[getter]
    fn identification(&self) -> u16 {
        self.0.identification
    }

    fn __repr__(&self) -> String {
        let key = self.0;
        format!(
            "<FragmentKey {} > {} protocol={} identification={:#06x}>",
            key.source, key.destination, key.protocol, key.identification
        )
    }
}

/// Where a fragment's payload belongs.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct FragmentPart(pub(crate) wire::FragmentPart);

#[pymethods]
impl FragmentPart {
    /// What it shares with the others; a key for a dict.
    #[getter]
    fn key(&self) -> FragmentKey {
        FragmentKey(self.0.key)
    }

    /// The first octet's place in the whole payload, in octets, 0 to 65528.
    #[getter]
    fn offset(&self) -> usize {
        self.0.offset
    }

    /// How many octets.
    #[getter]
    fn len(&self) -> usize {
        self.0.len
    }

    /// Whether this is not the end.
    #[getter]
    fn more_fragments(&self) -> bool {
        self.0.more_fragments
    }

    fn __repr__(&self) -> String {
        format!(
            "<FragmentPart offset={} len={} more_fragments={} key={}>",
            self.0.offset,
            self.0.len,
            args::boolean(self.0.more_fragments),
            self.key().__repr__()
        )
    }
}

/// The fragments of the packet at the start of a buffer, from first to last, none longer than mtu (68 to
/// 65515 octets); a packet that is short enough is the only one.
///
/// Fragments of the inner packet are put together by its destination; those of the outer packet would
/// have to be put together by the tunnel's exit. The first has all options, the others have those that
/// demand to be copied. A fragment may be cut again. Raises PacketError as parse_ipv4 does, DontFragment
/// if the packet is too long and has DF set (its sender is to be told), FragmentEnd and Options for a
/// packet that cannot be cut.
#[pyfunction]
pub(crate) fn fragments<'py>(
    packet: &Bound<'py, PyAny>,
    mtu: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = packet.py();
    let octets = Octets::of("packet", packet)?;
    let mtu = args::tunnel_mtu("mtu", mtu)?;
    let octets = octets.read(py)?;
    let view = Ipv4View::parse(&octets, Layer::Inner).map_err(errors::wire(py))?;
    let fragments = Fragments::new(&view, mtu).map_err(errors::fragment(py))?;
    let pieces: Vec<_> = fragments
        .map(|fragment| {
            PyBytes::new_with(py, fragment.len(), |buffer| {
                fragment.emit(buffer).map(drop).map_err(errors::wire(py))
            })
        })
        .collect::<PyResult<_>>()?;
    PyList::new(py, pieces)
}

/// Lowers the MSS in the TCP segment that opens a connection, in a writable buffer, to what fits into a
/// tunnel with this MTU (68 to 65515 octets), 40 octets less, and the TCP checksum with it: for senders
/// that never hear of "fragmentation needed". Returns the MSS that was there, None if nothing changed.
///
/// An MSS that is not there is not put in: it counts as 536. A partial checksum has to be finished before
/// (finish_partial_checksum). Raises PacketError as parse_ipv4 does; the packet is as it was then.
#[pyfunction]
pub(crate) fn clamp_mss(
    packet: &Bound<'_, PyAny>,
    mtu: &Bound<'_, PyAny>,
) -> PyResult<Option<u16>> {
    let py = packet.py();
    let view = buffer::writable("packet", packet)?;
    let mtu = args::tunnel_mtu("mtu", mtu)?;
    let mut octets = PyBuffer::<u8>::get(&view)?.to_vec(py)?;
    let before = wire::clamp_mss(&mut octets, mtu).map_err(errors::wire(py))?;
    if before.is_some() {
        buffer::write(&view, 0, &octets)?;
    }
    Ok(before)
}
