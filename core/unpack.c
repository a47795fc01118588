/* SPDX-License-Identifier: MIT */
#include "unpack.h"

#include "pack_coder.h"
#include "schema.h"

/* Behind the payload come zeros. More of them than any chunk can have left out are a forgery: so the work
 * stays bounded. */
static void shift(struct tern_pack *pack)
{
    uint8_t next = pack->position < pack->limit ? pack->data[pack->position] : 0;
    if (++pack->position > TERN_CHUNK_MAX + 4u)
        pack->failed = 1;
    pack->low = pack->low << 8 | next;
}

static unsigned decode(struct tern_pack *pack, uint16_t *context)
{
    uint32_t state = *context ^ UNUSED;
    uint32_t bound = (pack->range >> 12) * (state >> 4);
    unsigned bit = pack->low < bound;
    if (pack->failed != 0)
        return 0;
    *context = (uint16_t)(adapted(state, bit) ^ UNUSED);
    if (bit != 0) {
        pack->range = bound;
    } else {
        pack->low -= bound;
        pack->range -= bound;
    }
    for (; pack->range < RANGE_MIN; pack->range <<= 8)
        shift(pack);
    return bit;
}

#define IS_DECODER               1
#define CODE_TEXT(pack)          code_text
#define CODE(pack, context, bit) ((bit) = decode(pack, context))
#include "pack_model.h"

int tern_unpack_open(struct tern_unpack *unpack, void *models, size_t models_size, uint8_t *texts,
                     size_t texts_size)
{
    if (models_size < TERN_UNPACK_SIZE(1))
        return TERN_E_ARGUMENT;
    unpack->pack = models;
    unpack->models_size = models_size;
    unpack->texts = texts;
    unpack->texts_size = texts_size;
    unpack->rows = 0;
    unpack->table_count = 0;
    open_models(unpack->pack, models_size);
    unpack->pack->text = text_of(unpack->pack, models_size);
    return TERN_OK;
}

size_t tern_unpack_texts(const struct tern_table *table)
{
    size_t size = 0;
    for (uint8_t i = 0; i < table->column_count; i++)
        if (TERN_TYPE_KIND(table->columns[i].type) >= TERN_KIND_TEXT)
            size += TERN_TYPE_PARAMETER(table->columns[i].type);
    return size;
}

int tern_unpack_table(struct tern_unpack *unpack, const struct tern_table *table)
{
    if (unpack->table_count == TERN_CHUNK_TABLES_MAX || tern_unpack_texts(table) > unpack->texts_size)
        return TERN_E_TOO_BIG;
    unpack->tables[unpack->table_count] = table;
    int status = declare_columns(unpack->pack, unpack->models_size, unpack->tables, unpack->table_count);
    if (status == TERN_OK)
        unpack->table_count++;
    return status;
}

void tern_unpack_segment(struct tern_unpack *unpack, const uint8_t *payload, uint16_t size, uint16_t rows)
{
    struct tern_pack *pack = unpack->pack;
    unpack->size = size;
    unpack->rows = rows;
    restart(pack);
    pack->data = (uint8_t *)(uintptr_t)payload; /* which decode() does not write to */
    pack->limit = size;
    for (uint8_t i = 0; i < 4; i++)
        shift(pack);
}

/* The segment is over. A payload ends with the byte that the last decision needed, three before those that
 * have been read. */
static int end(struct tern_unpack *unpack)
{
    if (unpack->size + 3u > unpack->pack->position)
        unpack->pack->failed = 1;
    return unpack->pack->failed != 0 ? TERN_E_CORRUPT : TERN_AGAIN;
}

static bool mode_allows(uint8_t mode, uint8_t op)
{
    if (op == TERN_OP_PUT)
        return true;
    return op == TERN_OP_DELETE ? mode == TERN_MERGE : mode == TERN_OVERWRITE;
}

int tern_unpack_next(struct tern_unpack *unpack, struct tern_unpack_record *record,
                     struct tern_value row[TERN_COLUMNS_MAX])
{
    if (unpack->rows == 0)
        return end(unpack);
    uint8_t kind = code_kind(unpack->pack, 0);
    record->op = kind >> 3;
    record->index = kind & 7u;
    if (record->index >= unpack->table_count || !mode_allows(unpack->tables[record->index]->mode, record->op))
        unpack->pack->failed = 1;
    if (unpack->pack->failed == 0) {
        unpack->pack->text->output = unpack->texts;
        unpack->pack->text->output_end = unpack->texts + unpack->texts_size;
        code_values(unpack->pack, unpack->tables, record->index, record->op, row);
    }
    if (unpack->pack->failed != 0 ||
        tern_row_check(unpack->tables[record->index], record->op, row) != TERN_OK) {
        unpack->pack->failed = 1;
        return TERN_E_CORRUPT;
    }
    unpack->rows--;
    return TERN_OK;
}
