/* SPDX-License-Identifier: MIT */
/* Chunks of plain rows for tests of the host side, and a folder to work in. */
#ifndef TERN_TEST_CHUNKS_H
#define TERN_TEST_CHUNKS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../core/chunk.h"
#include "../../core/schema.h"
#include "../../host/stage.h"

static const struct tern_column chunks_columns[] = {
    {"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), 0}, {"note", TERN_TEXT(64), TERN_NULLABLE}};
static const struct tern_table chunks_table = TERN_TABLE("climate", TERN_MERGE, chunks_columns);

struct chunk_bytes {
    uint8_t bytes[TERN_CHUNK_MAX];
    struct tern_chunk chunk;
};

static inline void chunks_open(struct chunk_bytes *made, uint32_t first)
{
    memset(&made->chunk, 0, sizeof made->chunk);
    made->chunk.data = made->bytes;
    made->chunk.capacity = sizeof made->bytes;
    tern_chunk_open(&made->chunk, &tern_csv, first, 0);
}

/* A row whose values follow from `at`. */
static inline int chunks_put(struct chunk_bytes *made, const struct tern_table *table, int64_t at,
                             const char *note)
{
    struct tern_value row[3] = {tern_int(at), tern_int(at % 10000), tern_text(note)};
    return tern_chunk_put(&made->chunk, table, TERN_OP_PUT, row);
}

/* A chunk of `rows` rows and one commit, from `first` on; at = sequence. */
static inline void chunks_fill(struct chunk_bytes *made, uint32_t first, uint32_t rows)
{
    chunks_open(made, first);
    for (uint32_t i = 0; i < rows; i++)
        chunks_put(made, &chunks_table, first + i, "n");
    tern_chunk_finish(&made->chunk, true, false);
}

static inline void chunks_collect(void *context, const void *data, size_t size)
{
    struct tern_output *output = context;
    tern_write_bytes(output, data, size);
}

/* Gives a table's schema to the store. */
static inline int chunks_schema(struct tern_stage *stage, struct tern_device *device,
                                const struct tern_table *table)
{
    uint8_t bytes[TERN_SCHEMA_MAX];
    struct tern_output output = {bytes, 0, sizeof bytes, false};
    bool done = false;
    tern_schema_encode(table, chunks_collect, &output);
    int status = tern_stage_schema(stage, device, tern_schema_hash(table), 0, bytes, output.size, &done);
    return done ? TERN_HOST_OK : status != TERN_HOST_OK ? status : TERN_HOST_E_PROTOCOL;
}

/* A device with the schema of chunks_table and one range from sequence 1 on, of a new epoch. */
static inline struct tern_stage_range *chunks_device(struct tern_stage *stage, const char *id)
{
    struct tern_device *device = tern_stage_device(stage, id);
    struct tern_hello hello = {.id = id, .range_count = 1};
    struct tern_stage_range *range = NULL;
    hello.ranges[0].base = hello.ranges[0].oldest = hello.ranges[0].next = 1;
    if (device == NULL || chunks_schema(stage, device, &chunks_table) != TERN_HOST_OK ||
        tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range) != TERN_HOST_OK)
        return NULL;
    return range;
}

/* Gives all of the chunk from `offset` on to the store. */
static inline int chunks_send(struct tern_stage *stage, struct tern_stage_range *range,
                              const struct chunk_bytes *made, uint32_t offset)
{
    uint32_t want;
    return tern_stage_part(stage, range, made->chunk.first, offset, made->bytes + offset,
                           made->chunk.size - offset, &want);
}

/* ---- A folder -------------------------------------------------------------------------------- */

static char folder[64];

static inline void folder_clear(const char *path)
{
    DIR *listing = opendir(path);
    if (listing == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char name[800];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof name, "%.500s/%.255s", path, entry->d_name);
        if (unlink(name) != 0) {
            folder_clear(name);
            rmdir(name);
        }
    }
    closedir(listing);
}

static inline const char *folder_fresh(void)
{
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/tern-test-XXXXXX");
        if (mkdtemp(folder) == NULL)
            exit(1);
    }
    folder_clear(folder);
    return folder;
}

static inline void folder_remove(void)
{
    folder_clear(folder);
    rmdir(folder);
}

/* Valid until the eighth call after it. */
static inline const char *folder_path(const char *name)
{
    static char paths[8][800];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%.600s", folder, name);
    return path;
}

static inline long file_bytes(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (long)about.st_size : -1;
}

#endif
