/* SPDX-License-Identifier: MIT */
/* Finding out what a flash holds. Programs nothing, and comes to the same result however often it is done. */
#include "log_scan.h"

#define SECTOR_SIZE_MIN 128u
#define SECTOR_SIZE_MAX 262144u

/* Whether all addresses fit into 32 bits, with sectors counted in 256 bytes. */
static bool ring_fits(const struct tern_flash *flash)
{
    return flash->sector_count < (uint32_t)1 << 21 &&
           ((flash->sector_size + 255) >> 8) * flash->sector_count < (uint32_t)1 << 24;
}

static int check_geometry(struct tern_log *log)
{
    const struct tern_flash *flash = log->flash;
    log->unit = flash->program_unit == 0 ? 1 : flash->program_unit;
    while ((uint32_t)1 << log->unit_log2 < log->unit)
        log->unit_log2++;
    if (log->unit > UNIT_MAX || (uint32_t)1 << log->unit_log2 != log->unit)
        return TERN_E_GEOMETRY;
    /* An epoch should find its place even when the whole ring is full, so chunks keep out of a sector's last
     * bytes. */
    log->note = (uint8_t)tern_log_align(log, NOTE_SIZE);
    if (flash->sector_size >= SECTOR_SMALL)
        log->kept = flash->sector_size >= SECTOR_ROOMY ? (uint8_t)(4u * log->note) : log->note;
    log->minimum = 2u * log->note + 2u * log->unit + CHUNK_SMALL;
    if (log->minimum < SECTOR_SIZE_MIN)
        log->minimum = SECTOR_SIZE_MIN;
    log->ring = flash->sector_size * flash->sector_count;
    if (flash->sector_size < log->minimum || flash->sector_size > SECTOR_SIZE_MAX ||
        (flash->sector_size & (log->unit - 1u)) != 0 || flash->sector_count < 2 || !ring_fits(flash))
        return TERN_E_GEOMETRY;
    return TERN_OK;
}

/* A marked sector without a head was erased for a turn that is still to come. What was begun in it by starts
 * that ended there was a head each time. */
static void take_ready(struct tern_log *log, const struct tern_log_cursor *cursor)
{
    if (cursor->limit - cursor->at >= 6 * UNIT_MAX)
        log->ready_at = cursor->at + (cursor->torn != 0 ? UNIT_MAX : 0);
}

/* What a sector's head says. One that has lost it and holds a commit all the same counts by its mark. */
static int review(struct tern_log *log, struct tern_log_cursor *cursor, uint32_t sector, uint32_t *newest)
{
    uint32_t generation = 0;
    tern_log_enter_head(cursor, sector);
    uint8_t kind = tern_log_scan(cursor);
    if (kind == ENTRY_FOREIGN)
        return TERN_E_FORMAT;
    if (kind == ENTRY_MARK) {
        generation = cursor->is.word[WORD_GENERATION];
        if (generation > log->generation) {
            log->acked = cursor->is.word[WORD_ACKED];
            log->store = (uint64_t)cursor->is.word[WORD_STORE + 1] << 32 | cursor->is.word[WORD_STORE];
            log->generation = generation;
            log->ahead = sector;
            log->ready_at = 0;
            log->oldest_generation = cursor->is.word[WORD_OLDEST];
        }
        kind = tern_log_scan(cursor);
        if (kind == ENTRY_END && generation == log->generation)
            take_ready(log, cursor);
        while (kind == ENTRY_SCHEMA)
            kind = tern_log_scan(cursor);
    }
    if (kind == ENTRY_NOTE) {
        generation = cursor->is.word[WORD_GENERATION];
        tern_log_note_epoch(log, cursor->is.word[WORD_EPOCH], cursor->is.word[WORD_BASE]);
    } else if (kind != ENTRY_CHUNK || cursor->is.chunk.size == 0) {
        return TERN_OK;
    }
    if (generation > *newest) {
        *newest = generation;
        log->newest = sector;
    }
    return TERN_OK;
}

/* The oldest sector is the first one with a head behind the newest in the ring, or the last one in which the
 * count begins again. The newest mark says which generation was the oldest then: what is older could not be
 * erased, and stands in between, where its turn came earlier. A head alone is one that failed, when the ring
 * had gone further than the newest: its sector was given up. */
static int review_all(struct tern_log *log, struct tern_log_cursor *cursor)
{
    uint32_t newest = 0;
    bool found = false;
    for (uint32_t sector = 0; sector != log->ring; sector += log->flash->sector_size)
        if (review(log, cursor, sector, &newest) != TERN_OK)
            return TERN_E_FORMAT;
    log->oldest = log->newest;
    log->write = log->newest;
    if (log->newest == TERN_NO_ADDRESS)
        return TERN_OK;
    log->write += log->flash->sector_size;
    if (newest >= log->generation) {
        log->generation = newest;
        log->ahead = log->newest;
        log->ready_at = 0;
    }
    uint32_t sector = log->newest;
    do {
        sector = tern_log_after(log, sector);
        if (found && sector == log->ahead) { /* what is written there would come before the newest */
            tern_log_give_up(log);
            log->ahead = log->newest;
        }
        if (!tern_log_head(cursor, sector))
            continue;
        uint32_t generation = cursor->is.word[WORD_GENERATION];
        uint32_t first = cursor->is.word[WORD_FIRST];
        cursor->limit = sector + log->flash->sector_size;
        if (sector != log->newest && tern_log_scan(cursor) == ENTRY_END)
            continue;
        if (!found || first == 1) {
            log->oldest = sector;
            log->oldest_generation = generation;
            log->floor = first;
            found = true;
        }
    } while (sector != log->newest);
    return TERN_OK;
}

/* Where to go on behind a torn program. It touched no more than the reach, or than a note near the end, where
 * only notes stand or reach to. A copy of a note that may not last would stand too far from it: the sector
 * then takes nothing more. But where no schema stands yet no chunk was begun, and what is torn behind the
 * head is a copy of it, or a piece of a schema. */
static uint32_t round_damage(const struct tern_log *log, uint32_t at, uint8_t notes, uint32_t schema)
{
    uint32_t border = log->write - log->kept;
    if (notes == 0 ? at + UNIT_MAX > border : schema == 0 && at - log->newest <= HEAD_WITHIN - 3u * UNIT_MAX)
        return at + UNIT_MAX;
    if (notes != 0)
        return log->write;
    return border - at < log->reach ? border : at + log->reach;
}

/* Reads the newest sector to its end. What stands last there may not last: a note is repeated, a schema is
 * not relied on. */
static void read_newest(struct tern_log *log, struct tern_log_cursor *cursor)
{
    uint8_t notes = 0; /* at the end */
    uint8_t kind = ENTRY_END;
    uint8_t before; /* the kind of the last entry */
    uint32_t hash = 0;
    uint32_t lost = 0;
    tern_log_enter(cursor, log->newest);
    for (;;) {
        uint32_t end = cursor->at;
        before = kind;
        kind = tern_log_scan(cursor);
        if (kind == ENTRY_END)
            break;
        if (before == ENTRY_SCHEMA && cursor->entry == end) /* else a start came between */
            tern_log_note_schema(log, hash);
        notes = kind == ENTRY_NOTE ? (uint8_t)(notes + 1u) : 0;
        if (kind == ENTRY_NOTE) {
            log->reach = (uint16_t)(cursor->is.word[WORD_PREFIX] >> REACH_SHIFT & 0x3FC0u);
            log->next = cursor->is.word[WORD_NEXT];
            log->pending = cursor->is.word[WORD_FIRST];
            tern_log_note_epoch(log, cursor->is.word[WORD_EPOCH], cursor->is.word[WORD_BASE]);
            if (cursor->is.word[WORD_GENERATION] == log->generation)
                tern_log_give_up(log);
        }
        if (kind == ENTRY_SCHEMA)
            hash = cursor->is.schema.hash;
        if (kind == ENTRY_CHUNK) {
            log->pending = cursor->is.chunk.next;
            if (cursor->is.chunk.size != 0)
                log->next = cursor->is.chunk.committed;
        }
    }
    if (cursor->torn != 0) {
        uint32_t end = cursor->at;
        lost = tern_log_lost(cursor, before == ENTRY_CHUNK);
        cursor->at = round_damage(log, end, notes, hash);
    }
    if (cursor->at < log->write)
        log->write = cursor->at;
    if (log->pending > log->next || lost != 0 || (notes != 0 && notes < NOTES_ENOUGH))
        log->flags |= LOG_NOTE_DUE;
    if (lost != 0)
        log->next = log->pending + lost;
}

/* A sector that got a head and failed then stays without a chunk, and the one before it goes on taking
 * epochs. */
static void read_before(struct tern_log *log, struct tern_log_cursor *cursor)
{
    uint32_t sector = log->newest;
    bool is_used = false;
    for (;;) {
        uint8_t kind;
        tern_log_enter(cursor, sector);
        while ((kind = tern_log_scan(cursor)) != ENTRY_END) {
            if (kind == ENTRY_NOTE)
                tern_log_note_epoch(log, cursor->is.word[WORD_EPOCH], cursor->is.word[WORD_BASE]);
            if (kind != ENTRY_CHUNK)
                continue;
            if (sector == log->newest)
                return;
            is_used = true;
        }
        if (is_used || sector == log->oldest)
            return;
        sector = (sector == 0 ? log->ring : sector) - log->flash->sector_size;
    }
}

int tern_log_mount(struct tern_log *log, const struct tern_flash *flash, uint8_t lane)
{
    struct tern_log_cursor cursor;
    memset(log, 0, sizeof(*log));
    tern_log_look(&cursor, log);
    log->flash = flash;
    log->lane = lane;
    log->newest = log->found = TERN_NO_ADDRESS;
    log->next = log->pending = log->acked = log->floor = 1;
    log->reach = TERN_CHUNK_MAX;
    log->failures = ERASE_TRIES;
    int status = check_geometry(log);
    if (status != TERN_OK)
        return status;
    log->ahead = log->ring - flash->sector_size;
    status = review_all(log, &cursor);
    if (status != TERN_OK)
        return status;
    log->flags |= LOG_SUSPECT | LOG_READY_SUSPECT;
    read_newest(log, &cursor);
    uint32_t epoch = log->epochs[0].epoch;
    read_before(log, &cursor);
    /* The next start looks no further than to the newest sector once there is a chunk in it. */
    if (log->epochs[0].epoch != epoch)
        log->flags |= LOG_NOTE_DUE;
    log->pending = log->next;
    if (log->floor > log->next) /* the oldest sector begins within a batch that is void */
        log->floor = log->next;
    /* It was acknowledged before the count began again, or is lost: the gateway knows. */
    if (log->acked > log->next)
        log->acked = log->floor;
    return TERN_OK;
}
