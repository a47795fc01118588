/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/frame.h"

static uint8_t buffer[TERN_STREAM_SIZE(TERN_FRAME_MAX) + 64];

static size_t encode(const uint8_t *bare, size_t size)
{
    memcpy(buffer + TERN_COBS_OFFSET(size), bare, size);
    return tern_cobs_encode(buffer, TERN_COBS_OFFSET(size), size);
}

static void every_length_and_pattern_comes_back(void)
{
    static uint8_t bare[TERN_FRAME_MAX], decoded[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    uint64_t state = 1;
    for (size_t size = 1; size <= TERN_FRAME_MAX; size += size < 600 ? 1 : 61)
        for (int pattern = 0; pattern < 4; pattern++) {
            for (size_t i = 0; i < size; i++)
                bare[i] = (uint8_t)(pattern == 0   ? 0
                                    : pattern == 1 ? 0xFF
                                    : pattern == 2 ? test_random(&state)
                                                   : test_random(&state) % 3);
            size_t length = encode(bare, size);
            struct tern_cobs cobs = {decoded, sizeof(decoded), 0};
            int got = 0;
            CHECK(length <= TERN_STREAM_SIZE(size) && buffer[0] == 0 &&
                  memchr(buffer + 1, 0, length - 2) == NULL);
            for (size_t i = 0; i < length; i++)
                got = tern_cobs_take(&cobs, buffer[i]);
            if (!CHECK(got == (int)size && memcmp(decoded, bare, size) == 0))
                return;
        }
}

/* DESIGN.md, Protocol: framing costs at most 1 % and 8 bytes. */
static void overhead_is_at_most_one_percent_and_eight_bytes(void)
{
    for (size_t body = 1; body + TERN_FRAME_MIN <= TERN_FRAME_MAX; body++)
        CHECK(TERN_STREAM_SIZE(body + TERN_FRAME_MIN) * 100 <= body * 101 + 900);
}

static void a_receiver_is_in_step_again_behind_the_next_frame(void)
{
    uint8_t decoded[64], stream[256];
    const uint8_t bare[] = {1, 2, 0, 3, 4};
    uint64_t state = 9;
    for (int round = 0; round < 20000; round++) {
        struct tern_cobs cobs = {decoded, sizeof(decoded), 0};
        size_t size = test_random(&state) % 100;
        int good = 0;
        for (size_t i = 0; i < size; i++)
            stream[i] = (uint8_t)test_random(&state);
        for (int frame = 0; frame < 2; frame++) {
            size_t length = encode(bare, sizeof(bare));
            memcpy(stream + size, buffer, length);
            size += length;
        }
        for (size_t i = 0; i < size; i++)
            if (tern_cobs_take(&cobs, stream[i]) == (int)sizeof(bare) &&
                memcmp(decoded, bare, sizeof(bare)) == 0)
                good++;
        if (!CHECK(good >= 2))
            return;
    }
}

static void a_frame_too_long_is_dropped_and_the_next_one_taken(void)
{
    uint8_t decoded[9]; /* as it comes, with one byte of overhead */
    const uint8_t large[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct tern_cobs cobs = {decoded, sizeof(decoded), 0};
    int ends[2] = {0, 0};
    for (size_t frame = 0; frame < 2; frame++) {
        size_t length = encode(large, 9 - frame);
        for (size_t i = 0; i < length; i++) {
            int got = tern_cobs_take(&cobs, buffer[i]);
            ends[frame] = got != 0 ? got : ends[frame];
        }
    }
    CHECK_EQ(ends[0], -9);
    CHECK_EQ(ends[1], 8);
}

static void a_cut_frame_is_bad(void)
{
    uint8_t decoded[64];
    const uint8_t bare[] = {9, 8, 7, 6, 5, 4};
    size_t length = encode(bare, sizeof(bare));
    for (size_t cut = 2; cut < length - 1; cut++) {
        struct tern_cobs cobs = {decoded, sizeof(decoded), 0};
        for (size_t i = 0; i < cut; i++)
            CHECK_EQ(tern_cobs_take(&cobs, buffer[i]), 0);
        CHECK(tern_cobs_take(&cobs, 0) < 0);
    }
}

static void the_crc_finds_every_one_and_two_bit_error(void)
{
    uint8_t frame[20] = {TERN_ACK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    size_t size = tern_frame_seal(frame, 16, 77);
    CHECK_EQ(tern_frame_check(frame, size, 77), TERN_OK);
    for (unsigned a = 0; a < size * 8; a++)
        for (unsigned b = a; b < size * 8; b++) {
            frame[a / 8] ^= (uint8_t)(1u << a % 8);
            if (b != a)
                frame[b / 8] ^= (uint8_t)(1u << b % 8);
            if (!CHECK_EQ(tern_frame_check(frame, size, 77), TERN_E_CORRUPT))
                return;
            frame[a / 8] ^= (uint8_t)(1u << a % 8);
            if (b != a)
                frame[b / 8] ^= (uint8_t)(1u << b % 8);
        }
    for (uint32_t epoch = 0; epoch < 100000; epoch++)
        CHECK_EQ(tern_frame_check(frame, size, epoch), epoch == 77 ? TERN_OK : TERN_E_CORRUPT);
}

/* One byte of COBS for each 254 begun (PROTOCOL.md section 6): no empty block behind a full one. */
static void a_full_last_block_ends_the_frame(void)
{
    uint8_t bare[508];
    memset(bare, 0xFF, sizeof(bare));
    CHECK_EQ(encode(bare, 254), 1 + 1 + 254 + 1);
    CHECK_EQ(encode(bare, 508), 1 + 2 * 255 + 1);
    CHECK_EQ(encode(bare, 255), 1 + 255 + 2 + 1);
}

/* With a right CRC, each: what is refused is the length. */
static void a_frame_is_from_five_bytes_to_the_longest(void)
{
    static uint8_t frame[TERN_FRAME_MAX + 1];
    CHECK_EQ(tern_frame_seal(frame, 0, 7), TERN_FRAME_MIN - 1);
    CHECK_EQ(tern_frame_check(frame, TERN_FRAME_MIN - 1, 7), TERN_E_CORRUPT);
    CHECK_EQ(tern_frame_seal(frame, 1, 7), TERN_FRAME_MIN);
    CHECK_EQ(tern_frame_check(frame, TERN_FRAME_MIN, 7), TERN_OK);
    CHECK_EQ(tern_frame_seal(frame, TERN_FRAME_MAX - 4, 7), TERN_FRAME_MAX);
    CHECK_EQ(tern_frame_check(frame, TERN_FRAME_MAX, 7), TERN_OK);
    CHECK_EQ(tern_frame_seal(frame, TERN_FRAME_MAX - 3, 7), TERN_FRAME_MAX + 1);
    CHECK_EQ(tern_frame_check(frame, TERN_FRAME_MAX + 1, 7), TERN_E_CORRUPT);
}

/* However much comes before the zero: the count of it does not come round to a good frame's. */
static void an_endless_frame_is_bad_and_writes_nothing_behind_the_buffer(void)
{
    uint8_t decoded[9] = {0};
    struct tern_cobs cobs = {decoded, 8, 0};
    for (size_t i = 0; i < 9; i++)
        CHECK_EQ(tern_cobs_take(&cobs, 1), 0);
    CHECK_EQ(cobs.size, 9);
    CHECK_EQ(decoded[8], 0);
    for (size_t i = 0; i < 100000; i++)
        CHECK_EQ(tern_cobs_take(&cobs, 1), 0);
    CHECK_EQ(cobs.size, 9);
    CHECK_EQ(tern_cobs_take(&cobs, 0), TERN_E_CORRUPT);
    CHECK_EQ(tern_cobs_take(&cobs, 0), 0);
}

int main(void)
{
    RUN(every_length_and_pattern_comes_back);
    RUN(overhead_is_at_most_one_percent_and_eight_bytes);
    RUN(a_receiver_is_in_step_again_behind_the_next_frame);
    RUN(a_frame_too_long_is_dropped_and_the_next_one_taken);
    RUN(a_cut_frame_is_bad);
    RUN(the_crc_finds_every_one_and_two_bit_error);
    RUN(a_full_last_block_ends_the_frame);
    RUN(a_frame_is_from_five_bytes_to_the_longest);
    RUN(an_endless_frame_is_bad_and_writes_nothing_behind_the_buffer);
    return test_report();
}
