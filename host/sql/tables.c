/* SPDX-License-Identifier: MIT */
/* Tables and columns in the database, from schemas: made on first sight, columns added, anything else refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql.h"

#define COLUMNS_MAX 512 /* of a table in the database that are looked at */

/* A column as the database has it. */
struct found {
    char name[TERN_NAME_MAX + 1];
    int key;      /* place in the primary key from 1, 0: none */
    int64_t type; /* as tern declared it, -1: it did not */
};

struct listing {
    struct found *columns;
    size_t count;
};

static int take_column(void *context, const struct tern_sql_value *values, size_t count)
{
    struct listing *listing = context;
    if (count < 2 || values[0].kind != TERN_SQL_TEXT || values[0].size > TERN_NAME_MAX ||
        listing->count == COLUMNS_MAX)
        return 0;
    struct found *column = &listing->columns[listing->count++];
    memset(column, 0, sizeof *column);
    memcpy(column->name, values[0].data, values[0].size);
    column->key = (int)values[1].integer;
    column->type = -1;
    return 0;
}

static struct found *find(const struct listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcasecmp(listing->columns[i].name, name) == 0)
            return &listing->columns[i];
    return NULL;
}

static int take_declared(void *context, const struct tern_sql_value *values, size_t count)
{
    char name[TERN_NAME_MAX + 1] = {0};
    if (count < 2 || values[0].kind != TERN_SQL_TEXT || values[0].size > TERN_NAME_MAX)
        return 0;
    memcpy(name, values[0].data, values[0].size);
    struct found *column = find(context, name);
    if (column != NULL)
        column->type = values[1].integer;
    return 0;
}

/* ---- Refusing -------------------------------------------------------------------------------------------------------------------- */

static bool is_key(const struct tern_table *table, const struct tern_column *column)
{
    return table->mode == TERN_MERGE && (column->flags & TERN_KEY) != 0;
}

static int check_mode(struct tern_sql_engine *engine, const struct tern_table *table)
{
    if (table->mode == TERN_OVERWRITE)
        return tern_sink_fail(
            &engine->sink, TERN_HOST_E_ARGUMENT,
            "table %s has mode OVERWRITE, which this version cannot bring in yet: its records wait in "
            "the staging store",
            table->name);
    for (uint8_t i = 0; i < table->column_count; i++)
        if ((table->columns[i].flags & ~(TERN_KEY | TERN_NULLABLE)) != 0)
            return tern_sink_fail(
                &engine->sink, TERN_HOST_E_ARGUMENT,
                "column %s of table %s has a merge rule, which this version cannot apply yet: its records "
                "wait in the staging store",
                table->columns[i].name, table->name);
    return TERN_HOST_OK;
}

/* The key must be exactly what an upsert names: otherwise two devices' rows would be one. */
static int check_key(struct tern_sql_engine *engine, const struct tern_table *table,
                     const struct listing *listing)
{
    size_t expected = 1, there = 0;
    const struct found *device = find(listing, "device"), *id = find(listing, "tern_id");
    for (size_t i = 0; i < listing->count; i++)
        there += listing->columns[i].key != 0;
    bool good =
        device != NULL && device->key != 0 && id != NULL && (id->key != 0) == (table->mode == TERN_APPEND);
    expected += table->mode == TERN_APPEND;
    for (uint8_t i = 0; good && i < table->column_count; i++) {
        const struct found *column = find(listing, table->columns[i].name);
        bool key = is_key(table, &table->columns[i]);
        good = column == NULL ? !key : (column->key != 0) == key;
        expected += key;
    }
    if (good && expected == there)
        return TERN_HOST_OK;
    return tern_sink_fail(
        &engine->sink, TERN_HOST_E_ARGUMENT,
        "table %s exists with another primary key than tern's (device and %s): rename it, or the device's "
        "table",
        table->name, table->mode == TERN_APPEND ? "tern_id" : "the key columns");
}

/* What can share a column: booleans and integers; decimals of any digits; each other kind with itself. */
static unsigned family(int64_t type)
{
    unsigned kind = TERN_TYPE_KIND(type);
    return kind <= TERN_KIND_SIGNED ? TERN_KIND_SIGNED : kind;
}

static int check_types(struct tern_sql_engine *engine, const struct tern_table *table,
                       const struct listing *listing)
{
    for (uint8_t i = 0; i < table->column_count; i++) {
        const struct found *column = find(listing, table->columns[i].name);
        if (column != NULL && column->type >= 0 && family(column->type) != family(table->columns[i].type))
            return tern_sink_fail(
                &engine->sink, TERN_HOST_E_ARGUMENT,
                "column %s of table %s was declared with another type before: give the new column another "
                "name",
                table->columns[i].name, table->name);
    }
    return TERN_HOST_OK;
}

/* ---- Making ----------------------------------------------------------------------------------------------------------------------- */

static void add_key(struct tern_sql_text *text, const struct tern_table *table)
{
    tern_sql_add(text, "\"device\"");
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, &table->columns[i]))
            tern_sql_add(text, ",\"%s\"", table->columns[i].name);
    if (table->mode == TERN_APPEND)
        tern_sql_add(text, ",\"tern_id\"");
}

static const struct tern_column device_column = {"device", TERN_TEXT(TERN_ID_MAX), TERN_KEY};
static const struct tern_column id_column = {"tern_id", TERN_I64, 0};

/* Columns but for tern's own are nullable: a later schema may lack one. */
static void write_create(struct tern_sql_engine *engine, const struct tern_table *table)
{
    const struct tern_sql_dialect *dialect = engine->dialect;
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(text, "CREATE TABLE \"%s\"(\"device\" %s NOT NULL,\"tern_id\" %s NOT NULL", table->name,
                 dialect->type(engine, &device_column), dialect->type(engine, &id_column));
    for (uint8_t i = 0; i < table->column_count; i++)
        tern_sql_add(text, ",\"%s\" %s%s", table->columns[i].name, dialect->type(engine, &table->columns[i]),
                     is_key(table, &table->columns[i]) ? " NOT NULL" : "");
    tern_sql_add(text, ",PRIMARY KEY(");
    add_key(text, table);
    tern_sql_add(text, "))%s", dialect->table_suffix(engine));
}

/* A statement that the database refuses, as for a reserved name, concerns this table only; everything else is tried again. */
static int execute_text(struct tern_sql_engine *engine, const char *doing)
{
    if (engine->text.failed)
        return tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
    int status = engine->client->ops->execute(engine->client, engine->text.text);
    if (status == TERN_HOST_OK)
        return status;
    return tern_sql_fail(engine, status == TERN_SQL_E_STATEMENT ? TERN_HOST_E_ARGUMENT : status, doing);
}

static int add_columns(struct tern_sql_engine *engine, const struct tern_table *table,
                       const struct listing *listing)
{
    int status = TERN_HOST_OK;
    for (uint8_t i = 0; i < table->column_count && status == TERN_HOST_OK; i++) {
        if (find(listing, table->columns[i].name) != NULL)
            continue;
        tern_sql_clear(&engine->text);
        tern_sql_add(&engine->text, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s", table->name,
                     table->columns[i].name, engine->dialect->type(engine, &table->columns[i]));
        status = execute_text(engine, "cannot add a column");
    }
    return status;
}

static int declare_columns(struct tern_sql_engine *engine, const struct tern_table *table)
{
    int status = TERN_HOST_OK;
    for (uint8_t i = 0; i < table->column_count && status == TERN_HOST_OK; i++) {
        struct tern_sql_value values[] = {tern_sql_string(table->name),
                                          tern_sql_string(table->columns[i].name),
                                          tern_sql_integer(table->columns[i].type)};
        status = tern_sql_run(engine, TERN_SQL_PUT_COLUMN, values, 3, NULL, NULL);
    }
    return status;
}

static int make(struct tern_sql_engine *engine, const struct tern_table *table, struct listing *listing)
{
    struct tern_sql_value name = tern_sql_string(table->name);
    int status = tern_sql_run(engine, TERN_SQL_READ_COLUMNS, &name, 1, take_column, listing);
    if (status == TERN_HOST_OK && listing->count == 0) {
        write_create(engine, table);
        status = execute_text(engine, "cannot create a table");
        return status == TERN_HOST_OK ? declare_columns(engine, table) : status;
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run(engine, TERN_SQL_READ_DECLARED, &name, 1, take_declared, listing);
    if (status == TERN_HOST_OK)
        status = check_key(engine, table, listing);
    if (status == TERN_HOST_OK)
        status = check_types(engine, table, listing);
    if (status == TERN_HOST_OK)
        status = add_columns(engine, table, listing);
    return status == TERN_HOST_OK ? declare_columns(engine, table) : status;
}

int tern_sql_make_table(struct tern_sql_engine *engine, const struct tern_table *table)
{
    struct listing listing = {malloc(COLUMNS_MAX * sizeof *listing.columns), 0};
    if (listing.columns == NULL)
        return tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
    int status = check_mode(engine, table);
    if (status == TERN_HOST_OK) {
        status = tern_sql_begin(&engine->sink);
        if (status == TERN_HOST_OK)
            status = make(engine, table, &listing);
        if (status == TERN_HOST_OK)
            status = tern_sql_execute(engine, "COMMIT", "cannot commit a table");
        if (status != TERN_HOST_OK)
            tern_sql_rollback(&engine->sink);
    }
    free(listing.columns);
    return status;
}

static int count_column(void *context, const struct tern_sql_value *values, size_t count)
{
    (void)values;
    *(size_t *)context += count != 0;
    return 0;
}

int tern_sql_find_tombs(struct tern_sql_engine *engine, const struct tern_table *table, bool *exist)
{
    char tombs[TERN_NAME_MAX + 32];
    size_t columns = 0;
    snprintf(tombs, sizeof tombs, "tern_deleted_%s", table->name);
    struct tern_sql_value name = tern_sql_string(tombs);
    int status = tern_sql_run(engine, TERN_SQL_READ_COLUMNS, &name, 1, count_column, &columns);
    *exist = columns != 0;
    return status;
}

int tern_sql_make_tombs(struct tern_sql_engine *engine, const struct tern_table *table)
{
    const struct tern_sql_dialect *dialect = engine->dialect;
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(
        text, "CREATE TABLE IF NOT EXISTS \"tern_deleted_%s\"(\"device\" %s NOT NULL,\"tern_id\" %s NOT NULL",
        table->name, dialect->type(engine, &device_column), dialect->type(engine, &id_column));
    for (uint8_t i = 0; i < table->column_count; i++)
        if (is_key(table, &table->columns[i]))
            tern_sql_add(text, ",\"%s\" %s NOT NULL", table->columns[i].name,
                         dialect->type(engine, &table->columns[i]));
    tern_sql_add(text, ",PRIMARY KEY(");
    add_key(text, table);
    tern_sql_add(text, "))%s", dialect->table_suffix(engine));
    return execute_text(engine, "cannot create the table of deleted keys");
}

/* ---- The list ---------------------------------------------------------------------------------------------------------------------- */

struct tern_sql_table *tern_sql_find_table(const struct tern_sql_engine *engine,
                                           const struct tern_table *table)
{
    struct tern_sql_table *known = engine->tables;
    while (known != NULL && known->schema != table)
        known = known->next;
    return known;
}

int tern_sql_prepare(struct tern_sink *sink, const struct tern_table *table, uint32_t hash)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    int status = tern_sql_make_table(engine, table);
    if (status != TERN_HOST_OK)
        return status;
    struct tern_sql_table *known = calloc(1, sizeof *known);
    if (known == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory");
    known->schema = table;
    known->hash = hash;
    known->next = engine->tables;
    engine->tables = known;
    return TERN_HOST_OK;
}
