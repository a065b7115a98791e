/* The C side of benches/wire_c.rs, which calls it as a library: the loops of a C program around libipip. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipip.h"

/* Packets in one buffer and room for what a batch finds; the Rust side works on the same memory. */
struct work {
    uint8_t *buffer;
    size_t buffer_len;
    const struct ipip_span *packets; /* whole ones */
    const struct ipip_span *inner;   /* those within them */
    size_t packets_len;
    struct ipip_fields *fields;
    struct ipip_span *found;
    uint32_t *statuses;
};

uint64_t bench_parse(const struct work *work);
uint64_t bench_parse_batch(const struct work *work);
uint64_t bench_decapsulate(const struct work *work);
uint64_t bench_decapsulate_batch(const struct work *work);
uint64_t bench_encapsulate(const struct work *work);
uint64_t bench_encapsulate_batch(const struct work *work);

/* One tunnel for the whole run, as a program has it. */
static struct ipip_encapsulator *tunnel;

__attribute__((constructor)) static void open_tunnel(void) {
    struct ipip_outer outer;
    memset(&outer, 0, sizeof outer);
    if (ipip_ipv4_from_text("172.18.0.3", &outer.local) || ipip_ipv4_from_text("172.18.0.2", &outer.remote)
        || ipip_encapsulator_new(&outer, &tunnel))
        abort();
}

__attribute__((destructor)) static void close_tunnel(void) { ipip_encapsulator_free(tunnel); }

static uint32_t number(struct ipip_ipv4 address) {
    uint8_t octets[4];
    memcpy(octets, &address, 4);
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

/* What a caller reads from a packet, as the Rust side mixes it. */
static uint64_t mix(const struct ipip_packet *packet) {
    uint32_t source = number(packet->inner.header.source);
    uint32_t addresses = number(packet->outer.header.source) ^ number(packet->outer.header.destination)
                         ^ (source << 7 | source >> 25) ^ number(packet->inner.header.destination);
    return addresses + (2 * (uint64_t)packet->inner.packet.offset + packet->inner.packet.len);
}

uint64_t bench_parse(const struct work *work) {
    uint64_t sum = 0;
    for (size_t i = 0; i < work->packets_len; i++) {
        struct ipip_packet packet;
        struct ipip_span span = work->packets[i];
        if (ipip_parse(work->buffer + span.offset, span.len, &packet) == IPIP_STATUS_OK) sum ^= mix(&packet);
    }
    return sum;
}

uint64_t bench_parse_batch(const struct work *work) {
    size_t good = 0;
    ipip_parse_batch(work->buffer, work->buffer_len, work->packets, work->packets_len, work->fields, work->packets_len,
                     &good);
    return good;
}

uint64_t bench_decapsulate(const struct work *work) {
    uint64_t sum = 0;
    for (size_t i = 0; i < work->packets_len; i++) {
        struct ipip_span inner, span = work->packets[i];
        if (ipip_decapsulate(work->buffer + span.offset, span.len, &inner) == IPIP_STATUS_OK) sum += inner.len;
    }
    return sum;
}

uint64_t bench_decapsulate_batch(const struct work *work) {
    size_t good = 0;
    ipip_decapsulate_batch(work->buffer, work->buffer_len, work->packets, work->packets_len, work->found, work->statuses,
                           work->packets_len, &good);
    return good;
}

uint64_t bench_encapsulate(const struct work *work) {
    uint64_t sum = 0;
    for (size_t i = 0; i < work->packets_len; i++) {
        struct ipip_span packet, span = work->packets[i];
        if (ipip_encapsulator_encapsulate(tunnel, work->buffer + span.offset, span.len, IPIP_HEADER_LEN, &packet)
            == IPIP_STATUS_OK)
            sum += packet.len;
    }
    return sum;
}

uint64_t bench_encapsulate_batch(const struct work *work) {
    size_t good = 0;
    ipip_encapsulator_encapsulate_batch(tunnel, work->buffer, work->buffer_len, work->inner, work->packets_len, 0,
                                        work->found, work->statuses, work->packets_len, &good);
    return good;
}
