/* SPDX-License-Identifier: MIT */
/* The importer while any call into the C library or SQLite's library fails: it tries again by itself, and in the end the destination holds
 * what it holds when nothing fails, once. */
#include "../test.h"

#include "../../host/import.h"
#include "../../host/import_retry.h"
#include "../fail/fail_each.h"
#include "chunks.h"

#define WAIT 20000 /* milliseconds: a bound for a slow machine */

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

static struct tern_stage *stage;
static struct tern_import *import;
static const struct tern_sqlite_api *api;
static char url[200];
static unsigned errors;
static bool patient; /* the fault ends by itself: the import is to converge before it is closed */

static void count_errors(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (getenv("FAIL_TRACE") != NULL && level >= TERN_WARN)
        printf("  %s %s\n", event, fields);
    errors += level >= TERN_WARN;
}

static const struct tern_report report = {count_errors, NULL};

/* ---- What is in the store ------------------------------------------------------------------------------------------------------------ */

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

static void fill_store(bool all)
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

/* ---- The destination ------------------------------------------------------------------------------------------------------------------ */

static char sums[4000];

/* All rows of the query, column by column, into `sums`. */
static void note_rows(struct sqlite3 *database, const char *sql)
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

/* Everything in the database that may not depend on what failed. */
static const char *read_database(bool all)
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

/* ---- Scenarios ------------------------------------------------------------------------------------------------------------------------- */

static char expected_first[4000], expected_all[4000];
static bool has_all;

static int open_import(void)
{
    struct tern_import_config config = {.report = report, .rows = 4, .segment_bytes = 300};
    return tern_import_open(&import, stage, url, &config);
}

static void close_all(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
    import = NULL;
    stage = NULL;
}

static void execute(const char *sql)
{
    struct sqlite3 *database = NULL;
    CHECK_EQ(api->open_v2(folder_path("out.db"), &database, 6, NULL), 0);
    CHECK_EQ(api->exec(database, sql, NULL, NULL, NULL), 0);
    api->close_v2(database);
}

static void begin(const char *name, bool all)
{
    folder_fresh();
    errors = 0;
    has_all = all;
    snprintf(url, sizeof url, "%s", folder_path(name));
    memmove(url + (name[0] == 'o' && name[3] == '.' ? 7 : 4), url, strlen(url) + 1);
    memcpy(url, strchr(name, '.') != NULL ? "sqlite:" : "csv:", strchr(name, '.') != NULL ? 7 : 4);
}

static void prepare_first(void)
{
    begin("out.db", false);
    fill_store(false);
}

/* A destination that has something, and a trigger that refuses some rows. */
static void prepare_rest(void)
{
    begin("out.db", true);
    fill_store(true);
    execute(
        "CREATE TABLE climate(device TEXT NOT NULL, tern_id INTEGER NOT NULL, at INTEGER NOT NULL, celsius "
        "NUMERIC, note TEXT, PRIMARY KEY(device, at)) WITHOUT ROWID; CREATE TRIGGER no BEFORE INSERT ON "
        "climate WHEN "
        "NEW.note='poison' BEGIN SELECT RAISE(ABORT,'no'); END");
}

static void run_import(void)
{
    if (open_import() == TERN_HOST_OK)
        tern_import_drain(import, patient ? WAIT : 30);
}

static void finish_import(void)
{
    if (import == NULL)
        CHECK_EQ(open_import(), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
}

static void inspect_database(void)
{
    finish_import();
    close_all();
    const char *found = read_database(has_all), *expected = has_all ? expected_all : expected_first;
    if (!CHECK(strcmp(found, expected) == 0))
        printf("    found\n%s    expected\n%s", found, expected);
}

static void each(const char *name, unsigned groups, enum fail_how how, bool all)
{
    patient = how != FAIL_ON;
    fail_each(&(struct fail_scenario){name, groups, how, true, all ? prepare_rest : prepare_first, run_import,
                                      inspect_database});
}

static void the_expected_rows_are_those_of_a_run_without_faults(void)
{
    prepare_first();
    finish_import();
    close_all();
    snprintf(expected_first, sizeof expected_first, "%s", read_database(false));
    prepare_rest();
    finish_import();
    close_all();
    snprintf(expected_all, sizeof expected_all, "%s", read_database(true));
    CHECK(strstr(expected_first, "a line") != NULL);
    CHECK(strstr(expected_all, "wide") != NULL && strstr(expected_all, "|117|") != NULL);
    CHECK(strstr(expected_all, "19|19|rejected|") != NULL && strstr(expected_all, "22|23|rejected|") != NULL);
    if (getenv("FAIL_TRACE") != NULL)
        printf("%s\n%s", expected_first, expected_all);
}

static void sqlite_has_everything_once_whatever_call_of_its_library_fails(void)
{
    each("tables made, from then on", FAIL_SQLITE, FAIL_ON, false);
    each("library", FAIL_SQLITE, FAIL_ONCE, true);
    each("library, after its work", FAIL_SQLITE, FAIL_UNHEARD, true);
}

static void sqlite_has_everything_once_whatever_memory_is_refused(void)
{
    each("memory", FAIL_MEMORY, FAIL_ONCE, true);
    each("memory from then on", FAIL_MEMORY, FAIL_ON, true);
}

static void sqlite_has_everything_once_whatever_file_or_thread_is_refused(void)
{
    each("reading", FAIL_READ, FAIL_ONCE, true);
    each("writing", FAIL_WRITE, FAIL_ONCE, true);
    each("threads", FAIL_PROCESS, FAIL_ONCE, true);
    each("halves", FAIL_READ | FAIL_WRITE, FAIL_HALF, true);
}

int main(void)
{
    fail_folder(folder);
    api = fail_sqlite();
#define RUN_OR_SKIP(test)                                                                                    \
    (api != NULL ? (void)(RUN(test)) : (void)(SKIP(test, "SQLite's library is missing")))
    RUN_OR_SKIP(the_expected_rows_are_those_of_a_run_without_faults);
    RUN_OR_SKIP(sqlite_has_everything_once_whatever_call_of_its_library_fails);
    RUN_OR_SKIP(sqlite_has_everything_once_whatever_memory_is_refused);
    RUN_OR_SKIP(sqlite_has_everything_once_whatever_file_or_thread_is_refused);
    folder_remove();
    return test_report();
}
