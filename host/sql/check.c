/* SPDX-License-Identifier: MIT */
/* What tern-gateway check says about a database. */
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define LINE_ROOM 500

static void say(void (*print)(const char *text), bool good, const char *about, const char *what,
                const char *more)
{
    char line[LINE_ROOM];
    snprintf(line, sizeof line, "%s %s: %s%s\n", good ? "good" : "bad ", about, what, more);
    print(line);
}

/* ---- Settings -------------------------------------------------------------------------------- */

static int take_text(void *context, const struct tern_sql_value *values, size_t count)
{
    char *text = context;
    if (count > 0 && values[0].kind == TERN_SQL_INTEGER)
        snprintf(text, 100, "%lld", (long long)values[0].integer);
    else if (count > 0 && values[0].kind == TERN_SQL_TEXT)
        snprintf(text, 100, "%.*s", (int)(values[0].size < 99 ? values[0].size : 99),
                 (const char *)values[0].data);
    return 0;
}

static int ask(struct tern_sql_engine *engine, const char *sql, char text[100])
{
    struct tern_sql_prepared *prepared;
    strcpy(text, "?");
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "%s", sql);
    int status = tern_sql_prepare_text(engine, &prepared);
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, prepared, NULL, 0, take_text, text);
    return status;
}

/* `good` is a list of words with | between. */
static bool is_good(const char *good, const char *value)
{
    size_t size = strlen(value);
    for (; good != NULL; good = strchr(good, '|') == NULL ? NULL : strchr(good, '|') + 1)
        if (strncmp(good, value, size) == 0 && (good[size] == '|' || good[size] == '\0'))
            return true;
    return false;
}

static int check_settings(struct tern_sql_engine *engine, void (*print)(const char *text))
{
    int result = TERN_HOST_OK;
    const struct tern_sql_setting *setting = engine->dialect->settings;
    for (; setting->name != NULL; setting++) {
        char value[100], more[400] = "";
        bool good = ask(engine, setting->sql, value) == TERN_HOST_OK &&
                    (setting->good == NULL || is_good(setting->good, value));
        if (!good)
            snprintf(more, sizeof more, " (%s: %s)", setting->good == NULL ? "cannot be asked" : setting->why,
                     setting->good == NULL ? engine->client->error : setting->good);
        say(print, good, setting->name, value, more);
        result = good ? result : TERN_HOST_E_DATABASE;
    }
    return result;
}

/* ---- Permissions ----------------------------------------------------------------------------- */

/* That a table can be made, filled, changed and dropped; nothing of it stays. */
static int try_making(struct tern_sql_engine *engine, void (*print)(const char *text))
{
    static const char *const tries[] = {"CREATE TABLE \"tern_check\"(\"a\" INTEGER NOT NULL PRIMARY KEY)",
                                        "ALTER TABLE \"tern_check\" ADD COLUMN \"b\" INTEGER",
                                        "INSERT INTO \"tern_check\"(\"a\",\"b\") VALUES(1,2)",
                                        "UPDATE \"tern_check\" SET \"b\"=3",
                                        "DELETE FROM \"tern_check\"",
                                        "DROP TABLE \"tern_check\""};
    (void)engine->client->ops->execute(engine->client, "DROP TABLE IF EXISTS \"tern_check\"");
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        char what[40];
        if (engine->client->ops->execute(engine->client, tries[i]) == TERN_HOST_OK)
            continue;
        snprintf(what, sizeof what, "%.*s: ", (int)strcspn(tries[i], "\"("), tries[i]);
        say(print, false, "permissions", what, engine->client->error);
        return TERN_HOST_E_DATABASE;
    }
    say(print, true, "permissions", "tables can be made, changed, filled and dropped", "");
    return TERN_HOST_OK;
}

/* That rows of the table engine->text names can be read, put, changed and deleted: of none, so that nothing
 * changes. */
static int try_rows(struct tern_sql_engine *engine, const char *columns, const char *column,
                    void (*print)(const char *text))
{
    static const char *const forms[] = {"INSERT INTO %s%s%s%s SELECT %s FROM %s WHERE 1=0",
                                        "UPDATE %s SET \"%s\"=\"%s\" WHERE 1=0", "DELETE FROM %s WHERE 1=0"};
    struct tern_sql_text name = {0}, sql = {0};
    int status = tern_sql_check_text(engine);
    tern_sql_add(&name, "%s", engine->text.text);
    for (size_t i = 0; i < 3 && status == TERN_HOST_OK; i++) {
        bool all = columns[0] == '*';
        tern_sql_clear(&sql);
        if (i == 0)
            tern_sql_add(&sql, forms[0], name.text, all ? "" : "(", all ? "" : columns, all ? "" : ")",
                         columns, name.text);
        else
            tern_sql_add(&sql, forms[i], name.text, column, column);
        if (sql.failed || name.failed)
            status = tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
        else if (engine->client->ops->execute(engine->client, sql.text) != TERN_HOST_OK)
            status = TERN_HOST_E_DATABASE;
    }
    if (status != TERN_HOST_OK)
        say(print, false, "permissions",
            "rows: ", status == TERN_HOST_E_DATABASE ? engine->client->error : engine->sink.error);
    tern_sql_free(&name);
    tern_sql_free(&sql);
    return status;
}

static int try_own(struct tern_sql_engine *engine, void (*print)(const char *text))
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < tern_sql_own_count() && status == TERN_HOST_OK; i++) {
        bool has;
        const char *column, *name = tern_sql_own_name(i, &column);
        status = tern_sql_has_table(engine, name, &has);
        if (status != TERN_HOST_OK)
            say(print, false, name, "", engine->sink.error);
        tern_sql_clear(&engine->text);
        tern_sql_add_name(&engine->text, name);
        if (status == TERN_HOST_OK && has)
            status = try_rows(engine, "*", column, print);
    }
    return status;
}

static int try_table(struct tern_sql_engine *engine, const struct tern_table *schema,
                     void (*print)(const char *text))
{
    struct tern_sql_table table = {0};
    struct tern_sql_text columns = {0};
    tern_sql_describe(engine, schema, &table);
    tern_sql_clear(&engine->text);
    tern_sql_add_columns(engine, &table, TERN_SQL_ALL, "");
    tern_sql_add(&columns, "%s", engine->text.text);
    tern_sql_clear(&engine->text);
    tern_sql_add_table(engine, "", schema);
    int status = TERN_HOST_E_SYSTEM;
    if (columns.failed)
        say(print, false, schema->name, "", "out of memory");
    else
        status = try_rows(engine, columns.text, "tern_id", print);
    tern_sql_free(&columns);
    return status;
}

int tern_sql_check(struct tern_sink *sink, const struct tern_table *table, bool rights,
                   void (*print)(const char *text))
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    if (table != NULL)
        return try_table(engine, table, print);
    int making = rights ? try_making(engine, print) : TERN_HOST_OK, rows = try_own(engine, print);
    int settings = check_settings(engine, print);
    return making != TERN_HOST_OK ? making : rows != TERN_HOST_OK ? rows : settings;
}
