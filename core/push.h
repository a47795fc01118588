/* SPDX-License-Identifier: MIT */
/* The device's side of the protocol (PROTOCOL.md section 7): a state machine over the link and the logs. Sans-I/O: each step takes
 * what the link has and gives it at most one frame. */
#ifndef TERN_PUSH_H
#define TERN_PUSH_H

#include "tern.h"

void tern_push_open(struct tern *tern);

/* One step at clock time `now`: takes in what has arrived, sends at most one frame. Returns the milliseconds until the next
 * step is due (0: at once). */
int32_t tern_push_step(struct tern *tern, uint32_t now);

#endif
