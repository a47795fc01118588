/* SPDX-License-Identifier: MIT */
#include "csv_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../core/csv.h"

#define LINE_ROOM 200 /* of a schema: a name of 63 characters and a few words */

static void put_string(struct tern_buffer *buffer, const char *text)
{
    tern_buffer_put(buffer, text, strlen(text));
}

void tern_csv_put_header(struct tern_buffer *buffer, const struct tern_table *table)
{
    put_string(buffer, "device,tern_id,tern_op");
    for (uint8_t i = 0; i < table->column_count; i++) {
        put_string(buffer, ",");
        put_string(buffer, table->columns[i].name);
    }
    put_string(buffer, "\n");
}

static bool wants_quotes(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == ',' || text[i] == '"' || text[i] == '\r' || text[i] == '\n')
            return true;
    return size == 0;
}

static void put_text(struct tern_buffer *buffer, const uint8_t *text, size_t size)
{
    if (!wants_quotes(text, size)) {
        tern_buffer_put(buffer, text, size);
        return;
    }
    uint8_t *to = tern_buffer_reserve(buffer, 2 * size + 2);
    if (to == NULL)
        return;
    uint8_t *begin = to;
    *to++ = '"';
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            *to++ = '"';
        *to++ = text[i];
    }
    *to++ = '"';
    buffer->size += (size_t)(to - begin);
}

static void put_hex(struct tern_buffer *buffer, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *to = tern_buffer_reserve(buffer, 2 * size);
    if (to == NULL)
        return;
    for (size_t i = 0; i < size; i++) {
        *to++ = (uint8_t)digits[bytes[i] >> 4];
        *to++ = (uint8_t)digits[bytes[i] & 15];
    }
    buffer->size += 2 * size;
}

static void put_value(struct tern_buffer *buffer, const struct tern_column *column,
                      const struct tern_value *value)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    char number[TERN_NUMBER_MAX];
    if (value->is_null)
        return;
    if (kind == TERN_KIND_TEXT)
        put_text(buffer, value->data, value->size);
    else if (kind == TERN_KIND_BYTES && value->size == 0)
        put_string(buffer, "\"\"");
    else if (kind == TERN_KIND_BYTES)
        put_hex(buffer, value->data, value->size);
    else
        tern_buffer_put(buffer, number, tern_csv_number(number, column->type, value->number));
}

void tern_csv_put_row(struct tern_buffer *buffer, const struct tern_table *table,
                      const struct tern_sink_row *row)
{
    static const char *const ops[] = {",put", ",delete", ",begin", ",end"};
    char id[TERN_NUMBER_MAX];
    put_string(buffer, row->device);
    tern_buffer_put8(buffer, ',');
    tern_buffer_put(buffer, id, tern_csv_number(id, TERN_I64, row->id));
    put_string(buffer, ops[row->op & 3]);
    for (uint8_t i = 0; i < table->column_count; i++) {
        tern_buffer_put8(buffer, ',');
        put_value(buffer, &table->columns[i], &row->values[i]);
    }
    tern_buffer_put8(buffer, '\n');
}

/* ---- Schemas --------------------------------------------------------------------------------- */

static void put_type(char line[LINE_ROOM], const struct tern_column *column)
{
    static const char *const names[] = {"boolean", "unsigned", "signed", "decimal", "float",
                                        "time_s",  "time_ms",  "text",   "bytes"};
    static const char *const rules[] = {"", " first", " min", " max", " add", "", "", ""};
    unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
    char type[32];
    if (kind == TERN_KIND_BOOL || kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS)
        snprintf(type, sizeof type, "%s", names[kind]);
    else
        snprintf(type, sizeof type, "%s(%u)", kind <= TERN_KIND_BYTES ? names[kind] : "?", parameter);
    snprintf(line, LINE_ROOM, "column %s %s%s%s%s\n", column->name, type,
             (column->flags & TERN_KEY) != 0 ? " key" : "",
             (column->flags & TERN_NULLABLE) != 0 ? " null" : "", rules[column->flags >> 2 & 7]);
}

void tern_csv_put_schema(struct tern_buffer *buffer, const struct tern_table *table, uint32_t hash)
{
    static const char *const modes[] = {"merge", "append", "overwrite", "?"};
    char line[LINE_ROOM];
    snprintf(line, sizeof line, "table %s\nmode %s\nhash %08" PRIx32 "\n", table->name,
             modes[table->mode & 3], hash);
    put_string(buffer, line);
    put_string(buffer, "column device text(32) key\ncolumn tern_id signed(64)\ncolumn tern_op text(6)\n");
    for (uint8_t i = 0; i < table->column_count; i++) {
        put_type(line, &table->columns[i]);
        put_string(buffer, line);
    }
}
