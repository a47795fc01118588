/* SPDX-License-Identifier: MIT */
/* Values as COPY's binary format has them: the server need not parse them, which is a fifth of its work. The
 * form is that of the column's type in the database, which somebody else may have chosen; where a value might
 * not fit into it, text lets the server decide. */
#ifndef TERN_POSTGRES_BINARY_H
#define TERN_POSTGRES_BINARY_H

#include "sql.h"

enum tern_postgres_form {
    TERN_POSTGRES_NO_FORM, /* the column is written as text */
    TERN_POSTGRES_BOOL,
    TERN_POSTGRES_INT2,
    TERN_POSTGRES_INT4,
    TERN_POSTGRES_INT8,
    TERN_POSTGRES_FLOAT8,
    TERN_POSTGRES_NUMERIC,
    TERN_POSTGRES_TIME,
    TERN_POSTGRES_BYTES
};

/* What stands in front of the rows, and behind them. */
#define TERN_POSTGRES_HEAD      "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"
#define TERN_POSTGRES_HEAD_SIZE 19u
#define TERN_POSTGRES_END       "\377\377"
#define TERN_POSTGRES_END_SIZE  2u

/* How values of this type of tern's are written for a column of that type (an object id) in the database. */
enum tern_postgres_form tern_postgres_find_form(unsigned database_type, uint16_t type);

/* Writes a field, with its length in front. `out` has room for tern_postgres_room(). Returns its length. */
size_t tern_postgres_write_binary(char *out, enum tern_postgres_form form, uint16_t type,
                                  const struct tern_value *value);

/* The number of fields, in front of each row. Returns its length. */
size_t tern_postgres_write_count(char *out, size_t fields);

#endif
