//! Our programs at the hooks of bpf(2) itself (TCX), which Linux 6.6 and later have ahead of all filters of clsact.
//!
//! They need no queueing discipline at the device and no filter around each program. A program is known again by the
//! name that it was loaded under, which holds the device's.

use std::io;

use super::refused;
use crate::datapath::error::DatapathError;
use crate::name::InterfaceName;
use crate::netlink::Hook;
use crate::sys::bpf::Program;
use crate::sys::bpf::tcx::{Attached, Side, attached};
use crate::sys::interface::Interfaces;
use crate::sys::netns::Netns;

/// Octets that the kernel takes of a program's name; letters, digits, '_' and '.'.
const LONGEST: usize = 15;

/// The hooks of a namespace's interfaces, as far as the programs for `device` go.
pub(super) struct Tcx<'a> {
    pub(super) netns: &'a Netns,
    pub(super) device: &'a InterfaceName,
}

impl Tcx<'_> {
    /// Puts `program` in the place of ours at that hook, so that no packet passes without one or the other; where
    /// there is none, first. False if the kernel has no such hooks, 63 others are there, or no program can
    /// have the device's name.
    ///
    /// First, since the one before us might end the way of a packet that is for us, while we pass on
    /// all that is not ours.
    pub(super) fn attach(
        &self,
        at: &InterfaceName,
        hook: Hook,
        program: &Program,
    ) -> Result<bool, DatapathError> {
        let attached = self.inside(|| {
            let index = Interfaces::open()?.index(at)?;
            let Some(earlier) = self.ours(index, hook)? else {
                return Ok(false);
            };
            program.attach(index, side(hook), earlier.first())?;
            let mut rest = earlier.iter().skip(1);
            rest.try_for_each(|earlier| earlier.detach(index, side(hook)))?;
            Ok(true)
        })?;
        match attached {
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) => Ok(false),
            attached => attached.map_err(|source| {
                let action = format!("attach a program at {at}, bpf(BPF_PROG_ATTACH)");
                refused(&action, self.device, source)
            }),
        }
    }

    /// Whether one of ours is at that hook. What cannot be asked for is not.
    pub(super) fn is_attached(&self, at: &InterfaceName, hook: Hook) -> bool {
        let found = self.inside(|| self.ours(Interfaces::open()?.index(at)?, hook));
        matches!(found, Ok(Ok(Some(ours))) if !ours.is_empty())
    }

    /// Takes ours from that hook of the interfaces with the numbers `from`. One that fails stops none of the others;
    /// the first is told.
    pub(super) fn detach(&self, from: &[u32], hook: Hook) -> Result<(), DatapathError> {
        let one = |index: &u32| {
            let ours = self.ours(*index, hook)?.unwrap_or_default();
            ours.iter()
                .try_for_each(|ours| ours.detach(*index, side(hook)))
        };
        let detached = self.inside(|| {
            let mut outcome = Ok(());
            for index in from {
                match one(index) {
                    // It has gone meanwhile, and its programs with it.
                    Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                    done => outcome = outcome.and(done),
                }
            }
            outcome
        })?;
        detached.map_err(|source| {
            let action = "detach a program, bpf(BPF_PROG_DETACH)";
            refused(action, self.device, source)
        })
    }

    /// Ours at a hook; `None` if there can be none.
    fn ours(&self, index: u32, hook: Hook) -> io::Result<Option<Vec<Attached>>> {
        let Some(name) = program_name(self.device) else {
            return Ok(None);
        };
        match attached(index, side(hook)) {
            // Before Linux 6.6, or built without.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            Err(error) => Err(error),
            Ok(mut found) => {
                found.retain(|found| found.name == name);
                Ok(Some(found))
            }
        }
    }

    fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<io::Result<T>, DatapathError> {
        self.netns
            .enter(work)
            .map_err(|source| DatapathError::Namespace {
                device: self.device.clone(),
                source,
            })
    }
}

/// What the programs for a device are called, at either hook; none if that holds what no program's name can.
pub(super) fn program_name(device: &InterfaceName) -> Option<String> {
    let name = format!("ipip_{device}");
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'.';
    (name.len() <= LONGEST && name.bytes().all(is_allowed)).then_some(name)
}

fn side(hook: Hook) -> Side {
    match hook {
        Hook::Ingress => Side::Ingress,
        Hook::Egress => Side::Egress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_by_its_device_where_it_can_be() {
        for (device, expected) in [
            ("tunl0", Some("ipip_tunl0")),
            ("tunnel.100", Some("ipip_tunnel.100")),
            ("tunnel.1000", None),
            ("pod-net", None),
        ] {
            let device = InterfaceName::try_new(device).unwrap();
            assert_eq!(program_name(&device).as_deref(), expected, "{device}");
        }
    }
}
