/* SPDX-License-Identifier: MIT */
/*
 * Rows into a MySQL or MariaDB table: by arrays (bulk_mysql.c), by LOAD DATA LOCAL INFILE (file_mysql.c), or
 * where few come or the server refuses something of that, by INSERTs of many rows, with ON DUPLICATE KEY
 * UPDATE where their keys may be there. Where there are tombstones the rows are a derived table, from which
 * those that a tombstone outlives are left out.
 *
 * When the server refuses a row it undoes the statement and nothing else, so that the rows are halved until
 * the one is found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"
#include "sql_mysql.h"
#include "value_text.h"

/* bytes at which a statement is sent: well below the smallest max_allowed_packet in use */
#define STATEMENT_SIZE 524288
#define ROWS_MAX       8192 /* of a statement */
#define UNION_MAX      64   /* rows of a derived table: each is a SELECT of its own there */

enum path { STRAIGHT, MERGE };

struct loading {
    struct tern_sql_engine *engine;
    struct tern_sql_table *table;
    const struct tern_sink_load *load;
    enum path path;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count;
    struct tern_buffer head; /* up to the first row */
    struct tern_buffer tail; /* behind the last one */
    struct tern_buffer statement;
    bool by_union; /* the rows are SELECTs */
};

static int out_of_memory(const struct loading *loading)
{
    struct tern_sql_client *client = loading->engine->client;
    snprintf(client->error, sizeof client->error, "out of memory");
    return TERN_HOST_E_SYSTEM;
}

/* ---- The statement's frame ------------------------------------------------------------------- */

static void set(struct tern_buffer *text, const void *bytes, size_t size)
{
    text->size = 0;
    tern_buffer_put(text, bytes, size);
}

/* INSERT INTO table(columns) VALUES, and the merge. */
static void frame_values(struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    tern_sql_begin_insert(engine, "", loading->table, TERN_SQL_ALL);
    tern_sql_add(&engine->text, " VALUES");
    set(&loading->head, engine->text.text, engine->text.size);
    tern_sql_clear(&engine->text);
    if (loading->path == MERGE)
        tern_sql_add_merge(engine, loading->table, "", "VALUES(%s)");
    set(&loading->tail, engine->text.text, loading->path == MERGE ? engine->text.size : 0);
}

/* INSERT INTO table(columns) WITH "tern_stage"(columns) AS (rows) SELECT ... FROM "tern_stage", as the engine
 * spells it. */
static void frame_union(struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    struct tern_sql_text names = {0};
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "WITH \"tern_stage\"(");
    tern_sql_add_columns(engine, loading->table, TERN_SQL_ALL, "");
    tern_sql_add(&engine->text, ") AS (");
    tern_sql_add(&names, "%s", engine->text.failed ? "" : engine->text.text);
    tern_sql_write_merge(engine, loading->table, "tern_stage", false, "VALUES(%s)");
    const char *select = engine->text.failed ? NULL : strstr(engine->text.text, ") SELECT s.");
    if (select == NULL || names.failed) {
        loading->head.failed = true;
    } else {
        set(&loading->head, engine->text.text, (size_t)(select + 2 - engine->text.text));
        tern_buffer_put(&loading->head, names.text, names.size);
        set(&loading->tail, select, strlen(select));
    }
    tern_sql_free(&names);
}

static int make_frame(struct loading *loading, enum path path)
{
    loading->path = path;
    loading->by_union = path == MERGE && loading->table->has_tombs;
    if (loading->by_union)
        frame_union(loading);
    else
        frame_values(loading);
    return loading->engine->text.failed || loading->head.failed || loading->tail.failed
               ? out_of_memory(loading)
               : TERN_HOST_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void add_quoted_number(struct tern_buffer *out, uint16_t type, int64_t number)
{
    char *at = (char *)tern_buffer_reserve(out, TERN_SQL_VALUE_ROOM + 2);
    if (at == NULL)
        return;
    *at = '\'';
    size_t size = tern_sql_write(at + 1, type, number);
    at[size + 1] = '\'';
    out->size += size + 2;
}

static void add_number(struct tern_buffer *out, int64_t number)
{
    char *at = (char *)tern_buffer_reserve(out, TERN_SQL_VALUE_ROOM);
    if (at != NULL)
        out->size += tern_sql_write_integer(at, number);
}

static void add_value(const struct loading *loading, struct tern_buffer *out,
                      const struct tern_column *column, const struct tern_value *value)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    if (value->is_null) {
        tern_buffer_put(out, "NULL", 4);
    } else if (kind == TERN_KIND_BOOL || kind == TERN_KIND_SIGNED) {
        add_number(out, value->number);
    } else if (kind < TERN_KIND_TEXT) {
        add_quoted_number(out, column->type, value->number);
    } else {
        char room[TERN_SQL_VALUE_ROOM];
        struct tern_sql_value bytes = loading->engine->dialect->value(loading->engine, column, value, room);
        tern_mysql_add_value(out, &bytes);
    }
}

static void add_row(struct loading *loading, const struct tern_sink_row *row, bool first)
{
    struct tern_buffer *out = &loading->statement;
    const char *before = loading->by_union ? first ? "SELECT " : " UNION ALL SELECT " : first ? "(" : ",(";
    tern_buffer_put(out, before, strlen(before));
    for (size_t i = 0; i < loading->item_count; i++) {
        const struct tern_sql_item *item = &loading->items[i];
        if (i != 0)
            tern_buffer_put(out, ",", 1);
        struct tern_value own;
        add_value(loading, out, item->column, tern_sql_item_value(item, row, &own));
    }
    if (!loading->by_union)
        tern_buffer_put(out, ")", 1);
}

/* Inserts the rows of this path from `first` on, as many as one statement takes, below `end`; `*next`: the
 * first one left. */
static int insert_some(struct loading *loading, size_t first, size_t end, size_t *next)
{
    struct tern_buffer *out = &loading->statement;
    size_t rows = 0, most = loading->by_union ? UNION_MAX : ROWS_MAX, i = first;
    set(out, loading->head.data, loading->head.size);
    for (; i < end && rows < most && out->size < STATEMENT_SIZE; i++)
        if (tern_sql_takes(loading->load->rows[i], loading->path == STRAIGHT))
            add_row(loading, loading->load->rows[i], rows++ == 0);
    tern_buffer_put(out, loading->tail.data, loading->tail.size);
    *next = i;
    if (out->failed)
        return out_of_memory(loading);
    return rows == 0 ? TERN_HOST_OK
                     : tern_mysql_query(loading->engine->client, (const char *)out->data, out->size);
}

/* A duplicate of a row that was merged by its key broke another constraint: the row is at fault, and stays
 * so. */
static bool is_refusal(const struct loading *loading, int status)
{
    return status == TERN_SQL_E_ROW || (status == TERN_SQL_E_DUPLICATE && loading->path == MERGE);
}

/* The merge gives tern_id no value where a row is equal to one of another key in some index: see
 * tern_sql_add_merge(). */
static const char *reason(const struct loading *loading)
{
    const char *error = loading->engine->client->error;
    bool clashes = strstr(error, "1048") != NULL && strstr(error, "'tern_id'") != NULL;
    return clashes ? "it is equal to a row of another key in a unique index of the table" : error;
}

static int load_path(struct loading *loading, enum path path)
{
    const struct tern_sink_load *load = loading->load;
    size_t end = load->count;
    int status = make_frame(loading, path);
    for (size_t first = 0, next; first < load->count && status == TERN_HOST_OK;) {
        int inserted = insert_some(loading, first, end, &next);
        if (inserted == TERN_HOST_OK) {
            first = next;
            end = load->count;
        } else if (!is_refusal(loading, inserted)) {
            status = inserted;
        } else if (next - first > 1) {
            end = first + (next - first) / 2;
        } else {
            load->reject(load->context, load->rows[first], reason(loading));
            end = load->count;
        }
    }
    return status;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int load_deletes(struct loading *loading)
{
    const struct tern_sink_load *load = loading->load;
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++) {
        struct tern_sink_row *row = load->rows[i];
        if (row->op != TERN_OP_DELETE || row->rejected)
            continue;
        status = tern_sql_delete(loading->engine, loading->table, row, load->at);
        if (status == TERN_SQL_E_ROW) {
            load->reject(load->context, row, loading->engine->client->error);
            status = TERN_HOST_OK;
        }
    }
    return status;
}

/* As fast as the server lets it be done; what it refuses is looked at row by row. An array's rows can be read
 * but once, not by a look for tombstones too. */
static int load_puts(struct loading *loading, enum path path)
{
    bool straight = path == STRAIGHT, done = false;
    bool has_bulk = tern_mysql_has_bulk(loading->engine->client) && (straight || !loading->table->has_tombs);
    int status = TERN_HOST_OK;
    if (has_bulk)
        status = tern_mysql_load_bulk(loading->engine, loading->table, loading->load, straight, &done);
    /* Arrays may just have been forbidden. */
    if (status == TERN_HOST_OK && !done && !(has_bulk && tern_mysql_has_bulk(loading->engine->client)))
        status = (straight ? tern_mysql_load_file : tern_mysql_merge_file)(loading->engine, loading->table,
                                                                           loading->load, &done);
    return status == TERN_HOST_OK && !done ? load_path(loading, path) : status;
}

int tern_mysql_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load)
{
    struct loading loading = {.engine = engine, .table = table, .load = load};
    loading.item_count = tern_sql_list(table, TERN_SQL_ALL, loading.items);
    int status = load_puts(&loading, STRAIGHT);
    if (status == TERN_HOST_OK)
        status = load_puts(&loading, MERGE);
    if (status == TERN_HOST_OK)
        status = load_deletes(&loading);
    tern_buffer_free(&loading.head);
    tern_buffer_free(&loading.tail);
    tern_buffer_free(&loading.statement);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, table->schema->name);
}
