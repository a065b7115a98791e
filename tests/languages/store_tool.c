/* One step on a store in a file, for tests/python/test_languages.py; store_tool.rs does the same in Rust.
 *
 *   store_tool FILE pool | assign NODE HANDLE | release HANDLE | export LINES | import LINES
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipip.h"

static void ok(enum ipip_status status) {
    if (status != IPIP_STATUS_OK) {
        fprintf(stderr, "%s\n", ipip_last_error());
        exit(1);
    }
}

static void print_address(struct ipip_ipv4 address) {
    char text[16];
    ok(ipip_ipv4_to_text(&address, text, sizeof text, NULL));
    puts(text);
}

static int opened(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static void create_pool(struct ipip_ipam *ipam) {
    struct ipip_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.name = "pods";
    ok(ipip_prefix_from_text("10.244.0.0/24", &pool.cidr));
    pool.block_len = 26;
    ok(ipip_ipam_create_pool(ipam, &pool));
}

static void assign(struct ipip_ipam *ipam, const char *node, const char *handle) {
    struct ipip_pair pod = {"pod", handle};
    struct ipip_attribute owner;
    struct ipip_assignment assignment;
    memset(&owner, 0, sizeof owner);
    owner.handle = handle;
    owner.pairs = &pod;
    owner.pairs_len = 1;
    ok(ipip_ipam_assign_any(ipam, node, &owner, &assignment));
    print_address(assignment.address);
}

int main(int argc, char **argv) {
    struct ipip_store *store;
    struct ipip_ipam *ipam;
    const char *step = argc > 2 ? argv[2] : "";
    if (argc < 3) return 2;
    ok(ipip_store_open_sqlite(argv[1], NULL, &store));
    ok(ipip_ipam_new(store, &ipam));
    if (strcmp(step, "pool") == 0)
        create_pool(ipam);
    else if (strcmp(step, "assign") == 0 && argc == 5)
        assign(ipam, argv[3], argv[4]);
    else if (strcmp(step, "release") == 0 && argc == 4)
        ok(ipip_ipam_release_handle(ipam, argv[3], NULL));
    else if (strcmp(step, "export") == 0 && argc == 4)
        ok(ipip_store_export(store, opened(argv[3], O_WRONLY | O_CREAT | O_TRUNC), NULL));
    else if (strcmp(step, "import") == 0 && argc == 4)
        ok(ipip_store_import(store, opened(argv[3], O_RDONLY), NULL, NULL));
    else
        return 2;
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    return 0;
}
