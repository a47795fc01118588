/* SPDX-License-Identifier: MIT */
/* Frames (PROTOCOL.md section 6): COBS, CRC, and messages' names. */
#ifndef TERN_FRAME_H
#define TERN_FRAME_H

#include "bytes.h"
#include "tern.h"

enum tern_message {
    TERN_HELLO = 0x01,
    TERN_PART = 0x02,
    TERN_GAP = 0x03,
    TERN_SCHEMA = 0x04,
    TERN_WELCOME = 0x41,
    TERN_ACK = 0x42,
    TERN_WANT = 0x43,
    TERN_REFUSED = 0x44
};

enum tern_gap_reason {
    TERN_GAP_OVERFLOW = 1,
    TERN_GAP_REFUSED = 2,
    TERN_GAP_DAMAGED = 3,
    TERN_GAP_RETENTION = 4,
    TERN_GAP_REJECTED = 5,
    TERN_GAP_HELD = 6
};

/* Bit of a GAP's reason: the records behind it, up to the next commit, may belong together with some that are
 * gone. */
#define TERN_GAP_LEADS 8u

enum tern_refused_reason {
    TERN_REFUSED_VERSION = 1,
    TERN_REFUSED_IDENTITY = 2,
    TERN_REFUSED_BUSY = 3,
    TERN_REFUSED_SCHEMA = 4,
    TERN_REFUSED_STORE = 5,
    TERN_REFUSED_LIMIT = 6
};

#define TERN_PROTOCOL_VERSION 2
#define TERN_FRAME_MIN        5    /* bare: kind and CRC */
#define TERN_FRAME_MAX        1088 /* bare */
#define TERN_WINDOW_MAX       1048576u

/* Room in a stream for a bare frame of `size` bytes: COBS, and a zero on either side. */
#define TERN_STREAM_SIZE(size) ((size) + (size) / 254u + 3u)

/* Appends the CRC to the `size` bytes of kind and body; the buffer must hold 4 more. `epoch`: what the
 * session of the frame's lane is about; it goes into the CRC of the messages that are of one, and nowhere
 * else. Returns the bare frame's size. */
size_t tern_frame_seal(uint8_t *frame, size_t size, uint32_t epoch);

/* TERN_OK when the bytes are a bare frame with a right CRC (its body then is [1, size - 4)), and of that
 * epoch; else TERN_E_CORRUPT. */
int tern_frame_check(const uint8_t *frame, size_t size, uint32_t epoch);

/* Where in its buffer a bare frame of `size` bytes must stand, at least, to be encoded in place. */
#define TERN_COBS_OFFSET(size) (3u + ((size) >> 7))

/* Encodes in place: the bare frame stands at buffer + offset, and the stream form, a leading and a closing
 * zero included, is written from buffer[0] on. Returns its length, at most TERN_STREAM_SIZE(size). */
size_t tern_cobs_encode(uint8_t *buffer, size_t offset, size_t size);

/* Decodes in place the `size` bytes that stood between two zeros. Returns the bare frame's size, 0 when it is
 * cut off. */
size_t tern_cobs_decode(uint8_t *bytes, size_t size);

/* Takes a stream byte by byte. All zeros, with buffer and capacity set, is its first state. The buffer holds
 * a frame as it comes, so that its capacity is TERN_STREAM_SIZE() of the largest. */
struct tern_cobs {
    uint8_t *buffer;
    size_t capacity;
    size_t size;
};

/* Takes one byte. Returns the size of a whole frame that it ended (in the buffer, valid until the next call),
 * 0 when there is none yet, TERN_E_CORRUPT when a bad or too long frame ended. Empty frames are passed
 * over. */
int tern_cobs_take(struct tern_cobs *cobs, uint8_t byte);

#endif
