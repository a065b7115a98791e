//! Checksums that a sender on the same host left for hardware to finish.
//!
//! Linux writes only the pseudo-header's sum into a TCP or UDP checksum when the device says that it
//! will finish the rest (`CHECKSUM_PARTIAL`). A real network card does so. On a veth pair nobody does,
//! the packet just carries a note, and a raw or packet socket that reads it within an outer packet
//! sees the unfinished field: written to a TUN device, the packet is then dropped for a bad checksum
//! (`ping` works, TCP does not).

use super::checksum::{pseudo_header_sum, sum};
use super::error::{Layer, WireError};
use super::header::protocol;
use super::ipv4::Ipv4View;

/// What [`finish_partial_checksum`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartialChecksum {
    /// The field held the pseudo-header's sum alone; now it holds `checksum`.
    Finished {
        /// The checksum written.
        checksum: u16,
    },
    /// The field holds something else: a finished checksum, right or wrong, or none (UDP's 0).
    NotPartial,
    /// There is no such field: neither TCP nor UDP, a fragment, or a header cut short.
    NotApplicable,
}

/// Finishes the TCP or UDP checksum of the packet at the start of `inner` if a sender on this host
/// left it partial; changes nothing otherwise.
///
/// A packet whose finished checksum happens to equal the pseudo-header's sum stays as it is, since
/// finishing gives the same value again. A damaged packet is taken for a partial one, and so
/// accepted, once in 65,536 times; use it where the sender may be on this host.
///
/// # Errors
/// Those of [`Ipv4View::parse`]; nothing is written then.
#[inline]
pub fn finish_partial_checksum(inner: &mut [u8]) -> Result<PartialChecksum, WireError> {
    let view = Ipv4View::parse(inner, Layer::Inner)?;
    let (header_len, segment) = (view.header_len(), view.payload());
    let Some(field) = checksum_field(&view) else {
        return Ok(PartialChecksum::NotApplicable);
    };
    let Ok(len) = u16::try_from(segment.len()) else {
        return Ok(PartialChecksum::NotApplicable);
    };
    let Some((&[high, low], _)) = segment
        .get(field..)
        .and_then(|at| at.split_first_chunk::<2>())
    else {
        return Ok(PartialChecksum::NotApplicable);
    };
    let pseudo = pseudo_header_sum(view.source(), view.destination(), view.protocol(), len);
    let found = u16::from_be_bytes([high, low]);
    if found != pseudo {
        return Ok(PartialChecksum::NotPartial);
    }
    // The field already holds the pseudo-header's part of the sum. A result of 0 is written as its
    // equal 0xffff, because 0 means "no checksum" in UDP; Linux does the same for TCP.
    let checksum = match !sum(segment) {
        0 => 0xffff,
        checksum => checksum,
    };
    if let Some(at) = inner
        .get_mut(header_len + field..)
        .and_then(|at| at.first_chunk_mut())
    {
        *at = checksum.to_be_bytes();
    }
    Ok(PartialChecksum::Finished { checksum })
}

/// Where the checksum stands in the payload, in octets, if it is whole TCP or UDP with its header.
fn checksum_field(view: &Ipv4View<'_>) -> Option<usize> {
    let (field, header_len) = match view.protocol() {
        protocol::TCP => (16, 20),
        protocol::UDP => (6, 8),
        _ => return None,
    };
    (!view.is_fragment() && view.payload().len() >= header_len).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FragmentOffset, Ipv4Header};
    use proptest::prelude::*;

    /// A packet of `protocol` around `segment`.
    fn packet(protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20 + segment.len()];
        packet[20..].copy_from_slice(segment);
        let header = Ipv4Header {
            protocol,
            source: [10, 244, 79, 20].into(),
            destination: [10, 244, 244, 73].into(),
            ..Ipv4Header::default()
        };
        header.emit(&mut packet).unwrap();
        packet
    }

    /// The sum of the pseudo-header of such a packet, added up by hand.
    fn pseudo(protocol: u8, len: usize) -> u16 {
        let total = 0x0af4 + 0x4f14 + 0x0af4 + 0xf449 + usize::from(protocol) + len;
        u16::try_from(total % 0xffff).unwrap()
    }

    #[test]
    fn only_whole_tcp_and_udp_have_the_field() {
        let segment = |protocol, len, field: usize| {
            let mut segment = vec![0x11; len];
            if field + 2 <= len {
                segment[field..field + 2].copy_from_slice(&pseudo(protocol, len).to_be_bytes());
            }
            packet(protocol, &segment)
        };
        let finished = |result| matches!(result, Ok(PartialChecksum::Finished { .. }));
        for (protocol, field, shortest) in [(6, 16, 20), (17, 6, 8)] {
            let mut whole = segment(protocol, shortest, field);
            assert!(finished(finish_partial_checksum(&mut whole)), "{protocol}");
            let mut cut = segment(protocol, shortest - 1, field);
            let before = cut.clone();
            assert_eq!(
                finish_partial_checksum(&mut cut),
                Ok(PartialChecksum::NotApplicable)
            );
            assert_eq!(cut, before, "{protocol}");
        }
        let mut other = segment(132, 40, 16);
        assert_eq!(
            finish_partial_checksum(&mut other),
            Ok(PartialChecksum::NotApplicable)
        );
    }

    #[test]
    fn fragments_are_left_alone() {
        let len = 24;
        for (more_fragments, units) in [(true, 0), (false, 1), (true, 1)] {
            let mut fragment = vec![0; 20 + len];
            fragment[36..38].copy_from_slice(&pseudo(6, len).to_be_bytes());
            let header = Ipv4Header {
                protocol: 6,
                source: [10, 244, 79, 20].into(),
                destination: [10, 244, 244, 73].into(),
                more_fragments,
                fragment_offset: FragmentOffset::try_new(units).unwrap(),
                ..Ipv4Header::default()
            };
            header.emit(&mut fragment).unwrap();
            let before = fragment.clone();
            assert_eq!(
                finish_partial_checksum(&mut fragment),
                Ok(PartialChecksum::NotApplicable)
            );
            assert_eq!(fragment, before);
        }
    }

    #[test]
    fn a_checksum_of_zero_is_written_as_ones() {
        // A UDP datagram whose octets, the field included, sum to 0xffff.
        let mut segment = [0; 10];
        let pseudo = pseudo(17, 10);
        segment[6..8].copy_from_slice(&pseudo.to_be_bytes());
        segment[8..].copy_from_slice(&(!pseudo).to_be_bytes());
        assert_eq!(
            finish_partial_checksum(&mut packet(17, &segment)),
            Ok(PartialChecksum::Finished { checksum: 0xffff })
        );
    }

    #[test]
    fn udp_without_checksum_and_padding_are_left_alone() {
        let mut none = packet(17, &[0; 8]);
        assert_eq!(
            finish_partial_checksum(&mut none),
            Ok(PartialChecksum::NotPartial)
        );
        let mut segment = [7; 21];
        segment[16..18].copy_from_slice(&pseudo(6, 21).to_be_bytes());
        let (mut bare, mut padded) = (packet(6, &segment), packet(6, &segment));
        padded.extend([0x5a; 3]);
        assert_eq!(
            finish_partial_checksum(&mut bare),
            finish_partial_checksum(&mut padded)
        );
        assert_eq!(padded, [&bare[..], &[0x5a; 3]].concat());
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(mut octets in prop::collection::vec(any::<u8>(), 0..96)) {
            let before = octets.clone();
            if finish_partial_checksum(&mut octets).is_err() {
                prop_assert_eq!(octets, before);
            }
        }

        /// RFC 9293: pseudo-header and segment with a right checksum sum to 0xffff.
        #[test]
        fn what_is_finished_is_right(
            mut segment in prop::collection::vec(any::<u8>(), 20..200), tcp: bool,
        ) {
            let (protocol, field) = if tcp { (6, 16) } else { (17, 6) };
            let len = segment.len();
            segment[field..field + 2].copy_from_slice(&pseudo(protocol, len).to_be_bytes());
            let mut octets = packet(protocol, &segment);
            finish_partial_checksum(&mut octets).unwrap();
            let words = octets[20..].chunks(2).map(|w| usize::from(w[0]) * 256 + usize::from(*w.get(1).unwrap_or(&0)));
            let total = words.sum::<usize>() + usize::from(pseudo(protocol, len));
            prop_assert_eq!(total % 0xffff, 0);
        }
    }
}
