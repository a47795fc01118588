/* SPDX-License-Identifier: MIT */
/* The prototypes of SQLite's functions that are kept by hand, against sqlite3.h where it is installed: this
 * file fails to compile when one has drifted. */
#include "../test.h"

#include <stddef.h>

#include "../../host/sql/sqlite_module.h"

#if defined(__has_include)
#if __has_include(<sqlite3.h>)
#define HAS_HEADER 1
#include <sqlite3.h>
#endif
#endif

#ifdef HAS_HEADER
/* The library's pointers have the same types but for the names of the opaque structs. */
#define IS_SAME(name)                                                                                        \
    _Generic(&sqlite3_##name, __typeof__(((struct tern_sqlite_api *)0)->name) : 1, default : 0)

static void prototypes_agree_with_the_header(void)
{
    CHECK(IS_SAME(open_v2));
    CHECK(IS_SAME(close_v2));
    CHECK(IS_SAME(exec));
    CHECK(IS_SAME(busy_timeout));
    CHECK(IS_SAME(prepare_v2));
    CHECK(IS_SAME(bind_int64));
    CHECK(IS_SAME(bind_double));
    CHECK(IS_SAME(bind_text));
    CHECK(IS_SAME(bind_blob));
    CHECK(IS_SAME(bind_null));
    CHECK(IS_SAME(step));
    CHECK(IS_SAME(reset));
    CHECK(IS_SAME(finalize));
    CHECK(IS_SAME(column_count));
    CHECK(IS_SAME(column_type));
    CHECK(IS_SAME(column_double));
    CHECK(IS_SAME(column_blob));
    CHECK(IS_SAME(column_int64));
    CHECK(IS_SAME(column_text));
    CHECK(IS_SAME(column_bytes));
    CHECK(IS_SAME(changes));
    CHECK(IS_SAME(extended_errcode));
    CHECK(IS_SAME(errmsg));
    CHECK(IS_SAME(libversion_number));
    CHECK(IS_SAME(create_module));
    CHECK(IS_SAME(declare_vtab));
    CHECK(IS_SAME(result_int64));
    CHECK(IS_SAME(result_double));
    CHECK(IS_SAME(result_text));
    CHECK(IS_SAME(result_blob));
    CHECK(IS_SAME(result_null));
    CHECK(IS_SAME(result_error));
    CHECK(IS_SAME(create_function));
    CHECK(IS_SAME(user_data));
    CHECK(IS_SAME(value_type));
    CHECK(IS_SAME(value_bytes));
    CHECK(IS_SAME(value_int64));
    CHECK(IS_SAME(value_blob));
    CHECK(IS_SAME(value_text));
    CHECK(TERN_SQLITE_TRANSIENT == SQLITE_TRANSIENT);
}

#define SAME_PLACE(ours, theirs)                                                                             \
    (offsetof(struct tern_sqlite_module, ours) == offsetof(sqlite3_module, theirs))

static void structs_agree_with_the_header(void)
{
    CHECK(SAME_PLACE(version, iVersion));
    CHECK(SAME_PLACE(create, xCreate));
    CHECK(SAME_PLACE(connect, xConnect));
    CHECK(SAME_PLACE(best_index, xBestIndex));
    CHECK(SAME_PLACE(disconnect, xDisconnect));
    CHECK(SAME_PLACE(open, xOpen));
    CHECK(SAME_PLACE(close, xClose));
    CHECK(SAME_PLACE(filter, xFilter));
    CHECK(SAME_PLACE(next, xNext));
    CHECK(SAME_PLACE(eof, xEof));
    CHECK(SAME_PLACE(column, xColumn));
    CHECK(SAME_PLACE(rowid, xRowid));
    CHECK(SAME_PLACE(rename, xRename));
    CHECK_EQ(sizeof(struct tern_sqlite_vtab), sizeof(sqlite3_vtab));
    CHECK_EQ(sizeof(struct tern_sqlite_vtab_cursor), sizeof(sqlite3_vtab_cursor));
}
#endif

int main(void)
{
#ifdef HAS_HEADER
    RUN(prototypes_agree_with_the_header);
    RUN(structs_agree_with_the_header);
#else
    SKIP(prototypes_agree_with_the_header, "sqlite3.h is not installed (Debian package libsqlite3-dev)");
#endif
    return test_report();
}
