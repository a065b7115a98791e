//! A tunnel's exit, and the hops to it: congestion marks (RFC 6040), TTL, checksums that follow (RFC 1624).

use std::mem::MaybeUninit;

use ipip_core::wire::{self, EcnAlarm, Urgency};

use crate::boundary::{guard, octets_mut, required};
use crate::ipv4::ecn;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// How urgent it is to log two ECN fields that met at an exit. Do it at a limited rate.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_urgency {
    /// There is nothing odd about them.
    None = 0,
    /// The exit may log it: (!) in the table of RFC 6040 section 4.2.
    MayLog = 1,
    /// The exit should log it, and may raise an alarm: (!!!) in that table.
    ShouldLog = 2,
}

/// Two ECN fields that met, and whether they should have: if not, something on the path, or the tunnel's
/// entry, does not keep to the rules.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_ecn_alarm {
    /// What stood in the inner header: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE; 0 with IPIP_URGENCY_NONE.
    pub inner: u8,
    /// What stood in the outer header; 0 with IPIP_URGENCY_NONE.
    pub outer: u8,
    /// How urgent it is.
    pub urgency: ipip_urgency,
}

/// What two ECN fields become at an exit.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_ecn_exit {
    /// 1 if the packet must be dropped: congestion was met, and only a drop can tell its sender.
    pub drop: u8,
    /// What the delivered packet has, 0 to 3; 0 if it must be dropped.
    pub delivered: u8,
    /// What was odd about the two.
    pub alarm: ipip_ecn_alarm,
}

/// What becomes of the inner ECN field `inner` where the outer one is `outer`: the table of RFC 6040
/// section 4.2, the same for either mode of the entry.
///
/// IPIP_STATUS_INVALID_ARGUMENT above 3.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ecn_at_exit(
    inner: u8,
    outer: u8,
    exit_out: Option<&mut MaybeUninit<ipip_ecn_exit>>,
) -> ipip_status {
    guard(|| {
        let out = required(exit_out, "exit_out")?;
        let exit = ecn(inner, "inner")?.at_exit(ecn(outer, "outer")?);
        out.write(ipip_ecn_exit {
            drop: exit.delivered.is_none().into(),
            delivered: exit.delivered.unwrap_or_default().value(),
            alarm: exit.alarm.into(),
        });
        Ok(())
    })
}

/// Finds the inner packet of the IPIP packet in `buffer` as `ipip_decapsulate` does, and carries over to
/// it, in place, the congestion that the outer header met: what a tunnel's exit must do, by
/// `ipip_ecn_at_exit`. Only the inner TOS octet and header checksum change, and those seldom. The inner
/// TTL is not lowered: that is the duty of whoever forwards the packet next (RFC 2003 section 3.1).
///
/// `alarm_out`, what was odd about the two ECN fields, may be NULL.
///
/// The failures are those of `ipip_decapsulate`, and IPIP_STATUS_ECN_DROP: congestion was met by a packet that
/// can tell of it only by being dropped. The buffer is as it was then.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_decapsulate_in_place(
    buffer: *mut u8,
    buffer_len: usize,
    inner_out: Option<&mut MaybeUninit<ipip_span>>,
    alarm_out: Option<&mut MaybeUninit<ipip_ecn_alarm>>,
) -> ipip_status {
    guard(|| {
        let out = required(inner_out, "inner_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets_mut(buffer, buffer_len, "buffer") }?;
        let start = buffer.as_ptr().addr();
        let inner = wire::decapsulate_in_place(buffer)?;
        out.write(ipip_span {
            // A part of the buffer begins where it does, or later.
            offset: inner.packet.as_ptr().addr().saturating_sub(start),
            len: inner.packet.len(),
        });
        if let Some(out) = alarm_out {
            out.write(inner.alarm.into());
        }
        Ok(())
    })
}

/// Lowers the TTL of the packet at the start of `packet` by one, as a node does that forwards it, its
/// checksum with it. `left_out`, what is left, 1 to 254, may be NULL.
///
/// The entry of a tunnel does this to packets that it forwards into the tunnel and never to its own; the
/// exit does not do it by decapsulating (RFC 2003 section 3.1).
///
/// The failures are those of `ipip_ipv4_parse`, and IPIP_STATUS_TTL_EXPIRED if nothing would be left: the
/// packet is to be discarded, and its sender told so. The packet is as it was then.
///
/// # Safety
/// `packet` is NULL or points to `packet_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_lower_ttl(
    packet: *mut u8,
    packet_len: usize,
    left_out: Option<&mut MaybeUninit<u8>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let packet = unsafe { octets_mut(packet, packet_len, "packet") }?;
        let left = wire::lower_ttl(packet)?;
        if let Some(out) = left_out {
            out.write(left);
        }
        Ok(())
    })
}

/// What the internet checksum `checksum` becomes where one of the 16-bit words under it changes from
/// `before` to `after` (RFC 1624, equation 3). All numbers are in the byte order of the machine.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_update_checksum(
    checksum: u16,
    before: u16,
    after: u16,
    checksum_out: Option<&mut MaybeUninit<u16>>,
) -> ipip_status {
    guard(|| {
        let out = required(checksum_out, "checksum_out")?;
        out.write(wire::update_checksum(checksum, before, after));
        Ok(())
    })
}

impl From<Option<EcnAlarm>> for ipip_ecn_alarm {
    fn from(alarm: Option<EcnAlarm>) -> Self {
        let Some(alarm) = alarm else {
            return Self {
                inner: 0,
                outer: 0,
                urgency: ipip_urgency::None,
            };
        };
        Self {
            inner: alarm.inner.value(),
            outer: alarm.outer.value(),
            urgency: match alarm.urgency {
                Urgency::MayLog => ipip_urgency::MayLog,
                Urgency::ShouldLog => ipip_urgency::ShouldLog,
            },
        }
    }
}
