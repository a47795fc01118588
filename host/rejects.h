/* SPDX-License-Identifier: MIT */
/*
 * Records that a destination refuses for what is in them: rejects/TABLE.csv in the staging folder, one line
 * for each record and destination,
 *
 *     device,tern_id,sink,schema,batch,reason,row
 *
 * `schema` is its hash; `batch` the first and last sequence of the explicit batch that was left out whole, or
 * empty; `row` the record as PROTOCOL.md section 4 writes it, so that it can be mended in
 * place. */
#ifndef TERN_REJECTS_H
#define TERN_REJECTS_H

#include "buffer.h"

#define TERN_REJECTS_HEADER "device,tern_id,sink,schema,batch,reason,row\n"

/* The file's lines, as many as are to be added, and those that it has by their identity. What a crash or a
 * full disk cut off at its end goes when the same line is added. */
struct tern_rejects {
    char *path;
    uint64_t size;           /* of the file as it was read */
    struct tern_buffer tail; /* its last line, when that has no end */
    bool cuts;               /* the tail is the beginning of a line that is added */
    uint64_t *known;         /* identities, in order */
    size_t known_count;
    struct tern_buffer lines;
};

/* Opens the table's file in the folder, made if missing. False: it cannot be read, errno says why. */
bool tern_rejects_open(struct tern_rejects *rejects, const char *directory, const char *table);

/* Adds a line, unless the file has that record for that destination. `row` is one line with its end. */
void tern_rejects_add(struct tern_rejects *rejects, const char *device, int64_t id, const char *sink,
                      uint32_t schema, const char *batch, const char *reason, const uint8_t *row,
                      size_t size);

/* Appends what was added and makes it durable. False: errno says why. */
bool tern_rejects_write(struct tern_rejects *rejects);
void tern_rejects_close(struct tern_rejects *rejects);

#endif
