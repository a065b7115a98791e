/*
 * libipip: the pod network that Calico builds in IPIP mode, for C and C++.
 *
 * Conventions, the same for every function:
 *
 * - A function that can fail returns `enum ipip_status`: 0 is success, every other number is one kind
 *   of failure and means the same for good. `ipip_last_error` then has the text and
 *   `ipip_last_errno` the kernel's number, each per thread.
 * - Names are `ipip_<object>_<verb>`. The object comes first; inputs are const and not changed;
 *   results come last, in parameters named `_out`, written on success only and left alone otherwise
 *   (but `needed_out` is also written with IPIP_STATUS_BUFFER_TOO_SMALL). No parameter is both. An
 *   `_out` may be NULL only where its function says so. Pointers given to one call must not overlap.
 * - A failed call leaves its objects, and the kernel, as they were, unless its status says otherwise
 *   (IPIP_STATUS_HALF_APPLIED, IPIP_STATUS_PANIC).
 * - NULL where an object, a string or a result is needed is an error, not a crash. Enums arrive as
 *   uint32_t and flags as uint8_t (0 or 1), and both are checked.
 * - A buffer is a pointer and its `_len` in octets; it may be NULL if `_len` is 0. Strings are UTF-8
 *   and end in a zero. A string that is returned is static, or written into the caller's buffer:
 *   `needed_out` says how long that must be, the final zero included, so a first call with NULL and 0
 *   asks for the length.
 * - Objects come from `_new`, `_open`, `_create` or an `_out` parameter, and the caller gives each
 *   back once, with its `_free` function, which takes NULL too. Structs whose fields are visible are
 *   plain values; the library keeps no pointer into them after a call.
 * - Threads: the doc of each object says whether threads may share it. Different objects may always be
 *   used at once. The library starts threads only inside a call, and they end with it.
 * - A blocking call has a timeout and returns within it.
 * - No fault inside the library unwinds into C: it becomes IPIP_STATUS_PANIC. A callback must return;
 *   it may neither longjmp nor throw.
 * - Structs may grow with a minor version before 1.0 (compile again), and do not afterwards.
 */

#ifndef IPIP_H
#define IPIP_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header. */
#define IPIP_VERSION_MAJOR 0
#define IPIP_VERSION_MINOR 1
#define IPIP_VERSION_PATCH 0
#define IPIP_VERSION "0.1.0"

/**
 * Octets that encapsulation adds, and the least headroom: one IPv4 header without options.
 */
#define IPIP_HEADER_LEN 20

/**
 * The mark that Calico's routes between nodes have always borne (`proto bird`).
 */
#define IPIP_ROUTE_PROTOCOL_BIRD 12

/**
 * What a call came to. 0 is success; each other number is one kind of failure, has one meaning for
 * good and is never used again. Later versions add numbers.
 */
enum ipip_status {
    /**
     * It worked; the `_out` parameters are written.
     */
    IPIP_STATUS_OK = 0,
    /**
     * A pointer that must not be NULL is NULL; the text names the parameter.
     */
    IPIP_STATUS_NULL_ARGUMENT = 1,
    /**
     * A value is outside what its parameter or field allows; the text says what is allowed.
     */
    IPIP_STATUS_INVALID_ARGUMENT = 2,
    /**
     * A string is not UTF-8.
     */
    IPIP_STATUS_NOT_UTF8 = 3,
    /**
     * The buffer for a result is too short; `needed_out`, where there is one, says how long it must be.
     */
    IPIP_STATUS_BUFFER_TOO_SMALL = 4,
    /**
     * The library met a fault of its own and stopped the call; a line on standard error says where.
     * Free the objects that the call was given and do nothing else with them; other objects are as
     * they were.
     */
    IPIP_STATUS_PANIC = 5,
    /**
     * A failure without a number of its own yet; the text says which.
     */
    IPIP_STATUS_INTERNAL = 6,
    /**
     * This build or this process cannot do it.
     */
    IPIP_STATUS_UNSUPPORTED = 7,
    /**
     * The time given is over. Nothing is wrong: call again.
     */
    IPIP_STATUS_TIMEOUT = 8,
    /**
     * It was stopped from another thread.
     */
    IPIP_STATUS_STOPPED = 9,
    /**
     * No such thing: namespace, interface, block, handle or attribute.
     */
    IPIP_STATUS_NOT_FOUND = 10,
    /**
     * The name is taken: namespace, pool.
     */
    IPIP_STATUS_ALREADY_EXISTS = 11,
    /**
     * Others kept changing the same record; the retries are used up. Call again later.
     */
    IPIP_STATUS_BUSY = 12,
    /**
     * What a datastore holds is damaged or cannot be reached.
     */
    IPIP_STATUS_STORE = 13,
    /**
     * The kernel refused for a reason without a number of its own here.
     */
    IPIP_STATUS_KERNEL = 100,
    /**
     * The caller lacks a privilege, such as CAP_NET_ADMIN.
     */
    IPIP_STATUS_PERMISSION = 101,
    /**
     * This kernel has no driver for the link: ipip for a tunnel device, veth for a workload.
     */
    IPIP_STATUS_NO_DRIVER = 102,
    /**
     * A link or route of somebody else is where ours should be.
     */
    IPIP_STATUS_IN_THE_WAY = 103,
    /**
     * The file is not a network namespace.
     */
    IPIP_STATUS_NOT_NETNS = 104,
    /**
     * A workload's namespace is the node's own.
     */
    IPIP_STATUS_SAME_NETNS = 105,
    /**
     * A step was refused, and the steps before it could not all be taken back.
     */
    IPIP_STATUS_HALF_APPLIED = 106,
    /**
     * The interface went down; it may come up again.
     */
    IPIP_STATUS_INTERFACE_DOWN = 107,
    /**
     * The interface was removed.
     */
    IPIP_STATUS_INTERFACE_GONE = 108,
    /**
     * The buffer ends before the packet does.
     */
    IPIP_STATUS_TRUNCATED = 200,
    /**
     * A version field is not 4.
     */
    IPIP_STATUS_VERSION = 201,
    /**
     * A header length is below 5 words.
     */
    IPIP_STATUS_HEADER_LEN = 202,
    /**
     * A total length is below the header length.
     */
    IPIP_STATUS_TOTAL_LEN = 203,
    /**
     * A checksum does not match.
     */
    IPIP_STATUS_CHECKSUM = 204,
    /**
     * The outer packet does not carry protocol 4.
     */
    IPIP_STATUS_PROTOCOL = 205,
    /**
     * The outer packet is a fragment.
     */
    IPIP_STATUS_OUTER_FRAGMENT = 206,
    /**
     * The inner packet has no time left.
     */
    IPIP_STATUS_TTL_ZERO = 207,
    /**
     * There is no room for 20 octets in front of the inner packet.
     */
    IPIP_STATUS_HEADROOM = 208,
    /**
     * The buffer to write a header into is shorter than the header.
     */
    IPIP_STATUS_HEADER_BUFFER = 209,
    /**
     * The packet would exceed 65,535 octets.
     */
    IPIP_STATUS_PACKET_TOO_LONG = 210,
    /**
     * An ICMP message is neither echo request nor echo reply.
     */
    IPIP_STATUS_ICMP_TYPE = 211,
    /**
     * A DSCP is above 63.
     */
    IPIP_STATUS_DSCP = 212,
    /**
     * A fragment offset is above 8191 units of 8 octets.
     */
    IPIP_STATUS_FRAGMENT_OFFSET = 213,
    /**
     * A packet to be forwarded has no hop left.
     */
    IPIP_STATUS_TTL_EXPIRED = 214,
    /**
     * The outer header reports congestion and the inner one cannot carry the mark (RFC 6040 4.2).
     */
    IPIP_STATUS_ECN_DROP = 215,
    /**
     * An ICMP message does not report an error.
     */
    IPIP_STATUS_ICMP_NOT_ERROR = 216,
    /**
     * The block has no free address.
     */
    IPIP_STATUS_BLOCK_FULL = 300,
    /**
     * There is no pool, or none of them has a free address or block left.
     */
    IPIP_STATUS_POOL_EXHAUSTED = 301,
    /**
     * The address is outside the block.
     */
    IPIP_STATUS_OUTSIDE_BLOCK = 302,
    /**
     * The address or block is in no pool.
     */
    IPIP_STATUS_OUTSIDE_POOL = 303,
    /**
     * The address is assigned already.
     */
    IPIP_STATUS_ALREADY_ASSIGNED = 304,
    /**
     * The address is not assigned.
     */
    IPIP_STATUS_NOT_ASSIGNED = 305,
    /**
     * The address is assigned with another handle.
     */
    IPIP_STATUS_HANDLE_MISMATCH = 306,
    /**
     * The address was released and assigned again since the caller looked.
     */
    IPIP_STATUS_SEQUENCE_MISMATCH = 307,
    /**
     * The block belongs to another node.
     */
    IPIP_STATUS_OWNED_BY_ANOTHER = 308,
    /**
     * The prefix is not one that blocks of this pool have.
     */
    IPIP_STATUS_BLOCK_SIZE = 309,
    /**
     * The block or pool would share addresses with one that is there.
     */
    IPIP_STATUS_OVERLAP = 310,
    /**
     * The pool is disabled, or being deleted.
     */
    IPIP_STATUS_POOL_DISABLED = 311,
};

/**
 * What `ipip_finish_partial_checksum` found and did.
 */
enum ipip_partial_checksum {
    /**
     * There is no such field: neither TCP nor UDP, a fragment, or a header cut short.
     */
    IPIP_PARTIAL_CHECKSUM_NOT_APPLICABLE = 0,
    /**
     * The field holds something else: a finished checksum, right or wrong, or none (UDP's 0).
     */
    IPIP_PARTIAL_CHECKSUM_NOT_PARTIAL = 1,
    /**
     * The field held the pseudo-header's sum alone; now it holds the checksum.
     */
    IPIP_PARTIAL_CHECKSUM_FINISHED = 2,
};

/**
 * What an address of a block is.
 */
enum ipip_use {
    /**
     * It may be assigned.
     */
    IPIP_USE_FREE = 0,
    /**
     * It is assigned, or was released a moment ago and is not free yet.
     */
    IPIP_USE_ASSIGNED = 1,
};

/**
 * What became of a block that its node gave up.
 */
enum ipip_block_release {
    /**
     * It was empty and is gone: anybody may claim it.
     */
    IPIP_BLOCK_RELEASE_DELETED = 0,
    /**
     * It has addresses and stays until the last of them is released: nobody may claim it.
     */
    IPIP_BLOCK_RELEASE_ORPHANED = 1,
};

/**
 * What the first octet of a frame belongs to; the number is the link type of a pcap file.
 */
enum ipip_link_type {
    /**
     * An Ethernet header: veth and real interfaces.
     */
    IPIP_LINK_TYPE_ETHERNET = 1,
    /**
     * An IP header: tunl0 and TUN interfaces.
     */
    IPIP_LINK_TYPE_RAW_IP = 101,
};

/**
 * Which way a frame passed its interface.
 */
enum ipip_direction {
    /**
     * Into this host, whomever it is addressed to.
     */
    IPIP_DIRECTION_INCOMING = 0,
    /**
     * Out of this host.
     */
    IPIP_DIRECTION_OUTGOING = 1,
    /**
     * The capture does not say; a live one always does.
     */
    IPIP_DIRECTION_UNKNOWN = 2,
};

/**
 * How much a log callback wants to hear; each level includes those before it.
 */
enum ipip_log_level {
    /**
     * Nothing.
     */
    IPIP_LOG_LEVEL_OFF = 0,
    /**
     * What went wrong and has no caller to be told.
     */
    IPIP_LOG_LEVEL_ERROR = 1,
    /**
     * What a person should know.
     */
    IPIP_LOG_LEVEL_WARN = 2,
    /**
     * What happened, in large.
     */
    IPIP_LOG_LEVEL_INFO = 3,
    /**
     * Each change to the kernel, as the shell command that does the same.
     */
    IPIP_LOG_LEVEL_DEBUG = 4,
    /**
     * Everything.
     */
    IPIP_LOG_LEVEL_TRACE = 5,
};

/**
 * Where the outer TTL comes from.
 */
enum ipip_ttl_policy {
    /**
     * The inner packet's: `ip tunnel ... ttl inherit`.
     */
    IPIP_TTL_POLICY_INHERIT = 0,
    /**
     * Always the field `ttl`.
     */
    IPIP_TTL_POLICY_FIXED = 1,
};

/**
 * Where the outer DSCP comes from (RFC 2983 section 3.1).
 */
enum ipip_dscp_policy {
    /**
     * Always the field `dscp`: the pipe model.
     */
    IPIP_DSCP_POLICY_FIXED = 0,
    /**
     * The inner packet's: the uniform model.
     */
    IPIP_DSCP_POLICY_INHERIT = 1,
};

/**
 * Where the outer ECN field comes from.
 */
enum ipip_ecn_policy {
    /**
     * The inner one, but ECT(0) where the inner one is CE: what Linux does, RFC 3168 section 9.1.1.
     */
    IPIP_ECN_POLICY_KERNEL = 0,
    /**
     * The inner one as it is: normal mode of RFC 6040 section 4.1.
     */
    IPIP_ECN_POLICY_NORMAL = 1,
    /**
     * Not ECT: compatibility mode of RFC 6040, for an exit that does not know ECN.
     */
    IPIP_ECN_POLICY_COMPATIBILITY = 2,
};

/**
 * Where the outer DF comes from. An inner DF always makes an outer one (RFC 2003 section 3.1).
 */
enum ipip_df_policy {
    /**
     * The inner packet's: `ip tunnel ... nopmtudisc`.
     */
    IPIP_DF_POLICY_INHERIT = 0,
    /**
     * Always set: `ip tunnel ... pmtudisc`.
     */
    IPIP_DF_POLICY_ALWAYS = 1,
};

/**
 * Which half of an echo exchange: the ICMP type.
 */
enum ipip_echo_kind {
    /**
     * Type 0.
     */
    IPIP_ECHO_KIND_REPLY = 0,
    /**
     * Type 8.
     */
    IPIP_ECHO_KIND_REQUEST = 8,
};

/**
 * When packets between two nodes of a pool are encapsulated: Calico's `ipipMode`.
 */
enum ipip_mode {
    /**
     * Never: routes go directly to the node.
     */
    IPIP_MODE_NEVER = 0,
    /**
     * Always, also inside one subnet.
     */
    IPIP_MODE_ALWAYS = 1,
    /**
     * Only if the two nodes are in different subnets.
     */
    IPIP_MODE_CROSS_SUBNET = 2,
};

/**
 * What the addresses of a pool may be assigned for: bits, to be combined by `|`.
 */
enum ipip_pool_use {
    /**
     * Pods and other workloads.
     */
    IPIP_POOL_USE_WORKLOAD = 1,
    /**
     * The tunnel devices of nodes.
     */
    IPIP_POOL_USE_TUNNEL = 2,
    /**
     * Services of type LoadBalancer.
     */
    IPIP_POOL_USE_LOAD_BALANCER = 4,
};

/**
 * Who may be assigned addresses of a pool.
 */
enum ipip_assignment_mode {
    /**
     * Whoever asks for any address.
     */
    IPIP_ASSIGNMENT_MODE_AUTOMATIC = 0,
    /**
     * Only who names the pool or the address.
     */
    IPIP_ASSIGNMENT_MODE_MANUAL = 1,
};

/**
 * One block in memory: which of its addresses are assigned to whom. /26 as a rule, /20 to /32
 * possible. Free addresses queue: the next one assigned is the one that has been free longest.
 * Network and broadcast address are addresses like any other. A call that fails leaves the block as
 * it was.
 *
 * Ownership: whoever got it from `ipip_block_new` or an allocator frees it; a block of an allocator is a
 * copy, and changing it changes nothing in the store. Threads: one at a time; threads that share a
 * block need a lock around every call.
 */
struct ipip_block;

/**
 * A running capture of one interface, both directions.
 *
 * Ownership: whoever got it from `ipip_capture_open` frees it. Threads: `ipip_capture_stop` may be
 * called on any thread at any time before `ipip_capture_free`; the other functions take turns, and a
 * frame's octets belong to the thread that asked for it.
 */
struct ipip_capture;

/**
 * What a call changed, in the order in which it was applied. None means that everything was as it
 * should be already.
 *
 * Ownership: whoever got it as `changes_out` frees it. Threads: it never changes, so threads may share
 * it without a lock.
 */
struct ipip_changes;

/**
 * Writes the outer headers of one tunnel: a struct ipip_outer checked once, with all that never changes
 * worked out. Builds the same octets as `ipip_encapsulate`, in less time; make one for each tunnel and
 * keep it.
 *
 * Threads: any number may share one, since no call changes it.
 */
struct ipip_encapsulator;

/**
 * An allocator on a store: nodes claim blocks from pools and assign addresses from them.
 *
 * It keeps nothing but the store, so any number of them may work on one store, and Calico beside
 * them. Each call either does all that it says or leaves the store as it was.
 *
 * Ownership: whoever got it from `ipip_ipam_new` frees it. Threads: may share it without a lock.
 */
struct ipip_ipam;

/**
 * An open network namespace; it lives at least as long as this object.
 *
 * Ownership: whoever got it from `ipip_netns_create` and its like frees it. Threads: it never changes,
 * so threads may share it without a lock.
 */
struct ipip_netns;

/**
 * A node as Calico stores it: labels, by which pools select it, its address on the underlay with the
 * length of its subnet, and the address of its tunnel device. Fields that we do not know stay.
 *
 * Ownership: whoever got it frees it. Threads: one at a time; threads that share a record need a lock
 * around every call.
 */
struct ipip_node_record;

/**
 * Addresses set aside (Calico's IPReservation): assigning any address passes over them, asking for
 * one of them by name does not.
 *
 * Ownership: whoever got it frees it. Threads: may share it without a lock.
 */
struct ipip_reservation;

/**
 * A datastore with Calico's keys and values.
 *
 * Ownership: whoever got it from an `ipip_store_open_...` function frees it; an allocator keeps what it
 * needs of it, so the two may be freed in any order. Threads: may share it without a lock.
 */
struct ipip_store;

/**
 * Takes one message: its level (an enum ipip_log_level), the part of the library that speaks, such as
 * "ipip_core::netlink", and the text, one line without a line feed. Both strings are valid during the
 * call only; `user_data` is what `ipip_set_log_callback` was given.
 */
typedef void (*ipip_log_callback)(uint32_t level,
                                  const char *target,
                                  const char *message,
                                  void *user_data);

/**
 * An IPv4 address. Its octets lie as in a packet and in `struct in_addr`, so `inet_pton(AF_INET, text,
 * &address)` fills it.
 */
struct ipip_ipv4 {
    /**
     * The octets as they are written: {10, 244, 79, 20} is 10.244.79.20.
     */
    uint8_t octets[4];
};

/**
 * An IPv4 prefix.
 */
struct ipip_prefix {
    /**
     * The first address: no bit below `len` is set.
     */
    struct ipip_ipv4 network;
    /**
     * The length in bits, 0 to 32.
     */
    uint8_t len;
};

/**
 * The fields of an IPv4 header without options (RFC 791), to be written or as read. Numbers are in
 * the byte order of the machine.
 */
struct ipip_ipv4_header {
    /**
     * The upper 6 bits of the TOS octet, 0 to 63.
     */
    uint8_t dscp;
    /**
     * The lower 2 bits of the TOS octet: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE.
     */
    uint8_t ecn;
    /**
     * What the fragments of one packet share.
     */
    uint16_t identification;
    /**
     * DF, 0 or 1: routers may not fragment the packet.
     */
    uint8_t dont_fragment;
    /**
     * MF, 0 or 1: another fragment follows.
     */
    uint8_t more_fragments;
    /**
     * Where this fragment belongs, in units of 8 octets, 0 to 8191.
     */
    uint16_t fragment_offset;
    /**
     * Hops left, 0 to 255.
     */
    uint8_t ttl;
    /**
     * What the payload is: 1 ICMP, 4 IPv4 in IPv4, 6 TCP, 17 UDP.
     */
    uint8_t protocol;
    /**
     * Where the packet comes from.
     */
    struct ipip_ipv4 source;
    /**
     * Where the packet goes.
     */
    struct ipip_ipv4 destination;
};

/**
 * Octets within the buffer that a call was given: `buffer + offset`, `len` of them.
 */
struct ipip_span {
    /**
     * Octets before the first, from the start of the buffer.
     */
    size_t offset;
    /**
     * How many octets.
     */
    size_t len;
};

/**
 * A checked IPv4 packet: its fields, and where its parts lie in the buffer that was parsed.
 */
struct ipip_ipv4_view {
    /**
     * The fields of the header.
     */
    struct ipip_ipv4_header header;
    /**
     * The header checksum as found, which is right.
     */
    uint16_t checksum;
    /**
     * Length of the header with its options, in octets, 20 to 60.
     */
    uint16_t header_len;
    /**
     * Length of the packet in octets, header included.
     */
    uint16_t total_len;
    /**
     * The options with their padding, 0 to 40 octets, unread.
     */
    struct ipip_span options;
    /**
     * What follows the header, up to the total length.
     */
    struct ipip_span payload;
    /**
     * The packet from its first header octet to its total length; the buffer may be longer.
     */
    struct ipip_span packet;
};

/**
 * What an encapsulating node writes in front of an inner packet.
 *
 * All zero but for the two addresses is what the kernel's tunl0 does, and so what Calico's nodes do.
 */
struct ipip_outer {
    /**
     * This node: the outer source.
     */
    struct ipip_ipv4 local;
    /**
     * The other node: the outer destination.
     */
    struct ipip_ipv4 remote;
    /**
     * An enum ipip_ttl_policy.
     */
    uint32_t ttl_policy;
    /**
     * An enum ipip_dscp_policy.
     */
    uint32_t dscp_policy;
    /**
     * An enum ipip_ecn_policy.
     */
    uint32_t ecn_policy;
    /**
     * An enum ipip_df_policy.
     */
    uint32_t df_policy;
    /**
     * The outer TTL, 1 to 255; read with IPIP_TTL_POLICY_FIXED only.
     */
    uint8_t ttl;
    /**
     * The outer DSCP, 0 to 63; read with IPIP_DSCP_POLICY_FIXED only.
     */
    uint8_t dscp;
    /**
     * The outer identification. Where DF ends up clear the caller has to make it unique per source,
     * destination and protocol for as long as a fragment may live (RFC 6864 section 4.1); with DF any
     * value will do.
     */
    uint16_t identification;
};

/**
 * Both packets of a checked IPIP packet.
 */
struct ipip_packet {
    /**
     * The packet between the nodes.
     */
    struct ipip_ipv4_view outer;
    /**
     * The packet it carries.
     */
    struct ipip_ipv4_view inner;
};

/**
 * One header of a packet in a batch, in the byte order of the machine; all zero if the packet is not
 * good. The struct has no padding.
 */
struct ipip_header_fields {
    /**
     * Where the packet comes from, as a number: 0x0af44f14 is 10.244.79.20.
     */
    uint32_t source;
    /**
     * Where the packet goes, as a number.
     */
    uint32_t destination;
    /**
     * What the fragments of one packet share.
     */
    uint16_t identification;
    /**
     * Length of the packet in octets, header included.
     */
    uint16_t total_len;
    /**
     * The flags and the fragment offset as they stand in the header: 0x4000 is DF, 0x2000 is MF, the
     * lower 13 bits are the offset in units of 8 octets.
     */
    uint16_t fragment;
    /**
     * The header checksum as found, which is right.
     */
    uint16_t checksum;
    /**
     * DSCP in the upper 6 bits, ECN in the lower 2.
     */
    uint8_t tos;
    /**
     * Hops left.
     */
    uint8_t ttl;
    /**
     * What the payload is: 1 ICMP, 4 IPv4 in IPv4, 6 TCP, 17 UDP.
     */
    uint8_t protocol;
    /**
     * Length of the header with its options, in octets, 20 to 60.
     */
    uint8_t header_len;
};

/**
 * Both headers of a packet in a batch. The inner packet starts `outer.header_len` octets after the
 * outer one and is `inner.total_len` octets long. The struct has no padding.
 */
struct ipip_fields {
    /**
     * The packet between the nodes.
     */
    struct ipip_header_fields outer;
    /**
     * The packet it carries.
     */
    struct ipip_header_fields inner;
    /**
     * An enum ipip_status: IPIP_STATUS_OK, or what is wrong with the packet; the fields are zero then.
     */
    uint32_t status;
};

/**
 * The header of an echo message. Numbers are in the byte order of the machine.
 */
struct ipip_echo {
    /**
     * An enum ipip_echo_kind.
     */
    uint32_t kind;
    /**
     * What tells one sender's requests from another's.
     */
    uint16_t identifier;
    /**
     * Counts a sender's requests.
     */
    uint16_t sequence;
};

/**
 * A checked echo message.
 */
struct ipip_echo_view {
    /**
     * The header.
     */
    struct ipip_echo echo;
    /**
     * The checksum as found, which is right.
     */
    uint16_t checksum;
    /**
     * What the reply must return unchanged, within the buffer that was parsed.
     */
    struct ipip_span data;
};

/**
 * A key and its value.
 */
struct ipip_pair {
    /**
     * The key, not NULL.
     */
    const char *key;
    /**
     * The value, not NULL.
     */
    const char *value;
};

/**
 * To whom an address is assigned. All zero is nobody in particular: such an address can be released
 * by itself only.
 */
struct ipip_attribute {
    /**
     * The handle, by which all its addresses can be released at once; NULL for none. 1 to 253 octets
     * without '/', white space and control characters.
     */
    const char *handle;
    /**
     * What is known of the workload, no key twice. Calico's keys are "namespace", "pod", "node",
     * "type" and "timestamp". NULL if `pairs_len` is 0.
     */
    const struct ipip_pair *pairs;
    /**
     * How many pairs there are.
     */
    size_t pairs_len;
};

/**
 * An address that was assigned.
 */
struct ipip_assignment {
    /**
     * The address.
     */
    struct ipip_ipv4 address;
    /**
     * Its block's prefix.
     */
    struct ipip_prefix block;
    /**
     * The sequence number of the assignment, for `struct ipip_release`.
     */
    uint64_t sequence;
};

/**
 * An address to be released, and what the caller knows of its assignment. All zero but for the
 * address releases it whoever has it.
 */
struct ipip_release {
    /**
     * The address.
     */
    struct ipip_ipv4 address;
    /**
     * The handle that it must have; NULL accepts any, and none.
     */
    const char *handle;
    /**
     * The sequence number that its assignment must have, so that a second assignment of the address is
     * left alone; NULL accepts any.
     */
    const uint64_t *sequence;
};

/**
 * A pool: the prefix that blocks are cut from, and how its addresses are routed.
 */
struct ipip_pool {
    /**
     * Its name, as Kubernetes writes names: 1 to 253 of a-z, 0-9, '-' and '.'.
     */
    const char *name;
    /**
     * Its prefix, not link-local and no smaller than a block.
     */
    struct ipip_prefix cidr;
    /**
     * The prefix length of its blocks in bits, 20 to 32; 26 as a rule.
     */
    uint8_t block_len;
    /**
     * 1 if nothing is assigned or claimed from it, else 0.
     */
    uint8_t disabled;
    /**
     * 1 if packets that leave the cluster take the node's address, else 0.
     */
    uint8_t nat_outgoing;
    /**
     * An enum ipip_mode; 0 is Never, as Calico has it where nothing is said.
     */
    uint32_t ipip_mode;
    /**
     * Which nodes may claim blocks of it unasked, in Calico's selector language, such as
     * "zone == 'west'"; NULL is "all()".
     */
    const char *node_selector;
    /**
     * Bits of enum ipip_pool_use; 0 is IPIP_POOL_USE_WORKLOAD | IPIP_POOL_USE_TUNNEL, as Calico has it
     * where nothing is said.
     */
    uint32_t allowed_uses;
    /**
     * An enum ipip_assignment_mode; 0 is Automatic.
     */
    uint32_t assignment_mode;
};

/**
 * The allocator's configuration, one for the whole cluster (`calicoctl ipam configure`). Begin with
 * `ipip_allocator_config_default`: all zero would be a configuration that is refused.
 *
 * What Calico stores beside these fields stays in the store when they change.
 */
struct ipip_allocator_config {
    /**
     * 1 if a node assigns addresses of its own blocks only and never borrows, else 0.
     */
    uint8_t strict_affinity;
    /**
     * 1 if a node that needs a block claims one, else 0, which needs strict affinity.
     */
    uint8_t auto_allocate_blocks;
    /**
     * The most blocks that a node may claim, which needs strict affinity; 0 says nothing and leaves
     * Calico's 20.
     */
    uint32_t max_blocks_per_node;
    /**
     * How many seconds a released address is given to nobody, at most 1200.
     */
    uint32_t cooldown;
};

/**
 * A program's function that runs inside a namespace; what it returns comes back as `result_out`.
 */
typedef int (*ipip_netns_callback)(void *user_data);

/**
 * A node's tunnel device and the address that it holds.
 */
struct ipip_tunnel {
    /**
     * The device; NULL for "tunl0".
     */
    const char *device;
    /**
     * Its overlay address, set as a /32.
     */
    struct ipip_ipv4 address;
    /**
     * Its MTU in octets, 68 to 65,515: the underlay's less 20.
     */
    uint32_t mtu;
};

/**
 * A workload and its one interface.
 */
struct ipip_workload {
    /**
     * The Kubernetes namespace, such as "default".
     */
    const char *pod_namespace;
    /**
     * The pod's name.
     */
    const char *pod;
    /**
     * The interface inside; NULL for "eth0".
     */
    const char *interface;
    /**
     * Its address, set as a /32.
     */
    struct ipip_ipv4 address;
    /**
     * Its MTU in octets, 68 to 65,515: the tunnel's.
     */
    uint32_t mtu;
};

/**
 * The way to another node's block: `BLOCK via NODE dev tunl0 proto bird onlink`.
 */
struct ipip_peer_route {
    /**
     * The block, or a /32 for a borrowed address; not 0.0.0.0/0.
     */
    struct ipip_prefix block;
    /**
     * The underlay address of the node that holds it. On an ipip device the kernel takes it as the
     * outer destination.
     */
    struct ipip_ipv4 node_addr;
    /**
     * NULL for "tunl0"; the underlay's interface where this node is reached directly.
     */
    const char *device;
    /**
     * Whose mark the route bears, as in /etc/iproute2/rt_protos: IPIP_ROUTE_PROTOCOL_BIRD as a rule;
     * not 0.
     */
    uint8_t protocol;
};

/**
 * The guard of a node's own block: `blackhole BLOCK proto bird`, so that a packet for an address that
 * no workload has ends here and does not follow the default route.
 */
struct ipip_blackhole {
    /**
     * The node's own block; not 0.0.0.0/0.
     */
    struct ipip_prefix block;
    /**
     * Whose mark the route bears: IPIP_ROUTE_PROTOCOL_BIRD as a rule; not 0.
     */
    uint8_t protocol;
};

/**
 * One frame as it passed an interface.
 */
struct ipip_frame {
    /**
     * The frame from its first octet, without frame check sequence. The octets belong to the capture
     * and are valid until the next `ipip_capture_next` or `ipip_capture_free`.
     */
    const uint8_t *octets;
    /**
     * How many octets there are, at most 262,144.
     */
    size_t octets_len;
    /**
     * Octets that it had on the interface, at least `octets_len`.
     */
    size_t original_len;
    /**
     * When the kernel saw it, in nanoseconds since 1970.
     */
    uint64_t time_ns;
    /**
     * What the first octet belongs to.
     */
    enum ipip_link_type link_type;
    /**
     * Which way it passed.
     */
    enum ipip_direction direction;
    /**
     * 1 if its transport checksum was left for hardware, or for another host's kernel on the same
     * machine, to finish: what it shows then is only the sum of the pseudo-header. Else 0.
     */
    uint8_t checksum_pending;
};

/**
 * How many frames a capture met.
 */
struct ipip_capture_counts {
    /**
     * Frames that passed the interface, dropped ones included.
     */
    uint64_t seen;
    /**
     * Frames that the kernel threw away because the reader was too slow.
     */
    uint64_t dropped;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status as the header spells it, such as "IPIP_STATUS_OK"; for a number that is none,
 * "unknown status". Static, never NULL.
 */
const char *ipip_status_name(uint32_t status);

/**
 * What the last failed call on this thread has to say: what it was about, what was found and what is
 * allowed; for kernel errors also the kernel's words. "" if none failed yet.
 *
 * Never NULL. Valid until the next call that fails on this thread, or the thread's end; copy it to
 * keep it. A call that succeeds leaves it as it is, so look only after a failure.
 */
const char *ipip_last_error(void);

/**
 * The kernel's error number (`errno.h`) behind the last failed call on this thread; 0 if the kernel
 * had no part in it, or no call has failed yet.
 */
int ipip_last_errno(void);

/**
 * The version of the library that runs, such as "0.1.0"; compare with `IPIP_VERSION`, that of the
 * header. Static, never NULL.
 */
const char *ipip_version(void);

/**
 * Whether the library that runs was built with an optional part: 1 or 0. A name that it does not know,
 * and NULL, is 0, so a program may ask for parts that only later versions have: "sqlite", "etcd", "bpf".
 * What this header declares is always there.
 *
 * The caller sees to it that:
 * `name` is NULL or a string that ends in a zero.
 */
int ipip_has_feature(const char *name);

/**
 * Sends the messages of the whole process, up to `level` (an enum ipip_log_level), to `callback`.
 * It replaces the one before; NULL ends all messages.
 *
 * Threads: the callback is called on whatever thread a message arises, also on threads of the
 * library, and on several at once. When this function returns, the callback before is not running
 * and will not be called any more, so its `user_data` may go. The callback may call functions of this
 * library, except this one; messages that arise meanwhile on its thread are dropped. It must return
 * (no longjmp, no C++ exception).
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an unknown level, IPIP_STATUS_BUSY from inside a callback,
 * IPIP_STATUS_UNSUPPORTED if a Rust program around this library has a logger of its own.
 */
enum ipip_status ipip_set_log_callback(uint32_t level,
                                       ipip_log_callback callback,
                                       void *user_data);

/**
 * Reads an address such as "10.244.79.20".
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none.
 *
 * The caller sees to it that:
 * `text` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipv4_from_text(const char *text, struct ipip_ipv4 *address_out);

/**
 * Reads a prefix such as "10.244.79.0/26".
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none, or has bits set below its length.
 *
 * The caller sees to it that:
 * `text` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_prefix_from_text(const char *text, struct ipip_prefix *prefix_out);

/**
 * Writes an address as text, at most 16 octets with the final zero.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_ipv4_to_text(const struct ipip_ipv4 *address,
                                   char *text,
                                   size_t text_len,
                                   size_t *needed_out);

/**
 * Writes a prefix as text, at most 19 octets with the final zero.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_prefix_to_text(const struct ipip_prefix *prefix,
                                     char *text,
                                     size_t text_len,
                                     size_t *needed_out);

/**
 * The internet checksum of some octets (RFC 1071), in the byte order of the machine: what belongs in
 * a field while the field itself is zero, and 0 over octets that include a right one.
 *
 * The caller sees to it that:
 * `bytes` is NULL or points to `bytes_len` octets.
 */
enum ipip_status ipip_checksum(const uint8_t *bytes,
                               size_t bytes_len,
                               uint16_t *checksum_out);

/**
 * Finishes the TCP or UDP checksum of the packet at the start of `inner` if a sender on this host left
 * it to hardware that is not there (Linux: CHECKSUM_PARTIAL); changes nothing otherwise. A packet that
 * a packet or raw socket read from a veth pair needs this before it leaves in a tunnel: without it
 * ping works and TCP does not.
 *
 * A damaged packet is taken for a partial one, and so accepted, once in 65,536 times; use it only
 * where the sender may be on this host.
 *
 * `result_out` and `checksum_out` (the checksum written, with IPIP_PARTIAL_CHECKSUM_FINISHED only) may
 * be NULL. The failures are those of `ipip_ipv4_parse`; nothing is written then.
 *
 * The caller sees to it that:
 * `inner` is NULL or points to `inner_len` octets that nobody else uses.
 */
enum ipip_status ipip_finish_partial_checksum(uint8_t *inner,
                                              size_t inner_len,
                                              enum ipip_partial_checksum *result_out,
                                              uint16_t *checksum_out);

/**
 * Checks the packet at the start of `buffer` and reads its header. Octets after its total length are
 * padding. Options, fragments and a TTL of 0 are valid here.
 *
 * IPIP_STATUS_TRUNCATED, _VERSION, _TOTAL_LEN, _HEADER_LEN or _CHECKSUM, looked for in this order.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets.
 */
enum ipip_status ipip_ipv4_parse(const uint8_t *buffer,
                                 size_t buffer_len,
                                 struct ipip_ipv4_view *view_out);

/**
 * Writes a header into the first 20 octets of `packet`, checksum included; `packet_len` becomes the
 * total length.
 *
 * IPIP_STATUS_HEADER_BUFFER below 20 octets, IPIP_STATUS_PACKET_TOO_LONG above 65,535,
 * IPIP_STATUS_DSCP, IPIP_STATUS_FRAGMENT_OFFSET and IPIP_STATUS_INVALID_ARGUMENT for fields out of
 * range. Nothing is written then.
 *
 * The caller sees to it that:
 * `packet` is NULL or points to `packet_len` octets that nobody else uses.
 */
enum ipip_status ipip_ipv4_emit(const struct ipip_ipv4_header *header,
                                uint8_t *packet,
                                size_t packet_len);

/**
 * Writes the outer header in front of the inner packet that starts at `headroom` octets into
 * `buffer`. The inner packet stays where it is: only the 20 octets before it change. `packet_out` is
 * the whole IPIP packet, from `headroom` - 20 on; padding after the inner packet stays out of it.
 *
 * IPIP_STATUS_HEADROOM if `headroom` is below 20; those of `ipip_ipv4_parse` for the inner packet;
 * IPIP_STATUS_TTL_ZERO for an inner TTL of 0, IPIP_STATUS_PACKET_TOO_LONG above 65,535 octets in all;
 * IPIP_STATUS_INVALID_ARGUMENT and IPIP_STATUS_DSCP for fields of `outer` out of range. The buffer is as
 * it was then.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets that nobody else uses.
 */
enum ipip_status ipip_encapsulate(uint8_t *buffer,
                                  size_t buffer_len,
                                  size_t headroom,
                                  const struct ipip_outer *outer,
                                  struct ipip_span *packet_out);

/**
 * Finds the inner packet of the IPIP packet at the start of `buffer`: without outer header and
 * padding. Nothing is copied.
 *
 * Those of `ipip_parse`, and IPIP_STATUS_TTL_ZERO: a packet that arrives with an inner TTL of 0 must be
 * discarded (RFC 2003 section 3.1).
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets.
 */
enum ipip_status ipip_decapsulate(const uint8_t *buffer,
                                  size_t buffer_len,
                                  struct ipip_span *inner_out);

/**
 * Checks both headers of the IPIP packet at the start of `buffer` and reads them. All spans count
 * from the start of `buffer`.
 *
 * Those of `ipip_ipv4_parse` for the outer packet; IPIP_STATUS_PROTOCOL unless it carries protocol 4;
 * IPIP_STATUS_OUTER_FRAGMENT if it has to be reassembled first; those of `ipip_ipv4_parse` for the inner
 * packet.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets.
 */
enum ipip_status ipip_parse(const uint8_t *buffer,
                            size_t buffer_len,
                            struct ipip_packet *packet_out);

/**
 * Does what `ipip_parse` does to each of `packets` in `buffer`, and writes the fields of the packet at
 * the same place into `fields_out`, which has `places` places. `good_out`, how many were good, may be
 * NULL.
 *
 * A packet that is not good has its status, and does no harm to the others; `ipip_parse` says in words
 * what is wrong with it. A span that reaches past the buffer is IPIP_STATUS_TRUNCATED. Nothing is
 * allocated, nothing is copied but the fields.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if `places` is below `packets_len`; nothing is written then. Places
 * beyond are left alone.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets; `packets` is NULL or points to `packets_len` spans;
 * `fields_out` is NULL or points to room for `places` structs that nobody else uses.
 */
enum ipip_status ipip_parse_batch(const uint8_t *buffer,
                                  size_t buffer_len,
                                  const struct ipip_span *packets,
                                  size_t packets_len,
                                  struct ipip_fields *fields_out,
                                  size_t places,
                                  size_t *good_out);

/**
 * Does what `ipip_decapsulate` does to each of `packets` in `buffer`: where the inner packet lies goes
 * into `inner_out`, an enum ipip_status into `statuses_out`, both at the same place; both have `places`
 * places. `good_out`, how many were good, may be NULL.
 *
 * A packet that is not good has an empty span at offset 0, and does no harm to the others. A span that
 * reaches past the buffer is IPIP_STATUS_TRUNCATED. Nothing is allocated, nothing is copied.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if `places` is below `packets_len`; nothing is written then. Places
 * beyond are left alone.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets; `packets` is NULL or points to `packets_len` spans;
 * `inner_out` and `statuses_out` are NULL or point to room for `places` spans and numbers that nobody
 * else uses.
 */
enum ipip_status ipip_decapsulate_batch(const uint8_t *buffer,
                                        size_t buffer_len,
                                        const struct ipip_span *packets,
                                        size_t packets_len,
                                        struct ipip_span *inner_out,
                                        uint32_t *statuses_out,
                                        size_t places,
                                        size_t *good_out);

/**
 * Makes the entry of the tunnel that `outer` describes.
 *
 * IPIP_STATUS_INVALID_ARGUMENT and IPIP_STATUS_DSCP for fields of `outer` out of range.
 */
enum ipip_status ipip_encapsulator_new(const struct ipip_outer *outer,
                                       struct ipip_encapsulator **encapsulator_out);

/**
 * Writes the outer header in front of the inner packet that starts at `headroom` octets into
 * `buffer`, as `ipip_encapsulate` does, and with its failures for packets; the identification is that of
 * the struct ipip_outer.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets that nobody else uses.
 */
enum ipip_status ipip_encapsulator_encapsulate(const struct ipip_encapsulator *encapsulator,
                                               uint8_t *buffer,
                                               size_t buffer_len,
                                               size_t headroom,
                                               struct ipip_span *packet_out);

/**
 * The same for each of `inner`, the inner packets in `buffer`: writes the outer header into the 20
 * octets before it; where the whole packet now lies goes into `packets_out`, an enum ipip_status into
 * `statuses_out`, both at the same place; both have `places` places. `good_out`, how many were good, may
 * be NULL.
 *
 * The first packet gets `identification`, each further one the next, whether it was good or not; 0
 * follows 65,535.
 *
 * Spans have to ascend, with 20 octets of headroom between one's end and the next: a packet whose
 * outer header would start before the end of the span before it is IPIP_STATUS_HEADROOM, so no packet
 * can damage another. One that is not good leaves its surroundings as they are and has an empty span at
 * offset 0; one that reaches past the buffer is IPIP_STATUS_TRUNCATED. Nothing is allocated, no packet is
 * copied.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if `places` is below `inner_len`; nothing is written then. Places beyond
 * are left alone.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets that nobody else uses; `inner` is NULL or points to
 * `inner_len` spans; `packets_out` and `statuses_out` are NULL or point to room for `places` spans and
 * numbers that nobody else uses.
 */
enum ipip_status ipip_encapsulator_encapsulate_batch(const struct ipip_encapsulator *encapsulator,
                                                     uint8_t *buffer,
                                                     size_t buffer_len,
                                                     const struct ipip_span *inner,
                                                     size_t inner_len,
                                                     uint16_t identification,
                                                     struct ipip_span *packets_out,
                                                     uint32_t *statuses_out,
                                                     size_t places,
                                                     size_t *good_out);

/**
 * Frees the encapsulator. NULL is allowed.
 */
void ipip_encapsulator_free(struct ipip_encapsulator *encapsulator);

/**
 * Checks an echo message, the whole payload of an IPv4 packet that is no fragment, and reads it.
 *
 * IPIP_STATUS_TRUNCATED, IPIP_STATUS_ICMP_TYPE or IPIP_STATUS_CHECKSUM, looked for in this order.
 *
 * The caller sees to it that:
 * `message` is NULL or points to `message_len` octets.
 */
enum ipip_status ipip_echo_parse(const uint8_t *message,
                                 size_t message_len,
                                 struct ipip_echo_view *view_out);

/**
 * Writes the header into the first 8 octets of `message`, with the checksum over all of it; what
 * follows is the data, which is there already.
 *
 * IPIP_STATUS_HEADER_BUFFER below 8 octets, IPIP_STATUS_PACKET_TOO_LONG above 65,515 (what one packet
 * holds), IPIP_STATUS_INVALID_ARGUMENT for an unknown kind. Nothing is written then.
 *
 * The caller sees to it that:
 * `message` is NULL or points to `message_len` octets that nobody else uses.
 */
enum ipip_status ipip_echo_emit(const struct ipip_echo *echo,
                                uint8_t *message,
                                size_t message_len);

/**
 * Makes the block `prefix`, owned by nobody, every address free; its sequence numbers start at 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it has host bits set or is not /20 to /32.
 */
enum ipip_status ipip_block_new(struct ipip_prefix prefix, struct ipip_block **block_out);

/**
 * Assigns the address that has been free longest.
 *
 * IPIP_STATUS_BLOCK_FULL if none is free, IPIP_STATUS_INVALID_ARGUMENT for a malformed handle or a key
 * that is given twice.
 *
 * The caller sees to it that:
 * The strings of `attribute` end in a zero, and `pairs` points to `pairs_len` pairs.
 */
enum ipip_status ipip_block_assign_any(struct ipip_block *block,
                                       const struct ipip_attribute *attribute,
                                       struct ipip_assignment *assignment_out);

/**
 * Assigns `address`. `assignment_out` may be NULL.
 *
 * IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_ALREADY_ASSIGNED (the text names the handle that has it),
 * IPIP_STATUS_INVALID_ARGUMENT for a malformed handle or a key that is given twice.
 *
 * The caller sees to it that:
 * The strings of `attribute` end in a zero, and `pairs` points to `pairs_len` pairs.
 */
enum ipip_status ipip_block_assign(struct ipip_block *block,
                                   struct ipip_ipv4 address,
                                   const struct ipip_attribute *attribute,
                                   struct ipip_assignment *assignment_out);

/**
 * Releases one address; it comes back last.
 *
 * IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_NOT_ASSIGNED, and IPIP_STATUS_HANDLE_MISMATCH or
 * IPIP_STATUS_SEQUENCE_MISMATCH if the assignment is not the one that the caller knows.
 *
 * The caller sees to it that:
 * `release` is NULL or its `handle` is NULL or a string that ends in a zero, and its `sequence` is
 * NULL or points to a number.
 */
enum ipip_status ipip_block_release(struct ipip_block *block, const struct ipip_release *release);

/**
 * Releases every address of `handle`; `count_out` (may be NULL) is how many, 0 if it has none here.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for a malformed handle.
 *
 * The caller sees to it that:
 * `handle` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_block_release_handle(struct ipip_block *block,
                                           const char *handle,
                                           size_t *count_out);

/**
 * The block's prefix; all zero for NULL.
 */
struct ipip_prefix ipip_block_prefix(const struct ipip_block *block);

/**
 * How many addresses are free, 0 to 4,096; 0 for NULL.
 */
size_t ipip_block_free_count(const struct ipip_block *block);

/**
 * How many addresses are not free, 0 to 4,096; 0 for NULL.
 */
size_t ipip_block_used_count(const struct ipip_block *block);

/**
 * The address at a place of the block, counted from 0 at the network address.
 *
 * IPIP_STATUS_OUTSIDE_BLOCK past the last place.
 */
enum ipip_status ipip_block_address(const struct ipip_block *block,
                                    uint32_t ordinal,
                                    struct ipip_ipv4 *address_out);

/**
 * The place of an address in the block, counted from 0 at the network address.
 *
 * IPIP_STATUS_OUTSIDE_BLOCK if it is in another block.
 */
enum ipip_status ipip_block_ordinal(const struct ipip_block *block,
                                    struct ipip_ipv4 address,
                                    uint32_t *ordinal_out);

/**
 * Whether an address is free or assigned, and at which sequence number (`sequence_out`, may be NULL,
 * is written with IPIP_USE_ASSIGNED only).
 *
 * IPIP_STATUS_OUTSIDE_BLOCK if it is in another block.
 */
enum ipip_status ipip_block_use(const struct ipip_block *block,
                                struct ipip_ipv4 address,
                                enum ipip_use *use_out,
                                uint64_t *sequence_out);

/**
 * The handle that an address is assigned to; "" if it has none. `needed_out` may be NULL.
 *
 * IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_NOT_ASSIGNED, IPIP_STATUS_BUFFER_TOO_SMALL.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_block_handle(const struct ipip_block *block,
                                   struct ipip_ipv4 address,
                                   char *text,
                                   size_t text_len,
                                   size_t *needed_out);

/**
 * What is known of the workload that an address is assigned to: the value of one key, such as "pod".
 * `needed_out` may be NULL.
 *
 * IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_NOT_ASSIGNED, IPIP_STATUS_NOT_FOUND if there is no such key,
 * IPIP_STATUS_BUFFER_TOO_SMALL.
 *
 * The caller sees to it that:
 * `key` is NULL or a string that ends in a zero; `text` is NULL or points to `text_len` octets that
 * nobody else uses.
 */
enum ipip_status ipip_block_attribute(const struct ipip_block *block,
                                      struct ipip_ipv4 address,
                                      const char *key,
                                      char *text,
                                      size_t text_len,
                                      size_t *needed_out);

/**
 * The owner as the block names it: "host:NODE" for a node; "" for a block that outlived its owner's
 * claim, and for one that was made with `ipip_block_new`. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_block_affinity(const struct ipip_block *block,
                                     char *text,
                                     size_t text_len,
                                     size_t *needed_out);

/**
 * The addresses of `handle`, in order, into an array of `addresses_len`. `needed_out` is how many there
 * are.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit; nothing but `needed_out` is written then.
 *
 * The caller sees to it that:
 * `handle` is NULL or a string that ends in a zero; `addresses` is NULL or points to room for
 * `addresses_len` addresses that nobody else uses.
 */
enum ipip_status ipip_block_addresses_of(const struct ipip_block *block,
                                         const char *handle,
                                         struct ipip_ipv4 *addresses,
                                         size_t addresses_len,
                                         size_t *needed_out);

/**
 * The free addresses, the next one to be assigned first; as `ipip_block_addresses_of`.
 *
 * The caller sees to it that:
 * `addresses` is NULL or points to room for `addresses_len` addresses that nobody else uses.
 */
enum ipip_status ipip_block_free_addresses(const struct ipip_block *block,
                                           struct ipip_ipv4 *addresses,
                                           size_t addresses_len,
                                           size_t *needed_out);

/**
 * Reads a block as Calico stores it, in JSON.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field and the rule that it breaks.
 *
 * The caller sees to it that:
 * `json` is NULL or points to `json_len` octets.
 */
enum ipip_status ipip_block_from_json(const uint8_t *json,
                                      size_t json_len,
                                      struct ipip_block **block_out);

/**
 * The block as Calico stores it, in JSON. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_block_to_json(const struct ipip_block *block,
                                    char *text,
                                    size_t text_len,
                                    size_t *needed_out);

/**
 * Frees the block. NULL is allowed.
 */
void ipip_block_free(struct ipip_block *block);

/**
 * How many blocks a pool is cut into, 1 to 2^32. This and the other functions of a pool fail with
 * IPIP_STATUS_INVALID_ARGUMENT if the pool breaks a rule of its fields.
 *
 * The caller sees to it that:
 * `pool` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_pool_block_count(const struct ipip_pool *pool, uint64_t *count_out);

/**
 * The block at a place of the pool, counted from 0.
 *
 * IPIP_STATUS_OUTSIDE_POOL past the last place.
 *
 * The caller sees to it that:
 * `pool` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_pool_block(const struct ipip_pool *pool,
                                 uint64_t index,
                                 struct ipip_prefix *block_out);

/**
 * The block of the pool that an address is in.
 *
 * IPIP_STATUS_OUTSIDE_POOL if it is outside the pool.
 *
 * The caller sees to it that:
 * `pool` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_pool_block_of(const struct ipip_pool *pool,
                                    struct ipip_ipv4 address,
                                    struct ipip_prefix *block_out);

/**
 * Whether a node with these labels may take any address of the pool without naming it: the pool is
 * not disabled, it is automatic, and its node selector matches. `selects_out` is 1 or 0.
 *
 * The caller sees to it that:
 * - `pool` is NULL or its strings are NULL or end in a zero.
 * - `labels` is NULL or points to `labels_len` pairs, whose strings end in a zero.
 */
enum ipip_status ipip_pool_selects(const struct ipip_pool *pool,
                                   const struct ipip_pair *labels,
                                   size_t labels_len,
                                   uint8_t *selects_out);

/**
 * The configuration that counts where none is stored: Calico's.
 */
enum ipip_status ipip_allocator_config_default(struct ipip_allocator_config *config_out);

/**
 * Whether a configuration may be stored.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if not; the text names the rule that it breaks.
 */
enum ipip_status ipip_allocator_config_check(const struct ipip_allocator_config *config);

/**
 * Reads a configuration as Calico stores it, in JSON; it is not checked. There, a missing
 * `auto_allocate_blocks` is 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field.
 *
 * The caller sees to it that:
 * `json` is NULL or points to `json_len` octets.
 */
enum ipip_status ipip_allocator_config_from_json(const uint8_t *json,
                                                 size_t json_len,
                                                 struct ipip_allocator_config *config_out);

/**
 * Makes the reservation `name` of `cidrs`.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for a name that Kubernetes refuses or a prefix with host bits.
 *
 * The caller sees to it that:
 * - `name` is NULL or a string that ends in a zero.
 * - `cidrs` is NULL or points to `cidrs_len` prefixes.
 */
enum ipip_status ipip_reservation_new(const char *name,
                                      const struct ipip_prefix *cidrs,
                                      size_t cidrs_len,
                                      struct ipip_reservation **reservation_out);

/**
 * Its name. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_reservation_name(const struct ipip_reservation *reservation,
                                       char *text,
                                       size_t text_len,
                                       size_t *needed_out);

/**
 * The IPv4 addresses set aside, in the order of its list; malformed entries, which Calico ignores, are
 * left out.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit.
 *
 * The caller sees to it that:
 * `cidrs` is NULL or points to room for `cidrs_len` prefixes that nobody else uses.
 */
enum ipip_status ipip_reservation_cidrs(const struct ipip_reservation *reservation,
                                        struct ipip_prefix *cidrs,
                                        size_t cidrs_len,
                                        size_t *needed_out);

/**
 * Reads a reservation as Calico stores it, in JSON.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field.
 *
 * The caller sees to it that:
 * `json` is NULL or points to `json_len` octets.
 */
enum ipip_status ipip_reservation_from_json(const uint8_t *json,
                                            size_t json_len,
                                            struct ipip_reservation **reservation_out);

/**
 * The reservation as Calico stores it, in JSON. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_reservation_to_json(const struct ipip_reservation *reservation,
                                          char *text,
                                          size_t text_len,
                                          size_t *needed_out);

/**
 * Frees the reservation. NULL is allowed.
 */
void ipip_reservation_free(struct ipip_reservation *reservation);

/**
 * Makes the record of `node`, without labels and addresses.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for a malformed name.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_node_record_new(const char *node, struct ipip_node_record **record_out);

/**
 * Sets the label `key`.
 *
 * The caller sees to it that:
 * `key` and `value` are NULL or strings that end in a zero.
 */
enum ipip_status ipip_node_record_set_label(struct ipip_node_record *record,
                                            const char *key,
                                            const char *value);

/**
 * Sets the address on the underlay and the prefix length of its subnet in bits; 32 makes every other
 * node one of another subnet.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if the length is above 32.
 */
enum ipip_status ipip_node_record_set_address(struct ipip_node_record *record,
                                              struct ipip_ipv4 address,
                                              uint8_t subnet_len);

/**
 * Sets the address that its tunnel device holds; NULL takes it away.
 */
enum ipip_status ipip_node_record_set_tunnel_address(struct ipip_node_record *record,
                                                     const struct ipip_ipv4 *address);

/**
 * The node's name. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_node_record_name(const struct ipip_node_record *record,
                                       char *text,
                                       size_t text_len,
                                       size_t *needed_out);

/**
 * The value of the label `key`. `needed_out` may be NULL.
 *
 * IPIP_STATUS_NOT_FOUND if there is no such label, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * - `key` is NULL or a string that ends in a zero.
 * - `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_node_record_label(const struct ipip_node_record *record,
                                        const char *key,
                                        char *text,
                                        size_t text_len,
                                        size_t *needed_out);

/**
 * The address on the underlay, and its subnet (`subnet_out` may be NULL), a /32 if no length is known.
 *
 * IPIP_STATUS_NOT_FOUND if it has none.
 */
enum ipip_status ipip_node_record_address(const struct ipip_node_record *record,
                                          struct ipip_ipv4 *address_out,
                                          struct ipip_prefix *subnet_out);

/**
 * The address that its tunnel device holds.
 *
 * IPIP_STATUS_NOT_FOUND if it has none.
 */
enum ipip_status ipip_node_record_tunnel_address(const struct ipip_node_record *record,
                                                 struct ipip_ipv4 *address_out);

/**
 * Reads a node as Calico stores it, in JSON.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field and the rule that it breaks.
 *
 * The caller sees to it that:
 * `json` is NULL or points to `json_len` octets.
 */
enum ipip_status ipip_node_record_from_json(const uint8_t *json,
                                            size_t json_len,
                                            struct ipip_node_record **record_out);

/**
 * The node as Calico stores it, in JSON. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_node_record_to_json(const struct ipip_node_record *record,
                                          char *text,
                                          size_t text_len,
                                          size_t *needed_out);

/**
 * Frees the record. NULL is allowed.
 */
void ipip_node_record_free(struct ipip_node_record *record);

/**
 * Makes an empty store in the memory of the process, for tests and short-lived tools. It ends with
 * the last object that uses it.
 */
enum ipip_status ipip_store_open_memory(struct ipip_store **store_out);

/**
 * Closes a store. NULL is allowed.
 */
void ipip_store_free(struct ipip_store *store);

/**
 * Makes an allocator on `store`.
 */
enum ipip_status ipip_ipam_new(const struct ipip_store *store, struct ipip_ipam **ipam_out);

/**
 * Stores a pool.
 *
 * IPIP_STATUS_ALREADY_EXISTS if there is one of that name; IPIP_STATUS_OVERLAP if it shares addresses
 * with another, or with a block of another size that an earlier pool left;
 * IPIP_STATUS_INVALID_ARGUMENT if it breaks a rule of its fields.
 *
 * The caller sees to it that:
 * `pool` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_ipam_create_pool(const struct ipip_ipam *ipam,
                                       const struct ipip_pool *pool);

/**
 * Claims one more block for `node`, whatever it has already.
 *
 * IPIP_STATUS_POOL_EXHAUSTED if there is no pool, or none has a free block.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_claim_any(const struct ipip_ipam *ipam,
                                     const char *node,
                                     struct ipip_prefix *block_out);

/**
 * Claims `block` for `node`. `newly_out` (may be NULL) is 1, or 0 if it was the node's already.
 *
 * IPIP_STATUS_OUTSIDE_POOL, IPIP_STATUS_POOL_DISABLED, IPIP_STATUS_BLOCK_SIZE if the pool is cut into
 * blocks of another size, IPIP_STATUS_OWNED_BY_ANOTHER (the text names the owner), IPIP_STATUS_OVERLAP
 * with a block of another size, IPIP_STATUS_INVALID_ARGUMENT if it is the prefix of no block.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_claim(const struct ipip_ipam *ipam,
                                 const char *node,
                                 struct ipip_prefix block,
                                 int *newly_out);

/**
 * Gives up the claim of `node` on `block`. `outcome_out` may be NULL.
 *
 * IPIP_STATUS_NOT_FOUND if it has no such block, IPIP_STATUS_OWNED_BY_ANOTHER,
 * IPIP_STATUS_INVALID_ARGUMENT if it is the prefix of no block.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_release_block(const struct ipip_ipam *ipam,
                                         const char *node,
                                         struct ipip_prefix block,
                                         enum ipip_block_release *outcome_out);

/**
 * Assigns an address on `node`: from the first of its blocks that has a free one, the one free
 * longest; if all are full, from one more block that it claims. The key "node" is added to the
 * attribute, if it is not there.
 *
 * IPIP_STATUS_POOL_EXHAUSTED if there is no pool, or nothing is left in any.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero; so are the strings of `attribute`, and `pairs` points
 * to `pairs_len` pairs.
 */
enum ipip_status ipip_ipam_assign_any(const struct ipip_ipam *ipam,
                                      const char *node,
                                      const struct ipip_attribute *attribute,
                                      struct ipip_assignment *assignment_out);

/**
 * Assigns `address` on `node`, and claims its block if nobody has. `assignment_out` may be NULL.
 *
 * IPIP_STATUS_OUTSIDE_POOL, IPIP_STATUS_POOL_DISABLED, IPIP_STATUS_OWNED_BY_ANOTHER (the text names the
 * owner of the block), IPIP_STATUS_OVERLAP, IPIP_STATUS_ALREADY_ASSIGNED (the text names the handle).
 *
 * The caller sees to it that:
 * As `ipip_ipam_assign_any`.
 */
enum ipip_status ipip_ipam_assign(const struct ipip_ipam *ipam,
                                  const char *node,
                                  struct ipip_ipv4 address,
                                  const struct ipip_attribute *attribute,
                                  struct ipip_assignment *assignment_out);

/**
 * Releases one address, whichever node it was assigned on.
 *
 * IPIP_STATUS_NOT_ASSIGNED, and IPIP_STATUS_HANDLE_MISMATCH or IPIP_STATUS_SEQUENCE_MISMATCH if the
 * assignment is not the one that the caller knows.
 *
 * The caller sees to it that:
 * `release` is NULL or its `handle` is NULL or a string that ends in a zero, and its `sequence` is
 * NULL or points to a number.
 */
enum ipip_status ipip_ipam_release(const struct ipip_ipam *ipam,
                                   const struct ipip_release *release);

/**
 * Releases every address of `handle`, whichever nodes they were assigned on. `count_out` (may be NULL)
 * is how many there were.
 *
 * IPIP_STATUS_NOT_FOUND if there is no such handle.
 *
 * The caller sees to it that:
 * `handle` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_release_handle(const struct ipip_ipam *ipam,
                                          const char *handle,
                                          size_t *count_out);

/**
 * A copy of the block that holds `address`, whoever owns it; the caller frees it with
 * `ipip_block_free`.
 *
 * IPIP_STATUS_NOT_FOUND if nobody claimed it yet.
 */
enum ipip_status ipip_ipam_block_of(const struct ipip_ipam *ipam,
                                    struct ipip_ipv4 address,
                                    struct ipip_block **block_out);

/**
 * The prefixes of the blocks that `node` owns, in order, into an array of `blocks_len`. `needed_out` is
 * how many there are.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit; nothing but `needed_out` is written then.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero; `blocks` is NULL or points to room for `blocks_len`
 * prefixes that nobody else uses.
 */
enum ipip_status ipip_ipam_blocks_of(const struct ipip_ipam *ipam,
                                     const char *node,
                                     struct ipip_prefix *blocks,
                                     size_t blocks_len,
                                     size_t *needed_out);

/**
 * The prefixes of all blocks of all nodes, and of those that nobody owns; as `ipip_ipam_blocks_of`.
 *
 * The caller sees to it that:
 * `blocks` is NULL or points to room for `blocks_len` prefixes that nobody else uses.
 */
enum ipip_status ipip_ipam_blocks(const struct ipip_ipam *ipam,
                                  struct ipip_prefix *blocks,
                                  size_t blocks_len,
                                  size_t *needed_out);

/**
 * Frees the allocator; its store stays. NULL is allowed.
 */
void ipip_ipam_free(struct ipip_ipam *ipam);

/**
 * Makes a namespace and names it as `ip netns add NAME` does; it stays until `ipip_netns_remove`. Its
 * interfaces are down, loopback included.
 *
 * IPIP_STATUS_ALREADY_EXISTS if the name is taken, IPIP_STATUS_INVALID_ARGUMENT if it cannot be a file
 * name, IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN; nothing is left behind then.
 *
 * The caller sees to it that:
 * `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_create(const char *name,
                                   struct ipip_netns **netns_out);

/**
 * Makes a namespace without a name; it ends with this object and the last socket or process in it.
 *
 * IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN.
 */
enum ipip_status ipip_netns_create_unnamed(struct ipip_netns **netns_out);

/**
 * Opens the namespace behind a file, such as "/run/netns/NAME" or "/proc/PID/ns/net".
 *
 * IPIP_STATUS_NOT_FOUND if there is no such file, IPIP_STATUS_NOT_NETNS if it is another kind of file.
 *
 * The caller sees to it that:
 * `path` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_open(const char *path,
                                 struct ipip_netns **netns_out);

/**
 * Opens the namespace that `ip netns add NAME` or `ipip_netns_create` made.
 *
 * As `ipip_netns_open`, and IPIP_STATUS_INVALID_ARGUMENT if the name cannot be a file name.
 *
 * The caller sees to it that:
 * `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_open_named(const char *name, struct ipip_netns **netns_out);

/**
 * Opens the namespace of the calling thread.
 *
 * IPIP_STATUS_NOT_FOUND if /proc is not mounted.
 */
enum ipip_status ipip_netns_open_current(struct ipip_netns **netns_out);

/**
 * Removes a name made by `ipip_netns_create` or `ip netns add`. `removed_out` (may be NULL) is 1, or 0
 * if it was not there, which is success too.
 *
 * IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN, IPIP_STATUS_INVALID_ARGUMENT if the name cannot be a
 * file name.
 *
 * The caller sees to it that:
 * `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_remove(const char *name,
                                   int *removed_out);

/**
 * Runs `callback` inside the namespace, on a thread of its own that ends with it, and waits. The
 * calling thread stays where it is. A socket that the callback opens belongs to the namespace for
 * good and may be used anywhere afterwards. `result_out` (may be NULL) is what the callback returned.
 *
 * The callback sees the last error of its own thread. It must return (no longjmp, no C++ exception).
 *
 * IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN; the callback has not run then.
 *
 * The caller sees to it that:
 * `callback` may be called with `user_data` on another thread.
 */
enum ipip_status ipip_netns_enter(const struct ipip_netns *netns,
                                  ipip_netns_callback callback,
                                  void *user_data,
                                  int *result_out);

/**
 * Whether two objects are the same namespace: `same_out` is 1 or 0.
 */
enum ipip_status ipip_netns_is_same(const struct ipip_netns *netns,
                                    const struct ipip_netns *other,
                                    int *same_out);

/**
 * The path that it was opened by; for one without a name, a path below /proc that is valid while the
 * object lives. `needed_out` (may be NULL) is the length with the final zero.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit, IPIP_STATUS_NOT_UTF8 if it is not UTF-8.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_netns_path(const struct ipip_netns *netns,
                                 char *text,
                                 size_t text_len,
                                 size_t *needed_out);

/**
 * The file descriptor of the namespace, for `setns` and the like. It stays the object's: do not close
 * it, and do not use it after `ipip_netns_free`. -1 for NULL.
 */
int ipip_netns_fd(const struct ipip_netns *netns);

/**
 * Closes the namespace. A named one stays. NULL is allowed.
 */
void ipip_netns_free(struct ipip_netns *netns);

/**
 * How many steps there were; 0 for NULL.
 */
size_t ipip_changes_count(const struct ipip_changes *changes);

/**
 * A step as the shell command that does the same, counted from 0. `needed_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last step, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_changes_step(const struct ipip_changes *changes,
                                   size_t index,
                                   char *text,
                                   size_t text_len,
                                   size_t *needed_out);

/**
 * Frees the list. NULL is allowed.
 */
void ipip_changes_free(struct ipip_changes *changes);

/**
 * Brings the tunnel device to be in `netns`: the kernel's own tunl0 if it is there, one equal to it if
 * not; its MTU, its address as a /32, forwarding of what arrives, up. `changes_out` may be NULL.
 *
 * IPIP_STATUS_NO_DRIVER on a kernel without the ipip driver, IPIP_STATUS_IN_THE_WAY if the name belongs
 * to another kind of device, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN,
 * IPIP_STATUS_INVALID_ARGUMENT for an MTU or name out of range.
 *
 * The caller sees to it that:
 * `tunnel` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_ensure_tunnel(const struct ipip_netns *netns,
                                    const struct ipip_tunnel *tunnel,
                                    struct ipip_changes **changes_out);

/**
 * Takes the address off the tunnel device, takes the device down if it is bare then, and deletes it if
 * we made it. The kernel's own device stays. `changes_out` may be NULL.
 *
 * Fails as `ipip_ensure_tunnel`.
 *
 * The caller sees to it that:
 * `tunnel` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_remove_tunnel(const struct ipip_netns *netns,
                                    const struct ipip_tunnel *tunnel,
                                    struct ipip_changes **changes_out);

/**
 * The name of the host end of a workload's veth pair: "cali" and the first 11 hexadecimal digits of
 * SHA-1 over "POD_NAMESPACE.POD"; 16 octets with the final zero. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `pod_namespace` and `pod` are NULL or strings that end in a zero; `text` is NULL or points to
 * `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_host_veth_name(const char *pod_namespace,
                                     const char *pod,
                                     char *text,
                                     size_t text_len,
                                     size_t *needed_out);

/**
 * Wires a workload as Calico's CNI plugin does: a veth pair born with one end in `netns` and one in
 * `workload_netns`; on the host proxy ARP, forwarding and the /32 route; inside the /32, the link route
 * of 169.254.1.1 and the default route through it. `changes_out` may be NULL.
 *
 * The node needs a route that covers 169.254.1.1, such as a default route: the kernel answers the
 * workload's ARP only then. Where there is none, a warning is logged.
 *
 * IPIP_STATUS_IN_THE_WAY if a name or a route is somebody else's, IPIP_STATUS_SAME_NETNS if both
 * namespaces are one, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, IPIP_STATUS_INVALID_ARGUMENT for
 * an MTU or name out of range.
 *
 * The caller sees to it that:
 * `workload` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_ensure_workload(const struct ipip_netns *netns,
                                      const struct ipip_netns *workload_netns,
                                      const struct ipip_workload *workload,
                                      struct ipip_changes **changes_out);

/**
 * Deletes the veth pair of a workload, and with it its addresses and routes. The workload's namespace
 * may be gone already. `changes_out` may be NULL.
 *
 * Fails as `ipip_ensure_workload`; a link of that name that is not ours stays and is no failure.
 *
 * The caller sees to it that:
 * `workload` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_remove_workload(const struct ipip_netns *netns,
                                      const struct ipip_workload *workload,
                                      struct ipip_changes **changes_out);

/**
 * Brings the route to another node's block to be, and forwarding where its packets enter.
 * `changes_out` may be NULL.
 *
 * IPIP_STATUS_IN_THE_WAY if a route of another protocol has the prefix; IPIP_STATUS_NOT_FOUND if there
 * is no such device; IPIP_STATUS_KERNEL if the kernel refuses (the device is down, the node's address is our own);
 * IPIP_STATUS_PERMISSION without CAP_NET_ADMIN; IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
 *
 * The caller sees to it that:
 * `route` is NULL or its device is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ensure_peer_route(const struct ipip_netns *netns,
                                        const struct ipip_peer_route *route,
                                        struct ipip_changes **changes_out);

/**
 * Deletes exactly this route: the same block via another node stays. `changes_out` may be NULL.
 *
 * IPIP_STATUS_PERMISSION without CAP_NET_ADMIN; IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
 *
 * The caller sees to it that:
 * `route` is NULL or its device is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_remove_peer_route(const struct ipip_netns *netns,
                                        const struct ipip_peer_route *route,
                                        struct ipip_changes **changes_out);

/**
 * Brings the blackhole of the node's own block to be; for a /32 there is none. `changes_out` may be
 * NULL.
 *
 * IPIP_STATUS_IN_THE_WAY if another route has the prefix, IPIP_STATUS_PERMISSION without
 * CAP_NET_ADMIN, IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
 */
enum ipip_status ipip_ensure_blackhole(const struct ipip_netns *netns,
                                       const struct ipip_blackhole *blackhole,
                                       struct ipip_changes **changes_out);

/**
 * Deletes the blackhole. `changes_out` may be NULL.
 *
 * IPIP_STATUS_PERMISSION without CAP_NET_ADMIN; IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
 */
enum ipip_status ipip_remove_blackhole(const struct ipip_netns *netns,
                                       const struct ipip_blackhole *blackhole,
                                       struct ipip_changes **changes_out);

/**
 * Starts to capture on an interface, without promiscuous mode. It may still be down.
 *
 * IPIP_STATUS_NOT_FOUND if there is no such interface, IPIP_STATUS_INVALID_ARGUMENT if there can be
 * none of that name, IPIP_STATUS_UNSUPPORTED for a kind of interface that cannot be read,
 * IPIP_STATUS_PERMISSION without CAP_NET_RAW there.
 *
 * The caller sees to it that:
 * `interface` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_capture_open(const struct ipip_netns *netns,
                                   const char *interface,
                                   struct ipip_capture **capture_out);

/**
 * The next frame, waiting for it up to `timeout_ms` milliseconds; 0 does not wait.
 *
 * IPIP_STATUS_TIMEOUT if the time is over; IPIP_STATUS_STOPPED after `ipip_capture_stop`, when all
 * frames that passed before are read; IPIP_STATUS_INTERFACE_DOWN once each time the interface goes
 * down (call again to wait on); IPIP_STATUS_INTERFACE_GONE from its removal on.
 */
enum ipip_status ipip_capture_next(const struct ipip_capture *capture,
                                   uint32_t timeout_ms,
                                   struct ipip_frame *frame_out);

/**
 * How many frames passed since `ipip_capture_open`, and how many of them were dropped.
 */
enum ipip_status ipip_capture_count(const struct ipip_capture *capture,
                                    struct ipip_capture_counts *counts_out);

/**
 * Ends a capture, from any thread: frames that pass from now on are not taken, a waiting
 * `ipip_capture_next` returns, and later ones do not wait. NULL is allowed.
 */
void ipip_capture_stop(const struct ipip_capture *capture);

/**
 * Closes a capture; the octets of its last frame go with it. NULL is allowed.
 */
void ipip_capture_free(struct ipip_capture *capture);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IPIP_H */
