// SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only
//
// IPIP at the two hooks of traffic control: ipip_out on the egress of the TUN device that looks like tunl0, ipip_in on
// the ingress of the underlay.
//
//   tunl0 egress ── peers[inner destination] ── outer header ── redirect_neigh ──▶ underlay
//   underlay ingress ── peers[inner source] == outer source ── strip ── redirect ──▶ tunl0 ingress
//
// They carry the plain case. What is odd goes on as if they were not there: outbound to whoever reads the TUN device,
// inbound up the stack to a raw socket. There the same process decides, by datapath/forward.rs. What is plainly wrong
// is dropped here and counted, by the rules of that file.
//
// Maps, keys and counters are told to user space by datapath/bpf/maps.rs: the two change together. The licence word is
// for the kernel, which gives bpf_fib_lookup to no other.
//
// Needs Linux 5.12: bpf_redirect_neigh with a next hop, bpf_fib_lookup with a length, atomic add that returns.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#define SEC(name) __attribute__((section(name), used))
// The object is for little-endian machines.
#define BE16(number) __builtin_bswap16(number)
#define BE32(number) __builtin_bswap32(number)
#define INLINE static inline __attribute__((always_inline))

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*load_bytes)(const void *skb, __u32 offset, void *to, __u32 len) = (void *)BPF_FUNC_skb_load_bytes;
static long (*store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from, __u32 len, __u64 flags) =
    (void *)BPF_FUNC_skb_store_bytes;
static long (*adjust_room)(struct __sk_buff *skb, __s32 len, __u32 mode, __u64 flags) = (void *)BPF_FUNC_skb_adjust_room;
static long (*change_head)(struct __sk_buff *skb, __u32 len, __u64 flags) = (void *)BPF_FUNC_skb_change_head;
static long (*redirect)(__u32 ifindex, __u64 flags) = (void *)BPF_FUNC_redirect;
static long (*redirect_neigh)(__u32 ifindex, struct bpf_redir_neigh *hop, int len, __u64 flags) =
    (void *)BPF_FUNC_redirect_neigh;
static long (*fib_lookup)(void *skb, struct bpf_fib_lookup *question, int len, __u32 flags) =
    (void *)BPF_FUNC_fib_lookup;

char licence[] SEC("license") = "Dual MIT/GPL";

// What user space creates before it loads the programs: type, octets of key and value, entries, flags.
struct map {
    __u32 type, key_len, value_len, entries, flags;
};

// The longest prefix that holds an address, and the node behind it. Entries are allocated as they come.
struct prefix {
    __u32 bits;
    __be32 addr;
};
struct map SEC("maps") peers = {BPF_MAP_TYPE_LPM_TRIE, sizeof(struct prefix), sizeof(__be32), 1 << 20, BPF_F_NO_PREALLOC};

// The other nodes that have a prefix: what tells a stranger from a node that sends what is not its own.
struct map SEC("maps") nodes = {BPF_MAP_TYPE_HASH, sizeof(__be32), sizeof(__u32), 1 << 17, BPF_F_NO_PREALLOC};

struct settings {
    __be32 local;    // this node's address
    __u32 tunnel;    // interface number of the TUN device
    __u32 underlay;  // interface number of the underlay, for when no route can be asked for
    __u32 link_len;  // octets of the underlay's link header
};
struct map SEC("maps") settings = {BPF_MAP_TYPE_ARRAY, sizeof(__u32), sizeof(struct settings), 1, 0};

// The next identification, by destination as the kernel's own are: fragments of two packets must not be mistaken for
// one another (RFC 6864, 4.1).
#define IDENTIFICATIONS 256
struct map SEC("maps") identifications = {BPF_MAP_TYPE_ARRAY, sizeof(__u32), sizeof(__u32), IDENTIFICATIONS, 0};

enum counter {
    SENT_PACKETS,
    SENT_OCTETS,
    RECEIVED_PACKETS,
    RECEIVED_OCTETS,
    ECN_ALARMS,
    // Drops, in the order of `Drops` in datapath/counters.rs.
    NOT_IPV4,
    UNSENDABLE,
    NO_PEER,
    TOO_LONG,
    SEND_FAILED,
    MALFORMED,
    UNKNOWN_NODE,
    FOREIGN_SOURCE,
    CONGESTION,
    DEVICE_REFUSED,
    COUNTERS,
};
struct counters {
    __u64 of[COUNTERS];
};
struct map SEC("maps") counters = {BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(__u32), sizeof(struct counters), 1, 0};

// RFC 791 without options; also as words, for the checksum.
union ipv4 {
    struct {
        __u8 version_ihl, tos;
        __be16 total_len, identification, fragment;
        __u8 ttl, protocol;
        __be16 checksum;
        __be32 source, destination;
    };
    __u32 words[5];
};
#define HEADER_LEN 20
#define VERSION_4 4
#define IHL_5 0x45
#define DONT_FRAGMENT BE16(0x4000)
#define PIECE BE16(0x3fff)  // more fragments, or an offset
#define IPIP 4
#define TCP 6
#define ECN 3
#define NOT_ECT 0
#define ECT_1 1
#define ECT_0 2
#define CE 3
#define ETHERNET_HEADER_LEN 14
#define LONGEST 65535
#define IPV4 BE16(0x0800)

// The header at that place. Nearly always it is in the packet's first piece, and read without a call; a driver may have left
// it in a page. The mask says what is so: no place is farther than a link header and an outer one.
INLINE long load_header(struct __sk_buff *skb, __u32 at, union ipv4 *to)
{
    void *begin = (void *)(long)skb->data + (at & 63), *end = (void *)(long)skb->data_end;
    if (begin + HEADER_LEN > end)
        return load_bytes(skb, at, to, HEADER_LEN);
    *to = *(union ipv4 *)begin;
    return 0;
}

INLINE struct counters *tally(void)
{
    __u32 only = 0;
    return map_lookup(&counters, &only);
}

INLINE int drop(enum counter reason)
{
    struct counters *count = tally();
    if (count)
        count->of[reason]++;
    return TC_ACT_SHOT;
}

// How many packets of `len` octets, headers included, a super-packet will be cut to, or was joined from. The kernel's own
// number is 0 after adjust_room.
INLINE __u32 packets_of(struct __sk_buff *skb, __u32 len, __u32 headers)
{
    __u32 size = skb->gso_size;
    return size && len > headers ? (len - headers + size - 1) / size : 1;
}

// Packets and octets as they are on the wire.
INLINE void carried(enum counter direction, __u32 packets, __u32 len, __u32 headers)
{
    struct counters *count = tally();
    if (!count)
        return;
    count->of[direction] += packets;
    count->of[direction + 1] += len + (packets - 1) * headers;
}

// The ones' complement sum (RFC 1071), 0xffff over a header whose checksum is right. It may be added up in the
// machine's byte order.
INLINE __u16 sum(const union ipv4 *header)
{
    __u64 all = header->words[0];
    all += header->words[1];
    all += header->words[2];
    all += header->words[3];
    all += header->words[4];
    all = (all & 0xffffffff) + (all >> 32);
    all = (all & 0xffff) + (all >> 16);
    all = (all & 0xffff) + (all >> 16);
    all = (all & 0xffff) + (all >> 16);
    return all;
}

// Octets of the headers of each segment of a super-packet: IPv4 without options, and TCP or UDP.
INLINE __u32 headers_len(struct __sk_buff *skb, const union ipv4 *inner, __u32 at)
{
    __u8 offset = 0;
    __u32 ihl = (inner->version_ihl & 15) * 4;
    if (inner->protocol != TCP)
        return ihl + 8;
    if (load_bytes(skb, at + ihl + 12, &offset, 1))
        return ihl + 20;
    return ihl + (offset >> 4) * 4;
}

INLINE __be16 next_identification(__be32 node, __u32 packets)
{
    __u32 bucket = (node ^ node >> 16 ^ node >> 24) % IDENTIFICATIONS;
    __u32 *next = map_lookup(&identifications, &bucket);
    return next ? BE16(__sync_fetch_and_add(next, packets)) : 0;
}

// An outer header as tunl0 writes it: TTL and DF of the inner one, DSCP 0, ECN with CE as ECT(0) (RFC 3168, 9.1.1).
INLINE void outer_header(union ipv4 *outer, const union ipv4 *inner, __u32 len)
{
    __u8 ecn = inner->tos & ECN;
    outer->version_ihl = IHL_5;
    outer->tos = ecn == CE ? ECT_0 : ecn;
    outer->total_len = BE16(len);
    outer->fragment = inner->fragment & DONT_FRAGMENT;
    outer->ttl = inner->ttl;
    outer->protocol = IPIP;
    outer->checksum = 0;
    outer->checksum = ~sum(outer);
}

SEC("tc/out")
int ipip_out(struct __sk_buff *skb)
{
    union ipv4 inner, outer = {};
    __u32 first = 0, len = skb->len + HEADER_LEN, headers = 0, longest = len;
    if (skb->protocol != IPV4)
        return drop(NOT_IPV4);
    if (load_header(skb, 0, &inner))
        return drop(UNSENDABLE);
    // RFC 2003, 3.1: "An encapsulator MUST NOT encapsulate a datagram with TTL = 0".
    if (inner.version_ihl < IHL_5 || inner.version_ihl >> 4 != VERSION_4 || !inner.ttl)
        return drop(UNSENDABLE);

    struct settings *own = map_lookup(&settings, &first);
    struct prefix key = {32, inner.destination};
    __be32 *node = map_lookup(&peers, &key);
    // A packet for a prefix of our own would come straight back.
    if (!own || !node || *node == own->local)
        return drop(NO_PEER);
    if (skb->gso_size) {
        headers = headers_len(skb, &inner, 0);
        longest = HEADER_LEN + headers + skb->gso_size;
    }
    if (len > LONGEST)
        return TC_ACT_OK;

    struct bpf_fib_lookup way = {
        .family = 2,  // AF_INET
        .l4_protocol = IPIP,
        .tot_len = longest,
        .ifindex = skb->ifindex,
        .ipv4_src = own->local,
        .ipv4_dst = *node,
    };
    struct bpf_redir_neigh hop = {};
    struct bpf_redir_neigh *next = 0;
    int found = fib_lookup(skb, &way, sizeof(way), 0);
    if (found == BPF_FIB_LKUP_RET_SUCCESS) {
        hop.nh_family = way.family;
        __builtin_memcpy(hop.ipv6_nh, way.ipv6_dst, sizeof(hop.ipv6_nh));
        next = &hop;
    } else if (found == BPF_FIB_LKUP_RET_NO_NEIGH) {
        // The packet will wait for its neighbour, and then the kernel asks the route that the packet came here by, which
        // ends at a device without link headers: the frame leaves without one (seen on 6.18). Without a next hop
        // redirect_neigh looks up the way once more, and puts its route in that one's place.
    } else if (found == BPF_FIB_LKUP_RET_FWD_DISABLED) {
        // The way is then found while it is sent, on the one interface that can be named.
        way.ifindex = own->underlay;
    } else if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
        return TC_ACT_OK;  // to be cut, or its sender to be told
    } else {
        return drop(SEND_FAILED);
    }
    // A way to a node that leads through the tunnel has no end (RFC 2003, 3.2).
    if (way.ifindex == own->tunnel)
        return drop(SEND_FAILED);

    outer.source = own->local;
    outer.destination = *node;
    __u32 packets = packets_of(skb, skb->len, headers);
    outer.identification = next_identification(*node, packets);
    outer_header(&outer, &inner, len);
    // FIXED_GSO: the size of a segment was chosen for this device's MTU already, and with another UDP is refused.
    // It refuses packets that are in a tunnel already, as a pod's own VXLAN; those user space takes.
    if (adjust_room(skb, HEADER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO))
        return TC_ACT_OK;
    // Room for an Ethernet header, which redirect_neigh wants to see whatever the device has.
    if (store_bytes(skb, 0, &outer, HEADER_LEN, 0) || change_head(skb, ETHERNET_HEADER_LEN, 0))
        return drop(SEND_FAILED);
    carried(SENT_PACKETS, packets, len - HEADER_LEN, headers);
    return redirect_neigh(way.ifindex, next, next ? sizeof(hop) : 0, 0);
}

// Whether a host can have the address: unicast, and neither "this host" nor loopback.
INLINE int is_host(__be32 addr)
{
    __u8 first = BE32(addr) >> 24;
    return addr && first != 127 && first < 224;
}

// What the inner ECN field becomes (RFC 6040, 4.2): 0 to 3 for the field, with ALARM if the two should not have met.
#define ALARM 4
#define CONGESTED 8
INLINE __u32 ecn_at_exit(__u32 inner, __u32 outer)
{
    if (inner == NOT_ECT)
        return outer == CE ? CONGESTED : outer == NOT_ECT ? NOT_ECT : NOT_ECT | ALARM;
    if (inner == CE)
        return outer == ECT_1 ? CE | ALARM : CE;
    if (outer == CE)
        return CE;
    if (inner == ECT_1)
        return outer == ECT_0 ? ECT_1 | ALARM : ECT_1;
    return outer == ECT_1 ? ECT_1 : ECT_0;
}

SEC("tc/in")
int ipip_in(struct __sk_buff *skb)
{
    union ipv4 outer, inner;
    __u32 first = 0;
    if (skb->protocol != IPV4 || skb->vlan_present || skb->pkt_type != 0 /* to this host */)
        return TC_ACT_UNSPEC;
    struct settings *own = map_lookup(&settings, &first);
    if (!own || load_header(skb, own->link_len, &outer))
        return TC_ACT_UNSPEC;
    if (outer.protocol != IPIP || outer.destination != own->local)
        return TC_ACT_UNSPEC;

    // Fragments and options are for the kernel to put together and read, but not for a stranger.
    if (outer.fragment & PIECE || (outer.version_ihl > IHL_5 && outer.version_ihl >> 4 == VERSION_4))
        return map_lookup(&nodes, &outer.source) ? TC_ACT_UNSPEC : drop(UNKNOWN_NODE);
    __u32 len = BE16(outer.total_len);
    if (outer.version_ihl != IHL_5 || len < 2 * HEADER_LEN || len > skb->len - own->link_len || sum(&outer) != 0xffff)
        return drop(MALFORMED);
    if (load_header(skb, own->link_len + HEADER_LEN, &inner))
        return drop(MALFORMED);
    if (inner.version_ihl > IHL_5 && inner.version_ihl >> 4 == VERSION_4)
        return map_lookup(&nodes, &outer.source) ? TC_ACT_UNSPEC : drop(UNKNOWN_NODE);
    __u32 inner_len = BE16(inner.total_len);
    // RFC 2003, 3.1: an inner TTL of 0 is discarded.
    if (inner.version_ihl != IHL_5 || inner_len < HEADER_LEN || inner_len > len - HEADER_LEN || !inner.ttl ||
        sum(&inner) != 0xffff)
        return drop(MALFORMED);

    struct prefix key = {32, inner.source};
    __be32 *node = map_lookup(&peers, &key);
    if (!node || *node != outer.source || outer.source == own->local || !is_host(inner.source))
        return drop(map_lookup(&nodes, &outer.source) ? FOREIGN_SOURCE : UNKNOWN_NODE);
    __u32 ecn = ecn_at_exit(inner.tos & ECN, outer.tos & ECN);
    if (ecn & CONGESTED)
        return drop(CONGESTION);

    __u32 headers = skb->gso_size ? headers_len(skb, &inner, own->link_len + HEADER_LEN) : 0;
    if (adjust_room(skb, -HEADER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
        return TC_ACT_UNSPEC;
    if ((inner.tos & ECN) != (ecn & ECN)) {
        inner.tos = (inner.tos & ~ECN) | (ecn & ECN);
        inner.checksum = 0;
        inner.checksum = ~sum(&inner);
        // The header sums to the same as before, so a checksum of the whole packet stays right.
        if (store_bytes(skb, own->link_len, &inner, HEADER_LEN, 0))
            return drop(MALFORMED);
    }
    if (ecn & ALARM) {
        struct counters *count = tally();
        if (count)
            count->of[ECN_ALARMS]++;
    }
    carried(RECEIVED_PACKETS, packets_of(skb, inner_len, headers), inner_len, headers);
    return redirect(own->tunnel, BPF_F_INGRESS);
}
