/* SPDX-License-Identifier: MIT */
/* The batch that a worker committed last, in the staging folder: batches/NUMBER-WORKER, where NUMBER is made
 * from the destination's URL. Its absence in the destination shows that that was set back. Written at most
 * once a second and not synced: an older batch serves as well, as the destination's own cursor says where to
 * go on, and so the file costs nothing. */
#ifndef TERN_REMEMBER_H
#define TERN_REMEMBER_H

#include <stdint.h>

struct tern_remember {
    char *path;      /* NULL: nothing is written */
    uint64_t batch;  /* 0: none */
    uint64_t unsure; /* one whose commit was begun; 0: none */
    uint64_t written;
    int64_t at; /* monotonic milliseconds */
};

/* Reads what a process before this one remembered. */
void tern_remember_open(struct tern_remember *remember, const char *directory, const char *url,
                        uint32_t worker);

void tern_remember_batch(struct tern_remember *remember, uint64_t batch);

/* Writes what was not written yet. */
void tern_remember_close(struct tern_remember *remember);

#endif
