/* SPDX-License-Identifier: MIT */
/* Milliseconds from TIMER0, randomness from the chip's generator, its number. A product that runs from a
 * battery takes RTC1 in place of the timer, so that the fast clock may stop. */
#include "board.h"

#define CLOCK_START     REGISTER(0x40000000)
#define CLOCK_STARTED   REGISTER(0x40000100)
#define TIMER(offset)   REGISTER(0x40008000 + (offset))
#define TIMER_START     TIMER(0x000)
#define TIMER_COMPARED  TIMER(0x140)
#define TIMER_SHORTCUTS TIMER(0x200)
#define TIMER_INTERRUPT TIMER(0x304)
#define TIMER_PRESCALER TIMER(0x510)
#define TIMER_COMPARE   TIMER(0x540)
#define RANDOM_START    REGISTER(0x4000D000)
#define RANDOM_STOP     REGISTER(0x4000D004)
#define RANDOM_READY    REGISTER(0x4000D100)
#define RANDOM_VALUE    REGISTER(0x4000D508)
#define CHIP_NUMBER(i)  REGISTER(0x10000060 + 4 * (i))

#define TICKS_A_MS 1000u /* 16 MHz >> 4 is 1 MHz */

static volatile uint32_t now;

void board_on_timer(void)
{
    TIMER_COMPARED = 0;
    now++;
}

void board_clock_start(void)
{
    CLOCK_STARTED = 0;
    CLOCK_START = 1; /* the crystal: the UART's speed hangs on it */
    while (CLOCK_STARTED == 0)
        ;
    TIMER_PRESCALER = 4;
    TIMER_COMPARE = TICKS_A_MS;
    TIMER_SHORTCUTS = 1; /* from the compared value back to 0 */
    TIMER_INTERRUPT = 1u << 16;
    TIMER_START = 1;
    INTERRUPT_ENABLE = 1u << IRQ_TIMER;
}

void board_sleep(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

static uint32_t milliseconds(void *context)
{
    (void)context;
    return now;
}

/* Waits less than 1 ms for four bytes. */
static uint32_t random_bits(void *context)
{
    uint32_t bits = 0;
    (void)context;
    RANDOM_START = 1;
    for (int i = 0; i < 4; i++) {
        RANDOM_READY = 0;
        while (RANDOM_READY == 0)
            ;
        bits = bits << 8 | (RANDOM_VALUE & 0xFFu);
    }
    RANDOM_STOP = 1;
    return bits;
}

const struct tern_clock board_clock = {.milliseconds = milliseconds, .random = random_bits};

void board_identity(char id[23])
{
    static const char digits[] = "0123456789abcdef";
    static const char prefix[] = "nrf51-";
    for (unsigned i = 0; i < 6; i++)
        id[i] = prefix[i];
    for (unsigned i = 0; i < 16; i++)
        id[6 + i] = digits[CHIP_NUMBER(i < 8 ? 1 : 0) >> (28 - 4 * (i & 7)) & 15];
    id[22] = '\0';
}
