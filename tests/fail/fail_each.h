/* SPDX-License-Identifier: MIT */
/* The same scenario again and again, with one more call that works each time until none fails any more. */
#ifndef TERN_FAIL_EACH_H
#define TERN_FAIL_EACH_H

#include <stdlib.h>
#include <string.h>

#include "../test.h"
#include "fail.h"

struct fail_scenario {
    const char *name;
    unsigned groups;
    enum fail_how how;
    unsigned
        dense; /* so many calls fail one after the other, and then every seventh; 0: each. FAIL_ALL=1: each */
    void (*prepare)(void); /* without faults */
    void (*act)(void);     /* with them; checks nothing that a fault may change */
    void (*inspect)(void); /* without again: what must hold whatever failed */
};

/* Runs it. The test fails when no call was counted: the scenario does not reach what it is about. */
static inline void fail_each(const struct fail_scenario *scenario)
{
    unsigned nth = 1, dense = getenv("FAIL_ALL") != NULL ? 0 : scenario->dense, before = test_faults;
    for (bool happened = true; happened; nth += dense != 0 && nth >= dense ? 7 : 1) {
        fail_off(true);
        scenario->prepare();
        fail_off(false);
        fail_at(scenario->groups, scenario->how, nth);
        scenario->act();
        happened = fail_end();
        scenario->inspect();
        if (test_faults != before) {
            printf("    %s: call %u\n", scenario->name, nth);
            return;
        }
    }
    if (getenv("FAIL_SHOW") != NULL)
        printf("    %s: %u calls\n", scenario->name, nth - 1);
    CHECK(nth > 3);
}

/* A folder in memory where the machine has one: these tests are about calls, not about disks. */
static inline void fail_folder(char folder[64])
{
    strcpy(folder, "/dev/shm/tern-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        folder[0] = '\0';
}

#endif
