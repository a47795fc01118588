/* SPDX-License-Identifier: MIT */
/*
 * A destination. The importer calls, from one thread:
 *
 *     open  (connect (prepare* begin read_mark* load* write_mark* (commit | rollback))* disconnect)* close
 *
 * Everything between begin and commit is one transaction: rows, marks (checkpoints and gaps), cursor and batch record appear together or
 * not at all. After any error the importer rolls back, disconnects, waits, connects, and reads on from the destination's cursor.
 * To add a destination, fill a struct tern_sink_ops and name it in sink.c.
 */
#ifndef TERN_SINK_H
#define TERN_SINK_H

#include <stdbool.h>

#include "../core/schema.h"
#include "mark.h"
#include "tern_host.h"

#define TERN_SINK_SLOTS                                                                                      \
    16 /* cursors of one gateway in a destination; the devices of a slot are those whose names hash to it */

struct tern_sink_config {
    const char *url;  /* whole, for messages */
    const char *rest; /* behind SCHEME: */
    struct tern_report report;
    uint32_t segment_seconds;
    uint64_t segment_bytes;
};

/* A record on its way into a table. */
struct tern_sink_row {
    int64_t id; /* tern_id */
    const char *device;
    const struct tern_value *values; /* one a column; of a delete those of the key, the others NULL */
    uint8_t op;                      /* enum tern_op */
    bool rejected;                   /* set by reject() of the load */
};

/* Records of one table and one version of its schema. For destinations that fold: in order of device and key, one a key, the newest;
 * for others: in order of arrival, all. */
struct tern_sink_load {
    const struct tern_table *table;
    uint32_t hash; /* of its schema */
    struct tern_sink_row *const *rows;
    size_t count;
    /* The destination refuses this row for what is in it, and would always do so. The transaction is rolled back after the load and done
     * again without the row. */
    void (*reject)(void *context, struct tern_sink_row *row, const char *reason);
    void *context;
};

/* What the transaction leaves beside rows and marks. */
struct tern_sink_commit {
    uint64_t store; /* whose cursor */
    uint32_t slot;
    uint64_t cursor;
    uint64_t batch; /* random: its absence shows later that the destination was set back */
    int64_t at;     /* Unix milliseconds */
    uint64_t rows;
    uint64_t milliseconds; /* since the turn began */
};

struct tern_sink {
    const struct tern_sink_ops *ops;
    struct tern_report report;
    char error[256]; /* what the last failed call says: what, where, and what to do */
};

/* All return TERN_HOST_OK or an error; sink->error says more. TERN_HOST_E_DATABASE and TERN_HOST_E_SYSTEM: try again later. */
struct tern_sink_ops {
    const char *scheme;
    bool folds; /* wants the newest record of a key only, in order of the key */
    /* Reads the URL, finds the library. Reaches for nothing else. Sets *sink only on success. */
    int (*open)(struct tern_sink **sink, const struct tern_sink_config *config, char error[256]);
    /* Reaches the destination and makes tern's own tables. Bounded by a timeout of its own. */
    int (*connect)(struct tern_sink *sink);
    void (*disconnect)(struct tern_sink *sink);
    /* The cursor of a store's slot, 0 when there is none. */
    int (*read_cursor)(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor);
    /* Makes table and columns ready. TERN_HOST_E_ARGUMENT: this table cannot take records of this schema; they are held. */
    int (*prepare)(struct tern_sink *sink, const struct tern_table *table, uint32_t hash);
    int (*begin)(struct tern_sink *sink);
    /* Reads and locks the mark of (device, lane, epoch); called in that order. The mark was reset. */
    int (*read_mark)(struct tern_sink *sink, struct tern_mark *mark);
    int (*load)(struct tern_sink *sink, const struct tern_sink_load *load);
    int (*write_mark)(struct tern_sink *sink, const struct tern_mark *mark);
    int (*commit)(struct tern_sink *sink, const struct tern_sink_commit *commit);
    void (*rollback)(struct tern_sink *sink);
    /* Called between transactions, about once a second; `finish`: before a stop. May be NULL. */
    int (*tick)(struct tern_sink *sink, bool finish);
    void (*close)(struct tern_sink *sink);
};

/* The destination of an URL. TERN_HOST_E_ARGUMENT, TERN_HOST_E_LIBRARY or TERN_HOST_E_SYSTEM, with a report. */
int tern_sink_open(struct tern_sink **sink, const struct tern_sink_config *config);

/* Fills sink->error as by printf, and returns `status`. */
int tern_sink_fail(struct tern_sink *sink, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

extern const struct tern_sink_ops tern_sink_csv;
extern const struct tern_sink_ops tern_sink_sqlite;

#endif
