//! What a repair mends, what it leaves, and that it holds what the check saw.

use ipip_core::datastore::{Commit, Store, key};
use ipip_core::ipam::{Ipam, Repaired, Why};
use ipip_core::resource::Sequence;

use crate::race::raced;
use crate::support::{Network, addr, handle, node, owner, timed};

const BLOCK: &str = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30";
const CLAIM: &str = "/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30";
const HANDLE: &str = "/calico/ipam/v2/handle/x";

/// Addresses of `x` in blocks of `a` and `b`, and of `y` in that of `a`.
fn net() -> (Network, crate::support::Clock) {
    let (net, clock) = timed(&["10.0.0.0/28"], 30);
    for (name, at, who) in [
        ("a", "10.0.0.0", "x"),
        ("a", "10.0.0.1", "y"),
        ("b", "10.0.0.4", "x"),
    ] {
        net.ipam.assign(&node(name), addr(at), &owner(who)).unwrap();
    }
    (net, clock)
}

fn repaired(ipam: &Ipam) -> Repaired {
    ipam.repair(&ipam.check().unwrap()).unwrap()
}

#[test]
fn what_is_certain_becomes_as_it_was() {
    let pending = r#"{"state":"pending"}"#;
    let too_low = r#"{"block":{"10.0.0.0/30":0}}"#;
    for (key, damage) in [(CLAIM, pending), (HANDLE, too_low)] {
        for damage in [None, Some(damage)] {
            let (net, _) = net();
            let whole = net.value(key).unwrap();
            match damage {
                Some(text) => net.put(key, text),
                None => net.delete(key),
            }
            let repaired = repaired(&net.ipam);
            assert!(
                !repaired.repaired.is_empty() && repaired.left.is_empty(),
                "{repaired}"
            );
            let found: serde_json::Value = serde_json::from_str(&net.value(key).unwrap()).unwrap();
            let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
            assert_eq!(
                (&found["block"], &found["deleted"]),
                (&whole["block"], &whole["deleted"])
            );
            assert!(net.ipam.check().unwrap().is_clean());
        }
    }
}

#[test]
fn a_queue_is_mended_in_its_order_and_counts_as_one_change() {
    for (queue, mended) in [
        ("[]", "[2,3]"),
        ("[3]", "[3,2]"),
        ("[3,0,3,9,-1,null]", "[3,2]"),
        ("null", "[2,3]"),
    ] {
        let (net, _) = net();
        let text = net.value(BLOCK).unwrap();
        let damaged = text.replace(
            r#""unallocated":[2,3]"#,
            &format!(r#""unallocated":{queue}"#),
        );
        let damaged = damaged.replace(
            r#""sequenceNumberForAllocation":{"#,
            r#""sequenceNumberForAllocation":{"7":1,"#,
        );
        net.put(BLOCK, &damaged);
        let before = text.split(r#""sequenceNumber":"#).nth(1).unwrap();
        let before: u64 = before.split(',').next().unwrap().parse().unwrap();
        let done = repaired(&net.ipam);
        assert!(done.left.is_empty(), "{queue}: {done}");
        let after = net.value(BLOCK).unwrap();
        assert!(
            after.contains(&format!(r#""unallocated":{mended}"#)),
            "{queue}: {after}"
        );
        let block = net.ipam.block_of(addr("10.0.0.0")).unwrap().unwrap();
        assert_eq!(block.sequence(), Sequence(before + 1));
        assert!(net.ipam.check().unwrap().is_clean());
        net.ipam.assign_any(&node("a"), &owner("z")).unwrap();
    }
}

#[test]
fn who_has_an_address_is_never_guessed() {
    for (from, to) in [
        (
            r#""allocations":[0,1,null,null]"#,
            r#""allocations":[0,9,null,null]"#,
        ),
        (
            r#""allocations":[0,1,null,null]"#,
            r#""allocations":[0,1,null]"#,
        ),
        (r#""cidr":"10.0.0.0/30""#, r#""cidr":"10.0.0.8/30""#),
        (r#""attributes":["#, r#""attributes":7,"x":["#),
    ] {
        let (net, clock) = net();
        let damaged = net.value(BLOCK).unwrap().replace(from, to);
        net.put(BLOCK, &damaged);
        let report = net.ipam.check().unwrap();
        clock.wait(90);
        let repaired = net.ipam.repair(&report).unwrap();
        assert!(!repaired.left.is_empty(), "{to}");
        assert!(
            repaired.left.iter().all(|left| left.why == Why::Uncertain),
            "{repaired}"
        );
        assert_eq!(net.value(BLOCK).unwrap(), damaged);
        assert_eq!(repaired.repaired, [], "{repaired}");
    }
}

#[test]
fn a_count_that_is_too_high_may_be_an_assignment_under_way() {
    let leaked = "/calico/ipam/v2/handle/leaked";
    let (net, clock) = net();
    net.put(leaked, r#"{"block":{"10.0.0.8/30":1}}"#);
    net.put(HANDLE, r#"{"block":{"10.0.0.0/30":3,"10.0.0.4/30":1}}"#);
    let report = net.ipam.check().unwrap();
    clock.wait(89);
    let early = net.ipam.repair(&report).unwrap();
    assert_eq!(
        early.left.iter().map(|left| &left.why).collect::<Vec<_>>(),
        [&Why::Recent; 2]
    );
    assert!(early.repaired.is_empty());
    clock.wait(1);
    let late = net.ipam.repair(&report).unwrap();
    assert_eq!((late.repaired.len(), late.left.len()), (2, 0), "{late}");
    assert_eq!(net.value(leaked), None);
    assert!(net.ipam.check().unwrap().is_clean());
    // Too low is never on the way: Calico counts before it assigns.
    net.put(HANDLE, r#"{"block":{"10.0.0.0/30":1}}"#);
    assert_eq!(repaired(&net.ipam).repaired.len(), 1);
    assert_eq!(net.ipam.release_handle(&handle("x")).unwrap().len(), 2);
}

#[test]
fn whatever_changed_since_the_check_is_left_alone() {
    let (net, clock) = net();
    net.delete(CLAIM);
    net.put("/calico/ipam/v2/host/c/ipv4/block/10.0.0.4-30", "");
    net.put("/calico/ipam/v2/handle/leaked", r#"{"block":{}}"#);
    let damaged = net
        .value(BLOCK)
        .unwrap()
        .replace(r#""unallocated":[2,3]"#, r#""unallocated":[]"#);
    net.put(BLOCK, &damaged);
    let report = net.ipam.check().unwrap();
    for found in &report.problems {
        // Whoever writes one of the records, unchanged, is somebody who was faster.
        let seen = found
            .records
            .iter()
            .find(|seen| seen.revision.is_some())
            .unwrap();
        let mut touch = Commit::new();
        touch.put(
            &seen.key,
            net.store.get(&seen.key).unwrap().unwrap().value.to_vec(),
        );
        let _ = net.store.commit(touch).unwrap();
    }
    clock.wait(90);
    let before = net.store.list("/").unwrap();
    let repaired = net.ipam.repair(&report).unwrap();
    assert!(repaired.repaired.is_empty(), "{repaired}");
    assert!(
        repaired.left.iter().all(|left| left.why == Why::Changed),
        "{repaired}"
    );
    assert_eq!(net.store.list("/").unwrap(), before);
}

#[test]
fn a_change_between_the_reading_and_the_writing_is_noticed() {
    let (ipam, store) = raced(
        |ipam, store| {
            ipam.assign(&node("a"), addr("10.0.0.0"), &owner("h"))
                .unwrap();
            let mut gone = Commit::new();
            gone.delete(&key::handle(&handle("h")));
            let _ = store.commit(gone).unwrap();
        },
        |ipam, _| {
            ipam.assign(&node("a"), addr("10.0.0.1"), &owner("h"))
                .unwrap();
        },
    );
    let first = repaired(&ipam);
    assert_eq!((first.repaired.len(), first.left.len()), (0, 1));
    assert_eq!(repaired(&ipam).repaired.len(), 1);
    assert!(ipam.check().unwrap().is_clean());
    assert!(store.get("/calico/ipam/v2/handle/h").unwrap().is_some());
}

#[test]
fn stale_claims_and_empty_orphans_go() {
    let (net, _) = net();
    let stale = ["c/ipv4/block/10.0.0.0-30", "c/ipv4/block/10.0.0.12-30"];
    let stale = stale.map(|rest| format!("/calico/ipam/v2/host/{rest}"));
    stale
        .iter()
        .for_each(|claim| net.put(claim, r#"{"state":"pending"}"#));
    let orphan = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.8-30";
    net.put(orphan, r#"{"cidr":"10.0.0.8/30","affinity":null,"allocations":[null,null,null,null],"unallocated":[0,1,2,3]}"#);
    let repaired = repaired(&net.ipam);
    assert_eq!(
        (repaired.repaired.len(), repaired.left.len()),
        (3, 0),
        "{repaired}"
    );
    assert!(stale.iter().all(|claim| net.value(claim).is_none()));
    assert_eq!(net.value(orphan), None);
    let json: serde_json::Value = serde_json::from_str(&repaired.to_json()).unwrap();
    assert_eq!(json["repaired"][0]["kind"], "blockOrphaned");
}

/// Calico gives a block up in three writes, the block second: whoever confirms the claim after the first
/// makes the second fail, as the block is written too.
#[test]
fn confirming_a_claim_counts_as_a_change_of_its_block() {
    let (net, _) = net();
    let before = net
        .ipam
        .block_of(addr("10.0.0.0"))
        .unwrap()
        .unwrap()
        .sequence();
    net.put(CLAIM, r#"{"state":"pendingDeletion"}"#);
    assert_eq!(repaired(&net.ipam).repaired.len(), 1);
    let after = net
        .ipam
        .block_of(addr("10.0.0.0"))
        .unwrap()
        .unwrap()
        .sequence();
    assert_eq!(after, Sequence(before.0 + 1));
}

#[test]
fn what_others_mend_is_said() {
    let (net, _) = net();
    net.put(
        &key::node(&node("n")),
        r#"{"metadata":{"name":"n"},"spec":{"bgp":{"ipv4IPIPTunnelAddr":"10.0.0.0"}}}"#,
    );
    let report = net
        .ipam
        .check_live(&std::collections::HashSet::from([handle("x")]))
        .unwrap();
    let repaired = net.ipam.repair(&report).unwrap();
    assert_eq!(
        repaired.to_string(),
        "left: address 10.0.0.1 is assigned to handle \"y\", which is not alive: collection releases it after its time of grace\n\
         left: node n has the tunnel address 10.0.0.0, which is not assigned to it: the node mends it when it ensures its tunnel address\n"
    );
}
