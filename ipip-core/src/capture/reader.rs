//! Capture files read: classic pcap and pcapng, in either byte order.
//!
//! Where a record ends is decided here, before anything inside it is believed, so that damage has
//! an offset and no number of the file is ever allocated: the buffer grows only by what was read.
//! What is inside a record is read by the crate `pcap-parser`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use pcap_parser::{PcapHeader, pcap};

use super::error::{Damage, ReadError};
use super::frame::{Direction, Frame, LinkType};
use super::live::SNAP_LEN;
use super::pcapng::{Block, Section};

/// Octets of the file header of classic pcap.
const FILE_HEADER_LEN: usize = 24;

/// Where a capture was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name; classic pcap never has one.
    pub name: Option<String>,
    /// What its frames begin with.
    pub link_type: LinkType,
}

/// Reads the frames of a capture, one by one and from beginning to end, from a file or a pipe.
///
/// As an iterator it yields frames up to the end or up to the damage, which is the last item then.
///
/// ```
/// # use std::time::SystemTime;
/// # use ipip_core::capture::{Direction, Frame, LinkType, PcapWriter, Reader};
/// let mut file = PcapWriter::new(Vec::new(), LinkType::RawIp)?;
/// # let time = SystemTime::UNIX_EPOCH;
/// # let frame = Frame {
/// #     link_type: LinkType::RawIp, time, direction: Direction::Unknown, original_len: 1,
/// #     checksum_pending: false, octets: vec![0x45],
/// # };
/// file.write(&frame)?;
/// let file = file.finish()?;
///
/// assert_eq!(Reader::new(&file[..])?.next().unwrap()?, frame);
/// let cut = Reader::new(&file[..30])?.next().unwrap().unwrap_err();
/// assert_eq!(
///     cut.to_string(),
///     "capture is damaged at offset 24: it is cut off: found 6 octets, needs 16"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    format: Format,
    interfaces: Vec<Interface>,
    /// Place in `interfaces` of the frame that was read last.
    current: usize,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    PcapNg(Section),
}

impl Reader<BufReader<File>> {
    /// Opens the file at `path` and reads its header.
    ///
    /// # Errors
    /// [`ReadError::Open`], and those of [`Reader::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| ReadError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header. Small reads follow, so a reader without a buffer of its own is slow.
    ///
    /// # Errors
    /// [`ReadError::NotACapture`] by the first four octets; [`ReadError::Damaged`] if the header
    /// is; [`ReadError::Read`] with the reader's answer.
    pub fn new(reader: R) -> Result<Self, ReadError> {
        let mut source = Source {
            reader,
            offset: 0,
            buffer: Vec::new(),
        };
        source.fill(4)?;
        let mut interfaces = Vec::new();
        let format = if source.buffer == Section::MAGIC {
            Format::PcapNg(Section::default())
        } else {
            let (file, link_type) = Pcap::read(&mut source)?;
            interfaces.push(Interface {
                name: None,
                link_type,
            });
            Format::Pcap(file)
        };
        Ok(Self {
            source,
            format,
            interfaces,
            current: 0,
            ended: false,
        })
    }

    /// The next frame; `None` after the last one, and after an error.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] with the offset of the record that cannot be read, once;
    /// [`ReadError::Read`] with the reader's answer, once.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let result = match &mut self.format {
            Format::Pcap(file) => file.next(&mut self.source),
            Format::PcapNg(section) => loop {
                match section.next(&mut self.source) {
                    Ok(Some(Block::Interface(interface))) => self.interfaces.push(interface),
                    Ok(Some(Block::Frame { interface, frame })) => {
                        self.current = self.interfaces.len() - section.described() + interface;
                        break Ok(Some(frame));
                    }
                    Ok(Some(Block::Other)) => {}
                    Ok(None) => break Ok(None),
                    Err(error) => break Err(error),
                }
            },
        };
        self.ended = !matches!(result, Ok(Some(_)));
        result
    }

    /// Where the frame that was read last was captured, as its place in [`Reader::interfaces`].
    #[must_use]
    pub fn interface(&self) -> usize {
        self.current
    }

    /// The interfaces met so far: one in classic pcap; in pcapng those of all sections in order.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}

/// A reader and the record that is being read from it.
#[derive(Debug)]
pub(super) struct Source<R> {
    reader: R,
    /// Octets before the record.
    offset: u64,
    /// The record as far as it was read.
    pub(super) buffer: Vec<u8>,
}

impl<R: Read> Source<R> {
    /// Leaves the record behind.
    pub(super) fn advance(&mut self) {
        // As many as memory holds: fits.
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
    }

    /// Reads until the record has `len` octets, or the capture ends.
    pub(super) fn fill(&mut self, len: usize) -> Result<(), ReadError> {
        let missing = len.saturating_sub(self.buffer.len()) as u64;
        let read = (&mut self.reader)
            .take(missing)
            .read_to_end(&mut self.buffer);
        read.map(drop).map_err(|source| self.failed(source))
    }

    /// Reads until the record has `len` octets.
    pub(super) fn need(&mut self, len: usize) -> Result<(), ReadError> {
        self.fill(len)?;
        let found = self.buffer.len();
        if found < len {
            return Err(self.damaged(Damage::Truncated { needed: len, found }));
        }
        Ok(())
    }

    /// Leaves the record behind, which has `len` octets, without keeping them.
    pub(super) fn skip(&mut self, len: usize) -> Result<(), ReadError> {
        let missing = len.saturating_sub(self.buffer.len()) as u64;
        let rest = &mut (&mut self.reader).take(missing);
        let read = std::io::copy(rest, &mut std::io::sink()).map_err(|e| self.failed(e))?;
        if read < missing {
            let found = len - usize::try_from(missing - read).unwrap_or(len);
            return Err(self.damaged(Damage::Truncated { needed: len, found }));
        }
        self.offset += len as u64;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn damaged(&self, damage: Damage) -> ReadError {
        let offset = self.offset;
        ReadError::Damaged { offset, damage }
    }

    fn failed(&self, source: std::io::Error) -> ReadError {
        let offset = self.offset + self.buffer.len() as u64;
        ReadError::Read { offset, source }
    }
}

/// Four octets of a record as a number.
pub(super) fn number(octets: &[u8], at: usize, big_endian: bool) -> u32 {
    let four = octets.get(at..).and_then(|rest| rest.first_chunk());
    let four = *four.unwrap_or(&[0; 4]);
    if big_endian {
        u32::from_be_bytes(four)
    } else {
        u32::from_le_bytes(four)
    }
}

/// The length of a frame, if it is one.
pub(super) fn frame_len(found: u32) -> Result<usize, Damage> {
    usize::try_from(found)
        .ok()
        .filter(|len| *len <= SNAP_LEN)
        .ok_or(Damage::FrameLen {
            found,
            max: SNAP_LEN,
        })
}

/// Classic pcap (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>).
#[derive(Debug)]
struct Pcap {
    header: PcapHeader,
    link_type: LinkType,
}

impl Pcap {
    /// The link type's bits; the others tell of a frame check sequence.
    const LINK_TYPE: u32 = 0x03ff_ffff;

    fn read<R: Read>(source: &mut Source<R>) -> Result<(Self, LinkType), ReadError> {
        // Asked first, or any short file would count as a damaged capture.
        let is_magic = matches!(
            source.buffer[..],
            [0xa1, 0xb2, 0xc3, 0xd4]
                | [0xd4, 0xc3, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0x3c, 0x4d]
                | [0x4d, 0x3c, 0xb2, 0xa1]
                | [0x34, 0xcd, 0xb2, 0xa1]
        );
        if !is_magic {
            let found = std::mem::take(&mut source.buffer);
            return Err(ReadError::NotACapture { found });
        }
        source.need(FILE_HEADER_LEN)?;
        let Ok((_, header)) = pcap::parse_pcap_header(&source.buffer) else {
            let found = std::mem::take(&mut source.buffer);
            return Err(ReadError::NotACapture { found });
        };
        let number = header.network.0.cast_unsigned() & Self::LINK_TYPE;
        let link_type = LinkType::of_number(number);
        Ok((Self { header, link_type }, link_type))
    }

    fn next<R: Read>(&self, source: &mut Source<R>) -> Result<Option<Frame>, ReadError> {
        source.advance();
        // The "modified" format of an old patch has eight octets more.
        let (header_len, parse): (_, fn(_) -> _) = match &self.header {
            header if header.is_modified_format() => (24, pcap::parse_pcap_frame_modified),
            header if header.is_bigendian() => (16, pcap::parse_pcap_frame_be),
            _ => (16, pcap::parse_pcap_frame),
        };
        source.fill(header_len)?;
        if source.buffer.is_empty() {
            return Ok(None);
        }
        source.need(header_len)?;
        let captured = number(&source.buffer, 8, self.header.is_bigendian());
        let len = frame_len(captured).map_err(|damage| source.damaged(damage))?;
        let needed = header_len + len;
        source.need(needed)?;
        let Ok((_, record)) = parse(&source.buffer) else {
            let found = source.buffer.len();
            return Err(source.damaged(Damage::Truncated { needed, found }));
        };
        let fraction = u64::from(record.ts_usec);
        let fraction = if self.header.is_nanosecond_precision() {
            Duration::from_nanos(fraction)
        } else {
            Duration::from_micros(fraction)
        };
        let original_len = usize::try_from(record.origlen).unwrap_or(usize::MAX);
        Ok(Some(Frame {
            link_type: self.link_type,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(record.ts_sec.into()) + fraction,
            direction: Direction::Unknown,
            original_len: original_len.max(len),
            checksum_pending: false,
            octets: record.data.to_vec(),
        }))
    }
}

#[cfg(test)]
mod tests;
