/* SPDX-License-Identifier: MIT */
/* Dedup on the device: what is stored and what is not (core/DEDUP.md). */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/log.h"
#include "../../core/unpack.h"
#include "../nor.h"

#define CHUNK 192

static const struct tern_column climate_columns[] = {
    {"node", TERN_U16, TERN_KEY}, {"value", TERN_I32, TERN_NULLABLE}, {"note", TERN_TEXT(20), TERN_NULLABLE}};
static const struct tern_column event_columns[] = {{"code", TERN_U16, 0},
                                                   {"note", TERN_TEXT(20), TERN_NULLABLE}};
static const struct tern_table climate = {
    "climate", climate_columns, &tern_packed_text, 3, TERN_MERGE, TERN_DEDUP, 0};
static const struct tern_table events = {
    "events", event_columns, &tern_packed_text, 2, TERN_APPEND, TERN_DEDUP, 0};
static const struct tern_table plain = TERN_TABLE("plain", TERN_MERGE, climate_columns);
static const struct tern_table stored = TERN_TABLE_PACKED_TEXT("stored", TERN_MERGE, climate_columns);
static const struct tern_table *const tables[] = {&climate, &events, &stored};

static struct nor nor;
static struct tern tern;
static struct tern_config config;
static struct tern_lane lane;
static struct tern_dedup dedup;
static uint8_t chunk[CHUNK], buffer[CHUNK], filter[64], texts[64];
static uint64_t models[128], more_models[128];
static struct tern_value values[3];

static void restart(void)
{
    dedup.puts = 0;
    memset(dedup.checks, 0, sizeof(dedup.checks));
    tern_dedup_open(&dedup, filter, sizeof(filter));
    CHECK_EQ(tern_open(&tern, &config), TERN_OK);
    while (tern_poll(&tern) == 0) /* erases what is ahead */
        ;
}

static void start(void)
{
    nor_close(&nor);
    nor_open(&nor, 1024, 8, 1);
    memset(&lane, 0, sizeof(lane));
    memset(&dedup, 0, sizeof(dedup));
    dedup.tables = tables;
    dedup.table_count = 3;
    dedup.models = more_models;
    dedup.models_size = sizeof(more_models);
    dedup.buffer = buffer;
    dedup.values = values;
    dedup.texts = texts;
    dedup.texts_size = sizeof(texts);
    dedup.reach = 4;
    lane.flash = &nor.flash;
    lane.chunk_data = chunk;
    lane.chunk_size = sizeof(chunk);
    lane.models = models;
    lane.models_size = sizeof(models);
    lane.dedup = &dedup;
    config = (struct tern_config){.id = "dev", .lanes = &lane, .lane_count = 1};
    restart();
}

/* Puts a row. Returns whether it was stored. */
static bool put_into(const struct tern_table *table, int64_t node, int64_t value, const char *note)
{
    struct tern_value row[3] = {tern_int(node), tern_int(value), tern_text(note)};
    uint32_t before = dedup.checks[TERN_DEDUP_SUPPRESSED];
    CHECK_EQ(tern_put(&tern, table, row), TERN_OK);
    return dedup.checks[TERN_DEDUP_SUPPRESSED] == before;
}

static bool put(int64_t node, int64_t value)
{
    return put_into(&climate, node, value, "x");
}

static bool put_event(int64_t code, const char *note)
{
    struct tern_value row[2] = {tern_int(code), tern_text(note)};
    uint32_t before = dedup.checks[TERN_DEDUP_SUPPRESSED];
    CHECK_EQ(tern_put(&tern, &events, row), TERN_OK);
    return dedup.checks[TERN_DEDUP_SUPPRESSED] == before;
}

static void commit(void)
{
    CHECK_EQ(tern_commit(&tern), TERN_OK);
}

static void a_repeat_is_not_stored(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    CHECK(!put(1, 10));
    CHECK(!put(1, 10));
    commit();
    CHECK_EQ(lane.log.next, 2);
    CHECK_EQ(dedup.puts, 3);
    CHECK_EQ(dedup.checks[TERN_DEDUP_SUPPRESSED], 2);
}

static void a_repeat_in_its_own_batch_is_not_stored(void)
{
    start();
    CHECK(put(1, 10));
    CHECK(put(2, 10));
    CHECK(!put(1, 10));
    CHECK(!put(2, 10));
    commit();
    CHECK_EQ(lane.log.next, 3);
    CHECK(!put(1, 10));
    CHECK(put(3, 10));
    CHECK(!put(3, 10));
}

static void what_comes_back_is_stored(void)
{
    start();
    CHECK(put(1, 10));
    CHECK(put(1, 11));
    CHECK(put(1, 10)); /* A, B, A is three rows */
    CHECK(!put(1, 10));
    commit();
    CHECK(put(1, 11));
    commit();
    CHECK(put(1, 10));
    commit();
    CHECK_EQ(lane.log.next, 6);
}

/* Of the same length, and so alike in all but their bytes. */
static void a_text_that_comes_back_is_stored(void)
{
    start();
    CHECK(put_into(&climate, 1, 10, "on"));
    CHECK(put_into(&climate, 1, 10, "no"));
    CHECK(put_into(&climate, 1, 10, "on"));
    CHECK(!put_into(&climate, 1, 10, "on"));
    commit();
    CHECK_EQ(lane.log.next, 4);
}

/* A delete holds no values: those that it does not hold are not those of a row of zeros. */
static void a_row_of_zeros_is_stored_behind_its_delete(void)
{
    struct tern_value key = tern_int(1);
    start();
    CHECK(put_into(&climate, 1, 0, ""));
    CHECK_EQ(tern_delete(&tern, &climate, &key), TERN_OK);
    CHECK(put_into(&climate, 1, 0, ""));
    CHECK(!put_into(&climate, 1, 0, ""));
    commit();
    CHECK_EQ(lane.log.next, 4);
}

/* Rows that differ in anything are looked for in vain about once in twenty. */
static void what_is_surely_new_is_not_looked_for(void)
{
    start();
    for (int i = 0; i < 15; i++)
        CHECK(put(1, 1000 + i));
    for (int i = 0; i < 15; i++)
        CHECK(put_into(&climate, 1, 5, &"abcdefghijklmnop"[i]));
    for (int i = 0; i < 15; i++)
        CHECK(put(2 + i, 5));
    CHECK(dedup.checks[0] + dedup.checks[1] + dedup.checks[2] < 8);
}

static void put_delete_put_is_two_rows_and_a_delete(void)
{
    struct tern_value key = tern_int(1);
    for (int committed = 0; committed < 2; committed++) {
        start();
        CHECK(put(1, 10));
        if (committed)
            commit();
        CHECK_EQ(tern_delete(&tern, &climate, &key), TERN_OK);
        if (committed)
            commit();
        CHECK(put(1, 10));
        CHECK(!put(1, 10));
        commit();
        CHECK_EQ(lane.log.next, 4);
    }
}

static void the_twin_of_an_aborted_row_is_stored(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    CHECK(put(2, 10));
    CHECK(put(1, 11));
    CHECK_EQ(tern_abort(&tern), TERN_OK);
    CHECK(put(2, 10));
    CHECK(!put(1, 10)); /* 11 never was */
    commit();
    CHECK_EQ(lane.log.next, 3);
}

static void a_batch_that_left_ram_is_not_overlooked(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    CHECK_EQ(tern_begin(&tern, 0), TERN_OK);
    CHECK(put(1, 11));
    for (int i = 0; i < 200; i++)
        CHECK(put_into(&stored, i, i * 7919, "fill"));
    CHECK(lane.log.pending > lane.log.next);
    dedup.reach = 20;
    CHECK(!put(1, 11)); /* in flash, not committed, and of this batch */
    CHECK(put(1, 10));  /* the first 10 is older than 11 */
    commit();
    CHECK(!put(1, 10));
}

static void null_empty_and_zero_differ(void)
{
    start();
    struct tern_value row[3] = {tern_int(1), tern_null(), tern_null()};
    CHECK_EQ(tern_put(&tern, &climate, row), TERN_OK);
    row[1] = tern_int(0);
    CHECK_EQ(tern_put(&tern, &climate, row), TERN_OK);
    row[2] = tern_text("");
    CHECK_EQ(tern_put(&tern, &climate, row), TERN_OK);
    row[2] = tern_text("a");
    CHECK_EQ(tern_put(&tern, &climate, row), TERN_OK);
    row[2] = tern_text("b");
    CHECK_EQ(tern_put(&tern, &climate, row), TERN_OK);
    CHECK_EQ(tern_put(&tern, &climate, row), TERN_OK);
    commit();
    CHECK_EQ(lane.log.next, 6);
}

static void without_a_key_any_equal_row_suppresses(void)
{
    start();
    CHECK(put_event(1, "a"));
    CHECK(put_event(2, "a"));
    CHECK(put_event(1, NULL));
    CHECK(!put_event(1, "a"));
    commit();
    CHECK(!put_event(2, "a"));
    CHECK(!put_event(1, NULL));
    CHECK(put_event(1, ""));
    commit();
    CHECK_EQ(lane.log.next, 5);
}

static void only_declared_tables_are_deduplicated(void)
{
    start();
    for (int i = 0; i < 3; i++)
        CHECK(put_into(&stored, 1, 10, "x"));
    commit();
    CHECK_EQ(lane.log.next, 4);
    CHECK_EQ(dedup.puts, 0);
    CHECK(put(1, 10)); /* the other table's row is not its twin */
}

static void it_reaches_back_so_many_chunks(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    uint32_t opened = 0, first = 0;
    while (opened < 3) {
        CHECK(put_into(&stored, (int64_t)opened, 7, "fill the chunk up"));
        commit();
        opened += lane.chunk.first != first;
        first = lane.chunk.first;
    }
    dedup.reach = 1;
    CHECK(put(1, 10));
    commit();
    CHECK(!put(1, 10));
    dedup.reach = 4;
    CHECK(!put(1, 10));
}

static void a_chunk_of_a_foreign_table_ends_the_search(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    CHECK(put_into(&plain, 1, 11, "x")); /* another codec: a chunk of its own */
    commit();
    CHECK(put(1, 10));
    commit();
    dedup.table_count = 2;
    CHECK(put_into(&stored, 1, 10, "x"));
    commit();
    CHECK(put(1, 10));
    commit();
}

/* In a packed form it would be a chunk of anything. */
static void a_plain_chunk_is_not_looked_into(void)
{
    static const struct tern_table *const both[] = {&climate, &plain};
    for (int64_t i = 0; i < 300; i++) {
        start();
        dedup.tables = both;
        dedup.table_count = 2;
        CHECK(put(1, 10));
        commit();
        CHECK(put_into(&plain, i, i * i * i, "x"));
        CHECK(put_into(&plain, i * 7, 11, "y"));
        commit();
        if (!CHECK(put(1, 10)))
            return;
    }
}

/* Nor is what it holds in RAM touched. */
static void a_plain_chunk_that_is_open_stays_as_it_is(void)
{
    static const char line[] = "+0,3,11,x\n";
    start();
    CHECK(put(1, 10));
    commit();
    CHECK(put_into(&plain, 3, 11, "x"));
    CHECK(put(1, 10));
    commit();
    uint8_t held[CHUNK];
    struct tern_log_chunk found = {.address = TERN_NO_ADDRESS};
    CHECK_EQ(tern_log_find(&lane.log, 2, &found), TERN_OK);
    CHECK_EQ(tern_log_read(&lane.log, &found, 0, held, found.size), TERN_OK);
    CHECK(found.size > sizeof(line) + 4 &&
          memcmp(held + found.size - 4 - (sizeof(line) - 1), line, sizeof(line) - 1) == 0);
}

/* What cannot be decoded may be a newer row of the key. */
static void a_foreign_table_in_the_same_chunk_leaves_all_unfounded(void)
{
    for (int behind = 0; behind < 2; behind++) {
        start();
        CHECK(put(9, 9));
        CHECK(put_into(&stored, 9, 9, "x"));
        commit();
        lane.chunk.is_full = 1;
        CHECK(put(1, 10));
        commit();
        if (behind)
            CHECK(put_into(&stored, 9, 9, "x"));
        commit();
        lane.chunk.is_full = 1;
        CHECK(put(2, 10));
        commit();
        dedup.table_count = 2;
        CHECK_EQ(put(1, 10), behind != 0);
        CHECK_EQ(dedup.checks[TERN_DEDUP_UNFOUNDED], behind);
    }
}

/* Of two tables that one segment declares, the first is foreign, and its records are the only ones. */
static void records_of_a_foreign_table_are_no_others(void)
{
    unsigned spilled = 0;
    for (unsigned rows = 1; rows < 120; rows++) {
        start();
        CHECK(put_into(&climate, 900, 900, "x"));
        CHECK(put_into(&stored, 900, 900, "x"));
        commit(); /* their schemas are in the sector */
        CHECK(put(1, 10));
        CHECK_EQ(tern_abort(&tern), TERN_OK); /* which the filter does not forget */
        dedup.table_count = 2;
        CHECK_EQ(tern_begin(&tern, 0), TERN_OK);
        CHECK(put_into(&stored, 1, 10, "x"));
        for (unsigned i = 1; i < rows; i++)
            CHECK(put_into(&stored, 100 + i, i * 7919, "fill"));
        uint32_t first = lane.chunk.first;
        CHECK(put_into(&climate, 800, 777777, "another text, long"));
        spilled += lane.chunk.first != first;
        CHECK(put(1, 10));
        CHECK_EQ(tern_commit(&tern), TERN_OK);
    }
    CHECK(spilled != 0);
}

/* A codec that keeps to the chunk's form and writes no records: a chunk with a right CRC that does not
 * decode. */
static int wrong_put(struct tern_chunk *in, uint8_t *payload, uint16_t room, uint8_t index, uint8_t op,
                     const struct tern_value *row)
{
    (void)room;
    (void)index;
    (void)op;
    (void)row;
    memset(payload, 0, 9);
    in->payload = 9;
    return TERN_OK;
}

static void nothing_opens(struct tern_chunk *in)
{
    (void)in;
}

static int nothing_declares(struct tern_chunk *in, uint8_t index)
{
    (void)in;
    (void)index;
    return TERN_OK;
}

static uint16_t wrong_finish(struct tern_chunk *in, uint8_t *payload)
{
    (void)in;
    (void)payload;
    return 9;
}

static const struct tern_codec wrong = {8, nothing_opens, nothing_declares, wrong_put, wrong_finish};
static const struct tern_table wronged = {"stored", climate_columns, &wrong, 3, TERN_MERGE, 0, 0};

static void a_chunk_that_does_not_decode_ends_the_search(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    CHECK(put_into(&wronged, 1, 10, "x"));
    CHECK(put_into(&wronged, 2, 10, "x"));
    commit();
    CHECK(put(1, 10));
    commit();
    CHECK(!put(1, 10));
    CHECK_EQ(dedup.checks[TERN_DEDUP_UNFOUNDED], 1);
}

static void a_chunk_larger_than_the_buffer_ends_the_search(void)
{
    start();
    CHECK(put(1, 10));
    for (int i = 0; i < 10; i++)
        CHECK(put_into(&stored, i * 6007, i * 104729, "nearly 20 letters"));
    commit();
    uint32_t size = lane.chunk.size;
    CHECK(size > TERN_CHUNK_MIN);
    lane.chunk_size = (uint16_t)size;
    restart();
    CHECK(put(1, 10)); /* as the filter is empty */
    CHECK_EQ(tern_abort(&tern), TERN_OK);
    CHECK(!put(1, 10)); /* read whole: the buffer holds just that */
    lane.chunk_size = (uint16_t)(size - 1);
    restart();
    memset(buffer, 0xA5, sizeof(buffer));
    CHECK(put(1, 10));
    CHECK_EQ(tern_abort(&tern), TERN_OK);
    CHECK(put(1, 10));
    CHECK_EQ(buffer[size - 1], 0xA5);
    lane.chunk_size = CHUNK;
}

/* Without the memory that a chunk on the way needs, nothing is known, and everything is stored. */
static void a_reader_without_memory_stores(void)
{
    for (int what = 0; what < 3; what++) {
        start();
        CHECK(put(1, 10));
        commit();
        if (what == 0)
            dedup.models_size = 8;
        else if (what == 1)
            dedup.texts_size = 19;
        else
            dedup.models_size = (uint16_t)(TERN_UNPACK_SIZE(3) - 1);
        CHECK(put(1, 10));
        dedup.models_size = sizeof(more_models);
        dedup.texts_size = 20;
        CHECK(!put(1, 10));
    }
}

static void a_hole_ends_the_search(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    lane.refused++; /* a record that TERN_REFUSE turned away may have been newer */
    lane.chunk.is_full = 1;
    CHECK(put(2, 10));
    commit();
    CHECK(put(1, 10));
}

static void flash_that_fails_stores(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    while (lane.chunk.first == 1) {
        CHECK(put_into(&stored, 1, 7, "fill the chunk up"));
        commit();
    }
    for (uint32_t i = 1; i < 40; i++) {
        nor.fail_at[NOR_READ] = nor.counts[NOR_READ] + i;
        nor.fail_count = 1;
        (void)put(1, 10); /* stored or not, it is in the log once at least */
        nor.fail_at[NOR_READ] = 0;
    }
    commit();
    CHECK(!put(1, 10));
}

static uint8_t older[CHUNK]; /* a chunk with the row */
static int32_t broken;       /* 0: such a read fails; 1: it gives other bytes than before */
static int (*read_flash)(void *context, uint32_t address, void *data, uint32_t size);

static int break_read(void *context, uint32_t address, void *data, uint32_t size)
{
    int status = read_flash(context, address, data, size);
    if (data != buffer)
        return status;
    if (broken == 0) {
        memcpy(buffer, older, sizeof(buffer)); /* as if nothing had been read */
        return -1;
    }
    buffer[1] = 0; /* a first sequence that no chunk has */
    return status;
}

/* The chunk was there a moment ago, when the log looked for it. */
static void a_chunk_that_is_lost_while_it_is_read_ends_the_search(void)
{
    for (broken = 0; broken < 2; broken++) {
        start();
        CHECK(put(1, 10));
        commit();
        memcpy(older, chunk, sizeof(older));
        lane.chunk.is_full = 1;
        CHECK(put(2, 10));
        commit();
        read_flash = nor.flash.read;
        nor.flash.read = break_read;
        CHECK(put(1, 10));
        nor.flash.read = read_flash;
        CHECK(!put(1, 10));
    }
}

/* The open chunk stands in flash too, as far as it is committed, and is not counted as one of them. */
static void the_open_chunk_is_not_one_of_those_in_reach(void)
{
    start();
    dedup.reach = 1;
    CHECK(put(1, 10));
    commit();
    lane.chunk.is_full = 1;
    CHECK(put(2, 10));
    commit();
    CHECK(put(3, 10));
    CHECK(!put(1, 10));
}

static void after_a_restart_the_first_repeat_is_stored(void)
{
    start();
    CHECK(put(1, 10));
    commit();
    restart();
    CHECK(put(1, 10));
    CHECK(!put(1, 10));
    commit();
    CHECK_EQ(lane.log.next, 3);
}

static void a_sender_notices_nothing(void)
{
    /* What the encoder writes after a look into its open segment is what it would have written without it. */
    static uint8_t with[CHUNK];
    uint16_t size = 0;
    for (int look = 1; look >= 0; look--) {
        start();
        dedup.reach = (uint8_t)look;
        for (int i = 0; i < 12; i++) {
            CHECK(put(i, i * i));
            if (look && i % 3 == 0)
                CHECK(!put(i, i * i));
        }
        commit();
        if (look) {
            memcpy(with, chunk, lane.chunk.size);
            size = lane.chunk.size;
        }
    }
    CHECK_EQ(size, lane.chunk.size);
    CHECK(memcmp(with, chunk, size) == 0);
}

int main(void)
{
    RUN(a_repeat_is_not_stored);
    RUN(a_repeat_in_its_own_batch_is_not_stored);
    RUN(what_comes_back_is_stored);
    RUN(a_text_that_comes_back_is_stored);
    RUN(a_row_of_zeros_is_stored_behind_its_delete);
    RUN(what_is_surely_new_is_not_looked_for);
    RUN(put_delete_put_is_two_rows_and_a_delete);
    RUN(the_twin_of_an_aborted_row_is_stored);
    RUN(a_batch_that_left_ram_is_not_overlooked);
    RUN(null_empty_and_zero_differ);
    RUN(without_a_key_any_equal_row_suppresses);
    RUN(only_declared_tables_are_deduplicated);
    RUN(it_reaches_back_so_many_chunks);
    RUN(a_chunk_of_a_foreign_table_ends_the_search);
    RUN(a_plain_chunk_is_not_looked_into);
    RUN(a_plain_chunk_that_is_open_stays_as_it_is);
    RUN(a_foreign_table_in_the_same_chunk_leaves_all_unfounded);
    RUN(records_of_a_foreign_table_are_no_others);
    RUN(a_chunk_that_does_not_decode_ends_the_search);
    RUN(a_chunk_larger_than_the_buffer_ends_the_search);
    RUN(a_reader_without_memory_stores);
    RUN(a_hole_ends_the_search);
    RUN(flash_that_fails_stores);
    RUN(a_chunk_that_is_lost_while_it_is_read_ends_the_search);
    RUN(the_open_chunk_is_not_one_of_those_in_reach);
    RUN(after_a_restart_the_first_repeat_is_stored);
    RUN(a_sender_notices_nothing);
    nor_close(&nor);
    return test_report();
}
