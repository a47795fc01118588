/* SPDX-License-Identifier: MIT */
/* Inside the importer: import_open.c opens and closes it, import.c is the thread, import_read.c fills a turn
 * from the staging store, import_apply.c brings it in, import_hold.c knows what cannot go in now. */
#ifndef TERN_IMPORT_TURN_H
#define TERN_IMPORT_TURN_H

#include <pthread.h>

#include "decode.h"
#include "import.h"
#include "remember.h"
#include "seen.h"
#include "turn.h"

/* Chunks remembered, so that a growing one is not read again from its head: each takes as many bytes as it
 * has, so that thousands of devices with the usual 512 bytes take some megabytes, and 128 MiB are the
 * most. */
#define TERN_IMPORT_CHUNKS 16384u

/* A chunk as far as it was read. */
struct tern_import_chunk {
    const char *device; /* NULL: none */
    uint32_t epoch;
    uint32_t first;
    uint8_t lane;
    uint16_t size;
    uint16_t room;
    uint8_t *bytes;
    struct tern_decode_place place; /* how far it was decoded */
};

/* A range, or a table, whose records cannot be brought in now. The cursor that is kept in the destination
 * stays before them. */
struct tern_import_hold {
    const char *device; /* NULL: a table */
    uint32_t epoch;
    uint8_t lane;
    uint64_t position; /* of the first entry that is held */
};

/* What the log has been told to be held, and with which words. */
struct tern_import_told {
    const void *what; /* the device of a range, or a table's schema */
    uint32_t epoch;
    uint8_t lane;
    uint32_t words; /* their CRC */
};

/* What is known of a table in the destination. */
struct tern_import_table {
    const struct tern_schema *schema;
    uint32_t hash;
    bool refused;
    bool held;    /* that has been said, and the cursor stays */
    bool deletes; /* prepared for them too */
};

/* A worker: reads behind a cursor of its own, takes the devices of its slots, and writes its own
 * transactions. The first one of a destination is what others see, and leads to the rest. */
struct tern_import {
    struct tern_stage *stage;
    struct tern_import_config config;
    char *url;
    struct tern_sink *sink;
    struct tern_stage_reader *reader;
    struct tern_decoder *decoder;
    struct tern_turn turn;  /* that is being applied */
    struct tern_turn ahead; /* that is being read, by a thread of its own while there is a backlog */
    bool overlaps;          /* it is: the connection is in use, and whatever needs it must wait */
    const char *path;       /* of the last transaction, and its retries */
    uint32_t retries;
    int64_t told; /* when progress was last told, 0: there is no backlog */
    uint64_t told_cursor, told_rows;
    bool more;     /* the last turn ended at a limit */
    bool is_ready; /* `ahead` was read */
    bool has_later;
    struct tern_entry later; /* the entry that waits */
    uint8_t later_data[TERN_CHUNK_MAX];
    uint64_t applied;                /* the cursor behind what is applied, or has nothing to apply */
    struct tern_import *next;        /* worker of the same destination */
    uint32_t slots[TERN_SINK_SLOTS]; /* whose cursors it writes */
    size_t slot_count;
    uint32_t index, workers; /* it takes the devices whose slot modulo `workers` is `index` */
    struct tern_remember remember;
    uint64_t position; /* of the next entry to read */
    uint64_t seen; /* the end of the journal before the last read: what is worth waiting for is behind it */
    uint64_t written; /* the cursor that the destination has */
    bool resumed;     /* it has begun to read in this run */
    bool past_oldest; /* the store no longer has all that is behind the destination's cursor */
    struct tern_import_chunk *chunks;
    struct tern_import_hold *holds;
    size_t hold_count;
    struct tern_import_told *told_holds; /* outlast the connection */
    size_t told_hold_count;
    struct tern_import_table *tables; /* prepared since the connection was made */
    size_t table_count;
    uint32_t lost_first, lost_last,
        lost_count;     /* of the run that is read: what the journal cannot give any more */
    uint64_t lost_told; /* runs that end before this have been told of */
    uint64_t *chain;    /* positions of a run's entries */
    size_t chain_room;
    struct tern_seen *keys;       /* which are surely new */
    struct tern_sink_row **order; /* rows as they are loaded */
    size_t order_room;
    int64_t holds_tried, tables_tried, session_tried; /* monotonic milliseconds */
    bool only_gaps; /* brings in what open gaps miss, and nothing else: a retry */
    bool asks;      /* devices may have to be asked for what the destination lacks */
    int64_t
        looked; /* monotonic milliseconds when it was last seen to have the batch that was committed last */
    bool connected;
    bool alarmed; /* the failure has been reported */
    uint32_t backoff;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stop;
    bool draining;
    bool drained;
    struct tern_import_status status;
};

int64_t tern_import_clock(void); /* monotonic milliseconds */
int64_t tern_import_now(void);   /* Unix milliseconds */

/* A worker without a thread, for all devices, that writes no cursor. Closed by tern_import_close(). */
int tern_import_open_one(struct tern_import **import, struct tern_stage *stage, const char *url,
                         const struct tern_import_config *config);

/* A sink for the importer's destination, not connected. Errors are reported. */
int tern_import_open_sink(const struct tern_import *import, struct tern_sink **sink);

/* Inside tern_import_read(): the entry must wait until the connection is free. */
#define TERN_IMPORT_LATER (-60)

/* Fills import->ahead with whole units up to the limits. TERN_HOST_OK, or an error after which the worker
 * connects again. */
int tern_import_read(struct tern_import *import);

/* The worker's thread, whose context it is: until import->stop. */
void *tern_import_run(void *context);

/* Ends the connection and the reading; what is known of tables and holds is forgotten. */
void tern_import_disconnect(struct tern_import *import);

/* Brings the turn in, and moves the destination's cursor. */
int tern_import_apply(struct tern_import *import);

/* Looks whether the batch that was committed last is there, and reports if not. To be called when
 * connected. */
int tern_import_look_back(struct tern_import *import);

/* The same, once in a while: a destination may be set back while there is nothing to do, and nothing else
 * would show it. */
int tern_import_look_again(struct tern_import *import, bool *restored);

/* Tells the store which records the destination lacks that it cannot get from there. To be called when
 * everything that is there is in. */
int tern_import_ask_devices(struct tern_import *import);

/* ---- What is held (import_hold.c) ------------------------------------------------------------ */

/* The cursor that the destination may have: before everything that is held. */
uint64_t tern_import_cursor(const struct tern_import *import);

/* Whether the entry's range is held. */
bool tern_import_holds(const struct tern_import *import, const struct tern_entry *entry);

/* Holds the entry's range, or the table for which the sink's error says why; the entry is the first that is
 * held. False: out of memory. */
bool tern_import_hold_range(struct tern_import *import, const struct tern_entry *entry, const char *message);
bool tern_import_hold_table(struct tern_import *import, const struct tern_entry *entry,
                            const struct tern_schema *schema);

/* The table takes records: when it is held again, that is told again. */
void tern_import_take_table(struct tern_import *import, const struct tern_schema *schema);

/* Once in a while looks whether something that is held may go in now: then everything from there on is to be
 * read again. */
int tern_import_look_at_holds(struct tern_import *import, bool *mended);

/* replay.c; a replay of NULL wants everything. */
bool tern_replay_wants(const struct tern_import_replay *replay, const struct tern_entry *entry);
bool tern_replay_wants_table(const struct tern_import_replay *replay, const struct tern_table *table);
bool tern_replay_refuses(const struct tern_import_replay *replay, const struct tern_table *table);

bool tern_replay_wants_record(const struct tern_import_replay *replay, const struct tern_mark *mark,
                              uint32_t sequence);

/* Whether records are loaded whatever the checkpoint says. */
bool tern_replay_repairs(const struct tern_import_replay *replay);

/* Whether the device is this worker's. */
bool tern_import_takes(const struct tern_import *import, const char *device);

bool tern_import_stops(struct tern_import *import);

/* Reports an event about this destination; `device` may be NULL. */
void tern_import_report(struct tern_import *import, enum tern_level level, const char *event,
                        const char *device, const char *message);

#endif
