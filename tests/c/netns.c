/* Namespaces: make, open, enter, remove. */
#include <pthread.h>
#include <sys/stat.h>

#include "net.h"

static void a_named_namespace_is_what_ip_netns_makes(void) {
    NEEDS_ROOT();
    char path[64], expected[64];
    struct ipip_netns *again = NULL;
    size_t needed = 0;
    int same = 7;
    snprintf(expected, sizeof expected, "/run/netns/%s", node_name);
    CHECK_OK(ipip_netns_path(node, path, sizeof path, &needed));
    CHECK_TEXT(path, expected);
    CHECK(needed == strlen(expected) + 1);
    CHECK_STATUS(ipip_netns_path(node, path, 3, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_PART(sh("ip netns list"), node_name);
    CHECK_FAILS(ipip_netns_create(node_name, &again), IPIP_STATUS_ALREADY_EXISTS, node_name);
    CHECK(ipip_last_errno() == 17 && again == NULL); /* EEXIST */
    CHECK_OK(ipip_netns_open_named(node_name, &again));
    enum ipip_status status = ipip_netns_is_same(node, again, &same);
    ipip_netns_free(again);
    CHECK_OK(status);
    CHECK(same == 1);
    CHECK_OK(ipip_netns_is_same(node, pod, &same));
    CHECK(same == 0);
}

static void removal_tells_whether_it_was_there(void) {
    NEEDS_ROOT();
    int removed = 7;
    struct ipip_netns *open = NULL;
    CHECK_OK(ipip_netns_remove(pod_name, &removed));
    CHECK(removed == 1);
    CHECK_OK(ipip_netns_remove(pod_name, &removed));
    CHECK(removed == 0);
    CHECK_FAILS(ipip_netns_open_named(pod_name, &open), IPIP_STATUS_NOT_FOUND, pod_name);
    CHECK(ipip_last_errno() == 2); /* ENOENT */
    CHECK_PART(sh("ip -n %s -br link", node_name), "lo");
}

static void names_and_files_are_checked(void) {
    struct ipip_netns *netns = NULL;
    const char *bad[] = {"", ".", "..", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_FAILS(ipip_netns_create(bad[i], &netns), IPIP_STATUS_INVALID_ARGUMENT, "must be 1 to 255 octets");
        CHECK_STATUS(ipip_netns_open_named(bad[i], &netns), IPIP_STATUS_INVALID_ARGUMENT);
        CHECK_STATUS(ipip_netns_remove(bad[i], NULL), IPIP_STATUS_INVALID_ARGUMENT);
    }
    CHECK_FAILS(ipip_netns_open("/proc/self/ns/uts", &netns), IPIP_STATUS_NOT_NETNS, "/proc/self/ns/uts is not a network namespace");
    CHECK_STATUS(ipip_netns_open("/proc/self/stat", &netns), IPIP_STATUS_NOT_NETNS);
    CHECK_STATUS(ipip_netns_open("\xff", &netns), IPIP_STATUS_NOT_UTF8);
    CHECK(netns == NULL);
}

static void the_own_namespace_can_be_opened(void) {
    struct ipip_netns *own = NULL, *by_path = NULL;
    int same = 0;
    struct stat mine, opened;
    CHECK_OK(ipip_netns_open_current(&own));
    CHECK_OK(ipip_netns_open("/proc/self/ns/net", &by_path));
    enum ipip_status status = ipip_netns_is_same(own, by_path, &same);
    int stats = stat("/proc/self/ns/net", &mine) == 0 && fstat(ipip_netns_fd(own), &opened) == 0;
    ipip_netns_free(own);
    ipip_netns_free(by_path);
    CHECK_OK(status);
    CHECK(same == 1 && stats && mine.st_ino == opened.st_ino);
}

struct visit {
    pthread_t caller;
    int other_thread;
    ino_t inode;
};

static ino_t namespace_here(void) {
    struct stat here;
    return stat("/proc/thread-self/ns/net", &here) == 0 ? here.st_ino : 0;
}

static int look_around(void *user_data) {
    struct visit *visit = (struct visit *)user_data;
    visit->inode = namespace_here();
    visit->other_thread = !pthread_equal(pthread_self(), visit->caller);
    ipip_prefix_from_text("inside", NULL);
    return 42;
}

static void a_callback_runs_inside_on_a_thread_of_its_own(void) {
    NEEDS_ROOT();
    struct visit visit;
    struct stat inside;
    int result = 0;
    ino_t before = namespace_here();
    memset(&visit, 0, sizeof visit);
    visit.caller = pthread_self();
    CHECK_STATUS(ipip_ipv4_from_text("outside", NULL), IPIP_STATUS_NULL_ARGUMENT);
    CHECK_OK(ipip_netns_enter(node, look_around, &visit, &result));
    CHECK(result == 42);
    CHECK(fstat(ipip_netns_fd(node), &inside) == 0 && visit.inode == inside.st_ino);
    CHECK(visit.other_thread && visit.inode != before && namespace_here() == before);
    CHECK_TEXT(ipip_last_error(), "address_out is NULL"); /* that of this thread */
    CHECK_OK(ipip_netns_enter(node, look_around, &visit, NULL));
}

static void an_unnamed_namespace_ends_with_its_object(void) {
    NEEDS_ROOT();
    struct ipip_netns *netns = NULL;
    char path[64];
    CHECK_OK(ipip_netns_create_unnamed(&netns));
    int there = ipip_netns_path(netns, path, sizeof path, NULL) == IPIP_STATUS_OK && access(path, F_OK) == 0;
    ipip_netns_free(netns);
    CHECK(there);
    CHECK(access(path, F_OK) != 0);
}

int main(void) {
    RUN_IN_NET(a_named_namespace_is_what_ip_netns_makes);
    RUN_IN_NET(removal_tells_whether_it_was_there);
    RUN(names_and_files_are_checked);
    RUN(the_own_namespace_can_be_opened);
    RUN_IN_NET(a_callback_runs_inside_on_a_thread_of_its_own);
    RUN(an_unnamed_namespace_ends_with_its_object);
    return finish();
}
