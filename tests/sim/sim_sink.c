/* SPDX-License-Identifier: MIT */
/* Destinations with transactions, in memory, that fail in every way a database does: the struct tern_sink_ops
 * of the simulation. */
#include <stdlib.h>
#include <string.h>

#include "sim_sink.h"

struct sim_destination sim_destinations[SIM_DESTINATIONS];

static int sink_ids;

int __wrap_tern_sink_open(struct tern_sink **sink, const struct tern_sink_config *config);

/* ---- Going in and out of the database: its memory is not the gateway's ----------------------- */

static int broken_connection(struct sim_sink *one)
{
    one->is_connected = one->in_transaction = false;
    for (unsigned i = 0; i < SIM_MARKS; i++)
        if (one->destination->lock_holder[i] == one->id)
            one->destination->lock_holder[i] = 0;
    return tern_sink_fail(&one->sink, TERN_HOST_E_DATABASE, "the connection is lost");
}

/* What may happen before any operation. */
static int enter(struct sim_sink *one)
{
    struct sim_destination *destination = one->destination;
    sim_crash_point(SINK_CRASH);
    if (sim_happens(SINK_SLOW))
        sim_sleep(1 + sim_below(sim_below(10) == 0 ? 60000 : 500));
    if (sim_happens(SINK_DOWN)) {
        destination->down_until = sim.now + sim_below(120000);
        destination->era++;
    }
    if (destination->down_until > sim.now || one->era != destination->era)
        return broken_connection(one);
    return TERN_HOST_OK;
}

static void roll_back(struct sim_sink *one)
{
    one->in_transaction = false;
    one->change_count = 0;
    for (unsigned i = 0; i < SIM_MARKS; i++)
        if (one->destination->lock_holder[i] == one->id)
            one->destination->lock_holder[i] = 0;
}

struct change *sim_add_change(struct sim_sink *one, enum change_kind kind)
{
    if (one->change_count == CHANGES) {
        sim_violate("a transaction of the simulation is too large");
        one->change_count = 0;
    }
    struct change *change = &one->changes[one->change_count++];
    memset(change, 0, sizeof *change);
    change->kind = kind;
    return change;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static int sink_connect(struct tern_sink *sink)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    one->era = one->destination->era;
    int status = enter(one);
    one->is_connected = status == TERN_HOST_OK;
    return status;
}

static void sink_disconnect(struct tern_sink *sink)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    roll_back(one);
    one->is_connected = false;
}

static int sink_read_cursor(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int status = enter(one);
    const struct sim_state *now = &one->destination->now;
    *cursor = 0;
    for (uint32_t i = 0; i < now->cursor_count && status == TERN_HOST_OK; i++)
        if (now->cursors[i].store == store && now->cursors[i].slot == slot)
            *cursor = now->cursors[i].position;
    return status;
}

static int sink_find_batch(struct tern_sink *sink, uint64_t batch, bool *found)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int status = enter(one);
    const struct sim_state *now = &one->destination->now;
    uint32_t count = now->batch_count < SIM_TRANSACTIONS ? now->batch_count : SIM_TRANSACTIONS;
    *found = false;
    for (uint32_t i = 0; i < count && status == TERN_HOST_OK; i++)
        *found = *found || now->batches[i] == batch;
    return status;
}

static int sink_prepare(struct tern_sink *sink, const struct tern_table *table, uint32_t hash, bool deletes)
{
    (void)deletes;
    (void)table;
    (void)hash;
    return enter((struct sim_sink *)sink);
}

static int sink_begin(struct tern_sink *sink)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int status = enter(one);
    if (status != TERN_HOST_OK)
        return status;
    if (one->in_transaction)
        sim_violate("a transaction is begun within another");
    one->in_transaction = true;
    one->change_count = 0;
    return TERN_HOST_OK;
}

/* ---- Marks ----------------------------------------------------------------------------------- */

static int find_mark(const struct sim_state *state, const char *device, uint8_t lane, uint32_t epoch)
{
    for (uint32_t i = 0; i < state->mark_count; i++) {
        const struct sim_mark *mark = &state->marks[i];
        if (mark->epoch == epoch && mark->lane == lane && strcmp(mark->device, device) == 0)
            return (int)i;
    }
    return -1;
}

const struct sim_mark *sim_find_mark(const struct sim_state *state, const char *device, uint8_t lane,
                                     uint32_t epoch)
{
    int index = find_mark(state, device, lane, epoch);
    return index < 0 ? NULL : &state->marks[index];
}

const struct sim_gap *sim_find_gap(const struct sim_state *state, const struct sim_mark *mark,
                                   uint32_t sequence)
{
    uint16_t index = (uint16_t)(mark - state->marks);
    for (uint32_t i = 0; i < state->gap_count; i++)
        if (state->gaps[i].mark == index && state->gaps[i].first <= sequence &&
            sequence <= state->gaps[i].last)
            return &state->gaps[i];
    return NULL;
}

/* A row for every range, so that it can be locked before it says anything. */
static int make_mark(struct sim_state *state, const struct tern_mark *mark)
{
    int index = find_mark(state, mark->device, mark->lane, mark->epoch);
    if (index >= 0)
        return index;
    if (state->mark_count == SIM_MARKS) {
        sim_violate("the simulation has too many marks");
        return 0;
    }
    struct sim_mark *row = &state->marks[state->mark_count];
    *row = (struct sim_mark){.lane = mark->lane, .epoch = mark->epoch, .applied = UINT32_MAX};
    strncpy(row->device, mark->device, TERN_ID_MAX);
    return (int)state->mark_count++;
}

static int lock_mark(struct sim_sink *one, int index)
{
    int *holder = &one->destination->lock_holder[index];
    for (int64_t waited = 0; *holder != 0 && *holder != one->id; waited += LOCK_STEP) {
        if (waited >= LOCK_WAIT)
            return tern_sink_fail(&one->sink, TERN_HOST_E_DATABASE, "lock timeout");
        sim_sleep(LOCK_STEP);
        if (one->era != one->destination->era)
            return broken_connection(one);
    }
    *holder = one->id;
    return TERN_HOST_OK;
}

static int compare_gaps(const void *x, const void *y)
{
    const struct sim_gap *a = x, *b = y;
    return (a->first > b->first) - (a->first < b->first);
}

static int read_mark(struct sim_sink *one, struct tern_mark *mark)
{
    struct sim_state *now = &one->destination->now;
    struct sim_gap gaps[256];
    uint32_t count = 0;
    int status = enter(one);
    int index = status == TERN_HOST_OK ? make_mark(now, mark) : 0;
    if (status == TERN_HOST_OK)
        status = lock_mark(one, index);
    if (status != TERN_HOST_OK || now->marks[index].applied == UINT32_MAX)
        return status;
    mark->known = true;
    mark->applied = now->marks[index].applied;
    for (uint32_t i = 0; i < now->gap_count && count < 256; i++)
        if (now->gaps[i].mark == index)
            gaps[count++] = now->gaps[i];
    qsort(gaps, count, sizeof gaps[0], compare_gaps);
    for (uint32_t i = 0; i < count; i++)
        tern_mark_add_read(mark, &(struct tern_gap){gaps[i].first, gaps[i].last, gaps[i].reason, 0});
    return TERN_HOST_OK;
}

static int sink_read_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count)
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < count && status == TERN_HOST_OK; i++)
        status = read_mark((struct sim_sink *)sink, marks[i]);
    return status;
}

static int sink_list_gaps(struct tern_sink *sink,
                          void (*call)(void *context, const struct tern_mark *mark,
                                       const struct tern_gap *gap),
                          void *context)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int status = enter(one);
    const struct sim_state *now = &one->destination->now;
    for (uint32_t i = 0; i < now->gap_count && status == TERN_HOST_OK; i++) {
        const struct sim_gap *gap = &now->gaps[i];
        const struct sim_mark *mark = &now->marks[gap->mark];
        if (tern_mark_may_come(gap->reason))
            call(context,
                 &(struct tern_mark){.device = mark->device, .lane = mark->lane, .epoch = mark->epoch},
                 &(struct tern_gap){gap->first, gap->last, gap->reason, 0});
    }
    return status;
}

/* Marks stand in no order: the newest of each device. */
static int sink_list_epochs(struct tern_sink *sink,
                            void (*call)(void *context, const char *device, uint32_t epoch), void *context)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int status = enter(one);
    const struct sim_state *now = &one->destination->now;
    for (uint32_t i = 0; i < now->mark_count && status == TERN_HOST_OK; i++) {
        bool is_newest = true;
        for (uint32_t k = 0; k < now->mark_count; k++)
            is_newest = is_newest && (now->marks[k].epoch <= now->marks[i].epoch ||
                                      strcmp(now->marks[k].device, now->marks[i].device) != 0);
        if (is_newest)
            call(context, now->marks[i].device, now->marks[i].epoch);
    }
    return status;
}

struct writing {
    struct sim_sink *one;
    int mark;
};

static int remove_gap(void *context, const struct tern_gap *gap)
{
    const struct writing *writing = context;
    struct change *change = sim_add_change(writing->one, CHANGE_REMOVE_GAP);
    change->gap = (struct sim_gap){(uint16_t)writing->mark, gap->reason, gap->first, gap->last};
    return 0;
}

static int add_gap(void *context, const struct tern_gap *gap)
{
    const struct writing *writing = context;
    struct change *change = sim_add_change(writing->one, CHANGE_ADD_GAP);
    change->gap = (struct sim_gap){(uint16_t)writing->mark, gap->reason, gap->first, gap->last};
    const struct sim_mark *mark = &writing->one->destination->now.marks[writing->mark];
    TRACE("gateway %u tells destination %u of a gap: %s lane %u epoch %u, %u to %u, reason %u",
          writing->one->gateway->number, (unsigned)(writing->one->destination - sim_destinations),
          mark->device, mark->lane, mark->epoch, gap->first, gap->last, gap->reason);
    return 0;
}

static int write_mark(struct sim_sink *one, const struct tern_mark *mark)
{
    int status = enter(one);
    if (status != TERN_HOST_OK)
        return status;
    struct writing writing = {one, find_mark(&one->destination->now, mark->device, mark->lane, mark->epoch)};
    if (writing.mark < 0 || one->destination->lock_holder[writing.mark] != one->id) {
        sim_violate("a mark is written that was not read and locked");
        return TERN_HOST_E_DATABASE;
    }
    struct change *change = sim_add_change(one, CHANGE_MARK);
    TRACE("gateway %u to destination %u: %s lane %u epoch %u is applied up to %u", one->gateway->number,
          (unsigned)(one->destination - sim_destinations), mark->device, mark->lane, mark->epoch,
          mark->applied);
    change->mark = writing.mark;
    change->applied = mark->applied;
    return tern_mark_difference(mark, remove_gap, add_gap, &writing);
}

static int sink_write_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count)
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < count && status == TERN_HOST_OK; i++)
        status = write_mark((struct sim_sink *)sink, marks[i]);
    return status;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Whether none of the device's keys is at or above the row's. */
static int sink_is_above(struct tern_sink *sink, const struct tern_table *table,
                         const struct tern_sink_row *row, bool *above)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int key = sim_column(table, "key"), status = enter(one);
    *above = key >= 0 && strcmp(table->name, "state") == 0;
    for (unsigned device = 0; device < SIM_DEVICES && *above; device++)
        for (unsigned i = 0; i < SIM_KEYS && strcmp(sim_device_id(device), row->device) == 0; i++) {
            const struct sim_kept *kept = &one->destination->now.state[device][i];
            *above = *above && (kept->number == 0 || kept->is_deleted || i < row->values[key].number);
        }
    return status;
}

static int sink_read_snapshot(struct tern_sink *sink, const struct tern_table *table, const char *device,
                              int64_t *begin)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int place = sim_device_place(device), status = enter(one);
    (void)table;
    *begin = place < 0 ? 0 : one->destination->now.snapshots[place];
    return status;
}

static int sink_replace(struct tern_sink *sink, const struct tern_table *table, const char *device,
                        int64_t begin)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int place = sim_device_place(device), status = enter(one);
    (void)table;
    if (status != TERN_HOST_OK || place < 0)
        return status;
    struct change *change = sim_add_change(one, CHANGE_REPLACE);
    change->id = begin;
    change->mark = place;
    return TERN_HOST_OK;
}

static int sink_load(struct tern_sink *sink, const struct tern_sink_load *load)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    int status = enter(one);
    if (status == TERN_HOST_OK && sim_happens(SINK_DEADLOCK)) {
        roll_back(one);
        status = sim_below(2) == 0 ? TERN_SINK_RETRY : tern_sink_fail(sink, TERN_HOST_E_DATABASE, "deadlock");
    }
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++) {
        sim_load_row(one, load, load->rows[i]);
        if (sim_is_wrongly_fresh(one, load, load->rows[i]))
            status = TERN_SINK_AGAIN;
    }
    return status;
}

/* ---- The end of a transaction ---------------------------------------------------------------- */

static void apply_cursor(struct sim_state *state, const struct tern_sink_commit *commit, uint32_t slot)
{
    uint32_t i = 0;
    while (i < state->cursor_count &&
           (state->cursors[i].store != commit->store || state->cursors[i].slot != slot))
        i++;
    if (i == sizeof state->cursors / sizeof state->cursors[0]) {
        sim_violate("the simulation has too many cursors");
        return;
    }
    if (i == state->cursor_count)
        state->cursor_count++;
    state->cursors[i] = (struct sim_cursor){commit->store, commit->cursor, commit->batch, slot};
}

static void apply_cursors(struct sim_state *state, const struct tern_sink_commit *commit)
{
    state->batches[state->batch_count++ % SIM_TRANSACTIONS] = commit->batch;
    for (size_t i = 0; i < commit->slot_count; i++)
        apply_cursor(state, commit, commit->slots[i]);
}

static int sink_commit(struct tern_sink *sink, const struct tern_sink_commit *commit)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    bool is_apart = sim.broken == BREAK_CHECKPOINT_OUTSIDE;
    int status = enter(one);
    if (status != TERN_HOST_OK)
        return status;
    bool unknown = sim_happens(SINK_UNKNOWN);
    if (unknown && sim_below(2) == 0) {
        roll_back(one);
        return broken_connection(one);
    }
    sim_apply(one, true, !is_apart);
    if (is_apart) {
        status = enter(one);
        if (status != TERN_HOST_OK)
            return status;
        sim_apply(one, false, true);
    }
    apply_cursors(&one->destination->now, commit);
    TRACE("gateway %u commits to destination %u: %u changes%s", one->gateway->number,
          (unsigned)(one->destination - sim_destinations), one->change_count,
          unknown ? ", and is not told" : "");
    roll_back(one);
    sim_crash_point(SINK_CRASH);
    return unknown ? broken_connection(one) : TERN_HOST_OK;
}

static void sink_rollback(struct tern_sink *sink)
{
    roll_back((struct sim_sink *)sink);
}

static void sink_close(struct tern_sink *sink)
{
    struct sim_sink *one = (struct sim_sink *)sink;
    roll_back(one);
    free(one->changes);
    free(one);
}

static const struct tern_sink_ops sink_ops = {
    .scheme = "sim",
    .folds = true,
    .connect = sink_connect,
    .disconnect = sink_disconnect,
    .read_cursor = sink_read_cursor,
    .prepare = sink_prepare,
    .begin = sink_begin,
    .find_batch = sink_find_batch,
    .list_gaps = sink_list_gaps,
    .list_epochs = sink_list_epochs,
    .read_marks = sink_read_marks,
    .is_above = sink_is_above,
    .read_snapshot = sink_read_snapshot,
    .replace = sink_replace,
    .load = sink_load,
    .write_marks = sink_write_marks,
    .commit = sink_commit,
    .rollback = sink_rollback,
    .close = sink_close,
};

/* In place of the list of destinations: sim:0 and sim:1. */
int __wrap_tern_sink_open(struct tern_sink **sink, const struct tern_sink_config *config)
{
    struct sim_sink *one = calloc(1, sizeof *one);
    struct change *changes = malloc(CHANGES * sizeof *changes);
    if (one == NULL || changes == NULL)
        return TERN_HOST_E_SYSTEM;
    one->changes = changes;
    one->destination = &sim_destinations[config->url[4] - '0'];
    one->gateway = sim.here;
    one->id = ++sink_ids * SIM_GATEWAYS + (int)sim.here->number; /* tells whose it is */
    one->sink.ops = &sink_ops;
    one->sink.report = config->report;
    *sink = &one->sink;
    return TERN_HOST_OK;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void sim_sinks_reset(void)
{
    for (unsigned i = 0; i < SIM_DESTINATIONS; i++) {
        struct sim_destination *one = &sim_destinations[i];
        memset(&one->now, 0, sizeof one->now);
        memset(one->lock_holder, 0, sizeof one->lock_holder);
        one->has_backup = false;
        one->down_until = 0;
        one->era = 0;
    }
    sink_ids = 0;
}

void sim_sinks_calm(void)
{
    for (unsigned i = 0; i < SIM_DESTINATIONS; i++)
        sim_destinations[i].down_until = 0;
}

void sim_sinks_drop(struct sim_gateway *gateway)
{
    for (unsigned i = 0; i < SIM_DESTINATIONS; i++)
        for (unsigned k = 0; k < SIM_MARKS; k++)
            if (sim_destinations[i].lock_holder[k] % SIM_GATEWAYS == (int)gateway->number)
                sim_destinations[i].lock_holder[k] = 0;
}

static void restore(struct sim_destination *one)
{
    one->now = one->backup;
    one->era++;
    memset(one->lock_holder, 0, sizeof one->lock_holder);
    TRACE("destination %u is restored from its backup", (unsigned)(one - sim_destinations));
}

void sim_sinks_step(void)
{
    struct sim_destination *one = &sim_destinations[sim_below(sim.destination_count)];
    if (!sim_happens(SINK_RESTORE))
        return;
    if (one->has_backup && sim_below(2) == 0) {
        restore(one);
        return;
    }
    one->backup = one->now;
    one->has_backup = true;
}
