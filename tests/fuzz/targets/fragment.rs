//! Packets cut and put together again.

use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{Fragment, FragmentError, Fragments, Ipv4View, Layer};

use super::{Input, slow};

/// An MTU from 68, repairs; then a packet.
pub fn fragment(octets: &[u8]) {
    let mut input = Input::new(octets);
    let mtu = 68 + usize::from(input.half() % 2048);
    let repairs = input.octet();
    let packet = input.packet(repairs);
    let Ok(view) = Ipv4View::parse(&packet, Layer::Inner) else {
        return;
    };
    let whole = view.packet();
    let allowed = TunnelMtu::try_new(u32::try_from(mtu).unwrap()).unwrap();
    let later = copied(view.options());
    let end = usize::from(view.fragment_offset().octets()) + view.payload().len();
    match Fragments::new(&view, allowed) {
        Ok(fragments) => {
            let fragments: Vec<Vec<u8>> = fragments.map(|fragment| emitted(&fragment)).collect();
            if whole.len() > mtu {
                assert!(!view.dont_fragment() && end <= 65_515);
                together(&view, &fragments, mtu, &later.unwrap());
            } else {
                assert!(fragments.len() == 1 && fragments[0][12..] == whole[12..]);
                assert_eq!(fragments[0][..10], whole[..10]);
            }
        }
        Err(FragmentError::DontFragment { found, mtu: told }) => {
            assert!(view.dont_fragment() && found > u16::try_from(mtu).unwrap());
            assert_eq!((usize::from(found), told), (whole.len(), mtu));
        }
        Err(FragmentError::FragmentEnd { found }) => assert!(found == end && end > 65_515),
        Err(FragmentError::Options { at }) => {
            assert!(later.is_none() && (20..view.header_len()).contains(&at));
        }
        Err(error) => panic!("{error}"),
    }
}

fn emitted(fragment: &Fragment<'_>) -> Vec<u8> {
    let mut octets = vec![0xa5; fragment.len() + 1];
    assert!(fragment.emit(&mut octets[..fragment.len() - 1]).is_err());
    assert!(octets.iter().all(|octet| *octet == 0xa5));
    assert_eq!(fragment.emit(&mut octets).unwrap(), fragment.len());
    assert_eq!(octets.pop(), Some(0xa5));
    octets
}

/// Each fragment is a good packet of its own, and together they are the whole one.
fn together(view: &Ipv4View<'_>, fragments: &[Vec<u8>], mtu: usize, later: &[u8]) {
    let mut payload = Vec::new();
    for (at, octets) in fragments.iter().enumerate() {
        let lens = slow::ipv4(octets).unwrap();
        assert!(lens.total == octets.len() && lens.total <= mtu);
        let is_last = at + 1 == fragments.len();
        // As long as they may be.
        assert!(is_last || lens.total + 8 > mtu);
        let flags = slow::half(octets, 6);
        let more = !is_last || view.more_fragments();
        assert_eq!(flags & 0x2000 != 0, more);
        assert_eq!(flags & 0xc000, slow::half(view.packet(), 6) & 0xc000);
        let offset = usize::from(flags & 0x1fff) * 8;
        assert_eq!(
            offset,
            usize::from(view.fragment_offset().octets()) + payload.len()
        );
        let options = if at == 0 { view.options() } else { later };
        assert_eq!(&octets[20..lens.header], options);
        assert_eq!(
            (octets[1], &octets[4..6]),
            (view.packet()[1], &view.packet()[4..6])
        );
        assert_eq!(octets[8..10], view.packet()[8..10]);
        assert_eq!(octets[12..20], view.packet()[12..20]);
        payload.extend_from_slice(&octets[lens.header..]);
    }
    assert_eq!(payload, view.payload());
}

/// The options that every fragment has (RFC 791 section 3.1), padded; `None` if they cannot be told apart.
fn copied(options: &[u8]) -> Option<Vec<u8>> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < options.len() && options[at] != 0 {
        let len = match options[at] {
            1 => 1,
            _ => usize::from(*options.get(at + 1)?),
        };
        let option = options.get(at..at + len)?;
        if options[at] != 1 && len < 2 {
            return None;
        }
        if options[at] >= 128 {
            kept.extend_from_slice(option);
        }
        at += len;
    }
    while kept.len() % 4 != 0 {
        kept.push(0);
    }
    Some(kept)
}
