//! Ways to damage a store, and what is assigned in a damaged one.

use std::collections::{BTreeMap, BTreeSet};

use ipip_core::datastore::Store;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::Network;

/// One damage; the index chooses among the keys that there are.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Delete(prop::sample::Index),
    Garbage(prop::sample::Index),
    /// The value of one key under another one of its kind.
    Copy(prop::sample::Index, prop::sample::Index),
    Queue(prop::sample::Index, Vec<i64>),
    Allocation(prop::sample::Index, usize, Option<i64>),
    Stray(prop::sample::Index),
    Owner(prop::sample::Index, Option<String>),
    Count(prop::sample::Index, u8, i64),
    Claim(u8, u8, String),
    Handle(u8, i64),
    Large(u8),
}

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    let key = any::<prop::sample::Index>;
    let owner = prop::option::of(prop::sample::select(vec!["host:a", "host:c", "virtual:v"]));
    let state = prop::sample::select(vec!["", "pending", "confirmed", "pendingDeletion"]);
    prop_oneof![
        key().prop_map(Damage::Delete),
        key().prop_map(Damage::Garbage),
        (key(), key()).prop_map(|(from, to)| Damage::Copy(from, to)),
        (key(), prop::collection::vec(-1i64..6, 0..6)).prop_map(|(k, q)| Damage::Queue(k, q)),
        (key(), 0usize..4, prop::option::of(-1i64..3))
            .prop_map(|(k, o, i)| Damage::Allocation(k, o, i)),
        key().prop_map(Damage::Stray),
        (key(), owner).prop_map(|(k, o)| Damage::Owner(k, o.map(str::to_owned))),
        (key(), 0u8..4, -1i64..4).prop_map(|(k, b, n)| Damage::Count(k, b, n)),
        (0u8..3, 0u8..5, state).prop_map(|(n, b, s)| Damage::Claim(n, b, s.to_owned())),
        (0u8..4, 0i64..3).prop_map(|(b, n)| Damage::Handle(b, n)),
        (0u8..8).prop_map(Damage::Large),
    ]
}

const BLOCKS: &str = "/calico/ipam/v2/assignment/ipv4/block/";
const HANDLES: &str = "/calico/ipam/v2/handle/";

impl Damage {
    pub(super) fn apply(&self, net: &Network) {
        let all = || net.store.list_keys("/calico/ipam/").unwrap().entries;
        let kind = |prefix: &str| -> Vec<String> {
            all()
                .into_iter()
                .filter(|key| key.starts_with(prefix))
                .collect()
        };
        let pick = |keys: Vec<String>, index: &prop::sample::Index| {
            (!keys.is_empty()).then(|| keys[index.index(keys.len())].clone())
        };
        let edit = |prefix: &str, index: &prop::sample::Index, edit: &dyn Fn(&mut Value)| {
            let Some(key) = pick(kind(prefix), index) else {
                return;
            };
            let text = net.value(&key).unwrap();
            if let Ok(mut value @ Value::Object(_)) = serde_json::from_str(&text) {
                edit(&mut value);
                net.put(&key, &value.to_string());
            }
        };
        match self {
            Self::Delete(index) => pick(all(), index)
                .into_iter()
                .for_each(|key| net.delete(&key)),
            Self::Garbage(index) => {
                pick(all(), index)
                    .into_iter()
                    .for_each(|key| net.put(&key, r#"{"cidr""#));
            }
            Self::Copy(from, to) => {
                if let (Some(from), Some(to)) = (pick(kind(BLOCKS), from), pick(kind(BLOCKS), to)) {
                    net.put(&to, &net.value(&from).unwrap());
                }
            }
            Self::Queue(index, queue) => {
                edit(BLOCKS, index, &|block| block["unallocated"] = json!(queue))
            }
            Self::Allocation(index, ordinal, to) => edit(BLOCKS, index, &|block| {
                if let Some(entry) = block["allocations"].get_mut(*ordinal) {
                    *entry = json!(to);
                }
            }),
            Self::Stray(index) => edit(BLOCKS, index, &|block| {
                if let Some(attributes) = block["attributes"].as_array_mut() {
                    attributes.push(json!({"handle_id": "stray"}));
                }
            }),
            Self::Owner(index, owner) => {
                edit(BLOCKS, index, &|block| block["affinity"] = json!(owner))
            }
            Self::Count(index, block, count) => edit(HANDLES, index, &|handle| {
                handle["block"][format!("10.0.0.{}/30", block * 4)] = json!(count);
            }),
            Self::Claim(node, block, state) => {
                let node = ["a", "b", "c"][usize::from(*node)];
                let key = format!(
                    "/calico/ipam/v2/host/{node}/ipv4/block/10.0.0.{}-30",
                    block * 4
                );
                net.put(&key, &json!({"state": state}).to_string());
            }
            Self::Handle(block, count) => {
                let counts = json!({"block": {format!("10.0.0.{}/30", block * 4): count}});
                net.put(&format!("{HANDLES}w"), &counts.to_string());
            }
            Self::Large(used) => {
                let places = 0u8..8;
                let allocations: Vec<_> =
                    places.clone().map(|p| (p == *used).then_some(0)).collect();
                let free: Vec<_> = places.filter(|place| place != used).collect();
                let block = json!({"cidr": "10.0.0.0/29", "affinity": "host:a", "allocations": allocations,
                    "unallocated": free, "attributes": [{"handle_id": "l"}]});
                net.put(&format!("{BLOCKS}10.0.0.0-29"), &block.to_string());
            }
        }
    }
}

/// Block, place and owner of everything that is assigned, as far as the JSON tells.
pub(super) fn assigned(records: &BTreeMap<String, String>) -> BTreeSet<(String, usize, String)> {
    let mut found = BTreeSet::new();
    for (key, text) in records.iter().filter(|(key, _)| key.starts_with(BLOCKS)) {
        let block: Value = serde_json::from_str(text).unwrap_or_default();
        let allocations = block["allocations"].as_array().cloned().unwrap_or_default();
        for (place, index) in allocations.iter().enumerate() {
            if let Some(index) = index.as_u64() {
                let who = &block["attributes"][usize::try_from(index).unwrap()];
                found.insert((key.clone(), place, who["handle_id"].to_string()));
            }
        }
    }
    found
}
