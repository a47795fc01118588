/* SPDX-License-Identifier: MIT */
/* tern on Zephyr: flash in a partition of the flash map, a UART as the link, the kernel's clock. Call tern
 * from one thread. */
#ifndef TERN_ZEPHYR_H
#define TERN_ZEPHYR_H

#include <zephyr/device.h>
#include <zephyr/sys/ring_buffer.h>

#include "tern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills `flash` in for a partition, as FIXED_PARTITION_ID(tern_partition): sector size and program unit are
 * the driver's. 0, or a negative errno: -ENOTSUP when the flash does not erase to FF, its program unit is
 * above 32, its sectors differ in size, or the partition does not begin with one. */
int tern_zephyr_flash(struct tern_flash *flash, uint8_t partition);

struct tern_zephyr_uart {
    struct tern_link link; /* for struct tern_config */
    const struct device *device;
    struct ring_buf received, to_send;
    uint8_t received_bytes[256], to_send_bytes[256];
};

/* Takes over the UART's interrupts. 0, or a negative errno: -ENODEV when the device is not ready. */
int tern_zephyr_uart_open(struct tern_zephyr_uart *uart, const struct device *device);

extern const struct tern_clock tern_zephyr_clock;

#ifdef __cplusplus
}
#endif
#endif
