//! etherparse: slices check version and lengths; the checksum is the caller's to call.

use etherparse::{
    IpEcn, IpFragOffset, IpNumber, Ipv4Header, Ipv4HeaderSlice, checksum::Sum16BitWords,
};

use crate::reference::Fields;

#[inline(always)]
fn header(bytes: &[u8]) -> Option<Ipv4HeaderSlice<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    let (len, total_len) = (header.slice().len(), usize::from(header.total_len()));
    let sum = Sum16BitWords::new().add_slice(header.slice());
    (len <= total_len && total_len <= bytes.len() && sum.ones_complement() == 0).then_some(header)
}

#[inline(always)]
pub(crate) fn parse(packet: &[u8]) -> Option<Fields> {
    let outer = header(packet)?;
    if outer.protocol() != IpNumber::IPV4 || outer.is_fragmenting_payload() {
        return None;
    }
    let start = outer.slice().len();
    let inner = header(packet.get(start..outer.total_len().into())?)?;
    Some(Fields {
        outer: (
            u32::from_be_bytes(outer.source()),
            u32::from_be_bytes(outer.destination()),
        ),
        inner: (
            u32::from_be_bytes(inner.source()),
            u32::from_be_bytes(inner.destination()),
        ),
        range: (start, start + usize::from(inner.total_len())),
    })
}

/// The outer header of a packet known to be good.
#[inline(always)]
pub(crate) fn build(inner: &Ipv4HeaderSlice<'_>, endpoints: (u32, u32)) -> Option<[u8; 20]> {
    // Inner CE (3) becomes ECT(0), 2 on the wire.
    let ecn = match inner.ecn().value() {
        3 => IpEcn::try_new(2).ok()?,
        _ => inner.ecn(),
    };
    let mut header = Ipv4Header {
        ecn,
        total_len: inner.total_len().checked_add(20)?,
        dont_fragment: inner.dont_fragment(),
        fragment_offset: IpFragOffset::ZERO,
        time_to_live: inner.ttl(),
        protocol: IpNumber::IPV4,
        source: endpoints.0.to_be_bytes(),
        destination: endpoints.1.to_be_bytes(),
        ..Ipv4Header::default()
    };
    header.header_checksum = header.calc_header_checksum();
    header.to_bytes().first_chunk().copied()
}

#[inline(always)]
pub(crate) fn view(inner: &[u8]) -> Option<Ipv4HeaderSlice<'_>> {
    header(inner)
}

#[inline(always)]
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    // The sum is of words in the machine's byte order.
    Sum16BitWords::new()
        .add_slice(bytes)
        .ones_complement()
        .to_be()
}
