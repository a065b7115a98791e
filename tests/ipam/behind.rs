//! A repair that reads what is older than its check saw, as a store gives it whose members are not
//! all as far: the commit would compare what the check saw, and write what was read.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::{Memory, Record, Store, StoreError};
use ipip_core::ipam::{Ambient, Ipam, Why};

use crate::pass_on::pass_on;
use crate::support::{Network, addr, network, node, owner};

const BLOCK: &str = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30";
const CLAIM: &str = "/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30";
const HANDLE: &str = "/calico/ipam/v2/handle/x";

/// A store that gives one record as it was.
struct Behind {
    store: Arc<Memory>,
    old: Record,
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Store for Behind {
    pass_on!([.store] list list_keys commit watch);

    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        if key == self.old.key {
            return Ok(Some(self.old.clone()));
        }
        self.store.get(key)
    }
}

/// Addresses of `x` in blocks of `a` and `b`. What `change` does is checked; a repair that reads `key`
/// as it was before leaves the problem, and one that reads it as it is mends it.
fn left_if_read_late(key: &str, change: impl FnOnce(&Network)) {
    let net = network(&["10.0.0.0/28"], 30);
    for (name, at) in [("a", "10.0.0.0"), ("b", "10.0.0.4")] {
        net.ipam.assign(&node(name), addr(at), &owner("x")).unwrap();
    }
    let old = net.store.get(key).unwrap().unwrap();
    change(&net);
    let report = net.ipam.check().unwrap();
    assert_eq!(report.problems.len(), 1, "{report}");
    let before = net.store.list("/").unwrap();
    let store = Arc::clone(&net.store);
    let ambient = Ambient::system()
        .with_clock(|| UNIX_EPOCH + Duration::from_secs(1_787_405_700))
        .with_pause(|_| ());
    let late = Ipam::new(Arc::new(Behind { store, old }), ambient);
    let repaired = late.repair(&report).unwrap();
    assert_eq!(net.store.list("/").unwrap(), before, "{repaired}");
    let whys: Vec<_> = repaired.left.iter().map(|left| left.why).collect();
    assert_eq!(whys, [Why::Changed], "{repaired}");
    assert_eq!(net.ipam.repair(&report).unwrap().repaired.len(), 1);
    assert!(net.ipam.check().unwrap().is_clean());
}

fn assign(net: &Network, name: &str, at: &str, who: &str) {
    let who = owner(who);
    net.ipam.assign(&node(name), addr(at), &who).unwrap();
}

/// Replaces `from`, which is there, in the value of `key`.
fn damage(net: &Network, key: &str, from: &str, to: &str) {
    let text = net.value(key).unwrap();
    assert!(text.contains(from), "{text}");
    net.put(key, &text.replace(from, to));
}

#[test]
fn a_block_read_late_is_not_mended() {
    left_if_read_late(BLOCK, |net| {
        assign(net, "a", "10.0.0.2", "z");
        damage(net, BLOCK, r#""unallocated":[1,3]"#, r#""unallocated":[1]"#);
    });
}

#[test]
fn a_claim_is_not_confirmed_by_a_block_read_late() {
    left_if_read_late(BLOCK, |net| {
        assign(net, "a", "10.0.0.2", "z");
        net.put(CLAIM, r#"{"state":"pending"}"#);
    });
}

#[test]
fn a_handle_is_not_made_from_a_block_read_late() {
    left_if_read_late(BLOCK, |net| {
        assign(net, "a", "10.0.0.2", "x");
        net.delete(HANDLE);
    });
}

#[test]
fn a_handle_read_late_is_not_corrected() {
    left_if_read_late(HANDLE, |net| {
        assign(net, "c", "10.0.0.8", "x");
        damage(net, HANDLE, r#""10.0.0.0/30":1"#, r#""10.0.0.0/30":0"#);
    });
}
