/* SPDX-License-Identifier: MIT */
/* The Bloom filter: it forgets nothing that it promises to know, and calls new keys "maybe" as rarely as its
 * header says. */
#include "../test.h"

#include <math.h>
#include <string.h>

#include "../../core/bloom.h"
#include "../../core/bytes.h"

#define MEMORY_MAX (1u << 16)

static uint8_t memory[MEMORY_MAX + 2];

static uint64_t hash_of(uint64_t key)
{
    uint8_t
        bytes[8]; /* the same keys on every machine: how few of them collide in a small filter is chance */
    tern_store64(bytes, key);
    return tern_bloom_hash(0, bytes, sizeof(bytes));
}

static void the_newest_keys_are_always_known(void)
{
    static const uint32_t sizes[] = {16, 17, 31, 64, 100, 1000, 4096, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct tern_bloom bloom;
        tern_bloom_open(&bloom, memory, sizes[i], 0);
        CHECK_EQ(bloom.limit, sizes[i] / 2);
        for (uint64_t key = 0; key < 7u * bloom.limit; key++) {
            tern_bloom_add(&bloom, hash_of(key));
            for (uint64_t back = 0; back < bloom.limit && back <= key; back += 1 + back / 4)
                CHECK(tern_bloom_has(&bloom, hash_of(key - back)));
        }
    }
}

static void an_empty_filter_knows_nothing(void)
{
    struct tern_bloom bloom;
    memset(memory, 0xFF, 64);
    tern_bloom_open(&bloom, memory, 64, 0);
    for (uint64_t key = 0; key < 1000; key++)
        CHECK(!tern_bloom_has(&bloom, hash_of(key)));
}

static void it_stays_inside_its_memory(void)
{
    for (uint32_t size = TERN_BLOOM_MIN; size < 200; size++) {
        struct tern_bloom bloom;
        memset(memory, 0xA5, 300);
        tern_bloom_open(&bloom, memory + 1, size, 0);
        for (uint64_t key = 0; key < 2000; key++)
            tern_bloom_add(&bloom, hash_of(key));
        CHECK(memory[0] == 0xA5 && memory[1 + size] == 0xA5);
    }
}

static void it_ages(void)
{
    struct tern_bloom bloom;
    tern_bloom_open(&bloom, memory, 4096, 0);
    for (uint64_t key = 0; key < 10000; key++)
        tern_bloom_add(&bloom, hash_of(key));
    unsigned known = 0;
    for (uint64_t key = 0; key < 10000 - 2 * 2048; key++)
        known += tern_bloom_has(&bloom, hash_of(key));
    CHECK(known < 5904 * 0.07); /* as often as keys that never came */
}

static void a_key_added_again_takes_no_room(void)
{
    struct tern_bloom bloom;
    tern_bloom_open(&bloom, memory, 4096, 0);
    tern_bloom_add(&bloom, hash_of(7));
    for (unsigned i = 0; i < 100000; i++)
        tern_bloom_add(&bloom, hash_of(8));
    CHECK_EQ(bloom.keys, 2);
    CHECK(tern_bloom_has(&bloom, hash_of(7)));
}

/* The share of `asked` keys that were never added and are called "maybe", with one half full and the other
 * full or empty. */
static double false_rate(uint32_t size, unsigned bits, bool both, uint64_t (*key)(uint64_t))
{
    struct tern_bloom bloom;
    const uint64_t asked = 150000;
    uint64_t wrong = 0;
    tern_bloom_open(&bloom, memory, size, size / 2 * 8 / bits);
    uint64_t added = (uint64_t)bloom.limit * (both ? 2 : 1);
    for (uint64_t i = 0; i < added; i++)
        tern_bloom_add(&bloom, key(i));
    for (uint64_t i = 0; i < asked; i++)
        wrong += tern_bloom_has(&bloom, key(1000000000u + i));
    return (double)wrong / (double)asked;
}

static uint64_t counted(uint64_t i)
{
    return hash_of(i);
}

/* As a device's keys are: a name that is the same, and a time that steps by 30 000 ms. */
static uint64_t timed(uint64_t i)
{
    uint8_t at[8];
    tern_store64(at, 1700000000000 + i * 30000);
    return tern_bloom_hash(tern_bloom_hash(0, "sensor-0012", 11), at, sizeof(at));
}

static uint64_t texted(uint64_t i)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "node%06u", (unsigned)i);
    return tern_bloom_hash(0, text, (size_t)size);
}

static void false_maybes_are_as_rare_as_the_header_says(void)
{
    static const unsigned bits[] = {8, 10, 12, 16};
    static uint64_t (*const keys[])(uint64_t) = {counted, timed, texted};
    static const uint32_t sizes[] = {256, 5000, 65536};
    for (size_t i = 0; i < 4; i++)
        for (size_t size = 0; size < 3; size++)
            for (size_t k = 0; k < 3; k++) {
                double said = pow(1 - exp(-(double)TERN_BLOOM_PROBES / bits[i]), TERN_BLOOM_PROBES);
                double one = false_rate(sizes[size], bits[i], false, keys[k]);
                double both = false_rate(sizes[size], bits[i], true, keys[k]);
                double slack = size == 0 ? 1.6 : 1.25; /* few bits, and few hits, scatter */
                CHECK(one < said * slack && one > said / slack / 1.2);
                CHECK(both < said * 2 * slack);
                if (k == 1)
                    printf("    %u bytes, %u bits a key: %.3f%% said, %.3f%% one half, %.3f%% both\n",
                           (unsigned)sizes[size], bits[i], said * 100, one * 100, both * 100);
            }
}

static void both_halves_of_the_hash_change_with_every_bit(void)
{
    for (uint64_t key = 0; key < 1000; key++)
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t changed = hash_of(key) ^ hash_of(key ^ (uint64_t)1 << bit);
            CHECK((uint32_t)changed != 0 && changed >> 32 != 0);
        }
    CHECK(tern_bloom_hash(0, "ab", 2) == tern_bloom_hash(tern_bloom_hash(0, "a", 1), "b", 1));
    CHECK(tern_bloom_hash(0, "", 0) == 0 && tern_bloom_hash(0, "\0", 1) != tern_bloom_hash(0, "\0\0", 2));
}

/* A product's low bits do not depend on the high ones of what was multiplied. */
static void low_bits_of_the_hash_change_with_high_bits_of_the_key(void)
{
    unsigned kept[2] = {0, 0};
    for (uint64_t key = 0; key < 1000; key++) {
        uint64_t changed = hash_of(key) ^ hash_of(key ^ (uint64_t)1 << 63);
        kept[0] += (changed & 0x7F) == 0;
        kept[1] += (changed >> 32 & 0x7F) == 0;
    }
    CHECK(kept[0] < 100 && kept[1] < 100);
}

int main(void)
{
    RUN(an_empty_filter_knows_nothing);
    RUN(the_newest_keys_are_always_known);
    RUN(it_stays_inside_its_memory);
    RUN(it_ages);
    RUN(a_key_added_again_takes_no_room);
    RUN(false_maybes_are_as_rare_as_the_header_says);
    RUN(both_halves_of_the_hash_change_with_every_bit);
    RUN(low_bits_of_the_hash_change_with_high_bits_of_the_key);
    return test_report();
}
