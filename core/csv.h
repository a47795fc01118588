/* SPDX-License-Identifier: MIT */
/* Records as CSV (PROTOCOL.md section 4): the plain codec, and a strict reader for both ends. */
#ifndef TERN_CSV_H
#define TERN_CSV_H

#include "bytes.h"
#include "tern.h"

/* Longest text of a number: sign, 20 digits, point, and room for a zero before the point. */
#define TERN_NUMBER_MAX 24

/* Writes the number of a non-NULL value of a numeric type as its column's CSV text. Returns its length. */
size_t tern_csv_number(char text[TERN_NUMBER_MAX], uint16_t type, int64_t number);

/* Reads exactly the text that tern_csv_number() writes for this type; `strict` false also takes what people
 * write: a plus sign, leading zeros, fewer digits behind the point than declared. TERN_OK or TERN_E_ROW
 * (form, or out of the type's range). */
int tern_csv_parse_number(const char *text, size_t size, uint16_t type, bool strict, int64_t *number);

/* Writes one record as its line, newline included. Returns its length, or 0 when it is longer than `room`. */
size_t tern_csv_record(uint8_t *line, size_t room, const struct tern_table *table, uint8_t index, uint8_t op,
                       const struct tern_value *row);

/* One field of a line. `data` is as written, without the enclosing quotes; `doubled` says that quotes inside
 * are still double. */
struct tern_csv_field {
    const uint8_t *data;
    size_t size;
    bool quoted;
    bool doubled;
    bool last; /* of its line */
};

/* Takes the next field off the input. TERN_OK; TERN_E_CORRUPT when a quote is not closed or stands where it
 * may not. */
int tern_csv_field(struct tern_input *input, struct tern_csv_field *field);

/* A record read back: values for each column (put) or key column (delete). Text and bytes point into the
 * line, except where quotes were doubled or hex was decoded: those are written into `scratch`. */
struct tern_csv_record {
    uint8_t op;
    uint8_t index;
    uint16_t values;
};

/* Reads one line off the input by the schema of its table, strictly. `tables` has `table_count` entries.
 * `scratch` must hold as many bytes as the input has. TERN_OK, TERN_E_CORRUPT (form) or TERN_E_ROW (a value
 * that its column does not allow). */
int tern_csv_read(struct tern_input *input, const struct tern_table *const *tables, uint8_t table_count,
                  struct tern_csv_record *record, struct tern_value row[TERN_COLUMNS_MAX], uint8_t *scratch);

#endif
