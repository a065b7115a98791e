//! Prefixes whose host bits are zero, and one type for each plane of addresses.
//!
//! Uses `core` alone. At the public edge callers pass `ipnetwork::Ipv4Network`; the conversion
//! into [`Ipv4Prefix`] is where host bits are refused.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

/// An IPv4 prefix: a network address whose host bits are zero, and a length of 0 to 32 bits.
///
/// ```
/// use ipip_core::addr::Ipv4Prefix;
/// let block: Ipv4Prefix = "10.244.244.64/26".parse()?;
/// assert_eq!(block.last(), "10.244.244.127".parse::<std::net::Ipv4Addr>().unwrap());
/// assert!("10.244.244.65/26".parse::<Ipv4Prefix>().is_err(), "host bits are refused");
/// # Ok::<(), ipip_core::addr::PrefixError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Prefix {
    network: u32,
    len: u8,
}

/// Why something is not an [`Ipv4Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// The length exceeds 32 bits.
    #[error("prefix length {len} is outside 0 to 32")]
    Len {
        /// The length found, in bits.
        len: u8,
    },
    /// The address has bits set below the prefix.
    #[error("{addr}/{len} has host bits set, the prefix is {network}/{len}")]
    HostBits {
        /// The address found.
        addr: Ipv4Addr,
        /// The prefix length, in bits.
        len: u8,
        /// The address with its host bits cleared.
        network: Ipv4Addr,
    },
    /// The text is not `a.b.c.d/len`.
    #[error("not an IPv4 prefix of the form a.b.c.d/len")]
    Syntax,
}

impl Ipv4Prefix {
    /// The prefix of length 0, which contains every address.
    pub const ALL: Self = Self { network: 0, len: 0 };

    /// The prefix `network/len`.
    ///
    /// # Errors
    /// [`PrefixError::Len`] above 32 bits, [`PrefixError::HostBits`] if bits below the prefix are
    /// set; use [`Ipv4Prefix::containing`] where those should be cleared.
    pub fn try_new(network: Ipv4Addr, len: u8) -> Result<Self, PrefixError> {
        let prefix = Self::containing(network, len)?;
        if prefix.network() == network {
            return Ok(prefix);
        }
        Err(PrefixError::HostBits {
            addr: network,
            len,
            network: prefix.network(),
        })
    }

    /// The prefix of `len` bits that contains `addr`: host bits are cleared.
    ///
    /// # Errors
    /// [`PrefixError::Len`] above 32 bits.
    pub fn containing(addr: Ipv4Addr, len: u8) -> Result<Self, PrefixError> {
        if len > 32 {
            return Err(PrefixError::Len { len });
        }
        Ok(Self {
            network: addr.to_bits() & mask(len),
            len,
        })
    }

    /// The `/32` that holds `addr` alone.
    #[must_use]
    pub fn host(addr: Ipv4Addr) -> Self {
        Self {
            network: addr.to_bits(),
            len: 32,
        }
    }

    /// The first address, all host bits zero.
    #[must_use]
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// The last address, all host bits one. In an overlay it is an ordinary address.
    #[must_use]
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | !mask(self.len))
    }

    /// The length in bits, 0 to 32.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a prefix always holds at least one address"
    )]
    pub fn len(self) -> u8 {
        self.len
    }

    /// The netmask, `255.255.255.192` for a /26.
    #[must_use]
    pub fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.len))
    }

    /// How many addresses it holds, 1 to 2³².
    #[must_use]
    pub fn size(self) -> u64 {
        1 << (32 - self.len)
    }

    /// Whether `addr` lies inside.
    #[must_use]
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        addr.to_bits() & mask(self.len) == self.network
    }

    /// Whether `other` lies inside or is equal.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.len <= other.len && self.contains(other.network())
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The address `offset` places after the first; `None` past the last.
    #[must_use]
    pub fn nth(self, offset: u32) -> Option<Ipv4Addr> {
        (u64::from(offset) < self.size()).then(|| Ipv4Addr::from_bits(self.network | offset))
    }

    /// How many places `addr` lies after the first address; `None` if it is outside.
    #[must_use]
    pub fn offset_of(self, addr: Ipv4Addr) -> Option<u32> {
        self.contains(addr)
            .then(|| addr.to_bits() & !mask(self.len))
    }

    /// The prefixes of `len` bits it divides into, in order; none if `len` is shorter than its own
    /// or above 32.
    pub fn subprefixes(self, len: u8) -> impl Iterator<Item = Self> {
        let step = 1u64 << 32u8.saturating_sub(len);
        let count = if (self.len..=32).contains(&len) {
            self.size() / step
        } else {
            0
        };
        (0..count).map(move |i| {
            let offset = u32::try_from(i * step).expect("inside a prefix, so below 2^32");
            Self {
                network: self.network | offset,
                len,
            }
        })
    }
}

const fn mask(len: u8) -> u32 {
    if len == 0 { 0 } else { u32::MAX << (32 - len) }
}

impl Ipv4Prefix {
    /// Writes the network address, `separator` and the length: the texts of prefixes are made several
    /// times for each address that is assigned, and `fmt`'s own way takes ten times as long.
    pub(crate) fn write_to(self, out: &mut impl fmt::Write, separator: u8) -> fmt::Result {
        // 18: 255.255.255.255-32.
        let mut text = [0; 18];
        let mut end = 0;
        let mut push = |octet| {
            text[end] = octet;
            end += 1;
        };
        let [a, b, c, d] = self.network().octets();
        for (number, after) in [(a, b'.'), (b, b'.'), (c, b'.'), (d, separator)] {
            push_digits(number, &mut push);
            push(after);
        }
        push_digits(self.len, &mut push);
        out.write_str(core::str::from_utf8(&text[..end]).map_err(|_| fmt::Error)?)
    }
}

/// `number` in decimal, a digit a call.
fn push_digits(number: u8, push: &mut impl FnMut(u8)) {
    if number >= 100 {
        push(b'0' + number / 100);
    }
    if number >= 10 {
        push(b'0' + number / 10 % 10);
    }
    push(b'0' + number % 10);
}

impl fmt::Display for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f, b'/')
    }
}

impl FromStr for Ipv4Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (addr, len) = text.split_once('/').ok_or(PrefixError::Syntax)?;
        let addr = addr.parse().map_err(|_| PrefixError::Syntax)?;
        let len = len.parse().map_err(|_| PrefixError::Syntax)?;
        Self::try_new(addr, len)
    }
}

#[cfg(feature = "std")]
impl TryFrom<ipnetwork::Ipv4Network> for Ipv4Prefix {
    type Error = PrefixError;

    fn try_from(net: ipnetwork::Ipv4Network) -> Result<Self, PrefixError> {
        Self::try_new(net.ip(), net.prefix())
    }
}

#[cfg(feature = "std")]
impl From<Ipv4Prefix> for ipnetwork::Ipv4Network {
    fn from(prefix: Ipv4Prefix) -> Self {
        Self::new(prefix.network(), prefix.len).expect("a prefix length is at most 32")
    }
}

/// Whether a single host can have `addr`: it is neither 0.0.0.0 nor loopback, multicast, class E or the
/// limited broadcast. No packet comes from the others
/// (<https://www.rfc-editor.org/rfc/rfc1812#section-5.3.7>).
#[must_use]
pub const fn is_host(addr: Ipv4Addr) -> bool {
    // Multicast begins at 224, class E at 240 and ends with the limited broadcast.
    addr.octets()[0] < 224 && !addr.is_loopback() && !addr.is_unspecified()
}

/// A node's address on the underlay: the outer source or destination of its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddr(pub Ipv4Addr);

/// The overlay address that a node's tunnel device holds, as a /32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelAddr(pub Ipv4Addr);

impl fmt::Display for NodeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TunnelAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A 48-bit hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ee:ee:ee:ee:ee:ee`, which Calico gives to the host end of every workload's veth pair.
    pub const CALICO: Self = Self([0xee; 6]);
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Ipv4Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn text_survives_a_round_trip() {
        for text in [
            "0.0.0.0/0",
            "10.244.0.0/16",
            "10.244.79.0/26",
            "255.255.255.255/32",
        ] {
            assert_eq!(prefix(text).to_string(), text);
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/0",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Ipv4Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn containment_at_the_edges() {
        let block = prefix("10.244.79.0/26");
        assert!(block.contains(block.network()) && block.contains(block.last()));
        assert!(!block.contains(Ipv4Addr::new(10, 244, 79, 64)));
        assert!(prefix("0.0.0.0/0").covers(block) && !block.covers(prefix("10.244.0.0/16")));
        assert!(prefix("10.244.0.0/16").overlaps(block) && block.overlaps(prefix("10.244.0.0/16")));
        assert!(!block.overlaps(prefix("10.244.79.64/26")));
    }

    #[test]
    fn offset_and_nth_are_inverse() {
        let block = prefix("10.244.79.0/26");
        assert_eq!(block.nth(20), Some(Ipv4Addr::new(10, 244, 79, 20)));
        assert_eq!(block.offset_of(Ipv4Addr::new(10, 244, 79, 20)), Some(20));
        assert_eq!(
            (
                block.nth(64),
                block.offset_of(Ipv4Addr::new(10, 244, 80, 0))
            ),
            (None, None)
        );
        assert_eq!(Ipv4Prefix::ALL.nth(u32::MAX), Some(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn a_pool_divides_into_blocks() {
        let blocks: Vec<_> = prefix("10.0.0.0/24").subprefixes(26).collect();
        assert_eq!(blocks.len(), 4);
        assert_eq!(blocks[3], prefix("10.0.0.192/26"));
        assert_eq!(prefix("10.0.0.0/26").subprefixes(24).count(), 0);
        assert_eq!(prefix("255.255.255.255/32").subprefixes(32).count(), 1);
    }
}
