/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include "crc32c.h"
#include "tern.h"

#define CRC_SIZE 4u

size_t tern_frame_seal(uint8_t *frame, size_t size)
{
    tern_store32(frame + size, tern_crc32c(0, frame, size));
    return size + CRC_SIZE;
}

int tern_frame_check(const uint8_t *frame, size_t size)
{
    if (size < TERN_FRAME_MIN || size > TERN_FRAME_MAX)
        return TERN_E_CORRUPT;
    return tern_crc32c(0, frame, size - CRC_SIZE) == tern_load32(frame + size - CRC_SIZE) ? TERN_OK
                                                                                          : TERN_E_CORRUPT;
}

size_t tern_cobs_encode(uint8_t *buffer, size_t offset, size_t size)
{
    const uint8_t *from = buffer + offset;
    const uint8_t *end = from + size;
    size_t code = 1; /* where the block's code byte goes */
    size_t at = 2;
    buffer[0] = 0;
    for (; from < end; from++) {
        if (*from != 0)
            buffer[at++] = *from;
        if (*from == 0 || (at - code == 0xFF && from + 1 < end)) {
            buffer[code] = (uint8_t)(at - code);
            code = at++;
        }
    }
    buffer[code] = (uint8_t)(at - code);
    buffer[at++] = 0;
    return at;
}

static int end_frame(struct tern_cobs *cobs)
{
    int size = (int)cobs->size;
    bool bad = cobs->skip != 0 || cobs->left != 0;
    cobs->size = 0;
    cobs->code = 0;
    cobs->left = 0;
    cobs->skip = 0;
    return bad ? TERN_E_CORRUPT : size;
}

static void keep(struct tern_cobs *cobs, uint8_t byte)
{
    if (cobs->size == cobs->capacity)
        cobs->skip = 1;
    else
        cobs->buffer[cobs->size++] = byte;
}

int tern_cobs_take(struct tern_cobs *cobs, uint8_t byte)
{
    if (byte == 0)
        return end_frame(cobs);
    if (cobs->skip)
        return 0;
    if (cobs->left != 0) {
        cobs->left--;
        keep(cobs, byte);
        return 0;
    }
    /* A block of less than 255 stands for its bytes and a zero, but for the last block's zero, which is the frame's end. */
    if (cobs->code != 0 && cobs->code != 0xFF)
        keep(cobs, 0);
    cobs->code = byte;
    cobs->left = (uint8_t)(byte - 1);
    return 0;
}
