/* SPDX-License-Identifier: MIT */
/* Checkpoints and gaps in the database. Several at a time where each statement is a round trip: checkpoint
 * rows are locked in order of device, lane and epoch, made where they are missing, so that gateways wait for
 * each other instead of deadlocking. */
#include <stdio.h>
#include <string.h>

#include "../../core/frame.h"
#include "sql.h"

static const size_t sizes[TERN_SQL_GROUP_SIZES] = {TERN_SQL_GROUP_MAX, 8, 1};

/* ---- Statements ------------------------------------------------------------------------------ */

static void add_ranges(struct tern_sql_text *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        tern_sql_add(text, "%s(\"device\"=?%zu AND \"lane\"=?%zu AND \"epoch\"=?%zu)",
                     i == 0 ? " WHERE " : " OR ", 3 * i + 1, 3 * i + 2, 3 * i + 3);
    tern_sql_add(text, " ORDER BY \"device\",\"lane\",\"epoch\"");
}

static void write_group(struct tern_sql_engine *engine, enum tern_sql_group which, size_t size)
{
    static const char *const keys[] = {"device", "lane", "epoch", NULL}, *const applied[] = {"applied", NULL};
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    if (which == TERN_SQL_READ_CHECKPOINTS) {
        tern_sql_add(text, "SELECT \"device\",\"lane\",\"epoch\",\"applied\" FROM \"tern_checkpoint\"");
        add_ranges(text, size);
        tern_sql_add(text, "%s", engine->dialect->lock);
    } else if (which == TERN_SQL_READ_GAPS) {
        tern_sql_add(
            text,
            "SELECT \"device\",\"lane\",\"epoch\",\"first\",\"last\",\"reason\",\"at\" FROM \"tern_gap\"");
        add_ranges(text, size);
        tern_sql_add(text, ",\"first\"");
    } else {
        tern_sql_add(text,
                     "INSERT INTO \"tern_checkpoint\"(\"device\",\"lane\",\"epoch\",\"applied\") VALUES");
        for (size_t i = 0; i < size; i++)
            tern_sql_add(text, "%s(?%zu,?%zu,?%zu,?%zu)", i == 0 ? "" : ",", 4 * i + 1, 4 * i + 2, 4 * i + 3,
                         4 * i + 4);
        tern_sql_add_upsert(engine, keys, which == TERN_SQL_PUT_CHECKPOINTS ? applied : applied + 1);
    }
}

static int run_group(struct tern_sql_engine *engine, enum tern_sql_group which, size_t size_index,
                     const struct tern_sql_value *values, size_t count, tern_sql_row *row, void *context)
{
    struct tern_sql_prepared **prepared = &engine->groups[which][size_index];
    int status = TERN_HOST_OK;
    if (*prepared == NULL) {
        write_group(engine, which, sizes[size_index]);
        status = tern_sql_prepare_text(engine, prepared);
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, *prepared, values, count, row, context);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, "tern's own tables");
}

/* The marks that a statement is for: some of the array, in its order. */
struct group {
    struct tern_mark *marks[TERN_SQL_GROUP_MAX];
    size_t count;
    struct tern_sql_engine *engine;
    bool bad; /* the table holds what cannot be */
};

static int run_marks(struct group *group, enum tern_sql_group which, size_t size_index, tern_sql_row *row)
{
    struct tern_sql_value values[4 * TERN_SQL_GROUP_MAX];
    bool writes = which == TERN_SQL_MAKE_CHECKPOINTS || which == TERN_SQL_PUT_CHECKPOINTS;
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++) {
        values[count++] = tern_sql_string(group->marks[i]->device);
        values[count++] = tern_sql_integer(group->marks[i]->lane);
        values[count++] = tern_sql_integer(group->marks[i]->epoch);
        if (writes)
            values[count++] = tern_sql_integer(group->marks[i]->applied);
    }
    return run_group(group->engine, which, size_index, values, count, row, group);
}

/* Calls run_marks() for all of `marks` in groups as large as there are. */
static int run_all(struct tern_sql_engine *engine, enum tern_sql_group which, struct tern_mark *const *marks,
                   size_t count, bool (*wanted)(const struct tern_mark *mark), tern_sql_row *row)
{
    size_t size_index = engine->dialect->groups ? 0 : TERN_SQL_GROUP_SIZES - 1;
    for (size_t i = 0; i < count;) {
        struct group group = {.engine = engine};
        size_t next = i;
        for (; next < count && group.count < sizes[size_index]; next++)
            if (wanted(marks[next]))
                group.marks[group.count++] = marks[next];
        if (group.count < sizes[size_index] && size_index + 1 < TERN_SQL_GROUP_SIZES) {
            size_index++; /* too few are left for this size */
            continue;
        }
        i = next;
        int status = group.count == 0 ? TERN_HOST_OK : run_marks(&group, which, size_index, row);
        if (status != TERN_HOST_OK)
            return status;
        if (group.bad)
            return tern_sink_fail(
                &engine->sink, TERN_HOST_E_DATABASE,
                "tern_checkpoint or tern_gap holds a sequence that cannot be: was it changed by hand?");
    }
    return TERN_HOST_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static const char *const reasons[] = {"unknown",   "overflow", "refused", "damaged",
                                      "retention", "rejected", "held",    "table"};
#define REASONS (sizeof reasons / sizeof reasons[0])

static uint8_t find_reason(const struct tern_sql_value *value)
{
    for (uint8_t i = 1; i < REASONS; i++)
        if (value->kind == TERN_SQL_TEXT && value->size == strlen(reasons[i]) &&
            memcmp(value->data, reasons[i], value->size) == 0)
            return i;
    return 0;
}

static struct tern_mark *find_mark(const struct group *group, const struct tern_sql_value *values)
{
    for (size_t i = 0; i < group->count; i++) {
        struct tern_mark *mark = group->marks[i];
        if (values[0].kind == TERN_SQL_TEXT && values[0].size == strlen(mark->device) &&
            memcmp(values[0].data, mark->device, values[0].size) == 0 && values[1].integer == mark->lane &&
            values[2].integer == mark->epoch)
            return mark;
    }
    return NULL;
}

/* A sequence, from `least` on: a table that was made by hand may hold anything. */
static bool is_sequence(const struct tern_sql_value *value, int64_t least)
{
    return value->kind == TERN_SQL_INTEGER && value->integer >= least && value->integer <= UINT32_MAX;
}

/* Whether first and last, in this order, are those of a gap. */
static bool is_gap(const struct tern_sql_value *values)
{
    return is_sequence(&values[0], 1) && is_sequence(&values[1], values[0].integer);
}

static int take_checkpoint(void *context, const struct tern_sql_value *values, size_t count)
{
    struct group *group = context;
    struct tern_mark *mark = count < 4 ? NULL : find_mark(group, values);
    if (mark == NULL)
        return 0;
    if (!is_sequence(&values[3], 0)) {
        group->bad = true;
        return 0;
    }
    mark->known = true;
    mark->applied = (uint32_t)values[3].integer;
    return 0;
}

static int take_gap(void *context, const struct tern_sql_value *values, size_t count)
{
    struct group *group = context;
    struct tern_mark *mark = count < 7 ? NULL : find_mark(group, values);
    if (mark == NULL)
        return 0;
    if (!is_gap(&values[3])) {
        group->bad = true;
        return 0;
    }
    struct tern_gap gap = {(uint32_t)values[3].integer, (uint32_t)values[4].integer, find_reason(&values[5]),
                           values[6].integer};
    tern_mark_add_read(mark, &gap);
    return 0;
}

struct listing {
    void (*call)(void *context, const struct tern_mark *mark, const struct tern_gap *gap);
    void *context;
};

static int list_gap(void *context, const struct tern_sql_value *values, size_t count)
{
    const struct listing *listing = context;
    char device[TERN_ID_MAX + 1] = {0};
    if (count < 7 || values[0].kind != TERN_SQL_TEXT || values[0].size > TERN_ID_MAX || !is_gap(&values[3]))
        return 0;
    memcpy(device, values[0].data, values[0].size);
    struct tern_mark mark = {
        .device = device, .lane = (uint8_t)values[1].integer, .epoch = (uint32_t)values[2].integer};
    struct tern_gap gap = {(uint32_t)values[3].integer, (uint32_t)values[4].integer, find_reason(&values[5]),
                           values[6].integer};
    listing->call(listing->context, &mark, &gap);
    return 0;
}

int tern_sql_list_gaps(struct tern_sink *sink,
                       void (*call)(void *context, const struct tern_mark *mark, const struct tern_gap *gap),
                       void *context)
{
    struct listing listing = {call, context};
    return tern_sql_run((struct tern_sql_engine *)sink, TERN_SQL_LIST_GAPS, NULL, 0, list_gap, &listing);
}

struct epochs {
    void (*call)(void *context, const char *device, uint32_t epoch);
    void *context;
};

static int list_epoch(void *context, const struct tern_sql_value *values, size_t count)
{
    const struct epochs *epochs = context;
    char device[TERN_ID_MAX + 1] = {0};
    if (count < 2 || values[0].kind != TERN_SQL_TEXT || values[0].size > TERN_ID_MAX ||
        values[1].kind != TERN_SQL_INTEGER || values[1].integer < 1 || values[1].integer > INT32_MAX)
        return 0;
    memcpy(device, values[0].data, values[0].size);
    epochs->call(epochs->context, device, (uint32_t)values[1].integer);
    return 0;
}

int tern_sql_list_epochs(struct tern_sink *sink,
                         void (*call)(void *context, const char *device, uint32_t epoch), void *context)
{
    struct epochs epochs = {call, context};
    return tern_sql_run((struct tern_sql_engine *)sink, TERN_SQL_LIST_EPOCHS, NULL, 0, list_epoch, &epochs);
}

static bool is_any(const struct tern_mark *mark)
{
    (void)mark;
    return true;
}

static bool is_known(const struct tern_mark *mark)
{
    return mark->known;
}

static bool is_unknown(const struct tern_mark *mark)
{
    return !mark->known;
}

int tern_sql_read_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    bool missing = false;
    int status = run_all(engine, TERN_SQL_READ_CHECKPOINTS, marks, count, is_any, take_checkpoint);
    for (size_t i = 0; i < count; i++)
        missing = missing || !marks[i]->known;
    /* A row that is not there cannot be locked. */
    if (status == TERN_HOST_OK && missing && engine->dialect->lock[0] != '\0') {
        status = run_all(engine, TERN_SQL_MAKE_CHECKPOINTS, marks, count, is_unknown, NULL);
        if (status == TERN_HOST_OK)
            status = run_all(engine, TERN_SQL_READ_CHECKPOINTS, marks, count, is_unknown, take_checkpoint);
    }
    return status != TERN_HOST_OK ? status
                                  : run_all(engine, TERN_SQL_READ_GAPS, marks, count, is_known, take_gap);
}

/* ---- Writing --------------------------------------------------------------------------------- */

struct writing {
    struct tern_sql_engine *engine;
    struct tern_sql_value values[7];
};

static int delete_gap(void *context, const struct tern_gap *gap)
{
    struct writing *writing = context;
    writing->values[3] = tern_sql_integer(gap->first);
    return tern_sql_run(writing->engine, TERN_SQL_DELETE_GAP, writing->values, 4, NULL, NULL);
}

static int add_gap(void *context, const struct tern_gap *gap)
{
    struct writing *writing = context;
    writing->values[3] = tern_sql_integer(gap->first);
    writing->values[4] = tern_sql_integer(gap->last);
    writing->values[5] = tern_sql_string(reasons[gap->reason < REASONS ? gap->reason : 0]);
    writing->values[6] = tern_sql_integer(gap->at);
    return tern_sql_run(writing->engine, TERN_SQL_ADD_GAP, writing->values, 7, NULL, NULL);
}

int tern_sql_write_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count)
{
    struct writing writing = {.engine = (struct tern_sql_engine *)sink};
    int status = run_all(writing.engine, TERN_SQL_PUT_CHECKPOINTS, marks, count, is_any, NULL);
    for (size_t i = 0; i < count && status == TERN_HOST_OK; i++) {
        writing.values[0] = tern_sql_string(marks[i]->device);
        writing.values[1] = tern_sql_integer(marks[i]->lane);
        writing.values[2] = tern_sql_integer(marks[i]->epoch);
        status = tern_mark_difference(marks[i], delete_gap, add_gap, &writing);
    }
    return status;
}
