/* SPDX-License-Identifier: MIT */
/* A log on simulated flash, driven as tern.c drives it, beside an oracle that knows what must be in it. */
#ifndef TERN_LOG_RIG_H
#define TERN_LOG_RIG_H

#include "nor.h"

#include "../core/chunk.h"
#include "../core/log.h"

#define RIG_RECORDS 20000u /* sequences that the oracle can hold */

struct rig {
    struct nor *nor;
    struct tern_log log;
    struct tern_chunk chunk;
    uint8_t data[TERN_CHUNK_MAX];
    uint16_t wanted;
    uint16_t least;
    bool drop;
    bool in_batch;
    bool lenient;     /* a schema may be missing */
    uint32_t refused; /* records to be passed over before the next chunk */
    uint32_t next_id; /* every put has its own */
    /* The oracle: what each sequence holds, 0: nothing. */
    uint32_t *ids;
    uint32_t shift;      /* sequence of the first of them */
    uint32_t next;       /* behind the newest record whose commit returned TERN_OK */
    uint32_t maybe;      /* behind the newest record of the commit that was cut, or as `next` */
    uint32_t tail;       /* behind the newest record put */
    uint32_t before;     /* `next` before the newest commit */
    uint32_t floor;      /* records below may have been dropped to make room */
    uint32_t excused[2]; /* of these, from and up to, any may be missing: their program was cut, and read well
                            at first */
    uint32_t epoch;      /* in force */
    uint32_t epoch_maybe; /* what a cut may have put in force, or as `epoch` */
    uint32_t epoch_firm;  /* in force, and used: no later start may see another before it */
    uint32_t acked;       /* the most that was ever acknowledged */
    /* After rig_check(): */
    uint32_t oldest;   /* the oldest record found */
    uint32_t missing;  /* records between that were not there */
    uint8_t reason;    /* why, as the last gap says */
    const char *wrong; /* the first broken promise, or NULL */
};

extern const struct tern_table rig_tables[3];

/* An empty log that goes on in epoch 8 at `sequence`, far from 1. Where the count begins again, the oracle
 * does, too. */
void rig_begin_at(struct rig *rig, uint32_t sequence);

/* Begins with the flash as it is, and an oracle that expects nothing. */
void rig_open(struct rig *rig, struct nor *nor, uint16_t wanted);
void rig_close(struct rig *rig);

/* After a power cut, or for a clean start: RAM is forgotten, and the log mounted. Returns what the mount
 * returned. */
int rig_mount(struct rig *rig);

/* One record of table 0, 1 or 2. */
int rig_put(struct rig *rig, unsigned table);
int rig_commit(struct rig *rig);
void rig_abort(struct rig *rig);

/* Where nothing waits for a commit: the next record opens another chunk. */
void rig_close_chunk(struct rig *rig);

/* Acknowledges all but the newest `behind` committed records. */
void rig_acknowledge(struct rig *rig, uint32_t behind);
int rig_set_epoch(struct rig *rig);

/* Services until nothing is due, or an error. */
int rig_service(struct rig *rig);

/* Reads the whole log and compares. `tolerant`: records may be missing, if they are reported. */
bool rig_check(struct rig *rig, bool tolerant);

/* `to` becomes like `from`, on its own flash and oracle, which must be open. */
void rig_copy(struct rig *to, const struct rig *from);

#endif
