/* SPDX-License-Identifier: MIT */
/* Records and schemas as the text of CSV segments: RFC 4180 with \n line ends, NULL a bare empty field, the
 * empty string "". */
#ifndef TERN_CSV_ROWS_H
#define TERN_CSV_ROWS_H

#include "buffer.h"
#include "sink.h"

/* device,tern_id,tern_op and the columns' names. */
void tern_csv_put_header(struct tern_buffer *buffer, const struct tern_table *table);

/* One record; tern_op is put, delete, begin or end (of a snapshot). */
void tern_csv_put_row(struct tern_buffer *buffer, const struct tern_table *table,
                      const struct tern_sink_row *row);

/* The schema for people and loaders: a line a column. */
void tern_csv_put_schema(struct tern_buffer *buffer, const struct tern_table *table, uint32_t hash);

#endif
