/* SPDX-License-Identifier: MIT */
/* The staging store: parts into segments, positions, epochs, recovery, readers. */
#include "../test.h"

#include "../../host/journal.h"
#include "chunks.h"

static struct tern_stage *stage;

static void open_stage(uint64_t file_bytes_limit)
{
    struct tern_stage_config config = {.directory = folder, .file_bytes = file_bytes_limit};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

static void reopen(void)
{
    tern_stage_close(stage);
    open_stage(0);
}

static void fresh(void)
{
    folder_fresh();
    open_stage(0);
}

/* The same range after a reopen. */
static struct tern_stage_range *again(const char *id, uint32_t epoch)
{
    struct tern_hello hello = {.id = id, .range_count = 1};
    struct tern_stage_range *range = NULL;
    hello.ranges[0].base = hello.ranges[0].oldest = hello.ranges[0].next = 1;
    hello.ranges[0].epoch = epoch;
    CHECK_EQ(tern_stage_hello(stage, tern_stage_device(stage, id), &hello, &hello.ranges[0], 0, &range),
             TERN_HOST_OK);
    return range;
}

/* Counts chunk entries and checks that their records follow each other without hole or repeat. */
static uint32_t read_records(void)
{
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    uint32_t next = 1;
    CHECK_EQ(tern_stage_reader_open(stage, 0, &reader), TERN_HOST_OK);
    while (tern_stage_read(reader, &entry) == 1) {
        if (entry.kind != TERN_ENTRY_CHUNK && entry.kind != TERN_ENTRY_GAP)
            continue;
        CHECK_EQ(entry.first, next);
        next = entry.last + 1;
    }
    tern_stage_reader_close(reader);
    return next - 1;
}

static void a_whole_chunk_is_durable_only_after_sync(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 10);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 11);
    CHECK_EQ(range->durable.next, 1);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(range->durable.next, 11);
    CHECK(range->durable.last_crc != 0);
    CHECK_EQ(read_records(), 10);
    tern_stage_close(stage);
}

static void what_was_not_synced_is_gone_after_a_crash(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 10);
    chunks_send(stage, range, &made, 0);
    tern_stage_sync(stage);
    uint32_t epoch = range->epoch, crc = range->durable.last_crc;
    chunks_fill(&made, 11, 10);
    chunks_send(stage, range, &made, 0);
    reopen();
    range = again("dev1", epoch);
    CHECK_EQ(range->durable.next, 11);
    CHECK_EQ(range->durable.last_crc, crc);
    tern_stage_close(stage);
}

static void parts_of_any_size_make_the_same_chunk(void)
{
    struct chunk_bytes made;
    for (uint32_t piece = 1; piece < 200; piece += 7) {
        fresh();
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        chunks_fill(&made, 1, 20);
        for (uint32_t at = 0; at < made.chunk.size; at += piece) {
            uint32_t want, size = made.chunk.size - at < piece ? made.chunk.size - at : piece;
            CHECK_EQ(tern_stage_part(stage, range, 1, at, made.bytes + at, size, &want), TERN_HOST_OK);
            CHECK_EQ(range->taken.offset, at + size);
        }
        CHECK_EQ(range->taken.next, 21);
        tern_stage_sync(stage);
        CHECK_EQ(read_records(), 20);
        tern_stage_close(stage);
    }
}

static void repeats_holes_and_old_chunks_change_nothing(void)
{
    struct chunk_bytes first, second, third;
    uint32_t want;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&first, 1, 10);
    chunks_fill(&second, 11, 10);
    chunks_fill(&third, 21, 10);
    chunks_send(stage, range, &first, 0);
    chunks_send(stage, range, &first, 0);
    CHECK_EQ(tern_stage_part(stage, range, 11, 20, second.bytes + 20, 20, &want), TERN_HOST_OK);
    CHECK_EQ(chunks_send(stage, range, &third, 0), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 11);
    chunks_send(stage, range, &second, 0);
    chunks_send(stage, range, &first, 0);
    CHECK_EQ(range->taken.next, 21);
    CHECK_EQ(range->taken.first, 11);
    chunks_send(stage, range, &third, 0);
    tern_stage_sync(stage);
    CHECK_EQ(read_records(), 30);
    tern_stage_close(stage);
}

static void a_chunk_grows_segment_by_segment_across_reopen(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch, sent = 0;
    chunks_open(&made, 1);
    for (int64_t at = 1; at <= 40; at++) {
        chunks_put(&made, &chunks_table, at, "growing");
        tern_chunk_finish(&made.chunk, true, false);
        CHECK_EQ(chunks_send(stage, range, &made, sent), TERN_HOST_OK);
        sent = made.chunk.size;
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        CHECK_EQ(range->durable.next, at + 1);
        CHECK_EQ(range->durable.offset, sent);
        if (at % 10 == 0) {
            reopen();
            range = again("dev1", epoch);
        }
    }
    CHECK_EQ(read_records(), 40);
    struct tern_stage_reader *reader;
    struct tern_entry entry, last = {0};
    uint8_t whole[TERN_CHUNK_MAX];
    tern_stage_reader_open(stage, 0, &reader);
    while (tern_stage_read(reader, &entry) == 1)
        if (entry.kind == TERN_ENTRY_CHUNK) {
            last = entry;
            CHECK_EQ(tern_stage_chunk(reader, &last, whole), (int)(last.chunk_offset + last.size));
            CHECK(memcmp(whole, made.bytes, last.chunk_offset + last.size) == 0);
        }
    CHECK_EQ(last.chunk_offset + last.size, made.chunk.size);
    tern_stage_reader_close(reader);
    tern_stage_close(stage);
}

/* Where a device that has lost its log's end may still agree with the store: a new file holds all of it, and
 * so does a start. */
static void what_a_log_is_compared_with_outlives_a_new_file(void)
{
    struct chunk_bytes made;
    folder_fresh();
    open_stage(4096);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t first = 1; first < 800; first += 10) {
        chunks_fill(&made, first, 10);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        tern_stage_sync(stage);
        struct tern_stage_range before = *range;
        if (first % 100 != 1)
            continue;
        tern_stage_close(stage);
        open_stage(4096);
        range = again("dev1", before.epoch);
        CHECK_EQ(range->tail_count, before.tail_count);
        CHECK(memcmp(range->tails, before.tails, sizeof before.tails) == 0);
    }
    tern_stage_close(stage);
}

static void a_new_file_begins_with_all_state(void)
{
    struct chunk_bytes made, open_chunk;
    folder_fresh();
    open_stage(4096);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_stage_range *other = chunks_device(stage, "dev2");
    uint32_t epoch = range->epoch, other_epoch = other->epoch, sent = 0;
    chunks_open(&open_chunk, 1);
    for (uint32_t i = 0; i < 30; i++) {
        chunks_fill(&made, 1 + 20 * i, 20);
        chunks_send(stage, range, &made, 0);
        chunks_put(&open_chunk, &chunks_table, i + 1, "x");
        tern_chunk_finish(&open_chunk.chunk, true, false);
        chunks_send(stage, other, &open_chunk, sent);
        sent = open_chunk.chunk.size;
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
    CHECK(file_bytes(folder_path("journal-00000003.tern")) > 0);
    /* Recovery reads the newest file only: the others may be gone. */
    for (char digit = '1'; digit <= '2'; digit++) {
        char name[] = "journal-00000001.tern";
        name[15] = digit;
        unlink(folder_path(name));
    }
    reopen();
    range = again("dev1", epoch);
    other = again("dev2", other_epoch);
    CHECK_EQ(range->durable.next, 601);
    CHECK_EQ(other->durable.next, 31);
    CHECK_EQ(other->durable.offset, sent);
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    uint8_t whole[TERN_CHUNK_MAX];
    unsigned checked = 0;
    tern_stage_reader_open(stage, 0, &reader);
    while (tern_stage_read(reader, &entry) == 1)
        if (entry.kind == TERN_ENTRY_CHUNK && strcmp(entry.device, "dev2") == 0) {
            int size = tern_stage_chunk(reader, &entry, whole);
            CHECK(size > 0 && memcmp(whole, open_chunk.bytes, (size_t)size) == 0);
            checked++;
        }
    CHECK(checked != 0);
    tern_stage_reader_close(reader);
    tern_stage_close(stage);
}

static void an_unknown_schema_is_wanted_and_holds_its_records(void)
{
    struct chunk_bytes made;
    uint32_t want = 0;
    fresh();
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range;
    hello.ranges[0].base = hello.ranges[0].oldest = hello.ranges[0].next = 1;
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    chunks_fill(&made, 1, 5);
    CHECK_EQ(tern_stage_part(stage, range, 1, 0, made.bytes, made.chunk.size, &want), TERN_HOST_OK);
    CHECK_EQ(want, tern_schema_hash(&chunks_table));
    CHECK_EQ(range->taken.next, 1);
    CHECK_EQ(chunks_schema(stage, device, &chunks_table), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 6);
    tern_stage_sync(stage);
    CHECK_EQ(read_records(), 5);
    CHECK(tern_stage_find_schema(stage, "dev1", want) != NULL);
    CHECK(tern_stage_find_schema(stage, "dev2", want) == NULL);
    tern_stage_close(stage);
}

/* The bytes of another table, whole and sound by themselves: records must not be read by a schema that is not
 * theirs. */
static void a_schema_under_another_ones_hash_is_refused_and_not_kept(void)
{
    static const struct tern_table other = TERN_TABLE("climatf", TERN_MERGE, chunks_columns);
    uint8_t bytes[TERN_SCHEMA_MAX];
    struct tern_output output = {bytes, 0, sizeof bytes, false};
    struct chunk_bytes made;
    uint32_t want = 0, hash = tern_schema_hash(&chunks_table);
    bool done = true;
    fresh();
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range;
    hello.ranges[0] = (struct tern_hello_range){.base = 1, .oldest = 1, .next = 1};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    chunks_fill(&made, 1, 5);
    CHECK_EQ(tern_stage_part(stage, range, 1, 0, made.bytes, made.chunk.size, &want), TERN_HOST_OK);
    CHECK_EQ(want, hash);
    tern_schema_encode(&other, chunks_collect, &output);
    CHECK_EQ(tern_stage_schema(stage, device, hash, 0, bytes, output.size, &done), TERN_HOST_E_PROTOCOL);
    CHECK(!done);
    CHECK_EQ(range->taken.next, 1);
    CHECK(tern_stage_find_schema(stage, "dev1", hash) == NULL);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    uint32_t epoch = range->epoch;
    reopen();
    CHECK(tern_stage_find_schema(stage, "dev1", hash) == NULL);
    range = again("dev1", epoch);
    CHECK_EQ(chunks_schema(stage, range->device, &chunks_table), TERN_HOST_OK);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 6);
    tern_stage_close(stage);
}

static void damaged_bytes_are_dropped_and_the_chunk_can_be_sent_again(void)
{
    struct chunk_bytes made, bad;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 10);
    for (uint32_t i = 0; i < made.chunk.size; i++) {
        bad = made;
        bad.bytes[i] ^= 0x10;
        chunks_send(stage, range, &bad, 0);
        CHECK_EQ(range->taken.next, 1);
        /* Where the damage made a segment longer, it fails once the rest of it has come. */
        uint8_t filler[TERN_CHUNK_MAX] = {0};
        uint32_t want, waiting = range->taken.offset;
        if (range->taken.first != 0)
            tern_stage_part(stage, range, 1, waiting, filler, TERN_CHUNK_MAX - waiting, &want);
        CHECK_EQ(range->taken.next, 1);
    }
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 11);
    tern_stage_close(stage);
}

static void gaps_take_their_place_in_the_sequence(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch;
    chunks_fill(&made, 1, 10);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_gap(stage, range, 15, 20, TERN_GAP_OVERFLOW), TERN_HOST_OK); /* beyond: dropped */
    CHECK_EQ(range->taken.next, 11);
    CHECK_EQ(tern_stage_gap(stage, range, 5, 20, TERN_GAP_OVERFLOW),
             TERN_HOST_OK); /* begins before: from 11 on */
    CHECK_EQ(range->taken.next, 21);
    CHECK_EQ(tern_stage_gap(stage, range, 20, 10, TERN_GAP_OVERFLOW), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_gap(stage, range, 21, UINT32_MAX, TERN_GAP_OVERFLOW), TERN_HOST_E_PROTOCOL);
    chunks_fill(&made, 21, 10);
    chunks_send(stage, range, &made, 0);
    tern_stage_sync(stage);
    CHECK_EQ(read_records(), 30);
    reopen();
    CHECK_EQ(again("dev1", epoch)->durable.next, 31);
    tern_stage_close(stage);
}

static void a_long_batch_is_chained_from_its_commit(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t i = 0; i < 4; i++) {
        chunks_open(&made, 1 + 10 * i);
        for (uint32_t k = 0; k < 10; k++)
            chunks_put(&made, &chunks_table, 1 + 10 * i + k, "b");
        tern_chunk_finish(&made.chunk, i == 3, true);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        tern_stage_sync(stage);
        if (i == 1) {
            uint32_t epoch = range->epoch;
            reopen();
            range = again("dev1", epoch);
        }
    }
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    unsigned commits = 0, chain = 0;
    tern_stage_reader_open(stage, 0, &reader);
    while (tern_stage_read(reader, &entry) == 1) {
        if (entry.kind != TERN_ENTRY_CHUNK || !entry.commits)
            continue;
        commits++;
        CHECK_EQ(entry.run_first, 1);
        while (entry.run_before != 0 && tern_stage_fetch(reader, entry.run_before, &entry) == TERN_HOST_OK)
            chain++;
        CHECK_EQ(entry.first, 1);
    }
    CHECK_EQ(commits, 1);
    CHECK_EQ(chain, 3);
    tern_stage_reader_close(reader);
    tern_stage_close(stage);
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

/* Nor is one of which nothing came: the device may have filled it at another gateway, and have been reset
 * since. */
static void an_epoch_is_never_given_twice(void)
{
    int64_t now = 1767225600000 + 86400000;
    fresh();
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range, *repeated;
    hello.ranges[0].base = hello.ranges[0].oldest = hello.ranges[0].next = 1;
    hello.ranges[0].lane = 3;
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], now, &range), TERN_HOST_OK);
    CHECK_EQ(range->epoch & 7, 3);
    CHECK_EQ(range->epoch >> 4, (now / 1000 - 1704067200) / 16);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], now, &repeated), TERN_HOST_OK);
    CHECK(range != repeated);
    CHECK_EQ(repeated->epoch, range->epoch + 16);
    uint32_t epoch = repeated->epoch;
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    reopen();
    device = tern_stage_device(stage, "dev1");
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], now, &repeated), TERN_HOST_OK);
    CHECK_EQ(repeated->epoch, epoch + 16);
    tern_stage_close(stage);
}

/* A device that hears nothing asks again and again, and is given an epoch each time: what is in use stays
 * known. */
static void epochs_that_nobody_uses_give_way_first(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1"), *other;
    uint32_t epoch = range->epoch;
    chunks_schema(stage, range->device, &chunks_table);
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.base = 1, .oldest = 1, .next = 1};
    for (int i = 0; i < 100; i++)
        CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = 5};
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    CHECK(other == range && other->durable.next == 4);
    tern_stage_close(stage);
}

/* A first session is replayed again and again, and is given an epoch each time. None of them is one that the
 * device takes by itself when it parts from the store in the middle of its records: it would part from each
 * of them, too. */
static void no_epoch_is_given_that_a_device_takes_by_itself(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1"), *other;
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    for (uint32_t i = 0; i < 20; i++) {
        hello.ranges[0] = (struct tern_hello_range){.base = 1, .oldest = 1, .next = 1};
        CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    }
    uint32_t epoch = range->epoch + 8;
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = epoch, .base = 40, .oldest = 40, .acked = 40, .next = 50, .newest = epoch};
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    CHECK_EQ(other->durable.next, 40);
    hello.ranges[0] = (struct tern_hello_range){.base = 1, .oldest = 1, .next = 1, .epoch = 0};
    tern_stage_learn(stage, "dev1", epoch + 320);
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    CHECK_EQ(other->epoch, epoch + 328);
    tern_stage_close(stage);
}

/* The WELCOME was lost, and the device got its epoch from another gateway, whose clock is behind. */
static void an_epoch_that_was_given_and_not_used_stands_in_nobodys_way(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1"), *other;
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = range->epoch - 8, .base = 1, .oldest = 1, .next = 5};
    CHECK_EQ(tern_stage_hello(stage, range->device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    CHECK(other != range);
    tern_stage_close(stage);
}

static void an_older_epoch_that_was_never_seen_is_not_merged(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_device *device = range->device;
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *other;
    hello.ranges[0] = (struct tern_hello_range){.epoch = range->epoch - 8, .base = 1, .oldest = 1, .next = 5};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_E_PROTOCOL);
    /* A device that knows the newest epoch too has simply kept its older records. */
    hello.ranges[0].newest = range->epoch;
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &other), TERN_HOST_OK);
    tern_stage_close(stage);
}

static void records_that_another_store_acknowledged_become_a_gap(void)
{
    fresh();
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range;
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = 80, .base = 1, .oldest = 50, .next = 200, .acked = 120, .store = 0x1234};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 120);
    /* The same store that was set back: what it lacks is asked for again. */
    hello.ranges[0].epoch = 88;
    hello.ranges[0].store = tern_stage_id(stage);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 1);
    tern_stage_close(stage);
}

static void note_event(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)level, (void)fields;
    *(bool *)context |= strcmp(event, "store-set-back") == 0;
}

static void a_store_that_was_set_back_says_so(void)
{
    bool seen = false;
    folder_fresh();
    struct tern_stage_config config = {.directory = folder, .report = {note_event, &seen}};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range;
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = 80, .base = 1, .oldest = 1, .next = 200, .acked = 1, .store = tern_stage_id(stage)};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK(!seen);
    hello.ranges[0].acked = 120;
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK(seen);
    CHECK_EQ(range->taken.next, 1);
    tern_stage_close(stage);
}

/* ---- Records that come again ----------------------------------------------------------------- */

static uint32_t hundred(struct tern_stage_range *range, struct chunk_bytes made[10])
{
    for (uint32_t i = 0; i < 10; i++) {
        chunks_fill(&made[i], 1 + 10 * i, 10);
        chunks_send(stage, range, &made[i], 0);
    }
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    return range->durable.last_crc;
}

static void promise_4_a_range_goes_back_for_what_a_destination_lacks_and_returns(void)
{
    static struct chunk_bytes made[10];
    const struct tern_stage_want want = {0, 0, 25, 44, 0, UINT64_MAX};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_stage_want mine = want;
    mine.epoch = range->epoch;
    uint32_t crc = hundred(range, made), news = tern_stage_wants(stage);
    CHECK(!tern_stage_go_back(stage, range, 0));
    tern_stage_want(stage, "dev1", &mine);
    CHECK(tern_stage_wants(stage) != news);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 25);
    CHECK_EQ(range->durable.last_crc, 0);
    CHECK(!tern_stage_go_back(stage, range, 0)); /* once */
    tern_stage_want(stage, "dev1", &mine);
    CHECK(!tern_stage_go_back(stage, range, 0)); /* it is under way */
    uint32_t moves = range->moves;
    chunks_send(stage, range, &made[2], 0);
    CHECK_EQ(range->taken.next, 31);
    CHECK_EQ(tern_stage_gap(stage, range, 31, 40, TERN_GAP_OVERFLOW), TERN_HOST_OK);
    CHECK_EQ(range->moves, moves);
    chunks_send(stage, range, &made[4], 0);
    tern_stage_sync(stage);
    /* Behind the last that was wanted it goes on where it was. */
    CHECK_EQ(range->durable.next, 101);
    CHECK_EQ(range->durable.last_crc, crc);
    CHECK(range->moves != moves);
    /* A destination that has not read that yet lacks it still. */
    mine.position = range->base;
    tern_stage_want(stage, "dev1", &mine);
    CHECK(!tern_stage_go_back(stage, range, 0));
    mine.position = tern_stage_end(stage);
    tern_stage_want(stage, "dev1", &mine);
    CHECK(tern_stage_go_back(stage, range, 0));
    tern_stage_close(stage);
}

static void what_waits_for_its_time_or_its_device_is_not_forgotten(void)
{
    static struct chunk_bytes made[10];
    struct tern_stage_want want = {0, 0, 1, 10, 5000, UINT64_MAX};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    want.epoch = range->epoch;
    hundred(range, made);
    tern_stage_want(stage, "dev1", &want);
    CHECK(!tern_stage_go_back(stage, range, 4999));
    CHECK(!tern_stage_go_back(stage, range, 0)); /* no clock */
    want.first = 5;
    want.last = 20;
    want.due = 0;
    tern_stage_want(stage, "dev1", &want);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 1); /* one request for both */
    /* A device that was never here. */
    want = (struct tern_stage_want){0, range->epoch, 1, 100, 0, UINT64_MAX};
    tern_stage_want(stage, "dev2", &want);
    range = again("dev2", want.epoch);
    hundred(range, made); /* schema or not */
    chunks_schema(stage, range->device, &chunks_table);
    hundred(range, made);
    CHECK(tern_stage_go_back(stage, range, 0));
    tern_stage_close(stage);
}

static void records_that_come_again_survive_a_crash_on_the_way(void)
{
    static struct chunk_bytes made[10];
    struct tern_stage_want want = {0, 0, 1, 90, 0, UINT64_MAX};
    for (uint32_t cut = 0; cut < 9; cut++) {
        folder_fresh();
        open_stage(cut % 2 == 0 ? 0 : 1024); /* with new files on the way */
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        want.epoch = range->epoch;
        hundred(range, made);
        tern_stage_want(stage, "dev1", &want);
        CHECK(tern_stage_go_back(stage, range, 0));
        for (uint32_t i = 0; i <= cut; i++) {
            chunks_send(stage, range, &made[i], 0);
            tern_stage_sync(stage);
        }
        CHECK_EQ(range->durable.next, cut < 8 ? 11 + 10 * cut : 101);
        reopen();
        range = again("dev1", want.epoch);
        /* It may have forgotten why it went back, and goes on from there. */
        CHECK(range->durable.next == 11 + 10 * cut || range->durable.next == 101);
        for (uint32_t i = 0; i < 10; i++)
            chunks_send(stage, range, &made[i], 0);
        tern_stage_sync(stage);
        CHECK_EQ(range->durable.next, 101);
        reopen();
        CHECK_EQ(again("dev1", want.epoch)->durable.next, 101);
        tern_stage_close(stage);
    }
}

static void an_open_batch_is_not_left_for_what_comes_again(void)
{
    static struct chunk_bytes made[10];
    struct chunk_bytes batch;
    struct tern_stage_want want = {0, 0, 1, 50, 0, UINT64_MAX};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    want.epoch = range->epoch;
    hundred(range, made);
    chunks_open(&batch, 101);
    chunks_put(&batch, &chunks_table, 101, "x");
    tern_chunk_finish(&batch.chunk, false, true);
    uint32_t sent = batch.chunk.size;
    chunks_send(stage, range, &batch, 0);
    tern_stage_sync(stage);
    tern_stage_want(stage, "dev1", &want);
    CHECK(!tern_stage_go_back(stage, range, 0));
    chunks_put(&batch, &chunks_table, 102, "y");
    tern_chunk_finish(&batch.chunk, true, true);
    chunks_send(stage, range, &batch, sent);
    tern_stage_sync(stage);
    CHECK(tern_stage_go_back(stage, range, 0));
    tern_stage_close(stage);
}

static void fresh_stores_without_a_clock_give_different_epochs(void)
{
    fresh();
    uint32_t first = chunks_device(stage, "dev1")->epoch;
    uint64_t id = tern_stage_id(stage);
    tern_stage_close(stage);
    fresh();
    uint32_t second = chunks_device(stage, "dev1")->epoch;
    /* One in a million pairs of stores is alike. */
    CHECK(first != second || id % (1u << 20) == tern_stage_id(stage) % (1u << 20));
    tern_stage_close(stage);
}

/* Thousands of devices whose epochs destinations know, of a gateway with a clock that is ahead. */
static void an_epoch_that_is_given_is_newer_than_what_destinations_know(void)
{
    char id[16];
    uint32_t ahead = 1u << 30;
    fresh();
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "dev%u", i);
        tern_stage_learn(stage, id, ahead + 8 * i + i % 8);
        tern_stage_learn(stage, id, 8); /* an older one of another destination */
    }
    for (uint32_t i = 0; i < 3000; i += 500) {
        snprintf(id, sizeof id, "dev%u", i);
        CHECK_EQ(chunks_device(stage, id)->epoch, ahead + 8 * i + 16);
    }
    CHECK(chunks_device(stage, "unheard")->epoch < ahead);
    /* What a device has already stays. */
    tern_stage_learn(stage, "old", ahead);
    CHECK_EQ(again("old", 800)->epoch, 800);
    tern_stage_learn(stage, "last", 0x7FFFFFFFu);
    CHECK(chunks_device(stage, "last") == NULL);
    tern_stage_close(stage);
}

/* What a HELLO adds to the journal, in bytes. */
static uint64_t hello_bytes(uint32_t boot, uint64_t uptime, int64_t now)
{
    struct tern_hello hello = {.id = "dev1", .boot = boot, .uptime = uptime, .range_count = 1};
    struct tern_stage_range *range;
    hello.ranges[0] = (struct tern_hello_range){.epoch = 80, .base = 1, .oldest = 1, .next = 1};
    uint64_t before = tern_stage_end(stage);
    CHECK_EQ(tern_stage_hello(stage, tern_stage_device(stage, "dev1"), &hello, &hello.ranges[0], now, &range),
             TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    return tern_stage_end(stage) - before;
}

static void a_hello_is_written_down_only_when_it_says_something_new(void)
{
    const int64_t now = 1795000000000;
    fresh();
    CHECK(hello_bytes(7, 1000, now) != 0);
    CHECK_EQ(hello_bytes(7, 1000, now), 0);
    CHECK_EQ(hello_bytes(7, 61000, now + 60500), 0); /* clocks differ by half a second */
    CHECK_EQ(hello_bytes(7, 61000, 0), 0);           /* no clock here: nothing to say about the time */
    CHECK(hello_bytes(7, 61000, now + 90000) != 0);  /* the wall clock was set */
    CHECK_EQ(hello_bytes(7, 62000, now + 91000), 0);
    CHECK(hello_bytes(8, 5, now + 92000) != 0); /* another start */
    CHECK_EQ(hello_bytes(0, 0, now + 93000), 0);
    reopen();
    CHECK_EQ(hello_bytes(8, 1005, now + 93000), 0);
    tern_stage_close(stage);
}

static void contradicting_ranges_are_refused(void)
{
    fresh();
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range;
    const struct tern_hello_range bad[] = {
        {.base = 0, .oldest = 1, .next = 1},
        {.base = 2, .oldest = 1, .next = 2},
        {.base = 1, .oldest = 3, .next = 2},
        {.base = 1, .oldest = 1, .next = 2, .lane = 8},
        {.base = 1, .oldest = 1, .next = 2, .epoch = 9},
        {.base = 1, .oldest = 1, .next = 2, .epoch = 0x80000000u},
        {.base = 1, .oldest = 1, .next = 2, .epoch = 8, .acked = 3, .store = 5}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hello.ranges[0] = bad[i];
        CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_E_PROTOCOL);
    }
    tern_stage_close(stage);
}

static void a_device_with_a_new_epoch_each_start_does_not_fill_memory(void)
{
    fresh();
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range = NULL;
    for (uint32_t i = 1; i < 1000; i++) {
        hello.ranges[0] = (struct tern_hello_range){.epoch = i << 3, .base = 1, .oldest = 1, .next = 1};
        CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
        tern_stage_sync(stage);
    }
    CHECK_EQ(range->epoch, 999 << 3);
    reopen();
    CHECK_EQ(again("dev1", 999 << 3)->durable.next, 1);
    tern_stage_close(stage);
}

/* ---- Entries that are whole and make no sense ------------------------------------------------ */

static unsigned unusable;

static void count_unusable(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    (void)level;
    (void)fields;
    unusable += strcmp(event, "stage-entries-unusable") == 0;
}

static int pass_entry(void *context, uint64_t position, const uint8_t *body, size_t size)
{
    (void)context;
    (void)position;
    (void)body;
    (void)size;
    return 0;
}

/* Reads all entries of the journal in the folder, and appends each of them with one byte changed, at every
 * place. */
static void append_nonsense(uint8_t change)
{
    static uint8_t bodies[64][TERN_JOURNAL_BODY_MAX];
    size_t sizes[64], count = 0;
    struct tern_journal_config config = {.directory = folder, .replay = pass_entry};
    struct tern_journal *journal;
    struct tern_journal_reader *reader;
    struct tern_journal_entry entry;
    CHECK_EQ(tern_journal_open(&journal, &config), TERN_HOST_OK);
    CHECK_EQ(tern_journal_reader_open(journal, 0, &reader), TERN_HOST_OK);
    while (count < 64 && tern_journal_read(reader, &entry) == 1) {
        memcpy(bodies[count], entry.body, entry.size);
        sizes[count++] = entry.size;
    }
    tern_journal_reader_close(reader);
    CHECK(count > 5);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < sizes[i] && at < 200; at++) {
            if (at == 1)
                continue; /* the count of references, which the journal itself looks at */
            bodies[i][at] ^= change;
            CHECK(tern_journal_append(journal, bodies[i], sizes[i]) != 0);
            bodies[i][at] ^= change;
        }
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
}

/* Whatever stands in a journal, its checksums right: the store opens, says so, and goes on serving. */
static void entries_that_make_no_sense_are_passed_over_with_an_alarm(void)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x10};
    struct chunk_bytes made;
    for (size_t round = 0; round < sizeof changes; round++) {
        fresh();
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        chunks_device(stage, "dev2");
        chunks_fill(&made, 1, 5);
        chunks_send(stage, range, &made, 0);
        CHECK_EQ(tern_stage_gap(stage, range, 6, 9, TERN_GAP_OVERFLOW), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        chunks_open(&made, 10);
        for (uint32_t at = 10; at < 14; at++) {
            uint32_t sent = made.chunk.size;
            chunks_put(&made, &chunks_table, at, "n");
            tern_chunk_finish(&made.chunk, at == 13, true);
            chunks_send(stage, range, &made, sent);
            CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        }
        tern_stage_close(stage);
        append_nonsense(changes[round]);
        struct tern_stage_config config = {
            .directory = folder, .report = {count_unusable, NULL}, .file_bytes = 4000};
        unusable = 0;
        CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
        CHECK_EQ(unusable, 1);
        /* Another device is served, and its records come back; a reader gets to the end. */
        range = chunks_device(stage, "dev3");
        if (CHECK(range != NULL)) {
            chunks_fill(&made, 1, 5);
            CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
            CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
            CHECK_EQ(range->durable.next, 6);
        }
        struct tern_stage_reader *reader;
        struct tern_entry entry;
        uint8_t chunk[TERN_CHUNK_MAX];
        uint32_t last = 0;
        int status;
        CHECK_EQ(tern_stage_reader_open(stage, 0, &reader), TERN_HOST_OK);
        while ((status = tern_stage_read(reader, &entry)) == 1) {
            if (entry.kind == TERN_ENTRY_CHUNK)
                (void)tern_stage_chunk(reader, &entry, chunk);
            if (entry.kind == TERN_ENTRY_CHUNK && strcmp(entry.device, "dev3") == 0)
                last = entry.last;
        }
        CHECK_EQ(status, 0);
        CHECK_EQ(last, 5);
        tern_stage_reader_close(reader);
        tern_stage_close(stage);
    }
}

int main(void)
{
    RUN(a_whole_chunk_is_durable_only_after_sync);
    RUN(what_was_not_synced_is_gone_after_a_crash);
    RUN(parts_of_any_size_make_the_same_chunk);
    RUN(repeats_holes_and_old_chunks_change_nothing);
    RUN(a_chunk_grows_segment_by_segment_across_reopen);
    RUN(what_a_log_is_compared_with_outlives_a_new_file);
    RUN(a_new_file_begins_with_all_state);
    RUN(an_unknown_schema_is_wanted_and_holds_its_records);
    RUN(a_schema_under_another_ones_hash_is_refused_and_not_kept);
    RUN(damaged_bytes_are_dropped_and_the_chunk_can_be_sent_again);
    RUN(gaps_take_their_place_in_the_sequence);
    RUN(a_long_batch_is_chained_from_its_commit);
    RUN(an_epoch_is_never_given_twice);
    RUN(epochs_that_nobody_uses_give_way_first);
    RUN(an_epoch_that_was_given_and_not_used_stands_in_nobodys_way);
    RUN(no_epoch_is_given_that_a_device_takes_by_itself);
    RUN(an_older_epoch_that_was_never_seen_is_not_merged);
    RUN(records_that_another_store_acknowledged_become_a_gap);
    RUN(a_store_that_was_set_back_says_so);
    RUN(promise_4_a_range_goes_back_for_what_a_destination_lacks_and_returns);
    RUN(what_waits_for_its_time_or_its_device_is_not_forgotten);
    RUN(records_that_come_again_survive_a_crash_on_the_way);
    RUN(an_open_batch_is_not_left_for_what_comes_again);
    RUN(fresh_stores_without_a_clock_give_different_epochs);
    RUN(an_epoch_that_is_given_is_newer_than_what_destinations_know);
    RUN(a_hello_is_written_down_only_when_it_says_something_new);
    RUN(contradicting_ranges_are_refused);
    RUN(a_device_with_a_new_epoch_each_start_does_not_fill_memory);
    RUN(entries_that_make_no_sense_are_passed_over_with_an_alarm);
    folder_remove();
    return test_report();
}
