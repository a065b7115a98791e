//! What namespaces hold, in full.

use std::net::Ipv4Addr;

use netlink_packet_route::RouteNetlinkMessage;

use super::error::{Fault, in_place};
use super::message::reply::{self, Names, RouteFacts};
use super::message::request;
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
        for space in &mut self.spaces {
            let links = space.links()?;
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

impl Space {
    fn links(&mut self) -> Result<Vec<ObservedLink>, NetlinkError> {
        let place = &self.place;
        let about = |what: &str| {
            let object = in_place(what, place);
            move |fault: Fault| fault.about(object)
        };
        let socket = &mut self.socket;
        let mut links = socket
            .dump("links", &request::dump_links(), |message| {
                reply::link(message, place)
            })
            .map_err(about("links"))?;
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
