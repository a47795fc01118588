/* SPDX-License-Identifier: MIT */
/* The staging store: what every device has sent, durable, in order. stage.c keeps the state of devices and
 * assembles chunks, journal.c keeps the files. Used by the thread that serves devices; importers read through
 * struct tern_stage_reader from their own threads. */
#ifndef TERN_STAGE_H
#define TERN_STAGE_H

#include <stdbool.h>

#include "../core/chunk.h"
#include "../core/frame.h"
#include "../core/schema.h"
#include "tern_host.h"

struct tern_stage;
struct tern_device;

struct tern_stage_config {
    const char *directory;
    struct tern_report report;
    uint64_t file_bytes; /* a journal file is closed at this size, 0: 64 MiB */
    bool read_only;      /* a look at a store that a gateway may be using: nothing is locked or changed */
};

/* Locks the folder, recovers the journal, reads the state of all devices into memory. */
int tern_stage_open(struct tern_stage **stage, const struct tern_stage_config *config);
void tern_stage_close(struct tern_stage *stage);

/* Random, made with the store; 0 never. */
uint64_t tern_stage_id(const struct tern_stage *stage);

/* Its folder. */
const char *tern_stage_directory(const struct tern_stage *stage);

/* ---- What a peer says ------------------------------------------------------------------------ */

/* One (lane, epoch) of a device, as the store knows it. Read-only for others; lives as long as the stage. Two
 * sets of positions: what has been taken into the journal's buffer, and what tern_stage_sync() has made
 * durable. Only the latter may be acknowledged. */
struct tern_stage_position {
    uint32_t next;     /* first sequence not held */
    uint32_t last_crc; /* of the segment that ended with next - 1; 0: none held */
    uint32_t first;    /* of the unfinished chunk; 0: none */
    uint32_t offset;   /* bytes of it that need not be sent again */
    uint32_t run;      /* behind the newest record that is committed, at most `next` */
};

/* The CRC of a segment behind which `next` was expected; next 0: none. */
struct tern_stage_tail {
    uint32_t next;
    uint32_t crc;
};

#define TERN_STAGE_TAILS 8

struct tern_stage_range {
    struct tern_device *device;
    struct tern_stage_tail
        tails[TERN_STAGE_TAILS]; /* some of the last segments, the further back the fewer */
    uint32_t tail_count;         /* so far */
    uint32_t epoch;
    uint32_t base; /* the epoch's first sequence */
    uint8_t lane;
    struct tern_stage_position taken;
    struct tern_stage_position durable;
    uint32_t moves; /* how often the position has changed other than by records: then the device is told where
                       to go on */
};

/* A HELLO's range. */
struct tern_hello_range {
    uint8_t lane;
    uint32_t epoch; /* 0: not known yet */
    uint32_t base, oldest, next, acked;
    uint32_t newest; /* epoch in force on the device: above `epoch`, the range ends with next - 1 */
    uint64_t store;  /* 0: nobody has acknowledged */
};

struct tern_hello {
    const char *id; /* checked, ended by NUL */
    uint64_t nonce;
    uint32_t receive, boot;
    uint64_t uptime;
    size_t range_count;
    struct tern_hello_range ranges[TERN_LANES_MAX]; /* one a lane at most */
};

/* The device of that id, made known if it is new. NULL when the limit of devices is reached or memory is
 * out. */
struct tern_device *tern_stage_device(struct tern_stage *stage, const char *id);
/* The same, or NULL when the store does not know it. */
struct tern_device *tern_stage_find_device(struct tern_stage *stage, const char *id);
const char *tern_device_id(const struct tern_device *device);

/* Finds or makes the range, giving an epoch where the device has none (max of the newest + 1 that the device,
 * the store or a destination knows, and now, in 16-second units since 2024, low 3 bits the lane). `now` is
 * Unix milliseconds, 0 when unknown. Writes the time anchor (boot, uptime) to the journal when it says
 * something new. A range that a device already had is found again by (lane, epoch); for epoch 0 there is a
 * new one each time. What another store has acknowledged and this one has not becomes a gap (held by another
 * store), and range->taken.next stands behind it. Sync before the WELCOME leaves. TERN_HOST_E_PROTOCOL: the
 * range contradicts itself, or its epoch was never seen here, is older than the lane's newest, and the device
 * does not know that one: a clone or a restored flash, not merged, and reported. TERN_HOST_E_SYSTEM: nothing
 * can be stored now. */
int tern_stage_hello(struct tern_stage *stage, struct tern_device *device, const struct tern_hello *hello,
                     const struct tern_hello_range *range, int64_t now, struct tern_stage_range **out);

/* Takes a part of a chunk. TERN_HOST_E_SYSTEM: too much is waiting for a disk that does not take it, or
 * memory is out; nothing was taken. TERN_HOST_OK: taken, or dropped because it neither extends, repeats nor
 * begins what is expected. TERN_HOST_E_PROTOCOL: the bytes are no chunk (the part, and what was unfinished of
 * its chunk, is dropped). When a segment names a schema that is not known, nothing from there on is taken and
 * *want is its hash (else 0). */
int tern_stage_part(struct tern_stage *stage, struct tern_stage_range *range, uint32_t first, uint32_t offset,
                    const uint8_t *data, size_t size, uint32_t *want);

/* Records first..last are lost. Counts only if it begins at the expected sequence or before it. Where records
 * wait for a commit, it ends their run: what would have committed them is lost too. With TERN_GAP_LEADS in
 * the reason they go on waiting, and so does the gap: records behind it may belong to the same batch. */
int tern_stage_gap(struct tern_stage *stage, struct tern_stage_range *range, uint32_t first, uint32_t last,
                   uint8_t reason);

/* A piece of a schema, which itself says where it ends; *done is set when it is whole, valid, of that hash,
 * and taken. TERN_HOST_E_PROTOCOL when it is not. */
int tern_stage_schema(struct tern_stage *stage, struct tern_device *device, uint32_t hash, uint32_t offset,
                      const uint8_t *data, size_t size, bool *done);

/* Whether anything of the device has been taken that is not durable. */
bool tern_stage_waits(const struct tern_device *device);

/* One write and one fdatasync for everything taken since the last; then durable = taken. On an error nothing
 * new may be acknowledged, and the next call tries again. Writes nothing when there is nothing new. */
int tern_stage_sync(struct tern_stage *stage);

/* ---- What destinations lack ------------------------------------------------------------------ */

/* Records that a destination lacks and this store cannot give it: a device may still have them. */
struct tern_stage_want {
    uint8_t lane;
    uint32_t epoch, first, last;
    int64_t due;       /* Unix milliseconds, not before that; 0: now */
    uint64_t position; /* the destination has everything before it */
};

/* Remembers it until the device is asked; kept in memory only, for the destination's gap says it again. From
 * any thread. */
void tern_stage_want(struct tern_stage *stage, const char *device, const struct tern_stage_want *want);

/* A destination has records of this epoch of the device: one that is given from now on is newer. From any
 * thread. */
void tern_stage_learn(struct tern_stage *stage, const char *device, uint32_t epoch);

/* Changes with each want. From any thread. */
uint32_t tern_stage_wants(struct tern_stage *stage);

/* True: the range expects records again that it has had, for a destination's sake. It comes back to where it
 * was behind the last of them. Not while anything waits for a sync, or for the end of its batch. `now` is
 * Unix milliseconds, 0 when unknown. */
bool tern_stage_go_back(struct tern_stage *stage, struct tern_stage_range *range, int64_t now);

/* ---- Retention ------------------------------------------------------------------------------- */

struct tern_journal_limits;

/* Removes journal files that the limits allow to go and no open batch needs. Returns how many. */
size_t tern_stage_trim(struct tern_stage *stage, const struct tern_journal_limits *limits);

/* While held, nothing is taken: devices keep their records. */
void tern_stage_hold(struct tern_stage *stage, bool held);

/* Where the oldest kept entry can be. */
uint64_t tern_stage_oldest(struct tern_stage *stage);

/* ---- What is known of devices ---------------------------------------------------------------- */

struct tern_stage_about {
    const char *device;
    uint8_t lane;
    uint32_t epoch;
    uint32_t first, next; /* records [first, next) were taken or are in gaps */
    uint64_t lost;        /* of them, in gaps */
    bool in_batch;        /* the newest wait for their batch's end */
    int64_t heard;        /* Unix milliseconds when records or gaps of it came last, 0: not known */
};

/* The newest epoch that is known of the device, 0: none. */
uint32_t tern_stage_newest(const struct tern_device *device);

/* Calls for every range, device by device. From the thread that serves, or with a store that is read-only. */
void tern_stage_list(struct tern_stage *stage,
                     void (*call)(void *context, const struct tern_stage_about *about), void *context);

/* ---- Reading, from any thread ---------------------------------------------------------------- */

enum tern_entry_kind {
    TERN_ENTRY_CHUNK = 1,
    TERN_ENTRY_GAP,
    TERN_ENTRY_SCHEMA,
    TERN_ENTRY_ANCHOR,
    TERN_ENTRY_STATE
};

/* One journal entry; pointers are valid until the reader moves. STATE is only met along chunk_before: a
 * chunk's bytes as a new file begins with them. */
struct tern_entry {
    uint64_t position; /* of this entry; a number that only grows within a store */
    uint64_t end;      /* of the next one */
    uint8_t kind;
    uint8_t lane;
    uint8_t reason;     /* GAP */
    const char *device; /* ended by NUL */
    int64_t received;   /* Unix milliseconds, a label only */
    uint32_t epoch, base;
    uint32_t first, last;  /* CHUNK: records that this entry adds (last = first - 1: none); GAP: lost */
    uint32_t run_first;    /* CHUNK, GAP: behind the newest record committed before this entry: what the next
                              commit covers */
    uint64_t run_before;   /* position of the entry before this one with records from run_first on; 0: none,
                              they begin here */
    bool commits;          /* CHUNK: a segment that this entry adds commits; GAP: it ends the run */
    uint32_t rest;         /* CHUNK that commits: how many of its records stand behind its last commit */
    uint32_t chunk_first;  /* CHUNK: the chunk's first sequence */
    uint32_t chunk_offset; /* CHUNK: data is bytes [chunk_offset, chunk_offset + size) of the chunk */
    uint64_t
        chunk_before; /* CHUNK: position of the entry with the bytes before, when chunk_offset is not 0 */
    uint32_t hash;    /* SCHEMA */
    const uint8_t *data;
    size_t size;
};

struct tern_stage_reader;

/* Begins at `position` (0, or one before the oldest kept: at that). TERN_HOST_E_ARGUMENT: it is beyond the
 * end. */
int tern_stage_reader_open(struct tern_stage *stage, uint64_t position, struct tern_stage_reader **reader);
void tern_stage_reader_close(struct tern_stage_reader *reader);
/* Also gives the STATE entries that the next file begins with, until another entry follows them: what was
 * before that file. */
void tern_stage_reader_states(struct tern_stage_reader *reader);
/* 1: an entry; 0: no durable entry yet; negative: error. Damaged entries are passed over, with a report. */
int tern_stage_read(struct tern_stage_reader *reader, struct tern_entry *entry);
/* Where the reader stands: at the end when tern_stage_read() gave 0. */
uint64_t tern_stage_reader_position(const struct tern_stage_reader *reader);
/* The entry at `position`, without moving the reader; valid until the next fetch. TERN_HOST_E_CORRUPT: there
 * is none. */
int tern_stage_fetch(struct tern_stage_reader *reader, uint64_t position, struct tern_entry *entry);
/* The chunk of a CHUNK entry from its head to where the entry ends, put together along chunk_before. Returns
 * its size, or an error. */
int tern_stage_chunk(struct tern_stage_reader *reader, const struct tern_entry *entry,
                     uint8_t chunk[TERN_CHUNK_MAX]);
/* Waits until something durable is behind `position`, `stop` is raised, or the time is over. */
void tern_stage_wait(struct tern_stage *stage, uint64_t position, int milliseconds);
/* Wakes everyone in tern_stage_wait(). */
void tern_stage_wake(struct tern_stage *stage);
/* Behind the newest durable entry. */
uint64_t tern_stage_end(struct tern_stage *stage);
/* The schema of that hash of that device, or NULL. Lives as long as the stage. Safe from any thread. */
const struct tern_schema *tern_stage_find_schema(struct tern_stage *stage, const char *device, uint32_t hash);
/* Each schema that any device has sent, by index, in order of arrival; NULL: there are no more. */
const struct tern_schema *tern_stage_schema_at(struct tern_stage *stage, size_t index);

#endif
