/* SPDX-License-Identifier: MIT */
/* The staging store's memory: devices, ranges, schemas. Shared by stage.c, stage_part.c, stage_state.c and
 * stage_read.c. */
#ifndef TERN_STAGE_STATE_H
#define TERN_STAGE_STATE_H

#include <pthread.h>

#include "stage.h"
#include "stage_entry.h"

/* a gateway is sized for ten thousand; more than this is somebody making up names */
#define TERN_STAGE_DEVICES_MAX 65536u
/* a device: older epochs are forgotten then (a device on RAM has one a start) */
#define TERN_STAGE_RANGES_MAX  64u
#define TERN_STAGE_SCHEMAS_MAX 512u   /* a device */
#define TERN_STAGE_BUCKETS     16384u /* of the table of devices, a power of two */

/* A schema, kept once for all devices that have it. */
struct tern_stage_schema {
    struct tern_stage_schema *next;
    uint32_t hash;
    uint16_t size;
    uint8_t bytes[TERN_SCHEMA_MAX];
    struct tern_schema decoded;
};

struct tern_range {
    struct tern_stage_range face; /* first: what others see */
    struct tern_range *next_dirty;
    bool is_dirty;     /* durable is behind taken */
    bool granted;      /* its epoch was given out here */
    bool is_walked;    /* the walk has begun: the chunk's head is whole */
    uint16_t size;     /* bytes received of the unfinished chunk */
    uint16_t capacity; /* of `bytes` */
    uint16_t written;  /* of these, how many the journal has */
    uint8_t *bytes;
    struct tern_walk walk; /* behind its last whole segment that was taken */
    uint64_t entry;        /* where the journal has the newest of `written` */
    uint64_t staged;       /* where a new file that is being written has them */
    uint64_t run_entry;    /* the newest entry with records from face.taken.run on, 0: none */
    uint64_t lost;         /* records in gaps */
    uint32_t highest;      /* the greatest `run` that there was: above it while records come again that a
                              destination lacks */
    uint64_t newest;       /* entry of it */
    uint64_t returned;     /* the newest one when records had come again last */
    uint32_t again;        /* the last of these, 0: none come again */
    uint32_t anchor_boot;  /* of the newest time anchor */
    int64_t anchor_start;  /* Unix milliseconds when, by it, the device started; 0: there is none */
    int64_t heard;         /* Unix milliseconds when anything came last, 0: not known */
};

struct tern_device {
    char id[TERN_ID_MAX + 1];
    uint32_t number;
    struct tern_stage *stage;
    struct tern_device *next; /* in its bucket */
    struct tern_range **ranges;
    size_t range_count;
    struct tern_stage_schema **schemas; /* guarded by the stage's mutex */
    size_t schema_count;
    struct tern_stage_want *wants; /* guarded by the stage's mutex */
    size_t want_count;
    uint8_t *arriving; /* a schema in pieces, NULL: none */
    uint32_t arriving_hash, arriving_size;
};

struct tern_stage_early {
    char device[TERN_ID_MAX + 1];
    struct tern_stage_want want;
};

struct tern_stage_learned {
    uint64_t hash; /* of the device's id, 0: free */
    uint32_t epoch;
};

struct tern_stage {
    struct tern_report report;
    struct tern_journal *journal;
    pthread_mutex_t mutex; /* devices, buckets and schemas: written by the serving thread, read by all */
    struct tern_device **devices; /* by number; holes are NULL */
    uint32_t device_limit;        /* numbers below it may be in use */
    uint32_t device_capacity;
    struct tern_device *buckets[TERN_STAGE_BUCKETS];
    struct tern_stage_schema *schemas;
    struct tern_range *dirty;
    uint64_t strange; /* entries that recovery could not use */
    struct tern_stage_early
        *early; /* wants of devices that have not come yet; guarded by the mutex, as the next two */
    size_t early_count;
    size_t want_count;                  /* of all devices */
    uint32_t want_news;                 /* how often one was added */
    struct tern_stage_learned *learned; /* by hash, at least half are free; guarded by the mutex */
    size_t learned_count, learned_room;
};

/* ---- stage_state.c --------------------------------------------------------------------------- */

/* The device of that id, or NULL. */
struct tern_device *tern_stage_lookup(const struct tern_stage *stage, const char *id);

/* Makes a device known under a number of its own. NULL: limit or memory. */
struct tern_device *tern_stage_add_device(struct tern_stage *stage, const char *id, uint32_t number);

struct tern_range *tern_stage_find_range(const struct tern_device *device, uint8_t lane, uint32_t epoch);

/* Makes an empty range that begins at `base`; where the device has too many, its oldest epoch gives way.
 * NULL: memory. */
struct tern_range *tern_stage_add_range(struct tern_device *device, uint8_t lane, uint32_t epoch,
                                        uint32_t base);

/* Makes the schema known for the device. TERN_HOST_OK, also when it was known; E_PROTOCOL: not valid;
 * E_LIMIT; E_SYSTEM. */
int tern_stage_add_schema(struct tern_device *device, uint32_t hash, const uint8_t *bytes, size_t size);

/* Given out, and nothing came of it here: the device never heard of it, or brings its records elsewhere. */
bool tern_range_is_unused(const struct tern_range *range);

bool tern_device_has_schema(const struct tern_device *device, uint32_t hash);

void tern_range_mark(struct tern_range *range);

/* Remembers what the time anchor said. */
void tern_range_anchor(struct tern_range *range, const struct tern_record *record);

void tern_stage_free_devices(struct tern_stage *stage);

/* The journal's callbacks; context is the stage. */
int tern_stage_replay(void *context, uint64_t position, const uint8_t *body, size_t size);
int tern_stage_snapshot(void *context, struct tern_journal_state *state);
void tern_stage_moved(void *context, uint64_t from, uint64_t delta);

/* ---- stage_part.c ---------------------------------------------------------------------------- */

/* Makes room for and appends bytes of the unfinished chunk. False: no memory. */
bool tern_range_append(struct tern_range *range, const uint8_t *data, size_t size);

/* The unfinished chunk is forgotten, and a chunk that begins at `first` (0: none) is expected to arrive. */
void tern_range_begin(struct tern_range *range, uint32_t first);

/* Whether the unfinished chunk holds whole segments and no record. The next chunk may begin with the same
 * sequence. */
bool tern_range_is_bare(const struct tern_range *range);

/* Walks over what is whole. With `schemas` false every schema counts as known (recovery). Stops at an unknown
 * one: *want. TERN_OK, or an error of the walk. */
int tern_range_walk(struct tern_range *range, bool schemas, uint32_t *want);

/* ---- stage_learn.c --------------------------------------------------------------------------- */

/* The newest epoch that a destination has told of, 0: none has. */
uint32_t tern_stage_learned(struct tern_stage *stage, const char *device);

/* ---- stage_want.c ---------------------------------------------------------------------------- */

/* The device gets what was wanted of it before it was known. The mutex is held. */
void tern_stage_adopt(struct tern_stage *stage, struct tern_device *device);

/* To be called when the range's run has moved. */
void tern_range_rise(struct tern_range *range);

/* Records that came again are all there: the range goes on where it was. `anyway`: also if they are not. */
void tern_range_return(struct tern_range *range, bool anyway);

/* How many of the records `first` to before `next`, which are missing, were never here. */
uint32_t tern_range_loss(const struct tern_range *range, uint32_t first, uint32_t next);

/* Behind everything that the range has had. */
uint32_t tern_range_end(const struct tern_range *range);

/* ---- stage.c --------------------------------------------------------------------------------- */

/* Appends the record to the journal. Its position, or 0. */
uint64_t tern_stage_append(struct tern_stage *stage, const struct tern_record *record);

/* Unix milliseconds by this machine. */
int64_t tern_stage_now(void);

#endif
