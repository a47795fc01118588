/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include "packed.h"

#include "../../core/crc32c.h"

static struct packed packed;
static uint8_t want_bytes[1 << 20], got_bytes[1 << 20];
static struct lines want, got;

static void start(const struct tern_codec *codec, uint16_t capacity)
{
    packed_open(&packed, codec, capacity, PACKED_COLUMNS / 2);
    want = (struct lines){want_bytes, 0, sizeof(want_bytes), false};
    got = (struct lines){got_bytes, 0, sizeof(got_bytes), false};
}

static int put_op(const struct tern_table *table, uint8_t op, const struct tern_value *row)
{
    int status = tern_row_check(table, op, row);
    if (status == TERN_OK)
        status = tern_chunk_put(&packed.chunk, table, op, row);
    for (uint8_t i = 0; status == TERN_OK && i < packed.chunk.table_count; i++)
        if (packed.chunk.tables[i] == table)
            lines_add(&want, table, i, op, row);
    return status;
}

static int put(const struct tern_table *table, const struct tern_value *row)
{
    return put_op(table, TERN_OP_PUT, row);
}

static void check_lines(void)
{
    CHECK_EQ(packed_lines(packed.data, packed.chunk.size, packed.chunk.tables, &got), TERN_OK);
    CHECK(!want.failed && !got.failed);
    CHECK(got.size == want.size && memcmp(got.bytes, want.bytes, want.size) == 0);
}

static const struct tern_column number_columns[] = {
    {"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), TERN_NULLABLE}, {"alarm", TERN_BOOL, 0}};
static const struct tern_table numbers =
    TERN_TABLE_CODED("numbers", TERN_MERGE, number_columns, &tern_packed);

static void number_row(struct tern_value row[3], int64_t at, int64_t celsius, int64_t alarm)
{
    row[0] = tern_int(at);
    row[1] = celsius == INT64_MIN ? tern_null() : tern_int(celsius);
    row[2] = tern_int(alarm);
}

static void rows_come_back_as_their_csv(void)
{
    struct tern_value row[3];
    start(&tern_packed, 512);
    for (int i = 0; i < 100; i++) {
        number_row(row, 1700000000 + 60 * i, i % 7 == 3 ? INT64_MIN : 2150 + i % 5, i > 50);
        CHECK_EQ(put(&numbers, row), TERN_OK);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    check_lines();
}

/* Each type's least and greatest value, and what lies around zero, each after each. */
static void extremes_of_every_type_come_back(void)
{
    static const uint16_t types[] = {
        TERN_BOOL, TERN_U8,  TERN_U16,        TERN_U32,         TERN_U64,       TERN_I8,     TERN_I16,
        TERN_I32,  TERN_I64, TERN_DECIMAL(0), TERN_DECIMAL(18), TERN_FLOAT(15), TERN_TIME_S, TERN_TIME_MS};
    static const int64_t values[] = {0,
                                     1,
                                     -1,
                                     9,
                                     10,
                                     -10,
                                     127,
                                     -128,
                                     255,
                                     32767,
                                     -32768,
                                     65535,
                                     INT32_MAX,
                                     INT32_MIN,
                                     UINT32_MAX,
                                     (1 << 30) - 1,
                                     1 << 30,
                                     -(1 << 30),
                                     -(1 << 30) - 1,
                                     INT64_MAX,
                                     INT64_MIN,
                                     INT64_MIN + 7,
                                     INT64_MAX - 7};
    unsigned count = sizeof(values) / sizeof(values[0]), refused = 0;
    for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        struct tern_column column = {"v", types[t], 0};
        struct tern_table table = {"one", &column, &tern_packed, 1, TERN_APPEND, 0, 0};
        for (unsigned from = 0; from < count; from++) {
            start(&tern_packed, TERN_CHUNK_MAX);
            for (unsigned i = 0; i < count * 2; i++) {
                struct tern_value row = tern_int(values[i % 2 == 0 ? from : i / 2]);
                refused += put(&table, &row) != TERN_OK;
            }
            tern_chunk_finish(&packed.chunk, true, false);
            check_lines();
        }
    }
    CHECK(refused != 0);
}

static void null_and_the_empty_string_stay_different(void)
{
    static const struct tern_column columns[] = {{"a", TERN_TEXT(8), TERN_NULLABLE},
                                                 {"b", TERN_BYTES(3), TERN_NULLABLE}};
    static const struct tern_table table = TERN_TABLE_CODED("t", TERN_APPEND, columns, &tern_packed_text);
    static const char *const texts[] = {NULL, "", "", NULL, NULL, "a", "", "a", "a", NULL, "a"};
    start(&tern_packed_text, 512);
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct tern_value row[] = {tern_text(texts[i]),
                                   i % 3 == 0 ? tern_null() : tern_bytes("\0\xFF", i % 3)};
        CHECK_EQ(put(&table, row), TERN_OK);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    check_lines();
    CHECK(want.size > 4 && memcmp(want.bytes, "+0,,\n+0,\"\",00\n", 14) == 0);
}

static void texts_of_every_kind_come_back(void)
{
    static const struct tern_column columns[] = {{"note", TERN_TEXT(4095), 0}, {"raw", TERN_BYTES(300), 0}};
    static const struct tern_table table = TERN_TABLE_CODED("t", TERN_APPEND, columns, &tern_packed_text);
    static char longest[4096];
    static const char *const texts[] = {
        "motor start", "motor stop",  "motor start", "\"quoted\", and more\r\n", "x", "x", longest,
        longest,       "motor start", "na\xC3\xAFve"};
    uint8_t raw[300];
    memset(longest, 'z', 4095);
    start(&tern_packed_text, TERN_CHUNK_MAX);
    for (unsigned i = 0; i < 40; i++) {
        for (unsigned j = 0; j < sizeof(raw); j++)
            raw[j] = (uint8_t)(i / 3 * 41 + j * j);
        struct tern_value row[] = {tern_text(texts[i % 10]), tern_bytes(raw, i * 7 % 300)};
        if (put(&table, row) != TERN_OK)
            break;
    }
    tern_chunk_finish(&packed.chunk, true, false);
    CHECK(packed.chunk.rows >= 20);
    check_lines();
}

static void a_constant_costs_nearly_nothing(void)
{
    struct tern_value row[3];
    start(&tern_packed, 512);
    for (int i = 0; i < 4000; i++) {
        number_row(row, 1700000000 + 60 * i, 2150, 0);
        CHECK_EQ(put(&numbers, row), TERN_OK);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    CHECK(packed.chunk.size < 60 + 4000 / 40);
    check_lines();
}

static const struct tern_column key_columns[] = {{"v", TERN_I32, 0},
                                                 {"k", TERN_U16, TERN_KEY},
                                                 {"name", TERN_TEXT(20), TERN_KEY},
                                                 {"w", TERN_U8, TERN_NULLABLE}};
static const struct tern_table keyed = TERN_TABLE_CODED("keyed", TERN_MERGE, key_columns, &tern_packed_text);
static const struct tern_table listed =
    TERN_TABLE_CODED("listed", TERN_OVERWRITE, number_columns, &tern_packed_text);

static void tables_deletes_and_snapshots_share_a_chunk(void)
{
    struct tern_value row[4];
    start(&tern_packed_text, 1024);
    for (int i = 0; i < 30; i++) {
        struct tern_value whole[] = {tern_int(-i), tern_int(i), tern_text(i % 2 == 0 ? "pump" : "valve"),
                                     tern_null()};
        CHECK_EQ(put(&keyed, whole), TERN_OK);
        if (i % 3 == 0)
            CHECK_EQ(put_op(&keyed, TERN_OP_DELETE, whole + 1), TERN_OK);
        if (i % 5 == 0) {
            CHECK_EQ(put_op(&listed, TERN_OP_SNAPSHOT_BEGIN, NULL), TERN_OK);
            number_row(row, i, i, 1);
            CHECK_EQ(put(&listed, row), TERN_OK);
            CHECK_EQ(put_op(&listed, TERN_OP_SNAPSHOT_END, NULL), TERN_OK);
        }
        if (i % 4 == 0)
            tern_chunk_finish(&packed.chunk, true, false);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    check_lines();
}

static void tables_that_take_turns_cost_little(void)
{
    static const struct tern_table second =
        TERN_TABLE_CODED("second", TERN_MERGE, number_columns, &tern_packed);
    struct tern_value row[3];
    uint16_t alone;
    start(&tern_packed, 1024);
    for (int i = 0; i < 400; i++) {
        number_row(row, 60 * i, 100, 0);
        CHECK_EQ(put(&numbers, row), TERN_OK);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    alone = packed.chunk.size;
    start(&tern_packed, 1024);
    for (int i = 0; i < 400; i++) {
        number_row(row, 120 * (i / 2), 100, 0);
        CHECK_EQ(put(i % 2 == 0 ? &numbers : &second, row), TERN_OK);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    CHECK(packed.chunk.size < alone + 40);
    check_lines();
}

/* Fills a chunk until a record does not fit: its bytes are then those of a chunk that never saw that
 * record. */
static void a_record_without_room_leaves_the_chunk_as_it_was(void)
{
    static uint8_t without[TERN_CHUNK_MAX];
    uint64_t random = 1;
    for (uint16_t capacity = 64; capacity < 364; capacity++) {
        static struct tern_value rows[400][3];
        unsigned fit = 0;
        start(&tern_packed, capacity);
        for (; fit < 400; fit++) {
            number_row(rows[fit], (int64_t)test_random(&random) >> (fit % 60),
                       (int64_t)test_random(&random) >> 40, 1);
            if (tern_chunk_put(&packed.chunk, &numbers, TERN_OP_PUT, rows[fit]) != TERN_OK)
                break;
        }
        tern_chunk_finish(&packed.chunk, true, false);
        uint16_t size = packed.chunk.size;
        memcpy(without, packed.data, size);
        CHECK(size <= capacity && size + 60 > capacity);
        start(&tern_packed, TERN_CHUNK_MAX);
        for (unsigned i = 0; i < fit; i++)
            CHECK_EQ(put(&numbers, rows[i]), TERN_OK);
        tern_chunk_finish(&packed.chunk, true, false);
        CHECK(packed.chunk.size == size && memcmp(packed.data, without, size) == 0);
        check_lines();
    }
}

/* Nor does the record that found no room leave anything in a segment that then holds none. */
static void a_record_without_room_leaves_an_empty_segment_empty(void)
{
    uint64_t random = 1;
    for (uint16_t capacity = 64; capacity < 364; capacity++) {
        struct tern_value row[3];
        int status = TERN_OK;
        start(&tern_packed, capacity);
        for (unsigned i = 0; i < 400 && status == TERN_OK; i++) {
            if (packed.chunk.segment_rows != 0)
                tern_chunk_finish(&packed.chunk, true, false);
            number_row(row, (int64_t)test_random(&random) >> (i % 60), (int64_t)test_random(&random) >> 40,
                       1);
            status = put(&numbers, row);
        }
        CHECK_EQ(status, TERN_E_TOO_BIG);
        if (packed.chunk.table_count == 0 || packed.chunk.segment_rows != 0 || packed.chunk.new_tables != 0)
            continue;
        uint16_t before = packed.chunk.size;
        tern_chunk_finish(&packed.chunk, true, false);
        CHECK_EQ(packed.chunk.size, before + 1 + 1 + 4); /* tag, count, CRC */
        check_lines();
    }
}

static void a_commit_a_row_costs_few_bytes_and_goes_on_learning(void)
{
    struct tern_value row[3];
    start(&tern_packed, 512);
    int rows = 0;
    for (;; rows++) {
        number_row(row, 1700000000 + 60 * rows, 2150 + rows % 3, 0);
        if (put(&numbers, row) != TERN_OK)
            break;
        tern_chunk_finish(&packed.chunk, true, false);
    }
    CHECK(rows >= 512 / 7);
    check_lines();
}

/* PACK.md section 2: a segment that is lost takes none of the next ones' digits along. */
static void the_coder_begins_anew_in_each_segment(void)
{
    const struct tern_pack *pack = (const struct tern_pack *)(const void *)packed.models;
    struct tern_value row[3];
    start(&tern_packed, 512);
    for (int i = 0; i < 10; i++) {
        number_row(row, 1700000000 + 61 * i, 2150 + i * i, i % 2);
        CHECK_EQ(put(&numbers, row), TERN_OK);
        CHECK(pack->low != 0 || pack->above != 0);
        tern_chunk_finish(&packed.chunk, true, false);
        CHECK(pack->low == 0 && pack->above == 0 && pack->position == 0);
    }
    check_lines();
}

static void an_empty_segment_has_no_payload(void)
{
    start(&tern_packed, 512);
    tern_chunk_finish(&packed.chunk, true, true);
    CHECK_EQ(packed.chunk.size, 2 + 1 + 1 + 4);
    check_lines();
}

static void text_columns_need_the_codec_for_text(void)
{
    struct tern_value row[] = {tern_int(1), tern_int(2), tern_text("a"), tern_null()};
    start(&tern_packed, 512);
    CHECK_EQ(tern_chunk_put(&packed.chunk, &keyed, TERN_OP_PUT, row), TERN_E_ARGUMENT);
    start(&tern_packed_text, 512);
    CHECK_EQ(tern_chunk_put(&packed.chunk, &keyed, TERN_OP_PUT, row), TERN_OK);
}

static void models_that_do_not_fit_are_refused(void)
{
    struct tern_value row[3];
    number_row(row, 1, 2, 0);
    for (uint16_t size = 0; size <= sizeof(packed.models) && size <= TERN_MODELS_SIZE(3); size++) {
        packed_open(&packed, &tern_packed, 512, 3);
        memset(packed.models, 0xA5, sizeof(packed.models));
        packed.chunk.models_size = size;
        tern_chunk_open(&packed.chunk, &tern_packed, 1, 0);
        int status = tern_chunk_put(&packed.chunk, &numbers, TERN_OP_PUT, row);
        CHECK(status == TERN_E_TOO_BIG || (status == TERN_OK && size >= 3 * 72));
        CHECK_EQ(((uint8_t *)packed.models)[size], 0xA5);
        CHECK(size < TERN_MODELS_SIZE(3) || status == TERN_OK);
    }
}

/* With memory for its own part alone, or that and the texts', the codec looks like one that was opened, and
 * is not. */
static void models_without_a_column_are_refused(void)
{
    struct tern_value row[3];
    struct tern_value with_text[] = {tern_int(1), tern_int(2), tern_text("a"), tern_null()};
    number_row(row, 1, 2, 0);
    for (int texts = 0; texts < 2; texts++) {
        const struct tern_codec *codec = texts ? &tern_packed_text : &tern_packed;
        packed_open(&packed, codec, 512, 8);
        struct tern_pack *pack = (void *)packed.models;
        packed.chunk.models_size = (uint16_t)(sizeof(*pack) + (texts ? TERN_PACK_TEXT : 0u));
        pack->columns[0] = (void *)packed.models; /* of a chunk before, in other memory */
        tern_chunk_open(&packed.chunk, codec, 1, 0);
        CHECK_EQ(
            tern_chunk_put(&packed.chunk, texts ? &keyed : &numbers, TERN_OP_PUT, texts ? with_text : row),
            TERN_E_TOO_BIG);
    }
}

/* A firmware that names the codec for texts, and has none, need not find memory for them. */
static void without_room_for_texts_numbers_alone_are_taken(void)
{
    static const struct tern_table of_numbers =
        TERN_TABLE_CODED("numbers", TERN_MERGE, number_columns, &tern_packed_text);
    struct tern_value row[3];
    struct tern_value with_text[] = {tern_int(1), tern_int(2), tern_text("a"), tern_null()};
    number_row(row, 1, 2, 0);
    for (unsigned size = 0; size <= TERN_MODELS_SIZE(4) + TERN_MODELS_TEXT; size++) {
        packed_open(&packed, &tern_packed_text, 512, 4);
        memset(packed.models, 0xA5, sizeof(packed.models));
        packed.chunk.models_size = (uint16_t)size;
        tern_chunk_open(&packed.chunk, &tern_packed_text, 1, 0);
        int status = tern_chunk_put(&packed.chunk, &of_numbers, TERN_OP_PUT, row);
        CHECK(status == TERN_OK || status == TERN_E_TOO_BIG);
        CHECK(status == TERN_OK || size < sizeof(struct tern_pack) + TERN_PACK_TEXT + 3 * 48);
        tern_chunk_open(&packed.chunk, &tern_packed_text, 1, 0);
        status = tern_chunk_put(&packed.chunk, &keyed, TERN_OP_PUT, with_text);
        CHECK((status == TERN_OK) == (size >= sizeof(struct tern_pack) + TERN_PACK_TEXT + 4 * 48));
        CHECK(status == TERN_OK || status == TERN_E_TOO_BIG || status == TERN_E_ARGUMENT);
        CHECK_EQ(((uint8_t *)packed.models)[size], 0xA5);
    }
}

static uint64_t unpack_models[TERN_UNPACK_SIZE(64) / 8 + 1];
static uint8_t unpack_texts[64];
static struct tern_unpack unpack;

static void a_reader_says_what_it_has_no_room_for(void)
{
    static const struct tern_column columns[] = {
        {"a", TERN_TEXT(40), 0}, {"b", TERN_BYTES(24), 0}, {"c", TERN_U8, 0}};
    static const struct tern_table table = TERN_TABLE_CODED("t", TERN_APPEND, columns, &tern_packed_text);
    static const struct tern_table beginning = {"t", columns, &tern_packed_text, 1, TERN_APPEND, 0, 0};
    CHECK_EQ(tern_unpack_texts(&table), 64);
    CHECK_EQ(tern_unpack_texts(&beginning), 40); /* what stands behind its columns is not its own */
    CHECK_EQ(tern_unpack_texts(&numbers), 0);
    CHECK_EQ(tern_unpack_open(&unpack, unpack_models, TERN_UNPACK_SIZE(1) - 1, NULL, 0), TERN_E_ARGUMENT);
    CHECK_EQ(tern_unpack_open(&unpack, unpack_models, TERN_UNPACK_SIZE(1), NULL, 0), TERN_OK);
    CHECK_EQ(tern_unpack_open(&unpack, unpack_models, TERN_UNPACK_SIZE(6), unpack_texts, 63), TERN_OK);
    CHECK_EQ(tern_unpack_table(&unpack, &table), TERN_E_TOO_BIG);
    CHECK_EQ(tern_unpack_open(&unpack, unpack_models, TERN_UNPACK_SIZE(5), unpack_texts, 64), TERN_OK);
    CHECK_EQ(tern_unpack_table(&unpack, &table), TERN_OK);
    CHECK_EQ(tern_unpack_table(&unpack, &numbers), TERN_E_TOO_BIG); /* the sixth column */
    CHECK_EQ(unpack.table_count, 1);
    CHECK_EQ(tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), unpack_texts, 64), TERN_OK);
    for (unsigned i = 0; i < TERN_CHUNK_TABLES_MAX; i++)
        CHECK_EQ(tern_unpack_table(&unpack, &numbers), TERN_OK);
    CHECK_EQ(tern_unpack_table(&unpack, &numbers), TERN_E_TOO_BIG);
    CHECK_EQ(unpack.table_count, TERN_CHUNK_TABLES_MAX);
}

/* PACK.md section 7. A payload longer than any chunk, as its coder would have written it. */
static void a_payload_is_read_no_further_than_a_chunk_may_be_long(void)
{
    static uint8_t payload[20000];
    static const struct tern_column column = {"v", TERN_I64, 0};
    static const struct tern_table table = {"one", &column, &tern_packed, 1, TERN_APPEND, 0, 0};
    struct tern_unpack_record record;
    struct tern_value row[TERN_COLUMNS_MAX];
    uint64_t random = 7;
    uint16_t rows = 0;
    int status;
    packed_open(&packed, &tern_packed, 512, 1);
    packed.chunk.tables[0] = &table;
    CHECK_EQ(tern_packed.declare(&packed.chunk, 0), TERN_OK);
    for (; rows < 2000; rows++) {
        row[0] = tern_int((int64_t)test_random(&random));
        CHECK_EQ(tern_packed.put(&packed.chunk, payload, sizeof(payload), 0, TERN_OP_PUT, row), TERN_OK);
    }
    uint16_t size = tern_packed.finish(&packed.chunk, payload);
    CHECK(size > 2 * TERN_CHUNK_MAX);
    tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), NULL, 0);
    CHECK_EQ(tern_unpack_table(&unpack, &table), TERN_OK);
    tern_unpack_segment(&unpack, payload, size, rows);
    random = 7;
    for (rows = 0; (status = tern_unpack_next(&unpack, &record, row)) == TERN_OK; rows++)
        CHECK(row[0].number == (int64_t)test_random(&random));
    CHECK_EQ(status, TERN_E_CORRUPT);
    CHECK_EQ(unpack.pack->position, TERN_CHUNK_MAX + 5);
    CHECK(rows > TERN_CHUNK_MAX / 10);
}

/* What the codec itself does not look at: an operation that the table's mode does not know, one that there is
 * not, a table that has not been declared. After the first that is wrong, nothing is right any more. */
static void a_record_that_no_device_writes_is_refused(void)
{
    static const struct tern_column column = {"v", TERN_U8, 0};
    static const struct tern_table by_mode[] = {{"m", number_columns, &tern_packed, 3, TERN_MERGE, 0, 0},
                                                {"a", &column, &tern_packed, 1, TERN_APPEND, 0, 0},
                                                {"o", &column, &tern_packed, 1, TERN_OVERWRITE, 0, 0}};
    struct tern_value row[TERN_COLUMNS_MAX] = {tern_int(1), tern_int(2), tern_int(0)};
    struct tern_unpack_record record;
    uint8_t payload[64];
    for (unsigned mode = 0; mode < 3; mode++)
        for (uint8_t op = 0; op < 8; op++)
            for (uint8_t index = 0; index < 2; index++) {
                bool allowed =
                    op == TERN_OP_PUT || (op == TERN_OP_DELETE && mode == TERN_MERGE) ||
                    (op >= TERN_OP_SNAPSHOT_BEGIN && op <= TERN_OP_SNAPSHOT_END && mode == TERN_OVERWRITE);
                packed_open(&packed, &tern_packed, 512, 6);
                packed.chunk.tables[0] = packed.chunk.tables[1] = &by_mode[mode];
                CHECK_EQ(tern_packed.declare(&packed.chunk, 0), TERN_OK);
                CHECK_EQ(tern_packed.declare(&packed.chunk, 1), TERN_OK);
                CHECK_EQ(tern_packed.put(&packed.chunk, payload, sizeof(payload), index, op, row), TERN_OK);
                uint16_t size = tern_packed.finish(&packed.chunk, payload);
                tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), NULL, 0);
                CHECK_EQ(tern_unpack_table(&unpack, &by_mode[mode]), TERN_OK);
                unpack.tables[1] = &by_mode[mode]; /* of a chunk before: not declared in this one */
                tern_unpack_segment(&unpack, payload, size, 2);
                struct tern_value read[TERN_COLUMNS_MAX];
                int status = tern_unpack_next(&unpack, &record, read);
                CHECK_EQ(status, allowed && index == 0 ? TERN_OK : TERN_E_CORRUPT);
                if (status != TERN_OK)
                    CHECK_EQ(tern_unpack_next(&unpack, &record, read), TERN_E_CORRUPT);
            }
}

static void texts_may_fill_the_memory_for_them_to_the_last_byte(void)
{
    static const struct tern_column columns[] = {{"a", TERN_TEXT(40), 0}, {"b", TERN_BYTES(24), 0}};
    static const struct tern_table table = TERN_TABLE_CODED("t", TERN_APPEND, columns, &tern_packed_text);
    static const char longest[] = "0123456789012345678901234567890123456789";
    struct tern_value row[] = {tern_text(longest), tern_bytes(longest, 24)}, read[TERN_COLUMNS_MAX];
    struct tern_unpack_record record;
    uint8_t payload[128];
    packed_open(&packed, &tern_packed_text, 512, 2);
    packed.chunk.tables[0] = &table;
    CHECK_EQ(tern_packed_text.declare(&packed.chunk, 0), TERN_OK);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(tern_packed_text.put(&packed.chunk, payload, sizeof(payload), 0, TERN_OP_PUT, row), TERN_OK);
    uint16_t size = tern_packed_text.finish(&packed.chunk, payload);
    tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), unpack_texts, 64);
    CHECK_EQ(tern_unpack_table(&unpack, &table), TERN_OK);
    CHECK_EQ(tern_unpack_next(&unpack, &record, read), TERN_E_CORRUPT); /* before any segment */
    unpack.rows = 1;                                                    /* left over from another chunk */
    tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), unpack_texts, 64);
    CHECK_EQ(tern_unpack_table(&unpack, &table), TERN_OK);
    CHECK_EQ(tern_unpack_next(&unpack, &record, read), TERN_E_CORRUPT);
    tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), unpack_texts, 64);
    CHECK_EQ(tern_unpack_table(&unpack, &table), TERN_OK);
    tern_unpack_segment(&unpack, payload, size, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(tern_unpack_next(&unpack, &record, read), TERN_OK);
        CHECK(read[0].size == 40 && memcmp(read[0].data, longest, 40) == 0 && read[1].size == 24 &&
              memcmp(read[1].data, longest, 24) == 0);
    }
    CHECK_EQ(tern_unpack_next(&unpack, &record, read), TERN_AGAIN);
}

/* A text longer than its column, and than the memory for all of them: neither it nor anything behind it is
 * given. */
static void after_a_text_that_is_too_long_nothing_is_right(void)
{
    static const struct tern_column columns[] = {{"a", TERN_TEXT(400), TERN_NULLABLE}};
    static const struct tern_column narrow[] = {{"a", TERN_TEXT(30), TERN_NULLABLE}};
    static const struct tern_table table = TERN_TABLE_CODED("t", TERN_APPEND, columns, &tern_packed_text);
    static const struct tern_table read_as = TERN_TABLE_CODED("t", TERN_APPEND, narrow, &tern_packed_text);
    static char text[401];
    struct tern_unpack_record record;
    struct tern_value read[TERN_COLUMNS_MAX];
    memset(text, 'x', sizeof(text) - 1);
    for (size_t length = 29; length <= 400; length += length < 70 ? 1 : 33) {
        uint8_t payload[512];
        struct tern_value row = tern_bytes(text, length), none = tern_null();
        packed_open(&packed, &tern_packed_text, 512, 2);
        packed.chunk.tables[0] = &table;
        CHECK_EQ(tern_packed_text.declare(&packed.chunk, 0), TERN_OK);
        CHECK_EQ(tern_packed_text.put(&packed.chunk, payload, sizeof(payload), 0, TERN_OP_PUT, &row),
                 TERN_OK);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(tern_packed_text.put(&packed.chunk, payload, sizeof(payload), 0, TERN_OP_PUT, &none),
                     TERN_OK);
        uint16_t size = tern_packed_text.finish(&packed.chunk, payload);
        tern_unpack_open(&unpack, unpack_models, sizeof(unpack_models), unpack_texts, 64);
        CHECK_EQ(tern_unpack_table(&unpack, &read_as), TERN_OK);
        tern_unpack_segment(&unpack, payload, size, 3);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(tern_unpack_next(&unpack, &record, read), length <= 30 ? TERN_OK : TERN_E_CORRUPT);
    }
}

static void a_wrong_payload_is_refused_or_keeps_the_schema(void)
{
    static uint8_t forged[TERN_CHUNK_MAX];
    static uint64_t models[TERN_UNPACK_SIZE(8) / 8 + 1];
    static uint8_t texts[64];
    uint64_t random = 5;
    unsigned refused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint16_t size = (uint16_t)(test_random(&random) % 40);
        for (unsigned j = 0; j < size; j++)
            forged[j] = (uint8_t)(i % 3 == 0 ? 0xFF : test_random(&random));
        got = (struct lines){got_bytes, 0, sizeof(got_bytes), false};
        tern_unpack_open(&unpack, models, sizeof(models), texts, sizeof(texts));
        CHECK_EQ(tern_unpack_table(&unpack, &keyed), TERN_OK);
        CHECK_EQ(tern_unpack_table(&unpack, &numbers), TERN_OK);
        refused += packed_segment(&unpack, forged, size, 50, &got) != TERN_OK;
        CHECK(!got.failed);
    }
    CHECK(refused > 10000);
}

static void bytes_behind_the_payload_are_refused(void)
{
    static uint64_t models[TERN_UNPACK_SIZE(8) / 8 + 1];
    struct tern_value row[TERN_COLUMNS_MAX];
    uint8_t payload[64] = {0};
    struct tern_walk walk;
    struct tern_segment segment;
    start(&tern_packed, 512);
    for (int i = 0; i < 5; i++) {
        number_row(row, i * i, i, 0);
        CHECK_EQ(put(&numbers, row), TERN_OK);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    CHECK_EQ(tern_walk_begin(&walk, tern_source_memory(packed.data), packed.chunk.size), TERN_OK);
    CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    memcpy(payload, packed.data + segment.payload, segment.size);
    CHECK(payload[segment.size - 1] != 0);
    for (uint16_t more = 0; more < 10; more++) {
        tern_unpack_open(&unpack, models, sizeof(models), NULL, 0);
        CHECK_EQ(tern_unpack_table(&unpack, &numbers), TERN_OK);
        int status = packed_segment(&unpack, payload, (uint16_t)(segment.size + more), 5, &got);
        CHECK_EQ(status, more == 0 ? TERN_OK : TERN_E_CORRUPT);
        CHECK(status == TERN_OK ||
              tern_unpack_next(&unpack, &(struct tern_unpack_record){0}, row) == TERN_E_CORRUPT);
    }
}

/* A change here is a new format. */
static void the_form_of_a_payload_stays(void)
{
    static const uint8_t golden[] = {0x18, 0x01, 0xE1, 0x01, 0x0B, 0x02, 0xB4, 0x70, 0xFC, 0x20, 0x5F, 0xA5,
                                     0xE3, 0xB0, 0x8E, 0xFF, 0xAC, 0x9A, 0x0B, 0xD7, 0x59, 0xE9, 0x6F, 0x5D,
                                     0x30, 0x5A, 0x36, 0x39, 0xA6, 0x0A, 0x32, 0x80, 0xD9, 0x3F, 0x8F, 0x66,
                                     0x18, 0xEC, 0x20, 0x2A, 0x2E, 0xD1, 0x8F, 0x5A, 0x4C, 0xE8};
    struct tern_value row[4];
    struct tern_value first[] = {tern_int(-5), tern_int(7), tern_text("pump"), tern_int(3)};
    struct tern_value next[] = {tern_int(-5), tern_int(8), tern_text("pump 2"), tern_null()};
    start(&tern_packed_text, 512);
    CHECK_EQ(put(&keyed, first), TERN_OK);
    CHECK_EQ(put(&keyed, next), TERN_OK);
    CHECK_EQ(put_op(&keyed, TERN_OP_DELETE, first + 1), TERN_OK);
    number_row(row, 1700000000, 2150, 1);
    CHECK_EQ(put(&listed, row), TERN_OK);
    number_row(row, 1700000060, 2201, 1);
    CHECK_EQ(put(&listed, row), TERN_OK);
    tern_chunk_finish(&packed.chunk, true, false);
    check_lines();
    CHECK_EQ(packed.chunk.size, sizeof(golden));
    CHECK(memcmp(packed.data, golden, sizeof(golden)) == 0);
}

/* The same of a chunk that is full of everything: what is coded the same way in both directions would
 * otherwise go unseen. */
static void the_form_of_a_full_chunk_stays(void)
{
    static const struct tern_column columns[] = {{"at", TERN_TIME_MS, TERN_KEY},
                                                 {"a", TERN_I64, TERN_NULLABLE},
                                                 {"b", TERN_FLOAT(3), 0},
                                                 {"c", TERN_U16, 0},
                                                 {"up", TERN_TIME_S, 0},
                                                 {"note", TERN_TEXT(40), 0},
                                                 {"raw", TERN_BYTES(40), TERN_NULLABLE}};
    static const struct tern_table table = TERN_TABLE_CODED("all", TERN_MERGE, columns, &tern_packed_text);
    uint64_t random = 42;
    int64_t at = 1700000000000;
    start(&tern_packed_text, TERN_CHUNK_MAX);
    for (unsigned i = 0; i < 120; i++) {
        char note[40];
        uint8_t raw[40];
        for (size_t k = 0; k < sizeof(raw); k++)
            raw[k] = (uint8_t)(test_random(&random) >> (k % 8 * 8) & (k % 3 == 0 ? 0 : 0xFF));
        snprintf(note, sizeof(note), "pump %u of %u, %s", i % 7, i / 3, i % 2 == 0 ? "on" : "off");
        at += i % 11 == 10 ? 3600000 : 30000 + (int64_t)(test_random(&random) % 64) - 32;
        struct tern_value row[] = {
            tern_int(at),
            i % 9 == 4 ? tern_null() : tern_int((int64_t)test_random(&random) >> (i * 7 % 64)),
            tern_int((int64_t)i * 1000 + (int64_t)(test_random(&random) % 100)),
            tern_int((int64_t)(test_random(&random) >> (48 + i % 16))),
            tern_int(i < 40 ? 60 * i : 120 * i - 40 * 60), /* steps of 60, and then of just the double */
            tern_text(note),
            i % 5 == 0 ? tern_null() : tern_bytes(raw, 1 + i % 39)};
        CHECK_EQ(put(&table, row), TERN_OK);
        if (i % 16 == 15)
            tern_chunk_finish(&packed.chunk, true, false);
    }
    tern_chunk_finish(&packed.chunk, true, false);
    check_lines();
    CHECK_EQ(packed.chunk.size, 3977);
    CHECK_EQ(tern_crc32c(0, packed.data, packed.chunk.size), 520266626);
}

/* What is shown of an open segment is written over by the next record, and nothing behind it is touched. */
static void a_look_into_an_open_segment_touches_four_bytes(void)
{
    struct tern_value row[3];
    start(&tern_packed, 512);
    for (int i = 0; i < 40; i++) {
        uint16_t size = 0;
        number_row(row, 1700000000 + i * i * 61, i * 7919 % 1000, i & 1);
        CHECK_EQ(put(&numbers, row), TERN_OK);
        uint8_t *behind = tern_chunk_payload(&packed.chunk) + ((struct tern_pack *)packed.models)->position;
        memset(behind, 0xA5, 16);
        uint8_t *payload = tern_pack_peek(&packed.chunk, &size);
        CHECK(payload + size == behind + 4 && behind[4] == 0xA5 && behind[5] == 0xA5);
    }
}

int main(void)
{
    RUN(rows_come_back_as_their_csv);
    RUN(extremes_of_every_type_come_back);
    RUN(null_and_the_empty_string_stay_different);
    RUN(texts_of_every_kind_come_back);
    RUN(a_constant_costs_nearly_nothing);
    RUN(tables_deletes_and_snapshots_share_a_chunk);
    RUN(tables_that_take_turns_cost_little);
    RUN(a_record_without_room_leaves_the_chunk_as_it_was);
    RUN(a_record_without_room_leaves_an_empty_segment_empty);
    RUN(a_commit_a_row_costs_few_bytes_and_goes_on_learning);
    RUN(the_coder_begins_anew_in_each_segment);
    RUN(an_empty_segment_has_no_payload);
    RUN(text_columns_need_the_codec_for_text);
    RUN(models_that_do_not_fit_are_refused);
    RUN(models_without_a_column_are_refused);
    RUN(without_room_for_texts_numbers_alone_are_taken);
    RUN(a_reader_says_what_it_has_no_room_for);
    RUN(a_payload_is_read_no_further_than_a_chunk_may_be_long);
    RUN(a_record_that_no_device_writes_is_refused);
    RUN(texts_may_fill_the_memory_for_them_to_the_last_byte);
    RUN(after_a_text_that_is_too_long_nothing_is_right);
    RUN(a_wrong_payload_is_refused_or_keeps_the_schema);
    RUN(bytes_behind_the_payload_are_refused);
    RUN(a_look_into_an_open_segment_touches_four_bytes);
    RUN(the_form_of_a_payload_stays);
    RUN(the_form_of_a_full_chunk_stays);
    return test_report();
}
