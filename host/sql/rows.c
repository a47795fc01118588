/* SPDX-License-Identifier: MIT */
/* What is done to single rows, or to all of a device, alike in every database: deletes, snapshots, a look at
 * the highest key. */
#include <stdio.h>
#include <string.h>

#include "sql.h"

#define TOMB_COLUMNS (TERN_SQL_KEYS | TERN_SQL_VERSION | TERN_SQL_DELETED)

/* INSERT of one row, whose values are the parameters from ?1 on. */
static void insert_row(struct tern_sql_engine *engine, const char *prefix, const struct tern_sql_table *table,
                       unsigned columns)
{
    tern_sql_begin_insert(engine, prefix, table, columns);
    tern_sql_add(&engine->text, " VALUES(");
    tern_sql_add_parameters(engine, table, columns, 1);
    tern_sql_add(&engine->text, ")");
}

/* ---- Deletes --------------------------------------------------------------------------------- */

void tern_sql_add_key(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, TERN_SQL_KEYS, items);
    for (size_t i = 0; i < count; i++) {
        tern_sql_add(&engine->text, "%s", i == 0 ? "" : " AND ");
        if (items[i].index < 0)
            tern_sql_add_name(&engine->text, items[i].column->name);
        else
            tern_sql_add_column(engine, table->schema, items[i].column->name);
        tern_sql_add(&engine->text, "=?%zu", i + 1);
    }
}

/* Parameters: the key, tern_id. */
static int ready_hard(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t keys = tern_sql_list(table, TERN_SQL_KEYS, items);
    if (table->bury != NULL)
        return TERN_HOST_OK;
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "DELETE FROM ");
    tern_sql_add_table(engine, "", table->schema);
    tern_sql_add(&engine->text, " WHERE ");
    tern_sql_add_key(engine, table);
    tern_sql_add(&engine->text, " AND \"tern_id\"<?%zu", keys + 1);
    int status = tern_sql_prepare_text(engine, &table->remove);
    if (status != TERN_HOST_OK)
        return status;
    struct tern_sql_table tombs = tern_sql_tombs(table);
    insert_row(engine, "tern_deleted_", &tombs, TOMB_COLUMNS);
    tern_sql_add_merge(engine, &tombs, "tern_deleted_", tern_sql_excluded(engine));
    return tern_sql_prepare_text(engine, &table->bury);
}

static int ready_soft(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    if (table->remove != NULL)
        return TERN_HOST_OK;
    insert_row(engine, "", table, TERN_SQL_ALL);
    tern_sql_add_merge(engine, table, "", tern_sql_excluded(engine));
    return tern_sql_prepare_text(engine, &table->remove);
}

static int delete_hard(struct tern_sql_engine *engine, struct tern_sql_table *table,
                       const struct tern_sink_row *row, int64_t at)
{
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX];
    char texts[TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    struct tern_sql_table tombs = tern_sql_tombs(table);
    int status = ready_hard(engine, table);
    size_t count = tern_sql_bind(engine, &tombs, TOMB_COLUMNS, row, at, values, texts);
    if (status == TERN_HOST_OK) /* it has no use for the time, which comes last */
        status = tern_sql_run_prepared(engine, table->remove, values, count - 1, NULL, NULL);
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->bury, values, count, NULL, NULL);
    return status;
}

int tern_sql_delete(struct tern_sql_engine *engine, struct tern_sql_table *table,
                    const struct tern_sink_row *row, int64_t at)
{
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX];
    char texts[TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    if (!table->has_keys || table->has_rules) {
        snprintf(engine->client->error, sizeof engine->client->error, "a delete in a table %s",
                 table->has_keys ? "with merge rules" : "without a key");
        return TERN_SQL_E_ROW;
    }
    if (!engine->config.soft_delete)
        return delete_hard(engine, table, row, at);
    int status = ready_soft(engine, table);
    size_t count = tern_sql_bind(engine, table, TERN_SQL_ALL, row, at, values, texts);
    return status != TERN_HOST_OK ? status
                                  : tern_sql_run_prepared(engine, table->remove, values, count, NULL, NULL);
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

static int take_number(void *context, const struct tern_sql_value *values, size_t count)
{
    if (count > 0 && values[0].kind == TERN_SQL_INTEGER)
        *(int64_t *)context = values[0].integer;
    return 0;
}

int tern_sql_lock_device(struct tern_sql_engine *engine, const struct tern_table *table, const char *device)
{
    struct tern_sql_value values[] = {tern_sql_string(device), tern_sql_string(table->name)};
    if (engine->dialect->lock[0] == '\0') /* the whole database is locked */
        return TERN_HOST_OK;
    return tern_sql_run(engine, TERN_SQL_LOCK_DEVICE, values, 2, NULL, NULL);
}

int tern_sql_read_snapshot(struct tern_sink *sink, const struct tern_table *table, const char *device,
                           int64_t *begin)
{
    struct tern_sql_value values[] = {tern_sql_string(device), tern_sql_string(table->name)};
    int status = tern_sql_lock_device((struct tern_sql_engine *)sink, table, device);
    *begin = 0;
    return status != TERN_HOST_OK ? status
                                  : tern_sql_run((struct tern_sql_engine *)sink, TERN_SQL_READ_SNAPSHOT,
                                                 values, 2, take_number, begin);
}

int tern_sql_replace(struct tern_sink *sink, const struct tern_table *schema, const char *device,
                     int64_t begin)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table *table = tern_sql_find_table(engine, schema);
    struct tern_sql_value values[] = {tern_sql_string(device), tern_sql_string(schema->name),
                                      tern_sql_integer(begin)};
    struct tern_sql_value older[] = {values[0], values[2]};
    int status = TERN_HOST_OK;
    if (table == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_DATABASE, "table %s was not prepared", schema->name);
    if (table->clear == NULL) {
        tern_sql_clear(&engine->text);
        tern_sql_add(&engine->text, "DELETE FROM ");
        tern_sql_add_table(engine, "", schema);
        tern_sql_add(&engine->text, " WHERE \"device\"=?1 AND \"tern_id\"<?2");
        status = tern_sql_prepare_text(engine, &table->clear);
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->clear, older, 2, NULL, NULL);
    if (status != TERN_HOST_OK)
        return tern_sql_fail(engine, status, schema->name);
    return tern_sql_run(engine, TERN_SQL_PUT_SNAPSHOT, values, 3, NULL, NULL);
}

/* ---- The highest key ------------------------------------------------------------------------- */

static int take_row(void *context, const struct tern_sql_value *values, size_t count)
{
    (void)values;
    (void)count;
    *(bool *)context = false;
    return 0;
}

int tern_sql_is_above(struct tern_sink *sink, const struct tern_table *schema,
                      const struct tern_sink_row *row, bool *above)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table *table = tern_sql_find_table(engine, schema);
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX];
    char texts[TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    int status = TERN_HOST_OK;
    if (table == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_DATABASE, "table %s was not prepared", schema->name);
    if (table->above == NULL) {
        tern_sql_list(table, TERN_SQL_KEYS, items);
        tern_sql_clear(&engine->text);
        tern_sql_add(&engine->text, "SELECT 1 FROM ");
        tern_sql_add_table(engine, "", schema);
        tern_sql_add(&engine->text, " WHERE \"device\"=?1 AND ");
        if (items[1].index < 0)
            tern_sql_add_name(&engine->text, items[1].column->name);
        else
            tern_sql_add_column(engine, schema, items[1].column->name);
        tern_sql_add(&engine->text, ">=?2 LIMIT 1");
        status = tern_sql_prepare_text(engine, &table->above);
    }
    *above = true;
    tern_sql_bind(engine, table, TERN_SQL_KEYS, row, 0, values, texts);
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->above, values, 2, take_row, above);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, schema->name);
}

static int take_found(void *context, const struct tern_sql_value *values, size_t count)
{
    (void)values;
    (void)count;
    *(bool *)context = true;
    return 0;
}

int tern_sql_has_rows(struct tern_sink *sink, const struct tern_table *schema, const char *device, bool *has)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table *table = tern_sql_find_table(engine, schema);
    struct tern_sql_value value = tern_sql_string(device);
    int status = TERN_HOST_OK;
    if (table == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_DATABASE, "table %s was not prepared", schema->name);
    if (table->any == NULL) {
        tern_sql_clear(&engine->text);
        tern_sql_add(&engine->text, "SELECT 1 FROM ");
        tern_sql_add_table(engine, "", schema);
        tern_sql_add(&engine->text, " WHERE \"device\"=?1 LIMIT 1");
        status = tern_sql_prepare_text(engine, &table->any);
    }
    *has = false;
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->any, &value, 1, take_found, has);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, schema->name);
}

/* ---- Newer records --------------------------------------------------------------------------- */

/* One look into the table or into that of its deleted keys. */
static int look_for_newer(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                          const char *prefix, struct tern_sql_prepared **prepared,
                          const struct tern_sink_row *row, bool *found)
{
    struct tern_sql_value values[TERN_SQL_ITEMS_MAX];
    char texts[TERN_SQL_ITEMS_MAX][TERN_SQL_VALUE_ROOM];
    size_t count = tern_sql_bind(engine, table, TERN_SQL_KEYS, row, 0, values, texts);
    int status = TERN_HOST_OK;
    values[count] = tern_sql_integer(row->id);
    if (*prepared == NULL) {
        tern_sql_clear(&engine->text);
        tern_sql_add(&engine->text, "SELECT 1 FROM ");
        tern_sql_add_table(engine, prefix, table->schema);
        tern_sql_add(&engine->text, " WHERE ");
        tern_sql_add_key(engine, table);
        tern_sql_add(&engine->text, " AND \"tern_id\">?%zu", count + 1);
        status = tern_sql_prepare_text(engine, prepared);
    }
    return status != TERN_HOST_OK
               ? status
               : tern_sql_run_prepared(engine, *prepared, values, count + 1, take_found, found);
}

int tern_sql_is_outvoted(struct tern_sink *sink, const struct tern_table *schema,
                         const struct tern_sink_row *row, bool *outvoted)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table *table = tern_sql_find_table(engine, schema);
    int64_t begin = 0;
    *outvoted = false;
    if (schema->mode == TERN_OVERWRITE) {
        int status = tern_sql_read_snapshot(sink, schema, row->device, &begin);
        *outvoted = begin > row->id;
        if (status != TERN_HOST_OK || *outvoted)
            return status;
    }
    /* Records that are combined, or rows of their own, all count. */
    if (table == NULL || table->has_rules || !table->has_keys)
        return TERN_HOST_OK;
    int status = look_for_newer(engine, table, "", &table->newer[0], row, outvoted);
    if (status == TERN_HOST_OK && table->has_tombs && !*outvoted)
        status = look_for_newer(engine, table, "tern_deleted_", &table->newer[1], row, outvoted);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, schema->name);
}
