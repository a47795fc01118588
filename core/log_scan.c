/* SPDX-License-Identifier: MIT */
/* Reading sectors: their entries one by one, whatever has happened to the bytes between them. */
#include "log_scan.h"

#include "crc32c.h"

uint32_t tern_log_align(const struct tern_log *log, uint32_t size)
{
    return (size + log->unit - 1u) & ~(log->unit - 1u);
}

uint32_t tern_log_after(const struct tern_log *log, uint32_t sector)
{
    sector += log->flash->sector_size;
    return sector == log->ring ? 0 : sector;
}

/* Of every mark and note: version, lane and unit. What differs is not ours. */
uint32_t tern_log_prefix(const struct tern_log *log)
{
    return PREFIX_SIGN | 1u << 8 | (uint32_t)log->lane << 19 | (uint32_t)log->unit_log2 << 16;
}

/* Reads, twice if need be; what cannot be read counts as zeros, which no checksum passes and no erased flash
 * shows. */
int tern_log_load(const void *log, uint32_t address, void *data, uint32_t size)
{
    const struct tern_flash *flash = ((const struct tern_log *)log)->flash;
    if (flash->read(flash->context, address, data, size) != 0 && /* NOLINT(misc-redundant-expression) */
        flash->read(flash->context, address, data, size) != 0)
        memset(data, 0, (size_t)size);
    return TERN_OK;
}

/* The first unit from `from` on that is not erased, or `limit`. Where a unit cannot be read, one a little
 * before it may be taken for used. */
uint32_t tern_log_used(const struct tern_log *log, uint32_t from, uint32_t limit)
{
    uint8_t piece[PIECE];
    for (; from < limit; from += PIECE) {
        uint32_t size = limit - from < PIECE ? limit - from : PIECE;
        tern_log_load(log, from, piece, size);
        for (uint32_t i = 0; i < size; i++)
            if (piece[i] != 0xFF)
                return (from + i) & ~(log->unit - 1u);
    }
    return limit;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* A chunk that begins below what a note before it calls committed stands there again. What a power cut has
 * left of such a copy holds less than that, and counts as nothing. With `before` its head is lost, and
 * segments begin at once, where the CRC has come that far. */
static uint8_t scan_chunk(struct tern_log_cursor *cursor, const uint32_t *before)
{
    struct tern_walk walk;
    struct tern_segment segment;
    walk.source.read = tern_log_load;
    walk.source.context = cursor->log;
    walk.source.base = cursor->entry;
    int status = tern_walk_start(&walk, cursor->limit - cursor->at);
    uint8_t unit_log2 = cursor->log->unit_log2;
    if (before != NULL) {
        walk.format = unit_log2;
        walk.offset = 0;
        walk.sequence = 0;
        walk.crc = *before;
    } else if (status != TERN_OK || (walk.format & 7u) != unit_log2) {
        return ENTRY_END;
    }
    uint32_t start = walk.offset;
    cursor->is.chunk.first = cursor->is.chunk.next = cursor->is.chunk.committed = walk.sequence;
    cursor->is.chunk.size = 0;
    cursor->is.chunk.has_crc = false;
    while (tern_walk_next(&walk, &segment) == TERN_OK) {
        if (walk.sequence > cursor->ceiling)
            continue;
        cursor->is.chunk.next = walk.sequence;
        cursor->is.chunk.whole = segment.end;
        if (segment.rows != 0 && walk.sequence == cursor->wanted) {
            cursor->is.chunk.crc = segment.crc;
            cursor->is.chunk.has_crc = true;
        }
        if (segment.commit) {
            cursor->is.chunk.committed = walk.sequence;
            cursor->is.chunk.size = segment.end;
        }
    }
    if (walk.offset == start || walk.sequence < cursor->settled)
        return ENTRY_END;
    cursor->at += walk.offset;
    return ENTRY_CHUNK;
}

/* A mark, note or schema: type, size, bytes, and their CRC. Not inline, so that its buffer does not lie
 * beneath the walk through a chunk. */
__attribute__((noinline)) static uint8_t scan_item(struct tern_log_cursor *cursor, uint8_t type)
{
    uint8_t piece[PIECE];
    uint8_t stored[CRC_SIZE];
    tern_log_load(cursor->log, cursor->at, piece, ITEM_HEAD);
    struct tern_input input = {piece + 1, ITEM_HEAD - 1, false};
    uint32_t size = tern_read_varint(&input);
    uint32_t at = cursor->at + ITEM_HEAD - (uint32_t)input.size;
    uint32_t end = at + size;
    uint32_t crc = 0;
    /* Four bytes of erased flash are their own CRC; no item is so short. */
    if (size - ITEM_MIN > TERN_SCHEMA_MAX - ITEM_MIN || end + CRC_SIZE > cursor->limit)
        return ENTRY_END;
    for (uint32_t from = at, part; from < end; from += part) {
        part = end - from < PIECE ? end - from : PIECE;
        tern_log_load(cursor->log, from, piece, part);
        crc = tern_crc32c(crc, piece, (size_t)part);
    }
    tern_log_load(cursor->log, end, stored, CRC_SIZE);
    bool is_note = size == NOTE_BYTES && (type == ITEM_MARK || type == ITEM_NOTE);
    if (tern_load32(stored) != crc || (type != ITEM_SCHEMA && !is_note))
        return ENTRY_END;
    cursor->at = tern_log_align(cursor->log, end + CRC_SIZE);
    if (!is_note) {
        cursor->is.schema.hash = crc;
        cursor->is.schema.address = at;
        cursor->is.schema.size = size;
        return ENTRY_SCHEMA;
    }
    for (uint8_t i = 0; i < NOTE_WORDS; i++)
        cursor->is.word[i] = tern_load32(piece + 4 * i);
    if (type == ITEM_NOTE)
        cursor->settled = cursor->is.word[WORD_NEXT];
    uint32_t difference = cursor->is.word[WORD_PREFIX] ^ tern_log_prefix(cursor->log);
    return (difference & PREFIX_MASK) != 0 ? (uint8_t)ENTRY_FOREIGN : (uint8_t)(type + 1u);
}

/* At sectors one by one, and at all that they hold. */
void tern_log_look(struct tern_log_cursor *cursor, const struct tern_log *log)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->log = log;
    cursor->ceiling = 0xFFFFFFFFu;
}

void tern_log_enter(struct tern_log_cursor *cursor, uint32_t sector)
{
    const struct tern_log *log = cursor->log;
    cursor->headed = cursor->burnt = false;
    cursor->sector = cursor->at = sector;
    cursor->limit = sector == log->newest ? log->write : sector + log->flash->sector_size;
    cursor->settled = cursor->torn = 0;
}

/* The beginning of a sector, where its head stands. */
void tern_log_enter_head(struct tern_log_cursor *cursor, uint32_t sector)
{
    tern_log_enter(cursor, sector);
    if (cursor->limit - sector > HEAD_WITHIN)
        cursor->limit = sector + HEAD_WITHIN;
}

/* What half-done erases left in a sector that was given up is no part of the log: neither mark nor note
 * stands before it. Nor is a sector that could not be erased when its turn came: it has an older
 * generation. */
static bool is_left_over(struct tern_log_cursor *cursor, uint8_t kind)
{
    if (kind < ENTRY_MARK)
        return kind == ENTRY_CHUNK && !cursor->headed;
    cursor->headed = true;
    if (cursor->is.word[WORD_GENERATION] >= cursor->log->oldest_generation)
        return false;
    cursor->at = cursor->limit;
    return true;
}

/* Finds the next entry. Erased flash ends the sector only where nothing follows within the reach of anything
 * that may have been begun there; all else that is no entry is passed over unit by unit. */
uint8_t tern_log_scan(struct tern_log_cursor *cursor)
{
    const struct tern_log *log = cursor->log;
    for (;;) {
        uint32_t limit = cursor->limit - cursor->at < BLANK_MAX ? cursor->limit : cursor->at + BLANK_MAX;
        uint32_t used = tern_log_used(log, cursor->at, limit);
        if (used >= limit) {
            if (!cursor->goes_on || cursor->sector == log->newest)
                return ENTRY_END;
            tern_log_enter(cursor, tern_log_after(log, cursor->sector));
            continue;
        }
        /* A writer that went round a torn program left this much untouched. */
        if (used - cursor->at >= log->reach)
            cursor->torn = 0;
        if (used != cursor->at) {
            cursor->damaged = true;
            cursor->burnt = false;
        }
        cursor->at = cursor->entry = used;
        uint8_t type;
        uint8_t kind = ENTRY_END;
        tern_log_load(log, used, &type, 1);
        if (type >> 4 == 1)
            kind = scan_chunk(cursor, NULL);
        else if (type != 0 && cursor->limit - used > ITEM_HEAD)
            kind = scan_item(cursor, type);
        if (kind != ENTRY_END) {
            cursor->torn = 0;
            if (is_left_over(cursor, kind))
                continue;
            return kind;
        }
        cursor->at += log->unit;
        cursor->burnt = type == 0;
        if (type != 0) {
            if (cursor->torn == 0)
                cursor->torn = used;
            cursor->damaged = true;
        }
    }
}

/* A segment's CRC goes on from the one stored before it. So a good one is known by itself, though the chunk's
 * head, or a segment before it, has been damaged: then these had been committed, and no power cut explains
 * what is there. But one might that hit a chunk which was programmed again as a whole, behind a note: that
 * one begins with an older record. Returns how many records are missing at least where the search ended; 0:
 * nothing shows that any is. */
uint32_t tern_log_lost(struct tern_log_cursor *cursor, bool is_new)
{
    uint8_t before[CRC_SIZE + UNIT_MAX];
    uint32_t end = cursor->at;
    uint32_t at = cursor->torn;
    uint8_t unit = cursor->log->unit;
    cursor->settled = 0;
    cursor->is.chunk.first = 0;
    cursor->at = cursor->entry = at;
    (void)scan_chunk(cursor, NULL);
    if (!is_new && cursor->is.chunk.first != cursor->log->pending)
        return 0;
    for (; at < end; at += unit) {
        cursor->at = cursor->entry = at;
        for (uint8_t i = 0; i < unit; i++) {
            tern_log_load(cursor->log, at - CRC_SIZE - i, before, (uint32_t)CRC_SIZE + i);
            uint32_t crc = tern_crc32c(tern_load32(before), before + CRC_SIZE, i);
            /* Behind erased flash two zeros of a torn burn would be a segment of nothing, with an erased
             * CRC. */
            if (tern_load32(before) != 0xFFFFFFFFu && scan_chunk(cursor, &crc) != ENTRY_END)
                return 1 + cursor->is.chunk.committed;
        }
    }
    return 0;
}

/* The first note of a sector, without which it holds no records. */
bool tern_log_head(struct tern_log_cursor *cursor, uint32_t sector)
{
    uint8_t kind;
    tern_log_enter_head(cursor, sector);
    do {
        kind = tern_log_scan(cursor);
    } while (kind == ENTRY_MARK);
    return kind == ENTRY_NOTE;
}
