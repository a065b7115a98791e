/* The nf_tables guard of a node; `nft` looks at it. */
#include "net.h"

static struct ipip_guard_pool pool;
static struct ipip_ipv4 tunnel_address;

/* One pool, on tunl0. */
static struct ipip_guard reference(void) {
    struct ipip_guard wanted;
    memset(&wanted, 0, sizeof wanted);
    pool.prefix = prefix("10.244.0.0/16");
    pool.nat_outgoing = 1;
    tunnel_address = address("10.244.79.0");
    wanted.pools = &pool;
    wanted.pools_len = 1;
    wanted.address = &tunnel_address;
    return wanted;
}

/* One peer with one block. */
static struct ipip_peers *node_b(void) {
    struct ipip_peers *peers = NULL;
    if (ipip_peers_new(&peers) != IPIP_STATUS_OK
        || ipip_peers_insert(peers, prefix("10.244.244.64/26"), address("172.18.0.2"), NULL, NULL) != IPIP_STATUS_OK)
        exit(2);
    return peers;
}

static void a_guard_fresh_repeated_changed_removed(void) {
    NEEDS_ROOT();
    struct ipip_guard wanted = reference();
    struct ipip_peers *peers = node_b();
    struct ipip_changes *changes = NULL;
    enum ipip_status status = ipip_ensure_guard(node, &wanted, peers, &changes);
    if (status == IPIP_STATUS_UNSUPPORTED) {
        ipip_peers_free(peers);
        SKIP("no nf_tables here");
    }
    CHECK_STATUS(status, IPIP_STATUS_OK);
    CHECK(steps_are(changes, 1, 1));
    const char *table = sh("ip netns exec %s nft -nn list table ip ipip", node_name);
    CHECK_PART(table, "172.18.0.2 . 0xaf4f440-0xaf4f47f");
    CHECK_PART(table, "oifname \"tunl0\" ip daddr @cluster ip saddr != 10.244.79.0");
    CHECK_PART(table, "masquerade");
    CHECK_NO_CHANGES(ipip_ensure_guard(node, &wanted, peers, &changes));
    CHECK_OK(ipip_peers_insert(peers, prefix("10.244.9.0/26"), address("172.18.0.9"), NULL, NULL));
    CHECK_CHANGES(ipip_ensure_guard(node, &wanted, peers, &changes));
    CHECK_PART(sh("ip netns exec %s nft list set ip ipip peers", node_name), "172.18.0.9 . 0xaf40900-0xaf4093f");
    CHECK_CHANGES(ipip_remove_guard(node, &changes));
    CHECK_TEXT(sh("ip netns exec %s nft list ruleset", node_name), "");
    CHECK_NO_CHANGES(ipip_remove_guard(node, &changes));
    ipip_peers_free(peers);
}

static void a_foreign_table_in_the_way_stays(void) {
    NEEDS_ROOT();
    struct ipip_guard wanted = reference();
    struct ipip_peers *peers = node_b();
    const char *trouble = sh("ip netns exec %s nft add table ip ipip", node_name);
    if (*trouble) {
        ipip_peers_free(peers);
        SKIP("no nf_tables here");
    }
    CHECK_FAILS(ipip_ensure_guard(node, &wanted, peers, NULL), IPIP_STATUS_IN_THE_WAY, "table ip ipip is taken");
    CHECK_NO_CHANGES(ipip_remove_guard(node, &changes));
    CHECK_TEXT(sh("ip netns exec %s nft list ruleset", node_name), "table ip ipip {\n}\n");
    ipip_peers_free(peers);
}

static void fields_of_a_guard_are_checked(void) {
    NEEDS_ROOT();
    struct ipip_guard wanted = reference();
    struct ipip_peers *peers = node_b();
    wanted.device = "a b";
    CHECK_FAILS(ipip_ensure_guard(node, &wanted, peers, NULL), IPIP_STATUS_INVALID_ARGUMENT, "interface name \"a b\"");
    wanted = reference();
    tunnel_address = address("127.0.0.1");
    CHECK_FAILS(ipip_ensure_guard(node, &wanted, peers, NULL), IPIP_STATUS_INVALID_ARGUMENT, "tunnel address 127.0.0.1");
    wanted = reference();
    pool.nat_outgoing = 2;
    CHECK_FAILS(ipip_ensure_guard(node, &wanted, peers, NULL), IPIP_STATUS_INVALID_ARGUMENT, "nat_outgoing");
    wanted = reference();
    pool.prefix = prefix("0.0.0.0/0");
    CHECK_FAILS(ipip_ensure_guard(node, &wanted, peers, NULL), IPIP_STATUS_INVALID_ARGUMENT, "pool 0.0.0.0/0 is every address");
    pool.prefix.len = 33;
    CHECK_FAILS(ipip_ensure_guard(node, &wanted, peers, NULL), IPIP_STATUS_INVALID_ARGUMENT, "pools: prefix length 33");
    ipip_peers_free(peers);
}

int main(void) {
    RUN_IN_NET(a_guard_fresh_repeated_changed_removed);
    RUN_IN_NET(a_foreign_table_in_the_way_stays);
    RUN_IN_NET(fields_of_a_guard_are_checked);
    return finish();
}
