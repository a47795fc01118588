/* SPDX-License-Identifier: MIT */
/* The same scenario again and again, with one more call that works each time until none fails any more. */
#ifndef TERN_FAIL_EACH_H
#define TERN_FAIL_EACH_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../test.h"
#include "fail.h"

struct fail_scenario {
    const char *name;
    unsigned groups;
    enum fail_how how;
    bool strides;          /* not every call: each FAIL_STRIDE-th (environment; 17 without it) */
    void (*prepare)(void); /* without faults */
    void (*act)(void);     /* with them; checks nothing that a fault may change */
    void (*inspect)(void); /* without again: what must hold whatever failed */
};

static inline unsigned fail_stride(void)
{
    const char *given = getenv("FAIL_STRIDE");
    unsigned stride = given == NULL ? 17 : (unsigned)strtoul(given, NULL, 10);
    return stride == 0 ? 1 : stride;
}

/* Runs it. The test fails when hardly any call was counted: the scenario does not reach what it is about. */
static inline void fail_each(const struct fail_scenario *scenario)
{
    unsigned nth = 1, stride = scenario->strides ? fail_stride() : 1, before = test_faults;
    bool has_input = fcntl(STDIN_FILENO, F_GETFD) >= 0;
    for (bool happened = true; happened; nth += stride) {
        fail_off(true);
        scenario->prepare();
        fail_off(false);
        fail_at(scenario->groups, scenario->how, nth);
        scenario->act();
        happened = fail_end();
        scenario->inspect();
        CHECK((fcntl(STDIN_FILENO, F_GETFD) >= 0) == has_input); /* what is not tern's own is not closed */
        if (test_faults != before) {
            printf("    %s: call %u\n", scenario->name, nth);
            return;
        }
    }
    CHECK(nth > 1 + stride);
}

/* A folder in memory where the machine has one: these tests are about calls, not about disks. */
static inline void fail_folder(char path[64])
{
    strcpy(path, "/dev/shm/tern-test-XXXXXX");
    if (mkdtemp(path) == NULL)
        path[0] = '\0';
}

#endif
