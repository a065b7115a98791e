//! `LiveCapture`: the frames of a live interface.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipip_core::capture::{self, CaptureError, LinkType, Live, Stopper};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::frame::{self, Frame};
use crate::log::without_gil;
use crate::netns::Netns;
use crate::{args, errors};

/// How long a wait lasts before Python is asked whether Ctrl-C was pressed; the promise is 100 ms.
const SLICE: Duration = Duration::from_millis(50);

/// Captures the frames of one interface in one namespace, both directions, from now on.
///
/// Raises NoSuchObject if there is no such interface, NoPrivilege without CAP_NET_RAW. Use it as a
/// context manager; iterate over it, or call next_frame.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct LiveCapture {
    /// `None` once closed. Locked only without the GIL, by whoever waits for a frame.
    live: Mutex<Option<Live>>,
    stopper: Stopper,
    interface: String,
    link_type: LinkType,
}

/// What one slice of waiting gave.
enum Slice {
    Frame(Box<capture::Frame>),
    Nothing,
    Stopped,
    Closed,
}

impl LiveCapture {
    fn slice(&self, wait: Duration) -> Result<Slice, CaptureError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(live) = live.as_mut() else {
            return Ok(Slice::Closed);
        };
        Ok(match live.next_frame(wait)? {
            Some(frame) => Slice::Frame(Box::new(frame)),
            None if live.is_stopped() => Slice::Stopped,
            None => Slice::Nothing,
        })
    }

    fn wait(&self, py: Python<'_>, timeout: Duration) -> PyResult<Slice> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            let slice = without_gil(py, || self.slice(left.min(SLICE)));
            match slice.map_err(errors::capture(py))? {
                Slice::Nothing if left > SLICE => py.check_signals()?,
                other => return Ok(other),
            }
        }
    }

    fn closed(&self, py: Python<'_>) -> PyErr {
        errors::invalid_argument(
            py,
            format!("the capture on interface {} is closed", self.interface),
        )
    }
}

#[pymethods]
impl LiveCapture {
    #[new]
    fn new(
        py: Python<'_>,
        netns: &Bound<'_, PyAny>,
        interface: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let netns = args::object::<Netns>("netns", netns)?.get().get(py)?;
        let interface = args::interface("interface", interface)?;
        let live =
            without_gil(py, || Live::open(&netns, &interface)).map_err(errors::capture(py))?;
        Ok(Self {
            stopper: live.stopper(),
            interface: interface.to_string(),
            link_type: live.link_type(),
            live: Mutex::new(Some(live)),
        })
    }

    /// The next frame, waiting up to timeout seconds (None: without end); None if the time is over,
    /// or the capture was stopped and every frame that passed before was returned.
    ///
    /// Ctrl-C ends the wait within 100 ms. Raises KernelError (ENETDOWN) once each time the interface
    /// goes down, and NoSuchObject from its removal on.
    #[pyo3(signature = (timeout=None))]
    fn next_frame(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Frame>> {
        match self.wait(py, args::timeout("timeout", timeout)?)? {
            Slice::Frame(frame) => Ok(Some(Frame(*frame))),
            Slice::Nothing | Slice::Stopped => Ok(None),
            Slice::Closed => Err(self.closed(py)),
        }
    }

    /// How many frames passed the interface since the capture began, and how many of them the
    /// kernel threw away because this program was too slow: (seen, dropped).
    fn counts(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        let counts = without_gil(py, || {
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            live.as_mut().map(Live::counts)
        });
        let counts = counts
            .ok_or_else(|| self.closed(py))?
            .map_err(errors::capture(py))?;
        Ok((counts.seen, counts.dropped))
    }

    /// Ends the capture from any thread: frames that pass from now on are not taken, waits end once
    /// the frames before are returned.
    fn stop(&self, py: Python<'_>) {
        without_gil(py, || self.stopper.stop());
    }

    /// Stops the capture and frees its socket; a second call does nothing.
    fn close(&self, py: Python<'_>) {
        without_gil(py, || {
            self.stopper.stop();
            self.live
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
        });
    }

    /// The interface captured on.
    #[getter]
    fn interface(&self) -> &str {
        &self.interface
    }

    /// What its frames begin with: "ethernet" or "raw_ip".
    #[getter]
    fn link_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        frame::link_type(py, self.link_type)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        match self.wait(py, Duration::MAX)? {
            Slice::Frame(frame) => Ok(Some(Frame(*frame))),
            Slice::Nothing | Slice::Stopped | Slice::Closed => Ok(None),
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<LiveCapture on {}, {}>", self.interface, self.link_type)
    }
}
