/* SPDX-License-Identifier: MIT */
/*
 * Random tables and records into packed chunks and back: what comes back is, byte for byte, the CSV of the
 * records. Chunks of any size, several tables in one, any number of segments, deletes and snapshot marks, and
 * a program unit now and then. Usage: pack_random [SEED [ROWS]].
 */
#include "../test.h"

#include "../unit/packed.h"

#define TABLES       4
#define COLUMNS_MOST 16
#define TEXTS_SIZE   (COLUMNS_MOST * 300)

static uint64_t state;
static uint64_t wanted_rows = 1000000;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(test_random(&state) >> 32) % limit;
}

static bool one_in(uint32_t odds)
{
    return below(odds) == 0;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* How a column's values come about. */
enum style { CONSTANT, WALK, STEPS, LATTICE, JUMPS, ANY, EXTREMES, STYLES };

struct random_table {
    struct tern_table table;
    struct tern_column columns[COLUMNS_MOST];
    uint8_t style[COLUMNS_MOST];
    uint8_t scale[COLUMNS_MOST]; /* bits that a value moves by */
    int64_t last[COLUMNS_MOST];
    uint8_t text[COLUMNS_MOST][300];
    uint16_t size[COLUMNS_MOST];
};

static struct random_table tables[TABLES];
static uint8_t table_count;

static uint16_t random_type(bool texts)
{
    static const uint16_t fixed[] = {TERN_BOOL, TERN_U8,  TERN_U16, TERN_U32,    TERN_U64,    TERN_I8,
                                     TERN_I16,  TERN_I32, TERN_I64, TERN_TIME_S, TERN_TIME_MS};
    if (texts && one_in(3))
        return TERN_TYPE(one_in(2) ? TERN_KIND_TEXT : TERN_KIND_BYTES, 1 + below(one_in(4) ? 300 : 20));
    if (one_in(3))
        return one_in(2) ? TERN_DECIMAL(below(19)) : TERN_FLOAT(below(16));
    return fixed[below(sizeof(fixed) / sizeof(fixed[0]))];
}

static void random_table(struct random_table *made, bool texts)
{
    memset(made, 0, sizeof(*made));
    made->table.name = "t";
    made->table.columns = made->columns;
    made->table.column_count = (uint8_t)(1 + below(one_in(4) ? COLUMNS_MOST : 6));
    made->table.mode = (uint8_t)below(3);
    for (uint8_t i = 0; i < made->table.column_count; i++) {
        bool is_key = made->table.mode != TERN_APPEND && (i == 0 || one_in(4));
        made->columns[i].name = "c";
        made->columns[i].type = random_type(texts);
        made->columns[i].flags = (uint8_t)(is_key ? TERN_KEY : one_in(3) ? TERN_NULLABLE : 0);
        made->style[i] = (uint8_t)below(STYLES);
        made->scale[i] = (uint8_t)(1 + below(one_in(4) ? 62 : 12));
    }
}

/* ---- Records --------------------------------------------------------------------------------- */

static int64_t in_range(uint16_t type, int64_t number)
{
    unsigned bits = TERN_TYPE_PARAMETER(type);
    switch (TERN_TYPE_KIND(type)) {
    case TERN_KIND_BOOL:
        return number & 1;
    case TERN_KIND_UNSIGNED:
        return bits == 64 ? number : (int64_t)((uint64_t)number & ((UINT64_C(1) << bits) - 1));
    case TERN_KIND_SIGNED:
        return (int64_t)((uint64_t)number << (64 - bits)) >> (64 - bits);
    default:
        return number;
    }
}

static int64_t random_number(struct random_table *from, uint8_t i)
{
    static const int64_t extremes[] = {0,
                                       -1,
                                       1,
                                       INT64_MIN,
                                       INT64_MAX,
                                       1 << 30,
                                       -(1 << 30),
                                       (1 << 30) - 1,
                                       -(1 << 30) - 1,
                                       INT32_MAX,
                                       INT32_MIN,
                                       UINT32_MAX};
    uint64_t last = (uint64_t)from->last[i];
    uint64_t move = test_random(&state) >> (63 - from->scale[i]);
    switch (from->style[i]) {
    case CONSTANT:
        last = one_in(50) ? last + move : last;
        break;
    case WALK:
        last = one_in(2) ? last : one_in(2) ? last + move : last - move;
        break;
    case STEPS:
        last += (UINT64_C(1) << from->scale[i]) + (one_in(3) ? 1 : 0) - (one_in(3) ? 1 : 0);
        break;
    case LATTICE:
        last += 5 * (uint64_t)below(9) - 20;
        break;
    case JUMPS:
        last = one_in(9) ? test_random(&state) : last + below(3);
        break;
    case EXTREMES:
        last = (uint64_t)extremes[below(sizeof(extremes) / sizeof(extremes[0]))] + below(2);
        break;
    default:
        last = test_random(&state) >> below(64);
    }
    from->last[i] = in_range(from->columns[i].type, (int64_t)last);
    return from->last[i];
}

static struct tern_value random_text(struct random_table *from, uint8_t i)
{
    static const char *const words[] = {"motor ", "start", "stop", "\"",          ",",
                                        "\r\n",   "",      "0",    "retry 7 of 9"};
    uint16_t limit = TERN_TYPE_PARAMETER(from->columns[i].type);
    uint8_t *text = from->text[i];
    if (from->style[i] == CONSTANT ? one_in(30) : one_in(2)) {
        from->size[i] = (uint16_t)below(limit + 1u);
        for (uint16_t at = 0; at < from->size[i]; at++)
            text[at] = (uint8_t)(from->style[i] % 2 == 0 ? test_random(&state) : 'a' + below(4));
    } else if (one_in(2)) {
        const char *word = words[below(sizeof(words) / sizeof(words[0]))];
        size_t size = strlen(word);
        if (size <= limit)
            memcpy(text, word, size);
        from->size[i] = (uint16_t)(size <= limit ? size : from->size[i]);
    } else if (from->size[i] != 0) {
        text[below(from->size[i])]++;
    }
    return tern_bytes(text, from->size[i]);
}

static uint8_t random_op(const struct random_table *from)
{
    if (from->table.mode == TERN_MERGE && one_in(12))
        return TERN_OP_DELETE;
    if (from->table.mode == TERN_OVERWRITE && one_in(20))
        return one_in(2) ? TERN_OP_SNAPSHOT_BEGIN : TERN_OP_SNAPSHOT_END;
    return TERN_OP_PUT;
}

static void random_row(struct random_table *from, uint8_t op, struct tern_value *row)
{
    for (uint8_t i = 0; i < from->table.column_count; i++) {
        const struct tern_column *column = &from->columns[i];
        if (op != TERN_OP_PUT && (op != TERN_OP_DELETE || (column->flags & TERN_KEY) == 0))
            continue;
        if ((column->flags & TERN_NULLABLE) != 0 && one_in(6))
            *row++ = tern_null();
        else if (TERN_TYPE_KIND(column->type) >= TERN_KIND_TEXT)
            *row++ = random_text(from, i);
        else
            *row++ = tern_int(random_number(from, i));
    }
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

static struct packed packed;
static uint8_t want_bytes[1 << 24], got_bytes[1 << 24];
static struct lines want;
static uint64_t rows_put, chunks_read, segments;

static void reopen(uint16_t columns)
{
    static const uint16_t sizes[] = {64, 65, 100, 127, 256, 512, 513, 1024, 4095, 4096};
    bool texts = false;
    for (uint8_t t = 0; t < table_count; t++)
        for (uint8_t i = 0; i < tables[t].table.column_count; i++)
            texts |= TERN_TYPE_KIND(tables[t].columns[i].type) >= TERN_KIND_TEXT;
    packed_open(&packed, texts ? &tern_packed_text : &tern_packed,
                one_in(3) ? (uint16_t)(64 + below(TERN_CHUNK_MAX - 63)) : sizes[below(10)], columns);
    tern_chunk_open(&packed.chunk, packed.chunk.codec, 1, (uint8_t)(one_in(4) ? below(6) : 0));
    want = (struct lines){want_bytes, 0, sizeof(want_bytes), false};
}

/* An empty segment may lack the room: a chunk is full when a record does not fit. */
static void finish(void)
{
    if (packed.chunk.segment_rows == 0)
        return;
    tern_chunk_finish(&packed.chunk, one_in(2), one_in(2));
    segments++;
}

/* Closes the chunk, reads it back and compares. */
static bool read_back(void)
{
    struct lines got = {got_bytes, 0, sizeof(got_bytes), false};
    finish();
    chunks_read++;
    return CHECK(packed.chunk.size <= packed.chunk.capacity) &&
           CHECK_EQ(packed_lines(packed.data, packed.chunk.size, packed.chunk.tables, &got), TERN_OK) &&
           CHECK(!want.failed && !got.failed) && CHECK_EQ(got.size, want.size) &&
           CHECK(memcmp(got.bytes, want.bytes, want.size) == 0);
}

/* Puts one random record. False when the chunk was full: it has been read back and another one opened. */
static bool put_random(uint16_t columns, bool *good)
{
    static struct tern_value row[COLUMNS_MOST];
    struct random_table *from = &tables[below(table_count)];
    uint8_t op = random_op(from);
    random_row(from, op, row);
    *good &= CHECK_EQ(tern_row_check(&from->table, op, row), TERN_OK);
    int status = tern_chunk_put(&packed.chunk, &from->table, op, row);
    if (status != TERN_OK) {
        *good &= CHECK_EQ(status, TERN_E_TOO_BIG) && read_back();
        reopen(columns);
        return false;
    }
    uint8_t index = 0;
    while (packed.chunk.tables[index] != &from->table)
        index++;
    lines_add(&want, &from->table, index, op, row);
    rows_put++;
    return true;
}

static bool rounds_of_one_schema(void)
{
    uint16_t columns = 0;
    bool texts = one_in(2), good = true;
    table_count = (uint8_t)(one_in(2) ? 1 : 1 + below(TABLES));
    for (uint8_t t = 0; t < table_count; t++) {
        random_table(&tables[t], texts);
        columns = (uint16_t)(columns + tables[t].table.column_count);
    }
    uint32_t commit = 1 + below(one_in(3) ? 3 : 300);
    reopen(columns);
    for (unsigned i = 0; i < 2500 && good; i++)
        if (put_random(columns, &good) && one_in(commit))
            finish();
    return good && read_back();
}

static void unpacking_gives_the_csv_that_was_packed(void)
{
    while (rows_put < wanted_rows && rounds_of_one_schema())
        ;
    CHECK(rows_put >= wanted_rows);
    printf("%" PRIu64 " rows, %" PRIu64 " segments, %" PRIu64 " chunks\n", rows_put, segments, chunks_read);
}

int main(int argc, char **argv)
{
    state = test_seed(argc, argv);
    if (argc > 2)
        wanted_rows = strtoull(argv[2], NULL, 0);
    RUN(unpacking_gives_the_csv_that_was_packed);
    return test_report();
}
