/* SPDX-License-Identifier: MIT */
/* What every SQL destination does alike: marks, cursor, batch record, transactions. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/frame.h"
#include "sql.h"

#define BATCH_DAYS  30  /* how long tern_batch remembers */
#define CLEAR_EVERY 256 /* transactions */

/* ---- Text -------------------------------------------------------------------------------------------------------------------- */

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

struct tern_sql_value tern_sql_string(const char *text)
{
    return (struct tern_sql_value){TERN_SQL_TEXT, 0, 0, text, strlen(text)};
}

/* ---- Statements ---------------------------------------------------------------------------------------------------------------- */

#define RANGE "\"device\"=?1 AND \"lane\"=?2 AND \"epoch\"=?3"

static const char *const statements[TERN_SQL_STATEMENTS] = {
    [TERN_SQL_READ_CURSOR] = "SELECT \"position\" FROM \"tern_cursor\" WHERE \"store\"=?1 AND \"slot\"=?2",
    [TERN_SQL_READ_CHECKPOINT] = "SELECT \"applied\" FROM \"tern_checkpoint\" WHERE " RANGE,
    [TERN_SQL_READ_GAPS] =
        "SELECT \"first\",\"last\",\"reason\",\"at\" FROM \"tern_gap\" WHERE " RANGE " ORDER BY \"first\"",
    [TERN_SQL_DELETE_GAP] = "DELETE FROM \"tern_gap\" WHERE " RANGE " AND \"first\"=?4",
    [TERN_SQL_ADD_GAP] =
        "INSERT INTO \"tern_gap\"(\"device\",\"lane\",\"epoch\",\"first\",\"last\",\"reason\",\"at\") "
        "VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [TERN_SQL_ADD_BATCH] =
        "INSERT INTO \"tern_batch\"(\"id\",\"store\",\"slot\",\"at\",\"rows\",\"milliseconds\",\"path\") "
        "VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [TERN_SQL_DELETE_BATCHES] = "DELETE FROM \"tern_batch\" WHERE \"at\"<?1",
    [TERN_SQL_READ_DECLARED] = "SELECT \"name\",\"type\" FROM \"tern_column\" WHERE \"table_name\"=?1",
};

static const char *statement_text(const struct tern_sql_engine *engine, enum tern_sql_statement which)
{
    switch (which) {
    case TERN_SQL_PUT_CHECKPOINT:
        return engine->dialect->put_checkpoint;
    case TERN_SQL_PUT_CURSOR:
        return engine->dialect->put_cursor;
    case TERN_SQL_PUT_COLUMN:
        return engine->dialect->put_column;
    case TERN_SQL_READ_COLUMNS:
        return engine->dialect->columns;
    default:
        return statements[which];
    }
}

int tern_sql_fail(struct tern_sql_engine *engine, int status, const char *doing)
{
    return tern_sink_fail(&engine->sink, status <= TERN_SQL_E_ROW ? TERN_HOST_E_DATABASE : status, "%s: %s",
                          doing, engine->client->error);
}

int tern_sql_run(struct tern_sql_engine *engine, enum tern_sql_statement which,
                 const struct tern_sql_value *values, size_t count, tern_sql_row *row, void *context)
{
    int status = TERN_HOST_OK;
    if (engine->statements[which] == NULL)
        status = engine->client->ops->prepare(engine->client, statement_text(engine, which),
                                              &engine->statements[which]);
    if (status == TERN_HOST_OK)
        status =
            engine->client->ops->run(engine->client, engine->statements[which], values, count, row, context);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, "tern's own tables");
}

int tern_sql_execute(struct tern_sql_engine *engine, const char *sql, const char *doing)
{
    int status = engine->client->ops->execute(engine->client, sql);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, doing);
}

/* ---- Connecting ----------------------------------------------------------------------------------------------------------------- */

int tern_sql_open(struct tern_sink **sink, const struct tern_sink_config *config,
                  const struct tern_sql_dialect *dialect, char error[256])
{
    struct tern_sql_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    engine->dialect = dialect;
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
    if (status != TERN_HOST_OK)
        tern_sql_disconnect(sink);
    return status;
}

void tern_sql_disconnect(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    engine->client->ops->disconnect(engine->client);
    memset(engine->statements, 0, sizeof engine->statements);
    while (engine->tables != NULL) {
        struct tern_sql_table *table = engine->tables;
        engine->tables = table->next;
        free(table);
    }
}

void tern_sql_close(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    tern_sql_disconnect(sink);
    engine->client->ops->close(engine->client);
    tern_sql_free(&engine->text);
    free(engine);
}

/* ---- Cursor ---------------------------------------------------------------------------------------------------------------------- */

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

/* ---- Marks ----------------------------------------------------------------------------------------------------------------------- */

static const char *const reasons[] = {"unknown",   "overflow", "refused", "damaged",
                                      "retention", "rejected", "held"};

static uint8_t find_reason(const struct tern_sql_value *value)
{
    for (uint8_t i = 1; i < sizeof reasons / sizeof reasons[0]; i++)
        if (value->kind == TERN_SQL_TEXT && value->size == strlen(reasons[i]) &&
            memcmp(value->data, reasons[i], value->size) == 0)
            return i;
    return 0;
}

static int take_gap(void *context, const struct tern_sql_value *values, size_t count)
{
    struct tern_mark *mark = context;
    struct tern_gap gap = {0, 0, 0, 0};
    if (count < 4 || values[0].integer < 1 || values[0].integer > values[1].integer ||
        values[1].integer > UINT32_MAX)
        return 0;
    gap.first = (uint32_t)values[0].integer;
    gap.last = (uint32_t)values[1].integer;
    gap.reason = find_reason(&values[2]);
    gap.at = values[3].integer;
    tern_mark_add_read(mark, &gap);
    return 0;
}

static void put_range(struct tern_sql_value values[3], const struct tern_mark *mark)
{
    values[0] = tern_sql_string(mark->device);
    values[1] = tern_sql_integer(mark->lane);
    values[2] = tern_sql_integer(mark->epoch);
}

int tern_sql_read_mark(struct tern_sink *sink, struct tern_mark *mark)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_value values[3];
    int64_t applied = -1;
    put_range(values, mark);
    int status = tern_sql_run(engine, TERN_SQL_READ_CHECKPOINT, values, 3, take_number, &applied);
    if (status != TERN_HOST_OK || applied < 0)
        return status;
    if (applied > UINT32_MAX)
        return tern_sink_fail(sink, TERN_HOST_E_DATABASE,
                              "tern_checkpoint of device %s holds an impossible sequence", mark->device);
    mark->known = true;
    mark->applied = (uint32_t)applied;
    return tern_sql_run(engine, TERN_SQL_READ_GAPS, values, 3, take_gap, mark);
}

struct writing {
    struct tern_sql_engine *engine;
    struct tern_sql_value values[7];
};

static int delete_gap(void *context, const struct tern_gap *gap)
{
    struct writing *writing = context;
    writing->values[3] = tern_sql_integer(gap->first);
    return tern_sql_run(writing->engine, TERN_SQL_DELETE_GAP, writing->values, 4, NULL, NULL);
}

static int add_gap(void *context, const struct tern_gap *gap)
{
    struct writing *writing = context;
    writing->values[3] = tern_sql_integer(gap->first);
    writing->values[4] = tern_sql_integer(gap->last);
    writing->values[5] =
        tern_sql_string(reasons[gap->reason < sizeof reasons / sizeof reasons[0] ? gap->reason : 0]);
    writing->values[6] = tern_sql_integer(gap->at);
    return tern_sql_run(writing->engine, TERN_SQL_ADD_GAP, writing->values, 7, NULL, NULL);
}

int tern_sql_write_mark(struct tern_sink *sink, const struct tern_mark *mark)
{
    struct writing writing = {.engine = (struct tern_sql_engine *)sink};
    put_range(writing.values, mark);
    writing.values[3] = tern_sql_integer(mark->applied);
    int status = tern_sql_run(writing.engine, TERN_SQL_PUT_CHECKPOINT, writing.values, 4, NULL, NULL);
    return status != TERN_HOST_OK ? status : tern_mark_difference(mark, delete_gap, add_gap, &writing);
}

/* ---- Transactions ------------------------------------------------------------------------------------------------------------------- */

int tern_sql_begin(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    return tern_sql_execute(engine, engine->dialect->begin, "cannot begin a transaction");
}

int tern_sql_load(struct tern_sink *sink, const struct tern_sink_load *load)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_table *table = tern_sql_find_table(engine, load->table);
    if (table == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_DATABASE, "table %s was not prepared", load->table->name);
    return engine->dialect->load(engine, table, load);
}

static int write_batch(struct tern_sql_engine *engine, const struct tern_sink_commit *commit)
{
    char store[17], batch[17];
    snprintf(store, sizeof store, "%016" PRIx64, commit->store);
    snprintf(batch, sizeof batch, "%016" PRIx64, commit->batch);
    struct tern_sql_value cursor[] = {tern_sql_string(store), tern_sql_integer(commit->slot),
                                      tern_sql_integer((int64_t)commit->cursor), tern_sql_string(batch)};
    struct tern_sql_value row[] = {tern_sql_string(batch),
                                   tern_sql_string(store),
                                   tern_sql_integer(commit->slot),
                                   tern_sql_integer(commit->at),
                                   tern_sql_integer((int64_t)commit->rows),
                                   tern_sql_integer((int64_t)commit->milliseconds),
                                   tern_sql_string("merge")};
    struct tern_sql_value oldest = tern_sql_integer(commit->at - BATCH_DAYS * 86400000ll);
    int status = tern_sql_run(engine, TERN_SQL_PUT_CURSOR, cursor, 4, NULL, NULL);
    if (status == TERN_HOST_OK)
        status = tern_sql_run(engine, TERN_SQL_ADD_BATCH, row, 7, NULL, NULL);
    if (status == TERN_HOST_OK && engine->batches++ % CLEAR_EVERY == 0)
        status = tern_sql_run(engine, TERN_SQL_DELETE_BATCHES, &oldest, 1, NULL, NULL);
    return status;
}

int tern_sql_commit(struct tern_sink *sink, const struct tern_sink_commit *commit)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    int status = write_batch(engine, commit);
    return status != TERN_HOST_OK ? status : tern_sql_execute(engine, "COMMIT", "cannot commit");
}

void tern_sql_rollback(struct tern_sink *sink)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    /* Fails where there is no transaction any more, which is what is wanted. */
    (void)engine->client->ops->execute(engine->client, "ROLLBACK");
}
