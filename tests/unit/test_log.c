/* SPDX-License-Identifier: MIT */
#include "../log_rig.h"
#include "../test.h"

#include "../../core/log_scan.h"

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
            for (uint32_t count = 2; count < 6 && sizes[s] >= unit * 32u; count++) {
                struct nor nor;
                struct rig rig;
                start(&nor, &rig, sizes[s], count, unit, s == 0 ? 64 : 160);
                uint64_t random = unit + s + count;
                for (int i = 0; i < 300; i++) {
                    int status = TERN_OK;
                    CHECK_EQ(rig_service(&rig), TERN_OK);
                    for (uint64_t rows = s == 0 ? 1 : test_random(&random) % 3 + 1;
                         rows != 0 && status == TERN_OK; rows--)
                        status = rig_put(&rig, (unsigned)(test_random(&random) % (s == 0 ? 1 : 3)));
                    CHECK(status == TERN_OK || status == TERN_E_FULL);
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

static void put_one(struct rig *rig)
{
    CHECK_EQ(rig_service(rig), TERN_OK);
    CHECK_EQ(rig_put(rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(rig), TERN_OK);
}

static void a_thousand_starts_without_a_record_change_nothing(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 3, 8, 128);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    put_one(&rig);
    nor_start(&nor);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig_service(&rig), TERN_OK);
    }
    CHECK_EQ(nor.changes, 0);
    check(&rig);
    stop(&nor, &rig);
}

static void a_start_for_each_record_costs_one_unit(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2)) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 4096, 3, unit, 512);
        put_one(&rig);
        for (int i = 0; i < 20; i++) {
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            uint32_t before = rig.log.write;
            put_one(&rig);
            CHECK_EQ(rig.log.write, before + unit + rig.chunk.size);
        }
        check(&rig);
        stop(&nor, &rig);
    }
}

static void mount_reads_no_more_than_is_documented(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 16, 4, 256);
    for (int i = 0; i < 3000; i++)
        put_one(&rig);
    nor_start(&nor);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(nor.bytes[NOR_READ] < 16 * 4 * 256 + 3 * 4096 + 8256);
    CHECK_EQ(nor.changes, 0);
    stop(&nor, &rig);
}

/* What each call may do, as LOG.md says. */
static void every_call_keeps_to_its_number_of_port_calls(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 8, 256);
    for (int i = 0; i < 400; i++) {
        int status;
        do {
            nor_start(&nor);
            status = tern_log_service(&rig.log, true);
            CHECK(nor.counts[NOR_PROGRAM] + nor.counts[NOR_ERASE] <= 3 && nor.counts[NOR_ERASE] <= 1);
            CHECK(nor.counts[NOR_ERASE] == 0 || nor.counts[NOR_PROGRAM] == 0);
        } while (status == TERN_AGAIN);
        nor_start(&nor);
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        CHECK_EQ(nor.changes, 0);
        bool is_same = (rig.log.flags & LOG_PLACED) != 0;
        CHECK_EQ(rig_commit(&rig), TERN_OK);
        CHECK_EQ(nor.counts[NOR_ERASE], 0);
        CHECK(nor.counts[NOR_PROGRAM] <= (is_same ? 2u : 2u + 1 + 4 + 2));
        nor_start(&nor);
        uint32_t oldest = tern_log_oldest(&rig.log);
        tern_log_acknowledge(&rig.log, oldest, 1);
        CHECK_EQ(nor.changes, 0);
    }
    stop(&nor, &rig);
}

static void the_oldest_are_dropped_and_counted(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk found;
    start(&nor, &rig, 512, 3, 1, 128);
    for (int i = 0; i < 500; i++)
        put_one(&rig);
    check(&rig);
    uint32_t oldest = tern_log_oldest(&rig.log);
    CHECK(oldest > 1);
    CHECK_EQ(rig.log.stats.dropped, oldest - 1);
    found.address = TERN_NO_ADDRESS;
    CHECK_EQ(tern_log_find(&rig.log, 1, &found), TERN_OK);
    CHECK_EQ(found.first, oldest);
    CHECK_EQ(found.reason, 1);
    CHECK_EQ(nor.erases[0] + nor.erases[1] + nor.erases[2], rig.log.stats.erases);
    CHECK(nor.erases[0] - nor.erases[2] <= 1);
    stop(&nor, &rig);
}

static void a_full_log_refuses_until_it_is_acknowledged(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk found;
    start(&nor, &rig, 512, 3, 1, 128);
    rig.drop = false;
    int status = TERN_OK;
    while (status == TERN_OK) {
        CHECK_EQ(rig_service(&rig), TERN_OK);
        status = rig_put(&rig, 0);
        if (status == TERN_OK)
            CHECK_EQ(rig_commit(&rig), TERN_OK);
    }
    CHECK_EQ(status, TERN_E_FULL);
    check(&rig);
    uint32_t last = rig.log.next;
    rig_acknowledge(&rig, 2);
    rig.refused = 2;
    put_one(&rig);
    found.address = TERN_NO_ADDRESS;
    CHECK_EQ(tern_log_find(&rig.log, last, &found), TERN_OK);
    CHECK_EQ(found.first, last + 2);
    CHECK_EQ(found.reason, 2);
    stop(&nor, &rig);
}

static void acknowledged_records_stay_until_their_space_is_needed(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 4, 128);
    for (int i = 0; i < 75; i++)
        put_one(&rig);
    rig_acknowledge(&rig, 0);
    for (int i = 0; i < 75; i++)
        put_one(&rig);
    CHECK_EQ(tern_log_oldest(&rig.log), 1);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.acked > 1);
    CHECK_EQ(rig.log.store, 0x1122334455667788);
    check(&rig);
    stop(&nor, &rig);
}

static void an_epoch_lasts_and_a_third_waits(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 4, 128);
    put_one(&rig);
    CHECK_EQ(tern_log_set_epoch(&rig.log, 8, 1), TERN_OK);
    put_one(&rig);
    CHECK_EQ(tern_log_set_epoch(&rig.log, 16, 2), TERN_OK);
    put_one(&rig);
    CHECK_EQ(tern_log_set_epoch(&rig.log, 24, 3), TERN_E_FULL);
    rig.epoch = 16;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.epochs[0].epoch, 16);
    CHECK_EQ(rig.log.epochs[0].base, 2);
    CHECK_EQ(rig.log.epochs[1].epoch, 8);
    CHECK_EQ(rig.log.epochs[1].base, 1);
    check(&rig);
    tern_log_acknowledge(&rig.log, 2, 1);
    CHECK_EQ(tern_log_set_epoch(&rig.log, 24, 3), TERN_OK);
    CHECK_EQ(rig.log.epochs[1].epoch, 16);
    check(&rig);
    stop(&nor, &rig);
}

static void another_version_lane_or_unit_is_refused_and_untouched(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log log;
    start(&nor, &rig, 512, 3, 4, 128);
    put_one(&rig);
    nor_start(&nor);
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 1), TERN_E_FORMAT);
    nor.flash.program_unit = 8;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_E_FORMAT);
    nor.flash.program_unit = 4;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(nor.changes, 0);
    stop(&nor, &rig);
}

static void an_impossible_geometry_is_refused_with_what_is_needed(void)
{
    struct nor nor;
    struct tern_log log;
    nor_open(&nor, 512, 3, 1);
    static const uint32_t bad[][3] = {{64, 4, 1},        {500, 4, 8},        {512, 1, 1},
                                      {524288, 4, 1},    {262144, 16384, 1}, {200000, 30000, 1},
                                      {512, 8388608, 1}, {128, 4, 32}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nor.flash.sector_size = bad[i][0];
        nor.flash.sector_count = bad[i][1];
        nor.flash.program_unit = (uint8_t)bad[i][2];
        CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_E_GEOMETRY);
    }
    CHECK_EQ(log.minimum, 256); /* unit 32 */
    nor.flash.program_unit = 3;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_E_GEOMETRY);
    CHECK_EQ(nor.counts[NOR_READ], 0);
    nor.flash.sector_size = 512;
    nor.flash.sector_count = 3;
    nor.flash.program_unit = 1;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(tern_log_open(&log, &rig_tables[0], 1, 4000, 2000), TERN_E_TOO_BIG);
    CHECK(log.minimum > 2000 && log.minimum < 2200);
    nor_close(&nor);
}

static void a_batch_larger_than_the_log_is_refused(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 3, 1, 128);
    put_one(&rig);
    rig.in_batch = true;
    int status = TERN_OK;
    for (int i = 0; i < 1000 && status == TERN_OK; i++) {
        status = rig_service(&rig);
        if (status == TERN_OK)
            status = rig_put(&rig, 0);
        if (status == TERN_E_FULL)
            status = rig_service(&rig);
    }
    CHECK_EQ(status, TERN_E_TOO_BIG);
    rig_abort(&rig);
    check(&rig);
    put_one(&rig);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    stop(&nor, &rig);
}

static void a_bad_sector_is_gone_round(void)
{
    for (unsigned fault = NOR_ERROR; fault <= NOR_HALF; fault++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 512, 4, 1, 128);
        nor.fault = (enum nor_fault)fault;
        nor.busy = 2;
        for (int i = 0; i < 300; i++) {
            nor.bad_sector = i < 10 ? 0 : 3;
            for (int tries = 0; tries < 9 && rig_service(&rig) != TERN_OK; tries++)
                ;
            CHECK_EQ(rig_put(&rig, 0), TERN_OK);
            CHECK_EQ(rig_commit(&rig), TERN_OK);
        }
        CHECK(rig.log.stats.retired != 0);
        check(&rig);
        nor.bad_sector = 0;
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        check(&rig);
        stop(&nor, &rig);
    }
}

static void a_segment_is_known_by_its_crc(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t crc, other;
    start(&nor, &rig, 1024, 3, 1, 256);
    for (int i = 0; i < 10; i++)
        put_one(&rig);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 6, &crc), TERN_OK);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 7, &other), TERN_OK);
    CHECK(crc != other);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 12, &crc), TERN_AGAIN);
    stop(&nor, &rig);
}

static void a_log_at_the_end_of_its_sequences_stores_no_more(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 3, 1, 128);
    put_one(&rig);
    rig.log.next = rig.log.pending = 0xFFFFFFF0u;
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[0], 1, 64, 32), TERN_E_FULL);
    stop(&nor, &rig);
}

/* ---- Flash images of format 1: later code must read them ------------------------------------------------------------------ */

static void make_golden(struct nor *nor, struct rig *rig, uint8_t unit)
{
    start(nor, rig, 512, 4, unit, 128);
    for (int i = 0; i < 60; i++) {
        put_one(rig);
        if (i % 20 == 10)
            CHECK_EQ(rig_put(rig, 1), TERN_OK);
        if (i % 16 == 8)
            CHECK_EQ(rig_mount(rig), TERN_OK);
        if (i == 30) {
            rig_acknowledge(rig, 4);
            CHECK_EQ(tern_log_set_epoch(&rig->log, 0x0B000000, rig->log.next), TERN_OK);
            rig->epoch = 0x0B000000;
        }
    }
    CHECK_EQ(rig_service(rig), TERN_OK);
}

static void images_of_the_first_format_are_read(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 8)) {
        struct nor nor;
        struct rig rig;
        char path[64];
        make_golden(&nor, &rig, unit);
        snprintf(path, sizeof(path), "tests/golden/log-unit%u.bin", unit);
        if (getenv("MAKE_GOLDEN") != NULL) {
            FILE *out = fopen(path, "wb");
            CHECK(out != NULL && fwrite(nor.cells, 1, nor.size, out) == nor.size && fclose(out) == 0);
        }
        FILE *in = fopen(path, "rb");
        if (CHECK(in != NULL)) {
            CHECK_EQ(fread(nor.cells, 1, nor.size, in), nor.size);
            fclose(in);
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            CHECK_EQ(rig.log.next, 64);
            CHECK_EQ(rig.log.epochs[0].epoch, 0x0B000000);
            check(&rig);
        }
        stop(&nor, &rig);
    }
}

int main(int argc, char **argv)
{
    (void)test_seed(argc, argv);
    RUN(an_erased_flash_is_an_empty_log);
    RUN(records_survive_clean_starts_in_every_geometry);
    RUN(a_thousand_starts_without_a_record_change_nothing);
    RUN(a_start_for_each_record_costs_one_unit);
    RUN(mount_reads_no_more_than_is_documented);
    RUN(every_call_keeps_to_its_number_of_port_calls);
    RUN(the_oldest_are_dropped_and_counted);
    RUN(a_full_log_refuses_until_it_is_acknowledged);
    RUN(acknowledged_records_stay_until_their_space_is_needed);
    RUN(an_epoch_lasts_and_a_third_waits);
    RUN(another_version_lane_or_unit_is_refused_and_untouched);
    RUN(an_impossible_geometry_is_refused_with_what_is_needed);
    RUN(a_batch_larger_than_the_log_is_refused);
    RUN(a_bad_sector_is_gone_round);
    RUN(a_segment_is_known_by_its_crc);
    RUN(a_log_at_the_end_of_its_sequences_stores_no_more);
    RUN(images_of_the_first_format_are_read);
    return test_report();
}
