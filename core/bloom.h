/* SPDX-License-Identifier: MIT */
/*
 * A Bloom filter that ages, over the caller's memory (B. H. Bloom, Space/time trade-offs in hash coding,
 * 1970; positions by double hashing after Kirsch and Mitzenmacher, 2006). It answers "surely new" or "maybe
 * seen", and never decides more than which way to look.
 *
 * The memory is two halves. Keys go into one of them; when it has taken `limit` keys, the other is cleared
 * and takes its place. So the newest `limit` keys are always known, the newest 2 * limit at most, and an
 * older one may be called new again.
 *
 * How often a key that was never added is called "maybe" while a half is full of `limit` keys, by the bits of
 * a half for each of them:
 *
 *     bits a key    8      10     12     16
 *     one half      2.4%   1.2%   0.65%  0.24%      (1 - e^(-4 / bits))^4
 *     both full     4.7%   2.3%   1.3%   0.48%
 */
#ifndef TERN_BLOOM_H
#define TERN_BLOOM_H

#include <stdbool.h>

#include "tern.h"

#define TERN_BLOOM_MIN    16u /* bytes of memory */
#define TERN_BLOOM_PROBES 4u

/* Begins an empty filter over `size` bytes, TERN_BLOOM_MIN to 2^29. `limit` 0: one key for 8 bits
 * of a half. The memory is cleared, and must live as long as the filter. */
void tern_bloom_open(struct tern_bloom *bloom, void *memory, uint32_t size, uint32_t limit);

/* False: the key was surely not among the newest `limit` ones. */
bool tern_bloom_has(const struct tern_bloom *bloom, uint64_t hash);

/* Adds a key, and returns what tern_bloom_has() would have said before. It counts towards the limit if it
 * adds a bit to the half in use. */
bool tern_bloom_add(struct tern_bloom *bloom, uint64_t hash);

/* A hash for it: start with any number, the same each time, and pass each result on. Needs no 64-bit
 * arithmetic. Not secret: who chooses the keys can make them collide, and gains false "maybes" by it. */
uint64_t tern_bloom_hash(uint64_t hash, const void *data, size_t size);

#endif
