/* SPDX-License-Identifier: MIT */
/* The importer with a real PostgreSQL server: values, refused rows, growing schemas, deadlocks, a server that is away.
 * postgres_import URL [STOP-COMMAND START-COMMAND]. */
#include "../test.h"

#include <pthread.h>
#include <time.h>

#include "../../host/import.h"
#include "../unit/chunks.h"
#include "database.h"

#define WAIT 30000 /* milliseconds: a bound for a slow machine, not an expectation */

static const char *url;
static struct tern_stage *stage;
static struct tern_import *import;
static struct tern_stage_range *range;
static struct database database;
static char events[65536];

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    size_t used = strlen(events);
    if (level >= TERN_WARN && used + strlen(event) + strlen(fields) + 3 < sizeof events)
        snprintf(events + used, sizeof events - used, "%s %s\n", event, fields);
}

static const struct tern_report report = {remember, NULL};

static void open_import(void)
{
    struct tern_import_config config = {.report = report};
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
}

static void give_schema(const struct tern_table *table)
{
    CHECK_EQ(chunks_schema(stage, range->device, table), TERN_HOST_OK);
}

/* An empty store and an empty database. */
static void fresh(const struct tern_table *table)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    folder_fresh();
    events[0] = '\0';
    CHECK(database_empty(&database));
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    range = chunks_device(stage, "dev1");
    give_schema(table);
    open_import();
}

static void done(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
}

static void drain(void)
{
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    if (!CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK)) {
        struct tern_import_status status;
        tern_import_status(import, &status);
        printf("    %s\n%s", status.error, events);
    }
}

static const char *ask(const char *sql)
{
    return database_text(&database, sql);
}

#define CHECK_TEXT(a, b) check_text((a), (b), __LINE__)

static void check_text(const char *a, const char *b, int line)
{
    if (!test_check(strcmp(a, b) == 0, "texts differ", __FILE__, line))
        printf("    \"%s\", \"%s\"\n", a, b);
}

/* ---- Sending -------------------------------------------------------------------------------------------------------------------- */

static struct chunk_bytes made;
static uint32_t next;
static bool is_open;

static void flush(void)
{
    if (!is_open)
        return;
    tern_chunk_finish(&made.chunk, true, false);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    is_open = false;
}

static void send_op(const struct tern_table *table, uint8_t op, const struct tern_value *row)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!is_open)
            chunks_open(&made, next);
        is_open = true;
        if (tern_chunk_put(&made.chunk, table, op, row) == TERN_OK) {
            next++;
            return;
        }
        flush();
    }
    CHECK(false);
}

static void send(const struct tern_table *table, const struct tern_value *row)
{
    send_op(table, TERN_OP_PUT, row);
}

static void begin(const struct tern_table *table)
{
    fresh(table);
    next = 1;
    is_open = false;
}

/* ---- Values --------------------------------------------------------------------------------------------------------------------- */

static const struct tern_column all_columns[] = {{"n", TERN_I32, TERN_KEY},
                                                 {"note", TERN_TEXT(200), TERN_NULLABLE},
                                                 {"raw", TERN_BYTES(200), TERN_NULLABLE},
                                                 {"i", TERN_I64, TERN_NULLABLE},
                                                 {"u", TERN_U64, TERN_NULLABLE},
                                                 {"d", TERN_DECIMAL(18), TERN_NULLABLE},
                                                 {"f", TERN_FLOAT(3), TERN_NULLABLE},
                                                 {"b", TERN_BOOL, TERN_NULLABLE},
                                                 {"s", TERN_TIME_S, TERN_NULLABLE},
                                                 {"ms", TERN_TIME_MS, TERN_NULLABLE},
                                                 {"d2", TERN_DECIMAL(2), TERN_NULLABLE}};
static const struct tern_table all = TERN_TABLE("awkward", TERN_MERGE, all_columns);

struct piece {
    const char *bytes;
    size_t size;
};
#define PIECE(text)                                                                                          \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }

/* As text and as bytes. */
static const struct piece pieces[] = {PIECE(""),
                                      PIECE(" "),
                                      PIECE("NULL"),
                                      PIECE("null"),
                                      PIECE("\\N"),
                                      PIECE("\\."),
                                      PIECE("\\"),
                                      PIECE("\\\\"),
                                      PIECE("\\n"),
                                      PIECE("\n"),
                                      PIECE("\r"),
                                      PIECE("\r\n"),
                                      PIECE("\t"),
                                      PIECE("a\tb\nc\rd\\e"),
                                      PIECE("'"),
                                      PIECE("''"),
                                      PIECE("\""),
                                      PIECE("\"\""),
                                      PIECE(","),
                                      PIECE(";--"),
                                      PIECE("$1"),
                                      PIECE("?1"),
                                      PIECE("%s"),
                                      PIECE("{1,2}"),
                                      PIECE("\\x41"),
                                      PIECE("\\000"),
                                      PIECE("\x01"),
                                      PIECE("\x7f"),
                                      PIECE("\b\f\v"),
                                      PIECE("caf\xc3\xa9"),
                                      PIECE("e\xcc\x81"),
                                      PIECE("\xe2\x82\xac"),
                                      PIECE("\xf0\x9f\x8c\x8a"),
                                      PIECE("\xef\xbb\xbf"
                                            "bom"),
                                      PIECE("\xef\xbf\xbf"),
                                      PIECE("trail "),
                                      PIECE(" lead"),
                                      PIECE("0x10"),
                                      PIECE("1e5"),
                                      PIECE("\n\\.\n"),
                                      PIECE("\\N\n\\N"),
                                      PIECE("Robert'); DROP TABLE awkward;--")};
#define PIECES (sizeof pieces / sizeof pieces[0])

/* As bytes only: text cannot be these. */
static const struct piece raw_pieces[] = {PIECE("\0"), PIECE("a\0b"), PIECE("\xff\xfe"), PIECE("\xc3"),
                                          PIECE("\\\0\\")};
#define RAW_PIECES (sizeof raw_pieces / sizeof raw_pieces[0])

static void put_piece(int64_t n, const struct piece *piece, bool is_text)
{
    struct tern_value row[11];
    for (unsigned i = 0; i < 11; i++)
        row[i] = tern_null();
    row[0] = tern_int(n);
    if (is_text)
        row[1] = tern_bytes(piece->bytes, piece->size);
    row[2] = tern_bytes(piece->bytes, piece->size);
    send(&all, row);
}

static void expect_hex(struct lines *lines, int64_t n, const struct piece *piece, bool is_text)
{
    char line[600], hex[300] = "";
    for (size_t i = 0; i < piece->size; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)piece->bytes[i]);
    snprintf(line, sizeof line, "%lld|%s|%s", (long long)n, is_text ? hex : "NULL", hex);
    lines_add(lines, line);
}

static void awkward_texts_and_bytes_come_back_as_they_were(void)
{
    struct lines expected = {0}, found = {0};
    begin(&all);
    for (size_t i = 0; i < PIECES; i++) {
        put_piece((int64_t)i, &pieces[i], true);
        expect_hex(&expected, (int64_t)i, &pieces[i], true);
    }
    for (size_t i = 0; i < RAW_PIECES; i++) {
        put_piece((int64_t)(100 + i), &raw_pieces[i], false);
        expect_hex(&expected, (int64_t)(100 + i), &raw_pieces[i], false);
    }
    flush();
    drain();
    CHECK(database_ask(
        &database, "SELECT n,encode(convert_to(note,'UTF8'),'hex'),encode(raw,'hex') FROM awkward", &found));
    CHECK(lines_equal("awkward", &expected, &found));
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK_TEXT(ask("SELECT data_type FROM information_schema.columns WHERE table_name='awkward' AND "
                   "column_name='raw'"),
               "bytea");
    lines_free(&expected);
    lines_free(&found);
    done();
}

static void put_numbers(int64_t n, int64_t number, int64_t time)
{
    struct tern_value row[11] = {tern_int(n),
                                 tern_null(),
                                 tern_null(),
                                 tern_int(number),
                                 tern_int(number),
                                 tern_int(number),
                                 tern_int(number % 1000000000000000),
                                 tern_int(n % 2),
                                 tern_int(time),
                                 tern_int(time),
                                 tern_int(number)};
    send(&all, row);
}

static void numbers_are_exact_at_their_ends(void)
{
    begin(&all);
    put_numbers(1, INT64_MIN, 0);
    put_numbers(2, INT64_MAX, -1);
    put_numbers(3, 0, 253402300800);
    put_numbers(4, -1, -62135596801);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT i::text,u::text,d::text,d2::text,b FROM awkward WHERE n=1"),
               "-9223372036854775808|9223372036854775808|-9.223372036854775808|-92233720368547758.08|1");
    CHECK_TEXT(ask("SELECT i::text,u::text,d::text,d2::text,b FROM awkward WHERE n=2"),
               "9223372036854775807|9223372036854775807|9.223372036854775807|92233720368547758.07|0");
    CHECK_TEXT(ask("SELECT i::text,u::text,d::text,d2::text FROM awkward WHERE n=4"),
               "-1|18446744073709551615|-0.000000000000000001|-0.01");
    CHECK_TEXT(ask("SELECT d2::text,f::text FROM awkward WHERE n=3"), "0.00|0");
    CHECK_TEXT(ask("SELECT s::text,ms::text FROM awkward WHERE n=1"),
               "1970-01-01 00:00:00+00|1970-01-01 00:00:00+00");
    CHECK_TEXT(
        ask("SELECT (s AT TIME ZONE 'UTC')::text,(ms AT TIME ZONE 'UTC')::text FROM awkward WHERE n=2"),
        "1969-12-31 23:59:59|1969-12-31 23:59:59.999");
    CHECK_TEXT(ask("SELECT extract(epoch FROM s)::bigint,(extract(epoch FROM ms)*1000)::bigint FROM awkward "
                   "WHERE n=3"),
               "253402300800|253402300800");
    CHECK_TEXT(ask("SELECT extract(epoch FROM s)::bigint FROM awkward WHERE n=4"), "-62135596801");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* ---- Refused rows --------------------------------------------------------------------------------------------------------------- */

static const struct tern_column text_columns[] = {{"k", TERN_TEXT(40), TERN_KEY},
                                                  {"v", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_table texts = TERN_TABLE("texts", TERN_MERGE, text_columns);

static void put_text(const char *k, const void *v, size_t size)
{
    struct tern_value row[2] = {tern_text(k), tern_bytes(v, size)};
    send(&texts, row);
}

/* 60 wrong ones among 6,000: invalid UTF-8, NUL bytes, and what a constraint refuses, which COPY names no line for. */
static void each_refused_row_becomes_a_gap_and_the_others_go_in(void)
{
    char key[16], expected[64];
    unsigned refused = 0;
    begin(&texts);
    for (unsigned i = 1; i <= 6000; i++) {
        snprintf(key, sizeof key, "k%05u", i);
        bool wrong = i % 100 == 37;
        refused += wrong;
        put_text(key, !wrong ? "right" : i % 200 == 37 ? "bad\xff!" : "nul\0!", 5);
        if (i == 3000)
            flush();
    }
    flush();
    drain();
    snprintf(expected, sizeof expected, "%u", 6000 - refused);
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), expected);
    snprintf(expected, sizeof expected, "%u|rejected|rejected|%u", refused, refused);
    CHECK_TEXT(ask("SELECT count(*),min(reason),max(reason),sum(last-first+1)::int FROM tern_gap"), expected);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap WHERE first%100<>37 OR first<>last"), "0");
    CHECK_TEXT(ask("SELECT min(v),max(v) FROM texts"), "right|right");
    CHECK(strstr(events, "22021") != NULL);
    done();
}

static void a_constraint_of_the_users_refuses_only_its_rows(void)
{
    begin(&texts);
    put_text("a", "one", 3);
    flush();
    drain();
    CHECK(database_execute(&database, "ALTER TABLE texts ADD CONSTRAINT short CHECK (length(v)<6);"
                                      "CREATE UNIQUE INDEX ON texts((lower(v))) WHERE v LIKE 'u%'"));
    put_text("a", "far too long", 12); /* an update that is refused */
    put_text("b", "two", 3);
    put_text("c", "longer", 6);
    put_text("d", "u1", 2);
    put_text("e", "U1", 2);
    put_text("f", "u1", 2); /* the other unique index */
    flush();
    drain();
    CHECK_TEXT(ask("SELECT string_agg(k||'='||v,' ' ORDER BY k) FROM texts"), "a=one b=two d=u1 e=U1");
    CHECK_TEXT(ask("SELECT string_agg(first||'-'||last||':'||reason,' ' ORDER BY first) FROM tern_gap"),
               "2-2:rejected 4-4:rejected 7-7:rejected");
    done();
}

static void a_time_that_the_database_cannot_hold_is_refused(void)
{
    begin(&all);
    put_numbers(1, 5, 1000);
    put_numbers(2, 5, INT64_MAX);
    put_numbers(3, 5, INT64_MIN);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*),min(n) FROM awkward"), "1|1");
    CHECK_TEXT(ask("SELECT count(*),min(first),max(last) FROM tern_gap"), "1|2|3");
    done();
}

/* ---- Schemas -------------------------------------------------------------------------------------------------------------------- */

static const struct tern_column narrow_columns[] = {
    {"k", TERN_I32, TERN_KEY}, {"v", TERN_U8, TERN_NULLABLE}, {"w", TERN_DECIMAL(1), TERN_NULLABLE}};
static const struct tern_column wide_columns[] = {{"k", TERN_I32, TERN_KEY},
                                                  {"v", TERN_U64, TERN_NULLABLE},
                                                  {"w", TERN_DECIMAL(6), TERN_NULLABLE},
                                                  {"x", TERN_TEXT(9), TERN_NULLABLE}};
static const struct tern_table narrow = TERN_TABLE("growing", TERN_MERGE, narrow_columns);
static const struct tern_table wide = TERN_TABLE("growing", TERN_MERGE, wide_columns);

static void put_narrow(int64_t k, int64_t v)
{
    struct tern_value row[3] = {tern_int(k), tern_int(v), tern_int(15)};
    send(&narrow, row);
}

static void put_wide(int64_t k, int64_t v)
{
    struct tern_value row[4] = {tern_int(k), tern_int(v), tern_int(1234567), tern_text("new")};
    send(&wide, row);
}

static void a_schema_may_grow_and_its_types_widen(void)
{
    begin(&narrow);
    give_schema(&wide);
    put_narrow(1, 255);
    put_narrow(2, 1);
    flush();
    drain();
    CHECK(database_execute(&database, "ALTER TABLE growing ADD COLUMN mine text DEFAULT 'user'"));
    put_wide(1, -1);
    put_wide(3, 1);
    put_narrow(4, 7);
    put_narrow(3, 9); /* the older version knows no x: it becomes NULL */
    put_wide(5, 70000);
    flush();
    drain();
    CHECK_TEXT(
        ask("SELECT string_agg(k||'='||v||','||w||','||coalesce(x,'NULL')||','||mine,' ' ORDER BY k) FROM "
            "growing"),
        "1=18446744073709551615,1.234567,new,user 2=1,1.5,NULL,user 3=9,1.5,NULL,user 4=7,1.5,NULL,user "
        "5=70000,1.234567,new,user");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

static void names_that_are_sqls_own_are_quoted(void)
{
    static const struct tern_column columns[] = {
        {"select", TERN_I32, TERN_KEY}, {"order", TERN_I32, 0}, {"user", TERN_TEXT(9), 0}};
    static const struct tern_table table = TERN_TABLE("table", TERN_MERGE, columns);
    struct tern_value row[3] = {tern_int(1), tern_int(2), tern_text("me")};
    begin(&table);
    send(&table, row);
    flush();
    drain();
    row[1] = tern_int(3);
    send(&table, row);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT \"select\",\"order\",\"user\" FROM \"table\""), "1|3|me");
    done();
}

static void keys_compare_byte_by_byte(void)
{
    static const char *const keys[] = {"abc",
                                       "ABC",
                                       "abc ",
                                       "\xc3\xa1"
                                       "bc",
                                       "a"
                                       "\xcc\x81"
                                       "bc",
                                       "",
                                       "ab"};
    begin(&texts);
    for (unsigned i = 0; i < 7; i++)
        put_text(keys[i], "v", 1);
    flush();
    drain();
    for (unsigned i = 0; i < 7; i++)
        put_text(keys[i], "w", 1);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*),count(DISTINCT k),min(v) FROM texts"), "7|7|w");
    CHECK_TEXT(ask("SELECT collation_name FROM information_schema.columns WHERE table_name='texts' AND "
                   "column_name='k'"),
               "C");
    done();
}

/* ---- Deletes -------------------------------------------------------------------------------------------------------------------- */

static void a_deleted_row_stays_deleted(void)
{
    struct tern_value key[1] = {tern_text("a")};
    begin(&texts);
    put_text("a", "one", 3);
    put_text("b", "two", 3);
    flush();
    drain();
    send_op(&texts, TERN_OP_DELETE, key);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT string_agg(k,' ') FROM texts"), "b");
    /* An older epoch that comes late. */
    struct tern_hello hello = {.id = "dev1", .range_count = 2};
    struct tern_stage_range *old, *newest = range;
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = 1, .next = 3};
    hello.ranges[1] = (struct tern_hello_range){.epoch = range->epoch, .base = 1, .oldest = 1, .next = next};
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &old), TERN_HOST_OK);
    uint32_t behind = next;
    range = old;
    next = 1;
    put_text("a", "late", 4);
    put_text("c", "late", 4);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT string_agg(k||'='||v,' ' ORDER BY k) FROM texts"), "b=two c=late");
    range = newest;
    next = behind;
    put_text("a", "back", 4);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT string_agg(k||'='||v,' ' ORDER BY k) FROM texts"), "a=back b=two c=late");
    done();
}

/* ---- Others at the same tables ---------------------------------------------------------------------------------------------------- */

/* Another program takes the second row, waits until the importer has taken the first and waits for the second, and asks for the first. */
static void *cross(void *context)
{
    struct database other;
    if (!database_open(&other, url) ||
        !database_execute(&other,
                          "SET deadlock_timeout='10s'; BEGIN; UPDATE texts SET v='other' WHERE k='b'"))
        return NULL;
    *(volatile bool *)context = true;
    for (unsigned i = 0; i < 400; i++) {
        if (strcmp(
                database_text(&other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'"),
                "0") != 0)
            break;
        usleep(10000);
    }
    bool good = database_execute(&other, "UPDATE texts SET v='other' WHERE k='a'; COMMIT");
    database_close(&other);
    return good ? context : NULL;
}

static void a_deadlock_is_tried_again(void)
{
    pthread_t thread;
    volatile bool ready = false;
    void *good = NULL;
    begin(&texts);
    put_text("a", "one", 3);
    put_text("b", "two", 3);
    flush();
    drain();
    CHECK(database_execute(&database, "ALTER DATABASE postgres SET deadlock_timeout='300ms'"));
    tern_import_close(import);
    open_import();
    pthread_create(&thread, NULL, cross, (void *)&ready);
    while (!ready)
        usleep(1000);
    put_text("a", "three", 5);
    put_text("b", "four", 4);
    flush();
    drain();
    pthread_join(thread, &good);
    CHECK(good != NULL);
    CHECK_TEXT(ask("SELECT string_agg(k||'='||v,' ' ORDER BY k) FROM texts"), "a=three b=four");
    CHECK_TEXT(ask("SELECT max(retries) FROM tern_batch"), "1");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rejected, 0);
    CHECK(database_execute(&database, "ALTER DATABASE postgres RESET deadlock_timeout"));
    done();
}

static void a_terminated_session_is_replaced(void)
{
    char key[16];
    begin(&texts);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 50; k++) {
            snprintf(key, sizeof key, "k%u", i * 50 + k);
            put_text(key, "v", 1);
        }
        flush();
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        usleep(20000);
        CHECK(database_execute(
            &database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='tern-gateway' "
            "AND pid<>pg_backend_pid()"));
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "1000");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "1000");
    done();
}

/* ---- A server that is away ------------------------------------------------------------------------------------------------------- */

static const char *stop_command, *start_command;

static void a_server_that_is_away_holds_only_its_own_destination(void)
{
    char file[900], key[16];
    struct tern_import *other;
    struct tern_import_config config = {.report = report};
    struct tern_import_status status;
    begin(&texts);
    snprintf(file, sizeof file, "csv:%s", folder_path("out"));
    CHECK_EQ(tern_import_open(&other, stage, file, &config), TERN_HOST_OK);
    put_text("before", "v", 1);
    flush();
    drain();
    database_close(&database);
    CHECK_EQ(system(stop_command), 0);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put_text(key, "v", 1);
    }
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(other, WAIT), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 300), TERN_HOST_E_LIMIT);
    tern_import_status(import, &status);
    CHECK(status.failing && status.error[0] != '\0');
    tern_import_status(other, &status);
    CHECK(!status.failing && status.rows == 501);
    CHECK_EQ(system(start_command), 0);
    CHECK(database_open(&database, url));
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "501");
    tern_import_close(other);
    done();
}

/* Closing does not wait for a server that does not answer. */
static void a_stop_does_not_wait_for_a_server_that_is_away(void)
{
    struct timespec from, to;
    begin(&texts);
    database_close(&database);
    CHECK_EQ(system(stop_command), 0);
    put_text("k", "v", 1);
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 500), TERN_HOST_E_LIMIT);
    clock_gettime(CLOCK_MONOTONIC, &from);
    done();
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK(to.tv_sec - from.tv_sec < 3);
    CHECK_EQ(system(start_command), 0);
    CHECK(database_open(&database, url));
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    url = argv[1];
    stop_command = argc > 3 ? argv[2] : NULL;
    start_command = argc > 3 ? argv[3] : NULL;
    if (!database_open(&database, url)) {
        printf("FAIL no connection\n0 passed, 1 failed\n");
        return 1;
    }
    RUN(awkward_texts_and_bytes_come_back_as_they_were);
    RUN(numbers_are_exact_at_their_ends);
    RUN(each_refused_row_becomes_a_gap_and_the_others_go_in);
    RUN(a_constraint_of_the_users_refuses_only_its_rows);
    RUN(a_time_that_the_database_cannot_hold_is_refused);
    RUN(a_schema_may_grow_and_its_types_widen);
    RUN(names_that_are_sqls_own_are_quoted);
    RUN(keys_compare_byte_by_byte);
    RUN(a_deleted_row_stays_deleted);
    RUN(a_deadlock_is_tried_again);
    RUN(a_terminated_session_is_replaced);
    if (stop_command != NULL) {
        RUN(a_server_that_is_away_holds_only_its_own_destination);
        RUN(a_stop_does_not_wait_for_a_server_that_is_away);
    }
    database_close(&database);
    folder_remove();
    return test_report();
}
