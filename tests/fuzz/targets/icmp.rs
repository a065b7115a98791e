//! ICMP: echo, errors, and errors from inside a tunnel.

use std::time::Duration;

use ipip_core::addr::NodeAddr;
use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{
    EchoKind, EchoView, Endpoints, IcmpError, IcmpErrorView, Layer, MAX_ICMP_ERROR_LEN, Quoted,
    Relay, RelayContext, TunnelError, TunnelState,
};

use super::{Input, slow, tunnel};

/// Whether the checksum is put right, then a message.
pub fn icmp(octets: &[u8]) {
    let mut input = Input::new(octets);
    let repairs = input.octet();
    let message = repaired(input.rest(), repairs);
    echo(&message);
    error(&message);
}

fn repaired(message: &[u8], repairs: u8) -> Vec<u8> {
    let mut message = message.to_vec();
    if repairs & 1 != 0 && message.len() >= 4 {
        message[2..4].fill(0);
        let checksum = !slow::sum(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

fn echo(message: &[u8]) {
    let expected = match message {
        [_, _, _, _, _, _, _, _, ..] if !matches!(message, [0 | 8, 0, ..]) => Err(211),
        [_, _, _, _, _, _, _, _, ..] if slow::sum(message) != 0xffff => Err(204),
        [_, _, _, _, _, _, _, _, ..] => Ok(()),
        _ => Err(200),
    };
    let view = EchoView::parse(message);
    assert_eq!(view.map(drop).map_err(|error| error.code()), expected);
    let Ok(view) = view else { return };
    assert_eq!(view.kind() == EchoKind::Request, message[0] == 8);
    assert_eq!(view.data(), &message[8..]);
    let mut emitted = message.to_vec();
    emitted[..8].fill(0xa5);
    if view.header().emit(&mut emitted).is_ok() {
        // A reply of zeros alone has two right checksums.
        assert!(slow::sum(&emitted) == 0xffff);
        emitted[2..4].copy_from_slice(&message[2..4]);
        assert_eq!(emitted, message);
    }
}

fn error(message: &[u8]) {
    let expected = match message {
        [kind, _, _, _, _, _, _, _, ..] if !matches!(kind, 3..=5 | 11 | 12) => Err(216),
        [_, _, _, _, _, _, _, _, ..] if slow::sum(message) != 0xffff => Err(204),
        [_, _, _, _, _, _, _, _, ..] => Ok(()),
        _ => Err(200),
    };
    let view = IcmpErrorView::parse(message);
    assert_eq!(view.map(drop).map_err(|error| error.code()), expected);
    let Ok(view) = view else { return };
    let quoted = view.quoted();
    assert!(slow::is_within(quoted, &message[8..]));
    // RFC 4884: extensions begin after so many words.
    let words = usize::from(message[5]);
    let is_extended =
        matches!(message[0], 3 | 11 | 12) && (32..=(message.len() - 8) / 4).contains(&words);
    let len = if is_extended {
        words * 4
    } else {
        message.len() - 8
    };
    assert_eq!(quoted, &message[8..8 + len]);
    emitted(view.error(), quoted);
}

/// An error about `original` says what it should, and quotes what it is about.
fn emitted(error: IcmpError, original: &[u8]) {
    let source = [10, 244, 79, 1].into();
    let mut buffer = [0xa5; MAX_ICMP_ERROR_LEN + 1];
    let Ok(len) = error.emit(source, original, &mut buffer) else {
        assert!(Quoted::parse(original, Layer::Inner).is_err());
        assert_eq!(buffer, [0xa5; MAX_ICMP_ERROR_LEN + 1]);
        return;
    };
    assert_eq!(buffer[len], 0xa5);
    let packet = &buffer[..len];
    assert_eq!(slow::ipv4(packet).unwrap().total, len);
    assert_eq!(packet[16..20], original[12..16]);
    let view = IcmpErrorView::parse(&packet[20..]).unwrap();
    assert_eq!(view.error(), error);
    assert!(original.starts_with(view.quoted()));
    let total = usize::from(slow::half(original, 2));
    // Extensions that the original quotes may look like some of our own.
    assert!(view.quoted().len() <= original.len().min(total).min(548));
    assert_eq!(
        error.emit(source, original, &mut buffer[..len - 1]).ok(),
        None
    );
}

/// Repairs, of which 2 takes the tunnel's ends from the quoted packet, an MTU, an `outer`; then an ICMP
/// error from inside a tunnel.
pub fn relay(octets: &[u8]) {
    let mut input = Input::new(octets);
    let repairs = input.octet();
    let mtu = TunnelMtu::try_new(u32::from(input.half()).clamp(68, 65_515)).unwrap();
    let outer = tunnel::outer(&mut input);
    let message = repaired(input.rest(), repairs);
    let Ok(view) = IcmpErrorView::parse(&message) else {
        return;
    };
    let quoted = Quoted::parse(view.quoted(), Layer::Outer);
    let ends = match quoted {
        Ok(quoted) if repairs & 2 != 0 => Endpoints {
            local: NodeAddr(quoted.source),
            remote: NodeAddr(quoted.destination),
        },
        _ => outer.endpoints,
    };
    let error = TunnelError::parse(&view, &ends);
    let is_ours = quoted.is_ok_and(|quoted| {
        quoted.protocol == 4
            && quoted.fragment_offset.units() == 0
            && (quoted.source, quoted.destination) == (ends.local.0, ends.remote.0)
    });
    assert_eq!(error.is_ok(), is_ours);
    let Ok(error) = error else { return };
    assert!(slow::is_within(error.original, view.quoted()));
    learnt(&error, mtu);
    let context = RelayContext {
        mtu,
        same_network: repairs & 4 != 0,
    };
    match error.relay(&outer, context) {
        Relay::Send(told) => {
            assert!(error.inner.is_some());
            emitted(told, error.original);
        }
        Relay::Remember(_) => assert!(error.inner.is_none()),
        Relay::Keep => {}
    }
}

/// An MTU is lowered and never raised, and is as good as new after ten minutes (RFC 1191).
fn learnt(error: &TunnelError<'_>, mtu: TunnelMtu) {
    let at = Duration::from_secs(1000);
    let mut state = TunnelState::new(mtu);
    let now = state.learn_mtu(error, at);
    match error.mtu() {
        Some(told) => {
            assert!(matches!(error.error, IcmpError::FragmentationNeeded { .. }));
            assert!(told.octets() == 68 || told.octets() + 20 < error.outer.total_len.into());
            assert_eq!(now, told.min(mtu));
        }
        None => assert_eq!(now, mtu),
    }
    assert_eq!(state.mtu(at + Duration::from_secs(600)), mtu);
}
