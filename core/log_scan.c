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

/* Reads, twice if need be; what cannot be read counts as zeros, which no checksum passes and no erased flash shows. */
void tern_log_load(const struct tern_log *log, uint32_t address, void *data, uint32_t size)
{
    const struct tern_flash *flash = log->flash;
    if (flash->read(flash->context, address, data, size) != 0 && /* NOLINT(misc-redundant-expression) */
        flash->read(flash->context, address, data, size) != 0)
        memset(data, 0, (size_t)size);
}

/* The first unit from `from` on that is not erased, or `limit`. Where a unit cannot be read, one a little before it may be taken for
 * used. */
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

/* ---- Entries ------------------------------------------------------------------------------------------------------------- */

static int read_chunk(void *context, uint32_t offset, void *data, uint32_t size)
{
    const struct tern_log_cursor *cursor = context;
    tern_log_load(cursor->log, cursor->entry + offset, data, size);
    return TERN_OK;
}

/* A chunk that begins below what a note before it calls committed stands there again. What a power cut has left of such a copy holds
 * less than that, and counts as nothing. */
static uint8_t take_segments(struct tern_log_cursor *cursor, struct tern_walk *walk)
{
    struct tern_segment segment;
    uint32_t start = walk->offset;
    uint32_t committed = walk->first;
    cursor->is.chunk.first = cursor->is.chunk.next = cursor->is.chunk.committed = walk->first;
    cursor->is.chunk.size = cursor->is.chunk.crc_end = 0;
    while (tern_walk_next(walk, &segment) == TERN_OK) {
        if (segment.commit)
            committed = walk->sequence;
        if (walk->sequence > cursor->ceiling)
            continue;
        cursor->is.chunk.next = walk->sequence;
        cursor->is.chunk.whole = segment.end;
        if (segment.rows != 0 && walk->sequence <= cursor->wanted) {
            cursor->is.chunk.crc = segment.crc;
            cursor->is.chunk.crc_end = walk->sequence;
        }
        if (segment.commit) {
            cursor->is.chunk.committed = walk->sequence;
            cursor->is.chunk.size = segment.end;
        }
    }
    if (walk->offset == start || committed < cursor->settled)
        return ENTRY_END;
    cursor->at += walk->offset;
    return ENTRY_CHUNK;
}

static int begin_chunk(struct tern_log_cursor *cursor, struct tern_walk *walk, uint32_t at)
{
    struct tern_source source = {read_chunk, cursor};
    return tern_walk_begin(walk, source, cursor->limit - at);
}

static uint8_t scan_chunk(struct tern_log_cursor *cursor)
{
    struct tern_walk walk;
    if (begin_chunk(cursor, &walk, cursor->at) != TERN_OK || (walk.format & 7u) != cursor->log->unit_log2)
        return ENTRY_END;
    return take_segments(cursor, &walk);
}

/* A mark, note or schema: type, size, bytes, and their CRC. Not inline, so that its buffer does not lie beneath the walk through a chunk. */
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

/* The limit and everything that a search begins with. */
void tern_log_enter(struct tern_log_cursor *cursor, const struct tern_log *log, uint32_t sector)
{
    cursor->log = log;
    cursor->settled = 0;
    cursor->sector = cursor->at = sector;
    cursor->limit = sector == log->newest ? log->write : sector + log->flash->sector_size;
    cursor->burnt = cursor->dirty = false;
    cursor->headed = ENTRY_NOTE;
}

/* The same for the beginning of a sector, where its head stands. */
void tern_log_enter_head(struct tern_log_cursor *cursor, const struct tern_log *log, uint32_t sector)
{
    tern_log_enter(cursor, log, sector);
    cursor->ceiling = 0xFFFFFFFFu;
    cursor->wanted = 0;
    if (cursor->limit - sector > HEAD_WITHIN)
        cursor->limit = sector + HEAD_WITHIN;
}

/* Finds the next entry. Erased flash ends the sector only where nothing follows within the reach of anything that may have been begun
 * there; all else that is no entry is passed over unit by unit. */
uint8_t tern_log_scan(struct tern_log_cursor *cursor)
{
    const struct tern_log *log = cursor->log;
    for (;;) {
        uint32_t limit = cursor->limit - cursor->at < BLANK_MAX ? cursor->limit : cursor->at + BLANK_MAX;
        uint32_t used = tern_log_used(log, cursor->at, limit);
        if (used >= limit)
            return ENTRY_END;
        /* A writer that went round a torn program left this much untouched. */
        if (used - cursor->at >= log->reach)
            cursor->dirty = false;
        if (used != cursor->at) {
            cursor->damaged = true;
            cursor->burnt = false;
        }
        cursor->at = cursor->entry = used;
        uint8_t type;
        uint8_t kind = ENTRY_END;
        tern_log_load(log, used, &type, 1);
        if (type >> 4 == 1)
            kind = scan_chunk(cursor);
        else if (type != 0 && cursor->limit - used > ITEM_HEAD)
            kind = scan_item(cursor, type);
        if (kind != ENTRY_END) {
            cursor->dirty = false;
            return kind;
        }
        cursor->at += log->unit;
        cursor->burnt = type == 0;
        if (type != 0) {
            if (!cursor->dirty)
                cursor->torn = used;
            cursor->damaged = cursor->dirty = true;
        }
    }
}

/* The same through all sectors up to the newest. One that could not be erased when its turn came has an older generation than those before
 * it, and is passed over. A sector's generation is that of its first note: a later one may have that of a sector given up, and a mark alone
 * be that of one. */
uint8_t tern_log_next(struct tern_log_cursor *cursor)
{
    for (;;) {
        uint8_t kind = tern_log_scan(cursor);
        if (kind == ENTRY_END) {
            if (cursor->sector == cursor->log->newest)
                return ENTRY_END;
            tern_log_enter(cursor, cursor->log, tern_log_after(cursor->log, cursor->sector));
            cursor->headed = 0;
            continue;
        }
        /* What half-done erases left in a sector that was given up is no part of the log: neither mark nor note stands before it. */
        if (kind == ENTRY_CHUNK && cursor->headed == 0)
            continue;
        if (kind >= ENTRY_MARK && cursor->headed != ENTRY_NOTE) {
            if (cursor->is.word[WORD_GENERATION] < cursor->log->oldest_generation) {
                cursor->at = cursor->limit;
                continue;
            }
            cursor->headed = kind;
        }
        return kind;
    }
}

/* A segment's CRC goes on from the one stored before it. So a good one is known by itself, though the chunk's head, or a segment
 * before it, has been damaged: then these had been committed, and no power cut explains what is there. But one might that hit a chunk
 * which was programmed again as a whole, behind a note: that one begins with an older record. Returns how many records are missing at
 * least where the search ended; 0: nothing shows that any is. */
uint32_t tern_log_lost(struct tern_log_cursor *cursor, bool is_new)
{
    uint8_t before[CRC_SIZE + UNIT_MAX];
    uint32_t end = cursor->at;
    struct tern_walk walk;
    cursor->entry = cursor->torn;
    int status = begin_chunk(cursor, &walk, cursor->torn);
    if (!is_new && (status != TERN_OK || walk.first != cursor->log->pending))
        return 0;
    cursor->settled = 0;
    walk.offset = 0;
    walk.first = walk.sequence = 0;
    walk.format = cursor->log->unit_log2;
    for (cursor->at = cursor->torn; cursor->at < end; cursor->at += cursor->log->unit) {
        uint32_t left = end - cursor->at;
        cursor->entry = cursor->at;
        walk.limit = (uint16_t)(left < TERN_CHUNK_MAX ? left : TERN_CHUNK_MAX);
        for (uint8_t i = 0; i < cursor->log->unit; i++) {
            tern_log_load(cursor->log, cursor->at - CRC_SIZE - i, before, (uint32_t)CRC_SIZE + i);
            walk.crc = tern_crc32c(tern_load32(before), before + CRC_SIZE, i);
            /* Behind erased flash two zeros of a torn burn would be a segment of nothing, with an erased CRC. */
            if (tern_load32(before) != 0xFFFFFFFFu && take_segments(cursor, &walk) != ENTRY_END)
                return 1 + cursor->is.chunk.committed;
        }
    }
    return 0;
}

/* The first note of a sector, without which it holds no records. One with a generation below that of the sectors before it could not be
 * erased when its turn came, and holds none either. */
bool tern_log_head(struct tern_log_cursor *cursor, const struct tern_log *log, uint32_t sector)
{
    uint8_t kind;
    tern_log_enter_head(cursor, log, sector);
    do {
        kind = tern_log_scan(cursor);
    } while (kind == ENTRY_MARK);
    return kind == ENTRY_NOTE && cursor->is.word[WORD_GENERATION] >= log->oldest_generation;
}
