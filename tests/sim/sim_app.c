/* SPDX-License-Identifier: MIT */
/* The application of a device: puts, deletes, batches, commits, aborts; and what the oracle must know of
 * them. */
#include "sim_device.h"

/* ---- Tables: two versions of the firmware, plain and packed ---------------------------------- */

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
         {"alarms", log_columns, codec, 2, TERN_APPEND, 0, 1},                                               \
         {"list", state_columns, codec, 3, TERN_OVERWRITE, 0, 0}},                                           \
            {{"events", log_columns, codec, 3, TERN_APPEND, 0, 0},                                           \
             {"state", state_columns, codec, 4, TERN_MERGE, 0, 0},                                           \
             {"alarms", log_columns, codec, 3, TERN_APPEND, 0, 1},                                           \
             {"list", state_columns, codec, 4, TERN_OVERWRITE, 0, 0}},                                       \
    }
static const struct tern_table tables[2][2][SIM_TABLES] = {VERSIONS(&tern_csv), VERSIONS(&tern_packed_text)};

/* ---- What it does ---------------------------------------------------------------------------- */

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
    /* A commit that waits may have failed in one sector before it waited for the next: what it left there may
     * read well later. */
    for (unsigned i = 0; i < device->lane_count; i++)
        if (device->commit_waits)
            doubt_pending(device, i);
        else
            forget_pending(device, i);
    device->commit_waits = false;
}

/* A record as the oracle must know it, before it is put. NULL: there is no room for more. */
static struct sim_record *make_record(struct device *device, enum sim_table which, enum tern_op op)
{
    uint8_t lane = tables[device->codec][device->version][which].lane;
    uint32_t number = device->pending_count[lane] < PENDING ? sim_new_record() : 0;
    struct sim_record *record = &sim_records[number];
    if (number == 0)
        return NULL;
    *record = (struct sim_record){.batch = device->batch[lane],
                                  .life = device->life,
                                  .lane = lane,
                                  .table = (uint8_t)which,
                                  .key = (uint8_t)sim_below(SIM_KEYS),
                                  .op = (uint8_t)op,
                                  .fate = FATE_PENDING,
                                  .version = device->version};
    if (op == TERN_OP_PUT)
        record->poison = sim_happens(SINK_POISON);
    return record;
}

/* What came of it. */
static void note_put(struct device *device, struct sim_record *record, int status)
{
    uint32_t number = (uint32_t)(record - sim_records);
    unsigned lane = record->lane;
    const struct tern_lane *to = &device->lanes[lane];
    record->sequence = to->chunk.first + to->chunk.rows + to->chunk.segment_rows - 1u;
    TRACE("device %u lane %u: put of record %u, sequence %u, batch %u, table %u, op %u: %d%s",
          sim_device_index(device), lane, number, record->sequence, record->batch, record->table, record->op,
          status, device->is_off ? ", no power" : "");
    if (device->is_off || status != TERN_OK)
        record->fate = FATE_FORGOTTEN;
    /* Of a batch is what put took: whoever is told that it did not, and commits all the same, commits the
     * rest. */
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

/* TERN_E_FULL also where there is no room for more records in the simulation. */
static int put_record(struct device *device, enum sim_table which, enum tern_op op)
{
    const struct tern_table *table = &tables[device->codec][device->version][which];
    struct sim_record *record = make_record(device, which, op);
    struct tern_value row[4];
    char note[64];
    int status;
    if (record == NULL)
        return TERN_E_FULL;
    uint32_t number = (uint32_t)(record - sim_records);
    size_t size = sim_note(number, note), columns = 0;
    if (which == TABLE_STATE || which == TABLE_LIST)
        row[columns++] = tern_int(record->key);
    row[columns++] = tern_int(number);
    row[columns++] = size == SIZE_MAX ? tern_null() : tern_bytes(note, size);
    row[columns] = tern_int((int64_t)number * 3);
    if (op == TERN_OP_PUT)
        status = tern_put(&device->tern, table, row);
    else if (op == TERN_OP_DELETE)
        status = tern_delete(&device->tern, table, row);
    else
        status = op == TERN_OP_SNAPSHOT_BEGIN ? tern_snapshot_begin(&device->tern, table)
                                              : tern_snapshot_end(&device->tern, table);
    note_put(device, record, status);
    return status;
}

static void put(struct device *device)
{
    enum sim_table which = (enum sim_table)sim_below(SIM_TABLES);
    if (which == TABLE_ALARMS && device->lane_count == 1)
        which = TABLE_EVENTS;
    bool is_delete = which == TABLE_STATE && sim_below(5) == 0;
    (void)put_record(device, which, is_delete ? TERN_OP_DELETE : TERN_OP_PUT);
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
static void begin(struct device *device, uint8_t lane)
{
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

/* A snapshot of the list, in a batch of its own. One that cannot be put whole is given up, unless the
 * application forgets its end: such a one is refused, with its batch. */
static void put_snapshot(struct device *device)
{
    if (device->batch[0] != 0)
        return;
    begin(device, 0);
    if (device->is_off || device->batch[0] == 0)
        return;
    int status = put_record(device, TABLE_LIST, TERN_OP_SNAPSHOT_BEGIN);
    uint32_t first = status == TERN_OK ? device->pending[0][device->pending_count[0] - 1] : 0;
    for (uint32_t rows = sim_below(12); rows != 0 && status == TERN_OK && !device->is_off; rows--)
        status = put_record(device, sim_below(8) == 0 ? TABLE_EVENTS : TABLE_LIST, TERN_OP_PUT);
    if (status == TERN_OK && !device->is_off) {
        if (sim_happens(SINK_POISON))
            sim_records[first].poison = true;
        else
            status = put_record(device, TABLE_LIST, TERN_OP_SNAPSHOT_END);
    }
    if (status != TERN_OK && !device->is_off)
        sim_app_abort(device);
}

void sim_app_step(struct device *device)
{
    uint32_t what = sim_below(100);
    if (device->commit_waits)
        what = sim_below(20) == 0 ? 99 : 70;
    if (sim.is_calm)
        what = 70;
    if (what < 60) {
        for (uint32_t i = 1 + sim_below(4); i != 0 && !device->is_off; i--)
            put(device);
        if (!device->is_eager || device->is_off || sim_below(4) == 0)
            return;
        what = 60;
    }
    if (what < 86)
        commit(device);
    else if (what < 92)
        begin(device, (uint8_t)sim_below(device->lane_count));
    else if (what < 95)
        put_snapshot(device);
    else if (what < 96 || what == 99)
        sim_app_abort(device);
}
