//! Who writes next, among threads and processes.
//!
//! SQLite lets writers poll for its lock, so the one who just had it takes it again and others starve.
//! Here threads of a handle stand in a queue, and its first waits for a lock on a file beside the
//! database, which the kernel hands on to those who wait. These locks only order: SQLite's own lock,
//! taken after them, is what keeps writers apart, so one that cannot be had is done without.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
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
    file: Arc<File>,
    waiter: Mutex<Option<Waiter>>,
}

/// The first one writes; each is known by the number that it drew.
#[derive(Debug, Default)]
struct Queue {
    line: VecDeque<u64>,
    drawn: u64,
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
}

/// The lock on the file, released when it is dropped, wherever that happens.
#[derive(Debug)]
struct FileTurn(Arc<File>);

impl Turns {
    /// Those of the database at `path`; without `create` the database must be there.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, StoreError> {
        if !create {
            std::fs::metadata(path).map_err(|error| open_error(path, &error))?;
        }
        let lock = beside(path, "-lock");
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock);
        Ok(Self {
            queue: Mutex::default(),
            moved: Condvar::new(),
            file: Arc::new(options.map_err(|error| open_error(&lock, &error))?),
            waiter: Mutex::default(),
        })
    }

    /// Waits for the turn, up to `longest`; `None` if others had it all the time.
    pub(super) fn take(&self, longest: Duration) -> Option<Turn<'_>> {
        let started = Instant::now();
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
        Some(Turn { turns: self, file })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change of the queue is one call, which does not panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_file(&self, longest: Duration) -> Option<FileTurn> {
        match self.file.try_lock() {
            Ok(()) => Some(FileTurn(Arc::clone(&self.file))),
            Err(TryLockError::WouldBlock) => self.wait_for_file(longest),
            // A file system without locks.
            Err(TryLockError::Error(_)) => None,
        }
    }

    fn wait_for_file(&self, longest: Duration) -> Option<FileTurn> {
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        if waiter.is_none() {
            *waiter = Waiter::start(Arc::clone(&self.file));
        }
        let waiter = waiter.as_ref()?;
        if waiter.waits.load(Ordering::Acquire) {
            // Still for somebody who lost patience: so should we.
            return None;
        }
        let (reply, turn) = mpsc::channel();
        waiter.requests.send(reply).ok()?;
        // If the time is over first, the turn is dropped with the channel and the lock goes on.
        turn.recv_timeout(longest).ok()
    }
}

impl Waiter {
    fn start(file: Arc<File>) -> Option<Self> {
        let (requests, inbox) = mpsc::channel::<Sender<FileTurn>>();
        let waits = Arc::new(AtomicBool::new(false));
        let waiting = Arc::clone(&waits);
        let work = move || {
            for reply in inbox {
                waiting.store(true, Ordering::Release);
                let locked = lock(&file);
                waiting.store(false, Ordering::Release);
                if locked {
                    // Nobody there: the answer holds the turn, and its end gives it back.
                    drop(reply.send(FileTurn(Arc::clone(&file))));
                }
            }
        };
        let thread = thread::Builder::new().name("ipip-turn".to_owned());
        thread.stack_size(64 * 1024).spawn(work).ok()?;
        Some(Self { requests, waits })
    }
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

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.file = None;
        let mut queue = self.turns.queue();
        queue.line.pop_front();
        if !queue.line.is_empty() {
            self.turns.moved.notify_all();
        }
    }
}

impl Drop for FileTurn {
    fn drop(&mut self) {
        // By name, not by closing: a forked child may have the same open file.
        let _ = self.0.unlock();
    }
}
