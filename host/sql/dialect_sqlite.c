/* SPDX-License-Identifier: MIT */
/*
 * SQLite: types, values, settings; load_sqlite.c brings rows in.
 *
 * Decimals: SQLite has no exact decimal. A value of at most 15 significant digits goes in as REAL, which
 * gives just these digits back and compares and adds as a number; a longer one goes in as TEXT with all its
 * digits, because no double holds it. The choice is made value by value in a column of type ANY: by the
 * declared range (64 bits) every decimal column would be TEXT, and 21.5 > 3 false. An unsigned 64-bit value
 * beyond SQLite's INTEGER goes in as TEXT for the same reason.
 */
#include <stdio.h>
#include <string.h>

#include "../../core/csv.h"
#include "sql.h"
#include "sql_sqlite.h"

#define VERSION_STRICT 3037000
#define DOUBLE_EXACT   1000000000000000ll /* 15 digits: what a double surely gives back */

/* ---- Types and values ------------------------------------------------------------------------ */

static bool is_strict(const struct tern_sql_engine *engine)
{
    return engine->client->version >= VERSION_STRICT;
}

static const char *type(const struct tern_sql_engine *engine, const struct tern_column *column)
{
    unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
    /* Without STRICT, a column without a type is the one that leaves values as they are. */
    const char *any = is_strict(engine) ? "ANY" : "";
    switch (kind) {
    case TERN_KIND_UNSIGNED:
        return parameter == 64 ? any : "INTEGER";
    case TERN_KIND_DECIMAL:
        return parameter == 0 ? "INTEGER" : any;
    case TERN_KIND_FLOAT:
        return "REAL";
    case TERN_KIND_TEXT:
        return "TEXT";
    case TERN_KIND_BYTES:
        return "BLOB";
    default:
        return "INTEGER";
    }
}

static double power_of_ten(unsigned digits)
{
    double power = 1;
    while (digits-- != 0)
        power *= 10; /* exact up to 10^22 */
    return power;
}

static struct tern_sql_value real(const struct tern_column *column, int64_t number)
{
    /* Both are exact for a decimal of 15 digits, so that the quotient is the double nearest to it. */
    double value = (double)number / power_of_ten(TERN_TYPE_PARAMETER(column->type));
    return (struct tern_sql_value){.kind = TERN_SQL_REAL, .real = value};
}

static struct tern_sql_value digits(const struct tern_column *column, int64_t number,
                                    char text[TERN_SQL_VALUE_ROOM])
{
    return (struct tern_sql_value){
        .kind = TERN_SQL_TEXT, .data = text, .size = tern_csv_number(text, column->type, number)};
}

static struct tern_sql_value convert(const struct tern_sql_engine *engine, const struct tern_column *column,
                                     const struct tern_value *value, char text[TERN_SQL_VALUE_ROOM])
{
    (void)engine;
    unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
    struct tern_sql_value plain;
    if (tern_sql_plain(column, value, &plain))
        return plain;
    switch (kind) {
    case TERN_KIND_FLOAT:
        return real(column, value->number);
    case TERN_KIND_DECIMAL:
        if (parameter != 0 && value->number > -DOUBLE_EXACT && value->number < DOUBLE_EXACT)
            return real(column, value->number);
        return parameter == 0 ? tern_sql_integer(value->number) : digits(column, value->number, text);
    case TERN_KIND_UNSIGNED:
        return parameter == 64 && value->number < 0 ? digits(column, value->number, text)
                                                    : tern_sql_integer(value->number);
    default:
        return tern_sql_integer(value->number);
    }
}

/* ---- Connection ------------------------------------------------------------------------------ */

static const char *table_suffix(const struct tern_sql_engine *engine)
{
    return is_strict(engine) ? "STRICT,WITHOUT ROWID" : "WITHOUT ROWID";
}

static int setup(struct tern_sql_engine *engine)
{
    /* WAL with synchronous=NORMAL may lose a committed transaction at power loss. Checkpoints every 8,000
     * pages instead of 1,000, because one of our transactions alone writes 1,000 and more, and would write
     * most of them twice. What a statement must be able to take back is kept in memory and not in a file: it
     * is short. */
    return tern_sql_execute(engine,
                            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768; "
                            "PRAGMA wal_autocheckpoint=8000; PRAGMA temp_store=MEMORY",
                            "cannot set the database up");
}

/* ---- The dialect ----------------------------------------------------------------------------- */

/* As tern's own connection has them: another program's may differ. */
static const struct tern_sql_setting settings[] = {
    {"version", "SELECT sqlite_version()", NULL, NULL},
    {"journal_mode", "PRAGMA journal_mode", "wal", "readers do not hold up the gateway with"},
    {"synchronous", "PRAGMA synchronous", "2|3", "a commit outlives a power cut with"},
    {"integrity", "PRAGMA quick_check(1)", "ok", "expected"},
    {NULL, NULL, NULL, NULL}};

static const struct tern_sql_dialect sqlite = {
    .client = &tern_sql_client_sqlite,
    .parameters = TERN_SQL_NUMBERED,
    .upsert = TERN_SQL_ON_CONFLICT,
    .setup = setup,
    .begin = "BEGIN IMMEDIATE",
    .lock = "",
    .share = "",
    .type = type,
    .table_suffix = table_suffix,
    .columns = "SELECT \"name\",\"pk\" FROM pragma_table_info(?1)",
    .settings = settings,
    .value = convert,
    .load = tern_sqlite_load_rows,
};

static int open_sqlite(struct tern_sink **sink, const struct tern_sink_config *config, char error[256])
{
    return tern_sql_open(sink, config, &sqlite, error);
}

const struct tern_sink_ops tern_sink_sqlite = {
    .scheme = "sqlite",
    .plain = true,
    .single = true,
    .open = open_sqlite,
    TERN_SQL_SINK_OPS,
};
