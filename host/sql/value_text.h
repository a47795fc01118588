/* SPDX-License-Identifier: MIT */
/* Numbers and times as SQL text that every database reads, and as doubles. */
#ifndef TERN_VALUE_TEXT_H
#define TERN_VALUE_TEXT_H

#include "sql.h"

/* Writes a value that is neither NULL nor text nor bytes, without quotes; a boolean as a whole number. Times
 * are in UTC and name no zone: 2026-11-21 09:30:00.125, years before 1 with " BC" behind, which not every
 * database takes. Returns its length. */
size_t tern_sql_write(char text[TERN_SQL_VALUE_ROOM], uint16_t type, int64_t number);

/* Writes a whole number. Returns its length. */
size_t tern_sql_write_integer(char text[TERN_SQL_VALUE_ROOM], int64_t number);

/* The double nearest to the number with so many of its digits behind the point (at most 15): what the
 * database would read from its text. */
double tern_sql_double(int64_t number, unsigned digits);

#endif
