/* SPDX-License-Identifier: MIT */
#include "csv_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/crc32c.h"
#include "../../core/csv.h"

#define SCALE_MAX 18

static int fail(char message[CSV_MESSAGE_SIZE], const struct csv_file *file, const char *format, ...)
{
    va_list arguments;
    int used = file->line == 0 ? snprintf(message, CSV_MESSAGE_SIZE, "%s: ", file->path)
                               : snprintf(message, CSV_MESSAGE_SIZE, "%s:%lu: ", file->path, file->line);
    if (used < 0 || used >= CSV_MESSAGE_SIZE)
        used = 0;
    va_start(arguments, format);
    vsnprintf(message + used, (size_t)(CSV_MESSAGE_SIZE - used), format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- The file -------------------------------------------------------------------------------- */

static int read_whole(struct csv_file *file, FILE *stream)
{
    size_t room = 1 << 16;
    size_t got;
    file->data = malloc(room);
    while (file->data != NULL && (got = fread(file->data + file->size, 1, room - file->size, stream)) != 0) {
        file->size += got;
        if (file->size < room)
            continue;
        room *= 2;
        char *larger = realloc(file->data, room);
        if (larger == NULL)
            return -1;
        file->data = larger;
    }
    return file->data == NULL || ferror(stream) ? -1 : 0;
}

int csv_open(struct csv_file *file, const char *path, char message[CSV_MESSAGE_SIZE])
{
    *file = (struct csv_file){.path = path};
    FILE *stream = fopen(path, "rb");
    int status = stream == NULL ? -1 : read_whole(file, stream);
    int error = errno;
    if (stream != NULL)
        fclose(stream);
    if (status != 0) {
        csv_close(file);
        return fail(message, file, "cannot be read: %s; give a CSV file with a header line", strerror(error));
    }
    file->crc = tern_crc32c(0, file->data, file->size);
    return 0;
}

void csv_close(struct csv_file *file)
{
    free(file->data);
    file->data = NULL;
}

/* ---- Lines and fields ------------------------------------------------------------------------ */

/* The end of a quoted field: behind its closing quote. NULL when it is not closed. */
static char *end_of_quoted(const struct csv_file *file, char *at)
{
    char *end = file->data + file->size;
    for (at++; at < end; at++) {
        if (*at != '"')
            continue;
        if (at + 1 == end || at[1] != '"')
            return at + 1;
        at++;
    }
    return NULL;
}

static bool is_line_end(const struct csv_file *file, const char *at)
{
    const char *end = file->data + file->size;
    return at == end || *at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n');
}

static char *end_of_bare(const struct csv_file *file, char *at)
{
    while (!is_line_end(file, at) && *at != ',')
        at++;
    return at;
}

/* Splits the line at file->at. Quoted fields keep their doubled quotes: unquote() makes them single. Returns
 * the fields' number, or -1. Fields beyond TERN_COLUMNS_MAX are counted and not kept. */
static int split_line(struct csv_file *file, struct csv_field *fields, bool *quoted,
                      char message[CSV_MESSAGE_SIZE])
{
    char *at = file->data + file->at;
    int count = 0;
    file->line++;
    for (;;) {
        bool is_quoted = at < file->data + file->size && *at == '"';
        char *end = is_quoted ? end_of_quoted(file, at) : end_of_bare(file, at);
        if (end == NULL)
            return fail(message, file,
                        "field %d begins with a quote that is never closed; double a quote inside a field",
                        count + 1);
        if (count < TERN_COLUMNS_MAX) {
            fields[count] = (struct csv_field){
                is_quoted ? at + 1 : at, (size_t)(end - at) - (is_quoted ? 2 : 0), !is_quoted && end == at};
            quoted[count] = is_quoted;
        }
        count++;
        if (is_line_end(file, end)) {
            at = end;
            break;
        }
        if (*end != ',')
            return fail(message, file,
                        "field %d goes on behind its closing quote; double a quote inside a field", count);
        at = end + 1;
    }
    file->at = (size_t)(at - file->data);
    if (file->at < file->size)
        file->at += file->data[file->at] == '\r' ? 2 : 1;
    return count;
}

static int wrong_count(const struct csv_file *file, int found, int wanted, char message[CSV_MESSAGE_SIZE])
{
    return fail(message, file, "has %d field%s and the header has %d; too %s: mend the line", found,
                found == 1 ? "" : "s", wanted, found < wanted ? "few" : "many");
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* What the fields of a column have looked like so far. */
struct look {
    bool integers, decimals; /* all of them fit such a type */
    bool nulls;
    unsigned scale;  /* most digits behind the point */
    unsigned before; /* most digits before it */
    size_t longest;
};

/* Whether the text is a plain decimal number whose value says all that the text says: no leading zeros,
 * exponent or plus. */
static bool look_at_number(const struct csv_field *field, unsigned *before, unsigned *behind)
{
    const char *text = field->text;
    const char *end = text + field->size;
    *before = *behind = 0;
    if (text < end && *text == '-')
        text++;
    bool zero = text < end && *text == '0';
    for (; text < end && isdigit((unsigned char)*text); text++)
        ++*before;
    if (*before == 0 || (zero && *before > 1))
        return false;
    if (text == end)
        return !(zero && field->text[0] == '-');
    if (*text++ != '.')
        return false;
    for (; text < end && isdigit((unsigned char)*text); text++)
        ++*behind;
    return text == end && *behind != 0;
}

static void look_at(struct look *look, const struct csv_field *field)
{
    unsigned before, behind;
    int64_t number;
    if (field->is_null) {
        look->nulls = true;
        return;
    }
    look->longest = field->size > look->longest ? field->size : look->longest;
    if (!look->decimals)
        return;
    look->decimals = look_at_number(field, &before, &behind);
    look->scale = behind > look->scale ? behind : look->scale;
    look->before = before > look->before ? before : look->before;
    if (look->integers &&
        tern_csv_parse_number(field->text, field->size, TERN_I64, false, &number) != TERN_OK)
        look->integers = false;
}

static uint16_t type_of(const struct look *look)
{
    if (look->integers && look->scale == 0)
        return TERN_I64;
    if (look->decimals && look->scale > 0 && look->scale + look->before <= SCALE_MAX)
        return TERN_DECIMAL(look->scale);
    /* Room for what later files hold: a schema that grows with every file would be no help. */
    size_t room = 16;
    while (room < look->longest && room < 4095)
        room = room * 2 > 4095 ? 4095 : room * 2;
    return TERN_TEXT(room);
}

static bool parse_parameter(const char *text, const char *name, unsigned least, unsigned most,
                            unsigned *parameter)
{
    size_t size = strlen(name);
    if (strncmp(text, name, size) != 0 || text[size] != '(')
        return false;
    char *end;
    unsigned long value = strtoul(text + size + 1, &end, 10);
    *parameter = (unsigned)value;
    return end != text + size + 1 && value >= least && value <= most && strcmp(end, ")") == 0;
}

static bool parse_type(const char *text, uint16_t *type)
{
    static const struct {
        const char *name;
        uint16_t type;
    } plain[] = {{"bool", TERN_BOOL}, {"u8", TERN_U8},         {"u16", TERN_U16},        {"u32", TERN_U32},
                 {"u64", TERN_U64},   {"i8", TERN_I8},         {"i16", TERN_I16},        {"i32", TERN_I32},
                 {"i64", TERN_I64},   {"time_s", TERN_TIME_S}, {"time_ms", TERN_TIME_MS}};
    unsigned parameter;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strcmp(text, plain[i].name) == 0) {
            *type = plain[i].type;
            return true;
        }
    if (parse_parameter(text, "decimal", 0, SCALE_MAX, &parameter))
        *type = TERN_DECIMAL(parameter);
    else if (parse_parameter(text, "float", 0, 15, &parameter))
        *type = TERN_FLOAT(parameter);
    else if (parse_parameter(text, "text", 1, 4095, &parameter))
        *type = TERN_TEXT(parameter);
    else
        return false;
    return true;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void unquote(struct csv_field *field)
{
    size_t size = 0;
    for (size_t i = 0; i < field->size; i++) {
        if (field->text[i] == '"')
            i++;
        field->text[size++] = field->text[i];
    }
    field->size = size;
}

static size_t unquoted_size(const struct csv_field *field, bool quoted)
{
    size_t quotes = 0;
    for (size_t i = 0; quoted && i < field->size; i++)
        quotes += field->text[i] == '"';
    return field->size - quotes / 2;
}

static int check_value(const struct csv_file *file, const struct tern_column *column,
                       const struct csv_field *field, bool quoted, char message[CSV_MESSAGE_SIZE])
{
    int64_t number;
    unsigned limit = TERN_TYPE_PARAMETER(column->type);
    if (field->is_null)
        return column->flags & TERN_NULLABLE
                   ? 0
                   : fail(message, file, "column %s is empty, and %s; write \"\" for the empty text",
                          column->name,
                          column->flags & TERN_KEY ? "a key cannot be NULL"
                                                   : "it was declared not to be NULL (add ? to its type)");
    if (TERN_TYPE_KIND(column->type) == TERN_KIND_TEXT) {
        size_t size = unquoted_size(field, quoted);
        return size <= limit
                   ? 0
                   : fail(message, file,
                          "column %s has %zu bytes of text and its type holds %u; declare it longer",
                          column->name, size, limit);
    }
    if (tern_csv_parse_number(field->text, field->size, column->type, false, &number) == TERN_OK)
        return 0;
    return fail(
        message, file,
        "column %s: `%.*s` is not a number that its type holds; mend it or give the type with --types",
        column->name, field->size > 40 ? 40 : (int)field->size, field->text);
}

int csv_next(struct csv_file *file, const struct csv_table *table, struct tern_value *row,
             char message[CSV_MESSAGE_SIZE])
{
    struct csv_field fields[TERN_COLUMNS_MAX];
    bool quoted[TERN_COLUMNS_MAX];
    if (file->at >= file->size)
        return 0;
    int count = split_line(file, fields, quoted, message);
    if (count != table->table.column_count)
        return count < 0 ? -1 : wrong_count(file, count, table->table.column_count, message);
    for (int i = 0; i < count; i++) {
        const struct tern_column *column = &table->columns[i];
        if (fields[i].is_null) {
            row[i] = tern_null();
        } else if (TERN_TYPE_KIND(column->type) == TERN_KIND_TEXT) {
            if (quoted[i])
                unquote(&fields[i]);
            row[i] = tern_bytes(fields[i].text, fields[i].size);
        } else {
            row[i] = tern_int(0);
            if (tern_csv_parse_number(fields[i].text, fields[i].size, column->type, false, &row[i].number) !=
                TERN_OK)
                return check_value(file, column, &fields[i], quoted[i], message);
        }
    }
    return 1;
}

/* ---- Describing ------------------------------------------------------------------------------ */

/* A header's word as a column name: lower case, others than letters and digits as underscores. */
static int name_column(struct csv_file *file, struct csv_table *table, int index, struct csv_field *field,
                       bool quoted, char message[CSV_MESSAGE_SIZE])
{
    char *name = table->names[index];
    size_t size = 0;
    if (quoted)
        unquote(field);
    if (index == 0 && field->size >= 3 && memcmp(field->text, "\xEF\xBB\xBF", 3) == 0) {
        field->text += 3; /* the byte order mark that some programs write */
        field->size -= 3;
    }
    for (; size < field->size && size < TERN_NAME_MAX; size++) {
        char c = (char)tolower((unsigned char)field->text[size]);
        name[size] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
    }
    name[size] = '\0';
    if (size == 0 || size < field->size || name[0] < 'a' || name[0] > 'z')
        return fail(message, file,
                    "column %d is called `%.*s`; a name begins with a letter and has at most 63 characters",
                    index + 1, (int)(field->size > 40 ? 40 : field->size), field->text);
    table->columns[index].name = name;
    return 0;
}

static int read_header(struct csv_file *file, struct csv_table *table, char message[CSV_MESSAGE_SIZE])
{
    struct csv_field fields[TERN_COLUMNS_MAX];
    bool quoted[TERN_COLUMNS_MAX];
    if (file->size == 0)
        return fail(message, file, "is empty; give a CSV file with a header line");
    file->at = 0;
    file->line = 0;
    int count = split_line(file, fields, quoted, message);
    if (count < 0)
        return -1;
    if (count > TERN_COLUMNS_MAX)
        return fail(message, file, "has %d columns; a table has at most %d", count, TERN_COLUMNS_MAX);
    for (int i = 0; i < count; i++)
        if (name_column(file, table, i, &fields[i], quoted[i], message) != 0)
            return -1;
    table->table.column_count = (uint8_t)count;
    file->first_row = file->at;
    return 0;
}

static struct tern_column *find_column(struct csv_table *table, const char *name, size_t size)
{
    for (int i = 0; i < table->table.column_count; i++)
        if (strlen(table->names[i]) == size && memcmp(table->names[i], name, size) == 0)
            return &table->columns[i];
    return NULL;
}

static int mark_keys(const struct csv_file *file, struct csv_table *table, const char *keys,
                     char message[CSV_MESSAGE_SIZE])
{
    while (keys != NULL && *keys != '\0') {
        size_t size = strcspn(keys, ",");
        struct tern_column *column = find_column(table, keys, size);
        if (column == NULL)
            return fail(message, file, "has no column `%.*s` for --key; its header names the columns",
                        (int)size, keys);
        column->flags = TERN_KEY;
        keys += size + (keys[size] == ',');
    }
    return 0;
}

/* One word of --types: NAME=TYPE or NAME=TYPE?. */
static int declare_type(const struct csv_file *file, struct csv_table *table, bool *declared,
                        const char *word, size_t size, char message[CSV_MESSAGE_SIZE])
{
    char type[32];
    const char *equals = memchr(word, '=', size);
    struct tern_column *column = equals == NULL ? NULL : find_column(table, word, (size_t)(equals - word));
    if (column == NULL)
        return fail(message, file, "--types: `%.*s` names no column; write NAME=TYPE,NAME=TYPE", (int)size,
                    word);
    size_t length = size - (size_t)(equals + 1 - word);
    bool nullable = length != 0 && word[size - 1] == '?';
    length -= nullable;
    snprintf(type, sizeof(type), "%.*s", (int)length, equals + 1);
    if (!parse_type(type, &column->type))
        return fail(message, file,
                    "--types: `%s` is no type; bool, u8 to u64, i8 to i64, time_s, time_ms, decimal(0..18), "
                    "float(0..15) or "
                    "text(1..4095)",
                    type);
    if (nullable && (column->flags & TERN_KEY) == 0)
        column->flags |= TERN_NULLABLE;
    declared[column - table->columns] = true;
    return 0;
}

static int declare_types(const struct csv_file *file, struct csv_table *table, bool *declared,
                         const char *types, char message[CSV_MESSAGE_SIZE])
{
    while (types != NULL && *types != '\0') {
        size_t size = strcspn(types, ",");
        if (declare_type(file, table, declared, types, size, message) != 0)
            return -1;
        types += size + (types[size] == ',');
    }
    return 0;
}

/* Reads every row: looks at undeclared columns, checks declared ones. */
static int read_rows(struct csv_file *file, struct csv_table *table, const bool *declared, struct look *looks,
                     char message[CSV_MESSAGE_SIZE])
{
    struct csv_field fields[TERN_COLUMNS_MAX];
    bool quoted[TERN_COLUMNS_MAX];
    for (table->rows = 0; file->at < file->size; table->rows++) {
        int count = split_line(file, fields, quoted, message);
        if (count != table->table.column_count)
            return count < 0 ? -1 : wrong_count(file, count, table->table.column_count, message);
        for (int i = 0; i < count; i++) {
            if (!declared[i])
                look_at(&looks[i], &fields[i]);
            if ((declared[i] || (fields[i].is_null && table->columns[i].flags & TERN_KEY)) &&
                check_value(file, &table->columns[i], &fields[i], quoted[i], message) != 0)
                return -1;
        }
    }
    return 0;
}

static int infer_types(const struct csv_file *file, struct csv_table *table, const bool *declared,
                       const struct look *looks, char message[CSV_MESSAGE_SIZE])
{
    for (int i = 0; i < table->table.column_count; i++) {
        struct tern_column *column = &table->columns[i];
        if (declared[i])
            continue;
        if (looks[i].longest > 4095)
            return fail(message, file, "column %s has a field of %zu bytes; text holds at most 4095",
                        column->name, looks[i].longest);
        column->type = type_of(&looks[i]);
        if (looks[i].nulls)
            column->flags |= TERN_NULLABLE;
    }
    return 0;
}

int csv_describe(struct csv_file *file, const struct csv_options *options, struct csv_table *table,
                 char message[CSV_MESSAGE_SIZE])
{
    struct look looks[TERN_COLUMNS_MAX];
    bool declared[TERN_COLUMNS_MAX] = {false};
    *table = (struct csv_table){.table = {.name = options->table,
                                          .codec = &tern_csv,
                                          .mode = options->append ? TERN_APPEND : TERN_MERGE}};
    table->table.columns = table->columns;
    for (int i = 0; i < TERN_COLUMNS_MAX; i++)
        looks[i] = (struct look){.integers = true, .decimals = true};
    if (read_header(file, table, message) != 0 || mark_keys(file, table, options->keys, message) != 0 ||
        declare_types(file, table, declared, options->types, message) != 0 ||
        read_rows(file, table, declared, looks, message) != 0 ||
        infer_types(file, table, declared, looks, message) != 0)
        return -1;
    file->line = 0;
    if (tern_table_check(&table->table) != TERN_OK)
        return fail(message, file,
                    "table `%s` is not allowed: names are [a-z][a-z0-9_]{0,62}, all different, not `device` "
                    "and not tern_...; "
                    "and --key is needed unless --append is given",
                    options->table);
    return 0;
}

void csv_rewind(struct csv_file *file, unsigned long skip)
{
    struct csv_field fields[TERN_COLUMNS_MAX];
    bool quoted[TERN_COLUMNS_MAX];
    char message[CSV_MESSAGE_SIZE];
    file->at = file->first_row;
    file->line = 1;
    for (; skip != 0 && file->at < file->size; skip--)
        (void)split_line(file, fields, quoted, message);
}
