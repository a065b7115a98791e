//! The obvious way to do things, octet by octet: what the library is compared with.

/// Where a header ends and where its packet ends, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lens {
    pub header: usize,
    pub total: usize,
}

/// RFC 1071 section 1, word by word.
pub fn sum(octets: &[u8]) -> u16 {
    let mut total = 0;
    for pair in octets.chunks(2) {
        total += u32::from(pair[0]) * 256 + u32::from(*pair.get(1).unwrap_or(&0));
        if total > 0xffff {
            total -= 0xffff;
        }
    }
    u16::try_from(total).unwrap()
}

pub fn half(octets: &[u8], at: usize) -> u16 {
    u16::from(octets[at]) * 256 + u16::from(octets[at + 1])
}

/// What RFC 791 says of the packet at the start of `octets`, or the number of the error.
pub fn ipv4(octets: &[u8]) -> Result<Lens, u32> {
    if octets.len() < 20 {
        return Err(200);
    }
    if octets[0] / 16 != 4 {
        return Err(201);
    }
    let (header, total) = (usize::from(octets[0] % 16) * 4, half(octets, 2).into());
    if total > octets.len() {
        return Err(200);
    }
    if total < header {
        return Err(203);
    }
    if header < 20 {
        return Err(202);
    }
    if sum(&octets[..header]) != 0xffff {
        return Err(204);
    }
    Ok(Lens { header, total })
}

/// What RFC 2003 says of it: outer and inner lengths, or the number of the error.
pub fn ipip(octets: &[u8]) -> Result<(Lens, Lens), u32> {
    let outer = ipv4(octets)?;
    if octets[9] != 4 {
        return Err(205);
    }
    // All but the reserved flag and DF.
    if half(octets, 6) & 0x3fff != 0 {
        return Err(206);
    }
    let inner = ipv4(&octets[outer.header..outer.total])?;
    Ok((outer, inner))
}

/// The same for a packet that is to be delivered.
pub fn delivered(octets: &[u8]) -> Result<&[u8], u32> {
    let (outer, inner) = ipip(octets)?;
    let packet = &octets[outer.header..][..inner.total];
    if packet[8] == 0 { Err(207) } else { Ok(packet) }
}

/// The length that a header states of itself, if there is an IPv4 header so long.
pub fn header_len(octets: &[u8]) -> Option<usize> {
    let len = usize::from(octets.first()? % 16) * 4;
    (octets[0] / 16 == 4 && len >= 20 && len <= octets.len()).then_some(len)
}

/// Bit 1 of `what` puts the checksum right, bit 2 the total length before that.
pub fn repair(packet: &mut [u8], what: u8) {
    let Some(len) = header_len(packet) else {
        return;
    };
    if what & 2 != 0 {
        let total = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        packet[2..4].copy_from_slice(&total.to_be_bytes());
    }
    if what & 1 != 0 {
        packet[10..12].fill(0);
        let checksum = !sum(&packet[..len]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The four values of the ECN field, as numbers, at a tunnel's exit: figure 4 of RFC 6040, a row for each inner
/// field, a column for each outer one, in the order Not-ECT, ECT(1), ECT(0), CE; 4 is "drop".
pub const ECN_AT_EXIT: [[u8; 4]; 4] = [[0, 0, 0, 4], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];

/// Whether `part` lies within `whole`, where it stands in memory.
pub fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.start >= whole.start && part.end <= whole.end
}
