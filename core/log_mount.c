/* SPDX-License-Identifier: MIT */
/* Finding out what a flash holds. Programs nothing, and comes to the same result however often it is done. */
#include "crc32c.h"
#include "log_scan.h"

#define SECTOR_SIZE_MIN 128u
#define SECTOR_SIZE_MAX 262144u

/* Whether all addresses fit into 32 bits. A sector is at most 2^18 bytes, so that no product here is too large. */
static bool ring_fits(const struct tern_flash *flash)
{
    uint32_t high = flash->sector_count >> 14;
    uint32_t low = flash->sector_count & 0x3FFFu;
    return high < 2048 && flash->sector_size * high + (flash->sector_size * low >> 14) < (uint32_t)1 << 18;
}

static int check_geometry(struct tern_log *log)
{
    const struct tern_flash *flash = log->flash;
    uint8_t unit = flash->program_unit == 0 ? 1 : flash->program_unit;
    while (((uint8_t)1 << log->unit_log2) < unit)
        log->unit_log2++;
    if (unit > UNIT_MAX || (uint8_t)1 << log->unit_log2 != unit)
        return TERN_E_GEOMETRY;
    log->minimum = tern_log_entries(log) + 4 * tern_log_align(log, NOTE_SIZE);
    if (log->minimum < SECTOR_SIZE_MIN)
        log->minimum = SECTOR_SIZE_MIN;
    log->ring = flash->sector_size * flash->sector_count;
    if (flash->sector_size < log->minimum || flash->sector_size > SECTOR_SIZE_MAX ||
        (flash->sector_size & (unit - 1u)) != 0 || flash->sector_count < 2 || !ring_fits(flash))
        return TERN_E_GEOMETRY;
    return TERN_OK;
}

/* Reads the sector's mark. TERN_OK: a mark of this log, and `generation` is its; TERN_AGAIN: none; TERN_E_FORMAT: somebody else's. */
static int load_mark(const struct tern_log *log, uint32_t sector, uint32_t *generation)
{
    uint8_t raw[MARK_SIZE];
    uint8_t prefix[PREFIX_SIZE];
    tern_log_load(log, sector, raw, MARK_SIZE);
    tern_log_prefix(log, prefix);
    if (memcmp(raw, prefix, 4) != 0 || tern_crc32c(0, raw, MARK_SEALED) != tern_load32(raw + MARK_SEALED))
        return TERN_AGAIN;
    *generation = tern_load32(raw + PREFIX_SIZE);
    return memcmp(raw, prefix, PREFIX_SIZE) == 0 ? TERN_OK : TERN_E_FORMAT;
}

/* Finds the newest and the oldest sector. */
static int find_ends(struct tern_log *log)
{
    struct tern_log_note head;
    uint32_t generation;
    for (uint32_t sector = 0; sector != log->ring; sector += log->flash->sector_size) {
        if (load_mark(log, sector, &generation) == TERN_E_FORMAT)
            return TERN_E_FORMAT;
        if (!tern_log_load_head(log, sector, &head))
            continue;
        if (head.generation > log->generation) {
            log->generation = head.generation;
            log->newest = sector;
        }
    }
    log->oldest = log->newest;
    if (log->newest == TERN_NO_ADDRESS)
        return TERN_OK;
    do {
        log->oldest = tern_log_after(log, log->oldest);
    } while (log->oldest != log->newest && !tern_log_load_head(log, log->oldest, &head));
    return TERN_OK;
}

/* The mark of a sector without a head says that it was erased for a turn that is still to come. What was begun in it by
 * starts that ended there was a head each time. */
static void read_ready(struct tern_log *log)
{
    struct tern_log_cursor cursor;
    tern_log_enter(&cursor, log, log->ready);
    if (cursor.limit > cursor.at + HEAD_WITHIN)
        cursor.limit = cursor.at + HEAD_WITHIN;
    (void)tern_log_scan(&cursor);
    log->ready_at = cursor.at + (cursor.dirty ? UNIT_MAX : 0);
    if (log->ready_at + 4 * UNIT_MAX <= cursor.limit)
        return;
    log->ahead = log->ready;
    log->ready = TERN_NO_ADDRESS;
    log->failures = 0xFF;
}

/* Goes over the sectors from the oldest on: the epochs in their order, how far was acknowledged, and a sector that stands ready. */
static void review_sectors(struct tern_log *log)
{
    struct tern_log_note head;
    bool acked = false;
    uint32_t sector = log->newest == TERN_NO_ADDRESS ? 0 : log->oldest;
    uint32_t first = sector;
    uint32_t turn = log->generation;
    uint32_t generation = 0;
    uint32_t latest = 0;
    do {
        bool headed = tern_log_load_head(log, sector, &head);
        if (headed && head.generation > latest) {
            latest = head.generation;
            tern_log_note_epoch(log, &head.epoch);
            if (acked) {
                log->acked = head.first;
                log->unmarked = sector;
            }
            acked = tern_log_load_ack(log, sector, &log->store);
        } else if (!headed && load_mark(log, sector, &generation) == TERN_OK && generation > turn) {
            turn = generation;
            log->ready = sector;
        }
        sector = tern_log_after(log, sector);
    } while (sector != first);
    if (log->ready == TERN_NO_ADDRESS)
        return;
    log->generation = turn - 1;
    read_ready(log);
}

/* Reads the newest sector to its end. */
static void read_newest(struct tern_log *log)
{
    struct tern_log_cursor cursor;
    struct tern_log_note head;
    uint8_t notes = 0; /* at the end */
    (void)tern_log_load_head(log, log->newest, &head);
    log->reach_log2 = head.reach_log2;
    log->next = head.next;
    log->pending = head.first;
    log->write = log->newest + log->flash->sector_size;
    tern_log_enter(&cursor, log, log->newest);
    for (;;) {
        switch (tern_log_scan(&cursor)) {
        case ENTRY_NOTE:
            notes++;
            log->next = cursor.is.note.next;
            log->pending = cursor.is.note.first;
            tern_log_note_epoch(log, &cursor.is.note.epoch);
            break;
        case ENTRY_SCHEMA:
            notes = 0;
            if (tern_log_is_proven(log, cursor.at))
                tern_log_note_schema(log, cursor.is.schema.hash);
            break;
        case ENTRY_CHUNK:
            notes = 0;
            log->pending = cursor.is.chunk.next;
            if (cursor.is.chunk.size != 0 && cursor.is.chunk.committed > log->next)
                log->next = cursor.is.chunk.committed;
            break;
        default:
            if (cursor.dirty)
                cursor.at += (uint32_t)1 << log->reach_log2;
            if (cursor.at < log->write)
                log->write = cursor.at;
            if (log->pending > log->next || (notes != 0 && notes < NOTES_ENOUGH))
                log->flags |= LOG_NOTE_DUE;
            /* A copy of the note has to stand close to the first. */
            if (cursor.dirty && notes != 0)
                log->flags |= LOG_LEFT;
            return;
        }
    }
}

/* An epoch that found no room among the entries of a full ring. It is newer than all of them, and repeated when there is room. */
static void recall_spare_epoch(struct tern_log *log, uint32_t sector)
{
    struct tern_epoch epoch;
    if (!tern_log_load_spare_epoch(log, sector, &epoch) || epoch.epoch <= log->epochs[0].epoch)
        return;
    tern_log_note_epoch(log, &epoch);
    log->flags |= LOG_NOTE_DUE;
}

int tern_log_mount(struct tern_log *log, const struct tern_flash *flash, uint8_t lane)
{
    memset(log, 0, sizeof(*log));
    log->flash = flash;
    log->lane = lane;
    log->newest = log->oldest = log->ready = log->ahead = log->unmarked = log->settled_at = TERN_NO_ADDRESS;
    log->next = log->pending = log->acked = 1;
    log->reach_log2 = 12;
    int status = check_geometry(log);
    if (status == TERN_OK)
        status = find_ends(log);
    if (status != TERN_OK)
        return status;
    log->unmarked = log->oldest;
    review_sectors(log);
    log->flags = LOG_SUSPECT | LOG_READY_SUSPECT | LOG_ACK_DUE;
    if (log->newest == TERN_NO_ADDRESS)
        return TERN_OK;
    read_newest(log);
    recall_spare_epoch(log, log->newest);
    recall_spare_epoch(log, log->oldest);
    log->pending = log->next;
    return TERN_OK;
}
