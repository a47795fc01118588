/* SPDX-License-Identifier: MIT */
/* The log's sectors to their last byte: which sizes are taken, where entries fit, what stands in them, and
 * one that is half erased and given up. */
#include "log_bench.h"

#include "../../core/bytes.h"
#include "../../core/crc32c.h"
#include "../../core/csv.h"
#include "../../core/log_scan.h"
#include "../../core/schema.h"

#include <string.h>

static void put_one(struct rig *rig)
{
    for (int tries = 0; tries < 9 && rig_service(rig) != TERN_OK; tries++)
        ;
    CHECK_EQ(rig_put(rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(rig), TERN_OK);
}

/* Neither mark nor note stands before the old chunks in the second half of one that was half erased, and a
 * mark of an older turn in one that was not erased at all: they are no part of the log any more. */
static void given_up(enum nor_fault fault)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2)) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 5, unit, 128);
        for (int turn = 0; turn < 2; turn++)
            while (rig.log.newest != (turn == 0 ? 4096 : 0))
                put_one(&rig);
        nor.fault = fault;
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
        CHECK(retired + rig.log.stats.retired != 0);
        nor.bad_sector = 0;
        for (int i = 0; i < 100; i++)
            put_one(&rig);
        check(&rig);
        stop(&nor, &rig);
    }
}

static void chunks_in_a_sector_that_was_half_erased_and_given_up_are_gone(void)
{
    given_up(NOR_HALF);
}

static void chunks_in_a_sector_that_could_not_be_erased_are_gone(void)
{
    given_up(NOR_ERROR);
    given_up(NOR_NOTHING);
}

/* The mark behind such a sector, which says what the oldest generation was, is damaged: then the order of the
 * ring tells. */
static void a_sector_left_over_is_known_by_its_place_too(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 5, 1, 128);
    for (int turn = 0; turn < 2; turn++)
        while (rig.log.newest != (turn == 0 ? 4096 : 1024))
            put_one(&rig);
    nor.fault = NOR_NOTHING;
    nor.bad_sector = 3;
    while (rig.log.newest != 3072)
        put_one(&rig);
    CHECK_EQ(rig.log.oldest, 4096);
    nor.cells[3072 + 10] ^= 1;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.newest == 3072 && rig.log.oldest == 4096);
    check(&rig);
    stop(&nor, &rig);
}

/* The batch that is open holds the whole ring, but nobody waits for a sector: that is no error yet. */
static void a_batch_that_fills_the_ring_is_told_of_when_it_waits(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 2, 1, 64);
    put_one(&rig);
    while (rig.log.ready_at == 0)
        CHECK(tern_log_service(&rig.log, true) >= 0 && !test_faults);
    rig.in_batch = true;
    while (rig.log.pending == rig.log.next && !test_faults)
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    uint32_t before = rig.log.newest;
    for (uint32_t epoch = 800;
         epoch < 4000 && (rig.log.newest == before || rig.log.write < rig.log.newest + 300); epoch += 8)
        CHECK_EQ(tern_log_set_epoch(&rig.log, epoch, 1), TERN_OK);
    CHECK(rig.log.newest != before && (rig.log.flags & LOG_WANTED) == 0);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_OK);
    rig.log.flags |= LOG_WANTED;
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_E_TOO_BIG);
    stop(&nor, &rig);
}

/* Before the first epoch the last sector before the oldest has no place for a chunk, however much of it is
 * free. */
static void the_last_sector_before_the_oldest_waits_for_an_epoch(void)
{
    struct nor nor;
    struct tern_log log;
    nor_open(&nor, 4096, 3, 1);
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    log.newest = 8192;
    log.write = log.newest + 60;
    log.oldest = 0;
    CHECK(!tern_log_has_place(&log, 1));
    log.epochs[0].epoch = 8;
    CHECK(tern_log_has_place(&log, 1));
    nor_close(&nor);
}

/* Two of three sectors are full, to the last place of a note, nothing may be dropped, and no epoch is
 * known. */
static void fill_without_an_epoch(struct nor *nor, struct rig *rig, uint8_t unit)
{
    start(nor, rig, 1024, 3, unit, 128);
    rig->drop = false;
    for (;;) {
        CHECK_EQ(rig_service(rig), TERN_OK);
        CHECK_EQ(rig_put(rig, 0), TERN_OK);
        if (rig->log.newest == 1024 && (rig->log.flags & LOG_MOVE) != 0)
            break;
        CHECK_EQ(rig_commit(rig), TERN_OK);
    }
    rig_abort(rig);
    while (rig->log.write + rig->log.note + unit <= 2048) {
        rig->log.flags |= LOG_NOTE_DUE;
        CHECK(tern_log_service(&rig->log, false) >= 0);
    }
    CHECK(rig->log.newest == 1024 && rig->log.ready_at != 0);
    nor_start(nor);
}

static void get_an_epoch(struct nor *nor, struct rig *rig)
{
    CHECK_EQ(rig_service(rig), TERN_OK);
    CHECK_EQ(rig_set_epoch(rig), TERN_OK);
    CHECK_EQ(rig_mount(rig), TERN_OK);
    CHECK(rig->log.epochs[0].epoch != 0);
    check(rig);
    stop(nor, rig);
}

/* The head of the last sector fails: it is erased again, though it was given up. Where an epoch is known it
 * waits for an acknowledgement. */
static void the_last_sector_has_its_turn_again_for_an_epoch(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2)) {
        struct nor nor;
        struct rig rig;
        fill_without_an_epoch(&nor, &rig, unit);
        nor.fault = NOR_NOTHING;
        nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + 1;
        nor.fail_count = 1;
        CHECK_EQ(rig_set_epoch(&rig), TERN_E_FLASH);
        CHECK(rig.log.newest == 1024 && rig.log.ready_at == 0);
        uint32_t erases = nor.erases[2];
        rig.log.epochs[0].epoch = 8;
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK_EQ(nor.erases[2], erases);
        rig.log.epochs[0].epoch = 0;
        get_an_epoch(&nor, &rig);
    }
}

/* Only where the newest sector has no room for the two notes of an epoch, and never the newest itself. */
static void a_sector_has_its_turn_again_where_there_is_need(void)
{
    struct nor nor;
    struct rig rig;
    fill_without_an_epoch(&nor, &rig, 8);
    uint32_t write = rig.log.write, erases = nor.erases[2];
    rig.log.ready_at = 0;
    rig.log.flags = LOG_WANTED;
    rig.log.write = 2048 - 8 - 2 * 32;
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK(nor.erases[2] == erases && rig.log.ready_at == 0);
    rig.log.write += 8;
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK(nor.erases[2] == erases + 1 && rig.log.ready_at != 0);
    rig.log.write = write;
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig.log.newest, 2048);
    write = rig.log.write;
    rig.log.epochs[0].epoch = 0;
    rig.log.flags = LOG_WANTED;
    rig.log.write = 3072;
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK(nor.erases[2] == erases + 1 && rig.log.ready_at == 0);
    rig.log.write = write;
    rig.log.epochs[0].epoch = rig.epoch;
    check(&rig);
    stop(&nor, &rig);
}

/* Each start ends in a copy of the head. What stands beyond the bytes in which a head is looked for would be
 * none. */
static void a_head_that_is_torn_at_every_start_is_given_up(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t starts = 0;
    fill_without_an_epoch(&nor, &rig, 8);
    nor.cut_at = nor.changes + 4; /* the second copy's rest */
    do {
        nor.extent = 7;
        CHECK(rig_set_epoch(&rig) != TERN_OK);
        nor_start(&nor);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig.log.newest, 2048);
        nor.cut_at = nor.changes + 3; /* a unit is burnt before it */
        starts++;
    } while (rig.log.write != 3072 && starts < 20);
    CHECK_EQ(starts, 8);
    check(&rig);
    stop(&nor, &rig);
}

/* Power is cut in its head, or in a note behind that. */
static void a_torn_head_leaves_room_for_an_epoch(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (uint32_t cut = 1; cut <= 8; cut++)
            for (uint32_t age = 0; age < 2; age++) {
                struct nor nor;
                struct rig rig;
                fill_without_an_epoch(&nor, &rig, unit);
                nor.cut_at = nor.changes + cut;
                nor.tear = age == 0 ? NOR_PREFIX : NOR_FADING;
                nor.extent = 7;
                while (rig_set_epoch(&rig) == TERN_OK)
                    ;
                nor_start(&nor);
                if (age != 0)
                    nor_age(&nor);
                CHECK_EQ(rig_mount(&rig), TERN_OK);
                get_an_epoch(&nor, &rig);
            }
}

/* A sector with the newest mark stands among those that hold records, which no order of faults is known to
 * bring about: the next one to be erased is the oldest all the same, and not the one behind that mark. */
static void a_mark_among_records_takes_nothing_along(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 5, 1, 128);
    for (int turn = 0; turn < 2; turn++)
        while (rig.log.newest != (turn == 0 ? 4096 : 2048))
            put_one(&rig);
    CHECK(rig.log.oldest == 3072 && rig.log.ready_at == 0);
    uint8_t *mark = nor.cells + 4096;
    memset(mark, 0xFF, 1024);
    memcpy(mark, nor.cells + 2048, 30);
    tern_store32(mark + 6, rig.log.generation + 1);
    tern_store32(mark + 26, tern_crc32c(0, mark + 2, 24));
    uint32_t erases = nor.erases[0];
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.newest == 2048 && rig.log.oldest == 3072 && rig.log.ready_at == 0);
    CHECK((rig.log.flags & LOG_NOTE_DUE) != 0);
    rig.log.flags |= LOG_WANTED;
    rig.drop = false;
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK(nor.erases[0] == erases && rig.log.ready_at == 0);
    rig.drop = true;
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig.log.ahead, 3072);
    CHECK(rig_check(&rig, true));
    stop(&nor, &rig);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

static unsigned erased_reads;

static int read_erased(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    (void)address;
    erased_reads++;
    memset(data, 0xFF, size);
    return 0;
}

static int mount_erased(struct tern_log *log, uint32_t size, uint32_t count, uint8_t unit)
{
    static struct tern_flash flash;
    flash = (struct tern_flash){
        .read = read_erased, .sector_size = size, .sector_count = count, .program_unit = unit};
    erased_reads = 0;
    return tern_log_mount(log, &flash, 0);
}

/* A sector smaller than the bytes in which a head is looked for: what stands in the next one is none of
 * its. */
static void no_head_is_found_behind_the_end_of_a_sector(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 256, 5, 1, 64);
    while (rig.log.newest != 512)
        put_one(&rig);
    memset(nor.cells + 256, 0xFF, 256);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.newest, 512);
    CHECK(rig_check(&rig, true));
    stop(&nor, &rig);
}

static void the_least_and_the_greatest_sectors_are_taken(void)
{
    struct tern_log log;
    CHECK_EQ(mount_erased(&log, 128, 2, 1), TERN_OK);
    CHECK_EQ(mount_erased(&log, 127, 2, 1), TERN_E_GEOMETRY);
    CHECK(log.minimum == 128 && erased_reads == 0);
    CHECK_EQ(mount_erased(&log, 262144, 2, 32), TERN_OK);
    CHECK_EQ(mount_erased(&log, 262144 + 1, 2, 1), TERN_E_GEOMETRY);
    CHECK_EQ(mount_erased(&log, 1024, 1, 1), TERN_E_GEOMETRY);
    CHECK_EQ(mount_erased(&log, 1024, 2, 64), TERN_E_GEOMETRY);
    CHECK_EQ(mount_erased(&log, 128, (uint32_t)1 << 21, 1), TERN_E_GEOMETRY);
    CHECK_EQ(mount_erased(&log, 262144, 1 << 14, 1), TERN_E_GEOMETRY);
    CHECK_EQ(erased_reads, 0);
}

/* What a sector keeps free for notes goes by its size. */
static void room_is_kept_for_notes_where_there_is_some(void)
{
    static const struct {
        uint32_t size;
        uint8_t kept;
    } cases[] = {{128, 0},   {255, 0},    {256, 30},   {257, 30},
                 {1023, 30}, {1024, 120}, {1025, 120}, {65536, 120}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tern_log log;
        CHECK_EQ(mount_erased(&log, cases[i].size, 2, 1), TERN_OK);
        CHECK_EQ(log.kept, cases[i].kept);
    }
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* A sector of which mark, head and epochs leave just a burnt unit and a note. */
static void a_note_may_end_where_its_sector_ends(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 961, 4, 1, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    while (rig.log.newest == 0 && rig.log.write < 961 - 31)
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig.log.write, 961 - 31);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK(rig.log.newest == 0 && rig.log.write == 961);
    uint32_t epoch = rig.epoch;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.epochs[0].epoch, epoch);
    stop(&nor, &rig);
}

/* Only what a start leaves in doubt is burnt, and once. */
static void a_unit_is_burnt_once(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 3, 8, 128);
    put_one(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    uint32_t before = rig.log.write;
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig.log.write, before + 8 + 2 * 32);
    before = rig.log.write;
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(rig.log.write, before + 2 * 32);
    stop(&nor, &rig);
}

/* Behind a schema stand FFs up to the next unit, and its chunk. */
static void what_fills_a_unit_up_is_erased(void)
{
    for (unsigned table = 0; table < 3; table++) {
        struct nor nor;
        struct rig rig;
        uint32_t address, size;
        start(&nor, &rig, 1024, 3, 32, 128);
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK(rig_put(&rig, table) == TERN_OK && rig_commit(&rig) == TERN_OK);
        CHECK_EQ(tern_log_find_schema(&rig.log, tern_schema_hash(&rig_tables[table]), &address, &size),
                 TERN_OK);
        address += size + 4;
        CHECK(address % 32 != 0);
        for (; address % 32 != 0; address++)
            CHECK_EQ(nor.cells[address], 0xFF);
        CHECK_EQ(nor.cells[address] >> 4, 1); /* a chunk's head */
        stop(&nor, &rig);
    }
}

/* The fourth byte of a prefix: the greatest chunk, in 64 bytes. */
static void a_head_tells_how_large_chunks_are(void)
{
    static const uint16_t sizes[] = {64, 100, 128, 129, 512};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 2048, 3, 1, sizes[i]);
        put_one(&rig);
        CHECK(nor.cells[30] == ITEM_NOTE && nor.cells[30 + 2 + 3] == (sizes[i] + 63) / 64);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig.log.reach, (sizes[i] + 63) / 64 * 64);
        stop(&nor, &rig);
    }
}

static void three_schemas_of_a_sector_are_remembered(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 3, 1, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    for (unsigned table = 0; table < 3; table++) {
        rig_close_chunk(&rig);
        CHECK(rig_put(&rig, table) == TERN_OK && rig_commit(&rig) == TERN_OK);
    }
    for (unsigned table = 0; table < 3; table++)
        CHECK(tern_log_has_schema(&rig.log, tern_schema_hash(&rig_tables[table])));
    CHECK(!tern_log_has_schema(&rig.log, 0));
    check(&rig);
    stop(&nor, &rig);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void each_failed_call_is_counted(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    put_one(&rig);
    nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + 1;
    nor.fail_count = 1;
    (void)rig_set_epoch(&rig);
    CHECK_EQ(rig.log.stats.errors, 1);
    stop(&nor, &rig);
}

/* A mark that was not seen to be there could outlive a half-done erase: its sector has no second try in this
 * turn, as a failed erase has. */
static void a_sector_whose_mark_fails_is_passed_over(void)
{
    struct nor nor;
    struct rig rig;
    for (unsigned operation = NOR_PROGRAM; operation <= NOR_ERASE; operation++) {
        start(&nor, &rig, 512, 4, 4, 128);
        nor.fault = NOR_ERROR;
        nor.fail_at[operation] = 1;
        nor.fail_count = operation == NOR_ERASE ? 2 : 1;
        for (int calls = 0; calls < 20; calls++)
            (void)tern_log_service(&rig.log, false);
        CHECK(nor.erases[0] + nor.erases[1] + nor.erases[2] > 0);
        CHECK_EQ(nor.erases[1] != 0, operation == NOR_PROGRAM);
        put_one(&rig);
        check(&rig);
        stop(&nor, &rig);
    }
}

static void an_abort_of_nothing_costs_nothing(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 4, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    uint32_t before = nor.counts[NOR_PROGRAM];
    rig_abort(&rig);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(nor.counts[NOR_PROGRAM], before);
    stop(&nor, &rig);
}

/* The note that makes an aborted batch void is due until it stands. */
static void a_note_that_fails_is_still_due(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 4, 1, 128);
    put_one(&rig);
    while (rig.log.pending == rig.log.next)
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    rig_abort(&rig);
    CHECK(rig.log.flags & LOG_NOTE_DUE);
    CHECK_EQ(rig.log.ready_at, 0);
    nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + 1;
    nor.fail_count = 1;
    (void)tern_log_service(&rig.log, true);
    CHECK(rig.log.stats.errors == 1 && (rig.log.flags & LOG_NOTE_DUE));
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK(!(rig.log.flags & LOG_NOTE_DUE));
    check(&rig);
    stop(&nor, &rig);
}

/* A start with a sector ahead uses it from its mark on, and one in which a head was torn from behind that
 * on. */
static void a_sector_ahead_is_used_from_its_mark_on(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    while (rig.log.ready_at == 0 || rig.log.newest == TERN_NO_ADDRESS)
        put_one(&rig);
    uint32_t ready = rig.log.ahead;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.ahead == ready && rig.log.ready_at == ready + 30);
    nor.cells[ready + 40] = 0x55;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.ahead == ready && rig.log.ready_at == ready + 41 + 32);
    rig_close(&rig);
    nor_close(&nor);
}

/* Starts that ended in the head of the sector ahead have taken some of it: less is left there than in the one
 * that fails. */
static void move_a_chunk(uint16_t size)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 5, 1, 512);
    while (rig.log.newest != 1024)
        put_one(&rig);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig.log.ahead, 1536);
    nor.cells[rig.log.ahead + 150] = 0;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.ready_at, 1536 + 151 + 32 * 0);
    do {
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        CHECK_EQ(rig_commit(&rig), TERN_OK);
    } while (rig.chunk.size < size && rig.log.newest == 1024);
    CHECK_EQ(rig.log.newest, 1024);
    nor.fault = NOR_HALF;
    nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + 1;
    nor.fail_count = 1;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK(rig_commit(&rig) < 0);
    nor.fail_count = 0;
    check(&rig);
    put_one(&rig);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    rig_close(&rig);
    nor_close(&nor);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int commit_row(struct tern_log *log, struct tern_chunk *chunk, const struct tern_table *table)
{
    struct tern_value row[TERN_COLUMNS_MAX];
    int status, tries = 0;
    for (uint8_t i = 0; i < table->column_count; i++)
        row[i] = tern_int(log->next);
    do {
        while (tern_log_service(log, true) == TERN_AGAIN)
            ;
        status = tern_log_open(log, table, tern_schema_hash(table), 400, TERN_CHUNK_MIN);
    } while (status == TERN_E_FULL && ++tries < 9);
    if (status < 0)
        return status;
    chunk->capacity = (uint16_t)status;
    tern_chunk_open(chunk, table->codec, log->pending, log->unit_log2);
    status = tern_chunk_put(chunk, table, TERN_OP_PUT, row);
    tern_chunk_finish(chunk, true, false);
    if (status == TERN_OK)
        status = tern_log_append(log, chunk, true);
    tern_log_close(log);
    return status;
}

/* Schemas of every size around the pieces that flash is read in, and one so large that a sector's first chunk
 * stands far behind its head: all of it is found again after a start. */
static void schemas_of_every_size_are_found_again(void)
{
    static char names[32][60];
    static struct tern_column columns[32];
    for (uint8_t count = 1; count <= 17; count = (uint8_t)(count + 16))
        for (int length = 2; length < 50; length++) {
            struct nor nor;
            struct tern_log log;
            static uint8_t data[512];
            struct tern_chunk chunk = {.data = data};
            for (uint8_t i = 0; i < count; i++) {
                memset(names[i], 'a' + i, (size_t)length);
                names[i][length] = '\0';
                columns[i] = (struct tern_column){names[i], TERN_U32, 0};
            }
            struct tern_table table = {"t", columns, &tern_csv, count, TERN_APPEND, 0, 0};
            if (tern_schema_size(&table) > 900)
                continue;
            nor_open(&nor, 2048, 4, 1);
            CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
            for (int i = 0; i < 60 && test_faults == 0; i++)
                CHECK_EQ(commit_row(&log, &chunk, &table), TERN_OK);
            uint32_t oldest = tern_log_oldest(&log), next = log.next, address, size;
            CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
            CHECK(tern_log_oldest(&log) == oldest && log.next == next && log.floor <= oldest);
            CHECK_EQ(tern_log_find_schema(&log, tern_schema_hash(&table), &address, &size), TERN_OK);
            CHECK_EQ(size, tern_schema_size(&table));
            nor_close(&nor);
        }
}

/* The newest record is not looked for in the oldest sector, and the one behind a chunk that was found not
 * before it. */
static void a_search_reads_no_more_than_it_must(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk found = {.address = TERN_NO_ADDRESS};
    start(&nor, &rig, 4096, 8, 1, 128);
    for (int i = 0; i < 3000; i++)
        put_one(&rig);
    nor_start(&nor);
    CHECK_EQ(tern_log_find(&rig.log, rig.log.next - 1, &found), TERN_OK);
    CHECK(nor.bytes[NOR_READ] < 3 * 4096 + 7 * 256);
    CHECK_EQ(tern_log_find(&rig.log, tern_log_oldest(&rig.log), &found), TERN_OK);
    for (int i = 0; i < 20; i++) {
        nor_start(&nor);
        CHECK_EQ(tern_log_find(&rig.log, found.next, &found), TERN_OK);
        CHECK(nor.bytes[NOR_READ] < 1024);
    }
    check(&rig);
    stop(&nor, &rig);
}

/* Behind what a cut has left of a chunk the sector is used on, but for as many bytes as a chunk may have
 * touched. */
static void a_torn_chunk_costs_its_reach_and_not_its_sector(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 4, 1, 128);
    put_one(&rig);
    uint32_t end = rig.log.write;
    nor.cells[end] = 0x10; /* a chunk's first byte, and nothing else of it */
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.write, end + 1 + 128);
    rig_close(&rig);
    nor_close(&nor);
}

static void a_chunk_that_moves_to_where_it_does_not_fit_stays(void)
{
    for (uint16_t size = 100; size <= 300; size = (uint16_t)(size + 20))
        move_a_chunk(size);
}

/* A caller that does not keep to the size that it was given loses that chunk, and nothing else. */
static void a_chunk_larger_than_its_sector_is_refused(void)
{
    static uint8_t data[TERN_CHUNK_MAX];
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 5, 1, 128);
    for (int i = 0; i < 20; i++)
        put_one(&rig);
    rig_close_chunk(&rig);
    while (rig.log.ready_at == 0)
        CHECK(tern_log_service(&rig.log, true) >= 0);
    const struct tern_table *table = &rig_tables[0];
    CHECK(tern_log_open(&rig.log, table, tern_schema_hash(table), 128, 32) > 0);
    struct tern_chunk chunk = {.data = data, .capacity = 600};
    struct tern_value row = tern_int(7);
    tern_chunk_open(&chunk, table->codec, rig.log.pending, 0);
    while (tern_chunk_put(&chunk, table, TERN_OP_PUT, &row) == TERN_OK)
        ;
    tern_chunk_finish(&chunk, true, false);
    CHECK(chunk.size > 512);
    CHECK(tern_log_append(&rig.log, &chunk, true) < 0);
    tern_log_abort(&rig.log);
    check(&rig);
    for (int i = 0; i < 20; i++)
        put_one(&rig);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    stop(&nor, &rig);
}

int main(void)
{
    RUN(a_search_reads_no_more_than_it_must);
    RUN(a_torn_chunk_costs_its_reach_and_not_its_sector);
    RUN(the_least_and_the_greatest_sectors_are_taken);
    RUN(room_is_kept_for_notes_where_there_is_some);
    RUN(a_note_may_end_where_its_sector_ends);
    RUN(a_unit_is_burnt_once);
    RUN(what_fills_a_unit_up_is_erased);
    RUN(a_head_tells_how_large_chunks_are);
    RUN(three_schemas_of_a_sector_are_remembered);
    RUN(each_failed_call_is_counted);
    RUN(a_sector_whose_mark_fails_is_passed_over);
    RUN(an_abort_of_nothing_costs_nothing);
    RUN(a_note_that_fails_is_still_due);
    RUN(a_sector_ahead_is_used_from_its_mark_on);
    RUN(a_sector_left_over_is_known_by_its_place_too);
    RUN(a_batch_that_fills_the_ring_is_told_of_when_it_waits);
    RUN(the_last_sector_before_the_oldest_waits_for_an_epoch);
    RUN(the_last_sector_has_its_turn_again_for_an_epoch);
    RUN(a_sector_has_its_turn_again_where_there_is_need);
    RUN(a_head_that_is_torn_at_every_start_is_given_up);
    RUN(a_torn_head_leaves_room_for_an_epoch);
    RUN(a_mark_among_records_takes_nothing_along);
    RUN(no_head_is_found_behind_the_end_of_a_sector);
    RUN(a_chunk_larger_than_its_sector_is_refused);
    RUN(a_chunk_that_moves_to_where_it_does_not_fit_stays);
    RUN(schemas_of_every_size_are_found_again);
    RUN(chunks_in_a_sector_that_was_half_erased_and_given_up_are_gone);
    RUN(chunks_in_a_sector_that_could_not_be_erased_are_gone);
    return test_report();
}
