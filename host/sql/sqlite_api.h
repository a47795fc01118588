/* SPDX-License-Identifier: MIT */
/* The functions of SQLite's library that tern calls, as pointers: filled by opening the library at run time,
 * or by the application (a static build), or by a test that fails one of them. The prototypes are kept by
 * hand; a test compares them with sqlite3.h where that is installed. */
#ifndef TERN_SQLITE_API_H
#define TERN_SQLITE_API_H

#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;
struct sqlite3_context;
struct sqlite3_value;
struct sqlite3_module;
struct sqlite3_index_info;

struct tern_sqlite_api {
    int (*open_v2)(const char *file, struct sqlite3 **database, int flags, const char *vfs);
    int (*close_v2)(struct sqlite3 *database);
    int (*exec)(struct sqlite3 *database, const char *sql, int (*row)(void *, int, char **, char **),
                void *context, char **error);
    int (*busy_timeout)(struct sqlite3 *database, int milliseconds);
    int (*prepare_v2)(struct sqlite3 *database, const char *sql, int size, struct sqlite3_stmt **statement,
                      const char **tail);
    int (*bind_int64)(struct sqlite3_stmt *statement, int index, long long value);
    int (*bind_double)(struct sqlite3_stmt *statement, int index, double value);
    int (*bind_text)(struct sqlite3_stmt *statement, int index, const char *text, int size,
                     void (*destroy)(void *));
    int (*bind_blob)(struct sqlite3_stmt *statement, int index, const void *bytes, int size,
                     void (*destroy)(void *));
    int (*bind_null)(struct sqlite3_stmt *statement, int index);
    int (*step)(struct sqlite3_stmt *statement);
    int (*reset)(struct sqlite3_stmt *statement);
    int (*finalize)(struct sqlite3_stmt *statement);
    int (*column_count)(struct sqlite3_stmt *statement);
    int (*column_type)(struct sqlite3_stmt *statement, int index);
    double (*column_double)(struct sqlite3_stmt *statement, int index);
    long long (*column_int64)(struct sqlite3_stmt *statement, int index);
    const void *(*column_blob)(struct sqlite3_stmt *statement, int index);
    const unsigned char *(*column_text)(struct sqlite3_stmt *statement, int index);
    int (*column_bytes)(struct sqlite3_stmt *statement, int index);
    int (*changes)(struct sqlite3 *database);
    int (*extended_errcode)(struct sqlite3 *database);
    const char *(*errmsg)(struct sqlite3 *database);
    int (*libversion_number)(void);
    int (*create_module)(struct sqlite3 *database, const char *name, const struct sqlite3_module *module,
                         void *context);
    int (*declare_vtab)(struct sqlite3 *database, const char *sql);
    void (*result_int64)(struct sqlite3_context *to, long long value);
    void (*result_double)(struct sqlite3_context *to, double value);
    void (*result_text)(struct sqlite3_context *to, const char *text, int size, void (*destroy)(void *));
    void (*result_blob)(struct sqlite3_context *to, const void *bytes, int size, void (*destroy)(void *));
    void (*result_null)(struct sqlite3_context *to);
    void (*result_error)(struct sqlite3_context *to, const char *text, int size);
    int (*create_function)(struct sqlite3 *database, const char *name, int count, int encoding, void *context,
                           void (*call)(struct sqlite3_context *, int, struct sqlite3_value **),
                           void (*step)(struct sqlite3_context *, int, struct sqlite3_value **),
                           void (*final)(struct sqlite3_context *));
    void *(*user_data)(struct sqlite3_context *to);
    int (*value_type)(struct sqlite3_value *value);
    int (*value_bytes)(struct sqlite3_value *value);
    long long (*value_int64)(struct sqlite3_value *value);
    const void *(*value_blob)(struct sqlite3_value *value);
    const unsigned char *(*value_text)(struct sqlite3_value *value);
};

/* What destroy may be, beside NULL for bytes that stay: they are copied. */
#define TERN_SQLITE_TRANSIENT ((void (*)(void *))(intptr_t)-1)

/* NULL: the library is opened when the first sqlite: destination is. Set it before that to use another
 * one. */
extern const struct tern_sqlite_api *tern_sqlite_library;

/* Fills `api` from the library at TERN_SQLITE_LIBRARY (environment), or libsqlite3.so.0. 0, or -1 with the
 * reason in `error`. The library stays open for the life of the process. */
int tern_sqlite_load(struct tern_sqlite_api *api, char *error, unsigned long size);

#endif
