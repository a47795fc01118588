/* SPDX-License-Identifier: MIT */
/* BBC micro:bit (first edition): nRF51822, Cortex-M0 at 16 MHz, 256 KiB of flash, 16 KiB of RAM. */
#ifndef TERN_MICROBIT_BOARD_H
#define TERN_MICROBIT_BOARD_H

#include <stdbool.h>

#include "../port.h"

/* A peripheral's register, by its address. */
#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define INTERRUPT_ENABLE REGISTER(0xE000E100)
#define IRQ_UART         2u
#define IRQ_TIMER        8u

/* The last 32 pages of flash, as microbit.ld reserves them. */
extern const struct tern_flash board_flash;

/* The UART behind the USB plug, 115200 baud, 8N1, no flow control. */
extern const struct tern_link board_link;

extern const struct tern_clock board_clock;

/* Call both once, before anything else here. */
void board_clock_start(void);
void board_uart_start(void);

/* Whether tern_poll() has something to do: bytes have come, or there is room again for those that the last
 * send() left over. */
bool board_uart_is_due(void);

/* Sleeps until the next interrupt, 1 ms at most. */
void board_sleep(void);

/* Writes "nrf51-" and the chip's 64-bit number, 22 characters and a NUL. */
void board_identity(char id[23]);

/* Interrupt handlers, for the vector table in start.c. */
void board_on_uart(void);
void board_on_timer(void);

int main(void);

#endif
