/* SPDX-License-Identifier: MIT */
/* The importer with SQLite: names and tables that others have made, values as they are in the database,
 * columns that are added. */
#include "import_bench.h"

#include "packed.h"

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

/* A database that is empty is waited for; a table that is missing, or one for deleted keys, holds its own
 * records. */
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

static void send_pair(struct tern_stage_range *range, uint32_t first)
{
    struct chunk_bytes made;
    struct tern_value line[2] = {tern_int(3), tern_text("line")};
    chunks_open(&made, first);
    chunks_put(&made, &chunks_table, first, "n");
    tern_chunk_put(&made.chunk, &log_table, TERN_OP_PUT, line);
    tern_chunk_finish(&made.chunk, true, false);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
}

#define ODD      "CREATE TABLE climate(at INTEGER PRIMARY KEY, celsius REAL)"
#define NOTHING  "CREATE TRIGGER no BEFORE UPDATE ON tern_checkpoint BEGIN SELECT RAISE(ABORT,'not now'); END"
#define ANYTHING "DROP TRIGGER no"

/* The destination fails for another reason, several times, and takes records again. */
static void fail_and_recover(struct tern_stage_range *range, uint32_t first)
{
    unsigned failed = told_failed;
    execute(NOTHING);
    send_pair(range, first);
    for (int i = 0; i < 200 && told_failed == failed; i++)
        (void)tern_import_drain(import, 50);
    CHECK_EQ(tern_import_drain(import, 250), TERN_HOST_E_LIMIT);
    CHECK_EQ(told_failed, failed + 1);
    execute(ANYTHING);
    drain();
}

/* However often the connection is made anew; and again when it was mended in between, or has another
 * reason. */
static void that_a_table_is_held_is_told_once(void)
{
    fresh();
    execute(ODD);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_schema(stage, range->device, &log_table);
    told_held = told_failed = 0;
    send_pair(range, 1);
    drain();
    CHECK_EQ(told_held, 1);
    fail_and_recover(range, 3);
    CHECK_EQ(told_held, 1);
    execute("DROP TABLE climate; CREATE TABLE climate(device TEXT, at INTEGER, celsius REAL AS (at), tern_id "
            "INTEGER, PRIMARY KEY(device, at))");
    fail_and_recover(range, 5);
    CHECK_EQ(told_held, 2);
    execute("DROP TABLE climate");
    for (int i = 0; i < 500 && strcmp(ask("SELECT count(*) FROM climate"), "3") != 0; i++)
        usleep(20000);
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "3");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    execute("DROP TABLE climate; " ODD);
    fail_and_recover(range, 7);
    CHECK_EQ(told_held, 3);
    CHECK_TEXT(ask("SELECT count(*) FROM log"), "4");
    done();
}

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

/* What the database has and what comes are joined by tern where a double could not: each turn reads the row
 * back. */
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

/* The chunk's model learns across segments: each is decoded from the chunk's head, also where an importer
 * begins in the middle. */
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

int main(void)
{
    const char *missing = import_begin();
    RUN_OR_SKIP(missing, names_are_those_of_the_configuration_quoted);
    RUN_OR_SKIP(missing, without_ddl_records_wait_for_their_table);
    RUN_OR_SKIP(missing, without_ddl_everything_goes_in_once_its_statements_have_run);
    RUN_OR_SKIP(missing, values_stay_what_they_are);
    RUN_OR_SKIP(missing, packed_chunks_that_grow_arrive_as_plain_ones_do);
    RUN_OR_SKIP(missing, columns_with_rules_stay_exact_beyond_what_a_double_holds);
    RUN_OR_SKIP(missing, keys_that_are_texts_are_told_apart_to_the_last_byte);
    RUN_OR_SKIP(missing, a_new_column_is_added_and_append_keeps_every_row);
    RUN_OR_SKIP(missing, a_table_with_another_key_holds_only_its_own_records);
    RUN_OR_SKIP(missing, a_table_that_the_database_refuses_holds_only_its_own_records);
    RUN_OR_SKIP(missing, that_a_table_is_held_is_told_once);
    folder_remove();
    return test_report();
}
