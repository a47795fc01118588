/* SPDX-License-Identifier: MIT */
/* The UART, with a ring in each direction that the interrupt fills and drains. While the flash controller
 * erases, the CPU stands still and up to 240 bytes may be missed: the protocol asks for them again. */
#include "board.h"

#define UART(offset)   REGISTER(0x40002000 + (offset))
#define START_RECEIVE  UART(0x000)
#define START_TRANSMIT UART(0x008)
#define RECEIVED       UART(0x108)
#define TRANSMITTED    UART(0x11C)
#define ERROR          UART(0x124)
#define INTERRUPTS_SET UART(0x304)
#define ERROR_SOURCE   UART(0x480)
#define ENABLE         UART(0x500)
#define PIN_TRANSMIT   UART(0x50C)
#define PIN_RECEIVE    UART(0x514)
#define RECEIVE_BYTE   UART(0x518)
#define TRANSMIT_BYTE  UART(0x51C)
#define BAUD           UART(0x524)
#define ON_RECEIVED    (1u << 2)
#define ON_TRANSMITTED (1u << 7)
#define ON_ERROR       (1u << 9)
#define ENABLED        4u
#define BAUD_115200    0x01D7E000u
#define MICROBIT_TX    24u
#define MICROBIT_RX    25u
#define GPIO_SET       REGISTER(0x50000508)
#define GPIO_DIRECTION REGISTER(0x50000518)

/* One writer and one reader each; as large as its index counts. */
static volatile uint8_t received[256], to_send[256];
static volatile uint8_t received_head, received_tail, send_head, send_tail;
static volatile uint8_t is_sending;
static bool has_left_over;

static void send_one(void)
{
    is_sending = send_tail != send_head;
    if (is_sending)
        TRANSMIT_BYTE = to_send[send_tail++];
}

void board_on_uart(void)
{
    if (ERROR != 0) {
        ERROR = 0;
        ERROR_SOURCE = ERROR_SOURCE; /* ones clear it; the frame's CRC notices what was lost */
    }
    while (RECEIVED != 0) {
        RECEIVED = 0;
        uint8_t byte = (uint8_t)RECEIVE_BYTE;
        if ((uint8_t)(received_head + 1) != received_tail)
            received[received_head++] = byte;
    }
    if (TRANSMITTED != 0) {
        TRANSMITTED = 0;
        send_one();
    }
}

bool board_uart_is_due(void)
{
    uint8_t waiting = (uint8_t)(send_head - send_tail);
    return received_head != received_tail || (has_left_over && waiting < sizeof(to_send) / 2);
}

void board_uart_start(void)
{
    GPIO_SET = 1u << MICROBIT_TX; /* an idle line is high */
    GPIO_DIRECTION = 1u << MICROBIT_TX;
    PIN_TRANSMIT = MICROBIT_TX;
    PIN_RECEIVE = MICROBIT_RX;
    BAUD = BAUD_115200;
    ENABLE = ENABLED;
    INTERRUPTS_SET = ON_RECEIVED | ON_TRANSMITTED | ON_ERROR;
    START_RECEIVE = 1;
    START_TRANSMIT = 1;
    INTERRUPT_ENABLE = 1u << IRQ_UART;
}

static uint32_t session(void *context)
{
    (void)context;
    return 1;
}

static int32_t send(void *context, const uint8_t *data, uint32_t size)
{
    uint32_t taken = 0;
    (void)context;
    for (; taken < size && (uint8_t)(send_head + 1) != send_tail; taken++) {
        to_send[send_head] = data[taken];
        send_head++;
    }
    has_left_over = taken < size;
    __asm__ volatile("cpsid i" ::: "memory");
    if (!is_sending)
        send_one();
    __asm__ volatile("cpsie i" ::: "memory");
    return (int32_t)taken;
}

static int32_t receive(void *context, uint8_t *data, uint32_t size)
{
    uint32_t given = 0;
    (void)context;
    while (given < size && received_tail != received_head)
        data[given++] = received[received_tail++];
    return (int32_t)given;
}

const struct tern_link board_link = {.session = session, .send = send, .receive = receive};
