/* SPDX-License-Identifier: MIT */
/* A log on simulated flash for one test: how it begins, is looked at, and ends. */
#ifndef TERN_TESTS_LOG_BENCH_H
#define TERN_TESTS_LOG_BENCH_H

#include "../log_rig.h"
#include "../test.h"

static inline void start(struct nor *nor, struct rig *rig, uint32_t sector, uint32_t count, uint8_t unit,
                         uint16_t wanted)
{
    nor_open(nor, sector, count, unit);
    rig_open(rig, nor, wanted);
    CHECK_EQ(rig_mount(rig), TERN_OK);
}

static inline void stop(struct nor *nor, struct rig *rig)
{
    CHECK_EQ(nor->violations, 0);
    if (nor->violations != 0)
        printf("    %s\n", nor->violation);
    rig_close(rig);
    nor_close(nor);
}

static inline void check(struct rig *rig)
{
    if (!CHECK(rig_check(rig, false)))
        printf("    %s\n", rig->wrong);
}

#endif
