/* SPDX-License-Identifier: MIT */
/* tern-gateway import: CSV files that came another way, into the staging folder, and from there on as
 * everything else. */
#include "cmd_import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/schema.h"
#include "../port/posix/csv_file.h"
#include "csv_schema.h"
#include "hello.h"

#define SYNC_EVERY 256 /* chunks: 1 MiB */

/* ---- Into the store -------------------------------------------------------------------------- */

static bool fail(struct tern_bring *bring, const char *message)
{
    snprintf(bring->error, sizeof bring->error, "%s", message);
    return false;
}

static bool sync_store(struct tern_bring *bring)
{
    bring->chunks = 0;
    return tern_stage_sync(bring->stage) == TERN_HOST_OK ||
           fail(bring, "the staging folder cannot be written");
}

bool tern_bring_begin(struct tern_bring *bring, const char *device, uint32_t epoch, uint32_t base,
                      uint32_t next)
{
    struct tern_hello hello = {.id = device, .range_count = 1};
    hello.ranges[0] =
        (struct tern_hello_range){.lane = epoch & 7u, .epoch = epoch, .base = base, .oldest = base};
    hello.ranges[0].next = next == 0 ? base : next;
    if (!tern_is_identity(device, strlen(device))) {
        snprintf(bring->error, sizeof bring->error, "no device can be called '%.100s': " TERN_IDENTITY_RULE,
                 device);
        return false;
    }
    bring->device = tern_stage_device(bring->stage, device);
    if (bring->device == NULL)
        return fail(bring, "the staging folder takes no more devices");
    int status = tern_stage_hello(bring->stage, bring->device, &hello, &hello.ranges[0], tern_cmd_now(),
                                  &bring->range);
    if (status == TERN_HOST_E_PROTOCOL)
        return fail(bring,
                    "the store does not take the epoch of these records: it knows a newer one of the device "
                    "and never saw this one");
    if (status != TERN_HOST_OK)
        return fail(bring, "the staging folder takes no more records");
    memset(&bring->chunk, 0, sizeof bring->chunk);
    bring->chunk.data = bring->bytes;
    bring->chunk.capacity = sizeof bring->bytes;
    bring->in_batch = false;
    return true;
}

static void collect(void *context, const void *data, size_t size)
{
    tern_write_bytes(context, data, size);
}

bool tern_bring_table(struct tern_bring *bring, const struct tern_table *table)
{
    uint8_t bytes[TERN_SCHEMA_MAX];
    struct tern_output output = {bytes, 0, sizeof bytes, false};
    bool done = false;
    tern_schema_encode(table, collect, &output);
    int status = output.failed ? TERN_HOST_E_LIMIT
                               : tern_stage_schema(bring->stage, bring->device, tern_schema_hash(table), 0,
                                                   bytes, output.size, &done);
    if (status != TERN_HOST_OK)
        return fail(bring, "the staging folder does not take the table");
    return true;
}

/* What is in the chunk goes into the store. */
static bool give_chunk(struct tern_bring *bring)
{
    uint32_t want;
    if (bring->chunk.size == 0 && bring->chunk.segment_rows == 0)
        return true;
    tern_chunk_finish(&bring->chunk, !bring->in_batch || bring->ends_batch, bring->in_batch);
    if (tern_stage_part(bring->stage, bring->range, bring->chunk.first, 0, bring->bytes, bring->chunk.size,
                        &want) != TERN_HOST_OK ||
        want != 0)
        return fail(bring, "the staging folder does not take the records");
    tern_chunk_close(&bring->chunk);
    return ++bring->chunks < SYNC_EVERY || sync_store(bring);
}

bool tern_bring_put(struct tern_bring *bring, const struct tern_table *table, uint8_t op,
                    const struct tern_value *row)
{
    if (tern_row_check(table, op, row) != TERN_OK)
        return fail(bring, "a value does not fit its column");
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        if (bring->chunk.size == 0)
            tern_chunk_open(&bring->chunk, &tern_csv, bring->range->taken.next, 0);
        if (tern_chunk_put(&bring->chunk, table, op, row) == TERN_OK) {
            bring->rows++;
            return true;
        }
        if (!give_chunk(bring))
            return false;
    }
    return fail(bring, "a row is longer than a chunk");
}

bool tern_bring_skip(struct tern_bring *bring, uint32_t next)
{
    if (!give_chunk(bring))
        return false;
    uint32_t first = bring->range->taken.next;
    if (first >= next)
        return true;
    return tern_stage_gap(bring->stage, bring->range, first, next - 1, TERN_GAP_HELD) == TERN_HOST_OK ||
           fail(bring, "the staging folder takes no more records");
}

bool tern_bring_batch(struct tern_bring *bring, bool begins)
{
    bring->ends_batch = !begins;
    bool good = give_chunk(bring);
    bring->in_batch = begins;
    bring->ends_batch = false;
    return good;
}

bool tern_bring_end(struct tern_bring *bring)
{
    return give_chunk(bring) && sync_store(bring);
}

/* ---- Other tools' files ---------------------------------------------------------------------- */

/* What a schema file says, as tern-device's options say it. */
struct words {
    char types[8192];
    char keys[4400];
};

static bool describe(const struct tern_csv_schema *schema, struct words *words)
{
    static const char *const names[] = {"bool",   "u",       "i",    "decimal", "float",
                                        "time_s", "time_ms", "text", NULL};
    size_t types = 0, keys = 0;
    words->types[0] = words->keys[0] = '\0';
    for (uint8_t i = 0; i < schema->table.column_count; i++) {
        const struct tern_column *column = &schema->columns[i];
        unsigned kind = TERN_TYPE_KIND(column->type), parameter = TERN_TYPE_PARAMETER(column->type);
        if (kind >= TERN_KIND_BYTES)
            return false;
        bool bare = kind == TERN_KIND_BOOL || kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS;
        bool integer = kind == TERN_KIND_UNSIGNED || kind == TERN_KIND_SIGNED;
        types += (size_t)snprintf(words->types + types, sizeof words->types - types, "%s%s=%s",
                                  i == 0 ? "" : ",", column->name, names[kind]);
        if (!bare)
            types += (size_t)snprintf(words->types + types, sizeof words->types - types,
                                      integer ? "%u" : "(%u)", parameter);
        if ((column->flags & TERN_NULLABLE) != 0)
            types += (size_t)snprintf(words->types + types, sizeof words->types - types, "?");
        if ((column->flags & TERN_KEY) != 0)
            keys += (size_t)snprintf(words->keys + keys, sizeof words->keys - keys, "%s%s",
                                     keys == 0 ? "" : ",", column->name);
    }
    return true;
}

/* A file of an APPEND table has no key by which a row that comes again is known. So the file is its own
 * device: it is brought once. */
static uint32_t already_there(struct tern_bring *bring, const char *device)
{
    struct tern_device *known = tern_stage_device(bring->stage, device);
    bring->device = known;
    return known == NULL ? 0 : tern_stage_newest(known);
}

static bool put_rows(struct tern_bring *bring, struct csv_file *file, const struct csv_table *table)
{
    struct tern_value row[TERN_COLUMNS_MAX];
    char message[CSV_MESSAGE_SIZE];
    int status;
    bring->known += bring->range->taken.next - 1;
    csv_rewind(file, bring->range->taken.next - 1);
    while ((status = csv_next(file, table, row, message)) == 1)
        if (!tern_bring_put(bring, &table->table, TERN_OP_PUT, row))
            return false;
    return status == 0 || fail(bring, message);
}

static bool bring_plain(struct tern_bring *bring, const struct tern_options *options, const char *path)
{
    static struct csv_file file;
    static struct csv_table table;
    static struct tern_csv_schema schema;
    static struct words words;
    char message[CSV_MESSAGE_SIZE], own_name[TERN_ID_MAX + 1];
    const char *schema_path = tern_options_text(options, TERN_OPTION_SCHEMA);
    const char *id = tern_options_text(options, TERN_OPTION_DEVICE);
    struct csv_options csv = {.table = tern_options_text(options, TERN_OPTION_TABLE),
                              .keys = tern_options_text(options, TERN_OPTION_KEY),
                              .types = tern_options_text(options, TERN_OPTION_TYPES),
                              .append = tern_options_text(options, TERN_OPTION_APPEND) != NULL};
    if (schema_path != NULL) {
        if (tern_csv_schema_read(&schema, schema_path, bring->error) != 0)
            return false;
        if (!describe(&schema, &words))
            return fail(bring, "columns of bytes can only come from a csv segment");
        csv = (struct csv_options){schema.name, words.keys[0] == '\0' ? NULL : words.keys, words.types,
                                   schema.table.mode == TERN_APPEND};
    }
    if (csv.table == NULL || (csv.keys == NULL && !csv.append))
        return fail(bring, "--table NAME and --key COLUMNS (or --append) are needed, or --schema FILE");
    if (csv_open(&file, path, message) != 0)
        return fail(bring, message);
    if (csv_describe(&file, &csv, &table, message) != 0) {
        csv_close(&file);
        return fail(bring, message);
    }
    snprintf(own_name, sizeof own_name, csv.append ? "csv-%08" PRIx32 : "import", file.crc);
    const char *device = id != NULL ? id : own_name;
    uint32_t epoch = csv.append && id == NULL ? already_there(bring, device) : 0;
    bool good = tern_bring_begin(bring, device, epoch, 1, 0) && tern_bring_table(bring, &table.table) &&
                put_rows(bring, &file, &table) && tern_bring_end(bring);
    csv_close(&file);
    return good;
}

/* ---- The command ----------------------------------------------------------------------------- */

static bool bring_all(struct tern_bring *bring, const struct tern_options *options)
{
    size_t segments = 0;
    for (size_t i = 0; i < options->operand_count; i++)
        segments += tern_is_segment(options->operands[i]);
    if (segments != 0 && segments != options->operand_count)
        return fail(bring,
                    "csv segments and other files are not imported together: name the one or the other");
    if (segments != 0)
        return tern_bring_segments(bring, options->operands, options->operand_count);
    for (size_t i = 0; i < options->operand_count; i++)
        if (!bring_plain(bring, options, options->operands[i]))
            return false;
    return true;
}

static int run(const struct tern_options *options)
{
    static struct tern_bring bring; /* too large for a stack */
    struct tern_stage_config config = {.directory = tern_options_text(options, TERN_OPTION_STAGE),
                                       .report = tern_cmd_report(options)};
    if (options->operand_count == 0)
        return tern_cmd_complain(TERN_EXIT_USAGE, "which files? tern-gateway import --stage DIR FILE.csv...");
    memset(&bring, 0, sizeof bring);
    if (tern_stage_open(&bring.stage, &config) != TERN_HOST_OK)
        return tern_cmd_complain(TERN_EXIT_FAILED, "the staging folder cannot be used; while a gateway runs, "
                                                   "tern-device can send it a file");
    bool good = bring_all(&bring, options);
    tern_stage_close(bring.stage);
    if (!good)
        return tern_cmd_complain(TERN_EXIT_FAILED, bring.error);
    printf("%" PRIu64 " rows are in the staging folder, %" PRIu64
           " were there; the gateway brings them into its destinations\n",
           bring.rows, bring.known);
    return TERN_EXIT_OK;
}

int tern_cmd_import(int argc, char **argv)
{
    static const char usage[] = "tern-gateway import --stage DIR [--table NAME --key COLUMNS | --append] "
                                "[--types LIST] [--schema FILE] "
                                "[--device ID] FILE.csv...\n"
                                "Files of a csv destination (TABLE-NUMBER-TIME.csv beside TABLE-HASH.schema) "
                                "need none of these: their records "
                                "keep device and tern_id. Name all of them at once.";
    struct tern_options options;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_IMPORT, usage, argc, argv, &status))
        return status;
    status = run(&options);
    tern_options_free(&options);
    return status;
}
