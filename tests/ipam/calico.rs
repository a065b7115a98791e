//! Calico's own behaviour, row by row: the same counts, the same kind of outcome, our wording.

use ipip_core::ipam::{Assignments, IpamErrorKind, Request, Shortfall};
use ipip_core::resource::{AllocatorConfig, Block, Release};

use crate::support::{Network, addr, handle, network, node, owner};

const POOL: &str = "192.168.1.0/24";

fn ask(net: &Network, name: &str, count: u32) -> Assignments {
    let request = Request::new(node(name), count, owner("h"));
    net.ipam.assign_many(&request).unwrap()
}

/// How many were assigned, how many of them borrowed, and what was said of the rest.
fn told(assignments: &Assignments) -> (usize, usize, String) {
    let borrowed = assignments.assigned.iter().filter(|one| one.borrowed);
    let shortfall = assignments.shortfall.as_ref();
    let shortfall = shortfall.map(ToString::to_string).unwrap_or_default();
    (assignments.assigned.len(), borrowed.count(), shortfall)
}

fn strict() -> AllocatorConfig {
    let mut config = AllocatorConfig::default();
    config.strict_affinity = true;
    config
}

#[test]
fn auto_assign_256() {
    let net = network(&[POOL], 26);
    let all = ask(&net, "a", 256);
    assert_eq!(told(&all), (256, 0, String::new()));
    let mut addrs: Vec<_> = all.assigned.iter().map(|one| one.addr).collect();
    addrs.sort_unstable();
    let pool: ipnetwork::Ipv4Network = POOL.parse().unwrap();
    assert_eq!(addrs, pool.iter().collect::<Vec<_>>(), "first and last too");
}

#[test]
fn auto_assign_257() {
    let net = network(&[POOL], 26);
    let message = "no address is left in pools: pool-0".to_owned();
    assert_eq!(told(&ask(&net, "a", 257)), (256, 0, message.clone()));
    assert_eq!(told(&ask(&net, "a", 1)), (0, 0, message));
}

#[test]
fn all_of_a_pool_one_by_one_and_then_one_more() {
    for (cidr, len, count) in [
        (POOL, 26, 256),
        ("10.0.0.0/30", 32, 4),
        ("10.0.0.0/22", 23, 1024),
    ] {
        let net = network(&[cidr], len);
        let pool: ipnetwork::Ipv4Network = cidr.parse().unwrap();
        let mut addrs: Vec<_> = (0..count)
            .map(|_| net.ipam.assign_any(&node("a"), &owner("h")).unwrap().addr)
            .collect();
        addrs.sort_unstable();
        assert_eq!(addrs, pool.iter().collect::<Vec<_>>(), "each once");
        net.refuses(
            |ipam| ipam.assign_any(&node("a"), &owner("h")),
            IpamErrorKind::Exhausted,
            "nothing is left for node a in pools: pool-0",
        );
    }
}

#[test]
fn auto_assign_256_with_max_blocks_per_host() {
    for (limit, count) in [(1, 64), (2, 128)] {
        let of_request = network(&[POOL], 26);
        let request = Request {
            max_blocks: Some(limit),
            ..Request::new(node("a"), 256, owner("h"))
        };
        let found = of_request.ipam.assign_many(&request).unwrap();
        let message = format!("its blocks are full, and it may have no more than {limit} of them");
        assert_eq!(told(&found), (count, 0, message.clone()));
        of_request.ipam.claim_any(&node("b")).unwrap();
        let more = of_request.ipam.assign_many(&request).unwrap();
        assert_eq!(told(&more), (0, 0, message.clone()), "nor does it borrow");

        let of_config = network(&[POOL], 26);
        let mut config = strict();
        config.max_blocks_per_node = limit;
        of_config.ipam.set_config(&config).unwrap();
        assert_eq!(told(&ask(&of_config, "a", 256)), (count, 0, message));
        of_config.refuses(
            |ipam| ipam.assign_any(&node("a"), &owner("h")),
            IpamErrorKind::Exhausted,
            &format!(
                "nothing is assigned to node a: its blocks are full, and it may have no more than {limit} of them"
            ),
        );
    }
}

#[test]
fn auto_assign_256_strict_from_a_requested_pool() {
    let net = network(&["192.168.1.0/26", "192.168.1.64/26"], 26);
    net.ipam.set_config(&strict()).unwrap();
    let request = Request {
        pools: vec!["192.168.1.0/26".parse().unwrap()],
        ..Request::new(node("a"), 256, owner("h"))
    };
    let found = net.ipam.assign_many(&request).unwrap();
    let message = "no block is left in pools: pool-0, and strict affinity forbids to borrow";
    assert_eq!(told(&found), (64, 0, message.to_owned()));
    let pool = &request.pools[0];
    assert!(found.assigned.iter().all(|one| pool.contains(one.addr)));
}

#[test]
fn two_hosts_share_two_blocks() {
    let net = network(&["10.0.0.0/25"], 26);
    let first = ask(&net, "host-a", 1);
    assert_eq!(told(&first), (1, 0, String::new()));
    let other = ask(&net, "host-b", 1);
    assert_eq!(told(&other), (1, 0, String::new()));
    assert_ne!(first.assigned[0].block, other.assigned[0].block);
    let rest = ask(&net, "host-a", 64);
    assert_eq!(told(&rest), (64, 1, String::new()), "63 own and 1 borrowed");
    let borrowed = rest.assigned.iter().find(|one| one.borrowed).unwrap();
    assert_eq!(borrowed.block, other.assigned[0].block);
    let block = net.ipam.block_of(borrowed.addr).unwrap().unwrap();
    assert_eq!(block.affinity().unwrap().to_string(), "host:host-b");
    let attribute = block.attribute_of(borrowed.addr).unwrap();
    assert_eq!(attribute.secondary()["node"], "host-a", "who routes it");
}

#[test]
fn assign_ip_outside_every_pool() {
    let net = network(&[POOL], 26);
    net.refuses(
        |ipam| ipam.assign(&node("a"), addr("1.1.1.1"), &owner("h")),
        IpamErrorKind::Invalid,
        "address 1.1.1.1 is outside every pool",
    );
}

#[test]
fn assign_ip_twice() {
    let net = network(&[POOL], 26);
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
fn release_ips_that_nobody_has() {
    let net = network(&[POOL], 26);
    let free = [addr("1.1.1.1"), addr("192.168.1.0")];
    let many = net.ipam.release_many(&free.map(Release::of)).unwrap();
    assert_eq!(many.not_assigned, free);
    assert!(many.released.is_empty() && many.refused.is_empty());
    net.ipam.claim_any(&node("a")).unwrap();
    let many = net.ipam.release_many(&free.map(Release::of)).unwrap();
    assert_eq!(many.not_assigned, free, "nor where there is a block");
    for free in free {
        net.refuses(
            |ipam| ipam.release(&Release::of(free)),
            IpamErrorKind::NotFound,
            &format!("address {free} is not assigned"),
        );
    }
}

#[test]
fn auto_assign_66_and_release_all() {
    let net = network(&[POOL], 26);
    let assigned = ask(&net, "a", 66).assigned;
    let blocks = net.ipam.blocks_of(&node("a")).unwrap();
    let used: Vec<_> = blocks.iter().map(Block::used_count).collect();
    assert_eq!(used.iter().sum::<usize>(), 66);
    assert_eq!(used.len(), 2, "a second block only when the first is full");
    let releases: Vec<_> = assigned.iter().map(|one| Release::of(one.addr)).collect();
    let many = net.ipam.release_many(&releases).unwrap();
    assert_eq!(many.released.len(), 66);
    assert!(many.not_assigned.is_empty() && many.refused.is_empty());
    assert!(net.ipam.blocks().unwrap().iter().all(Block::is_empty));
    assert_eq!(net.value("/calico/ipam/v2/handle/h"), None);
}

#[test]
fn auto_assign_66_and_release_by_handle() {
    let net = network(&[POOL], 26);
    let assigned = ask(&net, "a", 66).assigned;
    let known = net.ipam.addresses_of(&handle("h")).unwrap();
    let mut addrs: Vec<_> = assigned.iter().map(|one| one.addr).collect();
    addrs.sort_unstable();
    assert_eq!(known.iter().map(|one| one.0).collect::<Vec<_>>(), addrs);
    assert!(known.iter().all(|one| one.1.secondary()["node"] == "a"));
    assert_eq!(net.ipam.release_handle(&handle("h")).unwrap().len(), 66);
    assert!(net.ipam.blocks().unwrap().iter().all(Block::is_empty));
    assert_eq!(net.ipam.addresses_of(&handle("h")).unwrap(), []);
    net.refuses(
        |ipam| ipam.release_handle(&handle("h")),
        IpamErrorKind::NotFound,
        "handle \"h\" has no addresses",
    );
}

/// How many blocks of the pool `name` can claim, and how many it cannot.
fn claims(net: &Network, name: &str) -> (usize, usize) {
    let pool = &net.ipam.pools().unwrap()[0];
    let claims = pool
        .blocks()
        .map(|block| net.ipam.claim(&node(name), block.into()));
    let (claimed, failed): (Vec<_>, Vec<_>) = claims.partition(Result::is_ok);
    (claimed.len(), failed.len())
}

#[test]
fn claim_affinity_of_one_block() {
    let net = network(&["192.168.1.0/26"], 26);
    assert_eq!(claims(&net, "a"), (1, 0));
}

#[test]
fn claim_affinity_smaller_than_a_block() {
    let net = network(&[POOL], 26);
    let size = |cidr| format!("block {cidr} is not a /26, the size of the blocks of pool pool-0");
    let outside = |cidr| format!("block {cidr} is outside every pool");
    for (prefix, message) in [
        ("192.168.1.0/27", size("192.168.1.0/27")),
        ("192.168.1.0/25", size("192.168.1.0/25")),
        ("192.168.2.0/26", outside("192.168.2.0/26")),
        ("192.168.0.0/23", outside("192.168.0.0/23")),
        (
            "192.168.0.0/16",
            "block 192.168.0.0/16 has a prefix length outside /20 to /32".to_owned(),
        ),
        (
            "192.168.1.1/26",
            "block \"192.168.1.1/26\": 192.168.1.1/26 has host bits set, the prefix is 192.168.1.0/26"
                .to_owned(),
        ),
    ] {
        net.refuses(
            |ipam| ipam.claim(&node("a"), prefix.parse().unwrap()),
            IpamErrorKind::Invalid,
            &message,
        );
    }
}

#[test]
fn claim_affinity_where_another_host_has_an_address() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam
        .assign(&node("host-a"), addr("10.0.0.1"), &owner("h"))
        .unwrap();
    assert_eq!(claims(&net, "host-b"), (3, 1));
    assert_eq!(claims(&net, "host-b"), (3, 1), "and again");
    assert_eq!(claims(&net, "host-a"), (1, 3));
    net.refuses(
        |ipam| ipam.claim(&node("host-a"), "10.0.0.64/26".parse().unwrap()),
        IpamErrorKind::Taken,
        "block 10.0.0.64/26 is owned by host:host-b",
    );
}

#[test]
fn claim_affinity_of_a_pool_by_two_hosts() {
    let net = network(&["10.0.0.0/24"], 26);
    assert_eq!(claims(&net, "host-a"), (4, 0));
    assert_eq!(claims(&net, "host-b"), (0, 4));
}

#[test]
fn assign_ip_in_the_block_of_another_host() {
    let net = network(&["10.0.0.0/24"], 26);
    let theirs = net
        .ipam
        .assign(&node("host-a"), addr("10.0.0.1"), &owner("h"));
    assert!(!theirs.unwrap().borrowed);
    let ours = net
        .ipam
        .assign(&node("host-b"), addr("10.0.0.2"), &owner("h"));
    assert!(ours.unwrap().borrowed);
    net.ipam.set_config(&strict()).unwrap();
    net.refuses(
        |ipam| ipam.assign(&node("host-b"), addr("10.0.0.3"), &owner("h")),
        IpamErrorKind::Taken,
        "block 10.0.0.0/26 is owned by host:host-a",
    );
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
    let net = network(&["10.0.0.0/31"], 31);
    let first = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let other = net.ipam.assign_any(&node("a"), &owner("g")).unwrap();
    let old = Release::of(first.addr)
        .from_handle(handle("h"))
        .at(first.sequence);
    net.ipam.release(&old).unwrap();
    let second = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert_eq!(second.addr, first.addr);
    let message = "address 10.0.0.0 was assigned at sequence number 1787405600123456792, not at 1787405600123456789";
    net.refuses(|ipam| ipam.release(&old), IpamErrorKind::Taken, message);
    net.refuses(
        |ipam| ipam.release(&Release::of(first.addr).from_handle(handle("g"))),
        IpamErrorKind::Taken,
        "address 10.0.0.0 is assigned with handle \"h\", not with handle \"g\"",
    );
    let before = net.records();
    let many = net
        .ipam
        .release_many(&[Release::of(other.addr), old])
        .unwrap();
    assert!(many.released.is_empty(), "nor what stands beside it");
    assert_eq!(many.refused[0].block.to_string(), "10.0.0.0/31");
    assert_eq!(many.refused[0].error.to_string(), message);
    assert_eq!(net.records(), before);
}

#[test]
fn duplicates_in_one_release_call() {
    let net = network(&["10.0.0.0/26"], 26);
    let assigned = ask(&net, "a", 3).assigned;
    let release = Release::of(assigned[0].addr);
    let named = release.clone().from_handle(handle("h"));
    let many = net
        .ipam
        .release_many(&[release.clone(), named, release])
        .unwrap();
    assert_eq!(many.released.len(), 1);
    let counted = r#"{"block":{"10.0.0.0/26":2},"deleted":false}"#;
    let stored = net.value("/calico/ipam/v2/handle/h");
    assert_eq!(stored.as_deref(), Some(counted));
}

#[test]
fn auto_allocation_switched_off() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam.claim_any(&node("a")).unwrap();
    let mut config = strict();
    config.auto_allocate_blocks = false;
    net.ipam.set_config(&config).unwrap();
    let found = ask(&net, "a", 65);
    assert_eq!(found.assigned.len(), 64);
    assert_eq!(found.shortfall, Some(Shortfall::AutoAllocationOff));
    assert_eq!(
        ask(&net, "b", 1).shortfall,
        Some(Shortfall::AutoAllocationOff)
    );
}

#[test]
fn a_node_has_at_most_twenty_blocks_unless_somebody_says_otherwise() {
    // calico issues 4861 and 9462: a limit that no document told; empty and single blocks count.
    let net = network(&["10.0.0.0/24"], 32);
    for _ in 0..4 {
        net.ipam.claim_any(&node("a")).unwrap();
    }
    let found = ask(&net, "a", 40);
    assert_eq!(found.assigned.len(), 20);
    assert_eq!(found.shortfall, Some(Shortfall::BlockLimit { limit: 20 }));
    let request = Request {
        max_blocks: Some(30),
        ..Request::new(node("a"), 40, owner("h"))
    };
    assert_eq!(net.ipam.assign_many(&request).unwrap().assigned.len(), 10);
}

#[test]
fn counts_that_make_no_sense() {
    let net = network(&["10.0.0.0/24"], 26);
    for count in [0, Request::COUNT_MAX + 1, 1_000_000_000] {
        net.refuses(
            |ipam| ipam.assign_many(&Request::new(node("a"), count, owner("h"))),
            IpamErrorKind::Invalid,
            &format!("{count} addresses were asked for, 1 to 1048576 are allowed at once"),
        );
    }
}
