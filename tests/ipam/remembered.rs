//! What an allocator remembers of a node's latest block is compared: whatever another one changed
//! since, the next assignment is as if everything was read.

use std::sync::Arc;

use ipip_core::datastore::{Memory, key};
use ipip_core::ipam::{Ambient, Ipam, IpamErrorKind};
use ipip_core::resource::{Release, Reservation};

use super::support::{Network, addr, handle, network, node, owner};

const FIRST: &str = "10.0.0.0/26";

/// A network whose allocator remembers a block of node a, and another allocator on the same store.
fn remembered() -> (Network, Ipam) {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam.claim(&node("a"), FIRST.parse().unwrap()).unwrap();
    for name in ["first", "second"] {
        let assigned = net.ipam.assign_any(&node("a"), &owner(name)).unwrap();
        assert_eq!(assigned.block.to_string(), FIRST);
    }
    let other = Ipam::new(Arc::<Memory>::clone(&net.store), Ambient::system());
    (net, other)
}

#[test]
fn a_pool_that_another_disabled_gives_nothing() {
    let (net, other) = remembered();
    other.disable_pool("pool-0").unwrap();
    net.refuses(
        |ipam| ipam.assign_any(&node("a"), &owner("x")),
        IpamErrorKind::Exhausted,
        "there is no enabled pool for this node and use",
    );
}

#[test]
fn a_claim_that_is_given_up_is_confirmed_again() {
    let (net, _) = remembered();
    let claim = key::affinity(&node("a"), FIRST.parse().unwrap());
    net.put(&claim, r#"{"state":"pendingDeletion"}"#);
    net.ipam.assign_any(&node("a"), &owner("x")).unwrap();
    let now = net.value(&claim).unwrap();
    assert!(now.contains(r#""confirmed""#), "{now}");
}

#[test]
fn a_claim_without_which_the_block_stands_is_made_again() {
    let (net, _) = remembered();
    let claim = key::affinity(&node("a"), FIRST.parse().unwrap());
    net.delete(&claim);
    let assigned = net.ipam.assign_any(&node("a"), &owner("x")).unwrap();
    assert_ne!(
        assigned.block.to_string(),
        FIRST,
        "not by a claim that is gone"
    );
}

#[test]
fn a_block_that_another_gave_up_is_not_the_nodes_any_more() {
    let (net, other) = remembered();
    other
        .release_block(&node("a"), FIRST.parse().unwrap())
        .unwrap();
    let assigned = net.ipam.assign_any(&node("a"), &owner("x")).unwrap();
    assert_ne!(assigned.block.to_string(), FIRST);
    assert!(!assigned.borrowed);
}

#[test]
fn a_handle_that_another_made_counts_both() {
    let (net, other) = remembered();
    let elsewhere = other.assign_any(&node("b"), &owner("x")).unwrap();
    let here = net.ipam.assign_any(&node("a"), &owner("x")).unwrap();
    let held = net.ipam.addresses_of(&handle("x")).unwrap();
    let mut held: Vec<_> = held.into_iter().map(|(addr, _)| addr).collect();
    let mut expected = vec![elsewhere.addr, here.addr];
    held.sort_unstable();
    expected.sort_unstable();
    assert_eq!(held, expected);
}

#[test]
fn what_another_reserved_is_passed_over() {
    let (net, other) = remembered();
    let next = Reservation::try_new("next", &["10.0.0.2/32".parse().unwrap()]);
    other.create_reservation(&next.unwrap()).unwrap();
    let assigned = net.ipam.assign_any(&node("a"), &owner("x")).unwrap();
    assert_eq!(assigned.addr, addr("10.0.0.3"));
}

#[test]
fn an_address_that_another_assigned_is_released_with_the_others() {
    let (net, other) = remembered();
    let more = other.assign_any(&node("a"), &owner("first")).unwrap();
    let released = net.ipam.release_handle(&handle("first")).unwrap();
    let released: Vec<_> = released.iter().map(|one| one.addr).collect();
    assert_eq!(released, [addr("10.0.0.0"), more.addr]);
    assert!(other.release(&Release::of(more.addr)).is_err());
}

#[test]
fn an_address_that_another_released_in_a_full_block_is_found() {
    let net = network(&["10.0.0.0/24"], 30);
    let other = Ipam::new(Arc::<Memory>::clone(&net.store), Ambient::system());
    let assign = |name: &str| net.ipam.assign_any(&node("a"), &owner(name)).unwrap();
    // Three blocks, and three looks through those that are full.
    let all: Vec<_> = (0..12).map(|n| assign(&n.to_string())).collect();
    for gone in [all[1], all[6], all[11], all[1]] {
        other.release(&Release::of(gone.addr)).unwrap();
        assert_eq!(assign("again").addr, gone.addr);
    }
    assert!(all.iter().all(|one| one.block != assign("new").block));
}
