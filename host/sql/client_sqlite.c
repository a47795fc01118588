/* SPDX-License-Identifier: MIT */
/* SQLite's library, opened at run time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "sql.h"
#include "sql_sqlite.h"
#include "sqlite_api.h"

/* From SQLite's documentation: result codes, types of values and flags are part of its stable interface. */
enum {
    RESULT_OK = 0,
    RESULT_ERROR = 1,
    RESULT_TOOBIG = 18,
    RESULT_CONSTRAINT = 19,
    RESULT_MISMATCH = 20,
    RESULT_ROW = 100,
    RESULT_DONE = 101
};
enum { TYPE_INTEGER = 1, TYPE_FLOAT = 2, TYPE_TEXT = 3, TYPE_BLOB = 4 };
enum { OPEN_READWRITE = 2, OPEN_CREATE = 4, OPEN_NOMUTEX = 0x8000 };

enum { CONSTRAINT_KEY = 1555, CONSTRAINT_UNIQUE = 2067 };

#define BUSY_MILLISECONDS 5000    /* how long a lock of another program is waited for */
#define OLDEST_VERSION    3024000 /* has upsert */
#define STATEMENTS_ROOM   64

const struct tern_sqlite_api *tern_sqlite_library;

/* ---- The library ----------------------------------------------------------------------------- */

#define SYMBOL(name)                                                                                         \
    {                                                                                                        \
        "sqlite3_" #name, offsetof(struct tern_sqlite_api, name), false                                      \
    }

static const struct tern_library_symbol symbols[] = {
    SYMBOL(open_v2),         SYMBOL(close_v2),          SYMBOL(exec),          SYMBOL(busy_timeout),
    SYMBOL(prepare_v2),      SYMBOL(bind_int64),        SYMBOL(bind_double),   SYMBOL(bind_text),
    SYMBOL(bind_blob),       SYMBOL(bind_null),         SYMBOL(step),          SYMBOL(reset),
    SYMBOL(finalize),        SYMBOL(column_count),      SYMBOL(column_type),   SYMBOL(column_int64),
    SYMBOL(column_text),     SYMBOL(column_bytes),      SYMBOL(changes),       SYMBOL(extended_errcode),
    SYMBOL(errmsg),          SYMBOL(libversion_number), SYMBOL(column_double), SYMBOL(column_blob),
    SYMBOL(create_module),   SYMBOL(declare_vtab),      SYMBOL(result_int64),  SYMBOL(result_double),
    SYMBOL(result_text),     SYMBOL(result_blob),       SYMBOL(result_null),   SYMBOL(result_error),
    SYMBOL(create_function), SYMBOL(user_data),         SYMBOL(value_type),    SYMBOL(value_bytes),
    SYMBOL(value_int64),     SYMBOL(value_blob),        SYMBOL(value_text)};

static const char *const names[] = {"libsqlite3.so.0", NULL};

static const char *refuse(const void *filled)
{
    const struct tern_sqlite_api *api = filled;
    return api->libversion_number() < OLDEST_VERSION ? "is too old: SQLite 3.24 or later is needed" : NULL;
}

static const struct tern_library library = {names,
                                            "TERN_SQLITE_LIBRARY",
                                            "SQLite's library",
                                            "libsqlite3-0",
                                            symbols,
                                            sizeof symbols / sizeof symbols[0],
                                            refuse};

int tern_sqlite_load(struct tern_sqlite_api *api, char *error, unsigned long size)
{
    return tern_library_load(&library, api, error, size);
}

static int find_library(char error[256])
{
    static struct tern_sqlite_api loaded;
    return tern_library_find(&library, &tern_sqlite_library, &loaded, error, 256);
}

/* ---- The client ------------------------------------------------------------------------------ */

struct sqlite_client {
    struct tern_sql_client client; /* first */
    const struct tern_sqlite_api *api;
    struct sqlite3 *database;
    struct sqlite3_stmt **statements;
    size_t count, room;
    char *file;
    struct tern_sqlite_feed feed;
};

struct tern_sqlite_feed *tern_sqlite_client_feed(struct tern_sql_client *client)
{
    return &((struct sqlite_client *)client)->feed;
}

static int fail(struct sqlite_client *client, int result)
{
    snprintf(client->client.error, sizeof client->client.error, "%s: %s", client->file,
             client->database == NULL ? "out of memory" : client->api->errmsg(client->database));
    int extended = client->database == NULL ? 0 : client->api->extended_errcode(client->database);
    if (extended == CONSTRAINT_KEY || extended == CONSTRAINT_UNIQUE)
        return TERN_SQL_E_DUPLICATE;
    switch (result & 0xFF) {
    case RESULT_CONSTRAINT:
    case RESULT_MISMATCH:
    case RESULT_TOOBIG:
        return TERN_SQL_E_ROW;
    case RESULT_ERROR:
        return TERN_SQL_E_STATEMENT;
    default:
        return TERN_HOST_E_DATABASE;
    }
}

static void disconnect(struct tern_sql_client *base)
{
    struct sqlite_client *client = (struct sqlite_client *)base;
    for (size_t i = 0; i < client->count; i++)
        client->api->finalize(client->statements[i]);
    client->count = 0;
    if (client->database != NULL)
        client->api->close_v2(client->database);
    client->database = NULL;
}

static int connect_file(struct tern_sql_client *base)
{
    struct sqlite_client *client = (struct sqlite_client *)base;
    disconnect(base);
    int result = client->api->open_v2(client->file, &client->database,
                                      OPEN_READWRITE | OPEN_CREATE | OPEN_NOMUTEX, NULL);
    if (result == RESULT_OK)
        result = client->api->busy_timeout(client->database, BUSY_MILLISECONDS);
    if (result == RESULT_OK)
        result = tern_sqlite_feed_register(&client->feed, client->database);
    if (result == RESULT_OK)
        result = tern_sqlite_update_register(&client->feed, client->database);
    base->version = (unsigned)client->api->libversion_number();
    if (result == RESULT_OK)
        return TERN_HOST_OK;
    fail(client, result);
    disconnect(base);
    return TERN_HOST_E_DATABASE;
}

static int execute(struct tern_sql_client *base, const char *sql)
{
    struct sqlite_client *client = (struct sqlite_client *)base;
    int result = client->api->exec(client->database, sql, NULL, NULL, NULL);
    return result == RESULT_OK ? TERN_HOST_OK : fail(client, result);
}

static int prepare(struct tern_sql_client *base, const char *sql, void **statement)
{
    struct sqlite_client *client = (struct sqlite_client *)base;
    if (client->count == client->room) {
        size_t room = client->room + STATEMENTS_ROOM;
        struct sqlite3_stmt **statements = realloc(client->statements, room * sizeof(struct sqlite3_stmt *));
        if (statements == NULL) {
            snprintf(base->error, sizeof base->error, "out of memory");
            return TERN_HOST_E_SYSTEM;
        }
        client->statements = statements;
        client->room = room;
    }
    struct sqlite3_stmt *made = NULL;
    int result = client->api->prepare_v2(client->database, sql, -1, &made, NULL);
    if (result != RESULT_OK || made == NULL)
        return fail(client, result);
    client->statements[client->count++] = made;
    *statement = made;
    return TERN_HOST_OK;
}

static int bind(const struct sqlite_client *client, struct sqlite3_stmt *statement, int index,
                const struct tern_sql_value *value)
{
    /* An empty value must not be a NULL pointer, which means NULL. */
    const void *data = value->size == 0 ? "" : value->data;
    switch (value->kind) {
    case TERN_SQL_INTEGER:
        return client->api->bind_int64(statement, index, value->integer);
    case TERN_SQL_REAL:
        return client->api->bind_double(statement, index, value->real);
    case TERN_SQL_TEXT:
        return client->api->bind_text(statement, index, data, (int)value->size, NULL);
    case TERN_SQL_BLOB:
        return client->api->bind_blob(statement, index, data, (int)value->size, NULL);
    default:
        return client->api->bind_null(statement, index);
    }
}

static int give_row(const struct sqlite_client *client, struct sqlite3_stmt *statement, tern_sql_row *row,
                    void *context)
{
    struct tern_sql_value values[TERN_SQL_ANSWER_COLUMNS];
    int count = client->api->column_count(statement);
    if (count > TERN_SQL_ANSWER_COLUMNS)
        count = TERN_SQL_ANSWER_COLUMNS;
    for (int i = 0; i < count; i++) {
        int type = client->api->column_type(statement, i);
        memset(&values[i], 0, sizeof values[i]);
        values[i].kind = TERN_SQL_NULL;
        if (type == TYPE_INTEGER) {
            values[i].kind = TERN_SQL_INTEGER;
            values[i].integer = client->api->column_int64(statement, i);
        } else if (type == TYPE_FLOAT) {
            values[i].kind = TERN_SQL_REAL;
            values[i].real = client->api->column_double(statement, i);
        } else if (type == TYPE_BLOB) {
            values[i].kind = TERN_SQL_BLOB;
            values[i].data = client->api->column_blob(statement, i);
            values[i].size = (size_t)client->api->column_bytes(statement, i);
        } else if (type == TYPE_TEXT) {
            values[i].kind = TERN_SQL_TEXT;
            values[i].data = client->api->column_text(statement, i);
            values[i].size = (size_t)client->api->column_bytes(statement, i);
        }
    }
    return row == NULL ? 0 : row(context, values, (size_t)count);
}

static int run(struct tern_sql_client *base, void *prepared, const struct tern_sql_value *values,
               size_t count, tern_sql_row *row, void *context)
{
    struct sqlite_client *client = (struct sqlite_client *)base;
    struct sqlite3_stmt *statement = prepared;
    int result = RESULT_OK, status = TERN_HOST_OK;
    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        result = bind(client, statement, (int)i + 1, &values[i]);
    if (result == RESULT_OK)
        result = client->api->step(statement);
    while (result == RESULT_ROW && status == TERN_HOST_OK) {
        status = give_row(client, statement, row, context);
        if (status == TERN_HOST_OK)
            result = client->api->step(statement);
    }
    if (status == TERN_HOST_OK && result != RESULT_DONE)
        status = fail(client, result);
    client->api->reset(statement);
    return status;
}

static void close_client(struct tern_sql_client *base)
{
    struct sqlite_client *client = (struct sqlite_client *)base;
    disconnect(base);
    free(client->statements);
    free(client->file);
    free(client);
}

static int open_client(struct tern_sql_client **out, const struct tern_sink_config *config, char error[256])
{
    int status = find_library(error);
    if (status != TERN_HOST_OK)
        return status;
    if (config->rest[0] == '\0' || config->rest[0] == ':') {
        /* SQLite takes these for databases that are gone when they are closed. */
        snprintf(error, 256, "sqlite: needs the name of a file, as in sqlite:climate.db");
        return TERN_HOST_E_ARGUMENT;
    }
    struct sqlite_client *client = calloc(1, sizeof *client);
    if (client == NULL || (client->file = strdup(config->rest)) == NULL) {
        free(client);
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    client->client.ops = &tern_sql_client_sqlite;
    client->api = client->feed.api = tern_sqlite_library;
    *out = &client->client;
    return TERN_HOST_OK;
}

const struct tern_sql_client_ops tern_sql_client_sqlite = {open_client, connect_file, disconnect,  execute,
                                                           prepare,     run,          close_client};
