//! Many workloads wired at once: one look at the kernel, few requests.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Changes, NodeError, ensure_workload};
use crate::addr::MacAddr;
use crate::name::InterfaceName;
use crate::netlink::{Course, Kernel};
use crate::overlay::{LINK_LOCAL_GATEWAY, WorkloadEndpoint};
use crate::plan::{self, Observed, Place, Route, Step};
use crate::sys::netns::Netns;

/// How many namespaces are open at once, two descriptors each: far below the 1,024 that a process may
/// have as a rule.
const AT_ONCE: usize = 128;

/// A workload to be wired.
pub(super) struct Wire<'a> {
    pub(super) endpoint: WorkloadEndpoint,
    pub(super) netns: &'a Path,
}

/// A workload that is wired.
pub(super) struct Wired {
    pub(super) changes: Changes,
    pub(super) mac: Option<MacAddr>,
}

/// What there is before workloads are wired: one reading for as many of them as go together.
pub(super) struct Look {
    kernel: Kernel,
    places: HashMap<PathBuf, Place>,
    pub(super) before: Observed,
}

impl Look {
    /// Reads the node's namespace and those at the first of `paths`; one that cannot be opened is left out.
    pub(super) fn at<'a>(
        node: &Netns,
        paths: impl Iterator<Item = &'a Path>,
    ) -> Result<Self, NodeError> {
        let mut kernel = Kernel::open(node)?;
        let opened = paths
            .take(AT_ONCE)
            .filter_map(|path| Netns::open(path).ok());
        let opened: Vec<_> = opened.collect();
        let added = kernel.add_workloads(&opened).into_iter().zip(&opened);
        let place =
            |(place, netns): (Result<_, _>, &Netns)| Some((netns.path().to_owned(), place.ok()?));
        let places = added.filter_map(place).collect();
        let before = kernel.observe()?;
        Ok(Self {
            kernel,
            places,
            before,
        })
    }
}

/// Wires each of `wires`, in order, the first of them by a look that was taken already. One that cannot be
/// wired leaves the others as they are, and nothing of itself. `course` hears of every few of them.
pub(super) fn wire_all(
    node: &Netns,
    look: Look,
    wires: &[Wire<'_>],
    mut course: Course,
) -> Vec<Result<Wired, NodeError>> {
    let mut look = Some(look);
    course.expect(wires.len());
    let wire = |some: &[Wire<'_>]| {
        let wired = wire_some(node, look.take(), some);
        course.count(some.len());
        wired
    };
    wires.chunks(AT_ONCE).flat_map(wire).collect()
}

fn wire_some(
    node: &Netns,
    look: Option<Look>,
    wires: &[Wire<'_>],
) -> Vec<Result<Wired, NodeError>> {
    // What does not go well together with all others is tried alone, and has its own error then.
    let paths = wires.iter().map(|wire| wire.netns);
    let look = look.map_or_else(|| Look::at(node, paths), Ok);
    let together = look.map(|look| Batch::wire(look, wires));
    let mut together = together.unwrap_or_default().into_iter();
    let one = |wire: &Wire<'_>| match together.next().flatten() {
        Some(wired) => Ok(wired),
        None => wire_alone(node, wire),
    };
    wires.iter().map(one).collect()
}

fn wire_alone(node: &Netns, wire: &Wire<'_>) -> Result<Wired, NodeError> {
    let netns = Netns::open(wire.netns)?;
    let changes = ensure_workload(node, &netns, &wire.endpoint)?;
    let mac = Kernel::open(&netns)?.mac_of(&Place::Node, &wire.endpoint.interface);
    let mac = mac.ok().flatten();
    Ok(Wired { changes, mac })
}

/// The steps of several workloads in one list.
#[derive(Default)]
struct Batch {
    steps: Vec<Step>,
    /// Where the steps of each are; `None` for one that is to be tried alone.
    parts: Vec<Option<Range<usize>>>,
}

impl Batch {
    /// What became of each; `None`: it is to be tried alone, and nothing was left of it.
    fn wire(look: Look, wires: &[Wire<'_>]) -> Vec<Option<Wired>> {
        let Look {
            mut kernel,
            places,
            before,
        } = look;
        let place = |wire: &Wire<'_>| places.get(wire.netns).cloned();
        let places: Vec<_> = wires.iter().map(place).collect();
        if let Err(error) = kernel.route_to(&Place::Node, LINK_LOCAL_GATEWAY) {
            log::warn!("{} workloads: no answer to their ARP, {error}", wires.len());
        }
        let batch = Self::plan(wires, &places, &before);
        let failed = kernel.apply_all(&batch.steps).undone();
        let wired = batch
            .parts
            .into_iter()
            .zip(wires)
            .zip(places)
            .map(|((part, wire), place)| {
                let (part, place) = (part?, place?);
                let steps = batch.steps.get(part.clone())?;
                if part.clone().any(|step| failed.contains(&step)) {
                    let numbered = part.zip(steps);
                    let done = numbered.filter(|(number, _)| !failed.contains(number));
                    let done: Vec<_> = done.map(|(_, step)| step.clone()).collect();
                    let _ = kernel.apply_all(&plan::undo(&done, &before));
                    return None;
                }
                let mac = kernel.mac_of(&place, &wire.endpoint.interface);
                Some(Wired {
                    mac: mac.ok().flatten(),
                    changes: Changes {
                        steps: steps.to_vec(),
                    },
                })
            });
        wired.collect()
    }

    fn plan(wires: &[Wire<'_>], places: &[Option<Place>], observed: &Observed) -> Self {
        let mut batch = Self::default();
        let routes = Routes::of(wires, observed);
        let mut names = HashSet::new();
        for (wire, place) in wires.iter().zip(places) {
            let part = batch.add(wire, place.as_ref(), observed, &routes, &mut names);
            batch.parts.push(part);
        }
        batch
    }

    fn add(
        &mut self,
        wire: &Wire<'_>,
        place: Option<&Place>,
        observed: &Observed,
        routes: &Routes<'_>,
        names: &mut HashSet<InterfaceName>,
    ) -> Option<Range<usize>> {
        let (place, host) = (place?, wire.endpoint.host_veth());
        wire.endpoint.check().ok()?;
        // Two containers of one pod want the same wire: one after the other.
        if !names.insert(host.clone()) {
            return None;
        }
        let is_its = |at: &Place, name: &InterfaceName| at == place || *name == host;
        let links = observed
            .links
            .iter()
            .filter(|link| is_its(&link.place, &link.name));
        let near = Observed {
            links: links.cloned().collect(),
            routes: routes.near(wire, place),
            ..Observed::default()
        };
        let plan = plan::ensure(&wire.endpoint.desired(wire.netns), &near);
        if !plan.conflicts.is_empty() {
            return None;
        }
        let start = self.steps.len();
        self.steps.extend(plan.steps);
        Some(start..self.steps.len())
    }
}

/// The routes that matter to some of the workloads: of a hundred thousand, few.
struct Routes<'a>(Vec<&'a Route>);

impl<'a> Routes<'a> {
    fn of(wires: &[Wire<'_>], observed: &'a Observed) -> Self {
        let addrs: HashSet<Ipv4Addr> = wires.iter().map(|wire| wire.endpoint.address).collect();
        let names: HashSet<_> = wires.iter().map(|wire| wire.endpoint.host_veth()).collect();
        let matters = |route: &&Route| {
            let is_inside = route.place != Place::Node;
            let leads = route
                .target
                .device()
                .is_some_and(|device| names.contains(device));
            is_inside || leads || addrs.contains(&route.prefix.network())
        };
        Self(observed.routes.iter().filter(matters).collect())
    }

    fn near(&self, wire: &Wire<'_>, place: &Place) -> Vec<Route> {
        let (addr, host) = (wire.endpoint.address, wire.endpoint.host_veth());
        let is_near = |route: &&&Route| {
            let on_host = route.target.device() == Some(&host) || route.prefix.network() == addr;
            route.place == *place || (route.place == Place::Node && on_host)
        };
        self.0
            .iter()
            .filter(is_near)
            .map(|route| Route::clone(route))
            .collect()
    }
}
