/* SPDX-License-Identifier: MIT */
/* Tables and columns in the database, from schemas: made on first sight, columns added, anything else
 * refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tables.h"

static int take_column(void *context, const struct tern_sql_value *values, size_t count)
{
    struct tern_sql_listing *listing = context;
    if (count < 2 || values[0].kind != TERN_SQL_TEXT || values[0].size >= TERN_SQL_NAME_ROOM ||
        listing->count == TERN_SQL_LISTED_MAX)
        return 0;
    struct tern_sql_found *column = &listing->columns[listing->count++];
    memset(column, 0, sizeof *column);
    memcpy(column->name, values[0].data, values[0].size);
    column->key = (int)values[1].integer;
    return 0;
}

struct tern_sql_found *tern_sql_find(const struct tern_sql_listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcasecmp(listing->columns[i].name, name) == 0)
            return &listing->columns[i];
    return NULL;
}

static struct tern_sql_found *find_column(const struct tern_sql_listing *listing, uint8_t index)
{
    return tern_sql_find(
        listing, tern_sql_column_name(listing->engine, listing->table, listing->table->columns[index].name));
}

/* Type in the low 16 bits, flags above. */
static int take_declared(void *context, const struct tern_sql_value *values, size_t count)
{
    struct tern_sql_listing *listing = context;
    char name[TERN_NAME_MAX + 1] = {0};
    if (count < 2 || values[0].kind != TERN_SQL_TEXT || values[0].size > TERN_NAME_MAX)
        return 0;
    memcpy(name, values[0].data, values[0].size);
    struct tern_sql_found *column =
        tern_sql_find(listing, tern_sql_column_name(listing->engine, listing->table, name));
    if (column == NULL || strncmp(name, "tern_", 5) == 0)
        return 0;
    column->declared = true;
    column->type = (uint16_t)(values[1].integer & 0xFFFF);
    column->flags = (uint8_t)(values[1].integer >> 16 & 0xFF);
    return 0;
}

static int list(struct tern_sql_engine *engine, const char *name, struct tern_sql_listing *listing)
{
    struct tern_sql_value value = tern_sql_string(name);
    listing->count = 0;
    return tern_sql_run(engine, TERN_SQL_READ_COLUMNS, &value, 1, take_column, listing);
}

static int list_all(struct tern_sql_listing *listing)
{
    struct tern_sql_engine *engine = listing->engine;
    struct tern_sql_value name = tern_sql_string(listing->table->name);
    if (engine->plan != NULL && tern_sql_plan_find(engine->plan, listing))
        return TERN_HOST_OK;
    int status = list(engine, tern_sql_table_name(engine, listing->table), listing);
    if (status == TERN_HOST_OK && (engine->plan == NULL || engine->plan->has_columns))
        status = tern_sql_run(engine, TERN_SQL_READ_DECLARED, &name, 1, take_declared, listing);
    return status;
}

static int take_any(void *context, const struct tern_sql_value *values, size_t count)
{
    (void)values;
    (void)count;
    *(bool *)context = true;
    return 0;
}

int tern_sql_has_table(struct tern_sql_engine *engine, const char *name, bool *has)
{
    struct tern_sql_value value = tern_sql_string(name);
    *has = false;
    return tern_sql_run(engine, TERN_SQL_READ_COLUMNS, &value, 1, take_any, has);
}

/* ---- Refusing -------------------------------------------------------------------------------- */

static uint8_t rule_of(uint8_t flags)
{
    return (uint8_t)(flags & ~(TERN_KEY | TERN_NULLABLE));
}

int tern_sql_check_rules(struct tern_sql_engine *engine, const struct tern_table *table)
{
    for (uint8_t i = 0; i < table->column_count; i++) {
        const struct tern_column *column = &table->columns[i];
        unsigned kind = TERN_TYPE_KIND(column->type);
        if (rule_of(column->flags) != 0 && table->mode != TERN_MERGE)
            return tern_sink_fail(
                &engine->sink, TERN_HOST_E_ARGUMENT,
                "column %s of table %s has a merge rule, which only a MERGE table can have: "
                "its records wait in the staging store",
                column->name, table->name);
        if (rule_of(column->flags) == TERN_ADD && (kind == TERN_KIND_BOOL || kind > TERN_KIND_FLOAT))
            return tern_sink_fail(
                &engine->sink, TERN_HOST_E_ARGUMENT,
                "column %s of table %s has the merge rule add, which only numbers can have: "
                "its records wait in the staging store",
                column->name, table->name);
    }
    return TERN_HOST_OK;
}

/* The key must be exactly what an upsert names: otherwise two devices' rows would be one. */
static int check_key(const struct tern_sql_listing *listing, bool has_keys)
{
    const struct tern_table *table = listing->table;
    size_t expected = has_keys ? 1 : 2, there = 0;
    const struct tern_sql_found *device = tern_sql_find(listing, "device"),
                                *id = tern_sql_find(listing, "tern_id");
    for (size_t i = 0; i < listing->count; i++)
        there += listing->columns[i].key != 0;
    bool good = device != NULL && device->key != 0 && id != NULL && (id->key == 0) == has_keys;
    for (uint8_t i = 0; good && i < table->column_count; i++) {
        const struct tern_sql_found *column = find_column(listing, i);
        bool key = tern_sql_is_key(table, i);
        good = column == NULL ? !key : (column->key != 0) == key;
        expected += key;
    }
    if (good && expected == there)
        return TERN_HOST_OK;
    return tern_sink_fail(
        &listing->engine->sink, TERN_HOST_E_ARGUMENT,
        "table %s exists with another primary key than tern's (device and %s): rename it, or "
        "give the device's table another name in the configuration",
        table->name, has_keys ? "the key columns" : "tern_id");
}

/* What can share a column: booleans and integers; decimals of any digits; each other kind with itself. */
static unsigned family(uint16_t type)
{
    unsigned kind = TERN_TYPE_KIND(type);
    return kind <= TERN_KIND_SIGNED ? TERN_KIND_SIGNED : kind;
}

static int check_types(const struct tern_sql_listing *listing)
{
    const struct tern_table *table = listing->table;
    for (uint8_t i = 0; i < table->column_count; i++) {
        const struct tern_sql_found *column = find_column(listing, i);
        if (column == NULL || !column->declared)
            continue;
        if (family(column->type) != family(table->columns[i].type))
            return tern_sink_fail(&listing->engine->sink, TERN_HOST_E_ARGUMENT,
                                  "column %s of table %s was declared with another type before: give the new "
                                  "column another name",
                                  table->columns[i].name, table->name);
        /* What is combined must not be rounded on the way. */
        if (rule_of(column->flags) != rule_of(table->columns[i].flags) ||
            (rule_of(column->flags) >= TERN_MIN && TERN_TYPE_KIND(column->type) == TERN_KIND_DECIMAL &&
             column->type != table->columns[i].type))
            return tern_sink_fail(&listing->engine->sink, TERN_HOST_E_ARGUMENT,
                                  "column %s of table %s had another merge rule, or other digits under it, "
                                  "before: give the new column another name",
                                  table->columns[i].name, table->name);
    }
    return TERN_HOST_OK;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static void add_create(struct tern_sql_engine *engine, const struct tern_sql_table *table, const char *prefix,
                       unsigned columns)
{
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(text, "CREATE TABLE IF NOT EXISTS ");
    tern_sql_add_table(engine, prefix, table->schema);
    tern_sql_add(text, "(");
    tern_sql_add_definitions(engine, table, columns);
    tern_sql_add(text, ",PRIMARY KEY(");
    tern_sql_add_columns(engine, table, TERN_SQL_KEYS, "");
    tern_sql_add(text, "))%s", engine->dialect->table_suffix(engine));
}

/* Columns but for tern's own are nullable: a later schema may lack one. */
void tern_sql_write_create(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    add_create(engine, table, "", TERN_SQL_ALL);
}

void tern_sql_write_create_tombs(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    struct tern_sql_table tombs = tern_sql_tombs(table);
    add_create(engine, &tombs, "tern_deleted_", TERN_SQL_KEYS | TERN_SQL_VERSION | TERN_SQL_DELETED);
}

/* A statement that the database refuses, as for a reserved name, concerns this table only; everything else is
 * tried again. */
static int execute_text(struct tern_sql_engine *engine, const char *doing)
{
    if (engine->text.failed)
        return tern_sql_check_text(engine);
    if (engine->plan != NULL)
        return tern_sql_plan_print(engine);
    if (engine->config.no_ddl)
        return tern_sink_fail(
            &engine->sink, TERN_HOST_E_ARGUMENT,
            "a table or column is missing or too narrow, and --ddl=off leaves it to you (`tern-gateway ddl` "
            "prints all of it): %.120s",
            engine->text.text);
    int status = engine->client->ops->execute(engine->client, engine->text.text);
    if (status == TERN_HOST_OK)
        return status;
    bool is_refused = status == TERN_SQL_E_STATEMENT || status == TERN_SQL_E_ROW;
    return tern_sql_fail(engine, is_refused ? TERN_HOST_E_ARGUMENT : status, doing);
}

static int add_column(struct tern_sql_engine *engine, const struct tern_table *table, const char *name,
                      const struct tern_column *column)
{
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "ALTER TABLE ");
    tern_sql_add_table(engine, "", table);
    tern_sql_add(&engine->text, " ADD COLUMN ");
    tern_sql_add_name(&engine->text, name);
    tern_sql_add(&engine->text, " %s", engine->dialect->type(engine, column));
    return execute_text(engine, "cannot add a column");
}

static int add_columns(const struct tern_sql_listing *listing, const struct tern_sql_table *table)
{
    struct tern_sql_engine *engine = listing->engine;
    int status = TERN_HOST_OK;
    for (uint8_t i = 0; i < listing->table->column_count && status == TERN_HOST_OK; i++) {
        const struct tern_column *column = &listing->table->columns[i];
        if (find_column(listing, i) == NULL)
            status = add_column(engine, listing->table,
                                tern_sql_column_name(engine, listing->table, column->name), column);
    }
    if (status == TERN_HOST_OK && table->has_first && tern_sql_find(listing, "tern_first") == NULL)
        status = add_column(engine, listing->table, "tern_first", &tern_sql_first);
    if (status == TERN_HOST_OK && table->has_deleted && tern_sql_find(listing, "tern_deleted") == NULL)
        status = add_column(engine, listing->table, "tern_deleted", &tern_sql_deleted);
    return status;
}

/* Grows with what a type can hold, among those of one family. */
static unsigned width(uint16_t type)
{
    unsigned parameter = TERN_TYPE_PARAMETER(type);
    return TERN_TYPE_KIND(type) == TERN_KIND_BOOL       ? 1
           : TERN_TYPE_KIND(type) == TERN_KIND_UNSIGNED ? parameter + 1
                                                        : parameter;
}

/* The wider one of what was declared before and what this schema declares. */
uint16_t tern_sql_widest(const struct tern_sql_found *column, uint16_t type)
{
    return column != NULL && column->declared && width(column->type) >= width(type) ? column->type : type;
}

static int widen_column(struct tern_sql_engine *engine, const struct tern_table *table,
                        const struct tern_sql_found *found, const struct tern_column *column)
{
    struct tern_column before = *column;
    char type[64];
    before.type = found->type;
    snprintf(type, sizeof type, "%s", engine->dialect->type(engine, &before));
    if (tern_sql_widest(found, column->type) == found->type || engine->dialect->widen == NULL ||
        strcmp(type, engine->dialect->type(engine, column)) == 0)
        return TERN_HOST_OK;
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "ALTER TABLE ");
    tern_sql_add_table(engine, "", table);
    tern_sql_add(&engine->text, " %s", engine->dialect->widen);
    tern_sql_add_name(&engine->text, found->name);
    tern_sql_add(&engine->text, "%s%s", engine->dialect->widen_type, engine->dialect->type(engine, column));
    int status = execute_text(engine, "cannot widen a column");
    if (status == TERN_HOST_OK && engine->plan != NULL)
        status = tern_sql_plan_declare(engine, table, column);
    return status;
}

static int widen_columns(const struct tern_sql_listing *listing)
{
    int status = TERN_HOST_OK;
    for (uint8_t i = 0; i < listing->table->column_count && status == TERN_HOST_OK; i++) {
        const struct tern_sql_found *column = find_column(listing, i);
        if (column != NULL && column->declared)
            status = widen_column(listing->engine, listing->table, column, &listing->table->columns[i]);
    }
    return status;
}

static int declare(struct tern_sql_engine *engine, const struct tern_table *table, const char *name,
                   int64_t type)
{
    struct tern_sql_value values[] = {tern_sql_string(table->name), tern_sql_string(name),
                                      tern_sql_integer(type)};
    return tern_sql_run(engine, TERN_SQL_PUT_COLUMN, values, 3, NULL, NULL);
}

/* From here on every load looks for deleted keys. One that has begun before is waited for, so that no older
 * row that it brings appears behind the first delete. */
static int declare_tombs(struct tern_sql_engine *engine, const struct tern_table *table)
{
    const struct tern_sql_dialect *dialect = engine->dialect;
    struct tern_sql_value name = tern_sql_string(table->name);
    int status = TERN_HOST_OK;
    if (dialect->not_alone != NULL) /* making a table has ended the transaction */
        status = tern_sql_execute(engine, dialect->begin, "cannot begin a transaction");
    if (status == TERN_HOST_OK && dialect->lock[0] != '\0')
        status = tern_sql_lock_device(engine, table, "");
    if (status == TERN_HOST_OK && dialect->lock[0] != '\0')
        status = tern_sql_run(engine, TERN_SQL_AWAIT_LOADS, &name, 1, NULL, NULL);
    return status == TERN_HOST_OK ? declare(engine, table, "tern_tombs", 0) : status;
}

/* tern's own columns and tables are declared too, so that others see by the count that something was made. */
static int declare_columns(const struct tern_sql_listing *listing, const struct tern_sql_table *table)
{
    struct tern_sql_engine *engine = listing->engine;
    const struct tern_table *schema = table->schema;
    int status = TERN_HOST_OK;
    for (uint8_t i = 0; i < schema->column_count && status == TERN_HOST_OK; i++)
        status = declare(engine, schema, schema->columns[i].name,
                         (int64_t)schema->columns[i].flags << 16 |
                             tern_sql_widest(find_column(listing, i), schema->columns[i].type));
    if (status == TERN_HOST_OK && table->has_first)
        status = declare(engine, schema, "tern_first", 0);
    if (status == TERN_HOST_OK && table->has_deleted)
        status = declare(engine, schema, "tern_deleted", 0);
    return status == TERN_HOST_OK && table->has_tombs ? declare_tombs(engine, schema) : status;
}

static int make_tombs(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    char name[TERN_SQL_NAME_ROOM];
    bool has = false;
    tern_sql_tombs_name(engine, table->schema, name);
    int status = engine->plan != NULL &&
                         tern_sql_plan_has(engine->plan, tern_sql_table_name(engine, table->schema), &has)
                     ? TERN_HOST_OK
                     : tern_sql_has_table(engine, name, &has);
    table->has_tombs = true;
    if (status != TERN_HOST_OK || has)
        return status;
    tern_sql_write_create_tombs(engine, table);
    return execute_text(engine, "cannot create the table of deleted keys");
}

/* A table of somebody else's may be one that must not be written to, and is held alone then. Of no row, so
 * that nothing changes. */
static int try_writing(struct tern_sql_engine *engine, const struct tern_sql_table *table, bool deletes)
{
    struct tern_sql_text *text = &engine->text;
    tern_sql_begin_insert(engine, "", table, TERN_SQL_ALL);
    tern_sql_add(text, " SELECT ");
    tern_sql_add_columns(engine, table, TERN_SQL_ALL, "");
    tern_sql_add(text, " FROM ");
    tern_sql_add_table(engine, "", table->schema);
    tern_sql_add(text, " WHERE 1=0");
    if (table->has_keys) {
        tern_sql_add(text, ";UPDATE ");
        tern_sql_add_table(engine, "", table->schema);
        tern_sql_add(text, " SET \"tern_id\"=\"tern_id\" WHERE 1=0");
    }
    if (deletes || table->schema->mode == TERN_OVERWRITE) {
        tern_sql_add(text, ";DELETE FROM ");
        tern_sql_add_table(engine, "", table->schema);
        tern_sql_add(text, " WHERE 1=0");
    }
    int status = tern_sql_check_text(engine);
    if (status != TERN_HOST_OK)
        return status;
    status = engine->client->ops->execute(engine->client, text->text);
    if (status == TERN_HOST_OK || status == TERN_SQL_E_ROW) /* which each row will say by itself */
        return TERN_HOST_OK;
    return tern_sql_fail(engine, status == TERN_SQL_E_STATEMENT ? TERN_HOST_E_ARGUMENT : status,
                         table->schema->name);
}

int tern_sql_make_table(struct tern_sql_listing *listing, struct tern_sql_table *table, bool deletes)
{
    struct tern_sql_engine *engine = listing->engine;
    int status = list_all(listing);
    if (status == TERN_HOST_OK && listing->count == 0) {
        tern_sql_write_create(engine, table);
        status = execute_text(engine, "cannot create a table");
    } else if (status == TERN_HOST_OK) {
        status = check_key(listing, table->has_keys);
        if (status == TERN_HOST_OK)
            status = check_types(listing);
        if (status == TERN_HOST_OK)
            status = add_columns(listing, table);
        if (status == TERN_HOST_OK)
            status = widen_columns(listing);
        if (status == TERN_HOST_OK && engine->plan == NULL)
            status = try_writing(engine, table, deletes && !engine->config.soft_delete);
    }
    if (status == TERN_HOST_OK && deletes && !engine->config.soft_delete)
        status = make_tombs(engine, table);
    return status == TERN_HOST_OK && engine->plan == NULL ? declare_columns(listing, table) : status;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static int take_count(void *context, const struct tern_sql_value *values, size_t count)
{
    if (count > 0)
        *(uint32_t *)context = (uint32_t)values[0].integer;
    return 0;
}

static int count_declared(struct tern_sql_engine *engine, const struct tern_table *table, uint32_t *count)
{
    struct tern_sql_value name = tern_sql_string(table->name);
    *count = 0;
    return tern_sql_run(engine, TERN_SQL_COUNT_DECLARED, &name, 1, take_count, count);
}

static int take_lacks(const struct tern_sql_listing *listing, struct tern_sql_table *table)
{
    table->lack_count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const struct tern_sql_found *column = &listing->columns[i];
        bool has = !column->declared;
        for (uint8_t k = 0; k < listing->table->column_count && !has; k++)
            has = find_column(listing, k) == column;
        if (has)
            continue;
        struct tern_sql_lack *lacks = realloc(table->lacks, (table->lack_count + 1) * sizeof *lacks);
        if (lacks == NULL)
            return tern_sink_fail(&listing->engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
        table->lacks = lacks;
        memcpy(lacks[table->lack_count].name, column->name, sizeof column->name);
        lacks[table->lack_count++].flags = column->flags;
    }
    return TERN_HOST_OK;
}

/* Fills what the table's entry says about the database. */
static int look(struct tern_sql_listing *listing, struct tern_sql_table *table)
{
    struct tern_sql_engine *engine = listing->engine;
    char tombs[TERN_SQL_NAME_ROOM];
    tern_sql_tombs_name(engine, table->schema, tombs);
    int status = tern_sql_has_table(engine, tombs, &table->has_tombs);
    if (status == TERN_HOST_OK)
        status = list_all(listing);
    if (status != TERN_HOST_OK)
        return status;
    table->has_first = tern_sql_find(listing, "tern_first") != NULL;
    table->has_deleted = tern_sql_find(listing, "tern_deleted") != NULL;
    /* Another version of the schema may have brought the first rule. */
    for (size_t i = 0; i < listing->count; i++)
        table->has_rules = table->has_rules || rule_of(listing->columns[i].flags) != 0;
    table->remove = table->bury = table->above = table->any = table->tombs = table->clear = table->insert =
        NULL;
    table->newer[0] = table->newer[1] = NULL;
    memset(table->other, 0, sizeof table->other);
    status = take_lacks(listing, table);
    return status == TERN_HOST_OK ? count_declared(engine, table->schema, &table->revision) : status;
}

static int look_again(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    struct tern_sql_listing listing = {engine, table->schema,
                                       malloc(TERN_SQL_LISTED_MAX * sizeof *listing.columns), 0};
    int status = listing.columns == NULL ? tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory")
                                         : look(&listing, table);
    free(listing.columns);
    return status;
}

static int take_row(void *context, const struct tern_sql_value *values, size_t count)
{
    (void)values;
    *(bool *)context = count != 0;
    return 0;
}

/* The row that stands for the table is made by the first load of all. */
static int begin_loads(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    struct tern_sql_value name = tern_sql_string(table->schema->name);
    bool may_delete = table->schema->mode == TERN_MERGE && !table->has_rules && !engine->config.soft_delete;
    bool found = false;
    if (!may_delete || table->has_tombs || engine->dialect->lock[0] == '\0')
        return TERN_HOST_OK;
    int status = tern_sql_run(engine, TERN_SQL_BEGIN_LOADS, &name, 1, take_row, &found);
    return status != TERN_HOST_OK || found ? status : tern_sql_lock_device(engine, table->schema, "");
}

int tern_sql_refresh(struct tern_sql_engine *engine, struct tern_sql_table *table)
{
    uint32_t count = 0;
    int status = begin_loads(engine, table);
    if (status == TERN_HOST_OK)
        status = count_declared(engine, table->schema, &count);
    return status != TERN_HOST_OK || count == table->revision ? status : look_again(engine, table);
}

/* ---- The list -------------------------------------------------------------------------------- */

struct tern_sql_table *tern_sql_find_table(const struct tern_sql_engine *engine,
                                           const struct tern_table *table)
{
    struct tern_sql_table *known = engine->tables;
    while (known != NULL && known->schema != table)
        known = known->next;
    return known;
}

void tern_sql_describe(const struct tern_sql_engine *engine, const struct tern_table *schema,
                       struct tern_sql_table *table)
{
    table->schema = schema;
    for (uint8_t i = 0; i < schema->column_count; i++) {
        table->has_keys = table->has_keys || tern_sql_is_key(schema, i);
        table->has_rules = table->has_rules || rule_of(schema->columns[i].flags) != 0;
        table->has_first = table->has_first || rule_of(schema->columns[i].flags) == TERN_FIRST;
    }
    table->has_deleted = engine->config.soft_delete && schema->mode == TERN_MERGE && !table->has_rules;
}

/* In a transaction where the database has one for this, and with no other gateway or worker between the look
 * and what is made. */
static int make_whole(struct tern_sql_listing *listing, struct tern_sql_table *table, bool deletes)
{
    struct tern_sql_engine *engine = listing->engine;
    int status = tern_sql_check_rules(engine, table->schema);
    if (status != TERN_HOST_OK || (status = tern_sql_begin(&engine->sink)) != TERN_HOST_OK)
        return status;
    status = tern_sql_be_alone(engine);
    if (status == TERN_HOST_OK)
        status = tern_sql_make_table(listing, table, deletes);
    if (status == TERN_HOST_OK)
        status = tern_sql_execute(engine, "COMMIT", "cannot commit a table");
    if (status != TERN_HOST_OK)
        tern_sql_rollback(&engine->sink);
    tern_sql_end_alone(engine);
    return status == TERN_HOST_OK ? look(listing, table) : status;
}

int tern_sql_prepare(struct tern_sink *sink, const struct tern_table *schema, uint32_t hash, bool deletes)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_listing listing = {engine, schema, malloc(TERN_SQL_LISTED_MAX * sizeof *listing.columns),
                                       0};
    struct tern_sql_table *table = tern_sql_find_table(engine, schema), *made = NULL;
    if (table == NULL)
        table = made = calloc(1, sizeof *made);
    int status = TERN_HOST_OK;
    if (table == NULL || listing.columns == NULL)
        status = tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory");
    if (status == TERN_HOST_OK && made != NULL)
        tern_sql_describe(engine, schema, made);
    if (status == TERN_HOST_OK)
        status = make_whole(&listing, table, deletes);
    free(listing.columns);
    if (status != TERN_HOST_OK && made != NULL) {
        free(made->lacks);
        free(made);
    } else if (made != NULL) {
        made->hash = hash;
        made->next = engine->tables;
        engine->tables = made;
    }
    return status;
}
