/* SPDX-License-Identifier: MIT */
/* SQL that dialects share: names, lists of columns, what two rows of one key become. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/crc32c.h"
#include "sql.h"

/* ---- Text ------------------------------------------------------------------------------------ */

void tern_sql_clear(struct tern_sql_text *text)
{
    text->size = 0;
    text->failed = false;
}

void tern_sql_add(struct tern_sql_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (text->size + (size_t)size + 1 > text->room) {
        size_t room = (text->size + (size_t)size + 1) * 2;
        char *bigger = realloc(text->text, room);
        if (bigger == NULL) {
            text->failed = true;
            return;
        }
        text->text = bigger;
        text->room = room;
    }
    va_start(arguments, format);
    vsnprintf(text->text + text->size, text->room - text->size, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void tern_sql_free(struct tern_sql_text *text)
{
    free(text->text);
    memset(text, 0, sizeof *text);
}

int tern_sql_check_text(struct tern_sql_engine *engine)
{
    return engine->text.failed ? tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory")
                               : TERN_HOST_OK;
}

/* ---- Names ----------------------------------------------------------------------------------- */

void tern_sql_add_name(struct tern_sql_text *text, const char *name)
{
    tern_sql_add(text, "\"");
    for (const char *part = name; *part != '\0';) {
        size_t plain = strcspn(part, "\"");
        tern_sql_add(text, "%.*s", (int)plain, part);
        part += plain;
        if (*part == '"')
            tern_sql_add(text, "\"\""), part++;
    }
    tern_sql_add(text, "\"");
}

static const char *map_name(const struct tern_sql_engine *engine, const char *from, const char *name)
{
    for (size_t i = 0; i < engine->config.name_count; i++)
        if (strcmp(engine->config.names[i].from, from) == 0)
            return engine->config.names[i].to;
    return name;
}

const char *tern_sql_table_name(const struct tern_sql_engine *engine, const struct tern_table *table)
{
    return map_name(engine, table->name, table->name);
}

const char *tern_sql_column_name(const struct tern_sql_engine *engine, const struct tern_table *table,
                                 const char *column)
{
    char from[2 * TERN_NAME_MAX + 2];
    snprintf(from, sizeof from, "%.63s.%.63s", table->name, column);
    return map_name(engine, from, column);
}

/* PostgreSQL would cut a longer name, so that two tables shared one, and MySQL would refuse it. */
void tern_sql_tombs_name(const struct tern_sql_engine *engine, const struct tern_table *table,
                         char name[TERN_SQL_NAME_ROOM])
{
    const char *whole = tern_sql_table_name(engine, table);
    size_t size = strlen(whole), cut = TERN_NAME_MAX - strlen("tern_deleted_") - strlen("_12345678");
    if (size + strlen("tern_deleted_") <= TERN_NAME_MAX) {
        snprintf(name, TERN_SQL_NAME_ROOM, "tern_deleted_%s", whole);
        return;
    }
    while (((unsigned char)whole[cut] & 0xC0) == 0x80) /* a character stays whole */
        cut--;
    snprintf(name, TERN_SQL_NAME_ROOM, "tern_deleted_%.*s_%08" PRIx32, (int)cut, whole,
             tern_crc32c(0, whole, size));
}

void tern_sql_add_table(struct tern_sql_engine *engine, const char *prefix, const struct tern_table *table)
{
    char name[TERN_SQL_NAME_ROOM];
    if (prefix[0] != '\0')
        tern_sql_tombs_name(engine, table, name);
    tern_sql_add_name(&engine->text, prefix[0] != '\0' ? name : tern_sql_table_name(engine, table));
}

void tern_sql_add_column(struct tern_sql_engine *engine, const struct tern_table *table, const char *column)
{
    tern_sql_add_name(&engine->text, tern_sql_column_name(engine, table, column));
}

/* ---- Columns --------------------------------------------------------------------------------- */

const struct tern_column tern_sql_device = {"device", TERN_TEXT(TERN_ID_MAX), TERN_KEY};
const struct tern_column tern_sql_id = {"tern_id", TERN_I64, 0};
const struct tern_column tern_sql_first = {"tern_first", TERN_I64, 0};
const struct tern_column tern_sql_deleted = {"tern_deleted", TERN_TIME_MS, TERN_NULLABLE};

bool tern_sql_is_key(const struct tern_table *table, uint8_t column)
{
    return table->mode != TERN_APPEND && (table->columns[column].flags & TERN_KEY) != 0;
}

size_t tern_sql_list(const struct tern_sql_table *table, unsigned columns,
                     struct tern_sql_item items[TERN_SQL_ITEMS_MAX])
{
    const struct tern_table *schema = table->schema;
    size_t count = 0;
    if ((columns & TERN_SQL_KEYS) != 0)
        items[count++] = (struct tern_sql_item){&tern_sql_device, -1};
    for (uint8_t i = 0; i < schema->column_count; i++)
        if ((columns & TERN_SQL_KEYS) != 0 && tern_sql_is_key(schema, i))
            items[count++] = (struct tern_sql_item){&schema->columns[i], i};
    if ((columns & (table->has_keys ? TERN_SQL_VERSION : TERN_SQL_KEYS)) != 0)
        items[count++] = (struct tern_sql_item){&tern_sql_id, -1};
    if ((columns & TERN_SQL_VERSION) != 0 && table->has_first)
        items[count++] = (struct tern_sql_item){&tern_sql_first, -1};
    for (uint8_t i = 0; i < schema->column_count; i++)
        if ((columns & TERN_SQL_PAYLOAD) != 0 && !tern_sql_is_key(schema, i))
            items[count++] = (struct tern_sql_item){&schema->columns[i], i};
    if ((columns & TERN_SQL_DELETED) != 0 && table->has_deleted)
        items[count++] = (struct tern_sql_item){&tern_sql_deleted, -1};
    return count;
}

void tern_sql_add_item(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                       const struct tern_sql_item *item)
{
    if (item->index < 0)
        tern_sql_add_name(&engine->text, item->column->name);
    else
        tern_sql_add_column(engine, table->schema, item->column->name);
}

void tern_sql_add_columns(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                          unsigned columns, const char *before)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, columns, items);
    for (size_t i = 0; i < count; i++) {
        tern_sql_add(&engine->text, "%s%s", i == 0 ? "" : ",", before);
        tern_sql_add_item(engine, table, &items[i]);
    }
}

void tern_sql_add_definitions(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                              unsigned columns)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, columns, items);
    for (size_t i = 0; i < count; i++) {
        const struct tern_column *column = items[i].column;
        bool is_null = items[i].index >= 0 ? !tern_sql_is_key(table->schema, (uint8_t)items[i].index)
                                           : column == &tern_sql_deleted;
        tern_sql_add(&engine->text, "%s", i == 0 ? "" : ",");
        tern_sql_add_item(engine, table, &items[i]);
        tern_sql_add(&engine->text, " %s%s", engine->dialect->type(engine, column),
                     is_null ? "" : " NOT NULL");
    }
}

void tern_sql_add_parameters(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                             unsigned columns, unsigned first)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, columns, items);
    for (size_t i = 0; i < count; i++)
        tern_sql_add(&engine->text, "%s?%u", i == 0 ? "" : ",", first + (unsigned)i);
}

void tern_sql_add_match(struct tern_sql_engine *engine, const struct tern_sql_table *table, const char *left,
                        const char *right)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, TERN_SQL_KEYS, items);
    for (size_t i = 0; i < count; i++) {
        tern_sql_add(&engine->text, "%s%s", i == 0 ? "" : " AND ", left);
        tern_sql_add_item(engine, table, &items[i]);
        tern_sql_add(&engine->text, "=%s", right);
        tern_sql_add_item(engine, table, &items[i]);
    }
}

size_t tern_sql_bind(const struct tern_sql_engine *engine, const struct tern_sql_table *table,
                     unsigned columns, const struct tern_sink_row *row, int64_t at,
                     struct tern_sql_value *values, char (*texts)[TERN_SQL_VALUE_ROOM])
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, columns, items);
    for (size_t i = 0; i < count; i++) {
        const struct tern_column *column = items[i].column;
        struct tern_value moment = row->op == TERN_OP_DELETE ? tern_int(at) : tern_null();
        if (items[i].index >= 0)
            values[i] = engine->dialect->value(engine, column, &row->values[items[i].index], texts[i]);
        else if (column == &tern_sql_device)
            values[i] = tern_sql_string(row->device);
        else if (column == &tern_sql_deleted)
            values[i] = engine->dialect->value(engine, column, &moment, texts[i]);
        else
            values[i] = tern_sql_integer(column == &tern_sql_id ? row->id : row->first);
    }
    return count;
}

/* ---- Merging --------------------------------------------------------------------------------- */

struct merging {
    struct tern_sql_engine *engine;
    const struct tern_sql_table *table;
    const char *prefix; /* of the table's name */
    const char *fresh;
    bool guarded; /* the whole SET is behind a WHERE that asks for the newer tern_id */
};

const char *tern_sql_excluded(const struct tern_sql_engine *engine)
{
    return engine->dialect->upsert == TERN_SQL_ON_CONFLICT ? "excluded.%s" : "VALUES(%s)";
}

/* The column as it stands in the table. */
static void add_old(const struct merging *merging, const char *name)
{
    tern_sql_add_table(merging->engine, merging->prefix, merging->table->schema);
    tern_sql_add(&merging->engine->text, ".");
    tern_sql_add_name(&merging->engine->text, name);
}

/* As the new row brings it. */
static void add_new(const struct merging *merging, const char *name)
{
    const char *place = strstr(merging->fresh, "%s");
    tern_sql_add(&merging->engine->text, "%.*s", (int)(place - merging->fresh), merging->fresh);
    tern_sql_add_name(&merging->engine->text, name);
    tern_sql_add(&merging->engine->text, "%s", place + 2);
}

/* Whether the new row is the newer one (or for `first`: the older one). */
static void add_wins(const struct merging *merging, unsigned rule)
{
    struct tern_sql_text *text = &merging->engine->text;
    if (rule != TERN_FIRST) {
        add_new(merging, "tern_id");
        tern_sql_add(text, ">");
        add_old(merging, "tern_id");
        return;
    }
    /* A row from before the column was made has none. */
    add_new(merging, "tern_first");
    tern_sql_add(text, "<COALESCE(");
    add_old(merging, "tern_first");
    tern_sql_add(text, ",");
    add_old(merging, "tern_id");
    tern_sql_add(text, ")");
}

/* CASE WHEN the new row wins THEN new ELSE old END; a NULL stands where this schema lacks the column. */
static void add_choice(const struct merging *merging, const char *name, unsigned rule, bool lacks)
{
    struct tern_sql_text *text = &merging->engine->text;
    tern_sql_add(text, "CASE WHEN ");
    add_wins(merging, rule);
    tern_sql_add(text, " THEN ");
    if (lacks)
        tern_sql_add(text, "NULL");
    else
        add_new(merging, name);
    tern_sql_add(text, " ELSE ");
    add_old(merging, name);
    tern_sql_add(text, " END");
}

/* Least, greatest, sum: a NULL is no value and changes nothing. */
static void add_combination(const struct merging *merging, const struct tern_column *column, const char *name)
{
    struct tern_sql_engine *engine = merging->engine;
    struct tern_sql_text *text = &engine->text;
    unsigned rule = column->flags & ~3u;
    const char *collation =
        engine->dialect->collation == NULL ? "" : engine->dialect->collation(engine, column);
    tern_sql_add(text, "CASE WHEN ");
    add_new(merging, name);
    tern_sql_add(text, " IS NULL THEN ");
    add_old(merging, name);
    tern_sql_add(text, " WHEN ");
    add_old(merging, name);
    tern_sql_add(text, " IS NULL");
    if (rule != TERN_ADD) {
        tern_sql_add(text, " OR ");
        add_new(merging, name);
        tern_sql_add(text, "%s%s", collation, rule == TERN_MIN ? "<" : ">");
        add_old(merging, name);
    }
    tern_sql_add(text, " THEN ");
    add_new(merging, name);
    tern_sql_add(text, " ELSE ");
    add_old(merging, name);
    if (rule == TERN_ADD) {
        tern_sql_add(text, "+");
        add_new(merging, name);
    }
    tern_sql_add(text, " END");
}

static void add_assignment(const struct merging *merging, const char *name, const struct tern_column *column)
{
    struct tern_sql_text *text = &merging->engine->text;
    unsigned rule = column->flags & ~3u;
    tern_sql_add_name(text, name);
    tern_sql_add(text, "=");
    if (rule >= TERN_MIN)
        add_combination(merging, column, name);
    else if (merging->guarded)
        add_new(merging, name);
    else
        add_choice(merging, name, rule, false);
    tern_sql_add(text, ",");
}

static void add_lack(const struct merging *merging, const struct tern_sql_lack *lack)
{
    struct tern_sql_text *text = &merging->engine->text;
    unsigned rule = lack->flags & ~3u;
    if (rule >= TERN_MIN)
        return;
    tern_sql_add_name(text, lack->name);
    tern_sql_add(text, "=");
    if (merging->guarded)
        tern_sql_add(text, "NULL");
    else
        add_choice(merging, lack->name, rule, true);
    tern_sql_add(text, ",");
}

void tern_sql_add_lack(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                       const struct tern_sql_lack *lack)
{
    struct merging merging = {engine, table, "", tern_sql_excluded(engine), false};
    add_lack(&merging, lack);
}

/* ON DUPLICATE KEY UPDATE takes a row that is equal in any unique index, also in one of the user's: then that
 * row's tern_id becomes NULL, which it cannot be, so that the new row is refused instead of being lost, or of
 * overwriting the other. */
static void add_own_id(const struct merging *merging)
{
    struct tern_sql_engine *engine = merging->engine;
    const struct tern_sql_table *table = merging->table;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, TERN_SQL_KEYS, items);
    for (size_t i = 0; i < count; i++) {
        const char *name = items[i].column->name;
        if (items[i].index >= 0)
            name = tern_sql_column_name(engine, table->schema, name);
        tern_sql_add(&engine->text, i == 0 ? "CASE WHEN " : " OR ");
        add_new(merging, name);
        tern_sql_add(&engine->text, "<>");
        add_old(merging, name);
    }
    tern_sql_add(&engine->text, " THEN NULL ELSE ");
    if (table->has_keys)
        add_choice(merging, "tern_id", 0, false);
    else
        add_old(merging, "tern_id");
    tern_sql_add(&engine->text, " END");
}

/* tern_first and tern_id come last, in this order: MySQL evaluates from left to right, and the others ask
 * them. */
static void add_set(const struct merging *merging)
{
    struct tern_sql_engine *engine = merging->engine;
    const struct tern_sql_table *table = merging->table;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    unsigned columns = TERN_SQL_DELETED | (merging->prefix[0] == '\0' ? (unsigned)TERN_SQL_PAYLOAD : 0u);
    size_t count = tern_sql_list(table, columns, items);
    for (size_t i = 0; i < count; i++)
        add_assignment(merging,
                       items[i].index < 0
                           ? items[i].column->name
                           : tern_sql_column_name(engine, table->schema, items[i].column->name),
                       items[i].column);
    for (size_t i = 0; i < table->lack_count; i++)
        add_lack(merging, &table->lacks[i]);
    if (table->has_first) {
        tern_sql_add(&engine->text, "\"tern_first\"=");
        add_choice(merging, "tern_first", TERN_FIRST, false);
        tern_sql_add(&engine->text, ",");
    }
    tern_sql_add(&engine->text, "\"tern_id\"=");
    if (merging->guarded)
        add_new(merging, "tern_id");
    else if (engine->dialect->upsert == TERN_SQL_ON_CONFLICT)
        add_choice(merging, "tern_id", 0, false);
    else
        add_own_id(merging);
}

struct tern_sql_table tern_sql_tombs(const struct tern_sql_table *table)
{
    struct tern_sql_table tombs = *table;
    tombs.has_first = tombs.has_rules = false;
    tombs.has_deleted = true;
    tombs.lack_count = 0;
    return tombs;
}

void tern_sql_add_merge(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                        const char *prefix, const char *fresh)
{
    bool is_conflict = engine->dialect->upsert == TERN_SQL_ON_CONFLICT;
    struct merging merging = {engine, table, prefix, fresh, is_conflict && !table->has_rules};
    if (is_conflict) {
        tern_sql_add(&engine->text, " ON CONFLICT(");
        tern_sql_add_columns(engine, table, TERN_SQL_KEYS, "");
        tern_sql_add(&engine->text, table->has_keys ? ") DO UPDATE SET " : ") DO NOTHING");
    } else {
        tern_sql_add(&engine->text, " ON DUPLICATE KEY UPDATE ");
    }
    if (table->has_keys) {
        add_set(&merging);
    } else if (!is_conflict) {
        tern_sql_add(&engine->text, "\"tern_id\"=");
        add_own_id(&merging);
    }
    if (table->has_keys && merging.guarded) {
        tern_sql_add(&engine->text, " WHERE ");
        add_wins(&merging, 0);
    }
}

void tern_sql_begin_insert(struct tern_sql_engine *engine, const char *prefix,
                           const struct tern_sql_table *table, unsigned columns)
{
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "INSERT INTO ");
    tern_sql_add_table(engine, prefix, table->schema);
    tern_sql_add(&engine->text, "(");
    tern_sql_add_columns(engine, table, columns, "");
    tern_sql_add(&engine->text, ")");
}

void tern_sql_write_merge(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                          const char *stage, bool is_sorted, const char *fresh)
{
    struct tern_sql_text *text = &engine->text;
    tern_sql_begin_insert(engine, "", table, TERN_SQL_ALL);
    tern_sql_add(text, " SELECT ");
    tern_sql_add_columns(engine, table, TERN_SQL_ALL, "s.");
    tern_sql_add(text, " FROM ");
    tern_sql_add_name(text, stage);
    tern_sql_add(text, " AS s WHERE ");
    if (table->has_tombs) {
        tern_sql_add(text, "NOT EXISTS(SELECT 1 FROM ");
        tern_sql_add_table(engine, "tern_deleted_", table->schema);
        tern_sql_add(text, " AS d WHERE ");
        tern_sql_add_match(engine, table, "d.", "s.");
        tern_sql_add(text, " AND d.\"tern_id\">s.\"tern_id\")");
    } else {
        tern_sql_add(text, "1=1");
    }
    if (!is_sorted) {
        tern_sql_add(text, " ORDER BY ");
        tern_sql_add_columns(engine, table, TERN_SQL_KEYS, "s.");
    }
    tern_sql_add_merge(engine, table, "", fresh);
}
