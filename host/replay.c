/* SPDX-License-Identifier: MIT */
/* Records of a staging store into a destination once more. */
#include <string.h>
#include <time.h>

#include "import_turn.h"
#include "log.h"
#include "style.h"

#define SLICE   500 /* milliseconds between two reports of progress */
#define SECONDS 30  /* without success */

/* ---- What the importer asks ------------------------------------------------------------------ */

bool tern_replay_wants(const struct tern_import_replay *replay, const struct tern_entry *entry)
{
    return replay == NULL ||
           (entry->received >= replay->since && (replay->until == 0 || entry->received < replay->until) &&
            (replay->device == NULL || strcmp(replay->device, entry->device) == 0));
}

bool tern_replay_wants_table(const struct tern_import_replay *replay, const struct tern_table *table)
{
    return replay == NULL || replay->table == NULL || strcmp(replay->table, table->name) == 0;
}

bool tern_replay_wants_record(const struct tern_import_replay *replay, const struct tern_mark *mark,
                              uint32_t sequence)
{
    return replay == NULL || replay->wants == NULL || replay->wants(replay->context, mark, sequence);
}

bool tern_replay_repairs(const struct tern_import_replay *replay)
{
    return replay != NULL && replay->repair;
}

bool tern_replay_refuses(const struct tern_import_replay *replay, const struct tern_table *table)
{
    for (uint8_t i = 0; tern_replay_repairs(replay) && i < table->column_count; i++)
        if ((table->columns[i].flags & TERN_ADD) == TERN_ADD)
            return true;
    return false;
}

/* ---- The face -------------------------------------------------------------------------------- */

static int refuse(const struct tern_host_replay *replay, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&replay->report, TERN_ERROR, "bad-config", &fields);
    return TERN_HOST_E_ARGUMENT;
}

static int check(const struct tern_host_replay *replay)
{
    if (replay->stage == NULL || replay->sink == NULL)
        return refuse(replay, "a replay needs a staging folder and a destination");
    if (replay->repair && replay->table == NULL)
        return refuse(replay, "a repair must name its table");
    if (replay->repair && replay->until != 0)
        return refuse(replay, "a repair runs to the end: a row that was deleted later would come back");
    return TERN_HOST_OK;
}

static bool look(struct tern_import *import, struct tern_host_progress *done)
{
    struct tern_import_status status;
    tern_import_status(import, &status);
    *done = (struct tern_host_progress){status.cursor, status.end,      status.rows,
                                        status.known,  status.rejected, status.held};
    return status.failing;
}

/* Until everything is in, or `seconds` have brought nothing from a destination that fails. */
static int wait_for(const struct tern_host_replay *replay, struct tern_import *import,
                    struct tern_host_progress *done)
{
    int64_t limit = (int64_t)(replay->seconds > 0 ? replay->seconds : SECONDS) * 1000;
    int64_t good_at = tern_import_clock();
    for (;;) {
        bool drained = tern_import_drain(import, SLICE) == TERN_HOST_OK;
        bool failing = look(import, done);
        if (replay->progress != NULL && replay->progress(replay->context, done) != 0 && !drained)
            return TERN_HOST_E_LIMIT;
        if (drained)
            return done->held == 0 ? TERN_HOST_OK : TERN_HOST_E_LIMIT;
        if (!failing)
            good_at = tern_import_clock();
        else if (tern_import_clock() - good_at > limit)
            return TERN_HOST_E_DATABASE;
    }
}

int tern_host_replay(const struct tern_host_replay *replay, struct tern_host_progress *done)
{
    struct tern_stage *stage;
    struct tern_import *import;
    struct tern_stage_config config = {
        .directory = replay->stage, .report = replay->report, .read_only = true};
    struct tern_import_replay inner = {.since = replay->since,
                                       .until = replay->until,
                                       .device = replay->device,
                                       .table = replay->table,
                                       .repair = replay->repair != 0};
    struct tern_import_config importing = {.report = replay->report, .replay = &inner};
    memset(done, 0, sizeof *done);
    int status = check(replay);
    if (status != TERN_HOST_OK)
        return status;
    status = tern_style_apply(&replay->style, &importing);
    if (status == TERN_HOST_OK)
        status = tern_stage_open(&stage, &config);
    if (status != TERN_HOST_OK) {
        tern_style_free(&importing);
        return status;
    }
    status = tern_import_open(&import, stage, replay->sink, &importing);
    if (status == TERN_HOST_OK) {
        status = wait_for(replay, import, done);
        tern_import_close(import);
    }
    tern_stage_close(stage);
    tern_style_free(&importing);
    return status;
}
