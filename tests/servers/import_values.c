/* SPDX-License-Identifier: MIT */
/* The importer with a real server: values, refused rows, growing schemas, keys. import_values URL. */
#include "server_rig.h"

#include "../../host/import_retry.h"
#include "../../host/tern_host.h"
#include "../awkward.h"

/* ---- Auditing -------------------------------------------------------------------------------- */

static char differences[2000];

static void note_difference(void *context, const char *table, const char *device, int64_t id,
                            const char *what)
{
    size_t used = strlen(differences);
    (void)context;
    (void)device;
    snprintf(differences + used, sizeof differences - used, "%s %u %s;", table, (unsigned)id, what);
}

/* What the database holds is what the journal says: read back with the types of the schema, whatever the
 * database makes of them. */
static void expect_audit(uint64_t rows, const char *found)
{
    char folder_of_stage[1000];
    struct tern_host_audit_result result;
    snprintf(folder_of_stage, sizeof folder_of_stage, "%s", folder_path("stage"));
    struct tern_host_audit audit = {
        .stage = folder_of_stage, .sink = url, .report = report, .difference = note_difference};
    differences[0] = '\0';
    if (!CHECK_EQ(tern_host_audit(&audit, &result), TERN_HOST_OK))
        printf("    %s", events);
    CHECK_EQ(result.rows, rows);
    /* In any order. */
    bool same = strlen(differences) == strlen(found);
    char sentences[2000];
    snprintf(sentences, sizeof sentences, "%s", found);
    for (char *one = strtok(sentences, ";"); one != NULL; one = strtok(NULL, ";"))
        same = same && strstr(differences, one) != NULL;
    if (!CHECK(same))
        printf("    differences: %s\n", differences);
}

/* ---- Values ---------------------------------------------------------------------------------- */

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
    char line[700], hex[300] = "";
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
    CHECK(database_ask(&database,
                       by("SELECT n,encode(convert_to(note,'UTF8'),'hex'),encode(raw,'hex') FROM awkward",
                          "SELECT n,LOWER(HEX(note)),LOWER(HEX(raw)) FROM awkward"),
                       &found));
    CHECK(lines_equal("awkward", &expected, &found));
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK_TEXT(ask("SELECT data_type FROM information_schema.columns WHERE table_name='awkward' AND "
                   "column_name='raw'"),
               by("bytea", "blob"));
    expect_audit(PIECES + RAW_PIECES, "");
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

/* Enough rows that all go by the way of many. */
#define OTHERS 40

static void put_others(void)
{
    for (int n = 1000; n < 1000 + OTHERS; n++)
        put_numbers(n, n, n);
}

static const char *ask_numbers(const char *columns, int n)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s FROM awkward WHERE n=%d", columns, n);
    return ask(sql);
}

static const char *ask_times(int n)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             by("SELECT to_char(s AT TIME ZONE 'UTC','YYYY-MM-DD HH24:MI:SS'),"
                "to_char(ms AT TIME ZONE 'UTC','YYYY-MM-DD HH24:MI:SS.MS') FROM awkward WHERE n=%d",
                "SELECT CAST(s AS CHAR),CAST(ms AS CHAR) FROM awkward WHERE n=%d"),
             n);
    return ask(sql);
}

static const char *ask_seconds(int n)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             by("SELECT extract(epoch FROM s)::bigint FROM awkward WHERE n=%d",
                "SELECT TIMESTAMPDIFF(SECOND,'1970-01-01',s) FROM awkward WHERE n=%d"),
             n);
    return ask(sql);
}

static void numbers_are_exact_at_their_ends(void)
{
    begin(&all);
    put_numbers(1, INT64_MIN, 0);
    put_numbers(2, INT64_MAX, -1);
    /* One second beyond the years that MySQL has is in PostgreSQL's. */
    put_numbers(3, 0, is_mysql() ? 253402300799 : 253402300800);
    put_numbers(4, -1, is_mysql() ? -62135596800 : -62135596801);
    put_others();
    flush();
    drain();
    CHECK_TEXT(ask_numbers("i,u,d,d2,b", 1),
               "-9223372036854775808|9223372036854775808|-9.223372036854775808|-92233720368547758.08|1");
    CHECK_TEXT(ask_numbers("i,u,d,d2,b", 2),
               "9223372036854775807|9223372036854775807|9.223372036854775807|92233720368547758.07|0");
    CHECK_TEXT(ask_numbers("i,u,d,d2", 4), "-1|18446744073709551615|-0.000000000000000001|-0.01");
    CHECK_TEXT(ask("SELECT d2,round(f) FROM awkward WHERE n=3"), "0.00|0");
    CHECK_TEXT(ask_times(1), "1970-01-01 00:00:00|1970-01-01 00:00:00.000");
    CHECK_TEXT(ask_times(2), "1969-12-31 23:59:59|1969-12-31 23:59:59.999");
    CHECK_TEXT(ask_seconds(3), by("253402300800", "253402300799"));
    CHECK_TEXT(ask_seconds(4), by("-62135596801", "-62135596800"));
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    expect_audit(4 + OTHERS, "");
    done();
}

static void every_type_of_numbers_holds_its_ends(void)
{
    struct tern_value row[13];
    begin(&edges);
    for (unsigned i = 0; i < EDGES; i++) {
        edge_values(i, row);
        send(&edges, row);
    }
    for (int n = 1000; n < 1000 + OTHERS; n++) {
        row[0] = tern_int(n);
        send(&edges, row);
    }
    flush();
    drain();
    for (unsigned i = 0; i < EDGES; i++) {
        char sql[200], expected[400], found[800];
        snprintf(sql, sizeof sql, "SELECT i8,i16,i32,i64,u8,u16,u32 FROM edges WHERE n=%u", i + 1);
        snprintf(found, sizeof found, "%s|", ask(sql));
        snprintf(sql, sizeof sql, "SELECT u64,b,d0,d2,d18 FROM edges WHERE n=%u", i + 1);
        snprintf(found + strlen(found), 400, "%s", ask(sql));
        snprintf(expected, sizeof expected, "%s", edge_rows[i].text);
        for (char *c = expected; *c != '\0'; c++)
            *c = *c == ',' ? '|' : *c;
        CHECK_TEXT(found, expected);
    }
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    expect_audit(EDGES + OTHERS, "");
    done();
}

/* By the smallest step of its type each. */
static void an_audit_finds_a_value_that_is_another_one(void)
{
    static const struct {
        const char *column, *postgres, *mysql;
    } changes[] = {{"note", "note || ' '", "concat(note,' ')"},
                   {"raw", "raw || '\\x00'", "concat(raw,x'00')"},
                   {"i", "i+1", "i+1"},
                   {"u", "u-1", "u-1"},
                   {"d", "d+0.000000000000000001", "d+0.000000000000000001"},
                   {"f", "f+0.001", "f+0.001"},
                   {"b", "NOT b", "1-b"},
                   {"s", "s+interval '1 second'", "s+interval 1 second"},
                   {"ms", "ms+interval '1 millisecond'", "ms+interval 1000 microsecond"},
                   {"d2", "NULL", "NULL"}};
    struct tern_value row[11] = {tern_null(),     tern_text("text"), tern_bytes("\0raw", 4),
                                 tern_int(-7),    tern_int(8),       tern_int(-1234567),
                                 tern_int(-4500), tern_int(1),       tern_int(-1),
                                 tern_int(-1001), tern_int(0)};
    char sql[200], found[2000] = "";
    begin(&all);
    for (int n = 0; n < 12; n++) {
        row[0] = tern_int(n);
        send(&all, row);
    }
    flush();
    drain();
    expect_audit(12, "");
    for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        snprintf(sql, sizeof sql, "UPDATE awkward SET %s=%s WHERE n=%u", changes[i].column,
                 by(changes[i].postgres, changes[i].mysql), i);
        CHECK(database_execute(&database, sql));
        snprintf(found + strlen(found), sizeof found - strlen(found),
                 "awkward %u has other values than in the journal;", i + 1);
    }
    CHECK(database_execute(&database, "UPDATE awkward SET tern_id=tern_id+1000000 WHERE n=10"));
    CHECK(database_execute(&database, "DELETE FROM awkward WHERE n=11"));
    snprintf(found + strlen(found), sizeof found - strlen(found),
             "awkward 11 is missing in the destination;awkward 12 is missing in the destination;");
    CHECK_TEXT(ask("SELECT count(*) FROM awkward"), "11");
    expect_audit(12, found);
    done();
}

/* ---- Refused rows ---------------------------------------------------------------------------- */

/* 60 wrong ones among 6,000: invalid UTF-8, and NUL bytes, which MySQL takes. */
static void each_refused_row_becomes_a_gap_and_the_others_go_in(void)
{
    char key[16], expected[64];
    unsigned refused = 0;
    begin(&texts);
    for (unsigned i = 1; i <= 6000; i++) {
        snprintf(key, sizeof key, "k%05u", i);
        bool wrong = i % 100 == 37;
        refused += wrong;
        put_text(key, !wrong ? "right" : i % 200 == 37 || is_mysql() ? "bad\xff!" : "nul\0!", 5);
        if (i == 3000)
            flush();
    }
    flush();
    drain();
    snprintf(expected, sizeof expected, "%u", 6000 - refused);
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), expected);
    snprintf(expected, sizeof expected, "%u|rejected|rejected|%u", refused, refused);
    CHECK_TEXT(
        ask("SELECT count(*),min(reason),max(reason),cast(sum(last-first+1) AS decimal(9)) FROM tern_gap"),
        expected);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap WHERE first%100<>37 OR first<>last"), "0");
    CHECK_TEXT(ask("SELECT min(v),max(v) FROM texts"), "right|right");
    CHECK(strstr(events, by("22021", "1366")) != NULL);
    done();
}

/* Integer keys that rise take the straight path, where MySQL would only warn and store something else. */
static void a_refused_row_among_new_ones_is_found_too(void)
{
    static const struct piece good = PIECE("good"), bad = PIECE("bad\xff!");
    begin(&all);
    for (int n = 0; n < 300; n++)
        put_piece(n, n % 100 == 7 ? &bad : &good, true);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*),min(note),max(note) FROM awkward"), "297|good|good");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"),
               "8-8:rejected 108-108:rejected 208-208:rejected");
    done();
}

static void a_constraint_of_the_users_refuses_only_its_rows(void)
{
    begin(&texts);
    put_text("a", "one", 3);
    flush();
    drain();
    CHECK(database_execute(&database, by("ALTER TABLE texts ADD CONSTRAINT short CHECK (length(v)<6);"
                                         "CREATE UNIQUE INDEX ON texts((lower(v))) WHERE v LIKE 'u%'",
                                         "ALTER TABLE texts ADD CONSTRAINT short CHECK (length(v)<6),"
                                         "ADD mine VARCHAR(9) AS (CASE WHEN v LIKE 'u%' THEN v END) VIRTUAL,"
                                         "ADD UNIQUE(mine)")));
    put_text("a", "far too long", 12); /* an update that is refused */
    put_text("b", "two", 3);
    put_text("c", "longer", 6);
    put_text("d", "u1", 2);
    put_text("e", "U1", 2);
    put_text("f", "u1", 2); /* the other unique index */
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "a=one b=two d=u1 e=U1");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"),
               "2-2:rejected 4-4:rejected 7-7:rejected");
    done();
}

/* PostgreSQL looks at it when the transaction ends. */
static void a_constraint_that_waits_for_the_commit_refuses_only_its_rows(void)
{
    begin(&texts);
    put_text("a", "one", 3);
    flush();
    drain();
    CHECK(database_execute(&database, "CREATE TABLE allowed(v text PRIMARY KEY);"
                                      "INSERT INTO allowed VALUES('one'),('two');"
                                      "ALTER TABLE texts ADD FOREIGN KEY(v) REFERENCES allowed "
                                      "DEFERRABLE INITIALLY DEFERRED"));
    put_text("b", "two", 3);
    put_text("c", "three", 5);
    put_text("d", "two", 3);
    put_text("a", "four", 4);
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "a=one b=two d=two");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"),
               "3-3:rejected 5-5:rejected");
    CHECK_TEXT(ask("SELECT max(retries) FROM tern_batch"), "1");
    done();
}

static const struct tern_column shown_columns[] = {{"k", TERN_I32, TERN_KEY}, {"v", TERN_I32, 0}};
static const struct tern_table shown = TERN_TABLE("shown", TERN_OVERWRITE, shown_columns);

static void send_snapshot(int64_t first, int64_t end, int64_t bad)
{
    flush();
    send_op(&shown, TERN_OP_SNAPSHOT_BEGIN, NULL);
    for (int64_t k = first; k < end; k++) {
        struct tern_value row[2] = {tern_int(k), tern_int(k == bad ? 999 : k)};
        send(&shown, row);
    }
    send_op(&shown, TERN_OP_SNAPSHOT_END, NULL);
    flush();
}

/* The one before stays, and is replaced once the other is mended. */
static void a_snapshot_of_which_a_row_is_refused_goes_whole(void)
{
    struct tern_import_config config = {.report = report};
    struct tern_retry_result result;
    begin(&shown);
    send_snapshot(0, 5, -1);
    drain();
    CHECK(database_execute(&database, "ALTER TABLE shown ADD CONSTRAINT low CHECK (v<500)"));
    send_snapshot(3, 9, 7);
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "shown"), "0=0 1=1 2=2 3=3 4=4");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"), "8-15:rejected");
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.refused, 8);
    CHECK(database_execute(&database, "ALTER TABLE shown DROP CONSTRAINT low"));
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 8);
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "shown"), "3=3 4=4 5=5 6=6 7=999 8=8");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* What goes in by a straight path or none. */
static void a_constraint_refuses_appended_rows_too(void)
{
    static const struct tern_column columns[] = {{"code", TERN_I32, 0}};
    static const struct tern_table codes = TERN_TABLE("codes", TERN_APPEND, columns);
    begin(&codes);
    for (int i = 0; i < 6; i++) {
        struct tern_value row[1] = {tern_int(i)};
        send(&codes, row);
        flush();
        drain();
        if (i == 0)
            CHECK(database_execute(&database, "CREATE UNIQUE INDEX alone ON codes(code)"));
    }
    struct tern_value again[1] = {tern_int(3)};
    send(&codes, again);
    flush();
    drain();
    CHECK_TEXT(ask_all("code", "code", "(SELECT cast(code AS char(1)) AS code FROM codes) AS c"),
               "0 1 2 3 4 5");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"), "7-7:rejected");
    done();
}

static const struct tern_column pair_columns[] = {{"k", TERN_I32, TERN_KEY}, {"v", TERN_I32, 0}};
static const struct tern_column more_columns[] = {
    {"k", TERN_I32, TERN_KEY}, {"v", TERN_I32, 0}, {"w", TERN_I32, TERN_NULLABLE}};
static const struct tern_table pairs = TERN_TABLE("pairs", TERN_MERGE, pair_columns);
static const struct tern_table more = TERN_TABLE("pairs", TERN_MERGE, more_columns);

static void put_pair(const struct tern_table *table, int64_t k, int64_t v)
{
    struct tern_value row[3] = {tern_int(k), tern_int(v), tern_null()};
    send(table, row);
}

/* Of two rows with one value of a unique index, the first goes straight in, or by another version of the
 * schema; the other, which is merged, is at fault only beside it. */
static void a_row_that_another_path_has_made_impossible_is_refused(void)
{
    begin(&pairs);
    give_schema(&more);
    put_pair(&pairs, 1, 10);
    put_pair(&pairs, 2, 20);
    flush();
    drain();
    CHECK(database_execute(&database, "CREATE UNIQUE INDEX alone ON pairs(v)"));
    put_pair(&pairs, 1, 30);
    put_pair(&pairs, 3, 30);
    put_pair(&pairs, 4, 40);
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "pairs"), "1=10 2=20 3=30 4=40");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"), "3-3:rejected");
    put_pair(&pairs, 2, 50);
    put_pair(&more, 4, 50);
    put_pair(&more, 5, 60);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*),min(v),max(v),count(distinct v) FROM pairs"), "5|10|60|5");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap WHERE reason='rejected'"), "2");
    done();
}

static const struct tern_column meter_columns[] = {
    {"k", TERN_U16, TERN_KEY}, {"total", TERN_I32, TERN_ADD}, {"peak", TERN_I32, TERN_MAX}};
static const struct tern_table meters = TERN_TABLE("meters", TERN_MERGE, meter_columns);

static void put_meter(int64_t k, int64_t number)
{
    struct tern_value row[3] = {tern_int(k), tern_int(number), tern_int(number)};
    send(&meters, row);
}

/* Each key's records become one row, straight or merged; every 50th is at fault. */
static void of_combined_records_only_the_refused_ones_are_left_out(void)
{
    begin(&meters);
    put_meter(0, 1);
    flush();
    drain();
    CHECK(database_execute(&database, "ALTER TABLE meters ADD CONSTRAINT low CHECK (peak<500)"));
    for (int64_t i = 1; i <= 300; i++)
        put_meter(i % 3, i % 50 == 0 ? 1000 : 1);
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',total,',',peak)", "k", "meters"), "0=99,1 1=98,1 2=98,1");
    CHECK_TEXT(ask("SELECT count(*),min(first),max(last) FROM tern_gap WHERE reason='rejected'"), "6|51|301");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap WHERE first<>last OR first%50<>1"), "0");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rejected, 6);
    done();
}

static void a_time_that_the_database_cannot_hold_is_refused(void)
{
    begin(&all);
    put_numbers(1, 5, 1000);
    put_numbers(2, 5, INT64_MAX);
    put_numbers(3, 5, INT64_MIN);
    put_others();
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*),min(n) FROM awkward WHERE n<1000"), "1|1");
    expect_audit(1 + OTHERS, "");
    CHECK_TEXT(ask("SELECT count(*),min(first),max(last) FROM tern_gap"), "1|2|3");
    done();
}

/* ---- Schemas --------------------------------------------------------------------------------- */

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
    CHECK(database_execute(&database, "ALTER TABLE growing ADD COLUMN mine varchar(9) DEFAULT 'user'"));
    put_wide(1, -1);
    put_wide(3, 1);
    put_narrow(4, 7);
    put_narrow(3, 9); /* the older version knows no x: it becomes NULL */
    put_wide(5, 70000);
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v,',',round(w,6),',',coalesce(x,'NULL'),',',mine)", "k", "growing"),
               "1=18446744073709551615,1.234567,new,user 2=1,1.500000,NULL,user 3=9,1.500000,NULL,user "
               "4=7,1.500000,NULL,user 5=70000,1.234567,new,user");
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
    CHECK_TEXT(ask(by("SELECT \"select\",\"order\",\"user\" FROM \"table\"",
                      "SELECT `select`,`order`,`user` FROM `table`")),
               "1|3|me");
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
               by("C", "utf8mb4_nopad_bin"));
    done();
}

int main(int argc, char **argv)
{
    if (!open_url(argc, argv))
        return 1;
    RUN(awkward_texts_and_bytes_come_back_as_they_were);
    RUN(numbers_are_exact_at_their_ends);
    RUN(every_type_of_numbers_holds_its_ends);
    RUN(an_audit_finds_a_value_that_is_another_one);
    RUN(each_refused_row_becomes_a_gap_and_the_others_go_in);
    RUN(a_refused_row_among_new_ones_is_found_too);
    RUN(a_constraint_of_the_users_refuses_only_its_rows);
    if (!is_mysql())
        RUN(a_constraint_that_waits_for_the_commit_refuses_only_its_rows);
    RUN(a_snapshot_of_which_a_row_is_refused_goes_whole);
    RUN(a_constraint_refuses_appended_rows_too);
    RUN(a_row_that_another_path_has_made_impossible_is_refused);
    RUN(of_combined_records_only_the_refused_ones_are_left_out);
    RUN(a_time_that_the_database_cannot_hold_is_refused);
    RUN(a_schema_may_grow_and_its_types_widen);
    RUN(names_that_are_sqls_own_are_quoted);
    RUN(keys_compare_byte_by_byte);
    return close_url();
}
