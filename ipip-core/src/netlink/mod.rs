//! The kernel, as it is and as it is told to be: rtnetlink over one socket per namespace.
//!
//! This room knows the kernel and no rule of IPIP. [`Kernel::observe`] answers what namespaces hold
//! as [`crate::plan`]'s values, [`Kernel::apply`] carries out a plan's steps, [`Kernel::route_to`]
//! asks which way a packet would take.
//!
//! | file | holds |
//! |---|---|
//! | `message` | bytes of a datagram; `request` writes plan values, `reply` reads them |
//! | `socket` | one socket: send a request, receive its answers, read a dump in one piece |
//! | `observe` | links, addresses, settings and routes of every namespace; route look-up; what a link counted |
//! | `classifier` | programs at the hooks of traffic control |
//! | `apply` | each step as one acknowledged request; `forwarding`, which goes by `/proc` |
//! | `many` | many steps at once: `work` does them in stages, `exchange` sends many requests at a time, `delete` deletes links in groups |
//! | `course` | by when long work is to end, and who hears how far it is |
//! | `monitor` | what changes, as the kernel tells it |
//! | `nft` | the guard's table, through the program `nft` |
//! | `error` | what was refused, about what, and in the kernel's own words |
//!
//! A socket belongs for life to the namespace in which it was opened, so a namespace is entered once
//! (on a thread of its own, see [`crate::sys::netns`]). Names are resolved to the kernel's indexes
//! when they are needed and never kept: an index may be another device's a moment later.
//!
//! The crates netlink-packet-* and netlink-sys change their API every few months; no public
//! signature of this room names them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::name::InterfaceName;
use crate::plan::Place;
use crate::sys::netns::Netns;

mod apply;
#[cfg(feature = "bpf")]
mod classifier;
mod course;
mod delete;
mod error;
mod exchange;
mod forwarding;
mod many;
mod message;
mod monitor;
mod nft;
mod observe;
mod socket;
mod work;

#[cfg(feature = "bpf")]
pub use classifier::{Classifier, Hook};
pub use course::Course;
pub use error::{ApplyError, NetlinkError, Refusal};
pub use many::{Applied, Failed};
pub use monitor::{Event, Monitor};
pub use observe::RouteAnswer;

pub(crate) use message::link::LinkStatistics;

use error::Fault;
use message::{link, request};
use socket::RequestSocket;

/// The kernel's network configuration in the node's namespace and in those of its workloads.
///
/// ```no_run
/// use ipip_core::{netlink::Kernel, sys::netns::Netns};
/// let mut kernel = Kernel::open(&Netns::current()?)?;
/// let pod = kernel.add_workload(&Netns::named("pod-a")?)?;
/// for link in kernel.observe()?.links {
///     println!("{:?} {} mtu {}", link.place, link.name, link.mtu);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Kernel {
    /// The node's namespace comes first.
    spaces: Vec<Space>,
    /// Where the workloads' are among them.
    positions: HashMap<Place, usize>,
}

/// A namespace and the socket inside it.
#[derive(Debug)]
struct Space {
    place: Place,
    netns: Netns,
    socket: RequestSocket,
}

impl Kernel {
    /// Opens the node's namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Netns`] if it may not be entered, [`NetlinkError::Socket`] if the process is
    /// out of descriptors.
    pub fn open(node: &Netns) -> Result<Self, NetlinkError> {
        Ok(Self {
            spaces: vec![Space::open(Place::Node, node)?],
            positions: HashMap::new(),
        })
    }

    /// Adds a workload's namespace, which steps and observations name by its path from then on. A
    /// namespace added earlier by the same path is forgotten: its path may lead to another by now.
    ///
    /// # Errors
    /// As [`Kernel::open`], and [`NetlinkError::NodeNamespace`] if it is the node's own.
    pub fn add_workload(&mut self, netns: &Netns) -> Result<Place, NetlinkError> {
        let place = self.workload(netns)?;
        self.add(Space::open(place.clone(), netns)?);
        Ok(place)
    }

    /// Adds many as [`Kernel::add_workload`] adds one, faster; the answers are in the order of `all`.
    pub(crate) fn add_workloads(&mut self, all: &[Netns]) -> Vec<Result<Place, NetlinkError>> {
        let places = all.iter().map(|netns| self.workload(netns));
        let places: Vec<_> = places.collect();
        let ours = all.iter().zip(&places).filter(|(_, place)| place.is_ok());
        let ours: Vec<_> = ours.map(|(netns, _)| netns).collect();
        let mut sockets = RequestSocket::open_each(&ours).into_iter();
        let added = all.iter().zip(places).map(|(netns, place)| {
            let place = place?;
            let unanswered = || Err(Fault::UnknownPlace(netns.path().to_owned()));
            let socket = sockets.next().unwrap_or_else(unanswered);
            self.add(Space::with(place.clone(), netns, socket)?);
            Ok(place)
        });
        added.collect()
    }

    /// What a workload's namespace is called.
    fn workload(&self, netns: &Netns) -> Result<Place, NetlinkError> {
        let node = self.spaces.first();
        if node.is_some_and(|node| node.netns.is_same(netns)) {
            let path = netns.path().to_owned();
            return Err(NetlinkError::NodeNamespace { path });
        }
        Ok(Place::Workload(Arc::from(netns.path())))
    }

    fn add(&mut self, space: Space) {
        self.remove_workload(&space.place);
        self.positions
            .insert(space.place.clone(), self.spaces.len());
        self.spaces.push(space);
    }

    /// Forgets a workload's namespace and closes its socket. Whether it was there; the node's own
    /// always stays.
    pub fn remove_workload(&mut self, place: &Place) -> bool {
        let Some(position) = self.positions.remove(place) else {
            return false;
        };
        self.spaces.swap_remove(position);
        if let Some(moved) = self.spaces.get(position) {
            self.positions.insert(moved.place.clone(), position);
        }
        true
    }

    /// The node's namespace, for what of it other interfaces of the kernel tell than netlink.
    #[cfg(feature = "bpf")]
    pub(crate) fn node_netns(&self) -> Option<&Netns> {
        self.spaces.first().map(|node| &node.netns)
    }

    fn position(&self, place: &Place) -> Result<usize, Fault> {
        match place {
            Place::Node => Ok(0),
            Place::Workload(path) => {
                let found = self.positions.get(place).copied();
                found.ok_or_else(|| Fault::UnknownPlace(path.to_path_buf()))
            }
        }
    }

    fn space(&mut self, place: &Place) -> Result<&mut Space, Fault> {
        let position = self.position(place)?;
        let unknown = || Fault::UnknownPlace(PathBuf::from("(node)"));
        self.spaces.get_mut(position).ok_or_else(unknown)
    }
}

impl Space {
    fn open(place: Place, netns: &Netns) -> Result<Self, NetlinkError> {
        Self::with(place, netns, RequestSocket::open(netns))
    }

    fn with(
        place: Place,
        netns: &Netns,
        socket: Result<RequestSocket, Fault>,
    ) -> Result<Self, NetlinkError> {
        let about = |fault: Fault| fault.about(format!("namespace {netns}"));
        Ok(Self {
            place,
            netns: netns.try_clone().map_err(Fault::Netns).map_err(about)?,
            socket: socket.map_err(about)?,
        })
    }

    /// The index that a name has now.
    fn index_of(&mut self, name: &InterfaceName) -> Result<u32, Fault> {
        let found = self.socket.ask(request::get_link(name), link::link)?;
        Ok(found.index)
    }

    /// The name that an index has now.
    fn name_of(&mut self, index: u32) -> Result<InterfaceName, Fault> {
        let question = request::get_link_by_index(index);
        let found = self.socket.ask(question, link::link)?;
        let nameless = || Fault::Unreadable(format!("link {index} without a name"));
        found.name.ok_or_else(nameless)
    }
}
