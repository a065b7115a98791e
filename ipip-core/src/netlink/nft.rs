//! The guard's table, through the program `nft`: read as JSON, changed in its own words.
//!
//! A change goes to `nft -f -` as the words that its step shows, one transaction of the kernel. (The JSON
//! form cannot declare a set of fields at an offset, nftables 1.0.6: "can not use variable sized data types".)

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::net::Ipv4Addr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::error::{Fault, in_place};
use super::{Kernel, NetlinkError, Refusal, Space};
use crate::addr::NodeAddr;
use crate::plan::{
    AddrRange, GUARD_MARK, GUARD_TABLE, GuardChain, GuardChange, GuardRule, GuardSets,
    ObservedGuard, PeerRange, Place,
};
use crate::sys::memory_file;

/// Where `nft` is looked for: by the search path, then where distributions have it, which the search
/// path of an unprivileged login lacks.
const PROGRAMS: [&str; 2] = ["nft", "/usr/sbin/nft"];

impl Kernel {
    /// Reads the guard's table of the node's namespace: `nft -j list table ip ipip`.
    ///
    /// # Errors
    /// [`NetlinkError::NoNfTables`] without the program `nft`, and where it or the kernel lacks
    /// what the guard needs; [`NetlinkError::Refused`] without the privilege.
    pub fn observe_guard(&mut self) -> Result<ObservedGuard, NetlinkError> {
        let read = self.space(&Place::Node).and_then(|space| space.guard());
        read.map_err(|fault| {
            fault.about(in_place(&format!("table ip {GUARD_TABLE}"), &Place::Node))
        })
    }
}

impl Space {
    fn guard(&self) -> Result<ObservedGuard, Fault> {
        let words = ["-j", "list", "table", "ip", GUARD_TABLE];
        match self.nft(&words, "") {
            Ok(listing) => read(&listing),
            Err(fault) if fault.is(libc::ENOENT) => Ok(ObservedGuard::Absent),
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn change_guard(&self, change: &GuardChange) -> Result<(), Fault> {
        let made = self.nft(&["-f", "-"], &change.to_string());
        match (made, change) {
            // Nothing that a creation names is there before, so what the kernel does not find is a
            // part of itself.
            (Err(Fault::Refused(refusal)), GuardChange::Create(_))
                if refusal.errno == libc::ENOENT =>
            {
                Err(Fault::NoNfTables(refusal.to_string()))
            }
            (made, _) => made.map(drop),
        }
    }

    /// What `nft WORDS` answers inside, given `input`.
    fn nft(&self, words: &[&str], input: &str) -> Result<Vec<u8>, Fault> {
        let run = || {
            PROGRAMS
                .iter()
                .map(|program| run(program.as_ref(), words, input))
        };
        let first_found = || {
            run().find(
                |result| !matches!(result, Err(error) if error.kind() == io::ErrorKind::NotFound),
            )
        };
        let output = match self.netns.enter(first_found).map_err(Fault::Netns)? {
            None => return Err(Fault::NoNfTables("there is no program nft".to_owned())),
            Some(Err(error)) => return Err(Fault::NoNfTables(format!("cannot run nft: {error}"))),
            Some(Ok(output)) => output,
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(refused(&String::from_utf8_lossy(&output.stderr)))
    }
}

fn run(program: &OsStr, words: &[&str], input: &str) -> io::Result<Output> {
    let input = memory_file::holding(c"nft", input.as_bytes())?;
    Command::new(program)
        .args(words)
        // Its complaints are read below.
        .env("LC_ALL", "C")
        .stdin(Stdio::from(input))
        .output()
}

/// The kernel's numbers, as the C library words them.
const ERRORS: [(&str, i32); 7] = [
    ("No such file or directory", libc::ENOENT),
    ("File exists", libc::EEXIST),
    ("Operation not permitted", libc::EPERM),
    ("Permission denied", libc::EACCES),
    ("Device or resource busy", libc::EBUSY),
    ("Cannot allocate memory", libc::ENOMEM),
    ("Message too long", libc::EMSGSIZE),
];

/// What nft complains of. Where that is no refusal of the kernel, and where the kernel says that it does
/// not support something, the guard cannot be had.
fn refused(complaint: &str) -> Fault {
    let found = ERRORS
        .into_iter()
        .find(|(words, _)| complaint.contains(words));
    match found {
        Some((_, errno)) => Fault::Refused(Refusal {
            errno,
            text: Some("nft".to_owned()),
        }),
        None => {
            let line = complaint
                .split(['\n', '\r'])
                .map(str::trim)
                .find(|line| !line.is_empty());
            let words = line.unwrap_or("it failed without a word");
            Fault::NoNfTables(format!("nft: {}", words.trim_start_matches("Error: ")))
        }
    }
}

fn read(listing: &[u8]) -> Result<ObservedGuard, Fault> {
    let unreadable = |reason: String| Fault::Unreadable(format!("listing of nft: {reason}"));
    let listing: Value = serde_json::from_slice(listing).map_err(|e| unreadable(e.to_string()))?;
    let objects = listing
        .get("nftables")
        .and_then(Value::as_array)
        .ok_or_else(|| unreadable("no list \"nftables\"".to_owned()))?;
    let of_kind = |kind: &'static str| objects.iter().filter_map(move |object| object.get(kind));
    let sets: Vec<&Value> = of_kind("set").collect();
    if !sets.iter().any(|set| text(set, "comment") == GUARD_MARK) {
        return Ok(ObservedGuard::Foreign);
    }
    let chain = |chain: &Value| GuardChain {
        name: text(chain, "name").to_owned(),
        kind: text(chain, "type").to_owned(),
        hook: text(chain, "hook").to_owned(),
        priority: chain.get("prio").and_then(Value::as_i64).unwrap_or(0),
        policy: text(chain, "policy").to_owned(),
        rules: of_kind("rule")
            .filter(|rule| text(rule, "chain") == text(chain, "name"))
            .map(rule)
            .collect(),
    };
    Ok(ObservedGuard::Ours {
        sets: read_sets(&sets),
        chains: of_kind("chain").map(chain).collect(),
    })
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn rule(rule: &Value) -> GuardRule {
    let statements = rule.get("expr").and_then(Value::as_array);
    let last = statements.and_then(|all| all.last()?.as_object()?.keys().next());
    GuardRule {
        comment: text(rule, "comment").to_owned(),
        verdict: last.cloned().unwrap_or_default(),
    }
}

/// `None` if a set is missing, unmarked or holds what we never put there, or `cluster` is not `pools`.
fn read_sets(sets: &[&Value]) -> Option<GuardSets> {
    let elements = |name: &str| {
        let ours = |set: &&&Value| text(set, "name") == name && text(set, "comment") == GUARD_MARK;
        let set = sets.iter().find(ours)?;
        Some(
            set.get("elem")
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice),
        )
    };
    let ranges = |name| {
        elements(name)?
            .iter()
            .map(range)
            .collect::<Option<BTreeSet<_>>>()
    };
    let read = GuardSets {
        peers: elements("peers")?.iter().map(peer).collect::<Option<_>>()?,
        pools: ranges("pools")?,
        nat_pools: ranges("nat_pools")?,
    };
    (read.pools == ranges("cluster")?).then_some(read)
}

fn peer(element: &Value) -> Option<PeerRange> {
    let [node, inner] = element.get("concat")?.as_array()?.as_slice() else {
        return None;
    };
    Some(PeerRange {
        node: NodeAddr(address(node)?),
        inner: range(inner)?,
    })
}

/// An address, `{"prefix": {"addr": A, "len": L}}` or `{"range": [A, B]}`.
fn range(element: &Value) -> Option<AddrRange> {
    if let Some(prefix) = element.get("prefix") {
        let len = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
        let prefix = crate::addr::Ipv4Prefix::try_new(address(prefix.get("addr")?)?, len);
        return prefix.ok().map(AddrRange::from);
    }
    let (first, last) = match element.get("range").map(Value::as_array) {
        Some(Some(ends)) => match ends.as_slice() {
            [first, last] => (first, last),
            _ => return None,
        },
        Some(None) => return None,
        None => (element, element),
    };
    Some(AddrRange {
        first: address(first)?,
        last: address(last)?,
    })
}

/// In dotted form, or as the number that a field at an offset is shown as.
fn address(value: &Value) -> Option<Ipv4Addr> {
    match value {
        Value::String(text) => text.parse().ok(),
        number => u32::try_from(number.as_u64()?).ok().map(Ipv4Addr::from),
    }
}
