/* SPDX-License-Identifier: MIT */
#include "chunk.h"

#include "crc32c.h"
#include "schema.h"

#define FORMAT_VERSION 0x10u
#define FORMAT_PACKED  0x08u
#define FORMAT_UNIT    0x07u
#define UNIT_LOG2_MAX  5u

#define TAG_COMMIT 1u
#define TAG_BATCH  2u
#define TAG_SINGLE 4u

#define COUNT_TABLES 1u

#define CRC_SIZE  4u
#define HASH_SIZE 4u

/* TERN_CHUNK_MAX << 3 needs three bytes as a varint, a payload in TAG_SHORT bytes two, TERN_CHUNK_ROWS_MAX << 1
 * needs two. */
#define TAG_SHORT      2047u
#define TAG_SIZE_MAX   3u
#define COUNT_SIZE_MAX 2u

static uint16_t pad(uint32_t size, uint8_t unit_log2)
{
    uint32_t mask = ((uint32_t)1 << unit_log2) - 1;
    return (uint16_t)((size + mask) & ~mask);
}

/* ---- Building ----------------------------------------------------------------------------------------------------------- */

/* Room in front of the open segment's payload, for the longest tag and count and the new tables' hashes. */
static uint16_t head_room(const struct tern_chunk *chunk, uint8_t new_tables)
{
    return (uint16_t)(TAG_SIZE_MAX - (chunk->capacity <= TAG_SHORT) + COUNT_SIZE_MAX +
                      (new_tables == 0 ? 0 : 1u + HASH_SIZE * new_tables));
}

static uint16_t front(const struct tern_chunk *chunk)
{
    return (uint16_t)(chunk->size + head_room(chunk, chunk->new_tables));
}

void tern_chunk_open(struct tern_chunk *chunk, const struct tern_codec *codec, uint32_t first,
                     uint8_t unit_log2)
{
    chunk->codec = codec;
    chunk->first = first;
    chunk->unit_log2 = unit_log2;
    chunk->capacity &= (uint16_t)(0xFFFFu << unit_log2);
    chunk->payload = 0;
    chunk->rows = 0;
    chunk->segment_rows = 0;
    chunk->table_count = 0;
    chunk->new_tables = 0;
    chunk->is_full = 0;
    chunk->data[0] = (uint8_t)(FORMAT_VERSION | codec->format | unit_log2);
    chunk->size = (uint16_t)(1 + tern_store_varint(chunk->data + 1, first));
    chunk->crc = tern_crc32c(0, chunk->data, chunk->size);
    codec->open(chunk);
}

/* The bytes that the open segment's payload may have, its CRC allowed for. */
static uint16_t payload_room(const struct tern_chunk *chunk, uint8_t new_tables)
{
    uint16_t used = (uint16_t)(chunk->size + head_room(chunk, new_tables) + CRC_SIZE);
    return used >= chunk->capacity ? 0 : (uint16_t)(chunk->capacity - used);
}

static uint8_t find_table(const struct tern_chunk *chunk, const struct tern_table *table)
{
    uint8_t index = 0;
    while (index < chunk->table_count && chunk->tables[index] != table)
        index++;
    return index;
}

bool tern_chunk_has(const struct tern_chunk *chunk, const struct tern_table *table)
{
    return find_table(chunk, table) != chunk->table_count;
}

/* Makes `table` the chunk's next one. Its hash is stored at once, in front of the payload, which moves up for it. */
static int declare(struct tern_chunk *chunk, const struct tern_table *table)
{
    uint8_t *payload = chunk->data + front(chunk);
    if (chunk->table_count == TERN_CHUNK_TABLES_MAX ||
        payload_room(chunk, (uint8_t)(chunk->new_tables + 1)) <= chunk->payload)
        return TERN_E_TOO_BIG;
    chunk->tables[chunk->table_count] = table;
    int status = chunk->codec->declare(chunk, chunk->table_count);
    if (status != TERN_OK)
        return status;
    chunk->table_count++;
    chunk->new_tables++;
    memmove(chunk->data + front(chunk), payload, chunk->payload);
    tern_store32(chunk->data + front(chunk) - HASH_SIZE, tern_schema_hash(table));
    return TERN_OK;
}

int tern_chunk_put(struct tern_chunk *chunk, const struct tern_table *table, uint8_t op,
                   const struct tern_value *row)
{
    uint8_t index = find_table(chunk, table);
    if (chunk->is_full || chunk->rows + chunk->segment_rows == TERN_CHUNK_ROWS_MAX)
        return TERN_E_TOO_BIG;
    int status = index == chunk->table_count ? declare(chunk, table) : TERN_OK;
    if (status != TERN_OK)
        return status;
    status = chunk->codec->put(chunk, chunk->data + front(chunk), payload_room(chunk, chunk->new_tables),
                               index, op, row);
    /* What the codec learnt from the record is not undone, so nothing may follow it. */
    if (status == TERN_OK)
        chunk->segment_rows++;
    else
        chunk->is_full = 1;
    return status;
}

/* The head never reaches the payload: head_room() is the longest that it can be. */
static uint8_t *write_head(const struct tern_chunk *chunk, uint8_t *head, uint16_t payload, uint8_t tag)
{
    uint32_t count = (uint32_t)chunk->segment_rows << 1 | (chunk->new_tables != 0 ? COUNT_TABLES : 0u);
    bool single = tag == TAG_COMMIT && count == 1u << 1;
    head += tern_store_varint(head, (uint32_t)payload << 3 | tag | (single ? TAG_SINGLE : 0));
    if (!single)
        head += tern_store_varint(head, count);
    if (chunk->new_tables != 0)
        *head++ = chunk->new_tables;
    return head;
}

void tern_chunk_finish(struct tern_chunk *chunk, bool commit, bool batch)
{
    uint8_t *start = chunk->data + chunk->size;
    uint8_t *payload = chunk->data + front(chunk);
    uint16_t hashes = (uint16_t)(HASH_SIZE * chunk->new_tables);
    uint16_t size = chunk->codec->finish(chunk, payload);
    uint8_t *end =
        write_head(chunk, start, size, (uint8_t)((commit ? TAG_COMMIT : 0) | (batch ? TAG_BATCH : 0)));
    memmove(end, payload - hashes, (size_t)hashes + size);
    end += hashes + size;
    chunk->crc = tern_crc32c(chunk->crc, start, (size_t)(end - start));
    tern_store32(end, chunk->crc);
    start = end;
    end += CRC_SIZE;
    while (((end - chunk->data) & (((ptrdiff_t)1 << chunk->unit_log2) - 1)) != 0)
        *end++ = 0xFF;
    chunk->crc = tern_crc32c(chunk->crc, start, (size_t)(end - start));
    chunk->size = (uint16_t)(end - chunk->data);
    chunk->rows = (uint16_t)(chunk->rows + chunk->segment_rows);
    chunk->segment_rows = 0;
    chunk->payload = 0;
    chunk->new_tables = 0;
}

void tern_chunk_close(struct tern_chunk *chunk)
{
    chunk->size = 0;
    chunk->rows = 0;
    chunk->segment_rows = 0;
}

uint8_t *tern_chunk_payload(const struct tern_chunk *chunk)
{
    return chunk->data + front(chunk);
}

uint32_t tern_chunk_next(const struct tern_chunk *chunk)
{
    return chunk->first + chunk->rows + chunk->segment_rows;
}

/* ---- Walking ------------------------------------------------------------------------------------------------------------- */

/* A cursor over the source: reads that stop at the limit. `status` keeps the first that was not TERN_OK. */
struct cursor {
    const struct tern_walk *walk;
    uint32_t offset;
    int status;
};

static void take(struct cursor *cursor, void *data, uint32_t size)
{
    if (cursor->status == TERN_OK && cursor->walk->limit - cursor->offset < size)
        cursor->status = TERN_AGAIN;
    if (cursor->status == TERN_OK)
        cursor->status = cursor->walk->source.read(cursor->walk->source.context, cursor->offset, data, size);
    cursor->offset += size;
}

static uint32_t take_varint(struct cursor *cursor)
{
    uint8_t bytes[TERN_VARINT32_MAX];
    uint8_t size = 0;
    do {
        take(cursor, &bytes[size++], 1);
    } while (cursor->status == TERN_OK && (bytes[size - 1] & 0x80) != 0 && size < TERN_VARINT32_MAX);
    if (cursor->status != TERN_OK)
        return 0;
    struct tern_input input = {bytes, size, false};
    uint32_t value = tern_read_varint(&input);
    if (input.failed)
        cursor->status = TERN_E_CORRUPT;
    return value;
}

/* Moves the running CRC on to `end`, through a small buffer. */
static int add_crc(struct tern_walk *walk, uint32_t *crc, uint32_t from, uint32_t end)
{
    uint8_t piece[32];
    while (from < end) {
        uint32_t size = end - from < sizeof(piece) ? end - from : (uint32_t)sizeof(piece);
        int status = walk->source.read(walk->source.context, from, piece, size);
        if (status != TERN_OK)
            return status;
        *crc = tern_crc32c(*crc, piece, (size_t)size);
        from += size;
    }
    return TERN_OK;
}

int tern_walk_begin(struct tern_walk *walk, struct tern_source source, uint32_t limit)
{
    struct cursor cursor = {walk, 0, TERN_OK};
    walk->source = source;
    walk->limit = limit < TERN_CHUNK_MAX ? limit : TERN_CHUNK_MAX;
    walk->crc = 0;
    walk->tables = 0;
    walk->rows = 0;
    take(&cursor, &walk->format, 1);
    if (cursor.status != TERN_OK)
        return cursor.status;
    if ((walk->format & 0xF0u) != FORMAT_VERSION || (walk->format & FORMAT_UNIT) > UNIT_LOG2_MAX)
        return TERN_E_FORMAT;
    walk->first = take_varint(&cursor);
    if (cursor.status == TERN_OK && walk->first == 0)
        cursor.status = TERN_E_CORRUPT;
    walk->sequence = walk->first;
    walk->offset = cursor.offset;
    return cursor.status != TERN_OK ? cursor.status : add_crc(walk, &walk->crc, 0, cursor.offset);
}

static void take_count(struct cursor *cursor, struct tern_segment *segment, bool single)
{
    uint32_t count = single ? 1u << 1 : take_varint(cursor);
    if (count >> 1 > TERN_CHUNK_ROWS_MAX)
        cursor->status = TERN_E_CORRUPT;
    segment->rows = (uint16_t)(count >> 1);
    segment->new_tables = 0;
    if (count & COUNT_TABLES)
        take(cursor, &segment->new_tables, 1);
    if (cursor->status == TERN_OK && (count & COUNT_TABLES) != 0 && segment->new_tables == 0)
        cursor->status = TERN_E_CORRUPT;
}

static int take_head(struct cursor *cursor, struct tern_segment *segment)
{
    uint32_t tag = take_varint(cursor);
    bool single = (tag & TAG_SINGLE) != 0;
    if (cursor->status != TERN_OK)
        return cursor->status;
    if (tag >> 3 > TERN_CHUNK_MAX || (single && (tag & (TAG_COMMIT | TAG_BATCH)) != TAG_COMMIT))
        return TERN_E_CORRUPT;
    segment->size = (uint16_t)(tag >> 3);
    segment->commit = (tag & TAG_COMMIT) != 0;
    segment->batch = (tag & TAG_BATCH) != 0;
    take_count(cursor, segment, single);
    segment->tables = cursor->offset;
    segment->payload = cursor->offset + HASH_SIZE * segment->new_tables;
    return cursor->status;
}

static int check_limits(const struct tern_walk *walk, const struct tern_segment *segment)
{
    if (walk->rows + (uint32_t)segment->rows > TERN_CHUNK_ROWS_MAX ||
        walk->tables + (uint32_t)segment->new_tables > TERN_CHUNK_TABLES_MAX ||
        segment->end > TERN_CHUNK_MAX || segment->first + segment->rows < segment->first)
        return TERN_E_CORRUPT;
    return segment->end > walk->limit ? TERN_AGAIN : TERN_OK;
}

static int check_crc(struct tern_walk *walk, struct tern_segment *segment)
{
    uint8_t stored[CRC_SIZE];
    uint32_t at = segment->payload + segment->size;
    uint32_t crc = walk->crc;
    int status = add_crc(walk, &crc, walk->offset, at);
    if (status == TERN_OK)
        status = walk->source.read(walk->source.context, at, stored, CRC_SIZE);
    if (status != TERN_OK)
        return status;
    segment->crc = crc;
    if (tern_load32(stored) != crc)
        return TERN_E_CORRUPT;
    status = add_crc(walk, &crc, at, segment->end);
    if (status == TERN_OK)
        walk->crc = crc;
    return status;
}

int tern_walk_next(struct tern_walk *walk, struct tern_segment *segment)
{
    struct cursor cursor = {walk, walk->offset, TERN_OK};
    uint8_t tag;
    take(&cursor, &tag, 1);
    if (cursor.status == TERN_OK && tag == 0xFF)
        cursor.status = TERN_AGAIN;
    if (cursor.status != TERN_OK)
        return cursor.status;
    cursor.offset = walk->offset;
    segment->start = walk->offset;
    segment->first = walk->sequence;
    int status = take_head(&cursor, segment);
    if (status != TERN_OK)
        return status;
    segment->end = pad(segment->payload + segment->size + CRC_SIZE, walk->format & FORMAT_UNIT);
    status = check_limits(walk, segment);
    if (status == TERN_OK)
        status = check_crc(walk, segment);
    if (status != TERN_OK)
        return status;
    walk->offset = segment->end;
    walk->sequence += segment->rows;
    walk->rows = (uint16_t)(walk->rows + segment->rows);
    walk->tables = (uint8_t)(walk->tables + segment->new_tables);
    return TERN_OK;
}

static int read_memory(void *context, uint32_t offset, void *data, uint32_t size)
{
    memcpy(data, (const uint8_t *)context + offset, (size_t)size);
    return TERN_OK;
}

struct tern_source tern_source_memory(const uint8_t *bytes)
{
    /* The context is only read from: see read_memory(). */
    struct tern_source source = {read_memory, (void *)(uintptr_t)bytes};
    return source;
}
