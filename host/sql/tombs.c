/* SPDX-License-Identifier: MIT */
/* Tombstones: whether rows may go into their table past them, and their end. One may go when nothing older of
 * its key can arrive: what is below it is there (it is a record itself, so that `applied` is past it), and no
 * gap of its device is open below it. Of an earlier epoch another gateway may hold records that no
 * destination has heard of; it has DAYS to bring them in. */
#include "sql.h"

#define FEW    64   /* rows of a device that merge sooner than they are worth a look */
#define LOOKED 1000 /* tombstones of a device that are looked at */

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

/* ---- Past them ------------------------------------------------------------------------------- */

struct newest {
    int64_t count, id;
};

static int take_newest(void *context, const struct tern_sql_value *values, size_t count)
{
    struct newest *newest = context;
    if (count == 2 && values[0].kind == TERN_SQL_INTEGER)
        *newest =
            (struct newest){values[0].integer, values[1].kind == TERN_SQL_INTEGER ? values[1].integer : 0};
    return 0;
}

/* Whether none of the device's tombstones is newer than its row `id`. A status of the client. */
static int look(struct tern_sql_engine *engine, struct tern_sql_table *table, const char *device, int64_t id,
                bool *is_newest)
{
    struct tern_sql_value value = tern_sql_string(device);
    struct newest newest = {INT64_MAX, 0};
    int status = TERN_HOST_OK;
    if (table->tombs == NULL) {
        tern_sql_clear(&engine->text);
        tern_sql_add(&engine->text, "SELECT count(*),max(\"tern_id\") FROM (SELECT \"tern_id\" FROM ");
        tern_sql_add_table(engine, "tern_deleted_", table->schema);
        tern_sql_add(&engine->text, " WHERE \"device\"=?1 LIMIT %d) AS d", LOOKED + 1);
        status = tern_sql_prepare_text(engine, &table->tombs);
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->tombs, &value, 1, take_newest, &newest);
    *is_newest = newest.count == 0 || (newest.count <= LOOKED && newest.id < id);
    return status;
}

int tern_sql_lock_devices(struct tern_sql_engine *engine, const struct tern_sink_load *load)
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++)
        if (i == 0 || load->rows[i]->device != load->rows[i - 1]->device)
            status = tern_sql_lock_device(engine, load->table, load->rows[i]->device);
    return status;
}

int tern_sql_pass_tombs(struct tern_sql_engine *engine, struct tern_sql_table *table,
                        const struct tern_sink_load *load)
{
    struct tern_sink_row *const *rows = load->rows;
    int status = TERN_HOST_OK;
    for (size_t i = 0, end; i < load->count && status == TERN_HOST_OK; i = end) {
        int64_t lowest = INT64_MAX;
        size_t fresh = 0;
        bool passes = false;
        for (end = i; end < load->count && rows[end]->device == rows[i]->device; end++)
            if (rows[end]->fresh) {
                lowest = rows[end]->id < lowest ? rows[end]->id : lowest;
                fresh++;
            }
        if (fresh > FEW)
            status = look(engine, table, rows[i]->device, lowest, &passes);
        for (size_t k = i; k < end && !passes; k++)
            rows[k]->fresh = false;
    }
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, "tombstones");
}
