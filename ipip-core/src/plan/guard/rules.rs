//! The chains and rules of the guard's table.

use super::GuardTable;

/// A chain as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardChain {
    /// Its name.
    pub name: String,
    /// "filter" or "nat".
    pub kind: String,
    /// Where packets enter it: "prerouting", "input", "postrouting".
    pub hook: String,
    /// Its turn among the chains of that hook; the lower goes first.
    pub priority: i64,
    /// What becomes of a packet that no rule decides on.
    pub policy: String,
    /// Its rules, first one first.
    pub rules: Vec<GuardRule>,
}

/// A rule as a listing shows it, as far as every version of `nft` shows it alike: that it is ours, unchanged,
/// is read from its comment, which says all that was chosen for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardRule {
    /// What it is for, and with which values.
    pub comment: String,
    /// "accept", "drop", "snat" or "masquerade".
    pub verdict: String,
}

/// A rule with its words.
pub(super) struct Rule {
    /// Which packets, and what is done to them.
    pub(super) words: String,
    pub(super) comment: String,
}

/// A base chain: its name, kind, hook and priority.
pub(super) type Hook = (&'static str, &'static str, &'static str, i64);

/// Before connection tracking, which has nothing to do with what is dropped here.
const WORKLOADS: Hook = ("workloads", "filter", "prerouting", -300);

/// On the input hook the kernel has put the outer fragments together (`ip_local_deliver`), so every
/// packet has its inner header; the tunnel receives after it.
const TUNNEL: Hook = ("tunnel", "filter", "input", -10);

/// `srcnat`, the usual priority.
const NAT: Hook = ("nat", "nat", "postrouting", 100);

impl GuardTable {
    /// What a listing of this table shows.
    #[must_use]
    pub fn chains(&self) -> Vec<GuardChain> {
        let rule = |rule: Rule| GuardRule {
            verdict: verdict(&rule.words).to_owned(),
            comment: rule.comment,
        };
        let chain = |((name, kind, hook, priority), rules): (Hook, Vec<Rule>)| GuardChain {
            name: name.to_owned(),
            kind: kind.to_owned(),
            hook: hook.to_owned(),
            priority,
            policy: "accept".to_owned(),
            rules: rules.into_iter().map(rule).collect(),
        };
        self.hooks().into_iter().map(chain).collect()
    }

    /// The base chains with their rules. Without anything to translate there is no chain of kind nat,
    /// which would have the kernel track connections.
    pub(super) fn hooks(&self) -> Vec<(Hook, Vec<Rule>)> {
        let mut hooks = vec![
            (WORKLOADS, vec![self.against_workloads()]),
            (TUNNEL, into_tunnel()),
        ];
        let nat = self.translations();
        if !nat.is_empty() {
            hooks.push((NAT, nat));
        }
        hooks
    }

    /// Whatever a workload encapsulates by itself, and to whomever: it could name any node as its outer
    /// source. Calico's rule, unless `AllowIPIPPacketsFromWorkloads`.
    fn against_workloads(&self) -> Rule {
        let workloads = &self.workloads;
        Rule {
            words: format!("ip protocol 4 iifname \"{workloads}*\" counter drop"),
            comment: format!("no IPIP from {workloads}*"),
        }
    }

    fn translations(&self) -> Vec<Rule> {
        let mut rules = vec![];
        if let Some((device, address)) = &self.tunnel {
            // As Calico, so that the answer comes back through the tunnel (its rule masquerades; the
            // device may hold other addresses than ours).
            rules.push(Rule {
                words: format!(
                    "oifname \"{device}\" ip daddr @cluster ip saddr != {address} fib saddr type local snat to {address}"
                ),
                comment: format!("own packets through {device} are from {address}"),
            });
        }
        if self.nat_outgoing {
            // Calico's `natOutgoing`: other pools are inside, nodes are not.
            rules.push(Rule {
                words: "ip saddr @nat_pools ip daddr != @cluster masquerade".to_owned(),
                comment: "what leaves the cluster is from the node".to_owned(),
            });
        }
        rules
    }
}

/// The transport header of protocol 4 is the inner IPv4 header, wherever the options of the outer one
/// end: its protocol is at bit 72, its source at 96, its destination at 128
/// (<https://www.rfc-editor.org/rfc/rfc791#section-3.1>).
fn into_tunnel() -> Vec<Rule> {
    [
        ("ip protocol != 4 accept", "not IPIP"),
        // From the peer itself, as where a route leads back into its tunnel: the driver would strip both.
        (
            "ip saddr . @th,96,32 @peers @th,72,8 4 counter drop",
            "encapsulated twice",
        ),
        (
            "ip saddr . @th,96,32 @peers accept",
            "a peer, from its own prefixes",
        ),
        (
            "@th,96,32 @pools counter drop",
            "inner source in a pool, of no such peer",
        ),
        (
            "@th,128,32 @pools counter drop",
            "inner destination in a pool, of no such peer",
        ),
    ]
    .map(|(words, comment)| Rule {
        words: words.to_owned(),
        comment: comment.to_owned(),
    })
    .into()
}

/// The statement that ends the rule.
fn verdict(words: &str) -> &'static str {
    ["accept", "drop", "masquerade"]
        .into_iter()
        .find(|verdict| words.ends_with(verdict))
        .unwrap_or("snat")
}
