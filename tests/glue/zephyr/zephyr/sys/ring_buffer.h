/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>
#include <stdint.h>
struct ring_buf {
    uint8_t *buffer;
    uint32_t size;
    uint32_t head, tail; /* the true one has others, which are private too */
};
void ring_buf_init(struct ring_buf *buf, uint32_t size, uint8_t *data);
bool ring_buf_is_empty(const struct ring_buf *buf);
uint32_t ring_buf_put(struct ring_buf *buf, const uint8_t *data, uint32_t size);
uint32_t ring_buf_get(struct ring_buf *buf, uint8_t *data, uint32_t size);
uint32_t ring_buf_get_claim(struct ring_buf *buf, uint8_t **data, uint32_t size);
int ring_buf_get_finish(struct ring_buf *buf, uint32_t size);
