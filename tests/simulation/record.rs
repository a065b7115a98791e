//! The records of the store as the judge reads them, without the library: what Calico's data model
//! says, once more, of those fields that matter here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;

/// What holds, or what is wrong.
pub(crate) type Verdict<T> = Result<T, String>;

pub(crate) fn check(holds: bool, rule: impl FnOnce() -> String) -> Verdict<()> {
    if holds { Ok(()) } else { Err(rule()) }
}

/// A field that the library does not know stays in a record that it writes again.
pub(crate) fn kept(key: &str, old: Option<u64>, new: Option<Option<u64>>) -> Verdict<()> {
    check(new.is_none_or(|new| new == old), || {
        format!("{key}: x was {old:?}, is {new:?}")
    })
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(key: &str, value: &'a [u8]) -> Verdict<T> {
    serde_json::from_slice(value).map_err(|error| {
        let text = String::from_utf8_lossy(value);
        format!("{key}: {error} in {text}")
    })
}

/// In each record `x` stands for all the fields that the library does not know.
#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Block {
    pub(crate) cidr: String,
    pub(crate) affinity: Option<String>,
    #[serde(default, rename = "affinity_claim_time")]
    claim_time: Option<String>,
    pub(crate) allocations: Vec<Option<usize>>,
    pub(crate) unallocated: Vec<usize>,
    attributes: Option<Vec<Attribute>>,
    #[serde(rename = "sequenceNumber")]
    pub(crate) sequence: u64,
    #[serde(rename = "sequenceNumberForAllocation")]
    sequences: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) x: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Attribute {
    #[serde(default)]
    pub(crate) handle_id: Option<String>,
    #[serde(default)]
    pub(crate) secondary: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "releasedAt")]
    released_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Claim {
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) x: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Handle {
    pub(crate) block: BTreeMap<String, i64>,
    #[serde(default)]
    pub(crate) x: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Config {
    #[serde(default, rename = "strict_affinity")]
    pub(crate) strict: bool,
    #[serde(default, rename = "auto_allocate_blocks")]
    pub(crate) auto: bool,
    #[serde(default, rename = "maxBlocksPerHost")]
    pub(crate) limit: usize,
    #[serde(default, rename = "ipCooldownSeconds")]
    pub(crate) cooldown: u64,
    #[serde(default)]
    pub(crate) x: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            strict: false,
            auto: true,
            limit: 0,
            cooldown: 0,
            x: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Pool {
    pub(crate) metadata: Metadata,
    pub(crate) spec: PoolSpec,
    #[serde(default)]
    pub(crate) x: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct PoolSpec {
    pub(crate) cidr: String,
    #[serde(rename = "blockSize")]
    pub(crate) block_len: u8,
    #[serde(default)]
    pub(crate) disabled: bool,
    #[serde(rename = "nodeSelector")]
    selector: String,
    #[serde(default, rename = "allowedUses")]
    uses: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) metadata: Metadata,
    pub(crate) spec: ReservationSpec,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct ReservationSpec {
    #[serde(rename = "reservedCIDRs")]
    pub(crate) cidrs: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Node {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    pub(crate) x: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
struct NodeSpec {
    #[serde(default)]
    bgp: Bgp,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
struct Bgp {
    #[serde(default, rename = "ipv4IPIPTunnelAddr")]
    tunnel_addr: Option<Ipv4Addr>,
}

impl Pool {
    /// Whether it gives its addresses to nodes of `zone` that ask for any.
    pub(crate) fn selects(&self, zone: Option<&str>) -> bool {
        let all = self.spec.selector == "all()";
        let of_zone = self.spec.selector == "zone == 'a'" && zone == Some("a");
        !self.spec.disabled && (all || of_zone)
    }

    /// Whether its addresses are for workloads, or for tunnels; none said means both.
    pub(crate) fn allows(&self, purpose: &str) -> bool {
        self.spec.uses.is_empty() || self.spec.uses.iter().any(|one| one == purpose)
    }
}

impl Node {
    pub(crate) fn zone(&self) -> Option<String> {
        self.metadata.labels.get("zone").cloned()
    }

    pub(crate) fn tunnel_addr(&self) -> Option<Ipv4Addr> {
        self.spec.bgp.tunnel_addr
    }
}

/// Addresses from the first to before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range(u64, u64);

impl Range {
    /// Of a prefix, written with `/` or `-`.
    pub(crate) fn of(text: &str) -> Self {
        let (network, len) = text.split_once(['/', '-']).unwrap_or((text, "32"));
        let network: Ipv4Addr = network.parse().expect("an address");
        let len: u32 = len.parse().expect("a length");
        let start = u64::from(u32::from(network));
        Self(start, start + (1 << (32 - len)))
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.0 < other.1 && other.0 < self.1
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.0 <= other.0 && other.1 <= self.1
    }

    pub(crate) fn contains(self, addr: Ipv4Addr) -> bool {
        (self.0..self.1).contains(&u64::from(u32::from(addr)))
    }

    pub(crate) fn size(self) -> usize {
        usize::try_from(self.1 - self.0).expect("small")
    }

    /// The place of `addr`, which it contains.
    pub(crate) fn ordinal(self, addr: Ipv4Addr) -> usize {
        usize::try_from(u64::from(u32::from(addr)) - self.0).expect("small")
    }

    pub(crate) fn addr(self, ordinal: usize) -> Ipv4Addr {
        Ipv4Addr::from(u32::try_from(self.0 + ordinal as u64).expect("inside"))
    }
}

/// Seconds since 1970 of a time in January of that year, in which all histories happen.
fn seconds(text: &str) -> u64 {
    let number = |from: usize, to: usize| -> u64 {
        let digits = text.get(from..to).and_then(|digits| digits.parse().ok());
        digits.expect("a time as Calico writes it")
    };
    assert_eq!(&text[..8], "1970-01-", "a time in {text}");
    ((number(8, 10) - 1) * 24 + number(11, 13)) * 3600 + number(14, 16) * 60 + number(17, 19)
}

/// What one address is.
#[derive(Debug, PartialEq)]
pub(crate) enum Standing<'a> {
    Free,
    /// Released at this second, and given to nobody.
    Cooling(u64),
    /// Assigned, with this sequence number.
    Held(&'a Attribute, u64),
}

impl Block {
    pub(crate) fn range(&self) -> Range {
        Range::of(&self.cidr)
    }

    pub(crate) fn standing(&self, ordinal: usize) -> Standing<'_> {
        let attribute = self.allocations[ordinal]
            .and_then(|index| self.attributes.as_ref().and_then(|all| all.get(index)));
        let Some(attribute) = attribute else {
            return Standing::Free;
        };
        match &attribute.released_at {
            Some(at) => Standing::Cooling(seconds(at)),
            None => {
                let stamp = self.sequences.get(&ordinal.to_string());
                Standing::Held(attribute, stamp.copied().unwrap_or(0))
            }
        }
    }

    pub(crate) fn standings(&self) -> impl Iterator<Item = Standing<'_>> {
        (0..self.allocations.len()).map(|ordinal| self.standing(ordinal))
    }

    /// The handles of its addresses, each as often as it has one.
    pub(crate) fn handles(&self) -> impl Iterator<Item = &str> {
        self.standings().filter_map(|standing| match standing {
            Standing::Held(who, _) => who.handle_id.as_deref(),
            _ => None,
        })
    }

    pub(crate) fn is_held(&self) -> bool {
        let mut standings = self.standings();
        standings.any(|standing| matches!(standing, Standing::Held(..)))
    }

    pub(crate) fn node(&self) -> Option<&str> {
        self.affinity.as_deref()?.strip_prefix("host:")
    }

    /// When its owner claimed it, in seconds.
    pub(crate) fn claimed(&self) -> u64 {
        self.claim_time.as_deref().map_or(0, seconds)
    }

    /// The same with every address free, in order.
    pub(crate) fn empty_twin(&self) -> Self {
        let size = self.allocations.len();
        Self {
            allocations: vec![None; size],
            unallocated: (0..size).collect(),
            attributes: None,
            sequences: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The rules for one block that stands under `name`.
    pub(crate) fn check(&self, name: &str) -> Verdict<()> {
        let size = self.range().size();
        check(self.cidr.replace('/', "-") == name, || {
            format!("{name} holds {}", self.cidr)
        })?;
        check(self.allocations.len() == size, || {
            format!("{name}: {} allocations", self.allocations.len())
        })?;
        let mut is_queued = vec![false; size];
        for ordinal in &self.unallocated {
            let once = *ordinal < size && !std::mem::replace(&mut is_queued[*ordinal], true);
            check(once, || format!("{name}: {ordinal} queues twice"))?;
        }
        let mut is_used = vec![false; self.attributes.as_ref().map_or(0, Vec::len)];
        for (ordinal, index) in self.allocations.iter().enumerate() {
            check(is_queued[ordinal] == index.is_none(), || {
                format!("{name}: the queue is not what is free")
            })?;
            let stamped = self.sequences.contains_key(&ordinal.to_string());
            check(stamped == index.is_some(), || {
                format!("{name}: sequence numbers of other addresses")
            })?;
            let Some(index) = index else { continue };
            check(*index < is_used.len(), || {
                format!("{name}: {index} is none")
            })?;
            is_used[*index] = true;
        }
        check(is_used.iter().all(|used| *used), || {
            format!("{name}: attributes of nobody")
        })
    }
}
