//! All that is ours goes.

use super::diff::remove_link;
use super::model::{Link, LinkKind, Observed, ObservedLink, Setting};
use super::next_hop;
use super::outcome::Plan;
use super::ownership::Ownership;
use super::place::Place;
use super::route::Route;
use super::settle::RouteSteps;
use super::step::Change;
use crate::name::InterfaceName;

/// What a setting of a link of the node was before we changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingBefore {
    /// The link.
    pub name: InterfaceName,
    /// Which setting.
    pub setting: Setting,
    /// Its value then.
    pub value: u32,
}

impl Plan {
    /// What the settings that the steps change are before them, on links that are there already: to be
    /// kept for [`leave`].
    #[must_use]
    pub fn settings_before(&self, observed: &Observed) -> Vec<SettingBefore> {
        let before = self.steps.iter().filter_map(|step| {
            let Change::Set { name, setting, .. } = &step.change else {
                return None;
            };
            let link = observed.link(&step.place, name)?;
            let here = step.place == Place::Node;
            here.then_some(SettingBefore {
                name: name.clone(),
                setting: *setting,
                value: *link.settings.get(setting)?,
            })
        });
        before.collect()
    }
}

/// What must change for nothing of ours to be left on the node: our routes, the links of our workloads,
/// our addresses on the tunnel device. The device itself is taken down if nothing else is on it, and
/// deleted only if its alias says that we made it. `before` is what the settings are set back to.
///
/// What is not ours stays, and is no conflict. What [`Ownership::spared`] names goes too.
#[must_use]
pub fn leave(observed: &Observed, ownership: &Ownership, before: &[SettingBefore]) -> Plan {
    let mut plan = Plan::default();
    let links = observed.links.iter();
    let workloads: Vec<_> = links.filter(|link| ownership.owns_link(link)).collect();
    let tunnel = observed.link(&Place::Node, &ownership.tunnel);
    let made_by_us = |link: &ObservedLink| link.alias.as_deref() == Some(TUNNEL_MARK);
    let goes_with = |link: &ObservedLink, route: &Route| {
        link.place == route.place && Some(&link.name) == route.target.device()
    };
    let (ours, others): (Vec<&Route>, Vec<_>) = observed
        .routes
        .iter()
        .partition(|route| ownership.owns_route(route));
    // The routes of a device that is deleted go with it.
    let alone = |route: &&Route| {
        let with_tunnel = tunnel.is_some_and(|link| made_by_us(link) && goes_with(link, route));
        !with_tunnel
    };
    RouteSteps::deleting(ours.into_iter().filter(alone)).into_plan(&mut plan);
    for link in workloads {
        let name = link.name.clone();
        plan.push(&link.place, Change::DeleteLink { name });
    }
    next_hop::take_away(&[], observed, &spares_nothing(ownership), &mut plan);
    if let Some(found) = tunnel {
        let is_used = others.iter().any(|route| goes_with(found, route));
        leave_tunnel(found, is_used, ownership, &mut plan);
    }
    restore(before, observed, &mut plan);
    plan
}

/// Here what is spared goes too.
fn spares_nothing(ownership: &Ownership) -> Ownership {
    Ownership {
        spared: vec![],
        ..ownership.clone()
    }
}

/// The alias of a tunnel device that we made.
pub(crate) const TUNNEL_MARK: &str = "ipip";

/// `is_used`: routes of others lead through the device, and it stays up for them.
fn leave_tunnel(found: &ObservedLink, is_used: bool, ownership: &Ownership, plan: &mut Plan) {
    let addresses = found.addresses.iter().copied();
    let ours = addresses.filter(|address| ownership.owns_address(*address));
    let link = Link {
        place: found.place.clone(),
        name: found.name.clone(),
        kind: LinkKind::Tunnel,
        mtu: None,
        mac: None,
        mark: Some(TUNNEL_MARK.to_owned()),
        addresses: ours.collect(),
        settings: vec![],
        up: true,
    };
    // One that is down already is not taken down.
    let up = found.up && !is_used;
    let found = ObservedLink {
        up,
        ..found.clone()
    };
    remove_link(&link, &found, plan);
}

fn restore(before: &[SettingBefore], observed: &Observed, plan: &mut Plan) {
    let deleted = plan.deleted_links();
    for SettingBefore {
        name,
        setting,
        value,
    } in before
    {
        let found = observed.link(&Place::Node, name);
        let stays = !deleted.contains(&(Place::Node, name.clone()));
        let now = found.and_then(|link| link.settings.get(setting));
        if stays && now.is_some_and(|now| now != value) {
            let (name, setting, value) = (name.clone(), *setting, *value);
            plan.push(
                &Place::Node,
                Change::Set {
                    name,
                    setting,
                    value,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests;
