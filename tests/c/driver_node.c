/* A whole node whose packets the kernel's driver carries. */
#include "cluster.h"

/* The line of `ip` for the route to the block of node-b. */
static const char *route_to(const struct ipip_assignment *other) {
    static char route[128];
    char block[19];
    if (ipip_prefix_to_text(&other->block, block, sizeof block, NULL) != IPIP_STATUS_OK) exit(2);
    snprintf(route, sizeof route, "%s via 172.18.0.2 dev tunl0 proto bird onlink", block);
    return route;
}

static void a_node_is_synced_and_leaves(void) {
    struct ipip_node_config config = cluster();
    struct ipip_node_workload workload = container("podA", "c1");
    struct ipip_node_report *report = NULL;
    struct ipip_node_state state;
    struct ipip_assignment other;
    char before[16384];
    CHECK_OK(ask_for_the_tunnel());
    config.data_path = IPIP_DATA_PATH_KERNEL;
    /* A device that was up once has another queue than one that never was. */
    CHECK_TEXT(sh("ip -n %s link set tunl0 up; ip -n %s link set tunl0 down", node_name, node_name), "");
    snprintf(before, sizeof before, "%s", kernel_of_node());
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(ipip_node_attach(agent, &workload, NULL, NULL));
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK_OK(ipip_node_report_state(report, &state));
    CHECK(state.is_settled && state.data_path == IPIP_DATA_PATH_STATE_KERNEL);
    CHECK(ipip_node_report_count(report, IPIP_NODE_LIST_STEPS) == 0);
    ipip_node_report_free(report);
    CHECK_PART(sh("ip -n %s route", node_name), route_to(&other));
    CHECK_PART(sh("ip -n %s link show tunl0", node_name), "<NOARP,UP,LOWER_UP> mtu 1480");

    /* Damaged, and mended by one call. */
    CHECK_TEXT(sh("ip -n %s link set tunl0 down", node_name), "");
    CHECK(strstr(sh("ip -n %s route", node_name), route_to(&other)) == NULL);
    CHECK_OK(ipip_node_sync(agent, &report));
    CHECK(ipip_node_report_count(report, IPIP_NODE_LIST_STEPS) >= 2);
    ipip_node_report_free(report);
    CHECK_PART(sh("ip -n %s route", node_name), route_to(&other));

    CHECK_OK(ipip_node_leave(agent, 0, &report, NULL));
    ipip_node_report_free(report);
    CHECK_TEXT(kernel_of_node(), before);
    CHECK_TEXT(sh("ip -n %s -o -4 addr show tunl0", node_name), "");
    free_all();
}

/* The counters are those of its device, as `ip -s` prints them. */
static void what_the_driver_carried_is_told(void) {
    struct ipip_node_config config = cluster();
    struct ipip_node_report *report = NULL;
    struct ipip_assignment other;
    struct ipip_traffic traffic;
    char far[16], sent[64];
    CHECK_OK(ask_for_the_tunnel());
    CHECK_OK(other_node("172.18.0.2", &other));
    CHECK_OK(ipip_ipv4_to_text(&other.address, far, sizeof far, NULL));
    CHECK_OK(ipip_node_join(store, &config, &agent));
    CHECK_OK(ipip_node_sync(agent, &report));
    ipip_node_report_free(report);
    CHECK_OK(ipip_node_traffic(agent, &traffic));
    CHECK(traffic.of_driver == 1);
    uint64_t before = traffic.sent_packets, octets = traffic.sent_octets;
    /* Datagrams of 5 octets by the shell, to a node whose neighbour entry is there. */
    sh("ip -n %s neigh replace 172.18.0.2 lladdr 02:00:00:00:00:02 dev under", node_name);
    sh("ip netns exec %s bash -c 'for n in 1 2 3; do echo ipip >/dev/udp/%s/9; done'", node_name, far);
    CHECK_OK(ipip_node_traffic(agent, &traffic));
    CHECK(traffic.sent_packets == before + 3 && traffic.sent_octets == octets + 3 * 33);
    snprintf(sent, sizeof sent, "\"tx\":{\"bytes\":%llu,\"packets\":%llu", (unsigned long long)traffic.sent_octets,
             (unsigned long long)traffic.sent_packets);
    CHECK_PART(sh("ip -n %s -s -j link show tunl0", node_name), sent);
    free_all();
}

int main(void) {
    RUN_IN_NET(a_node_is_synced_and_leaves);
    RUN_IN_NET(what_the_driver_carried_is_told);
    return finish();
}
