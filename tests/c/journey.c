/* Frames chosen, judged, and found again at the points of their way. */
#include "frames.h"

static char text[4096];

/* A UDP packet of 8 + 12 octets from the pod to the other one, and the same in a tunnel. */
static uint8_t pod_octets[40], wire_octets[60];
static struct ipip_frame pod, wire;

static struct ipip_frame raw(const uint8_t *octets, size_t len) {
    struct ipip_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.octets = octets;
    frame.octets_len = frame.original_len = len;
    frame.link_type = IPIP_LINK_TYPE_RAW_IP;
    frame.direction = IPIP_DIRECTION_UNKNOWN;
    return frame;
}

/* The packet as it leaves the pod, and on the wire with these ECN fields. */
static int build(uint8_t ttl, uint8_t outer_ecn, uint8_t inner_ecn) {
    static const uint8_t UDP[] = {0xee, 0x48, 0xee, 0x49, 0, 20, 0, 0, 'a', 'l', 'l', ' ', 'i', 's', ' ', 'w', 'e', 'l', 'l', '.'};
    struct ipip_ipv4_header header;
    struct ipip_outer outer;
    struct ipip_span span;
    memset(&header, 0, sizeof header);
    memset(&outer, 0, sizeof outer);
    header.source = address("10.244.79.20");
    header.destination = address("10.244.244.73");
    header.protocol = 17;
    header.identification = 7;
    header.ttl = ttl;
    header.ecn = inner_ecn;
    header.dont_fragment = 1;
    memcpy(pod_octets + 20, UDP, sizeof UDP);
    if (ipip_ipv4_emit(&header, pod_octets, sizeof pod_octets) != IPIP_STATUS_OK) return 0;
    outer.local = address("172.18.0.3");
    outer.remote = address("172.18.0.2");
    outer.ttl_policy = IPIP_TTL_POLICY_FIXED;
    outer.ttl = 64;
    memcpy(wire_octets + 20, pod_octets, sizeof pod_octets);
    if (ipip_encapsulate(wire_octets, sizeof wire_octets, 20, &outer, &span) != IPIP_STATUS_OK) return 0;
    wire_octets[1] = (uint8_t)((wire_octets[1] & 0xfc) | outer_ecn);
    wire_octets[10] = wire_octets[11] = 0;
    uint16_t checksum;
    if (ipip_checksum(wire_octets, 20, &checksum) != IPIP_STATUS_OK) return 0;
    wire_octets[10] = (uint8_t)(checksum >> 8);
    wire_octets[11] = (uint8_t)checksum;
    pod = raw(pod_octets, sizeof pod_octets);
    wire = raw(wire_octets, sizeof wire_octets);
    return 1;
}

static int matches(const uint8_t *protocol, const struct ipip_prefix *between, size_t between_len, const struct ipip_frame *frame) {
    struct ipip_filter filter = {protocol, between, between_len};
    uint8_t result = 7;
    return ipip_filter_matches(&filter, frame, &result) == IPIP_STATUS_OK ? result : -1;
}

static void a_filter_wants_one_header_that_fits(void) {
    const uint8_t ipip = 4, udp = 17, icmp = 1;
    const struct ipip_prefix nodes[] = {prefix("172.18.0.2/32"), prefix("172.18.0.3/32")};
    const struct ipip_prefix pods[] = {prefix("10.244.79.0/26"), prefix("10.244.244.64/26")};
    CHECK(build(64, 0, 0));
    struct ipip_frame other = pod;
    other.link_type = 9;
    CHECK(matches(NULL, NULL, 0, &pod) == 1 && matches(NULL, NULL, 0, &other) == 1);
    CHECK(matches(&ipip, nodes, 2, &wire) == 1 && matches(&ipip, nodes, 2, &pod) == 0);
    CHECK(matches(&ipip, nodes, 1, &wire) == 0 && matches(&ipip, pods, 2, &wire) == 0);
    CHECK(matches(&udp, pods, 2, &wire) == 1 && matches(&udp, pods, 2, &pod) == 1);
    CHECK(matches(&icmp, NULL, 0, &wire) == 0 && matches(&udp, NULL, 0, &other) == 0);

    struct ipip_prefix wrong = pods[0];
    wrong.len = 25;
    wrong.network.octets[3] = 1;
    CHECK(matches(NULL, &wrong, 1, &pod) == -1);
    CHECK_PART(ipip_last_error(), "between: ");
}

static struct ipip_findings *found;

static size_t judge(const struct ipip_frame *frame, const struct ipip_expected *expected) {
    ipip_findings_free(found);
    found = NULL;
    if (ipip_frame_findings(frame, expected, &found) != IPIP_STATUS_OK) return 99;
    return ipip_findings_count(found);
}

/* The finding at this place as text; its numbers go to `finding`. */
static const char *told(size_t index, struct ipip_finding *finding) {
    memset(finding, 0xa5, sizeof *finding);
    if (ipip_findings_get(found, index, finding) != IPIP_STATUS_OK) return "";
    return ipip_findings_text(found, index, text, sizeof text, NULL) == IPIP_STATUS_OK ? text : "";
}

static void nothing_is_wrong_with_a_good_packet(void) {
    struct ipip_finding finding;
    CHECK(build(64, 0, 0));
    CHECK(judge(&wire, NULL) == 0);
    CHECK_FAILS(ipip_findings_get(found, 0, &finding), IPIP_STATUS_INVALID_ARGUMENT, "index is 0, there are 0 findings");
    CHECK_STATUS(ipip_findings_text(found, 0, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT);
}

static void a_packet_beyond_the_mtu_is_found(void) {
    struct ipip_finding finding;
    size_t mtu = 59;
    struct ipip_expected expected = {&mtu, NULL};
    CHECK(build(64, 0, 0));
    CHECK(judge(&wire, &expected) == 1);
    CHECK_TEXT(told(0, &finding), "packet of 60 octets exceeds the MTU of 59: DF forbids to fragment it, it is lost");
    CHECK(finding.kind == IPIP_FINDING_KIND_TOO_BIG && finding.len == 60 && finding.mtu == 59);
    CHECK(finding.dont_fragment == 1 && finding.segmented_later == 0 && finding.depth == 0 && finding.found == 0);
    wire.checksum_pending = 1;
    CHECK(judge(&wire, &expected) == 1);
    CHECK_PART(told(0, &finding), "the sender's hardware cuts it into segments");
    CHECK(finding.segmented_later == 1);
    mtu = 60;
    CHECK(judge(&wire, &expected) == 0);
}

static void wrong_checksums_are_found(void) {
    struct ipip_finding finding;
    CHECK(build(64, 0, 0));
    wire_octets[30] ^= 1; /* of the inner header */
    wire_octets[46] = 0x12, wire_octets[47] = 0x34;
    CHECK(judge(&wire, NULL) == 2);
    CHECK_PART(told(0, &finding), "inner IPv4 header has checksum");
    CHECK(finding.kind == IPIP_FINDING_KIND_HEADER_CHECKSUM && finding.depth == 1);
    CHECK((finding.found ^ finding.computed) == 0x0100);
    CHECK_PART(told(1, &finding), "transport checksum 0x1234, computed is 0x");
    CHECK(finding.kind == IPIP_FINDING_KIND_TRANSPORT_CHECKSUM && finding.found == 0x1234 && finding.offloaded == 0);
    wire.checksum_pending = 1;
    CHECK(judge(&wire, NULL) == 2);
    CHECK_PART(told(1, &finding), "not finished when captured, hardware does it");
    CHECK(finding.offloaded == 1);
}

static void ttl_ecn_and_nesting_are_found(void) {
    struct ipip_finding finding;
    CHECK(build(1, 0, 0));
    CHECK(judge(&pod, NULL) == 1);
    CHECK_TEXT(told(0, &finding), "outermost IPv4 header has TTL 1, no router forwards it");
    CHECK(finding.kind == IPIP_FINDING_KIND_TTL && finding.ttl == 1 && finding.depth == 0);

    CHECK(build(64, 3, 0)); /* congestion around a packet that cannot tell of it */
    CHECK(judge(&wire, NULL) == 1);
    CHECK_TEXT(told(0, &finding), "ECN Ce around NotEct: the end of the tunnel drops it");
    CHECK(finding.kind == IPIP_FINDING_KIND_ECN && finding.outer_ecn == 3 && finding.inner_ecn == 0);

    static uint8_t twice[80];
    struct ipip_span span;
    struct ipip_outer outer;
    memset(&outer, 0, sizeof outer);
    outer.local = address("172.18.0.3");
    outer.remote = address("172.18.0.2");
    CHECK(build(64, 0, 0));
    memcpy(twice + 20, wire_octets, sizeof wire_octets);
    CHECK_OK(ipip_encapsulate(twice, sizeof twice, 20, &outer, &span));
    struct ipip_frame frame = raw(twice, sizeof twice);
    CHECK(judge(&frame, NULL) == 1);
    CHECK_TEXT(told(0, &finding), "encapsulated twice: 3 IPv4 headers");
    CHECK(finding.kind == IPIP_FINDING_KIND_ENCAPSULATED_TWICE && finding.headers == 3);
}

static void a_packet_of_the_wrong_sender_is_found(void) {
    struct ipip_finding finding;
    struct ipip_peers *peers = NULL;
    CHECK(build(64, 0, 0));
    CHECK_OK(ipip_peers_new(&peers));
    struct ipip_expected expected = {NULL, peers};
    size_t unknown = judge(&wire, &expected);
    int unknown_told = strcmp(told(0, &finding), "spoofed: outer source 172.18.0.3 is not a known node") == 0
                    && finding.kind == IPIP_FINDING_KIND_UNKNOWN_NODE && finding.outer_source.octets[3] == 3;
    enum ipip_status inserted = ipip_peers_insert(peers, prefix("10.244.79.64/26"), address("172.18.0.3"), NULL, NULL);
    size_t foreign = judge(&wire, &expected);
    int foreign_told = strstr(told(0, &finding), "inner source 10.244.79.20 is not in a prefix of node 172.18.0.3") != NULL
                    && finding.kind == IPIP_FINDING_KIND_FOREIGN_SOURCE && finding.inner_source.octets[3] == 20;
    enum ipip_status own = ipip_peers_insert(peers, prefix("10.244.79.0/26"), address("172.18.0.3"), NULL, NULL);
    size_t good = judge(&wire, &expected);
    ipip_peers_free(peers);
    CHECK_OK(inserted);
    CHECK_OK(own);
    CHECK(unknown == 1 && unknown_told);
    CHECK(foreign == 1 && foreign_told);
    CHECK(good == 0);
}

static void one_packet_is_found_at_every_point(void) {
    struct ipip_points *points = NULL;
    struct ipip_journeys *journeys = NULL;
    struct ipip_sighting sightings[4];
    struct ipip_packet_key key, same;
    struct ipip_frame back;
    size_t needed = 0;
    CHECK(build(64, 0, 0));
    pod.time_ns = 1;
    wire.time_ns = 2;
    struct ipip_frame at_the_pod[] = {pod, pod};
    at_the_pod[1].time_ns = 3;
    CHECK_OK(ipip_points_new(&points));
    CHECK_OK(ipip_points_add(points, "wire", &wire, 1));
    CHECK_OK(ipip_points_add(points, "pod eth0", at_the_pod, 2));
    CHECK(ipip_points_count(points) == 2 && ipip_points_frame_count(points, 1) == 2 && ipip_points_frame_count(points, 2) == 0);
    CHECK_OK(ipip_points_name(points, 1, text, sizeof text, NULL));
    CHECK_TEXT(text, "pod eth0");
    CHECK_STATUS(ipip_points_name(points, 2, text, sizeof text, NULL), IPIP_STATUS_INVALID_ARGUMENT);
    CHECK_OK(ipip_points_frame(points, 0, 0, &back));
    CHECK(back.octets != wire.octets && back.octets_len == wire.octets_len && memcmp(back.octets, wire.octets, back.octets_len) == 0);
    CHECK_FAILS(ipip_points_frame(points, 0, 1, &back), IPIP_STATUS_INVALID_ARGUMENT, "index is 1, there are 1 frames");

    CHECK_OK(ipip_points_journeys(points, &journeys));
    CHECK(ipip_journeys_count(journeys) == 2);
    CHECK_STATUS(ipip_journeys_sightings(journeys, 0, NULL, 0, &needed), IPIP_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed == 2);
    CHECK_OK(ipip_journeys_sightings(journeys, 0, sightings, 4, &needed));
    CHECK(sightings[0].point == 1 && sightings[0].frame == 0 && sightings[0].depth == 0 && sightings[0].ttl == 64);
    CHECK(sightings[1].point == 0 && sightings[1].frame == 0 && sightings[1].depth == 1 && sightings[1].ttl == 64);
    CHECK_OK(ipip_journeys_sightings(journeys, 1, sightings, 4, &needed));
    CHECK(needed == 1 && sightings[0].point == 1 && sightings[0].frame == 1);
    CHECK_OK(ipip_journeys_packet(journeys, 0, &key));
    CHECK(key.protocol == 17 && key.identification == 7 && key.fragment_offset == 0 && key.payload_len == 20);
    CHECK(key.source.octets[3] == 20 && key.destination.octets[3] == 73);
    CHECK_OK(ipip_frame_packet_key(&wire, &same));
    CHECK(same.payload_hash == key.payload_hash);
    CHECK_STATUS(ipip_journeys_packet(journeys, 2, &key), IPIP_STATUS_INVALID_ARGUMENT);
    wire.link_type = 9;
    CHECK_FAILS(ipip_frame_packet_key(&wire, &key), IPIP_STATUS_NOT_FOUND, "the frame has no IPv4 packet");
    ipip_journeys_free(journeys);
    ipip_points_free(points);
}

static void a_damaged_capture_gives_the_points_before_the_damage(void) {
    struct ipip_pcap_writer *writer = NULL;
    struct ipip_reader *reader = NULL;
    struct ipip_points *points = NULL;
    uint64_t offset = 0;
    CHECK(build(64, 0, 0));
    CHECK_OK(ipip_pcap_writer_create(file(), IPIP_LINK_TYPE_RAW_IP, &writer));
    CHECK_OK(ipip_pcap_writer_write(writer, &wire));
    CHECK_OK(ipip_pcap_writer_write(writer, &wire));
    ipip_pcap_writer_free(writer);
    CHECK(truncate(file(), 24 + 2 * 76 - 1) == 0);
    CHECK_OK(ipip_points_new(&points));
    CHECK_OK(ipip_reader_open(file(), &reader));
    CHECK_FAILS(ipip_points_read(points, "node-a", reader), IPIP_STATUS_DAMAGED_CAPTURE, "damaged at offset 100: it is cut off");
    CHECK_OK(ipip_reader_damage_offset(reader, &offset));
    CHECK(offset == 100);
    CHECK(ipip_points_count(points) == 1 && ipip_points_frame_count(points, 0) == 1);
    CHECK_OK(ipip_points_name(points, 0, text, sizeof text, NULL));
    CHECK_TEXT(text, "node-a");
    ipip_reader_free(reader);
    ipip_points_free(points);
}

int main(void) {
    RUN(a_filter_wants_one_header_that_fits);
    RUN(nothing_is_wrong_with_a_good_packet);
    RUN(a_packet_beyond_the_mtu_is_found);
    RUN(wrong_checksums_are_found);
    RUN(ttl_ecn_and_nesting_are_found);
    RUN(a_packet_of_the_wrong_sender_is_found);
    RUN(one_packet_is_found_at_every_point);
    RUN(a_damaged_capture_gives_the_points_before_the_damage);
    ipip_findings_free(found);
    return finish();
}
