/* SPDX-License-Identifier: MIT */
#include "decode.h"

#include <stdlib.h>
#include <string.h>

#include "../core/chunk.h"
#include "../core/csv.h"
#include "../core/unpack.h"

#define FORMAT_PACKED 8u /* bit 3 of a chunk's first byte */

/* Texts of one record: no more than 64 columns of the greatest length. */
#define TEXTS_SIZE (TERN_COLUMNS_MAX * 4096u)

#define PLACE_MAX 4096u /* bytes: a chunk with more columns than fit is decoded from its head each time */

/* What a payload's format brings. `next` gives TERN_OK and a record, or an error after which nothing of the
 * segment can be read. */
struct format {
    int (*open)(struct tern_decoder *decoder);
    int (*table)(struct tern_decoder *decoder, const struct tern_table *table);
    void (*segment)(struct tern_decoder *decoder, const uint8_t *payload, const struct tern_segment *segment);
    int (*next)(struct tern_decoder *decoder, uint8_t *op, uint8_t *index,
                struct tern_value row[TERN_COLUMNS_MAX]);
    bool learns; /* segments that nobody wants must be decoded too */
    /* How many bytes of the models are in use. */
    size_t (*models)(const struct tern_decoder *decoder);
};

struct tern_decoder {
    const struct format *format;
    const struct tern_schema *schemas[TERN_CHUNK_TABLES_MAX];
    const struct tern_table *tables[TERN_CHUNK_TABLES_MAX];
    uint32_t hashes[TERN_CHUNK_TABLES_MAX];
    uint8_t table_count;
    struct tern_walk walk;
    struct tern_input input;
    struct tern_unpack unpack;
    struct tern_value row[TERN_COLUMNS_MAX];
    uint8_t scratch[TERN_CHUNK_MAX];
    uint8_t texts[TEXTS_SIZE];
    uint64_t models[(TERN_UNPACK_SIZE(TERN_COLUMNS_MAX * TERN_CHUNK_TABLES_MAX) + 7) / 8];
};

/* ---- Plain ----------------------------------------------------------------------------------- */

static int plain_open(struct tern_decoder *decoder)
{
    (void)decoder;
    return TERN_OK;
}

static int plain_table(struct tern_decoder *decoder, const struct tern_table *table)
{
    (void)decoder;
    (void)table;
    return TERN_OK;
}

static void plain_segment(struct tern_decoder *decoder, const uint8_t *payload,
                          const struct tern_segment *segment)
{
    decoder->input = (struct tern_input){payload, segment->size, false};
}

static int plain_next(struct tern_decoder *decoder, uint8_t *op, uint8_t *index,
                      struct tern_value row[TERN_COLUMNS_MAX])
{
    struct tern_csv_record record;
    int status =
        tern_csv_read(&decoder->input, decoder->tables, decoder->table_count, &record, row, decoder->scratch);
    *op = record.op;
    *index = record.index;
    return status;
}

static size_t plain_models(const struct tern_decoder *decoder)
{
    (void)decoder;
    return 0;
}

/* ---- Packed ---------------------------------------------------------------------------------- */

static int packed_open(struct tern_decoder *decoder)
{
    return tern_unpack_open(&decoder->unpack, decoder->models, sizeof decoder->models, decoder->texts,
                            sizeof decoder->texts);
}

static int packed_table(struct tern_decoder *decoder, const struct tern_table *table)
{
    int status = tern_unpack_table(&decoder->unpack, table);
    /* Another chunk may have been decoded since this one was begun. */
    if (status == TERN_OK)
        memset(decoder->unpack.pack->columns[decoder->unpack.table_count - 1], 0,
               table->column_count * sizeof(struct tern_pack_column));
    return status;
}

static void packed_segment(struct tern_decoder *decoder, const uint8_t *payload,
                           const struct tern_segment *segment)
{
    tern_unpack_segment(&decoder->unpack, payload, segment->size, segment->rows);
}

static int packed_next(struct tern_decoder *decoder, uint8_t *op, uint8_t *index,
                       struct tern_value row[TERN_COLUMNS_MAX])
{
    struct tern_unpack_record record = {0, 0};
    int status = tern_unpack_next(&decoder->unpack, &record, row);
    *op = record.op;
    *index = record.index;
    return status == TERN_AGAIN ? TERN_E_CORRUPT : status;
}

static size_t packed_models(const struct tern_decoder *decoder)
{
    const struct tern_pack *pack = decoder->unpack.pack;
    return (size_t)((const uint8_t *)pack->columns[decoder->table_count] - (const uint8_t *)pack);
}

static const struct format plain = {plain_open, plain_table, plain_segment, plain_next, false, plain_models};
static const struct format packed = {packed_open, packed_table, packed_segment,
                                     packed_next, true,         packed_models};

/* ---- Chunks ---------------------------------------------------------------------------------- */

struct tern_decoder *tern_decoder_open(void)
{
    return calloc(1, sizeof(struct tern_decoder));
}

void tern_decoder_close(struct tern_decoder *decoder)
{
    free(decoder);
}

static int declare(struct tern_decoder *decoder, const uint8_t *chunk, const struct tern_segment *segment,
                   const struct tern_decode_to *to)
{
    for (uint8_t i = 0; i < segment->new_tables; i++) {
        uint32_t hash = tern_segment_hash(segment, chunk, i);
        const struct tern_schema *schema = to->schema(to->context, hash);
        if (schema == NULL)
            return TERN_E_SCHEMA;
        decoder->schemas[decoder->table_count] = schema;
        decoder->tables[decoder->table_count] = &schema->table;
        decoder->hashes[decoder->table_count++] = hash;
        int status = decoder->format->table(decoder, &schema->table);
        if (status != TERN_OK)
            return status;
    }
    return TERN_OK;
}

static int decode_records(struct tern_decoder *decoder, const struct tern_segment *segment, uint32_t first,
                          const struct tern_decode_to *to)
{
    uint32_t end = segment->first + segment->rows;
    for (uint32_t sequence = segment->first; sequence < end; sequence++) {
        uint8_t op = 0, index = 0;
        int status = decoder->format->next(decoder, &op, &index, decoder->row);
        if (status != TERN_OK || index >= decoder->table_count)
            return end <= first ? TERN_OK
                                : to->bad(to->context, sequence < first ? first : sequence, end - 1);
        if (sequence < first)
            continue;
        status = to->record(to->context, sequence, decoder->schemas[index], decoder->hashes[index], op,
                            decoder->row);
        if (status != TERN_OK)
            return status;
    }
    return TERN_OK;
}

static int decode_segment(struct tern_decoder *decoder, const uint8_t *chunk,
                          const struct tern_segment *segment, uint32_t first, const struct tern_decode_to *to)
{
    uint32_t next = segment->first + segment->rows;
    int status = declare(decoder, chunk, segment, to);
    if (status == TERN_OK && (next > first || decoder->format->learns)) {
        decoder->format->segment(decoder, chunk + segment->payload, segment);
        status = decode_records(decoder, segment, first, to);
    }
    if (status == TERN_OK && segment->batch && next > to->committed && to->batch != NULL)
        to->batch(to->context);
    if (status == TERN_OK && segment->commit && next > to->committed)
        status = to->commit(to->context, next, segment->batch != 0);
    return status;
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* What a place holds, in front of the models. */
struct saved {
    struct tern_walk walk;
    const struct tern_schema *schemas[TERN_CHUNK_TABLES_MAX];
    uint32_t hashes[TERN_CHUNK_TABLES_MAX];
    uint8_t table_count;
};

void tern_decode_place_free(struct tern_decode_place *place)
{
    free(place->bytes);
    *place = (struct tern_decode_place){NULL, 0, 0};
}

/* Without memory the chunk is decoded from its head next time. */
static void save_place(const struct tern_decoder *decoder, struct tern_decode_place *place)
{
    struct saved saved = {.walk = decoder->walk, .table_count = decoder->table_count};
    size_t models = decoder->format->models(decoder), size = sizeof saved + models;
    if (size > PLACE_MAX)
        return;
    if (size > place->room) {
        uint8_t *bytes = realloc(place->bytes, size);
        if (bytes == NULL)
            return;
        place->bytes = bytes;
        place->room = (uint16_t)size;
    }
    memcpy(saved.schemas, decoder->schemas, sizeof saved.schemas);
    memcpy(saved.hashes, decoder->hashes, sizeof saved.hashes);
    memcpy(place->bytes, &saved, sizeof saved);
    memcpy(place->bytes + sizeof saved, decoder->models, models);
    place->size = (uint16_t)size;
}

/* The decoder goes on as it was left: its models hold addresses of their own, which are the same as they
 * were. */
static void take_place(struct tern_decoder *decoder, const struct tern_decode_place *place,
                       const struct saved *saved)
{
    decoder->walk = saved->walk;
    decoder->table_count = saved->table_count;
    memcpy(decoder->schemas, saved->schemas, sizeof decoder->schemas);
    memcpy(decoder->hashes, saved->hashes, sizeof decoder->hashes);
    for (uint8_t i = 0; i < saved->table_count; i++)
        decoder->tables[i] = decoder->unpack.tables[i] = &saved->schemas[i]->table;
    decoder->unpack.table_count = saved->table_count;
    memcpy(decoder->models, place->bytes + sizeof *saved, place->size - sizeof *saved);
}

static const struct format *format_of(const struct tern_walk *walk)
{
    return (walk->format & FORMAT_PACKED) != 0 ? &packed : &plain;
}

/* The walk begins at the head, or behind what was decoded before, where nothing of that is asked for
 * again. */
static int begin(struct tern_decoder *decoder, const struct tern_decode_place *place, const uint8_t *chunk,
                 size_t size, uint32_t first)
{
    struct saved saved;
    if (place != NULL && place->size != 0) {
        memcpy(&saved, place->bytes, sizeof saved);
        if (first >= saved.walk.sequence && saved.walk.offset <= size) {
            take_place(decoder, place, &saved);
            decoder->walk.source = tern_source_memory(chunk);
            decoder->walk.limit = (uint16_t)(size < TERN_CHUNK_MAX ? size : TERN_CHUNK_MAX);
            decoder->format = format_of(&decoder->walk);
            return TERN_OK;
        }
    }
    int status = tern_walk_begin(&decoder->walk, tern_source_memory(chunk), (uint32_t)size);
    if (status != TERN_OK)
        return status == TERN_E_FORMAT ? TERN_E_FORMAT : TERN_E_CORRUPT;
    decoder->format = format_of(&decoder->walk);
    decoder->table_count = 0;
    return decoder->format->open(decoder);
}

int tern_decode_chunk(struct tern_decoder *decoder, struct tern_decode_place *place, const uint8_t *chunk,
                      size_t size, uint32_t first, const struct tern_decode_to *to)
{
    struct tern_segment segment;
    int status = begin(decoder, place, chunk, size, first);
    if (place != NULL)
        place->size = 0;
    while (status == TERN_OK && (status = tern_walk_next(&decoder->walk, &segment)) == TERN_OK)
        status = decode_segment(decoder, chunk, &segment, first, to);
    if (status == TERN_AGAIN)
        status = decoder->walk.offset == size ? TERN_OK : TERN_E_CORRUPT;
    if (status == TERN_OK && place != NULL)
        save_place(decoder, place);
    return status;
}
