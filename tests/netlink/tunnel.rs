//! The kernel's ipip driver: creating a tunnel device, and the fallback device that stays.

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::mtu::TunnelMtu;
use ipip_core::netlink::{Kernel, NetlinkError};
use ipip_core::overlay::{Blackhole, PeerRoute, Tunnel};
use ipip_core::plan::{Change, Place, Plan, ensure, removal};
use serde_json::Value;

use crate::changes::state;
use crate::support::{World, at, name};

fn create(device: &str) -> Change {
    Change::CreateTunnel { name: name(device) }
}

pub(crate) fn a_missing_driver_is_named() {
    let mut world = World::new();
    let error = world
        .kernel
        .apply(&[at(&Place::Node, create("tunl0"))])
        .unwrap_err()
        .cause;
    assert!(error.is_unknown_link_kind() && !error.is_permission() && !error.is_stale());
    assert_eq!(error.errno(), Some(95));
    let text = error.to_string();
    assert!(
        text.starts_with("link tunl0: the kernel has no driver for links of kind ipip: "),
        "{text}"
    );
    assert!(text.ends_with("os error 95)"), "{text}");
}

/// Two namespaces with the driver's fallback device.
fn with_fallback() -> World {
    made_with("0")
}

/// Two without.
fn without_fallback() -> World {
    made_with("2")
}

/// The setting is the whole machine's, so it is put back at once; the tests that write it run one
/// at a time.
fn made_with(value: &str) -> World {
    let before = std::fs::read_to_string(SYSCTL).unwrap();
    std::fs::write(SYSCTL, value).unwrap();
    let world = World::new();
    std::fs::write(SYSCTL, before.trim()).unwrap();
    world
}

/// Whether a new namespace gets the drivers' fallback devices.
const SYSCTL: &str = "/proc/sys/net/core/fb_tunnels_only_for_init_net";

static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

pub(crate) fn a_created_tunnel_equals_the_fallback() {
    let _turn = ONE_AT_A_TIME.lock();
    let (mut ours, fallback) = (without_fallback(), with_fallback());
    assert_eq!(
        ours.node.ip("link show").len(),
        1,
        "a fallback device in spite of {SYSCTL}"
    );
    ours.apply(create("tunl0"));
    let shown = |world: &World| -> Vec<Value> {
        let mut links = world.node.ip("-d link show tunl0");
        links.iter_mut().for_each(never_up);
        links[0].as_object_mut().unwrap().remove("ifindex");
        links
    };
    assert_eq!(shown(&ours), shown(&fallback));
    let data = &shown(&ours)[0]["linkinfo"]["info_data"];
    assert_eq!(
        (
            &data["remote"],
            &data["local"],
            &data["ttl"],
            &data["pmtudisc"]
        ),
        (&"any".into(), &"any".into(), &0.into(), &false.into())
    );
    // As the library reads them, too.
    let read = |kernel: &mut Kernel| {
        kernel
            .observe()
            .unwrap()
            .link(&Place::Node, &name("tunl0"))
            .unwrap()
            .tunnel
            .unwrap()
    };
    let fallback_ends = read(&mut Kernel::open(&fallback.node.netns).unwrap());
    assert_eq!(read(&mut ours.kernel), fallback_ends);
    assert!(fallback_ends.is_any() && !fallback_ends.pmtudisc);

    // A second any/any device is refused, and this one can be deleted.
    let error = ours
        .kernel
        .apply(&[at(&Place::Node, create("tunl1"))])
        .unwrap_err()
        .cause;
    assert!(error.is_already_there(), "{error}");
    ours.apply(Change::DeleteLink {
        name: name("tunl0"),
    });
    assert_eq!(ours.node.ip("link show").len(), 1);
}

pub(crate) fn a_created_tunnel_equals_its_shell_line() {
    let _turn = ONE_AT_A_TIME.lock();
    let (mut ours, theirs) = (without_fallback(), without_fallback());
    ours.apply(create("tunl0"));
    theirs
        .node
        .sh(&at(&Place::Node, create("tunl0")).to_string());
    assert_eq!(
        state(&ours.node, &ours.pod),
        state(&theirs.node, &theirs.pod)
    );
}

pub(crate) fn the_fallback_cannot_be_deleted() {
    let _turn = ONE_AT_A_TIME.lock();
    let mut world = with_fallback();
    let step = at(
        &Place::Node,
        Change::DeleteLink {
            name: name("tunl0"),
        },
    );
    let error = world.kernel.apply(&[step]).unwrap_err().cause;
    assert!(matches!(error, NetlinkError::NotDeleted { .. }), "{error}");
    assert_eq!(world.node.ip("link show tunl0").len(), 1);
    // Nor made a second time.
    let error = world
        .kernel
        .apply(&[at(&Place::Node, create("tunl0"))])
        .unwrap_err()
        .cause;
    assert!(error.is_already_there() && error.is_stale(), "{error}");
}

/// The reference picture's tunnel, route and blackhole: applied, nothing left to do, removed.
pub(crate) fn a_tunnel_carries_its_plan() {
    let _turn = ONE_AT_A_TIME.lock();
    for mut world in [with_fallback(), without_fallback()] {
        let tunnel = Tunnel::new(
            TunnelAddr([10, 244, 79, 0].into()),
            TunnelMtu::try_new(1480).unwrap(),
        )
        .desired();
        let before = bare(&world);
        let parts = [
            tunnel.clone(),
            PeerRoute::tunnelled(
                "10.244.244.64/26".parse().unwrap(),
                NodeAddr([172, 18, 0, 2].into()),
            )
            .desired(),
            Blackhole::new("10.244.79.0/26".parse().unwrap()).desired(),
        ];
        for desired in &parts {
            let plan = ensure(desired, &world.kernel.observe().unwrap());
            assert_eq!(plan.conflicts, []);
            world.kernel.apply(&plan.steps).unwrap();
            assert_eq!(
                ensure(desired, &world.kernel.observe().unwrap()),
                Plan::default()
            );
        }
        let printed = world.node.sh("ip route show");
        let routes: Vec<&str> = printed.lines().map(str::trim_end).collect();
        assert_eq!(
            routes,
            [
                "blackhole 10.244.79.0/26 proto bird",
                "10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink"
            ]
        );
        for desired in parts.iter().rev() {
            let plan = removal(desired, &world.kernel.observe().unwrap());
            world.kernel.apply(&plan.steps).unwrap();
            assert_eq!(
                removal(desired, &world.kernel.observe().unwrap()),
                Plan::default()
            );
        }
        // Forwarding stays as it was set; it is taken back with the node as a whole.
        world.node.sh("[ ! -e /proc/sys/net/ipv4/conf/tunl0 ] || echo 0 > /proc/sys/net/ipv4/conf/tunl0/forwarding");
        assert_eq!(bare(&world), before);
    }
}

fn bare(world: &World) -> Vec<Value> {
    let mut state = state(&world.node, &world.pod);
    state.iter_mut().for_each(never_up);
    state
}

/// What a device shows only once it has been up, and the fallback device otherwise than others
/// before that: its IPv6 side, which is made later, and its queue.
fn never_up(link: &mut Value) {
    if let Some(link) = link.as_object_mut() {
        link.remove("inet6_addr_gen_mode");
        link.remove("qdisc");
    }
}
