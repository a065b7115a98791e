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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `nft -j list table ip ipip`, nftables 1.0.6, of a table with one peer and without translations;
    /// the rules shortened to their last statement.
    const LISTING: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "ip", "name": "ipip", "handle": 1}},
        {"set": {"family": "ip", "name": "peers", "table": "ipip", "type": ["ipv4_addr", "integer"], "handle": 2,
          "comment": "made by ipip", "flags": ["interval"], "elem": [
            {"concat": ["172.18.0.2", {"range": [183825472, 183825535]}]}, {"concat": ["172.18.0.2", 2886860802]}]}},
        {"set": {"family": "ip", "name": "pools", "table": "ipip", "type": "integer", "handle": 3,
          "comment": "made by ipip", "flags": ["interval"], "elem": [{"range": [183762944, 183828479]}]}},
        {"set": {"family": "ip", "name": "cluster", "table": "ipip", "type": "ipv4_addr", "handle": 4,
          "comment": "made by ipip", "flags": ["interval"], "elem": [{"prefix": {"addr": "10.244.0.0", "len": 16}}]}},
        {"set": {"family": "ip", "name": "nat_pools", "table": "ipip", "type": "ipv4_addr", "handle": 5,
          "comment": "made by ipip", "flags": ["interval"]}},
        {"chain": {"family": "ip", "table": "ipip", "name": "workloads", "handle": 6, "type": "filter",
          "hook": "prerouting", "prio": -300, "policy": "accept"}},
        {"rule": {"family": "ip", "table": "ipip", "chain": "workloads", "handle": 7, "comment": "no IPIP from cali*",
          "expr": [{"counter": {"packets": 0, "bytes": 0}}, {"drop": null}]}}]}"#;

    fn ours(listing: &str) -> (Option<GuardSets>, Vec<GuardChain>) {
        match read(listing.as_bytes()).unwrap() {
            ObservedGuard::Ours { sets, chains } => (sets, chains),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_listing_is_read() {
        let (sets, chains) = ours(LISTING);
        let sets = sets.unwrap();
        let peers: Vec<_> = sets
            .peers
            .iter()
            .map(|peer| peer.inner.to_string())
            .collect();
        assert_eq!(peers, ["10.244.244.64-10.244.244.127", "172.18.0.2"]);
        assert_eq!(
            sets.pools.first().unwrap().to_string(),
            "10.244.0.0-10.244.255.255"
        );
        assert!(sets.nat_pools.is_empty());
        assert_eq!(
            (chains[0].priority, chains[0].hook.as_str()),
            (-300, "prerouting")
        );
        let rule = GuardRule {
            comment: "no IPIP from cali*".to_owned(),
            verdict: "drop".to_owned(),
        };
        assert_eq!(chains[0].rules, [rule]);
    }

    #[test]
    fn sets_that_we_did_not_make_so_are_no_sets() {
        for (from, to) in [
            ("\"nat_pools\"", "\"other\""),
            ("\"10.244.0.0\", \"len\": 16", "\"10.244.0.0\", \"len\": 17"),
            ("\"len\": 16", "\"len\": 33"),
            ("[183762944, 183828479]", "[183762944]"),
            ("2886860802", "28868608020"),
            ("\"172.18.0.2\", 2886860802", "\"172.18.0.2\""),
        ] {
            assert_eq!(ours(&LISTING.replace(from, to)).0, None, "{to}");
        }
        let unmarked = LISTING.replace(GUARD_MARK, "mine");
        assert_eq!(read(unmarked.as_bytes()).unwrap(), ObservedGuard::Foreign);
    }

    #[test]
    fn complaints_are_told_apart() {
        let refusal = "Error: Could not process rule: File exists\ncreate table ip ipip\n";
        assert!(refused(refusal).is(libc::EEXIST));
        let denied = "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: \
                      Operation not permitted\n";
        assert!(refused(denied).is(libc::EPERM));
        for (complaint, words) in [
            (
                "Error: syntax error, unexpected integer\nx",
                "nft: syntax error, unexpected integer",
            ),
            (
                "Error: Could not process rule: Operation not supported\n",
                "nft: Could not process rule: Operation not supported",
            ),
            ("", "nft: it failed without a word"),
        ] {
            let error = refused(complaint).about("table ip ipip");
            assert!(error.is_no_nf_tables());
            assert_eq!(
                error.to_string(),
                format!("table ip ipip: nf_tables cannot be used, {words}")
            );
        }
    }

    proptest! {
        /// Cut anywhere, with any octet anywhere.
        #[test]
        fn a_damaged_listing_is_no_panic(at in 0..LISTING.len(), octet: u8, cut in 0..=LISTING.len()) {
            let mut octets = LISTING.as_bytes().to_vec();
            octets[at] = octet;
            octets.truncate(cut);
            let _ = read(&octets);
        }
    }
}
