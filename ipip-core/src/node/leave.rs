//! Taking part no longer: what is ours goes from the kernel, then from the store.

use std::net::Ipv4Addr;

use super::agent::Carrier;
use super::apply::{Round, apply_part};
use super::data_path::remove_programs;
use super::progress::Task;
use super::synced::{FailedStep, json, texts};
use super::{Node, NodeError, remove_guard};
use crate::ipam::NodeRemoval;
use crate::netlink::Course;
use crate::plan::{self, Step};

/// How a node leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaveOptions {
    /// Whether the store forgets it as well: its record, the addresses of its workloads, its blocks (as
    /// [`Ipam::remove_node`](crate::ipam::Ipam::remove_node)). Otherwise its workloads' addresses and
    /// blocks stay its own, for when it joins again.
    pub forget: bool,
}

/// What a node that left has taken down, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// The steps that were carried out in the kernel.
    pub done: Vec<Step>,
    /// Those that were not; the next call tries them again.
    pub failed: Vec<FailedStep>,
    /// Its tunnel address, which is free now.
    pub released: Vec<Ipv4Addr>,
    /// What the store forgot, where that was asked for.
    pub removal: Option<NodeRemoval>,
    /// What else could not be done: the store's words.
    pub faults: Vec<String>,
}

impl Node {
    /// Takes this node off the pod network: our routes, the workloads' wires, our address on the tunnel
    /// device and the guard, whoever's process made them; forwarding is set back where this value changed
    /// it (what another process found before is written nowhere). The tunnel device goes only if we made it.
    /// Then its tunnel address is released, and the rest of it forgotten if `options` say so. What is not
    /// ours stays.
    ///
    /// Everything is tried; what failed is in the answer, and the next call completes it. Nobody should
    /// [`run`](Node::run) the node meanwhile.
    ///
    /// # Errors
    /// [`NodeError::Cluster`] if the store could never be read, so that nobody knows what is ours;
    /// [`NodeError::NotJoined`] if it knows nothing of this node; [`NodeError::Underlay`] and
    /// [`NodeError::Kernel`] if the namespace cannot be read: nothing was done then.
    pub fn leave(&self, options: &LeaveOptions) -> Result<Left, NodeError> {
        let mut state = self.turn()?;
        let mut kernel = self.kernel()?;
        self.follow(&mut state)?;
        self.survey(&mut state, kernel.observe()?)?;
        // A path of this process takes its device with it.
        state.data_path = Carrier::Idle;
        let programs = remove_programs(&self.netns, &self.config.policy.tunnel);
        let survey = self.survey(&mut state, kernel.observe()?)?;
        let plan = plan::leave(&survey.observed, &survey.ownership, &state.before);
        let mut round = Round::default();
        let mut course = self.told(Task::Leave, Course::default());
        course.expect(plan.steps.len());
        apply_part(&mut kernel, &plan.steps, &mut course, &mut round);
        let mut left = Left {
            done: round.done,
            failed: round.failed,
            ..Left::default()
        };
        if let Err(error) = programs {
            left.faults.push(crate::error_chain(&error));
        }
        state.before.clear();
        match remove_guard(&self.netns) {
            Ok(changes) => left.done.extend(changes.steps),
            // Where there can be none, none is left.
            Err(NodeError::NoGuard(_)) => {}
            Err(error) => left.faults.push(crate::error_chain(&error)),
        }
        match self.ipam.release_tunnel_address(self.name()) {
            Ok(released) => left.released = released,
            Err(error) => left.faults.push(crate::error_chain(&error)),
        }
        if options.forget {
            match self.ipam.remove_node(self.name()) {
                Ok(removal) => left.removal = Some(removal),
                Err(error) => left.faults.push(crate::error_chain(&error)),
            }
        }
        Ok(left)
    }
}

impl Left {
    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let refused = self
            .removal
            .as_ref()
            .is_some_and(|removal| !removal.refused.is_empty() || !removal.unreadable.is_empty());
        self.failed.is_empty() && self.faults.is_empty() && !refused
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(|object| {
            texts(object, "done", &self.done);
            texts(object, "failed", &self.failed);
            texts(object, "released", &self.released);
            object.field("forgotten", &self.removal.is_some());
            texts(object, "faults", &self.faults);
        })
    }
}
