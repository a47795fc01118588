/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/crc32c.h"
#include "../../core/schema.h"
#include "../../core/tern.h"

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

static void collect(void *context, const void *data, size_t size)
{
    struct bytes *bytes = context;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
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
    memset(&decoded, 0xA5, sizeof(decoded));
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size), TERN_OK);
    CHECK(decoded.table.codec == NULL && decoded.table.lane == 0); /* which a schema does not say */
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

static int check_name(const char *name)
{
    const struct tern_column column = {name, TERN_I32, TERN_KEY};
    const struct tern_column plain = {"a", TERN_I32, TERN_KEY};
    const struct tern_table named = {name, &plain, &tern_csv, 1, TERN_MERGE, 0, 0};
    int status = check_columns(&column, 1, TERN_MERGE);
    CHECK(strcmp(name, "device") == 0 || tern_schema_check(&named) == status);
    return status;
}

/* What stands before and behind each range of the letters that are allowed, at the beginning and inside. */
static void a_name_keeps_to_its_alphabet_and_length(void)
{
    static const char *const good[] = {"a",
                                       "z",
                                       "aa",
                                       "az",
                                       "a0",
                                       "a9",
                                       "a_",
                                       "tern",
                                       "tern1",
                                       "ternx",
                                       "devices",
                                       "devic",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const bad[] = {"`",
                                      "{",
                                      "0",
                                      "a`",
                                      "a{",
                                      "a/",
                                      "a:",
                                      "aA",
                                      "a ",
                                      "tern_",
                                      "tern_a",
                                      "device",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK_EQ(check_name(good[i]), TERN_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(check_name(bad[i]), TERN_E_SCHEMA);
    CHECK_EQ(strlen(good[12]), TERN_NAME_MAX);
}

static void each_type_takes_its_parameters_and_no_other(void)
{
    static const uint16_t most[] = {0, 64, 64, 18, 15, 0, 0, 4095, 4095};
    static const uint16_t least[] = {0, 8, 8, 0, 0, 0, 0, 1, 1};
    for (unsigned kind = 0; kind < 16; kind++)
        for (unsigned parameter = 0; parameter < 4096; parameter++) {
            struct tern_column typed = {"a", (uint16_t)(kind << 12 | parameter), TERN_KEY};
            bool is_power = (parameter & (parameter - 1)) == 0;
            bool integer = kind == 1 || kind == 2;
            bool good =
                kind < 9 && parameter >= least[kind] && parameter <= most[kind] && (!integer || is_power);
            if (!CHECK_EQ(check_columns(&typed, 1, TERN_MERGE), good ? TERN_OK : TERN_E_SCHEMA))
                return;
        }
}

static void flags_and_modes_go_together(void)
{
    struct tern_column one[] = {{"a", TERN_I32, TERN_KEY}, {"b", TERN_I32, 0}};
    for (unsigned flags = 0; flags < 256; flags++) {
        one[1].flags = (uint8_t)flags;
        bool rule = flags >> 2 <= TERN_ADD >> 2;
        bool key = (flags & TERN_KEY) == 0 || flags == TERN_KEY;
        CHECK_EQ(check_columns(one, 2, TERN_MERGE), rule && key ? TERN_OK : TERN_E_SCHEMA);
    }
    one[1].flags = 0;
    CHECK_EQ(check_columns(one, 2, TERN_APPEND), TERN_E_SCHEMA);
    CHECK_EQ(check_columns(one, 2, TERN_OVERWRITE), TERN_OK);
    CHECK_EQ(check_columns(one + 1, 1, TERN_OVERWRITE), TERN_OK);
    struct tern_table flagged = {"t", one, &tern_csv, 2, TERN_MERGE, TERN_DEDUP + 1, 0};
    CHECK_EQ(tern_schema_check(&flagged), TERN_E_SCHEMA);
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

/* Short names, so that nothing but their number is wrong. */
static void a_table_has_64_columns_at_most(void)
{
    static char names[TERN_COLUMNS_MAX + 1][16];
    static struct tern_column many[TERN_COLUMNS_MAX + 1];
    static struct tern_schema decoded;
    for (int i = 0; i <= TERN_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        many[i] = (struct tern_column){names[i], TERN_I32, i == 0 ? TERN_KEY : 0};
    }
    CHECK_EQ(check_columns(many, TERN_COLUMNS_MAX, TERN_MERGE), TERN_OK);
    CHECK_EQ(check_columns(many, TERN_COLUMNS_MAX + 1, TERN_MERGE), TERN_E_SCHEMA);
    for (int more = 0; more < 2; more++) {
        struct tern_table wide = {"t", many, NULL, (uint8_t)(TERN_COLUMNS_MAX + more), TERN_MERGE, 0, 0};
        struct bytes bytes = encode(&wide);
        CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size), more ? TERN_E_SCHEMA : TERN_OK);
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
    /* To the last byte. */
    for (int i = 0; i < TERN_COLUMNS_MAX; i++)
        snprintf(names[i], sizeof(names[i]), "column_%04d", i);
    for (int i = 0; tern_schema_size(&large) < TERN_SCHEMA_MAX; i = (i + 1) % TERN_COLUMNS_MAX)
        strcat(names[i], "x");
    bytes = encode(&large);
    CHECK_EQ(bytes.size, TERN_SCHEMA_MAX);
    CHECK_EQ(tern_schema_check(&large), TERN_OK);
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size), TERN_OK);
    strcat(names[0], "x");
    bytes = encode(&large);
    CHECK_EQ(bytes.size, TERN_SCHEMA_MAX + 1);
    CHECK_EQ(tern_schema_check(&large), TERN_E_SCHEMA);
    CHECK_EQ(tern_schema_decode(&decoded, bytes.data, bytes.size), TERN_E_SCHEMA);
}

/* A name longer than any, with its bytes all there, and one with a NUL inside. */
static void a_name_that_no_table_can_have_is_refused(void)
{
    static struct tern_schema decoded;
    uint8_t bytes[200] = {1, TERN_APPEND, 0, 64};
    size_t end = 4 + 64;
    memset(bytes + 4, 'a', 64);
    memcpy(bytes + end, "\1\x20\x20\0\1b", 6);
    CHECK_EQ(tern_schema_decode(&decoded, bytes, end + 6), TERN_E_SCHEMA);
    bytes[3] = 63;
    memcpy(bytes + 4 + 63, "\1\x20\x20\0\1b", 6);
    CHECK_EQ(tern_schema_decode(&decoded, bytes, end + 5), TERN_OK);
    bytes[4 + 62] = '\0';
    CHECK_EQ(tern_schema_decode(&decoded, bytes, end + 5), TERN_E_SCHEMA);
    bytes[4 + 62] = 'a';
    bytes[4 + 63] = 0;
    CHECK_EQ(tern_schema_decode(&decoded, bytes, end), TERN_E_SCHEMA);
    bytes[4 + 63] = TERN_COLUMNS_MAX + 1;
    CHECK_EQ(tern_schema_decode(&decoded, bytes, sizeof(bytes)), TERN_E_SCHEMA);
    bytes[0] = 2;
    bytes[4 + 63] = 1;
    CHECK_EQ(tern_schema_decode(&decoded, bytes, end + 5), TERN_E_SCHEMA);
}

static void a_text_fits_its_column_by_its_length(void)
{
    static const struct tern_column column = {"n", TERN_TEXT(3), 0};
    static const struct tern_column may_lack = {"n", TERN_BYTES(3), TERN_NULLABLE};
    static const struct tern_table one = {"t", &column, NULL, 1, TERN_APPEND, 0, 0};
    static const struct tern_table lacking = {"t", &may_lack, NULL, 1, TERN_APPEND, 0, 0};
    struct tern_value none = {0, NULL, 0, 0};
    struct tern_value null = tern_null(), three = tern_bytes("abc", 3), four = tern_bytes("abcd", 4);
    static const uint8_t large[0x10003] = {0};
    struct tern_value round = tern_bytes(large, 0x10003), most = tern_bytes(large, 0xFFFF);
    CHECK_EQ(tern_row_check(&one, TERN_OP_PUT, &none), TERN_OK);
    CHECK_EQ(tern_row_check(&one, TERN_OP_PUT, &null), TERN_E_ROW);
    CHECK_EQ(tern_row_check(&lacking, TERN_OP_PUT, &null), TERN_OK);
    CHECK_EQ(tern_row_check(&one, TERN_OP_PUT, &three), TERN_OK);
    CHECK_EQ(tern_row_check(&one, TERN_OP_PUT, &four), TERN_E_ROW);
    CHECK_EQ(tern_row_check(&one, TERN_OP_PUT, &round), TERN_E_ROW); /* its length does not come round to 3 */
    CHECK_EQ(round.size, 0xFFFF);
    CHECK_EQ(most.size, 0xFFFF);
    three.data = NULL;
    CHECK_EQ(tern_row_check(&one, TERN_OP_PUT, &three), TERN_E_ROW);
    null = tern_text(NULL);
    CHECK(null.is_null == 1 && tern_text("ab").size == 2);
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
    RUN(a_name_keeps_to_its_alphabet_and_length);
    RUN(each_type_takes_its_parameters_and_no_other);
    RUN(flags_and_modes_go_together);
    RUN(dedup_of_counters_and_snapshots_is_refused);
    RUN(a_cut_or_lengthened_schema_is_refused);
    RUN(any_changed_byte_is_refused_or_another_schema);
    RUN(a_table_has_64_columns_at_most);
    RUN(the_largest_schema_fits_and_no_larger);
    RUN(a_name_that_no_table_can_have_is_refused);
    RUN(a_text_fits_its_column_by_its_length);
    RUN(integers_fit_from_their_least_to_their_greatest_value);
    return test_report();
}
