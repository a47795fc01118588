/* SPDX-License-Identifier: MIT */
/*
 * Which rows are surely new to a destination, so that they may be inserted without looking. What it says is a
 * guess, because another gateway may write too: a wrong one costs a rollback, never a row.
 *
 * Of each device and table it knows, without looking at rows:
 *
 * - The highest key (of its first column, where that is a number). The destination is asked whether it has a
 *   row at or above the lowest key that comes; from then on the highest that was brought in is remembered.
 *   Data in order of time is always above it, and needs no more.
 * - Once keys come out of order: the keys that it brings in from then on, in a Bloom filter (filter.h). What
 *   was there before is a zone from its lowest key to its highest, and everything inside is "maybe": of a
 *   table that held rows when it was first met, all that is not above them; of a device without rows there,
 *   nothing. No table is ever read through, however long it is.
 *
 * When the filter forgets its older keys, the zones grow up to the highest of them. Keys of another kind than
 * numbers have no zone: they are known as long as the filter knows all of them, and only of devices that had
 * no row. Keys of deleted rows count like others.
 *
 * A wrong guess takes away what was known of the devices that took part, and they are asked for again. 104
 * bytes for each device and table, and the filter.
 */
#ifndef TERN_SEEN_H
#define TERN_SEEN_H

#include "sink.h"

struct tern_seen;

/* What it keeps from run to run, and for whom. */
struct tern_seen_config {
    const char *directory; /* the staging folder */
    const char *url;
    uint64_t store;
    uint32_t worker, workers; /* that share the devices */
};

/* `bytes` of filter, taken when they are first needed; 0: none. NULL: out of memory. */
struct tern_seen *tern_seen_open(uint32_t bytes);
void tern_seen_close(struct tern_seen *seen);

/* Reads what a run before this one kept, and keeps it from now on. */
void tern_seen_keep(struct tern_seen *seen, const struct tern_seen_config *config);

/* Forgets everything: the destination is another one, or was set back. */
void tern_seen_forget(struct tern_seen *seen);

/* A connection is made: the highest keys are to be asked for again. The first time, what was kept must belong
 * to what the destination is now, which shows by a batch that was committed last. TERN_HOST_OK, or an error
 * of the sink. */
int tern_seen_connect(struct tern_seen *seen, struct tern_sink *sink);

/* Before each try of a transaction. `wrong`: the one before was rolled back because a row was not new. The
 * devices that it held for new are asked for again, and those that are wrong often are left alone for a
 * while. */
void tern_seen_begin(struct tern_seen *seen, bool wrong);

/* Sets `fresh` of rows of one device and one table, in order of the key. TERN_HOST_OK, or an error of the
 * sink. */
int tern_seen_judge(struct tern_seen *seen, struct tern_sink *sink, const struct tern_table *table,
                    struct tern_sink_row *const *rows, size_t count);

/* Everything is loaded, and the commit of this batch follows: what it brings in is written down. */
void tern_seen_write(struct tern_seen *seen, uint64_t batch);

/* The transaction is committed: what it brought in is there. */
void tern_seen_commit(struct tern_seen *seen);

#endif
