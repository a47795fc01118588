/* SPDX-License-Identifier: MIT */
/*
 * Rows by LOAD DATA LOCAL INFILE: the server reads them several times as fast as it parses INSERTs. With
 * LOCAL it takes a row that it should refuse, skipped or bent, and only warns. So the rows go in behind a
 * savepoint, and back to it when there was a warning.
 *
 * Rows that are merged go into a temporary table in MariaDB's memory, from which one INSERT ... ON DUPLICATE
 * KEY UPDATE takes them, piece by piece, because such tables are small. Making and emptying one commits
 * nothing.
 *
 * The text is read as binary, so that no byte of it means anything but tab, newline and
 * backslash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"
#include "sql_mysql.h"
#include "value_text.h"

#define ROWS_LEAST 16    /* fewer go as fast by INSERT */
#define PIECE_SIZE 65536 /* bytes that are written at a time */

#define STAGE_SIZE  (8u << 20) /* bytes of a temporary table: half of what a server allows as a rule */
#define STAGE_LEAST 256        /* rows that a piece must hold: fewer go as fast by INSERT */

static void add_escaped(struct tern_buffer *out, const uint8_t *bytes, size_t size)
{
    char *begin = (char *)tern_buffer_reserve(out, 2 * size), *at = begin;
    if (begin == NULL)
        return;
    for (size_t i = 0; i < size; i++) {
        char byte = (char)bytes[i];
        if (byte == '\t' || byte == '\n' || byte == '\\' || byte == '\0')
            *at++ = '\\';
        *at++ = byte == '\0' ? '0' : byte == '\t' ? 't' : byte == '\n' ? 'n' : byte;
    }
    out->size += (size_t)(at - begin);
}

static void add_number(struct tern_buffer *out, uint16_t type, int64_t number)
{
    char *at = (char *)tern_buffer_reserve(out, TERN_SQL_VALUE_ROOM);
    if (at != NULL)
        out->size += tern_sql_write(at, type, number);
}

static void add_value(struct tern_buffer *out, uint16_t type, const struct tern_value *value)
{
    unsigned kind = TERN_TYPE_KIND(type);
    if (value->is_null)
        tern_buffer_put(out, "\\N", 2);
    else if (kind == TERN_KIND_TEXT || kind == TERN_KIND_BYTES)
        add_escaped(out, value->data, value->size);
    else
        add_number(out, type, value->number);
}

struct rows_file {
    struct tern_mysql_file file; /* first */
    const struct tern_sql_table *table;
    const struct tern_sink_load *load;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count;
    bool straight; /* which rows are meant */
    size_t at;     /* the next row */
    size_t left;   /* that are wanted of them */
};

/* Some rows more, while the server takes in those before. */
static void write_rows(struct tern_mysql_file *file)
{
    struct rows_file *rows = (struct rows_file *)file;
    struct tern_buffer *out = &file->bytes;
    for (; rows->at < rows->load->count && rows->left != 0 && out->size < PIECE_SIZE; rows->at++) {
        const struct tern_sink_row *row = rows->load->rows[rows->at];
        tern_sql_fetch_ahead(rows->load, rows->at);
        if (!tern_sql_takes(row, rows->straight))
            continue;
        rows->left--;
        for (size_t i = 0; i < rows->item_count; i++) {
            const struct tern_sql_item *item = &rows->items[i];
            struct tern_value own;
            add_value(out, item->column->type, tern_sql_item_value(item, row, &own));
            tern_buffer_put8(out, i + 1 == rows->item_count ? '\n' : '\t');
        }
    }
}

static size_t count_rows(const struct tern_sink_load *load, bool straight)
{
    size_t count = 0;
    for (size_t i = 0; i < load->count; i++)
        count += tern_sql_takes(load->rows[i], straight);
    return count;
}

static void begin_rows(struct rows_file *rows, const struct tern_sql_table *table,
                       const struct tern_sink_load *load, bool straight)
{
    memset(rows, 0, sizeof *rows);
    rows->file.write = write_rows;
    rows->table = table;
    rows->load = load;
    rows->straight = straight;
    rows->item_count = tern_sql_list(table, TERN_SQL_ALL, rows->items);
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* `stage`: a table's name, NULL: the table itself. */
static void write_statement(struct tern_sql_engine *engine, const struct tern_sql_table *table,
                            const char *stage)
{
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "LOAD DATA LOCAL INFILE 'tern' INTO TABLE ");
    if (stage == NULL)
        tern_sql_add_table(engine, "", table->schema);
    else
        tern_sql_add_name(&engine->text, stage);
    /* Backslashes are plain text in a statement here, so that the characters stand for themselves. */
    tern_sql_add(&engine->text,
                 " CHARACTER SET binary FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'(");
    tern_sql_add_columns(engine, table, TERN_SQL_ALL, "");
    tern_sql_add(&engine->text, ")");
}

static int run_text(struct tern_sql_engine *engine)
{
    if (!engine->text.failed)
        return tern_mysql_query(engine->client, engine->text.text, engine->text.size);
    snprintf(engine->client->error, sizeof engine->client->error, "out of memory");
    return TERN_HOST_E_SYSTEM;
}

/* The next `count` rows by engine->text. TERN_SQL_E_ROW: one of them at least is refused. */
static int send_rows(struct tern_sql_engine *engine, struct rows_file *rows, size_t count)
{
    uint64_t taken = 0;
    unsigned warnings = 0;
    rows->left = count;
    if (engine->text.failed)
        return TERN_SQL_E_STATEMENT;
    int status = tern_mysql_send_file(engine->client, engine->text.text, &rows->file, &taken, &warnings);
    return status == TERN_HOST_OK && (warnings != 0 || taken != count) ? TERN_SQL_E_ROW : status;
}

int tern_mysql_savepoint(struct tern_sql_engine *engine)
{
    static const char savepoint[] = "SAVEPOINT tern_file";
    return tern_mysql_query(engine->client, savepoint, sizeof savepoint - 1);
}

int tern_mysql_settle(struct tern_sql_engine *engine, int status, bool *done)
{
    static const char back[] = "ROLLBACK TO SAVEPOINT tern_file";
    *done = status == TERN_HOST_OK;
    if (status != TERN_SQL_E_ROW && status != TERN_SQL_E_DUPLICATE && status != TERN_SQL_E_STATEMENT)
        return status;
    return tern_mysql_query(engine->client, back, sizeof back - 1);
}

int tern_mysql_load_file(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load, bool *done)
{
    struct rows_file rows;
    size_t count = count_rows(load, true);
    *done = false;
    if (count < ROWS_LEAST)
        return TERN_HOST_OK;
    int status = tern_mysql_savepoint(engine);
    if (status != TERN_HOST_OK)
        return status;
    begin_rows(&rows, table, load, true);
    write_statement(engine, table, NULL);
    status = tern_mysql_settle(engine, send_rows(engine, &rows, count), done);
    tern_buffer_free(&rows.file.bytes);
    return status;
}

/* ---- By way of a temporary table ------------------------------------------------------------- */

/* A column's type there: a row has a fixed size, and no TEXT or BLOB. Gives its bytes. */
static size_t stage_type(const struct tern_sql_engine *engine, const struct tern_column *column,
                         char type[TERN_SQL_NAME_ROOM])
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    struct tern_column key = *column;
    if (kind == TERN_KIND_TEXT || kind == TERN_KIND_BYTES)
        key.flags = TERN_KEY;
    snprintf(type, TERN_SQL_NAME_ROOM, "%s", engine->dialect->type(engine, &key));
    return kind < TERN_KIND_TEXT
               ? 24
               : (size_t)TERN_TYPE_PARAMETER(column->type) * (kind == TERN_KIND_TEXT ? 4 : 1) + 2;
}

/* Makes the table, and gives how many rows it can hold. */
static int make_stage(struct tern_sql_engine *engine, const struct rows_file *rows, const char *stage,
                      size_t *room)
{
    struct tern_sql_text *text = &engine->text;
    char type[TERN_SQL_NAME_ROOM];
    size_t size = 16;
    tern_sql_clear(text);
    tern_sql_add(text, "CREATE TEMPORARY TABLE IF NOT EXISTS ");
    tern_sql_add_name(text, stage);
    for (size_t i = 0; i < rows->item_count; i++) {
        const struct tern_sql_item *item = &rows->items[i];
        size += stage_type(engine, item->column, type);
        tern_sql_add(text, i == 0 ? "(" : ",");
        if (item->index < 0)
            tern_sql_add_name(text, item->column->name);
        else
            tern_sql_add_column(engine, rows->table->schema, item->column->name);
        tern_sql_add(text, " %s", type);
    }
    tern_sql_add(text, ") ENGINE=MEMORY");
    *room = STAGE_SIZE / size;
    return *room < STAGE_LEAST ? TERN_SQL_E_STATEMENT : run_text(engine);
}

static int empty_stage(struct tern_sql_engine *engine, const char *stage)
{
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "DELETE FROM ");
    tern_sql_add_name(&engine->text, stage);
    return run_text(engine);
}

static int merge_piece(struct tern_sql_engine *engine, struct rows_file *rows, const char *stage,
                       size_t count)
{
    int status = empty_stage(engine, stage);
    if (status != TERN_HOST_OK)
        return status;
    write_statement(engine, rows->table, stage);
    status = send_rows(engine, rows, count);
    if (status != TERN_HOST_OK)
        return status;
    tern_sql_write_merge(engine, rows->table, stage, true, "VALUES(%s)");
    return run_text(engine);
}

int tern_mysql_merge_file(struct tern_sql_engine *engine, struct tern_sql_table *table,
                          const struct tern_sink_load *load, bool *done)
{
    struct rows_file rows;
    char stage[40];
    size_t count = count_rows(load, false), room = 0;
    *done = false;
    if (count < STAGE_LEAST || !tern_mysql_is_mariadb(engine->client))
        return TERN_HOST_OK;
    snprintf(stage, sizeof stage, "tern_stage_%08lx_%d%d", (unsigned long)table->hash, table->has_first,
             table->has_deleted);
    begin_rows(&rows, table, load, false);
    int status = tern_mysql_savepoint(engine);
    if (status != TERN_HOST_OK)
        return status;
    status = make_stage(engine, &rows, stage, &room);
    for (size_t left = count, piece; left != 0 && status == TERN_HOST_OK; left -= piece) {
        piece = left < room ? left : room;
        status = merge_piece(engine, &rows, stage, piece);
    }
    status = tern_mysql_settle(engine, status, done);
    tern_buffer_free(&rows.file.bytes);
    if (*done)
        status = empty_stage(engine, stage);
    return status;
}
