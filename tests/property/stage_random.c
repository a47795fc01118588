/* SPDX-License-Identifier: MIT */
/* The staging store under devices that repeat, skip, reorder and grow, and a process that dies between any
 * two calls: what was acknowledged is there, each record once and in order, and each chunk's bytes are those
 * that were sent. */
#include "../test.h"

#include "../unit/chunks.h"

#define DEVICES 4
#define CHUNKS  40
#define STEPS   3000

struct made {
    struct chunk_bytes building;
    uint32_t first, next;
    uint16_t ends[8]; /* of its segments: how much of it the device has at a time */
    unsigned segments;
};

struct device {
    char id[16];
    struct made chunks[CHUNKS];
    struct tern_stage_range *range;
    uint32_t acknowledged; /* records below it */
};

static struct device devices[DEVICES];
static struct tern_stage *stage;
static uint64_t seed;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(test_random(&seed) % limit);
}

/* Chunks of one to eight segments; the first two of each three are a batch that the third ends. */
static void make_chunks(struct device *device)
{
    uint32_t next = 1;
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct made *made = &device->chunks[i];
        chunks_open(&made->building, next);
        made->first = next;
        made->segments = 1 + below(8);
        for (unsigned k = 0; k < made->segments; k++) {
            for (uint32_t rows = 1 + below(6); rows != 0; rows--, next++)
                chunks_put(&made->building, &chunks_table, next, "row");
            bool in_batch = i % 3 != 2 || k == 0;
            tern_chunk_finish(&made->building.chunk, i % 3 == 2, in_batch);
            made->ends[k] = made->building.chunk.size;
        }
        made->next = next;
    }
}

/* As a device does that begins a session. What was acknowledged must be there. */
static void say_hello(struct device *device)
{
    struct tern_hello hello = {.id = device->id, .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8000, .base = 1, .oldest = 1, .next = 1000000};
    struct tern_device *known = tern_stage_device(stage, device->id);
    CHECK_EQ(chunks_schema(stage, known, &chunks_table), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, known, &hello, &hello.ranges[0], 0, &device->range), TERN_HOST_OK);
    CHECK(device->range->durable.next >= device->acknowledged);
}

static void open_stage(void)
{
    struct tern_stage_config config = {.directory = folder, .file_bytes = 20000};
    if (!CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK))
        exit(1);
    for (unsigned i = 0; i < DEVICES; i++)
        say_hello(&devices[i]);
}

static void sync_all(void)
{
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    for (unsigned i = 0; i < DEVICES; i++)
        devices[i].acknowledged = devices[i].range->durable.next;
}

/* Sends a piece of a chunk: mostly what the store waits for, sometimes any. */
static void send_something(struct device *device)
{
    const struct tern_stage_position *taken = &device->range->taken;
    unsigned index = 0;
    uint32_t offset = 0, want;
    while (index + 1 < CHUNKS && device->chunks[index].next <= taken->next)
        index++;
    if (taken->first == device->chunks[index].first)
        offset = taken->offset;
    if (below(6) == 0) {
        index = below(CHUNKS);
        offset = below(2) * below(device->chunks[index].building.chunk.size);
    }
    const struct made *made = &device->chunks[index];
    uint32_t end = made->ends[below(made->segments)];
    if (end <= offset)
        end = made->building.chunk.size;
    uint32_t size = 1 + below(end - offset < 1 ? 1 : end - offset);
    if (offset + size > made->building.chunk.size)
        return;
    CHECK_EQ(tern_stage_part(stage, device->range, made->first, offset, made->building.bytes + offset, size,
                             &want),
             TERN_HOST_OK);
    CHECK_EQ(want, 0);
}

static const struct made *find_chunk(const struct device *device, uint32_t first)
{
    for (unsigned i = 0; i < CHUNKS; i++)
        if (device->chunks[i].first == first)
            return &device->chunks[i];
    return NULL;
}

static void check_entry(struct tern_stage_reader *reader, const struct tern_entry *entry,
                        uint32_t next[DEVICES])
{
    unsigned which = (unsigned)(entry->device[3] - '0');
    uint8_t bytes[TERN_CHUNK_MAX];
    if (!CHECK(which < DEVICES) || !CHECK_EQ(entry->first, next[which]))
        return;
    next[which] = entry->last + 1;
    const struct made *made = find_chunk(&devices[which], entry->chunk_first);
    int size = tern_stage_chunk(reader, entry, bytes);
    if (CHECK(made != NULL) && CHECK(size > 0 && size <= made->building.chunk.size))
        CHECK(memcmp(bytes, made->building.bytes, (size_t)size) == 0);
    /* The run leads back to its first record without a hole. */
    struct tern_entry before = *entry;
    while (before.first > entry->run_first) {
        uint32_t behind = before.first;
        if (!CHECK_EQ(tern_stage_fetch(reader, before.run_before, &before), TERN_HOST_OK) ||
            !CHECK_EQ(before.last + 1, behind))
            break;
    }
}

static void check_journal(void)
{
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    uint32_t next[DEVICES] = {1, 1, 1, 1};
    CHECK_EQ(tern_stage_reader_open(stage, 0, &reader), TERN_HOST_OK);
    while (tern_stage_read(reader, &entry) == 1)
        if (entry.kind == TERN_ENTRY_CHUNK)
            check_entry(reader, &entry, next);
    tern_stage_reader_close(reader);
    for (unsigned i = 0; i < DEVICES; i++)
        CHECK_EQ(next[i], devices[i].acknowledged);
}

static void random_sessions_keep_every_acknowledged_record_once(void)
{
    for (unsigned round = 0; round < 8; round++) {
        folder_fresh();
        for (unsigned i = 0; i < DEVICES; i++) {
            memset(&devices[i], 0, sizeof devices[i]);
            snprintf(devices[i].id, sizeof devices[i].id, "dev%u", i);
            make_chunks(&devices[i]);
        }
        open_stage();
        for (unsigned step = 0; step < STEPS; step++) {
            send_something(&devices[below(DEVICES)]);
            if (below(10) == 0)
                sync_all();
            if (below(300) == 0) {
                tern_stage_close(stage); /* what was not synced is gone */
                open_stage();
            }
        }
        /* Once the faults stop, everything arrives. */
        for (unsigned i = 0; i < DEVICES; i++)
            for (unsigned k = 0; k < CHUNKS; k++)
                CHECK_EQ(chunks_send(stage, devices[i].range, &devices[i].chunks[k].building, 0),
                         TERN_HOST_OK);
        sync_all();
        for (unsigned i = 0; i < DEVICES; i++)
            CHECK_EQ(devices[i].acknowledged, devices[i].chunks[CHUNKS - 1].next);
        check_journal();
        tern_stage_close(stage);
    }
}

int main(int argc, char **argv)
{
    seed = test_seed(argc, argv);
    RUN(random_sessions_keep_every_acknowledged_record_once);
    folder_remove();
    return test_report();
}
