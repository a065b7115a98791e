/* Frames explained; capture files written, read, and damaged everywhere. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "frames.h"

static char text[65536];

static void line_is_tcpdumps(const struct frame_vector *vector) {
    size_t needed = 0;
    CHECK_STATUS(ipip_frame_line(&vector->frame, NULL, 0, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK_OK(ipip_frame_line(&vector->frame, text, needed, NULL));
    CHECK_TEXT(text, vector->line);
    CHECK_STATUS(ipip_frame_line(&vector->frame, text, needed - 1, NULL), IPIP_STATUS_BUFFER_TOO_SMALL);
}

static void lines_are_tcpdumps(void) {
    CHECK(each_frame(line_is_tcpdumps) > 30);
}

/* An echo request of a pod, by scapy. */
static const uint8_t ECHO[] = {
    0x45, 0x00, 0x00, 0x1c, 0x00, 0x07, 0x00, 0x00, 0x40, 0x01, 0x21, 0x95, 0x0a, 0xf4,
    0x4f, 0x14, 0x0a, 0xf4, 0xf4, 0x49, 0x08, 0x00, 0xf7, 0xfd, 0x00, 0x01, 0x00, 0x01,
};

static struct ipip_frame echo(void) {
    struct ipip_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.octets = ECHO;
    frame.octets_len = frame.original_len = sizeof ECHO;
    frame.time_ns = 1700000000123456789u;
    frame.link_type = IPIP_LINK_TYPE_RAW_IP;
    frame.direction = IPIP_DIRECTION_UNKNOWN;
    return frame;
}

static void a_frame_is_shown_as_a_tree_and_as_json(void) {
    struct ipip_frame frame = echo();
    frame.direction = IPIP_DIRECTION_OUTGOING;
    CHECK_OK(ipip_frame_tree(&frame, text, sizeof text, NULL));
    CHECK_PART(text, "Frame: 28 octets on the wire, 28 octets captured\n    Link type: raw IP (101)\n    Direction: out\n");
    CHECK_PART(text, "\nInternet Protocol Version 4, Src: 10.244.79.20, Dst: 10.244.244.73\n");
    CHECK_PART(text, "\n    Type: 8 (Echo (ping) request)\n");
    CHECK_OK(ipip_frame_json(&frame, text, sizeof text, NULL));
    CHECK_PART(text, "{\"time_ns\":1700000000123456789,\"link_type\":101,\"direction\":\"out\",\"original_len\":28,");
    CHECK_PART(text, "{\"layer\":\"icmp\",\"version\":4,\"type\":8,\"code\":0,\"checksum\":63485,\"verdict\":\"correct\",");
    CHECK(strchr(text, '\n') == NULL);
    frame.link_type = 9; /* PPP: kept, not read */
    CHECK_OK(ipip_frame_line(&frame, text, sizeof text, NULL));
    CHECK_PART(text, "link type 9, length 28");
}

static void impossible_frames_are_refused(void) {
    struct ipip_frame frame = echo();
    frame.original_len = 27;
    CHECK_FAILS(ipip_frame_line(&frame, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT,
                "original_len is 27, allowed from octets_len, 28, on");
    frame = echo();
    frame.direction = 3;
    CHECK_FAILS(ipip_frame_tree(&frame, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT,
                "direction is 3, which is no enum ipip_direction");
    frame = echo();
    frame.checksum_pending = 2;
    CHECK_FAILS(ipip_frame_json(&frame, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT, "checksum_pending is 2");
    frame = echo();
    frame.octets = NULL;
    CHECK_FAILS(ipip_frame_line(&frame, text, sizeof text, NULL), IPIP_STATUS_NULL_ARGUMENT, "octets is NULL");
    frame = echo();
    frame.octets_len = SIZE_MAX;
    CHECK_FAILS(ipip_frame_line(&frame, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT, "length of octets");
}

/* Writes so many echoes, a nanosecond apart, to the file. */
static enum ipip_status write_echoes(int count) {
    struct ipip_pcap_writer *writer = NULL;
    struct ipip_frame frame = echo();
    enum ipip_status status = ipip_pcap_writer_create(file(), frame.link_type, &writer);
    for (int i = 0; i < count && status == IPIP_STATUS_OK; i++, frame.time_ns++) status = ipip_pcap_writer_write(writer, &frame);
    if (status == IPIP_STATUS_OK) status = ipip_pcap_writer_flush(writer);
    ipip_pcap_writer_free(writer);
    return status;
}

static void what_is_written_is_read_to_the_nanosecond(void) {
    struct ipip_reader *reader = NULL;
    struct ipip_frame frame, expected = echo();
    CHECK_OK(write_echoes(3));
    CHECK_OK(ipip_reader_open(file(), &reader));
    int good = 0;
    while (ipip_reader_next(reader, &frame) == IPIP_STATUS_OK) {
        good += frame.time_ns == expected.time_ns++ && frame.octets_len == sizeof ECHO && frame.original_len == sizeof ECHO
             && memcmp(frame.octets, ECHO, sizeof ECHO) == 0 && frame.link_type == IPIP_LINK_TYPE_RAW_IP
             && frame.direction == IPIP_DIRECTION_UNKNOWN && frame.checksum_pending == 0;
    }
    enum ipip_status end = ipip_reader_next(reader, &frame), named = ipip_reader_interface_name(reader, 0, text, sizeof text, NULL);
    enum ipip_status past = ipip_reader_interface_name(reader, 1, text, sizeof text, NULL);
    size_t interfaces = ipip_reader_interface_count(reader), interface = ipip_reader_interface(reader);
    ipip_reader_free(reader);
    CHECK(good == 3);
    CHECK_STATUS(end, IPIP_STATUS_END_OF_CAPTURE);
    CHECK_STATUS(named, IPIP_STATUS_NOT_FOUND);
    CHECK_STATUS(past, IPIP_STATUS_INVALID_ARGUMENT);
    CHECK(interfaces == 1 && interface == 0);
}

/* Two interfaces in one pcapng section; the frame is of the second. */
static void interfaces_of_pcapng_have_names(void) {
    static const uint8_t PCAPNG[] = {
        0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
        1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
        1, 0, 0, 0, 32, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0, 2, 0, 5, 0, 't', 'u', 'n', 'l', '0', 0, 0, 0, 32, 0, 0, 0,
        6, 0, 0, 0, 36, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x45, 0, 0, 0, 36, 0, 0, 0,
    };
    struct ipip_reader *reader = NULL;
    struct ipip_frame frame;
    memset(&frame, 0, sizeof frame);
    fill_file(PCAPNG, sizeof PCAPNG);
    CHECK_OK(ipip_reader_open(file(), &reader));
    enum ipip_status read = ipip_reader_next(reader, &frame);
    size_t interface = ipip_reader_interface(reader), count = ipip_reader_interface_count(reader);
    enum ipip_status named = ipip_reader_interface_name(reader, 1, text, sizeof text, NULL);
    ipip_reader_free(reader);
    CHECK_OK(read);
    CHECK(interface == 1 && count == 2 && frame.link_type == IPIP_LINK_TYPE_RAW_IP && frame.octets_len == 1);
    CHECK_OK(named);
    CHECK_TEXT(text, "tunl0");
}

/* Reads the file to its end: how many frames, and the last status. */
static int frames_until(struct ipip_reader *reader, enum ipip_status *last) {
    struct ipip_frame frame;
    int frames = 0;
    while ((*last = ipip_reader_next(reader, &frame)) == IPIP_STATUS_OK) frames++;
    return frames;
}

/* The file cut at every octet: what is whole is read, and the damage is named by its offset. */
static void a_cut_file_is_read_up_to_the_damage(void) {
    enum { HEADER = 24, RECORD = 16 + sizeof ECHO, WHOLE = HEADER + 3 * RECORD };
    char expected[64];
    for (int len = 0; len < WHOLE; len++) {
        struct ipip_reader *reader = NULL;
        enum ipip_status last, again;
        struct ipip_frame frame;
        uint64_t offset = 7;
        CHECK_OK(write_echoes(3));
        CHECK(truncate(file(), len) == 0);
        if (len < HEADER) {
            CHECK_STATUS(ipip_reader_open(file(), &reader), len < 4 ? IPIP_STATUS_NOT_A_CAPTURE : IPIP_STATUS_DAMAGED_CAPTURE);
            CHECK_PART(ipip_last_error(), len < 4 ? "not a capture: begins with" : "capture is damaged at offset 0: it is cut off");
            CHECK(reader == NULL);
            continue;
        }
        int whole = (len - HEADER) / RECORD, is_cut = (len - HEADER) % RECORD != 0;
        CHECK_OK(ipip_reader_open(file(), &reader));
        int frames = frames_until(reader, &last);
        snprintf(expected, sizeof expected, is_cut ? "capture is damaged at offset %d: it is cut off" : "no more frames",
                 HEADER + whole * RECORD);
        int told = strstr(ipip_last_error(), expected) != NULL;
        enum ipip_status damage = ipip_reader_damage_offset(reader, &offset);
        again = ipip_reader_next(reader, &frame);
        ipip_reader_free(reader);
        CHECK(frames == whole && told);
        CHECK_STATUS(last, is_cut ? IPIP_STATUS_DAMAGED_CAPTURE : IPIP_STATUS_END_OF_CAPTURE);
        CHECK_STATUS(again, IPIP_STATUS_END_OF_CAPTURE);
        CHECK_STATUS(damage, is_cut ? IPIP_STATUS_OK : IPIP_STATUS_NOT_FOUND);
        CHECK(offset == (is_cut ? (uint64_t)(HEADER + whole * RECORD) : 7));
    }
}

static void what_cannot_be_read_is_refused(void) {
    struct ipip_reader *reader = NULL;
    CHECK_FAILS(ipip_reader_open("/nonexistent/x.pcap", &reader), IPIP_STATUS_NOT_FOUND,
                "cannot open capture file /nonexistent/x.pcap: No such file");
    CHECK(ipip_last_errno() == ENOENT);
    CHECK_STATUS(ipip_reader_open("/tmp", &reader), IPIP_STATUS_KERNEL);
    CHECK(ipip_last_errno() == EISDIR);
    CHECK_STATUS(ipip_reader_open("\xff", &reader), IPIP_STATUS_NOT_UTF8);
    fill_file("\x7f" "ELF", 4);
    CHECK_FAILS(ipip_reader_open(file(), &reader), IPIP_STATUS_NOT_A_CAPTURE, "not a capture: begins with [7f, 45, 4c, 46]");
    CHECK(reader == NULL);
}

static void what_cannot_be_written_is_refused(void) {
    struct ipip_pcap_writer *writer = NULL;
    struct ipip_frame frame = echo();
    CHECK_FAILS(ipip_pcap_writer_create("/nonexistent/x", 1, &writer), IPIP_STATUS_NOT_FOUND, "cannot make the capture file");
    CHECK_OK(ipip_pcap_writer_create("/dev/full", IPIP_LINK_TYPE_ETHERNET, &writer));
    enum ipip_status other = ipip_pcap_writer_write(writer, &frame);
    frame.link_type = IPIP_LINK_TYPE_ETHERNET;
    frame.time_ns = UINT64_MAX;
    enum ipip_status late = ipip_pcap_writer_write(writer, &frame);
    frame.time_ns = 0;
    enum ipip_status buffered = ipip_pcap_writer_write(writer, &frame), full = ipip_pcap_writer_flush(writer);
    int number = ipip_last_errno();
    ipip_pcap_writer_free(writer);
    CHECK_STATUS(other, IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(late, IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_OK(buffered);
    CHECK_STATUS(full, IPIP_STATUS_KERNEL);
    CHECK(number == ENOSPC);
}

/* Room for a part of a large frame, then for all of it. */
static void the_rest_of_a_frame_is_written_later(void) {
    static uint8_t large[100000];
    struct ipip_pcap_writer *writer = NULL;
    struct ipip_reader *reader = NULL;
    struct ipip_frame frame = echo();
    struct rlimit before, limit;
    enum ipip_status last;
    memcpy(large, ECHO, sizeof ECHO);
    frame.octets = large;
    frame.octets_len = frame.original_len = sizeof large;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    limit = before;
    limit.rlim_cur = 50000;
    CHECK_OK(ipip_pcap_writer_create(file(), frame.link_type, &writer));
    setrlimit(RLIMIT_FSIZE, &limit);
    enum ipip_status part = ipip_pcap_writer_write(writer, &frame), nothing = ipip_pcap_writer_write(writer, &frame);
    int number = ipip_last_errno();
    setrlimit(RLIMIT_FSIZE, &before);
    enum ipip_status second = ipip_pcap_writer_write(writer, &frame), flushed = ipip_pcap_writer_flush(writer);
    ipip_pcap_writer_free(writer);
    CHECK_STATUS(part, IPIP_STATUS_PART_WRITTEN);
    CHECK_STATUS(nothing, IPIP_STATUS_KERNEL);
    CHECK(number == EFBIG);
    CHECK_OK(second);
    CHECK_OK(flushed);
    CHECK_OK(ipip_reader_open(file(), &reader));
    int frames = frames_until(reader, &last);
    ipip_reader_free(reader);
    CHECK(frames == 2);
    CHECK_STATUS(last, IPIP_STATUS_END_OF_CAPTURE);
}

int main(void) {
    RUN(lines_are_tcpdumps);
    RUN(a_frame_is_shown_as_a_tree_and_as_json);
    RUN(impossible_frames_are_refused);
    RUN(what_is_written_is_read_to_the_nanosecond);
    RUN(interfaces_of_pcapng_have_names);
    RUN(a_cut_file_is_read_up_to_the_damage);
    RUN(what_cannot_be_read_is_refused);
    RUN(what_cannot_be_written_is_refused);
    RUN(the_rest_of_a_frame_is_written_later);
    return finish();
}
