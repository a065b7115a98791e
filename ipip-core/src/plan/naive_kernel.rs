//! A naive kernel, the oracle of the planner's tests: it carries out steps on an [`Observed`] one by
//! one, as the real one does, and refuses what the real one refuses.

use std::net::Ipv4Addr;

use super::{
    Change, GuardChange, GuardSets, GuardTable, Observed, ObservedGuard, ObservedLink, Place,
    Setting, Step, Target, TunnelEnds,
};
use crate::addr::MacAddr;
use crate::name::InterfaceName;

/// A device as the kernel makes it: down, with default settings.
pub(super) fn link(place: &Place, text: &str, kind: &str, index: u32) -> ObservedLink {
    ObservedLink {
        place: place.clone(),
        index,
        name: InterfaceName::try_new(text).unwrap(),
        kind: kind.to_owned(),
        mtu: 1500,
        mac: (kind != "ipip").then_some(MacAddr([2, 0, 0, 0, 0, 1])),
        alias: None,
        up: false,
        peer_index: None,
        peer_place: None,
        tunnel: (kind == "ipip").then_some(ANY),
        addresses: vec![],
        settings: [
            (Setting::Forwarding, 0),
            (Setting::ProxyArp, 0),
            (Setting::ProxyDelay, 80),
        ]
        .into(),
    }
}

pub(super) const ANY: TunnelEnds = TunnelEnds {
    local: Ipv4Addr::UNSPECIFIED,
    remote: Ipv4Addr::UNSPECIFIED,
    ttl: 0,
    tos: 0,
    pmtudisc: false,
};

/// Carries out one step as the kernel would.
pub(super) fn carry_out(state: &mut Observed, step: &Step) -> Result<(), String> {
    let place = step.place.clone();
    let device_of = |route: &super::Route| route.target.device().cloned();
    let find = |state: &Observed, wanted: &InterfaceName| {
        let found = state
            .links
            .iter()
            .position(|l| l.place == place && l.name == *wanted);
        found.ok_or(format!("no device {wanted}"))
    };
    match &step.change {
        Change::CreateTunnel { name } => {
            find(state, name).map_or(Ok(()), |_| Err("exists"))?;
            state.links.push(link(&place, name.as_str(), "ipip", 90));
        }
        Change::CreateVeth {
            name,
            mac,
            mtu,
            peer_place,
            peer_name,
        } => {
            find(state, name).map_or(Ok(()), |_| Err("exists"))?;
            let mut ends = [
                link(&place, name.as_str(), "veth", 40),
                link(peer_place, peer_name.as_str(), "veth", 41),
            ];
            (ends[0].peer_index, ends[1].peer_index) = (Some(41), Some(40));
            (ends[0].peer_place, ends[1].peer_place) = (Some(peer_place.clone()), Some(place));
            ends[0].mac = mac.or(ends[0].mac);
            ends.iter_mut()
                .for_each(|end| end.mtu = mtu.unwrap_or(1500));
            state.links.extend(ends);
        }
        Change::DeleteLink { name } => {
            let gone = state.links.remove(find(state, name)?);
            let links = &mut state.links;
            links.retain(|l| gone.peer_index.is_none_or(|peer| l.index != peer));
            let remains = |place: &Place, device: &InterfaceName| {
                links.iter().any(|l| l.place == *place && l.name == *device)
            };
            state
                .routes
                .retain(|r| device_of(r).is_none_or(|device| remains(&r.place, &device)));
        }
        Change::SetAlias { name, alias } => {
            let index = find(state, name)?;
            state.links[index].alias = (!alias.is_empty()).then(|| alias.clone());
        }
        Change::SetMtu { name, mtu } => {
            let index = find(state, name)?;
            state.links[index].mtu = *mtu;
        }
        Change::SetMac { name, mac } => {
            let index = find(state, name)?;
            state.links[index].mac = Some(*mac);
        }
        Change::Set {
            name,
            setting,
            value,
        } => {
            let index = find(state, name)?;
            state.links[index].settings.insert(*setting, *value);
        }
        Change::SetUp { name } => {
            let index = find(state, name)?;
            state.links[index].up = true;
        }
        Change::SetDown { name } => {
            let index = find(state, name)?;
            state.links[index].up = false;
            state.routes.retain(|r| device_of(r).as_ref() != Some(name));
        }
        Change::AddAddress { name, address } => {
            let index = find(state, name)?;
            state.links[index].addresses.push(*address);
        }
        Change::DeleteAddress { name, address } => {
            let index = find(state, name)?;
            state.links[index].addresses.retain(|a| a != address);
        }
        Change::AddRoute(route) | Change::ReplaceRoute(route) => {
            let there = state.routes.iter().position(|r| r.key() == route.key());
            if let Some(id) = route.object() {
                let object = state.next_hops.iter().find(|one| one.id == id);
                object.ok_or("Nexthop id does not exist")?;
            }
            if let Some(device) = device_of(route) {
                let device = find(state, &device)?;
                state.links[device]
                    .up
                    .then_some(())
                    .ok_or("Nexthop device is not up")?;
            }
            match (&step.change, there) {
                (Change::AddRoute(_), Some(_)) => return Err("File exists".to_owned()),
                (_, Some(index)) => state.routes[index] = route.clone(),
                (_, None) => state.routes.push(route.clone()),
            }
        }
        Change::DeleteRoute(route) => {
            let there = state
                .routes
                .iter()
                .position(|r| r == route)
                .ok_or("No such process")?;
            state.routes.remove(there);
        }
        Change::AddNextHop(object) | Change::ReplaceNextHop(object) => {
            let Target::Device { device, .. } = &object.target else {
                return Err("no device".to_owned());
            };
            let device = find(state, device)?;
            let is_up = state.links[device].up;
            is_up.then_some(()).ok_or("Nexthop device is not up")?;
            let there = state.next_hops.iter().position(|one| one.id == object.id);
            match (&step.change, there) {
                (Change::AddNextHop(_), Some(_)) => return Err("File exists".to_owned()),
                (_, Some(index)) => state.next_hops[index] = object.clone(),
                (_, None) => state.next_hops.push(object.clone()),
            }
        }
        Change::DeleteNextHop(object) => {
            let there = state.next_hops.iter().position(|one| one.id == object.id);
            state.next_hops.remove(there.ok_or("No such file")?);
            state.routes.retain(|r| r.object() != Some(object.id));
        }
        Change::Guard(change) => state.guard = guarded(&state.guard, change)?,
    }
    Ok(())
}

/// The guard after one transaction. An element that is deleted must be there, one that is added must
/// overlap none of its set.
fn guarded(found: &ObservedGuard, change: &GuardChange) -> Result<ObservedGuard, String> {
    let made = |table: &GuardTable| ObservedGuard::Ours {
        sets: Some(table.sets.clone()),
        chains: table.chains(),
    };
    match (change, found) {
        (GuardChange::Create(table), ObservedGuard::Absent) => Ok(made(table)),
        (GuardChange::Create(_), _) => Err("exists".to_owned()),
        (_, ObservedGuard::Absent) => Err("no such table".to_owned()),
        (GuardChange::Replace(table), _) => Ok(made(table)),
        (GuardChange::Delete, _) => Ok(ObservedGuard::Absent),
        (GuardChange::Update { delete, add }, ObservedGuard::Ours { sets, chains }) => {
            let before = sets.as_ref().ok_or("no such set")?;
            if !delete.without(before).is_empty() {
                return Err("no such element".to_owned());
            }
            let left = before.without(delete);
            let size =
                |sets: &GuardSets| sets.peers.len() + sets.pools.len() + sets.nat_pools.len();
            let sets = left.together(add);
            if size(&sets) != size(&left) + size(add) {
                return Err("interval overlaps with an existing one".to_owned());
            }
            Ok(ObservedGuard::Ours {
                sets: Some(sets),
                chains: chains.clone(),
            })
        }
        (GuardChange::Update { .. }, ObservedGuard::Foreign) => Err("no such set".to_owned()),
    }
}
