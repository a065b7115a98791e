/*
 * Two fresh network namespaces for each test: `node`, whose name is `node_name`, and `pod`; `sh` looks at them with
 * the system's own tools. They are gone when the program ends, however it ends.
 */
#ifndef NET_H
#define NET_H

#include <stdarg.h>

#include "check.h"

static char node_name[32], pod_name[32];
static struct ipip_netns *node, *pod;

static inline void gone(void) {
    ipip_netns_free(node);
    ipip_netns_free(pod);
    node = pod = NULL;
    ipip_netns_remove(node_name, NULL);
    ipip_netns_remove(pod_name, NULL);
}

/* What a command prints, on both streams. */
static inline const char *sh(const char *format, ...) {
    static char output[16384];
    char command[1024] = "(";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + 1, sizeof command - 8, format, arguments);
    va_end(arguments);
    strcat(command, ") 2>&1");
    FILE *stream = popen(command, "r");
    size_t len = stream ? fread(output, 1, sizeof output - 1, stream) : 0;
    output[len] = 0;
    if (stream) pclose(stream);
    return output;
}

static inline void fresh(void) {
    gone();
    if (ipip_netns_create(node_name, &node) != IPIP_STATUS_OK || ipip_netns_create(pod_name, &pod) != IPIP_STATUS_OK) {
        printf("no namespaces: %s\n", ipip_last_error());
        exit(2);
    }
    /*
     * An underlay, and the default route without which a node answers no workload's ARP. Nothing of IPv6, whose
     * addresses come and settle when they please; and the links are settled before a test looks.
     */
    const char *trouble = sh("set -e; n=%s; p=%s; no6=net.ipv6.conf.all.disable_ipv6=1;"
                             "for i in $n $p; do ip netns exec $i sysctl -eqw $no6 net.ipv6.conf.default.disable_ipv6=1; done;"
                             "ip -n $n link set lo up; ip -n $n link add under type veth peer name wire;"
                             "ip -n $n addr add 172.18.0.3/16 dev under; ip -n $n link set wire up;"
                             "ip -n $n link set under up; ip -n $n route add default via 172.18.0.1;"
                             "for i in $(seq 100); do ! ip -n $n link show up | grep -q LOWERLAYERDOWN && exit; sleep 0.05; done;"
                             "echo no carrier", node_name, pod_name);
    if (*trouble) {
        printf("no underlay: %s", trouble);
        exit(2);
    }
}

static inline void run_in_net(const char *name, void (*test)(void)) {
    if (geteuid() == 0) {
        if (!*node_name) {
            snprintf(node_name, sizeof node_name, "ipip-c-%d-node", (int)getpid());
            snprintf(pod_name, sizeof pod_name, "ipip-c-%d-pod", (int)getpid());
            atexit(gone);
        }
        fresh();
    }
    run_test(name, test);
}

#define RUN_IN_NET(test) run_in_net(#test, test)

/* The guard of the node's own block. */
static inline struct ipip_blackhole own_block(void) {
    struct ipip_blackhole blackhole;
    memset(&blackhole, 0, sizeof blackhole);
    blackhole.block = prefix("10.244.79.0/26");
    blackhole.protocol = IPIP_ROUTE_PROTOCOL_BIRD;
    return blackhole;
}

/* The route to the other node's block, on `device`; NULL is the tunnel device. */
static inline struct ipip_peer_route to_node_b(const char *device) {
    struct ipip_peer_route route;
    memset(&route, 0, sizeof route);
    route.block = prefix("10.244.244.64/26");
    route.node_addr = address("172.18.0.2");
    route.device = device;
    route.protocol = IPIP_ROUTE_PROTOCOL_BIRD;
    return route;
}

/* Frees `changes` and answers how many steps there were; prints them if that is not `expected`. */
static inline int steps_are(struct ipip_changes *changes, int at_least, int at_most) {
    size_t count = ipip_changes_count(changes);
    int right = (int)count >= at_least && (int)count <= at_most;
    for (size_t i = 0; i < count && !right; i++) {
        char step[512];
        if (ipip_changes_step(changes, i, step, sizeof step, NULL) == IPIP_STATUS_OK) printf("    %s\n", step);
    }
    ipip_changes_free(changes);
    return right;
}

/* `call` with `changes_out` as its last argument changes something, or nothing. */
#define CHECK_CHANGES(call)                                                                    \
    do {                                                                                       \
        struct ipip_changes *changes = NULL;                                                   \
        CHECK_OK(call);                                                                        \
        CHECK(steps_are(changes, 1, 99));                                                      \
    } while (0)

#define CHECK_NO_CHANGES(call)                                                                 \
    do {                                                                                       \
        struct ipip_changes *changes = NULL;                                                   \
        CHECK_OK(call);                                                                        \
        CHECK(changes != NULL && steps_are(changes, 0, 0));                                    \
    } while (0)

#endif
