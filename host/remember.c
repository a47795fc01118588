/* SPDX-License-Identifier: MIT */
#include "remember.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/crc32c.h"
#include "import_turn.h"

#define INTERVAL 1000 /* milliseconds */

void tern_remember_open(struct tern_remember *remember, const char *directory, const char *url,
                        uint32_t worker)
{
    char line[24] = "";
    memset(remember, 0, sizeof *remember);
    size_t room = strlen(directory) + 64;
    remember->path = malloc(room);
    if (remember->path == NULL)
        return;
    snprintf(remember->path, room, "%s/batches", directory);
    mkdir(remember->path, 0750);
    snprintf(remember->path, room, "%s/batches/%08" PRIx32 "-%" PRIu32, directory,
             tern_crc32c(0, url, strlen(url)), worker);
    FILE *file = fopen(remember->path, "r");
    if (file != NULL && fgets(line, sizeof line, file) != NULL)
        remember->batch = remember->written = strtoull(line, NULL, 16);
    if (file != NULL)
        fclose(file);
}

/* By a new file, so that a crash leaves the old one or the new one. */
static void write_file(struct tern_remember *remember)
{
    char temporary[4096];
    if (remember->path == NULL || remember->written == remember->batch)
        return;
    snprintf(temporary, sizeof temporary, "%.4080s.new", remember->path);
    FILE *file = fopen(temporary, "w");
    if (file == NULL)
        return;
    bool good = fprintf(file, "%016" PRIx64 "\n", remember->batch) > 0;
    good = fclose(file) == 0 && good;
    if (good && rename(temporary, remember->path) == 0)
        remember->written = remember->batch;
    remember->at = tern_import_clock();
}

void tern_remember_batch(struct tern_remember *remember, uint64_t batch)
{
    remember->batch = batch;
    if (batch == 0 || remember->written == 0 || tern_import_clock() - remember->at >= INTERVAL)
        write_file(remember);
}

void tern_remember_close(struct tern_remember *remember)
{
    write_file(remember);
    free(remember->path);
    remember->path = NULL;
}
