/* SPDX-License-Identifier: MIT */
/* Reading the log: chunks by sequence, and the schemas they name. */
#include "frame.h"
#include "log_scan.h"

/* The last sector that can hold the record. Everything behind the head that follows stands there or later. */
static uint32_t locate(const struct tern_log *log, uint32_t sequence)
{
    uint32_t first;
    uint32_t sector = log->oldest;
    while (sector != log->newest) {
        uint32_t later = tern_log_follower(log, sector, &first);
        if (first > sequence)
            break;
        sector = later;
    }
    return sector;
}

/* Records from the ceiling on stand in a later sector: what looks like them here is what a failed program left. */
static void enter(struct tern_log_cursor *cursor, const struct tern_log *log, uint32_t sector)
{
    tern_log_enter(cursor, log, sector);
    cursor->ceiling = log->pending;
    if (sector != log->newest)
        (void)tern_log_follower(log, sector, &cursor->ceiling);
}

static bool is_in_ring(const struct tern_log *log, uint32_t sector)
{
    uint32_t used = log->newest - log->oldest;
    uint32_t at = sector - log->oldest;
    if (log->newest < log->oldest)
        used += log->ring;
    if (sector < log->oldest)
        at += log->ring;
    return log->newest != TERN_NO_ADDRESS && at <= used;
}

bool tern_log_is_there(const struct tern_log *log, const struct tern_log_chunk *chunk)
{
    uint8_t head[1 + TERN_VARINT32_MAX];
    struct tern_input input = {head + 1, TERN_VARINT32_MAX, false};
    if (chunk->address >= log->ring || !is_in_ring(log, tern_log_sector(log, chunk->address)))
        return false;
    tern_log_load(log, chunk->address, head, sizeof(head));
    return head[0] >> 4 == 1 && tern_read_varint(&input) == chunk->first;
}

/* ---- Finding ------------------------------------------------------------------------------------------------------------- */

/* A search under way. */
struct search {
    struct tern_log_cursor cursor;
    uint32_t sequence;
    uint32_t hint;       /* address of the chunk found before */
    uint32_t settled;    /* records below are committed, from the hint on */
    uint32_t generation; /* of the last head passed */
    uint32_t end;        /* sequence behind the last record that waits */
    bool waits;          /* a chunk has been found, whose records wait for a later commit */
};

static void take(struct search *search, struct tern_log_chunk *chunk)
{
    const struct tern_log_cursor *cursor = &search->cursor;
    bool whole = search->waits || cursor->is.chunk.next <= search->settled;
    chunk->address = cursor->entry;
    chunk->first = cursor->is.chunk.first;
    chunk->next = whole ? cursor->is.chunk.next : cursor->is.chunk.committed;
    chunk->size = whole ? cursor->is.chunk.whole : cursor->is.chunk.size;
    chunk->reason = cursor->damaged ? TERN_GAP_DAMAGED : TERN_GAP_REFUSED;
}

/* One chunk of the log, in order. Returns whether `chunk` is the answer. */
static bool consider(struct search *search, struct tern_log_chunk *chunk)
{
    struct tern_log_cursor *cursor = &search->cursor;
    uint32_t next = cursor->is.chunk.next;
    bool commits = cursor->is.chunk.size != 0;
    if (search->waits && cursor->is.chunk.first == search->end) {
        search->end = next;
        if (commits)
            search->settled = cursor->is.chunk.committed;
        return commits;
    }
    /* A chunk that begins elsewhere makes void what waits: it was aborted, or what would have committed it is lost. */
    if (search->waits && cursor->is.chunk.first > search->end)
        cursor->damaged = true;
    search->waits = false;
    search->end = next;
    bool bare = commits && next == cursor->is.chunk.first && next == search->sequence &&
                cursor->entry != search->hint;
    if (next > search->sequence || bare) {
        bool has = cursor->is.chunk.committed > search->sequence &&
                   cursor->is.chunk.committed > cursor->is.chunk.first;
        search->waits = !has && !bare && next > search->settled;
        take(search, chunk);
        return !search->waits;
    }
    cursor->damaged = false;
    return false;
}

/* Goes on to the next sector, past those with an older head: they are left over, and would make void what waits. */
static bool advance(struct search *search)
{
    struct tern_log_cursor *cursor = &search->cursor;
    struct tern_log_note head;
    bool headed = tern_log_load_head(cursor->log, cursor->sector, &head);
    uint32_t sector = cursor->sector;
    if (sector == cursor->log->newest)
        return false;
    if (headed)
        search->generation = head.generation;
    do {
        sector = tern_log_after(cursor->log, sector);
        headed = tern_log_load_head(cursor->log, sector, &head);
    } while (headed && head.generation < search->generation && sector != cursor->log->newest);
    enter(cursor, cursor->log, sector);
    if (!headed)
        cursor->damaged = true;
    return true;
}

static int run(struct search *search, struct tern_log_chunk *chunk)
{
    struct tern_log_cursor *cursor = &search->cursor;
    for (;;) {
        uint8_t kind = tern_log_scan(cursor);
        if (kind == ENTRY_END && !advance(search))
            return TERN_AGAIN;
        if (kind == ENTRY_NOTE && cursor->is.note.next >= cursor->is.note.first)
            search->waits = false;
        if (kind == ENTRY_CHUNK && consider(search, chunk))
            return TERN_OK;
    }
}

static int find(const struct tern_log *log, struct search *search, struct tern_log_chunk *chunk)
{
    struct tern_log_note head;
    bool hinted =
        search->hint != TERN_NO_ADDRESS && chunk->first <= search->sequence && tern_log_is_there(log, chunk);
    if (log->newest == TERN_NO_ADDRESS)
        return TERN_AGAIN;
    search->waits = false;
    search->generation = 0;
    search->cursor.damaged = false;
    if (hinted) {
        enter(&search->cursor, log, tern_log_sector(log, search->hint));
        search->cursor.at = search->hint;
    } else {
        search->settled = 0;
        enter(&search->cursor, log, locate(log, search->sequence));
    }
    int status = run(search, chunk);
    if (status == TERN_OK && chunk->reason == TERN_GAP_REFUSED && !hinted &&
        chunk->first > search->sequence && tern_log_load_head(log, log->oldest, &head) &&
        head.first > search->sequence)
        chunk->reason = TERN_GAP_OVERFLOW;
    return status;
}

/* `any`: what still waits at the log's end, for a commit that is to come, is an answer too. */
static int find_chunk(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk, bool any)
{
    struct search search;
    search.sequence = sequence;
    search.hint = chunk->address;
    search.settled = chunk->address == log->settled_at ? log->settled : 0;
    int status = find(log, &search, chunk);
    if (status == TERN_OK) {
        log->settled_at = chunk->address;
        log->settled = search.settled;
    }
    return any && status == TERN_AGAIN && search.waits && sequence < log->pending ? TERN_OK : status;
}

int tern_log_find(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk)
{
    return find_chunk(log, sequence, chunk, false);
}

int tern_log_find_any(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk)
{
    return find_chunk(log, sequence, chunk, true);
}

int tern_log_read(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t offset, void *data,
                  uint32_t size)
{
    if (!tern_log_is_there(log, chunk))
        return TERN_E_CORRUPT;
    return log->flash->read(log->flash->context, chunk->address + offset, data, size) == 0 ? TERN_OK
                                                                                           : TERN_E_FLASH;
}

int tern_log_segment_crc(const struct tern_log *log, uint32_t sequence, uint32_t *crc)
{
    struct tern_log_chunk chunk;
    struct search search;
    search.sequence = sequence - 1;
    search.hint = TERN_NO_ADDRESS;
    int status = find(log, &search, &chunk);
    /* A commit without a record stands in front of the record whose number it shares. */
    while (status == TERN_OK && chunk.next == chunk.first) {
        search.hint = chunk.address;
        status = find(log, &search, &chunk);
    }
    if (status != TERN_OK)
        return status;
    return tern_log_crc_at(log, &chunk, sequence, crc);
}

uint32_t tern_log_oldest(const struct tern_log *log)
{
    struct tern_log_chunk chunk;
    struct search search;
    search.sequence = 0;
    search.hint = TERN_NO_ADDRESS;
    return find(log, &search, &chunk) == TERN_OK ? chunk.first : log->next;
}

int tern_log_find_schema(const struct tern_log *log, uint32_t hash, uint32_t *address, uint32_t *size)
{
    struct tern_log_cursor cursor;
    uint32_t sector = log->newest;
    if (sector == TERN_NO_ADDRESS)
        return TERN_AGAIN;
    while (!tern_log_schema_in(log, sector, hash, &cursor)) {
        if (sector == log->oldest)
            return TERN_AGAIN;
        sector = (sector == 0 ? log->ring : sector) - log->flash->sector_size;
    }
    *address = cursor.is.schema.address;
    *size = cursor.is.schema.size;
    return TERN_OK;
}
