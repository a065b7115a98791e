//! The blocks of pcapng (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>).

use std::io::Read;
use std::time::{Duration, SystemTime};

use pcap_parser::pcapng::{
    parse_enhancedpacketblock_be, parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_simplepacketblock_be, parse_simplepacketblock_le,
};
use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SimplePacketBlock,
};

use super::error::{Damage, ReadError};
use super::frame::{Direction, Frame, LinkType};
use super::reader::{Interface, Source, frame_len, number};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length, and the length again at the end.
const MIN_LEN: u32 = 12;

/// The longest block whose inside is read: four times the longest frame, for its options. Others
/// are skipped without being kept, whatever their length.
const MAX_LEN: u32 = 1 << 20;

/// The option `epb_flags` (section 4.3.1), whose lowest two bits are the direction.
const FLAGS_OPTION: OptionCode = OptionCode(2);

/// What the section that is being read has said so far; its interfaces count from 0.
#[derive(Debug, Default)]
pub(super) struct Section {
    big_endian: bool,
    interfaces: Vec<Description>,
}

/// What frames need of the description of their interface.
#[derive(Debug)]
struct Description {
    link_type: LinkType,
    /// The longest frame kept, in octets; 0 is without limit.
    snap_len: u32,
    /// `if_tsresol`: the negative power of ten of a second, or with the upper bit of two.
    resolution: u8,
    /// `if_tsoffset` in seconds.
    offset: i64,
}

/// A block as the reader needs it.
#[derive(Debug)]
pub(super) enum Block {
    Interface(Interface),
    Frame { interface: usize, frame: Frame },
    Other,
}

impl Section {
    /// How a file begins: a section header, the same in both byte orders.
    pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

    /// How many interfaces the section has described.
    pub(super) fn described(&self) -> usize {
        self.interfaces.len()
    }

    /// The next block, `None` after the last.
    pub(super) fn next<R: Read>(
        &mut self,
        source: &mut Source<R>,
    ) -> Result<Option<Block>, ReadError> {
        // The first four octets of the first section header are there already.
        source.fill(8)?;
        if source.buffer.is_empty() {
            return Ok(None);
        }
        source.need(8)?;
        let mut kind = number(&source.buffer, 0, self.big_endian);
        if kind == SECTION_HEADER {
            self.begin(source)?;
        }
        kind = number(&source.buffer, 0, self.big_endian);
        let len = number(&source.buffer, 4, self.big_endian);
        let (min, max) = match kind {
            SECTION_HEADER => (28, MAX_LEN),
            INTERFACE_DESCRIPTION => (20, MAX_LEN),
            SIMPLE_PACKET => (16, MAX_LEN),
            ENHANCED_PACKET => (32, MAX_LEN),
            _ => (MIN_LEN, u32::MAX - 3),
        };
        let len = Some(len)
            .filter(|len| (min..=max).contains(len) && len % 4 == 0)
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(|| {
                let found = len;
                source.damaged(Damage::BlockLen {
                    kind,
                    found,
                    min,
                    max,
                })
            })?;
        if max > MAX_LEN {
            if kind == OBSOLETE_PACKET {
                return Err(source.damaged(Damage::ObsoletePacket));
            }
            source.skip(len)?;
            return Ok(Some(Block::Other));
        }
        source.need(len)?;
        let block = self.read(kind, &source.buffer);
        let block = block.map_err(|damage| source.damaged(damage))?;
        source.advance();
        Ok(Some(block))
    }

    /// Takes the byte order of a section header; its interfaces follow.
    fn begin<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), ReadError> {
        source.need(12)?;
        let mark = source.buffer.get(8..).and_then(|rest| rest.first_chunk());
        self.big_endian = match *mark.unwrap_or(&[0; 4]) {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            found => return Err(source.damaged(Damage::ByteOrder { found })),
        };
        self.interfaces.clear();
        Ok(())
    }

    fn read(&mut self, kind: u32, octets: &[u8]) -> Result<Block, Damage> {
        let first = number(octets, 4, self.big_endian);
        let last = number(octets, octets.len() - 4, self.big_endian);
        if first != last {
            return Err(Damage::BlockEnd { first, last });
        }
        let inside = Damage::Inside { kind };
        match (kind, self.big_endian) {
            (INTERFACE_DESCRIPTION, false) => {
                let parsed = parse_interfacedescriptionblock_le(octets);
                Ok(self.interface(&parsed.map_err(|_| inside)?.1))
            }
            (INTERFACE_DESCRIPTION, true) => {
                let parsed = parse_interfacedescriptionblock_be(octets);
                Ok(self.interface(&parsed.map_err(|_| inside)?.1))
            }
            (ENHANCED_PACKET, false) => {
                let parsed = parse_enhancedpacketblock_le(octets);
                self.enhanced(&parsed.map_err(|_| inside)?.1)
            }
            (ENHANCED_PACKET, true) => {
                let parsed = parse_enhancedpacketblock_be(octets);
                self.enhanced(&parsed.map_err(|_| inside)?.1)
            }
            (SIMPLE_PACKET, false) => {
                let parsed = parse_simplepacketblock_le(octets);
                self.simple(&parsed.map_err(|_| inside)?.1)
            }
            (SIMPLE_PACKET, true) => {
                let parsed = parse_simplepacketblock_be(octets);
                self.simple(&parsed.map_err(|_| inside)?.1)
            }
            // Nothing of a section header matters beside its byte order.
            _ => Ok(Block::Other),
        }
    }

    fn interface(&mut self, block: &InterfaceDescriptionBlock<'_>) -> Block {
        let link_type = LinkType::of_number(block.linktype.0.cast_unsigned());
        // The parser's own readings of these two do not know the byte order, nor powers of two.
        let resolution = match option(&block.options, OptionCode::IfTsresol) {
            Some(&[resolution]) => resolution,
            _ => 6,
        };
        let offset = match option(&block.options, OptionCode::IfTsoffset) {
            Some(octets) => octets.try_into().map_or(0, |octets| {
                if self.big_endian {
                    i64::from_be_bytes(octets)
                } else {
                    i64::from_le_bytes(octets)
                }
            }),
            None => 0,
        };
        self.interfaces.push(Description {
            link_type,
            snap_len: block.snaplen,
            resolution,
            offset,
        });
        let name = option(&block.options, OptionCode::IfName);
        let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
        Block::Interface(Interface { name, link_type })
    }

    fn enhanced(&self, block: &EnhancedPacketBlock<'_>) -> Result<Block, Damage> {
        let len = frame_len(block.caplen)?;
        let kind = ENHANCED_PACKET;
        let octets = block.data.get(..len).ok_or(Damage::Inside { kind })?;
        let found = block.if_id;
        let described = self.interfaces.len();
        let interface = usize::try_from(found).unwrap_or(usize::MAX);
        let description = self.interfaces.get(interface);
        let description = description.ok_or(Damage::Interface { found, described })?;
        let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
        let flags = option(&block.options, FLAGS_OPTION);
        let direction = match flags.map(|octets| number(octets, 0, self.big_endian) & 3) {
            Some(1) => Direction::Incoming,
            Some(2) => Direction::Outgoing,
            _ => Direction::Unknown,
        };
        let frame = Frame {
            link_type: description.link_type,
            time: description.time(ticks)?,
            direction,
            original_len: usize::try_from(block.origlen).map_or(len, |original| original.max(len)),
            checksum_pending: false,
            octets: octets.to_vec(),
        };
        Ok(Block::Frame { interface, frame })
    }

    /// A frame of the first interface, without a time: 1970 it is.
    fn simple(&self, block: &SimplePacketBlock<'_>) -> Result<Block, Damage> {
        let description = self.interfaces.first().ok_or(Damage::Interface {
            found: 0,
            described: 0,
        })?;
        let captured = match description.snap_len {
            0 => block.origlen,
            limit => block.origlen.min(limit),
        };
        let len = frame_len(captured)?;
        let kind = SIMPLE_PACKET;
        let octets = block.data.get(..len).ok_or(Damage::Inside { kind })?;
        let frame = Frame {
            link_type: description.link_type,
            time: SystemTime::UNIX_EPOCH,
            direction: Direction::Unknown,
            original_len: usize::try_from(block.origlen).unwrap_or(usize::MAX),
            checksum_pending: false,
            octets: octets.to_vec(),
        };
        Ok(Block::Frame {
            interface: 0,
            frame,
        })
    }
}

impl Description {
    /// The time of `ticks` since 1970; finer parts than a nanosecond are cut off.
    fn time(&self, ticks: u64) -> Result<SystemTime, Damage> {
        const NANOS: u128 = 1_000_000_000;
        let resolution = self.resolution;
        let power = u32::from(resolution & 0x7f);
        let per_second = if resolution & 0x80 == 0 {
            10u128.checked_pow(power)
        } else {
            2u128.checked_pow(power)
        };
        let time = || {
            // At most 2^64 times 10^9: fits.
            let nanos = u128::from(ticks) * NANOS / per_second?;
            let seconds = i128::try_from(nanos / NANOS).ok()? + i128::from(self.offset);
            let part = u32::try_from(nanos % NANOS).ok()?;
            let since = Duration::new(u64::try_from(seconds).ok()?, part);
            SystemTime::UNIX_EPOCH.checked_add(since)
        };
        time().ok_or(Damage::Time { ticks, resolution })
    }
}

/// The value of the first option of that kind, without its padding.
fn option<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    let option = options.iter().find(|option| option.code == code)?;
    option.as_bytes().ok()
}
