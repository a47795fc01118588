/* SPDX-License-Identifier: MIT */
/* The chip's own flash through its controller (NVMC). The CPU stands still while it works: 21 ms for a page,
 * 46 us for a word. A word may be written twice between erases, which is what struct tern_flash asks for
 * after a power cut. */
#include "../memory.h"
#include "board.h"

#define NVMC_READY       REGISTER(0x4001E400)
#define NVMC_CONFIG      REGISTER(0x4001E504)
#define NVMC_ERASE_PAGE  REGISTER(0x4001E508)
#define CONFIG_READ_ONLY 0u
#define CONFIG_WRITE     1u
#define CONFIG_ERASE     2u

#define PAGE_SIZE  1024u
#define PAGE_COUNT 32u

extern uint8_t image_log[]; /* microbit.ld */

static void wait(void)
{
    while (NVMC_READY == 0)
        ;
}

static void configure(uint32_t mode)
{
    NVMC_CONFIG = mode;
    wait();
}

static int read(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    memcpy(data, image_log + address, size);
    return 0;
}

static int program(void *context, uint32_t address, const void *data, uint32_t size)
{
    volatile uint32_t *to = (volatile uint32_t *)(uintptr_t)(image_log + address);
    const uint8_t *from = data; /* of any alignment */
    uint32_t word;
    (void)context;
    configure(CONFIG_WRITE);
    for (; size != 0; size -= sizeof(word), from += sizeof(word)) {
        memcpy(&word, from, sizeof(word));
        *to++ = word;
        wait();
    }
    configure(CONFIG_READ_ONLY);
    return 0;
}

static int erase(void *context, uint32_t address)
{
    (void)context;
    configure(CONFIG_ERASE);
    NVMC_ERASE_PAGE = (uint32_t)(uintptr_t)(image_log + address);
    wait();
    configure(CONFIG_READ_ONLY);
    return 0;
}

const struct tern_flash board_flash = {
    .read = read,
    .program = program,
    .erase = erase,
    .sector_size = PAGE_SIZE,
    .sector_count = PAGE_COUNT,
    .program_unit = sizeof(uint32_t),
};
