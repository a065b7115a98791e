//! One operation, and somebody else who is faster: what the other did happens after the operation
//! has read everything, just before its commit.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::{Commit, Compare, Memory, Outcome, Store, StoreError, key};
use ipip_core::ipam::{Ambient, BlockRelease, Ipam, IpamErrorKind, Request, Shortfall};
use ipip_core::resource::{Affinity, AllocatorConfig, Attribute, Block, Pool, Release, Sequence};

use crate::pass_on::pass_on;
use crate::support::{addr, handle, node, owner};

type Deed = Box<dyn FnOnce(&Ipam, &Memory) + Send>;

/// A store in which somebody else does a deed just before the next commit.
struct Raced {
    store: Arc<Memory>,
    deed: Mutex<Option<Deed>>,
}

impl fmt::Debug for Raced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Store for Raced {
    pass_on!([.store] get list list_keys watch);

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let deed = self.deed.lock().unwrap().take();
        if let Some(deed) = deed {
            deed(&allocator(Arc::<Memory>::clone(&self.store)), &self.store);
        }
        self.store.commit(commit)
    }
}

fn allocator(store: Arc<dyn Store>) -> Ipam {
    Ipam::new(store, Ambient::system().with_pause(|_| ()))
}

/// A pool of two blocks, what `before` makes of it, and what others do during the next commit.
pub(crate) fn raced(
    before: impl FnOnce(&Ipam, &Memory),
    during: impl FnOnce(&Ipam, &Memory) + Send + 'static,
) -> (Ipam, Arc<Memory>) {
    let store = Arc::new(Memory::new());
    let quiet = allocator(Arc::<Memory>::clone(&store));
    let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 29).unwrap();
    quiet.create_pool(&pool).unwrap();
    before(&quiet, &store);
    let deed: Deed = Box::new(during);
    let raced = Raced {
        store: Arc::clone(&store),
        deed: Mutex::new(Some(deed)),
    };
    (allocator(Arc::new(raced)), store)
}

pub(crate) fn put(store: &Memory, key: &str, value: &str) {
    let mut commit = Commit::new();
    commit.put(key, value.as_bytes().to_vec());
    assert!(matches!(store.commit(commit), Ok(Outcome::Committed(_))));
}

fn text(store: &Memory, key: &str) -> Option<String> {
    let record = store.get(key).unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

fn a(ipam: &Ipam, at: &str, owner: &Attribute) {
    ipam.assign(&node("a"), addr(at), owner).unwrap();
}

const FIRST: &str = "10.0.0.0/29";
const HANDLE: &str = "/calico/ipam/v2/handle/h";
const CLAIM: &str = "/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-29";
const BLOCK: &str = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-29";

#[test]
fn an_address_taken_meanwhile_is_not_assigned_again() {
    let (ipam, _) = raced(
        |ipam, _| a(ipam, "10.0.0.7", &owner("x")),
        |ipam, _| a(ipam, "10.0.0.0", &owner("y")),
    );
    let assigned = ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert_eq!(assigned.addr, addr("10.0.0.1"));
    let block = ipam.block_of(assigned.addr).unwrap().unwrap();
    assert_eq!(block.used_count(), 3);

    let (ipam, _) = raced(
        |ipam, _| a(ipam, "10.0.0.7", &owner("x")),
        |ipam, _| a(ipam, "10.0.0.0", &owner("y")),
    );
    let error = ipam
        .assign(&node("a"), addr("10.0.0.0"), &owner("h"))
        .unwrap_err();
    assert_eq!(error.kind(), IpamErrorKind::Taken);
}

#[test]
fn a_block_claimed_meanwhile_is_the_others() {
    let take = |ipam: &Ipam, _: &Memory| {
        ipam.claim(&node("b"), FIRST.parse().unwrap()).unwrap();
    };
    let (ipam, _) = raced(|_, _| (), take);
    let error = ipam.claim(&node("a"), FIRST.parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "block 10.0.0.0/29 is owned by host:b");
    let (ipam, _) = raced(
        |_, _| (),
        |ipam, _| {
            for block in [FIRST, "10.0.0.8/29"] {
                ipam.claim(&node("b"), block.parse().unwrap()).unwrap();
            }
        },
    );
    let assigned = ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert!(assigned.borrowed, "the others' blocks stay theirs");
    assert_eq!(ipam.blocks_of(&node("b")).unwrap().len(), 2);
}

#[test]
fn a_block_is_not_claimed_from_a_pool_deleted_meanwhile() {
    let (ipam, store) = raced(
        |_, _| (),
        |_, store| {
            let mut commit = Commit::new();
            commit.delete(&key::pool("p"));
            let _ = store.commit(commit).unwrap();
        },
    );
    let error = ipam.claim_any(&node("a")).unwrap_err();
    assert_eq!(error.kind(), IpamErrorKind::Exhausted);
    assert_eq!(text(&store, BLOCK), None);
}

#[test]
fn a_pool_created_meanwhile_is_not_replaced() {
    let new = |cidr: &str| Pool::try_new("new", cidr.parse().unwrap(), 26).unwrap();
    let theirs = new("10.1.0.0/16");
    let (ipam, _) = raced(|_, _| (), move |ipam, _| ipam.create_pool(&theirs).unwrap());
    let error = ipam.create_pool(&new("10.2.0.0/16")).unwrap_err();
    assert_eq!(error.to_string(), "pool new exists already");
    assert_eq!(ipam.pools().unwrap()[0].cidr().to_string(), "10.1.0.0/16");
}

#[test]
fn a_handle_counts_what_two_assigned_at_once() {
    for before in [None, Some("10.0.0.9")] {
        let (ipam, store) = raced(
            |ipam, _| {
                ipam.claim(&node("a"), FIRST.parse().unwrap()).unwrap();
                if let Some(at) = before {
                    ipam.assign(&node("b"), addr(at), &owner("h")).unwrap();
                }
            },
            |ipam, _| {
                ipam.assign(&node("b"), addr("10.0.0.10"), &owner("h"))
                    .unwrap();
            },
        );
        ipam.assign_any(&node("a"), &owner("h")).unwrap();
        let theirs = 1 + usize::from(before.is_some());
        assert_eq!(
            text(&store, HANDLE).unwrap(),
            format!(r#"{{"block":{{"10.0.0.0/29":1,"10.0.0.8/29":{theirs}}},"deleted":false}}"#)
        );
    }
}

#[test]
fn a_release_keeps_what_was_assigned_meanwhile() {
    // In the same block, with another handle.
    let (ipam, _) = raced(
        |ipam, _| a(ipam, "10.0.0.0", &owner("h")),
        |ipam, _| a(ipam, "10.0.0.1", &owner("x")),
    );
    ipam.release(&Release::of(addr("10.0.0.0"))).unwrap();
    let block = ipam.block_of(addr("10.0.0.1")).unwrap().unwrap();
    assert_eq!(
        block.assigned().map(|(at, _)| at).collect::<Vec<_>>(),
        [addr("10.0.0.1")]
    );

    // In another block, with the same handle.
    let (ipam, store) = raced(
        |ipam, _| a(ipam, "10.0.0.0", &owner("h")),
        |ipam, _| a(ipam, "10.0.0.8", &owner("h")),
    );
    ipam.release(&Release::of(addr("10.0.0.0"))).unwrap();
    assert_eq!(
        text(&store, HANDLE).unwrap(),
        r#"{"block":{"10.0.0.8/29":1},"deleted":false}"#
    );
}

#[test]
fn releasing_a_handle_includes_what_it_got_meanwhile() {
    for got in ["10.0.0.1", "10.0.0.8"] {
        let (ipam, store) = raced(
            |ipam, _| a(ipam, "10.0.0.0", &owner("h")),
            move |ipam, _| a(ipam, got, &owner("h")),
        );
        let released = ipam.release_handle(&handle("h")).unwrap();
        assert_eq!(
            released.iter().map(|r| r.addr).collect::<Vec<_>>(),
            [addr("10.0.0.0"), addr(got)]
        );
        assert_eq!(text(&store, HANDLE), None);
        assert!(ipam.blocks().unwrap().iter().all(Block::is_empty));
    }
}

#[test]
fn a_block_used_meanwhile_is_not_deleted() {
    let (ipam, _) = raced(
        |ipam, _| {
            ipam.claim(&node("a"), FIRST.parse().unwrap()).unwrap();
        },
        |ipam, _| a(ipam, "10.0.0.0", &owner("h")),
    );
    let outcome = ipam
        .release_block(&node("a"), FIRST.parse().unwrap())
        .unwrap();
    assert_eq!(outcome, BlockRelease::Orphaned);
    assert_eq!(
        ipam.block_of(addr("10.0.0.0"))
            .unwrap()
            .unwrap()
            .used_count(),
        1
    );
}

#[test]
fn a_claim_without_a_block_is_given_up_unless_the_block_comes_meanwhile() {
    for (comes, after) in [(false, None), (true, None)] {
        let (ipam, store) = raced(
            |_, store| put(store, CLAIM, ""),
            move |ipam, _| {
                if comes {
                    a(ipam, "10.0.0.0", &owner("h"));
                }
            },
        );
        let outcome = ipam
            .release_block(&node("a"), FIRST.parse().unwrap())
            .unwrap();
        let expected = if comes {
            BlockRelease::Orphaned
        } else {
            BlockRelease::Deleted
        };
        assert_eq!((outcome, text(&store, CLAIM)), (expected, after));
    }
}

/// The block of `owner`, made by somebody who did not touch the claim.
fn put_block(store: &Memory, owner: &str) {
    let block = Block::new(FIRST.parse().unwrap(), Sequence(1));
    let block = block.claimed_by(Affinity::parse(owner), std::time::UNIX_EPOCH);
    put(store, BLOCK, std::str::from_utf8(&block.to_json()).unwrap());
}

#[test]
fn a_stale_claim_stays_if_the_block_became_ours_meanwhile() {
    let (ipam, store) = raced(
        |_, store| {
            put(store, CLAIM, "{}");
            put_block(store, "host:b");
        },
        |_, store| put_block(store, "host:a"),
    );
    let _ = ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert_eq!(text(&store, CLAIM).as_deref(), Some("{}"));
}

#[test]
fn a_claim_changed_meanwhile_keeps_its_new_fields() {
    let (ipam, store) = raced(
        |_, store| put(store, CLAIM, r#"{"state":"pending"}"#),
        |_, store| put(store, CLAIM, r#"{"state":"pending","new":1}"#),
    );
    ipam.claim(&node("a"), FIRST.parse().unwrap()).unwrap();
    let expected = r#"{"state":"confirmed","deleted":false,"new":1}"#;
    assert_eq!(text(&store, CLAIM).as_deref(), Some(expected));
}

#[test]
fn a_block_lost_meanwhile_is_not_confirmed() {
    let (ipam, store) = raced(
        |_, store| {
            put(store, CLAIM, r#"{"state":"pending"}"#);
            put_block(store, "host:a");
        },
        |_, store| put_block(store, "host:b"),
    );
    let error = ipam.claim(&node("a"), FIRST.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), IpamErrorKind::Taken);
    assert_eq!(
        text(&store, CLAIM).as_deref(),
        Some(r#"{"state":"pending"}"#)
    );
}

/// Disables the pool, as another caller would.
fn disable(store: &Memory) {
    let text = text(store, &key::pool("p")).unwrap();
    let disabled = text.replace(r#""blockSize""#, r#""disabled":true,"blockSize""#);
    put(store, &key::pool("p"), &disabled);
}

#[test]
fn a_pool_disabled_meanwhile_gives_nothing() {
    for own in [true, false] {
        let before = move |ipam: &Ipam, _: &Memory| {
            if own {
                a(ipam, "10.0.0.7", &owner("x"));
            }
        };
        let (ipam, store) = raced(before, |_, store| disable(store));
        let error = ipam.assign_any(&node("a"), &owner("h")).unwrap_err();
        assert_eq!(error.kind(), IpamErrorKind::Exhausted, "{error}");
        let (ipam, _) = raced(before, |_, store| disable(store));
        let error = ipam.assign(&node("a"), addr("10.0.0.1"), &owner("h"));
        assert_eq!(error.unwrap_err().to_string(), "pool p is disabled");
        assert_eq!(text(&store, HANDLE), None);
    }
}

#[test]
fn nothing_is_borrowed_once_that_is_forbidden() {
    let before = |ipam: &Ipam, _: &Memory| {
        for block in [FIRST, "10.0.0.8/29"] {
            ipam.claim(&node("b"), block.parse().unwrap()).unwrap();
        }
    };
    let forbid = |ipam: &Ipam, _: &Memory| {
        let mut config = AllocatorConfig::default();
        config.strict_affinity = true;
        ipam.set_config(&config).unwrap();
    };
    let (ipam, store) = raced(before, forbid);
    let error = ipam.assign_any(&node("a"), &owner("h")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing is assigned to node a: no block is left in pools: p, and strict affinity forbids to borrow"
    );
    let (ipam, _) = raced(before, forbid);
    let error = ipam.assign(&node("a"), addr("10.0.0.1"), &owner("h"));
    assert_eq!(error.unwrap_err().kind(), IpamErrorKind::Taken);
    assert_eq!(text(&store, HANDLE), None);
}

#[test]
fn an_empty_block_used_meanwhile_is_not_taken_over() {
    let of_old = |ipam: &Ipam, store: &Memory| {
        ipam.claim(&node("c"), "10.0.0.8/29".parse().unwrap())
            .unwrap();
        let block = Block::new(FIRST.parse().unwrap(), Sequence(1));
        let block = block.claimed_by(Affinity::parse("host:b"), std::time::UNIX_EPOCH);
        put(store, BLOCK, std::str::from_utf8(&block.to_json()).unwrap());
    };
    let (ipam, _) = raced(of_old, |ipam, _| {
        ipam.assign(&node("b"), addr("10.0.0.3"), &owner("x"))
            .unwrap();
    });
    let assigned = ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert!(assigned.borrowed);
    let block = ipam.block_of(addr("10.0.0.3")).unwrap().unwrap();
    assert_eq!(block.affinity().unwrap().to_string(), "host:b");
    assert!(block.attribute_of(addr("10.0.0.3")).is_some());
    let (ipam, store) = raced(of_old, |_, _| ());
    let assigned = ipam.assign_any(&node("a"), &owner("h")).unwrap();
    assert!(!assigned.borrowed && assigned.block == FIRST.parse().unwrap());
    assert!(text(&store, CLAIM).is_some());
}

#[test]
fn two_claims_at_once_keep_the_limit() {
    // One of them is not the block that the search would claim, so nothing else tells it to stop.
    for other in [FIRST, "10.0.0.8/29"] {
        let claim = move |ipam: &Ipam, _: &Memory| {
            ipam.claim(&node("a"), other.parse().unwrap()).unwrap();
        };
        let (ipam, _) = raced(|_, _| (), claim);
        let request = Request {
            max_blocks: Some(1),
            ..Request::new(node("a"), 16, owner("h"))
        };
        let found = ipam.assign_many(&request).unwrap();
        assert_eq!(found.assigned.len(), 8);
        assert_eq!(found.shortfall, Some(Shortfall::BlockLimit { limit: 1 }));
        assert_eq!(ipam.blocks_of(&node("a")).unwrap().len(), 1);
    }
}

/// Every commit fails.
#[derive(Debug)]
struct Contended(Memory);

impl Store for Contended {
    pass_on!([.0] get list list_keys watch);

    fn commit(&self, mut commit: Commit) -> Result<Outcome, StoreError> {
        if commit
            .writes
            .iter()
            .any(|write| write.key().contains("ippools"))
        {
            return self.0.commit(commit);
        }
        commit.compares.push(Compare::Absent(key::pool("p")));
        self.0.commit(commit)
    }
}

#[test]
fn endless_conflicts_end() {
    // Each pause takes a second of the clock that the deadline is measured by; or none, as if the
    // clock stood still.
    for (step, message) in [
        (1, "node a changed during each of 4 attempts in 3000 ms"),
        (0, "node a changed during each of 10000 attempts in 0 ms"),
    ] {
        let time = Arc::new(AtomicU64::new(1_787_405_600));
        let [clock, pauses] = [Arc::clone(&time), time];
        let ambient = Ambient::system()
            .with_clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Relaxed)))
            .with_pause(move |_| {
                pauses.fetch_add(step, Relaxed);
            });
        let store = Arc::new(Contended(Memory::new()));
        let ipam = Ipam::new(store, ambient).with_deadline(Duration::from_secs(3));
        let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 29).unwrap();
        ipam.create_pool(&pool).unwrap();
        let error = ipam.assign_any(&node("a"), &owner("h")).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.kind(), IpamErrorKind::Busy);
    }
}
