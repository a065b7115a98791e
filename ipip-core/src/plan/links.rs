//! One link: what must change for it to be as it should, and what stands in the way.

use super::index::LinkIndex;
use super::model::{Link, LinkKind, ObservedLink, TunnelEnds};
use super::outcome::{Conflict, Plan};
use super::place::Place;
use super::step::Change;
use crate::name::InterfaceName;

pub(super) fn ensure_link(link: &Link, observed: &LinkIndex<'_>, plan: &mut Plan) {
    let found = observed.link(&link.place, &link.name);
    let found = match (&link.kind, found) {
        (LinkKind::Existing | LinkKind::HostVeth, None) => {
            return plan.conflicts.push(Conflict::LinkMissing {
                name: link.name.clone(),
            });
        }
        (LinkKind::Existing, Some(found)) => Some(found),
        (LinkKind::HostVeth, Some(found)) if is_marked_veth(link, found) => Some(found),
        (LinkKind::Tunnel, None) => {
            plan.push(
                &link.place,
                Change::CreateTunnel {
                    name: link.name.clone(),
                },
            );
            None
        }
        (LinkKind::Tunnel, Some(found)) if found.tunnel.is_some_and(TunnelEnds::is_any) => {
            Some(found)
        }
        (
            LinkKind::VethWithPeer {
                peer_place,
                peer_name,
            },
            found,
        ) => match veth_state(link, found, observed.link(peer_place, peer_name)) {
            VethState::Right(found) => Some(found),
            VethState::Foreign(found) => return plan.conflicts.push(taken(link, found)),
            VethState::Absent { stale } => {
                if stale {
                    plan.push(
                        &link.place,
                        Change::DeleteLink {
                            name: link.name.clone(),
                        },
                    );
                }
                plan.push(&link.place, create_veth(link, peer_place, peer_name));
                None
            }
        },
        (
            LinkKind::VethPeerOf {
                peer_place,
                peer_name,
            },
            found,
        ) => match (found, observed.link(peer_place, peer_name)) {
            (Some(found), Some(other)) if are_peers(found, other) => Some(found),
            (Some(found), _) => return plan.conflicts.push(taken(link, found)),
            // It will be born with its peer.
            (None, _) => None,
        },
        (LinkKind::Tunnel | LinkKind::HostVeth, Some(found)) => {
            return plan.conflicts.push(taken(link, found));
        }
    };
    configure(link, found, plan);
}

/// Mark, MAC, MTU, settings, up, addresses: in this order, and only where they differ. A link that
/// is still to be created has its MAC and MTU from its creation.
fn configure(link: &Link, found: Option<&ObservedLink>, plan: &mut Plan) {
    let name = &link.name;
    let is_tunnel = link.kind == LinkKind::Tunnel;
    if let Some(mark) = &link.mark {
        // An adopted tunnel device bears no mark of ours: it is not ours to delete.
        if found.is_none() || (!is_tunnel && found.is_some_and(|f| f.alias.as_ref() != Some(mark)))
        {
            plan.push(
                &link.place,
                Change::SetAlias {
                    name: name.clone(),
                    alias: mark.clone(),
                },
            );
        }
    }
    if let (Some(mac), Some(found)) = (link.mac, found)
        && found.mac != Some(mac)
    {
        plan.push(
            &link.place,
            Change::SetMac {
                name: name.clone(),
                mac,
            },
        );
    }
    if let Some(mtu) = link.mtu
        && found.map_or(is_tunnel, |f| f.mtu != mtu)
    {
        plan.push(
            &link.place,
            Change::SetMtu {
                name: name.clone(),
                mtu,
            },
        );
    }
    for (setting, value) in &link.settings {
        if found.and_then(|f| f.settings.get(setting)) != Some(value) {
            plan.push(
                &link.place,
                Change::Set {
                    name: name.clone(),
                    setting: *setting,
                    value: *value,
                },
            );
        }
    }
    if link.up && !found.is_some_and(|f| f.up) {
        plan.push(&link.place, Change::SetUp { name: name.clone() });
    }
    for address in &link.addresses {
        if !found.is_some_and(|f| f.addresses.contains(address)) {
            plan.push(
                &link.place,
                Change::AddAddress {
                    name: name.clone(),
                    address: *address,
                },
            );
        }
    }
}

enum VethState<'a> {
    /// Ours, and its other end is where it should be.
    Right(&'a ObservedLink),
    /// Somebody else's.
    Foreign(&'a ObservedLink),
    /// Not there; `stale` if ours is there but its other end is not where it should be.
    Absent { stale: bool },
}

/// Ours is what bears our mark. A pair without one, but joined to the right end and with the right
/// MAC, was left by a call that was interrupted between creating and marking it.
fn veth_state<'a>(
    link: &Link,
    found: Option<&'a ObservedLink>,
    peer: Option<&ObservedLink>,
) -> VethState<'a> {
    let Some(found) = found else {
        return VethState::Absent { stale: false };
    };
    let joined = peer.is_some_and(|peer| are_peers(found, peer));
    let marked = is_marked_veth(link, found);
    let unmarked_ours = found.alias.is_none() && found.mac == link.mac;
    match (marked, joined) {
        (true, true) => VethState::Right(found),
        (false, true) if unmarked_ours => VethState::Right(found),
        (true, false) => VethState::Absent { stale: true },
        _ => VethState::Foreign(found),
    }
}

fn is_marked_veth(link: &Link, found: &ObservedLink) -> bool {
    found.kind == "veth" && found.alias == link.mark
}

/// Two veth ends that name each other's index and place. Indexes alone prove nothing: every fresh
/// namespace counts from the same number.
fn are_peers(one: &ObservedLink, other: &ObservedLink) -> bool {
    let names = |one: &ObservedLink, other: &ObservedLink| {
        one.peer_index == Some(other.index) && one.peer_place.as_ref() == Some(&other.place)
    };
    one.kind == "veth" && names(one, other) && names(other, one)
}

fn create_veth(link: &Link, peer_place: &Place, peer_name: &InterfaceName) -> Change {
    Change::CreateVeth {
        name: link.name.clone(),
        mac: link.mac,
        mtu: link.mtu,
        peer_place: peer_place.clone(),
        peer_name: peer_name.clone(),
    }
}

fn taken(link: &Link, found: &ObservedLink) -> Conflict {
    let kind = if found.kind.is_empty() {
        "a device without a kind".to_owned()
    } else {
        format!("kind {}", found.kind)
    };
    let ends = found
        .tunnel
        .map(|t| format!(" local {} remote {}", t.local, t.remote))
        .unwrap_or_default();
    let alias = found
        .alias
        .as_ref()
        .map(|alias| format!(" alias {alias:?}"))
        .unwrap_or_default();
    let expected = match &link.kind {
        LinkKind::Tunnel => "an ipip device with any local and any remote end".to_owned(),
        LinkKind::VethWithPeer { peer_name, .. } | LinkKind::VethPeerOf { peer_name, .. } => {
            format!("our veth end with peer {peer_name}")
        }
        LinkKind::HostVeth => "our veth end".to_owned(),
        LinkKind::Existing => "any device".to_owned(),
    };
    Conflict::LinkTaken {
        name: link.name.clone(),
        found: format!("{kind}{ends}{alias}"),
        expected,
    }
}
