/* The frames of tests/vectors/capture/frames.txt, and files to put them in. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdint.h>

#include "check.h"

/* 12:34:56.789012 on the first day, with nanoseconds that tcpdump's line cuts off. */
#define FRAME_TIME 45296789012999u

struct frame_vector {
    char name[128];
    char line[1024];
    struct ipip_frame frame;
    uint8_t octets[4096];
};

static inline void add_octets(struct frame_vector *vector, const char *line) {
    char *end;
    for (;; line = end) {
        unsigned long octet = strtoul(line, &end, 16);
        if (end == line || vector->frame.octets_len == sizeof vector->octets) return;
        vector->octets[vector->frame.octets_len++] = (uint8_t)octet;
    }
}

/* Calls `test` with each frame; answers how many there were. */
static inline int each_frame(void (*test)(const struct frame_vector *)) {
    static struct frame_vector vector;
    char line[4096];
    int met = 0;
    FILE *stream = fopen("tests/vectors/capture/frames.txt", "r");
    if (!stream) {
        perror("tests/vectors/capture/frames.txt");
        exit(2);
    }
    for (;;) {
        char *more = fgets(line, sizeof line, stream);
        if (more) line[strcspn(line, "\n")] = 0;
        if (!more || !*line) {
            if (*vector.name) met++, test(&vector);
            memset(&vector, 0, sizeof vector);
            vector.frame.octets = vector.octets;
            vector.frame.time_ns = FRAME_TIME;
            if (!more) break;
        } else if (strncmp(line, "name: ", 6) == 0) {
            snprintf(vector.name, sizeof vector.name, "%.127s", line + 6);
        } else if (strncmp(line, "link: ", 6) == 0) {
            vector.frame.link_type = (uint32_t)strtoul(line + 6, NULL, 10);
        } else if (strncmp(line, "tcpdump: ", 9) == 0) {
            /* tcpdump looks for the interface on its own host; we print the index. */
            const char *unknown = "?     ", *known = strncmp(line + 9, unknown, 6) == 0 ? "if424242 " : "";
            snprintf(vector.line, sizeof vector.line, "12:34:56.789012 %s%.900s", known, line + 9 + (*known ? 6 : 0));
        } else if (strncmp(line, "wire: ", 6) == 0) {
            vector.frame.original_len = strtoul(line + 6, NULL, 10);
        } else if (*line != '#') {
            add_octets(&vector, line);
        }
    }
    fclose(stream);
    return met;
}

/* A file of this process, removed at its end. */
static char file_path[64];

static inline void remove_file(void) {
    unlink(file_path);
}

static inline const char *file(void) {
    if (!*file_path) {
        snprintf(file_path, sizeof file_path, "/tmp/ipip-c-%d.pcap", (int)getpid());
        atexit(remove_file);
    }
    return file_path;
}

/* Fills the file with these octets. */
static inline void fill_file(const void *octets, size_t len) {
    FILE *stream = fopen(file(), "wb");
    if (!stream || fwrite(octets, 1, len, stream) != len || fclose(stream) != 0) {
        perror(file());
        exit(2);
    }
}

#endif
