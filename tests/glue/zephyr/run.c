/* SPDX-License-Identifier: MIT */
/* The module on a PC, over flash and a UART made of arrays: it passes the self-test that a porter runs, and
 * refuses the partitions that it cannot serve. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../../port/port_check.h"
#include "../../../port/zephyr/tern_zephyr.h"

#include <zephyr/drivers/flash.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include <zephyr/storage/flash_map.h>

#define PAGE   1024u
#define OFFSET (8 * PAGE) /* of the partition in the chip */
#define CHIP   (32 * PAGE)

struct device {
    int unused;
};

static const struct device chip, uart_device;
static uint8_t cells[CHIP];
static uint8_t erased_value = 0xFF, write_block = 4;
static size_t large_from = CHIP; /* pages are twice as large from there on */

/* ---- Flash ----------------------------------------------------------------------------------- */

int flash_area_open(uint8_t id, const struct flash_area **fa)
{
    static struct flash_area area = {1, OFFSET, 8 * PAGE, &chip};
    area.fa_off = id == 2 ? OFFSET + PAGE / 2 : OFFSET;
    *fa = &area;
    return id == 9 ? -ENOENT : 0;
}
int flash_get_page_info_by_offs(const struct device *dev, off_t offset, struct flash_pages_info *info)
{
    info->size = (size_t)offset >= large_from ? 2 * PAGE : PAGE;
    info->start_offset = offset - offset % (off_t)info->size;
    return dev == &chip ? 0 : -EINVAL;
}
int flash_area_read(const struct flash_area *fa, off_t off, void *dst, size_t len)
{
    memcpy(dst, cells + fa->fa_off + off, len);
    return 0;
}
int flash_area_write(const struct flash_area *fa, off_t off, const void *src, size_t len)
{
    if (off % write_block != 0 || len % write_block != 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        cells[(size_t)(fa->fa_off + off) + i] &= ((const uint8_t *)src)[i];
    return 0;
}
int flash_area_erase(const struct flash_area *fa, off_t off, size_t len)
{
    if (off % (off_t)PAGE != 0 || len % PAGE != 0)
        return -EINVAL;
    memset(cells + fa->fa_off + off, 0xFF, len);
    return 0;
}
uint32_t flash_area_align(const struct flash_area *fa)
{
    (void)fa;
    return write_block;
}
uint8_t flash_area_erased_val(const struct flash_area *fa)
{
    (void)fa;
    return erased_value;
}

/* ---- A UART whose two wires are joined ------------------------------------------------------- */

static uint8_t wire[64];
static unsigned wire_head, wire_tail;
static bool is_locked, is_receiving, is_sending, is_ready = true;
static uart_irq_callback_user_data_t handler;
static void *handler_data;

bool device_is_ready(const struct device *dev)
{
    return dev == &uart_device && is_ready;
}
unsigned int irq_lock(void)
{
    unsigned int before = is_locked;
    is_locked = true;
    return before;
}
void irq_unlock(unsigned int key)
{
    is_locked = key != 0;
}
int uart_irq_callback_user_data_set(const struct device *dev, uart_irq_callback_user_data_t cb,
                                    void *user_data)
{
    (void)dev;
    handler = cb;
    handler_data = user_data;
    return 0;
}
int uart_irq_update(const struct device *dev)
{
    (void)dev;
    return 1;
}
int uart_irq_rx_ready(const struct device *dev)
{
    (void)dev;
    return is_receiving && wire_head != wire_tail;
}
int uart_irq_tx_ready(const struct device *dev)
{
    (void)dev;
    return is_sending && wire_head - wire_tail < sizeof(wire);
}
int uart_irq_is_pending(const struct device *dev)
{
    return uart_irq_rx_ready(dev) || uart_irq_tx_ready(dev);
}
void uart_irq_rx_enable(const struct device *dev)
{
    (void)dev;
    is_receiving = true;
}
void uart_irq_tx_enable(const struct device *dev)
{
    is_sending = true;
    if (!is_locked)
        handler(dev, handler_data);
}
void uart_irq_tx_disable(const struct device *dev)
{
    (void)dev;
    is_sending = false;
}
int uart_fifo_fill(const struct device *dev, const uint8_t *tx_data, int size)
{
    int taken = 0;
    (void)dev;
    for (; taken < size && taken < 5 && wire_head - wire_tail < sizeof(wire); taken++)
        wire[wire_head++ % sizeof(wire)] = tx_data[taken];
    return taken;
}
int uart_fifo_read(const struct device *dev, uint8_t *rx_data, const int size)
{
    int given = 0;
    (void)dev;
    while (given < size && wire_head != wire_tail)
        rx_data[given++] = wire[wire_tail++ % sizeof(wire)];
    return given;
}

/* ---- The kernel ------------------------------------------------------------------------------ */

uint32_t k_uptime_get_32(void)
{
    static uint32_t calls;
    return ++calls / 4;
}
uint32_t sys_rand32_get(void)
{
    static uint32_t number;
    return number += 2654435761u;
}
void ring_buf_init(struct ring_buf *buf, uint32_t size, uint8_t *data)
{
    *buf = (struct ring_buf){data, size, 0, 0};
}
bool ring_buf_is_empty(const struct ring_buf *buf)
{
    return buf->head == buf->tail;
}
uint32_t ring_buf_put(struct ring_buf *buf, const uint8_t *data, uint32_t size)
{
    uint32_t taken = 0;
    while (taken < size && buf->head - buf->tail < buf->size)
        buf->buffer[buf->head++ % buf->size] = data[taken++];
    return taken;
}
uint32_t ring_buf_get(struct ring_buf *buf, uint8_t *data, uint32_t size)
{
    uint32_t given = 0;
    while (given < size && buf->head != buf->tail)
        data[given++] = buf->buffer[buf->tail++ % buf->size];
    return given;
}
uint32_t ring_buf_get_claim(struct ring_buf *buf, uint8_t **data, uint32_t size)
{
    uint32_t at = buf->tail % buf->size;
    uint32_t there = buf->head - buf->tail;
    there = there < buf->size - at ? there : buf->size - at;
    *data = buf->buffer + at;
    return there < size ? there : size;
}
int ring_buf_get_finish(struct ring_buf *buf, uint32_t size)
{
    buf->tail += size;
    return 0;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static bool passes_the_self_test(void)
{
    static struct tern_zephyr_uart uart;
    struct tern_flash flash;
    struct tern_port_report report;
    uint8_t around[2] = {0x5A, 0x5A};
    cells[OFFSET - 1] = cells[OFFSET + 8 * PAGE] = 0x5A;
    if (tern_zephyr_flash(&flash, 1) != 0 || tern_zephyr_uart_open(&uart, &uart_device) != 0)
        return false;
    enum tern_port_fault fault = tern_port_check(&flash, &uart.link, &tern_zephyr_clock, &report);
    printf("     %s; %u bytes came back\n", tern_port_fault_text(fault), report.looped);
    return fault == TERN_PORT_GOOD && report.looped == 512 && flash.sector_count == 8 &&
           cells[OFFSET - 1] == around[0] && cells[OFFSET + 8 * PAGE] == around[1];
}

static bool refuses_what_it_cannot_serve(void)
{
    struct tern_flash flash;
    bool good = tern_zephyr_flash(&flash, 9) == -ENOENT;
    good = good && tern_zephyr_flash(&flash, 2) == -ENOTSUP; /* begins within a sector */
    large_from = OFFSET + 4 * PAGE;
    good = good && tern_zephyr_flash(&flash, 1) == -ENOTSUP;
    large_from = CHIP;
    erased_value = 0;
    good = good && tern_zephyr_flash(&flash, 1) == -ENOTSUP;
    erased_value = 0xFF;
    write_block = 64;
    good = good && tern_zephyr_flash(&flash, 1) == -ENOTSUP;
    write_block = 4;
    is_ready = false;
    static struct tern_zephyr_uart uart;
    return good && tern_zephyr_uart_open(&uart, &uart_device) == -ENODEV;
}

int main(void)
{
    bool good = passes_the_self_test();
    bool refuses = refuses_what_it_cannot_serve();
    printf("     self-test %d, refusals %d\n", good, refuses);
    return good && refuses ? 0 : 1;
}
