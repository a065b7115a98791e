//! `ensure_tunnel` and `remove_tunnel`.

use ipip_core::addr::TunnelAddr;
use ipip_core::mtu::TunnelMtu;
use ipip_core::node::{NodeError, ensure_tunnel, remove_tunnel};
use ipip_core::overlay::Tunnel;

use crate::support::{Named, Needs, Test};
use crate::{lines, refusal};

pub(crate) const TESTS: &[Test] = &[
    ("tunnel_fresh", Needs::Driver, fresh),
    ("tunnel_repeated", Needs::Driver, repeated),
    ("tunnel_damaged", Needs::Driver, damaged),
    ("tunnel_shared_with_a_stranger", Needs::Driver, shared),
    ("tunnel_name_taken", Needs::Driver, name_taken),
    (
        "tunnel_with_a_fixed_end_in_the_way",
        Needs::Driver,
        fixed_end,
    ),
    ("tunnel_removed", Needs::Driver, removed),
    ("tunnel_made_by_us_is_deleted", Needs::Driver, made_by_us),
    (
        "tunnel_name_taken_by_a_dummy",
        Needs::NoDriver,
        name_taken_by_a_dummy,
    ),
    (
        "a_missing_driver_is_one_clear_error",
        Needs::NoDriver,
        missing_driver,
    ),
];

fn tunnel() -> Tunnel {
    Tunnel::new(
        TunnelAddr([10, 244, 79, 0].into()),
        TunnelMtu::try_new(1480).unwrap(),
    )
}

/// A namespace whose kernel makes no fallback device by itself.
fn without_fallback() -> Named {
    let key = "/proc/sys/net/core/fb_tunnels_only_for_init_net";
    let before = std::fs::read_to_string(key).unwrap();
    std::fs::write(key, "2").unwrap();
    let node = Named::new("bare");
    std::fs::write(key, before).unwrap();
    assert!(node.try_sh("ip link show tunl0").is_err());
    node
}

fn fresh() {
    let node = Named::new("node");
    let changes = ensure_tunnel(&node.netns, &tunnel()).unwrap();
    assert_eq!(
        lines(&changes),
        [
            "sysctl -w net.ipv4.conf.tunl0.forwarding=1",
            "ip link set tunl0 up",
            "ip addr add 10.244.79.0/32 dev tunl0"
        ]
    );
    let link = &node.ip("-d link show tunl0")[0];
    let flags = link["flags"].as_array().unwrap();
    assert!(
        flags.contains(&"NOARP".into()) && flags.contains(&"UP".into()),
        "{link}"
    );
    assert_eq!(link["mtu"], 1480);
    assert_eq!(link["linkinfo"]["info_kind"], "ipip");
    let data = &link["linkinfo"]["info_data"];
    assert_eq!(
        (&data["remote"], &data["local"]),
        (&"any".into(), &"any".into())
    );
    assert_eq!(
        link["ifalias"],
        serde_json::Value::Null,
        "an adopted device is not marked as ours"
    );
    let addresses = &node.ip("-4 addr show dev tunl0")[0]["addr_info"];
    assert_eq!(
        (&addresses[0]["local"], &addresses[0]["prefixlen"]),
        (&"10.244.79.0".into(), &32.into())
    );
    assert_eq!(node.sysctl("conf/tunl0/forwarding"), "1");
}

fn repeated() {
    let node = Named::new("node");
    ensure_tunnel(&node.netns, &tunnel()).unwrap();
    let before = (
        node.ip("-d link"),
        node.ip("addr"),
        node.ip("route show table all"),
    );
    let changes = ensure_tunnel(&node.netns, &tunnel()).unwrap();
    assert!(changes.is_empty(), "{changes}");
    assert_eq!(
        (
            node.ip("-d link"),
            node.ip("addr"),
            node.ip("route show table all")
        ),
        before
    );
}

fn damaged() {
    let node = Named::new("node");
    for (damage, mend) in [
        ("ip link set tunl0 mtu 1400", "ip link set tunl0 mtu 1480"),
        ("ip link set tunl0 down", "ip link set tunl0 up"),
        (
            "ip addr flush dev tunl0",
            "ip addr add 10.244.79.0/32 dev tunl0",
        ),
        (
            "echo 0 > /proc/sys/net/ipv4/conf/tunl0/forwarding",
            "sysctl -w net.ipv4.conf.tunl0.forwarding=1",
        ),
    ] {
        ensure_tunnel(&node.netns, &tunnel()).unwrap();
        let before = (node.ip("link"), node.ip("addr"));
        node.sh(damage);
        assert_eq!(
            lines(&ensure_tunnel(&node.netns, &tunnel()).unwrap()),
            [mend],
            "{damage}"
        );
        assert_eq!((node.ip("link"), node.ip("addr")), before, "{damage}");
    }
}

fn shared() {
    let node = Named::new("node");
    node.sh("ip addr add 192.0.2.1/32 dev tunl0; ip link set tunl0 up");
    ensure_tunnel(&node.netns, &tunnel()).unwrap();
    remove_tunnel(&node.netns, &tunnel()).unwrap();
    let link = &node.ip("-4 addr show dev tunl0")[0];
    assert_eq!(link["addr_info"].as_array().unwrap().len(), 1);
    assert_eq!(
        link["addr_info"][0]["local"], "192.0.2.1",
        "the stranger's address stays"
    );
    assert!(
        link["flags"].as_array().unwrap().contains(&"UP".into()),
        "and so does the device's state"
    );
}

fn name_taken() {
    let node = without_fallback();
    node.sh("ip link add tunl0 type veth peer name other");
    assert_taken_by_veth(&node);
}

fn name_taken_by_a_dummy() {
    let node = Named::new("node");
    node.sh("ip link add tunl0 type veth peer name other");
    assert_taken_by_veth(&node);
}

fn assert_taken_by_veth(node: &Named) {
    let before = node.ip("-d link");
    let said = refusal(|| ensure_tunnel(&node.netns, &tunnel()));
    assert_eq!(
        said,
        "link tunl0 is taken: kind veth, expected an ipip device with any local and any remote end"
    );
    assert!(remove_tunnel(&node.netns, &tunnel()).unwrap().is_empty());
    assert_eq!(node.ip("-d link"), before, "it is untouched");
}

fn fixed_end() {
    let node = without_fallback();
    node.sh("ip link add tunl0 type ipip remote 192.0.2.9 local any");
    let said = refusal(|| ensure_tunnel(&node.netns, &tunnel()));
    assert!(
        said.contains("kind ipip local 0.0.0.0 remote 192.0.2.9"),
        "{said}"
    );
}

fn removed() {
    let node = Named::new("node");
    let before = (node.ip("-d link"), node.ip("addr"));
    ensure_tunnel(&node.netns, &tunnel()).unwrap();
    let changes = remove_tunnel(&node.netns, &tunnel()).unwrap();
    assert_eq!(
        lines(&changes),
        [
            "ip link set tunl0 down",
            "ip addr del 10.244.79.0/32 dev tunl0"
        ]
    );
    assert_eq!(node.ip("addr")[0], before.1[0]);
    assert!(
        remove_tunnel(&node.netns, &tunnel()).unwrap().is_empty(),
        "a second time finds nothing"
    );
    let flags = node.ip("link show tunl0")[0]["flags"].clone();
    assert_eq!(
        flags,
        serde_json::json!(["NOARP"]),
        "the kernel's own device stays, down"
    );
}

fn made_by_us() {
    let node = without_fallback();
    let changes = ensure_tunnel(&node.netns, &tunnel()).unwrap();
    assert_eq!(
        lines(&changes)[0],
        "ip link add tunl0 type ipip local any remote any ttl inherit nopmtudisc mode any"
    );
    assert_eq!(node.ip("link show tunl0")[0]["ifalias"], "ipip");
    assert!(ensure_tunnel(&node.netns, &tunnel()).unwrap().is_empty());
    assert_eq!(
        lines(&remove_tunnel(&node.netns, &tunnel()).unwrap()),
        ["ip link delete tunl0"]
    );
    assert!(node.try_sh("ip link show tunl0").is_err());
}

fn missing_driver() {
    let node = Named::new("node");
    let before = node.ip("link");
    let error = ensure_tunnel(&node.netns, &tunnel()).unwrap_err();
    assert!(matches!(error, NodeError::NoDriver { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("this kernel has no ipip driver; load the module ipip"),
        "{error}"
    );
    assert!(error.errno().is_some());
    assert_eq!(node.ip("link"), before);
}
