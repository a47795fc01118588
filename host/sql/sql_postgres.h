/* SPDX-License-Identifier: MIT */
/* PostgreSQL's client, and what it can beside struct tern_sql_client_ops: COPY. */
#ifndef TERN_SQL_POSTGRES_H
#define TERN_SQL_POSTGRES_H

#include "sql.h"

extern const struct tern_sql_client_ops tern_sql_client_postgres;

/* Runs `sql`, a SELECT of `count` columns: their types' object ids. A status of the client, as of all
 * functions here. */
int tern_postgres_types(struct tern_sql_client *client, const char *sql, unsigned *types, size_t count);

/* Begins `sql`, a COPY ... FROM STDIN. */
int tern_postgres_copy_begin(struct tern_sql_client *client, const char *sql);

/* Sends bytes; best many at once. An error here is of the connection: what the server thinks of the rows is
 * known at the end. */
int tern_postgres_copy_send(struct tern_sql_client *client, const char *bytes, size_t size);

/* Ends it, whatever happened before. `rows`: how many the server took. After TERN_SQL_E_ROW and
 * TERN_SQL_E_DUPLICATE `line` says which line of the input is at fault, 0: it does not say. */
int tern_postgres_copy_end(struct tern_sql_client *client, bool good, uint64_t *rows, uint64_t *line);

/* Marks the place in the transaction that tern_postgres_doom() goes back to. */
int tern_postgres_mark(struct tern_sql_client *client);

/* Goes back to the mark, after a row was refused, in a transaction that now refuses to be committed: the
 * importer does all of it again. Ends with the next ROLLBACK. */
int tern_postgres_doom(struct tern_sql_client *client);

/* The dialect's load: COPY into the table for rows that are surely new, COPY into a temporary table and a
 * merge for the others. */
int tern_postgres_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                            const struct tern_sink_load *load);

#endif
