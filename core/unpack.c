/* SPDX-License-Identifier: MIT */
#include "unpack.h"

#include "schema.h"

/* Behind the payload come zeros. More of them than any chunk can have left out are a forgery: so the work
 * stays bounded. */
static void read_byte(struct tern_pack *pack)
{
    uint8_t next = pack->position < pack->limit ? pack->data[pack->position] : 0;
    if (pack->position > TERN_CHUNK_MAX + 4u)
        pack->failed = TERN_E_CORRUPT;
    else
        pack->position++;
    pack->value = pack->value << 8 | next;
}

static void read_text(struct tern_pack *pack, struct tern_pack_column *model, struct tern_value *value)
{
    struct tern_pack_text *text = tern_pack_text(pack);
    int64_t size = value->number;
    if (size < 0 || size > TERN_CHUNK_MAX || size > text->output_end - text->output) {
        pack->failed = TERN_E_CORRUPT;
        return;
    }
    value->number = 0;
    value->data = text->output;
    value->size = (uint16_t)size;
    tern_pack_bytes(pack, model, value);
    text->output += size;
}

int tern_unpack_open(struct tern_unpack *unpack, void *models, size_t models_size, uint8_t *texts,
                     size_t texts_size)
{
    if (models_size < TERN_UNPACK_SIZE(1))
        return TERN_E_ARGUMENT;
    unpack->pack = models;
    unpack->models_size = models_size;
    unpack->texts = texts;
    unpack->texts_size = texts_size;
    unpack->table_count = 0;
    tern_pack_open(unpack->pack, models_size);
    tern_pack_open_text(unpack->pack, read_text);
    unpack->pack->is_decoder = 1;
    unpack->pack->shift = read_byte;
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
    int status = tern_pack_declare(unpack->pack, unpack->models_size, table, unpack->table_count);
    if (status == TERN_OK)
        unpack->table_count++;
    return status;
}

void tern_unpack_segment(struct tern_unpack *unpack, const uint8_t *payload, uint16_t size, uint16_t rows)
{
    struct tern_pack *pack = unpack->pack;
    unpack->size = size;
    unpack->rows = rows;
    tern_pack_restart(pack);
    pack->data = (uint8_t *)(uintptr_t)payload; /* which a decoder does not write to */
    pack->limit = size;
    for (uint8_t i = 0; i < 4; i++)
        read_byte(pack);
}

/* The segment is over. A payload ends with the byte that the last decision needed, three before those that
 * have been read. */
static int end(struct tern_unpack *unpack)
{
    if (unpack->size + 3u > unpack->pack->position)
        unpack->pack->failed = TERN_E_CORRUPT;
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
    struct tern_pack *pack = unpack->pack;
    int64_t kind = 0;
    tern_pack_number(pack, &pack->kind, &kind, false);
    record->op = (uint8_t)(kind >> 3);
    record->index = kind & 7u;
    if (kind < 0 || kind >= 4 * TERN_CHUNK_TABLES_MAX || record->index >= unpack->table_count ||
        !mode_allows(unpack->tables[record->index]->mode, record->op))
        pack->failed = TERN_E_CORRUPT;
    if (pack->failed != 0)
        return TERN_E_CORRUPT;
    tern_pack_text(pack)->output = unpack->texts;
    tern_pack_text(pack)->output_end = unpack->texts + unpack->texts_size;
    memset(row, 0, unpack->tables[record->index]->column_count * sizeof(*row));
    tern_pack_values(pack, unpack->tables[record->index], (uint8_t)kind, row);
    if (pack->failed != 0 || tern_row_check(unpack->tables[record->index], record->op, row) != TERN_OK) {
        pack->failed = TERN_E_CORRUPT;
        return TERN_E_CORRUPT;
    }
    unpack->rows--;
    return TERN_OK;
}
