//! Packets in, packets out: the functions of ipip-core's `wire` room.

use ipip_core::wire::{
    self, Dscp, Ecn, Encapsulator, FragmentOffset, HEADER_LEN, IpipView, Ipv4View, Layer,
    PartialChecksum,
};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::args::{self, Given};
use crate::buffer::{self, Octets};
use crate::errors;
use crate::header::{IpipPacket, Ipv4Header};
use crate::outer::Outer;

/// Both headers of the IPIP packet at the start of a buffer, checked.
///
/// Raises PacketError: truncated, wrong version, header length, total length or checksum in either
/// header, an outer protocol other than 4, an outer fragment.
#[pyfunction]
pub(crate) fn parse(packet: &Bound<'_, PyAny>) -> PyResult<IpipPacket> {
    let py = packet.py();
    let octets = Octets::of("packet", packet)?;
    let octets = octets.read(py)?;
    let view = IpipView::parse(&octets).map_err(errors::wire(py))?;
    Ok((&view).into())
}

/// The header of the IPv4 packet at the start of a buffer, checked.
///
/// Raises PacketError: truncated, wrong version, header length, total length or checksum.
#[pyfunction]
pub(crate) fn parse_ipv4(packet: &Bound<'_, PyAny>) -> PyResult<Ipv4Header> {
    let py = packet.py();
    let octets = Octets::of("packet", packet)?;
    let octets = octets.read(py)?;
    let view = Ipv4View::parse(&octets, Layer::Inner).map_err(errors::wire(py))?;
    Ok((&view).into())
}

/// The IPIP packet that carries inner: one copy, with the outer header in front.
///
/// Octets after the inner packet's total length stay out. Raises PacketError if inner is not a whole
/// IPv4 packet, has a TTL of 0, or exceeds 65,515 octets.
#[pyfunction]
pub(crate) fn encapsulate<'py>(
    inner: &Bound<'py, PyAny>,
    outer: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let outer = args::object::<Outer>("outer", outer)?.get().0;
    encapsulate_by(&Encapsulator::new(&outer), inner, outer.identification)
}

/// The same by a tunnel's encapsulator.
pub(crate) fn encapsulate_by<'py>(
    tunnel: &Encapsulator,
    inner: &Bound<'py, PyAny>,
    identification: u16,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = inner.py();
    let octets = Octets::of("inner", inner)?;
    let room = HEADER_LEN + octets.len();
    let mut len = room;
    let packet = PyBytes::new_with(py, room, |buffer| {
        octets.copy_to(py, &mut buffer[HEADER_LEN..])?;
        let packet = tunnel.encapsulate_as(buffer, HEADER_LEN, identification);
        len = packet.map_err(errors::wire(py))?.len();
        Ok(())
    })?;
    match packet.as_bytes().get(..len) {
        Some(shorter) if len < room => Ok(PyBytes::new(py, shorter)),
        _ => Ok(packet),
    }
}

/// Writes the outer header in front of the inner packet that starts at headroom octets into a
/// writable buffer; returns the IPIP packet as a view of that buffer.
///
/// Only the 20 octets before the inner packet change. Raises PacketError as encapsulate does, and for
/// less than 20 octets of headroom; the buffer is as it was then.
#[pyfunction]
pub(crate) fn encapsulate_into<'py>(
    buffer: &Bound<'py, PyAny>,
    headroom: &Bound<'py, PyAny>,
    outer: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyMemoryView>> {
    let outer = args::object::<Outer>("outer", outer)?.get().0;
    let tunnel = Encapsulator::new(&outer);
    encapsulate_into_by(&tunnel, (buffer, headroom), outer.identification)
}

/// The same by a tunnel's encapsulator.
pub(crate) fn encapsulate_into_by<'py>(
    tunnel: &Encapsulator,
    (buffer, headroom): (&Bound<'py, PyAny>, &Bound<'py, PyAny>),
    identification: u16,
) -> PyResult<Bound<'py, PyMemoryView>> {
    let py = buffer.py();
    let headroom = args::integer("headroom", headroom, 0..=isize::MAX.unsigned_abs() as u64)?;
    let headroom = usize::try_from(headroom)?;
    let view = buffer::writable("buffer", buffer)?;
    // What is written is decided on a copy of the inner packet: the buffer may be shared with other
    // threads, and Rust may not look at octets that change under its eyes.
    let inner = buffer::part(&view, headroom, isize::MAX.unsigned_abs())?;
    let inner = PyBuffer::<u8>::get(&inner)?;
    let room = headroom.min(HEADER_LEN);
    let mut scratch = vec![0; room + inner.len_bytes()];
    inner.copy_to_slice(py, &mut scratch[room..])?;
    let packet = tunnel.encapsulate_as(&mut scratch, room, identification);
    let packet = packet.map_err(errors::wire(py))?;
    let start = headroom - HEADER_LEN;
    let len = packet.len();
    buffer::write(&view, start, packet.get(..HEADER_LEN).unwrap_or_default())?;
    buffer::part(&view, start, start + len)
}

/// The inner packet of an IPIP packet, as a view of the buffer: no copy, padding cut off.
///
/// Raises PacketError as parse does, and for an inner TTL of 0.
#[pyfunction]
pub(crate) fn decapsulate<'py>(packet: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyMemoryView>> {
    let py = packet.py();
    let octets = Octets::of("packet", packet)?;
    let octets = octets.read(py)?;
    let inner = wire::decapsulate(&octets).map_err(errors::wire(py))?;
    let range = IpipView::parse(&octets)
        .map_err(errors::wire(py))?
        .inner_range();
    debug_assert_eq!(inner.len(), range.len());
    buffer::part(&buffer::view("packet", packet)?, range.start, range.end)
}

/// An IPv4 packet without options that carries payload.
///
/// Raises PacketError if it would exceed 65,535 octets.
#[pyfunction]
#[pyo3(
    signature = (payload, *, source, destination, protocol, ttl=Given::Default, dscp=Given::Default,
        ecn=Given::Default, identification=Given::Default, dont_fragment=Given::Default, more_fragments=Given::Default,
        fragment_offset=Given::Default),
    text_signature = "(payload, *, source, destination, protocol, ttl=64, dscp=0, ecn=0, identification=0, \
        dont_fragment=False, more_fragments=False, fragment_offset=0)"
)]
#[expect(
    clippy::too_many_arguments,
    reason = "the fields of a header, each by its name"
)]
pub(crate) fn ipv4_packet<'py>(
    payload: &Bound<'py, PyAny>,
    source: &Bound<'py, PyAny>,
    destination: &Bound<'py, PyAny>,
    protocol: &Bound<'py, PyAny>,
    ttl: Given<'py>,
    dscp: Given<'py>,
    ecn: Given<'py>,
    identification: Given<'py>,
    dont_fragment: Given<'py>,
    more_fragments: Given<'py>,
    fragment_offset: Given<'py>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = payload.py();
    let number =
        |name, given: &Given<'py>, default| given.or(default, |value| args::word(name, value));
    let header = wire::Ipv4Header {
        source: args::address("source", source)?,
        destination: args::address("destination", destination)?,
        protocol: args::octet("protocol", protocol)?,
        ttl: ttl.or(64, |ttl| args::octet("ttl", ttl))?,
        dscp: dscp.or(Dscp::default(), |dscp| args::dscp("dscp", dscp))?,
        ecn: ecn.or(Ecn::NotEct, |ecn| args::ecn("ecn", ecn))?,
        identification: number("identification", &identification, 0)?,
        dont_fragment: dont_fragment.or(false, |flag| args::flag("dont_fragment", flag))?,
        more_fragments: more_fragments.or(false, |flag| args::flag("more_fragments", flag))?,
        fragment_offset: FragmentOffset::try_new(number("fragment_offset", &fragment_offset, 0)?)
            .map_err(errors::wire(py))?,
    };
    let payload = Octets::of("payload", payload)?;
    PyBytes::new_with(py, HEADER_LEN + payload.len(), |packet| {
        payload.copy_to(py, &mut packet[HEADER_LEN..])?;
        header.emit(packet).map_err(errors::wire(py))
    })
}

/// The internet checksum (RFC 1071) of a buffer: 0 over octets that include a right one.
#[pyfunction]
pub(crate) fn checksum(octets: &Bound<'_, PyAny>) -> PyResult<u16> {
    let read = Octets::of("octets", octets)?;
    Ok(wire::checksum(&read.read(octets.py())?))
}

/// Finishes, in place, the TCP or UDP checksum that a sender on this host left for hardware.
///
/// Returns "finished", or "not_partial" if the field holds something else than the pseudo-header's
/// sum, or "not_applicable" if there is no such field. Raises PacketError if inner is not a whole IPv4
/// packet.
#[pyfunction]
pub(crate) fn finish_partial_checksum(inner: &Bound<'_, PyAny>) -> PyResult<&'static str> {
    let py = inner.py();
    let view = buffer::writable("inner", inner)?;
    let mut octets = PyBuffer::<u8>::get(&view)?.to_vec(py)?;
    let result = wire::finish_partial_checksum(&mut octets).map_err(errors::wire(py))?;
    Ok(match result {
        PartialChecksum::Finished { .. } => {
            buffer::write(&view, 0, &octets)?;
            "finished"
        }
        PartialChecksum::NotPartial => "not_partial",
        PartialChecksum::NotApplicable => "not_applicable",
    })
}
