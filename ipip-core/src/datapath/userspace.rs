//! The data path in this process: a TUN device, a raw socket, a thread for each direction, and one for ICMP errors.
//!
//! ```text
//!  tunl0 (TUN) ── read ── cut ──▶ peers.node_of(inner destination) ── encapsulate ──▶ raw socket, protocol 4
//!        ◀── write ── join ◀── finish checksum ◀── peers.check(outer, inner source) ◀── receive
//! ```
//!
//! What one system call costs is the most of what a packet costs here, so the kernel hands over TCP (and where it
//! can UDP) uncut, up to 64 KiB at once, `outward` cuts it, and a batch is sent with one call; a batch is received
//! with one call, `inward` joins the segments of a connection, and the kernel takes them as one. Where the kernel
//! refuses any of it, packets go one by one. The underlay sees every packet by itself in any case: the notes with
//! which a packet could be left to the kernel to cut (`struct virtio_net_hdr`) know no TCP inside IPv4 inside IPv4.
//!
//! It lives in an object of the process that holds it: when that ends, device and routes go with it.
//! The kernel reassembles outer fragments before the raw socket sees them, and cuts inner packets to
//! the device's MTU before they are read, so neither happens here. It keeps fragments for `ipfrag_time` (30 s) in no more
//! memory than `ipfrag_high_thresh` (4 MiB), 64 behind each other from one source (`ipfrag_max_dist`). Where the underlay
//! carries less than the device's MTU, `too_long` cuts, or answers with "fragmentation needed". What routers of the
//! underlay say of our packets `relay` says to those who sent them, or `owed` to the next one where too little was
//! quoted; the kernel keeps what they say of MTUs, with its routes and for 10 minutes (`mtu_expires`).

mod inward;
mod outward;
mod owed;
mod relay;
mod too_long;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::counters::{Counters, Tally};
use super::error::DatapathError;
use crate::addr::NodeAddr;
use crate::name::InterfaceName;
use crate::peers::Peers;
use crate::sys::interface::Interfaces;
use crate::sys::netns::Netns;
use crate::sys::raw::RawSocket;
use crate::sys::tun::{Offload, Tun};
use crate::sys::wake::{Ended, Wake};
use owed::Owed;

/// What we ask of the kernel as receive buffer, in octets: some 80 packets of the longest kind, or
/// thousands of usual ones, for the time that the reading thread is not scheduled.
const RECEIVE_BUFFER: i32 = 8 << 20;

/// A running user-space data path. Dropping it ends its threads and removes its device.
#[derive(Debug)]
pub struct Userspace {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    tun: Tun,
    raw: RawSocket,
    /// Receives what routers of the underlay say of our packets.
    icmp: RawSocket,
    /// For the MTU of the device and of the ways to other nodes; opened in its namespace.
    interfaces: Interfaces,
    /// Whether the device takes joined segments; not after it refused one.
    joins: AtomicBool,
    /// What senders have yet to hear.
    owed: Owed,
    device: InterfaceName,
    netns: PathBuf,
    local: NodeAddr,
    peers: RwLock<Peers>,
    tally: Tally,
    wake: Wake,
    failure: OnceLock<DatapathError>,
}

impl Userspace {
    /// Makes the TUN device `device` in `netns` and starts to carry its packets between the node
    /// address `local` and `peers`. The device is down and has no address; `overlay` says what it
    /// should hold.
    ///
    /// ```no_run
    /// # use ipip_core::{addr::NodeAddr, name::InterfaceName, peers::Peers, sys::netns::Netns};
    /// # use ipip_core::datapath::Userspace;
    /// let node = NodeAddr([172, 18, 0, 2].into());
    /// let peers = Peers::from_iter([("10.244.244.64/26".parse()?, node)]);
    /// let local = NodeAddr([172, 18, 0, 3].into());
    /// let path = Userspace::start(
    ///     &Netns::named("node-a")?,
    ///     &InterfaceName::try_new("tunl0")?,
    ///     local,
    ///     peers,
    /// )?;
    /// println!("{} packets", path.counters().sent.packets);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatapathError`]: the name is taken, no interface has the node address, no TUN driver, no
    /// privilege, or a namespace that cannot be entered. Nothing is left behind.
    pub fn start(
        netns: &Netns,
        device: &InterfaceName,
        local: NodeAddr,
        peers: Peers,
    ) -> Result<Self, DatapathError> {
        Self::over(Tun::create, netns, device, local, peers)
    }

    /// As [`Userspace::start`], on the device that `make` gives.
    pub(super) fn over(
        make: fn(&InterfaceName) -> io::Result<Tun>,
        netns: &Netns,
        device: &InterfaceName,
        local: NodeAddr,
        peers: Peers,
    ) -> Result<Self, DatapathError> {
        let at = Place {
            device,
            netns: netns.path(),
        };
        let (
            Sockets {
                raw,
                icmp,
                interfaces,
            },
            tun,
            offload,
        ) = netns.enter(|| open(&at, local, make)).map_err(|source| {
            DatapathError::Namespace {
                device: device.clone(),
                source,
            }
        })??;
        let wake = Wake::new().map_err(|source| at.system("make an event", source))?;
        let shared = Shared {
            tun,
            raw,
            icmp,
            interfaces,
            joins: AtomicBool::new(true),
            owed: Owed::new(),
            device: device.clone(),
            netns: at.netns.to_owned(),
            local,
            peers: RwLock::new(peers),
            tally: Tally::default(),
            wake,
            failure: OnceLock::new(),
        };
        let mut path = Self {
            shared: Arc::new(shared),
            threads: Vec::with_capacity(3),
        };
        // If a thread cannot be had, dropping `path` ends those before it.
        path.spawn("ipip-out", Shared::carry_out)?;
        path.spawn("ipip-in", Shared::carry_in)?;
        path.spawn("ipip-errors", Shared::carry_errors)?;
        log::debug!(
            "user-space data path on {device} in {netns} for node {local}, offload {offload:?}"
        );
        Ok(path)
    }

    /// Replaces what is known of the other nodes, for all packets from now on.
    pub fn set_peers(&self, peers: Peers) {
        // A Peers is whole whatever a panicking reader did, so poison means nothing here.
        let mut current = self
            .shared
            .peers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = peers;
    }

    /// What it carried and dropped until now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.tally.snapshot()
    }

    /// Why it ended by itself, which it does when its device is removed; `None` while it runs.
    #[must_use]
    pub fn failure(&self) -> Option<&DatapathError> {
        self.shared.failure.get()
    }

    /// The interface number of its device.
    #[cfg(feature = "bpf")]
    pub(super) fn device_index(&self) -> io::Result<u32> {
        self.shared.interfaces.index(&self.shared.device)
    }

    /// The device's name.
    #[must_use]
    pub fn device(&self) -> &InterfaceName {
        &self.shared.device
    }

    /// The node address that its packets are sent from.
    #[must_use]
    pub fn local(&self) -> NodeAddr {
        self.shared.local
    }

    /// Ends it and removes the device; returns the last counters.
    pub fn stop(mut self) -> Counters {
        self.end();
        self.counters()
    }

    fn spawn(&mut self, name: &str, carry: fn(&Shared) -> Failed) -> Result<(), DatapathError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || shared.run(carry))
            .map_err(|source| self.shared.place().system("start a thread", source))?;
        self.threads.push(thread);
        Ok(())
    }

    fn end(&mut self) {
        let device = &self.shared.device;
        self.shared.wake.ring();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the data path on {device} panicked");
            }
        }
    }
}

impl Drop for Userspace {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a direction returns when it ends: an error that ends the path, with what was tried.
type Failed = Result<(), (&'static str, io::Error)>;

impl Shared {
    /// Runs one direction to its end, and ends the other one if that was a failure.
    fn run(&self, carry: fn(&Self) -> Failed) {
        let Err((action, source)) = carry(self) else {
            return;
        };
        let error = self.place().system(action, source);
        log::warn!("the user-space data path ends: {error}");
        // If both directions fail, the first one's reason stays.
        let _ = self.failure.set(error);
        self.wake.ring();
    }

    /// Repeats `step` while it finds something to do, and waits for `fd` when it does not.
    fn until_woken(
        &self,
        fd: BorrowedFd<'_>,
        action: &'static str,
        mut step: impl FnMut() -> io::Result<bool>,
    ) -> Failed {
        let failed = |source| (action, source);
        while !self.wake.is_rung() {
            if step().map_err(failed)? {
                continue;
            }
            if self.wake.wait(fd, Duration::MAX).map_err(failed)? == Ended::Woken {
                break;
            }
        }
        Ok(())
    }

    fn peers(&self) -> RwLockReadGuard<'_, Peers> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> Place<'_> {
        Place {
            device: &self.device,
            netns: &self.netns,
        }
    }
}

/// What is opened beside the device.
struct Sockets {
    raw: RawSocket,
    icmp: RawSocket,
    interfaces: Interfaces,
}

/// Opens everything in the namespace of the calling thread. The device comes last: what fails before
/// leaves no trace.
fn open(
    at: &Place<'_>,
    local: NodeAddr,
    make: fn(&InterfaceName) -> io::Result<Tun>,
) -> Result<(Sockets, Tun, Offload), DatapathError> {
    let nowhere = || DatapathError::NodeAddr {
        addr: local,
        netns: at.netns.to_owned(),
    };
    // A raw socket can be bound to these, and then receives what is sent to any address, or to a group.
    if local.0.is_unspecified() || local.0.is_multicast() || local.0.is_broadcast() {
        return Err(nowhere());
    }
    let opening = |source| at.system("open a raw socket", source);
    let raw = RawSocket::ipip().map_err(opening)?;
    raw.set_receive_buffer(RECEIVE_BUFFER).map_err(opening)?;
    raw.bind(local.0).map_err(|source| {
        if source.raw_os_error() == Some(libc::EADDRNOTAVAIL) {
            nowhere()
        } else {
            opening(source)
        }
    })?;
    let icmp = RawSocket::icmp_errors().map_err(opening)?;
    icmp.bind(local.0).map_err(opening)?;
    let interfaces = Interfaces::open().map_err(opening)?;
    let tun = make(at.device).map_err(|source| at.creating(source))?;
    let offload = tun.take_on();
    let sockets = Sockets {
        raw,
        icmp,
        interfaces,
    };
    Ok((sockets, tun, offload))
}

/// Where a data path is, for its errors.
pub(super) struct Place<'a> {
    pub(super) device: &'a InterfaceName,
    pub(super) netns: &'a Path,
}

impl Place<'_> {
    fn creating(&self, source: io::Error) -> DatapathError {
        let device = self.device.clone();
        match source.raw_os_error() {
            Some(libc::EBUSY | libc::EEXIST) => DatapathError::NameTaken {
                device,
                netns: self.netns.to_owned(),
            },
            // EACCES is the file's own permission; the kernel refuses the device itself with EPERM.
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::EACCES) => {
                DatapathError::NoTun { device, source }
            }
            _ => self.system("make the TUN device", source),
        }
    }

    pub(super) fn system(&self, action: &'static str, source: io::Error) -> DatapathError {
        let (device, netns) = (self.device.clone(), self.netns.to_owned());
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => DatapathError::Privilege {
                action,
                device,
                netns,
                source,
            },
            _ => DatapathError::System {
                action,
                device,
                netns,
                source,
            },
        }
    }
}
