//! smoltcp: its view; `Repr` has neither TOS nor DF, so the header is set field by field.

use smoltcp::wire::{IpProtocol, Ipv4Packet};

use crate::reference::Fields;

/// Protocol 4 has no name there.
const IPIP: IpProtocol = IpProtocol::Unknown(4);

#[inline(always)]
fn header(bytes: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    (packet.version() == 4 && packet.header_len() >= 20 && packet.verify_checksum())
        .then_some(packet)
}

#[inline(always)]
pub(crate) fn parse(packet: &[u8]) -> Option<Fields> {
    let outer = header(packet)?;
    if outer.next_header() != IPIP || outer.more_frags() || outer.frag_offset() != 0 {
        return None;
    }
    let start = usize::from(outer.header_len());
    let inner = header(packet.get(start..outer.total_len().into())?)?;
    Some(Fields {
        outer: (outer.src_addr().to_bits(), outer.dst_addr().to_bits()),
        inner: (inner.src_addr().to_bits(), inner.dst_addr().to_bits()),
        range: (start, start + usize::from(inner.total_len())),
    })
}

#[inline(always)]
pub(crate) fn view(inner: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    header(inner)
}

/// The outer header of a packet known to be good.
#[inline(always)]
pub(crate) fn build(inner: &Ipv4Packet<&[u8]>, endpoints: (u32, u32)) -> Option<[u8; 20]> {
    let mut octets = [0; 20];
    let mut outer = Ipv4Packet::new_unchecked(&mut octets[..]);
    outer.set_version(4);
    outer.set_header_len(20);
    outer.set_dscp(0);
    outer.set_ecn(if inner.ecn() == 3 { 2 } else { inner.ecn() });
    outer.set_total_len(inner.total_len().checked_add(20)?);
    outer.set_ident(0);
    outer.clear_flags();
    outer.set_dont_frag(inner.dont_frag());
    outer.set_more_frags(false);
    outer.set_frag_offset(0);
    outer.set_hop_limit(inner.hop_limit());
    outer.set_next_header(IPIP);
    outer.set_src_addr(endpoints.0.into());
    outer.set_dst_addr(endpoints.1.into());
    outer.fill_checksum();
    Some(octets)
}

#[inline(always)]
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    !smoltcp::wire::checksum::data(bytes)
}
