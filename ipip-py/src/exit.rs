//! A tunnel's exit, and the hops to it: congestion marks, TTL, checksums that follow.

use ipip_core::wire::{self, Ecn, HEADER_LEN, Urgency};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;

use crate::{args, buffer, errors};

/// Two ECN fields that should not have met at a tunnel's exit: something on the path, or the tunnel's
/// entry, does not keep to the rules.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct EcnAlarm(wire::EcnAlarm);

#[pymethods]
impl EcnAlarm {
    /// What stood in the inner header: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    #[getter]
    fn inner(&self) -> u8 {
        self.0.inner.value()
    }

    /// What stood in the outer header.
    #[getter]
    fn outer(&self) -> u8 {
        self.0.outer.value()
    }

    /// "may_log" or "should_log", as RFC 6040 section 4.2 has it; do it at a limited rate.
    #[getter]
    fn urgency(&self) -> &'static str {
        match self.0.urgency {
            Urgency::MayLog => "may_log",
            Urgency::ShouldLog => "should_log",
        }
    }

    fn __repr__(&self) -> String {
        let (inner, outer) = (self.inner(), self.outer());
        format!("<EcnAlarm {} inner={inner} outer={outer}>", self.urgency())
    }
}

/// What two ECN fields become at a tunnel's exit.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct EcnExit(wire::EcnExit);

#[pymethods]
impl EcnExit {
    /// What the delivered packet has, 0 to 3; None if it must be dropped.
    #[getter]
    fn delivered(&self) -> Option<u8> {
        self.0.delivered.map(Ecn::value)
    }

    /// What was odd about the two, or None.
    #[getter]
    fn alarm(&self) -> Option<EcnAlarm> {
        self.0.alarm.map(EcnAlarm)
    }

    fn __repr__(&self) -> String {
        let delivered = self.delivered();
        let delivered = delivered.map_or("None".to_owned(), |ecn| ecn.to_string());
        let alarm = self.alarm();
        let alarm = alarm.map_or("None".to_owned(), |alarm| alarm.__repr__());
        format!("<EcnExit delivered={delivered} alarm={alarm}>")
    }
}

/// What leaves a tunnel.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Decapsulated {
    /// The inner packet, a view of the buffer: as it is to be delivered.
    #[pyo3(get)]
    packet: Py<PyMemoryView>,
    alarm: Option<wire::EcnAlarm>,
}

#[pymethods]
impl Decapsulated {
    /// What was odd about the two ECN fields, or None.
    #[getter]
    fn alarm(&self) -> Option<EcnAlarm> {
        self.alarm.map(EcnAlarm)
    }

    fn __repr__(&self) -> String {
        let alarm = self.alarm();
        let alarm = alarm.map_or("None".to_owned(), |alarm| alarm.__repr__());
        format!("<Decapsulated alarm={alarm}>")
    }
}

/// What becomes of an inner ECN field where the outer one is outer: the table of RFC 6040 section 4.2,
/// the same for either mode of the entry. Both are 0 to 3.
#[pyfunction]
pub(crate) fn ecn_at_exit(inner: &Bound<'_, PyAny>, outer: &Bound<'_, PyAny>) -> PyResult<EcnExit> {
    let (inner, outer) = (args::ecn("inner", inner)?, args::ecn("outer", outer)?);
    Ok(EcnExit(inner.at_exit(outer)))
}

/// The inner packet of the IPIP packet in a writable buffer, after congestion that the outer header met
/// was carried over to it: what a tunnel's exit must do, by ecn_at_exit.
///
/// Only the inner TOS octet and header checksum change, and those seldom. The inner TTL is not lowered:
/// that is the duty of whoever forwards the packet next. Raises PacketError as decapsulate does, and
/// EcnDrop for congestion met by a packet that can tell of it only by being dropped; the buffer is as it
/// was then.
#[pyfunction]
pub(crate) fn decapsulate_in_place(packet: &Bound<'_, PyAny>) -> PyResult<Decapsulated> {
    let py = packet.py();
    let view = buffer::writable("packet", packet)?;
    let mut octets = PyBuffer::<u8>::get(&view)?.to_vec(py)?;
    let start = octets.as_ptr().addr();
    let inner = wire::decapsulate_in_place(&mut octets).map_err(errors::wire(py))?;
    // A part of the buffer begins where it does, or later.
    let start = inner.packet.as_ptr().addr().saturating_sub(start);
    let len = inner.packet.len();
    let header = inner.packet.get(..HEADER_LEN).unwrap_or_default();
    buffer::write(&view, start, header)?;
    Ok(Decapsulated {
        packet: buffer::part(&view, start, start.saturating_add(len))?.unbind(),
        alarm: inner.alarm,
    })
}

/// Lowers the TTL of the packet at the start of a writable buffer by one, as a node does that forwards
/// it, its checksum with it; returns what is left, 1 to 254.
///
/// The entry of a tunnel does this to packets that it forwards into the tunnel and never to its own; the
/// exit does not do it by decapsulating. Raises PacketError as parse_ipv4 does, and TtlExpired if nothing
/// would be left; the packet is as it was then.
#[pyfunction]
pub(crate) fn lower_ttl(packet: &Bound<'_, PyAny>) -> PyResult<u8> {
    let py = packet.py();
    let view = buffer::writable("packet", packet)?;
    let mut octets = PyBuffer::<u8>::get(&view)?.to_vec(py)?;
    let left = wire::lower_ttl(&mut octets).map_err(errors::wire(py))?;
    buffer::write(&view, 0, octets.get(..HEADER_LEN).unwrap_or_default())?;
    Ok(left)
}

/// What an internet checksum becomes where one of the 16-bit words under it changes from before to after
/// (RFC 1624, equation 3).
#[pyfunction]
pub(crate) fn update_checksum(
    checksum: &Bound<'_, PyAny>,
    before: &Bound<'_, PyAny>,
    after: &Bound<'_, PyAny>,
) -> PyResult<u16> {
    Ok(wire::update_checksum(
        args::word("checksum", checksum)?,
        args::word("before", before)?,
        args::word("after", after)?,
    ))
}
