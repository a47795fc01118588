/* SPDX-License-Identifier: MIT */
/* OVERWRITE tables. A snapshot replaces the device's rows that are older than its beginning; so whatever
 * comes late, older rows and older snapshots have no effect, and an empty one leaves nothing. Its marks and
 * rows stand in one batch, so that it comes whole or not at all. A row outside of any snapshot is merged as
 * in the other modes, if it is newer than the newest snapshot. */
#include <stdlib.h>
#include <string.h>

#include "import_apply.h"

/* ---- Pairs ----------------------------------------------------------------------------------- */

/* The row at which the marks of the unit go wrong, or NULL. A snapshot may hold rows of other tables, but no
 * other snapshot of its own. */
static struct tern_turn_row *find_fault(const struct tern_turn *turn, const struct tern_turn_unit *unit)
{
    struct tern_turn_row *open[TERN_CHUNK_TABLES_MAX];
    size_t count = 0;
    for (size_t i = unit->rows; i < unit->rows_end; i++) {
        struct tern_turn_row *row = &turn->rows[i];
        const char *name = turn->schemas[row->schema].schema->table.name;
        size_t place = 0;
        if (row->sink.op < TERN_OP_SNAPSHOT_BEGIN)
            continue;
        while (place < count && strcmp(turn->schemas[open[place]->schema].schema->table.name, name) != 0)
            place++;
        bool begins = row->sink.op == TERN_OP_SNAPSHOT_BEGIN;
        if (begins != (place == count) || (begins && count == TERN_CHUNK_TABLES_MAX) ||
            turn->schemas[row->schema].schema->table.mode != TERN_OVERWRITE)
            return row;
        if (begins)
            open[count++] = row;
        else
            open[place] = open[--count];
    }
    return count == 0 ? NULL : open[0];
}

void tern_import_check_snapshots(struct tern_import_applying *applying)
{
    struct tern_turn *turn = &applying->import->turn;
    for (size_t i = 0; i < turn->unit_count; i++) {
        struct tern_turn_unit *unit = &turn->units[i];
        struct tern_turn_row *fault = unit->snapshots && !unit->rejected ? find_fault(turn, unit) : NULL;
        if (fault != NULL)
            tern_import_reject(applying, &fault->sink,
                               "the snapshot has no beginning or no end in its batch, or one within another");
    }
}

/* ---- Replacing ------------------------------------------------------------------------------- */

/* The table's entry, made and read when it is first met. NULL: `status` says why. */
static struct tern_import_snapshot *find(struct tern_import_applying *applying,
                                         const struct tern_table *table, const char *device, int *status)
{
    struct tern_sink *sink = applying->import->sink;
    for (size_t i = applying->snapshot_count; i-- > 0;)
        if (applying->snapshots[i].device == device &&
            strcmp(applying->snapshots[i].table->name, table->name) == 0)
            return &applying->snapshots[i];
    struct tern_import_snapshot *more =
        realloc(applying->snapshots, (applying->snapshot_count + 1) * sizeof *more);
    if (more == NULL) {
        *status = tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory");
        return NULL;
    }
    applying->snapshots = more;
    struct tern_import_snapshot *made = &more[applying->snapshot_count];
    *made = (struct tern_import_snapshot){table, device, 0};
    *status = sink->ops->read_snapshot(sink, table, device, &made->begin);
    if (*status != TERN_HOST_OK)
        return NULL;
    applying->snapshot_count++;
    return made;
}

static const struct tern_table *table_of(const struct tern_import_applying *applying,
                                         const struct tern_sink_row *row)
{
    const struct tern_turn_row *whole = (const struct tern_turn_row *)row;
    return &applying->import->turn.schemas[whole->schema].schema->table;
}

/* Snapshots of the turn: what they replace goes, before any row is loaded. */
static int replace_older(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < applying->count && status == TERN_HOST_OK; i++) {
        const struct tern_sink_row *row = import->order[i];
        const struct tern_table *table = table_of(applying, row);
        if (table->mode != TERN_OVERWRITE)
            continue;
        struct tern_import_snapshot *snapshot = find(applying, table, row->device, &status);
        if (snapshot == NULL || row->op != TERN_OP_SNAPSHOT_BEGIN || row->id <= snapshot->begin)
            continue;
        snapshot->begin = row->id;
        status = import->sink->ops->replace(import->sink, table, row->device, row->id);
    }
    return status;
}

int tern_import_replace(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    size_t kept = 0;
    applying->snapshot_count = 0;
    int status = replace_older(applying);
    for (size_t i = 0; i < applying->count && status == TERN_HOST_OK; i++) {
        struct tern_sink_row *row = import->order[i];
        const struct tern_table *table = table_of(applying, row);
        bool counts = row->op < TERN_OP_SNAPSHOT_BEGIN;
        if (counts && table->mode == TERN_OVERWRITE) {
            const struct tern_import_snapshot *snapshot = find(applying, table, row->device, &status);
            counts = snapshot != NULL && row->id > snapshot->begin;
        }
        if (counts)
            import->order[kept++] = row;
    }
    applying->count = kept;
    return status;
}
