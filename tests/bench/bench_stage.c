/* SPDX-License-Identifier: MIT */
/* Rows accepted and durable in the staging store, and from there into SQLite; six-column rows in 512-byte chunks, 500 devices.
 * Usage: bench_stage [ROWS] [DEVICES] [URL]. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../../host/import.h"
#include "../unit/chunks.h"

#define CHUNK 512

static const struct tern_column columns[] = {{"ts", TERN_TIME_S, TERN_KEY},
                                             {"temperature", TERN_DECIMAL(2), 0},
                                             {"humidity", TERN_DECIMAL(2), 0},
                                             {"light", TERN_DECIMAL(1), 0},
                                             {"co2", TERN_U32, 0},
                                             {"occupied", TERN_BOOL, 0}};
static const struct tern_table table = TERN_TABLE("room", TERN_MERGE, columns);

static void report(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level >= TERN_WARN)
        fprintf(stderr, "%s %s\n", event, fields);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long peak_kilobytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct source {
    struct tern_stage_range *range;
    struct tern_chunk chunk;
    uint8_t bytes[CHUNK];
    uint32_t next;
    int64_t ts;
};

/* Fills a chunk and returns how many rows it has. */
static uint32_t fill(struct source *source)
{
    uint32_t rows = 0;
    source->chunk.data = source->bytes;
    source->chunk.capacity = CHUNK;
    tern_chunk_open(&source->chunk, &tern_csv, source->next, 0);
    for (;; rows++) {
        int64_t t = source->ts + rows;
        struct tern_value row[6] = {tern_int(1423072260 + t * 60), tern_int(2000 + t % 700),
                                    tern_int(2700 + t % 311),      tern_int(t * 7 % 9000),
                                    tern_int(700 + t % 600),       tern_int(t / 100 % 2)};
        if (tern_chunk_put(&source->chunk, &table, TERN_OP_PUT, row) != TERN_OK)
            break;
    }
    tern_chunk_finish(&source->chunk, true, false);
    source->ts += rows;
    source->next += rows;
    return rows;
}

static bool open_sources(struct tern_stage *stage, struct source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "device-%05zu", i);
        sources[i].range = chunks_device(stage, id);
        sources[i].next = 1;
        if (sources[i].range == NULL ||
            chunks_schema(stage, tern_stage_device(stage, id), &table) != TERN_HOST_OK)
            return false;
    }
    return tern_stage_sync(stage) == TERN_HOST_OK;
}

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
    size_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 500;
    char url[1000];
    folder_fresh();
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    struct tern_stage *stage;
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = {report, NULL}};
    struct source *sources = calloc(count, sizeof *sources);
    if (tern_stage_open(&stage, &config) != TERN_HOST_OK || !open_sources(stage, sources, count))
        return 1;
    uint64_t rows = 0;
    double building = 0, begun = seconds();
    for (size_t turn = 0; rows < wanted; turn++) {
        double before = seconds();
        struct source *source = &sources[turn % count];
        uint32_t want, made = fill(source);
        building += seconds() - before;
        if (tern_stage_part(stage, source->range, source->chunk.first, 0, source->bytes, source->chunk.size,
                            &want) != 0)
            return 1;
        rows += made;
        if (turn % 128 == 127 && tern_stage_sync(stage) != TERN_HOST_OK)
            return 1;
    }
    tern_stage_sync(stage);
    double staged = seconds() - begun - building;
    printf("stage_rows_per_second %.0f (%zu devices, a sync every 128 chunks)\n", (double)rows / staged,
           count);
    printf("journal_bytes_per_row %.1f\n", (double)tern_stage_end(stage) / (double)rows);
    long peak = peak_kilobytes();
    struct tern_import *import;
    struct tern_import_config importing = {.report = {report, NULL}};
    double used = processor_seconds();
    begun = seconds();
    if (tern_import_open(&import, stage, argc > 3 ? argv[3] : url, &importing) != TERN_HOST_OK ||
        tern_import_drain(import, 600000) != TERN_HOST_OK)
        return 1;
    double imported = seconds() - begun;
    printf("import_rows_per_second %.0f (%.2f of a core)\n", (double)rows / imported,
           (processor_seconds() - used) / imported);
    printf("memory_kilobytes %ld staging, %ld importing\n", peak, peak_kilobytes());
    tern_import_close(import);
    tern_stage_close(stage);
    free(sources);
    folder_remove();
    return 0;
}
