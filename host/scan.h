/* SPDX-License-Identifier: MIT */
/* Rows of a destination read back, in a form that is alike for all of them: what an audit compares. */
#ifndef TERN_SCAN_H
#define TERN_SCAN_H

#include "buffer.h"
#include "sink.h"

/* One row: a digest of its values. */
struct tern_scan_row {
    const char *device;
    size_t device_size;
    int64_t id;
    uint64_t digest;
};

/* What is to be read. */
struct tern_sink_scan {
    const char *table;
    const struct tern_column
        *columns; /* of all versions of its schema; destinations that do not fold pass over them */
    size_t column_count;
    const char *device;                                         /* NULL: all */
    int64_t first, last;                                        /* tern_id */
    int (*row)(void *context, const struct tern_scan_row *row); /* not 0 ends the scan with it */
    void *context;
};

/* FNV-1a, by G. Fowler, L. Noll and P. Vo (public domain), 64 bits; begins with TERN_DIGEST_BEGIN. */
#define TERN_DIGEST_BEGIN 0xCBF29CE484222325u
uint64_t tern_digest(uint64_t digest, const void *bytes, size_t size);

/* The csv destination's scan: all records of the table, in the closed segments of a folder and in the open
 * ones. */
int tern_csv_scan(struct tern_sink *sink, int folder, const struct tern_sink_scan *scan);

#endif
