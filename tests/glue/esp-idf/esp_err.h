/* SPDX-License-Identifier: MIT */
/* ESP-IDF 5, as far as port/esp-idf uses it: declarations of our own after its documentation. */
#pragma once
typedef int esp_err_t;
#define ESP_OK                0
#define ESP_ERR_NOT_FOUND     0x105
#define ESP_ERR_NOT_SUPPORTED 0x106
