/* SPDX-License-Identifier: MIT */
/* From the staging store into a turn: whole units only. A run of records that no commit covers yet is passed
 * over; the entry that brings its commit leads back to it, so that a batch that stays open for days costs
 * neither memory nor the others' progress. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/log.h"
#include "import_turn.h"

#define LINGER     20    /* milliseconds that a small turn waits for company: one commit costs several */
#define FIRST_ROWS 12500 /* of a backlog: while they are read, nothing is brought in yet */

/* ---- Chunks ---------------------------------------------------------------------------------- */

static struct tern_import_chunk *chunk_place(const struct tern_import *import, const struct tern_entry *entry)
{
    uint64_t hash = ((uint64_t)(uintptr_t)entry->device ^ entry->lane ^ (uint64_t)entry->epoch << 32) *
                    0x9E3779B97F4A7C15u;
    return &import->chunks[hash >> 40 & (TERN_IMPORT_CHUNKS - 1)];
}

static bool make_room(struct tern_import_chunk *chunk, size_t size)
{
    size_t room = (size + 511) / 512 * 512;
    if (size <= chunk->room)
        return true;
    uint8_t *bytes = realloc(chunk->bytes, room);
    if (bytes == NULL)
        return false;
    chunk->bytes = bytes;
    chunk->room = (uint16_t)room;
    return true;
}

/* The entry's chunk from its head on. Its size, or an error. */
static int whole_chunk(struct tern_import *import, const struct tern_entry *entry,
                       struct tern_import_chunk *chunk)
{
    bool grows = chunk->device == entry->device && chunk->epoch == entry->epoch &&
                 chunk->lane == entry->lane && chunk->first == entry->chunk_first &&
                 chunk->size == entry->chunk_offset;
    int size = (int)(entry->chunk_offset + entry->size);
    uint8_t whole[TERN_CHUNK_MAX];
    chunk->device = NULL;
    if (!grows)
        chunk->place.size = 0;
    if (!grows && (size = tern_stage_chunk(import->reader, entry, whole)) < 0)
        return size;
    if (!make_room(chunk, (size_t)size))
        return TERN_HOST_E_SYSTEM;
    if (grows)
        memcpy(chunk->bytes + entry->chunk_offset, entry->data, entry->size);
    else
        memcpy(chunk->bytes, whole, (size_t)size);
    chunk->device = entry->device;
    chunk->epoch = entry->epoch;
    chunk->lane = entry->lane;
    chunk->first = entry->chunk_first;
    chunk->size = (uint16_t)size;
    return size;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

/* Statuses of the functions below, beside enum tern_status. */
/* STOP_LATER: a table must be made ready, and the connection is busy with the turn before. */
enum { STOP_REFUSED = -100, STOP_DATABASE, STOP_MEMORY, STOP_LIMIT, STOP_LATER };

struct reading {
    struct tern_import *import;
    const struct tern_entry *entry;
    uint32_t next; /* behind the newest record that was taken, or is known to be bad */
};

/* Records of the run that is being read, which the journal cannot give any more: a gap that the device may
 * fill, for the store had them. */
static void lose(struct tern_import *import, uint32_t first, uint32_t last)
{
    if (first > last)
        return;
    if (import->lost_count == 0)
        import->lost_first = first;
    import->lost_last = last;
    import->lost_count += last - first + 1;
    tern_turn_miss(&import->ahead, first, last, TERN_GAP_RETENTION);
}

/* Once for a run, however often it is read. */
static void tell_lost(struct tern_import *import, const struct tern_entry *entry)
{
    char message[200];
    if (import->lost_count == 0 || entry->position < import->lost_told)
        return;
    import->lost_told = entry->end;
    snprintf(message, sizeof message,
             "the journal has lost %" PRIu32 " of the records %" PRIu32 " to %" PRIu32
             " of lane %u, epoch %" PRIu32
             ", or their schema: they become a gap, and the device is asked for what it still holds",
             import->lost_count, import->lost_first, import->lost_last, entry->lane, entry->epoch);
    tern_import_report(import, TERN_ERROR, "records-lost", entry->device, message);
}

static const struct tern_schema *give_schema(void *context, uint32_t hash)
{
    const struct reading *reading = context;
    return tern_stage_find_schema(reading->import->stage, reading->entry->device, hash);
}

static struct tern_import_table *find_table(struct tern_import *import, const struct tern_schema *schema)
{
    for (size_t i = import->table_count; i-- > 0;)
        if (import->tables[i].schema == schema)
            return &import->tables[i];
    struct tern_import_table *tables = realloc(import->tables, (import->table_count + 1) * sizeof *tables);
    if (tables == NULL)
        return NULL;
    import->tables = tables;
    tables[import->table_count] = (struct tern_import_table){NULL, 0, false, false, false};
    return &tables[import->table_count];
}

/* Makes the table ready on first sight, and for deletes when the first one is met. */
static int prepare(struct tern_import *import, const struct tern_schema *schema, uint32_t hash, uint8_t op)
{
    bool deletes = op == TERN_OP_DELETE;
    struct tern_import_table *table = find_table(import, schema);
    if (table == NULL)
        return STOP_MEMORY;
    if (table->schema != NULL && (table->refused || table->deletes || !deletes))
        return table->refused ? STOP_REFUSED : TERN_OK;
    if (import->overlaps)
        return STOP_LATER;
    int status = import->sink->ops->prepare(import->sink, &schema->table, hash, deletes);
    if (status != TERN_HOST_OK && status != TERN_HOST_E_ARGUMENT)
        return STOP_DATABASE;
    if (status == TERN_HOST_OK)
        tern_import_take_table(import, schema);
    import->table_count += table->schema == NULL;
    *table = (struct tern_import_table){schema, hash, status != TERN_HOST_OK, false, deletes};
    return status == TERN_HOST_OK ? TERN_OK : STOP_REFUSED;
}

/* The table cannot take the record now: it becomes a gap, which is filled when it can, and all other records
 * go in. */
static int hold_record(const struct reading *reading, uint32_t sequence, const struct tern_schema *schema)
{
    struct tern_import *import = reading->import;
    struct tern_import_table *table = find_table(import, schema);
    if (!table->held) {
        if (!tern_import_hold_table(import, reading->entry, schema))
            return STOP_MEMORY;
        table->held = true;
    }
    tern_turn_miss(&import->ahead, sequence, sequence, TERN_GAP_TABLE);
    return import->ahead.failed ? STOP_MEMORY : TERN_OK;
}

static int take_one(struct reading *reading, uint32_t sequence, const struct tern_schema *schema,
                    uint32_t hash, uint8_t op, const struct tern_value *row)
{
    struct tern_turn *turn = &reading->import->ahead;
    if (sequence > reading->entry->last ||
        !tern_replay_wants_table(reading->import->config.replay, &schema->table))
        return TERN_OK;
    if (tern_replay_refuses(reading->import->config.replay, &schema->table)) {
        tern_sink_fail(reading->import->sink, TERN_HOST_E_ARGUMENT,
                       "table %s has columns that add: a repair would add twice", schema->table.name);
        return STOP_REFUSED;
    }
    int status = prepare(reading->import, schema, hash, op);
    if (status == STOP_REFUSED)
        return hold_record(reading, sequence, schema);
    if (status != TERN_OK)
        return status;
    if (turn->row_count >= TERN_TURN_ROWS_MAX)
        return STOP_LIMIT;
    tern_turn_add(turn, sequence, schema, hash, op, row);
    return turn->failed ? STOP_MEMORY : TERN_OK;
}

static int take_record(void *context, uint32_t sequence, const struct tern_schema *schema, uint32_t hash,
                       uint8_t op, const struct tern_value *row)
{
    struct reading *reading = context;
    int status = take_one(reading, sequence, schema, hash, op, row);
    if (status == TERN_OK)
        reading->next = sequence + 1;
    return status;
}

static int take_bad(void *context, uint32_t first, uint32_t last)
{
    struct reading *reading = context;
    char message[128];
    reading->next = last + 1;
    snprintf(message, sizeof message,
             "records %" PRIu32 " to %" PRIu32 " of epoch %" PRIu32
             " do not follow the grammar although their CRC is right: a fault in the firmware",
             first, last, reading->entry->epoch);
    tern_import_report(reading->import, TERN_ERROR, "records-undecodable", reading->entry->device, message);
    tern_turn_miss(&reading->import->ahead, first, last, TERN_GAP_REJECTED);
    return TERN_OK;
}

static void take_batch(void *context)
{
    const struct reading *reading = context;
    reading->import->ahead.open.batch = true;
}

static int take_commit(void *context, uint32_t next, bool batch)
{
    const struct reading *reading = context;
    tern_turn_commit(&reading->import->ahead, next, batch);
    return TERN_OK;
}

/* The entry's records, and the commits of what stands behind run_first. Where its chunk cannot be put
 * together any more, or its schema is gone, the rest of them is lost: as far as its commit for the entry that
 * ends the run, whole for one before that. */
static int decode_entry(struct tern_import *import, const struct tern_entry *entry, uint32_t run_first,
                        bool ends_run)
{
    uint32_t first = entry->first > run_first ? entry->first : run_first;
    struct reading reading = {import, entry, first};
    struct tern_decode_to to = {&reading, run_first,   give_schema, take_record,
                                take_bad, take_commit, take_batch};
    struct tern_import_chunk *chunk = chunk_place(import, entry);
    int size = whole_chunk(import, entry, chunk), status;
    if (size < 0 && size != TERN_HOST_E_CORRUPT)
        return STOP_MEMORY;
    if (size == TERN_HOST_E_CORRUPT)
        status = TERN_E_CORRUPT;
    else
        status = tern_decode_chunk(import->decoder, &chunk->place, chunk->bytes, (size_t)size, first, &to);
    if (status != TERN_E_CORRUPT && status != TERN_E_SCHEMA)
        return status;
    uint32_t end = entry->last + 1 - (ends_run ? entry->rest : 0);
    if (reading.next < end)
        lose(import, reading.next, end - 1);
    if (ends_run)
        tern_turn_commit(&import->ahead, end, false);
    return import->ahead.failed ? STOP_MEMORY : TERN_OK;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Reads the run's earlier entries, oldest first: import->chain holds `count` positions, newest first. */
static int decode_chain(struct tern_import *import, size_t count, uint32_t run_first)
{
    int status = TERN_OK;
    while (count-- > 0 && status == TERN_OK) {
        struct tern_entry entry;
        int found = tern_stage_fetch(import->reader, import->chain[count], &entry);
        if (found != TERN_HOST_OK)
            return STOP_MEMORY; /* it was there a moment ago */
        if (entry.kind == TERN_ENTRY_GAP) {
            tern_turn_miss(&import->ahead, entry.first, entry.last, entry.reason);
            continue;
        }
        /* The fetched bytes are gone with the next fetch, which putting the chunk together may need. */
        uint8_t data[TERN_CHUNK_MAX];
        memcpy(data, entry.data, entry.size);
        entry.data = data;
        status = decode_entry(import, &entry, run_first, false);
    }
    return status;
}

/* An entry without records may hold the commit of a run whose rest another store has. */
static bool stands_before(const struct tern_entry *entry, uint32_t first)
{
    return entry->first < first || (entry->first == first && entry->last + 1 == entry->first);
}

/* Follows the run back to its beginning. The number of its entries, or an error. What the journal has not
 * from its beginning on is a gap: what every destination had may have been removed, and one was set back; or
 * the journal is damaged before it. */
static int64_t find_chain(struct tern_import *import, const struct tern_entry *last)
{
    size_t count = 0;
    uint64_t position = last->run_before;
    uint32_t run_first = last->run_first, first = last->first;
    while (position != 0 && first > run_first) {
        if (position < tern_stage_oldest(import->stage)) {
            tern_turn_miss(&import->ahead, run_first, first - 1, TERN_GAP_RETENTION);
            break;
        }
        struct tern_entry entry;
        int found = tern_stage_fetch(import->reader, position, &entry);
        if (found != TERN_HOST_OK && found != TERN_HOST_E_CORRUPT)
            return STOP_MEMORY; /* that it cannot be read now does not say that it is damaged */
        if (found != TERN_HOST_OK || (entry.kind != TERN_ENTRY_CHUNK && entry.kind != TERN_ENTRY_GAP) ||
            entry.run_before >= position || !stands_before(&entry, first)) {
            lose(import, run_first, first - 1);
            break;
        }
        if (count == import->chain_room) {
            size_t room = count == 0 ? 64 : count * 2;
            uint64_t *chain = realloc(import->chain, room * sizeof *chain);
            if (chain == NULL)
                return STOP_MEMORY;
            import->chain = chain;
            import->chain_room = room;
        }
        import->chain[count++] = position;
        first = entry.first;
        position = entry.run_before;
    }
    return (int64_t)count;
}

/* Where an epoch goes on with the count of the one before, that one is looked at too: miss_before() in
 * import_apply.c. */
static uint32_t find_range(struct tern_import *import, const struct tern_entry *entry)
{
    struct tern_turn *turn = &import->ahead;
    if (entry->base > 1 && entry->epoch > TERN_EPOCH_STEP)
        tern_turn_find_range(turn, entry->device, entry->lane, entry->epoch - TERN_EPOCH_STEP, 1);
    return tern_turn_find_range(turn, entry->device, entry->lane, entry->epoch, entry->base);
}

static int read_run(struct tern_import *import, const struct tern_entry *entry)
{
    struct tern_turn *turn = &import->ahead;
    uint32_t range = find_range(import, entry);
    if (turn->failed)
        return STOP_MEMORY;
    import->lost_count = 0;
    tern_turn_begin(turn, range, entry->run_first);
    int64_t count = find_chain(import, entry);
    if (turn->failed || count < 0)
        return turn->failed ? STOP_MEMORY : (int)count;
    int status = decode_chain(import, (size_t)count, entry->run_first);
    if (status == TERN_OK && entry->kind == TERN_ENTRY_GAP) {
        tern_turn_miss(turn, entry->first, entry->last, entry->reason);
        tern_turn_commit(turn, entry->last + 1, false);
    } else if (status == TERN_OK) {
        status = decode_entry(import, entry, entry->run_first, true);
    }
    tern_turn_end(turn);
    status = turn->failed ? STOP_MEMORY : status;
    if (status == TERN_OK)
        tell_lost(import, entry);
    return status;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* What cannot be decoded holds its range, and is never dropped. */
static int settle(struct tern_import *import, const struct tern_entry *entry, int status)
{
    char message[400];
    switch (status) {
    case TERN_OK:
        return TERN_HOST_OK;
    case STOP_DATABASE:
        return TERN_HOST_E_DATABASE;
    case STOP_MEMORY:
        tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory, or the journal cannot be read");
        return TERN_HOST_E_SYSTEM;
    case STOP_REFUSED:
        snprintf(message, sizeof message, "%s",
                 import->sink->error[0] != '\0' ? import->sink->error : "its table was refused");
        break;
    case STOP_LIMIT:
        snprintf(message, sizeof message, "a batch of more than %u records cannot be brought in whole",
                 TERN_TURN_ROWS_MAX);
        break;
    case TERN_E_FORMAT:
        snprintf(message, sizeof message,
                 "a chunk is of a format that this version does not know: use a newer gateway");
        break;
    default:
        snprintf(message, sizeof message,
                 "a chunk in the journal at %" PRIu64 " cannot be put together (status %d)", entry->position,
                 status);
    }
    return tern_import_hold_range(import, entry, message) ? TERN_HOST_OK : TERN_HOST_E_SYSTEM;
}

/* The state that the oldest file begins with says what was committed before it, and is gone. */
static int read_state(struct tern_import *import, const struct tern_entry *entry)
{
    struct tern_turn *turn = &import->ahead;
    if (entry->run_first <= entry->base)
        return TERN_OK;
    uint32_t range = find_range(import, entry);
    tern_turn_begin(turn, range, entry->base);
    tern_turn_miss(turn, entry->base, entry->run_first - 1, TERN_GAP_RETENTION);
    tern_turn_commit(turn, entry->run_first, false);
    tern_turn_end(turn);
    return turn->failed ? STOP_MEMORY : TERN_OK;
}

static int read_entry(struct tern_import *import, const struct tern_entry *entry)
{
    if (entry->kind == TERN_ENTRY_STATE)
        return settle(import, entry, read_state(import, entry));
    bool ends_run = (entry->kind == TERN_ENTRY_CHUNK || entry->kind == TERN_ENTRY_GAP) && entry->commits;
    if (!ends_run || !tern_replay_wants(import->config.replay, entry) || tern_import_holds(import, entry))
        return TERN_HOST_OK;
    size_t units = import->ahead.unit_count, rows = import->ahead.row_count, gaps = import->ahead.gap_count;
    int status = read_run(import, entry);
    if (status != TERN_OK) {
        import->ahead.unit_count = units;
        import->ahead.row_count = rows;
        import->ahead.gap_count = gaps;
        if (import->overlaps)
            return TERN_IMPORT_LATER;
    }
    return settle(import, entry, status);
}

/* Whether the turn is to go in now although the store has no more at the moment. */
static bool is_due(struct tern_import *import, int64_t begun)
{
    pthread_mutex_lock(&import->mutex);
    bool hurry = import->stop || import->draining;
    pthread_mutex_unlock(&import->mutex);
    return hurry || import->ahead.unit_count == 0 || tern_import_clock() - begun >= LINGER;
}

/* The entry is the next turn's first: its bytes are kept, the reader goes on. */
static void keep_later(struct tern_import *import, const struct tern_entry *entry)
{
    import->later = *entry;
    if (entry->size != 0 && entry->size <= sizeof import->later_data) {
        memcpy(import->later_data, entry->data, entry->size);
        import->later.data = import->later_data;
    }
    import->has_later = true;
}

static int read_later(struct tern_import *import)
{
    int status = read_entry(import, &import->later);
    if (status != TERN_HOST_OK)
        return status;
    import->has_later = false;
    import->position = import->later.end;
    return status;
}

int tern_import_read(struct tern_import *import)
{
    int64_t begun = tern_import_clock();
    uint32_t rows = import->config.rows, milliseconds = import->config.milliseconds;
    int status = TERN_HOST_OK;
    unsigned i = 1;
    if (!import->more && rows > FIRST_ROWS)
        rows = FIRST_ROWS;
    tern_turn_reset(&import->ahead);
    if (import->has_later)
        status = read_later(import);
    for (; status == TERN_HOST_OK && import->ahead.row_count < rows; i++) {
        struct tern_entry entry;
        /* Not the cursor: behind it may stand what is no entry, and a wait for that would never wait. */
        import->seen = tern_stage_end(import->stage);
        int found = tern_stage_read(import->reader, &entry);
        if (found < 0)
            return import->overlaps ? found
                                    : tern_sink_fail(import->sink, found, "the journal cannot be read");
        if (found == 0)
            import->position = tern_stage_reader_position(import->reader);
        if (found == 0 && is_due(import, begun))
            break;
        if (found == 0) {
            tern_stage_wait(import->stage, import->seen, LINGER);
            continue;
        }
        status = tern_import_takes(import, entry.device) ? read_entry(import, &entry) : TERN_HOST_OK;
        if (status == TERN_IMPORT_LATER)
            keep_later(import, &entry);
        else if (status == TERN_HOST_OK)
            import->position = entry.end;
        if (i % 64 == 0 && (tern_import_clock() - begun >= milliseconds || tern_import_stops(import)))
            break;
    }
    import->more = import->ahead.row_count >= rows || tern_import_clock() - begun >= milliseconds;
    import->ahead.cursor = tern_import_cursor(import);
    return status == TERN_IMPORT_LATER ? TERN_HOST_OK : status;
}
