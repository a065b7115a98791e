//! The end of a history: a check finds nothing wrong, and everything can be given back.

use std::sync::atomic::Ordering;

use ipip_core::ipam::{IpamError, Problem};
use ipip_core::name::HandleId;
use ipnetwork::Ipv4Network;

use super::{MICROS, World};
use crate::operation::{Operation, Shelf};
use crate::record::check;
use crate::scene::{HANDLES, Scene};

impl World {
    /// A check finds nothing that a repair does not mend, and nothing at all without Calico.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.check_each()?;
        let ipam = self.actors[0].ipam.clone();
        let failed = |error: IpamError| error.to_string();
        // What one problem changes may show the next.
        let rounds = if self.scene.with_calico { 3 } else { 0 };
        for _ in 0..rounds {
            let report = ipam.check().map_err(failed)?;
            self.clock.fetch_add(100 * MICROS, Ordering::Relaxed);
            self.operations += 1;
            let mut call = self.call(0, Operation::Repair(Shelf::default()));
            call.since = self.truth().revision;
            self.ended.insert(self.operations, call);
            self.truth().begin(0, self.operations);
            ipam.repair(&report).map_err(failed)?;
            self.judge()?;
        }
        let report = ipam.check().map_err(failed)?;
        let is_fault = |problem: &Problem| {
            // A pool was deleted before its addresses; somebody released a tunnel's by name.
            !matches!(
                problem,
                Problem::BlockOutsidePools { .. } | Problem::TunnelAddress { .. }
            )
        };
        match report
            .problems
            .iter()
            .find(|found| is_fault(&found.problem))
        {
            Some(found) => Err(format!("at the end {}", found.problem)),
            None => Ok(()),
        }
    }

    /// Where nothing went wrong, and nobody gave up waiting, who asked for one address for each has no more.
    fn check_each(&self) -> Result<(), String> {
        let weather = self.weather;
        if weather.crashes || weather.lost_replies || weather.slow || !self.oracle.ordered {
            return Ok(());
        }
        let owners = (0..HANDLES).map(Scene::one_of_each);
        for owner in owners.filter(|owner| !self.oracle.was_lost(owner.as_str())) {
            let held = self.oracle.state.held.get(owner.as_str());
            let count: i64 = held.map_or(0, |held| held.values().sum());
            check(count < 2, || format!("handle {owner} has {held:?}"))?;
        }
        Ok(())
    }

    /// Everything is given back: whatever is left then was lost.
    pub(super) fn clean_up(&mut self) -> Result<(), String> {
        self.do_handles()?;
        // Whatever cools down has done so then.
        self.clock.fetch_add(3600 * MICROS, Ordering::Relaxed);
        for _ in 0..3 {
            for (node, block) in self.oracle.state.owners() {
                let place = self
                    .actors
                    .iter()
                    .position(|actor| actor.node.as_str() == node);
                let block: Ipv4Network = block.replace('-', "/").parse().expect("a block");
                self.do_whole(place.expect("a node"), Operation::ReleaseBlock(block))?;
            }
        }
        self.oracle.check_nothing_left()
    }

    fn do_handles(&mut self) -> Result<(), String> {
        let handles: Vec<_> = self.oracle.state.handles.keys().cloned().collect();
        for handle in handles {
            let handle = HandleId::try_new(&handle).expect("a handle");
            self.do_whole(0, Operation::ReleaseHandle(handle))?;
        }
        Ok(())
    }
}
