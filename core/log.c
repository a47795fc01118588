/* SPDX-License-Identifier: MIT */
/* Writing the log. How it is laid out, and why, is in LOG.md. */
#include "log.h"

#include "crc32c.h"
#include "log_scan.h"
#include "schema.h"

#define SECTORS_TRIED 2u          /* for one append */
#define CHECK_MAX     1024u       /* bytes of an erased sector that one call looks at */
#define BEGIN_AGAIN   0x80000000u /* from this sequence on, the next epoch begins when it can */
#define NOT_ERASED    0xFFFFFFFFu /* of checked */

static uint32_t sector_end(const struct tern_log *log)
{
    return log->newest + log->flash->sector_size;
}

/* Copies of a sector's head; a small one has no room for more. */
static uint8_t head_copies(const struct tern_log *log)
{
    return log->kept == 0 ? 1 : NOTE_COPIES;
}

/* ---- Programming ----------------------------------------------------------------------------- */

/* Programs and reads back. */
static int program(struct tern_log *log, uint32_t address, const uint8_t *data, uint32_t size)
{
    const struct tern_flash *flash = log->flash;
    uint8_t piece[PIECE];
    int status = flash->program(flash->context, address, data, size);
    log->stats.programmed += size;
    for (uint32_t part; size != 0 && status == 0; size -= part) {
        part = size < PIECE ? size : PIECE;
        tern_log_load(log, address, piece, part);
        status = memcmp(piece, data, (size_t)part);
        address += part;
        data += part;
    }
    if (status == 0)
        return TERN_OK;
    log->stats.errors++;
    return TERN_E_FLASH;
}

/* Programs an entry, or a piece of one, where the last one ended. The first unit goes by itself, and must be
 * there before the rest is begun: so flash that reads as erased after a power cut was touched in its first
 * unit at most. What fails is not tried again in its place; where it has left nothing to see, nothing may
 * stand behind it before that unit is definite. What can be seen is no longer erased, and not programmed
 * over. */
static int emit(struct tern_log *log, const uint8_t *data, uint32_t size)
{
    uint32_t at = log->write;
    uint32_t unit = log->unit;
    if (size > sector_end(log) - at)
        return TERN_E_FLASH;
    log->write += size;
    int status = program(log, at, data, unit);
    if (status != TERN_OK) {
        if (tern_log_used(log, at, at + unit) != at) {
            log->write = at;
            log->flags |= LOG_SUSPECT;
        }
    } else if (size > unit) {
        status = program(log, at + unit, data + unit, size - unit);
    }
    return status;
}

/* A unit that was being programmed when power failed may read as erased now and otherwise later. Zeros make
 * it definite, and may be programmed over whatever it holds, as often as power fails. */
static int burn(struct tern_log *log)
{
    uint8_t zeros[UNIT_MAX] = {0};
    uint32_t at = log->write;
    if ((log->flags & LOG_SUSPECT) == 0)
        return TERN_OK;
    (void)program(log, at, zeros, log->unit);
    if (tern_log_used(log, at, at + log->unit) != at)
        return TERN_E_FLASH;
    log->write += log->unit;
    log->flags &= (uint8_t)~LOG_SUSPECT;
    return TERN_OK;
}

/* What the newest sector holds is older than the mark of the one ahead. */
static void make_note(const struct tern_log *log, uint8_t raw[UNIT_MAX], uint8_t type)
{
    uint32_t word[NOTE_WORDS] = {tern_log_prefix(log) | (uint32_t)log->reach << REACH_SHIFT,
                                 log->generation - (log->ready_at != 0),
                                 log->pending,
                                 log->next,
                                 log->epochs[0].epoch,
                                 log->epochs[0].base};
    if (type == ITEM_MARK) {
        word[WORD_ACKED] = log->acked;
        word[WORD_STORE] = (uint32_t)log->store;
        word[WORD_STORE + 1] = (uint32_t)(log->store >> 32);
        word[WORD_OLDEST] = log->oldest_generation;
    }
    memset(raw, 0xFF, UNIT_MAX);
    raw[0] = type;
    raw[1] = NOTE_BYTES;
    for (uint8_t i = 0; i < NOTE_WORDS; i++)
        tern_store32(raw + 2 + 4 * i, word[i]);
    tern_store32(raw + 2 + NOTE_BYTES, tern_crc32c(0, raw + 2, NOTE_BYTES));
}

static int emit_notes(struct tern_log *log, uint8_t copies)
{
    uint8_t raw[UNIT_MAX];
    int status = burn(log);
    make_note(log, raw, ITEM_NOTE);
    for (; status == TERN_OK && copies != 0; copies--)
        status = emit(log, raw, log->note);
    if (status == TERN_OK)
        log->flags &= (uint8_t)~LOG_NOTE_DUE;
    return status;
}

/* ---- Schemas --------------------------------------------------------------------------------- */

#define SCHEMAS_KEPT (sizeof(((struct tern_log *)0)->schemas) / sizeof(uint32_t))

/* Of the schemas that the newest sector holds, some are remembered. One that is not is written again. */
void tern_log_note_schema(struct tern_log *log, uint32_t hash)
{
    memmove(log->schemas + 1, log->schemas, sizeof(log->schemas) - sizeof(hash));
    log->schemas[0] = hash;
}

bool tern_log_has_schema(const struct tern_log *log, uint32_t hash)
{
    if ((log->flags & LOG_MOVE) != 0 || hash == 0) /* 0 is an empty place */
        return false;
    for (uint8_t i = 0; i < SCHEMAS_KEPT; i++)
        if (log->schemas[i] == hash)
            return true;
    return false;
}

/* Gathers an entry that is not in one piece. */
struct gather {
    uint8_t piece[PIECE];
    uint8_t fill;
    int status; /* the first that was not TERN_OK */
    struct tern_log *log;
};

static void gather_bytes(void *context, const void *data, size_t size)
{
    struct gather *gather = context;
    const uint8_t *byte = data;
    for (; size != 0; size--) {
        gather->piece[gather->fill++] = *byte++;
        if (gather->fill < PIECE)
            continue;
        gather->fill = 0;
        if (gather->status == TERN_OK)
            gather->status = emit(gather->log, gather->piece, PIECE);
    }
}

static int emit_schema(struct tern_log *log, const struct tern_table *table)
{
    uint8_t crc[CRC_SIZE];
    uint32_t hash = tern_schema_hash(table);
    struct gather gather;
    if (tern_log_has_schema(log, hash))
        return TERN_OK;
    gather.log = log;
    gather.status = TERN_OK;
    gather.piece[0] = ITEM_SCHEMA;
    gather.fill = (uint8_t)(1 + tern_store_varint(gather.piece + 1, (uint32_t)tern_schema_size(table)));
    tern_schema_encode(table, gather_bytes, &gather);
    tern_store32(crc, hash);
    gather_bytes(&gather, crc, CRC_SIZE);
    memset(gather.piece + gather.fill, 0xFF, PIECE - gather.fill);
    if (gather.status == TERN_OK && gather.fill != 0)
        gather.status = emit(log, gather.piece, tern_log_align(log, gather.fill));
    tern_log_note_schema(log, hash); /* where that failed, the sector takes no chunk any more */
    return gather.status;
}

/* ---- Placing a chunk ------------------------------------------------------------------------- */

/* The mark of the sector ahead is for a turn to come, and must not outlive a half-done erase: another sector
 * is taken. Where there is no other, a note in the newest tells a start, by its generation, that the mark is
 * not to be believed. */
void tern_log_give_up(struct tern_log *log)
{
    if (log->ready_at == 0)
        return;
    log->flags |= LOG_NOTE_DUE;
    log->ready_at = 0;
}

/* The sector ahead becomes the newest once it has a head. */
static int open_sector(struct tern_log *log)
{
    uint32_t before = log->newest;
    uint32_t end = log->write;
    uint8_t flags = log->flags;
    if (log->ready_at == 0) {
        log->flags |= LOG_WANTED;
        return TERN_E_FULL;
    }
    log->newest = log->ahead;
    log->write = log->ready_at;
    log->ready_at = 0;
    log->flags &= (uint8_t) ~(LOG_MOVE | LOG_LEFT | LOG_SUSPECT);
    if (flags & LOG_READY_SUSPECT)
        log->flags |= LOG_SUSPECT;
    if (log->capacity != 0)
        log->reach = (uint16_t)((log->capacity + 63u) & ~63u);
    int status = emit_notes(log, head_copies(log));
    if (status != TERN_OK) {
        log->newest = before;
        log->write = end;
        /* A start may take the head that failed for the newest one: what were committed here from now on
         * would be lost. */
        log->flags = flags | LOG_WANTED | LOG_LEFT | LOG_NOTE_DUE;
        return status;
    }
    memset(log->schemas, 0, sizeof(log->schemas));
    if (before == TERN_NO_ADDRESS)
        log->oldest = log->newest;
    return TERN_OK;
}

/* What is left for entries, a burnt unit allowed for. */
static uint32_t room(const struct tern_log *log, uint32_t kept)
{
    if (log->newest == TERN_NO_ADDRESS)
        return 0;
    uint32_t left = sector_end(log) - log->write;
    kept += log->unit;
    return left < kept ? 0 : left - kept;
}

/* The same for a chunk. */
static uint32_t chunk_room(const struct tern_log *log)
{
    uint32_t due = log->flags & LOG_NOTE_DUE ? log->note : 0;
    return log->flags & LOG_LEFT ? 0 : room(log, log->kept + due);
}

/* What the open chunk may still program. */
static uint32_t open_size(const struct tern_log *log)
{
    return log->flags & LOG_PLACED ? (uint32_t)log->capacity - log->programmed : log->capacity;
}

/* Before the first epoch, without which nothing can be sent, the last sector before the oldest is left to its
 * notes. */
static bool is_kept(const struct tern_log *log, uint32_t sector)
{
    return log->epochs[0].epoch == 0 && tern_log_after(log, sector) == log->oldest;
}

bool tern_log_is_kept(const struct tern_log *log)
{
    return is_kept(log, log->flags & LOG_MOVE ? log->ahead : log->newest);
}

bool tern_log_has_place(const struct tern_log *log, uint32_t hash)
{
    uint32_t schema = tern_log_has_schema(log, hash) ? 0 : TERN_SCHEMA_MAX;
    if (log->ready_at != 0 && !is_kept(log, log->ahead))
        return true;
    return chunk_room(log) >= open_size(log) + TERN_CHUNK_MIN + schema && !is_kept(log, log->newest);
}

/* Everything that goes in front of the open chunk. */
static int place(struct tern_log *log, const struct tern_chunk *chunk)
{
    bool moves = (log->flags & LOG_MOVE) != 0 || chunk_room(log) < log->capacity;
    /* Its size was not meant for what is left of a sector in whose head starts have ended. */
    if (moves && (log->flags & LOG_MOVE) == 0 && log->ready_at - log->ahead != log->note)
        tern_log_give_up(log);
    int status = moves ? open_sector(log) : emit_notes(log, (log->flags & LOG_NOTE_DUE) != 0);
    for (uint8_t i = 0; i < chunk->table_count && status == TERN_OK; i++)
        status = emit_schema(log, chunk->tables[i]);
    return status;
}

/* The most that a chunk may take of `left` bytes behind `taken` ones. */
static uint32_t fit(const struct tern_log *log, uint32_t left, uint32_t taken, uint32_t wanted)
{
    left = left < taken ? 0 : left - taken;
    return (left < wanted ? left : wanted) & ~(log->unit - 1u);
}

/* Sequences end one day. Past the half of them, the first time that everything has been acknowledged begins
 * the next epoch, which counts from 1 again, in a sector of its own; those before it are no part of the log
 * any more. */
static void begin_again(struct tern_log *log)
{
    uint32_t next = log->next;
    if (next < BEGIN_AGAIN || log->pending != log->acked || log->ready_at == 0)
        return;
    log->write = sector_end(log);
    log->next = log->pending = 1;
    if (tern_log_set_epoch(log, log->epochs[0].epoch + TERN_EPOCH_STEP, 1) == TERN_OK) {
        log->oldest_generation = log->generation;
        log->found = TERN_NO_ADDRESS;
        next = log->floor = 1;
    }
    log->next = log->pending = log->acked = next;
}

int tern_log_open(struct tern_log *log, const struct tern_table *table, uint32_t hash, uint16_t wanted,
                  uint16_t least)
{
    uint32_t schema = tern_log_align(log, (uint32_t)tern_schema_size(table) + 3u + CRC_SIZE);
    uint32_t frame = schema + (1u + head_copies(log)) * log->note + log->kept + 2u * log->unit;
    if (log->kept == 0 && least == TERN_CHUNK_MIN)
        least = CHUNK_SMALL;
    begin_again(log);
    if (log->pending > 0xFFFFFFFFu - TERN_CHUNK_ROWS_MAX) {
        log->flags |= LOG_WANTED;
        return TERN_E_FULL;
    }
    uint32_t size = fit(log, chunk_room(log), tern_log_has_schema(log, hash) ? 0 : schema,
                        wanted < log->reach ? wanted : log->reach);
    if (size < least) {
        log->flags |= LOG_MOVE | LOG_WANTED;
        /* Starts that ended in the head of the sector ahead have taken some of it. */
        if (log->ready_at != 0)
            size = fit(log, log->ahead + log->note + log->flash->sector_size - log->ready_at, frame, wanted);
    }
    if (size >= least) {
        log->capacity = (uint16_t)size;
        return (int)size;
    }
    tern_log_close(log);
    if (fit(log, log->flash->sector_size, frame, wanted) >= least) {
        tern_log_give_up(log);
        return TERN_E_FULL;
    }
    /* Enough also for a sector that is not small, and less so. */
    log->minimum = frame + tern_log_align(log, least);
    if (log->kept == 0)
        log->minimum += 2u * log->note;
    return TERN_E_TOO_BIG;
}

int tern_log_append(struct tern_log *log, const struct tern_chunk *chunk, bool commit)
{
    int status;
    uint32_t old = log->programmed;
    uint8_t tries = SECTORS_TRIED;
    bool is_copy = false;
    do {
        status = TERN_OK;
        if ((log->flags & LOG_PLACED) == 0) {
            status = place(log, chunk);
            is_copy = old != 0;
            if (is_copy && status == TERN_OK)
                status = emit(log, chunk->data, old);
        }
        if (status == TERN_OK)
            status = emit(log, chunk->data + old, chunk->size - old);
        if (status != TERN_E_FLASH)
            break;
        log->stats.retired++;
        log->flags = (uint8_t)((log->flags | LOG_LEFT) & ~LOG_PLACED);
    } while (--tries != 0);
    if (status != TERN_OK)
        return status;
    log->flags |= LOG_PLACED;
    log->programmed = chunk->size;
    log->pending = chunk->first + chunk->rows;
    if (commit)
        log->next = log->pending;
    if (is_copy)
        tern_log_close(log);
    return TERN_OK;
}

void tern_log_close(struct tern_log *log)
{
    log->capacity = log->programmed = 0;
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

/* Notes where they find a place: behind what the newest sector holds, or at the head of the next. */
static int emit_somewhere(struct tern_log *log, uint8_t copies)
{
    uint32_t left = room(log, 0);
    int status = TERN_E_FLASH;
    if (left >= log->note)
        status = emit_notes(log, left < 2 * log->note ? 1 : copies);
    return status == TERN_E_FLASH ? open_sector(log) : status;
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

/* Keeps the two newest, in whatever order they are found. One whose base is not above that of an older one
 * has taken its place. */
void tern_log_note_epoch(struct tern_log *log, uint32_t epoch, uint32_t base)
{
    struct tern_epoch *now = log->epochs;
    if (epoch > now[0].epoch) {
        if (base > now[0].base)
            now[1] = now[0];
        now[0].epoch = epoch;
        now[0].base = base;
    } else if (epoch > now[1].epoch && epoch != now[0].epoch) {
        now[1].epoch = epoch;
        now[1].base = base;
    }
    if (now[1].base >= now[0].base)
        memset(&now[1], 0, sizeof(now[1]));
}

int tern_log_set_epoch(struct tern_log *log, uint32_t epoch, uint32_t base)
{
    struct tern_epoch before[2] = {log->epochs[0], log->epochs[1]};
    if (before[1].epoch != 0 && base > before[0].base && log->acked < before[0].base)
        return TERN_E_FULL;
    tern_log_note_epoch(log, epoch, base);
    int status = emit_somewhere(log, NOTE_COPIES);
    log->flags &= (uint8_t)~LOG_PLACED;
    if (status != TERN_OK) {
        log->epochs[0] = before[0];
        log->epochs[1] = before[1];
    }
    return status;
}

void tern_log_acknowledge(struct tern_log *log, uint32_t sequence, uint64_t store)
{
    log->acked = sequence;
    log->store = store;
}

/* ---- Service --------------------------------------------------------------------------------- */

/* The oldest sector's records leave the log. TERN_OK when that is allowed. */
static int release_oldest(struct tern_log *log, bool drop)
{
    struct tern_log_cursor cursor;
    uint32_t later = log->oldest;
    bool headed;
    tern_log_look(&cursor, log);
    do {
        later = tern_log_after(log, later);
        headed = tern_log_head(&cursor, later);
    } while (later != log->newest && !headed);
    uint32_t next = headed ? cursor.is.word[WORD_FIRST] : log->next;
    if (next > log->next) {
        if (log->pending != log->next && cursor.is.word[WORD_NEXT] == log->next)
            return TERN_E_TOO_BIG;        /* it holds a part of the batch that is open */
        next = cursor.is.word[WORD_NEXT]; /* the batch that it went on with is void */
    }
    if (next > log->acked && !drop)
        return TERN_E_FULL;
    uint32_t lost = log->floor > log->acked ? log->floor : log->acked;
    if (next > lost)
        log->stats.dropped += next - lost;
    if (headed)
        log->oldest_generation = cursor.is.word[WORD_GENERATION];
    log->oldest = later;
    log->floor = next;
    log->found = TERN_NO_ADDRESS;
    return TERN_OK;
}

/* Whether it is time to have a sector ahead: only when the newest is half full, so that nothing is erased
 * before its space is needed. */
static bool is_due(const struct tern_log *log)
{
    if (log->newest == TERN_NO_ADDRESS || (log->flags & (LOG_WANTED | LOG_LEFT)) != 0)
        return true;
    return (log->write - log->newest + open_size(log)) * 2 >= log->flash->sector_size;
}

static int choose(struct tern_log *log, bool drop)
{
    uint32_t sector = tern_log_after(log, log->ahead);
    if (sector == log->newest)
        sector = tern_log_after(log, sector);
    int status = sector == log->oldest ? release_oldest(log, drop) : TERN_OK;
    /* Where the oldest has to stay and no epoch would find a place, one that was given up has its turn
     * again. */
    if (status == TERN_E_FULL && log->epochs[0].epoch == 0 && room(log, log->note) < log->note) {
        sector = log->ahead;
        status = sector == log->newest ? TERN_E_FULL : TERN_OK;
    }
    if (status == TERN_OK) {
        log->ahead = sector;
        log->failures = 0;
        log->checked = NOT_ERASED;
    }
    return status;
}

/* The mark says that the erase came to its end, and for which turn it was. No two are alike: one that was not
 * seen to be there could outlive a half-done erase. */
static int mark_ready(struct tern_log *log)
{
    uint8_t mark[UNIT_MAX];
    log->generation++;
    make_note(log, mark, ITEM_MARK);
    if (program(log, log->ahead, mark, log->note) != TERN_OK) {
        log->failures = ERASE_TRIES - 1;
        return TERN_E_FLASH;
    }
    log->ready_at = log->ahead + log->note;
    log->failures = ERASE_TRIES;
    log->flags &= (uint8_t) ~(LOG_READY_SUSPECT | LOG_WANTED);
    return TERN_AGAIN;
}

/* One step towards an erased sector: erase, look whether it is erased, mark. */
static int prepare(struct tern_log *log)
{
    const struct tern_flash *flash = log->flash;
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
    uint32_t left = flash->sector_size - log->checked;
    if (left == 0)
        return mark_ready(log);
    uint32_t from = log->ahead + log->checked;
    uint32_t size = left < CHECK_MAX ? left : CHECK_MAX;
    log->checked += size;
    return tern_log_used(log, from, from + size) == from + size ? TERN_AGAIN : TERN_E_FLASH;
}

/* The note that is due, where it finds a place. */
static int note_due(struct tern_log *log)
{
    int status = emit_somewhere(log, 1);
    if (status == TERN_E_FULL)
        return TERN_OK;
    return status == TERN_OK ? TERN_AGAIN : status;
}

int tern_log_service(struct tern_log *log, bool drop)
{
    int status = (log->flags & (LOG_NOTE_DUE | LOG_PLACED)) == LOG_NOTE_DUE ? note_due(log) : TERN_OK;
    if (status != TERN_OK || log->ready_at != 0 || !is_due(log))
        return status;
    if (log->failures == ERASE_TRIES) {
        status = choose(log, drop);
        if (status == TERN_E_TOO_BIG && (log->flags & LOG_WANTED) != 0)
            return status;
        if (status != TERN_OK)
            return TERN_OK;
    }
    status = prepare(log);
    if (status != TERN_E_FLASH)
        return status;
    /* The same sector is tried again, and given up for this turn when it goes on failing. */
    log->stats.errors++;
    log->checked = NOT_ERASED;
    if (++log->failures == ERASE_TRIES)
        log->stats.retired++;
    return TERN_E_FLASH;
}
