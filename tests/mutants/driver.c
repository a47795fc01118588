/* SPDX-License-Identifier: MIT */
/* One program of all the tests that may notice a mutant of core/: `driver MUTANT TEST MILLISECONDS [ARGUMENT
 * ...]`. Mutant 0 is none. A test that takes longer, of
 * the processor's time, is killed: a loop that does not end has been noticed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

unsigned tern_mutant; /* the number of the one that runs */

#define TEST(name) int name(int argc, char **argv);
#include "tests.h"
#undef TEST

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} tests[] = {
#define TEST(name) {#name, name},
#include "tests.h"
};

int main(int argc, char **argv)
{
    struct rlimit memory = {1u << 30, 1u << 30}, none = {0, 0}, seconds;
    struct itimerval limit = {{0, 0}, {0, 0}};
    if (argc < 4)
        return 2;
    tern_mutant = (unsigned)strtoul(argv[1], NULL, 10);
    long milliseconds = strtol(argv[3], NULL, 10);
    limit.it_value.tv_sec = milliseconds / 1000;
    limit.it_value.tv_usec = milliseconds % 1000 * 1000;
    seconds.rlim_cur = seconds.rlim_max = (rlim_t)(milliseconds / 1000 + 2); /* children, too */
    setrlimit(RLIMIT_CPU, &seconds);
    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_AS, &memory);
#else
    (void)memory;
#endif
    setitimer(ITIMER_PROF, &limit, NULL);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (strcmp(tests[i].name, argv[2]) == 0)
            return tests[i].main(argc - 3, argv + 3);
    fprintf(stderr, "driver: there is no test %s\n", argv[2]);
    return 2;
}
