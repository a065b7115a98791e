//! The difference between two guards, against a naive kernel; the words, against ones written by hand.

use proptest::prelude::*;

use super::*;
use crate::plan::naive_kernel::carry_out;
use crate::plan::{Change, Conflict, Desired, Observed, Place, Plan, ensure, removal, undo};

fn range(first: u8, last: u8) -> AddrRange {
    AddrRange {
        first: [10, 244, 0, first].into(),
        last: [10, 244, 0, last].into(),
    }
}

fn table(sets: GuardSets) -> GuardTable {
    GuardTable {
        nat_outgoing: !sets.nat_pools.is_empty(),
        sets,
        workloads: "cali".to_owned(),
        tunnel: Some((
            InterfaceName::try_new("tunl0").unwrap(),
            [10, 244, 79, 0].into(),
        )),
    }
}

fn desired(sets: GuardSets) -> Desired {
    Desired {
        guard: Some(table(sets)),
        ..Desired::default()
    }
}

fn peer(node: u8, inner: AddrRange) -> PeerRange {
    let node = NodeAddr([172, 18, 0, node].into());
    PeerRange { node, inner }
}

/// Elements that do not overlap, as both the kernel and our rule give them.
fn some_sets() -> impl Strategy<Value = GuardSets> {
    let cuts = || prop::collection::btree_set(0u8..=255, 0..12);
    let ranges = |cuts: BTreeSet<u8>| -> BTreeSet<AddrRange> {
        let cuts: Vec<u8> = cuts.into_iter().collect();
        cuts.chunks_exact(2)
            .map(|ends| range(ends[0], ends[1]))
            .collect()
    };
    (cuts(), cuts(), cuts(), cuts()).prop_map(move |(a, b, pools, nat)| GuardSets {
        peers: ranges(a)
            .into_iter()
            .map(|inner| peer(2, inner))
            .chain(ranges(b).into_iter().map(|inner| peer(5, inner)))
            .collect(),
        pools: ranges(pools),
        nat_pools: ranges(nat),
    })
}

/// Whether `sets` let in what node 172.18.0.`node` sends from 10.244.0.`low`.
fn lets_in(sets: &GuardSets, node: u8, low: u8) -> bool {
    sets.peers.iter().any(|found| {
        found.node == peer(node, range(low, low)).node && found.inner.covers(range(low, low))
    })
}

fn after(state: &Observed, steps: &[crate::plan::Step]) -> Observed {
    let mut state = state.clone();
    for step in steps {
        carry_out(&mut state, step).unwrap_or_else(|fault| panic!("{step}: {fault}"));
    }
    state
}

proptest! {
    #[test]
    fn any_guard_becomes_any_other_and_loses_nothing_between(from in some_sets(), to in some_sets()) {
        let made = after(&Observed::default(), &ensure(&desired(from.clone()), &Observed::default()).steps);
        let plan = ensure(&desired(to.clone()), &made);
        prop_assert!(plan.steps.len() <= 2);
        if let [first, _] = plan.steps.as_slice() {
            let ObservedGuard::Ours { sets: Some(wide), .. } = after(&made, std::slice::from_ref(first)).guard else {
                panic!("no sets");
            };
            for (node, low) in [2, 5].into_iter().flat_map(|node| (0..=255).map(move |low| (node, low))) {
                let either = lets_in(&from, node, low) || lets_in(&to, node, low);
                prop_assert!(!either || lets_in(&wide, node, low));
            }
        }
        let done = after(&made, &plan.steps);
        let chains = table(to.clone()).chains();
        prop_assert_eq!(&done.guard, &ObservedGuard::Ours { sets: Some(to.clone()), chains });
        prop_assert_eq!(ensure(&desired(to), &done).steps, vec![]);
        // Elements can be taken back; a table that was put in another's place cannot.
        if !matches!(plan.steps.first().map(|step| &step.change), Some(Change::Guard(GuardChange::Replace(_)))) {
            prop_assert_eq!(after(&done, &undo(&plan.steps, &made)).guard, made.guard);
        }
    }
}

#[test]
fn what_is_no_table_of_ours_is_left_alone() {
    let foreign = Observed {
        guard: ObservedGuard::Foreign,
        ..Observed::default()
    };
    let wanted = desired(GuardSets::default());
    let plan = ensure(&wanted, &foreign);
    assert_eq!(plan.conflicts, [Conflict::GuardTaken]);
    assert_eq!(
        plan.conflicts[0].to_string(),
        "table ip ipip is taken: found one without the comment \"made by ipip\" on its sets"
    );
    assert_eq!(removal(&wanted, &foreign), Plan::default());
    assert_eq!(removal(&wanted, &Observed::default()), Plan::default());
}

#[test]
fn a_changed_rule_has_the_table_made_anew() {
    let sets = GuardSets {
        peers: [peer(2, range(64, 127))].into(),
        ..GuardSets::default()
    };
    let mut chains = table(sets.clone()).chains();
    chains[1].rules.pop();
    let damaged = Observed {
        guard: ObservedGuard::Ours {
            sets: Some(sets.clone()),
            chains,
        },
        ..Observed::default()
    };
    let steps = ensure(&desired(sets.clone()), &damaged).steps;
    let replace = GuardChange::Replace(Box::new(table(sets)));
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].change, Change::Guard(replace));
}

#[test]
fn the_words_of_nft() {
    let sets = |peers: &[PeerRange]| GuardSets {
        peers: peers.iter().copied().collect(),
        pools: [range(0, 255)].into(),
        nat_pools: [range(0, 255)].into(),
    };
    let text = |change: GuardChange| {
        let step = crate::plan::Step {
            place: Place::Node,
            change: Change::Guard(change),
        };
        step.to_string()
    };
    let one = sets(&[peer(2, range(64, 127)), peer(2, range(200, 200))]);
    assert_eq!(
        text(GuardChange::Create(Box::new(table(one.clone())))),
        "nft 'create table ip ipip; table ip ipip { \
         set peers { typeof ip saddr . @th,96,32; flags interval; comment \"made by ipip\"; \
         elements = { 172.18.0.2 . 0x0af40040-0x0af4007f, 172.18.0.2 . 0x0af400c8 }; }; \
         set pools { typeof @th,96,32; flags interval; comment \"made by ipip\"; elements = { 0x0af40000-0x0af400ff }; }; \
         set cluster { type ipv4_addr; flags interval; comment \"made by ipip\"; elements = { 10.244.0.0-10.244.0.255 }; }; \
         set nat_pools { type ipv4_addr; flags interval; comment \"made by ipip\"; elements = { 10.244.0.0-10.244.0.255 }; }; \
         chain workloads { type filter hook prerouting priority -300; policy accept; \
         ip protocol 4 iifname \"cali*\" counter drop comment \"no IPIP from cali*\"; }; \
         chain tunnel { type filter hook input priority -10; policy accept; \
         ip protocol != 4 accept comment \"not IPIP\"; \
         ip saddr . @th,96,32 @peers @th,72,8 4 counter drop comment \"encapsulated twice\"; \
         ip saddr . @th,96,32 @peers accept comment \"a peer, from its own prefixes\"; \
         @th,96,32 @pools counter drop comment \"inner source in a pool, of no such peer\"; \
         @th,128,32 @pools counter drop comment \"inner destination in a pool, of no such peer\"; }; \
         chain nat { type nat hook postrouting priority 100; policy accept; \
         oifname \"tunl0\" ip daddr @cluster ip saddr != 10.244.79.0 fib saddr type local snat to 10.244.79.0 \
         comment \"own packets through tunl0 are from 10.244.79.0\"; \
         ip saddr @nat_pools ip daddr != @cluster masquerade comment \"what leaves the cluster is from the node\"; }; }'"
    );
    let other = sets(&[peer(5, range(64, 127))]);
    let update = GuardChange::Update {
        delete: Box::new(one.without(&other)),
        add: Box::new(other.without(&one)),
    };
    assert_eq!(
        text(update),
        "nft 'delete element ip ipip peers { 172.18.0.2 . 0x0af40040-0x0af4007f, 172.18.0.2 . 0x0af400c8 }; \
         add element ip ipip peers { 172.18.0.5 . 0x0af40040-0x0af4007f }'"
    );
    assert_eq!(text(GuardChange::Delete), "nft 'delete table ip ipip'");
}
