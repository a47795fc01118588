/* SPDX-License-Identifier: MIT */
/* The log's ring where sectors do not come and go in turn: one that is half erased and given up, one whose head has gone. */
#include "../log_rig.h"
#include "../test.h"

#include "../../core/log_scan.h"
#include "../../core/schema.h"

#include <string.h>

static void start(struct nor *nor, struct rig *rig, uint32_t sector, uint32_t count, uint8_t unit,
                  uint16_t wanted)
{
    nor_open(nor, sector, count, unit);
    rig_open(rig, nor, wanted);
    CHECK_EQ(rig_mount(rig), TERN_OK);
}

static void stop(struct nor *nor, struct rig *rig)
{
    CHECK_EQ(nor->violations, 0);
    if (nor->violations != 0)
        printf("    %s\n", nor->violation);
    rig_close(rig);
    nor_close(nor);
}

static void check(struct rig *rig)
{
    if (!CHECK(rig_check(rig, false)))
        printf("    %s\n", rig->wrong);
}

static void put_one(struct rig *rig)
{
    for (int tries = 0; tries < 9 && rig_service(rig) != TERN_OK; tries++)
        ;
    CHECK_EQ(rig_put(rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(rig), TERN_OK);
}

/* Neither mark nor note stands before the old chunks in its second half: they are no part of the log any more. */
static void chunks_in_a_sector_that_was_half_erased_and_given_up_are_gone(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2)) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 5, unit, 128);
        for (int turn = 0; turn < 2; turn++)
            while (rig.log.newest != (turn == 0 ? 4096 : 0))
                put_one(&rig);
        nor.fault = NOR_HALF;
        nor.bad_sector = 3;
        uint32_t retired = 0;
        for (int i = 0; i < 200; i++) {
            put_one(&rig);
            check(&rig);
            if (i % 10 != 0)
                continue;
            retired += rig.log.stats.retired;
            CHECK_EQ(rig_mount(&rig), TERN_OK);
        }
        CHECK(retired != 0);
        nor.bad_sector = 0;
        for (int i = 0; i < 100; i++)
            put_one(&rig);
        check(&rig);
        stop(&nor, &rig);
    }
}

int main(void)
{
    RUN(chunks_in_a_sector_that_was_half_erased_and_given_up_are_gone);
    return test_report();
}
