//! What is becomes what should be: observe, ask the overlay, plan, apply.

use std::sync::Arc;
use std::time::Duration;

use super::agent::{Carrier, State};
use super::apply::{Round, apply};
use super::counters::add;
use super::data_path::{DataPathConfig, ensure_data_path, is_look_alike, remove_programs};
use super::guard::cannot_be_had;
use super::live::Live;
use super::progress::Task;
use super::synced::{DataPathState, FailedStep, Planned, Synced};
use super::trial::try_data_path;
use super::{GuardState, Node, NodeError, Underlay};
use crate::addr::{NodeAddr, TunnelAddr};
use crate::cluster::View;
use crate::name::InterfaceName;
use crate::netlink::{Course, Kernel};
use crate::overlay::{Guard, GuardPool, LocalNode, Overlay, Policy, Tunnel};
use crate::peers::Peers;
use crate::plan::{self, Change, GuardChange, Observed, Ownership, Place, Plan, Step, Target};
use crate::resource::{Node as NodeRecord, Pool};

/// How often a pass observes and plans anew where the kernel's state moved under it.
const ROUNDS: usize = 3;

/// Everything that a pass knows before it changes anything.
pub(super) struct Survey {
    pub(super) observed: Observed,
    pub(super) overlay: Arc<Overlay>,
    pub(super) ownership: Ownership,
    pub(super) peers: Arc<Peers>,
    pub(super) pools: Vec<GuardPool>,
    pub(super) local: LocalNode,
    /// Whether another data path than the kernel's driver has made the tunnel device.
    tunnel_exists: bool,
}

impl Node {
    /// Brings about what this node should hold of the cluster as it is now: the tunnel device, the host
    /// side of its workloads, the routes to the blocks of the others, and the guard; and takes away what
    /// is ours and should not be there. A node whose address or pools changed gets its record and its
    /// tunnel address written anew.
    ///
    /// What the kernel refuses is named in the answer, and the rest is done. Where the store cannot be
    /// read, what was read last counts, and nothing is taken away.
    ///
    /// # Errors
    /// [`NodeError::NotJoined`], [`NodeError::Underlay`], [`NodeError::Kernel`] if the namespace cannot be
    /// read, [`NodeError::Cluster`] if the store never could; nothing was changed then.
    pub fn sync(&self) -> Result<Synced, NodeError> {
        let mut turn = self.turn()?;
        self.pass(&mut turn, Course::default())
    }

    /// What [`Node::sync`] would do in the kernel now. Nothing is changed, in the store neither; which data
    /// path it would start is tried in a namespace that ends with the call, for which the kernel may load its
    /// driver.
    ///
    /// # Errors
    /// As [`Node::sync`].
    pub fn plan(&self) -> Result<Planned, NodeError> {
        let mut turn = self.turn()?;
        let mut kernel = self.kernel()?;
        let observed = kernel.observe()?;
        let stale = self.follow(&mut turn)?;
        let mut survey = self.survey(&mut turn, observed)?;
        let (data_path, mut steps) = self.would_carry(&mut turn, &mut survey)?;
        self.guard(&turn, &mut kernel, &mut survey)?;
        let mut plan = survey.plan(stale.is_some());
        steps.append(&mut plan.steps);
        plan.steps = steps;
        if stale.is_none() {
            plan.steps.extend(self.superfluous_programs(&survey));
        }
        Ok(Planned {
            steps: plan.steps,
            data_path,
            conflicts: plan.conflicts,
            adopted: plan.adopted,
            withheld: survey.overlay.withheld.clone(),
            stale,
        })
    }
}

impl Node {
    /// One pass, in the caller's turn.
    pub(super) fn pass(&self, state: &mut State, course: Course) -> Result<Synced, NodeError> {
        add(&self.tally.passes, 1);
        let mut course = self.told(Task::Sync, course);
        let result = self.rounds(state, &mut course);
        match &result {
            Ok(synced) => {
                add(&self.tally.applied, synced.done.len());
                add(&self.tally.failed, synced.failed.len());
                add(&self.tally.conflicts, synced.conflicts.len());
                add(&self.tally.cut_short, (!synced.postponed.is_empty()).into());
            }
            Err(_) => add(&self.tally.errors, 1),
        }
        result
    }

    fn rounds(&self, state: &mut State, course: &mut Course) -> Result<Synced, NodeError> {
        let mut kernel = self.kernel()?;
        // Before the store: whoever attaches a workload commits its address before it makes its link, so
        // that no link is seen here of which the store does not know.
        let observed = kernel.observe()?;
        let mut stale = self.follow(state)?;
        if stale.is_none() {
            stale = self.enrol_anew(state, &observed);
        }
        let mut survey = self.survey(state, observed)?;
        let mut done = self.carry(state, &mut kernel, &survey);
        // A path of this process has made the device that the routes lead through.
        if !done.is_empty() || survey.tunnel_exists != state.is_carried_outside() {
            survey = self.survey(state, kernel.observe()?)?;
        }
        let mut last = Round::default();
        let mut guard = GuardState::Declined;
        for round in 1..=ROUNDS {
            survey.leave_out_tunnel(&state.data_path_state());
            guard = self.guard(state, &mut kernel, &mut survey)?;
            let plan = survey.plan(stale.is_some());
            state.remember(plan.settings_before(&survey.observed));
            last = apply(&mut kernel, plan, course);
            state.notice(&mut last.adopted, &last.done);
            if let Some(reason) = last.no_guard.take() {
                log::warn!(
                    "node {}: IPIP packets are not checked, {reason}",
                    self.name()
                );
                state.no_guard = Some(reason.clone());
                guard = GuardState::Unavailable { reason };
            }
            done.append(&mut last.done);
            if !last.moved || round == ROUNDS || course.is_over() {
                break;
            }
            survey = self.survey(state, kernel.observe()?)?;
        }
        // Behind the plan: what was reached through it is reached another way by now.
        if stale.is_none() && last.postponed.is_empty() && survey.local.tunnel_address.is_none() {
            state.data_path = Carrier::Idle;
            self.take_superfluous_programs(&survey, &mut done, &mut last);
        }
        self.log(&last);
        Ok(Synced {
            done,
            failed: last.failed,
            postponed: last.postponed,
            conflicts: last.conflicts,
            adopted: last.adopted,
            withheld: survey.overlay.withheld.clone(),
            data_path: state.data_path_state(),
            guard,
            stale,
        })
    }

    /// Takes over what changed in the store. `Some`: it could not be read, and what was read before
    /// counts.
    pub(super) fn follow(&self, state: &mut State) -> Result<Option<String>, NodeError> {
        let Some(view) = &mut state.view else {
            state.view = Some(View::load(&*self.store)?);
            return Ok(None);
        };
        match view.update(&*self.store, Duration::ZERO) {
            Ok(changed) => {
                if let Some(live) = &mut state.live {
                    live.update(view, &changed);
                }
                Ok(None)
            }
            Err(error) => Ok(Some(crate::error_chain(&error))),
        }
    }

    /// What the node should hold, by the view as it is.
    pub(super) fn survey(
        &self,
        state: &mut State,
        observed: Observed,
    ) -> Result<Survey, NodeError> {
        // What an earlier process left, or another one has, is seen by its device alone.
        let tunnel_exists =
            state.is_carried_outside() || is_tunnel_ours(&observed, &self.config.policy.tunnel);
        let view = state.view.as_ref().ok_or_else(|| self.not_joined())?;
        let record = view
            .node(self.name())
            .filter(|record| record.addr().is_some());
        let record = record.ok_or_else(|| self.not_joined())?;
        let underlay = self.underlay(&observed, Some(record))?;
        let local = LocalNode {
            name: self.name().clone(),
            address: underlay.address,
            mtu: self.mtu(&underlay)?.tunnel,
            underlay: underlay.interface,
            tunnel_address: record.tunnel_addr(),
        };
        let policy = Policy {
            tunnel_exists,
            ..self.config.policy.clone()
        };
        // Nothing of it can be kept if the node itself is another.
        let same = state
            .live
            .take()
            .filter(|live| live.is_for(&local, &policy));
        let mut live = same.unwrap_or_else(|| Live::new(view, &local, policy));
        let survey = Survey {
            overlay: live.overlay(),
            ownership: live.ownership(view),
            peers: live.peers(view),
            pools: view.pools().map(guard_pool).collect(),
            tunnel_exists,
            local,
            observed,
        };
        state.live = Some(live);
        Ok(survey)
    }

    /// Writes the record and the tunnel address where the node moved or the pools changed.
    fn enrol_anew(&self, state: &mut State, observed: &Observed) -> Option<String> {
        let record = state.view.as_ref()?.node(self.name())?.clone();
        let underlay = self.underlay(observed, Some(&record)).ok()?;
        let written = self.enrol_if_moved(&underlay, record).and_then(|()| {
            self.ipam.ensure_tunnel_address(self.name())?;
            self.follow(state)
        });
        written.unwrap_or_else(|error| Some(crate::error_chain(&error)))
    }

    fn enrol_if_moved(&self, underlay: &Underlay, record: NodeRecord) -> Result<(), NodeError> {
        let is_as_recorded = record.addr() == Some(NodeAddr(underlay.address.addr))
            && record.subnet() == underlay.address.subnet();
        if is_as_recorded {
            return Ok(());
        }
        self.enrol(underlay, Some(record))
    }

    /// Starts the data path if there is none and the node has a tunnel address; what that changed.
    fn carry(&self, state: &mut State, kernel: &mut Kernel, survey: &Survey) -> Vec<Step> {
        let local = &survey.local;
        let addr = NodeAddr(local.address.addr);
        // The outer source is the path's from its start.
        if state.carried_for.is_some_and(|carried| carried != addr) {
            state.data_path = Carrier::Idle;
        }
        // One that carries until now goes behind the plan.
        let Some(address) = local.tunnel_address else {
            return vec![];
        };
        if let Carrier::This(path) = &state.data_path
            && path.failure().is_none()
            && path.is_attached(kernel, &local.underlay)
        {
            if let Err(error) = path.set_peers(Peers::clone(&survey.peers)) {
                // What the programs know stays in the kernel; the next pass takes them up anew.
                state.data_path = Carrier::Nobody(crate::error_chain(&error));
            }
            return vec![];
        }
        let config = self.data_path_config(survey, address);
        state.carried_for = Some(addr);
        // A path that ended by itself must be gone before the next one takes its name.
        state.data_path = Carrier::Idle;
        match ensure_data_path(&self.netns, &config) {
            Ok((path, changes)) => {
                state.data_path = Carrier::This(path);
                let plan = Plan {
                    steps: changes.steps,
                    ..Plan::default()
                };
                state.remember(plan.settings_before(&survey.observed));
                plan.steps
            }
            Err(error) => {
                state.data_path = match is_tunnel_ours(&survey.observed, &survey.ownership.tunnel) {
                    true => Carrier::Another,
                    false => Carrier::Nobody(crate::error_chain(&error)),
                };
                vec![]
            }
        }
    }

    fn data_path_config(&self, survey: &Survey, address: TunnelAddr) -> DataPathConfig {
        let local = &survey.local;
        DataPathConfig {
            tunnel: Tunnel {
                device: self.config.policy.tunnel.clone(),
                ..Tunnel::new(address, local.mtu)
            },
            local: NodeAddr(local.address.addr),
            peers: Peers::clone(&survey.peers),
            choice: self.config.choice,
        }
    }

    /// Which data path [`Node::carry`] would start where there is no tunnel device, and the steps that it
    /// would take; `survey` is then as behind them.
    fn would_carry(
        &self,
        state: &mut State,
        survey: &mut Survey,
    ) -> Result<(Option<DataPathState>, Vec<Step>), NodeError> {
        let device = &self.config.policy.tunnel;
        let is_there = survey.observed.link(&Place::Node, device).is_some();
        let address = survey.local.tunnel_address.filter(|_| !is_there);
        let Some(address) = address else {
            return Ok((None, vec![]));
        };
        let trial = try_data_path(&self.data_path_config(survey, address), &survey.local)?;
        let Some((link, changes)) = trial.device else {
            survey.leave_out_tunnel(&trial.state);
            let is_none = matches!(trial.state, DataPathState::Unavailable { .. });
            return Ok((Some(trial.state).filter(|_| is_none), vec![]));
        };
        let mut observed = std::mem::take(&mut survey.observed);
        observed.links.push(link);
        *survey = self.survey(state, observed)?;
        Ok((Some(trial.state), changes.steps))
    }

    /// The step that takes the device of eBPF programs, whoever's process they are of, where no pool asks for a tunnel
    /// any more.
    fn superfluous_programs(&self, survey: &Survey) -> Option<Step> {
        let device = &survey.ownership.tunnel;
        let is_there = survey.local.tunnel_address.is_none()
            && is_tunnel_ours(&survey.observed, device)
            && is_look_alike(&self.netns, device).unwrap_or_default();
        is_there.then(|| Step {
            place: Place::Node,
            change: Change::DeleteLink {
                name: device.clone(),
            },
        })
    }

    /// Takes [`Node::superfluous_programs`].
    fn take_superfluous_programs(&self, survey: &Survey, done: &mut Vec<Step>, last: &mut Round) {
        let Some(step) = self.superfluous_programs(survey) else {
            return;
        };
        match remove_programs(&self.netns, &self.config.policy.tunnel) {
            Ok(()) => done.push(step),
            Err(error) => last.failed.push(FailedStep {
                step,
                reason: crate::error_chain(&error),
                errno: None,
            }),
        }
    }

    /// Adds the guard to what is desired and observed, where one is wanted and can be had. One that is not
    /// wanted stays out of sight: [`Node::leave`] takes it away.
    fn guard(
        &self,
        state: &State,
        kernel: &mut Kernel,
        survey: &mut Survey,
    ) -> Result<GuardState, NodeError> {
        if !self.config.guard {
            return Ok(GuardState::Declined);
        }
        // Asked once, it will not be there the next time: every pass would start a program in vain.
        if let Some(reason) = state.no_guard.clone() {
            return Ok(GuardState::Unavailable { reason });
        }
        match kernel.observe_guard() {
            Ok(found) => {
                let guard = survey.guard();
                guard.check()?;
                survey.observed.guard = found;
                Arc::make_mut(&mut survey.overlay).desired.guard = guard.desired().guard;
                Ok(GuardState::Active)
            }
            Err(error) if cannot_be_had(&error) => {
                let reason = crate::error_chain(&error);
                Ok(GuardState::Unavailable { reason })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells a person what the kernel refuses and what is in the way.
    pub(super) fn log(&self, round: &Round) {
        for failed in &round.failed {
            log::warn!("node {}: {failed}", self.name());
        }
        for conflict in &round.conflicts {
            log::warn!("node {}: {conflict}", self.name());
        }
        for route in &round.adopted {
            log::info!("node {}: adopted route {route}", self.name());
        }
    }
}

impl Survey {
    /// The plan; without what takes away if it rests on a store or a kernel that could not be read
    /// rightly.
    pub(super) fn plan(&self, is_stale: bool) -> Plan {
        let mut plan = plan::sync(&self.overlay.desired, &self.observed, &self.ownership);
        if is_stale || self.observed.interrupted {
            plan.steps.retain(|step| !takes_away(&step.change));
        }
        plan
    }

    fn guard(&self) -> Guard {
        Guard {
            peers: Peers::clone(&self.peers),
            pools: self.pools.clone(),
            device: self.ownership.tunnel.clone(),
            address: self.local.tunnel_address,
        }
    }

    /// Without a data path a route through the tunnel device would lead into nothing, or into somebody
    /// else's device.
    fn leave_out_tunnel(&mut self, state: &DataPathState) {
        if matches!(state, DataPathState::Unavailable { .. }) {
            let tunnel = self.ownership.tunnel.clone();
            let desired = &mut Arc::make_mut(&mut self.overlay).desired;
            desired.routes.retain(|route| {
                !matches!(&route.target, Target::Device { device, .. } if *device == tunnel)
            });
            desired.links.retain(|link| link.name != tunnel);
            let is_through = |target: &Target| matches!(target, Target::Device { device, .. } if *device == tunnel);
            desired
                .next_hops
                .retain(|object| !is_through(&object.target));
        }
    }
}

/// Whether the tunnel device is one that a data path other than the kernel's driver made, whoever's process that is.
fn is_tunnel_ours(observed: &Observed, tunnel: &InterfaceName) -> bool {
    let found = observed.link(&Place::Node, tunnel);
    found.is_some_and(|link| link.kind == "tun" && link.alias.as_deref() == Some(plan::TUNNEL_MARK))
}

fn guard_pool(pool: &Pool) -> GuardPool {
    GuardPool {
        prefix: pool.cidr(),
        nat_outgoing: pool.nat_outgoing(),
    }
}

fn takes_away(change: &Change) -> bool {
    match change {
        Change::DeleteLink { .. }
        | Change::DeleteAddress { .. }
        | Change::DeleteRoute(_)
        | Change::DeleteNextHop(_) => true,
        Change::Guard(GuardChange::Update { delete, .. }) => !delete.is_empty(),
        Change::Guard(GuardChange::Delete) => true,
        _ => false,
    }
}
