/* SPDX-License-Identifier: MIT */
/* What stands in a database is not trusted: tern's own tables changed by hand, tables that are not tern's,
 * schemas that contradict what was declared before. Each is refused with a reason, what is there stays, and
 * everything goes in once it is mended. */
#include "../test.h"

#include "../../host/import.h"
#include "../fail/fail_each.h"

#define WAIT 20000 /* milliseconds: a bound for a slow machine, not an expectation */

static char events[8192];

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    size_t used = strlen(events);
    (void)context;
    if (level >= TERN_WARN && used + strlen(event) + strlen(fields) + 3 < sizeof events)
        snprintf(events + used, sizeof events - used, "%s %s\n", event, fields);
}

static const struct tern_report report = {remember, NULL};
#include "../fail/fail_rig.h"

static struct tern_import *import;

static void open_import(void)
{
    char url[200];
    struct tern_import_config config = {.report = report};
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    events[0] = '\0';
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
}

static void bring_in(void)
{
    struct tern_import_status status;
    open_import();
    if (!CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK)) {
        tern_import_status(import, &status);
        printf("    %s\n%s", status.error, events);
    }
    tern_import_close(import);
}

/* The importer does not get on, and says why. */
static void expect_stuck(const char *why)
{
    struct tern_import_status status;
    open_import();
    for (int tries = 0; tries < 100; tries++) { /* a busy machine may not get there at once */
        CHECK(tern_import_drain(import, 100) != TERN_HOST_OK);
        tern_import_status(import, &status);
        if (status.error[0] != '\0')
            break;
    }
    if (!CHECK(strstr(status.error, why) != NULL))
        printf("    %s\n", status.error);
    tern_import_close(import);
}

static char before[4000];

/* A store of which the database has everything, and what that is. */
static void begin(void)
{
    folder_fresh();
    fill_store(true);
    bring_in();
    snprintf(before, sizeof before, "%s", read_database(true));
}

static void expect_as_before(void)
{
    if (!CHECK(strcmp(read_database(true), before) == 0))
        printf("    %s    not\n%s", sums, before);
}

static const char *rows_of(const char *sql)
{
    struct sqlite3 *database = NULL;
    sums[0] = '\0';
    CHECK_EQ(api->open_v2(folder_path("out.db"), &database, 2, NULL), 0);
    note_rows(database, sql);
    api->close_v2(database);
    return sums;
}

/* One more record of dev1, behind those of the store. */
static void send_one(const struct tern_table *table, uint32_t sequence, struct tern_value a,
                     struct tern_value b, struct tern_value c)
{
    static struct chunk_bytes made;
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range = NULL;
    hello.ranges[0] =
        (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = sequence, .next = sequence + 1};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK_EQ(chunks_schema(stage, device, table), TERN_HOST_OK);
    chunks_open(&made, sequence);
    put(&made, table, TERN_OP_PUT, a, b, c, tern_null());
    finish(&made, range, true, false);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
}

/* ---- tern's own tables ----------------------------------------------------------------------- */

static void checkpoints_and_gaps_that_cannot_be_are_refused(void)
{
    static const struct {
        const char *change, *back;
    } cases[] = {
        {"UPDATE tern_checkpoint SET applied=-1", "UPDATE tern_checkpoint SET applied=26"},
        {"UPDATE tern_checkpoint SET applied=4294967296", "UPDATE tern_checkpoint SET applied=26"},
        {"UPDATE tern_gap SET first=0 WHERE first=14", "UPDATE tern_gap SET first=14 WHERE first=0"},
        {"UPDATE tern_gap SET last=13 WHERE first=14", "UPDATE tern_gap SET last=16 WHERE first=14"},
        {"UPDATE tern_gap SET last=4294967296 WHERE first=14", "UPDATE tern_gap SET last=16 WHERE first=14"},
    };
    begin();
    send_one(&chunks_table, 27, tern_int(500), tern_int(1), tern_text("new"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        execute(cases[i].change);
        expect_stuck("holds a sequence that cannot be: was it changed by hand?");
        CHECK(strcmp(rows_of("SELECT count(*) FROM climate WHERE at=500"), "0|\n") == 0);
        execute(cases[i].back);
        if (i == 0)
            expect_as_before();
    }
    bring_in();
    CHECK(strcmp(rows_of("SELECT note FROM climate WHERE at=500"), "new|\n") == 0);
    tern_stage_close(stage);
}

/* A table that somebody made again without types: text is no number. */
static void a_checkpoint_that_is_no_number_is_refused(void)
{
    begin();
    execute("ALTER TABLE tern_checkpoint RENAME TO kept; CREATE TABLE tern_checkpoint(device, lane, epoch, "
            "applied, "
            "PRIMARY KEY(device, lane, epoch)); INSERT INTO tern_checkpoint SELECT device, lane, epoch, "
            "'all' FROM kept");
    send_one(&chunks_table, 27, tern_int(500), tern_int(1), tern_text("new"));
    expect_stuck("holds a sequence that cannot be");
    execute("DROP TABLE tern_checkpoint; ALTER TABLE kept RENAME TO tern_checkpoint");
    expect_as_before();
    tern_stage_close(stage);
}

static void a_gap_of_an_unknown_reason_or_device_is_one(void)
{
    begin();
    execute("UPDATE tern_gap SET reason='aliens' WHERE first=14; INSERT INTO tern_gap(device, lane, epoch, "
            "first, last, "
            "reason, at) VALUES('a_name_that_is_longer_than_any_device_may_have', 0, 8, 1, 2, 'held', 0), "
            "('dev1', 0, 16, 3, 2, 'held', 0), ('dev1', 0, 16, 0, 2, 'held', 0), ('dev1', 0, 16, 1, "
            "4294967296, 'held', 0)");
    send_one(&chunks_table, 27, tern_int(500), tern_int(1), tern_text("new"));
    bring_in();
    CHECK(strcmp(rows_of("SELECT count(*) FROM climate WHERE at=500"), "1|\n") == 0);
    CHECK(strcmp(rows_of("SELECT reason FROM tern_gap WHERE first=14"), "aliens|\n") == 0);
    tern_stage_close(stage);
}

/* ---- Tables that are not tern's -------------------------------------------------------------- */

static void a_table_with_any_other_key_is_refused(void)
{
    static const char *const tables[] = {
        "CREATE TABLE climate(at INTEGER, tern_id INTEGER, celsius, note, PRIMARY KEY(at))", /* no device */
        "CREATE TABLE climate(device TEXT, at INTEGER PRIMARY KEY, tern_id INTEGER)", /* not in the key */
        "CREATE TABLE climate(device TEXT, at INTEGER, celsius, PRIMARY KEY(device, at))", /* no tern_id */
        "CREATE TABLE climate(device TEXT, at INTEGER, tern_id INTEGER, PRIMARY KEY(device, tern_id))",
        "CREATE TABLE climate(device, at INTEGER, tern_id, celsius, PRIMARY KEY(device, at, celsius))",
        "CREATE TABLE climate(device TEXT, at INTEGER, tern_id INTEGER, mine, PRIMARY KEY(device, at, mine))",
        "CREATE TABLE climate(device TEXT, tern_id INTEGER, celsius, PRIMARY KEY(device))"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        folder_fresh();
        execute(tables[i]);
        fill_store(false);
        bring_in();
        if (!CHECK(strstr(events, "table climate exists with another primary key than tern's (device and the "
                                  "key columns)") != NULL))
            printf("    %s\n    %s\n", tables[i], events);
        CHECK(strcmp(rows_of("SELECT count(*) FROM climate"), "0|\n") == 0);
        CHECK(strcmp(rows_of("SELECT group_concat(line) FROM log"), "NULL|\n") ==
              0); /* its batch waits with it */
        execute("DROP TABLE climate");
        bring_in();
        CHECK(strcmp(rows_of("SELECT count(*) FROM climate"), "4|\n") == 0);
        CHECK(strcmp(rows_of("SELECT line FROM log"), "a line|\n") == 0);
        CHECK(strcmp(rows_of("SELECT count(*) FROM tern_gap"), "0|\n") == 0);
        tern_stage_close(stage);
    }
    folder_fresh();
    execute("CREATE TABLE log(device TEXT, tern_id INTEGER, line, PRIMARY KEY(device))");
    fill_store(false);
    bring_in();
    CHECK(strstr(events, "table log exists with another primary key than tern's (device and tern_id)") !=
          NULL);
    tern_stage_close(stage);
}

/* ---- Schemas that contradict ----------------------------------------------------------------- */

/* `table` comes as record 27 of a device whose tables are there: its record waits, for that reason. */
static void expect_refused(const struct tern_table *table, const char *why)
{
    begin();
    send_one(table, 27, tern_int(1), tern_int(1), tern_int(1));
    bring_in();
    if (!CHECK(strstr(events, why) != NULL))
        printf("    not \"%s\" but %s\n", why, events);
    CHECK(strcmp(rows_of("SELECT reason FROM tern_gap WHERE first=27"), "table|\n") == 0);
    tern_stage_close(stage);
}

static void a_schema_that_contradicts_an_earlier_one_is_refused(void)
{
    static const struct tern_column text_columns[] = {{"at", TERN_TIME_S, TERN_KEY},
                                                      {"celsius", TERN_BOOL, TERN_NULLABLE}};
    static const struct tern_column other_rule[] = {{"id", TERN_U16, TERN_KEY},
                                                    {"total", TERN_U32, TERN_MAX}};
    static const struct tern_column no_rule[] = {{"id", TERN_U16, TERN_KEY},
                                                 {"lowest", TERN_I32, TERN_NULLABLE}};
    static const struct tern_column ruled[] = {{"at", TERN_TIME_S, TERN_KEY},
                                               {"celsius", TERN_DECIMAL(2), TERN_MIN}};
    static const struct tern_table cases[] = {
        TERN_TABLE("climate", TERN_MERGE, text_columns), TERN_TABLE("counters", TERN_MERGE, other_rule),
        TERN_TABLE("counters", TERN_MERGE, no_rule), TERN_TABLE("climate", TERN_MERGE, ruled)};
    expect_refused(&cases[0], "column celsius of table climate was declared with another type before");
    expect_refused(&cases[1], "column total of table counters had another merge rule");
    expect_refused(&cases[2], "column lowest of table counters had another merge rule");
    expect_refused(&cases[3], "column celsius of table climate had another merge rule");
}

/* What is combined must not be rounded; what only widens may. */
static void digits_under_a_rule_stay_what_they_were(void)
{
    static const struct tern_column one[] = {
        {"id", TERN_U16, TERN_KEY}, {"sum", TERN_DECIMAL(2), TERN_ADD}, {"n", TERN_U8, TERN_MAX}};
    static const struct tern_column two[] = {
        {"id", TERN_U16, TERN_KEY}, {"sum", TERN_DECIMAL(3), TERN_ADD}, {"n", TERN_U8, TERN_MAX}};
    static const struct tern_column three[] = {
        {"id", TERN_U16, TERN_KEY}, {"sum", TERN_DECIMAL(2), TERN_ADD}, {"n", TERN_U32, TERN_MAX}};
    static const struct tern_table tables[] = {TERN_TABLE("sums", TERN_MERGE, one),
                                               TERN_TABLE("sums", TERN_MERGE, two),
                                               TERN_TABLE("sums", TERN_MERGE, three)};
    begin();
    send_one(&tables[0], 27, tern_int(1), tern_int(250), tern_int(200));
    send_one(&tables[1], 28, tern_int(1), tern_int(250), tern_int(200));
    send_one(&tables[2], 29, tern_int(1), tern_int(-50), tern_int(70000));
    bring_in();
    CHECK(strstr(events, "column sum of table sums had another merge rule, or other digits under it") !=
          NULL);
    CHECK(strcmp(rows_of("SELECT CAST(round(sum*100) AS INTEGER), n FROM sums"), "200|70000|\n") == 0);
    CHECK(strcmp(rows_of("SELECT last FROM tern_gap WHERE first=28"), "28|\n") == 0);
    tern_stage_close(stage);
}

static void rules_stand_only_where_they_can_be_kept(void)
{
    static const struct tern_column appended[] = {{"n", TERN_U8, TERN_MAX}};
    static const struct tern_column added[] = {{"id", TERN_U16, TERN_KEY}, {"on", TERN_BOOL, TERN_ADD}};
    static const struct tern_table cases[] = {TERN_TABLE("marks", TERN_APPEND, appended),
                                              TERN_TABLE("switches", TERN_MERGE, added)};
    expect_refused(&cases[0], "column n of table marks has a merge rule, which only a MERGE table can have");
    expect_refused(&cases[1],
                   "column on of table switches has the merge rule add, which only numbers can have");
}

/* What others wrote about columns into tern's list is no reason to fail. */
static void declared_columns_that_nobody_has_do_no_harm(void)
{
    begin();
    execute("INSERT INTO tern_column SELECT 'climate', 'gone', type FROM tern_column LIMIT 1; INSERT INTO "
            "tern_column SELECT "
            "'climate', 'a_name_that_is_longer_than_any_column_of_any_table_may_ever_be_called', type FROM "
            "tern_column LIMIT 1");
    send_one(&chunks_table, 27, tern_int(500), tern_int(1), tern_text("new"));
    bring_in();
    CHECK(strcmp(rows_of("SELECT note FROM climate WHERE at=500"), "new|\n") == 0);
    tern_stage_close(stage);
}

int main(void)
{
    fail_folder(folder);
    api = fail_sqlite();
#define RUN_OR_SKIP(test)                                                                                    \
    (api != NULL ? (void)(RUN(test)) : (void)(SKIP(test, "SQLite's library is missing")))
    RUN_OR_SKIP(checkpoints_and_gaps_that_cannot_be_are_refused);
    RUN_OR_SKIP(a_checkpoint_that_is_no_number_is_refused);
    RUN_OR_SKIP(a_gap_of_an_unknown_reason_or_device_is_one);
    RUN_OR_SKIP(a_table_with_any_other_key_is_refused);
    RUN_OR_SKIP(a_schema_that_contradicts_an_earlier_one_is_refused);
    RUN_OR_SKIP(digits_under_a_rule_stay_what_they_were);
    RUN_OR_SKIP(rules_stand_only_where_they_can_be_kept);
    RUN_OR_SKIP(declared_columns_that_nobody_has_do_no_harm);
    folder_remove();
    return test_report();
}
