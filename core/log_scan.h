/* SPDX-License-Identifier: MIT */
/* What the parts of the log share: the layout of a sector, and the scanner that finds its entries (PROTOCOL.md section 9). */
#ifndef TERN_LOG_SCAN_H
#define TERN_LOG_SCAN_H

#include "log.h"

#define MARK_SIZE      16u /* prefix, generation, crc */
#define MARK_SEALED    12u
#define PREFIX_SIZE    8u
#define ACK_SIZE       12u
#define ACK_SEALED     8u
#define NOTE_SIZE      25u
#define NOTE_SEALED    21u
#define NOTE_TYPE      0x08u /* the low three bits: log2 of the reach, less REACH_LOG2 */
#define REACH_LOG2     6u
#define SCHEMA_TYPE    0x02u
#define SCHEMA_HEAD    4u /* type and the longest size */
#define HASH_SIZE      4u
#define UNIT_MAX       32u
#define HEAD_WITHIN    512u /* a sector's head begins in so many bytes of its entries */
#define ENTRY_SIZE_MIN 8u   /* no entry is shorter */
#define BLANK_SLACK    64u  /* two of the largest units */

#define NOTES_ENOUGH 3u /* so many copies at the log's end need no further one */

enum tern_log_flags {
    LOG_SUSPECT = 1,       /* the unit at `write` may have been touched by a program that a power cut ended */
    LOG_READY_SUSPECT = 2, /* the same of the sector ahead */
    LOG_NOTE_DUE =
        4, /* a note goes before anything else: what flash holds of the last one, or of records, may not last */
    LOG_MOVE = 8,     /* the open chunk goes to the sector ahead */
    LOG_PLACED = 16,  /* the open chunk has an address, and its schemas stand before it */
    LOG_WANTED = 32,  /* somebody waits for a sector ahead */
    LOG_LEFT = 64,    /* the newest sector failed, and takes nothing more */
    LOG_ACK_DUE = 128 /* an acknowledgement may be marked */
};

/* The entries that the scanner tells apart. */
enum tern_log_entry { ENTRY_END, ENTRY_NOTE, ENTRY_SCHEMA, ENTRY_CHUNK };

struct tern_log_note {
    uint32_t generation;
    uint32_t first; /* sequence behind the newest record before the note, committed or not */
    uint32_t next;  /* the same, committed */
    struct tern_epoch epoch;
    uint8_t reach_log2;
};

/* Goes through the entries of one sector. */
struct tern_log_cursor {
    const struct tern_log *log;
    uint32_t sector;
    uint32_t at;      /* behind the entry that was found; at the end: where it is erased */
    uint32_t limit;   /* the sector's end, or the end of what has been written */
    uint32_t ceiling; /* records from here on stand again in a later sector */
    uint32_t entry;   /* address of the entry */
    union {
        struct tern_log_note note;
        struct {
            uint32_t hash;
            uint32_t address; /* of its first byte */
            uint32_t size;
        } schema;
        struct {
            uint32_t first;
            uint32_t next;      /* behind the last record */
            uint32_t committed; /* behind the last committed record */
            uint32_t size;      /* bytes up to there */
            uint32_t whole;     /* bytes up to the last record */
        } chunk;
    } is;
    bool damaged; /* bytes were skipped since the flag was last cleared */
    bool dirty;   /* the last thing before `at` is such bytes */
};

/* log.c */
void tern_log_note_epoch(struct tern_log *log, const struct tern_epoch *epoch);
void tern_log_note_schema(struct tern_log *log, uint32_t hash);

/* log_scan.c */
bool tern_log_load_ack(const struct tern_log *log, uint32_t sector, uint64_t *store);

uint32_t tern_log_align(const struct tern_log *log, uint32_t size);
uint32_t tern_log_entries(const struct tern_log *log); /* offset of a sector's first entry */
uint32_t tern_log_after(const struct tern_log *log, uint32_t sector);
uint32_t tern_log_sector(const struct tern_log *log, uint32_t address);
void tern_log_load(const struct tern_log *log, uint32_t address, uint8_t *data, uint32_t size);
uint32_t tern_log_seal(const struct tern_log *log, const uint8_t *data, size_t size);
void tern_log_prefix(const struct tern_log *log, uint8_t prefix[PREFIX_SIZE]);
uint32_t tern_log_used(const struct tern_log *log, uint32_t from, uint32_t limit);
bool tern_log_load_head(const struct tern_log *log, uint32_t sector, struct tern_log_note *note);
bool tern_log_load_spare_epoch(const struct tern_log *log, uint32_t sector, struct tern_epoch *epoch);
bool tern_log_is_proven(const struct tern_log *log, uint32_t address);
uint32_t tern_log_follower(const struct tern_log *log, uint32_t sector, uint32_t *first);
void tern_log_enter(struct tern_log_cursor *cursor, const struct tern_log *log, uint32_t sector);
uint8_t tern_log_scan(struct tern_log_cursor *cursor);
int tern_log_crc_at(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t sequence,
                    uint32_t *crc);
bool tern_log_schema_in(const struct tern_log *log, uint32_t sector, uint32_t hash,
                        struct tern_log_cursor *cursor);

#endif
