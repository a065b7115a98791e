//! What a check finds: each problem by itself, and any damage beside a naive check of the raw JSON.

mod damage;
mod naive;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ipip_core::datastore::{Store, key};
use ipip_core::ipam::{Problem, Report};
use ipip_core::resource::{AllocatorConfig, Attribute, IpipMode, Node, Pool};
use proptest::prelude::*;

use crate::support::{Network, addr, handle, network, node, owner, timed};
use damage::Damage;

const BLOCK: &str = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30";

/// Blocks 10.0.0.0/30 of node `a` and 10.0.0.4/30 of `b` in a pool of four; `x` has an address in each,
/// `y` one.
pub(crate) fn small() -> Network {
    let net = network(&["10.0.0.0/28"], 30);
    for (name, at, who) in [
        ("a", "10.0.0.0", "x"),
        ("a", "10.0.0.1", "y"),
        ("b", "10.0.0.4", "x"),
        ("b", "10.0.0.6", "z"),
    ] {
        net.ipam.assign(&node(name), addr(at), &owner(who)).unwrap();
    }
    assert!(net.ipam.check().unwrap().is_clean());
    net
}

fn messages(report: &Report) -> Vec<String> {
    report
        .problems
        .iter()
        .map(|found| found.problem.to_string())
        .collect()
}

/// The stored text with `from` replaced, which it must hold.
fn edit(net: &Network, key: &str, from: &str, to: &str) {
    let text = net.value(key).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    net.put(key, &text.replacen(from, to, 1));
}

#[test]
fn every_rule_for_a_block_that_is_broken_is_told() {
    for (from, to, expected) in [
        (
            r#""unallocated":[2,3]"#,
            r#""unallocated":[2]"#,
            &["ordinal 3 is neither assigned nor in unallocated"][..],
        ),
        (
            r#""unallocated":[2,3]"#,
            r#""unallocated":[2,2,0,9]"#,
            &[
                "unallocated holds ordinal 2 twice",
                "unallocated holds ordinal 0 which is assigned",
                "unallocated holds 9, block 10.0.0.0/30 has ordinals 0 to 3",
                "ordinal 3 is neither assigned nor in unallocated",
            ],
        ),
        (
            r#""allocations":[0,1,null,null]"#,
            r#""allocations":[0,7,null,null]"#,
            &[
                "allocations[1] is 7, attributes has 2 entries",
                "attributes[1] is of no address",
            ],
        ),
        (
            r#""allocations":[0,1,null,null]"#,
            r#""allocations":[0,1,null]"#,
            &["allocations has 3 entries, block 10.0.0.0/30 has 4 addresses"],
        ),
        (
            r#""attributes":["#,
            r#""attributes":[{"handle_id":"stray"},"#,
            // The others moved by one, so that `x` is of no address now and the last one neither.
            &["attributes[2] is of no address"],
        ),
        (
            r#""sequenceNumberForAllocation":{"#,
            r#""sequenceNumberForAllocation":{"9":1,"#,
            &[
                "sequenceNumberForAllocation has the key \"9\", block 10.0.0.0/30 has ordinals 0 to 3",
            ],
        ),
        (
            r#""cidr":"10.0.0.0/30""#,
            r#""cidr":null"#,
            &["field cidr is missing"],
        ),
    ] {
        let net = small();
        edit(&net, BLOCK, from, to);
        let report = net.ipam.check().unwrap();
        let found = report
            .problems
            .iter()
            .filter_map(|found| match &found.problem {
                Problem::BlockFault { fault, .. } => Some(fault.to_string()),
                _ => None,
            });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{to}");
        assert_eq!(report.problems[0].records[0].key, BLOCK);
    }
}

#[test]
fn problems_are_named_one_by_one() {
    let claim = |node: &str, block: &str| format!("/calico/ipam/v2/host/{node}/ipv4/block/{block}");
    let handle = |name: &str| format!("/calico/ipam/v2/handle/{name}");
    type Deed = Box<dyn Fn(&Network)>;
    let table: Vec<(Deed, &[&str])> = vec![
        (
            Box::new(|net| net.put(BLOCK, "{")),
            &[
                "block 10.0.0.0/30: not a JSON object: EOF while parsing an object at line 1 column 1",
            ],
        ),
        (
            Box::new(move |net| net.delete(&claim("a", "10.0.0.0-30"))),
            &["block 10.0.0.0/30 is owned by node a, which has no claim on it"],
        ),
        (
            Box::new(move |net| {
                net.put(&claim("a", "10.0.0.0-30"), r#"{"state":"pendingDeletion"}"#)
            }),
            &["the claim of node a on its block 10.0.0.0/30 is pendingDeletion"],
        ),
        (
            Box::new(move |net| net.put(&claim("c", "10.0.0.8-30"), r#"{"state":"pending"}"#)),
            &["node c claims block 10.0.0.8/30, which is not there"],
        ),
        (
            Box::new(move |net| net.put(&claim("c", "10.0.0.0-30"), "")),
            &["node c claims block 10.0.0.0/30, which is owned by host:a"],
        ),
        (
            Box::new(move |net| net.put(&claim("c", "10.0.0.1-30"), "")),
            &["key /calico/ipam/v2/host/c/ipv4/block/10.0.0.1-30: this names no node or no block"],
        ),
        (
            Box::new(move |net| net.put(&claim("a", "10.0.0.0-30"), "[]")),
            &[
                "the value of key /calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30 cannot be read: not a JSON object: invalid type: sequence, expected an object at line 1 column 0",
            ],
        ),
        (
            Box::new(move |net| net.delete(&handle("x"))),
            &["handle \"x\" has 2 addresses and no record"],
        ),
        (
            Box::new(move |net| net.put(&handle("w"), r#"{"block":{"10.0.0.8/30":2}}"#)),
            &["handle \"w\" has a record and no address"],
        ),
        (
            Box::new(move |net| net.put(&handle("y"), r#"{"block":{"10.0.0.0/30":3}}"#)),
            &["handle \"y\" counts 3 addresses in block 10.0.0.0/30, and has 1"],
        ),
        (
            Box::new(move |net| net.put(&handle("y"), r#"{"block":{}}"#)),
            &["handle \"y\" counts 0 addresses in block 10.0.0.0/30, and has 1"],
        ),
        (
            Box::new(move |net| {
                net.put(
                    &handle("y"),
                    r#"{"block":{"10.0.0.0/30":1,"fd80::/122":4}}"#,
                )
            }),
            &[],
        ),
        (
            Box::new(move |net| net.put(&handle("v6"), r#"{"block":{"fd80::/122":4}}"#)),
            &[],
        ),
        (
            Box::new(|net| net.put("/calico/ipam/v2/host/a/ipv6/block/fd80::-122", "")),
            &[],
        ),
        (
            Box::new(|net| net.put("/calico/ipam/v2/assignment/ipv6/block/fd80::-122", "{")),
            &[],
        ),
        (
            Box::new(|net| {
                edit(
                    net,
                    BLOCK,
                    r#""affinity":"host:a""#,
                    r#""affinity":"virtual:lb""#,
                )
            }),
            &["node a claims block 10.0.0.0/30, which is owned by virtual:lb"],
        ),
        (
            Box::new(|net| {
                net.put(&key::pool("pool-0"), r#"{"metadata":{"name":"pool-0"},"spec":{"cidr":"10.0.0.0/28","blockSize":30,"nodeSelector":"has("}}"#)
            }),
            &["pool pool-0: "],
        ),
        (
            Box::new(|net| {
                net.put(
                    &key::pool("over"),
                    r#"{"metadata":{"name":"over"},"spec":{"cidr":"10.0.0.0/27","blockSize":30}}"#,
                )
            }),
            &["pool pool-0 overlaps pool over"],
        ),
        (
            Box::new(|net| net.put(&key::pool("pool-0"), "{")),
            &[
                "the value of key /calico/resources/v3/projectcalico.org/ippools/pool-0 cannot be read: not a JSON object: EOF while parsing an object at line 1 column 1",
            ],
        ),
        (
            Box::new(|net| net.put(&key::node(&node("n")), r#"{"metadata":{"name":"m"}}"#)),
            &[
                "key /calico/resources/v3/projectcalico.org/nodes/n: this is the value of key /calico/resources/v3/projectcalico.org/nodes/m",
            ],
        ),
        (
            Box::new(|net| {
                net.put(&key::reservation("r"), r#"{"metadata":{"name":"r"},"spec":{"reservedCIDRs":["10.0.0.0/33","fd80::1","10.0.0.9"]}}"#)
            }),
            &["reservation r: \"10.0.0.0/33\" is neither an address nor a prefix"],
        ),
        (
            Box::new(|net| {
                net.put(
                    &key::node(&node("n")),
                    r#"{"metadata":{"name":"n"},"spec":{"bgp":{"ipv4IPIPTunnelAddr":"10.0.0.0"}}}"#,
                )
            }),
            &["node n has the tunnel address 10.0.0.0, which is not assigned to it"],
        ),
    ];
    for (deed, expected) in table {
        let net = small();
        deed(&net);
        let report = net.ipam.check().unwrap();
        let found = messages(&report);
        assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}, not {expected}");
        }
        for found in &report.problems {
            for seen in &found.records {
                let stored = net.store.get(&seen.key).unwrap();
                assert_eq!(
                    stored.map(|record| record.revision),
                    seen.revision,
                    "{found:?}"
                );
            }
        }
    }
}

#[test]
fn blocks_of_an_earlier_block_size_are_found_with_what_is_assigned_twice() {
    let net = small();
    let large = r#"{"cidr":"10.0.0.0/29","affinity":null,"allocations":[0,null,null,null,0,null,null,null],"unallocated":[1,2,3,5,6,7],"attributes":[{"handle_id":"x"}]}"#;
    net.put("/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-29", large);
    assert_eq!(
        messages(&net.ipam.check().unwrap()),
        [
            "block 10.0.0.0/29 is not a /30, the size of the blocks of pool pool-0",
            "block 10.0.0.0/30 lies in block 10.0.0.0/29",
            "address 10.0.0.0 is assigned in block 10.0.0.0/30 and in block 10.0.0.0/29",
            "block 10.0.0.4/30 lies in block 10.0.0.0/29",
            "address 10.0.0.4 is assigned in block 10.0.0.4/30 and in block 10.0.0.0/29",
            "handle \"x\" counts 0 addresses in block 10.0.0.0/29, and has 2",
        ]
    );
    net.delete(&key::pool("pool-0"));
    let outside = messages(&net.ipam.check().unwrap());
    assert_eq!(
        outside
            .iter()
            .filter(|text| text.ends_with("is in no pool"))
            .count(),
        3,
        "{outside:?}"
    );
}

#[test]
fn what_calico_leaves_on_purpose_is_no_problem() {
    let net = small();
    // A Windows host's block is empty, and its handle has no record; an address cools down; a block that
    // was given up has addresses; no attribute says a node; sequence numbers of free ordinals are left.
    net.put(
        "/calico/ipam/v2/assignment/ipv4/block/10.0.0.8-30",
        r#"{"cidr":"10.0.0.8/30","affinity":null,"allocations":[0,1,2,null],"unallocated":[3],"attributes":[{"handle_id":"windows-reserved-ipam-handle","secondary":{"note":"windows host rsvd"}},{"releasedAt":"2026-08-22T13:40:00Z"},{}],"sequenceNumberForAllocation":{"3":7}}"#,
    );
    let report = net.ipam.check().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.checked.addresses, 7);
    assert_eq!(report.checked.blocks, 3);
}

#[test]
fn addresses_of_handles_that_are_not_alive_are_told_if_asked() {
    let (net, _) = timed(&[], 30);
    let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
    net.ipam
        .create_pool(&pool.with_ipip_mode(IpipMode::Always))
        .unwrap();
    net.ipam.put_node(&Node::new(node("a"))).unwrap();
    net.ipam.ensure_tunnel_address(&node("a")).unwrap();
    let assigned = ["x", "y"].map(|who| net.ipam.assign_any(&node("a"), &owner(who)).unwrap());
    net.ipam
        .assign_any(&node("a"), &Attribute::default())
        .unwrap();
    let live = HashSet::from([handle("x"), handle("other")]);
    let report = net.ipam.check_live(&live).unwrap();
    let expected = format!(
        "address {} is assigned to handle \"y\", which is not alive",
        assigned[1].addr
    );
    assert_eq!(messages(&report), [expected]);
    assert!(
        matches!(report.problems[0].problem, Problem::Leaked { sequence, .. } if sequence == assigned[1].sequence)
    );
    assert!(net.ipam.check().unwrap().is_clean());
    assert_eq!(net.ipam.config().unwrap(), AllocatorConfig::default());
}

#[test]
fn the_report_is_text_and_json() {
    let net = small();
    net.put("/calico/ipam/v2/handle/w", r#"{"block":{"10.0.0.8/30":2}}"#);
    let report = net.ipam.check().unwrap();
    assert_eq!(
        report.to_string(),
        "checked 1 pools, 2 blocks, 4 addresses, 4 handles, 2 claims\nhandle \"w\" has a record and no address\n1 problem found\n"
    );
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["taken"], "2026-08-22T13:33:20Z");
    assert_eq!(json["checked"]["handles"], 4);
    let problem = &json["problems"][0];
    assert_eq!(problem["kind"], "handleLeaked");
    assert_eq!(problem["handle"], "w");
    assert_eq!(problem["records"][0]["key"], "/calico/ipam/v2/handle/w");
    assert_eq!(problem["records"][0]["revision"], json["revision"]);
}

/// Kind and subject of each problem, as the naive check names them.
fn subjects(report: &Report) -> BTreeSet<String> {
    let subject = |problem: &Problem| match problem {
        Problem::Unreadable { key, .. } | Problem::Misplaced { key, .. } => key.clone(),
        Problem::HandleCount { handle, block, .. } => format!("{handle} {block}"),
        Problem::HandleMissing { handle, .. } | Problem::HandleLeaked { handle } => handle.clone(),
        Problem::ClaimUnconfirmed { node, block, .. }
        | Problem::ClaimWithoutBlock { node, block }
        | Problem::ClaimOfOther { node, block, .. } => format!("{node} {block}"),
        Problem::Duplicated { addr, .. } => addr.to_string(),
        other => other.block().unwrap().to_string(),
    };
    let problems = report.problems.iter().map(|found| &found.problem);
    problems
        .map(|problem| format!("{} {}", problem.kind(), subject(problem)))
        .collect()
}

fn stored(net: &Network) -> BTreeMap<String, String> {
    let records = net.store.list("/calico/ipam/").unwrap().entries;
    records
        .into_iter()
        .map(|r| (r.key, String::from_utf8(r.value.to_vec()).unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Any damage: the same problems as the naive check finds, and a repair that touches nothing else
    /// than it says.
    #[test]
    fn any_damage_is_found_and_repaired_as_far_as_is_certain(deeds in prop::collection::vec(damage::damage(), 1..5)) {
        let (net, clock) = timed(&["10.0.0.0/28"], 30);
        for (name, at, who) in [("a", "10.0.0.0", "x"), ("a", "10.0.0.1", "y"), ("b", "10.0.0.4", "x"), ("b", "10.0.0.6", "z"), ("b", "10.0.0.13", "x")] {
            net.ipam.assign(&node(name), addr(at), &owner(who)).unwrap();
        }
        for deed in &deeds {
            Damage::apply(deed, &net);
        }
        let report = net.ipam.check().unwrap();
        prop_assert_eq!(subjects(&report), naive::problems(&stored(&net)), "{:?}", stored(&net));
        net.ipam.usage().unwrap();

        let before = damage::assigned(&stored(&net));
        clock.wait(90);
        let repaired = net.ipam.repair(&report).unwrap();
        prop_assert_eq!(&damage::assigned(&stored(&net)), &before, "nothing is assigned or released");
        prop_assert_eq!(repaired.repaired.len() + repaired.left.len(), report.problems.len());
        // What one repair changed may have hidden another problem: a few rounds reach an end.
        let mut last = net.ipam.check().unwrap();
        for _ in 0..4 {
            clock.wait(90);
            net.ipam.repair(&last).unwrap();
            last = net.ipam.check().unwrap();
        }
        clock.wait(90);
        let end = net.ipam.repair(&last).unwrap();
        prop_assert_eq!(end.repaired, vec![], "{:?}", stored(&net));
        prop_assert_eq!(damage::assigned(&stored(&net)), before);
        prop_assert_eq!(subjects(&last), naive::problems(&stored(&net)));
    }
}
