//! A transaction as the words of `nft`, on one line.
//!
//! Inner addresses are written as numbers: to `nft` a field at an offset is an integer, and neither its
//! JSON form nor an address in dotted form can declare such an element (nftables 1.0.6).

use std::fmt;

use super::rules::{Hook, Rule};
use super::{AddrRange, GUARD_MARK, GUARD_TABLE, GuardChange, GuardSets, GuardTable, PeerRange};

/// The sets: name and what is looked up in it. `pools` and `cluster` hold the same, to be compared with an
/// inner header and with the packet's own.
const SETS: [(&str, &str); 4] = [
    ("peers", "typeof ip saddr . @th,96,32"),
    ("pools", "typeof @th,96,32"),
    ("cluster", "type ipv4_addr"),
    ("nat_pools", "type ipv4_addr"),
];

/// A range of addresses, as of an integer.
struct Number(AddrRange);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AddrRange { first, last } = self.0;
        write!(f, "{:#010x}", u32::from(first))?;
        if first == last {
            return Ok(());
        }
        write!(f, "-{:#010x}", u32::from(last))
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last {
            return first.fmt(f);
        }
        write!(f, "{first}-{last}")
    }
}

impl GuardSets {
    /// Each set of [`SETS`] with its elements, as nft has them.
    fn elements(&self) -> [Vec<String>; 4] {
        let peer = |PeerRange { node, inner }: &PeerRange| format!("{node} . {}", Number(*inner));
        let text = |range: &AddrRange| range.to_string();
        [
            self.peers.iter().map(peer).collect(),
            self.pools
                .iter()
                .map(|range| Number(*range).to_string())
                .collect(),
            self.pools.iter().map(text).collect(),
            self.nat_pools.iter().map(text).collect(),
        ]
    }

    /// `VERB element …` for each set that has any.
    fn commands(&self, verb: &str) -> Vec<String> {
        let command = |((name, _), elements): (&(&str, &str), Vec<String>)| {
            let list = elements.join(", ");
            format!("{verb} element ip {GUARD_TABLE} {name} {{ {list} }}")
        };
        let filled = SETS
            .iter()
            .zip(self.elements())
            .filter(|(_, elements)| !elements.is_empty());
        filled.map(command).collect()
    }
}

impl GuardTable {
    /// `table ip ipip { … }`, with its content.
    fn block(&self) -> String {
        let mut text = format!("table ip {GUARD_TABLE} {{");
        for ((name, kind), elements) in SETS.iter().zip(self.sets.elements()) {
            text += &format!(" set {name} {{ {kind}; flags interval; comment \"{GUARD_MARK}\";");
            if !elements.is_empty() {
                text += &format!(" elements = {{ {} }};", elements.join(", "));
            }
            text += " };";
        }
        for hook in self.hooks() {
            text += &chain(&hook);
        }
        text + " }"
    }
}

fn chain(((name, kind, hook, priority), rules): &(Hook, Vec<Rule>)) -> String {
    let head =
        format!(" chain {name} {{ type {kind} hook {hook} priority {priority}; policy accept;");
    let rule = |rule: &Rule| format!(" {} comment \"{}\";", rule.words, rule.comment);
    let rules: String = rules.iter().map(rule).collect();
    format!("{head}{rules} }};")
}

/// The words after `nft`.
impl fmt::Display for GuardChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(table) => write!(f, "create table ip {GUARD_TABLE}; {}", table.block()),
            Self::Replace(table) => write!(f, "delete table ip {GUARD_TABLE}; {}", table.block()),
            Self::Update { delete, add } => {
                let mut commands = delete.commands("delete");
                commands.extend(add.commands("add"));
                f.write_str(&commands.join("; "))
            }
            Self::Delete => write!(f, "delete table ip {GUARD_TABLE}"),
        }
    }
}
