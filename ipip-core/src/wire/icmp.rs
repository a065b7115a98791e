//! ICMP echo: [`EchoView`] reads, [`Echo`] writes (<https://www.rfc-editor.org/rfc/rfc792>, page 14).

use byteorder::{BigEndian, ByteOrder};

use super::checksum::{combine, sum};
use super::error::{Layer, WireError};
use super::header::{HEADER_LEN, MAX_PACKET_LEN};

/// Length of an echo header, in octets: type, code, checksum, identifier, sequence.
pub const ECHO_HEADER_LEN: usize = 8;

/// The longest echo message, in octets: a whole packet less its IPv4 header.
const MAX_MESSAGE_LEN: usize = MAX_PACKET_LEN - HEADER_LEN;

/// Which half of an echo exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EchoKind {
    /// Type 8.
    Request,
    /// Type 0.
    Reply,
}

impl EchoKind {
    const fn icmp_type(self) -> u8 {
        match self {
            Self::Request => 8,
            Self::Reply => 0,
        }
    }
}

/// A checked echo message, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoView<'a> {
    echo: Echo,
    checksum: u16,
    data: &'a [u8],
}

impl<'a> EchoView<'a> {
    /// Checks `message`, the whole payload of an IPv4 packet that is no fragment.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::IcmpType`] or [`WireError::Checksum`], looked for in
    /// this order.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let Some((header, data)) = message.split_first_chunk::<ECHO_HEADER_LEN>() else {
            return Err(WireError::Truncated {
                layer: Layer::Icmp,
                needed: ECHO_HEADER_LEN,
                found: message.len(),
            });
        };
        let kind = match (header[0], header[1]) {
            (8, 0) => EchoKind::Request,
            (0, 0) => EchoKind::Reply,
            (found, code) => return Err(WireError::IcmpType { found, code }),
        };
        let found = BigEndian::read_u16(&header[2..4]);
        if sum(message) != 0xffff {
            let mut blank = *header;
            blank[2..4].fill(0);
            return Err(WireError::Checksum {
                layer: Layer::Icmp,
                found,
                computed: !combine(sum(&blank), sum(data)),
            });
        }
        Ok(Self {
            echo: Echo {
                kind,
                identifier: BigEndian::read_u16(&header[4..6]),
                sequence: BigEndian::read_u16(&header[6..8]),
            },
            checksum: found,
            data,
        })
    }

    /// Request or reply.
    #[must_use]
    pub fn kind(&self) -> EchoKind {
        self.echo.kind
    }

    /// What tells one sender's requests from another's.
    #[must_use]
    pub fn identifier(&self) -> u16 {
        self.echo.identifier
    }

    /// Counts a sender's requests.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        self.echo.sequence
    }

    /// The checksum as found, which is right.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        self.checksum
    }

    /// What the reply must return unchanged.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The header's fields as a plain value.
    #[must_use]
    pub fn header(&self) -> Echo {
        self.echo
    }
}

/// The header of an echo message, to be written.
///
/// ```
/// use ipip_core::wire::{Echo, EchoKind, EchoView};
/// let mut message = *b"........some data"; // 8 octets of header, then data
/// let echo = Echo { kind: EchoKind::Request, identifier: 7, sequence: 1 };
/// echo.emit(&mut message)?;
/// let view = EchoView::parse(&message)?;
/// assert_eq!((view.header(), view.data()), (echo, &b"some data"[..]));
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Request or reply.
    pub kind: EchoKind,
    /// What tells one sender's requests from another's.
    pub identifier: u16,
    /// Counts a sender's requests.
    pub sequence: u16,
}

impl Echo {
    /// Writes the header into the first 8 octets of `message`; what follows is the data.
    ///
    /// # Errors
    /// [`WireError::Buffer`] below 8 octets, [`WireError::PacketTooLong`] above 65,515, which is
    /// what one IPv4 packet holds; nothing is written then.
    pub fn emit(&self, message: &mut [u8]) -> Result<(), WireError> {
        let found = message.len();
        if found > MAX_MESSAGE_LEN {
            return Err(WireError::PacketTooLong {
                found,
                max: MAX_MESSAGE_LEN,
            });
        }
        let mut header = [0; ECHO_HEADER_LEN];
        header[0] = self.kind.icmp_type();
        BigEndian::write_u16(&mut header[4..6], self.identifier);
        BigEndian::write_u16(&mut header[6..8], self.sequence);
        let (room, data) = message.split_first_chunk_mut().ok_or(WireError::Buffer {
            needed: ECHO_HEADER_LEN,
            found,
        })?;
        let checksum = !combine(sum(&header), sum(data));
        BigEndian::write_u16(&mut header[2..4], checksum);
        *room = header;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scapy 2.8.0: `ICMP(id=0xbeef, seq=0x8001)/Raw(b"odd")`
    #[test]
    fn deconstruct_and_construct() {
        let message = [8, 0, 0xe5, 0xa9, 0xbe, 0xef, 0x80, 0x01, b'o', b'd', b'd'];
        let view = EchoView::parse(&message).unwrap();
        assert_eq!(view.kind(), EchoKind::Request);
        assert_eq!((view.identifier(), view.sequence()), (0xbeef, 0x8001));
        assert_eq!((view.checksum(), view.data()), (0xe5a9, &b"odd"[..]));

        let mut built = [0xa5; 11];
        built[8..].copy_from_slice(b"odd");
        view.header().emit(&mut built).unwrap();
        assert_eq!(built, message);
    }

    #[test]
    fn only_types_8_and_0_with_code_0_are_echo() {
        for (found, code) in [(8, 1), (0, 1), (3, 0), (11, 0), (255, 255)] {
            let mut message = [found, code, 0, 0, 0, 7, 0, 1];
            let checksum = crate::wire::checksum(&message);
            message[2..4].copy_from_slice(&checksum.to_be_bytes());
            let expected = Err(WireError::IcmpType { found, code });
            assert_eq!(EchoView::parse(&message), expected);
        }
    }

    #[test]
    fn a_reply_of_zeros_needs_a_checksum_of_ones() {
        let found = EchoView::parse(&[0; 8]);
        let expected = WireError::Checksum {
            layer: Layer::Icmp,
            found: 0,
            computed: 0xffff,
        };
        assert_eq!(found, Err(expected));
        let mut message = [0; 8];
        let echo = Echo {
            kind: EchoKind::Reply,
            identifier: 0,
            sequence: 0,
        };
        echo.emit(&mut message).unwrap();
        assert_eq!(message, [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        assert!(EchoView::parse(&message).is_ok());
    }

    #[test]
    fn lengths_that_cannot_be_emitted_leave_the_buffer_alone() {
        let echo = Echo {
            kind: EchoKind::Request,
            identifier: 1,
            sequence: 2,
        };
        let mut short = [0xa5; 7];
        let error = echo.emit(&mut short).unwrap_err();
        assert_eq!(error.to_string(), "buffer is 7 octets, needs 8");
        assert_eq!(short, [0xa5; 7]);
        let mut long = vec![0xa5; 65_516];
        let error = echo.emit(&mut long).unwrap_err();
        assert_eq!(
            error.to_string(),
            "packet would be 65516 octets, allowed are at most 65515"
        );
        assert_eq!(long[..8], [0xa5; 8]);
        assert_eq!(echo.emit(&mut long[1..]), Ok(()));
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(view) = EchoView::parse(&octets) {
                prop_assert_eq!(view.data(), &octets[8..]);
            }
        }

        #[test]
        fn what_is_written_is_read(
            request: bool, identifier: u16, sequence: u16,
            data in prop::collection::vec(any::<u8>(), 0..64), bit: prop::sample::Index,
        ) {
            let kind = if request { EchoKind::Request } else { EchoKind::Reply };
            let echo = Echo { kind, identifier, sequence };
            let mut message = [&[0xa5; 8][..], &data].concat();
            echo.emit(&mut message).unwrap();
            let view = EchoView::parse(&message).unwrap();
            prop_assert_eq!((view.header(), view.data()), (echo, &data[..]));
            let bit = bit.index(message.len() * 8);
            message[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(EchoView::parse(&message).is_err());
        }
    }
}
