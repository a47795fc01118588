/* SPDX-License-Identifier: MIT */
/*
 * Packed payloads back into records (PACK.md). The payload need not be trusted: whatever it holds, only the
 * memory given here is touched, the work is bounded by the chunk's limits, and every record given passes
 * tern_row_check().
 *
 *     tern_unpack_open(&unpack, models, sizeof(models), texts, sizeof(texts));      for each chunk
 *     tern_unpack_table(&unpack, table);                                            for each table declared
 *     tern_unpack_segment(&unpack, payload, segment.size, segment.rows);
 *     while ((status = tern_unpack_next(&unpack, &record, row)) == TERN_OK)
 *         ...
 */
#ifndef TERN_UNPACK_H
#define TERN_UNPACK_H

#include "pack.h"

struct tern_unpack_record {
    uint8_t op;
    uint8_t index; /* of the table */
};

/* Bytes of models for a chunk whose tables have `columns` columns together. */
#define TERN_UNPACK_SIZE(columns)                                                                            \
    (sizeof(struct tern_pack) + TERN_PACK_TEXT + sizeof(struct tern_pack_column) * (columns))

/* Begins a chunk. `models` is aligned for uint64_t and has TERN_UNPACK_SIZE(columns) bytes; more are
 * allowed. `texts` is where the texts of one record go: as many bytes as the table's text and bytes columns
 * may have together, see tern_unpack_texts(). TERN_E_ARGUMENT when `models_size` is too small for any
 * table. */
int tern_unpack_open(struct tern_unpack *unpack, void *models, size_t models_size, uint8_t *texts,
                     size_t texts_size);

/* The most bytes of text that a record of this table can hold. */
size_t tern_unpack_texts(const struct tern_table *table);

/* Declares the chunk's next table; it must pass tern_schema_check() and live as long as the chunk is read.
 * TERN_OK, or TERN_E_TOO_BIG when there are too many tables or columns, or `texts` is too small. */
int tern_unpack_table(struct tern_unpack *unpack, const struct tern_table *table);

/* Begins a segment of `rows` records; its new tables have been declared. The payload must stay until the
 * last record is read. */
void tern_unpack_segment(struct tern_unpack *unpack, const uint8_t *payload, uint16_t size, uint16_t rows);

/* The next record: the values of all columns (put), of the key columns (delete), or none. Texts point into
 * `texts` and last until the next call. TERN_OK; TERN_AGAIN when the segment holds no more; TERN_E_CORRUPT
 * when the payload cannot have been packed, and every call after that. */
int tern_unpack_next(struct tern_unpack *unpack, struct tern_unpack_record *record,
                     struct tern_value row[TERN_COLUMNS_MAX]);

#endif
