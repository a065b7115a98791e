use super::*;
use crate::plan::naive_kernel::carry_out;
use crate::plan::sync::world::{direct, name, node, ownership, prefix, tunnelled, workload};
use crate::plan::{InterfaceAddr, RouteProtocol, Step, Target};

fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

/// What a node of ours holds, beside a few things of others.
fn joined() -> Observed {
    let mut state = node();
    let blackhole = Route::new(
        prefix("10.1.0.0/26"),
        Target::Blackhole,
        RouteProtocol::BIRD,
    );
    state.routes = vec![
        tunnelled("10.1.0.64/26", 2),
        direct("10.1.0.128/26", 3),
        blackhole,
        workload("10.1.0.4", "cali1"),
        workload("10.1.0.5", "cali2"),
    ];
    state.links[1].addresses = vec![host([10, 1, 0, 1])];
    state
}

fn host(addr: [u8; 4]) -> InterfaceAddr {
    InterfaceAddr {
        addr: addr.into(),
        prefix_len: 32,
    }
}

#[test]
fn all_that_is_ours_goes_and_nothing_else() {
    let mut state = joined();
    let plan = leave(&state, &ownership(), &[]);
    assert_eq!(
        texts(&plan),
        [
            "ip route del 10.1.0.64/26 via 172.18.0.2 dev tunl0 proto bird onlink",
            "ip route del 10.1.0.128/26 via 172.18.0.3 dev eth0 proto bird onlink",
            "ip route del blackhole 10.1.0.0/26 proto bird",
            "ip link delete cali1",
            "ip link delete cali3",
            "ip link set tunl0 down",
            "ip addr del 10.1.0.1/32 dev tunl0",
        ]
    );
    for step in &plan.steps {
        carry_out(&mut state, step).unwrap();
    }
    assert_eq!(state.routes, [workload("10.1.0.5", "cali2")]);
    assert_eq!(leave(&state, &ownership(), &[]), Plan::default());
}

#[test]
fn a_tunnel_device_that_others_use_stays_up() {
    let foreign = Route {
        protocol: RouteProtocol::STATIC,
        ..tunnelled("192.0.2.0/24", 9)
    };
    let mut with_route = joined();
    with_route.routes.push(foreign);
    let mut with_address = joined();
    with_address.links[1].addresses.push(host([192, 0, 2, 1]));
    for state in [with_route, with_address] {
        let plan = leave(&state, &ownership(), &[]);
        let texts = texts(&plan);
        assert_eq!(texts.last().unwrap(), "ip addr del 10.1.0.1/32 dev tunl0");
        assert!(!texts.contains(&"ip link set tunl0 down".to_owned()));
    }
}

#[test]
fn a_tunnel_device_that_we_made_is_deleted_with_its_routes() {
    let mut state = joined();
    state.links[1].alias = Some("ipip".to_owned());
    let texts = texts(&leave(&state, &ownership(), &[]));
    assert!(texts.contains(&"ip link delete tunl0".to_owned()));
    assert!(!texts.iter().any(|text| text.contains("dev tunl0")));
}

#[test]
fn settings_are_set_back_where_their_link_stays() {
    let mut before = node();
    before.links[0].settings.insert(Setting::Forwarding, 0);
    let change = |text| Step {
        place: Place::Node,
        change: Change::Set {
            name: name(text),
            setting: Setting::Forwarding,
            value: 1,
        },
    };
    let plan = Plan {
        steps: vec![change("eth0"), change("cali1"), change("absent")],
        ..Plan::default()
    };
    let kept = plan.settings_before(&before);
    assert_eq!(kept.len(), 2);
    let last = texts(&leave(&joined(), &ownership(), &kept)).pop();
    assert_eq!(
        last.as_deref(),
        Some("sysctl -w net.ipv4.conf.eth0.forwarding=0")
    );
    let untouched = texts(&leave(&before, &ownership(), &kept));
    assert!(!untouched.iter().any(|text| text.contains("sysctl")));
}
