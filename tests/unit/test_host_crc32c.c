/* SPDX-License-Identifier: MIT */
/* The host's CRC-32C, with and without the processor's instruction, against one bit at a time. */
#include "../test.h"

#include "../../host/crc32c.c"

static uint32_t bit_by_bit(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    while (size-- != 0) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (POLYNOMIAL & (0u - (crc & 1u)));
    }
    return ~crc;
}

static uint8_t bytes[300];

static void known_values_come_out(void)
{
    CHECK_EQ(tern_crc32c(0, "123456789", 9), 0xE3069283u);
    CHECK_EQ(tern_crc32c(0, "", 0), 0);
    CHECK_EQ(tern_crc32c(tern_crc32c(0, "1234", 4), "56789", 5), 0xE3069283u);
}

static void every_length_and_alignment_agrees(void)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)test_random(&seed);
    for (size_t from = 0; from < 9; from++) {
        for (size_t size = 0; size + from <= sizeof bytes; size++) {
            uint32_t expected = bit_by_bit(0x12345678, bytes + from, size);
            CHECK_EQ(tern_crc32c(0x12345678, bytes + from, size), expected);
            CHECK_EQ(~crc_tables(~0x12345678u, bytes + from, size), expected);
        }
    }
}

int main(void)
{
    RUN(known_values_come_out);
    RUN(every_length_and_alignment_agrees);
    return test_report();
}
