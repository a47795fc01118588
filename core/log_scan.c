/* SPDX-License-Identifier: MIT */
/* Reading a sector: its head, and its entries one by one, whatever has happened to the bytes between them. */
#include "log_scan.h"

#include "crc32c.h"

#define PIECE 32u

uint32_t tern_log_align(const struct tern_log *log, uint32_t size)
{
    uint32_t mask = ((uint32_t)1 << log->unit_log2) - 1;
    return (size + mask) & ~mask;
}

uint32_t tern_log_entries(const struct tern_log *log)
{
    return tern_log_align(log, MARK_SIZE) + tern_log_align(log, ACK_SIZE);
}

uint32_t tern_log_after(const struct tern_log *log, uint32_t sector)
{
    uint32_t after = sector + log->flash->sector_size;
    return after == log->ring ? 0 : after;
}

/* The sector that holds an address: by subtraction from a known one, since division is dear. */
uint32_t tern_log_sector(const struct tern_log *log, uint32_t address)
{
    uint32_t sector = 0;
    while (address - sector >= log->flash->sector_size)
        sector += log->flash->sector_size;
    return sector;
}

/* Reads; a unit that cannot be read counts as zeros, which no checksum passes and no erased flash shows. */
void tern_log_load(const struct tern_log *log, uint32_t address, uint8_t *data, uint32_t size)
{
    const struct tern_flash *flash = log->flash;
    uint32_t unit = (uint32_t)1 << log->unit_log2;
    if (flash->read(flash->context, address, data, size) == 0)
        return;
    while (size != 0) {
        uint32_t part = unit - (address & (unit - 1));
        if (part > size)
            part = size;
        if (flash->read(flash->context, address, data, part) != 0)
            memset(data, 0, (size_t)part);
        address += part;
        data += part;
        size -= part;
    }
}

void tern_log_prefix(const struct tern_log *log, uint8_t prefix[PREFIX_SIZE])
{
    memcpy(prefix, "tern\1", 5);
    prefix[5] = log->lane;
    prefix[6] = log->unit_log2;
    prefix[7] = 0;
}

/* The checksum of everything that describes a sector covers the mark's prefix too, so that each item is ours by itself. */
uint32_t tern_log_seal(const struct tern_log *log, const uint8_t *data, size_t size)
{
    uint8_t prefix[PREFIX_SIZE];
    tern_log_prefix(log, prefix);
    return tern_crc32c(tern_crc32c(0, prefix, PREFIX_SIZE), data, size);
}

/* The first unit from `from` on that is not erased, or `limit`. */
uint32_t tern_log_used(const struct tern_log *log, uint32_t from, uint32_t limit)
{
    uint8_t piece[PIECE];
    while (from < limit) {
        uint32_t size = limit - from < PIECE ? limit - from : PIECE;
        tern_log_load(log, from, piece, size);
        for (uint32_t i = 0; i < size; i++)
            if (piece[i] != 0xFF)
                return (from + i) & ~(((uint32_t)1 << log->unit_log2) - 1);
        from += size;
    }
    return limit;
}

/* ---- Notes --------------------------------------------------------------------------------------------------------------- */

static bool load_note(const struct tern_log *log, uint32_t address, struct tern_log_note *note)
{
    uint8_t raw[NOTE_SIZE];
    tern_log_load(log, address, raw, NOTE_SIZE);
    if ((raw[0] & 0xF8u) != NOTE_TYPE ||
        tern_log_seal(log, raw, NOTE_SEALED) != tern_load32(raw + NOTE_SEALED))
        return false;
    note->reach_log2 = (uint8_t)((raw[0] & 7u) + REACH_LOG2);
    note->generation = tern_load32(raw + 1);
    note->first = tern_load32(raw + 5);
    note->next = tern_load32(raw + 9);
    note->epoch.epoch = tern_load32(raw + 13);
    note->epoch.base = tern_load32(raw + 17);
    return true;
}

/* Whether something was programmed behind what ends at `address`, and not by a later start: only then is it known that the program of
 * what stands before came to its end. What a power cut ended may read well now and not later. */
bool tern_log_is_proven(const struct tern_log *log, uint32_t address)
{
    uint8_t byte = 0;
    if (address != log->ring)
        tern_log_load(log, address, &byte, 1);
    return byte != 0xFF && byte != 0;
}

/* The head is the first note. In front of it is what starts left that ended while they programmed one. */
bool tern_log_load_head(const struct tern_log *log, uint32_t sector, struct tern_log_note *note)
{
    uint32_t at = sector + tern_log_entries(log);
    uint32_t limit = at + HEAD_WITHIN;
    if (limit > sector + log->flash->sector_size)
        limit = sector + log->flash->sector_size;
    for (limit -= NOTE_SIZE; (at = tern_log_used(log, at, limit)) < limit;
         at += (uint32_t)1 << log->unit_log2)
        if (load_note(log, at, note))
            return true;
    return false;
}

/* The next sector with a head, up to the newest, and the first sequence that can be in it. A sector that could not be erased when its
 * turn came has an older head than the one before it, and does not count. */
uint32_t tern_log_follower(const struct tern_log *log, uint32_t sector, uint32_t *first)
{
    struct tern_log_note head;
    uint32_t generation = tern_log_load_head(log, sector, &head) ? head.generation : 0;
    do {
        sector = tern_log_after(log, sector);
        head.first = log->next;
        head.generation = 0;
    } while (sector != log->newest &&
             !(tern_log_load_head(log, sector, &head) && head.generation > generation));
    if (sector == log->newest)
        (void)tern_log_load_head(log, sector, &head);
    *first = head.first;
    return sector;
}

/* Sets `store` when the sector's acknowledgement is marked. */
bool tern_log_load_ack(const struct tern_log *log, uint32_t sector, uint64_t *store)
{
    uint8_t raw[ACK_SIZE];
    tern_log_load(log, sector + tern_log_align(log, MARK_SIZE), raw, ACK_SIZE);
    if (tern_log_seal(log, raw, ACK_SEALED) != tern_load32(raw + ACK_SEALED))
        return false;
    *store = tern_load64(raw);
    return true;
}

/* The same place may hold an epoch instead, told apart by its seal being turned over. */
bool tern_log_load_spare_epoch(const struct tern_log *log, uint32_t sector, struct tern_epoch *epoch)
{
    uint8_t raw[ACK_SIZE];
    tern_log_load(log, sector + tern_log_align(log, MARK_SIZE), raw, ACK_SIZE);
    epoch->epoch = tern_load32(raw);
    epoch->base = tern_load32(raw + 4);
    return tern_log_seal(log, raw, ACK_SEALED) == ~tern_load32(raw + ACK_SEALED) && epoch->epoch != 0;
}

/* ---- Entries ------------------------------------------------------------------------------------------------------------- */

/* Where a chunk's bytes are. */
struct view {
    const struct tern_log *log;
    uint32_t address;
};

static int read_view(void *context, uint32_t offset, void *data, uint32_t size)
{
    const struct view *view = context;
    tern_log_load(view->log, view->address + offset, data, size);
    return TERN_OK;
}

static bool scan_chunk(struct tern_log_cursor *cursor)
{
    struct view view = {cursor->log, cursor->at};
    struct tern_source source = {read_view, &view};
    struct tern_walk walk;
    struct tern_segment segment;
    if (tern_walk_begin(&walk, source, cursor->limit - cursor->at) != TERN_OK ||
        (walk.format & 7u) != cursor->log->unit_log2)
        return false;
    uint32_t end = 0;
    cursor->is.chunk.first = cursor->is.chunk.next = cursor->is.chunk.committed = walk.first;
    cursor->is.chunk.size = 0;
    while (tern_walk_next(&walk, &segment) == TERN_OK) {
        end = segment.end;
        if (walk.sequence > cursor->ceiling)
            continue;
        cursor->is.chunk.next = walk.sequence;
        cursor->is.chunk.whole = end;
        if (segment.commit) {
            cursor->is.chunk.committed = walk.sequence;
            cursor->is.chunk.size = end;
        }
    }
    cursor->at += end;
    return end != 0;
}

/* The CRC of the chunk's segment with records that ends before `sequence`. */
int tern_log_crc_at(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t sequence,
                    uint32_t *crc)
{
    struct view view = {log, chunk->address};
    struct tern_source source = {read_view, &view};
    struct tern_walk walk;
    struct tern_segment segment;
    int status = tern_walk_begin(&walk, source, chunk->size);
    while (status == TERN_OK && (status = tern_walk_next(&walk, &segment)) == TERN_OK)
        if (walk.sequence == sequence && segment.rows != 0) {
            *crc = segment.crc;
            return TERN_OK;
        }
    return TERN_AGAIN;
}

static bool scan_schema(struct tern_log_cursor *cursor)
{
    uint8_t piece[PIECE];
    tern_log_load(cursor->log, cursor->at, piece, SCHEMA_HEAD);
    struct tern_input input = {piece + 1, SCHEMA_HEAD - 1, false};
    uint32_t size = tern_read_varint(&input);
    uint32_t at = cursor->at + SCHEMA_HEAD - (uint32_t)input.size;
    if (input.failed || size == 0 || size > TERN_SCHEMA_MAX || at + size + HASH_SIZE > cursor->limit)
        return false;
    uint32_t hash = 0;
    cursor->is.schema.address = at;
    cursor->is.schema.size = size;
    while (size != 0) {
        uint32_t part = size < PIECE ? size : PIECE;
        tern_log_load(cursor->log, at, piece, part);
        hash = tern_crc32c(hash, piece, (size_t)part);
        at += part;
        size -= part;
    }
    tern_log_load(cursor->log, at, piece, HASH_SIZE);
    cursor->is.schema.hash = hash;
    if (tern_load32(piece) != hash)
        return false;
    cursor->at = tern_log_align(cursor->log, at + HASH_SIZE);
    return true;
}

static uint8_t scan_entry(struct tern_log_cursor *cursor, uint8_t type)
{
    if (cursor->limit - cursor->at < ENTRY_SIZE_MIN)
        return ENTRY_END;
    if (type >> 4 == 1)
        return scan_chunk(cursor) ? ENTRY_CHUNK : ENTRY_END;
    if (type == SCHEMA_TYPE)
        return scan_schema(cursor) ? ENTRY_SCHEMA : ENTRY_END;
    if (cursor->limit - cursor->at < NOTE_SIZE || !load_note(cursor->log, cursor->at, &cursor->is.note))
        return ENTRY_END;
    cursor->at += tern_log_align(cursor->log, NOTE_SIZE);
    return ENTRY_NOTE;
}

void tern_log_enter(struct tern_log_cursor *cursor, const struct tern_log *log, uint32_t sector)
{
    cursor->log = log;
    cursor->sector = sector;
    cursor->at = sector + tern_log_entries(log);
    cursor->limit = sector == log->newest ? log->write : sector + log->flash->sector_size;
    cursor->ceiling = 0xFFFFFFFFu;
    cursor->dirty = false;
}

/* Finds the next entry. Erased flash ends the sector only where nothing follows within the reach of anything that may have been begun
 * there; all else that is no entry is passed over unit by unit. */
uint8_t tern_log_scan(struct tern_log_cursor *cursor)
{
    const struct tern_log *log = cursor->log;
    for (;;) {
        uint32_t limit = cursor->at + TERN_CHUNK_MAX + BLANK_SLACK;
        if (limit > cursor->limit)
            limit = cursor->limit;
        uint32_t used = tern_log_used(log, cursor->at, limit);
        if (used >= limit)
            return ENTRY_END;
        if (used != cursor->at)
            cursor->damaged = true;
        /* A writer that went round a torn program left this much untouched. */
        if (used - cursor->at >= ((uint32_t)1 << log->reach_log2))
            cursor->dirty = false;
        cursor->at = cursor->entry = used;
        uint8_t type;
        tern_log_load(log, used, &type, 1);
        uint8_t kind = type == 0 ? (uint8_t)ENTRY_END : scan_entry(cursor, type);
        if (kind != ENTRY_END) {
            cursor->dirty = false;
            return kind;
        }
        if (type != 0)
            cursor->damaged = cursor->dirty = true;
        cursor->at += (uint32_t)1 << log->unit_log2;
    }
}

/* Finds a schema in a sector. */
bool tern_log_schema_in(const struct tern_log *log, uint32_t sector, uint32_t hash,
                        struct tern_log_cursor *cursor)
{
    tern_log_enter(cursor, log, sector);
    uint8_t kind;
    while ((kind = tern_log_scan(cursor)) != ENTRY_END)
        if (kind == ENTRY_SCHEMA && cursor->is.schema.hash == hash)
            return true;
    return false;
}
