/* SPDX-License-Identifier: MIT */
/* The application of a device: puts, deletes, batches, commits, aborts; and what the oracle must know of them. */
#include "sim_device.h"

/* ---- Tables: two versions of the firmware, plain and packed ------------------------------------------------------------------------ */

static const struct tern_column log_columns[] = {
    {"number", TERN_I64, 0}, {"note", TERN_TEXT(32), TERN_NULLABLE}, {"extra", TERN_I64, 0}};
static const struct tern_column state_columns[] = {{"key", TERN_I32, TERN_KEY},
                                                   {"number", TERN_I64, 0},
                                                   {"note", TERN_TEXT(32), TERN_NULLABLE},
                                                   {"extra", TERN_I64, 0}};

#define VERSIONS(codec)                                                                                      \
    {                                                                                                        \
        {{"events", log_columns, codec, 2, TERN_APPEND, 0, 0},                                               \
         {"state", state_columns, codec, 3, TERN_MERGE, 0, 0},                                               \
         {"alarms", log_columns, codec, 2, TERN_APPEND, 0, 1}},                                              \
        {                                                                                                    \
            {"events", log_columns, codec, 3, TERN_APPEND, 0, 0},                                            \
                {"state", state_columns, codec, 4, TERN_MERGE, 0, 0},                                        \
            {                                                                                                \
                "alarms", log_columns, codec, 3, TERN_APPEND, 0, 1                                           \
            }                                                                                                \
        }                                                                                                    \
    }
static const struct tern_table tables[2][2][SIM_TABLES] = {VERSIONS(&tern_csv), VERSIONS(&tern_packed_text)};

/* ---- What it does ----------------------------------------------------------------------------------------------------------------------- */

static void forget_pending(struct device *device, unsigned lane)
{
    for (uint32_t k = 0; k < device->pending_count[lane]; k++)
        sim_records[device->pending[lane][k]].fate = FATE_FORGOTTEN;
    device->pending_count[lane] = 0;
    device->batch[lane] = 0;
}

/* After a failure of the flash: what was programmed may read well later. */
static void doubt_pending(struct device *device, unsigned lane)
{
    for (uint32_t k = 0; k < device->pending_count[lane]; k++)
        sim_records[device->pending[lane][k]].fate = FATE_MAYBE;
    device->pending_count[lane] = 0;
    device->batch[lane] = 0;
}

void sim_app_abort(struct device *device)
{
    tern_abort(&device->tern);
    TRACE("device %u: abort", sim_device_index(device));
    for (unsigned i = 0; i < device->lane_count; i++)
        forget_pending(device, i);
    device->commit_waits = false;
}

static void put(struct device *device)
{
    unsigned which = sim_below(device->lane_count == 1 ? 2 : 3);
    const struct tern_table *table = &tables[device->codec][device->version][which];
    uint8_t lane = table->lane;
    struct tern_lane *to = &device->lanes[lane];
    struct tern_value row[4];
    char note[64];
    uint32_t number = device->pending_count[lane] < PENDING ? sim_new_record() : 0;
    if (number == 0)
        return;
    struct sim_record *record = &sim_records[number];
    *record = (struct sim_record){.batch = device->batch[lane],
                                  .life = device->life,
                                  .lane = lane,
                                  .table = (uint8_t)which,
                                  .key = (uint8_t)sim_below(SIM_KEYS),
                                  .fate = FATE_PENDING,
                                  .version = device->version};
    size_t size = sim_note(number, note), columns = 0;
    if (which == TABLE_STATE)
        row[columns++] = tern_int(record->key);
    row[columns++] = tern_int(number);
    row[columns++] = size == SIZE_MAX ? tern_null() : tern_bytes(note, size);
    row[columns] = tern_int((int64_t)number * 3);
    if (which == TABLE_STATE && sim_below(5) == 0)
        record->op = TERN_OP_DELETE;
    else
        record->poison = sim_happens(SINK_POISON);
    int status = record->op == TERN_OP_DELETE ? tern_delete(&device->tern, table, row)
                                              : tern_put(&device->tern, table, row);
    record->sequence = to->chunk.first + to->chunk.rows + to->chunk.segment_rows - 1u;
    TRACE("device %u lane %u: put of record %u, sequence %u, batch %u: %d%s", sim_device_index(device), lane,
          number, record->sequence, record->batch, status, device->is_off ? ", no power" : "");
    if (device->is_off || status != TERN_OK)
        record->fate = FATE_FORGOTTEN;
    /* Of a batch is what put took: whoever is told that it did not, and commits all the same, commits the rest. */
    if (status != TERN_OK)
        record->batch = 0;
    if (!device->is_off && status == TERN_E_FLASH)
        doubt_pending(device, lane);
    else if (!device->is_off && status < 0 && status != TERN_E_FULL)
        sim_violate("device %s: a put fails with %d", sim_device_id(device->name), status);
    if (status != TERN_OK)
        return;
    device->pending[lane][device->pending_count[lane]++] = number;
    if (record->batch != 0) {
        if (sim_batches[record->batch].first == 0)
            sim_batches[record->batch].first = number;
        sim_batches[record->batch].last = number;
    }
}

/* What commit did to one lane, as its log says. */
static void settle(struct device *device, unsigned lane, int status)
{
    if (device->pending_count[lane] == 0)
        device->batch[lane] = 0;
    if (device->pending_count[lane] == 0)
        return;
    uint32_t next = device->lanes[lane].log.next;
    for (uint32_t k = 0; k < device->pending_count[lane]; k++) {
        struct sim_record *record = &sim_records[device->pending[lane][k]];
        bool is_safe = status == TERN_OK || record->sequence < next;
        if (is_safe && record->sequence >= next)
            sim_violate("device %s lane %u: commit says that sequence %u is safe, and the log ends at %u",
                        sim_device_id(device->name), lane, record->sequence, next);
        record->fate = is_safe ? FATE_COMMITTED : FATE_MAYBE;
        record->group = sim_group_count;
        sim_groups[sim_group_count] = record->sequence;
    }
    sim_group_count++;
    device->pending_count[lane] = 0;
    device->batch[lane] = 0;
}

static bool is_committed(const struct device *device, unsigned lane)
{
    uint32_t count = device->pending_count[lane];
    return count == 0 ||
           sim_records[device->pending[lane][count - 1]].sequence < device->lanes[lane].log.next;
}

static void commit(struct device *device)
{
    int status = tern_commit(&device->tern);
    TRACE("device %u: commit: %d%s", sim_device_index(device), status, device->is_off ? ", no power" : "");
    if (device->is_off) {
        sim_device_stop(device, true);
        return;
    }
    device->commit_waits = status == TERN_AGAIN;
    for (unsigned i = 0; i < device->lane_count && status == TERN_AGAIN; i++)
        if (is_committed(device, i))
            settle(device, i, TERN_OK); /* another lane waits */
    if (status == TERN_AGAIN)
        return;
    if (status != TERN_OK && status != TERN_E_FLASH)
        sim_violate("device %s: a commit fails with %d", sim_device_id(device->name), status);
    for (unsigned i = 0; i < device->lane_count; i++)
        settle(device, i, status);
}

/* Begins a batch; what was put before is committed first. */
static void begin(struct device *device)
{
    uint8_t lane = (uint8_t)sim_below(device->lane_count);
    if (device->batch[lane] != 0 || sim_batch_count == SIM_BATCHES)
        return;
    int status = tern_begin(&device->tern, lane);
    TRACE("device %u lane %u: begin: %d%s", sim_device_index(device), lane, status,
          device->is_off ? ", no power" : "");
    if (device->is_off) {
        sim_device_stop(device, true);
        return;
    }
    if (status == TERN_AGAIN) {
        device->commit_waits = true;
        return;
    }
    settle(device, lane, status);
    if (status == TERN_OK) {
        sim_batches[sim_batch_count] = (struct sim_batch){0, 0};
        device->batch[lane] = sim_batch_count++;
    }
}

void sim_app_step(struct device *device)
{
    uint32_t what = sim_below(100);
    if (device->commit_waits)
        what = sim_below(20) == 0 ? 99 : 70;
    if (sim.is_calm)
        what = 70;
    if (what < 60)
        for (uint32_t i = 1 + sim_below(4); i != 0 && !device->is_off; i--)
            put(device);
    if (what < 60 && device->is_eager && !device->is_off && sim_below(4) != 0)
        what = 60;
    if (what < 60)
        return;
    else if (what < 86)
        commit(device);
    else if (what < 94)
        begin(device);
    else if (what < 95 || what == 99)
        sim_app_abort(device);
}
