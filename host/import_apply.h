/* SPDX-License-Identifier: MIT */
/* Inside the importer's transaction: import_apply.c runs it, import_order.c sorts and folds,
 * import_snapshot.c knows OVERWRITE tables. */
#ifndef TERN_IMPORT_APPLY_H
#define TERN_IMPORT_APPLY_H

#include "import_turn.h"

/* What rows are sorted by, in front of the row itself: most comparisons end here. */
struct tern_import_item {
    uint64_t major; /* schema, device */
    uint64_t minor; /* the beginning of the key */
    struct tern_sink_row *row;
    const struct tern_table *table;
};

/* An OVERWRITE table of a device, as far as a transaction needs it. */
struct tern_import_snapshot {
    const struct tern_table *table; /* of some version */
    const char *device;
    int64_t begin; /* of the newest snapshot: what is older has no effect */
};

/* A turn on its way; import->order holds the first `count` rows that are to be loaded. */
struct tern_import_applying {
    struct tern_import *import;
    struct tern_turn_range **ranges; /* in order of device, lane, epoch */
    struct tern_mark **marks;        /* of them, or of some of them */
    uint32_t *device_ranks;          /* by range index */
    struct tern_import_item *items;
    size_t count;
    size_t
        apart; /* of them, at the end: rows of one key stand beside each other, and are loaded one by one */
    struct tern_import_snapshot *snapshots;
    size_t snapshot_count;
    size_t refused;       /* rows, in all tries */
    size_t rejected;      /* rows that are refused in this try */
    size_t refused_folds; /* rows that were folded, refused in this try */
    bool unfolds; /* some rows stand apart: what they were folded into was refused, and none of them alone */
    bool careful; /* no row is taken for fresh */
    uint32_t retries;
    int64_t now;
    int64_t begun;
};

/* The row is refused for good: the transaction is done again without it. */
void tern_import_reject(void *applying, struct tern_sink_row *row, const char *reason);

/* Loads rows of one schema, one or more; `again` as in struct tern_sink_load. A status of the sink. */
int tern_import_load(struct tern_import_applying *applying, struct tern_sink_row **rows, size_t count,
                     bool again);

/* Records of one key, newest first, into one row by the rules. NULL: out of memory, or one was refused. */
struct tern_sink_row *tern_import_combine(struct tern_import_applying *applying,
                                          struct tern_turn_row *const *rows, size_t count);

/* Looks for the records for which rows that were folded of several were refused, and refuses these, in a
 * transaction that will be rolled back. A status of the sink. */
int tern_import_unfold(struct tern_import_applying *applying);

/* Writes what was refused in this turn to its files, durably; a record that is there already is not written
 * again. */
int tern_import_write_rejects(struct tern_import *import);

/* Ranks of schemas by table and version. False: out of memory. */
bool tern_import_rank_schemas(struct tern_turn *turn);

/* Sorts import->order by schema, device and key, and leaves one row a key, and behind these the rows of keys
 * that are not folded, oldest first. False: out of memory. */
bool tern_import_fold(struct tern_import_applying *applying);

/* Groups import->order by schema, and leaves the order of arrival within each. */
void tern_import_group(struct tern_import_applying *applying);

/* Refuses units whose snapshot marks do not pair. */
void tern_import_check_snapshots(struct tern_import_applying *applying);

/* Replaces what newer snapshots replace, and takes out of import->order the marks, and the rows that a newer
 * snapshot outdates. */
int tern_import_replace(struct tern_import_applying *applying);

#endif
