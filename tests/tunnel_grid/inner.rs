//! Inner packets, built octet by octet without the library, and the grid of them that is sent.

use std::net::Ipv4Addr;

/// The protocols of the grid: ICMP, TCP, UDP, and one that nobody knows (RFC 3692).
const PROTOCOLS: [u8; 4] = [1, 6, 17, 253];

/// The lengths of payload, in octets, that the grid goes through over and over: none, odd, even, and up
/// to what the tunnel carries at once.
const LENGTHS: [usize; 7] = [0, 1, 8, 37, 64, 333, 1460];

/// The longest payload that goes through a tunnel of MTU 1480 in one piece, in octets.
pub(crate) const LONGEST: usize = 1460;

/// One inner packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inner {
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) dont_fragment: bool,
    pub(crate) protocol: u8,
    /// Octets behind the header.
    pub(crate) payload_len: usize,
    /// Whether the header has a word of options (which do nothing).
    pub(crate) options: bool,
    pub(crate) identification: u16,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            tos: 0,
            ttl: 64,
            dont_fragment: true,
            protocol: 253,
            payload_len: 8,
            options: false,
            identification: 1,
        }
    }
}

impl Inner {
    /// The packet, its payload different with every identification.
    pub(crate) fn octets(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
        let header_len = if self.options { 24 } else { 20 };
        let total_len = u16::try_from(header_len + self.payload_len).unwrap();
        let words = u8::try_from(header_len / 4).unwrap();
        let flags = if self.dont_fragment { 0x40 } else { 0 };
        let mut octets = vec![0x40 | words, self.tos];
        octets.extend(total_len.to_be_bytes());
        octets.extend(self.identification.to_be_bytes());
        octets.extend([flags, 0, self.ttl, self.protocol, 0, 0]);
        octets.extend(source.octets());
        octets.extend(destination.octets());
        if self.options {
            octets.extend([1, 1, 1, 0]);
        }
        fix_checksum(&mut octets);
        // Numerical Recipes' generator: anything that does not repeat will do.
        let mut random = u32::from(self.identification);
        octets.extend((0..self.payload_len).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random.to_be_bytes()[0]
        }));
        octets
    }
}

/// Makes the checksum of the header at the start of `packet` right: the sum of RFC 791, word by word.
pub(crate) fn fix_checksum(packet: &mut [u8]) {
    let header_len = (usize::from(packet[0] & 15) * 4).min(packet.len());
    packet[10..12].fill(0);
    let words = packet[..header_len].chunks_exact(2);
    let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = sum % 0xffff;
    // Of the two zeros of one's complement, a header's sum is never the positive one.
    let folded = if sum == 0 { 0xffff } else { sum };
    let checksum = !u16::try_from(folded).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// Gives each packet of a list its own identification, never 0 (which the kernel would replace).
fn numbered(mut packets: Vec<Inner>) -> Vec<Inner> {
    for (packet, number) in packets.iter_mut().zip((1..=u16::MAX).cycle()) {
        packet.identification = number;
    }
    packets
}

/// Every TOS with DF and without, the other fields running along.
pub(crate) fn every_tos() -> Vec<Inner> {
    let protocols = PROTOCOLS.into_iter().cycle();
    let lengths = LENGTHS.into_iter().cycle();
    let ttls = (2..=255).cycle();
    let both = (0..=255).flat_map(|tos| [(tos, false), (tos, true)]);
    let packets = both.zip(protocols).zip(lengths).zip(ttls);
    let packets = packets.map(
        |((((tos, dont_fragment), protocol), payload_len), ttl)| Inner {
            tos,
            ttl,
            dont_fragment,
            protocol,
            payload_len,
            ..Inner::default()
        },
    );
    numbered(packets.collect())
}

/// Every TOS with DF and without of every protocol; every TTL from `first_ttl` with DF and without and
/// every ECN; every length up to the longest; options.
pub(crate) fn grid(first_ttl: u8) -> Vec<Inner> {
    let mut packets = Vec::new();
    for (turn, protocol) in PROTOCOLS.into_iter().enumerate() {
        let mut tos = every_tos();
        // Another length and TTL with each protocol.
        let others: Vec<_> = tos.iter().map(|p| (p.payload_len, p.ttl)).collect();
        let others = others.iter().cycle().skip(turn * 3);
        for (packet, (payload_len, ttl)) in tos.iter_mut().zip(others) {
            (packet.payload_len, packet.ttl) = (*payload_len, *ttl);
            packet.protocol = protocol;
        }
        packets.append(&mut tos);
    }
    let ecn_df = (0..8u8).map(|bits| (bits & 3, bits & 4 != 0));
    for (tos, dont_fragment) in ecn_df {
        packets.extend((first_ttl..=255).map(|ttl| Inner {
            tos,
            ttl,
            dont_fragment,
            ..Inner::default()
        }));
    }
    packets.extend((0..=LONGEST).map(|payload_len| Inner {
        payload_len,
        dont_fragment: payload_len & 2 != 0,
        protocol: PROTOCOLS[payload_len % 4],
        ..Inner::default()
    }));
    packets.extend((0..=255).map(|tos| Inner {
        tos,
        options: true,
        payload_len: usize::from(tos),
        ..Inner::default()
    }));
    numbered(packets)
}
