//! One inner packet at the points of its way: pod `eth0`, `cali…`, `tunl0`, the wire.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::Ipv4Addr;

use super::describe::{Ipv4, Layer};
use super::error::ReadError;
use super::frame::Frame;
use super::reader::Reader;
use crate::wire::{FragmentOffset, protocol};

/// Where frames were captured, with the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What people call it, such as "node-a tunl0".
    pub name: String,
    /// Its frames in the order of their capture.
    pub frames: Vec<Frame>,
}

impl Point {
    /// The points of a capture: one for each interface of which it has frames, by pcapng's
    /// description or the index in a Linux cooked header. Damage ends it and is returned beside
    /// what was read before.
    ///
    /// A point is called `name`; with several, `name` and the interface.
    pub fn read<R: Read>(name: &str, reader: &mut Reader<R>) -> (Vec<Self>, Option<ReadError>) {
        let mut points: Vec<((usize, Option<u32>), Self)> = Vec::new();
        let error = loop {
            let frame = match reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
            let cooked = match frame.layers().first() {
                Some(Layer::Sll(sll)) => sll.interface,
                _ => None,
            };
            let place = (reader.interface(), cooked);
            match points.iter_mut().find(|(known, _)| *known == place) {
                Some((_, point)) => point.frames.push(frame),
                None => {
                    let interface = reader.interfaces().get(place.0);
                    let interface = interface.and_then(|interface| interface.name.clone());
                    let suffix = match (cooked, interface) {
                        (Some(index), _) => format!("if{index}"),
                        (None, Some(interface)) => interface,
                        (None, None) => format!("interface {}", place.0),
                    };
                    let point = Self {
                        name: suffix,
                        frames: vec![frame],
                    };
                    points.push((place, point));
                }
            }
        };
        let one = points.len() == 1;
        let named = points.into_iter().map(|(_, point)| Self {
            name: if one {
                name.to_owned()
            } else {
                format!("{name} {}", point.name)
            },
            ..point
        });
        (named.collect(), error)
    }
}

/// What tells one inner packet from others at every point: nothing that a router, a tunnel or
/// checksum offload changes.
///
/// Packets that one point shows whole and another in parts (segmentation offload, fragments) are
/// different packets by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketKey {
    /// The inner source address.
    pub source: Ipv4Addr,
    /// The inner destination address.
    pub destination: Ipv4Addr,
    /// What the packet carries.
    pub protocol: u8,
    /// Its identification; senders set it to 0 in packets with DF.
    pub identification: u16,
    /// Where it belongs, if it is a fragment.
    pub fragment_offset: FragmentOffset,
    /// Octets of its payload.
    pub payload_len: usize,
    /// A hash of the first [`PacketKey::HASHED`] octets of its payload, without the transport
    /// checksum. The same within one run of a program.
    pub payload_hash: u64,
}

impl PacketKey {
    /// Octets of payload that count: as many as even a short snap length keeps behind two headers.
    pub const HASHED: usize = 48;

    /// The key of the innermost IPv4 packet of a frame, if it has one.
    #[must_use]
    pub fn of(frame: &Frame) -> Option<Self> {
        innermost(&frame.layers()).map(|packet| Self::of_packet(&packet))
    }

    fn of_packet(packet: &Ipv4<'_>) -> Self {
        let payload = packet.payload();
        let mut head: Vec<u8> = payload.iter().copied().take(Self::HASHED).collect();
        let checksum = match packet.protocol() {
            _ if packet.fragment_offset().units() > 0 => None,
            protocol::TCP => head.get_mut(16..18),
            protocol::UDP => head.get_mut(6..8),
            _ => None,
        };
        checksum.unwrap_or_default().fill(0);
        let mut hasher = DefaultHasher::new();
        head.hash(&mut hasher);
        Self {
            source: packet.source(),
            destination: packet.destination(),
            protocol: packet.protocol(),
            identification: packet.identification(),
            fragment_offset: packet.fragment_offset(),
            payload_len: payload.len() + packet.missing(),
            payload_hash: hasher.finish(),
        }
    }
}

/// The last IPv4 header: what the others carry.
fn innermost<'a>(layers: &[Layer<'a>]) -> Option<Ipv4<'a>> {
    let mut packets = layers.iter().rev().filter_map(|layer| match layer {
        Layer::Ipv4(packet) => Some(*packet),
        _ => None,
    });
    packets.next()
}

/// A packet seen at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The point's place in the list given.
    pub point: usize,
    /// The frame's place at that point.
    pub frame: usize,
    /// How many IP headers were around the packet: 1 on the wire of a tunnel.
    pub depth: usize,
    /// Its own TTL there.
    pub ttl: u8,
}

/// One inner packet and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Which packet.
    pub packet: PacketKey,
    /// Where it was seen, by time; at most once at each point.
    pub sightings: Vec<Sighting>,
}

/// The packets of several points, paired; ordered by the time at which each was first seen.
///
/// Equal packets (a repeated one, or one with identification 0) are told apart by their order: the
/// second at one point belongs to the second at another. Frames without an IPv4 header are left out.
#[must_use]
pub fn journeys(points: &[Point]) -> Vec<Journey> {
    let mut seen = Vec::new();
    for (point, frames) in points.iter().map(|point| &point.frames).enumerate() {
        let mut repeated: HashMap<PacketKey, usize> = HashMap::new();
        for (place, frame) in frames.iter().enumerate() {
            let layers = frame.layers();
            let Some(packet) = innermost(&layers) else {
                continue;
            };
            let is_ip = |layer: &&Layer<'_>| matches!(layer, Layer::Ipv4(_) | Layer::Ipv6(_));
            let sighting = Sighting {
                point,
                frame: place,
                depth: layers.iter().filter(is_ip).count() - 1,
                ttl: packet.ttl(),
            };
            let key = PacketKey::of_packet(&packet);
            let number = repeated.entry(key).or_default();
            seen.push((frame.time, (key, *number), sighting));
            *number += 1;
        }
    }
    // Stable: at equal times the order of the points given decides.
    seen.sort_by_key(|(time, _, _)| *time);
    let mut journeys: Vec<Journey> = Vec::new();
    let mut known: HashMap<(PacketKey, usize), usize> = HashMap::new();
    for (_, key, sighting) in seen {
        let place = *known.entry(key).or_insert(journeys.len());
        match journeys.get_mut(place) {
            Some(journey) => journey.sightings.push(sighting),
            None => journeys.push(Journey {
                packet: key.0,
                sightings: vec![sighting],
            }),
        }
    }
    journeys
}

#[cfg(test)]
mod tests;
