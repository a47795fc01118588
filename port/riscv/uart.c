/* SPDX-License-Identifier: MIT */
/* A 16550 UART, by its two hardware queues of 16 bytes alone. */
#include "board.h"

#define UART(offset)    REGISTER8(0x10000000u + (offset))
#define DATA            UART(0) /* or the divisor's low byte */
#define INTERRUPTS      UART(1)
#define QUEUES          UART(2)
#define LINE_CONTROL    UART(3)
#define LINE_STATUS     UART(5)
#define QUEUES_ON_CLEAR 0x07u
#define EIGHT_BITS      0x03u
#define DIVISOR_OPEN    0x80u
#define HAS_BYTE        0x01u
#define IS_EMPTY        0x20u /* the queue of bytes to send */
#define QUEUE_SIZE      16u
#define DIVISOR_115200  2u /* 3.6864 MHz / 16 / 115200 */

void board_uart_start(void)
{
    LINE_CONTROL = DIVISOR_OPEN;
    DATA = DIVISOR_115200;
    INTERRUPTS = 0; /* the divisor's high byte */
    LINE_CONTROL = EIGHT_BITS;
    INTERRUPTS = 0;
    QUEUES = QUEUES_ON_CLEAR;
}

static bool has_left_over;

static bool has_byte(void)
{
    return (LINE_STATUS & HAS_BYTE) != 0;
}

bool board_uart_is_due(void)
{
    return has_byte() || (has_left_over && (LINE_STATUS & IS_EMPTY) != 0);
}

static uint32_t session(void *context)
{
    (void)context;
    return 1;
}

static int32_t send(void *context, const uint8_t *data, uint32_t size)
{
    uint32_t taken = 0;
    uint32_t room = (LINE_STATUS & IS_EMPTY) != 0 ? QUEUE_SIZE : 0;
    (void)context;
    for (; taken < size && taken < room; taken++)
        DATA = data[taken];
    has_left_over = taken < size;
    return (int32_t)taken;
}

static int32_t receive(void *context, uint8_t *data, uint32_t size)
{
    uint32_t given = 0;
    (void)context;
    while (given < size && has_byte())
        data[given++] = DATA;
    return (int32_t)given;
}

const struct tern_link board_link = {.session = session, .send = send, .receive = receive};
