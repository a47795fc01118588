/* SPDX-License-Identifier: MIT */
/* CSV files as people have them (RFC 4180, LF or CRLF), and the table that fits one. */
#ifndef TERN_CSV_FILE_H
#define TERN_CSV_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../core/tern.h"

#define CSV_MESSAGE_SIZE 512

struct csv_field {
    char *text; /* unquoted, in place; not ended by NUL */
    size_t size;
    bool is_null; /* empty and not quoted */
};

/* The whole file in memory: fields are unquoted where they stand, each line once. */
struct csv_file {
    const char *path;
    char *data;
    size_t size;
    size_t first_row; /* offset of the first line behind the header */
    size_t at;        /* offset of the next line */
    unsigned long line;
    uint32_t crc; /* of the file's bytes: its identity */
};

/* The table of a file. */
struct csv_table {
    struct tern_table table;
    struct tern_column columns[TERN_COLUMNS_MAX];
    char names[TERN_COLUMNS_MAX][TERN_NAME_MAX + 1];
    unsigned long rows; /* checked by csv_describe() */
};

/* What the command line says about the table. */
struct csv_options {
    const char *table;
    const char *keys;  /* `at` or `at,sensor`; NULL with append */
    const char *types; /* `at=time_s,note=text(16)?`, `?` for nullable; NULL or missing columns: inferred */
    bool append;
};

/* All of these: 0, or -1 with a sentence in `message` that says file, line, what is wrong and what to do. */
int csv_open(struct csv_file *file, const char *path, char message[CSV_MESSAGE_SIZE]);
void csv_close(struct csv_file *file);

/* Reads the header and every row: finds each column's type or checks it. Nothing is changed in the file's
 * memory. */
int csv_describe(struct csv_file *file, const struct csv_options *options, struct csv_table *table,
                 char message[CSV_MESSAGE_SIZE]);

/* Back to the first row, or `skip` rows behind it. */
void csv_rewind(struct csv_file *file, unsigned long skip);

/* The next row as values; text points into the file's memory or `scratch`, and lives until the next call. 1:
 * a row; 0: the end; -1. */
int csv_next(struct csv_file *file, const struct csv_table *table, struct tern_value *row,
             char message[CSV_MESSAGE_SIZE]);

#endif
