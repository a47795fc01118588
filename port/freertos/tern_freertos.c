/* SPDX-License-Identifier: MIT */
#include "tern_freertos.h"

#include <stdbool.h>

#define WAIT_MAX_MS 20 /* the link's bytes wake nobody here: look so often */

/* A tick of 16 bits would run back every minute, one above 1,000 Hz would count no milliseconds: take a timer
 * of the chip's for them, and take this line out. */
typedef char tick_is_fit[sizeof(TickType_t) >= 4 && portTICK_PERIOD_MS >= 1 ? 1 : -1];

uint32_t tern_freertos_milliseconds(void *context)
{
    (void)context;
    return (uint32_t)(xTaskGetTickCount() * portTICK_PERIOD_MS);
}

/* Puts the row, and commits when no other waits behind it: rows that come together share a commit. False: the
 * log has no room now, and the same again after a poll. */
static bool record(struct tern_freertos *device, const struct tern_freertos_row *row, uint32_t *put,
                   bool *is_put)
{
    if (!*is_put) {
        int status = tern_put(device->tern, row->table, row->values);
        if (status == TERN_AGAIN || status == TERN_E_FLASH)
            return false;
        device->refused += status != TERN_OK;
        *put += status == TERN_OK;
        *is_put = true;
    }
    if (uxQueueMessagesWaiting(device->rows) != 0 || *put == 0) {
        *is_put = false;
        return true;
    }
    int status = tern_commit(device->tern);
    if (status == TERN_AGAIN)
        return false;
    /* After an error nothing since the last commit is in the log. Only this row is at hand to be put again:
     * the others are lost, and counted as refused. */
    bool good = status >= TERN_OK;
    device->committed += good ? *put : 0;
    device->refused += good ? 0 : *put - 1;
    *put = 0;
    *is_put = false;
    return good;
}

static void run(void *context)
{
    struct tern_freertos *device = context;
    struct tern_freertos_row row;
    uint32_t put = 0;
    bool has_row = false, is_put = false;
    for (;;) {
        int32_t wait = tern_poll(device->tern);
        TickType_t ticks = pdMS_TO_TICKS(wait < 0 || wait > WAIT_MAX_MS ? WAIT_MAX_MS : wait);
        if (ticks ==
            0) /* there is more to do, an erase to wait for perhaps: tasks of lower priority run meanwhile */
            ticks = 1;
        if (!has_row)
            has_row = xQueueReceive(device->rows, &row, ticks) == pdPASS;
        else
            vTaskDelay(ticks);
        if (has_row)
            has_row = !record(device, &row, &put, &is_put);
    }
}

BaseType_t tern_freertos_start(struct tern_freertos *device)
{
    device->committed = 0;
    device->refused = 0;
    device->rows = xQueueCreate(device->queue_length, sizeof(struct tern_freertos_row));
    if (device->rows == NULL)
        return pdFAIL;
    return xTaskCreate(run, "tern", device->stack, device, device->priority, &device->task);
}

BaseType_t tern_freertos_put(struct tern_freertos *device, const struct tern_freertos_row *row,
                             TickType_t wait)
{
    return xQueueSend(device->rows, row, wait);
}

BaseType_t tern_freertos_put_from_isr(struct tern_freertos *device, const struct tern_freertos_row *row,
                                      BaseType_t *woken)
{
    return xQueueSendFromISR(device->rows, row, woken);
}
