//! `Store`, `MemoryStore` and `SqliteStore`: where pools, blocks and assignments are kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipip_core::datastore::{
    self, Changes, Durability, ImportOptions, Memory, Revision, Sqlite, SqliteOptions, StoreError,
    TransferError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::args::{self, Given};
use crate::errors;
use crate::log::without_gil;

/// How long a wait lasts before Python is asked whether Ctrl-C was pressed; the promise is 100 ms.
const SLICE: Duration = Duration::from_millis(50);
/// Octets handed to a Python file at once.
const CHUNK: usize = 1 << 20;

/// What every store can do. Any number of allocators and threads may share one.
#[pyclass(frozen, subclass, module = "ipip")]
pub(crate) struct Store(pub(crate) Arc<dyn datastore::Store>);

/// A value of each key, in order, with the store's revision.
type Read<'py> = (Bound<'py, PyDict>, u64);

#[pymethods]
impl Store {
    /// The value under a key, Calico's JSON as a rule; None if there is none.
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = args::text("key", key)?;
        let record = without_gil(py, || self.0.get(&key)).map_err(fault(py))?;
        Ok(record.map(|record| PyBytes::new(py, &record.value)))
    }

    /// The keys that begin with prefix, which begins with "/" and ends with "/" or ".".
    fn keys(&self, py: Python<'_>, prefix: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let prefix = args::text("prefix", prefix)?;
        let listing = without_gil(py, || self.0.list_keys(&prefix));
        Ok(listing.map_err(fault(py))?.entries)
    }

    /// The values of the keys that begin with prefix, read at one instant, and the store's revision
    /// then.
    fn list<'py>(&self, py: Python<'py>, prefix: &Bound<'py, PyAny>) -> PyResult<Read<'py>> {
        let prefix = args::text("prefix", prefix)?;
        let listing = without_gil(py, || self.0.list(&prefix)).map_err(fault(py))?;
        let found = PyDict::new(py);
        for record in listing.entries {
            found.set_item(record.key, PyBytes::new(py, &record.value))?;
        }
        Ok((found, listing.revision.0))
    }

    /// What changed below prefix after a revision, waiting up to timeout seconds (None: without end)
    /// for the first change: each key as it is now, None if it was deleted, in the order of the
    /// changes; and the revision to go on from.
    ///
    /// Ctrl-C ends the wait within 100 ms. Raises Compacted if the store no longer knows: list again.
    #[pyo3(signature = (prefix, after, timeout=None))]
    fn watch<'py>(
        &self,
        py: Python<'py>,
        prefix: &Bound<'py, PyAny>,
        after: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Read<'py>> {
        let prefix = args::text("prefix", prefix)?;
        let after = args::integer("after", after, 0..=u64::MAX)?;
        let mut after = Revision(after);
        let timeout = args::timeout("timeout", timeout)?;
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            let told = without_gil(py, || self.0.watch(&prefix, after, left.min(SLICE)));
            let told = told.map_err(fault(py))?;
            if !told.changes.is_empty() || left <= SLICE {
                return changes(py, told);
            }
            after = told.revision;
            py.check_signals()?;
        }
    }

    /// Writes every record, a line of JSON each, to a binary file; how many there were.
    fn export(&self, py: Python<'_>, file: &Bound<'_, PyAny>) -> PyResult<usize> {
        let write = file_method(file, "write")?;
        let mut lines = Vec::new();
        let exported = without_gil(py, || datastore::export(&*self.0, &mut lines));
        let exported = exported.map_err(transfer_fault(py))?;
        for chunk in lines.chunks(CHUNK) {
            write.call1((PyBytes::new(py, chunk),))?;
        }
        Ok(exported.records)
    }

    /// Puts every record that export wrote, read from a binary file, into the store by one commit, and
    /// tells what that changed; a dry run only tells.
    ///
    /// remove_others deletes the keys that no line has. Raises InvalidArgument with the number of a line
    /// that is no record, Busy if others keep writing to the same keys; nothing is written then.
    #[pyo3(
        signature = (file, *, dry_run=Given::Default, remove_others=Given::Default),
        text_signature = "($self, file, *, dry_run=False, remove_others=False)"
    )]
    fn import_(
        &self,
        py: Python<'_>,
        file: &Bound<'_, PyAny>,
        dry_run: Given<'_>,
        remove_others: Given<'_>,
    ) -> PyResult<Imported> {
        let options = ImportOptions {
            dry_run: dry_run.or(false, |value| args::flag("dry_run", value))?,
            remove_others: remove_others.or(false, |value| args::flag("remove_others", value))?,
        };
        let lines = file_method(file, "read")?.call0()?;
        let lines = lines.cast::<PyBytes>();
        let lines = lines.map_err(|_| args::wrong_type("file", FILE, file))?;
        let lines = lines.as_bytes();
        let imported = without_gil(py, || datastore::import(&*self.0, lines, options));
        Ok(Imported(imported.map_err(transfer_fault(py))?))
    }
}

const FILE: &str = "a file of octets";

fn file_method<'py>(file: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let method = file.getattr(name);
    method.map_err(|_| args::wrong_type("file", FILE, file))
}

fn changes<'py>(py: Python<'py>, told: Changes) -> PyResult<Read<'py>> {
    let found = PyDict::new(py);
    for change in told.changes {
        let value = change.value.map(|value| PyBytes::new(py, &value));
        found.set_item(change.key, value)?;
    }
    Ok((found, told.revision.0))
}

/// A store in this process's memory, for tests and short-lived tools.
#[pyclass(frozen, extends = Store, module = "ipip")]
pub(crate) struct MemoryStore;

#[pymethods]
impl MemoryStore {
    #[new]
    fn new() -> PyClassInitializer<Self> {
        let base = Store(Arc::new(Memory::new()));
        PyClassInitializer::from(base).add_subclass(Self)
    }

    fn __repr__(&self) -> String {
        "<MemoryStore>".to_owned()
    }
}

/// A store in a file on a local file system, for all processes of one machine: an SQLite database
/// with "-wal", "-shm", "-lock" and "-next" beside it.
///
/// A process may end at any instant: the file holds every acknowledged commit as a whole. A child made
/// by os.fork opens the file itself. Do not open it with the module sqlite3 in the same process.
#[pyclass(frozen, extends = Store, module = "ipip")]
pub(crate) struct SqliteStore {
    store: Arc<Sqlite>,
    path: PathBuf,
}

#[pymethods]
impl SqliteStore {
    /// Opens the file, or makes it unless create is False.
    ///
    /// A call waits up to deadline seconds for others who hold the file. durability is "power": each
    /// commit is on the disk before the call returns; or "process": a loss of power may take the last
    /// ones. So many commits as history says are remembered for watch.
    ///
    /// Raises StoreError if the file cannot be opened, or is not ours or newer; Damaged; Busy.
    #[new]
    #[pyo3(
        signature = (path, *, deadline=Given::Default, durability=Given::Default, create=Given::Default, history=Given::Default),
        text_signature = "(path, *, deadline=10.0, durability='power', create=True, history=16384)"
    )]
    fn py_new<'py>(
        path: &Bound<'py, PyAny>,
        deadline: Given<'py>,
        durability: Given<'py>,
        create: Given<'py>,
        history: Given<'py>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let py = path.py();
        let path = args::path("path", path, "str or os.PathLike")?;
        let default = SqliteOptions::default();
        let known = [
            ("power", Durability::Power),
            ("process", Durability::Process),
        ];
        let options = SqliteOptions {
            deadline: deadline.or(default.deadline, |value| {
                args::timeout("deadline", Some(value))
            })?,
            durability: durability.or(default.durability, |value| {
                args::choice("durability", value, &known)
            })?,
            create: create.or(default.create, |value| args::flag("create", value))?,
            history: history.or(default.history, |value| {
                let commits = args::integer("history", value, 1..=u32::MAX.into())?;
                Ok(u32::try_from(commits).unwrap_or(u32::MAX))
            })?,
        };
        let opened = without_gil(py, || Sqlite::open(&path, options));
        let store = Arc::new(opened.map_err(fault(py))?);
        let base = Store(Arc::<Sqlite>::clone(&store));
        Ok(PyClassInitializer::from(base).add_subclass(Self { store, path }))
    }

    /// Reads every page of the file and checks that they fit together; raises Damaged.
    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        without_gil(py, || self.store.verify()).map_err(fault(py))
    }

    fn __repr__(&self) -> String {
        format!("<SqliteStore {}>", self.path.display())
    }
}

/// What an import changed, or would change in a dry run.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Imported(datastore::Imported);

#[pymethods]
impl Imported {
    /// The keys that were not there.
    #[getter]
    fn added(&self) -> Vec<String> {
        self.0.added.clone()
    }

    /// The keys that had another value.
    #[getter]
    fn replaced(&self) -> Vec<String> {
        self.0.replaced.clone()
    }

    /// The keys that were deleted.
    #[getter]
    fn removed(&self) -> Vec<String> {
        self.0.removed.clone()
    }

    /// How many keys had their value already.
    #[getter]
    fn unchanged(&self) -> usize {
        self.0.unchanged
    }

    fn __repr__(&self) -> String {
        let (added, replaced) = (self.0.added.len(), self.0.replaced.len());
        let (removed, unchanged) = (self.0.removed.len(), self.0.unchanged);
        format!(
            "<Imported added={added} replaced={replaced} removed={removed} unchanged={unchanged}>"
        )
    }
}

fn fault(py: Python<'_>) -> impl Fn(StoreError) -> PyErr {
    move |error| errors::store(py, &error)
}

fn transfer_fault(py: Python<'_>) -> impl Fn(TransferError) -> PyErr {
    move |error| match error {
        TransferError::Store(error) => errors::store(py, &error),
        TransferError::Line { .. } | TransferError::Twice { .. } => errors::invalid(py)(&error),
        TransferError::Busy { .. } => errors::raise(py, "Busy", &error.to_string()),
        _ => errors::raise(py, "StoreError", &ipip_core::error_chain(&error)),
    }
}
