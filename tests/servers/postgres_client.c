/* SPDX-License-Identifier: MIT */
/* The client of PostgreSQL against a real server: values, what an error is taken for, COPY and its lines, and
 * waits that end. postgres_client URL. */
#include "client_rig.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../host/sql/sql_postgres.h"

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void values_come_back_as_they_went(void)
{
    struct answer answer;
    struct tern_sql_value values[] = {tern_sql_integer(INT64_MIN),
                                      tern_sql_integer(INT64_MAX),
                                      text("", 0),
                                      {.kind = TERN_SQL_NULL},
                                      text("it's \\N\n\"\xc3\xa9\"", 12),
                                      {.kind = TERN_SQL_BLOB, .data = "\0\xff", .size = 2},
                                      {.kind = TERN_SQL_BLOB, .data = NULL, .size = 0},
                                      {.kind = TERN_SQL_REAL, .real = 0.1}};
    CHECK_EQ(ask("SELECT $1::bigint,$2::bigint,$3::text,$4::text,$5::text,encode($6::bytea,'hex'),"
                 "encode($7::bytea,'hex'),$8::float8",
                 values, 8, &answer),
             0);
    CHECK_EQ(answer.rows, 1);
    CHECK_EQ(answer.integers[0], INT64_MIN);
    CHECK_EQ(answer.integers[1], INT64_MAX);
    CHECK(answer.kinds[2] == TERN_SQL_TEXT && answer.text[2][0] == '\0');
    CHECK_EQ(answer.kinds[3], TERN_SQL_NULL);
    CHECK(strcmp(answer.text[4], "it's \\N\n\"\xc3\xa9\"") == 0);
    CHECK(strcmp(answer.text[5], "00ff") == 0);
    CHECK(answer.kinds[6] == TERN_SQL_TEXT && answer.text[6][0] == '\0');
    CHECK(strcmp(answer.text[7], "0.1") == 0);
}

static void a_nul_or_a_wrong_byte_is_the_rows_fault(void)
{
    struct answer answer;
    struct tern_sql_value value = text("a\0b", 3);
    CHECK_EQ(ask("SELECT $1::text", &value, 1, &answer), TERN_SQL_E_ROW);
    CHECK(strstr(client->error, "NUL") != NULL);
    value = text("a\xff", 2);
    CHECK_EQ(ask("SELECT $1::text", &value, 1, &answer), TERN_SQL_E_ROW);
    CHECK(strstr(client->error, "22021") != NULL);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static int raise_state(const char *state)
{
    char sql[200];
    snprintf(sql, sizeof sql, "DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE='%s'; END $$", state);
    return execute(sql);
}

static void errors_are_told_apart(void)
{
    CHECK_EQ(
        execute("DROP TABLE IF EXISTS e; CREATE TABLE e(k int PRIMARY KEY, v int NOT NULL CHECK (v > 0))"),
        0);
    CHECK_EQ(execute("INSERT INTO e VALUES(1,1)"), 0);
    CHECK_EQ(execute("INSERT INTO e VALUES(1,2)"), TERN_SQL_E_DUPLICATE);
    CHECK(strstr(client->error, "23505") != NULL && strchr(client->error, '\n') == NULL);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,NULL)"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,-1)"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,'x')"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,3000000000)"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("SELEKT 1"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(execute("INSERT INTO nowhere VALUES(1)"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(raise_state("40001"), TERN_SQL_E_RETRY);
    CHECK_EQ(raise_state("40P01"), TERN_SQL_E_RETRY);
    CHECK_EQ(raise_state("53100"), TERN_HOST_E_DATABASE); /* disk full */
    CHECK_EQ(raise_state("54000"), TERN_SQL_E_ROW);
    CHECK_EQ(raise_state("25006"), TERN_HOST_E_DATABASE); /* read only: a standby */
    /* Another gateway has just made it: it is tried again. */
    CHECK_EQ(execute("CREATE TABLE e(k int)"), TERN_HOST_E_DATABASE);
    CHECK_EQ(raise_state("42710"), TERN_HOST_E_DATABASE);
    /* What no repetition mends. */
    CHECK_EQ(execute("ALTER TABLE e ADD COLUMN v int"), TERN_SQL_E_STATEMENT);    /* 42701 */
    CHECK_EQ(execute("SELECT count(*) FROM e FOR UPDATE"), TERN_SQL_E_STATEMENT); /* 0A000 */
    CHECK_EQ(raise_state("54011"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(execute("CREATE VIEW ve AS SELECT * FROM e"), 0);
    CHECK_EQ(execute("DROP TABLE e"), TERN_SQL_E_STATEMENT); /* 2BP01 */
    CHECK_EQ(execute("DROP VIEW ve"), 0);
}

static void an_error_of_many_lines_is_one_line_of_a_log(void)
{
    CHECK_EQ(
        execute(
            "DO $$ BEGIN RAISE EXCEPTION E'first\\nsecond\\tend\\n ' USING ERRCODE='23514', DETAIL='why', "
            "HINT='what to do'; END $$"),
        TERN_SQL_E_ROW);
    if (!CHECK(strcmp(client->error, "first second end  : why: what to do (SQLSTATE 23514)") == 0))
        printf("    %s\n", client->error);
    CHECK_EQ(raise_state("P0001"), TERN_SQL_E_ROW); /* as by a trigger */
}

static void an_answer_that_nobody_takes_is_left(void)
{
    void *statement = NULL;
    struct answer answer;
    CHECK_EQ(client->ops->prepare(client, "SELECT 1 UNION SELECT 2", &statement), 0);
    CHECK_EQ(client->ops->run(client, statement, NULL, 0, NULL, NULL), 0);
    CHECK_EQ(ask("SELECT '\\x00ff'::bytea,''::bytea,NULL::bytea,true,false", NULL, 0, &answer), 0);
    CHECK(answer.kinds[0] == TERN_SQL_BLOB && answer.kinds[1] == TERN_SQL_BLOB &&
          answer.kinds[2] == TERN_SQL_NULL);
    CHECK(answer.kinds[3] == TERN_SQL_INTEGER && answer.integers[3] == 1 && answer.integers[4] == 0);
}

/* The server says ROLLBACK then, and calls that a success. */
static void a_commit_that_is_none_is_an_error(void)
{
    CHECK_EQ(execute("BEGIN"), 0);
    CHECK_EQ(execute("SELEKT 1"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(execute("COMMIT"), TERN_SQL_E_RETRY);
    CHECK_EQ(execute("BEGIN"), 0);
    CHECK_EQ(tern_postgres_mark(client), 0);
    CHECK_EQ(execute("SELEKT 1"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(tern_postgres_doom(client), 0);
    CHECK_EQ(execute("SELECT 1"), 0);
    CHECK_EQ(execute("COMMIT"), TERN_SQL_E_RETRY);
    CHECK_EQ(execute("ROLLBACK"), 0);
    CHECK_EQ(execute("BEGIN"), 0);
    CHECK_EQ(execute("COMMIT"), 0);
}

static void waits_for_locks_and_statements_end(void)
{
    CHECK_EQ(other->ops->execute(other, "BEGIN; UPDATE e SET v = 5 WHERE k = 1"), 0);
    CHECK_EQ(execute("SET lock_timeout='200ms'"), 0);
    CHECK_EQ(execute("UPDATE e SET v = 6 WHERE k = 1"), TERN_HOST_E_DATABASE);
    CHECK(strstr(client->error, "55P03") != NULL);
    CHECK_EQ(other->ops->execute(other, "ROLLBACK"), 0);
    CHECK_EQ(execute("SET statement_timeout='200ms'"), 0);
    CHECK_EQ(execute("SELECT pg_sleep(20)"), TERN_HOST_E_DATABASE);
    CHECK_EQ(execute("SET statement_timeout=0; SET lock_timeout=0"), 0);
}

static void a_killed_session_is_an_error_and_another_can_be_had(void)
{
    CHECK_EQ(other->ops->execute(other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                        "WHERE backend_type='client backend' AND pid<>pg_backend_pid()"),
             0);
    CHECK_EQ(execute("SELECT 1"), TERN_HOST_E_DATABASE);
    CHECK(client->error[0] != '\0' && strchr(client->error, '\n') == NULL);
    CHECK_EQ(execute("SELECT 1"), TERN_HOST_E_DATABASE);
    CHECK_EQ(client->ops->connect(client), 0);
    CHECK_EQ(execute("SELECT 1"), 0);
}

/* ---- COPY ------------------------------------------------------------------------------------ */

static int copy(const char *rows, size_t size, uint64_t *taken, uint64_t *line)
{
    *taken = *line = 0;
    int status = tern_postgres_copy_begin(client, "COPY c(k,t) FROM STDIN");
    if (status == 0)
        status = tern_postgres_copy_send(client, rows, size);
    return status != 0 ? status : tern_postgres_copy_end(client, true, taken, line);
}

static void copy_counts_rows_and_names_the_line_at_fault(void)
{
    uint64_t taken, line;
    struct answer answer;
    CHECK_EQ(execute("DROP TABLE IF EXISTS c; CREATE TABLE c(k int PRIMARY KEY, t text)"), 0);
    CHECK_EQ(copy("1\ta\\nb\n2\t\\\\.\n3\t\\\\N\n4\t\\N\n5\t\n", 26, &taken, &line), 0);
    CHECK_EQ(taken, 5);
    CHECK_EQ(ask("SELECT (SELECT t FROM c WHERE k=1),(SELECT t FROM c WHERE k=2),(SELECT t FROM c WHERE k=3),"
                 "(SELECT t FROM c WHERE k=4),(SELECT t FROM c WHERE k=5)",
                 NULL, 0, &answer),
             0);
    CHECK(strcmp(answer.text[0], "a\nb") == 0);
    CHECK(strcmp(answer.text[1], "\\.") == 0);
    CHECK(strcmp(answer.text[2], "\\N") == 0);
    CHECK_EQ(answer.kinds[3], TERN_SQL_NULL);
    CHECK(answer.kinds[4] == TERN_SQL_TEXT && answer.text[4][0] == '\0');
    CHECK_EQ(copy("6\ta\\nb\n7\tx\ny\tz\n", 16, &taken, &line), TERN_SQL_E_ROW);
    CHECK_EQ(line, 3);
    CHECK_EQ(copy("6\tx\n7\ta\0b\n8\tx\n", 16, &taken, &line), TERN_SQL_E_ROW);
    CHECK_EQ(line, 2);
    CHECK_EQ(copy("6\tx\n7\tx\n8\ta\xff\n", 15, &taken, &line), TERN_SQL_E_ROW);
    CHECK_EQ(line, 3);
    CHECK_EQ(copy("6\tx\n5\tx\n8\tx\n", 12, &taken, &line), TERN_SQL_E_DUPLICATE);
    CHECK_EQ(line, 2);
    CHECK_EQ(tern_postgres_copy_begin(client, "COPY nowhere FROM STDIN"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(tern_postgres_copy_begin(client, "COPY c(k,t) FROM STDIN"), 0);
    CHECK_EQ(tern_postgres_copy_send(client, "9\tx\n", 4), 0);
    CHECK(tern_postgres_copy_end(client, false, &taken, &line) != 0);
    CHECK_EQ(ask("SELECT count(*) FROM c", NULL, 0, &answer), 0);
    CHECK_EQ(answer.integers[0], 5);
}

/* The client does not go on as if it had been one. */
static void what_is_no_copy_from_here_is_an_error(void)
{
    CHECK_EQ(tern_postgres_copy_begin(client, "SELECT 1"), TERN_HOST_E_DATABASE);
    CHECK(strstr(client->error, "COPY was not begun") != NULL);
    CHECK_EQ(client->ops->connect(client), 0);
    CHECK_EQ(execute("COPY c TO STDOUT"), TERN_HOST_E_DATABASE);
    CHECK(strstr(client->error, "began to send a copy") != NULL);
    CHECK_EQ(client->ops->connect(client), 0);
    CHECK_EQ(execute("SELECT 1"), 0);
}

static void a_line_is_found_behind_a_trigger(void)
{
    uint64_t taken, line;
    CHECK_EQ(
        execute(
            "CREATE OR REPLACE FUNCTION no_seven() RETURNS trigger AS $$ BEGIN IF NEW.k=7 THEN "
            "RAISE EXCEPTION 'no seven' USING ERRCODE='23514'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql;"
            "CREATE TRIGGER s BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION no_seven()"),
        0);
    CHECK_EQ(copy("6\tx\n7\tx\n", 8, &taken, &line), TERN_SQL_E_ROW);
    CHECK_EQ(line, 2);
    CHECK_EQ(execute("DROP TABLE c"), 0);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static char said[1200];

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    (void)level;
    snprintf(said, sizeof said, "%s %s", event, fields);
}

/* And not told to anybody. */
static void a_password_in_the_url_is_refused(void)
{
    static const char *const wrong[] = {"postgresql://u:secret@h/d",
                                        "postgresql://u@h/d?password=secret",
                                        "postgresql://u@h/d?passw%6Frd=secret",
                                        "postgresql://u@h/d?sslpassword=secret",
                                        "postgresql://u:secret%zz@h/d",
                                        "postgresql:u:secret@h",
                                        "postgresql://h/d?nothing=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tern_sink *sink;
        struct tern_sink_config config = {.url = wrong[i], .report = {remember, NULL}};
        said[0] = '\0';
        CHECK_EQ(tern_sink_open(&sink, &config), TERN_HOST_E_ARGUMENT);
        CHECK(said[0] != '\0' && strstr(said, "secret") == NULL);
    }
}

static void no_server_is_said_at_once(void)
{
    int status;
    struct tern_sql_client *lost =
        open_url(&tern_sql_client_postgres, "postgresql://u@/d?host=/nonexistent", &status);
    CHECK_EQ(status, 0);
    CHECK_EQ(lost->ops->connect(lost), TERN_HOST_E_DATABASE);
    CHECK(strstr(lost->error, "/nonexistent") != NULL);
    lost->ops->close(lost);
}

/* A socket that listens and never answers. */
static void a_silent_server_is_waited_for_no_longer_than_said(void)
{
    char folder[] = "/tmp/tern-test-XXXXXX", url[200];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int status, server = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(mkdtemp(folder) != NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "%.60s/.s.PGSQL.5432", folder);
    CHECK_EQ(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(server, 4), 0);
    snprintf(url, sizeof url, "postgresql://u@/d?host=%s&connect_timeout=1", folder);
    struct tern_sql_client *silent = open_url(&tern_sql_client_postgres, url, &status);
    double begun = seconds();
    CHECK_EQ(silent->ops->connect(silent), TERN_HOST_E_DATABASE);
    CHECK(seconds() - begun > 0.9 && seconds() - begun < 3);
    CHECK(strstr(silent->error, "within 1 seconds") != NULL);
    silent->ops->close(silent);
    close(server);
    unlink(address.sun_path);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    if (!open_both(&tern_sql_client_postgres, argv[1]))
        return 1;
    RUN(values_come_back_as_they_went);
    RUN(a_nul_or_a_wrong_byte_is_the_rows_fault);
    RUN(errors_are_told_apart);
    RUN(an_error_of_many_lines_is_one_line_of_a_log);
    RUN(an_answer_that_nobody_takes_is_left);
    RUN(a_commit_that_is_none_is_an_error);
    RUN(waits_for_locks_and_statements_end);
    RUN(a_killed_session_is_an_error_and_another_can_be_had);
    RUN(copy_counts_rows_and_names_the_line_at_fault);
    RUN(what_is_no_copy_from_here_is_an_error);
    RUN(a_line_is_found_behind_a_trigger);
    RUN(a_password_in_the_url_is_refused);
    RUN(no_server_is_said_at_once);
    RUN(a_silent_server_is_waited_for_no_longer_than_said);
    return close_both();
}
