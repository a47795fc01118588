/* SPDX-License-Identifier: MIT */
/* A ring of sectors of any bytes: it is mounted, read and sent, then written to, and mounted again. Nothing
 * outside of the ring is touched, and everything ends. */
#include <stdlib.h>
#include <string.h>

#include "../core/log.h"
#include "../core/tern.h"

#define RING_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[RING_MAX];
static struct tern_flash flash;
static const struct tern_column columns[] = {{"at", TERN_I64, TERN_KEY},
                                             {"note", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_table table = TERN_TABLE("t", TERN_MERGE, columns);

static bool is_inside(uint32_t address, uint32_t size)
{
    uint32_t ring = flash.sector_size * flash.sector_count;
    return address <= ring && size <= ring - address;
}

static int flash_read(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    if (!is_inside(address, size))
        abort();
    memcpy(data, memory + address, size);
    return 0;
}

static int flash_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    (void)context;
    if (!is_inside(address, size) || address % flash.program_unit != 0 || size % flash.program_unit != 0)
        abort();
    for (uint32_t i = 0; i < size; i++)
        memory[address + i] &= ((const uint8_t *)data)[i];
    return 0;
}

static int flash_erase(void *context, uint32_t address)
{
    (void)context;
    if (!is_inside(address, flash.sector_size) || address % flash.sector_size != 0)
        abort();
    memset(memory + address, 0xFF, flash.sector_size);
    return 0;
}

static uint32_t link_session(void *context)
{
    (void)context;
    return 1;
}

static int32_t link_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    (void)data;
    return (int32_t)size;
}

static int32_t link_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return 0;
}

static uint32_t now;

static uint32_t clock_now(void *context)
{
    (void)context;
    return now += 100;
}

static uint32_t clock_random(void *context)
{
    (void)context;
    return now * 2654435761u;
}

static struct tern tern;
static struct tern_lane lane;
static uint8_t chunk[512], frame[300];
static const struct tern_link link = {NULL, link_session, link_send, link_receive, 0};
static const struct tern_clock ticks = {NULL, clock_now, clock_random};
static const struct tern_config config = {.id = "fuzz",
                                          .lanes = &lane,
                                          .lane_count = 1,
                                          .link = &link,
                                          .clock = &ticks,
                                          .frame = frame,
                                          .frame_size = sizeof frame};

static int start(void)
{
    uint8_t overflow = lane.overflow;
    lane = (struct tern_lane){
        .flash = &flash, .chunk_data = chunk, .chunk_size = sizeof chunk, .overflow = overflow};
    return tern_open(&tern, &config);
}

/* Everything that the log says it has can be looked for. */
static void read_all(void)
{
    struct tern_log_chunk found = {.address = TERN_NO_ADDRESS};
    uint32_t sequence = tern_log_oldest(&lane.log), crc;
    for (unsigned i = 0; i < 300 && tern_log_find(&lane.log, sequence, &found) == TERN_OK; i++) {
        uint8_t piece[64];
        for (uint32_t at = 0; at < found.size; at += sizeof piece)
            if (tern_log_read(&lane.log, &found, at, piece,
                              found.size - at < sizeof piece ? found.size - at : (uint32_t)sizeof piece) !=
                TERN_OK)
                break;
        (void)tern_log_segment_crc(&lane.log, found.next, &crc);
        if (found.next <= sequence)
            break;
        sequence = found.next;
    }
}

static void act(uint8_t byte)
{
    struct tern_value row[] = {tern_int(byte),
                               byte % 5 == 0 ? tern_null() : tern_bytes("0123456789012345678901", byte % 23)};
    switch (byte % 8) {
    case 0:
    case 1:
    case 2:
        (void)tern_put(&tern, &table, row);
        break;
    case 3:
        (void)tern_commit(&tern);
        break;
    case 4:
        (void)tern_abort(&tern);
        break;
    default:
        (void)tern_poll(&tern);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 20)
        return 0;
    now = 0;
    flash = (struct tern_flash){NULL,
                                flash_read,
                                flash_program,
                                flash_erase,
                                512u << data[0] % 3,
                                2u + data[1] % 3,
                                (uint8_t)(1u << data[2] % 6),
                                0};
    lane.overflow = data[3] % 3;
    uint32_t ring = flash.sector_size * flash.sector_count;
    const uint8_t *actions = data + 4;
    memset(memory, 0xFF, sizeof memory);
    memcpy(memory, data + 20, size - 20 < ring ? size - 20 : ring);
    int status = start();
    if (status != TERN_OK)
        return 0;
    read_all();
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 0; k <= i % 4; k++)
            act((uint8_t)(actions[i] + k));
    if (start() == TERN_OK)
        read_all();
    return 0;
}
