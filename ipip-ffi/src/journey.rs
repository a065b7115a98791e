//! One inner packet at the points of its way.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::capture::{Journey, PacketKey, Point, Sighting, journeys};

use crate::addr::ipip_ipv4;
use crate::boundary::{TextBuffer, array, fill_array, give, guard, or, required, text};
use crate::error::Failure;
use crate::frame::ipip_frame;
use crate::reader::ipip_reader;
use crate::status::ipip_status;

/// Where frames were captured, with the frames: pod eth0, cali…, tunl0, the wire.
///
/// Ownership: whoever got it from `ipip_points_new` frees it; the octets of its frames are valid until
/// then. Threads: as long as nobody adds to it, threads may share it without a lock.
#[derive(Debug)]
pub struct ipip_points(Vec<Point>);

/// Packets, each with the points that saw it, ordered by the time at which each was first seen.
///
/// Ownership: whoever got it as `journeys_out` frees it. Threads: it never changes, so threads may share
/// it without a lock.
#[derive(Debug)]
pub struct ipip_journeys(Vec<Journey>);

/// What tells one inner packet from others at every point: nothing that a router, a tunnel or checksum
/// offload changes. It is the innermost IPv4 packet of a frame.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_packet_key {
    /// Its source address.
    pub source: ipip_ipv4,
    /// Its destination address.
    pub destination: ipip_ipv4,
    /// What it carries.
    pub protocol: u8,
    /// Its identification; senders set it to 0 in packets with DF.
    pub identification: u16,
    /// Where it belongs, if it is a fragment, in units of 8 octets.
    pub fragment_offset: u16,
    /// Octets of its payload.
    pub payload_len: usize,
    /// A hash of the first 48 octets of its payload, without the transport checksum. The same within one
    /// run of a program.
    pub payload_hash: u64,
}

/// A packet seen at one point.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_sighting {
    /// The point, counted from 0.
    pub point: usize,
    /// The frame at that point, counted from 0.
    pub frame: usize,
    /// How many IP headers were around the packet: 1 on the wire of a tunnel.
    pub depth: usize,
    /// Its own TTL there.
    pub ttl: u8,
}

/// What tells the innermost IPv4 packet of a frame from others.
///
/// IPIP_STATUS_NOT_FOUND if the frame has no IPv4 packet.
///
/// # Safety
/// `frame` is NULL or its `octets` point to `octets_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_frame_packet_key(
    frame: Option<&ipip_frame>,
    key_out: Option<&mut MaybeUninit<ipip_packet_key>>,
) -> ipip_status {
    guard(|| {
        let out = required(key_out, "key_out")?;
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        let none = || Failure::new(ipip_status::NotFound, "the frame has no IPv4 packet");
        out.write((&PacketKey::of(&frame).ok_or_else(none)?).into());
        Ok(())
    })
}

/// Makes a list without points.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_points_new(
    points_out: Option<&mut MaybeUninit<*mut ipip_points>>,
) -> ipip_status {
    guard(|| {
        give(required(points_out, "points_out")?, ipip_points(Vec::new()));
        Ok(())
    })
}

/// Adds a point called `name` with copies of these frames, which are in the order of their capture.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an impossible field of a frame.
///
/// # Safety
/// - `name` is NULL or a string that ends in a zero.
/// - `frames` is NULL or points to `frames_len` frames, whose `octets` point to `octets_len` octets each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_points_add(
    points: Option<&mut ipip_points>,
    name: *const c_char,
    frames: *const ipip_frame,
    frames_len: usize,
) -> ipip_status {
    guard(|| {
        let points = required(points, "points")?;
        // SAFETY: the caller's duty, as documented.
        let name = unsafe { text(name, "name") }?.to_owned();
        // SAFETY: the caller's duty, as documented.
        let frames = unsafe { array(frames, frames_len, "frames") }?.iter();
        // SAFETY: the caller's duty, as documented.
        let frames = frames.map(|frame| unsafe { frame.checked() });
        let frames = frames.collect::<Result<_, _>>()?;
        points.0.push(Point { name, frames });
        Ok(())
    })
}

/// Adds the points of a capture, read to its end: one for each interface of which it has frames, by
/// pcapng's description or the index in a Linux cooked header. A point is called `name`; with several,
/// `name` and the interface.
///
/// IPIP_STATUS_DAMAGED_CAPTURE as `ipip_reader_next`, and IPIP_STATUS_KERNEL if reading failed: what came
/// before is added all the same.
///
/// # Safety
/// `name` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_points_read(
    points: Option<&mut ipip_points>,
    name: *const c_char,
    reader: Option<&mut ipip_reader>,
) -> ipip_status {
    guard(|| {
        let points = required(points, "points")?;
        let reader = required(reader, "reader")?;
        // SAFETY: the caller's duty, as documented.
        let name = unsafe { text(name, "name") }?;
        let (found, error) = Point::read(name, reader.rest());
        points.0.extend(found);
        error.map_or(Ok(()), |error| Err(reader.failed(error)))
    })
}

/// How many points there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_points_count(points: Option<&ipip_points>) -> usize {
    or(0, || points.map_or(0, |points| points.0.len()))
}

/// A point's name, counted from 0. `needed_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last point, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_points_name(
    points: Option<&ipip_points>,
    index: usize,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let points = required(points, "points")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&at(&points.0, index, "points")?.name)
    })
}

/// How many frames a point has, counted from 0; 0 for NULL and past the last point.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_points_frame_count(points: Option<&ipip_points>, index: usize) -> usize {
    or(0, || {
        let point = points.and_then(|points| points.0.get(index));
        point.map_or(0, |point| point.frames.len())
    })
}

/// A frame of a point, both counted from 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last point or frame.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_points_frame(
    points: Option<&ipip_points>,
    index: usize,
    frame: usize,
    frame_out: Option<&mut MaybeUninit<ipip_frame>>,
) -> ipip_status {
    guard(|| {
        let points = required(points, "points")?;
        let out = required(frame_out, "frame_out")?;
        let frames = &at(&points.0, index, "points")?.frames;
        out.write(ipip_frame::of(at(frames, frame, "frames")?));
        Ok(())
    })
}

/// Pairs the packets of all points. Equal packets (a repeated one, or one with identification 0) are
/// told apart by their order: the second at one point belongs to the second at another. Frames without
/// an IPv4 header are left out.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_points_journeys(
    points: Option<&ipip_points>,
    journeys_out: Option<&mut MaybeUninit<*mut ipip_journeys>>,
) -> ipip_status {
    guard(|| {
        let points = required(points, "points")?;
        let out = required(journeys_out, "journeys_out")?;
        give(out, ipip_journeys(journeys(&points.0)));
        Ok(())
    })
}

/// Frees the points and their frames. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_points_free(points: Option<Box<ipip_points>>) {
    or((), || drop(points));
}

/// How many packets there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_journeys_count(journeys: Option<&ipip_journeys>) -> usize {
    or(0, || journeys.map_or(0, |journeys| journeys.0.len()))
}

/// Which packet made a journey, counted from 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last one.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_journeys_packet(
    journeys: Option<&ipip_journeys>,
    index: usize,
    packet_out: Option<&mut MaybeUninit<ipip_packet_key>>,
) -> ipip_status {
    guard(|| {
        let journeys = required(journeys, "journeys")?;
        let out = required(packet_out, "packet_out")?;
        out.write((&at(&journeys.0, index, "journeys")?.packet).into());
        Ok(())
    })
}

/// Where the packet of a journey was seen, by time and at most once at each point, into an array of
/// `sightings_len`. `needed_out` is how many there are.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last journey; IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit,
/// nothing but `needed_out` is written then.
///
/// # Safety
/// `sightings` is NULL or points to room for `sightings_len` of them that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_journeys_sightings(
    journeys: Option<&ipip_journeys>,
    index: usize,
    sightings: *mut ipip_sighting,
    sightings_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let journeys = required(journeys, "journeys")?;
        let found = &at(&journeys.0, index, "journeys")?.sightings;
        let found: Vec<ipip_sighting> = found.iter().map(Into::into).collect();
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(sightings, sightings_len, needed_out, &found, "sightings") }
    })
}

/// Frees the journeys. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_journeys_free(journeys: Option<Box<ipip_journeys>>) {
    or((), || drop(journeys));
}

fn at<'a, T>(list: &'a [T], index: usize, what: &str) -> Result<&'a T, Failure> {
    list.get(index).ok_or_else(|| {
        let text = format!("index is {index}, there are {} {what}", list.len());
        Failure::new(ipip_status::InvalidArgument, text)
    })
}

impl From<&PacketKey> for ipip_packet_key {
    fn from(key: &PacketKey) -> Self {
        Self {
            source: key.source.into(),
            destination: key.destination.into(),
            protocol: key.protocol,
            identification: key.identification,
            fragment_offset: key.fragment_offset.units(),
            payload_len: key.payload_len,
            payload_hash: key.payload_hash,
        }
    }
}

impl From<&Sighting> for ipip_sighting {
    fn from(sighting: &Sighting) -> Self {
        Self {
            point: sighting.point,
            frame: sighting.frame,
            depth: sighting.depth,
            ttl: sighting.ttl,
        }
    }
}
