/* SPDX-License-Identifier: MIT */
/*
 * Rows into a PostgreSQL table, by COPY: straight into the table where their keys are surely new, and into a
 * temporary table that one INSERT ... ON CONFLICT merges where they may be there. Where they are many and the
 * columns' types in the database are known, in COPY's binary format.
 *
 * When the database refuses a row, the rows are gone through again in pieces to find each one that it
 * refuses, from a savepoint on: a row may be refused for what was brought in before it. Nothing of that
 * stays: the importer rolls back and does the transaction again without them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_binary.h"
#include "postgres_text.h"
#include "sql.h"
#include "sql_postgres.h"
#include "value_text.h"

#define BUFFER_SIZE 65536 /* bytes that are sent at once */
#define PIECE_MAX   4096  /* rows of a piece, while refused ones are looked for */
#define BINARY_ROWS 16    /* fewer are not worth asking for the types */

enum path { STRAIGHT, MERGE };

struct loading {
    struct tern_sql_engine *engine;
    struct tern_sql_table *table;
    const struct tern_sink_load *load;
    enum path path;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count;
    bool binary;
    enum tern_postgres_form forms[TERN_SQL_ITEMS_MAX]; /* of each item */
    char stage[40];                                    /* the temporary table's name */
    char *buffer;
    size_t used;
    uint64_t line; /* that the server found at fault, 0: it did not say */
};

static bool takes(const struct loading *loading, const struct tern_sink_row *row)
{
    return tern_sql_takes(row, loading->path == STRAIGHT);
}

/* ---- COPY ------------------------------------------------------------------------------------ */

static int flush(struct loading *loading)
{
    int status = loading->used == 0
                     ? TERN_HOST_OK
                     : tern_postgres_copy_send(loading->engine->client, loading->buffer, loading->used);
    loading->used = 0;
    return status;
}

static bool has_room(struct loading *loading, size_t room)
{
    return loading->used + room <= BUFFER_SIZE || flush(loading) == TERN_HOST_OK;
}

/* A field of a row, and what stands in front of it or behind it. */
static size_t write_field(const struct loading *loading, char *out, size_t index,
                          const struct tern_value *value)
{
    size_t before = 0;
    uint16_t type = loading->items[index].column->type;
    if (loading->binary) {
        if (index == 0)
            before = tern_postgres_write_count(out, loading->item_count);
        return before + tern_postgres_write_binary(out + before, loading->forms[index], type, value);
    }
    size_t size = tern_postgres_write_field(out, type, value);
    out[size] = index + 1 == loading->item_count ? '\n' : '\t';
    return size + 1;
}

static int write_row(struct loading *loading, const struct tern_sink_row *row)
{
    for (size_t i = 0; i < loading->item_count; i++) {
        struct tern_value own;
        const struct tern_value *value = tern_sql_item_value(&loading->items[i], row, &own);
        if (!has_room(loading, tern_postgres_room(value) + 2))
            return TERN_HOST_E_DATABASE;
        loading->used += write_field(loading, loading->buffer + loading->used, i, value);
    }
    return TERN_HOST_OK;
}

static int write_frame(struct loading *loading, const char *bytes, size_t size)
{
    if (!loading->binary)
        return TERN_HOST_OK;
    if (!has_room(loading, size))
        return TERN_HOST_E_DATABASE;
    memcpy(loading->buffer + loading->used, bytes, size);
    loading->used += size;
    return TERN_HOST_OK;
}

static int begin_copy(struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "COPY ");
    if (loading->path == STRAIGHT)
        tern_sql_add_table(engine, "", loading->table->schema);
    else
        tern_sql_add_name(&engine->text, loading->stage);
    tern_sql_add(&engine->text, "(");
    tern_sql_add_columns(engine, loading->table, TERN_SQL_ALL, "");
    tern_sql_add(&engine->text, loading->binary ? ") FROM STDIN (FORMAT binary)" : ") FROM STDIN");
    loading->used = 0;
    if (engine->text.failed) {
        snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    return tern_postgres_copy_begin(engine->client, engine->text.text);
}

/* Copies rows `first` to before `end`, those of this path. `sent`: how many there were. */
static int copy(struct loading *loading, size_t first, size_t end, uint64_t *sent)
{
    struct tern_sql_client *client = loading->engine->client;
    uint64_t taken = 0;
    *sent = 0;
    loading->line = 0;
    int status = begin_copy(loading);
    if (status != TERN_HOST_OK)
        return status;
    status = write_frame(loading, TERN_POSTGRES_HEAD, TERN_POSTGRES_HEAD_SIZE);
    for (size_t i = first; i < end && status == TERN_HOST_OK; i++) {
        tern_sql_fetch_ahead(loading->load, i);
        if (!takes(loading, loading->load->rows[i]))
            continue;
        status = write_row(loading, loading->load->rows[i]);
        *sent += 1;
    }
    if (status == TERN_HOST_OK)
        status = write_frame(loading, TERN_POSTGRES_END, TERN_POSTGRES_END_SIZE);
    if (status == TERN_HOST_OK)
        status = flush(loading);
    if (status != TERN_HOST_OK)
        return status;
    status = tern_postgres_copy_end(client, true, &taken, &loading->line);
    if (status == TERN_HOST_OK && taken != *sent) {
        snprintf(client->error, sizeof client->error, "COPY took %llu of %llu rows",
                 (unsigned long long)taken, (unsigned long long)*sent);
        return TERN_HOST_E_DATABASE;
    }
    return status;
}

/* ---- Merging --------------------------------------------------------------------------------- */

/* The temporary table has the columns as the table has them, and is empty at the end of each transaction. A
 * rollback may have taken it away, therefore it is asked for each time; the statement that merges survives
 * that. */
static int make_stage(struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    struct tern_sql_text *text = &engine->text;
    tern_sql_clear(text);
    tern_sql_add(text, "CREATE TEMPORARY TABLE IF NOT EXISTS ");
    tern_sql_add_name(text, loading->stage);
    tern_sql_add(text, " ON COMMIT DELETE ROWS AS SELECT ");
    tern_sql_add_columns(engine, loading->table, TERN_SQL_ALL, "");
    tern_sql_add(text, " FROM ");
    tern_sql_add_table(engine, "", loading->table->schema);
    tern_sql_add(text, " WITH NO DATA");
    if (loading->load->again)
        tern_sql_add(text, ";TRUNCATE \"%s\"", loading->stage);
    if (text->failed) {
        snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    return engine->client->ops->execute(engine->client, text->text);
}

static int merge_stage(struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    struct tern_sql_table *table = loading->table;
    int status = TERN_HOST_OK;
    if (table->insert == NULL) {
        tern_sql_write_merge(engine, table, loading->stage, false, "excluded.%s");
        status = tern_sql_prepare_text(engine, &table->insert);
    }
    if (status == TERN_HOST_OK)
        status = tern_sql_run_prepared(engine, table->insert, NULL, 0, NULL, NULL);
    /* Another unique constraint than the key's: the row is at fault, and stays so. */
    return status == TERN_SQL_E_DUPLICATE ? TERN_SQL_E_ROW : status;
}

/* Brings in the rows `first` to before `end` of this path. A status of the client. */
static int bring(struct loading *loading, size_t first, size_t end)
{
    uint64_t sent;
    int status = loading->path == MERGE ? make_stage(loading) : TERN_HOST_OK;
    if (status == TERN_HOST_OK)
        status = copy(loading, first, end, &sent);
    if (status == TERN_HOST_OK && loading->path == MERGE && sent != 0)
        status = merge_stage(loading);
    return status;
}

/* ---- Refused rows ---------------------------------------------------------------------------- */

/* The row of the COPY's line among `first` to before `end`, NULL: the server named none. */
static struct tern_sink_row *find_row(const struct loading *loading, size_t first, size_t end)
{
    uint64_t line = loading->line;
    for (size_t i = first; i < end && line != 0; i++)
        if (takes(loading, loading->load->rows[i]) && --line == 0)
            return loading->load->rows[i];
    return NULL;
}

/* Brings in a piece that may be refused: then it leaves nothing. */
static int try_piece(struct loading *loading, size_t first, size_t end)
{
    struct tern_sql_client *client = loading->engine->client;
    char empty[80] = "SAVEPOINT tern";
    int status = loading->path == MERGE ? make_stage(loading) : TERN_HOST_OK;
    if (loading->path == MERGE)
        snprintf(empty, sizeof empty, "TRUNCATE \"%s\";SAVEPOINT tern", loading->stage);
    if (status == TERN_HOST_OK)
        status = client->ops->execute(client, empty);
    return status == TERN_HOST_OK ? bring(loading, first, end) : status;
}

/* Goes through all rows in pieces, in a transaction that will not be committed. A piece that the database
 * takes stays, because a row may be refused for what another one has brought. */
static int find_refused(struct loading *loading)
{
    const struct tern_sink_load *load = loading->load;
    struct tern_sql_client *client = loading->engine->client;
    size_t piece = PIECE_MAX, refused = 0;
    int status = tern_postgres_doom(client);
    for (size_t first = 0; first < load->count && status == TERN_HOST_OK;) {
        size_t end = load->count - first < piece ? load->count : first + piece;
        status = try_piece(loading, first, end);
        if (status == TERN_HOST_OK) {
            first = end;
            piece = piece < PIECE_MAX ? piece * 2 : piece;
            continue;
        }
        if (status != TERN_SQL_E_ROW)
            return status;
        struct tern_sink_row *row = end - first == 1 ? load->rows[first] : find_row(loading, first, end);
        if (row != NULL) {
            load->reject(load->context, row, client->error);
            refused++;
        } else {
            piece = (end - first) / 2;
        }
        status = client->ops->execute(client, "ROLLBACK TO tern");
    }
    if (status == TERN_HOST_OK && refused == 0) {
        snprintf(client->error, sizeof client->error, "rows were refused that are taken now");
        return TERN_SQL_E_RETRY;
    }
    return status;
}

static int load_path(struct loading *loading, enum path path)
{
    const struct tern_sink_load *load = loading->load;
    size_t first = 0;
    loading->path = path;
    while (first < load->count && !takes(loading, load->rows[first]))
        first++;
    if (first == load->count)
        return TERN_HOST_OK;
    int status = tern_postgres_mark(loading->engine->client);
    if (status == TERN_HOST_OK)
        status = bring(loading, first, load->count);
    return status == TERN_SQL_E_ROW ? find_refused(loading) : status;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int load_deletes(struct loading *loading)
{
    const struct tern_sink_load *load = loading->load;
    struct tern_sql_client *client = loading->engine->client;
    int status = TERN_HOST_OK;
    bool marked = false;
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++) {
        struct tern_sink_row *row = load->rows[i];
        if (row->op != TERN_OP_DELETE || row->rejected)
            continue;
        if (!marked)
            status = tern_postgres_mark(client);
        marked = true;
        if (status == TERN_HOST_OK)
            status = tern_sql_delete(loading->engine, loading->table, row, load->at);
        if (status == TERN_SQL_E_ROW) {
            load->reject(load->context, row, client->error);
            status = tern_postgres_doom(client);
        }
    }
    return status;
}

/* The answer without rows says the columns' types, and its lock keeps them until the transaction ends. */
static int choose_format(struct loading *loading)
{
    struct tern_sql_engine *engine = loading->engine;
    struct tern_sql_text *text = &engine->text;
    unsigned types[TERN_SQL_ITEMS_MAX];
    /* Before 10, a server may have its times as doubles. */
    if (loading->load->count < BINARY_ROWS || engine->client->version < 100000)
        return TERN_HOST_OK;
    tern_sql_clear(text);
    tern_sql_add(text, "SELECT ");
    tern_sql_add_columns(engine, loading->table, TERN_SQL_ALL, "");
    tern_sql_add(text, " FROM ");
    tern_sql_add_table(engine, "", loading->table->schema);
    tern_sql_add(text, " LIMIT 0");
    if (text->failed) {
        snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    int status = tern_postgres_types(engine->client, text->text, types, loading->item_count);
    loading->binary = status == TERN_HOST_OK;
    for (size_t i = 0; i < loading->item_count && loading->binary; i++) {
        loading->forms[i] = tern_postgres_find_form(types[i], loading->items[i].column->type);
        loading->binary = loading->forms[i] != TERN_POSTGRES_NO_FORM;
    }
    return status;
}

int tern_postgres_load_rows(struct tern_sql_engine *engine, struct tern_sql_table *table,
                            const struct tern_sink_load *load)
{
    struct loading loading = {.engine = engine, .table = table, .load = load};
    loading.item_count = tern_sql_list(table, TERN_SQL_ALL, loading.items);
    snprintf(loading.stage, sizeof loading.stage, "tern_stage_%08lx_%d%d", (unsigned long)table->hash,
             table->has_first, table->has_deleted);
    loading.buffer = malloc(BUFFER_SIZE);
    if (loading.buffer == NULL)
        return tern_sink_fail(&engine->sink, TERN_HOST_E_SYSTEM, "out of memory");
    int status = choose_format(&loading);
    if (status == TERN_HOST_OK)
        status = load_path(&loading, STRAIGHT);
    if (status == TERN_HOST_OK)
        status = load_path(&loading, MERGE);
    if (status == TERN_HOST_OK)
        status = load_deletes(&loading);
    free(loading.buffer);
    return status == TERN_HOST_OK ? status : tern_sql_fail(engine, status, table->schema->name);
}
