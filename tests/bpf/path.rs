//! The data path under test: eBPF programs.

use std::net::Ipv4Addr;

use ipip_core::addr::NodeAddr;
use ipip_core::datapath::{Bpf, Counters, DatapathError};
use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;

use crate::support::name;
use crate::world::peers;

/// [`Bpf`] as the tests of the user-space path take it.
pub(crate) struct Path(pub(crate) Bpf);

impl Path {
    pub(crate) fn counters(&self) -> Counters {
        self.0.counters().unwrap()
    }

    pub(crate) fn set_peers(&self, peers: Peers) {
        self.0.set_peers(peers).unwrap();
    }
}

/// The kernel cuts segments, behind the programs or not at all.
pub(crate) const CUTS: bool = false;

pub(crate) fn start(netns: &Netns, local: Ipv4Addr) -> Result<Path, DatapathError> {
    Bpf::start(netns, &name("tunl0"), NodeAddr(local), peers()).map(Path)
}
