/* Packets against the vectors that scapy built, and every way of asking wrongly. */
#include "check.h"
#include "vectors.h"

static int view_is(const struct vector *vector, const char *layer, const struct ipip_ipv4_view *view) {
    const struct ipip_ipv4_header *header = &view->header;
    char source[16], destination[16];
    return number_is(vector, layer, "header_len", "%u", view->header_len)
         & number_is(vector, layer, "total_len", "%u", view->total_len)
         & number_is(vector, layer, "checksum", "0x%04x", view->checksum)
         & number_is(vector, layer, "dscp", "%u", header->dscp)
         & number_is(vector, layer, "ecn", "%u", header->ecn)
         & number_is(vector, layer, "identification", "0x%04x", header->identification)
         & field_is(vector, layer, "dont_fragment", header->dont_fragment ? "true" : "false")
         & field_is(vector, layer, "more_fragments", header->more_fragments ? "true" : "false")
         & number_is(vector, layer, "fragment_offset", "%u", header->fragment_offset)
         & number_is(vector, layer, "ttl", "%u", header->ttl)
         & number_is(vector, layer, "protocol", "%u", header->protocol)
         & (ipip_ipv4_to_text(&header->source, source, 16, NULL) == IPIP_STATUS_OK)
         & (ipip_ipv4_to_text(&header->destination, destination, 16, NULL) == IPIP_STATUS_OK)
         & field_is(vector, layer, "source", source) & field_is(vector, layer, "destination", destination)
         & field_is(vector, layer, "options", hex(vector->octets + view->options.offset, view->options.len));
}

static void parse_good(const struct vector *vector) {
    struct ipip_packet packet;
    struct ipip_span inner;
    memset(&packet, 0xa5, sizeof packet);
    CHECK_OK(ipip_parse(vector->octets, vector->octets_len, &packet));
    fields_checked = 0;
    CHECK(view_is(vector, "outer", &packet.outer) & view_is(vector, "inner", &packet.inner));
    CHECK(field_is(vector, "inner", "payload", hex(vector->octets + packet.inner.payload.offset, packet.inner.payload.len)));
    CHECK(fields_checked == (int)vector->pairs_len - 4); /* all but tool, version, command, call */

    CHECK_OK(ipip_decapsulate(vector->octets, vector->octets_len, &inner));
    CHECK(inner.offset == packet.outer.header_len && inner.len == packet.inner.total_len);
    CHECK(packet.inner.packet.offset == inner.offset && packet.inner.packet.len == inner.len);
    CHECK(packet.outer.packet.offset == 0 && packet.outer.packet.len == packet.outer.total_len);

    /* The inner packet alone reads the same, with other places. */
    struct ipip_ipv4_view alone;
    CHECK_OK(ipip_ipv4_parse(vector->octets + inner.offset, inner.len, &alone));
    CHECK(memcmp(&alone.header, &packet.inner.header, sizeof alone.header) == 0);
    CHECK(alone.payload.offset + inner.offset == packet.inner.payload.offset);
    CHECK(alone.payload.len == packet.inner.payload.len);
}

static void good_packets_read_as_scapy_reads_them(void) {
    CHECK(each_vector("parse", 1, parse_good) >= 10);
}

/* Every outer header that we could have written, we write the same. */
static int encapsulated;

static void encapsulate_good(const struct vector *vector) {
    struct ipip_packet packet;
    struct ipip_outer outer;
    struct ipip_span span;
    CHECK_OK(ipip_parse(vector->octets, vector->octets_len, &packet));
    const struct ipip_ipv4_header *header = &packet.outer.header;
    size_t len = packet.inner.packet.len;
    if (packet.outer.options.len || strcmp(vector->name, "reserved_flag") == 0
        || packet.outer.total_len != packet.outer.header_len + len)
        return;
    memset(&outer, 0, sizeof outer);
    outer.local = header->source;
    outer.remote = header->destination;
    outer.ttl_policy = IPIP_TTL_POLICY_FIXED;
    outer.ttl = header->ttl;
    outer.dscp_policy = IPIP_DSCP_POLICY_FIXED;
    outer.dscp = header->dscp;
    outer.ecn_policy = header->ecn == packet.inner.header.ecn ? IPIP_ECN_POLICY_NORMAL : IPIP_ECN_POLICY_COMPATIBILITY;
    outer.df_policy = header->dont_fragment && !packet.inner.header.dont_fragment ? IPIP_DF_POLICY_ALWAYS : IPIP_DF_POLICY_INHERIT;
    outer.identification = header->identification;

    uint8_t *buffer = (uint8_t *)malloc(27 + len + 9);
    CHECK(buffer != NULL);
    memset(buffer, 0xa5, 27 + len + 9);
    memcpy(buffer + 27, vector->octets + packet.inner.packet.offset, len);
    enum ipip_status status = ipip_encapsulate(buffer, 27 + len + 9, 27, &outer, &span);
    int same = status == IPIP_STATUS_OK && span.offset == 7 && span.len == 20 + len
            && memcmp(buffer + 7, vector->octets, span.len) == 0;
    int around = buffer[6] == 0xa5 && buffer[27 + len] == 0xa5;
    free(buffer);
    CHECK_OK(status);
    CHECK(same && around);
    encapsulated++;
}

static void good_packets_are_built_as_scapy_builds_them(void) {
    each_vector("parse", 1, encapsulate_good);
    CHECK(encapsulated >= 5);
}

static enum ipip_status call_it(const struct vector *vector) {
    struct ipip_packet packet;
    struct ipip_span span;
    struct ipip_echo_view echo;
    const char *call = value_of(vector, "call");
    /* A copy that ends where the packet does, for valgrind to see a read past it. */
    uint8_t *octets = (uint8_t *)malloc(vector->octets_len + 1);
    if (!octets) return IPIP_STATUS_INTERNAL;
    memcpy(octets, vector->octets, vector->octets_len);
    octets = (uint8_t *)realloc(octets, vector->octets_len ? vector->octets_len : 1);
    enum ipip_status status =
        strcmp(call, "parse") == 0        ? ipip_parse(octets, vector->octets_len, &packet)
        : strcmp(call, "decapsulate") == 0 ? ipip_decapsulate(octets, vector->octets_len, &span)
                                           : ipip_echo_parse(octets, vector->octets_len, &echo);
    free(octets);
    return status;
}

static void refused(const struct vector *vector) {
    enum ipip_status status = call_it(vector);
    CHECK_TEXT(ipip_status_name((uint32_t)status), status_name(value_of(vector, "expect")));
    CHECK_TEXT(ipip_last_error(), value_of(vector, "message"));
}

static void bad_packets_are_refused_with_their_own_status(void) {
    CHECK(each_vector("parse", 0, refused) >= 10);
    CHECK(each_vector("decapsulate", 0, refused) >= 1);
    CHECK(each_vector("echo", 0, refused) >= 3);
}

static void echo_good(const struct vector *vector) {
    struct ipip_echo_view view;
    uint8_t built[4096];
    CHECK_OK(ipip_echo_parse(vector->octets, vector->octets_len, &view));
    CHECK(field_is(vector, "", "kind", view.echo.kind == IPIP_ECHO_KIND_REQUEST ? "request" : "reply"));
    CHECK(number_is(vector, "", "identifier", "0x%04x", view.echo.identifier));
    CHECK(number_is(vector, "", "sequence", "%u", view.echo.sequence));
    CHECK(number_is(vector, "", "checksum", "0x%04x", view.checksum));
    CHECK(field_is(vector, "", "data", hex(vector->octets + view.data.offset, view.data.len)));
    memcpy(built, vector->octets, vector->octets_len);
    memset(built, 0xa5, 8);
    CHECK_OK(ipip_echo_emit(&view.echo, built, vector->octets_len));
    CHECK(memcmp(built, vector->octets, vector->octets_len) == 0);
}

static void echo_messages_read_and_build_as_scapy_does(void) {
    CHECK(each_vector("echo", 1, echo_good) >= 3);
}

static void finish_good(const struct vector *vector) {
    uint8_t inner[4096];
    enum ipip_partial_checksum result;
    uint16_t checksum = 0;
    memcpy(inner, vector->octets, vector->octets_len);
    CHECK_OK(ipip_finish_partial_checksum(inner, vector->octets_len, &result, &checksum));
    CHECK(result == IPIP_PARTIAL_CHECKSUM_FINISHED);
    CHECK(number_is(vector, "", "checksum", "0x%04x", checksum));
    CHECK_OK(ipip_finish_partial_checksum(inner, vector->octets_len, &result, NULL));
    CHECK(result == IPIP_PARTIAL_CHECKSUM_NOT_PARTIAL);
    CHECK_OK(ipip_finish_partial_checksum(inner, vector->octets_len, NULL, &checksum));
}

static void partial_checksums_are_finished(void) {
    CHECK(each_vector("finish_partial_checksum", 1, finish_good) >= 2);
    uint8_t icmp[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73, 8, 0, 0xf7, 0xff};
    enum ipip_partial_checksum result;
    CHECK_OK(ipip_finish_partial_checksum(icmp, sizeof icmp, &result, NULL));
    CHECK(result == IPIP_PARTIAL_CHECKSUM_NOT_APPLICABLE);
}

static void the_checksum_of_rfc_1071(void) {
    const uint8_t bytes[] = {0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7};
    uint16_t checksum = 0;
    CHECK_OK(ipip_checksum(bytes, sizeof bytes, &checksum));
    CHECK(checksum == (uint16_t)~0xddf2u);
    CHECK_OK(ipip_checksum(bytes, 1, &checksum));
    CHECK(checksum == 0xffff);
    CHECK_OK(ipip_checksum(NULL, 0, &checksum));
    CHECK(checksum == 0xffff);
}

static void headers_are_written_and_read_back(void) {
    struct ipip_ipv4_header header;
    struct ipip_ipv4_view view;
    uint8_t packet[40];
    memset(&header, 0, sizeof header);
    header.dscp = 46;
    header.ecn = 1;
    header.identification = 0x1234;
    header.more_fragments = 1;
    header.fragment_offset = 8191;
    header.ttl = 63;
    header.protocol = 17;
    header.source = address("10.244.79.20");
    header.destination = address("10.244.244.73");
    memset(packet, 0xa5, sizeof packet);
    CHECK_OK(ipip_ipv4_emit(&header, packet, sizeof packet));
    CHECK(memcmp(packet, "\x45\xb9\x00\x28\x12\x34\x3f\xff\x3f\x11", 10) == 0);
    CHECK(packet[20] == 0xa5);
    CHECK_OK(ipip_ipv4_parse(packet, sizeof packet, &view));
    CHECK(memcmp(&view.header, &header, sizeof header) == 0);
    CHECK(view.payload.offset == 20 && view.payload.len == 20 && view.options.len == 0);
}

/* Sets one field of a good header to a bad value: refused, and nothing is written. */
#define REFUSED_FIELD(field, value, status, text)                                              \
    do {                                                                                       \
        struct ipip_ipv4_header bad = header;                                                  \
        bad.field = value;                                                                     \
        CHECK_FAILS(ipip_ipv4_emit(&bad, packet, sizeof packet), status, text);                \
        CHECK(packet[0] == 0xa5);                                                              \
    } while (0)

static void fields_out_of_range_are_refused(void) {
    struct ipip_ipv4_header header;
    uint8_t packet[28];
    memset(&header, 0, sizeof header);
    memset(packet, 0xa5, sizeof packet);
    REFUSED_FIELD(dscp, 64, IPIP_STATUS_DSCP, "DSCP 64 is outside 0 to 63");
    REFUSED_FIELD(ecn, 4, IPIP_STATUS_INVALID_ARGUMENT, "ecn is 4");
    REFUSED_FIELD(dont_fragment, 2, IPIP_STATUS_INVALID_ARGUMENT, "dont_fragment is 2, allowed are 0 and 1");
    REFUSED_FIELD(more_fragments, 255, IPIP_STATUS_INVALID_ARGUMENT, "more_fragments is 255");
    REFUSED_FIELD(fragment_offset, 8192, IPIP_STATUS_FRAGMENT_OFFSET, "8192");
    CHECK_FAILS(ipip_ipv4_emit(&header, packet, 19), IPIP_STATUS_HEADER_BUFFER, "19 octets, needs 20");
    CHECK_STATUS(ipip_ipv4_emit(&header, NULL, 0), IPIP_STATUS_HEADER_BUFFER);
    struct ipip_echo echo;
    memset(&echo, 0, sizeof echo);
    CHECK_STATUS(ipip_echo_emit(&echo, packet, 7), IPIP_STATUS_HEADER_BUFFER);
    echo.kind = 3;
    CHECK_FAILS(ipip_echo_emit(&echo, packet, sizeof packet), IPIP_STATUS_INVALID_ARGUMENT, "kind is 3, which is no enum ipip_echo_kind");
    CHECK(packet[0] == 0xa5);
    uint8_t *huge = (uint8_t *)calloc(1, 65536);
    CHECK(huge != NULL);
    echo.kind = IPIP_ECHO_KIND_REPLY;
    enum ipip_status ip = ipip_ipv4_emit(&header, huge, 65536), icmp = ipip_echo_emit(&echo, huge, 65516);
    free(huge);
    CHECK_STATUS(ip, IPIP_STATUS_PACKET_TOO_LONG);
    CHECK_STATUS(icmp, IPIP_STATUS_PACKET_TOO_LONG);
}

#define REFUSED_POLICY(field, text)                                                            \
    do {                                                                                       \
        struct ipip_outer bad = outer;                                                         \
        bad.field = 7;                                                                         \
        CHECK_FAILS(ipip_encapsulate(buffer, sizeof buffer, 20, &bad, &span), IPIP_STATUS_INVALID_ARGUMENT, text); \
        CHECK(buffer[0] == 0 && span.len == 77);                                               \
    } while (0)

static void encapsulation_refuses_what_it_cannot_do(void) {
    uint8_t buffer[48] = {0};
    const uint8_t inner[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73, 8, 0, 0xf7, 0xff};
    struct ipip_outer outer;
    struct ipip_span span = {77, 77};
    memcpy(buffer + 20, inner, sizeof inner);
    memset(&outer, 0, sizeof outer);
    REFUSED_POLICY(ttl_policy, "ttl_policy is 7, which is no enum ipip_ttl_policy");
    REFUSED_POLICY(dscp_policy, "dscp_policy is 7, which is no enum ipip_dscp_policy");
    REFUSED_POLICY(ecn_policy, "ecn_policy is 7, which is no enum ipip_ecn_policy");
    REFUSED_POLICY(df_policy, "df_policy is 7, which is no enum ipip_df_policy");
    outer.dscp = 64;
    CHECK_STATUS(ipip_encapsulate(buffer, sizeof buffer, 20, &outer, &span), IPIP_STATUS_DSCP);
    outer.dscp_policy = IPIP_DSCP_POLICY_INHERIT; /* then the field is not read */
    outer.ttl_policy = IPIP_TTL_POLICY_FIXED;
    CHECK_FAILS(ipip_encapsulate(buffer, sizeof buffer, 20, &outer, &span), IPIP_STATUS_INVALID_ARGUMENT, "ttl is 0");
    outer.ttl = 1;
    CHECK_FAILS(ipip_encapsulate(buffer, sizeof buffer, 19, &outer, &span), IPIP_STATUS_HEADROOM, "headroom is 19 octets, needs 20");
    CHECK_STATUS(ipip_encapsulate(buffer, sizeof buffer, SIZE_MAX, &outer, &span), IPIP_STATUS_TRUNCATED);
    CHECK_STATUS(ipip_encapsulate(buffer, 47, 20, &outer, &span), IPIP_STATUS_TRUNCATED);
    CHECK_STATUS(ipip_encapsulate(NULL, 0, 20, &outer, &span), IPIP_STATUS_TRUNCATED);
    CHECK(buffer[0] == 0 && span.len == 77);
    CHECK_OK(ipip_encapsulate(buffer, sizeof buffer, 20, &outer, &span));
    CHECK(span.offset == 0 && span.len == 48 && buffer[8] == 1 && buffer[9] == 4);
    buffer[28] = 0; /* inner TTL, its checksum one word more */
    buffer[30] = 0x61;
    CHECK_STATUS(ipip_encapsulate(buffer, sizeof buffer, 20, &outer, &span), IPIP_STATUS_TTL_ZERO);
}

int main(void) {
    RUN(good_packets_read_as_scapy_reads_them);
    RUN(good_packets_are_built_as_scapy_builds_them);
    RUN(bad_packets_are_refused_with_their_own_status);
    RUN(echo_messages_read_and_build_as_scapy_does);
    RUN(partial_checksums_are_finished);
    RUN(the_checksum_of_rfc_1071);
    RUN(headers_are_written_and_read_back);
    RUN(fields_out_of_range_are_refused);
    RUN(encapsulation_refuses_what_it_cannot_do);
    return finish();
}
