/* SPDX-License-Identifier: MIT */
/*
 * Rows by LOAD DATA LOCAL INFILE: the server reads them several times as fast as it parses INSERTs. With LOCAL it takes a row that it
 * should refuse, skipped or bent, and only warns. So the rows go in behind a savepoint, and back to it when there was a warning.
 *
 * The text is read as binary, so that no byte of it means anything but tab, newline and backslash.
 */
#include <stdlib.h>
#include <string.h>

#include "sql.h"
#include "sql_mysql.h"
#include "value_text.h"

#define ROWS_LEAST 16    /* fewer go as fast by INSERT */
#define PIECE_SIZE 65536 /* bytes that are written at a time */

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

static void add_own(struct tern_buffer *out, const struct tern_column *column,
                    const struct tern_sink_row *row)
{
    if (column == &tern_sql_device)
        add_escaped(out, (const uint8_t *)row->device, strlen(row->device));
    else if (column == &tern_sql_deleted)
        tern_buffer_put(out, "\\N", 2);
    else
        add_number(out, TERN_I64, column == &tern_sql_first ? row->first : row->id);
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
    const struct tern_sink_load *load;
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t item_count;
    size_t at; /* the next row */
};

/* Some rows more, while the server takes in those before. */
static void write_rows(struct tern_mysql_file *file)
{
    struct rows_file *rows = (struct rows_file *)file;
    struct tern_buffer *out = &file->bytes;
    for (; rows->at < rows->load->count && out->size < PIECE_SIZE; rows->at++) {
        const struct tern_sink_row *row = rows->load->rows[rows->at];
        if (!tern_sql_takes(row, true))
            continue;
        for (size_t i = 0; i < rows->item_count; i++) {
            const struct tern_sql_item *item = &rows->items[i];
            if (item->index < 0)
                add_own(out, item->column, row);
            else
                add_value(out, item->column->type, &row->values[item->index]);
            tern_buffer_put8(out, i + 1 == rows->item_count ? '\n' : '\t');
        }
    }
}

static size_t count_rows(const struct tern_sink_load *load)
{
    size_t count = 0;
    for (size_t i = 0; i < load->count; i++)
        count += tern_sql_takes(load->rows[i], true);
    return count;
}

static void write_statement(struct tern_sql_engine *engine, const struct tern_sql_table *table)
{
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "LOAD DATA LOCAL INFILE 'tern' INTO TABLE ");
    tern_sql_add_table(engine, "", table->schema);
    /* Backslashes are plain text in a statement here, so that the characters stand for themselves. */
    tern_sql_add(&engine->text,
                 " CHARACTER SET binary FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'(");
    tern_sql_add_columns(engine, table, TERN_SQL_ALL, "");
    tern_sql_add(&engine->text, ")");
}

static int send(struct tern_sql_engine *engine, struct tern_mysql_file *file, size_t count, bool *done)
{
    static const char savepoint[] = "SAVEPOINT tern_file", back[] = "ROLLBACK TO SAVEPOINT tern_file";
    struct tern_sql_client *client = engine->client;
    uint64_t rows = 0;
    unsigned warnings = 0;
    int status = tern_mysql_query(client, savepoint, sizeof savepoint - 1);
    if (status != TERN_HOST_OK)
        return status;
    status = tern_mysql_send_file(client, engine->text.text, file, &rows, &warnings);
    bool refused =
        status == TERN_SQL_E_ROW || status == TERN_SQL_E_DUPLICATE || status == TERN_SQL_E_STATEMENT;
    *done = status == TERN_HOST_OK && warnings == 0 && rows == count;
    if (*done || (status != TERN_HOST_OK && !refused))
        return status;
    return tern_mysql_query(client, back, sizeof back - 1);
}

int tern_mysql_load_file(struct tern_sql_engine *engine, struct tern_sql_table *table,
                         const struct tern_sink_load *load, bool *done)
{
    struct rows_file rows = {.file = {.write = write_rows}, .load = load};
    size_t count = count_rows(load);
    *done = false;
    if (count < ROWS_LEAST)
        return TERN_HOST_OK;
    rows.item_count = tern_sql_list(table, TERN_SQL_ALL, rows.items);
    write_statement(engine, table);
    /* Without memory INSERTs take a few rows at a time. */
    int status = engine->text.failed ? TERN_HOST_OK : send(engine, &rows.file, count, done);
    tern_buffer_free(&rows.file.bytes);
    return status;
}
