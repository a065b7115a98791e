//! `Node`: a node that takes part.

use std::sync::Arc;

use ipip_core::datastore;
use ipip_core::ipam::Ambient;
use ipip_core::node::{self, LeaveOptions, NodeCounters, NodeError};
use pyo3::prelude::*;

use crate::args::{self, Given};
use crate::errors;
use crate::log::without_gil;
use crate::node_config::{NodeConfig, Workload, WorkloadId};
use crate::node_outcome::{Attached, Detached, Left, Planned, Synced};
use crate::progress;
use crate::run::{self, Stop};
use crate::store::Store;

/// A node of the pod network, made by join or open; there is no constructor.
///
/// Everything that lasts is in the store and in the kernel: an object that goes, or a process that ends,
/// takes nothing down but a user-space data path, and the next join or open goes on from what it finds.
/// Any number of threads may call the methods of one object; those that change the kernel take turns.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Node(node::Node);

/// What makes a node of a store and a configuration.
type Make =
    fn(Arc<dyn datastore::Store>, node::NodeConfig, Ambient) -> Result<node::Node, NodeError>;

impl Node {
    fn made(store: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>, make: Make) -> PyResult<Self> {
        let py = store.py();
        let store = Arc::clone(&args::object::<Store>("store", store)?.get().0);
        let config = args::object::<NodeConfig>("config", config)?.get();
        let config = config.0.clone();
        carried_out(py, || make(store, config, Ambient::system())).map(Self)
    }

    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&node::Node) -> Result<T, NodeError> + Send,
    ) -> PyResult<T> {
        carried_out(py, || work(&self.0))
    }
}

/// The answer of `work`, unless the callable that heard of its progress has raised something.
fn carried_out<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, NodeError> + Send,
) -> PyResult<T> {
    let (answer, raised) = without_gil(py, || (work(), progress::raised()));
    let answer = answer.map_err(errors::node(py));
    match raised {
        None => answer,
        Some(raised) => {
            raised.set_cause(py, answer.err());
            Err(raised)
        }
    }
}

#[pymethods]
impl Node {
    /// Makes a node of this host: writes its record with its address and labels, gets an address for its
    /// tunnel device, and brings about in the kernel what a node of this cluster holds. A node that takes
    /// part already is found as it is.
    ///
    /// Raises NotFound if there is no underlay, InvalidArgument if it is not clear which it is or it cannot
    /// be one, Taken if another node has its address, Exhausted if no tunnel address is left, NoPrivilege
    /// without CAP_NET_ADMIN.
    #[staticmethod]
    fn join(store: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::made(store, config, node::Node::join)
    }

    /// The node of this host, which joined before, perhaps in another process: nothing is changed.
    ///
    /// Raises NotFound if the store has no address of it.
    #[staticmethod]
    fn open(store: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::made(store, config, node::Node::open)
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name().as_str()
    }

    /// Attaches a container: assigns it an address and wires it. The call may be repeated: the address is
    /// the same each time, and what is broken of the wire is mended.
    ///
    /// Raises NoSuchObject if there is no namespace at the path, InvalidArgument if it is the node's own or a
    /// name is none, InTheWay if the container has another default route or interface, Taken if it has
    /// another address or the one that it must have is another's, Exhausted. What the call did is taken
    /// back then.
    fn attach(&self, py: Python<'_>, workload: &Bound<'_, PyAny>) -> PyResult<Attached> {
        let workload = &args::object::<Workload>("workload", workload)?.get().0;
        self.call(py, |node| node.attach(workload)).map(Attached)
    }

    /// Attaches many containers; the addresses of one block are one commit. For each in order what attach
    /// returns, or the exception that it raises: one that failed leaves the others as they are.
    ///
    /// Raises what attach raises if it could attach none.
    fn attach_many<'py>(
        &self,
        py: Python<'py>,
        workloads: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let read = |name: &str, workload: &Bound<'py, PyAny>| {
            let workload = args::object::<Workload>(name, workload)?;
            Ok(workload.get().0.clone())
        };
        let workloads = args::each("workloads", workloads, read)?;
        let answers = self.call(py, |node| node.attach_many(&workloads))?;
        each(py, answers, Attached)
    }

    /// Detaches a container: takes its wire away and releases its address. Its namespace may be gone; what
    /// was never attached, or is detached already, is no error.
    ///
    /// Raises KernelError if the wire cannot be taken away, and its address stays assigned then; StoreError
    /// if the store fails, and the next call completes it.
    fn detach(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Detached> {
        let id = &args::object::<WorkloadId>("id", id)?.get().0;
        self.call(py, |node| node.detach(id)).map(Detached)
    }

    /// Detaches many containers; the addresses of one block are one commit. For each in order what detach
    /// returns, or the exception that it raises.
    ///
    /// Raises StoreError if the store cannot be read; nothing was done then.
    fn detach_many<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let read = |name: &str, id: &Bound<'py, PyAny>| {
            let id = args::object::<WorkloadId>(name, id)?;
            Ok(id.get().0.clone())
        };
        let ids = args::each("ids", ids, read)?;
        let answers = self.call(py, |node| node.detach_many(&ids))?;
        each(py, answers, Detached)
    }

    /// Brings about what this node should hold of the cluster as it is now, and takes away what is ours and
    /// should not be there. What the kernel refuses is named in the answer, and the rest is done.
    ///
    /// Raises NotFound if the node has not joined or its underlay is gone, StoreError if the store could
    /// never be read, KernelError if the namespace cannot be.
    fn sync(&self, py: Python<'_>) -> PyResult<Synced> {
        self.call(py, node::Node::sync).map(Synced)
    }

    /// What sync would do in the kernel now. Nothing is changed, in the store neither. Raises as sync.
    fn plan(&self, py: Python<'_>) -> PyResult<Planned> {
        self.call(py, node::Node::plan).map(Planned)
    }

    /// Takes this node off the pod network: what is ours goes from the kernel, then its tunnel address is
    /// released. With forget the store forgets the rest of it too: its record, its workloads' addresses,
    /// its blocks. Everything is tried; what failed is in the answer, and the next call completes it.
    ///
    /// Raises as sync; nothing was done then.
    #[pyo3(
        signature = (*, forget=Given::Default),
        text_signature = "($self, *, forget=False)"
    )]
    fn leave(&self, py: Python<'_>, forget: Given<'_>) -> PyResult<Left> {
        let forget = forget.or(false, |value| args::flag("forget", value))?;
        self.call(py, |node| node.leave(&LeaveOptions { forget }))
            .map(Left)
    }

    /// Keeps this node as it should be until stop says otherwise: a pass as sync at once, after each
    /// change in the store or in the kernel, and every 90 s. callback is called with a RunEvent for each
    /// pass, on the calling thread; what it raises ends the run and is raised again. A pass takes no longer
    /// than the configuration's deadline, and the next one goes on with what it postponed.
    ///
    /// It may be stopped, or killed, at any instant: nothing is taken down by that but a user-space data
    /// path. Stop and Ctrl-C end it within about a second; a pass that has begun is finished first. Raises
    /// KernelError if the kernel's changes cannot be listened to.
    #[pyo3(signature = (stop, callback=None))]
    fn run(
        &self,
        py: Python<'_>,
        stop: &Bound<'_, PyAny>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let stop = &args::object::<Stop>("stop", stop)?.get().0;
        if let Some(callback) = callback.filter(|callback| !callback.is_callable()) {
            return Err(args::wrong_type("callback", "callable or None", callback));
        }
        run::run(py, &self.0, stop, callback)
    }

    /// What this object did since it was made: "passes", "errors" (passes that ended early), "applied" and
    /// "failed" (steps), "conflicts", "events" (of the kernel), "changes" (of the store), "resyncs" (passes
    /// for which nothing was told), "cut_short" (passes whose time was over before their work).
    fn counters(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let NodeCounters {
            passes,
            errors,
            applied,
            failed,
            conflicts,
            events,
            changes,
            resyncs,
            cut_short,
            ..
        } = self.0.counters();
        [
            ("passes", passes),
            ("errors", errors),
            ("applied", applied),
            ("failed", failed),
            ("conflicts", conflicts),
            ("events", events),
            ("changes", changes),
            ("resyncs", resyncs),
            ("cut_short", cut_short),
        ]
        .into()
    }

    /// What the data path of this object carried and dropped since it was started: "sent_packets",
    /// "sent_octets", "received_packets", "received_octets" (of the inner packets), "checksums_finished",
    /// "ecn_alarms", and each reason for a drop. Where the kernel's driver carries, what its device counts, and None for
    /// what that does not tell: of outbound drops only how many ("send_failed"). None in all where another process
    /// carries, and before the first pass.
    fn traffic(
        &self,
        py: Python<'_>,
    ) -> PyResult<Option<std::collections::BTreeMap<&'static str, Option<u64>>>> {
        let counters = self.call(py, node::Node::traffic)?;
        Ok(counters.map(|counters| counters.by_name().into()))
    }

    fn __repr__(&self) -> String {
        format!("<Node {}>", self.0.name())
    }
}

/// What a call for many answers for each: an object, or an exception.
fn each<'py, A, T: pyo3::PyClass + Into<pyo3::PyClassInitializer<T>>>(
    py: Python<'py>,
    answers: Vec<Result<A, NodeError>>,
    answer: fn(A) -> T,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let of = |result| match result {
        Ok(one) => Ok(Bound::new(py, answer(one))?.into_any()),
        Err(error) => Ok(errors::node(py)(error)
            .into_value(py)
            .into_bound(py)
            .into_any()),
    };
    answers.into_iter().map(of).collect()
}
