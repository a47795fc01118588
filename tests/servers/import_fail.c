/* SPDX-License-Identifier: MIT */
/* The importer into a server while its connection breaks at any call, the client library refuses one, or
 * memory is out: in the end the database holds what it holds when nothing fails, once. import_fail URL;
 * FAIL_STRIDE=1 takes every call. */
#include "../test.h"

#include "../fail/fail_each.h"
#include "../fail/fail_server.h"
#include "../../host/import.h"
#include "database.h"

#define WAIT 30000

static const struct tern_report report;
#include "../fail/fail_rig.h"

static const char *url;
static struct database database;
static struct tern_import *import;
static bool patient;

static int open_import(void)
{
    struct tern_import_config config = {.rows = 4};
    return tern_import_open(&import, stage, url, &config);
}

static void close_all(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
    import = NULL;
    stage = NULL;
}

static void import_all(void)
{
    if (import == NULL)
        CHECK_EQ(open_import(), TERN_HOST_OK);
    if (!CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK)) {
        struct tern_import_status status;
        tern_import_status(import, &status);
        printf("    %s\n", status.error);
    }
    close_all();
}

/* ---- The database ---------------------------------------------------------------------------- */

static struct lines expected;

static void read_all(struct lines *lines)
{
    static const char *const queries[] = {
        "SELECT * FROM climate ORDER BY tern_id",
        "SELECT * FROM log ORDER BY tern_id",
        "SELECT * FROM counters ORDER BY tern_id",
        "SELECT * FROM shown ORDER BY tern_id",
        "SELECT device, lane, epoch, applied FROM tern_checkpoint",
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        CHECK(database_ask(&database, queries[i], lines));
    CHECK(database_ask(&database,
                       strncmp(url, "mysql", 5) == 0
                           ? "SELECT `first`, `last`, reason FROM tern_gap ORDER BY `first`"
                           : "SELECT \"first\", \"last\", reason FROM tern_gap ORDER BY \"first\"",
                       lines));
}

static void prepare_empty(void)
{
    folder_fresh();
    CHECK(database_empty(&database));
    fill_store(true);
}

/* Tables are there, and a constraint that refuses some rows. */
static void prepare_filled(void)
{
    static const char *const tables[] = {
        "climate",  "tern_deleted_climate", "log",           "counters",   "shown",
        "tern_gap", "tern_batch",           "tern_snapshot", "tern_cursor"};
    folder_fresh();
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "DELETE FROM %s", tables[i]);
        CHECK(database_execute(&database, sql));
    }
    CHECK(database_execute(&database, "DELETE FROM tern_checkpoint"));
    fill_store(true);
}

static void act(void)
{
    if (open_import() == TERN_HOST_OK)
        tern_import_drain(import, patient ? WAIT : 50);
}

static void inspect(void)
{
    struct lines found = {0};
    import_all();
    read_all(&found);
    bool same = found.count == expected.count;
    for (size_t i = 0; same && i < found.count; i++)
        same = strcmp(found.list[i], expected.list[i]) == 0;
    if (!CHECK(same))
        for (size_t i = 0; i < found.count || i < expected.count; i++)
            printf("    %-60s %s\n", i < found.count ? found.list[i] : "",
                   i < expected.count ? expected.list[i] : "");
    lines_free(&found);
}

static void expect_from(void (*prepare)(void))
{
    lines_free(&expected);
    prepare();
    import_all();
    read_all(&expected);
}

static void each(const char *name, unsigned groups, enum fail_how how, void (*prepare)(void))
{
    patient = how != FAIL_ON;
    fail_each(&(struct fail_scenario){name, groups, how, true, prepare, act, inspect});
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void an_empty_database_gets_everything_once_whatever_call_fails(void)
{
    expect_from(prepare_empty);
    each("connection", FAIL_SERVER, FAIL_ONCE, prepare_empty);
}

static void a_database_in_use_gets_everything_once_whatever_call_fails(void)
{
    expect_from(prepare_empty);
    CHECK(database_execute(&database, "DELETE FROM climate WHERE note = 'poison'"));
    CHECK(database_execute(&database, "ALTER TABLE climate ADD CONSTRAINT nope CHECK (note <> 'poison')"));
    expect_from(prepare_filled);
    bool rejects = false;
    for (size_t i = 0; i < expected.count; i++)
        rejects = rejects || strcmp(expected.list[i], "22|23|rejected") == 0;
    CHECK(rejects);
    each("connection", FAIL_SERVER, FAIL_ONCE, prepare_filled);
    each("connection, after the call", FAIL_SERVER, FAIL_UNHEARD, prepare_filled);
    each("connection from then on", FAIL_SERVER, FAIL_ON, prepare_filled);
}

static void a_library_that_refuses_a_call_loses_and_repeats_nothing(void)
{
    fail_server_refuses(true);
    each("library", FAIL_SERVER, FAIL_ONCE, prepare_filled);
    fail_server_refuses(false);
}

static void memory_that_is_refused_loses_and_repeats_nothing(void)
{
    each("memory", FAIL_MEMORY, FAIL_ONCE, prepare_filled);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    url = argv[1];
    fail_folder(folder);
    if (!fail_server(url) || !database_open(&database, url)) {
        printf("FAIL no connection\n0 passed, 1 failed\n");
        return 1;
    }
    RUN(an_empty_database_gets_everything_once_whatever_call_fails);
    RUN(a_database_in_use_gets_everything_once_whatever_call_fails);
    RUN(a_library_that_refuses_a_call_loses_and_repeats_nothing);
    RUN(memory_that_is_refused_loses_and_repeats_nothing);
    lines_free(&expected);
    database_close(&database);
    folder_remove();
    return test_report();
}
