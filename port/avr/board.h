/* SPDX-License-Identifier: MIT */
/* ATmega328P and its larger relatives: the log in EEPROM, which keeps its content over a reset and a new
 * image. */
#ifndef TERN_AVR_BOARD_H
#define TERN_AVR_BOARD_H

#include <stdbool.h>

#include "../port.h"

#ifndef F_CPU
#define F_CPU 16000000UL
#endif

/* 1 KiB of EEPROM in sectors of SECTOR_SIZE. */
extern const struct tern_flash board_flash;

/* 38400 baud, 8N1. */
extern const struct tern_link board_link;
extern const struct tern_clock board_clock;

/* Call once, before anything else here. Interrupts are on afterwards. */
void board_start(void);

/* Whether tern_poll() has something to do: bytes have come, or there is room again for those that the last
 * send() left over. */
bool board_uart_is_due(void);

/* Sleeps until the next interrupt, 1 ms at most. */
void board_sleep(void);

void board_uart_start(void); /* called by board_start() */

#endif
