/* SPDX-License-Identifier: MIT */
/* Looks after a staging store while it is served: remembers the destinations and how far they are, removes
 * what nobody needs, and watches the disk. From the thread that serves. */
#ifndef TERN_KEEPER_H
#define TERN_KEEPER_H

#include "fanout.h"
#include "import.h"
#include "stage.h"

struct tern_keeper;

struct tern_keeper_config {
    struct tern_stage *stage;
    const char *directory;
    struct tern_report report;
    uint32_t keep_days;     /* what every destination has stays so long, 0: 7 */
    uint64_t keep_bytes;    /* but at most so many bytes of it all together, 0: no limit */
    uint64_t reserve_bytes; /* of the disk that stay free, 0: 16 MiB */
    const char
        *when_full; /* NULL or "hold": takes no more records; "detach=URL": that destination's turn to lose */
    bool from_now;  /* a new destination gets what comes from now on */
};

/* TERN_HOST_E_ARGUMENT, TERN_HOST_E_SYSTEM or TERN_HOST_E_CORRUPT, with a report. */
int tern_keeper_open(struct tern_keeper **keeper, const struct tern_keeper_config *config);

/* Whether the destination is to be used: not while it is paused. Fills in config->from and
 * config->remembered. */
bool tern_keeper_admits(struct tern_keeper *keeper, const char *url, struct tern_import_config *config);

/* Follows the import; a destination that is new is remembered, durably. */
int tern_keeper_watch(struct tern_keeper *keeper, const char *url, uint64_t from, struct tern_import *import);

/* All destinations have been admitted: reports those that are remembered and not used. */
void tern_keeper_ready(struct tern_keeper *keeper);

/* To be called about once a second. */
void tern_keeper_tick(struct tern_keeper *keeper);

/* Writes down how far the destinations are, and forgets the imports, which may then be closed. */
void tern_keeper_finish(struct tern_keeper *keeper);

void tern_keeper_close(struct tern_keeper *keeper);

#endif
