//! A packet within a packet (RFC 2003).

use std::mem::MaybeUninit;
use std::num::NonZeroU8;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{
    self, DontFragment, Dscp, DscpPolicy, EcnPolicy, Endpoints, HEADER_LEN, IpipView, Outer, Ttl,
};

use crate::addr::ipip_ipv4;
use crate::boundary::{choose, guard, octets, octets_mut, required};
use crate::error::Failure;
use crate::ipv4::ipip_ipv4_view;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// Octets that encapsulation adds, and the least headroom: one IPv4 header without options.
pub const IPIP_HEADER_LEN: usize = 20;

const _: () = assert!(IPIP_HEADER_LEN == HEADER_LEN);

/// Where the outer TTL comes from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_ttl_policy {
    /// The inner packet's: `ip tunnel ... ttl inherit`.
    Inherit = 0,
    /// Always the field `ttl`.
    Fixed = 1,
}

/// Where the outer DSCP comes from (RFC 2983 section 3.1).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_dscp_policy {
    /// Always the field `dscp`: the pipe model.
    Fixed = 0,
    /// The inner packet's: the uniform model.
    Inherit = 1,
}

/// Where the outer ECN field comes from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_ecn_policy {
    /// The inner one, but ECT(0) where the inner one is CE: what Linux does, RFC 3168 section 9.1.1.
    Kernel = 0,
    /// The inner one as it is: normal mode of RFC 6040 section 4.1.
    Normal = 1,
    /// Not ECT: compatibility mode of RFC 6040, for an exit that does not know ECN.
    Compatibility = 2,
}

/// Where the outer DF comes from. An inner DF always makes an outer one (RFC 2003 section 3.1).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_df_policy {
    /// The inner packet's: `ip tunnel ... nopmtudisc`.
    Inherit = 0,
    /// Always set: `ip tunnel ... pmtudisc`.
    Always = 1,
}

/// What an encapsulating node writes in front of an inner packet.
///
/// All zero but for the two addresses is what the kernel's tunl0 does, and so what Calico's nodes do.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_outer {
    /// This node: the outer source.
    pub local: ipip_ipv4,
    /// The other node: the outer destination.
    pub remote: ipip_ipv4,
    /// An enum ipip_ttl_policy.
    pub ttl_policy: u32,
    /// An enum ipip_dscp_policy.
    pub dscp_policy: u32,
    /// An enum ipip_ecn_policy.
    pub ecn_policy: u32,
    /// An enum ipip_df_policy.
    pub df_policy: u32,
    /// The outer TTL, 1 to 255; read with IPIP_TTL_POLICY_FIXED only.
    pub ttl: u8,
    /// The outer DSCP, 0 to 63; read with IPIP_DSCP_POLICY_FIXED only.
    pub dscp: u8,
    /// The outer identification. Where DF ends up clear the caller has to make it unique per source,
    /// destination and protocol for as long as a fragment may live (RFC 6864 section 4.1); with DF any
    /// value will do.
    pub identification: u16,
}

/// Both packets of a checked IPIP packet.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_packet {
    /// The packet between the nodes.
    pub outer: ipip_ipv4_view,
    /// The packet it carries.
    pub inner: ipip_ipv4_view,
}

/// Writes the outer header in front of the inner packet that starts at `headroom` octets into
/// `buffer`. The inner packet stays where it is: only the 20 octets before it change. `packet_out` is
/// the whole IPIP packet, from `headroom` - 20 on; padding after the inner packet stays out of it.
///
/// IPIP_STATUS_HEADROOM if `headroom` is below 20; those of `ipip_ipv4_parse` for the inner packet;
/// IPIP_STATUS_TTL_ZERO for an inner TTL of 0, IPIP_STATUS_PACKET_TOO_LONG above 65,535 octets in all;
/// IPIP_STATUS_INVALID_ARGUMENT and IPIP_STATUS_DSCP for fields of `outer` out of range. The buffer is as
/// it was then.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_encapsulate(
    buffer: *mut u8,
    buffer_len: usize,
    headroom: usize,
    outer: Option<&ipip_outer>,
    packet_out: Option<&mut MaybeUninit<ipip_span>>,
) -> ipip_status {
    guard(|| {
        let outer = required(outer, "outer")?.checked()?;
        let out = required(packet_out, "packet_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets_mut(buffer, buffer_len, "buffer") }?;
        let len = wire::encapsulate(buffer, headroom, &outer)?.len();
        out.write(ipip_span {
            // At least 20, or the call had failed.
            offset: headroom.saturating_sub(HEADER_LEN),
            len,
        });
        Ok(())
    })
}

/// Finds the inner packet of the IPIP packet at the start of `buffer`: without outer header and
/// padding. Nothing is copied.
///
/// The failures are those of `ipip_parse`, and IPIP_STATUS_TTL_ZERO: a packet that arrives with an inner TTL
/// of 0 must be discarded (RFC 2003 section 3.1).
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_decapsulate(
    buffer: *const u8,
    buffer_len: usize,
    inner_out: Option<&mut MaybeUninit<ipip_span>>,
) -> ipip_status {
    guard(|| {
        let out = required(inner_out, "inner_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets(buffer, buffer_len, "buffer") }?;
        let view = IpipView::parse(buffer)?.deliverable()?;
        out.write(view.inner_range().into());
        Ok(())
    })
}

/// Checks both headers of the IPIP packet at the start of `buffer` and reads them. All spans count
/// from the start of `buffer`.
///
/// The failures are those of `ipip_ipv4_parse` for the outer packet; IPIP_STATUS_PROTOCOL unless it carries
/// protocol 4; IPIP_STATUS_OUTER_FRAGMENT if it has to be reassembled first; those of `ipip_ipv4_parse` for the
/// inner packet.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_parse(
    buffer: *const u8,
    buffer_len: usize,
    packet_out: Option<&mut MaybeUninit<ipip_packet>>,
) -> ipip_status {
    guard(|| {
        let out = required(packet_out, "packet_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets(buffer, buffer_len, "buffer") }?;
        let view = IpipView::parse(buffer)?;
        out.write(ipip_packet {
            outer: ipip_ipv4_view::of(&view.outer, 0),
            inner: ipip_ipv4_view::of(&view.inner, view.inner_range().start),
        });
        Ok(())
    })
}

impl ipip_outer {
    pub(crate) fn checked(&self) -> Result<Outer, Failure> {
        let dscp = [
            (ipip_dscp_policy::Fixed as u32, None),
            (ipip_dscp_policy::Inherit as u32, Some(DscpPolicy::Inherit)),
        ];
        let ecn = [
            (ipip_ecn_policy::Kernel as u32, EcnPolicy::Kernel),
            (ipip_ecn_policy::Normal as u32, EcnPolicy::Normal),
            (
                ipip_ecn_policy::Compatibility as u32,
                EcnPolicy::Compatibility,
            ),
        ];
        let df = [
            (ipip_df_policy::Inherit as u32, DontFragment::Inherit),
            (ipip_df_policy::Always as u32, DontFragment::Always),
        ];
        Ok(Outer {
            endpoints: Endpoints {
                local: NodeAddr(self.local.into()),
                remote: NodeAddr(self.remote.into()),
            },
            ttl: self.ttl()?,
            dscp: match choose(self.dscp_policy, "dscp_policy", "ipip_dscp_policy", &dscp)? {
                Some(policy) => policy,
                None => DscpPolicy::Fixed(Dscp::try_new(self.dscp)?),
            },
            ecn: choose(self.ecn_policy, "ecn_policy", "ipip_ecn_policy", &ecn)?,
            dont_fragment: choose(self.df_policy, "df_policy", "ipip_df_policy", &df)?,
            identification: self.identification,
        })
    }

    fn ttl(&self) -> Result<Ttl, Failure> {
        let fixed = [
            (ipip_ttl_policy::Inherit as u32, false),
            (ipip_ttl_policy::Fixed as u32, true),
        ];
        if !choose(self.ttl_policy, "ttl_policy", "ipip_ttl_policy", &fixed)? {
            return Ok(Ttl::Inherit);
        }
        NonZeroU8::new(self.ttl).map(Ttl::Fixed).ok_or_else(|| {
            Failure::new(
                ipip_status::InvalidArgument,
                "ttl is 0, allowed are 1 to 255",
            )
        })
    }
}
