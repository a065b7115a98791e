//! What a sync did, and what it would do.

use std::fmt;

use super::GuardState;
use crate::datapath::DataPathKind;
use crate::overlay::Withheld;
use crate::plan::{Conflict, Route, Step};
use crate::resource::{ObjectWriter, write_list};

/// What a sync did. It displays as the shell lines that do the same, with what could not be done as
/// comments between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The steps that were carried out, in order; none if everything was as it should be.
    pub done: Vec<Step>,
    /// The steps that were not, and why; the next sync tries them again.
    pub failed: Vec<FailedStep>,
    /// The steps that were not begun, as the pass's time was over; the next one goes on with them. Only
    /// [`Node::run`](super::Node::run) sets its passes a time.
    pub postponed: Vec<Step>,
    /// Objects of others where ours should be, or that must be there and are not. They are not touched.
    pub conflicts: Vec<Conflict>,
    /// Routes that were there before, of an earlier run, of BIRD or (where asked for) of Felix, and are
    /// ours from now on.
    pub adopted: Vec<Route>,
    /// Blocks and addresses for which nothing is done.
    pub withheld: Vec<Withheld>,
    /// Who carries the packets.
    pub data_path: DataPathState,
    /// Whether forged tunnel packets are dropped.
    pub guard: GuardState,
    /// Why the store could not be read; what was read last counted then, and nothing was taken away.
    pub stale: Option<String>,
}

/// A step that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// The step; it displays as a shell line.
    pub step: Step,
    /// The kernel's own words, with its object.
    pub reason: String,
    /// The kernel's error number, where it gave one.
    pub errno: Option<i32>,
}

/// Who carries a node's packets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataPathState {
    /// The node has no tunnel address, as no pool asks for a tunnel: nobody need carry anything.
    Idle,
    /// This one.
    Running {
        /// Which.
        kind: DataPathKind,
        /// Why this one, a clause.
        reason: String,
    },
    /// Another process of this node, in user space.
    Elsewhere,
    /// None could be had; the routes through the tunnel are left out.
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// What a sync would do in the kernel. It displays as a script that does it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Who would carry the packets, where a sync would start a data path that makes the tunnel device itself,
    /// which no shell line does, or has to do without any; `None` where there is one, or the kernel's driver
    /// needs no more than the steps.
    pub data_path: Option<DataPathState>,
    /// As [`Synced::conflicts`].
    pub conflicts: Vec<Conflict>,
    /// As [`Synced::adopted`].
    pub adopted: Vec<Route>,
    /// As [`Synced::withheld`].
    pub withheld: Vec<Withheld>,
    /// As [`Synced::stale`].
    pub stale: Option<String>,
}

impl Synced {
    /// Whether the node holds all that it should: nothing failed or was postponed, nothing is in the way,
    /// and the store was read. What is withheld waits for others.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let runs = !matches!(self.data_path, DataPathState::Unavailable { .. });
        let is_done = self.failed.is_empty() && self.postponed.is_empty();
        is_done && self.conflicts.is_empty() && self.stale.is_none() && runs
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(|object| {
            texts(object, "done", &self.done);
            object.field_with("failed", |out| {
                write_list(out, &self.failed, |out, failed| {
                    let mut object = ObjectWriter::new(out);
                    object.field("step", &failed.step.to_string());
                    object.field("reason", &failed.reason);
                    object.field("errno", &failed.errno);
                    object.close();
                });
            });
            texts(object, "postponed", &self.postponed);
            texts(object, "conflicts", &self.conflicts);
            texts(object, "adopted", &self.adopted);
            texts(object, "withheld", &self.withheld);
            object.field("dataPath", &self.data_path.to_string());
            object.field("guard", &self.guard.to_string());
            object.field("stale", &self.stale);
        })
    }
}

impl Planned {
    /// Whether there is nothing to do, and nothing in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(|object| {
            texts(object, "steps", &self.steps);
            let data_path = self.data_path.as_ref().map(ToString::to_string);
            object.field("dataPath", &data_path);
            texts(object, "conflicts", &self.conflicts);
            texts(object, "adopted", &self.adopted);
            texts(object, "withheld", &self.withheld);
            object.field("stale", &self.stale);
        })
    }
}

pub(super) fn json(write: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    write(&mut object);
    object.close();
    String::from_utf8(out).expect("JSON is UTF-8")
}

pub(super) fn texts<T: ToString>(object: &mut ObjectWriter<'_>, field: &'static str, values: &[T]) {
    let texts: Vec<_> = values.iter().map(T::to_string).collect();
    object.field(field, &texts);
}

impl fmt::Display for DataPathState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("none: no pool asks for a tunnel"),
            Self::Running { kind, reason } => write!(f, "{kind}: {reason}"),
            Self::Elsewhere => f.write_str("elsewhere: another process carries the packets"),
            Self::Unavailable { reason } => write!(f, "none: {reason}"),
        }
    }
}

impl fmt::Display for FailedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.reason)
    }
}

fn comments<T: fmt::Display>(f: &mut fmt::Formatter<'_>, what: &str, values: &[T]) -> fmt::Result {
    values
        .iter()
        .try_for_each(|value| writeln!(f, "# {what}: {value}"))
}

impl fmt::Display for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.done
            .iter()
            .try_for_each(|step| writeln!(f, "{step}"))?;
        comments(f, "failed", &self.failed)?;
        comments(f, "postponed", &self.postponed)?;
        comments(f, "in the way", &self.conflicts)?;
        comments(f, "adopted", &self.adopted)?;
        comments(f, "withheld", &self.withheld)?;
        if let DataPathState::Unavailable { reason } = &self.data_path {
            writeln!(f, "# no data path: {reason}")?;
        }
        comments(f, "store not read", self.stale.as_slice())
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        comments(f, "data path", self.data_path.as_slice())?;
        self.steps
            .iter()
            .try_for_each(|step| writeln!(f, "{step}"))?;
        comments(f, "in the way", &self.conflicts)?;
        comments(f, "adopted", &self.adopted)?;
        comments(f, "withheld", &self.withheld)?;
        comments(f, "store not read", self.stale.as_slice())
    }
}
