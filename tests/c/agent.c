/* A whole node on any kernel: joined, kept as it should be, and off the network again. */
#include <pthread.h>

#include "cluster.h"

/* Frees the report and answers how many entries its list had. */
static size_t entries(struct ipip_node_report *report, enum ipip_node_list list) {
    size_t count = ipip_node_report_count(report, (uint32_t)list);
    ipip_node_report_free(report);
    return count;
}

static void joined_twice_and_synced_twice(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_pair zone = {"zone", "west"};
    struct ipip_node_report *report = NULL;
    struct ipip_node_state state;
    struct ipip_node_record *record = NULL;
    struct ipip_assignment other;
    struct ipip_node_entry entry;
    char text[512], route[64];
    size_t needed = 0;
    config.labels = &zone;
    config.labels_len = 1;
    CHECK_FAILS(ipip_node_open(store, &config, &agent), IPIP_STATUS_NOT_JOINED, "node node-a has not joined");
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(ipip_ipam_node(ipam, "node-a", &record));
    CHECK_OK(ipip_node_record_to_json(record, text, sizeof text, NULL));
    ipip_node_record_free(record);
    CHECK_PART(text, "172.18.0.3/16");
    CHECK_PART(text, "\"zone\":\"west\"");

    /* Joined again, by the other call, as another process would. */
    ipip_node_free(agent);
    agent = NULL;
    CHECK_OK(ipip_node_open(store, &config, &agent));
    CHECK_OK(ipip_node_plan(agent, &report));
    CHECK(entries(report, IPIP_NODE_LIST_STEPS) == 0);

    /* The block of another node is a step of the plan, then of the sync, then no more. */
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_prefix_to_text(&other.block, route, sizeof route, NULL));
    strcat(route, " via 172.18.0.2 dev under");
    CHECK_OK(ipip_node_plan(agent, &report));
    CHECK(ipip_node_report_count(report, IPIP_NODE_LIST_STEPS) >= 1);
    CHECK(ipip_node_report_count(report, IPIP_NODE_LIST_POSTPONED) == 0);
    CHECK_OK(ipip_node_report_state(report, &state));
    CHECK(!state.is_settled && state.data_path == IPIP_DATA_PATH_STATE_UNTOLD && state.data_path_text == NULL);
    ipip_node_report_free(report);
    CHECK(strstr(sh("ip -n %s route", node_name), route) == NULL);
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK_OK(ipip_node_report_state(report, &state));
    CHECK(state.is_settled && state.data_path == IPIP_DATA_PATH_STATE_IDLE && state.guard == IPIP_GUARD_STATE_DECLINED);
    CHECK_PART(state.data_path_text, "no pool asks for a tunnel");
    CHECK_TEXT(state.guard_text, "declined");
    CHECK(state.stale == NULL);
    CHECK_STATUS(ipip_node_report_text(report, IPIP_REPORT_FORM_TEXT, text, 1, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed <= sizeof text);
    CHECK_OK(ipip_node_report_text(report, IPIP_REPORT_FORM_TEXT, text, needed, NULL));
    CHECK_PART(text, route);
    CHECK_OK(ipip_node_report_get(report, IPIP_NODE_LIST_STEPS, 0, &entry));
    CHECK(strncmp(text, entry.text, strlen(entry.text)) == 0 && entry.reason == NULL && entry.error_number == 0);
    CHECK_STATUS(ipip_node_report_get(report, IPIP_NODE_LIST_STEPS, 99, &entry), IPIP_STATUS_NOT_FOUND);
    CHECK_STATUS(ipip_node_report_get(report, 8, 0, &entry), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK(ipip_node_report_count(report, 8) == 0);
    ipip_node_report_free(report);
    CHECK_PART(sh("ip -n %s route", node_name), route);
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK_OK(ipip_node_report_text(report, IPIP_REPORT_FORM_JSON, text, sizeof text, NULL));
    CHECK_PART(text, "\"done\":[]");
    CHECK(entries(report, IPIP_NODE_LIST_STEPS) == 0);
    free_all();
}

static void what_a_data_path_carried_is_told(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_node_report *report = NULL;
    struct ipip_node_state state;
    struct ipip_assignment other;
    struct ipip_traffic traffic;
    char far[16];
    /* Without a tunnel nothing is carried. */
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_FAILS(ipip_node_traffic(agent, &traffic), IPIP_STATUS_NOT_FOUND, "node node-a carries no packets here");
    CHECK_OK(ask_for_the_tunnel());
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_ipv4_to_text(&other.address, far, sizeof far, NULL));
    ipip_node_free(agent);
    agent = NULL;
    config.data_path = IPIP_DATA_PATH_USERSPACE;
    CHECK_OK(ipip_node_open(store, &config, &agent));
    CHECK_OK(ipip_node_attach(agent, &workload, NULL, NULL));
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK_OK(ipip_node_report_state(report, &state));
    CHECK(state.is_settled && state.data_path == IPIP_DATA_PATH_STATE_USERSPACE);
    ipip_node_report_free(report);
    CHECK_OK(ipip_node_traffic(agent, &traffic));
    CHECK(traffic.sent_packets + traffic.send_failed == 0);
    /* Datagrams of 5 octets by the shell, to a node whose neighbour entry is there. */
    sh("ip -n %s neigh replace 172.18.0.2 lladdr 02:00:00:00:00:02 dev under", node_name);
    for (int i = 0; i < 100 && traffic.sent_packets == 0; i++) {
        sh("ip netns exec %s bash -c 'echo ipip >/dev/udp/%s/9'", pod_name, far);
        usleep(20000);
        CHECK_OK(ipip_node_traffic(agent, &traffic));
    }
    CHECK(traffic.sent_packets >= 1 && traffic.sent_octets == 33 * traffic.sent_packets);
    CHECK(traffic.received_packets == 0 && traffic.no_peer == 0);
    free_all();
}

static void a_route_in_the_way_is_told(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_report *report = NULL;
    struct ipip_node_entry entry;
    struct ipip_node_state state;
    struct ipip_assignment other;
    char block[19];
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_prefix_to_text(&other.block, block, sizeof block, NULL));
    CHECK_TEXT(sh("ip -n %s route add %s via 172.18.0.9 dev under proto static", node_name, block), "");
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK_OK(ipip_node_report_get(report, IPIP_NODE_LIST_CONFLICTS, 0, &entry));
    CHECK_PART(entry.text, block);
    CHECK_OK(ipip_node_report_state(report, &state));
    CHECK(!state.is_settled);
    ipip_node_report_free(report);
    CHECK_PART(sh("ip -n %s route show %s", node_name, block), "via 172.18.0.9");
    free_all();
}

static void routes_go_by_a_next_hop_object_on_request(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_report *report = NULL;
    struct ipip_assignment other;
    char block[19];
    config.next_hop_objects = 1;
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_prefix_to_text(&other.block, block, sizeof block, NULL));
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK(entries(report, IPIP_NODE_LIST_STEPS) >= 2);
    CHECK_PART(sh("ip -n %s route show %s", node_name, block), " nhid ");
    CHECK_PART(sh("ip -n %s nexthop", node_name), "via 172.18.0.2 dev under");
    CHECK_OK(ipip_node_plan(agent, &report));
    CHECK(entries(report, IPIP_NODE_LIST_STEPS) == 0);

    /* Another program of the same node that does not ask for them. */
    ipip_node_free(agent);
    agent = NULL;
    config.next_hop_objects = 0;
    CHECK_OK(ipip_node_open(store, &config, &agent));
    CHECK_OK(ipip_node_sync(agent, &report));
    ipip_node_report_free(report);
    CHECK_PART(sh("ip -n %s route show %s", node_name, block), "via 172.18.0.2 dev under");
    CHECK_TEXT(sh("ip -n %s nexthop", node_name), "");
    free_all();
}

static void a_node_that_left_leaves_nothing(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_node_report *report = NULL;
    struct ipip_node_record *record = NULL;
    struct ipip_outcome *outcome = NULL;
    struct ipip_node_state state;
    struct ipip_assignment other;
    char before[16384], text[4096];
    snprintf(before, sizeof before, "%s", kernel_of_node());
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_node_attach(agent, &workload, NULL, NULL));
    CHECK_OK(ipip_node_sync(agent, &report));
    ipip_node_report_free(report);
    CHECK(strcmp(before, kernel_of_node()) != 0);
    CHECK_FAILS(ipip_node_leave(agent, 2, &report, NULL), IPIP_STATUS_INVALID_ARGUMENT, "forget is 2");

    CHECK_OK(ipip_node_leave(agent, 0, &report, &outcome));
    CHECK_OK(ipip_node_report_state(report, &state));
    CHECK(state.is_settled);
    CHECK_OK(ipip_node_report_text(report, IPIP_REPORT_FORM_TEXT, text, sizeof text, NULL));
    CHECK_PART(text, "ip link delete cali7f94ce7c295\n");
    CHECK_OK(ipip_node_report_text(report, IPIP_REPORT_FORM_JSON, text, sizeof text, NULL));
    CHECK_PART(text, "\"forgotten\":false");
    CHECK(entries(report, IPIP_NODE_LIST_FAULTS) == 0);
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 0);
    ipip_outcome_free(outcome);
    CHECK_TEXT(kernel_of_node(), before);

    CHECK_OK(ipip_node_leave(agent, 1, &report, &outcome));
    ipip_node_report_free(report);
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 1);
    ipip_outcome_free(outcome);
    CHECK_STATUS(ipip_ipam_node(ipam, "node-a", &record), IPIP_STATUS_NOT_FOUND);
    CHECK_STATUS(ipip_node_sync(agent, &report), IPIP_STATUS_NOT_JOINED);
    free_all();
}

static struct heard {
    int passes, settled, failed;
    enum ipip_status status;
    char error[256];
} heard;

static void hear(const struct ipip_run_event *event, void *user_data) {
    struct heard *told = (struct heard *)user_data;
    struct ipip_node_state state;
    if (event->report) {
        if (ipip_node_report_state(event->report, &state) == IPIP_STATUS_OK) told->settled += state.is_settled;
        if (event->error || event->status != IPIP_STATUS_OK || event->retry_ms) told->failed = 99;
        told->passes++;
        return;
    }
    told->failed++;
    told->status = event->status;
    snprintf(told->error, sizeof told->error, "%s", event->error);
    if (event->retry_ms < 500) told->failed = 99;
    ipip_node_stop(agent); /* from inside */
}

static void *run(void *status_out) {
    *(enum ipip_status *)status_out = ipip_node_run(agent, hear, &heard);
    return NULL;
}

static void a_run_follows_until_it_is_stopped(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    config.deadline_ms = 10000;
    struct ipip_node_counts counts;
    struct ipip_assignment other;
    enum ipip_status status = IPIP_STATUS_INTERNAL;
    pthread_t thread;
    char block[19];
    int is_there = 0;
    memset(&heard, 0, sizeof heard);
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK(pthread_create(&thread, NULL, run, &status) == 0);
    enum ipip_status added = other_node("172.18.0.2", &other);
    if (added == IPIP_STATUS_OK) added = ipip_prefix_to_text(&other.block, block, sizeof block, NULL);
    for (int i = 0; i < 300 && added == IPIP_STATUS_OK && !is_there; i++) {
        usleep(50000);
        is_there = strstr(sh("ip -n %s route show %s", node_name, block), "via 172.18.0.2 dev under") != NULL;
    }
    ipip_node_stop(agent);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(status);
    CHECK(is_there);
    CHECK(heard.passes >= 1 && heard.settled == heard.passes && heard.failed == 0);
    CHECK_OK(ipip_node_counters(agent, &counts));
    CHECK(counts.passes == (uint64_t)heard.passes + 1 && counts.applied >= 1 && counts.errors == 0 && counts.failed == 0);
    CHECK(counts.cut_short == 0);
    /* It stays stopped, and the node itself as it is. */
    CHECK_OK(ipip_node_run(agent, NULL, NULL));
    CHECK_PART(sh("ip -n %s route show %s", node_name, block), "via 172.18.0.2 dev under");
    free_all();
}

static void a_pass_that_fails_is_told(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    memset(&heard, 0, sizeof heard);
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_TEXT(sh("ip -n %s link set under down", node_name), "");
    CHECK_OK(ipip_node_run(agent, hear, &heard));
    CHECK(heard.failed == 1 && heard.passes == 0);
    CHECK_STATUS(heard.status, IPIP_STATUS_NO_UNDERLAY);
    CHECK_PART(heard.error, "under");
    free_all();
}

static struct far {
    int calls, wrong;
    struct ipip_progress last;
    enum ipip_status again;
} far;

static void hear_how_far(const struct ipip_progress *progress, void *user_data) {
    struct far *told = (struct far *)user_data;
    int same = told->calls > 0 && progress->task == told->last.task;
    told->wrong += progress->done > progress->total || (same && progress->done <= told->last.done);
    told->calls++;
    told->last = *progress;
    struct ipip_node_report *report = NULL;
    if (agent) told->again = ipip_node_sync(agent, &report); /* would wait for itself */
}

static void long_work_tells_how_far_it_is(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_node_report *report = NULL;
    struct ipip_assignment other;
    memset(&far, 0, sizeof far);
    config.progress = hear_how_far;
    config.progress_user_data = &far;
    CHECK_OK(ipip_node_join(store, &config, &agent));
    far.calls = 0;
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_node_sync(agent, &report));
    size_t steps = entries(report, IPIP_NODE_LIST_STEPS);
    CHECK(far.calls >= 1 && far.wrong == 0 && far.last.task == IPIP_TASK_SYNC);
    CHECK(steps >= 1 && far.last.done == steps && far.last.total == steps);
    CHECK_STATUS(far.again, IPIP_STATUS_BUSY);
    far.calls = 0;
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK(entries(report, IPIP_NODE_LIST_STEPS) == 0 && far.calls == 0); /* nothing to do, nothing to tell */
    CHECK_OK(ipip_node_attach(agent, &workload, NULL, NULL));
    CHECK(far.calls == 1 && far.last.task == IPIP_TASK_ATTACH && far.last.done == 1 && far.last.total == 1);
    CHECK_OK(ipip_node_detach(agent, &workload.id, NULL, NULL));
    CHECK(far.calls == 2 && far.last.task == IPIP_TASK_DETACH && far.last.done == 1 && far.last.total == 1);
    CHECK_OK(ipip_node_leave(agent, 0, &report, NULL));
    ipip_node_report_free(report);
    CHECK(far.calls >= 3 && far.wrong == 0 && far.last.task == IPIP_TASK_LEAVE && far.last.done == far.last.total);
    free_all();
}

static void fields_of_a_node_are_checked(void) {
    NEEDS_ROOT();
    struct ipip_node_config good = cluster(), bad = good;
    struct ipip_ipv4 underlay = address("172.18.0.9");
    struct ipip_pair twice[2] = {{"zone", "west"}, {"zone", "east"}};
#define REFUSED(field, value, status, part)                                       \
    bad = good;                                                                    \
    bad.field = value;                                                             \
    CHECK_FAILS(ipip_node_join(store, &bad, &agent), status, part)
    REFUSED(name, NULL, IPIP_STATUS_NULL_ARGUMENT, "name is NULL");
    REFUSED(name, "a b", IPIP_STATUS_INVALID_ARGUMENT, "\"a b\"");
    REFUSED(mtu, 67, IPIP_STATUS_INVALID_ARGUMENT, "67");
    REFUSED(data_path, 4, IPIP_STATUS_INVALID_ARGUMENT, "no enum ipip_data_path");
    REFUSED(without_guard, 2, IPIP_STATUS_INVALID_ARGUMENT, "without_guard is 2");
    REFUSED(route_mtu, 2, IPIP_STATUS_INVALID_ARGUMENT, "route_mtu is 2");
    REFUSED(adopt_felix, 2, IPIP_STATUS_INVALID_ARGUMENT, "adopt_felix is 2");
    REFUSED(exclusive, 2, IPIP_STATUS_INVALID_ARGUMENT, "exclusive is 2");
    REFUSED(next_hop_objects, 2, IPIP_STATUS_INVALID_ARGUMENT, "next_hop_objects is 2");
    REFUSED(device, "a b", IPIP_STATUS_INVALID_ARGUMENT, "interface name \"a b\"");
    REFUSED(labels_len, 1, IPIP_STATUS_NULL_ARGUMENT, "labels is NULL");
    REFUSED(underlay, "wire", IPIP_STATUS_NO_UNDERLAY, "wire has no IPv4 address");
    REFUSED(underlay_address, &underlay, IPIP_STATUS_NO_UNDERLAY, "172.18.0.9");
    bad.underlay = "under";
    CHECK_FAILS(ipip_node_join(store, &bad, &agent), IPIP_STATUS_INVALID_ARGUMENT, "allowed is one of them");
    bad = good;
    bad.labels = twice;
    bad.labels_len = 2;
    CHECK_FAILS(ipip_node_join(store, &bad, &agent), IPIP_STATUS_INVALID_ARGUMENT, "key \"zone\" is given twice");
    CHECK(agent == NULL);
    free_all();
#undef REFUSED
}

static void two_nodes_of_one_address_are_refused(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_assignment other;
    CHECK_OK(other_node("172.18.0.3", &other));
    CHECK_FAILS(ipip_node_join(store, &config, &agent), IPIP_STATUS_ADDRESS_TAKEN, "that of node node-b already");
    free_all();
}

int main(void) {
    RUN_IN_NET(joined_twice_and_synced_twice);
    RUN_IN_NET(what_a_data_path_carried_is_told);
    RUN_IN_NET(a_route_in_the_way_is_told);
    RUN_IN_NET(routes_go_by_a_next_hop_object_on_request);
    RUN_IN_NET(a_node_that_left_leaves_nothing);
    RUN_IN_NET(a_run_follows_until_it_is_stopped);
    RUN_IN_NET(a_pass_that_fails_is_told);
    RUN_IN_NET(long_work_tells_how_far_it_is);
    RUN_IN_NET(fields_of_a_node_are_checked);
    RUN_IN_NET(two_nodes_of_one_address_are_refused);
    return finish();
}
