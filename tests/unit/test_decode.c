/* SPDX-License-Identifier: MIT */
/* A chunk decoded while it grows gives what it gives when it is decoded whole, whatever the decoder did in
 * between. */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/schema.h"
#include "../../host/decode.h"

#define CHUNKS   3
#define SEGMENTS 24

static const struct tern_column first_columns[] = {{"at", TERN_TIME_S, TERN_KEY},
                                                   {"celsius", TERN_DECIMAL(2), TERN_NULLABLE},
                                                   {"note", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_column second_columns[] = {{"id", TERN_TEXT(8), TERN_KEY}, {"count", TERN_I32, 0}};
static const struct tern_table tables[2][2] = {
    {TERN_TABLE("first", TERN_MERGE, first_columns), TERN_TABLE("second", TERN_MERGE, second_columns)},
    {TERN_TABLE_PACKED_TEXT("first", TERN_MERGE, first_columns),
     TERN_TABLE_PACKED_TEXT("second", TERN_MERGE, second_columns)}};
static struct tern_schema schemas[2];

struct made {
    struct tern_chunk chunk;
    uint8_t bytes[2048];
    uint64_t models[(TERN_MODELS_SIZE(5) + TERN_MODELS_TEXT) / 8 + 1];
    uint16_t ends[SEGMENTS]; /* of its segments */
    uint32_t nexts[SEGMENTS];
    size_t count;
};

static uint64_t seed = 1;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(test_random(&seed) >> 32) % limit;
}

static int put(struct made *made, bool packed)
{
    char text[40];
    bool second = made->count > 3 && below(3) == 0;
    snprintf(text, sizeof text, "n%u", below(50));
    struct tern_value row[3] = {tern_int(1700000000 + 60 * (int64_t)tern_chunk_next(&made->chunk)),
                                below(5) == 0 ? tern_null() : tern_int(below(3000)), tern_text(text)};
    struct tern_value other[2] = {tern_text(text), tern_int(below(100))};
    return tern_chunk_put(&made->chunk, &tables[packed][second], TERN_OP_PUT, second ? other : row);
}

static void make(struct made *made, bool packed)
{
    memset(made, 0, sizeof *made);
    made->chunk.data = made->bytes;
    made->chunk.capacity = sizeof made->bytes;
    made->chunk.models = made->models;
    made->chunk.models_size = sizeof made->models;
    tern_chunk_open(&made->chunk, packed ? &tern_packed_text : &tern_csv, 5, 0);
    for (made->count = 0; made->count < SEGMENTS; made->count++) {
        for (uint32_t rows = below(4); rows-- > 0;)
            CHECK_EQ(put(made, packed), TERN_OK);
        tern_chunk_finish(&made->chunk, below(3) != 0, below(8) == 0);
        made->ends[made->count] = made->chunk.size;
        made->nexts[made->count] = tern_chunk_next(&made->chunk);
    }
}

/* ---- What came ------------------------------------------------------------------------------- */

struct seen {
    uint64_t digest; /* of records, in order */
    uint32_t records, commits;
    int fails; /* at so many records more, 0: never */
};

static void add(struct seen *seen, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        seen->digest = (seen->digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
}

static const struct tern_schema *schema(void *context, uint32_t hash)
{
    (void)context;
    for (unsigned i = 0; i < 2; i++)
        if (tern_schema_hash(&schemas[i].table) == hash)
            return &schemas[i];
    return NULL;
}

static int record(void *context, uint32_t sequence, const struct tern_schema *of, uint32_t hash, uint8_t op,
                  const struct tern_value *row)
{
    struct seen *seen = context;
    (void)hash;
    if (seen->fails > 0 && --seen->fails == 0)
        return -77;
    add(seen, &sequence, sizeof sequence);
    add(seen, &op, 1);
    add(seen, of->table.name, strlen(of->table.name));
    for (uint8_t i = 0; i < of->table.column_count; i++) {
        add(seen, &row[i].is_null, 1);
        add(seen, &row[i].number, row[i].is_null || row[i].size != 0 ? 0 : sizeof row[i].number);
        add(seen, row[i].data, row[i].is_null ? 0 : row[i].size);
    }
    seen->records++;
    return TERN_OK;
}

static int bad(void *context, uint32_t first, uint32_t last)
{
    (void)context;
    (void)first;
    (void)last;
    return TERN_E_CORRUPT;
}

static int commit(void *context, uint32_t next, bool batch)
{
    struct seen *seen = context;
    (void)next;
    (void)batch;
    seen->commits++;
    return TERN_OK;
}

static int decode(struct tern_decoder *decoder, struct tern_decode_place *place, const struct made *made,
                  size_t segment, uint32_t first, struct seen *seen)
{
    struct tern_decode_to to = {seen, 0, schema, record, bad, commit, NULL};
    return tern_decode_chunk(decoder, place, made->bytes, made->ends[segment], first, &to);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static struct made chunks[CHUNKS];

static void compare(const struct made *made, const struct seen *grown)
{
    struct tern_decoder *decoder = tern_decoder_open();
    struct seen whole = {0};
    CHECK_EQ(decode(decoder, NULL, made, SEGMENTS - 1, 0, &whole), TERN_OK);
    CHECK_EQ(whole.records, grown->records);
    CHECK_EQ(whole.digest, grown->digest);
    CHECK_EQ(whole.commits, grown->commits);
    tern_decoder_close(decoder);
}

/* Three chunks of both formats grow in turns in one decoder. */
static void chunks_that_grow_in_turns(void)
{
    for (unsigned round = 0; round < 200; round++) {
        struct tern_decoder *decoder = tern_decoder_open();
        struct tern_decode_place places[CHUNKS] = {0};
        struct seen seen[CHUNKS] = {0};
        uint32_t firsts[CHUNKS] = {0};
        size_t at[CHUNKS] = {0};
        for (size_t i = 0; i < CHUNKS; i++)
            make(&chunks[i], (round + i) % 3 != 0);
        for (size_t left = CHUNKS; left != 0;) {
            size_t i = below(CHUNKS);
            if (at[i] == SEGMENTS)
                continue;
            at[i] += 1 + below((uint32_t)(SEGMENTS - at[i]));
            CHECK_EQ(decode(decoder, &places[i], &chunks[i], at[i] - 1, firsts[i], &seen[i]), TERN_OK);
            firsts[i] = chunks[i].nexts[at[i] - 1];
            left -= at[i] == SEGMENTS;
        }
        for (size_t i = 0; i < CHUNKS; i++) {
            compare(&chunks[i], &seen[i]);
            tern_decode_place_free(&places[i]);
        }
        tern_decoder_close(decoder);
    }
}

/* What was given before is given again where it is asked for, and after a record that could not be taken. */
static void asking_again_begins_at_the_head(void)
{
    struct tern_decoder *decoder = tern_decoder_open();
    struct tern_decode_place place = {0};
    for (unsigned packed = 0; packed < 2; packed++) {
        struct seen seen = {0}, again = {0}, failing = {.fails = 1}, last = {0};
        place.size = 0;
        make(&chunks[0], packed);
        CHECK_EQ(decode(decoder, &place, &chunks[0], 9, 0, &seen), TERN_OK);
        CHECK_EQ(decode(decoder, &place, &chunks[0], SEGMENTS - 1, 0, &again), TERN_OK);
        compare(&chunks[0], &again);
        place.size = 0;
        CHECK_EQ(decode(decoder, &place, &chunks[0], 9, 0, &seen), TERN_OK);
        CHECK_EQ(decode(decoder, &place, &chunks[0], SEGMENTS - 1, chunks[0].nexts[9], &failing), -77);
        CHECK_EQ(place.size, 0);
        CHECK_EQ(decode(decoder, &place, &chunks[0], SEGMENTS - 1, 0, &last), TERN_OK);
        compare(&chunks[0], &last);
    }
    tern_decode_place_free(&place);
    tern_decoder_close(decoder);
}

/* ---- What is no chunk ------------------------------------------------------------------------ */

static const struct tern_schema *no_schema(void *context, uint32_t hash)
{
    (void)context;
    (void)hash;
    return NULL;
}

static void what_cannot_be_decoded_says_why_and_gives_nothing_of_it(void)
{
    struct tern_decoder *decoder = tern_decoder_open();
    for (unsigned packed = 0; packed < 2; packed++) {
        struct tern_decode_place place = {0};
        struct seen seen = {0};
        struct tern_decode_to to = {&seen, 0, no_schema, record, bad, commit, NULL};
        make(&chunks[0], packed);
        size_t size = chunks[0].ends[SEGMENTS - 1];
        CHECK_EQ(tern_decode_chunk(decoder, &place, chunks[0].bytes, size, 0, &to), TERN_E_SCHEMA);
        CHECK(seen.records == 0 && place.size == 0);
        to.schema = schema;
        CHECK_EQ(tern_decode_chunk(decoder, NULL, chunks[0].bytes, size - 1, 0, &to), TERN_E_CORRUPT);
        CHECK_EQ(tern_decode_chunk(decoder, NULL, chunks[0].bytes, 0, 0, &to), TERN_E_CORRUPT);
        CHECK_EQ(tern_decode_chunk(decoder, NULL, chunks[0].bytes, 1, 0, &to), TERN_E_CORRUPT);
        memset(&seen, 0, sizeof seen);
        chunks[0].bytes[chunks[0].ends[5] - 1] ^= 1; /* a CRC */
        CHECK_EQ(tern_decode_chunk(decoder, &place, chunks[0].bytes, size, 0, &to), TERN_E_CORRUPT);
        CHECK_EQ(place.size, 0);
        chunks[0].bytes[chunks[0].ends[5] - 1] ^= 1;
        chunks[0].bytes[0] ^= 0xFF; /* a version of later */
        int status = tern_decode_chunk(decoder, NULL, chunks[0].bytes, size, 0, &to);
        CHECK(status == TERN_E_FORMAT || status == TERN_E_CORRUPT);
        tern_decode_place_free(&place);
    }
    tern_decoder_close(decoder);
}

/* The place that was left behind a longer chunk is not that of a shorter one. */
static void a_chunk_that_became_shorter_is_decoded_from_its_head(void)
{
    struct tern_decoder *decoder = tern_decoder_open();
    for (unsigned packed = 0; packed < 2; packed++) {
        struct tern_decode_place place = {0};
        struct seen seen = {0}, whole = {0}, shorter = {0};
        make(&chunks[0], packed);
        CHECK_EQ(decode(decoder, &place, &chunks[0], SEGMENTS - 1, 0, &seen), TERN_OK);
        CHECK_EQ(decode(decoder, &place, &chunks[0], 9, UINT32_MAX, &shorter), TERN_OK);
        CHECK_EQ(shorter.records, 0);
        CHECK_EQ(decode(decoder, &place, &chunks[0], 9, 0, &shorter), TERN_OK);
        CHECK_EQ(decode(decoder, NULL, &chunks[0], 9, 0, &whole), TERN_OK);
        CHECK(shorter.records == whole.records && shorter.digest == whole.digest);
        tern_decode_place_free(&place);
    }
    tern_decoder_close(decoder);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    printf("# seed %" PRIu64 "\n", seed);
    schemas[0].table = tables[0][0];
    schemas[1].table = tables[0][1];
    RUN(chunks_that_grow_in_turns);
    RUN(asking_again_begins_at_the_head);
    RUN(what_cannot_be_decoded_says_why_and_gives_nothing_of_it);
    RUN(a_chunk_that_became_shorter_is_decoded_from_its_head);
    return test_report();
}
