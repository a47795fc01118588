/* SPDX-License-Identifier: MIT */
/* Packed chunks for tests: memory to build one in, and reading one back as the CSV lines that it stands
 * for. */
#ifndef TERN_TEST_PACKED_H
#define TERN_TEST_PACKED_H

#include <stdlib.h>
#include <string.h>

#include "../../core/chunk.h"
#include "../../core/csv.h"
#include "../../core/pack.h"
#include "../../core/schema.h"
#include "../../core/unpack.h"

#define PACKED_COLUMNS (TERN_CHUNK_TABLES_MAX * TERN_COLUMNS_MAX)

struct packed {
    struct tern_chunk chunk;
    uint8_t data[TERN_CHUNK_MAX];
    uint64_t models[(TERN_MODELS_SIZE(PACKED_COLUMNS) + TERN_MODELS_TEXT + 7) / 8];
};

static inline void packed_open(struct packed *packed, const struct tern_codec *codec, uint16_t capacity,
                               uint16_t columns)
{
    memset(packed, 0, sizeof(*packed));
    packed->chunk.data = packed->data;
    packed->chunk.capacity = capacity;
    packed->chunk.models = packed->models;
    packed->chunk.models_size =
        (uint16_t)(TERN_MODELS_SIZE(columns) + (codec == &tern_packed_text ? TERN_MODELS_TEXT : 0u));
    tern_chunk_open(&packed->chunk, codec, 1, 0);
}

/* Lines, as many as fit; `failed` when they did not. */
struct lines {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    bool failed;
};

static inline void lines_add(struct lines *lines, const struct tern_table *table, uint8_t index, uint8_t op,
                             const struct tern_value *row)
{
    size_t size =
        tern_csv_record(lines->bytes + lines->size, lines->capacity - lines->size, table, index, op, row);
    lines->failed |= size == 0;
    lines->size += size;
}

/* The records of one segment as lines. TERN_OK, or what tern_unpack_next() said. */
static inline int packed_segment(struct tern_unpack *unpack, const uint8_t *payload, uint16_t size,
                                 uint16_t rows, struct lines *lines)
{
    struct tern_unpack_record record;
    struct tern_value row[TERN_COLUMNS_MAX];
    int status;
    tern_unpack_segment(unpack, payload, size, rows);
    while ((status = tern_unpack_next(unpack, &record, row)) == TERN_OK)
        lines_add(lines, unpack->tables[record.index], record.index, record.op, row);
    return status == TERN_AGAIN ? TERN_OK : status;
}

/* The whole chunk as lines; its tables are `tables` in order. */
static inline int packed_lines(const uint8_t *data, uint32_t size, const struct tern_table *const *tables,
                               struct lines *lines)
{
    static uint64_t models[TERN_UNPACK_SIZE(PACKED_COLUMNS) / 8 + 1];
    static uint8_t texts[TERN_COLUMNS_MAX * 4095];
    struct tern_unpack unpack;
    struct tern_walk walk;
    struct tern_segment segment;
    int status = tern_walk_begin(&walk, tern_source_memory(data), size);
    if (status == TERN_OK)
        status = tern_unpack_open(&unpack, models, sizeof(models), texts, sizeof(texts));
    while (status == TERN_OK && (status = tern_walk_next(&walk, &segment)) == TERN_OK) {
        for (uint8_t i = 0; status == TERN_OK && i < segment.new_tables; i++)
            status = tern_unpack_table(&unpack, tables[unpack.table_count]);
        /* A copy of the exact size, so that a sanitizer sees the first byte that is read behind it. */
        uint8_t *payload = malloc(segment.size == 0 ? 1 : segment.size);
        memcpy(payload, data + segment.payload, segment.size);
        if (status == TERN_OK)
            status = packed_segment(&unpack, payload, segment.size, segment.rows, lines);
        free(payload);
    }
    return status == TERN_AGAIN ? TERN_OK : status;
}

#endif
