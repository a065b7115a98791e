/* Containers of a node on any kernel, and NULL where the calls on a node need something. */
#include "cluster.h"

static void a_container_attached_twice_and_detached_twice(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_attached first, again;
    struct ipip_changes *changes = NULL;
    struct ipip_outcome *outcome = NULL;
    struct ipip_outcome_entry entry;
    struct ipip_ipv4 found;
    size_t needed = 0;
    char text[64], before[16384];
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(ipip_node_attach(agent, &workload, &first, &changes));
    CHECK(steps_are(changes, 1, 99));
    CHECK_TEXT(first.host_veth, "cali7f94ce7c295");
    CHECK(first.mtu == 1480 && first.has_mac == 1);
    snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", first.mac[0], first.mac[1], first.mac[2], first.mac[3],
             first.mac[4], first.mac[5]);
    CHECK_PART(sh("ip -n %s link show eth0", pod_name), text);
    CHECK_OK(ipip_ipv4_to_text(&first.address, text, sizeof text, NULL));
    CHECK_PART(sh("ip -n %s -j addr show eth0", pod_name), text);
    CHECK_PART(sh("ip -n %s route show %s", node_name, text), "dev cali7f94ce7c295 scope link");
    CHECK_OK(ipip_ipam_addresses_of(ipam, "k8s-pod-network.c1", &found, 1, &needed));
    CHECK(needed == 1 && memcmp(&found, &first.address, sizeof found) == 0);
    snprintf(before, sizeof before, "%s", kernel_of_node());

    CHECK_OK(ipip_node_attach(agent, &workload, &again, &changes));
    CHECK(steps_are(changes, 0, 0));
    CHECK(memcmp(&first.address, &again.address, sizeof first.address) == 0 && memcmp(first.mac, again.mac, 6) == 0);
    CHECK_OK(ipip_node_attach(agent, &workload, NULL, NULL));
    CHECK_TEXT(kernel_of_node(), before);

    CHECK_OK(ipip_node_detach(agent, &workload.id, &outcome, &changes));
    CHECK(steps_are(changes, 1, 99));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 1);
    CHECK_OK(ipip_outcome_get(outcome, IPIP_OUTCOME_LIST_RELEASED, 0, &entry));
    CHECK(memcmp(&entry.prefix.network, &first.address, sizeof first.address) == 0 && entry.prefix.len == 32);
    ipip_outcome_free(outcome);
    CHECK_PART(sh("ip -n %s link show eth0", pod_name), "does not exist");
    CHECK_PART(sh("ip -n %s link show cali7f94ce7c295", node_name), "does not exist");
    CHECK_OK(ipip_node_detach(agent, &workload.id, &outcome, &changes));
    CHECK(steps_are(changes, 0, 0));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 0);
    ipip_outcome_free(outcome);
    CHECK_OK(ipip_node_detach(agent, &workload.id, NULL, NULL));
    free_all();
}

static void a_container_has_the_address_that_it_wants_or_none(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1"), other = container("podB", "c2");
    struct ipip_ipv4 wanted = address("10.244.79.20");
    struct ipip_attached attached;
    size_t needed = 9;
    CHECK_OK(ipip_node_join(store, &config, &agent));
    workload.address = &wanted;
    CHECK_OK(ipip_node_attach(agent, &workload, &attached, NULL));
    CHECK(memcmp(&attached.address, &wanted, sizeof wanted) == 0);
    other.address = &wanted;
    CHECK_FAILS(ipip_node_attach(agent, &other, &attached, NULL), IPIP_STATUS_ALREADY_ASSIGNED, "10.244.79.20");
    wanted = address("10.244.79.21");
    CHECK_FAILS(ipip_node_attach(agent, &workload, &attached, NULL), IPIP_STATUS_OTHER_ADDRESS, "asks for 10.244.79.21");
    other.netns = "/run/netns/there-is-none";
    CHECK_FAILS(ipip_node_attach(agent, &other, &attached, NULL), IPIP_STATUS_NOT_FOUND, "there-is-none");
    other.netns = "/dev/null";
    CHECK_STATUS(ipip_node_attach(agent, &other, &attached, NULL), IPIP_STATUS_NOT_NETNS);
    other = container("podB", "c2");
    snprintf(pod_path, sizeof pod_path, "/run/netns/%s", node_name);
    CHECK_STATUS(ipip_node_attach(agent, &other, &attached, NULL), IPIP_STATUS_SAME_NETNS);
    CHECK_OK(ipip_ipam_addresses_of(ipam, "k8s-pod-network.c2", NULL, 0, &needed));
    CHECK(needed == 0); /* what failed holds no address */
    free_all();
}

static void many_containers_each_with_an_answer(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload all[3] = {container("podA", "c1"), container("podB", "c2"), container("podC", "c/3")};
    struct ipip_workload_id ids[3] = {all[0].id, all[1].id, all[2].id};
    struct ipip_attachments *attachments = NULL;
    struct ipip_detachments *detachments = NULL;
    struct ipip_attached attached;
    struct ipip_changes *changes = NULL;
    struct ipip_outcome *outcome = NULL;
    all[1].interface = "eth1";
    all[1].netns = "/run/netns/there-is-none";
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(ipip_node_attach_many(agent, all, 3, &attachments));
    CHECK(ipip_attachments_count(attachments) == 3);
    CHECK_OK(ipip_attachments_get(attachments, 0, &attached, &changes));
    CHECK_TEXT(attached.host_veth, "cali7f94ce7c295");
    CHECK(steps_are(changes, 1, 99));
    CHECK_FAILS(ipip_attachments_get(attachments, 1, &attached, NULL), IPIP_STATUS_NOT_FOUND, "there-is-none");
    CHECK(ipip_last_errno() == 2); /* ENOENT */
    CHECK_FAILS(ipip_attachments_get(attachments, 2, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "c/3");
    CHECK_FAILS(ipip_attachments_get(attachments, 3, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "there are 3 containers");
    ipip_attachments_free(attachments);
    CHECK_PART(sh("ip -n %s link show cali7f94ce7c295", node_name), "state UP");

    CHECK_OK(ipip_node_detach_many(agent, ids, 3, &detachments));
    CHECK(ipip_detachments_count(detachments) == 3);
    CHECK_OK(ipip_detachments_get(detachments, 0, &outcome, &changes));
    CHECK(steps_are(changes, 1, 99));
    CHECK(ipip_outcome_count(outcome, IPIP_OUTCOME_LIST_RELEASED) == 1);
    ipip_outcome_free(outcome);
    CHECK_OK(ipip_detachments_get(detachments, 1, &outcome, &changes));
    CHECK(steps_are(changes, 0, 0));
    ipip_outcome_free(outcome);
    CHECK_FAILS(ipip_detachments_get(detachments, 2, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "c/3");
    CHECK_STATUS(ipip_detachments_get(detachments, 3, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    ipip_detachments_free(detachments);
    CHECK_PART(sh("ip -n %s link show cali7f94ce7c295", node_name), "does not exist");

    /* A string that is none ends the whole call before anything is done. */
    all[1].id.pod = NULL;
    CHECK_FAILS(ipip_node_attach_many(agent, all, 3, &attachments), IPIP_STATUS_NULL_ARGUMENT, "workload 1: pod is NULL");
    ids[1].container_id = "\xff";
    CHECK_FAILS(ipip_node_detach_many(agent, ids, 3, &detachments), IPIP_STATUS_NOT_UTF8, "id 1: container_id");
    CHECK_OK(ipip_node_attach_many(agent, NULL, 0, &attachments));
    CHECK(ipip_attachments_count(attachments) == 0);
    ipip_attachments_free(attachments);
    free_all();
}

static void what_is_NULL_is_named(void) {
    struct ipip_node_config config;
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_node_report *report;
    struct ipip_node_entry entry;
    struct ipip_node_state state;
    struct ipip_node_counts counts;
    struct ipip_traffic traffic;
    struct ipip_attachments *attachments;
    struct ipip_detachments *detachments;
    memset(&config, 0, sizeof config);
    CHECK_OK(ipip_store_open_memory(&store));
    IS_NULL(ipip_node_join(NULL, &config, &agent), "store");
    IS_NULL(ipip_node_join(store, NULL, &agent), "config");
    IS_NULL(ipip_node_join(store, &config, &agent), "name");
    config.name = "node-a";
    IS_NULL(ipip_node_join(store, &config, NULL), "node_out");
    IS_NULL(ipip_node_open(store, &config, NULL), "node_out");
    IS_NULL(ipip_node_sync(NULL, &report), "node");
    IS_NULL(ipip_node_plan(NULL, &report), "node");
    IS_NULL(ipip_node_leave(NULL, 0, &report, NULL), "node");
    IS_NULL(ipip_node_counters(NULL, &counts), "node");
    IS_NULL(ipip_node_traffic(NULL, &traffic), "node");
    IS_NULL(ipip_node_run(NULL, NULL, NULL), "node");
    IS_NULL(ipip_node_attach(NULL, &workload, NULL, NULL), "node");
    IS_NULL(ipip_node_attach_many(NULL, &workload, 1, &attachments), "node");
    IS_NULL(ipip_node_detach(NULL, &workload.id, NULL, NULL), "node");
    IS_NULL(ipip_node_detach_many(NULL, &workload.id, 1, &detachments), "node");
    IS_NULL(ipip_attachments_get(NULL, 0, NULL, NULL), "attachments");
    IS_NULL(ipip_detachments_get(NULL, 0, NULL, NULL), "detachments");
    IS_NULL(ipip_node_report_get(NULL, 0, 0, &entry), "report");
    IS_NULL(ipip_node_report_state(NULL, &state), "report");
    IS_NULL(ipip_node_report_text(NULL, 0, NULL, 0, NULL), "report");
    CHECK(ipip_attachments_count(NULL) == 0 && ipip_detachments_count(NULL) == 0 && ipip_node_report_count(NULL, 0) == 0);
    ipip_attachments_free(NULL);
    ipip_detachments_free(NULL);
    ipip_node_report_free(NULL);
    ipip_node_stop(NULL);
    free_all();
}

static void a_nodes_calls_name_what_is_NULL(void) {
    NEEDS_ROOT();
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_attachments *attachments;
    struct ipip_detachments *detachments;
    CHECK_OK(ipip_node_join(store, &config, &agent));
    IS_NULL(ipip_node_sync(agent, NULL), "report_out");
    IS_NULL(ipip_node_plan(agent, NULL), "report_out");
    IS_NULL(ipip_node_leave(agent, 1, NULL, NULL), "report_out");
    IS_NULL(ipip_node_counters(agent, NULL), "counts_out");
    IS_NULL(ipip_node_traffic(agent, NULL), "traffic_out");
    IS_NULL(ipip_node_attach(agent, NULL, NULL, NULL), "workload");
    IS_NULL(ipip_node_attach_many(agent, NULL, 1, &attachments), "workloads");
    IS_NULL(ipip_node_attach_many(agent, &workload, 1, NULL), "attachments_out");
    IS_NULL(ipip_node_detach(agent, NULL, NULL, NULL), "id");
    IS_NULL(ipip_node_detach_many(agent, NULL, 1, &detachments), "ids");
    IS_NULL(ipip_node_detach_many(agent, &workload.id, 1, NULL), "detachments_out");
    workload.netns = NULL;
    IS_NULL(ipip_node_attach(agent, &workload, NULL, NULL), "netns");
    workload.id.pod_namespace = NULL;
    IS_NULL(ipip_node_detach(agent, &workload.id, NULL, NULL), "pod_namespace");
    free_all();
}

int main(void) {
    RUN_IN_NET(a_container_attached_twice_and_detached_twice);
    RUN_IN_NET(a_container_has_the_address_that_it_wants_or_none);
    RUN_IN_NET(many_containers_each_with_an_answer);
    RUN(what_is_NULL_is_named);
    RUN_IN_NET(a_nodes_calls_name_what_is_NULL);
    return finish();
}
