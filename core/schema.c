/* SPDX-License-Identifier: MIT */
#include "schema.h"

#include "crc32c.h"

#define SCHEMA_VERSION 1

uint8_t tern_schema_name_size(const char *name)
{
    uint8_t size = 0;
    /* cppcheck-suppress arrayIndexOutOfBoundsCond ; the end of a short name comes first */
    while (size <= TERN_NAME_MAX && name[size] != '\0')
        size++;
    return size;
}

/* ---- Encoding -------------------------------------------------------------------------------- */

/* Four bytes, of which the last is the length of the name behind them. */
static void encode_named(uint8_t *head, const char *name, tern_schema_sink *sink, void *context)
{
    head[3] = tern_schema_name_size(name);
    sink(context, head, 4);
    sink(context, name, head[3]);
}

void tern_schema_encode(const struct tern_table *table, tern_schema_sink *sink, void *context)
{
    uint8_t head[4] = {SCHEMA_VERSION, table->mode, table->flags, 0};
    const struct tern_column *column = table->columns;
    encode_named(head, table->name, sink, context);
    sink(context, &table->column_count, 1);
    for (uint8_t i = table->column_count; i != 0; i--, column++) {
        tern_store16(head, column->type);
        head[2] = column->flags;
        encode_named(head, column->name, sink, context);
    }
}

static void add_size(void *context, const void *data, size_t size)
{
    (void)data;
    *(size_t *)context += size;
}

size_t tern_schema_size(const struct tern_table *table)
{
    size_t size = 0;
    tern_schema_encode(table, add_size, &size);
    return size;
}

static void add_crc(void *context, const void *data, size_t size)
{
    uint32_t *crc = context;
    *crc = tern_crc32c(*crc, data, size);
}

uint32_t tern_schema_hash(const struct tern_table *table)
{
    uint32_t crc = 0;
    tern_schema_encode(table, add_crc, &crc);
    return crc;
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool name_is_allowed(const char *name)
{
    uint8_t size = tern_schema_name_size(name);
    if (size == 0 || size > TERN_NAME_MAX || name[0] < 'a' || name[0] > 'z')
        return false;
    for (uint8_t i = 1; i < size; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
            return false;
    /* tern's own columns and tables begin so. */
    return size < 5 || memcmp(name, "tern_", 5) != 0;
}

static bool type_is_allowed(uint16_t type)
{
    unsigned parameter = TERN_TYPE_PARAMETER(type);
    switch (TERN_TYPE_KIND(type)) {
    case TERN_KIND_BOOL:
    case TERN_KIND_TIME_S:
    case TERN_KIND_TIME_MS:
        return parameter == 0;
    case TERN_KIND_UNSIGNED:
    case TERN_KIND_SIGNED:
        return parameter == 8 || parameter == 16 || parameter == 32 || parameter == 64;
    case TERN_KIND_DECIMAL:
        return parameter <= 18;
    case TERN_KIND_FLOAT:
        return parameter <= 15;
    case TERN_KIND_TEXT:
    case TERN_KIND_BYTES:
        return parameter >= 1;
    default:
        return false;
    }
}

static bool column_is_allowed(const struct tern_column *column)
{
    bool rule_is_allowed = column->flags >> 2 <= TERN_ADD >> 2;
    bool key_is_plain = (column->flags & TERN_KEY) == 0 || column->flags == TERN_KEY;
    return name_is_allowed(column->name) && type_is_allowed(column->type) && rule_is_allowed && key_is_plain;
}

static bool names_are_equal(const char *a, const char *b)
{
    uint8_t size = tern_schema_name_size(a);
    return size == tern_schema_name_size(b) && memcmp(a, b, size) == 0;
}

static bool name_is_taken(const struct tern_table *table, uint8_t column)
{
    const char *name = table->columns[column].name;
    if (names_are_equal(name, "device"))
        return true;
    for (uint8_t i = 0; i < column; i++)
        if (names_are_equal(name, table->columns[i].name))
            return true;
    return false;
}

int tern_schema_check(const struct tern_table *table)
{
    uint8_t keys = 0;
    bool counts = false;
    if (table->column_count == 0 || table->column_count > TERN_COLUMNS_MAX || table->mode > TERN_OVERWRITE ||
        table->flags > TERN_DEDUP || !name_is_allowed(table->name))
        return TERN_E_SCHEMA;
    for (uint8_t i = 0; i < table->column_count; i++) {
        if (!column_is_allowed(&table->columns[i]) || name_is_taken(table, i))
            return TERN_E_SCHEMA;
        keys = (uint8_t)(keys + (table->columns[i].flags & TERN_KEY));
        counts = counts || table->columns[i].flags >> 2 == TERN_ADD >> 2;
    }
    /* Two equal puts count twice, and two equal rows of a snapshot are its business. */
    if (table->flags == TERN_DEDUP && (counts || table->mode == TERN_OVERWRITE))
        return TERN_E_SCHEMA;
    if ((table->mode == TERN_MERGE && keys == 0) || (table->mode == TERN_APPEND && keys != 0))
        return TERN_E_SCHEMA;
    return tern_schema_size(table) <= TERN_SCHEMA_MAX ? TERN_OK : TERN_E_SCHEMA;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

/* Copies a text8 behind `*used` in the names, ended by NUL. A NUL inside would shorten the name unseen. */
static const char *decode_name(struct tern_input *input, struct tern_schema *schema, size_t *used)
{
    uint8_t size = tern_read8(input);
    const uint8_t *bytes = tern_read_bytes(input, size);
    char *name = schema->names + *used;
    if (bytes == NULL || size > TERN_NAME_MAX) {
        input->failed = true;
        return schema->names;
    }
    memcpy(name, bytes, size);
    name[size] = '\0';
    if (tern_schema_name_size(name) != size)
        input->failed = true;
    *used += (size_t)size + 1;
    return name;
}

static void decode_columns(struct tern_input *input, struct tern_schema *schema, size_t used)
{
    for (uint8_t i = 0; i < schema->table.column_count && !input->failed; i++) {
        schema->columns[i].type = tern_read16(input);
        schema->columns[i].flags = tern_read8(input);
        schema->columns[i].name = decode_name(input, schema, &used);
    }
}

int tern_schema_decode(struct tern_schema *schema, const uint8_t *data, size_t size)
{
    struct tern_input input = {data, size, size > TERN_SCHEMA_MAX};
    struct tern_table *table = &schema->table;
    size_t used = 0;
    memset(table, 0, sizeof(*table));
    if (tern_read8(&input) != SCHEMA_VERSION)
        return TERN_E_SCHEMA;
    table->columns = schema->columns;
    table->mode = tern_read8(&input);
    table->flags = tern_read8(&input);
    table->name = decode_name(&input, schema, &used);
    table->column_count = tern_read8(&input);
    if (input.failed || table->column_count > TERN_COLUMNS_MAX)
        return TERN_E_SCHEMA;
    decode_columns(&input, schema, used);
    if (input.failed || input.size != 0)
        return TERN_E_SCHEMA;
    return tern_schema_check(table);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Whether the number is one of so many bits: what lies above them, and above one less for the sign, is all
 * alike. */
static bool number_fits(uint16_t type, int64_t number)
{
    unsigned bits = TERN_TYPE_PARAMETER(type);
    uint32_t high = (uint32_t)((uint64_t)number >> 32);
    uint32_t low = (uint32_t)number;
    unsigned kind = TERN_TYPE_KIND(type);
    if (kind > TERN_KIND_SIGNED || bits == 64)
        return true;
    if (kind == TERN_KIND_BOOL)
        bits = 1;
    if (kind == TERN_KIND_SIGNED) { /* moved up, so that the range begins at 0 */
        uint32_t half = (uint32_t)1 << (bits - 1);
        low += half;
        high += low < half;
    }
    return high == 0 && low >> (bits - 1) <= 1;
}

static bool value_fits(const struct tern_column *column, const struct tern_value *value)
{
    if (value->is_null)
        return (column->flags & TERN_NULLABLE) != 0;
    if (TERN_TYPE_KIND(column->type) >= TERN_KIND_TEXT)
        return value->size <= TERN_TYPE_PARAMETER(column->type) && (value->data != NULL || value->size == 0);
    return number_fits(column->type, value->number);
}

int tern_row_check(const struct tern_table *table, uint8_t op, const struct tern_value *row)
{
    if (op >= TERN_OP_SNAPSHOT_BEGIN)
        return TERN_OK;
    for (uint8_t i = 0; i < table->column_count; i++) {
        const struct tern_column *column = &table->columns[i];
        if (op == TERN_OP_DELETE && (column->flags & TERN_KEY) == 0)
            continue;
        if (!value_fits(column, row++))
            return TERN_E_ROW;
    }
    return TERN_OK;
}
