/* SPDX-License-Identifier: MIT */
/* What tern-gateway ddl and check say about a database. */
#include <stdio.h>
#include <string.h>

#include "sql.h"

int tern_sql_describe_table(struct tern_sink *sink, const struct tern_table *schema, bool deletes,
                            void (*print)(const char *text))
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table table = {0};
    int status;
    if (schema == NULL) {
        tern_sql_write_own(engine);
        status = tern_sql_check_text(engine);
        if (status == TERN_HOST_OK && engine->dialect->ddl_begin != NULL)
            print(engine->dialect->ddl_begin);
        if (status == TERN_HOST_OK)
            print(engine->text.text);
        return status;
    }
    tern_sql_describe(engine, schema, &table);
    tern_sql_write_create(engine, &table);
    tern_sql_add(&engine->text, ";\n");
    status = tern_sql_check_text(engine);
    if (status == TERN_HOST_OK)
        print(engine->text.text);
    if (status != TERN_HOST_OK || !deletes || engine->config.soft_delete || table.has_rules ||
        schema->mode != TERN_MERGE)
        return status;
    tern_sql_write_create_tombs(engine, &table);
    tern_sql_add(&engine->text, ";\n");
    status = tern_sql_check_text(engine);
    if (status == TERN_HOST_OK)
        print(engine->text.text);
    return status;
}

/* ---- Checking --------------------------------------------------------------------------------------------------------------------- */

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

/* That a table can be made, filled, changed and dropped; nothing of it stays. */
static int try_rights(struct tern_sql_engine *engine, void (*print)(const char *text))
{
    static const char *const tries[] = {"CREATE TABLE \"tern_check\"(\"a\" INTEGER NOT NULL PRIMARY KEY)",
                                        "ALTER TABLE \"tern_check\" ADD COLUMN \"b\" INTEGER",
                                        "INSERT INTO \"tern_check\"(\"a\",\"b\") VALUES(1,2)",
                                        "UPDATE \"tern_check\" SET \"b\"=3",
                                        "DELETE FROM \"tern_check\"",
                                        "DROP TABLE \"tern_check\""};
    int result = TERN_HOST_OK;
    (void)engine->client->ops->execute(engine->client, "DROP TABLE IF EXISTS \"tern_check\"");
    for (size_t i = 0; i < sizeof tries / sizeof tries[0] && result == TERN_HOST_OK; i++) {
        char line[500];
        if (engine->client->ops->execute(engine->client, tries[i]) == TERN_HOST_OK)
            continue;
        snprintf(line, sizeof line, "bad  permissions: %.*s: %s\n", (int)strcspn(tries[i], "\"("), tries[i],
                 engine->client->error);
        print(line);
        result = TERN_HOST_E_DATABASE;
    }
    if (result == TERN_HOST_OK)
        print("good permissions: tables can be made, changed, filled and dropped\n");
    return result;
}

int tern_sql_check(struct tern_sink *sink, bool rights, void (*print)(const char *text))
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    int result = rights ? try_rights(engine, print) : TERN_HOST_OK;
    const struct tern_sql_setting *setting = engine->dialect->settings;
    for (; setting != NULL && setting->name != NULL; setting++) {
        char value[100], line[400];
        bool asked = ask(engine, setting->sql, value) == TERN_HOST_OK;
        bool good = asked && (setting->good == NULL || strcmp(value, setting->good) == 0);
        snprintf(line, sizeof line, "%s %s: %s%s%s%s\n", good ? "good" : "bad ", setting->name, value,
                 good ? "" : " (a commit is safe with ",
                 good                    ? ""
                 : setting->good == NULL ? "?"
                                         : setting->good,
                 good ? "" : ")");
        print(line);
        if (!good)
            result = TERN_HOST_E_DATABASE;
    }
    return result;
}
