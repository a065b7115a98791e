/* One block in memory. */
#include "check.h"

static struct ipip_block *block_of(const char *text) {
    struct ipip_block *block = NULL;
    if (ipip_block_new(prefix(text), &block) != IPIP_STATUS_OK) exit(2);
    return block;
}

static struct ipip_release release_of(const char *text, const char *handle, const uint64_t *sequence) {
    struct ipip_release release;
    release.address = address(text);
    release.handle = handle;
    release.sequence = sequence;
    return release;
}

static int is(struct ipip_ipv4 found, const char *expected) {
    struct ipip_ipv4 wanted = address(expected);
    return memcmp(&found, &wanted, sizeof found) == 0;
}

static void a_released_address_comes_back_last(void) {
    struct ipip_block *block = block_of("10.244.79.0/30");
    struct ipip_attribute pod = owner("pod-a");
    struct ipip_assignment assignment;
    struct ipip_release first = release_of("10.244.79.0", NULL, NULL);
    const char *order[] = {"10.244.79.0", "10.244.79.1", "10.244.79.2", "10.244.79.3", "10.244.79.0"};
    int right = 1;
    for (int i = 0; i < 5 && right; i++) {
        right &= ipip_block_assign_any(block, &pod, &assignment) == IPIP_STATUS_OK;
        right &= is(assignment.address, order[i]) && assignment.block.len == 30;
        if (i == 1) right &= ipip_block_release(block, &first) == IPIP_STATUS_OK;
    }
    enum ipip_status full = ipip_block_assign_any(block, &pod, &assignment);
    size_t free_count = ipip_block_free_count(block), used = ipip_block_used_count(block);
    ipip_block_free(block);
    CHECK(right);
    CHECK_STATUS(full, IPIP_STATUS_BLOCK_FULL);
    CHECK_TEXT(ipip_last_error(), "block 10.244.79.0/30 is full, all 4 addresses are assigned");
    CHECK(is(assignment.address, "10.244.79.0")); /* as the last success left it */
    CHECK(free_count == 0 && used == 4);
}

static struct ipip_block *block; /* of the tests below */

static void a_named_address_is_assigned_once(void) {
    struct ipip_attribute a = owner("pod-a"), b = owner("pod-b"), nobody = owner(NULL);
    struct ipip_assignment assignment;
    CHECK_OK(ipip_block_assign(block, address("10.244.79.20"), &a, &assignment));
    CHECK(is(assignment.address, "10.244.79.20") && assignment.sequence == 0);
    CHECK_FAILS(ipip_block_assign(block, address("10.244.79.20"), &b, NULL), IPIP_STATUS_ALREADY_ASSIGNED,
                "address 10.244.79.20 is already assigned with handle \"pod-a\"");
    CHECK_FAILS(ipip_block_assign(block, address("10.244.79.64"), &b, NULL), IPIP_STATUS_OUTSIDE_BLOCK,
                "address 10.244.79.64 is outside block 10.244.79.0/26");
    CHECK_OK(ipip_block_assign(block, address("10.244.79.63"), &nobody, NULL));
    CHECK(ipip_block_used_count(block) == 2 && ipip_block_free_count(block) == 62);
}

static void a_release_names_what_it_knows(void) {
    struct ipip_attribute a = owner("pod-a");
    struct ipip_assignment assignment;
    uint64_t stale = 77;
    CHECK_OK(ipip_block_assign(block, address("10.244.79.20"), &a, &assignment));
    struct ipip_release wrong_handle = release_of("10.244.79.20", "pod-b", NULL);
    struct ipip_release wrong_sequence = release_of("10.244.79.20", "pod-a", &stale);
    struct ipip_release free_one = release_of("10.244.79.21", NULL, NULL);
    struct ipip_release outside = release_of("10.244.80.0", NULL, NULL);
    struct ipip_release right = release_of("10.244.79.20", "pod-a", &assignment.sequence);
    struct ipip_release malformed = release_of("10.244.79.20", "a/b", NULL);
    CHECK_FAILS(ipip_block_release(block, &wrong_handle), IPIP_STATUS_HANDLE_MISMATCH, "not with handle \"pod-b\"");
    CHECK_FAILS(ipip_block_release(block, &wrong_sequence), IPIP_STATUS_SEQUENCE_MISMATCH, "sequence number 0, not at 77");
    CHECK_FAILS(ipip_block_release(block, &free_one), IPIP_STATUS_NOT_ASSIGNED, "10.244.79.21 is not assigned");
    CHECK_STATUS(ipip_block_release(block, &outside), IPIP_STATUS_OUTSIDE_BLOCK);
    CHECK_FAILS(ipip_block_release(block, &malformed), IPIP_STATUS_INVALID_ARGUMENT, "handle \"a/b\" must not contain");
    CHECK(ipip_block_used_count(block) == 1);
    CHECK_OK(ipip_block_release(block, &right));
    CHECK(ipip_block_used_count(block) == 0);
}

static void a_handle_is_released_at_once(void) {
    struct ipip_attribute a = owner("pod-a"), b = owner("pod-b");
    struct ipip_assignment assignment;
    size_t count = 77;
    for (int i = 0; i < 3; i++) CHECK_OK(ipip_block_assign_any(block, &a, &assignment));
    CHECK_OK(ipip_block_assign_any(block, &b, &assignment));
    CHECK_OK(ipip_block_release_handle(block, "pod-a", &count));
    CHECK(count == 3 && ipip_block_used_count(block) == 1);
    CHECK_OK(ipip_block_release_handle(block, "pod-a", &count));
    CHECK(count == 0);
    CHECK_OK(ipip_block_release_handle(block, "pod-b", NULL));
    CHECK(ipip_block_used_count(block) == 0);
    CHECK_STATUS(ipip_block_release_handle(block, "", NULL), IPIP_STATUS_INVALID_ARGUMENT);
}

static void what_is_known_of_a_workload_can_be_asked(void) {
    struct ipip_pair pairs[2] = {{"pod", "podA"}, {"namespace", "default"}};
    struct ipip_attribute pod = owner("k8s-pod-network.3a1f");
    struct ipip_ipv4 at = address("10.244.79.20"), free_one = address("10.244.79.21");
    enum ipip_use use;
    uint64_t sequence = 77;
    char text[64];
    size_t needed = 0;
    pod.pairs = pairs;
    pod.pairs_len = 2;
    CHECK_OK(ipip_block_assign(block, at, &pod, NULL));
    CHECK_OK(ipip_block_handle(block, at, text, sizeof text, &needed));
    CHECK_TEXT(text, "k8s-pod-network.3a1f");
    CHECK(needed == 21);
    CHECK_OK(ipip_block_attribute(block, at, "namespace", text, sizeof text, NULL));
    CHECK_TEXT(text, "default");
    CHECK_FAILS(ipip_block_attribute(block, at, "node", text, sizeof text, NULL), IPIP_STATUS_NOT_FOUND,
                "address 10.244.79.20 has no attribute \"node\"");
    CHECK_STATUS(ipip_block_attribute(block, free_one, "pod", text, sizeof text, NULL), IPIP_STATUS_NOT_ASSIGNED);
    CHECK_STATUS(ipip_block_handle(block, free_one, text, sizeof text, NULL), IPIP_STATUS_NOT_ASSIGNED);
    CHECK_STATUS(ipip_block_handle(block, at, text, 20, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_OK(ipip_block_use(block, at, &use, &sequence));
    CHECK(use == IPIP_USE_ASSIGNED && sequence == 0);
    sequence = 77;
    CHECK_OK(ipip_block_use(block, free_one, &use, &sequence));
    CHECK(use == IPIP_USE_FREE && sequence == 77);
    CHECK_STATUS(ipip_block_use(block, address("10.0.0.0"), &use, NULL), IPIP_STATUS_OUTSIDE_BLOCK);
    CHECK_OK(ipip_block_affinity(block, text, sizeof text, &needed));
    CHECK_TEXT(text, "");
    CHECK(needed == 1);
}

static void malformed_attributes_are_refused(void) {
    struct ipip_pair twice[2] = {{"pod", "a"}, {"pod", "b"}};
    struct ipip_pair no_value[1] = {{"pod", NULL}};
    struct ipip_attribute attribute = owner("h");
    attribute.pairs_len = 2;
    CHECK_FAILS(ipip_block_assign(block, address("10.244.79.1"), &attribute, NULL), IPIP_STATUS_NULL_ARGUMENT, "pairs is NULL");
    attribute.pairs = twice;
    CHECK_FAILS(ipip_block_assign(block, address("10.244.79.1"), &attribute, NULL), IPIP_STATUS_INVALID_ARGUMENT, "key \"pod\" is given twice");
    attribute.pairs_len = SIZE_MAX;
    CHECK_FAILS(ipip_block_assign(block, address("10.244.79.1"), &attribute, NULL), IPIP_STATUS_INVALID_ARGUMENT, "pairs_len is");
    attribute.pairs = no_value;
    attribute.pairs_len = 1;
    CHECK_FAILS(ipip_block_assign(block, address("10.244.79.1"), &attribute, NULL), IPIP_STATUS_NULL_ARGUMENT, "value is NULL");
    attribute = owner("\xc3\x28");
    CHECK_STATUS(ipip_block_assign(block, address("10.244.79.1"), &attribute, NULL), IPIP_STATUS_NOT_UTF8);
    attribute = owner("white space");
    CHECK_STATUS(ipip_block_assign(block, address("10.244.79.1"), &attribute, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK(ipip_block_used_count(block) == 0);
}

static void ordinals_and_addresses_are_inverse(void) {
    uint32_t ordinal;
    struct ipip_ipv4 found;
    for (uint32_t i = 0; i < 64; i++) {
        CHECK_OK(ipip_block_address(block, i, &found));
        CHECK(found.octets[3] == i);
        CHECK_OK(ipip_block_ordinal(block, found, &ordinal));
        CHECK(ordinal == i);
    }
    CHECK_FAILS(ipip_block_address(block, 64, &found), IPIP_STATUS_OUTSIDE_BLOCK, "ordinal 64 is outside 0 to 63");
    CHECK_STATUS(ipip_block_address(block, UINT32_MAX, &found), IPIP_STATUS_OUTSIDE_BLOCK);
    CHECK_STATUS(ipip_block_ordinal(block, address("10.244.79.64"), &ordinal), IPIP_STATUS_OUTSIDE_BLOCK);
    CHECK(ipip_block_prefix(block).len == 26 && is(ipip_block_prefix(block).network, "10.244.79.0"));
}

static void addresses_can_be_listed(void) {
    struct ipip_attribute a = owner("pod-a");
    struct ipip_ipv4 found[64];
    size_t needed = 7;
    CHECK_OK(ipip_block_assign(block, address("10.244.79.20"), &a, NULL));
    CHECK_OK(ipip_block_assign(block, address("10.244.79.2"), &a, NULL));
    CHECK_OK(ipip_block_addresses_of(block, "pod-a", found, 64, &needed));
    CHECK(needed == 2 && is(found[0], "10.244.79.2") && is(found[1], "10.244.79.20"));
    memset(found, 0, sizeof found);
    CHECK_FAILS(ipip_block_addresses_of(block, "pod-a", found, 1, &needed), IPIP_STATUS_BUFFER_TOO_SMALL, "array addresses has room for 1, needs 2");
    CHECK(needed == 2 && found[0].octets[0] == 0);
    CHECK_OK(ipip_block_addresses_of(block, "pod-b", NULL, 0, &needed));
    CHECK(needed == 0);
    CHECK_OK(ipip_block_free_addresses(block, found, 64, &needed));
    CHECK(needed == 62 && is(found[0], "10.244.79.0") && is(found[2], "10.244.79.3") && is(found[61], "10.244.79.63"));
}

static void json_is_calicos_and_survives_a_round_trip(void) {
    struct ipip_attribute a = owner("pod-a");
    struct ipip_block *again = NULL;
    char json[2048], second[2048];
    size_t needed = 0;
    CHECK_OK(ipip_block_assign(block, address("10.244.79.1"), &a, NULL));
    CHECK_OK(ipip_block_to_json(block, json, sizeof json, &needed));
    CHECK(needed == strlen(json) + 1);
    CHECK_PART(json, "{\"cidr\":\"10.244.79.0/26\",\"affinity\":null,");
    CHECK_PART(json, "\"allocations\":[null,0,null,");
    CHECK_PART(json, "\"attributes\":[{\"handle_id\":\"pod-a\"}],\"sequenceNumber\":1,\"sequenceNumberForAllocation\":{\"1\":0},\"deleted\":false}");
    CHECK_OK(ipip_block_from_json((const uint8_t *)json, strlen(json), &again));
    enum ipip_status status = ipip_block_to_json(again, second, sizeof second, NULL);
    ipip_block_free(again);
    CHECK_OK(status);
    CHECK_TEXT(second, json);
    again = NULL;
    CHECK_FAILS(ipip_block_from_json((const uint8_t *)"{}", 2, &again), IPIP_STATUS_INVALID_ARGUMENT, "field cidr is missing");
    CHECK_STATUS(ipip_block_from_json(NULL, 0, &again), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK(again == NULL);
}

/* Each of the tests above that uses `block` gets a new one. */
#define RUN_WITH_BLOCK(test)                                                                   \
    do {                                                                                       \
        block = block_of("10.244.79.0/26");                                                    \
        RUN(test);                                                                             \
        ipip_block_free(block);                                                                \
    } while (0)

static void sizes_from_20_to_32_are_blocks(void) {
    struct ipip_block *made;
    struct ipip_prefix wanted = prefix("10.0.0.0/8");
    for (uint8_t len = 8; len < 40; len++) {
        wanted.len = len;
        made = NULL;
        enum ipip_status status = ipip_block_new(wanted, &made);
        size_t free_count = ipip_block_free_count(made);
        ipip_block_free(made);
        CHECK_STATUS(status, len >= 20 && len <= 32 ? IPIP_STATUS_OK : IPIP_STATUS_INVALID_ARGUMENT);
        CHECK(free_count == (len >= 20 && len <= 32 ? 1u << (32 - len) : 0));
    }
    wanted.len = 26;
    wanted.network.octets[3] = 1;
    CHECK_FAILS(ipip_block_new(wanted, &made), IPIP_STATUS_INVALID_ARGUMENT, "10.0.0.1/26 has host bits set");
}

int main(void) {
    RUN(a_released_address_comes_back_last);
    RUN_WITH_BLOCK(a_named_address_is_assigned_once);
    RUN_WITH_BLOCK(a_release_names_what_it_knows);
    RUN_WITH_BLOCK(a_handle_is_released_at_once);
    RUN_WITH_BLOCK(what_is_known_of_a_workload_can_be_asked);
    RUN_WITH_BLOCK(malformed_attributes_are_refused);
    RUN_WITH_BLOCK(ordinals_and_addresses_are_inverse);
    RUN_WITH_BLOCK(addresses_can_be_listed);
    RUN_WITH_BLOCK(json_is_calicos_and_survives_a_round_trip);
    RUN(sizes_from_20_to_32_are_blocks);
    return finish();
}
