//! What stands in the store after claiming, assigning, releasing and giving up.

use ipip_core::ipam::{BlockRelease, IpamErrorKind};
use ipip_core::resource::{Release, Sequence};

use crate::support::{BLOCK, CLAIM, addr, network, node, owner};

#[test]
fn the_store_holds_what_calico_would_write() {
    let net = network(&["192.168.0.0/16"], 26);
    let n = node("node1");
    let claimed = net
        .ipam
        .claim(&n, "192.168.166.128/26".parse().unwrap())
        .unwrap();
    assert!(claimed.newly);
    let pod = owner("k8s-pod-network.3a1f")
        .with("namespace", "default")
        .with("pod", "podA");
    let assigned = net.ipam.assign(&n, addr("192.168.166.129"), &pod).unwrap();
    assert_eq!(assigned.block.to_string(), "192.168.166.128/26");
    assert_eq!(assigned.sequence, Sequence(1_787_405_600_123_456_789));
    let list = |from: usize, to: usize| {
        let numbers: Vec<_> = (from..to).map(|n| n.to_string()).collect();
        numbers.join(",")
    };
    let free = vec!["null"; 62].join(",");
    let block = format!(
        concat!(
            r#"{{"cidr":"192.168.166.128/26","affinity":"host:node1","#,
            r#""affinity_claim_time":"2026-08-22T13:33:20Z","#,
            r#""allocations":[null,0,{}],"unallocated":[0,{}],"#,
            r#""attributes":[{{"handle_id":"k8s-pod-network.3a1f","secondary":"#,
            r#"{{"namespace":"default","node":"node1","pod":"podA"}}}}],"#,
            r#""sequenceNumber":1787405600123456790,"#,
            r#""sequenceNumberForAllocation":{{"1":1787405600123456789}},"deleted":false}}"#,
        ),
        free,
        list(2, 64)
    );
    assert_eq!(
        net.value("/calico/ipam/v2/host/node1").as_deref(),
        Some("{}"),
        "the node as an owner, as Calico writes it"
    );
    let handle = r#"{"block":{"192.168.166.128/26":1},"deleted":false}"#;
    let claim = r#"{"state":"confirmed","deleted":false}"#;
    let expected = [
        (BLOCK, block.as_str()),
        ("/calico/ipam/v2/handle/k8s-pod-network.3a1f", handle),
        (CLAIM, claim),
    ];
    assert_eq!(
        net.records(),
        expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );

    net.ipam.release(&Release::of(assigned.addr)).unwrap();
    let keys: Vec<_> = net.records().into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        [BLOCK, CLAIM],
        "the handle's record ends with its last address"
    );
}

#[test]
fn nodes_take_different_blocks_and_full_pools_are_passed_over() {
    let net = network(&["10.0.0.0/27", "10.1.0.0/24"], 28);
    let blocks: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| net.ipam.assign_any(&node(name), &owner("h")).unwrap().block)
        .collect();
    for (number, block) in blocks.iter().enumerate() {
        assert!(!blocks[..number].contains(block), "{blocks:?}");
        let pool = if number < 2 {
            "10.0.0.0/27"
        } else {
            "10.1.0.0/24"
        };
        let pool: ipnetwork::Ipv4Network = pool.parse().unwrap();
        assert!(block.is_subnet_of(pool), "{blocks:?}");
    }
    let more = net.ipam.claim_any(&node("a")).unwrap();
    assert!(more.newly && !blocks.contains(&more.block));
    assert_eq!(net.ipam.blocks_of(&node("a")).unwrap().len(), 2);
    assert_eq!(net.ipam.blocks().unwrap().len(), 5);
    assert!(!net.ipam.claim(&node("a"), more.block).unwrap().newly);
}

#[test]
fn a_block_outlives_its_owner_until_its_last_address_is_released() {
    let net = network(&["192.168.0.0/16"], 26);
    let (a, prefix) = (node("node1"), "192.168.166.128/26".parse().unwrap());
    let assigned = net
        .ipam
        .assign(&a, addr("192.168.166.130"), &owner("h"))
        .unwrap();
    assert_eq!(
        net.ipam.release_block(&a, prefix).unwrap(),
        BlockRelease::Orphaned
    );
    assert_eq!(net.value(CLAIM), None);
    assert!(
        net.value(BLOCK)
            .unwrap()
            .contains(r#""affinity":null,"allocations""#)
    );
    assert!(net.ipam.blocks_of(&a).unwrap().is_empty());
    net.refuses(
        |ipam| ipam.claim(&a, prefix),
        IpamErrorKind::Taken,
        "block 192.168.166.128/26 is owned by nobody, and still in use",
    );
    net.ipam.release(&Release::of(assigned.addr)).unwrap();
    assert_eq!(net.records(), []);
    assert!(net.ipam.claim(&a, prefix).unwrap().newly);
    assert_eq!(
        net.ipam.release_block(&a, prefix).unwrap(),
        BlockRelease::Deleted
    );
    assert_eq!(net.records(), []);
    net.refuses(
        |ipam| ipam.release_block(&a, prefix),
        IpamErrorKind::NotFound,
        "node node1 has no block 192.168.166.128/26",
    );
    net.ipam.claim(&node("b"), prefix).unwrap();
    net.refuses(
        |ipam| ipam.release_block(&a, prefix),
        IpamErrorKind::Taken,
        "block 192.168.166.128/26 is owned by host:b",
    );
}
