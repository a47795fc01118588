/* SPDX-License-Identifier: MIT */
#include "csv.h"

#include "chunk.h"

#define DIGITS_MAX 20 /* of 2^64 - 1 */

static const char op_sign[] = {'+', '-', '[', ']'};

/* ---- Numbers --------------------------------------------------------------------------------- */

static bool is_unsigned(uint16_t type)
{
    return TERN_TYPE_KIND(type) <= TERN_KIND_UNSIGNED;
}

static uint8_t declared_digits(uint16_t type)
{
    unsigned kind = TERN_TYPE_KIND(type);
    bool is_scaled = kind == TERN_KIND_DECIMAL || kind == TERN_KIND_FLOAT;
    return (uint8_t)(is_scaled ? TERN_TYPE_PARAMETER(type) : 0u);
}

/* value / 10 by shifts and adds: n * 0.8 from its binary expansion, then / 8, then the error of at most one
 * put right (H. S. Warren, Hacker's Delight, 10-17). A 64-bit division would link 500 bytes on a
 * Cortex-M0+. */
static uint64_t divide_by_ten(uint64_t value, uint8_t *rest)
{
    uint64_t quotient = (value >> 1) + (value >> 2);
    quotient += quotient >> 4;
    quotient += quotient >> 8;
    quotient += quotient >> 16;
    quotient += quotient >> 32;
    quotient >>= 3;
    uint8_t remainder = (uint8_t)(value - ((quotient << 3) + (quotient << 1)));
    while (remainder > 9) {
        remainder = (uint8_t)(remainder - 10);
        quotient++;
    }
    *rest = remainder;
    return quotient;
}

size_t tern_csv_number(char text[TERN_NUMBER_MAX], uint16_t type, int64_t number)
{
    char reversed[TERN_NUMBER_MAX];
    uint8_t point = declared_digits(type);
    uint8_t size = 0;
    bool minus = number < 0 && !is_unsigned(type);
    uint64_t value = minus ? 0 - (uint64_t)number : (uint64_t)number;
    uint8_t digits = 0;
    do {
        uint8_t digit;
        if (digits == point && digits != 0)
            reversed[size++] = '.';
        value = divide_by_ten(value, &digit);
        reversed[size++] = (char)('0' + digit);
        digits++;
    } while (value != 0 || digits <= point);
    if (minus)
        reversed[size++] = '-';
    for (uint8_t i = 0; i < size; i++)
        text[i] = reversed[size - 1 - i];
    return size;
}

/* Digits, with a point among them if `point` is not 0. Digits behind the point that are missing count as
 * zeros when not strict. */
static int parse_digits(const char *text, size_t size, uint8_t point, bool strict, uint64_t *value)
{
    uint8_t behind = 0;
    uint8_t before = 0;
    bool pointed = false;
    *value = 0;
    for (size_t i = 0; i < size || (behind < point && !strict); i++) {
        char c = i < size ? text[i] : '0';
        if (c == '.' && !pointed && point != 0) {
            pointed = true;
            continue;
        }
        if (c < '0' || c > '9' || (pointed && behind == point))
            return TERN_E_ROW;
        uint8_t digit = (uint8_t)(c - '0');
        if (*value > UINT64_MAX / 10 || (*value == UINT64_MAX / 10 && digit > UINT64_MAX % 10))
            return TERN_E_ROW;
        *value = *value * 10 + digit;
        if (i >= size || pointed)
            behind++;
        else
            before = before < 2 ? (uint8_t)(before + 1) : before;
    }
    if (strict && (behind != point || before == 0 || (before > 1 && text[0] == '0')))
        return TERN_E_ROW;
    return before != 0 || (pointed && size > 1) ? TERN_OK : TERN_E_ROW;
}

static bool range_allows(uint16_t type, bool minus, uint64_t value)
{
    unsigned kind = TERN_TYPE_KIND(type);
    unsigned bits = TERN_TYPE_PARAMETER(type);
    if (kind == TERN_KIND_BOOL)
        return value <= 1 && !minus;
    if (kind == TERN_KIND_UNSIGNED)
        return !minus && (bits == 64 || value >> bits == 0);
    uint64_t limit = (uint64_t)1 << (kind == TERN_KIND_SIGNED ? bits - 1 : 63);
    return minus ? value <= limit : value < limit;
}

int tern_csv_parse_number(const char *text, size_t size, uint16_t type, bool strict, int64_t *number)
{
    uint64_t value;
    bool minus = size != 0 && text[0] == '-';
    if (minus || (!strict && size != 0 && text[0] == '+')) {
        text++;
        size--;
    }
    if (parse_digits(text, size, declared_digits(type), strict, &value) != TERN_OK)
        return TERN_E_ROW;
    if (minus && value == 0) {
        minus = false; /* minus zero is zero to people, and no form of ours */
        if (strict)
            return TERN_E_ROW;
    }
    if (!range_allows(type, minus, value))
        return TERN_E_ROW;
    *number = (int64_t)(minus ? 0 - value : value);
    return TERN_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static bool needs_quotes(const uint8_t *text, size_t size)
{
    if (size == 0)
        return true;
    for (; size != 0; size--, text++)
        if (*text == ',' || *text == '"' || *text == '\r' || *text == '\n')
            return true;
    return false;
}

static void write_text(struct tern_output *output, const uint8_t *text, size_t size)
{
    bool quoted = needs_quotes(text, size);
    if (quoted)
        tern_write8(output, '"');
    for (; size != 0; size--, text++) {
        if (*text == '"')
            tern_write8(output, '"');
        tern_write8(output, *text);
    }
    if (quoted)
        tern_write8(output, '"');
}

static void write_digit(struct tern_output *output, unsigned digit)
{
    tern_write8(output, (uint8_t)(digit < 10 ? '0' + digit : 'a' - 10 + digit));
}

static void write_hex(struct tern_output *output, const uint8_t *bytes, size_t size)
{
    if (size == 0)
        write_text(output, bytes, 0);
    for (; size != 0; size--, bytes++) {
        write_digit(output, *bytes >> 4);
        write_digit(output, *bytes & 15u);
    }
}

static void write_value(struct tern_output *output, uint16_t type, const struct tern_value *value)
{
    char text[TERN_NUMBER_MAX];
    if (value->is_null)
        return;
    if (TERN_TYPE_KIND(type) == TERN_KIND_TEXT)
        write_text(output, value->data, value->size);
    else if (TERN_TYPE_KIND(type) == TERN_KIND_BYTES)
        write_hex(output, value->data, value->size);
    else
        tern_write_bytes(output, text, tern_csv_number(text, type, value->number));
}

/* Whether a record of this operation has a field for the column. */
static bool has_field(const struct tern_column *column, uint8_t op)
{
    return op == TERN_OP_PUT || (op == TERN_OP_DELETE && (column->flags & TERN_KEY) != 0);
}

size_t tern_csv_record(uint8_t *line, size_t room, const struct tern_table *table, uint8_t index, uint8_t op,
                       const struct tern_value *row)
{
    struct tern_output output = {line, 0, room, false};
    tern_write8(&output, (uint8_t)op_sign[op]);
    tern_write8(&output, (uint8_t)('0' + index));
    for (uint8_t i = 0; i < table->column_count; i++) {
        if (!has_field(&table->columns[i], op))
            continue;
        tern_write8(&output, ',');
        write_value(&output, table->columns[i].type, row++);
    }
    tern_write8(&output, '\n');
    return output.failed ? 0 : output.size;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* One that is not closed is longer than what there is. */
static void read_quoted(struct tern_input *input, struct tern_csv_field *field)
{
    const uint8_t *at = input->data + 1;
    const uint8_t *end = input->data + input->size;
    field->data = at;
    field->quoted = true;
    for (; at < end; at++) {
        if (*at != '"')
            continue;
        if (at + 1 == end || at[1] != '"')
            break;
        field->doubled = true;
        at++;
    }
    field->size = (size_t)(at - field->data);
    tern_read_bytes(input, field->size + 2);
}

static void read_bare(struct tern_input *input, struct tern_csv_field *field)
{
    field->data = input->data;
    while (field->size < input->size && field->data[field->size] != ',' && field->data[field->size] != '\n') {
        if (field->data[field->size] == '"')
            input->failed = true;
        field->size++;
    }
    tern_read_bytes(input, field->size);
}

int tern_csv_field(struct tern_input *input, struct tern_csv_field *field)
{
    memset(field, 0, sizeof(*field));
    if (input->size != 0 && input->data[0] == '"')
        read_quoted(input, field);
    else
        read_bare(input, field);
    uint8_t ended = tern_read8(input);
    if (input->failed || (ended != ',' && ended != '\n'))
        return TERN_E_CORRUPT;
    field->last = ended == '\n';
    return TERN_OK;
}

/* Where the field's text is: in place, or in scratch when doubled quotes must be made single. */
static const uint8_t *plain_text(const struct tern_csv_field *field, uint8_t **scratch, size_t *size)
{
    uint8_t *copy = *scratch;
    *size = field->size;
    if (!field->doubled)
        return field->data;
    *size = 0;
    for (size_t i = 0; i < field->size; i++) {
        copy[(*size)++] = field->data[i];
        if (field->data[i] == '"')
            i++;
    }
    *scratch += *size;
    return copy;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(const struct tern_csv_field *field, uint8_t **scratch, struct tern_value *value)
{
    value->data = *scratch;
    value->size = (uint16_t)(field->size / 2);
    if (field->size % 2 != 0 || field->quoted != (field->size == 0))
        return TERN_E_CORRUPT;
    for (size_t i = 0; i < field->size; i += 2) {
        int high = hex_value(field->data[i]);
        int low = hex_value(field->data[i + 1]);
        if (high < 0 || low < 0)
            return TERN_E_CORRUPT;
        *(*scratch)++ = (uint8_t)(high << 4 | low);
    }
    return TERN_OK;
}

static int read_text(const struct tern_csv_field *field, uint8_t **scratch, struct tern_value *value)
{
    size_t size;
    const uint8_t *text = plain_text(field, scratch, &size);
    value->data = text;
    value->size = (uint16_t)size;
    return field->quoted == needs_quotes(text, size) ? TERN_OK : TERN_E_CORRUPT;
}

static int read_value(const struct tern_csv_field *field, const struct tern_column *column, uint8_t **scratch,
                      struct tern_value *value)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    memset(value, 0, sizeof(*value));
    if (field->size == 0 && !field->quoted) {
        value->is_null = 1;
        return column->flags & TERN_NULLABLE ? TERN_OK : TERN_E_ROW;
    }
    if (kind < TERN_KIND_TEXT)
        return field->quoted ? TERN_E_CORRUPT
                             : tern_csv_parse_number((const char *)field->data, field->size, column->type,
                                                     true, &value->number);
    if (field->size > 2u * TERN_CHUNK_MAX)
        return TERN_E_ROW;
    int status = kind == TERN_KIND_TEXT ? read_text(field, scratch, value) : read_hex(field, scratch, value);
    if (status != TERN_OK)
        return status;
    return value->size <= TERN_TYPE_PARAMETER(column->type) ? TERN_OK : TERN_E_ROW;
}

/* The first field: operation and table. */
static int read_lead(struct tern_input *input, uint8_t table_count, struct tern_csv_record *record,
                     bool *last)
{
    struct tern_csv_field field;
    if (tern_csv_field(input, &field) != TERN_OK || field.quoted || field.size != 2)
        return TERN_E_CORRUPT;
    record->op = 0;
    while (record->op < sizeof(op_sign) && op_sign[record->op] != (char)field.data[0])
        record->op++;
    record->index = (uint8_t)(field.data[1] - '0');
    record->values = 0;
    *last = field.last;
    return record->op < sizeof(op_sign) && record->index < table_count ? TERN_OK : TERN_E_CORRUPT;
}

int tern_csv_read(struct tern_input *input, const struct tern_table *const *tables, uint8_t table_count,
                  struct tern_csv_record *record, struct tern_value row[TERN_COLUMNS_MAX], uint8_t *scratch)
{
    bool last = false;
    int status = read_lead(input, table_count, record, &last);
    if (status != TERN_OK)
        return status;
    const struct tern_table *table = tables[record->index];
    for (uint8_t i = 0; i < table->column_count; i++) {
        struct tern_csv_field field;
        if (!has_field(&table->columns[i], record->op))
            continue;
        if (last)
            return TERN_E_CORRUPT;
        status = tern_csv_field(input, &field);
        if (status == TERN_OK)
            status = read_value(&field, &table->columns[i], &scratch, &row[record->values++]);
        if (status != TERN_OK)
            return status;
        last = field.last;
    }
    return last ? TERN_OK : TERN_E_CORRUPT;
}

/* ---- The plain codec ------------------------------------------------------------------------- */

static void csv_open(struct tern_chunk *chunk)
{
    (void)chunk;
}

static int csv_declare(struct tern_chunk *chunk, uint8_t index)
{
    (void)chunk;
    (void)index;
    return TERN_OK;
}

static int csv_put(struct tern_chunk *chunk, uint8_t *payload, uint16_t room, uint8_t index, uint8_t op,
                   const struct tern_value *row)
{
    uint16_t left =
        (uint16_t)(room - chunk->payload); /* no table is declared where what is there would not fit */
    size_t size = tern_csv_record(payload + chunk->payload, left, chunk->tables[index], index, op, row);
    if (size == 0)
        return TERN_E_TOO_BIG;
    chunk->payload = (uint16_t)(chunk->payload + size);
    return TERN_OK;
}

static uint16_t csv_finish(struct tern_chunk *chunk, uint8_t *payload)
{
    (void)payload;
    return chunk->payload;
}

const struct tern_codec tern_csv = {0, csv_open, csv_declare, csv_put, csv_finish};
