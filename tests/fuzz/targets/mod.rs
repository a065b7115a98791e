//! What must hold for any octets, one function a kind of input.
//!
//! Each function takes what a fuzzer or a file of `corpus/` gives, and panics if a property does not hold. The fuzzers of
//! `fuzz_targets/` call them, and so does `tests/fuzz_corpora.rs`, which needs no fuzzer. What is expected comes from
//! [`slow`], which shares no code with the library.

pub mod capture;
pub mod checksum;
pub mod fragment;
pub mod icmp;
pub mod resource;
pub mod slow;
pub mod text;
pub mod tunnel;
pub mod wire;

/// A function and its name, which its fuzzer and its folder in `corpus/` have as well.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 14] = [
    ("batch", tunnel::batch),
    ("checksum", checksum::checksum),
    ("describe", capture::describe),
    ("encapsulate", tunnel::encapsulate),
    ("fragment", fragment::fragment),
    ("icmp", icmp::icmp),
    ("ipip", wire::ipip),
    ("ipv4", wire::ipv4),
    ("journeys", capture::journeys),
    ("partial_checksum", checksum::partial_checksum),
    ("read_capture", capture::read_capture),
    ("relay", icmp::relay),
    ("resource", resource::resource),
    ("text", text::text),
];

/// The parameters of a call, taken from the front of the input; zero where it is too short.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        for (to, from) in taken.iter_mut().zip(self.rest) {
            *to = *from;
        }
        self.rest = self.rest.get(N..).unwrap_or_default();
        taken
    }

    pub fn octet(&mut self) -> u8 {
        u8::from_be_bytes(self.take())
    }

    pub fn half(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What is left as packets to be written to; bits of `repairs` put right what a fuzzer seldom
    /// guesses: 1 the checksum of the first header, 2 its total length before that, 4 and 8 the same of the
    /// header behind it.
    pub fn packet(&self, repairs: u8) -> Vec<u8> {
        let mut packet = self.rest.to_vec();
        let inner = slow::header_len(&packet).unwrap_or(usize::MAX);
        if let Some(inner) = packet.get_mut(inner..) {
            slow::repair(inner, repairs >> 2);
        }
        slow::repair(&mut packet, repairs);
        packet
    }
}
