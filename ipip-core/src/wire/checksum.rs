//! The internet checksum (<https://www.rfc-editor.org/rfc/rfc1071>).
//!
//! A *sum* is the folded ones' complement sum of 16-bit words; a *checksum* is its complement, the
//! value that goes into a header field. Sums of pieces are joined with [`combine`]; every piece but
//! the last must have an even length.

use core::net::Ipv4Addr;

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod avx2;

/// The internet checksum of `bytes`: what belongs in the field while the field itself is zero, and
/// 0 over octets that include a right one.
///
/// An odd last octet counts as the high half of a word.
///
/// ```
/// // The example of RFC 1071 section 3.
/// assert_eq!(ipip_core::wire::checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
/// ```
#[must_use]
#[inline]
pub fn checksum(bytes: &[u8]) -> u16 {
    !sum(bytes)
}

/// The ones' complement sum of `bytes` as big-endian 16-bit words, 0 only if every octet is 0.
///
/// Exact up to 16 GiB, far above any packet.
#[must_use]
#[inline]
pub fn sum(bytes: &[u8]) -> u16 {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    let total = avx2::widest_total(bytes);
    #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
    let total = total(bytes);
    u16::from_be(fold(total))
}

/// The sum of `bytes` as words of 32 bits in the machine's byte order, not folded; an incomplete last
/// word is filled with zeros.
#[inline]
fn total(bytes: &[u8]) -> u64 {
    // Any word size and byte order give the same sum (RFC 1071 section 2), so native 32-bit words go
    // into 64 bits, which cannot overflow below 2^32 words. `wrapping_add` because overflow checks
    // would keep the loop from being vectorised.
    let (words, tail) = bytes.as_chunks::<4>();
    let total = words.iter().fold(0u64, |total, word| {
        total.wrapping_add(u64::from(u32::from_ne_bytes(*word)))
    });
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    total.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

/// The ones' complement sum of two sums.
#[must_use]
#[inline]
pub fn combine(a: u16, b: u16) -> u16 {
    fold(u64::from(a) + u64::from(b))
}

/// The checksum after one of the words it covers changed from `before` to `after`: equation 3 of
/// <https://www.rfc-editor.org/rfc/rfc1624#section-3>.
///
/// ```
/// // The example of RFC 1624 section 4, where the older equation of RFC 1141 gives 0xffff.
/// assert_eq!(ipip_core::wire::update_checksum(0xdd2f, 0x5555, 0x3285), 0x0000);
/// ```
#[must_use]
#[inline]
pub fn update_checksum(checksum: u16, before: u16, after: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!before) + u64::from(after))
}

/// The sum of the pseudo-header that TCP and UDP add to their own octets
/// (<https://www.rfc-editor.org/rfc/rfc9293#section-3.1>): both addresses, the protocol and `len`, the
/// length of the TCP segment or UDP datagram in octets.
#[must_use]
#[inline]
pub fn pseudo_header_sum(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, len: u16) -> u16 {
    fold(
        u64::from(source.to_bits())
            + u64::from(destination.to_bits())
            + u64::from(protocol)
            + u64::from(len),
    )
}

/// Adds two 64-bit words, the carry added back in.
#[inline]
pub(super) fn add(a: u64, b: u64) -> u64 {
    let (total, carry) = a.overflowing_add(b);
    total.wrapping_add(u64::from(carry))
}

/// Folds a sum of words of any size into 16 bits, carries added back in.
///
/// A word plus itself with its halves exchanged has the sum of the halves, and the carry from below,
/// in its upper half.
#[inline]
pub(super) fn fold(total: u64) -> u16 {
    let [a, b, c, d, ..] = total.wrapping_add(total.rotate_left(32)).to_be_bytes();
    let total = u32::from_be_bytes([a, b, c, d]);
    let [a, b, ..] = total.wrapping_add(total.rotate_left(16)).to_be_bytes();
    u16::from_be_bytes([a, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 section 1, word by word.
    fn naive_sum(bytes: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            if total > 0xffff {
                total -= 0xffff;
            }
        }
        u16::try_from(total).unwrap()
    }

    #[test]
    fn carries_and_odd_tails() {
        for (bytes, expected) in [
            (&[][..], 0),
            (&[0; 64], 0),
            (&[0x12], 0x1200),
            (&[0xff, 0xff], 0xffff),
            (&[0xff, 0xff, 0xff, 0xff], 0xffff),
            (&[0xff, 0xff, 0x00, 0x01], 0x0001),
            (&[0x80, 0x00, 0x80, 0x00, 0x01], 0x0101),
            (&[1, 2, 3, 4, 5, 6, 7], 0x100c),
        ] {
            assert_eq!(sum(bytes), expected, "{bytes:02x?}");
            assert_eq!(naive_sum(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn the_longest_packet_of_ones() {
        assert_eq!(sum(&[0xff; 65_535]), naive_sum(&[0xff; 65_535]));
    }

    #[test]
    fn fold_takes_any_total() {
        for (total, expected) in [
            (0, 0),
            (0xffff, 0xffff),
            (0x1_0000, 1),
            (u64::MAX, 0xffff),
            (0xffff_ffff_0000_0000, 0xffff),
            (0xfffe_ffff_ffff_fffe, 0xfffd),
        ] {
            assert_eq!(fold(total), expected, "{total:#x}");
        }
    }

    /// Either side of the switch between the two loops, and every end that a loop can have.
    #[test]
    fn both_loops_agree_at_every_length_and_alignment() {
        let octets: Vec<u8> = (0..2100u32)
            .map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()[3] | 0x80)
            .collect();
        for len in 0..=2048 {
            for start in 0..8 {
                let piece = &octets[start..start + len];
                let baseline = u16::from_be(fold(total(piece)));
                assert_eq!(baseline, naive_sum(piece), "{start} + {len}");
                assert_eq!(sum(piece), baseline, "{start} + {len}");
            }
        }
    }

    /// A loop that reads beyond its words, or one of them twice, finds the octet that is set.
    #[test]
    fn every_octet_counts_once() {
        let mut octets = [0; 300];
        for len in [
            1, 2, 31, 63, 64, 65, 95, 96, 97, 126, 127, 128, 159, 255, 299,
        ] {
            for at in 0..octets.len() {
                octets[at] = 0xb7;
                let expected = match (at < len, at % 2) {
                    (false, _) => 0,
                    (true, 0) => 0xb700,
                    (true, _) => 0xb7,
                };
                assert_eq!(sum(&octets[..len]), expected, "{at} of {len}");
                octets[at] = 0;
            }
        }
    }

    #[test]
    fn rfc1624_section_3_carries_are_added_in_until_none_is_left() {
        // Three words whose sum is 0x1ffff: the carry makes another one.
        assert_eq!(update_checksum(0x0000, 0x0000, 0x0001), 0xfffe);
        assert_eq!(update_checksum(0x0000, 0x0000, 0xffff), 0x0000);
    }

    proptest! {
        #[test]
        fn every_length_and_alignment_agrees_with_the_naive_loop(
            bytes in prop::collection::vec(any::<u8>(), 0..2048), skip in 0usize..9,
        ) {
            let bytes = bytes.get(skip..).unwrap_or(&[]);
            prop_assert_eq!(sum(bytes), naive_sum(bytes));
            prop_assert_eq!(checksum(bytes), !naive_sum(bytes));
        }

        #[test]
        fn rfc1624_section_3_an_update_is_a_new_sum(
            mut bytes in prop::collection::vec(any::<u8>(), 2..64), at: prop::sample::Index, after: u16,
        ) {
            // A word that never changes and is not zero, as every IPv4 header has.
            bytes.splice(0..0, [0x45, 0]);
            let at = 2 + at.index(bytes.len() / 2 - 1) * 2;
            let before = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            let updated = update_checksum(!naive_sum(&bytes), before, after);
            bytes[at..at + 2].copy_from_slice(&after.to_be_bytes());
            prop_assert_eq!(updated, !naive_sum(&bytes));
        }

        #[test]
        fn pieces_add_up(bytes in prop::collection::vec(any::<u8>(), 0..256), at in 0usize..128) {
            let (head, tail) = bytes.split_at((at * 2).min(bytes.len() & !1));
            prop_assert_eq!(combine(sum(head), sum(tail)), naive_sum(&bytes));
        }

        #[test]
        fn the_pseudo_header_is_its_twelve_octets(
            source: [u8; 4], destination: [u8; 4], protocol: u8, len: u16,
        ) {
            let mut bytes = [source, destination, [0, protocol, 0, 0]].concat();
            bytes[10..].copy_from_slice(&len.to_be_bytes());
            let sum = pseudo_header_sum(source.into(), destination.into(), protocol, len);
            prop_assert_eq!(sum, naive_sum(&bytes));
        }
    }
}
