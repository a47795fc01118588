/* SPDX-License-Identifier: MIT */
#include "postgres_binary.h"

#include <string.h>

#include "value_text.h"

/* Object ids of types, which never change. */
enum {
    DATABASE_BOOL = 16,
    DATABASE_BYTEA = 17,
    DATABASE_INT8 = 20,
    DATABASE_INT2 = 21,
    DATABASE_INT4 = 23,
    DATABASE_TEXT = 25,
    DATABASE_FLOAT8 = 701,
    DATABASE_VARCHAR = 1043,
    DATABASE_TIMESTAMPTZ = 1184,
    DATABASE_NUMERIC = 1700
};

/* ---- Forms ----------------------------------------------------------------------------------- */

/* `bits` that a value needs, its sign included. */
static enum tern_postgres_form find_integer(unsigned database_type, unsigned bits)
{
    if (database_type == DATABASE_NUMERIC)
        return TERN_POSTGRES_NUMERIC;
    if (database_type == DATABASE_INT8 && bits <= 64)
        return TERN_POSTGRES_INT8;
    if (database_type == DATABASE_INT4 && bits <= 32)
        return TERN_POSTGRES_INT4;
    return database_type == DATABASE_INT2 && bits <= 16 ? TERN_POSTGRES_INT2 : TERN_POSTGRES_NO_FORM;
}

static enum tern_postgres_form only(bool fits, enum tern_postgres_form form)
{
    return fits ? form : TERN_POSTGRES_NO_FORM;
}

enum tern_postgres_form tern_postgres_find_form(unsigned database_type, uint16_t type)
{
    unsigned parameter = TERN_TYPE_PARAMETER(type);
    switch (TERN_TYPE_KIND(type)) {
    case TERN_KIND_BOOL:
        return only(database_type == DATABASE_BOOL, TERN_POSTGRES_BOOL);
    case TERN_KIND_SIGNED:
        return find_integer(database_type, parameter);
    case TERN_KIND_UNSIGNED:
        return find_integer(database_type, parameter + 1);
    case TERN_KIND_DECIMAL:
        return only(database_type == DATABASE_NUMERIC, TERN_POSTGRES_NUMERIC);
    case TERN_KIND_FLOAT:
        return only(database_type == DATABASE_FLOAT8, TERN_POSTGRES_FLOAT8);
    case TERN_KIND_TIME_S:
    case TERN_KIND_TIME_MS:
        return only(database_type == DATABASE_TIMESTAMPTZ, TERN_POSTGRES_TIME);
    case TERN_KIND_TEXT:
        return only(database_type == DATABASE_TEXT || database_type == DATABASE_VARCHAR, TERN_POSTGRES_BYTES);
    case TERN_KIND_BYTES:
        return only(database_type == DATABASE_BYTEA, TERN_POSTGRES_BYTES);
    default:
        return TERN_POSTGRES_NO_FORM;
    }
}

/* ---- Fields ---------------------------------------------------------------------------------- */

/* The lowest `size` bytes, the highest of them first. */
static char *put(char *out, uint64_t number, size_t size)
{
    for (size_t i = size; i-- > 0; number >>= 8)
        out[i] = (char)(number & 255);
    return out + size;
}

static char *put_integer(char *out, int64_t number, size_t size)
{
    out = put(out, size, 4);
    return put(out, (uint64_t)number, size);
}

static char *put_double(char *out, int64_t number, unsigned digits)
{
    double value = tern_sql_double(number, digits);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    out = put(out, sizeof bits, 4);
    return put(out, bits, sizeof bits);
}

/* Microseconds since 2000. What they cannot count is out of the type's range, and neither of its
 * infinities. */
static int64_t microseconds(int64_t number, int64_t per_second)
{
    int64_t begin = 946684800 * per_second, factor = 1000000 / per_second;
    if (number < INT64_MIN / factor + begin)
        return INT64_MIN + 1;
    if (number - begin > INT64_MAX / factor)
        return INT64_MAX - 1;
    return (number - begin) * factor;
}

/* Groups of four decimal digits, on both sides of the point: how many, how many before the point less one,
 * sign, digits behind the point. */
static char *put_numeric(char *out, uint64_t number, bool minus, unsigned digits)
{
    static const unsigned tens[] = {1, 10, 100, 1000};
    uint16_t groups[12];
    unsigned at = sizeof groups / sizeof groups[0], count, behind = (digits + 3) / 4, some = digits % 4;
    for (unsigned i = 0; i < behind; i++) {
        bool is_part = i == 0 && some != 0;
        unsigned size = is_part ? tens[some] : 10000;
        groups[--at] = (uint16_t)(number % size * (is_part ? tens[4 - some] : 1));
        number /= size;
    }
    for (; number != 0; number /= 10000)
        groups[--at] = (uint16_t)(number % 10000);
    count = (unsigned)(sizeof groups / sizeof groups[0]) - at;
    out = put(out, 8 + 2 * count, 4);
    out = put(out, count, 2);
    out = put(out, (uint64_t)((int64_t)count - (int64_t)behind - 1), 2);
    out = put(out, minus ? 0x4000 : 0, 2);
    out = put(out, digits, 2);
    for (unsigned i = 0; i < count; i++)
        out = put(out, groups[at + i], 2);
    return out;
}

static char *put_number(char *out, uint16_t type, int64_t number)
{
    unsigned kind = TERN_TYPE_KIND(type);
    bool minus = number < 0 && kind != TERN_KIND_UNSIGNED;
    return put_numeric(out, minus ? 0 - (uint64_t)number : (uint64_t)number, minus,
                       kind == TERN_KIND_DECIMAL ? TERN_TYPE_PARAMETER(type) : 0);
}

static char *put_bytes(char *out, const struct tern_value *value)
{
    out = put(out, value->size, 4);
    if (value->size != 0)
        memcpy(out, value->data, value->size);
    return out + value->size;
}

static char *put_field(char *out, enum tern_postgres_form form, uint16_t type, const struct tern_value *value)
{
    switch (form) {
    case TERN_POSTGRES_BOOL:
        return put_integer(out, value->number != 0, 1);
    case TERN_POSTGRES_INT2:
        return put_integer(out, value->number, 2);
    case TERN_POSTGRES_INT4:
        return put_integer(out, value->number, 4);
    case TERN_POSTGRES_FLOAT8:
        return put_double(out, value->number, TERN_TYPE_PARAMETER(type));
    case TERN_POSTGRES_NUMERIC:
        return put_number(out, type, value->number);
    case TERN_POSTGRES_TIME:
        return put_integer(
            out, microseconds(value->number, TERN_TYPE_KIND(type) == TERN_KIND_TIME_MS ? 1000 : 1), 8);
    case TERN_POSTGRES_BYTES:
        return put_bytes(out, value);
    default:
        return put_integer(out, value->number, 8);
    }
}

size_t tern_postgres_write_binary(char *out, enum tern_postgres_form form, uint16_t type,
                                  const struct tern_value *value)
{
    char *end = value->is_null ? put(out, UINT32_MAX, 4) : put_field(out, form, type, value);
    return (size_t)(end - out);
}

size_t tern_postgres_write_count(char *out, size_t fields)
{
    put(out, fields, 2);
    return 2;
}
