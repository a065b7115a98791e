//! Status codes: one per kind of decision that a caller may take.

use std::ffi::{CStr, c_char};

use crate::boundary::or;

/// What a call came to. 0 is success; each other number is one kind of failure, has one meaning for
/// good and is never used again. Later versions add numbers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_status {
    /// It worked; the `_out` parameters are written.
    Ok = 0,

    // Any call: 1 to 99. Last added: 16.
    /// A pointer that must not be NULL is NULL; the text names the parameter.
    NullArgument = 1,
    /// A value is outside what its parameter or field allows; the text says what is allowed.
    InvalidArgument = 2,
    /// A string is not UTF-8.
    NotUtf8 = 3,
    /// The buffer for a result is too short; `needed_out`, where there is one, says how long it must be.
    BufferTooSmall = 4,
    /// The library met a fault of its own and stopped the call; a line on standard error says where.
    /// Free the objects that the call was given and do nothing else with them; other objects are as
    /// they were.
    Panic = 5,
    /// A failure without a number of its own yet; the text says which.
    Internal = 6,
    /// This build, this process or this machine cannot do it.
    Unsupported = 7,
    /// The time given is over. Nothing is wrong: call again.
    Timeout = 8,
    /// It was stopped from another thread.
    Stopped = 9,
    /// No such thing: namespace, interface, pool, reservation, node, block, handle or attribute.
    NotFound = 10,
    /// The name is taken: namespace, pool, reservation.
    AlreadyExists = 11,
    /// Others kept changing the same record; the retries are used up. Call again later.
    /// Or a node is at work, and its progress callback called it.
    Busy = 12,
    /// What a datastore holds is damaged or cannot be reached.
    Store = 13,
    /// A datastore no longer knows every change after the revision: list again.
    Compacted = 14,
    /// A datastore did not confirm a commit, which may have taken effect: look before you repeat it.
    CommitUnknown = 15,
    /// The node has not joined: the store has no address of it.
    NotJoined = 16,

    // The kernel: 100 to 199; `ipip_last_errno` has its number. Last added: 109.
    /// The kernel refused for a reason without a number of its own here.
    Kernel = 100,
    /// The caller lacks a privilege, such as CAP_NET_ADMIN.
    Permission = 101,
    /// This kernel has no driver for the link: ipip for a tunnel device, veth for a workload.
    NoDriver = 102,
    /// A link or route of somebody else is where ours should be.
    InTheWay = 103,
    /// The file is not a network namespace.
    NotNetns = 104,
    /// A workload's namespace is the node's own.
    SameNetns = 105,
    /// A step was refused, and the steps before it could not all be taken back.
    HalfApplied = 106,
    /// The interface went down; it may come up again.
    InterfaceDown = 107,
    /// The interface was removed.
    InterfaceGone = 108,
    /// No interface can be the underlay, or nothing says which; the text says what to name.
    NoUnderlay = 109,

    // Packets: 200 to 299. Last added: 231.
    /// The buffer ends before the packet does.
    Truncated = 200,
    /// A version field is not 4.
    Version = 201,
    /// A header length is below 5 words.
    HeaderLen = 202,
    /// A total length is below the header length.
    TotalLen = 203,
    /// A checksum does not match.
    Checksum = 204,
    /// The outer packet does not carry protocol 4.
    Protocol = 205,
    /// The outer packet is a fragment.
    OuterFragment = 206,
    /// The inner packet has no time left.
    TtlZero = 207,
    /// There is no room for 20 octets in front of the inner packet.
    Headroom = 208,
    /// The buffer to write a header into is shorter than the header.
    HeaderBuffer = 209,
    /// The packet would exceed 65,535 octets.
    PacketTooLong = 210,
    /// An ICMP message is neither echo request nor echo reply.
    IcmpType = 211,
    /// A DSCP is above 63.
    Dscp = 212,
    /// A fragment offset is above 8191 units of 8 octets.
    FragmentOffset = 213,
    /// A packet to be forwarded has no hop left.
    TtlExpired = 214,
    /// The outer header reports congestion and the inner one cannot carry the mark (RFC 6040 4.2).
    EcnDrop = 215,
    /// An ICMP message does not report an error.
    IcmpNotError = 216,
    /// A packet is too long and has DF set: its sender is to be told.
    DontFragment = 217,
    /// A fragment reaches beyond the longest packet.
    FragmentEnd = 218,
    /// The options of a header cannot be told apart.
    Options = 219,
    /// A tunnel leads to where it begins.
    SameEndpoints = 220,
    /// The inner source of a forwarded packet is an address of this node.
    OwnSource = 221,
    /// The inner source is the tunnel's exit.
    ExitSource = 222,
    /// The inner destination is the tunnel's exit.
    ExitDestination = 223,
    /// The inner packet is inside too many tunnels already.
    TunnelDepth = 224,
    /// An ICMP error quotes no IPv4 header.
    Quoted = 225,
    /// An ICMP error is about a packet that does not carry IPv4.
    QuotedProtocol = 226,
    /// An ICMP error is about a packet of another tunnel.
    QuotedEndpoints = 227,
    /// An ICMP error is about a fragment, and not the first.
    QuotedFragment = 228,
    /// The outer source is not a known node.
    UnknownNode = 229,
    /// The inner source is not behind the outer one.
    ForeignSource = 230,
    /// The inner source is no single host's address: 0.0.0.0, loopback, multicast, class E.
    NoHost = 231,

    // Addresses: 300 to 399. Last added: 313.
    /// The block has no free address.
    BlockFull = 300,
    /// There is no pool, or none of them has a free address or block left.
    PoolExhausted = 301,
    /// The address is outside the block.
    OutsideBlock = 302,
    /// The address or block is in no pool.
    OutsidePool = 303,
    /// The address is assigned already.
    AlreadyAssigned = 304,
    /// The address is not assigned.
    NotAssigned = 305,
    /// The address is assigned with another handle.
    HandleMismatch = 306,
    /// The address was released and assigned again since the caller looked.
    SequenceMismatch = 307,
    /// The block belongs to another node.
    OwnedByAnother = 308,
    /// The prefix is not one that blocks of this pool have.
    BlockSize = 309,
    /// The block or pool would share addresses with one that is there.
    Overlap = 310,
    /// The pool is disabled, or being deleted.
    PoolDisabled = 311,
    /// Another node has this underlay address.
    AddressTaken = 312,
    /// The container has another address than the one that is wanted: detach it first.
    OtherAddress = 313,

    // Capture files: 400 to 499. Last added: 403.
    /// There are no more frames. Nothing is wrong.
    EndOfCapture = 400,
    /// The file is no capture.
    NotACapture = 401,
    /// The capture is damaged or cut off; the text says at which offset.
    DamagedCapture = 402,
    /// A part of a frame was written; the next call writes the rest first.
    PartWritten = 403,
}

/// The name of a status as the header spells it, such as "IPIP_STATUS_OK"; for a number that is none,
/// "unknown status". Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_status_name(status: u32) -> *const c_char {
    or(UNKNOWN.as_ptr(), || {
        let found = NAMES.iter().find(|(known, _)| *known as u32 == status);
        found.map_or(UNKNOWN, |(_, name)| *name).as_ptr()
    })
}

const UNKNOWN: &CStr = c"unknown status";

const NAMES: [(ipip_status, &CStr); 77] = [
    (ipip_status::Ok, c"IPIP_STATUS_OK"),
    (ipip_status::NullArgument, c"IPIP_STATUS_NULL_ARGUMENT"),
    (
        ipip_status::InvalidArgument,
        c"IPIP_STATUS_INVALID_ARGUMENT",
    ),
    (ipip_status::NotUtf8, c"IPIP_STATUS_NOT_UTF8"),
    (ipip_status::BufferTooSmall, c"IPIP_STATUS_BUFFER_TOO_SMALL"),
    (ipip_status::Panic, c"IPIP_STATUS_PANIC"),
    (ipip_status::Internal, c"IPIP_STATUS_INTERNAL"),
    (ipip_status::Unsupported, c"IPIP_STATUS_UNSUPPORTED"),
    (ipip_status::Timeout, c"IPIP_STATUS_TIMEOUT"),
    (ipip_status::Stopped, c"IPIP_STATUS_STOPPED"),
    (ipip_status::NotFound, c"IPIP_STATUS_NOT_FOUND"),
    (ipip_status::AlreadyExists, c"IPIP_STATUS_ALREADY_EXISTS"),
    (ipip_status::Busy, c"IPIP_STATUS_BUSY"),
    (ipip_status::Store, c"IPIP_STATUS_STORE"),
    (ipip_status::Compacted, c"IPIP_STATUS_COMPACTED"),
    (ipip_status::CommitUnknown, c"IPIP_STATUS_COMMIT_UNKNOWN"),
    (ipip_status::NotJoined, c"IPIP_STATUS_NOT_JOINED"),
    (ipip_status::Kernel, c"IPIP_STATUS_KERNEL"),
    (ipip_status::Permission, c"IPIP_STATUS_PERMISSION"),
    (ipip_status::NoDriver, c"IPIP_STATUS_NO_DRIVER"),
    (ipip_status::InTheWay, c"IPIP_STATUS_IN_THE_WAY"),
    (ipip_status::NotNetns, c"IPIP_STATUS_NOT_NETNS"),
    (ipip_status::SameNetns, c"IPIP_STATUS_SAME_NETNS"),
    (ipip_status::HalfApplied, c"IPIP_STATUS_HALF_APPLIED"),
    (ipip_status::InterfaceDown, c"IPIP_STATUS_INTERFACE_DOWN"),
    (ipip_status::InterfaceGone, c"IPIP_STATUS_INTERFACE_GONE"),
    (ipip_status::NoUnderlay, c"IPIP_STATUS_NO_UNDERLAY"),
    (ipip_status::Truncated, c"IPIP_STATUS_TRUNCATED"),
    (ipip_status::Version, c"IPIP_STATUS_VERSION"),
    (ipip_status::HeaderLen, c"IPIP_STATUS_HEADER_LEN"),
    (ipip_status::TotalLen, c"IPIP_STATUS_TOTAL_LEN"),
    (ipip_status::Checksum, c"IPIP_STATUS_CHECKSUM"),
    (ipip_status::Protocol, c"IPIP_STATUS_PROTOCOL"),
    (ipip_status::OuterFragment, c"IPIP_STATUS_OUTER_FRAGMENT"),
    (ipip_status::TtlZero, c"IPIP_STATUS_TTL_ZERO"),
    (ipip_status::Headroom, c"IPIP_STATUS_HEADROOM"),
    (ipip_status::HeaderBuffer, c"IPIP_STATUS_HEADER_BUFFER"),
    (ipip_status::PacketTooLong, c"IPIP_STATUS_PACKET_TOO_LONG"),
    (ipip_status::IcmpType, c"IPIP_STATUS_ICMP_TYPE"),
    (ipip_status::Dscp, c"IPIP_STATUS_DSCP"),
    (ipip_status::FragmentOffset, c"IPIP_STATUS_FRAGMENT_OFFSET"),
    (ipip_status::TtlExpired, c"IPIP_STATUS_TTL_EXPIRED"),
    (ipip_status::EcnDrop, c"IPIP_STATUS_ECN_DROP"),
    (ipip_status::IcmpNotError, c"IPIP_STATUS_ICMP_NOT_ERROR"),
    (ipip_status::DontFragment, c"IPIP_STATUS_DONT_FRAGMENT"),
    (ipip_status::FragmentEnd, c"IPIP_STATUS_FRAGMENT_END"),
    (ipip_status::Options, c"IPIP_STATUS_OPTIONS"),
    (ipip_status::SameEndpoints, c"IPIP_STATUS_SAME_ENDPOINTS"),
    (ipip_status::OwnSource, c"IPIP_STATUS_OWN_SOURCE"),
    (ipip_status::ExitSource, c"IPIP_STATUS_EXIT_SOURCE"),
    (
        ipip_status::ExitDestination,
        c"IPIP_STATUS_EXIT_DESTINATION",
    ),
    (ipip_status::TunnelDepth, c"IPIP_STATUS_TUNNEL_DEPTH"),
    (ipip_status::Quoted, c"IPIP_STATUS_QUOTED"),
    (ipip_status::QuotedProtocol, c"IPIP_STATUS_QUOTED_PROTOCOL"),
    (
        ipip_status::QuotedEndpoints,
        c"IPIP_STATUS_QUOTED_ENDPOINTS",
    ),
    (ipip_status::QuotedFragment, c"IPIP_STATUS_QUOTED_FRAGMENT"),
    (ipip_status::UnknownNode, c"IPIP_STATUS_UNKNOWN_NODE"),
    (ipip_status::ForeignSource, c"IPIP_STATUS_FOREIGN_SOURCE"),
    (ipip_status::NoHost, c"IPIP_STATUS_NO_HOST"),
    (ipip_status::BlockFull, c"IPIP_STATUS_BLOCK_FULL"),
    (ipip_status::PoolExhausted, c"IPIP_STATUS_POOL_EXHAUSTED"),
    (ipip_status::OutsideBlock, c"IPIP_STATUS_OUTSIDE_BLOCK"),
    (ipip_status::OutsidePool, c"IPIP_STATUS_OUTSIDE_POOL"),
    (
        ipip_status::AlreadyAssigned,
        c"IPIP_STATUS_ALREADY_ASSIGNED",
    ),
    (ipip_status::NotAssigned, c"IPIP_STATUS_NOT_ASSIGNED"),
    (ipip_status::HandleMismatch, c"IPIP_STATUS_HANDLE_MISMATCH"),
    (
        ipip_status::SequenceMismatch,
        c"IPIP_STATUS_SEQUENCE_MISMATCH",
    ),
    (ipip_status::OwnedByAnother, c"IPIP_STATUS_OWNED_BY_ANOTHER"),
    (ipip_status::BlockSize, c"IPIP_STATUS_BLOCK_SIZE"),
    (ipip_status::Overlap, c"IPIP_STATUS_OVERLAP"),
    (ipip_status::PoolDisabled, c"IPIP_STATUS_POOL_DISABLED"),
    (ipip_status::AddressTaken, c"IPIP_STATUS_ADDRESS_TAKEN"),
    (ipip_status::OtherAddress, c"IPIP_STATUS_OTHER_ADDRESS"),
    (ipip_status::EndOfCapture, c"IPIP_STATUS_END_OF_CAPTURE"),
    (ipip_status::NotACapture, c"IPIP_STATUS_NOT_A_CAPTURE"),
    (ipip_status::DamagedCapture, c"IPIP_STATUS_DAMAGED_CAPTURE"),
    (ipip_status::PartWritten, c"IPIP_STATUS_PART_WRITTEN"),
];
