/* NULL where an allocator's calls on many addresses, pools and nodes need something. */
#include "check.h"

#define IS_NULL(call, name) CHECK_FAILS(call, IPIP_STATUS_NULL_ARGUMENT, name " is NULL")

static struct ipip_store *store;
static struct ipip_ipam *ipam;
static struct ipip_outcome *outcome;

static void many_addresses(void) {
    struct ipip_request request;
    struct ipip_assignments *all;
    struct ipip_assignment assignment;
    struct ipip_ipv4 one;
    struct ipip_outcome_entry entry;
    enum ipip_shortfall shortfall;
    size_t needed;
    memset(&request, 0, sizeof request);
    IS_NULL(ipip_ipam_assign_many(NULL, &request, &all), "ipam");
    IS_NULL(ipip_ipam_assign_many(ipam, NULL, &all), "request");
    IS_NULL(ipip_ipam_assign_many(ipam, &request, NULL), "assignments_out");
    IS_NULL(ipip_ipam_assign_many(ipam, &request, &all), "node");
    request.node = "n";
    request.pools_len = 1;
    IS_NULL(ipip_ipam_assign_many(ipam, &request, &all), "pools");
    IS_NULL(ipip_assignments_get(NULL, 0, &assignment), "assignments");
    IS_NULL(ipip_assignments_shortfall(NULL, &shortfall, NULL, 0, NULL), "assignments");
    CHECK(ipip_assignments_count(NULL) == 0);
    IS_NULL(ipip_ipam_release_many(NULL, NULL, 0, &outcome), "ipam");
    IS_NULL(ipip_ipam_release_many(ipam, NULL, 1, &outcome), "releases");
    IS_NULL(ipip_ipam_release_many(ipam, NULL, 0, NULL), "outcome_out");
    IS_NULL(ipip_ipam_addresses_of(NULL, "h", &one, 1, &needed), "ipam");
    IS_NULL(ipip_ipam_addresses_of(ipam, NULL, &one, 1, &needed), "handle");
    IS_NULL(ipip_ipam_addresses_of(ipam, "h", NULL, 1, &needed), "addresses");
    IS_NULL(ipip_ipam_addresses_of(ipam, "h", &one, 1, NULL), "needed_out");
    IS_NULL(ipip_outcome_get(NULL, 0, 0, &entry), "outcome");
    CHECK(ipip_outcome_count(NULL, 0) == 0);
    request.pools_len = 0;
    request.count = 1;
    CHECK_STATUS(ipip_ipam_assign_many(ipam, &request, &all), IPIP_STATUS_POOL_EXHAUSTED);
}

static void pools_and_reservations(void) {
    struct ipip_pool pool;
    struct ipip_pools *pools;
    struct ipip_allocator_config config;
    struct ipip_reservation *reservation;
    struct ipip_reservations *reservations;
    memset(&pool, 0, sizeof pool);
    IS_NULL(ipip_ipam_pools(NULL, &pools), "ipam");
    IS_NULL(ipip_ipam_pools(ipam, NULL), "pools_out");
    IS_NULL(ipip_pools_get(NULL, 0, &pool), "pools");
    CHECK(ipip_pools_count(NULL) == 0);
    IS_NULL(ipip_ipam_update_pool(NULL, &pool), "ipam");
    IS_NULL(ipip_ipam_update_pool(ipam, NULL), "pool");
    IS_NULL(ipip_ipam_update_pool(ipam, &pool), "name");
    IS_NULL(ipip_ipam_disable_pool(NULL, "p"), "ipam");
    IS_NULL(ipip_ipam_disable_pool(ipam, NULL), "pool");
    IS_NULL(ipip_ipam_enable_pool(NULL, "p"), "ipam");
    IS_NULL(ipip_ipam_enable_pool(ipam, NULL), "pool");
    IS_NULL(ipip_ipam_delete_pool(NULL, "p", NULL), "ipam");
    IS_NULL(ipip_ipam_delete_pool(ipam, NULL, NULL), "pool");
    IS_NULL(ipip_ipam_config(NULL, &config), "ipam");
    IS_NULL(ipip_ipam_config(ipam, NULL), "config_out");
    IS_NULL(ipip_ipam_set_config(NULL, &config), "ipam");
    IS_NULL(ipip_ipam_set_config(ipam, NULL), "config");
    IS_NULL(ipip_ipam_change_config(NULL, &config, &config, NULL), "ipam");
    IS_NULL(ipip_ipam_change_config(ipam, NULL, &config, NULL), "before");
    IS_NULL(ipip_ipam_change_config(ipam, &config, NULL, NULL), "after");
    IS_NULL(ipip_ipam_create_reservation(NULL, NULL), "ipam");
    IS_NULL(ipip_ipam_create_reservation(ipam, NULL), "reservation");
    IS_NULL(ipip_ipam_delete_reservation(NULL, "r"), "ipam");
    IS_NULL(ipip_ipam_delete_reservation(ipam, NULL), "reservation");
    IS_NULL(ipip_ipam_reservations(NULL, &reservations), "ipam");
    IS_NULL(ipip_ipam_reservations(ipam, NULL), "reservations_out");
    IS_NULL(ipip_reservations_get(NULL, 0, &reservation), "reservations");
    CHECK(ipip_reservations_count(NULL) == 0);
}

static void nodes(void) {
    struct ipip_node_record *record;
    struct ipip_node_records *records;
    struct ipip_ipv4 at;
    int has;
    IS_NULL(ipip_ipam_nodes(NULL, &records), "ipam");
    IS_NULL(ipip_ipam_nodes(ipam, NULL), "records_out");
    IS_NULL(ipip_node_records_get(NULL, 0, &record), "records");
    CHECK(ipip_node_records_count(NULL) == 0);
    IS_NULL(ipip_ipam_node(NULL, "n", &record), "ipam");
    IS_NULL(ipip_ipam_node(ipam, NULL, &record), "node");
    IS_NULL(ipip_ipam_node(ipam, "n", NULL), "record_out");
    IS_NULL(ipip_ipam_put_node(NULL, NULL), "ipam");
    IS_NULL(ipip_ipam_put_node(ipam, NULL), "record");
    IS_NULL(ipip_ipam_remove_node(NULL, "n", NULL), "ipam");
    IS_NULL(ipip_ipam_remove_node(ipam, NULL, NULL), "node");
    IS_NULL(ipip_ipam_ensure_tunnel_address(NULL, "n", &has, &at), "ipam");
    IS_NULL(ipip_ipam_ensure_tunnel_address(ipam, NULL, &has, &at), "node");
    IS_NULL(ipip_ipam_ensure_tunnel_address(ipam, "n", NULL, &at), "has_out");
    IS_NULL(ipip_ipam_ensure_tunnel_address(ipam, "n", &has, NULL), "address_out");
    IS_NULL(ipip_ipam_release_tunnel_address(NULL, "n", NULL), "ipam");
    IS_NULL(ipip_ipam_release_tunnel_address(ipam, NULL, NULL), "node");
}

static void reports(void) {
    static const char *const live[] = {NULL};
    struct ipip_ipv4 at = address("10.244.0.1");
    struct ipip_usage *usage;
    struct ipip_pool_usage pool;
    struct ipip_report *report;
    struct ipip_report_counts counts;
    struct ipip_problem problem;
    struct ipip_repaired *repaired;
    struct ipip_collector *collector;
    char text[10];
    size_t one, two;
    IS_NULL(ipip_ipam_usage(NULL, &usage), "ipam");
    IS_NULL(ipip_ipam_usage(ipam, NULL), "usage_out");
    IS_NULL(ipip_usage_pool(NULL, 0, &pool), "usage");
    IS_NULL(ipip_usage_text(NULL, 0, text, sizeof text, NULL), "usage");
    CHECK(ipip_usage_pool_count(NULL) == 0);
    IS_NULL(ipip_ipam_address_usage(NULL, at, text, sizeof text, NULL), "ipam");
    IS_NULL(ipip_ipam_address_usage(ipam, at, NULL, 1, NULL), "text");
    IS_NULL(ipip_ipam_check(NULL, &report), "ipam");
    IS_NULL(ipip_ipam_check(ipam, NULL), "report_out");
    IS_NULL(ipip_ipam_check_live(NULL, NULL, 0, &report), "ipam");
    IS_NULL(ipip_ipam_check_live(ipam, NULL, 1, &report), "live");
    IS_NULL(ipip_ipam_check_live(ipam, live, 1, &report), "live");
    IS_NULL(ipip_ipam_check_live(ipam, NULL, 0, NULL), "report_out");
    IS_NULL(ipip_report_count(NULL, &counts), "report");
    IS_NULL(ipip_report_get(NULL, 0, &problem), "report");
    IS_NULL(ipip_report_text(NULL, 0, text, sizeof text, NULL), "report");
    IS_NULL(ipip_ipam_repair(NULL, NULL, &repaired), "ipam");
    IS_NULL(ipip_ipam_repair(ipam, NULL, &repaired), "report");
    IS_NULL(ipip_repaired_count(NULL, &one, &two), "repaired");
    IS_NULL(ipip_repaired_text(NULL, 0, text, sizeof text, NULL), "repaired");
    IS_NULL(ipip_collector_new(0, NULL), "collector_out");
    IS_NULL(ipip_ipam_collect(NULL, NULL, NULL, 0, NULL, &outcome), "ipam");
    IS_NULL(ipip_ipam_collect(ipam, NULL, NULL, 0, NULL, &outcome), "collector");
    CHECK_OK(ipip_collector_new(0, &collector));
    IS_NULL(ipip_ipam_collect(ipam, collector, NULL, 1, NULL, &outcome), "live");
    IS_NULL(ipip_ipam_collect(ipam, collector, NULL, 0, NULL, NULL), "outcome_out");
    ipip_collector_free(collector);
}

static void freeing_nothing_is_nothing(void) {
    ipip_assignments_free(NULL);
    ipip_outcome_free(NULL);
    ipip_pools_free(NULL);
    ipip_reservations_free(NULL);
    ipip_node_records_free(NULL);
    ipip_usage_free(NULL);
    ipip_report_free(NULL);
    ipip_repaired_free(NULL);
    ipip_collector_free(NULL);
}

int main(void) {
    if (ipip_store_open_memory(&store) != IPIP_STATUS_OK || ipip_ipam_new(store, &ipam) != IPIP_STATUS_OK)
        return 2;
    RUN(many_addresses);
    RUN(pools_and_reservations);
    RUN(nodes);
    RUN(reports);
    RUN(freeing_nothing_is_nothing);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    return finish();
}
