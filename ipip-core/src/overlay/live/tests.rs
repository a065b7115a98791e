mod oracle;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::addr::TunnelAddr;
use crate::datastore::{Commit, Memory, Outcome, Store, key};
use crate::overlay::piece::world::{block, local, name, node, nodes, pool, prefix};
use crate::plan::RouteTable;
use crate::resource::IpipMode::{Always, CrossSubnet, Never};
use crate::resource::{Affinity, Attribute, Block, Node, Pool, Sequence};
use oracle::{ADDRESSES, BLOCKS, Way, expected};

const PODS: &[(&str, &str)] = &[
    ("node", "node-a"),
    ("namespace", "default"),
    ("pod", "podA"),
];

#[test]
fn the_whole_of_a_node_is_what_calico_makes_of_it() {
    let blocks = [
        block("10.244.1.0/26", Some("node-a"), &[(20, PODS)]),
        block("10.244.2.0/26", Some("node-b"), &[]),
        block("10.244.3.0/26", Some("node-c"), &[]),
    ];
    let view = View::from_parts(nodes(), [pool(CrossSubnet).with_nat_outgoing(true)], blocks);
    let overlay = desired(&view, &local(), &Policy::default());
    let routes: Vec<_> = overlay
        .desired
        .routes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        routes,
        [
            "blackhole 10.244.1.0/26 proto bird",
            "10.244.1.20 dev cali7f94ce7c295 scope link",
            "10.244.2.0/26 via 172.18.0.2 dev eth0 proto bird onlink",
            "10.244.3.0/26 via 172.19.0.2 dev tunl0 proto bird onlink",
        ]
    );
    let links: Vec<_> = overlay
        .desired
        .links
        .iter()
        .map(|link| link.name.as_str())
        .collect();
    assert_eq!(links, ["tunl0", "eth0", "cali7f94ce7c295"]);
    let forwards = |link: &Link| {
        link.settings
            .contains(&(crate::plan::Setting::Forwarding, 1))
    };
    assert!(overlay.desired.links.iter().all(forwards));
    assert_eq!(overlay.nat_outgoing, [prefix("10.244.0.0/16")]);
    assert_eq!((overlay.workloads.len(), overlay.withheld), (1, vec![]));
}

#[test]
fn links_are_those_that_packets_enter_by() {
    let names = |mode, owner| {
        let stored = block("10.244.2.0/26", Some(owner), &[]);
        let view = View::from_parts(nodes(), [pool(mode)], [stored]);
        let links = desired(&view, &local(), &Policy::default()).desired.links;
        links
            .iter()
            .map(|link| link.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(Always, "node-b"), ["tunl0"]);
    assert_eq!(names(CrossSubnet, "node-b"), ["tunl0", "eth0"]);
    assert_eq!(names(CrossSubnet, "node-c"), ["tunl0"]);
    assert_eq!(names(Never, "node-b"), ["eth0"]);
    assert_eq!(names(Never, "node-c"), [""; 0]);
}

#[test]
fn a_workload_here_beats_what_others_say_of_its_address() {
    let mut all = nodes();
    let tunnel_addr = Some(TunnelAddr([10, 244, 2, 20].into()));
    all[2] = all[2].clone().with_tunnel_addr(tunnel_addr);
    let single = block("10.244.2.20/32", Some("node-b"), &[]);
    let around = block("10.244.2.0/26", Some("node-b"), &[(20, PODS)]);
    let view = View::from_parts(all, [pool(Always)], [single, around]);
    let overlay = desired(&view, &local(), &Policy::default());
    let routes: Vec<_> = overlay
        .desired
        .routes
        .iter()
        .map(ToString::to_string)
        .collect();
    let block = "10.244.2.0/26 via 172.18.0.2 dev tunl0 proto bird onlink";
    assert_eq!(
        routes,
        [block, "10.244.2.20 dev cali7f94ce7c295 scope link"]
    );
}

#[test]
fn the_addresses_that_nodes_had_are_remembered() {
    let before = View::from_parts(nodes(), [], []);
    let mut live = LiveOverlay::new(&before, local(), Policy::default());
    let moved = node("node-b", [172, 18, 0, 9]);
    let after = View::from_parts([moved], [], []);
    let changed = Changed {
        nodes: [name("node-b")].into(),
        ..Changed::default()
    };
    live.update(&after, &changed);
    let known = live.ownership(&after).nodes;
    for last in [2, 9] {
        assert!(known.contains(&NodeAddr([172, 18, 0, last].into())));
    }
}

fn put(store: &Memory, key: &str, value: Option<Vec<u8>>) {
    let mut commit = Commit::new();
    match value {
        Some(value) => commit.put(key, value),
        None => commit.delete(key),
    };
    assert!(matches!(store.commit(commit), Ok(Outcome::Committed(_))));
}

fn owner() -> impl Strategy<Value = Option<&'static str>> {
    let owners = [
        None,
        Some("node-a"),
        Some("node-b"),
        Some("node-c"),
        Some("node-d"),
        Some("node-x"),
    ];
    (0..owners.len()).prop_map(move |at| owners[at])
}

/// A block, or none, with whom its first addresses are of.
fn block_write() -> impl Strategy<Value = (String, Option<Vec<u8>>)> {
    let users = prop::collection::vec(prop::option::of((owner(), any::<bool>())), 4);
    let write = (0..BLOCKS.len(), prop::option::weighted(0.8, owner()), users);
    write.prop_map(|(at, found, users)| {
        let prefix = prefix(BLOCKS[at]);
        let stored = found.map(|owner| {
            let mut stored = Block::new(prefix.try_into().unwrap(), Sequence(1));
            if let Some(owner) = owner {
                let owner = Affinity::Host(name(owner));
                stored = stored.claimed_by(owner, std::time::UNIX_EPOCH);
            }
            for (place, user) in (0..).zip(users) {
                let (Some(addr), Some((user, is_pod))) = (prefix.nth(place), user) else {
                    continue;
                };
                let mut who = Attribute::new(None);
                if let Some(node) = user {
                    who = who.with("node", node);
                }
                if is_pod {
                    who = who
                        .with("namespace", "default")
                        .with("pod", &format!("pod{place}"));
                }
                stored.assign(addr, who).unwrap();
            }
            stored.to_json()
        });
        (key::block(prefix), stored)
    })
}

fn write() -> impl Strategy<Value = (String, Option<Vec<u8>>)> {
    let tunnel_addr = prop::option::of(0..ADDRESSES.len());
    let node = (0..4u8, 0..4u8, tunnel_addr, 0..5u8).prop_map(|(at, addr, tunnel_addr, kept)| {
        let name = name(["node-a", "node-b", "node-c", "node-d"][usize::from(at)]);
        let tunnel_addr = tunnel_addr.map(|at| TunnelAddr(ADDRESSES[at].into()));
        let node = Node::new(name.clone()).with_tunnel_addr(tunnel_addr);
        let node = match addr {
            0 => node,
            // Two subnets, and sometimes our own address.
            _ => node
                .with_addr(NodeAddr([172, 17 + addr, 0, 2 + at].into()), 16)
                .unwrap(),
        };
        let value = match kept {
            0 => None,
            1 => Some(b"{".to_vec()),
            _ => Some(node.to_json()),
        };
        (key::node(&name), value)
    });
    let pool = (0..2u8, 0..4u8, any::<bool>()).prop_map(|(at, mode, disabled)| {
        let cidr = format!("10.{}.0.0/24", at + 1).parse().unwrap();
        let text = format!("pool-{at}");
        let pool = Pool::try_new(&text, cidr, 30)
            .unwrap()
            .with_disabled(disabled);
        let mode = [Some(Always), Some(CrossSubnet), Some(Never), None][usize::from(mode)];
        let value = mode.map(|mode| pool.with_ipip_mode(mode).to_json());
        (key::pool(&text), value)
    });
    prop_oneof![3 => block_write(), 2 => node, 1 => pool]
}

/// The route for `addr`, by the longest prefix.
fn way(routes: &[Route], addr: [u8; 4]) -> Option<Way> {
    let around = routes
        .iter()
        .filter(|route| route.prefix.contains(addr.into()));
    around.max_by_key(|route| route.prefix.len()).map(Way::of)
}

proptest! {
    /// The oracles: the whole computed anew, and each address looked up by the rules.
    #[test]
    fn what_is_kept_up_to_date_is_what_is_computed_anew(
        history in prop::collection::vec(prop::collection::vec(write(), 1..6), 1..8),
    ) {
        let (local, policy) = (local(), Policy::default());
        let store = Memory::new();
        let mut view = View::load(&store).unwrap();
        let mut live = LiveOverlay::new(&view, local.clone(), policy.clone());
        let mut held: BTreeMap<Ipv4Prefix, Route> = BTreeMap::new();
        let mut links = live.links();
        for writes in history {
            for (key, value) in writes {
                put(&store, &key, value);
            }
            let changed = view.update(&store, Duration::ZERO).unwrap();
            let difference = live.update(&view, &changed);
            let anew = desired(&view, &local, &policy);
            prop_assert_eq!(live.overlay(), anew.clone());
            for RouteChange { before, after } in difference.routes {
                let prefix = before.as_ref().or(after.as_ref()).unwrap().prefix;
                let was = held.remove(&prefix);
                prop_assert_eq!(was, before);
                held.extend(after.map(|route| (prefix, route)));
            }
            let routes: Vec<_> = held.values().cloned().collect();
            prop_assert_eq!(&routes, &anew.desired.routes);
            prop_assert!(difference.links || links == live.links());
            links = live.links();
            for addr in ADDRESSES {
                let expected = expected(&view, &local, addr);
                prop_assert_eq!(way(&routes, addr), expected, "{:?} in {:#?}", addr, routes);
            }
        }
    }
}

/// `cargo test --release -p ipip-core --lib long_ -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn long_one_changed_block_of_sixteen_thousand() {
    let local = local();
    let store = Memory::new();
    let owner = |n: u32| name(&format!("node-{}", n / 16));
    let stored = |n: u32, pods: u32| {
        let at = Ipv4Prefix::containing((0x0a00_0000 + (n << 6)).into(), 26).unwrap();
        let mut stored = Block::new(at.try_into().unwrap(), Sequence(1));
        stored = stored.claimed_by(Affinity::Host(owner(n)), std::time::UNIX_EPOCH);
        for place in 0..pods {
            let who = Attribute::new(None).with("node", owner(n).as_str());
            let who = who
                .with("namespace", "default")
                .with("pod", &format!("pod-{n}-{place}"));
            stored.assign_any(who).unwrap();
        }
        (key::block(at), stored.to_json())
    };
    let pool = Pool::try_new("pods", "10.0.0.0/8".parse().unwrap(), 26).unwrap();
    put(
        &store,
        &key::pool("pods"),
        Some(pool.with_ipip_mode(Always).to_json()),
    );
    for n in 0..1_024 {
        let [.., c, d] = u32::to_be_bytes(n);
        let node = Node::new(owner(n * 16)).with_addr(NodeAddr([172, 20, c, d].into()), 16);
        put(
            &store,
            &key::node(&owner(n * 16)),
            Some(node.unwrap().to_json()),
        );
    }
    for n in 0..16_384 {
        let (key, value) = stored(n, 16);
        put(&store, &key, Some(value));
    }
    let started = Instant::now();
    let mut view = View::load(&store).unwrap();
    let loaded = started.elapsed();
    let started = Instant::now();
    let mut live = LiveOverlay::new(&view, local, Policy::default());
    println!("view {loaded:?}, overlay {:?}", started.elapsed());
    let mut table = RouteTable::new(live.ownership(&view));
    live.overlay()
        .desired
        .routes
        .into_iter()
        .for_each(|route| table.want(route));
    let plan = table.plan();
    plan.steps.iter().for_each(|step| table.applied(step));
    for n in 0..9 {
        let (key, value) = stored(n * 100, 17 + n);
        put(&store, &key, Some(value));
        let started = Instant::now();
        let changed = view.update(&store, Duration::ZERO).unwrap();
        let seen = started.elapsed();
        let started = Instant::now();
        let difference = live.update(&view, &changed);
        assert_eq!((changed.blocks.len(), difference.routes.len()), (1, 0));
        let computed = started.elapsed();
        let started = Instant::now();
        let peers = crate::overlay::peers(&view, &name("node-a"));
        println!(
            "seen {seen:?}, computed {computed:?}, {} peers {:?}",
            peers.len(),
            started.elapsed()
        );
    }
}
