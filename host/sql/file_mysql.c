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

#define ROWS_LEAST 16 /* fewer go as fast by INSERT */

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

/* Returns how many rows there are. */
static size_t write_file(const struct tern_sql_table *table, const struct tern_sink_load *load,
                         struct tern_buffer *out)
{
    struct tern_sql_item items[TERN_SQL_ITEMS_MAX];
    size_t count = tern_sql_list(table, TERN_SQL_ALL, items), rows = 0;
    for (size_t i = 0; i < load->count; i++) {
        const struct tern_sink_row *row = load->rows[i];
        if (!tern_sql_takes(row, true))
            continue;
        for (size_t k = 0; k < count; k++) {
            if (k != 0)
                tern_buffer_put(out, "\t", 1);
            if (items[k].index < 0)
                add_own(out, items[k].column, row);
            else
                add_value(out, items[k].column->type, &row->values[items[k].index]);
        }
        tern_buffer_put(out, "\n", 1);
        rows++;
    }
    return rows;
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

/* All in one piece: a load is bounded by what the importer takes into one transaction. */
static int send(struct tern_sql_engine *engine, const struct tern_buffer *file, size_t count, bool *done)
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
    struct tern_buffer file = {0};
    *done = false;
    if (count_rows(load) < ROWS_LEAST)
        return TERN_HOST_OK;
    write_statement(engine, table);
    size_t count = write_file(table, load, &file);
    int status = TERN_HOST_OK;
    /* Without memory for all of them, INSERTs take a few at a time. */
    if (!engine->text.failed && !file.failed)
        status = send(engine, &file, count, done);
    tern_buffer_free(&file);
    return status;
}
