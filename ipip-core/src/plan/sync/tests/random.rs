//! Random nodes and wishes, against the naive kernel.

use std::cmp::Reverse;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::world::*;
use crate::plan::naive_kernel::carry_out;
use crate::plan::{
    Desired, NextHop, Observed, Plan, Route, RouteProtocol, RouteTable, Target, sync,
};

type Checked = Result<(), TestCaseError>;

/// The last one lies in no pool.
const PREFIXES: [&str; 6] = [
    "10.1.0.0/26",
    "10.1.0.0/28",
    "10.1.0.4/32",
    "10.1.0.5/32",
    "10.1.0.64/26",
    "10.9.0.0/26",
];

/// Addresses with different sets of prefixes around them.
const PROBES: [[u8; 4]; 5] = [
    [10, 1, 0, 4],
    [10, 1, 0, 5],
    [10, 1, 0, 8],
    [10, 1, 0, 32],
    [10, 9, 0, 1],
];

const PROTOCOLS: [RouteProtocol; 4] = [
    RouteProtocol::BIRD,
    RouteProtocol::BIRD,
    RouteProtocol::STATIC,
    RouteProtocol::FELIX,
];

fn metric() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(0), 1 => Just(100)]
}

fn any_route() -> impl Strategy<Value = Route> {
    (0..PREFIXES.len(), 0..9usize, 0..4usize, metric()).prop_map(|(at, way, by, metric)| {
        let text = PREFIXES[at];
        let protocol = PROTOCOLS[by];
        let route = match way {
            0 => tunnelled(text, 2),
            1 => tunnelled(text, 3),
            2 => direct(text, 2),
            // By a node that nobody knows any more, and by a router.
            3 => direct(text, 99),
            4 => by_router(text),
            8 => blackhole(text),
            _ => through(text, ["cali1", "cali2", "cali3"][way - 5]),
        };
        let protocol = if (5..8).contains(&way) {
            route.protocol
        } else {
            protocol
        };
        Route {
            protocol,
            metric,
            ..route
        }
    })
}

fn by_router(text: &str) -> Route {
    let target = Target::Device {
        device: name("eth0"),
        next_hop: NextHop::Gateway([172, 18, 0, 99].into()),
    };
    Route {
        target,
        ..direct(text, 99)
    }
}

fn blackhole(text: &str) -> Route {
    Route::new(prefix(text), Target::Blackhole, RouteProtocol::BIRD)
}

fn through(text: &str, device: &str) -> Route {
    Route {
        prefix: prefix(text),
        ..workload("10.1.0.4", device)
    }
}

/// What an overlay wants: at most one route for each prefix in a pool.
fn wish() -> impl Strategy<Value = Desired> {
    let route = |at: usize| {
        (0..6u8, metric()).prop_map(move |(way, metric)| {
            let text = PREFIXES[at];
            let route = match way {
                0 => tunnelled(text, 2),
                1 => tunnelled(text, 3),
                2 => direct(text, 3),
                3 if text.ends_with("/32") => through(text, "cali1"),
                3 => blackhole(text),
                _ => return None,
            };
            Some(Route { metric, ..route })
        })
    };
    (route(0), route(1), route(2), route(3), route(4)).prop_map(|(a, b, c, d, e)| {
        let mut desired = Desired::default();
        desired.routes.extend([a, b, c, d, e].into_iter().flatten());
        desired.links.extend([tunnel(&[]), host_veth("cali1")]);
        desired
    })
}

/// One route for each key, as nobody appends any.
fn observed() -> impl Strategy<Value = Observed> {
    prop::collection::vec(any_route(), 0..10).prop_map(|routes| {
        let mut state = node();
        for route in routes {
            if !state.routes.iter().any(|found| found.key() == route.key()) {
                state.routes.push(route);
            }
        }
        state
    })
}

/// The rule of what is ours, said once more and by cases.
fn is_ours(route: &Route) -> bool {
    let in_pool = route.prefix.network().octets()[1] == 1;
    let by_us = in_pool && route.protocol == RouteProtocol::BIRD;
    match &route.target {
        Target::Blackhole => by_us,
        Target::Device { device, next_hop } => match (device.as_str(), next_hop) {
            ("tunl0", _) => by_us,
            ("eth0", NextHop::Onlink(_)) => by_us,
            ("cali1", _) => route.prefix.len() == 32,
            // Nobody wants this link: it goes, and they go with it.
            ("cali3", _) => true,
            _ => false,
        },
        Target::Other(_) => false,
    }
}

/// Whether a packet for `addr` is sent anywhere.
fn is_routed(state: &Observed, addr: [u8; 4]) -> bool {
    let around = state.routes.iter();
    let around = around.filter(|route| route.prefix.contains(Ipv4Addr::from(addr)));
    let best = around.max_by_key(|route| (route.prefix.len(), Reverse(route.metric)));
    best.is_some_and(|route| route.target != Target::Blackhole)
}

/// Carries out the plan, looking at every probe after each step.
fn run(plan: &Plan, state: &mut Observed) -> Checked {
    let mut moments = vec![PROBES.map(|probe| is_routed(state, probe))];
    for step in &plan.steps {
        let done = carry_out(state, step);
        prop_assert!(done.is_ok(), "{step}: {done:?}");
        moments.push(PROBES.map(|probe| is_routed(state, probe)));
    }
    let (first, last) = (moments[0], moments[moments.len() - 1]);
    for at in 0..PROBES.len() {
        let always = moments.iter().all(|moment| moment[at]);
        let script: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
        prop_assert!(
            always || !first[at] || !last[at],
            "{:?} in {script:#?}",
            PROBES[at]
        );
    }
    Ok(())
}

fn wanted_is_there(desired: &Desired, plan: &Plan, before: &Observed, after: &Observed) -> Checked {
    for route in &desired.routes {
        let mut like = before.routes.iter();
        let taken = like.find(|found| found.key() == route.key() && !is_ours(found));
        let in_the_way = taken
            .filter(|foreign| foreign.target != route.target || foreign.protocol != route.protocol);
        let Some(foreign) = in_the_way else {
            prop_assert!(after.routes.contains(route), "{route} in {after:#?}");
            continue;
        };
        prop_assert!(after.routes.contains(foreign), "{foreign} is gone");
        let said = format!("route {route}: the prefix is taken by route {foreign}");
        prop_assert!(plan.conflicts.iter().any(|found| found.to_string() == said));
    }
    Ok(())
}

fn others_are_as_before(desired: &Desired, before: &Observed, after: &Observed) -> Checked {
    for found in &after.routes {
        let is_wanted = desired
            .routes
            .iter()
            .any(|route| route.key() == found.key());
        prop_assert!(is_wanted || !is_ours(found), "{found} is left");
    }
    for found in before.routes.iter().filter(|route| !is_ours(route)) {
        prop_assert!(after.routes.contains(found), "{found} is gone");
    }
    let left: Vec<_> = after.links.iter().map(|link| link.name.as_str()).collect();
    prop_assert_eq!(left, ["eth0", "tunl0", "cali1", "cali2"]);
    Ok(())
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts
}

/// The table's plan is that of the whole, as far as routes go.
fn same(by_table: &Plan, whole: &Plan) -> Checked {
    let of_routes = |plan: &Plan| {
        let texts = plan.steps.iter().map(ToString::to_string);
        texts.filter(|text| text.starts_with("ip route")).collect()
    };
    let (found, expected): (Vec<_>, Vec<_>) = (of_routes(by_table), of_routes(whole));
    prop_assert_eq!(sorted(found.into_iter()), sorted(expected.into_iter()));
    let conflicts = |plan: &Plan| sorted(plan.conflicts.iter().map(ToString::to_string));
    prop_assert_eq!(conflicts(by_table), conflicts(whole));
    Ok(())
}

/// Others put the routes that are not there, and take those away that are.
fn meddle(routes: Vec<Route>, state: &mut Observed, table: &mut RouteTable) {
    for route in routes {
        let like = |found: &Route| found.key() == route.key();
        match state.routes.iter().position(like) {
            Some(at) => table.forget(&state.routes.swap_remove(at)),
            None => {
                table.observe(route.clone());
                state.routes.push(route);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_steps_lead_to_what_is_desired_and_packets_go_on(before in observed(), desired in wish()) {
        let plan = sync(&desired, &before, &ownership());
        let mut after = before.clone();
        run(&plan, &mut after)?;
        wanted_is_there(&desired, &plan, &before, &after)?;
        others_are_as_before(&desired, &before, &after)?;
        let again = sync(&desired, &after, &ownership());
        prop_assert_eq!(again.steps, []);
        prop_assert_eq!(again.conflicts, plan.conflicts);
    }

    /// The oracle is the plan of the whole, made anew each time.
    #[test]
    fn the_table_plans_what_the_whole_would(
        before in observed(),
        wishes in prop::collection::vec((wish(), prop::collection::vec(any_route(), 0..3)), 1..5),
    ) {
        let mut state = before;
        // A link that goes takes routes with it, of which a table must be told by a dump.
        state.links.retain(|link| link.name != name("cali3"));
        let of_cali3 = |route: &Route| route.to_string().contains("cali3");
        state.routes.retain(|route| !of_cali3(route));
        let mut table = RouteTable::new(ownership());
        table.set_links(&state.links);
        table.replace_observed(state.routes.clone());
        let mut wanted: Vec<Route> = vec![];
        for (desired, mut meddling) in wishes {
            let remains = |route: &Route| desired.routes.iter().any(|other| other.key() == route.key());
            for gone in wanted.iter().filter(|route| !remains(route)) {
                table.unwant(&gone.key());
            }
            desired.routes.iter().for_each(|route| table.want(route.clone()));
            wanted.clone_from(&desired.routes);
            meddling.retain(|route| !of_cali3(route));
            meddle(meddling, &mut state, &mut table);
            let plan = table.plan();
            same(&plan, &sync(&desired, &state, &ownership()))?;
            run(&plan, &mut state)?;
            plan.steps.iter().for_each(|step| table.applied(step));
            let left = table.plan();
            prop_assert_eq!((left.steps, left.adopted), (vec![], vec![]));
            prop_assert_eq!(table.unsettled(), plan.conflicts.len());
        }
    }

    /// Keys of which there are several routes are among them, which only `ip route append` makes.
    #[test]
    fn a_dump_takes_the_place_of_the_one_before(
        before in observed(),
        dumps in prop::collection::vec(prop::collection::vec(any_route(), 0..12), 1..5),
        desired in wish(),
    ) {
        let mut state = before;
        state.links.retain(|link| link.name != name("cali3"));
        let mut table = RouteTable::new(ownership());
        table.set_links(&state.links);
        desired.routes.iter().for_each(|route| table.want(route.clone()));
        for mut routes in dumps {
            routes.retain(|route| !route.to_string().contains("cali3"));
            table.replace_observed(routes.clone());
            state.routes.clone_from(&routes);
            same(&table.plan(), &sync(&desired, &state, &ownership()))?;
            let left = table.unsettled();
            table.replace_observed(routes);
            prop_assert_eq!(table.unsettled(), left, "the same once more");
        }
        table.replace_observed(vec![]);
        desired.routes.iter().for_each(|route| table.unwant(&route.key()));
        prop_assert_eq!(table.unsettled(), 0, "nothing is known of any key");
    }
}
