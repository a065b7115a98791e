//! A block against plain lists, in any order of operations.

use super::*;

/// What a block does, kept as plain lists: who has each address, and the free ones in order.
#[derive(Debug)]
struct Model {
    owners: Vec<Option<(u8, u64)>>,
    queue: Vec<usize>,
    sequence: u64,
}

#[derive(Debug, Clone)]
enum Op {
    AssignAny(u8),
    Assign(usize, u8),
    Release(usize, Option<u8>, bool),
    ReleaseHandle(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let handle = 0u8..5;
    // Place 8 is outside the /29.
    prop_oneof![
        3 => handle.clone().prop_map(Op::AssignAny),
        2 => (0usize..9, handle.clone()).prop_map(|(p, h)| Op::Assign(p, h)),
        3 => (0usize..9, prop::option::of(handle.clone()), any::<bool>()).prop_map(|(p, h, s)| Op::Release(p, h, s)),
        1 => handle.prop_map(Op::ReleaseHandle),
    ]
}

impl Model {
    fn assign(&mut self, place: usize, owner: u8) -> bool {
        let Some(at) = self.queue.iter().position(|p| *p == place) else {
            return false;
        };
        self.queue.remove(at);
        self.owners[place] = Some((owner, self.sequence));
        self.sequence += 1;
        true
    }

    fn release(&mut self, places: &[usize]) {
        for place in places {
            self.owners[*place] = None;
            self.queue.push(*place);
        }
        self.sequence += u64::from(!places.is_empty());
    }

    fn apply(&mut self, op: &Op) -> bool {
        match *op {
            Op::AssignAny(owner) => self
                .queue
                .first()
                .copied()
                .is_some_and(|p| self.assign(p, owner)),
            Op::Assign(place, owner) => self.assign(place, owner),
            Op::Release(place, handle, stale) => {
                let found = self.owners.get(place).copied().flatten();
                let ok =
                    found.is_some_and(|(owner, _)| handle.is_none_or(|h| h == owner) && !stale);
                if ok {
                    self.release(&[place]);
                }
                ok
            }
            Op::ReleaseHandle(owner) => {
                let has = |p: &usize| self.owners[*p].is_some_and(|(o, _)| o == owner);
                let places: Vec<usize> = (0..8).filter(has).collect();
                self.release(&places);
                true
            }
        }
    }
}

fn apply(block: &mut Block, op: &Op) -> bool {
    let name = |owner: u8| format!("h{owner}");
    let at = |place: usize| {
        Ipv4Addr::from_bits(addr("10.0.0.0").to_bits() + u32::try_from(place).unwrap())
    };
    match *op {
        Op::AssignAny(h) => block.assign_any(owner(&name(h))).is_ok(),
        Op::Assign(place, h) => block.assign(at(place), owner(&name(h))).is_ok(),
        Op::Release(place, h, stale) => {
            let known = block.sequence_of(at(place)).unwrap_or_default();
            let sequence = Some(Sequence(known.0 + u64::from(stale)));
            let handle = h.map(|h| handle(&name(h)));
            block
                .release(&Release {
                    addr: at(place),
                    handle,
                    sequence,
                })
                .is_ok()
        }
        Op::ReleaseHandle(h) => {
            let expected: Vec<_> = block.addresses_of(&handle(&name(h))).collect();
            let released = block.release_handle(&handle(&name(h)));
            expected == released.iter().map(|r| r.addr).collect::<Vec<_>>()
        }
    }
}

proptest! {
    #[test]
    fn a_block_does_what_plain_lists_do(ops in prop::collection::vec(op(), 1..60)) {
        let mut block = small(29);
        let mut model = Model { owners: vec![None; 8], queue: (0..8).collect(), sequence: 100 };
        for op in &ops {
            let before = block.clone();
            let done = apply(&mut block, op);
            prop_assert_eq!(done, model.apply(op), "{:?}", op);
            if !done {
                prop_assert_eq!(&block, &before, "a refused call changes nothing");
            }
            let places = block.free().map(|a| usize::from(a.octets()[3]));
            prop_assert_eq!(places.collect::<Vec<_>>(), model.queue.clone());
            prop_assert_eq!(block.sequence(), Sequence(model.sequence));
            prop_assert_eq!(block.used_count() + block.free_count(), 8);
            for (place, owner) in model.owners.iter().enumerate() {
                let at = block.prefix().ordinal(u32::try_from(place).unwrap()).unwrap().addr();
                let handle = owner.map(|(h, _)| format!("h{h}"));
                prop_assert_eq!(block.attribute_of(at).and_then(Attribute::handle), handle.as_deref());
                prop_assert_eq!(block.sequence_of(at), owner.map(|(_, s)| Sequence(s)));
            }
            // Reading checks every invariant; a stray attribute would survive it, so count them.
            let read = read(&written(&block)).unwrap();
            prop_assert_eq!(&read, &block);
            prop_assert!(read.assigned().eq(block.assigned()), "each attribute stands where it is pointed to");
            prop_assert_eq!(&*block.to_shared_json(), &*block.to_json());
            let mut owners: Vec<u8> = model.owners.iter().flatten().map(|(h, _)| *h).collect();
            owners.sort_unstable();
            owners.dedup();
            prop_assert_eq!(block.attributes.iter().flat_map(Attributes::iter).count(), owners.len());
        }
    }
}
