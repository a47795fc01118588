/* SPDX-License-Identifier: MIT */
#pragma once
typedef struct tskTaskControlBlock *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);
BaseType_t xTaskCreate(TaskFunction_t pvTaskCode, const char *const pcName,
                       configSTACK_DEPTH_TYPE uxStackDepth, void *pvParameters, UBaseType_t uxPriority,
                       TaskHandle_t *pxCreatedTask);
void vTaskDelay(const TickType_t xTicksToDelay);
TickType_t xTaskGetTickCount(void);
