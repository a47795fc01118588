/* SPDX-License-Identifier: MIT */
/*
 * Which destinations a staging store has, from run to run: the file `destinations` in the staging folder. A
 * cursor here is never ahead of the destination's own: it says what the store must keep for a destination
 * that is paused, away or behind.
 *
 *   file = "tern-destinations 1\n" (STATE CURSOR FROM AT ROWS REJECTED URL "\n")*
 *
 * STATE is active, paused or detached; CURSOR and FROM are positions in the journal; AT is Unix milliseconds;
 * the URL has no password.
 */
#ifndef TERN_FANOUT_H
#define TERN_FANOUT_H

#include <stdbool.h>

#include "tern_host.h"

enum tern_fanout_state { TERN_FANOUT_ACTIVE, TERN_FANOUT_PAUSED, TERN_FANOUT_DETACHED };

#define TERN_FANOUT_MAX      64 /* destinations that a store remembers */
#define TERN_FANOUT_URL_ROOM 512

struct tern_fanout_entry {
    enum tern_fanout_state state;
    uint64_t cursor; /* it has everything before */
    uint64_t from;   /* where it began: what was before is not for it */
    int64_t at;      /* when the cursor was as it is, Unix milliseconds */
    uint64_t rows;   /* brought in, as far as counted */
    uint64_t rejected;
    char url[TERN_FANOUT_URL_ROOM];
};

struct tern_fanout {
    size_t count;
    struct tern_fanout_entry entries[TERN_FANOUT_MAX];
};

/* Reads the staging folder's file; a folder without one has no destinations. Errors are reported. */
int tern_fanout_read(struct tern_fanout *fanout, const char *directory, const struct tern_report *report);

/* Writes it: durable when this returns. */
int tern_fanout_write(const struct tern_fanout *fanout, const char *directory,
                      const struct tern_report *report);

/* The destination of that URL, with or without its password. NULL: it is not known. */
struct tern_fanout_entry *tern_fanout_find(struct tern_fanout *fanout, const char *url);

/* Adds one. NULL: there are too many, or the URL is too long. */
struct tern_fanout_entry *tern_fanout_add(struct tern_fanout *fanout, const char *url);

void tern_fanout_remove(struct tern_fanout *fanout, struct tern_fanout_entry *entry);

/* The first place where the URL, or what is left of it, says `password=`, also at the end of a longer word,
 * and with characters as %XX. NULL: nowhere. */
const char *tern_fanout_password(const char *url);

/* The URL without its password. False: it does not fit. */
bool tern_fanout_plain(const char *url, char plain[TERN_FANOUT_URL_ROOM]);

const char *tern_fanout_state_name(enum tern_fanout_state state);

#endif
