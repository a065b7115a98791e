//! Frames of a live interface.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::CaptureError;
use super::frame::{Direction, Frame, LinkType};
use crate::name::InterfaceName;
use crate::sys::interface::Interfaces;
use crate::sys::netns::Netns;
use crate::sys::packet::{Content, PacketSocket, Received};
use crate::sys::wake::{Ended, Wake};

/// Longest frame kept whole, in octets: what tcpdump takes by default, four times the longest packet
/// of IPv4.
pub const SNAP_LEN: usize = 262_144;

/// What we ask of the kernel as receive buffer, in octets: some 20,000 small frames, by its count.
const RECEIVE_BUFFER: i32 = 16 << 20;

/// How often a wait on an interface that is down looks whether it is still there.
const DOWN_CHECK: Duration = Duration::from_millis(500);

/// A running capture of one interface, both directions, from [`Live::open`] on.
#[derive(Debug)]
pub struct Live {
    socket: Arc<PacketSocket>,
    wake: Arc<Wake>,
    /// For the question whether the interface is still there; opened in its namespace.
    interfaces: Interfaces,
    interface: InterfaceName,
    index: u32,
    netns: PathBuf,
    link_type: LinkType,
    buffer: Vec<u8>,
    counts: Counts,
    /// The kernel has said that the interface went down, and the caller does not know yet.
    went_down: bool,
    /// No frame has passed since the capture began, or since the caller was told that it went down.
    may_be_down: bool,
}

/// How many frames a capture met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that passed the interface, dropped ones included.
    pub seen: u64,
    /// Frames that the kernel threw away because the reader was too slow.
    pub dropped: u64,
}

/// Ends a capture from another thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    socket: Arc<PacketSocket>,
    wake: Arc<Wake>,
}

impl Live {
    /// Starts to capture on `interface`, without promiscuous mode. It may still be down.
    ///
    /// ```no_run
    /// # use ipip_core::{capture::Live, name::InterfaceName, sys::netns::Netns};
    /// # use std::time::Duration;
    /// let mut live = Live::open(&Netns::named("node-a")?, &InterfaceName::try_new("tunl0")?)?;
    /// if let Some(frame) = live.next_frame(Duration::from_millis(100))? {
    ///     println!("{} octets", frame.original_len);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CaptureError`]: no such interface, a hardware type that cannot be read, no privilege, or a
    /// namespace that cannot be entered.
    pub fn open(netns: &Netns, interface: &InterfaceName) -> Result<Self, CaptureError> {
        let at = Place {
            interface,
            netns: netns.path(),
        };
        netns
            .enter(|| Self::open_here(&at))
            .map_err(|source| CaptureError::Namespace {
                interface: interface.clone(),
                source,
            })?
    }

    fn open_here(at: &Place<'_>) -> Result<Self, CaptureError> {
        let asking = |source| at.system("ask for the hardware type", source);
        let interfaces = Interfaces::open().map_err(asking)?;
        let hardware_type = interfaces.hardware_type(at.interface).map_err(asking)?;
        let link_type = LinkType::of_hardware_type(hardware_type).ok_or_else(|| {
            CaptureError::HardwareType {
                interface: at.interface.clone(),
                hardware_type,
            }
        })?;
        let index = interfaces.index(at.interface).map_err(asking)?;
        // Tunnel devices differ between kernels in whether they pretend to a link header; from the
        // network header on they all agree.
        let content = match link_type {
            LinkType::Ethernet => Content::LinkHeader,
            _ => Content::NetworkHeader,
        };
        let opening = |source| at.system("open a packet socket", source);
        let socket = PacketSocket::open(content).map_err(opening)?;
        socket.set_receive_buffer(RECEIVE_BUFFER).map_err(opening)?;
        socket.bind(index).map_err(opening)?;
        Ok(Self {
            socket: Arc::new(socket),
            wake: Arc::new(Wake::new().map_err(opening)?),
            interfaces,
            interface: at.interface.clone(),
            index,
            netns: at.netns.to_owned(),
            link_type,
            buffer: vec![0; SNAP_LEN],
            counts: Counts::default(),
            went_down: false,
            may_be_down: true,
        })
    }

    /// The next frame, waiting for it up to `timeout` (good to about 0.1 ms; `Duration::MAX` is
    /// without end). `None` if the time is over, or the capture was stopped and all frames that
    /// passed before are read.
    ///
    /// # Errors
    /// [`CaptureError::Down`] once each time the interface goes down, after the frames that passed
    /// before; the next call waits on. [`CaptureError::Gone`] from the interface's removal on.
    pub fn next_frame(&mut self, timeout: Duration) -> Result<Option<Frame>, CaptureError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            // Asked before reading: what passed before the stop is then certainly read.
            let stopped = self.is_stopped();
            if let Some(received) = self.receive()? {
                self.may_be_down = false;
                return Ok(Some(self.frame(&received)));
            }
            if self.went_down {
                return Err(self.down());
            }
            if stopped {
                return Ok(None);
            }
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            // The kernel does not tell of the removal of an interface that is down already.
            let slice = if self.may_be_down {
                left.min(DOWN_CHECK)
            } else {
                left
            };
            let ended = self
                .wake
                .wait(self.socket.as_fd(), slice)
                .map_err(|source| self.place().system("wait for a frame", source))?;
            if ended == Ended::TimedOut {
                if self.may_be_down && !self.is_there() {
                    self.went_down = true;
                } else if left == slice {
                    return Ok(None);
                }
            }
        }
    }

    /// What ends this capture from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            socket: Arc::clone(&self.socket),
            wake: Arc::clone(&self.wake),
        }
    }

    /// Whether it was stopped; [`Live::next_frame`] then never waits.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.wake.is_rung()
    }

    /// What its frames begin with.
    #[must_use]
    pub fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// The interface captured on.
    #[must_use]
    pub fn interface(&self) -> &InterfaceName {
        &self.interface
    }

    /// How many frames passed since [`Live::open`], and how many of them were dropped.
    ///
    /// # Errors
    /// [`CaptureError::System`] with the kernel's answer.
    pub fn counts(&mut self) -> Result<Counts, CaptureError> {
        let since = self
            .socket
            .statistics()
            .map_err(|source| self.place().system("count frames", source))?;
        self.counts.seen += u64::from(since.seen);
        self.counts.dropped += u64::from(since.dropped);
        Ok(self.counts)
    }

    fn receive(&mut self) -> Result<Option<Received>, CaptureError> {
        loop {
            match self.socket.receive(&mut self.buffer) {
                // The error overtakes the frames in the buffer: read on, and tell afterwards.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {
                    self.went_down = true;
                }
                other => {
                    return other.map_err(|source| self.place().system("receive a frame", source));
                }
            }
        }
    }

    fn frame(&self, received: &Received) -> Frame {
        let captured = self.buffer.get(..received.captured_len);
        let mut octets = captured.unwrap_or(&self.buffer).to_vec();
        let mut original_len = received.original_len;
        if let Some(tag) = received.vlan
            && insert_tag(&mut octets, tag)
        {
            original_len += TAG_LEN;
        }
        Frame {
            link_type: self.link_type,
            time: received.time,
            direction: if received.outgoing {
                Direction::Outgoing
            } else {
                Direction::Incoming
            },
            original_len,
            checksum_pending: received.checksum_pending,
            octets,
        }
    }

    fn down(&mut self) -> CaptureError {
        if self.is_there() {
            (self.went_down, self.may_be_down) = (false, true);
            return CaptureError::Down {
                interface: self.interface.clone(),
            };
        }
        // `went_down` stays: nothing will ever come again, and every call says so.
        CaptureError::Gone {
            interface: self.interface.clone(),
            netns: self.netns.clone(),
        }
    }

    fn is_there(&self) -> bool {
        self.interfaces.index(&self.interface).ok() == Some(self.index)
    }

    fn place(&self) -> Place<'_> {
        Place {
            interface: &self.interface,
            netns: &self.netns,
        }
    }
}

impl Stopper {
    /// Ends the capture: frames that pass from now on are not taken, a waiting
    /// [`Live::next_frame`] returns at once, and later ones do not wait.
    pub fn stop(&self) {
        // Without the filter the reader would only stop a little later, when the buffer is empty.
        if let Err(error) = self.socket.close_intake() {
            log::warn!("a stopped capture still takes frames: {error}");
        }
        self.wake.ring();
    }
}

const TAG_LEN: usize = 4;

/// Puts a VLAN tag that the kernel took out back behind the two Ethernet addresses, as it was on the
/// wire. `false` if there are no such addresses.
fn insert_tag(octets: &mut Vec<u8>, [tpid, tci]: [u16; 2]) -> bool {
    const ADDRESSES_LEN: usize = 12;
    if octets.len() < ADDRESSES_LEN {
        return false;
    }
    let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
    octets.splice(ADDRESSES_LEN..ADDRESSES_LEN, tag);
    true
}

/// Where a capture happens, for its errors.
struct Place<'a> {
    interface: &'a InterfaceName,
    netns: &'a std::path::Path,
}

impl Place<'_> {
    fn system(&self, action: &'static str, source: io::Error) -> CaptureError {
        let (interface, netns) = (self.interface.clone(), self.netns.to_owned());
        match source.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => CaptureError::NoInterface { interface, netns },
            Some(libc::EPERM | libc::EACCES) => CaptureError::Privilege {
                interface,
                netns,
                source,
            },
            _ => CaptureError::System {
                action,
                interface,
                netns,
                source,
            },
        }
    }
}
