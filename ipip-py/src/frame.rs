//! `Frame`: one captured frame, and what is to be said of it.

use std::time::{Duration, SystemTime};

use ipip_core::capture::describe;
use ipip_core::capture::{self, Direction, LinkType};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::args::{self, Given};
use crate::buffer::Octets;
use crate::journey;

/// One frame as it passed an interface. str() is a line as tcpdump prints it.
///
/// Captures give frames; the constructor makes one of any octets. link_type is "ethernet", "raw_ip",
/// "linux_sll", "linux_sll2", or another number of a capture file, whose frames are not read further;
/// original_len is len(data) unless a part of the frame was cut off.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Frame(pub(crate) capture::Frame);

#[pymethods]
impl Frame {
    #[new]
    #[pyo3(
        signature = (
            octets, *, link_type=Given::Default, time_ns=Given::Default, direction=Given::Default,
            original_len=None, checksum_pending=Given::Default
        ),
        text_signature = "(octets, *, link_type='ethernet', time_ns=0, direction='unknown', original_len=None, \
                          checksum_pending=False)"
    )]
    fn new(
        octets: &Bound<'_, PyAny>,
        link_type: Given<'_>,
        time_ns: Given<'_>,
        direction: Given<'_>,
        original_len: Option<&Bound<'_, PyAny>>,
        checksum_pending: Given<'_>,
    ) -> PyResult<Self> {
        let octets = Octets::of("octets", octets)?
            .read(octets.py())?
            .into_owned();
        let least = u64::try_from(octets.len())?;
        let original_len = match original_len {
            Some(len) => args::integer("original_len", len, least..=u32::MAX.into())?,
            None => least,
        };
        let nanos = time_ns.or(0, |v| args::integer("time_ns", v, 0..=u64::MAX))?;
        Ok(Self(capture::Frame {
            link_type: link_type.or(LinkType::Ethernet, |v| read_link_type("link_type", v))?,
            time: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos),
            direction: direction.or(Direction::Unknown, |v| {
                args::choice("direction", v, &DIRECTIONS)
            })?,
            original_len: usize::try_from(original_len)?,
            checksum_pending: checksum_pending.or(false, |v| args::flag("checksum_pending", v))?,
            octets,
        }))
    }

    /// The frame from its first octet.
    #[getter]
    fn octets<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.octets)
    }

    /// What the first octet belongs to: "ethernet", "raw_ip", "linux_sll", "linux_sll2", or the number of
    /// another link type.
    #[getter]
    fn link_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        link_type(py, self.0.link_type)
    }

    /// When the kernel saw it, in nanoseconds since 1970.
    #[getter]
    fn time_ns(&self) -> i128 {
        let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        match self.0.time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        }
    }

    /// When the kernel saw it, in UTC, cut to microseconds.
    #[getter]
    fn time(&self) -> SystemTime {
        self.0.time
    }

    /// Which way it passed: "in", "out", or "unknown" if the capture does not say.
    #[getter]
    fn direction(&self) -> &'static str {
        let name = DIRECTIONS.iter().find(|(_, d)| *d == self.0.direction);
        name.map_or("unknown", |(name, _)| name)
    }

    /// Octets that it had on the interface, at least as many as data has.
    #[getter]
    fn original_len(&self) -> usize {
        self.0.original_len
    }

    /// Whether its transport checksum was left for hardware to finish: see finish_partial_checksum.
    #[getter]
    fn checksum_pending(&self) -> bool {
        self.0.checksum_pending
    }

    /// Its layers, outermost first, as the dataclasses of ipip.capture; an encapsulated frame has two of
    /// ipip.capture.Ipv4. What cannot be read is an ipip.capture.Malformed that says why.
    #[getter]
    fn layers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let read = py.import("ipip.capture")?.getattr("_layers")?;
        read.call1((describe::json(&self.0),))
    }

    /// What tells its innermost IPv4 packet from others at every point of the packet's way, an
    /// ipip.capture.PacketKey; None if it has none.
    #[getter]
    fn packet_key<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let key = capture::PacketKey::of(&self.0);
        key.map(|key| journey::key(py, &key)).transpose()
    }

    /// The frame in one line, as tcpdump prints it; the time of day is UTC.
    fn line(&self) -> String {
        describe::line(&self.0)
    }

    /// Its layers as Wireshark shows them, some lines of text.
    fn tree(&self) -> String {
        describe::tree(&self.0).to_string()
    }

    /// The frame with all its fields as one JSON object, one line of text: layers has them as the
    /// property does, octets are hexadecimal.
    fn json(&self) -> String {
        describe::json(&self.0)
    }

    fn __str__(&self) -> String {
        describe::line(&self.0)
    }

    fn __repr__(&self) -> String {
        format!("<Frame {}>", describe::line(&self.0))
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&(self.0.time, &self.0.octets))
    }
}

const DIRECTIONS: [(&str, Direction); 3] = [
    ("in", Direction::Incoming),
    ("out", Direction::Outgoing),
    ("unknown", Direction::Unknown),
];

const LINK_TYPES: [(&str, LinkType); 4] = [
    ("ethernet", LinkType::Ethernet),
    ("raw_ip", LinkType::RawIp),
    ("linux_sll", LinkType::LinuxSll),
    ("linux_sll2", LinkType::LinuxSll2),
];

/// A link type's name; its number if it has none here.
pub(crate) fn link_type<'py>(py: Python<'py>, value: LinkType) -> PyResult<Bound<'py, PyAny>> {
    match LINK_TYPES.iter().find(|(_, known)| *known == value) {
        Some((name, _)) => name.into_bound_py_any(py),
        None => value.number().into_bound_py_any(py),
    }
}

/// One of the names, or the number of any link type.
pub(crate) fn read_link_type(name: &str, value: &Bound<'_, PyAny>) -> PyResult<LinkType> {
    if value.is_instance_of::<PyString>() {
        return args::choice(name, value, &LINK_TYPES);
    }
    let number = args::integer(name, value, 0..=u32::MAX.into())?;
    Ok(LinkType::of_number(u32::try_from(number)?))
}
