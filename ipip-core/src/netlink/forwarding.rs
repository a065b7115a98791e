//! The one setting that does not always go by netlink.
//!
//! Where it is turned on, `forwarding` is written to `/proc/sys`, because only there does the kernel also turn off large
//! receive offload on the device (`devinet_sysctl_forward`); without that a physical underlay hands up
//! merged packets that cannot be forwarded. Turned off it goes by netlink like all others: a file would want a
//! thread in each namespace, which costs as much as all else that a pod's end is given. Where `/proc/sys` is read-only, as in many containers,
//! netlink sets the value alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Space;
use super::error::Fault;
use crate::name::InterfaceName;

/// Whether this value of `forwarding` is one for `/proc/sys`.
pub(super) fn goes_by_proc(value: u32) -> bool {
    value != 0
}

impl Space {
    /// Writes the setting of each device, of which the caller knows that it is one; the namespace is
    /// entered once for all. False for those that are out of reach and want netlink.
    pub(super) fn write_forwarding(
        &self,
        settings: &[(&InterfaceName, u32)],
    ) -> Result<Vec<Result<bool, Fault>>, Fault> {
        let write =
            |(name, value): &(&InterfaceName, u32)| fs::write(file(name), value.to_string());
        let written = self
            .netns
            .enter(|| settings.iter().map(write).collect::<Vec<_>>())
            .map_err(Fault::Netns)?;
        let refused = written
            .iter()
            .zip(settings)
            .find_map(|(result, (name, _))| {
                let error = result.as_ref().err()?;
                is_out_of_reach(error).then_some((error, name))
            });
        if let Some((error, name)) = refused {
            log::warn!(
                "{}: {error}; forwarding is set by netlink, large receive offload stays as it is",
                file(name).display()
            );
        }
        Ok(written.into_iter().map(outcome).collect())
    }
}

fn file(name: &InterfaceName) -> PathBuf {
    Path::new("/proc/sys/net/ipv4/conf")
        .join(name.as_str())
        .join("forwarding")
}

fn outcome(written: io::Result<()>) -> Result<bool, Fault> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if is_out_of_reach(&error) => Ok(false),
        Err(error) => Err(error
            .raw_os_error()
            .map_or_else(|| Fault::Unreadable(error.to_string()), Fault::errno)),
    }
}

/// Read-only, or not there at all.
fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EROFS | libc::ENOENT))
}
