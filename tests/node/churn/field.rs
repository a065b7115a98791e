//! Where it all happens: hosts that may be nodes, containers that may be pods, one store; and what they do
//! of themselves.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use ipip_core::datastore::Store;
use ipip_core::node::{Attached, LeaveOptions, Node, RunEvent, Stop, Workload, WorkloadId};
use ipip_core::resource::IpipMode;

use super::chance::Chance;
use crate::cluster::{Cluster, Host};
use crate::support::Named;

const HOSTS: usize = 4;
const CONTAINERS: usize = 10;
const MODES: [IpipMode; 3] = [IpipMode::Always, IpipMode::CrossSubnet, IpipMode::Never];

pub(super) struct Field {
    pub(super) chance: Chance,
    pub(super) cluster: Cluster,
    pub(super) mode: IpipMode,
    pub(super) spots: Vec<Spot>,
    pub(super) slots: Vec<Slot>,
    /// How many syncs it took at most until there was nothing to do.
    pub(super) slowest: usize,
    seed: u64,
    /// What happened, for whoever reads of a failure.
    trail: Vec<String>,
    numbers: usize,
    syncs: Cell<usize>,
}

/// Every so many syncs are passes of a run that have no time for more than a batch each. Not more: a run takes a
/// second to end.
const RUNS: usize = 25;

/// A host.
pub(super) struct Spot {
    pub(super) host: Host,
    /// The value of the program that runs there, if one does.
    pub(super) node: Option<Node>,
    /// Its address and length.
    pub(super) address: String,
    first_address: String,
    /// Somebody else's routes by prefix, as `ip route add` takes them.
    pub(super) routes: BTreeMap<String, String>,
    /// Somebody else's links.
    pub(super) links: BTreeSet<String>,
}

/// A container.
pub(super) struct Slot {
    pub(super) space: Named,
    pub(super) held: Option<Held>,
}

/// What a container has.
pub(super) struct Held {
    pub(super) spot: usize,
    pub(super) workload: Workload,
    pub(super) address: Ipv4Addr,
    pub(super) host_veth: String,
    /// Whether its wire is there; without, a sync cannot mend it, and an attach can.
    pub(super) wired: bool,
}

impl Spot {
    fn new(cluster: &Cluster, number: usize) -> Self {
        let address = format!("172.{}.{}.1/16", 18 + number / 2, number + 1);
        let host = cluster.host(&format!("node-{number}"), &address);
        // The cluster's router is the first of the /16, and not of this host's own /24.
        host.space.sh(&format!(
            "ip route replace default via 172.{}.0.1; ip link add other0 type veth peer name other9; \
             ip link set other0 up; ip link set other9 up",
            18 + number / 2
        ));
        Self {
            host,
            node: None,
            first_address: address.clone(),
            address,
            routes: BTreeMap::new(),
            links: BTreeSet::new(),
        }
    }

    pub(super) fn renumber(&mut self, address: String) {
        let net = address.split('.').nth(1).unwrap();
        self.host.space.sh(&format!(
            "ip addr flush dev eth0; ip addr add {address} dev eth0; ip route add default via 172.{net}.0.1"
        ));
        self.address = address;
    }
}

impl Field {
    pub(super) fn new(chance: Chance, seed: u64) -> Self {
        let cluster = Cluster::new(IpipMode::Always);
        let spots = (0..HOSTS).map(|number| Spot::new(&cluster, number));
        let slot = |_| Slot {
            space: Named::new("pod"),
            held: None,
        };
        Self {
            chance,
            mode: IpipMode::Always,
            spots: spots.collect(),
            slots: (0..CONTAINERS).map(slot).collect(),
            cluster,
            slowest: 0,
            seed,
            trail: vec![],
            numbers: 0,
            syncs: Cell::default(),
        }
    }

    pub(super) fn note(&mut self, what: String) {
        self.trail.push(what);
    }

    /// A number that none had before.
    pub(super) fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    /// Any host with a program that runs.
    pub(super) fn any_running(&mut self) -> Option<usize> {
        let spots = &self.spots;
        let running = (0..spots.len()).filter(|at| spots[*at].node.is_some());
        self.chance.any(running)
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        self.spots[at].node.as_ref().unwrap()
    }

    pub(super) fn sync(&self, at: usize) {
        self.syncs.set(self.syncs.get() + 1);
        if self.syncs.get().is_multiple_of(RUNS) {
            return self.run(at);
        }
        self.node(at).sync().unwrap();
    }

    fn run(&self, at: usize) {
        let stop = Stop::default();
        let run = self.node(at).run(&stop, |event| match event {
            RunEvent::Synced(synced) if synced.postponed.is_empty() => stop.stop(),
            RunEvent::Synced(_) => {}
            other => panic!("{other:?}"),
        });
        run.unwrap();
    }

    /// What the program at a host is told; the first has a guard, where the kernel has one.
    pub(super) fn config(&self, at: usize) -> ipip_core::node::NodeConfig {
        let config = self.spots[at].host.config().with_guard(at == 0);
        config.with_deadline(Duration::ZERO)
    }

    pub(super) fn join(&mut self, at: usize) {
        let node = self.spots[at].host.join_as(self.config(at)).unwrap();
        self.spots[at].node = Some(node);
    }

    /// A node joins, leaves, leaves for good, or is renumbered.
    pub(super) fn node_event(&mut self) -> bool {
        let at = self.chance.below(HOSTS);
        match (self.spots[at].node.is_some(), self.chance.below(3)) {
            (false, _) => {
                self.note(format!("node {at} joins"));
                self.join(at);
            }
            (true, 0) => self.leave(at, false),
            (true, 1) => self.leave(at, true),
            (true, _) => {
                let number = self.number();
                let net = 18 + self.chance.below(2);
                let address = format!("172.{net}.{}.{}/16", at + 1, 2 + number % 250);
                self.note(format!("node {at} gets {address}"));
                self.spots[at].renumber(address);
                self.sync(at);
            }
        }
        if let Some(at) = self.any_running() {
            self.sync(at);
        }
        true
    }

    pub(super) fn leave(&mut self, at: usize, forget: bool) {
        self.note(format!("node {at} leaves, forgotten: {forget}"));
        let node = self.spots[at].node.take().unwrap();
        let left = node.leave(&LeaveOptions { forget }).unwrap();
        assert!(left.is_complete(), "{}", left.to_json());
        for slot in &mut self.slots {
            let here = slot.held.as_mut().filter(|held| held.spot == at);
            match here {
                Some(_) if forget => slot.held = None,
                Some(held) => held.wired = false,
                None => {}
            }
        }
    }

    /// Containers are attached, attached again, or detached.
    pub(super) fn pod_event(&mut self) -> bool {
        let Some(at) = self.any_running() else {
            return false;
        };
        let slots = &self.slots;
        let here = |slot: &Slot| slot.held.as_ref().is_some_and(|held| held.spot == at);
        let mine = (0..CONTAINERS).filter(|n| here(&slots[*n]));
        let free = (0..CONTAINERS).filter(|n| slots[*n].held.is_none());
        let (mine, free) = (self.chance.any(mine), free.collect::<Vec<_>>());
        match (self.chance.below(4), mine) {
            (0, Some(slot)) => self.attach_again(slot),
            (1, Some(slot)) => self.detach(slot),
            _ if free.is_empty() => return false,
            _ => {
                let count = 1 + self.chance.below(free.len().min(3));
                self.attach(at, &free[..count]);
            }
        }
        true
    }

    fn attach(&mut self, at: usize, slots: &[usize]) {
        let workloads: Vec<_> = slots.iter().map(|slot| self.workload(*slot)).collect();
        self.note(format!("node {at} attaches {slots:?}"));
        let answers = self.node(at).attach_many(&workloads).unwrap();
        for ((slot, workload), answer) in slots.iter().zip(workloads).zip(answers) {
            let attached = answer.unwrap();
            let mut held = self.slots.iter().filter_map(|slot| slot.held.as_ref());
            let twice = held.any(|held| held.address == attached.address);
            assert!(!twice, "{} is another's", attached.address);
            self.slots[*slot].held = Some(Held::new(at, workload, &attached));
        }
    }

    fn workload(&mut self, slot: usize) -> Workload {
        let number = self.number();
        let id = WorkloadId::new("default", &format!("pod-{number}"), &format!("c{number}"));
        Workload::new(id, self.slots[slot].space.netns.path())
    }

    pub(super) fn attach_again(&mut self, slot: usize) {
        self.note(format!("{slot} is attached again"));
        let held = self.slots[slot].held.as_ref().unwrap();
        let attached = self.node(held.spot).attach(&held.workload).unwrap();
        assert_eq!(attached.address, held.address);
        let again = Held::new(held.spot, held.workload.clone(), &attached);
        self.slots[slot].held = Some(again);
    }

    pub(super) fn detach(&mut self, slot: usize) {
        self.note(format!("{slot} is detached"));
        let held = self.slots[slot].held.take().unwrap();
        let detached = self.node(held.spot).detach(&held.workload.id).unwrap();
        assert_eq!(detached.released, [held.address]);
    }

    /// The pool gets another mode, and some hear of it at once.
    pub(super) fn mode_event(&mut self) -> bool {
        let others = MODES.into_iter().filter(|mode| *mode != self.mode);
        self.mode = self.chance.any(others).unwrap();
        self.note(format!("mode {:?}", self.mode));
        let pool = self.cluster.ipam.pools().unwrap().remove(0);
        let pool = pool.with_ipip_mode(self.mode);
        self.cluster.ipam.update_pool(&pool).unwrap();
        if let Some(at) = self.any_running() {
            self.sync(at);
        }
        true
    }

    /// All that was done is undone.
    pub(super) fn end(&mut self) {
        self.foreign_end();
        for at in 0..HOSTS {
            if self.spots[at].node.is_none() {
                self.join(at);
            }
        }
        for slot in 0..CONTAINERS {
            if self.slots[slot].held.is_some() {
                self.attach_again(slot);
            }
        }
        self.check();
        for slot in 0..CONTAINERS {
            if self.slots[slot].held.is_some() {
                self.detach(slot);
            }
        }
        for at in 0..HOSTS {
            self.leave(at, true);
            let address = self.spots[at].first_address.clone();
            self.spots[at].renumber(address);
        }
    }

    /// What hosts, containers and the store hold.
    pub(super) fn left_over(&self) -> Vec<String> {
        let hosts = self.spots.iter().map(|spot| &spot.host.space);
        let spaces = hosts.chain(self.slots.iter().map(|slot| &slot.space));
        // Numbers differ, and so do hardware addresses of pairs.
        let seen = spaces.map(|space| {
            space.sh("ip -br link | cut -d' ' -f1 | cut -d@ -f1; ip -4 -br addr | tr -s ' '; ip -4 route; ip rule")
        });
        let keys = self.cluster.store.list_keys("/").unwrap().entries;
        seen.chain(keys).collect()
    }

    /// Syncs until there is nothing to do; whether something is in the way then.
    pub(super) fn settle(&mut self, at: usize) -> bool {
        let mut syncs = 1;
        let is_clear = loop {
            let synced = self.node(at).sync().unwrap();
            if synced.done.is_empty() && synced.failed.is_empty() {
                break synced.conflicts.is_empty();
            }
            assert!(syncs < 20, "node {at} does not settle: {synced}");
            // A data path in user space takes a moment to notice that its device was deleted.
            if syncs > 2 {
                thread::sleep(Duration::from_millis(20));
            }
            syncs += 1;
        };
        self.slowest = self.slowest.max(syncs);
        let plan = self.node(at).plan().unwrap();
        assert!(plan.steps.is_empty(), "{plan}");
        !is_clear
    }
}

impl Held {
    fn new(spot: usize, workload: Workload, attached: &Attached) -> Self {
        Self {
            spot,
            workload,
            address: attached.address,
            host_veth: attached.host_veth.to_string(),
            wired: true,
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        if thread::panicking() {
            let last = self.trail.len().saturating_sub(30);
            eprintln!("IPIP_SEED={}, at event {}:", self.seed, self.trail.len());
            self.trail[last..]
                .iter()
                .for_each(|what| eprintln!("  {what}"));
        }
    }
}
