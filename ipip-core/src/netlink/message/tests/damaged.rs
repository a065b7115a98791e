//! What the kernel never sends: an error or another value, never a panic or an endless loop.

use proptest::prelude::*;

use super::*;

const ALL: [&str; 7] = [
    INVALID_GATEWAY,
    NO_TABLE,
    ACKNOWLEDGED,
    ROUTES,
    ADDRESS,
    TUNNEL,
    NEIGHBOUR_TABLE,
];

/// The types that the readers know, and their neighbours: RTM_NEWLINK 16, RTM_NEWADDR 20, RTM_NEWROUTE 24,
/// RTM_DELROUTE 25, RTM_NEWNEIGHTBL 64, RTM_NEWNSID 88.
const KINDS: [u8; 9] = [2, 3, 16, 20, 24, 25, 28, 64, 88];

fn read_all(bytes: &[u8]) {
    let names = reply::Names::from([(3, name("tunl0"))]);
    for frame in frames(bytes) {
        let Ok(frame) = frame else {
            continue;
        };
        let _ = frame.meaning();
        let _ = link::link(&frame);
        let _ = route::route(&frame, &Place::Node, &names);
        let Ok(part) = frame.parse() else {
            continue;
        };
        let _ = reply::link(part.clone(), &Place::Node);
        let _ = reply::address(part.clone());
        let _ = reply::proxy_delay(part.clone());
        let _ = reply::netns_id(&part);
    }
}

#[test]
fn every_cut_and_every_octet_of_a_datagram_is_survived() {
    for text in ALL {
        let whole = octets(text);
        for len in 0..whole.len() {
            let mut cut = whole[..len].to_vec();
            read_all(&cut);
            // As if it had been sent so short.
            if let (Some(field), Ok(len)) = (cut.first_chunk_mut(), u32::try_from(len)) {
                *field = len.to_ne_bytes();
            }
            read_all(&cut);
            for octet in [0x00, 0x01, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[len] = octet;
                read_all(&damaged);
            }
        }
    }
}

proptest! {
    /// Several kinds in one datagram, each with changes of its own.
    #[test]
    fn many_changes_at_once_are_survived(
        messages in prop::collection::vec((0..ALL.len(), 0..KINDS.len() * 3), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..9),
        insertion in prop::option::of((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..9))),
    ) {
        let mut datagram = Vec::new();
        for (message, kind) in messages {
            let mut message = octets(ALL[message]);
            if let Some(kind) = KINDS.get(kind) {
                message[4] = *kind;
            }
            datagram.extend(message);
        }
        if let Some((at, inserted)) = insertion {
            let at = at.index(datagram.len());
            datagram.splice(at..at, inserted);
        }
        for (at, octet) in changes {
            let at = at.index(datagram.len());
            datagram[at] = octet;
        }
        read_all(&datagram);
        // A frame is at least its header, and none reaches beyond the datagram.
        let kept: usize = frames(&datagram).filter_map(Result::ok).map(|f| HEADER_LEN + f.payload.len()).sum();
        prop_assert!(kept <= datagram.len());
    }
}
