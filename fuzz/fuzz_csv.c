/* SPDX-License-Identifier: MIT */
/* A plain chunk's payload of any bytes: a line that is read is written again byte for byte, so that a record
 * has one spelling. */
#include <stdlib.h>
#include <string.h>

#include "../core/csv.h"
#include "../core/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tern_column columns[] = {
    {"at", TERN_TIME_S, TERN_KEY},
    {"flag", TERN_BOOL, TERN_NULLABLE},
    {"small", TERN_I8, TERN_NULLABLE},
    {"large", TERN_U64, TERN_NULLABLE},
    {"exact", TERN_DECIMAL(2), TERN_NULLABLE},
    {"note", TERN_TEXT(40), TERN_NULLABLE},
    {"raw", TERN_BYTES(8), TERN_NULLABLE},
};
static const struct tern_table table = TERN_TABLE("fuzz", TERN_MERGE, columns);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t scratch[1 << 20], line[1 << 20];
    static struct tern_value row[TERN_COLUMNS_MAX];
    const struct tern_table *const tables[] = {&table};
    struct tern_csv_record record;
    struct tern_input input = {data, size < sizeof(scratch) ? size : sizeof(scratch), false};
    while (input.size != 0) {
        const uint8_t *start = input.data;
        if (tern_csv_read(&input, tables, 1, &record, row, scratch) != TERN_OK)
            return 0;
        if (tern_row_check(&table, record.op, row) != TERN_OK)
            abort();
        size_t written = tern_csv_record(line, sizeof(line), &table, record.index, record.op, row);
        if (written != (size_t)(input.data - start) || memcmp(line, start, written) != 0)
            abort();
    }
    return 0;
}
