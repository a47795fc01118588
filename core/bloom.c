/* SPDX-License-Identifier: MIT */
#include "bloom.h"

#include "bytes.h"

void tern_bloom_open(struct tern_bloom *bloom, void *memory, uint32_t size, uint32_t limit)
{
    bloom->bits = memory;
    bloom->size = size;
    bloom->limit = limit != 0 ? limit : size >> 1;
    bloom->keys = 0;
    bloom->half = 1;
    memset(memory, 0, (size_t)size);
}

/* The upper half of point * cells, which spreads a point over any number of cells without a division; put
 * together from products of 16 bits, less what their lowest part would carry. */
static uint32_t place(uint32_t point, uint32_t cells)
{
    uint32_t upper = (point >> 16) * (cells >> 16);
    return upper + ((point >> 16) * (cells & 0xFFFFu) >> 16) + ((point & 0xFFFFu) * (cells >> 16) >> 16);
}

bool tern_bloom_has(const struct tern_bloom *bloom, uint64_t hash)
{
    uint32_t point = (uint32_t)hash;
    uint8_t halves = 3;
    for (uint8_t i = TERN_BLOOM_PROBES; i != 0; i--, point += (uint32_t)(hash >> 32) | 1u) {
        uint32_t at = place(point, bloom->size * 4u);
        halves = (uint8_t)(halves & bloom->bits[at >> 2] >> ((at & 3u) << 1));
    }
    return halves != 0;
}

bool tern_bloom_add(struct tern_bloom *bloom, uint64_t hash)
{
    uint32_t point = (uint32_t)hash;
    unsigned halves = 3;
    for (unsigned i = TERN_BLOOM_PROBES; i != 0; i--, point += (uint32_t)(hash >> 32) | 1u) {
        uint32_t at = place(point, bloom->size * 4u);
        uint8_t *byte = bloom->bits + (at >> 2);
        uint8_t shift = (uint8_t)((at & 3u) << 1);
        halves &= (unsigned)*byte >> shift;
        *byte = (uint8_t)(*byte | (unsigned)bloom->half << shift);
    }
    if ((halves & bloom->half) == 0 && bloom->keys++ == bloom->limit) {
        /* A mark of every cell in a byte at once: 0x55 or 0xAA. */
        unsigned marks = bloom->half * 0x55u;
        bloom->half ^= 3u;
        bloom->keys = 0;
        for (uint32_t i = bloom->size; i-- != 0;)
            bloom->bits[i] = (uint8_t)(bloom->bits[i] & marks);
    }
    return halves != 0;
}

/* Two multiplicative hashes with different constants, each stirred after every byte so that its upper bits,
 * which place() looks at first, and its lower ones depend on all of them. */
uint64_t tern_bloom_hash(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *byte = data;
    uint32_t a = (uint32_t)hash;
    uint32_t b = (uint32_t)(hash >> 32);
    for (; size != 0; size--, byte++) {
        a = (a ^ *byte) * 0x9E3779B1u;
        a ^= a >> 15;
        b = (b + *byte + 1u) * 0x85EBCA6Bu;
        b ^= b >> 13;
    }
    return (uint64_t)b << 32 | a;
}
