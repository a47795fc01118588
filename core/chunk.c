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
#define BAD_COUNT    0xFFFFFFFFu /* more records than a chunk can hold */

#define CRC_SIZE  4u
#define HASH_SIZE 4u

/* TERN_CHUNK_MAX << 3 needs three bytes as a varint, a payload in TAG_SHORT bytes two, TERN_CHUNK_ROWS_MAX <<
 * 1 needs two. */
#define TAG_SHORT      2047u
#define TAG_SIZE_MAX   3u
#define COUNT_SIZE_MAX 2u

#define PIECE 16u /* bytes read at a time */

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
/* A read that returns TERN_OK has filled what it was given, which gcc's analyzer cannot know of take(). */
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"
#endif

static uint32_t pad(uint32_t size, uint8_t unit_log2)
{
    uint32_t mask = (1u << unit_log2) - 1;
    return (size + mask) & ~mask;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* Behind `size` finished bytes, with room in front of the payload for the longest tag and count. */
static void begin_segment(struct tern_chunk *chunk, uint16_t size)
{
    chunk->size = size;
    chunk->front = (uint16_t)(size + TAG_SIZE_MAX - (chunk->capacity <= TAG_SHORT) + COUNT_SIZE_MAX);
    chunk->payload = 0;
    chunk->segment_rows = 0;
    chunk->new_tables = 0;
}

void tern_chunk_open(struct tern_chunk *chunk, const struct tern_codec *codec, uint32_t first,
                     uint8_t unit_log2)
{
    uint8_t *data = chunk->data;
    chunk->codec = codec;
    chunk->first = first;
    chunk->unit_log2 = unit_log2;
    chunk->capacity &= (uint16_t)(0xFFFFu << unit_log2);
    chunk->rows = 0;
    chunk->table_count = 0;
    chunk->is_full = 0;
    data[0] = (uint8_t)(FORMAT_VERSION | codec->format | unit_log2);
    begin_segment(chunk, (uint16_t)(1 + tern_store_varint(data + 1, first)));
    chunk->crc = tern_crc32c(0, data, chunk->size);
    codec->open(chunk);
}

uint8_t tern_chunk_index(const struct tern_chunk *chunk, const struct tern_table *table)
{
    uint8_t index = 0;
    while (index < chunk->table_count && chunk->tables[index] != table)
        index++;
    return index;
}

/* Makes `table` the chunk's next one. Its hash is stored at once, in front of the payload, which moves up for
 * it. */
static int declare(struct tern_chunk *chunk, const struct tern_table *table)
{
    uint8_t *payload = tern_chunk_payload(chunk);
    uint16_t front = (uint16_t)(chunk->front + HASH_SIZE + (chunk->new_tables == 0));
    if (chunk->table_count == TERN_CHUNK_TABLES_MAX || front + CRC_SIZE + chunk->payload > chunk->capacity)
        return TERN_E_TOO_BIG;
    chunk->tables[chunk->table_count] = table;
    int status = chunk->codec->declare(chunk, chunk->table_count);
    if (status != TERN_OK)
        return status;
    chunk->table_count++;
    chunk->new_tables++;
    chunk->front = front;
    memmove(chunk->data + front, payload, chunk->payload);
    tern_store32(chunk->data + front - HASH_SIZE, tern_schema_hash(table));
    return TERN_OK;
}

int tern_chunk_put(struct tern_chunk *chunk, const struct tern_table *table, uint8_t op,
                   const struct tern_value *row)
{
    uint8_t index = tern_chunk_index(chunk, table);
    if (chunk->is_full || chunk->rows + chunk->segment_rows == TERN_CHUNK_ROWS_MAX)
        return TERN_E_TOO_BIG;
    int status = index == chunk->table_count ? declare(chunk, table) : TERN_OK;
    if (status != TERN_OK)
        return status;
    uint16_t used = (uint16_t)(chunk->front + CRC_SIZE);
    uint16_t room = used >= chunk->capacity ? 0 : (uint16_t)(chunk->capacity - used);
    status = chunk->codec->put(chunk, tern_chunk_payload(chunk), room, index, op, row);
    /* What the codec learnt from the record is not undone, so nothing may follow it. */
    if (status == TERN_OK)
        chunk->segment_rows++;
    else
        chunk->is_full = 1;
    return status;
}

/* The head never reaches the payload: begin_segment() leaves room for the longest. */
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
    uint8_t *payload = tern_chunk_payload(chunk);
    size_t hashes = HASH_SIZE * chunk->new_tables;
    size_t size = hashes + chunk->codec->finish(chunk, payload);
    uint8_t *end = write_head(chunk, start, (uint16_t)(size - hashes),
                              (uint8_t)((commit ? TAG_COMMIT : 0) | (batch ? TAG_BATCH : 0)));
    memmove(end, payload - hashes, size);
    end += size;
    uint32_t crc = tern_crc32c(chunk->crc, start, (size_t)(end - start));
    tern_store32(end, crc);
    end += CRC_SIZE;
    size = (size_t)(end - chunk->data);
    hashes = (size_t)pad((uint32_t)size, chunk->unit_log2) - size;
    memset(end, 0xFF, hashes);
    /* A CRC that took its own value in would go on from a constant, and forget what was before. */
    chunk->crc = tern_crc32c(crc, end, hashes);
    chunk->rows = (uint16_t)(chunk->rows + chunk->segment_rows);
    begin_segment(chunk, (uint16_t)(size + hashes));
}

void tern_chunk_close(struct tern_chunk *chunk)
{
    chunk->size = 0;
    chunk->segment_rows = 0;
}

uint8_t *tern_chunk_payload(const struct tern_chunk *chunk)
{
    return chunk->data + chunk->front;
}

uint32_t tern_chunk_next(const struct tern_chunk *chunk)
{
    return chunk->first + chunk->rows + chunk->segment_rows;
}

/* ---- Walking --------------------------------------------------------------------------------- */

/* Reads on by `size` bytes, which the CRC takes in, through a small buffer. Returns the first byte of the
 * last piece. The first failure stays in walk->status, and nothing is read after it: then it returns 1, which
 * ends a number and is no wrong spelling of one. */
static uint8_t take(struct tern_walk *walk, unsigned size)
{
    uint8_t piece[PIECE];
    while (walk->status == TERN_OK && size != 0) {
        unsigned part = size < PIECE ? size : PIECE;
        walk->status = TERN_AGAIN;
        if ((unsigned)walk->limit - walk->offset >= part)
            walk->status =
                walk->source.read(walk->source.context, walk->source.base + walk->offset, piece, part);
        walk->crc = tern_crc32c(walk->crc, piece, part);
        walk->offset = (uint16_t)(walk->offset + part);
        size -= part;
    }
    return walk->status == TERN_OK ? piece[0] : 1;
}

static uint32_t take_varint(struct tern_walk *walk, uint32_t byte)
{
    uint32_t value = byte & 0x7F;
    for (uint8_t shift = 7; (byte & 0x80) != 0 && walk->status == TERN_OK; shift = (uint8_t)(shift + 7)) {
        byte = take(walk, 1);
        value |= (byte & 0x7F) << shift;
        if (byte == 0 || (shift == 28 && byte > 0x0F))
            walk->status = TERN_E_CORRUPT;
    }
    return value;
}

int tern_walk_start(struct tern_walk *walk, uint32_t limit)
{
    walk->tables = 0;
    walk->rows = walk->offset = 0;
    walk->status = TERN_OK;
    walk->crc = 0;
    walk->limit = (uint16_t)(limit < TERN_CHUNK_MAX ? limit : TERN_CHUNK_MAX);
    walk->format = take(walk, 1);
    if (walk->status != TERN_OK)
        return walk->status;
    if ((walk->format & 0xF0u) != FORMAT_VERSION || (walk->format & FORMAT_UNIT) > UNIT_LOG2_MAX)
        return TERN_E_FORMAT;
    walk->sequence = take_varint(walk, take(walk, 1));
    return walk->status == TERN_OK && walk->sequence == 0 ? TERN_E_CORRUPT : walk->status;
}

/* Fills in the segment from its head, which stays within a chunk's limits. */
static int take_head(struct tern_walk *walk, struct tern_segment *segment)
{
    uint32_t count = BAD_COUNT;
    uint32_t tag = take(walk, 1);
    uint8_t tables = 0;
    if (tag == 0xFF)
        return TERN_AGAIN;
    tag = take_varint(walk, tag);
    if ((tag & TAG_SINGLE) == 0)
        count = take_varint(walk, take(walk, 1));
    else if ((tag & (TAG_COMMIT | TAG_BATCH)) == TAG_COMMIT)
        count = 1u << 1;
    if ((count & COUNT_TABLES) != 0) {
        tables = take(walk, 1);
        if (tables == 0)
            count = BAD_COUNT;
    }
    segment->commit = tag & TAG_COMMIT;
    segment->batch = tag & TAG_BATCH;
    segment->new_tables = tables;
    tag >>= 3;
    count >>= 1;
    segment->size = (uint16_t)tag;
    segment->rows = (uint16_t)count;
    segment->first = walk->sequence;
    segment->payload = (uint16_t)(walk->offset + HASH_SIZE * tables);
    uint32_t end = pad(segment->payload + tag + CRC_SIZE, walk->format & FORMAT_UNIT);
    segment->end = (uint16_t)end;
    if (walk->status != TERN_OK)
        return walk->status;
    if (walk->rows + count > TERN_CHUNK_ROWS_MAX || walk->tables + tables > TERN_CHUNK_TABLES_MAX ||
        end > TERN_CHUNK_MAX || walk->sequence + count < count)
        return TERN_E_CORRUPT;
    return TERN_OK;
}

int tern_walk_next(struct tern_walk *walk, struct tern_segment *segment)
{
    uint16_t start = walk->offset;
    uint32_t crc = walk->crc;
    walk->status = TERN_OK;
    walk->status = take_head(walk, segment);
    take(walk, (unsigned)segment->payload + segment->size - walk->offset);
    segment->crc = walk->crc;
    take(walk, CRC_SIZE);
    if (walk->status == TERN_OK && walk->crc != TERN_CRC32C_RESIDUE)
        walk->status = TERN_E_CORRUPT;
    walk->crc = segment->crc;
    take(walk, (unsigned)segment->end - walk->offset);
    if (walk->status != TERN_OK) {
        walk->offset = start;
        walk->crc = crc;
        return walk->status;
    }
    walk->rows = (uint16_t)(walk->rows + segment->rows);
    walk->tables = (uint8_t)(walk->tables + segment->new_tables);
    walk->sequence += segment->rows;
    return TERN_OK;
}

static int read_memory(const void *context, uint32_t offset, void *data, uint32_t size)
{
    memcpy(data, (const uint8_t *)context + offset, (size_t)size);
    return TERN_OK;
}

struct tern_source tern_source_memory(const uint8_t *bytes)
{
    struct tern_source source = {read_memory, bytes, 0};
    return source;
}
