/* SPDX-License-Identifier: MIT */
/* The ring of sectors: when one is made ready, what is released for it, and what the next epoch finds when
 * the count begins again. */
#include <string.h>

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

/* What the open chunk holds goes to flash, and waits for a commit. */
static void put_some(struct rig *rig, int records)
{
    for (int i = 0; i < records; i++)
        CHECK_EQ(rig_put(rig, 0), TERN_OK);
    tern_chunk_finish(&rig->chunk, false, true);
    CHECK_EQ(tern_log_append(&rig->log, &rig->chunk, false), TERN_OK);
}

/* ---- Making a sector ready ------------------------------------------------------------------- */

/* LOG.md: made ready when the newest is half full, what the open chunk may still take counted. */
static void a_sector_is_made_ready_when_the_newest_is_half_full(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 4, 1, 512);
    put_one(&rig);
    put_one(&rig);
    for (uint32_t is_open = 0; is_open < 2; is_open++) {
        struct tern_log log = rig.log;
        log.flags &= (uint8_t)~LOG_WANTED;
        log.ready_at = 0;
        log.failures = ERASE_TRIES;
        if (is_open == 0)
            tern_log_close(&log);
        nor_start(&nor);
        log.write = log.newest + 2048 - 1 - (log.capacity - log.programmed);
        CHECK_EQ(tern_log_service(&log, true), TERN_OK);
        CHECK_EQ(nor.changes, 0);
        log.write++;
        CHECK_EQ(tern_log_service(&log, true), TERN_AGAIN);
        CHECK_EQ(nor.changes, 1);
    }
    rig_close(&rig);
    nor_close(&nor);
}

static void after_an_abort_nobody_waits_for_a_sector(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 4, 1, 512);
    put_one(&rig);
    rig_close_chunk(&rig);
    rig.log.ready_at = 0;
    rig.log.write = rig.log.newest + 1024;
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[0], 1, 3500, 3500), TERN_E_FULL);
    tern_log_abort(&rig.log);
    nor_start(&nor);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_OK);
    CHECK_EQ(nor.changes, 0);
    CHECK_EQ(tern_log_open(&rig.log, &rig_tables[0], 1, 3500, 3500), TERN_E_FULL);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
    CHECK_EQ(nor.counts[NOR_ERASE], 1);
    rig_close(&rig);
    nor_close(&nor);
}

/* All of a sector is looked at before it is marked, 1,024 bytes a call and not a byte behind it. */
static void an_erase_is_looked_at_whole_and_in_pieces(void)
{
    static const uint32_t sizes[] = {1023, 1024, 1025, 2047, 2048, 2049, 4096};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, sizes[i], 3, 1, 128);
        nor.cells[sizes[i]] = 0; /* the next sector's */
        uint32_t calls = 0;
        for (; rig.log.ready_at == 0 && calls < 20; calls++) {
            nor_start(&nor);
            uint32_t before = nor.bytes[NOR_READ];
            CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
            CHECK(nor.bytes[NOR_READ] - before <= 1024 && nor.changes <= 1);
        }
        CHECK_EQ(calls, 1 + (sizes[i] + 1023) / 1024 + 1);
        CHECK_EQ(rig.log.ready_at, 30);
        stop(&nor, &rig);
    }
}

/* Half of it done, or an error: once more, and only then a mark. */
static void an_erase_that_fails_is_done_again(void)
{
    for (unsigned fault = NOR_ERROR; fault <= NOR_HALF; fault++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 512, 3, 1, 128);
        if (fault != NOR_ERROR)
            memset(nor.cells + 256, 0x12, 256);
        nor.fault = (enum nor_fault)fault;
        nor.fail_at[NOR_ERASE] = 1;
        nor.fail_count = 1;
        int status = TERN_AGAIN;
        while (status == TERN_AGAIN)
            status = tern_log_service(&rig.log, true);
        CHECK_EQ(status, TERN_E_FLASH);
        CHECK_EQ(rig.log.stats.errors, 1);
        CHECK_EQ(nor.counts[NOR_PROGRAM], 0);
        put_one(&rig);
        CHECK_EQ(nor.counts[NOR_ERASE], 2);
        CHECK(rig.log.newest == 0 && rig.log.stats.retired == 0);
        check(&rig);
        stop(&nor, &rig);
    }
}

/* A call that programs a note erases nothing, and asks for another. What hinders the note is told. */
static void a_note_that_is_due_is_one_call(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    put_one(&rig);
    put_some(&rig, 3);
    rig_abort(&rig);
    rig.log.flags |= LOG_WANTED;
    rig.log.ready_at = 0;
    nor_start(&nor);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
    CHECK(nor.counts[NOR_ERASE] == 0 && nor.changes == 2);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
    CHECK_EQ(nor.counts[NOR_ERASE], 1);
    while (rig.log.ready_at == 0)
        CHECK(tern_log_service(&rig.log, true) >= 0);
    rig.log.write = rig.log.newest + 1024 - 30;
    rig.log.flags |= LOG_NOTE_DUE;
    nor_start(&nor);
    nor.fail_at[NOR_PROGRAM] = 1;
    nor.fail_count = 1;
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_E_FLASH);
    CHECK(rig.log.flags & LOG_NOTE_DUE);
    rig_close(&rig);
    nor_close(&nor);
}

/* ---- Releasing the oldest -------------------------------------------------------------------- */

/* The number that each sector begins with, one that cannot be erased passed over: the log begins with that of
 * its oldest. */
static void a_log_begins_where_its_oldest_sector_does(void)
{
    for (uint32_t bad = 0; bad < 5; bad++) {
        struct nor nor;
        struct rig rig;
        uint32_t firsts[5] = {0}, dropped = 0;
        start(&nor, &rig, 512, 5, 1, 128);
        nor.fault = NOR_NOTHING;
        for (int i = 0; i < 400; i++) {
            for (int tries = 0; tries < 9 && rig_service(&rig) != TERN_OK; tries++)
                ;
            if (rig.log.newest != TERN_NO_ADDRESS && rig.log.floor != 1) {
                CHECK_EQ(rig.log.floor, firsts[rig.log.oldest / 512]);
                CHECK_EQ(tern_log_oldest(&rig.log), rig.log.floor);
                dropped = rig.log.floor - 1;
            }
            CHECK_EQ(rig.log.stats.dropped, dropped);
            uint32_t before = rig.log.newest, next = rig.log.next;
            CHECK(rig_put(&rig, 0) == TERN_OK && rig_commit(&rig) == TERN_OK);
            if (rig.log.newest != before)
                firsts[rig.log.newest / 512] = next;
            nor.bad_sector = i > 60 && rig.log.newest != bad * 512 ? bad + 1 : 0;
        }
        check(&rig);
        stop(&nor, &rig);
    }
}

/* What was acknowledged before its sector was released is not lost with it. */
static void what_is_acknowledged_is_not_dropped(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 4, 1, 128);
    for (int i = 0; i < 200; i++) {
        put_one(&rig);
        rig_acknowledge(&rig, 0);
        CHECK_EQ(rig.log.stats.dropped, 0);
    }
    CHECK(rig.log.floor > 1);
    stop(&nor, &rig);
}

/* What was found there is told to be gone. */
static void a_chunk_in_a_sector_that_was_released_is_gone(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    uint8_t bytes[4];
    start(&nor, &rig, 512, 3, 1, 128);
    put_one(&rig);
    CHECK_EQ(tern_log_find(&rig.log, 1, &chunk), TERN_OK);
    while (rig.log.oldest == 0)
        put_one(&rig);
    CHECK(!tern_log_is_there(&rig.log, &chunk));
    CHECK_EQ(tern_log_read(&rig.log, &chunk, 0, bytes, 4), TERN_E_CORRUPT);
    stop(&nor, &rig);
}

/* All that it holds, and no more than that, has to be acknowledged. */
static void a_sector_is_released_when_its_last_record_is_acknowledged(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t second = 0;
    start(&nor, &rig, 512, 3, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    rig.drop = false;
    for (;;) {
        uint32_t before = rig.log.newest;
        CHECK_EQ(rig_service(&rig), TERN_OK);
        if (rig_put(&rig, 0) != TERN_OK)
            break;
        CHECK_EQ(rig_commit(&rig), TERN_OK);
        if (second == 0 && rig.log.newest != before)
            second = rig.log.next - 1;
    }
    tern_log_acknowledge(&rig.log, second - 1, 7);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK_EQ(rig.log.ready_at, 0);
    tern_log_acknowledge(&rig.log, second, 7);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    CHECK(rig.log.ready_at != 0);
    CHECK_EQ(rig.log.floor, second);
    stop(&nor, &rig);
}

/* The sector behind the oldest begins with the batch that is open: nothing of that is in the oldest. */
static void a_batch_may_fill_all_but_the_sector_before_it(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 3, 1, 128);
    while (rig.log.newest != 512)
        put_one(&rig);
    while (rig.log.ready_at == 0)
        put_one(&rig);
    rig_close_chunk(&rig);
    uint32_t first = rig.log.next;
    rig.in_batch = true;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    rig.log.flags |= LOG_MOVE;
    int status = TERN_OK;
    rig.wanted = 96;
    for (int i = 0; i < 300 && status == TERN_OK; i++) {
        status = rig_service(&rig);
        if (status == TERN_OK)
            status = rig_put(&rig, 0);
        if (status == TERN_E_FULL)
            status = rig_service(&rig);
    }
    CHECK_EQ(status, TERN_E_TOO_BIG);
    CHECK_EQ(rig.log.floor, first); /* all before it had been released */
    rig_abort(&rig);
    stop(&nor, &rig);
}

/* The head of a sector tells of a batch that is void since; that another is open now, elsewhere, keeps
 * nothing. */
static void a_batch_that_is_void_keeps_no_sector(void)
{
    for (int again = 0; again < 2; again++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 512, 3, 1, 128);
        put_one(&rig);
        rig.in_batch = true;
        while (rig.log.newest != 1024) {
            CHECK_EQ(rig_service(&rig), TERN_OK);
            CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        }
        rig_abort(&rig);
        if (again != 0) {
            CHECK_EQ(rig_service(&rig), TERN_OK);
            CHECK(rig_put(&rig, 0) == TERN_OK && rig_commit(&rig) == TERN_OK);
            put_some(&rig, 1);
            rig.in_batch = true;
        }
        rig.log.ready_at = 0;
        rig.log.failures = ERASE_TRIES;
        rig.log.ahead = rig.log.newest;
        rig.log.flags = (uint8_t)((rig.log.flags | LOG_WANTED) & ~LOG_NOTE_DUE);
        CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
        CHECK_EQ(rig.log.oldest, 512);
        CHECK_EQ(rig.log.floor, 2);
        rig_close(&rig);
        nor_close(&nor);
    }
}

/* A batch that fills the ring, and whose last sector failed, is told to be too large, too. */
static void a_batch_whose_last_sector_fails_is_too_large(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 3, 1, 64);
    rig.in_batch = true;
    while (rig.log.newest != 1024) {
        CHECK_EQ(rig_service(&rig), TERN_OK);
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    }
    rig.log.flags &= (uint8_t)~LOG_WANTED;
    CHECK_EQ(rig.log.ready_at, 0);
    nor.bad_sector = 3;
    nor.fault = NOR_ERROR;
    tern_chunk_finish(&rig.chunk, false, true);
    CHECK_EQ(tern_log_append(&rig.log, &rig.chunk, false), TERN_E_FULL);
    CHECK_EQ(rig.log.stats.retired, 1);
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_E_TOO_BIG);
    stop(&nor, &rig);
}

/* Of the newest sector the head is damaged: its records count, and no others do, when all before it is
 * released. */
static void a_newest_sector_without_a_head_becomes_the_oldest(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 2, 1, 128);
    while (rig.log.newest != 512)
        put_one(&rig);
    memset(nor.cells + 512 + 30, 0, 60);
    uint32_t next = rig.log.next;
    rig.log.flags |= LOG_WANTED;
    rig.log.ready_at = 0;
    rig.log.failures = ERASE_TRIES;
    rig.log.ahead = rig.log.newest;
    CHECK_EQ(tern_log_service(&rig.log, true), TERN_AGAIN);
    CHECK(rig.log.oldest == 512 && rig.log.floor == next);
    CHECK(rig.log.oldest_generation <= rig.log.generation);
    CHECK_EQ(rig.log.stats.dropped, next - 1);
    rig_close(&rig);
    nor_close(&nor);
}

/* ---- Beginning again ------------------------------------------------------------------------- */

static void the_count_begins_again_at_the_middle_of_its_numbers(void)
{
    for (uint32_t before = 0; before < 2; before++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 4, 1, 128);
        rig_begin_at(&rig, 0x7FFFFFF0u);
        while (rig.log.next < 0x80000000u - before)
            put_one(&rig);
        rig_close_chunk(&rig);
        while (rig.log.ready_at == 0) {
            rig.log.flags |= LOG_WANTED;
            CHECK(tern_log_service(&rig.log, true) >= 0);
        }
        rig_acknowledge(&rig, 0);
        CHECK(tern_log_open(&rig.log, &rig_tables[0], tern_schema_hash(&rig_tables[0]), 128, 32) > 0);
        CHECK_EQ(rig.log.epochs[0].epoch, before == 0 ? 16 : 8);
        rig_close(&rig);
        nor_close(&nor);
    }
}

/* None of it is found again, though a sector with its records cannot be erased. */
static void the_epoch_before_is_gone_when_the_count_begins_again(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 5, 1, 128);
    rig_begin_at(&rig, 0x80000000u);
    while (rig.log.newest != 2048)
        put_one(&rig);
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    rig_acknowledge(&rig, 0);
    rig_close_chunk(&rig);
    while (rig.log.ready_at == 0) {
        rig.log.flags |= LOG_WANTED;
        CHECK(tern_log_service(&rig.log, true) >= 0);
    }
    nor.fault = NOR_NOTHING;
    nor.bad_sector = rig.log.ahead / 512 + 2;
    CHECK(nor.bad_sector <= 5);
    CHECK_EQ(tern_log_find(&rig.log, rig.log.next - 1, &chunk), TERN_OK);
    CHECK(tern_log_is_there(&rig.log, &chunk));
    put_one(&rig);
    CHECK_EQ(rig.log.epochs[0].epoch, 16);
    CHECK(!tern_log_is_there(&rig.log, &chunk));
    CHECK_EQ(tern_log_oldest(&rig.log), 1);
    uint32_t newest = rig.log.newest, dropped = rig.log.stats.dropped;
    rig.drop = false; /* nothing of it is owed */
    for (int i = 0; i < 60; i++) {
        put_one(&rig);
        CHECK_EQ(tern_log_oldest(&rig.log), 1);
        CHECK(rig.log.floor == 1 && rig.log.stats.dropped == dropped);
        struct tern_log_chunk found = {.address = TERN_NO_ADDRESS};
        CHECK_EQ(tern_log_find(&rig.log, rig.log.next, &found), TERN_AGAIN);
        check(&rig);
    }
    CHECK(rig.log.newest != newest && rig.log.stats.retired != 0);
    stop(&nor, &rig);
}

int main(void)
{
    RUN(a_sector_is_made_ready_when_the_newest_is_half_full);
    RUN(after_an_abort_nobody_waits_for_a_sector);
    RUN(an_erase_is_looked_at_whole_and_in_pieces);
    RUN(an_erase_that_fails_is_done_again);
    RUN(a_note_that_is_due_is_one_call);
    RUN(a_log_begins_where_its_oldest_sector_does);
    RUN(what_is_acknowledged_is_not_dropped);
    RUN(a_chunk_in_a_sector_that_was_released_is_gone);
    RUN(a_sector_is_released_when_its_last_record_is_acknowledged);
    RUN(a_batch_may_fill_all_but_the_sector_before_it);
    RUN(a_batch_that_is_void_keeps_no_sector);
    RUN(a_batch_whose_last_sector_fails_is_too_large);
    RUN(a_newest_sector_without_a_head_becomes_the_oldest);
    RUN(the_count_begins_again_at_the_middle_of_its_numbers);
    RUN(the_epoch_before_is_gone_when_the_count_begins_again);
    return test_report();
}
