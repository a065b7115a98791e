/* What the allocator reads beside blocks: pools' selectors and uses, its configuration, reservations, nodes. */
#include "check.h"

static char text[1024];

static struct ipip_pool pool_with(const char *node_selector) {
    struct ipip_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.name = "pods";
    pool.cidr = prefix("10.244.0.0/16");
    pool.block_len = 26;
    pool.node_selector = node_selector;
    return pool;
}

static void a_pool_selects_by_labels(void) {
    static const struct {
        const char *selector;
        uint8_t west, bare;
    } cases[] = {
        {NULL, 1, 1}, {"", 1, 1}, {"all()", 1, 1}, {"zone == 'west'", 1, 0}, {"!has(zone)", 0, 1}, {"zone in {'east'}", 0, 0},
    };
    struct ipip_pair west = {"zone", "west"}, twice[2] = {{"a", "b"}, {"a", "c"}};
    struct ipip_pool pool;
    uint8_t selects;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pool = pool_with(cases[i].selector);
        CHECK_OK(ipip_pool_selects(&pool, &west, 1, &selects));
        CHECK(selects == cases[i].west);
        CHECK_OK(ipip_pool_selects(&pool, NULL, 0, &selects));
        CHECK(selects == cases[i].bare);
    }
    pool = pool_with("zone = 'west'");
    CHECK_FAILS(ipip_pool_selects(&pool, NULL, 0, &selects), IPIP_STATUS_INVALID_ARGUMENT, "node_selector: at octet 5: found \"= 'west'\"");
    pool = pool_with("all()");
    CHECK_FAILS(ipip_pool_selects(&pool, twice, 2, &selects), IPIP_STATUS_INVALID_ARGUMENT, "key \"a\" is given twice");
    CHECK_FAILS(ipip_pool_selects(&pool, twice, 1025, &selects), IPIP_STATUS_INVALID_ARGUMENT, "labels_len is 1025");
    pool.assignment_mode = IPIP_ASSIGNMENT_MODE_MANUAL;
    CHECK_OK(ipip_pool_selects(&pool, NULL, 0, &selects));
    CHECK(selects == 0);
    pool.assignment_mode = 2;
    CHECK_FAILS(ipip_pool_selects(&pool, NULL, 0, &selects), IPIP_STATUS_INVALID_ARGUMENT, "no enum ipip_assignment_mode");
    pool = pool_with(NULL);
    pool.allowed_uses = IPIP_POOL_USE_TUNNEL | IPIP_POOL_USE_LOAD_BALANCER;
    CHECK_OK(ipip_pool_selects(&pool, NULL, 0, &selects));
    CHECK(selects == 1);
    pool.allowed_uses = 8;
    CHECK_FAILS(ipip_pool_selects(&pool, NULL, 0, &selects), IPIP_STATUS_INVALID_ARGUMENT, "allowed_uses is 8");
}

static void a_selector_is_tested_by_itself(void) {
    struct ipip_pair west[2] = {{"zone", "west"}, {"rack", "7"}};
    uint8_t matches = 7;
    CHECK_OK(ipip_selector_matches("has(rack) && zone != 'east'", west, 2, &matches));
    CHECK(matches == 1);
    CHECK_OK(ipip_selector_matches("has(rack)", NULL, 0, &matches));
    CHECK(matches == 0);
    matches = 7;
    CHECK_FAILS(ipip_selector_matches("has(rack", west, 2, &matches), IPIP_STATUS_INVALID_ARGUMENT, "selector: at octet 8");
    CHECK_FAILS(ipip_selector_matches("all()", west, 1025, &matches), IPIP_STATUS_INVALID_ARGUMENT, "labels_len is 1025");
    CHECK(matches == 7);
    CHECK_FAILS(ipip_selector_matches(NULL, west, 2, &matches), IPIP_STATUS_NULL_ARGUMENT, "selector");
    CHECK_FAILS(ipip_selector_matches("all()", west, 2, NULL), IPIP_STATUS_NULL_ARGUMENT, "matches_out");
}

static void a_pool_is_read_and_written_as_calico_does(void) {
    static const char six[] = "{\"metadata\":{\"name\":\"six\"},\"spec\":{\"cidr\":\"fd00::/48\",\"blockSize\":122}}";
    static const char bad[] = "{\"metadata\":{\"name\":\"bad\"},\"spec\":{\"cidr\":7}}";
    struct ipip_pool pool = pool_with("has(west)"), read;
    struct ipip_pools *pools = NULL;
    size_t needed;
    pool.ipip_mode = IPIP_MODE_CROSS_SUBNET;
    pool.nat_outgoing = 1;
    CHECK_STATUS(ipip_pool_to_json(&pool, text, 5, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_OK(ipip_pool_to_json(&pool, text, sizeof text, &needed));
    CHECK(needed == strlen(text) + 1 && strstr(text, "\"cidr\":\"10.244.0.0/16\"") && strstr(text, "\"nodeSelector\":\"has(west)\""));
    CHECK_OK(ipip_pools_from_json((const uint8_t *)text, strlen(text), &pools));
    CHECK(ipip_pools_count(pools) == 1);
    CHECK_OK(ipip_pools_get(pools, 0, &read));
    CHECK_TEXT(read.name, "pods");
    CHECK_TEXT(read.node_selector, "has(west)");
    CHECK(read.cidr.len == 16 && read.block_len == 26 && read.ipip_mode == IPIP_MODE_CROSS_SUBNET && read.nat_outgoing == 1);
    ipip_pools_free(pools);
    CHECK_OK(ipip_pools_from_json((const uint8_t *)six, sizeof six - 1, &pools));
    CHECK(ipip_pools_count(pools) == 0);
    ipip_pools_free(pools);
    CHECK_FAILS(ipip_pools_from_json((const uint8_t *)bad, sizeof bad - 1, &pools), IPIP_STATUS_INVALID_ARGUMENT, "cidr");
    CHECK_FAILS(ipip_pools_from_json(NULL, 1, &pools), IPIP_STATUS_NULL_ARGUMENT, "json");
    CHECK_FAILS(ipip_pools_from_json((const uint8_t *)six, 1, NULL), IPIP_STATUS_NULL_ARGUMENT, "pools_out");
    pool.block_len = 33;
    CHECK_STATUS(ipip_pool_to_json(&pool, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_FAILS(ipip_pool_to_json(NULL, text, sizeof text, NULL), IPIP_STATUS_NULL_ARGUMENT, "pool");
}

static void a_pool_for_tunnels_gives_workloads_nothing(void) {
    struct ipip_pool pool = pool_with(NULL);
    struct ipip_attribute pod = owner("pod");
    struct ipip_assignment assignment;
    struct ipip_store *store;
    struct ipip_ipam *ipam;
    pool.allowed_uses = IPIP_POOL_USE_TUNNEL;
    CHECK_OK(ipip_store_open_memory(&store));
    CHECK_OK(ipip_ipam_new(store, &ipam));
    CHECK_OK(ipip_ipam_create_pool(ipam, &pool));
    CHECK_STATUS(ipip_ipam_assign_any(ipam, "node-a", &pod, &assignment), IPIP_STATUS_POOL_EXHAUSTED);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
}

static void a_configuration_has_calicos_defaults_and_rules(void) {
    static const char stored[] = "{\"strict_affinity\":true,\"maxBlocksPerHost\":4,\"ipCooldownSeconds\":30}";
    struct ipip_allocator_config config;
    CHECK_OK(ipip_allocator_config_default(&config));
    CHECK(config.strict_affinity == 0 && config.auto_allocate_blocks == 1 && config.max_blocks_per_node == 0 && config.cooldown == 0);
    CHECK_OK(ipip_allocator_config_check(&config));
    config.max_blocks_per_node = 4;
    CHECK_FAILS(ipip_allocator_config_check(&config), IPIP_STATUS_INVALID_ARGUMENT, "max_blocks_per_node 4 needs strict_affinity true");
    config.max_blocks_per_node = 0;
    config.cooldown = 1201;
    CHECK_FAILS(ipip_allocator_config_check(&config), IPIP_STATUS_INVALID_ARGUMENT, "cooldown 1201s");
    config.cooldown = 1200;
    config.strict_affinity = 2;
    CHECK_FAILS(ipip_allocator_config_check(&config), IPIP_STATUS_INVALID_ARGUMENT, "strict_affinity is 2");
    config.strict_affinity = config.auto_allocate_blocks = 0;
    CHECK_FAILS(ipip_allocator_config_check(&config), IPIP_STATUS_INVALID_ARGUMENT, "auto_allocate_blocks false");
    CHECK_OK(ipip_allocator_config_from_json((const uint8_t *)stored, sizeof stored - 1, &config));
    CHECK(config.strict_affinity == 1 && config.auto_allocate_blocks == 0 && config.max_blocks_per_node == 4 && config.cooldown == 30);
    CHECK_FAILS(ipip_allocator_config_from_json((const uint8_t *)stored, sizeof stored - 2, &config), IPIP_STATUS_INVALID_ARGUMENT,
                "not a JSON object");
    CHECK(config.max_blocks_per_node == 4);
}

static void a_reservation_is_written_and_read(void) {
    struct ipip_prefix cidrs[2], found[2];
    struct ipip_reservation *reservation = NULL, *again = NULL;
    size_t needed;
    cidrs[0] = prefix("10.244.0.0/30");
    cidrs[1] = prefix("10.244.0.9/32");
    CHECK_OK(ipip_reservation_new("routers", cidrs, 2, &reservation));
    CHECK_OK(ipip_reservation_to_json(reservation, text, sizeof text, &needed));
    CHECK_PART(text, "\"spec\":{\"reservedCIDRs\":[\"10.244.0.0/30\",\"10.244.0.9/32\"]}");
    CHECK(needed == strlen(text) + 1);
    CHECK_OK(ipip_reservation_from_json((const uint8_t *)text, strlen(text), &again));
    CHECK_OK(ipip_reservation_cidrs(again, found, 2, &needed));
    CHECK(needed == 2 && memcmp(found, cidrs, sizeof found) == 0);
    CHECK_STATUS(ipip_reservation_cidrs(again, found, 1, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_OK(ipip_reservation_name(again, text, sizeof text, NULL));
    CHECK_TEXT(text, "routers");
    ipip_reservation_free(again);
    CHECK_FAILS(ipip_reservation_new("a/b", cidrs, 2, &again), IPIP_STATUS_INVALID_ARGUMENT, "reservation name \"a/b\"");
    cidrs[1].len = 24;
    CHECK_FAILS(ipip_reservation_new("r", cidrs, 2, &again), IPIP_STATUS_INVALID_ARGUMENT, "cidrs: 10.244.0.9/24 has host bits");
    ipip_reservation_free(reservation);
    ipip_reservation_free(NULL);
}

static void a_node_is_written_and_read(void) {
    struct ipip_node_record *node = NULL, *again = NULL;
    struct ipip_ipv4 found, tunnel = address("10.244.79.0");
    struct ipip_prefix subnet, expected = prefix("172.18.0.0/16");
    size_t needed;
    CHECK_OK(ipip_node_record_new("node-a", &node));
    CHECK_FAILS(ipip_node_record_address(node, &found, NULL), IPIP_STATUS_NOT_FOUND, "node node-a has no address");
    CHECK_FAILS(ipip_node_record_tunnel_address(node, &found), IPIP_STATUS_NOT_FOUND, "node node-a has no tunnel address");
    CHECK_OK(ipip_node_record_set_label(node, "zone", "west"));
    CHECK_OK(ipip_node_record_set_address(node, address("172.18.0.3"), 16));
    CHECK_FAILS(ipip_node_record_set_address(node, tunnel, 33), IPIP_STATUS_INVALID_ARGUMENT, "subnet_len: prefix length 33 is outside 0 to 32");
    CHECK_OK(ipip_node_record_set_tunnel_address(node, &tunnel));
    CHECK_OK(ipip_node_record_to_json(node, text, sizeof text, &needed));
    CHECK_PART(text, "\"spec\":{\"bgp\":{\"ipv4Address\":\"172.18.0.3/16\",\"ipv4IPIPTunnelAddr\":\"10.244.79.0\"}},\"status\":{}}");
    CHECK_OK(ipip_node_record_from_json((const uint8_t *)text, strlen(text), &again));
    CHECK_OK(ipip_node_record_address(again, &found, &subnet));
    CHECK(memcmp(&subnet, &expected, sizeof subnet) == 0);
    CHECK_OK(ipip_node_record_tunnel_address(again, &found));
    CHECK(memcmp(&found, &tunnel, sizeof found) == 0);
    CHECK_OK(ipip_node_record_set_tunnel_address(again, NULL));
    CHECK_STATUS(ipip_node_record_tunnel_address(again, &found), IPIP_STATUS_NOT_FOUND);
    CHECK_OK(ipip_node_record_name(again, text, sizeof text, NULL));
    CHECK_TEXT(text, "node-a");
    CHECK_OK(ipip_node_record_label(again, "zone", text, sizeof text, &needed));
    CHECK_TEXT(text, "west");
    CHECK_FAILS(ipip_node_record_label(again, "rack", text, sizeof text, &needed), IPIP_STATUS_NOT_FOUND, "no label \"rack\"");
    ipip_node_record_free(again);
    CHECK_FAILS(ipip_node_record_new("a/b", &again), IPIP_STATUS_INVALID_ARGUMENT, "node name \"a/b\"");
    CHECK_FAILS(ipip_node_record_from_json((const uint8_t *)"{}", 2, &again), IPIP_STATUS_INVALID_ARGUMENT, "field metadata is missing");
    ipip_node_record_free(node);
    ipip_node_record_free(NULL);
}

int main(void) {
    RUN(a_pool_selects_by_labels);
    RUN(a_selector_is_tested_by_itself);
    RUN(a_pool_is_read_and_written_as_calico_does);
    RUN(a_pool_for_tunnels_gives_workloads_nothing);
    RUN(a_configuration_has_calicos_defaults_and_rules);
    RUN(a_reservation_is_written_and_read);
    RUN(a_node_is_written_and_read);
    return finish();
}
