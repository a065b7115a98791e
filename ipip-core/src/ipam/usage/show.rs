//! The use of pools as text and as JSON.

use std::fmt;

use ipnetwork::Ipv4Network;

use super::table::{Table, rounded, share};
use super::{AddressUsage, BlockUsage, Borrowed, Counts, PoolUsage, Usage};
use crate::ipam::text;
use crate::resource::{Attribute, ObjectWriter, write_list};

impl Usage {
    /// The table of the pools, each with its blocks below it, and at the end the blocks in no pool
    /// (`calicoctl ipam show --show-blocks`).
    #[must_use]
    pub fn blocks_table(&self) -> String {
        self.table(true).to_string()
    }

    /// The table of borrowed addresses (`calicoctl ipam show --show-borrowed`).
    #[must_use]
    pub fn borrowed_table(&self) -> String {
        let mut table = Table::new(
            &[
                "IP",
                "BORROWING-NODE",
                "BLOCK",
                "BLOCK OWNER",
                "TYPE",
                "ALLOCATED-TO",
            ],
            6,
        );
        for borrowed in &self.borrowed {
            let owner = borrowed
                .owner
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let owner = owner.split_once(':').map_or("", |(_, name)| name);
            let (kind, to) = borrowed.allocated_to();
            table.row([
                borrowed.addr.to_string(),
                borrowed.node.clone(),
                borrowed.block.to_string(),
                owner.to_owned(),
                kind,
                to,
            ]);
        }
        table.to_string()
    }

    /// The table of the configuration (`calicoctl ipam show --show-configuration`).
    #[must_use]
    pub fn configuration_table(&self) -> String {
        let mut table = Table::new(&["PROPERTY", "VALUE"], 2);
        let config = &self.config;
        for (property, value) in [
            ("StrictAffinity", config.strict_affinity.to_string()),
            (
                "AutoAllocateBlocks",
                config.auto_allocate_blocks.to_string(),
            ),
            ("MaxBlocksPerHost", config.max_blocks_per_node.to_string()),
            ("IPCooldownSeconds", config.cooldown.as_secs().to_string()),
        ] {
            table.row([property.to_owned(), value]);
        }
        table.to_string()
    }

    fn table(&self, with_blocks: bool) -> Table {
        let pools = self.pools.iter();
        let blocks = pools
            .clone()
            .flat_map(|pool| &pool.blocks)
            .chain(&self.outside);
        let blocks = blocks.map(|block| &block.counts);
        let any = |what: fn(&Counts) -> u64| {
            pools
                .clone()
                .map(|pool| &pool.counts)
                .chain(blocks.clone())
                .any(|counts| what(counts) > 0)
        };
        // Columns of later versions of Calico, where they say something.
        let (reserved, cooling) = (any(|counts| counts.reserved), any(|counts| counts.cooling));
        let mut names = vec!["GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE"];
        names.extend(reserved.then_some("IPS RESERVED"));
        names.push("IPS FREE");
        names.extend(cooling.then_some("IPS COOLING"));
        let mut table = Table::new(&names, 2);
        let mut row = |grouping: &str, cidr: Ipv4Network, counts: &Counts| {
            let part = |part: u64| share(part, counts.total);
            let mut cells = vec![grouping.to_owned(), cidr.to_string()];
            cells.extend([rounded(counts.total), part(counts.in_use)]);
            cells.extend(reserved.then(|| part(counts.reserved)));
            cells.push(part(counts.free));
            cells.extend(cooling.then(|| part(counts.cooling)));
            table.row(cells);
        };
        for pool in &self.pools {
            row("IP Pool", pool.cidr, &pool.counts);
            for block in pool.blocks.iter().filter(|_| with_blocks) {
                row("Block", block.block, &block.counts);
            }
        }
        for block in self.outside.iter().filter(|_| with_blocks) {
            row("Block", block.block, &block.counts);
        }
        table
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.field_with("pools", |out| {
            write_list(out, &self.pools, |out, one| one.write(out))
        });
        object.field_with("outside", |out| {
            write_list(out, &self.outside, |out, one| one.write(out));
        });
        object.field_with("borrowed", |out| {
            write_list(out, &self.borrowed, |out, one| one.write(out));
        });
        object.field("withoutNode", &self.without_node);
        object.field("unreadable", &self.unreadable);
        object.field_with("config", |out| out.extend(self.config.to_json()));
        object.close();
        text(out)
    }
}

/// The table of the pools.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(false).fmt(f)
    }
}

impl Counts {
    fn write(&self, object: &mut ObjectWriter<'_>) {
        object.field("total", &self.total);
        object.field("inUse", &self.in_use);
        object.field("reserved", &self.reserved);
        object.field("free", &self.free);
        object.field("cooling", &self.cooling);
    }
}

impl PoolUsage {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("name", &self.name);
        object.field("cidr", &self.cidr.to_string());
        self.counts.write(&mut object);
        object.field_with("blocks", |out| {
            write_list(out, &self.blocks, |out, one| one.write(out))
        });
        object.close();
    }
}

impl BlockUsage {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("block", &self.block.to_string());
        object.field("owner", &self.owner.as_ref().map(ToString::to_string));
        self.counts.write(&mut object);
        object.close();
    }
}

impl Borrowed {
    /// Of which kind it is assigned, and to whom, as `calicoctl` says it; empty if it does not say.
    #[must_use]
    pub fn allocated_to(&self) -> (String, String) {
        let known = self.attribute.secondary();
        let said = |key: &str| known.get(key).cloned().unwrap_or_default();
        for (key, kind) in [("vmi-name", "vmi"), ("pod", "pod")] {
            if let Some(name) = known.get(key) {
                return (kind.to_owned(), format!("{}/{name}", said("namespace")));
            }
        }
        (said("type"), String::new())
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("address", &self.addr.to_string());
        object.field("node", &self.node);
        object.field("block", &self.block.to_string());
        object.field("owner", &self.owner.as_ref().map(ToString::to_string));
        object.field("handle", &self.attribute.handle());
        object.field("attributes", self.attribute.secondary());
        object.close();
    }
}

impl AddressUsage {
    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        let who = self.attribute.as_ref();
        object.field("address", &self.addr.to_string());
        object.field("block", &self.block.map(|block| block.to_string()));
        object.field("inUse", &who.is_some());
        object.field("handle", &who.and_then(Attribute::handle));
        object.field("attributes", &who.map(Attribute::secondary));
        object.field("releasedAt", &who.and_then(Attribute::released_at));
        object.close();
        text(out)
    }
}

/// As `calicoctl ipam show --ip` prints it.
impl fmt::Display for AddressUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.addr;
        let Some(who) = &self.attribute else {
            return writeln!(f, "{addr} is not assigned");
        };
        writeln!(f, "IP {addr} is in use")?;
        writeln!(f, "Handle ID: {}", who.handle().unwrap_or("<none>"))?;
        if let Some(at) = who.released_at() {
            writeln!(f, "Released, and cooling down since {at}")?;
        }
        for (number, (key, value)) in who.secondary().iter().enumerate() {
            if number == 0 {
                writeln!(f, "Attributes:")?;
            }
            writeln!(f, "  {key}: {value}")?;
        }
        Ok(())
    }
}
