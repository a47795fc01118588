/* SPDX-License-Identifier: MIT */
/* The machine timer, 10 MHz, and the wall clock's nanoseconds for nonces. */
#include "board.h"

#define COMPARE_LOW  REGISTER32(0x02004000u)
#define COMPARE_HIGH REGISTER32(0x02004004u)
#define TIME_LOW     REGISTER32(0x0200BFF8u)
#define TIME_HIGH    REGISTER32(0x0200BFFCu)
#define WALL_LOW     REGISTER32(0x00101000u)
#define TICKS_A_MS   10000u
#define TIMER_WAKES  0x80u /* in mie */

/* Ticks wrap within 430 s, milliseconds in 49 days: must be called more often than the former. */
static uint32_t milliseconds(void *context)
{
    static uint32_t now, last;
    uint32_t elapsed = (TIME_LOW - last) / TICKS_A_MS;
    (void)context;
    now += elapsed;
    last += elapsed * TICKS_A_MS;
    return now;
}

static uint32_t random_bits(void *context)
{
    (void)context;
    return (WALL_LOW ^ TIME_LOW << 7) * 2654435761u;
}

const struct tern_clock board_clock = {.milliseconds = milliseconds, .random = random_bits};

void board_sleep(void)
{
    uint32_t now = TIME_LOW;
    COMPARE_HIGH = 0xFFFFFFFFu; /* no match while the halves disagree */
    COMPARE_LOW = now + TICKS_A_MS;
    COMPARE_HIGH = TIME_HIGH + (now + TICKS_A_MS < now);
    /* Traps stay off: wfi returns when the timer is pending, and goes on here. */
    __asm__ volatile(".option arch, +zicsr\n\tcsrw mie, %0\n\twfi\n\tcsrw mie, zero" ::"r"(TIMER_WAKES)
                     : "memory");
}
