use super::*;
use crate::addr::NodeAddr;
use crate::plan::naive_kernel::carry_out;
use crate::plan::sync::world::*;
use crate::plan::{NextHop, RouteProtocol, leave, sync, undo};

fn object(device: &str, last: u8) -> NextHopObject {
    let node = NodeAddr([172, 18, 0, last].into());
    let is_tunnel = device == "tunl0";
    NextHopObject::to_node(&name(device), node, is_tunnel, RouteProtocol::BIRD).unwrap()
}

/// The route to `text` by the object.
fn by(object: &NextHopObject, text: &str) -> Route {
    let Target::Device { device, .. } = &object.target else {
        panic!("{object}");
    };
    let target = Target::Device {
        device: device.clone(),
        next_hop: NextHop::Object(object.id),
    };
    Route::new(prefix(text), target, RouteProtocol::BIRD)
}

fn wanted(routes: &[Route], objects: &[NextHopObject]) -> Desired {
    Desired {
        routes: routes.to_vec(),
        next_hops: objects.to_vec(),
        ..Desired::default()
    }
}

fn with(routes: &[Route], objects: &[NextHopObject]) -> Observed {
    let mut links = node().links;
    links.retain(|link| !link.name.as_str().starts_with("cali"));
    Observed {
        links,
        routes: routes.to_vec(),
        next_hops: objects.to_vec(),
        ..Observed::default()
    }
}

fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

/// Carries the plan out on a naive kernel, which refuses what the real one does, and back again.
fn carried_out(desired: &Desired, observed: &Observed) -> Observed {
    let plan = sync(desired, observed, &ownership());
    let mut state = observed.clone();
    for step in &plan.steps {
        carry_out(&mut state, step).unwrap_or_else(|fault| panic!("{step}: {fault}"));
    }
    assert_eq!(sync(desired, &state, &ownership()).steps, []);
    let mut back = state.clone();
    for step in undo(&plan.steps, observed) {
        carry_out(&mut back, &step).unwrap_or_else(|fault| panic!("back, {step}: {fault}"));
    }
    let sorted = |state: &Observed| {
        let routes = state.routes.iter().map(ToString::to_string);
        let objects = state.next_hops.iter().map(ToString::to_string);
        let mut lines: Vec<_> = routes.chain(objects).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&back), sorted(observed));
    state
}

#[test]
fn objects_come_before_their_routes_and_go_behind_them() {
    let (near, far) = (object("eth0", 2), object("tunl0", 3));
    let plain = [direct("10.1.0.0/26", 2), tunnelled("10.1.0.64/26", 3)];
    let routes = [by(&near, "10.1.0.0/26"), by(&far, "10.1.0.64/26")];
    let objects = [near.clone(), far.clone()];
    let on = sync(&wanted(&routes, &objects), &with(&plain, &[]), &ownership());
    assert_eq!(
        texts(&on),
        [
            "ip nexthop add id 1408106493 via 172.18.0.2 dev eth0 proto bird onlink",
            "ip nexthop add id 2886860803 via 172.18.0.3 dev tunl0 proto bird onlink",
            "ip route replace 10.1.0.0/26 nhid 1408106493 proto bird",
            "ip route replace 10.1.0.64/26 nhid 2886860803 proto bird",
        ]
    );
    assert_eq!(on.adopted, plain);
    let observed = with(&routes, &objects);
    let off = sync(&wanted(&plain, &[]), &observed, &ownership());
    assert_eq!(
        texts(&off),
        [
            "ip route replace 10.1.0.0/26 via 172.18.0.2 dev eth0 proto bird onlink",
            "ip route replace 10.1.0.64/26 via 172.18.0.3 dev tunl0 proto bird onlink",
            "ip nexthop del id 1408106493",
            "ip nexthop del id 2886860803",
        ]
    );
    carried_out(&wanted(&routes, &objects), &with(&plain, &[]));
    carried_out(&wanted(&plain, &[]), &observed);
    let gone = leave(&observed, &ownership(), &[]);
    assert_eq!(texts(&gone)[2..4], texts(&off)[2..4]);
}

#[test]
fn an_object_that_is_wrong_is_replaced_and_its_routes_with_it() {
    let (right, route) = (object("eth0", 2), by(&object("eth0", 2), "10.1.0.0/26"));
    let wrong = NextHopObject {
        target: object("eth0", 9).target,
        ..right.clone()
    };
    let desired = wanted(std::slice::from_ref(&route), std::slice::from_ref(&right));
    let plan = sync(&desired, &with(&[route], &[wrong]), &ownership());
    let replace = "ip nexthop replace id 1408106493 via 172.18.0.2 dev eth0 proto bird onlink";
    assert_eq!(texts(&plan), [replace]);
}

#[test]
fn objects_of_others_are_told_or_left_alone() {
    let (right, route) = (object("eth0", 2), by(&object("eth0", 2), "10.1.0.0/26"));
    let theirs = NextHopObject {
        protocol: RouteProtocol::STATIC,
        ..right.clone()
    };
    let plain = direct("10.1.0.0/26", 2);
    let desired = wanted(std::slice::from_ref(&route), std::slice::from_ref(&right));
    let observed = with(std::slice::from_ref(&plain), std::slice::from_ref(&theirs));
    let plan = sync(&desired, &observed, &ownership());
    // Its routes keep the way that they have.
    assert_eq!(plan.steps, []);
    assert!(
        matches!(plan.conflicts[..], [Conflict::NextHopTaken { .. }]),
        "{:?}",
        plan.conflicts
    );
    // Of our protocol, but not of a number that we give; and ours, that a route of somebody else's goes by.
    let odd = NextHopObject {
        id: 7,
        ..object("eth0", 4)
    };
    let used = object("eth0", 5);
    let their_route = Route {
        protocol: RouteProtocol::STATIC,
        ..by(&used, "10.9.0.0/26")
    };
    let observed = with(&[their_route], &[odd, used, theirs]);
    assert_eq!(sync(&Desired::default(), &observed, &ownership()).steps, []);
    let left = leave(&observed, &ownership(), &[]);
    assert!(
        !texts(&left).iter().any(|line| line.contains("nexthop")),
        "{:?}",
        texts(&left)
    );
}

#[test]
fn an_object_waits_for_its_device_and_goes_with_it() {
    let far = object("tunl0", 3);
    let routes = [by(&far, "10.1.0.64/26")];
    let desired = wanted(&routes, std::slice::from_ref(&far));
    let mut observed = with(&[], &[]);
    let tunnel = observed
        .links
        .iter_mut()
        .find(|link| link.name == name("tunl0"));
    tunnel.unwrap().up = false;
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!(plan.steps, []);
    assert!(
        matches!(plan.conflicts[..], [Conflict::LinkDown { .. }]),
        "{:?}",
        plan.conflicts
    );
}
