/* SPDX-License-Identifier: MIT */
/* The structs of SQLite's virtual tables as its interface has them, by hand; a test compares them with
 * sqlite3.h where that is installed. */
#ifndef TERN_SQLITE_MODULE_H
#define TERN_SQLITE_MODULE_H

#include "sqlite_api.h"

/* Both are the library's to fill. */
struct tern_sqlite_vtab {
    const struct sqlite3_module *module;
    int references;
    char *error;
};
struct tern_sqlite_vtab_cursor {
    struct tern_sqlite_vtab *vtab;
};

/* The first version of it, which every library takes. */
struct tern_sqlite_module {
    int version; /* 0 */
    int (*create)(struct sqlite3 *database, void *context, int count, const char *const *arguments,
                  struct tern_sqlite_vtab **vtab, char **error);
    int (*connect)(struct sqlite3 *database, void *context, int count, const char *const *arguments,
                   struct tern_sqlite_vtab **vtab, char **error);
    int (*best_index)(struct tern_sqlite_vtab *vtab, struct sqlite3_index_info *info);
    int (*disconnect)(struct tern_sqlite_vtab *vtab);
    int (*destroy)(struct tern_sqlite_vtab *vtab);
    int (*open)(struct tern_sqlite_vtab *vtab, struct tern_sqlite_vtab_cursor **cursor);
    int (*close)(struct tern_sqlite_vtab_cursor *cursor);
    int (*filter)(struct tern_sqlite_vtab_cursor *cursor, int number, const char *text, int count,
                  struct sqlite3_value **values);
    int (*next)(struct tern_sqlite_vtab_cursor *cursor);
    int (*eof)(struct tern_sqlite_vtab_cursor *cursor);
    int (*column)(struct tern_sqlite_vtab_cursor *cursor, struct sqlite3_context *to, int index);
    int (*rowid)(struct tern_sqlite_vtab_cursor *cursor, long long *rowid);
    int (*update)(void);
    int (*begin)(void);
    int (*sync)(void);
    int (*commit)(void);
    int (*rollback)(void);
    int (*find_function)(void);
    int (*rename)(void);
};

#endif
