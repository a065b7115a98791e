/* Workloads, routes and blackholes on any kernel; `ip` looks at what came of them. */
#include "net.h"

static const char under[] = "under"; /* where routes go in crosssubnet mode: no tunnel needed */

static struct ipip_workload pod_a(void) {
    struct ipip_workload workload;
    memset(&workload, 0, sizeof workload);
    workload.pod_namespace = "default";
    workload.pod = "podA";
    workload.address = address("10.244.79.20");
    workload.mtu = 1480;
    return workload;
}

static void the_host_veths_name_is_calicos(void) {
    char name[16];
    size_t needed = 0;
    CHECK_OK(ipip_host_veth_name("default", "podA", name, sizeof name, &needed));
    CHECK_TEXT(name, "cali7f94ce7c295");
    CHECK(needed == 16);
    CHECK_STATUS(ipip_host_veth_name("default", "podA", name, 15, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
}

static void a_workload_is_wired_as_calico_does(void) {
    NEEDS_ROOT();
    struct ipip_workload workload = pod_a();
    CHECK_CHANGES(ipip_ensure_workload(node, pod, &workload, &changes));
    const char *text = sh("ip -n %s -d link show cali7f94ce7c295", node_name);
    CHECK_PART(text, "mtu 1480");
    CHECK_PART(text, "link/ether ee:ee:ee:ee:ee:ee");
    CHECK_PART(text, "state UP");
    CHECK_PART(text, "veth");
    CHECK_PART(text, "alias ipip default.podA");
    CHECK_TEXT(sh("ip -n %s route show 10.244.79.20", node_name), "10.244.79.20 dev cali7f94ce7c295 scope link \n");
    CHECK_TEXT(sh("ip -n %s route", pod_name), "default via 169.254.1.1 dev eth0 \n169.254.1.1 dev eth0 scope link \n");
    CHECK_PART(sh("ip -n %s -j addr show eth0", pod_name), "\"local\":\"10.244.79.20\",\"prefixlen\":32");
    CHECK_TEXT(sh("ip netns exec %s sysctl -n net.ipv4.conf.cali7f94ce7c295.proxy_arp net.ipv4.conf.cali7f94ce7c295.forwarding", node_name), "1\n1\n");
    CHECK_NO_CHANGES(ipip_ensure_workload(node, pod, &workload, &changes));
}

static void a_damaged_workload_is_repaired(void) {
    NEEDS_ROOT();
    struct ipip_workload workload = pod_a();
    CHECK_OK(ipip_ensure_workload(node, pod, &workload, NULL));
    CHECK_TEXT(sh("ip -n %s route del 10.244.79.20; ip -n %s addr flush dev eth0; ip -n %s link set cali7f94ce7c295 mtu 1400", node_name, pod_name, node_name), "");
    CHECK_CHANGES(ipip_ensure_workload(node, pod, &workload, &changes));
    CHECK_PART(sh("ip -n %s route", node_name), "10.244.79.20 dev cali7f94ce7c295 scope link");
    CHECK_PART(sh("ip -n %s addr show eth0", pod_name), "inet 10.244.79.20/32");
    CHECK_PART(sh("ip -n %s link show cali7f94ce7c295", node_name), "mtu 1480");
    CHECK_NO_CHANGES(ipip_ensure_workload(node, pod, &workload, &changes));
}

static void a_foreign_link_in_the_way_stays(void) {
    NEEDS_ROOT();
    struct ipip_workload workload = pod_a();
    struct ipip_changes *changes = NULL;
    CHECK_TEXT(sh("ip -n %s link add cali7f94ce7c295 type bridge", node_name), "");
    char before[4096];
    snprintf(before, sizeof before, "%s", sh("ip -n %s -o link; ip -n %s -o link", node_name, pod_name));
    CHECK_FAILS(ipip_ensure_workload(node, pod, &workload, &changes), IPIP_STATUS_IN_THE_WAY, "link cali7f94ce7c295 is taken");
    CHECK(changes == NULL);
    CHECK_TEXT(sh("ip -n %s -o link; ip -n %s -o link", node_name, pod_name), before);
    CHECK_NO_CHANGES(ipip_remove_workload(node, &workload, &changes));
    CHECK_TEXT(sh("ip -n %s -o link; ip -n %s -o link", node_name, pod_name), before);
}

static void a_removed_workload_leaves_nothing(void) {
    NEEDS_ROOT();
    struct ipip_workload workload = pod_a();
    char before[4096];
    snprintf(before, sizeof before, "%s", sh("ip -n %s -o addr; ip -n %s route; ip -n %s -o addr", node_name, node_name, pod_name));
    CHECK_OK(ipip_ensure_workload(node, pod, &workload, NULL));
    CHECK_CHANGES(ipip_remove_workload(node, &workload, &changes));
    CHECK_TEXT(sh("ip -n %s -o addr; ip -n %s route; ip -n %s -o addr", node_name, node_name, pod_name), before);
    CHECK_NO_CHANGES(ipip_remove_workload(node, &workload, &changes));
}

static void a_workload_needs_a_namespace_of_its_own(void) {
    NEEDS_ROOT();
    struct ipip_workload workload = pod_a();
    CHECK_FAILS(ipip_ensure_workload(node, node, &workload, NULL), IPIP_STATUS_SAME_NETNS, "is the node's own");
}

static void fields_of_a_workload_are_checked(void) {
    NEEDS_ROOT();
    struct ipip_workload workload = pod_a();
    workload.mtu = 67;
    CHECK_FAILS(ipip_ensure_workload(node, pod, &workload, NULL), IPIP_STATUS_INVALID_ARGUMENT, "tunnel MTU 67 is outside 68 to 65515 octets");
    workload = pod_a();
    workload.address = address("127.0.0.1");
    CHECK_FAILS(ipip_ensure_workload(node, pod, &workload, NULL), IPIP_STATUS_INVALID_ARGUMENT, "workload address 127.0.0.1");
    workload = pod_a();
    workload.interface = "sixteen-octets-1";
    CHECK_FAILS(ipip_ensure_workload(node, pod, &workload, NULL), IPIP_STATUS_INVALID_ARGUMENT, "must be 1 to 15 octets");
    workload = pod_a();
    workload.pod = NULL;
    CHECK_FAILS(ipip_ensure_workload(node, pod, &workload, NULL), IPIP_STATUS_NULL_ARGUMENT, "pod is NULL");
    workload = pod_a();
    workload.pod_namespace = "\xff";
    CHECK_FAILS(ipip_remove_workload(node, &workload, NULL), IPIP_STATUS_NOT_UTF8, "pod_namespace is not UTF-8");
}

static void a_peer_route_fresh_repeated_removed(void) {
    NEEDS_ROOT();
    struct ipip_peer_route route = to_node_b(under), elsewhere = to_node_b(under);
    CHECK_CHANGES(ipip_ensure_peer_route(node, &route, &changes));
    CHECK_TEXT(sh("ip -n %s route show 10.244.244.64/26", node_name), "10.244.244.64/26 via 172.18.0.2 dev under proto bird onlink \n");
    CHECK_TEXT(sh("ip netns exec %s sysctl -n net.ipv4.conf.under.forwarding", node_name), "1\n");
    CHECK_NO_CHANGES(ipip_ensure_peer_route(node, &route, &changes));
    elsewhere.node_addr = address("172.18.0.9");
    CHECK_NO_CHANGES(ipip_remove_peer_route(node, &elsewhere, &changes)); /* exactly that one */
    CHECK_CHANGES(ipip_ensure_peer_route(node, &elsewhere, &changes));   /* the block moved */
    CHECK_TEXT(sh("ip -n %s route show 10.244.244.64/26", node_name), "10.244.244.64/26 via 172.18.0.9 dev under proto bird onlink \n");
    CHECK_CHANGES(ipip_remove_peer_route(node, &elsewhere, &changes));
    CHECK_TEXT(sh("ip -n %s route show 10.244.244.64/26", node_name), "");
    CHECK_NO_CHANGES(ipip_remove_peer_route(node, &elsewhere, &changes));
}

static void a_foreign_route_in_the_way_stays(void) {
    NEEDS_ROOT();
    struct ipip_peer_route route = to_node_b(under);
    struct ipip_blackhole blackhole = own_block();
    CHECK_TEXT(sh("ip -n %s route add 10.244.244.64/26 via 172.18.0.7 proto static", node_name), "");
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_IN_THE_WAY, "the prefix is taken by route 10.244.244.64/26 via 172.18.0.7");
    CHECK_NO_CHANGES(ipip_remove_peer_route(node, &route, &changes));
    CHECK_TEXT(sh("ip -n %s route show 10.244.244.64/26", node_name), "10.244.244.64/26 via 172.18.0.7 dev under proto static \n");
    CHECK_TEXT(sh("ip -n %s route add 10.244.79.0/26 via 172.18.0.7 proto static", node_name), "");
    CHECK_STATUS(ipip_ensure_blackhole(node, &blackhole, NULL), IPIP_STATUS_IN_THE_WAY);
}

static void what_the_kernel_refuses_carries_its_words(void) {
    NEEDS_ROOT();
    struct ipip_peer_route route = to_node_b(under);
    route.device = "absent";
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_NOT_FOUND, "link absent does not exist");
    route = to_node_b(under);
    route.node_addr = address("172.18.0.3"); /* the node itself */
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_KERNEL, "route 10.244.244.64/26 via 172.18.0.3 dev under proto bird onlink: Nexthop has invalid gateway");
    CHECK(ipip_last_errno() == 22); /* EINVAL */
}

static void a_blackhole_fresh_repeated_removed(void) {
    NEEDS_ROOT();
    struct ipip_blackhole blackhole = own_block();
    struct ipip_changes *changes = NULL;
    char step[128], small[4];
    size_t needed = 0;
    CHECK_OK(ipip_ensure_blackhole(node, &blackhole, &changes));
    size_t count = ipip_changes_count(changes);
    enum ipip_status told = ipip_changes_step(changes, 0, step, sizeof step, &needed);
    enum ipip_status tight = ipip_changes_step(changes, 0, small, sizeof small, NULL);
    enum ipip_status past = ipip_changes_step(changes, 1, step, sizeof step, NULL);
    ipip_changes_free(changes);
    CHECK_FAILS(past, IPIP_STATUS_INVALID_ARGUMENT, "index is 1, there are 1 steps");
    CHECK(count == 1 && told == IPIP_STATUS_OK && tight == IPIP_STATUS_BUFFER_TOO_SMALL && needed == strlen(step) + 1);
    CHECK_PART(step, "blackhole 10.244.79.0/26 proto bird");
    CHECK_TEXT(sh("ip -n %s route show type blackhole", node_name), "blackhole 10.244.79.0/26 proto bird \n");
    CHECK_NO_CHANGES(ipip_ensure_blackhole(node, &blackhole, &changes));
    CHECK_CHANGES(ipip_remove_blackhole(node, &blackhole, &changes));
    CHECK_TEXT(sh("ip -n %s route show type blackhole", node_name), "");
    blackhole.block = prefix("10.244.79.1/32");
    CHECK_NO_CHANGES(ipip_ensure_blackhole(node, &blackhole, &changes));
}

static void fields_of_a_route_are_checked(void) {
    NEEDS_ROOT();
    struct ipip_peer_route route = to_node_b(under);
    struct ipip_blackhole blackhole = own_block();
    route.protocol = 0;
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_INVALID_ARGUMENT, "protocol is 0, allowed are 1 to 255");
    memset(&route.block, 0, sizeof route.block);
    route.protocol = IPIP_ROUTE_PROTOCOL_BIRD;
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_INVALID_ARGUMENT, "block 0.0.0.0/0 is every address");
    route = to_node_b(under);
    route.block.network.octets[3] = 65;
    CHECK_FAILS(ipip_remove_peer_route(node, &route, NULL), IPIP_STATUS_INVALID_ARGUMENT, "block: 10.244.244.65/26 has host bits set");
    route = to_node_b(under);
    route.device = "a b";
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_INVALID_ARGUMENT, "interface name \"a b\"");
    blackhole.block.len = 33;
    CHECK_FAILS(ipip_ensure_blackhole(node, &blackhole, NULL), IPIP_STATUS_INVALID_ARGUMENT, "block: prefix length 33");
    CHECK_STATUS(ipip_remove_blackhole(node, &blackhole, NULL), IPIP_STATUS_INVALID_ARGUMENT);
}

static void a_tunnel_needs_the_driver(void) {
    NEEDS_ROOT();
    struct ipip_tunnel tunnel;
    memset(&tunnel, 0, sizeof tunnel);
    tunnel.address = address("10.244.79.0");
    tunnel.mtu = 65516;
    CHECK_FAILS(ipip_ensure_tunnel(node, &tunnel, NULL), IPIP_STATUS_INVALID_ARGUMENT, "65516 is outside 68 to 65515");
    tunnel.mtu = 1480;
    tunnel.device = "";
    CHECK_STATUS(ipip_remove_tunnel(node, &tunnel, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    tunnel.device = NULL;
    CHECK_NO_CHANGES(ipip_remove_tunnel(node, &tunnel, &changes));
    enum ipip_status status = ipip_ensure_tunnel(node, &tunnel, NULL);
    if (status == IPIP_STATUS_OK) return; /* this kernel has it: tests/c/driver.c */
    CHECK_FAILS(status, IPIP_STATUS_NO_DRIVER, "link tunl0: this kernel has no ipip driver");
    CHECK(ipip_last_errno() != 0);
    CHECK_TEXT(sh("ip -n %s link show tunl0", node_name), "Device \"tunl0\" does not exist.\n");
}

static void without_privilege_nothing_is_changed(void) {
    NEEDS_ROOT();
    struct ipip_blackhole blackhole = own_block();
    enum ipip_status status;
    int refused;
    if (seteuid(65534) != 0) SKIP("cannot give up root");
    status = ipip_ensure_blackhole(node, &blackhole, NULL);
    refused = ipip_last_errno();
    CHECK(seteuid(0) == 0);
    CHECK_STATUS(status, IPIP_STATUS_PERMISSION);
    CHECK(refused == 1); /* EPERM */
    CHECK_TEXT(sh("ip -n %s route show type blackhole", node_name), "");
}

int main(void) {
    RUN(the_host_veths_name_is_calicos);
    RUN_IN_NET(a_workload_is_wired_as_calico_does);
    RUN_IN_NET(a_damaged_workload_is_repaired);
    RUN_IN_NET(a_foreign_link_in_the_way_stays);
    RUN_IN_NET(a_removed_workload_leaves_nothing);
    RUN_IN_NET(a_workload_needs_a_namespace_of_its_own);
    RUN_IN_NET(fields_of_a_workload_are_checked);
    RUN_IN_NET(a_peer_route_fresh_repeated_removed);
    RUN_IN_NET(a_foreign_route_in_the_way_stays);
    RUN_IN_NET(what_the_kernel_refuses_carries_its_words);
    RUN_IN_NET(a_blackhole_fresh_repeated_removed);
    RUN_IN_NET(fields_of_a_route_are_checked);
    RUN_IN_NET(a_tunnel_needs_the_driver);
    RUN_IN_NET(without_privilege_nothing_is_changed);
    return finish();
}
