/* SPDX-License-Identifier: MIT */
/* FreeRTOS, as far as port/freertos uses it: declarations of our own after its documentation. */
#pragma once
#include <stddef.h>
#include <stdint.h>
typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef uint32_t TickType_t;
#define configSTACK_DEPTH_TYPE uint16_t
#define portTICK_PERIOD_MS     ((TickType_t)1)
#define pdMS_TO_TICKS(ms)      ((TickType_t)(ms))
#define pdPASS                 ((BaseType_t)1)
#define pdFAIL                 ((BaseType_t)0)
