/* SPDX-License-Identifier: MIT */
/* The filter of keys, and what it keeps from run to run. */
#include "../test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "../../core/tern.h"
#include "../../host/filter.h"
#include "chunks.h"

#define BYTES 1024u
#define LIMIT (BYTES / 4)

static struct tern_filter filter;
static struct tern_filter_zone zones[16];
static size_t zone_count;

static void take_zone(void *context, const struct tern_filter_zone *zone)
{
    (void)context;
    if (zone_count < 16)
        zones[zone_count++] = *zone;
}

static uint64_t hash_of(uint64_t number)
{
    return tern_bloom_hash(0, &number, sizeof number);
}

static const char *path(const char *ending)
{
    static char name[300];
    snprintf(name, sizeof name, "%s%s", folder_path("filter"), ending);
    return name;
}

static bool open_filter(uint64_t identity)
{
    zone_count = 0;
    tern_filter_open(&filter, BYTES);
    return tern_filter_keep(&filter, path(""), identity, take_zone, NULL);
}

/* A transaction of so many keys from `first` on. */
static void bring(uint64_t batch, uint64_t first, size_t count)
{
    uint64_t keys[64];
    struct tern_filter_zone zone = {batch, -5, 5};
    CHECK(tern_filter_ready(&filter));
    for (size_t i = 0; i < count; i++)
        keys[i] = hash_of(first + i);
    tern_filter_write(&filter, batch, &zone, 1, keys, count);
    for (size_t i = 0; i < count; i++)
        if (tern_filter_add(&filter, keys[i]))
            tern_filter_turn(&filter, &zone, 1);
}

static size_t known(uint64_t first, uint64_t end)
{
    size_t count = 0;
    for (; first < end; first++)
        count += tern_filter_has(&filter, hash_of(first));
    return count;
}

static long size_of(const char *ending)
{
    struct stat about;
    return stat(path(ending), &about) == 0 ? (long)about.st_size : -1;
}

static void what_is_kept_is_there_in_the_next_run(void)
{
    folder_fresh();
    CHECK(!open_filter(7));
    CHECK(!tern_filter_has(&filter, hash_of(1)));
    bring(11, 1, 3);
    bring(12, 4, 3);
    tern_filter_close(&filter);
    CHECK(open_filter(7));
    CHECK_EQ(known(1, 7), 6);
    CHECK_EQ(known(100, 200), 0);
    CHECK_EQ(zone_count, 2);
    CHECK(zones[1].id == 12 && zones[1].low == -5 && zones[1].high == 5);
    CHECK(filter.batches[0] == 12 && filter.batches[1] == 11 && filter.batches[2] == 0);
    bring(13, 7, 1);
    tern_filter_close(&filter);
    CHECK(open_filter(7));
    CHECK_EQ(known(1, 8), 7);
    tern_filter_close(&filter);
}

/* The file cut to each length: records that are whole count, and what is written next is read again. */
static void a_torn_record_is_cut_off(void)
{
    folder_fresh();
    CHECK(!open_filter(7));
    bring(11, 1, 2);
    tern_filter_close(&filter);
    long one = size_of("");
    CHECK(open_filter(7));
    bring(12, 3, 2);
    tern_filter_close(&filter);
    long both = size_of("");
    for (long size = both; size >= 0; size--) {
        CHECK_EQ(truncate(path(""), size), 0);
        bool found = open_filter(7);
        size_t left = known(1, 5);
        CHECK_EQ(left, size == both ? 4 : size >= one ? 2 : 0);
        if (size >= one)
            CHECK(found && filter.batches[0] == (size == both ? 12 : 11));
        bring(13, 9, 1);
        tern_filter_close(&filter);
        CHECK(open_filter(7));
        CHECK_EQ(known(1, 5) + known(9, 10), left + 1);
        tern_filter_forget(&filter);
        CHECK_EQ(size_of(""), -1);
        bring(11, 1, 2);
        bring(12, 3, 2);
        tern_filter_close(&filter);
    }
}

/* Each byte of both files changed: what is read is some of what was written. */
static void a_damaged_file_gives_less_and_nothing_else(void)
{
    static const char *const endings[] = {"", ".old"};
    static uint8_t bytes[2][32768];
    size_t sizes[2] = {0, 0};
    folder_fresh();
    CHECK(!open_filter(7));
    for (uint64_t i = 0; size_of(".old") < 0; i++)
        bring(100 + i, 32 * i, 32);
    bring(99, 100000, 5);
    tern_filter_close(&filter);
    for (size_t k = 0; k < 2; k++) {
        FILE *file = fopen(path(endings[k]), "rb");
        CHECK(file != NULL);
        sizes[k] = fread(bytes[k], 1, sizeof bytes[k], file);
        fclose(file);
    }
    for (size_t k = 0; k < 2; k++)
        for (size_t at = 0; at < sizes[k]; at += at < 200 ? 1 : 13) {
            for (size_t i = 0; i < 2; i++) {
                FILE *file = fopen(path(endings[i]), "wb");
                bytes[k][at] ^= i == k ? 0x41 : 0;
                fwrite(bytes[i], 1, sizes[i], file);
                bytes[k][at] ^= i == k ? 0x41 : 0;
                fclose(file);
            }
            bool found = open_filter(7);
            CHECK(known(200000, 200100) <= 5);
            if (!found)
                CHECK(known(0, 1000) == 0 && size_of("") < 0 && size_of(".old") < 0);
            tern_filter_close(&filter);
        }
}

static void what_is_of_another_destination_store_or_size_is_not_taken(void)
{
    folder_fresh();
    CHECK(!open_filter(7));
    bring(11, 1, 3);
    tern_filter_close(&filter);
    CHECK(!open_filter(8));
    CHECK_EQ(known(1, 4), 0);
    CHECK_EQ(zone_count, 0);
    CHECK_EQ(size_of(""), -1);
    bring(11, 1, 3);
    tern_filter_close(&filter);
    tern_filter_open(&filter, 2 * BYTES);
    CHECK(!tern_filter_keep(&filter, path(""), 8, take_zone, NULL));
    CHECK_EQ(known(1, 4), 0);
    tern_filter_close(&filter);
}

/* Full twice over: the newest generations are known, here and in the next run, and the files stay short. */
static void a_full_filter_forgets_the_oldest(void)
{
    uint64_t keys = 0, turn = 0;
    folder_fresh();
    CHECK(!open_filter(7));
    uint64_t generation = 0;
    for (uint64_t i = 0; i < 3000; i++, keys++) {
        bring(1 + i, i, 1);
        if (filter.generation != generation)
            turn = i;
        generation = filter.generation;
        CHECK(known(i < LIMIT ? 0 : i - LIMIT + 1, i + 1) == (i < LIMIT ? i + 1 : LIMIT));
    }
    CHECK(generation >= 10 && turn > 2000);
    CHECK(known(0, 1000) < 30);
    size_t before = known(0, 4000);
    tern_filter_close(&filter);
    CHECK(open_filter(7));
    CHECK_EQ(known(0, 4000), before);
    /* A file that records with many zones make long ends its generation before the half is full. */
    generation = filter.generation;
    uint64_t more = 0;
    for (; filter.generation == generation; more++) {
        struct tern_filter_zone many[64] = {{1, 2, 3}};
        tern_filter_write(&filter, 9000 + more, many, 64, NULL, 0);
        bring(9000 + more, 5000 + more, 1);
        CHECK(size_of("") < (long)(LIMIT * 16 + 65536 + 4096));
    }
    CHECK(more < LIMIT / 2);
    tern_filter_close(&filter);
    CHECK_EQ(unlink(path(".old")), 0);
    CHECK(!open_filter(7));
    CHECK_EQ(known(0, 4000), 0);
    tern_filter_close(&filter);
}

static void a_disk_that_takes_nothing_leaves_a_filter_for_this_run(void)
{
    folder_fresh();
    zone_count = 0;
    tern_filter_open(&filter, BYTES);
    CHECK(!tern_filter_keep(&filter, folder_path("missing/filter"), 7, take_zone, NULL));
    bring(11, 1, 3);
    CHECK_EQ(known(1, 4), 3);
    CHECK(filter.path == NULL);
    for (uint64_t i = 0; i < 2000; i++)
        bring(12, i, 1);
    CHECK_EQ(known(1990, 2000), 10);
    tern_filter_close(&filter);
    /* None is wanted. */
    tern_filter_open(&filter, 0);
    CHECK(!tern_filter_keep(&filter, path(""), 7, take_zone, NULL));
    CHECK(!tern_filter_ready(&filter) && !tern_filter_has(&filter, 1));
    tern_filter_write(&filter, 1, NULL, 0, NULL, 0);
    tern_filter_close(&filter);
}

int main(void)
{
    RUN(what_is_kept_is_there_in_the_next_run);
    RUN(a_torn_record_is_cut_off);
    RUN(a_damaged_file_gives_less_and_nothing_else);
    RUN(what_is_of_another_destination_store_or_size_is_not_taken);
    RUN(a_full_filter_forgets_the_oldest);
    RUN(a_disk_that_takes_nothing_leaves_a_filter_for_this_run);
    folder_remove();
    return test_report();
}
