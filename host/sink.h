/* SPDX-License-Identifier: MIT */
/*
 * A destination. The importer calls, from one thread:
 *
 *     open (connect find_batch? turn* disconnect)* close
 *     turn = prepare* begin read_marks load* write_marks (commit | rollback)
 *
 * Everything between begin and commit is one transaction: rows, marks (checkpoints and gaps), cursor and
 * batch record appear together or not at all. After any error but those of enum tern_sink_status the importer
 * rolls back, disconnects, waits, connects, and reads on from the destination's cursor. To add a destination,
 * fill a struct tern_sink_ops and name it in sink.c.
 */
#ifndef TERN_SINK_H
#define TERN_SINK_H

#include <stdbool.h>

#include "../core/schema.h"
#include "mark.h"
#include "tern_host.h"

/* cursors of one gateway in a destination; the devices of a slot are those whose names hash to it */
#define TERN_SINK_SLOTS 16

/* A name that the destination has instead of tern's: of a table ("climate"), or of its column
 * ("climate.celsius"). */
struct tern_sink_name {
    const char *from;
    const char *to;
};

struct tern_sink_config {
    const char *url;  /* whole, for messages */
    const char *rest; /* behind SCHEME: */
    struct tern_report report;
    uint32_t segment_seconds;
    uint64_t segment_bytes;
    const char *segment_tool; /* must outlive the sink */
    bool soft_delete;         /* a delete leaves the key, with tern_deleted set and the other columns NULL */
    bool no_ddl; /* tables and columns are made by somebody else: `tern-gateway ddl` prints them */
    const struct tern_sink_name *names;
    size_t name_count;
};

/* Statuses beside enum tern_host_error, after which the importer rolls back and does the transaction again at
 * once. */
enum tern_sink_status {
    TERN_SINK_AGAIN = -50, /* a row that was said to be fresh was there: load them all as if they might be */
    TERN_SINK_RETRY = -51  /* the database chose this transaction as a deadlock's victim */
};

/* A record on its way into a table. */
struct tern_sink_row {
    int64_t id;    /* tern_id; of a row that several records were folded into, the highest */
    int64_t first; /* the lowest of them: what columns with the rule `first` follow */
    const char *device;
    const struct tern_value *values; /* one a column; of a delete those of the key, the others NULL */
    uint8_t op;    /* enum tern_op: put or delete; where nothing is folded, also the marks of snapshots */
    bool fresh;    /* the importer takes the key for surely new: it may be inserted without looking */
    bool rejected; /* set by reject() of the load */
};

/*
 * Records of one table and one version of its schema. Destinations that do not fold get all, in order of
 * arrival. Those that fold get one row a key, in order of device and key, and no snapshot marks:
 *
 *   MERGE      puts and deletes. A row counts against what is there by tern_id, whatever came first.
 *              Tables with merge rules have no deletes; a row then brings the rule's value over all its
 *              records, and counts whatever its age.
 *   APPEND     puts; the key is (device, tern_id).
 *   OVERWRITE  puts that belong to the newest snapshot or follow it: replace() was called before. As MERGE
 *              by its key columns, as APPEND where it has none.
 *
 * Rows with `fresh` set may take a straight path, the others the merge; both stand mixed in one load, and in
 * one transaction.
 */
struct tern_sink_load {
    const struct tern_table *table;
    uint32_t hash; /* of its schema */
    struct tern_sink_row *const *rows;
    size_t count;
    int64_t at; /* Unix milliseconds: when a soft delete says that it was */
    bool again; /* a load before in this transaction may have brought rows of this table and version, of the
                   same keys even */
    /* The destination refuses this row for what is in it, and would always do so. The transaction is rolled
     * back after the load and done again without the row. */
    void (*reject)(void *context, struct tern_sink_row *row, const char *reason);
    void *context;
};

/* What the transaction leaves beside rows and marks. */
struct tern_sink_commit {
    uint64_t store; /* whose cursor */
    const uint32_t *slots;
    size_t slot_count;
    uint64_t cursor; /* of each of these slots */
    uint64_t batch;  /* random: its absence shows later that the destination was set back */
    int64_t at;      /* Unix milliseconds */
    uint64_t rows;
    uint64_t bytes;        /* of their values */
    uint64_t milliseconds; /* since the turn began */
    uint32_t retries;      /* how often the transaction was done again */
    const char *path;      /* "straight", "merge" or "both" */
};

struct tern_sink {
    const struct tern_sink_ops *ops;
    struct tern_report report;
    char error[256]; /* what the last failed call says: what, where, and what to do */
};

struct tern_sink_scan;

/* All return TERN_HOST_OK or an error; sink->error says more. TERN_HOST_E_DATABASE and TERN_HOST_E_SYSTEM:
 * try again later. */
struct tern_sink_ops {
    const char *scheme;
    bool folds;  /* wants one row a key, in order of the key */
    bool plain;  /* has no straight path: merging is as fast, and nothing need be said to be fresh */
    bool single; /* has one writer at a time: more workers would only wait for each other */
    /* Reads the URL, finds the library. Reaches for nothing else. Sets *sink only on success. */
    int (*open)(struct tern_sink **sink, const struct tern_sink_config *config, char error[256]);
    /* Reaches the destination and makes tern's own tables. Bounded by a timeout of its own. */
    int (*connect)(struct tern_sink *sink);
    void (*disconnect)(struct tern_sink *sink);
    /* The cursor of a store's slot, 0 when there is none. */
    int (*read_cursor)(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor);
    /* Whether a batch that was committed is there. May be NULL: the destination cannot be set back. */
    int (*find_batch)(struct tern_sink *sink, uint64_t batch, bool *found);
    /* Makes table and columns ready, outside of any transaction; `deletes`: for deletes too (called again
     * when the first one is met). TERN_HOST_E_ARGUMENT: this table cannot take records of this schema; they
     * are held. */
    int (*prepare)(struct tern_sink *sink, const struct tern_table *table, uint32_t hash, bool deletes);
    int (*begin)(struct tern_sink *sink);
    /* Reads and locks the marks, in this order, which is that of device, lane and epoch. They were reset. */
    int (*read_marks)(struct tern_sink *sink, struct tern_mark *const *marks, size_t count);
    /* Calls for each open gap whose records may still come (tern_mark_may_come()). Outside of a transaction.
     * May be NULL: nobody is asked. */
    int (*list_gaps)(struct tern_sink *sink,
                     void (*call)(void *context, const struct tern_mark *mark, const struct tern_gap *gap),
                     void *context);
    /* Calls for each device with its newest epoch. Outside of a transaction. May be NULL: it cannot tell. */
    int (*list_epochs)(struct tern_sink *sink,
                       void (*call)(void *context, const char *device, uint32_t epoch), void *context);
    /* For destinations that fold, NULL for others. The tern_id with which the device's newest snapshot of the
     * table began, 0: none. */
    int (*read_snapshot)(struct tern_sink *sink, const struct tern_table *table, const char *device,
                         int64_t *begin);
    /* The device's rows of the table that are older than `begin` go, and `begin` is remembered. */
    int (*replace)(struct tern_sink *sink, const struct tern_table *table, const char *device, int64_t begin);
    /* Whether the device has no row in the table whose first key column is at or above this row's. NULL:
     * nothing is fresh. */
    int (*is_above)(struct tern_sink *sink, const struct tern_table *table, const struct tern_sink_row *row,
                    bool *above);
    /* Whether the device has any row in the table. NULL: nobody can tell. */
    int (*has_rows)(struct tern_sink *sink, const struct tern_table *table, const char *device, bool *has);
    /* Whether a newer record of the row's key is there, a delete included. NULL: nobody can tell. */
    int (*is_outvoted)(struct tern_sink *sink, const struct tern_table *table,
                       const struct tern_sink_row *row, bool *outvoted);
    int (*load)(struct tern_sink *sink, const struct tern_sink_load *load);
    int (*write_marks)(struct tern_sink *sink, struct tern_mark *const *marks, size_t count);
    int (*commit)(struct tern_sink *sink, const struct tern_sink_commit *commit);
    void (*rollback)(struct tern_sink *sink);
    /* Called between transactions, about once a second; `finish`: before a stop. May be NULL. */
    int (*tick)(struct tern_sink *sink, bool finish);
    /* For tern-gateway ddl; NULL: there is nothing to say. `print` gets each statement that prepare() would
     * run now for the table (NULL: for tern's own tables, which comes first), or for tables as the calls
     * before have left them. TERN_HOST_E_ARGUMENT: as for prepare(). Connected, or `offline`: nothing is
     * asked, and the first call for a table makes it. */
    int (*describe)(struct tern_sink *sink, const struct tern_table *table, bool offline, bool deletes,
                    void (*print)(const char *text));
    const char *(*ddl_begin)(const struct tern_sink *sink); /* what stands in front of them, NULL: nothing */
    /* For tern-gateway check: prints lines that begin with `good ` or `bad  `: about a table that is there,
     * or (NULL) about everything else; `rights`: whether tables can be made, too. Connected, and nothing that
     * it makes stays. */
    int (*check)(struct tern_sink *sink, const struct tern_table *table, bool rights,
                 void (*print)(const char *text));
    /* Reads rows back: scan.h. May be called within a transaction, and outside. NULL: the destination
     * cannot. */
    int (*scan)(struct tern_sink *sink, const struct tern_sink_scan *scan);
    void (*close)(struct tern_sink *sink);
};

/* The destination of an URL. TERN_HOST_E_ARGUMENT, TERN_HOST_E_LIBRARY or TERN_HOST_E_SYSTEM, with a
 * report. */
int tern_sink_open(struct tern_sink **sink, const struct tern_sink_config *config);

/* Fills sink->error as by printf, and returns `status`. */
int tern_sink_fail(struct tern_sink *sink, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

extern const struct tern_sink_ops tern_sink_csv;
extern const struct tern_sink_ops tern_sink_sqlite;
extern const struct tern_sink_ops tern_sink_postgresql;
extern const struct tern_sink_ops tern_sink_postgres; /* the same by the other name that libpq takes */
extern const struct tern_sink_ops tern_sink_mysql;
extern const struct tern_sink_ops tern_sink_mariadb; /* another name of it */

#endif
