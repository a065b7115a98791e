//! Programs at a device's hooks without a queueing discipline before them (TCX, Linux 6.6): in an order of their own,
//! ahead of all filters of clsact. One that is attached stays until it is detached or its device goes.
//!
//! All calls are about the network namespace of the calling thread.

use std::io;
use std::os::fd::AsRawFd;

use super::{Program, address, bpf, descriptor};

/// Where in a device a program sees its packets: `BPF_TCX_INGRESS`, `BPF_TCX_EGRESS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ingress = 46,
    Egress = 47,
}

/// A program at a hook.
#[derive(Debug)]
pub(crate) struct Attached {
    /// The name that it was loaded under.
    pub(crate) name: String,
    program: Program,
}

const PROGRAM_ATTACH: u32 = 8;
const PROGRAM_DETACH: u32 = 9;
const PROGRAM_BY_ID: u32 = 13;
const OBJECT_INFO: u32 = 15;
const PROGRAM_QUERY: u32 = 16;

/// `BPF_F_REPLACE`: in the place of another.
const REPLACE: u32 = 1 << 2;
/// `BPF_F_BEFORE`, of none in particular: first.
const BEFORE: u32 = 1 << 3;
/// How many a hook takes, `BPF_MPROG_MAX`.
const MOST: usize = 64;

#[repr(C)]
#[derive(Default)]
struct Attach {
    index: u32,
    program: u32,
    side: u32,
    flags: u32,
    instead_of: u32,
    relative: u32,
    revision: u64,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    index: u32,
    side: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
    all_flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct AskInfo {
    object: u32,
    info_len: u32,
    info: u64,
}

/// `struct bpf_prog_info` up to the name.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    lens: [u32; 2],
    instructions: [u64; 2],
    loaded_at: u64,
    owner: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}

const _: () = assert!(size_of::<Attach>() == 32 && size_of::<Query>() == 64);
const _: () = assert!(size_of::<AskInfo>() == 16 && size_of::<Info>() == 80);

/// What is attached to a hook of the interface of that number, in the order in which packets pass.
///
/// # Errors
/// `EINVAL` if the kernel has no such hooks, `ENODEV` without the interface, `EPERM` without `CAP_NET_ADMIN` and (for
/// the names) `CAP_SYS_ADMIN`.
pub(crate) fn attached(index: u32, side: Side) -> io::Result<Vec<Attached>> {
    let mut ids = [0_u32; MOST];
    let mut query = Query {
        index,
        side: side as u32,
        ids: address(ids.as_mut_ptr().cast()),
        count: u32::try_from(MOST).map_err(io::Error::other)?,
        ..Query::default()
    };
    // SAFETY: the kernel writes `count` numbers at most, for which `ids` has room, and it outlives the call.
    unsafe { bpf(PROGRAM_QUERY, &mut query) }?;
    let count = usize::try_from(query.count).map_err(io::Error::other)?;
    let named = |id: &u32| match named(*id) {
        // Detached meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
        named => Some(named),
    };
    ids.iter().take(count).filter_map(named).collect()
}

fn named(id: u32) -> io::Result<Attached> {
    let mut request = ById {
        id,
        ..ById::default()
    };
    // SAFETY: the request has no pointers.
    let fd = descriptor(unsafe { bpf(PROGRAM_BY_ID, &mut request) }?)?;
    let mut info = Info::default();
    let mut request = AskInfo {
        object: number(fd.as_raw_fd())?,
        info_len: u32::try_from(size_of::<Info>()).map_err(io::Error::other)?,
        info: address(std::ptr::from_mut(&mut info).cast()),
    };
    // SAFETY: the kernel reads and writes `info_len` octets of `info`, which is as long and outlives the call. What it
    // reads asks for neither instructions nor maps: all is zero.
    unsafe { bpf(OBJECT_INFO, &mut request) }?;
    let name = info.name.split(|octet| *octet == 0).next();
    Ok(Attached {
        name: String::from_utf8_lossy(name.unwrap_or_default()).into_owned(),
        program: Program { fd },
    })
}

impl Program {
    /// Attaches it to a hook of the interface of that number: in the place of `earlier`, so that no packet passes
    /// without one or the other, or else before all that are there.
    ///
    /// # Errors
    /// `EINVAL` if the kernel has no such hooks, `ENODEV` without the interface, `ENOENT` if `earlier` is no longer
    /// there, `ERANGE` if 63 others are, `EPERM` without `CAP_NET_ADMIN`.
    pub(crate) fn attach(
        &self,
        index: u32,
        side: Side,
        earlier: Option<&Attached>,
    ) -> io::Result<()> {
        let mut request = Attach {
            index,
            program: number(self.fd.as_raw_fd())?,
            side: side as u32,
            flags: if earlier.is_some() { REPLACE } else { BEFORE },
            instead_of: match earlier {
                Some(earlier) => number(earlier.program.fd.as_raw_fd())?,
                None => 0,
            },
            ..Attach::default()
        };
        // SAFETY: the request has no pointers.
        unsafe { bpf(PROGRAM_ATTACH, &mut request) }.map(drop)
    }
}

impl Attached {
    /// Detaches it from that hook; that it was not there is no error.
    ///
    /// # Errors
    /// `ENODEV` without the interface, `EPERM` without `CAP_NET_ADMIN` or if a link of bpf(2) holds it.
    pub(crate) fn detach(&self, index: u32, side: Side) -> io::Result<()> {
        let mut request = Attach {
            index,
            program: number(self.program.fd.as_raw_fd())?,
            side: side as u32,
            ..Attach::default()
        };
        // SAFETY: the request has no pointers.
        match unsafe { bpf(PROGRAM_DETACH, &mut request) } {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }
}

fn number(fd: i32) -> io::Result<u32> {
    u32::try_from(fd).map_err(io::Error::other)
}
