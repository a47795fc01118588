/* SPDX-License-Identifier: MIT */
/* In place of a board's main.c: runs the port's self-test and leaves the result where
 * tests/firmware/self_test.py looks. */
#include "../../port/port_check.h"
#include "board.h"

int main(void);

static volatile uint32_t fault = 99, finished;
static struct tern_port_report report;

int main(void)
{
#if defined(__riscv)
    board_uart_start();
#elif defined(__AVR__)
    board_start();
#else
    board_clock_start();
    board_uart_start();
#endif
    fault = (uint32_t)tern_port_check(&board_flash, &board_link, &board_clock, &report);
    finished = 1;
    for (;;)
        board_sleep();
}
