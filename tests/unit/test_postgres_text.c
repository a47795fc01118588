/* SPDX-License-Identifier: MIT */
/* Values as PostgreSQL reads them: extremes, times, and what COPY would take for its own syntax. */
#include "../test.h"

#include <string.h>
#include <time.h>

#include "../../host/sql/postgres_text.h"
#include "../../host/sql/value_text.h"

static bool writes(uint16_t type, int64_t number, const char *expected)
{
    char text[TERN_SQL_VALUE_ROOM + 1] = "";
    size_t size = tern_postgres_write(text, type, number);
    text[size] = '\0';
    if (strcmp(text, expected) != 0)
        printf("    %s, not %s\n", text, expected);
    return strcmp(text, expected) == 0;
}

static bool escapes(struct tern_value value, uint16_t type, const char *expected)
{
    char text[200] = "";
    size_t size = tern_postgres_write_field(text, type, &value);
    return size == strlen(expected) && memcmp(text, expected, size) == 0 && size < tern_postgres_room(&value);
}

static void numbers_keep_every_digit(void)
{
    CHECK(writes(TERN_I64, 0, "0"));
    CHECK(writes(TERN_I64, INT64_MIN, "-9223372036854775808"));
    CHECK(writes(TERN_I64, INT64_MAX, "9223372036854775807"));
    CHECK(writes(TERN_U64, -1, "18446744073709551615"));
    CHECK(writes(TERN_U8, 255, "255"));
    CHECK(writes(TERN_BOOL, 1, "t"));
    CHECK(writes(TERN_BOOL, 0, "f"));
    CHECK(writes(TERN_DECIMAL(2), 2153, "21.53"));
    CHECK(writes(TERN_DECIMAL(2), -5, "-0.05"));
    CHECK(writes(TERN_DECIMAL(2), 100, "1.00"));
    CHECK(writes(TERN_DECIMAL(0), -7, "-7"));
    CHECK(writes(TERN_DECIMAL(18), INT64_MIN, "-9.223372036854775808"));
    CHECK(writes(TERN_DECIMAL(18), 1, "0.000000000000000001"));
    CHECK(writes(TERN_FLOAT(3), -1500, "-1.500"));
}

static void times_are_dates_in_utc(void)
{
    CHECK(writes(TERN_TIME_S, 0, "1970-01-01 00:00:00+00"));
    CHECK(writes(TERN_TIME_S, -1, "1969-12-31 23:59:59+00"));
    CHECK(writes(TERN_TIME_MS, 1795253400125, "2026-11-21 09:30:00.125+00"));
    CHECK(writes(TERN_TIME_MS, -1, "1969-12-31 23:59:59.999+00"));
    CHECK(writes(TERN_TIME_S, 951782400, "2000-02-29 00:00:00+00"));
    CHECK(writes(TERN_TIME_S, 4107542399, "2100-02-28 23:59:59+00"));
    CHECK(writes(TERN_TIME_S, -62135596800, "0001-01-01 00:00:00+00"));
    CHECK(writes(TERN_TIME_S, -62135596801, "0001-12-31 23:59:59+00 BC"));
    CHECK(writes(TERN_TIME_S, 253402300800, "10000-01-01 00:00:00+00"));
    CHECK(writes(TERN_TIME_S, INT64_MAX, "292277026596-12-04 15:30:07+00"));
    CHECK(writes(TERN_TIME_S, INT64_MIN, "292277022658-01-27 08:29:52+00 BC"));
    CHECK(writes(TERN_TIME_MS, INT64_MIN, "292275056-05-16 16:47:04.192+00 BC"));
}

/* What the other databases read. */
static void a_time_names_no_zone_where_none_is_wanted(void)
{
    char text[TERN_SQL_VALUE_ROOM + 1];
    text[tern_sql_write(text, TERN_TIME_MS, 1795253400125)] = '\0';
    CHECK(strcmp(text, "2026-11-21 09:30:00.125") == 0);
    text[tern_sql_write(text, TERN_TIME_S, -62135596801)] = '\0';
    CHECK(strcmp(text, "0001-12-31 23:59:59 BC") == 0);
    text[tern_sql_write(text, TERN_BOOL, 1)] = '\0';
    CHECK(strcmp(text, "1") == 0);
    CHECK_EQ(tern_sql_write_integer(text, INT64_MIN), 20);
}

/* Against the C library's calendar, from the year 1 to 9999. */
static void days_agree_with_the_system(void)
{
    uint64_t seed = 7;
    for (unsigned i = 0; i < 20000; i++) {
        time_t second = (time_t)((int64_t)(test_random(&seed) % 315537897600u) - 62135596800);
        struct tm parts;
        char expected[64], text[TERN_SQL_VALUE_ROOM + 1];
        gmtime_r(&second, &parts);
        snprintf(expected, sizeof expected, "%04d-%02d-%02d %02d:%02d:%02d+00", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        text[tern_postgres_write(text, TERN_TIME_S, second)] = '\0';
        if (!CHECK(strcmp(text, expected) == 0))
            break;
    }
}

static void copy_takes_no_text_for_its_syntax(void)
{
    CHECK(escapes(tern_null(), TERN_TEXT(9), "\\N"));
    CHECK(escapes(tern_text(""), TERN_TEXT(9), ""));
    CHECK(escapes(tern_text("\\N"), TERN_TEXT(9), "\\\\N"));
    CHECK(escapes(tern_text("\\."), TERN_TEXT(9), "\\\\."));
    CHECK(escapes(tern_text("a\tb\nc\rd"), TERN_TEXT(9), "a\\tb\\nc\\rd"));
    CHECK(
        escapes(tern_text("\"it's\", \xc3\xa9]^_`{}~\x7f"), TERN_TEXT(99), "\"it's\", \xc3\xa9]^_`{}~\x7f"));
    CHECK(escapes(tern_bytes("\0\xff\\", 3), TERN_BYTES(9), "\\\\x00ff5c"));
    CHECK(escapes(tern_bytes("", 0), TERN_BYTES(9), "\\\\x"));
}

static bool reads(const char *text, const char *bytes, size_t size)
{
    uint8_t found[64];
    return tern_postgres_read_bytes(found, text, strlen(text)) == size && memcmp(found, bytes, size) == 0;
}

static void bytes_are_read_back_and_anything_else_stays_as_it_is(void)
{
    static const char *const others[] = {"\\",    "\\x0",  "x00",    "\\x0g", "\\xg0",
                                         "\\xA0", "\\y00", "\\x00 ", "text"};
    CHECK(reads("\\x", "", 0));
    CHECK(reads("\\x00ff5c", "\0\xff\\", 3));
    CHECK(reads("\\x0123456789abcdef", "\x01\x23\x45\x67\x89\xab\xcd\xef", 8));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(reads(others[i], others[i], strlen(others[i])));
    CHECK(reads("", "", 0));
}

static void the_line_of_an_error_is_that_of_the_copy(void)
{
    CHECK_EQ(tern_postgres_line("COPY climate, line 5, column celsius: \"x\""), 5);
    CHECK_EQ(tern_postgres_line("PL/pgSQL function f(), line 9 at RAISE\nCOPY climate, line 17"), 17);
    CHECK_EQ(tern_postgres_line("PL/pgSQL function f(), line 9 at RAISE"), 0);
    CHECK_EQ(tern_postgres_line("COPY climate"), 0);
    CHECK_EQ(tern_postgres_line(""), 0);
}

int main(void)
{
    RUN(numbers_keep_every_digit);
    RUN(times_are_dates_in_utc);
    RUN(a_time_names_no_zone_where_none_is_wanted);
    RUN(days_agree_with_the_system);
    RUN(copy_takes_no_text_for_its_syntax);
    RUN(bytes_are_read_back_and_anything_else_stays_as_it_is);
    RUN(the_line_of_an_error_is_that_of_the_copy);
    return test_report();
}
