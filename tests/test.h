/* SPDX-License-Identifier: MIT */
/* The smallest test harness: a line a test, and the closing line that the runner reads. */
#ifndef TERN_TEST_H
#define TERN_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned test_passed, test_failed, test_skipped;
static unsigned test_faults; /* in the test that runs now */

#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(a, b)   test_check_equal((long long)(a), (long long)(b), #a " == " #b, __FILE__, __LINE__)
#define RUN(test)        test_run(test, #test)
#define SKIP(test, why)  test_skip(#test, why)

/* Counts one, and says whether it is to be told: a test that fails in a loop fails often. Where the first is
 * enough, the program ends. */
static inline bool test_fault(void)
{
#ifdef TEST_QUITS
    exit(1);
#endif
    return test_faults++ < 20;
}

static inline bool test_check(bool good, const char *what, const char *file, int line)
{
    if (!good && test_fault())
        printf("    %s:%d: %s\n", file, line, what);
    return good;
}

static inline bool test_check_equal(long long a, long long b, const char *what, const char *file, int line)
{
    if (a != b && test_fault())
        printf("    %s:%d: %s: %lld, %lld\n", file, line, what, a, b);
    return a == b;
}

static inline void test_print(const char *verdict, const char *name)
{
    printf("%s ", verdict);
    for (; *name != '\0'; name++)
        putchar(*name == '_' ? ' ' : *name);
    putchar('\n');
    fflush(stdout);
}

static inline void test_run(void (*test)(void), const char *name)
{
    test_faults = 0;
    test();
    test_faults == 0 ? test_passed++ : test_failed++;
    test_print(test_faults == 0 ? "ok  " : "FAIL", name);
}

static inline void test_skip(const char *name, const char *why)
{
    test_skipped++;
    test_print("skip", name);
    printf("    %s\n", why);
}

static inline int test_report(void)
{
    printf("%u passed, %u failed", test_passed, test_failed);
    if (test_skipped != 0)
        printf(", %u skipped", test_skipped);
    printf("\n");
    return test_failed == 0 ? 0 : 1;
}

/* The seed of a random test: the first argument, or a fixed one, so that a plain run is the same each
 * time. */
static inline uint64_t test_seed(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261121u;
    printf("seed %" PRIu64 "\n", seed);
    return seed;
}

/* splitmix64, S. Vigna (public domain algorithm). */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#endif
