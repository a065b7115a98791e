//! A plan's steps, each as one acknowledged request.
//!
//! All but one setting go by netlink. `forwarding` is written to `/proc/sys`, because only there
//! does the kernel also turn off large receive offload on the device (`devinet_sysctl_forward`);
//! without that a physical underlay hands up merged packets that cannot be forwarded. Where
//! `/proc/sys` is read-only, as in many containers, netlink sets the value alone.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteMessage;

use super::error::{Fault, in_place};
use super::message::request::{self, DevConf, LinkChange, VethPair};
use super::{ApplyError, Kernel, Space};
use crate::name::InterfaceName;
use crate::plan::{Change, InterfaceAddr, Place, Route, Setting, Step, Target};

/// A new object; refused where there is one.
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

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
        let place = &step.place;
        match &step.change {
            Change::CreateTunnel { name } => self.space(place)?.create_tunnel(name),
            Change::CreateVeth {
                name,
                mac,
                mtu,
                peer_place,
                peer_name,
            } => {
                let netns = self.space(peer_place)?.netns.try_clone();
                let netns = netns.map_err(Fault::Netns)?;
                let pair = VethPair {
                    name,
                    mac: *mac,
                    mtu: *mtu,
                    peer_name,
                    peer_netns: netns.as_fd(),
                };
                let created = self.space(place)?.create_veth(&pair);
                created.map_err(|fault| self.blame_peer(fault, peer_place, peer_name))
            }
            Change::DeleteLink { name } => self.space(place)?.delete_link(name),
            Change::SetAlias { name, alias } => {
                self.space(place)?.set_link(name, &LinkChange::Alias(alias))
            }
            Change::SetMtu { name, mtu } => {
                self.space(place)?.set_link(name, &LinkChange::Mtu(*mtu))
            }
            Change::SetMac { name, mac } => {
                self.space(place)?.set_link(name, &LinkChange::Mac(*mac))
            }
            Change::SetUp { name } => self.space(place)?.set_link(name, &LinkChange::Up(true)),
            Change::SetDown { name } => self.space(place)?.set_link(name, &LinkChange::Up(false)),
            Change::Set {
                name,
                setting,
                value,
            } => self.space(place)?.set(name, *setting, *value),
            Change::AddAddress { name, address } => self.space(place)?.add_address(name, *address),
            Change::DeleteAddress { name, address } => {
                self.space(place)?.delete_address(name, *address)
            }
            Change::AddRoute(route) => {
                self.space(place)?
                    .change_route(route, RouteNetlinkMessage::NewRoute, NEW)
            }
            // As `ip route replace`: the first route with the key goes, whoever installed it, so
            // this is planned only where that one was seen to be ours.
            Change::ReplaceRoute(route) => self.space(place)?.change_route(
                route,
                RouteNetlinkMessage::NewRoute,
                NLM_F_CREATE | NLM_F_REPLACE,
            ),
            Change::DeleteRoute(route) => {
                self.space(place)?
                    .change_route(route, RouteNetlinkMessage::DelRoute, 0)
            }
            Change::Guard(change) => self.space(place)?.change_guard(change),
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
    fn create_tunnel(&mut self, name: &InterfaceName) -> Result<(), Fault> {
        let created = self.socket.change(request::create_tunnel(name), NEW);
        created.map_err(|fault| without_driver(fault, "ipip"))
    }

    fn create_veth(&mut self, pair: &VethPair<'_>) -> Result<(), Fault> {
        let created = self.socket.change(request::create_veth(pair), NEW);
        created.map_err(|fault| without_driver(fault, "veth"))
    }

    /// The kernel acknowledges the deletion of a driver's fallback device and keeps it, so the
    /// acknowledgement alone proves nothing (Linux 6.1: `ip link del tunl0; ip link show tunl0`).
    fn delete_link(&mut self, name: &InterfaceName) -> Result<(), Fault> {
        let index = self.index_of(name)?;
        self.socket.change(request::delete_link(index), 0)?;
        match self.index_of(name) {
            Ok(found) if found == index => Err(Fault::NotDeleted),
            Ok(_) => Ok(()),
            Err(fault) if fault.is(libc::ENODEV) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn set_link(&mut self, name: &InterfaceName, change: &LinkChange<'_>) -> Result<(), Fault> {
        let index = self.index_of(name)?;
        self.socket.change(request::set_link(index, change), 0)
    }

    fn set(&mut self, name: &InterfaceName, setting: Setting, value: u32) -> Result<(), Fault> {
        match setting {
            Setting::Forwarding => self.set_forwarding(name, value),
            Setting::ProxyArp => self.set_link(name, &LinkChange::Conf(DevConf::ProxyArp, value)),
            // Hundredths of a second, as sysctl counts, to the milliseconds of netlink.
            Setting::ProxyDelay => {
                let index = self.index_of(name)?;
                let message = request::set_proxy_delay(index, u64::from(value) * 10);
                self.socket.change(message, 0)
            }
        }
    }

    fn set_forwarding(&mut self, name: &InterfaceName, value: u32) -> Result<(), Fault> {
        // The files of "all" and "default" are not those of a device, and a missing device is not
        // a missing file.
        self.index_of(name)?;
        let file = Path::new("/proc/sys/net/ipv4/conf")
            .join(name.as_str())
            .join("forwarding");
        let written = self.netns.enter(|| fs::write(&file, value.to_string()));
        match written.map_err(Fault::Netns)? {
            Ok(()) => Ok(()),
            Err(error) if is_out_of_reach(&error) => {
                log::warn!(
                    "{}: {error}; forwarding is set by netlink, large receive offload stays as it is",
                    file.display()
                );
                self.set_link(name, &LinkChange::Conf(DevConf::Forwarding, value))
            }
            Err(error) => Err(error
                .raw_os_error()
                .map_or_else(|| Fault::Unreadable(error.to_string()), Fault::errno)),
        }
    }

    fn add_address(&mut self, name: &InterfaceName, address: InterfaceAddr) -> Result<(), Fault> {
        let index = self.index_of(name)?;
        self.socket
            .change(request::add_address(index, address), NEW)
    }

    fn delete_address(&mut self, name: &InterfaceName, addr: InterfaceAddr) -> Result<(), Fault> {
        let index = self.index_of(name)?;
        self.socket.change(request::delete_address(index, addr), 0)
    }

    fn change_route(
        &mut self,
        route: &Route,
        verb: fn(RouteMessage) -> RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Fault> {
        let index = match &route.target {
            Target::Device { device, .. } => Some(self.index_of(device)?),
            Target::Blackhole | Target::Other(_) => None,
        };
        let message = request::route(route, index).ok_or(Fault::NotWritable)?;
        self.socket.change(verb(message), flags)
    }
}

/// Read-only, or not there at all.
fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EROFS | libc::ENOENT))
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
