/* SPDX-License-Identifier: MIT */
/* The importer: reads the staging store behind a cursor and brings every record into one destination, exactly
 * once in effect. Each destination has a thread, a reader and a cursor of its own, so that none waits for
 * another. */
#ifndef TERN_IMPORT_H
#define TERN_IMPORT_H

#include <stdbool.h>

#include "sink.h"
#include "stage.h"

struct tern_import;

/* Which records are brought in once more, and how. */
struct tern_import_replay {
    int64_t since, until; /* that came in then: Unix milliseconds, until 0: no end */
    const char *device;   /* of this one alone, NULL: all */
    const char *table;    /* of this one alone, NULL: all */
    bool repair; /* also what the checkpoint says is there: for a table whose rows were lost. Checkpoints stay
                    as they are. A table with columns that add is refused */
    /* Whether the record is to be brought in; NULL: all. */
    bool (*wants)(void *context, const struct tern_mark *mark, uint32_t sequence);
    void *context;
};

#define TERN_IMPORT_NO_FILTER 1u

struct tern_import_config {
    /* How far the store remembers the destination to be, 0: it does not. Reading begins there when the
     * destination says that it is further: a store that was set back grows over again what was there, and
     * those positions say nothing. */
    uint64_t remembered;
    const struct tern_import_replay
        *replay; /* NULL: everything behind the destination's cursor. Must outlive the import */
    struct tern_report report;
    uint32_t rows; /* a transaction takes about so many, 0: 100000. Whole batches only: one may be larger */
    uint32_t milliseconds;    /* or what can be read in so long, 0: 1000 */
    uint32_t segment_seconds; /* csv: a segment is closed at this age, 0: 60 */
    uint64_t segment_bytes;   /* csv: and at this size, 0: 64 MiB */
    const char *segment_tool; /* csv: closed ones are compressed by it, "gzip" or "zstd", NULL: not. Must
                                 outlive the import */
    uint64_t from; /* where a destination without a cursor begins; records before are no gap unless later ones
                      follow */
    uint32_t workers; /* that share the devices, each with a connection, 0: 1; a destination with one writer
                         has 1 */
    int64_t held_seconds;  /* a gap `held` waits so long for the other store, then the device is asked; 0: a
                              day, negative: not waited for */
    uint32_t filter_bytes; /* of each worker's filter of keys that came out of order, 0: 8 MiB,
                              TERN_IMPORT_NO_FILTER, up to 512 MiB */
    bool soft_delete;      /* as in struct tern_sink_config, with the three below */
    bool no_ddl;
    const struct tern_sink_name *names; /* must outlive the import */
    size_t name_count;
};

struct tern_import_status {
    uint64_t cursor;   /* everything before it is in the destination, but for what is held */
    uint64_t end;      /* behind the newest durable entry: end - cursor is the lag in bytes */
    uint64_t rows;     /* brought in since open */
    uint64_t batches;  /* transactions */
    uint64_t known;    /* records that were there already */
    bool failing;      /* the destination cannot be reached or refuses; it is tried again */
    uint32_t held;     /* ranges held for a reason that was reported */
    uint32_t restored; /* times that the destination had lost what was committed */
    uint64_t rejected; /* records that the destination refused since open */
    char error[256];   /* the last error, empty: none */
};

/* Starts the thread. `url` is SCHEME:REST. The stage must outlive the import. TERN_HOST_E_ARGUMENT: an
 * unknown or impossible URL; TERN_HOST_E_LIBRARY: the client library is missing (the report names the
 * package); TERN_HOST_E_SYSTEM. A destination that cannot be reached is no error here: it is tried again for
 * as long as the import is open. */
int tern_import_open(struct tern_import **import, struct tern_stage *stage, const char *url,
                     const struct tern_import_config *config);

void tern_import_status(struct tern_import *import, struct tern_import_status *status);

/* Waits at most `milliseconds` until everything that is durable in the stage now is in the destination, and
 * files are closed. TERN_HOST_OK, or TERN_HOST_E_LIMIT when the time was not enough. */
int tern_import_drain(struct tern_import *import, int milliseconds);

/* Stops within the transaction that is under way. NULL is allowed. */
void tern_import_close(struct tern_import *import);

#endif
