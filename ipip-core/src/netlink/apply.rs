//! A plan's steps, each as one acknowledged request; `many` sends them together.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;

use super::error::{Fault, in_place};
use super::forwarding::goes_by_proc;
use super::message::Request;
use super::message::next_hop::NextHopRequest;
use super::message::request::{self, DevConf, LinkChange, VethPair};
use super::message::route_request::RouteRequest;
use super::{ApplyError, Kernel, Space};
use crate::name::InterfaceName;
use crate::plan::{Change, Place, Setting, Step};

/// A new object; refused where there is one.
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Octets of an alias, without a final zero (`IFALIASZ` less one).
const ALIAS_MAX: usize = 255;

impl Kernel {
    /// Carries out `steps` in order and stops at the first that fails. Each is one request of the
    /// kernel, so a step is done or it is not; those before it stay done (see
    /// [`crate::plan::undo`]).
    ///
    /// # Errors
    /// [`ApplyError`] with the step, how many were done before, and why it failed.
    pub fn apply(&mut self, steps: &[Step]) -> Result<(), ApplyError> {
        for (applied, step) in steps.iter().enumerate() {
            let failed = |fault: Fault| ApplyError {
                applied,
                total: steps.len(),
                step: Box::new(step.clone()),
                cause: fault.about(in_place(&step.change.object(), &step.place)),
            };
            self.carry_out(step).map_err(failed)?;
            log::debug!("{step}");
        }
        Ok(())
    }

    fn carry_out(&mut self, step: &Step) -> Result<(), Fault> {
        let peer_netns = self.peer_netns(&step.change)?;
        let space = self.space(&step.place)?;
        match &step.change {
            Change::DeleteLink { name } => space.delete_link(name),
            Change::Guard(change) => space.change_guard(change),
            Change::Set {
                name,
                setting: Setting::Forwarding,
                value,
            } if goes_by_proc(*value) => space.set_forwarding(name, *value),
            change => {
                let device = device_of(change).map(|name| space.index_of(name));
                let (message, flags) = request_of(change, device.transpose()?, peer_netns)?;
                let done = space.socket.change(message, flags);
                done.map_err(|fault| self.explain(fault, change))
            }
        }
    }

    /// For a pair that is to be created, the namespace of its other end.
    pub(super) fn peer_netns(&mut self, change: &Change) -> Result<Option<RawFd>, Fault> {
        let Change::CreateVeth { peer_place, .. } = change else {
            return Ok(None);
        };
        let space = self.space(peer_place)?;
        Ok(Some(space.netns.as_fd().as_raw_fd()))
    }

    /// Says of a creation that failed what the number alone does not: that the kernel lacks a driver,
    /// and that it is the other end of a pair whose name is taken.
    pub(super) fn explain(&mut self, fault: Fault, change: &Change) -> Fault {
        match change {
            Change::CreateTunnel { .. } => without_driver(fault, "ipip"),
            Change::CreateVeth {
                peer_place,
                peer_name,
                ..
            } => self.blame_peer(without_driver(fault, "veth"), peer_place, peer_name),
            _ => fault,
        }
    }

    /// "File exists" about a pair does not say which end's name is taken.
    fn blame_peer(&mut self, fault: Fault, place: &Place, name: &InterfaceName) -> Fault {
        let taken = fault.is(libc::EEXIST)
            && self
                .space(place)
                .is_ok_and(|space| space.index_of(name).is_ok());
        if taken {
            Fault::Of(in_place(&format!("link {name}"), place), Box::new(fault))
        } else {
            fault
        }
    }
}

impl Space {
    /// The kernel acknowledges the deletion of a driver's fallback device and keeps it, so the
    /// acknowledgement alone proves nothing (Linux 6.1: `ip link del tunl0; ip link show tunl0`).
    pub(super) fn delete_link(&mut self, name: &InterfaceName) -> Result<(), Fault> {
        let index = self.index_of(name)?;
        self.socket.change(request::delete_link(index), 0)?;
        match self.index_of(name) {
            Ok(found) if found == index => Err(Fault::NotDeleted),
            Ok(_) => Ok(()),
            Err(fault) if fault.is(libc::ENODEV) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn set_forwarding(&mut self, name: &InterfaceName, value: u32) -> Result<(), Fault> {
        // The files of "all" and "default" are not those of a device, and a missing device is not
        // a missing file.
        let index = self.index_of(name)?;
        let mut written = self.write_forwarding(&[(name, value)])?;
        match written.pop() {
            Some(Ok(false)) => {
                let change = LinkChange::Conf(DevConf::Forwarding, value);
                self.socket.change(request::set_link(index, &change), 0)
            }
            Some(Err(fault)) => Err(fault),
            Some(Ok(true)) | None => Ok(()),
        }
    }
}

/// The device that must be there for a change, by name.
pub(super) fn device_of(change: &Change) -> Option<&InterfaceName> {
    match change {
        Change::CreateTunnel { .. } | Change::CreateVeth { .. } | Change::Guard(_) => None,
        Change::DeleteNextHop(_) => None,
        Change::AddNextHop(object) | Change::ReplaceNextHop(object) => object.target.device(),
        Change::DeleteLink { name }
        | Change::SetAlias { name, .. }
        | Change::SetMtu { name, .. }
        | Change::SetMac { name, .. }
        | Change::Set { name, .. }
        | Change::SetUp { name }
        | Change::SetDown { name }
        | Change::AddAddress { name, .. }
        | Change::DeleteAddress { name, .. } => Some(name),
        Change::AddRoute(route) | Change::ReplaceRoute(route) | Change::DeleteRoute(route) => {
            route.target.device()
        }
    }
}

/// A change as a request, `device` being the index of [`device_of`] and `peer_netns` where the other
/// end of a new pair is.
pub(super) fn request_of(
    change: &Change,
    device: Option<u32>,
    peer_netns: Option<RawFd>,
) -> Result<(Request, u16), Fault> {
    // Every change that is about a device has its index from the caller.
    let index = device.unwrap_or_default();
    let link = |change: &LinkChange<'_>| (request::set_link(index, change), 0);
    let written = |route: Option<RouteRequest>, flags| {
        let request = route.ok_or(Fault::NotWritable)?;
        Ok((Request::Route(request), flags))
    };
    let next_hop = |object: Option<NextHopRequest>, flags| {
        let request = object.ok_or(Fault::NotWritable)?;
        Ok((Request::NextHop(request), flags))
    };
    let (message, flags) = match change {
        Change::CreateTunnel { name } => (request::create_tunnel(name), NEW),
        Change::CreateVeth {
            name,
            mac,
            mtu,
            peer_name,
            ..
        } => {
            let pair = VethPair {
                name,
                mac: *mac,
                mtu: *mtu,
                peer_name,
                peer_netns: peer_netns.ok_or(Fault::NotWritable)?,
            };
            (request::create_veth(&pair), NEW)
        }
        Change::DeleteLink { .. } => (request::delete_link(index), 0),
        // It goes by the program nft, one by one.
        Change::Guard(_) => return Err(Fault::NotWritable),
        // What the kernel says of a longer one; one of 64 KiB would not even fit an attribute.
        Change::SetAlias { alias, .. } if alias.len() > ALIAS_MAX => {
            return Err(Fault::errno(libc::ERANGE));
        }
        Change::SetAlias { alias, .. } => link(&LinkChange::Alias(alias)),
        Change::SetMtu { mtu, .. } => link(&LinkChange::Mtu(*mtu)),
        Change::SetMac { mac, .. } => link(&LinkChange::Mac(*mac)),
        Change::SetUp { .. } => link(&LinkChange::Up(true)),
        Change::SetDown { .. } => link(&LinkChange::Up(false)),
        Change::Set { setting, value, .. } => setting_request(index, *setting, *value),
        Change::AddAddress { address, .. } => (request::add_address(index, *address), NEW),
        Change::DeleteAddress { address, .. } => (request::delete_address(index, *address), 0),
        Change::AddRoute(route) => return written(RouteRequest::add(route, device), NEW),
        // As `ip route replace`: the first route with the key goes, whoever installed it, so
        // this is planned only where that one was seen to be ours.
        Change::ReplaceRoute(route) => {
            let flags = NLM_F_CREATE | NLM_F_REPLACE;
            return written(RouteRequest::add(route, device), flags);
        }
        Change::DeleteRoute(route) => return written(RouteRequest::delete(route, device), 0),
        Change::AddNextHop(object) => return next_hop(NextHopRequest::add(object, index), NEW),
        Change::ReplaceNextHop(object) => {
            let flags = NLM_F_CREATE | NLM_F_REPLACE;
            return next_hop(NextHopRequest::add(object, index), flags);
        }
        Change::DeleteNextHop(object) => {
            return next_hop(Some(NextHopRequest::delete(object.id)), 0);
        }
    };
    Ok((message.into(), flags))
}

fn setting_request(index: u32, setting: Setting, value: u32) -> (RouteNetlinkMessage, u16) {
    let conf = |conf| request::set_link(index, &LinkChange::Conf(conf, value));
    let message = match setting {
        Setting::Forwarding => conf(DevConf::Forwarding),
        Setting::ProxyArp => conf(DevConf::ProxyArp),
        // Hundredths of a second, as sysctl counts, to the milliseconds of netlink.
        Setting::ProxyDelay => request::set_proxy_delay(index, u64::from(value) * 10),
    };
    (message, 0)
}

/// Linux answers `EOPNOTSUPP` "Unknown device type", after trying to load the driver.
fn without_driver(fault: Fault, kind: &'static str) -> Fault {
    match fault {
        Fault::Refused(refusal) if refusal.errno == libc::EOPNOTSUPP => {
            Fault::UnknownLinkKind(kind, refusal)
        }
        other => other,
    }
}
