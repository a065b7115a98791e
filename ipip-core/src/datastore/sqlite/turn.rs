//! Who writes next, among threads and processes.
//!
//! SQLite lets writers poll for its lock, so the one who just had it takes it again and others starve.
//! Here threads of a handle stand in a queue, and its first waits for locks on two files beside the
//! database: `-next`, whose holder is next, and then `-lock`, whose holder writes. The kernel wakes who
//! waits, but does not keep the lock for him: with one file, a writer that goes on has it again before the
//! other runs, and on a busy machine a second passes so. With two he finds `-next` held by the one who is
//! next until that one has `-lock`. These locks only order: SQLite's own lock, taken after them, is what
//! keeps writers apart, so one that cannot be had is done without.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::connect::beside;
use super::fault::open_error;
use crate::datastore::StoreError;

/// After this time without the file's lock a writer goes to SQLite's lock without it: whoever has it
/// is stopped, or a child that a writer forked at a bad moment keeps it open.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the writers of one handle queue.
#[derive(Debug)]
pub(super) struct Turns {
    queue: Mutex<Queue>,
    moved: Condvar,
    files: Arc<Files>,
    waiter: Mutex<Option<Waiter>>,
    /// The threads that may keep their turn, and the file's lock while they do.
    keepers: Mutex<HashMap<ThreadId, Option<FileTurn>>>,
}

/// The first one writes; each is known by the number that it drew.
#[derive(Debug, Default)]
struct Queue {
    line: VecDeque<u64>,
    drawn: u64,
}

/// What writers lock, in this order.
#[derive(Debug)]
struct Files {
    next: File,
    lock: File,
}

/// A thread that waits for the file's lock, since that wait itself cannot have an end.
#[derive(Debug)]
struct Waiter {
    requests: Sender<Sender<FileTurn>>,
    waits: Arc<AtomicBool>,
}

/// The right to write, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    file: Option<FileTurn>,
    /// Whether it goes on without this value.
    is_kept: bool,
}

/// As long as it lives, the thread that made it may keep its turn.
#[derive(Debug)]
pub(super) struct Keeper<'a>(&'a Turns);

/// The lock on the file, released when it is dropped, wherever that happens.
#[derive(Debug)]
struct FileTurn(Arc<Files>);

impl Turns {
    /// Those of the database at `path`; without `create` the database must be there.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, StoreError> {
        if !create {
            std::fs::metadata(path).map_err(|error| open_error(path, &error))?;
        }
        let lock = open(&beside(path, "-lock"))?;
        let next = open(&beside(path, "-next"))?;
        Ok(Self {
            queue: Mutex::default(),
            moved: Condvar::new(),
            files: Arc::new(Files { next, lock }),
            waiter: Mutex::default(),
            keepers: Mutex::default(),
        })
    }

    /// Waits for the turn, up to `longest`; `None` if others had it all the time.
    pub(super) fn take(&self, longest: Duration) -> Option<Turn<'_>> {
        let started = Instant::now();
        let kept = self
            .keepers()
            .get_mut(&thread::current().id())
            .and_then(Option::take);
        if kept.is_some() {
            return Some(self.turn(kept));
        }
        let mut queue = self.queue();
        let number = queue.drawn;
        queue.drawn += 1;
        queue.line.push_back(number);
        while queue.line.front() != Some(&number) {
            let left = longest.saturating_sub(started.elapsed());
            if left.is_zero() {
                queue.line.retain(|other| *other != number);
                return None;
            }
            let waited = self.moved.wait_timeout(queue, left);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        let file = self.lock_file(longest.saturating_sub(started.elapsed()).min(PATIENCE));
        Some(self.turn(file))
    }

    fn turn(&self, file: Option<FileTurn>) -> Turn<'_> {
        Turn {
            turns: self,
            file,
            is_kept: false,
        }
    }

    /// From now on this thread may keep the turn for its next commit; `None`: it may already.
    pub(super) fn keeper(&self) -> Option<Keeper<'_>> {
        let mut keepers = self.keepers();
        let this = thread::current().id();
        if keepers.contains_key(&this) {
            return None;
        }
        keepers.insert(this, None);
        Some(Keeper(self))
    }

    fn keepers(&self) -> MutexGuard<'_, HashMap<ThreadId, Option<FileTurn>>> {
        // Each change of the map is one call, which does not panic.
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next of the threads go on.
    fn move_up(&self) {
        let mut queue = self.queue();
        queue.line.pop_front();
        if !queue.line.is_empty() {
            self.moved.notify_all();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change of the queue is one call, which does not panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_file(&self, longest: Duration) -> Option<FileTurn> {
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        if waiter.as_ref().is_some_and(Waiter::is_waiting) {
            // Still for somebody who lost patience: so should we.
            return None;
        }
        match self.files.try_lock() {
            Ok(()) => return Some(FileTurn(Arc::clone(&self.files))),
            Err(TryLockError::WouldBlock) => {}
            // A file system without locks.
            Err(TryLockError::Error(_)) => return None,
        }
        if waiter.is_none() {
            *waiter = Waiter::start(Arc::clone(&self.files));
        }
        let waiter = waiter.as_ref()?;
        let (reply, turn) = mpsc::channel();
        waiter.requests.send(reply).ok()?;
        // If the time is over first, the turn is dropped with the channel and the lock goes on.
        turn.recv_timeout(longest).ok()
    }
}

impl Files {
    fn try_lock(&self) -> Result<(), TryLockError> {
        self.next.try_lock()?;
        let locked = self.lock.try_lock();
        // By name, not by closing: a forked child may have the same open file.
        let _ = self.next.unlock();
        locked
    }

    /// Waits for the lock, and says whether it has it.
    fn lock(&self) -> bool {
        let locked = lock(&self.next) && lock(&self.lock);
        let _ = self.next.unlock();
        locked
    }
}

impl Waiter {
    /// Whether it waits for a lock at this moment.
    fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    fn start(files: Arc<Files>) -> Option<Self> {
        let (requests, inbox) = mpsc::channel::<Sender<FileTurn>>();
        let waits = Arc::new(AtomicBool::new(false));
        let waiting = Arc::clone(&waits);
        let work = move || {
            for reply in inbox {
                waiting.store(true, Ordering::Release);
                let locked = files.lock();
                waiting.store(false, Ordering::Release);
                if locked {
                    // Nobody there: the answer holds the turn, and its end gives it back.
                    drop(reply.send(FileTurn(Arc::clone(&files))));
                }
            }
        };
        let thread = thread::Builder::new().name("ipip-turn".to_owned());
        thread.stack_size(64 * 1024).spawn(work).ok()?;
        Some(Self { requests, waits })
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    file.map_err(|error| open_error(path, &error))
}

fn lock(file: &File) -> bool {
    loop {
        match file.lock() {
            Ok(()) => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

impl Turn<'_> {
    /// Leaves it to the next commit of this thread, if that may keep it. Without the file's lock there is
    /// nothing worth keeping: other processes do not wait.
    pub(super) fn keep(mut self) {
        let mut keepers = self.turns.keepers();
        if let Some(kept) = keepers.get_mut(&thread::current().id())
            && self.file.is_some()
        {
            *kept = self.file.take();
            self.is_kept = true;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.file = None;
            self.turns.move_up();
        }
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        let kept = self.0.keepers().remove(&thread::current().id());
        if let Some(Some(file)) = kept {
            drop(file);
            self.0.move_up();
        }
    }
}

impl Drop for FileTurn {
    fn drop(&mut self) {
        let _ = self.0.lock.unlock();
    }
}
