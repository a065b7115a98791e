//! `PcapWriter`: frames to a capture file.

use std::fs::File;
use std::io::BufWriter;
use std::sync::{Mutex, PoisonError};

use ipip_core::capture::{self, LinkType, PcapError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::args::{self, Given};
use crate::errors;
use crate::frame::{self, Frame};
use crate::log::without_gil;

/// Writes frames of one link type to a capture file: classic pcap with stamps in nanoseconds, which
/// tcpdump and Wireshark read.
///
/// Makes or empties the file at path. Use it as a context manager, or call close: what is only dropped
/// may be lost. Equal frames give equal files on every machine.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct PcapWriter {
    /// `None` once closed. Locked only without the GIL.
    open: Mutex<Option<Open>>,
}

type Open = capture::PcapWriter<BufWriter<File>>;

impl PcapWriter {
    fn with(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Open) -> Result<(), PcapError> + Send,
    ) -> PyResult<()> {
        let result = without_gil(py, || {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.as_mut().map(work)
        });
        let closed = || errors::invalid_argument(py, "the capture file is closed");
        result.ok_or_else(closed)?.map_err(errors::pcap(py))
    }
}

#[pymethods]
impl PcapWriter {
    #[new]
    #[pyo3(signature = (path, link_type=Given::Default), text_signature = "(path, link_type='ethernet')")]
    fn new(path: &Bound<'_, PyAny>, link_type: Given<'_>) -> PyResult<Self> {
        let py = path.py();
        let path = args::path("path", path, "str or os.PathLike")?;
        let read = |value: &Bound<'_, PyAny>| frame::read_link_type("link_type", value);
        let link_type = link_type.or(LinkType::Ethernet, read)?;
        let open = without_gil(py, || capture::PcapWriter::create(path, link_type));
        let open = Mutex::new(Some(open.map_err(errors::pcap(py))?));
        Ok(Self { open })
    }

    /// Adds one frame.
    ///
    /// Raises InvalidArgument if the file cannot hold it: another link type, a time outside 1970 to 2106.
    /// KernelError if writing failed: nothing of it is in the file then, unless it is PartWritten.
    fn write(&self, frame: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = frame.py();
        let frame = &args::object::<Frame>("frame", frame)?.get().0;
        self.with(py, |writer| writer.write(frame))
    }

    /// Writes out what is buffered, so that another process may read the file now.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, capture::PcapWriter::flush)
    }

    /// Writes out what is buffered and closes the file, even if writing fails; a second call does
    /// nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let finished = without_gil(py, || {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.take().map(capture::PcapWriter::finish)
        });
        finished.transpose().map(drop).map_err(errors::pcap(py))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}
