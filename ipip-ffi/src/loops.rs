//! Packets that a tunnel must not carry, lest they go round for ever (RFC 2003 section 3.2).

use std::mem::MaybeUninit;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{Endpoints, Ipv4View, Layer, LoopError, LoopPolicy};

use crate::addr::ipip_ipv4;
use crate::boundary::{array, flag, guard, octets, required};
use crate::error::Failure;
use crate::status::ipip_status;

/// The two ends of a tunnel, as the encapsulating node sees them.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_endpoints {
    /// This node: the outer source.
    pub local: ipip_ipv4,
    /// The other node: the outer destination.
    pub remote: ipip_ipv4,
}

/// Which signs of a loop make a tunnel's entry refuse a packet. Begin with `ipip_loop_policy_default`: all
/// zero refuses every packet.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_loop_policy {
    /// 1 refuses an inner source that is one of this node's own addresses. The RFC demands it of packets
    /// that a router forwards; what the node sends itself, from its tunnel address for one, is exempt.
    pub own_source: u8,
    /// 1 refuses an inner source that is the tunnel's exit.
    pub exit_source: u8,
    /// 1 refuses an inner destination that is the tunnel's exit: the way to the exit leads through the
    /// tunnel itself.
    pub exit_destination: u8,
    /// How many tunnels a packet may be in once it has left this entry, 0 to 255; 0 refuses every packet.
    /// The limit that RFC 2473 section 4.1.1 gives to IPv6, where 4 is the default.
    pub max_depth: u8,
}

/// Writes what is to be asked of forwarded packets: every sign counts, 4 tunnels at most.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_loop_policy_default(
    policy_out: Option<&mut MaybeUninit<ipip_loop_policy>>,
) -> ipip_status {
    guard(|| {
        let policy = LoopPolicy::default();
        required(policy_out, "policy_out")?.write(ipip_loop_policy {
            own_source: policy.own_source.into(),
            exit_source: policy.exit_source.into(),
            exit_destination: policy.exit_destination.into(),
            max_depth: policy.max_depth,
        });
        Ok(())
    })
}

/// Asks whether the tunnel between `endpoints` may carry the packet at the start of `inner`; `own` are this
/// node's addresses, read only where the policy asks for them.
///
/// In this order: those of `ipip_ipv4_parse`; IPIP_STATUS_SAME_ENDPOINTS whatever the policy,
/// IPIP_STATUS_OWN_SOURCE, IPIP_STATUS_EXIT_SOURCE, IPIP_STATUS_EXIT_DESTINATION, IPIP_STATUS_TUNNEL_DEPTH:
/// the packet is to be discarded.
///
/// # Safety
/// `inner` is NULL or points to `inner_len` octets, `own` is NULL or points to `own_len` addresses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_loop_policy_check(
    policy: Option<&ipip_loop_policy>,
    endpoints: Option<&ipip_endpoints>,
    inner: *const u8,
    inner_len: usize,
    own: *const ipip_ipv4,
    own_len: usize,
) -> ipip_status {
    guard(|| {
        let policy = required(policy, "policy")?.checked()?;
        let endpoints = (*required(endpoints, "endpoints")?).into();
        // SAFETY: the caller's duty, as documented.
        let inner = unsafe { octets(inner, inner_len, "inner") }?;
        // SAFETY: the caller's duty, as documented.
        let own = unsafe { array(own, own_len, "own") }?;
        let inner = Ipv4View::parse(inner, Layer::Inner)?;
        Ok(policy.check(&inner, &endpoints, |addr| own.contains(&addr.into()))?)
    })
}

impl ipip_loop_policy {
    fn checked(self) -> Result<LoopPolicy, Failure> {
        Ok(LoopPolicy {
            own_source: flag(self.own_source, "own_source")?,
            exit_source: flag(self.exit_source, "exit_source")?,
            exit_destination: flag(self.exit_destination, "exit_destination")?,
            max_depth: self.max_depth,
        })
    }
}

impl From<ipip_endpoints> for Endpoints {
    fn from(endpoints: ipip_endpoints) -> Self {
        Self {
            local: NodeAddr(endpoints.local.into()),
            remote: NodeAddr(endpoints.remote.into()),
        }
    }
}

impl From<LoopError> for Failure {
    fn from(error: LoopError) -> Self {
        let status = match error {
            LoopError::SameEndpoints { .. } => ipip_status::SameEndpoints,
            LoopError::OwnSource { .. } => ipip_status::OwnSource,
            LoopError::ExitSource { .. } => ipip_status::ExitSource,
            LoopError::ExitDestination { .. } => ipip_status::ExitDestination,
            LoopError::TunnelDepth { .. } => ipip_status::TunnelDepth,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
