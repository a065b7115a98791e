//! A store that loses replies: the commit took effect, or did not, or does so later, just before the
//! next one. Whatever it was, an operation that succeeds has happened once.

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::{Commit, Memory, Outcome, Store, StoreError};
use ipip_core::ipam::{Ambient, Ipam, IpamError, IpamErrorKind, Request};
use ipip_core::resource::{Attribute, Node, Pool, Release};

use crate::pass_on::pass_on;
use crate::support::{Network, addr, handle, node, owner};

/// What becomes of a commit whose reply is lost.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    Dropped,
    Late,
    /// Done, and this address is released before anybody looks.
    DoneAndReleased(Ipv4Addr),
    /// It arrives when the test lets it.
    Held,
}

#[derive(Debug)]
struct Lossy {
    store: Arc<Memory>,
    /// How many commits pass before the one whose reply is lost.
    losing: Mutex<Option<(u32, Fate)>>,
    late: Mutex<Option<Commit>>,
    held: Mutex<Option<Commit>>,
}

impl Lossy {
    /// What happens to this commit.
    fn fate(&self) -> Option<Fate> {
        let mut losing = self.losing.lock().unwrap();
        match losing.as_mut() {
            Some((0, fate)) => {
                let fate = *fate;
                *losing = None;
                Some(fate)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }
}

impl Store for Lossy {
    pass_on!([.store] get list list_keys watch);

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        if let Some(late) = self.late.lock().unwrap().take() {
            let _ = self.store.commit(late)?;
        }
        match self.fate() {
            None => return self.store.commit(commit),
            Some(Fate::Done) => {
                let _ = self.store.commit(commit)?;
            }
            Some(Fate::Dropped) => {}
            Some(Fate::DoneAndReleased(addr)) => {
                let _ = self.store.commit(commit)?;
                let another = Ipam::new(Arc::<Memory>::clone(&self.store), Ambient::system());
                another.release(&Release::of(addr)).unwrap();
            }
            Some(Fate::Held) => *self.held.lock().unwrap() = Some(commit),
            Some(Fate::Late) => *self.late.lock().unwrap() = Some(commit),
        }
        Err(StoreError::Unknown {
            path: "test".to_owned(),
            text: "the reply was lost".to_owned(),
        })
    }
}

/// A pool of four blocks of four, one of them claimed by `b`, with an address of handle `x` in it.
fn lossy(losing: Option<(u32, Fate)>) -> (Network, Arc<Lossy>) {
    let store = Arc::new(Memory::new());
    let lossy = Arc::new(Lossy {
        store: Arc::clone(&store),
        losing: Mutex::new(None),
        late: Mutex::new(None),
        held: Mutex::new(None),
    });
    let ambient = Ambient::system()
        .with_clock(|| UNIX_EPOCH + Duration::from_secs(1_787_405_600))
        .with_pause(|_| ());
    let ipam = Ipam::new(Arc::<Lossy>::clone(&lossy), ambient);
    let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
    ipam.create_pool(&pool).unwrap();
    for (name, at, who) in [
        ("b", "10.0.0.0", "x"),
        ("a", "10.0.0.4", "y"),
        ("a", "10.0.0.5", "x"),
    ] {
        ipam.assign(&node(name), addr(at), &owner(who)).unwrap();
    }
    *lossy.losing.lock().unwrap() = losing;
    (Network { store, ipam }, lossy)
}

/// `call` gives and leaves behind the same, whichever of its replies is lost, and however.
pub(crate) fn same_however_lost<T: Debug + PartialEq>(
    call: impl Fn(&Ipam) -> Result<T, IpamError>,
) {
    let (quiet, _) = lossy(None);
    let expected = call(&quiet.ipam).unwrap();
    for number in 0.. {
        for fate in [Fate::Done, Fate::Dropped, Fate::Late] {
            let (net, store) = lossy(Some((number, fate)));
            let found = call(&net.ipam).unwrap();
            if store.losing.lock().unwrap().is_some() {
                assert!(number > 0, "nothing was committed");
                return;
            }
            assert_eq!(found, expected, "reply {number} lost, {fate:?}");
            assert_eq!(
                net.records(),
                quiet.records(),
                "reply {number} lost, {fate:?}"
            );
        }
    }
}

#[test]
fn an_assignment_is_made_once() {
    same_however_lost(|ipam| ipam.assign_any(&node("a"), &owner("h")));
    same_however_lost(|ipam| ipam.assign_any(&node("new"), &owner("h")));
    for at in ["10.0.0.1", "10.0.0.6", "10.0.0.8"] {
        same_however_lost(|ipam| ipam.assign(&node("a"), addr(at), &owner("h")));
    }
    same_however_lost(|ipam| ipam.assign_many(&Request::new(node("a"), 11, owner("h"))));
    same_however_lost(|ipam| ipam.assign_many(&Request::new(node("c"), 14, owner("h"))));
}

#[test]
fn a_release_is_made_once() {
    same_however_lost(|ipam| ipam.release(&Release::of(addr("10.0.0.0"))));
    let both = ["10.0.0.0", "10.0.0.4", "10.0.0.5"].map(|at| Release::of(addr(at)));
    same_however_lost(|ipam| ipam.release_many(&both));
    same_however_lost(|ipam| ipam.release_handle(&handle("x")));
}

#[test]
fn a_block_is_claimed_and_given_up_once() {
    for block in ["10.0.0.4/30", "10.0.0.8/30"] {
        let block = block.parse().unwrap();
        same_however_lost(|ipam| {
            let claimed = ipam.claim(&node("a"), block)?;
            Ok((claimed, ipam.release_block(&node("a"), block)?))
        });
    }
    same_however_lost(|ipam| ipam.release_block(&node("b"), "10.0.0.0/30".parse().unwrap()));
}

/// What a node that is new compares is absent before, and again after it was removed.
#[test]
fn what_was_on_its_way_does_not_bring_back_a_node_that_is_removed() {
    let deeds: [fn(&Ipam); 2] = [
        |ipam| ipam.put_node(&Node::new(node("new"))).unwrap(),
        |ipam| {
            ipam.assign_any(&node("new"), &owner("h")).unwrap();
        },
    ];
    for deed in deeds {
        let (net, lossy) = lossy(Some((0, Fate::Held)));
        deed(&net.ipam);
        net.ipam.remove_node(&node("new")).unwrap();
        let held = lossy.held.lock().unwrap().take().unwrap();
        assert_eq!(net.store.commit(held).unwrap(), Outcome::Conflict);
    }
}

/// Without a handle nobody could tell whose the address is that stands there now: another caller may
/// have asked for the same at the same time.
#[test]
fn without_a_handle_the_caller_is_told() {
    for (fate, known) in [
        (Fate::Done, false),
        (Fate::Dropped, true),
        (Fate::Late, false),
    ] {
        let (net, _) = lossy(Some((0, fate)));
        let done = net.ipam.assign_any(&node("a"), &Attribute::default());
        match done {
            Ok(assigned) => assert!(known, "{assigned:?}"),
            Err(error) => {
                assert!(!known, "{error}");
                assert_eq!(error.kind(), IpamErrorKind::Store);
                assert!(
                    error.to_string().contains("10.0.0.6 may be assigned"),
                    "{error}"
                );
            }
        }
    }
}

/// Then nobody can tell whether the rest is of this call, or of another one for the same handle that asked
/// for fewer at the same time. What is told is only the caller's; what stands beside it is the handle's.
#[test]
fn addresses_of_which_another_released_some_are_assigned_anew() {
    let fate = Fate::DoneAndReleased(addr("10.0.0.7"));
    let (net, _) = lossy(Some((0, fate)));
    // 10.0.0.6 and 10.0.0.7, the free ones of the node's block.
    let many = net
        .ipam
        .assign_many(&Request::new(node("a"), 2, owner("h")));
    let told: Vec<_> = many.unwrap().assigned.iter().map(|one| one.addr).collect();
    assert_eq!((told.len(), told.contains(&addr("10.0.0.6"))), (2, false));
    let held = net.ipam.addresses_of(&handle("h")).unwrap();
    assert_eq!(held.len(), 3, "{held:?}");
    let report = net.ipam.check().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(net.ipam.release_handle(&handle("h")).unwrap().len(), 3);
}
