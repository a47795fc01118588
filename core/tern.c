/* SPDX-License-Identifier: MIT */
/* The device: rows into chunks, chunks into the log, the log to the gateway. */
#include "tern.h"

#include "chunk.h"
#include "log.h"
#include "push.h"
#include "schema.h"

#define POLL_SOON 0
enum due { DUE_NOTHING, DUE_SPILL, DUE_COMMIT }; /* of struct tern_lane.due */

#define POLL_IDLE 60000 /* nothing to wait for but the application */

/* ---- What a firmware's own tests ask --------------------------------------------------------- */

int tern_table_check(const struct tern_table *table)
{
    return tern_schema_check(table);
}

static bool id_is_allowed(const char *id)
{
    uint8_t size = 0;
    for (; id[size] != '\0'; size++) {
        char c = id[size];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool inner = c == '.' || c == '_' || c == ':' || c == '-';
        if (size == TERN_ID_MAX || !(plain || (inner && size != 0)))
            return false;
    }
    return size != 0;
}

/* A HELLO goes out whole or not at all: with every number at its longest it must fit. */
static bool link_is_allowed(const struct tern_config *config)
{
    if (config->link == NULL)
        return true;
    uint32_t hello = TERN_HELLO_SIZE(tern_schema_name_size(config->id), config->lane_count);
    return config->clock != NULL && config->frame != NULL && config->frame_size >= TERN_FRAME_SIZE_MIN &&
           config->frame_size <= TERN_FRAME_SIZE_MAX && config->frame_size >= hello + TERN_FRAME_EXTRA &&
           (config->link->datagram == 0 || config->link->datagram >= hello);
}

/* Where a compiler puts the number, it would put any. */
struct aligned {
    char byte;
    uint64_t number;
};

static bool lane_is_allowed(const struct tern_lane *lane)
{
    bool models_are_allowed =
        lane->models_size == 0 ||
        (lane->models != NULL && (uintptr_t)lane->models % offsetof(struct aligned, number) == 0);
    return lane->flash != NULL && lane->chunk_data != NULL && lane->chunk_size >= TERN_CHUNK_MIN &&
           lane->chunk_size <= TERN_CHUNK_MAX && lane->overflow <= TERN_WAIT && models_are_allowed;
}

int tern_config_check(const struct tern_config *config)
{
    if (config->id == NULL || !id_is_allowed(config->id) || config->lanes == NULL ||
        config->lane_count == 0 || config->lane_count > TERN_LANES_MAX || !link_is_allowed(config))
        return TERN_E_ARGUMENT;
    for (uint8_t i = 0; i < config->lane_count; i++)
        if (!lane_is_allowed(&config->lanes[i]))
            return TERN_E_ARGUMENT;
    return TERN_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

int tern_open(struct tern *tern, const struct tern_config *config)
{
    memset(tern, 0, sizeof(*tern));
    tern->config = config;
    for (uint8_t i = 0; i < config->lane_count; i++) {
        struct tern_lane *lane = &config->lanes[i];
        memset(&lane->batch, 0, sizeof(*lane) - offsetof(struct tern_lane, batch));
        lane->chunk.data = lane->chunk_data;
        lane->chunk.models = lane->models;
        lane->chunk.models_size = lane->models_size;
        int status = tern_log_mount(&lane->log, lane->flash, i);
        if (status != TERN_OK)
            return status;
    }
    return TERN_OK;
}

/* ---- Putting --------------------------------------------------------------------------------- */

static void close_chunk(struct tern_lane *lane)
{
    /* What was refused before it, and has not been stored with it, is told by the next one. */
    if (lane->chunk.size != 0 && lane->chunk.first > lane->log.pending)
        lane->refused += lane->chunk.first - lane->log.pending;
    tern_chunk_close(&lane->chunk);
    tern_log_close(&lane->log);
    lane->due = DUE_NOTHING;
}

/* After this the records in RAM and the spilled ones since the last commit are gone, and their batch is
 * over. */
static void abort_lane(struct tern_lane *lane)
{
    lane->batch = 0;
    if (lane->chunk.segment_rows == 0 && lane->due == DUE_NOTHING && lane->log.pending == lane->log.next)
        return;
    close_chunk(lane);
    tern_log_abort(&lane->log);
}

/* Programs the segment that is due. TERN_E_FULL: it waits on, because the sector that its chunk was meant for
 * is used otherwise. Any other failure forgets what was not committed, so that neither a part of a batch nor
 * a sequence used twice can remain. A chunk that spills is full, and closed; the log says of others that they
 * are done. */
static int program_due(struct tern_lane *lane)
{
    uint8_t due = lane->due;
    if (due == DUE_NOTHING)
        return TERN_OK;
    int status = tern_log_append(&lane->log, &lane->chunk, due == DUE_COMMIT);
    if (status == TERN_E_FULL)
        return status;
    if (status < 0)
        abort_lane(lane);
    else if (due == DUE_SPILL || lane->log.capacity == 0)
        close_chunk(lane);
    lane->due = DUE_NOTHING;
    return status;
}

/* Ends the open segment and programs it. */
static int program(struct tern_lane *lane, uint8_t due)
{
    tern_chunk_finish(&lane->chunk, due == DUE_COMMIT, lane->batch != 0);
    lane->due = due;
    return program_due(lane);
}

static int open_chunk(struct tern_lane *lane, const struct tern_table *table, uint16_t least)
{
    int room = tern_log_open(&lane->log, table, tern_schema_hash(table), lane->chunk_size, least);
    if (room >= 0 && lane->overflow != TERN_DROP_OLDEST && tern_log_is_kept(&lane->log)) {
        tern_log_close(&lane->log);
        room = TERN_E_FULL;
    }
    if (room < 0)
        return room;
    lane->chunk.capacity = (uint16_t)room;
    uint32_t first = lane->log.pending;
    /* Not between the records of a batch: a hole there would make void those before it. Nor known to the log
     * before the chunk is in flash: a number that has been told, and is used again after a start, would be
     * two records. */
    if (first == lane->log.next) {
        first += lane->refused;
        lane->refused = 0;
    }
    tern_chunk_open(&lane->chunk, table->codec, first, lane->log.unit_log2);
    return TERN_OK;
}

/* A refused record consumes a sequence number before the next batch's chunk. */
static int no_room(struct tern_lane *lane)
{
    if (lane->overflow != TERN_REFUSE)
        return TERN_AGAIN;
    lane->refused++;
    lane->log.stats.dropped++;
    return TERN_E_FULL;
}

/* Closes the open chunk, what it still holds in RAM programmed, to be committed by a later one; and opens one
 * that has room for the record: the rest of a sector may be a chunk that is too small for it. */
static int put_new_chunk(struct tern_lane *lane, const struct tern_table *table, uint8_t op,
                         const struct tern_value *row)
{
    uint16_t least = TERN_CHUNK_MIN;
    int status = TERN_OK;
    if (lane->chunk.segment_rows != 0)
        status = program(lane, DUE_SPILL);
    while (status == TERN_OK) {
        close_chunk(lane);
        status = open_chunk(lane, table, least);
        if (status != TERN_OK)
            break;
        status = tern_chunk_put(&lane->chunk, table, op, row);
        if (status != TERN_E_TOO_BIG)
            break;
        least = (uint16_t)(lane->chunk.capacity + 1u);
        status = TERN_OK;
    }
    return status;
}

/* The first table's schema goes before the chunk; a further one must be in the sector already. */
static bool schema_is_there(const struct tern_lane *lane, const struct tern_table *table)
{
    return tern_chunk_index(&lane->chunk, table) != lane->chunk.table_count ||
           tern_log_has_schema(&lane->log, tern_schema_hash(table));
}

/* Where puts are refused, a chunk stays open that is the last to find a place: what it holds could not be
 * committed without one for the commit. */
static bool may_close(const struct tern_lane *lane, const struct tern_table *table)
{
    return lane->overflow != TERN_REFUSE || lane->chunk.size == 0 ||
           tern_log_has_place(&lane->log, tern_schema_hash(table));
}

static int put(struct tern *tern, const struct tern_table *table, uint8_t op, const struct tern_value *row)
{
    if (table->lane >= tern->config->lane_count)
        return TERN_E_ARGUMENT;
    struct tern_lane *lane = &tern->config->lanes[table->lane];
    int status = tern_row_check(table, op, row);
    if (status != TERN_OK)
        return status;
    status = program_due(lane);
    if (status == TERN_OK) {
        if (op == TERN_OP_PUT && (table->flags & TERN_DEDUP) != 0 && lane->dedup != NULL &&
            lane->dedup->repeats(lane->dedup, lane, table, row))
            return TERN_OK;
        status = TERN_E_TOO_BIG;
        if (lane->chunk.size != 0 && lane->chunk.codec == table->codec && schema_is_there(lane, table))
            status = tern_chunk_put(&lane->chunk, table, op, row);
        if (status == TERN_E_TOO_BIG)
            status = may_close(lane, table) ? put_new_chunk(lane, table, op, row) : TERN_E_FULL;
    }
    return status == TERN_E_FULL ? no_room(lane) : status;
}

int tern_put(struct tern *tern, const struct tern_table *table, const struct tern_value *row)
{
    return put(tern, table, TERN_OP_PUT, row);
}

int tern_delete(struct tern *tern, const struct tern_table *table, const struct tern_value *key)
{
    return table->mode == TERN_MERGE ? put(tern, table, TERN_OP_DELETE, key) : TERN_E_ARGUMENT;
}

int tern_snapshot_begin(struct tern *tern, const struct tern_table *table)
{
    return table->mode == TERN_OVERWRITE ? put(tern, table, TERN_OP_SNAPSHOT_BEGIN, NULL) : TERN_E_ARGUMENT;
}

int tern_snapshot_end(struct tern *tern, const struct tern_table *table)
{
    return table->mode == TERN_OVERWRITE ? put(tern, table, TERN_OP_SNAPSHOT_END, NULL) : TERN_E_ARGUMENT;
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* Keeps an erased sector ahead, so that the next commit need not wait for one, even where nobody polls. */
static void look_ahead(struct tern_lane *lane)
{
    if (lane->log.ready_at == 0)
        (void)tern_log_service(&lane->log, lane->overflow == TERN_DROP_OLDEST);
}

static int commit_lane(struct tern_lane *lane)
{
    int status = program_due(lane);
    if (status != TERN_OK)
        return status == TERN_E_FULL ? TERN_AGAIN : status;
    if (lane->chunk.segment_rows != 0 || lane->log.pending != lane->log.next) {
        /* Spilled records may have no open chunk behind them: the commit then goes into an empty segment of a
         * new one. */
        if (lane->chunk.size == 0)
            status = open_chunk(lane, lane->chunk.tables[0], TERN_CHUNK_MIN);
        if (status == TERN_OK)
            status = program(lane, DUE_COMMIT);
        if (status != TERN_OK)
            return status == TERN_E_FULL ? TERN_AGAIN : status;
    }
    lane->batch = 0;
    look_ahead(lane);
    return lane->flash->is_volatile ? TERN_VOLATILE : TERN_OK;
}

int tern_commit(struct tern *tern)
{
    int result = TERN_OK;
    for (uint8_t i = 0; i < tern->config->lane_count; i++) {
        int status = commit_lane(&tern->config->lanes[i]);
        /* An error outweighs AGAIN and VOLATILE; every lane is tried all the same. */
        if (status < 0 ? result >= 0 : status != TERN_OK && result == TERN_OK)
            result = status;
    }
    return result;
}

int tern_begin(struct tern *tern, uint8_t lane)
{
    if (lane >= tern->config->lane_count || tern->config->lanes[lane].batch)
        return TERN_E_ARGUMENT;
    int status = commit_lane(&tern->config->lanes[lane]);
    if (status == TERN_OK || status == TERN_VOLATILE)
        tern->config->lanes[lane].batch = 1;
    return status;
}

int tern_abort(struct tern *tern)
{
    for (uint8_t i = 0; i < tern->config->lane_count; i++)
        abort_lane(&tern->config->lanes[i]);
    return TERN_OK;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Erases and marks what is due, one at most. TERN_OK: nothing is. */
static int service(struct tern *tern)
{
    int status = TERN_OK;
    for (uint8_t i = 0; i < tern->config->lane_count && status == TERN_OK; i++) {
        struct tern_lane *lane = &tern->config->lanes[i];
        status = tern_log_service(&lane->log, lane->overflow == TERN_DROP_OLDEST);
    }
    return status;
}

int32_t tern_poll(struct tern *tern)
{
    const struct tern_clock *clock = tern->config->clock;
    int32_t wait = POLL_IDLE;
    /* Link and flash take turns at being first, so that neither a busy link nor a busy ring starves the
     * other. */
    for (uint8_t half = 0; half < 2; half++) {
        tern->turn ^= 1u;
        int32_t status = TERN_OK;
        if (tern->turn == 0)
            status = service(tern);
        else if (tern->config->link != NULL)
            status = wait = tern_push_step(tern, clock->milliseconds(clock->context));
        if (status < 0)
            return status;
        if (tern->turn == 0 ? status == TERN_AGAIN : wait == POLL_SOON)
            return POLL_SOON;
    }
    return wait;
}

uint32_t tern_backlog(const struct tern *tern)
{
    uint32_t records = 0;
    for (uint8_t i = 0; i < tern->config->lane_count; i++)
        records += tern->config->lanes[i].log.next - tern->config->lanes[i].log.acked;
    return records;
}

uint32_t tern_committed(const struct tern *tern, uint8_t lane)
{
    return tern->config->lanes[lane].log.next - 1;
}

uint32_t tern_acknowledged(const struct tern *tern, uint8_t lane)
{
    return tern->config->lanes[lane].log.acked - 1;
}
