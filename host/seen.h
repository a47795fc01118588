/* SPDX-License-Identifier: MIT */
/*
 * Which rows are surely new to a destination, so that they may be inserted without looking. Asks the destination once for each device and
 * table whether it has a row at or above the lowest key that comes, and from then on remembers the highest key that was brought in: data
 * in order of time is always above it. What it says is a guess, because another gateway may write too: a wrong one costs a rollback,
 * never a row. Bound to the connection: after a failure the destination is asked again. 56 bytes for each device and table.
 */
#ifndef TERN_SEEN_H
#define TERN_SEEN_H

#include "sink.h"

struct tern_seen;

struct tern_seen *tern_seen_open(void); /* NULL: out of memory */
void tern_seen_close(struct tern_seen *seen);

/* Forgets everything: the connection is gone. */
void tern_seen_forget(struct tern_seen *seen);

/* Before each try of a transaction. `wrong`: the one before was rolled back because a row was not new. The devices that it held for new
 * are asked for again, and those that are wrong often are left alone for a while. */
void tern_seen_begin(struct tern_seen *seen, bool wrong);

/* Sets `fresh` of rows of one device and one table, in order of the key. TERN_HOST_OK, or an error of the sink. */
int tern_seen_judge(struct tern_seen *seen, struct tern_sink *sink, const struct tern_table *table,
                    struct tern_sink_row *const *rows, size_t count);

/* The transaction is committed: what it brought in is there. */
void tern_seen_commit(struct tern_seen *seen);

#endif
