/* Many packets by one call, against the calls for one packet. */
#include <stddef.h>

#include "check.h"
#include "vectors.h"

/* An inner packet of 28 octets: 10.244.79.20 > 10.244.244.73, an echo request. */
static const uint8_t INNER[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73, 8, 0, 0xf7, 0xff};

static struct ipip_outer tunl0(void) {
    struct ipip_outer outer;
    memset(&outer, 0, sizeof outer);
    outer.local = address("172.18.0.3");
    outer.remote = address("172.18.0.2");
    return outer;
}

static struct ipip_span span(size_t offset, size_t len) {
    struct ipip_span span;
    span.offset = offset;
    span.len = len;
    return span;
}

static int all(const void *octets, size_t len, uint8_t value) {
    for (size_t i = 0; i < len; i++)
        if (((const uint8_t *)octets)[i] != value) return 0;
    return 1;
}

/* Every vector for parse and decapsulate in one buffer, good and bad mixed. */
enum { VECTORS_MAX = 96 };
static uint8_t *buffer;
static size_t buffer_len;
static struct ipip_span packets[VECTORS_MAX];
static size_t packets_len;

static void gather(const struct vector *vector) {
    if (packets_len == VECTORS_MAX) exit(2);
    buffer = (uint8_t *)realloc(buffer, buffer_len + vector->octets_len + 1);
    if (!buffer) exit(2);
    memcpy(buffer + buffer_len, vector->octets, vector->octets_len);
    packets[packets_len++] = span(buffer_len, vector->octets_len);
    buffer_len += vector->octets_len;
}

static uint32_t number(struct ipip_ipv4 address) {
    uint8_t octets[4];
    memcpy(octets, &address, 4);
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

static int same_header(const struct ipip_header_fields *fields, const struct ipip_ipv4_view *view) {
    const struct ipip_ipv4_header *header = &view->header;
    return fields->source == number(header->source) && fields->destination == number(header->destination)
        && fields->identification == header->identification && fields->total_len == view->total_len
        && (fields->fragment & 0x7fff)
               == (header->dont_fragment << 14 | header->more_fragments << 13 | header->fragment_offset)
        && fields->checksum == view->checksum && fields->tos == (header->dscp << 2 | header->ecn)
        && fields->ttl == header->ttl && fields->protocol == header->protocol
        && fields->header_len == view->header_len;
}

static void every_vector_parses_as_it_does_alone(void) {
    struct ipip_fields fields[VECTORS_MAX];
    struct ipip_packet packet;
    size_t good = 77, expected = 0;
    memset(fields, 0xa5, sizeof fields);
    CHECK_OK(ipip_parse_batch(buffer, buffer_len, packets, packets_len, fields, VECTORS_MAX, &good));
    for (size_t i = 0; i < packets_len; i++) {
        enum ipip_status status = ipip_parse(buffer + packets[i].offset, packets[i].len, &packet);
        CHECK(fields[i].status == (uint32_t)status);
        if (status != IPIP_STATUS_OK) {
            CHECK(all(&fields[i], offsetof(struct ipip_fields, status), 0));
            continue;
        }
        CHECK(same_header(&fields[i].outer, &packet.outer) && same_header(&fields[i].inner, &packet.inner));
        expected++;
    }
    CHECK(good == expected && good >= 10 && packets_len - good >= 10);
    CHECK(all(fields + packets_len, sizeof *fields * (VECTORS_MAX - packets_len), 0xa5));
}

static void every_vector_decapsulates_as_it_does_alone(void) {
    struct ipip_span inner[VECTORS_MAX], alone;
    uint32_t statuses[VECTORS_MAX];
    size_t good = 77, expected = 0;
    int ttl_zero = 0;
    memset(inner, 0xa5, sizeof inner);
    memset(statuses, 0xa5, sizeof statuses);
    CHECK_OK(ipip_decapsulate_batch(buffer, buffer_len, packets, packets_len, inner, statuses, VECTORS_MAX, &good));
    for (size_t i = 0; i < packets_len; i++) {
        enum ipip_status status = ipip_decapsulate(buffer + packets[i].offset, packets[i].len, &alone);
        CHECK(statuses[i] == (uint32_t)status);
        ttl_zero += status == IPIP_STATUS_TTL_ZERO;
        if (status != IPIP_STATUS_OK) {
            CHECK(inner[i].offset == 0 && inner[i].len == 0);
            continue;
        }
        CHECK(inner[i].offset == packets[i].offset + alone.offset && inner[i].len == alone.len);
        expected++;
    }
    CHECK(good == expected && ttl_zero >= 1);
    CHECK(all(inner + packets_len, sizeof *inner * (VECTORS_MAX - packets_len), 0xa5));
    CHECK(all(statuses + packets_len, sizeof *statuses * (VECTORS_MAX - packets_len), 0xa5));
}

/* The inner packets of the good vectors, 20 octets of room before each, as one batch and one by one. */
static void every_inner_packet_is_encapsulated_as_it_is_alone(void) {
    struct ipip_fields fields[VECTORS_MAX];
    struct ipip_span inner[VECTORS_MAX], built[VECTORS_MAX], alone;
    uint32_t statuses[VECTORS_MAX];
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator;
    size_t inner_len = 0, room_len = 0, good = 0;
    CHECK_OK(ipip_parse_batch(buffer, buffer_len, packets, packets_len, fields, VECTORS_MAX, NULL));
    uint8_t *room = (uint8_t *)malloc(buffer_len + 20 * packets_len), *same;
    CHECK(room != NULL);
    for (size_t i = 0; i < packets_len; i++) {
        if (fields[i].status || fields[i].inner.ttl == 0) continue;
        size_t len = fields[i].inner.total_len;
        memset(room + room_len, 0xa5, 20);
        memcpy(room + room_len + 20, buffer + packets[i].offset + fields[i].outer.header_len, len);
        inner[inner_len++] = span(room_len + 20, len);
        room_len += 20 + len;
    }
    same = (uint8_t *)malloc(room_len);
    CHECK(same != NULL && inner_len >= 10);
    memcpy(same, room, room_len);
    /* Inherits and sets all that there is, so that every policy reaches the encapsulator. */
    outer.ttl_policy = IPIP_TTL_POLICY_FIXED;
    outer.ttl = 9;
    outer.dscp_policy = IPIP_DSCP_POLICY_INHERIT;
    outer.ecn_policy = IPIP_ECN_POLICY_NORMAL;
    outer.df_policy = IPIP_DF_POLICY_ALWAYS;
    CHECK_OK(ipip_encapsulator_new(&outer, &encapsulator));
    CHECK_OK(ipip_encapsulator_encapsulate_batch(encapsulator, room, room_len, inner, inner_len, 65530, built, statuses,
                                                 VECTORS_MAX, &good));
    ipip_encapsulator_free(encapsulator);
    CHECK(good == inner_len);
    for (size_t i = 0; i < inner_len; i++) {
        CHECK(statuses[i] == IPIP_STATUS_OK);
        outer.identification = (uint16_t)(65530 + i);
        CHECK_OK(ipip_encapsulate(same, inner[i].offset + inner[i].len, inner[i].offset, &outer, &alone));
        CHECK(built[i].offset == alone.offset && built[i].len == alone.len);
    }
    CHECK(memcmp(room, same, room_len) == 0);
    free(room);
    free(same);
}

static void one_encapsulator_builds_what_encapsulate_builds(void) {
    uint8_t mine[48], theirs[48];
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator;
    struct ipip_span found = {77, 77}, expected;
    outer.identification = 0x1234;
    memset(mine, 0xa5, sizeof mine);
    memcpy(mine + 20, INNER, sizeof INNER);
    memcpy(theirs, mine, sizeof mine);
    CHECK_OK(ipip_encapsulator_new(&outer, &encapsulator));
    memset(&outer, 0xff, sizeof outer); /* it keeps no pointer into it */
    CHECK_FAILS(ipip_encapsulator_encapsulate(encapsulator, mine, 48, 19, &found), IPIP_STATUS_HEADROOM, "headroom is 19 octets");
    CHECK_STATUS(ipip_encapsulator_encapsulate(encapsulator, mine, 47, 20, &found), IPIP_STATUS_TRUNCATED);
    CHECK_STATUS(ipip_encapsulator_encapsulate(encapsulator, mine, 48, SIZE_MAX, &found), IPIP_STATUS_TRUNCATED);
    CHECK_STATUS(ipip_encapsulator_encapsulate(encapsulator, NULL, 0, 20, &found), IPIP_STATUS_TRUNCATED);
    CHECK(all(mine, 20, 0xa5) && found.offset == 77 && found.len == 77);
    CHECK_OK(ipip_encapsulator_encapsulate(encapsulator, mine, 48, 20, &found));
    outer = tunl0();
    outer.identification = 0x1234;
    CHECK_OK(ipip_encapsulate(theirs, 48, 20, &outer, &expected));
    CHECK(memcmp(mine, theirs, 48) == 0 && found.offset == expected.offset && found.len == expected.len);
    mine[28] = 0; /* inner TTL, its checksum one word more */
    mine[30] = 0x61;
    CHECK_STATUS(ipip_encapsulator_encapsulate(encapsulator, mine, 48, 20, &found), IPIP_STATUS_TTL_ZERO);
    ipip_encapsulator_free(encapsulator);
}

static void an_encapsulator_refuses_what_encapsulate_refuses(void) {
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator = NULL;
    outer.ttl_policy = 2;
    CHECK_FAILS(ipip_encapsulator_new(&outer, &encapsulator), IPIP_STATUS_INVALID_ARGUMENT, "ttl_policy is 2");
    outer = tunl0();
    outer.dscp = 64;
    CHECK_STATUS(ipip_encapsulator_new(&outer, &encapsulator), IPIP_STATUS_DSCP);
    CHECK(encapsulator == NULL);
}

static void outputs_with_too_few_places_are_not_begun(void) {
    uint8_t octets[96];
    struct ipip_span two[2], spans[2];
    struct ipip_fields fields[2];
    uint32_t statuses[2];
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator;
    size_t good = 77;
    memset(octets, 0xa5, sizeof octets);
    memcpy(octets + 20, INNER, sizeof INNER);
    memcpy(octets + 68, INNER, sizeof INNER);
    memset(fields, 0xa5, sizeof fields);
    memset(spans, 0xa5, sizeof spans);
    memset(statuses, 0xa5, sizeof statuses);
    two[0] = span(20, 28);
    two[1] = span(68, 28);
    CHECK_OK(ipip_encapsulator_new(&outer, &encapsulator));
#define TOO_SMALL(call) CHECK_FAILS(call, IPIP_STATUS_BUFFER_TOO_SMALL, "output has places for 1 packets, needs 2")
    TOO_SMALL(ipip_parse_batch(octets, 96, two, 2, fields, 1, &good));
    TOO_SMALL(ipip_decapsulate_batch(octets, 96, two, 2, spans, statuses, 1, &good));
    TOO_SMALL(ipip_encapsulator_encapsulate_batch(encapsulator, octets, 96, two, 2, 0, spans, statuses, 1, &good));
    CHECK_STATUS(ipip_parse_batch(octets, 96, two, 2, NULL, 0, &good), IPIP_STATUS_BUFFER_TOO_SMALL);
    ipip_encapsulator_free(encapsulator);
    CHECK(good == 77 && all(octets, 20, 0xa5) && all(octets + 48, 20, 0xa5));
    CHECK(all(fields, sizeof fields, 0xa5) && all(spans, sizeof spans, 0xa5) && all(statuses, sizeof statuses, 0xa5));
}

static void no_packets_need_no_arrays(void) {
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator;
    size_t good = 77;
    CHECK_OK(ipip_encapsulator_new(&outer, &encapsulator));
    CHECK_OK(ipip_parse_batch(NULL, 0, NULL, 0, NULL, 0, &good));
    CHECK(good == 0);
    good = 77;
    CHECK_OK(ipip_decapsulate_batch(NULL, 0, NULL, 0, NULL, NULL, 0, &good));
    CHECK(good == 0);
    good = 77;
    CHECK_OK(ipip_encapsulator_encapsulate_batch(encapsulator, NULL, 0, NULL, 0, 0, NULL, NULL, 0, &good));
    CHECK(good == 0);
    CHECK_OK(ipip_parse_batch(NULL, 0, NULL, 0, NULL, 0, NULL));
    CHECK_OK(ipip_decapsulate_batch(NULL, 0, NULL, 0, NULL, NULL, 0, NULL));
    CHECK_OK(ipip_encapsulator_encapsulate_batch(encapsulator, NULL, 0, NULL, 0, 0, NULL, NULL, 0, NULL));
    ipip_encapsulator_free(encapsulator);
}

/* Spans past the end, and ends that no size_t can state, are truncated packets; a good one between them stays good. */
static void spans_past_the_buffer_are_truncated(void) {
    const struct ipip_span spans[] = {span(21, 28), span(SIZE_MAX, 1), span(20, SIZE_MAX), span(SIZE_MAX, SIZE_MAX),
                                      span(20, 28), span(48, 0), span(49, 0)};
    enum { COUNT = sizeof spans / sizeof *spans, GOOD = 4 };
    struct ipip_fields fields[COUNT];
    struct ipip_span found[COUNT];
    uint32_t statuses[COUNT];
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator;
    size_t good = 0;
    uint8_t *octets = (uint8_t *)malloc(48); /* ends where it says, for valgrind and the sanitizer */
    CHECK(octets != NULL);
    memset(octets, 0xa5, 20);
    memcpy(octets + 20, INNER, sizeof INNER);
    CHECK_OK(ipip_encapsulator_new(&outer, &encapsulator));
    CHECK_OK(ipip_encapsulator_encapsulate_batch(encapsulator, octets, 48, spans, COUNT, 7, found, statuses, COUNT, &good));
    ipip_encapsulator_free(encapsulator);
    CHECK(good == 1 && statuses[GOOD] == IPIP_STATUS_OK && found[GOOD].offset == 0 && found[GOOD].len == 48);
    CHECK(octets[4] == 0 && octets[5] == 7 + GOOD);
    for (size_t i = 0; i < GOOD; i++) CHECK(statuses[i] == IPIP_STATUS_TRUNCATED && found[i].len == 0);

    struct ipip_span whole[COUNT];
    memcpy(whole, spans, sizeof spans);
    whole[GOOD] = span(0, 48);
    CHECK_OK(ipip_parse_batch(octets, 48, whole, COUNT, fields, COUNT, &good));
    CHECK(good == 1);
    for (size_t i = 0; i < COUNT; i++)
        CHECK(fields[i].status == (uint32_t)(i == GOOD ? IPIP_STATUS_OK : IPIP_STATUS_TRUNCATED));
    CHECK_OK(ipip_decapsulate_batch(octets, 48, whole, COUNT, found, statuses, COUNT, &good));
    CHECK(good == 1 && found[GOOD].offset == 20 && found[GOOD].len == 28);
    for (size_t i = 0; i < COUNT; i++)
        CHECK(statuses[i] == (uint32_t)(i == GOOD ? IPIP_STATUS_OK : IPIP_STATUS_TRUNCATED));
    free(octets);
}

/* Too little room in front, in the buffer or after the packet before: refused, and nothing around it changes. */
static void packets_too_close_cannot_damage_each_other(void) {
    uint8_t octets[115], before[115];
    struct ipip_span spans[4], found[4];
    uint32_t statuses[4];
    struct ipip_outer outer = tunl0();
    struct ipip_encapsulator *encapsulator;
    size_t good = 0;
    memset(octets, 0xa5, sizeof octets);
    memcpy(octets + 20, INNER, sizeof INNER);
    memcpy(octets + 67, INNER, sizeof INNER); /* 19 octets after it */
    spans[0] = span(20, 28);
    spans[1] = span(67, 28);
    spans[2] = span(20, 28); /* the first again: not in order */
    spans[3] = span(115, 0);
    memcpy(before, octets, sizeof octets);
    CHECK_OK(ipip_encapsulator_new(&outer, &encapsulator));
    CHECK_OK(ipip_encapsulator_encapsulate_batch(encapsulator, octets, 115, spans, 4, 0, found, statuses, 4, &good));
    CHECK(good == 1 && statuses[0] == IPIP_STATUS_OK && statuses[1] == IPIP_STATUS_HEADROOM
          && statuses[2] == IPIP_STATUS_HEADROOM && statuses[3] == IPIP_STATUS_TRUNCATED);
    CHECK(memcmp(octets + 20, before + 20, sizeof octets - 20) == 0);
    spans[0] = span(19, 28);
    CHECK_OK(ipip_encapsulator_encapsulate_batch(encapsulator, octets, 115, spans, 1, 0, found, statuses, 4, &good));
    CHECK(good == 0 && statuses[0] == IPIP_STATUS_HEADROOM && found[0].offset == 0 && found[0].len == 0);
    CHECK(memcmp(octets + 20, before + 20, sizeof octets - 20) == 0);
    ipip_encapsulator_free(encapsulator);
}

/* A bad packet in a batch is no failed call: the last error stays. */
static void bad_packets_leave_the_last_error_alone(void) {
    struct ipip_fields fields;
    struct ipip_span one = span(0, 0);
    char before[256];
    CHECK_STATUS(ipip_parse(NULL, 1, NULL), IPIP_STATUS_NULL_ARGUMENT);
    snprintf(before, sizeof before, "%s", ipip_last_error());
    CHECK_OK(ipip_parse_batch(NULL, 0, &one, 1, &fields, 1, NULL));
    CHECK(fields.status == IPIP_STATUS_TRUNCATED);
    CHECK_TEXT(ipip_last_error(), before);
}

static void structs_have_no_padding(void) {
    CHECK(sizeof(struct ipip_header_fields) == 20 && sizeof(struct ipip_fields) == 44);
    CHECK(offsetof(struct ipip_header_fields, tos) == 16 && offsetof(struct ipip_fields, status) == 40);
    CHECK(sizeof(struct ipip_span) == 2 * sizeof(size_t));
}

int main(void) {
    each_vector("parse", 1, gather);
    each_vector("parse", 0, gather);
    each_vector("decapsulate", 0, gather);
    RUN(every_vector_parses_as_it_does_alone);
    RUN(every_vector_decapsulates_as_it_does_alone);
    RUN(every_inner_packet_is_encapsulated_as_it_is_alone);
    RUN(one_encapsulator_builds_what_encapsulate_builds);
    RUN(an_encapsulator_refuses_what_encapsulate_refuses);
    RUN(outputs_with_too_few_places_are_not_begun);
    RUN(no_packets_need_no_arrays);
    RUN(spans_past_the_buffer_are_truncated);
    RUN(packets_too_close_cannot_damage_each_other);
    RUN(bad_packets_leave_the_last_error_alone);
    RUN(structs_have_no_padding);
    free(buffer);
    return finish();
}
