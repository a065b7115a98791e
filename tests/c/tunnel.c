/* A tunnel's ends: what leaves it, what is cut before it enters, what must not enter, what routers inside report. */
#include "check.h"
#include "vectors.h"

/* A copy that ends where the octets do, for valgrind to see a read past it; the caller frees it. */
static uint8_t *exactly(const struct vector *vector) {
    uint8_t *octets = (uint8_t *)malloc(vector->octets_len ? vector->octets_len : 1);
    if (!octets) exit(2);
    memcpy(octets, vector->octets, vector->octets_len);
    return octets;
}

static int is_true(const struct vector *vector, const char *key) {
    return strcmp(value_of(vector, key), "true") == 0;
}

static unsigned long number(const struct vector *vector, const char *key) {
    return strtoul(value_of(vector, key), NULL, 10);
}

/* What an error says, as the vectors write it. */
static const char *error_words(const struct ipip_icmp_error *error) {
    static char words[64];
    char gateway[16];
    switch (error->kind) {
    case IPIP_ICMP_ERROR_KIND_UNREACHABLE: snprintf(words, sizeof words, "unreachable %u", error->code); break;
    case IPIP_ICMP_ERROR_KIND_FRAGMENTATION_NEEDED: snprintf(words, sizeof words, "fragmentation_needed %u", error->mtu); break;
    case IPIP_ICMP_ERROR_KIND_SOURCE_QUENCH: snprintf(words, sizeof words, "source_quench"); break;
    case IPIP_ICMP_ERROR_KIND_REDIRECT:
        if (ipip_ipv4_to_text(&error->gateway, gateway, sizeof gateway, NULL) != IPIP_STATUS_OK) return "";
        snprintf(words, sizeof words, "redirect %u %s", error->code, gateway);
        break;
    case IPIP_ICMP_ERROR_KIND_TIME_EXCEEDED: snprintf(words, sizeof words, "time_exceeded %u", error->code); break;
    case IPIP_ICMP_ERROR_KIND_PARAMETER_PROBLEM:
        snprintf(words, sizeof words, "parameter_problem %u %u", error->code, error->pointer);
        break;
    default: return "";
    }
    return words;
}

static void leaves_as_the_figure_says(const struct vector *vector) {
    static const char *const URGENCIES[] = {"none", "may_log", "should_log"};
    struct ipip_span inner = {77, 77};
    struct ipip_ecn_alarm alarm;
    uint8_t *buffer = exactly(vector);
    enum ipip_status status = ipip_decapsulate_in_place(buffer, vector->octets_len, &inner, &alarm);
    int right = status == IPIP_STATUS_OK && inner.offset == 20 && memcmp(buffer, vector->octets, 20) == 0
             && field_is(vector, "", "packet", hex(buffer + inner.offset, inner.len));
    uint8_t ecn = buffer[21] & 3;
    free(buffer);
    CHECK_OK(status);
    CHECK(right && field_is(vector, "", "alarm", URGENCIES[alarm.urgency]));

    struct ipip_ecn_exit alone;
    uint8_t from = (uint8_t)number(vector, "inner"), through = (uint8_t)number(vector, "outer");
    CHECK_OK(ipip_ecn_at_exit(from, through, &alone));
    CHECK(alone.drop == 0 && alone.alarm.urgency == alarm.urgency);
    CHECK(alone.alarm.inner == alarm.inner && alone.alarm.outer == alarm.outer);
    CHECK(alone.delivered == ecn);
    if (alarm.urgency != IPIP_URGENCY_NONE) CHECK(alarm.inner == from && alarm.outer == through);
}

static void rfc6040_section_4_2_what_leaves_a_tunnel(void) {
    CHECK(each_vector("decapsulate_in_place", 1, leaves_as_the_figure_says) == 15);
}

/* Figure 4 as numbers: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE; 9 is a drop. Rows are inner, columns outer fields. */
static void rfc6040_section_4_2_the_figure(void) {
    static const uint8_t DELIVERED[4][4] = {{0, 0, 0, 9}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    static const int URGENCY[4][4] = {{0, 2, 2, 2}, {0, 0, 1, 0}, {0, 0, 0, 0}, {0, 2, 0, 0}};
    for (uint8_t inner = 0; inner < 4; inner++)
        for (uint8_t outer = 0; outer < 4; outer++) {
            struct ipip_ecn_exit met;
            CHECK_OK(ipip_ecn_at_exit(inner, outer, &met));
            CHECK(met.drop == (DELIVERED[inner][outer] == 9));
            CHECK(met.drop || met.delivered == DELIVERED[inner][outer]);
            CHECK((int)met.alarm.urgency == URGENCY[inner][outer]);
        }
    struct ipip_ecn_exit met;
    CHECK_FAILS(ipip_ecn_at_exit(4, 0, &met), IPIP_STATUS_INVALID_ARGUMENT, "inner is 4, allowed are 0 to 3");
    CHECK_FAILS(ipip_ecn_at_exit(0, 255, &met), IPIP_STATUS_INVALID_ARGUMENT, "outer is 255");
}

static void is_cut_as_scapy_cuts_it(const struct vector *vector) {
    struct ipip_fragments_room needed, again;
    struct ipip_span spans[64];
    uint8_t *packet = exactly(vector);
    uint32_t mtu = (uint32_t)number(vector, "mtu");
    enum ipip_status asked = ipip_fragments_emit(packet, vector->octets_len, mtu, 20, NULL, 0, NULL, 0, &needed);
    uint8_t *buffer = (uint8_t *)malloc(needed.octets);
    memset(buffer, 0xa5, needed.octets);
    enum ipip_status short_of_one = ipip_fragments_emit(packet, vector->octets_len, mtu, 20, buffer, needed.octets - 1, spans, 64, NULL);
    int untouched = 1;
    for (size_t i = 0; i < needed.octets; i++) untouched &= buffer[i] == 0xa5;
    memset(spans, 0, sizeof spans);
    enum ipip_status status = ipip_fragments_emit(packet, vector->octets_len, mtu, 20, buffer, needed.octets, spans, needed.places, &again);
    int same = number_is(vector, "", "count", "%u", (unsigned)needed.places), headroom = 1;
    for (unsigned i = 0; i < needed.places; i++) {
        char key[32];
        snprintf(key, sizeof key, "fragment.%u", i);
        same &= field_is(vector, "", key, hex(buffer + spans[i].offset, spans[i].len));
        for (unsigned j = 1; j <= 20; j++) headroom &= buffer[spans[i].offset - j] == 0xa5;
    }
    /* Ready to be encapsulated, all by one call. */
    struct ipip_outer outer;
    struct ipip_encapsulator *tunnel;
    struct ipip_span packets[64];
    uint32_t statuses[64];
    size_t good = 0;
    memset(&outer, 0, sizeof outer);
    enum ipip_status made = ipip_encapsulator_new(&outer, &tunnel);
    if (made == IPIP_STATUS_OK)
        made = ipip_encapsulator_encapsulate_batch(tunnel, buffer, needed.octets, spans, needed.places, 0, packets, statuses, 64, &good);
    ipip_encapsulator_free(tunnel);
    free(buffer);
    free(packet);
    CHECK(asked == IPIP_STATUS_BUFFER_TOO_SMALL && short_of_one == IPIP_STATUS_BUFFER_TOO_SMALL && untouched);
    CHECK_OK(status);
    CHECK(same && headroom && memcmp(&needed, &again, sizeof needed) == 0 && spans[needed.places].len == 0);
    CHECK_OK(made);
    CHECK(good == needed.places);
}

static void packets_are_cut_as_scapy_cuts_them(void) {
    CHECK(each_vector("fragments", 1, is_cut_as_scapy_cuts_it) >= 8);
}

static void what_a_fragment_says_of_itself(void) {
    const uint8_t piece[29] = {0x45, 0, 0, 29, 0xbe, 0xef, 0x3f, 0xff, 64, 17, 0x22, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73, 1};
    uint8_t octets[29];
    struct ipip_fragment_part part;
    memcpy(octets, piece, sizeof octets);
    octets[10] = octets[11] = 0;
    uint16_t checksum;
    CHECK_OK(ipip_checksum(octets, 20, &checksum));
    octets[10] = (uint8_t)(checksum >> 8);
    octets[11] = (uint8_t)checksum;
    CHECK_OK(ipip_ipv4_fragment(octets, sizeof octets, &part));
    CHECK(part.is_fragment == 1 && part.more_fragments == 1 && part.offset == 65528 && part.len == 9);
    CHECK(part.protocol == 17 && part.identification == 0xbeef);
    CHECK(memcmp(&part.source, octets + 12, 4) == 0 && memcmp(&part.destination, octets + 16, 4) == 0);
    /* DF alone makes no fragment: one word from 0x3fff to 0x4000, the checksum with it. */
    octets[6] = 0x40, octets[7] = 0;
    CHECK_OK(ipip_update_checksum(checksum, 0x3fff, 0x4000, &checksum));
    octets[10] = (uint8_t)(checksum >> 8);
    octets[11] = (uint8_t)checksum;
    CHECK_OK(ipip_ipv4_fragment(octets, sizeof octets, &part));
    CHECK(part.is_fragment == 0 && part.more_fragments == 0 && part.offset == 0 && part.len == 9);
    octets[10] ^= 1;
    CHECK_STATUS(ipip_ipv4_fragment(octets, sizeof octets, &part), IPIP_STATUS_CHECKSUM);
}

static void is_clamped_as_scapy_builds_it(const struct vector *vector) {
    uint8_t *packet = exactly(vector), clamped = 7;
    uint16_t before = 0;
    enum ipip_status status = ipip_clamp_mss(packet, vector->octets_len, (uint32_t)number(vector, "mtu"), &clamped, &before);
    int right = field_is(vector, "", "packet", hex(packet, vector->octets_len));
    free(packet);
    CHECK_OK(status);
    CHECK(right && (clamped ? number_is(vector, "", "before", "%u", before) : field_is(vector, "", "before", "none")));
}

static void segments_are_clamped_as_scapy_builds_them(void) {
    CHECK(each_vector("clamp_mss", 1, is_clamped_as_scapy_builds_it) >= 8);
    uint8_t octets[20] = {0x45};
    CHECK_FAILS(ipip_clamp_mss(octets, sizeof octets, 67, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "tunnel MTU 67");
    CHECK_STATUS(ipip_clamp_mss(octets, 19, 68, NULL, NULL), IPIP_STATUS_TRUNCATED);
}

static void reads_and_is_written_as_scapy_does(const struct vector *vector) {
    struct ipip_icmp_error_view view;
    struct ipip_quoted quoted;
    char text[16];
    uint8_t built[IPIP_MAX_ICMP_ERROR_LEN + 1];
    size_t len;
    uint8_t *message = exactly(vector);
    enum ipip_status status = ipip_icmp_error_parse(message, vector->octets_len, &view);
    free(message);
    CHECK_OK(status);
    CHECK(field_is(vector, "", "error", error_words(&view.error)));
    const uint8_t *about = vector->octets + view.quoted.offset;
    CHECK(field_is(vector, "", "quoted", hex(about, view.quoted.len)));
    CHECK_OK(ipip_quoted_parse(about, view.quoted.len, &quoted));
    CHECK_OK(ipip_ipv4_to_text(&quoted.source, text, sizeof text, NULL));
    CHECK(field_is(vector, "quoted", "source", text));
    CHECK_OK(ipip_ipv4_to_text(&quoted.destination, text, sizeof text, NULL));
    CHECK(field_is(vector, "quoted", "destination", text));
    CHECK(number_is(vector, "quoted", "protocol", "%u", quoted.protocol)
          & field_is(vector, "quoted", "dont_fragment", quoted.dont_fragment ? "true" : "false")
          & number_is(vector, "quoted", "fragment_offset", "%u", quoted.fragment_offset)
          & number_is(vector, "quoted", "total_len", "%u", quoted.total_len)
          & number_is(vector, "quoted", "header_len", "%u", quoted.header_len)
          & field_is(vector, "quoted", "may_be_answered", quoted.may_be_answered ? "true" : "false")
          & field_is(vector, "quoted", "payload", hex(about + quoted.payload.offset, quoted.payload.len)));

    memset(built, 0xa5, sizeof built);
    CHECK_OK(ipip_icmp_error_emit(&view.error, address("172.18.0.9"), about, view.quoted.len, built, sizeof built, &len));
    CHECK(field_is(vector, "", "packet_header", hex(built, 20)));
    CHECK(len == 20 + vector->octets_len && memcmp(built + 20, vector->octets, vector->octets_len) == 0 && built[len] == 0xa5);
    memset(built, 0xa5, sizeof built);
    CHECK_STATUS(ipip_icmp_error_emit(&view.error, address("172.18.0.9"), about, view.quoted.len, built, len - 1, &len), IPIP_STATUS_HEADER_BUFFER);
    CHECK(built[0] == 0xa5);
}

static void icmp_errors_read_and_are_written_as_scapy_does(void) {
    CHECK(each_vector("icmp_error", 1, reads_and_is_written_as_scapy_does) >= 13);
    struct ipip_icmp_error unknown;
    uint8_t octets[100];
    size_t len = 77;
    memset(&unknown, 0, sizeof unknown);
    unknown.kind = 6;
    CHECK_FAILS(ipip_icmp_error_emit(&unknown, address("172.18.0.9"), octets, 20, octets, 0, &len), IPIP_STATUS_INVALID_ARGUMENT,
                "kind is 6, which is no enum ipip_icmp_error_kind");
    CHECK(len == 77);
}

static struct ipip_endpoints ends(const struct vector *vector) {
    struct ipip_endpoints endpoints;
    endpoints.local = address(value_of(vector, "local"));
    endpoints.remote = address(value_of(vector, "remote"));
    return endpoints;
}

static void is_relayed_as_the_rfc_says(const struct vector *vector) {
    static const char *const ACTIONS[] = {"keep", "send", "remember"};
    struct ipip_endpoints endpoints = ends(vector);
    struct ipip_tunnel_error error;
    struct ipip_relay relay;
    struct ipip_relay_context context;
    struct ipip_outer outer;
    uint8_t *message = exactly(vector);
    enum ipip_status status = ipip_tunnel_error_parse(message, vector->octets_len, &endpoints, &error);
    free(message);
    CHECK_OK(status);
    memset(&outer, 0, sizeof outer);
    outer.local = endpoints.local;
    outer.remote = endpoints.remote;
    context.mtu = (uint32_t)number(vector, "context_mtu");
    context.same_network = (uint8_t)is_true(vector, "same_network");
    CHECK_OK(ipip_tunnel_error_relay(&error, &outer, &context, &relay));
    CHECK(field_is(vector, "", "action", ACTIONS[relay.action]));
    CHECK(field_is(vector, "", "told", relay.action == IPIP_RELAY_ACTION_KEEP ? "nothing" : error_words(&relay.error)));
    CHECK(error.has_mtu ? number_is(vector, "", "mtu", "%u", error.mtu) : field_is(vector, "", "mtu", "none"));
    CHECK(field_is(vector, "", "original", hex(vector->octets + error.original.offset, error.original.len)));
    CHECK(error.has_inner == is_true(vector, "inner"));
    CHECK(memcmp(&error.outer.source, &endpoints.local, 4) == 0 && error.outer.header_len == 20);
    if (error.has_inner) CHECK(error.inner.payload.offset == 8 + 20 + 20 && error.inner.source.octets[0] == 10);
}

static void rfc2003_section_4_errors_from_inside_are_relayed(void) {
    CHECK(each_vector("tunnel_error", 1, is_relayed_as_the_rfc_says) == 17);
}

static enum ipip_status call_it(const struct vector *vector, uint8_t *octets) {
    const char *call = value_of(vector, "call");
    size_t len = vector->octets_len;
    struct ipip_span span;
    struct ipip_fragments_room needed;
    struct ipip_icmp_error_view view;
    struct ipip_tunnel_error error;
    if (strcmp(call, "decapsulate_in_place") == 0) return ipip_decapsulate_in_place(octets, len, &span, NULL);
    if (strcmp(call, "fragments") == 0)
        return ipip_fragments_emit(octets, len, (uint32_t)number(vector, "mtu"), 0, NULL, 0, NULL, 0, &needed);
    if (strcmp(call, "icmp_error") == 0) return ipip_icmp_error_parse(octets, len, &view);
    struct ipip_endpoints endpoints = ends(vector);
    return ipip_tunnel_error_parse(octets, len, &endpoints, &error);
}

static void refused(const struct vector *vector) {
    uint8_t *octets = exactly(vector);
    enum ipip_status status = call_it(vector, octets);
    int same = memcmp(octets, vector->octets, vector->octets_len) == 0;
    free(octets);
    CHECK(same);
    CHECK_TEXT(ipip_status_name((uint32_t)status), status_name(value_of(vector, "expect")));
    CHECK_TEXT(ipip_last_error(), value_of(vector, "message"));
}

static void bad_packets_are_refused_with_their_own_status(void) {
    CHECK(each_vector("decapsulate_in_place", 0, refused) == 1);
    CHECK(each_vector("fragments", 0, refused) >= 3);
    CHECK(each_vector("icmp_error", 0, refused) >= 3);
    CHECK(each_vector("tunnel_error", 0, refused) >= 4);
}

/* A packet of 28 octets from one address to another; the same with another TTL. */
static void packet_of(uint8_t *octets, const char *source, const char *destination, uint8_t ttl, uint8_t protocol) {
    struct ipip_ipv4_header header;
    memset(&header, 0, sizeof header);
    header.source = address(source);
    header.destination = address(destination);
    header.ttl = ttl;
    header.protocol = protocol;
    memset(octets + 20, 0, 8);
    if (ipip_ipv4_emit(&header, octets, 28) != IPIP_STATUS_OK) exit(2);
}

static void rfc2003_section_3_1_the_ttl_is_lowered_with_its_checksum(void) {
    uint8_t packet[28], expected[28], left = 0;
    packet_of(packet, "10.244.79.20", "10.244.244.73", 3, 17);
    packet_of(expected, "10.244.79.20", "10.244.244.73", 2, 17);
    CHECK_OK(ipip_lower_ttl(packet, sizeof packet, &left));
    CHECK(left == 2 && memcmp(packet, expected, sizeof packet) == 0);
    CHECK_OK(ipip_lower_ttl(packet, sizeof packet, NULL));
    packet_of(expected, "10.244.79.20", "10.244.244.73", 1, 17);
    CHECK_FAILS(ipip_lower_ttl(packet, sizeof packet, &left), IPIP_STATUS_TTL_EXPIRED, "has TTL 1, allowed are 2 to 255 to be forwarded");
    CHECK(left == 2 && memcmp(packet, expected, sizeof packet) == 0);
    CHECK_STATUS(ipip_lower_ttl(packet, 27, &left), IPIP_STATUS_TRUNCATED);
}

static void rfc1624_section_4_the_example(void) {
    uint16_t checksum = 1;
    CHECK_OK(ipip_update_checksum(0xdd2f, 0x5555, 0x3285, &checksum));
    CHECK(checksum == 0x0000);
}

static void rfc2003_section_3_2_loops_are_refused(void) {
    struct ipip_loop_policy policy, changed;
    struct ipip_endpoints tunnel, circle;
    struct ipip_ipv4 own[2] = {address("10.0.0.9"), address("10.244.79.1")};
    uint8_t packet[28];
    tunnel.local = address("172.18.0.3");
    tunnel.remote = circle.local = circle.remote = address("172.18.0.2");
    CHECK_OK(ipip_loop_policy_default(&policy));
    CHECK(policy.own_source == 1 && policy.exit_source == 1 && policy.exit_destination == 1 && policy.max_depth == 4);

    packet_of(packet, "10.244.79.20", "10.244.244.73", 64, 17);
    CHECK_OK(ipip_loop_policy_check(&policy, &tunnel, packet, sizeof packet, own, 2));
    CHECK_OK(ipip_loop_policy_check(&policy, &tunnel, packet, sizeof packet, NULL, 0));
    CHECK_FAILS(ipip_loop_policy_check(&policy, &circle, packet, sizeof packet, own, 2), IPIP_STATUS_SAME_ENDPOINTS, "from 172.18.0.2 to itself");
    CHECK_STATUS(ipip_loop_policy_check(&policy, &tunnel, packet, 27, own, 2), IPIP_STATUS_TRUNCATED);

    packet_of(packet, "10.244.79.1", "10.244.244.73", 64, 17);
    CHECK_FAILS(ipip_loop_policy_check(&policy, &tunnel, packet, sizeof packet, own, 2), IPIP_STATUS_OWN_SOURCE, "10.244.79.1 is an address of this node");
    changed = policy;
    changed.own_source = 0;
    CHECK_OK(ipip_loop_policy_check(&changed, &tunnel, packet, sizeof packet, own, 2));

    packet_of(packet, "172.18.0.2", "10.244.244.73", 64, 17);
    CHECK_STATUS(ipip_loop_policy_check(&policy, &tunnel, packet, sizeof packet, own, 2), IPIP_STATUS_EXIT_SOURCE);
    changed = policy;
    changed.exit_source = 0;
    CHECK_OK(ipip_loop_policy_check(&changed, &tunnel, packet, sizeof packet, own, 2));

    packet_of(packet, "10.244.79.20", "172.18.0.2", 64, 17);
    CHECK_STATUS(ipip_loop_policy_check(&policy, &tunnel, packet, sizeof packet, own, 2), IPIP_STATUS_EXIT_DESTINATION);
    changed = policy;
    changed.exit_destination = 0;
    CHECK_OK(ipip_loop_policy_check(&changed, &tunnel, packet, sizeof packet, own, 2));

    packet_of(packet, "10.244.79.20", "10.244.244.73", 64, 4); /* in one tunnel already */
    changed.max_depth = 1;
    CHECK_FAILS(ipip_loop_policy_check(&changed, &tunnel, packet, sizeof packet, own, 2), IPIP_STATUS_TUNNEL_DEPTH, "allowed is 1 tunnel at once");
    changed.max_depth = 2;
    CHECK_OK(ipip_loop_policy_check(&changed, &tunnel, packet, sizeof packet, own, 2));
    changed.own_source = 2;
    CHECK_FAILS(ipip_loop_policy_check(&changed, &tunnel, packet, sizeof packet, own, 2), IPIP_STATUS_INVALID_ARGUMENT, "own_source is 2");
}

/* The error of a vector, as a tunnel's entry keeps it. */
static struct ipip_tunnel_error kept;

static void keep_code_4(const struct vector *vector) {
    struct ipip_endpoints endpoints = ends(vector);
    if (strcmp(vector->name, "tunnel_error_rfc2003_4_1_code_4") == 0
        && ipip_tunnel_error_parse(vector->octets, vector->octets_len, &endpoints, &kept) != IPIP_STATUS_OK)
        exit(2);
}

static void rfc2003_section_5_soft_state(void) {
    struct ipip_tunnel_state *state = NULL;
    struct ipip_icmp_error told;
    struct ipip_relay relay;
    uint8_t packet[1481], refused;
    uint32_t mtu = 0;
    each_vector("tunnel_error", 1, keep_code_4);
    CHECK(kept.mtu == 1380);
    CHECK_FAILS(ipip_tunnel_state_new(67, &state), IPIP_STATUS_INVALID_ARGUMENT, "tunnel MTU 67 is outside 68 to 65515");
    CHECK(state == NULL);
    CHECK_OK(ipip_tunnel_state_new(1480, &state));
    CHECK_OK(ipip_tunnel_state_mtu(state, 0, &mtu));
    CHECK(mtu == 1480);
    CHECK_OK(ipip_tunnel_state_learn_mtu(state, &kept, 1000, &mtu));
    CHECK(mtu == 1380);
    CHECK_OK(ipip_tunnel_state_mtu(state, 1000 + IPIP_MTU_LIFETIME_MS - 1, &mtu));
    CHECK(mtu == 1380);
    CHECK_OK(ipip_tunnel_state_mtu(state, 1000 + IPIP_MTU_LIFETIME_MS, &mtu));
    CHECK(mtu == 1480);

    struct ipip_ipv4_header header;
    memset(&header, 0, sizeof header);
    memset(packet, 0, sizeof packet);
    header.ttl = 64;
    header.dont_fragment = 1;
    CHECK_OK(ipip_ipv4_emit(&header, packet, 1381));
    CHECK_OK(ipip_tunnel_state_check(state, packet, sizeof packet, 2000, &refused, &told));
    CHECK(refused == 1 && strcmp(error_words(&told), "fragmentation_needed 1380") == 0);
    CHECK_OK(ipip_ipv4_emit(&header, packet, 1380));
    memset(&told, 0xa5, sizeof told);
    CHECK_OK(ipip_tunnel_state_check(state, packet, sizeof packet, 2000, &refused, &told));
    CHECK(refused == 0 && told.kind == 0xa5a5a5a5); /* written only where there is something to tell */

    memset(&relay, 0, sizeof relay);
    relay.action = IPIP_RELAY_ACTION_REMEMBER;
    relay.error.code = 1;
    CHECK_OK(ipip_tunnel_state_remember(state, &relay, 3000));
    CHECK_OK(ipip_tunnel_state_check(state, packet, sizeof packet, 3000 + IPIP_UNREACHABLE_LIFETIME_MS - 1, &refused, &told));
    CHECK(refused == 1 && strcmp(error_words(&told), "unreachable 1") == 0);
    CHECK_OK(ipip_tunnel_state_check(state, packet, sizeof packet, 4000, &refused, &told));
    CHECK(refused == 0);
    CHECK_OK(ipip_tunnel_state_remember(state, &relay, 3000));
    CHECK_OK(ipip_tunnel_state_check(state, packet, sizeof packet, 3000 + IPIP_UNREACHABLE_LIFETIME_MS, &refused, &told));
    CHECK(refused == 0);
    relay.action = 3;
    CHECK_FAILS(ipip_tunnel_state_remember(state, &relay, 0), IPIP_STATUS_INVALID_ARGUMENT, "action is 3");
    CHECK_STATUS(ipip_tunnel_state_check(state, packet, 19, 0, &refused, &told), IPIP_STATUS_TRUNCATED);
    kept.error.kind = 9;
    CHECK_FAILS(ipip_tunnel_state_learn_mtu(state, &kept, 0, NULL), IPIP_STATUS_INVALID_ARGUMENT, "kind is 9");
    kept.error.kind = 0;
    kept.outer.fragment_offset = 8192;
    CHECK_STATUS(ipip_tunnel_state_learn_mtu(state, &kept, 0, NULL), IPIP_STATUS_FRAGMENT_OFFSET);
    ipip_tunnel_state_free(state);
}

int main(void) {
    RUN(rfc6040_section_4_2_what_leaves_a_tunnel);
    RUN(rfc6040_section_4_2_the_figure);
    RUN(packets_are_cut_as_scapy_cuts_them);
    RUN(segments_are_clamped_as_scapy_builds_them);
    RUN(what_a_fragment_says_of_itself);
    RUN(icmp_errors_read_and_are_written_as_scapy_does);
    RUN(rfc2003_section_4_errors_from_inside_are_relayed);
    RUN(bad_packets_are_refused_with_their_own_status);
    RUN(rfc2003_section_3_1_the_ttl_is_lowered_with_its_checksum);
    RUN(rfc1624_section_4_the_example);
    RUN(rfc2003_section_3_2_loops_are_refused);
    RUN(rfc2003_section_5_soft_state);
    return finish();
}
