/* SPDX-License-Identifier: MIT */
/* Any bytes from the gateway, as they come and as frames whose CRC is right: a device never acknowledges what
 * it did not send, nor leaves its memory. The first byte of each frame in the input says how many bytes of
 * body follow. */
#include <stdlib.h>
#include <string.h>

#include "../core/frame.h"
#include "../core/log.h"

#define RING 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[RING];

static int flash_read(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    if (address > RING || size > RING - address)
        abort();
    memcpy(data, memory + address, size);
    return 0;
}

static int flash_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    (void)context;
    if (address > RING || size > RING - address)
        abort();
    memcpy(memory + address, data, size);
    return 0;
}

static int flash_erase(void *context, uint32_t address)
{
    (void)context;
    memset(memory + address, 0xFF, 1024);
    return 0;
}

static const struct tern_flash flash = {NULL, flash_read, flash_program, flash_erase, 1024, RING / 1024,
                                        4,    0};
static uint8_t nonce[8], down[4096], sent[TERN_FRAME_MAX];
static uint32_t down_size, down_at, now;
static struct tern_cobs cobs;

static uint32_t link_session(void *context)
{
    (void)context;
    return 1;
}

/* The nonce of its HELLO is what a WELCOME needs: the body behind version, boot, uptime and receive. */
static int32_t link_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    for (uint32_t i = 0; i < size; i++) {
        int got = tern_cobs_take(&cobs, data[i]);
        struct tern_input body = {sent + 1, got > 5 ? (size_t)got - 5 : 0, false};
        if (got <= 0 || sent[0] != TERN_HELLO)
            continue;
        tern_read8(&body);
        for (unsigned k = 0; k < 3; k++)
            tern_read_varint(&body);
        const uint8_t *found = tern_read_bytes(&body, sizeof nonce);
        if (!body.failed)
            memcpy(nonce, found, sizeof nonce);
    }
    return (int32_t)size;
}

static int32_t link_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    uint32_t left = down_size - down_at;
    uint32_t taken = left < size ? left : size;
    memcpy(data, down + down_at, taken);
    down_at += taken;
    return (int32_t)taken;
}

static uint32_t clock_now(void *context)
{
    (void)context;
    return now += 50;
}

static uint32_t clock_random(void *context)
{
    (void)context;
    return 7;
}

static const struct tern_link link = {NULL, link_session, link_send, link_receive, 0};
static const struct tern_clock ticks = {NULL, clock_now, clock_random};
static const struct tern_column columns[] = {{"at", TERN_I64, TERN_KEY}};
static const struct tern_table table = TERN_TABLE("t", TERN_MERGE, columns);
static struct tern tern;
static struct tern_lane lane;
static uint8_t chunk[256], frame[300];
static const struct tern_config config = {.id = "fuzz",
                                          .lanes = &lane,
                                          .lane_count = 1,
                                          .link = &link,
                                          .clock = &ticks,
                                          .frame = frame,
                                          .frame_size = sizeof frame};

static void polls(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t next = lane.log.next;
        (void)tern_poll(&tern);
        if (lane.log.acked > next)
            abort();
    }
}

/* A frame with the body at `data`; in a WELCOME the nonce is put right at the place that the second byte
 * names. */
static void put_frame(const uint8_t *data, size_t size)
{
    uint8_t bare[80 + 4];
    memcpy(bare, data + 1, size - 1);
    if (size > 10 && bare[0] == TERN_WELCOME && data[0] + sizeof nonce < size)
        memcpy(bare + data[0], nonce, sizeof nonce);
    size_t bytes = tern_frame_seal(bare, size - 1, lane.log.epochs[0].epoch);
    down_at = 0;
    memcpy(down + TERN_COBS_OFFSET(bytes), bare, bytes);
    down_size = (uint32_t)tern_cobs_encode(down, TERN_COBS_OFFSET(bytes), bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_value row[] = {tern_int(1)};
    memset(memory, 0xFF, sizeof memory);
    cobs = (struct tern_cobs){.buffer = sent, .capacity = sizeof sent};
    down_size = down_at = now = 0;
    lane = (struct tern_lane){.flash = &flash, .chunk_data = chunk, .chunk_size = sizeof chunk};
    if (tern_open(&tern, &config) != TERN_OK)
        abort();
    for (unsigned i = 0; i < 8; i++) {
        polls(1);
        (void)tern_put(&tern, &table, row);
        (void)tern_commit(&tern);
    }
    polls(4);
    if (lane.log.next < 5)
        abort();
    while (size != 0) {
        size_t length = data[0] % 80;
        data++;
        size--;
        if (length > size)
            length = size;
        if (length > 2) {
            put_frame(data, length);
        } else {
            memcpy(down, data, length);
            down_at = 0;
            down_size = (uint32_t)length;
        }
        polls(6);
        data += length;
        size -= length;
    }
    return 0;
}
