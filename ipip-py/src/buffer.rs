//! Packets as Python has them: any contiguous buffer, read or written in place.

use std::borrow::Cow;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PySlice};

use crate::{args, errors};

/// A packet to be read. `bytes` cannot change and are read where they are; anything else is copied
/// before it is looked at, since other threads may write to it.
pub(crate) enum Octets<'py> {
    Bytes(Bound<'py, PyBytes>),
    Buffer(PyBuffer<u8>),
}

impl<'py> Octets<'py> {
    /// Any bytes-like object: bytes, bytearray, memoryview, array, a NumPy array …
    pub(crate) fn of(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        }
        let view = view(name, value)?;
        Ok(Self::Buffer(PyBuffer::get(&view)?))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes().len(),
            Self::Buffer(buffer) => buffer.len_bytes(),
        }
    }

    pub(crate) fn read(&self, py: Python<'_>) -> PyResult<Cow<'_, [u8]>> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
            Self::Buffer(buffer) => buffer.to_vec(py).map(Cow::Owned),
        }
    }

    /// Copies all of it into `target`, which must be as long.
    pub(crate) fn copy_to(&self, py: Python<'_>, target: &mut [u8]) -> PyResult<()> {
        match self {
            Self::Bytes(bytes) => {
                target.copy_from_slice(bytes.as_bytes());
                Ok(())
            }
            Self::Buffer(buffer) => buffer.copy_to_slice(py, target),
        }
    }
}

/// A one-dimensional view of single octets over `value`.
pub(crate) fn view<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyMemoryView>> {
    let py = value.py();
    let view = match PyMemoryView::from(value) {
        Ok(view) => view,
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyTypeError>(py) => {
            return Err(args::wrong_type(name, "a bytes-like object", value));
        }
        Err(error) => return Err(errors::named(py, name, error)),
    };
    if !view.getattr("c_contiguous")?.is_truthy()? {
        return Err(args::invalid(
            py,
            name,
            "the buffer has gaps; pass a contiguous one, such as bytes(…) of it",
        ));
    }
    let flat = view.getattr("ndim")?.eq(1)?;
    if flat && view.getattr("format")?.eq("B")? {
        return Ok(view);
    }
    if view.getattr("nbytes")?.eq(0)? {
        // Python casts no view that has a zero among several dimensions.
        return PyMemoryView::from(PyByteArray::new(py, &[]).as_any());
    }
    let view = view.call_method1("cast", ("B",));
    Ok(view
        .map_err(|error| errors::named(py, name, error))?
        .cast_into()?)
}

/// The same, to be written to.
pub(crate) fn writable<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyMemoryView>> {
    let view = view(name, value)?;
    if view.getattr("readonly")?.is_truthy()? {
        return Err(args::wrong_type(
            name,
            "a writable bytes-like object",
            value,
        ));
    }
    Ok(view)
}

/// `view[start:end]`, without a copy.
pub(crate) fn part<'py>(
    view: &Bound<'py, PyMemoryView>,
    start: usize,
    end: usize,
) -> PyResult<Bound<'py, PyMemoryView>> {
    let (start, end) = (isize::try_from(start)?, isize::try_from(end)?);
    Ok(view
        .get_item(PySlice::new(view.py(), start, end, 1))?
        .cast_into()?)
}

/// Overwrites `view[start..]` with `octets`.
pub(crate) fn write(view: &Bound<'_, PyMemoryView>, start: usize, octets: &[u8]) -> PyResult<()> {
    let target = part(view, start, start.saturating_add(octets.len()))?;
    PyBuffer::get(&target)?.copy_from_slice(view.py(), octets)
}
