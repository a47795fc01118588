/* SPDX-License-Identifier: MIT */
/* The end of tombstones. One may go when nothing older of its key can arrive: what is below it is there (it is a record itself, so that
 * `applied` is past it), and no gap of its device is open below it. Of an earlier epoch another gateway may hold records that no
 * destination has heard of; it has DAYS to bring them in. */
#include "sql.h"

#define DAYS 30
#define MOST 1000 /* of a table at once */

/* Of a device's gaps those below the tombstone: a gap's first record as a tern_id. */
static void add_condition(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    struct tern_sql_text *text = &engine->text;
    tern_sql_add(
        text,
        " WHERE \"tern_deleted\"<?1 AND NOT EXISTS(SELECT 1 FROM \"tern_gap\" AS g WHERE g.\"device\"=");
    tern_sql_add_table(engine, "tern_deleted_", table->schema);
    tern_sql_add(text, ".\"device\" AND g.\"epoch\"*4294967296+g.\"first\"<");
    tern_sql_add_table(engine, "tern_deleted_", table->schema);
    tern_sql_add(text, ".\"tern_id\")");
}

static void write_clear(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(text, "DELETE FROM ");
    tern_sql_add_table(engine, "tern_deleted_", table->schema);
    if (engine->dialect->upsert == TERN_SQL_ON_DUPLICATE) {
        add_condition(engine, table);
        tern_sql_add(text, " LIMIT %d", MOST);
        return;
    }
    tern_sql_add(text, " WHERE(");
    tern_sql_add_columns(engine, table, TERN_SQL_KEYS, "");
    tern_sql_add(text, ")IN(SELECT ");
    tern_sql_add_columns(engine, table, TERN_SQL_KEYS, "");
    tern_sql_add(text, " FROM ");
    tern_sql_add_table(engine, "tern_deleted_", table->schema);
    add_condition(engine, table);
    tern_sql_add(text, " LIMIT %d)", MOST);
}

int tern_sql_clear_tombs(struct tern_sql_engine *engine, int64_t now, bool all)
{
    char room[TERN_SQL_VALUE_ROOM];
    struct tern_value before = tern_int(now - DAYS * 86400000ll);
    struct tern_sql_value value = engine->dialect->value(engine, &tern_sql_deleted, &before, room);
    int status = TERN_HOST_OK;
    for (struct tern_sql_table *table = engine->tables; table != NULL && status == TERN_HOST_OK;
         table = table->next) {
        if (!table->has_tombs || !table->has_keys || (!all && table->sweep != NULL))
            continue;
        if (table->sweep == NULL) {
            write_clear(engine, table);
            status = tern_sql_prepare_text(engine, &table->sweep);
        }
        if (status == TERN_HOST_OK)
            status = tern_sql_run_prepared(engine, table->sweep, &value, 1, NULL, NULL);
    }
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, "old tombstones");
}
