/* SPDX-License-Identifier: MIT */
/*
 * SQL destinations: an engine that knows what to say (engine.c, tables.c), a dialect a database that knows how to say it
 * (dialect_*.c), and a client a library that carries it (client_*.c). Adding a database is one dialect and one client, and a name in
 * sink.c.
 */
#ifndef TERN_SQL_H
#define TERN_SQL_H

#include "../sink.h"

/* ---- Text -------------------------------------------------------------------------------------------------------------------- */

/* SQL being put together. `failed`: out of memory; the text is then not to be used. */
struct tern_sql_text {
    char *text; /* ended by NUL */
    size_t size;
    size_t room;
    bool failed;
};

void tern_sql_clear(struct tern_sql_text *text);
void tern_sql_add(struct tern_sql_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tern_sql_free(struct tern_sql_text *text);

/* ---- Client ------------------------------------------------------------------------------------------------------------------ */

struct tern_sql_value {
    enum { TERN_SQL_NULL, TERN_SQL_INTEGER, TERN_SQL_REAL, TERN_SQL_TEXT, TERN_SQL_BLOB } kind;
    int64_t integer;
    double real;
    const void *data; /* text and blob: must stay until the statement has run */
    size_t size;
};

/* Statuses beside enum tern_host_error: the database refuses a value of this row, or the statement itself, and always will. */
enum { TERN_SQL_E_ROW = -100, TERN_SQL_E_STATEMENT = -101 };

struct tern_sql_client;

/* One row of an answer; `count` columns. 0 goes on, an error ends the query with it. */
typedef int tern_sql_row(void *context, const struct tern_sql_value *values, size_t count);

/* All functions return TERN_HOST_OK or an error; `error` of the client then says why. */
struct tern_sql_client_ops {
    /* Finds the library and reads the URL. */
    int (*open)(struct tern_sql_client **client, const struct tern_sink_config *config, char error[256]);
    int (*connect)(struct tern_sql_client *client);
    void (*disconnect)(struct tern_sql_client *client); /* releases every statement */
    /* Statements without parameters, separated by semicolons. */
    int (*execute)(struct tern_sql_client *client, const char *sql);
    int (*prepare)(struct tern_sql_client *client, const char *sql, void **statement);
    /* Runs a prepared statement; rows of an answer go to `row` (NULL: there are none). TERN_SQL_E_ROW where a value is at fault. */
    int (*run)(struct tern_sql_client *client, void *statement, const struct tern_sql_value *values,
               size_t count, tern_sql_row *row, void *context);
    void (*close)(struct tern_sql_client *client);
};

struct tern_sql_client {
    const struct tern_sql_client_ops *ops;
    unsigned version; /* of the database, by its own count; known once connected */
    char error[256];
};

/* ---- Dialect ------------------------------------------------------------------------------------------------------------------ */

struct tern_sql_engine;

/* A table of the destination for one version of its schema. */
struct tern_sql_table {
    struct tern_sql_table *next;
    const struct tern_table *schema;
    uint32_t hash;
    void *insert; /* statements, as the dialect needs them; gone when the connection is */
    void *remove;
    void *bury;      /* a tombstone: a delete that must be remembered */
    bool asks_tombs; /* the insert asks for tombstones */
};

struct tern_sql_dialect {
    const struct tern_sql_client_ops *client;
    /* Settings of a connection, and tern's own tables. */
    int (*setup)(struct tern_sql_engine *engine);
    const char *begin; /* takes the lock under which marks are read */
    /* The column's type in the database. */
    const char *(*type)(const struct tern_sql_engine *engine, const struct tern_column *column);
    /* Behind the closing parenthesis of CREATE TABLE. */
    const char *(*table_suffix)(const struct tern_sql_engine *engine);
    /* A query for (name, place in the primary key from 1 or 0) of each column of the table whose name is ?1. */
    const char *columns;
    /* Loads rows of one table. */
    int (*load)(struct tern_sql_engine *engine, struct tern_sql_table *table,
                const struct tern_sink_load *load);
    /* Statements of the engine that differ; ?1.. are the parameters. */
    const char *put_checkpoint; /* device, lane, epoch, applied */
    const char *put_cursor;     /* store, slot, position, batch */
    const char *put_column;     /* table, column, type */
};

/* ---- Engine -------------------------------------------------------------------------------------------------------------------- */

enum tern_sql_statement {
    TERN_SQL_READ_CURSOR,
    TERN_SQL_READ_CHECKPOINT,
    TERN_SQL_READ_GAPS,
    TERN_SQL_PUT_CHECKPOINT,
    TERN_SQL_DELETE_GAP,
    TERN_SQL_ADD_GAP,
    TERN_SQL_PUT_CURSOR,
    TERN_SQL_ADD_BATCH,
    TERN_SQL_DELETE_BATCHES,
    TERN_SQL_READ_COLUMNS,
    TERN_SQL_READ_DECLARED,
    TERN_SQL_PUT_COLUMN,
    TERN_SQL_STATEMENTS
};

struct tern_sql_engine {
    struct tern_sink sink; /* first */
    const struct tern_sql_dialect *dialect;
    struct tern_sql_client *client;
    struct tern_sql_table *tables;
    struct tern_sql_text text;
    void *statements[TERN_SQL_STATEMENTS];
    uint64_t batches; /* since the old ones were cleared away */
};

/* Opens a sink of this dialect: the body of its tern_sink_ops.open. */
int tern_sql_open(struct tern_sink **sink, const struct tern_sink_config *config,
                  const struct tern_sql_dialect *dialect, char error[256]);

/* The other functions of tern_sink_ops, alike for every dialect. */
int tern_sql_connect(struct tern_sink *sink);
void tern_sql_disconnect(struct tern_sink *sink);
int tern_sql_read_cursor(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor);
int tern_sql_prepare(struct tern_sink *sink, const struct tern_table *table, uint32_t hash);
int tern_sql_begin(struct tern_sink *sink);
int tern_sql_read_mark(struct tern_sink *sink, struct tern_mark *mark);
int tern_sql_load(struct tern_sink *sink, const struct tern_sink_load *load);
int tern_sql_write_mark(struct tern_sink *sink, const struct tern_mark *mark);
int tern_sql_commit(struct tern_sink *sink, const struct tern_sink_commit *commit);
void tern_sql_rollback(struct tern_sink *sink);
void tern_sql_close(struct tern_sink *sink);

/* Runs a statement of the engine, prepared when it is first needed. */
int tern_sql_run(struct tern_sql_engine *engine, enum tern_sql_statement which,
                 const struct tern_sql_value *values, size_t count, tern_sql_row *row, void *context);

/* Executes SQL without parameters; sink->error says what failed, with `doing` in front. */
int tern_sql_execute(struct tern_sql_engine *engine, const char *sql, const char *doing);

/* Fails with the client's error. */
int tern_sql_fail(struct tern_sql_engine *engine, int status, const char *doing);

/* The table's entry for this schema, or NULL. */
struct tern_sql_table *tern_sql_find_table(const struct tern_sql_engine *engine,
                                           const struct tern_table *table);

/* Makes table and columns in the database. TERN_HOST_E_ARGUMENT: they cannot be. */
int tern_sql_make_table(struct tern_sql_engine *engine, const struct tern_table *table);

/* Whether the table of tombstones of `table` is there: deletes that a late older row must not undo. */
int tern_sql_find_tombs(struct tern_sql_engine *engine, const struct tern_table *table, bool *exist);

/* Makes it. Within a transaction. */
int tern_sql_make_tombs(struct tern_sql_engine *engine, const struct tern_table *table);

static inline struct tern_sql_value tern_sql_integer(int64_t integer)
{
    return (struct tern_sql_value){TERN_SQL_INTEGER, integer, 0, NULL, 0};
}

struct tern_sql_value tern_sql_string(const char *text);

#endif
