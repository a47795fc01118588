/* SPDX-License-Identifier: MIT */
/* TABLE-HASH.schema files, as the csv destination writes them, read back. */
#ifndef TERN_CSV_SCHEMA_H
#define TERN_CSV_SCHEMA_H

#include "../core/tern.h"

struct tern_csv_schema {
    struct tern_table table; /* points into this struct */
    struct tern_column columns[TERN_COLUMNS_MAX];
    char name[TERN_NAME_MAX + 1];
    char names[TERN_COLUMNS_MAX][TERN_NAME_MAX + 1];
};

/* Reads the file; the struct must not move afterwards. 0, or -1 with a sentence in `error`. */
int tern_csv_schema_read(struct tern_csv_schema *schema, const char *path, char error[400]);

#endif
