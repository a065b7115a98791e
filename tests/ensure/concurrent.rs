//! Several callers at once. A call keeps nothing between two system calls that another thread could
//! share, so threads stand for processes here.

use std::sync::Barrier;

use ipip_core::mtu::TunnelMtu;
use ipip_core::node::{Changes, NodeError, ensure_workload, remove_workload};
use ipip_core::overlay::WorkloadEndpoint;

use crate::support::{Named, Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "one_workload_by_several_callers_at_once",
        Needs::Root,
        one_workload,
    ),
    (
        "several_workloads_by_several_callers_at_once",
        Needs::Root,
        several_workloads,
    ),
    (
        "a_workload_wired_and_removed_at_once",
        Needs::Root,
        wired_and_removed,
    ),
];

const ROUNDS: usize = 50;
const CALLERS: u8 = 4;

fn pod(number: u8) -> WorkloadEndpoint {
    WorkloadEndpoint::new(
        "default",
        &format!("pod{number}"),
        [10, 244, 79, number].into(),
        TunnelMtu::try_new(1480).unwrap(),
    )
}

/// Runs `call` for the numbers below `CALLERS` on a thread each, all released together.
fn at_once<T: Send>(call: impl Fn(u8) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(CALLERS.into());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS)
            .map(|number| {
                let (barrier, call) = (&barrier, &call);
                scope.spawn(move || {
                    barrier.wait();
                    call(number)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn is_whole(node: &Named, inside: &Named, number: u8) {
    let again = ensure_workload(&node.netns, &inside.netns, &pod(number)).unwrap();
    assert!(again.is_empty(), "pod{number} was not whole: {again}");
}

/// Whoever returns, the workload is whole then, and stays so whatever the others still do.
fn one_workload() {
    let (node, inside) = (Named::new("node"), Named::new("pod"));
    for round in 0..ROUNDS {
        let call = |_| -> Result<Changes, NodeError> {
            ensure_workload(&node.netns, &inside.netns, &pod(1))
        };
        for outcome in at_once(call) {
            if let Err(error) = outcome {
                panic!("round {round}: {error}");
            }
        }
        is_whole(&node, &inside, 1);
        let routes = node.sh("ip route");
        assert_eq!(routes.lines().count(), 1, "round {round}: {routes}");
        assert!(!remove_workload(&node.netns, &pod(1)).unwrap().is_empty());
    }
}

fn several_workloads() {
    let node = Named::new("node");
    let pods: Vec<Named> = (0..CALLERS).map(|_| Named::new("pod")).collect();
    for round in 0..ROUNDS {
        let inside = |number: u8| &pods[usize::from(number)];
        let wired = at_once(|n| ensure_workload(&node.netns, &inside(n).netns, &pod(n + 1)));
        for outcome in wired {
            assert_eq!(
                outcome.map(|c| c.steps.len()).map_err(|e| e.to_string()),
                Ok(12),
                "round {round}"
            );
        }
        (0..CALLERS).for_each(|number| {
            let again =
                ensure_workload(&node.netns, &inside(number).netns, &pod(number + 1)).unwrap();
            assert!(again.is_empty(), "round {round}: {again}");
        });
        for outcome in at_once(|number| remove_workload(&node.netns, &pod(number + 1))) {
            assert_eq!(outcome.unwrap().steps.len(), 1, "round {round}");
        }
    }
}

/// Nobody can say who comes last, but nothing is left that the next call does not mend.
fn wired_and_removed() {
    let (node, inside) = (Named::new("node"), Named::new("pod"));
    for round in 0..ROUNDS {
        at_once(|number| {
            if number % 2 == 0 {
                ensure_workload(&node.netns, &inside.netns, &pod(1)).map(drop)
            } else {
                remove_workload(&node.netns, &pod(1)).map(drop)
            }
        });
        ensure_workload(&node.netns, &inside.netns, &pod(1))
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        is_whole(&node, &inside, 1);
    }
}
