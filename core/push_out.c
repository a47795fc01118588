/* SPDX-License-Identifier: MIT */
/* Frames to the gateway. */
#include "push.h"

#include "frame.h"
#include "schema.h"

#define FIRST_WINDOW 2048u /* bytes sent ahead of the first WELCOME */

/* ---- Frames out ------------------------------------------------------------------------------ */

/* Every frame from a device begins with a byte, mostly the lane, and two numbers. */
static void begin_frame(const struct tern *tern, struct tern_output *output, uint8_t kind, uint8_t byte,
                        uint32_t a, uint32_t b)
{
    uint16_t offset = TERN_COBS_OFFSET(tern->config->frame_size);
    uint16_t size = (uint16_t)(tern->config->frame_size - offset - 1u);
    uint16_t datagram = tern->config->link->datagram;
    if (datagram != 0 && size > datagram)
        size = datagram;
    output->data = tern->config->frame + offset;
    output->size = 0;
    output->capacity = size - 4u;
    output->failed = false;
    tern_write8(output, kind);
    tern_write8(output, byte);
    tern_write_varint(output, a);
    tern_write_varint(output, b);
}

static void end_frame(struct tern *tern, const struct tern_lane *lane, const struct tern_output *output)
{
    uint8_t *frame = tern->config->frame;
    uint16_t offset = (uint16_t)(output->data - frame);
    size_t size = tern_frame_seal(output->data, output->size, tern_push_epoch(lane));
    tern->frame_next = 0;
    if (tern->config->link->datagram != 0) {
        tern->frame_next = offset;
        tern->frame_end = (uint16_t)(offset + size);
    } else {
        tern->frame_end = (uint16_t)tern_cobs_encode(frame, offset, size);
    }
}

/* A frame that carries what fits of the bytes from `offset` to `end` that stand in flash at `address`.
 * Returns how many, or an error. */
static int32_t send_bytes(struct tern *tern, const struct tern_lane *lane, uint8_t kind, uint32_t name,
                          uint32_t offset, uint32_t end, uint32_t address)
{
    const struct tern_flash *flash = lane->flash;
    struct tern_output output;
    begin_frame(tern, &output, kind, lane->log.lane, name, offset);
    uint32_t room = (uint32_t)(output.capacity - output.size);
    uint32_t size = end - offset < room ? end - offset : room;
    if (flash->read(flash->context, address + offset, output.data + output.size, size) != 0)
        return TERN_E_FLASH;
    output.size += (size_t)size;
    end_frame(tern, lane, &output);
    return (int32_t)size;
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

/* A lane's range, and its session from the start: the oldest epoch of which records have not been
 * acknowledged. */
static void write_lane(struct tern_output *output, struct tern_lane *lane)
{
    struct tern_log *log = &lane->log;
    struct tern_sender *sender = &lane->sender;
    bool old = tern_push_is_old(log);
    const uint32_t range[] = {log->epochs[old].epoch,
                              log->epochs[old].base,
                              tern_log_oldest(log),
                              log->acked,
                              old ? log->epochs[0].base : log->next,
                              log->epochs[0].epoch};
    uint8_t state = (uint8_t)((old ? OLD_EPOCH : 0u) | (sender->state & ACK_IS_EXACT));
    /* Where the position is known from this boot, records go out right behind. */
    if ((state & ACK_IS_EXACT) != 0)
        state |= WELCOMED | ON_TRUST;
    tern_push_begin(sender, log->acked);
    sender->state = state;
    sender->window = FIRST_WINDOW;
    tern_write8(output, log->lane);
    for (uint8_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
        tern_write_varint(output, range[i]);
    tern_write_bytes(output, &log->store, sizeof(log->store));
}

void tern_push_hello(struct tern *tern, uint32_t now)
{
    struct tern_output output;
    const char *id = tern->config->id;
    uint8_t size = tern_schema_name_size(id);
    tern->nonce[0] = tern_push_random(tern);
    tern->nonce[1] += tern_push_random(tern) | 1u; /* no two are alike, whatever the random numbers are */
    begin_frame(tern, &output, TERN_HELLO, TERN_PROTOCOL_VERSION, tern->config->boot, now);
    tern_write_varint(&output, TERN_RECEIVE_SIZE);
    tern_write_bytes(&output, tern->nonce, sizeof(tern->nonce));
    tern_write8(&output, size);
    tern_write_bytes(&output, id, size);
    for (uint8_t i = 0; i < tern->config->lane_count; i++)
        write_lane(&output, &tern->config->lanes[i]);
    end_frame(tern, tern->config->lanes, &output);
    tern->state = TERN_PUSH_TALKING;
    tern->since = now;
    tern->wait = 0;
}

/* ---- Sending a lane -------------------------------------------------------------------------- */

/* The chunk of the next record, or the first one behind it: the one at hand while it has bytes left, else the
 * log looks. Behind the newest record there may be one more chunk: a commit that holds none, without which a
 * batch would not appear. TERN_AGAIN: the log holds none; TERN_E_FULL: the gateway takes none now; or an
 * error. */
static int find_chunk(struct tern_lane *lane)
{
    struct tern_sender *sender = &lane->sender;
    struct tern_log_chunk *chunk = &sender->chunk;
    /* A chunk once begun is finished, so that a window smaller than a chunk does not hold it for ever. */
    if (sender->offset < chunk->size && tern_log_is_there(&lane->log, chunk))
        return TERN_OK;
    if (sender->before + sender->sent >= sender->window)
        return TERN_E_FULL;
    if (sender->sequence >= lane->log.next && (sender->state & LOOKED_BEHIND) != 0)
        return TERN_AGAIN;
    sender->state &= (uint8_t)~LOOKED_BEHIND;
    int status = tern_log_find(&lane->log, sender->sequence, chunk);
    if (status != TERN_OK) {
        sender->state |= LOOKED_BEHIND;
        chunk->size = 0;
        return status;
    }
    /* The log may have moved the chunk, which is then the same. */
    if (chunk->first != sender->first || sender->offset > chunk->size)
        sender->offset = 0;
    sender->first = chunk->first;
    return TERN_OK;
}

static int send_part(struct tern *tern, struct tern_lane *lane)
{
    struct tern_sender *sender = &lane->sender;
    const struct tern_log_chunk *chunk = &sender->chunk;
    int32_t size =
        send_bytes(tern, lane, TERN_PART, chunk->first, sender->offset, chunk->size, chunk->address);
    if (size < 0)
        return (int)size;
    sender->sent += (uint32_t)size;
    sender->offset = (uint16_t)(sender->offset + size);
    if (sender->offset == chunk->size) {
        sender->sequence = chunk->next;
        if (chunk->next == chunk->first)
            sender->first = 0; /* the next chunk has the same first sequence, and is another */
    }
    return TERN_OK;
}

static void send_gap(struct tern *tern, struct tern_lane *lane, uint32_t next)
{
    struct tern_output output;
    begin_frame(tern, &output, TERN_GAP, lane->log.lane, lane->sender.sequence, next - 1);
    tern_write8(&output, lane->sender.chunk.reason);
    end_frame(tern, lane, &output);
    lane->sender.sequence = next;
}

/* One frame of this lane, if it has one to send. TERN_OK: a frame is ready; TERN_AGAIN: none; or an error. */
static int send_lane(struct tern *tern, struct tern_lane *lane)
{
    struct tern_sender *sender = &lane->sender;
    const struct tern_log *log = &lane->log;
    if ((sender->state & WELCOMED) == 0)
        return TERN_AGAIN;
    bool old = (sender->state & OLD_EPOCH) != 0;
    /* The old epoch has come to its end, or the count has begun again: on to the next. */
    if ((old && !tern_push_is_old(log)) || sender->sequence > log->next) {
        tern_push_call(tern, 0);
        return TERN_AGAIN;
    }
    int status = find_chunk(lane);
    if (status < 0)
        return status;
    uint32_t there = status == TERN_OK ? sender->chunk.first : log->next;
    if (old && there >= log->epochs[0].base) {
        there = log->epochs[0].base;
        status = TERN_AGAIN;
        sender->chunk.reason &= (uint8_t)~TERN_GAP_LEADS;
    }
    if (there > sender->sequence) {
        send_gap(tern, lane, there);
        return TERN_OK;
    }
    return status == TERN_OK ? send_part(tern, lane) : status;
}

/* The log has lost the only copy of a schema, and firmware has not written it again: the chunk that the
 * gateway waits at cannot be decoded by anybody, and is given up. */
static int give_up_chunk(struct tern *tern, struct tern_lane *lane)
{
    struct tern_sender *sender = &lane->sender;
    struct tern_log *log = &lane->log;
    struct tern_log_chunk chunk;
    chunk.address = TERN_NO_ADDRESS;
    if ((sender->state & WELCOMED) == 0 || tern_log_find(log, log->acked, &chunk) != TERN_OK ||
        chunk.first > log->acked || !tern_log_names(log, &chunk, tern->want))
        return TERN_AGAIN;
    sender->chunk.reason = TERN_GAP_DAMAGED | TERN_GAP_LEADS;
    sender->chunk.size = 0;
    sender->sequence = log->acked;
    bool ends = (sender->state & OLD_EPOCH) != 0 && chunk.next > log->epochs[0].base;
    send_gap(tern, lane, ends ? log->epochs[0].base : chunk.next);
    return TERN_OK;
}

static int send_schema(struct tern *tern)
{
    struct tern_lane *lane = &tern->config->lanes[tern->want_lane];
    uint32_t address;
    uint32_t size;
    int32_t sent = 0;
    if (tern_log_find_schema(&lane->log, tern->want, &address, &size) != TERN_OK) {
        int status = give_up_chunk(tern, lane);
        tern->want = 0;
        return status;
    }
    if (tern->want_offset < size)
        sent = send_bytes(tern, lane, TERN_SCHEMA, tern->want, tern->want_offset, size, address);
    tern->want_offset = (uint16_t)(tern->want_offset + sent);
    if (sent > 0)
        return TERN_OK;
    tern->want = 0;
    return TERN_AGAIN;
}

/* The next frame, the most urgent first. */
int tern_push_send(struct tern *tern)
{
    int status = tern->want != 0 ? send_schema(tern) : TERN_AGAIN;
    for (uint8_t i = 0; status != TERN_OK && i < tern->config->lane_count; i++)
        status = send_lane(tern, &tern->config->lanes[i]);
    return status;
}
