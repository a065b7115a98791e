//! Claims, beside what their blocks say.

use std::collections::HashSet;

use super::{Check, Owner, Problem, Seen};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Record, key};
use crate::name::NodeName;
use crate::resource::{AffinityState, BlockAffinity, BlockPrefix};

impl Check<'_> {
    /// The claims of nodes; those that were found come back.
    pub(super) fn of_claims(&mut self, records: Vec<Record>) -> HashSet<(NodeName, Ipv4Prefix)> {
        let mut claimed = HashSet::new();
        for record in records {
            self.checked.claims += 1;
            let Some((node, prefix)) = key::parse_affinity(&record.key) else {
                self.misplaced(record, "this names no node or no block".to_owned());
                continue;
            };
            let Ok(block) = BlockPrefix::try_from(prefix) else {
                self.misplaced(record, "this names no block".to_owned());
                continue;
            };
            claimed.insert((node.clone(), prefix));
            let seen = Seen {
                key: record.key.clone(),
                revision: Some(record.revision),
            };
            let records = vec![seen, self.seen_block(prefix)];
            match BlockAffinity::from_json(&record.value) {
                Ok(claim) => self.of_claim(node, block, claim.state, records),
                Err(fault) => {
                    let key = record.key;
                    self.note(Problem::Unreadable { key, fault }, records);
                }
            }
        }
        claimed
    }

    fn of_claim(
        &mut self,
        node: NodeName,
        block: BlockPrefix,
        state: AffinityState,
        records: Vec<Seen>,
    ) {
        let owner = match self.blocks.get(&block.prefix()) {
            None => return self.note(Problem::ClaimWithoutBlock { node, block }, records),
            Some(seen) => &seen.owner,
        };
        let owner = match owner {
            // Damaged, which is told: whose it is nobody knows.
            None => return,
            Some(Owner::Node(owner)) if *owner == node => {
                if state != AffinityState::Confirmed {
                    self.note(Problem::ClaimUnconfirmed { node, block, state }, records);
                }
                return;
            }
            Some(Owner::Node(owner)) => Some(format!("host:{owner}")),
            Some(Owner::Other(owner)) => Some(owner.clone()),
            Some(Owner::Nobody) => None,
        };
        self.note(Problem::ClaimOfOther { node, block, owner }, records);
    }

    /// Blocks whose node does not claim them.
    pub(super) fn of_owners(&mut self, claimed: &HashSet<(NodeName, Ipv4Prefix)>) {
        let mut unclaimed = Vec::new();
        for (prefix, seen) in &self.blocks {
            let Some(Owner::Node(node)) = &seen.owner else {
                continue;
            };
            if !claimed.contains(&(node.clone(), *prefix)) {
                unclaimed.push((*prefix, node.clone()));
            }
        }
        for (prefix, node) in unclaimed {
            let claim = Seen {
                key: key::affinity(&node, prefix),
                revision: None,
            };
            let records = vec![self.seen_block(prefix), claim];
            if let Ok(block) = BlockPrefix::try_from(prefix) {
                self.note(Problem::BlockUnclaimed { block, node }, records);
            }
        }
    }
}
