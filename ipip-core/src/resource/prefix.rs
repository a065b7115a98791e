//! The prefix of a block, and a place in it.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnetwork::Ipv4Network;

use super::BlockError;
use crate::addr::{Ipv4Prefix, PrefixError};

/// The largest block has a prefix of this many bits: 4,096 addresses.
pub const MIN_BLOCK_LEN: u8 = 20;
/// The smallest block has a prefix of this many bits: one address.
pub const MAX_BLOCK_LEN: u8 = 32;
/// A pool that names no block size is cut into blocks of this many bits: 64 addresses.
pub const DEFAULT_BLOCK_LEN: u8 = 26;

/// The prefix of a block: masked, /20 to /32.
///
/// ```
/// use ipip_core::resource::BlockPrefix;
/// let block: BlockPrefix = "10.244.79.0/26".parse()?;
/// assert_eq!(block.size(), 64);
/// assert!("10.244.0.0/16".parse::<BlockPrefix>().is_err());
/// # Ok::<(), ipip_core::resource::BlockPrefixError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockPrefix(Ipv4Prefix);

/// Why something is not the prefix of a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockPrefixError {
    /// It is no prefix at all.
    #[error("block {text:?}: {fault}")]
    Prefix {
        /// What was given.
        text: String,
        /// What is wrong with it; part of the message, so not chained.
        fault: PrefixError,
    },
    /// Its length is outside /20 to /32.
    #[error("block {prefix} has a prefix length outside /20 to /32")]
    Len {
        /// The prefix.
        prefix: Ipv4Prefix,
    },
}

impl BlockPrefix {
    /// The prefix as the leaf rooms use it.
    #[must_use]
    pub fn prefix(self) -> Ipv4Prefix {
        self.0
    }

    /// How many addresses the block has, 1 to 4,096.
    #[must_use]
    pub fn size(self) -> u32 {
        1 << (MAX_BLOCK_LEN - self.0.len())
    }

    /// The prefix length in bits, 20 to 32.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a block always holds at least one address"
    )]
    pub fn len(self) -> u8 {
        self.0.len()
    }

    /// Whether `addr` lies in the block.
    #[must_use]
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        self.0.contains(addr)
    }

    /// The place `ordinal`, counted from 0 at the network address.
    ///
    /// # Errors
    /// [`BlockError::Ordinal`] if the block has no such place.
    pub fn ordinal(self, ordinal: u32) -> Result<Ordinal, BlockError> {
        let place = u16::try_from(ordinal)
            .ok()
            .filter(|_| ordinal < self.size());
        place
            .map(|place| Ordinal { block: self, place })
            .ok_or(BlockError::Ordinal {
                block: self,
                ordinal,
            })
    }

    /// The place of `addr`.
    ///
    /// # Errors
    /// [`BlockError::Outside`] if the address is in another block.
    pub fn ordinal_of(self, addr: Ipv4Addr) -> Result<Ordinal, BlockError> {
        let place = self
            .0
            .offset_of(addr)
            .and_then(|offset| u16::try_from(offset).ok());
        place
            .map(|place| Ordinal { block: self, place })
            .ok_or(BlockError::Outside { block: self, addr })
    }

    /// Every place, in order.
    pub(crate) fn ordinals(self) -> impl DoubleEndedIterator<Item = Ordinal> {
        let places = u16::try_from(self.size()).expect("a block has at most 4,096 addresses");
        (0..places).map(move |place| Ordinal { block: self, place })
    }
}

/// A place in a block: 0 to 63 in a /26. It knows its block, so it always has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal {
    block: BlockPrefix,
    place: u16,
}

impl Ordinal {
    /// How many places after the network address, 0 to 4,095.
    #[must_use]
    pub fn get(self) -> u16 {
        self.place
    }

    /// The block it is a place of.
    #[must_use]
    pub fn block(self) -> BlockPrefix {
        self.block
    }

    /// The address at this place.
    #[must_use]
    pub fn addr(self) -> Ipv4Addr {
        let addr = self.block.0.nth(u32::from(self.place));
        addr.expect("an ordinal is checked against its block when made")
    }
}

impl TryFrom<Ipv4Prefix> for BlockPrefix {
    type Error = BlockPrefixError;

    fn try_from(prefix: Ipv4Prefix) -> Result<Self, BlockPrefixError> {
        // A prefix is never longer than 32 bits, which is MAX_BLOCK_LEN.
        if prefix.len() < MIN_BLOCK_LEN {
            return Err(BlockPrefixError::Len { prefix });
        }
        Ok(Self(prefix))
    }
}

impl TryFrom<Ipv4Network> for BlockPrefix {
    type Error = BlockPrefixError;

    fn try_from(net: Ipv4Network) -> Result<Self, BlockPrefixError> {
        let prefix = Ipv4Prefix::try_from(net).map_err(|fault| BlockPrefixError::Prefix {
            text: net.to_string(),
            fault,
        })?;
        prefix.try_into()
    }
}

impl FromStr for BlockPrefix {
    type Err = BlockPrefixError;

    fn from_str(text: &str) -> Result<Self, BlockPrefixError> {
        let prefix: Ipv4Prefix = text.parse().map_err(|fault| BlockPrefixError::Prefix {
            text: text.to_owned(),
            fault,
        })?;
        prefix.try_into()
    }
}

impl From<BlockPrefix> for Ipv4Prefix {
    fn from(block: BlockPrefix) -> Self {
        block.0
    }
}

impl From<BlockPrefix> for Ipv4Network {
    fn from(block: BlockPrefix) -> Self {
        block.0.into()
    }
}

impl fmt::Display for BlockPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_from_20_to_32_are_blocks() {
        for len in 0..=32u8 {
            let prefix = Ipv4Prefix::containing(Ipv4Addr::new(10, 244, 79, 20), len).unwrap();
            assert_eq!(BlockPrefix::try_from(prefix).is_ok(), len >= 20, "/{len}");
        }
    }

    #[test]
    fn bad_prefixes_are_named() {
        for (text, message) in [
            (
                "10.0.0.0/19",
                "block 10.0.0.0/19 has a prefix length outside /20 to /32",
            ),
            (
                "10.0.0.1/26",
                "block \"10.0.0.1/26\": 10.0.0.1/26 has host bits set, the prefix is 10.0.0.0/26",
            ),
            (
                "x",
                "block \"x\": not an IPv4 prefix of the form a.b.c.d/len",
            ),
        ] {
            assert_eq!(
                text.parse::<BlockPrefix>().unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn ordinals_and_addresses_are_inverse_at_every_size() {
        for len in 20..=32u8 {
            let prefix = Ipv4Prefix::containing(Ipv4Addr::new(10, 244, 79, 20), len).unwrap();
            let block = BlockPrefix::try_from(prefix).unwrap();
            assert_eq!(block.ordinals().count(), block.size() as usize);
            for ordinal in block.ordinals() {
                assert_eq!(block.ordinal_of(ordinal.addr()), Ok(ordinal));
                assert_eq!(block.ordinal(u32::from(ordinal.get())), Ok(ordinal));
            }
            assert_eq!(block.ordinals().next_back().unwrap().addr(), prefix.last());
            assert!(block.ordinal(block.size()).is_err());
            assert!(block.ordinal(0x1_0000).is_err(), "does not wrap to 0");
        }
        let block: BlockPrefix = "10.0.0.0/26".parse().unwrap();
        let error = block.ordinal_of(Ipv4Addr::new(10, 0, 0, 64)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "address 10.0.0.64 is outside block 10.0.0.0/26"
        );
    }
}
