//! ICMP errors, and the packets that they quote.

use std::net::Ipv4Addr;

use ipip_core::wire::{self, Layer};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Octets;
use crate::{args, errors};

/// What an ICMP error says; made by the static method of its kind.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(Clone, Copy, PartialEq, Hash)]
pub(crate) struct IcmpError(pub(crate) wire::IcmpError);

#[pymethods]
impl IcmpError {
    /// The network cannot be reached.
    #[classattr]
    const NET_UNREACHABLE: Self = Self(wire::IcmpError::NET_UNREACHABLE);

    /// The host cannot be reached.
    #[classattr]
    const HOST_UNREACHABLE: Self = Self(wire::IcmpError::HOST_UNREACHABLE);

    /// Type 3, destination unreachable, but for code 4: 0 network, 1 host, 2 protocol, 3 port, 5 source
    /// route failed, and those of RFC 1812 section 5.2.7.1.
    #[staticmethod]
    fn unreachable(code: &Bound<'_, PyAny>) -> PyResult<Self> {
        let code = args::octet("code", code)?;
        Ok(Self(wire::IcmpError::Unreachable { code }))
    }

    /// Type 3 code 4: the packet is too long for the next hop, which has this MTU, and has DF set.
    ///
    /// mtu is 0 to 65535 octets; 0 is from a router that does not say.
    #[staticmethod]
    fn fragmentation_needed(mtu: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mtu = args::word("mtu", mtu)?;
        Ok(Self(wire::IcmpError::FragmentationNeeded { mtu }))
    }

    /// Type 4, which nobody should send any more (RFC 6633).
    #[staticmethod]
    fn source_quench() -> Self {
        Self(wire::IcmpError::SourceQuench)
    }

    /// Type 5, a better way: 0 network, 1 host, 2 and 3 the same for one type of service.
    #[staticmethod]
    fn redirect(code: &Bound<'_, PyAny>, gateway: &Bound<'_, PyAny>) -> PyResult<Self> {
        let code = args::octet("code", code)?;
        let gateway = args::address("gateway", gateway)?;
        Ok(Self(wire::IcmpError::Redirect { code, gateway }))
    }

    /// Type 11: 0 in transit, 1 while fragments were waited for.
    #[staticmethod]
    fn time_exceeded(code: &Bound<'_, PyAny>) -> PyResult<Self> {
        let code = args::octet("code", code)?;
        Ok(Self(wire::IcmpError::TimeExceeded { code }))
    }

    /// Type 12: 0 a wrong field, that of the octet pointer; 1 an option is missing, 2 a wrong length.
    #[staticmethod]
    fn parameter_problem(code: &Bound<'_, PyAny>, pointer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let code = args::octet("code", code)?;
        let pointer = args::octet("pointer", pointer)?;
        Ok(Self(wire::IcmpError::ParameterProblem { code, pointer }))
    }

    /// The name of the static method that makes it, such as "time_exceeded".
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0 {
            wire::IcmpError::Unreachable { .. } => "unreachable",
            wire::IcmpError::FragmentationNeeded { .. } => "fragmentation_needed",
            wire::IcmpError::SourceQuench => "source_quench",
            wire::IcmpError::Redirect { .. } => "redirect",
            wire::IcmpError::TimeExceeded { .. } => "time_exceeded",
            wire::IcmpError::ParameterProblem { .. } => "parameter_problem",
        }
    }

    /// The code, None where the kind leaves no choice.
    #[getter]
    fn code(&self) -> Option<u8> {
        match self.0 {
            wire::IcmpError::Unreachable { code }
            | wire::IcmpError::Redirect { code, .. }
            | wire::IcmpError::TimeExceeded { code }
            | wire::IcmpError::ParameterProblem { code, .. } => Some(code),
            wire::IcmpError::FragmentationNeeded { .. } | wire::IcmpError::SourceQuench => None,
        }
    }

    /// The next hop's MTU in octets, of "fragmentation_needed" alone.
    #[getter]
    fn mtu(&self) -> Option<u16> {
        match self.0 {
            wire::IcmpError::FragmentationNeeded { mtu } => Some(mtu),
            _ => None,
        }
    }

    /// The better next hop, of "redirect" alone.
    #[getter]
    fn gateway(&self) -> Option<Ipv4Addr> {
        match self.0 {
            wire::IcmpError::Redirect { gateway, .. } => Some(gateway),
            _ => None,
        }
    }

    /// Which octet of the packet is wrong, of "parameter_problem" alone.
    #[getter]
    fn pointer(&self) -> Option<u8> {
        match self.0 {
            wire::IcmpError::ParameterProblem { pointer, .. } => Some(pointer),
            _ => None,
        }
    }

    /// An IPv4 packet with this error, from source to the sender of the packet original, of which it
    /// quotes as much as 576 octets in all allow.
    ///
    /// original may be cut short, but not within its header. Ask Quoted.may_be_answered first, and send at
    /// a limited rate. Raises PacketError as parse_quoted does.
    fn emit<'py>(
        &self,
        source: &Bound<'py, PyAny>,
        original: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = original.py();
        let source = args::address("source", source)?;
        let original = Octets::of("original", original)?;
        let mut buffer = [0; wire::MAX_ICMP_ERROR_LEN];
        let len = self.0.emit(source, &original.read(py)?, &mut buffer);
        let len = len.map_err(errors::wire(py))?;
        Ok(PyBytes::new(py, buffer.get(..len).unwrap_or_default()))
    }

    pub(crate) fn __repr__(&self) -> String {
        let kind = self.kind();
        match self.0 {
            wire::IcmpError::Unreachable { code } | wire::IcmpError::TimeExceeded { code } => {
                format!("IcmpError.{kind}({code})")
            }
            wire::IcmpError::FragmentationNeeded { mtu } => format!("IcmpError.{kind}({mtu})"),
            wire::IcmpError::SourceQuench => format!("IcmpError.{kind}()"),
            wire::IcmpError::Redirect { code, gateway } => {
                format!("IcmpError.{kind}({code}, '{gateway}')")
            }
            wire::IcmpError::ParameterProblem { code, pointer } => {
                format!("IcmpError.{kind}({code}, {pointer})")
            }
        }
    }
}

/// An ICMP error that was read.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct IcmpErrorView {
    /// What it says.
    #[pyo3(get)]
    error: IcmpError,
    quoted: Vec<u8>,
}

#[pymethods]
impl IcmpErrorView {
    /// The beginning of the packet that it is about; parse_quoted reads it.
    #[getter]
    fn quoted<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.quoted)
    }

    fn __repr__(&self) -> String {
        let (error, len) = (self.error.__repr__(), self.quoted.len());
        format!("<IcmpErrorView {error} about {len} octets>")
    }
}

/// The header of a packet of which only the beginning may be there.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(Clone, PartialEq, Hash)]
pub(crate) struct Quoted {
    header: wire::Quoted<'static>,
    payload: Vec<u8>,
}

impl Quoted {
    pub(crate) fn view(&self) -> wire::Quoted<'_> {
        wire::Quoted {
            payload: &self.payload,
            ..self.header
        }
    }
}

impl From<wire::Quoted<'_>> for Quoted {
    fn from(quoted: wire::Quoted<'_>) -> Self {
        Self {
            header: wire::Quoted {
                payload: &[],
                ..quoted
            },
            payload: quoted.payload.to_vec(),
        }
    }
}

#[pymethods]
impl Quoted {
    /// Where the packet came from.
    #[getter]
    fn source(&self) -> Ipv4Addr {
        self.header.source
    }

    /// Where it was to go.
    #[getter]
    fn destination(&self) -> Ipv4Addr {
        self.header.destination
    }

    /// What it carried.
    #[getter]
    fn protocol(&self) -> u8 {
        self.header.protocol
    }

    /// Whether DF was set.
    #[getter]
    fn dont_fragment(&self) -> bool {
        self.header.dont_fragment
    }

    /// Where it belongs if it was a fragment, in units of 8 octets; 0 otherwise.
    #[getter]
    fn fragment_offset(&self) -> u16 {
        self.header.fragment_offset.units()
    }

    /// Its length in octets, header included, as its header states it.
    #[getter]
    fn total_len(&self) -> u16 {
        self.header.total_len
    }

    /// Length of its header in octets, 20 to 60.
    #[getter]
    fn header_len(&self) -> u8 {
        self.header.header_len
    }

    /// What is there of its payload.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.payload)
    }

    /// Whether an ICMP error about it may be sent to its source: not about ICMP errors (nor about ICMP
    /// whose type is not there to be seen), not about fragments but the first, not to addresses that no
    /// single host has, and not about what was sent to many (RFC 1812 section 4.3.2.7).
    #[getter]
    fn may_be_answered(&self) -> bool {
        self.view().may_be_answered()
    }

    fn __repr__(&self) -> String {
        let header = &self.header;
        format!(
            "<Quoted {} > {} protocol={} total_len={} payload of {} octets>",
            header.source,
            header.destination,
            header.protocol,
            header.total_len,
            self.payload.len()
        )
    }
}

/// The ICMP error in the payload of a whole IPv4 packet, checked; extensions (RFC 4884) are no part of it.
///
/// Raises PacketError: Truncated, IcmpNotError, Checksum. What it quotes is not checked.
#[pyfunction]
pub(crate) fn parse_icmp_error(message: &Bound<'_, PyAny>) -> PyResult<IcmpErrorView> {
    let py = message.py();
    let octets = Octets::of("message", message)?;
    let octets = octets.read(py)?;
    let view = wire::IcmpErrorView::parse(&octets).map_err(errors::wire(py))?;
    Ok(IcmpErrorView {
        error: IcmpError(view.error()),
        quoted: view.quoted().to_vec(),
    })
}

/// The header at the start of a buffer that holds the beginning of a packet. Total length and checksum
/// are not compared with anything: routers change headers before they quote them.
///
/// Raises PacketError: Truncated if the header is not all there, Version, HeaderLen.
#[pyfunction]
pub(crate) fn parse_quoted(octets: &Bound<'_, PyAny>) -> PyResult<Quoted> {
    let py = octets.py();
    let octets = Octets::of("octets", octets)?;
    let octets = octets.read(py)?;
    let quoted = wire::Quoted::parse(&octets, Layer::Inner).map_err(errors::wire(py))?;
    Ok(quoted.into())
}
