/* SPDX-License-Identifier: MIT */
/* What tests of failing calls bring into destinations: a store with every kind of record, and what a database
 * then holds. The test defines `report` before it includes this. */
#ifndef TERN_FAIL_RIG_H
#define TERN_FAIL_RIG_H

#include "../unit/chunks.h"

static struct tern_stage *stage;
static const struct tern_sqlite_api *api;

static const struct tern_column log_columns[] = {{"level", TERN_U8, 0}, {"line", TERN_TEXT(99), 0}};
static const struct tern_table log_table = TERN_TABLE("log", TERN_APPEND, log_columns);
static const struct tern_column wider_columns[] = {{"at", TERN_TIME_S, TERN_KEY},
                                                   {"note", TERN_TEXT(64), TERN_NULLABLE},
                                                   {"humidity", TERN_DECIMAL(1), TERN_NULLABLE}};
static const struct tern_table wider = TERN_TABLE("climate", TERN_MERGE, wider_columns);
static const struct tern_column counter_columns[] = {{"id", TERN_U16, TERN_KEY},
                                                     {"total", TERN_U32, TERN_ADD},
                                                     {"lowest", TERN_I32, TERN_NULLABLE | TERN_MIN},
                                                     {"first", TERN_BYTES(9), TERN_NULLABLE | TERN_FIRST}};
static const struct tern_table counters = TERN_TABLE("counters", TERN_MERGE, counter_columns);
static const struct tern_column shown_columns[] = {{"pin", TERN_U8, TERN_KEY}, {"level", TERN_FLOAT(2), 0}};
static const struct tern_table shown = TERN_TABLE("shown", TERN_OVERWRITE, shown_columns);

/* ---- What is in the store -------------------------------------------------------------------- */

static void put(struct chunk_bytes *made, const struct tern_table *table, uint8_t op, struct tern_value a,
                struct tern_value b, struct tern_value c, struct tern_value d)
{
    struct tern_value row[] = {a, b, c, d};
    CHECK_EQ(tern_chunk_put(&made->chunk, table, op, row), TERN_OK);
}

static void finish(struct chunk_bytes *made, struct tern_stage_range *range, bool commits, bool batch)
{
    tern_chunk_finish(&made->chunk, commits, batch);
    CHECK_EQ(chunks_send(stage, range, made, 0), TERN_HOST_OK);
}

static void fill_first(struct tern_stage_range *range)
{
    static struct chunk_bytes made;
    struct tern_value none = tern_null();
    chunks_fill(&made, 1, 5);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    chunks_open(&made, 6);
    put(&made, &log_table, TERN_OP_PUT, tern_int(3), tern_text("a line"), none, none);
    put(&made, &counters, TERN_OP_PUT, tern_int(1), tern_int(10), tern_int(-5), tern_bytes("\0x", 2));
    put(&made, &counters, TERN_OP_PUT, tern_int(1), tern_int(7), none, tern_bytes("later", 5));
    put(&made, &chunks_table, TERN_OP_DELETE, tern_int(4), none, none, none);
    finish(&made, range, true, true);
}

/* A wider schema, a snapshot, a gap, a batch over two chunks, and rows that the trigger below refuses. */
static void fill_rest(struct tern_stage_range *range)
{
    static struct chunk_bytes made;
    struct tern_value none = tern_null();
    chunks_open(&made, 10);
    put(&made, &wider, TERN_OP_PUT, tern_int(2), tern_text("wide"), tern_int(405), none);
    put(&made, &shown, TERN_OP_SNAPSHOT_BEGIN, none, none, none, none);
    put(&made, &shown, TERN_OP_PUT, tern_int(1), tern_int(250), none, none);
    put(&made, &shown, TERN_OP_SNAPSHOT_END, none, none, none, none);
    finish(&made, range, true, true);
    CHECK_EQ(tern_stage_gap(stage, range, 14, 16, TERN_GAP_OVERFLOW), TERN_HOST_OK);
    chunks_open(&made, 17);
    chunks_put(&made, &chunks_table, 100, "half");
    finish(&made, range, false, true);
    chunks_open(&made, 18);
    chunks_put(&made, &chunks_table, 101, "half");
    finish(&made, range, true, true);
    chunks_open(&made, 19);
    chunks_put(&made, &chunks_table, 102, "poison");
    finish(&made, range, true, false);
    chunks_open(&made, 20);
    put(&made, &chunks_table, TERN_OP_DELETE, tern_int(1), none, none, none);
    put(&made, &counters, TERN_OP_PUT, tern_int(1), tern_int(100), tern_int(-9), none);
    finish(&made, range, true, false);
    chunks_open(&made, 22);
    chunks_put(&made, &chunks_table, 103, "poison");
    chunks_put(&made, &chunks_table, 104, "with it");
    finish(&made, range, true, true);
    chunks_fill(&made, 24, 3);
    finish(&made, range, true, false);
}

static inline void fill_store(bool all)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    static const struct tern_table *const tables[] = {&chunks_table, &log_table, &wider, &counters, &shown};
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range = NULL;
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = 1, .next = 27};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQ(chunks_schema(stage, device, tables[i]), TERN_HOST_OK);
    fill_first(range);
    if (all)
        fill_rest(range);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
}

/* ---- The destination ------------------------------------------------------------------------- */

static char sums[4000];

/* All rows of the query, column by column, into `sums`. */
static inline void note_rows(struct sqlite3 *database, const char *sql)
{
    struct sqlite3_stmt *statement = NULL;
    size_t size = strlen(sums);
    if (!CHECK_EQ(api->prepare_v2(database, sql, -1, &statement, NULL), 0)) {
        printf("    %s: %s\n", sql, api->errmsg(database));
        return;
    }
    while (api->step(statement) == 100) {
        for (int i = 0; i < api->column_count(statement); i++) {
            const unsigned char *text = api->column_text(statement, i);
            size += (size_t)snprintf(sums + size, sizeof sums - size, "%s|",
                                     text == NULL ? "NULL" : (const char *)text);
        }
        size += (size_t)snprintf(sums + size, sizeof sums - size, "\n");
    }
    api->finalize(statement);
}

static inline void execute(const char *sql)
{
    struct sqlite3 *database = NULL;
    CHECK_EQ(api->open_v2(folder_path("out.db"), &database, 6, NULL), 0);
    CHECK_EQ(api->exec(database, sql, NULL, NULL, NULL), 0);
    api->close_v2(database);
}

/* Everything in the database that may not depend on what failed. */
static inline const char *read_database(bool all)
{
    struct sqlite3 *database = NULL;
    sums[0] = '\0';
    if (!CHECK_EQ(api->open_v2(folder_path("out.db"), &database, 2, NULL), 0))
        return sums;
    char sql[100];
    const char *const tables[] = {"climate", "log", "counters", "shown"};
    for (size_t i = 0; i < (all ? 4 : 3); i++) {
        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY tern_id", tables[i]);
        note_rows(database, sql);
    }
    note_rows(database, "SELECT device, lane, applied FROM tern_checkpoint");
    note_rows(database, "SELECT device, lane, first, last, reason FROM tern_gap ORDER BY first");
    api->close_v2(database);
    return sums;
}

#endif
