/* SPDX-License-Identifier: MIT */
/* From reset to main(): the vector table, and RAM made ready. */
#include "board.h"

extern uint32_t image_stack, image_data, image_data_end, image_data_load, image_bss, image_bss_end;

#define RESET_CONTROL REGISTER(0xE000ED0C)
#define RESET_REQUEST 0x05FA0004u

/* An exception that nobody expects: start again. The log goes on where it was. */
static void on_fault(void)
{
    RESET_CONTROL = RESET_REQUEST;
    for (;;)
        ;
}

static void on_reset(void)
{
    const uint32_t *from = &image_data_load;
    for (uint32_t *to = &image_data; to != &image_data_end; to++)
        *to = *from++;
    for (uint32_t *to = &image_bss; to != &image_bss_end; to++)
        *to = 0;
    main();
    on_fault();
}

union vector {
    void *stack;
    void (*handler)(void);
};

#define EXCEPTIONS 16

static const union vector vectors[EXCEPTIONS + 32] __attribute__((section(".vectors"), used)) = {
    [0] = {.stack = &image_stack},
    [1] = {.handler = on_reset},
    [2] = {.handler = on_fault}, /* NMI */
    [3] = {.handler = on_fault}, /* hard fault */
    [11] = {.handler = on_fault},
    [14] = {.handler = on_fault},
    [15] = {.handler = on_fault},
    [EXCEPTIONS + IRQ_UART] = {.handler = board_on_uart},
    [EXCEPTIONS + IRQ_TIMER] = {.handler = board_on_timer},
};
