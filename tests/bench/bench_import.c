/* SPDX-License-Identifier: MIT */
/*
 * Rows for `make bench-import`, and their way from a staging store into a database.
 *
 *     bench_import make FOLDER ROWS DEVICES VISIT   FOLDER/new and FOLDER/update: staging stores; FOLDER/rows.csv: the rows of `new`
 *     bench_import load STORE URL WORKERS           everything in the store into the database; prints the seconds
 *
 * A row is device, ts and four numbers, keyed by device and ts. Devices take turns and send VISIT rows at a time, each a commit of its
 * own; the file has them in this order, with tern_id. `update` has the same keys again, with other numbers and higher tern_ids.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../host/import.h"
#include "../unit/chunks.h"

#define CHUNK      512u
#define SYNC_EVERY 1024u
#define WAIT       3600000 /* milliseconds */

static const struct tern_column columns[] = {{"ts", TERN_I64, TERN_KEY},
                                             {"temperature", TERN_FLOAT(2), 0},
                                             {"humidity", TERN_FLOAT(2), 0},
                                             {"light", TERN_I32, 0},
                                             {"count", TERN_I32, 0}};
static const struct tern_table table = TERN_TABLE("bench", TERN_MERGE, columns);

struct source {
    char id[32];
    struct tern_stage_range *range;
    struct tern_chunk chunk;
    uint8_t bytes[CHUNK];
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

/* ---- Making -------------------------------------------------------------------------------------------------------------------------- */

static void make_row(const struct source *source, unsigned salt, struct tern_value row[5])
{
    int64_t t = source->rows;
    row[0] = tern_int(1700000000 + t * 60);
    row[1] = tern_int(2000 + (t * 7 + salt) % 700);
    row[2] = tern_int(4500 + (t * 3 + salt) % 311);
    row[3] = tern_int((t * 13 + salt * 5) % 900);
    row[4] = tern_int(t + salt);
}

static void print_row(FILE *file, const struct source *source, const struct tern_value row[5])
{
    uint64_t id = (uint64_t)source->range->epoch << 32 | source->next;
    fprintf(file, "%s,%" PRIu64 ",%" PRId64 ",%.2f,%.2f,%" PRId64 ",%" PRId64 "\n", source->id, id,
            row[0].number, (double)row[1].number / 100, (double)row[2].number / 100, row[3].number,
            row[4].number);
}

static bool send_rest(struct tern_stage *stage, const struct source *source, uint32_t offset)
{
    uint32_t want;
    return source->chunk.size <= offset ||
           tern_stage_part(stage, source->range, source->chunk.first, offset, source->bytes + offset,
                           source->chunk.size - offset, &want) == TERN_HOST_OK;
}

static bool put(struct source *source, const struct tern_value row[5])
{
    if (tern_chunk_put(&source->chunk, &table, TERN_OP_PUT, row) != TERN_OK)
        return false;
    tern_chunk_finish(&source->chunk, true, false);
    return true;
}

static void open_chunk(struct source *source)
{
    memset(&source->chunk, 0, sizeof source->chunk);
    source->chunk.data = source->bytes;
    source->chunk.capacity = CHUNK;
    tern_chunk_open(&source->chunk, &tern_csv, source->next, 0);
}

/* So many rows, each with its commit, then what is new of the chunk. */
static bool visit(struct tern_stage *stage, struct source *source, uint64_t rows, unsigned salt, FILE *file)
{
    uint32_t offset = source->chunk.size;
    bool good = true;
    while (rows-- > 0 && good) {
        struct tern_value row[5];
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

/* The device in this store; where `other` is a store, in the epoch that this one gave, which holds what is before. */
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
    return device != NULL && chunks_schema(stage, device, &table) == TERN_HOST_OK &&
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

/* ---- Loading -------------------------------------------------------------------------------------------------------------------------- */

static int load(const char *store, const char *url, uint32_t workers)
{
    struct timespec begun, ended;
    struct tern_stage *stage = open_stage(store);
    struct tern_import *import = NULL;
    struct tern_import_config config = {.report = {report, NULL}, .workers = workers};
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (stage == NULL || tern_import_open(&import, stage, url, &config) != TERN_HOST_OK ||
        tern_import_drain(import, WAIT) != TERN_HOST_OK)
        return complain("the import does not come to its end");
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.3f\n", (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
    tern_import_close(import);
    tern_stage_close(stage);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "make") == 0)
        return make(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                    strtoull(argv[5], NULL, 10));
    if (argc == 5 && strcmp(argv[1], "load") == 0)
        return load(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10));
    return complain("usage: make FOLDER ROWS DEVICES VISIT, or load STORE URL WORKERS");
}
