//! One address for each handle, however often and by however many it is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipip_core::datastore::{Memory, Store};
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::HandleId;
use ipip_core::resource::{Attribute, Pool, Reservation};

use crate::support::{handle, network, node};

fn pods(count: usize) -> Vec<Attribute> {
    let pod = |n| Attribute::new(Some(handle(&format!("net.c{n}")))).with("pod", &format!("p{n}"));
    (0..count).map(pod).collect()
}

#[test]
fn each_handle_keeps_its_address() {
    let network = network(&["10.0.0.0/24"], 26);
    let owners = pods(100);
    let first = network.ipam.assign_each(&node("node1"), &owners);
    let addrs: BTreeSet<_> = first
        .iter()
        .map(|one| one.as_ref().unwrap().assigned.addr)
        .collect();
    assert_eq!(addrs.len(), 100);
    assert!(first.iter().flatten().all(|one| one.newly));
    let revision = network.store.list("/").unwrap().revision;
    let mut reversed: Vec<_> = owners.iter().rev().cloned().collect();
    reversed.push(pods(101).remove(100));
    let again = network.ipam.assign_each(&node("node1"), &reversed);
    for (one, other) in first.iter().rev().zip(&again) {
        let (one, other) = (one.as_ref().unwrap(), other.as_ref().unwrap());
        assert_eq!((one.assigned, other.newly), (other.assigned, false));
    }
    assert!(again[100].as_ref().unwrap().newly);
    assert_eq!(network.store.list("/").unwrap().revision.0, revision.0 + 1);
    assert!(network.ipam.check().unwrap().is_clean());
}

#[test]
fn one_that_fails_leaves_the_others() {
    let network = network(&["10.0.0.0/29"], 29);
    let reserved = Reservation::try_new("r", &["10.0.0.0/31".parse().unwrap()]).unwrap();
    network.ipam.create_reservation(&reserved).unwrap();
    let mut owners = pods(8);
    owners[1] = Attribute::default();
    owners[2] =
        Attribute::new(owners[0].handle().map(|h| HandleId::try_new(h).unwrap())).with("pod", "x");
    let answers = network.ipam.assign_each(&node("node1"), &owners);
    let texts: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(given) => given.assigned.addr.to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(texts[1], "handle \"\" must be 1 to 253 octets long");
    let held = format!(
        "address {} is already assigned with handle \"net.c0\"",
        texts[0]
    );
    assert_eq!(texts[2], held, "the handle is another pod's");
    let served: BTreeSet<_> = answers
        .iter()
        .flatten()
        .map(|given| given.assigned.addr)
        .collect();
    assert_eq!(
        served.len(),
        6,
        "all of the block that is not reserved: {texts:?}"
    );
    let more = network.ipam.assign_each(&node("node1"), &pods(10)[8..]);
    let error = more[0].as_ref().unwrap_err().to_string();
    assert_eq!(error, "nothing is left for node node1 in pools: pool-0");
    assert!(network.ipam.check().unwrap().is_clean());
}

/// A runtime that loses patience asks again, through another process, while the first call still works.
#[test]
fn callers_at_once_give_a_handle_one_address() {
    let store = Arc::new(Memory::new());
    let ipam = || Ipam::new(Arc::clone(&store) as Arc<dyn Store>, Ambient::system());
    ipam()
        .create_pool(&Pool::try_new("p", "10.0.0.0/22".parse().unwrap(), 28).unwrap())
        .unwrap();
    let owners = pods(60);
    let answers: Vec<Vec<_>> = std::thread::scope(|scope| {
        let work = |threads: usize| {
            let (ipam, owners) = (ipam(), &owners);
            scope.spawn(move || {
                // Some in bulk, some one by one.
                let parts = owners.chunks(if threads.is_multiple_of(2) { 60 } else { 1 });
                parts
                    .flat_map(|part| ipam.assign_each(&node("node1"), part))
                    .collect()
            })
        };
        let threads: Vec<_> = (0..6).map(work).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for number in 0..60 {
        let held = ipam()
            .addresses_of(&handle(&format!("net.c{number}")))
            .unwrap();
        assert_eq!(held.len(), 1, "{held:?}");
        for answers in &answers {
            assert_eq!(answers[number].as_ref().unwrap().assigned.addr, held[0].0);
        }
    }
    assert!(ipam().check().unwrap().is_clean());
}
