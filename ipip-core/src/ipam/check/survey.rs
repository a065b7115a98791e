//! Reading all that a check looks at, as it is at one instant.

use super::{Found, Problem, Seen, unreadable};
use crate::datastore::{Record, Revision, key};
use crate::ipam::{Ipam, IpamError};
use crate::resource::{Node, Pool, Reservation};

/// The records below Calico's address management, of one listing.
#[derive(Debug)]
pub(in crate::ipam) struct Survey {
    pub(in crate::ipam) revision: Revision,
    pub(in crate::ipam) blocks: Vec<Record>,
    /// In the order of their keys.
    pub(in crate::ipam) handles: Vec<Record>,
    /// Those of nodes on IPv4 blocks.
    pub(in crate::ipam) claims: Vec<Record>,
}

/// Pools and nodes, which were the same before and after the listing.
#[derive(Debug, Default)]
pub(in crate::ipam) struct Around {
    pub(in crate::ipam) pools: Vec<(Pool, Revision)>,
    pub(in crate::ipam) nodes: Vec<(Node, Revision)>,
    /// What cannot be read of them, and of reservations.
    pub(in crate::ipam) problems: Vec<Found>,
}

impl Ipam {
    pub(in crate::ipam) fn survey(&self) -> Result<(Around, Survey), IpamError> {
        let mut before = self.around_records()?;
        self.retry(&"pools or nodes", || {
            let survey = self.survey_records()?;
            let after = self.around_records()?;
            if after == before {
                return Ok(Some((Around::of(&before), survey)));
            }
            before = after;
            Ok(None)
        })
    }

    /// The records of pools, reservations and nodes.
    fn around_records(&self) -> Result<Vec<Record>, IpamError> {
        let mut records = Vec::new();
        for prefix in [
            key::pool_prefix(),
            key::reservation_prefix(),
            key::node_prefix(),
        ] {
            records.extend(self.store.list(prefix)?.entries);
        }
        Ok(records)
    }

    pub(in crate::ipam) fn survey_records(&self) -> Result<Survey, IpamError> {
        let listing = self.store.list(key::ipam_prefix())?;
        let mut survey = Survey {
            revision: listing.revision,
            blocks: Vec::new(),
            handles: Vec::new(),
            claims: Vec::new(),
        };
        for record in listing.entries {
            let key = record.key.as_str();
            if key.starts_with(key::block_prefix()) {
                survey.blocks.push(record);
            } else if key.starts_with(key::handle_prefix()) {
                survey.handles.push(record);
            } else if is_claim(key) {
                survey.claims.push(record);
            }
        }
        Ok(survey)
    }
}

fn is_claim(key: &str) -> bool {
    key.starts_with(key::all_affinities_prefix()) && key.contains("/ipv4/block/")
}

impl Around {
    /// Whether there is a pool of which nothing is known.
    pub(super) fn has_unreadable_pool(&self) -> bool {
        self.problems.iter().any(|found| match &found.problem {
            Problem::Unreadable { key, .. } => key.starts_with(key::pool_prefix()),
            _ => false,
        })
    }

    fn of(records: &[Record]) -> Self {
        let mut around = Self::default();
        for record in records {
            if let Err(found) = around.add(record) {
                around.problems.push(*found);
            }
        }
        around
    }

    fn add(&mut self, record: &Record) -> Result<(), Box<Found>> {
        let (key, revision) = (record.key.as_str(), record.revision);
        let fault = |fault| Box::new(unreadable(record, fault));
        let place = if key.starts_with(key::pool_prefix()) {
            let Some(pool) = Pool::from_json(&record.value).map_err(fault)? else {
                return Ok(());
            };
            let place = key::pool(pool.name());
            self.pools.push((pool, revision));
            place
        } else if key.starts_with(key::node_prefix()) {
            let node = Node::from_json(&record.value).map_err(fault)?;
            let place = key::node(node.name());
            self.nodes.push((node, revision));
            place
        } else {
            let reservation = Reservation::from_json(&record.value).map_err(fault)?;
            self.problems.extend(malformed(&reservation, record));
            key::reservation(reservation.name())
        };
        if place == key {
            return Ok(());
        }
        let found = format!("this is the value of key {place}");
        Err(Box::new(problem(
            record,
            Problem::Misplaced {
                key: record.key.clone(),
                found,
            },
        )))
    }
}

/// The entries of a reservation that reserve nothing.
fn malformed(reservation: &Reservation, record: &Record) -> Vec<Found> {
    let name = reservation.name();
    let entries = reservation.malformed().map(|entry| {
        problem(
            record,
            Problem::ReservationEntry {
                reservation: name.to_owned(),
                entry: entry.to_owned(),
            },
        )
    });
    entries.collect()
}

fn problem(record: &Record, problem: Problem) -> Found {
    let seen = Seen {
        key: record.key.clone(),
        revision: Some(record.revision),
    };
    Found {
        problem,
        records: vec![seen],
    }
}
