//! The programs' maps, as `ipip.bpf.c` describes them: settings, peers, counters.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::datapath::counters::Counters;
use crate::peers::Peers;
use crate::sys::bpf::{Map, MapSpec};

/// The only key of a map with one entry.
const ONLY: [u8; 4] = [0; 4];

/// `struct settings` of the programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// This node's address.
    pub(super) local: NodeAddr,
    /// Interface number of the device.
    pub(super) tunnel: u32,
    /// Interface number of the underlay.
    pub(super) underlay: u32,
    /// Octets of the underlay's link header.
    pub(super) link_len: u32,
}

/// The maps of one pair of programs.
#[derive(Debug)]
pub(super) struct Maps {
    /// In the order of the object.
    all: Vec<(String, Map)>,
}

/// What the maps of peers hold.
#[derive(Debug, Default)]
pub(super) struct Filled {
    prefixes: HashMap<Ipv4Prefix, NodeAddr>,
    nodes: HashSet<NodeAddr>,
}

impl Maps {
    pub(super) fn create(specs: &[MapSpec]) -> io::Result<Self> {
        let map = |spec: &MapSpec| Ok((spec.name.clone(), Map::create(spec)?));
        let all = specs.iter().map(map).collect::<io::Result<_>>()?;
        Ok(Self { all })
    }

    /// The numbers that instructions name them by.
    pub(super) fn numbers(&self) -> io::Result<Vec<u32>> {
        self.all.iter().map(|(_, map)| map.number()).collect()
    }

    pub(super) fn set_settings(&self, settings: &Settings) -> io::Result<()> {
        let numbers = [settings.tunnel, settings.underlay, settings.link_len];
        let mut value = settings.local.0.octets().to_vec();
        value.extend(numbers.into_iter().flat_map(u32::to_ne_bytes));
        self.map("settings")?.set(&ONLY, &value)
    }

    /// Makes the maps hold `peers`, where they hold `filled`. What is added comes first, so nothing that stays
    /// allowed is refused meanwhile. A failure leaves `filled` saying what is there.
    pub(super) fn fill(
        &self,
        filled: &mut Filled,
        peers: &Peers,
        local: NodeAddr,
    ) -> io::Result<()> {
        let (prefixes, nodes) = (self.map("peers")?, self.map("nodes")?);
        let wanted: HashMap<_, _> = peers.iter().collect();
        // The node itself is nobody's peer, whatever `peers` holds of its own blocks.
        let known = wanted.values().copied().filter(|node| *node != local);
        let known: HashSet<NodeAddr> = known.collect();
        for node in known.difference(&filled.nodes.clone()) {
            nodes.set(&node.0.octets(), &[1, 0, 0, 0])?;
            filled.nodes.insert(*node);
        }
        for (prefix, node) in &wanted {
            if filled.prefixes.get(prefix) != Some(node) {
                prefixes.set(&key(*prefix), &node.0.octets())?;
                filled.prefixes.insert(*prefix, *node);
            }
        }
        let gone = filled
            .prefixes
            .keys()
            .filter(|prefix| !wanted.contains_key(prefix));
        for prefix in gone.copied().collect::<Vec<_>>() {
            prefixes.remove(&key(prefix))?;
            filled.prefixes.remove(&prefix);
        }
        for node in filled.nodes.clone().difference(&known) {
            nodes.remove(&node.0.octets())?;
            filled.nodes.remove(node);
        }
        Ok(())
    }

    /// What the programs counted, on all processors together.
    pub(super) fn counters(&self) -> io::Result<Counters> {
        let mut numbers = [0_u64; Counters::COUNT];
        for value in self.map("counters")?.get(&ONLY)? {
            for (sum, number) in numbers.iter_mut().zip(value.chunks_exact(8)) {
                let number = number.first_chunk().copied().unwrap_or_default();
                *sum = sum.wrapping_add(u64::from_ne_bytes(number));
            }
        }
        Ok(Counters::from_numbers(numbers))
    }

    fn map(&self, name: &str) -> io::Result<&Map> {
        let found = self.all.iter().find(|(found, _)| found == name);
        let missing = || io::Error::other(format!("the programs have no map {name}"));
        Ok(&found.ok_or_else(missing)?.1)
    }
}

/// `struct prefix` of the programs: the length in the machine's byte order, the address in the network's.
fn key(prefix: Ipv4Prefix) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&u32::from(prefix.len()).to_ne_bytes());
    key[4..].copy_from_slice(&prefix.network().octets());
    key
}
