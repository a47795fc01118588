/* SPDX-License-Identifier: MIT */
/* tern as a FreeRTOS task: any task or interrupt hands it rows through a queue; the task alone calls tern. */
#ifndef TERN_FREERTOS_H
#define TERN_FREERTOS_H

#include <FreeRTOS.h>
#include <queue.h>
#include <task.h>

#include "tern.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_FREERTOS_COLUMNS 8 /* of the widest table */

/* A row on its way to the task. Its texts must live until it is committed, which is why most queues carry
 * numbers only. */
struct tern_freertos_row {
    const struct tern_table *table;
    struct tern_value values[TERN_FREERTOS_COLUMNS];
};

struct tern_freertos {
    /* Set before tern_freertos_start(). */
    struct tern *tern;        /* opened */
    UBaseType_t queue_length; /* rows */
    UBaseType_t priority;
    configSTACK_DEPTH_TYPE stack; /* in words, as xTaskCreate() counts them */
    /* Public, to be read. */
    uint32_t committed; /* rows whose commit returned TERN_OK */
    uint32_t refused;   /* rows that tern did not take: a value that does not fit its column */
    /* Private. */
    QueueHandle_t rows;
    TaskHandle_t task;
};

/* Makes the queue and the task. pdPASS, or pdFAIL when the heap has no room for them. */
BaseType_t tern_freertos_start(struct tern_freertos *device);

/* Hands over a row; waits for room in the queue for so many ticks. pdPASS: it is in the queue, and NOT YET
 * durable: `committed` tells. */
BaseType_t tern_freertos_put(struct tern_freertos *device, const struct tern_freertos_row *row,
                             TickType_t wait);
BaseType_t tern_freertos_put_from_isr(struct tern_freertos *device, const struct tern_freertos_row *row,
                                      BaseType_t *woken);

/* Milliseconds from the tick. `random` is yours: set it to the chip's generator. */
uint32_t tern_freertos_milliseconds(void *context);

#ifdef __cplusplus
}
#endif
#endif
