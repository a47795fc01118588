/* SPDX-License-Identifier: MIT */
#include "tern_esp.h"

#include <driver/uart.h>
#include <esp_partition.h>
#include <esp_random.h>
#include <esp_timer.h>

#define SECTOR_SIZE 4096u
#define UART_BUFFER 512

/* ---- Flash ----------------------------------------------------------------------------------- */

static int as_status(esp_err_t error)
{
    return error == ESP_OK ? 0 : -1;
}

static int read(void *context, uint32_t address, void *data, uint32_t size)
{
    return as_status(esp_partition_read(context, address, data, size));
}

/* The driver cuts at the chip's pages, and waits until it is done. */
static int program(void *context, uint32_t address, const void *data, uint32_t size)
{
    return as_status(esp_partition_write(context, address, data, size));
}

static int erase(void *context, uint32_t address)
{
    return as_status(esp_partition_erase_range(context, address, SECTOR_SIZE));
}

esp_err_t tern_esp_flash(struct tern_flash *flash, const char *label)
{
    const esp_partition_t *partition =
        esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
    if (partition == NULL)
        return ESP_ERR_NOT_FOUND;
    if (partition->encrypted)
        return ESP_ERR_NOT_SUPPORTED;
    *flash = (struct tern_flash){
        .context = (void *)partition,
        .read = read,
        .program = program,
        .erase = erase,
        .sector_size = SECTOR_SIZE,
        .sector_count = partition->size / SECTOR_SIZE,
        .program_unit = 1,
    };
    return ESP_OK;
}

/* ---- UART ------------------------------------------------------------------------------------ */

static uart_port_t port_of(void *context)
{
    return (uart_port_t)(intptr_t)context;
}

static uint32_t session(void *context)
{
    (void)context;
    return 1;
}

/* uart_write_bytes() waits for room: it is given no more than there is. */
static int32_t send(void *context, const uint8_t *data, uint32_t size)
{
    size_t room = 0;
    if (uart_get_tx_buffer_free_size(port_of(context), &room) != ESP_OK)
        return -1;
    return room == 0 ? 0 : uart_write_bytes(port_of(context), data, size < room ? size : room);
}

static int32_t receive(void *context, uint8_t *data, uint32_t size)
{
    return uart_read_bytes(port_of(context), data, size, 0);
}

esp_err_t tern_esp_uart(struct tern_link *link, int port)
{
    *link = (struct tern_link){
        .context = (void *)(intptr_t)port, .session = session, .send = send, .receive = receive};
    return uart_driver_install((uart_port_t)port, UART_BUFFER, UART_BUFFER, 0, NULL, 0);
}

/* ---- Clock ----------------------------------------------------------------------------------- */

static uint32_t milliseconds(void *context)
{
    (void)context;
    return (uint32_t)(esp_timer_get_time() / 1000);
}

static uint32_t random_bits(void *context)
{
    (void)context;
    return esp_random();
}

const struct tern_clock tern_esp_clock = {.milliseconds = milliseconds, .random = random_bits};
