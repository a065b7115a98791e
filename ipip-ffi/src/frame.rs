//! One captured frame as a value, and explained.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::capture::describe::{json, line, tree};
use ipip_core::capture::{Direction, Frame, LinkType};

use crate::boundary::{TextBuffer, choose, flag, guard, octets, required};
use crate::error::Failure;
use crate::status::ipip_status;

/// What the first octet of a frame belongs to; the number is the link type of a pcap file.
#[repr(C)]
#[allow(dead_code, reason = "names for C; here the numbers are the core's")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_link_type {
    /// An Ethernet header: veth and real interfaces.
    Ethernet = 1,
    /// An IP header: tunl0 and TUN interfaces.
    RawIp = 101,
    /// A Linux cooked header of 16 octets, as a capture on "any" has it.
    LinuxSll = 113,
    /// A Linux cooked header of 20 octets, which names the interface.
    LinuxSll2 = 276,
}

/// Which way a frame passed its interface.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_direction {
    /// Into this host, whomever it is addressed to.
    Incoming = 0,
    /// Out of this host.
    Outgoing = 1,
    /// The capture does not say: most files do not, a live one always does.
    Unknown = 2,
}

/// One frame as it passed an interface.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_frame {
    /// The frame from its first octet, without frame check sequence. The octets belong to the object
    /// that gave the frame, whose doc says how long they are valid.
    pub octets: *const u8,
    /// How many octets there are; those of a capture have at most 262,144.
    pub octets_len: usize,
    /// Octets that it had on the interface, at least `octets_len`.
    pub original_len: usize,
    /// When the kernel saw it, in nanoseconds since 1970; the largest number for a time past 2554.
    pub time_ns: u64,
    /// What the first octet belongs to: an `enum ipip_link_type`, or another number of a pcap file, whose
    /// frames are not read further.
    pub link_type: u32,
    /// Which way it passed, an `enum ipip_direction`.
    pub direction: u32,
    /// 1 if its transport checksum was left for hardware, or for another host's kernel on the same
    /// machine, to finish: what it shows then is only the sum of the pseudo-header. Else 0.
    pub checksum_pending: u8,
}

/// Writes a frame as one line, as `tcpdump -n -S` prints it (with `-e` where there are MAC addresses):
/// every IP header of a tunnel packet is in it. The time of day is UTC. `needed_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an impossible field, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `frame` is NULL or its `octets` point to `octets_len` octets; `text` is NULL or points to `text_len`
/// octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_frame_line(
    frame: Option<&ipip_frame>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        // SAFETY: the caller's duty, as documented.
        unsafe { TextBuffer::new(text, text_len, needed_out) }?.fill(&line(&frame))
    })
}

/// Writes a frame as a tree of its layers, in the words of Wireshark's packet details: a line for each
/// layer, and its fields indented below it. `needed_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an impossible field, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// As `ipip_frame_line`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_frame_tree(
    frame: Option<&ipip_frame>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        // SAFETY: the caller's duty, as documented.
        unsafe { TextBuffer::new(text, text_len, needed_out) }?.fill(&tree(&frame).to_string())
    })
}

/// Writes a frame as one JSON object without a line break: `layers` holds one object for each layer,
/// outermost first, with every field and, beside each checksum, a verdict on it. `needed_out` may be
/// NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an impossible field, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// As `ipip_frame_line`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_frame_json(
    frame: Option<&ipip_frame>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        // SAFETY: the caller's duty, as documented.
        unsafe { TextBuffer::new(text, text_len, needed_out) }?.fill(&json(&frame))
    })
}

const DIRECTIONS: [(u32, Direction); 3] = [
    (ipip_direction::Incoming as u32, Direction::Incoming),
    (ipip_direction::Outgoing as u32, Direction::Outgoing),
    (ipip_direction::Unknown as u32, Direction::Unknown),
];

impl ipip_frame {
    /// Shows `frame`, whose octets it points to.
    pub(crate) fn of(frame: &Frame) -> Self {
        let time = frame.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let direction = match frame.direction {
            Direction::Incoming => ipip_direction::Incoming,
            Direction::Outgoing => ipip_direction::Outgoing,
            Direction::Unknown => ipip_direction::Unknown,
        };
        Self {
            octets: frame.octets.as_ptr(),
            octets_len: frame.octets.len(),
            original_len: frame.original_len,
            // Enough until the year 2554.
            time_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            link_type: frame.link_type.number(),
            direction: direction as u32,
            checksum_pending: frame.checksum_pending.into(),
        }
    }

    /// A copy of the frame, its fields checked.
    ///
    /// # Safety
    /// `octets` is NULL or points to `octets_len` octets that nobody writes to meanwhile.
    pub(crate) unsafe fn checked(&self) -> Result<Frame, Failure> {
        // SAFETY: the caller's duty.
        let octets = unsafe { octets(self.octets, self.octets_len, "octets") }?;
        let (found, least) = (self.original_len, octets.len());
        if found < least {
            let text = format!("original_len is {found}, allowed from octets_len, {least}, on");
            return Err(Failure::new(ipip_status::InvalidArgument, text));
        }
        Ok(Frame {
            link_type: LinkType::of_number(self.link_type),
            time: UNIX_EPOCH + Duration::from_nanos(self.time_ns),
            direction: choose(self.direction, "direction", "ipip_direction", &DIRECTIONS)?,
            original_len: found,
            checksum_pending: flag(self.checksum_pending, "checksum_pending")?,
            octets: octets.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_have_the_numbers_of_the_core() {
        for (ours, core) in [
            (ipip_link_type::Ethernet, LinkType::Ethernet),
            (ipip_link_type::RawIp, LinkType::RawIp),
            (ipip_link_type::LinuxSll, LinkType::LinuxSll),
            (ipip_link_type::LinuxSll2, LinkType::LinuxSll2),
        ] {
            assert_eq!(ours as u32, core.number());
        }
    }
}
