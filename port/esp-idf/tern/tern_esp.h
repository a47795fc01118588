/* SPDX-License-Identifier: MIT */
/* tern on ESP-IDF: flash in a partition, a UART as the link, the system's clock. Call tern from one task. */
#ifndef TERN_ESP_H
#define TERN_ESP_H

#include <esp_err.h>

#include "tern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills `flash` in for the data partition called `label` in the partition table. ESP_OK, ESP_ERR_NOT_FOUND,
 * or ESP_ERR_NOT_SUPPORTED for an encrypted one: its units can't be written once more after a power cut. */
esp_err_t tern_esp_flash(struct tern_flash *flash, const char *label);

/* Fills `link` in for a UART (0, 1, 2) and installs its driver; pins and speed are set by the application
 * with uart_param_config() and uart_set_pin(). */
esp_err_t tern_esp_uart(struct tern_link *link, int port);

extern const struct tern_clock tern_esp_clock;

#ifdef __cplusplus
}
#endif
#endif
