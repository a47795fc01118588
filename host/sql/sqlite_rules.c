/* SPDX-License-Identifier: MIT */
/* Merge rules in SQLite: read the row, combine (rules.h), write it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../rules.h"
#include "sql_sqlite.h"

struct current {
    const struct tern_sql_table *table;
    struct tern_value values[TERN_COLUMNS_MAX];
    uint8_t texts[TERN_COLUMNS_MAX][TERN_TYPE_PARAMETER(0xFFF) + 1];
    int64_t id, first;
    bool found;
};

/* ---- Reading --------------------------------------------------------------------------------- */

static int64_t power_of_ten(unsigned digits)
{
    int64_t power = 1;
    while (digits-- != 0)
        power *= 10;
    return power;
}

/* Digits as the dialect writes them, with `decimals` of them behind the point. */
static int64_t scan_digits(const char *text, size_t size, unsigned decimals)
{
    bool negative = size > 0 && text[0] == '-', point = false;
    uint64_t number = 0;
    for (size_t i = negative; i < size; i++) {
        point = point || text[i] == '.';
        if (text[i] < '0' || text[i] > '9' || (point && decimals == 0))
            continue;
        number = number * 10 + (uint64_t)(text[i] - '0');
        decimals -= point;
    }
    while (decimals-- != 0)
        number *= 10;
    return (int64_t)(negative ? 0 - number : number);
}

static struct tern_value decode(const struct tern_column *column, const struct tern_sql_value *value,
                                uint8_t *room)
{
    unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
    unsigned decimals = kind == TERN_KIND_DECIMAL || kind == TERN_KIND_FLOAT ? parameter : 0;
    if (value->kind == TERN_SQL_NULL)
        return tern_null();
    if (kind == TERN_KIND_TEXT || kind == TERN_KIND_BYTES) {
        size_t size = value->kind <= TERN_SQL_REAL ? 0 : value->size;
        if (size > TERN_TYPE_PARAMETER(0xFFF))
            size = TERN_TYPE_PARAMETER(0xFFF);
        if (size != 0)
            memcpy(room, value->data, size);
        return tern_bytes(room, size);
    }
    if (value->kind == TERN_SQL_INTEGER)
        return tern_int((int64_t)((uint64_t)value->integer * (uint64_t)power_of_ten(decimals)));
    if (value->kind == TERN_SQL_REAL)
        return tern_int(llround(value->real * (double)power_of_ten(decimals)));
    return tern_int(scan_digits(value->data, value->size, decimals));
}

static int take_current(void *context, const struct tern_sql_value *values, size_t count)
{
    struct current *current = context;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t expected = tern_sql_list(current->table, TERN_SQL_VERSION | TERN_SQL_PAYLOAD, items);
    if (count < expected)
        return TERN_HOST_E_DATABASE;
    current->found = true;
    current->id = current->first = values[0].integer;
    for (size_t i = 1; i < expected; i++) {
        if (items[i].index >= 0)
            current->values[items[i].index] =
                decode(items[i].column, &values[i], current->texts[items[i].index]);
        else if (values[i].kind == TERN_SQL_INTEGER)
            current->first = values[i].integer;
    }
    return 0;
}

/* ---- Statements ------------------------------------------------------------------------------ */

static int ready_read(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    if (table->other[0] != NULL)
        return TERN_HOST_OK;
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "SELECT ");
    tern_sql_add_columns(engine, table, TERN_SQL_VERSION | TERN_SQL_PAYLOAD, "");
    tern_sql_add(&engine->text, " FROM ");
    tern_sql_add_table(engine, "", table->schema);
    tern_sql_add(&engine->text, " WHERE ");
    tern_sql_add_key(engine, table);
    return tern_sql_prepare_text(engine, &table->other[0]);
}

/* The row as it shall be; what this schema lacks is NULL in a newer one. */
static int ready_write(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    struct tern_sql_text *text = &engine->text;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, TERN_SQL_VERSION | TERN_SQL_PAYLOAD, items);
    if (table->insert != NULL)
        return TERN_HOST_OK;
    tern_sql_begin_insert(engine, "", table, TERN_SQL_ALL);
    tern_sql_add(text, " VALUES(");
    tern_sql_add_parameters(engine, table, TERN_SQL_ALL, 1);
    tern_sql_add(text, ") ON CONFLICT(");
    tern_sql_add_columns(engine, table, TERN_SQL_KEYS, "");
    tern_sql_add(text, ") DO UPDATE SET ");
    for (size_t i = 0; i < table->lack_count; i++)
        tern_sql_add_lack(engine, table, &table->lacks[i]);
    for (size_t i = 0; i < count; i++) {
        const char *name = items[i].index < 0
                               ? items[i].column->name
                               : tern_sql_column_name(engine, table->schema, items[i].column->name);
        tern_sql_add(text, "%s", i == 0 ? "" : ",");
        tern_sql_add_name(text, name);
        tern_sql_add(text, "=excluded.");
        tern_sql_add_name(text, name);
    }
    return tern_sql_prepare_text(engine, &table->insert);
}

/* ---- Combining ------------------------------------------------------------------------------- */

static int combine(struct tern_sql_engine *engine, struct tern_sql_table *table,
                   const struct tern_sink_row *row, const struct current *current, struct tern_value *out)
{
    struct tern_rules_row old = {current->id, current->first, current->values},
                          fresh = {row->id, row->first, row->values};
    int column = tern_rules_combine(table->schema, &old, &fresh, out);
    if (column < 0)
        return TERN_HOST_OK;
    snprintf(engine->client->error, sizeof engine->client->error,
             "the sum of column %s does not fit into 64 bits", table->schema->columns[column].name);
    return TERN_SQL_E_ROW;
}

int tern_sqlite_combine(struct tern_sql_engine *engine, struct tern_sql_table *table,
                        const struct tern_sink_row *row)
{
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX];
    char texts[TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    struct tern_value combined[TERN_COLUMNS_MAX];
    struct tern_sink_row whole = *row;
    struct current current; /* large: values are set as they are found */
    current.table = table;
    current.found = false;
    int status = ready_read(engine, table);
    if (status == TERN_HOST_OK)
        status = ready_write(engine, table);
    size_t count = tern_sql_bind(engine, table, TERN_SQL_KEYS, row, 0, values, texts);
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->other[0], values, count, take_current, &current);
    if (status == TERN_HOST_OK && current.found) {
        for (uint8_t i = 0; i < table->schema->column_count; i++)
            if (tern_sql_is_key(table->schema, i))
                current.values[i] = row->values[i];
        status = combine(engine, table, row, &current, combined);
        whole.values = combined;
        /* cppcheck-suppress uninitStructMember ; take_current sets them all with `found` */
        whole.id = current.id > row->id ? current.id : row->id;
        whole.first = current.first < row->first ? current.first : row->first;
    }
    count = tern_sql_bind(engine, table, TERN_SQL_ALL, &whole, 0, values, texts);
    return status != TERN_HOST_OK ? status
                                  : tern_sql_run_prepared(engine, table->insert, values, count, NULL, NULL);
}
