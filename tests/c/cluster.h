/*
 * A store with one pool that needs no tunnel, and nodes on it: `agent` in the namespace `node`, and another that has no
 * kernel here.
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "net.h"

#define IS_NULL(call, name) CHECK_FAILS(call, IPIP_STATUS_NULL_ARGUMENT, name " is NULL")

static struct ipip_store *store;
static struct ipip_ipam *ipam;
static struct ipip_node *agent;
static char pod_path[64];

static inline void free_all(void) {
    ipip_node_free(agent);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    agent = NULL;
    ipam = NULL;
    store = NULL;
}

/* A fresh store, and what the node is told of itself. */
static inline struct ipip_node_config cluster(void) {
    struct ipip_node_config config;
    struct ipip_pool pool;
    memset(&config, 0, sizeof config);
    memset(&pool, 0, sizeof pool);
    free_all();
    pool.name = "pods";
    pool.cidr = prefix("10.244.0.0/16");
    pool.block_len = 26;
    if (ipip_store_open_memory(&store) != IPIP_STATUS_OK || ipip_ipam_new(store, &ipam) != IPIP_STATUS_OK
        || ipip_ipam_create_pool(ipam, &pool) != IPIP_STATUS_OK)
        exit(2);
    config.name = "node-a";
    config.netns = node;
    config.without_guard = 1;
    return config;
}

/* Lets the cluster's pool ask for the tunnel. */
static inline enum ipip_status ask_for_the_tunnel(void) {
    struct ipip_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.name = "pods";
    pool.cidr = prefix("10.244.0.0/16");
    pool.block_len = 26;
    pool.ipip_mode = IPIP_MODE_ALWAYS;
    return ipip_ipam_update_pool(ipam, &pool);
}

static inline struct ipip_node_workload container(const char *name, const char *id) {
    struct ipip_node_workload workload;
    memset(&workload, 0, sizeof workload);
    snprintf(pod_path, sizeof pod_path, "/run/netns/%s", pod_name);
    workload.id.pod_namespace = "default";
    workload.id.pod = name;
    workload.id.container_id = id;
    workload.netns = pod_path;
    return workload;
}

/* Another node that has one address, and so one block. */
static inline enum ipip_status other_node(const char *underlay, struct ipip_assignment *assignment) {
    struct ipip_node_record *record = NULL;
    struct ipip_attribute nobody = owner(NULL);
    enum ipip_status status = ipip_node_record_new("node-b", &record);
    if (status == IPIP_STATUS_OK) status = ipip_node_record_set_address(record, address(underlay), 16);
    if (status == IPIP_STATUS_OK) status = ipip_ipam_put_node(ipam, record);
    if (status == IPIP_STATUS_OK) status = ipip_ipam_assign_any(ipam, "node-b", &nobody, assignment);
    ipip_node_record_free(record);
    return status;
}

/* The links and routes of the node, as `ip` tells them. */
static inline const char *kernel_of_node(void) {
    return sh("for i in 'link show' route; do ip -n %s -o $i; done | sed 's/@if[0-9]*//;s/^[0-9]*: //'", node_name);
}

#endif
