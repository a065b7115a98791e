//! `Progress`, and the callable that hears how far a node's long work is.

use std::cell::RefCell;

use ipip_core::node;
use pyo3::prelude::*;

thread_local! {
    /// What the callable of a call on this thread has raised, until the call is over.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// How far a call of a node has come in the kernel.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct Progress {
    /// What is being done: "sync" (also by join and run) and "leave", in steps; "attach" and "detach", in containers.
    task: String,
    /// How much of it the kernel has carried out or refused. It never falls within one call.
    done: usize,
    /// How much there is in all. It grows where a pass has to plan anew.
    total: usize,
}

#[pymethods]
impl Progress {
    fn __repr__(&self) -> String {
        format!("<Progress {} {} of {}>", self.task, self.done, self.total)
    }
}

/// Calls `callback` on the thread of each call, until it raises something.
pub(crate) fn listener(callback: Py<PyAny>) -> impl Fn(node::Progress) + Send + Sync {
    move |progress| {
        if RAISED.with_borrow(Option::is_some) {
            return;
        }
        let progress = Progress {
            task: progress.task.to_string(),
            done: progress.done,
            total: progress.total,
        };
        let told = Python::attach(|py| callback.call1(py, (progress,)).map(drop));
        RAISED.set(told.err());
    }
}

/// What the callable has raised on this thread since this was asked last.
pub(crate) fn raised() -> Option<PyErr> {
    RAISED.take()
}
