//! Calico beside us: its staged protocol, which writes one key at a time and may stop anywhere.
//!
//! Each write compares the revision that was read. Claiming is claim pending, block, claim confirmed;
//! assigning is handle, block; releasing is block, handle; giving up is claim pendingDeletion, block,
//! claim. Each record that it writes has an `x`, as a newer version has fields that we do not know.

use std::cell::Cell;
use std::collections::BTreeMap;

use ipip_core::datastore::{Commit, Outcome, Revision, Store};
use ipnetwork::Ipv4Network;
use serde_json::{Value, json};

use crate::operation::PoolPlan;
use crate::record::Range;

const BLOCKS: &str = "/calico/ipam/v2/assignment/ipv4/block/";
const HOSTS: &str = "/calico/ipam/v2/host/";
const HANDLES: &str = "/calico/ipam/v2/handle/";
const POOLS: &str = "/calico/resources/v3/projectcalico.org/ippools/";

/// What one of Calico's processes does.
#[derive(Debug, Clone)]
pub(crate) enum Calico {
    Claim {
        node: String,
        block: Ipv4Network,
    },
    Assign {
        node: String,
        handle: String,
    },
    ReleaseHandle(String),
    ReleaseBlock {
        node: String,
        block: Ipv4Network,
    },
    CreatePool(PoolPlan),
    /// Does another and dies after so many writes.
    Dying(Box<Self>, u32),
    /// Loses the record of a handle.
    Forget(String),
    /// Writes a field of some record that we do not know.
    Note(u64),
}

/// It goes no further: somebody was faster, or the store failed.
struct Stopped;
type Step<T> = Result<T, Stopped>;

/// A record as it was read, or that there is none.
struct Read {
    key: String,
    value: Value,
    revision: Option<Revision>,
}

struct Client<'a> {
    store: &'a dyn Store,
    /// Nanoseconds since 1970.
    now: u64,
    /// So many writes before it dies.
    writes: Cell<u32>,
}

impl Calico {
    /// Whether it loses the record of a handle.
    pub(crate) fn forgets(&self) -> bool {
        match self {
            Self::Dying(other, _) => other.forgets(),
            _ => matches!(self, Self::Forget(_)),
        }
    }

    /// Does it, as far as it comes.
    pub(crate) fn run(&self, store: &dyn Store, now: u64) {
        let writes = Cell::new(u32::MAX);
        self.run_as(&Client { store, now, writes });
    }

    fn run_as(&self, client: &Client<'_>) {
        let _stopped_early = match self {
            Self::Claim { node, block } => client.claim(node, *block),
            Self::Assign { node, handle } => client.assign(node, handle),
            Self::ReleaseHandle(handle) => client.release_handle(handle),
            Self::ReleaseBlock { node, block } => client.release_block(node, *block),
            Self::CreatePool(plan) => client.create_pool(*plan),
            Self::Dying(other, after) => {
                client.writes.set(*after);
                other.run_as(client);
                Ok(())
            }
            Self::Forget(handle) => client.forget(handle),
            Self::Note(x) => client.note(*x),
        };
    }
}

impl Client<'_> {
    fn get(&self, key: String) -> Step<Read> {
        let record = self.store.get(&key).map_err(|_| Stopped)?;
        let revision = record.as_ref().map(|record| record.revision);
        let value = record.and_then(|record| serde_json::from_slice(&record.value).ok());
        let value = value.unwrap_or(Value::Null);
        Ok(Read {
            key,
            value,
            revision,
        })
    }

    /// Writes `value` in place of what was read; whether nobody was faster.
    fn put(&self, read: &Read, value: &Value) -> Step<bool> {
        let mut commit = Commit::new();
        commit.expect(&read.key, read.revision);
        commit.put(&read.key, value.to_string().into_bytes());
        self.commit(commit)
    }

    /// Whether nobody was faster.
    fn commit(&self, commit: Commit) -> Step<bool> {
        let left = self.writes.get().checked_sub(1).ok_or(Stopped)?;
        self.writes.set(left);
        let outcome = self.store.commit(commit).map_err(|_| Stopped)?;
        Ok(matches!(outcome, Outcome::Committed(_)))
    }

    fn delete(&self, read: &Read) -> Step<bool> {
        let mut commit = Commit::new();
        commit.expect(&read.key, read.revision).delete(&read.key);
        self.commit(commit)
    }

    fn get_claim(&self, node: &str, block: Ipv4Network) -> Step<Read> {
        self.get(format!("{HOSTS}{node}/ipv4/block/{}", element(block)))
    }

    fn set_state(&self, claim: &Read, state: &str) -> Step<bool> {
        let value = json!({"state": state, "deleted": false, "x": self.now >> 8});
        self.put(claim, &value)
    }

    fn claim(&self, node: &str, block: Ipv4Network) -> Step<()> {
        if !self.is_in_pool(block)? {
            return Ok(());
        }
        let claim = self.get_claim(node, block)?;
        if claim.value["state"] == "confirmed" || !self.set_state(&claim, "pending")? {
            return Ok(());
        }
        let claim = self.get_claim(node, block)?;
        if claim.revision.is_none() {
            return Ok(());
        }
        let stored = self.get(format!("{BLOCKS}{}", element(block)))?;
        let owner = format!("host:{node}");
        let done = match &stored.value {
            Value::Null => self.put(&stored, &self.new_block(&owner, block))?,
            value if value["affinity"] == *owner => self.put(&stored, &touched(value.clone()))?,
            _ => return self.delete(&claim).map(drop),
        };
        if done {
            self.set_state(&claim, "confirmed")?;
        }
        Ok(())
    }

    fn is_in_pool(&self, block: Ipv4Network) -> Step<bool> {
        let pools = self.store.list(POOLS).map_err(|_| Stopped)?.entries;
        Ok(pools.iter().any(|record| {
            let pool: Value = serde_json::from_slice(&record.value).unwrap_or_default();
            let spec = &pool["spec"];
            let cidr = spec["cidr"].as_str().map(Range::of);
            let covers = cidr.is_some_and(|cidr| cidr.covers(Range::of(&block.to_string())));
            covers && spec["blockSize"] == block.prefix() && spec["disabled"] != true
        }))
    }

    fn new_block(&self, owner: &str, block: Ipv4Network) -> Value {
        let size = block.size() as usize;
        let seconds = self.now / 1_000_000_000;
        let [hours, minutes, seconds] = [seconds / 3600, seconds / 60 % 60, seconds % 60];
        let claimed = format!(
            "1970-01-{:02}T{:02}:{minutes:02}:{seconds:02}Z",
            1 + hours / 24,
            hours % 24
        );
        json!({
            "cidr": block.to_string(), "affinity": owner, "affinity_claim_time": claimed,
            "allocations": vec![Value::Null; size], "unallocated": (0..size).collect::<Vec<_>>(),
            "attributes": null, "sequenceNumber": self.now, "sequenceNumberForAllocation": {},
            "deleted": false, "x": self.now >> 8,
        })
    }

    fn assign(&self, node: &str, handle: &str) -> Step<()> {
        let claims = self.store.list(&format!("{HOSTS}{node}/ipv4/block/"));
        for claim in claims.map_err(|_| Stopped)?.entries {
            let state: Value = serde_json::from_slice(&claim.value).unwrap_or_default();
            let (_, block) = claim.key.rsplit_once('/').expect("a claim's key");
            let stored = self.get(format!("{BLOCKS}{block}"))?;
            let free = stored.value["unallocated"].as_array().map_or(0, Vec::len);
            let ours = stored.value["affinity"] == format!("host:{node}");
            if !ours || free == 0 || state["state"] != "confirmed" {
                continue;
            }
            let cidr = stored.value["cidr"].as_str().unwrap_or_default();
            if !self.count(handle, cidr, 1)? {
                return Ok(());
            }
            if !self.put(&stored, &with_address(stored.value.clone(), node, handle))? {
                self.count(handle, cidr, -1)?;
            }
            return Ok(());
        }
        Ok(())
    }

    /// Counts `more` addresses of `handle`; whether nobody was faster.
    fn count(&self, handle: &str, cidr: &str, more: i64) -> Step<bool> {
        let read = self.get(format!("{HANDLES}{handle}"))?;
        let mut value = read.value.clone();
        if value.is_null() {
            if more < 0 {
                return Ok(true);
            }
            value = json!({"block": {}, "deleted": false});
        }
        let count = value["block"][cidr].as_i64().unwrap_or(0) + more;
        value["x"] = json!(self.now >> 8);
        let blocks = value["block"].as_object_mut().expect("an object");
        if count > 0 {
            blocks.insert(cidr.to_owned(), json!(count));
        } else {
            blocks.remove(cidr);
        }
        if blocks.is_empty() {
            self.delete(&read)
        } else {
            self.put(&read, &value)
        }
    }

    fn release_handle(&self, handle: &str) -> Step<()> {
        let read = self.get(format!("{HANDLES}{handle}"))?;
        let blocks = read.value["block"].as_object().cloned().unwrap_or_default();
        for cidr in blocks.keys() {
            let stored = self.get(format!("{BLOCKS}{}", cidr.replace('/', "-")))?;
            if stored.value.is_null() {
                continue;
            }
            let (value, count) = without_handle(stored.value.clone(), handle);
            if count == 0 {
                continue;
            }
            let is_left = value["affinity"].is_null() && value["attributes"] == json!([]);
            let done = if is_left {
                self.delete(&stored)?
            } else {
                self.put(&stored, &value)?
            };
            if done {
                self.count(handle, cidr, -count)?;
            }
        }
        Ok(())
    }

    fn release_block(&self, node: &str, block: Ipv4Network) -> Step<()> {
        let claim = self.get_claim(node, block)?;
        let stored = self.get(format!("{BLOCKS}{}", element(block)))?;
        if claim.revision.is_none() {
            return Ok(());
        }
        if stored.value["affinity"] != format!("host:{node}") {
            return self.delete(&claim).map(drop);
        }
        if !self.set_state(&claim, "pendingDeletion")? {
            return Ok(());
        }
        let claim = self.get_claim(node, block)?;
        let is_free = |index: &Value| index.is_null();
        let allocations = stored.value["allocations"].as_array();
        let done = if allocations.is_some_and(|all| all.iter().all(is_free)) {
            self.delete(&stored)?
        } else {
            let mut value = touched(stored.value.clone());
            value["affinity"] = Value::Null;
            value
                .as_object_mut()
                .expect("a block")
                .remove("affinity_claim_time");
            self.put(&stored, &value)?
        };
        if done && claim.value["state"] == "pendingDeletion" {
            self.delete(&claim)?;
        }
        Ok(())
    }

    fn create_pool(&self, plan: PoolPlan) -> Step<()> {
        let read = self.get(format!("{POOLS}{}", plan.name))?;
        if read.revision.is_some() {
            return Ok(());
        }
        let mut value: Value = serde_json::from_slice(&plan.pool().to_json()).expect("JSON");
        value["x"] = json!(self.now >> 8);
        self.put(&read, &value).map(drop)
    }

    fn forget(&self, handle: &str) -> Step<()> {
        let read = self.get(format!("{HANDLES}{handle}"))?;
        match read.revision {
            Some(_) => self.delete(&read).map(drop),
            None => Ok(()),
        }
    }

    fn note(&self, x: u64) -> Step<()> {
        let mut records = self.store.list("/calico/").map_err(|_| Stopped)?.entries;
        let has_fields = |key: &str| {
            let host = key.starts_with(HOSTS) && !key.contains("/block/");
            !host && !key.ends_with("/ippools") && !key.contains("ipreserv")
        };
        records.retain(|record| has_fields(&record.key));
        if records.is_empty() {
            return Ok(());
        }
        let record = &records[usize::try_from(x % records.len() as u64).expect("below")];
        let mut read = self.get(record.key.clone())?;
        if read.revision.is_none() {
            return Ok(());
        }
        let mut value = read.value.take();
        if read.key.starts_with(BLOCKS) {
            value = touched(value);
        }
        value["x"] = json!(x);
        self.put(&read, &value).map(drop)
    }
}

fn element(block: Ipv4Network) -> String {
    block.to_string().replace('/', "-")
}

fn touched(mut block: Value) -> Value {
    let sequence = block["sequenceNumber"].as_u64().expect("a number");
    block["sequenceNumber"] = json!(sequence + 1);
    block
}

/// The block with its next address assigned.
fn with_address(mut block: Value, node: &str, handle: &str) -> Value {
    let ordinal = block["unallocated"]
        .as_array_mut()
        .expect("a queue")
        .remove(0);
    let who = json!({"handle_id": handle, "secondary": {"node": node}});
    if block["attributes"].is_null() {
        block["attributes"] = json!([]);
    }
    let attributes = block["attributes"].as_array_mut().expect("a list");
    let found = attributes.iter().position(|other| *other == who);
    let index = found.unwrap_or_else(|| {
        attributes.push(who);
        attributes.len() - 1
    });
    let place = ordinal.as_u64().and_then(|place| place.try_into().ok());
    let place: usize = place.expect("an ordinal");
    block["allocations"][place] = json!(index);
    block["sequenceNumberForAllocation"][place.to_string()] = block["sequenceNumber"].clone();
    touched(block)
}

/// The block without the addresses of `handle`, and how many they were.
fn without_handle(mut block: Value, handle: &str) -> (Value, i64) {
    let attributes = block["attributes"].as_array().cloned().unwrap_or_default();
    let allocations = block["allocations"].as_array().cloned().expect("a list");
    let (mut freed, mut kept, mut numbers) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (index, attribute) in attributes.into_iter().enumerate() {
        if attribute["handle_id"] != handle {
            numbers.insert(index as u64, kept.len());
            kept.push(attribute);
        }
    }
    for (place, index) in allocations.iter().enumerate() {
        let Some(index) = index.as_u64() else {
            continue;
        };
        match numbers.get(&index) {
            Some(number) => block["allocations"][place] = json!(number),
            None => freed.push(place),
        }
    }
    for place in &freed {
        block["allocations"][*place] = Value::Null;
        block["unallocated"]
            .as_array_mut()
            .expect("a queue")
            .push(json!(place));
        let stamps = block["sequenceNumberForAllocation"].as_object_mut();
        stamps.expect("an object").remove(&place.to_string());
    }
    block["attributes"] = Value::Array(kept);
    let count = i64::try_from(freed.len()).expect("few");
    (touched(block), count)
}
