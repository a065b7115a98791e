use super::*;
use crate::plan::sync::world::{name, node, ownership, prefix, tunnelled, workload};

fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_there_is_adopted_once_and_what_we_put_never() {
    let (found, new) = (tunnelled("10.1.0.0/26", 2), tunnelled("10.1.0.64/26", 3));
    let mut table = RouteTable::new(ownership());
    table.replace_observed(vec![found.clone()]);
    table.want(found.clone());
    table.want(new.clone());
    let plan = table.plan();
    assert_eq!(plan.adopted, std::slice::from_ref(&found));
    assert_eq!(texts(&plan), [format!("ip route add {new}")]);
    table.applied(&plan.steps[0]);
    assert_eq!(table.plan(), Plan::default());
    table.replace_observed(vec![new, found]);
    assert_eq!(table.unsettled(), 0, "the same, in another order");
    assert_eq!(table.plan(), Plan::default());
}

#[test]
fn a_refused_step_is_planned_again() {
    let mut table = RouteTable::new(ownership());
    table.want(tunnelled("10.1.0.0/26", 2));
    let first = table.plan();
    assert_eq!(table.plan(), first);
}

#[test]
fn a_route_waits_for_its_device() {
    let mut observed = node();
    let mut table = RouteTable::new(ownership());
    table.set_links(&observed.links);
    table.want(workload("10.1.0.4", "cali1"));
    let add = table.plan();
    assert_eq!(texts(&add), ["ip route add 10.1.0.4 dev cali1 scope link"]);
    table.applied(&add.steps[0]);
    // The kernel dropped the route with it.
    observed.links[2].up = false;
    table.set_links(&observed.links);
    table.replace_observed(vec![]);
    let plan = table.plan();
    assert_eq!((plan.steps.len(), plan.conflicts.len()), (0, 1));
    observed.links[2].up = true;
    table.set_links(&observed.links);
    assert_eq!(table.plan().steps, add.steps);
}

#[test]
fn another_ownership_looks_at_everything_once_more() {
    let felix = Route {
        protocol: crate::plan::RouteProtocol::FELIX,
        ..tunnelled("10.1.0.0/26", 2)
    };
    let mut table = RouteTable::new(ownership());
    table.replace_observed(vec![felix]);
    assert_eq!(table.plan(), Plan::default());
    assert_eq!(table.unsettled(), 0, "a stranger's route is looked at once");
    table.set_ownership(Ownership {
        adopt_felix: true,
        ..ownership()
    });
    assert_eq!(table.plan().steps.len(), 1);
}

/// `cargo test --release -p ipip-core --lib long_ -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn long_one_changed_route_of_a_hundred_thousand() {
    let route = |n: u32, last| {
        let block = crate::addr::Ipv4Prefix::containing((0x0a00_0000 + (n << 6)).into(), 26);
        Route {
            prefix: block.unwrap(),
            ..tunnelled("10.0.0.0/26", last)
        }
    };
    let pools = [prefix("10.0.0.0/8")];
    let mut table = RouteTable::new(Ownership::new(name("tunl0"), name("eth0"), pools));
    let mut all: Vec<_> = (0..100_000).map(|n| route(n, 2)).collect();
    all.iter().for_each(|route| table.want(route.clone()));
    table.replace_observed(all.clone());
    assert_eq!(table.plan().steps.len(), 0);
    for n in (0..90_000).step_by(10_000) {
        let started = std::time::Instant::now();
        table.want(route(n, 3));
        let plan = table.plan();
        assert_eq!(plan.steps.len(), 1);
        table.applied(&plan.steps[0]);
        let changed = started.elapsed();
        all[usize::try_from(n).unwrap()] = route(n, 3);
        let dump = all.clone();
        let started = std::time::Instant::now();
        table.replace_observed(dump);
        println!("one {changed:?}, dump {:?}", started.elapsed());
    }
}
