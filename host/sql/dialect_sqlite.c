/* SPDX-License-Identifier: MIT */
/*
 * SQLite. Rows go in by prepared upserts in order of the key: as fast as any bulk path it has.
 *
 * Deletes are hard, and leave a tombstone in tern_deleted_TABLE, which every later insert asks once there is one; so an older row that
 * comes late does not bring a deleted one back. Clearing tombstones away is for later.
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

#define VERSION_STRICT  3037000
#define DOUBLE_EXACT    1000000000000000ll /* 15 digits: what a double surely gives back */
#define PARAMETERS_MAX  (TERN_COLUMNS_MAX + 2)
#define FIRST_PARAMETER 3 /* of the columns; 1 is device, 2 is tern_id */

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
                                    char text[TERN_NUMBER_MAX])
{
    return (struct tern_sql_value){
        .kind = TERN_SQL_TEXT, .data = text, .size = tern_csv_number(text, column->type, number)};
}

static struct tern_sql_value convert(const struct tern_column *column, const struct tern_value *value,
                                     char text[TERN_NUMBER_MAX])
{
    unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
    if (value->is_null)
        return (struct tern_sql_value){.kind = TERN_SQL_NULL};
    switch (kind) {
    case TERN_KIND_TEXT:
        return (struct tern_sql_value){.kind = TERN_SQL_TEXT, .data = value->data, .size = value->size};
    case TERN_KIND_BYTES:
        return (struct tern_sql_value){.kind = TERN_SQL_BLOB, .data = value->data, .size = value->size};
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

/* ---- Own tables -------------------------------------------------------------------------------------------------------------------- */

static const char *table_suffix(const struct tern_sql_engine *engine)
{
    return is_strict(engine) ? "STRICT,WITHOUT ROWID" : "WITHOUT ROWID";
}

static int setup(struct tern_sql_engine *engine)
{
    const char *suffix = table_suffix(engine);
    /* WAL with synchronous=NORMAL may lose a committed transaction at power loss. Checkpoints every 8,000 pages instead of 1,000, because one
     * of our transactions alone writes 1,000 and more, and would write most of them twice. */
    int status =
        tern_sql_execute(engine,
                         "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768; "
                         "PRAGMA wal_autocheckpoint=8000",
                         "cannot set the database up");
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(
        text,
        "BEGIN IMMEDIATE;"
        "CREATE TABLE IF NOT EXISTS \"tern_checkpoint\"(\"device\" TEXT NOT NULL,\"lane\" INTEGER NOT NULL,"
        "\"epoch\" INTEGER NOT NULL,\"applied\" INTEGER NOT NULL,PRIMARY "
        "KEY(\"device\",\"lane\",\"epoch\"))%s;",
        suffix);
    tern_sql_add(text,
                 "CREATE TABLE IF NOT EXISTS \"tern_gap\"(\"device\" TEXT NOT NULL,\"lane\" INTEGER NOT NULL,"
                 "\"epoch\" INTEGER NOT NULL,\"first\" INTEGER NOT NULL,\"last\" INTEGER NOT NULL,\"reason\" "
                 "TEXT NOT NULL,"
                 "\"at\" INTEGER NOT NULL,PRIMARY KEY(\"device\",\"lane\",\"epoch\",\"first\"))%s;",
                 suffix);
    tern_sql_add(
        text,
        "CREATE TABLE IF NOT EXISTS \"tern_batch\"(\"id\" TEXT NOT NULL PRIMARY KEY,\"store\" TEXT NOT NULL,"
        "\"slot\" INTEGER NOT NULL,\"at\" INTEGER NOT NULL,\"rows\" INTEGER NOT NULL,"
        "\"milliseconds\" INTEGER NOT NULL,\"path\" TEXT NOT NULL)%s;",
        suffix);
    tern_sql_add(
        text,
        "CREATE TABLE IF NOT EXISTS \"tern_cursor\"(\"store\" TEXT NOT NULL,\"slot\" INTEGER NOT NULL,"
        "\"position\" INTEGER NOT NULL,\"batch\" TEXT NOT NULL,PRIMARY KEY(\"store\",\"slot\"))%s;",
        suffix);
    tern_sql_add(
        text,
        "CREATE TABLE IF NOT EXISTS \"tern_column\"(\"table_name\" TEXT NOT NULL,\"name\" TEXT NOT NULL,"
        "\"type\" INTEGER NOT NULL,PRIMARY KEY(\"table_name\",\"name\"))%s;"
        "COMMIT",
        suffix);
    if (status == TERN_HOST_OK && text->failed)
        status = tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
    return status != TERN_HOST_OK ? status
                                  : tern_sql_execute(engine, text->text, "cannot make tern's own tables");
}

/* ---- Statements of a table ----------------------------------------------------------------------------------------------------------- */

static bool is_key(const struct tern_table *table, uint8_t index)
{
    return table->mode == TERN_MERGE && (table->columns[index].flags & TERN_KEY) != 0;
}

/* NAME=?N for device and each key column. `dense`: the parameters are those of the key only. */
static void write_match(struct tern_sql_text *text, const struct tern_table *table, bool dense)
{
    unsigned parameter = FIRST_PARAMETER;
    tern_sql_add(text, "\"device\"=?1");
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, i))
            tern_sql_add(text, " AND \"%s\"=?%u", table->columns[i].name,
                         dense ? parameter++ : (unsigned)i + FIRST_PARAMETER);
}

static void write_conflict(struct tern_sql_text *text, const struct tern_table *table)
{
    tern_sql_add(text, " ON CONFLICT(\"device\"");
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, i))
            tern_sql_add(text, ",\"%s\"", table->columns[i].name);
    if (table->mode == TERN_APPEND) {
        tern_sql_add(text, ",\"tern_id\") DO NOTHING");
        return;
    }
    tern_sql_add(text, ") DO UPDATE SET \"tern_id\"=excluded.\"tern_id\"");
    for (uint8_t i = 0; i < table->column_count; i++)
        if (!is_key(table, i))
            tern_sql_add(text, ",\"%s\"=excluded.\"%s\"", table->columns[i].name, table->columns[i].name);
    tern_sql_add(text, " WHERE excluded.\"tern_id\">\"%s\".\"tern_id\"", table->name);
}

static void write_insert(struct tern_sql_text *text, const struct tern_table *table, bool tombs)
{
    tern_sql_clear(text);
    tern_sql_add(text, "INSERT INTO \"%s\"(\"device\",\"tern_id\"", table->name);
    for (uint8_t i = 0; i < table->column_count; i++)
        tern_sql_add(text, ",\"%s\"", table->columns[i].name);
    tern_sql_add(text, ") SELECT ?1,?2");
    for (uint8_t i = 0; i < table->column_count; i++)
        tern_sql_add(text, ",?%u", i + FIRST_PARAMETER);
    if (tombs) {
        tern_sql_add(text, " WHERE NOT EXISTS(SELECT 1 FROM \"tern_deleted_%s\" WHERE ", table->name);
        write_match(text, table, false);
        tern_sql_add(text, " AND \"tern_id\">?2)");
    } else {
        tern_sql_add(text, " WHERE true");
    }
    write_conflict(text, table);
}

static void write_remove(struct tern_sql_text *text, const struct tern_table *table)
{
    tern_sql_clear(text);
    tern_sql_add(text, "DELETE FROM \"%s\" WHERE ", table->name);
    write_match(text, table, true);
    tern_sql_add(text, " AND \"tern_id\"<?2");
}

static void write_bury(struct tern_sql_text *text, const struct tern_table *table)
{
    unsigned parameter = FIRST_PARAMETER;
    tern_sql_clear(text);
    tern_sql_add(text, "INSERT INTO \"tern_deleted_%s\"(\"device\",\"tern_id\"", table->name);
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, i))
            tern_sql_add(text, ",\"%s\"", table->columns[i].name);
    tern_sql_add(text, ") VALUES(?1,?2");
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, i))
            tern_sql_add(text, ",?%u", parameter++);
    tern_sql_add(text, ") ON CONFLICT(\"device\"");
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, i))
            tern_sql_add(text, ",\"%s\"", table->columns[i].name);
    tern_sql_add(text,
                 ") DO UPDATE SET \"tern_id\"=excluded.\"tern_id\" WHERE "
                 "excluded.\"tern_id\">\"tern_deleted_%s\".\"tern_id\"",
                 table->name);
}

static int prepare_text(struct tern_sql_engine *engine, const struct tern_table *table, void **statement)
{
    if (engine->text.failed)
        return tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
    int status = engine->client->ops->prepare(engine->client, engine->text.text, statement);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, table->name);
}

/* ---- Loading -------------------------------------------------------------------------------------------------------------------------- */

struct loading {
    struct tern_sql_engine *engine;
    struct tern_sql_table *table;
    struct tern_sql_value values[PARAMETERS_MAX];
    char texts[TERN_COLUMNS_MAX][TERN_NUMBER_MAX];
    bool tombs_exist;
};

/* The insert asks for tombstones as soon as another row, or another gateway, has left one. */
static int ready_insert(struct loading *loading)
{
    struct tern_sql_table *table = loading->table;
    int status = TERN_HOST_OK;
    if (table->schema->mode == TERN_MERGE && !loading->tombs_exist)
        status = tern_sql_find_tombs(loading->engine, table->schema, &loading->tombs_exist);
    if (status != TERN_HOST_OK || (table->insert != NULL && table->asks_tombs == loading->tombs_exist))
        return status;
    write_insert(&loading->engine->text, table->schema, loading->tombs_exist);
    table->asks_tombs = loading->tombs_exist;
    return prepare_text(loading->engine, table->schema, &table->insert);
}

static int ready_delete(struct loading *loading)
{
    struct tern_sql_table *table = loading->table;
    int status = TERN_HOST_OK;
    if (!loading->tombs_exist)
        status = tern_sql_make_tombs(loading->engine, table->schema);
    loading->tombs_exist = true;
    if (status == TERN_HOST_OK)
        status = ready_insert(loading);
    if (status == TERN_HOST_OK && table->remove == NULL) {
        write_remove(&loading->engine->text, table->schema);
        status = prepare_text(loading->engine, table->schema, &table->remove);
    }
    if (status == TERN_HOST_OK && table->bury == NULL) {
        write_bury(&loading->engine->text, table->schema);
        status = prepare_text(loading->engine, table->schema, &table->bury);
    }
    return status;
}

/* Binds device, tern_id and the columns: all of them, or the key. Returns how many values. */
static size_t bind_row(struct loading *loading, const struct tern_sink_row *row)
{
    const struct tern_table *table = loading->table->schema;
    size_t count = 2;
    loading->values[1] = tern_sql_integer(row->id);
    for (uint8_t i = 0; i < table->column_count; i++)
        if (row->op == TERN_OP_PUT || is_key(table, i))
            loading->values[count++] = convert(&table->columns[i], &row->values[i], loading->texts[i]);
    return count;
}

static int load_row(struct loading *loading, const struct tern_sink_row *row)
{
    struct tern_sql_client *client = loading->engine->client;
    size_t count = bind_row(loading, row);
    if (row->op == TERN_OP_DELETE && loading->table->schema->mode != TERN_MERGE) {
        snprintf(client->error, sizeof client->error, "a delete in a table without a key");
        return TERN_SQL_E_ROW;
    }
    if (row->op == TERN_OP_PUT)
        return client->ops->run(client, loading->table->insert, loading->values, count, NULL, NULL);
    int status = ready_delete(loading);
    if (status == TERN_HOST_OK)
        status = client->ops->run(client, loading->table->remove, loading->values, count, NULL, NULL);
    if (status == TERN_HOST_OK)
        status = client->ops->run(client, loading->table->bury, loading->values, count, NULL, NULL);
    return status;
}

static int load(struct tern_sql_engine *engine, struct tern_sql_table *table,
                const struct tern_sink_load *load)
{
    struct loading loading = {.engine = engine, .table = table};
    const char *device = NULL;
    int status = ready_insert(&loading);
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++) {
        struct tern_sink_row *row = load->rows[i];
        if (row->device != device)
            loading.values[0] = tern_sql_string(row->device);
        device = row->device;
        status = load_row(&loading, row);
        if (status == TERN_SQL_E_ROW) {
            load->reject(load->context, row, engine->client->error);
            status = TERN_HOST_OK;
        }
    }
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, table->schema->name);
}

/* ---- The dialect ----------------------------------------------------------------------------------------------------------------------- */

static const struct tern_sql_dialect sqlite = {
    .client = &tern_sql_client_sqlite,
    .setup = setup,
    .begin = "BEGIN IMMEDIATE",
    .type = type,
    .table_suffix = table_suffix,
    .columns = "SELECT \"name\",\"pk\" FROM pragma_table_info(?1)",
    .load = load,
    .put_checkpoint =
        "INSERT INTO \"tern_checkpoint\"(\"device\",\"lane\",\"epoch\",\"applied\") VALUES(?1,?2,?3,?4) "
        "ON CONFLICT(\"device\",\"lane\",\"epoch\") DO UPDATE SET \"applied\"=excluded.\"applied\"",
    .put_cursor =
        "INSERT INTO \"tern_cursor\"(\"store\",\"slot\",\"position\",\"batch\") VALUES(?1,?2,?3,?4) "
        "ON CONFLICT(\"store\",\"slot\") DO UPDATE SET \"position\"=excluded.\"position\","
        "\"batch\"=excluded.\"batch\"",
    .put_column = "INSERT INTO \"tern_column\"(\"table_name\",\"name\",\"type\") VALUES(?1,?2,?3) "
                  "ON CONFLICT(\"table_name\",\"name\") DO UPDATE SET \"type\"=excluded.\"type\"",
};

static int open_sqlite(struct tern_sink **sink, const struct tern_sink_config *config, char error[256])
{
    return tern_sql_open(sink, config, &sqlite, error);
}

const struct tern_sink_ops tern_sink_sqlite = {
    .scheme = "sqlite",
    .folds = true,
    .open = open_sqlite,
    .connect = tern_sql_connect,
    .disconnect = tern_sql_disconnect,
    .read_cursor = tern_sql_read_cursor,
    .prepare = tern_sql_prepare,
    .begin = tern_sql_begin,
    .read_mark = tern_sql_read_mark,
    .load = tern_sql_load,
    .write_mark = tern_sql_write_mark,
    .commit = tern_sql_commit,
    .rollback = tern_sql_rollback,
    .close = tern_sql_close,
};
