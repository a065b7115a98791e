/* NULL where something is needed: an ordinary error that names the parameter, and never a crash. */
#include "check.h"

#define IS_NULL(call, name) CHECK_FAILS(call, IPIP_STATUS_NULL_ARGUMENT, name " is NULL")

static struct ipip_ipv4 at;
static struct ipip_prefix range;
static size_t needed;
static char text[64];
static uint8_t octets[64];
static struct ipip_netns *netns;
static struct ipip_block *block;
static struct ipip_store *store;
static struct ipip_ipam *ipam;

static void addresses(void) {
    IS_NULL(ipip_ipv4_from_text(NULL, &at), "text");
    IS_NULL(ipip_ipv4_from_text("10.0.0.1", NULL), "address_out");
    IS_NULL(ipip_prefix_from_text(NULL, &range), "text");
    IS_NULL(ipip_prefix_from_text("10.0.0.0/8", NULL), "prefix_out");
    IS_NULL(ipip_ipv4_to_text(NULL, text, sizeof text, &needed), "address");
    IS_NULL(ipip_ipv4_to_text(&at, NULL, sizeof text, &needed), "text");
    IS_NULL(ipip_prefix_to_text(NULL, text, sizeof text, &needed), "prefix");
    IS_NULL(ipip_prefix_to_text(&range, NULL, 1, &needed), "text");
}

static void packets(void) {
    struct ipip_outer outer;
    struct ipip_span span;
    struct ipip_packet packet;
    struct ipip_ipv4_header header;
    struct ipip_ipv4_view view;
    struct ipip_echo echo;
    struct ipip_echo_view echo_view;
    uint16_t checksum;
    memset(&outer, 0, sizeof outer);
    memset(&header, 0, sizeof header);
    memset(&echo, 0, sizeof echo);
    IS_NULL(ipip_checksum(NULL, 1, &checksum), "bytes");
    IS_NULL(ipip_checksum(octets, 1, NULL), "checksum_out");
    IS_NULL(ipip_finish_partial_checksum(NULL, 1, NULL, NULL), "inner");
    IS_NULL(ipip_ipv4_parse(NULL, 1, &view), "buffer");
    IS_NULL(ipip_ipv4_parse(octets, sizeof octets, NULL), "view_out");
    IS_NULL(ipip_ipv4_emit(NULL, octets, sizeof octets), "header");
    IS_NULL(ipip_ipv4_emit(&header, NULL, 20), "packet");
    IS_NULL(ipip_encapsulate(NULL, 40, 20, &outer, &span), "buffer");
    IS_NULL(ipip_encapsulate(octets, sizeof octets, 20, NULL, &span), "outer");
    IS_NULL(ipip_encapsulate(octets, sizeof octets, 20, &outer, NULL), "packet_out");
    IS_NULL(ipip_decapsulate(NULL, 1, &span), "buffer");
    IS_NULL(ipip_decapsulate(octets, sizeof octets, NULL), "inner_out");
    IS_NULL(ipip_parse(NULL, 1, &packet), "buffer");
    IS_NULL(ipip_parse(octets, sizeof octets, NULL), "packet_out");
    IS_NULL(ipip_echo_parse(NULL, 1, &echo_view), "message");
    IS_NULL(ipip_echo_parse(octets, sizeof octets, NULL), "view_out");
    IS_NULL(ipip_echo_emit(NULL, octets, sizeof octets), "echo");
    IS_NULL(ipip_echo_emit(&echo, NULL, 8), "message");
    CHECK_STATUS(ipip_parse(octets, SIZE_MAX, &packet), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_PART(ipip_last_error(), "more than memory can hold");
}

static void batches(void) {
    struct ipip_outer outer;
    struct ipip_span spans[1], found[1];
    struct ipip_fields fields[1];
    struct ipip_encapsulator *tunnel;
    uint32_t statuses[1];
    memset(&outer, 0, sizeof outer);
    memset(spans, 0, sizeof spans);
    CHECK_OK(ipip_encapsulator_new(&outer, &tunnel));
    IS_NULL(ipip_encapsulator_new(NULL, &tunnel), "outer");
    IS_NULL(ipip_encapsulator_new(&outer, NULL), "encapsulator_out");
    IS_NULL(ipip_encapsulator_encapsulate(NULL, octets, 64, 20, found), "encapsulator");
    IS_NULL(ipip_encapsulator_encapsulate(tunnel, NULL, 64, 20, found), "buffer");
    IS_NULL(ipip_encapsulator_encapsulate(tunnel, octets, 64, 20, NULL), "packet_out");
    IS_NULL(ipip_encapsulator_encapsulate_batch(NULL, octets, 64, spans, 1, 0, found, statuses, 1, NULL), "encapsulator");
    IS_NULL(ipip_encapsulator_encapsulate_batch(tunnel, NULL, 64, spans, 1, 0, found, statuses, 1, NULL), "buffer");
    IS_NULL(ipip_encapsulator_encapsulate_batch(tunnel, octets, 64, NULL, 1, 0, found, statuses, 1, NULL), "inner");
    IS_NULL(ipip_encapsulator_encapsulate_batch(tunnel, octets, 64, spans, 1, 0, NULL, statuses, 1, NULL), "packets_out");
    IS_NULL(ipip_encapsulator_encapsulate_batch(tunnel, octets, 64, spans, 1, 0, found, NULL, 1, NULL), "statuses_out");
    ipip_encapsulator_free(tunnel);
    IS_NULL(ipip_parse_batch(NULL, 1, spans, 1, fields, 1, NULL), "buffer");
    IS_NULL(ipip_parse_batch(octets, 64, NULL, 1, fields, 1, NULL), "packets");
    IS_NULL(ipip_parse_batch(octets, 64, spans, 1, NULL, 1, NULL), "fields_out");
    IS_NULL(ipip_decapsulate_batch(NULL, 1, spans, 1, found, statuses, 1, NULL), "buffer");
    IS_NULL(ipip_decapsulate_batch(octets, 64, NULL, 1, found, statuses, 1, NULL), "packets");
    IS_NULL(ipip_decapsulate_batch(octets, 64, spans, 1, NULL, statuses, 1, NULL), "inner_out");
    IS_NULL(ipip_decapsulate_batch(octets, 64, spans, 1, found, NULL, 1, NULL), "statuses_out");
    /* More than memory can hold, though the count alone is not. */
    CHECK_FAILS(ipip_parse_batch(octets, 64, spans, SIZE_MAX / 16, fields, 1, NULL), IPIP_STATUS_INVALID_ARGUMENT, "length of packets");
    CHECK_FAILS(ipip_parse_batch(octets, 64, spans, 1, fields, SIZE_MAX / 44, NULL), IPIP_STATUS_INVALID_ARGUMENT, "length of fields_out");
}

static void tunnels(void) {
    struct ipip_span span;
    struct ipip_fragment_part part;
    struct ipip_loop_policy policy;
    struct ipip_endpoints ends;
    struct ipip_icmp_error error;
    struct ipip_icmp_error_view view;
    struct ipip_quoted quoted;
    struct ipip_tunnel_error inside;
    struct ipip_outer outer;
    struct ipip_relay_context context;
    struct ipip_relay relay;
    struct ipip_tunnel_state *state = NULL;
    uint32_t mtu;
    uint8_t refused;
    memset(&policy, 0, sizeof policy);
    memset(&ends, 0, sizeof ends);
    memset(&error, 0, sizeof error);
    memset(&inside, 0, sizeof inside);
    memset(&outer, 0, sizeof outer);
    memset(&context, 0, sizeof context);
    memset(&relay, 0, sizeof relay);
    context.mtu = 1480;
    IS_NULL(ipip_ecn_at_exit(0, 0, NULL), "exit_out");
    IS_NULL(ipip_decapsulate_in_place(NULL, 1, &span, NULL), "buffer");
    IS_NULL(ipip_decapsulate_in_place(octets, 64, NULL, NULL), "inner_out");
    IS_NULL(ipip_lower_ttl(NULL, 1, NULL), "packet");
    IS_NULL(ipip_update_checksum(0, 0, 0, NULL), "checksum_out");
    IS_NULL(ipip_fragments_emit(NULL, 1, 68, 0, octets, 64, &span, 1, NULL), "packet");
    IS_NULL(ipip_fragments_emit(octets, 64, 68, 0, NULL, 1, &span, 1, NULL), "buffer");
    IS_NULL(ipip_fragments_emit(octets, 64, 68, 0, octets, 64, NULL, 1, NULL), "fragments_out");
    IS_NULL(ipip_clamp_mss(NULL, 1, 1480, NULL, NULL), "packet");
    IS_NULL(ipip_ipv4_fragment(NULL, 1, &part), "buffer");
    IS_NULL(ipip_ipv4_fragment(octets, 64, NULL), "part_out");
    IS_NULL(ipip_loop_policy_default(NULL), "policy_out");
    IS_NULL(ipip_loop_policy_check(NULL, &ends, octets, 64, &at, 1), "policy");
    IS_NULL(ipip_loop_policy_check(&policy, NULL, octets, 64, &at, 1), "endpoints");
    IS_NULL(ipip_loop_policy_check(&policy, &ends, NULL, 64, &at, 1), "inner");
    IS_NULL(ipip_loop_policy_check(&policy, &ends, octets, 64, NULL, 1), "own");
    IS_NULL(ipip_icmp_error_parse(NULL, 1, &view), "message");
    IS_NULL(ipip_icmp_error_parse(octets, 64, NULL), "view_out");
    IS_NULL(ipip_icmp_error_emit(NULL, at, octets, 32, octets + 32, 32, &needed), "error");
    IS_NULL(ipip_icmp_error_emit(&error, at, NULL, 32, octets, 64, &needed), "original");
    IS_NULL(ipip_icmp_error_emit(&error, at, octets, 64, NULL, 1, &needed), "buffer");
    IS_NULL(ipip_icmp_error_emit(&error, at, octets, 32, octets + 32, 32, NULL), "len_out");
    IS_NULL(ipip_quoted_parse(NULL, 1, &quoted), "octets");
    IS_NULL(ipip_quoted_parse(octets, 64, NULL), "quoted_out");
    IS_NULL(ipip_tunnel_error_parse(NULL, 1, &ends, &inside), "message");
    IS_NULL(ipip_tunnel_error_parse(octets, 64, NULL, &inside), "endpoints");
    IS_NULL(ipip_tunnel_error_parse(octets, 64, &ends, NULL), "error_out");
    IS_NULL(ipip_tunnel_error_relay(NULL, &outer, &context, &relay), "error");
    IS_NULL(ipip_tunnel_error_relay(&inside, NULL, &context, &relay), "outer");
    IS_NULL(ipip_tunnel_error_relay(&inside, &outer, NULL, &relay), "context");
    IS_NULL(ipip_tunnel_error_relay(&inside, &outer, &context, NULL), "relay_out");
    IS_NULL(ipip_tunnel_state_new(1480, NULL), "state_out");
    CHECK_OK(ipip_tunnel_state_new(1480, &state));
    IS_NULL(ipip_tunnel_state_mtu(NULL, 0, &mtu), "state");
    IS_NULL(ipip_tunnel_state_mtu(state, 0, NULL), "mtu_out");
    IS_NULL(ipip_tunnel_state_learn_mtu(NULL, &inside, 0, &mtu), "state");
    IS_NULL(ipip_tunnel_state_learn_mtu(state, NULL, 0, &mtu), "error");
    IS_NULL(ipip_tunnel_state_remember(NULL, &relay, 0), "state");
    IS_NULL(ipip_tunnel_state_remember(state, NULL, 0), "relay");
    IS_NULL(ipip_tunnel_state_check(NULL, octets, 64, 0, &refused, &error), "state");
    IS_NULL(ipip_tunnel_state_check(state, NULL, 64, 0, &refused, &error), "inner");
    IS_NULL(ipip_tunnel_state_check(state, octets, 64, 0, NULL, &error), "refused_out");
    IS_NULL(ipip_tunnel_state_check(state, octets, 64, 0, &refused, NULL), "error_out");
    ipip_tunnel_state_free(state);
}

static void peers(void) {
    struct ipip_peers *peers = NULL;
    struct ipip_peer pair;
    IS_NULL(ipip_peers_new(NULL), "peers_out");
    CHECK_OK(ipip_peers_new(&peers));
    IS_NULL(ipip_peers_insert(NULL, range, at, NULL, NULL), "peers");
    IS_NULL(ipip_peers_remove(NULL, range, NULL), "peers");
    IS_NULL(ipip_peers_check(NULL, at, at), "peers");
    IS_NULL(ipip_peers_node_of(NULL, at, &at), "peers");
    IS_NULL(ipip_peers_node_of(peers, at, NULL), "node_addr_out");
    IS_NULL(ipip_peers_list(NULL, &pair, 1, &needed), "peers");
    IS_NULL(ipip_peers_list(peers, NULL, 1, &needed), "pairs");
    IS_NULL(ipip_peers_list(peers, &pair, 1, NULL), "needed_out");
    CHECK(ipip_peers_count(NULL) == 0);
    ipip_peers_free(peers);
}

static void blocks(void) {
    struct ipip_attribute attribute;
    struct ipip_assignment assignment;
    struct ipip_release release;
    uint32_t ordinal;
    enum ipip_use use;
    memset(&attribute, 0, sizeof attribute);
    memset(&release, 0, sizeof release);
    IS_NULL(ipip_block_new(range, NULL), "block_out");
    IS_NULL(ipip_block_assign_any(NULL, &attribute, &assignment), "block");
    IS_NULL(ipip_block_assign_any(block, NULL, &assignment), "attribute");
    IS_NULL(ipip_block_assign_any(block, &attribute, NULL), "assignment_out");
    IS_NULL(ipip_block_assign(NULL, at, &attribute, &assignment), "block");
    IS_NULL(ipip_block_assign(block, at, NULL, &assignment), "attribute");
    IS_NULL(ipip_block_release(NULL, &release), "block");
    IS_NULL(ipip_block_release(block, NULL), "release");
    IS_NULL(ipip_block_release_handle(NULL, "h", &needed), "block");
    IS_NULL(ipip_block_release_handle(block, NULL, &needed), "handle");
    IS_NULL(ipip_block_address(NULL, 0, &at), "block");
    IS_NULL(ipip_block_address(block, 0, NULL), "address_out");
    IS_NULL(ipip_block_ordinal(NULL, at, &ordinal), "block");
    IS_NULL(ipip_block_ordinal(block, at, NULL), "ordinal_out");
    IS_NULL(ipip_block_use(NULL, at, &use, NULL), "block");
    IS_NULL(ipip_block_use(block, at, NULL, NULL), "use_out");
    IS_NULL(ipip_block_handle(NULL, at, text, sizeof text, NULL), "block");
    IS_NULL(ipip_block_handle(block, at, NULL, 1, NULL), "text");
    IS_NULL(ipip_block_attribute(NULL, at, "pod", text, sizeof text, NULL), "block");
    IS_NULL(ipip_block_attribute(block, at, NULL, text, sizeof text, NULL), "key");
    IS_NULL(ipip_block_attribute(block, at, "pod", NULL, 1, NULL), "text");
    IS_NULL(ipip_block_affinity(NULL, text, sizeof text, NULL), "block");
    IS_NULL(ipip_block_affinity(block, NULL, 1, NULL), "text");
    IS_NULL(ipip_block_addresses_of(NULL, "h", &at, 1, &needed), "block");
    IS_NULL(ipip_block_addresses_of(block, NULL, &at, 1, &needed), "handle");
    IS_NULL(ipip_block_addresses_of(block, "h", NULL, 1, &needed), "addresses");
    IS_NULL(ipip_block_addresses_of(block, "h", &at, 1, NULL), "needed_out");
    IS_NULL(ipip_block_free_addresses(NULL, &at, 1, &needed), "block");
    IS_NULL(ipip_block_free_addresses(block, NULL, 64, &needed), "addresses");
    IS_NULL(ipip_block_from_json(NULL, 1, NULL), "block_out");
    IS_NULL(ipip_block_to_json(NULL, text, sizeof text, NULL), "block");
    IS_NULL(ipip_block_to_json(block, NULL, 1, NULL), "text");
    CHECK(ipip_block_free_count(NULL) == 0 && ipip_block_used_count(NULL) == 0);
    CHECK(ipip_block_prefix(NULL).len == 0);
    CHECK(ipip_block_used_count(block) == 0);
}

static void allocators(void) {
    struct ipip_pool pool;
    struct ipip_attribute attribute;
    struct ipip_assignment assignment;
    struct ipip_release release;
    struct ipip_block *found;
    uint64_t count;
    memset(&pool, 0, sizeof pool);
    memset(&attribute, 0, sizeof attribute);
    memset(&release, 0, sizeof release);
    IS_NULL(ipip_pool_block_count(NULL, &count), "pool");
    IS_NULL(ipip_pool_block_count(&pool, &count), "name");
    IS_NULL(ipip_pool_block(NULL, 0, &range), "pool");
    IS_NULL(ipip_pool_block_of(NULL, at, &range), "pool");
    pool.name = "pods";
    pool.cidr = prefix("10.244.0.0/16");
    pool.block_len = 26;
    IS_NULL(ipip_pool_block_count(&pool, NULL), "count_out");
    IS_NULL(ipip_pool_block(&pool, 0, NULL), "block_out");
    IS_NULL(ipip_pool_block_of(&pool, at, NULL), "block_out");
    IS_NULL(ipip_store_open_memory(NULL), "store_out");
    IS_NULL(ipip_ipam_new(NULL, &ipam), "store");
    IS_NULL(ipip_ipam_new(store, NULL), "ipam_out");
    IS_NULL(ipip_ipam_create_pool(NULL, &pool), "ipam");
    IS_NULL(ipip_ipam_create_pool(ipam, NULL), "pool");
    IS_NULL(ipip_ipam_claim_any(NULL, "n", &range), "ipam");
    IS_NULL(ipip_ipam_claim_any(ipam, NULL, &range), "node");
    IS_NULL(ipip_ipam_claim_any(ipam, "n", NULL), "block_out");
    IS_NULL(ipip_ipam_claim(NULL, "n", range, NULL), "ipam");
    IS_NULL(ipip_ipam_claim(ipam, NULL, range, NULL), "node");
    IS_NULL(ipip_ipam_release_block(NULL, "n", range, NULL), "ipam");
    IS_NULL(ipip_ipam_release_block(ipam, NULL, range, NULL), "node");
    IS_NULL(ipip_ipam_assign_any(NULL, "n", &attribute, &assignment), "ipam");
    IS_NULL(ipip_ipam_assign_any(ipam, NULL, &attribute, &assignment), "node");
    IS_NULL(ipip_ipam_assign_any(ipam, "n", NULL, &assignment), "attribute");
    IS_NULL(ipip_ipam_assign_any(ipam, "n", &attribute, NULL), "assignment_out");
    IS_NULL(ipip_ipam_assign(NULL, "n", at, &attribute, NULL), "ipam");
    IS_NULL(ipip_ipam_assign(ipam, NULL, at, &attribute, NULL), "node");
    IS_NULL(ipip_ipam_assign(ipam, "n", at, NULL, NULL), "attribute");
    IS_NULL(ipip_ipam_release(NULL, &release), "ipam");
    IS_NULL(ipip_ipam_release(ipam, NULL), "release");
    IS_NULL(ipip_ipam_release_handle(NULL, "h", NULL), "ipam");
    IS_NULL(ipip_ipam_release_handle(ipam, NULL, NULL), "handle");
    IS_NULL(ipip_ipam_block_of(NULL, at, &found), "ipam");
    IS_NULL(ipip_ipam_block_of(ipam, at, NULL), "block_out");
    IS_NULL(ipip_ipam_blocks_of(NULL, "n", &range, 1, &needed), "ipam");
    IS_NULL(ipip_ipam_blocks_of(ipam, NULL, &range, 1, &needed), "node");
    IS_NULL(ipip_ipam_blocks_of(ipam, "n", NULL, 1, &needed), "blocks");
    IS_NULL(ipip_ipam_blocks_of(ipam, "n", &range, 1, NULL), "needed_out");
    IS_NULL(ipip_ipam_blocks(NULL, &range, 1, &needed), "ipam");
    IS_NULL(ipip_ipam_blocks(ipam, NULL, 1, &needed), "blocks");
}

static void resources(void) {
    struct ipip_pool pool;
    struct ipip_allocator_config config;
    struct ipip_reservation *reservation;
    struct ipip_node_record *record;
    struct ipip_pair nothing = {NULL, NULL}, key_only = {"k", NULL};
    uint8_t flag;
    memset(&pool, 0, sizeof pool);
    pool.name = "pods";
    pool.cidr = prefix("10.244.0.0/16");
    pool.block_len = 26;
    IS_NULL(ipip_pool_selects(NULL, NULL, 0, &flag), "pool");
    IS_NULL(ipip_pool_selects(&pool, NULL, 0, NULL), "selects_out");
    IS_NULL(ipip_pool_selects(&pool, NULL, 1, &flag), "labels");
    IS_NULL(ipip_pool_selects(&pool, &nothing, 1, &flag), "key");
    IS_NULL(ipip_pool_selects(&pool, &key_only, 1, &flag), "value");
    IS_NULL(ipip_allocator_config_default(NULL), "config_out");
    IS_NULL(ipip_allocator_config_check(NULL), "config");
    IS_NULL(ipip_allocator_config_from_json(NULL, 1, &config), "json");
    IS_NULL(ipip_allocator_config_from_json(octets, 1, NULL), "config_out");
    IS_NULL(ipip_reservation_new(NULL, &range, 1, &reservation), "name");
    IS_NULL(ipip_reservation_new("r", NULL, 1, &reservation), "cidrs");
    IS_NULL(ipip_reservation_new("r", &range, 1, NULL), "reservation_out");
    IS_NULL(ipip_reservation_from_json(NULL, 1, &reservation), "json");
    IS_NULL(ipip_reservation_from_json(octets, 1, NULL), "reservation_out");
    IS_NULL(ipip_reservation_name(NULL, text, sizeof text, &needed), "reservation");
    IS_NULL(ipip_reservation_cidrs(NULL, &range, 1, &needed), "reservation");
    IS_NULL(ipip_reservation_to_json(NULL, text, sizeof text, &needed), "reservation");
    CHECK_OK(ipip_reservation_new("r", NULL, 0, &reservation));
    IS_NULL(ipip_reservation_name(reservation, NULL, 1, &needed), "text");
    IS_NULL(ipip_reservation_cidrs(reservation, NULL, 1, &needed), "cidrs");
    IS_NULL(ipip_reservation_cidrs(reservation, &range, 1, NULL), "needed_out");
    IS_NULL(ipip_reservation_to_json(reservation, NULL, 1, &needed), "text");
    ipip_reservation_free(reservation);
    IS_NULL(ipip_node_record_new(NULL, &record), "node");
    IS_NULL(ipip_node_record_new("n", NULL), "record_out");
    IS_NULL(ipip_node_record_from_json(NULL, 1, &record), "json");
    IS_NULL(ipip_node_record_from_json(octets, 1, NULL), "record_out");
    CHECK_OK(ipip_node_record_new("n", &record));
    IS_NULL(ipip_node_record_set_label(NULL, "k", "v"), "record");
    IS_NULL(ipip_node_record_set_label(record, NULL, "v"), "key");
    IS_NULL(ipip_node_record_set_label(record, "k", NULL), "value");
    IS_NULL(ipip_node_record_set_address(NULL, at, 24), "record");
    IS_NULL(ipip_node_record_set_tunnel_address(NULL, &at), "record");
    IS_NULL(ipip_node_record_name(NULL, text, sizeof text, &needed), "record");
    IS_NULL(ipip_node_record_name(record, NULL, 1, &needed), "text");
    IS_NULL(ipip_node_record_label(NULL, "k", text, sizeof text, &needed), "record");
    IS_NULL(ipip_node_record_label(record, NULL, text, sizeof text, &needed), "key");
    IS_NULL(ipip_node_record_address(NULL, &at, &range), "record");
    IS_NULL(ipip_node_record_address(record, NULL, &range), "address_out");
    IS_NULL(ipip_node_record_tunnel_address(NULL, &at), "record");
    IS_NULL(ipip_node_record_tunnel_address(record, NULL), "address_out");
    IS_NULL(ipip_node_record_to_json(NULL, text, sizeof text, &needed), "record");
    IS_NULL(ipip_node_record_to_json(record, NULL, 1, &needed), "text");
    ipip_node_record_free(record);
}

static int callback(void *user_data) {
    (void)user_data;
    return 0;
}

static void namespaces_and_what_is_in_them(void) {
    struct ipip_netns *made = NULL;
    struct ipip_tunnel tunnel;
    struct ipip_workload workload;
    struct ipip_peer_route route;
    struct ipip_blackhole blackhole;
    struct ipip_guard guard, no_pools;
    struct ipip_peers *group = NULL;
    struct ipip_capture *capture = NULL;
    struct ipip_frame frame;
    struct ipip_capture_counts counts;
    int same;
    memset(&tunnel, 0, sizeof tunnel);
    memset(&workload, 0, sizeof workload);
    memset(&route, 0, sizeof route);
    memset(&blackhole, 0, sizeof blackhole);
    memset(&guard, 0, sizeof guard);
    no_pools = guard;
    no_pools.pools_len = 1;
    CHECK_OK(ipip_peers_new(&group));
    IS_NULL(ipip_netns_create(NULL, &made), "name");
    IS_NULL(ipip_netns_create("n", NULL), "netns_out"); /* before anything is made */
    IS_NULL(ipip_netns_create_unnamed(NULL), "netns_out");
    IS_NULL(ipip_netns_open(NULL, &made), "path");
    IS_NULL(ipip_netns_open("/proc/self/ns/net", NULL), "netns_out");
    IS_NULL(ipip_netns_open_named(NULL, &made), "name");
    IS_NULL(ipip_netns_open_named("n", NULL), "netns_out");
    IS_NULL(ipip_netns_open_current(NULL), "netns_out");
    IS_NULL(ipip_netns_remove(NULL, NULL), "name");
    IS_NULL(ipip_netns_enter(NULL, callback, NULL, NULL), "netns");
    IS_NULL(ipip_netns_enter(netns, NULL, NULL, NULL), "callback");
    IS_NULL(ipip_netns_is_same(NULL, netns, &same), "netns");
    IS_NULL(ipip_netns_is_same(netns, NULL, &same), "other");
    IS_NULL(ipip_netns_is_same(netns, netns, NULL), "same_out");
    IS_NULL(ipip_netns_path(NULL, text, sizeof text, NULL), "netns");
    IS_NULL(ipip_netns_path(netns, NULL, 1, NULL), "text");
    CHECK(ipip_netns_fd(NULL) == -1);
    IS_NULL(ipip_ensure_tunnel(NULL, &tunnel, NULL), "netns");
    IS_NULL(ipip_ensure_tunnel(netns, NULL, NULL), "tunnel");
    IS_NULL(ipip_remove_tunnel(NULL, &tunnel, NULL), "netns");
    IS_NULL(ipip_remove_tunnel(netns, NULL, NULL), "tunnel");
    IS_NULL(ipip_host_veth_name(NULL, "pod", text, sizeof text, NULL), "pod_namespace");
    IS_NULL(ipip_host_veth_name("default", NULL, text, sizeof text, NULL), "pod");
    IS_NULL(ipip_host_veth_name("default", "pod", NULL, 1, NULL), "text");
    IS_NULL(ipip_ensure_workload(NULL, netns, &workload, NULL), "netns");
    IS_NULL(ipip_ensure_workload(netns, NULL, &workload, NULL), "workload_netns");
    IS_NULL(ipip_ensure_workload(netns, netns, NULL, NULL), "workload");
    IS_NULL(ipip_ensure_workload(netns, netns, &workload, NULL), "pod_namespace");
    IS_NULL(ipip_remove_workload(NULL, &workload, NULL), "netns");
    IS_NULL(ipip_remove_workload(netns, NULL, NULL), "workload");
    IS_NULL(ipip_ensure_peer_route(NULL, &route, NULL), "netns");
    IS_NULL(ipip_ensure_peer_route(netns, NULL, NULL), "route");
    IS_NULL(ipip_remove_peer_route(NULL, &route, NULL), "netns");
    IS_NULL(ipip_remove_peer_route(netns, NULL, NULL), "route");
    IS_NULL(ipip_ensure_blackhole(NULL, &blackhole, NULL), "netns");
    IS_NULL(ipip_ensure_blackhole(netns, NULL, NULL), "blackhole");
    IS_NULL(ipip_remove_blackhole(NULL, &blackhole, NULL), "netns");
    IS_NULL(ipip_remove_blackhole(netns, NULL, NULL), "blackhole");
    IS_NULL(ipip_ensure_guard(NULL, &guard, group, NULL), "netns");
    IS_NULL(ipip_ensure_guard(netns, NULL, group, NULL), "guard");
    IS_NULL(ipip_ensure_guard(netns, &guard, NULL, NULL), "peers");
    IS_NULL(ipip_ensure_guard(netns, &no_pools, group, NULL), "pools");
    IS_NULL(ipip_remove_guard(NULL, NULL), "netns");
    IS_NULL(ipip_changes_step(NULL, 0, text, sizeof text, NULL), "changes");
    CHECK(ipip_changes_count(NULL) == 0);
    IS_NULL(ipip_capture_open(NULL, "lo", &capture), "netns");
    IS_NULL(ipip_capture_open(netns, NULL, &capture), "interface");
    IS_NULL(ipip_capture_open(netns, "lo", NULL), "capture_out");
    IS_NULL(ipip_capture_next(NULL, 0, &frame), "capture");
    IS_NULL(ipip_capture_count(NULL, &counts), "capture");
    CHECK(made == NULL && capture == NULL);
    ipip_peers_free(group);
}

static void freeing_nothing_is_nothing(void) {
    ipip_netns_free(NULL);
    ipip_changes_free(NULL);
    ipip_block_free(NULL);
    ipip_encapsulator_free(NULL);
    ipip_ipam_free(NULL);
    ipip_store_free(NULL);
    ipip_tunnel_state_free(NULL);
    ipip_peers_free(NULL);
    ipip_capture_stop(NULL);
    ipip_capture_free(NULL);
}

int main(void) {
    at = address("10.244.79.20");
    range = prefix("10.244.79.0/26");
    if (ipip_netns_open_current(&netns) != IPIP_STATUS_OK || ipip_block_new(range, &block) != IPIP_STATUS_OK
        || ipip_store_open_memory(&store) != IPIP_STATUS_OK || ipip_ipam_new(store, &ipam) != IPIP_STATUS_OK)
        return 2;
    RUN(addresses);
    RUN(packets);
    RUN(batches);
    RUN(tunnels);
    RUN(peers);
    RUN(blocks);
    RUN(allocators);
    RUN(resources);
    RUN(namespaces_and_what_is_in_them);
    RUN(freeing_nothing_is_nothing);
    ipip_netns_free(netns);
    ipip_block_free(block);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    return finish();
}
