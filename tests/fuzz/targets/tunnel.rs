//! A tunnel's entry: one packet, and many.

use std::num::NonZeroU8;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{
    DontFragment, Dscp, DscpPolicy, EcnPolicy, Encapsulator, Endpoints, HEADER_LEN, HeaderFields,
    IpipFields, Ipv4View, Layer, LoopPolicy, Outer, Span, Ttl, WireError, decapsulate_batch,
    encapsulate as encapsulate_one, parse_batch,
};

use super::{Input, slow};

/// Policies, TTL, DSCP, identification and both ends.
pub fn outer(input: &mut Input<'_>) -> Outer {
    let [policies, ttl, dscp] = input.take();
    Outer {
        endpoints: Endpoints {
            local: NodeAddr(input.take::<4>().into()),
            remote: NodeAddr(input.take::<4>().into()),
        },
        ttl: match NonZeroU8::new(ttl) {
            Some(hops) if policies & 1 != 0 => Ttl::Fixed(hops),
            _ => Ttl::Inherit,
        },
        dscp: match policies & 2 {
            0 => DscpPolicy::Inherit,
            _ => DscpPolicy::Fixed(Dscp::of_tos(dscp)),
        },
        ecn: match policies & 12 {
            0 => EcnPolicy::Normal,
            4 => EcnPolicy::Compatibility,
            _ => EcnPolicy::Kernel,
        },
        dont_fragment: match policies & 16 {
            0 => DontFragment::Inherit,
            _ => DontFragment::Always,
        },
        identification: input.half(),
    }
}

/// The outer header by RFC 2003 section 3.1, or the number of the error.
fn outer_header(outer: &Outer, inner: &[u8]) -> Result<[u8; 20], u32> {
    let total = slow::ipv4(inner)?.total;
    if inner[8] == 0 {
        return Err(207);
    }
    let total = u16::try_from(total + 20).map_err(|_| 210u32)?;
    let mut header = [0; 20];
    header[0] = 0x45;
    header[1] = match (outer.ecn, inner[1] % 4) {
        (EcnPolicy::Compatibility, _) => 0,
        (EcnPolicy::Kernel, 3) => 2,
        (_, ecn) => ecn,
    };
    header[1] += match outer.dscp {
        DscpPolicy::Inherit => inner[1] / 4 * 4,
        DscpPolicy::Fixed(dscp) => dscp.value() * 4,
    };
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[4..6].copy_from_slice(&outer.identification.to_be_bytes());
    if inner[6] & 0x40 != 0 || outer.dont_fragment == DontFragment::Always {
        header[6] = 0x40;
    }
    header[8] = match outer.ttl {
        Ttl::Inherit => inner[8],
        Ttl::Fixed(hops) => hops.get(),
    };
    header[9] = 4;
    header[12..16].copy_from_slice(&outer.endpoints.local.0.octets());
    header[16..20].copy_from_slice(&outer.endpoints.remote.0.octets());
    slow::repair(&mut header, 1);
    Ok(header)
}

/// Repairs, headroom, a loop policy, an [`outer`]; then an inner packet.
pub fn encapsulate(octets: &[u8]) {
    let mut input = Input::new(octets);
    let [repairs, headroom, signs, max_depth] = input.take();
    let outer = outer(&mut input);
    let headroom = usize::from(headroom % 64);
    let inner = input.packet(repairs);
    loops(&inner, &outer.endpoints, signs, max_depth);
    let before = [&vec![0xa5; headroom], &inner[..]].concat();
    let expected = if headroom < HEADER_LEN {
        Err(208)
    } else {
        outer_header(&outer, &inner)
    };
    let tunnel = Encapsulator::new(&outer);
    let other = outer.identification.wrapping_add(7);
    let (mut singly, mut ready, mut numbered) = (before.clone(), before.clone(), before.clone());
    let found = encapsulate_one(&mut singly, headroom, &outer).map(|packet| packet.to_vec());
    let same = tunnel.encapsulate(&mut ready, headroom);
    assert_eq!(same.map(|packet| packet.to_vec()), found);
    assert_eq!(singly, ready);
    let renumbered = tunnel.encapsulate_as(&mut numbered, headroom, other);
    assert_eq!(renumbered.is_ok(), found.is_ok());
    match (found, expected) {
        (Ok(packet), Ok(header)) => {
            let total = slow::ipv4(&inner).unwrap().total;
            assert_eq!(packet, [&header[..], &inner[..total]].concat());
            assert_eq!(slow::delivered(&packet), Ok(&inner[..total]));
            let view = Ipv4View::parse(&inner, Layer::Inner).unwrap();
            let built = outer.header(&view).unwrap().to_octets(total).unwrap();
            assert_eq!(built, header);
            let renumbered = outer_header(
                &Outer {
                    identification: other,
                    ..outer
                },
                &inner,
            );
            let start = headroom - HEADER_LEN;
            assert_eq!(numbered[start..headroom], renumbered.unwrap());
            singly[start..headroom].fill(0xa5);
        }
        (found, expected) => {
            let found = found.map(drop).map_err(|error| error.code());
            assert_eq!(found, expected.map(drop));
            assert_eq!(numbered, before);
        }
    }
    assert_eq!(singly, before);
}

/// Which packets a tunnel must not carry (RFC 2003 section 3.2).
fn loops(inner: &[u8], ends: &Endpoints, signs: u8, max_depth: u8) {
    let Ok(view) = Ipv4View::parse(inner, Layer::Inner) else {
        return;
    };
    let policy = LoopPolicy {
        own_source: signs & 1 != 0,
        exit_source: signs & 2 != 0,
        exit_destination: signs & 4 != 0,
        max_depth,
    };
    let is_own = signs & 8 != 0;
    let (mut depth, mut packet) = (0, inner);
    while let Ok(lens) = slow::ipv4(packet) {
        let carries = packet[9] == 4;
        depth += u32::from(carries);
        if !carries || slow::half(packet, 6) & 0x1fff != 0 {
            break;
        }
        packet = &packet[lens.header..lens.total];
    }
    let remote = ends.remote.0.octets();
    let refused = ends.local == ends.remote
        || is_own && policy.own_source
        || policy.exit_source && inner[12..16] == remote
        || policy.exit_destination && inner[16..20] == remote
        || depth >= max_depth.into();
    assert_eq!(
        policy.check(&view, ends, |_| is_own).is_err(),
        refused,
        "{depth}"
    );
}

/// Up to 8 spans, an [`outer`]; then a buffer with packets.
pub fn batch(octets: &[u8]) {
    let mut input = Input::new(octets);
    let [count, repairs] = input.take();
    let outer = outer(&mut input);
    let spans: Vec<Span> = (0..count % 9)
        .map(|_| {
            let far = |number| match number {
                0xfff0.. => usize::MAX - usize::from(0xffff - number),
                near => usize::from(near),
            };
            let (offset, len) = (far(input.half()), far(input.half()));
            Span { offset, len }
        })
        .collect();
    let mut buffer = input.rest().to_vec();
    for span in &spans {
        let end = span.offset.saturating_add(span.len);
        if let Some(packet) = buffer.get_mut(span.offset..end) {
            let mut repaired = Input::new(packet).packet(repairs);
            packet.swap_with_slice(&mut repaired);
        }
    }
    read_batch(&buffer, &spans);
    encapsulate_batch(&mut buffer, &spans, &outer);
}

/// The packet of a span, or "truncated" if it reaches past the buffer.
fn packet(buffer: &[u8], span: Span) -> Result<&[u8], u32> {
    let end = span.offset.checked_add(span.len).ok_or(200u32)?;
    buffer.get(span.offset..end).ok_or(200)
}

fn read_batch(buffer: &[u8], spans: &[Span]) {
    let mut fields = vec![IpipFields::default(); spans.len() + 1];
    let mut inner = vec![Span { offset: 9, len: 9 }; spans.len()];
    let mut statuses = vec![9; spans.len()];
    let parsed = parse_batch(buffer, spans, &mut fields).unwrap();
    let delivered = decapsulate_batch(buffer, spans, &mut inner, &mut statuses).unwrap();
    let (mut expected_parsed, mut expected_delivered) = (0, 0);
    for (at, span) in spans.iter().enumerate() {
        let found = fields[at];
        match packet(buffer, *span).and_then(|packet| Ok((packet, slow::ipip(packet)?))) {
            Ok((packet, (outer, _))) => {
                expected_parsed += 1;
                assert_eq!(found.status, 0);
                fields_are_the_header(&found.outer, packet);
                fields_are_the_header(&found.inner, &packet[outer.header..]);
            }
            Err(status) => {
                let bad = IpipFields {
                    status,
                    ..IpipFields::default()
                };
                assert_eq!(found, bad);
            }
        }
        match packet(buffer, *span).and_then(slow::delivered) {
            Ok(octets) => {
                expected_delivered += 1;
                assert_eq!((statuses[at], packet(buffer, inner[at])), (0, Ok(octets)));
            }
            Err(status) => assert_eq!((statuses[at], inner[at]), (status, Span::default())),
        }
    }
    assert_eq!((parsed, delivered), (expected_parsed, expected_delivered));
}

fn fields_are_the_header(found: &HeaderFields, packet: &[u8]) {
    let whole =
        |at| u32::from(slow::half(packet, at)) * 0x1_0000 + u32::from(slow::half(packet, at + 2));
    let expected = HeaderFields {
        source: whole(12),
        destination: whole(16),
        identification: slow::half(packet, 4),
        total_len: slow::half(packet, 2),
        fragment: slow::half(packet, 6),
        checksum: slow::half(packet, 10),
        tos: packet[1],
        ttl: packet[8],
        protocol: packet[9],
        header_len: packet[0] % 16 * 4,
    };
    assert_eq!(*found, expected);
}

/// Against one call for each packet, in the room that those before leave.
fn encapsulate_batch(buffer: &mut [u8], spans: &[Span], outer: &Outer) {
    let mut singly = buffer.to_vec();
    let mut packets = vec![Span { offset: 9, len: 9 }; spans.len()];
    let mut statuses = vec![9; spans.len()];
    let good = Encapsulator::new(outer)
        .encapsulate_batch(
            buffer,
            spans,
            outer.identification,
            (&mut packets, &mut statuses),
        )
        .unwrap();
    let (mut taken, mut next) = (0, outer.identification);
    for (at, span) in spans.iter().enumerate() {
        let outer = Outer {
            identification: next,
            ..*outer
        };
        next = next.wrapping_add(1);
        let headroom = span.offset.saturating_sub(taken);
        let end = span.offset.saturating_add(span.len);
        let single = match singly.get_mut(taken..end) {
            _ if headroom < HEADER_LEN => Err(208),
            None => Err(200),
            Some(slot) => encapsulate_one(slot, headroom, &outer)
                .map(|packet| packet.len())
                .map_err(|error: WireError| error.code()),
        };
        let expected = match single {
            Ok(len) => (0, span.offset - HEADER_LEN, len),
            Err(status) => (status, 0, 0),
        };
        assert_eq!(
            (statuses[at], packets[at].offset, packets[at].len),
            expected
        );
        if end <= singly.len() {
            taken = taken.max(end);
        }
    }
    assert_eq!(buffer, singly);
    assert_eq!(good, statuses.iter().filter(|status| **status == 0).count());
}
