/* SPDX-License-Identifier: MIT */
#include "value_text.h"

#include <stdbool.h>
#include <string.h>

/* ---- Numbers --------------------------------------------------------------------------------- */

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                            "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

/* Writes the digits in front of `end`, at least `least` of them. Returns where they begin. */
static char *write_digits(char *end, uint64_t number, unsigned least)
{
    const char *last = end - least;
    while (number >= 100) {
        end -= 2;
        memcpy(end, pairs + number % 100 * 2, 2);
        number /= 100;
    }
    if (number >= 10) {
        end -= 2;
        memcpy(end, pairs + number * 2, 2);
    } else if (number != 0) {
        *--end = (char)('0' + number);
    }
    while (end > last)
        *--end = '0';
    return end;
}

static size_t finish_number(char *text, char *begin, const char *end, bool minus)
{
    if (minus)
        *--begin = '-';
    memmove(text, begin, (size_t)(end - begin));
    return (size_t)(end - begin);
}

static const uint64_t powers[] = {1ull,
                                  10ull,
                                  100ull,
                                  1000ull,
                                  10000ull,
                                  100000ull,
                                  1000000ull,
                                  10000000ull,
                                  100000000ull,
                                  1000000000ull,
                                  10000000000ull,
                                  100000000000ull,
                                  1000000000000ull,
                                  10000000000000ull,
                                  100000000000000ull,
                                  1000000000000000ull,
                                  10000000000000000ull,
                                  100000000000000000ull,
                                  1000000000000000000ull};

#define POWERS (sizeof powers / sizeof powers[0])

static size_t write_decimal(char *text, int64_t number, unsigned point)
{
    char room[TERN_SQL_VALUE_ROOM];
    char *end = room + sizeof room, *begin = end;
    uint64_t value = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    if (point != 0 && point < POWERS) {
        begin = write_digits(begin, value % powers[point], point);
        *--begin = '.';
        value /= powers[point];
    }
    begin = write_digits(begin, value, 1);
    return finish_number(text, begin, end, number < 0);
}

size_t tern_sql_write_integer(char text[TERN_SQL_VALUE_ROOM], int64_t number)
{
    return write_decimal(text, number, 0);
}

static size_t write_unsigned(char *text, uint64_t number)
{
    char room[TERN_SQL_VALUE_ROOM];
    char *end = room + sizeof room;
    return finish_number(text, write_digits(end, number, 1), end, false);
}

#define DOUBLE_WHOLE (1ll << 53) /* whole numbers up to there are doubles, as are powers of ten up to 22 */

/* The quotient in 63 bits, the last of them set where there is a rest, so that it is rounded once. */
static double divide(uint64_t number, uint64_t by)
{
    uint64_t quotient = number / by, rest = number % by;
    unsigned shift = 0;
    for (; quotient < 1ull << 62; shift++) {
        rest *= 2;
        quotient = quotient * 2 + (rest >= by);
        rest -= rest >= by ? by : 0;
    }
    return (double)(quotient | (rest != 0)) / (double)(1ull << shift);
}

double tern_sql_double(int64_t number, unsigned digits)
{
    if (digits == 0 || digits >= POWERS)
        return (double)number;
    if (number > -DOUBLE_WHOLE && number < DOUBLE_WHOLE)
        return (double)number / (double)powers[digits];
    return number < 0 ? -divide(0 - (uint64_t)number, powers[digits])
                      : divide((uint64_t)number, powers[digits]);
}

/* ---- Times ----------------------------------------------------------------------------------- */

#define DAY_SECONDS 86400
#define ERA_DAYS    146097 /* 400 years */

struct date {
    int64_t year;
    unsigned month, day;
};

/* The Gregorian date of a day counted from 1970-01-01. Years begin in March here, so that the leap day is a
 * year's last. */
static struct date find_date(int64_t days)
{
    days += 719468; /* from 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
    unsigned of_era = (unsigned)(days - era * ERA_DAYS);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned march = (5 * of_year + 2) / 153;
    struct date date = {era * 400 + year, march < 10 ? march + 3 : march - 9,
                        of_year - (153 * march + 2) / 5 + 1};
    date.year += date.month <= 2;
    return date;
}

static void put_pair(char **at, char before, unsigned number)
{
    *(*at)++ = before;
    memcpy(*at, pairs + number % 100 * 2, 2);
    *at += 2;
}

/* As in 2026-11-21 09:30:00.125; before the year 1 with BC behind it. */
static size_t write_time(char *text, int64_t seconds, unsigned milliseconds, bool has_milliseconds)
{
    int64_t days = seconds / DAY_SECONDS;
    int64_t rest = seconds % DAY_SECONDS;
    if (rest < 0) {
        rest += DAY_SECONDS;
        days--;
    }
    struct date date = find_date(days);
    bool before_christ = date.year <= 0;
    uint64_t year = (uint64_t)(before_christ ? 1 - date.year : date.year);
    char room[24], *end = room + sizeof room, *begin = write_digits(end, year, 4), *at = text;
    memcpy(at, begin, (size_t)(end - begin));
    at += end - begin;
    put_pair(&at, '-', date.month);
    put_pair(&at, '-', date.day);
    put_pair(&at, ' ', (unsigned)(rest / 3600));
    put_pair(&at, ':', (unsigned)(rest / 60 % 60));
    put_pair(&at, ':', (unsigned)(rest % 60));
    if (has_milliseconds) {
        put_pair(&at, '.', milliseconds / 10);
        *at++ = (char)('0' + milliseconds % 10);
    }
    if (before_christ) {
        memcpy(at, " BC", 3);
        at += 3;
    }
    return (size_t)(at - text);
}

static size_t write_milliseconds(char *text, int64_t number)
{
    int64_t seconds = number / 1000;
    int rest = (int)(number % 1000);
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    return write_time(text, seconds, (unsigned)rest, true);
}

size_t tern_sql_write(char text[TERN_SQL_VALUE_ROOM], uint16_t type, int64_t number)
{
    unsigned parameter = TERN_TYPE_PARAMETER(type);
    switch (TERN_TYPE_KIND(type)) {
    case TERN_KIND_UNSIGNED:
        return write_unsigned(text, (uint64_t)number);
    case TERN_KIND_DECIMAL:
    case TERN_KIND_FLOAT:
        return write_decimal(text, number, parameter);
    case TERN_KIND_TIME_S:
        return write_time(text, number, 0, false);
    case TERN_KIND_TIME_MS:
        return write_milliseconds(text, number);
    default:
        return write_decimal(text, number, 0);
    }
}
