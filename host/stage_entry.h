/* SPDX-License-Identifier: MIT */
/* What the staging store's entries say: bodies of journal entries, encoded and decoded. */
#ifndef TERN_STAGE_ENTRY_H
#define TERN_STAGE_ENTRY_H

#include "journal.h"
#include "stage.h"

/* Kinds that only the store itself reads, beside enum tern_entry_kind. */
enum { TERN_ENTRY_DEVICE = 16 };

/* An entry as it is stored: the device by its number. */
struct tern_record {
    uint8_t kind;
    uint8_t lane;
    uint8_t reason;  /* GAP */
    bool commits;    /* CHUNK: a segment in it commits */
    bool granted;    /* STATE, ANCHOR: the epoch was given out by this store */
    uint32_t device; /* its number */
    uint32_t epoch;
    uint32_t base;
    uint32_t first; /* CHUNK, GAP: of its records */
    uint32_t next;  /* CHUNK, GAP: behind its records; STATE: behind what is held */
    uint32_t run;   /* CHUNK, GAP, STATE: behind the newest committed record before this entry */
    uint32_t rest;  /* CHUNK that commits: how many of its records stand behind its last commit */
    uint32_t chunk_first;
    uint32_t chunk_offset;
    uint32_t hash;    /* SCHEMA: its hash; STATE: last_crc */
    uint64_t lost;    /* STATE: records that are in gaps */
    uint32_t highest; /* STATE: behind the newest record that was ever committed, while records come again;
                         else 0 */
    uint32_t boot;    /* ANCHOR */
    uint64_t uptime;
    int64_t received; /* Unix milliseconds; STATE: when the device was heard last */
    uint64_t chunk_before;
    uint64_t run_before;
    struct tern_stage_tail tails[TERN_STAGE_TAILS]; /* STATE */
    uint32_t tail_count;                            /* STATE: so far; 0: the tails are not there */
    const uint8_t *data; /* CHUNK, STATE: bytes of the chunk; SCHEMA: of the schema; DEVICE: the id */
    size_t size;
};

/* Writes the body. Returns its size, 0 when it is longer than TERN_JOURNAL_BODY_MAX. */
size_t tern_record_encode(const struct tern_record *record, uint8_t body[TERN_JOURNAL_BODY_MAX]);

/* False when the body is none of this version; the record's data points into it. */
bool tern_record_decode(const uint8_t *body, size_t size, struct tern_record *record);

#endif
