//! Keeping a node as it should be: a pass whenever the cluster or the kernel changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle, Scope};
use std::time::{Duration, Instant};

use super::counters::add;
use super::in_time::InTime;
use super::{Node, NodeError, Synced};
use crate::datastore::{Revision, Store, StoreError, key};
use crate::netlink::{Course, Event, Monitor};
use crate::sys::wake::Wake;

/// Everything is compared anew after this time, whatever was told; Felix's `RouteRefreshInterval`.
const RESYNC: Duration = Duration::from_secs(90);
/// After a change, more are waited for so long: they come in swarms.
const SETTLE: Duration = Duration::from_millis(50);
/// The first pause after a pass that failed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The least that a store is given to answer in, however short a pass may be: an answer that comes too late is
/// asked for again, and may come too late again.
const STORE_LEAST: Duration = Duration::from_secs(5);
/// How long a watcher waits before it looks whether it should end.
const WATCH: Duration = Duration::from_secs(1);
/// How soon a stop is noticed.
const TICK: Duration = Duration::from_millis(100);

/// Ends a [`Node::run`], from another thread or a signal's handler.
///
/// ```
/// let stop = ipip_core::node::Stop::default();
/// let other = stop.clone();
/// other.stop();
/// assert!(stop.is_stopped());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the run; a pass that has begun is finished, or its time is over.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A flag that a signal's handler sets.
impl From<Arc<AtomicBool>> for Stop {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// What a run tells of itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunEvent {
    /// A pass was made.
    Synced(Box<Synced>),
    /// A pass could not be made, or a watcher failed; it is tried again.
    Failed {
        /// Why.
        error: NodeError,
        /// After how long at the latest.
        retry_in: Duration,
    },
}

/// Ends the watchers.
struct Ended(Stop, Arc<Wake>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.stop();
        self.1.ring();
    }
}

/// What wakes the run.
enum Told {
    /// Something in the store changed, or cannot be told.
    Store,
    /// Changes in the kernel.
    Kernel(Vec<Event>),
    /// Changes were lost.
    Lost,
    /// A watcher failed.
    Broken(NodeError),
}

/// What a run knows between two passes.
struct Rest {
    /// When everything is compared anew.
    due: Instant,
    /// The next pause after a pass that failed.
    pause: Duration,
    /// What the last pass answered, if it left everything as it should be.
    left: Option<Synced>,
}

impl Rest {
    /// Takes in what became of a pass over everything, or of one over what was told.
    fn take_in(&mut self, result: Result<Synced, NodeError>, is_whole: bool) -> RunEvent {
        let now = Instant::now();
        self.left = None;
        match result {
            Ok(synced) => {
                if synced.is_settled() {
                    self.pause = FIRST_PAUSE;
                    self.left = Some(synced.clone());
                    if is_whole {
                        self.due = now + RESYNC;
                    }
                } else if synced.postponed.is_empty() {
                    self.due = now + longer(&mut self.pause);
                } else {
                    // Others have a turn in between.
                    self.due = now + SETTLE;
                }
                RunEvent::Synced(Box::new(synced))
            }
            Err(error) => {
                let retry_in = longer(&mut self.pause);
                self.due = now + retry_in;
                RunEvent::Failed { error, retry_in }
            }
        }
    }
}

impl Node {
    /// Keeps this node as it should be until `stop` says otherwise: a pass as [`Node::sync`] at once,
    /// after each change in the store or in the kernel, and every 90 s. After a pass that failed it
    /// waits, at first half a second, at most half a minute. `tell` hears of each pass. The kernel tells nobody
    /// of a program that was detached from TCX: the next pass sees it, and until then this process carries the packets.
    ///
    /// Where all was as it should be and nothing but routes changed since, a pass puts back those that were
    /// deleted and looks at nothing else, which takes less than a millisecond of the processor beside a
    /// hundred thousand others; and there is none if none of ours is missing.
    ///
    /// No pass takes much longer than the node's [deadline](super::NodeConfig::with_deadline): what is left
    /// of one is told as [postponed](Synced::postponed) and done by the next, which begins at once; a store
    /// that hangs is waited for no longer than that.
    ///
    /// It may be stopped, or killed, at any instant: nothing is taken down by that. Other calls of this
    /// value, such as [`Node::attach`], take turns with the passes.
    ///
    /// # Errors
    /// [`NodeError::Kernel`] if the kernel's changes cannot be listened to. What fails later is told, and
    /// tried again.
    pub fn run(&self, stop: &Stop, mut tell: impl FnMut(RunEvent)) -> Result<(), NodeError> {
        let monitor = Monitor::open(&self.netns)?;
        let ended = Ended(Stop::default(), monitor.wake());
        let in_time = Arc::new(InTime::new(Arc::clone(&self.store)));
        let node = self.through(Arc::clone(&in_time) as Arc<dyn Store>);
        let (sender, told) = channel();
        let store_watcher = watch_store(Arc::clone(&self.store), sender.clone(), &ended.0);
        thread::scope(|scope| {
            self.watch_kernel(scope, monitor, sender, &ended.0);
            // The watchers end with it, even if `tell` panics.
            let _ended = ended;
            let mut rest = Rest {
                due: Instant::now(),
                pause: FIRST_PAUSE,
                left: None,
            };
            let mut events = None;
            while !stop.is_stopped() {
                let mended =
                    events.and_then(|events: Vec<_>| node.mend(&events, rest.left.as_ref()?));
                match mended {
                    Some(synced) if synced.done.is_empty() && synced.failed.is_empty() => {}
                    Some(synced) => tell(rest.take_in(Ok(synced), false)),
                    None => tell(rest.take_in(node.pass_in_time(&in_time), true)),
                }
                events = self.idle(&told, stop, rest.due, &mut tell);
            }
        });
        if let Some(watcher) = store_watcher {
            part_from(watcher);
        }
        Ok(())
    }

    /// A pass that ends in time, counted from when it is its turn.
    fn pass_in_time(&self, store: &InTime) -> Result<Synced, NodeError> {
        let mut turn = self.turn()?;
        let (now, time) = (Instant::now(), self.config.deadline);
        store.set_end(now.checked_add(time.max(STORE_LEAST)));
        let end = now.checked_add(time);
        self.pass(&mut turn, end.map_or_else(Course::default, Course::until))
    }

    /// Waits until something is told, or until `due`. The changes in the kernel, if that is all.
    fn idle(
        &self,
        told: &Receiver<Told>,
        stop: &Stop,
        due: Instant,
        tell: &mut impl FnMut(RunEvent),
    ) -> Option<Vec<Event>> {
        let mut until = due;
        let (mut events, mut is_all) = (vec![], true);
        while !stop.is_stopped() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match told.recv_timeout(left.min(TICK)) {
                Ok(Told::Broken(error)) => {
                    tell(RunEvent::Failed {
                        error,
                        retry_in: WATCH,
                    });
                    continue;
                }
                Ok(told) => is_all &= self.hear(told, &mut events),
                Err(RecvTimeoutError::Timeout) => continue,
                // Both watchers ended: nothing is left but the clock.
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(left.min(TICK));
                    continue;
                }
            }
            until = until.min(Instant::now() + SETTLE);
        }
        if is_all && events.is_empty() && !stop.is_stopped() {
            add(&self.tally.resyncs, 1);
        }
        Some(events).filter(|events| is_all && !events.is_empty() && Instant::now() < due)
    }

    /// Counts what was told, and keeps changes in the kernel; whether it was such.
    fn hear(&self, told: Told, events: &mut Vec<Event>) -> bool {
        match told {
            Told::Kernel(mut more) => {
                add(&self.tally.events, more.len());
                events.append(&mut more);
                return true;
            }
            Told::Store => add(&self.tally.changes, 1),
            Told::Lost => add(&self.tally.resyncs, 1),
            Told::Broken(_) => {}
        }
        false
    }

    fn watch_kernel<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        mut monitor: Monitor,
        sender: Sender<Told>,
        stop: &Stop,
    ) {
        let stop = stop.clone();
        scope.spawn(move || {
            while !stop.is_stopped() {
                let told = match monitor.wait(WATCH) {
                    Ok(events) if events.is_empty() => continue,
                    Ok(events) if events.contains(&Event::Overrun) => Told::Lost,
                    Ok(events) => Told::Kernel(events),
                    Err(error) => {
                        thread::sleep(TICK);
                        Told::Broken(error.into())
                    }
                };
                if sender.send(told).is_err() {
                    return;
                }
            }
        });
    }
}

/// Tells of changes in the store, on a thread that nobody must wait for: a call of the store may hang.
fn watch_store(store: Arc<dyn Store>, sender: Sender<Told>, stop: &Stop) -> Option<JoinHandle<()>> {
    let stop = stop.clone();
    let body = move || {
        let mut after = None;
        while !stop.is_stopped() {
            let told = match next_change(&*store, &mut after) {
                Ok(false) => continue,
                Ok(true) => Told::Store,
                Err(error) => {
                    thread::sleep(WATCH);
                    Told::Broken(crate::ipam::IpamError::from(error).into())
                }
            };
            if sender.send(told).is_err() {
                return;
            }
        }
    };
    let spawned = thread::Builder::new().spawn(body);
    // Without it changes are found all the same, every 90 s.
    spawned
        .inspect_err(|error| log::warn!("no thread to watch the store: {error}"))
        .ok()
}

/// Waits for a watcher's end, which comes soon unless the store hangs.
fn part_from(watcher: JoinHandle<()>) {
    let end = Instant::now() + 2 * WATCH;
    while !watcher.is_finished() {
        if Instant::now() >= end {
            return log::warn!("the store does not answer, its watcher ends when it does");
        }
        thread::sleep(TICK / 10);
    }
    drop(watcher.join());
}

/// Waits for a change of what the node should hold, for a while; whether there was one.
fn next_change(store: &dyn Store, after: &mut Option<Revision>) -> Result<bool, StoreError> {
    let Some(since) = *after else {
        // What changed before is read by the next pass.
        *after = Some(store.list_keys(key::pool_prefix())?.revision);
        return Ok(true);
    };
    match store.watch(key::cluster_prefix(), since, WATCH) {
        Ok(changes) => {
            *after = Some(changes.revision);
            let counts = |key: &str| {
                [key::node_prefix(), key::pool_prefix(), key::block_prefix()]
                    .iter()
                    .any(|prefix| key.starts_with(prefix))
            };
            Ok(changes.changes.iter().any(|change| counts(&change.key)))
        }
        Err(StoreError::Compacted { .. }) => {
            *after = None;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The pause, and the next one twice as long.
fn longer(pause: &mut Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(LONGEST_PAUSE);
    now
}
