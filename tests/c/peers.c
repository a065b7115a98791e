/* Who may send us what: prefixes of nodes, against a list that is walked in full. */
#include "check.h"

static int same(struct ipip_ipv4 a, struct ipip_ipv4 b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static void a_borrowed_address_beats_the_block(void) {
    struct ipip_peers *peers;
    struct ipip_ipv4 a = address("172.18.0.3"), b = address("172.18.0.2"), pod = address("10.244.244.73"), found;
    uint8_t replaced = 7;
    CHECK_OK(ipip_peers_new(&peers));
    CHECK_FAILS(ipip_peers_check(peers, b, pod), IPIP_STATUS_UNKNOWN_NODE, "outer source 172.18.0.2 is not a known node");
    CHECK_OK(ipip_peers_insert(peers, prefix("10.244.244.64/26"), b, &replaced, &found));
    CHECK(replaced == 0);
    CHECK_OK(ipip_peers_check(peers, b, pod));
    CHECK_FAILS(ipip_peers_check(peers, b, address("10.244.244.128")), IPIP_STATUS_FOREIGN_SOURCE,
                "inner source 10.244.244.128 is not in a prefix of node 172.18.0.2");
    CHECK_OK(ipip_peers_insert(peers, prefix("10.244.244.73/32"), a, NULL, NULL));
    CHECK_STATUS(ipip_peers_check(peers, b, pod), IPIP_STATUS_FOREIGN_SOURCE);
    CHECK_OK(ipip_peers_check(peers, a, pod));
    CHECK_OK(ipip_peers_node_of(peers, pod, &found));
    CHECK(same(found, a));
    CHECK_OK(ipip_peers_node_of(peers, address("10.244.244.74"), &found));
    CHECK(same(found, b));
    CHECK_FAILS(ipip_peers_node_of(peers, address("10.0.0.1"), &found), IPIP_STATUS_NOT_FOUND, "no node is behind address 10.0.0.1/32");
    CHECK(same(found, b));

    CHECK_OK(ipip_peers_insert(peers, prefix("10.244.244.73/32"), b, &replaced, &found));
    CHECK(replaced == 1 && same(found, a));
    CHECK_STATUS(ipip_peers_check(peers, a, pod), IPIP_STATUS_UNKNOWN_NODE);
    CHECK_OK(ipip_peers_remove(peers, prefix("10.244.244.73/32"), &found));
    CHECK(same(found, b));
    CHECK_FAILS(ipip_peers_remove(peers, prefix("10.244.244.73/32"), NULL), IPIP_STATUS_NOT_FOUND, "no node is behind prefix 10.244.244.73/32");
    CHECK_FAILS(ipip_peers_check(peers, b, address("224.0.0.5")), IPIP_STATUS_NO_HOST, "inner source 224.0.0.5 is no host's address");
    struct ipip_prefix host_bits = prefix("10.244.244.64/26");
    host_bits.len = 24;
    CHECK_FAILS(ipip_peers_insert(peers, host_bits, b, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "prefix: 10.244.244.64/24 has host bits set");
    CHECK_STATUS(ipip_peers_remove(peers, host_bits, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK(ipip_peers_count(peers) == 1);
    ipip_peers_free(peers);
}

static void prefixes_are_listed_in_order(void) {
    struct ipip_peers *peers;
    struct ipip_peer pairs[3];
    struct ipip_ipv4 node = address("172.18.0.2");
    size_t needed = 77;
    memset(pairs, 0xa5, sizeof pairs);
    CHECK_OK(ipip_peers_new(&peers));
    CHECK_OK(ipip_peers_list(peers, NULL, 0, &needed));
    CHECK(needed == 0);
    CHECK_OK(ipip_peers_insert(peers, prefix("10.244.244.64/26"), node, NULL, NULL));
    CHECK_OK(ipip_peers_insert(peers, prefix("10.244.79.20/32"), node, NULL, NULL));
    CHECK_STATUS(ipip_peers_list(peers, pairs, 1, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed == 2 && pairs[0].prefix.len == 0xa5);
    CHECK_OK(ipip_peers_list(peers, pairs, 3, &needed));
    CHECK(pairs[0].prefix.len == 32 && pairs[1].prefix.len == 26 && same(pairs[1].node_addr, node) && pairs[2].prefix.len == 0xa5);
    ipip_peers_free(peers);
}

/* The slow model: a list. */
struct entry {
    uint32_t network;
    uint8_t len;
    uint8_t node;
};

static struct ipip_ipv4 from_bits(uint32_t bits) {
    struct ipip_ipv4 address;
    for (int i = 0; i < 4; i++) address.octets[i] = (uint8_t)(bits >> (24 - 8 * i));
    return address;
}

static uint32_t mask(uint8_t len) {
    return len ? UINT32_MAX << (32 - len) : 0;
}

static uint32_t seed = 7;

static uint32_t chance(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void any_changes_leave_what_a_list_says(void) {
    static struct entry list[512];
    size_t count = 0;
    struct ipip_peers *peers;
    CHECK_OK(ipip_peers_new(&peers));
    for (int round = 0; round < 2000; round++) {
        struct ipip_prefix prefix;
        uint8_t len = (uint8_t)(chance() % 33), node = (uint8_t)(chance() % 4), replaced;
        /* Few distinct bits, so that prefixes nest and repeat. */
        uint32_t network = chance() * 256u & 0xc0000700u & mask(len);
        size_t at = 0;
        while (at < count && (list[at].network != network || list[at].len != len)) at++;
        prefix.network = from_bits(network);
        prefix.len = len;
        if (chance() % 3) {
            CHECK_OK(ipip_peers_insert(peers, prefix, from_bits(node), &replaced, NULL));
            CHECK(replaced == (at < count));
            if (at == count) count++;
            list[at].network = network;
            list[at].len = len;
            list[at].node = node;
        } else {
            CHECK_STATUS(ipip_peers_remove(peers, prefix, NULL), at < count ? IPIP_STATUS_OK : IPIP_STATUS_NOT_FOUND);
            if (at < count) list[at] = list[--count];
        }
        uint32_t probe = chance() * 256u & 0xc0000700u;
        int best = -1, known[4] = {0, 0, 0, 0};
        for (size_t i = 0; i < count; i++) {
            known[list[i].node] = 1;
            if ((probe & mask(list[i].len)) == list[i].network && (best < 0 || list[i].len > list[best].len)) best = (int)i;
        }
        for (uint32_t sender = 0; sender < 4; sender++)
            CHECK_STATUS(ipip_peers_check(peers, from_bits(sender), from_bits(probe)),
                         !known[sender]                              ? IPIP_STATUS_UNKNOWN_NODE
                         : probe == 0                                ? IPIP_STATUS_NO_HOST
                         : best >= 0 && list[best].node == sender ? IPIP_STATUS_OK
                                                                     : IPIP_STATUS_FOREIGN_SOURCE);
        CHECK(ipip_peers_count(peers) == count);
    }
    ipip_peers_free(peers);
}

int main(void) {
    RUN(a_borrowed_address_beats_the_block);
    RUN(prefixes_are_listed_in_order);
    RUN(any_changes_leave_what_a_list_says);
    return finish();
}
