/* SPDX-License-Identifier: MIT */
/* Files of a csv destination, back into a staging store: every record under its own device and tern_id, in
 * order, so that what the store or a destination has already is known, and what is missing between them
 * becomes a gap. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/csv.h"
#include "cmd_import.h"
#include "csv_schema.h"

#define SCHEMAS_MAX 256
#define HEAD        "device,tern_id,tern_op"

/* One record: where it stands, and what it is. */
struct record {
    const uint8_t *line; /* behind device, tern_id and tern_op */
    uint32_t size;
    uint16_t schema; /* index */
    uint8_t op;
    int64_t id;
    char device[TERN_ID_MAX + 1];
};

struct segments {
    struct tern_bring *bring;
    struct tern_csv_schema *schemas[SCHEMAS_MAX];
    size_t schema_count;
    struct record *records;
    size_t count, room;
    uint8_t **files; /* their bytes */
    size_t file_count;
};

static bool fail(struct segments *segments, const char *path, const char *message)
{
    snprintf(segments->bring->error, sizeof segments->bring->error, "%.300s: %.190s", path, message);
    return false;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = NULL;
    long length = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0)
        bytes = malloc((size_t)length + 1);
    if (bytes != NULL && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    if (file != NULL)
        fclose(file);
    *size = length < 0 ? 0 : (size_t)length;
    return bytes;
}

bool tern_is_segment(const char *path)
{
    char line[64] = "";
    FILE *file = fopen(path, "re");
    bool good = file != NULL && fgets(line, sizeof line, file) != NULL;
    if (file != NULL)
        fclose(file);
    return good && strncmp(line, HEAD, sizeof HEAD - 1) == 0;
}

/* Whether the header names the schema's columns. */
static bool has_columns(const struct tern_csv_schema *schema, const uint8_t *header, size_t size)
{
    char expected[8192] = HEAD;
    size_t length = sizeof HEAD - 1;
    for (uint8_t i = 0; i < schema->table.column_count; i++)
        length +=
            (size_t)snprintf(expected + length, sizeof expected - length, ",%s", schema->columns[i].name);
    return length == size && memcmp(expected, header, size) == 0;
}

static int add_schema(struct segments *segments, const char *path)
{
    struct tern_csv_schema *schema = malloc(sizeof *schema);
    if (schema == NULL || segments->schema_count == SCHEMAS_MAX ||
        tern_csv_schema_read(schema, path, segments->bring->error) != 0) {
        free(schema);
        return -1;
    }
    segments->schemas[segments->schema_count] = schema;
    return (int)segments->schema_count++;
}

/* The schema beside the segment TABLE-NUMBER-TIME.csv whose columns are those of its header. -1: there is
 * none. */
static int find_schema(struct segments *segments, const char *path, const uint8_t *header, size_t size)
{
    char folder[700], whole[1000];
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    size_t table = strcspn(name, "-");
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path),
             slash == NULL ? "." : path);
    for (size_t i = 0; i < segments->schema_count; i++)
        if (strlen(segments->schemas[i]->name) == table &&
            strncmp(segments->schemas[i]->name, name, table) == 0 &&
            has_columns(segments->schemas[i], header, size))
            return (int)i;
    DIR *listing = opendir(folder);
    int found = -1;
    for (struct dirent *entry; listing != NULL && found < 0 && (entry = readdir(listing)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, name, table + 1) != 0 || length < 8 ||
            strcmp(entry->d_name + length - 7, ".schema") != 0)
            continue;
        snprintf(whole, sizeof whole, "%s/%.255s", folder, entry->d_name);
        found = add_schema(segments, whole);
        if (found >= 0 && !has_columns(segments->schemas[found], header, size)) {
            free(segments->schemas[--segments->schema_count]);
            found = -1;
        }
    }
    if (listing != NULL)
        closedir(listing);
    return found;
}

/* ---- Records --------------------------------------------------------------------------------- */

static bool read_op(const struct tern_csv_field *field, uint8_t *op)
{
    static const char *const ops[] = {"put", "delete", "begin", "end"};
    for (*op = 0; *op < 4; ++*op)
        if (field->size == strlen(ops[*op]) && memcmp(field->data, ops[*op], field->size) == 0)
            return true;
    return false;
}

static bool read_head(struct tern_input *input, struct record *record)
{
    struct tern_csv_field device, id, op;
    if (tern_csv_field(input, &device) != TERN_OK || tern_csv_field(input, &id) != TERN_OK ||
        tern_csv_field(input, &op) != TERN_OK || op.last || device.size > TERN_ID_MAX || device.size == 0)
        return false;
    memcpy(record->device, device.data, device.size);
    record->device[device.size] = '\0';
    return tern_csv_parse_number((const char *)id.data, id.size, TERN_I64, true, &record->id) == TERN_OK &&
           record->id > 0 && read_op(&op, &record->op);
}

/* Passes over the rest of the line. */
static bool skip_line(struct tern_input *input)
{
    struct tern_csv_field field = {.last = false};
    while (!field.last)
        if (tern_csv_field(input, &field) != TERN_OK)
            return false;
    return true;
}

static bool add_record(struct segments *segments, const struct record *record)
{
    if (segments->count == segments->room) {
        size_t room = segments->room == 0 ? 1024 : segments->room * 2;
        struct record *records = realloc(segments->records, room * sizeof *records);
        if (records == NULL)
            return false;
        segments->records = records;
        segments->room = room;
    }
    segments->records[segments->count++] = *record;
    return true;
}

static bool read_records(struct segments *segments, const char *path, struct tern_input input, int schema)
{
    while (input.size != 0) {
        struct record record = {.schema = (uint16_t)schema};
        if (!read_head(&input, &record))
            return fail(segments, path, "holds a line that is no record");
        record.line = input.data;
        if (!skip_line(&input))
            return fail(segments, path, "holds a line that is no record");
        record.size = (uint32_t)(input.data - record.line);
        if (!add_record(segments, &record))
            return fail(segments, path, "out of memory");
    }
    return true;
}

static bool read_segment(struct segments *segments, const char *path)
{
    size_t size;
    uint8_t *bytes = read_whole(path, &size);
    if (bytes == NULL)
        return fail(segments, path, "cannot be read");
    segments->files[segments->file_count++] = bytes;
    const uint8_t *end = memchr(bytes, '\n', size);
    int schema = end == NULL ? -1 : find_schema(segments, path, bytes, (size_t)(end - bytes));
    if (schema < 0)
        return fail(segments, path, "no TABLE-HASH.schema with these columns stands beside it");
    struct tern_input input = {end + 1, size - (size_t)(end + 1 - bytes), false};
    return read_records(segments, path, input, schema);
}

/* ---- Bringing -------------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
    const struct record *a = x, *b = y;
    int order = strcmp(a->device, b->device);
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

static uint32_t epoch_of(const struct record *record)
{
    return (uint32_t)((uint64_t)record->id >> 32);
}

/* The text of a field, quotes undone, in `text`. */
static size_t plain_text(const struct tern_csv_field *field, uint8_t *text)
{
    size_t size = 0;
    for (size_t i = 0; i < field->size; i++) {
        text[size++] = field->data[i];
        i += field->doubled && field->data[i] == '"';
    }
    return size;
}

static bool read_hex(uint8_t *text, size_t *size)
{
    for (size_t i = 0; i + 1 < *size; i += 2) {
        char pair[3] = {(char)text[i], (char)text[i + 1], '\0'};
        if (strspn(pair, "0123456789abcdefABCDEF") != 2)
            return false;
        text[i / 2] = (uint8_t)strtoul(pair, NULL, 16);
    }
    bool even = *size % 2 == 0;
    *size /= 2;
    return even;
}

static bool read_value(const struct tern_csv_field *field, uint16_t type, uint8_t *text,
                       struct tern_value *value)
{
    unsigned kind = TERN_TYPE_KIND(type);
    *value = tern_null();
    if (field->size == 0 && !field->quoted)
        return true;
    value->is_null = 0;
    if (kind < TERN_KIND_TEXT)
        return tern_csv_parse_number((const char *)field->data, field->size, type, true, &value->number) ==
               TERN_OK;
    size_t size = plain_text(field, text);
    if (kind == TERN_KIND_BYTES && !read_hex(text, &size))
        return false;
    *value = tern_bytes(text, size);
    return true;
}

/* The record's values, as tern_chunk_put() takes them: of a delete those of the key. `scratch` has the line's
 * size. */
static bool read_row(const struct tern_csv_schema *schema, const struct record *record, uint8_t *scratch,
                     struct tern_value row[TERN_COLUMNS_MAX])
{
    struct tern_input input = {record->line, record->size, false};
    struct tern_csv_field field;
    size_t count = 0;
    if (record->op > TERN_OP_DELETE && schema->table.mode != TERN_OVERWRITE)
        return false;
    for (uint8_t i = 0; i < schema->table.column_count; i++) {
        bool wanted = record->op == TERN_OP_PUT ||
                      (record->op == TERN_OP_DELETE && (schema->columns[i].flags & TERN_KEY) != 0);
        if (tern_csv_field(&input, &field) != TERN_OK ||
            (wanted && !read_value(&field, schema->columns[i].type, scratch, &row[count])))
            return false;
        scratch += field.size;
        count += wanted;
    }
    return true;
}

static bool bring_record(struct segments *segments, const struct record *record)
{
    struct tern_bring *bring = segments->bring;
    struct tern_csv_schema *schema = segments->schemas[record->schema];
    struct tern_value row[TERN_COLUMNS_MAX];
    uint32_t sequence = (uint32_t)record->id;
    uint32_t next = bring->chunk.size != 0 ? tern_chunk_next(&bring->chunk) : bring->range->taken.next;
    if (sequence < next) {
        bring->known++;
        return true;
    }
    uint8_t *scratch = malloc(record->size + 1);
    bool good = scratch != NULL && read_row(schema, record, scratch, row);
    if (!good)
        fail(segments, schema->name, "a record does not fit its schema");
    if (good && sequence > next)
        good = tern_bring_skip(bring, sequence);
    if (good && record->op == TERN_OP_SNAPSHOT_BEGIN)
        good = tern_bring_batch(bring, true);
    good = good && tern_bring_put(bring, &schema->table, record->op, row);
    if (good && record->op == TERN_OP_SNAPSHOT_END)
        good = tern_bring_batch(bring, false);
    free(scratch);
    return good;
}

/* Records [from, to): of one device and epoch. */
static bool bring_range(struct segments *segments, size_t from, size_t to)
{
    const struct record *first = &segments->records[from];
    uint32_t next = (uint32_t)segments->records[to - 1].id + 1;
    bool given[SCHEMAS_MAX] = {false};
    if (!tern_bring_begin(segments->bring, first->device, epoch_of(first), (uint32_t)first->id, next))
        return false;
    for (size_t i = from; i < to; i++) {
        uint16_t schema = segments->records[i].schema;
        if (!given[schema] && !tern_bring_table(segments->bring, &segments->schemas[schema]->table))
            return false;
        given[schema] = true;
        if (!bring_record(segments, &segments->records[i]))
            return false;
    }
    return tern_bring_end(segments->bring);
}

static bool bring_all(struct segments *segments)
{
    if (segments->count != 0)
        qsort(segments->records, segments->count, sizeof *segments->records, compare);
    for (size_t from = 0, to; from < segments->count; from = to) {
        for (to = from + 1; to < segments->count; to++)
            if (strcmp(segments->records[from].device, segments->records[to].device) != 0 ||
                epoch_of(&segments->records[from]) != epoch_of(&segments->records[to]))
                break;
        if (!bring_range(segments, from, to))
            return false;
    }
    return true;
}

bool tern_bring_segments(struct tern_bring *bring, char *const *paths, size_t count)
{
    struct segments segments = {.bring = bring, .files = calloc(count, sizeof(uint8_t *))};
    bool good = segments.files != NULL;
    for (size_t i = 0; i < count && good; i++)
        good = read_segment(&segments, paths[i]);
    good = good && bring_all(&segments);
    for (size_t i = 0; i < segments.file_count; i++)
        free(segments.files[i]);
    for (size_t i = 0; i < segments.schema_count; i++)
        free(segments.schemas[i]);
    free(segments.files);
    free(segments.records);
    return good;
}
