/* Status codes, last error, version, features. */
#include <pthread.h>

#include "check.h"

/* The numbers are for good: this table grows, and nothing in it changes. */
static const struct {
    enum ipip_status status;
    int number;
    const char *name;
} STATUSES[] = {
#define STATUS(name, number) {IPIP_STATUS_##name, number, "IPIP_STATUS_" #name},
    STATUS(OK, 0)
    STATUS(NULL_ARGUMENT, 1)
    STATUS(INVALID_ARGUMENT, 2)
    STATUS(NOT_UTF8, 3)
    STATUS(BUFFER_TOO_SMALL, 4)
    STATUS(PANIC, 5)
    STATUS(INTERNAL, 6)
    STATUS(UNSUPPORTED, 7)
    STATUS(TIMEOUT, 8)
    STATUS(STOPPED, 9)
    STATUS(NOT_FOUND, 10)
    STATUS(ALREADY_EXISTS, 11)
    STATUS(BUSY, 12)
    STATUS(STORE, 13)
    STATUS(COMPACTED, 14)
    STATUS(COMMIT_UNKNOWN, 15)
    STATUS(NOT_JOINED, 16)
    STATUS(KERNEL, 100)
    STATUS(PERMISSION, 101)
    STATUS(NO_DRIVER, 102)
    STATUS(IN_THE_WAY, 103)
    STATUS(NOT_NETNS, 104)
    STATUS(SAME_NETNS, 105)
    STATUS(HALF_APPLIED, 106)
    STATUS(INTERFACE_DOWN, 107)
    STATUS(INTERFACE_GONE, 108)
    STATUS(NO_UNDERLAY, 109)
    STATUS(TRUNCATED, 200)
    STATUS(VERSION, 201)
    STATUS(HEADER_LEN, 202)
    STATUS(TOTAL_LEN, 203)
    STATUS(CHECKSUM, 204)
    STATUS(PROTOCOL, 205)
    STATUS(OUTER_FRAGMENT, 206)
    STATUS(TTL_ZERO, 207)
    STATUS(HEADROOM, 208)
    STATUS(HEADER_BUFFER, 209)
    STATUS(PACKET_TOO_LONG, 210)
    STATUS(ICMP_TYPE, 211)
    STATUS(DSCP, 212)
    STATUS(FRAGMENT_OFFSET, 213)
    STATUS(TTL_EXPIRED, 214)
    STATUS(ECN_DROP, 215)
    STATUS(ICMP_NOT_ERROR, 216)
    STATUS(DONT_FRAGMENT, 217)
    STATUS(FRAGMENT_END, 218)
    STATUS(OPTIONS, 219)
    STATUS(SAME_ENDPOINTS, 220)
    STATUS(OWN_SOURCE, 221)
    STATUS(EXIT_SOURCE, 222)
    STATUS(EXIT_DESTINATION, 223)
    STATUS(TUNNEL_DEPTH, 224)
    STATUS(QUOTED, 225)
    STATUS(QUOTED_PROTOCOL, 226)
    STATUS(QUOTED_ENDPOINTS, 227)
    STATUS(QUOTED_FRAGMENT, 228)
    STATUS(UNKNOWN_NODE, 229)
    STATUS(FOREIGN_SOURCE, 230)
    STATUS(NO_HOST, 231)
    STATUS(BLOCK_FULL, 300)
    STATUS(POOL_EXHAUSTED, 301)
    STATUS(OUTSIDE_BLOCK, 302)
    STATUS(OUTSIDE_POOL, 303)
    STATUS(ALREADY_ASSIGNED, 304)
    STATUS(NOT_ASSIGNED, 305)
    STATUS(HANDLE_MISMATCH, 306)
    STATUS(SEQUENCE_MISMATCH, 307)
    STATUS(OWNED_BY_ANOTHER, 308)
    STATUS(BLOCK_SIZE, 309)
    STATUS(OVERLAP, 310)
    STATUS(POOL_DISABLED, 311)
    STATUS(ADDRESS_TAKEN, 312)
    STATUS(OTHER_ADDRESS, 313)
    STATUS(END_OF_CAPTURE, 400)
    STATUS(NOT_A_CAPTURE, 401)
    STATUS(DAMAGED_CAPTURE, 402)
    STATUS(PART_WRITTEN, 403)
#undef STATUS
};

static void numbers_and_names_stay(void) {
    size_t known = sizeof STATUSES / sizeof *STATUSES, named = 0;
    for (size_t i = 0; i < known; i++) {
        CHECK((int)STATUSES[i].status == STATUSES[i].number);
        CHECK_TEXT(ipip_status_name((uint32_t)STATUSES[i].number), STATUSES[i].name);
    }
    for (uint32_t number = 0; number < 1000; number++)
        named += strcmp(ipip_status_name(number), "unknown status") != 0;
    CHECK(named == known); /* a new one belongs in the table above */
    CHECK_TEXT(ipip_status_name(UINT32_MAX), "unknown status");
}

static void header_and_library_have_one_version(void) {
    char text[64];
    CHECK_TEXT(ipip_version(), IPIP_VERSION);
    snprintf(text, sizeof text, "%d.%d.%d", IPIP_VERSION_MAJOR, IPIP_VERSION_MINOR, IPIP_VERSION_PATCH);
    CHECK_TEXT(ipip_version(), text);
}

static void features_of_other_builds_are_unknown_not_errors(void) {
    CHECK(ipip_has_feature("etcd") == 0);
    CHECK(ipip_has_feature("no such part") == 0);
    CHECK(ipip_has_feature("") == 0);
    CHECK(ipip_has_feature(NULL) == 0);
    CHECK(ipip_has_feature("\xff") == 0);
}

static void *fail_elsewhere(void *before) {
    *(int *)before = strcmp(ipip_last_error(), "") == 0 && ipip_last_errno() == 0;
    ipip_prefix_from_text("elsewhere", NULL);
    return NULL;
}

static void the_last_error_is_of_this_thread(void) {
    struct ipip_prefix prefix;
    CHECK_FAILS(ipip_prefix_from_text("10.0.0.1/8", &prefix), IPIP_STATUS_INVALID_ARGUMENT, "10.0.0.1/8 has host bits set");
    const char *text = ipip_last_error();
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    CHECK(ipip_last_errno() == 0);

    int other_began_clean = 0;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, &other_began_clean) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(other_began_clean);
    CHECK(ipip_last_error() == text); /* still valid, and the same */
    CHECK_TEXT(text, copy);
    CHECK_OK(ipip_prefix_from_text("10.0.0.0/8", &prefix));
    CHECK_TEXT(ipip_last_error(), copy); /* success leaves it */
}

static void the_kernels_number_is_kept(void) {
    struct ipip_netns *netns = NULL;
    CHECK_FAILS(ipip_netns_open("/nowhere", &netns), IPIP_STATUS_NOT_FOUND, "/nowhere");
    CHECK(ipip_last_errno() == 2); /* ENOENT */
    CHECK(netns == NULL);
    CHECK_STATUS(ipip_netns_open(NULL, &netns), IPIP_STATUS_NULL_ARGUMENT);
    CHECK(ipip_last_errno() == 0);
}

static void addresses_as_text(void) {
    struct ipip_ipv4 address;
    struct ipip_prefix prefix;
    char text[19];
    size_t needed = 0;
    CHECK_OK(ipip_ipv4_from_text("10.244.79.20", &address));
    CHECK(memcmp(address.octets, "\x0a\xf4\x4f\x14", 4) == 0);
    CHECK_OK(ipip_ipv4_to_text(&address, text, sizeof text, &needed));
    CHECK_TEXT(text, "10.244.79.20");
    CHECK(needed == 13);
    CHECK_OK(ipip_prefix_from_text("255.255.255.255/32", &prefix));
    CHECK(prefix.len == 32);
    CHECK_OK(ipip_prefix_to_text(&prefix, text, sizeof text, NULL));
    CHECK_TEXT(text, "255.255.255.255/32");
    prefix.len = 33;
    CHECK_FAILS(ipip_prefix_to_text(&prefix, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT, "33 is outside 0 to 32");
    prefix.len = 31;
    CHECK_FAILS(ipip_prefix_to_text(&prefix, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT, "host bits");
    const char *bad[] = {"", "10.0.0", "10.0.0.256", " 10.0.0.1", "10.0.0.1 ", "::1", "010.0.0.1", "10.0.0.1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STATUS(ipip_ipv4_from_text(bad[i], &address), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_FAILS(ipip_ipv4_from_text("\xff", &address), IPIP_STATUS_NOT_UTF8, "text is not UTF-8");
}

static void a_short_buffer_is_left_alone_and_told_its_length(void) {
    struct ipip_ipv4 address;
    char text[14] = "*************";
    size_t needed = 0;
    CHECK_OK(ipip_ipv4_from_text("10.244.79.20", &address));
    CHECK_FAILS(ipip_ipv4_to_text(&address, text, 12, &needed), IPIP_STATUS_BUFFER_TOO_SMALL, "12 octets, needs 13");
    CHECK(needed == 13);
    CHECK_TEXT(text, "*************");
    needed = 0;
    CHECK_STATUS(ipip_ipv4_to_text(&address, NULL, 0, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed == 13);
    CHECK_STATUS(ipip_ipv4_to_text(&address, NULL, 13, &needed), IPIP_STATUS_NULL_ARGUMENT);
    CHECK_OK(ipip_ipv4_to_text(&address, text, 13, NULL));
    CHECK(text[12] == 0 && text[13] == 0);
}

int main(void) {
    RUN(numbers_and_names_stay);
    RUN(header_and_library_have_one_version);
    RUN(features_of_other_builds_are_unknown_not_errors);
    RUN(the_last_error_is_of_this_thread);
    RUN(the_kernels_number_is_kept);
    RUN(addresses_as_text);
    RUN(a_short_buffer_is_left_alone_and_told_its_length);
    return finish();
}
