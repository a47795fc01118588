/* SPDX-License-Identifier: MIT */
#include "tern_zephyr.h"

#include <errno.h>

#include <zephyr/drivers/flash.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include <zephyr/storage/flash_map.h>

#define UNIT_MAX 32u

/* ---- Flash ----------------------------------------------------------------------------------- */

static int read(void *context, uint32_t address, void *data, uint32_t size)
{
    return flash_area_read(context, (off_t)address, data, size);
}

static int program(void *context, uint32_t address, const void *data, uint32_t size)
{
    return flash_area_write(context, (off_t)address, data, size);
}

/* The driver waits until the chip is done. */
static int erase(void *context, uint32_t address)
{
    const struct flash_area *area = context;
    struct flash_pages_info page;
    int status = flash_get_page_info_by_offs(area->fa_dev, area->fa_off + (off_t)address, &page);
    return status != 0 ? status : flash_area_erase(area, (off_t)address, page.size);
}

/* The log erases all sectors by the first one's size: 0 when they are alike and the partition begins with
 * one. */
static int look_at_sectors(const struct flash_area *area, size_t *size)
{
    struct flash_pages_info page;
    *size = 0;
    for (off_t at = 0; (size_t)at + *size <= area->fa_size; at += (off_t)*size) {
        int status = flash_get_page_info_by_offs(area->fa_dev, area->fa_off + at, &page);
        if (status != 0)
            return status;
        if (*size == 0)
            *size = page.size;
        if (page.size != *size || page.start_offset != area->fa_off + at)
            return -ENOTSUP;
    }
    return 0;
}

int tern_zephyr_flash(struct tern_flash *flash, uint8_t partition)
{
    const struct flash_area *area;
    size_t size;
    int status = flash_area_open(partition, &area);
    if (status == 0)
        status = look_at_sectors(area, &size);
    if (status != 0)
        return status;
    uint32_t unit = flash_area_align(area);
    if (flash_area_erased_val(area) != 0xFF || unit > UNIT_MAX)
        return -ENOTSUP;
    *flash = (struct tern_flash){
        .context = (void *)area,
        .read = read,
        .program = program,
        .erase = erase,
        .sector_size = (uint32_t)size,
        .sector_count = (uint32_t)(area->fa_size / size),
        .program_unit = (uint8_t)unit,
    };
    return 0;
}

/* ---- UART ------------------------------------------------------------------------------------ */

static void fill_queue(struct tern_zephyr_uart *uart)
{
    uint8_t *bytes;
    uint32_t size = ring_buf_get_claim(&uart->to_send, &bytes, sizeof(uart->to_send_bytes));
    int taken = size == 0 ? 0 : uart_fifo_fill(uart->device, bytes, (int)size);
    (void)ring_buf_get_finish(&uart->to_send, taken < 0 ? 0 : (uint32_t)taken);
    if (ring_buf_is_empty(&uart->to_send))
        uart_irq_tx_disable(uart->device);
}

static void on_interrupt(const struct device *device, void *context)
{
    struct tern_zephyr_uart *uart = context;
    uint8_t piece[16];
    while (uart_irq_update(device) > 0 && uart_irq_is_pending(device) > 0) {
        if (uart_irq_rx_ready(device) > 0) {
            int size = uart_fifo_read(device, piece, sizeof(piece));
            if (size > 0) /* what does not fit is lost, and the frame's CRC notices */
                (void)ring_buf_put(&uart->received, piece, (uint32_t)size);
        }
        if (uart_irq_tx_ready(device) > 0)
            fill_queue(uart);
    }
}

static uint32_t session(void *context)
{
    ARG_UNUSED(context);
    return 1;
}

static int32_t send(void *context, const uint8_t *data, uint32_t size)
{
    struct tern_zephyr_uart *uart = context;
    unsigned int key = irq_lock();
    uint32_t taken = ring_buf_put(&uart->to_send, data, size);
    irq_unlock(key);
    uart_irq_tx_enable(uart->device);
    return (int32_t)taken;
}

static int32_t receive(void *context, uint8_t *data, uint32_t size)
{
    struct tern_zephyr_uart *uart = context;
    unsigned int key = irq_lock();
    uint32_t given = ring_buf_get(&uart->received, data, size);
    irq_unlock(key);
    return (int32_t)given;
}

int tern_zephyr_uart_open(struct tern_zephyr_uart *uart, const struct device *device)
{
    if (!device_is_ready(device))
        return -ENODEV;
    uart->device = device;
    uart->link = (struct tern_link){.context = uart, .session = session, .send = send, .receive = receive};
    ring_buf_init(&uart->received, sizeof(uart->received_bytes), uart->received_bytes);
    ring_buf_init(&uart->to_send, sizeof(uart->to_send_bytes), uart->to_send_bytes);
    int status = uart_irq_callback_user_data_set(device, on_interrupt, uart);
    if (status == 0)
        uart_irq_rx_enable(device);
    return status;
}

/* ---- Clock ----------------------------------------------------------------------------------- */

static uint32_t milliseconds(void *context)
{
    ARG_UNUSED(context);
    return k_uptime_get_32();
}

static uint32_t random_bits(void *context)
{
    ARG_UNUSED(context);
    return sys_rand32_get();
}

const struct tern_clock tern_zephyr_clock = {.milliseconds = milliseconds, .random = random_bits};
