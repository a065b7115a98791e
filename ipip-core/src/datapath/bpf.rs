//! The data path in the kernel where that has no ipip driver: eBPF programs on a TUN device in place of `tunl0`.
//!
//! ```text
//!  tunl0 (TUN) ── egress: node of the inner destination, outer header ──▶ underlay
//!        ◀── ingress: outer and inner source checked, stripped ◀── underlay
//! ```
//!
//! The programs (`bpf/ipip.bpf.c`, committed with what clang makes of it) carry the plain case, super-packets of
//! TCP and UDP uncut. What is odd they leave to [`Userspace`], which reads the same device and a raw socket:
//! outbound what is longer than the way to its node, inbound what the kernel has to put together or has options.
//!
//! Everything stays when the process ends: the device, the programs and their maps, by which packets pass on;
//! only the odd ones wait for somebody who reads them. A new process makes new programs and puts them in the place
//! of the old ones at once, so that no packet is lost. [`Bpf::remove`] takes all away.
//!
//! The programs are attached by TCX where the kernel has it (Linux 6.6), first of what is there, and by netlink at clsact
//! elsewhere, see `bpf/tcx.rs` and `netlink/classifier.rs`; what an earlier run attached the other way is taken over
//! without a gap. They are no links of bpf(2), which end with their descriptor unless they are pinned. On the
//! underlay they see packets before the filters of nf_tables do, and send past them: a rule about protocol 4 is
//! asked for odd packets only, rules about what is inside for all. `tcpdump -i tunl0` shows what is received and,
//! of what is sent, the odd packets only; the interface's own counters likewise, and [`Bpf::counters`] all.

mod hooks;
mod maps;
mod object;
mod tcx;

use std::io;
use std::sync::{Mutex, PoisonError};

use super::counters::Counters;
use super::error::DatapathError;
use super::userspace::Userspace;
use crate::addr::NodeAddr;
use crate::error_chain;
use crate::name::InterfaceName;
use crate::netlink::Kernel;
use crate::peers::Peers;
use crate::sys::bpf::Program;
use crate::sys::netns::Netns;
use crate::sys::tun::Tun;
use hooks::Hooks;
use maps::{Filled, Maps};
use object::Object;

/// What clang made of the programs.
const OBJECT: &[u8] = include_bytes!("../../bpf/ipip.bpf.o");

/// What is tried where a map is written.
const FILL: &str = "fill the maps, bpf(BPF_MAP_UPDATE_ELEM)";

/// A running eBPF data path. Dropping it ends what carries the odd packets; the programs go on.
#[derive(Debug)]
pub struct Bpf {
    odd: Userspace,
    maps: Maps,
    filled: Mutex<Filled>,
}

/// The two programs with their maps; nothing is attached to them yet.
struct Loaded {
    maps: Maps,
    outbound: Program,
    inbound: Program,
}

impl Bpf {
    /// Makes the TUN device `device` in `netns`, or takes over the one that an earlier process left, and has the
    /// kernel carry its packets between the node address `local` and `peers`. A new device is down and has no
    /// address; `overlay` says what it should hold.
    ///
    /// ```no_run
    /// # use ipip_core::{addr::NodeAddr, name::InterfaceName, peers::Peers, sys::netns::Netns};
    /// # use ipip_core::datapath::Bpf;
    /// let node = NodeAddr([172, 18, 0, 2].into());
    /// let peers = Peers::from_iter([("10.244.244.64/26".parse()?, node)]);
    /// let local = NodeAddr([172, 18, 0, 3].into());
    /// let netns = Netns::named("node-a")?;
    /// let path = Bpf::start(&netns, &InterfaceName::try_new("tunl0")?, local, peers)?;
    /// println!("{} packets", path.counters()?.sent.packets);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatapathError`]: the kernel does not take the programs (Linux 5.12 does, from who has `CAP_BPF` and
    /// `CAP_NET_ADMIN` in the first user namespace) or has no clsact, the name is taken, no interface has the node
    /// address, no TUN driver. What was made is taken back; an earlier process's path stays.
    pub fn start(
        netns: &Netns,
        device: &InterfaceName,
        local: NodeAddr,
        peers: Peers,
    ) -> Result<Self, DatapathError> {
        let loaded = Loaded::new(device)?;
        let mut filled = Filled::default();
        let done = loaded.maps.fill(&mut filled, &peers, local);
        done.map_err(|source| refused(FILL, device, source))?;
        let mut hooks = Hooks::open(netns, device)?;
        let underlay = hooks.underlay(netns, local)?;
        let is_new = hooks.is_new(netns)?;
        let started = Userspace::over(Tun::persistent, netns, device, local, peers);
        let attached = started.and_then(|odd| {
            let settings = hooks.settings(netns, &odd, &underlay)?;
            let set = loaded.maps.set_settings(&settings);
            set.map_err(|source| refused(FILL, device, source))?;
            let by_tcx = hooks.attach_both(&loaded, &underlay.name, settings.tunnel)?;
            Ok((odd, by_tcx))
        });
        let (odd, by_tcx) = attached.map_err(|error| {
            // The device would stay. One that somebody else made meanwhile is none of ours.
            let is_ours = is_new && !matches!(error, DatapathError::NameTaken { .. });
            if is_ours && let Err(error) = hooks.remove(true) {
                log::warn!("not taken back: {}", error_chain(&error));
            }
            error
        })?;
        let at = &underlay.name;
        let by = if by_tcx { "TCX" } else { "clsact" };
        log::debug!("eBPF data path on {device} in {netns} for node {local} at {at} by {by}");
        Ok(Self {
            odd,
            maps: loaded.maps,
            filled: Mutex::new(filled),
        })
    }

    /// Whether `device` is one of these, of this process or an earlier one; with its program, or marked as a tunnel
    /// device and held by nobody.
    ///
    /// # Errors
    /// [`DatapathError::Hook`] if the kernel cannot be asked.
    pub fn is_there(netns: &Netns, device: &InterfaceName) -> Result<bool, DatapathError> {
        Ok(Hooks::open(netns, device)?.is_ours(netns))
    }

    /// Takes away what was made, by this process or an earlier one: programs, their hooks where they were made
    /// for them and nothing else is attached, and the device. It is no error if there is nothing.
    ///
    /// # Errors
    /// [`DatapathError::Hook`] if the kernel refuses; the other steps are done all the same.
    pub fn remove(netns: &Netns, device: &InterfaceName) -> Result<(), DatapathError> {
        let mut hooks = Hooks::open(netns, device)?;
        let is_ours = hooks.is_ours(netns);
        hooks.remove(is_ours)
    }

    /// Replaces what is known of the other nodes, for all packets from now on.
    ///
    /// # Errors
    /// [`DatapathError::Bpf`] if the kernel has no room: 1,048,576 prefixes and 131,072 nodes. Then some of the new
    /// ones are known and all of the old ones; a later call begins where this one ended.
    pub fn set_peers(&self, peers: Peers) -> Result<(), DatapathError> {
        // Each entry is recorded as it is made, so poison means nothing here.
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.maps.fill(&mut filled, &peers, self.local());
        self.odd.set_peers(peers);
        done.map_err(|source| refused(FILL, self.device(), source))
    }

    /// What it carried and dropped since it was started, by the programs and besides. Each processor is read by
    /// itself, so packets on their way may be missing.
    ///
    /// # Errors
    /// [`DatapathError::Bpf`] if the kernel does not let its maps be read.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        let reading = |source| {
            refused(
                "read the counters, bpf(BPF_MAP_LOOKUP_ELEM)",
                self.device(),
                source,
            )
        };
        let counters = self.maps.counters().map_err(reading)?;
        Ok(counters.and(&self.odd.counters()))
    }

    /// What of it the programs did not carry: the part of [`Bpf::counters`] that passed through this process.
    #[must_use]
    pub fn odd_counters(&self) -> Counters {
        self.odd.counters()
    }

    /// Why the odd packets are no longer carried, which ends by itself when the device is removed.
    #[must_use]
    pub fn failure(&self) -> Option<&DatapathError> {
        self.odd.failure()
    }

    /// Whether both programs are where [`Bpf::start`] attached them. They go with an interface that is made anew, and
    /// when somebody else detaches them. Of clsact a [`crate::netlink::Event::FilterGone`] tells that; of TCX
    /// the kernel tells nobody, so it is seen when this is asked next.
    #[must_use]
    pub fn is_attached(&self, kernel: &mut Kernel, underlay: &InterfaceName) -> bool {
        hooks::are_attached(kernel, self.device(), underlay)
    }

    /// The device's name.
    #[must_use]
    pub fn device(&self) -> &InterfaceName {
        self.odd.device()
    }

    /// The node address that its packets are sent from.
    #[must_use]
    pub fn local(&self) -> NodeAddr {
        self.odd.local()
    }
}

impl Loaded {
    fn new(device: &InterfaceName) -> Result<Self, DatapathError> {
        let damaged = |what| refused("read the programs", device, io::Error::other(what));
        if cfg!(target_endian = "big") {
            return Err(damaged("they are for little-endian machines"));
        }
        let object = Object::parse(OBJECT).map_err(damaged)?;
        let creating = |source| refused("make the maps, bpf(BPF_MAP_CREATE)", device, source);
        let maps = Maps::create(&object.maps).map_err(creating)?;
        let numbers = maps.numbers().map_err(creating)?;
        let load = |name| {
            let code = object.programs.iter().find(|code| code.name == name);
            let code = code.ok_or("a program is missing").map_err(damaged)?;
            let instructions = code.with_maps(&numbers).map_err(damaged)?;
            let called = tcx::program_name(device).unwrap_or_else(|| format!("ipip_{name}"));
            let program = Program::load(&called, &instructions, &object.license);
            program.map_err(|error| DatapathError::Bpf {
                action: format!("load program {name}, bpf(BPF_PROG_LOAD)"),
                device: device.clone(),
                source: error.source,
                log: error.log,
            })
        };
        let (outbound, inbound) = (load("out")?, load("in")?);
        Ok(Self {
            maps,
            outbound,
            inbound,
        })
    }
}

fn refused(action: &str, device: &InterfaceName, source: io::Error) -> DatapathError {
    DatapathError::Bpf {
        action: action.to_owned(),
        device: device.clone(),
        source,
        log: String::new(),
    }
}
