/* SPDX-License-Identifier: MIT */
#ifndef TERN_SQL_SQLITE_H
#define TERN_SQL_SQLITE_H

#include "sql.h"
#include "sqlite_api.h"

extern const struct tern_sql_client_ops tern_sql_client_sqlite;

/* Merges a row of a table with rules into the one that is there. SQL cannot: a sum of REALs is not exact, and
 * digits in TEXT do not compare. A status of the client; TERN_SQL_E_ROW when a sum does not fit. */
int tern_sqlite_combine(struct tern_sql_engine *engine, struct tern_sql_table *table,
                        const struct tern_sink_row *row);

/* Loads rows: the dialect's. */
int tern_sqlite_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                          const struct tern_sink_load *load);

/* The rows of a load on their way into a statement: one that reads the table tern_rows (feed_sqlite.c), or
 * one that calls the functions tern_meets and tern_value (update_sqlite.c). */
struct tern_sqlite_feed {
    const struct tern_sqlite_api *api;
    const struct tern_sql_engine *engine;
    const struct tern_sink_load *load; /* its puts are the rows */
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count, key_count;
    size_t at, end;  /* the row being read, and behind the last that is to be */
    unsigned passes; /* load_sqlite.c's: devices for which no UPDATE is tried */
    /* Of an UPDATE: */
    size_t passed, most;   /* rows of the table that it came to, and may come to */
    size_t missed;         /* the first row that was not there; `end`: all were */
    bool is_met, is_given; /* row `at` is to be updated; its values were asked for */
    char text[TERN_SQL_VALUE_ROOM];
};

struct sqlite3;
struct sqlite3_context;

/* Makes the table known to the connection. A result code of SQLite. */
int tern_sqlite_feed_register(struct tern_sqlite_feed *feed, struct sqlite3 *database);

/* The row's value of this item, as a result. `room`: for what must be written out; it is copied. */
void tern_sqlite_give(const struct tern_sqlite_feed *feed, struct sqlite3_context *to, size_t index,
                      char room[TERN_SQL_VALUE_ROOM]);

/* Makes the functions known to the connection. A result code of SQLite. */
int tern_sqlite_update_register(struct tern_sqlite_feed *feed, struct sqlite3 *database);

/* Whether an UPDATE can walk through this table beside the rows: they stand in its order. */
bool tern_sqlite_walks(const struct tern_sql_table *table);

/* Updates the rows of one device, those from `first` to before `end`, as far as they are there and older.
 * feed->missed is then the first that was not, and feed->passed how many rows of the table stand between
 * them. A status of the client: TERN_SQL_E_STATEMENT where SQLite will not do it row by row, or too many rows
 * stand between; what it did before may be there then or not. */
int tern_sqlite_update(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                       struct tern_sqlite_feed *feed, struct tern_sql_prepared **prepared, size_t first,
                       size_t end);

/* The client's. */
struct tern_sqlite_feed *tern_sqlite_client_feed(struct tern_sql_client *client);

#endif
