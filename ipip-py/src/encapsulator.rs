//! `Encapsulator`: the outer headers of one tunnel.

use ipip_core::wire;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::outer::Outer;
use crate::spans::{self, SpanBatch};
use crate::wire::{encapsulate_by, encapsulate_into_by};
use crate::{args, buffer, errors};

/// Writes the outer headers of one tunnel: an Outer made ready for many packets.
///
/// Builds what the functions of the same names build with the same Outer. Wherever identification
/// (0 to 65535) is None, it is the Outer's.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Encapsulator {
    outer: wire::Outer,
    tunnel: wire::Encapsulator,
}

impl Encapsulator {
    fn identification(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<u16> {
        let given = given.map(|number| args::word("identification", number));
        Ok(given.transpose()?.unwrap_or(self.outer.identification))
    }
}

#[pymethods]
impl Encapsulator {
    #[new]
    fn new(outer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let outer = args::object::<Outer>("outer", outer)?.get().0;
        Ok(Self {
            outer,
            tunnel: wire::Encapsulator::new(&outer),
        })
    }

    /// What it was made from.
    #[getter]
    fn outer(&self) -> Outer {
        Outer(self.outer)
    }

    /// The IPIP packet that carries inner: one copy, with the outer header in front.
    ///
    /// Raises PacketError as the function encapsulate does.
    #[pyo3(signature = (inner, *, identification=None))]
    fn encapsulate<'py>(
        &self,
        inner: &Bound<'py, PyAny>,
        identification: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let identification = self.identification(identification)?;
        encapsulate_by(&self.tunnel, inner, identification)
    }

    /// Writes the outer header in front of the inner packet that starts at headroom octets into a
    /// writable buffer; returns the IPIP packet as a view of that buffer.
    ///
    /// Raises PacketError as the function encapsulate_into does; the buffer is as it was then.
    #[pyo3(signature = (buffer, headroom, *, identification=None))]
    fn encapsulate_into<'py>(
        &self,
        buffer: &Bound<'py, PyAny>,
        headroom: &Bound<'py, PyAny>,
        identification: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyMemoryView>> {
        let identification = self.identification(identification)?;
        encapsulate_into_by(&self.tunnel, (buffer, headroom), identification)
    }

    /// Writes an outer header in front of each of many inner packets in a writable buffer; returns where
    /// the IPIP packets lie in it.
    ///
    /// inner is what parse_batch takes as packets. The spans ascend, with 20 octets of headroom before
    /// each that belong to no other: else it has the status of Headroom. The first packet gets
    /// identification, each further one the next, good or not; 0 follows 65535. A packet that is not good
    /// has a status and leaves its surroundings as they are. No other thread may write to the buffer
    /// meanwhile.
    #[pyo3(signature = (buffer, inner, *, identification=None))]
    fn encapsulate_batch(
        &self,
        buffer: &Bound<'_, PyAny>,
        inner: &Bound<'_, PyAny>,
        identification: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<SpanBatch> {
        let py = buffer.py();
        let identification = self.identification(identification)?;
        let inner = spans::read("inner", inner)?;
        let view = buffer::writable("buffer", buffer)?;
        // Worked out on a copy, for Rust may not look at octets that others can write to. The GIL is held
        // until they are back, so no Python code can see or lose anything in between.
        let mut octets = PyBuffer::<u8>::get(&view)?.to_vec(py)?;
        let mut batch = SpanBatch::with_room(inner.len());
        let outputs = (&mut batch.spans[..], &mut batch.statuses[..]);
        let good = self
            .tunnel
            .encapsulate_batch(&mut octets, &inner, identification, outputs);
        batch.good = good.map_err(errors::batch(py))?;
        // Good packets ascend, and none is empty.
        let mut good = batch.spans.iter().filter(|span| span.len != 0);
        if let Some(first) = good.next() {
            let last = good.next_back().unwrap_or(first);
            let written = octets.get(first.offset..last.offset + last.len);
            buffer::write(&view, first.offset, written.unwrap_or_default())?;
        }
        Ok(batch)
    }

    fn __repr__(&self) -> String {
        format!("Encapsulator({})", self.outer().__repr__())
    }

    /// It compares by what it was made from.
    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}
