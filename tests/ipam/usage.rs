//! The use of pools beside a naive count, and the tables as `calicoctl` prints them.

use std::collections::BTreeMap;
use std::time::Duration;

use ipip_core::datastore::{Store, key};
use ipip_core::ipam::{Counts, Request};
use ipip_core::resource::{AllocatorConfig, Attribute, Release, Reservation};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Network, addr, network, node, owner, timed};

#[test]
fn tables_are_calicoctls() {
    let net = network(&["10.65.0.0/16", "10.80.0.0/12"], 26);
    let pod = owner("h").with("namespace", "default").with("pod", "web");
    net.ipam
        .claim(&node("a"), "10.65.79.0/26".parse().unwrap())
        .unwrap();
    let request = Request {
        pools: vec!["10.65.0.0/16".parse().unwrap()],
        ..Request::new(node("a"), 5, pod.clone())
    };
    let _ = net.ipam.assign_many(&request).unwrap();
    net.ipam
        .assign(&node("b"), addr("10.65.79.63"), &pod)
        .unwrap();
    net.ipam
        .assign(
            &node("b"),
            addr("10.65.79.62"),
            &owner("t").with("type", "ipipTunnelAddress"),
        )
        .unwrap();
    let usage = net.ipam.usage().unwrap();
    assert_eq!(
        usage.to_string(),
        "\
+----------+--------------+------------+------------+-------------------+
| GROUPING | CIDR         |  IPS TOTAL | IPS IN USE |          IPS FREE |
+----------+--------------+------------+------------+-------------------+
| IP Pool  | 10.65.0.0/16 |      65536 |     7 (0%) |      65529 (100%) |
| IP Pool  | 10.80.0.0/12 | 1.0486e+06 |     0 (0%) | 1.0486e+06 (100%) |
+----------+--------------+------------+------------+-------------------+
"
    );
    assert_eq!(
        usage.blocks_table(),
        "\
+----------+---------------+------------+------------+-------------------+
| GROUPING | CIDR          |  IPS TOTAL | IPS IN USE |          IPS FREE |
+----------+---------------+------------+------------+-------------------+
| IP Pool  | 10.65.0.0/16  |      65536 |     7 (0%) |      65529 (100%) |
| Block    | 10.65.79.0/26 |         64 |    7 (11%) |          57 (89%) |
| IP Pool  | 10.80.0.0/12  | 1.0486e+06 |     0 (0%) | 1.0486e+06 (100%) |
+----------+---------------+------------+------------+-------------------+
"
    );
    assert_eq!(
        usage.borrowed_table(),
        "\
+-------------+----------------+---------------+-------------+-------------------+--------------+
| IP          | BORROWING-NODE | BLOCK         | BLOCK OWNER | TYPE              | ALLOCATED-TO |
+-------------+----------------+---------------+-------------+-------------------+--------------+
| 10.65.79.62 | b              | 10.65.79.0/26 | a           | ipipTunnelAddress |              |
| 10.65.79.63 | b              | 10.65.79.0/26 | a           | pod               | default/web  |
+-------------+----------------+---------------+-------------+-------------------+--------------+
"
    );
    assert_eq!(
        usage.configuration_table(),
        "\
+--------------------+-------+
| PROPERTY           | VALUE |
+--------------------+-------+
| StrictAffinity     | false |
| AutoAllocateBlocks | true  |
| MaxBlocksPerHost   | 0     |
| IPCooldownSeconds  | 0     |
+--------------------+-------+
"
    );
    let json: Value = serde_json::from_str(&usage.to_json()).unwrap();
    assert_eq!(json["pools"][0]["inUse"], 7);
    assert_eq!(json["pools"][0]["blocks"][0]["owner"], "host:a");
    assert_eq!(json["borrowed"][1]["attributes"]["pod"], "web");
    assert_eq!(json["config"]["auto_allocate_blocks"], true);
}

#[test]
fn one_address_is_told() {
    let net = network(&["10.65.0.0/24"], 26);
    let pod = owner("h").with("pod", "web");
    net.ipam
        .assign(&node("b"), addr("10.65.0.63"), &pod)
        .unwrap();
    let usage = net.ipam.address_usage(addr("10.65.0.63")).unwrap();
    assert_eq!(
        usage.to_string(),
        "IP 10.65.0.63 is in use\nHandle ID: h\nAttributes:\n  node: b\n  pod: web\n"
    );
    let json: Value = serde_json::from_str(&usage.to_json()).unwrap();
    assert_eq!(
        (&json["block"], &json["handle"]),
        (&"10.65.0.0/26".into(), &"h".into())
    );
    for free in ["10.65.0.62", "10.65.0.64", "10.9.0.1"] {
        let usage = net.ipam.address_usage(addr(free)).unwrap();
        assert_eq!(usage.to_string(), format!("{free} is not assigned\n"));
        assert!(usage.to_json().contains(r#""inUse":false"#));
    }
}

#[test]
fn damaged_blocks_are_told_and_blocks_in_no_pool_counted_apart() {
    let net = network(&["10.0.0.0/24", "10.1.0.0/24"], 26);
    net.ipam
        .assign(&node("a"), addr("10.1.0.1"), &owner("h"))
        .unwrap();
    net.ipam
        .assign(&node("a"), addr("10.0.0.1"), &owner("h"))
        .unwrap();
    net.delete(&key::pool("pool-1"));
    let damaged = key::block("10.0.0.64/26".parse().unwrap());
    net.put(&damaged, "{");
    let usage = net.ipam.usage().unwrap();
    assert_eq!(usage.pools[0].counts.in_use, 1);
    assert_eq!(usage.outside[0].counts.in_use, 1);
    assert_eq!(usage.outside[0].block.to_string(), "10.1.0.0/26");
    assert_eq!(usage.unreadable, [damaged]);
    assert!(usage.blocks_table().contains("10.1.0.0/26"));
}

/// What is reserved, free and cooling, address by address.
fn naive(net: &Network, reserved: &[Ipv4Range], cidr: Ipv4Range) -> Counts {
    let mut state: BTreeMap<u32, bool> = BTreeMap::new();
    for record in net
        .store
        .list("/calico/ipam/v2/assignment/")
        .unwrap()
        .entries
    {
        let block: Value = serde_json::from_slice(&record.value).unwrap();
        let first = range(block["cidr"].as_str().unwrap()).0;
        for (place, index) in (0..).zip(block["allocations"].as_array().unwrap()) {
            if let Some(index) = index.as_u64() {
                let who = &block["attributes"][usize::try_from(index).unwrap()];
                state.insert(first + place, who["releasedAt"].is_string());
            }
        }
    }
    let mut counts = Counts::default();
    for addr in cidr.0..=cidr.1 {
        let is_reserved = reserved
            .iter()
            .any(|(first, last)| (first..=last).contains(&&addr));
        counts.total += 1;
        counts.reserved += u64::from(is_reserved);
        match state.get(&addr) {
            Some(cools) => {
                counts.in_use += 1;
                counts.cooling += u64::from(*cools);
            }
            None => counts.free += u64::from(!is_reserved),
        }
    }
    counts
}

type Ipv4Range = (u32, u32);

fn range(cidr: &str) -> Ipv4Range {
    let (addr, len) = cidr.split_once('/').unwrap();
    let first = addr.parse::<std::net::Ipv4Addr>().unwrap().to_bits();
    (first, first + (1 << (32 - len.parse::<u32>().unwrap())) - 1)
}

proptest! {
    #[test]
    fn counts_agree_with_a_count_of_each_address(
        assigned in prop::collection::btree_set(0u32..32, 0..32),
        released in prop::collection::btree_set(0u32..32, 0..16),
        reserved in prop::collection::vec((0u32..32, 27u32..=32), 0..4),
        cools: bool,
    ) {
        let (net, _) = timed(&["10.0.0.0/28", "10.0.0.16/28"], 30);
        if cools {
            let mut config = AllocatorConfig::default();
            config.cooldown = Duration::from_secs(60);
            net.ipam.set_config(&config).unwrap();
        }
        let at = |place: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + place);
        let reserved: Vec<String> = reserved.into_iter().map(|(place, len)| {
            let mask = u32::MAX << (32 - len);
            format!("{}/{len}", std::net::Ipv4Addr::from_bits((0x0a00_0000 + place) & mask))
        }).collect();
        for (number, cidr) in reserved.iter().enumerate() {
            let reservation = Reservation::try_new(&format!("r{number}"), &[cidr.parse().unwrap()]).unwrap();
            net.ipam.create_reservation(&reservation).unwrap();
        }
        for place in &assigned {
            net.ipam.assign(&node(if place % 3 == 0 { "a" } else { "b" }), at(*place), &owner("h")).unwrap();
        }
        for place in &released {
            let _ = net.ipam.release(&Release::of(at(*place)));
        }
        let ranges: Vec<_> = reserved.iter().map(|cidr| range(cidr)).collect();
        let usage = net.ipam.usage().unwrap();
        for pool in &usage.pools {
            prop_assert_eq!(pool.counts, naive(&net, &ranges, range(&pool.cidr.to_string())));
            for block in &pool.blocks {
                prop_assert_eq!(block.counts, naive(&net, &ranges, range(&block.block.to_string())));
            }
        }
        let blocks: usize = usage.pools.iter().map(|pool| pool.blocks.len()).sum();
        prop_assert_eq!(blocks, net.ipam.blocks().unwrap().len());
        let header = usage.to_string();
        prop_assert_eq!(header.contains("IPS RESERVED"), !reserved.is_empty());
        let cooling: u64 = usage.pools.iter().map(|pool| pool.counts.cooling).sum();
        prop_assert_eq!(header.contains("IPS COOLING"), cooling > 0);
    }
}

#[test]
fn without_a_node_nobody_can_tell_whether_it_is_borrowed() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam
        .claim(&node("a"), "10.0.0.0/26".parse().unwrap())
        .unwrap();
    let key = key::block("10.0.0.0/26".parse().unwrap());
    net.ipam
        .assign(&node("a"), addr("10.0.0.1"), &Attribute::default())
        .unwrap();
    let text = net.value(&key).unwrap();
    net.put(&key, &text.replace(r#"{"secondary":{"node":"a"}}"#, "{}"));
    let usage = net.ipam.usage().unwrap();
    assert_eq!((usage.without_node, usage.borrowed.len()), (1, 0));
}
