/* SPDX-License-Identifier: MIT */
/*
 * SQLite. Rows go in by one upsert that reads them all in order of the key (feed_sqlite.c), from which the rows that it refuses are left out;
 * where a trigger of the user's has them put aside first, so that nobody can tell which one that is, by upserts of one row each.
 *
 * Tables with merge rules are merged here and not by SQL (sqlite_rules.c).
 *
 * Decimals: SQLite has no exact decimal. A value of at most 15 significant digits goes in as REAL, which gives just these digits
 * back and compares and adds as a number; a longer one goes in as TEXT with all its digits, because no double holds it. The choice is made
 * value by value in a column of type ANY: by the declared range (64 bits) every decimal column would be TEXT, and 21.5 > 3 false.
 * An unsigned 64-bit value beyond SQLite's INTEGER goes in as TEXT for the same reason.
 */
#include <stdio.h>
#include <string.h>

#include "../../core/csv.h"
#include "sql.h"
#include "sql_sqlite.h"

#define VERSION_STRICT 3037000
#define DOUBLE_EXACT   1000000000000000ll /* 15 digits: what a double surely gives back */

/* ---- Types and values ------------------------------------------------------------------------------------------------------------- */

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

/* ---- Connection ---------------------------------------------------------------------------------------------------------------------- */

static const char *table_suffix(const struct tern_sql_engine *engine)
{
    return is_strict(engine) ? "STRICT,WITHOUT ROWID" : "WITHOUT ROWID";
}

static int setup(struct tern_sql_engine *engine)
{
    /* WAL with synchronous=NORMAL may lose a committed transaction at power loss. Checkpoints every 8,000 pages instead of 1,000, because one
     * of our transactions alone writes 1,000 and more, and would write most of them twice. */
    return tern_sql_execute(engine,
                            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768; "
                            "PRAGMA wal_autocheckpoint=8000",
                            "cannot set the database up");
}

/* ---- Loading -------------------------------------------------------------------------------------------------------------------------- */

/* An upsert of one row: the table's columns, and where deletes were, a look for the tombstone of the key. */
static int ready_insert(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    struct tern_sql_text *text = &engine->text;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t keys = tern_sql_list(table, TERN_SQL_KEYS, items);
    if (table->insert != NULL)
        return TERN_HOST_OK;
    tern_sql_begin_insert(engine, "", table, TERN_SQL_ALL);
    tern_sql_add(text, " SELECT ");
    tern_sql_add_parameters(engine, table, TERN_SQL_ALL, 1);
    tern_sql_add(text, " WHERE ");
    if (table->has_tombs && table->has_keys) {
        tern_sql_add(text, "NOT EXISTS(SELECT 1 FROM ");
        tern_sql_add_table(engine, "tern_deleted_", table->schema);
        tern_sql_add(text, " WHERE ");
        tern_sql_add_key(engine, table);
        tern_sql_add(text, " AND \"tern_id\">?%zu)", keys + 1);
    } else {
        tern_sql_add(text, "true");
    }
    tern_sql_add_merge(engine, table, "", tern_sql_excluded(engine));
    return tern_sql_prepare_text(engine, &table->insert);
}

static int load_row(struct tern_sql_engine *engine, struct tern_sql_table *table,
                    const struct tern_sink_row *row, int64_t at)
{
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX];
    char texts[TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    if (row->op == TERN_OP_DELETE)
        return tern_sql_delete(engine, table, row, at);
    if (table->has_rules)
        return tern_sqlite_combine(engine, table, row);
    int status = ready_insert(engine, table);
    size_t count = tern_sql_bind(engine, table, TERN_SQL_ALL, row, at, values, texts);
    return status != TERN_HOST_OK ? status
                                  : tern_sql_run_prepared(engine, table->insert, values, count, NULL, NULL);
}

/* A key that is there is no matter for an upsert: a duplicate is about an index that somebody added. */
static bool is_refusal(int status)
{
    return status == TERN_SQL_E_ROW || status == TERN_SQL_E_DUPLICATE;
}

/* Runs `load_row` for the rows, all or the deletes alone. */
static int load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                     const struct tern_sink_load *load, bool deletes_only)
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++) {
        struct tern_sink_row *row = load->rows[i];
        if (row->rejected || (deletes_only && row->op != TERN_OP_DELETE))
            continue;
        status = load_row(engine, table, row, load->at);
        if (is_refusal(status)) {
            load->reject(load->context, row, engine->client->error);
            status = TERN_HOST_OK;
        }
    }
    return status;
}

/* What ready_insert() says of one row, of all of the feed. A row that fails leaves those before it. */
static int ready_feed(struct tern_sql_engine *engine, struct tern_sql_table *table, size_t count)
{
    struct tern_sql_text *text = &engine->text;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t keys = tern_sql_list(table, TERN_SQL_KEYS, items);
    if (table->other[1] != NULL)
        return TERN_HOST_OK;
    tern_sql_clear(text);
    tern_sql_add(text, "INSERT OR FAIL INTO ");
    tern_sql_add_table(engine, "", table->schema);
    tern_sql_add(text, "(");
    tern_sql_add_columns(engine, table, TERN_SQL_ALL, "");
    for (size_t i = 0; i < count; i++)
        tern_sql_add(text, "%ss.c%zu", i == 0 ? ") SELECT " : ",", i);
    tern_sql_add(text, " FROM tern_rows AS s WHERE ");
    if (table->has_tombs && table->has_keys) {
        tern_sql_add(text, "NOT EXISTS(SELECT 1 FROM ");
        tern_sql_add_table(engine, "tern_deleted_", table->schema);
        tern_sql_add(text, " AS d WHERE ");
        for (size_t i = 0; i < keys; i++) {
            tern_sql_add(text, "d.");
            tern_sql_add_item(engine, table, &items[i]);
            tern_sql_add(text, "=s.c%zu AND ", i);
        }
        tern_sql_add(text, "d.\"tern_id\">s.c%zu)", keys);
    } else {
        tern_sql_add(text, "true");
    }
    tern_sql_add_merge(engine, table, "", tern_sql_excluded(engine));
    return tern_sql_prepare_text(engine, &table->other[1]);
}

static int load_puts(struct tern_sql_engine *engine, struct tern_sql_table *table,
                     const struct tern_sink_load *load)
{
    struct tern_sqlite_feed *feed = tern_sqlite_client_feed(engine->client);
    feed->engine = engine;
    feed->load = load;
    feed->item_count = tern_sql_list(table, TERN_SQL_ALL, feed->items);
    int status = ready_feed(engine, table, feed->item_count);
    for (feed->at = 0; status == TERN_HOST_OK && feed->at < load->count;) {
        status = tern_sql_run_prepared(engine, table->other[1], NULL, 0, NULL, NULL);
        if (!is_refusal(status))
            continue;
        if (feed->at >= load->count)
            return load_rows(engine, table, load, false);
        load->reject(load->context, load->rows[feed->at++], engine->client->error);
        status = TERN_HOST_OK;
    }
    return status;
}

static int load(struct tern_sql_engine *engine, struct tern_sql_table *table,
                const struct tern_sink_load *load)
{
    int status = load_rows(engine, table, load, !table->has_rules);
    if (status == TERN_HOST_OK && !table->has_rules)
        status = load_puts(engine, table, load);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, table->schema->name);
}

/* ---- The dialect ----------------------------------------------------------------------------------------------------------------------- */

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
    .load = load,
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
