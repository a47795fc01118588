/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/crc32c.h"
#include "../../core/schema.h"

static const struct tern_column columns[] = {
    {"at", TERN_TIME_S, TERN_KEY},
    {"celsius", TERN_DECIMAL(2), 0},
    {"note", TERN_TEXT(16), TERN_NULLABLE | TERN_MAX},
};
static const struct tern_table table = TERN_TABLE("climate", TERN_MERGE, columns);

struct bytes {
    uint8_t data[2048];
    size_t size;
};

static int collect(void *context, const void *data, size_t size)
{
    struct bytes *bytes = context;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return TERN_OK;
}

static struct bytes encode(const struct tern_table *schema)
{
    struct bytes bytes = {.size = 0};
    tern_schema_encode(schema, collect, &bytes);
    return bytes;
}

static void a_schema_comes_back(void)
{
    static struct tern_schema decoded;
    struct bytes bytes = encode(&table);
    CHECK_EQ(bytes.size, tern_schema_size(&table));
    CHECK_EQ(tern_schema_hash(&table), tern_crc32c(0, bytes.data, bytes.size));
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size), TERN_OK);
    struct bytes again = encode(&decoded.table);
    CHECK(again.size == bytes.size && memcmp(again.data, bytes.data, bytes.size) == 0);
    CHECK(strcmp(decoded.table.name, "climate") == 0 && strcmp(decoded.columns[2].name, "note") == 0);
}

static int check_columns(const struct tern_column *list, uint8_t count, uint8_t mode)
{
    struct tern_table other = {"t", list, &tern_csv, count, mode, 0, 0};
    return tern_schema_check(&other);
}

static void wrong_tables_are_refused(void)
{
    struct tern_column one = {"a", TERN_I32, TERN_KEY};
    struct tern_column two[] = {{"a", TERN_I32, TERN_KEY}, {"a", TERN_I32, 0}};
    static const char *const names[] = {
        "",        "A",      "1a", "a-b",
        "tern_id", "device", "_a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const uint16_t types[] = {TERN_TYPE(9, 0), TERN_TYPE(15, 0), TERN_TYPE(0, 1), TERN_TYPE(1, 12),
                                     TERN_TYPE(2, 0), TERN_DECIMAL(19), TERN_FLOAT(16),  TERN_TEXT(0),
                                     TERN_BYTES(0),   TERN_TYPE(5, 1)};
    CHECK_EQ(check_columns(&one, 1, TERN_MERGE), TERN_OK);
    CHECK_EQ(check_columns(&one, 0, TERN_MERGE), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(&one, 65, TERN_MERGE), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(&one, 1, 3), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(&one, 1, TERN_APPEND), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(two, 2, TERN_MERGE), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(&two[1], 1, TERN_MERGE), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(&two[1], 1, TERN_APPEND), TERN_OK);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tern_column named = {names[i], TERN_I32, TERN_KEY};
        CHECK_EQ(check_columns(&named, 1, TERN_MERGE), TERN_E_SCHEMA);
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct tern_column typed = {"a", types[i], TERN_KEY};
        CHECK_EQ(check_columns(&typed, 1, TERN_MERGE), TERN_E_SCHEMA);
    }
    one.flags = TERN_KEY | TERN_NULLABLE;
    CHECK_EQ(check_columns(&one, 1, TERN_MERGE), TERN_E_SCHEMA);
    one.flags = 5 << 2;
    CHECK_EQ(check_columns(&one, 1, TERN_APPEND), TERN_E_SCHEMA);
}

static void dedup_of_counters_and_snapshots_is_refused(void)
{
    struct tern_column of[] = {{"a", TERN_I32, TERN_KEY}, {"n", TERN_I32, TERN_MAX}};
    struct tern_table declared = {"t", of, &tern_csv, 2, TERN_MERGE, TERN_DEDUP, 0};
    CHECK_EQ(tern_schema_check(&declared), TERN_OK);
    of[1].flags = TERN_ADD;
    CHECK_EQ(tern_schema_check(&declared), TERN_E_SCHEMA);
    declared.flags = 0;
    CHECK_EQ(tern_schema_check(&declared), TERN_OK);
    of[1].flags = 0;
    declared.mode = TERN_OVERWRITE;
    CHECK_EQ(tern_schema_check(&declared), TERN_OK);
    declared.flags = TERN_DEDUP;
    CHECK_EQ(tern_schema_check(&declared), TERN_E_SCHEMA);
}

static void a_cut_or_lengthened_schema_is_refused(void)
{
    static struct tern_schema decoded;
    struct bytes bytes = encode(&table);
    for (size_t cut = 0; cut < bytes.size; cut++)
        CHECK_EQ(tern_schema_decode(&decoded, bytes.data, cut), TERN_E_SCHEMA);
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size + 1), TERN_E_SCHEMA);
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, TERN_SCHEMA_MAX + 1), TERN_E_SCHEMA);
}

/* What decodes must encode to the same bytes: two spellings of one schema would have two hashes. */
static void any_changed_byte_is_refused_or_another_schema(void)
{
    static struct tern_schema decoded;
    struct bytes bytes = encode(&table);
    for (size_t at = 0; at < bytes.size; at++)
        for (int value = 0; value < 256; value++) {
            struct bytes changed = bytes;
            changed.data[at] = (uint8_t)value;
            if (tern_schema_decode(&decoded, changed.data, changed.size) != TERN_OK)
                continue;
            struct bytes again = encode(&decoded.table);
            if (!CHECK(again.size == changed.size && memcmp(again.data, changed.data, again.size) == 0))
                return;
        }
}

static void the_largest_schema_fits_and_no_larger(void)
{
    static struct tern_schema decoded;
    static char names[TERN_COLUMNS_MAX][24];
    static struct tern_column wide[TERN_COLUMNS_MAX];
    for (int i = 0; i < TERN_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "column_%04d", i);
        wide[i] = (struct tern_column){names[i], TERN_TEXT(4095), i == 0 ? TERN_KEY : TERN_NULLABLE};
    }
    struct tern_table large = TERN_TABLE("large", TERN_MERGE, wide);
    struct bytes bytes = encode(&large);
    CHECK(bytes.size <= TERN_SCHEMA_MAX);
    CHECK_EQ(tern_schema_check(&large), TERN_OK);
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size), TERN_OK);
    for (int i = 0; i < TERN_COLUMNS_MAX; i++)
        snprintf(names[i], sizeof(names[i]), "column_%08d", i);
    CHECK_EQ(tern_schema_check(&large), TERN_E_SCHEMA);
}

static bool fits(uint16_t type, int64_t number)
{
    const struct tern_column column = {"n", type, 0};
    const struct tern_table of_one = {"t", &column, NULL, 1, TERN_APPEND, 0, 0};
    const struct tern_value row = tern_int(number);
    return tern_row_check(&of_one, TERN_OP_PUT, &row) == TERN_OK;
}

static void integers_fit_from_their_least_to_their_greatest_value(void)
{
    static const struct {
        uint16_t type;
        int64_t least, most;
    } ranges[] = {
        {TERN_BOOL, 0, 1},
        {TERN_U8, 0, UINT8_MAX},
        {TERN_U16, 0, UINT16_MAX},
        {TERN_U32, 0, UINT32_MAX},
        {TERN_I8, INT8_MIN, INT8_MAX},
        {TERN_I16, INT16_MIN, INT16_MAX},
        {TERN_I32, INT32_MIN, INT32_MAX},
        {TERN_I64, INT64_MIN, INT64_MAX},
        {TERN_U64, INT64_MIN, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        CHECK(fits(ranges[i].type, ranges[i].least) && fits(ranges[i].type, ranges[i].most));
        if (ranges[i].most == INT64_MAX)
            continue;
        for (int bit = 0; bit < 62; bit++) {
            CHECK(!fits(ranges[i].type, ranges[i].most + ((int64_t)1 << bit)));
            CHECK(!fits(ranges[i].type, ranges[i].least - ((int64_t)1 << bit)));
        }
        CHECK(!fits(ranges[i].type, INT64_MAX) && !fits(ranges[i].type, INT64_MIN));
    }
}

int main(void)
{
    RUN(a_schema_comes_back);
    RUN(wrong_tables_are_refused);
    RUN(dedup_of_counters_and_snapshots_is_refused);
    RUN(a_cut_or_lengthened_schema_is_refused);
    RUN(any_changed_byte_is_refused_or_another_schema);
    RUN(the_largest_schema_fits_and_no_larger);
    RUN(integers_fit_from_their_least_to_their_greatest_value);
    return test_report();
}
