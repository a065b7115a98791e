/*
 * A test is a function without parameters; CHECK ends it at the first thing that is wrong.
 *
 *     static void two_is_even(void) { CHECK(2 % 2 == 0); }
 *     int main(void) { RUN(two_is_even); return finish(); }
 *
 * Each test prints "ok NAME", "FAIL NAME" or "skipped: NAME: REASON".
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipip.h"

static int passed_count, failed_count, skipped_count;
static int this_failed;
static const char *this_skipped;

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                     \
            this_failed = 1;                                                                   \
            return;                                                                            \
        }                                                                                      \
    } while (0)

#define CHECK_STATUS(call, expected)                                                           \
    do {                                                                                       \
        if (!status_is(__FILE__, __LINE__, #call, call, expected)) {                           \
            this_failed = 1;                                                                   \
            return;                                                                            \
        }                                                                                      \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, IPIP_STATUS_OK)

/* The call fails with this status, and the last error has this text in it. */
#define CHECK_FAILS(call, expected, part)                                                      \
    do {                                                                                       \
        CHECK_STATUS(call, expected);                                                          \
        CHECK_PART(ipip_last_error(), part);                                                   \
    } while (0)

#define CHECK_TEXT(found, expected)                                                            \
    do {                                                                                       \
        if (!text_is(__FILE__, __LINE__, found, expected, 1)) {                                \
            this_failed = 1;                                                                   \
            return;                                                                            \
        }                                                                                      \
    } while (0)

#define CHECK_PART(found, part)                                                                \
    do {                                                                                       \
        if (!text_is(__FILE__, __LINE__, found, part, 0)) {                                    \
            this_failed = 1;                                                                   \
            return;                                                                            \
        }                                                                                      \
    } while (0)

#define SKIP(reason)                                                                           \
    do {                                                                                       \
        this_skipped = reason;                                                                 \
        return;                                                                                \
    } while (0)

#define NEEDS_ROOT()                                                                           \
    do {                                                                                       \
        if (geteuid() != 0) SKIP("needs root");                                                \
    } while (0)

#define RUN(test) run_test(#test, test)

static inline int status_is(const char *file, int line, const char *call, enum ipip_status found,
                            enum ipip_status expected) {
    if (found == expected) return 1;
    printf("%s:%d: %s\n    is %s, expected %s; last error: %s\n", file, line, call,
           ipip_status_name((uint32_t)found), ipip_status_name((uint32_t)expected), ipip_last_error());
    return 0;
}

static inline int text_is(const char *file, int line, const char *found, const char *expected, int whole) {
    if (whole ? strcmp(found, expected) == 0 : strstr(found, expected) != NULL) return 1;
    printf("%s:%d: found    \"%s\"\n    expected %s\"%s\"\n", file, line, found, whole ? "" : "in it ", expected);
    return 0;
}

static inline void run_test(const char *name, void (*test)(void)) {
    this_failed = 0;
    this_skipped = NULL;
    test();
    if (this_failed) {
        failed_count++;
        printf("FAIL %s\n", name);
    } else if (this_skipped) {
        skipped_count++;
        printf("skipped: %s: %s\n", name, this_skipped);
    } else {
        passed_count++;
        printf("ok %s\n", name);
    }
    fflush(stdout);
}

/* Ends main: the counts for `run`, and the exit code. */
static inline int finish(void) {
    printf("counts: %d %d %d\n", passed_count, failed_count, skipped_count);
    return failed_count ? 1 : 0;
}

static inline struct ipip_ipv4 address(const char *text) {
    struct ipip_ipv4 result;
    if (ipip_ipv4_from_text(text, &result) != IPIP_STATUS_OK) {
        printf("the test itself is wrong: %s\n", ipip_last_error());
        exit(2);
    }
    return result;
}

static inline struct ipip_prefix prefix(const char *text) {
    struct ipip_prefix result;
    if (ipip_prefix_from_text(text, &result) != IPIP_STATUS_OK) {
        printf("the test itself is wrong: %s\n", ipip_last_error());
        exit(2);
    }
    return result;
}

static inline struct ipip_attribute owner(const char *handle) {
    struct ipip_attribute attribute;
    memset(&attribute, 0, sizeof attribute);
    attribute.handle = handle;
    return attribute;
}

#endif
