/*
 * One pod, from its address to its packets: assign an address from the node's block, wire the pod (as root), put a
 * packet into a packet and take it out again.
 *
 *     cargo build --release -p ipip-ffi
 *     cc -std=c99 -Iinclude examples/c/first_steps.c -Ltarget/release -lipip -Wl,-rpath,$PWD/target/release -o first_steps && ./first_steps
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

static struct ipip_ipv4 ipv4(const char *text) {
    struct ipip_ipv4 address;
    must(ipip_ipv4_from_text(text, &address));
    return address;
}

/* Wires the pod into two namespaces of its own, and prints what that took. */
static void wire(struct ipip_ipv4 address) {
    struct ipip_netns *node, *inside;
    struct ipip_changes *changes;
    struct ipip_workload pod = {.pod_namespace = "default", .pod = "pod-a", .address = address, .mtu = 1480};
    must(ipip_netns_create_unnamed(&node));
    must(ipip_netns_create_unnamed(&inside));
    must(ipip_ensure_workload(node, inside, &pod, &changes));
    printf("wired with %zu steps:\n", ipip_changes_count(changes));
    for (size_t i = 0; i < ipip_changes_count(changes); i++) {
        char step[256];
        must(ipip_changes_step(changes, i, step, sizeof step, NULL));
        printf("    %s\n", step);
    }
    ipip_changes_free(changes);
    must(ipip_ensure_workload(node, inside, &pod, &changes));
    printf("a second time: %zu steps\n", ipip_changes_count(changes));
    ipip_changes_free(changes);
    ipip_netns_free(inside);
    ipip_netns_free(node);
}

int main(void) {
    /* The address, from a block that the node claims with it. */
    struct ipip_store *store;
    struct ipip_ipam *ipam;
    struct ipip_pool pool = {.name = "pods", .block_len = 26, .ipip_mode = IPIP_MODE_ALWAYS};
    struct ipip_attribute pod = {.handle = "default.pod-a"};
    struct ipip_assignment assigned;
    must(ipip_prefix_from_text("10.244.0.0/16", &pool.cidr));
    must(ipip_store_open_memory(&store));
    must(ipip_ipam_new(store, &ipam));
    must(ipip_ipam_create_pool(ipam, &pool));
    must(ipip_ipam_assign(ipam, "node-a", ipv4("10.244.79.20"), &pod, &assigned));

    char address[16], block[19];
    must(ipip_ipv4_to_text(&assigned.address, address, sizeof address, NULL));
    must(ipip_prefix_to_text(&assigned.block, block, sizeof block, NULL));
    printf("pod-a on node-a has %s of block %s\n", address, block);

    /* A block can also be used alone, without a store. */
    struct ipip_block *alone;
    must(ipip_block_new(assigned.block, &alone));
    must(ipip_block_assign(alone, assigned.address, &pod, NULL));
    printf("%zu of its addresses are free\n", ipip_block_free_count(alone));
    ipip_block_free(alone);

    if (geteuid() == 0) wire(assigned.address);
    else printf("wiring the pod needs root\n");

    /* A ping to a pod of node-b: the inner packet stands 20 octets into the buffer, and stays there. */
    uint8_t buffer[IPIP_HEADER_LEN + 84] = {0};
    uint8_t *inner = buffer + IPIP_HEADER_LEN;
    struct ipip_echo echo = {.kind = IPIP_ECHO_KIND_REQUEST, .identifier = 7, .sequence = 1};
    struct ipip_ipv4_header header = {.ttl = 64, .protocol = 1, .source = assigned.address, .destination = ipv4("10.244.244.73")};
    must(ipip_echo_emit(&echo, inner + 20, 64));
    must(ipip_ipv4_emit(&header, inner, 84));

    struct ipip_outer outer = {.local = ipv4("172.18.0.3"), .remote = ipv4("172.18.0.2")};
    struct ipip_span packet, found;
    must(ipip_encapsulate(buffer, sizeof buffer, IPIP_HEADER_LEN, &outer, &packet));
    must(ipip_decapsulate(buffer + packet.offset, packet.len, &found));
    printf("%zu octets on the wire carry %zu octets, found %zu octets in\n", packet.len, found.len, found.offset);

    must(ipip_ipam_release_handle(ipam, "default.pod-a", NULL));
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    return found.len == 84 ? 0 : 1;
}
