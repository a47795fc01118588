/* SPDX-License-Identifier: MIT */
/*
 * The keys that a worker has brought into a destination: a Bloom filter (core/bloom) of a fixed size, which
 * outlasts the process as a log of their hashes in the staging folder.
 *
 * It has two halves. A half takes one key for 16 of its bits, so that about 1 new key in 200 is called
 * "maybe" when both are full; then the other half is cleared and takes its place, which begins a generation.
 * The newest generation and the one before it are known, and nothing older.
 *
 *     seen/NUMBER-WORKER       the generation that grows, NUMBER is made from the destination's URL
 *     seen/NUMBER-WORKER.old   the one before
 *
 * A file is a header and records, each of one transaction, with a CRC. A record is written before its
 * transaction commits, and not synced: after a SIGKILL the file has at least what the destination has, after
 * a power cut it may lack the last keys. Whatever is wrong with it costs time and no row, so that nothing
 * here fails: what cannot be written or read is given up.
 */
#ifndef TERN_FILTER_H
#define TERN_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/bloom.h"

#define TERN_FILTER_BYTES   (8u << 20) /* 2 to 4 million keys */
#define TERN_FILTER_BATCHES 8u

/* What seen.c keeps of a device and table: the filter knows nothing of keys from `low` to `high`. */
struct tern_filter_zone {
    uint64_t id;
    int64_t low, high;
};

struct tern_filter {
    struct tern_bloom bloom;
    void *memory;   /* NULL: no key was added yet */
    uint32_t bytes; /* of memory, 0: no filter is wanted */
    char *path;     /* NULL: the process' end is the filter's */
    int file;       /* -1: none */
    uint64_t identity, generation;
    uint64_t written; /* bytes of this generation's records */
    bool has_older;
    uint64_t batches[TERN_FILTER_BATCHES]; /* of the last records, which have to be in the destination; the
                                              newest first, 0: none */
};

/* An empty filter, which takes memory when it is first used. */
void tern_filter_open(struct tern_filter *filter, uint32_t bytes);

/* Keeps it in files of that name, and reads what is there. `identity`: files with another one, or of another
 * size, are removed. Calls for each zone, the last one of an id counts. False: nothing was there, and the
 * zones count for nothing. */
bool tern_filter_keep(struct tern_filter *filter, const char *path, uint64_t identity,
                      void (*call)(void *context, const struct tern_filter_zone *zone), void *context);

void tern_filter_close(struct tern_filter *filter);

/* Makes it ready to take keys. False: it is not wanted, or memory is out. */
bool tern_filter_ready(struct tern_filter *filter);

/* False: the key was surely not added in this generation or the one before. */
bool tern_filter_has(const struct tern_filter *filter, uint64_t hash);

/* Before a commit: zones and keys that it will add, with the batch's id (0: none). */
void tern_filter_write(struct tern_filter *filter, uint64_t batch, const struct tern_filter_zone *zones,
                       size_t zone_count, const uint64_t *keys, size_t key_count);

/* Behind the commit. True: a generation has ended, and the keys of the one before it are forgotten. Then
 * tern_filter_turn(). */
bool tern_filter_add(struct tern_filter *filter, uint64_t hash);

/* Begins the new generation's file, with all zones that there are. */
void tern_filter_turn(struct tern_filter *filter, const struct tern_filter_zone *zones, size_t count);

/* Removes its files, and writes no more: what is not written down would be missing after a restart. */
void tern_filter_give_up(struct tern_filter *filter);

/* Empties it, and removes its files. */
void tern_filter_forget(struct tern_filter *filter);

#endif
