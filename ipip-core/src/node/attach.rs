//! A container gets its address and its wire.

use std::net::Ipv4Addr;

use super::progress::Task;
use super::wiring::{Look, Wire, Wired, wire_all};
use super::{Changes, Node, NodeError, Workload};
use crate::addr::MacAddr;
use crate::ipam::{Assigned, Given};
use crate::mtu::TunnelMtu;
use crate::name::{HandleId, InterfaceName};
use crate::netlink::{Course, NetlinkError};
use crate::overlay::{WorkloadEndpoint, check_workload_name};
use crate::resource::{Attribute, Release, go_time};
use crate::sys::netns::Netns;

/// A container on the pod network: what a CNI plugin answers its runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its address, a /32 inside.
    pub address: Ipv4Addr,
    /// The end of its wire in the node's namespace.
    pub host_veth: InterfaceName,
    /// The hardware address of its interface, which the kernel chose.
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: TunnelMtu,
    /// What the call changed in the kernel; nothing if the container was attached already.
    pub changes: Changes,
}

/// A container whose names and namespace were checked.
struct Guest<'a> {
    workload: &'a Workload,
    handle: HandleId,
    owner: Attribute,
}

impl Node {
    /// Attaches a container: assigns it an address and wires it, a pair of veth ends with Calico's
    /// names, addresses and routes.
    ///
    /// The call may be repeated, and asked by whoever comes next: the address belongs to the container's
    /// handle `NETWORK.CONTAINER`, so it is the same each time, and what is broken of the wire is
    /// mended, inside too. A call that fails gives back the address that it assigned and takes back
    /// what it changed.
    ///
    /// # Errors
    /// [`NodeError::Netns`] if there is no namespace at the path, [`NodeError::Kernel`] if it is the
    /// node's own; [`NodeError::Name`], [`NodeError::Unnamed`] and [`NodeError::Overlay`] for names that
    /// are none; [`NodeError::InTheWay`] if the container has another default route or another
    /// interface of the name; [`NodeError::OtherAddress`]; [`NodeError::Ipam`] if there is no address,
    /// or the one that is wanted is another's.
    pub fn attach(&self, workload: &Workload) -> Result<Attached, NodeError> {
        let answers = self.attach_many(std::slice::from_ref(workload))?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| self.not_joined())?
    }

    /// Attaches many containers as [`Node::attach`] attaches one; the addresses that come from one block
    /// are one commit. The answers are in the order of `workloads`; one that failed leaves the others
    /// as they are.
    ///
    /// # Errors
    /// [`NodeError::NotJoined`], [`NodeError::Underlay`], or [`NodeError::Kernel`] if the node's namespace
    /// cannot be read: nothing was done then.
    pub fn attach_many(
        &self,
        workloads: &[Workload],
    ) -> Result<Vec<Result<Attached, NodeError>>, NodeError> {
        let mut turn = self.turn()?;
        let guests: Vec<_> = workloads.iter().map(|one| self.guest(one)).collect();
        let (look, mtu) = self.look(&guests)?;
        let is_open = |guest: &&Guest<'_>| guest.workload.address.is_none();
        let open = guests.iter().flatten().filter(is_open);
        let owners: Vec<_> = open.map(|guest| guest.owner.clone()).collect();
        let mut any = self.ipam.assign_each(self.name(), &owners).into_iter();
        let given = guests.into_iter().map(|guest| {
            let guest = guest?;
            let given = match guest.workload.address {
                Some(wanted) => self.assign_wanted(&guest, wanted)?,
                None => any.next().ok_or_else(|| self.not_joined())??,
            };
            Ok((guest, given))
        });
        let given: Vec<Result<_, NodeError>> = given.collect();
        let wires = given.iter().flatten();
        let wires: Vec<_> = wires
            .map(|(guest, given)| guest.wire(*given, mtu))
            .collect();
        let course = self.told(Task::Attach, Course::default());
        let wired = wire_all(&self.netns, look, &wires, course);
        let mut wired = wired.into_iter().zip(&wires);
        let attached = given.into_iter().map(|given| {
            let (guest, given) = given?;
            let (wired, wire) = wired.next().ok_or_else(|| self.not_joined())?;
            match wired {
                Ok(wired) => {
                    turn.notice(&mut vec![], &wired.changes.steps);
                    Ok(attached(&wire.endpoint, wired))
                }
                Err(refused) if given.newly => Err(self.give_back(&guest, given.assigned, refused)),
                Err(refused) => Err(refused),
            }
        });
        Ok(attached.collect())
    }

    /// What there is before anything is done, and the MTU of the underlay as it is now.
    fn look(
        &self,
        guests: &[Result<Guest<'_>, NodeError>],
    ) -> Result<(Look, TunnelMtu), NodeError> {
        let record = self.record()?;
        let paths = guests.iter().flatten();
        let paths = paths.map(|guest| guest.workload.netns.as_path());
        let look = Look::at(&self.netns, paths);
        // A workload's namespace that cannot be read is that workload's trouble.
        let look = look.or_else(|_| Look::at(&self.netns, std::iter::empty()))?;
        let underlay = self.underlay(&look.before, Some(&record))?;
        Ok((look, self.mtu(&underlay)?.workload))
    }

    /// Checks what names the container, and that its namespace is one.
    fn guest<'a>(&self, workload: &'a Workload) -> Result<Guest<'a>, NodeError> {
        let id = &workload.id;
        check_workload_name("namespace", &id.namespace)?;
        check_workload_name("pod", &id.pod)?;
        let handle = id.handle(&self.config.network)?;
        let netns = Netns::open(&workload.netns)?;
        if netns.is_same(&self.netns) {
            let path = workload.netns.clone();
            return Err(NetlinkError::NodeNamespace { path }.into());
        }
        let owner = Attribute::new(Some(handle.clone()))
            .with("namespace", &id.namespace)
            .with("pod", &id.pod)
            .with("node", self.name().as_str())
            .with("timestamp", &go_time(self.ambient.now()));
        Ok(Guest {
            workload,
            handle,
            owner,
        })
    }

    /// The address that the container names, unless it has another one.
    fn assign_wanted(&self, guest: &Guest<'_>, wanted: Ipv4Addr) -> Result<Given, NodeError> {
        let held = self.ipam.addresses_of(&guest.handle)?;
        match held.first() {
            Some((held, _)) if *held != wanted => Err(NodeError::OtherAddress {
                container: guest.workload.id.container_id.clone(),
                held: *held,
                wanted,
            }),
            // It answers what the handle has.
            Some(_) => {
                let owners = std::slice::from_ref(&guest.owner);
                let given = self.ipam.assign_each(self.name(), owners);
                given
                    .into_iter()
                    .next()
                    .ok_or_else(|| self.not_joined())?
                    .map_err(NodeError::from)
            }
            None => {
                let assigned = self.ipam.assign(self.name(), wanted, &guest.owner)?;
                let newly = true;
                Ok(Given { assigned, newly })
            }
        }
    }

    /// Releases what the failed call assigned; the error to be returned.
    fn give_back(&self, guest: &Guest<'_>, assigned: Assigned, refused: NodeError) -> NodeError {
        let release = Release::of(assigned.addr).at(assigned.sequence);
        let release = release.from_handle(guest.handle.clone());
        match self.ipam.release(&release) {
            Ok(_) => refused,
            Err(error) => NodeError::NotGivenBack {
                refused: Box::new(refused),
                addr: assigned.addr,
                release: Box::new(error),
            },
        }
    }
}

impl<'a> Guest<'a> {
    fn wire(&self, given: Given, mtu: TunnelMtu) -> Wire<'a> {
        let id = &self.workload.id;
        Wire {
            endpoint: WorkloadEndpoint {
                interface: self.workload.interface.clone(),
                ..WorkloadEndpoint::new(&id.namespace, &id.pod, given.assigned.addr, mtu)
            },
            netns: &self.workload.netns,
        }
    }
}

fn attached(endpoint: &WorkloadEndpoint, wired: Wired) -> Attached {
    Attached {
        address: endpoint.address,
        host_veth: endpoint.host_veth(),
        mac: wired.mac,
        mtu: endpoint.mtu,
        changes: wired.changes,
    }
}
