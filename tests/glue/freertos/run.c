/* SPDX-License-Identifier: MIT */
/* The task on a PC, with a queue made of an array: rows are committed together, all of them; one that does
 * not fit is counted. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../../port/freertos/tern_freertos.h"
#include "../../nor.h"

static struct tern_freertos_row rows[64];
static UBaseType_t head, tail;
static TickType_t ticks;
static jmp_buf idle;
static int idles;
static bool starves; /* the task gave nobody else a turn */
static TaskFunction_t task;
static void *task_context;

QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t size)
{
    (void)length;
    return size == sizeof(rows[0]) ? (QueueHandle_t)&rows : NULL;
}
BaseType_t xQueueSend(QueueHandle_t queue, const void *row, TickType_t wait)
{
    (void)queue;
    (void)wait;
    memcpy(&rows[head++ % 64], row, sizeof(rows[0]));
    return pdPASS;
}
BaseType_t xQueueSendFromISR(QueueHandle_t queue, const void *row, BaseType_t *woken)
{
    *woken = 0;
    return xQueueSend(queue, row, 0);
}
BaseType_t xQueueReceive(QueueHandle_t queue, void *row, TickType_t wait)
{
    (void)queue;
    ticks += wait;
    starves = starves || wait == 0;
    if (tail == head && ++idles > 100)
        longjmp(idle, 1);
    if (tail == head)
        return pdFAIL;
    memcpy(row, &rows[tail++ % 64], sizeof(rows[0]));
    return pdPASS;
}
UBaseType_t uxQueueMessagesWaiting(const QueueHandle_t queue)
{
    (void)queue;
    return head - tail;
}
BaseType_t xTaskCreate(TaskFunction_t code, const char *const name, configSTACK_DEPTH_TYPE stack,
                       void *context, UBaseType_t priority, TaskHandle_t *created)
{
    (void)name;
    (void)stack;
    (void)priority;
    *created = NULL;
    task = code;
    task_context = context;
    return pdPASS;
}
void vTaskDelay(const TickType_t wait)
{
    ticks += wait;
}
TickType_t xTaskGetTickCount(void)
{
    return ticks;
}

int main(void)
{
    static const struct tern_column columns[] = {{"number", TERN_U32, 0}, {"small", TERN_U8, 0}};
    static const struct tern_table table = TERN_TABLE("t", TERN_APPEND, columns);
    static uint8_t chunk[256];
    static struct tern tern;
    struct nor nor;
    nor_open(&nor, 1024, 8, 4);
    struct tern_lane lane = {
        .flash = &nor.flash, .chunk_data = chunk, .chunk_size = sizeof(chunk), .overflow = TERN_WAIT};
    struct tern_config config = {.id = "freertos", .lanes = &lane, .lane_count = 1};
    struct tern_freertos device = {.tern = &tern, .queue_length = 64, .priority = 2, .stack = 512};
    bool good = tern_open(&tern, &config) == TERN_OK && tern_freertos_start(&device) == pdPASS;
    for (uint32_t i = 0; i < 50 && good; i++) {
        struct tern_freertos_row row = {&table, {tern_int(i), tern_int(i == 20 ? 256 : 7)}};
        BaseType_t woken;
        good = (i % 2 == 0 ? tern_freertos_put(&device, &row, 0)
                           : tern_freertos_put_from_isr(&device, &row, &woken)) == pdPASS;
    }
    if (good && setjmp(idle) == 0)
        task(task_context);
    good =
        good && !starves && device.committed == 49 && device.refused == 1 && tern_committed(&tern, 0) == 49;
    printf("%s the FreeRTOS task: %u rows committed, %u refused, %u in the log\n", good ? "ok  " : "FAIL",
           device.committed, device.refused, tern_committed(&tern, 0));
    return good ? 0 : 1;
}
