/* SPDX-License-Identifier: MIT */
/* Rows accepted and durable in the staging store, for 1 and for 100 tables, and from there into SQLite;
 * six-column rows in plain 512-byte chunks, 500 devices. Usage: bench_stage [ROWS] [DEVICES] [URL]. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../../host/import.h"
#include "../unit/chunks.h"

#define CHUNK      512
#define TABLES_MAX 100u
#define SYNC_EVERY 128u /* chunks: 64 KiB, what a turn of the server takes from a few devices */

static const struct tern_column columns[] = {{"ts", TERN_TIME_S, TERN_KEY},
                                             {"temperature", TERN_DECIMAL(2), 0},
                                             {"humidity", TERN_DECIMAL(2), 0},
                                             {"light", TERN_DECIMAL(1), 0},
                                             {"co2", TERN_U32, 0},
                                             {"occupied", TERN_BOOL, 0}};
static struct tern_table tables[TABLES_MAX];
static char names[TABLES_MAX][16];

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

static void make_tables(void)
{
    for (unsigned i = 0; i < TABLES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "room%u", i);
        tables[i] = (struct tern_table)TERN_TABLE(NULL, TERN_MERGE, columns);
        tables[i].name = names[i];
    }
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
static uint32_t fill(struct source *source, const struct tern_table *table)
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
        if (tern_chunk_put(&source->chunk, table, TERN_OP_PUT, row) != TERN_OK)
            break;
    }
    tern_chunk_finish(&source->chunk, true, false);
    source->ts += rows;
    source->next += rows;
    return rows;
}

static bool open_sources(struct tern_stage *stage, struct source *sources, size_t count, unsigned table_count)
{
    for (size_t i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "device-%05zu", i);
        memset(&sources[i], 0, sizeof sources[i]);
        sources[i].range = chunks_device(stage, id);
        sources[i].next = 1;
        for (unsigned k = 0; k < table_count; k++)
            if (chunks_schema(stage, tern_stage_device(stage, id), &tables[k]) != TERN_HOST_OK)
                return false;
        if (sources[i].range == NULL || (i % 64 == 0 && tern_stage_sync(stage) != TERN_HOST_OK))
            return false;
    }
    return tern_stage_sync(stage) == TERN_HOST_OK;
}

/* Rows through the store; prints how fast, how large, and by how much memory grew after the first tenth. */
static bool stage_rows(struct tern_stage *stage, struct source *sources, size_t count, unsigned table_count,
                       uint64_t wanted)
{
    uint64_t rows = 0, before_bytes = tern_stage_end(stage);
    double building = 0, begun = seconds();
    long memory = 0;
    for (size_t turn = 0; rows < wanted; turn++) {
        double before = seconds();
        struct source *source = &sources[turn % count];
        uint32_t want, made = fill(source, &tables[turn / count % table_count]);
        building += seconds() - before;
        if (tern_stage_part(stage, source->range, source->chunk.first, 0, source->bytes, source->chunk.size,
                            &want) != 0 ||
            (turn % SYNC_EVERY == SYNC_EVERY - 1 && tern_stage_sync(stage) != TERN_HOST_OK))
            return false;
        if (rows < wanted / 10 && rows + made >= wanted / 10)
            memory = peak_kilobytes();
        rows += made;
    }
    if (tern_stage_sync(stage) != TERN_HOST_OK)
        return false;
    double staged = seconds() - begun - building;
    printf("stage_rows_per_second_%u_table%s %.0f rows/s\n", table_count, table_count == 1 ? "" : "s",
           (double)rows / staged);
    printf("journal_bytes_per_row_%u_table%s %.1f bytes\n", table_count, table_count == 1 ? "" : "s",
           (double)(tern_stage_end(stage) - before_bytes) / (double)rows);
    printf("stage_memory_growth_%u_table%s %ld KiB\n", table_count, table_count == 1 ? "" : "s",
           peak_kilobytes() - memory);
    return true;
}

static bool import_rows(struct tern_stage *stage, const char *url, uint64_t rows)
{
    struct tern_import *import;
    struct tern_import_config importing = {.report = {report, NULL}};
    double used = processor_seconds(), begun = seconds();
    if (tern_import_open(&import, stage, url, &importing) != TERN_HOST_OK ||
        tern_import_drain(import, 600000) != TERN_HOST_OK)
        return false;
    double imported = seconds() - begun;
    printf("import_rows_per_second %.0f rows/s\n", (double)rows / imported);
    printf("import_cores %.2f cores\n", (processor_seconds() - used) / imported);
    printf("import_memory %ld KiB\n", peak_kilobytes());
    tern_import_close(import);
    return true;
}

static bool run(unsigned table_count, uint64_t wanted, size_t count, const char *url)
{
    folder_fresh();
    struct tern_stage *stage;
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = {report, NULL}};
    struct source *sources = calloc(count, sizeof *sources);
    char sqlite[1000];
    snprintf(sqlite, sizeof sqlite, "sqlite:%s", folder_path("out.db"));
    bool good = sources != NULL && tern_stage_open(&stage, &config) == TERN_HOST_OK &&
                open_sources(stage, sources, count, table_count) &&
                stage_rows(stage, sources, count, table_count, wanted) &&
                (table_count != 1 || import_rows(stage, url != NULL ? url : sqlite, wanted));
    if (good)
        tern_stage_close(stage);
    free(sources);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000000;
    size_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 500;
    make_tables();
    bool good = run(100, wanted, count, NULL) && run(1, wanted, count, argc > 3 ? argv[3] : NULL);
    folder_remove();
    return good ? 0 : 1;
}
