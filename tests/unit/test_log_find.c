/* SPDX-License-Identifier: MIT */
/* What a search in the log says: which chunk comes next, why records before it are missing, and whether that
 * chunk may be the end of a batch that has lost its beginning. */
#include <string.h>

#include "../../core/frame.h"
#include "../../core/schema.h"
#include "log_bench.h"

static void open_log(struct nor *nor, struct rig *rig, uint8_t unit)
{
    start(nor, rig, 2048, 4, unit, 256);
    CHECK_EQ(rig_service(rig), TERN_OK);
}

/* So many records in a chunk of their own, with a commit or waiting for one. */
static void put_chunk(struct rig *rig, unsigned table, int records, bool commit)
{
    for (int i = 0; i < records; i++)
        CHECK_EQ(rig_put(rig, table), TERN_OK);
    tern_chunk_finish(&rig->chunk, commit, !commit);
    CHECK_EQ(tern_log_append(&rig->log, &rig->chunk, commit), TERN_OK);
    rig_close_chunk(rig);
}

static struct tern_log_chunk find(struct rig *rig, uint32_t sequence)
{
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    rig->log.found = TERN_NO_ADDRESS; /* from the beginning */
    CHECK_EQ(tern_log_find(&rig->log, sequence, &chunk), TERN_OK);
    return chunk;
}

static void spoil(struct nor *nor, const struct tern_log_chunk *chunk, uint8_t with)
{
    memset(nor->cells + chunk->address, with, chunk->size);
}

static bool is_found(struct rig *rig, uint32_t sequence, uint32_t first, uint8_t reason)
{
    struct tern_log_chunk chunk = find(rig, sequence);
    return CHECK_EQ(chunk.first, first) && CHECK_EQ(chunk.reason, reason);
}

/* Whatever it looks like now: garbage, zeros or erased. */
static void a_chunk_that_is_lost_is_damage_and_the_next_may_be_an_end(void)
{
    static const uint8_t looks[] = {0x55, 0x01, 0xFF};
    struct nor nor;
    struct rig rig;
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (unsigned look = 0; look < sizeof(looks); look++) {
            open_log(&nor, &rig, unit);
            put_chunk(&rig, 0, 3, true);
            put_chunk(&rig, 0, 3, true);
            put_chunk(&rig, 0, 3, true);
            struct tern_log_chunk chunk = find(&rig, 4);
            spoil(&nor, &chunk, looks[look]);
            CHECK(is_found(&rig, 4, 7, TERN_GAP_DAMAGED | TERN_GAP_LEADS));
            CHECK(is_found(&rig, 1, 1, TERN_GAP_REFUSED));
            stop(&nor, &rig);
        }
}

/* A unit that was burnt before a sector's head says nothing of the chunk behind that. */
static void a_chunk_behind_a_head_may_be_an_end_after_a_start(void)
{
    struct nor nor;
    struct rig rig;
    open_log(&nor, &rig, 4);
    while (rig.log.newest == TERN_NO_ADDRESS || rig.log.ready_at == 0) {
        put_chunk(&rig, 0, 3, true);
        CHECK_EQ(rig_service(&rig), TERN_OK);
    }
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    while (rig.log.newest == 0)
        put_chunk(&rig, 0, 3, false);
    put_chunk(&rig, 0, 3, true);
    struct tern_log_chunk last, chunk = find(&rig, 1);
    do {
        last = chunk;
        chunk = find(&rig, last.next);
    } while (chunk.address < 2048);
    spoil(&nor, &last, 0x55);
    CHECK(is_found(&rig, last.first, chunk.first, TERN_GAP_DAMAGED | TERN_GAP_LEADS));
    stop(&nor, &rig);
}

/* Nothing is left of it, not even damage: its records were committed, and not refused. */
static void what_a_sector_held_that_is_erased_is_not_told_as_refused(void)
{
    struct nor nor;
    struct rig rig;
    uint32_t first[3] = {0};
    open_log(&nor, &rig, 4);
    while (rig.log.newest != 4096) {
        CHECK_EQ(rig_service(&rig), TERN_OK);
        uint32_t next = rig.log.next;
        put_chunk(&rig, 0, 3, true);
        if (first[rig.log.newest / 2048] == 0)
            first[rig.log.newest / 2048] = next;
    }
    memset(nor.cells + 2048, 0xFF, 2048);
    CHECK(is_found(&rig, first[1], first[2], TERN_GAP_DAMAGED));
    CHECK(is_found(&rig, first[2] - 1, first[2], TERN_GAP_DAMAGED));
    CHECK(is_found(&rig, first[2], first[2], TERN_GAP_REFUSED));
    stop(&nor, &rig);
}

/* A start makes void what waited for a commit: the first chunk behind it is no end of a batch. Nor with
 * another schema before it. */
static void the_first_chunk_after_a_start_leads_nothing(void)
{
    struct nor nor;
    struct rig rig;
    for (unsigned table = 0; table < 2; table++)
        for (unsigned lost = 0; lost < 2; lost++) {
            open_log(&nor, &rig, 4);
            put_chunk(&rig, 0, 3, true);
            CHECK_EQ(rig_mount(&rig), TERN_OK);
            put_chunk(&rig, table, 3, true);
            put_chunk(&rig, 0, 3, true);
            struct tern_log_chunk chunk = find(&rig, 1);
            spoil(&nor, &chunk, 0x55);
            chunk = find(&rig, 4);
            if (lost != 0)
                spoil(&nor, &chunk, 0xFF);
            CHECK(is_found(&rig, 1, lost != 0 ? 7 : 4, TERN_GAP_DAMAGED | (lost != 0 ? TERN_GAP_LEADS : 0)));
            stop(&nor, &rig);
        }
}

/* What an abort made void was nobody's to lose. */
static void damage_to_what_is_void_is_none(void)
{
    struct nor nor;
    struct rig rig;
    open_log(&nor, &rig, 4);
    put_chunk(&rig, 0, 3, true);
    uint32_t at = rig.log.write;
    put_chunk(&rig, 0, 3, false);
    uint32_t end = rig.log.write;
    rig_abort(&rig);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    rig.refused = 2;
    put_chunk(&rig, 0, 3, true);
    memset(nor.cells + at, 0x55, end - at);
    CHECK(is_found(&rig, 4, 6, TERN_GAP_REFUSED));
    stop(&nor, &rig);
}

static void damage_before_a_chunk_that_is_there_is_no_reason_for_a_gap_behind_it(void)
{
    struct nor nor;
    struct rig rig;
    open_log(&nor, &rig, 4);
    put_chunk(&rig, 0, 3, true);
    struct tern_log_chunk chunk = find(&rig, 1);
    put_chunk(&rig, 0, 3, true);
    rig.refused = 2;
    put_chunk(&rig, 0, 3, true);
    spoil(&nor, &chunk, 0x55);
    CHECK(is_found(&rig, 1, 4, TERN_GAP_DAMAGED | TERN_GAP_LEADS));
    CHECK(is_found(&rig, 7, 9, TERN_GAP_REFUSED));
    stop(&nor, &rig);
}

/* The search looks at what follows a chunk that waits for its commit: what it sees there is told where it
 * belongs. */
static void damage_behind_a_chunk_is_no_reason_for_a_gap_before_it(void)
{
    struct nor nor;
    struct rig rig;
    open_log(&nor, &rig, 4);
    put_chunk(&rig, 0, 3, true);
    rig.refused = 2;
    put_chunk(&rig, 0, 3, false);
    uint32_t at = rig.log.write;
    put_chunk(&rig, 1, 3, true); /* with its schema before it */
    nor.cells[at + 4] ^= 1;
    CHECK(is_found(&rig, 4, 6, TERN_GAP_REFUSED));
    stop(&nor, &rig);
}

static void a_batch_with_a_hole_is_not_given_from_its_beginning(void)
{
    struct nor nor;
    struct rig rig;
    for (unsigned look = 0; look < 2; look++) {
        open_log(&nor, &rig, 4);
        put_chunk(&rig, 0, 3, true);
        put_chunk(&rig, 0, 3, false);
        put_chunk(&rig, 0, 3, false);
        put_chunk(&rig, 0, 3, true);
        struct tern_log_chunk chunk = find(&rig, 7);
        CHECK_EQ(chunk.first, 7);
        spoil(&nor, &chunk, look == 0 ? 0x55 : 0xFF);
        CHECK(is_found(&rig, 4, 10, TERN_GAP_DAMAGED | TERN_GAP_LEADS));
        CHECK(is_found(&rig, 1, 1, TERN_GAP_REFUSED));
        stop(&nor, &rig);
    }
}

/* Its end is looked for from its first chunk on, and the search then goes on where it was. */
static void a_batch_over_many_sectors_is_given_whole(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    start(&nor, &rig, 512, 8, 4, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 0, 2, true);
    uint32_t sectors = 1, before;
    for (uint32_t newest = rig.log.newest; sectors < 6;
         sectors += rig.log.newest != newest, newest = rig.log.newest) {
        put_chunk(&rig, 0, 6, false);
        CHECK_EQ(rig_service(&rig), TERN_OK);
    }
    put_chunk(&rig, 0, 1, true);
    before = nor.bytes[NOR_READ];
    for (uint32_t sequence = 1; sequence < rig.log.next; sequence = chunk.next) {
        if (!CHECK_EQ(tern_log_find(&rig.log, sequence, &chunk), TERN_OK) || !CHECK_EQ(chunk.first, sequence))
            break;
    }
    CHECK(nor.bytes[NOR_READ] - before < 5 * 6 * 512);
    for (uint32_t sequence = rig.log.next; --sequence != 0;)
        CHECK(find(&rig, sequence).first <= sequence);
    stop(&nor, &rig);
}

/* LOG.md: erased flash is looked at as far as anything may have been left out in it, and no further; behind
 * what has been written not at all. */
static void a_large_sector_is_not_read_to_its_end(void)
{
    struct nor nor;
    struct rig rig;
    start(&nor, &rig, 131072, 2, 4, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    put_chunk(&rig, 0, 3, true);
    uint32_t before = nor.bytes[NOR_READ];
    CHECK_EQ(find(&rig, 3).next, 4);
    CHECK(nor.bytes[NOR_READ] - before < 2000);
    before = nor.bytes[NOR_READ];
    CHECK_EQ(rig_mount(&rig), TERN_OK);
    CHECK(nor.bytes[NOR_READ] - before < 2 * 2 * 512 + 8256 + 2000);
    stop(&nor, &rig);
}

static void in_a_log_without_a_record_nothing_is_looked_for(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    uint32_t crc, address, size;
    open_log(&nor, &rig, 4);
    uint32_t before = nor.counts[NOR_READ];
    CHECK_EQ(tern_log_find(&rig.log, 1, &chunk), TERN_AGAIN);
    CHECK_EQ(tern_log_segment_crc(&rig.log, 2, &crc), TERN_AGAIN);
    CHECK_EQ(tern_log_find_schema(&rig.log, 1, &address, &size), TERN_AGAIN);
    CHECK_EQ(tern_log_oldest(&rig.log), 1);
    CHECK_EQ(nor.counts[NOR_READ], before);
    stop(&nor, &rig);
}

static uint32_t bytes_of(struct rig *rig, uint32_t sequence, struct tern_log_chunk *chunk)
{
    uint32_t before = rig->nor->bytes[NOR_READ];
    CHECK_EQ(tern_log_find(&rig->log, sequence, chunk), TERN_OK);
    return rig->nor->bytes[NOR_READ] - before;
}

/* LOG.md: each chunk that is passed is read once, and the one behind it once more; a search from the start
 * reads each head. */
static void a_search_goes_on_where_the_last_one_ended(void)
{
    struct nor nor;
    struct rig rig;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    start(&nor, &rig, 512, 8, 4, 128);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    uint32_t heads[8], count = 0;
    for (uint32_t newest = TERN_NO_ADDRESS; count < 6;) {
        put_chunk(&rig, 0, 6, true);
        if (rig.log.newest != newest) {
            heads[count++] = rig.log.next - 6;
            newest = rig.log.newest;
        }
        CHECK_EQ(rig_service(&rig), TERN_OK);
    }
    uint32_t fresh = bytes_of(&rig, heads[3], &chunk);
    CHECK_EQ(chunk.first, heads[3]);
    uint32_t again = bytes_of(&rig, heads[3], &chunk);
    CHECK_EQ(chunk.first, heads[3]);
    CHECK(again * 3 < fresh);
    rig.log.found = TERN_NO_ADDRESS; /* in the sector that begins with it, and not in the one before */
    CHECK(bytes_of(&rig, heads[3] + 1, &chunk) + 64 > fresh);
    uint32_t all = bytes_of(&rig, 1, &chunk);
    for (uint32_t sequence = chunk.next; sequence < rig.log.next; sequence = chunk.next)
        all += bytes_of(&rig, sequence, &chunk);
    CHECK(all < 6 * 6 * 512);
    stop(&nor, &rig);
}

/* As if the chip had been written with another program unit: it is nobody's record. */
static void a_chunk_of_another_unit_is_none(void)
{
    struct nor nor;
    struct rig rig;
    uint8_t bytes[64];
    struct tern_value row = tern_int(7);
    struct tern_chunk other = {.data = bytes, .capacity = sizeof(bytes)};
    for (uint8_t unit_log2 = 0; unit_log2 < 6; unit_log2++) {
        open_log(&nor, &rig, 4);
        put_chunk(&rig, 0, 3, true);
        memset(bytes, 0xFF, sizeof(bytes));
        tern_chunk_open(&other, &tern_csv, 4, unit_log2);
        CHECK_EQ(tern_chunk_put(&other, &rig_tables[0], TERN_OP_PUT, &row), TERN_OK);
        tern_chunk_finish(&other, true, false);
        memcpy(nor.cells + rig.log.write, bytes, sizeof(bytes));
        struct tern_log again;
        CHECK_EQ(tern_log_mount(&again, &nor.flash, 0), TERN_OK);
        CHECK_EQ(again.next, unit_log2 == 2 ? 5 : 4);
        stop(&nor, &rig);
    }
}

static void the_largest_schema_is_found_again(void)
{
    static char names[TERN_COLUMNS_MAX][24];
    static struct tern_column wide[TERN_COLUMNS_MAX];
    struct nor nor;
    struct rig rig;
    uint32_t address, size;
    for (int i = 0; i < TERN_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "column_%04d", i);
        wide[i] = (struct tern_column){names[i], TERN_I32, TERN_NULLABLE};
    }
    const struct tern_table table = {"large", wide, &tern_csv, TERN_COLUMNS_MAX, TERN_APPEND, 0, 0};
    for (int i = 0; tern_schema_size(&table) < TERN_SCHEMA_MAX; i = (i + 1) % TERN_COLUMNS_MAX)
        strcat(names[i], "x");
    uint32_t hash = tern_schema_hash(&table);
    struct tern_value row[TERN_COLUMNS_MAX];
    for (int i = 0; i < TERN_COLUMNS_MAX; i++)
        row[i] = tern_null();
    start(&nor, &rig, 4096, 3, 1, 256);
    CHECK_EQ(rig_service(&rig), TERN_OK);
    int room = tern_log_open(&rig.log, &table, hash, 256, TERN_CHUNK_MIN);
    CHECK_EQ(room, 256);
    rig.chunk.capacity = (uint16_t)room;
    tern_chunk_open(&rig.chunk, &tern_csv, rig.log.pending, 0);
    CHECK_EQ(tern_chunk_put(&rig.chunk, &table, TERN_OP_PUT, row), TERN_OK);
    tern_chunk_finish(&rig.chunk, true, false);
    CHECK_EQ(tern_log_append(&rig.log, &rig.chunk, true), TERN_OK);
    CHECK_EQ(tern_log_find_schema(&rig.log, hash, &address, &size), TERN_OK);
    CHECK_EQ(size, TERN_SCHEMA_MAX);
    stop(&nor, &rig);
}

int main(void)
{
    RUN(a_chunk_that_is_lost_is_damage_and_the_next_may_be_an_end);
    RUN(a_chunk_behind_a_head_may_be_an_end_after_a_start);
    RUN(what_a_sector_held_that_is_erased_is_not_told_as_refused);
    RUN(the_first_chunk_after_a_start_leads_nothing);
    RUN(damage_to_what_is_void_is_none);
    RUN(damage_before_a_chunk_that_is_there_is_no_reason_for_a_gap_behind_it);
    RUN(damage_behind_a_chunk_is_no_reason_for_a_gap_before_it);
    RUN(a_batch_with_a_hole_is_not_given_from_its_beginning);
    RUN(a_batch_over_many_sectors_is_given_whole);
    RUN(a_large_sector_is_not_read_to_its_end);
    RUN(in_a_log_without_a_record_nothing_is_looked_for);
    RUN(a_search_goes_on_where_the_last_one_ended);
    RUN(a_chunk_of_another_unit_is_none);
    RUN(the_largest_schema_is_found_again);
    return test_report();
}
