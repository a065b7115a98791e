//! How far long work has come.

use std::fmt;
use std::sync::Arc;

use super::Node;
use crate::netlink::Deadline;

/// How far a call of [`Node`] has come in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub work: Work,
    /// Steps that the kernel has answered, carried out or refused. It never falls within one call.
    pub done: usize,
    /// Steps in all. It grows where a pass has to plan anew, as the kernel's state moved under it.
    pub total: usize,
}

/// What a node is doing for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Work {
    /// A pass: [`Node::sync`], [`Node::join`], one of [`Node::run`].
    Sync,
    /// [`Node::detach`] and [`Node::detach_many`].
    Detach,
    /// [`Node::leave`].
    Leave,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
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

impl Node {
    /// `deadline`, which tells the node's listener, if it has one, of `work`.
    pub(super) fn told(&self, work: Work, deadline: Deadline) -> Deadline {
        let Some(Listener(tell)) = self.config.progress.clone() else {
            return deadline;
        };
        deadline.with_listener(Arc::new(move |done, total| {
            tell(Progress { work, done, total });
        }))
    }
}
