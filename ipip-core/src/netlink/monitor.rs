//! What changes in a namespace, as the kernel tells it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use netlink_sys::Socket;

use super::NetlinkError;
use super::error::Fault;
use super::message::link::{self, LinkFacts};
use super::message::reply::{self, Names};
use super::message::{Frame, frames, next_hop, route, u32_at};
use super::socket::{DATAGRAM_MAX, NONE, RequestSocket, configure, open, receive_datagram};
use crate::name::InterfaceName;
use crate::plan::{InterfaceAddr, Place, Route};
use crate::sys::netns::Netns;
use crate::sys::wake::{Ended, Wake};

/// `RTNLGRP_LINK`, `RTNLGRP_TC`, `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV4_ROUTE`.
const GROUPS: [u32; 4] = [1, 4, 5, 7];

/// Octets, which hold some 2,500 events. Not more: once it is half full the kernel makes whoever causes
/// an event give way to all other processes (`yield` in `netlink_broadcast_filtered`), which on a busy
/// machine stops the writing of routes, our own included; once it is full, no longer.
const BUFFER: libc::c_int = 1024 * 1024;

/// `RTNLGRP_NEXTHOP`, which kernels have since 5.3: with an object its routes go, untold.
const NEXT_HOPS: u32 = 32;

/// How many datagrams one call takes in at most, so that it ends where changes never do.
const DATAGRAMS_MAX: usize = 16 * 1024;

/// The links, IPv4 addresses and IPv4 routes of one namespace, change by change, and filters (`tc`) that go.
///
/// What is there already is not told: open the monitor first, then observe, and no change is missed.
/// Three things come without an event of their own. When a link or a next hop object goes, the kernel drops
/// its routes and tells of the link or the object only; a replaced route is told as the one that replaces it; and of what did
/// not fit into the buffer, which holds some 2,500, there is one [`Event::Overrun`].
///
/// ```no_run
/// use std::time::Duration;
/// use ipip_core::{netlink::{Event, Monitor}, sys::netns::Netns};
/// let mut monitor = Monitor::open(&Netns::current()?)?;
/// for event in monitor.wait(Duration::from_secs(60))? {
///     if let Event::RouteGone(route) = event {
///         println!("gone: {route}");
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor {
    place: Place,
    socket: Socket,
    /// Asks for names; the events' own socket must have no answers among them.
    questions: RequestSocket,
    names: Names,
    wake: Arc<Wake>,
    buffer: Vec<u8>,
    /// The namespace in messages.
    object: String,
}

/// A change that happened. Changes come in the order in which the kernel made them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A link appeared, or anything about it changed.
    Link {
        /// Its number.
        index: u32,
        /// Its name; `None` if the message held none that can be read.
        name: Option<InterfaceName>,
        /// Administratively up. If it is not, its routes are gone, without events of their own.
        up: bool,
    },
    /// A link is gone: deleted, or moved to another namespace. So are its addresses and routes.
    LinkGone {
        /// Its number.
        index: u32,
        /// The name it had.
        name: Option<InterfaceName>,
    },
    /// A link has this IPv4 address now.
    Address {
        /// The link's number.
        index: u32,
        /// The link's name; `None` if the link is gone meanwhile.
        name: Option<InterfaceName>,
        /// The address and its subnet.
        address: InterfaceAddr,
    },
    /// A link no longer has this IPv4 address.
    AddressGone {
        /// The link's number.
        index: u32,
        /// The link's name; `None` if the link is gone.
        name: Option<InterfaceName>,
        /// The address and its subnet.
        address: InterfaceAddr,
    },
    /// The main table has this route now; one of its key, if there was one, is gone.
    Route(Route),
    /// The main table no longer has this route.
    RouteGone(Route),
    /// A filter, or a queueing discipline with its filters, was taken from a link: programs may be gone that were
    /// attached there. Of a program at a hook of TCX the kernel tells nobody.
    FilterGone {
        /// The link's number.
        index: u32,
        /// The link's name; `None` if the link is gone.
        name: Option<InterfaceName>,
    },
    /// The next hop object of this number is there now, or another than it was.
    NextHop(u32),
    /// The next hop object of this number is gone, and the routes that went by it, without events of their
    /// own.
    NextHopGone(u32),
    /// Changes came faster than they were taken, and some were lost, links, addresses and routes alike:
    /// observe again.
    Overrun,
}

impl Monitor {
    /// Listens in the node's namespace from now on; its routes are those of [`Place::Node`].
    ///
    /// # Errors
    /// [`NetlinkError::Netns`] if it may not be entered, [`NetlinkError::Socket`] if the process is
    /// out of descriptors.
    pub fn open(node: &Netns) -> Result<Self, NetlinkError> {
        Self::open_at(Place::Node, node)
    }

    /// Listens in a workload's namespace from now on; its routes are those of the place that
    /// [`Kernel::add_workload`](super::Kernel::add_workload) gives it.
    ///
    /// # Errors
    /// As [`Monitor::open`].
    pub fn open_workload(netns: &Netns) -> Result<Self, NetlinkError> {
        Self::open_at(Place::Workload(Arc::from(netns.path())), netns)
    }

    fn open_at(place: Place, netns: &Netns) -> Result<Self, NetlinkError> {
        let object = format!("changes in namespace {netns}");
        Self::try_open(place, netns, object.clone()).map_err(|fault| fault.about(object))
    }

    fn try_open(place: Place, netns: &Netns, object: String) -> Result<Self, Fault> {
        let opened = |error| Fault::Socket("open", error);
        let socket = open(netns).and_then(|socket| configure(socket, BUFFER).map_err(opened))?;
        for group in GROUPS {
            socket.add_membership(group).map_err(opened)?;
        }
        // An older kernel has none to tell of.
        let _ = socket.add_membership(NEXT_HOPS);
        let mut monitor = Self {
            place,
            socket,
            questions: RequestSocket::open(netns)?,
            names: Names::new(),
            wake: Arc::new(Wake::new().map_err(opened)?),
            buffer: Vec::with_capacity(DATAGRAM_MAX),
            object,
        };
        // After the memberships, so that no link appears unseen in between.
        monitor.learn_names()?;
        Ok(monitor)
    }

    /// The bell that ends a wait from another thread, and every later one.
    #[must_use]
    pub fn wake(&self) -> Arc<Wake> {
        Arc::clone(&self.wake)
    }

    /// Waits for changes, and takes in all that have come by then. Nothing if there are none within
    /// `timeout`, or [`Monitor::wake`] was rung; `Duration::MAX` waits without end. An
    /// [`Event::Overrun`] comes last.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`] if the socket fails, or names cannot be asked for after an overrun. The
    /// monitor can be used further, but changes may have been missed.
    pub fn wait(&mut self, timeout: Duration) -> Result<Vec<Event>, NetlinkError> {
        self.try_wait(timeout)
            .map_err(|fault| fault.about(self.object.clone()))
    }

    fn try_wait(&mut self, timeout: Duration) -> Result<Vec<Event>, Fault> {
        let ended = self.wake.wait(self.socket.as_fd(), timeout);
        match ended.map_err(|error| Fault::Socket("wait for", error))? {
            Ended::Readable => {}
            Ended::Woken | Ended::TimedOut => return Ok(vec![]),
        }
        let mut events = Vec::new();
        for _ in 0..DATAGRAMS_MAX {
            match self.receive() {
                Ok(true) => self.read(&mut events),
                Ok(false) => break,
                Err(Fault::AnswerLost(_)) => {
                    self.recover()?;
                    events.push(Event::Overrun);
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(events)
    }

    /// Takes in one datagram, if there is one.
    fn receive(&mut self) -> Result<bool, Fault> {
        match receive_datagram(&self.socket, &mut self.buffer, libc::MSG_DONTWAIT) {
            Ok(()) => Ok(true),
            Err(Fault::AnswerLost(NONE)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// After an overrun the kernel tells nothing more, and nothing of that, until everything was read
    /// (`NETLINK_S_CONGESTED`). So what is left goes before the overrun is reported: whoever observes
    /// then has seen it.
    fn recover(&mut self) -> Result<(), Fault> {
        loop {
            match self.receive() {
                Ok(true) | Err(Fault::AnswerLost(_)) => {}
                Ok(false) => return self.learn_names(),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn learn_names(&mut self) -> Result<(), Fault> {
        let links = self.questions.link_facts()?.values.into_iter();
        let name = |link: LinkFacts| Some((link.index, link.name?));
        self.names = links.filter_map(name).collect();
        Ok(())
    }

    /// Reads the datagram in the buffer. A message that cannot be read is left out and reported to the
    /// log; those of kinds that no one asked for are passed over unread.
    fn read(&mut self, events: &mut Vec<Event>) {
        for frame in frames(&self.buffer) {
            let event = frame
                .map_err(|fault| format!("{fault:?}"))
                .and_then(|frame| event(&frame, &self.place, &mut self.names));
            match event {
                Ok(event) => events.extend(event),
                Err(reason) => log::warn!("{}: one left out as unreadable: {reason}", self.object),
            }
        }
    }
}

fn event(frame: &Frame<'_>, place: &Place, names: &mut Names) -> Result<Option<Event>, String> {
    let kind = frame.kind;
    match kind {
        libc::RTM_NEWLINK | libc::RTM_DELLINK => {
            let facts = link::link(frame)?;
            Ok(facts.map(|facts| link_event(facts, kind == libc::RTM_NEWLINK, names)))
        }
        libc::RTM_NEWADDR | libc::RTM_DELADDR => {
            let found = reply::address(frame.parse()?)?;
            Ok(found.map(|(index, address)| {
                let name = names.get(&index).cloned();
                if kind == libc::RTM_NEWADDR {
                    Event::Address {
                        index,
                        name,
                        address,
                    }
                } else {
                    Event::AddressGone {
                        index,
                        name,
                        address,
                    }
                }
            }))
        }
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => {
            let there = kind == libc::RTM_NEWROUTE;
            let event = if there {
                Event::Route
            } else {
                Event::RouteGone
            };
            Ok(route::route(frame, place, names)?.map(event))
        }
        libc::RTM_DELTFILTER | libc::RTM_DELQDISC => {
            // struct tcmsg of linux/rtnetlink.h: the family and its padding, then the link.
            const LINK_AT: usize = 4;
            let index = u32_at(frame.payload, LINK_AT).ok_or("cut short")?;
            let name = names.get(&index).cloned();
            Ok(Some(Event::FilterGone { index, name }))
        }
        next_hop::NEW | next_hop::DELETE => {
            let there = kind == next_hop::NEW;
            let event = if there {
                Event::NextHop
            } else {
                Event::NextHopGone
            };
            Ok(next_hop::next_hop(frame, names)?.map(|object| event(object.id)))
        }
        _ => Ok(None),
    }
}

fn link_event(facts: LinkFacts, there: bool, names: &mut Names) -> Event {
    let LinkFacts {
        index, name, up, ..
    } = facts;
    if !there {
        let had = names.remove(&index);
        return Event::LinkGone {
            index,
            name: name.or(had),
        };
    }
    if let Some(name) = &name {
        names.insert(index, name.clone());
    }
    Event::Link { index, name, up }
}
