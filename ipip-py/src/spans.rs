//! Where packets lie in a buffer: read from arguments, and `SpanBatch` as a result.

use ipip_core::wire::Span;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PyString};

use crate::batch::column;
use crate::{args, errors};

const PAIRS: &str = "pairs of offset and length";

/// Where the packets of a batch lie in its buffer, and the status of each.
///
/// offset, len and status are read-only memoryviews with one number a packet, which numpy.asarray takes
/// without a copy. status is 0, or the PacketError.status that the single call's exception would have;
/// such a packet has an offset and a length of 0. The object itself can be passed on as packets.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct SpanBatch {
    pub(crate) spans: Vec<Span>,
    pub(crate) statuses: Vec<u32>,
    /// How many packets have status 0.
    #[pyo3(get)]
    pub(crate) good: usize,
}

impl SpanBatch {
    /// Room for so many packets.
    pub(crate) fn with_room(count: usize) -> Self {
        Self {
            spans: vec![Span::default(); count],
            statuses: vec![0; count],
            good: 0,
        }
    }
}

#[pymethods]
impl SpanBatch {
    /// Octets before each packet, from the start of the buffer; format "Q".
    #[getter]
    fn offset<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        let offsets = self.spans.iter().map(|span| number(span.offset));
        column(py, "Q", self.spans.len(), offsets)
    }

    /// Length of each packet in octets; format "Q".
    #[getter]
    fn len<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        let lens = self.spans.iter().map(|span| number(span.len));
        column(py, "Q", self.spans.len(), lens)
    }

    /// 0 for each packet that is good, else what is wrong with it; format "I".
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        let statuses = self.statuses.iter().map(|status| status.to_ne_bytes());
        column(py, "I", self.statuses.len(), statuses)
    }

    fn __len__(&self) -> usize {
        self.spans.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "<SpanBatch {} packets, {} good>",
            self.spans.len(),
            self.good
        )
    }
}

fn number(octets: usize) -> [u8; 8] {
    u64::try_from(octets).unwrap_or(u64::MAX).to_ne_bytes()
}

/// A buffer of 64-bit integers in the machine's byte order, of shape (n, 2) or (2n,); a `SpanBatch`; or
/// anything that gives pairs of integers.
pub(crate) fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Span>> {
    let py = value.py();
    if let Ok(batch) = value.cast::<SpanBatch>() {
        return Ok(batch.get().spans.clone());
    }
    match PyUntypedBuffer::get(value) {
        Ok(buffer) => of_buffer(py, name, &buffer),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => of_pairs(name, value),
        Err(error) => Err(errors::named(py, name, error)),
    }
}

fn of_buffer(py: Python<'_>, name: &str, buffer: &PyUntypedBuffer) -> PyResult<Vec<Span>> {
    let shape = buffer.shape();
    if !matches!(shape, [_, 2]) && !matches!(shape, [numbers] if numbers % 2 == 0) {
        let fault = format!("the shape is {shape:?}, allowed are [n, 2] and [2n]: {PAIRS}");
        return Err(args::invalid(py, name, fault));
    }
    if buffer.item_count() == 0 {
        return Ok(Vec::new());
    }
    let numbers = if foreign(buffer.format().to_bytes()) {
        None
    } else if let Ok(buffer) = buffer.as_typed::<u64>() {
        Some(buffer.to_vec(py)?)
    } else if let Ok(buffer) = buffer.as_typed::<i64>() {
        let numbers = buffer.to_vec(py)?;
        if let Some(place) = numbers.iter().position(|number| *number < 0) {
            return Err(outside(py, name, place / 2));
        }
        Some(numbers.iter().map(|number| number.unsigned_abs()).collect())
    } else {
        None
    };
    let numbers = numbers.ok_or_else(|| not_integers(name, buffer))?;
    let (pairs, _) = numbers.as_chunks();
    Ok(pairs
        .iter()
        .map(|[offset, len]| span(*offset, *len))
        .collect())
}

/// Whether a format of Python's `struct` states the other byte order. pyo3 0.30 takes ">" for this
/// machine's own on little-endian machines.
fn foreign(format: &[u8]) -> bool {
    match format {
        [b'>' | b'!', ..] => cfg!(target_endian = "little"),
        [b'<', ..] => cfg!(target_endian = "big"),
        _ => false,
    }
}

fn not_integers(name: &str, buffer: &PyUntypedBuffer) -> PyErr {
    let found = buffer.format().to_string_lossy();
    PyTypeError::new_err(format!(
        "argument '{name}' must hold aligned 64-bit integers, such as array('Q') and numpy.uint64, not items of format '{found}'"
    ))
}

fn of_pairs(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Span>> {
    let py = value.py();
    let pairs = match value.try_iter() {
        Ok(pairs) if !value.is_instance_of::<PyString>() => pairs,
        Err(error) if !error.is_instance_of::<PyTypeError>(py) => return Err(error),
        _ => return Err(args::wrong_type(name, PAIRS, value)),
    };
    let mut spans = Vec::new();
    for pair in pairs {
        let pair = pair?;
        let place = || format!("{name}[{}]", spans.len());
        let Ok(numbers) = pair.extract::<Vec<Bound<'_, PyAny>>>() else {
            return Err(args::wrong_type(
                &place(),
                "a pair of offset and length",
                &pair,
            ));
        };
        let [offset, len] = &numbers[..] else {
            let fault = format!(
                "found {} numbers, allowed are two: offset and length",
                numbers.len()
            );
            return Err(args::invalid(py, &place(), fault));
        };
        let integer = |value: &Bound<'_, PyAny>| match value.extract() {
            Ok(number) => Ok(number),
            Err(_) => args::integer(&place(), value, 0..=u64::MAX),
        };
        let (offset, len) = (integer(offset)?, integer(len)?);
        spans.push(span(offset, len));
    }
    Ok(spans)
}

fn outside(py: Python<'_>, name: &str, place: usize) -> PyErr {
    let fault = format!(
        "pair {place} has a negative number, allowed are 0 to {}",
        i64::MAX
    );
    args::invalid(py, name, fault)
}

/// What no `usize` can hold is past any buffer.
fn span(offset: u64, len: u64) -> Span {
    Span {
        offset: offset.try_into().unwrap_or(usize::MAX),
        len: len.try_into().unwrap_or(usize::MAX),
    }
}
