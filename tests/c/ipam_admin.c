/* Address management beyond one address: many at once, pools, nodes, usage, check, collection. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

static struct ipip_store *store;
static struct ipip_ipam *ipam; /* on `store`, with the pool "pods" 10.244.0.0/24 cut into /26 */
static char path[64];

static struct ipip_pool pool_of(const char *name, const char *cidr, uint8_t block_len) {
    struct ipip_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.name = name;
    pool.cidr = prefix(cidr);
    pool.block_len = block_len;
    pool.ipip_mode = IPIP_MODE_ALWAYS;
    return pool;
}

static struct ipip_request request_of(const char *node, uint32_t count, const char *handle) {
    struct ipip_request request;
    memset(&request, 0, sizeof request);
    request.node = node;
    request.count = count;
    request.attribute.handle = handle;
    return request;
}

static int same(struct ipip_prefix found, const char *expected) {
    struct ipip_prefix wanted = prefix(expected);
    return memcmp(&found, &wanted, sizeof found) == 0;
}

static void remove_store(void) {
    static const char *const endings[] = {"", "-wal", "-shm", "-lock", "-next"};
    char name[80];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
}

static void run_with_ipam(const char *name, void (*test)(void)) {
    struct ipip_pool pods = pool_of("pods", "10.244.0.0/24", 26);
    snprintf(path, sizeof path, "/tmp/ipip-c-%ld.db", (long)getpid());
    if (ipip_store_open_sqlite(path, NULL, &store) != IPIP_STATUS_OK || ipip_ipam_new(store, &ipam) != IPIP_STATUS_OK
        || ipip_ipam_create_pool(ipam, &pods) != IPIP_STATUS_OK)
        exit(2);
    run_test(name, test);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    remove_store();
}

#define RUN_WITH_IPAM(test) run_with_ipam(#test, test)

static void many_addresses_come_and_go_together(void) {
    struct ipip_request request = request_of("node-a", 100, "job");
    struct ipip_assignments *all;
    struct ipip_assignment first, last;
    struct ipip_ipv4 addresses[100];
    struct ipip_release releases[3];
    struct ipip_outcome *outcome;
    struct ipip_outcome_entry entry;
    enum ipip_shortfall shortfall;
    uint64_t wrong;
    size_t needed;
    CHECK_OK(ipip_ipam_assign_many(ipam, &request, &all));
    CHECK(ipip_assignments_count(all) == 100);
    CHECK_OK(ipip_assignments_shortfall(all, &shortfall, NULL, 0, NULL));
    CHECK(shortfall == IPIP_SHORTFALL_NONE);
    CHECK_OK(ipip_assignments_get(all, 0, &first));
    CHECK_OK(ipip_assignments_get(all, 99, &last));
    CHECK(first.borrowed == 0 && memcmp(&first.block, &last.block, sizeof first.block) != 0);
    CHECK_FAILS(ipip_assignments_get(all, 100, &last), IPIP_STATUS_NOT_FOUND, "assignment 100 of 100, counted from 0");
    ipip_assignments_free(all);
    CHECK_STATUS(ipip_ipam_addresses_of(ipam, "job", addresses, 99, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_OK(ipip_ipam_addresses_of(ipam, "job", addresses, 100, &needed));
    CHECK(needed == 100 && memcmp(addresses, addresses + 1, sizeof *addresses) < 0);

    memset(releases, 0, sizeof releases);
    wrong = first.sequence + 1;
    releases[0].address = first.address;
    releases[0].sequence = &wrong;
    releases[1].address = last.address;
    releases[1].handle = "job";
    releases[2].address = address("10.9.0.1");
    CHECK_OK(ipip_ipam_release_many(ipam, releases, 3, &outcome));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 1);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_RELEASED, 0, &entry));
    CHECK(memcmp(&entry.prefix.network, &last.address, 4) == 0 && entry.prefix.len == 32 && strcmp(entry.text, "job") == 0);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_REFUSED, 0, &entry));
    CHECK(memcmp(&entry.prefix, &first.block, sizeof entry.prefix) == 0 && strstr(entry.text, "sequence") != NULL);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_NOT_ASSIGNED, 0, &entry));
    CHECK(same(entry.prefix, "10.9.0.1/32") && entry.text == NULL);
    CHECK_FAILS(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_DELETED, 0, &entry), IPIP_STATUS_NOT_FOUND, "entry 0 of 0");
    CHECK_FAILS(ipip_outcome_get(outcome, 8, 0, &entry), IPIP_STATUS_INVALID_ARGUMENT, "list is 8, which is no enum ipip_outcome_list");
    CHECK(ipip_outcome_count(outcome, 8) == 0);
    ipip_outcome_free(outcome);
}

static void a_shortfall_is_a_value(void) {
    struct ipip_request request = request_of("node-a", 65, NULL);
    struct ipip_allocator_config config;
    struct ipip_assignments *all;
    struct ipip_assignment borrowed;
    struct ipip_prefix block;
    enum ipip_shortfall shortfall;
    uint32_t one = 1;
    char text[100];
    size_t needed;
    request.max_blocks = &one;
    CHECK_OK(ipip_ipam_assign_many(ipam, &request, &all));
    CHECK(ipip_assignments_count(all) == 64);
    memset(&shortfall, 0xa5, sizeof shortfall);
    CHECK_STATUS(ipip_assignments_shortfall(all, &shortfall, text, 10, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK((uint32_t)shortfall == 0xa5a5a5a5u);
    CHECK_OK(ipip_assignments_shortfall(all, &shortfall, text, sizeof text, &needed));
    CHECK(shortfall == IPIP_SHORTFALL_BLOCK_LIMIT && strcmp(text, "its blocks are full, and it may have no more than 1 of them") == 0);
    CHECK(needed == strlen(text) + 1);
    ipip_assignments_free(all);

    CHECK_OK(ipip_ipam_config(ipam, &config));
    CHECK(config.strict_affinity == 0 && config.auto_allocate_blocks == 1);
    config.max_blocks_per_node = 2;
    CHECK_STATUS(ipip_ipam_set_config(ipam, &config), IPIP_STATUS_INVALID_ARGUMENT);
    config.strict_affinity = 1;
    CHECK_OK(ipip_ipam_set_config(ipam, &config));
    CHECK_OK(ipip_ipam_config(ipam, &config));
    CHECK(config.strict_affinity == 1 && config.max_blocks_per_node == 2);
    {
        struct ipip_allocator_config before, after, stored;
        CHECK_OK(ipip_allocator_config_default(&before));
        after = before;
        after.cooldown = 60;
        CHECK_OK(ipip_ipam_change_config(ipam, &before, &after, &stored));
        CHECK(stored.strict_affinity == 1 && stored.max_blocks_per_node == 2 && stored.cooldown == 60);
        CHECK_OK(ipip_ipam_change_config(ipam, &after, &before, NULL));
        after.auto_allocate_blocks = 2;
        memset(&stored, 0xa5, sizeof stored);
        CHECK_STATUS(ipip_ipam_change_config(ipam, &before, &after, &stored), IPIP_STATUS_INVALID_ARGUMENT);
        after = config;
        after.strict_affinity = 0;
        CHECK_FAILS(ipip_ipam_change_config(ipam, &config, &after, &stored), IPIP_STATUS_INVALID_ARGUMENT, "needs strict_affinity true");
        CHECK(stored.cooldown == 0xa5a5a5a5u);
    }
    CHECK_OK(ipip_ipam_claim_any(ipam, "node-c", &block));
    CHECK_FAILS(ipip_ipam_assign(ipam, "node-b", block.network, &request.attribute, NULL), IPIP_STATUS_OWNED_BY_ANOTHER, "is owned by host:node-c");
    CHECK_OK(ipip_allocator_config_default(&config));
    CHECK_OK(ipip_ipam_set_config(ipam, &config));
    request = request_of("node-b", 300, NULL);
    CHECK_OK(ipip_ipam_assign_many(ipam, &request, &all));
    CHECK_OK(ipip_assignments_shortfall(all, &shortfall, NULL, 0, NULL));
    CHECK(shortfall == IPIP_SHORTFALL_POOLS_EXHAUSTED);
    ipip_assignments_free(all);
    {
        struct ipip_release release;
        memset(&release, 0, sizeof release);
        release.address = address("10.244.0.9");
        CHECK_OK(ipip_ipam_release(ipam, &release));
    }
    CHECK_OK(ipip_ipam_assign_any(ipam, "node-d", &request.attribute, &borrowed));
    CHECK(borrowed.borrowed == 1);

    request = request_of("node-a", 0, NULL);
    CHECK_FAILS(ipip_ipam_assign_many(ipam, &request, &all), IPIP_STATUS_INVALID_ARGUMENT, "0 addresses were asked for");
    request = request_of("node-a", 1, NULL);
    request.purpose = 3;
    CHECK_FAILS(ipip_ipam_assign_many(ipam, &request, &all), IPIP_STATUS_INVALID_ARGUMENT, "purpose is 3");
    {
        struct ipip_prefix nowhere = prefix("10.8.0.0/24");
        request.purpose = IPIP_POOL_USE_TUNNEL;
        request.pools = &nowhere;
        request.pools_len = 1;
        CHECK_FAILS(ipip_ipam_assign_many(ipam, &request, &all), IPIP_STATUS_NOT_FOUND, "there is no pool 10.8.0.0/24");
    }
}

static void a_pool_is_changed_and_deleted(void) {
    struct ipip_pool pool = pool_of("pods", "10.244.0.0/24", 27), found;
    struct ipip_attribute attribute = {"pod-a", NULL, 0};
    struct ipip_assignment assigned;
    struct ipip_pools *pools;
    struct ipip_prefix block;
    struct ipip_outcome *outcome;
    struct ipip_outcome_entry entry;
    CHECK_FAILS(ipip_ipam_update_pool(ipam, &pool), IPIP_STATUS_INVALID_ARGUMENT, "/26");
    pool.block_len = 26;
    pool.ipip_mode = IPIP_MODE_CROSS_SUBNET;
    pool.nat_outgoing = 1;
    pool.node_selector = "all()";
    CHECK_OK(ipip_ipam_update_pool(ipam, &pool));
    CHECK_OK(ipip_ipam_pools(ipam, &pools));
    CHECK(ipip_pools_count(pools) == 1);
    CHECK_OK(ipip_pools_get(pools, 0, &found));
    CHECK(strcmp(found.name, "pods") == 0 && same(found.cidr, "10.244.0.0/24") && found.block_len == 26 && found.disabled == 0
        && found.nat_outgoing == 1 && found.ipip_mode == IPIP_MODE_CROSS_SUBNET && strcmp(found.node_selector, "all()") == 0
        && found.allowed_uses == (IPIP_POOL_USE_WORKLOAD | IPIP_POOL_USE_TUNNEL)
        && found.assignment_mode == IPIP_ASSIGNMENT_MODE_AUTOMATIC);
    CHECK_OK(ipip_ipam_update_pool(ipam, &found)); /* what was read can be written */
    CHECK_FAILS(ipip_pools_get(pools, 1, &found), IPIP_STATUS_NOT_FOUND, "pool 1 of 1");
    ipip_pools_free(pools);

    CHECK_OK(ipip_ipam_assign_any(ipam, "node-a", &attribute, &assigned));
    CHECK_OK(ipip_ipam_claim_any(ipam, "node-b", &block));
    CHECK_OK(ipip_ipam_disable_pool(ipam, "pods"));
    CHECK_STATUS(ipip_ipam_claim_any(ipam, "node-b", &block), IPIP_STATUS_POOL_EXHAUSTED);
    CHECK_OK(ipip_ipam_enable_pool(ipam, "pods"));
    CHECK_OK(ipip_ipam_delete_pool(ipam, "pods", &outcome));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_DELETED) == 1);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_ORPHANED, 0, &entry));
    CHECK(memcmp(&entry.prefix, &assigned.block, sizeof entry.prefix) == 0 && entry.text == NULL);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_REMAINING, 0, &entry));
    CHECK(memcmp(&entry.prefix.network, &assigned.address, 4) == 0 && strcmp(entry.text, "pod-a") == 0);
    ipip_outcome_free(outcome);
    CHECK_FAILS(ipip_ipam_delete_pool(ipam, "pods", NULL), IPIP_STATUS_NOT_FOUND, "there is no pool named pods");
    CHECK_STATUS(ipip_ipam_disable_pool(ipam, "pods"), IPIP_STATUS_NOT_FOUND);
    CHECK_STATUS(ipip_ipam_enable_pool(ipam, "pods"), IPIP_STATUS_NOT_FOUND);
    CHECK_STATUS(ipip_ipam_update_pool(ipam, &pool), IPIP_STATUS_NOT_FOUND);
}

static void reserved_addresses_are_passed_over(void) {
    struct ipip_prefix half = prefix("10.244.0.0/25");
    struct ipip_request request = request_of("node-a", 256, NULL);
    struct ipip_reservation *reservation, *found;
    struct ipip_reservations *reservations;
    struct ipip_assignments *all;
    char name[20];
    CHECK_OK(ipip_reservation_new("routers", &half, 1, &reservation));
    CHECK_OK(ipip_ipam_create_reservation(ipam, reservation));
    CHECK_FAILS(ipip_ipam_create_reservation(ipam, reservation), IPIP_STATUS_ALREADY_EXISTS, "reservation routers exists already");
    ipip_reservation_free(reservation);
    CHECK_OK(ipip_ipam_reservations(ipam, &reservations));
    CHECK(ipip_reservations_count(reservations) == 1);
    CHECK_OK(ipip_reservations_get(reservations, 0, &found));
    CHECK_STATUS(ipip_reservations_get(reservations, 1, &reservation), IPIP_STATUS_NOT_FOUND);
    ipip_reservations_free(reservations);
    CHECK_OK(ipip_reservation_name(found, name, sizeof name, NULL));
    CHECK(strcmp(name, "routers") == 0);
    ipip_reservation_free(found);
    CHECK_OK(ipip_ipam_assign_many(ipam, &request, &all));
    CHECK(ipip_assignments_count(all) == 128);
    ipip_assignments_free(all);
    CHECK_OK(ipip_ipam_delete_reservation(ipam, "routers"));
    CHECK_STATUS(ipip_ipam_delete_reservation(ipam, "routers"), IPIP_STATUS_NOT_FOUND);
}

static void a_node_has_a_record_and_a_tunnel_address(void) {
    struct ipip_node_record *record;
    struct ipip_node_records *records;
    struct ipip_outcome *outcome;
    struct ipip_ipv4 first, again;
    char text[300];
    size_t count;
    int has;
    CHECK_STATUS(ipip_ipam_node(ipam, "node-a", &record), IPIP_STATUS_NOT_FOUND);
    CHECK_OK(ipip_node_record_new("node-a", &record));
    CHECK_OK(ipip_node_record_set_label(record, "zone", "west"));
    CHECK_OK(ipip_ipam_put_node(ipam, record));
    ipip_node_record_free(record);
    CHECK_OK(ipip_ipam_ensure_tunnel_address(ipam, "node-a", &has, &first));
    CHECK(has == 1);
    CHECK_OK(ipip_ipam_ensure_tunnel_address(ipam, "node-a", &has, &again));
    CHECK(memcmp(&first, &again, sizeof first) == 0);
    CHECK_OK(ipip_ipam_node(ipam, "node-a", &record));
    CHECK_OK(ipip_node_record_tunnel_address(record, &again));
    CHECK(memcmp(&first, &again, sizeof first) == 0);
    ipip_node_record_free(record);
    CHECK_OK(ipip_ipam_address_usage(ipam, first, text, sizeof text, NULL));
    CHECK(strstr(text, "\"inUse\":true") && strstr(text, "\"handle\":\"ipip-tunnel-addr-node-a\""));
    CHECK_OK(ipip_ipam_nodes(ipam, &records));
    CHECK(ipip_node_records_count(records) == 1);
    CHECK_OK(ipip_node_records_get(records, 0, &record));
    CHECK_OK(ipip_node_record_label(record, "zone", text, sizeof text, NULL));
    CHECK(strcmp(text, "west") == 0);
    ipip_node_record_free(record);
    CHECK_STATUS(ipip_node_records_get(records, 1, &record), IPIP_STATUS_NOT_FOUND);
    ipip_node_records_free(records);
    CHECK_OK(ipip_ipam_release_tunnel_address(ipam, "node-a", &count));
    CHECK(count == 1);
    CHECK_OK(ipip_ipam_release_tunnel_address(ipam, "node-a", &count));
    CHECK(count == 0);
    CHECK_OK(ipip_ipam_ensure_tunnel_address(ipam, "node-a", &has, &first));
    CHECK_OK(ipip_ipam_remove_node(ipam, "node-a", &outcome));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 1 && ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_DELETED) == 1);
    ipip_outcome_free(outcome);
    CHECK_OK(ipip_ipam_remove_node(ipam, "node-a", NULL));
    CHECK_OK(ipip_ipam_delete_pool(ipam, "pods", NULL));
    CHECK_OK(ipip_ipam_ensure_tunnel_address(ipam, "node-a", &has, &again));
    CHECK(has == 0 && memcmp(&again, "\0\0\0\0", 4) == 0);
}

static void use_is_told_as_numbers_and_as_text(void) {
    static const char *const expected =
        "+----------+---------------+-----------+------------+-----------+\n"
        "| GROUPING | CIDR          | IPS TOTAL | IPS IN USE |  IPS FREE |\n"
        "+----------+---------------+-----------+------------+-----------+\n"
        "| IP Pool  | 10.244.0.0/24 |       256 |     5 (2%) | 251 (98%) |\n"
        "+----------+---------------+-----------+------------+-----------+\n";
    static const char *const parts[] = {"| IP Pool ", "| Block ", "BORROWING-NODE", "StrictAffinity", "\"pools\":["};
    struct ipip_request request = request_of("node-a", 5, NULL);
    struct ipip_assignments *all;
    struct ipip_usage *usage;
    struct ipip_pool_usage pool;
    char text[2000];
    size_t needed;
    CHECK_OK(ipip_ipam_assign_many(ipam, &request, &all));
    ipip_assignments_free(all);
    CHECK_OK(ipip_ipam_usage(ipam, &usage));
    CHECK(ipip_usage_pool_count(usage) == 1);
    CHECK_OK(ipip_usage_pool(usage, 0, &pool));
    CHECK(strcmp(pool.name, "pods") == 0 && same(pool.cidr, "10.244.0.0/24") && pool.blocks == 1);
    CHECK(pool.counts.total == 256 && pool.counts.in_use == 5 && pool.counts.free == 251 && pool.counts.reserved == 0 && pool.counts.cooling == 0);
    CHECK_STATUS(ipip_usage_pool(usage, 1, &pool), IPIP_STATUS_NOT_FOUND);
    for (uint32_t form = 0; form < 5; form++) {
        CHECK_OK(ipip_usage_text(usage, form, text, sizeof text, &needed));
        CHECK(strstr(text, parts[form]) != NULL && needed == strlen(text) + 1);
        if (form == IPIP_USAGE_FORM_POOLS) CHECK(strcmp(text, expected) == 0);
    }
    CHECK_FAILS(ipip_usage_text(usage, 5, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT, "form is 5");
    CHECK_STATUS(ipip_usage_text(usage, 0, text, 5, NULL), IPIP_STATUS_BUFFER_TOO_SMALL);
    ipip_usage_free(usage);
}

static void damage_is_told_and_repaired(void) {
    static const char line[] = "{\"key\":\"/calico/ipam/v2/host/node-x/ipv4/block/10.244.0.0-26\",\"value\":{\"state\":\"confirmed\"}}\n";
    static const char *const live[] = {"alive"};
    struct ipip_attribute dead = {"dead", NULL, 0}, alive = {"alive", NULL, 0};
    struct ipip_assignment assigned;
    struct ipip_report *report;
    struct ipip_report_counts counts;
    struct ipip_problem problem;
    struct ipip_repaired *repaired;
    size_t mended, left;
    char text[2000];
    int ends[2];
    CHECK_OK(ipip_ipam_assign_any(ipam, "node-a", &dead, &assigned));
    CHECK_OK(ipip_ipam_assign_any(ipam, "node-a", &alive, &assigned));
    CHECK_OK(ipip_ipam_check(ipam, &report));
    CHECK_OK(ipip_report_count(report, &counts));
    CHECK(counts.pools == 1 && counts.blocks == 1 && counts.addresses == 2 && counts.handles == 2 && counts.claims == 1 && counts.problems == 0);
    ipip_report_free(report);

    CHECK_OK(ipip_ipam_check_live(ipam, live, 1, &report));
    CHECK_OK(ipip_report_get(report, 0, &problem));
    CHECK(strcmp(problem.kind, "leaked") == 0 && strstr(problem.message, "\"dead\", which is not alive") != NULL);
    CHECK_STATUS(ipip_report_get(report, 1, &problem), IPIP_STATUS_NOT_FOUND);
    ipip_report_free(report);

    CHECK(pipe(ends) == 0 && write(ends[1], line, sizeof line - 1) == (ssize_t)(sizeof line - 1));
    close(ends[1]);
    CHECK_OK(ipip_store_import(store, ends[0], NULL, NULL));
    close(ends[0]);
    CHECK_OK(ipip_ipam_check(ipam, &report));
    CHECK_OK(ipip_report_text(report, IPIP_REPORT_FORM_TEXT, text, sizeof text, NULL));
    CHECK(strstr(text, "1 problem found\n") != NULL);
    CHECK_OK(ipip_report_text(report, IPIP_REPORT_FORM_JSON, text, sizeof text, NULL));
    CHECK(strstr(text, "\"node\":\"node-x\"") != NULL);
    CHECK_STATUS(ipip_report_text(report, 2, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_OK(ipip_ipam_repair(ipam, report, &repaired));
    ipip_report_free(report);
    CHECK_OK(ipip_repaired_count(repaired, &mended, &left));
    CHECK(mended == 1 && left == 0);
    CHECK_OK(ipip_repaired_text(repaired, IPIP_REPORT_FORM_TEXT, text, sizeof text, NULL));
    CHECK(strncmp(text, "repaired: ", 10) == 0);
    ipip_repaired_free(repaired);
    CHECK_OK(ipip_ipam_check(ipam, &report));
    CHECK_OK(ipip_report_count(report, &counts));
    CHECK(counts.problems == 0);
    ipip_report_free(report);
}

static void collection_releases_what_is_not_alive(void) {
    static const char *const live[] = {"alive"};
    struct ipip_attribute dead = {"dead", NULL, 0}, alive = {"alive", NULL, 0};
    struct ipip_assignment gone, assigned;
    struct ipip_collector *collector;
    struct ipip_collect_counts counts;
    struct ipip_outcome *outcome;
    struct ipip_outcome_entry entry;
    CHECK_OK(ipip_ipam_assign_any(ipam, "node-a", &dead, &gone));
    CHECK_OK(ipip_ipam_assign_any(ipam, "node-a", &alive, &assigned));
    CHECK_OK(ipip_collector_new(900000, &collector));
    CHECK_OK(ipip_ipam_collect(ipam, collector, live, 1, &counts, &outcome));
    CHECK(counts.waiting >= 1 && counts.cooled == 0 && counts.without_handle == 0);
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 0);
    ipip_outcome_free(outcome);
    ipip_collector_free(collector);
    CHECK_OK(ipip_collector_new(0, &collector));
    CHECK_OK(ipip_ipam_collect(ipam, collector, live, 1, NULL, &outcome));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 1);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_RELEASED, 0, &entry));
    CHECK(memcmp(&entry.prefix.network, &gone.address, 4) == 0 && strcmp(entry.text, "dead") == 0);
    ipip_outcome_free(outcome);
    ipip_collector_free(collector);
}

int main(void) {
    RUN_WITH_IPAM(many_addresses_come_and_go_together);
    RUN_WITH_IPAM(a_shortfall_is_a_value);
    RUN_WITH_IPAM(a_pool_is_changed_and_deleted);
    RUN_WITH_IPAM(reserved_addresses_are_passed_over);
    RUN_WITH_IPAM(a_node_has_a_record_and_a_tunnel_address);
    RUN_WITH_IPAM(use_is_told_as_numbers_and_as_text);
    RUN_WITH_IPAM(damage_is_told_and_repaired);
    RUN_WITH_IPAM(collection_releases_what_is_not_alive);
    return finish();
}
