//! `Netns`: an open network namespace.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ipip_core::sys::netns::{self, NetnsError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::log::without_gil;
use crate::{args, errors};

/// An open network namespace, which lives at least as long as this object is open.
///
/// Made by create, create_unnamed, open, named or current; there is no constructor. As a context
/// manager it closes its handle at the end; a name that create made stays until remove.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Netns {
    /// `None` once closed.
    open: Mutex<Option<Arc<netns::Netns>>>,
    path: PathBuf,
}

impl Netns {
    fn new(netns: netns::Netns) -> Self {
        Self {
            path: netns.path().to_owned(),
            open: Mutex::new(Some(Arc::new(netns))),
        }
    }

    fn made(
        py: Python<'_>,
        make: impl FnOnce() -> Result<netns::Netns, NetnsError> + Send,
    ) -> PyResult<Self> {
        without_gil(py, make)
            .map(Self::new)
            .map_err(errors::netns(py))
    }

    /// The namespace, if it is not closed.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<Arc<netns::Netns>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || {
            let path = self.path.display();
            errors::invalid_argument(py, format!("network namespace {path} is closed"))
        };
        open.clone().ok_or_else(closed)
    }

    fn is_open(&self) -> bool {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

#[pymethods]
impl Netns {
    /// Makes a namespace named as `ip netns add NAME` does; it stays until remove.
    ///
    /// Raises AlreadyExists if the name is taken, NoPrivilege without CAP_SYS_ADMIN.
    #[staticmethod]
    fn create(py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = args::text("name", name)?;
        Self::made(py, || netns::Netns::create(&name))
    }

    /// Makes a namespace without a name; it ends with this object and the last process in it.
    ///
    /// Raises NoPrivilege without CAP_SYS_ADMIN.
    #[staticmethod]
    fn create_unnamed(py: Python<'_>) -> PyResult<Self> {
        Self::made(py, netns::Netns::create_unnamed)
    }

    /// Opens the namespace behind a path, such as /run/netns/NAME or /proc/PID/ns/net.
    ///
    /// Raises NoSuchObject if there is no such file, InvalidArgument if it is another kind of file.
    #[staticmethod]
    fn open(py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path = args::path("path", path, "str or os.PathLike")?;
        Self::made(py, || netns::Netns::open(path))
    }

    /// Opens the namespace that `ip netns add NAME` or create made.
    ///
    /// Raises NoSuchObject if there is none.
    #[staticmethod]
    fn named(py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = args::text("name", name)?;
        Self::made(py, || netns::Netns::named(&name))
    }

    /// The namespace of the calling thread.
    #[staticmethod]
    fn current(py: Python<'_>) -> PyResult<Self> {
        Self::made(py, netns::Netns::current)
    }

    /// Removes a name made by create or `ip netns add`; False if it was not there.
    #[staticmethod]
    fn remove(py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let name = args::text("name", name)?;
        without_gil(py, || netns::Netns::remove(&name)).map_err(errors::netns(py))
    }

    /// Calls function(*args, **kwargs) inside the namespace, on a thread that ends with it, and
    /// returns what it returns or raises what it raises.
    ///
    /// Sockets opened inside keep the namespace for life. Ctrl-C ends the wait at once; the function
    /// itself then runs on to its end, and the program does not exit before that.
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !function.is_callable() {
            return Err(args::wrong_type("function", "callable", function));
        }
        let netns = self.get(py)?;
        let function = function.clone().unbind();
        let (args, kwargs) = (
            args.clone().unbind(),
            kwargs.map(|kwargs| kwargs.clone().unbind()),
        );
        let inside = move |unused: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            let py = unused.py();
            let call = || {
                let call = |py: Python<'_>| {
                    function.call(py, args.bind(py), kwargs.as_ref().map(|k| k.bind(py)))
                };
                Python::try_attach(call)
            };
            match without_gil(py, || netns.enter(call)) {
                Ok(Some(result)) => result,
                Ok(None) => Err(errors::raise(
                    py,
                    "Error",
                    "the interpreter is shutting down",
                )),
                Err(error) => Err(errors::netns(py)(error)),
            }
        };
        // The caller waits on a Python thread for the Rust thread inside: Python knows how to wait
        // for its own threads, in reach of Ctrl-C and at exit.
        let inside = PyCFunction::new_closure(py, None, None, inside)?;
        py.import("ipip._threads")?
            .call_method1("call_on_thread", (inside,))
    }

    /// Whether both are the same namespace.
    fn is_same(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let other = args::object::<Self>("other", other)?.get().get(py)?;
        Ok(self.get(py)?.is_same(&other))
    }

    /// The descriptor of the open namespace, for setns(2); it stays this object's.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        Ok(self.get(py)?.as_fd().as_raw_fd())
    }

    /// The path it was opened by.
    #[getter]
    fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        !self.is_open()
    }

    /// Closes the handle; a second call does nothing.
    fn close(&self) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().get(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
        self.close();
    }

    fn __repr__(&self) -> String {
        let closed = if self.is_open() { "" } else { " closed" };
        format!("<Netns {}{closed}>", self.path.display())
    }
}
