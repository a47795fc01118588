/* SPDX-License-Identifier: MIT */
/* EEPROM as flash: the chip can erase a byte and write one separately, 1.8 ms each, and a write then only
 * clears bits. A cell lasts 100,000 such rounds. The CPU sleeps meanwhile, and goes on taking bytes from the
 * UART. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "board.h"

#define SIZE        1024u
#define SECTOR_SIZE 256u
#define ERASE_STEP  8u /* bytes a call: 15 ms */

#define ERASE_ONLY _BV(EEPM0)
#define WRITE_ONLY _BV(EEPM1)

static uint16_t erased; /* bytes of the sector that erase() is in */

ISR(EE_READY_vect)
{
    EECR = 0; /* it has woken the CPU, and that was all */
}

static void wait(void)
{
    cli();
    while ((EECR & _BV(EEPE)) != 0) {
        EECR |= _BV(EERIE);
        sei();
        sleep_cpu();
        cli();
    }
    sei();
}

/* Erases or writes the byte at EEAR. */
static void change(uint8_t mode)
{
    cli();
    EECR = mode;
    EECR |= _BV(EEMPE);
    EECR |= _BV(EEPE); /* within four cycles */
    sei();
    wait();
}

static int read(void *context, uint32_t address, void *data, uint32_t size)
{
    uint8_t *to = data;
    uint16_t at = (uint16_t)address;
    (void)context;
    for (uint16_t left = (uint16_t)size; left != 0; left--) {
        EEAR = at++;
        EECR |= _BV(EERE);
        *to++ = EEDR;
    }
    return 0;
}

static int program(void *context, uint32_t address, const void *data, uint32_t size)
{
    const uint8_t *from = data;
    uint16_t at = (uint16_t)address;
    (void)context;
    for (uint16_t left = (uint16_t)size; left != 0; left--) {
        EEAR = at++;
        EEDR = *from++;
        if (EEDR != 0xFF)
            change(WRITE_ONLY);
    }
    return 0;
}

static int erase(void *context, uint32_t address)
{
    (void)context;
    for (uint8_t i = 0; i < ERASE_STEP; i++) {
        EEAR = (uint16_t)address + erased++;
        EECR |= _BV(EERE);
        if (EEDR != 0xFF)
            change(ERASE_ONLY);
    }
    if (erased < SECTOR_SIZE)
        return TERN_AGAIN;
    erased = 0;
    return 0;
}

const struct tern_flash board_flash = {
    .read = read,
    .program = program,
    .erase = erase,
    .sector_size = SECTOR_SIZE,
    .sector_count = SIZE / SECTOR_SIZE,
    .program_unit = 1,
};
