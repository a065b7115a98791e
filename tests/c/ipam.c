/* Pools, the memory store, the allocator. */
#include <pthread.h>

#include "check.h"

static struct ipip_store *store;
static struct ipip_ipam *ipam; /* on `store`, with the pool "pods" 10.244.0.0/24 cut into /26 */

static struct ipip_pool pool_of(const char *name, const char *cidr, uint8_t block_len) {
    struct ipip_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.name = name;
    pool.cidr = prefix(cidr);
    pool.block_len = block_len;
    pool.ipip_mode = IPIP_MODE_ALWAYS;
    return pool;
}

static struct ipip_release release_of(struct ipip_ipv4 at, const char *handle, const uint64_t *sequence) {
    struct ipip_release release;
    release.address = at;
    release.handle = handle;
    release.sequence = sequence;
    return release;
}

static int prefix_is(struct ipip_prefix found, const char *expected) {
    struct ipip_prefix wanted = prefix(expected);
    return memcmp(&found, &wanted, sizeof found) == 0;
}

static void run_with_ipam(const char *name, void (*test)(void)) {
    struct ipip_pool pods = pool_of("pods", "10.244.0.0/24", 26);
    if (ipip_store_open_memory(&store) != IPIP_STATUS_OK || ipip_ipam_new(store, &ipam) != IPIP_STATUS_OK
        || ipip_ipam_create_pool(ipam, &pods) != IPIP_STATUS_OK)
        exit(2);
    run_test(name, test);
    ipip_store_free(store); /* before the allocator, which keeps what it needs */
    ipip_ipam_free(ipam);
}

#define RUN_WITH_IPAM(test) run_with_ipam(#test, test)

static void a_pool_is_cut_into_blocks(void) {
    struct ipip_pool pool = pool_of("pods", "10.244.0.0/16", 26);
    struct ipip_prefix block;
    uint64_t count;
    CHECK_OK(ipip_pool_block_count(&pool, &count));
    CHECK(count == 1024);
    CHECK_OK(ipip_pool_block(&pool, 1023, &block));
    CHECK(prefix_is(block, "10.244.255.192/26"));
    CHECK_FAILS(ipip_pool_block(&pool, 1024, &block), IPIP_STATUS_OUTSIDE_POOL, "pool pods has blocks 0 to 1023, not 1024");
    CHECK_STATUS(ipip_pool_block(&pool, UINT64_MAX, &block), IPIP_STATUS_OUTSIDE_POOL);
    CHECK_OK(ipip_pool_block_of(&pool, address("10.244.79.20"), &block));
    CHECK(prefix_is(block, "10.244.79.0/26"));
    CHECK_FAILS(ipip_pool_block_of(&pool, address("10.245.0.0"), &block), IPIP_STATUS_OUTSIDE_POOL, "10.245.0.0 is outside pool pods 10.244.0.0/16");
}

static void malformed_pools_are_refused(void) {
    struct ipip_pool pool = pool_of("Pods", "10.244.0.0/16", 26);
    uint64_t count;
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "pool name \"Pods\"");
    pool = pool_of("pods", "10.244.0.0/16", 19);
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "/19 is outside /20 to /32");
    pool = pool_of("pods", "10.244.0.0/27", 26);
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "smaller than one block");
    pool = pool_of("pods", "169.254.0.0/20", 26);
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "link-local");
    pool = pool_of("pods", "10.244.0.0/16", 26);
    pool.ipip_mode = 3;
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "ipip_mode is 3, which is no enum ipip_mode");
    pool.ipip_mode = IPIP_MODE_CROSS_SUBNET;
    pool.disabled = 2;
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "disabled is 2");
    pool.disabled = 0;
    pool.nat_outgoing = 9;
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "nat_outgoing is 9");
    pool = pool_of("pods", "10.244.0.0/16", 26);
    pool.cidr.network.octets[3] = 1;
    CHECK_FAILS(ipip_pool_block_count(&pool, &count), IPIP_STATUS_INVALID_ARGUMENT, "cidr: 10.244.0.1/16 has host bits set");
}

static void pools_do_not_overlap(void) {
    struct ipip_pool again = pool_of("pods", "10.0.0.0/24", 26), overlapping = pool_of("other", "10.244.0.0/16", 26);
    CHECK_FAILS(ipip_ipam_create_pool(ipam, &again), IPIP_STATUS_ALREADY_EXISTS, "pool pods exists already");
    CHECK_FAILS(ipip_ipam_create_pool(ipam, &overlapping), IPIP_STATUS_OVERLAP, "overlaps pool pods 10.244.0.0/24");
}

static void a_named_block_is_claimed_once(void) {
    int newly = 7;
    struct ipip_prefix block = prefix("10.244.0.64/26");
    CHECK_OK(ipip_ipam_claim(ipam, "node-a", block, &newly));
    CHECK(newly == 1);
    CHECK_OK(ipip_ipam_claim(ipam, "node-a", block, &newly));
    CHECK(newly == 0);
    CHECK_FAILS(ipip_ipam_claim(ipam, "node-b", block, &newly), IPIP_STATUS_OWNED_BY_ANOTHER, "block 10.244.0.64/26 is owned by host:node-a");
    CHECK_FAILS(ipip_ipam_claim(ipam, "node-b", prefix("10.244.0.0/27"), NULL), IPIP_STATUS_BLOCK_SIZE, "is not a /26");
    CHECK_STATUS(ipip_ipam_claim(ipam, "node-b", prefix("10.245.0.0/26"), NULL), IPIP_STATUS_OUTSIDE_POOL);
    CHECK_STATUS(ipip_ipam_claim(ipam, "node-b", prefix("10.0.0.0/8"), NULL), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(ipip_ipam_claim(ipam, "node/b", block, NULL), IPIP_STATUS_INVALID_ARGUMENT);
}

static void blocks_run_out(void) {
    struct ipip_prefix block, blocks[4];
    size_t needed = 7;
    for (int i = 0; i < 4; i++) CHECK_OK(ipip_ipam_claim_any(ipam, "node-a", &block));
    CHECK_FAILS(ipip_ipam_claim_any(ipam, "node-b", &block), IPIP_STATUS_POOL_EXHAUSTED, "node-b in pools: pods");
    memset(blocks, 0xa5, sizeof blocks);
    CHECK_FAILS(ipip_ipam_blocks_of(ipam, "node-a", blocks, 3, &needed), IPIP_STATUS_BUFFER_TOO_SMALL, "array blocks has room for 3, needs 4");
    CHECK(needed == 4 && blocks[0].len == 0xa5);
    CHECK_STATUS(ipip_ipam_blocks_of(ipam, "node-a", NULL, 0, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_OK(ipip_ipam_blocks_of(ipam, "node-a", blocks, 4, &needed));
    CHECK(needed == 4 && blocks[0].len == 26 && blocks[3].len == 26);
    CHECK_OK(ipip_ipam_blocks_of(ipam, "node-b", NULL, 0, &needed));
    CHECK(needed == 0);
    CHECK_OK(ipip_ipam_blocks(ipam, blocks, 4, &needed));
    CHECK(needed == 4 && prefix_is(blocks[0], "10.244.0.0/26"));
    CHECK_STATUS(ipip_ipam_blocks(ipam, blocks, 0, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
}

static void addresses_are_assigned_and_released(void) {
    struct ipip_attribute pod = owner("pod-a"), other = owner("pod-b");
    struct ipip_assignment any, named;
    struct ipip_block *block;
    char text[64];
    CHECK_OK(ipip_ipam_claim(ipam, "node-a", prefix("10.244.0.64/26"), NULL));
    CHECK_OK(ipip_ipam_assign_any(ipam, "node-a", &pod, &any));
    CHECK(any.address.octets[3] == 64 && prefix_is(any.block, "10.244.0.64/26"));
    CHECK_OK(ipip_ipam_assign(ipam, "node-a", address("10.244.0.84"), &pod, &named));
    CHECK_FAILS(ipip_ipam_assign(ipam, "node-a", address("10.244.0.84"), &other, NULL), IPIP_STATUS_ALREADY_ASSIGNED, "handle \"pod-a\"");
    CHECK_OK(ipip_ipam_assign(ipam, "node-b", address("10.244.0.85"), &other, NULL)); /* borrowed */
    CHECK_OK(ipip_ipam_release_handle(ipam, "pod-b", NULL));
    CHECK_FAILS(ipip_ipam_assign(ipam, "node-b", address("10.0.0.1"), &other, NULL), IPIP_STATUS_OUTSIDE_POOL, "10.0.0.1 is outside every pool");

    CHECK_OK(ipip_ipam_block_of(ipam, address("10.244.0.84"), &block));
    size_t used = ipip_block_used_count(block);
    enum ipip_status owned = ipip_block_affinity(block, text, sizeof text, NULL);
    char node[64] = "";
    enum ipip_status of_node = ipip_block_attribute(block, named.address, "node", node, sizeof node, NULL);
    ipip_block_free(block);
    CHECK(used == 2 && owned == IPIP_STATUS_OK && of_node == IPIP_STATUS_OK);
    CHECK_TEXT(text, "host:node-a");
    CHECK_TEXT(node, "node-a");
    CHECK_FAILS(ipip_ipam_block_of(ipam, address("10.244.0.128"), &block), IPIP_STATUS_NOT_FOUND, "10.244.0.128 is in no block");

    uint64_t stale = named.sequence + 1000;
    struct ipip_release wrong = release_of(named.address, "pod-b", NULL), late = release_of(named.address, NULL, &stale);
    struct ipip_release right = release_of(named.address, "pod-a", &named.sequence);
    CHECK_STATUS(ipip_ipam_release(ipam, &wrong), IPIP_STATUS_HANDLE_MISMATCH);
    CHECK_STATUS(ipip_ipam_release(ipam, &late), IPIP_STATUS_SEQUENCE_MISMATCH);
    CHECK_OK(ipip_ipam_release(ipam, &right));
    CHECK_STATUS(ipip_ipam_release(ipam, &right), IPIP_STATUS_NOT_ASSIGNED);
    size_t count = 7;
    CHECK_OK(ipip_ipam_release_handle(ipam, "pod-a", &count));
    CHECK(count == 1);
    CHECK_FAILS(ipip_ipam_release_handle(ipam, "pod-a", &count), IPIP_STATUS_NOT_FOUND, "handle \"pod-a\" has no addresses");
}

static void a_block_that_is_given_up_stays_while_in_use(void) {
    struct ipip_prefix used = prefix("10.244.0.0/26"), empty = prefix("10.244.0.64/26");
    struct ipip_attribute pod = owner("pod-a");
    enum ipip_block_release outcome;
    CHECK_OK(ipip_ipam_assign(ipam, "node-a", address("10.244.0.1"), &pod, NULL));
    CHECK_OK(ipip_ipam_claim(ipam, "node-a", empty, NULL));
    CHECK_OK(ipip_ipam_release_block(ipam, "node-a", used, &outcome));
    CHECK(outcome == IPIP_BLOCK_RELEASE_ORPHANED);
    CHECK_OK(ipip_ipam_release_block(ipam, "node-a", empty, &outcome));
    CHECK(outcome == IPIP_BLOCK_RELEASE_DELETED);
    CHECK_STATUS(ipip_ipam_release_block(ipam, "node-a", empty, NULL), IPIP_STATUS_NOT_FOUND);
    CHECK_FAILS(ipip_ipam_claim(ipam, "node-b", used, NULL), IPIP_STATUS_OWNED_BY_ANOTHER, "nobody, and still in use");
}

static void a_disabled_pool_gives_nothing(void) {
    struct ipip_pool pool = pool_of("later", "10.245.0.0/24", 26);
    struct ipip_attribute pod = owner(NULL);
    pool.disabled = 1;
    CHECK_OK(ipip_ipam_create_pool(ipam, &pool));
    CHECK_FAILS(ipip_ipam_assign(ipam, "node-a", address("10.245.0.1"), &pod, NULL), IPIP_STATUS_POOL_DISABLED, "pool later is disabled");
    CHECK_STATUS(ipip_ipam_claim(ipam, "node-a", prefix("10.245.0.0/26"), NULL), IPIP_STATUS_POOL_DISABLED);
}

static void without_a_pool_nothing_is_left(void) {
    struct ipip_store *empty;
    struct ipip_ipam *bare;
    struct ipip_assignment assignment;
    struct ipip_attribute pod = owner(NULL);
    CHECK_OK(ipip_store_open_memory(&empty));
    CHECK_OK(ipip_ipam_new(empty, &bare));
    enum ipip_status status = ipip_ipam_assign_any(bare, "node-a", &pod, &assignment);
    ipip_ipam_free(bare);
    ipip_store_free(empty);
    CHECK_FAILS(status, IPIP_STATUS_POOL_EXHAUSTED, "there is no enabled pool for this node and use");
}

/* Four threads, each a node with an allocator of its own on the one store, 32 addresses each. */
static unsigned char owners[256];
static pthread_mutex_t owners_lock = PTHREAD_MUTEX_INITIALIZER;

static void *assign_many(void *name) {
    struct ipip_attribute pod = owner((const char *)name);
    struct ipip_assignment assignment;
    struct ipip_ipam *mine;
    if (ipip_ipam_new(store, &mine) != IPIP_STATUS_OK) return NULL;
    for (int i = 0; i < 32; i++) {
        struct ipip_ipam *one = i % 2 ? mine : ipam; /* and one that all share */
        if (ipip_ipam_assign_any(one, (const char *)name, &pod, &assignment) != IPIP_STATUS_OK) break;
        pthread_mutex_lock(&owners_lock);
        owners[assignment.address.octets[3]]++;
        pthread_mutex_unlock(&owners_lock);
    }
    ipip_ipam_free(mine);
    return NULL;
}

static void threads_never_get_one_address_twice(void) {
    static char names[4][8] = {"node-a", "node-b", "node-c", "node-d"};
    pthread_t threads[4];
    int once = 0, more = 0;
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, assign_many, names[i]) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < 256; i++) {
        once += owners[i] == 1;
        more += owners[i] > 1;
    }
    CHECK(once == 128 && more == 0);
}

int main(void) {
    RUN(a_pool_is_cut_into_blocks);
    RUN(malformed_pools_are_refused);
    RUN_WITH_IPAM(pools_do_not_overlap);
    RUN_WITH_IPAM(a_named_block_is_claimed_once);
    RUN_WITH_IPAM(blocks_run_out);
    RUN_WITH_IPAM(addresses_are_assigned_and_released);
    RUN_WITH_IPAM(a_block_that_is_given_up_stays_while_in_use);
    RUN_WITH_IPAM(a_disabled_pool_gives_nothing);
    RUN(without_a_pool_nothing_is_left);
    RUN_WITH_IPAM(threads_never_get_one_address_twice);
    return finish();
}
