/* The packet vectors of tests/vectors, whose README says what is in a file. */
#ifndef VECTORS_H
#define VECTORS_H

#include <ctype.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS "tests/vectors"

struct vector {
    char name[64];
    char keys[64][32];
    char values[64][4096];
    size_t pairs_len;
    uint8_t octets[4096];
    size_t octets_len;
};

/* The value of a key, NULL if there is none. */
static inline const char *value_of(const struct vector *vector, const char *key) {
    for (size_t i = 0; i < vector->pairs_len; i++)
        if (strcmp(vector->keys[i], key) == 0) return vector->values[i];
    return NULL;
}

static inline void load(const char *file, struct vector *vector) {
    char line[8192], path[512];
    memset(vector, 0, sizeof *vector);
    sscanf(file, "%63[^.]", vector->name);
    snprintf(path, sizeof path, VECTORS "/%s", file);
    FILE *stream = fopen(path, "r");
    if (!stream) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof line, stream)) {
        size_t i = vector->pairs_len;
        if (i < 64 && sscanf(line, "# %31[^:]: %4095[^\n]", vector->keys[i], vector->values[i]) >= 1) {
            vector->pairs_len++;
            continue;
        }
        char *at = line;
        while (isxdigit((unsigned char)*at) && vector->octets_len < sizeof vector->octets)
            vector->octets[vector->octets_len++] = (uint8_t)strtoul(at, &at, 16), at += *at == ' ';
    }
    fclose(stream);
}

/* Calls `test` with each vector for `call` that is good (or bad); answers how many there were. */
static inline int each_vector(const char *call, int good, void (*test)(const struct vector *)) {
    static struct vector vector;
    struct dirent **files;
    int count = scandir(VECTORS, &files, NULL, alphasort), met = 0;
    for (int i = 0; i < count; i++) {
        if (strstr(files[i]->d_name, ".txt")) {
            load(files[i]->d_name, &vector);
            if (strcmp(value_of(&vector, "call"), call) == 0 && (value_of(&vector, "expect") == NULL) == good) {
                met++;
                test(&vector);
            }
        }
        free(files[i]);
    }
    if (count >= 0) free(files);
    return met;
}

/* Octets as the files write them; the text lasts until the next call. */
static inline char *hex(const uint8_t *octets, size_t len) {
    static char text[2 * 4096 + 1];
    if (len == 0) return strcpy(text, "none");
    for (size_t i = 0; i < len && i < 4096; i++) snprintf(text + 2 * i, 3, "%02x", octets[i]);
    return text;
}

static int fields_checked;

/* One field of a vector is `found`. */
static inline int field_is(const struct vector *vector, const char *layer, const char *name, const char *found) {
    char key[64];
    snprintf(key, sizeof key, "%s%s%s", layer, *layer ? "." : "", name);
    const char *expected = value_of(vector, key);
    fields_checked++;
    if (expected && strcmp(expected, found) == 0) return 1;
    printf("%s: %s is %s, expected %s\n", vector->name, key, found, expected ? expected : "nothing");
    return 0;
}

static inline int number_is(const struct vector *vector, const char *layer, const char *name, const char *format, unsigned found) {
    char text[32];
    snprintf(text, sizeof text, format, found);
    return field_is(vector, layer, name, text);
}

/* "OuterFragment" as "IPIP_STATUS_OUTER_FRAGMENT". */
static inline const char *status_name(const char *error) {
    static char name[64];
    size_t at = (size_t)snprintf(name, sizeof name, "IPIP_STATUS");
    for (; *error && at < sizeof name - 2; error++) {
        if (isupper((unsigned char)*error)) name[at++] = '_';
        name[at++] = (char)toupper((unsigned char)*error);
    }
    name[at] = 0;
    return name;
}

#endif
