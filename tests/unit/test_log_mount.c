/* SPDX-License-Identifier: MIT */
/* What a start finds in flash, and what a search does, where something in it is damaged, void or waits for
 * its commit. */
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

/* So many records in a chunk of their own, with a commit or waiting for one. */
static void put_chunk(struct rig *rig, int records, bool commit)
{
    for (int i = 0; i < records; i++)
        CHECK_EQ(rig_put(rig, 0), TERN_OK);
    tern_chunk_finish(&rig->chunk, commit, !commit);
    CHECK_EQ(tern_log_append(&rig->log, &rig->chunk, commit), TERN_OK);
    rig_close_chunk(rig);
}

static struct tern_log_chunk find(struct rig *rig, uint32_t sequence)
{
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    CHECK_EQ(tern_log_find(&rig->log, sequence, &chunk), TERN_OK);
    return chunk;
}

static void make_ready(struct rig *rig)
{
    while (rig->log.ready_at == 0) {
        rig->log.flags |= LOG_WANTED;
        CHECK(tern_log_service(&rig->log, true) >= 0 && test_faults == 0);
        if (test_faults != 0)
            return;
    }
}

static void spoil(struct nor *nor, const struct tern_log_chunk *chunk, uint8_t with)
{
    memset(nor->cells + chunk->address, with, chunk->size);
}

/* ---- Marks and heads ------------------------------------------------------------------------- */

/* The newest mark tells what had been acknowledged, and which sector is ahead, wherever it stands in the
 * ring. */
static void the_newest_mark_is_believed(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 4, 1, 128);
    uint32_t generation = 0, acked = 1;
    for (int i = 0; i < 500; i++) {
        put_one(&rig);
        rig_acknowledge(&rig, 2);
        make_ready(&rig);
        if (rig.log.generation != generation) {
            struct tern_log again;
            generation = rig.log.generation;
            acked = rig.log.acked;
            CHECK_EQ(tern_log_mount(&again, &nor.flash, 0), TERN_OK);
            CHECK(again.acked == acked && again.generation == generation);
            CHECK(again.ahead == rig.log.ahead && again.ready_at == rig.log.ready_at);
            CHECK(again.oldest == rig.log.oldest && again.floor == rig.log.floor);
        }
    }
    CHECK(generation > 8);
    stop(&nor, &rig);
}

/* Nothing is owed, and a start knows it. */
static void all_that_was_acknowledged_is_known_after_a_start(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 4, 1, 128);
    for (int i = 0; i < 50; i++)
        put_one(&rig);
    rig.log.ready_at = 0;
    rig_acknowledge(&rig, 0);
    make_ready(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(rig.log.acked == 51 && rig.log.next == 51);
    stop(&nor, &rig);
}

/* A sector ahead that was given up keeps its mark: the next one has the newer mark, and is the one that
 * stands ahead, or none is. */
static void a_mark_of_a_sector_given_up_is_not_believed(void)
{
    for (uint32_t newest = 0; newest < 4; newest++)
        for (int is_full = 0; is_full < 2; is_full++) {
            struct nor nor;
            struct rig rig;
            struct tern_log again;
            start(&nor, &rig, 512, 5, 1, 128);
            while (rig.log.newest != newest * 512)
                put_one(&rig);
            make_ready(&rig);
            tern_log_give_up(&rig.log);
            make_ready(&rig);
            CHECK_EQ(rig.log.ahead, (newest + 2) % 5 * 512);
            if (is_full != 0)
                nor.cells[rig.log.ahead + 450] = 0x55;
            CHECK_EQ(tern_log_mount(&again, &nor.flash, 0), TERN_OK);
            CHECK(again.newest == newest * 512 && again.ahead == rig.log.ahead);
            CHECK_EQ(again.ready_at, is_full != 0 ? 0 : rig.log.ready_at);
            rig_close(&rig);
            nor_close(&nor);
        }
}

/* The head of the newest sector then tells its generation, and the next sectors go on from there. */
static void a_newest_sector_without_a_mark_is_still_the_newest(void)
{
    for (uint32_t newest = 0; newest < 4; newest++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 512, 4, 1, 128);
        for (int i = 0; i < 60; i++)
            put_one(&rig);
        while (rig.log.newest == newest * 512)
            put_one(&rig);
        while (rig.log.newest != (newest + 2) % 4 * 512)
            put_one(&rig);
        make_ready(&rig);
        tern_log_give_up(&rig.log); /* its mark stays, and is the newest one but for this */
        while (rig.log.newest != newest * 512)
            put_one(&rig);
        uint32_t generation = rig.log.generation;
        memset(nor.cells + rig.log.newest, 0, 30);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig.log.newest, newest * 512);
        CHECK_EQ(rig.log.generation, generation);
        CHECK(rig.log.ahead == rig.log.newest && rig.log.ready_at == 0);
        for (int i = 0; i < 60; i++) {
            put_one(&rig);
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            check(&rig);
        }
        rig_close(&rig);
        nor_close(&nor);
    }
}

/* Such a sector counts by its mark, of which no word is a number of records. */
static void a_newest_sector_without_a_head_keeps_what_it_holds(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 192, 4, 1, 64);
    put_one(&rig);
    tern_log_acknowledge(&rig.log, 1, 0x1122334455667788u);
    while (rig.log.newest != 384)
        put_one(&rig);
    memset(nor.cells + rig.log.newest + 30, 0, 30);
    uint32_t next = rig.log.next;
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK(rig.log.newest == 384 && rig.log.next == next);
    CHECK_EQ(find(&rig, next - 1).next, next);
    rig_close(&rig);
    nor_close(&nor);
}

/* The last sector of the ring is the one before the first, too. */
static void an_epoch_behind_a_head_that_failed_is_found_wherever_it_stands(void)
{
    for (uint32_t sector = 0; sector < 4; sector++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 256, 4, 1, 128);
        put_one(&rig);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        while (rig.log.newest == 0)
            put_one(&rig);
        while (rig.log.newest != sector * 256)
            put_one(&rig);
        make_ready(&rig);
        rig_close_chunk(&rig);
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        rig.log.flags |= LOG_MOVE;
        nor_start(&nor);
        nor.fail_at[NOR_PROGRAM] = 3; /* the head's second copy */
        nor.fail_count = 1;
        CHECK_EQ(rig_commit(&rig), TERN_E_FULL);
        rig_abort(&rig);
        nor_start(&nor);
        CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig.log.epochs[0].epoch, 16);
        put_one(&rig);
        check(&rig);
        stop(&nor, &rig);
    }
}

/* LOG.md: each head, the newest sector once to its end, its segments twice; the one before only where it
 * holds no chunk. */
static void a_start_reads_no_more_than_it_must(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 16384, 4, 4, 256);
    while (rig.log.newest != 16384 * 2 || rig.log.write < 16384 * 3 - 1024)
        put_one(&rig);
    uint32_t before = nor.bytes[NOR_READ];
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(nor.bytes[NOR_READ] - before < 4 * 2 * 512 + 16384 + 16384 / 2);
    make_ready(&rig);
    while (rig.log.newest != 16384 * 3)
        put_one(&rig);
    uint32_t head = rig.log.newest + 3 * rig.log.note;
    memset(nor.cells + head, 0xFF, 16384u - 3u * rig.log.note);
    before = nor.bytes[NOR_READ];
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK(nor.bytes[NOR_READ] - before < 4 * 2 * 512 + 2 * 8256 + 2 * 16384 + 16384 / 2);
    rig_close(&rig);
    nor_close(&nor);
}

/* ---- The end of the newest sector ------------------------------------------------------------ */

/* What is torn there, by its distance from the place that is kept for notes, and where the log goes on
 * (PROTOCOL.md). */
static void a_torn_end_is_passed_over_by_what_may_be_torn(void)
{
    static const struct {
        int32_t last; /* byte that is not erased, from the border */
        int32_t write;
    } cases[] = {{-200, -199 + 128}, {-129, 0}, {-128, 0}, {-60, 0}, {-33, 0},  {-32, 1},
                 {-31, 2},           {-1, 32},  {0, 33},   {60, 93}, {87, 120}, {100, 120}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 1024, 4, 1, 128);
        while (rig.log.newest != 0 || rig.log.write < 600)
            put_one(&rig);
        int32_t border = 1024 - 120;
        nor.cells[border + cases[i].last] = 0x55;
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(rig.log.write, border + cases[i].write);
        put_one(&rig);
        check(&rig);
        rig_close(&rig);
        nor_close(&nor);
    }
}

/* Behind a note nothing more goes where something is torn; behind an entry that is whole nothing is passed
 * over. */
static void only_what_is_torn_last_costs_room(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    struct tern_log_chunk chunk = find(&rig, 1);
    put_chunk(&rig, 3, true);
    uint32_t end = rig.log.write;
    spoil(&nor, &chunk, 0x55);
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(rig.log.write, end);
    rig.next = rig.maybe = rig.tail = rig.log.next;
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    nor.cells[rig.log.write + 3] = 0x55;
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(rig.log.write, 1024);
    rig_close(&rig);
    nor_close(&nor);
}

/* What stands last may not last: a note is added until there are three, and no more. */
static void a_note_at_the_end_is_repeated_up_to_three(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 1024, 4, 1, 128);
    put_one(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    for (uint32_t starts = 0; starts < 3; starts++) {
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ((rig.log.flags & LOG_NOTE_DUE) != 0, starts == 0);
        CHECK_EQ(rig_service(&rig), TERN_OK);
    }
    put_one(&rig);
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK((rig.log.flags & LOG_NOTE_DUE) == 0);
    stop(&nor, &rig);
}

/* The newest chunk is damaged, and its records are told as lost; a power cut in the next one does not take
 * that back. */
static void a_loss_that_was_told_stays(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 1, 256);
    for (int i = 0; i < 4; i++)
        put_one(&rig);
    struct tern_log_chunk chunk = find(&rig, 1);
    nor.cells[chunk.address + 8] ^= 0x20;
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(rig.log.next, 5);
    rig.chunk.size = 0;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    nor_start(&nor);
    nor.cut_at = 5; /* behind a burnt unit and a note: the rest of the chunk */
    nor.tear = NOR_PREFIX;
    nor.extent = 3;
    CHECK(rig_commit(&rig) < 0);
    nor_start(&nor);
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(rig.log.next, 5);
    rig_close(&rig);
    nor_close(&nor);
}

/* The same behind an epoch's note, which says how far records were committed before it. */
static void a_loss_behind_a_note_is_told(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 1, 256);
    for (int i = 0; i < 30; i++)
        put_one(&rig);
    rig_close_chunk(&rig);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    for (int i = 0; i < 4; i++)
        put_one(&rig);
    struct tern_log_chunk chunk = find(&rig, 31);
    CHECK(chunk.first == 31 && chunk.next == 35);
    nor.cells[chunk.address + 8] ^= 0x20;
    CHECK_EQ(tern_log_mount(&rig.log, &nor.flash, 0), TERN_OK);
    CHECK_EQ(rig.log.next, 35);
    rig_close(&rig);
    nor_close(&nor);
}

/* A writer has gone round a torn chunk and burnt a unit there, and the power failed: that unit is behind it,
 * and nothing more is given up. */
static void what_was_passed_over_once_is_done_with(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 4096, 4, 1, 128);
    put_one(&rig);
    nor.cells[rig.log.write] = 0x10;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    uint32_t at = rig.log.write;
    nor.cells[at] = 0;
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK_EQ(rig.log.write, at + 1);
    rig_close(&rig);
    nor_close(&nor);
}

/* Garbage in the last bytes of the flash: nothing behind them is read. */
static void nothing_is_read_behind_the_last_sector(void)
{
    for (uint32_t bytes = 1; bytes <= 40; bytes++) {
        struct nor nor;
        struct rig rig;
        start(&nor, &rig, 512, 4, 1, 128);
        while (rig.log.newest != 1536)
            put_one(&rig);
        memset(nor.cells + 2048 - bytes, bytes % 2 != 0 ? ITEM_NOTE : ITEM_SCHEMA, bytes);
        if (bytes > 13) /* an item whose CRC would end one byte behind */
            nor.cells[2048 - bytes + 1] = (uint8_t)(bytes - 5);
        CHECK_EQ(rig_mount(&rig), TERN_OK);
        CHECK_EQ(find(&rig, rig.log.next - 1).next, rig.log.next);
        CHECK_EQ(nor.violations, 0);
        rig_close(&rig);
        nor_close(&nor);
    }
}

static int read_nothing(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    (void)address;
    memset(data, 0x12, size / 2);
    return -1;
}

/* Neither erased nor of any use. */
static void what_cannot_be_read_is_zeros(void)
{
    const struct tern_flash flash = {
        .read = read_nothing, .sector_size = 512, .sector_count = 4, .program_unit = 1};
    struct tern_log log = {.flash = &flash, .unit = 1};
    uint8_t bytes[16];
    memset(bytes, 0xFF, sizeof(bytes));
    CHECK_EQ(tern_log_load(&log, 0, bytes, sizeof(bytes)), TERN_OK);
    for (size_t i = 0; i < sizeof(bytes); i++)
        CHECK_EQ(bytes[i], 0);
    CHECK_EQ(tern_log_used(&log, 64, 128), 64);
}

/* ---- Searching ------------------------------------------------------------------------------- */

/* Its commit stands in a chunk of its own, which is damaged: nothing says that the records were committed. */
static void records_whose_commit_is_damaged_are_not_given(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    start(&nor, &rig, 2048, 4, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    put_chunk(&rig, 3, false);
    CHECK_EQ(tern_log_find_any(&rig.log, 4, &chunk), TERN_OK);
    CHECK(chunk.first == 4 && chunk.next == 7);
    chunk.address = TERN_NO_ADDRESS;
    CHECK_EQ(tern_log_find(&rig.log, 4, &chunk), TERN_AGAIN);
    uint32_t at = rig.log.write;
    rig.tail = 7;
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK_EQ(find(&rig, 4).next, 7);
    memset(nor.cells + at, 0x55, rig.log.write - at);
    chunk.address = TERN_NO_ADDRESS;
    CHECK_EQ(tern_log_find(&rig.log, 4, &chunk), TERN_AGAIN);
    rig_close(&rig);
    nor_close(&nor);
}

/* A chunk with a commit and records that were given up: these stay void, though the note that says so is
 * damaged. */
static void what_a_later_chunk_passes_over_is_void(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rig_put(&rig, 0), TERN_OK);
        tern_chunk_finish(&rig.chunk, false, true);
        CHECK_EQ(tern_log_append(&rig.log, &rig.chunk, false), TERN_OK);
    }
    uint32_t note = rig.log.write;
    rig_abort(&rig);
    rig.refused = 1;
    put_chunk(&rig, 3, true);
    memset(nor.cells + note, 0, 32);
    struct tern_log_chunk chunk = find(&rig, 4);
    CHECK(chunk.first == 5 && chunk.reason == TERN_GAP_REFUSED);
    CHECK_EQ(find(&rig, 1).next, 4);
    rig_close(&rig);
    nor_close(&nor);
}

/* Of a chunk that stands twice, the first time with records that wait, the later copy is found. It takes
 * nothing more. */
static void of_two_copies_the_later_one_is_found(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 4, 256);
    put_one(&rig);
    put_one(&rig);
    rig.in_batch = true;
    CHECK_EQ(rig_put(&rig, 0), TERN_OK);
    tern_chunk_finish(&rig.chunk, false, true);
    CHECK_EQ(tern_log_append(&rig.log, &rig.chunk, false), TERN_OK);
    CHECK(rig.log.capacity != 0);
    CHECK_EQ(rig_set_epoch(&rig), TERN_OK);
    CHECK(rig_put(&rig, 0) == TERN_OK && rig_commit(&rig) == TERN_OK);
    CHECK_EQ(rig.log.capacity, 0);
    struct tern_log_chunk chunk = find(&rig, 1);
    CHECK(chunk.first == 1 && chunk.next == 5);
    stop(&nor, &rig);
}

/* The head of a later sector is no part of what lies between two records. */
static void damage_elsewhere_is_no_reason_for_a_gap(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 512, 4, 1, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    rig.refused = 2;
    put_chunk(&rig, 3, true);
    while (rig.log.newest != 512)
        put_one(&rig);
    nor.cells[512 + 30 + 5] ^= 1;
    struct tern_log_chunk chunk = find(&rig, 4);
    CHECK_EQ(chunk.first, 6);
    CHECK_EQ(chunk.reason, TERN_GAP_REFUSED);
    stop(&nor, &rig);
}

static void a_segments_crc_is_that_of_its_last_record(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t crc;
    start(&nor, &rig, 2048, 4, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    put_chunk(&rig, 3, true);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 2, &crc), TERN_AGAIN); /* in its middle */
    CHECK_EQ(tern_log_segment_crc(&rig.log, 4, &crc), TERN_OK);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 7, &crc), TERN_OK);
    put_chunk(&rig, 3, false);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 10, &crc), TERN_AGAIN); /* waits for a commit */
    struct tern_log_chunk chunk = find(&rig, 1);
    spoil(&nor, &chunk, 0x55);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 4, &crc), TERN_E_CORRUPT);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 7, &crc), TERN_OK);
    chunk = find(&rig, 4);
    spoil(&nor, &chunk, 0x55);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 7, &crc), TERN_E_CORRUPT);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 8, &crc), TERN_AGAIN);
    rig_close(&rig);
    nor_close(&nor);
}

/* What another search has seen to be committed says nothing of what lies before it. */
static void a_search_for_a_crc_does_not_make_void_records_good(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t crc;
    start(&nor, &rig, 2048, 4, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    put_chunk(&rig, 3, false); /* 4 to 6 */
    rig_abort(&rig);
    rig.refused = 3;
    put_chunk(&rig, 3, false);
    put_chunk(&rig, 3, true);
    struct tern_log_chunk chunk = find(&rig, 1);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 10, &crc), TERN_OK);
    CHECK_EQ(tern_log_find(&rig.log, 4, &chunk), TERN_OK);
    CHECK(chunk.first == 7 && chunk.next == 10);
    stop(&nor, &rig);
}

/* Nothing is committed: the log begins with what is to come. */
static void records_that_wait_are_not_the_oldest(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    rig.refused = 2;
    put_chunk(&rig, 3, false);
    CHECK_EQ(tern_log_oldest(&rig.log), 1);
    rig.tail = 6;
    CHECK_EQ(rig_commit(&rig), TERN_OK);
    CHECK_EQ(tern_log_oldest(&rig.log), 3);
    stop(&nor, &rig);
}

/* The four bytes may stand anywhere in it, its end not least. */
static void a_chunk_names_the_schemas_that_it_holds(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 2048, 4, 1, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 3, true);
    struct tern_log_chunk chunk = find(&rig, 1);
    CHECK(tern_log_names(&rig.log, &chunk, tern_schema_hash(&rig_tables[0])));
    CHECK(!tern_log_names(&rig.log, &chunk, tern_schema_hash(&rig_tables[1])));
    const uint8_t *bytes = nor.cells + chunk.address;
    for (uint32_t at = 0; at + 4 <= chunk.size; at++)
        CHECK(tern_log_names(&rig.log, &chunk, tern_load32(bytes + at)));
    uint32_t beyond = tern_load32(bytes + chunk.size - 3);
    CHECK(!tern_log_names(&rig.log, &chunk, beyond));
    stop(&nor, &rig);
}

/* The copy in the sector of the chunk that was found: its bytes are there as long as the chunk is. */
static void a_schema_is_taken_from_the_sector_of_its_chunk(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t address, size;
    start(&nor, &rig, 512, 6, 1, 128);
    while (rig.log.newest != 1536)
        put_one(&rig);
    for (uint32_t sequence = 1; sequence < rig.log.next; sequence++) {
        struct tern_log_chunk chunk = find(&rig, sequence);
        CHECK_EQ(tern_log_find_schema(&rig.log, tern_schema_hash(&rig_tables[0]), &address, &size), TERN_OK);
        CHECK_EQ(address / 512, chunk.address / 512);
    }
    stop(&nor, &rig);
}

int main(void)
{
    RUN(the_newest_mark_is_believed);
    RUN(all_that_was_acknowledged_is_known_after_a_start);
    RUN(a_mark_of_a_sector_given_up_is_not_believed);
    RUN(a_newest_sector_without_a_mark_is_still_the_newest);
    RUN(a_newest_sector_without_a_head_keeps_what_it_holds);
    RUN(an_epoch_behind_a_head_that_failed_is_found_wherever_it_stands);
    RUN(a_start_reads_no_more_than_it_must);
    RUN(a_torn_end_is_passed_over_by_what_may_be_torn);
    RUN(only_what_is_torn_last_costs_room);
    RUN(a_note_at_the_end_is_repeated_up_to_three);
    RUN(a_loss_that_was_told_stays);
    RUN(a_loss_behind_a_note_is_told);
    RUN(what_was_passed_over_once_is_done_with);
    RUN(nothing_is_read_behind_the_last_sector);
    RUN(what_cannot_be_read_is_zeros);
    RUN(records_whose_commit_is_damaged_are_not_given);
    RUN(what_a_later_chunk_passes_over_is_void);
    RUN(of_two_copies_the_later_one_is_found);
    RUN(damage_elsewhere_is_no_reason_for_a_gap);
    RUN(a_segments_crc_is_that_of_its_last_record);
    RUN(a_search_for_a_crc_does_not_make_void_records_good);
    RUN(records_that_wait_are_not_the_oldest);
    RUN(a_chunk_names_the_schemas_that_it_holds);
    RUN(a_schema_is_taken_from_the_sector_of_its_chunk);
    return test_report();
}
