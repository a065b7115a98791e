//! How far long work has come, for whoever wants to hear.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::agent::State;
use super::{Node, NodeError};
use crate::netlink::Course;

/// How far a call of [`Node`] has come in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub task: Task,
    /// How much of it the kernel has carried out or refused: steps of a plan, or containers. It never falls
    /// within one call, and is never above `total`.
    pub done: usize,
    /// How much there is in all. It grows where a pass has to plan anew, as the kernel's state moved under it.
    pub total: usize,
}

/// What a node is doing for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Task {
    /// A pass, in steps: [`Node::sync`], [`Node::join`], one of [`Node::run`].
    Sync,
    /// [`Node::attach`] and [`Node::attach_many`], in containers.
    Attach,
    /// [`Node::detach`] and [`Node::detach_many`], in containers that have a wire.
    Detach,
    /// [`Node::leave`], in steps.
    Leave,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::Leave => "leave",
        })
    }
}

/// Whoever hears of it.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(Progress) + Send + Sync>);

impl Listener {
    pub(super) fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// The turns of a node's calls, and which thread a listener is called on.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    telling: Mutex<Option<ThreadId>>,
}

impl Turns {
    fn tell(&self, listener: &Listener, progress: Progress) {
        /// Whatever the listener does, it is over then.
        struct Told<'a>(&'a Turns);
        impl Drop for Told<'_> {
            fn drop(&mut self) {
                *held(&self.0.telling) = None;
            }
        }
        *held(&self.telling) = Some(thread::current().id());
        let _told = Told(self);
        (listener.0)(progress);
    }
}

/// What a call that panicked has remembered is true; what it did not do, the next one finds.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Waits until no other call of this value changes the kernel.
    ///
    /// # Errors
    /// [`NodeError::InProgress`] if that call is the one whose listener makes this one.
    pub(super) fn turn(&self) -> Result<MutexGuard<'_, State>, NodeError> {
        if *held(&self.turns.telling) == Some(thread::current().id()) {
            let node = self.name().to_string();
            return Err(NodeError::InProgress { node });
        }
        Ok(held(&self.turns.state))
    }

    /// `course`, which tells the node's listener, if it has one, of `task`.
    pub(super) fn told(&self, task: Task, course: Course) -> Course {
        let Some(listener) = self.config.progress.clone() else {
            return course;
        };
        let turns = Arc::clone(&self.turns);
        course.with_listener(Arc::new(move |done, total| {
            turns.tell(&listener, Progress { task, done, total });
        }))
    }
}
