//! Calico's own behaviour, row by row: the same counts, the same kind of outcome, our wording.

use ipip_core::ipam::IpamErrorKind;
use ipip_core::resource::{Block, Release};

use crate::support::{addr, handle, network, node, owner};

#[test]
fn all_of_a_pool_and_then_one_more() {
    for (cidr, len, count) in [
        ("192.168.1.0/24", 26, 256),
        ("10.0.0.0/30", 32, 4),
        ("10.0.0.0/22", 23, 1024),
    ] {
        let net = network(&[cidr], len);
        let pool: ipnetwork::Ipv4Network = cidr.parse().unwrap();
        let mut addrs: Vec<_> = (0..count)
            .map(|_| net.ipam.assign_any(&node("a"), &owner("h")).unwrap().addr)
            .collect();
        addrs.sort_unstable();
        assert_eq!(
            addrs,
            pool.iter().collect::<Vec<_>>(),
            "each once, first and last too"
        );
        net.refuses(
            |ipam| ipam.assign_any(&node("a"), &owner("h")),
            IpamErrorKind::Exhausted,
            "no block is left for node a in pools: pool-0",
        );
    }
}

#[test]
fn an_address_outside_every_pool() {
    let net = network(&["192.168.1.0/24"], 26);
    net.refuses(
        |ipam| ipam.assign(&node("a"), addr("1.1.1.1"), &owner("h")),
        IpamErrorKind::Invalid,
        "address 1.1.1.1 is outside every pool",
    );
    for free in ["1.1.1.1", "192.168.1.0"] {
        net.refuses(
            |ipam| ipam.release(&Release::of(addr(free))),
            IpamErrorKind::NotFound,
            &format!("address {free} is not assigned"),
        );
    }
}

#[test]
fn the_same_address_twice() {
    let net = network(&["192.168.1.0/24"], 26);
    net.ipam
        .assign(&node("a"), addr("192.168.1.0"), &owner("h"))
        .unwrap();
    net.refuses(
        |ipam| ipam.assign(&node("a"), addr("192.168.1.0"), &owner("g")),
        IpamErrorKind::Taken,
        "address 192.168.1.0 is already assigned with handle \"h\"",
    );
}

#[test]
fn sixty_six_assigned_and_all_released() {
    let net = network(&["192.168.1.0/24"], 26);
    for _ in 0..66 {
        net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    }
    let blocks = net.ipam.blocks_of(&node("a")).unwrap();
    let used: Vec<_> = blocks.iter().map(Block::used_count).collect();
    assert_eq!(used.iter().sum::<usize>(), 66);
    assert_eq!(used.len(), 2, "a second block only when the first is full");
    assert_eq!(net.ipam.release_handle(&handle("h")).unwrap().len(), 66);
    assert!(net.ipam.blocks().unwrap().iter().all(Block::is_empty));
    assert_eq!(net.value("/calico/ipam/v2/handle/h"), None);
    net.refuses(
        |ipam| ipam.release_handle(&handle("h")),
        IpamErrorKind::NotFound,
        "handle \"h\" has no addresses",
    );
}

#[test]
fn claims_of_two_hosts() {
    let net = network(&["10.0.0.0/24"], 26);
    let pool = &net.ipam.pools().unwrap()[0];
    net.ipam
        .assign(&node("host-a"), addr("10.0.0.1"), &owner("h"))
        .unwrap();
    let claim = |name: &str| {
        let claims = pool
            .blocks()
            .map(|block| net.ipam.claim(&node(name), block.into()));
        claims.filter(Result::is_ok).count()
    };
    assert_eq!(claim("host-b"), 3, "one is host-a's");
    assert_eq!(claim("host-b"), 3, "and again");
    assert_eq!(claim("host-a"), 1);
    net.refuses(
        |ipam| ipam.claim(&node("host-a"), "10.0.0.64/26".parse().unwrap()),
        IpamErrorKind::Taken,
        "block 10.0.0.64/26 is owned by host:host-b",
    );
    net.refuses(
        |ipam| ipam.assign(&node("host-b"), addr("10.0.0.2"), &owner("h")),
        IpamErrorKind::Taken,
        "block 10.0.0.0/26 is owned by host:host-a",
    );
}

#[test]
fn a_claim_smaller_than_a_block() {
    let net = network(&["192.168.1.0/24"], 26);
    for (prefix, message) in [
        (
            "192.168.1.0/27",
            "block 192.168.1.0/27 is not a /26, the size of the blocks of pool pool-0",
        ),
        (
            "192.168.1.0/25",
            "block 192.168.1.0/25 is not a /26, the size of the blocks of pool pool-0",
        ),
        (
            "192.168.2.0/26",
            "block 192.168.2.0/26 is outside every pool",
        ),
        (
            "192.168.0.0/23",
            "block 192.168.0.0/23 is outside every pool",
        ),
        (
            "192.168.0.0/16",
            "block 192.168.0.0/16 has a prefix length outside /20 to /32",
        ),
        (
            "192.168.1.1/26",
            "block \"192.168.1.1/26\": 192.168.1.1/26 has host bits set, the prefix is 192.168.1.0/26",
        ),
    ] {
        net.refuses(
            |ipam| ipam.claim(&node("a"), prefix.parse().unwrap()),
            IpamErrorKind::Invalid,
            message,
        );
    }
}

#[test]
fn every_address_once_before_the_first_comes_again() {
    let net = network(&["10.0.0.0/26"], 26);
    let mut addrs = Vec::new();
    for _ in 0..65 {
        let assigned = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
        net.ipam.release(&Release::of(assigned.addr)).unwrap();
        addrs.push(assigned.addr);
    }
    assert_eq!(addrs[64], addrs[0]);
    addrs.truncate(64);
    addrs.sort_unstable();
    addrs.dedup();
    assert_eq!(addrs.len(), 64);
}

#[test]
fn a_release_with_an_old_sequence_number() {
    let net = network(&["10.0.0.0/32"], 32);
    let first = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let old = Release::of(first.addr)
        .from_handle(handle("h"))
        .at(first.sequence);
    net.ipam.release(&old).unwrap();
    let second = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert_eq!(second.addr, first.addr);
    net.refuses(
        |ipam| ipam.release(&old),
        IpamErrorKind::Taken,
        "address 10.0.0.0 was assigned at sequence number 1787405600123456791, not at 1787405600123456789",
    );
    net.refuses(
        |ipam| ipam.release(&Release::of(first.addr).from_handle(handle("g"))),
        IpamErrorKind::Taken,
        "address 10.0.0.0 is assigned with handle \"h\", not with handle \"g\"",
    );
}
