/* SPDX-License-Identifier: MIT */
/*
 * SQL destinations: an engine that knows what to say (engine.c, tables.c), a dialect a database that knows
 * how to say it (dialect_*.c), and a client a library that carries it (client_*.c). Adding a database is one
 * dialect and one client, and a name in sink.c.
 */
#ifndef TERN_SQL_H
#define TERN_SQL_H

#include <string.h>

#include "../sink.h"

#define TERN_SQL_VALUE_ROOM 40 /* characters of a number or a time */
#define TERN_SQL_NAME_ROOM  160
#define TERN_SQL_GROUP_MAX  64

/* ---- Text ------------------------------------------------------------------------------------ */

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

/* ---- Client ---------------------------------------------------------------------------------- */

struct tern_sql_value {
    enum { TERN_SQL_NULL, TERN_SQL_INTEGER, TERN_SQL_REAL, TERN_SQL_TEXT, TERN_SQL_BLOB } kind;
    int64_t integer;
    double real;
    const void *data; /* text and blob: must stay until the statement has run */
    size_t size;
};

/* Statuses beside enum tern_host_error, of the database: it refuses a value of this row, or the statement
 * itself, and always will; a key is there already; this transaction is a deadlock's victim, or could not be
 * serialized. */
enum {
    TERN_SQL_E_ROW = -100,
    TERN_SQL_E_STATEMENT = -101,
    TERN_SQL_E_DUPLICATE = -102,
    TERN_SQL_E_RETRY = -103
};

struct tern_sql_client;

/* The most columns of an answer: an audit reads those of all versions of a table, and two of tern's own. */
#define TERN_SQL_ANSWER_COLUMNS (4 * TERN_COLUMNS_MAX + 2)

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
    /* Runs a prepared statement; rows of an answer go to `row` (NULL: there are none). TERN_SQL_E_ROW where a
     * value is at fault. Whole numbers of an answer are TERN_SQL_INTEGER, whatever the database's protocol
     * says them in. */
    int (*run)(struct tern_sql_client *client, void *statement, const struct tern_sql_value *values,
               size_t count, tern_sql_row *row, void *context);
    void (*close)(struct tern_sql_client *client);
};

struct tern_sql_client {
    const struct tern_sql_client_ops *ops;
    unsigned version; /* of the database, by its own count; known once connected */
    char error[256];
};

/* ---- Dialect --------------------------------------------------------------------------------- */

struct tern_sql_engine;

/* A statement as the dialect spells its parameters. Lives until the connection is gone. */
struct tern_sql_prepared {
    struct tern_sql_prepared *next;
    void *statement; /* the client's */
    /* TERN_SQL_MARKED: */
    struct tern_sql_value *values; /* in the order of the marks */
    uint16_t *order;               /* which value each mark stands for */
    size_t count;                  /* of marks */
};

/* A column that tern made for another version of the schema: a newer row sets it to NULL. */
struct tern_sql_lack {
    char name[TERN_SQL_NAME_ROOM]; /* in the database */
    uint8_t flags;
};

/* A table of the destination for one version of its schema. */
struct tern_sql_table {
    struct tern_sql_table *next;
    const struct tern_table *schema;
    uint32_t hash;
    uint32_t revision; /* of the declared columns: another version may add some */
    bool has_keys;     /* key columns; if not, tern_id is part of the key */
    bool has_rules;    /* merge rules other than last */
    bool has_first;    /* the hidden column tern_first */
    bool has_deleted;  /* the column tern_deleted: deletes are soft, or were */
    bool has_tombs;    /* tern_deleted_TABLE: deletes are hard */
    struct tern_sql_lack *lacks;
    size_t lack_count;
    struct tern_sql_prepared *sweep, *remove, *bury, *above, *any, *tombs, *clear,
        *newer[2];                               /* the engine's */
    struct tern_sql_prepared *insert, *other[6]; /* the dialect's; NULL when they must be made (again) */
};

struct tern_sql_dialect {
    const struct tern_sql_client_ops *client;
    /* Statements are written with ?1, ?2 ...; each database spells them its way: ?1, $1, or ? in order. */
    enum { TERN_SQL_NUMBERED, TERN_SQL_DOLLARS, TERN_SQL_MARKED } parameters;
    /* ON CONFLICT(key) DO UPDATE SET ... WHERE, or ON DUPLICATE KEY UPDATE. */
    enum { TERN_SQL_ON_CONFLICT, TERN_SQL_ON_DUPLICATE } upsert;
    bool groups; /* reads and writes marks several at a time, to save round trips */
    /* Settings of a connection. Identifiers must then be quotable by ", backslashes be plain text, times be
     * UTC, waits be bounded. */
    int (*setup)(struct tern_sql_engine *engine);
    const char *begin;
    const char *strict; /* behind begin, after a commit was refused for its rows: each is then refused by
                           itself. May be NULL */
    const char *lock;   /* behind a SELECT: " FOR UPDATE", or "" where begin has locked everything */
    const char *share;  /* the same for a lock that many may hold, and which keeps that one waiting */
    /* The column's type in the database; keys with a binary collation. Also asked for tern's own columns. */
    const char *(*type)(const struct tern_sql_engine *engine, const struct tern_column *column);
    /* Keeps two gateways, or two workers, from making tables at once: runs within the transaction. Ends with
     * it, or by `not_alone` after it; then `alone` is a query that answers 1 when it was so. Both may be
     * NULL. */
    const char *alone, *not_alone;
    /* What stands before a column's name and before its new type in an ALTER TABLE that widens it. NULL:
     * types need no widening. */
    const char *widen, *widen_type;
    /* Behind the closing parenthesis of CREATE TABLE. */
    const char *(*table_suffix)(const struct tern_sql_engine *engine);
    /* A query for (name, place in the primary key from 1 or 0) of each column of the table whose name is
     * ?1. */
    const char *columns;
    /* Settings that decide what a commit is worth, and others that matter, each as SQL that gives one row of
     * one value; ended by an entry with name NULL. `good`: the values that keep the promises, with | between,
     * NULL: just shown. `why`: what they are good for. */
    const struct tern_sql_setting {
        const char *name, *sql, *good, *why;
    } * settings;
    /* In front of the SQL that `tern-gateway ddl` prints, for the database's own tool. May be NULL. */
    const char *ddl_begin;
    /* A value as a parameter; `text` is room for it. */
    struct tern_sql_value (*value)(const struct tern_sql_engine *engine, const struct tern_column *column,
                                   const struct tern_value *value, char text[TERN_SQL_VALUE_ROOM]);
    /* What compares two values of the column byte by byte where the database would not, as " COLLATE \"C\"".
     * May be NULL. */
    const char *(*collation)(const struct tern_sql_engine *engine, const struct tern_column *column);
    /* Loads rows of one table. Puts are merged by tern_sql_write_merge() or inserted straight; for deletes
     * there is tern_sql_delete(). */
    int (*load)(struct tern_sql_engine *engine, struct tern_sql_table *table,
                const struct tern_sink_load *load);
};

/* ---- Engine ---------------------------------------------------------------------------------- */

enum tern_sql_statement {
    TERN_SQL_READ_CURSOR,
    TERN_SQL_PUT_CURSOR,
    TERN_SQL_FIND_BATCH,
    TERN_SQL_ADD_BATCH,
    TERN_SQL_DELETE_BATCHES,
    TERN_SQL_DELETE_GAP,
    TERN_SQL_ADD_GAP,
    TERN_SQL_LIST_GAPS,
    TERN_SQL_LIST_EPOCHS,
    TERN_SQL_READ_SNAPSHOT,
    TERN_SQL_PUT_SNAPSHOT,
    TERN_SQL_LOCK_DEVICE,
    TERN_SQL_BEGIN_LOADS,
    TERN_SQL_AWAIT_LOADS,
    TERN_SQL_BE_ALONE,
    TERN_SQL_READ_COLUMNS,
    TERN_SQL_READ_DECLARED,
    TERN_SQL_COUNT_DECLARED,
    TERN_SQL_PUT_COLUMN,
    TERN_SQL_STATEMENTS
};

/* Statements over several marks at once, in sizes of TERN_SQL_GROUP_MAX, 8 and 1. */
enum tern_sql_group {
    TERN_SQL_READ_CHECKPOINTS,
    TERN_SQL_MAKE_CHECKPOINTS,
    TERN_SQL_PUT_CHECKPOINTS,
    TERN_SQL_READ_GAPS,
    TERN_SQL_GROUPS
};
#define TERN_SQL_GROUP_SIZES 3

struct tern_sql_engine {
    struct tern_sink sink; /* first */
    const struct tern_sql_dialect *dialect;
    struct tern_sql_client *client;
    struct tern_sink_config config;
    struct tern_sql_table *tables;
    struct tern_sql_text text;
    struct tern_sql_plan *plan, *planned; /* while something is described, and what was described */
    struct tern_sql_prepared *prepared;
    struct tern_sql_prepared *statements[TERN_SQL_STATEMENTS];
    struct tern_sql_prepared *groups[TERN_SQL_GROUPS][TERN_SQL_GROUP_SIZES];
    uint64_t batches; /* since the old ones were cleared away */
    bool strict;      /* the last commit was refused for its rows */
};

/* Opens a sink of this dialect: the body of its tern_sink_ops.open. */
int tern_sql_open(struct tern_sink **sink, const struct tern_sink_config *config,
                  const struct tern_sql_dialect *dialect, char error[256]);

/* The other functions of tern_sink_ops, alike for every dialect: TERN_SQL_SINK_OPS names them all. */
int tern_sql_connect(struct tern_sink *sink);
void tern_sql_disconnect(struct tern_sink *sink);
int tern_sql_read_cursor(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor);
int tern_sql_find_batch(struct tern_sink *sink, uint64_t batch, bool *found);
int tern_sql_prepare(struct tern_sink *sink, const struct tern_table *table, uint32_t hash, bool deletes);
int tern_sql_begin(struct tern_sink *sink);
int tern_sql_list_gaps(struct tern_sink *sink,
                       void (*call)(void *context, const struct tern_mark *mark, const struct tern_gap *gap),
                       void *context);
int tern_sql_list_epochs(struct tern_sink *sink,
                         void (*call)(void *context, const char *device, uint32_t epoch), void *context);
int tern_sql_read_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count);
int tern_sql_read_snapshot(struct tern_sink *sink, const struct tern_table *table, const char *device,
                           int64_t *begin);
int tern_sql_replace(struct tern_sink *sink, const struct tern_table *table, const char *device,
                     int64_t begin);
int tern_sql_is_above(struct tern_sink *sink, const struct tern_table *table, const struct tern_sink_row *row,
                      bool *above);
int tern_sql_has_rows(struct tern_sink *sink, const struct tern_table *table, const char *device, bool *has);
int tern_sql_is_outvoted(struct tern_sink *sink, const struct tern_table *table,
                         const struct tern_sink_row *row, bool *outvoted);
int tern_sql_load(struct tern_sink *sink, const struct tern_sink_load *load);
int tern_sql_write_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count);
int tern_sql_commit(struct tern_sink *sink, const struct tern_sink_commit *commit);
void tern_sql_rollback(struct tern_sink *sink);
int tern_sql_describe_table(struct tern_sink *sink, const struct tern_table *table, bool offline,
                            bool deletes, void (*print)(const char *text));
const char *tern_sql_ddl_begin(const struct tern_sink *sink);
int tern_sql_check(struct tern_sink *sink, const struct tern_table *table, bool rights,
                   void (*print)(const char *text));
int tern_sql_scan(struct tern_sink *sink, const struct tern_sink_scan *scan);
void tern_sql_close(struct tern_sink *sink);

#define TERN_SQL_SINK_OPS                                                                                    \
    .folds = true, .connect = tern_sql_connect, .disconnect = tern_sql_disconnect,                           \
    .list_gaps = tern_sql_list_gaps, .list_epochs = tern_sql_list_epochs,                                    \
    .read_cursor = tern_sql_read_cursor, .find_batch = tern_sql_find_batch, .prepare = tern_sql_prepare,     \
    .begin = tern_sql_begin, .read_marks = tern_sql_read_marks, .read_snapshot = tern_sql_read_snapshot,     \
    .replace = tern_sql_replace, .is_above = tern_sql_is_above, .has_rows = tern_sql_has_rows,               \
    .is_outvoted = tern_sql_is_outvoted, .load = tern_sql_load, .write_marks = tern_sql_write_marks,         \
    .commit = tern_sql_commit, .rollback = tern_sql_rollback, .describe = tern_sql_describe_table,           \
    .ddl_begin = tern_sql_ddl_begin, .check = tern_sql_check, .scan = tern_sql_scan, .close = tern_sql_close

/* Runs a statement of the engine, prepared when it is first needed. */
int tern_sql_run(struct tern_sql_engine *engine, enum tern_sql_statement which,
                 const struct tern_sql_value *values, size_t count, tern_sql_row *row, void *context);

/* Prepares engine->text, whose parameters are ?1, ?2 ... The statement is released when the connection is. A
 * status of the client; tern_sql_fail() makes it one of a sink. */
int tern_sql_prepare_text(struct tern_sql_engine *engine, struct tern_sql_prepared **prepared);

/* Runs it. A status of the client, as above. */
int tern_sql_run_prepared(struct tern_sql_engine *engine, struct tern_sql_prepared *prepared,
                          const struct tern_sql_value *values, size_t count, tern_sql_row *row,
                          void *context);

/* Executes SQL without parameters; sink->error says what failed, with `doing` in front. */
int tern_sql_execute(struct tern_sql_engine *engine, const char *sql, const char *doing);

/* Fails with the client's error; gives the status that a sink returns for this one of the client's. */
int tern_sql_fail(struct tern_sql_engine *engine, int status, const char *doing);

/* The table's entry for this schema, or NULL. */
struct tern_sql_table *tern_sql_find_table(const struct tern_sql_engine *engine,
                                           const struct tern_table *table);

/* Adds an upsert's end for one of tern's own tables: the key's columns and the others, each list ended by
 * NULL, as they are named. */
void tern_sql_add_upsert(struct tern_sql_engine *engine, const char *const *keys, const char *const *others);

/* Makes tern's own tables where they are missing. */
int tern_sql_make_own(struct tern_sql_engine *engine);
/* Within a transaction: waits for other gateways and workers that make tables. Whatever it returns,
 * tern_sql_end_alone() follows behind the transaction's end. */
int tern_sql_be_alone(struct tern_sql_engine *engine);
void tern_sql_end_alone(struct tern_sql_engine *engine);

/* The statement that makes one of tern's own tables, the table, or that of its deleted keys, into
 * engine->text: what --ddl=off leaves to somebody else. */
size_t tern_sql_own_count(void);
const char *tern_sql_own_name(size_t index, const char **first); /* and that of its first column */
const char *tern_sql_write_own(struct tern_sql_engine *engine, size_t index); /* its name */
void tern_sql_write_create(struct tern_sql_engine *engine, const struct tern_sql_table *table);
void tern_sql_write_create_tombs(struct tern_sql_engine *engine, const struct tern_sql_table *table);

void tern_sql_plan_free(struct tern_sql_plan *plan);

/* Fills an entry from the schema and the configuration alone. */
void tern_sql_describe(const struct tern_sql_engine *engine, const struct tern_table *schema,
                       struct tern_sql_table *table);

/* Looks whether another version of the schema has added columns since the table was prepared, or the first
 * delete a table of deleted keys, and forgets its statements if so. To be called in a load's transaction: the
 * first delete waits until that has ended. */
int tern_sql_refresh(struct tern_sql_engine *engine, struct tern_sql_table *table);

/* Outside of a transaction, for the locks of other workers: tombstones that have no use any more go, some of
 * each table that is in use (`all` false: of those where none were looked for since the connection was made).
 * A status of a sink. */
int tern_sql_clear_tombs(struct tern_sql_engine *engine, int64_t now, bool all);

/* Until the end of the transaction nobody else deletes or replaces rows of the device in the table, or brings
 * in older ones: each would not see what the other does. A status of a sink. */
int tern_sql_lock_device(struct tern_sql_engine *engine, const struct tern_table *table, const char *device);

/* Locks the devices of these rows, of a table with tombstones. A status of a sink. */
int tern_sql_lock_devices(struct tern_sql_engine *engine, const struct tern_sink_load *load);

/* Takes `fresh` from rows of a device that one of its tombstones may outlive: a straight path asks none, and
 * a late older row would come back by it. A status of a sink. */
int tern_sql_pass_tombs(struct tern_sql_engine *engine, struct tern_sql_table *table,
                        const struct tern_sink_load *load);

/* A delete of a row, hard or soft as the table has it, by statements of the engine: one or two round trips. A
 * status of the client. */
int tern_sql_delete(struct tern_sql_engine *engine, struct tern_sql_table *table,
                    const struct tern_sink_row *row, int64_t at);

/* ---- Shared SQL (text.c): names come quoted, and mapped as the configuration says ------------ */

enum tern_sql_columns {
    TERN_SQL_KEYS = 1,    /* device, the key columns, tern_id where that is part of the key */
    TERN_SQL_VERSION = 2, /* tern_id where it is not, tern_first where the table has it */
    TERN_SQL_PAYLOAD = 4, /* the other columns of this schema */
    TERN_SQL_DELETED = 8, /* tern_deleted where the table has it: when, NULL while the row is alive */
    TERN_SQL_ALL = 15
};

/* tern's own columns of each table. */
extern const struct tern_column tern_sql_device, tern_sql_id, tern_sql_first, tern_sql_deleted;

bool tern_sql_is_key(const struct tern_table *table, uint8_t column);

struct tern_sql_item {
    const struct tern_column *column;
    int index; /* in the schema, -1: one of tern's own */
};

#define TERN_SQL_ITEMS_MAX (TERN_COLUMNS_MAX + 4)

/* These columns, in an order that is always the same: keys, version, payload, deleted. Returns how many. */
size_t tern_sql_list(const struct tern_sql_table *table, unsigned columns,
                     struct tern_sql_item items[TERN_SQL_ITEMS_MAX]);

/* Binds a row's values in the same order. Returns how many; `texts` is room for each. */
size_t tern_sql_bind(const struct tern_sql_engine *engine, const struct tern_sql_table *table,
                     unsigned columns, const struct tern_sink_row *row, int64_t at,
                     struct tern_sql_value *values, char (*texts)[TERN_SQL_VALUE_ROOM]);

/* The names in the database, not quoted. */
const char *tern_sql_table_name(const struct tern_sql_engine *engine, const struct tern_table *table);
const char *tern_sql_column_name(const struct tern_sql_engine *engine, const struct tern_table *table,
                                 const char *column);

/* Of the table of its deleted keys: tern_deleted_TABLE, where need be shortened and told apart by a checksum;
 * not quoted. */
void tern_sql_tombs_name(const struct tern_sql_engine *engine, const struct tern_table *table,
                         char name[TERN_SQL_NAME_ROOM]);

/* A quoted identifier as it is given. */
void tern_sql_add_name(struct tern_sql_text *text, const char *name);
/* The table's name in the database, or with "tern_deleted_" as `prefix` that of its deleted keys. */
void tern_sql_add_table(struct tern_sql_engine *engine, const char *prefix, const struct tern_table *table);
void tern_sql_add_column(struct tern_sql_engine *engine, const struct tern_table *table, const char *column);
void tern_sql_add_item(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                       const struct tern_sql_item *item);
/* The columns by commas, `before` in front of each: "", "s.", "excluded.". */
void tern_sql_add_columns(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                          unsigned columns, const char *before);
/* The columns with their types, by commas: for a CREATE TABLE. Keys and version are NOT NULL. */
void tern_sql_add_definitions(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                              unsigned columns);
/* ?first, ?first+1 ... for the columns. */
void tern_sql_add_parameters(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                             unsigned columns, unsigned first);
/* left."device"=right."device" AND ... over the key columns. */
void tern_sql_add_match(struct tern_sql_engine *engine, const struct tern_sql_table *table, const char *left,
                        const char *right);

/* "device"=?1 AND ... over the key columns. */
void tern_sql_add_key(struct tern_sql_engine *engine, const struct tern_sql_table *table);

/* What makes an INSERT of TERN_SQL_ALL columns a merge: ON CONFLICT ... or ON DUPLICATE KEY UPDATE ... with
 * the rules of each column, NULL-safe. A row that is older than the one there leaves `last` columns alone and
 * counts in the others. For APPEND the row that is there stays. `prefix` of the table's name, as for
 * tern_sql_add_table(). `fresh`: how a new value is said, with %s for the quoted column: tern_sql_excluded(),
 * or "s.%s" where the rows come from a table s. */
void tern_sql_add_merge(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                        const char *prefix, const char *fresh);
const char *tern_sql_excluded(const struct tern_sql_engine *engine); /* "excluded.%s" or "VALUES(%s)" */

/* The entry of tern_deleted_TABLE: the key, tern_id, tern_deleted. */
struct tern_sql_table tern_sql_tombs(const struct tern_sql_table *table);

/* "column"=CASE ... END, for a column that this schema lacks: NULL where the new row is the newer one, and a
 * comma behind it. Nothing for min, max and add. */
void tern_sql_add_lack(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                       const struct tern_sql_lack *lack);

/* Begins engine->text anew with INSERT INTO the table, or the one with `prefix` before its name, and the
 * columns in parentheses. */
void tern_sql_begin_insert(struct tern_sql_engine *engine, const char *prefix,
                           const struct tern_sql_table *table, unsigned columns);

/* The whole statement into engine->text: INSERT INTO table(all) SELECT all FROM stage ORDER BY keys, and the
 * merge. The rows of `stage` (TERN_SQL_ALL columns, one a key) that a tombstone outlives are left out.
 * `is_sorted`: the stage gives them in order of the key by itself. `fresh` as above. */
void tern_sql_write_merge(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                          const char *stage, bool is_sorted, const char *fresh);

/* "text" failed: out of memory. */
int tern_sql_check_text(struct tern_sql_engine *engine);

/* ---- Values ---------------------------------------------------------------------------------- */

/* Whether a row is put by the straight path, or by the merge. */
static inline bool tern_sql_takes(const struct tern_sink_row *row, bool straight)
{
    return row->op == TERN_OP_PUT && !row->rejected && row->fresh == straight;
}

/* An item's value in a row; those of tern's own columns are made in `own`. */
static inline const struct tern_value *
tern_sql_item_value(const struct tern_sql_item *item, const struct tern_sink_row *row, struct tern_value *own)
{
    if (item->index >= 0)
        return &row->values[item->index];
    if (item->column == &tern_sql_device)
        *own = tern_bytes(row->device, strlen(row->device));
    else if (item->column == &tern_sql_deleted)
        *own = tern_null();
    else
        *own = tern_int(item->column == &tern_sql_first ? row->first : row->id);
    return own;
}

/* Rows stand in order of the key, but in memory in the order in which they came: when row `at` is read, those
 * that follow are asked for, so that none is waited for. */
static inline void tern_sql_fetch_ahead(const struct tern_sink_load *load, size_t at)
{
    enum { ROWS = 4, BYTES = 512, LINE = 64 };
    size_t size = load->table->column_count * sizeof(struct tern_value);
    if (load->count - at <= 2 * ROWS)
        return;
    __builtin_prefetch(load->rows[at + 2 * ROWS]);
    const char *values = (const char *)load->rows[at + ROWS]->values;
    for (size_t i = 0; i < size && i < BYTES; i += LINE)
        __builtin_prefetch(values + i);
}

static inline struct tern_sql_value tern_sql_integer(int64_t integer)
{
    return (struct tern_sql_value){TERN_SQL_INTEGER, integer, 0, NULL, 0};
}

struct tern_sql_value tern_sql_string(const char *text);

/* NULL, text and bytes are the same to every database. False: it is another value, and `*plain` is
 * untouched. */
bool tern_sql_plain(const struct tern_column *column, const struct tern_value *value,
                    struct tern_sql_value *plain);

#endif
