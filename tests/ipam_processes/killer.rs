//! Starts workers, kills them at random moments, and starts them again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipip_core::datastore::{Sqlite, SqliteOptions};
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::resource::Pool;

use crate::Random;
use crate::judge;
use crate::log::{Event, Log};
use crate::scratch::Scratch;
use crate::worker::{self, Files};

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// So many assignments and so many releases of each worker are acknowledged, at least.
    pub(crate) each: u64,
    pub(crate) kills: usize,
    /// The pause between two kills, on average.
    pub(crate) pause_ms: u64,
    /// Whether no call may take a second.
    pub(crate) is_timed: bool,
}

/// Workers, which do not outlive the test.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn run(plan: &Plan) {
    let seed = seed();
    println!("seed {seed} (IPIP_SEED={seed} chooses the same victims and pauses)");
    let mut random = Random(seed);
    let scratch = Scratch::new();
    let files = Files::of(&scratch.file(""));
    let log = Log::open(&files.log).unwrap();
    let store = Arc::new(Sqlite::open(&files.store, SqliteOptions::default()).unwrap());
    let ipam = Ipam::new(Arc::<Sqlite>::clone(&store), Ambient::system());
    let pool = Pool::try_new("pods", "10.244.0.0/20".parse().unwrap(), 26).unwrap();
    ipam.create_pool(&pool).unwrap();

    let started = Instant::now();
    let dir = scratch.file("");
    let start = |number, random: &mut Random| {
        worker::start(number, plan.each, random.below(u64::MAX - 1) + 1, &dir)
    };
    let numbers = 0..plan.workers;
    let mut workers = Workers(numbers.map(|number| start(number, &mut random)).collect());
    for _ in 0..plan.kills {
        let pause = random.below(2 * plan.pause_ms * 1000);
        std::thread::sleep(Duration::from_micros(pause));
        workers.none_ended();
        let (victim, writing) = workers.victim(&files.store, &mut random);
        workers.0[victim].kill().unwrap();
        workers.0[victim].wait().unwrap();
        log.write(victim, &Event::Killed(writing)).unwrap();
        workers.0[victim] = start(victim, &mut random);
    }
    fs::write(&files.enough, "").unwrap();
    for (number, child) in workers.0.iter_mut().enumerate() {
        assert!(child.wait().unwrap().success(), "worker {number} failed");
    }
    let took = started.elapsed();
    store.verify().unwrap();
    let verdict = judge::judge(&ipam, &fs::read_to_string(&files.log).unwrap());
    let timed = if plan.is_timed { "timed" } else { "not timed" };
    println!("{} workers, {timed}, {took:.1?}: {verdict}", plan.workers);
    verdict.demand(plan);
}

/// Whether others leave this machine's processors to us: else nothing can be said about time.
pub(crate) fn is_idle() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let processors = std::thread::available_parallelism().unwrap();
    load < f64::from(u32::try_from(processors.get()).unwrap())
}

/// Another one each time, unless one is asked for.
fn seed() -> u64 {
    if let Ok(seed) = std::env::var("IPIP_SEED") {
        return seed.parse().expect("IPIP_SEED is a number above 0");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) + 1
}

impl Workers {
    fn none_ended(&mut self) {
        for (number, child) in self.0.iter_mut().enumerate() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "worker {number} ended: {ended:?}");
        }
    }

    /// Whom to kill: every other time one that writes at this moment, else any; and whether it writes.
    fn victim(&self, store: &Path, random: &mut Random) -> (usize, bool) {
        if random.below(2) == 0 {
            // The lock is free only for moments while all are busy.
            for _ in 0..1_000 {
                if let Some(writer) = writer(store)
                    && let Some(victim) = self.0.iter().position(|child| child.id() == writer)
                {
                    return (victim, true);
                }
            }
        }
        let count = u64::try_from(self.0.len()).unwrap();
        let victim = usize::try_from(random.below(count)).unwrap();
        (victim, writer(store) == Some(self.0[victim].id()))
    }
}

/// The process that has the lock with which SQLite keeps writers apart in WAL mode: octet 120 of the
/// file `-shm` (https://www.sqlite.org/walformat.html#wal_locks).
fn writer(store: &Path) -> Option<u32> {
    let shm = fs::metadata(format!("{}-shm", store.display())).ok()?;
    let ending = format!(":{}", shm.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    // 1: POSIX  ADVISORY  WRITE 4711 fe:00:5881923 120 120
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "POSIX", _, "WRITE", process, file, "120", "120"] if file.ends_with(&ending) => {
                process.parse().ok()
            }
            _ => None,
        }
    })
}
