/* SPDX-License-Identifier: MIT */
#include "../log_rig.h"
#include "../test.h"

#include <string.h>

static void start(struct nor *nor, struct rig *rig, uint32_t sector, uint32_t count, uint8_t unit, uint16_t wanted)
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

static void an_erased_flash_is_an_empty_log(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 4, 1, 128);
    CHECK_EQ(rig.log.next, 1);
    CHECK_EQ(tern_log_oldest(&rig.log), 1);
    CHECK_EQ(nor.changes, 0);
    CHECK_EQ(rig_put(&rig, 0), TERN_E_FULL);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.next, 2);
    check(&rig);
    stop(&nor, &rig);
}

static void records_survive_clean_starts_in_every_geometry(void)
{
    static const uint32_t sizes[] = {256, 512, 1024, 4096, 65536};
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (unsigned s = 0; s < 5; s++)
            for (uint32_t count = 2; count < 6; count++) {
                struct nor nor;
                struct rig rig;
                start(&nor, &rig, sizes[s], count, unit, s == 0 ? 64 : 160);
                uint64_t random = unit + s + count;
                for (int i = 0; i < 300; i++) {
                    int status = TERN_OK;
                    CHECK_EQ(rig_service(&rig), TERN_OK);
                    for (uint64_t rows = test_random(&random) % 3 + 1; rows != 0 && status == TERN_OK; rows--)
                        status = rig_put(&rig, (unsigned)(test_random(&random) % (s == 0 ? 1 : 3)));
                    if (!CHECK(status == TERN_OK || status == TERN_E_FULL))
                        printf("    %d ready %x at %x newest %x write %x min %u\n", status, rig.log.ready, rig.log.ready_at, rig.log.newest, rig.log.write, rig.log.minimum);
                    CHECK_EQ(rig_commit(&rig), TERN_OK);
                    if (test_random(&random) % 8 == 0)
                        CHECK_EQ(rig_mount(&rig), TERN_OK);
                    if (i % 16 == 0)
                        check(&rig);
                }
                check(&rig);
                if (test_faults != 0)
                    printf("    unit %u size %u count %u\n", unit, sizes[s], count);
                stop(&nor, &rig);
                if (test_faults != 0)
                    return;
            }
}

int main(int argc, char **argv)
{
    (void)test_seed(argc, argv);
    RUN(an_erased_flash_is_an_empty_log);
    RUN(records_survive_clean_starts_in_every_geometry);
    return test_report();
}
