/* SPDX-License-Identifier: MIT */
#include "bloom.h"
#include "log.h"
#include "schema.h"
#include "unpack.h"

#define FORMAT_MASK 0xF8u
#define FORMAT      0x18u /* of a packed chunk */

/* How the newest stored record of the key stands to the one in question. */
enum likeness { UNLIKE = TERN_DEDUP_UNFOUNDED, SAME_KEY = TERN_DEDUP_CHANGED, SAME = TERN_DEDUP_SUPPRESSED };

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool values_equal(const struct tern_value *a, const struct tern_value *b)
{
    return a->number == b->number && a->size == b->size && a->is_null == b->is_null &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* The row in dedup->values against the one in question. Of a table without a key every column counts as one
 * of the key. */
static unsigned compare(const struct tern_dedup *dedup)
{
    const struct tern_table *table = dedup->table;
    unsigned likeness = SAME;
    for (unsigned i = 0; i < table->column_count; i++)
        if (!values_equal(&dedup->row[i], &dedup->values[i])) {
            likeness = SAME_KEY;
            if (table->mode != TERN_MERGE || (table->columns[i].flags & TERN_KEY) != 0)
                return UNLIKE;
        }
    return likeness;
}

/* ---- Looking through a chunk ----------------------------------------------------------------- */

static int declare(struct tern_dedup *dedup, const uint8_t *hash)
{
    for (unsigned i = 0; i < dedup->table_count; i++)
        if (tern_schema_hash(dedup->tables[i]) == tern_load32(hash))
            return tern_unpack_table(&dedup->unpack, dedup->tables[i]);
    return TERN_E_SCHEMA;
}

/* The newest record of the key decides. */
static int take_segment(struct tern_dedup *dedup, uint8_t *payload, const struct tern_segment *segment)
{
    struct tern_unpack_record record;
    int status = TERN_OK;
    for (uint8_t *hash = payload - 4u * segment->new_tables; hash != payload; hash += 4)
        if ((status = declare(dedup, hash)) != TERN_OK)
            return status;
    tern_unpack_segment(&dedup->unpack, payload, segment->size, segment->rows);
    for (unsigned rows = segment->rows; rows != 0 && status == TERN_OK; rows--) {
        unsigned likeness = SAME_KEY; /* a delete: of this key for all that is asked */
        status = tern_unpack_next(&dedup->unpack, &record, dedup->values);
        if (status != TERN_OK || dedup->unpack.tables[record.index] != dedup->table)
            continue;
        if (record.op == TERN_OP_PUT)
            likeness = compare(dedup);
        if (likeness != UNLIKE)
            dedup->newest = (uint8_t)likeness;
    }
    return status;
}

/* TERN_AGAIN: all of it was read. */
static int take_chunk(struct tern_dedup *dedup, uint8_t *data, uint32_t size)
{
    struct tern_walk walk;
    struct tern_segment segment;
    int status = tern_walk_begin(&walk, tern_source_memory(data), size);
    if (status != TERN_OK || (walk.format & FORMAT_MASK) != FORMAT)
        return TERN_E_FORMAT;
    status =
        tern_unpack_open(&dedup->unpack, dedup->models, dedup->models_size, dedup->texts, dedup->texts_size);
    while (status == TERN_OK) {
        status = tern_walk_next(&walk, &segment);
        if (status == TERN_OK)
            status = take_segment(dedup, data + segment.payload, &segment);
    }
    return status;
}

/* ---- Looking through the log ----------------------------------------------------------------- */

/* The open chunk in RAM, with its open segment. */
static int look_into_open(struct tern_dedup *dedup, struct tern_chunk *chunk)
{
    struct tern_segment segment;
    int status = take_chunk(dedup, chunk->data, chunk->size);
    segment.rows = chunk->segment_rows;
    segment.new_tables = chunk->new_tables;
    if (status == TERN_AGAIN && segment.rows != 0)
        status = take_segment(dedup, tern_pack_peek(chunk, &segment.size), &segment);
    return status;
}

/* The newest chunk of flash before `*sequence`, which becomes its first record's. Where the record before is
 * missing, tern_log_find_any() gives what comes behind the hole again: the search ends there, because what is
 * missing may have been newer than what is left. */
static int look_into_log(struct tern_dedup *dedup, struct tern_lane *lane, uint32_t *sequence)
{
    struct tern_log_chunk chunk;
    chunk.address = TERN_NO_ADDRESS;
    if (tern_log_find_any(&lane->log, *sequence - 1, &chunk) != TERN_OK || chunk.size > lane->chunk_size ||
        lane->flash->read(lane->flash->context, chunk.address, dedup->buffer, chunk.size) != 0)
        return TERN_E_CORRUPT;
    *sequence = chunk.first;
    return take_chunk(dedup, dedup->buffer, chunk.size);
}

static unsigned find_newest(struct tern_dedup *dedup, struct tern_lane *lane)
{
    uint32_t sequence = lane->log.pending;
    int status = TERN_OK;
    dedup->newest = UNLIKE;
    if (lane->chunk.size != 0) {
        sequence = lane->chunk.first;
        status = look_into_open(dedup, &lane->chunk);
    }
    for (unsigned left = dedup->reach; left != 0 && status >= TERN_OK && dedup->newest == UNLIKE; left--)
        status = look_into_log(dedup, lane, &sequence);
    return status < TERN_OK ? UNLIKE : dedup->newest;
}

/* ---- The filter ------------------------------------------------------------------------------ */

static uint64_t hash_of(const struct tern_table *table, const struct tern_value *row)
{
    uint64_t hash = 0;
    for (unsigned i = table->column_count; i != 0; i--, row++) {
        hash = tern_bloom_hash(hash, &row->number, sizeof(row->number));
        hash = tern_bloom_hash(hash, row->data, row->size);
    }
    return hash;
}

static int repeats(struct tern_dedup *dedup, struct tern_lane *lane, const struct tern_table *table,
                   const struct tern_value *row)
{
    dedup->table = table;
    dedup->row = row;
    dedup->puts++;
    if (!tern_bloom_add(&dedup->bloom, hash_of(table, row)))
        return 0;
    unsigned newest = find_newest(dedup, lane);
    dedup->checks[newest]++;
    return newest == SAME;
}

void tern_dedup_open(struct tern_dedup *dedup, void *filter, uint32_t size)
{
    tern_bloom_open(&dedup->bloom, filter, size, 0);
    dedup->repeats = repeats;
}
