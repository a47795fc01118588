/* SPDX-License-Identifier: MIT */
#include "hold.h"

#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"

#define HEAD 2u /* the frame's size */

static bool make_room(struct tern_hold *hold, size_t size)
{
    size_t capacity = hold->capacity == 0 ? 2048 : hold->capacity;
    while (capacity < size)
        capacity *= 2;
    if (capacity > TERN_HOLD_MAX)
        return false;
    uint8_t *bytes = capacity == hold->capacity ? hold->bytes : realloc(hold->bytes, capacity);
    if (bytes == NULL)
        return false;
    hold->bytes = bytes;
    hold->capacity = capacity;
    return true;
}

void tern_hold_add(struct tern_hold *hold, const uint8_t *frame, size_t size)
{
    /* Behind a hole nothing is of use. */
    if (hold->is_lossy || size > UINT16_MAX || !make_room(hold, hold->size + HEAD + size)) {
        hold->is_lossy = true;
        return;
    }
    tern_store16(hold->bytes + hold->size, (uint16_t)size);
    memcpy(hold->bytes + hold->size + HEAD, frame, size);
    hold->size += HEAD + size;
}

const uint8_t *tern_hold_next(struct tern_hold *hold, size_t *size)
{
    if (hold->at == hold->size)
        return NULL;
    const uint8_t *frame = hold->bytes + hold->at + HEAD;
    *size = tern_load16(hold->bytes + hold->at);
    hold->at += HEAD + *size;
    return frame;
}

void tern_hold_clear(struct tern_hold *hold)
{
    free(hold->bytes);
    memset(hold, 0, sizeof *hold);
}
