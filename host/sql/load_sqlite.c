/* SPDX-License-Identifier: MIT */
/*
 * Rows into a SQLite table, by statements that read them in order of the key (feed_sqlite.c). Of a device
 * with some rows, those that update what is there go in first (update_sqlite.c), and show what the rest of
 * them meets:
 *
 *     nothing in between them     they are inserted, by a statement that needs no journal of its own.
 *     anything else               an upsert looks for each of them.
 *
 * A row that is refused sends its statement's rows through the upsert: what is in already stays as it is, for
 * it is no older. The refused ones are left out of that; where a trigger of the user's has rows put aside
 * first, so that nobody can tell which one it is, by upserts of one row each. Tables with merge rules are
 * merged here and not by SQL (sqlite_rules.c).
 */
#include "sql.h"
#include "sql_sqlite.h"

/* rows of a statement: an upsert keeps the pages that it changes in memory until it ends */
#define SLICE     4096u
#define RUN_LEAST 16u /* rows of a device: for fewer an UPDATE is not worth it */
#define PASSES    16u /* devices that go without one after it was in vain */

/* The statements of struct tern_sql_table.other; the first is of sqlite_rules.c. */
enum { OTHER_MERGE = 1, OTHER_INSERT, OTHER_UPDATE };

enum way { MERGE = OTHER_MERGE, INSERT = OTHER_INSERT };

struct loading {
    struct tern_sql_engine *engine;
    struct tern_sql_table *table;
    const struct tern_sink_load *load;
    struct tern_sqlite_feed *feed;
    bool walks; /* tern_sqlite_walks() */
    /* Rows that are to go in one way. */
    size_t first, end;
    enum way way;
};

/* ---- Row by row ------------------------------------------------------------------------------ */

static void add_no_tombs(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    tern_sql_add(&engine->text, "NOT EXISTS(SELECT 1 FROM ");
    tern_sql_add_table(engine, "tern_deleted_", table->schema);
}

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
        add_no_tombs(engine, table);
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

/* Runs `load_row` for rows from `first` to before `end`, all or the deletes alone. */
static int load_rows(const struct loading *loading, size_t first, size_t end, bool deletes_only)
{
    const struct tern_sink_load *load = loading->load;
    int status = TERN_HOST_OK;
    for (size_t i = first; i < end && status == TERN_HOST_OK; i++) {
        struct tern_sink_row *row = load->rows[i];
        if (row->rejected || (deletes_only && row->op != TERN_OP_DELETE))
            continue;
        status = load_row(loading->engine, loading->table, row, load->at);
        if (is_refusal(status)) {
            load->reject(load->context, row, loading->engine->client->error);
            status = TERN_HOST_OK;
        }
    }
    return status;
}

/* ---- Statements that read the rows ----------------------------------------------------------- */

/* What ready_insert() says of one row, of all of the feed. */
static void add_merge(const struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    const struct tern_sql_table *table = loading->table;
    struct tern_sql_text *text = &engine->text;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t keys = tern_sql_list(table, TERN_SQL_KEYS, items);
    tern_sql_add(text, " WHERE ");
    if (table->has_tombs && table->has_keys) {
        add_no_tombs(engine, table);
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
}

/* A row that fails leaves those before it. */
static int ready_feed(const struct loading *loading, enum way way)
{
    struct tern_sql_engine *engine = loading->engine;
    struct tern_sql_table *table = loading->table;
    struct tern_sql_text *text = &engine->text;
    if (table->other[way] != NULL)
        return TERN_HOST_OK;
    tern_sql_clear(text);
    tern_sql_add(text, "INSERT OR FAIL INTO ");
    tern_sql_add_table(engine, "", table->schema);
    tern_sql_add(text, "(");
    tern_sql_add_columns(engine, table, TERN_SQL_ALL, "");
    for (size_t i = 0; i < loading->feed->item_count; i++)
        tern_sql_add(text, "%ss.c%zu", i == 0 ? ") SELECT " : ",", i);
    tern_sql_add(text, " FROM tern_rows AS s");
    if (way == MERGE)
        add_merge(loading);
    return tern_sql_prepare_text(engine, &table->other[way]);
}

static int run_feed(const struct loading *loading, enum way way)
{
    int status = ready_feed(loading, way);
    return status != TERN_HOST_OK
               ? status
               : tern_sql_run_prepared(loading->engine, loading->table->other[way], NULL, 0, NULL, NULL);
}

static int load_slice(const struct loading *loading, size_t first, size_t end, enum way way)
{
    const struct tern_sink_load *load = loading->load;
    struct tern_sqlite_feed *feed = loading->feed;
    int status = TERN_HOST_OK;
    feed->at = first;
    feed->end = end;
    if (way != MERGE && !is_refusal(status = run_feed(loading, way)))
        return status;
    for (feed->at = first, status = TERN_HOST_OK; status == TERN_HOST_OK && feed->at < end;) {
        status = run_feed(loading, MERGE);
        if (!is_refusal(status))
            continue;
        if (feed->at >= end)
            return load_rows(loading, first, end, false);
        load->reject(load->context, load->rows[feed->at++], loading->engine->client->error);
        status = TERN_HOST_OK;
    }
    return status;
}

/* ---- Devices --------------------------------------------------------------------------------- */

/* Brings in what was put together. */
static int flush(struct loading *loading)
{
    int status = TERN_HOST_OK;
    for (size_t at = loading->first, end; at < loading->end && status == TERN_HOST_OK; at = end) {
        end = loading->end - at < SLICE ? loading->end : at + SLICE;
        status = load_slice(loading, at, end, loading->way);
    }
    loading->first = loading->end;
    return status;
}

/* Updates what is there of the rows of one device. `*first`: the first that is not; `*way` says how the rest
 * goes in. That it cannot be done is no failure: an upsert of the same rows will show it if it is. */
static int update_run(struct loading *loading, size_t *first, size_t end, enum way *way)
{
    struct tern_sqlite_feed *feed = loading->feed;
    *way = MERGE;
    if (!loading->walks || end - *first < RUN_LEAST)
        return TERN_HOST_OK;
    if (feed->passes != 0) {
        feed->passes--;
        return TERN_HOST_OK;
    }
    int status = tern_sqlite_update(loading->engine, loading->table, feed,
                                    &loading->table->other[OTHER_UPDATE], *first, end);
    if (status != TERN_HOST_OK && status != TERN_SQL_E_STATEMENT && !is_refusal(status))
        return status;
    if (status != TERN_HOST_OK || (feed->passed != 0 && feed->missed < *first + (end - *first) / 2))
        feed->passes = PASSES;
    if (status != TERN_HOST_OK)
        return TERN_HOST_OK; /* what it updated may have been taken back */
    if (feed->passed == 0 && !loading->table->has_tombs)
        *way = INSERT;
    *first = feed->missed;
    return TERN_HOST_OK;
}

/* Rows of devices that stand side by side and go in the same way are one statement. */
static int load_puts(struct loading *loading)
{
    struct tern_sink_row *const *rows = loading->load->rows;
    int status = TERN_HOST_OK;
    for (size_t i = 0, end; i < loading->load->count && status == TERN_HOST_OK; i = end) {
        enum way way;
        size_t first = i;
        for (end = i + 1; end < loading->load->count && rows[end]->device == rows[i]->device;)
            end++;
        status = update_run(loading, &first, end, &way);
        if (status == TERN_HOST_OK &&
            (way != loading->way || first != loading->end || loading->end - loading->first >= SLICE)) {
            status = flush(loading);
            loading->first = first;
            loading->way = way;
        }
        loading->end = end;
    }
    return status == TERN_HOST_OK ? flush(loading) : status;
}

int tern_sqlite_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                          const struct tern_sink_load *load)
{
    struct loading loading = {.engine = engine,
                              .table = table,
                              .load = load,
                              .feed = tern_sqlite_client_feed(engine->client),
                              .way = MERGE};
    loading.feed->engine = engine;
    loading.feed->load = load;
    loading.feed->item_count = tern_sql_list(table, TERN_SQL_ALL, loading.feed->items);
    struct tern_sql_item keys[TERN_SQL_ITEMS_MAX];
    loading.feed->key_count = tern_sql_list(table, TERN_SQL_KEYS, keys);
    loading.walks = tern_sqlite_walks(table);
    int status = load_rows(&loading, 0, load->count, !table->has_rules);
    if (status == TERN_HOST_OK && !table->has_rules)
        status = load_puts(&loading);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, table->schema->name);
}
