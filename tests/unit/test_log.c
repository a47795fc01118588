/* SPDX-License-Identifier: MIT */
#include "log_bench.h"

#include "../../core/frame.h"
#include "../../core/log_scan.h"
#include "../../core/schema.h"

#include <string.h>

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
    static const uint32_t sizes[] = {128, 192, 256, 512, 1024, 4096, 65536, 262144};
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (unsigned s = 0; s < 8; s++)
            for (uint32_t count = 2; count < 6 && (s == 0 ? unit <= 4 : s < 3 || sizes[s] >= unit * 32u);
                 count++) {
                struct nor nor;
                struct rig rig;
                bool is_small = sizes[s] <= 256;
                start(&nor, &rig, sizes[s], count, unit, is_small ? 64 : 160);
                uint64_t random = unit + s + count;
                for (int i = 0; i < 300; i++) {
                    int status = TERN_OK;
                    CHECK_EQ(rig_service(&rig), TERN_OK);
                    for (uint64_t rows = is_small ? 1 : test_random(&random) % 3 + 1;
                         rows != 0 && status == TERN_OK; rows--)
                        status = rig_put(&rig, (unsigned)(test_random(&random) % (is_small ? 1 : 3)));
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

/* Behind a torn note, two zeros of a torn burn have the shape of a segment without records whose CRC goes on
 * from an erased one. */
static void a_torn_burn_is_no_sign_of_lost_records(void)
{
    for (uint8_t unit = 2; unit <= 32; unit = (uint8_t)(unit * 2))
        for (unsigned records = 20; records < 45; records++)
            for (uint32_t extent = 1; extent < unit; extent++) {
                struct nor nor;
                struct rig rig;
                start(&nor, &rig, 1024, 4, unit, 512);
                for (unsigned i = 0; i < records; i++)
                    put_one(&rig);
                nor_start(&nor);
                nor.cut_at = 2;
                nor.tear = NOR_FADING;
                (void)rig_set_epoch(&rig);
                nor_start(&nor);
                nor_age(&nor);
                CHECK_EQ(rig_mount(&rig), TERN_OK);
                nor.cut_at = 1;
                nor.tear = NOR_PREFIX;
                nor.extent = extent;
                (void)rig_set_epoch(&rig);
                nor_start(&nor);
                CHECK_EQ(rig_mount(&rig), TERN_OK);
                CHECK_EQ(rig.log.next, records + 1);
                stop(&nor, &rig);
            }
}

/* More than a chunk of it: whatever programmed that, the records before it stay, and the log goes on. */
static void garbage_longer_than_a_chunk_takes_no_record_along(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 16384, 3, 1, 512);
    for (int i = 0; i < 5; i++)
        put_one(&rig);
    nor_start(&nor);
    memset(nor.cells + rig.log.write, 0x55, 6000);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
}

/* An older sector of which mark and notes are gone may be one that an erase left half done: its records are a
 * gap. */
static void chunks_in_a_sector_without_a_head_are_told_as_lost(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    while (rig.log.newest == 0 || rig.log.newest == TERN_NO_ADDRESS)
        put_one(&rig);
    uint32_t kept = rig.log.next - 1;
    put_one(&rig);
    nor_start(&nor);
    memset(nor.cells, 0, (size_t)3 * rig.log.note);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig_check(&rig, true));
    CHECK(rig.missing > 20 && rig.missing <= kept);
    put_one(&rig);
    stop(&nor, &rig);
}

/* A note may be begun before the place that is kept for notes, and reach into it: what a power cut leaves of
 * it reads as erased there, and is not. */
static void tear_a_note(uint8_t unit, int records, int starts, uint32_t operation)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, unit, 512);
    for (int i = 0; i < records; i++) {
        put_one(&rig);
        if (i < starts)
            CHECK_EQ(rig_mount(&rig), TERN_OK); /* the next record then stands a unit further */
    }
    nor_start(&nor);
    nor.cut_at = operation;
    nor.tear = NOR_FADING;
    rig_set_epoch(&rig);
    nor_start(&nor);
    nor_age(&nor);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK); /* goes right behind what is torn */
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
}

static void a_torn_note_is_passed_over_wherever_it_stands(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (int records = 20; records < 80; records++)
            for (int starts = 0; starts < 4; starts++)
                for (uint32_t operation = 1; operation <= 4; operation++)
                    tear_a_note(unit, records, starts, operation);
}

/* A chunk of seven commits stands again with its eighth, behind an epoch's note, or in the next sector
 * because a program failed; and the power is cut in that. Whether there was so much to cut. */
static bool tear_a_copy(uint8_t unit, bool fails, uint32_t change, enum nor_tear tear, uint32_t extent)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1280, 3, unit, 320);
    for (int i = 0; i < 7; i++)
        put_one(&rig);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    if (!fails)
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    nor_start(&nor);
    nor.cut_at = change;
    nor.tear = tear;
    nor.extent = extent;
    nor.fail_at[NOR_PROGRAM] = fails ? 2 : 0;
    nor.fail_count = 1;
    nor.fault = NOR_NOTHING;
    (void)rig_commit(&rig);
    bool is_cut = nor.off && extent <= nor.last_size;
    nor_start(&nor);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
    return is_cut;
}

static void a_torn_copy_of_a_chunk_takes_no_committed_record_along(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (unsigned way = 0; way < 4; way++)
            for (uint32_t change = 1; change < 12; change++)
                for (uint32_t extent = 0;
                     tear_a_copy(unit, way >= 2, change, way % 2 == 0 ? NOR_PREFIX : NOR_SUFFIX, extent);)
                    extent += 1 + extent / 6;
}

/* It was programmed, but cannot be read back at first. */
static void a_unit_that_failed_and_is_there_is_not_burnt(void)
{
    for (unsigned table = 0; table < 2; table++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 4096, 3, 8, 128);
        put_one(&rig);
        CHECK_EQ(rig_put(&rig, table), TERN_OK);
        nor.fail_at[NOR_READ] = nor.counts[NOR_READ] + 1;
        nor.fail_count = 2;
        (void)rig_commit(&rig);
        CHECK(nor.counts[NOR_READ] > nor.fail_at[NOR_READ]);
        nor_start(&nor);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        put_one(&rig);
        check(&rig);
        stop(&nor, &rig);
    }
}

/* Power was cut in the last moment of its program. Another schema behind it, which a later start has written,
 * does not make it last. */
static void a_schema_that_ended_before_a_start_is_not_relied_on(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 3, 1, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    nor.cut_at = nor.changes + 6; /* behind the head's two copies */
    nor.tear = NOR_FADING;
    CHECK(rig_commit(&rig) != TERN_OK);
    nor_start(&nor);
    for (unsigned table = 2; table-- != 0;) {
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig_put(&rig, table), TERN_OK);
        CHECK_EQ(rig_commit(&rig), TERN_OK);
    }
    nor_age(&nor);
    check(&rig);
    stop(&nor, &rig);
}

/* What has been torn in the place of its head is room that a sector does not have for a chunk. */
static void a_sector_whose_head_was_torn_takes_a_smaller_chunk(void)
{
    for (uint32_t extent = 1; extent < 29; extent += 9) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 256, 4, 1, 128);
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        nor_start(&nor);
        nor.cut_at = 2; /* the head's rest */
        nor.tear = NOR_PREFIX;
        nor.extent = extent;
        CHECK(rig_commit(&rig) < 0);
        nor_start(&nor);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        for (int i = 0; i < 30; i++) {
            put_one(&rig);
            check(&rig);
        }
        CHECK_EQ(rig.log.stats.retired, 0);
        stop(&nor, &rig);
    }
}

/* The epoch then stands behind the chunks of the sector before. */
static void an_epoch_behind_a_head_that_failed_is_in_force_after_a_start(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 256, 4, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    while (rig.log.newest == 0)
        put_one(&rig);
    rig_acknowledge(&rig, 0);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    rig.log.flags |= LOG_MOVE;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    nor_start(&nor);
    nor.fail_at[NOR_PROGRAM] = 3; /* the head's second copy */
    nor.fail_count = 1;
    nor.fault = NOR_ERROR;
    CHECK_EQ(rig_commit(&rig), TERN_E_FULL);
    rig_abort(&rig);
    nor_start(&nor);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.epochs[0].epoch, 16);
    check(&rig);
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
}

/* The sector before the one whose head failed could not be erased when its turn came: what stands in it is no
 * part of the log. */
static void an_epoch_is_found_beyond_a_sector_that_was_given_up(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 5, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    while (rig.log.newest != 2048)
        put_one(&rig);
    while (rig.log.newest != 512)
        put_one(&rig);
    nor.fault = NOR_ERROR;
    nor.bad_sector = 3;
    while (rig.log.ready_at == 0) {
        (void)rig_service(&rig);
        CHECK(rig_put(&rig, 0) == TERN_OK && rig_commit(&rig) == TERN_OK);
    }
    CHECK_EQ(rig.log.newest, 512);
    CHECK_EQ(rig.log.ahead, 1536);
    nor.bad_sector = 0;
    rig.log.flags |= LOG_MOVE;
    rig_close_chunk(&rig);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    rig.log.flags |= LOG_MOVE;
    nor_start(&nor);
    nor.fail_at[NOR_PROGRAM] = 3; /* the head's second copy */
    nor.fail_count = 1;
    nor.fault = NOR_ERROR;
    CHECK_EQ(rig_commit(&rig), TERN_E_FULL);
    rig_abort(&rig);
    nor_start(&nor);
    CHECK_EQ(rig.log.newest, 512);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig.log.newest, 512);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.newest, 1536);
    CHECK_EQ(rig.log.epochs[0].epoch, 16);
    check(&rig);
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
}

/* One of which only a first copy stands, before a sector that says otherwise, may be in force after a start.
 * Then it stays. */
static void an_epoch_that_one_start_finds_the_next_one_finds_too(void)
{
    struct nor nor;
    struct rig rig;
    for (uint32_t cut = 1; cut < 9; cut++) {
        start(&nor, &rig, 1024, 4, 1, 128);
        put_one(&rig);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        put_one(&rig);
        while (nor.erases[1] == 0)
            put_one(&rig);
        CHECK_EQ(rig_service(&rig), TERN_OK);
        nor_start(&nor);
        nor.fail_at[NOR_PROGRAM] =
            nor.counts[NOR_PROGRAM] + 3; /* the second copy, and the head of the sector ahead */
        nor.fail_count = 2;
        CHECK(rig_set_epoch(&rig) != TERN_OK);
        while (tern_log_service(&rig.log, false) == TERN_AGAIN)
            ;
        tern_log_close(&rig.log);
        tern_chunk_close(&rig.chunk);
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        nor.cut_at = nor.changes + cut;
        nor.tear = NOR_PREFIX;
        (void)rig_commit(&rig);
        nor_start(&nor);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        uint32_t epoch = rig.log.epochs[0].epoch;
        CHECK(epoch == 8 || epoch == 16);
        for (int starts = 0; starts < 3; starts++) {
            put_one(&rig);
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            CHECK_EQ(rig.log.epochs[0].epoch, epoch);
        }
        check(&rig);
        stop(&nor, &rig);
    }
}

/* A power cut leaves a first unit that reads as erased. Behind a program that had done nothing it would not
 * be where a start looks for it. */
static void fail_and_cut(enum nor_tear tear, uint32_t cut_at)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 3, 1, 128);
    put_one(&rig);
    nor_start(&nor);
    nor.fail_at[NOR_PROGRAM] = 1;
    nor.fail_count = 1;
    nor.fault = NOR_NOTHING;
    CHECK_EQ(rig_set_epoch(&rig), TERN_E_FULL);
    nor_start(&nor);
    nor.cut_at = cut_at;
    nor.tear = tear;
    (void)rig_set_epoch(&rig);
    nor_start(&nor);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    if (rig_set_epoch(&rig) == TERN_E_FULL) {
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    }
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
}

static void nothing_stands_behind_a_program_that_left_nothing(void)
{
    for (unsigned tear = NOR_PREFIX; tear <= NOR_RISING; tear++)
        for (uint32_t cut_at = 1; cut_at < 6; cut_at++)
            fail_and_cut((enum nor_tear)tear, cut_at);
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

/* What has been acknowledged is not lost with its sector. */
static void only_what_was_owed_is_counted_as_dropped(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 3, 1, 128);
    for (int i = 0; i < 30; i++)
        put_one(&rig);
    rig_acknowledge(&rig, 10);
    uint32_t acked = rig.log.acked;
    CHECK(acked > 10);
    for (int i = 0; i < 500; i++)
        put_one(&rig);
    CHECK_EQ(rig.log.stats.dropped, tern_log_oldest(&rig.log) - acked);
    stop(&nor, &rig);
}

/* In the newest sector, and in the one ahead. */
static void a_place_of_just_the_size_that_is_needed_is_taken(void)
{
    struct nor nor;
    struct rig rig;
    const struct tern_table *table = &rig_tables[0];
    uint32_t hash = tern_schema_hash(table);
    start(&nor, &rig, 1024, 4, 4, 128);
    put_one(&rig);
    rig_close_chunk(&rig);
    CHECK_EQ(tern_log_open(&rig.log, table, hash, 128, 128), 128);
    CHECK((rig.log.flags & LOG_MOVE) == 0);
    tern_log_close(&rig.log);
    for (;;) {
        put_one(&rig);
        rig_close_chunk(&rig);
        CHECK_EQ(rig_service(&rig), TERN_OK);
        int room = tern_log_open(&rig.log, table, hash, 512, 512);
        CHECK_EQ(room, 512);
        bool moves = (rig.log.flags & LOG_MOVE) != 0;
        tern_log_close(&rig.log);
        if (moves)
            break;
    }
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
    CHECK_EQ(rig.log.epochs[0].epoch, 16);
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
    CHECK_EQ(tern_log_set_epoch(&rig.log, 32, 3), TERN_OK); /* in the place of one without a record */
    CHECK(rig.log.epochs[0].epoch == 32 && rig.log.epochs[1].epoch == 16);
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
    CHECK_EQ(log.minimum, 160); /* unit 32 */
    nor.flash.program_unit = 3;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_E_GEOMETRY);
    nor.flash.program_unit = 64;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_E_GEOMETRY);
    CHECK_EQ(nor.counts[NOR_READ], 0);
    nor.flash.program_unit = 0; /* means 1 */
    nor.flash.sector_size = 128;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(log.unit, 1);
    CHECK(tern_log_open(&log, &rig_tables[0], 1, 64, TERN_CHUNK_MIN) == TERN_E_FULL);
    CHECK_EQ(tern_log_open(&log, &rig_tables[0], 1, 100, 70), TERN_E_TOO_BIG);
    CHECK_EQ(log.minimum, 120 + 2 + 19 + 70);
    CHECK_EQ(tern_log_open(&log, &rig_tables[0], 1, 200, 180), TERN_E_TOO_BIG);
    CHECK(log.minimum >= 256 && log.minimum <= 400);
    nor.flash.sector_size = log.minimum;
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(tern_log_open(&log, &rig_tables[0], 1, 200, 180), TERN_E_FULL);
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

/* While somebody owes an acknowledgement, an epoch goes on to the end of its numbers, and no further. */
static void a_log_at_the_end_of_its_sequences_waits_for_the_acknowledgement(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 3, 1, 128);
    rig_begin_at(&rig, 0xFFFFFFF0u - TERN_CHUNK_ROWS_MAX - 2);
    while (rig.next < 0xFFFFFFF0u - TERN_CHUNK_ROWS_MAX)
        put_one(&rig);
    rig.log.next = rig.log.pending = rig.next = rig.tail = 0xFFFFFFF0u;
    rig_close_chunk(&rig);
    CHECK_EQ(rig_put(&rig, 0), TERN_E_FULL);
    CHECK_EQ(rig.log.epochs[0].epoch, 8);
    tern_log_acknowledge(&rig.log, 0xFFFFFFF0u, 7);
    rig.acked = 0xFFFFFFF0u;
    put_one(&rig);
    CHECK_EQ(rig.log.epochs[0].epoch, 16);
    CHECK_EQ(rig.log.next, 2);
    stop(&nor, &rig);
}

static void past_the_middle_of_its_numbers_the_count_begins_again_once_all_is_acknowledged(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2)) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 3, unit, 128);
        rig_begin_at(&rig, 0x7FFFFFF0u);
        for (int i = 0; i < 40; i++) {
            put_one(&rig);
            if (i == 5)
                CHECK_EQ(rig_mount(&rig), TERN_OK);
        }
        CHECK_EQ(rig.log.epochs[0].epoch, 8); /* nobody has acknowledged */
        check(&rig);
        rig_acknowledge(&rig, 0);
        rig_close_chunk(&rig);
        put_one(&rig);
        CHECK_EQ(rig.log.epochs[0].epoch, 16);
        CHECK_EQ(rig.log.epochs[0].base, 1);
        CHECK_EQ(rig.log.epochs[1].epoch, 0);
        CHECK_EQ(rig.log.next, 2);
        CHECK_EQ(tern_log_oldest(&rig.log), 1);
        check(&rig);
        for (int i = 0; i < 200; i++) {
            if (i % 7 == 0) {
                CHECK_EQ(rig_mount(&rig), TERN_OK);
                CHECK_EQ(rig.log.epochs[0].epoch, 16);
                CHECK(rig.log.acked <= rig.log.next);
                check(&rig);
            }
            put_one(&rig);
        }
        check(&rig);
        stop(&nor, &rig);
    }
}

/* No erased sector is ahead, or the one that is fails: the epoch goes on. */
static void the_count_goes_on_where_it_cannot_begin_again(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    rig_begin_at(&rig, 0x80000000u);
    put_one(&rig);
    rig_acknowledge(&rig, 0);
    rig_close_chunk(&rig);
    CHECK_EQ(rig.log.ready_at, 0);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK_EQ(rig.log.epochs[0].epoch, 8);
    while (rig.log.ready_at == 0)
        put_one(&rig);
    uint32_t next = rig.next;
    rig_acknowledge(&rig, 0);
    rig_close_chunk(&rig);
    nor_start(&nor);
    nor.fail_at[NOR_PROGRAM] = 1;
    nor.fail_count = 1;
    CHECK_EQ(rig_put(&rig, 0), TERN_E_FULL); /* the newest sector was given up for it */
    CHECK_EQ(rig.log.epochs[0].epoch, 8);
    CHECK_EQ(rig.log.next, next);
    tern_log_acknowledge(&rig.log, next - 1, 1);
    put_one(&rig);
    CHECK_EQ(rig.log.epochs[0].epoch, 8);
    CHECK_EQ(rig.log.next, next + 1);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    stop(&nor, &rig);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* The head of a sector that a batch went on in says where it did; when the batch is void, so is that
 * number. */
static void a_sector_that_begins_within_a_void_batch_is_released_like_any_other(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 3, 1, 128);
    rig.drop = false;
    put_one(&rig);
    uint32_t sector = rig.log.newest;
    rig.in_batch = true;
    while (rig.log.newest == sector) {
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    }
    uint32_t end = rig.log.pending;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.next < end);
    for (int i = 0; i < 200; i++) {
        rig_acknowledge(&rig, 3);
        put_one(&rig);
        CHECK(rig.log.floor <= rig.log.next);
        if (i % 2 == 0)
            CHECK_EQ(rig_mount(&rig), TERN_OK);
        check(&rig);
    }
    stop(&nor, &rig);
}

/* The newest chunk has nothing behind it. Its segments that are still good show that what stood before them
 * was committed. */
static void a_newest_chunk_that_is_damaged_is_a_gap(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (unsigned starts = 0; starts < 2; starts++) {
            struct nor nor;
            struct rig rig;
            struct tern_log_chunk found;
            start(&nor, &rig, 1024, 3, unit, 256);
            put_one(&rig);
            if (starts != 0)
                CHECK_EQ(rig_mount(&rig), TERN_OK);
            for (int i = 0; i < 4; i++)
                put_one(&rig);
            uint32_t first = starts != 0 ? 2 : 1;
            found.address = TERN_NO_ADDRESS;
            CHECK_EQ(tern_log_find(&rig.log, first, &found), TERN_OK);
            CHECK_EQ(found.first, first);
            nor.cells[found.address + 8] ^= 0x20;
            CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
            CHECK_EQ(rig.log.next, 6);
            found.address = TERN_NO_ADDRESS;
            CHECK_EQ(tern_log_find(&rig.log, first, &found), TERN_AGAIN);
            CHECK_EQ(found.reason, 3);
            rig.chunk.size = 0;
            put_one(&rig);
            CHECK_EQ(tern_log_find(&rig.log, first, &found), TERN_OK);
            CHECK_EQ(found.first, 6);
            CHECK_EQ(found.reason, 3);
            /* What waits behind it and is void after a start takes nothing back. */
            rig.in_batch = true;
            for (int i = 0; rig.log.pending == rig.log.next; i++)
                CHECK(i < 100 && rig_put(&rig, 0) == TERN_OK);
            rig.next = rig.maybe = rig.log.next;
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            CHECK_EQ(rig.log.next, 7);
            stop(&nor, &rig);
        }
}

/* Below 256 bytes a head stands once. */
static void a_newest_sector_without_a_head_keeps_its_records(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 192, 4, 1, 64);
    uint32_t before = TERN_NO_ADDRESS;
    while (rig.log.newest != 192 || rig.log.flags == before) {
        before = rig.log.flags;
        put_one(&rig);
    }
    nor.cells[rig.log.newest + 35] ^= 1;
    uint32_t next = rig.log.next;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.next, next);
    check(&rig);
    put_one(&rig);
    check(&rig);
    stop(&nor, &rig);
}

static void an_epoch_finds_its_place_behind_a_sector_that_fails(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 4, 128);
    for (int i = 0; rig.log.ready_at == 0 || i < 20; i++)
        put_one(&rig);
    nor.bad_sector = rig.log.newest / 1024 + 1;
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.epochs[0].epoch, 8);
    check(&rig);
    stop(&nor, &rig);
}

static void a_unit_that_cannot_be_burnt_sends_the_chunk_on(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 4, 128);
    for (int i = 0; rig.log.ready_at == 0 || i < 20; i++)
        put_one(&rig);
    uint32_t newest = rig.log.newest;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    nor.bad_sector = newest / 1024 + 1;
    nor.fault = NOR_NOTHING;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK(rig.log.newest != newest);
    check(&rig);
    stop(&nor, &rig);
}

/* A schema of several programs, of which each fails in turn. */
static void a_schema_that_fails_halfway_is_written_again(void)
{
    static const struct tern_column wide[] = {{"a_long_name_of_a_column", TERN_U32, TERN_KEY},
                                              {"another_long_name", TERN_U32, 0},
                                              {"and_one_more_of_these", TERN_U32, 0}};
    static const struct tern_table table = TERN_TABLE("a_table", TERN_MERGE, wide);
    struct tern_value row[] = {tern_int(1), tern_int(2), tern_int(3)};
    static uint8_t data[128];
    for (uint32_t at = 1; at <= 12; at++) {
        struct nor nor;
        struct tern tern;
        struct tern_lane lane = {.chunk_data = data, .chunk_size = sizeof(data)};
        struct tern_config config = {.id = "dev", .lanes = &lane, .lane_count = 1};
        nor_open(&nor, 512, 4, 1);
        lane.flash = &nor.flash;
        CHECK_EQ(tern_open(&tern, &config), TERN_OK);
        while (tern_poll(&tern) == 0)
            ;
        CHECK_EQ(tern_put(&tern, &table, row), TERN_OK);
        nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + at;
        nor.fail_count = 1;
        int status;
        for (unsigned tries = 0; (status = tern_commit(&tern)) == TERN_AGAIN && tries < 50; tries++)
            (void)tern_poll(&tern);
        CHECK_EQ(status, TERN_OK);
        CHECK_EQ(tern_open(&tern, &config), TERN_OK);
        CHECK_EQ(lane.log.next, 2);
        CHECK(tern_log_has_schema(&lane.log, tern_schema_hash(&table)));
        CHECK_EQ(nor.violations, 0);
        nor_close(&nor);
    }
}

/* From any read on, all fail. What is found then may be wrong; the search for it ends. */
static void a_mount_ends_when_reads_fail(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log log;
    uint32_t reads = 1000, address, size;
    start(&nor, &rig, 512, 4, 1, 128);
    for (int i = 0; i < 60; i++)
        put_one(&rig);
    for (uint32_t at = 1; at < reads; at++) {
        nor_start(&nor);
        nor.fail_at[NOR_READ] = at;
        nor.fail_count = 0xFFFFFFFFu;
        CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
        (void)tern_log_find_schema(&log, 1, &address, &size);
        (void)tern_log_oldest(&log);
        if (at == 1)
            CHECK_EQ(log.next, 1);
    }
    nor_start(&nor);
    check(&rig);
    stop(&nor, &rig);
}

static void what_was_found_is_read_until_another_is_found(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk first, found;
    uint8_t bytes[8];
    uint32_t address, size;
    start(&nor, &rig, 512, 4, 1, 128);
    CHECK_EQ(tern_log_find_schema(&rig.log, 1, &address, &size), TERN_AGAIN);
    found.address = TERN_NO_ADDRESS;
    CHECK_EQ(tern_log_find(&rig.log, 1, &found), TERN_AGAIN);
    for (int i = 0; i < 40; i++)
        put_one(&rig);
    first.address = found.address = TERN_NO_ADDRESS;
    CHECK_EQ(tern_log_find(&rig.log, 1, &first), TERN_OK);
    CHECK_EQ(tern_log_find(&rig.log, rig.next - 1, &found), TERN_OK);
    CHECK_EQ(tern_log_read(&rig.log, &first, 0, bytes, 8), TERN_E_CORRUPT);
    CHECK_EQ(tern_log_read(&rig.log, &found, 0, bytes, 8), TERN_OK);
    nor.fail_at[NOR_READ] = nor.counts[NOR_READ] + 1;
    nor.fail_count = 1;
    CHECK_EQ(tern_log_read(&rig.log, &found, 0, bytes, 8), TERN_E_FLASH);
    CHECK_EQ(tern_log_find(&rig.log, 1, &found), TERN_OK); /* back from where it was */
    CHECK_EQ(found.first, 1);
    CHECK(!tern_log_has_schema(&rig.log, 0));
    stop(&nor, &rig);
}

/* ---- Flash images of format 1: later code must read them ------------------------------------- */

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

static void put_one_that_drops(struct rig *rig)
{
    for (int i = 0; i < 60; i++)
        (void)tern_log_service(&rig->log, true);
    CHECK_EQ(rig_put(rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(rig), TERN_OK);
}

/* The chunk of a batch's end has moved to another sector, and the one with its beginning is gone: what is
 * left of the batch leads. */
static void the_end_of_a_batch_that_has_moved_is_told_as_an_end(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    start(&nor, &rig, 512, 4, 4, 128);
    put_one_that_drops(&rig);
    uint32_t first = rig.log.next, sector = rig.log.newest;
    while (rig.log.pending == first) /* until a chunk has spilled */
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    uint32_t middle = rig.log.pending;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK_EQ(rig.log.newest, sector);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    nor.fault = NOR_ERROR;
    nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + 1;
    nor.fail_count = 1;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK(rig.log.newest != sector);
    while (rig.log.oldest == sector)
        put_one_that_drops(&rig);
    CHECK_EQ(tern_log_find(&rig.log, 1, &chunk), TERN_OK);
    CHECK_EQ(chunk.first, middle);
    CHECK_EQ(chunk.reason, TERN_GAP_OVERFLOW | TERN_GAP_LEADS);
    stop(&nor, &rig);
}

/* What the open chunk holds goes to flash, and waits for a commit. */
static void spill(struct rig *rig)
{
    tern_chunk_finish(&rig->chunk, false, rig->in_batch);
    CHECK_EQ(tern_log_append(&rig->log, &rig->chunk, false), TERN_OK);
}

/* A commit that stands in a chunk of its own, in which records followed that were given up, is still the end
 * of its batch. */
static void a_commit_without_a_record_is_found_before_records_that_are_void(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    start(&nor, &rig, 1024, 3, 4, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    spill(&rig);
    rig_close_chunk(&rig);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    spill(&rig);
    rig_abort(&rig);
    rig.refused = 2;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK_EQ(tern_log_find(&rig.log, 1, &chunk), TERN_OK);
    CHECK_EQ(chunk.next, 2);
    CHECK_EQ(tern_log_find(&rig.log, 2, &chunk), TERN_OK);
    CHECK_EQ(chunk.first, 2);
    CHECK_EQ(chunk.next, 2);
    CHECK_EQ(tern_log_find(&rig.log, 2, &chunk), TERN_OK);
    CHECK_EQ(chunk.first, 4);
    CHECK_EQ(chunk.reason, TERN_GAP_REFUSED);
    stop(&nor, &rig);
}

int main(int argc, char **argv)
{
    (void)test_seed(argc, argv);
    RUN(an_erased_flash_is_an_empty_log);
    RUN(a_thousand_starts_without_a_record_change_nothing);
    RUN(a_start_for_each_record_costs_one_unit);
    RUN(chunks_in_a_sector_without_a_head_are_told_as_lost);
    RUN(a_sector_whose_head_was_torn_takes_a_smaller_chunk);
    RUN(a_unit_that_failed_and_is_there_is_not_burnt);
    RUN(a_schema_that_ended_before_a_start_is_not_relied_on);
    RUN(an_epoch_behind_a_head_that_failed_is_in_force_after_a_start);
    RUN(an_epoch_is_found_beyond_a_sector_that_was_given_up);
    RUN(an_epoch_that_one_start_finds_the_next_one_finds_too);
    RUN(nothing_stands_behind_a_program_that_left_nothing);
    RUN(mount_reads_no_more_than_is_documented);
    RUN(every_call_keeps_to_its_number_of_port_calls);
    RUN(the_oldest_are_dropped_and_counted);
    RUN(only_what_was_owed_is_counted_as_dropped);
    RUN(a_place_of_just_the_size_that_is_needed_is_taken);
    RUN(a_full_log_refuses_until_it_is_acknowledged);
    RUN(acknowledged_records_stay_until_their_space_is_needed);
    RUN(an_epoch_lasts_and_a_third_waits);
    RUN(another_version_lane_or_unit_is_refused_and_untouched);
    RUN(an_impossible_geometry_is_refused_with_what_is_needed);
    RUN(a_batch_larger_than_the_log_is_refused);
    RUN(a_bad_sector_is_gone_round);
    RUN(a_segment_is_known_by_its_crc);
    RUN(a_log_at_the_end_of_its_sequences_waits_for_the_acknowledgement);
    RUN(the_count_goes_on_where_it_cannot_begin_again);
    RUN(a_schema_that_fails_halfway_is_written_again);
    RUN(a_newest_chunk_that_is_damaged_is_a_gap);
    RUN(a_newest_sector_without_a_head_keeps_its_records);
    RUN(an_epoch_finds_its_place_behind_a_sector_that_fails);
    RUN(a_unit_that_cannot_be_burnt_sends_the_chunk_on);
    RUN(what_was_found_is_read_until_another_is_found);
    RUN(images_of_the_first_format_are_read);
    RUN(the_end_of_a_batch_that_has_moved_is_told_as_an_end);
    RUN(a_commit_without_a_record_is_found_before_records_that_are_void);
    RUN(past_the_middle_of_its_numbers_the_count_begins_again_once_all_is_acknowledged);
    RUN(a_sector_that_begins_within_a_void_batch_is_released_like_any_other);
    RUN(garbage_longer_than_a_chunk_takes_no_record_along);
    RUN(a_mount_ends_when_reads_fail);
    RUN(a_torn_copy_of_a_chunk_takes_no_committed_record_along);
    RUN(a_torn_burn_is_no_sign_of_lost_records);
    RUN(a_torn_note_is_passed_over_wherever_it_stands);
    RUN(records_survive_clean_starts_in_every_geometry);
    return test_report();
}
