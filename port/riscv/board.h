/* SPDX-License-Identifier: MIT */
/* RV32 as in QEMU's machine `virt`: RAM at 80000000h, parallel NOR flash (CFI, Intel commands) in two banks,
 * a 16550 UART. */
#ifndef TERN_RISCV_BOARD_H
#define TERN_RISCV_BOARD_H

#include <stdbool.h>

#include "../port.h"

#define REGISTER8(address)  (*(volatile uint8_t *)(uintptr_t)(address))
#define REGISTER32(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The first sectors of the second bank. */
extern const struct tern_flash board_flash;

/* 115200 baud, 8N1. */
extern const struct tern_link board_link;
extern const struct tern_clock board_clock;

void board_uart_start(void);
/* Whether tern_poll() has something to do: bytes have come, or there is room again for those that the last
 * send() left over. */
bool board_uart_is_due(void);

/* Sleeps for 1 ms: the UART holds 16 bytes, which take 1.4 ms. */
void board_sleep(void);

int main(void);

#endif
