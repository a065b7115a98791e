//! How much of the pools is in use, by whom, and what is borrowed.

mod table;

use std::fmt;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::read::parse;
use super::{Ipam, IpamError};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Record, key};
use crate::resource::{
    Affinity, AllocatorConfig, Attribute, Block, ObjectWriter, Pool, Reserved, write_list,
};
use table::{Table, share};

/// The use of all pools, at about one instant.
///
/// It displays as the table that `calicoctl ipam show` prints; [`Usage::blocks_table`] and the others
/// are its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The pools, by name, with their blocks.
    pub pools: Vec<PoolUsage>,
    /// The blocks in no pool, left by one that was deleted.
    pub outside: Vec<BlockUsage>,
    /// The addresses on another node than their block's, in the order of the blocks' keys.
    pub borrowed: Vec<Borrowed>,
    /// How many addresses do not say on which node they are: whether they are borrowed is not known.
    pub without_node: u64,
    /// The keys of blocks that are damaged and not counted; [`Ipam::check`] says what is wrong.
    pub unreadable: Vec<String>,
    /// The configuration.
    pub config: AllocatorConfig,
}

/// Numbers of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All that there are.
    pub total: u64,
    /// Those that are assigned, or cooling down.
    pub in_use: u64,
    /// Those that reservations set aside; one may have been assigned before, or by name.
    pub reserved: u64,
    /// Those that whoever asks for any may be assigned: neither in use nor reserved.
    pub free: u64,
    /// Those in use that were released and are cooling down.
    pub cooling: u64,
}

/// The use of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUsage {
    /// Its name.
    pub name: String,
    /// Its prefix.
    pub cidr: Ipv4Network,
    /// Its addresses.
    pub counts: Counts,
    /// Its blocks, in order; what lies between them nobody has claimed.
    pub blocks: Vec<BlockUsage>,
}

/// The use of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockUsage {
    /// Its prefix.
    pub block: Ipv4Network,
    /// Its owner; `None` if it outlived its owner's claim.
    pub owner: Option<Affinity>,
    /// Its addresses.
    pub counts: Counts,
}

/// An address on another node than its block's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Borrowed {
    /// The address.
    pub addr: Ipv4Addr,
    /// The node that it is on.
    pub node: String,
    /// Its block.
    pub block: Ipv4Network,
    /// The block's owner; `None` if it outlived its owner's claim.
    pub owner: Option<Affinity>,
    /// To whom it is assigned.
    pub attribute: Attribute,
}

/// What is known of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressUsage {
    /// The address.
    pub addr: Ipv4Addr,
    /// Its block, if somebody claimed one there.
    pub block: Option<Ipv4Network>,
    /// To whom it is assigned, which may be an attribute that cools down; `None` if to nobody.
    pub attribute: Option<Attribute>,
}

impl Ipam {
    /// How much of each pool and block is in use, and what is borrowed. A damaged block is told, and
    /// not counted.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::Memory;
    /// # use ipip_core::ipam::{Ambient, Ipam, Request};
    /// # use ipip_core::name::NodeName;
    /// # use ipip_core::resource::{Attribute, Pool};
    /// # let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// ipam.create_pool(&Pool::try_new("pods", "10.65.0.0/16".parse()?, 26)?)?;
    /// ipam.assign_many(&Request::new(NodeName::try_new("a")?, 5, Attribute::default()))?;
    /// assert_eq!(
    ///     ipam.usage()?.to_string(),
    ///     "+----------+--------------+-----------+------------+--------------+\n\
    ///      | GROUPING | CIDR         | IPS TOTAL | IPS IN USE |     IPS FREE |\n\
    ///      +----------+--------------+-----------+------------+--------------+\n\
    ///      | IP Pool  | 10.65.0.0/16 |     65536 |     5 (0%) | 65531 (100%) |\n\
    ///      +----------+--------------+-----------+------------+--------------+\n"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read, or holds a damaged pool, reservation or
    /// configuration.
    pub fn usage(&self) -> Result<Usage, IpamError> {
        let reserved = self.reserved()?;
        let pools = self.pools()?;
        let mut usage = Usage {
            pools: pools
                .iter()
                .map(|pool| PoolUsage::unused(pool, &reserved))
                .collect(),
            outside: Vec::new(),
            borrowed: Vec::new(),
            without_node: 0,
            unreadable: Vec::new(),
            config: self.config()?,
        };
        for record in self.store.list(key::block_prefix())?.entries {
            usage.count(record, &reserved);
        }
        let all = usage.pools.iter_mut().map(|pool| &mut pool.blocks);
        for blocks in all.chain([&mut usage.outside]) {
            blocks.sort_unstable_by_key(|block| block.block);
        }
        Ok(usage)
    }

    /// What is known of `addr`.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn address_usage(&self, addr: Ipv4Addr) -> Result<AddressUsage, IpamError> {
        let block = self.block_of(addr)?;
        Ok(AddressUsage {
            addr,
            attribute: block
                .as_ref()
                .and_then(|block| block.attribute_of(addr))
                .cloned(),
            block: block.map(|block| block.prefix().into()),
        })
    }
}

impl Usage {
    fn count(&mut self, record: Record, reserved: &Reserved) {
        let Ok((key, stored)) = parse(record, Block::from_json).map_err(|error| {
            if let IpamError::Value { key, .. } = error {
                self.unreadable.push(key);
            }
        }) else {
            return;
        };
        let block = stored.value;
        if key != key::block(block.prefix().into()) {
            self.unreadable.push(key);
            return;
        }
        self.note_borrowed(&block);
        let usage = BlockUsage::of(&block, reserved);
        let prefix = block.prefix().prefix();
        let inside =
            |pool: &&mut PoolUsage| Ipv4Prefix::try_from(pool.cidr).is_ok_and(|c| c.covers(prefix));
        match self.pools.iter_mut().find(inside) {
            Some(pool) => pool.add(usage, &block, reserved),
            None => self.outside.push(usage),
        }
    }

    fn note_borrowed(&mut self, block: &Block) {
        let owner = block.affinity();
        let name = owner.and_then(Affinity::node).map(|node| node.as_str());
        for (addr, who) in block.assigned() {
            let Some(node) = who.secondary().get("node") else {
                self.without_node += u64::from(!who.is_cooling_down());
                continue;
            };
            if Some(node.as_str()) != name {
                self.borrowed.push(Borrowed {
                    addr,
                    node: node.clone(),
                    block: block.prefix().into(),
                    owner: owner.cloned(),
                    attribute: who.clone(),
                });
            }
        }
    }

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
            cells.extend([table::rounded(counts.total), part(counts.in_use)]);
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
        super::text(out)
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
    fn unused(pool: &Pool, reserved: &Reserved) -> Self {
        let total = pool.cidr().size();
        let reserved = reserved.count_in(pool.cidr());
        let counts = Counts {
            total,
            reserved,
            free: total - reserved,
            ..Counts::default()
        };
        Self {
            name: pool.name().to_owned(),
            cidr: pool.cidr().into(),
            counts,
            blocks: Vec::new(),
        }
    }

    /// Counts the use of `block`, whose reserved addresses were counted before.
    fn add(&mut self, usage: BlockUsage, block: &Block, reserved: &Reserved) {
        let unreserved =
            block.prefix().prefix().size() - reserved.count_in(block.prefix().prefix());
        self.counts.in_use += usage.counts.in_use;
        self.counts.cooling += usage.counts.cooling;
        self.counts.free -= unreserved - usage.counts.free;
        self.blocks.push(usage);
    }

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
    fn of(block: &Block, reserved: &Reserved) -> Self {
        let prefix = block.prefix();
        let free = match reserved.is_empty() {
            true => block.free_count(),
            false => block
                .free()
                .filter(|addr| !reserved.contains(*addr))
                .count(),
        };
        let cooling = match block.has_cooling() {
            true => block
                .assigned()
                .filter(|(_, who)| who.is_cooling_down())
                .count(),
            false => 0,
        };
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let counts = Counts {
            total: prefix.prefix().size(),
            in_use: number(block.used_count()),
            reserved: reserved.count_in(prefix.prefix()),
            free: number(free),
            cooling: number(cooling),
        };
        Self {
            block: prefix.into(),
            owner: block.affinity().cloned(),
            counts,
        }
    }

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
        let text = |key: &str| known.get(key).cloned().unwrap_or_default();
        for (key, kind) in [("vmi-name", "vmi"), ("pod", "pod")] {
            if let Some(name) = known.get(key) {
                return (kind.to_owned(), format!("{}/{name}", text("namespace")));
            }
        }
        (text("type"), String::new())
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
        super::text(out)
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
