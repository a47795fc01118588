/* SPDX-License-Identifier: MIT */
/*
 * MySQL and MariaDB. Rows go in by arrays where library and server are MariaDB's (bulk_mysql.c), else new
 * ones by LOAD DATA LOCAL INFILE (file_mysql.c) where the server allows it; by INSERTs of many rows
 * (load_mysql.c) what is left, and where one is refused.
 *
 * Sessions are strict, quote names by ", take backslashes as they are, and are in UTC. Text compares byte by
 * byte, trailing spaces included. Times are DATETIME, whose range goes beyond 2038, in UTC.
 */
#include <stdio.h>
#include <string.h>

#include "sql.h"
#include "sql_mysql.h"
#include "value_text.h"

#define MARIADB_VARCHAR "VARCHAR(%u) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
#define MYSQL_VARCHAR   "VARCHAR(%u) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
#define MARIADB_TEXT    "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
#define MYSQL_TEXT      "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"

/* ---- Types and values ------------------------------------------------------------------------ */

static _Thread_local char type_room[96]; /* of a type with a length, until the next one is asked for */

/* An unsigned type holds no negative number, which a later version of the schema may bring: each is the next
 * wider signed one. */
static const char *integer_type(unsigned bits, bool is_unsigned)
{
    if (bits == 8 && !is_unsigned)
        return "TINYINT";
    if (bits + is_unsigned <= 16)
        return "SMALLINT";
    if (bits + is_unsigned <= 32)
        return "INT";
    return bits + is_unsigned <= 64 ? "BIGINT" : "DECIMAL(20,0)";
}

/* A sum outgrows the type of what it adds up. */
static const char *sum_type(const struct tern_column *column)
{
    unsigned parameter = TERN_TYPE_PARAMETER(column->type);
    switch (TERN_TYPE_KIND(column->type)) {
    case TERN_KIND_FLOAT:
        return "DOUBLE";
    case TERN_KIND_DECIMAL:
        snprintf(type_room, sizeof type_room, "DECIMAL(38,%u)", parameter);
        return type_room;
    default:
        return parameter == 64 ? "DECIMAL(38,0)" : "BIGINT";
    }
}

static const char *text_type(const struct tern_sql_engine *engine, const struct tern_column *column)
{
    bool is_mariadb = tern_mysql_is_mariadb(engine->client);
    unsigned size = TERN_TYPE_PARAMETER(column->type);
    /* A key's columns must have a length; the others take no room in the row's 65,535 bytes. */
    if ((column->flags & TERN_KEY) == 0)
        return is_mariadb ? MARIADB_TEXT : MYSQL_TEXT;
    snprintf(type_room, sizeof type_room, is_mariadb ? MARIADB_VARCHAR : MYSQL_VARCHAR, size);
    return type_room;
}

static const char *type(const struct tern_sql_engine *engine, const struct tern_column *column)
{
    unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
    if ((column->flags & TERN_ADD) == TERN_ADD)
        return sum_type(column);
    switch (kind) {
    case TERN_KIND_BOOL:
        return "BOOLEAN";
    case TERN_KIND_UNSIGNED:
    case TERN_KIND_SIGNED:
        return integer_type(parameter, kind == TERN_KIND_UNSIGNED);
    case TERN_KIND_DECIMAL: /* more digits behind the point must leave those in front of it where they are */
        snprintf(type_room, sizeof type_room, "DECIMAL(%u,%u)", 19 + parameter, parameter);
        return type_room;
    case TERN_KIND_FLOAT:
        return "DOUBLE";
    case TERN_KIND_TIME_S:
        return "DATETIME";
    case TERN_KIND_TIME_MS:
        return "DATETIME(3)";
    case TERN_KIND_BYTES:
        if ((column->flags & TERN_KEY) == 0)
            return "BLOB";
        snprintf(type_room, sizeof type_room, "VARBINARY(%u)", parameter);
        return type_room;
    default:
        return text_type(engine, column);
    }
}

static const char *table_suffix(const struct tern_sql_engine *engine)
{
    (void)engine;
    return " ENGINE=InnoDB";
}

static struct tern_sql_value convert(const struct tern_sql_engine *engine, const struct tern_column *column,
                                     const struct tern_value *value, char text[TERN_SQL_VALUE_ROOM])
{
    (void)engine;
    struct tern_sql_value plain;
    if (tern_sql_plain(column, value, &plain))
        return plain;
    switch (TERN_TYPE_KIND(column->type)) {
    case TERN_KIND_BOOL:
    case TERN_KIND_SIGNED:
        return tern_sql_integer(value->number);
    default:
        return (struct tern_sql_value){
            .kind = TERN_SQL_TEXT, .data = text, .size = tern_sql_write(text, column->type, value->number)};
    }
}

/* ---- Settings -------------------------------------------------------------------------------- */

/* Waits are bounded by the server too: for a lock, for a statement that never ends, and for a gateway that is
 * stopped in the middle of a transaction and holds its locks. */
static int setup(struct tern_sql_engine *engine)
{
    int status = tern_sql_execute(
        engine,
        "SET SESSION "
        "sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
        "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';"
        "SET NAMES utf8mb4;SET SESSION time_zone='+00:00';SET SESSION autocommit=1;"
        "SET SESSION innodb_lock_wait_timeout=20;SET SESSION lock_wait_timeout=20;"
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "cannot set the connection up");
    if (status != TERN_HOST_OK)
        return status;
    return tern_sql_execute(engine,
                            tern_mysql_is_mariadb(engine->client)
                                ? "SET SESSION max_statement_time=600;SET SESSION idle_transaction_timeout=60"
                                : "SET SESSION max_execution_time=600000;SET SESSION wait_timeout=600",
                            "cannot set the connection up");
}

/* Binary log and doublewrite count only where a server has them. */
#define SAFE "a commit outlives a crash with"

static const struct tern_sql_setting settings[] = {
    {"version", "SELECT version()", NULL, NULL},
    {"innodb_flush_log_at_trx_commit", "SELECT @@innodb_flush_log_at_trx_commit", "1", SAFE},
    {"innodb_doublewrite", "SELECT CAST(@@innodb_doublewrite AS CHAR) NOT IN('0','OFF')", "1",
     "no page is torn with"},
    {"sync_binlog", "SELECT CASE WHEN @@log_bin THEN @@sync_binlog ELSE 1 END", "1", SAFE},
    {"read_only", "SELECT @@read_only", "0", "records are taken with"},
    {"local_infile", "SELECT @@local_infile", NULL, NULL},
    {NULL, NULL, NULL, NULL}};

/* ---- The dialect ----------------------------------------------------------------------------- */

static const struct tern_sql_dialect mysql = {
    .client = &tern_sql_client_mysql,
    .parameters = TERN_SQL_MARKED,
    .upsert = TERN_SQL_ON_DUPLICATE,
    .groups = true,
    .setup = setup,
    .begin = "START TRANSACTION",
    .lock = " FOR UPDATE",
    .share = " LOCK IN SHARE MODE",
    .alone = "SELECT GET_LOCK(LEFT(CONCAT('tern ',DATABASE()),60),20)",
    .not_alone = "SELECT RELEASE_LOCK(LEFT(CONCAT('tern ',DATABASE()),60))",
    .type = type,
    .widen = "MODIFY COLUMN ",
    .widen_type = " ",
    .table_suffix = table_suffix,
    /* Asked of one view about one table: a second view makes the server open every table that there is. */
    .columns = "SELECT c.column_name,c.column_key='PRI' "
               "FROM information_schema.columns AS c WHERE c.table_schema=DATABASE() AND c.table_name=?1 "
               "ORDER BY c.ordinal_position",
    .settings = settings,
    .ddl_begin = "SET SESSION sql_mode='ANSI_QUOTES';\n",
    .value = convert,
    .load = tern_mysql_load_rows,
};

static int open_mysql(struct tern_sink **sink, const struct tern_sink_config *config, char error[256])
{
    return tern_sql_open(sink, config, &mysql, error);
}

const struct tern_sink_ops tern_sink_mysql = {.scheme = "mysql", .open = open_mysql, TERN_SQL_SINK_OPS};
const struct tern_sink_ops tern_sink_mariadb = {.scheme = "mariadb", .open = open_mysql, TERN_SQL_SINK_OPS};
