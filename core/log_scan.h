/* SPDX-License-Identifier: MIT */
/* What the parts of the log share: the items of a sector, and the scanner that finds them (PROTOCOL.md
 * section 9). */
#ifndef TERN_LOG_SCAN_H
#define TERN_LOG_SCAN_H

#include "log.h"

#define ITEM_SCHEMA  0x02u
#define ITEM_MARK    0x54u
#define ITEM_NOTE    0x68u
#define ITEM_MIN     8u /* bytes between head and CRC */
#define ITEM_HEAD    4u /* type and the longest size */
#define NOTE_WORDS   6u
#define NOTE_BYTES   24u
#define NOTE_SIZE    30u /* type, size, words, crc */
#define CRC_SIZE     4u
#define UNIT_MAX     32u
#define SECTOR_SMALL 256u  /* a smaller one has one head, and keeps no room for notes */
#define SECTOR_ROOMY 1024u /* one that can spare room for notes */
#define CHUNK_SMALL  32u   /* bytes of the smallest chunk in such a sector */
#define HEAD_WITHIN  512u  /* a sector's head begins in so many of its first bytes */
#define PIECE        32u
#define PREFIX_MASK  0xFFFFFFu
#define PREFIX_SIGN  0x54u /* the first byte of a prefix in every version */
#define REACH_SHIFT  18u   /* the fourth byte is the reach in units of 64 bytes */
#define BLANK_MAX    (2u * TERN_CHUNK_MAX + 64u)

/* Copies of a note, so that it stays when one of them does not: a power cut may end a program that reads well
 * and fades later. */
#define NOTE_COPIES  2u
#define NOTES_ENOUGH 3u /* so many at the log's end need no further one */
#define ERASE_TRIES  3u

enum tern_log_flags {
    LOG_SUSPECT = 1,       /* the unit at `write` may have been touched by a program that a power cut ended */
    LOG_READY_SUSPECT = 2, /* the same of the sector ahead */
    LOG_NOTE_DUE = 4, /* a note goes before anything else: what flash holds of the last one, or of records,
                         may not last */
    LOG_MOVE = 8,     /* the open chunk goes to the sector ahead */
    LOG_PLACED = 16,  /* the open chunk has an address, and its schemas stand before it */
    LOG_WANTED = 32,  /* somebody waits for a sector ahead */
    LOG_LEFT = 64     /* the newest sector failed, and takes no more chunks */
};

/* What the scanner tells apart. An unknown item passes as itself. */
enum tern_log_entry {
    ENTRY_END,
    ENTRY_CHUNK,
    ENTRY_FOREIGN,
    ENTRY_SCHEMA = ITEM_SCHEMA + 1,
    ENTRY_MARK = ITEM_MARK + 1,
    ENTRY_NOTE = ITEM_NOTE + 1
};

/* Words of a mark or note. */
enum tern_log_word {
    WORD_PREFIX,
    WORD_GENERATION,
    WORD_FIRST,
    WORD_NEXT,
    WORD_EPOCH,
    WORD_BASE,
    WORD_ACKED = WORD_FIRST,
    WORD_STORE,
    WORD_OLDEST = WORD_BASE
};

/* Goes through the entries of one sector, or of all. */
struct tern_log_cursor {
    /* Small fields first: the nearer to the beginning, the shorter the code that reads them. */
    bool headed;  /* a mark or note of the sector has been passed, or need not be */
    bool goes_on; /* to the next sector, up to the newest */
    bool damaged; /* bytes were skipped since the flag was last cleared */
    bool burnt;   /* the last thing before the entry is a burnt unit, or that and schemas */
    union {
        uint32_t word[NOTE_WORDS]; /* of a mark or note */
        struct {
            uint32_t hash;
            uint32_t address; /* of its first byte */
            uint32_t size;
        } schema;
        struct {
            bool has_crc;
            uint16_t size;  /* bytes up to the last committed record; 0: nothing is committed */
            uint16_t whole; /* bytes up to the last record */
            uint32_t crc;   /* of the segment with records up to the wanted sequence, if there is one */
            uint32_t first;
            uint32_t next;      /* behind the last record */
            uint32_t committed; /* behind the last committed record */
        } chunk;
    } is;
    const struct tern_log *log;
    uint32_t sector;
    uint32_t at;      /* behind the entry that was found; at the end: where it is erased */
    uint32_t limit;   /* the sector's end, or the end of what has been written */
    uint32_t ceiling; /* segments that end above it do not count */
    uint32_t wanted;  /* the sequence behind a segment whose CRC is asked for */
    uint32_t entry;   /* address of the entry */
    uint32_t settled; /* what the sector's last note calls committed: up to there */
    uint32_t border;  /* a sequence where a commit ended, as far as the search has seen */
    uint32_t torn;    /* the last thing before `at` is such bytes, which begin here; 0: it is not */
};

/* log.c */
void tern_log_note_epoch(struct tern_log *log, uint32_t epoch, uint32_t base);
void tern_log_note_schema(struct tern_log *log, uint32_t hash);
void tern_log_give_up(struct tern_log *log);

/* log_scan.c */
uint32_t tern_log_align(const struct tern_log *log, uint32_t size);
uint32_t tern_log_after(const struct tern_log *log, uint32_t sector);
uint32_t tern_log_prefix(const struct tern_log *log);
int tern_log_load(const void *log, uint32_t address, void *data, uint32_t size);
uint32_t tern_log_used(const struct tern_log *log, uint32_t from, uint32_t limit);
void tern_log_look(struct tern_log_cursor *cursor, const struct tern_log *log);
void tern_log_enter(struct tern_log_cursor *cursor, uint32_t sector);
void tern_log_enter_head(struct tern_log_cursor *cursor, uint32_t sector);
uint8_t tern_log_scan(struct tern_log_cursor *cursor);
uint32_t tern_log_lost(struct tern_log_cursor *cursor, bool is_new);
bool tern_log_head(struct tern_log_cursor *cursor, uint32_t sector);

#endif
