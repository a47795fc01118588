/* SPDX-License-Identifier: MIT */
/* The importer with SQLite: exactly once in effect, after a kill, a lost cursor, a database set back, a call
 * that fails. Skips where SQLite's library is missing. */
#include "import_bench.h"

#include <signal.h>
#include <sys/wait.h>

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

/* Puts of one commit, from sequence `first` on: every `step`th key of those from `low` to `high`. */
static void put_keys(struct tern_stage_range *range, uint32_t first, int low, int high, int step,
                     const char *note)
{
    struct chunk_bytes made;
    chunks_open(&made, first);
    for (int at = low; at <= high; at += step)
        CHECK_EQ(chunks_put(&made, &chunks_table, at, note), TERN_OK);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
}

static const char *count_notes(void)
{
    return ask("SELECT group_concat(note || count, ' ') FROM (SELECT note, count(*) AS count FROM climate "
               "GROUP BY note ORDER BY note)");
}

/* So many that they are updated by a walk through the table. */
static void many_rows_of_a_device_update_what_is_there(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    put_keys(range, 1, 1, 40, 1, "a");
    put_keys(range, 41, 2, 60, 2, "b");
    CHECK_TEXT(count_notes(), "a20 b30");
    put_keys(range, 71, 1, 60, 1, "c");
    CHECK_TEXT(count_notes(), "c60");
    put_keys(range, 131, 1, 600, 20, "d"); /* few of them are there, and far apart */
    put_keys(range, 161, 40, 60, 1, "e");
    CHECK_TEXT(count_notes(), "c37 d29 e21");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] =
        (struct tern_hello_range){.epoch = 8, .newest = range->epoch, .base = 1, .oldest = 1, .next = 2};
    struct tern_stage_range *old;
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &old), TERN_HOST_OK);
    put_keys(old, 1, 31, 80, 1, "old");
    CHECK_TEXT(count_notes(), "c37 d29 e21 old19");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

static void what_users_add_to_a_table_stays_when_many_rows_are_updated(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    put_keys(range, 1, 1, 40, 1, "a");
    execute("ALTER TABLE climate ADD COLUMN mine TEXT DEFAULT 'default'; UPDATE climate SET mine='kept'; "
            "CREATE UNIQUE INDEX one ON climate(note) WHERE note='b' AND at%2=1");
    put_keys(range, 41, 1, 40, 3, "b"); /* too few: they are merged */
    put_keys(range, 55, 2, 40, 2, "b");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE mine='kept'"), "40");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE note='b'"), "21");
    put_keys(range, 75, 1, 40, 1, "b");
    CHECK_TEXT(ask("SELECT count(*) || ' ' || count(DISTINCT mine) FROM climate WHERE note='b'"), "21 1");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE tern_id & 0xFFFFFFFF>=75"), "21");
    execute("DROP INDEX one; CREATE TABLE told(at); CREATE TRIGGER tell AFTER UPDATE ON climate BEGIN "
            "INSERT INTO told VALUES(new.at); END");
    put_keys(range, 115, 1, 40, 1, "c");
    CHECK_TEXT(count_notes(), "c40");
    CHECK_TEXT(ask("SELECT count(*) || ' ' || count(DISTINCT at) FROM told"), "40 40");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE mine='kept'"), "40");
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
    const char *missing = import_begin();
    RUN_OR_SKIP(missing, rows_arrive_once_with_their_checkpoint);
    RUN_OR_SKIP(missing, a_fresh_store_gives_newer_epochs_than_the_destination_has);
    RUN_OR_SKIP(missing, a_lost_cursor_repeats_nothing);
    RUN_OR_SKIP(missing, a_restart_goes_on_at_the_cursor);
    RUN_OR_SKIP(missing, the_newest_record_of_a_key_wins_whatever_the_order);
    RUN_OR_SKIP(missing, many_rows_of_a_device_update_what_is_there);
    RUN_OR_SKIP(missing, what_users_add_to_a_table_stays_when_many_rows_are_updated);
    RUN_OR_SKIP(missing, a_deleted_row_is_not_brought_back_by_an_older_one);
    RUN_OR_SKIP(missing, promise_8_a_tombstone_goes_when_nothing_older_can_arrive);
    RUN_OR_SKIP(missing, kills_at_random_moments_lose_and_repeat_nothing);
    RUN_OR_SKIP(missing, a_database_set_back_is_noticed_and_filled_again);
    RUN_OR_SKIP(missing, a_locked_database_is_waited_for);
    RUN_OR_SKIP(missing, a_library_call_that_fails_at_any_place_changes_nothing);
    RUN_OR_SKIP(missing, a_folder_that_is_missing_is_tried_again);
    RUN(wrong_urls_and_a_missing_library_are_said_at_once);
    folder_remove();
    return test_report();
}
