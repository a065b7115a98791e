//! What a node is told: `NodeConfig`, and `WorkloadId` and `Workload`, what it wires.

use std::net::Ipv4Addr;

use ipip_core::datapath::Choice;
use ipip_core::name::NodeName;
use ipip_core::node;
use ipip_core::overlay::Policy;
use ipip_core::plan::RouteProtocol;
use pyo3::prelude::*;

use crate::args::{self, Given};
use crate::errors;
use crate::netns::Netns;
use crate::progress;

const CHOICES: [(&str, Choice); 4] = [
    ("auto", Choice::Auto),
    ("kernel", Choice::Kernel),
    ("bpf", Choice::Bpf),
    ("userspace", Choice::Userspace),
];

/// How a node takes part: who it is, where, and what it may do. Nothing of it is stored but its name and
/// its labels, so every process that acts for the node is told the same.
///
/// netns is the node's network namespace, the caller's if None. The others reach it through the
/// interface underlay, or at underlay_address on whatever interface; if neither is given, through that of
/// the default route, else the only one that is up and has a global IPv4 address. mtu is that inside the
/// tunnel, the underlay's less 20 octets if None. labels are those by which pools select nodes.
///
/// data_path is "auto", "kernel", "bpf" or "userspace"; guard: whether forged tunnel packets are dropped; network:
/// the first part of the handles NETWORK.CONTAINER. Of the routes: device is the tunnel's name, protocol
/// their mark, metric theirs to other nodes, route_mtu: whether those through the tunnel bear its MTU,
/// adopt_felix: whether Felix's are taken over, exclusive: whether foreign addresses on the tunnel go,
/// next_hop_objects: whether those to a node go by one next hop object (`ip nexthop`), for very many nodes; it
/// needs Linux 5.3 and the kernel's default net.ipv4.nexthop_compat_mode=1.
///
/// deadline is how long a pass of run takes at most, in seconds: it ends between two batches of changes in the
/// kernel, but never before the first, and the next one goes on; a store that has not answered by then, or for
/// 5 s if that is longer, counts as one that cannot be read. Other calls take the time that they need.
///
/// progress is called with a Progress while a call works on many objects in the kernel: on the thread of the call
/// (that of a run has a thread of its own), each time the kernel has answered a batch of changes (64 KiB, 1,260
/// routes; 128 containers attached, 24 detached). Methods of the node that change or read the kernel raise Busy there. If
/// it raises something, the call goes on without it to its end and raises that then, in place of an answer.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct NodeConfig(pub(crate) node::NodeConfig);

#[pymethods]
impl NodeConfig {
    #[new]
    #[pyo3(
        signature = (
            name, *, netns=None, underlay=None, underlay_address=None, mtu=None, labels=None,
            data_path=Given::Default, guard=Given::Default, network=Given::Default, device=Given::Default,
            protocol=Given::Default, metric=Given::Default, route_mtu=Given::Default,
            adopt_felix=Given::Default, exclusive=Given::Default,
            next_hop_objects=Given::Default, deadline=Given::Default, progress=None
        ),
        text_signature = "(name, *, netns=None, underlay=None, underlay_address=None, mtu=None, labels=None, data_path='auto', guard=True, network='k8s-pod-network', device='tunl0', protocol=12, metric=0, route_mtu=False, adopt_felix=False, exclusive=False, next_hop_objects=False, deadline=30.0, progress=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of its own")]
    fn new<'py>(
        name: &Bound<'py, PyAny>,
        netns: Option<&Bound<'py, PyAny>>,
        underlay: Option<&Bound<'py, PyAny>>,
        underlay_address: Option<&Bound<'py, PyAny>>,
        mtu: Option<&Bound<'py, PyAny>>,
        labels: Option<&Bound<'py, PyAny>>,
        data_path: Given<'py>,
        guard: Given<'py>,
        network: Given<'py>,
        device: Given<'py>,
        protocol: Given<'py>,
        metric: Given<'py>,
        route_mtu: Given<'py>,
        adopt_felix: Given<'py>,
        exclusive: Given<'py>,
        next_hop_objects: Given<'py>,
        deadline: Given<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let py = name.py();
        let flag = |given: &Given<'py>, name| given.or(false, |value| args::flag(name, value));
        let rule = Policy::default();
        let policy = Policy {
            protocol: protocol.or(rule.protocol, |value| {
                args::octet("protocol", value).map(RouteProtocol)
            })?,
            metric: metric.or(rule.metric, number)?,
            route_mtu: flag(&route_mtu, "route_mtu")?,
            adopt_felix: flag(&adopt_felix, "adopt_felix")?,
            exclusive: flag(&exclusive, "exclusive")?,
            next_hop_objects: flag(&next_hop_objects, "next_hop_objects")?,
            tunnel: device.or(rule.tunnel.clone(), |value| {
                args::interface("device", value)
            })?,
            ..rule
        };
        let text = args::text("name", name)?;
        let name = NodeName::try_new(&text).map_err(|fault| args::invalid(py, "name", fault))?;
        let mut config = node::NodeConfig::new(name)
            .with_policy(policy)
            .with_data_path(data_path.or(Choice::Auto, |value| {
                args::choice("data_path", value, &CHOICES)
            })?)
            .with_guard(guard.or(true, |value| args::flag("guard", value))?);
        if let Given::Value(deadline) = &deadline {
            config = config.with_deadline(args::duration("deadline", deadline)?);
        }
        if let Some(callback) = progress {
            if !callback.is_callable() {
                return Err(args::wrong_type("progress", "callable or None", callback));
            }
            config = config.with_progress(progress::listener(callback.clone().unbind()));
        }
        if let Given::Value(network) = &network {
            config = config.with_network(&args::text("network", network)?);
        }
        if let Some(netns) = netns {
            let netns = args::object::<Netns>("netns", netns)?.get().get(py)?;
            config = config.with_netns(netns.try_clone().map_err(errors::netns(py))?);
        }
        if let Some(mtu) = mtu {
            config = config.with_mtu(args::tunnel_mtu("mtu", mtu)?);
        }
        let labels = labels.map(|labels| args::pairs("labels", labels));
        for (key, value) in labels.transpose()?.unwrap_or_default() {
            config = config.with_label(&key, &value);
        }
        with_underlay(py, config, underlay, underlay_address).map(Self)
    }

    /// The node's name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name().as_str()
    }

    fn __repr__(&self) -> String {
        format!("<NodeConfig {}>", self.0.name())
    }
}

fn number(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let number = args::integer("metric", value, 0..=u32::MAX.into())?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn with_underlay<'py>(
    py: Python<'py>,
    config: node::NodeConfig,
    interface: Option<&Bound<'py, PyAny>>,
    address: Option<&Bound<'py, PyAny>>,
) -> PyResult<node::NodeConfig> {
    match (interface, address) {
        (None, None) => Ok(config),
        (Some(name), None) => Ok(config.with_underlay(args::interface("underlay", name)?)),
        (None, Some(addr)) => {
            Ok(config.with_underlay_address(args::address("underlay_address", addr)?))
        }
        (Some(_), Some(_)) => Err(errors::invalid_argument(
            py,
            "arguments 'underlay' and 'underlay_address' exclude each other",
        )),
    }
}

/// Which container of which pod: what a runtime repeats when it asks again, and when it takes the
/// container away.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct WorkloadId(pub(crate) node::WorkloadId);

#[pymethods]
impl WorkloadId {
    #[new]
    fn new(
        namespace: &Bound<'_, PyAny>,
        pod: &Bound<'_, PyAny>,
        container_id: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self(node::WorkloadId::new(
            &args::text("namespace", namespace)?,
            &args::text("pod", pod)?,
            &args::text("container_id", container_id)?,
        )))
    }

    /// The Kubernetes namespace.
    #[getter]
    fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The pod's name.
    #[getter]
    fn pod(&self) -> &str {
        &self.0.pod
    }

    /// The container's id.
    #[getter]
    fn container_id(&self) -> &str {
        &self.0.container_id
    }

    fn __repr__(&self) -> String {
        let node::WorkloadId {
            namespace,
            pod,
            container_id,
        } = &self.0;
        format!("WorkloadId({namespace:?}, {pod:?}, {container_id:?})")
    }
}

/// A container to be attached to the pod network.
///
/// id says which, netns is a path to its network namespace, such as /run/netns/NAME or /proc/PID/ns/net;
/// address is the one that it must have, None takes any.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Workload(pub(crate) node::Workload);

#[pymethods]
impl Workload {
    #[new]
    #[pyo3(
        signature = (*, id, netns, interface=Given::Default, address=None),
        text_signature = "(*, id, netns, interface='eth0', address=None)"
    )]
    fn new<'py>(
        id: &Bound<'py, PyAny>,
        netns: &Bound<'py, PyAny>,
        interface: Given<'py>,
        address: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let id = args::object::<WorkloadId>("id", id)?.get().0.clone();
        let rule = node::Workload::new(id, args::path("netns", netns, "str or os.PathLike")?);
        let address = address.map(|address| args::address("address", address));
        Ok(Self(node::Workload {
            interface: interface.or(rule.interface.clone(), |name| {
                args::interface("interface", name)
            })?,
            address: address.transpose()?,
            ..rule
        }))
    }

    /// Which container it is.
    #[getter]
    fn id(&self) -> WorkloadId {
        WorkloadId(self.0.id.clone())
    }

    /// The path to its network namespace.
    #[getter]
    fn netns(&self) -> String {
        self.0.netns.display().to_string()
    }

    /// The interface that it gets.
    #[getter]
    fn interface(&self) -> &str {
        self.0.interface.as_str()
    }

    /// The address that it must have, or None.
    #[getter]
    fn address(&self) -> Option<Ipv4Addr> {
        self.0.address
    }

    fn __repr__(&self) -> String {
        let address = self.0.address.map(|address| format!("'{address}'"));
        format!(
            "Workload(id={}, netns={:?}, interface='{}', address={})",
            self.id().__repr__(),
            self.netns(),
            self.interface(),
            address.as_deref().unwrap_or("None")
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}
