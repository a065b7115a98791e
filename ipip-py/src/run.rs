//! `Stop`, `RunEvent`, and the wait of `Node.run` for what a run tells.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ipip_core::node;
use pyo3::prelude::*;

use crate::errors;
use crate::log::without_gil;
use crate::node_outcome::Synced;
use crate::progress;

/// How long a wait lasts before Python is asked whether Ctrl-C was pressed; the promise is 100 ms.
const SLICE: Duration = Duration::from_millis(50);

/// Ends a Node.run from another thread, from its callback, or from a signal's handler.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Stop(pub(crate) node::Stop);

#[pymethods]
impl Stop {
    #[new]
    fn new() -> Self {
        Self(node::Stop::default())
    }

    /// Ends the run; a pass that has begun is finished.
    fn stop(&self) {
        self.0.stop();
    }

    /// Whether it is to end.
    #[getter]
    fn stopped(&self) -> bool {
        self.0.is_stopped()
    }

    fn __repr__(&self) -> String {
        format!("<Stop stopped={}>", crate::args::boolean(self.stopped()))
    }
}

/// What a run tells of itself: a pass that was made, or one that was not.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct RunEvent {
    /// What the pass did, or None.
    synced: Option<Py<Synced>>,
    /// Why no pass could be made, or a watcher failed: an exception of ipip.errors; or None.
    error: Option<Py<PyAny>>,
    /// After how many seconds at the latest it is tried again; None beside synced.
    retry_in: Option<f64>,
}

impl RunEvent {
    fn new(py: Python<'_>, event: node::RunEvent) -> PyResult<Option<Self>> {
        Ok(match event {
            node::RunEvent::Synced(synced) => Some(Self {
                synced: Some(Py::new(py, Synced(*synced))?),
                error: None,
                retry_in: None,
            }),
            node::RunEvent::Failed { error, retry_in } => Some(Self {
                synced: None,
                error: Some(errors::node(py)(error).into_value(py).into_any()),
                retry_in: Some(retry_in.as_secs_f64()),
            }),
            // Nothing that this version knows how to tell.
            _ => None,
        })
    }
}

#[pymethods]
impl RunEvent {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let told = match (&self.synced, &self.error) {
            (Some(synced), _) => synced.bind(py).repr()?,
            (_, Some(error)) => error.bind(py).repr()?,
            (None, None) => py.None().bind(py).repr()?,
        };
        Ok(format!("<RunEvent {told}>"))
    }
}

/// Runs `node` on a thread of its own until `stop`, a Ctrl-C, or an exception of `callback` or of the callable that
/// hears of progress (on that thread); `callback` is
/// called on the caller's thread. The run has ended when this returns.
pub(crate) fn run(
    py: Python<'_>,
    node: &node::Node,
    stop: &node::Stop,
    callback: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let callback = callback.map(|callback| callback.clone().unbind());
    // The caller's own ending must not set a `Stop` that it may use again.
    let ended = node::Stop::default();
    let result = without_gil(py, || {
        thread::scope(|scope| {
            let (sender, told) = channel();
            let (runs, inner) = (ended.clone(), ended.clone());
            let body = move || {
                let ended = node.run(&runs, |event| {
                    // The receiver lives until the run has ended.
                    let _ = sender.send(Ok(event));
                    if let Some(raised) = progress::raised() {
                        let _ = sender.send(Err(raised));
                    }
                });
                ended.map_err(Box::new)
            };
            let runner = scope.spawn(body);
            let waited = wait(&told, stop, callback.as_ref());
            inner.stop();
            let ended = runner.join();
            (waited, ended)
        })
    });
    match result {
        (Err(raised), _) => Err(raised),
        (Ok(()), Ok(Ok(()))) => Ok(()),
        (Ok(()), Ok(Err(error))) => Err(errors::node(py)(*error)),
        (Ok(()), Err(_)) => Err(errors::raise(
            py,
            "Error",
            "the run ended by a fault of its own",
        )),
    }
}

/// Hands each event to `callback`, until `stop` or the end of the run.
fn wait(
    told: &Receiver<PyResult<node::RunEvent>>,
    stop: &node::Stop,
    callback: Option<&Py<PyAny>>,
) -> PyResult<()> {
    while !stop.is_stopped() {
        let event = match told.recv_timeout(SLICE) {
            Ok(event) => Some(event?),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        Python::attach(|py| {
            py.check_signals()?;
            let (Some(event), Some(callback)) = (event, callback) else {
                return Ok(());
            };
            match RunEvent::new(py, event)? {
                Some(event) => callback.call1(py, (event,)).map(drop),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}
