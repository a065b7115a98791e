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
 * - A blocking call has a timeout and returns within it, but for `ipip_node_run`.
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
 * The longest ICMP error that is written, in octets, its IPv4 header included (RFC 1812 section 4.3.2.3).
 */
#define IPIP_MAX_ICMP_ERROR_LEN 576

/**
 * How long a smaller MTU is believed, in milliseconds: 10 minutes (RFC 1191 section 6.3).
 */
#define IPIP_MTU_LIFETIME_MS 600000

/**
 * How long an unreachable exit is believed, in milliseconds, unless it answers.
 */
#define IPIP_UNREACHABLE_LIFETIME_MS 30000

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
     * This build, this process or this machine cannot do it.
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
     * No such thing: namespace, interface, pool, reservation, node, block, handle or attribute.
     */
    IPIP_STATUS_NOT_FOUND = 10,
    /**
     * The name is taken: namespace, pool, reservation.
     */
    IPIP_STATUS_ALREADY_EXISTS = 11,
    /**
     * Others kept changing the same record; the retries are used up. Call again later.
     * Or a node is at work, and its progress callback called it.
     */
    IPIP_STATUS_BUSY = 12,
    /**
     * What a datastore holds is damaged or cannot be reached.
     */
    IPIP_STATUS_STORE = 13,
    /**
     * A datastore no longer knows every change after the revision: list again.
     */
    IPIP_STATUS_COMPACTED = 14,
    /**
     * A datastore did not confirm a commit, which may have taken effect: look before you repeat it.
     */
    IPIP_STATUS_COMMIT_UNKNOWN = 15,
    /**
     * The node has not joined: the store has no address of it.
     */
    IPIP_STATUS_NOT_JOINED = 16,
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
     * No interface can be the underlay, or nothing says which; the text says what to name.
     */
    IPIP_STATUS_NO_UNDERLAY = 109,
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
     * A packet is too long and has DF set: its sender is to be told.
     */
    IPIP_STATUS_DONT_FRAGMENT = 217,
    /**
     * A fragment reaches beyond the longest packet.
     */
    IPIP_STATUS_FRAGMENT_END = 218,
    /**
     * The options of a header cannot be told apart.
     */
    IPIP_STATUS_OPTIONS = 219,
    /**
     * A tunnel leads to where it begins.
     */
    IPIP_STATUS_SAME_ENDPOINTS = 220,
    /**
     * The inner source of a forwarded packet is an address of this node.
     */
    IPIP_STATUS_OWN_SOURCE = 221,
    /**
     * The inner source is the tunnel's exit.
     */
    IPIP_STATUS_EXIT_SOURCE = 222,
    /**
     * The inner destination is the tunnel's exit.
     */
    IPIP_STATUS_EXIT_DESTINATION = 223,
    /**
     * The inner packet is inside too many tunnels already.
     */
    IPIP_STATUS_TUNNEL_DEPTH = 224,
    /**
     * An ICMP error quotes no IPv4 header.
     */
    IPIP_STATUS_QUOTED = 225,
    /**
     * An ICMP error is about a packet that does not carry IPv4.
     */
    IPIP_STATUS_QUOTED_PROTOCOL = 226,
    /**
     * An ICMP error is about a packet of another tunnel.
     */
    IPIP_STATUS_QUOTED_ENDPOINTS = 227,
    /**
     * An ICMP error is about a fragment, and not the first.
     */
    IPIP_STATUS_QUOTED_FRAGMENT = 228,
    /**
     * The outer source is not a known node.
     */
    IPIP_STATUS_UNKNOWN_NODE = 229,
    /**
     * The inner source is not behind the outer one.
     */
    IPIP_STATUS_FOREIGN_SOURCE = 230,
    /**
     * The inner source is no single host's address: 0.0.0.0, loopback, multicast, class E.
     */
    IPIP_STATUS_NO_HOST = 231,
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
    /**
     * Another node has this underlay address.
     */
    IPIP_STATUS_ADDRESS_TAKEN = 312,
    /**
     * The container has another address than the one that is wanted: detach it first.
     */
    IPIP_STATUS_OTHER_ADDRESS = 313,
    /**
     * There are no more frames. Nothing is wrong.
     */
    IPIP_STATUS_END_OF_CAPTURE = 400,
    /**
     * The file is no capture.
     */
    IPIP_STATUS_NOT_A_CAPTURE = 401,
    /**
     * The capture is damaged or cut off; the text says at which offset.
     */
    IPIP_STATUS_DAMAGED_CAPTURE = 402,
    /**
     * A part of a frame was written; the next call writes the rest first.
     */
    IPIP_STATUS_PART_WRITTEN = 403,
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
 * How urgent it is to log two ECN fields that met at an exit. Do it at a limited rate.
 */
enum ipip_urgency {
    /**
     * There is nothing odd about them.
     */
    IPIP_URGENCY_NONE = 0,
    /**
     * The exit may log it: (!) in the table of RFC 6040 section 4.2.
     */
    IPIP_URGENCY_MAY_LOG = 1,
    /**
     * The exit should log it, and may raise an alarm: (!!!) in that table.
     */
    IPIP_URGENCY_SHOULD_LOG = 2,
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
 * Why fewer addresses were assigned than were asked for.
 */
enum ipip_shortfall {
    /**
     * They are all.
     */
    IPIP_SHORTFALL_NONE = 0,
    /**
     * No address is left in the pools.
     */
    IPIP_SHORTFALL_POOLS_EXHAUSTED = 1,
    /**
     * No block is left in the pools, and strict affinity forbids to borrow.
     */
    IPIP_SHORTFALL_STRICT_AFFINITY = 2,
    /**
     * The node's blocks are full, and it may not have more.
     */
    IPIP_SHORTFALL_BLOCK_LIMIT = 3,
    /**
     * The node's blocks are full, and the configuration forbids to claim one.
     */
    IPIP_SHORTFALL_AUTO_ALLOCATION_OFF = 4,
    /**
     * Something failed after the first block; whoever asks for the rest may learn it again.
     */
    IPIP_SHORTFALL_FAILED = 5,
};

/**
 * Who carries a node's packets.
 */
enum ipip_data_path_state {
    /**
     * The report does not say: of a node that left, and of a plan where none would be started that makes the
     * tunnel device itself.
     */
    IPIP_DATA_PATH_STATE_UNTOLD = 0,
    /**
     * Nobody need: the node has no tunnel address, as no pool asks for a tunnel.
     */
    IPIP_DATA_PATH_STATE_IDLE = 1,
    /**
     * The kernel's ipip driver.
     */
    IPIP_DATA_PATH_STATE_KERNEL = 2,
    /**
     * eBPF programs on a device like tunl0.
     */
    IPIP_DATA_PATH_STATE_BPF = 3,
    /**
     * This process, as long as it has the `ipip_node`.
     */
    IPIP_DATA_PATH_STATE_USERSPACE = 4,
    /**
     * Another process of this node, in user space.
     */
    IPIP_DATA_PATH_STATE_ELSEWHERE = 5,
    /**
     * Nobody can; the routes through the tunnel are left out.
     */
    IPIP_DATA_PATH_STATE_UNAVAILABLE = 6,
};

/**
 * Whether forged tunnel packets are dropped.
 */
enum ipip_guard_state {
    /**
     * The report does not say: of a plan, and of a node that left.
     */
    IPIP_GUARD_STATE_UNTOLD = 0,
    /**
     * They are: the guard's table is in place.
     */
    IPIP_GUARD_STATE_ACTIVE = 1,
    /**
     * They are not, as nobody wanted it.
     */
    IPIP_GUARD_STATE_DECLINED = 2,
    /**
     * They are not, though it was wanted: no program nft, no support in the kernel, no privilege.
     */
    IPIP_GUARD_STATE_UNAVAILABLE = 3,
};

/**
 * The kinds of findings; later versions add some.
 */
enum ipip_finding_kind {
    /**
     * One without a number yet; its text says which.
     */
    IPIP_FINDING_KIND_OTHER = 0,
    /**
     * The outermost IPv4 packet exceeds the MTU: `len`, `mtu`, `dont_fragment`, `segmented_later`.
     */
    IPIP_FINDING_KIND_TOO_BIG = 1,
    /**
     * An IPv4 header with a wrong checksum: `depth`, `found`, `computed`.
     */
    IPIP_FINDING_KIND_HEADER_CHECKSUM = 2,
    /**
     * A wrong ICMP, UDP or TCP checksum: `found`, `computed`, `offloaded`.
     */
    IPIP_FINDING_KIND_TRANSPORT_CHECKSUM = 3,
    /**
     * A TTL that no router will forward: `depth`, `ttl`.
     */
    IPIP_FINDING_KIND_TTL = 4,
    /**
     * A pair of ECN fields that the end of the tunnel has to report or drop (RFC 6040 section 4.2):
     * `outer_ecn`, `inner_ecn`.
     */
    IPIP_FINDING_KIND_ECN = 5,
    /**
     * A tunnel inside a tunnel: `headers`.
     */
    IPIP_FINDING_KIND_ENCAPSULATED_TWICE = 6,
    /**
     * A tunnel packet from an outer source that is no known node: `outer_source`.
     */
    IPIP_FINDING_KIND_UNKNOWN_NODE = 7,
    /**
     * A tunnel packet whose inner source is not behind its outer one: `outer_source`, `inner_source`.
     */
    IPIP_FINDING_KIND_FOREIGN_SOURCE = 8,
    /**
     * A tunnel packet whose inner source no single host can have: `outer_source`, `inner_source`.
     */
    IPIP_FINDING_KIND_NO_HOST = 9,
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
 * What kind of error an ICMP message reports.
 */
enum ipip_icmp_error_kind {
    /**
     * Type 3, destination unreachable, but for code 4. The code: 0 network, 1 host, 2 protocol, 3 port,
     * 5 source route failed, and those of RFC 1812 section 5.2.7.1.
     */
    IPIP_ICMP_ERROR_KIND_UNREACHABLE = 0,
    /**
     * Type 3 code 4: the packet is too long for the next hop and has DF set.
     */
    IPIP_ICMP_ERROR_KIND_FRAGMENTATION_NEEDED = 1,
    /**
     * Type 4, which nobody should send any more (RFC 6633).
     */
    IPIP_ICMP_ERROR_KIND_SOURCE_QUENCH = 2,
    /**
     * Type 5, a better way. The code: 0 network, 1 host, 2 and 3 the same for one type of service.
     */
    IPIP_ICMP_ERROR_KIND_REDIRECT = 3,
    /**
     * Type 11. The code: 0 in transit, 1 while fragments were waited for.
     */
    IPIP_ICMP_ERROR_KIND_TIME_EXCEEDED = 4,
    /**
     * Type 12. The code: 0 a wrong field, 1 an option is missing, 2 a wrong length.
     */
    IPIP_ICMP_ERROR_KIND_PARAMETER_PROBLEM = 5,
};

/**
 * What to do about an ICMP error from inside a tunnel.
 */
enum ipip_relay_action {
    /**
     * Nothing: it is for the tunnel's entry alone, or for nobody.
     */
    IPIP_RELAY_ACTION_KEEP = 0,
    /**
     * Send `error` to the source of the inner packet, if that may be answered.
     */
    IPIP_RELAY_ACTION_SEND = 1,
    /**
     * Send nothing now, too little was quoted; tell `error` to the sender of the next packet that it
     * concerns: `ipip_tunnel_state_remember`.
     */
    IPIP_RELAY_ACTION_REMEMBER = 2,
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
 * What a commit to a file survives once it was acknowledged.
 */
enum ipip_durability {
    /**
     * Loss of power: the disk has confirmed each commit, and all before it, when the call returns. If it does
     * not, the call ends with `IPIP_STATUS_COMMIT_UNKNOWN`, and every later one with `IPIP_STATUS_STORE`: open the
     * file anew once the disk is well.
     */
    IPIP_DURABILITY_POWER = 0,
    /**
     * The end of the process, however it ends; a loss of power may take the last commits. Several times
     * faster.
     */
    IPIP_DURABILITY_PROCESS = 1,
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
    /**
     * A Linux cooked header of 16 octets, as a capture on "any" has it.
     */
    IPIP_LINK_TYPE_LINUX_SLL = 113,
    /**
     * A Linux cooked header of 20 octets, which names the interface.
     */
    IPIP_LINK_TYPE_LINUX_SLL2 = 276,
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
     * The capture does not say: most files do not, a live one always does.
     */
    IPIP_DIRECTION_UNKNOWN = 2,
};

/**
 * The lists of an outcome.
 */
enum ipip_outcome_list {
    /**
     * Addresses that were released; the text is the handle.
     */
    IPIP_OUTCOME_LIST_RELEASED = 0,
    /**
     * Addresses that nobody had, in order.
     */
    IPIP_OUTCOME_LIST_NOT_ASSIGNED = 1,
    /**
     * Blocks of which nothing was released; the text is the reason.
     */
    IPIP_OUTCOME_LIST_REFUSED = 2,
    /**
     * Blocks that were empty and are gone, in order.
     */
    IPIP_OUTCOME_LIST_DELETED = 3,
    /**
     * Blocks that have addresses still, in order: nobody owns them now.
     */
    IPIP_OUTCOME_LIST_ORPHANED = 4,
    /**
     * The addresses in those; the text is the handle.
     */
    IPIP_OUTCOME_LIST_REMAINING = 5,
    /**
     * Handles, the text, that had a record and no address, and have none now.
     */
    IPIP_OUTCOME_LIST_HANDLES = 6,
    /**
     * Keys, the text, of blocks that are damaged and were not looked into.
     */
    IPIP_OUTCOME_LIST_UNREADABLE = 7,
};

/**
 * What a use is written as.
 */
enum ipip_usage_form {
    /**
     * The table of the pools, which `calicoctl ipam show` prints.
     */
    IPIP_USAGE_FORM_POOLS = 0,
    /**
     * The same with each pool's blocks below it.
     */
    IPIP_USAGE_FORM_BLOCKS = 1,
    /**
     * The table of borrowed addresses.
     */
    IPIP_USAGE_FORM_BORROWED = 2,
    /**
     * The table of the configuration.
     */
    IPIP_USAGE_FORM_CONFIGURATION = 3,
    /**
     * All of it as JSON.
     */
    IPIP_USAGE_FORM_JSON = 4,
};

/**
 * What a report is written as.
 */
enum ipip_report_form {
    /**
     * Text, a problem a line.
     */
    IPIP_REPORT_FORM_TEXT = 0,
    /**
     * JSON.
     */
    IPIP_REPORT_FORM_JSON = 1,
};

/**
 * What is to carry a node's packets.
 */
enum ipip_data_path {
    /**
     * The best that this kernel can do.
     */
    IPIP_DATA_PATH_AUTO = 0,
    /**
     * The kernel's ipip driver or nothing.
     */
    IPIP_DATA_PATH_KERNEL = 1,
    /**
     * This process, even where the kernel has the driver: between a TUN device and a raw socket.
     */
    IPIP_DATA_PATH_USERSPACE = 2,
    /**
     * eBPF programs on a device like tunl0, even where the kernel has the driver; in a library with the feature "bpf".
     */
    IPIP_DATA_PATH_BPF = 3,
};

/**
 * The lists of a node's report; the texts of steps are the shell commands that do the same.
 */
enum ipip_node_list {
    /**
     * The steps that were carried out, in order; of a plan, those that would be.
     */
    IPIP_NODE_LIST_STEPS = 0,
    /**
     * The steps that were not; each has a reason, and the next call tries them again.
     */
    IPIP_NODE_LIST_FAILED = 1,
    /**
     * Objects of others where ours should be, or that must be there and are not. They are not touched.
     */
    IPIP_NODE_LIST_CONFLICTS = 2,
    /**
     * Routes that were there before, of an earlier run, of BIRD or (where asked for) of Felix, and are
     * ours from now on.
     */
    IPIP_NODE_LIST_ADOPTED = 3,
    /**
     * Blocks and addresses for which nothing is done.
     */
    IPIP_NODE_LIST_WITHHELD = 4,
    /**
     * The tunnel address that a node gave up when it left.
     */
    IPIP_NODE_LIST_RELEASED = 5,
    /**
     * What else could not be done when it left: the store's words.
     */
    IPIP_NODE_LIST_FAULTS = 6,
    /**
     * The steps that were not begun, as the time of a pass of `ipip_node_run` was over; the next one goes
     * on with them.
     */
    IPIP_NODE_LIST_POSTPONED = 7,
};

/**
 * What a node is doing for long.
 */
enum ipip_task {
    /**
     * A pass, in steps: `ipip_node_sync`, `ipip_node_join`, one of `ipip_node_run`.
     */
    IPIP_TASK_SYNC = 0,
    /**
     * `ipip_node_attach` and `ipip_node_attach_many`, in containers.
     */
    IPIP_TASK_ATTACH = 1,
    /**
     * `ipip_node_detach` and `ipip_node_detach_many`, in containers that have a wire.
     */
    IPIP_TASK_DETACH = 2,
    /**
     * `ipip_node_leave`, in steps.
     */
    IPIP_TASK_LEAVE = 3,
};

/**
 * Addresses that were assigned by one call, and why they are not more.
 *
 * Ownership: whoever got it from `ipip_ipam_assign_many` frees it, which releases no address. Threads:
 * may share it without a lock.
 */
struct ipip_assignments;

/**
 * What became of each container of an `ipip_node_attach_many`, in the order of the call.
 *
 * Ownership: whoever got it frees it, which detaches nothing. Threads: it never changes, so threads may
 * share it without a lock.
 */
struct ipip_attachments;

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
 * What `ipip_ipam_collect` remembers from call to call: what looked useless, and since when.
 *
 * Ownership: whoever got it from `ipip_collector_new` frees it. Threads: one at a time; threads that
 * share a collector need a lock around every call.
 */
struct ipip_collector;

/**
 * What became of each container of an `ipip_node_detach_many`, in the order of the call.
 *
 * Ownership: whoever got it frees it. Threads: it never changes, so threads may share it without a lock.
 */
struct ipip_detachments;

/**
 * Writes the outer headers of one tunnel: a struct ipip_outer checked once, with all that never changes
 * worked out. Builds the same octets as `ipip_encapsulate`, in less time; make one for each tunnel and
 * keep it.
 *
 * Threads: any number may share one, since no call changes it.
 */
struct ipip_encapsulator;

/**
 * What is wrong with one frame, from its outermost layer inwards. None means that nothing is.
 *
 * Ownership: whoever got it as `findings_out` frees it. Threads: it never changes, so threads may share
 * it without a lock.
 */
struct ipip_findings;

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
 * Packets, each with the points that saw it, ordered by the time at which each was first seen.
 *
 * Ownership: whoever got it as `journeys_out` frees it. Threads: it never changes, so threads may share
 * it without a lock.
 */
struct ipip_journeys;

/**
 * An open network namespace; it lives at least as long as this object.
 *
 * Ownership: whoever got it from `ipip_netns_create` and its like frees it. Threads: it never changes,
 * so threads may share it without a lock.
 */
struct ipip_netns;

/**
 * A node of the pod network: its record and addresses in a store, and what they mean in its kernel.
 *
 * Everything that lasts is in the store and in the kernel. An object that is freed, or a process that
 * ends at any instant, takes nothing down, and the next `ipip_node_join` or `ipip_node_open` goes on from
 * what it finds. But IPIP_DATA_PATH_STATE_USERSPACE: there the object itself carries the packets.
 *
 * Ownership: whoever got it from `ipip_node_join` or `ipip_node_open` frees it, after every call with it
 * has returned; it keeps what it needs of its store and namespace, so these may be freed before. Threads:
 * may share it without a lock; calls that change the kernel take turns.
 */
struct ipip_node;

/**
 * A node as Calico stores it: labels, by which pools select it, its address on the underlay with the
 * length of its subnet, and the address of its tunnel device. Fields that we do not know stay.
 *
 * Ownership: whoever got it frees it. Threads: one at a time; threads that share a record need a lock
 * around every call.
 */
struct ipip_node_record;

/**
 * The nodes that have a record, read at one instant.
 *
 * Ownership: whoever got it from `ipip_ipam_nodes` frees it. Threads: may share it without a lock.
 */
struct ipip_node_records;

/**
 * What a node did by one call, or would do, in lists.
 *
 * Ownership: whoever got it as `report_out` frees it; the one in a `struct ipip_run_event` is the
 * library's. Threads: it never changes, so threads may share it without a lock.
 */
struct ipip_node_report;

/**
 * What one call did to many addresses and blocks, and what it left, in lists.
 *
 * Ownership: whoever got it frees it. Threads: may share it without a lock.
 */
struct ipip_outcome;

/**
 * A capture file that is being written: classic pcap with stamps in nanoseconds, which tcpdump and
 * Wireshark read. Equal frames give equal files on every machine.
 *
 * Ownership: whoever got it from `ipip_pcap_writer_create` frees it. Threads: one at a time; threads that
 * share a writer need a lock around every call.
 */
struct ipip_pcap_writer;

/**
 * The prefixes of every other node, its blocks, and as /32s the addresses it borrowed: who may send us
 * what, and who gets what. The longest prefix wins. A change costs the same whatever the number of
 * prefixes.
 *
 * Threads: any number may ask at once (`_check`, `_node_of`, `_count`, `_list`) while none changes it.
 */
struct ipip_peers;

/**
 * Where frames were captured, with the frames: pod eth0, cali…, tunl0, the wire.
 *
 * Ownership: whoever got it from `ipip_points_new` frees it; the octets of its frames are valid until
 * then. Threads: as long as nobody adds to it, threads may share it without a lock.
 */
struct ipip_points;

/**
 * The pools of a store, read at one instant, or one that was read from JSON.
 *
 * Ownership: whoever got it from `ipip_ipam_pools` or `ipip_pools_from_json` frees it. Threads: may share it without a lock.
 */
struct ipip_pools;

/**
 * A capture file that is being read from beginning to end: pcap or pcapng, in either byte order.
 *
 * Ownership: whoever got it from `ipip_reader_open` frees it; the octets of a frame belong to it and
 * are valid until the next call that reads, or `ipip_reader_free`. Threads: one at a time; threads that
 * share a reader need a lock around every call and as long as they look at a frame.
 */
struct ipip_reader;

/**
 * Records of a store, read at one instant.
 *
 * Ownership: whoever got it from `ipip_store_list` or `ipip_store_watch` frees it. Threads: may share it
 * without a lock.
 */
struct ipip_records;

/**
 * What became of the problems of a report.
 *
 * Ownership: whoever got it from `ipip_ipam_repair` frees it. Threads: may share it without a lock.
 */
struct ipip_repaired;

/**
 * Everything that is wrong in a store at one instant.
 *
 * Ownership: whoever got it from `ipip_ipam_check` frees it. Threads: may share it without a lock.
 */
struct ipip_report;

/**
 * Addresses set aside (Calico's IPReservation): assigning any address passes over them, asking for
 * one of them by name does not.
 *
 * Ownership: whoever got it frees it. Threads: may share it without a lock.
 */
struct ipip_reservation;

/**
 * The reservations of a store, read at one instant.
 *
 * Ownership: whoever got it from `ipip_ipam_reservations` frees it. Threads: may share it without a lock.
 */
struct ipip_reservations;

/**
 * A datastore with Calico's keys and values.
 *
 * Ownership: whoever got it from an `ipip_store_open_...` function frees it; an allocator keeps what it
 * needs of it, so the two may be freed in any order. Threads: may share it without a lock.
 */
struct ipip_store;

/**
 * The soft state of one tunnel. `now_ms`, in each call, is the milliseconds since any moment that stays
 * the same: CLOCK_MONOTONIC will do.
 *
 * Threads: one at a time.
 */
struct ipip_tunnel_state;

/**
 * The use of all pools, at about one instant.
 *
 * Ownership: whoever got it from `ipip_ipam_usage` frees it. Threads: may share it without a lock.
 */
struct ipip_usage;

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
 * Two ECN fields that met, and whether they should have: if not, something on the path, or the tunnel's
 * entry, does not keep to the rules.
 */
struct ipip_ecn_alarm {
    /**
     * What stood in the inner header: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE; 0 with IPIP_URGENCY_NONE.
     */
    uint8_t inner;
    /**
     * What stood in the outer header; 0 with IPIP_URGENCY_NONE.
     */
    uint8_t outer;
    /**
     * How urgent it is.
     */
    enum ipip_urgency urgency;
};

/**
 * What two ECN fields become at an exit.
 */
struct ipip_ecn_exit {
    /**
     * 1 if the packet must be dropped: congestion was met, and only a drop can tell its sender.
     */
    uint8_t drop;
    /**
     * What the delivered packet has, 0 to 3; 0 if it must be dropped.
     */
    uint8_t delivered;
    /**
     * What was odd about the two.
     */
    struct ipip_ecn_alarm alarm;
};

/**
 * What the fragments of a packet need.
 */
struct ipip_fragments_room {
    /**
     * How many there are, at least 1.
     */
    size_t places;
    /**
     * How many octets they are, each with its headroom.
     */
    size_t octets;
};

/**
 * Where a packet belongs if it is a fragment.
 */
struct ipip_fragment_part {
    /**
     * 0 for a whole packet: then `offset` and `more_fragments` are 0 too.
     */
    uint8_t is_fragment;
    /**
     * 1 if this is not the end.
     */
    uint8_t more_fragments;
    /**
     * What the whole packet carries. The fragments of one packet share this and the three after it.
     */
    uint8_t protocol;
    /**
     * What tells one packet from the next.
     */
    uint16_t identification;
    /**
     * Where they come from.
     */
    struct ipip_ipv4 source;
    /**
     * Where they go.
     */
    struct ipip_ipv4 destination;
    /**
     * The first octet's place in the whole payload, in octets, 0 to 65,528.
     */
    size_t offset;
    /**
     * How many octets of it are here.
     */
    size_t len;
};

/**
 * Which signs of a loop make a tunnel's entry refuse a packet. Begin with `ipip_loop_policy_default`: all
 * zero refuses every packet.
 */
struct ipip_loop_policy {
    /**
     * 1 refuses an inner source that is one of this node's own addresses. The RFC demands it of packets
     * that a router forwards; what the node sends itself, from its tunnel address for one, is exempt.
     */
    uint8_t own_source;
    /**
     * 1 refuses an inner source that is the tunnel's exit.
     */
    uint8_t exit_source;
    /**
     * 1 refuses an inner destination that is the tunnel's exit: the way to the exit leads through the
     * tunnel itself.
     */
    uint8_t exit_destination;
    /**
     * How many tunnels a packet may be in once it has left this entry, 0 to 255; 0 refuses every packet.
     * The limit that RFC 2473 section 4.1.1 gives to IPv6, where 4 is the default.
     */
    uint8_t max_depth;
};

/**
 * The two ends of a tunnel, as the encapsulating node sees them.
 */
struct ipip_endpoints {
    /**
     * This node: the outer source.
     */
    struct ipip_ipv4 local;
    /**
     * The other node: the outer destination.
     */
    struct ipip_ipv4 remote;
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
 * What an ICMP error says. Fields that its kind does not have are 0, and are not read.
 */
struct ipip_icmp_error {
    /**
     * An enum ipip_icmp_error_kind.
     */
    uint32_t kind;
    /**
     * The code, where the kind leaves a choice.
     */
    uint8_t code;
    /**
     * IPIP_ICMP_ERROR_KIND_PARAMETER_PROBLEM with code 0: which octet of the packet is wrong.
     */
    uint8_t pointer;
    /**
     * IPIP_ICMP_ERROR_KIND_FRAGMENTATION_NEEDED: the next hop's MTU in octets; 0 from a router older than
     * RFC 1191, which does not say.
     */
    uint16_t mtu;
    /**
     * IPIP_ICMP_ERROR_KIND_REDIRECT: the better next hop.
     */
    struct ipip_ipv4 gateway;
};

/**
 * A checked ICMP error.
 */
struct ipip_icmp_error_view {
    /**
     * What it says.
     */
    struct ipip_icmp_error error;
    /**
     * The beginning of the packet that it is about, within the buffer that was parsed; `ipip_quoted_parse`
     * reads it.
     */
    struct ipip_span quoted;
};

/**
 * The header of a packet of which only the beginning may be there.
 */
struct ipip_quoted {
    /**
     * Where the packet came from.
     */
    struct ipip_ipv4 source;
    /**
     * Where it was to go.
     */
    struct ipip_ipv4 destination;
    /**
     * What it carried.
     */
    uint8_t protocol;
    /**
     * Whether DF was set, 0 or 1.
     */
    uint8_t dont_fragment;
    /**
     * Where it belongs if it was a fragment, in units of 8 octets, 0 to 8191; 0 otherwise.
     */
    uint16_t fragment_offset;
    /**
     * Its length in octets, header included, as its header states it.
     */
    uint16_t total_len;
    /**
     * Length of its header in octets, 20 to 60.
     */
    uint8_t header_len;
    /**
     * Whether an ICMP error about it may be sent to its source, 0 or 1: not about ICMP errors (nor about
     * ICMP whose type is not there to be seen), not about fragments but the first, not to addresses that
     * no single host has, and not about what was sent to many (RFC 1812 section 4.3.2.7).
     */
    uint8_t may_be_answered;
    /**
     * What is there of its payload, within the buffer that was parsed.
     */
    struct ipip_span payload;
};

/**
 * An ICMP error about a packet that a tunnel's entry could have sent. Spans count from the start of the
 * message that was parsed.
 */
struct ipip_tunnel_error {
    /**
     * What was reported.
     */
    struct ipip_icmp_error error;
    /**
     * The outer header, as quoted.
     */
    struct ipip_quoted outer;
    /**
     * The inner header; all zero unless `has_inner`.
     */
    struct ipip_quoted inner;
    /**
     * Whether enough was quoted for the inner header, 0 or 1: routers need not quote more than 8 octets
     * of it.
     */
    uint8_t has_inner;
    /**
     * Whether the error tells an MTU, 0 or 1.
     */
    uint8_t has_mtu;
    /**
     * The tunnel MTU in octets that "fragmentation needed" tells, 68 or more; 0 unless `has_mtu`. A router
     * older than RFC 1191 does not tell, and one that tells no less than the packet's own length is
     * mistaken; then it is the next plateau below that length (RFC 1191 section 7.1).
     */
    uint32_t mtu;
    /**
     * What was quoted of the inner packet: what an error to its sender quotes in turn.
     */
    struct ipip_span original;
};

/**
 * What an error may say of the inner network, which the outer one cannot know.
 */
struct ipip_relay_context {
    /**
     * The tunnel's MTU in octets, 68 to 65,515, with this error taken into account: what "fragmentation
     * needed" says.
     */
    uint32_t mtu;
    /**
     * Whether the inner destination is on the entry's own network, as it seems to the sender, 0 or 1.
     */
    uint8_t same_network;
};

/**
 * What to do about an ICMP error from inside a tunnel, and with which words.
 */
struct ipip_relay {
    /**
     * An enum ipip_relay_action.
     */
    uint32_t action;
    /**
     * What is told; all zero, and not read, with IPIP_RELAY_ACTION_KEEP.
     */
    struct ipip_icmp_error error;
};

/**
 * A prefix and the node behind it.
 */
struct ipip_peer {
    /**
     * The prefix.
     */
    struct ipip_prefix prefix;
    /**
     * The node's underlay address.
     */
    struct ipip_ipv4 node_addr;
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
    /**
     * 1 if the block belongs to another node, or to nobody, so that every node must route the address by
     * itself; else 0. A block in memory does not know its node: 0.
     */
    uint8_t borrowed;
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
 * How a store in a file is opened.
 */
struct ipip_sqlite_options {
    /**
     * The longest time in milliseconds that a call waits for others who hold the file; 0 does not wait.
     */
    uint32_t deadline_ms;
    /**
     * How many commits the store remembers for watchers at least; 0 counts as 1.
     */
    uint32_t history;
    /**
     * An `enum ipip_durability`.
     */
    uint32_t durability;
    /**
     * 1 makes a file that is not there; 0 refuses it.
     */
    uint8_t create;
};

/**
 * One record; its pointers live as long as the `ipip_records` that it is from.
 */
struct ipip_record {
    /**
     * The key.
     */
    const char *key;
    /**
     * The value, as a rule JSON, without a final zero; NULL if the key was deleted.
     */
    const uint8_t *value;
    /**
     * Octets of the value.
     */
    size_t value_len;
    /**
     * Which commit of the store wrote it, or deleted it.
     */
    uint64_t revision;
};

/**
 * How records are imported.
 */
struct ipip_import_options {
    /**
     * 1 only counts what would change.
     */
    uint8_t dry_run;
    /**
     * 1 deletes the keys that no line has.
     */
    uint8_t remove_others;
};

/**
 * What an import changed, or would change in a dry run, in keys.
 */
struct ipip_imported {
    /**
     * That were not there.
     */
    size_t added;
    /**
     * That had another value.
     */
    size_t replaced;
    /**
     * That were deleted.
     */
    size_t removed;
    /**
     * That had their value already.
     */
    size_t unchanged;
};

/**
 * One thing in a list of an outcome; its text lives as long as the `ipip_outcome` that it is from.
 */
struct ipip_outcome_entry {
    /**
     * The block, or the address as a /32; all zero where the list is one of texts.
     */
    struct ipip_prefix prefix;
    /**
     * The text that `enum ipip_outcome_list` tells of, NULL if there is none.
     */
    const char *text;
};

/**
 * Any addresses for one owner on one node. All zero but for the node, the count and the attribute asks
 * for a workload's, from any pool that selects the node.
 */
struct ipip_request {
    /**
     * The node on which they will be.
     */
    const char *node;
    /**
     * How many, 1 to 2^20.
     */
    uint32_t count;
    /**
     * To whom. The key "node" is added, if it is not there.
     */
    struct ipip_attribute attribute;
    /**
     * The pools to take them from, by their prefixes, whatever they select; NULL if `pools_len` is 0: the
     * pools that select the node.
     */
    const struct ipip_prefix *pools;
    /**
     * How many pools there are.
     */
    size_t pools_len;
    /**
     * What for, an enum ipip_pool_use; 0 is IPIP_POOL_USE_WORKLOAD.
     */
    uint32_t purpose;
    /**
     * The most blocks that the node may have to claim one more; NULL says nothing and leaves the
     * configuration's, or Calico's 20.
     */
    const uint32_t *max_blocks;
};

/**
 * Numbers of addresses.
 */
struct ipip_usage_counts {
    /**
     * All that there are.
     */
    uint64_t total;
    /**
     * Those that are assigned, or cooling down.
     */
    uint64_t in_use;
    /**
     * Those that reservations set aside.
     */
    uint64_t reserved;
    /**
     * Those that whoever asks for any may be assigned.
     */
    uint64_t free;
    /**
     * Those in use that were released and are cooling down.
     */
    uint64_t cooling;
};

/**
 * The use of a pool; its name lives as long as the `ipip_usage` that it is from.
 */
struct ipip_pool_usage {
    /**
     * Its name.
     */
    const char *name;
    /**
     * Its prefix.
     */
    struct ipip_prefix cidr;
    /**
     * Its addresses.
     */
    struct ipip_usage_counts counts;
    /**
     * How many of its blocks are there.
     */
    size_t blocks;
};

/**
 * How much was looked at, and how much of it is wrong.
 */
struct ipip_report_counts {
    /**
     * Pools.
     */
    uint64_t pools;
    /**
     * Blocks, damaged ones included.
     */
    uint64_t blocks;
    /**
     * Addresses that are assigned, in blocks that are not damaged.
     */
    uint64_t addresses;
    /**
     * Handles that have a record.
     */
    uint64_t handles;
    /**
     * Claims of nodes.
     */
    uint64_t claims;
    /**
     * Problems.
     */
    size_t problems;
};

/**
 * A problem; its strings live as long as the `ipip_report` that it is from. The JSON has what it is about
 * in fields of its own.
 */
struct ipip_problem {
    /**
     * What kind of problem it is, in one word, such as "handleMissing".
     */
    const char *kind;
    /**
     * The problem as a sentence.
     */
    const char *message;
};

/**
 * How many there were of what a collection has no list of.
 */
struct ipip_collect_counts {
    /**
     * Addresses that have cooled down and are free.
     */
    uint64_t cooled;
    /**
     * Addresses, handles and blocks that look useless, and have not done so for long enough.
     */
    uint64_t waiting;
    /**
     * Addresses that have no handle, so that nobody can tell whether they are needed.
     */
    uint64_t without_handle;
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
 * A pool, as far as a node's guard is concerned.
 */
struct ipip_guard_pool {
    /**
     * Its addresses; not 0.0.0.0/0.
     */
    struct ipip_prefix prefix;
    /**
     * 1 if packets of its workloads take the node's address where they leave the cluster, else 0.
     */
    uint8_t nat_outgoing;
};

/**
 * A node's guard, but for its peers.
 */
struct ipip_guard {
    /**
     * The cluster's pools. Packets of other tunnels, whose inner addresses lie in none, are not touched.
     */
    const struct ipip_guard_pool *pools;
    /**
     * How many.
     */
    size_t pools_len;
    /**
     * The tunnel device; NULL for "tunl0".
     */
    const char *device;
    /**
     * The tunnel device's address, which the node's own packets to pods take; NULL leaves them as they are.
     */
    const struct ipip_ipv4 *address;
};

/**
 * One thing in a list of a report; its texts live as long as the `ipip_node_report` that it is from.
 */
struct ipip_node_entry {
    /**
     * The thing that `enum ipip_node_list` tells of.
     */
    const char *text;
    /**
     * Why a step was not carried out: the kernel's words, with its object; NULL in the other lists.
     */
    const char *reason;
    /**
     * The kernel's error number (`errno.h`) for that, 0 where it gave none.
     */
    int error_number;
};

/**
 * What a report says beside its lists; its texts live as long as the `ipip_node_report` that it is from.
 */
struct ipip_node_state {
    /**
     * 1 if nothing is left to be done: nothing failed or was postponed, nothing is in the way, the store was read, the
     * packets are carried; of a plan, if there is no step either. Else 0.
     */
    uint8_t is_settled;
    /**
     * Who carries the packets.
     */
    enum ipip_data_path_state data_path;
    /**
     * The same in words, with the reason; NULL if it is untold.
     */
    const char *data_path_text;
    /**
     * Whether forged tunnel packets are dropped.
     */
    enum ipip_guard_state guard;
    /**
     * The same in words, with the reason; NULL if it is untold.
     */
    const char *guard_text;
    /**
     * Why the store could not be read, so that what was read last counted and nothing was taken away;
     * NULL if it was read.
     */
    const char *stale;
};

/**
 * How far a call of a node has come in the kernel.
 */
struct ipip_progress {
    /**
     * An enum ipip_task: what is being done.
     */
    uint32_t task;
    /**
     * How much of it the kernel has carried out or refused: steps of a plan, or containers. It never falls
     * within one call, and is never above `total`.
     */
    uint64_t done;
    /**
     * How much there is in all. It grows where a pass has to plan anew, as the kernel's state moved under it.
     */
    uint64_t total;
};

/**
 * A program's function that hears how far a node's call is: on the thread of the call, after each batch of
 * changes that the kernel has answered (64 KiB, 1,260 routes; 128 containers attached, 24 detached), and
 * never once the call has returned. It must return (no longjmp, no C++ exception). A call with the same node that
 * would change or read the kernel is answered by IPIP_STATUS_BUSY there.
 */
typedef void (*ipip_progress_callback)(const struct ipip_progress *progress, void *user_data);

/**
 * How a node takes part: who it is, where, and what it may do. All zero but for its name is a node in
 * the caller's namespace, with everything else as a rule.
 */
struct ipip_node_config {
    /**
     * Its name: lower-case letters, digits, '-' and '.', at most 253 octets.
     */
    const char *name;
    /**
     * Its network namespace, of which the node keeps what it needs; NULL for that of the calling thread.
     */
    const struct ipip_netns *netns;
    /**
     * The interface through which the others reach it, which must have one IPv4 address; NULL finds it: the
     * interface of the default route, else the only one that is up and has a global IPv4 address.
     */
    const char *underlay;
    /**
     * The address at which the others reach it, whatever interface holds it; NULL says nothing. Only one
     * of `underlay` and this may be given.
     */
    const struct ipip_ipv4 *underlay_address;
    /**
     * The MTU inside the tunnel and of the workloads in octets, 68 to 65,515: where the path between the
     * nodes carries less than the interface says; 0 for the underlay's less 20.
     */
    uint32_t mtu;
    /**
     * Its labels, by which pools select nodes, no key twice; labels that others stored stay. NULL if
     * `labels_len` is 0.
     */
    const struct ipip_pair *labels;
    /**
     * How many labels there are.
     */
    size_t labels_len;
    /**
     * An enum ipip_data_path.
     */
    uint32_t data_path;
    /**
     * 1 for a node without the guard against forged tunnel packets; 0 for one with it.
     */
    uint8_t without_guard;
    /**
     * The network in its handles, which are NETWORK.CONTAINER; NULL for "k8s-pod-network", which is that
     * of Calico's CNI configuration.
     */
    const char *network;
    /**
     * The tunnel device; NULL for "tunl0".
     */
    const char *device;
    /**
     * Whose mark its routes bear, as in /etc/iproute2/rt_protos; 0 is IPIP_ROUTE_PROTOCOL_BIRD.
     */
    uint8_t protocol;
    /**
     * The metric of the routes to other nodes and of the blackholes. A workload's own route has 0 always.
     */
    uint32_t metric;
    /**
     * 1 if routes through the tunnel bear its MTU, as Felix's do and BIRD's do not; else 0.
     */
    uint8_t route_mtu;
    /**
     * 1 if Felix's routes are taken over; else 0.
     */
    uint8_t adopt_felix;
    /**
     * 1 if the tunnel device is ours alone, so that foreign addresses on it go; else 0.
     */
    uint8_t exclusive;
    /**
     * 1 if the routes to a node go by one next hop object (`ip nexthop`), for very many nodes; it needs Linux
     * 5.3 and the kernel's default `net.ipv4.nexthop_compat_mode` 1; else 0.
     */
    uint8_t next_hop_objects;
    /**
     * How long a pass of `ipip_node_run` takes at most, in milliseconds; 0 for 30,000. A pass whose time is
     * over ends between two batches of changes in the kernel, but never before the first, and the next one
     * goes on where it ended; a store that has not answered by then, or for 5 s if that is longer, counts
     * as one that cannot be read. Other calls take the time that they need.
     */
    uint32_t deadline_ms;
    /**
     * Hears how far long work is; NULL for nobody.
     */
    ipip_progress_callback progress;
    /**
     * What `progress` is given. It must be good on every thread that calls the node, until `ipip_node_free`.
     */
    void *progress_user_data;
};

/**
 * What a node did since its object was made.
 */
struct ipip_node_counts {
    /**
     * How often it compared what is with what should be.
     */
    uint64_t passes;
    /**
     * Passes that ended early, as the store or the kernel could not be read.
     */
    uint64_t errors;
    /**
     * Steps that were carried out.
     */
    uint64_t applied;
    /**
     * Steps that the kernel refused.
     */
    uint64_t failed;
    /**
     * Objects of others that were in the way; one that stays is counted in each pass.
     */
    uint64_t conflicts;
    /**
     * Changes in the kernel that were told.
     */
    uint64_t events;
    /**
     * Changes in the store that were told.
     */
    uint64_t changes;
    /**
     * Passes for which nothing was told: the time had come, or something told was lost.
     */
    uint64_t resyncs;
    /**
     * Passes of `ipip_node_run` whose time was over before their work.
     */
    uint64_t cut_short;
};

/**
 * Which container of which pod: what a runtime repeats when it asks again, and when it takes the
 * container away. A pod that is made anew has the same names and another container.
 */
struct ipip_workload_id {
    /**
     * The Kubernetes namespace, such as "default".
     */
    const char *pod_namespace;
    /**
     * The pod's name.
     */
    const char *pod;
    /**
     * The container's id, 64 hexadecimal digits as a rule.
     */
    const char *container_id;
};

/**
 * A container to be attached to the pod network.
 */
struct ipip_node_workload {
    /**
     * Which it is.
     */
    struct ipip_workload_id id;
    /**
     * A path to its network namespace, such as "/run/netns/NAME" or "/proc/PID/ns/net".
     */
    const char *netns;
    /**
     * The interface that it gets; NULL for "eth0".
     */
    const char *interface;
    /**
     * The address that it must have; NULL takes any.
     */
    const struct ipip_ipv4 *address;
};

/**
 * A container on the pod network: what a CNI plugin answers its runtime.
 */
struct ipip_attached {
    /**
     * Its address, a /32 inside.
     */
    struct ipip_ipv4 address;
    /**
     * The end of its wire in the node's namespace, with a final zero.
     */
    char host_veth[16];
    /**
     * The hardware address of its interface, which the kernel chose; all zero unless `has_mac`.
     */
    uint8_t mac[6];
    /**
     * Whether the kernel told that address, 0 or 1.
     */
    uint8_t has_mac;
    /**
     * Its MTU in octets.
     */
    uint32_t mtu;
};

/**
 * What `ipip_node_run` tells of itself; what it points to lives as long as the callback runs.
 */
struct ipip_run_event {
    /**
     * What a pass did; NULL if it could not be made, or a watcher failed.
     */
    const struct ipip_node_report *report;
    /**
     * IPIP_STATUS_OK with a report, else why there is none.
     */
    enum ipip_status status;
    /**
     * The same in words; NULL with a report.
     */
    const char *error;
    /**
     * The kernel's error number (`errno.h`) for that, 0 where it had no part in it.
     */
    int error_number;
    /**
     * After how many milliseconds at the latest it is tried again; 0 with a report.
     */
    uint64_t retry_ms;
};

/**
 * A program's function that hears of each pass of `ipip_node_run`.
 */
typedef void (*ipip_run_callback)(const struct ipip_run_event *event, void *user_data);

/**
 * What a data path carried and dropped since it was started. Octets are those of the inner packets.
 */
struct ipip_traffic {
    /**
     * Packets taken from the device and sent to a node.
     */
    uint64_t sent_packets;
    /**
     * Their octets.
     */
    uint64_t sent_octets;
    /**
     * Packets received from a node and handed to the device.
     */
    uint64_t received_packets;
    /**
     * Their octets.
     */
    uint64_t received_octets;
    /**
     * Received packets whose partial transport checksum was finished here.
     */
    uint64_t checksums_finished;
    /**
     * Received packets whose two ECN fields should not have met (RFC 6040, 4.2).
     */
    uint64_t ecn_alarms;
    /**
     * Outbound, dropped: not IPv4.
     */
    uint64_t not_ipv4;
    /**
     * Outbound, dropped: may not be sent on, such as one whose TTL is 0.
     */
    uint64_t unsendable;
    /**
     * Outbound, dropped: the inner destination is behind no node.
     */
    uint64_t no_peer;
    /**
     * Outbound, dropped: longer than the way carries, and not to be cut; its sender is told.
     */
    uint64_t too_long;
    /**
     * Outbound, dropped: the kernel did not send it.
     */
    uint64_t send_failed;
    /**
     * Inbound, dropped: not IPv4 in IPv4, or headers that are damaged.
     */
    uint64_t malformed;
    /**
     * Inbound, dropped: the outer source is not another node that is known.
     */
    uint64_t unknown_node;
    /**
     * Inbound, dropped: the inner source is not behind the node that sent it.
     */
    uint64_t foreign_source;
    /**
     * Inbound, dropped: it met congestion, and its sender understands no other sign of that.
     */
    uint64_t congestion;
    /**
     * Inbound, dropped: the device did not take it.
     */
    uint64_t device_refused;
    /**
     * 1 where the kernel's driver carries, else 0. Its device, which counts since it was made, tells packets and octets (a
     * super-packet is one), of outbound drops only how many (send_failed), congestion and device_refused; all else is
     * 0 then, and untold.
     */
    uint8_t of_driver;
};

/**
 * One frame as it passed an interface.
 */
struct ipip_frame {
    /**
     * The frame from its first octet, without frame check sequence. The octets belong to the object
     * that gave the frame, whose doc says how long they are valid.
     */
    const uint8_t *octets;
    /**
     * How many octets there are; those of a capture have at most 262,144.
     */
    size_t octets_len;
    /**
     * Octets that it had on the interface, at least `octets_len`.
     */
    size_t original_len;
    /**
     * When the kernel saw it, in nanoseconds since 1970; the largest number for a time past 2554.
     */
    uint64_t time_ns;
    /**
     * What the first octet belongs to: an `enum ipip_link_type`, or another number of a pcap file, whose
     * frames are not read further.
     */
    uint32_t link_type;
    /**
     * Which way it passed, an `enum ipip_direction`.
     */
    uint32_t direction;
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

/**
 * What one IPv4 header of a frame must be, the outer or an inner one. All zero takes every frame,
 * even one without such a header. IPIP packets between nodes: protocol 4, and each node's address as a
 * prefix of 32 bits.
 */
struct ipip_filter {
    /**
     * Its protocol number; NULL for any.
     */
    const uint8_t *protocol;
    /**
     * Prefixes of which its source and its destination must each lie in one. NULL if `between_len` is
     * 0, which allows all.
     */
    const struct ipip_prefix *between;
    /**
     * How many prefixes there are.
     */
    size_t between_len;
};

/**
 * What is known about the point of a capture; what is NULL is not judged.
 */
struct ipip_expected {
    /**
     * The longest IP packet that should pass there, in octets.
     */
    const size_t *mtu;
    /**
     * All nodes with their prefixes, this one's included: who may have sent a tunnel packet.
     */
    const struct ipip_peers *peers;
};

/**
 * One thing wrong with a frame. Which fields count depends on `kind`; the others are 0.
 */
struct ipip_finding {
    /**
     * What is wrong.
     */
    enum ipip_finding_kind kind;
    /**
     * How many IP headers are around the one in question.
     */
    size_t depth;
    /**
     * The packet's length in octets.
     */
    size_t len;
    /**
     * The longest packet that should pass, in octets.
     */
    size_t mtu;
    /**
     * IPv4 headers directly in each other, at least 3.
     */
    size_t headers;
    /**
     * The checksum found.
     */
    uint16_t found;
    /**
     * The right checksum.
     */
    uint16_t computed;
    /**
     * The outer source address.
     */
    struct ipip_ipv4 outer_source;
    /**
     * The inner source address.
     */
    struct ipip_ipv4 inner_source;
    /**
     * The TTL found, 0 or 1.
     */
    uint8_t ttl;
    /**
     * The ECN field of the header outside, 0 to 3.
     */
    uint8_t outer_ecn;
    /**
     * The ECN field of the header directly inside, 0 to 3.
     */
    uint8_t inner_ecn;
    /**
     * 1 if routers may not fragment the packet, so that it is lost.
     */
    uint8_t dont_fragment;
    /**
     * 1 if it was captured before the sender's hardware cut it into segments.
     */
    uint8_t segmented_later;
    /**
     * 1 if offload explains the checksum: only the pseudo-header is summed, hardware finishes the rest.
     */
    uint8_t offloaded;
};

/**
 * What tells one inner packet from others at every point: nothing that a router, a tunnel or checksum
 * offload changes. It is the innermost IPv4 packet of a frame.
 */
struct ipip_packet_key {
    /**
     * Its source address.
     */
    struct ipip_ipv4 source;
    /**
     * Its destination address.
     */
    struct ipip_ipv4 destination;
    /**
     * What it carries.
     */
    uint8_t protocol;
    /**
     * Its identification; senders set it to 0 in packets with DF.
     */
    uint16_t identification;
    /**
     * Where it belongs, if it is a fragment, in units of 8 octets.
     */
    uint16_t fragment_offset;
    /**
     * Octets of its payload.
     */
    size_t payload_len;
    /**
     * A hash of the first 48 octets of its payload, without the transport checksum. The same within one
     * run of a program.
     */
    uint64_t payload_hash;
};

/**
 * A packet seen at one point.
 */
struct ipip_sighting {
    /**
     * The point, counted from 0.
     */
    size_t point;
    /**
     * The frame at that point, counted from 0.
     */
    size_t frame;
    /**
     * How many IP headers were around the packet: 1 on the wire of a tunnel.
     */
    size_t depth;
    /**
     * Its own TTL there.
     */
    uint8_t ttl;
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
 * The failures are those of `ipip_parse`, and IPIP_STATUS_TTL_ZERO: a packet that arrives with an inner TTL
 * of 0 must be discarded (RFC 2003 section 3.1).
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
 * The failures are those of `ipip_ipv4_parse` for the outer packet; IPIP_STATUS_PROTOCOL unless it carries
 * protocol 4; IPIP_STATUS_OUTER_FRAGMENT if it has to be reassembled first; those of `ipip_ipv4_parse` for the
 * inner packet.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets.
 */
enum ipip_status ipip_parse(const uint8_t *buffer,
                            size_t buffer_len,
                            struct ipip_packet *packet_out);

/**
 * What becomes of the inner ECN field `inner` where the outer one is `outer`: the table of RFC 6040
 * section 4.2, the same for either mode of the entry.
 *
 * IPIP_STATUS_INVALID_ARGUMENT above 3.
 */
enum ipip_status ipip_ecn_at_exit(uint8_t inner, uint8_t outer, struct ipip_ecn_exit *exit_out);

/**
 * Finds the inner packet of the IPIP packet in `buffer` as `ipip_decapsulate` does, and carries over to
 * it, in place, the congestion that the outer header met: what a tunnel's exit must do, by
 * `ipip_ecn_at_exit`. Only the inner TOS octet and header checksum change, and those seldom. The inner
 * TTL is not lowered: that is the duty of whoever forwards the packet next (RFC 2003 section 3.1).
 *
 * `alarm_out`, what was odd about the two ECN fields, may be NULL.
 *
 * The failures are those of `ipip_decapsulate`, and IPIP_STATUS_ECN_DROP: congestion was met by a packet that
 * can tell of it only by being dropped. The buffer is as it was then.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets that nobody else uses.
 */
enum ipip_status ipip_decapsulate_in_place(uint8_t *buffer,
                                           size_t buffer_len,
                                           struct ipip_span *inner_out,
                                           struct ipip_ecn_alarm *alarm_out);

/**
 * Lowers the TTL of the packet at the start of `packet` by one, as a node does that forwards it, its
 * checksum with it. `left_out`, what is left, 1 to 254, may be NULL.
 *
 * The entry of a tunnel does this to packets that it forwards into the tunnel and never to its own; the
 * exit does not do it by decapsulating (RFC 2003 section 3.1).
 *
 * The failures are those of `ipip_ipv4_parse`, and IPIP_STATUS_TTL_EXPIRED if nothing would be left: the
 * packet is to be discarded, and its sender told so. The packet is as it was then.
 *
 * The caller sees to it that:
 * `packet` is NULL or points to `packet_len` octets that nobody else uses.
 */
enum ipip_status ipip_lower_ttl(uint8_t *packet,
                                size_t packet_len,
                                uint8_t *left_out);

/**
 * What the internet checksum `checksum` becomes where one of the 16-bit words under it changes from
 * `before` to `after` (RFC 1624, equation 3). All numbers are in the byte order of the machine.
 */
enum ipip_status ipip_update_checksum(uint16_t checksum,
                                      uint16_t before,
                                      uint16_t after,
                                      uint16_t *checksum_out);

/**
 * Cuts the packet at the start of `packet` into fragments of at most `mtu` octets (68 to 65,515) and
 * writes them one after another into `buffer`, each behind `headroom` octets that are left alone: with
 * IPIP_HEADER_LEN of those, `fragments_out` is what `ipip_encapsulator_encapsulate_batch` takes. A packet
 * that is short enough is its only fragment.
 *
 * Fragments of the inner packet are put together by its destination; those of the outer packet would
 * have to be put together by the tunnel's exit (RFC 4459 section 3.1). The first has all options, the
 * others have those that demand to be copied. A fragment may be cut again.
 *
 * Where each fragment lies in `buffer` goes into `fragments_out`, which has `places` places. `needed_out`
 * says what they need, so a first call with NULL and 0 twice asks for it; it may be NULL.
 *
 * The failures are those of `ipip_ipv4_parse`; IPIP_STATUS_DONT_FRAGMENT if the packet is too long and has
 * DF set: then its sender is to be told; IPIP_STATUS_FRAGMENT_END and IPIP_STATUS_OPTIONS for a packet that
 * cannot be cut; IPIP_STATUS_INVALID_ARGUMENT for an MTU out of range; IPIP_STATUS_BUFFER_TOO_SMALL. Neither
 * array is written then.
 *
 * The caller sees to it that:
 * `packet` is NULL or points to `packet_len` octets; `buffer` is NULL or points to `buffer_len` octets, and
 * `fragments_out` is NULL or points to room for `places` spans, that nobody else uses.
 */
enum ipip_status ipip_fragments_emit(const uint8_t *packet,
                                     size_t packet_len,
                                     uint32_t mtu,
                                     size_t headroom,
                                     uint8_t *buffer,
                                     size_t buffer_len,
                                     struct ipip_span *fragments_out,
                                     size_t places,
                                     struct ipip_fragments_room *needed_out);

/**
 * Says where the packet at the start of `buffer` belongs if it is a fragment: what has to be put together
 * with others before a tunnel's exit can look inside. What a fragment claims is not checked against the
 * others, nor against the 65,535 octets of the longest packet.
 *
 * The failures are those of `ipip_ipv4_parse`.
 *
 * The caller sees to it that:
 * `buffer` is NULL or points to `buffer_len` octets.
 */
enum ipip_status ipip_ipv4_fragment(const uint8_t *buffer,
                                    size_t buffer_len,
                                    struct ipip_fragment_part *part_out);

/**
 * Lowers the MSS in the TCP segment that opens a connection, in `packet`, to what fits into a tunnel with
 * an MTU of `mtu` octets (68 to 65,515), 40 octets less, and the TCP checksum with it: for senders that
 * never hear of "fragmentation needed".
 *
 * `clamped_out`, 1 if it was lowered, and `before_out`, the MSS that was there, written only then, may be
 * NULL. An MSS that is not there is not put in: it counts as 536. A partial checksum has to be finished
 * before (`ipip_finish_partial_checksum`).
 *
 * The failures are those of `ipip_ipv4_parse`, and IPIP_STATUS_INVALID_ARGUMENT for an MTU out of range; the
 * packet is as it was then.
 *
 * The caller sees to it that:
 * `packet` is NULL or points to `packet_len` octets that nobody else uses.
 */
enum ipip_status ipip_clamp_mss(uint8_t *packet,
                                size_t packet_len,
                                uint32_t mtu,
                                uint8_t *clamped_out,
                                uint16_t *before_out);

/**
 * Writes what is to be asked of forwarded packets: every sign counts, 4 tunnels at most.
 */
enum ipip_status ipip_loop_policy_default(struct ipip_loop_policy *policy_out);

/**
 * Asks whether the tunnel between `endpoints` may carry the packet at the start of `inner`; `own` are this
 * node's addresses, read only where the policy asks for them.
 *
 * In this order: those of `ipip_ipv4_parse`; IPIP_STATUS_SAME_ENDPOINTS whatever the policy,
 * IPIP_STATUS_OWN_SOURCE, IPIP_STATUS_EXIT_SOURCE, IPIP_STATUS_EXIT_DESTINATION, IPIP_STATUS_TUNNEL_DEPTH:
 * the packet is to be discarded.
 *
 * The caller sees to it that:
 * `inner` is NULL or points to `inner_len` octets, `own` is NULL or points to `own_len` addresses.
 */
enum ipip_status ipip_loop_policy_check(const struct ipip_loop_policy *policy,
                                        const struct ipip_endpoints *endpoints,
                                        const uint8_t *inner,
                                        size_t inner_len,
                                        const struct ipip_ipv4 *own,
                                        size_t own_len);

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
 * Checks an ICMP error, the whole payload of an IPv4 packet that is no fragment, and reads it. What it
 * quotes is not checked here; extensions (RFC 4884) are no part of it.
 *
 * IPIP_STATUS_TRUNCATED, IPIP_STATUS_ICMP_NOT_ERROR or IPIP_STATUS_CHECKSUM, looked for in this order.
 *
 * The caller sees to it that:
 * `message` is NULL or points to `message_len` octets.
 */
enum ipip_status ipip_icmp_error_parse(const uint8_t *message,
                                       size_t message_len,
                                       struct ipip_icmp_error_view *view_out);

/**
 * Writes an IPv4 packet with this error to the start of `buffer`: from `source` to the sender of
 * `original`, of which it quotes as much as IPIP_MAX_ICMP_ERROR_LEN allows. `len_out` is its length in
 * octets, 56 to 576 for a whole `original`; so long a buffer is always long enough. What follows in
 * `buffer` is left alone.
 *
 * `original` may be cut short, but not within its header; its other checks are left out, because the
 * packet was good when it was sent. Ask `may_be_answered` of `ipip_quoted_parse` first, and send at a
 * limited rate.
 *
 * The failures are those of `ipip_quoted_parse` for `original`, IPIP_STATUS_HEADER_BUFFER for a buffer that
 * is too short, and IPIP_STATUS_INVALID_ARGUMENT for an unknown kind. Nothing is written then.
 *
 * The caller sees to it that:
 * `original` is NULL or points to `original_len` octets; `buffer` is NULL or points to `buffer_len` octets
 * that nobody else uses.
 */
enum ipip_status ipip_icmp_error_emit(const struct ipip_icmp_error *error,
                                      struct ipip_ipv4 source,
                                      const uint8_t *original,
                                      size_t original_len,
                                      uint8_t *buffer,
                                      size_t buffer_len,
                                      size_t *len_out);

/**
 * Reads the header at the start of `octets`, the beginning of a packet. Total length and checksum are not
 * compared with anything: the packet is cut short, and routers change headers before they quote them.
 *
 * IPIP_STATUS_TRUNCATED if the header is not all there, IPIP_STATUS_VERSION, IPIP_STATUS_HEADER_LEN.
 *
 * The caller sees to it that:
 * `octets` is NULL or points to `octets_len` octets.
 */
enum ipip_status ipip_quoted_parse(const uint8_t *octets,
                                   size_t octets_len,
                                   struct ipip_quoted *quoted_out);

/**
 * Checks an ICMP error, the whole payload of an IPv4 packet that is no fragment, and that it quotes a
 * packet that the entry of the tunnel between `endpoints` could have sent. That is all the protection
 * there is: who can forge a packet from the underlay and knows both addresses can forge this.
 *
 * The failures are those of `ipip_icmp_error_parse`, and where the error is not about this tunnel:
 * IPIP_STATUS_QUOTED if the outer header cannot be read, IPIP_STATUS_QUOTED_PROTOCOL,
 * IPIP_STATUS_QUOTED_ENDPOINTS, and IPIP_STATUS_QUOTED_FRAGMENT for a fragment but the first, which quotes no
 * inner header.
 *
 * The caller sees to it that:
 * `message` is NULL or points to `message_len` octets.
 */
enum ipip_status ipip_tunnel_error_parse(const uint8_t *message,
                                         size_t message_len,
                                         const struct ipip_endpoints *endpoints,
                                         struct ipip_tunnel_error *error_out);

/**
 * Says what to do about `error`, by the rules of RFC 2003 section 4; `outer` is what the tunnel's entry
 * writes in front of its packets.
 *
 * Codes of "destination unreachable" that are younger than RFC 2003 count as network (6, 9, 11) or host
 * unreachable, which they refine.
 *
 * IPIP_STATUS_INVALID_ARGUMENT, IPIP_STATUS_DSCP and IPIP_STATUS_FRAGMENT_OFFSET for fields out of range.
 */
enum ipip_status ipip_tunnel_error_relay(const struct ipip_tunnel_error *error,
                                         const struct ipip_outer *outer,
                                         const struct ipip_relay_context *context,
                                         struct ipip_relay *relay_out);

/**
 * Makes the state of a tunnel of which nothing is known yet; `mtu` is that of the tunnel device in octets,
 * 68 to 65,515, never exceeded.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an MTU out of range.
 */
enum ipip_status ipip_tunnel_state_new(uint32_t mtu,
                                       struct ipip_tunnel_state **state_out);

/**
 * The tunnel's MTU in octets at the time `now_ms`.
 */
enum ipip_status ipip_tunnel_state_mtu(const struct ipip_tunnel_state *state,
                                       uint64_t now_ms,
                                       uint32_t *mtu_out);

/**
 * Learns the MTU that `error` tells, if it tells one: ICMP lowers it and never raises it (RFC 1191
 * section 3). `mtu_out`, the MTU from now on, may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT and IPIP_STATUS_FRAGMENT_OFFSET for fields of `error` out of range.
 */
enum ipip_status ipip_tunnel_state_learn_mtu(struct ipip_tunnel_state *state,
                                             const struct ipip_tunnel_error *error,
                                             uint64_t now_ms,
                                             uint32_t *mtu_out);

/**
 * Keeps what cannot be sent yet, with IPIP_RELAY_ACTION_REMEMBER; other actions change nothing, nor does
 * "fragmentation needed": `ipip_tunnel_state_check` says so of any packet that is too long.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an unknown action or kind.
 */
enum ipip_status ipip_tunnel_state_remember(struct ipip_tunnel_state *state,
                                            const struct ipip_relay *relay,
                                            uint64_t now_ms);

/**
 * Asks whether the packet at the start of `inner` may be carried. With `refused_out` 1 it may not: then its
 * sender is to be told `error_out`, which is written only then, if the packet may be answered: that it is
 * too long and must stay whole, with exactly the tunnel's MTU, or what could not be told before, which is
 * told once.
 *
 * A packet that is too long and may be cut is to be cut, see `ipip_fragments_emit`.
 *
 * The failures are those of `ipip_ipv4_parse`.
 *
 * The caller sees to it that:
 * `inner` is NULL or points to `inner_len` octets.
 */
enum ipip_status ipip_tunnel_state_check(struct ipip_tunnel_state *state,
                                         const uint8_t *inner,
                                         size_t inner_len,
                                         uint64_t now_ms,
                                         uint8_t *refused_out,
                                         struct ipip_icmp_error *error_out);

/**
 * Frees the state. NULL is allowed.
 */
void ipip_tunnel_state_free(struct ipip_tunnel_state *state);

/**
 * Makes one without peers: every packet is refused.
 */
enum ipip_status ipip_peers_new(struct ipip_peers **peers_out);

/**
 * Records that `prefix` is behind the node with the underlay address `node_addr`, whoever held it before.
 * `replaced_out`, 1 if some node did, and `before_out`, which one, written only then, may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for a prefix with host bits set or longer than 32.
 */
enum ipip_status ipip_peers_insert(struct ipip_peers *peers,
                                   struct ipip_prefix prefix,
                                   struct ipip_ipv4 node_addr,
                                   uint8_t *replaced_out,
                                   struct ipip_ipv4 *before_out);

/**
 * Forgets `prefix`. `before_out`, the node that held it, may be NULL.
 *
 * IPIP_STATUS_NOT_FOUND if none did; IPIP_STATUS_INVALID_ARGUMENT for a prefix with host bits set or longer
 * than 32.
 */
enum ipip_status ipip_peers_remove(struct ipip_peers *peers,
                                   struct ipip_prefix prefix,
                                   struct ipip_ipv4 *before_out);

/**
 * Accepts a packet by its outer and inner source, or refuses it.
 *
 * IPIP_STATUS_UNKNOWN_NODE if the outer source has no prefix, IPIP_STATUS_NO_HOST if the inner source is no
 * single host's address, IPIP_STATUS_FOREIGN_SOURCE if it is not behind that node.
 */
enum ipip_status ipip_peers_check(const struct ipip_peers *peers,
                                  struct ipip_ipv4 outer_source,
                                  struct ipip_ipv4 inner_source);

/**
 * The node behind `address`: the one with the longest prefix that contains it.
 *
 * IPIP_STATUS_NOT_FOUND if there is none.
 */
enum ipip_status ipip_peers_node_of(const struct ipip_peers *peers,
                                    struct ipip_ipv4 address,
                                    struct ipip_ipv4 *node_addr_out);

/**
 * How many prefixes are recorded; 0 for NULL.
 */
size_t ipip_peers_count(const struct ipip_peers *peers);

/**
 * Writes each prefix with its node, in the order of the prefixes, into `pairs`, which has `pairs_len`
 * places; `needed_out` says how many there are.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit.
 *
 * The caller sees to it that:
 * `pairs` is NULL or points to room for `pairs_len` structs that nobody else uses.
 */
enum ipip_status ipip_peers_list(const struct ipip_peers *peers,
                                 struct ipip_peer *pairs,
                                 size_t pairs_len,
                                 size_t *needed_out);

/**
 * Frees it. NULL is allowed.
 */
void ipip_peers_free(struct ipip_peers *peers);

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
 * The pool as Calico stores it, in JSON. `needed_out` may be NULL. What a store holds beside these fields
 * is not in it: `ipip_store_list` gives a stored pool as it is.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * - `pool` is NULL or its strings are NULL or end in a zero.
 * - `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_pool_to_json(const struct ipip_pool *pool,
                                   char *text,
                                   size_t text_len,
                                   size_t *needed_out);

/**
 * Whether a selector in Calico's language, such as `has(zone) && zone != 'west'`, selects what has these
 * labels. `matches_out` is 1 or 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for a selector that is malformed; the text names the place.
 *
 * The caller sees to it that:
 * - `selector` is NULL or a string that ends in a zero.
 * - `labels` is NULL or points to `labels_len` pairs, whose strings end in a zero.
 */
enum ipip_status ipip_selector_matches(const char *selector,
                                       const struct ipip_pair *labels,
                                       size_t labels_len,
                                       uint8_t *matches_out);

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
 * Opens the store in the file `path` on a local file system, or makes it: an SQLite database with
 * "-wal", "-shm", "-lock" and "-next" beside it, for all processes of one machine. `options` may be NULL: then a
 * call waits 10,000 ms, 16,384 commits are remembered, a commit survives loss of power, and the file is
 * made.
 *
 * A process may end at any instant: the file holds every acknowledged commit as a whole. A child made by
 * fork() opens the file itself.
 *
 * IPIP_STATUS_STORE if the file cannot be opened, or is not ours, newer or damaged, IPIP_STATUS_BUSY if
 * others held it too long, IPIP_STATUS_UNSUPPORTED if the library was built without "sqlite".
 *
 * The caller sees to it that:
 * `path` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_store_open_sqlite(const char *path,
                                        const struct ipip_sqlite_options *options,
                                        struct ipip_store **store_out);

/**
 * Closes a store. NULL is allowed.
 */
void ipip_store_free(struct ipip_store *store);

/**
 * The records whose keys begin with `prefix`, in the order of their octets. A prefix begins with "/" and
 * ends with "/", or with "." inside a dotted address; "/" is all.
 *
 * The caller sees to it that:
 * `prefix` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_store_list(const struct ipip_store *store,
                                 const char *prefix,
                                 struct ipip_records **records_out);

/**
 * What changed below `prefix` after the revision `after`, which `ipip_records_revision` of a list or of
 * an earlier call gave; waits up to `timeout_ms` milliseconds for the first change. Each key once, as it
 * is now, in the order of the changes; none if nothing changed in that time.
 *
 * IPIP_STATUS_COMPACTED if the store no longer knows: list again.
 *
 * The caller sees to it that:
 * `prefix` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_store_watch(const struct ipip_store *store,
                                  const char *prefix,
                                  uint64_t after,
                                  uint32_t timeout_ms,
                                  struct ipip_records **records_out);

/**
 * How many records there are; 0 for NULL.
 */
size_t ipip_records_count(const struct ipip_records *records);

/**
 * The store's revision when they were read, for `ipip_store_watch`; 0 for NULL.
 */
uint64_t ipip_records_revision(const struct ipip_records *records);

/**
 * The record `index`, counted from 0.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_records_get(const struct ipip_records *records,
                                  size_t index,
                                  struct ipip_record *record_out);

/**
 * Frees records. NULL is allowed.
 */
void ipip_records_free(struct ipip_records *records);

/**
 * Writes every record of the store to the file descriptor `fd`, which stays open: a line of JSON each,
 * `{"key":"...","value":...}`, or `"base64"` for a value that is no JSON on one line. `count_out` (may be
 * NULL) is how many there were.
 *
 * IPIP_STATUS_KERNEL if they cannot be written.
 */
enum ipip_status ipip_store_export(const struct ipip_store *store,
                                   int fd,
                                   size_t *count_out);

/**
 * Puts every record that `ipip_store_export` wrote, read from the file descriptor `fd` up to its end,
 * into the store by one commit. `fd` stays open. `options` may be NULL: nothing is deleted.
 * `imported_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if a line is no record (the text has its number), IPIP_STATUS_BUSY if
 * others keep writing to the same keys; nothing is written then.
 */
enum ipip_status ipip_store_import(const struct ipip_store *store,
                                   int fd,
                                   const struct ipip_import_options *options,
                                   struct ipip_imported *imported_out);

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
 * longest; if all are full, from one more block that it claims, else from another node's. The key "node"
 * is added to the attribute, if it is not there.
 *
 * IPIP_STATUS_POOL_EXHAUSTED if no pool serves the node, or nothing is left that it may have; the text
 * says what is in its way.
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
 * Assigns `address` on `node`, and claims its block if nobody has. One of another node's block is
 * borrowed. `assignment_out` may be NULL.
 *
 * IPIP_STATUS_OUTSIDE_POOL, IPIP_STATUS_POOL_DISABLED, IPIP_STATUS_OVERLAP,
 * IPIP_STATUS_ALREADY_ASSIGNED (the text names the handle); with strict affinity also
 * IPIP_STATUS_OWNED_BY_ANOTHER (the text names the owner of the block).
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
 * How many things are in a list, an `enum ipip_outcome_list`; 0 for NULL and for no list.
 */
size_t ipip_outcome_count(const struct ipip_outcome *outcome, uint32_t list);

/**
 * The thing `index` of a list, an `enum ipip_outcome_list`, counted from 0.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_outcome_get(const struct ipip_outcome *outcome,
                                  uint32_t list,
                                  size_t index,
                                  struct ipip_outcome_entry *entry_out);

/**
 * Frees an outcome. NULL is allowed.
 */
void ipip_outcome_free(struct ipip_outcome *outcome);

/**
 * Assigns the addresses that `request` asks for: from the node's blocks, then from more that it claims,
 * then from others' blocks, with one commit for each block. Too few are no failure:
 * `ipip_assignments_shortfall` says why.
 *
 * IPIP_STATUS_POOL_EXHAUSTED if no pool serves the node, IPIP_STATUS_NOT_FOUND for a pool that is not
 * there, IPIP_STATUS_INVALID_ARGUMENT for a count that is not allowed.
 *
 * The caller sees to it that:
 * The strings of `request` are NULL or end in a zero, its arrays are NULL or as long as their `_len`
 * says, and `max_blocks` is NULL or points to a number.
 */
enum ipip_status ipip_ipam_assign_many(const struct ipip_ipam *ipam,
                                       const struct ipip_request *request,
                                       struct ipip_assignments **assignments_out);

/**
 * How many addresses were assigned; 0 for NULL.
 */
size_t ipip_assignments_count(const struct ipip_assignments *assignments);

/**
 * The assignment `index`, counted from 0.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_assignments_get(const struct ipip_assignments *assignments,
                                      size_t index,
                                      struct ipip_assignment *assignment_out);

/**
 * Why they are not more, and as a sentence, "" if they are all. `needed_out` may be NULL, and so may
 * `text`, if `text_len` is 0 and `needed_out` NULL: then only `shortfall_out` is written.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_assignments_shortfall(const struct ipip_assignments *assignments,
                                            enum ipip_shortfall *shortfall_out,
                                            char *text,
                                            size_t text_len,
                                            size_t *needed_out);

/**
 * Frees the list; the addresses stay assigned. NULL is allowed.
 */
void ipip_assignments_free(struct ipip_assignments *assignments);

/**
 * Releases several addresses, those of one block in one commit. If one of a block is not the assignment
 * that its `struct ipip_release` names, nothing of that block is released. The outcome has the lists
 * Released, NotAssigned and Refused.
 *
 * The caller sees to it that:
 * - `releases` is NULL or points to `releases_len` releases.
 * - Their strings are NULL or end in a zero, and their sequence numbers are NULL or point to one.
 */
enum ipip_status ipip_ipam_release_many(const struct ipip_ipam *ipam,
                                        const struct ipip_release *releases,
                                        size_t releases_len,
                                        struct ipip_outcome **outcome_out);

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
enum ipip_status ipip_ipam_addresses_of(const struct ipip_ipam *ipam,
                                        const char *handle,
                                        struct ipip_ipv4 *addresses,
                                        size_t addresses_len,
                                        size_t *needed_out);

/**
 * The pools, by name.
 */
enum ipip_status ipip_ipam_pools(const struct ipip_ipam *ipam, struct ipip_pools **pools_out);

/**
 * The pool that `json` holds, as Calico stores it: a list of one, or of none if the pool is of IPv6.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field.
 *
 * The caller sees to it that:
 * `json` is NULL or points to `json_len` octets.
 */
enum ipip_status ipip_pools_from_json(const uint8_t *json,
                                      size_t json_len,
                                      struct ipip_pools **pools_out);

/**
 * How many pools there are; 0 for NULL.
 */
size_t ipip_pools_count(const struct ipip_pools *pools);

/**
 * The pool `index`, counted from 0; its strings live as long as `pools`. A node selector that is
 * malformed is told as "!all()": it selects no node either.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_pools_get(const struct ipip_pools *pools,
                                size_t index,
                                struct ipip_pool *pool_out);

/**
 * Frees the list; the pools stay. NULL is allowed.
 */
void ipip_pools_free(struct ipip_pools *pools);

/**
 * Changes the pool of the same name to what `pool` says; what is stored beside these fields stays, and so
 * do addresses and blocks in use.
 *
 * IPIP_STATUS_NOT_FOUND, and IPIP_STATUS_INVALID_ARGUMENT with the reason if the prefix or the block size
 * would change.
 *
 * The caller sees to it that:
 * `pool` is NULL or its strings are NULL or end in a zero.
 */
enum ipip_status ipip_ipam_update_pool(const struct ipip_ipam *ipam,
                                       const struct ipip_pool *pool);

/**
 * Lets nothing be assigned or claimed from a pool any more; what is in use stays so.
 *
 * IPIP_STATUS_NOT_FOUND.
 *
 * The caller sees to it that:
 * `pool` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_disable_pool(const struct ipip_ipam *ipam, const char *pool);

/**
 * Ends what `ipip_ipam_disable_pool` began.
 *
 * IPIP_STATUS_NOT_FOUND.
 *
 * The caller sees to it that:
 * `pool` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_enable_pool(const struct ipip_ipam *ipam, const char *pool);

/**
 * Deletes a pool: it is disabled, its blocks are given up, the empty ones deleted, then it is deleted.
 * Addresses in use stay so, and can be released as before. The outcome, which may be NULL, has the lists
 * Deleted, Orphaned and Remaining. A call that ended early leaves the pool disabled; the next goes on.
 *
 * IPIP_STATUS_NOT_FOUND.
 *
 * The caller sees to it that:
 * `pool` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_delete_pool(const struct ipip_ipam *ipam,
                                       const char *pool,
                                       struct ipip_outcome **outcome_out);

/**
 * The configuration that is stored, or the one that counts where none is.
 */
enum ipip_status ipip_ipam_config(const struct ipip_ipam *ipam,
                                  struct ipip_allocator_config *config_out);

/**
 * Stores the configuration, whatever its fields were before, and keeps what Calico stores beside them.
 * Whoever changes what he has read takes `ipip_ipam_change_config`, which leaves alone what others
 * change meanwhile.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if it breaks a rule.
 */
enum ipip_status ipip_ipam_set_config(const struct ipip_ipam *ipam,
                                      const struct ipip_allocator_config *config);

/**
 * Changes the fields in which `after` differs from `before`, which was read, and leaves the others as
 * they are by now. `config_out`, which may be NULL, gets what is stored then. So of two who change
 * different fields at once none is undone, and of two who change one field the later counts.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if what would be stored breaks a rule.
 */
enum ipip_status ipip_ipam_change_config(const struct ipip_ipam *ipam,
                                         const struct ipip_allocator_config *before,
                                         const struct ipip_allocator_config *after,
                                         struct ipip_allocator_config *config_out);

/**
 * Stores a reservation; addresses of it that are assigned stay so.
 *
 * IPIP_STATUS_ALREADY_EXISTS.
 */
enum ipip_status ipip_ipam_create_reservation(const struct ipip_ipam *ipam,
                                              const struct ipip_reservation *reservation);

/**
 * Deletes a reservation.
 *
 * IPIP_STATUS_NOT_FOUND.
 *
 * The caller sees to it that:
 * `reservation` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_delete_reservation(const struct ipip_ipam *ipam,
                                              const char *reservation);

/**
 * The reservations, by name.
 */
enum ipip_status ipip_ipam_reservations(const struct ipip_ipam *ipam,
                                        struct ipip_reservations **reservations_out);

/**
 * How many reservations there are; 0 for NULL.
 */
size_t ipip_reservations_count(const struct ipip_reservations *reservations);

/**
 * A copy of the reservation `index`, counted from 0; the caller frees it with `ipip_reservation_free`.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_reservations_get(const struct ipip_reservations *reservations,
                                       size_t index,
                                       struct ipip_reservation **reservation_out);

/**
 * Frees the list; the reservations stay. NULL is allowed.
 */
void ipip_reservations_free(struct ipip_reservations *reservations);

/**
 * The nodes that have a record, by name.
 */
enum ipip_status ipip_ipam_nodes(const struct ipip_ipam *ipam,
                                 struct ipip_node_records **records_out);

/**
 * How many nodes there are; 0 for NULL.
 */
size_t ipip_node_records_count(const struct ipip_node_records *records);

/**
 * A copy of the record `index`, counted from 0; the caller frees it with `ipip_node_record_free`.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_node_records_get(const struct ipip_node_records *records,
                                       size_t index,
                                       struct ipip_node_record **record_out);

/**
 * Frees the list; the nodes stay. NULL is allowed.
 */
void ipip_node_records_free(struct ipip_node_records *records);

/**
 * The record of `node`; the caller frees it with `ipip_node_record_free`.
 *
 * IPIP_STATUS_NOT_FOUND if there is none.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_node(const struct ipip_ipam *ipam,
                                const char *node,
                                struct ipip_node_record **record_out);

/**
 * Stores the labels and addresses of a node. The address of its tunnel device stays if `record` has none,
 * and so do fields that we do not know.
 */
enum ipip_status ipip_ipam_put_node(const struct ipip_ipam *ipam,
                                    const struct ipip_node_record *record);

/**
 * Removes a node that is gone: its addresses are released, its blocks given up, the empty ones deleted,
 * then its record is deleted. The outcome, which may be NULL, has every list but NotAssigned and Handles.
 * A node that nothing is known of is removed already; a call that ended early is completed by the next.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_remove_node(const struct ipip_ipam *ipam,
                                       const char *node,
                                       struct ipip_outcome **outcome_out);

/**
 * The address of the tunnel device of `node`, assigned and written into the node's record if it has none.
 * `has_out` is 1, or 0 if no pool that encapsulates by IPIP serves the node; `address_out` is 0.0.0.0
 * then.
 *
 * IPIP_STATUS_POOL_EXHAUSTED if there is no address left.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_ensure_tunnel_address(const struct ipip_ipam *ipam,
                                                 const char *node,
                                                 int *has_out,
                                                 struct ipip_ipv4 *address_out);

/**
 * Releases the address of the tunnel device of `node`, and takes it out of the node's record; it may have
 * none. `count_out` (may be NULL) is how many addresses were released.
 *
 * The caller sees to it that:
 * `node` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipam_release_tunnel_address(const struct ipip_ipam *ipam,
                                                  const char *node,
                                                  size_t *count_out);

/**
 * How much of each pool and block is in use, and what is borrowed. A damaged block is told in the JSON,
 * and not counted.
 */
enum ipip_status ipip_ipam_usage(const struct ipip_ipam *ipam,
                                 struct ipip_usage **usage_out);

/**
 * How many pools there are; 0 for NULL.
 */
size_t ipip_usage_pool_count(const struct ipip_usage *usage);

/**
 * The use of the pool `index`, counted from 0, by name.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_usage_pool(const struct ipip_usage *usage,
                                 size_t index,
                                 struct ipip_pool_usage *pool_out);

/**
 * The use as text, in an `enum ipip_usage_form`. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_usage_text(const struct ipip_usage *usage,
                                 uint32_t form,
                                 char *text,
                                 size_t text_len,
                                 size_t *needed_out);

/**
 * Frees the use. NULL is allowed.
 */
void ipip_usage_free(struct ipip_usage *usage);

/**
 * What is known of one address, as JSON: `address`, `block`, `inUse`, `handle`, `attributes`,
 * `releasedAt`. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_ipam_address_usage(const struct ipip_ipam *ipam,
                                         struct ipip_ipv4 address,
                                         char *text,
                                         size_t text_len,
                                         size_t *needed_out);

/**
 * Everything that is wrong in the store at one instant; nothing is changed.
 */
enum ipip_status ipip_ipam_check(const struct ipip_ipam *ipam, struct ipip_report **report_out);

/**
 * The same, and every address whose handle is not in `live` is a problem too; those of tunnel devices are
 * alive.
 *
 * The caller sees to it that:
 * `live` is NULL or points to `live_len` strings, which end in a zero.
 */
enum ipip_status ipip_ipam_check_live(const struct ipip_ipam *ipam,
                                      const char *const *live,
                                      size_t live_len,
                                      struct ipip_report **report_out);

/**
 * How much was looked at, and how many problems there are.
 */
enum ipip_status ipip_report_count(const struct ipip_report *report,
                                   struct ipip_report_counts *counts_out);

/**
 * The problem `index`, counted from 0.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_report_get(const struct ipip_report *report,
                                 size_t index,
                                 struct ipip_problem *problem_out);

/**
 * The report as text, in an `enum ipip_report_form`. `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_report_text(const struct ipip_report *report,
                                  uint32_t form,
                                  char *text,
                                  size_t text_len,
                                  size_t *needed_out);

/**
 * Frees the report. NULL is allowed.
 */
void ipip_report_free(struct ipip_report *report);

/**
 * Repairs what `report` tells and the store proves, each problem in one commit that takes effect only
 * while the problem is there. No address is assigned or released.
 */
enum ipip_status ipip_ipam_repair(const struct ipip_ipam *ipam,
                                  const struct ipip_report *report,
                                  struct ipip_repaired **repaired_out);

/**
 * How many problems are no more, and how many are left.
 */
enum ipip_status ipip_repaired_count(const struct ipip_repaired *repaired,
                                     size_t *repaired_count_out,
                                     size_t *left_count_out);

/**
 * What became of each problem, and why it is left if it is, as text in an `enum ipip_report_form`.
 * `needed_out` may be NULL.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_repaired_text(const struct ipip_repaired *repaired,
                                    uint32_t form,
                                    char *text,
                                    size_t text_len,
                                    size_t *needed_out);

/**
 * Frees it. NULL is allowed.
 */
void ipip_repaired_free(struct ipip_repaired *repaired);

/**
 * Makes a collector that lets everything be for `grace_ms` milliseconds after it saw first that it is
 * useless; 900,000 as a rule, which is Calico's.
 */
enum ipip_status ipip_collector_new(uint64_t grace_ms,
                                    struct ipip_collector **collector_out);

/**
 * Frees the collector. NULL is allowed.
 */
void ipip_collector_free(struct ipip_collector *collector);

/**
 * Collects what nobody needs any more, where `live` are the handles of all workloads that are alive,
 * gathered before the call: their addresses, handles without addresses, empty blocks, addresses that
 * cooled down. The outcome has the lists Released, Refused, Deleted, Handles and Unreadable.
 * `counts_out` may be NULL.
 *
 * The caller sees to it that:
 * `live` is NULL or points to `live_len` strings, which end in a zero.
 */
enum ipip_status ipip_ipam_collect(const struct ipip_ipam *ipam,
                                   struct ipip_collector *collector,
                                   const char *const *live,
                                   size_t live_len,
                                   struct ipip_collect_counts *counts_out,
                                   struct ipip_outcome **outcome_out);

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
 * Brings the guard of a node to be: the nf_tables table `ip ipip`. It drops IPIP packets with an inner address
 * in a pool, unless `peers` has the inner source behind the outer one or both are the same; it drops those that come
 * from workloads; and it translates sources as Calico does. What changed goes in as single elements, first
 * those that let in more. `changes_out` may be NULL.
 *
 * IPIP_STATUS_UNSUPPORTED without the program nft and on a kernel without nf_tables, named in the text;
 * IPIP_STATUS_IN_THE_WAY if a table of that name is not ours; IPIP_STATUS_PERMISSION without CAP_NET_ADMIN;
 * IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
 *
 * The caller sees to it that:
 * `guard` is NULL or its pointers are as described: `pools_len` pools, a string that ends in a zero or
 * NULL, an address or NULL.
 */
enum ipip_status ipip_ensure_guard(const struct ipip_netns *netns,
                                   const struct ipip_guard *guard,
                                   const struct ipip_peers *peers,
                                   struct ipip_changes **changes_out);

/**
 * Deletes the guard's table if it is ours, and nothing else of nf_tables. `changes_out` may be NULL.
 *
 * IPIP_STATUS_UNSUPPORTED without the program nft; IPIP_STATUS_PERMISSION without CAP_NET_ADMIN.
 */
enum ipip_status ipip_remove_guard(const struct ipip_netns *netns,
                                   struct ipip_changes **changes_out);

/**
 * How many things are in a list, an `enum ipip_node_list`; 0 for NULL and for no list.
 */
size_t ipip_node_report_count(const struct ipip_node_report *report, uint32_t list);

/**
 * The thing `index` of a list, an `enum ipip_node_list`, counted from 0.
 *
 * IPIP_STATUS_NOT_FOUND if there are not so many.
 */
enum ipip_status ipip_node_report_get(const struct ipip_node_report *report,
                                      uint32_t list,
                                      size_t index,
                                      struct ipip_node_entry *entry_out);

/**
 * What the report says beside its lists.
 */
enum ipip_status ipip_node_report_state(const struct ipip_node_report *report,
                                        struct ipip_node_state *state_out);

/**
 * All of it, in a form, an `enum ipip_report_form`: as text the shell script of its steps, with what
 * could not be done as comments, or as JSON. `needed_out` (may be NULL) is the length with the final zero.
 *
 * IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_node_report_text(const struct ipip_node_report *report,
                                       uint32_t form,
                                       char *text,
                                       size_t text_len,
                                       size_t *needed_out);

/**
 * Frees it. NULL is allowed.
 */
void ipip_node_report_free(struct ipip_node_report *report);

/**
 * Makes a node of this host: stores its record with its address and labels, gets an address for its
 * tunnel device, and brings about in the kernel what a node of this cluster holds, as `ipip_node_sync`.
 * A node that takes part already is found as it is, so a call that was interrupted is completed by the
 * next.
 *
 * IPIP_STATUS_NO_UNDERLAY if it is not clear through which interface the others reach it (the text says
 * what to name), IPIP_STATUS_ADDRESS_TAKEN if another node has its address, IPIP_STATUS_POOL_EXHAUSTED if
 * no tunnel address is left, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, IPIP_STATUS_INVALID_ARGUMENT
 * for fields of `config` out of range; those of the store.
 *
 * The caller sees to it that:
 * - The strings of `config` and of its labels are NULL or end in a zero.
 * - Its other pointers are NULL or point to their objects, and `labels` to `labels_len` pairs.
 */
enum ipip_status ipip_node_join(const struct ipip_store *store,
                                const struct ipip_node_config *config,
                                struct ipip_node **node_out);

/**
 * The node of this host, which joined before, perhaps in another process: nothing is changed.
 *
 * IPIP_STATUS_NOT_JOINED if the store has no address of it; else as `ipip_node_join`.
 *
 * The caller sees to it that:
 * As `ipip_node_join`.
 */
enum ipip_status ipip_node_open(const struct ipip_store *store,
                                const struct ipip_node_config *config,
                                struct ipip_node **node_out);

/**
 * Brings about what this node should hold of the cluster as it is now: the tunnel device, the host side
 * of its workloads, the routes to the blocks of the others, and the guard; and takes away what is ours
 * and should not be there. The caller frees the report with `ipip_node_report_free`.
 *
 * What the kernel refuses is no failure of the call: the report names it, and the rest is done. Where
 * the store cannot be read, what was read last counts, and nothing is taken away.
 *
 * IPIP_STATUS_NOT_JOINED, IPIP_STATUS_NO_UNDERLAY, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, those of
 * the store if it could never be read; nothing was changed then.
 */
enum ipip_status ipip_node_sync(const struct ipip_node *node,
                                struct ipip_node_report **report_out);

/**
 * What `ipip_node_sync` would do in the kernel now: the report has the lists Steps, Conflicts, Adopted
 * and Withheld, and its text is a script that does it. Nothing is changed, in the store neither.
 *
 * Fails as `ipip_node_sync`.
 */
enum ipip_status ipip_node_plan(const struct ipip_node *node,
                                struct ipip_node_report **report_out);

/**
 * Takes this node off the pod network: our routes, the workloads' wires, our address on the tunnel device
 * and the guard, whoever's process made them; forwarding is set back where this object changed it. The
 * tunnel device goes only if we made it. Then its tunnel address is released. What is not ours stays.
 *
 * With `forget` 1 the store forgets it as well: its record, the addresses of its workloads, its blocks;
 * `outcome_out` (may be NULL) has what `ipip_ipam_remove_node` would say, with all lists empty if that was
 * not asked for or could not be done. With 0 its workloads' addresses and blocks stay its own, for when it
 * joins again.
 *
 * Everything is tried: the report has what was done and what was not in the lists Steps, Failed, Released
 * and Faults, and the next call completes it. Nobody should `ipip_node_run` the node meanwhile.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if `forget` is neither 0 nor 1; else as `ipip_node_sync`: nothing was done
 * then.
 */
enum ipip_status ipip_node_leave(const struct ipip_node *node,
                                 uint8_t forget,
                                 struct ipip_node_report **report_out,
                                 struct ipip_outcome **outcome_out);

/**
 * What the node did since its object was made. It does not wait for calls of other threads.
 */
enum ipip_status ipip_node_counters(const struct ipip_node *node,
                                    struct ipip_node_counts *counts_out);

/**
 * Frees the object; the node goes on taking part. No call with it may be under way. NULL is allowed.
 */
void ipip_node_free(struct ipip_node *node);

/**
 * Attaches a container: assigns it an address and wires it, a pair of veth ends with Calico's names,
 * addresses and routes. `attached_out` and `changes_out`, what the call changed in the kernel, may be NULL.
 *
 * The call may be repeated, and asked by whoever comes next: the address belongs to the container's
 * handle NETWORK.CONTAINER, so it is the same each time, and what is broken of the wire is mended, inside
 * too. A call that fails gives back the address that it assigned and takes back what it changed.
 *
 * IPIP_STATUS_NOT_FOUND if there is no namespace at the path, IPIP_STATUS_NOT_NETNS if it is another kind
 * of file, IPIP_STATUS_SAME_NETNS if it is the node's own; IPIP_STATUS_INVALID_ARGUMENT for names that are
 * none; IPIP_STATUS_IN_THE_WAY if the container has another default route or another interface of the
 * name; IPIP_STATUS_OTHER_ADDRESS if it has another address than the one that is wanted;
 * IPIP_STATUS_ALREADY_ASSIGNED if that is another's; IPIP_STATUS_POOL_EXHAUSTED if there is none;
 * IPIP_STATUS_NOT_JOINED; IPIP_STATUS_NO_UNDERLAY; IPIP_STATUS_HALF_APPLIED if the address could not be
 * given back, which `ipip_node_detach` does then; those of the store.
 *
 * The caller sees to it that:
 * The strings of `workload` are NULL or end in a zero; its `address` is NULL or points to one.
 */
enum ipip_status ipip_node_attach(const struct ipip_node *node,
                                  const struct ipip_node_workload *workload,
                                  struct ipip_attached *attached_out,
                                  struct ipip_changes **changes_out);

/**
 * Attaches many containers as `ipip_node_attach` attaches one; the addresses that come from one block are
 * one commit. One that failed leaves the others as they are: `ipip_attachments_get` has its status.
 *
 * IPIP_STATUS_NOT_JOINED, IPIP_STATUS_NO_UNDERLAY, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, and
 * IPIP_STATUS_NULL_ARGUMENT, IPIP_STATUS_NOT_UTF8 and IPIP_STATUS_INVALID_ARGUMENT for a string that is
 * missing or no text, and for an interface's name that is none: nothing was done then.
 *
 * The caller sees to it that:
 * - `workloads` is NULL or points to `workloads_len` workloads.
 * - Their strings are NULL or end in a zero; their addresses are NULL or point to one.
 */
enum ipip_status ipip_node_attach_many(const struct ipip_node *node,
                                       const struct ipip_node_workload *workloads,
                                       size_t workloads_len,
                                       struct ipip_attachments **attachments_out);

/**
 * How many containers there were; 0 for NULL.
 */
size_t ipip_attachments_count(const struct ipip_attachments *attachments);

/**
 * What `ipip_node_attach` would have answered for the container `index`, counted from 0, its failures
 * included; IPIP_STATUS_NULL_ARGUMENT for NULL, IPIP_STATUS_INVALID_ARGUMENT if there are not so many.
 */
enum ipip_status ipip_attachments_get(const struct ipip_attachments *attachments,
                                      size_t index,
                                      struct ipip_attached *attached_out,
                                      struct ipip_changes **changes_out);

/**
 * Frees the list; the containers stay attached. NULL is allowed.
 */
void ipip_attachments_free(struct ipip_attachments *attachments);

/**
 * Detaches a container: takes its wire away and releases its address. Its namespace may be gone. What was
 * never attached, or is detached already, is no failure. `outcome_out`, with the list Released, and
 * `changes_out`, what the call changed in the kernel, may be NULL.
 *
 * The address is released by the container's own handle, and the wire, which bears the pod's name, stays
 * if another container of that pod has an address: a late call for an old container does its successor
 * no harm.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for names that are none; IPIP_STATUS_PERMISSION and IPIP_STATUS_KERNEL if
 * the wire cannot be taken away, and its address stays assigned then; those of the store: the next call
 * completes it.
 *
 * The caller sees to it that:
 * The strings of `id` are NULL or end in a zero.
 */
enum ipip_status ipip_node_detach(const struct ipip_node *node,
                                  const struct ipip_workload_id *id,
                                  struct ipip_outcome **outcome_out,
                                  struct ipip_changes **changes_out);

/**
 * Detaches many containers as `ipip_node_detach` does one; the addresses of one block are released in one
 * commit. One that failed leaves the others as they are: `ipip_detachments_get` has its status.
 *
 * Those of the store if it cannot be read, and IPIP_STATUS_NULL_ARGUMENT and IPIP_STATUS_NOT_UTF8 for a
 * string that is missing or no text: nothing was done then.
 *
 * The caller sees to it that:
 * `ids` is NULL or points to `ids_len` of them, whose strings are NULL or end in a zero.
 */
enum ipip_status ipip_node_detach_many(const struct ipip_node *node,
                                       const struct ipip_workload_id *ids,
                                       size_t ids_len,
                                       struct ipip_detachments **detachments_out);

/**
 * How many containers there were; 0 for NULL.
 */
size_t ipip_detachments_count(const struct ipip_detachments *detachments);

/**
 * What `ipip_node_detach` would have answered for the container `index`, counted from 0, its failures
 * included; IPIP_STATUS_NULL_ARGUMENT for NULL, IPIP_STATUS_INVALID_ARGUMENT if there are not so many.
 */
enum ipip_status ipip_detachments_get(const struct ipip_detachments *detachments,
                                      size_t index,
                                      struct ipip_outcome **outcome_out,
                                      struct ipip_changes **changes_out);

/**
 * Frees the list. NULL is allowed.
 */
void ipip_detachments_free(struct ipip_detachments *detachments);

/**
 * Keeps this node as it should be until `ipip_node_stop`, which is the call's success: a pass as
 * `ipip_node_sync` at once, after each change in the store or in the kernel, and every 90 s. After a pass
 * that failed it waits, at first half a second, at most half a minute. It has no timeout; each pass has
 * one, `deadline_ms` of the configuration.
 *
 * It may be stopped, or its process killed, at any instant: nothing is taken down by that.
 *
 * `callback` (may be NULL) is called on the calling thread after each pass. It may call functions of this
 * library with the same node, except `ipip_node_free`, and except `ipip_node_run`; other threads may
 * meanwhile call them all but for `ipip_node_free`. It must return (no longjmp, no C++ exception).
 *
 * IPIP_STATUS_KERNEL if the kernel's changes cannot be listened to. What fails later is told, and tried
 * again.
 *
 * The caller sees to it that:
 * `callback` is NULL or may be called with an event and `user_data`.
 */
enum ipip_status ipip_node_run(const struct ipip_node *node,
                               ipip_run_callback callback,
                               void *user_data);

/**
 * Ends `ipip_node_run` within a tenth of a second, or as soon as a pass that has begun is finished or its time is over, and
 * for good: from now on each one with this object returns at once. The other calls go on working. It may
 * be called on any thread, and from a signal's handler. NULL is allowed.
 */
void ipip_node_stop(const struct ipip_node *node);

/**
 * What the node's data path carried and dropped since this object started it; it waits for calls that
 * change the kernel.
 *
 * Where the kernel's driver carries, what its device counts (`ip -s link show tunl0`).
 *
 * IPIP_STATUS_NOT_FOUND where another process carries, and before the first pass; IPIP_STATUS_KERNEL if the kernel does
 * not let the counters be read.
 */
enum ipip_status ipip_node_traffic(const struct ipip_node *node,
                                   struct ipip_traffic *traffic_out);

/**
 * Writes a frame as one line, as `tcpdump -n -S` prints it (with `-e` where there are MAC addresses):
 * every IP header of a tunnel packet is in it. The time of day is UTC. `needed_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an impossible field, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `frame` is NULL or its `octets` point to `octets_len` octets; `text` is NULL or points to `text_len`
 * octets that nobody else uses.
 */
enum ipip_status ipip_frame_line(const struct ipip_frame *frame,
                                 char *text,
                                 size_t text_len,
                                 size_t *needed_out);

/**
 * Writes a frame as a tree of its layers, in the words of Wireshark's packet details: a line for each
 * layer, and its fields indented below it. `needed_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an impossible field, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * As `ipip_frame_line`.
 */
enum ipip_status ipip_frame_tree(const struct ipip_frame *frame,
                                 char *text,
                                 size_t text_len,
                                 size_t *needed_out);

/**
 * Writes a frame as one JSON object without a line break: `layers` holds one object for each layer,
 * outermost first, with every field and, beside each checksum, a verdict on it. `needed_out` may be
 * NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an impossible field, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * As `ipip_frame_line`.
 */
enum ipip_status ipip_frame_json(const struct ipip_frame *frame,
                                 char *text,
                                 size_t text_len,
                                 size_t *needed_out);

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
 * The next frame, whose octets are valid until the next one; waits for it up to `timeout_ms` milliseconds; 0 does not wait.
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

/**
 * Opens a capture file and reads its header; a pipe such as "/dev/stdin" will do.
 *
 * IPIP_STATUS_NOT_FOUND if there is no such file, IPIP_STATUS_NOT_A_CAPTURE if it begins as none does,
 * IPIP_STATUS_DAMAGED_CAPTURE if its header ends early; else what the kernel says of it.
 *
 * The caller sees to it that:
 * `path` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_reader_open(const char *path,
                                  struct ipip_reader **reader_out);

/**
 * The next frame.
 *
 * IPIP_STATUS_END_OF_CAPTURE after the last one. IPIP_STATUS_DAMAGED_CAPTURE, once, if the file is
 * damaged or cut off: the frames before were whole, the text says what is wrong and
 * `ipip_reader_damage_offset` where; after it the capture is at its end.
 */
enum ipip_status ipip_reader_next(struct ipip_reader *reader, struct ipip_frame *frame_out);

/**
 * Where the capture is damaged: how many octets of the file lie before the record that cannot be read.
 *
 * IPIP_STATUS_NOT_FOUND if no damage was met so far.
 */
enum ipip_status ipip_reader_damage_offset(const struct ipip_reader *reader,
                                           uint64_t *offset_out);

/**
 * Which interface the frame that was read last is of, counted from 0; 0 for NULL.
 */
size_t ipip_reader_interface(const struct ipip_reader *reader);

/**
 * How many interfaces the capture has named so far: one in pcap, in pcapng any number; 0 for NULL.
 */
size_t ipip_reader_interface_count(const struct ipip_reader *reader);

/**
 * The name of an interface, counted from 0. `needed_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last interface, IPIP_STATUS_NOT_FOUND if the file has no name
 * for it, as pcap never has, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_reader_interface_name(const struct ipip_reader *reader,
                                            size_t index,
                                            char *text,
                                            size_t text_len,
                                            size_t *needed_out);

/**
 * Closes the file; the octets of its last frame go with it. NULL is allowed.
 */
void ipip_reader_free(struct ipip_reader *reader);

/**
 * Makes or empties the file at `path`, for frames of one link type (an enum ipip_link_type, or another
 * number of a pcap file).
 *
 * IPIP_STATUS_NOT_FOUND if there is no such folder; else what the kernel says of the file.
 *
 * The caller sees to it that:
 * `path` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_pcap_writer_create(const char *path,
                                         uint32_t link_type,
                                         struct ipip_pcap_writer **writer_out);

/**
 * Adds one frame; what it keeps of it is a copy.
 *
 * IPIP_STATUS_INVALID_ARGUMENT if the file cannot hold it: another link type, a time past 2106;
 * IPIP_STATUS_KERNEL if writing failed and nothing of the frame is in the file;
 * IPIP_STATUS_PART_WRITTEN if a part of it is: the next call writes the rest first, so the frame must
 * not be given again.
 *
 * The caller sees to it that:
 * `frame` is NULL or its `octets` point to `octets_len` octets.
 */
enum ipip_status ipip_pcap_writer_write(struct ipip_pcap_writer *writer,
                                        const struct ipip_frame *frame);

/**
 * Writes out what is buffered, so that another process may read the file now. Call it before
 * `ipip_pcap_writer_free`, which cannot say that it failed.
 *
 * IPIP_STATUS_KERNEL if writing failed; a later call tries again.
 */
enum ipip_status ipip_pcap_writer_flush(struct ipip_pcap_writer *writer);

/**
 * Writes out what is buffered, as far as possible, and closes the file. NULL is allowed.
 */
void ipip_pcap_writer_free(struct ipip_pcap_writer *writer);

/**
 * Whether a frame has such a header: 1 or 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an impossible prefix or field of the frame.
 *
 * The caller sees to it that:
 * - `filter` is NULL or its `protocol` is NULL or points to a number, and its `between` points to
 *   `between_len` prefixes.
 * - `frame` is NULL or its `octets` point to `octets_len` octets.
 */
enum ipip_status ipip_filter_matches(const struct ipip_filter *filter,
                                     const struct ipip_frame *frame,
                                     uint8_t *matches_out);

/**
 * Says what is wrong with a frame. `expected` may be NULL if nothing is known about the point.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an impossible field of the frame.
 *
 * The caller sees to it that:
 * - `frame` is NULL or its `octets` point to `octets_len` octets.
 * - `expected` is NULL or its `mtu` is NULL or points to a number, and its `peers` is NULL or points to
 *   peers that nobody changes meanwhile.
 */
enum ipip_status ipip_frame_findings(const struct ipip_frame *frame,
                                     const struct ipip_expected *expected,
                                     struct ipip_findings **findings_out);

/**
 * How many findings there are; 0 for NULL.
 */
size_t ipip_findings_count(const struct ipip_findings *findings);

/**
 * A finding in numbers, counted from 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last one.
 */
enum ipip_status ipip_findings_get(const struct ipip_findings *findings,
                                   size_t index,
                                   struct ipip_finding *finding_out);

/**
 * A finding as text, counted from 0: what is wrong, and what it leads to. `needed_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last one, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_findings_text(const struct ipip_findings *findings,
                                    size_t index,
                                    char *text,
                                    size_t text_len,
                                    size_t *needed_out);

/**
 * Frees the findings. NULL is allowed.
 */
void ipip_findings_free(struct ipip_findings *findings);

/**
 * What tells the innermost IPv4 packet of a frame from others.
 *
 * IPIP_STATUS_NOT_FOUND if the frame has no IPv4 packet.
 *
 * The caller sees to it that:
 * `frame` is NULL or its `octets` point to `octets_len` octets.
 */
enum ipip_status ipip_frame_packet_key(const struct ipip_frame *frame,
                                       struct ipip_packet_key *key_out);

/**
 * Makes a list without points.
 */
enum ipip_status ipip_points_new(struct ipip_points **points_out);

/**
 * Adds a point called `name` with copies of these frames, which are in the order of their capture.
 *
 * IPIP_STATUS_INVALID_ARGUMENT for an impossible field of a frame.
 *
 * The caller sees to it that:
 * - `name` is NULL or a string that ends in a zero.
 * - `frames` is NULL or points to `frames_len` frames, whose `octets` point to `octets_len` octets each.
 */
enum ipip_status ipip_points_add(struct ipip_points *points,
                                 const char *name,
                                 const struct ipip_frame *frames,
                                 size_t frames_len);

/**
 * Adds the points of a capture, read to its end: one for each interface of which it has frames, by
 * pcapng's description or the index in a Linux cooked header. A point is called `name`; with several,
 * `name` and the interface.
 *
 * IPIP_STATUS_DAMAGED_CAPTURE as `ipip_reader_next`, and IPIP_STATUS_KERNEL if reading failed: what came
 * before is added all the same.
 *
 * The caller sees to it that:
 * `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_points_read(struct ipip_points *points,
                                  const char *name,
                                  struct ipip_reader *reader);

/**
 * How many points there are; 0 for NULL.
 */
size_t ipip_points_count(const struct ipip_points *points);

/**
 * A point's name, counted from 0. `needed_out` may be NULL.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last point, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
 *
 * The caller sees to it that:
 * `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_points_name(const struct ipip_points *points,
                                  size_t index,
                                  char *text,
                                  size_t text_len,
                                  size_t *needed_out);

/**
 * How many frames a point has, counted from 0; 0 for NULL and past the last point.
 */
size_t ipip_points_frame_count(const struct ipip_points *points, size_t index);

/**
 * A frame of a point, both counted from 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last point or frame.
 */
enum ipip_status ipip_points_frame(const struct ipip_points *points,
                                   size_t index,
                                   size_t frame,
                                   struct ipip_frame *frame_out);

/**
 * Pairs the packets of all points. Equal packets (a repeated one, or one with identification 0) are
 * told apart by their order: the second at one point belongs to the second at another. Frames without
 * an IPv4 header are left out.
 */
enum ipip_status ipip_points_journeys(const struct ipip_points *points,
                                      struct ipip_journeys **journeys_out);

/**
 * Frees the points and their frames. NULL is allowed.
 */
void ipip_points_free(struct ipip_points *points);

/**
 * How many packets there are; 0 for NULL.
 */
size_t ipip_journeys_count(const struct ipip_journeys *journeys);

/**
 * Which packet made a journey, counted from 0.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last one.
 */
enum ipip_status ipip_journeys_packet(const struct ipip_journeys *journeys,
                                      size_t index,
                                      struct ipip_packet_key *packet_out);

/**
 * Where the packet of a journey was seen, by time and at most once at each point, into an array of
 * `sightings_len`. `needed_out` is how many there are.
 *
 * IPIP_STATUS_INVALID_ARGUMENT past the last journey; IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit,
 * nothing but `needed_out` is written then.
 *
 * The caller sees to it that:
 * `sightings` is NULL or points to room for `sightings_len` of them that nobody else uses.
 */
enum ipip_status ipip_journeys_sightings(const struct ipip_journeys *journeys,
                                         size_t index,
                                         struct ipip_sighting *sightings,
                                         size_t sightings_len,
                                         size_t *needed_out);

/**
 * Frees the journeys. NULL is allowed.
 */
void ipip_journeys_free(struct ipip_journeys *journeys);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IPIP_H */
