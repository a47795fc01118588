/* SPDX-License-Identifier: MIT */
/*
 * Rows for `make bench-import`, and their way from a staging store into a database.
 *
 *     bench_import make FOLDER ROWS DEVICES VISIT DATA FORMAT
 *         FOLDER/new and FOLDER/update: staging stores; FOLDER/rows.csv: the rows of `new`
 *     bench_import columns DATA
 *         its columns: name, type, whether it is part of the key
 *     bench_import load STORE URL WORKERS [no-filter]
 *         everything in the store into the database; prints the seconds, and those of CPU time
 *
 * DATA is one of:
 *     narrow    ts and four numbers, keyed by ts, which grows
 *     random    the same in random order of ts
 *     text      four numbers, keyed by a text, in random order
 *     wide      ts and 19 numbers, texts and flags, keyed by ts
 *
 * with the device in front of the key. FORMAT is csv or packed: how the devices' chunks are. Devices take
 * turns and send VISIT rows at a time, each a commit of its own; the file has them in this order, with
 * tern_id. `update` has the same keys again, with other numbers and higher tern_ids.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../../host/import.h"
#include "../unit/chunks.h"

#define CHUNK      512u
#define SYNC_EVERY 1024u
#define WAIT       3600000 /* milliseconds */

static const struct tern_column narrow[] = {{"ts", TERN_I64, TERN_KEY},
                                            {"temperature", TERN_FLOAT(2), 0},
                                            {"humidity", TERN_FLOAT(2), 0},
                                            {"light", TERN_I32, 0},
                                            {"count", TERN_I32, 0}};
static const struct tern_column text[] = {{"name", TERN_TEXT(24), TERN_KEY},
                                          {"temperature", TERN_FLOAT(2), 0},
                                          {"humidity", TERN_FLOAT(2), 0},
                                          {"light", TERN_I32, 0},
                                          {"count", TERN_I32, 0}};
static const struct tern_column wide[] = {
    {"ts", TERN_I64, TERN_KEY}, {"a1", TERN_FLOAT(2), 0}, {"a2", TERN_FLOAT(2), 0}, {"a3", TERN_FLOAT(2), 0},
    {"a4", TERN_FLOAT(2), 0},   {"a5", TERN_FLOAT(2), 0}, {"a6", TERN_FLOAT(2), 0}, {"b1", TERN_I32, 0},
    {"b2", TERN_I32, 0},        {"b3", TERN_I32, 0},      {"b4", TERN_I32, 0},      {"b5", TERN_I32, 0},
    {"b6", TERN_I32, 0},        {"c1", TERN_I64, 0},      {"c2", TERN_I64, 0},      {"d1", TERN_BOOL, 0},
    {"d2", TERN_BOOL, 0},       {"e1", TERN_TEXT(16), 0}, {"e2", TERN_TEXT(16), 0}, {"e3", TERN_TEXT(16), 0}};

#define COLUMNS_MOST 20

static const struct data {
    const char *name;
    struct tern_table tables[2]; /* for chunks of plain CSV, and for packed ones */
    bool is_shuffled;
} sets[] = {
    {"narrow",
     {TERN_TABLE("bench", TERN_MERGE, narrow), TERN_TABLE_PACKED("bench", TERN_MERGE, narrow)},
     false},
    {"random",
     {TERN_TABLE("bench", TERN_MERGE, narrow), TERN_TABLE_PACKED("bench", TERN_MERGE, narrow)},
     true},
    {"text",
     {TERN_TABLE("bench", TERN_MERGE, text), TERN_TABLE_PACKED_TEXT("bench", TERN_MERGE, text)},
     true},
    {"wide",
     {TERN_TABLE("bench", TERN_MERGE, wide), TERN_TABLE_PACKED_TEXT("bench", TERN_MERGE, wide)},
     false},
};
static const struct data *data;
static const struct tern_table *table;

struct source {
    char id[32];
    struct tern_stage_range *range;
    struct tern_chunk chunk;
    uint8_t bytes[CHUNK];
    uint64_t models[(TERN_MODELS_SIZE(COLUMNS_MOST) + TERN_MODELS_TEXT) / 8 + 1];
    uint32_t next, rows;
};

static void report(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level >= TERN_ERROR)
        fprintf(stderr, "%s %s\n", event, fields);
}

static int complain(const char *what)
{
    fprintf(stderr, "bench_import: %s\n", what);
    return 1;
}

static struct tern_stage *open_stage(const char *folder_name)
{
    struct tern_stage *stage = NULL;
    struct tern_stage_config config = {.directory = folder_name, .report = {report, NULL}};
    return tern_stage_open(&stage, &config) == TERN_HOST_OK ? stage : NULL;
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* Every number below 2^20 once. */
static int64_t shuffle(uint32_t number)
{
    return (number * 0x2C9277B5u + 12345u) & 0xFFFFFu;
}

static struct tern_value make_value(const struct tern_column *column, size_t index, int64_t t, unsigned salt)
{
    static const unsigned steps[] = {1, 7, 3, 13, 1}, limits[] = {1, 700, 311, 900, 1u << 30};
    static const char *const words[] = {"idle", "running", "stopped", "in maintenance"};
    int64_t number = (int64_t)(((uint64_t)t * steps[index % 5] + salt * (1 + index)) % limits[index % 5]);
    static char room[COLUMNS_MOST][32];
    switch (TERN_TYPE_KIND(column->type)) {
    case TERN_KIND_TEXT:
        if ((column->flags & TERN_KEY) == 0)
            return tern_text(words[(t / 50 + salt + (int64_t)index) % 4]);
        snprintf(room[index], sizeof room[index], "plant-%" PRId64 "/valve-%" PRId64, t % 10, t);
        return tern_text(room[index]);
    case TERN_KIND_BOOL:
        return tern_int((t / 100 + salt) % 2);
    case TERN_KIND_FLOAT:
        return tern_int(2000 + number);
    default:
        return tern_int((column->flags & TERN_KEY) != 0 ? 1700000000 + t * 60 : number);
    }
}

static void make_row(const struct source *source, unsigned salt, struct tern_value row[COLUMNS_MOST])
{
    int64_t t = data->is_shuffled ? shuffle(source->rows) : source->rows;
    for (size_t i = 0; i < table->column_count; i++)
        row[i] = make_value(&table->columns[i], i, t, salt);
}

static void print_row(FILE *file, const struct source *source, const struct tern_value row[COLUMNS_MOST])
{
    fprintf(file, "%s,%" PRIu64, source->id, (uint64_t)source->range->epoch << 32 | source->next);
    for (size_t i = 0; i < table->column_count; i++)
        switch (TERN_TYPE_KIND(table->columns[i].type)) {
        case TERN_KIND_TEXT:
            fprintf(file, ",%.*s", (int)row[i].size, (const char *)row[i].data);
            break;
        case TERN_KIND_FLOAT:
            fprintf(file, ",%.2f", (double)row[i].number / 100);
            break;
        default:
            fprintf(file, ",%" PRId64, row[i].number);
        }
    fprintf(file, "\n");
}

static bool send_rest(struct tern_stage *stage, const struct source *source, uint32_t offset)
{
    uint32_t want;
    return source->chunk.size <= offset ||
           tern_stage_part(stage, source->range, source->chunk.first, offset, source->bytes + offset,
                           source->chunk.size - offset, &want) == TERN_HOST_OK;
}

static bool put(struct source *source, const struct tern_value row[COLUMNS_MOST])
{
    if (tern_chunk_put(&source->chunk, table, TERN_OP_PUT, row) != TERN_OK)
        return false;
    tern_chunk_finish(&source->chunk, true, false);
    return true;
}

static void open_chunk(struct source *source)
{
    memset(&source->chunk, 0, sizeof source->chunk);
    source->chunk.data = source->bytes;
    source->chunk.capacity = CHUNK;
    source->chunk.models = source->models;
    source->chunk.models_size = sizeof source->models;
    tern_chunk_open(&source->chunk, table->codec, source->next, 0);
}

/* So many rows, each with its commit, then what is new of the chunk. */
static bool visit(struct tern_stage *stage, struct source *source, uint64_t rows, unsigned salt, FILE *file)
{
    uint32_t offset = source->chunk.size;
    bool good = true;
    while (rows-- > 0 && good) {
        struct tern_value row[COLUMNS_MOST];
        make_row(source, salt, row);
        if (source->chunk.data == NULL || !put(source, row)) {
            good = send_rest(stage, source, offset);
            offset = 0;
            open_chunk(source);
            good = put(source, row) && good;
        }
        if (file != NULL)
            print_row(file, source, row);
        source->next++;
        source->rows++;
    }
    return good && send_rest(stage, source, offset);
}

/* The device in this store; where `other` is a store, in the epoch that this one gave, which holds what is
 * before. */
static bool open_source(struct tern_stage *stage, struct source *source, size_t index, uint64_t other)
{
    uint32_t epoch = other == 0 ? 0 : source->range->epoch, next = other == 0 ? 1 : source->next;
    memset(source, 0, sizeof *source);
    snprintf(source->id, sizeof source->id, "device-%03zu", index);
    source->next = next;
    struct tern_device *device = tern_stage_device(stage, source->id);
    struct tern_hello hello = {.id = source->id, .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = epoch, .base = 1, .oldest = next, .next = next, .acked = next, .store = other};
    return device != NULL && chunks_schema(stage, device, table) == TERN_HOST_OK &&
           tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &source->range) == TERN_HOST_OK;
}

static bool fill_store(struct tern_stage *stage, uint64_t rows, size_t devices, uint64_t each,
                       struct source *sources, uint64_t other, FILE *file)
{
    bool good = true;
    for (size_t i = 0; i < devices && good; i++)
        good = open_source(stage, &sources[i], i, other);
    for (uint64_t done = 0, turn = 0; done < rows && good; turn++) {
        uint64_t more = rows - done < each ? rows - done : each;
        good = visit(stage, &sources[turn % devices], more, other == 0 ? 0 : 77, file) &&
               (turn % SYNC_EVERY != 0 || tern_stage_sync(stage) == TERN_HOST_OK);
        done += more;
    }
    return good && tern_stage_sync(stage) == TERN_HOST_OK;
}

static int make(const char *name, uint64_t rows, size_t devices, uint64_t each)
{
    char path[3][700];
    struct source *sources = calloc(devices, sizeof *sources);
    snprintf(path[0], sizeof path[0], "%.600s/new", name);
    snprintf(path[1], sizeof path[1], "%.600s/update", name);
    snprintf(path[2], sizeof path[2], "%.600s/rows.csv", name);
    FILE *file = fopen(path[2], "w");
    struct tern_stage *first = open_stage(path[0]), *second = open_stage(path[1]);
    if (sources == NULL || file == NULL || first == NULL || second == NULL)
        return complain("the folder cannot be used");
    bool good = fill_store(first, rows, devices, each, sources, 0, file) &&
                fill_store(second, rows, devices, each, sources, tern_stage_id(first), NULL);
    good = fclose(file) == 0 && good;
    tern_stage_close(first);
    tern_stage_close(second);
    free(sources);
    return good ? 0 : complain("the rows cannot be made");
}

/* ---- Loading --------------------------------------------------------------------------------- */

static double cpu_seconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static int load(const char *store, const char *url, uint32_t workers, bool has_filter)
{
    struct timespec begun, ended;
    struct rusage before, after;
    struct tern_stage *stage = open_stage(store);
    struct tern_import *import = NULL;
    struct tern_import_config config = {
        .report = {report, NULL}, .workers = workers, .filter_bytes = has_filter ? 0 : TERN_IMPORT_NO_FILTER};
    getrusage(RUSAGE_SELF, &before);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (stage == NULL || tern_import_open(&import, stage, url, &config) != TERN_HOST_OK ||
        tern_import_drain(import, WAIT) != TERN_HOST_OK)
        return complain("the import does not come to its end");
    clock_gettime(CLOCK_MONOTONIC, &ended);
    getrusage(RUSAGE_SELF, &after);
    printf("%.3f %.3f\n",
           (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9,
           cpu_seconds(&after) - cpu_seconds(&before));
    tern_import_close(import);
    tern_stage_close(stage);
    return 0;
}

/* ---- The data -------------------------------------------------------------------------------- */

static bool choose(const char *name, const char *format)
{
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (strcmp(sets[i].name, name) == 0)
            data = &sets[i];
    if (data != NULL)
        table = &data->tables[strcmp(format, "packed") == 0];
    return data != NULL;
}

static int print_columns(void)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct tern_column *column = &table->columns[i];
        unsigned kind = TERN_TYPE_KIND(column->type);
        const char *type = kind == TERN_KIND_BOOL ? "bool"
                           : kind == TERN_KIND_SIGNED
                               ? TERN_TYPE_PARAMETER(column->type) == 64 ? "i64" : "i32"
                           : kind == TERN_KIND_FLOAT ? "float"
                                                     : "text";
        printf("%s %s %s\n", column->name, type, (column->flags & TERN_KEY) != 0 ? "key" : "-");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "make") == 0 && choose(argv[6], argv[7]))
        return make(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                    strtoull(argv[5], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "columns") == 0 && choose(argv[2], "csv"))
        return print_columns();
    bool has_filter = argc != 6 || strcmp(argv[5], "no-filter") != 0;
    if (argc == (has_filter ? 5 : 6) && strcmp(argv[1], "load") == 0)
        return load(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10), has_filter);
    return complain("usage: make FOLDER ROWS DEVICES VISIT DATA FORMAT, columns DATA, or load STORE URL "
                    "WORKERS [no-filter]");
}
