/* SPDX-License-Identifier: MIT */
#ifndef TERN_SQL_SQLITE_H
#define TERN_SQL_SQLITE_H

#include "sql.h"

extern const struct tern_sql_client_ops tern_sql_client_sqlite;

/* Merges a row of a table with rules into the one that is there. SQL cannot: a sum of REALs is not exact, and digits in TEXT do not
 * compare. A status of the client; TERN_SQL_E_ROW when a sum does not fit. */
int tern_sqlite_combine(struct tern_sql_engine *engine, struct tern_sql_table *table,
                        const struct tern_sink_row *row);

#endif
