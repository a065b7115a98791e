//! What is wrong with a frame at the point where it was captured.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;

use ipip_core::capture::{Expected, Finding, findings};
use ipip_core::peers::PeerError;

use crate::addr::ipip_ipv4;
use crate::boundary::{TextBuffer, give, guard, or, required};
use crate::error::Failure;
use crate::frame::ipip_frame;
use crate::peers::ipip_peers;
use crate::status::ipip_status;

/// What is known about the point of a capture; what is NULL is not judged.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_expected {
    /// The longest IP packet that should pass there, in octets.
    pub mtu: *const usize,
    /// All nodes with their prefixes, this one's included: who may have sent a tunnel packet.
    pub peers: *const ipip_peers,
}

/// What is wrong with one frame, from its outermost layer inwards. None means that nothing is.
///
/// Ownership: whoever got it as `findings_out` frees it. Threads: it never changes, so threads may share
/// it without a lock.
#[derive(Debug)]
pub struct ipip_findings(Vec<Finding>);

/// The kinds of findings; later versions add some.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_finding_kind {
    /// One without a number yet; its text says which.
    Other = 0,
    /// The outermost IPv4 packet exceeds the MTU: `len`, `mtu`, `dont_fragment`, `segmented_later`.
    TooBig = 1,
    /// An IPv4 header with a wrong checksum: `depth`, `found`, `computed`.
    HeaderChecksum = 2,
    /// A wrong ICMP, UDP or TCP checksum: `found`, `computed`, `offloaded`.
    TransportChecksum = 3,
    /// A TTL that no router will forward: `depth`, `ttl`.
    Ttl = 4,
    /// A pair of ECN fields that the end of the tunnel has to report or drop (RFC 6040 section 4.2):
    /// `outer_ecn`, `inner_ecn`.
    Ecn = 5,
    /// A tunnel inside a tunnel: `headers`.
    EncapsulatedTwice = 6,
    /// A tunnel packet from an outer source that is no known node: `outer_source`.
    UnknownNode = 7,
    /// A tunnel packet whose inner source is not behind its outer one: `outer_source`, `inner_source`.
    ForeignSource = 8,
}

/// One thing wrong with a frame. Which fields count depends on `kind`; the others are 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_finding {
    /// What is wrong.
    pub kind: ipip_finding_kind,
    /// How many IP headers are around the one in question.
    pub depth: usize,
    /// The packet's length in octets.
    pub len: usize,
    /// The longest packet that should pass, in octets.
    pub mtu: usize,
    /// IPv4 headers directly in each other, at least 3.
    pub headers: usize,
    /// The checksum found.
    pub found: u16,
    /// The right checksum.
    pub computed: u16,
    /// The outer source address.
    pub outer_source: ipip_ipv4,
    /// The inner source address.
    pub inner_source: ipip_ipv4,
    /// The TTL found, 0 or 1.
    pub ttl: u8,
    /// The ECN field of the header outside, 0 to 3.
    pub outer_ecn: u8,
    /// The ECN field of the header directly inside, 0 to 3.
    pub inner_ecn: u8,
    /// 1 if routers may not fragment the packet, so that it is lost.
    pub dont_fragment: u8,
    /// 1 if it was captured before the sender's hardware cut it into segments.
    pub segmented_later: u8,
    /// 1 if offload explains the checksum: only the pseudo-header is summed, hardware finishes the rest.
    pub offloaded: u8,
}

/// Says what is wrong with a frame. `expected` may be NULL if nothing is known about the point.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an impossible field of the frame.
///
/// # Safety
/// - `frame` is NULL or its `octets` point to `octets_len` octets.
/// - `expected` is NULL or its `mtu` is NULL or points to a number, and its `peers` is NULL or points to
///   peers that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_frame_findings(
    frame: Option<&ipip_frame>,
    expected: Option<&ipip_expected>,
    findings_out: Option<&mut MaybeUninit<*mut ipip_findings>>,
) -> ipip_status {
    guard(|| {
        let out = required(findings_out, "findings_out")?;
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        // SAFETY: the caller's duty, as documented.
        let expected = expected.map(|expected| unsafe { expected.known() });
        let found = findings(&frame, &expected.unwrap_or_default());
        give(out, ipip_findings(found));
        Ok(())
    })
}

/// How many findings there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_findings_count(findings: Option<&ipip_findings>) -> usize {
    or(0, || findings.map_or(0, |findings| findings.0.len()))
}

/// A finding in numbers, counted from 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last one.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_findings_get(
    findings: Option<&ipip_findings>,
    index: usize,
    finding_out: Option<&mut MaybeUninit<ipip_finding>>,
) -> ipip_status {
    guard(|| {
        let findings = required(findings, "findings")?;
        let out = required(finding_out, "finding_out")?;
        out.write(findings.at(index)?.into());
        Ok(())
    })
}

/// A finding as text, counted from 0: what is wrong, and what it leads to. `needed_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last one, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_findings_text(
    findings: Option<&ipip_findings>,
    index: usize,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let findings = required(findings, "findings")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&findings.at(index)?.to_string())
    })
}

/// Frees the findings. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_findings_free(findings: Option<Box<ipip_findings>>) {
    or((), || drop(findings));
}

impl ipip_expected {
    /// # Safety
    /// - `mtu` is NULL or points to a number.
    /// - `peers` is NULL or points to peers, which nobody changes for `'a`.
    unsafe fn known<'a>(&self) -> Expected<'a> {
        // SAFETY: the caller's duty.
        let mtu = unsafe { self.mtu.as_ref() };
        // SAFETY: the caller's duty.
        let peers = unsafe { self.peers.as_ref() };
        Expected {
            mtu: mtu.copied(),
            peers: peers.map(|peers| &peers.0),
        }
    }
}

impl ipip_findings {
    fn at(&self, index: usize) -> Result<&Finding, Failure> {
        self.0.get(index).ok_or_else(|| {
            let text = format!("index is {index}, there are {} findings", self.0.len());
            Failure::new(ipip_status::InvalidArgument, text)
        })
    }
}

impl From<&Finding> for ipip_finding {
    fn from(finding: &Finding) -> Self {
        let of = Self::of;
        match *finding {
            Finding::TooBig {
                len,
                mtu,
                dont_fragment,
                segmented_later,
            } => Self {
                len,
                mtu,
                dont_fragment: dont_fragment.into(),
                segmented_later: segmented_later.into(),
                ..of(ipip_finding_kind::TooBig)
            },
            Finding::HeaderChecksum {
                depth,
                found,
                computed,
            } => Self {
                depth,
                found,
                computed,
                ..of(ipip_finding_kind::HeaderChecksum)
            },
            Finding::TransportChecksum {
                found,
                computed,
                offloaded,
            } => Self {
                found,
                computed,
                offloaded: offloaded.into(),
                ..of(ipip_finding_kind::TransportChecksum)
            },
            Finding::Ttl { depth, ttl } => Self {
                depth,
                ttl,
                ..of(ipip_finding_kind::Ttl)
            },
            Finding::Ecn { outer, inner } => Self {
                outer_ecn: outer.value(),
                inner_ecn: inner.value(),
                ..of(ipip_finding_kind::Ecn)
            },
            Finding::EncapsulatedTwice { headers } => Self {
                headers,
                ..of(ipip_finding_kind::EncapsulatedTwice)
            },
            Finding::Spoofed(error) => Self::spoofed(error),
            _ => of(ipip_finding_kind::Other),
        }
    }
}

impl ipip_finding {
    fn of(kind: ipip_finding_kind) -> Self {
        let none = ipip_ipv4::from(Ipv4Addr::UNSPECIFIED);
        Self {
            kind,
            depth: 0,
            len: 0,
            mtu: 0,
            headers: 0,
            found: 0,
            computed: 0,
            outer_source: none,
            inner_source: none,
            ttl: 0,
            outer_ecn: 0,
            inner_ecn: 0,
            dont_fragment: 0,
            segmented_later: 0,
            offloaded: 0,
        }
    }

    fn spoofed(error: PeerError) -> Self {
        match error {
            PeerError::UnknownNode { outer_source } => Self {
                outer_source: outer_source.0.into(),
                ..Self::of(ipip_finding_kind::UnknownNode)
            },
            PeerError::ForeignSource {
                outer_source,
                inner_source,
            } => Self {
                outer_source: outer_source.0.into(),
                inner_source: inner_source.into(),
                ..Self::of(ipip_finding_kind::ForeignSource)
            },
            _ => Self::of(ipip_finding_kind::Other),
        }
    }
}
