/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/csv.h"
#include "../../core/schema.h"

static const struct tern_column columns[] = {{"at", TERN_TIME_S, TERN_KEY},
                                             {"note", TERN_TEXT(300), TERN_NULLABLE}};
static const struct tern_table table = TERN_TABLE("climate", TERN_MERGE, columns);
static const struct tern_table other = TERN_TABLE("weather", TERN_MERGE, columns);

static uint8_t data[TERN_CHUNK_MAX];

static struct tern_chunk new_chunk(uint16_t capacity, uint8_t unit_log2)
{
    struct tern_chunk chunk = {.data = data, .capacity = capacity};
    memset(data, 0xFF, sizeof(data));
    tern_chunk_open(&chunk, &tern_csv, 501, unit_log2);
    return chunk;
}

static int put(struct tern_chunk *chunk, const struct tern_table *to, int64_t at, const char *note)
{
    struct tern_value row[] = {tern_int(at), tern_text(note)};
    return tern_chunk_put(chunk, to, TERN_OP_PUT, row);
}

static int begin(struct tern_walk *walk, uint32_t limit)
{
    return tern_walk_begin(walk, tern_source_memory(data), limit);
}

static void segments_are_walked_as_they_were_built(void)
{
    struct tern_chunk chunk = new_chunk(512, 0);
    struct tern_walk walk;
    struct tern_segment segment;
    CHECK_EQ(put(&chunk, &table, 1, "a"), TERN_OK);
    CHECK_EQ(put(&chunk, &other, 2, "b"), TERN_OK);
    tern_chunk_finish(&chunk, false, true);
    CHECK_EQ(put(&chunk, &table, 3, "c"), TERN_OK);
    tern_chunk_finish(&chunk, true, true);
    CHECK_EQ(put(&chunk, &table, 4, "d"), TERN_OK);
    tern_chunk_finish(&chunk, true, false);
    tern_chunk_finish(&chunk, true, false);
    CHECK_EQ(tern_chunk_next(&chunk), 505);

    CHECK_EQ(begin(&walk, chunk.size), TERN_OK);
    CHECK_EQ(walk.first, 501);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.first == 501 && segment.rows == 2 && segment.new_tables == 2 && !segment.commit &&
          segment.batch);
    CHECK_EQ(tern_load32(data + segment.tables), tern_schema_hash(&table));
    CHECK_EQ(tern_load32(data + segment.tables + 4), tern_schema_hash(&other));
    CHECK(segment.size == 14 && memcmp(data + segment.payload, "+0,1,a\n+1,2,b\n", 14) == 0);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.first == 503 && segment.rows == 1 && segment.new_tables == 0 && segment.commit &&
          segment.batch);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.first == 504 && segment.rows == 1 && segment.commit && !segment.batch);
    CHECK_EQ(segment.end - segment.start, 1 + 7 + 4);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.rows == 0 && segment.commit);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_AGAIN);
    CHECK_EQ(walk.offset, chunk.size);
}

static void a_chunk_never_outgrows_its_capacity(void)
{
    static const char text[] =
        "................................................................................................";
    uint64_t state = 5;
    for (int round = 0; round < 3000; round++) {
        uint16_t capacity = (uint16_t)(TERN_CHUNK_MIN + test_random(&state) % 400);
        struct tern_chunk chunk = new_chunk(capacity, (uint8_t)(test_random(&state) % 6));
        struct tern_walk walk;
        struct tern_segment segment;
        uint32_t rows = 0, found = 0;
        for (int status = TERN_OK; status == TERN_OK;) {
            status = put(&chunk, test_random(&state) & 1 ? &table : &other, 7,
                         text + test_random(&state) % sizeof(text));
            rows += status == TERN_OK;
            if (test_random(&state) % 4 == 0 && chunk.segment_rows != 0)
                tern_chunk_finish(&chunk, test_random(&state) & 1, false);
        }
        if (chunk.segment_rows != 0)
            tern_chunk_finish(&chunk, true, false);
        if (rows == 0)
            continue;
        CHECK(chunk.size <= capacity && chunk.size % (1u << chunk.unit_log2) == 0 &&
              (capacity == sizeof(data) || data[capacity] == 0xFF));
        CHECK_EQ(begin(&walk, chunk.size), TERN_OK);
        while (tern_walk_next(&walk, &segment) == TERN_OK)
            found += segment.rows;
        if (!CHECK_EQ(found, rows))
            return;
    }
}

static void a_row_that_does_not_fit_is_not_in_the_chunk(void)
{
    char large[301];
    memset(large, 'x', 300);
    large[300] = '\0';
    struct tern_chunk chunk = new_chunk(200, 0);
    CHECK_EQ(put(&chunk, &table, 1, "a"), TERN_OK);
    CHECK_EQ(put(&chunk, &other, 2, large), TERN_E_TOO_BIG);
    CHECK_EQ(put(&chunk, &table, 3, "b"), TERN_E_TOO_BIG);
    tern_chunk_finish(&chunk, true, false);
    struct tern_walk walk;
    struct tern_segment segment;
    CHECK_EQ(begin(&walk, chunk.size), TERN_OK);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.rows == 1 && segment.new_tables == 2 && segment.size == 7);
}

static void every_cut_gives_the_segments_before_it(void)
{
    struct tern_chunk chunk = new_chunk(512, 2);
    uint16_t ends[4] = {0};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(put(&chunk, &table, i, "row"), TERN_OK);
        tern_chunk_finish(&chunk, true, false);
        ends[i + 1] = chunk.size;
    }
    for (uint16_t cut = 0; cut <= chunk.size; cut++) {
        struct tern_walk walk;
        struct tern_segment segment;
        int whole = 0;
        int status = begin(&walk, cut);
        while (status == TERN_OK && (status = tern_walk_next(&walk, &segment)) == TERN_OK)
            whole++;
        CHECK_EQ(status, TERN_AGAIN);
        CHECK(cut >= ends[whole] && (whole == 3 || cut < ends[whole + 1]));
    }
}

static void every_flipped_bit_is_found(void)
{
    struct tern_chunk chunk = new_chunk(512, 0);
    CHECK_EQ(put(&chunk, &table, 1, "one"), TERN_OK);
    tern_chunk_finish(&chunk, true, false);
    CHECK_EQ(put(&chunk, &table, 2, "two"), TERN_OK);
    tern_chunk_finish(&chunk, true, false);
    for (unsigned bit = 0; bit < chunk.size * 8u; bit++) {
        struct tern_walk walk;
        struct tern_segment segment;
        int good = 0;
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (begin(&walk, chunk.size) == TERN_OK)
            while (tern_walk_next(&walk, &segment) == TERN_OK)
                good++;
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!CHECK(good < 2))
            printf("    bit %u\n", bit);
    }
}

static void hostile_bytes_end_the_walk(void)
{
    uint64_t state = 17;
    for (int round = 0; round < 200000; round++) {
        struct tern_walk walk;
        struct tern_segment segment;
        uint32_t size = (uint32_t)(test_random(&state) % 100);
        for (uint32_t i = 0; i < size; i++)
            data[i] = (uint8_t)test_random(&state);
        data[0] = (uint8_t)(0x10 | (data[0] & 0x0F));
        int steps = 0;
        if (begin(&walk, size) == TERN_OK)
            while (tern_walk_next(&walk, &segment) == TERN_OK && steps < 100)
                steps++;
        CHECK(steps < 3);
    }
}

static void at_most_eight_tables_share_a_chunk(void)
{
    struct tern_table many[9];
    struct tern_chunk chunk = new_chunk(1024, 0);
    for (int i = 0; i < 9; i++) {
        many[i] = table;
        CHECK_EQ(put(&chunk, &many[i], i, "x"), i < 8 ? TERN_OK : TERN_E_TOO_BIG);
    }
}

static void an_unknown_format_is_told_from_damage(void)
{
    struct tern_walk walk;
    data[0] = 0x20;
    data[1] = 1;
    CHECK_EQ(begin(&walk, 2), TERN_E_FORMAT);
    data[0] = 0x16;
    CHECK_EQ(begin(&walk, 2), TERN_E_FORMAT);
    data[0] = 0x10;
    data[1] = 0;
    CHECK_EQ(begin(&walk, 2), TERN_E_CORRUPT);
}

int main(void)
{
    RUN(segments_are_walked_as_they_were_built);
    RUN(a_chunk_never_outgrows_its_capacity);
    RUN(a_row_that_does_not_fit_is_not_in_the_chunk);
    RUN(every_cut_gives_the_segments_before_it);
    RUN(every_flipped_bit_is_found);
    RUN(hostile_bytes_end_the_walk);
    RUN(at_most_eight_tables_share_a_chunk);
    RUN(an_unknown_format_is_told_from_damage);
    return test_report();
}
