/* SPDX-License-Identifier: MIT */
/* MySQL's and MariaDB's client, and what it can beside struct tern_sql_client_ops: statements that are put
 * together elsewhere. */
#ifndef TERN_SQL_MYSQL_H
#define TERN_SQL_MYSQL_H

#include "../buffer.h"
#include "mysql_api.h"
#include "sql.h"

extern const struct tern_sql_client_ops tern_sql_client_mysql;

/* A value as a literal. */
void tern_mysql_add_value(struct tern_buffer *text, const struct tern_sql_value *value);

/* Runs a statement without an answer. A status of the client. */
int tern_mysql_query(struct tern_sql_client *client, const char *sql, size_t size);

/* A file that is written while the server reads it. */
struct tern_mysql_file {
    void (*write)(struct tern_mysql_file *file); /* puts the next bytes into `bytes`, nothing at the end */
    struct tern_buffer bytes;
    size_t given; /* of them */
};

/* Runs a LOAD DATA LOCAL INFILE, whatever name it says, over this file. `rows` that went in, and `warnings`:
 * with LOCAL the server skips or bends what an INSERT would refuse. TERN_SQL_E_STATEMENT: server or client
 * forbid it. */
int tern_mysql_send_file(struct tern_sql_client *client, const char *sql, struct tern_mysql_file *file,
                         uint64_t *rows, unsigned *warnings);

/* Whether the server is MariaDB; known once connected. */
bool tern_mysql_is_mariadb(const struct tern_sql_client *client);

/* Whether a statement can be run for many rows at once: library and server are MariaDB's, and it was not
 * refused on this connection. */
bool tern_mysql_has_bulk(const struct tern_sql_client *client);

/* Prepares such a statement, runs it for `rows` rows (the arrays that `binds` point to), and releases it. A
 * status of the client. */
int tern_mysql_bulk_begin(struct tern_sql_client *client, const char *sql, size_t size);
int tern_mysql_bulk_run(struct tern_sql_client *client, struct tern_mysql_bind *binds, unsigned rows,
                        uint64_t *affected);
void tern_mysql_bulk_end(struct tern_sql_client *client);

/* From where a load that the server refuses can be undone; its status is settled so: `*done` says whether it
 * went in, and nothing of it stays where the server refuses something, which is no error yet. */
int tern_mysql_savepoint(struct tern_sql_engine *engine);
int tern_mysql_settle(struct tern_sql_engine *engine, int status, bool *done);

/* The straight rows of a load, or those that are merged, by one INSERT that is run for arrays of values.
 * `*done` as below. */
int tern_mysql_load_bulk(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load, bool straight, bool *done);

/* The straight rows of a load by LOAD DATA LOCAL INFILE, into the table itself. `*done` false: nothing went
 * in, as one of the rows is refused or the server forbids it; INSERTs then say more. A status of the
 * client. */
int tern_mysql_load_file(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load, bool *done);

/* The same for those that are merged, by way of a temporary table. */
int tern_mysql_merge_file(struct tern_sql_engine *engine, struct tern_sql_table *table,
                          const struct tern_sink_load *load, bool *done);

/* The dialect's load: LOAD DATA LOCAL INFILE and INSERTs of many rows. */
int tern_mysql_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load);

#endif
