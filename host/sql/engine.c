/* SPDX-License-Identifier: MIT */
/* What every SQL destination does alike: statements, connecting, cursor, batch record, transactions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

#define BATCH_DAYS  30  /* how long tern_batch remembers */
#define CLEAR_EVERY 256 /* transactions */

struct tern_sql_value tern_sql_string(const char *text)
{
    return (struct tern_sql_value){TERN_SQL_TEXT, 0, 0, text, strlen(text)};
}

bool tern_sql_plain(const struct tern_column *column, const struct tern_value *value,
                    struct tern_sql_value *plain)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    if (!value->is_null && kind != TERN_KIND_TEXT && kind != TERN_KIND_BYTES)
        return false;
    *plain = (struct tern_sql_value){.kind = TERN_SQL_NULL};
    if (!value->is_null)
        *plain = (struct tern_sql_value){.kind = kind == TERN_KIND_TEXT ? TERN_SQL_TEXT : TERN_SQL_BLOB,
                                         .data = value->data,
                                         .size = value->size};
    return true;
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* The row of no device stands for the table: loads that know of no deleted keys share it, and the first
 * delete waits for them. */
#define ROW_OF_LOADS "SELECT \"begin\" FROM \"tern_snapshot\" WHERE \"device\"='' AND \"table_name\"=?1"

static const char *const statements[TERN_SQL_STATEMENTS] = {
    [TERN_SQL_READ_CURSOR] = "SELECT \"position\" FROM \"tern_cursor\" WHERE \"store\"=?1 AND \"slot\"=?2",
    [TERN_SQL_PUT_CURSOR] =
        "INSERT INTO \"tern_cursor\"(\"store\",\"slot\",\"position\",\"batch\") VALUES(?1,?2,?3,?4)",
    [TERN_SQL_FIND_BATCH] = "SELECT 1 FROM \"tern_batch\" WHERE \"id\"=?1",
    [TERN_SQL_ADD_BATCH] = "INSERT INTO \"tern_batch\"(\"id\",\"store\",\"slot\",\"at\",\"rows\",\"bytes\","
                           "\"milliseconds\",\"retries\",\"path\") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    /* The last batch of a store is what its gateway looks for: it stays. */
    [TERN_SQL_DELETE_BATCHES] = "DELETE FROM \"tern_batch\" WHERE \"at\"<?1 AND \"id\" NOT IN "
                                "(SELECT \"batch\" FROM \"tern_cursor\")",
    [TERN_SQL_DELETE_GAP] =
        "DELETE FROM \"tern_gap\" WHERE \"device\"=?1 AND \"lane\"=?2 AND \"epoch\"=?3 AND \"first\"=?4",
    [TERN_SQL_ADD_GAP] =
        "INSERT INTO \"tern_gap\"(\"device\",\"lane\",\"epoch\",\"first\",\"last\",\"reason\",\"at\") "
        "VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [TERN_SQL_LIST_GAPS] = "SELECT \"device\",\"lane\",\"epoch\",\"first\",\"last\",\"reason\",\"at\" "
                           "FROM \"tern_gap\" WHERE \"reason\" IN ('retention','held')",
    [TERN_SQL_LIST_EPOCHS] = "SELECT \"device\",max(\"epoch\") FROM \"tern_checkpoint\" GROUP BY \"device\"",
    [TERN_SQL_READ_SNAPSHOT] =
        "SELECT \"begin\" FROM \"tern_snapshot\" WHERE \"device\"=?1 AND \"table_name\"=?2",
    [TERN_SQL_PUT_SNAPSHOT] =
        "INSERT INTO \"tern_snapshot\"(\"device\",\"table_name\",\"begin\") VALUES(?1,?2,?3)",
    [TERN_SQL_LOCK_DEVICE] =
        "INSERT INTO \"tern_snapshot\"(\"device\",\"table_name\",\"begin\") VALUES(?1,?2,0)",
    [TERN_SQL_BEGIN_LOADS] = ROW_OF_LOADS,
    [TERN_SQL_AWAIT_LOADS] = ROW_OF_LOADS,
    [TERN_SQL_READ_DECLARED] = "SELECT \"name\",\"type\" FROM \"tern_column\" WHERE \"table_name\"=?1",
    [TERN_SQL_COUNT_DECLARED] = "SELECT count(*) FROM \"tern_column\" WHERE \"table_name\"=?1",
    [TERN_SQL_PUT_COLUMN] = "INSERT INTO \"tern_column\"(\"table_name\",\"name\",\"type\") VALUES(?1,?2,?3)",
};

/* What follows where the row may be there already: the key, and what is set. */
static const struct upsert {
    const char *keys[3], *others[3];
} upserts[TERN_SQL_STATEMENTS] = {
    [TERN_SQL_PUT_CURSOR] = {{"store", "slot", NULL}, {"position", "batch", NULL}},
    [TERN_SQL_PUT_SNAPSHOT] = {{"device", "table_name", NULL}, {"begin", NULL}},
    [TERN_SQL_PUT_COLUMN] = {{"table_name", "name", NULL}, {"type", NULL}},
};

static void write_statement(struct tern_sql_engine *engine, enum tern_sql_statement which)
{
    tern_sql_clear(&engine->text);
    if (which == TERN_SQL_READ_COLUMNS)
        tern_sql_add(&engine->text, "%s", engine->dialect->columns);
    else if (which == TERN_SQL_BE_ALONE)
        tern_sql_add(&engine->text, "%s", engine->dialect->alone);
    else
        tern_sql_add(&engine->text, "%s", statements[which]);
    if (which == TERN_SQL_LOCK_DEVICE) /* nothing changes, but the row is this transaction's */
        tern_sql_add(&engine->text, engine->dialect->upsert == TERN_SQL_ON_CONFLICT
                                        ? " ON CONFLICT(\"device\",\"table_name\") DO UPDATE SET "
                                          "\"begin\"=\"tern_snapshot\".\"begin\""
                                        : " ON DUPLICATE KEY UPDATE \"begin\"=\"begin\"");
    if (which == TERN_SQL_BEGIN_LOADS || which == TERN_SQL_AWAIT_LOADS)
        tern_sql_add(&engine->text, "%s",
                     which == TERN_SQL_BEGIN_LOADS ? engine->dialect->share : engine->dialect->lock);
    if (upserts[which].keys[0] != NULL)
        tern_sql_add_upsert(engine, upserts[which].keys, upserts[which].others);
}

void tern_sql_add_upsert(struct tern_sql_engine *engine, const char *const *keys, const char *const *others)
{
    struct tern_sql_text *text = &engine->text;
    bool is_conflict = engine->dialect->upsert == TERN_SQL_ON_CONFLICT;
    tern_sql_add(text, is_conflict ? " ON CONFLICT(" : " ON DUPLICATE KEY UPDATE ");
    for (size_t i = 0; is_conflict && keys[i] != NULL; i++)
        tern_sql_add(text, "%s\"%s\"", i == 0 ? "" : ",", keys[i]);
    if (is_conflict)
        tern_sql_add(text, others[0] == NULL ? ") DO NOTHING" : ") DO UPDATE SET ");
    if (!is_conflict && others[0] == NULL)
        tern_sql_add(text, "\"%s\"=\"%s\"", keys[0], keys[0]);
    for (size_t i = 0; others[i] != NULL; i++)
        tern_sql_add(text, is_conflict ? "%s\"%s\"=excluded.\"%s\"" : "%s\"%s\"=VALUES(\"%s\")",
                     i == 0 ? "" : ",", others[i], others[i]);
}

int tern_sql_fail(struct tern_sql_engine *engine, int status, const char *doing)
{
    int mapped = status == TERN_SQL_E_DUPLICATE ? TERN_SINK_AGAIN
                 : status == TERN_SQL_E_RETRY   ? TERN_SINK_RETRY
                 : status <= TERN_SQL_E_ROW     ? TERN_HOST_E_DATABASE
                                                : status;
    return tern_sink_fail(&engine->sink, mapped, "%s: %s", doing, engine->client->error);
}

/* Spells ?N as the database does; what is quoted stays as it is. */
static bool spell(struct tern_sql_engine *engine, struct tern_sql_text *out,
                  struct tern_sql_prepared *prepared)
{
    const char *in = engine->text.text;
    char quote = '\0';
    size_t marks = 0;
    for (const char *c = in; *c != '\0'; c++)
        marks += *c == '?';
    prepared->order = calloc(marks + 1, sizeof *prepared->order);
    prepared->values = calloc(marks + 1, sizeof *prepared->values);
    if (prepared->order == NULL || prepared->values == NULL)
        return false;
    while (*in != '\0') {
        size_t plain = quote != '\0' ? strcspn(in, "\"'") : strcspn(in, "\"'?");
        tern_sql_add(out, "%.*s", (int)plain, in);
        in += plain;
        if (*in == '?') {
            char *end;
            unsigned long number = strtoul(in + 1, &end, 10);
            prepared->order[prepared->count++] = (uint16_t)(number - 1);
            if (engine->dialect->parameters == TERN_SQL_DOLLARS)
                tern_sql_add(out, "$%lu", number);
            else
                tern_sql_add(out, "?");
            in = end;
        } else if (*in != '\0') {
            quote = quote == '\0' ? *in : quote == *in ? '\0' : quote;
            tern_sql_add(out, "%c", *in++);
        }
    }
    return !out->failed;
}

static void free_prepared(struct tern_sql_prepared *prepared)
{
    free(prepared->order);
    free(prepared->values);
    free(prepared);
}

int tern_sql_prepare_text(struct tern_sql_engine *engine, struct tern_sql_prepared **out)
{
    struct tern_sql_text spelled = {0};
    struct tern_sql_prepared *prepared = calloc(1, sizeof *prepared);
    bool numbered = engine->dialect->parameters == TERN_SQL_NUMBERED;
    *out = NULL;
    if (prepared == NULL || engine->text.failed || (!numbered && !spell(engine, &spelled, prepared))) {
        if (prepared != NULL)
            free_prepared(prepared);
        tern_sql_free(&spelled);
        snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    int status = engine->client->ops->prepare(engine->client, numbered ? engine->text.text : spelled.text,
                                              &prepared->statement);
    tern_sql_free(&spelled);
    if (status != TERN_HOST_OK) {
        free_prepared(prepared);
        return status;
    }
    prepared->next = engine->prepared;
    engine->prepared = prepared;
    *out = prepared;
    return TERN_HOST_OK;
}

int tern_sql_run_prepared(struct tern_sql_engine *engine, struct tern_sql_prepared *prepared,
                          const struct tern_sql_value *values, size_t count, tern_sql_row *row, void *context)
{
    if (engine->dialect->parameters == TERN_SQL_MARKED) {
        for (size_t i = 0; i < prepared->count; i++)
            prepared->values[i] = values[prepared->order[i]];
        values = prepared->values;
        count = prepared->count;
    }
    return engine->client->ops->run(engine->client, prepared->statement, values, count, row, context);
}

int tern_sql_run(struct tern_sql_engine *engine, enum tern_sql_statement which,
                 const struct tern_sql_value *values, size_t count, tern_sql_row *row, void *context)
{
    int status = TERN_HOST_OK;
    if (engine->statements[which] == NULL) {
        write_statement(engine, which);
        status = tern_sql_prepare_text(engine, &engine->statements[which]);
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, engine->statements[which], values, count, row, context);
    if (status == TERN_SQL_E_STATEMENT && engine->config.no_ddl)
        return tern_sql_fail(
            engine, status,
            "tern's own tables are missing, and --ddl=off leaves them to you (`tern-gateway ddl` "
            "prints the SQL)");
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, "tern's own tables");
}

int tern_sql_execute(struct tern_sql_engine *engine, const char *sql, const char *doing)
{
    int status = engine->client->ops->execute(engine->client, sql);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, doing);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

int tern_sql_open(struct tern_sink **sink, const struct tern_sink_config *config,
                  const struct tern_sql_dialect *dialect, char error[256])
{
    struct tern_sql_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    engine->dialect = dialect;
    engine->config = *config;
    int status = dialect->client->open(&engine->client, config, error);
    if (status != TERN_HOST_OK) {
        free(engine);
        return status;
    }
    *sink = &engine->sink;
    return TERN_HOST_OK;
}

int tern_sql_connect(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    int status = engine->client->ops->connect(engine->client);
    if (status != TERN_HOST_OK)
        return tern_sql_fail(engine, status, "cannot open the database");
    status = engine->dialect->setup(engine);
    if (status == TERN_HOST_OK && !engine->config.no_ddl)
        status = tern_sql_make_own(engine);
    if (status != TERN_HOST_OK)
        tern_sql_disconnect(sink);
    return status;
}

void tern_sql_disconnect(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    engine->client->ops->disconnect(engine->client);
    memset(engine->statements, 0, sizeof engine->statements);
    memset(engine->groups, 0, sizeof engine->groups);
    while (engine->prepared != NULL) {
        struct tern_sql_prepared *prepared = engine->prepared;
        engine->prepared = prepared->next;
        free_prepared(prepared);
    }
    while (engine->tables != NULL) {
        struct tern_sql_table *table = engine->tables;
        engine->tables = table->next;
        free(table->lacks);
        free(table);
    }
}

void tern_sql_close(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    tern_sql_disconnect(sink);
    engine->client->ops->close(engine->client);
    tern_sql_free(&engine->text);
    tern_sql_plan_free(engine->planned);
    free(engine);
}

/* ---- Cursor ---------------------------------------------------------------------------------- */

static int take_number(void *context, const struct tern_sql_value *values, size_t count)
{
    if (count > 0 && values[0].kind == TERN_SQL_INTEGER)
        *(int64_t *)context = values[0].integer;
    return 0;
}

int tern_sql_read_cursor(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor)
{
    char id[17];
    int64_t position = 0;
    snprintf(id, sizeof id, "%016" PRIx64, store);
    struct tern_sql_value values[] = {tern_sql_string(id), tern_sql_integer(slot)};
    int status =
        tern_sql_run((struct tern_sql_engine *)sink, TERN_SQL_READ_CURSOR, values, 2, take_number, &position);
    *cursor = position < 0 ? 0 : (uint64_t)position;
    return status;
}

static int take_any(void *context, const struct tern_sql_value *values, size_t count)
{
    (void)values;
    *(bool *)context = count != 0;
    return 0;
}

int tern_sql_find_batch(struct tern_sink *sink, uint64_t batch, bool *found)
{
    char id[17];
    snprintf(id, sizeof id, "%016" PRIx64, batch);
    struct tern_sql_value value = tern_sql_string(id);
    *found = false;
    return tern_sql_run((struct tern_sql_engine *)sink, TERN_SQL_FIND_BATCH, &value, 1, take_any, found);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

int tern_sql_begin(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    int status = tern_sql_execute(engine, engine->dialect->begin, "cannot begin a transaction");
    if (status == TERN_HOST_OK && engine->strict)
        status = tern_sql_execute(engine, engine->dialect->strict, "cannot begin a transaction");
    return status;
}

int tern_sql_load(struct tern_sink *sink, const struct tern_sink_load *load)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table *table = tern_sql_find_table(engine, load->table);
    if (table == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_DATABASE, "table %s was not prepared", load->table->name);
    int status = tern_sql_refresh(engine, table);
    if (status == TERN_HOST_OK && table->has_tombs && table->has_keys)
        status = tern_sql_lock_devices(engine, load);
    if (status == TERN_HOST_OK && table->has_tombs && table->has_keys)
        status = tern_sql_pass_tombs(engine, table, load);
    return status != TERN_HOST_OK ? status : engine->dialect->load(engine, table, load);
}

static int write_batch(struct tern_sql_engine *engine, const struct tern_sink_commit *commit)
{
    char store[17], batch[17];
    snprintf(store, sizeof store, "%016" PRIx64, commit->store);
    snprintf(batch, sizeof batch, "%016" PRIx64, commit->batch);
    struct tern_sql_value cursor[] = {tern_sql_string(store), tern_sql_integer(0),
                                      tern_sql_integer((int64_t)commit->cursor), tern_sql_string(batch)};
    struct tern_sql_value row[] = {tern_sql_string(batch),
                                   tern_sql_string(store),
                                   tern_sql_integer(commit->slots[0]),
                                   tern_sql_integer(commit->at),
                                   tern_sql_integer((int64_t)commit->rows),
                                   tern_sql_integer((int64_t)commit->bytes),
                                   tern_sql_integer((int64_t)commit->milliseconds),
                                   tern_sql_integer((int64_t)commit->retries),
                                   tern_sql_string(commit->path)};
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < commit->slot_count && status == TERN_HOST_OK; i++) {
        cursor[1] = tern_sql_integer(commit->slots[i]);
        status = tern_sql_run(engine, TERN_SQL_PUT_CURSOR, cursor, 4, NULL, NULL);
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run(engine, TERN_SQL_ADD_BATCH, row, 9, NULL, NULL);
    return status;
}

/* In a transaction of its own: it looks at rows of other workers, and would deadlock with them. One that
 * fails is made up for by the next. */
static void clear_old(struct tern_sql_engine *engine, int64_t now)
{
    struct tern_sql_value oldest = tern_sql_integer(now - BATCH_DAYS * 86400000ll);
    bool all = engine->batches++ % CLEAR_EVERY == 0;
    if (all)
        (void)tern_sql_run(engine, TERN_SQL_DELETE_BATCHES, &oldest, 1, NULL, NULL);
    (void)tern_sql_clear_tombs(engine, now, all);
}

int tern_sql_commit(struct tern_sink *sink, const struct tern_sink_commit *commit)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    int status = write_batch(engine, commit);
    if (status != TERN_HOST_OK)
        return status;
    status = engine->client->ops->execute(engine->client, "COMMIT");
    /* A constraint that is looked at only now: once more, and each row by itself. */
    bool strict =
        (status == TERN_SQL_E_ROW || status == TERN_SQL_E_DUPLICATE) && engine->dialect->strict != NULL;
    if (strict && !engine->strict)
        status = TERN_SQL_E_RETRY;
    engine->strict = strict;
    if (status != TERN_HOST_OK)
        return tern_sql_fail(engine, status, "cannot commit");
    clear_old(engine, commit->at);
    return TERN_HOST_OK;
}

void tern_sql_rollback(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    /* Fails where there is no transaction any more, which is what is wanted. */
    (void)engine->client->ops->execute(engine->client, "ROLLBACK");
}
