/* SPDX-License-Identifier: MIT */
#include "log_rig.h"

#include "../core/csv.h"
#include "../core/log_scan.h"
#include "../core/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tern_column columns[] = {{"id", TERN_U32, 0}};

const struct tern_table rig_tables[3] = {
    TERN_TABLE("a", TERN_APPEND, columns),
    TERN_TABLE("bb", TERN_APPEND, columns),
    TERN_TABLE("ccc", TERN_APPEND, columns),
};

void rig_open(struct rig *rig, struct nor *nor, uint16_t wanted)
{
    memset(rig, 0, sizeof(*rig));
    rig->nor = nor;
    rig->wanted = wanted;
    rig->least = 32;
    rig->drop = true;
    rig->ids = calloc(RIG_RECORDS, sizeof(*rig->ids));
    rig->next = rig->maybe = rig->tail = rig->floor = rig->acked = rig->before = 1;
    rig->chunk.data = rig->data;
}

void rig_close(struct rig *rig)
{
    free(rig->ids);
}

void rig_copy(struct rig *to, const struct rig *from)
{
    struct nor *nor = to->nor;
    uint32_t *ids = to->ids;
    nor_copy(nor, from->nor);
    *to = *from;
    to->nor = nor;
    to->ids = ids;
    to->log.flash = &nor->flash;
    to->chunk.data = to->data;
    memcpy(ids, from->ids, (from->tail - from->shift) * sizeof(*ids));
}

/* The records below the oldest sector's first may be gone. */
static void note_floor(struct rig *rig)
{
    if (rig->log.floor > rig->floor)
        rig->floor = rig->log.floor;
}

/* An epoch whose note may not last is not used before service has put that right. */
static void note_epoch(struct rig *rig)
{
    if ((rig->log.flags & LOG_NOTE_DUE) == 0 && !rig->nor->off)
        rig->epoch_firm = rig->epoch;
}

static void set_all(struct rig *rig, uint32_t sequence)
{
    rig->next = rig->maybe = rig->tail = rig->floor = rig->acked = rig->before = sequence;
    rig->excused[0] = rig->excused[1] = 0;
}

/* The count has begun again, which it may where all was acknowledged. */
static void note_beginning(struct rig *rig)
{
    const struct tern_epoch *now = rig->log.epochs;
    if (rig->shift == 0 || now->base != 1)
        return;
    if ((rig->acked < rig->next || now->epoch != rig->epoch + 8) && rig->wrong == NULL)
        rig->wrong = "the count began again too early";
    rig->shift = 0;
    rig->epoch = rig->epoch_maybe = rig->epoch_firm = now->epoch;
    set_all(rig, 1);
}

void rig_begin_at(struct rig *rig, uint32_t sequence)
{
    struct tern_log *log = &rig->log;
    rig->shift = sequence;
    set_all(rig, sequence);
    log->next = log->pending = log->acked = log->floor = sequence;
    (void)rig_service(rig);
    rig->epoch = rig->epoch_maybe = rig->epoch_firm = 8;
    if (tern_log_set_epoch(log, 8, sequence) != TERN_OK)
        rig->wrong = "no place for the first epoch";
}

int rig_mount(struct rig *rig)
{
    rig->chunk.size = 0;
    rig->chunk.segment_rows = 0;
    rig->in_batch = false;
    int status = tern_log_mount(&rig->log, &rig->nor->flash, 0);
    if (status != TERN_OK)
        return status;
    note_beginning(rig);
    /* The commit that was cut: all of it, or nothing. */
    uint32_t next = rig->log.next;
    bool excused = rig->next == rig->excused[1] && next == rig->excused[0];
    if (next != rig->next && next != rig->maybe && !excused && rig->wrong == NULL)
        rig->wrong = "the log begins neither before nor behind the commit that was cut";
    rig->next = rig->maybe = rig->tail = next;
    uint32_t epoch = rig->log.epochs[0].epoch;
    if (epoch != rig->epoch && epoch != rig->epoch_maybe && epoch != rig->epoch_firm && rig->wrong == NULL)
        rig->wrong = "the epoch is neither the old nor the new one";
    rig->epoch = rig->epoch_maybe = epoch;
    note_epoch(rig);
    if (rig->log.acked > rig->acked && rig->wrong == NULL)
        rig->wrong = "more is acknowledged than was";
    return TERN_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void forget(struct rig *rig)
{
    tern_chunk_close(&rig->chunk);
    tern_log_close(&rig->log);
    tern_log_abort(&rig->log);
    rig->in_batch = false;
    rig->tail = rig->next;
}

static int flush(struct rig *rig, bool commit)
{
    tern_chunk_finish(&rig->chunk, commit, rig->in_batch);
    if (commit)
        rig->maybe = rig->tail;
    int status = tern_log_append(&rig->log, &rig->chunk, commit);
    if (status < 0 && !rig->nor->off)
        forget(rig);
    return status;
}

static int open_chunk(struct rig *rig, const struct tern_table *table)
{
    int room = tern_log_open(&rig->log, table, tern_schema_hash(table), rig->wanted, rig->least);
    note_beginning(rig);
    if (room < 0)
        return room;
    rig->chunk.capacity = (uint16_t)room;
    uint8_t unit_log2 = rig->log.unit_log2;
    tern_chunk_open(&rig->chunk, table->codec, rig->log.pending + rig->refused, unit_log2);
    rig->tail += rig->refused;
    rig->refused = 0;
    return TERN_OK;
}

static int put_into(struct rig *rig, const struct tern_table *table, const struct tern_value *row)
{
    struct tern_chunk *chunk = &rig->chunk;
    bool known = tern_log_has_schema(&rig->log, tern_schema_hash(table));
    for (uint8_t i = 0; i < chunk->table_count; i++)
        known = known || chunk->tables[i] == table;
    int status = chunk->size != 0 && known ? tern_chunk_put(chunk, table, TERN_OP_PUT, row) : TERN_E_TOO_BIG;
    if (status != TERN_E_TOO_BIG)
        return status;
    if (chunk->size != 0) {
        if (chunk->segment_rows != 0 && (status = flush(rig, false)) < 0)
            return status;
        tern_chunk_close(chunk);
        tern_log_close(&rig->log);
    }
    status = open_chunk(rig, table);
    return status == TERN_OK ? tern_chunk_put(chunk, table, TERN_OP_PUT, row) : status;
}

int rig_put(struct rig *rig, unsigned table)
{
    struct tern_value row = tern_int(rig->next_id + 1);
    int status = put_into(rig, &rig_tables[table], &row);
    if (status != TERN_OK)
        return status;
    uint32_t sequence = tern_chunk_next(&rig->chunk) - 1;
    if (sequence - rig->shift >= RIG_RECORDS)
        abort();
    rig->ids[sequence - rig->shift] = ++rig->next_id;
    rig->tail = sequence + 1;
    return TERN_OK;
}

int rig_commit(struct rig *rig)
{
    if (rig->chunk.segment_rows == 0 && rig->log.pending == rig->log.next)
        return TERN_OK;
    int status = rig->chunk.size == 0 ? open_chunk(rig, rig->chunk.tables[0]) : TERN_OK;
    if (status == TERN_OK)
        status = flush(rig, true);
    if (status == TERN_OK) {
        rig->before = rig->next;
        rig->next = rig->maybe = rig->tail;
        rig->in_batch = false;
        if (rig->log.capacity == 0)
            tern_chunk_close(&rig->chunk);
        note_epoch(rig);
    }
    return status;
}

void rig_close_chunk(struct rig *rig)
{
    tern_chunk_close(&rig->chunk);
    tern_log_close(&rig->log);
}

void rig_abort(struct rig *rig)
{
    forget(rig);
}

void rig_acknowledge(struct rig *rig, uint32_t behind)
{
    uint32_t sequence = rig->next > rig->floor + behind ? rig->next - behind : rig->floor;
    if (sequence > rig->acked)
        rig->acked = sequence;
    tern_log_acknowledge(&rig->log, sequence, 0x1122334455667788u);
}

int rig_set_epoch(struct rig *rig)
{
    rig->epoch_maybe = rig->epoch + 8;
    int status = tern_log_set_epoch(&rig->log, rig->epoch_maybe, rig->next);
    if (status == TERN_OK)
        rig->epoch = rig->epoch_maybe;
    return status;
}

int rig_service(struct rig *rig)
{
    int status;
    do {
        status = tern_log_service(&rig->log, rig->drop);
        note_floor(rig);
    } while (status == TERN_AGAIN);
    note_epoch(rig);
    return status;
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool fail(struct rig *rig, const char *what)
{
    if (rig->wrong == NULL)
        rig->wrong = what;
    return false;
}

/* The identities in a segment's payload: lines "+index,id". */
static bool check_payload(struct rig *rig, const uint8_t *data, const struct tern_segment *segment,
                          uint32_t from)
{
    const char *text = (const char *)data + segment->payload;
    const char *end = text + segment->size;
    for (uint32_t sequence = segment->first; sequence < segment->first + segment->rows; sequence++) {
        uint32_t id = 0;
        if (end - text < 5 || text[0] != '+' || text[2] != ',')
            return fail(rig, "a payload is not what was put");
        for (text += 3; text < end && *text != '\n'; text++)
            id = id * 10 + (uint32_t)(*text - '0');
        text++;
        if (sequence >= from && (sequence >= rig->next || rig->ids[sequence - rig->shift] != id))
            return fail(rig, "a record is not the one that was committed");
    }
    return text == end || fail(rig, "a payload is longer than its records");
}

static bool check_schemas(struct rig *rig, const uint8_t *data, const struct tern_segment *segment)
{
    for (uint8_t i = 0; i < segment->new_tables; i++) {
        uint32_t hash = tern_segment_hash(segment, data, i);
        uint32_t address, size;
        if (tern_log_find_schema(&rig->log, hash, &address, &size) != TERN_OK)
            return rig->lenient || segment->first < rig->floor ||
                   fail(rig, "a chunk's schema is not in the log");
    }
    return true;
}

static bool check_chunk(struct rig *rig, const struct tern_log_chunk *found, uint32_t from)
{
    uint8_t data[TERN_CHUNK_MAX];
    struct tern_walk walk;
    struct tern_segment segment;
    uint32_t sector = rig->nor->flash.sector_size;
    if (found->address % sector + found->size > sector - rig->log.kept)
        return fail(rig, "a chunk stands where only notes may");
    if (tern_log_read(&rig->log, found, 0, data, found->size) != TERN_OK)
        return fail(rig, "a chunk that was found cannot be read");
    if (tern_walk_begin(&walk, tern_source_memory(data), found->size) != TERN_OK)
        return fail(rig, "a chunk's head is wrong");
    while (walk.offset < found->size) {
        if (tern_walk_next(&walk, &segment) != TERN_OK)
            return fail(rig, "a chunk's segment is wrong");
        if (!check_payload(rig, data, &segment, from) || !check_schemas(rig, data, &segment))
            return false;
    }
    return walk.sequence == found->next || fail(rig, "a chunk ends with another sequence");
}

static void count_missing(struct rig *rig, uint32_t from, uint32_t end)
{
    for (; from < end; from++)
        if (from >= rig->floor && !(from >= rig->excused[0] && from < rig->excused[1]))
            rig->missing++;
}

bool rig_check(struct rig *rig, bool tolerant)
{
    struct tern_log_chunk found;
    uint32_t sequence = rig->shift == 0 ? 1 : rig->shift;
    found.address = TERN_NO_ADDRESS;
    rig->oldest = 0;
    rig->missing = 0;
    for (;;) {
        int status = tern_log_find(&rig->log, sequence, &found);
        if (status == TERN_AGAIN)
            break;
        if (status != TERN_OK)
            return fail(rig, "the search failed");
        if (found.next < sequence || found.size == 0)
            return fail(rig, "the search found something else");
        if (found.first > sequence) {
            count_missing(rig, sequence, found.first);
            rig->reason = found.reason;
        }
        if (rig->oldest == 0)
            rig->oldest = found.first;
        if (!check_chunk(rig, &found, sequence))
            return false;
        sequence = found.next;
        if (found.first == found.next && sequence >= rig->next)
            break;
    }
    count_missing(rig, sequence, rig->next);
    if (rig->missing != 0 && !tolerant)
        return fail(rig, "a committed record is not there");
    return rig->wrong == NULL;
}
