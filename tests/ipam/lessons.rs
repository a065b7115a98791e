//! What users of Calico met, and told in its issues: one test each, with the story.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::{Commit, Listing, Memory, Outcome, Record, Store, StoreError, key};
use ipip_core::ipam::{Ambient, Ipam, Request};
use ipip_core::resource::{
    AllocatorConfig, Block, Node, Pool, Release, Reservation, Selector, Sequence, Use,
};

use crate::pass_on::pass_on;
use crate::support::{Network, addr, handle, network, node, owner};

/// A network whose clock the returned number moves on, in seconds.
fn timed(cidr: &str, len: u8) -> (Network, Arc<AtomicU64>) {
    let store = Arc::new(Memory::new());
    let time = Arc::new(AtomicU64::new(1_787_405_600));
    let clock = Arc::clone(&time);
    let ambient = Ambient::system()
        .with_clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Relaxed)))
        .with_random(|| 0)
        .with_pause(|_| ());
    let ipam = Ipam::new(Arc::<Memory>::clone(&store), ambient);
    let pool = Pool::try_new("p", cidr.parse().unwrap(), len).unwrap();
    ipam.create_pool(&pool).unwrap();
    (Network { store, ipam }, time)
}

fn reserve(net: &Network, cidrs: &[&str]) {
    let cidrs: Vec<_> = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
    let reservation = Reservation::try_new("r", &cidrs).unwrap();
    let text = String::from_utf8(reservation.to_json()).unwrap();
    net.put(&key::reservation("r"), &text);
}

/// calico issues 7987, 8454, 11149, 4975: in a small pool the blocks of nodes that have no pods any
/// more starved those that had.
#[test]
fn an_empty_block_of_another_node_is_taken_over_after_a_minute() {
    let (net, time) = timed("10.0.0.0/29", 30);
    for name in ["a", "b"] {
        let first = net.ipam.assign_any(&node(name), &owner(name)).unwrap();
        net.ipam.assign_any(&node(name), &owner(name)).unwrap();
        if name == "b" {
            net.ipam.release_handle(&handle("b")).unwrap();
        } else {
            net.ipam.release(&Release::of(first.addr)).unwrap();
        }
    }
    let theirs = net.ipam.blocks_of(&node("b")).unwrap().remove(0);
    time.fetch_add(59, Relaxed);
    let early = net.ipam.assign_any(&node("c"), &owner("early")).unwrap();
    assert!(early.borrowed, "its node may be about to use it");
    net.ipam.release_handle(&handle("early")).unwrap();
    time.fetch_add(1, Relaxed);
    let late = net.ipam.assign_any(&node("c"), &owner("late")).unwrap();
    assert!(!late.borrowed);
    assert_eq!(late.block, theirs.prefix().into());
    assert!(net.ipam.blocks_of(&node("b")).unwrap().is_empty());
    let claim = key::affinity(&node("b"), theirs.prefix().into());
    assert_eq!(net.value(&claim), None, "its claim ends with it");
    let block = net.ipam.block_of(late.addr).unwrap().unwrap();
    assert!(
        block.sequence() > theirs.sequence(),
        "old numbers do not return"
    );
}

/// calico issues 4152, 6968, 12638: an address that was somebody else's a second ago still gets that
/// one's packets, and its policy.
#[test]
fn a_released_address_cools_down() {
    let (net, time) = timed("10.0.0.0/31", 31);
    let mut config = AllocatorConfig::default();
    config.cooldown = Duration::from_secs(30);
    net.ipam.set_config(&config).unwrap();
    let first = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let second = net.ipam.assign_any(&node("a"), &owner("g")).unwrap();
    net.ipam.release(&Release::of(first.addr)).unwrap();
    net.ipam.release_handle(&handle("g")).unwrap();
    for handle_key in ["h", "g"] {
        assert_eq!(net.value(&key::handle(&handle(handle_key))), None);
    }
    let block = net.ipam.block_of(first.addr).unwrap().unwrap();
    let cooling = block.attribute_of(first.addr).unwrap();
    assert_eq!(cooling.released_at(), Some("2026-08-22T13:33:20Z"));
    assert_eq!((block.free_count(), block.is_empty()), (0, false));
    let again = [Release::of(first.addr)];
    let many = net.ipam.release_many(&again).unwrap();
    assert_eq!(many.not_assigned, [first.addr], "nobody's to release");
    assert!(
        net.ipam
            .assign(&node("a"), first.addr, &owner("x"))
            .is_err()
    );
    time.fetch_add(30, Relaxed);
    assert!(net.ipam.assign_any(&node("a"), &owner("x")).is_err());
    time.fetch_add(1, Relaxed);
    let back = net.ipam.assign_any(&node("a"), &owner("x")).unwrap();
    assert_eq!(back.addr, first.addr);
    net.ipam
        .assign(&node("a"), second.addr, &owner("y"))
        .unwrap();
}

/// An entry of a newer Calico that cools down is nobody's, and is left alone until its time is over;
/// without a time that we can read it is left alone for ever.
#[test]
fn what_a_newer_calico_left_cooling_is_collected() {
    for (since, free) in [
        ("2026-08-22T13:33:19Z", true),
        ("2026-08-22T13:33:20Z", false),
        ("soon", false),
    ] {
        let (net, _) = timed("10.0.0.0/31", 31);
        net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
        let key = key::block("10.0.0.0/31".parse().unwrap());
        let text = net.value(&key).unwrap();
        let text = text.replace(
            r#"{"handle_id":"h","secondary":{"node":"a"}}"#,
            &format!(r#"{{"releasedAt":"{since}"}}"#),
        );
        net.put(&key, &text);
        let mut got = Vec::new();
        while let Ok(assigned) = net.ipam.assign_any(&node("a"), &owner("g")) {
            got.push(assigned.addr);
        }
        assert_eq!(got.len(), 1 + usize::from(free), "{since}");
    }
}

/// calico issues 12697, 12508, 12555: a release that failed half way left ordinals neither assigned
/// nor free, since the block in memory was changed before all was checked.
#[test]
fn one_stale_release_leaves_its_block_alone_and_the_others_happen() {
    let net = network(&["10.0.0.0/28"], 30);
    let request = Request::new(node("a"), 6, owner("h"));
    let assigned = net.ipam.assign_many(&request).unwrap().assigned;
    let before = net.ipam.block_of(assigned[0].addr).unwrap();
    let mut releases: Vec<_> = assigned.iter().map(|one| Release::of(one.addr)).collect();
    releases[3].sequence = Some(Sequence(1));
    let many = net.ipam.release_many(&releases).unwrap();
    assert_eq!(many.released.len(), 2);
    assert_eq!(many.refused.len(), 1);
    assert_eq!(many.refused[0].block, assigned[0].block);
    assert_eq!(net.ipam.block_of(assigned[0].addr).unwrap(), before);
    let left = net.ipam.addresses_of(&handle("h")).unwrap();
    assert_eq!(left.len(), 4, "and the handle counts what is left");
}

/// calico issue 5613: a decision on old data freed an address that was somebody's again.
#[test]
fn a_release_of_many_with_old_sequence_numbers_is_refused() {
    let net = network(&["10.0.0.0/30"], 30);
    let old = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    net.ipam.release_handle(&handle("h")).unwrap();
    net.ipam.assign(&node("a"), old.addr, &owner("h")).unwrap();
    let release = Release::of(old.addr)
        .from_handle(handle("h"))
        .at(old.sequence);
    let many = net.ipam.release_many(&[release]).unwrap();
    assert_eq!((many.released.len(), many.refused.len()), (0, 1));
    assert_eq!(net.ipam.addresses_of(&handle("h")).unwrap().len(), 1);
}

/// libcalico-go issue 1377, calico issue 10778: a pool that was made anew with another block size
/// found its old blocks free, because only equal prefixes counted as taken.
#[test]
fn a_free_block_overlaps_no_other_of_whatever_size() {
    for (old, len) in [
        ("10.0.2.0/23", 26),
        ("10.0.0.64/26", 22),
        ("10.0.0.0/28", 24),
    ] {
        let net = network(&["10.0.0.0/20"], len);
        let block = Block::new(old.parse().unwrap(), Sequence(1));
        net.put(
            &key::block(old.parse().unwrap()),
            std::str::from_utf8(&block.to_json()).unwrap(),
        );
        let old: ipip_core::addr::Ipv4Prefix = old.parse().unwrap();
        let mut claimed = 0;
        while let Ok(new) = net.ipam.claim_any(&node("a")) {
            let new = ipip_core::addr::Ipv4Prefix::try_from(new.block).unwrap();
            assert!(!new.overlaps(old), "{new} {old}");
            claimed += 1;
        }
        let (size, gone) = (1u32 << (len - 20), old.size() >> (32 - len));
        assert_eq!(u64::from(size) - claimed, gone.max(1));
    }
}

/// calico issue 3825: the reserved addresses of a block, and those that a user wants to keep out.
#[test]
fn reserved_addresses_are_passed_over_and_keep_their_place() {
    let net = network(&["10.0.0.0/28"], 30);
    reserve(&net, &["10.0.0.0/30", "10.0.0.4/32", "10.0.0.11/32"]);
    let request = Request::new(node("a"), 16, owner("h"));
    let found = net.ipam.assign_many(&request).unwrap();
    assert_eq!(found.assigned.len(), 10);
    assert!(found.assigned.iter().all(|one| one.addr > addr("10.0.0.4")));
    assert_eq!(
        net.ipam.blocks().unwrap().len(),
        3,
        "one is wholly reserved"
    );
    let block = net.ipam.block_of(addr("10.0.0.4")).unwrap().unwrap();
    assert_eq!(block.free().collect::<Vec<_>>(), [addr("10.0.0.4")]);
    let named = net.ipam.assign(&node("a"), addr("10.0.0.4"), &owner("x"));
    assert!(named.is_ok(), "who names it gets it");
}

/// A node that a pool does not select any more gives its empty blocks back, and gets no new ones.
#[test]
fn a_pool_is_for_the_nodes_that_it_selects() {
    let net = network(&[], 30);
    let selector = Selector::parse("zone == 'east'").unwrap();
    let east = Pool::try_new("east", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
    net.ipam
        .create_pool(&east.with_node_selector(selector))
        .unwrap();
    let rest = Pool::try_new("rest", "10.1.0.0/28".parse().unwrap(), 30).unwrap();
    net.ipam.create_pool(&rest).unwrap();
    let label = |zone: &str| {
        let record = Node::new(node("a")).with_label("zone", zone).to_json();
        net.put(
            &key::node(&node("a")),
            std::str::from_utf8(&record).unwrap(),
        );
    };
    let first = net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert!(first.addr >= addr("10.1.0.0"), "a node without a record");
    label("east");
    let second = net.ipam.assign_any(&node("a"), &owner("g")).unwrap();
    let empty = net.ipam.claim(&node("a"), "10.0.0.4/30".parse().unwrap());
    assert!(empty.is_ok());
    label("west");
    net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let request = Request::new(node("a"), 4, owner("h"));
    net.ipam.assign_many(&request).unwrap().assigned.clear();
    let blocks = net.ipam.blocks_of(&node("a")).unwrap();
    let in_east = blocks
        .iter()
        .filter(|block| block.prefix().contains(second.addr));
    let kept = usize::from(second.addr < addr("10.1.0.0"));
    assert_eq!(in_east.count(), 1);
    let others = blocks.iter().filter(|block| {
        let first = block.prefix().prefix().network();
        first < addr("10.1.0.0") && !block.prefix().contains(second.addr)
    });
    assert_eq!(
        (others.count(), kept),
        (0, kept),
        "the empty one is given back"
    );
}

/// Which pools serve which use is the pool's to say, also where it is named.
#[test]
fn a_pool_serves_only_its_uses() {
    let net = network(&[], 30);
    let tunnels = Pool::try_new("tunnels", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
    net.ipam
        .create_pool(&tunnels.with_allowed_uses(&[Use::Tunnel]))
        .unwrap();
    let workload = Request {
        pools: vec!["10.0.0.0/28".parse().unwrap()],
        ..Request::new(node("a"), 1, owner("h"))
    };
    let error = net.ipam.assign_many(&workload).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no enabled pool for this node and use"
    );
    let tunnel = Request {
        purpose: Use::Tunnel,
        ..workload.clone()
    };
    assert_eq!(net.ipam.assign_many(&tunnel).unwrap().assigned.len(), 1);
    let unknown = Request {
        pools: vec!["10.0.0.0/29".parse().unwrap()],
        ..workload
    };
    let error = net.ipam.assign_many(&unknown).unwrap_err();
    assert_eq!(error.to_string(), "there is no pool 10.0.0.0/29");
}

/// Counts what is read and written.
#[derive(Debug, Default)]
struct Counted {
    store: Memory,
    /// Gets, lists of values, lists of keys, commits.
    calls: [AtomicU64; 4],
    listed: AtomicU64,
}

impl Counted {
    fn take(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|which: usize| self.calls[which].swap(0, Relaxed))
    }
}

impl Store for Counted {
    pass_on!([.store] watch);

    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.calls[0].fetch_add(1, Relaxed);
        self.store.get(key)
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        self.calls[1].fetch_add(1, Relaxed);
        self.store.list(prefix)
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        self.calls[2].fetch_add(1, Relaxed);
        let listing = self.store.list_keys(prefix)?;
        let count = u64::try_from(listing.entries.len()).unwrap();
        self.listed.fetch_max(count, Relaxed);
        Ok(listing)
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.calls[3].fetch_add(1, Relaxed);
        self.store.commit(commit)
    }
}

/// calico issues 10551, 5612, libcalico-go issues 1248, 1236: blocks read one by one, 74 s for 1,284
/// of them; and every claim listed every block of the cluster.
#[test]
fn what_a_call_costs_does_not_grow_with_the_cluster() {
    let store = Arc::new(Counted::default());
    let ipam = Ipam::new(Arc::<Counted>::clone(&store), Ambient::system());
    let pool = Pool::try_new("p", "10.0.0.0/8".parse().unwrap(), 26).unwrap();
    ipam.create_pool(&pool).unwrap();
    for number in 0..3000 {
        ipam.claim_any(&node(&format!("n{number}"))).unwrap();
    }
    store.take();
    store.listed.store(0, Relaxed);
    let request = Request::new(node("a"), 64, owner("h"));
    assert_eq!(ipam.assign_many(&request).unwrap().assigned.len(), 64);
    let [gets, lists, _, commits] = store.take();
    assert!(gets < 32 && lists <= 3, "{gets} gets, {lists} lists");
    assert_eq!(commits, 1, "64 addresses with their block and handle");
    assert!(store.listed.load(Relaxed) <= 8, "not every key");
    ipam.assign_any(&node("a"), &owner("g")).unwrap();
    store.take();
    ipam.assign_any(&node("a"), &owner("x")).unwrap();
    assert_eq!(
        store.take(),
        [1, 1, 0, 1],
        "handle; reservations; one commit, which compares block, pool, claim and handle"
    );
    ipam.release_handle(&handle("h")).unwrap();
    let [gets, _, _, commits] = store.take();
    assert_eq!((gets, commits), (3, 1), "handle, configuration, block");
}

/// calicoctl issue 1378, libcalico-go issue 1488: the first two pods of a node, at the same time,
/// claimed a block each.
#[test]
fn two_first_assignments_at_once_claim_one_block() {
    for _ in 0..50 {
        let net = network(&["10.0.0.0/16"], 26);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let ipam = &net.ipam;
                scope.spawn(move || {
                    let owner = owner(&format!("h{thread}"));
                    ipam.assign_any(&node("a"), &owner).unwrap();
                });
            }
        });
        assert_eq!(net.ipam.blocks().unwrap().len(), 1);
    }
}
