//! Many different packets for a tunnel to carry, made here octet by octet, and what the kernels on both
//! sides add to them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;

/// The two ends inside the tunnel.
pub(crate) const IN_A: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 1);
pub(crate) const IN_B: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 65);

/// Options of a header: none mostly; record route, a timestamp, router alert, and some that do nothing.
const OPTIONS: [&[u8]; 8] = [
    &[],
    &[],
    &[],
    &[],
    &[7, 7, 4, 0, 0, 0, 0, 0],
    &[1, 68, 8, 5, 0, 0, 0, 0, 0, 0, 0, 0],
    &[148, 4, 0, 0],
    &[1, 1, 1, 0],
];
/// Options of a TCP header.
const TCP_OPTIONS: [&[u8]; 4] = [
    &[],
    &[
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 5, 0, 0, 0, 0, 1, 3, 3, 7,
    ],
    &[1, 1, 8, 10, 0, 1, 17, 112, 255, 255, 255, 255],
    &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
];

/// Numbers that look random, the same every time (Numerical Recipes' generator).
pub(crate) struct Random(pub(crate) u32);

impl Random {
    fn next(&mut self) -> u16 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [high, low, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    fn below(&mut self, end: u16) -> u16 {
        self.next() % end
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::from(self.next()) % values.len()]
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// The sum of RFC 1071, octet pair by octet pair.
fn checksum(octets: &[u8]) -> [u8; 2] {
    let pairs = octets.chunks(2);
    let sum: u32 = pairs
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    (!u16::try_from(folded).unwrap()).to_be_bytes()
}

/// A datagram or segment with its protocol; one checksum in ten is wrong, and some of UDP's are absent.
fn transport(random: &mut Random) -> (u8, Vec<u8>) {
    let data_len = random.one_of(&[0, 1, 2, 19, 64, 65, 333, 1200]);
    let data = random.octets(data_len);
    let port = |random: &mut Random| (61_000 + random.below(999)).to_be_bytes();
    let (protocol, mut message, checksum_at) = match random.below(4) {
        0 => {
            let kind = random.one_of(&[8, 8, 0, 13]);
            let header = [&[kind, 0, 0, 0][..], &random.octets(4)].concat();
            (1, [header, data].concat(), 2)
        }
        1 => {
            let options = random.one_of(&TCP_OPTIONS);
            let words = u8::try_from(5 + options.len() / 4).unwrap();
            let mut header = [port(random), port(random)].concat();
            header.extend(random.octets(8));
            header.extend([words << 4, random.one_of(&[2, 18, 16, 24, 17, 20, 56, 208])]);
            header.extend(random.octets(2));
            header.extend([0, 0, 0, random.one_of(&[0, 7])]);
            (6, [&header[..], options, &data].concat(), 16)
        }
        _ => {
            let len = u16::try_from(8 + data_len).unwrap().to_be_bytes();
            let header = [port(random), port(random), len, [0; 2]].concat();
            (17, [header, data].concat(), 6)
        }
    };
    let kind = random.below(20);
    if protocol == 17 && kind < 4 {
        return (protocol, message);
    }
    let len = u16::try_from(message.len()).unwrap().to_be_bytes();
    let pseudo = [&IN_A.octets()[..], &IN_B.octets(), &[0, protocol], &len].concat();
    let pseudo = if protocol == 1 { Vec::new() } else { pseudo };
    let sum = checksum(&[&pseudo[..], &message].concat());
    message[checksum_at..checksum_at + 2].copy_from_slice(&sum);
    if kind > 17 {
        message[checksum_at] ^= 1;
    }
    (protocol, message)
}

/// DF of the packets that are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum DontFragment {
    Sometimes,
    Never,
}

/// A packet from A to B, whole or a piece of one. Lengths and header checksum are left to the kernel.
fn packet(random: &mut Random, flag: DontFragment) -> Vec<u8> {
    let (protocol, mut payload) = transport(random);
    let options = random.one_of(&OPTIONS);
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let mut fragment = match random.below(2) {
        0 if flag == DontFragment::Sometimes => 0x4000,
        _ => 0,
    };
    if random.below(10) == 0 && payload.len() > 80 {
        let (first, last) = payload.split_at(64);
        (fragment, payload) = match random.below(2) {
            0 => (0x2000, first.to_vec()),
            _ => (8, last.to_vec()),
        };
    }
    let any = random.next().to_be_bytes()[0];
    let tos = random.one_of(&[0, 0, 0, any]);
    let ttl = random.one_of(&[2, 62, 63, 64, 255]);
    let identification = (random.next() | 1).to_be_bytes();
    let mut octets = vec![0x40 | words, tos, 0, 0];
    octets.extend(identification);
    octets.extend(u16::to_be_bytes(fragment));
    octets.extend([ttl, protocol, 0, 0]);
    octets.extend(IN_A.octets());
    octets.extend(IN_B.octets());
    octets.extend(options);
    octets.extend(payload);
    octets
}

/// Sends `count` packets of [`packet`] from node A.
pub(crate) fn send(a: &Netns, random: &mut Random, flag: DontFragment, count: usize) {
    let socket = a.enter(RawSocket::ipip).unwrap().unwrap();
    for _ in 0..count {
        let packet = packet(random, flag);
        loop {
            match socket.send(&packet, IN_B) {
                Ok(false) => std::thread::yield_now(),
                Ok(true) => break,
                // The tunnel has told that it carries less than it did.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What the kernels have to say to each other: a megabyte over TCP, and datagrams that come in pieces.
pub(crate) fn converse(a: &Netns, b: &Netns) {
    const LEN: u64 = 1 << 20;
    let listener = b.enter(|| TcpListener::bind((IN_B, 61_999)));
    let listener = listener.unwrap().unwrap();
    let to = (IN_B, 61_999);
    let mut stream = a.enter(|| TcpStream::connect(to)).unwrap().unwrap();
    let (receiver, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let chunk = [0x2a; 4096];
            for _ in 0..LEN / 4096 {
                stream.write_all(&chunk).unwrap();
            }
        });
        let received = io::copy(&mut receiver.take(LEN), &mut io::sink());
        assert_eq!(received.unwrap(), LEN, "octets over TCP");
    });
    let socket = a.enter(|| UdpSocket::bind((IN_A, 61_998)));
    let socket = socket.unwrap().unwrap();
    for len in [1500, 4000, 9000].repeat(20) {
        // The other side's "nobody listens" comes back as an error of the next call.
        let _ = socket.send_to(&vec![7; len], (IN_B, 61_997));
    }
}
