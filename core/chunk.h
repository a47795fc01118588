/* SPDX-License-Identifier: MIT */
/* Chunks: building one in RAM, and walking the segments of one that is stored or received (PROTOCOL.md
 * section 3). */
#ifndef TERN_CHUNK_H
#define TERN_CHUNK_H

#include "bytes.h"
#include "tern.h"

/* ---- Building -----------------------------------------------------------------------------------
 * tern_chunk_open, then tern_chunk_put ... tern_chunk_finish, again and again; the bytes [0, chunk->size) are
 * final after each finish. data, models, models_size and capacity are set by the owner before the first call;
 * capacity may be lowered before open. */

/* Opens an empty chunk; `first` is its first record's sequence. */
void tern_chunk_open(struct tern_chunk *chunk, const struct tern_codec *codec, uint32_t first,
                     uint8_t unit_log2);

/* Which of the chunk's tables it is; chunk->table_count: none yet. */
uint8_t tern_chunk_index(const struct tern_chunk *chunk, const struct tern_table *table);

/* Adds a record that tern_row_check() passed. TERN_E_TOO_BIG: there is no room for it, and the chunk
 * holds no record more: finish and close it, and put the record into the next. */
int tern_chunk_put(struct tern_chunk *chunk, const struct tern_table *table, uint8_t op,
                   const struct tern_value *row);

/* Ends the open segment, even an empty one, and moves chunk->size behind its padding. */
void tern_chunk_finish(struct tern_chunk *chunk, bool commit, bool batch);

/* No chunk is open after this. */
void tern_chunk_close(struct tern_chunk *chunk);

/* Where the open segment's payload is. */
uint8_t *tern_chunk_payload(const struct tern_chunk *chunk);

/* The sequence behind the newest record put. */
uint32_t tern_chunk_next(const struct tern_chunk *chunk);

/* ---- Codecs -------------------------------------------------------------------------------------
 * A codec turns records into a segment's payload. It keeps its state in chunk->models. */
struct tern_codec {
    uint8_t format; /* bit 3 of the chunk's format byte, in place: 0 or 8 */
    /* A new chunk begins: forget everything learnt. */
    void (*open)(struct tern_chunk *chunk);
    /* Table `index` has just been added to chunk->tables. TERN_E_TOO_BIG when the models' memory does not
     * hold it. */
    int (*declare)(struct tern_chunk *chunk, uint8_t index);
    /* Appends one record to the payload at `payload`, which may grow to `room` bytes once finished; sets
     * chunk->payload to the most that finish() would give now. TERN_E_TOO_BIG: no room, payload and
     * chunk->payload as before (what was learnt from the record need not be undone: the chunk is closed
     * then). */
    int (*put)(struct tern_chunk *chunk, uint8_t *payload, uint16_t room, uint8_t index, uint8_t op,
               const struct tern_value *row);
    /* Ends the payload and returns its length. The next put begins a new one. */
    uint16_t (*finish)(struct tern_chunk *chunk, uint8_t *payload);
};

/* ---- Walking --------------------------------------------------------------------------------- */

/* Where a chunk's bytes are: flash, a file, memory. Reads `size` bytes at `address`, which is `base` and an
 * offset in the chunk. 0 or a negative error. */
struct tern_source {
    int (*read)(const void *context, uint32_t address, void *data, uint32_t size);
    const void *context;
    uint32_t base;
};

/* Position behind the last good segment. */
struct tern_walk {
    uint8_t format;
    uint8_t tables; /* declared so far */
    uint16_t rows;  /* so far */
    uint16_t offset;
    uint16_t
        limit;  /* bytes that may be read: what is there, at most TERN_CHUNK_MAX. May grow between calls */
    int status; /* of what was read last */
    struct tern_source source;
    uint32_t crc;      /* running, over [0, offset) */
    uint32_t sequence; /* of the next segment's first record */
};

struct tern_segment {
    uint8_t new_tables;
    uint8_t commit;
    uint8_t batch;
    uint16_t payload; /* offset of its payload, in front of which its new hashes stand */
    uint16_t end;     /* offset behind its padding */
    uint16_t size;    /* of its payload */
    uint16_t rows;
    uint32_t first; /* sequence of its first record */
    uint32_t crc;   /* the CRC that it stores */
};

/* Begins at the head, of what walk->source reads. TERN_OK; TERN_AGAIN when `limit` ends inside the head;
 * TERN_E_FORMAT for another version; TERN_E_CORRUPT; or the source's error. */
int tern_walk_start(struct tern_walk *walk, uint32_t limit);

/* The next segment, its CRC checked. TERN_OK; TERN_AGAIN when `limit` ends inside it or erased flash (FF)
 * begins: nothing moved, try again when more is there; TERN_E_CORRUPT when the bytes are no segment; or the
 * source's error. */
int tern_walk_next(struct tern_walk *walk, struct tern_segment *segment);

/* The hash of the segment's new table number `index`, in the chunk's bytes. */
static inline uint32_t tern_segment_hash(const struct tern_segment *segment, const uint8_t *chunk,
                                         uint8_t index)
{
    return tern_load32(chunk + segment->payload - (uint32_t)4 * (uint32_t)(segment->new_tables - index));
}

/* A source over `size` bytes in memory. `bytes` is the context, and reads are not checked: the walk stays
 * below its limit. */
struct tern_source tern_source_memory(const uint8_t *bytes);

static inline int tern_walk_begin(struct tern_walk *walk, struct tern_source source, uint32_t limit)
{
    walk->source = source;
    return tern_walk_start(walk, limit);
}

#endif
