//! A container gives back its address, and its wire goes.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use super::ensure::converge;
use super::progress::Task;
use super::{Changes, Node, NodeError, WorkloadId};
use crate::ipam::IpamError;
use crate::mtu::UnderlayMtu;
use crate::name::{HandleId, InterfaceName};
use crate::netlink::Course;
use crate::overlay::{WorkloadEndpoint, check_workload_name};
use crate::plan::{self, Change, Desired, Link, Place, Step};
use crate::resource::{Block, Release};

/// What became of a container that was taken off the pod network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detached {
    /// The addresses that it had, which are free now; none if it had none.
    pub released: Vec<Ipv4Addr>,
    /// What the call changed in the kernel; nothing if the wire was gone, or belongs to a newer
    /// container of the pod.
    pub changes: Changes,
}

impl Node {
    /// Detaches a container: takes its wire away and releases its address. Its namespace may be gone.
    /// What was never attached, or is detached already, is no error.
    ///
    /// The address is released by the container's own handle, and the wire, which bears the pod's name,
    /// stays if another container of that pod has an address: a late call for an old container does
    /// its successor no harm.
    ///
    /// # Errors
    /// [`NodeError::Name`], [`NodeError::Unnamed`] and [`NodeError::Overlay`] for names that are none;
    /// [`NodeError::Kernel`] if the wire cannot be taken away, and its address stays assigned then;
    /// [`NodeError::Ipam`] if the store fails: the next call completes it.
    pub fn detach(&self, id: &WorkloadId) -> Result<Detached, NodeError> {
        let answers = self.detach_many(std::slice::from_ref(id))?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| self.not_joined())?
    }

    /// Detaches many containers as [`Node::detach`] does one; the addresses of one block are released
    /// in one commit. The answers are in the order of `ids`.
    ///
    /// # Errors
    /// [`NodeError::Ipam`] if the store cannot be read: nothing was done then.
    pub fn detach_many(
        &self,
        ids: &[WorkloadId],
    ) -> Result<Vec<Result<Detached, NodeError>>, NodeError> {
        let _turn = self.turn()?;
        let handles: Vec<_> = ids.iter().map(|id| self.departing(id)).collect();
        let blocks = self.ipam.blocks()?;
        let staying = self.staying(&blocks, handles.iter().flatten());
        let bereft = ids.iter().zip(&handles).map(|(id, handle)| {
            let pod = (id.namespace.as_str(), id.pod.as_str());
            (handle.is_ok() && !staying.contains(&pod)).then_some(id)
        });
        let unwired = self.unwire_all(&bereft.collect::<Vec<_>>());
        let releases = handles
            .iter()
            .zip(&unwired)
            .filter(|(_, unwired)| unwired.is_ok());
        let releases = releases.filter_map(|(handle, _)| handle.as_ref().ok());
        let mut released = self.release_all(releases)?;
        let answers = handles.into_iter().zip(unwired).map(|(handle, unwired)| {
            let (handle, changes) = (handle?, unwired?);
            let released = released.remove(handle.as_str()).unwrap_or(Ok(vec![]))?;
            Ok(Detached { released, changes })
        });
        Ok(answers.collect())
    }

    fn departing(&self, id: &WorkloadId) -> Result<HandleId, NodeError> {
        check_workload_name("namespace", &id.namespace)?;
        check_workload_name("pod", &id.pod)?;
        id.handle(&self.config.network)
    }

    /// The pods of which a container has an address on this node, and is not `leaving`.
    fn staying<'a>(
        &self,
        blocks: &'a [Block],
        leaving: impl Iterator<Item = &'a HandleId>,
    ) -> HashSet<(&'a str, &'a str)> {
        let leaving: HashSet<&str> = leaving.map(HandleId::as_str).collect();
        let assigned = blocks.iter().flat_map(Block::assigned);
        let here = assigned.filter(|(_, who)| who.known("node") == Some(self.name().as_str()));
        let left = here.filter(|(_, who)| !leaving.contains(who.handle().unwrap_or_default()));
        left.filter_map(|(_, who)| Some((who.known("namespace")?, who.known("pod")?)))
            .collect()
    }

    /// Deletes the pairs of these pods, those that are ours; addresses and routes leave with them.
    fn unwire_all(&self, ids: &[Option<&WorkloadId>]) -> Vec<Result<Changes, NodeError>> {
        // What does not go together with all others is tried alone, and has its own error then.
        let mut together = self.unwire_together(ids).unwrap_or_default();
        let unwire = |id: &Option<&WorkloadId>| {
            let Some(id) = id else {
                return Ok(Changes::default());
            };
            let link = host_link(id);
            match together.get_mut(&link.name) {
                // Of two containers of one pod the first has taken it away.
                Some(steps) => Ok(Changes {
                    steps: std::mem::take(steps),
                }),
                None => converge(self.kernel()?, &desired([link]), plan::removal),
            }
        };
        ids.iter().map(unwire).collect()
    }

    /// By the name of each link that is not there any more, what took it away.
    fn unwire_together(
        &self,
        ids: &[Option<&WorkloadId>],
    ) -> Result<BTreeMap<InterfaceName, Vec<Step>>, NodeError> {
        let links = ids.iter().flatten().map(|id| host_link(id));
        let links: BTreeMap<_, _> = links.map(|link| (link.name.clone(), link)).collect();
        let mut unwired: BTreeMap<_, _> = links.keys().map(|name| (name.clone(), vec![])).collect();
        let mut kernel = self.kernel()?;
        let steps = plan::removal(&desired(links.into_values()), &kernel.observe()?).steps;
        let mut course = self.told(Task::Detach, Course::default());
        course.expect(steps.len());
        let failed = kernel.apply_until(&steps, &mut course).undone();
        for (number, step) in steps.into_iter().enumerate() {
            let Change::DeleteLink { name } = &step.change else {
                continue;
            };
            if failed.contains(&number) {
                unwired.remove(name);
            } else if let Some(steps) = unwired.get_mut(name) {
                steps.push(step);
            }
        }
        Ok(unwired)
    }

    /// Releases what `handles` have, those of one block in one commit; by handle, what became of it.
    fn release_all<'a>(
        &self,
        handles: impl Iterator<Item = &'a HandleId>,
    ) -> Result<BTreeMap<String, Result<Vec<Ipv4Addr>, IpamError>>, NodeError> {
        let mut releases = Vec::new();
        let mut answers = BTreeMap::new();
        for handle in handles {
            let held = self.ipam.addresses_of(handle)?;
            if held.is_empty() {
                self.drop_handle(handle)?;
            }
            let own = held.into_iter().map(|(addr, _)| Release::of(addr));
            releases.extend(own.map(|release| release.from_handle(handle.clone())));
            answers.insert(handle.to_string(), Ok(vec![]));
        }
        let many = self.ipam.release_many(&releases)?;
        for one in many.released {
            let handle = one.handle.unwrap_or_default();
            if let Some(Ok(released)) = answers.get_mut(&handle) {
                released.push(one.addr);
            }
        }
        for refused in many.refused {
            let inside = |release: &&Release| refused.block.contains(release.addr);
            for release in releases.iter().filter(inside) {
                let handle = release.handle.as_ref().map(ToString::to_string);
                answers.insert(handle.unwrap_or_default(), Err(refused.error.clone()));
            }
        }
        Ok(answers)
    }

    /// Removes the record of a handle without addresses, which Calico leaves behind when it dies between
    /// its two writes.
    fn drop_handle(&self, handle: &HandleId) -> Result<(), NodeError> {
        match self.ipam.release_handle(handle) {
            Ok(_) | Err(IpamError::HandleUnknown { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The host end of a pod's pair, as far as it has to be known to be deleted.
fn host_link(id: &WorkloadId) -> Link {
    let mtu = UnderlayMtu::ETHERNET.tunnel();
    let endpoint = WorkloadEndpoint::new(&id.namespace, &id.pod, Ipv4Addr::UNSPECIFIED, mtu);
    endpoint.host_link(&Place::Workload(Arc::from(Path::new(""))))
}

fn desired(links: impl IntoIterator<Item = Link>) -> Desired {
    Desired {
        links: links.into_iter().collect(),
        ..Desired::default()
    }
}
