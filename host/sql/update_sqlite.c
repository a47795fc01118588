/* SPDX-License-Identifier: MIT */
/*
 * Rows of one device that update what is there: one UPDATE walks through the table from the lowest to the
 * highest of their keys, beside the rows, which stand in the same order. It finds no row by its key, and that
 * is most of what an upsert costs. Two functions make it:
 *
 *     tern_meets(key ..., tern_id)   goes on in the feed to the row of this key; true if it is newer than
 *                                    this tern_id
 *     tern_value(N)                  the Nth column of the row that was met
 *
 * They need SQLite to update each row when it comes to it, which it does where nobody has added a trigger; if
 * it does not, they fail, and so does the UPDATE. A row counts as done when it was updated, or was met and is
 * no newer.
 */
#include <string.h>

#include "sql_sqlite.h"

enum { TYPE_INTEGER = 1, TYPE_TEXT = 3, TYPE_BLOB = 4 };
enum { ENCODING_UTF8 = 1 };

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool is_text(const struct tern_column *column)
{
    return TERN_TYPE_KIND(column->type) == TERN_KIND_TEXT || TERN_TYPE_KIND(column->type) == TERN_KIND_BYTES;
}

/* Whether SQLite holds and orders the column's values as they stand in a load. */
static bool is_ordered(const struct tern_column *column)
{
    switch (TERN_TYPE_KIND(column->type)) {
    case TERN_KIND_UNSIGNED:
        return TERN_TYPE_PARAMETER(column->type) < 64; /* beyond INTEGER they are TEXT */
    case TERN_KIND_DECIMAL:
    case TERN_KIND_FLOAT:
        return false;
    default:
        return true;
    }
}

bool tern_sqlite_walks(const struct tern_sql_table *table)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, TERN_SQL_KEYS, items);
    for (size_t i = 1; i < count; i++)
        if (!is_ordered(items[i].column))
            return false;
    return table->has_keys && !table->has_rules;
}

static int compare_bytes(const struct tern_sqlite_api *api, const struct tern_value *mine,
                         struct sqlite3_value *theirs, bool is_bytes)
{
    const void *data = is_bytes ? api->value_blob(theirs) : api->value_text(theirs);
    size_t size = (size_t)api->value_bytes(theirs), common = size < mine->size ? size : mine->size;
    int order = common == 0 ? 0 : data == NULL ? 1 : memcmp(mine->data, data, common);
    return order != 0 ? order : (mine->size > size) - (mine->size < size);
}

/* The row's key against that of the table. What the table should not hold in such a column is passed over. */
static int compare(const struct tern_sqlite_feed *feed, const struct tern_sink_row *row,
                   struct sqlite3_value **values)
{
    const struct tern_sqlite_api *api = feed->api;
    int order = 0;
    for (size_t i = 1; i < feed->key_count && order == 0; i++) {
        const struct tern_column *column = feed->items[i].column;
        const struct tern_value *mine = &row->values[feed->items[i].index];
        bool is_bytes = TERN_TYPE_KIND(column->type) == TERN_KIND_BYTES;
        if (mine->is_null)
            return -1;
        if (api->value_type(values[i - 1]) != (is_bytes          ? TYPE_BLOB
                                               : is_text(column) ? TYPE_TEXT
                                                                 : TYPE_INTEGER))
            return 1;
        if (is_text(column)) {
            order = compare_bytes(api, mine, values[i - 1], is_bytes);
        } else {
            int64_t theirs = api->value_int64(values[i - 1]);
            order = (mine->number > theirs) - (mine->number < theirs);
        }
    }
    return order;
}

/* ---- The functions --------------------------------------------------------------------------- */

static bool is_put(const struct tern_sink_row *row)
{
    return row->op == TERN_OP_PUT && !row->rejected;
}

static void go_on(struct tern_sqlite_feed *feed)
{
    feed->at++;
    if (feed->at < feed->end)
        tern_sql_fetch_ahead(feed->load, feed->at);
}

/* The row at which the feed stands was not there. */
static void miss(struct tern_sqlite_feed *feed)
{
    if (is_put(feed->load->rows[feed->at]) && feed->at < feed->missed)
        feed->missed = feed->at;
    go_on(feed);
}

static void meet(struct sqlite3_context *to, int count, struct sqlite3_value **values)
{
    struct tern_sqlite_feed *feed = tern_sqlite_library->user_data(to);
    const struct tern_sqlite_api *api = feed->api;
    int order = -1;
    if ((feed->is_met && !feed->is_given) || (size_t)count != feed->key_count ||
        feed->passed++ == feed->most) {
        api->result_error(to, "the rows cannot be updated one beside the other", -1);
        return;
    }
    if (feed->is_met)
        go_on(feed);
    feed->is_met = feed->is_given = false;
    while (feed->at < feed->end) {
        const struct tern_sink_row *row = feed->load->rows[feed->at];
        order = is_put(row) ? compare(feed, row, values) : -1;
        if (order >= 0)
            break;
        miss(feed);
    }
    if (order == 0 && feed->load->rows[feed->at]->id > api->value_int64(values[count - 1]))
        feed->is_met = true;
    else if (order == 0)
        go_on(feed);
    api->result_int64(to, feed->is_met);
}

static void give(struct sqlite3_context *to, int count, struct sqlite3_value **values)
{
    struct tern_sqlite_feed *feed = tern_sqlite_library->user_data(to);
    long long index = feed->api->value_int64(values[0]);
    (void)count;
    feed->is_given = true;
    if (feed->is_met && index >= 0 && (size_t)index < feed->item_count)
        tern_sqlite_give(feed, to, (size_t)index, feed->text);
    else
        feed->api->result_error(to, "there is no row", -1);
}

int tern_sqlite_update_register(struct tern_sqlite_feed *feed, struct sqlite3 *database)
{
    int result =
        feed->api->create_function(database, "tern_meets", -1, ENCODING_UTF8, feed, meet, NULL, NULL);
    return result != 0
               ? result
               : feed->api->create_function(database, "tern_value", 1, ENCODING_UTF8, feed, give, NULL, NULL);
}

/* ---- The statement --------------------------------------------------------------------------- */

static void add_sets(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                     const struct tern_sqlite_feed *feed)
{
    struct tern_sql_text *text = &engine->text;
    for (size_t i = 0; i < table->lack_count; i++) {
        tern_sql_add_name(text, table->lacks[i].name);
        tern_sql_add(text, "=NULL,");
    }
    for (size_t i = feed->key_count; i < feed->item_count; i++) {
        tern_sql_add_item(engine, table, &feed->items[i]);
        tern_sql_add(text, "=tern_value(%zu)%s", i, i + 1 < feed->item_count ? "," : "");
    }
}

/* OR FAIL: a refused row need not take back those before it. */
static int ready_update(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                        const struct tern_sqlite_feed *feed, struct tern_sql_prepared **prepared)
{
    struct tern_sql_text *text = &engine->text;
    if (*prepared != NULL)
        return TERN_HOST_OK;
    tern_sql_clear(text);
    tern_sql_add(text, "UPDATE OR FAIL ");
    tern_sql_add_table(engine, "", table->schema);
    tern_sql_add(text, " SET ");
    add_sets(engine, table, feed);
    tern_sql_add(text, " WHERE \"device\"=?1 AND ");
    tern_sql_add_item(engine, table, &feed->items[1]);
    tern_sql_add(text, ">=?2 AND ");
    tern_sql_add_item(engine, table, &feed->items[1]);
    tern_sql_add(text, "<=?3 AND tern_meets(");
    for (size_t i = 1; i < feed->key_count; i++) {
        tern_sql_add_item(engine, table, &feed->items[i]);
        tern_sql_add(text, ",");
    }
    tern_sql_add(text, "\"tern_id\")");
    return tern_sql_prepare_text(engine, prepared);
}

int tern_sqlite_update(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                       struct tern_sqlite_feed *feed, struct tern_sql_prepared **prepared, size_t first,
                       size_t end)
{
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX], last[TERN_SQL_ITEMS_MAX];
    char texts[2][TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    int status = ready_update(engine, table, feed, prepared);
    if (status != TERN_HOST_OK)
        return status;
    tern_sql_bind(engine, table, TERN_SQL_KEYS, feed->load->rows[first], 0, values, texts[0]);
    tern_sql_bind(engine, table, TERN_SQL_KEYS, feed->load->rows[end - 1], 0, last, texts[1]);
    values[2] = last[1];
    feed->at = first;
    feed->end = feed->missed = end;
    feed->most = 2 * (end - first);
    feed->passed = 0;
    feed->is_met = feed->is_given = false;
    status = tern_sql_run_prepared(engine, *prepared, values, 3, NULL, NULL);
    if (status == TERN_HOST_OK && feed->is_met)
        go_on(feed);
    while (feed->at < end && feed->missed == end)
        miss(feed);
    feed->at = feed->end;
    feed->is_met = false;
    return status;
}
