//! What a store costs, and an assignment on it, beside the least that makes a commit durable.
//!
//! Contestants take turns within a round, commit by commit where they write, so that a busy machine
//! and a busy disk slow all of them alike; each figure is the median over rounds, each ratio the median
//! of the rounds' own ratios. A round of commits is long enough that each log is emptied in it, some twice: in
//! shorter ones half would have that cost and half not, and the median would be chance.

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
use ipip_core::resource::{Attribute, Block, Pool, Sequence};
use rusqlite::{Connection, params};

/// Commits per round and contestant, one at a turn. SQLite empties its log after 1,000 pages, about 120 of them.
const COMMITS: Turns = Turns {
    rounds: 11,
    calls: 256,
    at_once: 1,
};
/// Addresses of each node, which are those of a block: the first one of it is a claim as well.
const PODS: usize = 64;
/// Reads per round and contestant, all in one turn.
const READS: Turns = Turns {
    rounds: 41,
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

/// The least: one prepared INSERT of as many octets in the write-ahead log, into a table without an index, in
/// which nothing could be found again.
struct Bare {
    connection: Connection,
    /// `None`: SQLite takes each commit to the disk, by `synchronous=FULL`.
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

/// What a program would write without us, and what the targets speak of: a block that is replaced and a handle
/// that is new, of as many octets, in one transaction that SQLite takes to the disk by `synchronous=FULL`.
/// The rows have keys, and nothing else that a store has: no revisions, no log of changes, no turns.
struct ByHand(Connection);

impl ByHand {
    fn new(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
            connection.pragma_update(None, name, value).unwrap();
        }
        let table = "CREATE TABLE t (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)";
        connection.execute(table, []).unwrap();
        Self(connection)
    }

    /// A block of so many octets, and the handle `number`.
    fn commit(&self, block: String, octets: usize, number: usize) {
        let run = |sql: &str| self.0.prepare_cached(sql).unwrap().execute([]).unwrap();
        run("BEGIN IMMEDIATE");
        for (key, octets) in [(block, octets), (handle_key(number), HANDLE)] {
            let put = "INSERT INTO t (key, value) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            let mut put = self.0.prepare_cached(put).unwrap();
            put.execute(params![key, vec![b'x'; octets]]).unwrap();
        }
        run("COMMIT");
    }
}

fn block_key(number: usize) -> String {
    let (second, third, fourth) = (number / 1024, number / 4 % 256, number % 4 * 64);
    format!("/calico/ipam/v2/assignment/ipv4/block/10.{second}.{third}.{fourth}-26")
}

fn handle_key(number: usize) -> String {
    let container = super::container(number);
    format!("/calico/ipam/v2/handle/k8s-pod-network.{container}")
}

/// What an assignment commits: a block that is compared and changed, and a handle that is new.
struct Assigning {
    store: Box<dyn Store>,
    block: Option<Revision>,
}

impl Assigning {
    fn commit(&mut self, number: usize) {
        let block = "/calico/ipam/v2/assignment/ipv4/block/10.244.79.0-26";
        let handle = handle_key(number);
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

/// What is measured, told the number of the call.
type Contestant<'a> = Box<dyn FnMut(usize) + 'a>;

/// The calls of each contestant in one round, and how many it makes before the next one's turn.
#[derive(Clone, Copy)]
struct Turns {
    rounds: usize,
    calls: usize,
    at_once: usize,
}

/// Nanoseconds per call of each contestant in each round.
fn rounds(turns: Turns, contestants: &mut [Contestant<'_>]) -> Vec<Vec<f64>> {
    let mut figures = vec![vec![0.0; turns.rounds]; contestants.len()];
    for round in 0..turns.rounds {
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

fn bare(
    directory: &Scratch,
    name: &str,
    synchronous: &str,
    len: impl Fn(usize) -> usize + 'static,
) -> Contestant<'static> {
    let bare = Bare::new(&directory.0.join(name), synchronous);
    Box::new(move |number| bare.commit(number, len(number)))
}

/// Commits of as many octets as those of an allocator.
fn by_hand(
    directory: &Scratch,
    name: &str,
    len: impl Fn(usize) -> (usize, usize) + 'static,
) -> Contestant<'static> {
    let by_hand = ByHand::new(&directory.0.join(name));
    Box::new(move |number| {
        let (block, octets) = len(number);
        by_hand.commit(block_key(block), octets, number);
    })
}

fn assigning(store: impl Store + 'static) -> Contestant<'static> {
    let store = Box::new(store);
    let mut assigning = Assigning { store, block: None };
    Box::new(move |number| assigning.commit(number))
}

fn allocator(directory: &Scratch) -> Contestant<'static> {
    let store = Arc::new(open(directory, "ipam", Durability::Power));
    let ipam = Ipam::new(store, Ambient::system());
    let pool = Pool::try_new("pods", "10.0.0.0/8".parse().unwrap(), 26).unwrap();
    ipam.create_pool(&pool).unwrap();
    let pods: Vec<_> = (0..COMMITS.rounds * COMMITS.calls).map(pod).collect();
    Box::new(move |number| {
        let (node, attribute) = &pods[number];
        ipam.assign_any(node, attribute).unwrap();
    })
}

/// The contestants who write, with their names.
fn writers(directory: &Scratch) -> [(&'static str, Contestant<'static>); 9] {
    let blocks: Arc<[usize]> = block_lens().into();
    let (of_block, to_sync) = (Arc::clone(&blocks), Arc::clone(&blocks));
    let in_one = Arc::clone(&blocks);
    let power = open(directory, "power", Durability::Power);
    let process = open(directory, "process", Durability::Process);
    [
        (
            "a block and a handle by hand",
            by_hand(directory, "by-hand", |_| (0, BLOCK)),
        ),
        ("Sqlite, Durability::Power", assigning(power)),
        ("Sqlite, Durability::Process", assigning(process)),
        ("Memory", assigning(Memory::new())),
        ("Ipam::assign_any on Sqlite, Power", allocator(directory)),
        (
            "the same rows by hand",
            by_hand(directory, "assigned-by-hand", move |number| {
                (number / PODS, of_block[number % PODS])
            }),
        ),
        (
            "one INSERT as long as a commit",
            bare(directory, "bare", "FULL", |_| BLOCK + HANDLE),
        ),
        (
            "one INSERT as long as those",
            bare(directory, "full", "FULL", move |number| {
                in_one[number % PODS] + HANDLE
            }),
        ),
        (
            "the same, fdatasync by hand",
            bare(directory, "fdatasync", "NORMAL", move |number| {
                to_sync[number % PODS] + HANDLE
            }),
        ),
    ]
}

fn commits(directory: &Scratch) {
    let (names, mut contestants): (Vec<_>, Vec<_>) = writers(directory).into_iter().unzip();
    let figures = rounds(COMMITS, &mut contestants);
    for (name, figures) in names.iter().zip(&figures) {
        let ns = median(figures.iter().copied());
        println!("{name:32} {:10.1} us {:10.0} commits/s", ns / 1e3, 1e9 / ns);
    }
    let ratio = |bare: usize, ours: usize| {
        let pairs = figures[bare].iter().zip(&figures[ours]);
        median(pairs.map(|(bare, ours)| bare / ours))
    };
    // Judged by what does the same work: what is stored under a key can be found again, and one INSERT cannot.
    for (what, bare, ours) in [
        ("durable commits, of the same rows by hand", 0, 1),
        ("durable assignments, of the same rows by hand", 5, 4),
    ] {
        let found = ratio(bare, ours);
        super::row(what, &format!("{found:.2}"), "≥ 0.80", found >= 0.8);
    }
    for (what, bare, ours) in [
        ("    commits, of one INSERT without a key as long", 6, 1),
        ("    assignments, of one INSERT without a key as long", 7, 4),
        ("    the same, of those with fdatasync by hand", 8, 4),
        ("    the same, of those as short as the commits", 6, 4),
    ] {
        println!("{what:<58} {:>16.2}", ratio(bare, ours));
    }
}

/// A node for each block, so that half of it is full on average.
fn pod(number: usize) -> (NodeName, Attribute) {
    let node = NodeName::try_new(&format!("node-{}", number / PODS)).unwrap();
    let attribute = super::pod(number, node.as_str());
    (node, attribute)
}

/// How many octets a block takes with one address assigned, two, and so on.
fn block_lens() -> Vec<usize> {
    let mut block = Block::new("10.244.79.0/26".parse().unwrap(), Sequence(0));
    let assigned = (0..PODS).map(|number| {
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
                Box::new(|number| {
                    assert!(black_box(store.get(&key(number))).unwrap().is_some());
                }),
                Box::new(|number| {
                    let prefix = format!("/b/10.{}.{}.", number % 39, number % 256);
                    assert_eq!(
                        black_box(store.list_keys(&prefix)).unwrap().entries.len(),
                        1
                    );
                }),
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
