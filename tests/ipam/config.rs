//! Changing the configuration: what others change meanwhile stays, and what Calico stores beside it.

use std::time::Duration;

use ipip_core::datastore::{Commit, Memory, Store, key};
use ipip_core::ipam::{Ipam, IpamErrorKind};
use ipip_core::resource::AllocatorConfig;

use crate::lost::same_however_lost;
use crate::race::raced;
use crate::support::network;

fn read(text: &str) -> AllocatorConfig {
    AllocatorConfig::from_json(text.as_bytes()).unwrap()
}

fn stored(store: &Memory) -> String {
    let record = store.get(key::config()).unwrap().unwrap();
    String::from_utf8(record.value.to_vec()).unwrap()
}

fn strict() -> AllocatorConfig {
    read(r#"{"strict_affinity":true,"auto_allocate_blocks":true}"#)
}

fn cooling() -> AllocatorConfig {
    read(r#"{"auto_allocate_blocks":true,"ipCooldownSeconds":60}"#)
}

#[test]
fn two_changes_at_once_both_count() {
    let before = AllocatorConfig::default();
    let (ipam, store) = raced(
        |_, _| (),
        |ipam, _| {
            ipam.change_config(&AllocatorConfig::default(), &strict())
                .unwrap();
        },
    );
    let changed = ipam.change_config(&before, &cooling()).unwrap();
    assert!(changed.strict_affinity && changed.cooldown == Duration::from_secs(60));
    assert_eq!(ipam.config().unwrap(), changed);
    // One field twice: the later counts.
    let mut later = cooling();
    later.cooldown = Duration::ZERO;
    ipam.change_config(&cooling(), &later).unwrap();
    assert_eq!(
        stored(&store),
        r#"{"strict_affinity":true,"auto_allocate_blocks":true}"#
    );
}

#[test]
fn what_we_do_not_know_stays_also_if_it_came_meanwhile() {
    for call in [
        |ipam: &Ipam| ipam.set_config(&cooling()),
        |ipam: &Ipam| {
            let before = AllocatorConfig::default();
            ipam.change_config(&before, &cooling()).map(|_| ())
        },
    ] {
        let (ipam, store) = raced(
            |_, _| (),
            |_, store| {
                let mut commit = Commit::new();
                let text = r#"{"auto_allocate_blocks":true,"new":1}"#;
                commit.put(key::config(), text.into());
                let _ = store.commit(commit).unwrap();
            },
        );
        call(&ipam).unwrap();
        assert_eq!(
            stored(&store),
            r#"{"auto_allocate_blocks":true,"ipCooldownSeconds":60,"new":1}"#
        );
    }
}

#[test]
fn a_change_that_breaks_a_rule_with_what_is_stored_is_refused() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam.set_config(&strict()).unwrap();
    let mut limited = strict();
    limited.max_blocks_per_node = 2;
    net.ipam.set_config(&limited).unwrap();
    net.refuses(
        |ipam| ipam.change_config(&strict(), &AllocatorConfig::default()),
        IpamErrorKind::Invalid,
        "max_blocks_per_node 2 needs strict_affinity true",
    );
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let net = network(&["10.0.0.0/24"], 26);
    net.ipam.set_config(&strict()).unwrap();
    let before = net.store.list("/").unwrap();
    net.ipam.set_config(&strict()).unwrap();
    let changed = net.ipam.change_config(&strict(), &strict()).unwrap();
    assert_eq!(changed, strict());
    assert_eq!(net.store.list("/").unwrap(), before);
}

#[test]
fn it_is_changed_once_however_replies_are_lost() {
    same_however_lost(|ipam| ipam.set_config(&cooling()));
    same_however_lost(|ipam| {
        ipam.set_config(&strict())?;
        ipam.change_config(&AllocatorConfig::default(), &cooling())
    });
}
