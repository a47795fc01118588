/* SPDX-License-Identifier: MIT */
/* CRC-32C for the host, which links this instead of core/crc32c.c: eight tables, eight bytes a step (the
 * "slicing-by-8" of M. Kounavis and F. Berry, 2008), or the processor's own instruction where it has one. */
#include "../core/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* Castagnoli, reflected */

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (POLYNOMIAL & (0u - (crc & 1u)));
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xFF];
}

static uint32_t load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint32_t crc_tables(uint32_t crc, const uint8_t *bytes, size_t size)
{
    pthread_once(&tables_once, make_tables);
    for (; size >= 8; bytes += 8, size -= 8) {
        uint32_t low = crc ^ load32(bytes), high = load32(bytes + 4);
        crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
              tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
              tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
    }
    for (; size != 0; bytes++, size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *bytes) & 0xFF];
    return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("sse4.2"))) static uint32_t crc_instruction(uint32_t crc, const uint8_t *bytes,
                                                                  size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size != 0; bytes++, size--)
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    return crc;
}

static uint32_t crc_any(uint32_t crc, const uint8_t *bytes, size_t size)
{
    return __builtin_cpu_supports("sse4.2") ? crc_instruction(crc, bytes, size)
                                            : crc_tables(crc, bytes, size);
}
#else
static uint32_t crc_any(uint32_t crc, const uint8_t *bytes, size_t size)
{
    return crc_tables(crc, bytes, size);
}
#endif

uint32_t tern_crc32c(uint32_t crc, const void *data, size_t size)
{
    return ~crc_any(~crc, data, size);
}
