//! A process that assigns and releases, and may be killed at any moment.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use ipip_core::datastore::{Sqlite, SqliteOptions};
use ipip_core::ipam::{Ambient, Ipam, IpamErrorKind, Request};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{Attribute, Release, Sequence};

use crate::Random;
use crate::log::{Event, Held, Log, events};
use crate::noted::Noted;

/// The first argument of a worker; then its number, how much it must do, a seed, and a directory.
const WORKER: &str = "--as-worker-of-the-process-tests";
/// One assignment of so many is on a node that all share, so that they want the same block.
const ON_SHARED_NODE: u64 = 6;
/// A worker keeps at least so many handles, and at most so many.
const KEPT: (usize, usize) = (2, 6);

/// The files of one run.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) store: PathBuf,
    pub(crate) log: PathBuf,
    /// Once it is there, a worker that has done enough ends.
    pub(crate) enough: PathBuf,
}

impl Files {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            store: dir.join("store"),
            log: dir.join("log"),
            enough: dir.join("enough"),
        }
    }
}

struct Worker {
    ipam: Ipam,
    log: Arc<Log>,
    number: usize,
    /// The one that all share, and its own.
    nodes: [String; 2],
    past: Past,
}

/// What the log says of a worker.
#[derive(Debug, Default)]
struct Past {
    /// How many handles it named.
    named: u64,
    held: Vec<(String, Vec<Held>)>,
    /// The handle that it was about to release.
    releasing: Option<(String, Vec<Held>)>,
    assigned: u64,
    released: u64,
}

/// Does the work if this process is a worker; it ends then with the code returned.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, number, each, seed, dir] = arguments.as_slice() else {
        return None;
    };
    if first != WORKER {
        return None;
    }
    let worker: usize = number.parse().unwrap();
    let random = Random(seed.parse().unwrap());
    Some(
        match work(worker, each.parse().unwrap(), random, Path::new(dir)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("worker {worker}: {error}");
                ExitCode::FAILURE
            }
        },
    )
}

/// Starts the worker `number`, which goes on where its lines end.
pub(crate) fn start(number: usize, each: u64, seed: u64, dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(WORKER)
        .args([number.to_string(), each.to_string(), seed.to_string()]);
    command.arg(OsStr::new(dir)).spawn().unwrap()
}

fn work(number: usize, each: u64, mut random: Random, dir: &Path) -> Result<(), Box<dyn Error>> {
    let files = Files::of(dir);
    let past = Past::of(number, &String::from_utf8(std::fs::read(&files.log)?)?);
    let log = Arc::new(Log::open(&files.log)?);
    let store = Noted {
        store: Sqlite::open(&files.store, SqliteOptions::default())?,
        log: Arc::clone(&log),
        worker: number,
    };
    let mut worker = Worker {
        ipam: Ipam::new(Arc::new(store), Ambient::system()),
        log,
        number,
        nodes: ["shared", &number.to_string()].map(|name| format!("node-{name}")),
        past,
    };
    if let Some((handle, held)) = worker.past.releasing.take() {
        worker.release(handle, held, false)?;
    }
    loop {
        let done = worker.past.assigned.min(worker.past.released);
        if done >= each && files.enough.exists() {
            return Ok(());
        }
        let kept = worker.past.held.len();
        if kept <= KEPT.0 || (kept < KEPT.1 && random.below(2) == 0) {
            worker.assign(&mut random)?;
        } else {
            let oldest = usize::try_from(random.below(2))?;
            let (handle, held) = worker.past.held.remove(oldest);
            worker.release(handle, held, true)?;
        }
    }
}

impl Past {
    fn of(worker: usize, log: &str) -> Self {
        let mut past = Self::default();
        for (_, event) in events(log).filter(|(number, _)| *number == worker) {
            match event {
                Event::Assigning(_) => past.named += 1,
                Event::Assigned(handle, held, _) => {
                    past.assigned += 1;
                    past.held.push((handle, held));
                }
                Event::Releasing(handle) => {
                    if let Some(at) = past.held.iter().position(|(held, _)| *held == handle) {
                        past.releasing = Some(past.held.remove(at));
                    }
                }
                Event::Released(..) => {
                    past.released += 1;
                    past.releasing = None;
                }
                Event::CommitBegins | Event::CommitEnded(_) | Event::Killed(_) => {}
            }
        }
        past
    }
}

impl Worker {
    fn note(&self, event: &Event) -> std::io::Result<()> {
        self.log.write(self.number, event)
    }

    /// Addresses for a new handle: one, or now and then several, which may lie in several blocks.
    fn assign(&mut self, random: &mut Random) -> Result<(), Box<dyn Error>> {
        let handle = format!("worker-{}-{}", self.number, self.past.named);
        self.past.named += 1;
        let owner = Attribute::new(Some(HandleId::try_new(&handle)?));
        let count = if random.below(8) == 0 { 3 } else { 1 };
        let node = &self.nodes[usize::from(random.below(ON_SHARED_NODE) != 0)];
        let node = NodeName::try_new(node)?;
        self.note(&Event::Assigning(handle.clone()))?;
        let started = Instant::now();
        let assigned = if count == 1 {
            vec![self.ipam.assign_any(&node, &owner)?]
        } else {
            let request = Request::new(node, count, owner);
            let many = self.ipam.assign_many(&request)?;
            if let Some(shortfall) = many.shortfall {
                return Err(shortfall.to_string().into());
            }
            many.assigned
        };
        let took = started.elapsed();
        let held: Vec<_> = assigned
            .iter()
            .map(|one| (one.addr, one.sequence.0))
            .collect();
        self.note(&Event::Assigned(handle.clone(), held.clone(), took))?;
        self.past.held.push((handle, held));
        self.past.assigned += 1;
        Ok(())
    }

    /// Releases all of a handle, by its name or by its addresses; the first time all must be there.
    fn release(
        &mut self,
        handle: String,
        held: Vec<Held>,
        is_first: bool,
    ) -> Result<(), Box<dyn Error>> {
        self.note(&Event::Releasing(handle.clone()))?;
        let id = HandleId::try_new(&handle)?;
        let started = Instant::now();
        let released = if held.iter().all(|(addr, _)| addr.octets()[3] % 2 == 0) {
            match self.ipam.release_handle(&id) {
                Ok(released) => released.len(),
                Err(error) if error.kind() == IpamErrorKind::NotFound && !is_first => 0,
                Err(error) => return Err(error.into()),
            }
        } else {
            let release =
                |(addr, at): &Held| Release::of(*addr).from_handle(id.clone()).at(Sequence(*at));
            let releases: Vec<_> = held.iter().map(release).collect();
            self.ipam.release_many(&releases)?.released.len()
        };
        let took = started.elapsed();
        if is_first && released != held.len() {
            return Err(format!("{released} addresses of {handle} released of {held:?}").into());
        }
        self.note(&Event::Released(handle, took))?;
        self.past.released += 1;
        Ok(())
    }
}
