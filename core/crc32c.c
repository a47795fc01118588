/* SPDX-License-Identifier: MIT */
#include "crc32c.h"

#define POLYNOMIAL 0x82F63B78u /* Castagnoli, bits reflected */

uint32_t tern_crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *byte = data;
    crc = ~crc;
    for (; size != 0; size--) {
        crc ^= *byte++;
        for (uint8_t bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (POLYNOMIAL & ((uint32_t)0 - (crc & 1u)));
    }
    return ~crc;
}
