/* SPDX-License-Identifier: MIT */
#include "push.h"

#define ANSWER_MS  4000u /* the gateway has so long to answer; doubled for each time that it did not */
#define DOWN_MS    1000  /* how often to look whether the link is back */
#define WAITING_MS 20    /* how often to look for an answer */
#define IDLE_MS    1000
#define READS_MAX  8 /* a step, so that a babbling link cannot hold the caller */

uint32_t tern_push_random(const struct tern *tern)
{
    const struct tern_clock *clock = tern->config->clock;
    return clock->random == NULL ? tern->since ^ tern->nonce[1] : clock->random(clock->context);
}

void tern_push_call(struct tern *tern, uint32_t wait)
{
    tern->state = TERN_PUSH_HELLO;
    tern->wait = wait;
}

/* Where its chunk stands is 0 then: there stands a mark, and never a chunk. */
void tern_push_begin(struct tern_sender *sender, uint32_t sequence)
{
    memset(sender, 0, sizeof(*sender));
    sender->sequence = sender->mark = sequence;
}

/* Hands on what the link takes. False: there is more, and the link is busy or lost. */
static bool flush(struct tern *tern)
{
    const struct tern_link *link = tern->config->link;
    while (tern->frame_next < tern->frame_end) {
        uint32_t left = (uint32_t)(tern->frame_end - tern->frame_next);
        int32_t taken = link->send(link->context, tern->config->frame + tern->frame_next, left);
        if (taken <= 0 || (uint32_t)taken > left)
            return false;
        tern->frame_next = (uint16_t)(tern->frame_next + taken);
    }
    return true;
}

/* A new connection starts from nothing: no half frame, no patience left over, unless the gateway refused us
 * on the last one. */
static void watch_link(struct tern *tern, uint32_t now)
{
    const struct tern_link *link = tern->config->link;
    uint32_t session = link->session(link->context);
    if (session == tern->session)
        return;
    tern->session = session;
    tern->frame_end = 0;
    tern->received = 0;
    tern->want = 0;
    if (tern->refused == 0) {
        tern->tries = 0;
        tern->since = now;
        tern->wait = 0;
    }
    tern->state = session == 0 ? TERN_PUSH_DOWN : TERN_PUSH_HELLO;
}

static bool is_waiting_for_answer(const struct tern *tern)
{
    for (uint8_t i = 0; i < tern->config->lane_count; i++) {
        const struct tern_lane *lane = &tern->config->lanes[i];
        if ((lane->sender.state & ACK_IS_EXACT) == 0 || lane->sender.sequence > lane->log.acked)
            return true;
    }
    return false;
}

/* Silence for too long, while something is owed: say HELLO again, and let the WELCOME tell where to go on. */
static int32_t wait_for_answer(struct tern *tern, uint32_t silent, uint32_t now)
{
    if (!is_waiting_for_answer(tern))
        return IDLE_MS;
    if (silent - tern->wait >= ANSWER_MS << tern->tries) {
        if (tern->tries < TERN_PUSH_TRIES_MAX)
            tern->tries++;
        tern_push_call(tern, tern_push_random(tern) & (ANSWER_MS / 4 - 1));
        tern->since = now;
    }
    return WAITING_MS;
}

static void take_frames(struct tern *tern, uint32_t now)
{
    for (uint8_t i = 0; i < READS_MAX; i++) {
        int32_t size = tern_push_receive(tern);
        if (size < 0)
            return;
        if (size == 0)
            continue;
        enum tern_push_taken taken = tern_push_take(tern, (size_t)size - 1);
        if (taken == TERN_PUSH_HEARD)
            tern->since = now;
        if (taken == TERN_PUSH_BAD && tern->bad_frames != UINT16_MAX)
            tern->bad_frames++;
    }
}

int32_t tern_push_step(struct tern *tern, uint32_t now)
{
    watch_link(tern, now);
    if (tern->state == TERN_PUSH_DOWN)
        return DOWN_MS;
    take_frames(tern, now);
    uint32_t silent = now - tern->since;
    if (!flush(tern) || silent < tern->wait)
        return WAITING_MS;
    if (tern->state == TERN_PUSH_HELLO)
        tern_push_hello(tern, now);
    else if (tern_push_send(tern) != TERN_OK)
        return wait_for_answer(tern, silent, now);
    (void)flush(tern);
    return 0;
}
