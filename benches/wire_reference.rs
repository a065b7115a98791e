//! The least code that does the work of `ipip_core::wire`, written by hand: what the benchmarks compare with.
//!
//! Frozen: it changes only if the work changes, so that ratios stay comparable between versions. Wide
//! loads, sums in registers, each octet stored once; no error but `None`.

/// What both sides must find in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Outer source and destination.
    pub(crate) outer: (u32, u32),
    /// Inner source and destination.
    pub(crate) inner: (u32, u32),
    /// Where the inner packet starts and ends.
    pub(crate) range: (usize, usize),
}

struct Header {
    start: usize,
    len: usize,
    protocol: u8,
    fragment: bool,
    df: u64,
    tos: u64,
    ttl: u64,
    source: u32,
    destination: u32,
}

#[inline(always)]
fn be64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.first_chunk()?))
}

#[inline(always)]
fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(u64::from(carry))
}

#[inline(always)]
fn fold(sum: u64) -> u64 {
    let sum = sum.wrapping_add(sum.rotate_left(32)) >> 32;
    let sum = (sum >> 16) + (sum & 0xffff);
    (sum + (sum >> 16)) & 0xffff
}

#[inline(always)]
fn header(bytes: &[u8]) -> Option<Header> {
    let fixed: &[u8; 20] = bytes.first_chunk()?;
    let (a, b) = (be64(&fixed[..8])?, be64(&fixed[8..])?);
    let c = u32::from_be_bytes(*fixed.last_chunk()?);
    let start = usize::from(fixed[0] & 15) * 4;
    let len = usize::try_from(a >> 32 & 0xffff).ok()?;
    if fixed[0] >> 4 != 4 || start < 20 || len < start || bytes.len() < len {
        return None;
    }
    let mut sum = add(add(a, b), c.into());
    if start > 20 {
        for word in bytes.get(20..start)?.as_chunks::<4>().0 {
            sum = add(sum, u32::from_be_bytes(*word).into());
        }
    }
    (fold(sum) == 0xffff).then_some(Header {
        start,
        len,
        protocol: fixed[9],
        fragment: a & 0x3fff != 0,
        df: a & 0x4000,
        tos: a >> 48 & 0xff,
        ttl: b >> 56,
        source: u32::try_from(b & 0xffff_ffff).ok()?,
        destination: c,
    })
}

/// Both headers: version, lengths, checksum, protocol 4, outer not a fragment.
#[inline(always)]
pub(crate) fn parse(packet: &[u8]) -> Option<Fields> {
    let outer = header(packet)?;
    if outer.protocol != 4 || outer.fragment {
        return None;
    }
    let inner = header(packet.get(outer.start..outer.len)?)?;
    Some(Fields {
        outer: (outer.source, outer.destination),
        inner: (inner.source, inner.destination),
        range: (outer.start, outer.start + inner.len),
    })
}

/// The outer header of an inner packet known to be good: ECN, DF and TTL from it.
#[inline(always)]
pub(crate) fn build(inner: &[u8], endpoints: (u32, u32), identification: u16) -> Option<[u8; 20]> {
    let (a, b) = (be64(inner)?, be64(inner.get(8..)?)?);
    finish(
        (a >> 48 & 0xff, a & 0x4000, b >> 56),
        (a >> 32 & 0xffff) + 20,
        (endpoints, identification),
    )
}

/// The inner packet checked and its outer header written into the 20 octets before it.
#[inline(always)]
pub(crate) fn encapsulate(
    buffer: &mut [u8],
    headroom: usize,
    endpoints: (u32, u32),
) -> Option<usize> {
    let inner = header(buffer.get(headroom..)?)?;
    let len = inner.len + 20;
    let total_len = u64::try_from(len).ok()?;
    let outer = finish((inner.tos, inner.df, inner.ttl), total_len, (endpoints, 0))?;
    *buffer
        .get_mut(headroom.checked_sub(20)?..)?
        .first_chunk_mut()? = outer;
    Some(len)
}

#[inline(always)]
fn finish(
    (tos, df, ttl): (u64, u64, u64),
    total_len: u64,
    (endpoints, identification): ((u32, u32), u16),
) -> Option<[u8; 20]> {
    if ttl == 0 || total_len > 0xffff {
        return None;
    }
    let ecn = if tos & 3 == 3 { 2 } else { tos & 3 };
    let a = 0x45 << 56 | ecn << 48 | total_len << 32 | u64::from(identification) << 16 | df;
    let b = ttl << 56 | 4 << 48 | u64::from(endpoints.0);
    let sum = add(add(a, b), endpoints.1.into());
    let b = b | (fold(sum) ^ 0xffff) << 32;
    let mut out = [0; 20];
    out[..8].copy_from_slice(&a.to_be_bytes());
    out[8..16].copy_from_slice(&b.to_be_bytes());
    out[16..].copy_from_slice(&endpoints.1.to_be_bytes());
    Some(out)
}

/// What never changes in a tunnel's outer header: fixed part and its sum, DF and TTL inherited, ECN
/// copied, DSCP 0.
#[derive(Clone, Copy)]
pub(crate) struct Template {
    a: u64,
    b: u64,
    destination: u32,
    sum: u64,
}

impl Template {
    pub(crate) fn new(endpoints: (u32, u32), identification: u16) -> Self {
        let a = 0x45 << 56 | u64::from(identification) << 16;
        let b = 4 << 48 | u64::from(endpoints.0);
        let sum = fold(add(add(a, b), endpoints.1.into()));
        Self {
            a,
            b,
            destination: endpoints.1,
            sum,
        }
    }

    /// As [`encapsulate`], the constant part not summed again.
    #[inline(always)]
    pub(crate) fn encapsulate(&self, buffer: &mut [u8], headroom: usize) -> Option<usize> {
        let inner = header(buffer.get(headroom..)?)?;
        let len = inner.len + 20;
        if inner.ttl == 0 || len > 0xffff {
            return None;
        }
        let total_len = u64::try_from(len).ok()?;
        let ecn = if inner.tos & 3 == 3 { 2 } else { inner.tos & 3 };
        let sum = self.sum + ecn + total_len + inner.df + (inner.ttl << 8);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum + (sum >> 16)) & 0xffff;
        let a = self.a | ecn << 48 | total_len << 32 | inner.df;
        let b = self.b | inner.ttl << 56 | (sum ^ 0xffff) << 32;
        let room = buffer.get_mut(headroom.checked_sub(20)?..)?;
        let room: &mut [u8; 20] = room.first_chunk_mut()?;
        room[..8].copy_from_slice(&a.to_be_bytes());
        room[8..16].copy_from_slice(&b.to_be_bytes());
        room[16..].copy_from_slice(&self.destination.to_be_bytes());
        Some(len)
    }
}

/// The sum of RFC 1071: 32-bit words into 64 bits.
#[inline(always)]
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let (words, tail) = bytes.as_chunks::<4>();
    let mut sum = 0u64;
    for word in words {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    let sum = fold(sum.wrapping_add(u64::from(u32::from_ne_bytes(last))));
    !u16::from_be(u16::try_from(sum).unwrap_or(0))
}
