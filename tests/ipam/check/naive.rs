//! The checks once more, slow and plain, on the raw JSON: what is wrong, as kind and subject.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const BLOCKS: &str = "/calico/ipam/v2/assignment/ipv4/block/";
const HOSTS: &str = "/calico/ipam/v2/host/";
const HANDLES: &str = "/calico/ipam/v2/handle/";

/// What a damaged store of blocks of four in 10.0.0.0/28 has wrong.
pub(super) fn problems(records: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let blocks = below(records, BLOCKS);
    // Handle, block: how many addresses.
    let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for (name, text) in &blocks {
        let cidr = name.replace('-', "/");
        if !inside(&cidr) {
            found.insert(format!("blockOutsidePools {cidr}"));
        } else if !cidr.ends_with("/30") {
            found.insert(format!("blockLen {cidr}"));
        }
        let Some(block) = sound(text, &cidr, &mut found) else {
            owners.insert(cidr, None);
            continue;
        };
        let owner = block["affinity"].as_str().unwrap_or_default().to_owned();
        let mut used = 0;
        for index in block["allocations"].as_array().unwrap() {
            let Some(index) = index.as_u64() else {
                continue;
            };
            used += 1;
            let handle = &block["attributes"][usize::try_from(index).unwrap()]["handle_id"];
            if let Some(handle) = handle.as_str() {
                *counts.entry((handle.to_owned(), cidr.clone())).or_default() += 1;
            }
        }
        if owner.is_empty() && used == 0 {
            found.insert(format!("blockOrphaned {cidr}"));
        }
        if let Some(node) = owner.strip_prefix("host:") {
            let claim = format!("{HOSTS}{node}/ipv4/block/{name}");
            if !records.contains_key(&claim) {
                found.insert(format!("blockUnclaimed {cidr}"));
            }
        }
        owners.insert(cidr, Some(owner));
    }
    overlaps(&blocks, &owners, &mut found);
    claims(records, &owners, &mut found);
    handles(records, &owners, &counts, &mut found);
    found
}

fn below(records: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let inside = records.iter().filter_map(|(key, value)| {
        let rest = key.strip_prefix(prefix)?;
        Some((rest.to_owned(), value.clone()))
    });
    inside.collect()
}

fn place(cidr: &str) -> (u32, u32) {
    let (addr, len) = cidr.split_once('/').unwrap();
    let first = addr.parse::<std::net::Ipv4Addr>().unwrap().to_bits();
    let len: u32 = len.parse().unwrap();
    (first, first + (1 << (32 - len)) - 1)
}

fn inside(cidr: &str) -> bool {
    let (first, last) = place(cidr);
    first <= 0x0a00_000f && last >= 0x0a00_0000
}

/// The block, if it can be read; all that is wrong with it is one problem here.
fn sound(text: &str, cidr: &str, found: &mut BTreeSet<String>) -> Option<Value> {
    let fault = format!("blockFault {cidr}");
    let Ok(block @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
        found.insert(fault);
        return None;
    };
    let empty = Vec::new();
    let list = |name: &str| block[name].as_array().unwrap_or(&empty).clone();
    let (first, last) = place(block["cidr"].as_str().unwrap_or(cidr));
    let size = last - first + 1;
    let allocations = list("allocations");
    let attributes = list("attributes").len();
    let indexes: Vec<i64> = allocations.iter().filter_map(Value::as_i64).collect();
    let range = |index: &i64| usize::try_from(*index).is_ok_and(|index| index < attributes);
    let mut places: Vec<i64> = list("unallocated")
        .iter()
        .filter_map(Value::as_i64)
        .collect();
    places.sort_unstable();
    let free: Vec<i64> = (0..)
        .zip(&allocations)
        .filter(|(_, a)| a.is_null())
        .map(|(n, _)| n)
        .collect();
    let is_read = block["cidr"].is_string()
        && allocations.len() == size as usize
        && indexes.iter().all(range)
        && places == free;
    if !is_read {
        found.insert(fault);
        return None;
    }
    let named: BTreeSet<_> = indexes.iter().collect();
    if named.len() < attributes {
        found.insert(fault);
    }
    if block["cidr"] != cidr {
        found.insert(format!("misplaced {BLOCKS}{}", cidr.replace('/', "-")));
        return None;
    }
    Some(block)
}

fn overlaps(
    blocks: &BTreeMap<String, String>,
    owners: &BTreeMap<String, Option<String>>,
    found: &mut BTreeSet<String>,
) {
    let cidrs: Vec<_> = blocks.keys().map(|name| name.replace('-', "/")).collect();
    for small in &cidrs {
        for large in &cidrs {
            let ((a, b), (c, d)) = (place(small), place(large));
            if small == large || a < c || b > d {
                continue;
            }
            found.insert(format!("blocksOverlap {small}"));
            if owners[small].is_none() || owners[large].is_none() {
                continue;
            }
            let taken = |cidr: &str, addr: u32| {
                let text = &blocks[&cidr.replace('/', "-")];
                let block: Value = serde_json::from_str(text).unwrap();
                !block["allocations"][(addr - place(cidr).0) as usize].is_null()
            };
            for addr in (a..=b).filter(|addr| taken(small, *addr) && taken(large, *addr)) {
                let addr = std::net::Ipv4Addr::from_bits(addr);
                found.insert(format!("duplicated {addr}"));
            }
        }
    }
}

fn claims(
    records: &BTreeMap<String, String>,
    owners: &BTreeMap<String, Option<String>>,
    found: &mut BTreeSet<String>,
) {
    for (rest, text) in below(records, HOSTS) {
        let Some((node, name)) = rest.split_once("/ipv4/block/") else {
            continue;
        };
        let cidr = name.replace('-', "/");
        let state = match serde_json::from_str::<Value>(text.as_str()) {
            _ if text.is_empty() => "confirmed".to_owned(),
            Ok(value @ Value::Object(_)) => {
                value["state"].as_str().unwrap_or("confirmed").to_owned()
            }
            _ => {
                found.insert(format!("unreadable {HOSTS}{rest}"));
                continue;
            }
        };
        match owners.get(&cidr) {
            None => found.insert(format!("claimWithoutBlock {node} {cidr}")),
            Some(None) => false,
            Some(Some(owner)) if *owner != format!("host:{node}") => {
                found.insert(format!("claimOfOther {node} {cidr}"))
            }
            Some(Some(_)) => {
                !matches!(state.as_str(), "" | "confirmed")
                    && found.insert(format!("claimUnconfirmed {node} {cidr}"))
            }
        };
    }
}

fn handles(
    records: &BTreeMap<String, String>,
    owners: &BTreeMap<String, Option<String>>,
    counts: &BTreeMap<(String, String), i64>,
    found: &mut BTreeSet<String>,
) {
    let stored = below(records, HANDLES);
    for (handle, _) in counts.keys() {
        if !stored.contains_key(handle) {
            found.insert(format!("handleMissing {handle}"));
        }
    }
    for (handle, text) in &stored {
        let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
            found.insert(format!("unreadable {HANDLES}{handle}"));
            continue;
        };
        let counted: BTreeMap<String, i64> = value["block"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(cidr, count)| (cidr.clone(), count.as_i64().unwrap()))
            .collect();
        let is_damaged = |cidr: &String| owners.get(cidr).is_some_and(Option::is_none);
        let has_any = counts.keys().any(|(one, _)| one == handle);
        if !has_any && !counted.keys().any(is_damaged) {
            found.insert(format!("handleLeaked {handle}"));
            continue;
        }
        let of_blocks = counts
            .keys()
            .filter(|(one, _)| one == handle)
            .map(|(_, cidr)| cidr.clone());
        let all: BTreeSet<String> = of_blocks.chain(counted.keys().cloned()).collect();
        for cidr in all.into_iter().filter(|cidr| !is_damaged(cidr)) {
            let really = counts
                .get(&(handle.clone(), cidr.clone()))
                .copied()
                .unwrap_or(0);
            if really != counted.get(&cidr).copied().unwrap_or(0).max(0) {
                found.insert(format!("handleCount {handle} {cidr}"));
            }
        }
    }
}
