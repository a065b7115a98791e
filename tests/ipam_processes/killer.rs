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
    /// Whether no call may take a second, if others left the machine to us.
    pub(crate) is_timed: bool,
}

/// If others have more of the processors than this, nothing can be said about time.
const MOST_FOR_OTHERS: f64 = 0.25;

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

    let (started, before) = (Instant::now(), worked());
    work_and_kill(plan, &files, &scratch.file(""), &log, &mut random);
    let took = started.elapsed();
    let others = of_others(before, took);
    store.verify().unwrap();
    let verdict = judge::judge(&ipam, &fs::read_to_string(&files.log).unwrap());
    println!(
        "{} workers, {took:.1?}, {:.0} % of the processors with others: {verdict}",
        plan.workers,
        others * 100.0,
    );
    let is_timed = plan.is_timed && others < MOST_FOR_OTHERS;
    verdict.demand(&Plan { is_timed, ..*plan });
}

/// Lets the workers work in `dir`, kills and replaces some, and waits until all have done enough.
fn work_and_kill(plan: &Plan, files: &Files, dir: &Path, log: &Log, random: &mut Random) {
    let start = |number, random: &mut Random| {
        worker::start(number, plan.each, random.below(u64::MAX - 1) + 1, dir)
    };
    let numbers = 0..plan.workers;
    let mut workers = Workers(numbers.map(|number| start(number, random)).collect());
    for _ in 0..plan.kills {
        let pause = random.below(2 * plan.pause_ms * 1000);
        std::thread::sleep(Duration::from_micros(pause));
        workers.none_ended();
        let (victim, writing) = workers.victim(&files.store, random);
        workers.0[victim].kill().unwrap();
        workers.0[victim].wait().unwrap();
        log.write(victim, &Event::Killed(writing)).unwrap();
        workers.0[victim] = start(victim, random);
    }
    fs::write(&files.enough, "").unwrap();
    for (number, child) in workers.0.iter_mut().enumerate() {
        assert!(child.wait().unwrap().success(), "worker {number} failed");
    }
}

/// Which part of the processors others had since `before`, which is `took` ago.
fn of_others(before: (f64, f64), took: Duration) -> f64 {
    let (machine, own) = worked();
    let processors = std::thread::available_parallelism().unwrap();
    let processors = f64::from(u32::try_from(processors.get()).unwrap());
    ((machine - before.0) - (own - before.1)) / (took.as_secs_f64() * processors)
}

/// Seconds of the processors that were worked in since the machine began: by all, and by this process and
/// those of its children that ended. The clock of both ticks a hundred times a second.
fn worked() -> (f64, f64) {
    let machine = fs::read_to_string("/proc/stat").unwrap();
    let own = fs::read_to_string("/proc/self/stat").unwrap();
    let sum = |text: &str, fields: &[usize]| -> f64 {
        let words: Vec<_> = text.split_whitespace().collect();
        let ticks = fields.iter().map(|field| words[*field]);
        ticks
            .map(|ticks| ticks.parse::<f64>().unwrap())
            .sum::<f64>()
            / 100.0
    };
    // user, nice, system, interrupts, and what the host took for itself: proc_stat(5)
    let machine = sum(machine.lines().next().unwrap(), &[1, 2, 3, 6, 7, 8]);
    // utime, stime, cutime and cstime, counted from the word behind the name, which may hold blanks.
    let own = sum(own.rsplit(')').next().unwrap(), &[11, 12, 13, 14]);
    (machine, own)
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
