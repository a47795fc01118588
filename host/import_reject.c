/* SPDX-License-Identifier: MIT */
/* A turn's refused records into their files, before the commit that leaves them out. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../core/csv.h"
#include "import_apply.h"
#include "rejects.h"

/* A record with 64 columns of the longest text, each character a quote. */
#define LINE_ROOM (64u * 8200u)

static void add_row(struct tern_import *import, struct tern_rejects *rejects,
                    const struct tern_turn_unit *unit, const struct tern_turn_row *row, uint8_t *line)
{
    const struct tern_turn_schema *schema = &import->turn.schemas[row->schema];
    const struct tern_table *table = &schema->schema->table;
    struct tern_value values[TERN_COLUMNS_MAX];
    char batch[32] = "";
    uint8_t count = 0;
    for (uint8_t i = 0; i < table->column_count; i++)
        if (row->sink.op == TERN_OP_PUT || (table->columns[i].flags & TERN_KEY) != 0)
            values[count++] = row->sink.values[i];
    if (unit->batch)
        snprintf(batch, sizeof batch, "%" PRIu32 "-%" PRIu32, unit->first, unit->last);
    size_t size = tern_csv_record(line, LINE_ROOM, table, 0, row->sink.op, values);
    tern_rejects_add(rejects, row->sink.device, row->sink.id, import->url, schema->hash, batch,
                     row->reason == NULL ? "a record of its batch was refused" : row->reason, line, size);
}

/* All refused records of one table. */
static bool write_table(struct tern_import *import, const char *name, uint8_t *line)
{
    struct tern_rejects rejects;
    const struct tern_turn *turn = &import->turn;
    bool good = tern_rejects_open(&rejects, tern_stage_directory(import->stage), name);
    for (size_t i = 0; i < turn->unit_count && good; i++)
        for (size_t k = turn->units[i].rows; k < turn->units[i].rows_end; k++) {
            const struct tern_turn_row *row = &turn->rows[k];
            if ((row->sink.rejected || turn->units[i].rejected) &&
                strcmp(turn->schemas[row->schema].schema->table.name, name) == 0)
                add_row(import, &rejects, &turn->units[i], row, line);
        }
    good = good && tern_rejects_write(&rejects);
    int error = errno;
    tern_rejects_close(&rejects);
    errno = error;
    return good;
}

static bool is_first(const struct tern_turn *turn, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(turn->schemas[i].schema->table.name, turn->schemas[index].schema->table.name) == 0)
            return false;
    return true;
}

static bool has_rejected(const struct tern_turn *turn, const char *name)
{
    for (size_t i = 0; i < turn->unit_count; i++)
        for (size_t k = turn->units[i].rows; k < turn->units[i].rows_end; k++)
            if ((turn->rows[k].sink.rejected || turn->units[i].rejected) &&
                strcmp(turn->schemas[turn->rows[k].schema].schema->table.name, name) == 0)
                return true;
    return false;
}

int tern_import_write_rejects(struct tern_import *import)
{
    struct tern_turn *turn = &import->turn;
    uint8_t *line = tern_turn_room(turn, LINE_ROOM);
    if (line == NULL)
        return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
    for (size_t i = 0; i < turn->schema_count; i++) {
        const char *name = turn->schemas[i].schema->table.name;
        if (is_first(turn, i) && has_rejected(turn, name) && !write_table(import, name, line))
            return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM,
                                  "cannot write rejects/%s.csv in the staging folder: %s", name,
                                  strerror(errno));
    }
    return TERN_HOST_OK;
}
