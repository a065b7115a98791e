//! Next hop objects: one for each node, which all routes to it go by.

use std::collections::BTreeMap;

use crate::name::InterfaceName;
use crate::plan::{Desired, NextHop, NextHopObject, Target};

/// Lets the routes to other nodes go by objects, which are desired too. Where two would have one number, which
/// takes addresses that are each other's complement, the routes of the second stay as they are.
pub(super) fn go_by_objects(desired: &mut Desired, tunnel: &InterfaceName) {
    let mut objects: BTreeMap<u32, NextHopObject> = BTreeMap::new();
    for route in &mut desired.routes {
        let Target::Device { device, next_hop } = &mut route.target else {
            continue;
        };
        let NextHop::Onlink(node) = *next_hop else {
            continue;
        };
        let is_tunnel = device == tunnel;
        let Some(object) = NextHopObject::to_node(device, node, is_tunnel, route.protocol) else {
            continue;
        };
        let id = object.id;
        if *objects.entry(id).or_insert_with(|| object.clone()) == object {
            *next_hop = NextHop::Object(id);
        }
    }
    desired.next_hops = objects.into_values().collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::NodeAddr;
    use crate::overlay::well_known;
    use crate::plan::{Route, RouteProtocol};

    #[test]
    fn routes_to_one_node_share_an_object_and_no_two_objects_a_number() {
        let route = |prefix: &str, node: [u8; 4], device| {
            let target = Target::Device {
                device: well_known(device),
                next_hop: NextHop::Onlink(NodeAddr(node.into())),
            };
            Route::new(prefix.parse().unwrap(), target, RouteProtocol::BIRD)
        };
        let mut desired = Desired {
            routes: vec![
                route("10.244.0.0/26", [172, 18, 0, 2], "tunl0"),
                route("10.244.0.64/26", [172, 18, 0, 2], "tunl0"),
                route("10.244.0.128/26", [172, 18, 0, 2], "eth0"),
                // The complement of the first, reached directly.
                route("10.244.0.192/26", [83, 237, 255, 253], "eth0"),
                Route::new(
                    "10.245.0.0/26".parse().unwrap(),
                    Target::Blackhole,
                    RouteProtocol::BIRD,
                ),
            ],
            ..Desired::default()
        };
        go_by_objects(&mut desired, &well_known("tunl0"));
        let lines: Vec<_> = desired.routes.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "10.244.0.0/26 nhid 2886860802 proto bird",
                "10.244.0.64/26 nhid 2886860802 proto bird",
                "10.244.0.128/26 nhid 1408106493 proto bird",
                "10.244.0.192/26 via 83.237.255.253 dev eth0 proto bird onlink",
                "blackhole 10.245.0.0/26 proto bird",
            ]
        );
        let objects: Vec<_> = desired.next_hops.iter().map(ToString::to_string).collect();
        assert_eq!(
            objects,
            [
                "id 1408106493 via 172.18.0.2 dev eth0 proto bird onlink",
                "id 2886860802 via 172.18.0.2 dev tunl0 proto bird onlink",
            ]
        );
    }
}
