//! What the allocator did by one call to many addresses and blocks.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::ptr;

use ipip_core::error_chain;
use ipip_core::ipam::{
    Collected, NodeRemoval, PoolDeletion, RefusedBlock, ReleasedMany, Remaining,
};
use ipip_core::resource::Released;
use ipnetwork::Ipv4Network;

use crate::addr::ipip_prefix;
use crate::boundary::{choose, guard, or, required};
use crate::error::Failure;
use crate::status::ipip_status;

/// The lists of an outcome.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_outcome_list {
    /// Addresses that were released; the text is the handle.
    Released = 0,
    /// Addresses that nobody had, in order.
    NotAssigned = 1,
    /// Blocks of which nothing was released; the text is the reason.
    Refused = 2,
    /// Blocks that were empty and are gone, in order.
    Deleted = 3,
    /// Blocks that have addresses still, in order: nobody owns them now.
    Orphaned = 4,
    /// The addresses in those; the text is the handle.
    Remaining = 5,
    /// Handles, the text, that had a record and no address, and have none now.
    Handles = 6,
    /// Keys, the text, of blocks that are damaged and were not looked into.
    Unreadable = 7,
}

const LISTS: [ipip_outcome_list; 8] = [
    ipip_outcome_list::Released,
    ipip_outcome_list::NotAssigned,
    ipip_outcome_list::Refused,
    ipip_outcome_list::Deleted,
    ipip_outcome_list::Orphaned,
    ipip_outcome_list::Remaining,
    ipip_outcome_list::Handles,
    ipip_outcome_list::Unreadable,
];

/// One thing in a list of an outcome; its text lives as long as the `ipip_outcome` that it is from.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_outcome_entry {
    /// The block, or the address as a /32; all zero where the list is one of texts.
    pub prefix: ipip_prefix,
    /// The text that `enum ipip_outcome_list` tells of, NULL if there is none.
    pub text: *const c_char,
}

/// What one call did to many addresses and blocks, and what it left, in lists.
///
/// Ownership: whoever got it frees it. Threads: may share it without a lock.
#[derive(Debug, Default)]
pub struct ipip_outcome {
    lists: [Vec<Entry>; LISTS.len()],
}

type Entry = (Option<Ipv4Network>, Option<CString>);

/// How many things are in a list, an `enum ipip_outcome_list`; 0 for NULL and for no list.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_outcome_count(outcome: Option<&ipip_outcome>, list: u32) -> usize {
    or(0, || {
        let list = LISTS.iter().position(|known| *known as u32 == list);
        let list = list.and_then(|at| outcome?.lists.get(at));
        list.map_or(0, Vec::len)
    })
}

/// The thing `index` of a list, an `enum ipip_outcome_list`, counted from 0.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_outcome_get(
    outcome: Option<&ipip_outcome>,
    list: u32,
    index: usize,
    entry_out: Option<&mut MaybeUninit<ipip_outcome_entry>>,
) -> ipip_status {
    guard(|| {
        let outcome = required(outcome, "outcome")?;
        let out = required(entry_out, "entry_out")?;
        let known = LISTS.map(|list| (list as u32, list));
        let list = choose(list, "list", "ipip_outcome_list", &known)?;
        let entries = &outcome.lists[list as usize];
        let (prefix, text) = entries.get(index).ok_or_else(|| {
            let count = entries.len();
            let text = format!("entry {index} of {count}, counted from 0");
            Failure::new(ipip_status::NotFound, text)
        })?;
        let nothing = ipip_prefix {
            network: Ipv4Addr::UNSPECIFIED.into(),
            len: 0,
        };
        out.write(ipip_outcome_entry {
            prefix: prefix.map_or(nothing, ipip_prefix::of_network),
            text: text.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
        });
        Ok(())
    })
}

/// Frees an outcome. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_outcome_free(outcome: Option<Box<ipip_outcome>>) {
    or((), || drop(outcome));
}

impl ipip_prefix {
    pub(crate) fn of_network(network: Ipv4Network) -> Self {
        Self {
            network: network.network().into(),
            len: network.prefix(),
        }
    }
}

/// Text from a store as C can hold it: one with a zero in it ends before.
pub(crate) fn c_text(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

impl ipip_outcome {
    fn with(mut self, list: ipip_outcome_list, entries: impl Iterator<Item = Entry>) -> Self {
        self.lists[list as usize].extend(entries);
        self
    }

    fn addresses<T>(
        self,
        list: ipip_outcome_list,
        all: Vec<T>,
        read: impl Fn(T) -> (Ipv4Addr, Option<String>),
    ) -> Self {
        let entry = |one| {
            let (addr, handle) = read(one);
            (Some(addr.into()), handle.as_deref().map(c_text))
        };
        self.with(list, all.into_iter().map(entry))
    }

    fn released(self, all: Vec<Released>) -> Self {
        self.addresses(ipip_outcome_list::Released, all, |one| {
            (one.addr, one.handle)
        })
    }

    fn remaining(self, all: Vec<Remaining>) -> Self {
        self.addresses(ipip_outcome_list::Remaining, all, |one| {
            (one.addr, one.handle)
        })
    }

    fn refused(self, all: Vec<RefusedBlock>) -> Self {
        let entry = |one: RefusedBlock| (Some(one.block), Some(c_text(&error_chain(&one.error))));
        self.with(ipip_outcome_list::Refused, all.into_iter().map(entry))
    }

    fn blocks(self, list: ipip_outcome_list, all: Vec<Ipv4Network>) -> Self {
        self.with(list, all.into_iter().map(|block| (Some(block), None)))
    }

    fn texts(self, list: ipip_outcome_list, all: &[String]) -> Self {
        self.with(list, all.iter().map(|text| (None, Some(c_text(text)))))
    }
}

impl From<ReleasedMany> for ipip_outcome {
    fn from(many: ReleasedMany) -> Self {
        let nobody = |addr: Ipv4Addr| (addr, None);
        Self::default()
            .released(many.released)
            .addresses(ipip_outcome_list::NotAssigned, many.not_assigned, nobody)
            .refused(many.refused)
    }
}

impl From<PoolDeletion> for ipip_outcome {
    fn from(deletion: PoolDeletion) -> Self {
        Self::default()
            .blocks(ipip_outcome_list::Deleted, deletion.deleted)
            .blocks(ipip_outcome_list::Orphaned, deletion.orphaned)
            .remaining(deletion.remaining)
    }
}

impl From<NodeRemoval> for ipip_outcome {
    fn from(removal: NodeRemoval) -> Self {
        Self::default()
            .released(removal.released)
            .blocks(ipip_outcome_list::Deleted, removal.deleted)
            .blocks(ipip_outcome_list::Orphaned, removal.orphaned)
            .remaining(removal.remaining)
            .refused(removal.refused)
            .texts(ipip_outcome_list::Unreadable, &removal.unreadable)
    }
}

impl From<Collected> for ipip_outcome {
    fn from(collected: Collected) -> Self {
        Self::default()
            .released(collected.released)
            .refused(collected.refused)
            .blocks(ipip_outcome_list::Deleted, collected.blocks)
            .texts(ipip_outcome_list::Handles, &collected.handles)
            .texts(ipip_outcome_list::Unreadable, &collected.unreadable)
    }
}
