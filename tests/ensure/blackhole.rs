//! `ensure_blackhole` and `remove_blackhole`.

use ipip_core::node::{ensure_blackhole, remove_blackhole};
use ipip_core::overlay::Blackhole;
use ipip_core::plan::RouteProtocol;

use crate::support::{Named, Needs, Test};
use crate::{lines, refusal};

pub(crate) const TESTS: &[Test] = &[
    ("blackhole_fresh", Needs::Root, fresh),
    ("blackhole_repeated", Needs::Root, repeated),
    ("blackhole_damaged", Needs::Root, damaged),
    ("blackhole_prefix_taken", Needs::Root, prefix_taken),
    ("blackhole_removed", Needs::Root, removed),
    ("blackhole_of_a_single_address", Needs::Root, single_address),
    (
        "blackhole_under_another_protocol",
        Needs::Root,
        other_protocol,
    ),
    (
        "blackhole_of_every_address_or_under_no_protocol",
        Needs::Root,
        impossible,
    ),
];

fn own() -> Blackhole {
    Blackhole::new("10.244.79.0/26".parse().unwrap())
}

fn fresh() {
    let node = Named::new("node");
    let changes = ensure_blackhole(&node.netns, &own()).unwrap();
    assert_eq!(
        lines(&changes),
        ["ip route add blackhole 10.244.79.0/26 proto bird"]
    );
    assert_eq!(
        node.sh("ip route").trim(),
        "blackhole 10.244.79.0/26 proto bird"
    );
}

fn repeated() {
    let node = Named::new("node");
    ensure_blackhole(&node.netns, &own()).unwrap();
    assert!(ensure_blackhole(&node.netns, &own()).unwrap().is_empty());
    assert_eq!(node.ip("route").len(), 1);
}

fn damaged() {
    let node = Named::new("node");
    ensure_blackhole(&node.netns, &own()).unwrap();
    // As an earlier life of the node left it, when the block was another node's.
    node.sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip addr add 172.18.0.3/32 dev up0");
    node.sh("ip route replace 10.244.79.0/26 via 172.18.0.2 dev up0 onlink proto bird");
    assert_eq!(
        lines(&ensure_blackhole(&node.netns, &own()).unwrap()),
        ["ip route replace blackhole 10.244.79.0/26 proto bird"]
    );
    assert_eq!(
        node.sh("ip route").trim(),
        "blackhole 10.244.79.0/26 proto bird"
    );
}

fn prefix_taken() {
    let node = Named::new("node");
    node.sh("ip link set lo up; ip route add 10.244.79.0/26 dev lo proto static");
    let before = node.sh("ip -d route");
    let said = refusal(|| ensure_blackhole(&node.netns, &own()));
    assert!(
        said.contains("the prefix is taken by route 10.244.79.0/26 dev lo proto static"),
        "{said}"
    );
    assert!(remove_blackhole(&node.netns, &own()).unwrap().is_empty());
    assert_eq!(node.sh("ip -d route"), before);
}

fn removed() {
    let node = Named::new("node");
    ensure_blackhole(&node.netns, &own()).unwrap();
    assert_eq!(
        remove_blackhole(&node.netns, &own()).unwrap().steps.len(),
        1
    );
    assert_eq!(node.sh("ip route"), "");
    assert!(remove_blackhole(&node.netns, &own()).unwrap().is_empty());
}

fn single_address() {
    let node = Named::new("node");
    let single = Blackhole::new("10.244.79.1/32".parse().unwrap());
    assert!(ensure_blackhole(&node.netns, &single).unwrap().is_empty());
}

fn other_protocol() {
    let node = Named::new("node");
    let felix = Blackhole {
        protocol: RouteProtocol::FELIX,
        ..own()
    };
    ensure_blackhole(&node.netns, &felix).unwrap();
    assert_eq!(node.ip("-N route")[0]["protocol"], "80");
    assert!(
        remove_blackhole(&node.netns, &own()).unwrap().is_empty(),
        "ours is another's"
    );
    assert_eq!(
        remove_blackhole(&node.netns, &felix).unwrap().steps.len(),
        1
    );
}

/// As left by a caller who forgot the field.
fn impossible() {
    let node = Named::new("node");
    let everything = Blackhole::new("0.0.0.0/0".parse().unwrap());
    let unmarked = Blackhole {
        protocol: RouteProtocol(0),
        ..own()
    };
    for (blackhole, words) in [
        (everything, "block 0.0.0.0/0 is every address"),
        (unmarked, "protocol is 0, allowed are 1 to 255"),
    ] {
        for call in [ensure_blackhole, remove_blackhole] {
            let said = refusal(|| call(&node.netns, &blackhole));
            assert!(said.starts_with(words), "{said}");
        }
    }
    assert_eq!(node.sh("ip route"), "");
}
