/* SPDX-License-Identifier: MIT */
/* A stream of any bytes: frames that come out have a right CRC and fit, and what is encoded again comes
 * back. */
#include <stdlib.h>
#include <string.h>

#include "../core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const uint8_t *frame, size_t size)
{
    static uint8_t buffer[TERN_STREAM_SIZE(TERN_FRAME_MAX) + 16], decoded[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    struct tern_cobs cobs = {decoded, sizeof(decoded), 0};
    int got = 0;
    memcpy(buffer + TERN_COBS_OFFSET(size), frame, size);
    size_t length = tern_cobs_encode(buffer, TERN_COBS_OFFSET(size), size);
    for (size_t i = 0; i < length; i++)
        got = tern_cobs_take(&cobs, buffer[i]);
    if (got != (int)size || memcmp(decoded, frame, size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    struct tern_cobs cobs = {frame, sizeof(frame), 0};
    for (size_t i = 0; i < size; i++) {
        int got = tern_cobs_take(&cobs, data[i]);
        if (got > (int)sizeof(frame))
            abort();
        if (got > 0 && got <= TERN_FRAME_MAX)
            encode_again(frame, (size_t)got);
        if (got > 0)
            (void)tern_frame_check(frame, (size_t)got, 0);
    }
    return 0;
}
