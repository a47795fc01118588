/* SPDX-License-Identifier: MIT */
/* The client of MySQL and MariaDB against a real server: values, what an error is taken for, and waits that
 * end. mysql_client URL. */
#include "client_rig.h"

#include "../../host/sql/sql_mysql.h"

static void set_up(void)
{
    CHECK_EQ(
        execute(
            "SET SESSION sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES';SET NAMES utf8mb4"),
        0);
    CHECK_EQ(other->ops->execute(other, "SET SESSION sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"), 0);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void values_come_back_as_they_went(void)
{
    struct answer answer;
    struct tern_sql_value values[] = {tern_sql_integer(INT64_MIN),
                                      tern_sql_integer(INT64_MAX),
                                      text("", 0),
                                      {.kind = TERN_SQL_NULL},
                                      text("it's \\N\n\"\xc3\xa9?\"", 13),
                                      {.kind = TERN_SQL_BLOB, .data = "\0\xff", .size = 2},
                                      {.kind = TERN_SQL_REAL, .real = 0.1}};
    CHECK_EQ(ask("SELECT ?,?,?,?,?,hex(?),CAST(? AS DOUBLE)", values, 7, &answer), 0);
    CHECK_EQ(answer.rows, 1);
    CHECK_EQ(answer.integers[0], INT64_MIN);
    CHECK_EQ(answer.integers[1], INT64_MAX);
    CHECK(answer.kinds[2] == TERN_SQL_TEXT && answer.text[2][0] == '\0');
    CHECK_EQ(answer.kinds[3], TERN_SQL_NULL);
    CHECK(strcmp(answer.text[4], "it's \\N\n\"\xc3\xa9?\"") == 0);
    CHECK(strcmp(answer.text[5], "00FF") == 0);
    CHECK(answer.kinds[6] == TERN_SQL_REAL && answer.real > 0.0999 && answer.real < 0.1001);
}

static void a_text_of_digits_stays_a_text(void)
{
    struct answer answer;
    struct tern_sql_value value = text("12345", 5);
    CHECK_EQ(ask("SELECT ?,'?',12345", &value, 1, &answer), 0);
    CHECK(answer.kinds[0] == TERN_SQL_TEXT && strcmp(answer.text[0], "12345") == 0);
    CHECK(strcmp(answer.text[1], "?") == 0);
    CHECK(answer.kinds[2] == TERN_SQL_INTEGER && answer.integers[2] == 12345);
}

static void a_wrong_byte_is_the_rows_fault_and_a_nul_is_text(void)
{
    struct answer answer;
    struct tern_sql_value value = text("a\0b", 3);
    CHECK_EQ(execute("DROP TABLE IF EXISTS w; CREATE TABLE w(t TEXT CHARACTER SET utf8mb4)"), 0);
    CHECK_EQ(ask("INSERT INTO w VALUES(?)", &value, 1, &answer), 0);
    CHECK_EQ(ask("SELECT hex(t) FROM w", NULL, 0, &answer), 0);
    CHECK(strcmp(answer.text[0], "610062") == 0);
    value = text("a\xff", 2);
    CHECK_EQ(ask("INSERT INTO w VALUES(?)", &value, 1, &answer), TERN_SQL_E_ROW);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void errors_are_told_apart(void)
{
    CHECK_EQ(
        execute("DROP TABLE IF EXISTS e;"
                "CREATE TABLE e(k INT PRIMARY KEY,v INT NOT NULL CHECK (v > 0),t VARCHAR(3)) ENGINE=InnoDB"),
        0);
    CHECK_EQ(execute("INSERT INTO e VALUES(1,1,'')"), 0);
    CHECK_EQ(execute("INSERT INTO e VALUES(1,2,'')"), TERN_SQL_E_DUPLICATE);
    CHECK(strstr(client->error, "1062") != NULL && strchr(client->error, '\n') == NULL);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,NULL,'')"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,-1,'')"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,'x','')"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,3000000000,'')"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("INSERT INTO e VALUES(2,1,'four')"), TERN_SQL_E_ROW);
    CHECK_EQ(execute("SELEKT 1"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(execute("INSERT INTO nowhere VALUES(1)"), TERN_SQL_E_STATEMENT);
    CHECK_EQ(execute("SELECT 1; INSERT INTO e VALUES(1,2,''); SELECT 2"), TERN_SQL_E_DUPLICATE);
    CHECK_EQ(execute("SELECT 1"), 0);
}

static void a_lock_is_waited_for_and_then_the_transaction_is_done_again(void)
{
    CHECK_EQ(other->ops->execute(other, "START TRANSACTION; UPDATE e SET v = 5 WHERE k = 1"), 0);
    CHECK_EQ(execute("SET SESSION innodb_lock_wait_timeout=1"), 0);
    CHECK_EQ(execute("UPDATE e SET v = 6 WHERE k = 1"), TERN_SQL_E_RETRY);
    CHECK_EQ(other->ops->execute(other, "ROLLBACK"), 0);
    CHECK_EQ(execute("UPDATE e SET v = 6 WHERE k = 1"), 0);
}

static void a_killed_session_is_an_error_and_another_can_be_had(void)
{
    struct answer answer;
    char sql[64];
    CHECK_EQ(ask("SELECT connection_id()", NULL, 0, &answer), 0);
    snprintf(sql, sizeof sql, "KILL %lld", (long long)answer.integers[0]);
    CHECK_EQ(other->ops->execute(other, sql), 0);
    CHECK_EQ(execute("SELECT 1"), TERN_HOST_E_DATABASE);
    CHECK(client->error[0] != '\0');
    CHECK_EQ(execute("SELECT 1"), TERN_HOST_E_DATABASE);
    CHECK_EQ(client->ops->connect(client), 0);
    CHECK_EQ(execute("SELECT 1"), 0);
}

static void no_server_is_said_at_once(void)
{
    int status;
    struct tern_sql_client *lost =
        open_url(&tern_sql_client_mysql, "mysql://u@/d?socket=/nonexistent/socket", &status);
    CHECK_EQ(lost->ops->connect(lost), TERN_HOST_E_DATABASE);
    CHECK(strstr(lost->error, "/nonexistent/socket") != NULL);
    CHECK_EQ(lost->ops->execute(lost, "SELECT 1"), TERN_HOST_E_DATABASE);
    lost->ops->close(lost);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    if (!open_both(&tern_sql_client_mysql, argv[1]))
        return 1;
    RUN(set_up);
    RUN(values_come_back_as_they_went);
    RUN(a_text_of_digits_stays_a_text);
    RUN(a_wrong_byte_is_the_rows_fault_and_a_nul_is_text);
    RUN(errors_are_told_apart);
    RUN(a_lock_is_waited_for_and_then_the_transaction_is_done_again);
    RUN(a_killed_session_is_an_error_and_another_can_be_had);
    RUN(no_server_is_said_at_once);
    return close_both();
}
