//! pnet_packet: accessors without checks of their own.

use pnet_packet::Packet;
use pnet_packet::ip::IpNextHeaderProtocols::Ipv4;
use pnet_packet::ipv4::{self, Ipv4Packet, MutableIpv4Packet};

use crate::reference::Fields;

#[inline(always)]
fn header(bytes: &[u8]) -> Option<Ipv4Packet<'_>> {
    let packet = Ipv4Packet::new(bytes)?;
    let (len, total_len) = (
        usize::from(packet.get_header_length()) * 4,
        usize::from(packet.get_total_length()),
    );
    let lengths = len >= 20 && len <= total_len && total_len <= bytes.len();
    (packet.get_version() == 4 && lengths && ipv4::checksum(&packet) == packet.get_checksum())
        .then_some(packet)
}

#[inline(always)]
pub(crate) fn parse(packet: &[u8]) -> Option<Fields> {
    let outer = header(packet)?;
    if outer.get_next_level_protocol() != Ipv4
        || outer.get_flags() & 1 != 0
        || outer.get_fragment_offset() != 0
    {
        return None;
    }
    let start = usize::from(outer.get_header_length()) * 4;
    let inner = header(packet.get(start..outer.get_total_length().into())?)?;
    Some(Fields {
        outer: (
            outer.get_source().to_bits(),
            outer.get_destination().to_bits(),
        ),
        inner: (
            inner.get_source().to_bits(),
            inner.get_destination().to_bits(),
        ),
        range: (start, start + usize::from(inner.get_total_length())),
    })
}

#[inline(always)]
pub(crate) fn view(inner: &[u8]) -> Option<Ipv4Packet<'_>> {
    header(inner)
}

/// The outer header of a packet known to be good.
#[inline(always)]
pub(crate) fn build(inner: &Ipv4Packet<'_>, endpoints: (u32, u32)) -> Option<[u8; 20]> {
    let mut octets = [0; 20];
    let mut outer = MutableIpv4Packet::new(&mut octets)?;
    outer.set_version(4);
    outer.set_header_length(5);
    let ecn = inner.get_ecn();
    outer.set_ecn(if ecn == 3 { 2 } else { ecn });
    outer.set_total_length(inner.get_total_length().checked_add(20)?);
    outer.set_flags(inner.get_flags() & 2);
    outer.set_ttl(inner.get_ttl());
    outer.set_next_level_protocol(Ipv4);
    outer.set_source(endpoints.0.into());
    outer.set_destination(endpoints.1.into());
    let checksum = ipv4::checksum(&outer.to_immutable());
    outer.set_checksum(checksum);
    outer.packet().first_chunk().copied()
}

#[inline(always)]
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    // The word to skip lies past the end.
    pnet_packet::util::checksum(bytes, usize::MAX)
}
