/* SPDX-License-Identifier: MIT */
/* Parallel NOR with Intel's commands: two 16-bit chips side by side, so that each command is written to both.
 * A full buffer is programmed in some 500 us and a sector erased in half a second; erase() starts that and
 * says TERN_AGAIN until it is done. */
#include "board.h"

#include "../memory.h"

#define BANK         0x22000000u
#define SECTOR_SIZE  262144u
#define SECTOR_COUNT 3u
#define BUFFER_SIZE  128u /* of both chips together */

#define BOTH(command)  ((uint32_t)(command) << 16 | (command))
#define WRITE_BUFFER   BOTH(0xE8)
#define ERASE          BOTH(0x20)
#define CONFIRM        BOTH(0xD0)
#define CLEAR_STATUS   BOTH(0x50)
#define READ_STATUS    BOTH(0x70)
#define READ_CELLS     BOTH(0xFF)
#define IS_READY       BOTH(0x80)
#define HAS_FAILED     BOTH(0x3A) /* erase, program, voltage, lock */
#define NOTHING_ERASES 0xFFFFFFFFu

static uint32_t erasing = NOTHING_ERASES; /* the sector being erased */

static volatile uint32_t *cell(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)(BANK + address);
}

/* Back to reading. 0, or -1 when the chips report a failure. */
static int end(uint32_t address, uint32_t status)
{
    if ((status & HAS_FAILED) != 0)
        *cell(address) = CLEAR_STATUS;
    *cell(address) = READ_CELLS;
    return (status & HAS_FAILED) != 0 ? -1 : 0;
}

/* The bank has one command at a time: what comes while a sector is being erased waits for its end. */
static void finish_erase(void)
{
    if (erasing == NOTHING_ERASES)
        return;
    *cell(erasing) = READ_STATUS;
    while ((*cell(erasing) & IS_READY) != IS_READY)
        ;
    *cell(erasing) = READ_CELLS;
}

static int read(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    finish_erase();
    memcpy(data, (const void *)(uintptr_t)(BANK + address), size);
    return 0;
}

/* One fill of the chips' buffer: `size` bytes that do not cross a BUFFER_SIZE boundary. */
static int program_buffer(uint32_t address, const uint8_t *from, uint32_t size)
{
    volatile uint32_t *to = cell(address);
    uint32_t words = size / (uint32_t)sizeof(uint32_t);
    uint32_t word, status;
    do
        *cell(address) = WRITE_BUFFER;
    while ((*cell(address) & IS_READY) != IS_READY);
    *cell(address) = BOTH(words - 1);
    for (; words != 0; words--, from += sizeof(word)) {
        memcpy(&word, from, sizeof(word));
        *to++ = word;
    }
    *cell(address) = CONFIRM;
    do
        status = *cell(address);
    while ((status & IS_READY) != IS_READY);
    return end(address, status);
}

static int program(void *context, uint32_t address, const void *data, uint32_t size)
{
    const uint8_t *from = data;
    (void)context;
    finish_erase();
    while (size != 0) {
        uint32_t piece = BUFFER_SIZE - (address & (BUFFER_SIZE - 1));
        piece = piece < size ? piece : size;
        if (program_buffer(address, from, piece) != 0)
            return -1;
        address += piece;
        from += piece;
        size -= piece;
    }
    return 0;
}

static int erase(void *context, uint32_t address)
{
    (void)context;
    if (erasing != address) {
        finish_erase();
        *cell(address) = ERASE;
        *cell(address) = CONFIRM;
        erasing = address;
        return TERN_AGAIN;
    }
    *cell(address) = READ_STATUS;
    uint32_t status = *cell(address);
    if ((status & IS_READY) != IS_READY)
        return TERN_AGAIN;
    erasing = NOTHING_ERASES;
    return end(address, status);
}

const struct tern_flash board_flash = {
    .read = read,
    .program = program,
    .erase = erase,
    .sector_size = SECTOR_SIZE,
    .sector_count = SECTOR_COUNT,
    .program_unit = sizeof(uint32_t),
};
