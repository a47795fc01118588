/* SPDX-License-Identifier: MIT */
/* The README's firmware as it stands there, on a PC: samples come faster than a slow erase lets them be
 * committed, a gateway gives epochs, and each sample is recorded once. */
#include <stdio.h>

#include "build/readme/firmware.c"

#include "core/log.h"
#include "tests/nor.h"

#define SAMPLES     3000
#define ERASE_TURNS 300 /* polls that an erase takes */

static struct nor nor;

static int read_nor(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    return nor.flash.read(nor.flash.context, address, data, size);
}
static int program_nor(void *context, uint32_t address, const void *data, uint32_t size)
{
    (void)context;
    return nor.flash.program(nor.flash.context, address, data, size);
}
static int erase_nor(void *context, uint32_t address)
{
    static uint32_t turns;
    (void)context;
    if (++turns % ERASE_TURNS != 0)
        return TERN_AGAIN;
    return nor.flash.erase(nor.flash.context, address);
}
static uint32_t no_session(void *context)
{
    (void)context;
    return 0;
}
static uint32_t milliseconds(void *context)
{
    static uint32_t now;
    (void)context;
    return now++;
}

const struct tern_flash flash = {.read = read_nor,
                                 .program = program_nor,
                                 .erase = erase_nor,
                                 .sector_size = 1024,
                                 .sector_count = 256,
                                 .program_unit = 4};
const struct tern_link link = {.session = no_session};
const struct tern_clock clock = {.milliseconds = milliseconds};

int main(void)
{
    uint32_t taken = 0, waits = 0, epoch = 0;
    nor_open(&nor, 1024, 256, 4);
    int status = start();
    for (int64_t now = 1; status == TERN_OK && now < 100000 && (taken < SAMPLES || head != tail); now++) {
        uint8_t before = head;
        if (taken < SAMPLES && now % 3 != 0)
            on_sample((int32_t)now);
        taken += head != before;
        drain(now);
        waits += idle() == 0;
        if (now % 500 == 250) { /* between put and commit: the open chunk then finds no room in its sector */
            drain(now);
            lane.log.acked = lane.log.next;
            (void)tern_log_set_epoch(&lane.log, epoch += TERN_EPOCH_STEP, lane.log.next);
        }
    }
    for (uint32_t i = 0; i < 1000 && status == TERN_OK; i++)
        (void)idle();
    uint32_t recorded = tern_committed(&tern, 0);
    printf("     %u samples taken, %u rows recorded, %u polls with more to do\n", taken, recorded, waits);
    nor_close(&nor);
    return taken == SAMPLES && recorded == SAMPLES && waits > 100 ? 0 : 1;
}
