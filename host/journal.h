/* SPDX-License-Identifier: MIT */
/*
 * The journal: the files of a staging folder. Append-only, checksummed, one write and one fdatasync for
 * everything that was appended since the last. It knows files, entries and durability; what an entry means is
 * stage.c's business.
 *
 * The folder holds `lock`, `store` (format version and the store's random id) and journal-00000001.tern and
 * up.
 *
 *   file   = header [carried entries] state entries
 *   header = "ternjrnl" version(u32) number(u32) store(u64) base(u64) state(u64) state_end(u64)
 *            0(u64) 0(u32) crc(u32)
 *   entry  = size(u32) crc(u32) back(u32) 0(u32) body, filled up with 0 to a multiple of 8
 *   body   = kind(u8) references(u8) reference(u64)*references ...
 *
 * A position counts bytes over all files: `base` is the header's, and the next file's base is where this one
 * ends. A reference is the position of an earlier entry, 0 for none. `crc` covers store, position, size, back
 * and body, so that bytes of another store or place are no entry. `back` leads from the entry to what was
 * durable when it was appended: that tells a torn tail (nothing valid behind the damage was written after a
 * sync that covered it) from corruption (something was).
 *
 * `state` to `state_end` is everything that recovery needs to know from earlier files, so that recovery reads
 * the newest file only and the others can be deleted once no destination needs them. A file gets its name
 * after all of that is durable.
 */
#ifndef TERN_JOURNAL_H
#define TERN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tern_host.h"

#define TERN_JOURNAL_VERSION  1
#define TERN_JOURNAL_HEADER   64
#define TERN_JOURNAL_ENTRY    16   /* bytes before an entry's body */
#define TERN_JOURNAL_BODY_MAX 8192 /* a chunk or a schema, and what is said about it */
/* not yet durable: more is refused, so that a full disk bounds memory */
#define TERN_JOURNAL_BUFFER_MAX   (16u << 20)
#define TERN_JOURNAL_FILE_BYTES   (64ull << 20)   /* default size of a file */
#define TERN_JOURNAL_BODY_HEAD(n) (2u + 8u * (n)) /* kind, count and n references */

struct tern_journal;
struct tern_journal_state;

struct tern_journal_config {
    const char *directory; /* made if missing; its parent must be there */
    struct tern_report report;
    uint64_t file_bytes; /* a new file is begun when this one has grown by so much, 0: the default */
    bool read_only;      /* for a look beside a gateway that runs: takes no lock, changes nothing, appends
                          * nothing */
    void *context;       /* of the functions below */
    /* Recovery: one entry, in order, its CRC right. 0, or an error, which ends it and is passed on. */
    int (*replay)(void *context, uint64_t position, const uint8_t *body, size_t size);
    /* A new file: gives everything that recovery must know to tern_journal_put_state(). 0 or an error, which
     * is passed on. */
    int (*snapshot)(void *context, struct tern_journal_state *state);
    /* The new file is in place: what was appended at `from` or behind now stands `delta` bytes further on. */
    void (*moved)(void *context, uint64_t from, uint64_t delta);
};

/* Locks the folder, makes the store if there is none, recovers. TERN_HOST_E_IN_USE, TERN_HOST_E_VERSION
 * (nothing was touched), TERN_HOST_E_CORRUPT (no state can be recovered), TERN_HOST_E_SYSTEM. */
int tern_journal_open(struct tern_journal **journal, const struct tern_journal_config *config);

/* What has not been synced is gone, as after a crash. */
void tern_journal_close(struct tern_journal *journal);

/* Its folder. */
const char *tern_journal_directory(const struct tern_journal *journal);

/* The store's random id; never 0. */
uint64_t tern_journal_store(const struct tern_journal *journal);

/* Takes an entry into memory. Returns its position, which tern_journal_sync() may still move once (see
 * moved()), or 0 when memory or TERN_JOURNAL_BUFFER_MAX is used up. The body begins with kind, count of
 * references, references. */
uint64_t tern_journal_append(struct tern_journal *journal, const uint8_t *body, size_t size);

/* Whether there is room for another entry of any size: the next append will not fail. */
bool tern_journal_has_room(struct tern_journal *journal);

/* Makes everything appended durable. After a failure nothing more is written to that file: a new one is
 * begun, from memory. While that fails too, an error, and nothing appended counts as durable; the next call
 * tries again. */
int tern_journal_sync(struct tern_journal *journal);

/* Which files are no longer wanted. */
struct tern_journal_limits {
    uint64_t position; /* what is before it may go: everyone has read it */
    int64_t before;    /* Unix seconds: files last written before this go, 0: none for its age */
    uint64_t bytes;    /* and the oldest ones while all together are larger than this, 0: none for its size */
};

/* How many of the oldest files may go. The one before the file that holds limits->position stays: entries
 * lead back into it. */
size_t tern_journal_spare(struct tern_journal *journal, const struct tern_journal_limits *limits);

/* Removes them, with a report each. Returns how many are gone. */
size_t tern_journal_trim(struct tern_journal *journal, const struct tern_journal_limits *limits);

/* While held nothing more is taken, as if there were no room. */
void tern_journal_hold(struct tern_journal *journal, bool held);

/* Where the oldest file begins: what was before it is gone. */
uint64_t tern_journal_oldest(struct tern_journal *journal);

/* To be called from snapshot(): one entry of state. Returns its position in the new file, or 0: an error. */
uint64_t tern_journal_put_state(struct tern_journal_state *state, const uint8_t *body, size_t size);

/* ---- Reading, from any thread ---------------------------------------------------------------- */

/* Behind the newest durable entry. */
uint64_t tern_journal_end(struct tern_journal *journal);

/* Waits until something is durable behind `position`, tern_journal_wake() is called, or the time is over. */
void tern_journal_wait(struct tern_journal *journal, uint64_t position, int milliseconds);
void tern_journal_wake(struct tern_journal *journal);

struct tern_journal_reader;

/* One entry, valid until the reader is used again. */
struct tern_journal_entry {
    uint64_t position;
    uint64_t end; /* where the next one can be */
    const uint8_t *body;
    size_t size;
};

/* Begins at `position`, 0 or a position before the oldest kept: at the oldest. TERN_HOST_E_ARGUMENT when it
 * is beyond the end. */
int tern_journal_reader_open(struct tern_journal *journal, uint64_t position,
                             struct tern_journal_reader **reader);
void tern_journal_reader_close(struct tern_journal_reader *reader);

/* 1: an entry; 0: none is durable yet; negative: an error. Damaged entries are passed over, with a report. */
int tern_journal_read(struct tern_journal_reader *reader, struct tern_journal_entry *entry);

/* Where the reader stands: behind the newest durable entry when tern_journal_read() gave 0. */
uint64_t tern_journal_reader_position(const struct tern_journal_reader *reader);

/* The entry at exactly that position, without moving the reader. TERN_HOST_E_CORRUPT: there is no valid
 * one. */
int tern_journal_fetch(struct tern_journal_reader *reader, uint64_t position,
                       struct tern_journal_entry *entry);

#endif
