/* NULL for the objects and results of captures, as null.c has it for the others. */
#include "check.h"

#define IS_NULL(call, name) CHECK_FAILS(call, IPIP_STATUS_NULL_ARGUMENT, name " is NULL")

static size_t needed;
static char text[64];

static void captures(void) {
    struct ipip_frame frame;
    struct ipip_filter filter;
    struct ipip_finding finding;
    struct ipip_findings *findings;
    struct ipip_packet_key key;
    struct ipip_sighting sighting;
    struct ipip_points *points = NULL;
    struct ipip_journeys *journeys = NULL;
    struct ipip_pcap_writer *writer = NULL;
    struct ipip_reader *reader = NULL;
    uint64_t offset;
    uint8_t matches;
    memset(&frame, 0, sizeof frame);
    memset(&filter, 0, sizeof filter);
    CHECK_OK(ipip_points_new(&points));
    CHECK_OK(ipip_points_journeys(points, &journeys));
    CHECK_OK(ipip_frame_findings(&frame, NULL, &findings));
    CHECK_OK(ipip_pcap_writer_create("/dev/null", 1, &writer));
    IS_NULL(ipip_frame_line(NULL, text, sizeof text, NULL), "frame");
    IS_NULL(ipip_frame_line(&frame, NULL, 1, NULL), "text");
    IS_NULL(ipip_frame_tree(NULL, text, sizeof text, NULL), "frame");
    IS_NULL(ipip_frame_json(NULL, text, sizeof text, NULL), "frame");
    IS_NULL(ipip_frame_packet_key(NULL, &key), "frame");
    IS_NULL(ipip_frame_packet_key(&frame, NULL), "key_out");
    IS_NULL(ipip_reader_open(NULL, &reader), "path");
    IS_NULL(ipip_reader_open("/dev/null", NULL), "reader_out");
    IS_NULL(ipip_reader_next(NULL, &frame), "reader");
    IS_NULL(ipip_reader_damage_offset(NULL, &offset), "reader");
    IS_NULL(ipip_reader_interface_name(NULL, 0, text, sizeof text, NULL), "reader");
    IS_NULL(ipip_pcap_writer_create(NULL, 1, &writer), "path");
    IS_NULL(ipip_pcap_writer_create("/dev/null", 1, NULL), "writer_out");
    IS_NULL(ipip_pcap_writer_write(NULL, &frame), "writer");
    IS_NULL(ipip_pcap_writer_write(writer, NULL), "frame");
    IS_NULL(ipip_pcap_writer_flush(NULL), "writer");
    IS_NULL(ipip_filter_matches(NULL, &frame, &matches), "filter");
    IS_NULL(ipip_filter_matches(&filter, NULL, &matches), "frame");
    IS_NULL(ipip_filter_matches(&filter, &frame, NULL), "matches_out");
    filter.between_len = 1;
    IS_NULL(ipip_filter_matches(&filter, &frame, &matches), "between");
    IS_NULL(ipip_frame_findings(NULL, NULL, &findings), "frame");
    IS_NULL(ipip_frame_findings(&frame, NULL, NULL), "findings_out");
    IS_NULL(ipip_findings_get(NULL, 0, &finding), "findings");
    IS_NULL(ipip_findings_get(findings, 0, NULL), "finding_out");
    IS_NULL(ipip_findings_text(NULL, 0, text, sizeof text, NULL), "findings");
    IS_NULL(ipip_points_new(NULL), "points_out");
    IS_NULL(ipip_points_add(NULL, "a", &frame, 1), "points");
    IS_NULL(ipip_points_add(points, NULL, &frame, 1), "name");
    IS_NULL(ipip_points_add(points, "a", NULL, 1), "frames");
    IS_NULL(ipip_points_read(NULL, "a", reader), "points");
    IS_NULL(ipip_points_read(points, "a", NULL), "reader");
    IS_NULL(ipip_points_name(NULL, 0, text, sizeof text, NULL), "points");
    IS_NULL(ipip_points_frame(NULL, 0, 0, &frame), "points");
    IS_NULL(ipip_points_frame(points, 0, 0, NULL), "frame_out");
    IS_NULL(ipip_points_journeys(NULL, &journeys), "points");
    IS_NULL(ipip_points_journeys(points, NULL), "journeys_out");
    IS_NULL(ipip_journeys_packet(NULL, 0, &key), "journeys");
    IS_NULL(ipip_journeys_packet(journeys, 0, NULL), "packet_out");
    IS_NULL(ipip_journeys_sightings(NULL, 0, &sighting, 1, &needed), "journeys");
    CHECK(ipip_reader_interface(NULL) == 0 && ipip_reader_interface_count(NULL) == 0 && ipip_findings_count(NULL) == 0);
    CHECK(ipip_points_count(NULL) == 0 && ipip_points_frame_count(NULL, 0) == 0 && ipip_journeys_count(NULL) == 0);
    CHECK(ipip_points_count(points) == 0 && reader == NULL);
    ipip_pcap_writer_free(writer);
    ipip_findings_free(findings);
    ipip_journeys_free(journeys);
    ipip_points_free(points);
}

static void freeing_nothing_is_nothing(void) {
    ipip_reader_free(NULL);
    ipip_pcap_writer_free(NULL);
    ipip_findings_free(NULL);
    ipip_points_free(NULL);
    ipip_journeys_free(NULL);
}

int main(void) {
    RUN(captures);
    RUN(freeing_nothing_is_nothing);
    return finish();
}
