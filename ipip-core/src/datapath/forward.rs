//! One packet's fate, as a pure function: where it goes, or why it goes nowhere.

use super::counters::Reason;
use crate::addr::NodeAddr;
use crate::peers::{PeerError, Peers};
use crate::sys::tun::Note;
use crate::wire::{
    self, EcnAlarm, Endpoints, HEADER_LEN, IpipView, Ipv4View, Layer, Outer, PartialChecksum,
    WireError, protocol,
};

/// Where an inner packet goes and what goes there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outbound<'a> {
    pub(super) node: NodeAddr,
    /// The packet with its outer header.
    pub(super) packet: &'a [u8],
}

/// Encapsulates the packet that stands in `buffer` behind a headroom of [`HEADER_LEN`] octets, for
/// the node that `peers` names.
pub(super) fn outbound<'a>(
    buffer: &'a mut [u8],
    local: NodeAddr,
    peers: &Peers,
) -> Result<Outbound<'a>, Reason> {
    let inner = buffer.get(HEADER_LEN..).unwrap_or_default();
    let inner = Ipv4View::parse(inner, Layer::Inner).map_err(|error| match error {
        WireError::Version { .. } => Reason::NotIpv4,
        _ => Reason::Unsendable,
    })?;
    let node = peers.node_of(inner.destination());
    // A packet for a prefix of our own would come straight back.
    let remote = node.filter(|node| *node != local).ok_or(Reason::NoPeer)?;
    let outer = Outer::tunl0(Endpoints { local, remote });
    match wire::encapsulate(buffer, HEADER_LEN, &outer) {
        Ok(packet) => Ok(Outbound {
            node: remote,
            packet,
        }),
        Err(WireError::PacketTooLong { .. }) => Err(Reason::TooLong),
        Err(_) => Err(Reason::Unsendable),
    }
}

/// An inner packet to be delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inbound<'a> {
    pub(super) packet: &'a mut [u8],
    pub(super) note: Note,
    /// What was odd about the two ECN fields.
    pub(super) alarm: Option<EcnAlarm>,
    /// Whether its transport checksum was finished here.
    pub(super) checksum_finished: bool,
}

/// Takes the inner packet out of the packet in `buffer`, if `peers` allows it, ready for a device of
/// the MTU that `mtu` gives (octets; it is only asked where it matters).
///
/// The node itself is nobody's peer, whatever `peers` holds of its own blocks. A congestion mark of
/// the underlay goes on to the inner packet (<https://www.rfc-editor.org/rfc/rfc6040#section-4.2>).
///
/// A sender on the same machine leaves a transport checksum partial, and so does a kernel that has
/// joined segments (GRO). A raw socket cannot see that they did, so the octets have to tell.
pub(super) fn inbound<'a>(
    buffer: &'a mut [u8],
    local: NodeAddr,
    peers: &Peers,
    mtu: impl FnOnce() -> Option<u32>,
) -> Result<Inbound<'a>, Reason> {
    let view = IpipView::parse(buffer).map_err(|_| Reason::Malformed)?;
    let node = NodeAddr(view.outer.source());
    if node == local {
        return Err(Reason::UnknownNode);
    }
    peers
        .check(node, view.inner.source())
        .map_err(|error| match error {
            PeerError::UnknownNode { .. } => Reason::UnknownNode,
            _ => Reason::ForeignSource,
        })?;
    let note = joined(&view.inner, mtu);
    let wire::Decapsulated { packet, alarm } =
        wire::decapsulate_in_place(buffer).map_err(|error| match error {
            WireError::EcnDrop => Reason::Congestion,
            _ => Reason::Malformed,
        })?;
    let mut inbound = Inbound {
        packet,
        note: note.unwrap_or(Note::Plain),
        alarm,
        checksum_finished: false,
    };
    // The kernel finishes those of the segments that it cuts.
    if inbound.note == Note::Plain {
        let finished = wire::finish_partial_checksum(inbound.packet);
        let finished = finished.map_err(|_| Reason::Malformed)?;
        inbound.checksum_finished = matches!(finished, PartialChecksum::Finished { .. });
    }
    Ok(inbound)
}

/// How a TCP segment that is longer than the device's MTU, and whose checksum is still to be
/// finished, goes back into pieces; `None` for every other packet.
///
/// Such a segment was joined on its way (GRO), or never cut because it stayed on this machine (GSO).
/// Delivered as one packet it would be too long for the pod's interface and answered with
/// "fragmentation needed". The length of the original pieces is lost; the device's MTU is the
/// longest they can have been.
fn joined(inner: &Ipv4View<'_>, mtu: impl FnOnce() -> Option<u32>) -> Option<Note> {
    const CHECKSUM_AT: usize = 16;
    const DATA_OFFSET_AT: usize = 12;
    let segment = inner.payload();
    if inner.protocol() != protocol::TCP || inner.is_fragment() {
        return None;
    }
    let checksum = segment.get(CHECKSUM_AT..)?.first_chunk()?;
    let len = u16::try_from(segment.len()).ok()?;
    let pseudo = wire::pseudo_header_sum(inner.source(), inner.destination(), protocol::TCP, len);
    if u16::from_be_bytes(*checksum) != pseudo {
        return None;
    }
    let mtu = mtu()?;
    if u32::from(inner.total_len()) <= mtu {
        return None;
    }
    let tcp_at = u16::try_from(inner.header_len()).ok()?;
    let tcp_len = u16::from(segment.get(DATA_OFFSET_AT)? >> 4) * 4;
    let payload_at = tcp_at + tcp_len;
    // A header that claims less than its fixed part is for the receiver to refuse. One that claims
    // more than there is needs no care: then the packet is shorter than its headers, so no MTU is
    // both below the packet's length and above theirs.
    if tcp_len < 20 {
        return None;
    }
    let size = u16::try_from(mtu).ok()?.checked_sub(payload_at)?;
    (size > 0).then_some(Note::Segment {
        size,
        tcp_at,
        payload_at,
    })
}

#[cfg(test)]
mod tests;
