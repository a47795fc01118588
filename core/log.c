/* SPDX-License-Identifier: MIT */
/* Writing the log. How it is laid out, and why, is in LOG.md. */
#include "log.h"

#include "log_scan.h"
#include "schema.h"

#define PIECE          32u
#define RELOCATE_MAX   2u /* sectors that are tried for one append */
#define HEAD_COPIES    2u
#define EPOCH_COPIES   2u
#define CHECK_MAX      1024u /* bytes of an erased sector that one call looks at */
#define REACH_LOG2_MAX 12u
#define ERASE_TRIES    3u
#define SECTOR_ROOMY   1024u       /* bytes of a sector that can spare room for notes */
#define NOT_ERASED     0xFFFFFFFFu /* of checked */

static uint32_t unit_of(const struct tern_log *log)
{
    return (uint32_t)1 << log->unit_log2;
}

static uint32_t note_size(const struct tern_log *log)
{
    return tern_log_align(log, NOTE_SIZE);
}

static uint32_t sector_end(const struct tern_log *log)
{
    return log->newest + log->flash->sector_size;
}

/* ---- Programming --------------------------------------------------------------------------------------------------------- */

/* Programs and reads back. */
static int program(struct tern_log *log, uint32_t address, const uint8_t *data, uint32_t size)
{
    const struct tern_flash *flash = log->flash;
    uint8_t piece[PIECE];
    int status = flash->program(flash->context, address, data, size);
    log->stats.programmed += size;
    for (uint32_t at = 0; at < size && status == 0; at += PIECE) {
        uint32_t part = size - at < PIECE ? size - at : PIECE;
        status = flash->read(flash->context, address + at, piece, part);
        if (status == 0 && memcmp(piece, data + at, (size_t)part) != 0)
            status = TERN_E_FLASH;
    }
    if (status == 0)
        return TERN_OK;
    log->stats.errors++;
    return TERN_E_FLASH;
}

/* Programs an entry, or a piece of one, where the last one ended. The first unit goes by itself, and must be there before the rest is begun:
 * so flash that reads as erased after a power cut was touched in its first unit at most. */
static int emit(struct tern_log *log, const uint8_t *data, uint32_t size)
{
    uint32_t unit = unit_of(log);
    if (size > sector_end(log) - log->write)
        return TERN_E_FLASH;
    int status = program(log, log->write, data, unit);
    if (status == TERN_OK && size > unit)
        status = program(log, log->write + unit, data + unit, size - unit);
    if (status == TERN_OK)
        log->write += size;
    return status;
}

/* A unit that was being programmed when power failed may read as erased now and otherwise later. Zeros make it definite, and may be
 * programmed over whatever it holds, as often as power fails. */
static int burn(struct tern_log *log)
{
    uint8_t zeros[UNIT_MAX] = {0};
    if ((log->flags & LOG_SUSPECT) == 0)
        return TERN_OK;
    (void)program(log, log->write, zeros, unit_of(log));
    if (tern_log_used(log, log->write, log->write + unit_of(log)) != log->write)
        return TERN_E_FLASH;
    log->write += unit_of(log);
    log->flags &= (uint8_t)~LOG_SUSPECT;
    return TERN_OK;
}

static int emit_note(struct tern_log *log)
{
    uint8_t note[UNIT_MAX];
    memset(note, 0xFF, sizeof(note));
    note[0] = (uint8_t)(NOTE_TYPE | (log->reach_log2 - REACH_LOG2));
    tern_store32(note + 1, log->generation);
    tern_store32(note + 5, log->pending);
    tern_store32(note + 9, log->next);
    tern_store32(note + 13, log->epochs[0].epoch);
    tern_store32(note + 17, log->epochs[0].base);
    tern_store32(note + NOTE_SEALED, tern_log_seal(log, note, NOTE_SEALED));
    return emit(log, note, note_size(log));
}

/* Copies of a note, so that it stays when one of them does not. */
static int emit_notes(struct tern_log *log, uint8_t copies)
{
    int status = burn(log);
    for (; status == TERN_OK && copies != 0; copies--)
        status = emit_note(log);
    if (status == TERN_OK)
        log->flags &= (uint8_t)~LOG_NOTE_DUE;
    return status;
}

/* ---- Schemas ------------------------------------------------------------------------------------------------------------- */

void tern_log_note_schema(struct tern_log *log, uint32_t hash)
{
    if (log->schema_count < sizeof(log->schemas) / sizeof(log->schemas[0]))
        log->schemas[log->schema_count] = hash;
    if (log->schema_count != 0xFF)
        log->schema_count++;
}

bool tern_log_has_schema(const struct tern_log *log, uint32_t hash)
{
    struct tern_log_cursor cursor;
    const uint8_t kept = sizeof(log->schemas) / sizeof(log->schemas[0]);
    if (log->flags & LOG_MOVE)
        return false;
    for (uint8_t i = 0; i < kept && i < log->schema_count; i++)
        if (log->schemas[i] == hash)
            return true;
    return log->schema_count > kept && tern_log_schema_in(log, log->newest, hash, &cursor) &&
           tern_log_is_proven(log, cursor.at);
}

static uint32_t schema_entry_size(const struct tern_log *log, const struct tern_table *table)
{
    uint32_t size = (uint32_t)tern_schema_size(table);
    return tern_log_align(log, 1u + (size < 128 ? 1u : 2u) + size + HASH_SIZE);
}

/* Gathers an entry that is not in one piece. */
struct gather {
    struct tern_log *log;
    uint8_t fill;
    uint8_t piece[PIECE];
};

static int gather_bytes(void *context, const void *data, size_t size)
{
    struct gather *gather = context;
    const uint8_t *byte = data;
    for (; size != 0; size--) {
        gather->piece[gather->fill++] = *byte++;
        if (gather->fill < PIECE)
            continue;
        gather->fill = 0;
        int status = emit(gather->log, gather->piece, PIECE);
        if (status != TERN_OK)
            return status;
    }
    return TERN_OK;
}

static int gather_rest(struct gather *gather)
{
    uint32_t size = tern_log_align(gather->log, gather->fill);
    memset(gather->piece + gather->fill, 0xFF, PIECE - gather->fill);
    return size == 0 ? TERN_OK : emit(gather->log, gather->piece, size);
}

static int emit_schema(struct tern_log *log, const struct tern_table *table)
{
    uint8_t bytes[1 + TERN_VARINT32_MAX] = {SCHEMA_TYPE};
    uint32_t hash = tern_schema_hash(table);
    struct gather gather;
    gather.log = log;
    gather.fill = 0;
    size_t size = 1 + tern_store_varint(bytes + 1, (uint32_t)tern_schema_size(table));
    int status = gather_bytes(&gather, bytes, size);
    if (status == TERN_OK)
        status = tern_schema_encode(table, gather_bytes, &gather);
    tern_store32(bytes, hash);
    if (status == TERN_OK)
        status = gather_bytes(&gather, bytes, HASH_SIZE);
    if (status == TERN_OK)
        status = gather_rest(&gather);
    if (status == TERN_OK)
        tern_log_note_schema(log, hash);
    return status;
}

/* Takes the schemas of a sector over into the newest. */
static int copy_schemas(struct tern_log *log, uint32_t sector)
{
    struct tern_log_cursor cursor;
    uint8_t piece[PIECE];
    uint8_t kind;
    tern_log_enter(&cursor, log, sector);
    while ((kind = tern_log_scan(&cursor)) != ENTRY_END) {
        uint32_t at = cursor.entry;
        while (kind == ENTRY_SCHEMA && at != cursor.at) {
            uint32_t size = cursor.at - at < PIECE ? cursor.at - at : PIECE;
            tern_log_load(log, at, piece, size);
            if (emit(log, piece, size) != TERN_OK)
                return TERN_E_FLASH;
            at += size;
        }
        if (kind == ENTRY_SCHEMA)
            tern_log_note_schema(log, cursor.is.schema.hash);
    }
    return TERN_OK;
}

/* ---- Placing a chunk ----------------------------------------------------------------------------------------------------- */

/* The sector ahead becomes the newest. Its head goes in twice: a head that another follows was programmed to its end. */
static int open_sector(struct tern_log *log)
{
    if (log->ready == TERN_NO_ADDRESS)
        return TERN_E_FULL;
    if (log->newest == TERN_NO_ADDRESS)
        log->oldest = log->unmarked = log->ready;
    log->newest = log->ready;
    log->ready = TERN_NO_ADDRESS;
    log->generation++;
    log->write = log->ready_at;
    log->schema_count = 0;
    log->flags &= (uint8_t) ~(LOG_MOVE | LOG_LEFT | LOG_SUSPECT);
    log->flags |= LOG_ACK_DUE;
    if (log->flags & LOG_READY_SUSPECT)
        log->flags |= LOG_SUSPECT;
    if (log->capacity != 0)
        log->reach_log2 = REACH_LOG2;
    while (log->reach_log2 < REACH_LOG2_MAX && (uint32_t)1 << log->reach_log2 < log->capacity)
        log->reach_log2++;
    return emit_notes(log, HEAD_COPIES);
}

/* Gives up the newest sector after a failure: nothing more is programmed there until it has been erased. */
static void leave_sector(struct tern_log *log)
{
    log->stats.retired++;
    log->flags |= LOG_LEFT;
    log->flags &= (uint8_t)~LOG_PLACED;
}

/* What is left behind the open chunk, or behind the last entry. */
static uint32_t room(const struct tern_log *log)
{
    uint32_t spare = unit_of(log); /* for a burnt unit */
    if (log->newest == TERN_NO_ADDRESS || (log->flags & LOG_LEFT) != 0)
        return 0;
    if (log->flags & LOG_NOTE_DUE)
        spare += note_size(log);
    uint32_t left = sector_end(log) - log->write;
    return left < spare ? 0 : left - spare;
}

/* An epoch should find its place among the entries even when the whole ring is full. In small sectors that is kept free for the first
 * epoch alone, which every device needs. */
static uint32_t kept_room(const struct tern_log *log)
{
    bool keeps = log->epochs[0].epoch == 0 || log->flash->sector_size >= SECTOR_ROOMY;
    return keeps ? NOTES_ENOUGH * note_size(log) : 0;
}

static uint32_t chunk_room(const struct tern_log *log)
{
    uint32_t left = room(log);
    uint32_t kept = kept_room(log);
    return left < kept ? 0 : left - kept;
}

/* Everything that goes in front of the open chunk. */
static int place(struct tern_log *log)
{
    bool moves = (log->flags & LOG_MOVE) != 0 || chunk_room(log) < log->capacity;
    int status = moves ? open_sector(log) : emit_notes(log, (log->flags & LOG_NOTE_DUE) != 0);
    if (status == TERN_OK && log->home != TERN_NO_ADDRESS && log->home != log->newest)
        status = copy_schemas(log, log->home);
    if (status == TERN_OK && log->table != NULL && !tern_log_has_schema(log, tern_schema_hash(log->table)))
        status = emit_schema(log, log->table);
    if (status != TERN_OK)
        return status;
    log->flags &= (uint8_t)~LOG_MOVE;
    log->flags |= LOG_PLACED;
    log->chunk = log->write;
    log->programmed = 0;
    return TERN_OK;
}

static uint16_t fit(const struct tern_log *log, uint32_t left, uint32_t taken, uint16_t wanted)
{
    if (left < taken)
        return 0;
    left -= taken;
    return (uint16_t)((left < wanted ? left : wanted) & ~(unit_of(log) - 1));
}

int tern_log_open(struct tern_log *log, const struct tern_table *table, uint32_t hash, uint16_t wanted,
                  uint16_t least)
{
    uint32_t schema = schema_entry_size(log, table);
    uint32_t frame = tern_log_entries(log) + 2 * note_size(log) + kept_room(log) + unit_of(log);
    bool has = log->newest != TERN_NO_ADDRESS && tern_log_has_schema(log, hash);
    uint32_t reach = (uint32_t)1 << log->reach_log2;
    if (log->pending > 0xFFFFFFFFu - TERN_CHUNK_ROWS_MAX)
        return TERN_E_FULL;
    log->table = has ? NULL : table;
    log->home = log->newest;
    log->capacity = fit(log, chunk_room(log), has ? 0 : schema, wanted < reach ? wanted : (uint16_t)reach);
    if (log->capacity >= least)
        return (int)log->capacity;
    log->capacity = fit(log, log->flash->sector_size, frame + schema, wanted);
    log->table = table;
    log->home = TERN_NO_ADDRESS;
    log->flags |= LOG_MOVE | LOG_WANTED;
    if (log->capacity >= least && log->ready != TERN_NO_ADDRESS)
        return (int)log->capacity;
    int status = log->capacity >= least ? TERN_E_FULL : TERN_E_TOO_BIG;
    log->minimum = frame + schema + tern_log_align(log, least);
    tern_log_close(log);
    return status;
}

int tern_log_append(struct tern_log *log, const uint8_t *data, uint16_t size, uint16_t rows, bool commit)
{
    int status = TERN_E_ARGUMENT;
    for (uint8_t tries = 0; log->capacity != 0 && tries < RELOCATE_MAX; tries++) {
        status = log->flags & LOG_PLACED ? TERN_OK : place(log);
        if (status == TERN_OK)
            status = emit(log, data + log->programmed, (uint32_t)size - log->programmed);
        if (status != TERN_E_FLASH)
            break;
        leave_sector(log);
    }
    if (status != TERN_OK)
        return status;
    log->table = NULL;
    log->home = log->newest;
    log->programmed = size;
    log->pending += rows;
    if (commit)
        log->next = log->pending;
    return TERN_OK;
}

void tern_log_close(struct tern_log *log)
{
    log->capacity = 0;
    log->table = NULL;
    log->flags &= (uint8_t) ~(LOG_PLACED | LOG_MOVE);
}

void tern_log_abort(struct tern_log *log)
{
    tern_log_close(log);
    if (log->pending != log->next)
        log->flags |= LOG_NOTE_DUE;
    log->flags &= (uint8_t)~LOG_WANTED;
    log->pending = log->next;
}

void tern_log_refuse(struct tern_log *log)
{
    if (log->next == log->pending)
        log->next++;
    log->pending++;
    log->stats.dropped++;
}

/* ---- Epochs -------------------------------------------------------------------------------------------------------------- */

void tern_log_note_epoch(struct tern_log *log, const struct tern_epoch *epoch)
{
    if (epoch->epoch == log->epochs[0].epoch)
        return;
    if (log->epochs[0].epoch != 0 && epoch->base > log->epochs[0].base)
        log->epochs[1] = log->epochs[0];
    else if (epoch->base <= log->epochs[1].base)
        memset(&log->epochs[1], 0, sizeof(log->epochs[1]));
    log->epochs[0] = *epoch;
}

/* Puts the epoch where a sector would keep its acknowledgement, unless something is there. */
static int program_slot(struct tern_log *log, uint32_t sector, const struct tern_epoch *epoch)
{
    uint8_t slot[UNIT_MAX];
    uint32_t size = tern_log_align(log, ACK_SIZE);
    uint32_t at = sector + tern_log_align(log, MARK_SIZE);
    if (tern_log_used(log, at, at + size) != at + size)
        return TERN_E_FULL;
    memset(slot, 0xFF, sizeof(slot));
    tern_store32(slot, epoch->epoch);
    tern_store32(slot + 4, epoch->base);
    tern_store32(slot + ACK_SEALED, ~tern_log_seal(log, slot, ACK_SEALED));
    return program(log, at, slot, size);
}

/* The epoch must find a place when the ring is full and what a start left behind fills its newest sector, too. Nothing is lost by it but
 * two marks, and with them some sending twice. The newest sector's slot is a must, and first: the oldest may be erased before the next
 * head repeats the epoch, and is only there for when the other cannot be read. */
static int program_spare_epoch(struct tern_log *log, const struct tern_epoch *epoch)
{
    /* A sector that was given up may have no head, and would not be found again. */
    bool usable = log->newest != TERN_NO_ADDRESS && (log->flags & LOG_LEFT) == 0;
    int status = usable ? program_slot(log, log->newest, epoch) : TERN_E_FULL;
    if (status == TERN_OK && log->oldest != log->newest)
        (void)program_slot(log, log->oldest, epoch);
    return status;
}

static int store_epoch(struct tern_log *log, const struct tern_epoch *epoch)
{
    if (room(log) >= EPOCH_COPIES * note_size(log))
        return emit_notes(log, EPOCH_COPIES);
    return log->ready != TERN_NO_ADDRESS ? open_sector(log) : program_spare_epoch(log, epoch);
}

int tern_log_set_epoch(struct tern_log *log, uint32_t epoch, uint32_t base)
{
    struct tern_epoch before[2] = {log->epochs[0], log->epochs[1]};
    struct tern_epoch now = {epoch, base};
    int status;
    if (before[1].epoch != 0 && base > before[0].base && log->acked < before[0].base)
        return TERN_E_FULL;
    tern_log_note_epoch(log, &now);
    status = store_epoch(log, &now);
    if (status != TERN_E_FULL)
        log->flags &= (uint8_t)~LOG_PLACED;
    if (status == TERN_OK)
        return TERN_OK;
    if (status == TERN_E_FLASH)
        leave_sector(log);
    log->flags |= LOG_WANTED;
    log->epochs[0] = before[0];
    log->epochs[1] = before[1];
    return status;
}

/* ---- Service ------------------------------------------------------------------------------------------------------------- */

void tern_log_acknowledge(struct tern_log *log, uint32_t sequence, uint64_t store)
{
    log->acked = sequence;
    log->store = store;
    log->flags |= LOG_ACK_DUE;
}

/* Marks the newest sector of which everything has been acknowledged. Those before it need no mark. */
static int mark_acknowledged(struct tern_log *log)
{
    uint8_t slot[UNIT_MAX];
    uint32_t size = tern_log_align(log, ACK_SIZE);
    uint32_t marked = TERN_NO_ADDRESS;
    uint32_t first;
    while (log->unmarked != log->newest) {
        uint32_t later = tern_log_follower(log, log->unmarked, &first);
        if (first > log->acked)
            break;
        marked = log->unmarked;
        log->unmarked = later;
    }
    log->flags &= (uint8_t)~LOG_ACK_DUE;
    if (marked == TERN_NO_ADDRESS)
        return TERN_OK;
    marked += tern_log_align(log, MARK_SIZE);
    if (tern_log_used(log, marked, marked + size) != marked + size)
        return TERN_OK;
    memset(slot, 0xFF, sizeof(slot));
    tern_store64(slot, log->store);
    tern_store32(slot + ACK_SEALED, tern_log_seal(log, slot, ACK_SEALED));
    (void)program(log, marked, slot, size);
    return TERN_AGAIN;
}

/* The oldest sector's records leave the log. TERN_OK when that is allowed. */
static int release_oldest(struct tern_log *log, bool drop)
{
    struct tern_log_note head;
    uint32_t next;
    uint32_t later = tern_log_follower(log, log->oldest, &next);
    if (!tern_log_load_head(log, later, &head))
        return TERN_E_FLASH; /* nothing newer could be written: this is the last that the log has */
    if (next > log->next && log->pending != log->next)
        return TERN_E_TOO_BIG; /* it holds a part of the batch that is open */
    if (next > log->next)
        next = log->next; /* what lies behind is void */
    if (next > log->acked && !drop)
        return TERN_E_FULL;
    uint32_t lost =
        tern_log_load_head(log, log->oldest, &head) && head.first > log->acked ? head.first : log->acked;
    if (next > lost)
        log->stats.dropped += next - lost;
    if (log->unmarked == log->oldest)
        log->unmarked = later;
    log->oldest = later;
    return TERN_OK;
}

/* Whether it is time to have a sector ahead: only when the newest is half full, so that nothing is erased before its space is needed. */
static bool is_due(const struct tern_log *log)
{
    if (log->newest == TERN_NO_ADDRESS || (log->flags & (LOG_WANTED | LOG_LEFT)) != 0)
        return true;
    uint32_t end = log->write;
    if (log->capacity != 0)
        end += (uint32_t)log->capacity - (log->flags & LOG_PLACED ? log->programmed : 0);
    return (end - log->newest) * 2 >= log->flash->sector_size;
}

static int choose(struct tern_log *log, bool drop)
{
    uint32_t before = log->ahead != TERN_NO_ADDRESS ? log->ahead : log->newest;
    uint32_t sector = before == TERN_NO_ADDRESS ? 0 : tern_log_after(log, before);
    log->failures = 0;
    log->checked = NOT_ERASED;
    if (sector == log->newest && sector != TERN_NO_ADDRESS)
        sector = tern_log_after(log, sector);
    if (sector == log->oldest) {
        int status = release_oldest(log, drop);
        if (status == TERN_E_FLASH) {
            log->ahead = sector;
            log->failures = ERASE_TRIES;
        }
        if (status != TERN_OK)
            return status;
    }
    log->ahead = sector;
    return TERN_OK;
}

/* The mark says that the erase came to its end, and for which turn it was. */
static int mark_ready(struct tern_log *log)
{
    uint8_t mark[UNIT_MAX];
    memset(mark, 0xFF, sizeof(mark));
    tern_log_prefix(log, mark);
    tern_store32(mark + PREFIX_SIZE, log->generation + 1);
    tern_store32(mark + MARK_SEALED, tern_log_seal(log, mark + PREFIX_SIZE, MARK_SEALED - PREFIX_SIZE));
    return program(log, log->ahead, mark, tern_log_align(log, MARK_SIZE));
}

/* One step towards an erased sector: choose, erase, look whether it is erased, mark. */
static int prepare(struct tern_log *log, bool drop)
{
    const struct tern_flash *flash = log->flash;
    if (log->ahead == TERN_NO_ADDRESS || log->failures >= ERASE_TRIES) {
        int status = choose(log, drop);
        if (status != TERN_OK)
            return status;
    }
    if (log->checked == NOT_ERASED) {
        int status = flash->erase(flash->context, log->ahead);
        if (status == TERN_AGAIN)
            return TERN_AGAIN;
        log->stats.erases++;
        if (status != 0)
            return TERN_E_FLASH;
        log->checked = 0;
        return TERN_AGAIN;
    }
    if (log->checked != flash->sector_size) {
        uint32_t left = flash->sector_size - log->checked;
        uint32_t from = log->ahead + log->checked;
        uint32_t size = left < CHECK_MAX ? left : CHECK_MAX;
        log->checked += size;
        return tern_log_used(log, from, from + size) == from + size ? TERN_AGAIN : TERN_E_FLASH;
    }
    if (mark_ready(log) != TERN_OK) {
        /* Erasing it again could leave this mark standing over flash that is not erased. */
        log->failures = ERASE_TRIES - 1;
        log->generation++;
        return TERN_E_FLASH;
    }
    log->ready = log->ahead;
    log->ready_at = log->ready + tern_log_entries(log);
    log->ahead = TERN_NO_ADDRESS;
    log->failures = 0;
    log->flags &= (uint8_t) ~(LOG_READY_SUSPECT | LOG_WANTED);
    return TERN_AGAIN;
}

int tern_log_service(struct tern_log *log, bool drop)
{
    if ((log->flags & LOG_ACK_DUE) != 0) {
        int status = mark_acknowledged(log);
        if (status != TERN_OK)
            return status;
    }
    bool fits = room(log) != 0;
    if ((log->flags & LOG_NOTE_DUE) != 0 && (log->flags & LOG_PLACED) == 0 &&
        (fits || log->ready != TERN_NO_ADDRESS)) {
        int status = fits ? emit_notes(log, 1) : open_sector(log);
        if (status == TERN_E_FLASH)
            leave_sector(log);
        return status == TERN_OK ? TERN_AGAIN : status;
    }
    if (log->ready != TERN_NO_ADDRESS || !is_due(log))
        return TERN_OK;
    int status = prepare(log, drop);
    if (status == TERN_E_FULL)
        return TERN_OK;
    if (status == TERN_E_TOO_BIG)
        return (log->flags & LOG_WANTED) != 0 ? TERN_E_TOO_BIG : TERN_OK;
    if (status != TERN_E_FLASH)
        return status;
    /* The same sector is tried again, and given up for this turn when it goes on failing. */
    log->stats.errors++;
    log->checked = NOT_ERASED;
    if (++log->failures == ERASE_TRIES)
        log->stats.retired++;
    return TERN_E_FLASH;
}

bool tern_log_has_place(const struct tern_log *log, uint32_t hash)
{
    uint32_t end = log->newest + log->flash->sector_size;
    uint32_t used = log->write + log->capacity - log->programmed;
    uint32_t schema = tern_log_has_schema(log, hash) ? 0 : TERN_SCHEMA_MAX;
    return log->ready != TERN_NO_ADDRESS || (used < end && end - used >= TERN_CHUNK_MIN + schema);
}
