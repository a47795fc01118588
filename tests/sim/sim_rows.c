/* SPDX-License-Identifier: MIT */
/* Rows in a destination: whose they are, what a transaction does to them, and the promises that can be
 * checked there and then. */
#include <string.h>

#include "sim_sink.h"

/* ---- Rows ------------------------------------------------------------------------------------ */

int sim_column(const struct tern_table *table, const char *name)
{
    for (int i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return i;
    return -1;
}

/* Whether the row is just what the device put. */
static bool is_as_put(const struct tern_table *table, const struct tern_sink_row *row, uint32_t number)
{
    const struct sim_record *record = &sim_records[number];
    char note[64];
    size_t size = sim_note(number, note);
    int column = sim_column(table, "note"), extra = sim_column(table, "extra");
    const struct tern_value *value = column < 0 ? NULL : &row->values[column];
    if (value == NULL || (record->version != 0) != (extra >= 0) || record->op != TERN_OP_PUT)
        return false;
    if (extra >= 0 && row->values[extra].number != (int64_t)number * 3)
        return false;
    if (size == SIZE_MAX)
        return value->is_null;
    return !value->is_null && value->size == size && (size == 0 || memcmp(value->data, note, size) == 0);
}

static bool is_of(const struct sim_record *record, const char *device)
{
    return strcmp(sim_device_id(sim_lives[record->life].name), device) == 0;
}

/* The record that the row is; 0, with a broken promise, when there is none. A stranger's rows count for
 * nothing. */
static uint32_t identify(const struct tern_table *table, const struct tern_sink_row *row)
{
    int column = sim_column(table, "number");
    uint32_t number = column < 0 ? 0 : (uint32_t)row->values[column].number;
    const struct sim_record *record = number < sim_record_count ? &sim_records[number] : NULL;
    uint32_t sequence = (uint32_t)row->id;
    if (number == 0 || record == NULL || !is_of(record, row->device) || !is_as_put(table, row, number)) {
        sim_violate("a row of device %s, tern_id %lld, that nobody put", row->device, (long long)row->id);
        return 0;
    }
    if (record->sequence != sequence || (record->lane != ((uint32_t)(row->id >> 32) & 7)))
        sim_violate("record %u of device %s was put as sequence %u and arrives as %u", number, row->device,
                    record->sequence, sequence);
    if (record->fate == FATE_PENDING || record->fate == FATE_FORGOTTEN)
        sim_violate("record %u of device %s arrives and was never committed", number, row->device);
    return number;
}

static void load_state(struct sim_sink *one, const struct tern_table *table, const struct tern_sink_row *row)
{
    struct change *change = sim_add_change(one, CHANGE_STATE);
    int key = sim_column(table, "key");
    change->id = row->id;
    change->is_deleted = row->op == TERN_OP_DELETE;
    change->mark = (int)row->values[key].number;
    if (!change->is_deleted) {
        change->number = identify(table, row);
        return;
    }
    /* A delete carries its key alone: which one it was follows from its sequence. */
    for (uint32_t i = 1; i < sim_record_count; i++) {
        const struct sim_record *record = &sim_records[i];
        if (record->op == TERN_OP_DELETE && record->sequence == (uint32_t)row->id &&
            record->key == change->mark && record->lane == ((row->id >> 32) & 7) &&
            is_of(record, row->device) && record->fate != FATE_FORGOTTEN && record->fate != FATE_PENDING)
            change->number = i;
    }
    if (change->number == 0)
        sim_violate("a delete of device %s, tern_id %lld, that nobody put", row->device, (long long)row->id);
}

/* With the promise broken: rows that the filter may have seen are taken for repetitions. */
static bool bloom_says_seen(struct sim_sink *one, const struct tern_sink_row *row)
{
    if (sim.broken != BREAK_BLOOM_DECIDES)
        return false;
    uint64_t hash = (uint64_t)row->id * 0x9E3779B97F4A7C15u;
    uint64_t bits = 1ull << (hash >> 58) | 1ull << (hash >> 52 & 63);
    bool seen = (one->seen & bits) == bits;
    one->seen |= bits;
    return seen;
}

/* Whether a row that is said to be new would violate a unique key. */
bool sim_is_wrongly_fresh(const struct sim_sink *one, const struct tern_sink_load *load,
                          const struct tern_sink_row *row)
{
    int key = sim_column(load->table, "key");
    if (!row->fresh || row->op != TERN_OP_PUT || key < 0 || strcmp(load->table->name, "state") != 0)
        return false;
    for (unsigned device = 0; device < SIM_DEVICES; device++)
        if (strcmp(sim_device_id(device), row->device) == 0) {
            const struct sim_kept *kept =
                &one->destination->now.state[device][row->values[key].number % SIM_KEYS];
            return kept->number != 0 && !kept->is_deleted;
        }
    return false;
}

static void load_list(struct sim_sink *one, const struct tern_table *table, const struct tern_sink_row *row)
{
    struct change *change = sim_add_change(one, CHANGE_LIST);
    change->id = row->id;
    change->number = identify(table, row);
}

int sim_device_place(const char *id)
{
    for (int i = 0; i < SIM_DEVICES; i++)
        if (strcmp(sim_device_id((unsigned)i), id) == 0)
            return i;
    return -1;
}

void sim_load_row(struct sim_sink *one, const struct tern_sink_load *load, struct tern_sink_row *row)
{
    int number = sim_column(load->table, "number");
    if (strcmp(row->device, "stranger") == 0 || bloom_says_seen(one, row))
        return;
    if (row->op == TERN_OP_PUT && number >= 0 && row->values[number].number > 0 &&
        row->values[number].number < sim_record_count && sim_records[row->values[number].number].poison) {
        load->reject(load->context, row, "poison");
        return;
    }
    if (strcmp(load->table->name, "state") == 0) {
        load_state(one, load->table, row);
        return;
    }
    if (strcmp(load->table->name, "list") == 0) {
        load_list(one, load->table, row);
        return;
    }
    struct change *change = sim_add_change(one, CHANGE_EVENT);
    change->id = row->id;
    change->number = identify(load->table, row);
}

/* ---- A transaction's changes ----------------------------------------------------------------- */

static void apply_event(struct sim_state *state, const struct change *change)
{
    struct sim_row *row = &state->events[change->number];
    const struct sim_life *life = &sim_lives[sim_records[change->number].life];
    bool is_blurred = life->is_branch || life->has_branch || life->is_damaged;
    if (row->id != 0 && (!is_blurred || row->id == change->id))
        sim_violate("record %u arrives twice, with tern_id %lld and %lld", change->number, (long long)row->id,
                    (long long)change->id);
    row->id = change->id;
}

static void apply_state(struct sim_state *state, const struct change *change)
{
    const struct sim_record *record = &sim_records[change->number];
    struct sim_kept *kept = &state->state[sim_lives[record->life].name][record->key];
    if (change->id <= kept->id && sim.broken != BREAK_NO_VERSION_GUARD)
        return;
    if (change->id < kept->id)
        sim_violate("older data overwrites newer: record %u over %u", change->number, kept->number);
    *kept = (struct sim_kept){change->id, change->number, change->is_deleted};
}

/* What the snapshot replaces goes. Older ones have no effect. */
static void apply_replace(struct sim_state *state, const struct change *change)
{
    const char *device = sim_device_id((unsigned)change->mark);
    if (change->id <= state->snapshots[change->mark] && !sim_is_blurred(device))
        sim_violate("an older snapshot of device %s, tern_id %lld, replaces a newer", device,
                    (long long)change->id);
    state->snapshots[change->mark] = change->id;
    for (unsigned key = 0; key < SIM_KEYS; key++)
        if (state->list[change->mark][key].id < change->id)
            state->list[change->mark][key] = (struct sim_kept){0, 0, false};
}

static void apply_list(struct sim_state *state, const struct change *change)
{
    const struct sim_record *record = &sim_records[change->number];
    uint8_t device = sim_lives[record->life].name;
    struct sim_kept *kept = &state->list[device][record->key];
    if (change->id < state->snapshots[device] && !sim_is_blurred(sim_device_id(device)))
        sim_violate("record %u of device %s is older than the snapshot that it is brought into",
                    change->number, sim_device_id(device));
    if (change->id > kept->id)
        *kept = (struct sim_kept){change->id, change->number, false};
}

static void apply_remove_gap(struct sim_state *state, const struct sim_gap *gap)
{
    for (uint32_t i = 0; i < state->gap_count; i++)
        if (state->gaps[i].mark == gap->mark && state->gaps[i].first == gap->first) {
            state->gaps[i] = state->gaps[--state->gap_count];
            return;
        }
    sim_violate("a gap is removed that is not there");
}

static void apply_change(struct sim_state *state, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_EVENT:
        apply_event(state, change);
        break;
    case CHANGE_STATE:
        apply_state(state, change);
        break;
    case CHANGE_LIST:
        apply_list(state, change);
        break;
    case CHANGE_REPLACE:
        apply_replace(state, change);
        break;
    case CHANGE_MARK:
        if (state->marks[change->mark].applied != UINT32_MAX &&
            change->applied < state->marks[change->mark].applied)
            sim_violate("a checkpoint goes back");
        state->marks[change->mark].applied = change->applied;
        break;
    case CHANGE_REMOVE_GAP:
        apply_remove_gap(state, &change->gap);
        break;
    case CHANGE_ADD_GAP:
        if (state->gap_count == SIM_GAPS)
            sim_violate("the simulation has too many gaps");
        else
            state->gaps[state->gap_count++] = change->gap;
        break;
    }
}

/* By lost bits, or two devices of one name: which records belong together is then not known any more. */
static bool may_be_torn(const struct sim_record *record)
{
    const struct sim_life *life = &sim_lives[record->life];
    return life->is_branch || life->has_branch || life->is_damaged;
}

/* What is put between begin and commit is there together: of a batch's events all or none. */
static void check_batches(const struct sim_sink *one)
{
    static uint16_t there[SIM_BATCHES];
    const struct sim_state *now = &one->destination->now;
    for (uint32_t i = 0; i < one->change_count; i++) {
        uint32_t number = one->changes[i].number;
        uint32_t batch = one->changes[i].kind == CHANGE_EVENT ? sim_records[number].batch : 0;
        const struct sim_record *record = &sim_records[number];
        if (batch == 0 || there[batch] != 0 || may_be_torn(record))
            continue;
        there[batch] = 1;
        for (uint32_t k = sim_batches[batch].first; k <= sim_batches[batch].last; k++)
            if (sim_records[k].batch == batch && sim_is_event(&sim_records[k]) && now->events[k].id == 0) {
                sim_violate("batch %u is there without its record %u", batch, k);
                break;
            }
    }
    for (uint32_t i = 0; i < one->change_count; i++)
        there[sim_records[one->changes[i].number].batch] = 0;
}

/* Rows first, then the rest: with the checkpoint outside of the transaction, what is between can be lost. */
void sim_apply(struct sim_sink *one, bool rows, bool marks)
{
    for (uint32_t i = 0; i < one->change_count; i++) {
        bool is_row = one->changes[i].kind <= CHANGE_STATE;
        if (is_row ? rows : marks)
            apply_change(&one->destination->now, &one->changes[i]);
    }
    if (rows)
        check_batches(one);
}
