/* SPDX-License-Identifier: MIT */
/* How the log goes on: after a start, behind what failed, and where a sector or its numbers end. */
#include <string.h>

#include "../../core/csv.h"
#include "../../core/frame.h"
#include "../../core/log_scan.h"
#include "../../core/schema.h"
#include "log_bench.h"

static void put_one(struct rig *rig)
{
    for (int tries = 0; tries < 9 && rig_service(rig) != TERN_OK; tries++)
        ;
    CHECK_EQ(rig_put(rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(rig), TERN_OK);
}

/* So many records in a chunk of their own, with a commit or waiting for one. */
static void put_chunk(struct rig *rig, int records, bool commit)
{
    for (int i = 0; i < records; i++)
        CHECK_EQ(rig_put(rig, 0), TERN_OK);
    tern_chunk_finish(&rig->chunk, commit, !commit);
    CHECK_EQ(tern_log_append(&rig->log, &rig->chunk, commit), TERN_OK);
    if (!commit)
        rig->tail = rig->next;
    else
        rig->next = rig->maybe = rig->tail;
    rig_close_chunk(rig);
}

static struct tern_log_chunk find(struct rig *rig, uint32_t sequence)
{
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    CHECK_EQ(tern_log_find(&rig->log, sequence, &chunk), TERN_OK);
    return chunk;
}

/* ---- Starts ---------------------------------------------------------------------------------- */

/* The newer one may stand at a lower address than the older one. */
static void both_epochs_are_known_after_a_start_wherever_they_stand(void)
{
    for (uint32_t second = 0; second < 4; second++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 512, 4, 1, 128);
        put_one(&rig);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        while (rig.log.newest != 1024)
            put_one(&rig);
        while (rig.log.newest != second * 512)
            put_one(&rig);
        uint32_t base = rig.log.next;
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        while (rig.log.newest == second * 512)
            put_one(&rig);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK(rig.log.epochs[0].epoch == 16 && rig.log.epochs[0].base == base);
        CHECK(rig.log.epochs[1].epoch == 8 && rig.log.epochs[1].base == 2);
        stop(&nor, &rig);
    }
}

/* What waited for a commit when the power failed is void, though the next chunk begins behind it with a
 * commit. */
static void what_waited_for_a_commit_is_void_after_a_start(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 3, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    put_chunk(&rig, 3, false);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.next, 4);
    rig.refused = 3;
    put_chunk(&rig, 3, true);
    struct tern_log_chunk chunk = find(&rig, 4);
    CHECK_EQ(chunk.first, 7);
    CHECK_EQ(chunk.reason, TERN_GAP_REFUSED);
    stop(&nor, &rig);
}

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
    if (!CHECK(status > 0))
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

/* Of the oldest sector's two heads one is damaged, and its first chunk stands behind a schema that ends far
 * from them. */
static void the_oldest_sector_is_known_by_one_head(void)
{
    static char names[17][60];
    static struct tern_column columns[17];
    static uint8_t data[512];
    struct tern_table table = {"t", columns, &tern_csv, 17, TERN_APPEND, 0, 0};
    struct tern_chunk chunk = {.data = data};
    struct nor nor;
    struct tern_log log;
    for (int i = 0; i < 17; i++) {
        memset(names[i], 'a' + i, 45);
        columns[i] = (struct tern_column){names[i], TERN_U32, 0};
    }
    nor_open(&nor, 2048, 4, 1);
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    for (int i = 0; i < 60; i++)
        CHECK_EQ(commit_row(&log, &chunk, &table), TERN_OK);
    CHECK(tern_schema_size(&table) > 512 && log.oldest != log.newest);
    uint32_t oldest = tern_log_oldest(&log);
    for (uint32_t head = 0; head < 2; head++) {
        uint8_t *byte = nor.cells + log.oldest + 30 + head * 30 + 5;
        *byte ^= 1;
        CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
        CHECK_EQ(tern_log_oldest(&log), oldest);
        *byte ^= 1;
    }
    nor_close(&nor);
}

/* A sector may begin in an epoch in which no record was put: that one is not kept, in whatever order the two
 * are found. */
static void an_epoch_without_a_record_is_forgotten_by_a_start(void)
{
    for (uint32_t last = 0; last < 1024; last += 512) {
        struct nor nor;
        struct rig rig;
        uint32_t epoch = 8;
        start(&nor, &rig, 512, 4, 1, 128);
        put_one(&rig);
        while (rig.log.newest == 0 || rig.log.ready_at == 0)
            put_one(&rig);
        uint32_t base = rig.log.next, sector = rig.log.newest;
        for (; rig.log.newest == sector; epoch += 8)
            CHECK_EQ(tern_log_set_epoch(&rig.log, epoch, base), TERN_OK);
        CHECK_EQ(tern_log_set_epoch(&rig.log, epoch, base), TERN_OK);
        rig.epoch = rig.epoch_maybe = rig.epoch_firm = epoch;
        sector = rig.log.newest;
        put_one(&rig);
        while (rig.log.newest == sector || rig.log.newest != last)
            put_one(&rig);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK(rig.log.epochs[0].epoch == epoch && rig.log.epochs[0].base == base);
        CHECK_EQ(rig.log.epochs[1].epoch, 0);
        stop(&nor, &rig);
    }
}

/* An epoch that finds no place changes nothing. */
static void an_epoch_that_is_not_programmed_is_not_in_force(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    put_one(&rig);
    CHECK_EQ(tern_log_set_epoch(&rig.log, 8, 1), TERN_OK);
    put_one(&rig);
    CHECK_EQ(tern_log_set_epoch(&rig.log, 16, 2), TERN_OK);
    put_one(&rig);
    tern_log_acknowledge(&rig.log, 3, 7);
    rig.log.ready_at = 0;
    nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + 1;
    nor.fail_count = 1;
    CHECK_EQ(tern_log_set_epoch(&rig.log, 24, 3), TERN_E_FULL);
    CHECK(rig.log.epochs[0].epoch == 16 && rig.log.epochs[0].base == 2);
    CHECK(rig.log.epochs[1].epoch == 8 && rig.log.epochs[1].base == 1);
    CHECK(rig.log.flags & LOG_WANTED);
    stop(&nor, &rig);
}

/* What a failed program has left is no place for the next one: it is made definite, and passed over. */
static void a_note_that_failed_is_not_programmed_again_in_its_place(void)
{
    for (unsigned fault = NOR_ERROR; fault <= NOR_HALF; fault++)
        for (uint32_t at = 1; at <= 4; at++) {
            struct nor nor;
            struct rig rig;
            start(&nor, &rig, 1024, 4, 8, 128);
            put_one(&rig);
            rig.log.ready_at = 0;
            nor.fault = (enum nor_fault)fault;
            nor.fail_at[NOR_PROGRAM] = nor.counts[NOR_PROGRAM] + at;
            nor.fail_count = 1;
            CHECK_EQ(rig_set_epoch(&rig), TERN_E_FULL);
            uint32_t sector = rig.log.newest;
            CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
            CHECK_EQ(rig.log.newest, sector);
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            CHECK_EQ(rig.log.epochs[0].epoch, rig.epoch);
            put_one(&rig);
            check(&rig);
            stop(&nor, &rig);
        }
}

/* Both copies, where there is just the room for them. */
static void the_last_room_of_a_sector_takes_both_copies(void)
{
    for (uint32_t left = 61; left-- > 59;) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 4, 1, 128);
        put_one(&rig);
        rig.log.write = rig.log.newest + 1024 - 1 - left;
        nor_start(&nor);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        CHECK_EQ(nor.counts[NOR_PROGRAM], left == 60 ? 4 : 2);
        rig_close(&rig);
        nor_close(&nor);
    }
}

/* ---- Sectors ahead --------------------------------------------------------------------------- */

/* Starts that ended in its head have left too little for what is wanted: another is prepared, and a note
 * tells of it before anything is erased, since a cut in that erase may leave its mark. */
static void a_sector_ahead_with_too_little_room_is_given_up(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 5, 1, 128);
    while (rig.log.newest != 512)
        put_one(&rig);
    while (rig.log.ready_at == 0)
        put_one(&rig);
    CHECK_EQ(rig.log.ahead, 1024);
    nor.cells[1024 + 250] = 0x55;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.ready_at, 1024 + 251 + 32);
    rig.least = 128;
    int status;
    while ((status = rig_put(&rig, 0)) == TERN_OK) {
        CHECK_EQ(rig_commit(&rig), TERN_OK);
        rig_close_chunk(&rig);
    }
    CHECK_EQ(status, TERN_E_FULL);
    CHECK_EQ(rig.log.newest, 512);
    uint32_t erases = nor.counts[NOR_ERASE];
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
    CHECK_EQ(nor.counts[NOR_ERASE], erases);
    struct tern_log again;
    CHECK_EQ(tern_log_mount(&again, &nor.flash, 0), TERN_OK);
    CHECK(again.newest == 512 && again.ready_at == 0);
    put_one(&rig);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    rig_close(&rig);
    nor_close(&nor);
}

/* The first copy of its head stands: after a start that sector is the newest one. What is committed until
 * then is behind it, wherever there was room before. */
static void nothing_goes_before_a_head_that_failed(void)
{
    for (uint32_t at = 1; at <= 4; at++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 4, 1, 512);
        while (rig.log.newest != 0 || rig.log.ready_at == 0 || rig.log.write < 600)
            put_one(&rig);
        rig_close_chunk(&rig);
        rig.least = 512;
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        CHECK(rig.log.flags & LOG_MOVE);
        nor_start(&nor);
        nor.fail_at[NOR_PROGRAM] = at; /* two for each copy */
        nor.fail_count = 1;
        CHECK_EQ(rig_commit(&rig), TERN_E_FULL);
        rig_abort(&rig);
        nor_start(&nor);
        rig.least = 32;
        put_one(&rig);
        CHECK(rig.log.newest != 0);
        check(&rig);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        check(&rig);
        stop(&nor, &rig);
    }
}

/* A start leaves a unit in doubt. It is burnt before an epoch's note stands behind it, though a head has
 * failed in between. */
static void a_head_that_failed_makes_nothing_certain(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    while (rig.log.newest != 0 || rig.log.ready_at == 0 || rig.log.write < 600)
        put_one(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    uint32_t end = rig.log.write;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    rig.log.flags |= LOG_MOVE;
    nor_start(&nor);
    nor.fail_at[NOR_PROGRAM] = 3; /* behind a burnt unit there, and the first of the head */
    nor.fail_count = 1;
    CHECK_EQ(rig_commit(&rig), TERN_E_FULL);
    rig_abort(&rig);
    CHECK(rig.log.newest == 0 && rig.log.write == end);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK_EQ(nor.cells[end], 0);
    CHECK_EQ(nor.cells[end + 1], ITEM_NOTE);
    stop(&nor, &rig);
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* A further chunk finds its place behind what the open one may still program, and that is all of it where it
 * goes in again as a whole. */
static void a_place_is_told_only_behind_the_open_chunk(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 8192, 3, 1, 512);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    uint32_t hash = tern_schema_hash(&rig_tables[0]);
    put_one(&rig);
    put_one(&rig);
    for (int whole = 0; whole < 2; whole++) {
        struct tern_log log = rig.log;
        CHECK(log.capacity == 512 && log.programmed != 0);
        log.ready_at = 0;
        if (whole != 0)
            log.flags &= (uint8_t)~LOG_PLACED; /* as a note behind it does */
        uint32_t open = whole != 0 ? 512 : 512u - log.programmed;
        log.write = 8192u - log.kept - 1 - open - TERN_CHUNK_MIN;
        CHECK(tern_log_has_place(&log, hash));
        CHECK(!tern_log_has_place(&log, 1)); /* a schema would go before it */
        log.write++;
        CHECK(!tern_log_has_place(&log, hash));
    }
    stop(&nor, &rig);
}

/* A schema that stands in the sector takes no room again, and a sector's chunks are no larger than its head
 * says. */
static void a_chunk_is_given_the_room_that_there_is(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t hash = tern_schema_hash(&rig_tables[0]);
    start(&nor, &rig, 4096, 4, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[0], hash, 512, 32), 128);
    tern_log_close(&rig.log);
    put_one(&rig);
    rig_close_chunk(&rig);
    rig.log.ready_at = 0;
    rig.log.write = rig.log.newest + 4096 - rig.log.kept - 1 - 100;
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[0], hash, 128, 32), 100);
    tern_log_close(&rig.log);
    int schema = (int)tern_schema_size(&rig_tables[1]) + 7;
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[1], 1, 128, 32), 100 - schema);
    rig_close(&rig);
    nor_close(&nor);
}

/* A place that is refused leaves nothing behind: the next chunk, which needs less, goes into the newest
 * sector. */
static void a_chunk_that_finds_no_place_does_not_move_the_next_one(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    put_one(&rig);
    rig_close_chunk(&rig);
    rig.log.ready_at = 0;
    rig.log.write += 600;
    uint32_t hash = tern_schema_hash(&rig_tables[0]);
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[0], hash, 500, 500), TERN_E_FULL);
    CHECK(tern_log_has_schema(&rig.log, hash));
    CHECK(rig_put(&rig, 0) == TERN_OK && rig_commit(&rig) == TERN_OK);
    CHECK_EQ(rig.log.newest, 0);
    rig_close(&rig);
    nor_close(&nor);
}

/* tern_log_abort() by itself: the next chunk stands alone, and begins behind what is committed. */
static void an_abort_closes_the_open_chunk(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 1, 256);
    put_one(&rig);
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    tern_chunk_finish(&rig.chunk, false, true);
    CHECK_EQ(tern_log_append(&rig.log, &rig.chunk, false), TERN_OK);
    tern_log_abort(&rig.log);
    CHECK(rig.log.capacity == 0 && rig.log.pending == rig.log.next);
    tern_chunk_close(&rig.chunk);
    rig.tail = rig.next;
    put_one(&rig);
    check(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    check(&rig);
    stop(&nor, &rig);
}

/* Where the open chunk goes, not where the newest sector is. */
static void the_sector_that_is_kept_is_that_of_the_open_chunk(void)
{
    struct nor nor;
    struct tern_log log;
    nor_open(&nor, 1024, 4, 1);
    CHECK_EQ(tern_log_mount(&log, &nor.flash, 0), TERN_OK);
    log.newest = 1024;
    log.ahead = 2048;
    log.oldest = 3072;
    log.flags = 0;
    CHECK(!tern_log_is_kept(&log));
    log.flags = LOG_MOVE;
    CHECK(tern_log_is_kept(&log));
    log.oldest = 2048;
    CHECK(!tern_log_is_kept(&log));
    log.flags = 0;
    CHECK(tern_log_is_kept(&log));
    log.epochs[0].epoch = 8;
    CHECK(!tern_log_is_kept(&log));
    nor_close(&nor);
}

/* An entry ends with FFs where its unit goes on: a mark, a head and a later note. */
static void what_fills_up_a_note_is_erased(void)
{
    for (uint8_t unit = 4; unit <= 32; unit = (uint8_t)(unit * 2)) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 2048, 3, unit, 128);
        put_one(&rig);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        uint32_t ends[] = {32, 64, 96, rig.log.write};
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
            CHECK(nor.cells[ends[i] - 2] == 0xFF && nor.cells[ends[i] - 1] == 0xFF);
        stop(&nor, &rig);
    }
}

/* A chunk's records all have a number; the last of them is FFFFFFFEh. */
static void numbers_are_given_to_their_end_and_no_further(void)
{
    struct nor nor;
    struct rig rig;
    const struct tern_table *table = &rig_tables[0];
    uint32_t hash = tern_schema_hash(table);
    start(&nor, &rig, 1024, 3, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    rig_close_chunk(&rig);
    rig.log.next = rig.log.pending = 0xFFFFFFFFu - TERN_CHUNK_ROWS_MAX;
    CHECK_EQ(tern_log_open(&rig.log, table, hash, 128, 32), 128);
    tern_log_close(&rig.log);
    rig.log.next = ++rig.log.pending;
    rig.log.ready_at = 0;
    rig.log.flags &= (uint8_t)~LOG_WANTED;
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_OK);
    CHECK_EQ(tern_log_open(&rig.log, table, hash, 128, 32), TERN_E_FULL);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN); /* a sector in which the count may begin again */
    stop(&nor, &rig);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Its head is gone as if it had been burnt, so nothing in it looks damaged: but the batch goes on behind it,
 * and has a hole. */
static void a_sector_missing_within_a_batch_is_damage(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 6, 1, 128);
    put_one(&rig);
    rig_close_chunk(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    for (uint32_t sector = 0; sector<3; sector += rig.log.newest> sector * 512) {
        CHECK_EQ(rig_service(&rig), TERN_OK);
        put_chunk(&rig, 6, false);
    }
    put_chunk(&rig, 1, true);
    CHECK(find(&rig, 2).first == 2);
    memset(nor.cells + 512, 0, 90);
    struct tern_log_chunk chunk = find(&rig, 2);
    CHECK(chunk.first > 2 && chunk.first < rig.log.next);
    CHECK_EQ(chunk.reason & ~TERN_GAP_LEADS, TERN_GAP_DAMAGED);
    rig_close(&rig);
    nor_close(&nor);
}

/* Which is the older one, whatever was found last. */
static void a_schema_that_one_sector_holds_is_found(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t address, size;
    start(&nor, &rig, 512, 6, 1, 128);
    put_one(&rig);
    for (unsigned table = 1; table < 3; table++) {
        rig_close_chunk(&rig);
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK(rig_put(&rig, table) == TERN_OK && rig_commit(&rig) == TERN_OK);
        while (rig.log.newest != table * 512)
            put_one(&rig);
    }
    while (rig.log.newest != 1536)
        put_one(&rig);
    for (unsigned table = 1; table < 3; table++)
        for (uint32_t sequence = 1; sequence < rig.log.next; sequence++) {
            uint32_t hash = tern_schema_hash(&rig_tables[table]);
            (void)find(&rig, sequence);
            CHECK_EQ(tern_log_find_schema(&rig.log, hash, &address, &size), TERN_OK);
            CHECK_EQ(address / 512, table - 1);
        }
    CHECK_EQ(tern_log_find_schema(&rig.log, 1, &address, &size), TERN_AGAIN);
    stop(&nor, &rig);
}

int main(void)
{
    RUN(both_epochs_are_known_after_a_start_wherever_they_stand);
    RUN(what_waited_for_a_commit_is_void_after_a_start);
    RUN(the_oldest_sector_is_known_by_one_head);
    RUN(an_epoch_without_a_record_is_forgotten_by_a_start);
    RUN(an_epoch_that_is_not_programmed_is_not_in_force);
    RUN(a_note_that_failed_is_not_programmed_again_in_its_place);
    RUN(the_last_room_of_a_sector_takes_both_copies);
    RUN(a_sector_ahead_with_too_little_room_is_given_up);
    RUN(nothing_goes_before_a_head_that_failed);
    RUN(a_head_that_failed_makes_nothing_certain);
    RUN(a_place_is_told_only_behind_the_open_chunk);
    RUN(a_chunk_is_given_the_room_that_there_is);
    RUN(a_chunk_that_finds_no_place_does_not_move_the_next_one);
    RUN(an_abort_closes_the_open_chunk);
    RUN(the_sector_that_is_kept_is_that_of_the_open_chunk);
    RUN(what_fills_up_a_note_is_erased);
    RUN(numbers_are_given_to_their_end_and_no_further);
    RUN(a_sector_missing_within_a_batch_is_damage);
    RUN(a_schema_that_one_sector_holds_is_found);
    return test_report();
}
