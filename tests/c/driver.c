/* The tunnel device, on a kernel with the real ipip driver. */
#include "net.h"

static struct ipip_tunnel tunnel_of(const char *device) {
    struct ipip_tunnel tunnel;
    memset(&tunnel, 0, sizeof tunnel);
    tunnel.device = device;
    tunnel.address = address("10.244.79.0");
    tunnel.mtu = 1480;
    return tunnel;
}

static void fresh_the_tunnel_is_as_calico_makes_it(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    CHECK_CHANGES(ipip_ensure_tunnel(node, &tunnel, &changes));
    const char *link = sh("ip -n %s -d link show tunl0", node_name);
    CHECK_PART(link, "tunl0@NONE: <NOARP,UP,LOWER_UP> mtu 1480");
    CHECK_PART(link, "ipip any remote any local any ttl inherit nopmtudisc");
    CHECK_PART(sh("ip -n %s -j addr show tunl0", node_name), "\"local\":\"10.244.79.0\",\"prefixlen\":32");
    CHECK_TEXT(sh("ip netns exec %s sysctl -n net.ipv4.conf.tunl0.forwarding", node_name), "1\n");
}

static void repeated_it_changes_nothing(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    struct ipip_peer_route route = to_node_b(NULL);
    CHECK_OK(ipip_ensure_tunnel(node, &tunnel, NULL));
    CHECK_NO_CHANGES(ipip_ensure_tunnel(node, &tunnel, &changes));
    CHECK_OK(ipip_ensure_peer_route(node, &route, NULL));
    CHECK_NO_CHANGES(ipip_ensure_peer_route(node, &route, &changes));
    CHECK_NO_CHANGES(ipip_ensure_tunnel(node, &tunnel, &changes));
}

static void damaged_it_is_repaired(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    CHECK_OK(ipip_ensure_tunnel(node, &tunnel, NULL));
    CHECK_TEXT(sh("ip -n %s addr del 10.244.79.0/32 dev tunl0; ip -n %s link set tunl0 mtu 1300 down", node_name, node_name), "");
    CHECK_CHANGES(ipip_ensure_tunnel(node, &tunnel, &changes));
    CHECK_PART(sh("ip -n %s link show tunl0", node_name), "<NOARP,UP,LOWER_UP> mtu 1480");
    CHECK_PART(sh("ip -n %s addr show tunl0", node_name), "inet 10.244.79.0/32");
    CHECK_NO_CHANGES(ipip_ensure_tunnel(node, &tunnel, &changes));
}

static void a_foreign_link_in_the_way_stays(void) {
    struct ipip_tunnel tunnel = tunnel_of("taken");
    char before[4096];
    CHECK_TEXT(sh("ip -n %s link add taken type veth peer name other", node_name), "");
    snprintf(before, sizeof before, "%s", sh("ip -n %s -d link; ip -n %s addr", node_name, node_name));
    CHECK_FAILS(ipip_ensure_tunnel(node, &tunnel, NULL), IPIP_STATUS_IN_THE_WAY, "link taken is taken");
    CHECK_TEXT(sh("ip -n %s -d link; ip -n %s addr", node_name, node_name), before);
}

static void a_foreign_address_on_it_stays(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    CHECK_TEXT(sh("ip -n %s addr add 10.9.9.9/32 dev tunl0", node_name), "");
    CHECK_OK(ipip_ensure_tunnel(node, &tunnel, NULL));
    CHECK_OK(ipip_remove_tunnel(node, &tunnel, NULL));
    const char *text = sh("ip -n %s addr show tunl0", node_name);
    CHECK_PART(text, "inet 10.9.9.9/32");
    CHECK(strstr(text, "10.244.79.0") == NULL);
}

static void removed_the_kernels_own_device_stays_bare(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    CHECK_OK(ipip_ensure_tunnel(node, &tunnel, NULL));
    CHECK_CHANGES(ipip_remove_tunnel(node, &tunnel, &changes));
    CHECK_PART(sh("ip -n %s link show tunl0", node_name), "tunl0@NONE: <NOARP>");
    CHECK_TEXT(sh("ip -n %s -o -4 addr show tunl0", node_name), "");
    CHECK_NO_CHANGES(ipip_remove_tunnel(node, &tunnel, &changes));
}

static void a_device_of_ours_is_made_and_deleted(void) {
    struct ipip_tunnel tunnel = tunnel_of("ours");
    struct ipip_peer_route route = to_node_b(NULL);
    /* A second any/any device is refused by the kernel, which has tunl0 already. */
    enum ipip_status status = ipip_ensure_tunnel(node, &tunnel, NULL);
    CHECK(status != IPIP_STATUS_OK);
    CHECK(status != IPIP_STATUS_HALF_APPLIED);
    CHECK_TEXT(sh("ip -n %s link show ours", node_name), "Device \"ours\" does not exist.\n");
    route.device = "ours";
    CHECK_STATUS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_NOT_FOUND);
}

static void a_peer_route_over_the_tunnel(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    struct ipip_peer_route route = to_node_b(NULL);
    CHECK_FAILS(ipip_ensure_peer_route(node, &route, NULL), IPIP_STATUS_KERNEL, "route 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink: ");
    CHECK(ipip_last_errno() == 100); /* ENETDOWN: the device is not up yet */
    CHECK_OK(ipip_ensure_tunnel(node, &tunnel, NULL));
    CHECK_CHANGES(ipip_ensure_peer_route(node, &route, &changes));
    CHECK_TEXT(sh("ip -n %s route show 10.244.244.64/26", node_name), "10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink \n");
    CHECK_PART(sh("ip -n %s route get 10.244.244.73", node_name), "via 172.18.0.2 dev tunl0");
    CHECK_TEXT(sh("ip -n %s route replace 10.244.244.64/26 via 172.18.0.9 dev tunl0 proto bird onlink", node_name), "");
    CHECK_CHANGES(ipip_ensure_peer_route(node, &route, &changes));
    CHECK_PART(sh("ip -n %s route show 10.244.244.64/26", node_name), "via 172.18.0.2 ");
    CHECK_CHANGES(ipip_remove_peer_route(node, &route, &changes));
    CHECK_TEXT(sh("ip -n %s route show 10.244.244.64/26", node_name), "");
}

static void frames_of_the_tunnel_have_no_link_header(void) {
    struct ipip_tunnel tunnel = tunnel_of(NULL);
    struct ipip_peer_route route = to_node_b(NULL);
    struct ipip_capture *capture = NULL;
    struct ipip_frame frame;
    struct ipip_ipv4_view view;
    CHECK_OK(ipip_ensure_tunnel(node, &tunnel, NULL));
    CHECK_OK(ipip_ensure_peer_route(node, &route, NULL));
    CHECK_OK(ipip_capture_open(node, "tunl0", &capture));
    /* A datagram by the shell: nobody needs to answer. */
    sh("ip netns exec %s bash -c 'echo ipip >/dev/udp/10.244.244.73/9'", node_name);
    enum ipip_status status = ipip_capture_next(capture, 5000, &frame);
    enum ipip_status parsed = status == IPIP_STATUS_OK ? ipip_ipv4_parse(frame.octets, frame.octets_len, &view) : status;
    ipip_capture_free(capture);
    CHECK_OK(status);
    CHECK_OK(parsed);
    CHECK(frame.link_type == IPIP_LINK_TYPE_RAW_IP && frame.direction == IPIP_DIRECTION_OUTGOING);
    CHECK(memcmp(view.header.destination.octets, "\x0a\xf4\xf4\x49", 4) == 0 && view.header.protocol == 17);
}

int main(void) {
    RUN_IN_NET(fresh_the_tunnel_is_as_calico_makes_it);
    RUN_IN_NET(repeated_it_changes_nothing);
    RUN_IN_NET(damaged_it_is_repaired);
    RUN_IN_NET(a_foreign_link_in_the_way_stays);
    RUN_IN_NET(a_foreign_address_on_it_stays);
    RUN_IN_NET(removed_the_kernels_own_device_stays_bare);
    RUN_IN_NET(a_device_of_ours_is_made_and_deleted);
    RUN_IN_NET(a_peer_route_over_the_tunnel);
    RUN_IN_NET(frames_of_the_tunnel_have_no_link_header);
    return finish();
}
