/* SPDX-License-Identifier: MIT */
/* Frames put aside while the schema of their records is on its way, so that the device need not send them
 * twice. Bounded; takes memory only while something is held. */
#ifndef TERN_HOLD_H
#define TERN_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a device can have under way before its first acknowledgement (TERN_FIRST_WINDOW), the chunk it
 * finishes, and the frames around both. */
#define TERN_HOLD_MAX 16384

/* The window of a range that the store holds nothing of: its schema is probably not known. */
#define TERN_FIRST_WINDOW 8192u

/* All zeros: nothing is held. */
struct tern_hold {
    uint8_t *bytes;
    size_t size, capacity;
    size_t at;     /* of the next frame to be taken back */
    bool is_lossy; /* a frame found no room: the device must send again */
};

/* Puts aside the frame's kind and body. */
void tern_hold_add(struct tern_hold *hold, const uint8_t *frame, size_t size);

/* Takes back the next frame, oldest first; NULL: no more. Valid until the hold is cleared. */
const uint8_t *tern_hold_next(struct tern_hold *hold, size_t *size);

/* Forgets everything and gives the memory back. */
void tern_hold_clear(struct tern_hold *hold);

#endif
