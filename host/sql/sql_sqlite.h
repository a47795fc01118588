/* SPDX-License-Identifier: MIT */
#ifndef TERN_SQL_SQLITE_H
#define TERN_SQL_SQLITE_H

#include "sql.h"

extern const struct tern_sql_client_ops tern_sql_client_sqlite;

/* Merges a row of a table with rules into the one that is there. SQL cannot: a sum of REALs is not exact, and digits in TEXT do not
 * compare. A status of the client; TERN_SQL_E_ROW when a sum does not fit. */
int tern_sqlite_combine(struct tern_sql_engine *engine, struct tern_sql_table *table,
                        const struct tern_sink_row *row);

/* The rows of a load on their way into a statement that reads the table tern_rows (feed_sqlite.c). */
struct tern_sqlite_feed {
    const struct tern_sqlite_api *api;
    const struct tern_sql_engine *engine;
    const struct tern_sink_load *load; /* its puts are the rows */
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count;
    size_t at; /* the row being read; load->count behind the last */
};

struct sqlite3;

/* Makes the table known to the connection. A result code of SQLite. */
int tern_sqlite_feed_register(struct tern_sqlite_feed *feed, struct sqlite3 *database);

/* The client's. */
struct tern_sqlite_feed *tern_sqlite_client_feed(struct tern_sql_client *client);

#endif
