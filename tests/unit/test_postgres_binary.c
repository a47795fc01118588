/* SPDX-License-Identifier: MIT */
/* Values in COPY's binary format: which columns have a form, extremes, and doubles as they would be read from
 * text. */
#include "../test.h"

#include <string.h>

#include "../../host/sql/postgres_binary.h"
#include "../../host/sql/postgres_text.h"
#include "../../host/sql/value_text.h"

enum { BOOLEAN = 16, BYTEA = 17, INT8 = 20, INT2 = 21, INT4 = 23, TEXT = 25, FLOAT4 = 700, FLOAT8 = 701 };
enum { BPCHAR = 1042, VARCHAR = 1043, TIMESTAMP = 1114, TIMESTAMPTZ = 1184, NUMERIC = 1700 };

static bool has_form(unsigned database_type, uint16_t type)
{
    return tern_postgres_find_form(database_type, type) != TERN_POSTGRES_NO_FORM;
}

/* `expected` in hexadecimal, without the length in front. */
static bool writes(unsigned database_type, uint16_t type, struct tern_value value, const char *expected)
{
    char field[200], hex[401] = "";
    size_t size =
        tern_postgres_write_binary(field, tern_postgres_find_form(database_type, type), type, &value);
    for (size_t i = 4; i < size && i < sizeof field; i++)
        snprintf(hex + 2 * (i - 4), 3, "%02x", (unsigned)(unsigned char)field[i]);
    unsigned length = (unsigned)(unsigned char)field[2] << 8 | (unsigned char)field[3];
    if (strcmp(hex, expected) != 0)
        printf("    %s, not %s\n", hex, expected);
    return has_form(database_type, type) && size <= tern_postgres_room(&value) && field[0] == 0 &&
           field[1] == 0 && length == size - 4 && strcmp(hex, expected) == 0;
}

static void a_form_takes_every_value_of_its_type(void)
{
    CHECK(has_form(INT8, TERN_I64) && has_form(INT8, TERN_U32) && has_form(INT8, TERN_I8));
    CHECK(has_form(INT4, TERN_I32) && has_form(INT4, TERN_U16) && has_form(INT2, TERN_U8));
    CHECK(has_form(NUMERIC, TERN_U64) && has_form(NUMERIC, TERN_I64) && has_form(NUMERIC, TERN_DECIMAL(2)));
    CHECK(has_form(VARCHAR, TERN_TEXT(9)) && has_form(TEXT, TERN_TEXT(9)) && has_form(BYTEA, TERN_BYTES(9)));
    CHECK(has_form(BOOLEAN, TERN_BOOL) && has_form(FLOAT8, TERN_FLOAT(2)) &&
          has_form(TIMESTAMPTZ, TERN_TIME_MS));
}

static void what_may_not_fit_is_left_to_the_server(void)
{
    CHECK(!has_form(INT8, TERN_U64) && !has_form(INT4, TERN_U32) && !has_form(INT4, TERN_I64));
    CHECK(!has_form(INT2, TERN_U16) && !has_form(INT2, TERN_I32) && !has_form(INT8, TERN_DECIMAL(0)));
    CHECK(!has_form(FLOAT4, TERN_FLOAT(2)) && !has_form(FLOAT8, TERN_DECIMAL(2)) &&
          !has_form(FLOAT8, TERN_I32));
    CHECK(!has_form(NUMERIC, TERN_FLOAT(2)) && !has_form(TIMESTAMP, TERN_TIME_S) &&
          !has_form(INT8, TERN_TIME_S));
    CHECK(!has_form(BPCHAR, TERN_TEXT(9)) && !has_form(TEXT, TERN_BYTES(9)) &&
          !has_form(BYTEA, TERN_TEXT(9)));
    CHECK(!has_form(INT4, TERN_BOOL) && !has_form(BOOLEAN, TERN_I8) && !has_form(0, TERN_I64));
}

static void numbers_have_the_highest_byte_first(void)
{
    CHECK(writes(INT8, TERN_I64, tern_int(INT64_MIN), "8000000000000000"));
    CHECK(writes(INT4, TERN_I32, tern_int(-2), "fffffffe"));
    CHECK(writes(INT2, TERN_U8, tern_int(255), "00ff"));
    CHECK(writes(BOOLEAN, TERN_BOOL, tern_int(1), "01"));
    CHECK(writes(FLOAT8, TERN_FLOAT(2), tern_int(-150), "bff8000000000000"));
    CHECK(writes(TEXT, TERN_TEXT(9), tern_text("a\tb"), "610962"));
    CHECK(writes(BYTEA, TERN_BYTES(9), tern_bytes("", 0), ""));
    struct tern_value null = tern_null();
    char field[4];
    CHECK(tern_postgres_write_binary(field, TERN_POSTGRES_INT8, TERN_I64, &null) == 4);
    CHECK(memcmp(field, "\377\377\377\377", 4) == 0);
}

/* How many groups, the first one's weight, sign, digits behind the point, groups. */
static void decimals_are_groups_of_four_digits(void)
{
    CHECK(writes(NUMERIC, TERN_DECIMAL(2), tern_int(2153),
                 "0002"
                 "0000"
                 "0000"
                 "0002"
                 "0015"
                 "14b4"));
    CHECK(writes(NUMERIC, TERN_DECIMAL(2), tern_int(-5),
                 "0001"
                 "ffff"
                 "4000"
                 "0002"
                 "01f4"));
    CHECK(writes(NUMERIC, TERN_DECIMAL(4), tern_int(12345678),
                 "0002"
                 "0000"
                 "0000"
                 "0004"
                 "04d2"
                 "162e"));
    CHECK(writes(NUMERIC, TERN_DECIMAL(0), tern_int(10000),
                 "0002"
                 "0001"
                 "0000"
                 "0000"
                 "0001"
                 "0000"));
    CHECK(writes(NUMERIC, TERN_U64, tern_int(-1),
                 "0005"
                 "0004"
                 "0000"
                 "0000"
                 "0734"
                 "1a58"
                 "02e1"
                 "03bb"
                 "064f"));
    CHECK(writes(NUMERIC, TERN_DECIMAL(18), tern_int(INT64_MIN),
                 "0006"
                 "0000"
                 "4000"
                 "0012"
                 "0009"
                 "08b9"
                 "1c23"
                 "1ac6"
                 "1e4e"
                 "0320"));
}

static void times_count_from_2000(void)
{
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_S, tern_int(946684800), "0000000000000000"));
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_S, tern_int(946684801), "00000000000f4240"));
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_MS, tern_int(946684799999), "fffffffffffffc18"));
    /* Out of the type's range, and no infinity. */
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_S, tern_int(INT64_MAX), "7ffffffffffffffe"));
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_S, tern_int(INT64_MIN), "8000000000000001"));
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_MS, tern_int(INT64_MAX), "7ffffffffffffffe"));
    CHECK(writes(TIMESTAMPTZ, TERN_TIME_MS, tern_int(INT64_MIN), "8000000000000001"));
}

static bool reads_alike(int64_t number, unsigned digits)
{
    char text[TERN_SQL_VALUE_ROOM + 1] = "";
    text[tern_sql_write(text, (uint16_t)TERN_FLOAT(digits), number)] = '\0';
    double value = tern_sql_double(number, digits), expected = strtod(text, NULL);
    if (memcmp(&value, &expected, sizeof value) != 0)
        printf("    %s is %.17g, not %.17g\n", text, value, expected);
    return memcmp(&value, &expected, sizeof value) == 0;
}

static void doubles_are_those_nearest_to_the_text(void)
{
    uint64_t random = 20261121;
    bool good = reads_alike(INT64_MIN, 15) && reads_alike(INT64_MAX, 15) && reads_alike(INT64_MAX, 0);
    for (unsigned i = 0; i < 400000 && good; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        good = reads_alike((int64_t)(random ^ random >> 29) >> i % 60, i % 16);
    }
    CHECK(good);
}

int main(void)
{
    RUN(a_form_takes_every_value_of_its_type);
    RUN(what_may_not_fit_is_left_to_the_server);
    RUN(numbers_have_the_highest_byte_first);
    RUN(decimals_are_groups_of_four_digits);
    RUN(times_count_from_2000);
    RUN(doubles_are_those_nearest_to_the_text);
    return test_report();
}
