/* SPDX-License-Identifier: MIT */
#ifndef TERN_SQL_SQLITE_H
#define TERN_SQL_SQLITE_H

#include "sql.h"

extern const struct tern_sql_client_ops tern_sql_client_sqlite;

#endif
