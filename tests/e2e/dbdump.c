/* SPDX-License-Identifier: MIT */
/* Runs statements on an SQLite database and prints their rows as CSV: NULL bare empty, the empty string "".
 * Needs no sqlite3 tool. dbdump FILE SQL [SEPARATOR]; status 1: the library or the database does not work,
 * with a line that says why. */
#include "../../host/sql/sqlite_api.h"

#include <stdio.h>
#include <string.h>

enum { OPEN_READWRITE_CREATE = 6, ROW = 100, DONE = 101, TYPE_NULL = 5, BUSY_MS = 10000 };

static void print_field(const struct tern_sqlite_api *api, struct sqlite3_stmt *statement, int column)
{
    if (api->column_type(statement, column) == TYPE_NULL)
        return;
    const char *text = (const char *)api->column_text(statement, column);
    if (text[0] != '\0' && strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static int dump(const struct tern_sqlite_api *api, struct sqlite3 *database, const char *sql,
                const char *separator)
{
    int status = 0;
    while (*sql != '\0' && (status == 0 || status == DONE)) {
        struct sqlite3_stmt *statement = NULL;
        status = api->prepare_v2(database, sql, -1, &statement, &sql);
        while (statement != NULL && (status = api->step(statement)) == ROW) {
            for (int i = 0; i < api->column_count(statement); i++) {
                fputs(i == 0 ? "" : separator, stdout);
                print_field(api, statement, i);
            }
            putchar('\n');
        }
        api->finalize(statement);
    }
    if (status != DONE && status != 0)
        fprintf(stderr, "dbdump: %s\n", api->errmsg(database));
    return status == DONE || status == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct tern_sqlite_api api;
    struct sqlite3 *database;
    char error[400];
    if (argc < 3) {
        fprintf(stderr, "usage: dbdump FILE SQL [SEPARATOR]\n");
        return 2;
    }
    if (tern_sqlite_load(&api, error, sizeof error) != 0) {
        fprintf(stderr, "dbdump: %s\n", error);
        return 1;
    }
    if (api.open_v2(argv[1], &database, OPEN_READWRITE_CREATE, NULL) != 0) {
        fprintf(stderr, "dbdump: %s: %s\n", argv[1], api.errmsg(database));
        return 1;
    }
    api.busy_timeout(database, BUSY_MS);
    int status = dump(&api, database, argv[2], argc > 3 ? argv[3] : ",");
    api.close_v2(database);
    return status;
}
