//! The vectors hold a block as Calico stores it: fresh, with the tunnel address and two pods, and
//! after podA was released.

mod model;

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::name::NodeName;
use crate::resource::{BlockError, ResourceError};

const FRESH: &str = include_str!("vectors/fresh.json");
const TWO_PODS: &str = include_str!("vectors/two_pods.json");
const RELEASED_A: &str = include_str!("vectors/released_a.json");
const CREATED: Sequence = Sequence(1_787_405_600_123_456_789);

fn read(text: &str) -> Result<Block, ResourceError> {
    Block::from_json(text.trim_end().as_bytes())
}

fn written(block: &Block) -> String {
    String::from_utf8(block.to_json()).unwrap() + "\n"
}

fn handle(text: &str) -> HandleId {
    HandleId::try_new(text).unwrap()
}

fn owner(text: &str) -> Attribute {
    Attribute::new(Some(handle(text)))
}

fn addr(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn node1() -> Affinity {
    Affinity::Host(NodeName::try_new("node1").unwrap())
}

fn small(len: u8) -> Block {
    Block::new(format!("10.0.0.0/{len}").parse().unwrap(), Sequence(100))
}

const POD_A: &str =
    "k8s-pod-network.3a1f0c5e9d7b4c2a8e6f1b0d9c8a7e6f5d4c3b2a190817263544536271808f9e";
const POD_B: &str =
    "k8s-pod-network.b7c6d5e4f3a291807f6e5d4c3b2a1908172635445362718090a1b2c3d4e5f607";

#[test]
fn calicos_own_json_is_reproduced_step_by_step() {
    let claimed_at = UNIX_EPOCH + Duration::new(1_787_405_600, 123_456_789);
    let prefix = "192.168.166.128/26".parse().unwrap();
    let mut block = Block::new(prefix, CREATED).claimed_by(node1(), claimed_at);
    let time = r#""affinity_claim_time":"2026-08-22T13:33:20Z","#;
    let with_time =
        |text: &str| text.replacen(r#""allocations""#, &format!(r#"{time}"allocations""#), 1);
    assert_eq!(written(&block), with_time(FRESH));

    let pod = |id: &str, name: &str, time: &str| {
        let pod = owner(id).with("namespace", "default").with("pod", name);
        pod.with("node", "node1").with("timestamp", time)
    };
    let tunnel = owner("ipip-tunnel-addr-node1")
        .with("node", "node1")
        .with("type", "ipipTunnelAddress");
    block.assign_any(tunnel).unwrap();
    block
        .assign_any(pod(
            POD_A,
            "podA",
            "2026-08-22 13:33:20.123456789 +0000 UTC",
        ))
        .unwrap();
    block
        .assign_any(pod(
            POD_B,
            "podB",
            "2026-08-22 13:33:21.000000001 +0000 UTC",
        ))
        .unwrap();
    assert_eq!(written(&block), with_time(TWO_PODS));

    let release = Release::of(addr("192.168.166.129")).from_handle(handle(POD_A));
    let released = block.release(&release).unwrap();
    assert_eq!(released.handle.as_deref(), Some(POD_A));
    assert_eq!(written(&block), with_time(RELEASED_A));
}

#[test]
fn stored_blocks_survive_reading_and_writing() {
    for text in [FRESH, TWO_PODS, RELEASED_A] {
        assert_eq!(written(&read(text).unwrap()), text);
    }
    let empty = TWO_PODS.replace(
        r#""deleted":false"#,
        r#""deleted":true,"zz":{"n": 1e999},"a":9007199254740993"#,
    );
    assert_eq!(written(&read(&empty).unwrap()), empty, "unknown fields");
    let mut block = small(31);
    assert!(
        written(&block).contains(r#""attributes":null"#),
        "as Go writes a nil slice"
    );
    block.assign_any(owner("h")).unwrap();
    block.release_handle(&handle("h"));
    assert!(
        written(&block).contains(r#""attributes":[]"#),
        "as Go writes an empty one"
    );
    assert_eq!(read(&written(&block)).unwrap(), block);
}

#[test]
fn sequence_keys_are_sorted_as_text() {
    let mut block = small(26);
    for _ in 0..12 {
        block.assign_any(owner("h")).unwrap();
    }
    let text = written(&block);
    let at = text.find("sequenceNumberForAllocation").unwrap();
    assert!(
        text[at..].contains(r#"{"0":100,"1":101,"10":110,"11":111,"2":102,"3":103"#),
        "{text}"
    );
}

#[test]
fn legacy_and_missing_forms_are_read() {
    let block = |fields: &str| {
        let block = read(&format!(r#"{{"cidr":"10.0.0.0/31",{fields}}}"#));
        block.map_err(|error| format!("{fields}: {error}")).unwrap()
    };
    let free = r#""allocations":[null,null],"unallocated":[1,0]"#;
    let bare = block(free);
    assert_eq!((bare.affinity(), bare.sequence()), (None, Sequence(0)));
    assert_eq!(
        bare.free().map(|a| a.octets()[3]).collect::<Vec<_>>(),
        [1, 0]
    );
    for (fields, affinity) in [
        (r#""affinity":null"#, None),
        (r#""affinity":"""#, None),
        (r#""affinity":"","hostAffinity":"node1""#, Some(node1())),
        (r#""affinity":null,"hostAffinity":"node1""#, Some(node1())),
        (
            r#""hostAffinity":"other","affinity":"host:node1""#,
            Some(node1()),
        ),
        (r#""AFFINITY":"host:node1""#, Some(node1())),
        (
            r#""affinity":"virtual:lb""#,
            Some(Affinity::Virtual("lb".into())),
        ),
    ] {
        assert_eq!(
            block(&format!("{free},{fields}")).affinity(),
            affinity.as_ref(),
            "{fields}"
        );
    }
    let assigned = r#""allocations":[0,null],"unallocated":[1]"#;
    let stray = r#""attributes":[{"handle_id":"h"},{"handle_id":"stray"}]"#;
    for sequences in [
        "",
        r#","sequenceNumberForAllocation":null"#,
        r#","sequenceNumberForAllocation":{"1":7}"#,
    ] {
        let mut block = block(&format!("{assigned},{stray}{sequences}"));
        assert_eq!(block.sequence_of(addr("10.0.0.0")), Some(Sequence(0)));
        block
            .release(&Release::of(addr("10.0.0.0")).at(Sequence(0)))
            .unwrap();
        assert!(
            written(&block).contains(r#""attributes":[],"#),
            "a stray attribute goes with the next release"
        );
    }
}

#[test]
fn broken_blocks_are_refused_with_the_rule() {
    for (fields, message) in [
        (
            "",
            "allocations has 0 entries, block 10.0.0.0/31 has 2 addresses",
        ),
        (
            r#","allocations":[null]"#,
            "allocations has 1 entries, block 10.0.0.0/31 has 2 addresses",
        ),
        (
            r#","allocations":[0,null],"unallocated":[1]"#,
            "allocations[0] is 0, attributes has 0 entries",
        ),
        (
            r#","allocations":[null,-1],"unallocated":[0],"attributes":[{}]"#,
            "allocations[1] is -1, attributes has 1 entries",
        ),
        (
            r#","allocations":[null,null],"unallocated":[0]"#,
            "ordinal 1 is neither assigned nor in unallocated",
        ),
        (
            r#","allocations":[null,null]"#,
            "ordinal 0 is neither assigned nor in unallocated",
        ),
        (
            r#","allocations":[null,null],"unallocated":[0,1,0]"#,
            "unallocated holds ordinal 0 twice",
        ),
        (
            r#","allocations":[null,0],"unallocated":[0,1],"attributes":[{}]"#,
            "unallocated holds ordinal 1 which is assigned",
        ),
        (
            r#","allocations":[null,null],"unallocated":[0,2]"#,
            "unallocated holds 2, block 10.0.0.0/31 has ordinals 0 to 1",
        ),
        (
            r#","allocations":[null,null],"unallocated":[0,-1]"#,
            "unallocated holds -1, block 10.0.0.0/31 has ordinals 0 to 1",
        ),
        (
            r#","allocations":[null,null],"unallocated":[0,1],"sequenceNumberForAllocation":{"2":1}"#,
            "sequenceNumberForAllocation has the key \"2\", block 10.0.0.0/31 has ordinals 0 to 1",
        ),
        (
            r#","allocations":[null,null],"unallocated":[0,1],"sequenceNumberForAllocation":{"01":1}"#,
            "sequenceNumberForAllocation has the key \"01\", block 10.0.0.0/31 has ordinals 0 to 1",
        ),
    ] {
        let text = format!(r#"{{"cidr":"10.0.0.0/31"{fields}}}"#);
        assert_eq!(read(&text).unwrap_err().to_string(), message, "{text}");
    }
    for (text, start) in [
        ("{}", "field cidr is missing"),
        (
            r#"{"cidr":"10.0.0.0/19"}"#,
            "block 10.0.0.0/19 has a prefix length outside /20 to /32",
        ),
        (
            r#"{"cidr":"fd80::/122"}"#,
            "block \"fd80::/122\": not an IPv4 prefix",
        ),
        (r#"{"cidr":7}"#, "field cidr: "),
        (
            r#"{"cidr":"10.0.0.0/32","allocations":[null],"unallocated":[0],"sequenceNumber":1.5}"#,
            "field sequenceNumber: ",
        ),
        (
            r#"{"cidr":"10.0.0.0/32","allocations":[null],"unallocated":[0],"sequenceNumber":-1}"#,
            "field sequenceNumber: ",
        ),
        (&TWO_PODS[..900], "not a JSON object: "),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(start), "{text}: {error}");
    }
}

#[test]
fn a_released_address_comes_back_last() {
    let mut block = small(29);
    for round in 0..3 {
        for place in 0..8 {
            let assigned = block.assign_any(owner("h")).unwrap();
            assert_eq!(assigned.addr.octets()[3], place, "round {round}");
            block.release(&Release::of(assigned.addr)).unwrap();
        }
    }
}

/// Attributes that nothing points to are dropped now and then: none that is in use gets another's
/// place by that.
#[test]
fn many_owners_come_and_go_and_each_keeps_its_own() {
    let mut block = small(29);
    block.assign_any(owner("stays")).unwrap();
    let mut held: VecDeque<(Ipv4Addr, String)> = VecDeque::new();
    for number in 0..200 {
        let name = format!("h{number}");
        let assigned = block.assign_any(owner(&name)).unwrap();
        held.push_back((assigned.addr, name));
        if held.len() > 3 {
            let (addr, name) = held.pop_front().unwrap();
            let released = block.release(&Release::of(addr)).unwrap();
            assert_eq!(released.handle, Some(name));
        }
        for (addr, name) in &held {
            let found = block.attribute_of(*addr).and_then(Attribute::handle);
            assert_eq!(found, Some(name.as_str()));
        }
        assert_eq!(read(&written(&block)).unwrap(), block);
    }
    let attribute = block.attribute_of(addr("10.0.0.0")).unwrap();
    assert_eq!(attribute.handle(), Some("stays"));
}

#[test]
fn a_full_block_refuses_and_stays() {
    let mut block = small(32);
    block.assign_any(owner("h")).unwrap();
    let before = block.clone();
    let error = block.assign_any(owner("h")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "block 10.0.0.0/32 is full, all 1 addresses are assigned"
    );
    let error = block.assign(addr("10.0.0.0"), owner("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "address 10.0.0.0 is already assigned with handle \"h\""
    );
    let error = block.assign(addr("10.0.0.1"), owner("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "address 10.0.0.1 is outside block 10.0.0.0/32"
    );
    assert_eq!(block, before);
}

#[test]
fn release_with_stale_sequence_or_other_handle_is_refused() {
    let mut block = small(32);
    let first = block.assign_any(owner("h")).unwrap();
    block
        .release(&Release::of(first.addr).at(first.sequence))
        .unwrap();
    let second = block.assign_any(owner("h")).unwrap();
    let before = block.clone();
    for (release, message) in [
        (
            Release::of(first.addr)
                .from_handle(handle("h"))
                .at(first.sequence),
            "address 10.0.0.0 was assigned at sequence number 102, not at 100",
        ),
        (
            Release::of(first.addr)
                .from_handle(handle("g"))
                .at(second.sequence),
            "address 10.0.0.0 is assigned with handle \"h\", not with handle \"g\"",
        ),
    ] {
        assert_eq!(block.release(&release).unwrap_err().to_string(), message);
    }
    assert_eq!(block, before);
    block
        .release(
            &Release::of(first.addr)
                .from_handle(handle("h"))
                .at(second.sequence),
        )
        .unwrap();
    let error = block.release(&Release::of(first.addr)).unwrap_err();
    assert_eq!(error.to_string(), "address 10.0.0.0 is not assigned");
}

#[test]
fn an_address_cooling_down_is_neither_free_nor_owned() {
    let text = r#"{"cidr":"10.0.0.0/31","allocations":[0,null],"unallocated":[1],"attributes":[{"releasedAt":"2026-08-22T13:40:00Z"}]}"#;
    let mut block = read(text).unwrap();
    assert!(matches!(
        block.assign(addr("10.0.0.0"), owner("h")),
        Err(BlockError::AlreadyAssigned { .. })
    ));
    assert!(matches!(
        block.release(&Release::of(addr("10.0.0.0"))),
        Err(BlockError::NotAssigned { .. })
    ));
    assert_eq!(block.assign_any(owner("h")).unwrap().addr, addr("10.0.0.1"));
    assert!(block.assign_any(owner("h")).is_err());
}

/// Somebody else's block may hold more attributes than 16 bits can number, if nothing points to most of them.
#[test]
fn attributes_that_nothing_points_to_leave_room_for_an_assignment() {
    let unused = vec!["{}"; 65_535].join(",");
    let mut block = read(&format!(
        r#"{{"cidr":"10.0.0.0/31","allocations":[0,null],"unallocated":[1],"attributes":[{{"handle_id":"a"}},{unused}]}}"#
    ))
    .unwrap();
    let assigned = block.assign_any(owner("h")).unwrap().addr;
    let handle = |addr| block.attribute_of(addr).and_then(Attribute::handle);
    assert_eq!(handle(assigned), Some("h"));
    assert_eq!(handle(addr("10.0.0.0")), Some("a"));
}

#[test]
fn the_count_of_changes_wraps() {
    let mut block = Block::new("10.0.0.0/31".parse().unwrap(), Sequence(u64::MAX));
    let assigned = block.assign_any(owner("h")).unwrap();
    assert_eq!(
        (assigned.sequence, block.sequence()),
        (Sequence(u64::MAX), Sequence(0))
    );
    block.orphan();
    assert_eq!(
        (block.affinity(), block.claim_time(), block.sequence()),
        (None, None, Sequence(1))
    );
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in ".{0,64}", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let _ = Block::from_json(text.as_bytes());
        let mut bytes = TWO_PODS.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(block) = Block::from_json(&bytes) {
            prop_assert_eq!(Block::from_json(&block.to_json()), Ok(block));
        }
    }
}
