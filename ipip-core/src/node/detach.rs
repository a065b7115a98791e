//! A container gives back its address, and its wire goes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use super::ensure::converge;
use super::{Changes, Node, NodeError, WorkloadId};
use crate::ipam::IpamError;
use crate::mtu::UnderlayMtu;
use crate::name::HandleId;
use crate::overlay::{WorkloadEndpoint, check_workload_name};
use crate::plan::{self, Desired, Place};
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
        let _turn = self.turn();
        let handles: Vec<_> = ids.iter().map(|id| self.departing(id)).collect();
        let leaving: Vec<_> = handles.iter().flatten().collect();
        let blocks = self.ipam.blocks()?;
        let unwired = ids.iter().zip(&handles).map(|(id, handle)| {
            let is_bereft = handle.is_ok() && !self.has_successor(&blocks, id, &leaving);
            if is_bereft {
                self.unwire(id)
            } else {
                Ok(Changes::default())
            }
        });
        let unwired: Vec<_> = unwired.collect();
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

    /// Whether another container of the pod has an address on this node, and is not `leaving` too.
    fn has_successor(&self, blocks: &[Block], id: &WorkloadId, leaving: &[&HandleId]) -> bool {
        let assigned = blocks.iter().flat_map(Block::assigned);
        let mut of_pod = assigned.filter(|(_, who)| {
            let is = |key, value: &str| who.known(key) == Some(value);
            is("namespace", &id.namespace) && is("pod", &id.pod) && is("node", self.name().as_str())
        });
        of_pod.any(|(_, who)| {
            let handle = who.handle().unwrap_or_default();
            !leaving.iter().any(|leaving| leaving.as_str() == handle)
        })
    }

    /// Deletes the pod's pair, if it is ours; addresses and routes leave with it.
    fn unwire(&self, id: &WorkloadId) -> Result<Changes, NodeError> {
        // Only its names count here.
        let mtu = UnderlayMtu::ETHERNET.tunnel();
        let endpoint = WorkloadEndpoint::new(&id.namespace, &id.pod, Ipv4Addr::UNSPECIFIED, mtu);
        let mut links = endpoint.desired(Path::new("")).links;
        links.retain(|link| link.place == Place::Node);
        let desired = Desired {
            links,
            ..Desired::default()
        };
        converge(self.kernel()?, &desired, plan::removal)
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
