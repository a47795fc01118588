/* SPDX-License-Identifier: MIT */
/*
 * The rows of a load as a table that SQLite reads: the virtual table tern_rows, whose columns c0, c1 ... are
 * those of the load in order. One statement then takes all of them, which saves what beginning and ending a
 * statement costs for each row.
 */
#include <stdlib.h>
#include <string.h>

#include "sql_sqlite.h"
#include "sqlite_module.h"

struct cursor {
    struct tern_sqlite_vtab_cursor base; /* first */
    struct tern_sqlite_feed *feed;
    char text[TERN_SQL_VALUE_ROOM];
};

struct table {
    struct tern_sqlite_vtab base; /* first */
    struct tern_sqlite_feed *feed;
};

#define RESULT_OK     0
#define RESULT_ERROR  1
#define RESULT_NO_MEM 7

/* ---- The table ------------------------------------------------------------------------------- */

static int connect_table(struct sqlite3 *database, void *context, int count, const char *const *arguments,
                         struct tern_sqlite_vtab **out, char **error)
{
    struct tern_sqlite_feed *feed = context;
    struct tern_sql_text text = {0};
    (void)count;
    (void)arguments;
    (void)error;
    struct table *table = calloc(1, sizeof *table);
    for (unsigned i = 0; i < TERN_SQL_ITEMS_MAX; i++)
        tern_sql_add(&text, "%sc%u", i == 0 ? "CREATE TABLE x(" : ",", i);
    tern_sql_add(&text, ")");
    int result = table == NULL || text.failed ? RESULT_NO_MEM : feed->api->declare_vtab(database, text.text);
    tern_sql_free(&text);
    if (result != RESULT_OK) {
        free(table);
        return result;
    }
    table->feed = feed;
    *out = &table->base;
    return RESULT_OK;
}

static int disconnect_table(struct tern_sqlite_vtab *table)
{
    free(table);
    return RESULT_OK;
}

/* There is one way to read it: from the first row to the last. */
static int find_index(struct tern_sqlite_vtab *table, struct sqlite3_index_info *info)
{
    (void)table;
    (void)info;
    return RESULT_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int open_cursor(struct tern_sqlite_vtab *table, struct tern_sqlite_vtab_cursor **out)
{
    struct cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        return RESULT_NO_MEM;
    cursor->feed = ((struct table *)table)->feed;
    *out = &cursor->base;
    return RESULT_OK;
}

static int close_cursor(struct tern_sqlite_vtab_cursor *cursor)
{
    free(cursor);
    return RESULT_OK;
}

static void skip(struct tern_sqlite_feed *feed)
{
    const struct tern_sink_load *load = feed->load;
    while (feed->at < feed->end &&
           (load->rows[feed->at]->op != TERN_OP_PUT || load->rows[feed->at]->rejected))
        feed->at++;
}

/* Goes on where the feed stands: a statement that failed at a row is run again for what follows. */
static int begin(struct tern_sqlite_vtab_cursor *cursor, int number, const char *text, int count,
                 struct sqlite3_value **values)
{
    (void)number;
    (void)text;
    (void)count;
    (void)values;
    skip(((struct cursor *)cursor)->feed);
    return RESULT_OK;
}

static int next(struct tern_sqlite_vtab_cursor *cursor)
{
    struct tern_sqlite_feed *feed = ((struct cursor *)cursor)->feed;
    feed->at++;
    if (feed->at < feed->end)
        tern_sql_fetch_ahead(feed->load, feed->at);
    skip(feed);
    return RESULT_OK;
}

static int is_end(struct tern_sqlite_vtab_cursor *cursor)
{
    const struct tern_sqlite_feed *feed = ((struct cursor *)cursor)->feed;
    return feed->at >= feed->end;
}

static int give_rowid(struct tern_sqlite_vtab_cursor *cursor, long long *rowid)
{
    *rowid = (long long)((struct cursor *)cursor)->feed->at;
    return RESULT_OK;
}

static void give_value(const struct tern_sqlite_api *api, struct sqlite3_context *to,
                       const struct tern_sql_value *value, void (*destroy)(void *))
{
    const void *data = value->size == 0 ? "" : value->data;
    switch (value->kind) {
    case TERN_SQL_INTEGER:
        api->result_int64(to, value->integer);
        break;
    case TERN_SQL_REAL:
        api->result_double(to, value->real);
        break;
    case TERN_SQL_TEXT:
        api->result_text(to, data, (int)value->size, destroy);
        break;
    case TERN_SQL_BLOB:
        api->result_blob(to, data, (int)value->size, destroy);
        break;
    default:
        api->result_null(to);
    }
}

/* A whole number that goes as it is: most of what comes. */
static bool is_whole(const struct tern_column *column, const struct tern_value *value)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    return !value->is_null && (kind == TERN_KIND_SIGNED || kind == TERN_KIND_BOOL ||
                               kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS);
}

/* Texts and bytes of the row stay until the load is over; those that are made here do not. */
void tern_sqlite_give(const struct tern_sqlite_feed *feed, struct sqlite3_context *to, size_t index,
                      char room[TERN_SQL_VALUE_ROOM])
{
    const struct tern_sink_row *row = feed->load->rows[feed->at];
    const struct tern_sql_item *item = &feed->items[index];
    if (item->index >= 0 && is_whole(item->column, &row->values[item->index])) {
        feed->api->result_int64(to, row->values[item->index].number);
    } else if (item->index >= 0) {
        struct tern_sql_value value =
            feed->engine->dialect->value(feed->engine, item->column, &row->values[item->index], room);
        give_value(feed->api, to, &value, value.data == room ? TERN_SQLITE_TRANSIENT : NULL);
    } else if (item->column == &tern_sql_device) {
        feed->api->result_text(to, row->device, -1, NULL);
    } else if (item->column != &tern_sql_deleted) {
        feed->api->result_int64(to, item->column == &tern_sql_id ? row->id : row->first);
    }
}

static int give_column(struct tern_sqlite_vtab_cursor *base, struct sqlite3_context *to, int index)
{
    struct cursor *cursor = (struct cursor *)base;
    if (index < 0 || (size_t)index >= cursor->feed->item_count)
        return RESULT_ERROR;
    tern_sqlite_give(cursor->feed, to, (size_t)index, cursor->text);
    return RESULT_OK;
}

/* No xCreate: the table is there by its name alone. */
static const struct tern_sqlite_module module = {.connect = connect_table,
                                                 .best_index = find_index,
                                                 .disconnect = disconnect_table,
                                                 .open = open_cursor,
                                                 .close = close_cursor,
                                                 .filter = begin,
                                                 .next = next,
                                                 .eof = is_end,
                                                 .column = give_column,
                                                 .rowid = give_rowid};

int tern_sqlite_feed_register(struct tern_sqlite_feed *feed, struct sqlite3 *database)
{
    return feed->api->create_module(database, "tern_rows", (const struct sqlite3_module *)&module, feed);
}
