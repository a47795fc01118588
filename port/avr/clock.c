/* SPDX-License-Identifier: MIT */
/* Milliseconds from timer 0. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "board.h"

#define DIVIDER 64UL

static volatile uint32_t now;

/* Not cleared at the start: what a reset leaves, or what RAM held when the power came, makes the next nonce
 * differ. */
static uint32_t chance __attribute__((section(".noinit")));

ISR(TIMER0_COMPA_vect)
{
    now++;
}

void board_start(void)
{
    OCR0A = (uint8_t)(F_CPU / DIVIDER / 1000 - 1);
    TCCR0A = _BV(WGM01); /* back to 0 at OCR0A */
    TCCR0B = _BV(CS01) | _BV(CS00);
    TIMSK0 = _BV(OCIE0A);
    SMCR = _BV(SE); /* sleep is idle: the UART and the timer go on */
    board_uart_start();
    sei();
}

void board_sleep(void)
{
    sleep_cpu();
}

static uint32_t milliseconds(void *context)
{
    uint32_t value;
    (void)context;
    cli();
    value = now;
    sei();
    return value;
}

static uint32_t random_bits(void *context)
{
    chance = chance * 1664525u + 1013904223u + TCNT0 + milliseconds(context);
    return chance ^ chance >> 16;
}

const struct tern_clock board_clock = {.milliseconds = milliseconds, .random = random_bits};
