/* SPDX-License-Identifier: MIT */
/* Any bytes as tables and payloads: whatever is read passes its schema's check, and packed again it reads
 * the same. */
#include <stdlib.h>

#include "../tests/unit/packed.h"

#define TABLES  3
#define COLUMNS 6
#define LINES   (1 << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tern_column columns[TABLES][COLUMNS];
static struct tern_table tables[TABLES];

static uint16_t any_type(uint8_t byte)
{
    static const uint8_t bits[] = {8, 16, 32, 64};
    switch (byte % 9) {
    case TERN_KIND_UNSIGNED:
    case TERN_KIND_SIGNED:
        return TERN_TYPE(byte % 9, bits[byte / 9 % 4]);
    case TERN_KIND_DECIMAL:
    case TERN_KIND_FLOAT:
        return TERN_TYPE(byte % 9, byte / 9 % 16);
    case TERN_KIND_TEXT:
    case TERN_KIND_BYTES:
        return TERN_TYPE(byte % 9, byte / 9 == 0 ? 4095 : byte / 9);
    default:
        return TERN_TYPE(byte % 9, 0);
    }
}

static void any_table(struct tern_input *input, uint8_t index)
{
    uint8_t shape = tern_read8(input);
    tables[index] = (struct tern_table){"t",
                                        columns[index],
                                        &tern_packed_text,
                                        (uint8_t)(1 + shape % COLUMNS),
                                        (uint8_t)(shape / COLUMNS % 3),
                                        0,
                                        0};
    for (uint8_t i = 0; i < tables[index].column_count; i++) {
        uint8_t byte = tern_read8(input);
        columns[index][i] =
            (struct tern_column){"c", any_type(byte), tern_read8(input) & (TERN_KEY | TERN_NULLABLE)};
    }
}

/* The records are put into a chunk as they are read. */
static struct packed again;
static struct lines first, second;
static bool fits;

static void keep(const struct tern_unpack *unpack, const struct tern_unpack_record *record,
                 const struct tern_value *row)
{
    const struct tern_table *table = unpack->tables[record->index];
    uint8_t index = 0;
    if (record->op > TERN_OP_SNAPSHOT_END || tern_row_check(table, record->op, row) != TERN_OK)
        abort();
    fits = fits && tern_chunk_put(&again.chunk, table, record->op, row) == TERN_OK;
    while (fits && again.chunk.tables[index] != table)
        index++;
    if (fits)
        lines_add(&first, table, index, record->op, row);
}

static int read_segment(struct tern_unpack *unpack, struct tern_input *input)
{
    struct tern_unpack_record record;
    struct tern_value row[TERN_COLUMNS_MAX];
    uint16_t rows = tern_read16(input) % (TERN_CHUNK_ROWS_MAX + 1);
    uint8_t size = tern_read8(input);
    uint8_t taken = (uint8_t)(size < input->size ? size : input->size);
    int status;
    tern_unpack_segment(unpack, tern_read_bytes(input, taken), taken, rows);
    while ((status = tern_unpack_next(unpack, &record, row)) == TERN_OK)
        keep(unpack, &record, row);
    if (again.chunk.segment_rows != 0 && fits)
        tern_chunk_finish(&again.chunk, true, false);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t models[TERN_UNPACK_SIZE(TABLES * COLUMNS) / 8 + 1];
    static uint8_t texts[COLUMNS * 4095];
    static uint8_t first_bytes[LINES], second_bytes[LINES];
    struct tern_input input = {data, size, false};
    struct tern_unpack unpack;
    uint8_t count = tern_read8(&input) % TABLES + 1;
    for (uint8_t i = 0; i < count; i++)
        any_table(&input, i);
    if (input.failed || tern_unpack_open(&unpack, models, sizeof(models), texts, sizeof(texts)) != TERN_OK)
        return 0;
    for (uint8_t i = 0; i < count; i++)
        if (tern_unpack_table(&unpack, &tables[i]) != TERN_OK)
            abort();
    packed_open(&again, &tern_packed_text, TERN_CHUNK_MAX, TABLES * COLUMNS);
    first = (struct lines){first_bytes, 0, LINES, false};
    second = (struct lines){second_bytes, 0, LINES, false};
    fits = true;
    while (input.size > 3 && read_segment(&unpack, &input) == TERN_AGAIN)
        ;
    if (!fits || first.failed)
        return 0;
    if (again.chunk.segment_rows != 0)
        tern_chunk_finish(&again.chunk, true, false);
    if (packed_lines(again.data, again.chunk.size, again.chunk.tables, &second) != TERN_OK ||
        first.size != second.size || memcmp(first_bytes, second_bytes, first.size) != 0)
        abort();
    return 0;
}
