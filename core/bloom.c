/* SPDX-License-Identifier: MIT */
#include "bloom.h"

#include "bytes.h"

#define BITS_A_KEY 8u

void tern_bloom_open(struct tern_bloom *bloom, void *memory, uint32_t size, uint32_t limit)
{
    bloom->bits = memory;
    bloom->half = size >> 1;
    bloom->limit = limit != 0 ? limit : bloom->half * 8u / BITS_A_KEY;
    bloom->keys = 0;
    bloom->second = 0;
    memset(memory, 0, (size_t)size);
}

/* Goes to the key's places in one half, and with `mark` sets their bits. Returns whether all of them were set. The product's upper
 * half spreads a point over any number of bits, without a division. */
static bool visit(const struct tern_bloom *bloom, uint8_t second, uint64_t hash, bool mark)
{
    uint32_t point = (uint32_t)hash;
    uint32_t step = (uint32_t)(hash >> 32) | 1u;
    bool all = true;
    for (uint8_t i = TERN_BLOOM_PROBES; i != 0; i--, point += step) {
        uint32_t at = (uint32_t)((uint64_t)point * (bloom->half * 8u) >> 32);
        uint8_t *byte = bloom->bits + (second ? bloom->half : 0) + (at >> 3);
        uint8_t bit = (uint8_t)(1u << (at & 7u));
        if ((*byte & bit) == 0)
            all = false;
        if (mark)
            *byte |= bit;
    }
    return all;
}

bool tern_bloom_has(const struct tern_bloom *bloom, uint64_t hash)
{
    return visit(bloom, 0, hash, false) || visit(bloom, 1, hash, false);
}

void tern_bloom_add(struct tern_bloom *bloom, uint64_t hash)
{
    if (visit(bloom, bloom->second, hash, true))
        return;
    if (bloom->keys++ == bloom->limit) {
        bloom->second ^= 1u;
        bloom->keys = 1;
        memset(bloom->bits + (bloom->second ? bloom->half : 0), 0, (size_t)bloom->half);
        (void)visit(bloom, bloom->second, hash, true);
    }
}

/* Two multiplicative hashes with different constants, each stirred after every byte so that its upper bits, which place() looks at
 * first, and its lower ones depend on all of them. */
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
