/* SPDX-License-Identifier: MIT */
/*
 * PostgreSQL. Rows go in by COPY, into the table itself or by way of a temporary table that is merged
 * (load_postgres.c).
 *
 * Decimals are `numeric` without a length: exact, and a later version of the schema may declare more digits.
 * Unsigned 64-bit integers do not fit into bigint and are numeric(20). Text that is part of a key compares
 * byte by byte.
 */
#include <stdio.h>
#include <string.h>

#include "postgres_text.h"
#include "sql.h"
#include "sql_postgres.h"

/* ---- Types and values ------------------------------------------------------------------------ */

static const char *unsigned_type(unsigned bits)
{
    switch (bits) {
    case 8:
        return "smallint";
    case 16:
        return "integer";
    case 32:
        return "bigint";
    default:
        return "numeric(20)";
    }
}

static const char *signed_type(unsigned bits)
{
    return bits <= 16 ? "smallint" : bits == 32 ? "integer" : "bigint";
}

/* A sum outgrows the type of what it adds up. */
static const char *sum_type(const struct tern_column *column)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    if (kind == TERN_KIND_FLOAT)
        return "double precision";
    if (kind == TERN_KIND_DECIMAL || TERN_TYPE_PARAMETER(column->type) == 64)
        return "numeric";
    return "bigint";
}

static const char *type(const struct tern_sql_engine *engine, const struct tern_column *column)
{
    unsigned parameter = TERN_TYPE_PARAMETER(column->type);
    (void)engine;
    if ((column->flags & TERN_ADD) == TERN_ADD)
        return sum_type(column);
    switch (TERN_TYPE_KIND(column->type)) {
    case TERN_KIND_BOOL:
        return "boolean";
    case TERN_KIND_UNSIGNED:
        return unsigned_type(parameter);
    case TERN_KIND_SIGNED:
        return signed_type(parameter);
    case TERN_KIND_DECIMAL:
        return "numeric";
    case TERN_KIND_FLOAT:
        return "double precision";
    case TERN_KIND_TIME_S:
    case TERN_KIND_TIME_MS:
        return "timestamptz";
    case TERN_KIND_BYTES:
        return "bytea";
    default:
        return (column->flags & TERN_KEY) != 0 ? "text COLLATE \"C\"" : "text";
    }
}

static const char *collation(const struct tern_sql_engine *engine, const struct tern_column *column)
{
    (void)engine;
    return TERN_TYPE_KIND(column->type) == TERN_KIND_TEXT ? " COLLATE \"C\"" : "";
}

static const char *table_suffix(const struct tern_sql_engine *engine)
{
    (void)engine;
    return "";
}

static struct tern_sql_value convert(const struct tern_sql_engine *engine, const struct tern_column *column,
                                     const struct tern_value *value, char text[TERN_SQL_VALUE_ROOM])
{
    (void)engine;
    struct tern_sql_value plain;
    if (tern_sql_plain(column, value, &plain))
        return plain;
    return (struct tern_sql_value){
        .kind = TERN_SQL_TEXT, .data = text, .size = tern_postgres_write(text, column->type, value->number)};
}

/* ---- Settings -------------------------------------------------------------------------------- */

/* Waits are bounded by the server too: one for a lock, one for a statement that never ends, and one for a
 * gateway that is stopped in the middle of a transaction and holds its locks. The temporary table and its
 * sort fit into memory. */
static int setup(struct tern_sql_engine *engine)
{
    return tern_sql_execute(
        engine,
        "SET client_min_messages=warning;SET lock_timeout='20s';SET statement_timeout='10min';"
        "SET idle_in_transaction_session_timeout='60s';SET TimeZone='UTC';SET DateStyle='ISO';"
        "SET bytea_output='hex';SET standard_conforming_strings=on;SET temp_buffers='32MB';SET "
        "work_mem='32MB'",
        "cannot set the connection up");
}

#define SAFE "a commit outlives a crash with"

static const struct tern_sql_setting settings[] = {
    {"version", "SELECT current_setting('server_version')", NULL, NULL},
    {"fsync", "SELECT current_setting('fsync')", "on", SAFE},
    {"synchronous_commit", "SELECT current_setting('synchronous_commit')",
     "on|local|remote_write|remote_apply", SAFE},
    {"full_page_writes", "SELECT current_setting('full_page_writes')", "on", "no page is torn with"},
    {"encoding", "SELECT current_setting('server_encoding')", "UTF8", "every text is taken with"},
    {"standby", "SELECT pg_is_in_recovery()::int", "0", "records are taken with"},
    {"temporary tables", "SELECT has_database_privilege(current_database(),'TEMPORARY')::int", "1",
     "rows can be merged with"},
    {NULL, NULL, NULL, NULL}};

/* ---- The dialect ----------------------------------------------------------------------------- */

static const struct tern_sql_dialect postgres = {
    .client = &tern_sql_client_postgres,
    .parameters = TERN_SQL_DOLLARS,
    .upsert = TERN_SQL_ON_CONFLICT,
    .groups = true,
    .setup = setup,
    .begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    .strict = "SET CONSTRAINTS ALL IMMEDIATE",
    .lock = " FOR UPDATE",
    .share = " FOR KEY SHARE",
    .alone = "SELECT pg_advisory_xact_lock(8390322045806929252);", /* "tern tbl" */
    .type = type,
    .widen = "ALTER COLUMN ",
    .widen_type = " TYPE ",
    .table_suffix = table_suffix,
    .columns = "SELECT a.attname::text,COALESCE((SELECT array_position(string_to_array(i.indkey::text,' '),"
               "a.attnum::text) FROM pg_index AS i WHERE i.indrelid=a.attrelid AND i.indisprimary),0) "
               "FROM pg_attribute AS a WHERE a.attrelid=to_regclass(quote_ident(?1)) AND a.attnum>0 "
               "AND NOT a.attisdropped ORDER BY a.attnum",
    .settings = settings,
    .value = convert,
    .collation = collation,
    .load = tern_postgres_load_rows,
};

static int open_postgres(struct tern_sink **sink, const struct tern_sink_config *config, char error[256])
{
    return tern_sql_open(sink, config, &postgres, error);
}

const struct tern_sink_ops tern_sink_postgresql = {
    .scheme = "postgresql", .open = open_postgres, TERN_SQL_SINK_OPS};

/* libpq takes this name too. */
const struct tern_sink_ops tern_sink_postgres = {
    .scheme = "postgres", .open = open_postgres, TERN_SQL_SINK_OPS};
