/* SPDX-License-Identifier: MIT */
/* Values as PostgreSQL reads them: as parameters, and as a line of COPY's text format. */
#ifndef TERN_POSTGRES_TEXT_H
#define TERN_POSTGRES_TEXT_H

#include "sql.h"

/* The most that a value takes in a line of COPY, the separator included. */
static inline size_t tern_postgres_room(const struct tern_value *value)
{
    return TERN_SQL_VALUE_ROOM + 2u * value->size;
}

/* Writes a value that is neither NULL nor text nor bytes: as value_text.h does, a time with its zone, a
 * boolean as t or f. Returns its length. */
size_t tern_postgres_write(char text[TERN_SQL_VALUE_ROOM], uint16_t type, int64_t number);

/* Writes any value as a field of COPY's text format, without the separator. Returns its length. */
size_t tern_postgres_write_field(char *out, uint16_t type, const struct tern_value *value);

/* Reads what the server prints of bytes: \x and hexadecimal digits. Anything else comes back as it stands.
 * `to` has room for `size`; returns how many bytes these are. */
size_t tern_postgres_read_bytes(uint8_t *to, const char *text, size_t size);

/* Writes text with what COPY takes for its own syntax escaped. `out` has room for twice the size. Returns the
 * length. */
size_t tern_postgres_escape(char *out, const char *text, size_t size);

/* The line of a COPY that an error is about: "COPY climate, line 5, column celsius: ..." in one of the lines
 * of its context. 0: none. */
uint64_t tern_postgres_line(const char *context);

#endif
