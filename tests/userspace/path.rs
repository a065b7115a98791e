//! The data path under test: user space.

use std::net::Ipv4Addr;

use ipip_core::addr::NodeAddr;
use ipip_core::datapath::{DatapathError, Userspace};
use ipip_core::sys::netns::Netns;

use crate::support::name;
use crate::world::peers;

pub(crate) type Path = Userspace;

/// Whether it cuts segments itself, and finishes their checksums.
pub(crate) const CUTS: bool = true;

pub(crate) fn start(netns: &Netns, local: Ipv4Addr) -> Result<Path, DatapathError> {
    Userspace::start(netns, &name("tunl0"), NodeAddr(local), peers())
}
