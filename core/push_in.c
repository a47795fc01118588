/* SPDX-License-Identifier: MIT */
/* Frames from the gateway. */
#include "frame.h"
#include "push.h"

#define EPOCH_MAX 0x7FFFFFFFu
#define LANE_MASK 7u

/* The numbers that WELCOME and ACK begin with, behind the lane. WANT has two. */
enum field {
    NEXT,
    OPEN,
    PART_FIRST,
    PART_OFFSET,
    WINDOW,
    PAUSE,
    FIELDS,
    WANT_HASH = 0,
    WANT_OFFSET,
    WANT_FIELDS
};

#define ID_SIZE 8u /* of nonce and store, which are compared and copied as they stand */

/* How much is under way: what has been sent since a mark that has been acknowledged, and since the one before
 * it. */
static void acknowledge(struct tern_lane *lane, const uint32_t *fields)
{
    struct tern_sender *sender = &lane->sender;
    uint32_t next = fields[NEXT];
    lane->log.acked = next - fields[OPEN];
    sender->window = fields[WINDOW];
    if (next < sender->mark)
        return;
    sender->before = next < sender->sequence ? sender->sent : 0;
    sender->sent = 0;
    sender->mark = sender->sequence;
}

/* ---- WELCOME --------------------------------------------------------------------------------- */

static bool open_epoch(struct tern_log *log, uint32_t epoch, uint32_t base)
{
    return epoch - 1 < EPOCH_MAX && (epoch & LANE_MASK) == log->lane &&
           tern_log_set_epoch(log, epoch, base) == TERN_OK;
}

/* Goes on where the store is. Records that went out on trust are not called back, where they begin with what
 * the store expects. Any later WELCOME says that something was lost on the way. */
static void follow(struct tern_lane *lane, const uint32_t *fields)
{
    struct tern_sender *sender = &lane->sender;
    uint32_t next = fields[NEXT];
    uint8_t state = (uint8_t)((sender->state & OLD_EPOCH) | WELCOMED | ACK_IS_EXACT);
    if ((sender->state & ON_TRUST) == 0 || sender->sent == 0 || next < lane->log.acked ||
        next > sender->sequence) {
        uint32_t behind = sender->chunk.next; /* up to here an ACK may still come */
        tern_push_begin(sender, next);
        sender->chunk.next = behind;
        sender->first = fields[PART_FIRST];
        sender->offset = (uint16_t)fields[PART_OFFSET];
    }
    acknowledge(lane, fields);
    sender->state = state;
}

/* The newest point up to which store and log surely hold the same; 0: the message is broken. What has been
 * erased, or is lost, cannot be compared and is believed: its numbers have not been given out again. */
static uint32_t shared_point(struct tern_log *log, uint32_t next, struct tern_input *tails)
{
    uint32_t crc;
    while (tails->size != 0) {
        uint32_t end = next - tern_read_varint(tails);
        uint32_t said = tern_read_varint(tails);
        if (tails->failed)
            return 0;
        int status = tern_log_segment_crc(log, end, &crc);
        if (status == TERN_E_CORRUPT || (status == TERN_OK && crc == said))
            return end;
    }
    return tern_log_oldest(log);
}

static void meet(struct tern *tern, struct tern_lane *lane, const uint32_t *fields, struct tern_input *tails)
{
    struct tern_log *log = &lane->log;
    bool old = tern_push_is_old(log);
    uint32_t base = log->epochs[old].base;
    uint32_t end = old ? log->epochs[0].base : log->next;
    uint32_t next = fields[NEXT];
    uint32_t shared = next;
    bool inside = next >= base && next <= end;
    if (!inside || tails->size != 0)
        shared = shared_point(log, next, tails);
    if (inside && shared == next) {
        follow(lane, fields);
        return;
    }
    if (shared < base)
        shared = base;
    if (shared > end)
        shared = end;
    /* Two logs have gone by this epoch's name. What the store does not surely share goes by another from here
     * on; where an old epoch is shared to its end, it does so already. */
    if (!tails->failed &&
        ((old && shared == end) || open_epoch(log, log->epochs[0].epoch + TERN_EPOCH_STEP, shared))) {
        log->acked = shared;
        tern_push_call(tern, 0);
    }
}

static enum tern_push_taken on_welcome(struct tern *tern, struct tern_lane *lane, const uint32_t *fields,
                                       struct tern_input *input)
{
    const uint8_t *ids = tern_read_bytes(input, 3 * ID_SIZE);
    uint32_t epoch = tern_read_varint(input);
    const struct tern_epoch *own = &lane->log.epochs[tern_push_is_old(&lane->log)];
    if (input->failed || memcmp(ids, tern->nonce, ID_SIZE) != 0 || tern->state != TERN_PUSH_TALKING)
        return TERN_PUSH_BAD;
    memcpy(&lane->log.store, ids + ID_SIZE, ID_SIZE);
    tern->time = tern_load64(ids + 2 * ID_SIZE);
    tern->refused = 0;
    tern->tries = 0;
    tern->wait = fields[PAUSE];
    if (own->epoch == epoch ? epoch != 0 : own->epoch == 0 && open_epoch(&lane->log, epoch, 1))
        meet(tern, lane, fields, input);
    return TERN_PUSH_HEARD;
}

/* ---- The others ------------------------------------------------------------------------------ */

static enum tern_push_taken on_ack(struct tern *tern, struct tern_lane *lane, const uint32_t *fields)
{
    struct tern_sender *sender = &lane->sender;
    uint32_t next = fields[NEXT];
    uint32_t acked = lane->log.acked;
    if ((sender->state & WELCOMED) == 0)
        return TERN_PUSH_TAKEN;
    if (next - fields[OPEN] < acked || (next > sender->sequence && next > sender->chunk.next))
        return TERN_PUSH_BAD;
    acknowledge(lane, fields);
    /* After a WELCOME that asked for it again, an ACK from before it may show that it is not needed. */
    if (next > sender->sequence)
        sender->sequence = next;
    if (next == acked && fields[PAUSE] == 0)
        return TERN_PUSH_TAKEN;
    tern->tries = 0;
    tern->wait = fields[PAUSE];
    return TERN_PUSH_HEARD;
}

static enum tern_push_taken on_refused(struct tern *tern, uint8_t reason)
{
    tern->refused = reason;
    tern_push_call(tern, (TERN_PUSH_REFUSED_MS << tern->tries) + (tern_push_random(tern) & 0xFFFu));
    if (tern->tries < TERN_PUSH_TRIES_MAX)
        tern->tries++;
    return TERN_PUSH_HEARD;
}

enum tern_push_taken tern_push_take(struct tern *tern, size_t size)
{
    const uint8_t *frame = tern->receive;
    uint32_t fields[FIELDS];
    uint8_t kind = frame[0];
    uint8_t byte = frame[1];
    bool is_lane = byte < tern->config->lane_count;
    struct tern_lane *lane = &tern->config->lanes[is_lane ? byte : 0];
    if (tern_frame_check(frame, size, tern_push_epoch(lane)) != TERN_OK)
        return TERN_PUSH_BAD;
    if (kind == TERN_REFUSED)
        return on_refused(tern, byte);
    struct tern_input input = {frame + 2, size - TERN_FRAME_MIN - 1, false};
    for (uint8_t i = 0; i < (kind == TERN_WANT ? WANT_FIELDS : FIELDS); i++)
        fields[i] = tern_read_varint(&input);
    if (input.failed || !is_lane || (kind != TERN_WANT && fields[OPEN] >= fields[NEXT]))
        return TERN_PUSH_BAD;
    if (kind == TERN_ACK)
        return on_ack(tern, lane, fields);
    if (kind == TERN_WELCOME)
        return on_welcome(tern, lane, fields, &input);
    if (kind != TERN_WANT)
        return TERN_PUSH_BAD;
    tern->want = fields[WANT_HASH];
    tern->want_offset = (uint16_t)fields[WANT_OFFSET];
    tern->want_lane = byte;
    return TERN_PUSH_TAKEN;
}

/* Frames end with a zero. What is too long to be one is dropped, and the rest of it fails the check. */
int32_t tern_push_receive(struct tern *tern)
{
    const struct tern_link *link = tern->config->link;
    uint8_t *buffer = tern->receive;
    if (link->datagram != 0) {
        int32_t got = link->receive(link->context, buffer, TERN_RECEIVE_SIZE);
        return got <= 0 || got > TERN_RECEIVE_SIZE ? -1 : got + 1;
    }
    uint8_t size = tern->received;
    while (size < sizeof(tern->receive)) {
        tern->received = size;
        if (link->receive(link->context, buffer + size, 1) != 1)
            return -1;
        if (buffer[size] == 0)
            break;
        size++;
    }
    tern->received = 0;
    return size == 0 ? 0 : 1 + (int32_t)tern_cobs_decode(buffer, size);
}
