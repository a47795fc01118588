/* SPDX-License-Identifier: MIT */
/* Inside the making of tables: tables.c does it or has it planned, plan.c prints. */
#ifndef TERN_SQL_TABLES_H
#define TERN_SQL_TABLES_H

#include "sql.h"

#define TERN_SQL_LISTED_MAX 512 /* columns of a table in the database that are looked at */

/* A column as the database has it. */
struct tern_sql_found {
    char name[TERN_SQL_NAME_ROOM];
    int key; /* place in the primary key from 1, 0: none */
    bool declared;
    uint16_t type; /* as tern declared it */
    uint8_t flags;
};

struct tern_sql_listing {
    struct tern_sql_engine *engine;
    const struct tern_table *table;
    struct tern_sql_found *columns; /* room for TERN_SQL_LISTED_MAX */
    size_t count;
};

/* What is printed instead of done, and how tables would then be: a later version of a schema goes on from
 * there. */
struct tern_sql_plan {
    void (*print)(const char *text);
    bool offline;     /* there is no database to ask */
    bool has_columns; /* tern_column is there to be asked */
    struct tern_sql_planned *tables;
};

/* Fills the listing from the plan. False: the database must be asked. */
bool tern_sql_plan_find(const struct tern_sql_plan *plan, struct tern_sql_listing *listing);
/* The same for whether the table of that name has one of deleted keys. */
bool tern_sql_plan_has(const struct tern_sql_plan *plan, const char *name, bool *has);
/* Prints engine->text as a statement. */
int tern_sql_plan_print(struct tern_sql_engine *engine);
/* Prints the statement by which a widened column is known to be wider: tern does not ask databases for
 * types. */
int tern_sql_plan_declare(struct tern_sql_engine *engine, const struct tern_table *table,
                          const struct tern_column *column);

/* The column of that name, which databases take in either case, or NULL. */
struct tern_sql_found *tern_sql_find(const struct tern_sql_listing *listing, const char *name);

/* The wider one of what was declared before and what this schema declares. */
uint16_t tern_sql_widest(const struct tern_sql_found *column, uint16_t type);

int tern_sql_has_table(struct tern_sql_engine *engine, const char *name, bool *has);

/* TERN_HOST_E_ARGUMENT: the schema has merge rules where none can be. */
int tern_sql_check_rules(struct tern_sql_engine *engine, const struct tern_table *table);

/* Looks, makes what is missing, and declares it; with engine->plan set, it prints that and does nothing. */
int tern_sql_make_table(struct tern_sql_listing *listing, struct tern_sql_table *table, bool deletes);

#endif
