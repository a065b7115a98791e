//! Changes of single header fields, the checksum carried along (<https://www.rfc-editor.org/rfc/rfc1624>).

use super::checksum::update_checksum;
use super::error::{Layer, WireError};
use super::header::HEADER_LEN;
use super::ipv4::Ipv4View;

/// Where the word of version, header length and TOS stands in a header, in octets.
const TOS: usize = 0;
/// Where the word of TTL and protocol stands, in octets.
const TTL: usize = 8;
/// Where the header checksum stands, in octets.
const CHECKSUM: usize = 10;

/// Changes the word `at` octets into the header, and keeps a checksum right that was right before.
fn replace(header: &mut [u8; HEADER_LEN], at: usize, change: impl FnOnce(&mut [u8; 2])) {
    let before = [header[at], header[at + 1]];
    let mut after = before;
    change(&mut after);
    let checksum = u16::from_be_bytes([header[CHECKSUM], header[CHECKSUM + 1]]);
    let checksum = update_checksum(
        checksum,
        u16::from_be_bytes(before),
        u16::from_be_bytes(after),
    );
    header[at..at + 2].copy_from_slice(&after);
    header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Sets the whole TOS octet.
pub(super) fn set_tos(header: &mut [u8; HEADER_LEN], tos: u8) {
    replace(header, TOS, |[_, low]| *low = tos);
}

/// Sets the TTL.
fn set_ttl(header: &mut [u8; HEADER_LEN], ttl: u8) {
    replace(header, TTL, |[high, _]| *high = ttl);
}

/// Lowers the TTL of the packet at the start of `packet` by one, as a node does that forwards it, and
/// returns what is left, 1 to 254.
///
/// The entry of a tunnel does this to packets that it forwards into the tunnel and never to its own;
/// the exit does not do it by decapsulating (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>).
///
/// # Errors
/// Those of [`Ipv4View::parse`], and [`WireError::TtlExpired`] if nothing would be left: the packet is
/// to be discarded, and its sender told so. The packet is as it was then.
///
/// ```
/// use ipip_core::wire::{Ipv4Header, Ipv4View, Layer, lower_ttl};
/// let mut packet = [0; 20];
/// Ipv4Header::default().emit(&mut packet)?;
/// assert_eq!(lower_ttl(&mut packet)?, 63);
/// assert!(Ipv4View::parse(&packet, Layer::Inner).is_ok(), "the checksum is right");
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
pub fn lower_ttl(packet: &mut [u8]) -> Result<u8, WireError> {
    let found = Ipv4View::parse(packet, Layer::Inner)?.ttl();
    let left = found.saturating_sub(1);
    match packet.first_chunk_mut() {
        Some(header) if left != 0 => set_ttl(header, left),
        _ => return Err(WireError::TtlExpired { found }),
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Ipv4Header, protocol};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rfc1624_section_3_an_edited_header_is_the_one_built_so(
            fields: (u8, u8, u8, u16), tos: u8, ttl in 1u8.., addresses: ([u8; 4], [u8; 4]),
        ) {
            let build = |tos: u8, ttl| {
                let header = Ipv4Header {
                    dscp: crate::wire::Dscp::of_tos(tos),
                    ecn: crate::wire::Ecn::of_tos(tos),
                    ttl,
                    protocol: fields.2,
                    identification: fields.3,
                    source: addresses.0.into(),
                    destination: addresses.1.into(),
                    ..Ipv4Header::default()
                };
                header.to_octets(0).unwrap()
            };
            let mut octets = build(fields.0, fields.1);
            set_tos(&mut octets, tos);
            prop_assert_eq!(octets, build(tos, fields.1));
            set_ttl(&mut octets, ttl);
            prop_assert_eq!(octets, build(tos, ttl));
            match lower_ttl(&mut octets) {
                Ok(left) => prop_assert_eq!((octets, left), (build(tos, ttl - 1), ttl - 1)),
                Err(error) => {
                    prop_assert_eq!(ttl, 1);
                    prop_assert_eq!(error, WireError::TtlExpired { found: 1 });
                    prop_assert_eq!(octets, build(tos, ttl));
                }
            }
        }
    }

    #[test]
    fn rfc2003_section_3_1_nothing_is_forwarded_without_time_left() {
        for found in [0, 1] {
            let header = Ipv4Header {
                ttl: found,
                protocol: protocol::UDP,
                ..Ipv4Header::default()
            };
            let mut octets = header.to_octets(0).unwrap();
            let error = lower_ttl(&mut octets).unwrap_err();
            assert_eq!(error, WireError::TtlExpired { found });
            assert_eq!(
                error.to_string(),
                format!("inner IPv4 packet has TTL {found}, allowed are 2 to 255 to be forwarded")
            );
            assert_eq!(octets, header.to_octets(0).unwrap());
        }
        assert!(lower_ttl(&mut [0x45; 19]).is_err());
    }
}
