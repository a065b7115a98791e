//! What others left in the store: half-done claims, newer fields, damage.

use ipip_core::datastore::{Commit, Outcome, Store, key};
use ipip_core::ipam::IpamErrorKind;
use ipip_core::resource::{Block, Release, Sequence};

use crate::support::{BLOCK, CLAIM, addr, handle, network, node, owner};

#[test]
fn claims_left_half_done_are_completed() {
    let confirmed = r#"{"state":"confirmed","deleted":false}"#;
    for claim in [
        "",
        r#"{"state":"pending"}"#,
        r#"{"state":"pendingDeletion","deleted":false}"#,
    ] {
        let net = network(&["192.168.0.0/16"], 26);
        net.put(CLAIM, claim);
        let assigned = net.ipam.assign_any(&node("node1"), &owner("h")).unwrap();
        assert_eq!(
            assigned.addr,
            addr("192.168.166.128"),
            "claim without a block: {claim}"
        );
        assert_eq!(net.value(CLAIM).unwrap(), confirmed);

        net.put(CLAIM, claim);
        let assigned = net.ipam.assign_any(&node("node1"), &owner("h")).unwrap();
        assert_eq!(
            assigned.addr,
            addr("192.168.166.129"),
            "claim of an own block: {claim}"
        );
        let kept = if claim.is_empty() { "" } else { confirmed };
        assert_eq!(
            net.value(CLAIM).unwrap(),
            kept,
            "an empty one counts as confirmed"
        );

        net.put(CLAIM, r#"{"state":"pending"}"#);
        let prefix = "192.168.166.128/26".parse().unwrap();
        assert!(!net.ipam.claim(&node("node1"), prefix).unwrap().newly);
        assert_eq!(net.value(CLAIM).unwrap(), confirmed);
    }
}

/// Calico gives a block up in three writes: the claim is pendingDeletion, the block is deleted at the
/// revision that was read, the claim is deleted. Whoever confirms the claim after the first must make
/// the second fail, or the node has a claim and no block.
#[test]
fn confirming_a_claim_stops_a_release_that_is_under_way() {
    let net = network(&["192.168.0.0/16"], 26);
    let prefix = "192.168.166.128/26".parse().unwrap();
    net.ipam.claim(&node("node1"), prefix).unwrap();
    net.put(CLAIM, r#"{"state":"pendingDeletion","deleted":false}"#);
    let read = net.store.get(BLOCK).unwrap().unwrap();
    net.ipam.claim(&node("node1"), prefix).unwrap();
    let mut second = Commit::new();
    second.expect(BLOCK, Some(read.revision)).delete(BLOCK);
    assert_eq!(net.store.commit(second).unwrap(), Outcome::Conflict);
    let before = Block::from_json(&read.value).unwrap().sequence();
    let block = net.ipam.block_of(addr("192.168.166.128")).unwrap().unwrap();
    assert_eq!(block.sequence(), Sequence(before.0 + 1));
}

#[test]
fn a_stale_claim_is_removed_and_its_block_left_alone() {
    let net = network(&["192.168.0.0/16"], 26);
    net.ipam
        .claim(&node("other"), "192.168.166.128/26".parse().unwrap())
        .unwrap();
    net.put(CLAIM, "");
    let block = net.value(BLOCK);
    let assigned = net.ipam.assign_any(&node("node1"), &owner("h")).unwrap();
    assert_ne!(assigned.block.to_string(), "192.168.166.128/26");
    assert_eq!((net.value(CLAIM), net.value(BLOCK)), (None, block));
}

#[test]
fn an_address_is_released_without_its_pool_and_without_its_handles_record() {
    let net = network(&["192.168.0.0/16"], 27);
    let assigned = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let mut gone = Commit::new();
    gone.delete(&key::pool("pool-0"))
        .delete("/calico/ipam/v2/handle/h");
    let _ = net.store.commit(gone).unwrap();
    assert_eq!(
        net.ipam
            .block_of(assigned.addr)
            .unwrap()
            .unwrap()
            .used_count(),
        1
    );
    let released = net.ipam.release(&Release::of(assigned.addr)).unwrap();
    assert_eq!(released.handle.as_deref(), Some("h"));
    assert!(net.ipam.blocks().unwrap()[0].is_empty());
}

#[test]
fn a_handle_counts_its_addresses_and_an_overcount_is_harmless() {
    let net = network(&["192.168.1.0/24"], 26);
    let first = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let second = net.ipam.assign_any(&node("b"), &owner("h")).unwrap();
    let third = net.ipam.assign_any(&node("b"), &owner("h")).unwrap();
    let text = net.value("/calico/ipam/v2/handle/h").unwrap();
    assert!(text.contains(&format!(r#""{}":1"#, first.block)), "{text}");
    assert!(text.contains(&format!(r#""{}":2"#, second.block)), "{text}");
    net.ipam.release(&Release::of(second.addr)).unwrap();
    net.ipam.release(&Release::of(first.addr)).unwrap();
    let text = net.value("/calico/ipam/v2/handle/h").unwrap();
    assert_eq!(
        text,
        format!(r#"{{"block":{{"{}":1}},"deleted":false}}"#, third.block)
    );
    let over = text.replace(":1}", r#":7,"192.168.9.0/26":3}"#);
    net.put("/calico/ipam/v2/handle/h", &over);
    let released = net.ipam.release_handle(&handle("h")).unwrap();
    assert_eq!(
        released.iter().map(|r| r.addr).collect::<Vec<_>>(),
        [third.addr]
    );
    assert_eq!(net.value("/calico/ipam/v2/handle/h"), None);
}

#[test]
fn blocks_of_another_size_in_the_way_are_noticed() {
    let net = network(&["10.0.0.0/25"], 26);
    let small = Block::new("10.0.0.32/28".parse().unwrap(), Sequence(1));
    let text = String::from_utf8(small.to_json()).unwrap();
    net.put("/calico/ipam/v2/assignment/ipv4/block/10.0.0.32-28", &text);
    net.put("/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-26", "");
    let overlap = "block 10.0.0.0/26 overlaps block 10.0.0.32/28";
    net.refuses(
        |ipam| ipam.claim(&node("a"), "10.0.0.0/26".parse().unwrap()),
        IpamErrorKind::Taken,
        overlap,
    );
    net.refuses(
        |ipam| ipam.assign(&node("a"), addr("10.0.0.1"), &owner("h")),
        IpamErrorKind::Taken,
        overlap,
    );
    for _ in 0..64 {
        let assigned = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
        assert_eq!(assigned.block.to_string(), "10.0.0.64/26");
    }
    net.refuses(
        |ipam| ipam.assign_any(&node("a"), &owner("h")),
        IpamErrorKind::Exhausted,
        "nothing is left for node a in pools: pool-0",
    );
}

#[test]
fn damaged_values_are_named_by_key_and_rule() {
    let net = network(&["192.168.0.0/16"], 26);
    net.ipam
        .assign(&node("node1"), addr("192.168.166.128"), &owner("h"))
        .unwrap();
    let good = net.records();
    let handles = "/calico/ipam/v2/handle/h";
    for (key, value, rule) in [
        (
            BLOCK,
            "{",
            "cannot be read: not a JSON object: EOF while parsing an object at line 1 column 1",
        ),
        (
            BLOCK,
            r#"{"cidr":"192.168.166.128/26"}"#,
            "cannot be read: allocations has 0 entries, block 192.168.166.128/26 has 64 addresses",
        ),
        (
            BLOCK,
            r#"{"cidr":"10.0.0.0/32","allocations":[null],"unallocated":[0]}"#,
            "is that of block 10.0.0.0/32",
        ),
        (
            CLAIM,
            r#"{"state":"x"}"#,
            "cannot be read: field state: \"x\" is not pending, confirmed or pendingDeletion",
        ),
        (
            handles,
            r#"{"block":[]}"#,
            "cannot be read: field block: invalid type: sequence, expected a map at line 1 column 0",
        ),
    ] {
        net.put(key, value);
        let message = format!("the value of key {key} {rule}");
        net.refuses(
            |ipam| ipam.assign_any(&node("node1"), &owner("h")),
            IpamErrorKind::Damaged,
            &message,
        );
        if key != CLAIM {
            net.refuses(
                |ipam| ipam.release(&Release::of(addr("192.168.166.128"))),
                IpamErrorKind::Damaged,
                &message,
            );
        }
        for (key, value) in &good {
            net.put(key, value);
        }
    }
    let pool = key::pool("pool-0");
    let value = net.value(&pool).unwrap().replace("\"pool-0\"", "\"other\"");
    net.put(&pool, &value);
    let message = format!("the value of key {pool} is that of pool other");
    net.refuses(|ipam| ipam.pools(), IpamErrorKind::Damaged, &message);
}

#[test]
fn fields_of_a_newer_calico_survive_assigning_and_releasing() {
    let net = network(&["192.168.0.0/16"], 26);
    net.ipam
        .assign(&node("node1"), addr("192.168.166.128"), &owner("h"))
        .unwrap();
    for key in [BLOCK, CLAIM, "/calico/ipam/v2/handle/h"] {
        let value = net.value(key).unwrap().replace(
            r#""deleted":false}"#,
            r#""deleted":false,"new":{"x":18446744073709551616}}"#,
        );
        net.put(key, &value.replace("confirmed", "pending"));
    }
    net.ipam.assign_any(&node("node1"), &owner("h")).unwrap();
    net.ipam
        .release(&Release::of(addr("192.168.166.128")))
        .unwrap();
    for (key, value) in net.records() {
        assert!(
            value.ends_with(r#""deleted":false,"new":{"x":18446744073709551616}}"#),
            "{key}: {value}"
        );
    }
    assert!(net.value(CLAIM).unwrap().contains("confirmed"));
}

#[test]
fn a_claim_of_another_size_without_a_block_makes_none() {
    let net = network(&["10.0.0.0/25"], 26);
    let claim = "/calico/ipam/v2/host/a/ipv4/block/10.0.0.64-28";
    net.put(claim, "");
    for _ in 0..128 {
        let assigned = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
        assert_eq!(assigned.block.prefix(), 26);
    }
    assert_eq!(
        net.value(claim).as_deref(),
        Some(""),
        "left to whoever wrote it"
    );
}
