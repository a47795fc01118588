/* SPDX-License-Identifier: MIT */
/* A device on a bench: flash in memory, a clock that stands still between calls, and a gateway that the test
 * plays by hand. */
#ifndef TERN_TEST_BENCH_H
#define TERN_TEST_BENCH_H

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/frame.h"
#include "../../core/log.h"
#include "../../core/push.h"
#include "../../core/schema.h"

#define SECTOR         1024u
#define SECTORS        4u
#define DATAGRAM_LEAST 64u /* bytes; carries a short HELLO */
#define LANES          8u
#define EPOCH          0x01000000u
#define STORE          0x1122334455667788u

/* ---- A device on the bench ------------------------------------------------------------------- */

struct frame {
    uint8_t data[TERN_FRAME_MAX];
    size_t size;
};

struct bench {
    struct tern tern;
    struct tern_config config;
    struct tern_lane lanes[LANES];
    struct tern_flash flash[LANES];
    struct tern_link link;
    struct tern_clock clock;
    uint8_t memory[LANES][SECTOR * SECTORS];
    uint8_t chunk[LANES][512];
    uint8_t frame[1100];
    uint32_t now, session, noise;
    uint32_t reads;       /* of flash */
    struct frame up[256]; /* what the device has sent */
    size_t ups;
    struct tern_cobs cobs;
    uint8_t decoded[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    uint8_t down[4096]; /* stream bytes on their way to the device */
    size_t down_size, down_at;
    bool busy; /* the link takes nothing */
};

static struct bench bench;

static const struct tern_column columns[] = {{"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), 0}};
static const struct tern_table climate = TERN_TABLE("climate", TERN_MERGE, columns);
static const struct tern_table alarms = {"alarms", columns, &tern_csv, 2, TERN_MERGE, 0, 0};
static const struct tern_table bulk = {"bulk", columns, &tern_csv, 2, TERN_MERGE, 0, 1};

static inline int flash_read(void *context, uint32_t address, void *data, uint32_t size)
{
    bench.reads++;
    memcpy(data, (uint8_t *)context + address, size);
    return 0;
}

static inline int flash_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    memcpy((uint8_t *)context + address, data, size);
    return 0;
}

static inline int flash_erase(void *context, uint32_t address)
{
    memset((uint8_t *)context + address, 0xFF, SECTOR);
    return 0;
}

static inline uint32_t link_session(void *context)
{
    (void)context;
    return bench.session;
}

static inline void keep_frame(const uint8_t *data, size_t size)
{
    CHECK(tern_frame_check(data, size, tern_push_epoch(&bench.lanes[data[1] % LANES])) == TERN_OK &&
          size <= TERN_FRAME_MAX);
    if (bench.ups < sizeof(bench.up) / sizeof(bench.up[0])) {
        memcpy(bench.up[bench.ups].data, data, size);
        bench.up[bench.ups++].size = size;
    }
}

static inline int32_t link_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    if (bench.busy)
        return 0;
    if (bench.link.datagram != 0) {
        CHECK(size <= bench.link.datagram);
        keep_frame(data, size);
        return (int32_t)size;
    }
    uint32_t taken = size > 100 ? 100 : size; /* a link with a small buffer */
    for (uint32_t i = 0; i < taken; i++) {
        int got = tern_cobs_take(&bench.cobs, data[i]);
        CHECK(got >= 0);
        if (got > 0)
            keep_frame(bench.decoded, (size_t)got);
    }
    return (int32_t)taken;
}

static inline int32_t link_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    size_t left = bench.down_size - bench.down_at;
    size_t taken = left < size ? left : size;
    memcpy(data, bench.down + bench.down_at, taken);
    bench.down_at += taken;
    return (int32_t)taken;
}

static inline uint32_t clock_now(void *context)
{
    (void)context;
    return bench.now;
}

static inline uint32_t clock_random(void *context)
{
    (void)context;
    return bench.noise++ * 2654435761u;
}

static inline void reopen(void)
{
    for (unsigned i = 0; i < LANES; i++)
        bench.lanes[i].overflow = TERN_DROP_OLDEST;
    CHECK_EQ(tern_open(&bench.tern, &bench.config), TERN_OK);
}

static inline void open_bench(uint8_t lanes)
{
    memset(&bench, 0, sizeof(bench));
    memset(bench.memory, 0xFF, sizeof(bench.memory));
    bench.session = 1;
    bench.cobs.buffer = bench.decoded;
    bench.cobs.capacity = sizeof(bench.decoded);
    bench.link = (struct tern_link){NULL, link_session, link_send, link_receive, 0};
    bench.clock = (struct tern_clock){NULL, clock_now, clock_random};
    for (unsigned i = 0; i < LANES; i++) {
        bench.flash[i] = (struct tern_flash){
            bench.memory[i], flash_read, flash_program, flash_erase, SECTOR, SECTORS, 1, 0};
        bench.lanes[i].flash = &bench.flash[i];
        bench.lanes[i].chunk_data = bench.chunk[i];
        bench.lanes[i].chunk_size = 512;
    }
    bench.config = (struct tern_config){.id = "dev1",
                                        .lanes = bench.lanes,
                                        .lane_count = lanes,
                                        .link = &bench.link,
                                        .clock = &bench.clock,
                                        .frame = bench.frame,
                                        .frame_size = sizeof(bench.frame),
                                        .boot = 3};
    reopen();
}

static inline int put_row(const struct tern_table *table, const struct tern_value *row)
{
    int status;
    while ((status = tern_put(&bench.tern, table, row)) == TERN_AGAIN)
        if (!CHECK(tern_poll(&bench.tern) >= 0))
            break;
    return status;
}

static inline void put_rows(const struct tern_table *table, int64_t from, int count)
{
    for (int i = 0; i < count; i++) {
        struct tern_value row[] = {tern_int(from + i), tern_int(2000 + i)};
        CHECK_EQ(put_row(table, row), TERN_OK);
        if (i % 50 == 49)
            CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    }
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
}

/* Lets the device run for some milliseconds. */
static inline void run(uint32_t milliseconds)
{
    uint32_t end = bench.now + milliseconds;
    for (int steps = 0; steps < 100000; steps++) {
        int32_t wait = tern_poll(&bench.tern);
        CHECK(wait >= 0);
        if (wait <= 0)
            continue;
        uint32_t left = end - bench.now;
        if (left == 0)
            return;
        bench.now += (uint32_t)wait < left ? (uint32_t)wait : left;
    }
    CHECK_EQ(0, 1); /* the device never rests */
}

/* ---- The gateway by hand --------------------------------------------------------------------- */

static inline void send_down(const uint8_t *bare, size_t size)
{
    uint8_t stream[256];
    memcpy(stream + TERN_COBS_OFFSET(size), bare, size);
    size_t length = tern_cobs_encode(stream, TERN_COBS_OFFSET(size), size);
    if (bench.down_at == bench.down_size)
        bench.down_at = bench.down_size = 0;
    memcpy(bench.down + bench.down_size, stream, length);
    bench.down_size += length;
}

static inline struct tern_output message(uint8_t *bare, uint8_t kind, uint8_t lane)
{
    struct tern_output output = {bare, 0, 124, false};
    tern_write8(&output, kind);
    tern_write8(&output, lane);
    return output;
}

static inline void finish(struct tern_output *output)
{
    send_down(output->data, tern_frame_seal(output->data, output->size, EPOCH));
}

static inline uint64_t last_nonce(void)
{
    for (size_t i = bench.ups; i-- != 0;)
        if (bench.up[i].data[0] == TERN_HELLO) {
            struct tern_input input = {bench.up[i].data + 2, bench.up[i].size - 6, false};
            for (int k = 0; k < 3; k++)
                tern_read_varint(&input);
            return tern_read64(&input);
        }
    return 0;
}

/* What a WELCOME or an ACK says. */
struct answer {
    uint8_t lane;
    uint32_t next, open, first, offset, window, pause;
    uint64_t nonce;
    uint32_t epoch;
    uint32_t back[2], crc[2]; /* tails; CRC 0: none */
};

static inline struct answer answer_to(uint8_t lane, uint32_t epoch, uint32_t next)
{
    struct answer answer = {.lane = lane, .next = next, .window = 65536, .epoch = epoch};
    answer.nonce = last_nonce();
    return answer;
}

static inline size_t write_answer(uint8_t *bare, uint8_t kind, const struct answer *answer)
{
    struct tern_output output = message(bare, kind, answer->lane);
    tern_write_varint(&output, answer->next);
    tern_write_varint(&output, answer->open);
    tern_write_varint(&output, answer->first);
    tern_write_varint(&output, answer->offset);
    tern_write_varint(&output, answer->window);
    tern_write_varint(&output, answer->pause);
    if (kind == TERN_WELCOME) {
        tern_write64(&output, answer->nonce);
        tern_write64(&output, STORE);
        tern_write64(&output, 1700000000000u);
        tern_write_varint(&output, answer->epoch);
        for (int i = 0; i < 2 && answer->crc[i] != 0; i++) {
            tern_write_varint(&output, answer->back[i]);
            tern_write_varint(&output, answer->crc[i]);
        }
    }
    return tern_frame_seal(bare, output.size, answer->epoch);
}

static inline void say(uint8_t kind, struct answer answer)
{
    uint8_t bare[128];
    send_down(bare, write_answer(bare, kind, &answer));
}

static inline void welcome(uint8_t lane, uint32_t epoch, uint32_t next, uint32_t last_crc)
{
    struct answer answer = answer_to(lane, epoch, next);
    answer.crc[0] = last_crc;
    say(TERN_WELCOME, answer);
}

static inline void ack(uint8_t lane, uint32_t next)
{
    const struct tern_lane *about = &bench.lanes[lane < bench.config.lane_count ? lane : 0];
    say(TERN_ACK, answer_to(lane, tern_push_epoch(about), next));
}

/* The nth frame of that kind since `from`, or NULL. */
static inline const struct frame *sent(uint8_t kind, size_t nth, size_t from)
{
    for (size_t i = from; i < bench.ups; i++)
        if (bench.up[i].data[0] == kind && nth-- == 0)
            return &bench.up[i];
    return NULL;
}

static inline size_t count_sent(uint8_t kind, size_t from)
{
    size_t count = 0;
    while (sent(kind, count, from) != NULL)
        count++;
    return count;
}

/* What a HELLO says, of the first lane. */
struct said {
    uint32_t epoch, base, oldest, acked, next, newest;
    uint64_t nonce, store;
};

/* The nth HELLO since `from`. */
static inline struct said read_hello(size_t nth, size_t from)
{
    struct said said = {0, 0, 0, 0, 0, 0, 0, 0};
    const struct frame *frame = sent(TERN_HELLO, nth, from);
    if (!CHECK(frame != NULL))
        return said;
    struct tern_input input = {frame->data + 2, frame->size - 6, false};
    for (int i = 0; i < 3; i++)
        tern_read_varint(&input);
    said.nonce = tern_read64(&input);
    tern_read_bytes(&input, tern_read8(&input));
    CHECK_EQ(tern_read8(&input), 0);
    said.epoch = tern_read_varint(&input);
    said.base = tern_read_varint(&input);
    said.oldest = tern_read_varint(&input);
    said.acked = tern_read_varint(&input);
    said.next = tern_read_varint(&input);
    said.newest = tern_read_varint(&input);
    said.store = tern_read64(&input);
    CHECK(!input.failed);
    return said;
}

/* What the nth GAP since `from` says. */
struct gap {
    uint32_t first, last;
    uint8_t reason;
};

static inline struct gap read_gap(size_t nth, size_t from)
{
    struct gap gap = {0, 0, 0};
    const struct frame *frame = sent(TERN_GAP, nth, from);
    if (!CHECK(frame != NULL))
        return gap;
    struct tern_input input = {frame->data + 2, frame->size - 6, false};
    gap.first = tern_read_varint(&input);
    gap.last = tern_read_varint(&input);
    gap.reason = tern_read8(&input);
    CHECK(!input.failed && input.size == 0);
    return gap;
}

struct part {
    uint8_t lane;
    uint32_t first, offset;
    const uint8_t *data;
    size_t size;
};

static inline struct part read_part(const struct frame *frame)
{
    struct part part = {0, 0, 0, NULL, 0};
    if (!CHECK(frame != NULL))
        return part;
    struct tern_input input = {frame->data + 1, frame->size - 5, false};
    part.lane = tern_read8(&input);
    part.first = tern_read_varint(&input);
    part.offset = tern_read_varint(&input);
    part.data = input.data;
    part.size = input.size;
    CHECK(!input.failed);
    return part;
}

/* Puts the parts since `from` together, chunk by chunk, as a gateway does, and counts the records. */
static inline uint32_t assemble(size_t from, uint32_t *last_crc)
{
    static uint8_t chunk[TERN_CHUNK_MAX];
    struct tern_walk walk;
    struct tern_segment segment;
    uint32_t records = 0, size = 0, first = 0;
    for (size_t i = 0; sent(TERN_PART, i, from) != NULL; i++) {
        struct part part = read_part(sent(TERN_PART, i, from));
        if (part.first != first || part.offset == 0) {
            CHECK_EQ(part.offset, 0);
            first = part.first;
            size = 0;
        }
        if (!CHECK_EQ(part.offset, size))
            return 0;
        memcpy(chunk + size, part.data, part.size);
        size += (uint32_t)part.size;
        const struct frame *next = sent(TERN_PART, i + 1, from);
        if (next != NULL && read_part(next).first == first && read_part(next).offset != 0)
            continue;
        CHECK_EQ(tern_walk_begin(&walk, tern_source_memory(chunk), size), TERN_OK);
        while (tern_walk_next(&walk, &segment) == TERN_OK) {
            records += segment.rows;
            *last_crc = segment.crc;
        }
        CHECK_EQ(walk.offset, size);
    }
    return records;
}

/* A device that has pushed so many records, all of them acknowledged. Returns the CRC of the last segment. */
static inline uint32_t push_all(int rows)
{
    uint32_t crc = 0;
    open_bench(1);
    put_rows(&climate, 1, rows);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(assemble(0, &crc), rows);
    ack(0, (uint32_t)rows + 1);
    run(10);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
    return crc;
}

#endif
