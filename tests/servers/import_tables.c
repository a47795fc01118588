/* SPDX-License-Identifier: MIT */
/* The importer with a real server and tables that are not as it would make them: names that the database
 * keeps for itself, that stand in the way of others, or that are long; triggers and columns of the user's
 * own. import_tables URL. */
#include "server_rig.h"

#include "../../host/tern_host.h"

#define LONG "a2345678901234567890123456789012345678901234567890123456789012" /* one below the longest */

static const struct tern_column pair[] = {{"k", TERN_I32, TERN_KEY}, {"v", TERN_I32, TERN_NULLABLE}};

static void put_pair(const struct tern_table *table, int64_t k)
{
    struct tern_value row[2] = {tern_int(k), tern_int(k)};
    send(table, row);
}

/* The texts of one transaction go in, and what `odd` was sent is a gap. */
static void hold_alone(const struct tern_table *odd)
{
    give_schema(odd);
    put_text("a", "one", 3);
    put_pair(odd, 1);
    put_text("b", "two", 3);
    flush();
    drain();
    CHECK_TEXT(ask_all("k", "k", "texts"), "a b");
    CHECK_TEXT(ask("SELECT first,last,reason FROM tern_gap"), "2|2|table");
    CHECK(strstr(events, "records-held") != NULL);
}

static void a_column_that_there_cannot_be_holds_its_table_alone(void)
{
    static const struct tern_column columns[] = {{"k", TERN_I32, TERN_KEY}, {"ctid", TERN_I32, 0}};
    static const struct tern_table odd = TERN_TABLE("odd", TERN_MERGE, columns);
    begin(&texts);
    hold_alone(&odd);
    done();
}

/* A mistake in the configuration: two columns of one name. */
static void two_columns_of_one_name_hold_their_table_alone(void)
{
    static const struct tern_table odd = TERN_TABLE("odd", TERN_MERGE, pair);
    static const struct tern_sink_name names[] = {{"odd.v", "k"}};
    struct tern_import_config config = {.report = report, .names = names, .name_count = 1};
    begin(&texts);
    tern_import_close(import);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    hold_alone(&odd);
    done();
}

/* PostgreSQL's indexes have the names of tables. */
static void a_table_that_is_called_like_an_index_is_held_alone(void)
{
    static const struct tern_table odd = TERN_TABLE("texts_pkey", TERN_MERGE, pair);
    begin(&texts);
    hold_alone(&odd);
    done();
}

/* Each has deleted keys of its own, though the names of their tables could not be told apart if they were
 * cut. */
static void deletes_of_tables_with_long_names_are_kept_apart(void)
{
    static const struct tern_table tables[] = {TERN_TABLE(LONG "x", TERN_MERGE, pair),
                                               TERN_TABLE(LONG "y", TERN_MERGE, pair)};
    struct tern_value key[1] = {tern_int(1)};
    begin(&tables[0]);
    give_schema(&tables[1]);
    for (unsigned i = 0; i < 2; i++) {
        put_pair(&tables[i], 1);
        put_pair(&tables[i], 2);
        flush();
        drain();
        send_op(&tables[i], TERN_OP_DELETE, key);
        flush();
        drain();
    }
    CHECK_TEXT(ask("SELECT count(*) FROM " LONG "x"), "1");
    CHECK_TEXT(ask("SELECT count(*) FROM " LONG "y"), "1");
    CHECK_TEXT(ask("SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'tern_deleted_%'"),
               "2");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    put_pair(&tables[0], 1);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM " LONG "x"), "2");
    done();
}

/* ---- Somebody else's table ------------------------------------------------------------------- */

/* A user who may not write to `odd`. MariaDB knows no revoking of a part: what is granted is each other
 * table, and to make tables. */
static void make_weak_user(void)
{
    static const char *const tables[] = {"tern_checkpoint", "tern_gap",      "tern_batch", "tern_cursor",
                                         "tern_column",     "tern_snapshot", "texts"};
    if (is_mysql())
        CHECK(database_execute(&database,
                               "DROP USER IF EXISTS import_weak; CREATE USER import_weak;"
                               "GRANT CREATE ON tern.* TO import_weak;"
                               "CREATE TABLE odd(device VARCHAR(64),k INT,v INT,tern_id BIGINT,PRIMARY "
                               "KEY(device,k));"
                               "GRANT SELECT ON tern.odd TO import_weak"));
    for (size_t i = 0; is_mysql() && i < sizeof tables / sizeof tables[0]; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "GRANT SELECT,INSERT,UPDATE,DELETE,CREATE ON tern.%s TO import_weak",
                 tables[i]);
        CHECK(database_execute(&database, sql));
    }
    if (is_mysql())
        return;
    if (strcmp(ask("SELECT count(*) FROM pg_roles WHERE rolname='import_weak'"), "1") != 0)
        CHECK(database_execute(&database, "CREATE ROLE import_weak LOGIN"));
    CHECK(database_execute(&database,
                           "GRANT ALL ON SCHEMA public TO import_weak;"
                           "CREATE TABLE odd(device text,k int,v int,tern_id bigint,PRIMARY KEY(device,k));"
                           "GRANT SELECT ON odd TO import_weak"));
    CHECK(database_execute(&database, "GRANT ALL ON ALL TABLES IN SCHEMA public TO import_weak;"
                                      "REVOKE INSERT,UPDATE ON odd FROM import_weak"));
}

/* Until somebody lets the gateway; of what is granted for a whole database MariaDB tells new sessions
 * alone. */
static void a_table_that_must_not_be_written_to_is_held_alone(void)
{
    static const struct tern_table odd = TERN_TABLE("odd", TERN_MERGE, pair);
    const char *owner = url, *rest = strchr(url, '@');
    char weak[500];
    snprintf(weak, sizeof weak, "%s//import_weak%s", database.kind->scheme, rest == NULL ? "" : rest);
    begin(&texts);
    tern_import_close(import);
    make_weak_user();
    url = weak;
    open_import();
    url = owner;
    hold_alone(&odd);
    CHECK(strstr(events, by("permission denied", "command denied")) != NULL);
    CHECK(database_execute(&database,
                           by("GRANT ALL ON odd TO import_weak", "GRANT ALL ON tern.* TO import_weak")));
    for (unsigned i = 0; i < 2000 && strcmp(ask("SELECT count(*) FROM odd"), "1") != 0; i++)
        usleep(20000);
    CHECK_TEXT(ask("SELECT count(*) FROM odd"), "1");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* ---- Triggers and columns of the user's own -------------------------------------------------- */

static void a_trigger_refuses_only_its_rows(void)
{
    begin(&texts);
    put_text("a", "one", 3);
    flush();
    drain();
    CHECK(database_execute(
        &database,
        by("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.v='no' THEN "
           "RAISE EXCEPTION 'not with us'; END IF; RETURN NEW; END$$;"
           "CREATE TRIGGER no BEFORE INSERT OR UPDATE ON texts FOR EACH ROW EXECUTE FUNCTION no()",
           "CREATE TRIGGER no BEFORE INSERT ON texts FOR EACH ROW IF NEW.v='no' THEN SIGNAL SQLSTATE "
           "'45000' SET MESSAGE_TEXT='not with us'; END IF")));
    put_text("a", "no", 2);
    put_text("b", "two", 3);
    put_text("c", "no", 2);
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "a=one b=two");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"),
               "2-2:rejected 4-4:rejected");
    CHECK(strstr(events, "not with us") != NULL);
    CHECK(database_execute(&database, by("DROP FUNCTION no() CASCADE", "DROP TRIGGER no")));
    done();
}

/* Every row lacks a value for it. */
static void a_column_that_must_have_a_value_refuses_only_the_rows_of_its_table(void)
{
    static const struct tern_table other = TERN_TABLE("other", TERN_MERGE, pair);
    begin(&texts);
    give_schema(&other);
    put_text("a", "one", 3);
    flush();
    drain();
    CHECK(database_execute(&database, by("ALTER TABLE texts ADD must int NOT NULL DEFAULT 0;"
                                         "ALTER TABLE texts ALTER must DROP DEFAULT",
                                         "ALTER TABLE texts ADD must int NOT NULL")));
    put_text("b", "two", 3);
    put_pair(&other, 1);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "1");
    CHECK_TEXT(ask("SELECT count(*) FROM other"), "1");
    CHECK_TEXT(ask_all("concat(first,'-',last,':',reason)", "first", "tern_gap"), "2-2:rejected");
    done();
}

/* ---- An audit of what has grown -------------------------------------------------------------- */

/* Two versions of a schema say their numbers with other digits, and a database all of them with the same. */
static void an_audit_finds_nothing_where_types_were_widened(void)
{
    static const struct tern_column narrow[] = {
        {"k", TERN_I32, TERN_KEY}, {"v", TERN_U8, 0}, {"d", TERN_DECIMAL(1), 0}, {"f", TERN_FLOAT(1), 0}};
    static const struct tern_column wide[] = {
        {"k", TERN_I32, TERN_KEY}, {"v", TERN_I64, 0}, {"d", TERN_DECIMAL(18), 0}, {"f", TERN_FLOAT(6), 0}};
    static const struct tern_table tables[] = {TERN_TABLE("growing", TERN_MERGE, narrow),
                                               TERN_TABLE("growing", TERN_MERGE, wide)};
    static const int64_t values[2][4][3] = {
        {{0, 0, 0}, {255, -5, 15}, {7, 123456789012345, -10}, {1, 100, 25}},
        {{0, 0, 0},
         {-70000, 1234560000000000000, 1234567},
         {70000, -50000000000000000, -1},
         {1, 1, 1500000}}};
    char folder_of_stage[1000];
    struct tern_host_audit_result result;
    begin(&tables[0]);
    give_schema(&tables[1]);
    for (int n = 0; n < 8; n++) {
        const int64_t *value = values[n / 4][n % 4];
        struct tern_value row[] = {tern_int(n), tern_int(value[0]), tern_int(value[1]), tern_int(value[2])};
        send(&tables[n / 4], row);
    }
    flush();
    drain();
    snprintf(folder_of_stage, sizeof folder_of_stage, "%s", folder_path("stage"));
    struct tern_host_audit audit = {.stage = folder_of_stage, .sink = url, .report = report};
    CHECK_EQ(tern_host_audit(&audit, &result), TERN_HOST_OK);
    CHECK_EQ(result.rows, 8);
    CHECK_EQ(result.differences, 0);
    CHECK(database_execute(&database, "UPDATE growing SET d=d+0.000000000000000001 WHERE k=7"));
    CHECK_EQ(tern_host_audit(&audit, &result), TERN_HOST_OK);
    CHECK_EQ(result.differences, 1);
    done();
}

int main(int argc, char **argv)
{
    if (!open_url(argc, argv))
        return 1;
    if (!is_mysql())
        RUN(a_column_that_there_cannot_be_holds_its_table_alone);
    RUN(two_columns_of_one_name_hold_their_table_alone);
    if (!is_mysql())
        RUN(a_table_that_is_called_like_an_index_is_held_alone);
    RUN(deletes_of_tables_with_long_names_are_kept_apart);
    RUN(a_table_that_must_not_be_written_to_is_held_alone);
    RUN(a_trigger_refuses_only_its_rows);
    RUN(a_column_that_must_have_a_value_refuses_only_the_rows_of_its_table);
    RUN(an_audit_finds_nothing_where_types_were_widened);
    return close_url();
}
