/* SPDX-License-Identifier: MIT */
/* Chunks into records, whatever their format. */
#ifndef TERN_DECODE_H
#define TERN_DECODE_H

#include "../core/schema.h"

/* Where decoded records go. */
struct tern_decode_to {
    void *context;
    uint32_t committed; /* records below have been: commits of no more are passed over */
    /* The schema of that hash, or NULL. */
    const struct tern_schema *(*schema)(void *context, uint32_t hash);
    /* One record; `row` has the values of all columns (put), of the key columns (delete) or none, valid
     * during the call. */
    int (*record)(void *context, uint32_t sequence, const struct tern_schema *schema, uint32_t hash,
                  uint8_t op, const struct tern_value *row);
    /* Records first..last cannot be decoded although their CRC is right. */
    int (*bad)(void *context, uint32_t first, uint32_t last);
    /* A segment that commits ended, and more than `committed` of before: records below `next` are
     * committed. */
    int (*commit)(void *context, uint32_t next, bool batch);
    /* A segment of an explicit batch ended, with records that were not committed before; before its commit is
     * told. May be NULL. */
    void (*batch)(void *context);
};

struct tern_decoder;

/* A chunk that grows, as far as it was decoded: what follows is decoded without what was before. Begins as
 * all zeros; belongs to the decoder that filled it. */
struct tern_decode_place {
    uint8_t *bytes;
    uint16_t size; /* 0: the chunk's head */
    uint16_t room;
};

void tern_decode_place_free(struct tern_decode_place *place);

struct tern_decoder *tern_decoder_open(void);
void tern_decoder_close(struct tern_decoder *decoder);

/* Decodes a chunk from its head, or from `place` where that was left by the same chunk when it was shorter,
 * and gives the records from `first` on, and the commits behind it. `place` moves to the chunk's end, or back
 * to its head; it may be NULL. TERN_OK; TERN_E_FORMAT: a format that is not known; TERN_E_SCHEMA: a schema
 * that is not known; TERN_E_CORRUPT: no chunk; or what a function of `to` returned. */
int tern_decode_chunk(struct tern_decoder *decoder, struct tern_decode_place *place, const uint8_t *chunk,
                      size_t size, uint32_t first, const struct tern_decode_to *to);

#endif
