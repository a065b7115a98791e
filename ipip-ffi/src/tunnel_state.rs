//! What a tunnel's entry knows of the way through it, until it is too old (RFC 2003 section 5).

use std::mem::MaybeUninit;
use std::time::Duration;

use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{Ipv4View, Layer, MTU_LIFETIME, TunnelState, UNREACHABLE_LIFETIME};

use crate::boundary::{give, guard, octets, or, required};
use crate::icmp_error::ipip_icmp_error;
use crate::status::ipip_status;
use crate::tunnel_error::{ipip_relay, ipip_tunnel_error};

/// How long a smaller MTU is believed, in milliseconds: 10 minutes (RFC 1191 section 6.3).
pub const IPIP_MTU_LIFETIME_MS: u32 = 600_000;

/// How long an unreachable exit is believed, in milliseconds, unless it answers.
pub const IPIP_UNREACHABLE_LIFETIME_MS: u32 = 30_000;

const _: () = assert!(MTU_LIFETIME.as_millis() == IPIP_MTU_LIFETIME_MS as u128);
const _: () = assert!(UNREACHABLE_LIFETIME.as_millis() == IPIP_UNREACHABLE_LIFETIME_MS as u128);

/// The soft state of one tunnel. `now_ms`, in each call, is the milliseconds since any moment that stays
/// the same: CLOCK_MONOTONIC will do.
///
/// Threads: one at a time.
#[derive(Debug)]
pub struct ipip_tunnel_state(TunnelState);

/// Makes the state of a tunnel of which nothing is known yet; `mtu` is that of the tunnel device in octets,
/// 68 to 65,515, never exceeded.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an MTU out of range.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_tunnel_state_new(
    mtu: u32,
    state_out: Option<&mut MaybeUninit<*mut ipip_tunnel_state>>,
) -> ipip_status {
    guard(|| {
        let out = required(state_out, "state_out")?;
        give(
            out,
            ipip_tunnel_state(TunnelState::new(TunnelMtu::try_new(mtu)?)),
        );
        Ok(())
    })
}

/// The tunnel's MTU in octets at the time `now_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_tunnel_state_mtu(
    state: Option<&ipip_tunnel_state>,
    now_ms: u64,
    mtu_out: Option<&mut MaybeUninit<u32>>,
) -> ipip_status {
    guard(|| {
        let state = required(state, "state")?;
        let out = required(mtu_out, "mtu_out")?;
        out.write(state.0.mtu(Duration::from_millis(now_ms)).octets());
        Ok(())
    })
}

/// Learns the MTU that `error` tells, if it tells one: ICMP lowers it and never raises it (RFC 1191
/// section 3). `mtu_out`, the MTU from now on, may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT and IPIP_STATUS_FRAGMENT_OFFSET for fields of `error` out of range.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_tunnel_state_learn_mtu(
    state: Option<&mut ipip_tunnel_state>,
    error: Option<&ipip_tunnel_error>,
    now_ms: u64,
    mtu_out: Option<&mut MaybeUninit<u32>>,
) -> ipip_status {
    guard(|| {
        let state = required(state, "state")?;
        let error = required(error, "error")?.checked()?;
        let mtu = state.0.learn_mtu(&error, Duration::from_millis(now_ms));
        if let Some(out) = mtu_out {
            out.write(mtu.octets());
        }
        Ok(())
    })
}

/// Keeps what cannot be sent yet, with IPIP_RELAY_ACTION_REMEMBER; other actions change nothing, nor does
/// "fragmentation needed": `ipip_tunnel_state_check` says so of any packet that is too long.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an unknown action or kind.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_tunnel_state_remember(
    state: Option<&mut ipip_tunnel_state>,
    relay: Option<&ipip_relay>,
    now_ms: u64,
) -> ipip_status {
    guard(|| {
        let state = required(state, "state")?;
        let relay = required(relay, "relay")?.checked()?;
        state.0.remember(relay, Duration::from_millis(now_ms));
        Ok(())
    })
}

/// Asks whether the packet at the start of `inner` may be carried. With `refused_out` 1 it may not: then its
/// sender is to be told `error_out`, which is written only then, if the packet may be answered: that it is
/// too long and must stay whole, with exactly the tunnel's MTU, or what could not be told before, which is
/// told once.
///
/// A packet that is too long and may be cut is to be cut, see `ipip_fragments_emit`.
///
/// The failures are those of `ipip_ipv4_parse`.
///
/// # Safety
/// `inner` is NULL or points to `inner_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_tunnel_state_check(
    state: Option<&mut ipip_tunnel_state>,
    inner: *const u8,
    inner_len: usize,
    now_ms: u64,
    refused_out: Option<&mut MaybeUninit<u8>>,
    error_out: Option<&mut MaybeUninit<ipip_icmp_error>>,
) -> ipip_status {
    guard(|| {
        let state = required(state, "state")?;
        let refused_out = required(refused_out, "refused_out")?;
        let error_out = required(error_out, "error_out")?;
        // SAFETY: the caller's duty, as documented.
        let inner = unsafe { octets(inner, inner_len, "inner") }?;
        let inner = Ipv4View::parse(inner, Layer::Inner)?;
        let refused = state.0.check(&inner, Duration::from_millis(now_ms)).err();
        refused_out.write(refused.is_some().into());
        if let Some(error) = refused {
            error_out.write(error.into());
        }
        Ok(())
    })
}

/// Frees the state. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_tunnel_state_free(state: Option<Box<ipip_tunnel_state>>) {
    or((), || drop(state));
}
