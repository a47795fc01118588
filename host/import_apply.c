/* SPDX-License-Identifier: MIT */
/* A turn into the destination: what is new, the newest of each key, in order of the key, in one
 * transaction. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/frame.h"
#include "../core/log.h"
#include "import_apply.h"
#include "rules.h"

#define RETRIES_MAX 8 /* of a transaction that is a deadlock's victim, before the connection is made anew */

/* ---- What is new ----------------------------------------------------------------------------- */

static void take_unit(struct tern_import *import, const struct tern_turn_unit *unit, int64_t now,
                      size_t *taken)
{
    struct tern_turn *turn = &import->turn;
    struct tern_mark *mark = &turn->ranges[unit->range].mark;
    if (tern_replay_repairs(import->config.replay)) {
        for (size_t i = unit->rows; i < unit->rows_end && !unit->rejected; i++)
            if (!turn->rows[i].sink.rejected)
                import->order[(*taken)++] = &turn->rows[i].sink;
        return;
    }
    for (size_t i = unit->rows; i < unit->rows_end; i++) {
        turn->rows[i].taken = false;
        turn->rows[i].refused = unit->rejected || turn->rows[i].sink.rejected;
    }
    if (import->only_gaps && !tern_mark_misses(mark, unit->first))
        return;
    if (unit->rejected) {
        tern_mark_miss(mark, unit->first, unit->last, TERN_GAP_REJECTED, now);
        return;
    }
    size_t gap = unit->gaps;
    for (size_t i = unit->rows; i < unit->rows_end; i++) {
        struct tern_turn_row *row = &turn->rows[i];
        for (; gap < unit->gaps_end && turn->gaps[gap].first < row->sequence; gap++)
            tern_mark_miss(mark, turn->gaps[gap].first, turn->gaps[gap].last, turn->gaps[gap].reason, now);
        if (row->sink.rejected)
            tern_mark_miss(mark, row->sequence, row->sequence, TERN_GAP_REJECTED, now);
        else if (tern_replay_wants_record(import->config.replay, mark, row->sequence) &&
                 (row->taken = tern_mark_take(mark, row->sequence, now)))
            import->order[(*taken)++] = &row->sink;
    }
    for (; gap < unit->gaps_end; gap++)
        tern_mark_miss(mark, turn->gaps[gap].first, turn->gaps[gap].last, turn->gaps[gap].reason, now);
}

static int compare_ranges(const void *x, const void *y)
{
    const struct tern_mark *a = &(*(struct tern_turn_range *const *)x)->mark,
                           *b = &(*(struct tern_turn_range *const *)y)->mark;
    int order = a->device == b->device ? 0 : strcmp(a->device, b->device);
    if (order == 0)
        order = (a->lane > b->lane) - (a->lane < b->lane);
    return order != 0 ? order : (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

/* ---- Rejecting ------------------------------------------------------------------------------- */

/* The unit that holds the row: units stand in order of their rows. */
static struct tern_turn_unit *find_unit(const struct tern_turn *turn, const struct tern_turn_row *row)
{
    size_t index = (size_t)(row - turn->rows), low = 0, high = turn->unit_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (turn->units[middle].rows_end <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < turn->unit_count && turn->units[low].rows <= index ? &turn->units[low] : NULL;
}

static void reject_record(struct tern_import_applying *applying, struct tern_turn_row *row,
                          const char *reason)
{
    struct tern_turn *turn = &applying->import->turn;
    struct tern_turn_unit *unit = find_unit(turn, row);
    char message[512];
    snprintf(message, sizeof message, "table %s refuses the record with tern_id %" PRId64 ": %s",
             turn->schemas[row->schema].schema->table.name, row->sink.id, reason);
    tern_import_report(applying->import, TERN_ERROR, "record-rejected", row->sink.device, message);
    row->sink.rejected = true;
    applying->rejected++;
    applying->refused++;
    char *kept = tern_turn_room(turn, strlen(reason) + 1);
    row->reason = kept == NULL ? "" : strcpy(kept, reason);
    pthread_mutex_lock(&applying->import->mutex);
    applying->import->status.rejected++;
    pthread_mutex_unlock(&applying->import->mutex);
    if (unit != NULL && unit->batch)
        unit->rejected = true;
}

/* A row that several records were folded into is refused for one of them or more: tern_import_unfold() finds
 * out. */
void tern_import_reject(void *context, struct tern_sink_row *row, const char *reason)
{
    struct tern_import_applying *applying = context;
    struct tern_turn *turn = &applying->import->turn;
    struct tern_turn_row *whole = (struct tern_turn_row *)row;
    if (row->rejected)
        return;
    if (whole >= turn->rows && whole < turn->rows + turn->row_count) {
        reject_record(applying, whole, reason);
        return;
    }
    row->rejected = true;
    applying->rejected++;
    applying->refused_folds++;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* The rows that one load takes end here: those of a schema, or a row that stands apart. */
static size_t end_of_load(const struct tern_import_applying *applying, size_t first)
{
    struct tern_sink_row *const *order = applying->import->order;
    size_t end = first + 1, together = applying->count - applying->apart;
    while (end < together && ((const struct tern_turn_row *)order[end])->schema ==
                                 ((const struct tern_turn_row *)order[first])->schema)
        end++;
    return end;
}

int tern_import_load(struct tern_import_applying *applying, struct tern_sink_row **rows, size_t count,
                     bool again)
{
    struct tern_import *import = applying->import;
    const struct tern_turn_schema *schema =
        &import->turn.schemas[((const struct tern_turn_row *)rows[0])->schema];
    struct tern_sink_load load = {.table = &schema->schema->table,
                                  .hash = schema->hash,
                                  .rows = rows,
                                  .count = count,
                                  .at = applying->now,
                                  .again = again,
                                  .reject = tern_import_reject,
                                  .context = applying};
    return import->sink->ops->load(import->sink, &load);
}

static int load_all(struct tern_import_applying *applying)
{
    struct tern_sink_row **order = applying->import->order;
    int status = TERN_HOST_OK;
    for (size_t i = 0, end; i < applying->count && status == TERN_HOST_OK; i = end) {
        end = end_of_load(applying, i);
        status = tern_import_load(applying, order + i, end - i, i >= applying->count - applying->apart);
    }
    return status;
}

static int read_marks(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    for (size_t i = 0; i < import->turn.range_count; i++) {
        applying->marks[i] = &applying->ranges[i]->mark;
        tern_mark_reset(applying->marks[i], applying->ranges[i]->base);
    }
    int status = import->sink->ops->read_marks(import->sink, applying->marks, import->turn.range_count);
    for (size_t i = 0; i < import->turn.range_count; i++) {
        struct tern_turn_range *range = applying->ranges[i];
        range->begins = tern_mark_clip(&range->mark, range->base) || range->mark.applied == range->base - 1;
    }
    return status;
}

static bool goes_on(const struct tern_mark *before, const struct tern_mark *mark)
{
    return before->device == mark->device && before->lane == mark->lane &&
           before->epoch + TERN_EPOCH_STEP == mark->epoch;
}

/* A device goes on with its count in a new epoch when all before has been acknowledged. What the destination
 * lacks of the epoch before when the new one begins went to another store, which may be gone; nobody else
 * would tell of it. Of an epoch before that is not known the base is not either: then the gap may be too
 * long, until a record of it comes. */
static void miss_before(struct tern_import_applying *applying)
{
    const struct tern_import *import = applying->import;
    if (import->config.replay != NULL || import->config.from != 0 || import->only_gaps)
        return;
    for (size_t i = 1; i < import->turn.range_count; i++) {
        const struct tern_turn_range *range = applying->ranges[i];
        struct tern_mark *before = &applying->ranges[i - 1]->mark;
        bool begins = range->begins && range->mark.changed && goes_on(before, &range->mark);
        if (begins && before->applied + 1 < range->base)
            tern_mark_miss(before, before->applied + 1, range->base - 1, TERN_GAP_HELD, applying->now);
    }
}

static int write_marks(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    size_t count = 0;
    for (size_t i = 0; i < import->turn.range_count; i++) {
        struct tern_mark *mark = &applying->ranges[i]->mark;
        if (mark->failed)
            return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
        if (mark->changed)
            applying->marks[count++] = mark;
        for (size_t k = 0; k < mark->gaps.count; k++)
            import->asks = import->asks || tern_mark_may_come(mark->gaps.list[k].reason);
    }
    return count == 0 ? TERN_HOST_OK : import->sink->ops->write_marks(import->sink, applying->marks, count);
}

static const char *path_of(const struct tern_import_applying *applying)
{
    size_t fresh = 0;
    for (size_t i = 0; i < applying->count; i++)
        fresh += applying->import->order[i]->fresh;
    return fresh == 0 ? "merge" : fresh == applying->count ? "straight" : "both";
}

static int commit(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    struct tern_sink_commit made = {.store = tern_stage_id(import->stage),
                                    .slots = import->slots,
                                    .slot_count = import->slot_count,
                                    .cursor = import->turn.cursor,
                                    .at = applying->now,
                                    .rows = applying->count,
                                    .bytes = import->turn.bytes,
                                    .milliseconds = (uint64_t)(tern_import_clock() - applying->begun),
                                    .retries = applying->retries,
                                    .path = path_of(applying)};
    FILE *random = fopen("/dev/urandom", "rb");
    bool good = random != NULL && fread(&made.batch, sizeof made.batch, 1, random) == 1;
    if (random != NULL)
        fclose(random);
    if (!good)
        return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "cannot read /dev/urandom");
    import->path = made.path;
    import->retries = made.retries;
    import->remember.unsure = made.batch;
    tern_seen_write(import->keys, made.batch);
    int status = import->sink->ops->commit(import->sink, &made);
    if (status == TERN_HOST_OK)
        tern_remember_batch(&import->remember, made.batch);
    return status;
}

static void refuse_deletes(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    for (size_t i = 0; i < applying->count; i++) {
        const struct tern_turn_row *row = (const struct tern_turn_row *)import->order[i];
        const struct tern_table *table = &import->turn.schemas[row->schema].schema->table;
        if (row->sink.op == TERN_OP_DELETE && (table->mode != TERN_MERGE || tern_has_rules(table)))
            tern_import_reject(applying, import->order[i],
                               "only MERGE tables without merge rules take deletes");
    }
}

/* Says which rows are surely new: device by device of each version of a table. Repairs bring in what may be
 * there. */
static int judge(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    size_t count = applying->count - applying->apart;
    int status = TERN_HOST_OK;
    if (import->sink->ops->plain || applying->careful || tern_replay_repairs(import->config.replay))
        for (size_t i = 0; i < count; i++)
            import->order[i]->fresh = false;
    else
        for (size_t i = 0, end; i < count && status == TERN_HOST_OK; i = end) {
            const struct tern_turn_row *row = (const struct tern_turn_row *)import->order[i];
            for (end = i + 1; end < count; end++)
                if (import->order[end]->device != row->sink.device ||
                    ((const struct tern_turn_row *)import->order[end])->schema != row->schema)
                    break;
            status =
                tern_seen_judge(import->keys, import->sink, &import->turn.schemas[row->schema].schema->table,
                                import->order + i, end - i);
        }
    return status;
}

/* What is new, in the order in which it is loaded. Rejected rows end it without an error, as below. */
static int arrange_rows(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    applying->apart = 0;
    if (!import->sink->ops->folds) {
        tern_import_group(applying);
        return TERN_HOST_OK;
    }
    refuse_deletes(applying);
    int status = applying->rejected == 0 ? tern_import_replace(applying) : TERN_HOST_OK;
    if (status != TERN_HOST_OK || applying->rejected != 0)
        return status;
    if (!tern_import_fold(applying))
        return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
    return applying->rejected == 0 ? judge(applying) : TERN_HOST_OK;
}

/* One transaction. Rejected rows end it without an error: it is to be rolled back and done again without
 * them. */
static int transact(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    size_t fresh = 0;
    applying->rejected = 0;
    tern_import_check_snapshots(applying);
    applying->rejected = 0; /* nothing is to be rolled back yet */
    applying->refused_folds = 0;
    tern_seen_begin(import->keys, applying->careful);
    int status = import->sink->ops->begin(import->sink);
    if (status == TERN_HOST_OK)
        status = read_marks(applying);
    if (status != TERN_HOST_OK)
        return status;
    for (size_t i = 0; i < import->turn.unit_count; i++)
        take_unit(import, &import->turn.units[i], applying->now, &fresh);
    applying->count = fresh;
    status = arrange_rows(applying);
    if (status == TERN_HOST_OK && applying->rejected == 0)
        status = load_all(applying);
    if (status == TERN_HOST_OK && applying->refused_folds != 0)
        status = tern_import_unfold(applying);
    if (status != TERN_HOST_OK || applying->rejected != 0)
        return status;
    miss_before(applying);
    status = write_marks(applying);
    if (status == TERN_HOST_OK && applying->refused != 0 && import->config.replay == NULL &&
        !import->only_gaps)
        status = tern_import_write_rejects(import);
    if (status == TERN_HOST_OK)
        status = commit(applying);
    if (status == TERN_HOST_OK) {
        tern_seen_commit(import->keys);
        pthread_mutex_lock(&import->mutex);
        import->status.known += import->turn.row_count - fresh;
        import->status.rows += fresh;
        import->status.batches++;
        pthread_mutex_unlock(&import->mutex);
    }
    return status;
}

/* ---- Memory for it --------------------------------------------------------------------------- */

static bool reserve_order(struct tern_import *import)
{
    if (import->turn.row_count <= import->order_room)
        return true;
    size_t room = import->turn.row_count + import->turn.row_count / 4;
    struct tern_sink_row **order = realloc(import->order, room * sizeof(struct tern_sink_row *));
    if (order == NULL)
        return false;
    import->order = order;
    import->order_room = room;
    return true;
}

static bool arrange(struct tern_import_applying *applying)
{
    struct tern_turn *turn = &applying->import->turn;
    size_t count = turn->range_count;
    applying->ranges = malloc((count + 1) * sizeof(struct tern_turn_range *));
    applying->marks = malloc((count + 1) * sizeof(struct tern_mark *));
    applying->device_ranks = malloc((count + 1) * sizeof *applying->device_ranks);
    applying->items = malloc((turn->row_count + 1) * sizeof *applying->items);
    if (applying->ranges == NULL || applying->marks == NULL || applying->device_ranks == NULL ||
        applying->items == NULL || !tern_import_rank_schemas(turn) || !reserve_order(applying->import))
        return false;
    for (size_t i = 0; i < count; i++)
        applying->ranges[i] = &turn->ranges[i];
    qsort(applying->ranges, count, sizeof(struct tern_turn_range *), compare_ranges);
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        rank += i != 0 && applying->ranges[i]->mark.device != applying->ranges[i - 1]->mark.device;
        applying->device_ranks[applying->ranges[i] - turn->ranges] = rank;
    }
    return true;
}

/* Whether the transaction is worth another try at once. */
static bool tries_again(struct tern_import_applying *applying, int status)
{
    if (status == TERN_HOST_OK)
        return true; /* without the rejected rows */
    applying->retries++;
    if (status == TERN_SINK_AGAIN && !applying->careful) {
        applying->careful = true;
        return true;
    }
    if (status != TERN_SINK_RETRY || applying->retries > RETRIES_MAX || tern_import_stops(applying->import))
        return false;
    usleep((useconds_t)(1000 * (1 + (unsigned)rand() % (4u << applying->retries))));
    return true;
}

int tern_import_apply(struct tern_import *import)
{
    struct tern_import_applying applying = {
        .import = import, .now = tern_import_now(), .begun = tern_import_clock()};
    int status = TERN_HOST_OK;
    if (!arrange(&applying))
        status = tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
    for (bool again = status == TERN_HOST_OK; again;) {
        status = transact(&applying);
        if (status == TERN_HOST_OK && applying.rejected == 0)
            break;
        import->sink->ops->rollback(import->sink);
        again = tries_again(&applying, status);
    }
    free(applying.ranges);
    free(applying.marks);
    free(applying.device_ranks);
    free(applying.items);
    free(applying.snapshots);
    return status;
}
