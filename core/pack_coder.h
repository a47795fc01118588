/* SPDX-License-Identifier: MIT */
/* What both ends of the range coder have in common: contexts (PACK.md). */
#ifndef TERN_PACK_CODER_H
#define TERN_PACK_CODER_H

#include "pack.h"

#define RANGE_MIN ((uint32_t)1 << 24)

/* Contexts are stored with this exclusive-ored in, so that zeros are one that was never used: even odds. */
#define UNUSED (2048u << 4)

/* What is added of the distance to a decision, in 1/256, by how often its context has been used: about 1 /
 * (uses + 1.5). */
static const uint8_t rates[16] = {102, 85, 64, 53, 45, 38, 33, 29, 25, 21, 18, 15, 13, 11, 9, 8};

/* What becomes of a context, in plain, when a bit has come: its probability moves towards one. It stays
 * within 1 to 4095. */
static uint32_t adapted(uint32_t state, unsigned bit)
{
    uint32_t flip = (0u - bit) & 4095u;
    uint32_t other = state >> 4 ^ flip;
    uint32_t uses = state & 15u;
    other -= (other * rates[uses]) >> 8;
    return (other ^ flip) << 4 | (uses + (uses != 15));
}

#endif
