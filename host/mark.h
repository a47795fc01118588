/* SPDX-License-Identifier: MIT */
/* What a destination remembers of one (device, lane, epoch): how far it has come, and what is missing before
 * that. The rule of what is new: a record is there already iff its sequence is at or below `applied` and in
 * no open gap. */
#ifndef TERN_MARK_H
#define TERN_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reason beside enum tern_gap_reason, of gaps that are noticed here: the table cannot take the record now.
 * It is brought in later. */
#define TERN_GAP_TABLE 7

struct tern_gap {
    uint32_t first;
    uint32_t last;
    uint8_t reason; /* enum tern_gap_reason */
    int64_t at;     /* Unix milliseconds when it was noticed */
};

struct tern_gaps {
    struct tern_gap *list; /* in order, not touching each other unless their reasons differ */
    size_t count;
    size_t capacity;
};

struct tern_mark {
    const char *device;
    uint32_t epoch;
    uint8_t lane;
    bool known;       /* the destination has a row for it */
    bool changed;     /* against what was read */
    uint32_t applied; /* the last sequence that is in, or in a gap */
    struct tern_gaps gaps;
    struct tern_gaps before; /* the gaps as they were read */
    bool failed;             /* out of memory: the mark must not be written */
};

/* Forgets values and keeps the memory. The epoch begins at `base`. */
void tern_mark_reset(struct tern_mark *mark, uint32_t base);
void tern_mark_free(struct tern_mark *mark);

/* What a destination gives while it reads the mark: its gaps, in order of `first`. */
void tern_mark_add_read(struct tern_mark *mark, const struct tern_gap *gap);

/* Whether the record is new; it then counts as there. Records that were passed over become a gap of reason
 * `retention`: the journal has lost them, or was not asked for them, and the device may still have them. */
bool tern_mark_take(struct tern_mark *mark, uint32_t sequence, int64_t now);

/* Whether the record is in an open gap. */
bool tern_mark_misses(const struct tern_mark *mark, uint32_t sequence);

/* Whether the record is there: at or below `applied` and in no open gap. */
bool tern_mark_has(const struct tern_mark *mark, uint32_t sequence);

/* Whether the reason says that the device was not asked yet: it may still hold what is missing. */
bool tern_mark_may_come(uint8_t reason);

/* Records first..last are missing. What is there already, or in a gap already, stays as it is; but where the
 * gap's records might have come from the device, and this reason says that they will not, it takes the place
 * of the gap's. So does `rejected`: a record that came after all and was refused. */
void tern_mark_miss(struct tern_mark *mark, uint32_t first, uint32_t last, uint8_t reason, int64_t now);

/* The epoch begins at `base`, which was not known when gaps were told: what they hold below it is of an
 * earlier epoch. True: they did. */
bool tern_mark_clip(struct tern_mark *mark, uint32_t base);

/* Calls `remove_gap` for each gap that was read and is no more, then `add` for each that is new; both return
 * 0 or an error, which ends it. */
int tern_mark_difference(const struct tern_mark *mark,
                         int (*remove_gap)(void *context, const struct tern_gap *gap),
                         int (*add)(void *context, const struct tern_gap *gap), void *context);

#endif
