//! What namespaces hold, in full.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::error::{Fault, in_place};
use super::message::link::{self, LinkFacts, LinkStatistics};
use super::message::next_hop::{self, NextHopRequest};
use super::message::reply::{self, Names, NetnsId};
use super::message::route::{self, RouteFacts};
use super::message::{Frame, Request, request};
use super::socket::{Dump, RequestSocket};
use super::{Kernel, NetlinkError, Space};
use crate::addr::MacAddr;
use crate::name::InterfaceName;
use crate::plan::{Observed, ObservedLink, Place, RouteProtocol, Setting};

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
    /// peers, and the IPv4 routes of the main table; in the node's, next hop objects.
    ///
    /// A link that cannot be read (a newer kernel's exotic device) is left out with a warning in
    /// the log. Of each kind (links, addresses, settings, routes) the reading is consistent in
    /// itself; it is taken again if it changed meanwhile, a bounded number of times, and if it never
    /// held still [`Observed::interrupted`] says so. Between kinds things may change: an address of a
    /// link that appeared in between is left out.
    ///
    /// # Errors
    /// [`NetlinkError`] naming what could not be read, and where.
    pub fn observe(&mut self) -> Result<Observed, NetlinkError> {
        let mut observed = Observed::default();
        let place = |space: &Space| (space.place.clone(), space.netns.as_fd().as_raw_fd());
        let places: Vec<(Place, RawFd)> = self.spaces.iter().map(place).collect();
        for space in &mut self.spaces {
            let links = space.links(&places, &mut observed.interrupted)?;
            let names = names(&links);
            observed.links.extend(links);
            if space.place == Place::Node {
                space.next_hops(&names, &mut observed)?;
            }
            space.routes(&names, None, &mut observed)?;
        }
        Ok(observed)
    }

    /// Reads the IPv4 routes of the main table at one place, of every protocol or of one, and nothing
    /// else: `ip route show [proto PROTOCOL]`. The kernel leaves out the others by itself, since
    /// Linux 4.20.
    ///
    /// # Errors
    /// [`NetlinkError`] naming what could not be read, and where.
    pub fn observe_routes(
        &mut self,
        place: &Place,
        protocol: Option<RouteProtocol>,
    ) -> Result<Observed, NetlinkError> {
        let about = |fault: Fault| fault.about(in_place("routes", place));
        let space = self.space(place).map_err(about)?;
        let links = space.socket.link_facts().map_err(about)?;
        let mut observed = Observed {
            interrupted: links.interrupted,
            ..Observed::default()
        };
        let name = |link: LinkFacts| Some((link.index, link.name?));
        let names = links.values.into_iter().filter_map(name).collect();
        space.routes(&names, protocol, &mut observed)?;
        Ok(observed)
    }

    /// The hardware address that a link has now, if it has one of six octets.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] (`ENODEV`) if there is no such link.
    pub(crate) fn mac_of(
        &mut self,
        place: &Place,
        name: &InterfaceName,
    ) -> Result<Option<MacAddr>, NetlinkError> {
        let question = request::get_link(name);
        let found = self
            .space(place)
            .and_then(|space| space.socket.ask(question, link::link));
        let found = found.map_err(|fault| fault.about(in_place(&format!("link {name}"), place)))?;
        Ok(found.mac)
    }

    /// Reads what a link counted.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] (`ENODEV`) if there is no such link.
    pub(crate) fn statistics(
        &mut self,
        place: &Place,
        name: &InterfaceName,
    ) -> Result<LinkStatistics, NetlinkError> {
        let question = request::get_link_with_counters(name);
        self.space(place)
            .and_then(|space| space.socket.ask(question, link::statistics))
            .map_err(|fault| fault.about(in_place(&format!("link {name}"), place)))
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
        let id = socket.ask(request::get_netns_id(*netns), |frame| {
            Ok(Some(reply::netns_id(&frame.parse()?)))
        })?;
        if let Some(id) = id.filter(|id| unknown.remove(id)) {
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
    /// Sets `interrupted` if one of the readings was.
    fn links(
        &mut self,
        places: &[(Place, RawFd)],
        interrupted: &mut bool,
    ) -> Result<Vec<ObservedLink>, NetlinkError> {
        let place = &self.place;
        let about = |what: &str| {
            let object = in_place(what, place);
            move |fault: Fault| fault.about(object)
        };
        let socket = &mut self.socket;
        let links = socket
            .dump("links", request::dump_links(), |frame| {
                reply::link(frame.parse()?, place)
            })
            .map_err(about("links"))?;
        *interrupted |= links.interrupted;
        let mut links =
            place_peers(socket, links.values, places).map_err(about("numbers of namespaces"))?;
        let addresses = socket
            .dump("addresses", request::dump_addresses(), |frame| {
                reply::address(frame.parse()?)
            })
            .map_err(about("addresses"))?;
        let delays = socket
            .dump(
                "neighbour tables",
                request::dump_neighbour_tables(),
                |frame| reply::proxy_delay(frame.parse()?),
            )
            .map_err(about("neighbour tables"))?;
        *interrupted |= addresses.interrupted || delays.interrupted;
        links.sort_by_key(|link| link.index);
        let find = |links: &mut Vec<ObservedLink>, index| {
            links.binary_search_by_key(&index, |link| link.index).ok()
        };
        for (index, address) in addresses.values {
            if let Some(link) = find(&mut links, index).and_then(|at| links.get_mut(at)) {
                link.addresses.push(address);
            }
        }
        for (index, delay) in delays.values {
            if let Some(link) = find(&mut links, index).and_then(|at| links.get_mut(at)) {
                link.settings.insert(Setting::ProxyDelay, delay);
            }
        }
        Ok(links)
    }

    fn next_hops(&mut self, names: &Names, observed: &mut Observed) -> Result<(), NetlinkError> {
        let request = Request::NextHop(NextHopRequest::dump());
        let read = |frame: &Frame<'_>| next_hop::next_hop(frame, names);
        match self.socket.dump("next hops", request, read) {
            // Before Linux 5.3 there are none.
            Err(fault) if fault.is(libc::EOPNOTSUPP) => Ok(()),
            Err(fault) => Err(fault.about(in_place("next hops", &self.place))),
            Ok(dump) => {
                observed.interrupted |= dump.interrupted;
                observed.next_hops = dump.values;
                Ok(())
            }
        }
    }

    fn routes(
        &mut self,
        names: &Names,
        protocol: Option<RouteProtocol>,
        observed: &mut Observed,
    ) -> Result<(), NetlinkError> {
        let place = &self.place;
        let wanted = |protocol_found| protocol.is_none_or(|wanted| wanted == protocol_found);
        let read = |frame: &Frame<'_>| {
            let route = route::route(frame, place, names)?;
            Ok(route.filter(|route| wanted(route.protocol)))
        };
        match self
            .socket
            .dump("routes", request::dump_routes(protocol), read)
        {
            // A namespace that never had a route has no table yet.
            Err(fault) if fault.is(libc::ENOENT) => Ok(()),
            Err(fault) => Err(fault.about(in_place("routes", place))),
            Ok(mut dump) => {
                observed.interrupted |= dump.interrupted;
                observed.routes.append(&mut dump.values);
                Ok(())
            }
        }
    }

    fn look_up(&mut self, destination: Ipv4Addr) -> Result<RouteAnswer, Fault> {
        let facts = self
            .socket
            .ask(request::look_up(destination), RouteFacts::read)?;
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

impl RequestSocket {
    /// Every link, in short.
    pub(super) fn link_facts(&mut self) -> Result<Dump<LinkFacts>, Fault> {
        self.dump("links", request::dump_links(), link::link)
    }
}
