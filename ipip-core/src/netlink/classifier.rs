//! Programs at a device's hooks of traffic control: `tc qdisc add dev DEVICE clsact`, `tc filter … bpf direct-action`.
//!
//! What is attached this way stays when the process ends, and needs no file system to be found again: it is
//! told from others by its name. A link of bpf(2) would end with its descriptor unless it is pinned. Linux 6.6 and later
//! have hooks of bpf(2) itself (TCX) ahead of these, which the eBPF data path prefers.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
};

use super::error::Fault;
use super::{Kernel, NetlinkError, Space};
use crate::name::InterfaceName;
use crate::plan::Place;

/// The queueing discipline that queues nothing and has both hooks.
const CLSACT: &str = "clsact";
/// `ETH_P_ALL` in network order: packets of every protocol.
const EVERY_PROTOCOL: u32 = 0x0003_u16.to_be() as u32;

/// Where in a device a program sees its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// What the device received.
    Ingress,
    /// What the device is to send.
    Egress,
}

/// A program at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classifier {
    /// Its place in the order; lower ones see a packet first.
    pub priority: u16,
    /// Its number among those of that priority.
    pub handle: u32,
    /// The name that it was attached under.
    pub name: String,
}

impl Kernel {
    /// Gives `device` of the node's namespace both hooks; whether they were missing.
    ///
    /// # Errors
    /// [`NetlinkError`]: `ENOENT` if the kernel has no clsact, `ENODEV` without the device, `EPERM` without
    /// `CAP_NET_ADMIN`.
    pub fn ensure_hooks(&mut self, device: &InterfaceName) -> Result<bool, NetlinkError> {
        self.at_hook(device, |space, index| {
            let mut message = message(index, TcHandle::CLSACT);
            message.header.handle = TcHandle {
                minor: 0,
                ..TcHandle::CLSACT
            };
            message
                .attributes
                .push(TcAttribute::Kind(CLSACT.to_owned()));
            let message = RouteNetlinkMessage::NewQueueDiscipline(message);
            match space.socket.change(message, NLM_F_CREATE | NLM_F_EXCL) {
                Ok(()) => Ok(true),
                Err(fault) if fault.is(libc::EEXIST) => Ok(false),
                Err(fault) => Err(fault),
            }
        })
    }

    /// Takes both hooks from `device`, with all that is attached to them. Without them there is nothing to do.
    ///
    /// # Errors
    /// [`NetlinkError`]: `ENODEV` without the device, `EPERM` without `CAP_NET_ADMIN`.
    pub fn remove_hooks(&mut self, device: &InterfaceName) -> Result<(), NetlinkError> {
        self.at_hook(device, |space, index| {
            let message = message(index, TcHandle::CLSACT);
            let message = RouteNetlinkMessage::DelQueueDiscipline(message);
            match space.socket.change(message, 0) {
                Err(fault) if !fault.is(libc::ENOENT) && !fault.is(libc::EINVAL) => Err(fault),
                _ => Ok(()),
            }
        })
    }

    /// What is attached to a hook of `device`; of filters other than programs the name is empty.
    ///
    /// # Errors
    /// [`NetlinkError`]: `ENODEV` without the device.
    pub fn classifiers(
        &mut self,
        device: &InterfaceName,
        hook: Hook,
    ) -> Result<Vec<Classifier>, NetlinkError> {
        self.at_hook(device, |space, index| {
            let question = RouteNetlinkMessage::GetTrafficFilter(message(index, hook.parent()));
            let found = space.socket.dump("filters", question.clone(), |frame| {
                Ok(read(&frame.parse()?))
            });
            // The kernel lists a filter's kind on its own line, without a handle, before its programs.
            Ok(found?
                .values
                .into_iter()
                .filter(|found| found.handle != 0)
                .collect())
        })
    }

    /// Attaches `program`, in the place of the one of that priority and handle if there is one; no packet passes
    /// without one or the other.
    ///
    /// # Errors
    /// [`NetlinkError`]: `EINVAL` without hooks, `EPERM` without `CAP_NET_ADMIN`.
    pub fn attach_classifier(
        &mut self,
        device: &InterfaceName,
        hook: Hook,
        classifier: &Classifier,
        program: BorrowedFd<'_>,
    ) -> Result<(), NetlinkError> {
        self.at_hook(device, |space, index| {
            let number = u32::try_from(program.as_raw_fd());
            let number = number.map_err(|_| Fault::errno(libc::EBADF))?;
            let options = vec![
                TcOption::Bpf(TcFilterBpfOption::ProgFd(number)),
                TcOption::Bpf(TcFilterBpfOption::ProgName(classifier.name.clone())),
                TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
            ];
            let mut message = filter(index, hook, classifier);
            message.attributes.push(TcAttribute::Options(options));
            let message = RouteNetlinkMessage::NewTrafficFilter(message);
            space.socket.change(message, NLM_F_CREATE | NLM_F_REPLACE)
        })
    }

    /// Detaches one; that it was not there is no error.
    ///
    /// # Errors
    /// [`NetlinkError`]: `ENODEV` without the device, `EPERM` without `CAP_NET_ADMIN`.
    pub fn detach_classifier(
        &mut self,
        device: &InterfaceName,
        hook: Hook,
        classifier: &Classifier,
    ) -> Result<(), NetlinkError> {
        self.at_hook(device, |space, index| {
            let message = RouteNetlinkMessage::DelTrafficFilter(filter(index, hook, classifier));
            match space.socket.change(message, 0) {
                Err(fault) if !fault.is(libc::ENOENT) => Err(fault),
                _ => Ok(()),
            }
        })
    }

    fn at_hook<T>(
        &mut self,
        device: &InterfaceName,
        work: impl FnOnce(&mut Space, u32) -> Result<T, Fault>,
    ) -> Result<T, NetlinkError> {
        let done = self.space(&Place::Node).and_then(|space| {
            let index = space.index_of(device)?;
            work(space, index)
        });
        done.map_err(|fault| fault.about(format!("{CLSACT} of {device}")))
    }
}

impl Hook {
    fn parent(self) -> TcHandle {
        TcHandle {
            minor: match self {
                Self::Ingress => TcHandle::MIN_INGRESS,
                Self::Egress => TcHandle::MIN_EGRESS,
            },
            ..TcHandle::CLSACT
        }
    }
}

fn message(index: u32, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = parent;
    message
}

fn filter(index: u32, hook: Hook, classifier: &Classifier) -> TcMessage {
    let mut message = message(index, hook.parent());
    message.header.handle = classifier.handle.into();
    message.header.info = u32::from(classifier.priority) << 16 | EVERY_PROTOCOL;
    let kind = TcFilterBpf::KIND.to_owned();
    message.attributes.push(TcAttribute::Kind(kind));
    message
}

fn read(message: &RouteNetlinkMessage) -> Option<Classifier> {
    let RouteNetlinkMessage::NewTrafficFilter(filter) = message else {
        return None;
    };
    let options = filter
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            TcAttribute::Options(options) => Some(options),
            _ => None,
        });
    let name = options.flatten().find_map(|option| match option {
        TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => Some(name.clone()),
        _ => None,
    });
    let TcHandle { major, minor } = filter.header.handle;
    Some(Classifier {
        priority: u16::try_from(filter.header.info >> 16).unwrap_or_default(),
        handle: u32::from(major) << 16 | u32::from(minor),
        name: name.unwrap_or_default(),
    })
}
