//! `Reader`: the frames of a capture file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use ipip_core::capture::{self, Point, ReadError};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::frame::{self, Frame};
use crate::log::without_gil;
use crate::{args, errors, journey};

/// Reads the frames of a capture, pcap or pcapng, from beginning to end: iterate over it.
///
/// source is a path, or a binary file open for reading, such as sys.stdin.buffer or gzip.open(path).
/// Raises InvalidArgument if it is no capture. Where the capture is damaged or cut off, DamagedCapture
/// with the offset is raised once, after the frames before. A context manager.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Reader {
    /// `None` once closed. Locked only without the GIL, by whoever reads.
    open: Mutex<Option<Open>>,
    /// The thread that has it locked.
    user: Mutex<Option<ThreadId>>,
}

type Open = capture::Reader<BufReader<Source>>;

/// What is read from.
enum Source {
    File(File),
    Object(Py<PyAny>),
}

impl Reader {
    /// Does `work` with the reader, without the GIL.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Open) -> T + Send,
    ) -> PyResult<T> {
        let result = self.locked(py, |open| open.as_mut().map(work))?;
        result.ok_or_else(|| errors::invalid_argument(py, "the reader is closed"))
    }

    /// The same, whether it is closed or not. A file object's own reading, or a signal's handler
    /// meanwhile, would wait for itself: it gets an error.
    fn locked<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Option<Open>) -> T + Send,
    ) -> PyResult<T> {
        let user = || self.user.lock().unwrap_or_else(PoisonError::into_inner);
        let me = Some(thread::current().id());
        if *user() == me {
            let text = "the reader is reading on this very thread";
            return Err(errors::invalid_argument(py, text));
        }
        Ok(without_gil(py, || {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            *user() = me;
            let result = work(&mut open);
            *user() = None;
            result
        }))
    }
}

#[pymethods]
impl Reader {
    #[new]
    fn new(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let open = |source| capture::Reader::new(BufReader::new(source));
        let open = if source.hasattr("read")? {
            let nothing = source.call_method1("read", (0,))?;
            if !nothing.is_instance_of::<PyBytes>() {
                let allowed = "a file that was opened in binary mode";
                return Err(args::wrong_type("source", allowed, source));
            }
            let source = Source::Object(source.clone().unbind());
            without_gil(py, || open(source))
        } else {
            let path = args::path("source", source, "str, os.PathLike or a binary file")?;
            without_gil(py, || match File::open(&path) {
                Ok(file) => open(Source::File(file)),
                Err(source) => Err(ReadError::Open { path, source }),
            })
        };
        let open = open.map_err(errors::read(py))?;
        Ok(Self {
            open: Mutex::new(Some(open)),
            user: Mutex::new(None),
        })
    }

    /// The interfaces met so far, one in pcap, in pcapng any number: a tuple of ipip.capture.Interface.
    #[getter]
    fn interfaces<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let interfaces = self.with(py, |reader| reader.interfaces().to_vec())?;
        let class = py.import("ipip.capture")?.getattr("Interface")?;
        let made = interfaces.into_iter().map(|interface| {
            let link_type = frame::link_type(py, interface.link_type)?;
            class.call1((interface.name, link_type))
        });
        PyTuple::new(py, made.collect::<PyResult<Vec<_>>>()?)
    }

    /// Where the frame that was read last was captured: its place in interfaces.
    #[getter]
    fn interface(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |reader| reader.interface())
    }

    /// Reads to the end: (the points of the capture, what ended it or None).
    ///
    /// There is one Point for each interface of which the capture has frames, by pcapng's description or
    /// the index in a Linux cooked header; it is called name, or with several of them name and the
    /// interface. Damage, or a failure to read, is returned beside what came before.
    fn points<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<(Vec<Bound<'py, PyAny>>, Option<PyErr>)> {
        let name = args::text("name", name)?;
        let (points, error) = self.with(py, |reader| Point::read(&name, reader))?;
        let error = error.map(errors::read(py));
        let ours = py.import("ipip.errors")?.getattr("Error")?;
        match error {
            // Ctrl-C, or a fault of the file object itself.
            Some(error) if !error.value(py).is_instance(&ours)? => Err(error),
            error => {
                let points = points.into_iter().map(|point| journey::point(py, point));
                Ok((points.collect::<PyResult<_>>()?, error))
            }
        }
    }

    /// Closes the file, unless it was opened by others; a second call does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.locked(py, |open| drop(open.take()))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        let frame = self.with(py, capture::Reader::next_frame)?;
        Ok(frame.map_err(errors::read(py))?.map(Frame))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            // Python's own reading ends at Ctrl-C, ours of a silent pipe would not.
            Self::Object(object) => {
                let read = |py: Python<'_>| read_object(object.bind(py), buffer);
                let read = Python::try_attach(read);
                read.unwrap_or(Ok(0)).map_err(io::Error::other)
            }
        }
    }
}

/// Reads what there is, at most as much as fits.
fn read_object(object: &Bound<'_, PyAny>, buffer: &mut [u8]) -> PyResult<usize> {
    // A buffered pipe's `read` waits until all of it is there.
    let name = if object.hasattr("read1")? {
        "read1"
    } else {
        "read"
    };
    let found = object.call_method1(name, (buffer.len(),))?;
    let octets = found.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(format!("argument 'source': {name}() returned no bytes"))
    })?;
    let octets = octets.as_bytes();
    let room = buffer.get_mut(..octets.len()).ok_or_else(|| {
        PyValueError::new_err(format!(
            "argument 'source': {name}() returned more than it was asked for"
        ))
    })?;
    room.copy_from_slice(octets);
    Ok(octets.len())
}
