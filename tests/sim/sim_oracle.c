/* SPDX-License-Identifier: MIT */
/* What was committed, and where it must be in the end (DESIGN.md, section 2). What can be checked at every
 * step is checked where it happens: sim_sink.c (nothing invented, twice, torn apart or older over newer),
 * sim_gateway.c (acknowledged is durable). */
#include <stdio.h>
#include <string.h>

#include "../../core/frame.h"
#include "../../host/stage_state.h"
#include "sim.h"

struct sim_record sim_records[SIM_RECORDS];
uint32_t sim_record_count;
struct sim_life sim_lives[SIM_LIVES];
uint32_t sim_life_count;
struct sim_batch sim_batches[SIM_BATCHES];
uint32_t sim_batch_count;
uint32_t sim_groups[SIM_RECORDS];
uint32_t sim_group_count;
bool sim_group_dropped[SIM_RECORDS];

#define TOLD 1024

/* The most that a gateway has acknowledged of a range. */
static struct told {
    char device[TERN_ID_MAX + 1];
    unsigned gateway;
    uint32_t epoch, next;
    uint8_t lane;
} told[TOLD];
static uint32_t told_count;

void sim_oracle_reset(void)
{
    memset(&sim_records[0], 0, sizeof sim_records[0]);
    memset(sim_lives, 0, sizeof sim_lives);
    sim_record_count = 1;
    sim_life_count = 0;
    sim_batch_count = 1;
    sim_group_count = 1;
    memset(sim_group_dropped, 0, sizeof sim_group_dropped);
    told_count = 0;
}

uint32_t sim_new_record(void)
{
    if (sim_record_count == SIM_RECORDS)
        return 0;
    memset(&sim_records[sim_record_count], 0, sizeof sim_records[0]);
    return sim_record_count++;
}

bool sim_is_event(const struct sim_record *record)
{
    return record->table == TABLE_EVENTS || record->table == TABLE_ALARMS;
}

static bool is_blurred_life(const struct sim_life *life)
{
    return life->is_branch || life->has_branch || life->is_damaged;
}

bool sim_is_blurred(const char *device)
{
    for (uint32_t i = 0; i < sim_life_count; i++)
        if (is_blurred_life(&sim_lives[i]) && strcmp(sim_device_id(sim_lives[i].name), device) == 0)
            return true;
    return false;
}

size_t sim_note(uint32_t number, char note[64])
{
    static const char sample[] = "a,\"b\"\n\r\0\xFF \xC3\xA4 tern 0123456789 abcdefghijklmnopqrstuvwxyz";
    if (number % 7 == 0)
        return SIZE_MAX;                      /* NULL */
    size_t size = number * 2654435761u >> 27; /* 0 to 31 */
    size_t from = number % 20;
    memcpy(note, sample + from, size);
    return size;
}

/* ---- Epochs and acknowledgements ------------------------------------------------------------- */

/* The log begins later than before: what it had not been told to be safe is lost, and the rest of its commit
 * with it. */
static void watch_floor(unsigned life, unsigned lane, uint32_t floor)
{
    struct sim_life *one = &sim_lives[life];
    for (uint32_t i = 1; i < sim_record_count && floor > one->floor[lane]; i++) {
        struct sim_record *record = &sim_records[i];
        if (record->life != life || record->lane != lane || record->fate != FATE_COMMITTED ||
            record->sequence >= floor || record->sequence < one->acked[lane] || !one->may_drop[lane])
            continue;
        record->is_dropped = true;
        sim_group_dropped[record->group] = true;
    }
    if (floor > one->floor[lane])
        one->floor[lane] = floor;
}

void sim_watch_lane(unsigned life, unsigned lane, const struct tern_log *log)
{
    struct sim_life *one = &sim_lives[life];
    watch_floor(life, lane, log->floor);
    uint16_t count = one->epoch_count[lane];
    struct tern_epoch now = log->epochs[0];
    if (log->acked > one->acked[lane]) {
        one->acked[lane] = log->acked;
        TRACE("device %u lane %u: acknowledged below %u", one->device, lane, log->acked);
    }
    const struct tern_epoch *last = count == 0 ? NULL : &one->epochs[lane][count - 1];
    if (now.epoch == 0 || (last != NULL && last->epoch == now.epoch && last->base == now.base))
        return;
    if (count == sizeof one->epochs[lane] / sizeof one->epochs[lane][0]) {
        sim_violate("device %s has had %u epochs", sim_device_id(one->name), count);
        return;
    }
    TRACE("device %u lane %u: epoch %u from %u on", one->device, lane, now.epoch, now.base);
    one->epochs[lane][one->epoch_count[lane]++] = now;
}

/* The epoch under which the record went, 0: none yet. */
static uint32_t epoch_of(const struct sim_record *record)
{
    const struct sim_life *life = &sim_lives[record->life];
    for (uint16_t i = life->epoch_count[record->lane]; i-- > 0;)
        if (life->epochs[record->lane][i].base <= record->sequence)
            return life->epochs[record->lane][i].epoch;
    return 0;
}

static struct told *find_told(unsigned gateway, const char *device, uint8_t lane, uint32_t epoch)
{
    for (uint32_t i = 0; i < told_count; i++)
        if (told[i].gateway == gateway && told[i].lane == lane && told[i].epoch == epoch &&
            strcmp(told[i].device, device) == 0)
            return &told[i];
    return NULL;
}

bool sim_has_heard(unsigned gateway, const char *device, uint8_t lane, uint32_t epoch)
{
    return find_told(gateway, device, lane, epoch) != NULL;
}

void sim_heard_ack(unsigned gateway, const char *device, uint8_t lane, uint32_t epoch, uint32_t next)
{
    struct told *one = find_told(gateway, device, lane, epoch);
    if (one == NULL && told_count < TOLD) {
        one = &told[told_count++];
        *one = (struct told){.gateway = gateway, .lane = lane, .epoch = epoch};
        strncpy(one->device, device, TERN_ID_MAX);
    }
    if (one != NULL && next > one->next) {
        TRACE("gateway %u acknowledges %s lane %u epoch %u below %u", gateway, device, lane, epoch, next);
        one->next = next;
    }
}

void sim_each_ack(unsigned gateway, const struct tern_stage *stage)
{
    for (uint32_t i = 0; i < told_count; i++) {
        if (told[i].gateway != gateway)
            continue;
        const struct tern_device *device = tern_stage_lookup(stage, told[i].device);
        const struct tern_range *range =
            device == NULL ? NULL : tern_stage_find_range(device, told[i].lane, told[i].epoch);
        /* A device with very many epochs loses its oldest from memory, not from the journal. */
        if (range == NULL && (device == NULL || device->range_count < TERN_STAGE_RANGES_MAX))
            sim_violate("gateway %u acknowledged device %s, epoch %u, and does not know it any more", gateway,
                        told[i].device, told[i].epoch);
        else if (range != NULL && tern_range_end(range) < told[i].next)
            sim_violate("gateway %u acknowledged device %s, epoch %u up to %u and holds it up to %u", gateway,
                        told[i].device, told[i].epoch, told[i].next, tern_range_end(range));
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

/* A factory reset has taken it, or its commit, before a gateway had it. */
static bool may_be_gone(const struct sim_record *record)
{
    const struct sim_life *life = &sim_lives[record->life];
    return life->ended && sim_groups[record->group] >= life->acked[record->lane];
}

static const char *name_of(const struct sim_record *record)
{
    return sim_device_id(sim_lives[record->life].name);
}

enum place { IS_THERE, IS_IN_GAP, IS_LOST };

/* Where the destination says that the record is. */
static enum place place_of(const struct sim_state *state, const struct sim_record *record, uint8_t *reason)
{
    const struct sim_mark *mark = sim_find_mark(state, name_of(record), record->lane, epoch_of(record));
    if (mark == NULL || mark->applied == UINT32_MAX || record->sequence > mark->applied)
        return IS_LOST;
    const struct sim_gap *gap = sim_find_gap(state, mark, record->sequence);
    if (gap == NULL)
        return IS_THERE;
    *reason = gap->reason;
    return IS_IN_GAP;
}

/* Of a batch, that a record of it may be left out. */
static bool is_poisoned(uint32_t number)
{
    const struct sim_record *record = &sim_records[number];
    if (record->poison || record->batch == 0)
        return record->poison;
    for (uint32_t i = sim_batches[record->batch].first; i <= sim_batches[record->batch].last; i++)
        if (sim_records[i].batch == record->batch && sim_records[i].poison &&
            sim_records[i].fate == FATE_COMMITTED)
            return true;
    return false;
}

/* Whether this reason for a loss can be true. Nothing else excuses a record that was committed and is not
 * there. */
static bool is_excused(uint32_t number, uint8_t reason)
{
    const struct sim_record *record = &sim_records[number];
    const struct sim_life *life = &sim_lives[record->life];
    bool is_dropped = sim_group_dropped[record->group];
    /* What a power cut in its erase has left of a sector may stand as the oldest one again, and tell of
     * damage. */
    bool is_half_erased = is_dropped && life->has_half_erased[record->lane];
    switch (reason) {
    case TERN_GAP_OVERFLOW:
        return is_dropped;
    case TERN_GAP_REJECTED:
        return is_poisoned(number);
    case TERN_GAP_HELD: /* by a store that has a gap there itself */
        return is_dropped || life->is_damaged || is_poisoned(number);
    case TERN_GAP_DAMAGED:
        return life->is_damaged || is_half_erased;
    default:
        return false;
    }
}

static void check_record(unsigned destination, uint32_t number)
{
    const struct sim_state *state = &sim_destinations[destination].now;
    const struct sim_record *record = &sim_records[number];
    const struct sim_life *life = &sim_lives[record->life];
    uint8_t reason = 0;
    enum place place = place_of(state, record, &reason);
    bool is_there = sim_is_event(record) ? state->events[number].id != 0 : place == IS_THERE;
    bool is_blurred = is_blurred_life(life);
    if (is_there && place == IS_IN_GAP && !is_blurred)
        sim_violate("destination %u: record %u of device %s is there, and in a gap", destination, number,
                    name_of(record));
    if (is_there || may_be_gone(record))
        return;
    if (place == IS_IN_GAP && is_excused(number, reason))
        return;
    if (is_blurred)
        return; /* two histories under one name: what cannot be told apart is said plainly in the documents */
    const struct sim_mark *mark = sim_find_mark(state, name_of(record), record->lane, epoch_of(record));
    TRACE("destination %u has applied %s lane %u epoch %u up to %d", destination, name_of(record),
          record->lane, epoch_of(record), mark == NULL ? -2 : (int)mark->applied);
    sim_violate("destination %u: record %u of device %s (lane %u, epoch %u, sequence %u) %s%u", destination,
                number, name_of(record), record->lane, epoch_of(record), record->sequence,
                place == IS_IN_GAP ? "is in a gap that nothing excuses, reason "
                                   : "is lost, without a gap; table ",
                place == IS_IN_GAP ? reason : record->table);
}

/* The newest record of each key that is there is the row. */
static void check_state(unsigned destination)
{
    static uint32_t newest[SIM_DEVICES][SIM_KEYS];
    const struct sim_state *state = &sim_destinations[destination].now;
    memset(newest, 0, sizeof newest);
    for (uint32_t i = 1; i < sim_record_count; i++) {
        const struct sim_record *record = &sim_records[i];
        uint8_t reason, device = sim_lives[record->life].name;
        if (record->table != TABLE_STATE || record->fate < FATE_MAYBE || record->fate == FATE_FORGOTTEN)
            continue;
        if (place_of(state, record, &reason) != IS_THERE)
            continue;
        /* Of a commit that was cut, the sequence may have been used again. */
        if (record->fate == FATE_MAYBE && state->state[device][record->key].number != i)
            continue;
        newest[device][record->key] = i;
    }
    for (unsigned device = 0; device < SIM_DEVICES; device++)
        for (unsigned key = 0; key < SIM_KEYS && !sim_is_blurred(sim_device_id(device)); key++) {
            const struct sim_kept *kept = &state->state[device][key];
            uint32_t expected = newest[device][key];
            if (expected == kept->number || (expected != 0 && sim_records[expected].poison))
                continue;
            if (expected != 0 && may_be_gone(&sim_records[expected]))
                continue;
            sim_violate("destination %u: key %u of device %s holds record %u, not the newest, %u",
                        destination, key, sim_device_id(device), kept->number, expected);
        }
}

/* The tern_id of a record, for one that has had an epoch. */
static int64_t id_of(const struct sim_record *record)
{
    return (int64_t)epoch_of(record) << 32 | record->sequence;
}

/* Of an OVERWRITE table there is what followed the beginning of the newest snapshot; one that a cut made
 * doubtful may be it. */
static void check_list(unsigned destination, uint8_t device)
{
    const struct sim_state *state = &sim_destinations[destination].now;
    uint32_t newest[SIM_KEYS] = {0};
    int64_t begin = 0, said = state->snapshots[device];
    bool is_known = said == 0;
    for (uint32_t i = 1; i < sim_record_count; i++) {
        const struct sim_record *record = &sim_records[i];
        uint8_t reason;
        bool is_sure = record->fate == FATE_COMMITTED && !may_be_gone(record);
        if (record->table != TABLE_LIST || sim_lives[record->life].name != device ||
            (record->fate != FATE_COMMITTED && record->fate != FATE_MAYBE) ||
            place_of(state, record, &reason) != IS_THERE)
            continue;
        if (record->op == TERN_OP_SNAPSHOT_BEGIN) {
            is_known = is_known || id_of(record) == said;
            if (is_sure && id_of(record) > begin)
                begin = id_of(record);
        } else if (record->op == TERN_OP_PUT && id_of(record) > said &&
                   (is_sure || state->list[device][record->key].number == i)) {
            newest[record->key] = i;
        }
    }
    if (said < begin || !is_known)
        sim_violate("destination %u: the snapshot of device %s is %lld, not %lld", destination,
                    sim_device_id(device), (long long)said, (long long)begin);
    for (unsigned key = 0; key < SIM_KEYS; key++)
        if (state->list[device][key].number != newest[key])
            sim_violate("destination %u: key %u of the list of device %s holds record %u, not the newest, %u",
                        destination, key, sim_device_id(device), state->list[device][key].number,
                        newest[key]);
}

void sim_check_end(void)
{
    for (unsigned i = 0; i < sim.destination_count && !sim.is_over; i++) {
        for (uint32_t number = 1; number < sim_record_count && !sim.is_over; number++)
            if (sim_records[number].fate == FATE_COMMITTED)
                check_record(i, number);
        check_state(i);
        for (uint8_t device = 0; device < SIM_DEVICES && !sim.is_over; device++)
            if (!sim_is_blurred(sim_device_id(device)))
                check_list(i, device);
    }
}
