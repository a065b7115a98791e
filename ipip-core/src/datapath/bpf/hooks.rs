//! Where the programs are attached, and how they are found again: at the hooks of TCX where the kernel has them (`tcx`),
//! by netlink at those of clsact elsewhere.

use std::os::fd::AsFd;

use super::Loaded;
use super::maps::Settings;
use super::tcx::Tcx;
use crate::addr::NodeAddr;
use crate::datapath::error::DatapathError;
use crate::datapath::userspace::{Place as Where, Userspace};
use crate::name::InterfaceName;
use crate::netlink::{Classifier, Hook, Kernel, NetlinkError};
use crate::plan::{Change, Observed, ObservedLink, Place, Step, TUNNEL_MARK};
use crate::sys::bpf::Program;
use crate::sys::interface::{HARDWARE_ETHERNET, HARDWARE_LOOPBACK, Interfaces};
use crate::sys::netns::Netns;
use crate::sys::tun::Tun;

/// Where in the order of filters the programs stand without TCX: first, unless somebody has taken care to be before. What is
/// not theirs they pass on to the next.
const PRIORITY: u16 = 4;

/// The device, the underlay and what is attached to them, as the kernel has it.
pub(super) struct Hooks<'a> {
    kernel: Kernel,
    tcx: Tcx<'a>,
    device: &'a InterfaceName,
    observed: Observed,
}

/// What a filter's name ends with where the hooks were made for it.
const OUR_HOOKS: &str = "+clsact";

impl<'a> Hooks<'a> {
    pub(super) fn open(netns: &'a Netns, device: &'a InterfaceName) -> Result<Self, DatapathError> {
        let failed = |source| hook_error(device, source);
        let mut kernel = Kernel::open(netns).map_err(failed)?;
        let observed = kernel.observe().map_err(failed)?;
        Ok(Self {
            kernel,
            tcx: Tcx { netns, device },
            device,
            observed,
        })
    }

    /// The interface that has the node address.
    pub(super) fn underlay(
        &self,
        netns: &Netns,
        local: NodeAddr,
    ) -> Result<ObservedLink, DatapathError> {
        let has_it = |link: &&ObservedLink| link.addresses.iter().any(|at| at.addr == local.0);
        let found = self.observed.links.iter().find(has_it);
        found.cloned().ok_or_else(|| DatapathError::NodeAddr {
            addr: local,
            netns: netns.path().to_owned(),
        })
    }

    /// Whether the device is still to be made; one that is there must be ours.
    pub(super) fn is_new(&mut self, netns: &Netns) -> Result<bool, DatapathError> {
        if self.observed.link(&Place::Node, self.device).is_none() {
            return Ok(true);
        }
        if self.is_ours(netns) {
            return Ok(false);
        }
        Err(DatapathError::NameTaken {
            device: self.device.clone(),
            netns: netns.path().to_owned(),
        })
    }

    pub(super) fn settings(
        &self,
        netns: &Netns,
        odd: &Userspace,
        underlay: &ObservedLink,
    ) -> Result<Settings, DatapathError> {
        let at = Where {
            device: self.device,
            netns: netns.path(),
        };
        let asking = |source| at.system("read the interface numbers", source);
        let hardware = netns.enter(|| Interfaces::open()?.hardware_type(&underlay.name));
        let hardware = hardware.map_err(|source| DatapathError::Namespace {
            device: self.device.clone(),
            source,
        })?;
        Ok(Settings {
            local: odd.local(),
            tunnel: odd.device_index().map_err(asking)?,
            underlay: underlay.index,
            link_len: match hardware.map_err(asking)? {
                // IEEE 802.3: two addresses of 6 octets and a type.
                HARDWARE_ETHERNET | HARDWARE_LOOPBACK => 14,
                _ => 0,
            },
        })
    }

    /// Attaches both programs, in the place of earlier ones, and forgets those at other interfaces. Whether by TCX.
    pub(super) fn attach_both(
        &mut self,
        loaded: &Loaded,
        underlay: &InterfaceName,
        handle: u32,
    ) -> Result<bool, DatapathError> {
        let outbound = self.attach(self.device, Hook::Egress, handle, &loaded.outbound)?;
        let inbound = self.attach(underlay, Hook::Ingress, handle, &loaded.inbound)?;
        self.forget_others(underlay)?;
        Ok(outbound && inbound)
    }

    /// Puts `program` in the place of ours at that hook, or where there was none. Whether by TCX: then a filter of an
    /// earlier run is taken away afterwards, since it sees no packet any more.
    fn attach(
        &mut self,
        at: &InterfaceName,
        hook: Hook,
        handle: u32,
        program: &Program,
    ) -> Result<bool, DatapathError> {
        if self.tcx.attach(at, hook, program)? {
            self.detach_filters(at, hook)?;
            return Ok(true);
        }
        self.attach_filter(at, hook, handle, program)?;
        Ok(false)
    }

    fn attach_filter(
        &mut self,
        at: &InterfaceName,
        hook: Hook,
        handle: u32,
        program: &Program,
    ) -> Result<(), DatapathError> {
        let failed = |source| hook_error(self.device, source);
        let earlier = self.ours(at, hook)?;
        let made = self.kernel.ensure_hooks(at).map_err(failed)?;
        let ours = made || were_made(&earlier);
        let classifier = Classifier {
            priority: PRIORITY,
            handle,
            name: name_for(self.device) + if ours { OUR_HOOKS } else { "" },
        };
        let attached = self
            .kernel
            .attach_classifier(at, hook, &classifier, program.as_fd());
        attached.map_err(failed)?;
        // Those of a device that is gone and whose number was another.
        for earlier in earlier.iter().filter(|earlier| earlier.handle != handle) {
            let detached = self.kernel.detach_classifier(at, hook, earlier);
            detached.map_err(failed)?;
        }
        Ok(())
    }

    /// Takes ours away from the underlay of an earlier run, if that was another.
    fn forget_others(&mut self, underlay: &InterfaceName) -> Result<(), DatapathError> {
        let mut others = self.observed.links.clone();
        others.retain(|link| link.name != *underlay && link.name != *self.device);
        self.detach_from(&others)
    }

    /// Everything of ours, from the outside in, with the device if that `is_ours`. A step that fails stops none of
    /// the others; the first is told.
    pub(super) fn remove(&mut self, is_ours: bool) -> Result<(), DatapathError> {
        let mut others = self.observed.links.clone();
        others.retain(|link| link.name != *self.device);
        let mut outcome = self.detach_from(&others);
        if is_ours {
            let step = Step {
                place: Place::Node,
                change: Change::DeleteLink {
                    name: self.device.clone(),
                },
            };
            outcome = outcome.and(match self.kernel.apply(&[step]) {
                // It may not have been made, or have gone by itself.
                Err(error) if !error.cause.is_stale() => Err(hook_error(self.device, error.cause)),
                _ => Ok(()),
            });
        }
        outcome
    }

    /// Whether the device is one that an earlier process left, or this one made: by the program at it, or where
    /// somebody took that away, by the mark of a tunnel device that nobody holds. One of user space goes with who
    /// holds it.
    pub(super) fn is_ours(&mut self, netns: &Netns) -> bool {
        let link = self.observed.link(&Place::Node, self.device);
        let Some(link) = link.filter(|link| link.kind == "tun") else {
            return false;
        };
        let is_marked = link.alias.as_deref() == Some(TUNNEL_MARK);
        is_attached(&mut self.kernel, self.device, self.device, Hook::Egress)
            || is_marked && matches!(netns.enter(|| Tun::persistent(self.device)), Ok(Ok(_)))
    }

    /// Takes ours from the ingress of `links`. One that fails stops none of the others; the first is told.
    fn detach_from(&mut self, links: &[ObservedLink]) -> Result<(), DatapathError> {
        let indexes: Vec<u32> = links.iter().map(|link| link.index).collect();
        let detached = self.tcx.detach(&indexes, Hook::Ingress);
        links.iter().fold(detached, |outcome, link| {
            outcome.and(self.detach_filters(&link.name, Hook::Ingress))
        })
    }

    /// Takes our filters from a hook, and the hooks if they were made for them and nothing else is attached.
    fn detach_filters(&mut self, at: &InterfaceName, hook: Hook) -> Result<(), DatapathError> {
        let device = self.device;
        let failed = |source| hook_error(device, source);
        let ours = self.ours(at, hook)?;
        for classifier in &ours {
            let detached = self.kernel.detach_classifier(at, hook, classifier);
            detached.map_err(failed)?;
        }
        if !were_made(&ours) {
            return Ok(());
        }
        for hook in [Hook::Ingress, Hook::Egress] {
            if !self
                .kernel
                .classifiers(at, hook)
                .map_err(failed)?
                .is_empty()
            {
                return Ok(());
            }
        }
        self.kernel.remove_hooks(at).map_err(failed)
    }

    /// Our filters at a hook.
    fn ours(&mut self, at: &InterfaceName, hook: Hook) -> Result<Vec<Classifier>, DatapathError> {
        let found = ours(&mut self.kernel, self.device, at, hook);
        found.map_err(|source| hook_error(self.device, source))
    }
}

/// Whether both programs of `device` are where they were attached. What cannot be asked for is not.
pub(super) fn are_attached(
    kernel: &mut Kernel,
    device: &InterfaceName,
    underlay: &InterfaceName,
) -> bool {
    is_attached(kernel, device, device, Hook::Egress)
        && is_attached(kernel, device, underlay, Hook::Ingress)
}

fn is_attached(
    kernel: &mut Kernel,
    device: &InterfaceName,
    at: &InterfaceName,
    hook: Hook,
) -> bool {
    let netns = kernel.node_netns();
    netns.is_some_and(|netns| Tcx { netns, device }.is_attached(at, hook))
        || ours(kernel, device, at, hook).is_ok_and(|ours| !ours.is_empty())
}

/// The filters for `device` at a hook, told from others by their name.
fn ours(
    kernel: &mut Kernel,
    device: &InterfaceName,
    at: &InterfaceName,
    hook: Hook,
) -> Result<Vec<Classifier>, NetlinkError> {
    let mut found = kernel.classifiers(at, hook)?;
    let name = name_for(device);
    found.retain(|found| found.name.strip_suffix(OUR_HOOKS).unwrap_or(&found.name) == name);
    Ok(found)
}

/// Whether the hooks were made for these filters of ours.
fn were_made(ours: &[Classifier]) -> bool {
    ours.iter().any(|ours| ours.name.ends_with(OUR_HOOKS))
}

/// The name of our filters for a device.
fn name_for(device: &InterfaceName) -> String {
    format!("ipip:{device}")
}

fn hook_error(device: &InterfaceName, source: NetlinkError) -> DatapathError {
    DatapathError::Hook {
        device: device.clone(),
        source,
    }
}
