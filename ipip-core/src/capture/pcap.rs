//! Capture files that tcpdump and Wireshark read: classic pcap with nanoseconds.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use super::error::PcapError;
use super::frame::{Frame, LinkType};
use super::live::SNAP_LEN;

/// The magic number of a file whose stamps count nanoseconds
/// (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html#section-4>).
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;

/// Writes frames of one link type to a capture file.
///
/// All numbers are written with the least significant octet first, so equal frames give equal files
/// on every machine. Call [`PcapWriter::finish`] at the end: what is only dropped may be lost.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    file: W,
    link_type: LinkType,
    /// What the file has not taken yet of the record that was begun last.
    rest: Vec<u8>,
}

impl PcapWriter<BufWriter<File>> {
    /// Makes or empties the file at `path`.
    ///
    /// # Errors
    /// [`PcapError::Create`] or [`PcapError::Write`] with the system's answer.
    pub fn create(path: impl AsRef<Path>, link_type: LinkType) -> Result<Self, PcapError> {
        let path = path.as_ref();
        let file = File::create(path).map_err(|source| PcapError::Create {
            path: path.to_owned(),
            source,
        })?;
        Self::new(BufWriter::new(file), link_type)
    }
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header to `file`.
    ///
    /// ```
    /// # use ipip_core::capture::{LinkType, PcapWriter};
    /// let file = PcapWriter::new(Vec::new(), LinkType::RawIp)?.finish()?;
    /// assert_eq!(file.len(), 24);
    /// # Ok::<(), ipip_core::capture::PcapError>(())
    /// ```
    ///
    /// # Errors
    /// [`PcapError::Write`] with the writer's answer.
    pub fn new(mut file: W, link_type: LinkType) -> Result<Self, PcapError> {
        let snap_len = u32::try_from(SNAP_LEN).unwrap_or(u32::MAX);
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&MAGIC_NANOSECONDS.to_le_bytes());
        header.extend_from_slice(&[2, 0, 4, 0]); // version 2.4
        header.extend_from_slice(&[0; 8]); // reserved: once time zone and accuracy
        header.extend_from_slice(&snap_len.to_le_bytes());
        header.extend_from_slice(&link_type.number().to_le_bytes());
        file.write_all(&header).map_err(PcapError::Write)?;
        Ok(Self {
            file,
            link_type,
            rest: Vec::new(),
        })
    }

    /// Adds one frame. A failure leaves no half record behind which others follow: either nothing of
    /// the frame is written, or the rest of it comes first next time.
    ///
    /// # Errors
    /// [`PcapError::LinkType`], [`PcapError::Time`] or [`PcapError::Len`] if the file cannot hold it,
    /// and [`PcapError::Write`] with the writer's answer: nothing of it is written then;
    /// [`PcapError::Rest`] if a part of it is.
    pub fn write(&mut self, frame: &Frame) -> Result<(), PcapError> {
        if frame.link_type != self.link_type {
            return Err(PcapError::LinkType {
                found: frame.link_type,
                expected: self.link_type,
            });
        }
        let since = frame.time.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.map_err(|_| PcapError::Time)?;
        let record = [
            u32::try_from(since.as_secs()).map_err(|_| PcapError::Time)?,
            since.subsec_nanos(),
            length(frame.octets.len())?,
            length(frame.original_len)?,
        ];
        self.write_rest().map_err(PcapError::Write)?;
        self.rest
            .extend(record.iter().flat_map(|n| n.to_le_bytes()));
        self.rest.extend_from_slice(&frame.octets);
        let len = self.rest.len();
        self.write_rest().map_err(|source| match self.rest.len() {
            left if left == len => {
                self.rest.clear();
                PcapError::Write(source)
            }
            left => PcapError::Rest { left, source },
        })
    }

    fn write_rest(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            let rest = self.rest.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.file.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(octets) => written += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.rest.drain(..written.min(self.rest.len()));
        result
    }

    /// Writes out what is buffered, so that another process may read the file now.
    ///
    /// # Errors
    /// [`PcapError::Write`] with the writer's answer.
    pub fn flush(&mut self) -> Result<(), PcapError> {
        self.write_rest().map_err(PcapError::Write)?;
        self.file.flush().map_err(PcapError::Write)
    }

    /// Writes out what is buffered and returns the writer.
    ///
    /// # Errors
    /// [`PcapError::Write`] with the writer's answer.
    pub fn finish(mut self) -> Result<W, PcapError> {
        self.flush()?;
        Ok(self.file)
    }
}

fn length(octets: usize) -> Result<u32, PcapError> {
    u32::try_from(octets).map_err(|_| PcapError::Len { octets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame::Direction;
    use std::time::Duration;

    fn frame() -> Frame {
        Frame {
            link_type: LinkType::RawIp,
            time: SystemTime::UNIX_EPOCH + Duration::new(0x0102_0304, 5),
            direction: Direction::Outgoing,
            original_len: 9,
            checksum_pending: false,
            octets: vec![0xaa, 0xbb],
        }
    }

    #[test]
    fn the_file_is_what_the_format_says() {
        let mut writer = PcapWriter::new(Vec::new(), LinkType::RawIp).unwrap();
        writer.write(&frame()).unwrap();
        #[rustfmt::skip]
        let expected = [
            0x4d, 0x3c, 0xb2, 0xa1,  2, 0, 4, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 4, 0,  101, 0, 0, 0,
            4, 3, 2, 1,  5, 0, 0, 0,  2, 0, 0, 0,  9, 0, 0, 0,  0xaa, 0xbb,
        ];
        assert_eq!(writer.finish().unwrap(), expected);
    }

    /// Takes so many octets in all, then fails until it is given more room.
    struct Full {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Full {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let fits = octets.len().min(self.room - self.taken.len());
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.taken.extend_from_slice(&octets[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// However much of the second frame fits, all three are whole once there is room.
    #[test]
    fn a_failed_write_leaves_no_half_record() {
        let mut whole = PcapWriter::new(Vec::new(), LinkType::RawIp).unwrap();
        for _ in 0..3 {
            whole.write(&frame()).unwrap();
        }
        let whole = whole.finish().unwrap();
        let record = 16 + frame().octets.len();
        for fits in 0..record {
            let (taken, room) = (Vec::new(), 24 + record + fits);
            let mut writer = PcapWriter::new(Full { taken, room }, LinkType::RawIp).unwrap();
            writer.write(&frame()).unwrap();
            let is_taken = match writer.write(&frame()).unwrap_err() {
                PcapError::Write(_) => false,
                PcapError::Rest { left, .. } => left == record - fits,
                other => panic!("{other}"),
            };
            assert_eq!(is_taken, fits > 0);
            // Nothing of another frame goes before the rest.
            assert!(matches!(writer.write(&frame()), Err(PcapError::Write(_))));
            assert!(is_taken == writer.flush().is_err());
            writer.file.room = whole.len();
            for _ in 0..if is_taken { 1 } else { 2 } {
                writer.write(&frame()).unwrap();
            }
            assert_eq!(writer.finish().unwrap().taken, whole, "{fits} fit");
        }
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let error = PcapWriter::create("/dev/null/x", LinkType::RawIp).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot make the capture file /dev/null/x"
        );
    }

    #[test]
    fn a_frame_that_does_not_fit_is_refused_whole() {
        let mut writer = PcapWriter::new(Vec::new(), LinkType::Ethernet).unwrap();
        let error = writer.write(&frame()).unwrap_err().to_string();
        assert_eq!(
            error,
            "a raw IP frame does not belong in a capture file of Ethernet frames"
        );
        for time in [
            SystemTime::UNIX_EPOCH - Duration::from_nanos(1),
            SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 32),
        ] {
            let link_type = LinkType::Ethernet;
            let late = Frame {
                time,
                link_type,
                ..frame()
            };
            assert!(matches!(writer.write(&late), Err(PcapError::Time)));
        }
        assert_eq!(writer.finish().unwrap().len(), 24);
    }
}
