/* SPDX-License-Identifier: MIT */
/* What tern-gateway ddl prints: the statements that the gateway would run, made by the same code, without
 * running any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tables.h"

/* A table as it would be. */
struct tern_sql_planned {
    struct tern_sql_planned *next;
    char name[TERN_SQL_NAME_ROOM];
    struct tern_sql_found *columns;
    size_t count;
    bool has_tombs;
};

static struct tern_sql_planned *find(const struct tern_sql_plan *plan, const char *name)
{
    struct tern_sql_planned *planned = plan->tables;
    while (planned != NULL && strcmp(planned->name, name) != 0)
        planned = planned->next;
    return planned;
}

bool tern_sql_plan_find(const struct tern_sql_plan *plan, struct tern_sql_listing *listing)
{
    const struct tern_sql_planned *planned = find(plan, tern_sql_table_name(listing->engine, listing->table));
    listing->count = 0;
    if (planned == NULL)
        return plan->offline;
    memcpy(listing->columns, planned->columns, planned->count * sizeof *planned->columns);
    listing->count = planned->count;
    return true;
}

bool tern_sql_plan_has(const struct tern_sql_plan *plan, const char *name, bool *has)
{
    const struct tern_sql_planned *planned = find(plan, name);
    *has = planned != NULL && planned->has_tombs;
    return plan->offline || *has;
}

int tern_sql_plan_print(struct tern_sql_engine *engine)
{
    tern_sql_add(&engine->text, ";\n");
    int status = tern_sql_check_text(engine);
    if (status == TERN_HOST_OK)
        engine->plan->print(engine->text.text);
    return status;
}

int tern_sql_plan_declare(struct tern_sql_engine *engine, const struct tern_table *table,
                          const struct tern_column *column)
{
    static const char *const keys[] = {"table_name", "name", NULL}, *const others[] = {"type", NULL};
    tern_sql_clear(&engine->text);
    /* Names of tables and columns have no quote in them. */
    tern_sql_add(&engine->text,
                 "INSERT INTO \"tern_column\"(\"table_name\",\"name\",\"type\") VALUES('%s','%s',%lu)",
                 table->name, column->name, (unsigned long)column->flags << 16 | column->type);
    tern_sql_add_upsert(engine, keys, others);
    return tern_sql_plan_print(engine);
}

/* ---- What a table would be then -------------------------------------------------------------- */

static void add_column(struct tern_sql_listing *listing, const char *name, bool is_key)
{
    if (listing->count == TERN_SQL_LISTED_MAX || tern_sql_find(listing, name) != NULL)
        return;
    struct tern_sql_found *column = &listing->columns[listing->count++];
    memset(column, 0, sizeof *column);
    snprintf(column->name, sizeof column->name, "%s", name);
    column->key = is_key;
}

static void add_columns(struct tern_sql_listing *listing, const struct tern_sql_table *table)
{
    const struct tern_table *schema = table->schema;
    add_column(listing, "device", true);
    add_column(listing, "tern_id", !table->has_keys);
    if (table->has_first)
        add_column(listing, "tern_first", false);
    if (table->has_deleted)
        add_column(listing, "tern_deleted", false);
    for (uint8_t i = 0; i < schema->column_count; i++) {
        const char *name = tern_sql_column_name(listing->engine, schema, schema->columns[i].name);
        add_column(listing, name, tern_sql_is_key(schema, i));
        struct tern_sql_found *column = tern_sql_find(listing, name);
        if (column == NULL)
            continue;
        column->type = tern_sql_widest(column, schema->columns[i].type);
        column->flags = schema->columns[i].flags;
        column->declared = true;
    }
}

/* Takes the listing's columns. */
static int keep(struct tern_sql_plan *plan, struct tern_sql_listing *listing,
                const struct tern_sql_table *table)
{
    const char *name = tern_sql_table_name(listing->engine, listing->table);
    struct tern_sql_planned *planned = find(plan, name);
    if (planned == NULL) {
        planned = calloc(1, sizeof *planned);
        if (planned == NULL)
            return tern_sink_fail(&listing->engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
        snprintf(planned->name, sizeof planned->name, "%s", name);
        planned->next = plan->tables;
        plan->tables = planned;
    }
    free(planned->columns);
    planned->columns = listing->columns;
    planned->count = listing->count;
    planned->has_tombs = planned->has_tombs || table->has_tombs;
    listing->columns = NULL;
    return TERN_HOST_OK;
}

void tern_sql_plan_free(struct tern_sql_plan *plan)
{
    while (plan != NULL && plan->tables != NULL) {
        struct tern_sql_planned *next = plan->tables->next;
        free(plan->tables->columns);
        free(plan->tables);
        plan->tables = next;
    }
    free(plan);
}

/* ---- Describing ------------------------------------------------------------------------------ */

static int describe_own(struct tern_sql_engine *engine)
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < tern_sql_own_count() && status == TERN_HOST_OK; i++) {
        bool has = false;
        const char *name = tern_sql_write_own(engine, i);
        if (!engine->plan->offline)
            status = tern_sql_has_table(engine, name, &has);
        if (strcmp(name, "tern_column") == 0)
            engine->plan->has_columns = has;
        if (status != TERN_HOST_OK || has)
            continue;
        tern_sql_write_own(engine, i);
        status = tern_sql_plan_print(engine);
    }
    return status;
}

static int describe(struct tern_sql_engine *engine, const struct tern_table *schema, bool deletes)
{
    struct tern_sql_listing listing = {engine, schema, malloc(TERN_SQL_LISTED_MAX * sizeof *listing.columns),
                                       0};
    struct tern_sql_table table = {0};
    int status = listing.columns == NULL ? tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory")
                                         : tern_sql_check_rules(engine, schema);
    tern_sql_describe(engine, schema, &table);
    deletes = deletes && schema->mode == TERN_MERGE && !table.has_rules;
    if (status == TERN_HOST_OK)
        status = tern_sql_make_table(&listing, &table, deletes);
    if (status == TERN_HOST_OK) {
        add_columns(&listing, &table);
        status = keep(engine->plan, &listing, &table);
    }
    free(listing.columns);
    return status;
}

int tern_sql_describe_table(struct tern_sink *sink, const struct tern_table *schema, bool offline,
                            bool deletes, void (*print)(const char *text))
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    if (engine->planned == NULL)
        engine->planned = calloc(1, sizeof *engine->planned);
    if (engine->planned == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory");
    engine->plan = engine->planned;
    engine->plan->print = print;
    engine->plan->offline = offline;
    int status = schema == NULL ? describe_own(engine) : describe(engine, schema, deletes);
    engine->plan = NULL;
    return status;
}

const char *tern_sql_ddl_begin(const struct tern_sink *sink)
{
    return ((const struct tern_sql_engine *)sink)->dialect->ddl_begin;
}
