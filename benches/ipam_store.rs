//! What a store costs, and an assignment on it, beside the least that makes a commit durable.
//!
//! Contestants take turns within a round, commit by commit where they write, so that a busy machine
//! and a busy disk slow all of them alike; each figure is the median over rounds, each ratio the median
//! of the rounds' own ratios.

use std::fs::File;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ipip_core::datastore::{
    Commit, Durability, Memory, Outcome, Revision, Sqlite, SqliteOptions, Store,
};
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::NodeName;
use ipip_core::resource::{Block, Pool, Sequence};
use rusqlite::{Connection, params};

const ROUNDS: usize = 41;
/// Commits per round and contestant, one at a turn: of a node that assigns one is a claim.
const COMMITS: Turns = Turns {
    calls: 64,
    at_once: 1,
};
/// Reads per round and contestant, all in one turn.
const READS: Turns = Turns {
    calls: 2_000,
    at_once: 2_000,
};
/// Octets of the two values of a commit: a block of a few addresses, and a handle.
const BLOCK: usize = 1_200;
const HANDLE: usize = 56;

/// A directory for the files, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipip-bench-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The least: one prepared INSERT of as many octets in the write-ahead log, into a table without an index.
struct Bare {
    connection: Connection,
    /// `None`: SQLite takes each commit to the disk, by `synchronous=FULL`, which is what the targets speak of.
    /// Otherwise it does not, and `fdatasync` of the log does, as in our store.
    log: Option<File>,
}

impl Bare {
    fn new(path: &Path, synchronous: &str) -> Self {
        let connection = Connection::open(path).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .pragma_update(None, "synchronous", synchronous)
            .unwrap();
        let table = "CREATE TABLE t (key TEXT, value BLOB)";
        connection.execute(table, []).unwrap();
        let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap().display()));
        let log = (synchronous == "NORMAL").then(|| File::open(log).unwrap());
        Self { connection, log }
    }

    fn commit(&self, number: usize, octets: usize) {
        let mut statement = self
            .connection
            .prepare_cached("INSERT INTO t VALUES (?1, ?2)")
            .unwrap();
        let value = vec![b'x'; octets];
        statement
            .execute(params![number.to_string(), value])
            .unwrap();
        if let Some(log) = &self.log {
            log.sync_data().unwrap();
        }
    }
}

/// What an assignment commits: a block that is compared and changed, and a handle that is new.
struct Assigning<'a> {
    store: &'a dyn Store,
    block: Option<Revision>,
}

impl Assigning<'_> {
    fn commit(&mut self, number: usize) {
        let block = "/calico/ipam/v2/assignment/ipv4/block/10.244.79.0-26";
        let handle = format!("/calico/ipam/v2/handle/k8s-pod-network.{number:064x}");
        let mut commit = Commit::new();
        commit.expect(block, self.block).expect(&handle, None);
        commit
            .put(block, vec![b'x'; BLOCK])
            .put(&handle, vec![b'x'; HANDLE]);
        match self.store.commit(commit).unwrap() {
            Outcome::Committed(revision) => self.block = Some(revision),
            Outcome::Conflict => panic!("nobody else writes"),
        }
    }
}

/// The calls of each contestant in one round, and how many it makes before the next one's turn.
#[derive(Clone, Copy)]
struct Turns {
    calls: usize,
    at_once: usize,
}

/// Nanoseconds per call of each contestant in each round.
fn rounds(turns: Turns, contestants: &mut [&mut dyn FnMut(usize)]) -> Vec<Vec<f64>> {
    let mut figures = vec![vec![0.0; ROUNDS]; contestants.len()];
    for round in 0..ROUNDS {
        for turn in (0..turns.calls).step_by(turns.at_once) {
            for (contestant, figures) in contestants.iter_mut().zip(&mut figures) {
                let started = Instant::now();
                for call in turn..turn + turns.at_once {
                    contestant(round * turns.calls + call);
                }
                figures[round] += started.elapsed().as_nanos() as f64 / turns.calls as f64;
            }
        }
    }
    figures
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn open(directory: &Scratch, name: &str, durability: Durability) -> Sqlite {
    let options = SqliteOptions {
        durability,
        ..SqliteOptions::default()
    };
    Sqlite::open(directory.0.join(name), options).unwrap()
}

fn commits(directory: &Scratch) {
    let bare = Bare::new(&directory.0.join("bare"), "FULL");
    let full = Bare::new(&directory.0.join("full"), "FULL");
    let fdatasync = Bare::new(&directory.0.join("fdatasync"), "NORMAL");
    let power = open(directory, "power", Durability::Power);
    let process = open(directory, "process", Durability::Process);
    let memory = Memory::new();
    let blocks = block_lens();
    let ipam = Ipam::new(
        Arc::new(open(directory, "ipam", Durability::Power)),
        Ambient::system(),
    );
    let pool = Pool::try_new("pods", "10.0.0.0/8".parse().unwrap(), 26).unwrap();
    ipam.create_pool(&pool).unwrap();
    let assign = |number: usize| {
        // A node for each block, so that half of it is full on average.
        let node = NodeName::try_new(&format!("node-{}", number / COMMITS.calls)).unwrap();
        ipam.assign_any(&node, &super::pod(number, node.as_str()))
            .unwrap();
    };
    let assigning = |store| Assigning { store, block: None };
    let (mut power, mut process) = (assigning(&power), assigning(&process));
    let mut memory = assigning(&memory);
    let figures = rounds(
        COMMITS,
        &mut [
            &mut |number| bare.commit(number, BLOCK + HANDLE),
            &mut |number| power.commit(number),
            &mut |number| process.commit(number),
            &mut |number| memory.commit(number),
            &mut |number| assign(number),
            &mut |number| full.commit(number, blocks[number % COMMITS.calls] + HANDLE),
            &mut |number| fdatasync.commit(number, blocks[number % COMMITS.calls] + HANDLE),
        ],
    );
    let names = [
        "bare durable INSERT",
        "Sqlite, Durability::Power",
        "Sqlite, Durability::Process",
        "Memory",
        "Ipam::assign_any on Sqlite, Power",
        "bare INSERT as long as those",
        "the same, fdatasync by hand",
    ];
    for (name, figures) in names.iter().zip(&figures) {
        let ns = median(figures.iter().copied());
        println!("{name:32} {:10.1} us {:10.0} commits/s", ns / 1e3, 1e9 / ns);
    }
    let ratio = |bare: usize, ours: usize| {
        let pairs = figures[bare].iter().zip(&figures[ours]);
        median(pairs.map(|(bare, ours)| bare / ours))
    };
    for (what, bare, ours) in [
        ("durable commits, of bare ones as long", 0, 1),
        ("durable assignments, of bare ones as long", 5, 4),
    ] {
        let found = ratio(bare, ours);
        super::row(what, &format!("{found:.2}"), "≥ 0.80", found >= 0.8);
    }
    for (what, bare) in [
        ("    of those with fdatasync by hand", 6),
        ("    of those as short as the commits above", 0),
    ] {
        println!("{what:<58} {:>16.2}", ratio(bare, 4));
    }
}

/// How many octets a block takes with one address assigned, two, and so on.
fn block_lens() -> Vec<usize> {
    let mut block = Block::new("10.244.79.0/26".parse().unwrap(), Sequence(0));
    let assigned = (0..COMMITS.calls).map(|number| {
        block.assign_any(super::pod(number, "node-0")).unwrap();
        block.to_json().len()
    });
    assigned.collect()
}

fn reads(directory: &Scratch) {
    let file = open(directory, "reads", Durability::Process);
    let memory = Memory::new();
    let stores: [(&str, &dyn Store); 2] = [("Sqlite", &file), ("Memory", &memory)];
    for (name, store) in stores {
        let mut commit = Commit::new();
        for number in 0..10_000 {
            let (second, third) = (number / 256, number % 256);
            commit.put(&format!("/b/10.{second}.{third}.0-26"), vec![b'x'; BLOCK]);
        }
        assert!(matches!(store.commit(commit), Ok(Outcome::Committed(_))));
        let key = |number: usize| format!("/b/10.{}.{}.0-26", number % 39, number % 256);
        let figures = rounds(
            READS,
            &mut [
                &mut |number| {
                    assert!(black_box(store.get(&key(number))).unwrap().is_some());
                },
                &mut |number| {
                    let prefix = format!("/b/10.{}.{}.", number % 39, number % 256);
                    assert_eq!(
                        black_box(store.list_keys(&prefix)).unwrap().entries.len(),
                        1
                    );
                },
            ],
        );
        for (what, figures) in ["get", "list_keys of one"].iter().zip(figures) {
            println!(
                "{:32} {:10.2} us",
                format!("{name}, {what}"),
                median(figures) / 1e3
            );
        }
        let all = median((0..11).map(|_| {
            let started = Instant::now();
            assert_eq!(black_box(store.list("/b/")).unwrap().entries.len(), 10_000);
            started.elapsed().as_secs_f64() * 1e3
        }));
        println!("{:32} {all:10.2} ms", format!("{name}, list of 10,000"));
    }
}

/// Prints the rows of the stores.
pub(crate) fn run() {
    let directory = Scratch::new();
    commits(&directory);
    println!();
    reads(&directory);
}
