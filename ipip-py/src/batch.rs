//! Many packets in one buffer by one call; the results are columns of numbers.

use std::sync::Arc;

use ipip_core::wire::{self, HeaderFields, IpipFields};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::buffer::Octets;
use crate::errors;
use crate::spans::{self, SpanBatch};

/// From how many packets on other threads may run meanwhile; fewer are done before they would begin.
const MANY: usize = 4096;

/// Both headers of each of many IPIP packets in one buffer.
///
/// packets says where they lie: a buffer of (offset, length) pairs of 64-bit integers (a NumPy array of
/// shape (n, 2), an array('Q')), any iterable of such pairs, or a SpanBatch. Does to each what parse
/// does, but gives a packet that parse would refuse a status. bytes are read where they are, any other
/// buffer is copied once.
#[pyfunction]
pub(crate) fn parse_batch(
    buffer: &Bound<'_, PyAny>,
    packets: &Bound<'_, PyAny>,
) -> PyResult<IpipBatch> {
    let py = buffer.py();
    let packets = spans::read("packets", packets)?;
    let octets = Octets::of("buffer", buffer)?;
    let octets = octets.read(py)?;
    let mut fields = vec![IpipFields::default(); packets.len()];
    let good = shared(py, packets.len(), || {
        wire::parse_batch(&octets, &packets, &mut fields)
    });
    let good = good.map_err(errors::batch(py))?;
    let fields = Arc::new(fields);
    let side = |outer| {
        let header = HeaderBatch {
            fields: Arc::clone(&fields),
            outer,
            columns: [const { PyOnceLock::new() }; 13],
        };
        Py::new(py, header)
    };
    Ok(IpipBatch {
        outer: side(true)?,
        inner: side(false)?,
        fields,
        good,
    })
}

/// Where the inner packet of each of many IPIP packets lies in the same buffer.
///
/// packets is what parse_batch takes. Does to each what decapsulate does, but gives a packet that
/// decapsulate would refuse a status.
#[pyfunction]
pub(crate) fn decapsulate_batch(
    buffer: &Bound<'_, PyAny>,
    packets: &Bound<'_, PyAny>,
) -> PyResult<SpanBatch> {
    let py = buffer.py();
    let packets = spans::read("packets", packets)?;
    let octets = Octets::of("buffer", buffer)?;
    let octets = octets.read(py)?;
    let mut batch = SpanBatch::with_room(packets.len());
    let good = shared(py, packets.len(), || {
        wire::decapsulate_batch(&octets, &packets, &mut batch.spans, &mut batch.statuses)
    });
    batch.good = good.map_err(errors::batch(py))?;
    Ok(batch)
}

/// Does `work`, without the GIL if it is much. All that it touches is either its own or `bytes`.
fn shared<T: Send>(py: Python<'_>, packets: usize, work: impl FnOnce() -> T + Send) -> T {
    if packets < MANY {
        return work();
    }
    py.detach(work)
}

/// Both headers of each packet of a batch, as columns, and the status of each packet.
///
/// status is 0, or the PacketError.status that parse's exception would have; the fields of such a packet
/// are 0. Each column is a read-only memoryview with one number a packet, which numpy.asarray takes
/// without a copy.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct IpipBatch {
    /// The headers of the packets between the nodes.
    #[pyo3(get)]
    outer: Py<HeaderBatch>,
    /// The headers of the packets that they carry.
    #[pyo3(get)]
    inner: Py<HeaderBatch>,
    fields: Arc<Vec<IpipFields>>,
    /// How many packets have status 0.
    #[pyo3(get)]
    good: usize,
}

#[pymethods]
impl IpipBatch {
    /// 0 for each packet that is good, else what is wrong with it; format "I".
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        let statuses = self.fields.iter().map(|fields| fields.status.to_ne_bytes());
        column(py, "I", self.fields.len(), statuses)
    }

    fn __len__(&self) -> usize {
        self.fields.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "<IpipBatch {} packets, {} good>",
            self.fields.len(),
            self.good
        )
    }
}

/// One header of each packet of a batch: the fields of Ipv4Header as columns, addresses as numbers.
///
/// A column is made when it is first asked for.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct HeaderBatch {
    fields: Arc<Vec<IpipFields>>,
    outer: bool,
    columns: [PyOnceLock<Py<PyBytes>>; 13],
}

#[pymethods]
impl HeaderBatch {
    /// Length of the header with its options, 20 to 60; format "B".
    #[getter]
    fn header_len<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (0, "B"), |header| [header.header_len])
    }

    /// Length of the packet, header included; format "H".
    #[getter]
    fn total_len<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (1, "H"), |header| header.total_len.to_ne_bytes())
    }

    /// The differentiated services code point, 0 to 63; format "B".
    #[getter]
    fn dscp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (2, "B"), |header| [header.tos >> 2])
    }

    /// The congestion field: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 congestion experienced; format "B".
    #[getter]
    fn ecn<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (3, "B"), |header| [header.tos & 3])
    }

    /// What fragments of one packet share, 0 to 65535; format "H".
    #[getter]
    fn identification<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (4, "H"), |header| header.identification.to_ne_bytes())
    }

    /// DF: routers may not fragment the packet; format "?".
    #[getter]
    fn dont_fragment<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (5, "?"), |header| {
            [u8::from(header.fragment & 0x4000 != 0)]
        })
    }

    /// MF: another fragment follows; format "?".
    #[getter]
    fn more_fragments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (6, "?"), |header| {
            [u8::from(header.fragment & 0x2000 != 0)]
        })
    }

    /// Where this fragment belongs, in units of 8 octets, 0 to 8191; format "H".
    #[getter]
    fn fragment_offset<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (7, "H"), |header| {
            (header.fragment & 0x1fff).to_ne_bytes()
        })
    }

    /// Hops left, 0 to 255; format "B".
    #[getter]
    fn ttl<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (8, "B"), |header| [header.ttl])
    }

    /// What the payload is: 1 ICMP, 4 IPv4, 6 TCP, 17 UDP …; format "B".
    #[getter]
    fn protocol<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (9, "B"), |header| [header.protocol])
    }

    /// The header checksum as found, which is right; format "H".
    #[getter]
    fn checksum<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (10, "H"), |header| header.checksum.to_ne_bytes())
    }

    /// Where the packet comes from: ipaddress.IPv4Address(number) is the address; format "I".
    #[getter]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (11, "I"), |header| header.source.to_ne_bytes())
    }

    /// Where the packet goes: ipaddress.IPv4Address(number) is the address; format "I".
    #[getter]
    fn destination<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        self.column(py, (12, "I"), |header| header.destination.to_ne_bytes())
    }

    fn __len__(&self) -> usize {
        self.fields.len()
    }

    fn __repr__(&self) -> String {
        let side = if self.outer { "outer" } else { "inner" };
        format!("<HeaderBatch {} {side} headers>", self.fields.len())
    }
}

impl HeaderBatch {
    /// A view of the column kept at `place`; each caller gets one of its own, which it may release.
    fn column<'py, const N: usize>(
        &self,
        py: Python<'py>,
        (place, format): (usize, &str),
        value: impl Fn(&HeaderFields) -> [u8; N],
    ) -> PyResult<Bound<'py, PyMemoryView>> {
        let fields = self.fields.iter();
        let make = || {
            let count = self.fields.len();
            let octets = if self.outer {
                octets(py, count, fields.map(|fields| value(&fields.outer)))
            } else {
                octets(py, count, fields.map(|fields| value(&fields.inner)))
            };
            octets.map(Bound::unbind)
        };
        view(
            self.columns[place].get_or_try_init(py, make)?.bind(py),
            format,
        )
    }
}

/// `count` numbers in the machine's byte order, seen as items of this format of Python's `struct`.
pub(crate) fn column<'py, const N: usize>(
    py: Python<'py>,
    format: &str,
    count: usize,
    numbers: impl Iterator<Item = [u8; N]>,
) -> PyResult<Bound<'py, PyMemoryView>> {
    view(&octets(py, count, numbers)?, format)
}

fn octets<const N: usize>(
    py: Python<'_>,
    count: usize,
    numbers: impl Iterator<Item = [u8; N]>,
) -> PyResult<Bound<'_, PyBytes>> {
    PyBytes::new_with(py, count * N, |octets| {
        let (places, _) = octets.as_chunks_mut();
        for (place, number) in places.iter_mut().zip(numbers) {
            *place = number;
        }
        Ok(())
    })
}

fn view<'py>(octets: &Bound<'py, PyBytes>, format: &str) -> PyResult<Bound<'py, PyMemoryView>> {
    let view = PyMemoryView::from(octets.as_any())?;
    // Octets are what a view of bytes has anyway.
    if format == "B" {
        return Ok(view);
    }
    let cast = intern!(octets.py(), "cast");
    Ok(view.call_method1(cast, (format,))?.cast_into()?)
}
