/* SPDX-License-Identifier: MIT */
/*
 * Rows by one INSERT that MariaDB runs for arrays of values: it parses neither a statement nor a number for
 * each row, which is a fifth of its work with LOAD DATA, and where rows are merged it needs no temporary
 * table. It is strict, other than LOAD DATA LOCAL: the first row that it refuses ends the statement, and
 * INSERTs then find out which one that was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"
#include "sql_mysql.h"
#include "value_text.h"

#define ROWS_LEAST 16   /* fewer go as fast by INSERT */
#define ROWS_MOST  8192 /* of one array */
/* bytes at which an array is sent: well below the smallest max_allowed_packet in use */
#define PACKET_SIZE 524288

enum { TYPE_DOUBLE = 5, TYPE_INTEGER = 8, TYPE_BLOB = 252, TYPE_STRING = 254 };

/* A column's values, one a row. */
struct array {
    unsigned type;
    bool is_unsigned;
    int64_t *integers;
    double *reals;
    const void **bytes;
    unsigned long *sizes;
    char *nulls;
    char (*texts)[TERN_SQL_VALUE_ROOM]; /* of numbers that go as text */
};

struct bulk {
    struct tern_sql_engine *engine;
    struct tern_sql_table *table;
    const struct tern_sink_load *load;
    bool straight;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count;
    struct array arrays[TERN_SQL_ITEMS_MAX];
    struct tern_mysql_bind binds[TERN_SQL_ITEMS_MAX];
    size_t room;  /* rows */
    size_t count; /* of them in use */
    size_t bytes; /* that they take */
    size_t at;    /* the load's next row */
};

/* ---- Arrays ---------------------------------------------------------------------------------- */

static unsigned type_of(const struct tern_column *column)
{
    switch (TERN_TYPE_KIND(column->type)) {
    case TERN_KIND_BOOL:
    case TERN_KIND_SIGNED:
    case TERN_KIND_UNSIGNED:
        return TYPE_INTEGER;
    case TERN_KIND_FLOAT:
        return TYPE_DOUBLE;
    case TERN_KIND_BYTES:
        return TYPE_BLOB;
    default:
        return TYPE_STRING;
    }
}

static bool make_array(struct array *array, const struct tern_column *column, size_t room)
{
    array->type = type_of(column);
    array->is_unsigned = TERN_TYPE_KIND(column->type) == TERN_KIND_UNSIGNED;
    array->nulls = malloc(room);
    if (array->type == TYPE_INTEGER)
        return (array->integers = malloc(room * sizeof *array->integers)) != NULL && array->nulls != NULL;
    if (array->type == TYPE_DOUBLE)
        return (array->reals = malloc(room * sizeof *array->reals)) != NULL && array->nulls != NULL;
    array->bytes = malloc(room * sizeof(const void *));
    array->sizes = malloc(room * sizeof *array->sizes);
    bool is_number = TERN_TYPE_KIND(column->type) < TERN_KIND_TEXT;
    if (is_number)
        array->texts = malloc(room * sizeof *array->texts);
    return array->nulls != NULL && array->bytes != NULL && array->sizes != NULL &&
           (array->texts != NULL || !is_number);
}

static void free_arrays(struct bulk *bulk)
{
    for (size_t i = 0; i < bulk->item_count; i++) {
        struct array *array = &bulk->arrays[i];
        free(array->integers);
        free(array->reals);
        free(array->bytes);
        free(array->sizes);
        free(array->nulls);
        free(array->texts);
    }
}

static bool make_arrays(struct bulk *bulk)
{
    bulk->room = PACKET_SIZE / (16 * bulk->item_count);
    bulk->room = bulk->room > ROWS_MOST ? ROWS_MOST : bulk->room;
    for (size_t i = 0; i < bulk->item_count; i++) {
        struct array *array = &bulk->arrays[i];
        if (!make_array(array, bulk->items[i].column, bulk->room))
            return false;
        struct tern_mysql_bind *bind = &bulk->binds[i];
        bind->type = array->type;
        bind->is_unsigned = array->is_unsigned;
        bind->indicator = array->nulls;
        bind->length = array->sizes;
        bind->buffer = array->type == TYPE_INTEGER  ? (void *)array->integers
                       : array->type == TYPE_DOUBLE ? (void *)array->reals
                                                    : (void *)array->bytes;
    }
    return true;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void set_bytes(struct bulk *bulk, struct array *array, const void *data, size_t size)
{
    array->bytes[bulk->count] = size == 0 ? "" : data;
    array->sizes[bulk->count] = (unsigned long)size;
    bulk->bytes += size;
}

static void set_value(struct bulk *bulk, struct array *array, const struct tern_column *column,
                      const struct tern_value *value)
{
    size_t row = bulk->count;
    bulk->bytes += 9;
    array->nulls[row] = (char)(value->is_null != 0);
    if (array->type == TYPE_INTEGER)
        array->integers[row] = value->number;
    else if (array->type == TYPE_DOUBLE)
        array->reals[row] = tern_sql_double(value->number, TERN_TYPE_PARAMETER(column->type));
    else if (value->is_null)
        set_bytes(bulk, array, NULL, 0);
    else if (array->texts == NULL)
        set_bytes(bulk, array, value->data, value->size);
    else
        set_bytes(bulk, array, array->texts[row],
                  tern_sql_write(array->texts[row], column->type, value->number));
}

static void add_row(struct bulk *bulk, const struct tern_sink_row *row)
{
    for (size_t i = 0; i < bulk->item_count; i++) {
        const struct tern_sql_item *item = &bulk->items[i];
        struct tern_value own;
        set_value(bulk, &bulk->arrays[i], item->column, tern_sql_item_value(item, row, &own));
    }
    bulk->count++;
}

/* The next rows, as many as are sent at once. */
static void fill(struct bulk *bulk)
{
    bulk->count = bulk->bytes = 0;
    for (; bulk->at < bulk->load->count && bulk->count < bulk->room && bulk->bytes < PACKET_SIZE;
         bulk->at++) {
        tern_sql_fetch_ahead(bulk->load, bulk->at);
        if (tern_sql_takes(bulk->load->rows[bulk->at], bulk->straight))
            add_row(bulk, bulk->load->rows[bulk->at]);
    }
}

/* ---- The statement --------------------------------------------------------------------------- */

static int begin(struct bulk *bulk)
{
    struct tern_sql_engine *engine = bulk->engine;
    tern_sql_begin_insert(engine, "", bulk->table, TERN_SQL_ALL);
    for (size_t i = 0; i < bulk->item_count; i++)
        tern_sql_add(&engine->text, i == 0 ? " VALUES(?" : ",?");
    tern_sql_add(&engine->text, ")");
    if (!bulk->straight)
        tern_sql_add_merge(engine, bulk->table, "", "VALUES(%s)");
    if (engine->text.failed || !make_arrays(bulk)) {
        snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    return tern_mysql_bulk_begin(engine->client, engine->text.text, engine->text.size);
}

static int send(struct bulk *bulk)
{
    int status = begin(bulk);
    while (status == TERN_HOST_OK && bulk->at < bulk->load->count) {
        uint64_t affected = 0;
        fill(bulk);
        if (bulk->count == 0)
            break;
        status = tern_mysql_bulk_run(bulk->engine->client, bulk->binds, (unsigned)bulk->count, &affected);
        if (status == TERN_HOST_OK && bulk->straight && affected != bulk->count)
            status = TERN_SQL_E_ROW;
    }
    tern_mysql_bulk_end(bulk->engine->client);
    return status;
}

static size_t count_rows(const struct tern_sink_load *load, bool straight)
{
    size_t count = 0;
    for (size_t i = 0; i < load->count && count < ROWS_LEAST; i++)
        count += tern_sql_takes(load->rows[i], straight);
    return count;
}

int tern_mysql_load_bulk(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load, bool straight, bool *done)
{
    *done = false;
    if (!tern_mysql_has_bulk(engine->client) || count_rows(load, straight) < ROWS_LEAST)
        return TERN_HOST_OK;
    struct bulk *bulk = calloc(1, sizeof *bulk);
    if (bulk == NULL)
        return tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
    *bulk = (struct bulk){.engine = engine, .table = table, .load = load, .straight = straight};
    bulk->item_count = tern_sql_list(table, TERN_SQL_ALL, bulk->items);
    int status = tern_mysql_savepoint(engine);
    if (status == TERN_HOST_OK)
        status = tern_mysql_settle(engine, send(bulk), done);
    free_arrays(bulk);
    free(bulk);
    return status;
}
