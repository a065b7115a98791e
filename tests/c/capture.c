/* Live capture. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "net.h"

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const uint8_t FRAME[60] = {0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x88, 0xb5, 'i', 'p', 'i', 'p'};

/* Sends FRAME out of `under`, as often as user_data says; runs inside the namespace. */
static int send_frames(void *user_data) {
    struct sockaddr_ll to;
    int sent = 0, socket_fd = socket(AF_PACKET, SOCK_RAW, 0);
    memset(&to, 0, sizeof to);
    to.sll_family = AF_PACKET;
    to.sll_ifindex = (int)if_nametoindex("under");
    for (int i = 0; i < *(int *)user_data; i++)
        sent += sendto(socket_fd, FRAME, sizeof FRAME, 0, (struct sockaddr *)&to, sizeof to) == sizeof FRAME;
    close(socket_fd);
    return sent;
}

static struct ipip_capture *capture;

static void open_on(const char *interface) {
    capture = NULL;
    if (ipip_capture_open(node, interface, &capture) != IPIP_STATUS_OK) {
        printf("no capture: %s\n", ipip_last_error());
        exit(2);
    }
}

/* The next frame that is ours, past what the kernel says by itself. */
static enum ipip_status next_of_ours(struct ipip_frame *frame) {
    enum ipip_status status;
    do status = ipip_capture_next(capture, 2000, frame);
    while (status == IPIP_STATUS_OK && (frame->octets_len < 14 || memcmp(frame->octets + 12, FRAME + 12, 2) != 0));
    return status;
}

static void frames_are_whole_and_told_apart_by_direction(void) {
    NEEDS_ROOT();
    const char *interfaces[] = {"under", "wire"};
    const enum ipip_direction directions[] = {IPIP_DIRECTION_OUTGOING, IPIP_DIRECTION_INCOMING};
    for (int i = 0; i < 2; i++) {
        struct ipip_frame frame;
        struct ipip_capture_counts counts;
        int wanted = 1, sent = 0;
        time_t now = time(NULL);
        memset(&frame, 0, sizeof frame);
        open_on(interfaces[i]);
        enum ipip_status entered = ipip_netns_enter(node, send_frames, &wanted, &sent);
        enum ipip_status read = next_of_ours(&frame);
        int same = read == IPIP_STATUS_OK && frame.octets_len == sizeof FRAME && memcmp(frame.octets, FRAME, sizeof FRAME) == 0;
        enum ipip_status counted = ipip_capture_count(capture, &counts);
        ipip_capture_free(capture);
        CHECK_OK(entered);
        CHECK(sent == 1);
        CHECK_OK(read);
        CHECK(same && frame.original_len == sizeof FRAME);
        CHECK(frame.link_type == IPIP_LINK_TYPE_ETHERNET && frame.direction == directions[i] && frame.checksum_pending == 0);
        CHECK((time_t)(frame.time_ns / 1000000000) >= now - 1 && (time_t)(frame.time_ns / 1000000000) <= now + 60);
        CHECK_OK(counted);
        CHECK(counts.seen >= 1 && counts.dropped == 0);
    }
}

static void no_frame_is_lost(void) {
    NEEDS_ROOT();
    struct ipip_frame frame;
    int wanted = 1000, sent = 0, met = 0;
    open_on("wire");
    enum ipip_status entered = ipip_netns_enter(node, send_frames, &wanted, &sent);
    while (met < wanted && next_of_ours(&frame) == IPIP_STATUS_OK) met++;
    ipip_capture_free(capture);
    CHECK_OK(entered);
    CHECK(sent == 1000 && met == 1000);
}

static void waiting_ends_with_its_timeout(void) {
    NEEDS_ROOT();
    struct ipip_frame frame;
    enum ipip_status status;
    open_on("lo");
    double start = seconds();
    enum ipip_status at_once = ipip_capture_next(capture, 0, &frame);
    double middle = seconds();
    status = ipip_capture_next(capture, 200, &frame);
    double end = seconds();
    ipip_capture_free(capture);
    CHECK_STATUS(at_once, IPIP_STATUS_TIMEOUT);
    CHECK_STATUS(status, IPIP_STATUS_TIMEOUT);
    CHECK_TEXT(ipip_last_error(), "no frame within 200 ms");
    CHECK(middle - start < 0.15);
    CHECK(end - middle >= 0.195 && end - middle < 1.5); /* valgrind takes its time */
}

static void *stop_later(void *unused) {
    (void)unused;
    usleep(100000);
    ipip_capture_stop(capture);
    return NULL;
}

static void another_thread_can_stop_it(void) {
    NEEDS_ROOT();
    struct ipip_frame frame;
    pthread_t thread;
    open_on("lo");
    CHECK(pthread_create(&thread, NULL, stop_later, NULL) == 0);
    double start = seconds();
    enum ipip_status status = ipip_capture_next(capture, 60000, &frame), again = ipip_capture_next(capture, 60000, &frame);
    double taken = seconds() - start;
    pthread_join(thread, NULL);
    ipip_capture_free(capture);
    CHECK_STATUS(status, IPIP_STATUS_STOPPED);
    CHECK_STATUS(again, IPIP_STATUS_STOPPED);
    CHECK(taken < 10);
}

static void an_interface_that_goes_down_or_away_says_so(void) {
    NEEDS_ROOT();
    struct ipip_frame frame;
    enum ipip_status down, up_again, gone_status, still;
    int wanted = 1, sent = 0;
    open_on("under");
    sh("ip -n %s link set under down", node_name);
    do down = ipip_capture_next(capture, 2000, &frame);
    while (down == IPIP_STATUS_OK);
    sh("ip -n %s link set under up", node_name);
    ipip_netns_enter(node, send_frames, &wanted, &sent);
    up_again = next_of_ours(&frame);
    sh("ip -n %s link del under", node_name);
    do gone_status = ipip_capture_next(capture, 2000, &frame);
    while (gone_status == IPIP_STATUS_OK);
    still = ipip_capture_next(capture, 2000, &frame);
    ipip_capture_free(capture);
    CHECK_STATUS(down, IPIP_STATUS_INTERFACE_DOWN);
    CHECK_OK(up_again);
    CHECK_STATUS(gone_status, IPIP_STATUS_INTERFACE_GONE);
    CHECK_STATUS(still, IPIP_STATUS_INTERFACE_GONE);
}

static void what_cannot_be_captured_on_is_refused(void) {
    NEEDS_ROOT();
    struct ipip_capture *none = NULL;
    CHECK_FAILS(ipip_capture_open(node, "absent", &none), IPIP_STATUS_NOT_FOUND, "no interface absent in network namespace");
    CHECK_FAILS(ipip_capture_open(node, "", &none), IPIP_STATUS_INVALID_ARGUMENT, "must be 1 to 15 octets");
    CHECK_STATUS(ipip_capture_open(node, "\xff", &none), IPIP_STATUS_NOT_UTF8);
    if (seteuid(65534) != 0) SKIP("cannot give up root");
    enum ipip_status status = ipip_capture_open(node, "lo", &none);
    CHECK(seteuid(0) == 0);
    CHECK_STATUS(status, IPIP_STATUS_PERMISSION);
    CHECK(none == NULL);
}

int main(void) {
    RUN_IN_NET(frames_are_whole_and_told_apart_by_direction);
    RUN_IN_NET(no_frame_is_lost);
    RUN_IN_NET(waiting_ends_with_its_timeout);
    RUN_IN_NET(another_thread_can_stop_it);
    RUN_IN_NET(an_interface_that_goes_down_or_away_says_so);
    RUN_IN_NET(what_cannot_be_captured_on_is_refused);
    return finish();
}
