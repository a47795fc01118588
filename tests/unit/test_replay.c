/* SPDX-License-Identifier: MIT */
/* Replay: into a filled destination it changes no row, columns that add included; into an empty one it gives
 * the same tables. */
#include "../test.h"

#include "../../host/import.h"
#include "../../host/sql/sqlite_api.h"
#include "chunks.h"

#define WAIT    20000
#define DEVICES 3u

static const struct tern_column counter_columns[] = {{"k", TERN_U8, TERN_KEY},
                                                     {"n", TERN_I32, TERN_ADD},
                                                     {"first_seen", TERN_I32, TERN_FIRST},
                                                     {"low", TERN_I32, TERN_MIN | TERN_NULLABLE},
                                                     {"high", TERN_I32, TERN_MAX},
                                                     {"last", TERN_I32, 0}};
static const struct tern_table counter = TERN_TABLE("counter", TERN_MERGE, counter_columns);
static const struct tern_column line_columns[] = {{"line", TERN_TEXT(20), 0}};
static const struct tern_table lines = TERN_TABLE("line", TERN_APPEND, line_columns);
static const struct tern_column list_columns[] = {{"place", TERN_U8, TERN_KEY}, {"what", TERN_I32, 0}};
static const struct tern_table list = TERN_TABLE("list", TERN_OVERWRITE, list_columns);

static struct tern_sqlite_api api;
static struct tern_stage *stage;
static struct tern_stage_range *ranges[DEVICES];
static uint64_t seed;
static unsigned errors;

static void count_errors(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level == TERN_ERROR && errors++ < 3)
        printf("    %s %s\n", event, fields);
}

static const struct tern_report report = {count_errors, NULL};

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(test_random(&seed) % limit);
}

static void open_stage(void)
{
    folder_fresh();
    struct tern_stage_config config = {
        .directory = folder_path("stage"), .report = report, .file_bytes = 20000};
    errors = 0;
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    for (unsigned i = 0; i < DEVICES; i++) {
        char id[8];
        snprintf(id, sizeof id, "dev%u", i);
        ranges[i] = chunks_device(stage, id);
        struct tern_device *device = tern_stage_device(stage, id);
        CHECK_EQ(chunks_schema(stage, device, &counter), TERN_HOST_OK);
        CHECK_EQ(chunks_schema(stage, device, &lines), TERN_HOST_OK);
        CHECK_EQ(chunks_schema(stage, device, &list), TERN_HOST_OK);
    }
}

static void put_some(struct chunk_bytes *made)
{
    struct tern_value row[6] = {tern_int(below(5)),
                                tern_int((int64_t)below(100) - 30),
                                tern_int(below(1000)),
                                below(3) == 0 ? tern_null() : tern_int((int64_t)below(1000) - 500),
                                tern_int((int64_t)below(1000) - 500),
                                tern_int(below(1000))};
    struct tern_value key[1] = {tern_int(below(8))};
    char text[20];
    switch (below(4)) {
    case 0:
        CHECK_EQ(chunks_put(made, &chunks_table, below(8), "n"), TERN_OK);
        break;
    case 1:
        CHECK_EQ(tern_chunk_put(&made->chunk, &chunks_table, TERN_OP_DELETE, key), TERN_OK);
        break;
    case 2:
        snprintf(text, sizeof text, "%u", below(100));
        row[0] = tern_text(text);
        CHECK_EQ(tern_chunk_put(&made->chunk, &lines, TERN_OP_PUT, row), TERN_OK);
        break;
    default:
        CHECK_EQ(tern_chunk_put(&made->chunk, &counter, TERN_OP_PUT, row), TERN_OK);
    }
}

static void put_snapshot(struct chunk_bytes *made)
{
    tern_chunk_put(&made->chunk, &list, TERN_OP_SNAPSHOT_BEGIN, NULL);
    for (uint32_t i = below(4); i > 0; i--) {
        struct tern_value row[2] = {tern_int(i), tern_int(below(100))};
        tern_chunk_put(&made->chunk, &list, TERN_OP_PUT, row);
    }
    tern_chunk_put(&made->chunk, &list, TERN_OP_SNAPSHOT_END, NULL);
}

static void send_chunk(void)
{
    struct chunk_bytes made;
    struct tern_stage_range *range = ranges[below(DEVICES)];
    bool snapshot = below(6) == 0;
    if (below(12) == 0)
        CHECK_EQ(
            tern_stage_gap(stage, range, range->taken.next, range->taken.next + below(3), TERN_GAP_OVERFLOW),
            TERN_HOST_OK);
    chunks_open(&made, range->taken.next);
    if (snapshot)
        put_snapshot(&made);
    for (uint32_t i = snapshot ? 0 : 1 + below(12); i > 0; i--)
        put_some(&made);
    tern_chunk_finish(&made.chunk, true, snapshot || below(2) == 0);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
}

/* In many turns, as records come. */
static void import_as_it_comes(const char *url)
{
    struct tern_import *import;
    struct tern_import_config config = {.report = report, .rows = 7};
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    for (unsigned i = 0; i < 100; i++) {
        send_chunk();
        if (below(5) == 0)
            CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
    }
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
    tern_import_close(import);
}

static void replay(const char *url, struct tern_host_progress *done)
{
    struct tern_host_replay what = {.stage = folder_path("stage"), .sink = url, .report = report};
    CHECK_EQ(tern_host_replay(&what, done), TERN_HOST_OK);
}

/* ---- What is in a database ------------------------------------------------------------------- */

static void add_rows(struct sqlite3 *database, const char *table, char *text, size_t room)
{
    struct sqlite3_stmt *statement = NULL;
    char sql[200];
    /* When a gap was noticed is no part of it. */
    if (strcmp(table, "tern_gap") == 0)
        snprintf(sql, sizeof sql,
                 "SELECT device, lane, epoch, first, last, reason FROM tern_gap ORDER BY 1, 2, 3, 4");
    else
        snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" ORDER BY 1, 2, 3", table);
    CHECK_EQ(api.prepare_v2(database, sql, -1, &statement, NULL), 0);
    while (api.step(statement) == 100) {
        size_t size = strlen(text);
        size += (size_t)snprintf(text + size, room - size, "%s", table);
        for (int i = 0; i < api.column_count(statement) && size + 100 < room; i++) {
            const char *value = (const char *)api.column_text(statement, i);
            size += (size_t)snprintf(text + size, room - size, "|%s", value == NULL ? "NULL" : value);
        }
        snprintf(text + size, room - size, "\n");
    }
    api.finalize(statement);
}

static char *dump(const char *name)
{
    static const char *const tables[] = {"climate", "counter", "line", "list", "tern_checkpoint", "tern_gap"};
    struct sqlite3 *database = NULL;
    size_t room = 1u << 20;
    char *text = calloc(1, room);
    CHECK_EQ(api.open_v2(folder_path(name), &database, 2, NULL), 0);
    for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
        add_rows(database, tables[i], text, room);
    api.close_v2(database);
    return text;
}

static void replay_changes_no_row_and_fills_an_empty_database_alike(void)
{
    for (unsigned round = 0; round < 2; round++) {
        char x[900], y[900];
        struct tern_host_progress done;
        open_stage();
        snprintf(x, sizeof x, "sqlite:%s", folder_path("x.db"));
        snprintf(y, sizeof y, "sqlite:%s", folder_path("y.db"));
        import_as_it_comes(x);
        tern_stage_close(stage);
        char *before = dump("x.db");
        CHECK(strlen(before) > 1000);
        for (unsigned i = 0; i < 2; i++) {
            replay(x, &done);
            CHECK_EQ(done.rows, 0);
            CHECK(done.known > 300);
            char *after = dump("x.db");
            CHECK(strcmp(before, after) == 0);
            free(after);
        }
        replay(y, &done);
        char *other = dump("y.db");
        CHECK(strcmp(before, other) == 0);
        CHECK_EQ(errors, 0);
        free(other);
        free(before);
    }
}

static void a_repair_of_a_table_that_adds_is_refused(void)
{
    char x[900];
    struct tern_host_progress done;
    open_stage();
    snprintf(x, sizeof x, "sqlite:%s", folder_path("x.db"));
    import_as_it_comes(x);
    tern_stage_close(stage);
    char *before = dump("x.db");
    struct tern_host_replay what = {
        .stage = folder_path("stage"), .sink = x, .table = "counter", .repair = 1};
    CHECK(tern_host_replay(&what, &done) != TERN_HOST_OK);
    CHECK_EQ(done.rows, 0);
    CHECK(done.held != 0);
    what.table = "climate";
    CHECK_EQ(tern_host_replay(&what, &done), TERN_HOST_OK);
    char *after = dump("x.db");
    CHECK(strcmp(before, after) == 0);
    free(before);
    free(after);
}

int main(int argc, char **argv)
{
    char error[400];
    seed = test_seed(argc, argv);
    if (tern_sqlite_load(&api, error, sizeof error) != 0) {
        SKIP(replay_changes_no_row_and_fills_an_empty_database_alike, error);
        SKIP(a_repair_of_a_table_that_adds_is_refused, error);
        return test_report();
    }
    RUN(replay_changes_no_row_and_fills_an_empty_database_alike);
    RUN(a_repair_of_a_table_that_adds_is_refused);
    folder_remove();
    return test_report();
}
