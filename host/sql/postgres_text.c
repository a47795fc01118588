/* SPDX-License-Identifier: MIT */
#include "postgres_text.h"

#include <stdlib.h>
#include <string.h>

#include "value_text.h"

/* The zone stands in front of the BC. */
static size_t add_zone(char *text, size_t size)
{
    size_t at = text[size - 1] == 'C' ? size - 3 : size;
    memmove(text + at + 3, text + at, size - at);
    memcpy(text + at, "+00", 3);
    return size + 3;
}

size_t tern_postgres_write(char text[TERN_SQL_VALUE_ROOM], uint16_t type, int64_t number)
{
    unsigned kind = TERN_TYPE_KIND(type);
    if (kind == TERN_KIND_BOOL) {
        text[0] = number != 0 ? 't' : 'f';
        return 1;
    }
    size_t size = tern_sql_write(text, type, number);
    return kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS ? add_zone(text, size) : size;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* What follows the backslash, 0: the byte stands for itself. */
static char escape_of(char c)
{
    switch (c) {
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

size_t tern_postgres_escape(char *out, const char *text, size_t size)
{
    char *at = out;
    for (size_t i = 0; i < size; i++) {
        char escape = (unsigned char)text[i] > '\\' ? '\0' : escape_of(text[i]);
        if (escape != '\0')
            *at++ = '\\';
        *at++ = escape != '\0' ? escape : text[i];
    }
    return (size_t)(at - out);
}

static size_t write_hex(char *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;
    memcpy(at, "\\\\x", 3);
    at += 3;
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return (size_t)(at - out);
}

/* -1: none. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t tern_postgres_read_bytes(uint8_t *to, const char *text, size_t size)
{
    bool good = size >= 2 && size % 2 == 0 && memcmp(text, "\\x", 2) == 0;
    for (size_t i = 2; good && i < size; i += 2) {
        int high = digit_of(text[i]), low = digit_of(text[i + 1]);
        good = high >= 0 && low >= 0;
        if (good)
            to[i / 2 - 1] = (uint8_t)(high << 4 | low);
    }
    if (good)
        return size / 2 - 1;
    memcpy(to, text, size);
    return size;
}

size_t tern_postgres_write_field(char *out, uint16_t type, const struct tern_value *value)
{
    if (value->is_null) {
        memcpy(out, "\\N", 2);
        return 2;
    }
    switch (TERN_TYPE_KIND(type)) {
    case TERN_KIND_TEXT:
        return tern_postgres_escape(out, value->data, value->size);
    case TERN_KIND_BYTES:
        return write_hex(out, value->data, value->size);
    default:
        return tern_postgres_write(out, type, value->number);
    }
}

/* ---- What the server says -------------------------------------------------------------------- */

uint64_t tern_postgres_line(const char *context)
{
    while (context != NULL && strncmp(context, "COPY ", 5) != 0) {
        context = strchr(context, '\n');
        context = context == NULL ? NULL : context + 1;
    }
    const char *line = context == NULL ? NULL : strstr(context, ", line ");
    return line == NULL ? 0 : strtoull(line + 7, NULL, 10);
}
