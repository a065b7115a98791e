//! ICMP echo messages.

use ipip_core::wire::{self, ECHO_HEADER_LEN, EchoKind, EchoView};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Octets;
use crate::{args, errors};

/// An echo request or reply that was read.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Echo {
    /// "request" or "reply".
    #[pyo3(get)]
    kind: &'static str,
    /// What tells one sender's requests from another's, 0 to 65535.
    #[pyo3(get)]
    identifier: u16,
    /// Counts a sender's requests, 0 to 65535.
    #[pyo3(get)]
    sequence: u16,
    /// The checksum as found, which is right.
    #[pyo3(get)]
    checksum: u16,
    data: Vec<u8>,
}

#[pymethods]
impl Echo {
    /// What the reply must return unchanged.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.data)
    }

    fn __repr__(&self) -> String {
        let Self {
            kind,
            identifier,
            sequence,
            data,
            ..
        } = self;
        format!(
            "<Echo {kind} identifier={identifier:#06x} sequence={sequence} data of {} octets>",
            data.len()
        )
    }
}

/// The echo message in the payload of a whole IPv4 packet, checked.
///
/// Raises PacketError: truncated, another ICMP type, wrong checksum.
#[pyfunction]
pub(crate) fn parse_echo(message: &Bound<'_, PyAny>) -> PyResult<Echo> {
    let py = message.py();
    let octets = Octets::of("message", message)?;
    let octets = octets.read(py)?;
    let view = EchoView::parse(&octets).map_err(errors::wire(py))?;
    Ok(Echo {
        kind: match view.kind() {
            EchoKind::Request => "request",
            EchoKind::Reply => "reply",
        },
        identifier: view.identifier(),
        sequence: view.sequence(),
        checksum: view.checksum(),
        data: view.data().to_vec(),
    })
}

/// An ICMP echo request: type 8, checksum included.
///
/// identifier and sequence are 0 to 65535. Raises PacketError if data exceeds 65,507 octets.
#[pyfunction]
#[pyo3(signature = (identifier, sequence, data=None), text_signature = "(identifier, sequence, data=b'')")]
pub(crate) fn echo_request<'py>(
    identifier: &Bound<'py, PyAny>,
    sequence: &Bound<'py, PyAny>,
    data: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    emit(EchoKind::Request, identifier, sequence, data)
}

/// An ICMP echo reply: type 0, checksum included.
///
/// identifier and sequence are 0 to 65535. Raises PacketError if data exceeds 65,507 octets.
#[pyfunction]
#[pyo3(signature = (identifier, sequence, data=None), text_signature = "(identifier, sequence, data=b'')")]
pub(crate) fn echo_reply<'py>(
    identifier: &Bound<'py, PyAny>,
    sequence: &Bound<'py, PyAny>,
    data: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    emit(EchoKind::Reply, identifier, sequence, data)
}

fn emit<'py>(
    kind: EchoKind,
    identifier: &Bound<'py, PyAny>,
    sequence: &Bound<'py, PyAny>,
    data: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = identifier.py();
    let echo = wire::Echo {
        kind,
        identifier: args::word("identifier", identifier)?,
        sequence: args::word("sequence", sequence)?,
    };
    let data = data.map(|data| Octets::of("data", data)).transpose()?;
    let data_len = data.as_ref().map_or(0, |data| data.len());
    PyBytes::new_with(py, ECHO_HEADER_LEN + data_len, |message| {
        if let Some(data) = data {
            data.copy_to(py, &mut message[ECHO_HEADER_LEN..])?;
        }
        echo.emit(message).map_err(errors::wire(py))
    })
}
