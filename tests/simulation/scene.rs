//! The stage of one history: its pools and nodes, and which operations are drawn how often.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipip_core::ipam::Collector;
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{AllocatorConfig, Release, Sequence, Use};
use ipnetwork::Ipv4Network;

use crate::calico::Calico;
use crate::chance::Chance;
use crate::focus::Focus;
use crate::operation::{Collection, Operation, PoolPlan, Setting, Shelf};
use crate::state::State;

/// How many processes there are; the first two are of one node.
pub(crate) const PROCESSES: usize = 6;
/// How many handles are used.
pub(crate) const HANDLES: usize = 8;
/// How many seconds an operation of Calico takes at most; 90 in truth.
pub(crate) const CALICOS_TIME: u64 = 80;
/// After how many seconds what looks useless is collected: sooner than Calico may end what it began.
pub(crate) const GRACE: u64 = 30;
/// How many kinds of operations there are, Calico's apart.
pub(crate) const KINDS: usize = 26;
/// How often each kind is drawn where nothing is left out, in its order below.
const USUAL: [usize; KINDS] = [
    6, 4, 3, 5, 2, 2, 2, 2, 3, 2, 2, 2, 1, 3, 1, 3, 2, 2, 2, 2, 4, 1, 2, 1, 3, 2,
];
/// So many of them are what pods need; the others are the administrator's.
const PODS: usize = 10;

/// An address that an operation once got.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) addr: Ipv4Addr,
    pub(crate) handle: HandleId,
    pub(crate) sequence: Sequence,
}

/// Where a history takes place.
#[derive(Debug)]
pub(crate) struct Scene {
    weights: [usize; KINDS],
    pub(crate) plans: Vec<PoolPlan>,
    /// So many of them are there from the beginning.
    pub(crate) first_pools: usize,
    /// Whether Calico works on the same store.
    pub(crate) with_calico: bool,
    collector: Arc<Mutex<Collector>>,
    shelf: Shelf,
    /// Whether records of handles are lost.
    with_damage: bool,
    focus: Focus,
}

/// Who does something, and what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present<'a> {
    pub(crate) node: &'a str,
    pub(crate) state: &'a State,
    /// What was assigned once, whether it still is or not.
    pub(crate) known: &'a [Remembered],
}

/// Prefixes of pools, and the lengths of their blocks.
const POOLS: [(&str, u8); 3] = [
    ("10.0.0.0/28", 30),
    ("10.0.0.0/27", 29),
    ("10.0.0.0/26", 28),
];

impl Scene {
    /// Draws one; `ordered` says that no read is later than one before, without which pools of
    /// other block sizes are not to be told apart.
    pub(crate) fn draw(chance: &mut Chance, ordered: bool) -> Self {
        let with_calico = chance.one_in(3);
        let (cidr, block_len) = *chance.pick(&POOLS);
        let cidr: Ipv4Network = cidr.parse().expect("a prefix");
        let administered = chance.one_in(2);
        let mut weights = USUAL;
        for (kind, weight) in weights.iter_mut().enumerate() {
            // What is missing makes room for what else can happen.
            let left_out = chance.one_in(4) || (kind >= PODS && !administered);
            // What is rare elsewhere is frequent here and there.
            let often = if chance.one_in(8) { 6 } else { 1 };
            *weight = if left_out {
                0
            } else {
                *weight * (1 + chance.below(3)) * often
            };
        }
        weights[0] = weights[0].max(3);
        weights[3] = weights[3].max(2);
        let focus = Focus::draw(chance, with_calico);
        focus.weigh(&mut weights);
        Self {
            weights,
            plans: plans(cidr, block_len, ordered && !with_calico),
            first_pools: if focus.needs_two_pools() || chance.one_in(3) {
                2
            } else {
                1
            },
            with_calico,
            collector: Arc::new(Mutex::new(Collector::new(Duration::from_secs(GRACE)))),
            shelf: Shelf::default(),
            with_damage: chance.one_in(2),
            focus,
        }
    }

    pub(crate) fn node(place: usize) -> NodeName {
        let name = format!("node-{}", place.max(1));
        NodeName::try_new(&name).expect("a name")
    }

    pub(crate) fn handle(number: usize) -> HandleId {
        HandleId::try_new(&format!("h{number}")).expect("a handle")
    }

    /// A handle that only those have who ask for one address for each.
    pub(crate) fn one_of_each(number: usize) -> HandleId {
        HandleId::try_new(&format!("e{number}")).expect("a handle")
    }

    fn addr(&self, chance: &mut Chance) -> Ipv4Addr {
        let at = if chance.one_in(5) {
            self.plans.len()
        } else {
            1
        };
        let cidr = self.plans[chance.below(at)].cidr;
        cidr.nth(chance.number(cidr.size())).expect("inside")
    }

    /// A block; mostly one that `node` claims, or that is there.
    fn block(&self, chance: &mut Chance, node: &str, state: &State) -> Ipv4Network {
        let claims = || state.claims.keys().filter(|(owner, _)| owner == node);
        let known = match chance.below(4) {
            0 | 1 => chance.any(claims().map(|(_, block)| block)),
            2 => chance.any(state.blocks.keys()),
            _ => None,
        };
        let known = known.and_then(|name| name.replace('-', "/").parse().ok());
        known.unwrap_or_else(|| masked(self.addr(chance), self.plans[0].block_len))
    }

    /// What Calico does next.
    pub(crate) fn draw_calico(
        &self,
        chance: &mut Chance,
        handles: &mut Vec<String>,
        state: &State,
    ) -> Operation {
        let free = masked(self.addr(chance), self.plans[0].block_len);
        if let Some(calico) = self.focus.draw_calico(chance, state, free) {
            return Operation::Calico(calico);
        }
        let node = match chance.below(2) {
            0 => Self::node(chance.below(PROCESSES)).to_string(),
            _ => "calico-1".to_owned(),
        };
        let any = |chance: &mut Chance, handles: &[String]| match handles.is_empty() {
            true => "c0".to_owned(),
            false => chance.pick(handles).clone(),
        };
        let block = self.block(chance, &node, state);
        let calico = match chance.below(13) {
            0..=2 => Calico::Claim { node, block },
            3..=5 => {
                // Few, so that one is used again.
                let handle = format!("c{}", chance.below(4));
                if !handles.contains(&handle) {
                    handles.push(handle.clone());
                }
                Calico::Assign { node, handle }
            }
            6 => Calico::ReleaseHandle(any(chance, handles)),
            7..=8 => Calico::ReleaseBlock { node, block },
            9 => Calico::CreatePool(self.plans[0]),
            10 => match chance.any(state.handles.keys()) {
                Some(handle) if self.with_damage => Calico::Forget(handle.clone()),
                _ => Calico::Note(chance.next() >> 1),
            },
            _ => Calico::Note(chance.next() >> 1),
        };
        Operation::Calico(match chance.one_in(4) {
            true => Calico::Dying(Box::new(calico), 1),
            false => calico,
        })
    }

    /// What a process does next.
    pub(crate) fn draw_operation(&self, chance: &mut Chance, present: Present<'_>) -> Operation {
        let first = self.plans[0];
        let block = masked(self.addr(chance), first.block_len);
        if let Some(operation) = self.focus.draw_own(chance, present, (first, block)) {
            return operation;
        }
        let sum: usize = self.weights.iter().sum();
        let mut at = chance.below(sum);
        let mut kind = 0;
        while at >= self.weights[kind] {
            at -= self.weights[kind];
            kind += 1;
        }
        if kind < PODS {
            self.pods(chance, kind, present)
        } else {
            self.administrators(chance, kind, present.node)
        }
    }

    fn pods(&self, chance: &mut Chance, kind: usize, present: Present<'_>) -> Operation {
        let Present { node, state, known } = present;
        let handle = Self::handle(chance.below(HANDLES));
        match kind {
            0 => Operation::AssignAny { handle },
            1 => Operation::AssignMany {
                handle,
                count: 1 + chance.number(9),
                pools: self.named(chance),
                max_blocks: chance.one_in(4).then(|| chance.number(4)),
            },
            2 => Operation::Assign {
                handle,
                addr: self.addr(chance),
            },
            3 => Operation::Release(self.release(chance, known)),
            4 => {
                let count = 1 + chance.below(5);
                let releases = (0..count).map(|_| self.release(chance, known));
                Operation::ReleaseMany(releases.collect())
            }
            5 if chance.one_in(3) => {
                Operation::ReleaseHandle(Self::one_of_each(chance.below(HANDLES)))
            }
            5 => Operation::ReleaseHandle(handle),
            6 => Operation::Claim(self.block(chance, node, state)),
            7 => Operation::ClaimAny,
            8 => Operation::ReleaseBlock(self.block(chance, node, state)),
            _ => {
                let first = chance.below(HANDLES);
                let some = first..HANDLES.min(first + 1 + chance.below(4));
                Operation::AssignEach(some.map(Self::one_of_each).collect())
            }
        }
    }

    fn administrators(&self, chance: &mut Chance, kind: usize, node: &str) -> Operation {
        let plan = *chance.pick(&self.plans);
        // Mostly the one that there is.
        let first = self.plans[0];
        let likely = if chance.one_in(4) { plan } else { first };
        match kind {
            10 => Operation::CreatePool(plan),
            11 => {
                let uses: [&[Use]; 3] = [&[], &[Use::Workload], &[Use::Tunnel]];
                let uses = uses[chance.below(uses.len())];
                Operation::UpdatePool(likely, chance.one_in(2), uses)
            }
            12 => Operation::DisablePool(likely.name),
            13 => Operation::EnablePool(likely.name),
            14 => Operation::DeletePool(likely.name),
            15 => Operation::SetConfig(config(chance)),
            16 => {
                let len = *chance.pick(&[first.block_len, 31, 32]);
                let name = *chance.pick(&["r0", "r1"]);
                Operation::Reserve(name, masked(self.addr(chance), len))
            }
            17 => {
                let name = *chance.pick(&["r0", "r1"]);
                Operation::Unreserve(name)
            }
            18 => {
                let zone = *chance.pick(&["a", "b"]);
                let node = match chance.one_in(2) {
                    true => NodeName::try_new(node).expect("a name"),
                    false => Self::node(chance.below(PROCESSES)),
                };
                Operation::PutNode(node, zone)
            }
            19 => Operation::RemoveNode(Self::node(chance.below(PROCESSES))),
            20 => Operation::EnsureTunnel,
            21 => Operation::ReleaseTunnel,
            22 if chance.one_in(2) => Operation::Repair(Arc::clone(&self.shelf)),
            22 => Operation::Repair(Shelf::default()),
            23 => Operation::Check(Arc::clone(&self.shelf)),
            24 => Operation::Collect(Collection {
                collector: Arc::clone(&self.collector),
                live: (0..chance.below(HANDLES)).map(Self::handle).collect(),
                grace: GRACE,
            }),
            _ => Operation::ChangeConfig(setting(chance)),
        }
    }

    /// The pools that a request names: as a rule none.
    fn named(&self, chance: &mut Chance) -> Vec<Ipv4Network> {
        if !chance.one_in(4) {
            return Vec::new();
        }
        let at = if chance.one_in(3) {
            self.plans.len()
        } else {
            1
        };
        vec![self.plans[chance.below(at)].cidr]
    }

    fn release(&self, chance: &mut Chance, known: &[Remembered]) -> Release {
        if known.is_empty() || chance.one_in(6) {
            return Release::of(self.addr(chance));
        }
        let remembered = chance.pick(known);
        let release = Release::of(remembered.addr);
        match chance.below(4) {
            0 => release,
            1 => release.from_handle(remembered.handle.clone()),
            _ => release
                .from_handle(remembered.handle.clone())
                .at(remembered.sequence),
        }
    }
}

/// The pool at `cidr`, and others that overlap it, or not.
fn plans(cidr: Ipv4Network, block_len: u8, sizes_differ: bool) -> Vec<PoolPlan> {
    let plan = |name, cidr, block_len| PoolPlan {
        name,
        cidr,
        block_len,
    };
    let beside: Ipv4Network = format!("10.0.1.0/{}", cidr.prefix())
        .parse()
        .expect("a prefix");
    let around = masked(cidr.network(), cidr.prefix() - 1);
    let mut plans = vec![
        plan("pods", cidr, block_len),
        plan("beside", beside, block_len),
    ];
    if sizes_differ {
        plans.push(plan("around", around, block_len));
        plans.push(plan("coarse", cidr, block_len - 1));
    }
    plans
}

fn config(chance: &mut Chance) -> AllocatorConfig {
    let mut config = AllocatorConfig::default();
    config.strict_affinity = chance.one_in(2);
    if config.strict_affinity {
        config.max_blocks_per_node = chance.number(4);
        config.auto_allocate_blocks = !chance.one_in(4);
    }
    config.cooldown = Duration::from_secs(if chance.one_in(2) { 30 } else { 0 });
    config
}

fn setting(chance: &mut Chance) -> Setting {
    match chance.below(4) {
        0 => Setting::Strict(chance.one_in(2)),
        1 => Setting::Auto(chance.one_in(2)),
        2 => Setting::Limit(chance.number(4)),
        _ => Setting::Cooldown(if chance.one_in(2) { 30 } else { 0 }),
    }
}

fn masked(addr: Ipv4Addr, len: u8) -> Ipv4Network {
    let network = Ipv4Network::new(addr, len).expect("a length");
    Ipv4Network::new(network.network(), len).expect("a length")
}
