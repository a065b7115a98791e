//! How much of the pools is in use, by whom, and what is borrowed.

mod show;
mod table;

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::read::parse;
use super::{Ipam, IpamError};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Record, key};
use crate::resource::{Affinity, AllocatorConfig, Attribute, Block, Pool, Reserved};

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
    /// One pass over one listing of the blocks: about a second for a million addresses in blocks of /26.
    /// It holds the listing, 250 octets for each address, and next to nothing where the store shares its
    /// values ([`Memory`](crate::datastore::Memory)); of what it reads only sums stay.
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
            let Some(node) = who.known("node") else {
                self.without_node += u64::from(!who.is_cooling_down());
                continue;
            };
            if Some(node) != name {
                self.borrowed.push(Borrowed {
                    addr,
                    node: node.to_owned(),
                    block: block.prefix().into(),
                    owner: owner.cloned(),
                    attribute: who.clone(),
                });
            }
        }
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
}

impl BlockUsage {
    fn of(block: &Block, reserved: &Reserved) -> Self {
        let prefix = block.prefix();
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
            free: number(reserved.leaves_free(block)),
            cooling: number(cooling),
        };
        Self {
            block: prefix.into(),
            owner: block.affinity().cloned(),
            counts,
        }
    }
}
