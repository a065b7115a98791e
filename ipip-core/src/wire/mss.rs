//! TCP's largest segment, lowered to what a tunnel carries: for senders that never hear of
//! "fragmentation needed" (<https://www.rfc-editor.org/rfc/rfc4459#section-3.2>).

use super::checksum::update_checksum;
use super::error::{Layer, WireError};
use super::header::protocol;
use super::ipv4::Ipv4View;
use crate::mtu::TunnelMtu;

/// What an MSS leaves out of an MTU, in octets: IPv4 header 20, TCP header 20, whatever options there are
/// (<https://www.rfc-editor.org/rfc/rfc6691#section-2>).
const HEADERS_LEN: u32 = 40;
/// Length of a TCP header without options, in octets.
const TCP_HEADER_LEN: usize = 20;
/// Where the header's length stands, in the upper four bits, in words.
const DATA_OFFSET: usize = 12;
/// Where the flags stand.
const FLAGS: usize = 13;
/// The flag that only a connection's first segments have.
const SYN: u8 = 0x02;
/// Where the checksum stands.
const CHECKSUM: usize = 16;

/// An option of one octet: the end of the list.
const END: u8 = 0;
/// An option of one octet: nothing.
const NO_OPERATION: u8 = 1;
/// The option of four octets, the last two of them the MSS.
const MSS: u8 = 2;

/// Lowers the MSS in the TCP segment that opens a connection to what fits into a tunnel with this MTU, 40
/// octets less, and the TCP checksum with it. Returns the MSS that was there, `None` if nothing had to
/// change: the packet opens no connection, names no MSS, or one that fits.
///
/// An MSS that is not there is not put in: it counts as 536
/// (<https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1>). A
/// [partial checksum](super::finish_partial_checksum) has to be finished before.
///
/// # Errors
/// Those of [`Ipv4View::parse`]; the packet is as it was then.
///
/// ```
/// use ipip_core::mtu::TunnelMtu;
/// use ipip_core::wire::{Ipv4Header, clamp_mss, protocol};
/// let mut syn = [0; 44];
/// syn[32..34].copy_from_slice(&[6 << 4, 2]); // six words, SYN
/// syn[40..].copy_from_slice(&[2, 4, 0x05, 0xb4]); // MSS 1460
/// Ipv4Header { protocol: protocol::TCP, ..Ipv4Header::default() }.emit(&mut syn)?;
/// let mtu = TunnelMtu::try_new(1480).unwrap();
/// assert_eq!(clamp_mss(&mut syn, mtu)?, Some(1460));
/// assert_eq!(syn[42..], 1440u16.to_be_bytes());
/// assert_eq!(clamp_mss(&mut syn, mtu)?, None);
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
pub fn clamp_mss(packet: &mut [u8], mtu: TunnelMtu) -> Result<Option<u16>, WireError> {
    let view = Ipv4View::parse(packet, Layer::Inner)?;
    let most = u16::try_from(mtu.octets().saturating_sub(HEADERS_LEN)).unwrap_or(u16::MAX);
    let Some((at, before)) = find(&view).filter(|(_, mss)| *mss > most) else {
        return Ok(None);
    };
    let start = view.header_len();
    let segment = packet.get_mut(start..).unwrap_or_default();
    if let Some(mss) = segment.get_mut(at..at + 2) {
        mss.copy_from_slice(&most.to_be_bytes());
    }
    if let Some(field) = segment
        .get_mut(CHECKSUM..)
        .and_then(|s| s.first_chunk_mut())
    {
        // A number that begins at an odd place lies across two words, its octets the other way round.
        let word = |mss: u16| if at % 2 == 0 { mss } else { mss.swap_bytes() };
        let checksum = update_checksum(u16::from_be_bytes(*field), word(before), word(most));
        *field = checksum.to_be_bytes();
    }
    Ok(Some(before))
}

/// The MSS that a connection's first segment names, and where it stands in the segment.
fn find(packet: &Ipv4View<'_>) -> Option<(usize, u16)> {
    let segment = packet.payload();
    if packet.protocol() != protocol::TCP
        || packet.fragment_offset().units() != 0
        || segment.get(FLAGS)? & SYN == 0
    {
        return None;
    }
    let header_len = usize::from(segment.get(DATA_OFFSET)? >> 4) * 4;
    let mut rest = segment.get(TCP_HEADER_LEN..header_len)?;
    loop {
        rest = match rest {
            [] | [END, ..] => return None,
            [NO_OPERATION, tail @ ..] => tail,
            [MSS, 4, high, low, ..] => {
                return Some((
                    header_len - rest.len() + 2,
                    u16::from_be_bytes([*high, *low]),
                ));
            }
            // A length that no option can have: what follows cannot be found.
            [_, len, ..] if *len < 2 => return None,
            [_, len, ..] => rest.get(usize::from(*len)..)?,
            [_] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FragmentOffset, Ipv4Header, combine, pseudo_header_sum, sum};
    use proptest::prelude::*;

    /// A segment with `options`, their end padded, whose checksum is right.
    fn segment(flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
        let mut tcp = vec![0x11; TCP_HEADER_LEN];
        tcp.extend(options);
        tcp.resize(tcp.len().next_multiple_of(4), END);
        tcp[DATA_OFFSET] = u8::try_from(tcp.len() / 4).unwrap() << 4;
        tcp[FLAGS] = flags;
        tcp[CHECKSUM..CHECKSUM + 2].fill(0);
        tcp.extend(data);
        let header = Ipv4Header {
            protocol: protocol::TCP,
            source: [10, 244, 79, 20].into(),
            destination: [10, 244, 244, 73].into(),
            ..Ipv4Header::default()
        };
        let len = u16::try_from(tcp.len()).unwrap();
        let pseudo = pseudo_header_sum(header.source, header.destination, protocol::TCP, len);
        let checksum = !combine(pseudo, sum(&tcp));
        tcp[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
        let mut packet = vec![0; 20];
        packet.extend(tcp);
        header.emit(&mut packet).unwrap();
        packet
    }

    fn mss(value: u16) -> [u8; 4] {
        let [high, low] = value.to_be_bytes();
        [MSS, 4, high, low]
    }

    fn mtu(octets: u32) -> TunnelMtu {
        TunnelMtu::try_new(octets).unwrap()
    }

    proptest! {
        /// The oracle builds the segment anew.
        #[test]
        fn a_clamped_segment_is_the_one_built_so(
            flags in 0u8..64, nops in 0usize..5, value: u16, limit in 68u32..=65_515, data: [u8; 3],
        ) {
            let options = |value| [&[NO_OPERATION; 5][..nops], &[8, 10, 1, 2, 3, 4, 5, 6, 7, 8], &mss(value)].concat();
            let before = segment(flags, &options(value), &data);
            let mut packet = before.clone();
            let clamped = clamp_mss(&mut packet, mtu(limit)).unwrap();
            let most = limit - 40;
            if flags & SYN != 0 && u32::from(value) > most {
                prop_assert_eq!(clamped, Some(value));
                let expected = segment(flags, &options(u16::try_from(most).unwrap()), &data);
                prop_assert_eq!(packet, expected);
            } else {
                prop_assert_eq!((clamped, packet), (None, before));
            }
        }

        #[test]
        fn any_octets_are_survived(tcp in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut packet = vec![0; 20];
            packet.extend(tcp);
            let header = Ipv4Header { protocol: protocol::TCP, ..Ipv4Header::default() };
            header.emit(&mut packet).unwrap();
            let before = packet.clone();
            if clamp_mss(&mut packet, mtu(68)).unwrap().is_none() {
                prop_assert_eq!(packet, before);
            }
        }
    }

    #[test]
    fn what_opens_no_connection_or_names_no_mss_stays() {
        for options in [
            &[][..],
            &[END, MSS, 4, 0xff, 0xff],
            &[MSS, 3, 0xff, 0xff],
            &[5, 0, 0, 0, MSS, 4, 0xff, 0xff],
            &[5, 9, 0, 0, MSS, 4, 0xff, 0xff],
            &[5, 1, 0, 0, MSS, 4, 0xff, 0xff],
            &[1, 1, 1, 5],
        ] {
            let before = segment(SYN, options, b"");
            let mut packet = before.clone();
            assert_eq!(clamp_mss(&mut packet, mtu(68)), Ok(None), "{options:?}");
            assert_eq!(packet, before);
        }
        let mut cut = segment(SYN, &mss(1460), b"")[..39].to_vec();
        assert!(clamp_mss(&mut cut, mtu(68)).is_err());
    }

    #[test]
    fn what_is_no_tcp_or_does_not_begin_with_its_header_stays() {
        let tcp = segment(SYN, &mss(1460), b"");
        for (protocol, units) in [(protocol::UDP, 0), (protocol::TCP, 1)] {
            let mut packet = tcp.clone();
            let header = Ipv4Header {
                protocol,
                fragment_offset: FragmentOffset::try_new(units).unwrap(),
                ..Ipv4Header::default()
            };
            header.emit(&mut packet).unwrap();
            let before = packet.clone();
            assert_eq!(clamp_mss(&mut packet, mtu(68)), Ok(None), "{header:?}");
            assert_eq!(packet, before);
        }
    }
}
