/* SPDX-License-Identifier: MIT */
/* Reading the log: chunks by sequence, and the schemas they name. */
#include "frame.h"
#include "log_scan.h"

/* Begins a search in the last sector that can hold the record. Everything behind a head's first stands in its
 * sector or later. */
static void begin(struct tern_log *log, struct tern_log_cursor *cursor, uint32_t sequence)
{
    uint32_t start = log->oldest;
    for (uint32_t sector = start; sector != log->newest;) {
        sector = tern_log_after(log, sector);
        if (!tern_log_head(cursor, sector))
            continue;
        if (cursor->is.word[WORD_FIRST] > sequence)
            break;
        start = sector;
    }
    log->settled = 0;
    tern_log_enter(cursor, start);
}

/* How far the records of the chunk at the cursor count, and what is known of those behind it in log->settled.
 * What is programmed later decides: a chunk or note that begins below the chunk's end makes what overlaps
 * void, and what waits for a commit with it; and so does a hole before that commit. */
static uint32_t settle(struct tern_log *log, struct tern_log_cursor *cursor, bool *damaged)
{
    uint32_t end = cursor->is.chunk.next;
    uint32_t good = cursor->is.chunk.committed;
    uint32_t until = end;
    for (;;) {
        uint8_t kind = tern_log_scan(cursor);
        if (kind == ENTRY_END) /* what is behind the newest commit waits for one that is to come */
            return end > log->next ? end : good;
        if (kind != ENTRY_CHUNK && kind != ENTRY_NOTE)
            continue;
        uint32_t first = kind == ENTRY_NOTE ? cursor->is.word[WORD_FIRST] : cursor->is.chunk.first;
        if (first < end)
            return first < good ? first : good;
        if (good == end)
            return good;
        if (first > until) {
            *damaged = true;
            return good;
        }
        if (kind == ENTRY_NOTE)
            continue;
        until = cursor->is.chunk.next;
        if (cursor->is.chunk.size != 0) {
            log->settled = cursor->is.chunk.committed;
            return end;
        }
    }
}

/* Looks at what follows the chunk found, and comes back to what counts of it. */
static void review(struct tern_log *log, struct tern_log_cursor *cursor)
{
    uint32_t sector = cursor->sector;
    uint32_t entry = cursor->entry;
    uint32_t ceiling = cursor->ceiling;
    bool damaged = cursor->damaged;
    uint32_t good = settle(log, cursor, &damaged);
    tern_log_enter(cursor, sector);
    cursor->headed = true;
    cursor->at = entry;
    cursor->ceiling = good;
    (void)tern_log_scan(cursor);
    cursor->ceiling = ceiling;
    cursor->damaged = damaged;
}

/* Finds the chunk that holds the record, or the first one behind it: from the chunk found last on, if that is
 * the hint, or anywhere. */
static int seek(struct tern_log *log, struct tern_log_cursor *cursor, uint32_t sequence, uint32_t hint)
{
    uint8_t kind;
    if (hint != TERN_NO_ADDRESS) {
        tern_log_enter(cursor, log->found_sector);
        cursor->headed = true;
        cursor->at = hint;
    } else {
        begin(log, cursor, sequence);
    }
    cursor->goes_on = true;
    while ((kind = tern_log_scan(cursor)) != ENTRY_END) {
        if (kind == ENTRY_NOTE) {
            cursor->border = cursor->is.word[WORD_NEXT];
            /* A record that was there by then is lost. Else what is damaged before, and would be of it, was
             * void. */
            cursor->damaged = cursor->is.word[WORD_FIRST] > sequence;
        } else if (cursor->burnt && kind == ENTRY_CHUNK) {
            /* The first chunk after a start: what had waited for a commit was void by then. */
            cursor->border = cursor->is.chunk.first;
        }
        if (kind != ENTRY_SCHEMA)
            cursor->burnt = false;
        if (kind != ENTRY_CHUNK)
            continue;
        if (cursor->is.chunk.next <= sequence) {
            cursor->damaged = false;
        } else {
            if (cursor->is.chunk.next > log->settled)
                review(log, cursor);
            if (cursor->is.chunk.next > sequence && cursor->is.chunk.next != cursor->is.chunk.first)
                return TERN_OK;
        }
        /* A commit alone. It may have had records behind it that are void. */
        if (cursor->wanted == 0 && cursor->is.chunk.first == sequence && cursor->is.chunk.size != 0 &&
            cursor->entry != hint)
            return TERN_OK;
    }
    return TERN_AGAIN;
}

bool tern_log_is_there(const struct tern_log *log, const struct tern_log_chunk *chunk)
{
    return chunk->address != TERN_NO_ADDRESS && chunk->address == log->found;
}

static int find(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk, uint32_t ceiling)
{
    struct tern_log_cursor cursor;
    tern_log_look(&cursor, log);
    cursor.ceiling = ceiling;
    bool goes_on = tern_log_is_there(log, chunk) && chunk->first <= sequence;
    int status = seek(log, &cursor, sequence, goes_on ? log->found : TERN_NO_ADDRESS);
    chunk->reason = sequence < log->floor ? TERN_GAP_OVERFLOW
                    : cursor.damaged      ? TERN_GAP_DAMAGED
                                          : TERN_GAP_REFUSED;
    if (status != TERN_OK)
        return status;
    chunk->address = log->found = cursor.entry;
    log->found_sector = cursor.sector;
    chunk->first = cursor.is.chunk.first;
    chunk->next = cursor.is.chunk.next;
    chunk->size = cursor.is.chunk.whole;
    /* A sector that took the open chunk over does not say where the commit before that chunk ended. */
    if (chunk->reason != TERN_GAP_REFUSED && cursor.border != chunk->first)
        chunk->reason |= TERN_GAP_LEADS;
    return TERN_OK;
}

int tern_log_find(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk)
{
    return find(log, sequence, chunk, log->next);
}

int tern_log_find_any(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk)
{
    return find(log, sequence, chunk, log->pending);
}

int tern_log_read(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t offset, void *data,
                  uint32_t size)
{
    if (!tern_log_is_there(log, chunk))
        return TERN_E_CORRUPT;
    return log->flash->read(log->flash->context, chunk->address + offset, data, size) == 0 ? TERN_OK
                                                                                           : TERN_E_FLASH;
}

int tern_log_segment_crc(struct tern_log *log, uint32_t sequence, uint32_t *crc)
{
    struct tern_log_cursor cursor;
    tern_log_look(&cursor, log);
    cursor.ceiling = log->next;
    cursor.wanted = sequence;
    int status = seek(log, &cursor, sequence - 1, TERN_NO_ADDRESS);
    log->settled = 0; /* this search is not remembered */
    if (status != TERN_OK || cursor.is.chunk.first >= sequence)
        return sequence <= log->next ? TERN_E_CORRUPT : TERN_AGAIN;
    if (!cursor.is.chunk.has_crc)
        return TERN_AGAIN;
    *crc = cursor.is.chunk.crc;
    return TERN_OK;
}

uint32_t tern_log_oldest(struct tern_log *log)
{
    struct tern_log_cursor cursor;
    tern_log_look(&cursor, log);
    cursor.ceiling = log->next;
    int status = seek(log, &cursor, 0, TERN_NO_ADDRESS);
    return status == TERN_OK ? cursor.is.chunk.first : log->next;
}

bool tern_log_names(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t hash)
{
    uint8_t bytes[CRC_SIZE];
    uint16_t size = (uint16_t)chunk->size;
    for (uint16_t at = 0; at + CRC_SIZE <= size; at++) {
        tern_log_load(log, chunk->address + at, bytes, CRC_SIZE);
        if (tern_load32(bytes) == hash)
            return true;
    }
    return false;
}

int tern_log_find_schema(const struct tern_log *log, uint32_t hash, uint32_t *address, uint32_t *size)
{
    struct tern_log_cursor cursor;
    uint32_t sector = log->found == TERN_NO_ADDRESS ? log->newest : log->found_sector;
    uint8_t kind;
    tern_log_look(&cursor, log);
    cursor.goes_on = true;
    for (;; sector = log->oldest) {
        tern_log_enter(&cursor, sector);
        while ((kind = tern_log_scan(&cursor)) != ENTRY_END)
            if (kind == ENTRY_SCHEMA && cursor.is.schema.hash == hash) {
                *address = cursor.is.schema.address;
                *size = cursor.is.schema.size;
                return TERN_OK;
            }
        if (sector == log->oldest)
            return TERN_AGAIN;
    }
}
