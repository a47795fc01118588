/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include "crc32c.h"
#include "tern.h"

#define CRC_SIZE 4u
/* A bit: the message is about records of the session's epoch (PART, GAP, ACK, WANT). */
#define KIND_OF_EPOCH 2u

/* Two epochs never give one CRC: with the same bytes behind it, each beginning has an end of its own. */
static uint32_t frame_crc(const uint8_t *frame, size_t size, uint32_t epoch)
{
    return tern_crc32c((frame[0] & KIND_OF_EPOCH) != 0 ? epoch : 0, frame, size);
}

size_t tern_frame_seal(uint8_t *frame, size_t size, uint32_t epoch)
{
    tern_store32(frame + size, frame_crc(frame, size, epoch));
    return size + CRC_SIZE;
}

int tern_frame_check(const uint8_t *frame, size_t size, uint32_t epoch)
{
    if (size < TERN_FRAME_MIN || size > TERN_FRAME_MAX)
        return TERN_E_CORRUPT;
    return frame_crc(frame, size, epoch) == TERN_CRC32C_RESIDUE ? TERN_OK : TERN_E_CORRUPT;
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

size_t tern_cobs_decode(uint8_t *bytes, size_t size)
{
    const uint8_t *from = bytes;
    uint8_t *to = bytes;
    uint8_t code = 0xFF;
    uint8_t left = 0; /* of the block */
    for (; size != 0; size--) {
        uint8_t byte = *from++;
        if (left != 0) {
            *to++ = byte;
            left--;
            continue;
        }
        /* A block of less than 255 stands for its bytes and a zero, but for the last block's zero, which is
         * the frame's end. */
        if (code != 0xFF)
            *to++ = 0;
        code = byte;
        left = (uint8_t)(byte - 1u);
    }
    return left == 0 ? (size_t)(to - bytes) : 0;
}

int tern_cobs_take(struct tern_cobs *cobs, uint8_t byte)
{
    size_t size = cobs->size;
    if (byte != 0) {
        if (size < cobs->capacity)
            cobs->buffer[size] = byte;
        if (size <= cobs->capacity)
            cobs->size++;
        return 0;
    }
    cobs->size = 0;
    if (size == 0)
        return 0;
    size_t decoded = size > cobs->capacity ? 0 : tern_cobs_decode(cobs->buffer, size);
    return decoded == 0 ? TERN_E_CORRUPT : (int)decoded;
}
