/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_pack, made by the encoder: chunks of random rows in the form that the target reads.
 * Usage: seed_pack DIR */
#include <stdio.h>

#include "../tests/unit/packed.h"

#define SEEDS   48
#define COLUMNS 6

/* The target's bytes for a type, and the type. */
static const struct {
    uint8_t byte;
    uint16_t type;
} kinds[] = {{TERN_KIND_BOOL, TERN_BOOL},
             {TERN_KIND_UNSIGNED + 9 * 3, TERN_U64},
             {TERN_KIND_SIGNED + 9 * 1, TERN_I16},
             {TERN_KIND_DECIMAL + 9 * 2, TERN_DECIMAL(2)},
             {TERN_KIND_TIME_S, TERN_TIME_S},
             {TERN_KIND_TIME_MS, TERN_TIME_MS},
             {TERN_KIND_TEXT + 9 * 12, TERN_TEXT(12)},
             {TERN_KIND_BYTES + 9 * 3, TERN_BYTES(3)}};

static uint32_t state = 1;

static uint32_t below(uint32_t limit)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % limit;
}

static struct tern_value any_value(const struct tern_column *column, int64_t row)
{
    static const char *const words[] = {"on", "off", "motor start", "", "a,\"b\""};
    unsigned kind = TERN_TYPE_KIND(column->type);
    if ((column->flags & TERN_NULLABLE) != 0 && below(4) == 0)
        return tern_null();
    if (kind == TERN_KIND_TEXT)
        return tern_text(words[below(5)]);
    if (kind == TERN_KIND_BYTES)
        return tern_bytes("\xFF\0\x7F", below(4));
    if (kind == TERN_KIND_BOOL)
        return tern_int(below(2));
    if (kind >= TERN_KIND_TIME_S)
        return tern_int(1700000000 + 60 * row + below(2));
    if (kind == TERN_KIND_UNSIGNED)
        return tern_int((int64_t)((uint64_t)below(9) << below(61)));
    return tern_int((int64_t)below(1u << below(15)) - 4096);
}

static void write_segments(FILE *file, const struct packed *packed)
{
    struct tern_walk walk;
    struct tern_segment segment;
    tern_walk_begin(&walk, tern_source_memory(packed->data), packed->chunk.size);
    while (tern_walk_next(&walk, &segment) == TERN_OK && segment.size < 256) {
        uint8_t head[] = {(uint8_t)segment.rows, (uint8_t)(segment.rows >> 8), (uint8_t)segment.size};
        fwrite(head, 1, sizeof(head), file);
        fwrite(packed->data + segment.payload, 1, segment.size, file);
    }
}

static void write_seed(FILE *file)
{
    static struct packed packed;
    struct tern_column columns[COLUMNS];
    uint8_t count = (uint8_t)(1 + below(COLUMNS)), mode = (uint8_t)below(3), flags;
    struct tern_table table = {"t", columns, &tern_packed_text, count, mode, 0, 0};
    struct tern_value row[COLUMNS];
    fputc(0, file);
    fputc(count - 1 + COLUMNS * mode, file);
    for (uint8_t i = 0; i < count; i++) {
        unsigned kind = below(sizeof(kinds) / sizeof(kinds[0]));
        flags = i == 0 && mode == TERN_MERGE ? TERN_KEY : below(2) == 0 ? TERN_NULLABLE : 0;
        columns[i] = (struct tern_column){"c", kinds[kind].type, flags};
        fputc(kinds[kind].byte, file);
        fputc(flags, file);
    }
    packed_open(&packed, &tern_packed_text, 1024, COLUMNS);
    for (int64_t at = 0; at < 60; at++) {
        for (uint8_t i = 0; i < count; i++)
            row[i] = any_value(&columns[i], at);
        if (tern_chunk_put(&packed.chunk, &table, TERN_OP_PUT, row) != TERN_OK)
            break;
        if (mode == TERN_MERGE && below(8) == 0 &&
            tern_chunk_put(&packed.chunk, &table, TERN_OP_DELETE, row) != TERN_OK)
            break;
        if (below(8) == 0)
            tern_chunk_finish(&packed.chunk, true, false);
    }
    if (packed.chunk.segment_rows != 0)
        tern_chunk_finish(&packed.chunk, true, false);
    write_segments(file, &packed);
}

int main(int argc, char **argv)
{
    char path[4096];
    for (unsigned i = 0; argc > 1 && i < SEEDS; i++) {
        snprintf(path, sizeof path, "%s/seed-%u", argv[1], i);
        FILE *file = fopen(path, "wb");
        if (file == NULL)
            break;
        write_seed(file);
        if (fclose(file) != 0)
            break;
        if (i + 1 == SEEDS)
            return 0;
    }
    fprintf(stderr, "seed_pack: needs a folder that it can write to\n");
    return 1;
}
