/* SPDX-License-Identifier: MIT */
/* The component on a PC, over a partition and a UART made of arrays: it passes the self-test that a porter
 * runs, and refuses the partitions that it cannot serve. */
#include <stdio.h>
#include <string.h>

#include "../../../port/esp-idf/tern/tern_esp.h"
#include "../../../port/port_check.h"

#include <driver/uart.h>
#include <esp_partition.h>
#include <esp_random.h>
#include <esp_timer.h>

#define SECTOR  4096u
#define SECTORS 4u

static uint8_t cells[SECTOR * SECTORS];
static esp_partition_t partition = {.size = sizeof(cells), .erase_size = SECTOR, .label = "tern"};

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label)
{
    (void)subtype;
    return type == ESP_PARTITION_TYPE_DATA && strcmp(label, partition.label) == 0 ? &partition : NULL;
}
esp_err_t esp_partition_read(const esp_partition_t *from, size_t src_offset, void *dst, size_t size)
{
    if (from != &partition || src_offset + size > sizeof(cells))
        return ESP_ERR_NOT_FOUND;
    memcpy(dst, cells + src_offset, size);
    return ESP_OK;
}
esp_err_t esp_partition_write(const esp_partition_t *to, size_t dst_offset, const void *src, size_t size)
{
    if (to != &partition || dst_offset + size > sizeof(cells))
        return ESP_ERR_NOT_FOUND;
    for (size_t i = 0; i < size; i++)
        cells[dst_offset + i] &= ((const uint8_t *)src)[i];
    return ESP_OK;
}
esp_err_t esp_partition_erase_range(const esp_partition_t *in, size_t offset, size_t size)
{
    if (in != &partition || offset % SECTOR != 0 || size % SECTOR != 0)
        return ESP_ERR_NOT_FOUND;
    memset(cells + offset, 0xFF, size);
    return ESP_OK;
}

/* A UART whose two wires are joined. */
static uint8_t wire[200];
static unsigned head, tail;
static bool waited; /* a write had to wait for room: send() must not */

esp_err_t uart_driver_install(uart_port_t uart_num, int rx_buffer_size, int tx_buffer_size, int queue_size,
                              QueueHandle_t *uart_queue, int intr_alloc_flags)
{
    (void)queue_size;
    (void)uart_queue;
    (void)intr_alloc_flags;
    return uart_num == 1 && rx_buffer_size > 128 && tx_buffer_size > 128 ? ESP_OK : ESP_ERR_NOT_FOUND;
}
esp_err_t uart_get_tx_buffer_free_size(uart_port_t uart_num, size_t *size)
{
    *size = sizeof(wire) - (head - tail);
    return uart_num == 1 ? ESP_OK : ESP_ERR_NOT_FOUND;
}
int uart_write_bytes(uart_port_t uart_num, const void *src, size_t size)
{
    waited = waited || size > sizeof(wire) - (head - tail);
    for (size_t i = 0; i < size; i++)
        wire[head++ % sizeof(wire)] = ((const uint8_t *)src)[i];
    return uart_num == 1 ? (int)size : -1;
}
int uart_read_bytes(uart_port_t uart_num, void *buf, uint32_t length, uint32_t ticks_to_wait)
{
    int given = 0;
    waited = waited || ticks_to_wait != 0;
    while ((uint32_t)given < length && head != tail)
        ((uint8_t *)buf)[given++] = wire[tail++ % sizeof(wire)];
    return uart_num == 1 ? given : -1;
}
int64_t esp_timer_get_time(void)
{
    static int64_t now = 0xFFFFFFF0ll * 1000; /* milliseconds are about to wrap */
    return now += 300;
}
uint32_t esp_random(void)
{
    static uint32_t number;
    return number += 2654435761u;
}

int main(void)
{
    struct tern_flash flash;
    struct tern_link link;
    struct tern_port_report report;
    bool good = tern_esp_flash(&flash, "tern") == ESP_OK && tern_esp_uart(&link, 1) == ESP_OK;
    enum tern_port_fault fault =
        good ? tern_port_check(&flash, &link, &tern_esp_clock, &report) : TERN_PORT_GEOMETRY;
    printf("     %s\n", tern_port_fault_text(fault));
    good =
        good && fault == TERN_PORT_GOOD && report.looped == 512 && flash.sector_count == SECTORS && !waited;
    good = good && tern_esp_flash(&flash, "nvs") == ESP_ERR_NOT_FOUND;
    partition.encrypted = true;
    good = good && tern_esp_flash(&flash, "tern") == ESP_ERR_NOT_SUPPORTED;
    return good ? 0 : 1;
}
