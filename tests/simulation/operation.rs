//! What nodes do: an operation of the allocator drawn by chance, and what it answered.

use std::net::Ipv4Addr;

use ipip_core::ipam::{Ipam, IpamError, Request};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{Attribute, Release, Sequence};
use ipnetwork::Ipv4Network;

use crate::chance::Chance;

/// One call of the allocator.
#[derive(Debug, Clone)]
pub enum Operation {
    AssignAny { handle: HandleId },
    AssignMany { handle: HandleId, count: u32 },
    Assign { handle: HandleId, addr: Ipv4Addr },
    Release(Release),
    ReleaseMany(Vec<Release>),
    ReleaseHandle(HandleId),
    Claim(Ipv4Network),
    ClaimAny,
    ReleaseBlock(Ipv4Network),
}

/// What an operation answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub assigned: Vec<(Ipv4Addr, Sequence)>,
    pub released: Vec<Ipv4Addr>,
    pub error: Option<IpamError>,
    /// Whether it says itself that it did less than was asked.
    pub short: bool,
}

/// An address that an operation once got.
#[derive(Debug, Clone)]
pub struct Remembered {
    pub addr: Ipv4Addr,
    pub handle: HandleId,
    pub sequence: Sequence,
}

impl Operation {
    /// Draws one; `known` is what was assigned once, whether it still is or not.
    pub fn draw(
        chance: &mut Chance,
        pool: Ipv4Network,
        block_len: u8,
        known: &[Remembered],
    ) -> Self {
        let size = pool.size() as usize;
        let any_addr = |chance: &mut Chance| pool.nth(chance.below(size) as u32).expect("inside");
        let block = |chance: &mut Chance| {
            let addr = any_addr(chance);
            Ipv4Network::new(addr, block_len)
                .and_then(|block| Ipv4Network::new(block.network(), block_len))
                .expect("a block of the pool")
        };
        let handle = HandleId::try_new(&format!("h{}", chance.below(12))).expect("a handle");
        match chance.below(20) {
            0..=4 => Self::AssignAny { handle },
            5..=7 => Self::AssignMany {
                handle,
                count: 1 + chance.below(9) as u32,
            },
            8..=9 => Self::Assign {
                handle,
                addr: any_addr(chance),
            },
            10..=13 if !known.is_empty() => Self::Release(release(chance, known)),
            14 if !known.is_empty() => {
                let count = 1 + chance.below(5);
                Self::ReleaseMany((0..count).map(|_| release(chance, known)).collect())
            }
            15 => Self::ReleaseHandle(handle),
            16 => Self::Claim(block(chance)),
            17 => Self::ClaimAny,
            18 => Self::ReleaseBlock(block(chance)),
            _ => Self::Release(Release::of(any_addr(chance))),
        }
    }

    /// Calls the allocator.
    pub fn run(&self, ipam: &Ipam, node: &NodeName) -> Answer {
        let owner = |handle: &HandleId| Attribute::new(Some(handle.clone()));
        match self {
            Self::AssignAny { handle } => {
                let assigned = ipam.assign_any(node, &owner(handle));
                Answer::of(assigned, |answer, a| {
                    answer.assigned.push((a.addr, a.sequence))
                })
            }
            Self::AssignMany { handle, count } => {
                let request = Request::new(node.clone(), *count, owner(handle));
                Answer::of(ipam.assign_many(&request), |answer, many| {
                    let each = many.assigned.iter().map(|a| (a.addr, a.sequence));
                    answer.assigned.extend(each);
                    answer.short = many.shortfall.is_some();
                })
            }
            Self::Assign { handle, addr } => {
                let assigned = ipam.assign(node, *addr, &owner(handle));
                Answer::of(assigned, |answer, a| {
                    answer.assigned.push((a.addr, a.sequence))
                })
            }
            Self::Release(release) => Answer::of(ipam.release(release), |answer, released| {
                answer.released.push(released.addr)
            }),
            Self::ReleaseMany(releases) => {
                Answer::of(ipam.release_many(releases), |answer, many| {
                    answer
                        .released
                        .extend(many.released.iter().map(|released| released.addr));
                    answer.short = !many.refused.is_empty();
                })
            }
            Self::ReleaseHandle(handle) => {
                Answer::of(ipam.release_handle(handle), |answer, released| {
                    answer
                        .released
                        .extend(released.iter().map(|released| released.addr))
                })
            }
            Self::Claim(block) => Answer::of(ipam.claim(node, *block), |_, _| ()),
            Self::ClaimAny => Answer::of(ipam.claim_any(node), |_, _| ()),
            Self::ReleaseBlock(block) => Answer::of(ipam.release_block(node, *block), |_, _| ()),
        }
    }

    /// The handle that it assigns to, and how many addresses at most.
    pub fn wants(&self) -> Option<(&HandleId, usize)> {
        match self {
            Self::AssignAny { handle } | Self::Assign { handle, .. } => Some((handle, 1)),
            Self::AssignMany { handle, count } => Some((handle, *count as usize)),
            _ => None,
        }
    }

    /// Whether it may release `addr`, which has `handle` since `sequence`.
    pub fn releases(&self, addr: Ipv4Addr, handle: Option<&str>, sequence: u64) -> bool {
        let matches = |release: &Release| {
            let handle_fits = release
                .handle
                .as_ref()
                .is_none_or(|h| handle == Some(h.as_str()));
            let sequence_fits = release.sequence.is_none_or(|s| s.0 == sequence);
            release.addr == addr && handle_fits && sequence_fits
        };
        match self {
            Self::Release(release) => matches(release),
            Self::ReleaseMany(releases) => releases.iter().any(matches),
            Self::ReleaseHandle(of) => handle == Some(of.as_str()),
            _ => false,
        }
    }
}

impl Answer {
    fn of<T>(result: Result<T, IpamError>, take: impl FnOnce(&mut Self, T)) -> Self {
        let mut answer = Self::default();
        match result {
            Ok(value) => take(&mut answer, value),
            Err(error) => answer.error = Some(error),
        }
        answer
    }
}

fn release(chance: &mut Chance, known: &[Remembered]) -> Release {
    let remembered = chance.pick(known);
    let release = Release::of(remembered.addr);
    match chance.below(4) {
        0 => release,
        1 => release.from_handle(remembered.handle.clone()),
        _ => release
            .from_handle(remembered.handle.clone())
            .at(remembered.sequence),
    }
}
