/* SPDX-License-Identifier: MIT */
/* MySQL's and MariaDB's client, and what it can beside struct tern_sql_client_ops: statements that are put together elsewhere. */
#ifndef TERN_SQL_MYSQL_H
#define TERN_SQL_MYSQL_H

#include "sql.h"

extern const struct tern_sql_client_ops tern_sql_client_mysql;

/* Bytes that grow. `failed`: out of memory; they are then not to be used. */
struct tern_mysql_text {
    char *bytes;
    size_t size;
    size_t room;
    bool failed;
};

/* Makes room for `size` bytes more, and returns where they go, or NULL. */
char *tern_mysql_reserve(struct tern_mysql_text *text, size_t size);
void tern_mysql_add(struct tern_mysql_text *text, const char *bytes, size_t size);

/* A value as a literal. */
void tern_mysql_add_value(struct tern_mysql_text *text, const struct tern_sql_value *value);

/* Runs a statement without an answer. A status of the client. */
int tern_mysql_query(struct tern_sql_client *client, const char *sql, size_t size);

/* Whether the server is MariaDB; known once connected. */
bool tern_mysql_is_mariadb(const struct tern_sql_client *client);

/* The dialect's load: INSERTs of many rows. */
int tern_mysql_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load);

#endif
