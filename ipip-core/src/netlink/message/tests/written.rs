//! Routes as we write them, beside another writer and our own reader.

use proptest::prelude::*;

use super::*;

fn target() -> impl Strategy<Value = Target> {
    let next_hop = prop_oneof![
        Just(NextHop::Direct),
        any::<[u8; 4]>().prop_map(|octets| NextHop::Gateway(octets.into())),
        any::<[u8; 4]>().prop_map(|octets| NextHop::Onlink(NodeAddr(octets.into()))),
    ];
    let through = next_hop.prop_map(|next_hop| Target::Device {
        device: name("tunl0"),
        next_hop,
    });
    prop_oneof![4 => through, 1 => Just(Target::Blackhole)]
}

fn route() -> impl Strategy<Value = Route> {
    let prefix = (any::<[u8; 4]>(), 0..=32_u8);
    let prefix =
        prefix.prop_map(|(octets, len)| Ipv4Prefix::containing(octets.into(), len).unwrap());
    let numbers = (any::<u8>(), any::<u8>(), prop_oneof![Just(0), any::<u32>()]);
    let options = (any::<Option<[u8; 4]>>(), any::<Option<u32>>());
    (prefix, target(), numbers, options).prop_map(
        |(prefix, target, (protocol, tos, metric), (source, mtu))| Route {
            metric,
            tos,
            source: source.map(Into::into),
            mtu,
            ..Route::new(prefix, target, RouteProtocol(protocol))
        },
    )
}

proptest! {
    #[test]
    fn a_route_is_read_as_it_was_written(route in route(), deletes in any::<bool>()) {
        let index = matches!(route.target, Target::Device { .. }).then_some(3);
        let request = match deletes {
            true => RouteRequest::delete(&route, index),
            false => RouteRequest::add(&route, index),
        };
        let mut bytes = vec![0xa5; 4];
        encode(&mut bytes, Request::Route(request.unwrap()), 0x605, SEQUENCE);
        let message = bytes.split_off(4);
        prop_assert_eq!(bytes, [0xa5; 4], "what was there is left");
        let names = reply::Names::from([(3, name("tunl0"))]);
        prop_assert_eq!(routes(&message, &names), [Some(route)]);
        // The crate that reads and writes most kinds of message reads these, and writes the same.
        let frame = frames(&message).next().unwrap().unwrap();
        prop_assert_eq!(frame.kind, if deletes { 25 } else { 24 });
        prop_assert_eq!((frame.flags, frame.sequence), (0x605, SEQUENCE));
        let mut again = vec![];
        encode(&mut again, frame.parse().unwrap().into(), 0x605, SEQUENCE);
        prop_assert_eq!(message, again);
    }
}
