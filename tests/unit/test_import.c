/* SPDX-License-Identifier: MIT */
/* The importer with SQLite: exactly once in effect, batches whole, values exact. Skips where SQLite's library is missing. */
#include "../test.h"

#include <signal.h>
#include <sys/wait.h>

#include "../../core/bytes.h"
#include "../../core/crc32c.h"
#include "../../host/import.h"
#include "../../host/import_retry.h"
#include "../../host/journal.h"
#include "../../host/sql/sqlite_api.h"
#include "chunks.h"
#include "packed.h"

#define WAIT 20000 /* milliseconds: a bound for a slow machine, not an expectation */

static const struct tern_column log_columns[] = {{"level", TERN_U8, 0}, {"line", TERN_TEXT(99), 0}};
static const struct tern_table log_table = TERN_TABLE("log", TERN_APPEND, log_columns);

static struct tern_sqlite_api api;
static struct tern_stage *stage;
static struct tern_import *import;
static char url[1000];
static char last_warning[64], last_event[64], last_fields[1024];

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level == TERN_WARN)
        snprintf(last_warning, sizeof last_warning, "%s", event);
    if (level != TERN_ERROR)
        return;
    snprintf(last_event, sizeof last_event, "%s", event);
    snprintf(last_fields, sizeof last_fields, "%s", fields);
}

static const struct tern_report report = {remember, NULL};

static void open_import(uint32_t rows)
{
    struct tern_import_config config = {.report = report, .rows = rows};
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
}

static void open_stage(void)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

static void fresh(void)
{
    folder_fresh();
    last_event[0] = '\0';
    open_stage();
    open_import(0);
}

static void done(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
}

static void drain(void)
{
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
}

/* The first column of the query's first row as text, "NULL", or the error. */
static const char *ask(const char *sql)
{
    static char answers[8][256];
    static unsigned turn;
    char *answer = answers[turn++ % 8];
    struct sqlite3 *database = NULL;
    struct sqlite3_stmt *statement = NULL;
    strcpy(answer, "no row");
    if (api.open_v2(folder_path("out.db"), &database, 2, NULL) != 0 ||
        api.prepare_v2(database, sql, -1, &statement, NULL) != 0)
        snprintf(answer, 256, "%s", api.errmsg(database));
    else if (api.step(statement) == 100)
        snprintf(answer, 256, "%s",
                 api.column_type(statement, 0) == 5 ? "NULL" : (const char *)api.column_text(statement, 0));
    api.finalize(statement);
    api.close_v2(database);
    return answer;
}

static void execute(const char *sql)
{
    struct sqlite3 *database = NULL;
    CHECK_EQ(api.open_v2(folder_path("out.db"), &database, 6, NULL), 0);
    api.busy_timeout(database, 5000);
    CHECK_EQ(api.exec(database, sql, NULL, NULL, NULL), 0);
    api.close_v2(database);
}

#define CHECK_TEXT(a, b) check_text((a), (b), __LINE__)

static void check_text(const char *a, const char *b, int line)
{
    if (!test_check(strcmp(a, b) == 0, "texts differ", __FILE__, line))
        printf("    \"%s\", \"%s\"\n", a, b);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------------------ */

static void rows_arrive_once_with_their_checkpoint(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t i = 0; i < 20; i++) {
        chunks_fill(&made, 1 + 100 * i, 100);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "2000");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint WHERE device='dev1'"), "2000");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK_TEXT(ask("SELECT sum(rows) FROM tern_batch"), "2000");
    CHECK_TEXT(ask("SELECT celsius FROM climate WHERE at=1234"), "12.34");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE tern_id & 4294967295 = at"), "2000");
    CHECK_TEXT(ask("SELECT position FROM tern_cursor"), ask("SELECT max(position) FROM tern_cursor"));
    done();
}

/* A staging folder that is gone, and a clock that was ahead when it was there. */
static void a_fresh_store_gives_newer_epochs_than_the_destination_has(void)
{
    struct chunk_bytes made;
    fresh();
    drain();
    execute("INSERT INTO tern_checkpoint(device,lane,epoch,applied) VALUES('dev1',0,1600000000,7),"
            "('dev1',1,1600000009,7),('dev2',0,8,7),('dev3',0,99999999999,7)");
    done();
    folder_clear(folder_path("stage"));
    open_stage();
    open_import(0);
    drain();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(range->epoch, 1600000016);
    CHECK(chunks_device(stage, "dev2")->epoch < 1600000000);
    CHECK(chunks_device(stage, "dev3")->epoch < 1600000000);
    chunks_fill(&made, 1, 10);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "10");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint WHERE epoch=1600000016"), "10");
    done();
}

static void a_lost_cursor_repeats_nothing(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 100);
    chunks_send(stage, range, &made, 0);
    drain();
    tern_import_close(import);
    execute("DELETE FROM tern_cursor; DELETE FROM climate WHERE at=50");
    open_import(0);
    chunks_fill(&made, 101, 10);
    chunks_send(stage, range, &made, 0);
    drain();
    /* The deleted row shows that the old ones were not loaded again. */
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "109");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rows, 10);
    CHECK_EQ(status.known, 100);
    done();
}

static void a_restart_goes_on_at_the_cursor(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch, next = 1;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 7; i++) {
            chunks_fill(&made, next, 13);
            chunks_send(stage, range, &made, 0);
            next += 13;
        }
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        done();
        open_stage();
        open_import(20);
        struct tern_hello hello = {.id = "dev1", .range_count = 1};
        hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = next};
        CHECK_EQ(
            tern_stage_hello(stage, tern_stage_device(stage, "dev1"), &hello, &hello.ranges[0], 0, &range),
            0);
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) || ' ' || min(at) || ' ' || max(at) FROM climate"), "455 1 455");
    done();
}

static void the_newest_record_of_a_key_wins_whatever_the_order(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 7, "first");
    chunks_put(&made, &chunks_table, 7, "second");
    chunks_put(&made, &chunks_table, 8, "eight");
    chunks_put(&made, &chunks_table, 7, "third");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT note FROM climate WHERE at=7"), "third");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "2");
    /* An older epoch that comes late. */
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = 1, .next = 2};
    hello.ranges[0].newest = range->epoch;
    struct tern_stage_range *old;
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &old), TERN_HOST_OK);
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 7, "ancient");
    chunks_put(&made, &chunks_table, 9, "nine");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, old, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT note FROM climate WHERE at=7"), "third");
    CHECK_TEXT(ask("SELECT note FROM climate WHERE at=9"), "nine");
    done();
}

static void a_deleted_row_is_not_brought_back_by_an_older_one(void)
{
    struct chunk_bytes made;
    struct tern_value key[1] = {tern_int(7)};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 7, "a");
    chunks_put(&made, &chunks_table, 8, "b");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    chunks_open(&made, 3);
    tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, key);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "8");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = 1, .next = 2};
    hello.ranges[0].newest = range->epoch;
    struct tern_stage_range *old;
    tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &old);
    chunks_fill(&made, 1, 9);
    chunks_send(stage, old, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,5,6,8,9");
    CHECK_TEXT(ask("SELECT note FROM climate WHERE at=8"), "b");
    chunks_open(&made, 4);
    chunks_put(&made, &chunks_table, 7, "back");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT note FROM climate WHERE at=7"), "back");
    done();
}

static void one_more_row(struct tern_stage_range *range)
{
    struct chunk_bytes made;
    tern_import_close(import);
    open_import(0);
    chunks_fill(&made, range->taken.next, 1);
    chunks_send(stage, range, &made, 0);
    drain();
}

static void promise_8_a_tombstone_goes_when_nothing_older_can_arrive(void)
{
    struct chunk_bytes made;
    struct tern_value keys[2] = {tern_int(1), tern_int(2)};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 2);
    chunks_send(stage, range, &made, 0);
    chunks_open(&made, 3);
    tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, &keys[0]);
    tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, &keys[1]);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM tern_deleted_climate"), "2");
    one_more_row(range);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_deleted_climate"), "2"); /* too young */
    /* Old enough, but a record before the second one may still come. */
    execute("UPDATE tern_deleted_climate SET tern_deleted=tern_deleted-2678400000;"
            "INSERT INTO tern_gap SELECT device,lane,epoch,3,3,'overflow',0 FROM tern_checkpoint");
    one_more_row(range);
    CHECK_TEXT(ask("SELECT group_concat(at) FROM tern_deleted_climate"), "2");
    execute("DELETE FROM tern_gap");
    one_more_row(range);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_deleted_climate"), "0");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "3");
    done();
}

/* A process that dies at any place: the next one goes on, and nothing is lost or there twice. */
static void kills_at_random_moments_lose_and_repeat_nothing(void)
{
    struct chunk_bytes made;
    char expected[64];
    folder_fresh();
    open_stage();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &log_table);
    uint32_t next = 1;
    for (unsigned i = 0; i < 400; i++, next += 40) {
        chunks_open(&made, next);
        for (uint32_t k = 0; k < 40; k++) {
            struct tern_value line[2] = {tern_int(3), tern_text("line")};
            tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
        }
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    tern_stage_sync(stage);
    tern_stage_close(stage);
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct tern_import_config config = {.rows = 200};
            struct tern_stage_config staging = {.directory = folder_path("stage")};
            snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
            if (tern_stage_open(&stage, &staging) != 0 || tern_import_open(&import, stage, url, &config) != 0)
                _exit(1);
            tern_import_drain(import, WAIT);
            _exit(0);
        }
        usleep(3000 + round * 1000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    open_stage();
    open_import(0);
    drain();
    snprintf(expected, sizeof expected, "%u %u", next - 1, next - 1);
    CHECK_TEXT(ask("SELECT count(*) || ' ' || max(tern_id & 4294967295) FROM log"), expected);
    snprintf(expected, sizeof expected, "%u", next - 1);
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), expected);
    CHECK_TEXT(ask("SELECT sum(rows) FROM tern_batch"), expected);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    FILE *in = fopen(folder_path(from), "rb"), *out = fopen(folder_path(to), "wb");
    if (!CHECK(in != NULL && out != NULL))
        return;
    for (size_t size; (size = fread(bytes, 1, sizeof bytes, in)) != 0;)
        fwrite(bytes, 1, size, out);
    fclose(in);
    fclose(out);
}

static void a_database_set_back_is_noticed_and_filled_again(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t i = 0; i < 3; i++) {
        chunks_fill(&made, 1 + 10 * i, 10);
        chunks_send(stage, range, &made, 0);
        drain();
        if (i == 0) {
            tern_import_close(import); /* the last connection empties the write-ahead log */
            copy_file("out.db", "backup");
            open_import(0);
        }
    }
    tern_import_close(import);
    copy_file("backup", "out.db");
    last_warning[0] = '\0';
    open_import(0);
    chunks_fill(&made, 31, 10);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(last_warning, "sink-restored");
    CHECK_TEXT(ask("SELECT group_concat(at) FROM (SELECT at FROM climate WHERE at % 10 = 1 ORDER BY at)"),
               "1,11,21,31");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "40");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.restored, 1);
    /* And only once. */
    tern_import_close(import);
    last_warning[0] = '\0';
    open_import(0);
    drain();
    CHECK_TEXT(last_warning, "");
    done();
}

/* ---- Names and tables made by others ----------------------------------------------------------------------------------------- */

static void names_are_those_of_the_configuration_quoted(void)
{
    static const struct tern_sink_name names[] = {{"climate", "Room \"1\"?"},
                                                  {"climate.note", "what's said"}};
    struct tern_import_config config = {.report = report, .names = names, .name_count = 2};
    struct chunk_bytes made;
    fresh();
    tern_import_close(import);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT count(\"what's said\") FROM \"Room \"\"1\"\"?\""), "3");
    struct tern_value key[1] = {tern_int(2)};
    chunks_open(&made, 4);
    tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, key);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM \"Room \"\"1\"\"?\""), "1,3");
    done();
}

static void without_ddl_records_wait_for_their_table(void)
{
    struct tern_import_config config = {.report = report, .no_ddl = true};
    struct chunk_bytes made;
    fresh();
    drain(); /* makes tern's own tables */
    tern_import_close(import);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(last_event, "records-held");
    CHECK(strstr(last_fields, "tern-gateway ddl") != NULL);
    CHECK_TEXT(ask("SELECT count(*) FROM sqlite_schema WHERE name='climate'"), "0");
    execute(
        "CREATE TABLE climate(device TEXT, tern_id INTEGER, at INTEGER, celsius REAL, note TEXT, mine TEXT, "
        "PRIMARY KEY(device, at))");
    tern_import_close(import);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3");
    done();
}

static char printed[8000];

static void print(const char *text)
{
    strncat(printed, text, sizeof printed - strlen(printed) - 1);
}

/* What `tern-gateway ddl` prints for the tables, executed. */
static void make_by_ddl(const struct tern_table *const *tables, size_t count)
{
    struct tern_sink *sink;
    struct tern_sink_config config = {.url = url, .report = report, .no_ddl = true};
    printed[0] = '\0';
    CHECK_EQ(tern_sink_open(&sink, &config), TERN_HOST_OK);
    CHECK_EQ(sink->ops->connect(sink), TERN_HOST_OK);
    CHECK_EQ(sink->ops->describe(sink, NULL, false, true, print), TERN_HOST_OK);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(sink->ops->describe(sink, tables[i], false, true, print), TERN_HOST_OK);
    sink->ops->disconnect(sink);
    sink->ops->close(sink);
    execute(printed);
}

/* A database that is empty is waited for; a table that is missing, or one for deleted keys, holds its own records. */
static void without_ddl_everything_goes_in_once_its_statements_have_run(void)
{
    static const struct tern_table *const both[] = {&chunks_table, &log_table};
    struct tern_import_config config = {.report = report, .no_ddl = true};
    struct tern_value key[1] = {tern_int(2)};
    struct chunk_bytes made;
    struct tern_import_status status;
    folder_fresh();
    open_stage();
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &log_table);
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 200), TERN_HOST_E_LIMIT);
    tern_import_status(import, &status);
    CHECK(strstr(status.error, "tern-gateway ddl") != NULL);
    make_by_ddl(both, 0);
    drain();
    CHECK_TEXT(last_event, "records-held");
    execute("CREATE TABLE climate(device TEXT, tern_id INTEGER, at INTEGER, celsius REAL, note TEXT, PRIMARY "
            "KEY(device, at))");
    tern_import_close(import);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3");
    last_event[0] = '\0';
    chunks_open(&made, 4);
    tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, key);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(last_event, "records-held");
    CHECK(strstr(last_fields, "tern-gateway ddl") != NULL);
    tern_import_close(import);
    make_by_ddl(both, 2);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,3");
    CHECK_TEXT(ask("SELECT count(*) FROM log"), "0");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    make_by_ddl(both, 2);
    CHECK_TEXT(printed, "");
    done();
}

/* ---- Batches and gaps ------------------------------------------------------------------------------------------------------ */

static void a_batch_over_several_chunks_appears_whole(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_stage_range *other = chunks_device(stage, "dev2");
    for (uint32_t i = 0; i < 5; i++) {
        chunks_open(&made, 1 + 10 * i);
        for (uint32_t k = 0; k < 10; k++)
            chunks_put(&made, &chunks_table, 1 + 10 * i + k, "b");
        tern_chunk_finish(&made.chunk, i == 4, true);
        chunks_send(stage, range, &made, 0);
        if (i < 4) {
            drain();
            CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev1'"),
                       i == 0 ? "no such table: climate" : "0");
            chunks_fill(&made, 1 + 10 * i, 10);
            chunks_send(stage, other, &made, 0);
        }
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev1'"), "50");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev2'"), "40");
    done();
}

static void a_batch_with_a_gap_is_left_out_whole(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 5);
    chunks_send(stage, range, &made, 0);
    chunks_open(&made, 6);
    for (int64_t at = 6; at < 11; at++)
        chunks_put(&made, &chunks_table, at, "b");
    tern_chunk_finish(&made.chunk, false, true);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_gap(stage, range, 11, 15, TERN_GAP_DAMAGED | TERN_GAP_LEADS), TERN_HOST_OK);
    chunks_open(&made, 16);
    for (int64_t at = 16; at < 21; at++)
        chunks_put(&made, &chunks_table, at, "b");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    chunks_fill(&made, 21, 5);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,5,21,22,23,24,25");
    CHECK_TEXT(ask("SELECT first || '-' || last || ' ' || reason FROM tern_gap"), "6-20 damaged");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "25");
    done();
}

/* Its other half is in another store, or was dropped: the commit that follows is not its own, and must not bring in what is here. */
static void a_gap_ends_the_batch_that_it_cuts_off(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 5);
    chunks_send(stage, range, &made, 0);
    chunks_open(&made, 6);
    for (int64_t at = 6; at < 11; at++)
        chunks_put(&made, &chunks_table, at, "b");
    tern_chunk_finish(&made.chunk, false, true);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(range->taken.run, 6);
    CHECK_EQ(tern_stage_gap(stage, range, 11, 15, TERN_GAP_HELD), TERN_HOST_OK);
    CHECK_EQ(range->taken.run, 16);
    chunks_fill(&made, 16, 5);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,5,16,17,18,19,20");
    CHECK_TEXT(ask("SELECT first || '-' || last || ' ' || reason FROM tern_gap"), "6-15 held");
    done();
}

/* The oldest were dropped: what is left of a batch is left out, what stands alone is not. */
static void a_batch_without_its_head_is_left_out(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(tern_stage_gap(stage, range, 1, 5, TERN_GAP_OVERFLOW | TERN_GAP_LEADS), TERN_HOST_OK);
    chunks_open(&made, 6);
    chunks_put(&made, &chunks_table, 6, "b");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_put(&made, &chunks_table, 7, "c");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_gap(stage, range, 8, 9, TERN_GAP_OVERFLOW | TERN_GAP_LEADS), TERN_HOST_OK);
    chunks_fill(&made, 10, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "7,10,11,12");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "1-6 overflow,8-9 overflow");
    done();
}

/* The device told another gateway of records 3 to 5 and goes on here in the middle of its chunk: the commit of record 4 comes behind
 * the gap. */
static void a_commit_behind_what_another_store_holds_ends_its_run(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 1, "a");
    chunks_put(&made, &chunks_table, 2, "a");
    tern_chunk_finish(&made.chunk, false, false);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_gap(stage, range, 3, 5, TERN_GAP_HELD), TERN_HOST_OK);
    chunks_open(&made, 4);
    chunks_put(&made, &chunks_table, 4, "b");
    tern_chunk_finish(&made.chunk, true, false);
    uint32_t sent = made.chunk.size;
    chunks_send(stage, range, &made, 0);
    for (int64_t at = 5; at < 8; at++)
        chunks_put(&made, &chunks_table, at, "c");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, sent);
    drain();
    CHECK_TEXT(last_event, "");
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,6,7");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"), "3-5 held");
    done();
}

static void gaps_are_rows_and_shrink_when_their_records_come(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch;
    CHECK_EQ(tern_stage_gap(stage, range, 1, 30, TERN_GAP_HELD), TERN_HOST_OK);
    chunks_fill(&made, 31, 10);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT first || '-' || last || ' ' || reason FROM tern_gap"), "1-30 held");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "10");
    /* Another gateway with its own store brings the middle of it. */
    done();
    struct tern_stage_config config = {.directory = folder_path("other"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    open_import(0);
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = 41};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    chunks_schema(stage, device, &chunks_table);
    CHECK_EQ(tern_stage_gap(stage, range, 1, 10, TERN_GAP_OVERFLOW), TERN_HOST_OK);
    chunks_fill(&made, 11, 10);
    chunks_send(stage, range, &made, 0);
    chunks_fill(&made, 21, 20);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "30");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last) FROM tern_gap"), "1-10");
    done();
}

/* A range of an epoch that goes on with the count of the one before, in the store that is open. */
static struct tern_stage_range *go_on(const char *id, uint32_t epoch, uint32_t base)
{
    struct tern_device *device = tern_stage_device(stage, id);
    struct tern_stage_range *range = NULL;
    struct tern_hello hello = {.id = id, .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = epoch, .base = base, .oldest = base, .next = base, .acked = base, .newest = epoch};
    CHECK_EQ(chunks_schema(stage, device, &chunks_table), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    return range;
}

/* The store that had the rest of the epoch before is gone, or is another gateway's that is late: then it fills the gap. */
static void what_an_epoch_lacks_when_the_next_begins_is_a_gap(void)
{
    static const char gaps[] =
        "SELECT group_concat(device || epoch || ' ' || first || '-' || last || ' ' || reason) FROM tern_gap";
    struct chunk_bytes made;
    fresh();
    chunks_fill(&made, 1, 30);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 800, 1), &made, 0), TERN_HOST_OK);
    drain();
    done();
    struct tern_stage_config config = {.directory = folder_path("other"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    open_import(0);
    chunks_fill(&made, 61, 10);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 808, 61), &made, 0), TERN_HOST_OK);
    CHECK_EQ(chunks_send(stage, go_on("dev2", 808, 61), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev1800 31-60 held,dev2800 1-60 held");
    chunks_fill(&made, 71, 10);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 808, 61), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev1800 31-60 held,dev2800 1-60 held");
    done();
    open_stage();
    open_import(0);
    chunks_fill(&made, 31, 30);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 800, 1), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev2800 1-60 held");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev1'"), "80");
    /* It held two epochs, of which the first one's records were taken for the second one's. */
    chunks_fill(&made, 41, 20);
    CHECK_EQ(chunks_send(stage, go_on("dev2", 800, 41), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev2792 1-40 held");
    done();
}

/* The database is set back to nothing when the store has let go of an epoch whole, and of the beginning of the next: all of that is told. */
static void what_the_store_let_go_of_is_a_gap_in_every_epoch(void)
{
    struct tern_stage_config config = {
        .directory = folder_path("stage"), .report = report, .file_bytes = 1500};
    struct tern_journal_limits limits = {.bytes = 1};
    struct chunk_bytes made;
    char expected[100];
    fresh();
    done();
    folder_clear(folder_path("stage"));
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    open_import(0);
    for (uint32_t first = 1; first <= 298; first += 3) {
        struct tern_stage_range *range = first <= 58 ? go_on("dev1", 800, 1) : go_on("dev1", 808, 61);
        chunks_fill(&made, first, 3);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "300");
    tern_import_close(import);
    limits.position = tern_stage_end(stage);
    CHECK(tern_stage_trim(stage, &limits) != 0);
    unlink(folder_path("out.db"));
    open_import(0);
    drain();
    CHECK_TEXT(ask("SELECT first || '-' || last || reason FROM tern_gap WHERE epoch=800"), "1-60retention");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE tern_id<800<<32|61"), "0");
    CHECK_TEXT(ask("SELECT min(tern_id)-(808<<32) FROM climate"),
               ask("SELECT last+1 FROM tern_gap WHERE epoch=808 AND first=61 AND reason='retention'"));
    CHECK_TEXT(ask("SELECT count(*)+(SELECT sum(last-first+1) FROM tern_gap) FROM climate"), "300");
    CHECK(atoi(ask("SELECT count(*) FROM climate")) > 0);
    struct tern_stage_range *range = go_on("dev1", 808, 61);
    snprintf(expected, sizeof expected, "%s", ask("SELECT count(*) FROM tern_gap"));
    CHECK_TEXT(expected, "2");
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->taken.next, 61);
    done();
}

/* ---- Values ---------------------------------------------------------------------------------------------------------------- */

static const struct tern_column kinds_columns[] = {{"id", TERN_U32, TERN_KEY},
                                                   {"flag", TERN_BOOL, TERN_NULLABLE},
                                                   {"big", TERN_U64, TERN_NULLABLE},
                                                   {"small", TERN_I64, TERN_NULLABLE},
                                                   {"money", TERN_DECIMAL(2), TERN_NULLABLE},
                                                   {"fine", TERN_DECIMAL(18), TERN_NULLABLE},
                                                   {"ratio", TERN_FLOAT(3), TERN_NULLABLE},
                                                   {"at", TERN_TIME_MS, TERN_NULLABLE},
                                                   {"note", TERN_TEXT(100), TERN_NULLABLE},
                                                   {"blob", TERN_BYTES(100), TERN_NULLABLE}};
static const struct tern_table kinds = TERN_TABLE("kinds", TERN_MERGE, kinds_columns);

static void values_stay_what_they_are(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &kinds);
    struct tern_value rows[3][10] = {
        {tern_int(1), tern_int(1), tern_int(-1), tern_int(INT64_MIN), tern_int(9007199254740993),
         tern_int(INT64_MAX), tern_int(-1500), tern_int(1700000000123), tern_text("a,\"b\"\n\xC3\xA4"),
         tern_bytes("\0\xFF", 2)},
        {tern_int(2), tern_int(0), tern_int(INT64_MAX), tern_int(INT64_MAX), tern_int(-5), tern_int(1),
         tern_int(0), tern_int(-1), tern_text(""), tern_bytes("", 0)},
        {tern_int(3), tern_null(), tern_null(), tern_null(), tern_null(), tern_null(), tern_null(),
         tern_null(), tern_null(), tern_null()}};
    chunks_open(&made, 1);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(tern_chunk_put(&made.chunk, &kinds, TERN_OP_PUT, rows[i]), TERN_OK);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT big FROM kinds WHERE id=1"), "18446744073709551615");
    CHECK_TEXT(ask("SELECT small FROM kinds WHERE id=1"), "-9223372036854775808");
    CHECK_TEXT(ask("SELECT money FROM kinds WHERE id=1"), "90071992547409.93");
    CHECK_TEXT(ask("SELECT fine FROM kinds WHERE id=1"), "9.223372036854775807");
    CHECK_TEXT(ask("SELECT ratio FROM kinds WHERE id=1"), "-1.5");
    CHECK_TEXT(ask("SELECT at FROM kinds WHERE id=1"), "1700000000123");
    CHECK_TEXT(ask("SELECT hex(note) FROM kinds WHERE id=1"), "612C2262220AC3A4");
    CHECK_TEXT(ask("SELECT hex(blob) FROM kinds WHERE id=1"), "00FF");
    CHECK_TEXT(ask("SELECT big FROM kinds WHERE id=2"), "9223372036854775807");
    CHECK_TEXT(ask("SELECT money || ' ' || typeof(money) FROM kinds WHERE id=2"), "-0.05 real");
    CHECK_TEXT(
        ask("SELECT typeof(note) || length(note) || typeof(blob) || length(blob) FROM kinds WHERE id=2"),
        "text0blob0");
    CHECK_TEXT(
        ask("SELECT count(*) FROM kinds WHERE id=3 AND flag IS NULL AND big IS NULL AND small IS NULL AND "
            "money "
            "IS NULL AND fine IS NULL AND ratio IS NULL AND at IS NULL AND note IS NULL AND blob IS NULL"),
        "1");
    done();
}

static const struct tern_column sums_columns[] = {{"id", TERN_U8, TERN_KEY},
                                                  {"money", TERN_DECIMAL(2), TERN_NULLABLE | TERN_ADD},
                                                  {"fine", TERN_DECIMAL(18), TERN_NULLABLE | TERN_MIN},
                                                  {"ratio", TERN_FLOAT(3), TERN_NULLABLE | TERN_MAX},
                                                  {"name", TERN_TEXT(20), TERN_NULLABLE | TERN_MAX},
                                                  {"blob", TERN_BYTES(9), TERN_NULLABLE | TERN_FIRST},
                                                  {"day", TERN_TIME_MS, TERN_NULLABLE | TERN_MIN},
                                                  {"last", TERN_I64, TERN_NULLABLE}};
static const struct tern_table sums = TERN_TABLE("sums", TERN_MERGE, sums_columns);

/* What the database has and what comes are joined by tern where a double could not: each turn reads the row back. */
static void columns_with_rules_stay_exact_beyond_what_a_double_holds(void)
{
    struct chunk_bytes made;
    const struct tern_value rows[3][8] = {
        {tern_int(1), tern_int(9007199254740993), tern_int(INT64_MAX), tern_int(-2500), tern_text("b"),
         tern_bytes("\0\1", 2), tern_int(1700000000123), tern_int(5)},
        {tern_int(1), tern_int(9007199254740993), tern_int(-INT64_MAX), tern_int(1250), tern_text("a"),
         tern_null(), tern_int(1700000000122), tern_null()},
        {tern_int(1), tern_int(-1), tern_null(), tern_null(), tern_null(), tern_bytes("x", 1), tern_null(),
         tern_int(7)}};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &sums);
    for (uint32_t i = 0; i < 3; i++) {
        chunks_open(&made, 1 + i);
        CHECK_EQ(tern_chunk_put(&made.chunk, &sums, TERN_OP_PUT, rows[i]), TERN_OK);
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
        drain();
    }
    CHECK_TEXT(ask("SELECT money FROM sums"), "180143985094819.85");
    CHECK_TEXT(ask("SELECT fine FROM sums"), "-9.223372036854775807");
    CHECK_TEXT(ask("SELECT ratio FROM sums"), "1.25");
    CHECK_TEXT(ask("SELECT name || hex(blob) || day FROM sums"), "b00011700000000122");
    CHECK_TEXT(ask("SELECT last FROM sums"), "7");
    done();
}

static const struct tern_column word_columns[] = {{"word", TERN_TEXT(20), TERN_KEY}, {"n", TERN_U32, 0}};
static const struct tern_table words = TERN_TABLE("words", TERN_MERGE, word_columns);

/* Keys are sorted before they are loaded: texts that begin alike, and the empty one. */
static void keys_that_are_texts_are_told_apart_to_the_last_byte(void)
{
    static const char *const list[] = {"",  "a", "station-001", "station-0010", "station-002", "station-001",
                                       "b", "",  "station-01"};
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &words);
    chunks_open(&made, 1);
    for (uint32_t i = 0; i < 9; i++) {
        struct tern_value row[2] = {tern_text(list[i]), tern_int(i)};
        CHECK_EQ(tern_chunk_put(&made.chunk, &words, TERN_OP_PUT, row), TERN_OK);
    }
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(word || '=' || n, ' ') FROM (SELECT * FROM words ORDER BY word)"),
               "=7 a=1 b=6 station-001=5 station-0010=3 station-002=4 station-01=8");
    done();
}

static const struct tern_column wider_columns[] = {
    {"at", TERN_TIME_S, TERN_KEY}, {"note", TERN_TEXT(64), TERN_NULLABLE}, {"humidity", TERN_DECIMAL(1), 0}};
static const struct tern_table wider = TERN_TABLE("climate", TERN_MERGE, wider_columns);
static void a_new_column_is_added_and_append_keeps_every_row(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &wider);
    chunks_schema(stage, range->device, &log_table);
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    chunks_open(&made, 4);
    struct tern_value row[3] = {tern_int(4), tern_text("wide"), tern_int(405)};
    struct tern_value line[2] = {tern_int(3), tern_text("same line")};
    CHECK_EQ(tern_chunk_put(&made.chunk, &wider, TERN_OP_PUT, row), TERN_OK);
    tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
    tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(coalesce(humidity,'-')) FROM climate"), "-,-,-,40.5");
    CHECK_TEXT(ask("SELECT count(*) FROM log"), "2");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "6");
    done();
}

/* The chunk's model learns across segments: each is decoded from the chunk's head, also where an importer begins in the middle. */
static void packed_chunks_that_grow_arrive_as_plain_ones_do(void)
{
    static struct packed packed;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t sent = 0, want;
    packed_open(&packed, &tern_packed_text, TERN_CHUNK_MAX, 3);
    for (int64_t at = 1; at <= 60; at++) {
        struct tern_value row[3] = {tern_int(at), tern_int(2000 + at * 7 % 50),
                                    at % 3 == 0 ? tern_null() : tern_text("n")};
        CHECK_EQ(tern_chunk_put(&packed.chunk, &chunks_table, TERN_OP_PUT, row), TERN_OK);
        tern_chunk_finish(&packed.chunk, true, false);
        CHECK_EQ(tern_stage_part(stage, range, 1, sent, packed.data + sent, packed.chunk.size - sent, &want),
                 TERN_HOST_OK);
        sent = packed.chunk.size;
        if (at % 7 == 0)
            drain();
        if (at % 20 == 0) {
            tern_import_close(import);
            open_import(3);
        }
    }
    drain();
    CHECK_EQ(range->durable.next, 61);
    CHECK_TEXT(ask("SELECT count(*) || ' ' || min(at) || ' ' || max(at) FROM climate"), "60 1 60");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE round(celsius*100) = 2000 + at*7%50"), "60");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE (note IS NULL) = (at%3=0)"), "60");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* ---- Trouble --------------------------------------------------------------------------------------------------------------- */

/* Records of other tables go in, those of the same device, its epoch and its commit too. */
static void a_table_with_another_key_holds_only_its_own_records(void)
{
    struct chunk_bytes made;
    struct tern_value line[2] = {tern_int(3), tern_text("line")};
    fresh();
    execute("CREATE TABLE climate(at INTEGER PRIMARY KEY, celsius REAL)");
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &log_table);
    for (uint32_t i = 0; i < 2; i++) {
        chunks_open(&made, 1 + 6 * i);
        for (int64_t at = 1; at < 4; at++) {
            chunks_put(&made, &chunks_table, at + 3 * i, "n");
            tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
        }
        tern_chunk_finish(&made.chunk, true, i == 1);
        chunks_send(stage, range, &made, 0);
    }
    chunks_open(&made, 13);
    tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(tern_id & 255) FROM log"), "2,4,6,13");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "1-1 table,3-3 table,5-5 table,7-12 table");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "13");
    CHECK_TEXT(last_event, "records-held");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.held, 1);
    /* Mended, without a restart. */
    execute("DROP TABLE climate");
    for (unsigned i = 0; i < 200 && strcmp(ask("SELECT count(*) FROM climate"), "6") != 0; i++)
        usleep(100000);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,5,6");
    CHECK_TEXT(ask("SELECT group_concat(tern_id & 255) FROM log"), "2,4,6,8,10,12,13");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* Lines of the file that hold the text. */
static int count_lines(const char *name, const char *text)
{
    char line[2000];
    int count = 0;
    FILE *file = fopen(folder_path(name), "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return count;
}

/* A transaction may be done again with more rows than before: those that the snapshot would have replaced. */
static void a_snapshot_that_is_refused_replaces_nothing(void)
{
    static const struct tern_table list = TERN_TABLE("list", TERN_OVERWRITE, chunks_columns);
    struct chunk_bytes made;
    uint32_t next = 1;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &list), TERN_HOST_OK);
    chunks_open(&made, next);
    chunks_put(&made, &chunks_table, next++, "n");
    chunks_put(&made, &list, next++, "n");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    execute(
        "CREATE TRIGGER no BEFORE INSERT ON list WHEN NEW.note='bad' BEGIN SELECT RAISE(ABORT,'no'); END");
    tern_import_close(import);
    for (unsigned i = 0; i < 8; i++) {
        chunks_open(&made, next);
        for (unsigned k = 0; k < 50; k++, next++)
            chunks_put(&made, &list, 10000 - (int64_t)next, "n");
        for (unsigned k = 0; k < 3; k++, next++)
            chunks_put(&made, &chunks_table, 10000 - (int64_t)next, "n");
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    chunks_open(&made, next);
    CHECK_EQ(tern_chunk_put(&made.chunk, &list, TERN_OP_SNAPSHOT_BEGIN, NULL), TERN_OK);
    chunks_put(&made, &list, 1, "bad");
    CHECK_EQ(tern_chunk_put(&made.chunk, &list, TERN_OP_SNAPSHOT_END, NULL), TERN_OK);
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    open_import(0);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM list"), "401");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "25");
    CHECK_TEXT(ask("SELECT first || ' ' || last || ' ' || reason FROM tern_gap"), "427 429 rejected");
    done();
}

static void a_refused_row_becomes_a_gap_and_the_rest_goes_in(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.at IN (5,9) BEGIN SELECT RAISE(ABORT,'not "
            "five'); END");
    chunks_fill(&made, 4, 4);
    chunks_send(stage, range, &made, 0);
    chunks_open(&made, 8);
    for (int64_t at = 8; at < 11; at++)
        chunks_put(&made, &chunks_table, at, "whole");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    chunks_fill(&made, 11, 2);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,6,7,11,12");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "5-5 rejected,8-10 rejected");
    CHECK_TEXT(last_event, "record-rejected");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 5);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "not five"), 2);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ",,"), 1); /* of no batch */
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ",8-10,"), 3);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "\"+0,5,0.05,n\""), 1);
    /* Refused once more, they are not written again. */
    tern_import_close(import);
    execute("DELETE FROM tern_cursor");
    open_import(0);
    drain();
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 5);
    /* Nor when the transaction is repeated from the beginning; and what is mended in the database goes in then. */
    tern_import_close(import);
    execute("DELETE FROM tern_cursor; DROP TRIGGER no");
    open_import(0);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "12");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* Nothing puts the rows aside here before they are inserted: each that is refused is found where it stands. */
static void an_index_of_the_users_refuses_just_the_rows_that_break_it(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE UNIQUE INDEX pairs ON climate(at/2) WHERE at>3");
    chunks_fill(&made, 4, 9);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,6,8,10,12");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "5-5 rejected,7-7 rejected,9-9 rejected,11-11 rejected");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "UNIQUE constraint failed"), 4);
    CHECK_TEXT(ask("SELECT count(*) || ' ' || retries FROM tern_batch WHERE rows=5"), "1 0");
    done();
}

/* One record is mended in the file, a batch by the database; one was outvoted meanwhile, and one is refused again. */
static void refused_records_are_brought_in_once_they_are_mended(void)
{
    struct tern_import_config config = {.report = report};
    struct tern_retry_result result;
    struct chunk_bytes made;
    char command[2000];
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 1);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.note IN ('bad','batch','old','worse') BEGIN "
            "SELECT "
            "RAISE(ABORT,'no'); END");
    static const char *const notes[] = {"bad", "old", "worse"};
    for (uint32_t i = 0; i < 3; i++) {
        chunks_open(&made, 2 + i);
        chunks_put(&made, &chunks_table, 2 + i, notes[i]);
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    chunks_open(&made, 5);
    chunks_put(&made, &chunks_table, 5, "fine");
    chunks_put(&made, &chunks_table, 6, "batch");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    drain();
    chunks_open(&made, 7);
    chunks_put(&made, &chunks_table, 3, "newer");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at || note) FROM climate"), "1n,3newer");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 6);
    execute("DROP TRIGGER no; CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.note IN ('bad','worse') "
            "BEGIN SELECT "
            "RAISE(ABORT,'no'); END");
    snprintf(command, sizeof command, "sed -i 's/0.02,bad/0.02,good/' %s",
             folder_path("stage/rejects/climate.csv"));
    CHECK_EQ(system(command), 0);
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 3);
    CHECK_EQ(result.superseded, 1);
    CHECK_EQ(result.refused, 1);
    CHECK_EQ(result.known, 0);
    CHECK_TEXT(ask("SELECT group_concat(at || note) FROM climate"), "1n,2good,3newer,5fine,6batch");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last) FROM tern_gap"), "4-4");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 2);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "device,tern_id"), 1);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "worse"), 1);
    execute("DROP TRIGGER no");
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 1);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 1);
    done();
}

static const struct tern_column meter_columns[] = {{"k", TERN_U16, TERN_KEY},
                                                   {"total", TERN_I32, TERN_ADD},
                                                   {"peak", TERN_I32, TERN_MAX},
                                                   {"note", TERN_TEXT(20), 0}};
static const struct tern_table meters = TERN_TABLE("meters", TERN_MERGE, meter_columns);

static void put_meter(struct chunk_bytes *made, int64_t k, int64_t number)
{
    struct tern_value row[4] = {tern_int(k), tern_int(number), tern_int(number), tern_text("n")};
    CHECK_EQ(tern_chunk_put(&made->chunk, &meters, TERN_OP_PUT, row), TERN_OK);
}

/* Twenty records of two keys are two rows: one record of each is at fault, and one of an explicit batch. */
static void of_combined_records_only_the_refused_one_is_left_out(void)
{
    struct tern_import_config config = {.report = report};
    struct tern_retry_result result;
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &meters), TERN_HOST_OK);
    chunks_open(&made, 1);
    put_meter(&made, 0, 1);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    execute(
        "CREATE TRIGGER no BEFORE INSERT ON meters WHEN NEW.peak>500 BEGIN SELECT RAISE(ABORT,'high'); END");
    for (unsigned part = 0; part < 2; part++) {
        chunks_open(&made, 2 + 10 * part);
        for (int64_t i = 0; i < 10; i++)
            put_meter(&made, i % 2,
                      part == 0 && (i == 4 || i == 7) ? 1000 + i
                      : part == 1 && i == 3           ? 2000
                                                      : i + 1);
        tern_chunk_finish(&made.chunk, true, part == 1);
        chunks_send(stage, range, &made, 0);
    }
    drain();
    CHECK_TEXT(
        ask("SELECT group_concat(k || '=' || total || ',' || peak || '@' || (tern_id & 255)) FROM meters"),
        "0=21,9@10,1=22,10@11");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "6-6 rejected,9-9 rejected,12-21 rejected");
    CHECK_EQ(count_lines("stage/rejects/meters.csv", ",\"no"), 0);
    CHECK_EQ(count_lines("stage/rejects/meters.csv", "high"), 3);
    CHECK_EQ(count_lines("stage/rejects/meters.csv", ",12-21,"), 10);
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rejected, 3);
    execute("DROP TRIGGER no");
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 12);
    CHECK_EQ(result.refused, 0);
    CHECK_TEXT(ask("SELECT group_concat(k || '=' || total || ',' || peak) FROM meters"),
               "0=1050,1004,1=3055,2000");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* No record is at fault: the database takes each of them, and not what they make together. */
static void records_that_are_refused_only_when_combined_go_in_one_by_one(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &meters), TERN_HOST_OK);
    chunks_open(&made, 1);
    put_meter(&made, 0, 1);
    put_meter(&made, 1, 1);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER step BEFORE UPDATE ON meters WHEN NEW.total-OLD.total>12 BEGIN SELECT "
            "RAISE(ABORT,'too much at once'); END");
    for (unsigned part = 0; part < 2; part++) {
        chunks_open(&made, 3 + 20 * part);
        for (int64_t i = 0; i < 20; i++)
            put_meter(&made, i % 4 == 0, part == 1 && i == 3 ? 50 : 5);
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    drain();
    CHECK_TEXT(ask("SELECT group_concat(k || '=' || total || ',' || peak) FROM meters"), "0=146,5,1=51,5");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "26-26 rejected");
    done();
}

static void a_sum_beyond_64_bits_refuses_the_record_that_leads_there(void)
{
    static const struct tern_column columns[] = {{"k", TERN_U8, TERN_KEY}, {"total", TERN_I64, TERN_ADD}};
    static const struct tern_table large = TERN_TABLE("large", TERN_MERGE, columns);
    static const int64_t numbers[] = {INT64_MAX - 5, 3, 100, 1};
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &large), TERN_HOST_OK);
    for (uint32_t part = 0; part < 2; part++) {
        chunks_open(&made, 1 + 4 * part);
        for (int64_t i = 0; i < 4; i++) {
            struct tern_value row[2] = {tern_int(part == 0 || i == 1 ? 0 : i),
                                        tern_int(part == 0 ? numbers[i] : 1)};
            CHECK_EQ(tern_chunk_put(&made.chunk, &large, TERN_OP_PUT, row), TERN_OK);
        }
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
        drain();
    }
    /* The newest come first: what they leave no room for is the oldest. */
    CHECK_TEXT(ask("SELECT group_concat(k || '=' || total) FROM large"), "0=106,2=1,3=1");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "1-1 rejected");
    CHECK_EQ(
        count_lines("stage/rejects/large.csv", "its sum with others of its key does not fit into 64 bits"),
        1);
    done();
}

/* Three commits; the payload of the second is spoilt before its CRC is made: a fault in a device's firmware. */
static void records_that_are_no_csv_become_a_gap_and_the_others_go_in(void)
{
    struct chunk_bytes made;
    uint32_t ends[4] = {0};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_open(&made, 1);
    for (uint32_t i = 0; i < 3; i++) {
        chunks_put(&made, &chunks_table, 10 * i + 1, "n");
        chunks_put(&made, &chunks_table, 10 * i + 2, "spoil");
        tern_chunk_finish(&made.chunk, true, false);
        ends[i + 1] = made.chunk.size;
    }
    uint8_t *spoil = made.bytes + ends[2] - 4 - strlen("spoil\n");
    CHECK(memcmp(spoil, "spoil\n", 6) == 0);
    memcpy(spoil, "\"poil\n", 6); /* a quote that does not end */
    for (uint32_t i = 1, crc = 0; i <= 3; i++) {
        crc = tern_crc32c(crc, made.bytes + ends[i - 1], ends[i] - 4 - ends[i - 1]);
        tern_store32(made.bytes + ends[i] - 4, crc);
    }
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 7);
    drain();
    CHECK_TEXT(last_event, "records-undecodable");
    CHECK(strstr(last_fields, "records 4 to 4 of epoch") != NULL &&
          strstr(last_fields, "a fault in the firmware") != NULL);
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,11,21,22");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "4-4 rejected");
    done();
}

/* Turns a byte of the text around, wherever the journal holds it. */
static void spoil_journal(const char *text)
{
    static uint8_t bytes[65536];
    FILE *file = fopen(folder_path("stage/journal-00000001.tern"), "r+b");
    size_t size = fread(bytes, 1, sizeof bytes, file), found = 0;
    for (size_t i = 0; i + strlen(text) < size; i++)
        if (memcmp(bytes + i, text, strlen(text)) == 0) {
            fseek(file, (long)i, SEEK_SET);
            fputc(bytes[i] ^ 0x20, file);
            found++;
        }
    fclose(file);
    CHECK_EQ(found, 1);
}

/* What dev1 sends of records 1 to 5, each in a chunk of its own: 2 to 4 are a batch. */
static const char *const batch_notes[] = {"before", "first", "second", "third", "behind"};

static void send_batch(struct tern_stage_range *range, uint32_t from, uint32_t to)
{
    for (uint32_t i = from - 1; i < to; i++) {
        struct chunk_bytes made;
        chunks_open(&made, 1 + i);
        chunks_put(&made, &chunks_table, i, batch_notes[i]);
        tern_chunk_finish(&made.chunk, i == 0 || i >= 3, i >= 1 && i <= 3);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
}

/* dev1's range as it is found again by a device that goes on. */
static struct tern_stage_range *come_back(uint32_t epoch, uint32_t next)
{
    struct tern_stage_range *range = NULL;
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = next};
    CHECK_EQ(tern_stage_hello(stage, tern_stage_device(stage, "dev1"), &hello, &hello.ranges[0], 0, &range),
             0);
    return range;
}

#define GAPS "SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"
#define ROWS "SELECT group_concat(note) FROM (SELECT note FROM climate WHERE device='dev1' ORDER BY at)"

/* The journal's own bytes are damaged: what is there of the batch never appears, all of it is a gap, once, and what stands behind it and other
 * devices go on. The device is asked, and fills the gap. */
static void a_batch_of_which_the_journal_has_lost_an_entry_is_a_gap_that_the_device_fills(void)
{
    for (unsigned spoilt = 1; spoilt <= 3; spoilt++) {
        struct tern_import_status status;
        struct chunk_bytes made;
        fresh();
        tern_import_close(import);
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        uint32_t epoch = range->epoch;
        send_batch(range, 1, 5);
        range = chunks_device(stage, "dev2");
        chunks_fill(&made, 1, 5);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        tern_stage_close(stage);
        spoil_journal(batch_notes[spoilt]);
        for (unsigned start = 0; start < 2; start++) {
            open_stage();
            open_import(0);
            drain();
            tern_import_status(import, &status);
            CHECK_EQ(status.held, 0);
            CHECK_TEXT(last_event, start == 1 ? "" : spoilt < 3 ? "records-lost" : "journal-corrupt");
            CHECK_TEXT(ask(ROWS), "before,behind");
            CHECK_TEXT(ask(GAPS), "2-4 retention");
            CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev2'"), "5");
            last_event[0] = '\0';
            if (start == 0)
                done();
        }
        range = come_back(epoch, 6);
        CHECK_EQ(range->taken.next, 6);
        CHECK(tern_stage_go_back(stage, range, 0));
        CHECK_EQ(range->taken.next, 2);
        send_batch(range, 2, 4);
        CHECK_EQ(range->taken.next, 6);
        drain();
        CHECK_TEXT(ask(ROWS), "before,first,second,third,behind");
        CHECK_TEXT(ask(GAPS), "NULL");
        CHECK_TEXT(last_event, "");
        done();
    }
}

/* One chunk in three pieces: its head is lost with the first, so that the others cannot be put together. The second one's last record, or the
 * third's, begins a batch that ends in the next chunk: not to be cut. */
static void of_a_chunk_without_its_head_all_is_lost_as_far_as_it_is_committed(void)
{
    static const char *const notes[] = {"head", "middle", "begun", "rest", "end"};
    for (unsigned piece = 1; piece <= 2; piece++) {
        struct chunk_bytes made;
        uint32_t sent = 0, epoch;
        fresh();
        tern_import_close(import);
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        epoch = range->epoch;
        chunks_open(&made, 1);
        for (uint32_t i = 0; i < 3; i++) {
            chunks_put(&made, &chunks_table, i, notes[i]);
            tern_chunk_finish(&made.chunk, i < 2, i == 2);
            if (i == 0 || i == piece) {
                CHECK_EQ(chunks_send(stage, range, &made, sent), TERN_HOST_OK);
                CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
                sent = made.chunk.size;
            }
        }
        if (piece == 1)
            CHECK_EQ(chunks_send(stage, range, &made, sent), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        CHECK_EQ(range->taken.run, 3);
        tern_stage_close(stage);
        spoil_journal("head");
        open_stage();
        open_import(0);
        range = come_back(epoch, 4);
        chunks_open(&made, 4);
        chunks_put(&made, &chunks_table, 3, "rest");
        tern_chunk_finish(&made.chunk, true, true);
        chunks_put(&made, &chunks_table, 4, "end");
        tern_chunk_finish(&made.chunk, true, false);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(range->taken.next, 6);
        drain();
        CHECK_TEXT(last_event, "records-lost");
        CHECK_TEXT(ask(ROWS), "end");
        CHECK_TEXT(ask(GAPS), "1-4 retention");
        CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "5");
        CHECK(tern_stage_go_back(stage, range, 0));
        CHECK_EQ(range->taken.next, 1);
        chunks_open(&made, 1);
        for (uint32_t i = 0; i < 4; i++) {
            chunks_put(&made, &chunks_table, i, notes[i]);
            tern_chunk_finish(&made.chunk, i != 2, i >= 2);
        }
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        drain();
        CHECK_TEXT(ask(ROWS), "head,middle,begun,rest,end");
        CHECK_TEXT(ask(GAPS), "NULL");
        done();
    }
}

/* The schema comes again when the device sends a chunk that names it. */
static void records_whose_schema_the_journal_has_lost_are_a_gap_until_it_comes_again(void)
{
    struct chunk_bytes made;
    struct tern_import_status status;
    uint32_t want;
    fresh();
    tern_import_close(import);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch;
    send_batch(range, 1, 5);
    tern_stage_close(stage);
    spoil_journal("celsius");
    open_stage();
    open_import(0);
    drain();
    tern_import_status(import, &status);
    CHECK_EQ(status.held, 0);
    CHECK_TEXT(last_event, "records-lost");
    CHECK_TEXT(ask(GAPS), "1-5 retention");
    range = come_back(epoch, 6);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->taken.next, 1);
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 0, "before");
    tern_chunk_finish(&made.chunk, true, false);
    CHECK_EQ(tern_stage_part(stage, range, 1, 0, made.bytes, made.chunk.size, &want), TERN_HOST_OK);
    CHECK_EQ(want, tern_schema_hash(&chunks_table));
    CHECK_EQ(chunks_schema(stage, range->device, &chunks_table), TERN_HOST_OK);
    send_batch(range, 2, 5);
    drain();
    CHECK_TEXT(ask(ROWS), "before,first,second,third,behind");
    CHECK_TEXT(ask(GAPS), "NULL");
    done();
}

static void a_locked_database_is_waited_for(void)
{
    struct chunk_bytes made;
    struct sqlite3 *database = NULL;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_EQ(api.open_v2(folder_path("out.db"), &database, 2, NULL), 0);
    CHECK_EQ(api.exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
    chunks_fill(&made, 4, 3);
    chunks_send(stage, range, &made, 0);
    tern_stage_sync(stage);
    CHECK_EQ(tern_import_drain(import, 200), TERN_HOST_E_LIMIT);
    api.exec(database, "ROLLBACK", NULL, NULL, NULL);
    api.close_v2(database);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "6");
    done();
}

static const struct tern_table reserved = TERN_TABLE("sqlite_stat", TERN_MERGE, chunks_columns);

static void a_table_that_the_database_refuses_holds_only_its_own_records(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_stage_range *other = chunks_device(stage, "dev2");
    chunks_schema(stage, range->device, &reserved);
    chunks_open(&made, 1);
    chunks_put(&made, &reserved, 1, "x");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    chunks_fill(&made, 1, 3);
    chunks_send(stage, other, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(device || ' ' || applied) FROM tern_checkpoint"), "dev1 1,dev2 3");
    CHECK_TEXT(ask("SELECT device || first || reason FROM tern_gap"), "dev11table");
    CHECK_TEXT(last_event, "records-held");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.held, 1);
    done();
}

/* The Nth call into the library fails, before or after it did its work. */
static unsigned calls_left;
static bool fails_after;

static int failing_step(struct sqlite3_stmt *statement)
{
    if (calls_left == 0 || --calls_left != 0)
        return api.step(statement);
    if (fails_after)
        api.step(statement);
    return 10; /* SQLITE_IOERR */
}

static int failing_exec(struct sqlite3 *database, const char *sql, int (*row)(void *, int, char **, char **),
                        void *context, char **error)
{
    if (calls_left == 0 || --calls_left != 0)
        return api.exec(database, sql, row, context, error);
    if (fails_after)
        api.exec(database, sql, row, context, error);
    return 13; /* SQLITE_FULL */
}

static void a_library_call_that_fails_at_any_place_changes_nothing(void)
{
    static struct tern_sqlite_api faulty;
    const struct tern_sqlite_api *known = tern_sqlite_library;
    struct chunk_bytes made;
    faulty = api;
    faulty.step = failing_step;
    faulty.exec = failing_exec;
    tern_sqlite_library = &faulty;
    for (unsigned n = 1; n <= 75; n += 2) {
        calls_left = 0;
        folder_fresh();
        open_stage();
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        chunks_schema(stage, range->device, &log_table);
        for (uint32_t first = 1; first <= 21; first += 10) {
            chunks_open(&made, first);
            for (uint32_t k = 0; k < 10; k++) {
                struct tern_value line[2] = {tern_int(3), tern_text("line")};
                tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
            }
            tern_chunk_finish(&made.chunk, true, false);
            chunks_send(stage, range, &made, 0);
        }
        tern_stage_sync(stage);
        fails_after = n % 4 == 1;
        calls_left = n;
        open_import(10);
        drain();
        CHECK_TEXT(ask("SELECT count(*) || ' ' || count(DISTINCT tern_id) FROM log"), "30 30");
        CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "30");
        CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
        done();
    }
    tern_sqlite_library = known;
}

static void a_folder_that_is_missing_is_tried_again(void)
{
    struct chunk_bytes made;
    folder_fresh();
    open_stage();
    struct tern_import_config config = {.report = report};
    snprintf(url, sizeof url, "sqlite:%s", folder_path("later/out.db"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    tern_stage_sync(stage);
    CHECK_EQ(tern_import_drain(import, 300), TERN_HOST_E_LIMIT);
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK(status.failing && status.error[0] != '\0');
    CHECK_TEXT(last_event, "sink-failed");
    mkdir(folder_path("later"), 0700);
    drain();
    tern_import_status(import, &status);
    CHECK(!status.failing);
    CHECK_EQ(status.rows, 3);
    done();
}

static void wrong_urls_and_a_missing_library_are_said_at_once(void)
{
    const char *const wrong[] = {"sqlite:", "sqlite::memory:", "oracle:x", "sqlite", ""};
    struct tern_import_config config = {.report = report};
    folder_fresh();
    open_stage();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_EQ(tern_import_open(&import, stage, wrong[i], &config), TERN_HOST_E_ARGUMENT);
    const struct tern_sqlite_api *known = tern_sqlite_library;
    tern_sqlite_library = NULL;
    setenv("TERN_SQLITE_LIBRARY", "/nonexistent/libsqlite3.so.0", 1);
    CHECK_EQ(tern_import_open(&import, stage, "sqlite:x.db", &config), TERN_HOST_E_LIBRARY);
    CHECK(strstr(last_fields, "libsqlite3-0") != NULL);
    unsetenv("TERN_SQLITE_LIBRARY");
    tern_sqlite_library = known;
    tern_stage_close(stage);
}

int main(void)
{
    char error[256];
    bool there = tern_sqlite_load(&api, error, sizeof error) == 0;
    if (there)
        tern_sqlite_library = &api;
#define RUN_OR_SKIP(test) (there ? (void)(RUN(test)) : (void)(SKIP(test, error)))
    RUN_OR_SKIP(rows_arrive_once_with_their_checkpoint);
    RUN_OR_SKIP(a_fresh_store_gives_newer_epochs_than_the_destination_has);
    RUN_OR_SKIP(a_lost_cursor_repeats_nothing);
    RUN_OR_SKIP(a_restart_goes_on_at_the_cursor);
    RUN_OR_SKIP(the_newest_record_of_a_key_wins_whatever_the_order);
    RUN_OR_SKIP(a_deleted_row_is_not_brought_back_by_an_older_one);
    RUN_OR_SKIP(promise_8_a_tombstone_goes_when_nothing_older_can_arrive);
    RUN_OR_SKIP(kills_at_random_moments_lose_and_repeat_nothing);
    RUN_OR_SKIP(a_database_set_back_is_noticed_and_filled_again);
    RUN_OR_SKIP(names_are_those_of_the_configuration_quoted);
    RUN_OR_SKIP(without_ddl_records_wait_for_their_table);
    RUN_OR_SKIP(without_ddl_everything_goes_in_once_its_statements_have_run);
    RUN_OR_SKIP(a_batch_over_several_chunks_appears_whole);
    RUN_OR_SKIP(a_batch_with_a_gap_is_left_out_whole);
    RUN_OR_SKIP(a_gap_ends_the_batch_that_it_cuts_off);
    RUN_OR_SKIP(a_batch_without_its_head_is_left_out);
    RUN_OR_SKIP(a_commit_behind_what_another_store_holds_ends_its_run);
    RUN_OR_SKIP(what_an_epoch_lacks_when_the_next_begins_is_a_gap);
    RUN_OR_SKIP(what_the_store_let_go_of_is_a_gap_in_every_epoch);
    RUN_OR_SKIP(gaps_are_rows_and_shrink_when_their_records_come);
    RUN_OR_SKIP(values_stay_what_they_are);
    RUN_OR_SKIP(packed_chunks_that_grow_arrive_as_plain_ones_do);
    RUN_OR_SKIP(columns_with_rules_stay_exact_beyond_what_a_double_holds);
    RUN_OR_SKIP(keys_that_are_texts_are_told_apart_to_the_last_byte);
    RUN_OR_SKIP(a_new_column_is_added_and_append_keeps_every_row);
    RUN_OR_SKIP(a_table_with_another_key_holds_only_its_own_records);
    RUN_OR_SKIP(a_snapshot_that_is_refused_replaces_nothing);
    RUN_OR_SKIP(a_refused_row_becomes_a_gap_and_the_rest_goes_in);
    RUN_OR_SKIP(an_index_of_the_users_refuses_just_the_rows_that_break_it);
    RUN_OR_SKIP(refused_records_are_brought_in_once_they_are_mended);
    RUN_OR_SKIP(of_combined_records_only_the_refused_one_is_left_out);
    RUN_OR_SKIP(records_that_are_refused_only_when_combined_go_in_one_by_one);
    RUN_OR_SKIP(a_sum_beyond_64_bits_refuses_the_record_that_leads_there);
    RUN_OR_SKIP(records_that_are_no_csv_become_a_gap_and_the_others_go_in);
    RUN_OR_SKIP(a_batch_of_which_the_journal_has_lost_an_entry_is_a_gap_that_the_device_fills);
    RUN_OR_SKIP(of_a_chunk_without_its_head_all_is_lost_as_far_as_it_is_committed);
    RUN_OR_SKIP(records_whose_schema_the_journal_has_lost_are_a_gap_until_it_comes_again);
    RUN_OR_SKIP(a_locked_database_is_waited_for);
    RUN_OR_SKIP(a_table_that_the_database_refuses_holds_only_its_own_records);
    RUN_OR_SKIP(a_library_call_that_fails_at_any_place_changes_nothing);
    RUN_OR_SKIP(a_folder_that_is_missing_is_tried_again);
    RUN(wrong_urls_and_a_missing_library_are_said_at_once);
    folder_remove();
    return test_report();
}
