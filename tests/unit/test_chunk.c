/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/crc32c.h"
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
    CHECK_EQ(walk.sequence, 501);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.first == 501 && segment.rows == 2 && segment.new_tables == 2 && !segment.commit &&
          segment.batch);
    CHECK_EQ(tern_load32(data + segment.payload - 8), tern_schema_hash(&table));
    CHECK_EQ(tern_load32(data + segment.payload - 4), tern_schema_hash(&other));
    CHECK(segment.size == 14 && memcmp(data + segment.payload, "+0,1,a\n+1,2,b\n", 14) == 0);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.first == 503 && segment.rows == 1 && segment.new_tables == 0 && segment.commit &&
          segment.batch);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.first == 504 && segment.rows == 1 && segment.commit && !segment.batch);
    CHECK_EQ(segment.end - segment.payload, 7 + 4);
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

static void a_segment_counts_only_behind_what_it_was_written_behind(void)
{
    uint8_t other_data[512];
    struct tern_walk walk;
    struct tern_segment segment;
    uint32_t crc[2];
    uint16_t start = 0;
    for (int i = 0; i < 2; i++) {
        struct tern_chunk chunk = new_chunk(512, 0);
        CHECK_EQ(put(&chunk, &table, 1, i == 0 ? "a" : "b"), TERN_OK);
        tern_chunk_finish(&chunk, true, false);
        CHECK_EQ(put(&chunk, &table, 2, "c"), TERN_OK);
        tern_chunk_finish(&chunk, true, false);
        CHECK_EQ(begin(&walk, chunk.size), TERN_OK);
        CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
        start = walk.offset;
        CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
        crc[i] = segment.crc;
        if (i == 0)
            memcpy(other_data, data, sizeof(other_data));
    }
    CHECK(crc[0] != crc[1]); /* what the store and the device compare tells two histories apart */
    memcpy(data + start, other_data + start, (size_t)segment.end - start);
    CHECK_EQ(begin(&walk, segment.end), TERN_OK);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_E_CORRUPT);
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

/* ---- Chunks that no device writes, with right CRCs ------------------------------------------- */

static uint32_t forged;     /* bytes of data */
static uint32_t forged_crc; /* of them, but for stored ones */

static void forge_crc(uint32_t from)
{
    forged_crc = tern_crc32c(forged_crc, data + from, forged - from);
    tern_store32(data + forged, forged_crc);
    forged += 4;
}

static void forge_head(uint32_t first)
{
    memset(data, 0xFF, sizeof(data));
    data[0] = 0x10;
    forged = 1 + (uint32_t)tern_store_varint(data + 1, first);
    forged_crc = tern_crc32c(0, data, forged);
}

/* A segment of `rows` and `payload` bytes of nothing; `tables` 0: declares none; `flags`: of the tag. */
static void forge(uint32_t flags, uint32_t rows, uint8_t tables, uint32_t payload)
{
    uint32_t from = forged;
    forged += (uint32_t)tern_store_varint(data + forged, payload << 3 | flags);
    if ((flags & 4) == 0)
        forged += (uint32_t)tern_store_varint(data + forged, rows << 1 | (tables != 0));
    if (tables != 0)
        data[forged++] = tables;
    forged += 4u * tables + payload;
    forge_crc(from);
}

/* What the walk says at last, and how many segments it found. */
static int walk_forged(uint32_t limit, int *segments)
{
    struct tern_walk walk;
    struct tern_segment segment;
    int status = begin(&walk, limit);
    for (*segments = 0; status == TERN_OK; *segments += status == TERN_OK)
        status = tern_walk_next(&walk, &segment);
    return status;
}

static void check_forged(int status, int segments)
{
    int found;
    CHECK_EQ(walk_forged(forged, &found), status);
    CHECK_EQ(found, segments);
}

static void a_chunk_has_4000_records_at_most(void)
{
    forge_head(1);
    forge(1, TERN_CHUNK_ROWS_MAX, 0, 9);
    forge(1, 0, 0, 9);
    check_forged(TERN_AGAIN, 2);
    forge(1, 1, 0, 9);
    check_forged(TERN_E_CORRUPT, 2);
    forge_head(1);
    forge(1, TERN_CHUNK_ROWS_MAX + 1, 0, 9);
    check_forged(TERN_E_CORRUPT, 0);
    forge_head(1);
    forge(1, UINT32_MAX >> 1, 0, 9);
    check_forged(TERN_E_CORRUPT, 0);
}

static void a_chunk_declares_eight_tables_at_most(void)
{
    forge_head(1);
    forge(1, 1, 7, 9);
    forge(1, 1, 1, 9);
    check_forged(TERN_AGAIN, 2);
    forge(1, 1, 1, 9);
    check_forged(TERN_E_CORRUPT, 2);
    forge_head(1);
    forge(1, 1, 9, 9);
    check_forged(TERN_E_CORRUPT, 0);
}

static void what_declares_tables_declares_one_at_least(void)
{
    forge_head(1);
    memcpy(data + forged, "\x49\x03\x00", 3); /* 9 bytes, 1 record, and new tables: none */
    forged += 3 + 9;
    tern_store32(data + forged, tern_crc32c(0, data, forged));
    forged += 4;
    check_forged(TERN_E_CORRUPT, 0);
}

/* Behind what is there stands erased flash, and no segment. */
static void erased_flash_ends_the_walk_without_damage(void)
{
    int found;
    forge_head(1);
    forge(1, 1, 0, 9);
    for (uint32_t more = 0; more < 100; more++) {
        CHECK_EQ(walk_forged(forged + more, &found), TERN_AGAIN);
        CHECK_EQ(found, 1);
    }
    CHECK_EQ(walk_forged(100000, &found), TERN_AGAIN);
}

static void no_more_than_a_chunk_is_read(void)
{
    struct tern_walk walk;
    forge_head(1);
    CHECK_EQ(begin(&walk, TERN_CHUNK_MAX + 1), TERN_OK);
    CHECK_EQ(walk.limit, TERN_CHUNK_MAX);
    CHECK_EQ(begin(&walk, 65536 + 2), TERN_OK);
    CHECK_EQ(walk.limit, TERN_CHUNK_MAX);
}

static void sequences_do_not_come_round(void)
{
    forge_head(UINT32_MAX - 3);
    forge(1, 3, 0, 9);
    check_forged(TERN_AGAIN, 1);
    forge(1, 1, 0, 9);
    check_forged(TERN_E_CORRUPT, 1);
}

static void a_segment_of_one_record_is_a_commit_and_nothing_else(void)
{
    for (uint32_t flags = 0; flags < 8; flags++) {
        forge_head(1);
        forge(flags, 1, 0, 9);
        check_forged(flags < 4 || flags == 5 ? TERN_AGAIN : TERN_E_CORRUPT, flags < 4 || flags == 5);
    }
}

static void a_chunk_has_4096_bytes_at_most(void)
{
    int found;
    forge_head(1);
    forge(5, 1, 0, TERN_CHUNK_MAX - 2 - 3 - 4);
    CHECK_EQ(forged, TERN_CHUNK_MAX);
    CHECK_EQ(walk_forged(TERN_CHUNK_MAX, &found), TERN_AGAIN);
    CHECK_EQ(found, 1);
    CHECK_EQ(walk_forged(TERN_CHUNK_MAX - 1, &found), TERN_AGAIN);
    CHECK_EQ(found, 0);
    forge_head(1);
    forged += (uint32_t)tern_store_varint(data + forged, (TERN_CHUNK_MAX - 2 - 3 - 3) << 3 | 5);
    CHECK_EQ(walk_forged(TERN_CHUNK_MAX, &found), TERN_E_CORRUPT);
    CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
    forge_head(1);
    forged += (uint32_t)tern_store_varint(data + forged, 8193u << 3 | 5);
    CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
    forge_head(1);
    forged += (uint32_t)tern_store_varint(data + forged, 65545u << 3 | 5); /* 9 in sixteen bits */
    forged += 9;
    tern_store32(data + forged, tern_crc32c(0, data, forged));
    CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
    CHECK_EQ(found, 0);
}

static void a_number_that_is_spelt_wrongly_is_damage(void)
{
    int found;
    forge_head(1);
    data[1] = 0x80; /* the first sequence */
    data[2] = 0x00;
    CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
    memset(data + 1, 0x80, 5);
    CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
    CHECK_EQ(walk_forged(5, &found), TERN_AGAIN);
    CHECK_EQ(walk_forged(6, &found), TERN_E_CORRUPT);
    data[1] = 0x81;
    for (int beyond = 0x10; beyond < 0x80; beyond++) { /* 32 bits */
        data[5] = (uint8_t)beyond;
        CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
    }
    data[5] = 0x0F;
    CHECK_EQ(walk_forged(6, &found), TERN_AGAIN);
    data[5] = 0x8F;
    CHECK_EQ(walk_forged(100, &found), TERN_E_CORRUPT);
}

/* ---- A source that fails --------------------------------------------------------------------- */

static int reads, fail_at;

static int read_or_fail(const void *context, uint32_t offset, void *to, uint32_t size)
{
    memcpy(to, (const uint8_t *)context + offset, size);
    if (++reads != fail_at)
        return TERN_OK;
    memset(to, 0xFF, size); /* what was read is nothing, though it looks like erased flash */
    return TERN_E_FLASH;
}

static void a_read_that_fails_is_told_and_moves_nothing(void)
{
    struct tern_chunk chunk = new_chunk(512, 4);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(
            put(&chunk, i == 0 ? &table : &other, i, "a text that is longer than a piece of the running CRC"),
            TERN_OK);
        tern_chunk_finish(&chunk, true, i == 1);
    }
    struct tern_source source = {read_or_fail, data, 0};
    bool failed = true;
    for (int at = 1; failed; at++) {
        struct tern_walk walk;
        struct tern_segment segment;
        int found = 0, status;
        reads = 0;
        fail_at = at;
        failed = (status = tern_walk_begin(&walk, source, chunk.size)) == TERN_E_FLASH;
        if (failed)
            CHECK_EQ(tern_walk_begin(&walk, source, chunk.size), TERN_OK);
        for (status = TERN_OK; status != TERN_AGAIN;) {
            status = tern_walk_next(&walk, &segment);
            failed |= status == TERN_E_FLASH;
            found += status == TERN_OK;
            CHECK(status == TERN_OK || status == TERN_AGAIN || status == TERN_E_FLASH);
        }
        CHECK_EQ(found, 3);
        CHECK(walk.offset == chunk.size && walk.sequence == 504);
        CHECK(at < 200);
    }
    CHECK(fail_at > 20);
}

/* ---- The builder's limits -------------------------------------------------------------------- */

static uint16_t codec_puts;
static int declared = TERN_OK;

static void nothing_opens(struct tern_chunk *chunk)
{
    (void)chunk;
}

static int nothing_declares(struct tern_chunk *chunk, uint8_t index)
{
    (void)chunk;
    (void)index;
    return declared;
}

static int nothing_puts(struct tern_chunk *chunk, uint8_t *payload, uint16_t room, uint8_t index, uint8_t op,
                        const struct tern_value *row)
{
    (void)chunk;
    (void)payload;
    (void)room;
    (void)index;
    (void)op;
    (void)row;
    codec_puts++;
    return TERN_OK;
}

static uint16_t nothing_finishes(struct tern_chunk *chunk, uint8_t *payload)
{
    (void)chunk;
    (void)payload;
    return 0;
}

static const struct tern_codec nothing = {8, nothing_opens, nothing_declares, nothing_puts, nothing_finishes};

/* However little a record takes, and in however many segments they stand. */
static void a_chunk_takes_4000_records_and_no_more(void)
{
    for (int commits = 0; commits < 2; commits++) {
        struct tern_chunk chunk = new_chunk(512, 0);
        codec_puts = 0;
        tern_chunk_open(&chunk, &nothing, 1, 0);
        for (int i = 0; i < TERN_CHUNK_ROWS_MAX; i++) {
            CHECK_EQ(put(&chunk, &table, i, "x"), TERN_OK);
            if (commits && i % 100 == 99)
                tern_chunk_finish(&chunk, true, false);
        }
        CHECK_EQ(put(&chunk, &table, 1, "x"), TERN_E_TOO_BIG);
        CHECK_EQ(codec_puts, TERN_CHUNK_ROWS_MAX);
        tern_chunk_finish(&chunk, true, false);
        CHECK_EQ(tern_chunk_next(&chunk), TERN_CHUNK_ROWS_MAX + 1);
        CHECK_EQ(put(&chunk, &table, 1, "x"), TERN_E_TOO_BIG);
    }
}

/* The longest tag has two bytes in chunks up to 2,047 bytes, and three in larger ones. */
static void a_record_fits_to_the_last_byte(void)
{
    static const uint16_t capacities[] = {64, 512, 2046, 2047, 2048, 2049, TERN_CHUNK_MAX};
    static const struct tern_column long_columns[] = {{"note", TERN_TEXT(4095), 0}};
    static const struct tern_table long_one = TERN_TABLE("long_one", TERN_APPEND, long_columns);
    static char text[TERN_CHUNK_MAX];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        size_t room = (size_t)(capacities[i] - 3 - (capacities[i] > 2047 ? 3 : 2) - 2 - 5 - 4);
        for (size_t more = 0; more < 2; more++) {
            struct tern_chunk chunk = new_chunk(capacities[i], 0);
            struct tern_value row = tern_bytes(text, room - 4 + more); /* beside "+0,", and the line's end */
            CHECK_EQ(tern_chunk_put(&chunk, &long_one, TERN_OP_PUT, &row), more ? TERN_E_TOO_BIG : TERN_OK);
            tern_chunk_finish(&chunk, true, false);
            CHECK(chunk.size <= capacities[i]);
        }
    }
}

/* A table that the codec has no memory for is not declared in the chunk either. */
static void a_table_that_the_codec_refuses_is_not_declared(void)
{
    struct tern_chunk chunk = new_chunk(512, 0);
    struct tern_walk walk;
    struct tern_segment segment;
    tern_chunk_open(&chunk, &nothing, 1, 0);
    CHECK_EQ(put(&chunk, &table, 1, "x"), TERN_OK);
    declared = TERN_E_TOO_BIG;
    CHECK_EQ(put(&chunk, &other, 2, "x"), TERN_E_TOO_BIG);
    declared = TERN_OK;
    CHECK(chunk.table_count == 1 && chunk.tables[0] == &table);
    CHECK_EQ(tern_chunk_next(&chunk), 2);
    tern_chunk_finish(&chunk, true, false);
    CHECK_EQ(begin(&walk, chunk.size), TERN_OK);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    CHECK(segment.rows == 1 && segment.new_tables == 1);
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

/* Beside records of which the codec writes nothing, as a packed one may be: its hash fits, or it does not. */
static void a_table_fits_to_the_last_byte(void)
{
    uint16_t capacity = TERN_CHUNK_MIN;
    for (bool fits = true; fits; capacity--) {
        struct tern_chunk chunk = new_chunk(capacity, 0);
        tern_chunk_open(&chunk, &nothing, 1, 0);
        CHECK_EQ(put(&chunk, &table, 1, "x"), TERN_OK);
        fits = put(&chunk, &other, 2, "x") == TERN_OK;
        CHECK_EQ(chunk.table_count, fits ? 2 : 1);
        tern_chunk_finish(&chunk, false, false);
        CHECK(chunk.size <= capacity);
        CHECK_EQ(fits, chunk.table_count == 2 && chunk.rows == 2);
    }
    CHECK_EQ(capacity + 1,
             2 + 2 + 2 + 1 + 2 * 4 + 4 - 1); /* head, tag, count, tables, hashes, CRC: one less */
}

int main(void)
{
    RUN(segments_are_walked_as_they_were_built);
    RUN(a_chunk_never_outgrows_its_capacity);
    RUN(a_row_that_does_not_fit_is_not_in_the_chunk);
    RUN(a_segment_counts_only_behind_what_it_was_written_behind);
    RUN(every_cut_gives_the_segments_before_it);
    RUN(every_flipped_bit_is_found);
    RUN(hostile_bytes_end_the_walk);
    RUN(at_most_eight_tables_share_a_chunk);
    RUN(an_unknown_format_is_told_from_damage);
    RUN(a_chunk_has_4000_records_at_most);
    RUN(a_chunk_declares_eight_tables_at_most);
    RUN(what_declares_tables_declares_one_at_least);
    RUN(erased_flash_ends_the_walk_without_damage);
    RUN(no_more_than_a_chunk_is_read);
    RUN(sequences_do_not_come_round);
    RUN(a_record_fits_to_the_last_byte);
    RUN(a_table_fits_to_the_last_byte);
    RUN(a_segment_of_one_record_is_a_commit_and_nothing_else);
    RUN(a_chunk_has_4096_bytes_at_most);
    RUN(a_number_that_is_spelt_wrongly_is_damage);
    RUN(a_read_that_fails_is_told_and_moves_nothing);
    RUN(a_chunk_takes_4000_records_and_no_more);
    RUN(a_table_that_the_codec_refuses_is_not_declared);
    return test_report();
}
