/* SPDX-License-Identifier: MIT */
/* The device's side of the protocol (PROTOCOL.md section 7): a state machine over the link and the logs.
 * Sans-I/O: each step takes what the link has and gives it at most one frame. push.c keeps the time,
 * push_in.c takes what arrives, push_out.c sends. */
#ifndef TERN_PUSH_H
#define TERN_PUSH_H

#include "log.h"
#include "tern.h"

/* One step at clock time `now`: takes in what has arrived, sends at most one frame. Returns the milliseconds
 * until the next step is due (0: at once). */
int32_t tern_push_step(struct tern *tern, uint32_t now);

/* ---- Between push.c, push_in.c and push_out.c ------------------------------------------------ */

#define TERN_PUSH_TRIES_MAX  5u
#define TERN_PUSH_REFUSED_MS 16000u /* doubled for each time that the gateway has refused */

enum tern_push_state { TERN_PUSH_DOWN, TERN_PUSH_HELLO, TERN_PUSH_TALKING };

/* What a frame was. HEARD: it begins the wait for the next anew. */
enum tern_push_taken { TERN_PUSH_BAD, TERN_PUSH_TAKEN, TERN_PUSH_HEARD };

/* Bits of struct tern_sender.state. */
enum tern_sender_state {
    WELCOMED = 1,      /* in this session, or on trust behind a HELLO */
    ACK_IS_EXACT = 2,  /* log.acked comes from the gateway, not from a mark in flash */
    OLD_EPOCH = 4,     /* the session is about the epoch before the one in force */
    ON_TRUST = 8,      /* records went out right behind the HELLO, and its WELCOME has not come yet */
    LOOKED_BEHIND = 16 /* behind the newest record no commit without one stands, or it has been sent */
};

/* The epoch before the one in force matters for as long as records of it have not been acknowledged. */
static inline bool tern_push_is_old(const struct tern_log *log)
{
    return log->epochs[1].epoch != 0 && log->acked < log->epochs[0].base;
}

/* Reads from the link up to the end of a frame. Negative: it has not come yet; 0: no frame; else a frame's
 * size and one more; it stands in tern->receive until the next call. */
int32_t tern_push_receive(struct tern *tern);
enum tern_push_taken tern_push_take(struct tern *tern, size_t size);

/* The epoch that the lane's session is about. */
static inline uint32_t tern_push_epoch(const struct tern_lane *lane)
{
    return lane->log.epochs[lane->sender.state / OLD_EPOCH & 1u].epoch;
}

/* The next frame, the most urgent first, into the buffer. TERN_OK; TERN_AGAIN: there is none; or an error. */
int tern_push_send(struct tern *tern);
void tern_push_hello(struct tern *tern, uint32_t now);

uint32_t tern_push_random(const struct tern *tern);

/* Sends from record `sequence` on, and knows nothing else. */
void tern_push_begin(struct tern_sender *sender, uint32_t sequence);

/* Says HELLO, `wait` milliseconds after tern->since. */
void tern_push_call(struct tern *tern, uint32_t wait);

#endif
