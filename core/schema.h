/* SPDX-License-Identifier: MIT */
/* A table's schema as bytes (PROTOCOL.md section 2). */
#ifndef TERN_SCHEMA_H
#define TERN_SCHEMA_H

#include "bytes.h"
#include "tern.h"

/* Bytes of a name, ended by NUL; TERN_NAME_MAX + 1 when there are more than TERN_NAME_MAX. */
uint8_t tern_schema_name_size(const char *name);

/* Takes the next bytes of an encoded schema. */
typedef void tern_schema_sink(void *context, const void *data, size_t size);

/* Gives the schema's bytes to `sink` in order. The table must be valid. */
void tern_schema_encode(const struct tern_table *table, tern_schema_sink *sink, void *context);

/* Bytes of the encoded schema. */
size_t tern_schema_size(const struct tern_table *table);

/* CRC-32C of the encoded schema: the table's name in chunks. */
uint32_t tern_schema_hash(const struct tern_table *table);

/* TERN_OK, or TERN_E_SCHEMA when the description breaks a rule of PROTOCOL.md section 2. */
int tern_schema_check(const struct tern_table *table);

/* A decoded schema. Names are inside, ended by NUL, so that it can be copied about only as a whole with
 * tern_schema_decode(). */
struct tern_schema {
    struct tern_table table; /* columns points to `columns`; codec is NULL, lane 0 */
    struct tern_column columns[TERN_COLUMNS_MAX];
    char names[TERN_SCHEMA_MAX + TERN_COLUMNS_MAX + 1];
};

/* Fills `schema` from bytes that need not be trusted. TERN_E_SCHEMA when they break any rule; `schema` is
 * then undefined. */
int tern_schema_decode(struct tern_schema *schema, const uint8_t *data, size_t size);

/* Checks a row against the table: lengths, ranges, NULLs. `op` says whether all columns (put) or the key
 * columns (delete) count; values stand one for each counted column. TERN_OK or TERN_E_ROW. */
int tern_row_check(const struct tern_table *table, uint8_t op, const struct tern_value *row);

#endif
