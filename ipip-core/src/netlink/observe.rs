//! What namespaces hold, in full.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use netlink_packet_route::RouteNetlinkMessage;

use super::error::{Fault, in_place};
use super::message::reply::{self, Names, NetnsId, RouteFacts};
use super::message::request;
use super::socket::RequestSocket;
use super::{Kernel, NetlinkError, Space};
use crate::name::InterfaceName;
use crate::plan::{Observed, ObservedLink, Place, Route, Setting};

/// The way that the kernel would send a packet of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAnswer {
    /// The device that it leaves by; `lo` for the namespace's own addresses.
    pub device: InterfaceName,
    /// The source address that the kernel chooses for it, where it has any.
    pub source: Option<Ipv4Addr>,
    /// The next hop; `None` if the destination is on the device itself.
    pub gateway: Option<Ipv4Addr>,
}

impl Kernel {
    /// Reads every namespace: links with their IPv4 addresses, settings, tunnel ends and veth
    /// peers, and the IPv4 routes of the main table.
    ///
    /// A link that cannot be read (a newer kernel's exotic device) is left out with a warning in
    /// the log. Of each kind (links, addresses, settings, routes) the reading is consistent in
    /// itself; it is taken again if it changed meanwhile. Between kinds things may change: an
    /// address of a link that appeared in between is left out.
    ///
    /// # Errors
    /// [`NetlinkError`] naming what could not be read, and where.
    pub fn observe(&mut self) -> Result<Observed, NetlinkError> {
        let mut observed = Observed::default();
        let place = |space: &Space| (space.place.clone(), space.netns.as_fd().as_raw_fd());
        let places: Vec<(Place, RawFd)> = self.spaces.iter().map(place).collect();
        for space in &mut self.spaces {
            let links = space.links(&places)?;
            let names = names(&links);
            observed.links.extend(links);
            observed.routes.extend(space.routes(&names)?);
        }
        Ok(observed)
    }

    /// Asks for the way to `destination` from `place`: `ip route get DESTINATION`.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] if there is none (`ENETUNREACH`), or a route says so (unreachable
    /// `EHOSTUNREACH`, prohibit `EACCES`, blackhole `EINVAL`).
    pub fn route_to(
        &mut self,
        place: &Place,
        destination: Ipv4Addr,
    ) -> Result<RouteAnswer, NetlinkError> {
        self.space(place)
            .and_then(|space| space.look_up(destination))
            .map_err(|fault| fault.about(in_place(&format!("route to {destination}"), place)))
    }
}

fn names(links: &[ObservedLink]) -> Names {
    links.iter().map(|l| (l.index, l.name.clone())).collect()
}

/// Fills in where the other end of each veth is, as far as that is one of `places`. The numbers are
/// asked for after the links were read, which is when the kernel assigns them.
fn place_peers(
    socket: &mut RequestSocket,
    links: Vec<(ObservedLink, Option<NetnsId>)>,
    places: &[(Place, RawFd)],
) -> Result<Vec<ObservedLink>, Fault> {
    let mut unknown: BTreeSet<NetnsId> = links.iter().filter_map(|(_, id)| *id).collect();
    let mut known = BTreeMap::new();
    for (place, netns) in places {
        if unknown.is_empty() {
            break;
        }
        let answer = socket.ask(request::get_netns_id(*netns))?;
        if let Some(id) = reply::netns_id(&answer).filter(|id| unknown.remove(id)) {
            known.insert(id, place.clone());
        }
    }
    let placed = |(link, id): (ObservedLink, Option<NetnsId>)| ObservedLink {
        peer_place: id.map_or(link.peer_place, |id| known.get(&id).cloned()),
        ..link
    };
    Ok(links.into_iter().map(placed).collect())
}

impl Space {
    fn links(&mut self, places: &[(Place, RawFd)]) -> Result<Vec<ObservedLink>, NetlinkError> {
        let place = &self.place;
        let about = |what: &str| {
            let object = in_place(what, place);
            move |fault: Fault| fault.about(object)
        };
        let socket = &mut self.socket;
        let links = socket
            .dump("links", &request::dump_links(), |message| {
                reply::link(message, place)
            })
            .map_err(about("links"))?;
        let mut links =
            place_peers(socket, links, places).map_err(about("numbers of namespaces"))?;
        let addresses = socket
            .dump("addresses", &request::dump_addresses(), reply::address)
            .map_err(about("addresses"))?;
        let delays = socket
            .dump(
                "neighbour tables",
                &request::dump_neighbour_tables(),
                reply::proxy_delay,
            )
            .map_err(about("neighbour tables"))?;
        links.sort_by_key(|link| link.index);
        let find = |links: &mut Vec<ObservedLink>, index| {
            links.binary_search_by_key(&index, |link| link.index).ok()
        };
        for (index, address) in addresses {
            if let Some(link) = find(&mut links, index).and_then(|at| links.get_mut(at)) {
                link.addresses.push(address);
            }
        }
        for (index, delay) in delays {
            if let Some(link) = find(&mut links, index).and_then(|at| links.get_mut(at)) {
                link.settings.insert(Setting::ProxyDelay, delay);
            }
        }
        Ok(links)
    }

    fn routes(&mut self, names: &Names) -> Result<Vec<Route>, NetlinkError> {
        let place = &self.place;
        let read = |message| reply::route(message, place, names);
        match self.socket.dump("routes", &request::dump_routes(), read) {
            // A namespace that never had a route has no table yet.
            Err(fault) if fault.is(libc::ENOENT) => Ok(vec![]),
            result => result.map_err(|fault| fault.about(in_place("routes", place))),
        }
    }

    fn look_up(&mut self, destination: Ipv4Addr) -> Result<RouteAnswer, Fault> {
        let RouteNetlinkMessage::NewRoute(message) =
            self.socket.ask(request::look_up(destination))?
        else {
            return Err(Fault::Unreadable(
                "another message in place of a route".to_owned(),
            ));
        };
        let facts = RouteFacts::of(&message);
        let index = facts
            .device
            .ok_or_else(|| Fault::Unreadable("a way without a device".to_owned()))?;
        Ok(RouteAnswer {
            device: self.name_of(index)?,
            source: facts.source,
            gateway: facts.gateway,
        })
    }
}
