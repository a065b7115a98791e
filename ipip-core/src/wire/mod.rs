//! IPv4-in-IPv4 headers and the checksums they need: octets in, octets out.
//!
//! Uses `core` alone: no allocation, no I/O, and nothing panics on any input. With the feature `std`
//! the checksum asks the processor whether it has AVX2; `checksum/avx2.rs`, which does so, is the only
//! file here with unsafe code.
//!
//! | file | nouns | source |
//! |---|---|---|
//! | `checksum` | [`checksum`], [`sum`], [`combine`], [`pseudo_header_sum`], [`update_checksum`] | RFC 1071, 1624 |
//! | `tos` | [`Dscp`], [`Ecn`] | RFC 2474, 3168 |
//! | `ipv4` | [`Ipv4View`]: one packet, read | RFC 791 |
//! | `header` | [`Ipv4Header`]: one header, written; [`FragmentOffset`], [`protocol`] numbers | RFC 791 |
//! | `outer` | [`Outer`]: what a tunnel writes in front, and its policies | RFC 2003 3.1, 6040 |
//! | `ipip` | [`IpipView`], [`encapsulate`], [`decapsulate`] | RFC 2003 |
//! | `encapsulator` | [`Encapsulator`]: an [`Outer`] made ready for many packets | RFC 2003 |
//! | `exit` | [`decapsulate_in_place`], [`EcnAlarm`] | RFC 6040 |
//! | `edit` | [`lower_ttl`] | RFC 1624 |
//! | `loops` | [`LoopPolicy`]: what must not be carried | RFC 2003 3.2 |
//! | `fragment` | [`Fragments`] cuts, [`FragmentPart`] says where a piece belongs | RFC 791 3.2 |
//! | `mss` | [`clamp_mss`] | RFC 4459 3.2, 6691 |
//! | `batch` | [`parse_batch`], [`decapsulate_batch`], [`Encapsulator::encapsulate_batch`] | |
//! | `partial_checksum` | [`finish_partial_checksum`] | Linux `CHECKSUM_PARTIAL` |
//! | `icmp` | [`EchoView`] reads, [`Echo`] writes | RFC 792 |
//! | `icmp_error` | [`IcmpErrorView`] reads, [`IcmpError`] writes | RFC 792, 1191, 1812, 4884 |
//! | `relay` | [`TunnelError`], [`Relay`]: errors from inside the tunnel | RFC 2003 4 |
//! | `soft_state` | [`TunnelState`]: MTU and reachability, as long as they last | RFC 2003 5, 1191 |
//! | `error` | [`WireError`], [`Layer`] | |
//!
//! Views borrow and values write. A view (`…View`) exists only over octets that passed every check,
//! so its accessors cannot fail; a value (`Ipv4Header`, `Outer`, `Echo`) is a plain struct whose
//! fields are public and in range by type. Byte order is this room's business and no other's.
//!
//! ```text
//! packet from a pod ──▶ Ipv4View (inner, proven) ──▶ Encapsulator, made of an Outer ──▶ outer header in headroom
//! packet on the wire ─▶ IpipView (both, proven) ───▶ decapsulate ──▶ the inner packet, a sub-slice
//! ```

mod batch;
mod checksum;
mod edit;
mod encapsulator;
mod error;
mod exit;
mod fragment;
mod header;
mod icmp;
mod icmp_error;
mod ipip;
mod ipv4;
mod loops;
mod mss;
mod outer;
mod partial_checksum;
mod relay;
mod soft_state;
mod tos;

pub use batch::{HeaderFields, IpipFields, Span, decapsulate_batch, parse_batch};
pub use checksum::{checksum, combine, pseudo_header_sum, sum, update_checksum};
pub use edit::lower_ttl;
pub use encapsulator::Encapsulator;
pub use error::{BatchError, FragmentError, Layer, LoopError, RelayError, WireError};
pub use exit::{Decapsulated, EcnAlarm, EcnExit, Urgency, decapsulate_in_place};
pub use fragment::{Fragment, FragmentKey, FragmentPart, Fragments};
pub use header::{FragmentOffset, HEADER_LEN, Ipv4Header, MAX_PACKET_LEN, protocol};
pub use icmp::{ECHO_HEADER_LEN, Echo, EchoKind, EchoView};
pub use icmp_error::{ICMP_ERROR_HEADER_LEN, IcmpError, IcmpErrorView, MAX_ICMP_ERROR_LEN, Quoted};
pub use ipip::{IpipView, decapsulate, encapsulate};
pub use ipv4::Ipv4View;
pub use loops::LoopPolicy;
pub use mss::clamp_mss;
pub use outer::{DontFragment, DscpPolicy, EcnPolicy, Endpoints, Outer, Ttl};
pub use partial_checksum::{PartialChecksum, finish_partial_checksum};
pub use relay::{Relay, RelayContext, TunnelError};
pub use soft_state::{MTU_LIFETIME, TunnelState, UNREACHABLE_LIFETIME};
pub use tos::{Dscp, Ecn};
