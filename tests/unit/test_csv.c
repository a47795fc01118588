/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/csv.h"
#include "../../core/schema.h"

static const struct tern_column columns[] = {
    {"at", TERN_TIME_S, TERN_KEY},
    {"celsius", TERN_DECIMAL(2), TERN_NULLABLE},
    {"note", TERN_TEXT(16), TERN_NULLABLE},
    {"raw", TERN_BYTES(4), TERN_NULLABLE},
};
static const struct tern_table table = TERN_TABLE("climate", TERN_MERGE, columns);
static const struct tern_table *const tables[] = {&table};

static bool number_is(uint16_t type, int64_t number, const char *text)
{
    char written[TERN_NUMBER_MAX + 1];
    int64_t read = 0;
    memset(written, '#', sizeof(written));
    size_t size = tern_csv_number(written, type, number);
    CHECK(written[size] == '#');
    bool same = size == strlen(text) && memcmp(written, text, size) == 0;
    return same && tern_csv_parse_number(text, size, type, true, &read) == TERN_OK && read == number;
}

static void numbers_are_exact_and_come_back(void)
{
    CHECK(number_is(TERN_BOOL, 1, "1"));
    CHECK(number_is(TERN_I64, 0, "0"));
    CHECK(number_is(TERN_I64, INT64_MIN, "-9223372036854775808"));
    CHECK(number_is(TERN_I64, INT64_MAX, "9223372036854775807"));
    CHECK(number_is(TERN_U64, -1, "18446744073709551615"));
    CHECK(number_is(TERN_I8, -128, "-128"));
    CHECK(number_is(TERN_DECIMAL(2), 2153, "21.53"));
    CHECK(number_is(TERN_DECIMAL(2), -5, "-0.05"));
    CHECK(number_is(TERN_DECIMAL(2), 0, "0.00"));
    CHECK(number_is(TERN_DECIMAL(18), INT64_MIN, "-9.223372036854775808"));
    CHECK(number_is(TERN_DECIMAL(0), 7, "7"));
    CHECK(number_is(TERN_FLOAT(1), -7205, "-720.5"));
    CHECK(number_is(TERN_TIME_MS, 1700000000123, "1700000000123"));
}

static void random_numbers_come_back(void)
{
    uint64_t state = 3;
    char expected[32];
    for (int i = 0; i < 200000; i++) {
        int64_t number = (int64_t)(test_random(&state) >> (test_random(&state) % 64));
        number = test_random(&state) & 1 ? -number : number;
        snprintf(expected, sizeof(expected), "%" PRId64, number);
        if (!CHECK(number_is(TERN_I64, number, expected)))
            return;
        snprintf(expected, sizeof(expected), "%" PRIu64, (uint64_t)number);
        if (!CHECK(number_is(TERN_U64, number, expected)))
            return;
    }
}

static int parse(const char *text, uint16_t type, bool strict, int64_t *number)
{
    return tern_csv_parse_number(text, strlen(text), type, strict, number);
}

static void a_strict_number_has_one_spelling(void)
{
    static const char *const integers[] = {
        "", "-", "+1", "01", "-0", "1.", "1.0", " 1", "1 ", "0x1", "1e3", "--1", "9223372036854775808"};
    static const char *const decimals[] = {
        "1", "1.5", ".50", "1.500", "01.50", "-0.00", "1.5x", "1,50", "99999999999999999999.00"};
    int64_t number;
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
        CHECK_EQ(parse(integers[i], TERN_I64, true, &number), TERN_E_ROW);
    for (size_t i = 0; i < sizeof(decimals) / sizeof(decimals[0]); i++)
        CHECK_EQ(parse(decimals[i], TERN_DECIMAL(2), true, &number), TERN_E_ROW);
    CHECK_EQ(parse("256", TERN_U8, true, &number), TERN_E_ROW);
    CHECK_EQ(parse("-1", TERN_U8, true, &number), TERN_E_ROW);
    CHECK_EQ(parse("-129", TERN_I8, true, &number), TERN_E_ROW);
    CHECK_EQ(parse("128", TERN_I8, true, &number), TERN_E_ROW);
    CHECK_EQ(parse("2", TERN_BOOL, true, &number), TERN_E_ROW);
    CHECK_EQ(parse("18446744073709551616", TERN_U64, true, &number), TERN_E_ROW);
}

static void each_type_takes_its_range_and_no_more(void)
{
    static const struct {
        uint16_t type;
        const char *least, *most, *below, *above;
    } ranges[] = {
        {TERN_BOOL, "0", "1", "-1", "2"},
        {TERN_U8, "0", "255", "-1", "256"},
        {TERN_U16, "0", "65535", "-1", "65536"},
        {TERN_U32, "0", "4294967295", "-1", "4294967296"},
        {TERN_U64, "0", "18446744073709551615", "-1", "18446744073709551616"},
        {TERN_I8, "-128", "127", "-129", "128"},
        {TERN_I16, "-32768", "32767", "-32769", "32768"},
        {TERN_I32, "-2147483648", "2147483647", "-2147483649", "2147483648"},
        {TERN_I64, "-9223372036854775808", "9223372036854775807", "-9223372036854775809",
         "9223372036854775808"},
        {TERN_DECIMAL(1), "-922337203685477580.8", "922337203685477580.7", "-922337203685477580.9",
         "922337203685477580.8"},
        {TERN_FLOAT(0), "-9223372036854775808", "9223372036854775807", "-9223372036854775809",
         "18446744073709551620"},
        {TERN_TIME_S, "-9223372036854775808", "9223372036854775807", "-9223372036854775809",
         "99999999999999999999"},
    };
    int64_t number;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        for (int strict = 0; strict < 2; strict++) {
            CHECK_EQ(parse(ranges[i].least, ranges[i].type, strict, &number), TERN_OK);
            CHECK_EQ(parse(ranges[i].most, ranges[i].type, strict, &number), TERN_OK);
            CHECK_EQ(parse(ranges[i].below, ranges[i].type, strict, &number), TERN_E_ROW);
            CHECK_EQ(parse(ranges[i].above, ranges[i].type, strict, &number), TERN_E_ROW);
        }
}

/* Each wrong at its last byte, or at its first: nothing behind the text may decide. */
static void what_is_no_number_is_refused_whoever_wrote_it(void)
{
    static const char *const wrong[] = {
        "", "-", "+", ".", "-.", "+-1", "1/", "1:", "/1", ":", "1..5", "1.5.", "1.5 ", "..5", "5e"};
    int64_t number;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_EQ(parse(wrong[i], TERN_DECIMAL(3), false, &number), TERN_E_ROW);
        CHECK_EQ(parse(wrong[i], TERN_DECIMAL(3), true, &number), TERN_E_ROW);
    }
    CHECK_EQ(tern_csv_parse_number("12", 1, TERN_I8, true, &number), TERN_OK);
    CHECK_EQ(number, 1);
    CHECK_EQ(parse("-0", TERN_BOOL, false, &number), TERN_OK);
    for (int zeros = 255; zeros < 259; zeros++) { /* however many there are */
        char text[300];
        memset(text, '0', sizeof(text));
        text[zeros] = '\0';
        CHECK_EQ(parse(text, TERN_I8, true, &number), TERN_E_ROW);
        CHECK_EQ(parse(text, TERN_I8, false, &number), TERN_OK);
    }
    CHECK_EQ(parse("5.", TERN_DECIMAL(3), false, &number), TERN_OK);
    CHECK_EQ(number, 5000);
}

static void people_may_write_numbers_their_way(void)
{
    int64_t number = 0;
    CHECK(parse("+7.5", TERN_DECIMAL(2), false, &number) == TERN_OK && number == 750);
    CHECK(parse("007", TERN_I64, false, &number) == TERN_OK && number == 7);
    CHECK(parse(".5", TERN_DECIMAL(2), false, &number) == TERN_OK && number == 50);
    CHECK(parse("-3", TERN_DECIMAL(2), false, &number) == TERN_OK && number == -300);
    CHECK(parse("-0.0", TERN_DECIMAL(2), false, &number) == TERN_OK && number == 0);
    CHECK_EQ(parse(".", TERN_DECIMAL(2), false, &number), TERN_E_ROW);
    CHECK_EQ(parse("1.234", TERN_DECIMAL(2), false, &number), TERN_E_ROW);
    CHECK_EQ(parse("1.0", TERN_I64, false, &number), TERN_E_ROW);
    CHECK_EQ(parse("", TERN_I64, false, &number), TERN_E_ROW);
}

static void a_record_is_one_line_of_rfc_4180(void)
{
    static const char expected[] = "+0,1423072260,-0.05,\"say \"\"hi\"\",\n\",00ff\n";
    struct tern_value row[] = {tern_int(1423072260), tern_int(-5), tern_text("say \"hi\",\n"),
                               tern_bytes("\0\xFF", 2)};
    uint8_t line[64];
    size_t size = tern_csv_record(line, sizeof(line), &table, 0, TERN_OP_PUT, row);
    CHECK_EQ(size, sizeof(expected) - 1);
    CHECK(memcmp(line, expected, size) == 0);
    for (size_t room = 0; room < size; room++)
        CHECK_EQ(tern_csv_record(line, room, &table, 0, TERN_OP_PUT, row), 0);
}

static void null_and_empty_stay_different(void)
{
    struct tern_value row[] = {tern_int(1), tern_null(), tern_text(""), tern_null()};
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    uint8_t line[64], scratch[64];
    size_t size = tern_csv_record(line, sizeof(line), &table, 0, TERN_OP_PUT, row);
    CHECK(size == 10 && memcmp(line, "+0,1,,\"\",\n", 10) == 0);
    struct tern_input input = {line, size, false};
    CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_OK);
    CHECK(read[1].is_null && !read[2].is_null && read[2].size == 0 && read[3].is_null && input.size == 0);
}

static void deletes_and_snapshot_marks_have_their_lines(void)
{
    struct tern_value key[] = {tern_int(9)};
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    uint8_t line[64], scratch[64];
    size_t size = tern_csv_record(line, sizeof(line), &table, 0, TERN_OP_DELETE, key);
    size += tern_csv_record(line + size, sizeof(line) - size, &table, 0, TERN_OP_SNAPSHOT_BEGIN, NULL);
    size += tern_csv_record(line + size, sizeof(line) - size, &table, 0, TERN_OP_SNAPSHOT_END, NULL);
    CHECK(size == 11 && memcmp(line, "-0,9\n[0\n]0\n", 11) == 0);
    struct tern_input input = {line, size, false};
    CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_OK);
    CHECK(record.op == TERN_OP_DELETE && record.values == 1 && read[0].number == 9);
    CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_OK);
    CHECK_EQ(record.op, TERN_OP_SNAPSHOT_BEGIN);
    CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_OK);
    CHECK_EQ(record.op, TERN_OP_SNAPSHOT_END);
}

static int read_line(const char *text)
{
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    uint8_t scratch[128];
    struct tern_input input = {(const uint8_t *)text, strlen(text), false};
    return tern_csv_read(&input, tables, 1, &record, read, scratch);
}

static void lines_of_another_form_are_refused(void)
{
    static const char *const wrong[] = {
        "",
        "+0",
        "\n",
        "+0\n",
        "+1,1,,,\n",
        "*0,1,,,\n",
        "+0,1,,\n",
        "+0,1,,,,\n",
        "+0,1,,,",
        "+0,\"1\",,,\n",
        "+0,1,,\"a\",\n",
        "+0,1,,a\"b,\n",
        "+0,1,,\"a\"b,\n",
        "+0,1,,\"unclosed,",
        "+0,1,,,\"00\"\n",
        "+0,1,,,0\n",
        "+0,1,,,0G\n",
        "+0,1,,,0A\n",
        "+00,1,,,\n",
        "+\"0\",1,,,\n",
        "]0,1\n",
        "\"+0\",1,,,\n",
        "+0,1,,a\rb,\n",
        "+0,1\"2,,,\n",
        "+0,1,,\"a,\"b\n",
        "*0\n",
        "[0",
        "+0,1\n,,\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (!CHECK_EQ(read_line(wrong[i]), TERN_E_CORRUPT))
            printf("    line %zu\n", i);
    CHECK_EQ(read_line("+0,,,,\n"), TERN_E_ROW);
    CHECK_EQ(read_line("+0,1,1.5,,\n"), TERN_E_ROW);
    CHECK_EQ(read_line("+0,1,,12345678901234567,\n"), TERN_E_ROW);
    CHECK_EQ(read_line("+0,1,,,0011223344\n"), TERN_E_ROW);
    CHECK_EQ(read_line("+0,1,1.50,1234567890123456,00112233\n"), TERN_OK);
}

static void hex_has_one_spelling(void)
{
    static const char *const wrong[] = {"/0", "0/", ":0", "0:", "`0", "0`",
                                        "g0", "0g", "@0", "A0", " 0", "000"};
    static const char *const right[] = {"00", "99", "aa", "ff", "0f", "f0"};
    char line[16];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line), "+0,1,,,%s\n", wrong[i]);
        CHECK_EQ(read_line(line), TERN_E_CORRUPT);
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        snprintf(line, sizeof(line), "+0,1,,,%s\n", right[i]);
        CHECK_EQ(read_line(line), TERN_OK);
    }
    CHECK_EQ(read_line("+0,1,,,\"\"\n"), TERN_OK);
}

/* A quoted field that ends where the input does, and one whose last quote is the input's last byte. */
static void a_line_ends_inside_the_input(void)
{
    static const char line[] = "+0,1,,\"a\"\"b,\",00\n";
    for (size_t cut = 0; cut < sizeof(line) - 1; cut++) {
        struct tern_value read[TERN_COLUMNS_MAX];
        struct tern_csv_record record;
        uint8_t scratch[sizeof(line)];
        uint8_t *copy = malloc(cut != 0 ? cut : 1); /* so that a sanitizer sees what is read behind it */
        memcpy(copy, line, cut);
        struct tern_input input = {copy, cut, false};
        CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_E_CORRUPT);
        free(copy);
    }
    CHECK_EQ(read_line(line), TERN_OK);
}

static void a_number_ends_where_its_field_does(void)
{
    static const char *const whole = "+0,1,1.50,,\n";
    static const struct tern_column times[] = {{"at", TERN_TIME_MS, TERN_KEY}};
    static const struct tern_table timed = TERN_TABLE("timed", TERN_MERGE, times);
    static const struct tern_table *const only[] = {&timed};
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    uint8_t scratch[64];
    memset(read, 0xA5, sizeof(read)); /* as from the record before */
    struct tern_input input = {(const uint8_t *)whole, strlen(whole), false};
    CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_OK);
    CHECK(!read[1].is_null && read[1].number == 150 && read[2].is_null);
    input = (struct tern_input){(const uint8_t *)"+0,1700000000123\n", 17, false};
    CHECK_EQ(tern_csv_read(&input, only, 1, &record, read, scratch), TERN_OK);
    CHECK(read[0].number == 1700000000123 && !read[0].is_null);
}

/* In the line, where no quote was doubled: it is not copied. */
static void a_text_stays_where_it_is(void)
{
    static const uint8_t line[] = "+0,1,,\"a,b\",\n";
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    uint8_t scratch[64];
    struct tern_input input = {line, sizeof(line) - 1, false};
    CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_OK);
    CHECK(read[2].data == line + 7 && read[2].size == 3);
}

/* A text beyond what a chunk can hold has no place in a value's 16 bits. */
static void a_field_longer_than_any_chunk_is_no_value(void)
{
    static char line[2 * TERN_CHUNK_MAX + 70000];
    static uint8_t scratch[sizeof(line)];
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    for (unsigned column = 0; column < 2; column++)
        for (size_t size = 65536; size <= 65538; size += 2) {
            size_t at = (size_t)snprintf(line, sizeof(line), "+0,1,,%s", column == 0 ? "" : ",");
            memset(line + at, '0', size);
            strcpy(line + at + size, column == 0 ? ",\n" : "\n");
            struct tern_input input = {(const uint8_t *)line, strlen(line), false};
            CHECK_EQ(tern_csv_read(&input, tables, 1, &record, read, scratch), TERN_E_ROW);
        }
}

static const struct tern_column two_columns[] = {{"a", TERN_TEXT(8), 0}, {"b", TERN_I32, 0}};
static const struct tern_table two = TERN_TABLE("two", TERN_APPEND, two_columns);

static void a_line_names_one_of_the_tables(void)
{
    static const struct tern_table *const both[] = {&table, &two};
    struct tern_value read[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    uint8_t scratch[64];
    struct tern_input input = {(const uint8_t *)"+1,x,5\n+2,x,5\n", 14, false};
    CHECK_EQ(tern_csv_read(&input, both, 2, &record, read, scratch), TERN_OK);
    CHECK(record.op == TERN_OP_PUT && record.index == 1 && record.values == 2 && read[1].number == 5);
    CHECK_EQ(tern_csv_read(&input, both, 2, &record, read, scratch), TERN_E_CORRUPT);
    struct tern_input below = {(const uint8_t *)"+/,x,5\n", 7, false};
    CHECK_EQ(tern_csv_read(&below, both, 2, &record, read, scratch), TERN_E_CORRUPT);
}

/* Each quoted character by itself, first, in the middle and last. */
static void what_needs_quotes_gets_them(void)
{
    static const char *const texts[] = {",", "\"", "\r", "\n", ",a", "a\"a", "a\r", "a\n"};
    static const char *const lines[] = {"+0,\",\",1\n",   "+0,\"\"\"\",1\n", "+0,\"\r\",1\n",
                                        "+0,\"\n\",1\n",  "+0,\",a\",1\n",   "+0,\"a\"\"a\",1\n",
                                        "+0,\"a\r\",1\n", "+0,\"a\n\",1\n"};
    uint8_t line[32];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct tern_value row[] = {tern_text(texts[i]), tern_int(1)};
        size_t size = tern_csv_record(line, sizeof(line), &two, 0, TERN_OP_PUT, row);
        CHECK(size == strlen(lines[i]) && memcmp(line, lines[i], size) == 0);
    }
}

static void random_rows_come_back_byte_for_byte(void)
{
    static const char alphabet[] = "ab,\"\n\r\\\0N.";
    uint64_t state = 11;
    for (int i = 0; i < 100000; i++) {
        char note[16];
        uint8_t raw[4], line[256], scratch[256];
        struct tern_value read[TERN_COLUMNS_MAX];
        struct tern_csv_record record;
        size_t note_size = test_random(&state) % 17;
        size_t raw_size = test_random(&state) % 5;
        for (size_t k = 0; k < note_size; k++)
            note[k] = alphabet[test_random(&state) % (sizeof(alphabet) - 1)];
        for (size_t k = 0; k < raw_size; k++)
            raw[k] = (uint8_t)test_random(&state);
        struct tern_value row[] = {tern_int((int64_t)test_random(&state)),
                                   tern_int((int64_t)test_random(&state)), tern_bytes(note, note_size),
                                   tern_bytes(raw, raw_size)};
        size_t size = tern_csv_record(line, sizeof(line), &table, 0, TERN_OP_PUT, row);
        struct tern_input input = {line, size, false};
        bool good = size != 0 && tern_csv_read(&input, tables, 1, &record, read, scratch) == TERN_OK &&
                    input.size == 0 && read[0].number == row[0].number && read[1].number == row[1].number &&
                    read[2].size == note_size && memcmp(read[2].data, note, note_size) == 0 &&
                    !read[2].is_null && !read[3].is_null && read[3].size == raw_size &&
                    memcmp(read[3].data, raw, raw_size) == 0;
        if (!CHECK(good))
            return;
    }
}

static void rows_are_checked_against_their_columns(void)
{
    struct tern_value good[] = {tern_int(1), tern_null(), tern_null(), tern_null()};
    struct tern_value row[4];
    CHECK_EQ(tern_row_check(&table, TERN_OP_PUT, good), TERN_OK);
    memcpy(row, good, sizeof(row));
    row[0] = tern_null();
    CHECK_EQ(tern_row_check(&table, TERN_OP_PUT, row), TERN_E_ROW);
    CHECK_EQ(tern_row_check(&table, TERN_OP_DELETE, row), TERN_E_ROW);
    memcpy(row, good, sizeof(row));
    row[2] = tern_text("seventeen bytes!!");
    CHECK_EQ(tern_row_check(&table, TERN_OP_PUT, row), TERN_E_ROW);
    row[2] = tern_bytes(NULL, 1);
    CHECK_EQ(tern_row_check(&table, TERN_OP_PUT, row), TERN_E_ROW);
    CHECK_EQ(tern_row_check(&table, TERN_OP_SNAPSHOT_END, NULL), TERN_OK);
}

int main(void)
{
    RUN(numbers_are_exact_and_come_back);
    RUN(random_numbers_come_back);
    RUN(a_strict_number_has_one_spelling);
    RUN(each_type_takes_its_range_and_no_more);
    RUN(what_is_no_number_is_refused_whoever_wrote_it);
    RUN(people_may_write_numbers_their_way);
    RUN(a_record_is_one_line_of_rfc_4180);
    RUN(null_and_empty_stay_different);
    RUN(deletes_and_snapshot_marks_have_their_lines);
    RUN(lines_of_another_form_are_refused);
    RUN(hex_has_one_spelling);
    RUN(a_line_ends_inside_the_input);
    RUN(a_number_ends_where_its_field_does);
    RUN(a_text_stays_where_it_is);
    RUN(a_field_longer_than_any_chunk_is_no_value);
    RUN(a_line_names_one_of_the_tables);
    RUN(what_needs_quotes_gets_them);
    RUN(random_rows_come_back_byte_for_byte);
    RUN(rows_are_checked_against_their_columns);
    return test_report();
}
