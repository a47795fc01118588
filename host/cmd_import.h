/* SPDX-License-Identifier: MIT */
/* Rows on their way from files into a staging store, as if a device had sent them. Shared by cmd_import.c and
 * cmd_import_segments.c. */
#ifndef TERN_CMD_IMPORT_H
#define TERN_CMD_IMPORT_H

#include "../core/chunk.h"
#include "cmd.h"
#include "stage.h"

struct tern_bring {
    struct tern_stage *stage;
    struct tern_device *device;
    struct tern_stage_range *range;
    struct tern_chunk chunk;
    uint8_t bytes[TERN_CHUNK_MAX];
    bool in_batch;   /* what is put belongs to a batch that goes on */
    bool ends_batch; /* what is in the chunk ends it */
    unsigned chunks; /* since the last sync */
    uint64_t rows;   /* taken */
    uint64_t known;  /* that the store had already */
    char error[600];
};

/* All return true, or false with a sentence in bring->error. */

/* Begins a range. Epoch 0: a new one. `base`: its first sequence; `next`: behind its last, when it is known,
 * else 0. */
bool tern_bring_begin(struct tern_bring *bring, const char *device, uint32_t epoch, uint32_t base,
                      uint32_t next);

/* Makes the table known for the device. */
bool tern_bring_table(struct tern_bring *bring, const struct tern_table *table);

/* Adds the row with the range's next sequence. */
bool tern_bring_put(struct tern_bring *bring, const struct tern_table *table, uint8_t op,
                    const struct tern_value *row);

/* Records up to `next` are not there. */
bool tern_bring_skip(struct tern_bring *bring, uint32_t next);

/* What follows is a batch; or what was put since ends it. */
bool tern_bring_batch(struct tern_bring *bring, bool begins);

/* Makes everything durable; the range ends. */
bool tern_bring_end(struct tern_bring *bring);

/* Whether the file is a segment of the csv destination. */
bool tern_is_segment(const char *path);

/* Brings segments: every record under its own device, epoch and sequence. */
bool tern_bring_segments(struct tern_bring *bring, char *const *paths, size_t count);

#endif
