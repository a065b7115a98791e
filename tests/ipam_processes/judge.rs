//! What must be true of the store, by the log alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipip_core::ipam::{Collector, Ipam, Problem};
use ipip_core::name::HandleId;

use crate::killer::Plan;
use crate::log::{Event, Held, events};

/// So many commits may one call need: some more than fair turns leave, for those who lose patience on a
/// machine that is too busy.
const MOST_TRIES: usize = 16;

/// What the log tells, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// By handle: what was acknowledged, and not about to be released.
    held: BTreeMap<String, Vec<Held>>,
    /// Who holds an address.
    holder: HashMap<Ipv4Addr, String>,
    /// The last sequence number at which an address was acknowledged.
    last: HashMap<Ipv4Addr, u64>,
    /// By worker: the handle that it asked addresses for, without an answer so far.
    asked: HashMap<usize, String>,
    /// Handles whose worker was killed before it knew of their addresses.
    unheard: HashSet<String>,
    in_commit: HashSet<usize>,
    /// By worker: acknowledged assignments and releases.
    done: BTreeMap<usize, (u64, u64)>,
    kills: usize,
    /// Of those, how many while a commit had begun and not ended.
    in_a_commit: usize,
    /// Of those, how many while the worker had the lock for writing.
    writing: usize,
    /// The longest call that was answered.
    longest: Duration,
    longest_commit: Duration,
    /// By worker: the commits of the call under way, and the most of any.
    tries: HashMap<usize, usize>,
    most_tries: usize,
    /// How many commits ended so far, and, by worker, before the call under way.
    commits: usize,
    commits_before: HashMap<usize, usize>,
    /// The most commits that ended during one call.
    most_meanwhile: usize,
    /// Addresses in the store that nobody was told of.
    leaked: usize,
}

/// Reads the log, holds the store against it, and has everything collected that it does not know of.
pub(crate) fn judge(ipam: &Ipam, log: &str) -> Verdict {
    let mut verdict = Verdict::default();
    for (worker, event) in events(log) {
        verdict.see(worker, event);
    }
    verdict.of_store(ipam);
    verdict
}

impl Verdict {
    fn see(&mut self, worker: usize, event: Event) {
        match event {
            Event::Assigning(handle) => {
                self.begins(worker);
                self.asked.insert(worker, handle);
            }
            Event::Assigned(handle, held, took) => self.assigned(worker, handle, held, took),
            Event::Releasing(handle) => {
                self.begins(worker);
                for (addr, _) in self.held.remove(&handle).unwrap_or_default() {
                    self.holder.remove(&addr);
                }
            }
            Event::Released(_, took) => {
                self.ends(worker, took);
                self.done.entry(worker).or_default().1 += 1;
            }
            Event::CommitBegins => {
                self.in_commit.insert(worker);
                let tries = self.tries.entry(worker).or_default();
                *tries += 1;
                self.most_tries = self.most_tries.max(*tries);
            }
            Event::CommitEnded(took) => {
                self.commits += 1;
                self.longest_commit = self.longest_commit.max(took);
                self.in_commit.remove(&worker);
            }
            Event::Killed(had_lock) => {
                self.kills += 1;
                self.unheard.extend(self.asked.remove(&worker));
                let in_commit = self.in_commit.remove(&worker);
                self.in_a_commit += usize::from(in_commit);
                self.writing += usize::from(in_commit && had_lock);
            }
        }
    }

    fn assigned(&mut self, worker: usize, handle: String, held: Vec<Held>, took: Duration) {
        for (addr, sequence) in &held {
            if let Some(other) = self.holder.insert(*addr, handle.clone()) {
                panic!("{addr} was assigned to {handle} while {other} held it");
            }
            let before = self.last.insert(*addr, *sequence);
            assert!(
                before < Some(*sequence),
                "{addr} was assigned at {sequence} after {before:?}"
            );
        }
        self.held.insert(handle, held);
        self.asked.remove(&worker);
        self.ends(worker, took);
        self.done.entry(worker).or_default().0 += 1;
    }

    fn begins(&mut self, worker: usize) {
        self.tries.remove(&worker);
        self.commits_before.insert(worker, self.commits);
    }

    fn ends(&mut self, worker: usize, took: Duration) {
        self.longest = self.longest.max(took);
        let before = self.commits_before.get(&worker).copied();
        let meanwhile = self.commits - before.unwrap_or(self.commits);
        self.most_meanwhile = self.most_meanwhile.max(meanwhile);
    }

    fn of_store(&mut self, ipam: &Ipam) {
        let report = ipam.check().unwrap();
        assert!(report.is_clean(), "{report}");
        let live: HashSet<_> = self
            .held
            .keys()
            .map(|h| HandleId::try_new(h).unwrap())
            .collect();
        self.of_blocks(ipam);
        let leaked = ipam.check_live(&live).unwrap().problems;
        for found in &leaked {
            let Problem::Leaked { handle, .. } = &found.problem else {
                panic!("{}", found.problem);
            };
            assert!(
                self.unheard.contains(handle),
                "{}, and its release was heard",
                found.problem
            );
        }
        self.leaked = leaked.len();
        let mut collector = Collector::new(Duration::ZERO);
        let collected = ipam.collect(&mut collector, &live).unwrap();
        assert_eq!(
            (collected.released.len(), collected.refused.len()),
            (leaked.len(), 0)
        );
        let report = ipam.check_live(&live).unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(
            self.of_blocks(ipam),
            self.holder.len(),
            "all that is left is held"
        );
    }

    /// Nothing that is held is missing, and no address in the store was assigned to somebody later; how
    /// many there are.
    fn of_blocks(&self, ipam: &Ipam) -> usize {
        let mut found = HashMap::new();
        for block in ipam.blocks().unwrap() {
            for (addr, who) in block.assigned() {
                let sequence = block.sequence_of(addr).unwrap().0;
                let last = self.last.get(&addr).copied().unwrap_or_default();
                assert!(
                    sequence >= last,
                    "{addr} was assigned at {last}, and is at {sequence}"
                );
                found.insert(addr, (who.handle().unwrap().to_owned(), sequence));
            }
        }
        for (handle, held) in &self.held {
            for (addr, sequence) in held {
                assert_eq!(
                    found.get(addr),
                    Some(&(handle.clone(), *sequence)),
                    "{addr} is lost"
                );
            }
        }
        found.len()
    }

    /// The run was what `plan` says.
    pub(crate) fn demand(&self, plan: &Plan) {
        assert_eq!((self.kills, self.done.len()), (plan.kills, plan.workers));
        assert!(
            self.writing * 10 >= plan.kills,
            "{} kills of a writer",
            self.writing
        );
        let done = self
            .done
            .values()
            .map(|(assigned, released)| assigned.min(released));
        assert!(done.min() >= Some(&plan.each), "{:?}", self.done);
        assert!(!self.held.is_empty());
        // One handle may get addresses of three blocks, each at the second try.
        assert!(
            self.most_tries <= MOST_TRIES,
            "lost again and again: {self}"
        );
        if plan.is_timed {
            assert!(self.longest < Duration::from_secs(1), "{self}");
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assigned: u64 = self.done.values().map(|(assigned, _)| assigned).sum();
        let released: u64 = self.done.values().map(|(_, released)| released).sum();
        write!(
            f,
            "{assigned} assignments and {released} releases acknowledged, none lost, no address twice; \
             {} kills, {} in a commit, {} of those with the lock for writing; {} addresses that nobody \
             was told of, collected; {} held; longest call {:.1?}, of at most {} commits, the longest {:.1?}, \
             and at most {} commits of all during one call",
            self.kills,
            self.in_a_commit,
            self.writing,
            self.leaked,
            self.holder.len(),
            self.longest,
            self.most_tries,
            self.longest_commit,
            self.most_meanwhile,
        )
    }
}
