/* SPDX-License-Identifier: MIT */
/* What a peer has to say: nothing is queued, each frame is made of what is so when there is room for it. */
#include "peer.h"

#include <string.h>

/* bytes of a bare frame; every device takes 64, and tails go into what it takes beyond */
#define WELCOME_MAX 96u
#define TAIL_MAX    10u

/* Where frames go, stream form, one behind the other. */
struct giver {
    uint8_t *buffer;
    size_t size, capacity;
    struct tern_output body;
    uint8_t bare[WELCOME_MAX];
};

static struct tern_output *begin_frame(struct giver *giver, uint8_t kind)
{
    giver->body = (struct tern_output){giver->bare, 0, sizeof giver->bare - 4, false};
    tern_write8(&giver->body, kind);
    return &giver->body;
}

/* False when there is no room for it. */
static bool end_frame(struct giver *giver, uint32_t epoch)
{
    size_t size = tern_frame_seal(giver->bare, giver->body.size, epoch);
    if (giver->body.failed || TERN_STREAM_SIZE(size) > giver->capacity - giver->size)
        return false;
    uint8_t *to = giver->buffer + giver->size;
    memcpy(to + TERN_COBS_OFFSET(size), giver->bare, size);
    giver->size += tern_cobs_encode(to, TERN_COBS_OFFSET(size), size);
    return true;
}

/* Small for a range that the store holds nothing of: what may have to be held for want of a schema must be
 * bounded. */
static uint32_t window_of(const struct tern_peer *peer, const struct tern_peer_range *range)
{
    uint32_t window = peer->config->window;
    bool is_new = range->stage->durable.next == range->stage->base;
    return is_new && window > TERN_FIRST_WINDOW ? TERN_FIRST_WINDOW : window;
}

/* What WELCOME and ACK begin with. */
static void write_state(struct tern_output *body, const struct tern_peer *peer, struct tern_peer_range *range)
{
    const struct tern_stage_position *durable = &range->stage->durable;
    tern_write8(body, range->lane);
    tern_write_varint(body, durable->next);
    tern_write_varint(body, durable->next - durable->run);
    tern_write_varint(body, durable->first);
    tern_write_varint(body, durable->first == 0 ? 0 : durable->offset);
    tern_write_varint(body, window_of(peer, range));
    tern_write_varint(
        body, 0); /* no pause: the window is throttle enough while one store serves a few destinations */
}

static void remember_said(struct tern_peer_range *range)
{
    range->said_next = range->stage->durable.next;
    range->said_run = range->stage->durable.run;
    range->said_first = range->stage->durable.first;
    range->said_offset = range->stage->durable.offset;
    range->acknowledge = false;
}

/* Newest first, as many as the device's frames hold. */
static void write_tails(struct tern_output *body, const struct tern_peer *peer,
                        const struct tern_stage_range *stage)
{
    size_t room = (peer->receive < WELCOME_MAX ? peer->receive : WELCOME_MAX) - 4;
    uint32_t below = stage->durable.next;
    for (;;) {
        const struct tern_stage_tail *newest = NULL;
        for (size_t i = 0; i < TERN_STAGE_TAILS; i++)
            if (stage->tails[i].next != 0 && stage->tails[i].next < below &&
                (newest == NULL || stage->tails[i].next > newest->next))
                newest = &stage->tails[i];
        if (newest == NULL || body->size + TAIL_MAX > room)
            return;
        below = newest->next;
        tern_write_varint(body, stage->durable.next - newest->next);
        tern_write_varint(body, newest->crc);
    }
}

static bool give_welcome(struct tern_peer *peer, struct tern_peer_range *range, struct giver *giver,
                         int64_t wall)
{
    struct tern_output *body = begin_frame(giver, TERN_WELCOME);
    uint32_t last_crc = range->stage->durable.last_crc;
    write_state(body, peer, range);
    tern_write64(body, peer->nonce);
    tern_write64(body, tern_stage_id(peer->config->stage));
    tern_write64(body, (uint64_t)wall);
    tern_write_varint(body, range->stage->epoch);
    if (last_crc != 0) {
        tern_write_varint(body, 0);
        tern_write_varint(body, last_crc);
        write_tails(body, peer, range->stage);
    }
    if (!end_frame(giver, 0))
        return false;
    range->welcome = TERN_WELCOME_NONE;
    range->open = true;
    range->moves = range->stage->moves;
    remember_said(range);
    return true;
}

/* The first WELCOME of a session shows whether device and store still have one history; only then is the
 * device asked to go back. */
static void look_back(const struct tern_peer *peer, struct tern_peer_range *range, int64_t wall)
{
    if (!range->open || range->is_stalled || range->welcome != TERN_WELCOME_NONE)
        return;
    (void)tern_stage_go_back(peer->config->stage, range->stage, wall);
    if (range->moves != range->stage->moves)
        range->welcome = tern_stage_waits(peer->device) ? TERN_WELCOME_WAITS_FOR_SYNC : TERN_WELCOME_DUE;
}

static bool is_ack_due(const struct tern_peer_range *range)
{
    const struct tern_stage_position *durable = &range->stage->durable;
    return range->open && range->welcome == TERN_WELCOME_NONE &&
           (range->acknowledge || durable->next != range->said_next || durable->run != range->said_run ||
            durable->first != range->said_first || durable->offset != range->said_offset);
}

static bool give_ack(struct tern_peer *peer, struct tern_peer_range *range, struct giver *giver)
{
    struct tern_output *body = begin_frame(giver, TERN_ACK);
    write_state(body, peer, range);
    if (!end_frame(giver, range->stage->epoch))
        return false;
    remember_said(range);
    return true;
}

static bool give_want(struct tern_peer *peer, struct giver *giver)
{
    const struct tern_peer_range *range = tern_peer_find(peer, peer->wanted_lane);
    struct tern_output *body = begin_frame(giver, TERN_WANT);
    tern_write8(body, peer->wanted_lane);
    tern_write_varint(body, peer->wanted);
    tern_write_varint(body, peer->wanted_offset);
    if (!end_frame(giver, range == NULL ? 0 : range->stage->epoch))
        return false;
    peer->want = false;
    return true;
}

static bool give_refused(struct tern_peer *peer, struct giver *giver)
{
    struct tern_output *body = begin_frame(giver, TERN_REFUSED);
    tern_write8(body, peer->refused);
    tern_write8(body, 0);
    tern_write_bytes(body, peer->refusal, strlen(peer->refusal));
    if (!end_frame(giver, 0))
        return false;
    peer->refused = 0;
    peer->is_over = true;
    return true;
}

size_t tern_peer_give(struct tern_peer *peer, const struct tern_moment *now, uint8_t *buffer, size_t capacity)
{
    struct giver giver = {.buffer = buffer, .capacity = capacity};
    bool room = true;
    if (peer->refused != 0)
        room = give_refused(peer, &giver);
    for (size_t i = 0; room && i < peer->range_count; i++) {
        struct tern_peer_range *range = &peer->ranges[i];
        if (range->welcome == TERN_WELCOME_DUE)
            room = give_welcome(peer, range, &giver, now->wall);
        look_back(peer, range, now->wall);
        if (room && range->welcome == TERN_WELCOME_DUE)
            room = give_welcome(peer, range, &giver, now->wall);
        else if (room && is_ack_due(range))
            room = give_ack(peer, range, &giver);
    }
    if (room && peer->want)
        give_want(peer, &giver);
    return giver.size;
}
