/* SPDX-License-Identifier: MIT */
/* UART 0, with a ring in each direction that the interrupts fill and drain. */
#include <avr/interrupt.h>
#include <avr/io.h>

#include "board.h"

#define BAUD 38400UL
#define MASK 63u /* of both rings */

#ifndef USART_RX_vect
#define USART_RX_vect   USART0_RX_vect
#define USART_UDRE_vect USART0_UDRE_vect
#endif

static volatile uint8_t received[MASK + 1], to_send[MASK + 1];
static volatile uint8_t received_head, received_tail, send_head, send_tail;
static bool has_left_over;

ISR(USART_RX_vect)
{
    uint8_t byte = UDR0;
    uint8_t next = (received_head + 1u) & MASK;
    if (next != received_tail) { /* else it is lost, and the frame's CRC notices */
        received[received_head] = byte;
        received_head = next;
    }
}

ISR(USART_UDRE_vect)
{
    if (send_tail == send_head) {
        UCSR0B &= (uint8_t)~_BV(UDRIE0);
        return;
    }
    UDR0 = to_send[send_tail];
    send_tail = (send_tail + 1u) & MASK;
}

void board_uart_start(void)
{
    UBRR0 = (uint16_t)(F_CPU / 16 / BAUD - 1);
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

bool board_uart_is_due(void)
{
    return received_head != received_tail ||
           (has_left_over && ((uint8_t)(send_head - send_tail) & MASK) < MASK / 2);
}

static uint32_t session(void *context)
{
    (void)context;
    return 1;
}

static int32_t send(void *context, const uint8_t *data, uint32_t size)
{
    uint8_t taken = 0;
    (void)context;
    while (taken < size && ((send_head + 1u) & MASK) != send_tail) {
        to_send[send_head] = data[taken++];
        send_head = (send_head + 1u) & MASK;
    }
    has_left_over = taken < size;
    cli();
    UCSR0B |= _BV(UDRIE0);
    sei();
    return taken;
}

static int32_t receive(void *context, uint8_t *data, uint32_t size)
{
    uint8_t given = 0;
    (void)context;
    while (given < size && received_tail != received_head) {
        data[given++] = received[received_tail];
        received_tail = (received_tail + 1u) & MASK;
    }
    return given;
}

const struct tern_link board_link = {.session = session, .send = send, .receive = receive};
