//! What the kernel refuses: which object, which number, and nothing half done.

use ipip_core::addr::NodeAddr;
use ipip_core::netlink::{Kernel, NetlinkError};
use ipip_core::plan::{Change, NextHop, Place, Route, RouteProtocol, Setting, Target};
use ipip_core::sys::netns::Netns;

use crate::changes::state;
use crate::support::{World, addr, at, name};

fn via(prefix: &str, device: &str, next_hop: NextHop, protocol: RouteProtocol) -> Route {
    let device = name(device);
    Route::new(
        prefix.parse().unwrap(),
        Target::Device { device, next_hop },
        protocol,
    )
}

/// errno numbers of Linux on every architecture that Rust has it on but mips, sparc and parisc.
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ESRCH: i32 = 3;
const EADDRNOTAVAIL: i32 = 99;
const ENETDOWN: i32 = 100;
const ENETUNREACH: i32 = 101;

pub(crate) fn refusals_name_the_object() {
    let mut world = World::new();
    world.node.sh(
        "ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up
         ip addr add 172.18.0.3/16 dev eth0; ip link add down0 type veth peer name down1
         ip route add 10.1.0.0/16 via 172.18.0.9 proto static",
    );
    let node = |last| NodeAddr([172, 18, 0, last].into());
    let bird = RouteProtocol::BIRD;
    let far = NextHop::Gateway([192, 0, 2, 1].into());
    let on = NextHop::Onlink(node(2));
    let cases = [
        (
            Change::SetUp {
                name: name("nosuch"),
            },
            ENODEV,
            "link nosuch",
        ),
        (
            Change::DeleteLink {
                name: name("nosuch"),
            },
            ENODEV,
            "link nosuch",
        ),
        (
            Change::Set {
                name: name("nosuch"),
                setting: Setting::Forwarding,
                value: 1,
            },
            ENODEV,
            "setting net.ipv4.conf.nosuch.forwarding",
        ),
        (
            // Not a device, though there is a directory of that name.
            Change::Set {
                name: name("all"),
                setting: Setting::Forwarding,
                value: 1,
            },
            ENODEV,
            "setting net.ipv4.conf.all.forwarding",
        ),
        (
            Change::SetMtu {
                name: name("eth0"),
                mtu: 10,
            },
            EINVAL,
            "link eth0",
        ),
        (
            Change::AddAddress {
                name: name("eth0"),
                address: addr("172.18.0.3/16"),
            },
            EEXIST,
            "address 172.18.0.3/16 on eth0",
        ),
        (
            Change::AddAddress {
                name: name("eth0"),
                address: addr("172.18.0.3/40"),
            },
            EINVAL,
            "address 172.18.0.3/40 on eth0",
        ),
        (
            Change::DeleteAddress {
                name: name("eth0"),
                address: addr("172.18.0.4/16"),
            },
            EADDRNOTAVAIL,
            "address 172.18.0.4/16 on eth0",
        ),
        (
            Change::AddRoute(via("10.2.0.0/16", "nosuch", on, bird)),
            ENODEV,
            "route 10.2.0.0/16 via 172.18.0.2 dev nosuch proto bird onlink",
        ),
        (
            Change::AddRoute(via("10.2.0.0/16", "eth0", far, bird)),
            ENETUNREACH,
            "route 10.2.0.0/16 via 192.0.2.1 dev eth0 proto bird",
        ),
        (
            Change::AddRoute(via("10.2.0.0/16", "down0", on, bird)),
            ENETDOWN,
            "route 10.2.0.0/16 via 172.18.0.2 dev down0 proto bird onlink",
        ),
        (
            Change::AddRoute(via("10.2.0.0/16", "eth0", NextHop::Onlink(node(3)), bird)),
            EINVAL,
            "route 10.2.0.0/16 via 172.18.0.3 dev eth0 proto bird onlink",
        ),
        (
            Change::AddRoute(via("10.1.0.0/16", "eth0", on, bird)),
            EEXIST,
            "route 10.1.0.0/16 via 172.18.0.2 dev eth0 proto bird onlink",
        ),
        (
            Change::DeleteRoute(via("10.2.0.0/16", "eth0", on, bird)),
            ESRCH,
            "route 10.2.0.0/16 via 172.18.0.2 dev eth0 proto bird onlink",
        ),
    ];
    let before = state(&world.node, &world.pod);
    for (change, errno, object) in cases {
        let error = world.kernel.apply(&[at(&Place::Node, change)]).unwrap_err();
        let text = error.cause.to_string();
        assert_eq!(error.cause.errno(), Some(errno), "{text}");
        assert!(
            text.starts_with(&format!("{object}: ")),
            "{text}, not {object}"
        );
        assert!(text.ends_with(&format!("os error {errno})")), "{text}");
    }
    assert_eq!(state(&world.node, &world.pod), before);

    // The words of the kernel, which has had them for this case since 4.14.
    let change = Change::AddRoute(via("10.2.0.0/16", "eth0", far, bird));
    let error = world.kernel.apply(&[at(&Place::Node, change)]).unwrap_err();
    assert_eq!(
        error.cause.to_string(),
        "route 10.2.0.0/16 via 192.0.2.1 dev eth0 proto bird: \
         Nexthop has invalid gateway (Network is unreachable, os error 101)"
    );
    assert!(std::error::Error::source(&error.cause).is_none());
    let other = Route::new(
        "10.5.0.0/16".parse().unwrap(),
        Target::Other("multipath over 2 next hops".to_owned()),
        bird,
    );
    let error = world
        .kernel
        .apply(&[at(&Place::Node, Change::AddRoute(other))])
        .unwrap_err();
    assert!(
        matches!(error.cause, NetlinkError::NotWritable { .. }),
        "{error}"
    );
}

pub(crate) fn the_taken_end_of_a_pair_is_named() {
    let mut world = World::new();
    let create = |host: &str, inside: &Place| {
        at(
            &Place::Node,
            Change::CreateVeth {
                name: name(host),
                mac: None,
                mtu: None,
                peer_place: inside.clone(),
                peer_name: name("eth0"),
            },
        )
    };
    let inside = world.inside.clone();
    world.kernel.apply(&[create("cali1", &inside)]).unwrap();
    let before = state(&world.node, &world.pod);
    let error = world
        .kernel
        .apply(&[create("cali2", &inside)])
        .unwrap_err()
        .cause;
    assert!(error.is_already_there() && error.is_stale());
    let object = format!("link eth0 in {}: ", world.pod.netns.path().display());
    assert!(error.to_string().starts_with(&object), "{error}");
    world.pod.sh("ip link set eth0 name eth1");
    let error = world
        .kernel
        .apply(&[create("cali1", &inside)])
        .unwrap_err()
        .cause;
    assert!(error.to_string().starts_with("link cali1: "), "{error}");
    world.pod.sh("ip link set eth1 name eth0");
    assert_eq!(state(&world.node, &world.pod), before);
}

pub(crate) fn apply_stops_at_the_first_failure() {
    let mut world = World::new();
    world.node.sh("ip link add eth0 type veth peer name other");
    let up = |device: &str| at(&Place::Node, Change::SetUp { name: name(device) });
    let steps = [up("eth0"), up("nosuch"), up("other")];
    let error = world.kernel.apply(&steps).unwrap_err();
    assert_eq!(
        (error.applied, error.total, &*error.step),
        (1, 3, &steps[1])
    );
    assert_eq!(
        error.to_string(),
        "step 2 of 3 failed: ip link set nosuch up"
    );
    let is_up = |device: &str| {
        let link = &world.node.ip(&format!("link show {device}"))[0];
        link["flags"].as_array().unwrap().contains(&"UP".into())
    };
    assert!(is_up("eth0") && !is_up("other"));
}

/// Same prefix, same gateway, another protocol, type or device: not the route that was meant.
pub(crate) fn a_foreign_route_is_not_deleted() {
    let mut world = World::new();
    world.node.sh(
        "for i in 0 1; do ip link add eth$i type veth peer name other$i; ip link set other$i up; ip link set eth$i up; done
         ip addr add 172.18.0.1/32 dev eth0
         ip route add 10.1.0.0/16 via 172.18.0.2 dev eth0 proto static onlink
         ip route add blackhole 10.2.0.0/16 proto static
         ip route add 10.3.0.0/16 via 172.18.0.2 dev eth0 proto bird onlink",
    );
    let before = world.node.sh("ip route show");
    let bird = RouteProtocol::BIRD;
    let on = |last| NextHop::Onlink(NodeAddr([172, 18, 0, last].into()));
    for route in [
        via("10.1.0.0/16", "eth0", on(2), bird),
        Route::new("10.2.0.0/16".parse().unwrap(), Target::Blackhole, bird),
        Route::new("10.3.0.0/16".parse().unwrap(), Target::Blackhole, bird),
        via("10.3.0.0/16", "eth1", on(2), bird),
        via("10.3.0.0/16", "eth0", on(3), bird),
        via("10.3.0.0/16", "eth0", NextHop::Direct, bird),
        via("10.3.0.0/16", "eth0", on(2), RouteProtocol::STATIC),
        Route {
            metric: 5,
            ..via("10.3.0.0/16", "eth0", on(2), bird)
        },
        Route {
            tos: 16,
            ..via("10.3.0.0/16", "eth0", on(2), bird)
        },
    ] {
        let step = at(&Place::Node, Change::DeleteRoute(route.clone()));
        let error = world.kernel.apply(&[step]).expect_err(&route.to_string());
        assert_eq!(error.cause.errno(), Some(ESRCH), "{route}");
        assert_eq!(world.node.sh("ip route show"), before, "{route}");
    }
}

pub(crate) fn places_are_checked() {
    let mut world = World::new();
    let step = at(
        &Place::Workload(std::path::Path::new("/run/netns/never").into()),
        Change::SetUp { name: name("lo") },
    );
    let error = world.kernel.apply(&[step]).unwrap_err();
    assert_eq!(
        error.cause.to_string(),
        "namespace /run/netns/never of a step was never added"
    );

    let error = world.kernel.add_workload(&world.node.netns).unwrap_err();
    assert!(
        matches!(error, NetlinkError::NodeNamespace { .. }),
        "{error}"
    );

    // Added again, it is there once; taken away, it is not observed.
    let inside = world.kernel.add_workload(&world.pod.netns).unwrap();
    assert_eq!(inside, world.inside);
    let loopbacks = |kernel: &mut Kernel| {
        let links = kernel.observe().unwrap().links;
        links.iter().filter(|link| link.name == name("lo")).count()
    };
    assert_eq!(loopbacks(&mut world.kernel), 2);
    assert!(world.kernel.remove_workload(&inside) && !world.kernel.remove_workload(&inside));
    assert!(!world.kernel.remove_workload(&Place::Node));
    assert_eq!(loopbacks(&mut world.kernel), 1);

    // A socket keeps its namespace alive for as long as it needs it.
    let mut kernel = Kernel::open(&Netns::create_unnamed().unwrap()).unwrap();
    assert_eq!(loopbacks(&mut kernel), 1);
}

/// As root, runs itself once more as nobody.
pub(crate) fn without_privilege_it_reads_and_is_refused() {
    if Netns::create_unnamed().is_ok() {
        let output = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "without_privilege_it_reads_and_is_refused"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    let mut kernel = Kernel::open(&Netns::current().unwrap()).unwrap();
    let observed = kernel.observe().unwrap();
    assert!(observed.link(&Place::Node, &name("lo")).is_some());
    let step = at(&Place::Node, Change::SetUp { name: name("lo") });
    let error = kernel.apply(&[step]).unwrap_err().cause;
    assert!(error.is_permission() && !error.is_stale());
    let text = "link lo: Operation not permitted (os error 1)";
    assert_eq!(error.to_string(), text);
}
