/* SPDX-License-Identifier: MIT */
/* SQLite's library with every call counted. */
#include "fail.h"

#include <stddef.h>
#include <stdio.h>

enum { IO_ERROR = 10, NO_MEMORY = 7, CANNOT_OPEN = 14 };

static struct tern_sqlite_api real, shim;
static _Thread_local int failed; /* the code of the last call of this thread that failed, 0: it did not */

static bool before(int code)
{
    int strike = fail_strikes(FAIL_SQLITE);
    failed = strike == 0 ? 0 : code;
    return strike != 1;
}

#define CALL(code, call)                                                                                     \
    if (!before(code))                                                                                       \
        return failed;                                                                                       \
    int result = call;                                                                                       \
    return failed != 0 ? failed : result;

static int open_v2(const char *file, struct sqlite3 **database, int flags, const char *vfs)
{
    CALL(CANNOT_OPEN, real.open_v2(file, database, flags, vfs))
}
static int exec(struct sqlite3 *database, const char *sql, int (*row)(void *, int, char **, char **),
                void *context, char **error)
{
    CALL(IO_ERROR, real.exec(database, sql, row, context, error))
}
static int busy_timeout(struct sqlite3 *database, int milliseconds)
{
    CALL(IO_ERROR, real.busy_timeout(database, milliseconds))
}
static int prepare_v2(struct sqlite3 *database, const char *sql, int size, struct sqlite3_stmt **statement,
                      const char **tail)
{
    if (!before(NO_MEMORY))
        return failed;
    int result = real.prepare_v2(database, sql, size, statement, tail);
    if (failed != 0 && result == 0) {
        real.finalize(*statement);
        *statement = NULL;
    }
    return failed != 0 ? failed : result;
}
static int bind_int64(struct sqlite3_stmt *statement, int index, long long value)
{
    CALL(NO_MEMORY, real.bind_int64(statement, index, value))
}
static int bind_double(struct sqlite3_stmt *statement, int index, double value)
{
    CALL(NO_MEMORY, real.bind_double(statement, index, value))
}
static int bind_text(struct sqlite3_stmt *statement, int index, const char *text, int size,
                     void (*destroy)(void *))
{
    CALL(NO_MEMORY, real.bind_text(statement, index, text, size, destroy))
}
static int bind_blob(struct sqlite3_stmt *statement, int index, const void *bytes, int size,
                     void (*destroy)(void *))
{
    CALL(NO_MEMORY, real.bind_blob(statement, index, bytes, size, destroy))
}
static int bind_null(struct sqlite3_stmt *statement, int index)
{
    CALL(NO_MEMORY, real.bind_null(statement, index))
}
static int step(struct sqlite3_stmt *statement)
{
    CALL(IO_ERROR, real.step(statement))
}

static int extended_errcode(struct sqlite3 *database)
{
    return failed != 0 ? failed : real.extended_errcode(database);
}
static const char *errmsg(struct sqlite3 *database)
{
    return failed != 0 ? "failed by the test" : real.errmsg(database);
}

const struct tern_sqlite_api *fail_sqlite(void)
{
    char error[256];
    if (tern_sqlite_load(&real, error, sizeof error) != 0) {
        printf("    %s\n", error);
        return NULL;
    }
    shim = real;
    shim.open_v2 = open_v2;
    shim.exec = exec;
    shim.busy_timeout = busy_timeout;
    shim.prepare_v2 = prepare_v2;
    shim.bind_int64 = bind_int64;
    shim.bind_double = bind_double;
    shim.bind_text = bind_text;
    shim.bind_blob = bind_blob;
    shim.bind_null = bind_null;
    shim.step = step;
    shim.extended_errcode = extended_errcode;
    shim.errmsg = errmsg;
    tern_sqlite_library = &shim;
    return &shim;
}
