/*
 * A node of the pod network, from the first call to the last, in a namespace of its own with an interface for the
 * underlay: join, attach a container, see what another node means for this one, leave. Needs root and `ip`.
 *
 *     cargo build --release -p ipip-ffi
 *     cc -std=c99 -Iinclude examples/c/whole_node.c -Ltarget/release -lipip -Wl,-rpath,$PWD/target/release -o whole_node && sudo ./whole_node
 *
 * A program that stays would call ipip_node_run, and ipip_node_stop where a signal ends it; the store of several
 * processes is ipip_store_open_sqlite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipip.h"

/* Ends the program with the library's words if a call failed. */
static void must(enum ipip_status status) {
    if (status == IPIP_STATUS_OK) return;
    fprintf(stderr, "%s: %s\n", ipip_status_name(status), ipip_last_error());
    exit(1);
}

/* Prints a report as the shell script of its steps, and frees it. */
static void show(const char *title, struct ipip_node_report *report) {
    size_t len;
    ipip_node_report_text(report, IPIP_REPORT_FORM_TEXT, NULL, 0, &len);
    char *text = malloc(len);
    if (!text) exit(1);
    must(ipip_node_report_text(report, IPIP_REPORT_FORM_TEXT, text, len, NULL));
    printf("# %s\n%s", title, text);
    free(text);
    ipip_node_report_free(report);
}

/* The underlay, as the host's own set-up would have it. */
static int underlay(void *unused) {
    (void)unused;
    return system("ip link add eth0 type veth peer name wire && ip addr add 172.18.0.3/16 dev eth0 &&"
                  " ip link set wire up && ip link set eth0 up && ip route add default via 172.18.0.1");
}

/* Another node of the cluster, which has a pod: here its records alone. */
static void add_other(struct ipip_ipam *ipam) {
    struct ipip_node_record *record;
    struct ipip_ipv4 address;
    struct ipip_assignment assigned;
    struct ipip_attribute pod = {.handle = "k8s-pod-network.of-node-b"};
    must(ipip_ipv4_from_text("172.18.0.2", &address));
    must(ipip_node_record_new("node-b", &record));
    must(ipip_node_record_set_address(record, address, 16));
    must(ipip_ipam_put_node(ipam, record));
    ipip_node_record_free(record);
    must(ipip_ipam_assign_any(ipam, "node-b", &pod, &assigned));
}

int main(void) {
    struct ipip_netns *host, *inside;
    struct ipip_store *store;
    struct ipip_ipam *ipam;
    struct ipip_pool pool = {.name = "pods", .block_len = 26, .ipip_mode = IPIP_MODE_CROSS_SUBNET};
    struct ipip_node_config config = {.name = "node-a"};
    struct ipip_node_workload pod = {.id = {.pod_namespace = "default", .pod = "pod-a", .container_id = "3a1f0c5e9d7b"}};
    struct ipip_node *node;
    struct ipip_node_report *report;
    struct ipip_node_state state;
    struct ipip_attached attached;
    char path[256], address[16];
    int result;
    if (geteuid() != 0) {
        printf("a node needs root\n");
        return 0;
    }
    must(ipip_netns_create_unnamed(&host));
    must(ipip_netns_create_unnamed(&inside));
    must(ipip_netns_enter(host, underlay, NULL, &result));
    if (result != 0) return 1;

    must(ipip_prefix_from_text("10.244.0.0/16", &pool.cidr));
    must(ipip_store_open_memory(&store));
    must(ipip_ipam_new(store, &ipam));
    must(ipip_ipam_create_pool(ipam, &pool));

    config.netns = host;
    must(ipip_node_join(store, &config, &node));
    must(ipip_netns_path(inside, path, sizeof path, NULL));
    pod.netns = path;
    must(ipip_node_attach(node, &pod, &attached, NULL));
    must(ipip_ipv4_to_text(&attached.address, address, sizeof address, NULL));
    printf("# pod-a has %s behind %s\n", address, attached.host_veth);

    add_other(ipam);
    must(ipip_node_plan(node, &report));
    show("what a sync would do", report);
    must(ipip_node_sync(node, &report));
    must(ipip_node_report_state(report, &state));
    printf("# data path %s; guard %s\n", state.data_path_text, state.guard_text);
    show("what it did", report);

    must(ipip_node_detach(node, &pod.id, NULL, NULL));
    must(ipip_node_leave(node, 1, &report, NULL));
    show("how it left", report);
    ipip_node_free(node);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    ipip_netns_free(inside);
    ipip_netns_free(host);
    return 0;
}
