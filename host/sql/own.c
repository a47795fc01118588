/* SPDX-License-Identifier: MIT */
/* tern's own tables in the database. Times in them are Unix milliseconds, so that they read alike
 * everywhere. */
#include <stdio.h>
#include <string.h>

#include "sql.h"

#define KEY(name, type)                                                                                      \
    {                                                                                                        \
        name, type, TERN_KEY                                                                                 \
    }
#define NUMBER(name)                                                                                         \
    {                                                                                                        \
        name, TERN_I64, 0                                                                                    \
    }
#define TEXT(name, size)                                                                                     \
    {                                                                                                        \
        name, TERN_TEXT(size), 0                                                                             \
    }

static const struct tern_column checkpoint[] = {KEY("device", TERN_TEXT(TERN_ID_MAX)), KEY("lane", TERN_I64),
                                                KEY("epoch", TERN_I64), NUMBER("applied")};
static const struct tern_column gap[] = {KEY("device", TERN_TEXT(TERN_ID_MAX)),
                                         KEY("lane", TERN_I64),
                                         KEY("epoch", TERN_I64),
                                         KEY("first", TERN_I64),
                                         NUMBER("last"),
                                         TEXT("reason", 16),
                                         NUMBER("at")};
static const struct tern_column batch[] = {
    KEY("id", TERN_TEXT(16)), TEXT("store", 16),      NUMBER("slot"),    NUMBER("at"),    NUMBER("rows"),
    NUMBER("bytes"),          NUMBER("milliseconds"), NUMBER("retries"), TEXT("path", 16)};
static const struct tern_column cursor[] = {KEY("store", TERN_TEXT(16)), KEY("slot", TERN_I64),
                                            NUMBER("position"), TEXT("batch", 16)};
static const struct tern_column column[] = {KEY("table_name", TERN_TEXT(TERN_NAME_MAX)),
                                            KEY("name", TERN_TEXT(TERN_NAME_MAX)), NUMBER("type")};
static const struct tern_column snapshot[] = {KEY("device", TERN_TEXT(TERN_ID_MAX)),
                                              KEY("table_name", TERN_TEXT(TERN_NAME_MAX)), NUMBER("begin")};

#define OWN(name)                                                                                            \
    {                                                                                                        \
        "tern_" #name, (name), sizeof(name) / sizeof(name)[0]                                                \
    }

static const struct own {
    const char *name;
    const struct tern_column *columns;
    size_t count;
} owns[] = {OWN(checkpoint), OWN(gap), OWN(batch), OWN(cursor), OWN(column), OWN(snapshot)};

size_t tern_sql_own_count(void)
{
    return sizeof owns / sizeof owns[0];
}

const char *tern_sql_own_name(size_t index, const char **first)
{
    *first = owns[index].columns[0].name;
    return owns[index].name;
}

const char *tern_sql_write_own(struct tern_sql_engine *engine, size_t index)
{
    const struct own *own = &owns[index];
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(text, "CREATE TABLE IF NOT EXISTS \"%s\"(", own->name);
    for (size_t i = 0; i < own->count; i++)
        tern_sql_add(text, "\"%s\" %s NOT NULL,", own->columns[i].name,
                     engine->dialect->type(engine, &own->columns[i]));
    tern_sql_add(text, "PRIMARY KEY(");
    for (size_t i = 0; i < own->count && own->columns[i].flags == TERN_KEY; i++)
        tern_sql_add(text, "%s\"%s\"", i == 0 ? "" : ",", own->columns[i].name);
    tern_sql_add(text, "))%s", engine->dialect->table_suffix(engine));
    return own->name;
}

/* Several statements are one transaction: the lock goes with its end. */
static int execute_alone(struct tern_sql_engine *engine)
{
    struct tern_sql_text whole = {0};
    bool locks = engine->dialect->alone != NULL && engine->dialect->not_alone == NULL;
    tern_sql_add(&whole, "%s%s", locks ? engine->dialect->alone : "", engine->text.text);
    int status = TERN_HOST_E_SYSTEM;
    if (whole.failed)
        snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
    else
        status = engine->client->ops->execute(engine->client, whole.text);
    tern_sql_free(&whole);
    return status;
}

int tern_sql_make_own(struct tern_sql_engine *engine)
{
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < tern_sql_own_count() && status == TERN_HOST_OK; i++) {
        tern_sql_write_own(engine, i);
        if (engine->text.failed)
            return tern_sql_check_text(engine);
        status = execute_alone(engine);
        if (status != TERN_HOST_OK)
            status = tern_sql_fail(engine, status, "cannot make tern's own tables");
    }
    return status;
}

/* ---- One at a time --------------------------------------------------------------------------- */

static int take_answer(void *context, const struct tern_sql_value *values, size_t count)
{
    *(int64_t *)context = count > 0 && values[0].kind == TERN_SQL_INTEGER ? values[0].integer : -1;
    return 0;
}

int tern_sql_be_alone(struct tern_sql_engine *engine)
{
    const struct tern_sql_dialect *dialect = engine->dialect;
    int64_t answer = -1;
    if (engine->config.no_ddl || dialect->alone == NULL)
        return TERN_HOST_OK;
    if (dialect->not_alone == NULL)
        return tern_sql_execute(engine, dialect->alone, "cannot wait for others that make tables");
    int status = tern_sql_run(engine, TERN_SQL_BE_ALONE, NULL, 0, take_answer, &answer);
    if (status != TERN_HOST_OK || answer == 1)
        return status;
    return tern_sink_fail(&engine->sink, TERN_HOST_E_DATABASE, "%s",
                          answer == 0
                              ? "another session has held the lock for making tables for 20 seconds "
                                "(GET_LOCK): it is waited for again"
                              : "the server does not give the lock for making tables (GET_LOCK says NULL: it "
                                "lacks memory, or somebody ended the wait): it is asked for again");
}

void tern_sql_end_alone(struct tern_sql_engine *engine)
{
    if (!engine->config.no_ddl && engine->dialect->not_alone != NULL)
        (void)engine->client->ops->execute(engine->client, engine->dialect->not_alone);
}
