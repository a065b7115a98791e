//! The table itself: fresh, repeated, damaged, somebody else's, removed, printed, large.

use std::time::Instant;

use ipip_core::addr::NodeAddr;
use ipip_core::node::{GuardState, ensure_guard, remove_guard, settle_guard};
use ipip_core::overlay::Guard;
use serde_json::Value;

use crate::support::{Named, Needs, Test};
use crate::{lines, node, prefix, reference};

pub(crate) const TESTS: &[Test] = &[
    ("guard_fresh", Needs::NfTables, fresh),
    ("guard_repeated", Needs::NfTables, repeated),
    ("guard_damaged", Needs::NfTables, damaged),
    ("guard_name_taken", Needs::NfTables, name_taken),
    ("guard_removed_and_nothing_else", Needs::NfTables, removed),
    ("guard_widened_then_narrowed", Needs::NfTables, moved),
    ("guard_as_printed", Needs::NfTables, printed),
    ("guard_of_5000_nodes", Needs::NfTables, large),
    ("guard_declined", Needs::NfTables, declined),
    (
        "guard_without_the_program",
        Needs::NfTables,
        without_program,
    ),
    (
        "guard_without_nf_tables",
        Needs::NoNfTables,
        without_nf_tables,
    ),
    ("guard_of_two_callers_at_once", Needs::NfTables, concurrent),
];

/// The table as JSON, but for handles and counts.
fn listing(node: &Named) -> Value {
    let mut listing = serde_json::from_str(&node.sh("nft -j list table ip ipip")).unwrap();
    forget(&mut listing);
    listing
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for key in ["handle", "packets", "bytes"] {
                object.remove(key);
            }
            object.values_mut().for_each(forget);
            // A set keeps its elements in an order of its own.
            if let Some(Value::Array(elements)) = object.get_mut("elem") {
                elements.sort_by_key(Value::to_string);
            }
        }
        Value::Array(array) => array.iter_mut().for_each(forget),
        _ => {}
    }
}

fn fresh() {
    let node = Named::new("node");
    let changes = ensure_guard(&node.netns, &reference()).unwrap();
    assert_eq!(changes.steps.len(), 1);
    let text = node.sh("nft -nn list table ip ipip");
    for words in [
        "elements = { 172.18.0.2 . 0xaf4f440-0xaf4f47f,\n\t\t\t     172.18.0.2 . 0xac120002 }",
        "elements = { 10.244.0.0/16 }",
        "type filter hook prerouting priority -300; policy accept;",
        "ip protocol 4 iifname \"cali*\" counter packets 0 bytes 0 drop",
        "type filter hook input priority -10; policy accept;",
        "ip saddr . @th,96,32 @peers accept",
        "ip saddr @nat_pools ip daddr != @cluster masquerade",
        "snat to 10.244.79.0",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

fn repeated() {
    let node = Named::new("node");
    ensure_guard(&node.netns, &reference()).unwrap();
    let before = listing(&node);
    assert!(ensure_guard(&node.netns, &reference()).unwrap().is_empty());
    assert_eq!(listing(&node), before);
}

fn damaged() {
    let node = Named::new("node");
    ensure_guard(&node.netns, &reference()).unwrap();
    let before = listing(&node);
    for damage in [
        "nft flush table ip ipip",
        "nft flush set ip ipip peers",
        "nft flush chain ip ipip tunnel",
        "nft add element ip ipip peers '{ 172.18.0.9 . 0x0af40000-0x0af4ffff }'",
        "nft add element ip ipip peers '{ 172.18.0.2 . 0x0af4f480-0x0af4f4ff }'",
        "nft delete element ip ipip peers '{ 172.18.0.2 . 0x0af4f440-0x0af4f47f }'; \
         nft add element ip ipip peers '{ 172.18.0.2 . 0x0af40000-0x0af4ffff }'",
        "nft add element ip ipip cluster '{ 10.9.0.0/16 }'",
        "nft delete element ip ipip nat_pools '{ 10.244.0.0/16 }'",
        "nft chain ip ipip tunnel '{ policy drop; }'",
        "nft insert rule ip ipip tunnel accept",
        "nft delete chain ip ipip workloads || { nft flush chain ip ipip workloads; nft delete chain ip ipip workloads; }",
        "nft delete table ip ipip",
    ] {
        node.sh(damage);
        assert_ne!(listing_or_none(&node), Some(before.clone()), "{damage}");
        assert!(
            !ensure_guard(&node.netns, &reference()).unwrap().is_empty(),
            "{damage}"
        );
        assert_eq!(listing(&node), before, "{damage}");
        assert!(
            ensure_guard(&node.netns, &reference()).unwrap().is_empty(),
            "{damage}"
        );
    }
}

fn listing_or_none(node: &Named) -> Option<Value> {
    node.try_sh("nft list table ip ipip")
        .ok()
        .map(|_| listing(node))
}

fn name_taken() {
    let node = Named::new("node");
    node.sh("nft 'table ip ipip { set peers { type ipv4_addr; comment \"mine\"; }; chain input { type filter hook input priority 0; }; }'");
    let before = node.sh("nft list ruleset");
    let said = ensure_guard(&node.netns, &reference())
        .unwrap_err()
        .to_string();
    assert_eq!(
        said,
        "table ip ipip is taken: found one without the comment \"made by ipip\" on its sets"
    );
    assert!(remove_guard(&node.netns).unwrap().is_empty());
    assert_eq!(node.sh("nft list ruleset"), before);
}

fn removed() {
    let node = Named::new("node");
    node.sh("nft 'table ip filter { chain input { type filter hook input priority 0; ip protocol 4 counter; }; }'");
    node.sh("nft 'table inet ipip { chain input { type filter hook input priority 0; }; }'");
    let before = node.sh("nft list ruleset");
    ensure_guard(&node.netns, &reference()).unwrap();
    assert_ne!(node.sh("nft list ruleset"), before);
    let changes = remove_guard(&node.netns).unwrap();
    assert_eq!(lines(&changes), ["nft 'delete table ip ipip'"]);
    assert_eq!(node.sh("nft list ruleset"), before);
    assert!(remove_guard(&node.netns).unwrap().is_empty());
}

/// The reference with the block's tail borrowed by another node.
fn borrowed() -> Guard {
    let mut guard = reference();
    guard.peers.insert(prefix("10.244.244.127/32"), node(5));
    guard
}

fn moved() {
    let node = Named::new("node");
    ensure_guard(&node.netns, &reference()).unwrap();
    let there = ensure_guard(&node.netns, &borrowed()).unwrap();
    assert_eq!(
        lines(&there),
        [
            "nft 'add element ip ipip peers { 172.18.0.5 . 0x0af4f47f, 172.18.0.5 . 0xac120005 }'",
            "nft 'delete element ip ipip peers { 172.18.0.2 . 0x0af4f440-0x0af4f47f }; \
             add element ip ipip peers { 172.18.0.2 . 0x0af4f440-0x0af4f47e }'",
        ]
    );
    let back = ensure_guard(&node.netns, &reference()).unwrap();
    assert_eq!(
        lines(&back),
        [
            "nft 'delete element ip ipip peers { 172.18.0.2 . 0x0af4f440-0x0af4f47e }; \
             add element ip ipip peers { 172.18.0.2 . 0x0af4f440-0x0af4f47f }'",
            "nft 'delete element ip ipip peers { 172.18.0.5 . 0x0af4f47f, 172.18.0.5 . 0xac120005 }'",
        ]
    );
    assert!(ensure_guard(&node.netns, &reference()).unwrap().is_empty());
}

/// What is printed and run by hand gives what the library made, at every stage.
fn printed() {
    let (node, twin) = (Named::new("node"), Named::new("twin"));
    let mut other_pools = borrowed();
    other_pools.pools[0].nat_outgoing = false;
    for guard in [reference(), borrowed(), other_pools, many(800), reference()] {
        let changes = ensure_guard(&node.netns, &guard).unwrap();
        assert!(!changes.is_empty());
        twin_runs(&twin, &changes.to_string());
        assert_eq!(listing(&twin), listing(&node));
    }
    twin_runs(&twin, &remove_guard(&node.netns).unwrap().to_string());
    assert_eq!(twin.sh("nft list ruleset"), "");
}

/// As a person would: from a file, since a line may be longer than an argument.
fn twin_runs(twin: &Named, script: &str) {
    let scratch = crate::support::Scratch::new();
    let file = scratch.file("plan.sh");
    std::fs::write(&file, script).unwrap();
    twin.sh(&format!("sh -e {}", file.display()));
}

/// A guard of `nodes` peers, each with some of 16,384 blocks, and one address in ten borrowed.
fn many(nodes: u32) -> Guard {
    let mut guard = reference();
    guard.pools[0].prefix = prefix("10.0.0.0/8");
    let node = |index: u32| NodeAddr((u32::from_be_bytes([172, 18, 0, 1]) + index % nodes).into());
    let blocks = prefix("10.0.0.0/12").subprefixes(26).take(16_384);
    guard.peers = (0..)
        .zip(blocks)
        .map(|(index, block)| (block, node(index)))
        .collect();
    guard
}

fn large() {
    let node = Named::new("node");
    let guard = many(5000);
    let since = Instant::now();
    assert_eq!(ensure_guard(&node.netns, &guard).unwrap().steps.len(), 1);
    let made = since.elapsed();
    assert!(ensure_guard(&node.netns, &guard).unwrap().is_empty());
    let seen = since.elapsed() - made;
    let mut grown = guard.clone();
    grown.peers.insert(prefix("10.200.0.0/26"), crate::node(77));
    assert_eq!(ensure_guard(&node.netns, &grown).unwrap().steps.len(), 1);
    let added = since.elapsed() - made - seen;
    println!("21,384 elements: made in {made:?}, looked at in {seen:?}, one added in {added:?}");
    let count = node.sh("nft list set ip ipip peers | tr ',' '\\n' | grep -c ' \\. 0x'");
    assert_eq!(count.trim(), (16_384 + 5_000 + 1).to_string());
}

fn declined() {
    let node = Named::new("node");
    let (state, changes) = settle_guard(&node.netns, None).unwrap();
    assert_eq!((state, changes.steps.len()), (GuardState::Declined, 0));
    let (state, changes) = settle_guard(&node.netns, Some(&reference())).unwrap();
    assert_eq!((state, changes.steps.len()), (GuardState::Active, 1));
    let (state, changes) = settle_guard(&node.netns, None).unwrap();
    assert_eq!((state, changes.steps.len()), (GuardState::Declined, 1));
    assert_eq!(node.sh("nft list ruleset"), "");
}

/// This program again, for one look without any `nft`: an empty directory lies over it.
fn without_program() {
    const VARIABLE: &str = "IPIP_TEST_NO_NFT";
    if std::env::var_os(VARIABLE).is_some() {
        let node = Named::new("node");
        let said = |error| ipip_core::error_chain(&error);
        let error = ensure_guard(&node.netns, &reference()).map_err(said);
        let expected = "no guard: table ip ipip: nf_tables cannot be used, there is no program nft";
        assert_eq!(error.unwrap_err(), expected);
        let (state, _) = settle_guard(&node.netns, Some(&reference())).unwrap();
        let reason = expected.to_owned();
        assert_eq!(state, GuardState::Unavailable { reason });
        return;
    }
    let this = std::env::current_exe().unwrap();
    let line = "mount -t tmpfs none /usr/sbin; exec \"$0\" --include-ignored --exact guard_without_the_program";
    let output = std::process::Command::new("unshare")
        .args(["-m", "/bin/sh", "-c", line])
        .arg(this)
        .env(VARIABLE, "1")
        .env("PATH", "/bin")
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// In user-mode-linux: the program is there, the kernel's part is not.
fn without_nf_tables() {
    let node = Named::new("node");
    let (state, changes) = settle_guard(&node.netns, Some(&reference())).unwrap();
    let GuardState::Unavailable { reason } = state else {
        panic!("{state:?}");
    };
    assert!(
        reason.starts_with("no guard: table ip ipip: nf_tables cannot be used, nft"),
        "{reason}"
    );
    assert!(changes.is_empty());
    assert!(remove_guard(&node.netns).unwrap().is_empty());
}

fn concurrent() {
    let node = Named::new("node");
    std::thread::scope(|scope| {
        for round in 0..4 {
            let node = &node;
            scope.spawn(move || {
                let guard = if round % 2 == 0 {
                    reference()
                } else {
                    borrowed()
                };
                ensure_guard(&node.netns, &guard).unwrap();
            });
        }
    });
    ensure_guard(&node.netns, &reference()).unwrap();
    assert!(ensure_guard(&node.netns, &reference()).unwrap().is_empty());
}
