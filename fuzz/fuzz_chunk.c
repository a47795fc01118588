/* SPDX-License-Identifier: MIT */
/* A chunk of any bytes, and the same with its CRCs put right, so that the fuzzer gets behind them: the walk
 * stays inside, ends, and counts what it may. */
#include <stdlib.h>
#include <string.h>

#include "../core/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(uint8_t *bytes, uint32_t size, bool mend)
{
    struct tern_walk walk;
    struct tern_segment segment = {0};
    uint32_t rows = 0, end = 0;
    if (tern_walk_begin(&walk, tern_source_memory(bytes), size) != TERN_OK)
        return;
    for (;;) {
        uint32_t start = walk.offset;
        int status = tern_walk_next(&walk, &segment);
        /* A segment that failed by its CRC alone has been filled in: mend it and try again. */
        uint32_t crc_at = segment.payload + segment.size;
        if (status == TERN_E_CORRUPT && mend && segment.end > crc_at && segment.end <= size &&
            crc_at + 4 <= segment.end) {
            if (tern_load32(bytes + crc_at) == segment.crc)
                return;
            tern_store32(bytes + crc_at, segment.crc);
            continue;
        }
        if (status != TERN_OK)
            break;
        if (start < end || segment.end > size || segment.payload > segment.end)
            abort();
        end = segment.end;
        rows += segment.rows;
    }
    if (rows > TERN_CHUNK_ROWS_MAX || walk.tables > TERN_CHUNK_TABLES_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[TERN_CHUNK_MAX];
    if (size > sizeof(bytes))
        return 0;
    memcpy(bytes, data, size);
    walk(bytes, (uint32_t)size, false);
    walk(bytes, (uint32_t)size, true);
    return 0;
}
